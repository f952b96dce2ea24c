"""Exchange: a simulated Kiwoom behind any number of connections.

What it does and why, each as measured on the live server and published by others:

* LOGIN is answered after 20 ms. Until then anything else is answered 100013 and dropped. A bad token is answered
  805004 with the reason in brackets, then (production only) SYSTEM R10004, then closed. No LOGIN at all: SYSTEM R10004.
* A second login with the same app key gets the first one SYSTEM R10001 and closed.
* PING every 10 s; five in a row unanswered: SYSTEM R10002 and closed. Only the same bytes are an answer.
* REG and REMOVE are acknowledged after 10 ms, with nothing in the reply that tells which; rows may come before that.
  Items are not checked. Malformed requests are 105111 or 100002, an unknown trnm (PONG too) 105108.
* More than 5 requests in a second: 105110. More than 200 items in a group: 105118, on the connection: 105115; the whole
  request is refused then. Types are free and "" counts nothing.
* Rows come in batches every 100 ms, several in one message, in the measured order of keys.
* It always closes with 1000 "Bye".

Not known of the live server, so chosen: how long it waits for a LOGIN (10 s), and that refresh "0" drops the
registrations of the group.
"""

from __future__ import annotations

import datetime
import heapq
from collections import deque
from collections.abc import Callable, Mapping

import attrs

from ..config import ServerConfig
from ..conversation import CLOSED, CLOSING, LOGGING_IN, READY, ConnectionState
from ..errors import LocalProtocolError
from ..messages import Row
from ..server import PingAnswered, RequestReceived, ServerConnection, ServerRequest
from .market import Market

__all__ = ("Exchange", "Faults", "Peer")

LOGIN_DELAY = 0.020
ACK_DELAY = 0.010
LOGIN_GRACE = 10.0
PING_INTERVAL = 10.0
PINGS_MISSED = 5
BATCH_INTERVAL = 0.1
REQUESTS_PER_SECOND = 5
ITEM_LIMIT = 200
UNSENT_LIMIT = 4 * 1024 * 1024
"""Bytes waiting for a client that does not read, above which it gets no rows."""


@attrs.define(kw_only=True)
class Faults:
    """What goes wrong from now on. Change it whenever you like; see also `Exchange.drop`, `stall`, `garbage`, `kick`.

    Attributes:
        ack_delay: seconds by which acknowledgements are late.
        lose_acks: how many of the next acknowledgements are not sent.
        split: every byte is sent on its own.
        http_status: what the next opening handshakes are answered with, 101 being none of a fault.
    """

    ack_delay: float = 0.0
    lose_acks: int = 0
    split: bool = False
    http_status: int = 101


class Exchange:
    """A simulated Kiwoom.

    Arguments:
        seed: the same seed gives the same rows.
        tokens: token -> app key, the tokens that may log in; None: any token, being its own app key.
        mock: behave as mock trading does.
        start: time of day (KST) at which its market begins.
        rate: rows a second for each registered item, on average.
        clock: gives seconds; None: given by `run_on`, which the adapters' `serve` calls.
        config: deadlines and limits of its connections.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        tokens: Mapping[str, str] | None = None,
        mock: bool = False,
        start: datetime.time = datetime.time(16, 0),
        rate: float = 2.0,
        clock: Callable[[], float] | None = None,
        config: ServerConfig | None = None,
    ) -> None:
        self.mock = mock
        self.faults = Faults()
        self.peers: list[Peer] = []
        """The connections that are not over yet, oldest first."""
        self.rows_sent = 0
        """Rows sent so far, over all connections."""
        self._tokens = dict(tokens) if tokens is not None else None
        self._market = Market(seed=seed, start=start, rate=rate)
        self._config = ServerConfig() if config is None else config
        self._clock: Callable[[], float] | None = None
        self._notify: Callable[[], None] | None = None
        self._opened_at = 0.0
        self._actions: list[tuple[float, int, Callable[[float], None]]] = []
        self._action_count = 0
        self._ticking = False
        if clock is not None:
            self.run_on(clock)

    def run_on(self, clock: Callable[[], float], notify: Callable[[], None] | None = None) -> None:
        """Say what time it is, once.

        Arguments:
            clock: gives seconds, never going back.
            notify: called when something other than the driver has given a connection something to do: a fault.

        Raises:
            LocalProtocolError: it runs on a clock already.
        """
        if self._clock is not None:
            raise LocalProtocolError("the exchange runs on a clock already")
        self._clock = clock
        self._notify = notify
        self._opened_at = clock()

    def connect(self) -> Peer:
        """A client has connected: return the server's end of its connection."""
        peer = Peer(self, ServerConnection(self._config, clock=self.now, status=self.faults.http_status))
        self.peers.append(peer)
        self._later(LOGIN_GRACE, peer._expect_login)
        return peer

    def now(self) -> float:
        """Seconds on its clock."""
        if self._clock is None:
            raise LocalProtocolError("the exchange has no clock: pass clock, call run_on, or use an adapter's serve")
        return self._clock()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called, in seconds on the clock; None: not before something else happens."""
        times = [time for peer in self.peers if (time := peer.connection.next_timeout()) is not None]
        if self._actions:
            times.append(self._actions[0][0])
        return min(times, default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock, on every connection. Harmless when nothing is."""
        now = self.now()
        while self._actions and self._actions[0][0] <= now:
            when, _, action = heapq.heappop(self._actions)
            action(when)
        for peer in tuple(self.peers):
            peer.connection.handle_timeout()
            peer._settle()

    # Faults that happen at once, to one connection or to all.

    def drop(self, peer: Peer | None = None) -> None:
        """Cut the connection, without a word."""
        for victim in self._victims(peer):
            victim.connection.abort()
            victim._settle()
        self._tell_driver()

    def stall(self, peer: Peer | None = None) -> None:
        """Neither send nor read any more, while the connection stays up. `resume` ends it."""
        for victim in self._victims(peer):
            victim.stalled = True

    def resume(self, peer: Peer | None = None) -> None:
        """End a stall. What should have been sent is sent now; what came meanwhile is gone."""
        for victim in self._victims(peer):
            victim.stalled = False
        self._tell_driver()

    def garbage(self, payload: bytes = b"{]", peer: Peer | None = None) -> None:
        """Send these bytes as a text message."""
        for victim in self._victims(peer):
            victim.connection.send_text(payload)
        self._tell_driver()

    def kick(self, peer: Peer | None = None) -> None:
        """Close as if the app key had logged in elsewhere (R10001)."""
        for victim in self._victims(peer):
            victim._dismiss("R10001", "동일한 App key로 접속이 되었습니다")
        self._tell_driver()

    def _victims(self, peer: Peer | None) -> tuple[Peer, ...]:
        return tuple(self.peers) if peer is None else (peer,)

    # Inside.

    def _tell_driver(self) -> None:
        if self._notify is not None:
            self._notify()

    def _later(self, delay: float, action: Callable[[float], None]) -> None:
        self._action_count += 1
        heapq.heappush(self._actions, (self.now() + delay, self._action_count, action))

    def _key_of(self, token: object) -> str | None:
        if not isinstance(token, str) or not token or token.startswith("Bearer "):
            return None
        return token if self._tokens is None else self._tokens.get(token)

    def _start_ticking(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._later(BATCH_INTERVAL, self._tick)

    def _tick(self, when: float) -> None:
        peers = [peer for peer in self.peers if peer.connection.state is READY and peer.registered]
        self._ticking = bool(peers)
        if not peers:
            return
        # One stock is one book, however many clients look at it. A dict, for an order that does not vary.
        wanted = dict.fromkeys(pair for peer in peers for pair in peer.pairs())
        until = when - self._opened_at
        rows = self._market.rows(until - BATCH_INTERVAL, until, wanted)
        for peer in peers:
            pairs = peer.pairs()
            peer._send_rows([row for row in rows if (row.type, row.item) in pairs])
        self._action_count += 1
        heapq.heappush(self._actions, (when + BATCH_INTERVAL, self._action_count, self._tick))


class Peer:
    """The simulated server's end of one client's connection. Drive it like any end; see `Exchange`.

    What happens on one may make another have something to send (a login kicks the older session), and its time is the
    exchange's: drive all of `Exchange.peers` together.

    Attributes:
        connection: the protocol's end of it.
        key: the app key it logged in with, or None.
        registered: group -> (type, item) pairs, in the order they came.
        stalled: whether it neither sends nor reads.
        rows_dropped: rows not sent because the client did not read.
    """

    def __init__(self, exchange: Exchange, connection: ServerConnection) -> None:
        self.connection = connection
        self.key: str | None = None
        self.registered: dict[str, dict[tuple[str, str], None]] = {}
        self.stalled = False
        self.rows_dropped = 0
        self._exchange = exchange
        self._login_pending = False
        self._pings_unanswered = 0
        self._request_times: deque[float] = deque(maxlen=REQUESTS_PER_SECOND)
        self._unsent = bytearray()

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self.connection.state

    def pairs(self) -> dict[tuple[str, str], None]:
        """Every (type, item) it has registered, over all groups."""
        return {pair: None for pairs in self.registered.values() for pair in pairs}

    # What the driver does.

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes from the network. Never raises for what they hold."""
        if self.stalled:
            return
        self.connection.receive_data(data)
        for event in self.connection.events():
            if isinstance(event, RequestReceived):
                self._answer(event.request)
            elif isinstance(event, PingAnswered) and event.payload == b'{"trnm":"PING"}':
                self._pings_unanswered = 0
        self._settle()

    def receive_eof(self) -> None:
        """Take the end of the stream."""
        self.connection.receive_eof()
        self._settle()

    def next_timeout(self) -> float | None:
        """The exchange's deadline: time belongs to it."""
        return self._exchange.next_timeout()

    def handle_timeout(self) -> None:
        """Let the exchange do what is due."""
        self._exchange.handle_timeout()

    def data_to_send(self) -> bytes:
        """Return bytes to write to the network, and forget them; empty: nothing. Call it until it is."""
        if self.stalled:
            return b""
        if not self._exchange.faults.split and not self._unsent:
            return self.connection.data_to_send()
        self._unsent += self.connection.data_to_send()
        size = 1 if self._exchange.faults.split else len(self._unsent)
        data = bytes(self._unsent[:size])
        del self._unsent[:size]
        return data

    # Requests.

    def _answer(self, request: ServerRequest) -> None:
        connection = self.connection
        if request.trnm == "LOGIN" and connection.state is LOGGING_IN and not self._login_pending:
            self._login(request)
        elif connection.state is not READY:
            connection.reject(request, 100013, "로그인 인증이 들어오기 전에 다른 전문이 들어왔습니다")
        elif request.trnm not in ("REG", "REMOVE"):
            connection.reject(request, 105108, "존재하지 않는 서비스명(trnm)입니다")
        else:
            refusal = self._register(request)
            self._acknowledge(request, refusal)

    def _login(self, request: ServerRequest) -> None:
        key = self._exchange._key_of(request.members.get("token"))
        if key is not None:
            self._login_pending = True
            self._exchange._later(LOGIN_DELAY, lambda _: self._accept_login(request, key))
            return
        if request.members.get("token"):
            text = "접근토큰이 유효하지 않습니다[CODE=8005, MESSAGE=Token이 유효하지 않습니다]"
            self.connection.reject(request, 805004, text)
        else:
            self.connection.reject(request, 805002, "접근토큰이 없습니다")
        if not self._exchange.mock:
            self.connection.send_system("R10004", "로그인 인증에 실패하였습니다")
        self._close()

    def _accept_login(self, request: ServerRequest, key: str) -> None:
        if self.connection.state is not LOGGING_IN:
            return
        for other in tuple(self._exchange.peers):
            if other.key == key and other is not self:
                self._exchange.kick(other)
        self.key = key
        self.connection.accept(request, sor_yn="N" if self._exchange.mock else "Y")
        self._exchange._later(PING_INTERVAL, self._ping)

    def _register(self, request: ServerRequest) -> tuple[int, str] | None:
        """Carry out a REG or REMOVE; returns why not, or None."""
        now = self._exchange.now()
        times = self._request_times
        if len(times) == REQUESTS_PER_SECOND and now - times[0] < 1.0:
            return 105110, "요청 가능한 횟수를 초과하였습니다"
        times.append(now)
        group = request.members.get("grp_no")
        if not isinstance(group, str) or not group:
            return 100002, "필수 입력값(grp_no)이 없습니다"
        try:
            pairs = dict.fromkeys(request.registrations())
        except ValueError as error:
            return 105111, f"입력값의 형식이 올바르지 않습니다({error})"
        kept = {name: dict(held) for name, held in self.registered.items()}
        held = kept.setdefault(group, {})
        if request.trnm == "REMOVE":
            for pair in pairs:
                held.pop(pair, None)
        else:
            if request.members.get("refresh") == "0":
                held.clear()
            held.update(pairs)
        if _item_count(held) > ITEM_LIMIT:
            return 105118, f"그룹당 등록 가능한 종목수({ITEM_LIMIT})를 초과하였습니다"
        if _item_count({pair: None for pairs_ in kept.values() for pair in pairs_}) > ITEM_LIMIT:
            return 105115, f"등록 가능한 종목수({ITEM_LIMIT})를 초과하였습니다"
        self.registered = {name: pairs_ for name, pairs_ in kept.items() if pairs_}
        if self.registered:
            self._exchange._start_ticking()
        return None

    def _acknowledge(self, request: ServerRequest, refusal: tuple[int, str] | None) -> None:
        faults = self._exchange.faults
        if faults.lose_acks > 0:
            faults.lose_acks -= 1
            return

        def send(_: float) -> None:
            if refusal is None:
                self.connection.accept(request)
            else:
                self.connection.reject(request, *refusal)

        self._exchange._later(ACK_DELAY + faults.ack_delay, send)

    # Rows, heartbeat and end.

    def _send_rows(self, rows: list[Row]) -> None:
        if not rows:
            return
        if self.connection.unsent + len(self._unsent) > UNSENT_LIMIT:
            self.rows_dropped += len(rows)
            return
        self.connection.send_records(rows)
        self._exchange.rows_sent += len(rows)

    def _ping(self, _: float) -> None:
        if self.connection.state is not READY:
            return
        if self._pings_unanswered >= PINGS_MISSED:
            self._dismiss("R10002", "PING에 대한 응답이 없어 접속을 종료합니다")
            return
        self._pings_unanswered += 1
        self.connection.send_ping()
        self._exchange._later(PING_INTERVAL, self._ping)

    def _expect_login(self, _: float) -> None:
        if self.connection.state is LOGGING_IN and not self._login_pending:
            self._dismiss("R10004", "로그인 인증이 들어오지 않았습니다")

    def _dismiss(self, code: str, message: str) -> None:
        """Say why, then close."""
        if self.connection.state not in (CLOSING, CLOSED):
            self.connection.send_system(code, message)
            self._close()

    def _close(self) -> None:
        self.key = None
        self.registered = {}
        self.connection.close()

    def _settle(self) -> None:
        """Let go of a connection that is over."""
        if self.connection.state is CLOSED and self in self._exchange.peers:
            self._exchange.peers.remove(self)
            self.key = None
            self.registered = {}


def _item_count(pairs: Mapping[tuple[str, str], None]) -> int:
    return len({item for _, item in pairs if item})

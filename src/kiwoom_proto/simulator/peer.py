"""Peer: the simulated server's end of one client's connection, and what it answers.

What it answers, and why, is told in `exchange`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..conversation import CLOSED, CLOSING, LOGGING_IN, READY, ConnectionState
from ..messages import Row
from ..server import PingAnswered, RequestReceived, ServerConnection, ServerRequest
from .tokens import HttpCall

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ("Peer",)

LOGIN_DELAY = 0.020
ACK_DELAY = 0.010
LOGIN_GRACE = 10.0
PING_INTERVAL = 10.0
PINGS_MISSED = 5
REQUESTS_PER_SECOND = 5
ITEM_LIMIT = 200
UNSENT_LIMIT = 4 * 1024 * 1024
"""Bytes waiting for a client that does not read, above which it gets no rows."""
BACKLOG_LIMIT = 4 * UNSENT_LIMIT
"""Bytes waiting for it, replies and all, above which it is cut off."""
POST = b"POST "
"""How a connection begins that wants no WebSocket."""
CONDITION_REQUESTS = frozenset(f"{market}CNSR{what}" for market in ("", "G") for what in ("LST", "REQ", "CLR"))
TOO_FAST = (105110, "요청 가능한 횟수를 초과하였습니다")


class Peer:
    """The simulated server's end of one client's connection. Drive it like any end; see `Exchange`.

    What happens on one may make another have something to send (a login kicks the older session), and its time is the
    exchange's: drive all of `Exchange.peers` together.

    Attributes:
        connection: the protocol's end of it.
        key: the app key it logged in with, or None.
        registered: group -> (type, item) pairs, in the order they came.
        listed: on which paths ("02" domestic, "S2" US) it has asked for the list of conditions.
        live: (type, number) of the conditions that are pushed.
        stalled: whether it neither sends nor reads.
        rows_dropped: rows not sent because the client did not read.
    """

    def __init__(self, exchange: Exchange, connection: ServerConnection) -> None:
        self.connection = connection
        self.key: str | None = None
        self.registered: dict[str, dict[tuple[str, str], None]] = {}
        self.listed: set[str] = set()
        self.live: dict[tuple[str, str], None] = {}
        self.stalled = False
        self.rows_dropped = 0
        self._exchange = exchange
        self._login_pending = False
        self._pings_unanswered = 0
        self._request_times: deque[float] = deque(maxlen=REQUESTS_PER_SECOND)
        self._unsent = bytearray()
        self._unread = bytearray()
        self._opening: bytearray | None = bytearray()  # until what came first has told what the client wants
        self._http: HttpCall | None = None

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
            self._unread += data
            data = b""
        if self._opening is not None:
            data = self._tell_http(data)
        if self._http is None:
            self.connection.receive_data(data)
        else:
            self._call(self._http, data)
        for event in self.connection.events():
            if isinstance(event, RequestReceived):
                self._answer(event.request)
            elif isinstance(event, PingAnswered) and event.payload == b'{"trnm":"PING"}':
                self._pings_unanswered = 0
        if self._backlog() > BACKLOG_LIMIT:
            self.connection.abort()
        self._settle()

    def stall(self) -> None:
        """Stand still: read and send nothing, and let no deadline pass."""
        self.stalled = True

    def resume(self) -> None:
        """Go on, with what came meanwhile."""
        self.stalled = False
        data = bytes(self._unread)
        self._unread.clear()
        self.receive_data(data)

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
        source = self.connection if self._http is None else self._http
        if not self._exchange.faults.split and not self._unsent:
            return source.data_to_send()
        self._unsent += source.data_to_send()
        size = 1 if self._exchange.faults.split else len(self._unsent)
        data = bytes(self._unsent[:size])
        del self._unsent[:size]
        return data

    # Requests.

    def _tell_http(self, data: bytes | bytearray) -> bytes | bytearray:
        """Look at what came first. Returns what can be read on, now that it is known by whom."""
        assert self._opening is not None
        self._opening += data
        if len(self._opening) < len(POST) and POST.startswith(self._opening):
            return b""
        data, self._opening = self._opening, None
        if data.startswith(POST):
            self._http = HttpCall(self._exchange._answer_post)
        return data

    def _call(self, http: HttpCall, data: bytes | bytearray) -> None:
        """Let a call to the token server read on; its connection is over once it has its answer."""
        if self.connection.state is not CLOSED:
            http.receive_data(data)
            if http.finished:
                self.connection.abort()

    def _answer(self, request: ServerRequest) -> None:
        connection = self.connection
        if request.trnm == "LOGIN" and connection.state is LOGGING_IN and not self._login_pending:
            self._login(request)
        elif connection.state is not READY:
            connection.reject(request, 100013, "로그인 인증이 들어오기 전에 다른 전문이 들어왔습니다")
        elif request.trnm in CONDITION_REQUESTS:
            self._answer_search(request)
        elif request.trnm not in ("REG", "REMOVE"):
            connection.reject(request, 105108, "존재하지 않는 서비스명(trnm)입니다")
        else:
            refusal = self._register(request)
            self._acknowledge(lambda: self._confirm(request, refusal))

    def _answer_search(self, request: ServerRequest) -> None:
        if self._is_too_fast():
            self._acknowledge(lambda: self._confirm(request, TOO_FAST))
            return
        answer = self._exchange._conditions.answer(self, request)
        if answer is not None:
            self._acknowledge(answer)

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
        if self._is_too_fast():
            return TOO_FAST
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

    def _is_too_fast(self) -> bool:
        """Whether a request that comes now is one too many; else it counts."""
        now = self._exchange.now()
        times = self._request_times
        if len(times) == REQUESTS_PER_SECOND and now - times[0] < 1.0:
            return True
        times.append(now)
        return False

    def _confirm(self, request: ServerRequest, refusal: tuple[int, str] | None) -> None:
        if refusal is None:
            self.connection.accept(request)
        else:
            self.connection.reject(request, *refusal)

    def _acknowledge(self, send: Callable[[], None]) -> None:
        """Answer a little later, or not at all."""
        faults = self._exchange.faults
        if faults.lose_acks > 0:
            faults.lose_acks -= 1
            return

        def send_now(_: float) -> None:
            if self.connection.state is READY:
                send()

        self._exchange._later(ACK_DELAY + faults.ack_delay, send_now)

    # Rows, heartbeat and end.

    def _send_rows(self, rows: list[Row]) -> None:
        if not rows:
            return
        if self._backlog() > UNSENT_LIMIT:
            self.rows_dropped += len(rows)
            return
        self.connection.send_records(rows)
        self._exchange.rows_sent += len(rows)

    def _backlog(self) -> int:
        """Bytes that wait on this side for the client to read, or for a stall to end."""
        return self.connection.unsent + len(self._unsent) + len(self._unread)

    def _ping(self, _: float) -> None:
        if self.connection.state is not READY:
            return
        if self.stalled:
            self._exchange._later(PING_INTERVAL, self._ping)
            return
        if self._pings_unanswered >= PINGS_MISSED:
            self._dismiss("R10002", "PING에 대한 응답이 없어 접속을 종료합니다")
            return
        self._pings_unanswered += 1
        self.connection.send_ping()
        self._exchange._later(PING_INTERVAL, self._ping)

    def _expect_login(self, _: float) -> None:
        if self.stalled:
            self._exchange._later(LOGIN_GRACE, self._expect_login)
        elif self.connection.state is LOGGING_IN and not self._login_pending:
            self._dismiss("R10004", "로그인 인증이 들어오지 않았습니다")

    def _dismiss(self, code: str, message: str) -> None:
        """Say why, then close."""
        if self.connection.state not in (CLOSING, CLOSED):
            self.connection.send_system(code, message)
            self._close()

    def _close(self) -> None:
        self._forget()
        self.connection.close()

    def _forget(self) -> None:
        """Nothing is registered any more."""
        self._exchange._conditions.forget(self)
        self.key = None
        self.registered = {}

    def _settle(self) -> None:
        """Let go of a connection that is over."""
        if self.connection.state is CLOSED and self in self._exchange.peers:
            self._exchange.peers.remove(self)
            self._forget()


def _item_count(pairs: Mapping[tuple[str, str], None]) -> int:
    return len({item for _, item in pairs if item})

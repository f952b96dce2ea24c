"""ClientLink: the simulated server's end of one client's connection.

It answers the client's requests. `exchange` describes the answers and gives their sources.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import urlsplit

from ..connection.lifecycle import CLOSED, CLOSING, CONNECTING, LOGGING_IN, READY, ConnectionState
from ..connection.server import ClientOpened, PingAnswered, RequestReceived, ServerConnection, ServerRequest
from ..endpoint import PRODUCTION, US_PRODUCTION
from ..realtime.catalogue import ACCOUNT_TYPES, US_TYPES
from ..request import RequestKind
from ..wire.messages import Row
from .agenda import Agenda
from .bounds import (
    ACK_DELAY,
    BACKLOG_LIMIT,
    LOGIN_DELAY,
    MAX_FRAMES,
    MAX_PAIRS,
    MAX_TEXT,
    MAX_WAITING,
    PIECE,
    PINGS_MISSED,
    REQUESTS_PER_SECOND,
    SILENCE,
    UNSENT_LIMIT,
)
from .conditions import ConditionService
from .faults import Faults
from .market.market import TYPES_WITH_ROWS, has_rows
from .rest.http import HttpRequest
from .rest.link import HttpLink, Outcome
from .texts import (
    BAD_TOKEN,
    LOGIN_MISSING,
    NO_ECHO,
    NO_TOKEN,
    TAKEN_OVER,
    TOO_EARLY,
    UNKNOWN_TRNM,
    Notice,
    Refusal,
    missing,
    over_connection_quota,
    over_group_quota,
    too_fast,
    wrong_shape,
)

__all__ = ("PATH", "US_PATH", "ClientLink", "Owner")

PATH = urlsplit(PRODUCTION.url).path
US_PATH = urlsplit(US_PRODUCTION.url).path

POST = b"POST "
"""The first bytes of a connection that speaks HTTP: to the token server, and to REST."""
ECHO = b'{"trnm":"PING"}'


class Owner(Protocol):
    """The exchange as seen by its links.

    Attributes:
        mock: whether it behaves as mock trading does.
        item_limit: maximum items of a connection, and of a group.
        faults: the faults in effect.
        links: the links that have not ended.
        rows_sent: number of rows sent, over all links.
        agenda: scheduled actions, with the links that own them.
        conditions: answers condition searches.
        has_conditions: whether there are any.
    """

    mock: bool
    item_limit: int
    faults: Faults
    links: list[ClientLink]
    rows_sent: int
    agenda: Agenda
    conditions: ConditionService
    has_conditions: bool

    def now(self) -> float: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self) -> None: ...
    def guard(self, link: ClientLink) -> AbstractContextManager[None]: ...
    def key_of(self, token: object) -> str | None: ...
    def respond(self, request: HttpRequest) -> Outcome: ...
    def start_ticking(self) -> None: ...
    def kick(self, peer: ClientLink | None = None) -> None: ...


class ClientLink:
    """The simulated server's end of one client's connection. Drive it like any connection; see `Exchange`.

    An event on one link may give another link data to send (a login kicks the older session), and all links share the
    exchange's clock. Drive all of `Exchange.links` together.

    Attributes:
        connection: the server's protocol connection.
        key: the app key of the login, or None.
        us: whether the client connected on the path of the US market.
        registered: group -> (type, item) pairs, in the order of registration.
        listed: the paths ("02" domestic, "S2" US) on which the client has requested the list of conditions.
        live: (type, number) of the conditions with live updates.
        stalled: whether it neither sends nor reads.
        rows_dropped: number of rows not sent because the client did not read.
        is_cut: whether it was cut off. Then there is no data to send; close the socket at once.
    """

    def __init__(self, exchange: Owner, connection: ServerConnection, hosts: Collection[str] | None = None) -> None:
        self.connection = connection
        self.key: str | None = None
        self.us = False
        self.registered: dict[str, dict[tuple[str, str], None]] = {}
        self.listed: set[str] = set()
        self.live: dict[tuple[str, str], None] = {}
        self.stalled = False
        self.rows_dropped = 0
        self.is_cut = False
        self._exchange = exchange
        self._login_pending = False
        self._heard_at = exchange.now()
        self._pings_unanswered = 0
        self._request_times: deque[float] = deque(maxlen=REQUESTS_PER_SECOND)
        self._unsent = bytearray()
        self._unread = bytearray()
        self._opening: bytearray | None = bytearray()  # None once the first bytes tell WebSocket from POST
        self._http: HttpLink | None = None
        self._hosts = hosts
        self._served: dict[tuple[str, str], None] = {}
        self._served_of: object = None  # the `registered` they come from; it is replaced, never mutated
        self._second = self._heard_at  # start of the second in which frames are counted; frames received before it
        self._frames_before = 0
        self._pairs_named = 0  # in that second

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self.connection.state

    def pairs(self) -> dict[tuple[str, str], None]:
        """Return every registered (type, item) pair, over all groups."""
        return {pair: None for pairs in self.registered.values() for pair in pairs}

    def wanted(self) -> dict[tuple[str, str], None]:
        """Return the pairs that get rows: registered pairs that are served here, and pairs of live searches.

        Every registration is acknowledged [measured]. Pairs that are not served get no rows: types of the other
        market, and on mock trading, which serves KRX only [official], items of NXT and SOR. How mock trading answers
        those was never measured; acknowledging them like any invalid item is a choice.
        """
        if self._served_of is not self.registered:
            self._served, self._served_of = self._find_served(), self.registered
        return self._served | self.live if self.live else self._served

    def _find_served(self) -> dict[tuple[str, str], None]:
        served: dict[tuple[str, str], None] = {}
        for type, item in self.pairs():
            if type not in TYPES_WITH_ROWS:
                continue
            if type in ACCOUNT_TYPES:
                item = ""  # sent whatever item was registered [official]
            of_krx = not item.endswith(("_NX", "_AL"))
            if (type in US_TYPES) == self.us and (of_krx or not self._exchange.mock) and has_rows(type, item):
                served[type, item] = None
        return served

    # Called by the driver.

    def receive_data(self, data: bytes | bytearray) -> None:
        """Receive bytes from the network. Never raises for their contents."""
        with self._exchange.guard(self):
            self._receive(data)
        self.settle()

    def cut(self) -> None:
        """End the connection without a closing handshake and discard queued data."""
        self.is_cut = True
        self.connection.abort()
        self.settle()

    def stall(self) -> None:
        """Stop reading, sending and handling deadlines."""
        self.stalled = True

    def resume(self) -> None:
        """End a stall and read the data received meanwhile."""
        self.stalled = False
        data = bytes(self._unread)
        self._unread.clear()
        self.receive_data(b"")
        for at in range(0, len(data), PIECE):  # notice a flood of frames before reading all of it
            self.receive_data(data[at : at + PIECE])

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream. `error`, the reason of a failure, is ignored."""
        self.connection.receive_eof()
        self.settle()

    @property
    def deadline(self) -> float | None:
        """When to call `meet_deadline`, in seconds; None if nothing is due or the link is stalled."""
        if self.stalled:
            return None
        return self.connection.next_timeout() if self._http is None else self._http.deadline

    def meet_deadline(self) -> None:
        """Do what is due on this connection."""
        if not self.stalled:
            (self.connection if self._http is None else self._http).handle_timeout()

    def next_timeout(self) -> float | None:
        """Return the exchange's next deadline; links have no clock of their own."""
        return self._exchange.next_timeout()

    def handle_timeout(self) -> None:
        """Let the exchange do the work that is due."""
        self._exchange.handle_timeout()

    def data_to_send(self) -> bytes:
        """Return bytes to write to the network, and clear them. Call it until it returns b""."""
        if self.stalled or self.is_cut:
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

    def _receive(self, data: bytes | bytearray) -> None:
        now = self._exchange.now()
        if now - self._second >= 1.0:
            self._second, self._frames_before = now, self.connection.frames_received
            self._pairs_named = 0
        if self.stalled:
            self._unread += data
            data = b""
        elif data:
            self._heard_at = now
        if self._opening is not None:
            data = self._tell_http(data)
        if self._http is None:
            self.connection.receive_data(data)
        elif self.connection.state is not CLOSED:
            self._http.receive_data(data)
        for event in self.connection.events():
            if isinstance(event, RequestReceived):
                self._answer(event.request)
            elif isinstance(event, PingAnswered):
                if event.payload == ECHO or not self._exchange.faults.exact_echo:
                    self._pings_unanswered = 0
            elif isinstance(event, ClientOpened):
                self.us = event.path.startswith(US_PATH)
        if self._backlog() > BACKLOG_LIMIT or self._is_flooding():
            self.cut()

    def _is_flooding(self) -> bool:
        """Return whether more than MAX_FRAMES frames arrived within the current second."""
        return self.connection.frames_received - self._frames_before > MAX_FRAMES

    def _tell_http(self, data: bytes | bytearray) -> bytes | bytearray:
        """Tell a POST from a WebSocket handshake by the first bytes. Returns the data to read once that is known."""
        assert self._opening is not None
        self._opening += data
        if len(self._opening) < len(POST) and POST.startswith(self._opening):
            return b""
        data, self._opening = self._opening, None
        if data.startswith(POST):
            exchange = self._exchange
            self._http = HttpLink(
                exchange.respond, self._hosts, now=exchange.now, later=self._later, end=self.connection.abort
            )
        return data

    def _answer(self, request: ServerRequest) -> None:
        connection = self.connection
        if not request.trnm:
            connection.refuse(request, *missing("trnm"))
        elif request.trnm == "LOGIN" and connection.state is LOGGING_IN and not self._login_pending:
            self._login(request)
        elif connection.state is not READY:
            connection.refuse(request, *TOO_EARLY)
        elif request.kind is None:
            connection.refuse(request, *UNKNOWN_TRNM)
        elif request.kind.is_condition:
            if self._exchange.has_conditions and request.trnm.startswith("G") == self.us:
                self._answer_search(request)
            else:  # for a search on the other market's path this is a guess
                connection.refuse(request, *UNKNOWN_TRNM)
        else:
            refusal = self._register(request)
            self._acknowledge(lambda: self._confirm(request, refusal))
        request.members.clear()  # an unanswered request keeps only its name in memory

    def _answer_search(self, request: ServerRequest) -> None:
        if self._is_too_fast():
            self._acknowledge(lambda: self._confirm(request, too_fast(request.trnm)))
            return
        faults = self._exchange.faults
        answer = None if faults.mute_conditions else self._exchange.conditions.answer(self, request)
        if answer is not None:
            self._acknowledge(answer, faults.condition_delay)

    def _login(self, request: ServerRequest) -> None:
        key = self._exchange.key_of(request.members.get("token"))
        if key is not None:
            self._login_pending = True
            self._later(LOGIN_DELAY, lambda _: self._accept_login(request, key))
            return
        self.connection.refuse(request, *(BAD_TOKEN if request.members.get("token") else NO_TOKEN))
        if not self._exchange.mock:  # [measured on both]
            self.connection.send_system(*LOGIN_MISSING)
        self.close()

    def _accept_login(self, request: ServerRequest, key: str) -> None:
        if self.connection.state is not LOGGING_IN:
            return
        for other in tuple(self._exchange.links):
            if other.key == key and other is not self:
                self._exchange.kick(other)
        self.key = key
        self.connection.accept(request, sor_yn="Y")  # on mock trading too, which has no SOR [measured on both]

    def _register(self, request: ServerRequest) -> Refusal | None:
        """Carry out a REG or REMOVE. Returns the refusal, or None."""
        if self._is_too_fast():
            return too_fast(request.trnm)
        group = request.members.get("grp_no")
        if not isinstance(group, str) or not group:
            return missing("grp_no")
        try:
            elements = request.elements()
        except ValueError as error:
            return wrong_shape(str(error))
        texts = [group, *(text for element in elements for texts in element for text in texts)]
        if any(len(text) > MAX_TEXT for text in texts):
            return wrong_shape(f"a text has more than {MAX_TEXT} characters")
        limit = self._exchange.item_limit
        is_new = request.kind is RequestKind.REGISTER
        # A small message can name very many pairs, so count them before expanding them.
        if is_new and len({item for items, _ in elements for item in items if item}) > limit:
            return over_group_quota(limit)
        count = sum(len(items) * len(types) for items, types in elements)
        if count > MAX_PAIRS:
            return wrong_shape(f"more than {MAX_PAIRS} pairs of item and type")
        self._pairs_named += count
        if self._pairs_named > MAX_PAIRS:  # five such requests per second would take all the CPU time
            return too_fast(request.trnm)
        pairs = dict.fromkeys((type, item) for items, types in elements for item in items for type in types)
        held = self.registered.get(group, {})
        if not is_new:
            held = {pair: None for pair in held if pair not in pairs}
        elif held and request.members.get("refresh") != "0":
            held = held | pairs
        else:
            held = pairs
        registered = self.registered | {group: held}
        if _item_count(held) > limit:
            return over_group_quota(limit)
        if _item_count(*registered.values()) > limit or sum(map(len, registered.values())) > MAX_PAIRS:
            return over_connection_quota(limit)
        if not held:
            del registered[group]
        self.registered = registered
        if self.registered:
            self._exchange.start_ticking()
        return None

    def _is_too_fast(self) -> bool:
        """Return whether a request now exceeds the rate limit. If not, count it."""
        now = self._exchange.now()
        times = self._request_times
        if len(times) == REQUESTS_PER_SECOND and now - times[0] < 1.0:
            return True
        times.append(now)
        return False

    def _confirm(self, request: ServerRequest, refusal: Refusal | None) -> None:
        if refusal is None:
            self.connection.accept(request)
        else:
            self.connection.refuse(request, *refusal)

    def _acknowledge(self, send: Callable[[], None], late: float = 0.0) -> None:
        """Schedule an answer, `late` seconds later than usual. A fault may lose it."""
        faults = self._exchange.faults
        if faults.lose_acks > 0:
            faults.lose_acks -= 1
            return

        def send_now(_: float) -> None:
            if self.connection.state is READY:
                send()

        if self._exchange.agenda.waiting(self) >= MAX_WAITING:
            self.cut()
        else:
            self._later(ACK_DELAY + faults.ack_delay + late, send_now)

    def _later(self, delay: float, action: Callable[[float], None]) -> None:
        """Schedule an action, to be skipped if the connection ends first."""
        self._exchange.agenda.add(self._exchange.now() + delay, action, self)

    # Rows, heartbeat and closing.

    def send_rows(self, rows: list[Row]) -> None:
        if rows and self._has_room(len(rows)):
            self.connection.send_records(rows)

    def send_recorded(self, payload: bytes, rows: int) -> None:
        """Send a message of this many rows as it is."""
        if rows and self._has_room(rows):
            self.connection.send_text(payload)

    def _has_room(self, rows: int) -> bool:
        """Return whether so many rows are sent, and count them."""
        if self._backlog() > UNSENT_LIMIT:
            self.rows_dropped += rows
            return False
        self._exchange.rows_sent += rows
        return True

    def _backlog(self) -> int:
        """Return the number of bytes queued until the client reads or a stall ends."""
        unsent = self.connection.unsent if self._http is None else self._http.unsent
        return unsent + len(self._unsent) + len(self._unread)

    def watch(self, _: float) -> None:
        """Check whether the client has been silent for too long, and schedule the next check.

        Any data is a sign of life, RFC 6455 pings included [measured]; here every byte counts, not every message. A
        client that sends more often than every 10 s never gets a PING. Only an echo answers a PING.
        """
        if self.connection.state in (CLOSING, CLOSED):
            return
        now, due = self._exchange.now(), self._heard_at + SILENCE
        if now >= due:
            due = now + SILENCE
            if not self.stalled and not self._take_silence():
                return
        self._exchange.agenda.add(due, self.watch, self)

    def _take_silence(self) -> bool:
        """Handle a silent client. Returns whether the connection stays open."""
        state = self.connection.state
        if state is CONNECTING or (self._login_pending and state is LOGGING_IN):
            return True  # the opening handshake has its own deadline
        if state is LOGGING_IN:
            self._dismiss(LOGIN_MISSING)
            return False
        if self._pings_unanswered >= PINGS_MISSED:
            self._dismiss(NO_ECHO)
            return False
        self._pings_unanswered += 1
        self.connection.send_ping()
        return True

    def _dismiss(self, notice: Notice) -> None:
        """Send the reason as a SYSTEM message, then close."""
        if self.connection.state not in (CLOSING, CLOSED):
            self.connection.send_system(*notice)
            self.close()

    def kick(self) -> None:
        self._dismiss(TAKEN_OVER)

    def close(self) -> None:
        self._forget()
        self.connection.close()

    def _forget(self) -> None:
        """Drop the login and all registrations."""
        self._exchange.conditions.forget(self)
        self.key = None
        self.registered = {}

    def settle(self) -> None:
        """Remove the link from the exchange if its connection has ended."""
        if self.connection.state is CLOSED and self in self._exchange.links:
            self._exchange.links.remove(self)
            self._exchange.agenda.forget(self)
            self._forget()


def _item_count(*groups: Mapping[tuple[str, str], None]) -> int:
    return len({item for pairs in groups for _, item in pairs if item})

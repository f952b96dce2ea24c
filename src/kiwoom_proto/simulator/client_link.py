"""ClientLink: the simulated server's end of one client's connection, and what it answers.

What it answers, and why, is told in `exchange`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Protocol
from urllib.parse import urlsplit

from ..connection.lifecycle import CLOSED, CLOSING, CONNECTING, LOGGING_IN, READY, ConnectionState
from ..connection.server import (
    ClientOpened,
    PingAnswered,
    RequestReceived,
    ServerConnection,
    ServerRequest,
)
from ..endpoint import PRODUCTION, US_PRODUCTION
from ..realtime.catalogue import ACCOUNT_TYPES, US_TYPES
from ..request import RequestKind
from ..wire.messages import Row
from .agenda import Agenda
from .callers import refusal_of
from .conditions import ConditionService
from .faults import Faults
from .market.market import TYPES_WITH_ROWS, has_rows
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
from .tokens import HttpAnswer, HttpCall

__all__ = ("PATH", "SILENCE", "US_PATH", "ClientLink", "Owner")

PATH = urlsplit(PRODUCTION.url).path
US_PATH = urlsplit(US_PRODUCTION.url).path

LOGIN_DELAY = 0.020
ACK_DELAY = 0.010
SILENCE = 10.0
"""Seconds without a byte from the client, after which it is sent a PING, or closed where it has not logged in."""
PINGS_MISSED = 5
REQUESTS_PER_SECOND = 5
UNSENT_LIMIT = 4 * 1024 * 1024
"""Bytes waiting for a client that does not read, above which it gets no rows."""
BACKLOG_LIMIT = 4 * UNSENT_LIMIT
"""Bytes waiting for it, replies and all, above which it is cut off."""
PIECE = 16_384
"""Bytes that are read at once of what came during a stall."""
MAX_WAITING = 1_000
"""Requests waiting for their answers, above which a client is cut off. Answers come 10 ms later, unless a fault delays
them; five requests a second are carried out."""
MAX_FRAMES = 1_000
"""WebSocket frames in a second, above which a client is cut off: a small one costs more to read than its bytes do."""
MAX_TEXT = 100
"""Characters of a group, an item or a type: the longest that the official page has, of an item. What the live server
makes of longer ones is not known; here they are wrong_shape."""
MAX_PAIRS = 10_000
"""(type, item) pairs that a connection may have registered, over all groups, and may name in a second. Types are free,
so 200 items for 25 types are 5,000; that there is a limit is chosen."""
POST = b"POST "
"""How a connection begins that wants no WebSocket."""
ECHO = b'{"trnm":"PING"}'


class Owner(Protocol):
    """What a link needs of the exchange that it belongs to.

    Attributes:
        mock: whether it behaves as mock trading does.
        item_limit: maximum items of a connection, and of a group.
        faults: what goes wrong at present.
        links: the links that have not ended.
        rows_sent: rows sent, over all links.
        agenda: what is to be done later, and for which link.
        conditions: answers condition searches.
    """

    mock: bool
    item_limit: int
    faults: Faults
    links: list[ClientLink]
    rows_sent: int
    agenda: Agenda
    conditions: ConditionService

    def now(self) -> float: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self) -> None: ...
    def guard(self, link: ClientLink) -> AbstractContextManager[None]: ...
    def key_of(self, token: object) -> str | None: ...
    def answer_post(self, path: str, body: bytes) -> HttpAnswer: ...
    def start_ticking(self) -> None: ...
    def kick(self, peer: ClientLink | None = None) -> None: ...


class ClientLink:
    """The simulated server's end of one client's connection. Drive it like any end; see `Exchange`.

    What happens on one may make another have something to send (a login kicks the older session), and its time is the
    exchange's: drive all of `Exchange.links` together.

    Attributes:
        connection: the protocol's end of it.
        key: the app key it logged in with, or None.
        us: whether it came by the path of the US market.
        registered: group -> (type, item) pairs, in the order they came.
        listed: on which paths ("02" domestic, "S2" US) it has asked for the list of conditions.
        live: (type, number) of the conditions that are pushed.
        stalled: whether it neither sends nor reads.
        rows_dropped: rows not sent because the client did not read.
        is_cut: whether it was cut off: there is nothing to write any more, and the socket is to be closed at once.
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
        self._opening: bytearray | None = bytearray()  # until what came first has told what the client wants
        self._http: HttpCall | None = None
        self._hosts = hosts
        self._served: dict[tuple[str, str], None] = {}
        self._served_of: object = None  # the registrations that these were found for; they are replaced, never changed
        self._second = self._heard_at  # in which frames are counted, and how many had come when it began
        self._frames_before = 0
        self._pairs_named = 0  # in that second

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self.connection.state

    def pairs(self) -> dict[tuple[str, str], None]:
        """Every (type, item) it has registered, over all groups."""
        return {pair: None for pairs in self.registered.values() for pair in pairs}

    def wanted(self) -> dict[tuple[str, str], None]:
        """What rows it gets: what it has registered and is served here, and what its searches push.

        Everything is acknowledged [measured], and of what is not served no row comes: types of the other market; on
        mock trading, which is for KRX alone [official], items of NXT and SOR. How mock trading answers those was never
        measured: that it acknowledges them as it does all nonsense is a choice.
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
                item = ""  # they come whatever item was registered [official]
            of_krx = not item.endswith(("_NX", "_AL"))
            if (type in US_TYPES) == self.us and (of_krx or not self._exchange.mock) and has_rows(type, item):
                served[type, item] = None
        return served

    # What the driver does.

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes from the network. Never raises for what they hold."""
        with self._exchange.guard(self):
            self._receive(data)
        self.settle()

    def cut(self) -> None:
        """End the connection without a word, whatever waits on it."""
        self.is_cut = True
        self.connection.abort()
        self.settle()

    def stall(self) -> None:
        """Stand still: read and send nothing, and let no deadline pass."""
        self.stalled = True

    def resume(self) -> None:
        """Go on, with what came meanwhile."""
        self.stalled = False
        data = bytes(self._unread)
        self._unread.clear()
        self.receive_data(b"")
        for at in range(0, len(data), PIECE):  # so that a flood of frames is noticed before all of it is read
            self.receive_data(data[at : at + PIECE])

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream. The reason of a failure makes no difference."""
        self.connection.receive_eof()
        self.settle()

    def next_timeout(self) -> float | None:
        """The exchange's deadline: time belongs to it."""
        return self._exchange.next_timeout()

    def handle_timeout(self) -> None:
        """Let the exchange do what is due."""
        self._exchange.handle_timeout()

    def data_to_send(self) -> bytes:
        """Return bytes to write to the network, and forget them; empty: nothing. Call it until it is."""
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
        else:
            self._call(self._http, data)
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
        """Whether more frames have come within a second than any program has a reason to send."""
        return self.connection.frames_received - self._frames_before > MAX_FRAMES

    def _tell_http(self, data: bytes | bytearray) -> bytes | bytearray:
        """Look at what came first. Returns what can be read on, now that it is known by whom."""
        assert self._opening is not None
        self._opening += data
        if len(self._opening) < len(POST) and POST.startswith(self._opening):
            return b""
        data, self._opening = self._opening, None
        if data.startswith(POST):
            self._http = HttpCall(self._exchange.answer_post, lambda headers: refusal_of(headers, self._hosts))
        return data

    def _call(self, http: HttpCall, data: bytes | bytearray) -> None:
        """Let a call to the token server read on; its connection is over once it has its answer."""
        if self.connection.state is not CLOSED:
            http.receive_data(data)
            if http.finished:
                self.connection.abort()

    def _answer(self, request: ServerRequest) -> None:
        connection = self.connection
        if not request.trnm:
            connection.refuse(request, *missing("trnm"))
        elif request.trnm == "LOGIN" and connection.state is LOGGING_IN and not self._login_pending:
            self._login(request)
        elif connection.state is not READY:
            connection.refuse(request, *TOO_EARLY)
        elif request.kind is not None and request.kind.is_condition and request.trnm.startswith("G") == self.us:
            self._answer_search(request)
        elif (
            request.kind is None or request.kind.is_condition
        ):  # that a search on the other market's path is one is a guess
            connection.refuse(request, *UNKNOWN_TRNM)
        else:
            refusal = self._register(request)
            self._acknowledge(lambda: self._confirm(request, refusal))
        request.members.clear()  # what waits for its answer is no more than a name

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
        if not self._exchange.mock:  # measured of both
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
        """Carry out a REG or REMOVE; returns why not, or None."""
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
        # What a message names can be much more than its bytes, so it is counted before it is written out.
        if is_new and len({item for items, _ in elements for item in items if item}) > limit:
            return over_group_quota(limit)
        count = sum(len(items) * len(types) for items, types in elements)
        if count > MAX_PAIRS:
            return wrong_shape(f"more than {MAX_PAIRS} pairs of item and type")
        self._pairs_named += count
        if self._pairs_named > MAX_PAIRS:  # each takes its time, and five such requests a second would take all of it
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
        """Whether a request that comes now is one too many; else it counts."""
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
        """Answer a little later, `late` seconds more, or not at all."""
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
        """Do something later, unless the connection is over by then."""
        self._exchange.agenda.add(self._exchange.now() + delay, action, self)

    # Rows, heartbeat and end.

    def send_rows(self, rows: list[Row]) -> None:
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

    def watch(self, _: float) -> None:
        """See whether the client has been silent for too long, and look again when it may be.

        Anything is a sign of life, an RFC 6455 ping too [measured]; here each byte is, and not each message. So a
        client that says something more often is never sent a PING. An answer to one is an echo and nothing else.
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
        """The client has said nothing for a while; returns whether it may stay."""
        state = self.connection.state
        if state is CONNECTING or (self._login_pending and state is LOGGING_IN):
            return True  # the opening handshake has a deadline of its own
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
        """Say why, then close."""
        if self.connection.state not in (CLOSING, CLOSED):
            self.connection.send_system(*notice)
            self.close()

    def kick(self) -> None:
        self._dismiss(TAKEN_OVER)

    def close(self) -> None:
        self._forget()
        self.connection.close()

    def _forget(self) -> None:
        """Nothing is registered any more."""
        self._exchange.conditions.forget(self)
        self.key = None
        self.registered = {}

    def settle(self) -> None:
        """Let go of a connection that is over."""
        if self.connection.state is CLOSED and self in self._exchange.links:
            self._exchange.links.remove(self)
            self._exchange.agenda.forget(self)
            self._forget()


def _item_count(*groups: Mapping[tuple[str, str], None]) -> int:
    return len({item for pairs in groups for _, item in pairs if item})

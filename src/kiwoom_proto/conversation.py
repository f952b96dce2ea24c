"""Conversation: what a client and Kiwoom say to each other over one WebSocket.

THEORY OF OPERATION

Three inputs drive it and nothing else: calls, what is received, and one deadline. It owns no socket, task or clock.

    CONNECTING --opened--> LOGGING_IN --logged in--> READY
         \\                      |                      |
          \\                     +----close started-----+
           \\                    v
            +----ended--->    CLOSED  <---ended---  CLOSING

* The lifecycle is the table `TRANSITIONS`; nothing else changes the state.
* Each state has one deadline, `PHASE`: expiry of any of them ends the connection.
* Which reply is legal when is the table `LEGAL`. A reply out of place before the LOGIN reply is reported and otherwise
  ignored: the server answers messages that came too early before it answers the LOGIN.
* LOGIN goes out as soon as the WebSocket is open, PING is answered as soon as it is read: before any consumer of
  events can be slow.
* Requests wait in `requests.RequestQueue` until READY; it paces them and credits the replies.
* The end is one `Closed` event, the last one, which says why.

What is received comes in through one of its two subclasses in connection.py: `ClientConnection` has a WebSocket of its
own and takes bytes, `MessageConnection` sits on somebody else's and takes whole messages.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from typing import assert_never

from msgspec import UNSET, structs

from .conditions import read_conditions, read_rows, read_symbols
from .config import ClientConfig
from .decoder import REPLIES, Message, MessageDecoder
from .endpoint import Endpoint
from .errors import (
    ClosedByPeer,
    DeadlineExceeded,
    KiwoomError,
    LocalProtocolError,
    LoginRefused,
    RemoteProtocolError,
    explain_code,
)
from .events import (
    Closed,
    ConditionList,
    ConditionResult,
    Event,
    LoggedIn,
    LoginRejected,
    Opened,
    RequestAccepted,
    RequestRejected,
    SystemNotice,
    UnknownMessage,
)
from .headers import RequestHeader, ResponseHeader
from .messages import (
    ConditionRequest,
    Element,
    Login,
    Ping,
    Reg,
    Remove,
    Reply,
    UsItem,
    check,
    check_condition,
    check_token,
    encode,
)
from .realtime import type_code_of
from .record import Record
from .requests import Request, RequestQueue
from .symbol import Symbol
from .websocket import check_close

__all__ = ("ConnectionState", "Conversation")

ACCOUNT_AND_MARKET_TYPES = frozenset({"00", "04", "0s", "1h", "F4", "F5"})
"""Types that may be registered without an item."""


class ConnectionState(enum.Enum):
    """Where a connection stands in its life."""

    CONNECTING = "connecting"
    """Until the WebSocket is open."""
    LOGGING_IN = "logging in"
    """LOGIN was sent and not answered yet."""
    READY = "ready"
    """Logged in."""
    CLOSING = "closing"
    """The closing handshake has begun."""
    CLOSED = "closed"
    """Over."""


CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED = ConnectionState


class Trigger(enum.Enum):
    """What moves a connection from one state to the next."""

    OPENED = "opened"
    LOGGED_IN = "logged in"
    CLOSE_STARTED = "close started"
    ENDED = "ended"


TRANSITIONS: dict[ConnectionState, dict[Trigger, ConnectionState]] = {
    CONNECTING: {Trigger.OPENED: LOGGING_IN, Trigger.ENDED: CLOSED},
    LOGGING_IN: {Trigger.LOGGED_IN: READY, Trigger.CLOSE_STARTED: CLOSING, Trigger.ENDED: CLOSED},
    READY: {Trigger.CLOSE_STARTED: CLOSING, Trigger.ENDED: CLOSED},
    CLOSING: {Trigger.ENDED: CLOSED},
    CLOSED: {},
}

PHASE = {CONNECTING: "open", LOGGING_IN: "login", READY: "idle", CLOSING: "close"}
"""The deadline that runs in each state: `ClientConfig.<phase>_timeout`."""

LEGAL = {"LOGIN": {LOGGING_IN}} | {trnm: {READY, CLOSING} for trnm in sorted(REPLIES - {"LOGIN"})}
"""In which states a reply is expected."""

ALREADY_REGISTERED = "900003"

_REASON = re.compile(r"CODE\s*=\s*(\w+)")


class Conversation:
    """One login to Kiwoom over one WebSocket. The base of `ClientConnection` and `MessageConnection`.

    Arguments:
        endpoint: where it connects to; items it does not serve are refused here.
        config: deadlines and limits.
        clock: gives seconds, never going back; read once per entry.
    """

    def __init__(self, endpoint: Endpoint, config: ClientConfig | None = None, *, clock: Callable[[], float]) -> None:
        if not isinstance(endpoint, Endpoint):
            raise LocalProtocolError(f"endpoint: must be an Endpoint, such as PRODUCTION, not {_kind_of(endpoint)}")
        if config is not None and not isinstance(config, ClientConfig):
            raise LocalProtocolError(f"config: must be a ClientConfig, not {_kind_of(config)}")
        self.endpoint = endpoint
        self.config = ClientConfig() if config is None else config
        self.header: ResponseHeader | None = None
        """The documented header elements of the server's answer, once the WebSocket is open."""
        self._clock = clock
        self._state = CONNECTING
        self._token: str | None = None
        self._connect_called = False
        self._deadline: float | None = None
        self._requests = RequestQueue(self.config.request_interval, self.config.ack_timeout)
        decoder = MessageDecoder()
        self._decode_rows = decoder.decode_rows
        self._decode = decoder.decode
        self._events: list[Event] = []
        self._error: KiwoomError | None = None
        self._close_asked = False
        self._conditions_listed = False
        self._close_answered = False
        self._system: SystemNotice | None = None

    # What the caller asks for.

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._state

    def connect(self, token: str, header: RequestHeader | None = None) -> None:
        """Start: the deadline for opening runs from here. LOGIN with `token` follows by itself.

        Arguments:
            token: the access token, without "Bearer".
            header: header elements for the opening handshake; None sends none, which the server does not mind.

        Raises:
            LocalProtocolError: the token cannot be one, or `connect` was called before.
        """
        check_token(token)
        if self._connect_called or self._state is CLOSED:
            raise LocalProtocolError("connect: the connection was used before; it is for single use")
        if header is not None:
            if not isinstance(header, RequestHeader):
                raise LocalProtocolError(f"header: must be a RequestHeader, not {_kind_of(header)}")
            header.http_headers(token)
        self._connect_called = True
        self._token = token
        self._start_phase(self._clock())

    def subscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", replace: bool = False
    ) -> Request:
        """Register items for one real-time type (REG). It waits here until the login is done.

        Arguments:
            type: a class of the catalogue, or a type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: drop earlier registrations (refresh "0"), of the group or of the whole connection: which of
                the two was never measured.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent.
        """
        elements = self._elements(type, items)
        first = "0" if replace else "1"
        return self._add(
            tuple(Reg(group, first if index == 0 else "1", (element,)) for index, element in enumerate(elements))
        )

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Remove registrations (REMOVE). Arguments and errors as for `subscribe`."""
        return self._add(tuple(Remove(group, (element,)) for element in self._elements(type, items)))

    def request(self, message: Reg | Remove) -> Request:
        """Send a REG or REMOVE of your own making, with as many `data` elements as you like.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent.
        """
        return self._add((message,))

    def list_conditions(self) -> Request:
        """Ask for the saved conditions (조건검색 목록조회, CNSRLST). `ConditionList` answers it."""
        self._conditions_listed = True
        return self._add((ConditionRequest(self._condition_trnm("LST")),))

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Ask which stocks meet a condition (조건검색 요청, CNSRREQ). `ConditionResult` answers it.

        The list is asked for first where this connection has not done so yet: without, the server keeps silent. A
        condition that is registered already (900003) is cleared and asked for again, once.

        Arguments:
            seq: the condition's number, from its list.
            realtime: go on telling which stocks enter and leave, as rows of type 02 (US: S2), until it is cleared.
            next_key: `ConditionResult.next_key`, for the next page of a search that asks once.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent.
        """
        check_condition(seq, next_key)
        if realtime and next_key:
            raise LocalProtocolError("next_key: a live search has no pages")
        search = ConditionRequest(
            self._condition_trnm("REQ"),
            seq=seq.strip(),
            search_type="1" if realtime else "0",
            stex_tp=UNSET if self.endpoint.us else "K",
            cont_yn=UNSET if realtime else "Y" if next_key else "N",
            next_key=UNSET if realtime else next_key,
        )
        if self._conditions_listed:
            return self._add((search,))
        self._conditions_listed = True
        return self._add((ConditionRequest(self._condition_trnm("LST")), search))

    def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제, CNSRCLR).

        Raises:
            LocalProtocolError: the number cannot be one; nothing is sent.
        """
        check_condition(seq, "")
        return self._add((ConditionRequest(self._condition_trnm("CLR"), seq=seq.strip()),))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close. Rows that arrive until the server has answered are still reported.

        Raises:
            LocalProtocolError: code or reason cannot be sent in a close frame.
        """
        check_close(code, reason)
        if self._state in (CLOSING, CLOSED):
            return
        self._close_asked = True
        if self._state is CONNECTING:
            self._end()
        else:
            self._start_closing(code, reason, self._clock())

    # What the driver does.

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called, in seconds on the clock; None: not before something else happens.

        Ask again after every other call: it may move either way.
        """
        times = [] if self._deadline is None else [self._deadline]
        if self._state is READY:
            timeout = self._requests.next_timeout()
            if timeout is not None:
                times.append(timeout)
        return min(times, default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless when nothing is."""
        now = self._clock()
        if self._deadline is not None and now >= self._deadline:
            self._expire(PHASE[self._state])
        elif self._state is READY and self._requests.is_overdue(now):
            self._expire("ack")
        else:
            self._send_requests(now)

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order, and forget it."""
        events, self._events = self._events, []
        return events

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint}, {self._state.value}>"

    # Requests.

    def _elements(self, type: str | type[Record], items: tuple[str | Symbol, ...]) -> list[Element]:
        code = type if isinstance(type, str) else _type_code(type)
        texts = []
        for item in items:
            if not isinstance(item, str | Symbol):
                raise LocalProtocolError(
                    f"items: must be texts or Symbols, not {item.__class__.__name__}; pass a list as *items"
                )
            texts.append(str(item))
        if not texts:
            if code not in ACCOUNT_AND_MARKET_TYPES:
                raise LocalProtocolError(f"items: type {code} needs at least one")
            texts = [""]
        size = self.config.items_per_request
        return [Element(tuple(texts[at : at + size]), (code,)) for at in range(0, len(texts), size)]

    def _condition_trnm(self, what: str) -> str:
        return f"GCNSR{what}" if self.endpoint.us else f"CNSR{what}"

    def _add(self, messages: tuple[Reg | Remove | ConditionRequest, ...]) -> Request:
        if self._state in (CLOSING, CLOSED):
            raise LocalProtocolError(f"the connection is {self._state.value}")
        request = Request(tuple(self._checked(message) for message in messages))
        self._requests.add(request)
        if self._state is READY:
            self._send_requests(self._clock())
        return request

    def _checked(self, message: Reg | Remove | ConditionRequest) -> Reg | Remove | ConditionRequest:
        """Refuse a message that may not be sent; return it as this endpoint wants it written."""
        if isinstance(message, ConditionRequest):
            return message
        check(message)
        for element in message.data:
            for item in element.item:
                self.endpoint.check_item(str(item))
        # A copy, because what was given as lists could change before it is sent.
        item_of = _us_item if self.endpoint.us else str
        data = tuple(Element(tuple(map(item_of, element.item)), tuple(element.type)) for element in message.data)
        return structs.replace(message, data=data)

    def _send_requests(self, now: float) -> None:
        if self._state is READY:
            while (message := self._requests.take(now)) is not None:
                self._send(message)

    def _send(self, payload: bytes) -> None:
        """Send one message, where it still can be sent."""
        raise NotImplementedError

    # Messages.

    def _take(self, payloads: Iterable[bytes], received_at: int, now: float) -> None:
        """Take whole messages. The hot path is the two lines at the top."""
        for payload in payloads:
            records = self._decode_rows(payload, received_at)
            if records is not None:
                self._events += records
                continue
            for message in self._decode(payload, received_at):
                self._take_message(message, payload, received_at, now)
        if self._state is READY:
            self._deadline = now + self.config.idle_timeout

    def _take_message(self, message: Message, payload: bytes, received_at: int, now: float) -> None:
        match message:
            case Record() | UnknownMessage():
                self._events.append(message)
            case Ping():
                if self._state in (LOGGING_IN, READY):
                    self._send(message.payload)  # the very bytes: some clients were cut off for re-serialising them
            case SystemNotice():
                self._system = message
                self._events.append(message)
            case Reply():
                if self._state not in LEGAL.get(message.trnm, ()):
                    self._events.append(_unexpected(message, payload))
                elif message.trnm == "LOGIN":
                    self._take_login(message, now)
                else:
                    self._take_reply(message, payload, received_at, now)
            case _:
                assert_never(message)

    def _take_login(self, reply: Reply, now: float) -> None:
        if reply.ok:
            self._move(Trigger.LOGGED_IN)
            self._start_phase(now)
            self._events.append(LoggedIn(reply.members))
            return
        found = _REASON.search(reply.message)
        reason = found[1] if found else None
        self._events.append(LoginRejected(reply.code, reply.message, reason))
        self._error = LoginRefused(reply.code, reply.message, reason)
        self._start_closing(1000, "", now)

    def _take_reply(self, reply: Reply, payload: bytes, received_at: int, now: float) -> None:
        request = self._requests.reply(reply.trnm, reply.ok)
        if request is None:
            if reply.trnm not in ("REG", "REMOVE"):
                self._events.append(_unexpected(reply, payload))
            elif self._state is READY:
                self._fail(RemoteProtocolError(f"a {reply.trnm} reply that nobody had asked for"), 1002, now)
        elif not reply.ok:
            self._take_refusal(request, reply)
        elif self._requests.is_finished(request):
            if request.trnm.endswith("CNSRLST"):
                self._events.append(ConditionList(request, read_conditions(reply.members.get("data"))))
            elif request.trnm.endswith("CNSRREQ"):
                self._events.append(_condition_result(request, reply, received_at))
            self._events.append(RequestAccepted(request))

    def _take_refusal(self, request: Request, reply: Reply) -> None:
        if reply.code == ALREADY_REGISTERED and request.trnm.endswith("CNSRREQ") and not request.asked_again:
            # It outlives a reconnect for a while, and the refusal does not even say which: clear it, then ask again.
            request.asked_again = True
            clear = ConditionRequest(self._condition_trnm("CLR"), seq=request.seq)
            self._requests.add_first(request, clear, request.messages[-1])
            return
        if reply.trnm.endswith("CNSRLST"):
            # Searches that wait were planned without a list of their own; the first of them needs one now.
            waiting = self._requests.next_waiting(self._condition_trnm("REQ"))
            self._conditions_listed = waiting is not None
            if waiting is not None:
                self._requests.add_first(waiting, ConditionRequest(self._condition_trnm("LST")))
        self._events.append(RequestRejected(request, reply.code, reply.message))

    # The lifecycle.

    def _move(self, trigger: Trigger) -> None:
        self._state = TRANSITIONS[self._state][trigger]

    def _start_phase(self, now: float) -> None:
        """Arm the deadline of the state just entered."""
        timeout: float = getattr(self.config, f"{PHASE[self._state]}_timeout")
        self._deadline = now + timeout

    def _opened(self, header: ResponseHeader, now: float) -> None:
        if self._token is None:
            raise LocalProtocolError("connect: must be called first")
        self._move(Trigger.OPENED)
        self._start_phase(now)
        self.header = header
        self._events.append(Opened(header))
        self._send(encode(Login(self._token)))
        self._token = None  # not needed again, so not kept

    def _fail(self, error: KiwoomError, code: int, now: float) -> None:
        """End the connection for a fault of the server's, with a closing handshake."""
        self._error = error
        self._start_closing(code, "", now)

    def _expire(self, phase: str) -> None:
        """A deadline passed. There is nobody to shake hands with, so this is the end."""
        if self._error is None and not self._close_answered:
            self._error = DeadlineExceeded(phase, getattr(self.config, f"{phase}_timeout"))
        self._end()

    def _start_closing(self, code: int, reason: str, now: float) -> None:
        self._move(Trigger.CLOSE_STARTED)
        self._start_phase(now)

    def _end(self, code: int | None = None, reason: str = "", sent_code: int | None = None) -> None:
        """The one way to CLOSED."""
        if self._state is CLOSED:
            return
        if self._error is None and not self._close_asked:
            self._error = ClosedByPeer("the connection was cut" if code is None else "the server closed the connection")
        self._move(Trigger.ENDED)
        self._deadline = None
        self._token = None
        self._events.append(Closed(1006 if code is None else code, reason, self._error, sent_code, self._system))


def _type_code(cls: object) -> str:
    try:
        if isinstance(cls, type) and issubclass(cls, Record):
            return type_code_of(cls)
    except TypeError as error:
        raise LocalProtocolError(f"type: {error}") from None
    raise LocalProtocolError(f"type: must be a type code or a class of the catalogue, not {cls!r}")


def _kind_of(value: object) -> str:
    return type(value).__name__


def _unexpected(reply: Reply, payload: bytes) -> UnknownMessage:
    return UnknownMessage(payload, f"{reply.trnm} reply with code {explain_code(reply.code)} when none was expected")


def _us_item(item: str | UsItem) -> str | UsItem:
    if isinstance(item, UsItem) or not item:
        return item
    symbol = Symbol.parse(item)
    return UsItem(symbol.code, symbol.venue.value)


def _condition_result(request: Request, reply: Reply, received_at: int) -> ConditionResult:
    data, seq, next_key = (reply.members.get(name) for name in ("data", "seq", "next_key"))
    goes_on = str(reply.members.get("cont_yn") or "").strip() == "Y" and isinstance(next_key, str) and next_key.strip()
    return ConditionResult(
        request,
        (seq.strip() if isinstance(seq, str) else "") or request.seq,
        read_rows(reply.trnm, data, received_at),
        read_symbols(data),
        next_key if goes_on else None,
        reply.members,
    )

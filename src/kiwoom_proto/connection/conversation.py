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
* Silence is what READY's is about. The server sends PING when it has heard nothing for 10 s, RFC 6455 pings included
  [measured], so under a client that sends something more often it may say nothing at all and be well. Therefore any
  byte counts as life, and where none came for a third of `idle_timeout` we ask for one with a ping of RFC 6455, and
  again after another third. A pong that fails to come means nothing by itself; silence of everything does. Nor is it
  the server's silence while nobody looks: where a deadline is met late, what came meanwhile may still wait to be read.
* Which reply is legal when is the table `LEGAL`. A reply out of place before the LOGIN reply is reported and otherwise
  ignored: the server answers messages that came too early before it answers the LOGIN.
* LOGIN goes out as soon as the WebSocket is open, PING is answered as soon as it is read: before any consumer of
  events can be slow.
* Requests wait in `requests.RequestQueue` until READY; it paces them and credits the replies. A REG or REMOVE that is
  not answered in time ends the connection; a condition request is given up alone. Whether it was the request's fault
  (`ended_by`) is told by a ping that is sent after it: where its pong comes and the reply does not, it was.
* The end is one `Closed` event, the last one, which says why.

What is received comes in through one of its two subclasses in connection.py: `ClientConnection` has a WebSocket of its
own and takes bytes, `MessageConnection` sits on somebody else's and takes whole messages.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TypeAlias, assert_never

from ..codes import ALREADY_REGISTERED, TAKEN_OVER, TOO_FAST, explain_code, reason_in
from ..config import ClientConfig
from ..endpoint import Endpoint
from ..errors import (
    ClosedByPeer,
    DeadlineExceeded,
    KiwoomError,
    LocalProtocolError,
    LoginRefused,
    RemoteProtocolError,
)
from ..events import (
    Closed,
    ConditionList,
    ConditionResult,
    Event,
    LoggedIn,
    LoginRefusal,
    Numbering,
    Opened,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
    SystemNotice,
    UnknownMessage,
)
from ..headers import RequestHeader, ResponseHeader
from ..realtime.catalogue import extended_catalogue
from ..realtime.conditions import read_conditions
from ..realtime.record import Record
from ..request import Request, RequestKind
from ..secrets import Redaction, Secret, conceal
from ..symbol import Symbol
from ..wire.decoder import MessageDecoder
from ..wire.messages import (
    KIND_OF,
    MAX_MESSAGE_SIZE,
    Login,
    Message,
    Ping,
    Reg,
    Remove,
    Reply,
    check_token,
    condition_clear,
    condition_list,
    condition_search,
    encode,
    ticket_for,
)
from ..wire.registration import checked, registration, removal
from ..wire.tolerant import Message as Decoded
from ..wire.websocket import check_close
from .conditions import read_result
from .requests import RequestQueue

__all__ = ("ConnectionState", "Conversation")


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

LEGAL = {"LOGIN": {LOGGING_IN}} | {trnm: {READY, CLOSING} for trnm in KIND_OF}
"""In which states a reply is expected."""

CONDITION_LIST, CONDITION_SEARCH = RequestKind.CONDITION_LIST, RequestKind.CONDITION_SEARCH
PING = {"trnm": "PING"}
BLAMING_CODES = frozenset({1002, 1003, 1007, 1008, 1009, 1010, 1011})
"""Close codes of a server that could not take what it was sent."""
THIRDS = 3
"""Of `idle_timeout`: a ping goes out after each of them without a byte but the last, which is the end."""

OTHERS, OTHER_SIZE = 1024, 128
"""How many messages that hold no rows are taken of one read: so many, and one more for each so many bytes."""

Reported: TypeAlias = (
    Opened
    | LoggedIn
    | LoginRefusal
    | RequestAccepted
    | RequestRefusal
    | RequestUnanswered
    | ConditionList
    | ConditionResult
    | UnknownMessage
    | Closed
)


class Conversation:
    """One login to Kiwoom over one WebSocket. The base of `ClientConnection` and `MessageConnection`.

    Arguments:
        endpoint: where it connects to; items it does not serve are refused here.
        config: deadlines and limits.
        clock: gives seconds, never going back; read once per entry.
        numbering: what its events get their numbers from; its own unless given.
        types: classes of rows beside, or instead of, those of the catalogue.
    """

    _sends_pings = False

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        numbering: Numbering | None = None,
        types: Iterable[type[Record]] = (),
    ) -> None:
        self.endpoint = endpoint
        self.config = checked_config(endpoint, config)
        self._types = extended_catalogue(types)
        self.header: ResponseHeader | None = None
        """The documented header elements of the server's answer, once the WebSocket is open."""
        self._clock = clock
        self._state = CONNECTING
        self._token: Secret | None = None
        self._redaction = Redaction()
        self._connect_called = False
        self._deadline: float | None = None  # of every state but READY
        self._heard_at = 0.0
        self._pinged: tuple[float, int] = (
            0.0,
            0,
        )  # how many pings went out, and of which silence: that since `_heard_at`
        self._requests = RequestQueue(self.config.request_interval, self.config.ack_timeout)
        self._numbering = Numbering() if numbering is None else numbering
        decoder = MessageDecoder(self._types, self._numbering, self._redaction)
        self._take_rows = decoder.take_rows
        self._decode_rows = decoder.decode_rows
        self._decode_other = decoder.decode_other
        self._begin_read = decoder.begin_read
        self._others_left = OTHERS
        self._events: list[Event] = []
        self.rows_only = True
        """Whether nothing but rows has come, and happened, since `events` was called."""
        self.ended_by: Request | None = None
        """The request that the connection was lost for, in the end; None: for something else."""
        self._probes = 0  # pings that asked whether a server that does not acknowledge hears us
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

    def connect(
        self, token: str | Secret, header: RequestHeader | None = None, *, secrets: Iterable[Secret] = ()
    ) -> None:
        """Start: the deadline for opening runs from here. LOGIN with `token` follows by itself.

        Arguments:
            token: the access token, without "Bearer".
            header: header elements for the opening handshake; None sends none, which the server does not mind.
            secrets: what is masked where the server says it, beside the token: `AppKey.secrets`.

        Raises:
            LocalProtocolError: the token cannot be one, or `connect` was called before.
        """
        token = conceal(token)
        check_token(token)
        if self._connect_called or self._state is CLOSED:
            raise LocalProtocolError("connect: the connection was used before; it is for single use")
        if header is not None:
            if not isinstance(header, RequestHeader):
                raise LocalProtocolError(f"header: must be a RequestHeader, not {_kind_of(header)}")
            header.elements(token)
            if header.authorization is not None:
                secrets = (*secrets, Secret(header.authorization.reveal().removeprefix("Bearer ")))
        self._connect_called = True
        self._token = token
        self._redaction.add(token, *secrets)
        self._start_phase(self._clock())

    def subscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", replace: bool = False
    ) -> Request:
        """Register items for one real-time type (REG). It waits here until the login is done.

        Arguments:
            type: a class of the catalogue or of `types`, or its type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: drop earlier registrations (refresh "0"), of the group or of the whole connection: which of
                the two was never measured.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent. What the server would acknowledge and never serve
                is wrong too: "A005930", a US type on a domestic endpoint.
        """
        size = self.config.items_per_request
        return self._add(*registration(self.endpoint, self._types, size, type, items, group, replace))

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Remove registrations (REMOVE). Arguments and errors as for `subscribe`."""
        size = self.config.items_per_request
        return self._add(*removal(self.endpoint, self._types, size, type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Send a REG or REMOVE of your own making, with as many `data` elements as you like.

        Lengths are checked, and that the endpoint serves the venue; what types and items there are is not. This is the
        way to what this library does not know: the server acknowledges everything, and rows of a type without a class
        come as plain `Record`s.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent.
        """
        return self._add(checked(self.endpoint, message))

    def list_conditions(self) -> Request:
        """Ask for the saved conditions (조건검색 목록조회, CNSRLST). `ConditionList` answers it."""
        self._conditions_listed = True
        return self._add(condition_list(us=self.endpoint.us))

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
        us = self.endpoint.us
        search = condition_search(seq, live=realtime, next_key=next_key, us=us)
        if self._conditions_listed:
            return self._add(search)
        self._conditions_listed = True
        return self._add(condition_list(us=us), search)

    def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제, CNSRCLR).

        Raises:
            LocalProtocolError: the number cannot be one; nothing is sent.
        """
        return self._add(condition_clear(seq, us=self.endpoint.us))

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

    def abort(self, error: KiwoomError) -> None:
        """End at once, without a closing handshake. `Closed` says why: `error`, or what had gone wrong before."""
        if self._error is None:
            self._error = error
        self._end()

    # What the driver does.

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called, in seconds on the clock; None: not before something else happens.

        Ask again after every other call: it may move either way.
        """
        if self._state is not READY:
            return self._deadline
        probe_at = self._requests.next_probe() if self._sends_pings else None
        times = (self._silence_due(), self._requests.next_timeout(), probe_at)
        return min(time for time in times if time is not None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless when nothing is."""
        now = self._clock()
        if self._deadline is not None and now >= self._deadline:
            self._expire(PHASE[self._state])
        elif self._state is READY and (overdue := self._requests.overdue(now)) is not None:
            if self._probes and self._pong == b"%d" % self._probes:
                self.ended_by = overdue  # the line is well, and the server has read it
            self._expire("ack")
        elif self._state is READY and now >= self._silence_due():
            self._take_silence(now)
        self._give_up_request(now)
        if self._state is READY and self._requests.needs_probe(now):
            self._probes += 1
            self._send_ping(b"%d" % self._probes)
        self._send_requests(now)

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order, and forget it."""
        events, self._events = self._events, []
        self.rows_only = True
        return events

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint}, {self._state.value}>"

    # Requests.

    def _add(self, *messages: Message) -> Request:
        if self._state in (CLOSING, CLOSED):
            raise LocalProtocolError(f"the connection is {self._state.value}")
        request = ticket_for(*messages)
        self._requests.add(request, messages)
        if self._state is READY:
            self._send_requests(self._clock())
        return request

    def _send_requests(self, now: float) -> None:
        if self._state is READY:
            while (message := self._requests.pop(now)) is not None:
                self._send(message)

    def _send(self, payload: bytes | memoryview) -> None:
        """Send one message, where it still can be sent. The LOGIN is a memoryview, which shows nothing of the token."""
        raise NotImplementedError

    def _send_ping(self, payload: bytes = b"") -> None:
        """Send a ping of RFC 6455, where it still can be sent."""

    @property
    def _pong(self) -> bytes | None:
        """What the last pong of RFC 6455 held."""
        return None

    def _is_text(self, payload: bytes) -> bool:
        """Whether a message may be looked at; it is the last otherwise."""
        return True

    # Messages.

    def _report(self, event: Reported) -> None:
        self.rows_only = False
        self._events.append(self._numbering.stamp(event))

    def _take(self, payloads: Iterable[bytes], received_at: int, now: float) -> None:
        """Take whole messages. The hot path is `take_rows`."""
        rest = iter(payloads)
        while (payload := self._take_rows(rest, received_at, self._events)) is not None:
            if not self._is_text(payload):
                break
            rows = self._decode_rows(payload, received_at)
            if rows is not None:
                self._events += rows
                continue
            self._others_left -= 1
            if self._others_left < 0:
                self._end_flood(now)
                break
            for message in self._decode_other(payload, received_at):
                self._take_message(message, payload, received_at, now)

    def _end_flood(self, now: float) -> None:
        """The server sends so many messages without rows that there would be time for nothing else: end at once."""
        if self._state in (LOGGING_IN, READY):
            self._fail(RemoteProtocolError("far too many messages without rows at once"), 1008, now)
            self._end()

    def _heard(self, now: float) -> None:
        """Something came, and was taken: the server is alive."""
        self._heard_at = now
        self._send_requests(now)

    def _thirds_due(self) -> int:
        """Which third of the present silence is to end next."""
        heard_at, pings = self._pinged
        return (pings + 1 if heard_at == self._heard_at else 1) if self._sends_pings else THIRDS

    def _silence_due(self) -> float:
        """When that is, if nothing comes."""
        return self._heard_at + self.config.idle_timeout * self._thirds_due() / THIRDS

    def _take_silence(self, now: float) -> None:
        """A third of a silence is over: ask for a sign of life, or give up after the last."""
        third = self.config.idle_timeout / THIRDS
        late = now - self._silence_due()
        thirds = self._thirds_due() + int(late / third)
        if thirds >= THIRDS and late < third / 2:
            self._expire(PHASE[READY])
            return
        if thirds >= THIRDS:  # nobody looked: the last third begins now
            self._heard_at, thirds = now - self.config.idle_timeout + third, THIRDS - 1
        self._pinged = self._heard_at, thirds
        self._send_ping()

    def _take_message(self, message: Decoded, payload: bytes, received_at: int, now: float) -> None:
        if isinstance(message, Record):
            self._events.append(message)
            return
        self.rows_only = False
        match message:
            case UnknownMessage():
                self._events.append(message)
            case Ping():
                if self._state in (LOGGING_IN, READY):
                    # The very bytes: some clients were cut off for re-serialising them. But none that are too many.
                    self._send(message.payload if len(message.payload) <= MAX_MESSAGE_SIZE else encode(PING))
            case SystemNotice():
                if self._system is None or self._system.code != TAKEN_OVER:  # nothing said later explains more
                    self._system = message
                self._events.append(message)
            case Reply():
                if self._state not in LEGAL.get(message.trnm, ()):
                    self._report(_unexpected(message, payload))
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
            self._report(LoggedIn(reply.members))
            return
        reason = reason_in(reply.message)
        self._report(LoginRefusal(reply.code, reply.message, reason))
        self._error = LoginRefused(reply.code, reply.message, reason)
        self._start_closing(1000, "", now)

    def _take_reply(self, reply: Reply, payload: bytes, received_at: int, now: float) -> None:
        if reply.code == TOO_FAST and self._requests.repeat(reply, now):
            return
        if self._requests.is_late(reply):
            self._conditions_listed |= reply.ok and reply.kind is CONDITION_LIST
            return
        request = self._requests.reply(reply)
        if request is None:
            if reply.kind is None or reply.kind.is_condition:
                self._report(_unexpected(reply, payload))
            elif self._state is READY:
                self._fail(RemoteProtocolError(f"a {reply.trnm} reply that nobody had asked for"), 1002, now)
        elif not reply.ok:
            self._take_refusal(request, reply)
        elif self._requests.is_finished(request):
            if request.kind is CONDITION_LIST:
                self._report(ConditionList(request, read_conditions(reply.members.get("data"))))
            elif request.kind is CONDITION_SEARCH:
                self._report(read_result(request, reply, received_at))
            self._report(RequestAccepted(request))

    def _take_refusal(self, request: Request, reply: Reply) -> None:
        if reply.code == ALREADY_REGISTERED and request.kind is CONDITION_SEARCH and not request.asked_again:
            # It outlives a reconnect for a while, and the refusal does not even say which: clear it, then ask again.
            request.asked_again = True
            us = self.endpoint.us
            search = condition_search(request.seq, live=request.live, next_key=request.next_key, us=us)
            self._requests.add_first(request, condition_clear(request.seq, us=us), search)
            return
        if reply.kind is CONDITION_LIST:
            self._list_again()
        self._report(RequestRefusal(request, reply.code, reply.message))

    def _give_up_request(self, now: float) -> None:
        given_up = self._requests.give_up(now) if self._state is READY else None
        if given_up is not None:
            request, message = given_up
            if message.kind is CONDITION_LIST:
                self._list_again()
            self._report(RequestUnanswered(request, self.config.ack_timeout))

    def _list_again(self) -> None:
        """The list was not had. Searches that wait were planned without one of their own; the first needs one now."""
        waiting = self._requests.first_waiting(CONDITION_SEARCH)
        self._conditions_listed = waiting is not None
        if waiting is not None:
            self._requests.add_first(waiting, condition_list(us=self.endpoint.us))

    # The lifecycle.

    def _move(self, trigger: Trigger) -> None:
        self._state = TRANSITIONS[self._state][trigger]

    def _start_phase(self, now: float) -> None:
        """Arm the deadline of the state just entered."""
        if self._state is READY:
            self._deadline, self._heard_at = None, now
            return
        timeout: float = getattr(self.config, f"{PHASE[self._state]}_timeout")
        self._deadline = now + timeout

    def _opened(self, header: ResponseHeader, now: float) -> None:
        if self._token is None:
            raise LocalProtocolError("connect: must be called first")
        self._move(Trigger.OPENED)
        self._start_phase(now)
        self.header = header
        self._report(Opened(header))
        self._send(memoryview(encode(Login(self._token))))
        self._token = None  # not needed again

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
        if code in BLAMING_CODES and not self._close_asked:
            self.ended_by = self._requests.last_unanswered()
        if self._error is None and not self._close_asked:
            self._error = ClosedByPeer("the connection was cut" if code is None else "the server closed the connection")
        self._move(Trigger.ENDED)
        self._deadline = None
        self._token = None
        reason = self._redaction.words(reason)
        self._report(Closed(1006 if code is None else code, reason, self._error, sent_code, self._system))
        self._redaction.forget()


def checked_config(endpoint: object, config: object) -> ClientConfig:
    """Return the configuration to use.

    Raises:
        LocalProtocolError: endpoint or config is not what it should be.
    """
    if not isinstance(endpoint, Endpoint):
        raise LocalProtocolError(f"endpoint: must be an Endpoint, such as PRODUCTION, not {_kind_of(endpoint)}")
    if config is not None and not isinstance(config, ClientConfig):
        raise LocalProtocolError(f"config: must be a ClientConfig, not {_kind_of(config)}")
    return ClientConfig() if config is None else config


def _kind_of(value: object) -> str:
    return type(value).__name__


def _unexpected(reply: Reply, payload: bytes) -> UnknownMessage:
    code = explain_code(reply.code, reply.message)
    return UnknownMessage(payload, f"a {reply.trnm} reply when none was expected, with code {code}")

"""Session: what outlives a connection.

THEORY OF OPERATION

A session owns one `ClientConnection` at a time and makes the next when that one is lost. Calls, bytes and one deadline
come in, as with a connection. Beside bytes and events it tells its driver what it needs, in `needs`:

    LinkNeeded    dial the endpoint and carry bytes both ways, for as long as `needs` is this very object
    TokenNeeded   get an access token: `receive_token` or `token_failed`
    None          nothing but the deadline

It decides everything else, and each rule has a place of its own: what to do after a loss is in recovery.py, what is to
be registered in subscriptions.py, pacing in requests.py, what happens on one connection in conversation.py.

* The lifecycle is the table `TRANSITIONS`.
* What is wanted comes back: after each login everything wanted is registered again, the account first, then live
  conditions, then market data; then a `Gap` tells since when rows are missing. What was let go of meanwhile does not.
* A gap begins when the driver was last known to read with nothing waiting: what is missing follows the last row read,
  and that may have arrived at any time since. A read tells when it was made, not since when its bytes were there. After
  a loop was blocked they may have waited for all of that time, and so may those of the next reads, until it has caught
  up. That takes it as long as it was away, at least `CATCH_UP`; reads in that time count as one. And what comes once
  the connection has begun to close may be ignored, so it moves nothing.
* A call is answered once: by the connection that answers it. One whose connection was lost is asked again.
* What a connection was lost for is not sent again as it was: suspects.py has the rule.
* A condition request that is not answered costs nothing but itself: neither market data nor a `Gap` waits for it.
* What a call claims is released by `unsubscribe`, by a refusal, or by `withdraw`, and by one of them only. Whether a
  call was answered makes no difference to `withdraw`: a call that never learned of its answer has not got it.
* Every event has a number, and the session's own come after those of the bytes that brought them about.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import TypeAlias, cast
from weakref import WeakKeyDictionary

import attrs

from ..codes import CONNECTION_QUOTA, GROUP_QUOTA, item_limit_in
from ..config import ClientConfig
from ..connection.client import ClientConnection
from ..connection.conversation import ConnectionState, checked_config
from ..connection.requests import (
    Request,
    checked,
    condition_clear,
    condition_list,
    condition_search,
    registration,
    removal,
)
from ..endpoint import Endpoint
from ..errors import DeadlineExceeded, KiwoomError, LocalProtocolError
from ..events import (
    Closed,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    Event,
    Gap,
    LoggedIn,
    Numbering,
    Opened,
    RequestAccepted,
    RequestRejected,
    RequestUnanswered,
    Stale,
)
from ..headers import RequestHeader, ResponseHeader
from ..realtime.record import Record
from ..realtime.spelling import catalogue
from ..secrets import Secret, conceal
from ..symbol import Symbol
from ..wire.messages import ConditionRequest, Reg, Remove, check_token
from ..wire.websocket import check_close
from .recovery import Recovery, Renew, Stop
from .searches import Searches
from .subscriptions import UNACKNOWLEDGED, Claims, Key, Subscription, Subscriptions, keys_of

__all__ = ("LinkNeeded", "Need", "Session", "SessionState", "TokenNeeded")


class SessionState(enum.Enum):
    """Where a session stands in its life."""

    WAITING = "waiting"
    """For `connect`, or for the time of the next attempt."""
    AUTHORIZING = "getting a token"
    """For an access token."""
    CONNECTING = "connecting"
    """Dialling, opening the WebSocket, logging in."""
    READY = "ready"
    """Logged in."""
    CLOSING = "closing"
    """Closing was asked for."""
    CLOSED = "closed"
    """Over."""


WAITING, AUTHORIZING, CONNECTING, READY, CLOSING, CLOSED = SessionState
_CONNECTION_CLOSING = ConnectionState.CLOSING  # on the hot path a name of a module is found faster than one of an enum
_CONNECTION_CLOSED = ConnectionState.CLOSED


class Trigger(enum.Enum):
    """What moves a session from one state to the next."""

    TOKEN_NEEDED = "token needed"
    TOKEN_KNOWN = "token known"
    LOGGED_IN = "logged in"
    LOST = "lost"
    CLOSE_ASKED = "close asked"
    ENDED = "ended"


TRANSITIONS: dict[SessionState, dict[Trigger, SessionState]] = {
    WAITING: {Trigger.TOKEN_NEEDED: AUTHORIZING, Trigger.TOKEN_KNOWN: CONNECTING, Trigger.ENDED: CLOSED},
    AUTHORIZING: {Trigger.TOKEN_KNOWN: CONNECTING, Trigger.LOST: WAITING, Trigger.ENDED: CLOSED},
    CONNECTING: {
        Trigger.LOGGED_IN: READY,
        Trigger.LOST: WAITING,
        Trigger.CLOSE_ASKED: CLOSING,
        Trigger.ENDED: CLOSED,
    },
    READY: {Trigger.LOST: WAITING, Trigger.CLOSE_ASKED: CLOSING, Trigger.ENDED: CLOSED},
    CLOSING: {Trigger.ENDED: CLOSED},
    CLOSED: {},
}


CATCH_UP = 1_000_000_000
"""Nanoseconds that a driver which was away needs at least to read what has come meanwhile."""
OVER_QUOTA = frozenset({CONNECTION_QUOTA, GROUP_QUOTA})
REPLACED = "replaced by another call before it was registered"


@attrs.frozen(eq=False)
class LinkNeeded:
    """A stream to `endpoint` is needed, and bytes carried over it, until `Session.needs` is something else.

    Attributes:
        endpoint: where to.
        epoch: which connection this is, the first being 1.
    """

    endpoint: Endpoint
    epoch: int


@attrs.frozen(eq=False)
class TokenNeeded:
    """An access token is needed, until `Session.needs` is something else.

    Attributes:
        refused: the last one, where a LOGIN refused it: not that one again.
    """

    refused: Secret | None = None


Need: TypeAlias = LinkNeeded | TokenNeeded


Own: TypeAlias = Connecting | Disconnected | Gap | Stale | RequestAccepted | RequestRejected | Closed
"""What a session reports of its own."""


@attrs.define(eq=False)
class _Call:
    """A call of `subscribe` or `unsubscribe` that waits for its answer."""

    request: Request
    keys: tuple[Key, ...]


class Session:
    """The feed as one thing that lasts, without I/O: connections come and go beneath it.

    Arguments:
        endpoint: where to connect to.
        config: deadlines, limits and policies.
        clock: gives seconds, never going back.
        random: gives numbers from 0 to below 1, for the time between attempts: `random.random`.
        random_bytes: source of the WebSocket's keys and masks; None: the system's.
        types: classes of rows of your own, beside those of the catalogue or instead of one with the same type code.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None = None,
        types: Iterable[type[Record]] = (),
    ) -> None:
        self.endpoint = endpoint
        self.config = checked_config(endpoint, config)
        self._types = catalogue(types)
        self.bytes_received = 0
        """Bytes received from the network so far, over all connections."""
        self.needs: Need | None = None
        """What the driver is to do beside waiting."""
        self.disconnected: Disconnected | None = None
        """The last loss, or failed attempt, while there is no login; None while there is one."""
        self.rows_only = True
        """Whether nothing but rows has come, and happened, since `events` was called."""
        self._clock = clock
        self._random_bytes = random_bytes
        self._recovery = Recovery(self.config, random)
        self._numbering = Numbering(epoch=0)
        self._state = WAITING
        self._connection: ClientConnection | None = None
        self._header: RequestHeader | None = None
        self._answer_header: ResponseHeader | None = None
        self._token: Secret | None = None
        self._refused: Secret | None = None  # the token that the last LOGIN refused
        self._secrets: tuple[Secret, ...] = ()
        self._renewable = False
        self._driver_keeps_token = False
        self._deadline: float | None = None  # of WAITING and AUTHORIZING
        self._events: list[Event] = []
        self._later: list[Gap | RequestAccepted | RequestRejected] = []
        self._received_at = 0
        self._looked_at = 0  # when the reads that count as one began
        self._empty_at = 0  # when those before them did: whatever was read since has arrived since
        self._caught_up_at = 0  # when a read counts as another
        self._gap: tuple[int, int] | None = None  # start and last sequence of the one that is open
        chosen = self.config.item_limit
        self._subscriptions = Subscriptions(
            endpoint.item_limit if chosen is None else chosen,
            self.config.items_per_request,
            is_chosen=chosen is not None,
        )
        self._batch: Request | None = None  # the message of `_subscriptions` that is being answered
        self._registering: list[_Call] = []
        self._removing: list[_Call] = []
        self._claims: WeakKeyDictionary[Request, Claims] = WeakKeyDictionary()  # of what may still be withdrawn
        self._searches = Searches()

    # What the caller asks for.

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    @property
    def epoch(self) -> int:
        """How many connections it has begun to make."""
        return self._numbering.epoch

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's last answer to an opening handshake."""
        return self._answer_header

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live conditions last, and how far each has come on the present connection."""
        return self._subscriptions.snapshot() + self._searches.snapshot("S2" if self.endpoint.us else "02")

    @property
    def is_settled(self) -> bool:
        """Whether the server knows all that it is to know."""
        return self._state is READY and self._subscriptions.is_settled and self._searches.is_settled

    @property
    def watches_freshness(self) -> bool:
        """Whether a row can bring the deadline nearer: by its being the last for too long (`fresh_within`)."""
        return self._subscriptions.next_timeout() is not None

    def connect(
        self,
        token: str | Secret | None = None,
        header: RequestHeader | None = None,
        *,
        renewable: bool = False,
        keep: bool = False,
        secrets: Iterable[Secret] = (),
    ) -> None:
        """Start.

        Arguments:
            token: the access token, without "Bearer"; None: the driver is asked for one at each attempt
                (`TokenNeeded`), and keeps it as long as it is good.
            header: header elements for the opening handshakes; None sends none.
            renewable: whether the driver can be asked for another one when this token is refused.
            keep: with a token of None, keep what the driver gets until it is refused; False: the driver keeps it.
            secrets: what is masked where the server says it, beside the tokens: `AppKey.secrets`.

        Raises:
            LocalProtocolError: the token cannot be one, or `connect` was called before.
        """
        token = conceal(token)
        if self._state is not WAITING or self._deadline is not None:
            raise LocalProtocolError("connect: the session was started before")
        if header is not None and not isinstance(header, RequestHeader):
            raise LocalProtocolError(f"header: must be a RequestHeader, not {type(header).__name__}")
        if token is not None:
            _check_token(token, header)
        self._header = header
        self._token = token
        self._secrets = tuple(secrets)
        self._driver_keeps_token = token is None and not keep
        self._renewable = renewable or token is None
        now = self._clock()
        self._recovery.begin(now)
        self._attempt(now)

    def subscribe(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        replace: bool = False,
        fresh_within: float | None = None,
    ) -> Request:
        """Want items for one real-time type, from now on, until `unsubscribe`. Every call counts.

        It is registered as soon as there is a connection, and on every further one.

        Arguments:
            type: a class of the catalogue or of `types`, or its type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: let go of everything else in this group, whoever wants it. (A session never sends refresh "0":
                what that drops was never measured.)
            fresh_within: seconds after which silence is reported as `Stale`; None: silence is no news.

        Raises:
            QuotaExceeded: they would be more than the connection, or the group, may have.
            LocalProtocolError: names what is wrong; nothing has changed. What the server would acknowledge and never
                serve is wrong too: "A005930", a US type on a domestic endpoint.
        """
        messages = registration(self.endpoint, self._types, self.config.items_per_request, type, items, group)
        if fresh_within is not None and not (isinstance(fresh_within, int | float) and fresh_within > 0):
            raise LocalProtocolError(f"fresh_within: must be a number of seconds above 0, not {fresh_within!r}")
        return self._register(messages, replace, fresh_within)

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Want items no longer: undoes one `subscribe`. What nobody wants is removed; the rest stays.

        Accepted once the server has removed it, or at once where there is nothing to remove.

        Raises:
            LocalProtocolError: names what is wrong; nothing has changed.
        """
        size = self.config.items_per_request
        return self._remove(removal(self.endpoint, self._types, size, type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """As `subscribe` or `unsubscribe`, for everything that a message of your own making names.

        Lengths are checked, and that the endpoint serves the venue; what types and items there are is not. This is the
        way to what this library does not know, and back: `unsubscribe` would refuse it too.

        Raises:
            QuotaExceeded: they would be more than the connection, or the group, may have.
            LocalProtocolError: names what is wrong; nothing has changed.
        """
        message = checked(self.endpoint, message)
        if isinstance(message, Remove):
            return self._remove((message,))
        return self._register((message,), message.refresh == "0", None)

    def list_conditions(self) -> Request:
        """Ask for the saved conditions (조건검색 목록조회). `ConditionList` answers it."""
        return self._ask(condition_list(self.endpoint))

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Ask which stocks meet a condition (조건검색 요청). `ConditionResult` answers it.

        A live search is asked for anew on every further connection, and `ConditionResult` comes anew with it.

        Arguments:
            seq: the condition's number, from its list.
            realtime: go on telling which stocks enter and leave, until `clear_condition`. Every call counts.
            next_key: `ConditionResult.next_key`, for the next page of a search that asks once.

        Raises:
            LocalProtocolError: names what is wrong; nothing has changed.
        """
        return self._ask(condition_search(self.endpoint, seq, realtime, next_key))

    def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제), once for each time that it was asked for.

        Raises:
            LocalProtocolError: the number cannot be one; nothing has changed.
        """
        return self._ask(condition_clear(self.endpoint, seq))

    def withdraw(self, request: Request) -> None:
        """Take a call back: what it wants, one consumer less wants. It is not answered any more.

        For a call that is not interested any more, or never learned of its answer: one that was accepted already is
        taken back like any other. A removal, and the end of a live search, are carried out all the same; what `replace`
        let go of does not come back. Harmless for a request that was refused or withdrawn before.
        """
        self._registering = [call for call in self._registering if call.request is not request]
        self._removing = [call for call in self._removing if call.request is not request]
        self._take_back(request)
        self._searches.withdraw(request, connected=self._state is READY)
        if self._state is not CLOSED:
            self._advance()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close. Rows that arrive until the server has answered are still reported.

        Raises:
            LocalProtocolError: code or reason cannot be sent in a close frame.
        """
        check_close(code, reason)
        if self._state in (CLOSING, CLOSED):
            return
        if self._state in (CONNECTING, READY):
            assert self._connection is not None
            self._connection.close(code, reason)
            self._move(Trigger.CLOSE_ASKED)
            self._take(self._connection.events())
        else:
            self._end(None, None)

    # What the driver does.

    def receive_token(self, token: str | Secret) -> None:
        """Take the access token that was needed. Ignored where none is.

        Raises:
            LocalProtocolError: it cannot be one.
        """
        token = conceal(token)
        if self._state is AUTHORIZING:
            _check_token(token, self._header)
            self._token = token
            self._dial(self._clock())

    def token_failed(self, error: KiwoomError) -> None:
        """No token could be had. Ignored where none is needed."""
        if self._state is not AUTHORIZING:
            return
        now = self._clock()
        verdict = self._recovery.no_token(error, now)
        if isinstance(verdict, Stop):
            self._end(None, verdict.error)
        else:
            assert not isinstance(verdict, Renew)
            self._wait(error, None, verdict.delay, now)

    def connection_made(self) -> None:
        """The stream that was needed exists now, and `data_to_send` begins with the opening handshake.

        For a driver that dials beside everything else: what `data_to_send` gave it before there was a stream is not to
        be written any more. One that asks for nothing to send before it has a stream need not call this. Ignored once
        something was received, and where no stream is needed.
        """
        if self._connection is not None and isinstance(self.needs, LinkNeeded):
            self._connection.connection_made()

    def receive_data(self, data: bytes | bytearray, received_at: int = 0) -> None:
        """Take bytes from the network. Never raises for what they hold.

        Arguments:
            data: any number of bytes.
            received_at: when, in nanoseconds since the epoch, for the records in them; 0: not known.
        """
        connection = self._connection
        if connection is None or (state := connection.state) is _CONNECTION_CLOSED:
            return
        self.bytes_received += len(data)
        connection.receive_data(data, received_at)
        if state is not _CONNECTION_CLOSING:
            if received_at >= self._caught_up_at:
                self._caught_up(received_at)
            self._received_at = received_at
        rows_only = connection.rows_only
        events = connection.events()
        if rows_only:
            if self._subscriptions.is_watching:
                self._subscriptions.see(cast("list[Record]", events), self._clock())
            self._events += events
        else:
            self._take(events)

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream, or that none could be had.

        Arguments:
            error: what the network said, where it failed: "connection refused"; None for a plain end.
        """
        if self._connection is not None:
            self._connection.receive_eof(error)
            self._take(self._connection.events())

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called, in seconds on the clock; None: not before something else happens.

        Ask again after every other call: it may move either way.
        """
        if self._deadline is not None or self._connection is None:
            return self._deadline
        times = [self._connection.next_timeout()]
        if self._state is CONNECTING:
            times.append(self._recovery.give_up_at)
        else:
            times.append(self._subscriptions.next_timeout())
        if self._state is READY:
            times += self._searches.next_timeout(), self._subscriptions.next_try()
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless when nothing is."""
        now = self._clock()
        if self._deadline is not None:
            if now < self._deadline:
                return
            if self._state is AUTHORIZING:
                late = self._recovery.out_of_time(now)
                self.token_failed(DeadlineExceeded("token", self.config.token_timeout) if late is None else late)
            else:
                self._attempt(now)
            return
        for (_, type, item), seconds in self._subscriptions.take_stale(now):
            self._report(Stale(type, item, seconds))
        if self._connection is not None:
            self._connection.handle_timeout()
            late = self._recovery.out_of_time(now) if self._state is CONNECTING else None
            if late is not None:
                self._connection.abort(late)
            self._take(self._connection.events())
        again = (self._searches.next_timeout(), self._subscriptions.next_try())
        if any(at is not None and now >= at for at in again):
            self._advance()

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty: nothing.

        Call it when there is a stream to write them to. Where it was called before, see `connection_made`.
        """
        return b"" if self._connection is None else self._connection.data_to_send()

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order, and forget it."""
        events, self._events = self._events, []
        self.rows_only = True
        return events

    def __repr__(self) -> str:
        return f"<Session {self.endpoint}, {self._state.value}>"

    # The lifecycle.

    def _move(self, trigger: Trigger) -> None:
        self._state = TRANSITIONS[self._state][trigger]

    def _attempt(self, now: float) -> None:
        """Begin an attempt: with the token there is, or by getting one."""
        self._recovery.attempting()
        if self._token is not None:
            self._dial(now)
        else:
            self._ask_token(now)

    def _ask_token(self, now: float) -> None:
        self._move(Trigger.TOKEN_NEEDED)
        self._deadline = now + self.config.token_timeout
        if self._recovery.give_up_at is not None:
            self._deadline = min(self._deadline, self._recovery.give_up_at)
        self.needs = TokenNeeded(self._refused)

    def _dial(self, now: float) -> None:
        assert self._token is not None
        self._move(Trigger.TOKEN_KNOWN)
        self._deadline = None
        self._numbering.epoch += 1
        self._report(Connecting(self._recovery.attempt))
        self._connection = ClientConnection(
            self.endpoint,
            self.config,
            clock=self._clock,
            random_bytes=self._random_bytes,
            numbering=self._numbering,
            types=self._types.values(),
        )
        self.needs = LinkNeeded(self.endpoint, self._numbering.epoch)
        known = self._secrets if self._refused is None else (*self._secrets, self._refused)
        self._connection.connect(self._token, self._header, secrets=known)

    def _lost(self, closed: Closed) -> None:
        """The connection has ended."""
        now = self._clock()
        was_ready = self._state is READY
        if was_ready and self._gap is None:
            self._gap = min(self._empty_at, self._received_at), closed.sequence - 1
        self._blame(now, certain=not isinstance(closed.error, DeadlineExceeded))
        self._subscriptions.lost()
        self._batch = None
        self._searches.lost()
        self._answer_calls()
        token = self._token
        if self._driver_keeps_token:
            self._token = None
        if self._state is CLOSING or closed.error is None:
            self._end(closed, None)
            return
        verdict = self._recovery.closed(closed, now, self._renewable)
        if isinstance(verdict, Stop):
            self._end(closed, verdict.error)
            return
        self._wait(closed.error, closed, 0.0 if isinstance(verdict, Renew) else verdict.delay, now)
        if isinstance(verdict, Renew):
            self._refused, self._token = token, None
            self._attempt(now)

    def _blame(self, now: float, certain: bool) -> None:
        """Note which request the connection was lost for, if any, and give it up where it was not the first."""
        request = None if self._connection is None else self._connection.ended_by
        if request is None:
            return
        if request is not self._batch:
            answer = self._searches.blame(request, now)
            if answer is not None:
                self._later.append(answer)
        elif self._subscriptions.blame(now, certain):
            refusal = RequestRejected(request, "", UNACKNOWLEDGED)
            if self._refuse_calls(refusal):
                self._later.append(refusal)

    def _caught_up(self, received_at: int) -> None:
        """A read that was made so long after the one before does not go on with what had been waiting then."""
        self._empty_at, self._looked_at = self._looked_at, received_at
        self._caught_up_at = received_at + max(CATCH_UP, received_at - self._received_at)

    def _wait(self, cause: KiwoomError, closed: Closed | None, delay: float, now: float) -> None:
        self._move(Trigger.LOST)
        self.needs = None
        self._deadline = now + delay
        self.disconnected = Disconnected(cause, self._deadline, delay, self._recovery.attempt, closed)
        self._report(self.disconnected)

    def _end(self, closed: Closed | None, error: KiwoomError | None) -> None:
        """The one way to CLOSED."""
        self._move(Trigger.ENDED)
        self.needs = None
        self._deadline = None
        self._token = self._refused = None
        self._flush()
        self._report(Closed(1006, "", error) if closed is None else attrs.evolve(closed, error=error))

    # Events.

    def _report(
        self, event: Connecting | Disconnected | Stale | Closed | Gap | RequestAccepted | RequestRejected
    ) -> None:
        self.rows_only = False
        self._events.append(self._numbering.stamp(event))

    def _flush(self) -> None:
        """Report what came of the bytes, after what was in them."""
        for event in self._later:
            self._report(event)
        self._later.clear()

    def _take(self, events: list[Event]) -> None:
        """Take what the connection reports."""
        self.rows_only = False
        closed = None
        for event in events:
            if isinstance(event, Record):
                self._subscriptions.see((event,), self._clock())
                self._events.append(event)
            elif isinstance(event, Closed):
                closed = event
            else:
                self._take_event(event)
        if closed is not None:
            self._flush()
            self._lost(closed)
        if events:
            self._advance()

    def _take_event(self, event: Event) -> None:
        match event:
            case RequestAccepted(request=request) if request is self._batch:
                self._batch = None
                if self._subscriptions.accept():
                    self._events.append(event)  # after a refusal that was reported
            case RequestRejected(request=request) if request is self._batch:
                self._batch = None
                if event.code in OVER_QUOTA:
                    limit = item_limit_in(event.message)
                    if limit is not None:
                        self._subscriptions.learn_limit(limit, event.code)
                elif self._subscriptions.split():
                    return  # one bad item must not take the others along: see which it is
                self._subscriptions.refuse(event.reason)
                if self._refuse_calls(event):
                    self._events.append(event)
            case RequestAccepted() | RequestRejected() | RequestUnanswered() | ConditionList() | ConditionResult():
                answer = self._searches.take(event, self._clock())
                if answer is not None:
                    self._events.append(answer)
            case Opened(header=header):
                self._answer_header = header
                self._events.append(event)
            case LoggedIn():
                self._move(Trigger.LOGGED_IN)
                self.disconnected = None
                # Nothing of this connection was missed before, for nothing is registered on it.
                self._empty_at = self._looked_at = self._received_at
                self._caught_up_at = self._received_at + CATCH_UP
                self._recovery.logged_in(self._clock())
                self._refused = None
                self._events.append(event)
            case _:
                self._events.append(event)

    # Requests.

    def _check_open(self) -> None:
        if self._state in (CLOSING, CLOSED):
            raise LocalProtocolError(f"the session is {self._state.value}")

    def _register(self, messages: tuple[Reg, ...], replace: bool, fresh_within: float | None) -> Request:
        self._check_open()
        keys = keys_of(messages)
        if not keys:
            raise LocalProtocolError("data: names nothing to register")
        others = self._subscriptions.others_of(keys) if replace else ()
        gone = self._subscriptions.want(keys, fresh_within, instead_of=others)
        for waiting in [call for call in self._registering if not gone.isdisjoint(call.keys)]:
            self._registering.remove(waiting)
            self._take_back(waiting.request)
            self._later.append(RequestRejected(waiting.request, "", REPLACED))
        call = _Call(Request(messages), keys)
        self._claims[call.request] = self._subscriptions.claims(keys)
        self._registering.append(call)
        self._advance()
        return call.request

    def _remove(self, messages: tuple[Remove, ...]) -> Request:
        self._check_open()
        call = _Call(Request(messages), keys_of(messages))
        self._subscriptions.release(call.keys)
        self._removing.append(call)
        self._advance()
        return call.request

    def _take_back(self, request: Request) -> None:
        """What a call wants, one consumer less wants: once."""
        self._subscriptions.take_back(self._claims.pop(request, {}))

    def _ask(self, message: ConditionRequest) -> Request:
        self._check_open()
        request, answered = self._searches.add(message)
        if answered:
            self._later.append(RequestAccepted(request))
        self._advance()
        return request

    def _advance(self) -> None:
        """Send what can be sent and answer what can be answered."""
        connection = self._ready_connection()
        if connection is not None:
            self._subscriptions.try_again(self._clock())
            if self._subscriptions.is_urgent:
                self._send_batch(connection)
            self._searches.send(connection, self._clock())
            self._send_batch(connection)
        self._answer_calls()
        if self._gap is not None and self._is_whole:
            start, last_sequence = self._gap
            self._gap = None
            self._later.append(Gap(start, self._received_at, last_sequence))
        self._subscriptions.watch(self._clock())
        self._flush()

    @property
    def _is_whole(self) -> bool:
        """Whether a gap is over: what is subscribed to is registered.

        Rows of a live search are whole from its own `ConditionResult` on. A gap waits for searches only where nothing
        else is wanted, and not where the server leaves them unanswered.
        """
        if self._state is not READY or not self._subscriptions.is_settled:
            return False
        return not self._subscriptions.is_empty or self._searches.is_settled or self._searches.is_ailing

    def _ready_connection(self) -> ClientConnection | None:
        connection = self._connection
        return connection if connection is not None and connection.state is ConnectionState.READY else None

    def _send_batch(self, connection: ClientConnection) -> None:
        message = self._subscriptions.plan() if self._batch is None else None
        if message is not None:
            self._batch = connection.request(message)

    def _answer_calls(self) -> None:
        """Tell the calls whose registrations, or removals, are all done."""
        for calls, is_done in (
            (self._registering, self._subscriptions.is_answered),
            (self._removing, self._subscriptions.is_gone),
        ):
            for call in tuple(calls):
                if not all(is_done(key) for key in call.keys):
                    continue
                calls.remove(call)
                call.request.confirmed = len(call.request.messages)
                self._later.append(RequestAccepted(call.request))

    def _refuse_calls(self, event: RequestRejected) -> bool:
        """A message was refused: tell the calls that it belonged to, and nobody wants theirs any more.

        Returns whether it must be reported, for no call of now is told all of it.
        """
        keys = set(keys_of(message for message in event.request.messages if isinstance(message, Reg | Remove)))
        registers = event.request.trnm == "REG"
        calls = self._registering if registers else self._removing
        concerned = [call for call in calls if not keys.isdisjoint(call.keys)]
        for call in concerned:
            calls.remove(call)
            if registers:
                self._take_back(call.request)
            self._later.append(RequestRejected(call.request, event.code, event.message))
        # Some of it may have been registered before, on an earlier connection.
        return any(self._subscriptions.refusal(key) for key in keys) if registers else not concerned


def _check_token(token: Secret, header: RequestHeader | None) -> None:
    """Raise LocalProtocolError where a connection could not begin with these."""
    check_token(token)
    if header is not None:
        header.elements(token)

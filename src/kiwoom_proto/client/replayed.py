"""A session whose connection is a recording.

It takes the same calls as a `Session` and has the same rules for them: what may be registered, quotas, who wants what.
What a connection would be asked is accepted at once. Its events are those of the recording, with their own times and
numbers, and its one deadline is the time of the next one.

WHAT OF A RECORDING IS REPORTED

A recording holds every event of a session, and a client does not iterate them all. Reported is what the client of the
recorded program had to iterate:

* not what `connect` keeps to itself: everything up to the first login;
* not the answers to the recorded program's calls. The calls of the program that replays have answers of their own: a
  registration is accepted, a condition request is answered with what was recorded for the same request. Only an answer
  about what had been accepted before belongs to no call (it was asked for again after a loss), and is reported;
* `Closed` of a session that another one follows is reported like any event. The last one is the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from ..config import ClientConfig
from ..connection.lifecycle import ConnectionState
from ..endpoint import Endpoint, checked_config
from ..errors import LocalProtocolError
from ..events import (
    Batch,
    Closed,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    Event,
    Evicted,
    LoggedIn,
    LoginRefusal,
    Opened,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
    Snapshot,
    Stale,
)
from ..headers import ResponseHeader
from ..realtime.catalogue import codes_of_scope, extended_catalogue
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..realtime.traits import Scope
from ..recording.reader import Batch as TimedBatch
from ..request import Request, RequestKind, number_of
from ..session.lifecycle import SessionState
from ..session.market_clock import MarketClock, MarketStatus
from ..session.quota import Quota
from ..session.registrations import Registrations
from ..session.searches import Searches
from ..session.subscriptions import Subscription, Subscriptions
from ..symbol import Symbol
from ..wire.messages import Message, Reg, Remove, condition_clear, condition_list, condition_search, ticket_for

__all__ = ("MAX_AT_ONCE", "ReplayedSession")

MIN_AT_ONCE = 500
"""Events that are reported together if they are due: what is done once for them costs as much as some rows."""
MAX_AT_ONCE = 1_000
"""Events reported at once, and after which the rest of the program runs."""
NANOSECONDS = 1_000_000_000
REGISTER, REMOVE, LIST, SEARCH, CLEAR = RequestKind
NOT_RECORDED = "the recording holds no answer to it"
OVER = "the recording has ended"


class ReplayedSession:
    """A session that reports what was recorded, without I/O.

    Args:
        batches: what was recorded, and when, in order.
        endpoint: where it was recorded.
        config: limits; None: the defaults.
        clock: returns seconds, never going back.
        speed: seconds of the recording per second of the clock; None: as fast as it is asked.
        types: your own record classes, added to the catalogue or replacing one with the same type code.

    Attributes:
        endpoint: where it was recorded.
        config: limits. Nothing is dropped for a slow consumer: the recording waits.
        header: the header elements of the server's last recorded answer to an opening handshake.
        state: the state of the recorded session.
        disconnected: the last recorded loss while it is not logged in.
        epoch: number of the connection of the last event.
        wants_all: whether nothing was subscribed to so far, so that everything is wanted.
        answers: recorded answers to condition requests, which the driver has found so far.
    """

    needs = None
    bytes_received = 0
    watches_freshness = False

    def __init__(
        self,
        batches: Iterator[TimedBatch],
        endpoint: Endpoint,
        config: ClientConfig | None,
        *,
        clock: Callable[[], float],
        speed: float | None,
        types: Iterable[type[Record]] = (),
    ) -> None:
        config = checked_config(endpoint, config)
        self.endpoint = endpoint
        self.config = attrs.evolve(config, buffer_size=1 << 62, buffer_bytes=1 << 62, overflow="raise")
        self.header: ResponseHeader | None = None
        self.state = SessionState.READY
        self.disconnected: Disconnected | None = None
        self.epoch = 0
        self.answers: list[ConditionList | ConditionResult] = []
        self._batches = batches
        self._clock = clock
        self._speed = speed
        catalogue = extended_catalogue(types)
        self._account_types = codes_of_scope(catalogue, Scope.ACCOUNT)
        self._condition_types = codes_of_scope(catalogue, Scope.CONDITION)
        self._subscriptions = Subscriptions(Quota.of(endpoint, config), config.items_per_request, self._account_types)
        self._registrations = Registrations(endpoint, catalogue, config, self._subscriptions)
        self._searches = Searches(endpoint)
        self._link = _Link(endpoint.us)
        self._market = MarketClock(config.hours)
        self._events = Batch()
        # What was read and is not reported yet, the next one first.
        self._ats: list[int] = []
        self._read: list[Event] = []
        self._has_rows_only = True
        self._next = 0
        self._began: tuple[int, float] | None = None  # a time of the recording, and of the clock
        self._closed: Closed | None = None  # of the recorded session
        self._logged_in = True  # of a recording that does not begin with its session
        self._accepted: set[object] = set()  # registrations and live searches of the recorded program
        self._used: set[int] = set()  # places of the answers given
        self.wants_all = True
        self._wanted: dict[str, set[str]] | None = None  # type code -> items of its rows; None: everything

    # State.

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live searches last."""
        return self._subscriptions.snapshot() + self._searches.snapshot()

    @property
    def market(self) -> MarketStatus:
        """What each market was doing at this time of the recording, by the calendar."""
        return self._market.status(self.position())

    @property
    def logged_in(self) -> bool:
        """Whether what comes next is of a session that is logged in, or was."""
        return self._logged_in

    def now(self) -> float:
        """Return the time on the clock."""
        return self._clock()

    def position(self) -> int:
        """Return the time of the recording now, in nanoseconds since the epoch; 0 before the first event."""
        if self._speed is None or self._began is None:
            return self._ats[max(0, self._next - 1)] if self._ats else 0
        at, begin = self._began
        return at + int((self._clock() - begin) * self._speed * NANOSECONDS)

    def is_wanted(self, event: Any) -> bool:
        """Return whether the program has asked for this: a row of what it subscribes to, and whatever is no row."""
        if self._wanted is None:
            return True
        try:  # a third of the time that `isinstance` takes
            items = self._wanted.get(event.type_code, ())
        except AttributeError:
            if not isinstance(event, Stale | Snapshot):
                return True
            items = self._wanted.get(event.type, ())
            return event.item in items or row_item(event.item) in items
        if event.item in items:
            return True
        if event.type_code in self._condition_types:
            return number_of(event.fid("841") or "") in items
        return "" in items

    # Calls of the user: as those of a `Session`.

    def subscribe(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        replace: bool = False,
        fresh_within: float | None = None,
        transient: bool = False,
    ) -> Request:
        """Take a call that wants items for a type. `Stale` is reported as it was recorded."""
        self._check_open()
        return self._asked(self._registrations.subscribe(type, items, group, replace, fresh_within, transient))

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Take a call that no longer wants items for a type."""
        self._check_open()
        return self._asked(self._registrations.unsubscribe(type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Take a call that wants, or no longer wants, what a hand-built message names."""
        self._check_open()
        return self._asked(self._registrations.request(message))

    def list_conditions(self) -> Request:
        """Take a call that asks for the saved conditions."""
        self._check_open()
        return self._asked(self._searches.list_conditions())

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Take a call that searches, once or live."""
        self._check_open()
        return self._asked(self._searches.search_condition(seq, live=realtime, next_key=next_key))

    def clear_condition(self, seq: str) -> Request:
        """Take a call that ends a live search."""
        self._check_open()
        return self._asked(self._searches.clear_condition(seq))

    def withdraw(self, request: Request) -> None:
        """Take a call back."""
        self._registrations.withdraw(request)
        self._searches.withdraw(request, is_connected=True)
        self._advance()

    def close(self) -> None:
        """End."""
        self._end(Closed(1000, "", None, 1000, epoch=self.epoch))

    # Calls of the driver.

    def events(self) -> Batch:
        """Return what has happened since the last call, in order, and forget it."""
        events, self._events = self._events, Batch()
        return events

    def data_to_send(self) -> bytes:
        """Return nothing: there is nobody to send it to."""
        return b""

    def receive_eof(self, error: str | None = None) -> None:
        """Ignore the end of a stream: there is none."""

    def next_timeout(self) -> float:
        """Return when the next event is due, in seconds on the clock; infinite if it is over."""
        if self.state is SessionState.CLOSED:
            return math.inf
        return self._due_at(self._ats[self._next]) if self._fill() else self._clock()

    def handle_timeout(self) -> int:
        """Report what is due, at most `MAX_AT_ONCE` events. Return how many were read."""
        if self.state is SessionState.CLOSED:
            return 0
        if not self._fill():
            self._end(self._closed or Closed(1000, OVER, None, epoch=self.epoch))
            return 0
        count = 0
        while count < MIN_AT_ONCE:
            begin, end = self._next, min(len(self._ats), self._next + MAX_AT_ONCE)
            if self._speed is not None:
                now = self._clock()
                end = next((place for place in range(begin, end) if self._due_at(self._ats[place]) > now), end)
            self._next = end
            if begin or end < len(self._ats):
                self._report(self._read[begin:end])
            else:  # all of it, without a copy; what a program has read is then free for what is read next
                events, self._read = self._read, []
                self._report(events)
            count += end - begin
            if end < len(self._ats) or not self._fill():
                break
        return count

    def skip_login(self) -> None:
        """Read on to the login, or the end: what `connect` waits for."""
        while self._fill():
            event = self._read[self._next]
            if self._logged_in and not _begins_session(event):
                break
            self._next += 1
            self._report([event])
        if self._fill():
            self._began = self._ats[self._next], self._clock()

    # What was recorded.

    def _fill(self) -> bool:
        """Read on if everything read is reported. Return whether there is anything to report."""
        while self._next == len(self._ats):
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._ats, self._read, self._has_rows_only = batch
            self._next = 0
        return True

    def _due_at(self, at: int) -> float:
        """Return when a time of the recording comes, in seconds on the clock."""
        if self._speed is None or self._began is None:
            return self._clock()
        began_at, began = self._began
        return began + (at - began_at) / NANOSECONDS / self._speed

    def _report(self, events: list[Event]) -> None:
        if not events:
            return
        if not self._has_rows_only and not all(issubclass(cls, Record) for cls in set(map(type, events))):
            self._events.rows_only = False
            events = [event for event in events if isinstance(event, Record) or self._note(event)]
            events = [event.as_received() if isinstance(event, Snapshot) else event for event in events]
        if not events:
            return
        self.epoch = events[-1].epoch
        if self._subscriptions.freshness.is_watching:
            rows = [event for event in events if isinstance(event, Record)]
            self._subscriptions.freshness.note_rows(rows, self._clock())
        self._events += events

    def _note(self, event: Event) -> bool:
        """Learn from an event that is no row. Return whether it is reported."""
        if _begins_session(event):
            if self._closed is not None and self._logged_in:
                self._events.append(self._closed)
            self._closed, self._logged_in = None, False
        match event:
            case Connecting():
                self.state = SessionState.CONNECTING
                return self._logged_in
            case Opened(header=header):
                self.header = header
                return self._logged_in
            case LoggedIn():
                was_logged_in, self._logged_in = self._logged_in, True
                self.state, self.disconnected = SessionState.READY, None
                return was_logged_in
            case Disconnected():
                self.state, self.disconnected = SessionState.WAITING, event
                return self._logged_in
            case LoginRefusal():
                return self._logged_in
            case RequestAccepted() | RequestRefusal() | RequestUnanswered() | ConditionList() | ConditionResult():
                return self._note_answer(event)
            case Stale():
                self._subscriptions.freshness.note_stale(event.type, event.item)
            case Evicted():
                return self._wanted is None  # a program that subscribes learns of what its own calls evict
            case Closed():
                self._closed = event  # reported once it is known whether another session follows
                return False
        return True

    def _note_answer(
        self, event: RequestAccepted | RequestRefusal | RequestUnanswered | ConditionList | ConditionResult
    ) -> bool:
        """Return whether an answer belongs to none of the recorded program's calls."""
        request = event.request
        about: set[object] = set(request.keys) if request.kind in (REGISTER, REMOVE) else {number_of(request.seq)}
        if isinstance(event, RequestAccepted):
            if request.kind in (REMOVE, CLEAR):
                self._accepted -= about
            elif request.kind is REGISTER or request.live:
                self._accepted |= about
            return False
        return (request.kind is REGISTER or request.live) and about <= self._accepted

    def _end(self, closed: Closed) -> None:
        if self.state is not SessionState.CLOSED:
            self.state = SessionState.CLOSED
            self._batches = iter(())  # closes the file
            self._events.rows_only = False
            self._events.append(closed)

    # What is asked.

    def _check_open(self) -> None:
        if self.state is SessionState.CLOSED:
            raise LocalProtocolError("the session is closed")

    def _asked(self, request: Request) -> Request:
        if request.kind is REGISTER or request.live:
            self.wants_all = False
            self._wanted = self._wanted or {}  # from now on, only what is asked for
        self._advance()
        return request

    def _advance(self) -> None:
        """Answer what is asked."""
        now = self._clock()
        while True:
            self._registrations.send(self._link, now)
            self._searches.send(self._link, now)
            asked = self._link.pop_asked()
            if not asked:
                break
            for request in asked:
                self._answer(request, now)
        self._registrations.answer_calls()
        for answer in (*self._searches.pop_answers(), *self._registrations.pop_answers()):
            self._say(answer)
        if self._wanted is not None:
            self._wanted = self._find_wanted()

    def _answer(self, request: Request, now: float) -> None:
        if request.kind in (REGISTER, REMOVE):
            self._say(self._registrations.handle_answer(RequestAccepted(request)))
            return
        if request.kind is not CLEAR:
            found = self._find_answer(request)
            if found is None:
                self._say(self._searches.handle_answer(RequestRefusal(request, "", NOT_RECORDED), now))
                return
            self._say(self._searches.handle_answer(attrs.evolve(found, request=request), now))
        self._say(self._searches.handle_answer(RequestAccepted(request), now))

    def _say(self, answer: Event | None) -> None:
        if answer is not None:
            self._events.rows_only = False
            self._events.append(answer)

    def has_answer(self, kind: RequestKind, seq: str = "", live: bool = False, next_key: str = "") -> bool:
        """Return whether `answers` holds one that was not given yet to such a request."""
        wanted = Request(kind, seq=seq, live=live, next_key=next_key)
        return any(place not in self._used for place in self._places(wanted))

    def _find_answer(self, request: Request) -> ConditionList | ConditionResult | None:
        """Return the next recorded answer to such a request, the last one again after that; None: there is none."""
        places = self._places(request)
        place = next((place for place in places if place not in self._used), places[-1] if places else None)
        if place is None:
            return None
        self._used.add(place)
        return self.answers[place]

    def _places(self, request: Request) -> list[int]:
        question = _question(request)
        return [place for place, answer in enumerate(self.answers) if _question(answer.request) == question]

    def _find_wanted(self) -> dict[str, set[str]]:
        wanted: dict[str, set[str]] = {}
        for of in self.subscriptions:
            if of.type in self._account_types:
                item = ""  # rows of the account come whatever item was registered [official pages]
            else:
                item = number_of(of.item) if of.type in self._condition_types else row_item(of.item)
            wanted.setdefault(of.type, set()).add(item)
        return wanted


class _Link:
    """What stands for a connection: it takes what is asked."""

    state = ConnectionState.READY

    def __init__(self, us: bool) -> None:
        self._us = us
        self._asked: list[Request] = []

    def pop_asked(self) -> list[Request]:
        """Return what was asked since the last time, and forget it."""
        asked, self._asked = self._asked, []
        return asked

    def request(self, message: Reg | Remove) -> Request:
        return self._ask(message)

    def list_conditions(self) -> Request:
        return self._ask(condition_list(us=self._us))

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        return self._ask(condition_search(seq, live=realtime, next_key=next_key, us=self._us))

    def clear_condition(self, seq: str) -> Request:
        return self._ask(condition_clear(seq, us=self._us))

    def _ask(self, message: Message) -> Request:
        request = ticket_for(message)
        self._asked.append(request)
        return request


def _begins_session(event: Event) -> bool:
    """Return whether an event is the first of a session."""
    return event.sequence == 1 and not isinstance(event, Record)


def _question(request: Request) -> tuple[RequestKind, str, bool, str]:
    return request.kind, number_of(request.seq), request.live, request.next_key

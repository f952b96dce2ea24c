"""Pool: several sessions as one feed, without I/O, for more items than one app key may have.

THEORY OF OPERATION

A pool owns one session for each token, its members. Each has its own connection, pace, quota, reconnection and gaps,
as if it were alone; what it is asked for, and what is made of its end, is decided here. Calls and events are those of
a session; for bytes, needs and deadlines a driver serves each of `members` as it would serve a session.

* Where an item goes, and when it moves: pool_subscriptions.py and placement.py. Calls wait as in pending.py.
* Condition searches are all on one member: pool_searches.py.
* There is one stream. `sequence` numbers the events of the pool, and orders them, but for trades that a member has held
  back: they stay behind what they stood behind there. `epoch` numbers the connections of
  each member in a range of its own, so each event, rows included, has a `token_index`: which member it came from.
* A pool goes on while one member lives. The end of a member is a `MemberLost`, that of the last one is `Closed`, whose
  error names the reasons of all.

What members have reported is taken over before anything else is done, so that their order stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from ..config import ClientConfig
from ..endpoint import Endpoint, checked_config
from ..errors import LocalProtocolError, PoolLost
from ..events import (
    Batch,
    Closed,
    Disconnected,
    Event,
    Gap,
    LoggedIn,
    MemberLost,
    Numbering,
    RequestRefusal,
    Unplaced,
)
from ..headers import ResponseHeader
from ..realtime.catalogue import codes_of_scope, extended_catalogue
from ..realtime.record import Record
from ..realtime.traits import Scope
from ..request import Request, RequestKind
from ..symbol import Symbol
from ..wire.messages import Reg, Remove
from ..wire.rfc6455 import check_close
from .lifecycle import SessionState
from .market_clock import MarketStatus
from .member import Member, MemberNumbering
from .pending import CallAnswer, PendingCalls
from .pool_searches import PoolSearches
from .pool_subscriptions import PoolSubscriptions
from .quota import QUOTA_CODES
from .searches import Answer
from .subscriptions import Subscription

__all__ = ("Pool",)

NO_ROOM = "no token has room for all of it any more"
BEST_FIRST = (
    SessionState.READY,
    SessionState.CONNECTING,
    SessionState.AUTHORIZING,
    SessionState.WAITING,
    SessionState.CLOSING,
    SessionState.CLOSED,
)


class Pool:
    """Several sessions as one feed. Single use.

    Args:
        endpoint: where all of them connect.
        size: number of tokens, and of members.
        config: deadlines, limits and policies of each of them.
        clock: returns seconds, never going back.
        random: returns numbers from 0 to below 1, for the delays between attempts: `random.random`.
        random_bytes: source of the WebSockets' keys and masks; None: the system's.
        types: your own record classes, added to the catalogue or replacing one with the same type code.

    Attributes:
        members: the sessions, in the order of the tokens. Call `connect` of each, and serve it as any session; then
            call `events` of the pool.

    Raises:
        LocalProtocolError: an argument is invalid.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        size: int,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None = None,
        types: Iterable[type[Record]] = (),
    ) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise LocalProtocolError(f"size: must be a whole number above 0, not {size!r}")
        self.endpoint = endpoint
        self.config = checked_config(endpoint, config)
        known_types = extended_catalogue(types)
        self.capture = None
        """What taps a session for a recording: a pool has none."""
        self._clock = clock
        self._numbering = Numbering(epoch=0)
        self._events = Batch()
        self.members = tuple(
            Member(
                endpoint,
                self.config,
                index=index,
                clock=clock,
                random=random,
                random_bytes=random_bytes,
                types=known_types.values(),
                numbering=MemberNumbering(self._numbering, index),
            )
            for index in range(size)
        )
        self._subscriptions = PoolSubscriptions(self.members, codes_of_scope(known_types, Scope.ACCOUNT))
        self._calls = PendingCalls(endpoint, known_types, self.config, self._subscriptions)
        self._searches = PoolSearches(self.members)
        self._ends: dict[int, Closed] = {}  # of the members that have ended
        self._is_over = False
        self._close_asked = False
        self._answers: list[Answer] = []  # to condition calls, that no member gave
        self._troubles: list[tuple[Member, str]] = []  # which members have lost items, and why

    # State: see the properties of `Session` with the same names.

    @property
    def state(self) -> SessionState:
        """The state of the member that is furthest: READY if one is."""
        if self._is_over:
            return SessionState.CLOSED
        if self._close_asked:
            return SessionState.CLOSING
        return min((member.state for member in self.members), key=BEST_FIRST.index)

    @property
    def disconnected(self) -> Disconnected | None:
        """The newest loss or failed attempt of a member; None while one is logged in."""
        if self.state is SessionState.READY:
            return None
        found = (member.disconnected for member in self.members)
        return max((each for each in found if each is not None), key=lambda each: each.sequence, default=None)

    @property
    def header(self) -> ResponseHeader | None:
        """The header elements of the last answer to the first member that has one."""
        return next((member.header for member in self.members if member.header is not None), None)

    @property
    def epoch(self) -> int:
        """Number of connections that the members have begun to make."""
        return sum(member.connections for member in self.members)

    @property
    def bytes_received(self) -> int:
        """Bytes received from the network so far, by all members."""
        return sum([member.bytes_received for member in self.members])  # at each read: a list is faster

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live searches last, and how far each has come."""
        return self._subscriptions.snapshot() + self._searches.snapshot()

    @property
    def is_settled(self) -> bool:
        """Whether a member is logged in, and the servers have answered everything that is wanted of such members."""
        ready = [member for member in self.members if member.state is SessionState.READY]
        return bool(ready) and all(member.is_settled for member in ready)

    @property
    def watches_freshness(self) -> bool:
        """Whether a row can move the deadline: some subscription has `fresh_within`."""
        return any(member.watches_freshness for member in self.members)

    @property
    def market(self) -> MarketStatus:
        """Which session the market is in, as the member knows that has 0s, or else the one that has read last."""
        member = self._subscriptions.market_member()
        return (max(self.members, key=lambda each: each.last_read) if member is None else member).market

    @property
    def is_starting(self) -> bool:
        """Whether the first login of some member has neither succeeded nor failed for good."""
        return any(member.is_starting for member in self.members)

    # Calls of the user: see the methods of `Session` with the same names.

    def subscribe(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        replace: bool = False,
        fresh_within: float | None = None,
        transient: bool = False,
    ) -> Request:
        """Subscribe to items for one real-time type, wherever there is room; for account types, with every token.

        Args and errors as `Session.subscribe`; `QuotaExceeded` is for all tokens together.
        """
        self._begin()
        return self._asked(self._calls.subscribe(type, items, group, replace, fresh_within, transient))

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Undo one `subscribe`. Args and errors as `Session.unsubscribe`."""
        self._begin()
        return self._asked(self._calls.unsubscribe(type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Subscribe to, or unsubscribe from, what a hand-built message names. Args and errors as `Session.request`."""
        self._begin()
        return self._asked(self._calls.request(message))

    def list_conditions(self) -> Request:
        """Ask for the saved conditions (조건검색 목록조회). As `Session.list_conditions`."""
        self._begin()
        return self._asked(self._searches.list_conditions())

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Ask which stocks meet a condition (조건검색 요청). Args and errors as `Session.search_condition`."""
        self._begin()
        return self._asked(self._searches.search_condition(seq, realtime=realtime, next_key=next_key))

    def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제). Args and errors as `Session.clear_condition`."""
        self._begin()
        return self._asked(self._searches.clear_condition(seq))

    def withdraw(self, request: Request) -> None:
        """Take a call back: it no longer counts as a consumer, and is no longer answered. As `Session.withdraw`."""
        self._collect()
        if request.kind.is_condition:
            self._searches.withdraw(request)
        else:
            self._calls.withdraw(request)
        self._advance()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close every member. As `Session.close`."""
        check_close(code, reason)
        self._collect()
        self._close_asked = True
        for member in self.members:
            member.close(code, reason)

    # Calls of the driver, which serves each member beside them.

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None: not before something else happens."""
        times = [member.next_timeout() for member in self.members]
        if not self._close_asked:
            times += [self._dead_at(member) for member in self.members]
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock, members included. Harmless if nothing is."""
        for member in self.members:
            member.handle_timeout()
        self._collect()
        if self._close_asked:
            return
        now = self._clock()
        for member in self.members:
            dead_at = self._dead_at(member)
            if dead_at is not None and now >= dead_at:
                member.is_dead = self._subscriptions.is_unsettled = True
                self._troubles.append((member, f"no connection for {self.config.move_after:g} s"))
                self._advance()

    def events(self) -> Batch:
        """Return what has happened since the last call, in order, and forget it."""
        self._collect()
        events, self._events = self._events, Batch()
        return events

    def __repr__(self) -> str:
        return f"<Pool of {len(self.members)}, {self.endpoint}, {self.state.value}>"

    # What the members report.

    def _collect(self) -> None:
        """Take over what the members have reported since the last time."""
        batches = self._drain()
        if len(batches) == 1 and (batch := batches[0][1]).rows_only:
            if self._events or not self._events.rows_only:
                self._events += batch
            else:
                self._events = batch  # nearly always: no copy
        elif batches:
            self._handle_batches(batches)
            self._advance()

    def _drain(self) -> list[tuple[Member, Batch]]:
        return [(member, member.events()) for member in self.members if member.has_events]

    def _handle_batches(self, batches: list[tuple[Member, Batch]]) -> None:
        if not all(batch.rows_only for _, batch in batches):
            self._events.rows_only = False
        reported = []
        for member, batch in batches:
            number = 0  # a row that was held back has a lower number than what it now stands behind
            for event in batch:
                number = max(number, event.sequence)
                reported.append((number, member, event))
        reported.sort(key=lambda found: found[0])
        for _, member, event in reported:
            if isinstance(event, Record):
                self._events.append(event)
            else:
                self._handle_event(member, event)

    def _handle_event(self, member: Member, event: Event) -> None:
        reported: Event | None = event
        if isinstance(event, Answer) and event.request.kind.is_condition:
            reported = self._searches.handle_answer(event)
        elif isinstance(event, RequestRefusal):
            reported = self._handle_refusal(member, event)
        elif isinstance(event, LoggedIn):
            self._subscriptions.member_ready(member)
        elif isinstance(event, Disconnected):
            member.note_down(self._clock(), event.closed)
        elif isinstance(event, Closed):
            reported = self._handle_end(member, event)
        if reported is not None:
            self._events.append(reported)

    def _handle_refusal(self, member: Member, refusal: RequestRefusal) -> RequestRefusal | None:
        """Handle the refusal of a message of a member. Return it if it must be reported as it is."""
        if refusal.request.kind is RequestKind.REGISTER and refusal.code in QUOTA_CODES:
            self._subscriptions.member_refused(member, refusal.request.keys)
            self._troubles.append((member, refusal.reason))
            return None
        return refusal if self._calls.refuse_calls(refusal) else None

    def _handle_end(self, member: Member, closed: Closed) -> MemberLost | None:
        """Handle the end of a member: others take its place, unless it was the last or it was asked for."""
        self._ends[member.index] = closed
        if self._close_asked or len(self._ends) == len(self.members):
            return None
        member.note_down(self._clock(), closed)
        self._subscriptions.member_over(member)
        self._troubles.append((member, f"lost for good: {closed.error}"))
        return MemberLost(closed, epoch=closed.epoch, sequence=closed.sequence)

    # What follows.

    def _begin(self) -> None:
        self._collect()
        if self.state in (SessionState.CLOSING, SessionState.CLOSED):
            raise LocalProtocolError(f"the pool is {self.state.value}")

    def _asked(self, request: Request) -> Request:
        self._advance()
        return request

    def _advance(self) -> None:
        """Act on what has changed until nothing more follows, and report it after what the members report of it."""
        goes_on = True
        while goes_on:
            goes_on = self._act()
            batches = self._drain()
            if batches:
                self._handle_batches(batches)
                goes_on = True
        self._calls.answer_calls()
        for answer in (*self._answers, *self._calls.pop_answers()):
            self._report(answer)
        self._answers.clear()
        if len(self._ends) == len(self.members):
            self._end()
            return
        for loss, read_at, items in self._subscriptions.pop_restored():
            self._report(Gap(loss.start, read_at, loss.last_sequence, items), loss.epoch)
        if self._troubles:
            reason = "; ".join(dict.fromkeys(f"token {member.index}: {reason}" for member, reason in self._troubles))
            items = self._subscriptions.pop_unplaced(reason)
            if items:
                self._report(Unplaced(items, reason), self._troubles[-1][0].epoch)
            self._troubles.clear()

    def _act(self) -> bool:
        """Find places for what needs one, and let the members send. Return whether more may follow."""
        if self._close_asked or len(self._ends) == len(self.members):
            return False
        subscriptions = self._subscriptions
        self._calls.handle_dropped(subscriptions.settle())
        homeless = subscriptions.homeless_keys()
        if homeless:
            self._calls.refuse_calls(RequestRefusal(Request(RequestKind.REGISTER, homeless), "", NO_ROOM))
        self._answers += self._searches.settle()
        touched = subscriptions.pop_touched()
        for member in touched:
            member.advance()
        return bool(touched) or subscriptions.is_unsettled

    def _end(self) -> None:
        """Report the end, after everything else, once."""
        if self._is_over:
            return
        self._is_over = True
        errors = tuple(self._ends[member.index].error for member in self.members)
        error = None if self._close_asked else errors[0] if len(errors) == 1 else PoolLost(errors)
        last = max(self._ends.values(), key=lambda closed: closed.sequence)
        self._report(attrs.evolve(last, error=error), last.epoch)

    def _dead_at(self, member: Member) -> float | None:
        """Return when the items of a member move; None: it is logged in, or they have moved."""
        if member.is_dead or member.is_over or member.down_since is None:
            return None
        return member.down_since + self.config.move_after

    def _report(self, event: Gap | Unplaced | Closed | Answer | CallAnswer, epoch: int = 0) -> None:
        self._events.append(attrs.evolve(self._numbering.stamp(event), epoch=epoch))
        self._events.rows_only = False

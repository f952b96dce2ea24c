"""Which row goes to whom: the fan-out of a client's events, in the turn in which their bytes came.

* A `Sink` takes rows of one type: a stream, a callback, the newest row. It names the items as rows name them: "NVDA"
  for "NVDA:ND", "MGU" for "MGD"; none for every item. Rows of the account come whatever item was registered, so a sink
  of such a type takes all of them. A sink for "" (a type for the whole market) takes all rows of its type.
* A row goes to every sink that covers it. It goes to the client's own iteration too if a call of the client wants it
  (`subscribe`, `request`, `search_condition`), and if nobody is known to want it. Registrations are counted by the
  session, so what the client's calls want is what is wanted beyond what the sinks hold.
* A row that names no item, of a type that is about items, goes to the client's own iteration: it may be about any.
* After a sink has given its registration up, rows of it may come until the server has removed it. They go to nobody.
* A `Snapshot` is for whoever gets the rows of its type and item. Streams, callbacks and newest rows take its record as
  a row; of trades, those that were missed. One with trades that came late, which they do not get, is for the client's
  own iteration, too. Snapshots of many records (orders, holdings, interruptions) are not rows:
  they go to the client's own iteration, whoever subscribed.
* Everything else (notices, replies) goes to the client's own iteration.
* A sink whose registration is gone is told: another call replaced it, or the server refused to renew it. If it is
  transient, the items that it lost are named by `Evicted`, whether others needed their room or another call gave them
  up, and it goes on until none is left.
* A sink is told what its rows are missing for: a `Gap`; `Unplaced` and `Evicted` that name items of it; if its rows are
  about the account, `MemberLost`. A sink with `fresh_within` is told of silence: `Stale` of its type and items. In a
  replay every sink is told of a `RecordingHole`; a recorder's hole is none in the rows of a live client. The client's
  own iteration gets these events too.

Who gets the rows of one type and item is looked up once and kept until something changes, so a row costs two lookups
and one call for each that gets it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol, TypeAlias, cast

from ..events import (
    ConditionResult,
    Disconnected,
    Event,
    Evicted,
    Gap,
    MemberLost,
    RecordingHole,
    RequestAccepted,
    RequestRefusal,
    Snapshot,
    Stale,
    StreamGap,
    Unplaced,
)
from ..realtime.catalogue import ACCOUNT_TYPES, condition_type
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..realtime.traits import Scope
from ..request import Key, Request, number_of
from ..session.lifecycle import SubscriptionState
from ..session.snapshot_tables import TRADES
from ..session.snapshots import MERGED_TYPES
from ..session.subscriptions import Subscription
from .buffer import BufferStats
from .errors import RequestRefused

__all__ = ("Callback", "Due", "Router", "Sink")

Due: TypeAlias = Record | StreamGap | RequestRefused
"""What a callback is called with, or why it gets nothing more."""

MAX_LOOKUPS = 16_384
"""Maximum number of types and items that are kept: the server may name any number."""
GIVEN_UP = "given up by another call: `replace=True` in its group, or one `unsubscribe` too many"
EVICTED = "evicted for items that are not transient, or given up by another call"

_CONDITION_TYPES = frozenset(condition_type(us) for us in (False, True))


class Callback(Protocol):
    """Something to call once the client has seen to everything else."""

    def call(self, event: Due, /) -> None:
        """Call what the user gave, or say that nothing more will come."""


class Sink:
    """Something that takes rows beside the client's own iteration.

    Attributes:
        code: the type of its rows.
        items: the items as rows name them; empty: every item.
        request: what it has registered; None: nothing.
        pending: rows and gaps since the last `flush`.
        take: called with each of its rows.
        is_read: whether somebody has begun to iterate it.
        answers_alone: whether the answer to its request is for nobody else; False: a call waits for it.
        is_transient: whether its items may be evicted.
        hears_silence: whether it has asked when its items are silent for too long.
        gaps: how often it was told that rows of it are missing.
        silences: how often it was told that an item was silent for too long.
    """

    take: Callable[[Record], object]
    answers_alone = False
    is_read = False
    is_transient = False
    hears_silence = False

    def __init__(self, code: str, items: Iterable[str] = ()) -> None:
        self.code = code
        self.items: Collection[str] = frozenset(map(row_item, items))
        self.request: Request | None = None
        self.pending: list[Event] = []
        self.gaps = 0
        self.silences = 0
        self._lost: set[Key] = set()
        self._evicted: set[str] = set()  # items that it lost, as it was told by the session
        self._lossy_tokens: set[int] = set()  # the tokens between the loss of their connection and its gap

    @property
    def keys(self) -> tuple[Key, ...]:
        """The registrations that it holds."""
        if self.request is None:
            return ()
        keys = self.request.keys or (("", self.code, self.request.seq),)
        return tuple(key for key in keys if key not in self._lost) if self._lost else keys

    @property
    def is_accepted(self) -> bool:
        """Whether the server has acknowledged what it has registered."""
        return self.request is not None and self.request.confirmed >= self.request.parts

    def covers(self, row: Record, name: str) -> bool:
        """Return whether it takes a row.

        Args:
            row: the row, of its type.
            name: the item that the row names, or the number of its condition.
        """
        return not self.items or _covers(self.items, row, name)

    def check(self, standing: Mapping[Key, Subscription]) -> None:
        """See that what it holds is still registered.

        Args:
            standing: everything that is wanted of the session.
        """
        if self.request is None or not self.is_accepted:
            return
        gone = [key for key in self.keys if key not in standing]
        self._lost.update(gone)  # if they come back, somebody else has asked for them
        replaced = tuple(item for _, _, item in gone if item not in self._evicted)
        if self.is_transient and replaced:
            self.gaps += 1
            self.say_gap(Evicted(replaced))
            self.flush(0)
        for each in (standing[key] for key in self.keys):
            if each.state is SubscriptionState.REFUSED:
                self.lose(RequestRefused(self.request, "", each.reason))
        if self._lost and not (self.is_transient and self.keys):
            self.lose(RequestRefused(self.request, "", EVICTED if self.is_transient else GIVEN_UP))

    def connection_lost(self, token_index: int) -> None:
        """Note that rows are missing from now on, of what a token has, until its `Gap`."""
        self._lossy_tokens.add(token_index)

    def handle_gap(self, event: StreamGap) -> None:
        """Count what its rows are missing for, or may be, and say it as wished."""
        if not self._concerns(event):
            return
        if isinstance(event, Stale):
            self.silences += 1
        else:
            self.gaps += 1
        self.say_gap(event)

    def _concerns(self, event: StreamGap) -> bool:
        if isinstance(event, RecordingHole):
            return True
        if isinstance(event, MemberLost):
            return self.code in ACCOUNT_TYPES
        if isinstance(event, Stale):
            is_its_item = not self.items or self.code in ACCOUNT_TYPES or row_item(event.item) in self.items
            return self.hears_silence and event.type == self.code and is_its_item
        if isinstance(event, Evicted) and self.request is not None:
            lost = {item for _, _, item in self.keys if item in event.items and self.is_transient}
            self._evicted |= lost
            return bool(lost)
        if isinstance(event, Gap) and not event.items:  # otherwise they moved to another connection
            is_lossy = event.token_index in self._lossy_tokens
            self._lossy_tokens.discard(event.token_index)
            return is_lossy
        return not self.items or any(row_item(item) in self.items for item in event.items)

    def stats(self) -> BufferStats | None:
        """Return the counters of its rows; None: it is no consumer, and counts none."""
        return None

    # What a subclass does about it. Nothing unless it says so.

    def flush(self, size: int) -> None:
        """Take over what is `pending`, which came in so many bytes."""

    def say_gap(self, event: StreamGap) -> None:
        """Say that rows of it are missing, or may be; it is counted already."""

    def take_restored(self, row: Record) -> None:
        """Take a row of a snapshot."""
        self.take(row)

    def handle_result(self, result: ConditionResult) -> None:
        """Note a new answer to a live search."""

    def lose(self, error: RequestRefused) -> None:
        """Note that a registration of it is gone. It may be told more than once."""

    def end(self) -> None:
        """Note that the session has ended."""


def _covers(items: Collection[str], row: Record, name: str) -> bool:
    """Return whether registrations of these items bring a row that names this one."""
    return name in items or "" in items or row.scope is Scope.ACCOUNT


class Router:
    """The fan-out of one client.

    Args:
        subscriptions: returns everything that is wanted of the session.

    Attributes:
        due: callbacks to be called, and what with, once everything else has been seen to.
        is_active: whether anything must be routed. If not, all events are for the client's own iteration.
        past: the counters of all that have been removed, and how many gaps they had; None: none was.
        on_refresh: called after each look at what is wanted.
        keeps_unasked: whether the client's own iteration gets rows that nobody is known to want.
        is_replay: whether the rows come from a recording, so that what it lacks is missing for every sink.
    """

    def __init__(self, subscriptions: Callable[[], Iterable[Subscription]]) -> None:
        self.due: deque[tuple[Callback, Due]] = deque()
        self.is_active = False
        self.keeps_unasked = True
        self.is_replay = False
        self.past: tuple[BufferStats, int] | None = None
        self.on_refresh: Callable[[], object] = _do_nothing
        self._subscriptions = subscriptions
        self._sinks: list[Sink] = []
        self._left: set[Key] = set()  # given up, and perhaps not removed by the server yet
        self._silent: dict[str, set[str]] = {}  # type -> items of `_left`
        self._called_for: dict[str, set[str]] = {}  # type -> items that calls of the client want
        self._takers: dict[str, dict[str, list[Callable[[Record], object]]]] = {}  # type -> item -> who gets a row
        self._lookups = 0
        self._own: list[Event] = []  # for the client's own iteration

    # Sinks come and go.

    def add(self, sink: Sink) -> None:
        """Give a sink its rows from now on."""
        self._sinks.append(sink)
        self._look()

    def remove(self, sink: Sink) -> None:
        """Give a sink nothing more. What it holds must be given up before the next `refresh`."""
        if sink in self._sinks:
            self._sinks.remove(sink)
            sink.pending.clear()
            self._add_to_past(sink)
            self._left.update(sink.keys)
            self._forget_lookups()

    def refresh(self) -> None:
        """Look at what is wanted: call it after every call into the session that brought no rows alone.

        What the session said of it must have been routed: a sink is told by an event, if there is one.
        """
        standing = self._look()
        for sink in tuple(self._sinks):
            sink.check(standing)
        self.is_active = bool(self._sinks or self._left)

    def _look(self) -> dict[Key, Subscription]:
        """Find out who wants what. Return everything that is wanted."""
        held = Counter(key for sink in self._sinks for key in sink.keys)
        called_for: dict[str, set[str]] = {}
        left: set[Key] = set()
        standing: dict[Key, Subscription] = {}
        for each in self._subscriptions():
            key = each.group, each.type, each.item
            if each.state is SubscriptionState.LEAVING:
                left.add(key)
                continue
            standing[key] = each
            if each.consumers > held[key]:
                called_for.setdefault(each.type, set()).add(_name_of(key))
        # A search that is being cleared is not listed.
        self._left = {key for key in self._left - standing.keys() if key in left or key[1] in _CONDITION_TYPES}
        silent: dict[str, set[str]] = {}
        for key in self._left:
            silent.setdefault(key[1], set()).add(_name_of(key))
        self._called_for, self._silent = called_for, silent
        self._forget_lookups()
        self.is_active = bool(self._sinks or self._left)
        self.on_refresh()
        return standing

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Everything that takes rows now."""
        return tuple(self._sinks)

    @property
    def is_read(self) -> bool:
        """Whether somebody iterates a stream."""
        return any(sink.is_read for sink in self._sinks)

    # Events.

    def route_rows(self, rows: list[Event], size: int) -> list[Event]:
        """Give out what one read brought, if that is rows alone.

        Args:
            rows: the rows.
            size: bytes that they came in.

        Returns:
            What the client's own iteration gets.
        """
        takers = self._takers
        for row in cast("list[Record]", rows):
            try:
                found = takers[row.type_code][row.item]
            except KeyError:
                found = self._look_up(row)
            for take in found:
                take(row)
        return self._flush(len(rows), size)

    def route_events(self, events: list[Event], size: int, is_answer: Callable[[Event], bool]) -> list[Event]:
        """Give out events of any kind. Args and result as `route_rows`.

        Args:
            is_answer: gives a reply to the call that waits for it; returns whether it did.
        """
        for event in events:
            if isinstance(event, Record):
                for take in self._look_up(event):
                    take(event)
                continue
            if not (self._handle_notice(event) or is_answer(event)):
                self._own.append(event)
        return self._flush(len(events), size)

    def end(self) -> None:
        """Tell every sink that the session has ended."""
        for sink in self._sinks:
            sink.end()

    def is_taken(self, event: Event) -> bool:
        """Return whether the client's own iteration may lack this event: a notice, or a row that a sink gets too."""
        own = self._own.append
        return not isinstance(event, Record) or any(take != own for take in self._look_up(event))

    def _flush(self, count: int, size: int) -> list[Event]:
        for sink in self._sinks:
            if sink.pending:
                # A snapshot is one event of many rows, which came in no bytes of this line.
                sink.flush(size * len(sink.pending) // max(count, len(sink.pending)))
        own = self._own[:]
        self._own.clear()
        return own

    def _handle_notice(self, event: Event) -> bool:
        """Tell the sinks of an event that is not a row. Return whether it is for one of them alone."""
        match event:
            case Disconnected():
                for sink in self._sinks:
                    if sink.is_accepted or sink.request is None:
                        sink.connection_lost(event.token_index)
            case Gap() | Unplaced() | Evicted() | MemberLost() | Stale() | RecordingHole():
                if self.is_replay or not isinstance(event, RecordingHole):
                    for sink in self._sinks:
                        sink.handle_gap(event)
            case Snapshot() if event.type not in MERGED_TYPES:
                return self._share_snapshot(event)
            case ConditionResult():
                for sink in self._sinks:
                    if sink.code in _CONDITION_TYPES and number_of(event.seq) in sink.items:
                        sink.handle_result(event)
            case RequestAccepted() | RequestRefusal():
                for sink in self._sinks:
                    if event.request is sink.request and sink.answers_alone:
                        if isinstance(event, RequestRefusal):
                            sink.lose(RequestRefused(event.request, event.code, event.message))
                        return True
        return False

    def _share_snapshot(self, snapshot: Snapshot) -> bool:
        """Give out the rows of a snapshot. Return whether the client's own iteration does not get it."""
        rows = snapshot.missed or snapshot.records
        if not rows:
            return False
        is_held = False
        for sink in self._sinks:
            if sink.code == snapshot.type and sink.covers(rows[0], rows[0].item):
                is_held = is_held or sink.request is not None
                # The newest trade is no trade of the time since the stream began.
                for row in snapshot.missed[snapshot.late :] if snapshot.type == TRADES else rows:
                    sink.take_restored(row)
        return not (snapshot.late or self._is_own(rows[0], rows[0].item, is_held=is_held))

    def _add_to_past(self, sink: Sink) -> None:
        stats = sink.stats()
        if stats is None:
            return
        before, gaps = self.past or (BufferStats(0, 0, 0, 0, 0), 0)
        self.past = (
            BufferStats(
                before.received + stats.received,
                before.delivered + stats.delivered,
                before.dropped + stats.dropped + stats.waiting,
                before.conflated + stats.conflated,
                0,
            ),
            gaps + sink.gaps,
        )

    # Lookups.

    def _look_up(self, row: Record) -> list[Callable[[Record], object]]:
        """Return who gets a row."""
        found = self._takers.get(row.type_code, {}).get(row.item)
        if found is not None:
            return found
        is_hit = row.scope is Scope.CONDITION
        name = number_of(row.fid("841") or "") if is_hit else row.item
        sinks = [sink for sink in self._sinks if sink.code == row.type_code and sink.covers(row, name)]
        found = [sink.take for sink in sinks]
        if self._is_own(row, name, is_held=any(sink.request is not None for sink in sinks)):
            found.append(self._own.append)
        if not is_hit:  # which says of which condition it is in its values
            self._lookups += 1
            if self._lookups > MAX_LOOKUPS:
                self._forget_lookups()
            self._takers.setdefault(row.type_code, {})[row.item] = found
        return found

    def _is_own(self, row: Record, name: str, *, is_held: bool) -> bool:
        code = row.type_code
        if code in self._called_for and _covers(self._called_for[code], row, name):
            return True
        return self.keeps_unasked and not (is_held or (code in self._silent and _covers(self._silent[code], row, name)))

    def _forget_lookups(self) -> None:
        self._takers.clear()
        self._lookups = 0


def _do_nothing() -> None: ...


def _name_of(key: Key) -> str:
    """Return how rows of a registration name their item, or their condition."""
    _, type, item = key
    return number_of(item) if type in _CONDITION_TYPES else row_item(item)

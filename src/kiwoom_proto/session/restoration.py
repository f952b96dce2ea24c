"""What state is needed after a gap, and what becomes of the answers. Pure; `SnapshotNeeded` is what a driver fetches.

    registered  ──▶  waiting  ──▶  asked  ──▶  Snapshot
                        │            │
                        └─ a row ────┴──────▶  nothing more is needed

* A row of most types is the whole state, so it makes a snapshot unnecessary: one that waits is not asked for, and one
  that is on its way is ignored when it comes, since the row may be newer. Such rows are never held back.
* A snapshot of orders, holdings and interruptions (`MERGED_TYPES`) holds many records. A row that comes while it is on
  its way takes the place of the record of the same order, holding or interruption.
* Trades: what was missed is asked for too (missed_trades.py). Rows of an item with a hole are held back meanwhile, and
  are reported right behind its snapshot, so that trades come in order. When they have waited for too long or are too
  many (held_trades.py), when the call fails for good or is given up, or when the connection is lost, they are reported
  at once. What comes later than that is in a snapshot all the same, which says so (`Snapshot.late`).
* The account first, then what is pinned, then transient items, each in the order in which it was registered. At most
  `MAX_OUT` calls of one TR are out at a time: those that wait may be made unnecessary by rows.
* What fails and may succeed later is asked for again after 5, 20 and 60 s.
* The loss of the connection cancels everything. It begins anew once it is registered again.

What became of each subscription is told once nothing is open: `Recovered`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import attrs

from ..codes import Remedy
from ..config import RecoveryPolicy
from ..display import displayed
from ..errors import DeadlineExceeded, KiwoomError, TransportError
from ..events import Batch, Extent, Gap, Recovered, Snapshot
from ..events.snapshots import RecoveryResult
from ..realtime.catalogue import Types
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..request import Key
from .held_trades import HOLD, MAX_HELD, HeldTrades
from .missed_trades import TradeTape, day_of, find_missed, lowest_volume, newest_of
from .snapshot_needs import Call, SnapshotNeeded, Subject
from .snapshot_tables import NO_SOURCE, SOURCES, TRADES
from .snapshots import (
    MERGED_TYPES,
    Texts,
    combined,
    identity_of,
    record_of,
    records_of,
    rows_of,
    superseded_by,
)

__all__ = ("Restoration",)

MAX_OUT = 5
"""Maximum number of calls of one TR that are out at a time: what the server takes in a second."""
RETRY_AFTER = (5.0, 20.0, 60.0)
"""Seconds after which a call that failed is made again."""
MAX_ROWS = 10_000
"""Maximum number of rows that are remembered while the snapshot of their type is on its way."""
MAX_REASON = 200
"""Maximum length of a reason, in characters."""
TODAY = "{date}"
NOT_ASKED_FOR = "the missed trades are not asked for (RecoveryPolicy.missed_trades)"
TOO_MANY_ROWS = "too many rows came while it was on its way"
WAITED = f"rows had been waiting for {HOLD:g} s"
TOO_MANY_WAITED = f"{MAX_HELD:,} rows had been waiting"
LOST = "the connection was lost before"
CLOSES = "the session closes"
GIVEN_UP = "they were given up before"


class Restoration:
    """What one session needs, and what it has learned. Times are seconds on the session's clock.

    Args:
        policy: what is asked for; True: everything.
        types: the record classes by type code.
        is_wanted: whether some call still wants a subscription.
        clock: returns seconds, never going back.

    Attributes:
        events: what is to be reported, after the rows that caused it; rows among it were held back.
        is_watching: whether rows must be passed to `note_rows`.
    """

    def __init__(
        self,
        policy: RecoveryPolicy | bool,
        types: Types,
        is_wanted: Callable[[Key], bool],
        clock: Callable[[], float],
    ) -> None:
        self.events: list[Snapshot | Recovered | Record] = []
        self.is_watching = False
        self._policy = policy if isinstance(policy, RecoveryPolicy) else RecoveryPolicy()
        self._types = types
        self._is_wanted = is_wanted
        self._clock = clock
        self._subjects: dict[tuple[str, str], Subject] = {}
        self._tapes: dict[str, TradeTape] = {}  # by the item that rows of 0B name
        self._tape_keys: dict[str, set[Key]] = {}
        self._held = HeldTrades()
        self._holds = self._policy.missed_trades
        self._calls: dict[int, Call] = {}
        self._out: Counter[str] = Counter()  # calls that are out, by TR
        self._pages: list[SnapshotNeeded] = []  # further pages of calls that are out
        self._results: dict[tuple[str, str], RecoveryResult] = {}
        self._last_id = 0
        self._has_news = False  # whether something may be asked for
        self._is_catching_up = False  # whether rows say something about a hole

    def pop_events(self) -> list[Snapshot | Recovered | Record]:
        """Return what is to be reported, and forget it."""
        events, self.events = self.events, []
        return events

    # What the session tells it.

    def connection_lost(self) -> None:
        """Note that the connection is gone: nothing that was asked for is needed any more."""
        for call in self._calls.values():
            call.need.is_needed = False
        self._calls.clear()
        self._subjects.clear()
        self._out.clear()
        self._pages.clear()
        self.events += self._release(self._held.items, LOST)
        for tape in self._tapes.values():
            tape.connection_lost()
        self._update()

    def close(self) -> None:
        """Note that the session closes: nothing waits any more."""
        self._holds = False
        self.events += self._release(self._held.items, CLOSES)

    def gap_ended(self, gap: Gap) -> None:
        """Note that a `Gap` is reported now."""
        if gap.start and day_of(gap.start) != day_of(gap.end):
            for tape in self._tapes.values():
                tape.start_day()

    def registered(self, registrations: Iterable[tuple[Key, bool, bool]], *, after_gap: bool) -> None:
        """Note what was acknowledged.

        Args:
            registrations: the key of each, whether its item is not transient, and whether a row has come since the
                connection was made.
            after_gap: whether a `Gap` has just been reported, which tells of it.
        """
        for key, is_pinned, has_row in registrations:
            self._register(key, is_pinned, has_row, after_gap or self._policy.at_start)
        self._has_news = True
        self._update()

    def drop_unwanted(self) -> None:
        """Forget what no call wants any more."""
        for subject in tuple(self._subjects.values()):
            subject.keys = set(filter(self._is_wanted, subject.keys))
            if not subject.keys:
                self._close(subject)
        for item, keys in tuple(self._tape_keys.items()):
            keys.difference_update([key for key in keys if not self._is_wanted(key)])
            if not keys:
                self.events += self._release((item,), GIVEN_UP)
                del self._tape_keys[item], self._tapes[item]
        self._update()

    def note_rows(self, rows: Batch) -> Batch:
        """Note rows, and return those to be reported: nearly always the very same object.

        A row is left out if it repeats a trade that was reported as missed, and for now if it is held back. Then the
        batch is not `rows_only`: the deadline may have moved nearer.
        """
        tapes, subjects = self._tapes, self._subjects
        if rows.rows_only and not self._is_catching_up and not subjects:
            for record in cast("list[Record]", rows):  # nearly always: on the way of every row
                if record.type_code == TRADES and (tape := tapes.get(record.item)) is not None:
                    tape.last = record
            return rows
        kept: Batch | None = None
        for index, row in enumerate(rows):
            if not isinstance(row, Record):
                if kept is not None:
                    kept.append(row)
                continue
            tape = tapes.get(row.item) if row.type_code == TRADES else None
            is_new = tape is None or tape.note_row(row)
            is_held = is_new and tape is not None and tape.waits and self._holds
            if kept is None and (is_held or not is_new):
                kept = Batch(rows[:index])
            if is_held:
                assert kept is not None
                kept.rows_only = False
                kept += self._hold(row)
            elif is_new and kept is not None:
                kept.append(row)
            if is_new and subjects:
                self._note_row(row)
        self._update()
        return rows if kept is None else kept

    # What the driver asks and answers, through the session.

    def needed(self, now: float, time: int) -> list[SnapshotNeeded]:
        """Return the calls that are needed now and were not returned before, the most important first.

        Args:
            now: the present time.
            time: the same in nanoseconds since the epoch; 0 if it is not known.
        """
        if not self._has_news:
            return []
        self._has_news = False
        found, self._pages = self._pages, []
        waiting = [each for each in self._subjects.values() if not each.is_asked and each.not_before <= now]
        waiting.sort(key=lambda each: each.rank)
        for subject in waiting:
            if not subject.is_asked and self._out[subject.source.api_id] < MAX_OUT:
                found += self._ask(subject, waiting, time)
        self._update()
        return [need for need in found if need.is_needed]

    def receive(self, id: int, reply: Texts, next_key: str, received_at: int) -> None:
        """Note an answer. Ignored if it is not needed any more."""
        call = self._end_call(id)
        if call is None:
            return
        subjects = [subject for subject in call.subjects if self._subjects.get(subject.key) is subject]
        goes_on = False
        for subject in subjects:
            if subject.type in MERGED_TYPES or subject.type == TRADES:
                goes_on = self._take_page(subject, call, reply, next_key, received_at)
            else:
                self._take_state(subject, call, reply, received_at)
        if goes_on:
            self._turn_page(call, next_key)
        self._update()

    def fail(self, id: int, error: KiwoomError, now: float) -> None:
        """Note that a call has failed. Ignored if it is not needed any more."""
        call = self._end_call(id)
        if call is None:
            return
        words = displayed(str(error), MAX_REASON).removeprefix(f"{call.need.api_id}: ")
        reason = f"{call.need.api_id}: {words}"
        for subject in call.subjects:
            if self._subjects.get(subject.key) is not subject:
                continue
            if _may_pass(error) and subject.attempts < len(RETRY_AFTER):
                subject.not_before = now + RETRY_AFTER[subject.attempts]
                subject.attempts += 1
                subject.is_asked = False
            elif subject.records or subject.trades:
                subject.missing.append(reason)
                self._finish(subject, 0, is_last=True)
            else:
                self._settle(subject, Extent.NOT_AT_ALL, reason)
        self._update()

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`; None: never."""
        times = [each.not_before for each in self._subjects.values() if each.not_before and not each.is_asked]
        if (held_until := self._held.next_timeout()) is not None:
            times.append(held_until)
        return min(times, default=None)

    def handle_timeout(self, now: float) -> None:
        """Let what has waited for long enough be asked for again, and report rows that have."""
        if due := self._held.due(now):
            self.events += self._release(due, WAITED)
        for subject in self._subjects.values():
            if subject.not_before and subject.not_before <= now:
                subject.not_before = 0.0
                self._has_news = True

    # Rows that are held back.

    def _hold(self, row: Record) -> list[Record]:
        """Hold a row back. Return what is to be reported instead: all rows, if they are too many."""
        self._held.add(row, self._clock())
        return self._release(self._held.items, TOO_MANY_WAITED) if self._held.count > MAX_HELD else []

    def _release(self, items: Iterable[str], why: str) -> list[Record]:
        """Return the rows of these items that were held back, which the caller reports now."""
        for item in items:
            if item in self._tapes:
                self._tapes[item].stop_waiting(why)
        return self._held.pop(items)

    # What comes and goes.

    def _register(self, registration: Key, is_pinned: bool, has_row: bool, is_asked_for: bool) -> None:
        _, type, item = registration
        item = "" if type in MERGED_TYPES else item
        key = (type, row_item(item))
        if self._policy.types is not None and type not in self._policy.types:
            return
        sources = SOURCES.get(type, ())
        reason = sources[0].why_not(item) if sources else NO_SOURCE.get(type, "no TR is known that has its state")
        if type == TRADES and not reason:
            self._tapes.setdefault(key[1], TradeTape())
            self._tape_keys.setdefault(key[1], set()).add(registration)
        subject = self._subjects.get(key)
        if subject is not None:
            subject.keys.add(registration)
            return
        if not is_asked_for:
            return
        rank = 0 if type in MERGED_TYPES and type != "1h" else 1 if is_pinned else 2
        subject = self._subjects[key] = Subject(type, item, rank, sources, {registration})
        if reason:
            self._settle(subject, Extent.NOT_AT_ALL, reason)
        elif has_row and type not in MERGED_TYPES:
            self._has_state(subject)

    def _note_row(self, row: Record) -> None:
        type = row.type_code
        if type not in MERGED_TYPES:
            subject = self._subjects.get((type, row.item))
            if subject is not None:
                self._has_state(subject)
            return
        subject = self._subjects.get((type, ""))
        if subject is not None and subject.has_begun:
            known = subject.rows.pop(identity_of(row), None)
            if known is not None or len(subject.rows) < MAX_ROWS:
                subject.rows[identity_of(row)] = row  # last, since it is the newest
            elif TOO_MANY_ROWS not in subject.missing:
                subject.missing.append(TOO_MANY_ROWS)

    def _has_state(self, subject: Subject) -> None:
        """Note that a row holds the state of a subject."""
        subject.has_row = True
        if subject.type == TRADES and self._tapes[subject.key[1]].needs_trades():
            if not self._policy.missed_trades:
                self._settle(subject, Extent.PARTLY, NOT_ASKED_FOR)
            return
        self._settle(subject, Extent.COMPLETE)

    def _settle(self, subject: Subject, extent: Extent, reason: str = "") -> None:
        """Note what became of a subject, which is closed with that."""
        if subject.type == TRADES and extent is not Extent.COMPLETE and subject.key[1] in self._tapes:
            self._tapes[subject.key[1]].give_up()
        self._results[subject.key] = RecoveryResult(subject.type, subject.item, extent, reason[:MAX_REASON])
        self._close(subject)

    def _close(self, subject: Subject) -> None:
        del self._subjects[subject.key]
        self._has_news = True
        if subject.type == TRADES:
            self.events += self._release((subject.key[1],), GIVEN_UP)
        for id, call in tuple(self._calls.items()):
            if all(self._subjects.get(each.key) is not each for each in call.subjects):
                call.need.is_needed = False
                self._end_call(id)

    def _end_call(self, id: int) -> Call | None:
        call = self._calls.pop(id, None)
        if call is not None:
            self._out[call.need.api_id] -= 1
            self._has_news = True
        return call

    def _update(self) -> None:
        if not self._subjects and self._results:
            self.events.append(Recovered.of(tuple(self._results.values())))
            self._results.clear()
        self.is_watching = bool(self._tapes or self._subjects)
        self._is_catching_up = any(tape.holes or tape.repeats for tape in self._tapes.values())

    # What is asked.

    def _ask(self, subject: Subject, waiting: Iterable[Subject], time: int) -> list[SnapshotNeeded]:
        """Return the call for a subject, and for those that wait and have the same call; empty if there is none."""
        source = subject.source
        items = {subject.item: None}
        subjects = [subject]
        for other in waiting:
            if other is subject or other.is_asked or other.source.api_id != source.api_id or other.source.each:
                continue
            if other.item in items or len(items) < source.max_items:
                items[other.item] = None
                subjects.append(other)
        parameters = {**source.fixed, **(source.form(tuple(items)) or {})}
        if TODAY in parameters.values():
            if not time:
                self._settle(subject, Extent.NOT_AT_ALL, "the date is not known: pass received_at to receive_data")
                return []
            parameters = {
                name: f"{day_of(time):%Y%m%d}" if text == TODAY else text for name, text in parameters.items()
            }
        for each in subjects:
            each.is_asked = each.has_begun = True
        need = self._open_call(subjects, parameters)
        return [need]

    def _open_call(
        self, subjects: list[Subject], parameters: Mapping[str, str], next_key: str = "", pages: int = 1
    ) -> SnapshotNeeded:
        self._last_id += 1
        need = SnapshotNeeded(self._last_id, subjects[0].source.api_id, parameters, next_key)
        self._calls[need.id] = Call(need, subjects, pages)
        self._out[need.api_id] += 1
        return need

    # What is answered.

    def _take_state(self, subject: Subject, call: Call, reply: Texts, received_at: int) -> None:
        """Take the state of a type whose rows are the whole state."""
        cls = self._types.get(subject.type, Record)
        records = records_of(cls, subject.type, (subject.item,), reply, subject.source, received_at)
        record = next((record for _, record in records), None)
        if record is None:
            self._settle(subject, Extent.NOT_AT_ALL, f"the answer of {call.need.api_id} is blank")
            return
        self.events.append(Snapshot(subject.type, subject.item, (record,), (), received_at))
        self._settle(subject, Extent.COMPLETE)

    def _take_page(self, subject: Subject, call: Call, reply: Texts, next_key: str, received_at: int) -> bool:
        """Take one page of a list. Return whether the next one is needed."""
        cls, source = self._types.get(subject.type, Record), subject.source
        if subject.type == TRADES:
            page = [record_of(cls, TRADES, subject.item, row, source, received_at) for row in rows_of(reply)]
            trades = [record for record in page if record is not None]
            subject.trades += trades
            holes, lowest = self._tapes[subject.key[1]].holes, lowest_volume(trades)
            more = self._policy.missed_trades and bool(holes) and lowest is not None and lowest > holes[0].start
        else:
            more = True
            for _, record in records_of(cls, subject.type, ("",), reply, source, received_at):
                identity = identity_of(record)
                known = subject.records.get(identity)
                subject.records[identity] = record if known is None or not subject.step else combined(known, record)
        if more and next_key and rows_of(reply):
            if next_key == call.need.next_key:
                subject.missing.append(f"{source.api_id}: the key of the next page repeats")
            elif call.pages >= self._policy.max_pages:
                subject.missing.append(f"{source.api_id} has more than {call.pages} pages")
            else:
                return True
        self._finish(subject, received_at)
        return False

    def _turn_page(self, call: Call, next_key: str) -> None:
        self._pages.append(self._open_call(call.subjects, call.need.parameters, next_key, call.pages + 1))

    def _finish(self, subject: Subject, received_at: int, *, is_last: bool = False) -> None:
        """Report what the lists of a subject hold, or ask for the next one."""
        if subject.type == TRADES:
            self._finish_trades(subject, received_at)
        elif subject.step + 1 < len(subject.sources) and not is_last:
            subject.step += 1
            subject.is_asked, subject.attempts, subject.not_before = False, 0, 0.0
            self._has_news = True
        else:
            for row in subject.rows.values():
                for identity in superseded_by(row):
                    subject.records.pop(identity, None)
            older = (record for identity, record in subject.records.items() if identity not in subject.rows)
            records = (*older, *subject.rows.values())  # in the order in which they must be applied
            self.events.append(Snapshot(subject.type, "", records, (), received_at, not subject.missing))
            reason = "; ".join(subject.missing)
            self._settle(subject, Extent.PARTLY if reason else Extent.COMPLETE, reason)

    def _finish_trades(self, subject: Subject, received_at: int) -> None:
        tape = self._tapes[subject.key[1]]
        missed = find_missed(tape, subject.trades, bool(subject.missing))
        reasons = [*subject.missing, *filter(None, (missed.reason,))]
        if not self._policy.missed_trades:
            missed = attrs.evolve(missed, records=(), late=0)
            reasons = [NOT_ASKED_FOR] if tape.needs_trades() else []
        state = () if subject.has_row else newest_of(subject.trades)
        if state or missed.records:
            self.events.append(Snapshot(TRADES, subject.item, state, missed.records, received_at, late=missed.late))
        tape.close(missed)
        self._settle(subject, Extent.PARTLY if reasons else Extent.COMPLETE, "; ".join(reasons))


def _may_pass(error: KiwoomError) -> bool:
    remedy: object = getattr(error, "remedy", None)
    if remedy is Remedy.STOP:
        return False
    return remedy is Remedy.RETRY or isinstance(error, TransportError | DeadlineExceeded)

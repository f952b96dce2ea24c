"""The trades of one item (0B) that a gap has swallowed: which they are, and what proves that they are all.

The exchange numbers nothing, but each trade says how many shares were traded today up to and including it (누적거래량,
FID 13). So a `Hole` is a range of volume: it begins at the volume of the last row before the loss, and ends before the
first row after it, whose own quantity is known. The trades of ka10003 in this range are those that were missed, and
they are all of them if each begins at the volume at which the one before ended.

* A hole without volume in it is none: nothing was traded.
* As long as no row has come since the gap, a hole is open. Then it ends at the newest trade of ka10003. A row that was
  on its way at that time is one of these trades: its volume says so, and it is not reported again (`repeats`).
* Rows behind a hole are held back until its trades have come, so that trades come in order (restoration.py). A hole is
  late once they were reported without them: then its trades are older than what the program has.
* The volume starts at 0 every day. A hole over midnight begins at 0: of the day before ka10003 knows nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import attrs

from ..errors import UNREADABLE
from ..events import Extent
from ..realtime.fields import to_whole_number
from ..realtime.record import KST, Record

__all__ = ("Hole", "Missed", "TradeTape", "day_of", "find_missed", "is_older", "lowest_volume", "newest_of")

MAX_HOLES = 16
"""Maximum number of holes of one item that are remembered. Those before are given up."""
NO_TRADE = -1
"""Where a hole begins if ka10003 had no trade before it: then everything that it has now is of the hole."""
DAY_BEFORE = "ka10003 does not have the trades of the day before"


def day_of(time: int) -> datetime.date:
    """Return the day in Korea of a time in nanoseconds since the epoch."""
    return datetime.datetime.fromtimestamp(time / 1e9, KST).date()


def _number(record: Record, fid: str) -> int | None:
    try:
        text = record.fid(fid)
        return None if text is None or not text.strip() else to_whole_number(text)
    except (*UNREADABLE, ValueError):
        return None


def _span(record: Record) -> tuple[int, int] | None:
    """Return the volume before a trade and after it; None if it does not say."""
    volume, quantity = _number(record, "13"), _number(record, "15")
    if volume is None or quantity is None:
        return None
    return volume - abs(quantity), volume


@attrs.frozen
class Hole:
    """A range of volume whose trades were not received.

    Attributes:
        start: the volume before it; `NO_TRADE` if there was no trade before.
        end: the volume at its end; None as long as no row has come since.
        late: why rows behind it were reported without its trades; "" if none were.
    """

    start: int
    end: int | None = None
    late: str = ""


@attrs.define(eq=False)
class TradeTape:
    """What is known of the trades of one item.

    Attributes:
        last: the newest row received since the volume below was known.
        volume: the volume up to which everything was known before that; None if unknown.
        holes: what was not received, oldest first; only the last one may be open.
        repeats: volumes of trades that were reported as missed, and whose row may still be on its way.
        given_up: what will not be found, and why.
    """

    last: Record | None = None
    volume: int | None = None
    holes: list[Hole] = attrs.field(factory=list)
    repeats: set[int] = attrs.field(factory=set)
    given_up: dict[str, None] = attrs.field(factory=dict)

    def connection_lost(self) -> None:
        """Open a hole after the last row, unless one is open."""
        self.repeats.clear()
        start = self.volume
        if self.last is not None:
            span = _span(self.last)
            start = None if span is None else span[1]
            if span is None:
                self.given_up["the last row before the gap has no volume"] = None
        self.last = self.volume = None
        if start is None or (self.holes and self.holes[-1].end is None):
            return
        self.holes.append(Hole(start))
        if len(self.holes) > MAX_HOLES:
            del self.holes[0]
            self.given_up["there were too many gaps in a row"] = None

    def start_day(self) -> None:
        """Note that another day has begun since the last hole did."""
        if self.holes:
            self.holes = [attrs.evolve(self.holes[-1], start=0)]
        self.given_up[DAY_BEFORE] = None

    def note_row(self, row: Record) -> bool:
        """Note a row. Return whether it is to be reported: False if it repeats a trade that was reported as missed."""
        if self.repeats:
            span = _span(row)
            if span is not None and span[1] in self.repeats:
                self.repeats.discard(span[1])
                return False
            if span is not None and span[1] > max(self.repeats):
                self.repeats.clear()  # rows come in order
        self.last = row
        if self.holes and self.holes[-1].end is None:
            self._end_hole(row)
        return True

    def _end_hole(self, row: Record) -> None:
        span, hole = _span(row), self.holes.pop()
        if span is None:
            self.given_up["the first row after the gap has no volume"] = None
            return
        if span[0] < hole.start:  # the volume has started anew
            self.given_up[DAY_BEFORE] = None
            hole = Hole(0)
        if span[0] > hole.start:
            self.holes.append(Hole(hole.start, span[0]))

    @property
    def waits(self) -> bool:
        """Whether rows are to wait for trades that were missed."""
        return any(not hole.late for hole in self.holes)

    def stop_waiting(self, why: str) -> None:
        """Note that the rows that came are reported without the trades that were missed before them."""
        self.holes = [hole if hole.late or hole.end is None else attrs.evolve(hole, late=why) for hole in self.holes]

    def needs_trades(self) -> bool:
        """Return whether there are holes, or something was given up of which nothing has been told."""
        return bool(self.holes or self.given_up)

    def give_up(self) -> None:
        """Note that nothing more will be found, and that this has been reported."""
        self.holes.clear()
        self.given_up.clear()

    def close(self, missed: Missed) -> None:
        """Note that what was found has been reported."""
        if self.last is None:
            self.volume = missed.volume
            self.repeats = {span[1] for record in missed.records if (span := _span(record)) is not None}
        self.give_up()


@attrs.frozen
class Missed:
    """What was found of the holes of one item.

    Attributes:
        records: the trades, oldest first.
        extent: whether they are all.
        reason: what is missing, and why; "" if nothing is.
        volume: the volume up to which everything is known now; None if that is unknown.
        late: how many of the records, the first ones, are older than rows that were reported.
    """

    records: tuple[Record, ...]
    extent: Extent
    reason: str = ""
    volume: int | None = None
    late: int = 0


def lowest_volume(trades: Sequence[Record]) -> int | None:
    """Return the volume before the first of these trades; None if none has one."""
    return min((span[0] for trade in trades if (span := _span(trade)) is not None), default=None)


def is_older(trade: Record, other: Record) -> bool:
    """Return whether a trade was before another one of the same day: by volume, or if the items differ by its time."""
    if day_of(trade.received_at) != day_of(other.received_at):
        return False
    if trade.item != other.item:
        return (trade.fid("20") or "") < (other.fid("20") or "")
    mine, others = _span(trade), _span(other)
    return mine is not None and others is not None and mine[1] < others[1]


def newest_of(trades: Sequence[Record]) -> tuple[Record, ...]:
    """Return the trade with the highest volume, or none."""
    spans = [(span, trade) for trade in trades if (span := _span(trade)) is not None]
    return (max(spans, key=lambda found: found[0][::-1])[1],) if spans else ()


def find_missed(tape: TradeTape, trades: Sequence[Record], reached_limit: bool) -> Missed:
    """Return which trades were missed.

    Args:
        tape: what is known of the item.
        trades: the trades of ka10003, in any order, of as many pages as were needed.
        reached_limit: whether there were more pages than were asked for.
    """
    spans = {span[1]: (span[0], trade) for trade in trades if (span := _span(trade)) is not None and span[0] < span[1]}
    newest = max(spans, default=0)
    found: list[Record] = []
    late, whys = 0, dict[str, None]()
    reasons = list(tape.given_up)
    for hole in tape.holes:
        end = newest if hole.end is None else hole.end
        start = hole.start if hole.start > NO_TRADE else min((before for before, _ in spans.values()), default=end)
        if end < start:
            reasons.append(f"no trades after volume {start:,} are known")
            continue
        inside = sorted(volume for volume in spans if start < volume <= end)
        found += [spans[volume][1] for volume in inside]
        if hole.late and inside:  # which is never behind a hole that is not late
            late = len(found)
            whys[hole.late] = None
        reasons += _breaks(start, end, [(spans[volume][0], volume) for volume in inside], reached_limit)
    if late:
        reasons.insert(0, f"{late:,} missed trades came late, after newer rows: {', '.join(whys)}")
    if not reasons:
        return Missed(tuple(found), Extent.COMPLETE, volume=newest or NO_TRADE)
    return Missed(tuple(found), Extent.PARTLY, "; ".join(dict.fromkeys(reasons)), newest or NO_TRADE, late)


def _breaks(start: int, end: int, spans: list[tuple[int, int]], reached_limit: bool) -> list[str]:
    """Return where trades are missing between two volumes."""
    at, missing = start, []
    for before, after in (*spans, (end, end)):
        if before != at:
            missing.append((at, before))
        at = after
    if not missing:
        return []
    shares = sum(abs(before - at) for at, before in missing)
    why = "ka10003 has more pages than were asked for" if reached_limit and len(missing) == 1 else "ka10003 lacks them"
    known = f"known from volume {missing[-1][1]:,} on"
    return [f"{shares:,} shares between volume {missing[0][0]:,} and {missing[-1][1]:,} are missing: {why}; {known}"]

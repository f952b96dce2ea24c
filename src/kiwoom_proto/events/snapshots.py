"""What a session reports of the state after a gap: `Snapshot`, and `Recovered` at the end."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec

from ..display import MESSAGE_LIMIT, displayed, quoted
from ..realtime.record import Record
from .numbered import Numbered, Numbering

__all__ = ("MAX_RESULTS", "Extent", "Recovered", "RecoveryResult", "Snapshot")

MAX_RESULTS = 1_000
"""Maximum number of results in one `Recovered`."""
MAX_SHOWN = 3
"""Number of results that `str()` of a `Recovered` names."""


def _shown_records(records: tuple[Record, ...]) -> str:
    return repr(records[0]) if len(records) == 1 else f"<{len(records)} records>"


@attrs.frozen(repr=False)
class Snapshot(Numbered):
    """The state of one subscription, fetched over REST after a gap, or when it began.

    It stands in the stream before the rows that follow it. Of trades (0B) that holds for those that were missed, too:
    rows that came while they were fetched stand right behind the snapshot, although their numbers (`sequence`) are
    lower. Rows wait for 5 s at most; what comes after that is `late`.

    A row that came since it was asked for is never undone: no
    snapshot is reported then, or, of orders, balances and interruptions, it holds that row. So applying events in order
    never ends with older state than that of the newest row.

    A record of it has the class and the FIDs of a row, as far as the TR has them, and says in `extra` which TR that
    was: {"api_id": "ka10004"}. What the TR does not have is None.

    Attributes:
        type: the real-time type, "0D".
        item: the item, as registered; "" for types without one.
        records: the state: one record; of orders, balances and interruptions one for each, and none if there are none.
        missed: of trades (0B): the rows that were missed, oldest first. What their volumes prove is in `Recovered`.
        received_at: when the last answer came, in nanoseconds since the epoch; 0 if unknown.
        is_complete: whether `records` is everything. False: of orders, balances and interruptions some are missing.
        late: how many of `missed`, the first ones, are older than rows that were reported before. Streams, callbacks
            and newest rows do not get these.
    """

    type: str = attrs.field(repr=quoted)
    item: str = attrs.field(repr=quoted)
    records: tuple[Record, ...] = attrs.field(repr=_shown_records)
    missed: tuple[Record, ...] = attrs.field(default=(), repr=lambda missed: f"<{len(missed)} records>")
    received_at: int = 0
    is_complete: bool = True
    late: int = 0

    @property
    def record(self) -> Record | None:
        """The state, of a type that has one record for each item; otherwise the last record. None if there is none."""
        return self.records[-1] if self.records else None

    def as_received(self) -> Snapshot:
        """Return it as it stands in a recording, where rows are where they were received: before the missed trades."""
        return self if self.records else attrs.evolve(self, late=len(self.missed))

    def stamped(self, numbering: Numbering) -> Snapshot:
        """Return it with its numbers, which are those of its records too. Rows in it keep their own."""
        event = numbering.stamp(self)
        numbers: dict[str, Any] = {"epoch": event.epoch, "sequence": event.sequence}

        def numbered(records: tuple[Record, ...]) -> tuple[Record, ...]:
            return tuple(
                record if record.sequence else msgspec.structs.replace(record, **numbers) for record in records
            )

        return attrs.evolve(event, records=numbered(self.records), missed=numbered(self.missed), **numbers)


class Extent(enum.StrEnum):
    """How much is known again of what happened in a gap."""

    COMPLETE = "complete"
    """The state: by a row, or by a snapshot. Of trades also each one that was missed."""
    PARTLY = "partly"
    """The state, but not all trades that were missed; or not all orders."""
    NOT_AT_ALL = "not at all"


@attrs.frozen
class RecoveryResult:
    """What became of the state of one subscription.

    Attributes:
        type: the real-time type, "0D".
        item: the item, as registered; "" for types without one.
        extent: how much is known again.
        reason: what is missing, and why; "" if nothing is.
    """

    type: str = attrs.field(repr=quoted)
    item: str = attrs.field(repr=quoted)
    extent: Extent = attrs.field(repr=str)
    reason: str = attrs.field(default="", repr=quoted)

    def __str__(self) -> str:
        return displayed(f"{self.type} {self.item}".strip() + (f": {self.reason}" if self.reason else ""))


_WORST_FIRST = (Extent.NOT_AT_ALL, Extent.PARTLY, Extent.COMPLETE)


@attrs.frozen(repr=False)
class Recovered(Numbered):
    """All that was asked for since the last one of these is answered, or given up. `str()` sums it up.

    Attributes:
        results: what became of each subscription, the worst first; at most 1,000.
        complete: number of subscriptions whose state is known again.
        partly: number of those of which something remains unknown.
        not_at_all: number of those of which nothing was learned.
    """

    results: tuple[RecoveryResult, ...] = attrs.field(repr=lambda results: f"<{len(results)} results>")
    complete: int = 0
    partly: int = 0
    not_at_all: int = 0

    @classmethod
    def of(cls, results: Sequence[RecoveryResult]) -> Recovered:
        """Return the event for these results."""
        counts = Counter(result.extent for result in results)
        ordered = sorted(results, key=lambda result: _WORST_FIRST.index(result.extent))
        return cls(tuple(ordered[:MAX_RESULTS]), *(counts[extent] for extent in Extent))

    def stamped(self, numbering: Numbering) -> Recovered:
        """Return it with its numbers."""
        return numbering.stamp(self)

    def __str__(self) -> str:
        text = f"state known again: {self.complete} complete, {self.partly} partly, {self.not_at_all} not at all"
        wanting = [result for result in self.results if result.extent is not Extent.COMPLETE]
        if wanting:
            text += " (" + "; ".join(map(str, wanting[:MAX_SHOWN])) + (" ..." if len(wanting) > MAX_SHOWN else "") + ")"
        return displayed(text, MESSAGE_LIMIT)

"""Rows of trades that wait for the trades that were missed before them, so that a program gets them in order.

The wait is bounded, whatever REST does: by `HOLD` seconds from the first row of an item on, and by `MAX_HELD` rows in
all. What is held is in memory here only, so whoever takes it out must report it at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..realtime.record import Record

__all__ = ("HOLD", "MAX_HELD", "HeldTrades")

HOLD = 5.0
"""Seconds that the rows of an item wait at most."""
MAX_HELD = 10_000
"""Maximum number of rows that wait, of all items together."""


class HeldTrades:
    """The rows that wait, by item. Times are seconds on the session's clock.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rows: dict[str, list[Record]] = {}
        self._due: dict[str, float] = {}  # the soonest first: each item waits for the same time

    @property
    def items(self) -> tuple[str, ...]:
        """The items that have rows here."""
        return tuple(self._rows)

    def add(self, row: Record, now: float) -> None:
        """Let a row wait, behind those of its item that wait."""
        if row.item not in self._rows:
            self._rows[row.item] = []
            self._due[row.item] = now + HOLD
        self._rows[row.item].append(row)
        self.count += 1

    def pop(self, items: Iterable[str]) -> list[Record]:
        """Return the rows of these items, in the order in which they came, and forget them."""
        found: list[Record] = []
        for item in items:
            found += self._rows.pop(item, ())
            self._due.pop(item, None)
        self.count -= len(found)
        found.sort(key=lambda row: row.sequence)
        return found

    def due(self, now: float) -> list[str]:
        """Return the items whose rows have waited for long enough."""
        return [item for item, at in self._due.items() if at <= now]

    def next_timeout(self) -> float | None:
        """Return when the rows of an item have waited for long enough; None: no row waits."""
        return next(iter(self._due.values()), None)

"""NewestRows: the newest row of each registration, whoever consumes it, for the table that a notebook shows.

It costs a lookup for each row, so it is kept only where somebody may look: see `Feeds`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..events import Event
from ..realtime.catalogue import ACCOUNT_TYPES, condition_type
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..request import number_of

__all__ = ("NewestRows",)

MAX_ROWS = 16_384
"""Maximum number of types and items: the server may name any number."""

_CONDITION_TYPES = frozenset(condition_type(us) for us in (False, True))


class NewestRows:
    """The newest row of each type and item."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Record]] = {}  # type -> item, or number of the condition
        self._count = 0

    def add(self, events: Iterable[Event]) -> None:
        """Note what one read brought."""
        for event in events:
            if not isinstance(event, Record):
                continue
            rows = self._rows.setdefault(event.type_code, {})
            item = number_of(event.fid("841") or "") if event.type_code in _CONDITION_TYPES else event.item
            if item not in rows:
                self._count += 1
                if self._count > MAX_ROWS:
                    self._rows.clear()
                    rows = self._rows.setdefault(event.type_code, {})
                    self._count = 1
            rows[item] = event

    def of(self, type: str, item: str) -> Record | None:
        """Return the newest row that a registration has brought; None if none has come.

        Args:
            type: its type code.
            item: its item as registered, or the number of its condition.
        """
        rows = self._rows.get(type, {})
        if type in _CONDITION_TYPES:
            return rows.get(number_of(item))
        if not item or type in ACCOUNT_TYPES:  # it brings rows of any item
            return max(rows.values(), key=lambda row: row.sequence, default=None)
        return rows.get(row_item(item))

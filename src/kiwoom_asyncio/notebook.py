"""A live table in the cell of a notebook. It needs IPython, which every notebook has, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from kiwoom_proto import LocalProtocolError, Record
from kiwoom_proto.html import table

__all__ = ("LiveTable",)


class _Display(Protocol):
    def update(self, obj: object, /) -> object: ...


class LiveTable:
    """A table in a cell: the newest row of each item, drawn again a few times a second.

        table = LiveTable("time", "price", "volume")
        handle = client.on(Trade, table.update, "005930", "000660")

    As a callback it goes on while other cells run, until `handle.close()`. A loop may call `update` as well.

    Args:
        columns: the names of the fields that it shows.
        interval: minimum seconds between two drawings.
    """

    def __init__(self, *columns: str, interval: float = 0.5) -> None:
        if not columns:
            raise LocalProtocolError('columns: name the fields to show, such as LiveTable("time", "price")')
        self._columns = columns
        self._interval = interval
        self._rows: dict[tuple[str, str], Record] = {}
        self._lock = threading.Lock()
        self._drawn_at = -interval
        self._timer: threading.Timer | None = None
        self._display = _show(self)

    def update(self, row: Record) -> None:
        """Show a row, in the place of the last one of its item, now or within `interval`.

        Raises:
            LocalProtocolError: the type of the row has no field of one of the names.
        """
        missing = [name for name in self._columns if not hasattr(type(row), name)]
        if missing:
            raise LocalProtocolError(f"columns: {type(row).__name__} has no field {missing[0]!r}")
        with self._lock:
            self._rows[row.type_code, row.item] = row
            if self._timer is not None:
                return
            wait = self._drawn_at + self._interval - time.monotonic()
            if wait > 0:
                self._timer = threading.Timer(wait, self._draw_later)
                self._timer.daemon = True
                self._timer.start()
                return
            self._drawn_at = time.monotonic()
        self._display.update(self)

    def _draw_later(self) -> None:
        with self._lock:
            self._timer = None
            self._drawn_at = time.monotonic()
        self._display.update(self)

    def _repr_html_(self) -> str:
        with self._lock:
            rows = [row for _, row in sorted(self._rows.items())]
        labels = {name: field.label for row in rows for name, field in row.fields.items()}
        headings = ("item 종목", *(f"{name} {labels.get(name, '')}".strip() for name in self._columns))
        return table("", headings, [(row.item, *(_value(row, name) for name in self._columns)) for row in rows])

    def __repr__(self) -> str:
        return f"<LiveTable of {', '.join(self._columns)}, {len(self._rows)} items>"


def _value(row: Record, name: str) -> object:
    """Return what may be shown of a field; None if the row has none of this name."""
    field = row.fields.get(name)
    return getattr(row, name, None) if field is None else row._shown(name, field)


def _show(value: object) -> _Display:
    try:
        from IPython.display import display
    except ImportError:
        raise ImportError("LiveTable needs a notebook: pip install ipykernel, and open one") from None
    show: Callable[..., _Display | None] = display
    handle = show(value, display_id=True)
    if handle is None:
        raise LocalProtocolError("LiveTable: no notebook is running here")
    return handle

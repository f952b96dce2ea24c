"""A live table in the cell of a notebook. It needs IPython, which every notebook has, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Protocol

from kiwoom_proto import LocalProtocolError, Record
from kiwoom_proto.display import quoted
from kiwoom_proto.html import table

__all__ = ("LiveTable",)


class _Display(Protocol):
    def display(self, obj: object, /) -> object: ...

    def update(self, obj: object, /) -> object: ...


class LiveTable:
    """A table in a cell: the newest row of each item, drawn again a few times a second.

    It shows in the cell that makes it, and in each further one that ends with it.

        table = LiveTable("time", "price", "volume")
        handle = client.on(Trade, table.update, "005930", "000660")

    As a callback it goes on while other cells run, until `handle.close()`. A loop may call `update` as well.

    Args:
        columns: the names of the fields that it shows.
        interval: minimum seconds between two drawings.

    Raises:
        LocalProtocolError: no type has a field of one of the names, or no notebook is running.
    """

    def __init__(self, *columns: str, interval: float = 0.5) -> None:
        _check(columns)
        self._columns = columns
        self._interval = interval
        self._rows: dict[tuple[str, str], Record] = {}
        self._lock = threading.Lock()
        self._drawn_at = -interval
        self._timer: threading.Timer | None = None
        self._cell = _cell()
        self._view = _View(self)
        self._display = _show(self._view)

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
        self._display.update(self._view)

    def _draw_later(self) -> None:
        with self._lock:
            self._timer = None
            self._drawn_at = time.monotonic()
        self._display.update(self._view)

    def _ipython_display_(self) -> None:
        """Show it in one more cell. The one that has made it shows it already."""
        if _cell() != self._cell:
            self._display.display(self._view)

    def _repr_html_(self) -> str:
        with self._lock:
            rows = [row for _, row in sorted(self._rows.items())]
        labels = {name: field.label for row in rows for name, field in row.fields.items()}
        headings = ("item 종목", *(f"{name} {labels.get(name, '')}".strip() for name in self._columns))
        return table("", headings, [(row.item, *(_value(row, name) for name in self._columns)) for row in rows])

    def __repr__(self) -> str:
        return f"<LiveTable of {', '.join(self._columns)}, {len(self._rows)} items>"


class _View:
    """What a cell shows of a table."""

    def __init__(self, table: LiveTable) -> None:
        self._repr_html_ = table._repr_html_
        self._table = table

    def __repr__(self) -> str:
        return repr(self._table)


def _check(columns: tuple[object, ...]) -> None:
    """Refuse what no row can show."""
    if not columns or not all(isinstance(name, str) for name in columns):
        raise LocalProtocolError('columns: name the fields to show, such as LiveTable("time", "price")')
    types = tuple(_types(Record))
    for name in columns:
        if not any(hasattr(cls, str(name)) for cls in types):
            names = sorted({field for cls in types for field in cls.fields})
            near = get_close_matches(str(name), names, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise LocalProtocolError(f"columns: no type has a field {quoted(str(name))}{meant}")


def _types(cls: type[Record]) -> Iterator[type[Record]]:
    """Yield the classes of rows, those of the program's own included."""
    for each in cls.__subclasses__():
        yield each
        yield from _types(each)


def _value(row: Record, name: str) -> object:
    """Return what may be shown of a field; None if the row has none of this name."""
    field = row.fields.get(name)
    return getattr(row, name, None) if field is None else row._shown(name, field)


def _cell() -> object:
    """Return the number of the cell that runs; None: none does."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        raise ImportError("LiveTable needs a notebook: pip install ipykernel, and open one") from None
    shell: Any = get_ipython
    return getattr(shell(), "execution_count", None)


def _show(value: object) -> _Display:
    from IPython.display import display

    show: Any = display
    handle: _Display | None = show(value, display_id=True)
    if handle is None:
        raise LocalProtocolError("LiveTable: no notebook is running here")
    return handle

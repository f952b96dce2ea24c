"""Tables that are printed once: the types, the conditions, the results of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from kiwoom_proto.realtime.catalogue import Types

from .view import plural, shown, summary_of

__all__ = ("MAX_ROWS", "RowTable", "table_of_types")

MAX_ROWS = 5_000
"""Maximum number of rows shown; further rows are only counted. There are fewer stocks than this, but a server may send
rows without end."""


class RowTable:
    """A table of rows whose text may come from outside.

    Args:
        columns: name of the member that each column shows.

    Attributes:
        rows: number of rows added.
    """

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.rows = 0
        self._columns = columns
        self._table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            self._table.add_column(column.replace("_", " "))

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row. The table keeps only the text of its cells."""
        self.rows += 1
        if self.rows <= MAX_ROWS:
            cells = ("" if row.get(column) is None else str(row[column]) for column in self._columns)
            self._table.add_row(*(shown(cell) for cell in cells))

    def print(self) -> None:
        """Write the table to standard output."""
        console = Console()
        console.print(self._table)
        if self.rows > MAX_ROWS:
            console.print(f"… {plural(self.rows - MAX_ROWS, 'more row')}; --json writes all", style="dim")


def table_of_types(types: Types) -> Table:
    """Return a table of the types: code, class, Korean name and summary, one line each."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("type", "class", "Korean", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    for code, cls in types.items():
        table.add_row(code, cls.__name__, cls.label, summary_of(cls))
    return table

"""The result of a query: a table for a terminal, JSON lines, or CSV.

Values are what DuckDB gives as Python objects. In JSON lines and CSV, times are ISO 8601, those with a date and zone in
KST, and decimals are plain decimal text, as in all JSON lines of the command. A table is for reading: numbers have
thousands separators and are aligned to the right, long texts are cut, and columns that do not fit are named below it.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import attrs
import msgspec
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kiwoom_proto.display import displayed
from kiwoom_proto.realtime.record import KST

from .view import plural

__all__ = ("MAX_SHOWN_ROWS", "Column", "csv_lines", "json_members", "table_of_result")

Row: TypeAlias = Sequence[Any]

MAX_SHOWN_ROWS = 500
"""Maximum number of rows in a table; a person does not read more, and memory stays bounded."""
MAX_CELL_WIDTH = 40
MAX_DIGITS = 10
"""Decimal places of floating-point numbers, from which on each is shown as short as possible."""
MIN_COLUMNS = 2
"""Columns that are always shown, however narrow the terminal."""
GAP = 2
"""Blank columns between two cells."""
NUMBERS = (int, float, Decimal)
NULL = "-"
NANOSECONDS = "received_ns"
"""A column with no quantities, but numbers to copy: they have no thousands separators."""


@attrs.frozen
class Column:
    """A column of a result.

    Attributes:
        name: its name, as in the query.
        kind: its SQL type, "DECIMAL(18,2)".
    """

    name: str
    kind: str

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind.split("(")[0] in (
            "TINYINT",
            "SMALLINT",
            "INTEGER",
            "BIGINT",
            "HUGEINT",
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "UBIGINT",
            "UHUGEINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL",
        ) and not self.kind.endswith("]")


# For programs.


def json_members(columns: Sequence[Column], row: Row) -> Mapping[str, Any]:
    """Return a row as the members of a JSON object. Of columns with the same name, the later ones get a number."""
    return {name: _plain(value) for name, value in zip(_distinct(columns), row, strict=True)}


def csv_lines(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[bytes]:
    """Return the lines of a CSV file (RFC 4180), the first with the names. NULL is empty; lists are JSON."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)

    def line(cells: Iterable[Any]) -> bytes:
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(cells)
        return buffer.getvalue().encode()

    yield line(column.name for column in columns)
    for row in rows:
        yield line(_cell_of_csv(value) for value in row)


def _distinct(columns: Sequence[Column]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name, number = column.name, 1
        while name in names:
            number += 1
            name = f"{column.name}_{number}"
        names.append(name)
    return names


def _plain(value: Any) -> Any:
    """Return a value as JSON-ready."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return _in_korea(value).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="backslashreplace")
    return str(value)


def _cell_of_csv(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return msgspec.json.encode(plain).decode() if isinstance(plain, dict | list) else plain


def _in_korea(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo is None else moment.astimezone(KST)


# For people.


def table_of_result(
    columns: Sequence[Column], rows: Sequence[Row], width: int, *, more: bool = False
) -> RenderableType:
    """Return a result as a table.

    A result that is too wide is turned on its side if it has few rows; otherwise the columns that do not fit are named
    below the table.

    Args:
        columns: its columns.
        rows: its rows, at most `MAX_SHOWN_ROWS`.
        width: columns of the terminal.
        more: whether there are further rows.
    """
    digits = [_digits(row[number] for row in rows) for number in range(len(columns))]

    def cells_of(most: int) -> list[list[str]]:
        return [
            [
                str(value) if column.name == NANOSECONDS and isinstance(value, int) else _shown(value, places, most)
                for column, value, places in zip(columns, row, digits, strict=True)
            ]
            for row in rows
        ]

    cells = cells_of(MAX_CELL_WIDTH)
    widths = [
        max((cell_len(text) for text in (column.name, *(line[number] for line in cells))), default=0)
        for number, column in enumerate(columns)
    ]
    notes = []
    if sum(widths) + GAP * (len(widths) - 1) <= width:
        table = _upright(columns, cells)
    elif rows and _width_on_its_side(columns, cells) <= width:
        room = width - max(cell_len(column.name) for column in columns)
        table = _on_its_side(columns, cells_of(max(MAX_CELL_WIDTH, room // len(rows) - GAP)))
    else:
        fitting = max(MIN_COLUMNS, _count_fitting(widths, width))
        table = _upright(columns[:fitting], [line[:fitting] for line in cells])
        if len(columns) > fitting:
            left_out = ", ".join(column.name for column in columns[fitting:])
            notes.append(f"… {plural(len(columns) - fitting, 'more column')}: {left_out}")
    notes.append("the first " * more + plural(len(rows), "row") + more * "; --csv and --json write all")
    if any(column.kind == "TIMESTAMP WITH TIME ZONE" for column in columns):
        notes[-1] += " · times in KST"
    return Group(table, Text(), *(Text(displayed(note, len(note)), style="dim") for note in notes))


def _upright(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    table = _table()
    for column in columns:
        name = Text(displayed(column.name))
        table.add_column(name, justify="right" if column.is_number else "left", overflow="ellipsis", no_wrap=True)
    for line in cells:
        table.add_row(*(_text(cell) for cell in line))
    return table


def _on_its_side(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    table = _table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    for _ in cells:
        table.add_column(justify="right", overflow="ellipsis", no_wrap=True)
    for number, column in enumerate(columns):
        table.add_row(Text(displayed(column.name)), *(_text(line[number]) for line in cells))
    return table


def _table(show_header: bool = True) -> Table:
    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=show_header)


def _text(cell: str) -> Text:
    return Text(cell, style="dim" if cell == NULL else "")


def _width_on_its_side(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> int:
    names = max(cell_len(column.name) for column in columns)
    return names + sum(GAP + max(map(cell_len, line), default=0) for line in cells)


def _count_fitting(widths: Sequence[int], width: int) -> int:
    """Return how many columns fit, from the first on."""
    for number in range(len(widths)):
        width -= widths[number] + (GAP if number else 0)
        if width < 0:
            return number
    return len(widths)


def _digits(values: Iterable[Any]) -> int:
    """Return how many decimal places a column needs."""
    decimals = (Decimal(f"{value:.10g}") if isinstance(value, float) else value for value in values)
    exponents = (value.normalize().as_tuple().exponent for value in decimals if isinstance(value, Decimal))
    return max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)


def _shown(value: Any, digits: int | None = None, most: int = MAX_CELL_WIDTH) -> str:
    """Return a value as a person reads it, cut to `most` columns; a decimal with so many places."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:,.10g}" if digits is None or digits > MAX_DIGITS else f"{value:,.{max(digits, 0)}f}"
    if isinstance(value, NUMBERS):
        return (
            f"{value:,}"
            if not isinstance(value, Decimal)
            else f"{value:,f}"
            if digits is None
            else f"{value:,.{max(digits, 0)}f}"
        )
    if isinstance(value, datetime.datetime):
        return _in_korea(value).replace(tzinfo=None).isoformat(" ")
    if isinstance(value, list | tuple):
        text = f"[{', '.join(_shown(each) for each in value)}]"
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    else:
        text = str(_plain(value))
    text = displayed(text, 10 * most)
    if cell_len(text) <= most:
        return text
    cut = Text(text)
    cut.truncate(most, overflow="ellipsis")
    return cut.plain

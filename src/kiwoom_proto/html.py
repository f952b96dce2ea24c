"""Small tables of HTML, for the cells of notebooks. Everything in them is escaped, and bounded in length."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from .display import displayed

__all__ = ("Cell", "shown", "table")

CELL_LIMIT = 100
"""Maximum length of what one cell shows, in characters."""

Cell: TypeAlias = object
"""What a cell shows: anything that has a `str`. Numbers stand on the right."""


def shown(value: Cell) -> str:
    """Return a value as a person reads it: numbers in groups of three digits, enums by name, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, Enum):
        return displayed(value.name, CELL_LIMIT)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | Decimal | float):
        return displayed(f"{value:,}", CELL_LIMIT)
    return displayed(str(value), CELL_LIMIT)


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table.

    Args:
        caption: stands above it; "": none.
        headings: of its columns; none: it has no line of headings.
        rows: the cells of each row.
    """
    head = "".join(f"<th>{_escaped(heading)}</th>" for heading in headings)
    lines = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    above = f"<caption>{html.escape(displayed(caption, 2 * CELL_LIMIT))}</caption>" if caption else ""
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>{above}{top}<tbody>{''.join(lines)}</tbody></table>"


def _cell(value: Cell) -> str:
    is_number = isinstance(value, int | Decimal | float) and not isinstance(value, bool | Enum)
    style = ' style="text-align: right"' if is_number else ""
    return f"<td{style}>{_escaped(value)}</td>"


def _escaped(value: Cell) -> str:
    return html.escape(shown(value))

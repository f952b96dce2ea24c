"""What `kiwoom-proto` shows on a terminal: a table that lives while rows come in."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kiwoom_proto import REALTIME, FieldError, Record
from kiwoom_proto.record import ACCOUNT_NUMBER_FID

__all__ = ("LiveTable", "plural")

MOST_COLUMNS = 8
MOST_ROWS = 40
UP, DOWN = "red", "blue"  # as Korean screens have it: red is up, blue is down


class LiveTable:
    """The newest row of each item, one type.

    Arguments:
        type_code: the type shown.
        source: where the rows come from, for the title.
        labels: item -> a name to show beside it.
    """

    def __init__(self, type_code: str, source: str, labels: Mapping[str, str] | None = None) -> None:
        self.type_code = type_code
        self.rows = 0
        self._source = source
        self._labels = {} if labels is None else dict(labels)
        self._newest: dict[str, Record] = {}
        self._counts: dict[str, int] = {}
        self._unknown_fids: tuple[str, ...] = ()

    def add(self, record: Record) -> None:
        """Show a row."""
        self.rows += 1
        self._newest[record.item] = record
        self._counts[record.item] = self._counts.get(record.item, 0) + 1
        if self.type_code not in REALTIME and not self._unknown_fids:
            self._unknown_fids = tuple(fid for fid in record.fids() if fid != ACCOUNT_NUMBER_FID)[:MOST_COLUMNS]

    def render(self, seconds: float) -> RenderableType:
        """Return the table as it stands, `seconds` after the beginning."""
        cls = REALTIME.get(self.type_code)
        fields = list(cls.fields.values())[:MOST_COLUMNS] if cls else []
        rate = self.rows / seconds if seconds > 0 else 0.0
        title = Text.assemble(
            (self.type_code, "bold"),
            f" {label_of(self.type_code)}".rstrip(),
            (f" {cls.__name__}" if cls else "", "cyan"),
            (f" · {self._source}", "dim"),
        )
        status = Text(f"{plural(self.rows, 'row')} · {rate:.1f} a second · {seconds:.0f} s", style="dim")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("item", no_wrap=True)
        for field in fields:
            table.add_column(field.name.replace("_", " "), justify="right")
        for fid in self._unknown_fids:
            table.add_column(f"FID {fid}", justify="right")
        table.add_column("rows", justify="right", style="dim")
        for item, record in list(self._newest.items())[:MOST_ROWS]:
            name = Text.assemble(item or "-", (f" {self._labels[item]}" if item in self._labels else "", "dim"))
            cells = [_cell(record, field.name) for field in fields]
            cells += [Text(record.fid(fid) or "") for fid in self._unknown_fids]
            table.add_row(name, *cells, f"{self._counts[item]:,}")
        if len(self._newest) > MOST_ROWS:
            table.add_row(f"… {len(self._newest) - MOST_ROWS} more")
        if not self._newest:
            table.add_row(Text("waiting for rows …", style="dim"))
        legend = Text(" · ".join(f"{field.name}\u00a0{field.label}" for field in fields), style="dim")
        return Group(title, status, Text(), table, Text(), legend)


def label_of(type_code: str) -> str:
    """The Korean name of a type, from the first line of its class's docstring."""
    cls = REALTIME.get(type_code)
    first = (cls.__doc__ or "").partition("\n")[0] if cls else ""
    return first[first.rfind("(") + 1 : first.rfind(")")] if "(" in first else ""


def plural(number: int, noun: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _cell(record: Record, name: str) -> Text:
    field = record.fields[name]
    if field.kind.masked:
        return Text("***", style="dim")
    try:
        value = getattr(record, name)
    except FieldError as error:
        return Text(error.text, style="reverse")
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, datetime.time):
        return Text(f"{value:%H:%M:%S}")
    if not isinstance(value, int | Decimal):
        return Text(str(value))
    if field.kind.directional:
        direction = record.direction(name)
        sign = direction.value if direction else ""
        return Text(f"{value:,}", style={"+": UP, "-": DOWN}.get(sign, ""))
    if "change" in name or field.kind.name in ("change", "signed quantity", "signed amount", "trade quantity"):
        return Text(f"{value:+,}" if value else "0", style=UP if value > 0 else DOWN if value < 0 else "dim")
    return Text(f"{value:,}")

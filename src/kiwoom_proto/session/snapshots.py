"""Records made of the replies of TRs: of the class, and with the FIDs, that a row of the type has.

Which element is which FID is in snapshot_tables.py. Texts are taken as they are, apart from outer spaces and exact
conversions. Blank elements are left out, as if the TR did not have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from ..realtime.record import STOCK_CODE_FID, Record
from ..realtime.spelling import row_item
from ..symbol import parse_stock_code
from .snapshot_tables import SOURCES, Source

__all__ = (
    "MERGED_TYPES",
    "Identity",
    "Texts",
    "combined",
    "identity_of",
    "record_of",
    "records_of",
    "rows_of",
    "superseded_by",
)

Identity: TypeAlias = tuple[str, ...]
"""What tells the records of one type apart: the number of an order, the stock of a holding."""


class Texts(Protocol):
    """The interface that is needed of a reply, and of a row of its list."""

    def element(self, name: str, /) -> str | None:
        """Return the exact text of an element; None if it is not there."""


def rows_of(reply: Texts) -> Sequence[Texts]:
    """Return the list of a reply; empty if it has none."""
    rows: Sequence[Texts] = getattr(reply, "rows", ())
    return rows


def record_of(cls: type[Record], type: str, item: str, texts: Texts, source: Source, received_at: int) -> Record | None:
    """Return a record made of a reply, or of one row of its list; None if all of its elements are blank.

    Args:
        cls: the class of the type.
        type: the type code.
        item: the item, as registered; "" if each record has a stock of its own.
        texts: the reply, or the row.
        source: what its elements mean.
        received_at: when it came, in nanoseconds since the epoch.
    """
    values = {}
    for fid, (element, convert) in source.fields.items():
        text = texts.element(element)
        if text is not None and (text := text.strip()) and (converted := convert(text)) is not None:
            values[fid] = converted
    if not values:
        return None
    if source.each:
        symbol = parse_stock_code(values.get(STOCK_CODE_FID, ""))
        item = "" if symbol is None else symbol.item
    _, _, exchange = item.partition(":")
    extra = {"api_id": source.api_id}
    return cls(
        type, row_item(item), cls.label, received_at, msgspec.json.encode(values), venue_code=exchange, extra=extra
    )


def records_of(
    cls: type[Record], type: str, items: Sequence[str], reply: Texts, source: Source, received_at: int
) -> Iterator[tuple[str, Record]]:
    """Yield the records of one page of a reply, with the item that each is of. Items without one are left out.

    Args:
        cls: the class of the type.
        type: the type code.
        items: the items that were asked for, as registered; ("",) for types whose rows have an item of their own.
        reply: the page.
        source: what its elements mean.
        received_at: when it came, in nanoseconds since the epoch.
    """
    if not source.rows:
        pairs: list[tuple[str, Texts]] = [(items[0], reply)]
    elif source.code:
        rows = {(row.element(source.code) or "").strip(): row for row in rows_of(reply)}
        pairs = [(item, rows[item]) for item in items if item in rows]
    elif source.each:
        pairs = [("", row) for row in rows_of(reply)]
    else:
        pairs = [(items[0], row) for row in rows_of(reply)[:1]]
    for item, texts in pairs:
        record = record_of(cls, type, item, texts, source, received_at)
        if record is not None:
            yield item, record


# What tells the records of one type apart.


def _bare(record: Record, fid: str) -> str:
    """Return a text without pads: "0000012" and "12" are the same order, "" and "00000000" both no date."""
    return (record.fid(fid) or "").strip().lstrip("0")


def _stock(record: Record) -> str:
    symbol = parse_stock_code((record.fid(STOCK_CODE_FID) or "").strip())
    return "" if symbol is None else symbol.item


def _order(record: Record) -> Identity:
    return (_bare(record, "9203"),)


def _holding(record: Record) -> Identity:
    return _stock(record), _bare(record, "917"), _bare(record, "916")


def _us_execution(record: Record) -> Identity:
    number = _bare(record, "9203")
    return (number,) if number else ("", _stock(record))


def _interruption(record: Record) -> Identity:
    return _stock(record), (record.fid("1223") or "").strip()


_IDENTITY: Mapping[str, Callable[[Record], Identity]] = {
    "00": _order,
    "04": _holding,
    "1h": _interruption,
    "F4": _order,
    "F5": _us_execution,
}


def identity_of(record: Record) -> Identity:
    """Return what tells a record apart from others of its type, of which a snapshot has many."""
    return _IDENTITY[record.type_code](record)


def superseded_by(row: Record) -> tuple[Identity, ...]:
    """Return which other records of a snapshot a row is newer than: a row of F5 has the holding of its stock too."""
    return (("", _stock(row)),) if row.type_code == "F5" else ()


MERGED_TYPES = frozenset(type for type, sources in SOURCES.items() if any(source.each for source in sources))
"""Types of which a snapshot has many records."""


def combined(first: Record, second: Record) -> Record:
    """Return one record of what two TRs say of the same order. Where both say something, the second is newer."""
    values: dict[str, Any] = {**first.fids(), **second.fids()}
    extra = {"api_id": f"{(first.extra or {}).get('api_id')} {(second.extra or {}).get('api_id')}"}
    encoded = msgspec.json.encode(values)
    # What was decoded of the first is not kept: it has other values.
    return msgspec.structs.replace(first, values=encoded, extra=extra, received_at=second.received_at, _decoded=None)

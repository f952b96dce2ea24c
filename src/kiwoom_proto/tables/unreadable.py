"""What the views cannot show: texts that are no values, and messages that are none. Pure.

Nearly every message is an object with a list of rows, each with its FIDs as texts: those are checked many at once.
Anything else is decoded as the library does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import attrs
import msgspec

from ..errors import UNREADABLE, FieldError, RecordingError
from ..events import Numbering, UnknownMessage
from ..realtime.catalogue import Types
from ..realtime.fields import Kind, to_magnitude, to_whole_number
from ..realtime.layout import MAX_FIDS
from ..realtime.record import Record
from ..recording.format import MessageLine, decode_line
from ..secrets import MASK
from ..wire.decoder import MessageDecoder
from .values import plain_value, sql_type_of

__all__ = ("UNREADABLE_TYPE", "UnreadableIn")

UNREADABLE_TYPE = (
    "STRUCT(received_ns BIGINT, epoch INTEGER, sequence BIGINT, type VARCHAR, item VARCHAR, fid VARCHAR, "
    '"column" VARCHAR, text VARCHAR, reason VARCHAR)[]'
)
MAX_KNOWN = 4096
"""Texts of a FID that are remembered to be values."""
MAX_TEXT = 1000
"""Characters of a message that are listed."""


class _Row(msgspec.Struct, gc=False):
    type: str
    values: dict[str, str | None] | None = None
    item: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    stexTp: str | msgspec.UnsetType = msgspec.UNSET


class _Real(msgspec.Struct, gc=False):
    data: list[_Row]
    trnm: Literal["REAL"]


_real = msgspec.json.Decoder(_Real)
_are_whole = re.compile(r"(?: *[-+]?[0-9]{1,18} *(?:,|\Z)|,)*").fullmatch
"""Texts of whole numbers, or nothing, with commas between them."""
_line = re.compile(r'\{"at":(\d{1,19}),"epoch":(\d{1,9}),"sequence":(\d{1,19}),"message":(\{.*\})\}\n?').fullmatch


@attrs.define
class _Known:
    """A field, and texts that are values of it."""

    name: str
    kind: Kind[Any]
    sql_type: str
    good: set[str]


class _Fields:
    """The fields of a type: those with whole numbers are looked at together, which takes a tenth of the time."""

    def __init__(self, cls: type[Record]) -> None:
        self.all = [
            (field.fid, _Known(field.name, field.kind, sql_type_of(field.kind), set())) for field in cls.fields.values()
        ]
        self.whole = [fid for fid, known in self.all if known.kind.convert in (to_whole_number, to_magnitude)]
        self.others = [each for each in self.all if each[0] not in set(self.whole)]


class UnreadableIn:
    """Says what is unreadable in a line of a recording.

    Args:
        types: type code -> class.
    """

    def __init__(self, types: Types) -> None:
        self._types = types
        self._fields: dict[str, _Fields] = {}
        self._numbering = Numbering(0)
        self._decoder = MessageDecoder(types, self._numbering)

    def __call__(self, line: str | None) -> list[dict[str, Any]] | None:
        """Return what is unreadable in a line, an entry each; None if nothing is.

        Args:
            line: the line; None: it is not JSON.
        """
        if line is None:
            return [_entry(reason="a line that DuckDB cannot read: read it with read_recording")]
        found = _line(line)
        if found is not None:
            at, epoch, sequence, payload = found.groups()
            numbers = int(at), int(epoch), int(sequence)
        else:
            try:
                decoded = decode_line(line.encode(), self._types)
            except (RecordingError, UnicodeEncodeError) as error:
                return [_entry(text=line, reason=str(error))]
            if not isinstance(decoded, MessageLine):
                return None
            numbers = decoded.at, decoded.epoch, decoded.sequence
            if '"message":{' not in line[:100]:
                return list(self._strange(decoded.payload, numbers)) or None
            payload = decoded.payload.decode()
        if '"values"' not in payload and '"REAL"' not in payload:
            return None  # a reply, a PING, a SYSTEM message
        if payload.count(",") <= MAX_FIDS:
            try:
                rows = _real.decode(payload).data
            except UNREADABLE:
                pass
            else:
                return self._texts(rows, numbers)
        return list(self._strange(payload.encode(), numbers)) or None

    def _texts(self, rows: list[_Row], numbers: tuple[int, int, int]) -> list[dict[str, Any]] | None:
        """Return the texts of well-formed rows that are no values."""
        found: list[dict[str, Any]] | None = None
        for index, row in enumerate(rows):
            fields = self._fields.get(row.type)
            if fields is None:
                if row.type not in self._types:
                    continue
                fields = self._fields[row.type] = _Fields(self._types[row.type])
            values = row.values
            if not values:
                continue
            get = values.get
            wholes = ",".join([get(fid) or "" for fid in fields.whole])
            are_good = _are_whole(wholes) and wholes.count(",") < len(fields.whole)
            others = fields.others if are_good or not wholes else fields.all
            for fid, known in others:
                text = get(fid)
                if text is None or text in known.good:
                    continue
                reason = _why(known, text)
                if not reason:
                    if len(known.good) >= MAX_KNOWN:
                        known.good.clear()
                    known.good.add(text)
                    continue
                at, epoch, sequence = numbers
                shown = MASK if known.kind.masked else text
                item = row.item if isinstance(row.item, str) else ""
                entry = _entry((at, epoch, sequence + index), row.type, item, fid, known.name, shown, reason=reason)
                found = [*(found or []), entry]
        return found

    def _strange(self, payload: bytes, numbers: tuple[int, int, int]) -> Iterator[dict[str, Any]]:
        """Yield an entry for each part that cannot be read of any other message."""
        at, epoch, sequence = numbers
        self._numbering.epoch, self._numbering.sequence = epoch, sequence - 1
        for message in self._decoder.decode(payload, at):
            if isinstance(message, UnknownMessage):
                text = message.payload[: 4 * MAX_TEXT].decode(errors="replace")
                yield _entry((at, epoch, message.sequence), text=text, reason=message.error)
            elif isinstance(message, Record):
                where = (at, epoch, message.sequence), message.type_code, message.item
                for name, field in message.fields.items():
                    try:
                        plain_value(getattr(message, name), sql_type_of(field.kind))
                    except (FieldError, ValueError) as error:
                        received = MASK if field.kind.masked else message.fid(field.fid)
                        yield _entry(*where, field.fid, name, received, reason=str(error))


def _why(known: _Known, text: str) -> str:
    """Return why a text is NULL in the table although it is not empty; "" if it is not."""
    try:
        value = known.kind.convert(text)
    except (ValueError, ArithmeticError):
        return f"not a {known.kind.name}" if text.strip() else ""
    try:
        plain_value(value, known.sql_type)
    except ValueError as error:
        return str(error)
    return ""


def _entry(
    numbers: tuple[int, int, int] | None = None,
    type: str | None = None,
    item: str | None = None,
    fid: str | None = None,
    column: str | None = None,
    text: str | None = None,
    *,
    reason: str,
) -> dict[str, Any]:
    at, epoch, sequence = numbers or (None, None, None)
    text = text if text is None else text[:MAX_TEXT]
    return {
        "received_ns": at,
        "epoch": epoch,
        "sequence": sequence,
        "type": type,
        "item": item,
        "fid": fid,
        "column": column,
        "text": text,
        "reason": reason,
    }

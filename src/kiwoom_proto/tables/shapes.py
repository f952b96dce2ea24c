"""The shapes of lines: which bytes are the same in all lines of one shape, and where between them the texts stand.

Nearly every message is like one before it but for the texts in its rows:

    {"at":1795564800000000000,"epoch":1,"sequence":12,"message":{"data":[{"values":{"20":"115618","10":"-257750", ...
          '---- digits -----'         ' '           '' '---- opening ---''------------------ row ------------ ...

                                     ... },"type":"0B","name":"주식체결","item":"005930"},{ ... }],"trnm":"REAL"}}
                                    ... ------------------------------------------------' '-----''--- closing --'

So an envelope and the shapes of rows are learnt from one line, which is parsed and decoded as any message is. Of each
further line all that is no text or number is compared: what is equal says the same, exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import msgspec

from ..realtime.record import Record
from ..wire.decoder import MessageDecoder

__all__ = ("HEAD", "ITEM", "MAX_ROW", "VENUE_CODE", "Envelope", "Piece", "RowShape", "learn_shapes")

ITEM, VENUE_CODE = "item", "stexTp"
"""The members of a row that name what it is about; its other texts have FIDs as their names."""
MAX_ROW = 64 * 1024
"""Bytes of a row of a known shape. Shapes are kept, and Python limits what it reads of a longer row."""

HEAD = (b'{"at":', b',"epoch":', b',"sequence":')
"""What stands in front of the three numbers of a line."""
_head = re.compile(rb'\{"at":[0-9]{19},"epoch":[0-9]{1,9},"sequence":[0-9]{1,18}(?=,"message":\{)').match


@attrs.frozen
class Envelope:
    """What surrounds the rows of a message.

    Attributes:
        opening: what stands between the sequence number and the first row.
        closing: what stands behind the last row, the line break included.
    """

    opening: bytes
    closing: bytes


@attrs.frozen
class Piece:
    """Bytes that are the same in all rows of a shape, and the text that follows them.

    Attributes:
        equal: the bytes.
        name: the name of the text: a FID, `ITEM` or `VENUE_CODE`; "" if the row ends here.
    """

    equal: bytes
    name: str


@attrs.frozen
class RowShape:
    """The shape of a row.

    Attributes:
        type: the type code.
        pieces: what it is made of.
    """

    type: str
    pieces: tuple[Piece, ...]


class _Message(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]


_message = msgspec.json.Decoder(_Message)


def learn_shapes(line: bytes, types: Mapping[str, type[Record]]) -> tuple[Envelope, list[RowShape]] | None:
    """Return the envelope of a line and the shapes of its rows; None if it is no message of rows, or not plainly one.

    Args:
        line: the line, without its line break.
        types: type code -> class.
    """
    head = _head(line)
    if head is None or not line.endswith(b"}") or b"\\" in line:
        return None
    payload = line[head.end() + len(b',"message":') : -1]
    try:
        json.loads(payload, object_pairs_hook=_unique)
        rows = [bytes(row) for row in _message.decode(payload).data]
        opening, found, closing = line[head.end() :].partition(b",".join(rows))
        records = MessageDecoder(types).decode(payload)
        if not rows or not found or len(rows) != len(records):
            return None
        shapes = [_shape_of(row, record) for row, record in zip(rows, records, strict=True)]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError):
        return None
    return Envelope(opening, closing + b"\n"), shapes


def _shape_of(row: bytes, record: Any) -> RowShape:
    """Return the shape of a row.

    Raises:
        ValueError: it has another form, or the decoder reads something else.
        LookupError, TypeError, AttributeError, RecursionError: likewise.
    """
    if not isinstance(record, Record) or len(row) > MAX_ROW:
        raise ValueError("no row")
    tokens = row.split(b'"')  # what is at odd places stands between two quotation marks
    named = {token: name for name, token in _texts_of(tokens)}
    for number, name in named.items():
        read = {ITEM: record.item, VENUE_CODE: record.venue_code}.get(name, record.fid(name))
        if tokens[number].decode() != read:
            raise ValueError("read otherwise")
    pieces, equal = list[Piece](), b""
    for number, token in enumerate(tokens):
        mark = b'"' if number else b""
        if number in named:
            pieces.append(Piece(equal + mark, named[number]))
            equal = b""
        else:
            equal += mark + token
    return RowShape(record.type_code, (*pieces, Piece(equal, "")))


def _texts_of(tokens: list[bytes]) -> Iterator[tuple[str, int]]:
    """Yield the texts of a row: their names, and the numbers of their tokens."""
    numbered = [*tokens]
    for number in range(1, len(tokens), 2):
        if not tokens[number + 1].lstrip().startswith(b":"):  # no key
            numbered[number] = b"%d" % number
    row = json.loads(b'"'.join(numbered), object_pairs_hook=_unique)
    for fid, token in row["values"].items():
        if fid in (ITEM, VENUE_CODE):
            raise ValueError("a FID of that name")
        yield fid, _number(token)
    for name in (ITEM, VENUE_CODE):
        if name in row:
            yield name, _number(row[name])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _number(token: Any) -> int:
    if not isinstance(token, str):
        raise ValueError("no text")
    return int(token)

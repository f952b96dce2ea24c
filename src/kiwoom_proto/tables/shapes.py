"""The shapes of lines: which bytes are the same in all lines of one shape, and where between them the texts stand.

Nearly every line of a type is like the one before it but for the texts of its fields, and some numbers:

    {"at":1795564800000000000,"epoch":1,"sequence":123456,"message":{"data":[{"values":{"20":"115618","10":"-257750",
          '---- 19 digits ----'         -          '----'                                    '----'       '-----'

So a shape is learnt from one line, which is parsed and decoded as any message is. Of each further line all that is no
text or number is compared: what is equal says the same, exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from ..realtime.record import Record
from ..wire.decoder import MessageDecoder

__all__ = ("ITEM", "VENUE_CODE", "Piece", "Shape", "learn_shape")

ITEM, VENUE_CODE = "item", "stexTp"
"""The members of a row that name what it is about; its texts have FIDs as their names."""

_head = re.compile(rb'\{"at":([0-9]{19}),"epoch":([0-9]{1,9}),"sequence":([0-9]{1,18}),"message":\{').match


@attrs.frozen
class Piece:
    """Bytes that are the same in all lines of a shape, and what follows them.

    Attributes:
        bytes: the bytes.
        follows: "at", "epoch" and "sequence": digits; "text": a text, up to its quotation mark; "end": the next line.
        row: the row that the text belongs to, by its number in the message.
        name: the name of the text in that row: a FID, `ITEM`, or `VENUE_CODE`.
    """

    bytes: bytes
    follows: Literal["at", "epoch", "sequence", "text", "end"]
    row: int = 0
    name: str = ""


@attrs.frozen(eq=False)
class Shape:
    """The shape of a line.

    Attributes:
        pieces: what it is made of.
        types: the type codes of the rows.
    """

    pieces: tuple[Piece, ...]
    types: tuple[str, ...]


def learn_shape(line: bytes, types: Mapping[str, type[Record]]) -> Shape | None:
    """Return the shape of a line; None if it is no message of rows, or not plainly one.

    Args:
        line: the line, without its line break.
        types: type code -> class.
    """
    head = _head(line)
    if head is None or not line.endswith(b"}") or b"\\" in line:
        return None
    payload = line[head.end() - 1 : -1]
    tokens = payload.split(b'"')  # what is at odd places stands between two quotation marks
    try:
        rows = _rows_of(tokens)
        codes = _types_of(rows, tokens, MessageDecoder(types).decode(payload))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    named = {token: (index, name) for index, row in enumerate(rows) for name, token in _texts_of(row)}
    pieces = [
        Piece(line[: head.start(1)], "at"),
        Piece(line[head.end(1) : head.start(2)], "epoch"),
        Piece(line[head.end(2) : head.start(3)], "sequence"),
    ]
    equal = line[head.end(3) : head.end() - 1]
    for number, token in enumerate(tokens):
        mark = b'"' if number else b""
        if number not in named:
            equal += mark + token
            continue
        pieces.append(Piece(equal + mark, "text", *named[number]))
        equal = b""
    pieces.append(Piece(equal + line[-1:] + b"\n", "end"))
    return Shape(tuple(pieces), codes)


def _rows_of(tokens: list[bytes]) -> list[dict[str, Any]]:
    """Return the rows of a message: each text in them is the number of its token.

    Raises:
        ValueError: it is no JSON, or has a key twice.
        LookupError, TypeError, RecursionError: likewise, or it has no rows.
    """
    numbered = [*tokens]
    for number in range(1, len(tokens), 2):
        if not tokens[number + 1].lstrip().startswith(b":"):  # no key
            numbered[number] = b"%d" % number
    rows: list[dict[str, Any]] = json.loads(b'"'.join(numbered), object_pairs_hook=_unique)["data"]
    return rows


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _texts_of(row: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the texts of a row: their names, and the numbers of their tokens."""
    for fid, token in row["values"].items():
        yield fid, _number(token)
    for name in (ITEM, VENUE_CODE):
        if name in row:
            yield name, _number(row[name])


def _number(token: Any) -> int:
    if not isinstance(token, str):
        raise ValueError("no text")
    return int(token)


def _types_of(rows: list[dict[str, Any]], tokens: list[bytes], records: list[Any]) -> tuple[str, ...]:
    """Return the type codes of rows.

    Args:
        rows: the rows, as `_rows_of` returns them.
        tokens: their tokens.
        records: what the decoder makes of the message.

    Raises:
        ValueError: the decoder reads something else.
        LookupError, TypeError, AttributeError: likewise.
    """
    if not rows or len(rows) != len(records):
        raise ValueError("no rows")
    for row, record in zip(rows, records, strict=True):
        if not isinstance(record, Record):
            raise ValueError("no row")
        for name, token in _texts_of(row):
            read = {ITEM: record.item, VENUE_CODE: record.venue_code}.get(name, record.fid(name))
            if tokens[token].decode() != read:
                raise ValueError("read otherwise")
    return tuple(record.type_code for record in records)

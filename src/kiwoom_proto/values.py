"""Decoding the still encoded `values` of a row: FIDs -> texts.

msgspec finds the attribute of a JSON key by scanning a Struct's fields from the last match on. Where the fields stand
in the order of the wire, each key is found at once; where they do not, decoding 163 FIDs takes four times as long
(5.8 against 21 µs). The server's order is not documented and the official examples differ from what was measured, so
a `Layout` learns the order from what comes: from the first row of its type, and again from every 256th.

Values that are not what they should be (a list, numbers, null) never lose the good ones beside them: `decode_fids`
takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

__all__ = ("Layout", "decode_fids")

CHECK_EVERY = 256
"""Rows of one type between two looks at the order of their keys."""
MAX_ORDERS = 8
"""Orders remembered per type, the latest ones: making a Struct takes longer than decoding a thousand rows."""

_strict = msgspec.json.Decoder(dict[str, str])
_tolerant = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)

# What msgspec raises for any input whatever. RecursionError: nested too deeply.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_fids(raw: bytes | msgspec.Raw) -> dict[str, str]:
    """Return every FID in `raw` with its text, in the order received.

    Takes what the documentation promises (an object of strings) and what it might mean elsewhere: numbers and nested
    values keep their JSON text, null is absent, a list is read as its objects one after another, and anything else
    has no FIDs.
    """
    try:
        return _strict.decode(raw)
    except UNREADABLE:
        pass
    try:
        rows = _list.decode(raw)
    except UNREADABLE:
        rows = [msgspec.Raw(raw)]
    fids: dict[str, str] = {}
    for row in rows:
        try:
            members = _members(bytes(row))
        except UNREADABLE:
            continue
        for fid, value in members.items():
            text = _text(bytes(value))
            if text is not None:
                fids[fid] = text
    return fids


def _members(row: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _tolerant.decode(row)
    except UnicodeDecodeError:  # in a key
        return _tolerant.decode(row.decode(errors="replace").encode())


def _text(value: bytes) -> str | None:
    if value == b"null":
        return None
    try:
        return _string.decode(value)
    except UNREADABLE:
        return value.decode(errors="replace")


class Layout:
    """How one real-time type's values are decoded: a Struct of all its FIDs, fields in the order of the wire.

    Attributes:
        fids: the FIDs declared for the type, in official order.
    """

    __slots__ = ("_decoder", "_decoders", "_fids", "_order", "_rows_left", "fids")

    def __init__(self, fids: Iterable[str]) -> None:
        self.fids = tuple(fids)
        self._fids = frozenset(self.fids)
        self._order = self.fids
        # Made by the first row, which is the first to tell the order: a Struct of 163 fields costs a millisecond, and
        # most programs meet few of the types.
        self._decoders: dict[tuple[str, ...], msgspec.json.Decoder[Any]] = {}
        self._decoder: Any = None
        self._rows_left = 0

    def decode(self, raw: msgspec.Raw) -> Any:
        """Return an object that holds the text of FID 131 as `f131`, and so on; None where it is absent."""
        self._rows_left -= 1
        if self._rows_left < 0:
            self._learn_order(raw)
        try:
            return self._decoder.decode(raw)
        except UNREADABLE:
            fids = decode_fids(raw)
            return self._decoder.type(*[fids.get(fid) for fid in self._order])

    def _learn_order(self, raw: msgspec.Raw) -> None:
        self._rows_left = CHECK_EVERY - 1
        seen = [fid for fid in decode_fids(raw) if fid in self._fids]
        if self._decoder is not None and _is_subsequence(seen, self._order):
            return  # FIDs may be missing from a row; the order holds all the same
        known = frozenset(seen)
        order = (*seen, *(fid for fid in self._order if fid not in known))
        decoder = self._decoders.pop(order, None)
        if decoder is None:
            decoder = _make_decoder(order)
            if len(self._decoders) >= MAX_ORDERS:
                del self._decoders[next(iter(self._decoders))]
        self._decoders[order] = decoder  # the last is the latest
        self._order = order
        self._decoder = decoder


def _make_decoder(order: Sequence[str]) -> msgspec.json.Decoder[Any]:
    struct = msgspec.defstruct(
        "Values",
        [(f"f{fid}", str | None, msgspec.field(name=fid, default=None)) for fid in order],
        frozen=True,
        gc=False,
    )
    return msgspec.json.Decoder(struct)


def _is_subsequence(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(fid in rest for fid in part)

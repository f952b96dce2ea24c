"""Decoding the still encoded `values` of a row: FIDs -> texts.

msgspec decodes only the keys that a Struct has fields for, and finds a key by scanning the fields from the last match
on. So a `Layout` learns two things from what comes and what the program does, and makes its Struct accordingly:

* which FIDs are read: 6 of 43 of a trade, mostly. One that is read besides is decoded then, and wanted from then on;
* the order of the keys on the wire, which is not documented, and the official examples differ from what was measured.
  In another order, decoding 163 FIDs takes four times as long (5.8 against 21 µs).

It looks at both again after some rows, ever more seldom.

Values that are not what they should be (a list, numbers, null) never lose the good ones beside them: `decode_fids`
takes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

__all__ = ("Layout", "decode_fids")

LONGEST_INTERVAL = 4096
"""Rows of one type between two looks at them, at most; the interval doubles up to here."""
MAX_DECODERS = 16
"""Decoders remembered per type, the latest ones: making a Struct takes longer than decoding a thousand rows."""

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
    """How one real-time type's values are decoded: a Struct of the FIDs that are read, in the order of the wire.

    Attributes:
        fids: the FIDs declared for the type, in official order.
    """

    __slots__ = (
        "_decode",
        "_decoders",
        "_fids",
        "_interval",
        "_missed",
        "_order",
        "_read",
        "_rows_left",
        "_wanted",
        "fids",
    )

    def __init__(self, fids: Iterable[str]) -> None:
        self.fids = tuple(fids)
        self._fids = frozenset(self.fids)
        self._order = self.fids
        self._wanted: frozenset[str] = frozenset()  # what is read of a row
        self._read: set[str] = set()  # what was read of those rows that were watched, since the last look
        self._missed = False  # something was read that was not wanted
        # Made when first needed: a Struct of 163 fields costs a millisecond, and most programs meet few of the types.
        self._decoders: dict[tuple[str, ...], msgspec.json.Decoder[Any]] = {}
        self._decode: Any = None
        self._interval = 8
        self._rows_left = 0

    def decode(self, raw: msgspec.Raw) -> Any:
        """Return an object that holds the text of FID 131 as `f131`, and so on; None where it is absent from the row.

        It may lack the attribute of a FID that programs did not read of late: `decode_all` has it.
        """
        self._rows_left -= 1
        if self._rows_left < 0:
            return self._look(raw)
        try:
            return self._decode(raw)
        except UNREADABLE:
            return _Watched(decode_fids(raw), self._fids, self._read)

    def decode_all(self, raw: msgspec.Raw) -> Any:
        """The same with every FID; what is read of it will be wanted of the next row."""
        self._missed = True
        self._rows_left = 0
        return _Watched(decode_fids(raw), self._fids, self._read)

    def _look(self, raw: msgspec.Raw) -> Any:
        """Look at the order of a row's keys, at what was read since the last look, and at what is read of this row."""
        if self._missed:
            self._wanted |= self._read
        else:
            self._wanted = frozenset(self._read)
            self._read.clear()
            self._interval = min(self._interval * 2, LONGEST_INTERVAL)
        self._missed = False
        self._rows_left = self._interval if self._wanted else 0
        fids = decode_fids(raw)
        seen = [fid for fid in fids if fid in self._fids]
        if not _is_subsequence(seen, self._order):  # FIDs may be missing from a row
            known = frozenset(seen)
            self._order = (*seen, *(fid for fid in self._order if fid not in known))
        if self._wanted:
            self._decode = self._decoder_of(tuple(fid for fid in self._order if fid in self._wanted)).decode
        return _Watched(fids, self._fids, self._read)

    def _decoder_of(self, order: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
        decoder = self._decoders.pop(order, None)
        if decoder is None:
            decoder = _make_decoder(order)
            if len(self._decoders) >= MAX_DECODERS:
                del self._decoders[next(iter(self._decoders))]
        self._decoders[order] = decoder  # the last is the latest
        return decoder


class _Watched:
    """Decoded values that note which of them are read."""

    __slots__ = ("_declared", "_fids", "_read")

    def __init__(self, fids: dict[str, str], declared: frozenset[str], read: set[str]) -> None:
        self._fids = fids
        self._declared = declared
        self._read = read

    def __getattr__(self, name: str) -> str | None:
        fid = name[1:]
        if fid not in self._declared:
            raise AttributeError(name)
        self._read.add(fid)
        return self._fids.get(fid)


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

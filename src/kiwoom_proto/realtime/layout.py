"""Decode the encoded `values` of a row into strings by FID.

A program reads few of a row's FIDs (mostly 6 of 43 of a trade), and the order of the keys on the wire, which is not
documented, hardly ever changes. A `Layout` therefore learns both from what arrives and what the program reads:

* Only what is read is decoded: msgspec skips keys that its Struct has no field for. A FID that is read in addition is
  decoded then, and for every later row.
* Everything behind the last FID that is read is cut off before decoding.
* The Struct has its fields in the order of the wire, because msgspec starts looking for a key at the last match.

If a FID occurs twice in a row, which of the two counts is not specified.

Both are sampled again after some number of rows, which grows, and from any row that is not as expected.

Values that are malformed (a list, numbers, null) never lose the good ones beside them: `read_fids` takes over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, TypeAlias

import msgspec

from ..errors import UNREADABLE

__all__ = ("MAX_FIDS", "FidStrings", "Layout", "NumberLayout", "read_fids")

MAX_SAMPLE_INTERVAL = 4096
"""Maximum number of rows of one type between two samples; the interval doubles up to this."""
MAX_DECODERS = 16
"""Maximum number of decoders kept per type, most recent first: making a Struct takes longer than decoding 1000 rows."""
MIN_READ_FOR_ALL = 14
"""From this number of FIDs read, those in between are decoded too: skipping a key takes one comparison per field (about
1 ns each), decoding its string 15 ns."""

MAX_SAMPLED_BYTES = 65_536
"""Maximum size of a row that is sampled; one of 163 FIDs has 2 kB. What is learned outlives the row."""

MAX_FIDS = 16_384
"""Maximum number of FIDs read of one row; the catalogue has up to 163."""
MAX_SALVAGED_BYTES = 1024 * 1024
"""Maximum number of bytes of a malformed row that are searched for complete pairs."""

UNDERSCORE, BACKSLASH = b"_\\"  # ints: `in` is five times as fast for an int as for bytes

ASCII = bytes(range(128))
_digit_or_space = re.compile(r"[\d\s]")

_strict = msgspec.json.Decoder(dict[str, str])
_tolerant = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)
_pair = re.compile(rb'"([0-9]+)"\s*:\s*"([^"\\\x00-\x1f]*)"\s*(?=[,}])')


def read_fids(values: bytes) -> tuple[dict[str, str], str]:
    """Read every FID in `values`.

    The documentation promises an object of strings. Other JSON is read as far as it makes sense: numbers and nested
    values keep their JSON text, null means absent, a list is read as its objects one after another, and anything else
    has no FIDs. From malformed JSON, or with too many FIDs, the complete pairs at the beginning are kept.

    Returns:
        The FIDs with their exact strings, in the order received; and what is wrong with `values`, "" if nothing.
    """
    if values.count(b",") > MAX_FIDS:
        return _salvage(values), f"more than {MAX_FIDS:,} FIDs, or commas"
    try:
        return _strict.decode(values), ""
    except UNREADABLE:
        pass
    try:
        rows = [bytes(row) for row in _list.decode(values)]
    except UNREADABLE:
        rows = [values]
    fids: dict[str, str] = {}
    wrong = ""
    for row in rows:
        try:
            members = _members(row)
        except msgspec.ValidationError:
            continue  # JSON, but not an object
        except UNREADABLE as error:
            wrong = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            fids.update(_salvage(row))
            continue
        for fid, value in members.items():
            text = _text(bytes(value))
            if text is not None:
                fids[fid] = text
    return fids, wrong


def _salvage(row: bytes) -> dict[str, str]:
    """Return the complete pairs of malformed JSON."""
    pairs = islice(_pair.finditer(row[:MAX_SALVAGED_BYTES]), MAX_FIDS)
    return {pair[1].decode(): pair[2].decode(errors="replace") for pair in pairs}


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


_Plan: TypeAlias = tuple[bytes, int, Any]


class FidStrings:
    """All FIDs of a row. Records which of them are read.

    Attributes:
        fids: FID -> string, in the order received.
        wrong: what is wrong with the row, "" if nothing. If something is, a missing FID may have been received.
    """

    __slots__ = ("_read", "fids", "wrong")

    def __init__(self, values: bytes, read: set[str] | None = None) -> None:
        self.fids, self.wrong = read_fids(values)
        self._read = read

    def text(self, fid: str) -> str | None:
        """Return the string of a FID, or None if it is absent."""
        if self._read is not None:
            self._read.add(fid)
        return self.fids.get(fid)


class Layout:
    """How the values of one real-time type are decoded: into a Struct of the FIDs that are read, in wire order.

    Attributes:
        fids: the declared FIDs of the type, in official order.
    """

    __slots__ = (
        "_decoders",
        "_interval",
        "_keys",
        "_known",
        "_missed",
        "_order",
        "_plan",
        "_read",
        "_rows_left",
        "_wanted",
        "fids",
    )

    def __init__(self, fids: Iterable[str]) -> None:
        self.fids = tuple(fids)
        self._known = frozenset(self.fids)
        self._order = self.fids
        self._keys: tuple[str, ...] = ()  # of the last sample
        self._wanted: frozenset[str] = frozenset()  # the FIDs to decode
        self._read: set[str] = set()  # the FIDs read of sampled rows since the last sample
        self._missed = False  # a FID was read that had not been decoded
        # Made when first needed: a Struct of 163 fields costs a millisecond, and most programs use few types.
        self._decoders: dict[tuple[tuple[str, ...], bool], Callable[[bytes], Any]] = {}
        # The key after the last FID to decode (b"": decode the whole row), the offset to search it from (it has never
        # been further left), and the decoder. One object, because another thread may replace it.
        self._plan: _Plan = b"", 0, None
        self._interval = 8
        self._rows_left = 0

    def decode(self, values: bytes) -> Any:
        """Decode the FIDs that programs read of this type.

        Returns:
            An object with the string of FID 131 as its attribute `f131`, and so on; None if absent from the row. It
            lacks the attributes of FIDs that were not read lately: call `decode_all`. All its strings are safe for
            `int()`. If they might not be, and for rows that are sampled, `FidStrings`.
        """
        self._rows_left -= 1
        if self._rows_left < 0:
            return self._resample(values)
        next_key, start, decode = self._plan
        wanted = values
        if next_key:
            # Only a key can look like this: inside a string, a quote has a backslash before it.
            end = values.find(next_key, start)
            if end < 0:
                end = values.find(next_key)
                if end < 0:
                    return self._resample(values)
                self._plan = next_key, end, decode
            wanted = values[:end] + b"}"
        if UNDERSCORE in wanted or BACKSLASH in wanted or not (wanted.isascii() or _is_plain(wanted)):
            return FidStrings(values, self._read)
        try:
            return decode(wanted)
        except UNREADABLE:
            return self._resample(values)

    def decode_all(self, values: bytes) -> FidStrings:
        """Decode every FID. Those read of the result will be decoded from the next row on."""
        self._missed = True
        self._rows_left = 0
        return FidStrings(values, self._read)

    def _resample(self, values: bytes) -> FidStrings:
        """Sample the order of a row's keys, the FIDs read since the last sample, and those read of this row.

        Sessions in several threads share a type's layout, and may sample at the same time. Each uses what it saw, and
        whichever plan they leave is consistent.
        """
        if len(values) > MAX_SAMPLED_BYTES:
            return FidStrings(values)
        if self._missed:
            wanted = self._wanted | self._read
        else:
            wanted = frozenset(self._read)
            self._read.clear()
            self._interval = min(self._interval * 2, MAX_SAMPLE_INTERVAL)
        self._missed = False
        self._wanted = wanted
        texts = FidStrings(values, self._read)
        keys, before = tuple(texts.fids), self._keys
        self._keys = keys
        if wanted:
            self._make_plan(values, wanted, keys, before)
        self._rows_left = self._interval if wanted else 0  # last: from here on, `_plan` is used
        return texts

    def _make_plan(self, values: bytes, wanted: frozenset[str], keys: tuple[str, ...], before: tuple[str, ...]) -> None:
        """Choose how the next rows are decoded, from the keys of this sample and of the one before."""
        order = self._order
        seen = [key for key in keys if key in self._known]
        if not _is_subsequence(seen, order) and keys == before:  # FIDs may be missing from a row
            known = frozenset(seen)
            order = self._order = (*seen, *(fid for fid in order if fid not in known))
        if wanted.issubset(keys):
            last = max(map(keys.index, wanted))
            head, behind = keys[: last + 1], keys[last + 1 : last + 2]
            if before[: last + 2] == head + behind:  # otherwise the order may differ from row to row
                next_key, start = _find(behind, values)
                decoded = self._known if len(wanted) >= MIN_READ_FOR_ALL else wanted
                within = tuple(fid for fid in head if fid in decoded)
                self._plan = next_key, start, self._decoder_of(within, bool(next_key))
                return
        self._plan = b"", 0, self._decoder_of(tuple(fid for fid in order if fid in wanted), False)

    def _decoder_of(self, order: tuple[str, ...], is_cut: bool) -> Any:
        decoder = self._decoders.pop((order, is_cut), None)
        if decoder is None:
            decoder = self._make_decoder(order, is_cut)
            if len(self._decoders) >= MAX_DECODERS:
                self._decoders.pop(next(iter(tuple(self._decoders))), None)
        self._decoders[order, is_cut] = decoder  # the last is the most recent
        return decoder

    def _make_decoder(self, order: tuple[str, ...], is_cut: bool) -> Callable[[bytes], Any]:
        return _make_decoder([(fid, str if is_cut else str | None) for fid in order], is_cut)


_Number = Annotated[int, msgspec.Meta(ge=0)]
# With the sign of a magnitude, "+20900" is as good as "-20900", which msgspec reads. What msgspec takes for a whole
# number and Kiwoom does not ("1e3", "2.0") becomes what is not a number.
_SIGNS = bytes.maketrans(b"+.eE", b"-xxx")
_POINT, _E, _LITTLE_E = b".Ee"  # mostly absent: looking for them and replacing takes half as long as translating


class NumberLayout(Layout):
    """How some whole numbers of one real-time type are decoded: always all of them, and without a string for each.

    Reading a number from JSON takes a third of the time of making a string and an `int` of it.

    Args:
        fids: the declared FIDs of the type, in official order.
        numbers: the FIDs to decode, and whether the sign is to be ignored. A number with a sign that counts is left to
            `Layout`.
    """

    __slots__ = ("_numbers",)

    def __init__(self, fids: Iterable[str], numbers: Mapping[str, bool]) -> None:
        super().__init__(fids)
        self._numbers = numbers

    def decode(self, values: bytes) -> Any:
        """Decode the numbers.

        Returns:
            An object with the number of FID 41 as its attribute `f41`, and so on, which may be negative if its sign is
            to be ignored; None if absent from the row. `FidStrings` for rows that are sampled. None if some of the
            strings may not be such numbers: `Layout` can tell.
        """
        self._rows_left -= 1
        if self._rows_left < 0:
            return self._resample(values)
        next_key, start, decode = self._plan
        if next_key:
            end = values.find(next_key, start)
            if end < 0:
                return self._resample(values)
            values = values[:end] + b"}"
        if BACKSLASH in values or not values.isascii():
            return None
        try:
            if _POINT in values or _E in values or _LITTLE_E in values:
                return decode(values.translate(_SIGNS))
            return decode(values.replace(b"+", b"-"))
        except UNREADABLE:
            return None

    def _resample(self, values: bytes) -> FidStrings:
        self._read.update(self._numbers)
        return super()._resample(values)

    def _make_decoder(self, order: tuple[str, ...], is_cut: bool) -> Callable[[bytes], Any]:
        kinds = {fid: int if is_magnitude else _Number for fid, is_magnitude in self._numbers.items()}
        return _make_decoder([(fid, kinds.get(fid, Any)) for fid in order], is_cut, strict=False)


# A traceback that shows variables shows these, and one of them may be an account number.
_UNSHOWN = {"__repr__": lambda values: "<values of a row>", "__rich_repr__": lambda values: ()}


def _make_decoder(fids: Iterable[tuple[str, Any]], is_cut: bool, *, strict: bool = True) -> Callable[[bytes], Any]:
    """Make a decoder. If rows are cut, it rejects one without one of these FIDs: it may have been cut off."""
    fields = [
        (f"f{fid}", kind, msgspec.field(name=fid, default=msgspec.NODEFAULT if is_cut and kind is not Any else None))
        for fid, kind in fids
    ]
    values = msgspec.defstruct("Values", fields, namespace=_UNSHOWN, frozen=True, gc=False, kw_only=True)
    return msgspec.json.Decoder(values, strict=strict).decode


def _is_plain(wanted: bytes) -> bool:
    """Return whether the characters beyond ASCII, of names, include none that Python takes for a digit or a space.

    Most of a row is ASCII: the search takes a tenth of the time without it.
    """
    try:
        wanted.decode()  # all of it first: without the ASCII in between, halves of characters could join
        return _digit_or_space.search(wanted.translate(None, ASCII).decode()) is None
    except UnicodeDecodeError:
        return False


def _find(behind: tuple[str, ...], values: bytes) -> tuple[bytes, int]:
    """Return the bytes of the next key in a row and their offset, or b"" if the row must not be cut."""
    for key in behind:
        next_key = f',"{key}":'.encode()
        start = values.find(next_key)
        if key.isdigit() and start > 0:
            return next_key, start
    return b"", 0


def _is_subsequence(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(fid in rest for fid in part)

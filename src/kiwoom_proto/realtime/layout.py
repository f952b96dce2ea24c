"""Decoding the still encoded `values` of a row: FIDs -> texts.

A program reads few of a row's FIDs (6 of 43 of a trade, mostly), and the order of the keys on the wire, which is not
documented, hardly ever changes. So a `Layout` learns both from what comes and what the program does:

* only what is read is decoded: msgspec passes over the keys that its Struct has no field for. One that is read besides
  is decoded then, and wanted from then on;
* what stands behind the last FID that is read is not even looked at: the row is cut there;
* the Struct has its fields in the order of the wire, because msgspec looks for a key from the last match on.

Which of them counts where a FID comes twice in a row is not promised.

It looks at both again after some rows, ever more seldom, and at any row that is not as expected.

Values that are not what they should be (a list, numbers, null) never lose the good ones beside them: `read_fids` takes
over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from ..errors import UNREADABLE

__all__ = ("Layout", "Texts", "read_fids")

LONGEST_INTERVAL = 4096
"""Rows of one type between two looks at them, at most; the interval doubles up to here."""
MAX_DECODERS = 16
"""Decoders remembered per type, the latest ones: making a Struct takes longer than decoding a thousand rows."""
MANY = 14
"""Where so many FIDs are read, those in between are decoded too: passing over a key takes a comparison with each field
(about 1 ns), decoding its text 15."""

LONGEST_LEARNED = 65_536
"""Bytes of a row that anything is learned from; one of 163 FIDs has 2 kB. What is learned outlives the row."""

MAX_FIDS = 16_384
"""FIDs of a row that are read; the catalogue knows of 163 in one."""
LONGEST_SALVAGED = 1024 * 1024
"""Bytes of a row in which FIDs are looked for one by one."""

UNDERSCORE, BACKSLASH = b"_\\"  # numbers: looking for a byte is five times as fast as for bytes

ASCII = bytes(range(128))
_digit_or_space = re.compile(r"[\d\s]")

_strict = msgspec.json.Decoder(dict[str, str])
_tolerant = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)
_pair = re.compile(rb'"([0-9]+)"\s*:\s*"([^"\\\x00-\x1f]*)"\s*(?=[,}])')


def read_fids(values: bytes) -> tuple[dict[str, str], str]:
    """Return every FID in `values` with its text, in the order received, and what is wrong with them; "": nothing.

    Takes what the documentation promises (an object of strings) and what it might mean elsewhere: numbers and nested
    values keep their JSON text, null is absent, a list is read as its objects one after another, and anything else
    has no FIDs. Of what is no JSON, or has too many, those that stand there whole are taken, from the beginning.
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
            continue  # JSON, but no object
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
    """Return the FIDs that stand whole in what cannot be read as it should be."""
    pairs = islice(_pair.finditer(row[:LONGEST_SALVAGED]), MAX_FIDS)
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


_Way: TypeAlias = tuple[bytes, int, Any]


class Texts:
    """All FIDs of a row, which note what is read of them.

    Attributes:
        fids: FID -> text, in the order received.
        wrong: what is wrong with the row, so that a FID that is not there may have been received; "": nothing.
    """

    __slots__ = ("_read", "fids", "wrong")

    def __init__(self, values: bytes, read: set[str] | None = None) -> None:
        self.fids, self.wrong = read_fids(values)
        self._read = read

    def text(self, fid: str) -> str | None:
        """Return the text of a FID; None where it is absent."""
        if self._read is not None:
            self._read.add(fid)
        return self.fids.get(fid)


class Layout:
    """How one real-time type's values are decoded: a Struct of the FIDs that are read, in the order of the wire.

    Attributes:
        fids: the FIDs declared for the type, in official order.
    """

    __slots__ = (
        "_decoders",
        "_interval",
        "_keys",
        "_known",
        "_missed",
        "_order",
        "_read",
        "_rows_left",
        "_wanted",
        "_way",
        "fids",
    )

    def __init__(self, fids: Iterable[str]) -> None:
        self.fids = tuple(fids)
        self._known = frozenset(self.fids)
        self._order = self.fids
        self._keys: tuple[str, ...] = ()  # of the row that was looked at last
        self._wanted: frozenset[str] = frozenset()  # what is read of a row
        self._read: set[str] = set()  # what was read of those rows that were watched, since the last look
        self._missed = False  # something was read that was not wanted
        # Made when first needed: a Struct of 163 fields costs a millisecond, and most programs meet few of the types.
        self._decoders: dict[tuple[tuple[str, ...], bool], msgspec.json.Decoder[Any]] = {}
        # What comes behind the last FID that is wanted (b"": take the whole row), where it is to be looked for (it
        # never stood before), and what decodes the rest. One object: another thread may be changing it.
        self._way: _Way = b"", 0, None
        self._interval = 8
        self._rows_left = 0

    def decode(self, values: bytes) -> Any:
        """Return an object that holds the text of FID 131 as `f131`, and so on; None where it is absent from the row.

        It may lack the attribute of a FID that programs did not read of late: `decode_all` has it. There is no text in
        it that Python takes for a number and Kiwoom does not. Or `Texts`, where there may be, and of rows looked at.
        """
        self._rows_left -= 1
        if self._rows_left < 0:
            return self._look(values)
        next_key, start, decode = self._way
        wanted = values
        if next_key:
            # Nothing but a key can look like this: within a text a quote has a backslash before it.
            end = values.find(next_key, start)
            if end < 0:
                end = values.find(next_key)
                if end < 0:
                    return self._look(values)
                self._way = next_key, end, decode
            wanted = values[:end] + b"}"
        if UNDERSCORE in wanted or BACKSLASH in wanted or not (wanted.isascii() or _is_plain(wanted)):
            return Texts(values, self._read)
        try:
            return decode(wanted)
        except UNREADABLE:
            return self._look(values)

    def decode_all(self, values: bytes) -> Texts:
        """The same with every FID; what is read of it will be wanted of the next row."""
        self._missed = True
        self._rows_left = 0
        return Texts(values, self._read)

    def _look(self, values: bytes) -> Texts:
        """Look at the order of a row's keys, at what was read since the last look, and at what is read of this row.

        Sessions in several threads share a type's layout, and may look at the same time. Each goes by what it saw, and
        what they leave is always a way that fits together.
        """
        if len(values) > LONGEST_LEARNED:
            return Texts(values)
        if self._missed:
            wanted = self._wanted | self._read
        else:
            wanted = frozenset(self._read)
            self._read.clear()
            self._interval = min(self._interval * 2, LONGEST_INTERVAL)
        self._missed = False
        self._wanted = wanted
        texts = Texts(values, self._read)
        keys, before = tuple(texts.fids), self._keys
        self._keys = keys
        if wanted:
            self._plan(values, wanted, keys, before)
        self._rows_left = self._interval if wanted else 0  # last: from here on `_way` is taken
        return texts

    def _plan(self, values: bytes, wanted: frozenset[str], keys: tuple[str, ...], before: tuple[str, ...]) -> None:
        """Choose how the next rows are decoded, going by the keys of this one and of the one looked at before."""
        order = self._order
        seen = [key for key in keys if key in self._known]
        if not _is_subsequence(seen, order) and keys == before:  # FIDs may be missing from a row
            known = frozenset(seen)
            order = self._order = (*seen, *(fid for fid in order if fid not in known))
        if wanted.issubset(keys):
            last = max(map(keys.index, wanted))
            head, behind = keys[: last + 1], keys[last + 1 : last + 2]
            if before[: last + 2] == head + behind:  # else the order may be another with every row
                next_key, start = _find(behind, values)
                decoded = self._known if len(wanted) >= MANY else wanted
                within = tuple(fid for fid in head if fid in decoded)
                self._way = next_key, start, self._decoder_of(within, bool(next_key))
                return
        self._way = b"", 0, self._decoder_of(tuple(fid for fid in order if fid in wanted), False)

    def _decoder_of(self, order: tuple[str, ...], is_cut: bool) -> Any:
        decoder = self._decoders.pop((order, is_cut), None)
        if decoder is None:
            decoder = _make_decoder(order, is_cut)
            if len(self._decoders) >= MAX_DECODERS:
                self._decoders.pop(next(iter(tuple(self._decoders))), None)
        self._decoders[order, is_cut] = decoder  # the last is the latest
        return decoder.decode


# A traceback that shows variables shows these, and one of them may be an account number.
_UNSHOWN = {"__repr__": lambda values: "<values of a row>", "__rich_repr__": lambda values: ()}


def _make_decoder(order: Iterable[str], is_cut: bool) -> msgspec.json.Decoder[Any]:
    """`is_cut`: a row without one of these FIDs is refused, for it may be in what was cut off."""
    kind, default = (str, msgspec.NODEFAULT) if is_cut else (str | None, None)
    fields = [(f"f{fid}", kind, msgspec.field(name=fid, default=default)) for fid in order]
    return msgspec.json.Decoder(msgspec.defstruct("Values", fields, namespace=_UNSHOWN, frozen=True, gc=False))


def _is_plain(wanted: bytes) -> bool:
    """Whether texts that are not ASCII, names, have nothing in them that Python takes for a digit or a space.

    Most of a row is ASCII: searching without it takes a tenth of the time.
    """
    try:
        wanted.decode()  # all of it: without ASCII in between, halves of characters could join
        return _digit_or_space.search(wanted.translate(None, ASCII).decode()) is None
    except UnicodeDecodeError:
        return False


def _find(behind: tuple[str, ...], values: bytes) -> tuple[bytes, int]:
    """How the next key looks in a row, and where it stands; nothing where the row is not to be cut."""
    for key in behind:
        next_key = f',"{key}":'.encode()
        start = values.find(next_key)
        if key.isdigit() and start > 0:
            return next_key, start
    return b"", 0


def _is_subsequence(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(fid in rest for fid in part)

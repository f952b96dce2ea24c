"""Frames of zstd (RFC 8878): one for some whole lines, and a file of them read whatever it holds.

A frame names the size of each of its blocks, so `_walk` finds its end, and how much it can hold at most, before
anything is decompressed. A frame that can hold no more than `MAX_FRAME` is decompressed as a whole, and its checksum is
verified before a line of it is read. A larger one, from another program, is read in pieces.

Damage is located and reported, never raised. A frame that is cut off is read up to there. After one that cannot be
read, the next one is searched for.

While what one frame holds is used, a thread decompresses the next one, unless the caller has threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, Literal, TypeAlias

import attrs

from ..errors import RecordingError
from .ahead import Ahead

__all__ = ("MAGIC", "MAX_FRAME", "MAX_LINE", "Block", "Damage", "compress", "compressor", "outline", "read_blocks")

MAGIC = b"\x28\xb5\x2f\xfd"
"""The first bytes of a frame."""
MAX_FRAME = 64 * 1024 * 1024
"""Bytes that a frame may hold to be decompressed as a whole. A recorder closes one at each MiB."""
MAX_LINE = 32 * 1024 * 1024
"""Bytes of one line. A message of 4 MiB has no longer one, even if each of its bytes is written as "\\u0001"."""

LEVEL = 1
PIECE = 1024 * 1024
MAX_BLOCK = 128 * 1024
HEADER_SIZE = 18
MAX_WINDOW = 128 * 1024 * 1024
"""Bytes of memory that a frame of another program may ask for. `zstd --ultra -22` asks for as much."""
MAX_BLOCKS = 1_000_000
"""Blocks of one frame."""
MIN_AHEAD = 64 * 1024
"""Bytes of a frame that is decompressed ahead: for a smaller one it takes as long to wake a thread."""
MAX_AHEAD = 8 * 1024 * 1024
"""Bytes that such frames may hold together: they are in memory beside those that are used."""
MAX_FAILURES = 1_000
"""Frames in a row that cannot be read, after which the rest of a file is given up. Damage never makes so many."""


@attrs.frozen
class Block:
    """Whole lines.

    Attributes:
        data: the lines, each with its line break.
        offset: where the frame with the last of them begins, in bytes from the beginning of the file.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    offset: int


@attrs.frozen
class Damage:
    """A part of a file that cannot be read.

    Attributes:
        offset: where it begins, in bytes from the beginning of the file.
        size: how many bytes of the file it has.
        kind: "torn": the file ends too early; "corrupt": anything else.
        reason: what is wrong.
    """

    offset: int
    size: int
    kind: Literal["torn", "corrupt"]
    reason: str


Part: TypeAlias = Block | Damage


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise RecordingError("recordings need the package zstandard: pip install 'kiwoom-proto[recording]'") from None
    return zstandard


def compress(lines: bytes, level: int = LEVEL) -> bytes:
    """Return one frame with its size and a checksum.

    Args:
        lines: whole lines.
        level: how hard to compress.

    Raises:
        RecordingError: the package zstandard is not installed.
    """
    return compressor(level)(lines)


def compressor(level: int = LEVEL) -> Callable[[bytes], bytes]:
    """Return what makes many frames as `compress` does, and keeps its memory in between. It is for one thread."""
    zstandard = _zstandard()
    make: Callable[[bytes], bytes]
    make = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress
    return make


def read_blocks(file: BinaryIO, *, ahead: bool = True) -> Iterator[Part]:
    """Yield what a file holds, in order. Takes memory for one frame of `MAX_FRAME` bytes, and `MAX_AHEAD` bytes.

    Args:
        file: a recording, compressed or not, open for reading.
        ahead: whether a thread decompresses the next frame meanwhile.

    Raises:
        RecordingError: the package zstandard is not installed.
        OSError: the file cannot be read.
    """
    rest = _Rest()
    for part in _read_plain(file) if _read_at(file, 0, 1) == b"{" else _Frames(file, ahead).read():
        if isinstance(part, Damage):
            rest = _Rest()  # it is a part of the damage
            yield part
        else:
            yield from rest.add(part)
    yield from rest.cut()


def outline(file: BinaryIO) -> tuple[int, Damage | None]:
    """Look at the frames of a file from outside, without decompressing any: fast, whatever they hold.

    Args:
        file: a recording, compressed or not, open for reading.

    Returns:
        The offset of the last whole frame, and the first damage that can be seen so.

    Raises:
        OSError: the file cannot be read.
    """
    if _read_at(file, 0, 1) == b"{":
        return 0, None
    last = offset = 0
    while _read_at(file, offset, 1):
        extent = _walk(file, offset)
        if extent.wrong:
            size = file.seek(0, _END) - offset
            return last, Damage(offset, size, "torn" if extent.is_torn else "corrupt", extent.wrong)
        last, offset = offset, extent.end
    return last, None


class _Rest:
    """What follows the last line break, and belongs to a line that goes on in the next piece."""

    def __init__(self) -> None:
        self._data = b""
        self._offset = 0
        self._dropped = 0

    def add(self, piece: Block) -> Iterator[Part]:
        data = piece.data
        if self._data or self._dropped:
            head, newline, data = data.partition(b"\n")
            line = self._data + head + newline
            if self._dropped or len(line) > MAX_LINE:
                self._data, self._dropped = b"", self._dropped + len(line)
                if newline:
                    yield from self.cut()
            elif newline:
                self._data = b""
                yield Block(line, piece.offset)
            else:
                self._data = line
            if not newline:
                return
        begin, end = 0, data.rfind(b"\n") + 1
        while end - begin > 2 * PIECE:
            middle = data.find(b"\n", begin + PIECE) + 1
            yield Block(data[begin:middle], piece.offset)
            begin = middle
        if end > begin:
            yield Block(data[begin:end], piece.offset)  # no copy if that is all of it
        if end < len(data):
            self._data, self._offset = data[end:], piece.offset

    def cut(self) -> Iterator[Damage]:
        """Report the line that does not go on, or was too long."""
        if self._dropped:
            yield Damage(self._offset, 0, "corrupt", f"a line of more than {MAX_LINE:,} bytes")
        elif self._data:
            yield Damage(self._offset, 0, "torn", "a line without an end")
        self._data, self._dropped = b"", 0


_SKIPPABLE = b"\x2a\x4d\x18"
_REPEATED, _COMPRESSED, _RESERVED = 1, 2, 3
_END = 2
"""`os.SEEK_END`."""


def _read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _read_plain(file: BinaryIO) -> Iterator[Part]:
    offset = 0
    while piece := _read_at(file, offset, PIECE):
        yield Block(piece, offset)
        offset += len(piece)


# Frames.


class _Unreadable(Exception):
    """A frame cannot be read."""


@attrs.frozen
class _Extent:
    """What can be seen of a frame from outside.

    Attributes:
        end: the offset after it.
        capacity: how many bytes it can hold at most.
        wrong: what is wrong with it; "" if nothing is.
        is_torn: whether the file ends within it.
    """

    end: int
    capacity: int = 0
    wrong: str = ""
    is_torn: bool = False


def _walk(file: BinaryIO, offset: int) -> _Extent:
    """Return the extent of the frame at this offset."""
    head = _read_at(file, offset, HEADER_SIZE)
    if head[1:4] == _SKIPPABLE and head[0] & 0xF0 == 0x50:
        return _extent_of_skippable(file, offset, head)
    if not head.startswith(MAGIC):
        return _Extent(offset, wrong="no frame begins here", is_torn=MAGIC.startswith(head))
    descriptor = head[4] if len(head) > 4 else 0
    is_single, has_checksum = descriptor & 0x20, descriptor & 0x04
    content_at = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    content_size = (1 if is_single else 0, 2, 4, 8)[descriptor >> 6]
    at = offset + content_at + content_size
    if len(head) < at - offset:
        return _Extent(at, wrong="the file ends in the head of a frame", is_torn=True)
    if descriptor & 0x08:
        return _Extent(at, wrong="the head of a frame is damaged")
    capacity, is_last, blocks = 0, False, 0
    while not is_last:
        header = _read_at(file, at, 3)
        if len(header) < 3:
            return _Extent(at, capacity, "the file ends within a frame", is_torn=True)
        number = int.from_bytes(header, "little")
        is_last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        blocks += 1
        if kind == _RESERVED or size > MAX_BLOCK or blocks > MAX_BLOCKS:
            return _Extent(at, wrong="a block of a frame is damaged")
        capacity += MAX_BLOCK if kind == _COMPRESSED else size
        at += 3 + (1 if kind == _REPEATED else size)
    if has_checksum:
        at += 4
    if len(_read_at(file, at - 1, 1)) < 1:
        return _Extent(at, capacity, "the file ends within a frame", is_torn=True)
    claimed = int.from_bytes(head[content_at : content_at + content_size], "little")
    if claimed > capacity:  # of two bytes it is 256 less, which makes no difference here
        return _Extent(at, wrong=f"a frame claims {claimed:,} bytes and can hold {capacity:,} at most")
    return _Extent(at, capacity)


def _extent_of_skippable(file: BinaryIO, offset: int, head: bytes) -> _Extent:
    end = offset + 8 + int.from_bytes(head[4:8], "little")
    if len(head) < 8 or not _read_at(file, end - 1, 1):
        return _Extent(end, wrong="the file ends within a frame", is_torn=True)
    return _Extent(end)


class _Slice:
    """A part of a file, read as a file of its own: whoever asks for pieces may read elsewhere in between."""

    def __init__(self, file: BinaryIO, offset: int, end: int | None) -> None:
        self._file = file
        self._at = offset
        self._end = end

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end."""
        data = _read_at(self._file, self._at, size if self._end is None else min(size, self._end - self._at))
        self._at += len(data)
        return data


class _Frames:
    """The frames of a file, one after the other."""

    def __init__(self, file: BinaryIO, ahead: bool) -> None:
        zstandard = _zstandard()
        self._may_begin = ahead
        self._error: type[Exception] = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._of_thread = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._ahead = Ahead[bytes]()
        self._begun: dict[int, _Extent] = {}  # where the frames begin that are decompressed ahead -> their extents
        self._file = file
        self._failures = 0

    def read(self) -> Iterator[Part]:
        """Yield what they hold, and what is damaged."""
        try:
            yield from self._read()
        finally:
            self._ahead.end()

    def _read(self) -> Iterator[Part]:
        offset = 0
        while _read_at(self._file, offset, 1):
            extent = self._begun.get(offset) or _walk(self._file, offset)
            try:
                for number, piece in enumerate(self._pieces(offset, extent)):
                    if self._may_begin and offset and not number:  # often only the first frame is read
                        self._begin(extent.end)
                    yield Block(piece, offset)
                self._failures, offset = 0, extent.end
            except _Unreadable as error:
                following = self._next_readable(offset + 1)
                if following is None:
                    if extent.is_torn:
                        for piece in self._stream(offset):
                            yield Block(piece, offset)
                    size = self._file.seek(0, _END) - offset
                    yield Damage(offset, size, "torn" if extent.is_torn else "corrupt", str(error))
                    return
                yield Damage(offset, following - offset, "corrupt", str(error))
                offset = following

    def _pieces(self, offset: int, extent: _Extent) -> Iterator[bytes]:
        """Yield what one frame holds: all of it, once it has proved right, or in pieces if it is large."""
        if extent.wrong:
            raise _Unreadable(extent.wrong)
        if not extent.capacity:  # empty, or skippable
            return
        if extent.capacity > MAX_FRAME:
            yield from self._stream(offset, extent.end)
            return
        try:
            yield (self._ahead.pop(offset) or self._plan(self._decompressor, offset, extent))()
        except self._error as error:
            raise _Unreadable(f"a frame cannot be decompressed: {_said(error)}") from None

    def _plan(self, decompressor: Any, offset: int, extent: _Extent) -> Callable[[], bytes]:
        """Read a frame, and return what decompresses it."""
        frame = _read_at(self._file, offset, extent.end - offset)
        return partial(decompressor.decompress, frame, max_output_size=extent.capacity)

    def _begin(self, offset: int) -> None:
        """Have the frames from this offset on decompressed meanwhile, as far as they are whole and that is worth it."""
        self._ahead.drop_before(offset)
        self._begun = {begin: extent for begin, extent in self._begun.items() if begin >= offset}
        room = MAX_AHEAD
        for extent in self._begun.values():
            offset, room = extent.end, room - extent.capacity
        with suppress(OSError):  # it is raised again when it is this frame's turn
            while not self._ahead.is_full:
                extent = _walk(self._file, offset)
                if extent.wrong or extent.end - offset < MIN_AHEAD or extent.capacity > room:
                    break
                self._ahead.begin(offset, self._plan(self._of_thread, offset, extent))
                self._begun[offset] = extent
                offset, room = extent.end, room - extent.capacity

    def _stream(self, offset: int, end: int | None = None) -> Iterator[bytes]:
        """Yield what a frame holds in pieces.

        Args:
            offset: where it begins.
            end: where it ends; None: not within the file. Then it is read as far as it can be, without an error.
        """
        reader = self._decompressor.stream_reader(_Slice(self._file, offset, end), read_size=MAX_BLOCK)
        try:
            while piece := reader.read(PIECE):
                yield piece
        except self._error as error:
            if end is not None:
                raise _Unreadable(f"a frame cannot be decompressed: {_said(error)}") from None

    def _next_readable(self, offset: int) -> int | None:
        """Return where the next frame begins that can be read; else one that is only torn; None if there is none."""
        torn: int | None = None
        for candidate in _find_magic(self._file, offset):
            extent = _walk(self._file, candidate)
            if extent.is_torn and torn is None and next(self._stream(candidate), b""):
                torn = candidate
            try:
                next(self._pieces(candidate, extent), None)
            except _Unreadable:
                self._failures += 1
                if self._failures > MAX_FAILURES:
                    break
            else:
                return candidate
        return torn


def _find_magic(file: BinaryIO, offset: int) -> Iterator[int]:
    """Yield every offset at which a frame may begin."""
    while chunk := _read_at(file, offset, PIECE):
        found = chunk.find(MAGIC)
        while found >= 0:
            yield offset + found
            found = chunk.find(MAGIC, found + 1)
        if len(chunk) < PIECE:
            return
        offset += len(chunk) - len(MAGIC) + 1


def _said(error: Exception) -> str:
    """Return what zstd says, without what the package puts in front of it."""
    return str(error).rpartition(": ")[2]

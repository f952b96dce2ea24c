"""A type's rows in the files of recordings, as DuckDB asks for them: which columns, and which rows of them.

Lines of known shapes are read by the kernel (see shapes.py), any other as `read_recording` does it. The rows come in
the order of the files. Several threads read, each some megabytes of lines at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import RecordingError
from ..events import Numbering
from ..realtime.catalogue import Types
from ..realtime.record import Record
from ..recording.format import EventLine, Header, MessageLine, decode_line
from ..recording.frames import Damage, read_blocks
from ..wire.decoder import MessageDecoder
from .arrays import arrow_type
from .arrow import RecordArrays
from .columns import Column, columns_of
from .files import describe_damage
from .kernel_data import Marks
from .line_arrays import LineArrays, compile_pieces
from .packages import kernel, numpy, pyarrow
from .shapes import HEAD, Envelope, RowShape, learn_shapes

__all__ = ("codes_in", "scan_of")

MAX_SHAPES, MAX_ENVELOPES = 64, 16
"""Shapes of rows that are learnt, and of what surrounds them. If there are more, their lines are read one by one."""
MAX_REFUSED = 64
"""Lines of a block of which no shape can be learnt. If there are more, no further one is tried."""
MAX_ROWS = 6100
"""Rows that are read at once. With a power of two, what is found in a row would share a few lines of the cache."""
MIN_BLOCK = 4 * 1024 * 1024
"""Bytes of lines that a thread is given, unless a file has less: much of the work is done once for each block."""


class _Reader:
    """Reads the rows of one type, on one thread.

    Args:
        code: the type code.
        types: type code -> class.
        columns: the columns that are wanted.
    """

    def __init__(self, code: str, types: Types, columns: Sequence[Column]) -> None:
        np = numpy()
        self._code = code
        self._types = types
        self._columns = columns
        self._arrays = LineArrays(code, types[code], columns)
        self._envelopes: list[Envelope] = []
        self._learnt: list[RowShape] = []
        self._refused = 0
        self._compile()
        self._marks = Marks(*(np.frombuffer(f'"{text}"'.encode(), np.uint8) for text in ("type", code, "base64")))
        self._numbering = Numbering(0)
        self._decoder = MessageDecoder(types, self._numbering)
        self._schema = schema_of(columns)

    def read(self, lines: bytes, session: str) -> list[Any]:
        """Return the rows of some lines as record batches.

        Args:
            lines: the lines, and the kernel's margin.
            session: the session that recorded them; "" if unknown.
        """
        position, batches, self._refused = 0, list[Any](), 0
        while position < len(lines) - kernel().MARGIN:
            position, read = self._read(lines, position, session)
            batches += read
        return batches

    def _read(self, lines: bytes, position: int, session: str) -> tuple[int, list[Any]]:
        """Read lines until there are `MAX_ROWS` rows, or others. Returns the position of the next line, and batches."""
        np, pa = numpy(), pyarrow()
        may_learn = len(self._learnt) < MAX_SHAPES and self._refused < MAX_REFUSED
        found = self._arrays.make_room(MAX_ROWS, 1 if may_learn else MAX_ROWS)
        view = np.frombuffer(lines, np.uint8)
        words: Any = np.ndarray((len(lines) - kernel().WORD + 1,), "<u8", lines, 0, (1,))
        position, rows, count = kernel().read_lines(view, words, position, *self._compiled, found, self._marks)
        others = found.others[:count].tolist()
        if others and may_learn and self._learn(lines[others[0] : position - 1]):
            position, others = others[0], []
        batches, places = [], [found.line_begins[:rows]]
        if rows:
            batches.append(pa.record_batch(self._arrays.of(found, rows, lines, session), schema=self._schema))
        if others and (read := self._others(lines, others, session)) is not None:
            places.append(read[0])
            batches.append(pa.record_batch(read[1], schema=self._schema))
        if len(batches) < 2:
            return position, batches
        order = pa.array(np.argsort(np.concatenate(places), kind="stable"))
        return position, pa.Table.from_batches(batches).combine_chunks().take(order).to_batches()

    def _learn(self, line: bytes) -> bool:
        """Learn the envelope of a line and the shapes of its rows. Returns whether one of them is new."""
        found = learn_shapes(line, self._types)
        envelopes, shapes = ([], []) if found is None else ([found[0]], found[1])
        new = [each for each in dict.fromkeys(shapes) if each not in self._learnt]
        room = MAX_SHAPES - len(self._learnt)
        envelopes = [each for each in envelopes if each not in self._envelopes and len(self._envelopes) < MAX_ENVELOPES]
        if len(new) > room or not (new or envelopes):
            self._refused += 1
            return False
        self._envelopes += envelopes
        self._learnt += new
        self._compile()
        return True

    def _compile(self) -> None:
        around = [part for envelope in self._envelopes for part in (envelope.opening, envelope.closing)]
        self._compiled = compile_pieces([*HEAD, *around]), *self._arrays.compile(self._learnt)

    def _others(self, lines: bytes, positions: list[int], session: str) -> tuple[Any, list[Any]] | None:
        """Return the rows of lines of no known shape: where each line begins, and the columns; None: there is none."""
        cls, found = self._types[self._code], list[tuple[int, Record]]()
        for position in positions:
            line = lines[position : lines.index(b"\n", position)]
            read = _rows_in(line, self._types, self._decoder, self._numbering)
            found += [(position, each) for each in read if isinstance(each, cls)]
        if not found:
            return None
        arrays = RecordArrays([record for _, record in found], cls, session)
        places = numpy().array([position for position, _ in found])
        return places, [arrays.of(column) for column in self._columns]


def _rows_in(line: bytes, types: Types, decoder: MessageDecoder, numbering: Numbering) -> list[Any]:
    """Return what a line says, if it is a message, or a row itself."""
    try:
        found = decode_line(line, types)
    except RecordingError:
        return []  # a hole
    if isinstance(found, EventLine):
        return [found.event]
    if not isinstance(found, MessageLine):
        return []
    numbering.epoch, numbering.sequence = found.epoch, found.sequence - 1
    return [*decoder.decode(found.payload, found.at)]


def codes_in(path: str, types: Types) -> set[str]:
    """Return the codes of these types that rows in a file may have. It need not have rows of all of them.

    Raises:
        RecordingError: it is damaged, or cannot be read.
    """
    numbering = Numbering(0)
    decoder, found = MessageDecoder(types, numbering), set[str]()
    for data, _ in _blocks(path, ""):
        found.update(code.decode(errors="replace") for code in set(_codes(data)))
        if b"\\" in data or b'"base64"' in data:  # the code may be written otherwise
            for line in data.splitlines():
                if b"\\" in line or b'"base64"' in line:
                    rows = _rows_in(line, types, decoder, numbering)
                    found.update(row.type_code for row in rows if isinstance(row, Record))
    return found & types.keys()


_codes = re.compile(rb'"type"[:\[\x00- ]*"([^"\\]*)"').findall


def _read_files(code: str, types: Types, files: Mapping[str, str], columns: Sequence[Column]) -> Iterator[Any]:
    """Yield the rows of a type as record batches.

    Raises:
        RecordingError: a file is damaged, or cannot be read.
    """
    threads = _threads()
    idle = [_Reader(code, types, columns) for _ in range(threads)]
    waiting = deque[Future[list[Any]]]()

    def read(data: bytes, session: str) -> list[Any]:
        reader = idle.pop()
        try:
            return reader.read(data, session)
        finally:
            idle.append(reader)

    with ThreadPoolExecutor(threads, "kiwoom-tables") as pool:
        try:
            for path, session in files.items():
                for data, of_session in _blocks(path, session):
                    waiting.append(pool.submit(read, data, of_session))
                    if len(waiting) > threads:
                        yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _threads() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _blocks(path: str, session: str) -> Iterator[tuple[bytes, str]]:
    """Yield the lines of a file, many at a time, with the kernel's margin; and the session that recorded them.

    Args:
        path: the file.
        session: the session of its first lines. There is another one where files were joined.

    Raises:
        RecordingError: it is damaged, or cannot be read. A torn end is no damage: the view `hole` tells it.
    """
    waiting, size, margin = list[bytes](), 0, b"\n" * kernel().MARGIN
    try:
        with Path(path).open("rb") as file:
            is_plain = file.read(1) == b"{"
            for part in read_blocks(file, ahead=False):  # other threads read what this one decompresses
                if isinstance(part, Damage):
                    if part.kind == "corrupt":
                        raise RecordingError(describe_damage(Path(path), part))
                    continue
                for data, of_session in _by_session(part.data, session, anywhere=is_plain):
                    if size >= MIN_BLOCK or (waiting and of_session != session):
                        yield b"".join((*waiting, margin)), session
                        waiting, size = [], 0
                    session = of_session
                    waiting.append(data)
                    size += len(data)
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None
    if waiting:
        yield b"".join((*waiting, margin)), session


def _by_session(data: bytes, session: str, *, anywhere: bool) -> Iterator[tuple[bytes, str]]:
    """Yield lines in parts of one session each: its header is the first of them.

    Args:
        data: the lines.
        session: the session of the first of them.
        anywhere: whether a header may stand within them, as in a joined file that is not compressed. Otherwise a new
            session begins with a frame.
    """
    begin = 0
    while begin < len(data):
        if data.startswith(_HEADER, begin):
            with contextlib.suppress(RecordingError):
                head = decode_line(data[begin : data.index(b"\n", begin)])
                session = head.session if isinstance(head, Header) else session
        following = data.find(b"\n" + _HEADER, begin) if anywhere else -1
        end = len(data) if following < 0 else following + 1
        yield data[begin:end], session
        begin = end


_HEADER = b'{"recording":'


def schema_of(columns: Sequence[Column]) -> Any:
    """Return the Arrow schema of some columns."""
    return pyarrow().schema([(column.name, arrow_type(column.sql_type)) for column in columns])


def scan_of(code: str, types: Types, files: Mapping[str, str]) -> Any:
    """Return the rows of a type as what DuckDB can read again and again, and only as far as a query needs them.

    It is a dataset of pyarrow, of which DuckDB asks for a scanner with the columns and the filter of the query.

    Args:
        code: the type code.
        types: type code -> class.
        files: file -> the session that recorded it, "" if unknown.
    """
    return _dataset_class()(code, types, files)


@functools.cache
def _dataset_class() -> Any:
    pyarrow()
    from pyarrow import dataset  # type: ignore[import-untyped]

    class RowsOfType(dataset.Dataset):  # type: ignore[misc]
        """The rows of a type. Of a dataset, it has what DuckDB asks for, `schema` and `scanner`, and nothing else."""

        def __init__(self, code: str, types: Types, files: Mapping[str, str]) -> None:
            self._code = code
            self._types = types
            self._files = files
            self._columns = columns_of(types[code])

        @property
        def schema(self) -> Any:
            return schema_of(self._columns)

        def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> _Scanner:
            wanted = [each for each in self._columns if columns is None or each.name in columns]
            named = {*re.findall(r"\w+", "" if filter is None else str(filter)), *(each.name for each in wanted)}
            read = [each for each in self._columns if each.name in named]
            read = read or [*self._columns[:1]]
            batches = _read_files(self._code, self._types, self._files, read)
            return _Scanner(batches, read, [each.name for each in wanted] if columns is None else columns, filter)

    return RowsOfType


class _Scanner:
    """What DuckDB asks a scanner for.

    Args:
        batches: record batches.
        read: their columns.
        names: the columns that are asked for, in order.
        filter: which rows are asked for, as an expression of pyarrow; None: all.
    """

    def __init__(self, batches: Iterator[Any], read: Sequence[Column], names: Sequence[str], filter: Any) -> None:
        self._batches = batches
        self._names = names
        self._filter = filter
        schema = schema_of(read)
        self.projected_schema = pyarrow().schema([schema.field(name) for name in names])

    def to_reader(self) -> Any:
        """Return the batches of rows, as they are asked for."""
        return pyarrow().RecordBatchReader.from_batches(self.projected_schema, self._filtered())

    def _filtered(self) -> Iterator[Any]:
        for batch in self._batches:
            if self._filter is None:
                yield batch.select(self._names)
            else:  # pyarrow before 20 cannot filter a batch of which nothing is left
                found = pyarrow().Table.from_batches([batch]).filter(self._filter)
                yield from found.select(self._names).to_batches()

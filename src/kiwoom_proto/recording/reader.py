"""Recordings read again: the events of files and folders, in order, and what they do not hold.

Messages are decoded again, so what a reader yields equals what the session reported: rows with their own times and
numbers, gaps, losses. Replies and PINGs cause no event by themselves; what the session made of them has a line of its
own. Whatever is missing is an event too, a `RecordingHole`.

Files of one session follow one another. Sessions that overlap are merged by time.
"""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from ..errors import LocalProtocolError, RecordingError
from ..events import Event, Numbering, RecordingHole
from ..realtime.catalogue import declared_code, extended_catalogue
from ..realtime.record import Record
from ..symbol import Symbol
from ..wire.decoder import MessageDecoder
from ..wire.messages import Ping, Reply
from .files import Paths, find_files, is_file_name
from .format import EventLine, Footer, Header, Line, MessageLine, SentLine, decode_line
from .frames import MAGIC, Block, Damage, read_blocks

__all__ = ("Batch", "find_events", "read_batches", "read_headers", "read_lines", "read_recording")

BUFFER = 1024 * 1024
NANOSECONDS = 1_000_000_000

Batch: TypeAlias = tuple[list[int], list[Event]]
"""The time of each event, by the recorder's clock, and the events."""


MARGIN = 3_600 * NANOSECONDS
"""A file is left out for its time only if it lies further than this from what is asked for: clocks are set back."""


def read_recording(
    paths: Paths,
    *,
    start: datetime.datetime | int | None = None,
    end: datetime.datetime | int | None = None,
    types: Iterable[str | type[Record]] | None = None,
    items: Iterable[str | Symbol] | None = None,
    record_types: Iterable[type[Record]] = (),
) -> Iterator[Event]:
    """Yield the events of recordings, in order, as the session reported them.

    What a recording does not hold is a `RecordingHole`: what the recorder lost, damaged frames and lines, the end of a
    file that was not closed. Damage is never raised.

    Args:
        paths: a file, a folder, or several of them.
        start: the time from which on events are yielded: a `datetime` with its zone, or nanoseconds since the epoch.
        end: the time before which they are.
        types: yields rows of these types only: classes, or type codes. Everything that is not a row is yielded anyway.
        items: yields rows of these items only.
        record_types: your own record classes, added to the catalogue or replacing one with the same type code.

    Raises:
        RecordingError: there is no such file; a file that was named is no recording, or of a newer version. In a folder
            such a file is a `RecordingHole` with its name.
        LocalProtocolError: an argument is not what it should be.
    """
    batches = read_batches(paths, start=start, end=end, types=types, items=items, record_types=record_types)
    return (event for _, events in batches for event in events)


def read_batches(
    paths: Paths,
    *,
    start: datetime.datetime | int | None = None,
    end: datetime.datetime | int | None = None,
    types: Iterable[str | type[Record]] | None = None,
    items: Iterable[str | Symbol] | None = None,
    record_types: Iterable[type[Record]] = (),
) -> Iterator[Batch]:
    """Yield the same as `read_recording`, and the time of each event, in batches: what one frame of a file holds.

    Args and errors as `read_recording`.
    """
    wanted = _Wanted(_nanoseconds("start", start), _nanoseconds("end", end), _codes(types), _items(items))
    catalogue = extended_catalogue(record_types)
    files = _files(paths)
    sessions: dict[str, list[_File]] = {}
    for file in files:
        sessions.setdefault(file.session, []).append(file)
    begins = sorted(file.at for file in files)
    sources = [_Session(found, begins, wanted, catalogue) for found in sessions.values()]
    return wanted.filtered(_merged(sources))


def read_headers(paths: Paths) -> list[Header]:
    """Return the first lines of recordings, those that can be read. Errors as `read_recording`."""
    return [file.head for file in _files(paths) if file.head is not None]


def find_events(paths: Paths, *names: str) -> Iterator[list[Event]]:
    """Yield the events of these classes, block by block, without decoding any message.

    Of a block that has none, an empty list is yielded, so that the caller can let others run.

    Args:
        paths: a file, a folder, or several of them, read one after the other.
        names: names of classes of events that are not made by decoding a message: "Gap".

    Raises:
        RecordingError: as `read_recording`.
    """
    marks = tuple(b'"event":{"event":"%b"' % name.encode() for name in names)
    return (_marked(part, marks) for file in _files(paths) for part in file.parts() if isinstance(part, Block))


def _marked(block: Block, marks: tuple[bytes, ...]) -> list[Event]:
    if not any(mark in block.data for mark in marks):
        return []
    events = []
    for text in block.data.split(b"\n"):
        if any(mark in text for mark in marks):
            with suppress(RecordingError):  # `read_recording` reports it
                line = decode_line(text)
                if isinstance(line, EventLine):
                    events.append(line.event)
    return events


def _files(paths: Paths) -> list[_File]:
    return [_File(path, is_named) for path, is_named in find_files(paths)]


def read_lines(path: str | Path, record_types: Iterable[type[Record]] = ()) -> Iterator[Line | RecordingHole]:
    """Yield the lines of one file, and a hole for whatever cannot be read. For tools.

    Args:
        path: the file.
        record_types: your own record classes, for rows within events.

    Raises:
        RecordingError: there is no such file, or it is no recording, or of a newer version.
    """
    ((found, _),) = find_files(path) if not Path(path).is_dir() else [(Path(path), True)]
    return _lines(_File(found, is_named=True), extended_catalogue(record_types))


def _lines(file: _File, catalogue: Mapping[str, type[Record]]) -> Iterator[Line | RecordingHole]:
    at, waiting = 0, list[str]()
    for part in file.parts():
        if isinstance(part, Damage):
            waiting.append(file.describe(part))
            continue
        for text in part.data.split(b"\n")[:-1]:
            try:
                line = decode_line(text, catalogue)
            except RecordingError as error:
                waiting.append(f"{file.path.name}, in the frame at byte {part.offset}: {error}")
                continue
            for reason in waiting:
                yield RecordingHole(at, line.at, None, reason)
            waiting.clear()
            at = line.at
            yield line
    for reason in waiting:
        yield RecordingHole(at, at, None, reason)


class _File:
    """A file, and what its first line says.

    Attributes:
        path: the file.
        head: its first line; None if that cannot be read.
        wrong: why nothing of it can be read; "" if it can.
    """

    def __init__(self, path: Path, is_named: bool) -> None:
        self.path = path
        self.head: Header | None = None
        self.wrong = ""
        try:
            self._read_head()
        except RecordingError as error:
            if is_named:
                raise
            self.wrong = str(error)
        except OSError as error:
            if is_named:
                raise RecordingError(f"{path}: {error.strerror}") from None
            self.wrong = f"{path}: {error.strerror}"

    @property
    def session(self) -> str:
        """The session that it belongs to, or else its own path."""
        return self.head.session if self.head is not None and self.head.session else str(self.path)

    @property
    def at(self) -> int:
        """When it begins; 0 if unknown."""
        return 0 if self.head is None else self.head.at

    @property
    def part(self) -> int:
        """Its number in the session."""
        return 1 if self.head is None else self.head.part

    def describe(self, damage: Damage) -> str:
        """Return where a damage is, and what is wrong."""
        size = f", {damage.size:,} bytes of the file" if damage.size else ""
        return f"{self.path.name}, at byte {damage.offset}{size}: {damage.reason}"

    def parts(self) -> Iterator[Block | Damage]:
        """Yield what it holds. A file that vanishes meanwhile, or cannot be read, is damage."""
        try:
            with self.path.open("rb", BUFFER) as file:
                if file.read(1):
                    yield from read_blocks(file)
                else:
                    yield Damage(0, 0, "torn", "the file is empty")
        except OSError as error:
            yield Damage(0, 0, "corrupt", f"the file cannot be read: {error.strerror}")

    def _read_head(self) -> None:
        with self.path.open("rb", BUFFER) as file:
            first = file.read(len(MAGIC))
            looks_right = first.startswith((MAGIC, b"{")) or MAGIC.startswith(first)
            if not looks_right and not is_file_name(self.path.name):
                raise RecordingError(f"{self.path}: is no recording: it begins with neither a zstd frame nor a line")
            part = next(iter(read_blocks(file)), None)
        if not isinstance(part, Block):
            return  # damaged, or empty
        line, _, _ = part.data.partition(b"\n")
        try:
            head = decode_line(line)
        except RecordingError as error:
            raise RecordingError(f"{self.path}: {error}") from None
        if not isinstance(head, Header):
            raise RecordingError(f"{self.path}: is no recording: its first line is no header")
        self.head = head


class _Session:
    """The files of one session, in order.

    Args:
        files: its files.
        begins: when any file begins, in order: what a file without an end may lack ends there at the latest.
        wanted: the times that are asked for.
        catalogue: type code -> class.
    """

    def __init__(
        self, files: list[_File], begins: list[int], wanted: _Wanted, catalogue: Mapping[str, type[Record]]
    ) -> None:
        self._files = sorted(files, key=lambda file: (file.part, file.path.name))
        self._begins = begins
        self._wanted = wanted
        self._catalogue = catalogue
        self._numbering = Numbering(0)
        self._decoder = MessageDecoder(catalogue, self._numbering)
        self._at = self.begins_at = self._files[0].at
        self._has_end = False
        self._waiting: list[str] = []  # reasons of holes whose end is not known yet
        self._ats: list[int] = []
        self._events: list[Event] = []

    def batches(self) -> Iterator[Batch]:
        """Yield its events. The times are those of the lines."""
        last: _File | None = None
        for file, following in zip(self._files, [*self._files[1:], None], strict=True):
            if file.wrong:
                self._waiting.append(file.wrong)
                continue
            if self._wanted.leaves_out(file, following):
                continue
            if last is not None and file.part > last.part + 1:
                self._waiting.append(f"{file.path.name}: the files between part {last.part} and part {file.part}")
            last, self._has_end = file, False
            for part in file.parts():
                if isinstance(part, Block):
                    yield self._read(file, part)
                else:
                    self._waiting.append(file.describe(part))
                    self._has_end = part.kind == "torn"  # said already
            if not self._has_end:
                self._waiting.append(
                    f"{file.path.name}: the file has no end: the recorder was stopped, or still writes"
                )
        if self._waiting:
            after = bisect_right(self._begins, self._at)
            self._report_holes(self._begins[after] if after < len(self._begins) else self._at)
            yield self._popped()

    def _popped(self) -> Batch:
        batch, self._ats, self._events = (self._ats, self._events), [], []
        return batch

    def _report_holes(self, end: int) -> None:
        for reason in self._waiting:
            self._ats.append(self._at)
            self._events.append(RecordingHole(self._at, end, None, reason, epoch=self._numbering.epoch))
        self._waiting.clear()

    def _read(self, file: _File, block: Block) -> Batch:
        """Return the events of a block of lines."""
        for text in block.data.split(b"\n")[:-1]:
            try:
                line = decode_line(text, self._catalogue)
            except RecordingError as error:
                self._waiting.append(f"{file.path.name}, in the frame at byte {block.offset}: {error}")
                continue
            if self._waiting:
                self._report_holes(line.at)
            self._at = line.at
            self._read_line(line)
        return self._popped()

    def _read_line(self, line: Line) -> None:
        match line:
            case MessageLine(at=at, epoch=epoch, sequence=sequence, payload=payload):
                self._numbering.epoch, self._numbering.sequence = epoch, sequence - 1
                events: list[Any] = [
                    message for message in self._decoder.decode(payload, at) if not isinstance(message, Ping | Reply)
                ]
                self._events += events
                self._ats += [at] * len(events)
            case EventLine(at=at, event=event):
                self._numbering.epoch = event.epoch
                self._events.append(event)
                self._ats.append(at)
            case Header():
                self._has_end = False
            case Footer():
                self._has_end = True
            case SentLine():
                pass


def _merged(sessions: list[_Session]) -> Iterator[Batch]:
    """Yield the events of sessions by time. The order within a session stays, even if its clock was set back."""
    if len(sessions) == 1:
        yield from sessions[0].batches()
        return
    # Of each session: its latest time, a number that makes it unique, its batch (nothing is read before its turn).
    queue: list[tuple[int, int, Batch, Iterator[Batch]]] = [
        (session.begins_at, number, ([], []), session.batches()) for number, session in enumerate(sessions)
    ]
    heapify(queue)
    while queue:
        at, number, (ats, events), more = heappop(queue)
        limit = queue[0][0] if queue else None
        count = len(ats)
        if limit is not None:
            count = next((index for index, each in enumerate(ats) if each > limit), count)
        if count:
            yield ats[:count], events[:count]
        ats, events = ats[count:], events[count:]
        while not ats:
            batch = next(more, None)
            if batch is None:
                break
            ats, events = batch
        if ats:
            heappush(queue, (max(at, ats[0]), number, (ats, events), more))


@attrs.frozen
class _Wanted:
    """What is asked for.

    Attributes:
        start: nanoseconds since the epoch; None: no bound.
        end: likewise.
        types: type codes of rows; None: all.
        items: items of rows; None: all.
    """

    start: int | None
    end: int | None
    types: frozenset[str] | None
    items: frozenset[str] | None

    def leaves_out(self, file: _File, following: _File | None) -> bool:
        """Return whether a file lies outside of the times."""
        if self.end is not None and file.at > self.end + MARGIN:
            return True
        if self.start is None or following is None or following.wrong:
            return False
        return file.at <= following.at <= self.start - MARGIN

    def filtered(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield what is asked for."""
        return batches if self == _Wanted(None, None, None, None) else map(self._of_batch, batches)

    def _of_batch(self, batch: Batch) -> Batch:
        found = [(at, event) for at, event in zip(*batch, strict=True) if self._has(at, event)]
        return [at for at, _ in found], [event for _, event in found]

    def _has(self, at: int, event: Event) -> bool:
        first = last = at
        if isinstance(event, RecordingHole):
            first, last = event.start, max(event.start, event.end)
        if (self.start is not None and last < self.start) or (self.end is not None and first >= self.end):
            return False
        if not isinstance(event, Record):
            return True
        return (self.types is None or event.type_code in self.types) and (
            self.items is None or event.item in self.items
        )


def _nanoseconds(name: str, time: object) -> int | None:
    if time is None or (isinstance(time, int) and not isinstance(time, bool)):
        return time
    if not isinstance(time, datetime.datetime) or time.tzinfo is None:
        raise LocalProtocolError(f"{name}: must be a datetime with a zone, or nanoseconds since the epoch")
    return (time - _EPOCH) // datetime.timedelta(microseconds=1) * 1_000


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def _codes(types: Iterable[str | type[Record]] | None) -> frozenset[str] | None:
    if types is None:
        return None
    if isinstance(types, str) or not isinstance(types, Iterable):
        raise LocalProtocolError('types: must be several, as in ["0B"]')
    return frozenset(each if isinstance(each, str) else declared_code(each, "types") for each in types)


def _items(items: Iterable[str | Symbol] | None) -> frozenset[str] | None:
    if items is None:
        return None
    if isinstance(items, str | Symbol):
        raise LocalProtocolError('items: must be several, as in ["005930"]')
    return frozenset(map(str, items))

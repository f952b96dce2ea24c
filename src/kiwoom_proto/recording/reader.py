"""Recordings read again: the events of files and folders, in order, and what they do not hold.

Messages are decoded again, so what a reader yields equals what the session reported: rows with their own times and
numbers, gaps, losses. Replies and PINGs cause no event by themselves; what the session made of them has a line of its
own. Whatever is missing is an event too, a `RecordingHole`.

Files of one session follow one another. Sessions that overlap are merged by time.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from heapq import heapify, heappop, heappush, merge
from itertools import chain
from pathlib import Path

import attrs

from ..endpoint import Endpoint
from ..errors import LocalProtocolError, RecordingError
from ..events import Event, RecordingHole
from ..realtime import REALTIME
from ..realtime.catalogue import declared_code, extended_catalogue
from ..realtime.record import Record
from ..realtime.spelling import check_recorded, row_item
from ..symbol import Symbol
from .files import Paths, as_paths, find_files, shown
from .format import EventLine, Header, Line, MessageLine, decode_line
from .frames import Block
from .recorded_file import RecordingFile, begins_of, open_files, read_texts
from .recorded_session import Batch, RecordedSession

__all__ = (
    "Batch",
    "endpoint_of",
    "find_events",
    "find_holes",
    "read_batches",
    "read_headers",
    "read_lines",
    "read_messages",
    "read_recording",
)

NANOSECONDS = 1_000_000_000

MARGIN = 3_600 * NANOSECONDS
"""A file or a frame is left out for its time only if it lies further than this from what is asked for: clocks are set
back."""


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
        items: yields rows of these items only, as they were registered or as rows name them.
        record_types: your own record classes, added to the catalogue or replacing one with the same type code.

    Raises:
        RecordingError: there is no such file; a file that was named is no recording, or of a newer version. In a folder
            such a file is a `RecordingHole` with its name.
        LocalProtocolError: an argument is not what it should be, or would bring no row: "0b", "A005930".
    """
    batches = read_batches(paths, start=start, end=end, types=types, items=items, record_types=record_types)
    return chain.from_iterable(events for _, events, _ in batches)


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
    paths = as_paths(paths)
    asked = _items(items)
    # Items as they are registered, and as rows name them: "NVDA" for "NVDA:ND".
    names = None if asked is None else frozenset(name for item in asked for name in (item, row_item(item)))
    wanted = _Wanted(_nanoseconds("start", start), _nanoseconds("end", end), _codes(types), names)
    if wanted.start is not None and wanted.end is not None and wanted.start > wanted.end:
        raise LocalProtocolError("start: lies after end")
    catalogue = extended_catalogue(record_types)
    if wanted.names_rows:
        is_us = any(endpoint_of(head).us for head in _heads(paths))
        check_recorded(catalogue, wanted.types, asked or (), us=is_us)
    sessions = _sessions(paths, wanted, catalogue)
    return wanted.filtered(_merged([session for _, session in sessions]))


def find_holes(paths: Paths) -> Iterator[tuple[int, str, RecordingHole]]:
    """Yield what recordings lack, session by session, without making a record.

    With each comes the time of the last line before, or that of its own line, and the session; "" if unknown.
    Errors as `read_recording`.
    """
    for name, session in _sessions(paths, _NO_ROW, REALTIME):
        for ats, events, rows_only in session.batches():
            if not rows_only:
                yield from (
                    (at, name, event) for at, event in zip(ats, events, strict=True) if isinstance(event, RecordingHole)
                )


def _sessions(
    paths: Paths, wanted: _Wanted, catalogue: Mapping[str, type[Record]]
) -> list[tuple[str, RecordedSession]]:
    """Return the recorded sessions, each with its name; "" if none can be read."""
    files = open_files(paths)
    begins = begins_of(files)
    found: dict[str, list[RecordingFile]] = {}
    for file in files:
        found.setdefault(file.session, []).append(file)
    return [
        (
            "" if some[0].head is None else some[0].head.session,
            RecordedSession(
                some,
                catalogue,
                begins,
                wanted.leaves_out,
                wanted.skips if wanted.has_bounds else None,
                wanted.has_row if wanted.names_rows else None,
                not any(file.is_named for file in some),
            ),
        )
        for some in found.values()
    ]


def read_headers(paths: Paths) -> list[Header]:
    """Return the first lines of recordings, those that can be read.

    Raises:
        RecordingError: none can be read; and as `read_recording`.
    """
    heads = _heads(paths)
    if not heads:
        raise RecordingError(f"{shown(paths)}: holds no recording that can be read")
    return heads


def _heads(paths: Paths) -> list[Header]:
    return [file.head for file in open_files(paths) if file.head is not None and not file.wrong]


def endpoint_of(head: Header) -> Endpoint:
    """Return where a file was recorded."""
    try:
        return Endpoint(head.endpoint, mock=head.mock)
    except LocalProtocolError:  # in clear, to another machine: it is not connected to again
        return Endpoint(head.endpoint, mock=head.mock, insecure=True)


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
    files = [file for file in open_files(paths) if not file.wrong]
    return (_marked(part, marks) for file in files for part in file.parts() if isinstance(part, Block))


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


def read_lines(path: str | Path, record_types: Iterable[type[Record]] = ()) -> Iterator[Line | RecordingHole]:
    """Yield the lines of one file, and a hole for whatever cannot be read. For tools.

    Args:
        path: the file.
        record_types: your own record classes, for rows within events.

    Raises:
        RecordingError: there is no such file, or it is no recording, or of a newer version.
    """
    ((found, _),) = find_files(path) if not Path(path).is_dir() else [(Path(path), True)]
    return _lines(RecordingFile(found, is_named=True), extended_catalogue(record_types))


def _lines(file: RecordingFile, catalogue: Mapping[str, type[Record]]) -> Iterator[Line | RecordingHole]:
    for found in read_texts(file, catalogue):
        yield found if isinstance(found, RecordingHole) else found[1]


def read_messages(paths: Paths) -> Iterator[tuple[Header | None, MessageLine | RecordingHole]]:
    """Yield the messages received, by time and without decoding them, and a hole for whatever is missing.

    With each comes the first line of its file; None if that cannot be read. Errors as `read_recording`, raised by the
    call itself.
    """
    sessions: dict[str, list[RecordingFile]] = {}
    for file in open_files(paths):
        sessions.setdefault(file.session, []).append(file)
    return merge(*map(_messages, sessions.values()), key=lambda found: _time_of(found[1]))


def _messages(files: list[RecordingFile]) -> Iterator[tuple[Header | None, MessageLine | RecordingHole]]:
    for file in sorted(files, key=lambda file: (file.part, file.path.name)):
        if file.wrong:
            yield file.head, RecordingHole(file.at, file.at, None, file.wrong)
            continue
        for found in read_texts(file):
            line = found if isinstance(found, RecordingHole) else found[1]
            if isinstance(line, EventLine) and isinstance(line.event, RecordingHole):
                line = line.event
            if isinstance(line, MessageLine | RecordingHole):
                yield file.head, line


def _time_of(line: MessageLine | RecordingHole) -> int:
    return line.at if isinstance(line, MessageLine) else line.end


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

    def leaves_out(self, file: RecordingFile, following: RecordingFile | None) -> bool:
        """Return whether a file lies outside of the times."""
        if self.end is not None and file.at > self.end + MARGIN:
            return True
        if self.start is None or following is None or following.wrong:
            return False
        return file.at <= following.at <= self.start - MARGIN

    @property
    def has_bounds(self) -> bool:
        """Whether a time is asked for."""
        return self.start is not None or self.end is not None

    def skips(self, first: int, last: int) -> bool:
        """Return whether lines of these times, and those between them, lie outside of what is asked for."""
        is_before = self.start is not None and max(first, last) < self.start - MARGIN
        return is_before or (self.end is not None and min(first, last) > self.end + MARGIN)

    @property
    def names_rows(self) -> bool:
        """Whether a type or an item is asked for."""
        return self.types is not None or self.items is not None

    def has_row(self, type_code: str, item: str) -> bool:
        """Return whether rows of a type and an item are asked for."""
        return (self.types is None or type_code in self.types) and (self.items is None or item in self.items)

    def filtered(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield what lies within the times."""
        return map(self._of_batch, batches) if self.has_bounds else batches

    def _of_batch(self, batch: Batch) -> Batch:
        ats, events, rows_only = batch
        if rows_only and ats and self._has(min(ats)) and self._has(max(ats)):
            return batch
        found = [(at, event) for at, event in zip(ats, events, strict=True) if self._has(at, event)]
        return [at for at, _ in found], [event for _, event in found], rows_only

    def _has(self, at: int, event: Event | None = None) -> bool:
        first = last = at
        if isinstance(event, RecordingHole):
            first, last = event.start, max(event.start, event.end)
        return (self.start is None or last >= self.start) and (self.end is None or first < self.end)


_NO_ROW = _Wanted(None, None, frozenset(), None)


def _merged(sessions: list[RecordedSession]) -> Iterator[Batch]:
    """Yield the events of sessions by time. The order within a session stays, even if its clock was set back."""
    if len(sessions) == 1:
        yield from sessions[0].batches()
        return
    # Of each session: its latest time, a number that makes it unique, its batch (nothing is read before its turn).
    queue: list[tuple[int, int, Batch, Iterator[Batch]]] = [
        (session.begins_at, number, ([], [], True), session.batches()) for number, session in enumerate(sessions)
    ]
    heapify(queue)
    while queue:
        at, number, (ats, events, rows_only), more = heappop(queue)
        limit = queue[0][0] if queue else None
        count = len(ats)
        if limit is not None:
            count = next((index for index, each in enumerate(ats) if each > limit), count)
        if count:
            yield ats[:count], events[:count], rows_only
        ats, events = ats[count:], events[count:]
        while not ats:
            batch = next(more, None)
            if batch is None:
                break
            ats, events, rows_only = batch
        if ats:
            heappush(queue, (max(at, ats[0]), number, (ats, events, rows_only), more))


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


def _items(items: Iterable[str | Symbol] | None) -> tuple[str, ...] | None:
    if items is None:
        return None
    if isinstance(items, str | Symbol) or not isinstance(items, Iterable):
        raise LocalProtocolError('items: must be several, as in ["005930"]')
    return tuple(map(str, items))

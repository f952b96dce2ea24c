"""What recordings hold and lack, and copies of damaged ones that every program reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import msgspec

from ..errors import UNREADABLE, RecordingError
from ..events import Gap, RecordingHole
from ..realtime.catalogue import extended_catalogue
from ..realtime.record import Record
from .files import Paths, find_files
from .format import EventLine, Footer, Header, MessageLine, encode_event, encode_footer, encode_header
from .frames import compress
from .recorded_file import NO_END, RecordingFile, begins_of, open_files, read_texts
from .recorded_session import RecordedSession

__all__ = ("Summary", "repair", "summaries", "summarize")

FRAME_BYTES = 1024 * 1024
Progress: TypeAlias = Callable[[Path, int, int], None]
_type_code = attrgetter("type_code")


@attrs.frozen
class Summary:
    """What one file holds.

    Attributes:
        path: the file.
        size: its bytes.
        text_size: bytes of its lines, as far as they can be read.
        header: its first line; None if that cannot be read.
        first: time of its first line, in nanoseconds since the epoch; 0 if none can be read.
        last: time of its last line, likewise.
        messages: how many messages received it holds.
        rows: type code -> how many rows of it.
        gaps: what sessions missed, as they reported it.
        holes: what the file lacks.
        is_complete: whether it was closed, and lacks nothing.
        problems: what is damaged or wrong in it; empty unless it was verified. That it was not closed is none.
    """

    path: Path
    size: int = 0
    text_size: int = 0
    header: Header | None = None
    first: int = 0
    last: int = 0
    messages: int = 0
    rows: Mapping[str, int] = attrs.field(factory=dict)
    gaps: tuple[Gap, ...] = ()
    holes: tuple[RecordingHole, ...] = ()
    is_complete: bool = False
    problems: tuple[str, ...] = ()


def summarize(paths: Paths, *, verify: bool = False, record_types: Iterable[type[Record]] = ()) -> list[Summary]:
    """Return what each of these files holds. All of them are read.

    Args:
        paths: a file, a folder, or several of them.
        verify: also parse each line as JSON, and compare the number of messages with what the file's last line says.
        record_types: your own record classes, added to the catalogue or replacing one with the same type code.

    Raises:
        RecordingError: there is no such file, or one that was named is no recording. In a folder such a file is a
            summary with a hole.
    """
    return list(summaries(paths, verify=verify, record_types=record_types))


def summaries(
    paths: Paths,
    *,
    verify: bool = False,
    record_types: Iterable[type[Record]] = (),
    progress: Progress = lambda path, offset, size: None,
) -> Iterator[Summary]:
    """Yield what each of these files holds, as soon as it has been read.

    Args and errors as `summarize`, and:
        progress: called for each frame with the file that is being read, how many bytes of it have been, and its bytes.
    """
    catalogue = extended_catalogue(record_types)
    files = open_files(paths)
    begins = begins_of(files)
    for file in files:
        yield _summary(file, catalogue, begins, progress, verify=verify)


def _summary(
    file: RecordingFile,
    catalogue: Mapping[str, type[Record]],
    begins: Sequence[int],
    progress: Progress,
    *,
    verify: bool,
) -> Summary:
    try:
        size = file.path.stat().st_size
    except OSError:
        size = 0
    session = RecordedSession([file], catalogue, begins)
    rows = Counter[str]()
    gaps: list[Gap] = []
    holes: list[RecordingHole] = []
    offset = 0
    for _, events, rows_only in session.batches():
        if file.offset != offset:
            offset = file.offset
            progress(file.path, offset, size)
        found: list[Any] = events
        if not rows_only:  # which is seldom
            gaps += [event for event in events if isinstance(event, Gap)]
            holes += [event for event in events if isinstance(event, RecordingHole)]
            found = [event for event in events if isinstance(event, Record)]
        rows.update(map(_type_code, found))
    return Summary(
        path=file.path,
        size=size,
        text_size=file.text_size,
        header=file.head,
        first=session.begins_at,
        last=session.at,
        messages=session.messages,
        rows=dict(sorted(rows.items())),
        gaps=tuple(gaps),
        holes=tuple(holes),
        is_complete=session.is_complete,
        problems=tuple(_problems(file, catalogue, progress, size)) if verify else (),
    )


def _problems(
    file: RecordingFile, catalogue: Mapping[str, type[Record]], progress: Progress, size: int
) -> Iterable[str]:
    """Yield what is damaged in a file, and what is wrong with its lines."""
    if file.wrong:
        yield file.wrong.removeprefix(f"{file.path}: ")
        return
    messages = number = offset = 0
    for found in read_texts(file, catalogue):
        if isinstance(found, RecordingHole):
            yield found.reason
            continue
        text, line = found
        number += 1
        if file.offset != offset:
            offset = file.offset
            progress(file.path, offset, size)
        if isinstance(line, MessageLine):
            messages += 1
        elif isinstance(line, Header):
            messages = 0
        elif isinstance(line, Footer) and line.messages != messages:
            yield f"line {number}: the file should hold {line.messages:,} messages and holds {messages:,}"
        try:
            msgspec.json.decode(text)
        except UNREADABLE:
            yield f"line {number}: is not JSON"


def repair(path: str | Path, out: str | Path) -> Summary:
    """Write a copy of a file that every program reads, with a hole marked wherever something is lost.

    Args:
        path: the damaged file. It is not changed.
        out: the copy, which must not exist.

    Returns:
        What the copy holds.

    Raises:
        RecordingError: the file is no recording, or the copy cannot be written.
    """
    ((found, _),) = find_files(path) if not Path(path).is_dir() else [(Path(path), True)]
    file, copy = RecordingFile(found, is_named=True), Path(out)
    try:
        with copy.open("xb") as target:
            for frame in _frames(file):
                target.write(frame)
    except FileExistsError:
        raise RecordingError(f"{copy}: exists already") from None
    except OSError as error:
        raise RecordingError(f"{copy}: cannot be written: {error.strerror}") from None
    (summary,) = summarize(copy)
    return summary


def _frames(file: RecordingFile) -> Iterator[bytes]:
    """Yield the frames of a repaired copy."""
    lines: list[bytes] = []
    size = at = messages = epoch = 0
    has_header = has_end = has_footer = False
    made_at = file.path.stat().st_mtime_ns  # the only time there is if no line can be read
    for found in read_texts(file):
        if isinstance(found, RecordingHole):
            at, has_end = found.end or made_at, True  # what is missing has been said
            text = encode_event(at, attrs.evolve(found, start=found.start or at, end=at, epoch=epoch))
        else:
            text, line = found[0] + b"\n", found[1]
            at, has_end = line.at, isinstance(line, Footer)
            has_footer = has_end
            if isinstance(line, Header):
                has_header, messages = True, 0
            elif isinstance(line, MessageLine):
                messages, epoch = messages + 1, line.epoch
            elif isinstance(line, EventLine):
                epoch = line.event.epoch
            elif isinstance(line, Footer):
                text = encode_footer(attrs.evolve(line, messages=messages))
        if not has_header:
            has_header = True
            yield compress(encode_header(Header(at, "", mock=False, software="", session="")))
        lines.append(text)
        size += len(text)
        if size >= FRAME_BYTES:
            yield compress(b"".join(lines))
            lines, size = [], 0
    if not has_end:
        hole = RecordingHole(at, at, None, f"{file.path.name}: {NO_END}", epoch=epoch)
        lines.append(encode_event(at, hole))
    if not has_footer:
        lines.append(encode_footer(Footer(at, "closed", messages)))
    yield compress(b"".join(lines))

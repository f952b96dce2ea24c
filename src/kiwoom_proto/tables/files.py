"""The files of recordings, looked at before DuckDB reads them: what they lack, and which it cannot read.

DuckDB leaves out a torn last frame without a word, and refuses a file with damage in the middle. Both can be seen from
the heads of the frames, so a folder of gigabytes is looked at in a moment.
"""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import BinaryIO

import attrs

from ..display import is_utf8
from ..errors import RecordingError
from ..recording.files import Paths, find_files, is_file_name
from ..recording.format import Footer, Header, decode_line
from ..recording.frames import MAGIC, Block, Damage, outline, read_blocks
from ..recording.recorded_file import describe_copy

__all__ = ("RecordedFile", "damage_in", "look_at")

MAX_END = 4 * 1024 * 1024
"""Bytes at the end of a file that are looked at."""
_ESCAPED = frozenset("*?[")


@attrs.define
class RecordedFile:
    """A file of a recording, seen from outside.

    Attributes:
        path: the file.
        session: the session that recorded it; "" if unknown.
        part: its number in the session.
        holes: what it lacks.
        is_readable: whether it is a recording that DuckDB can read.
        at: time of the last line that was looked at, in nanoseconds since the epoch; 0 if unknown.
    """

    path: str
    session: str = ""
    part: int = 1
    holes: list[str] = attrs.field(factory=list)
    is_readable: bool = True
    at: int = 0


def look_at(paths: Paths) -> list[RecordedFile]:
    """Return the files of recordings.

    Raises:
        RecordingError: there is none; one that was named is no recording, or of a newer version; one is damaged in the
            middle; DuckDB cannot take its path.
    """
    found = find_files(paths)
    for path, _ in found:
        if not is_utf8(str(path)):
            raise RecordingError(f"{path}: DuckDB opens only paths that are UTF-8; rename the file or the folder")
    files = [_look_at(path, is_named) for path, is_named in found]
    _leave_out_copies(files)
    if not any(file.is_readable for file in files):
        reasons = "; ".join(reason for file in files for reason in file.holes)
        raise RecordingError(f"no recording to read{f': {reasons}' if reasons else ''}")
    return files


def damage_in(paths: Paths) -> str:
    """Return what is damaged in these files, inside their frames too, and the remedy; "" if nothing is.

    DuckDB says that something is, and not in which file. All of them are decompressed.

    Args:
        paths: a file, a folder, or several of them.
    """
    found = []
    for path, _ in find_files(paths):
        try:
            with path.open("rb") as file:
                damages = (part for part in read_blocks(file) if isinstance(part, Damage) and part.kind == "corrupt")
                damage = next(damages, None)
        except OSError:
            continue
        if damage is not None:
            found.append(_describe_damage(path, damage))
    return "\n".join(found)


def _describe_damage(path: Path, damage: Damage) -> str:
    remedy = f"kiwoom-proto recordings {shlex.quote(str(path))} --repair OUT"
    return f"{path}: damaged at byte {damage.offset}: {damage.reason}; make a copy that everything reads: {remedy}"


def _leave_out_copies(files: list[RecordedFile]) -> None:
    """Mark each file with the session and part of another: its rows would be there twice."""
    seen: dict[tuple[str, int], RecordedFile] = {}
    for file in sorted(files, key=lambda file: not is_file_name(Path(file.path).name)):  # as `open_files`
        if file.is_readable and file.session:
            first = seen.setdefault((file.session, file.part), file)
            if first is not file:
                file.is_readable = False
                file.holes = [describe_copy(Path(file.path), Path(first.path))]


def _look_at(path: Path, is_named: bool) -> RecordedFile:
    found = RecordedFile(str(path))
    try:
        if _ESCAPED.intersection(found.path):
            raise RecordingError(f"{path}: DuckDB takes *, ? and [ in a name for a pattern: rename it")
        _read_head(path, found)
        damage = _read_frames(path, found)
    except (RecordingError, OSError) as error:
        reason = str(error) if isinstance(error, RecordingError) else f"{path}: {error.strerror}"
        if is_named:
            raise RecordingError(reason) from None
        found.holes.append(reason)
        found.is_readable = False
        return found
    if damage is not None:
        raise RecordingError(_describe_damage(path, damage))
    return found


def _read_frames(path: Path, found: RecordedFile) -> Damage | None:
    """Look at the frames and the end of a file. Returns the damage for which DuckDB refuses it."""
    with path.open("rb") as file:
        last, damage = outline(file)
        if damage is not None and damage.kind == "corrupt":
            return damage
        if damage is not None:
            found.holes.append(f"{path.name}, at byte {damage.offset}, {damage.size:,} bytes: {damage.reason}")
        _read_end(path, file, last, found)
    return None


def _read_end(path: Path, file: BinaryIO, last: int, found: RecordedFile) -> None:
    """Read the last whole frame: whether the file was closed, and when it ends."""
    size = file.seek(0, 2)
    file.seek(last if file.seek(0) == 0 and file.read(1) == MAGIC[:1] else max(0, size - MAX_END))
    rest = io.BytesIO(file.read(MAX_END))
    lines = [text for part in read_blocks(rest) if isinstance(part, Block) for text in part.data.splitlines()]
    for text in reversed(lines):
        try:
            line = decode_line(text)
        except RecordingError:
            continue
        found.at = line.at
        if not isinstance(line, Footer) and not found.holes:
            found.holes.append(f"{path.name}: the file has no end: the recorder was stopped, or still writes")
        return


def _read_head(path: Path, found: RecordedFile) -> None:
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        if not first:
            found.is_readable = False
            found.holes.append(f"{path.name}: the file is empty")
            return
        if not first.startswith((MAGIC, b"{")) and not MAGIC.startswith(first):
            raise RecordingError(f"{path}: is no recording: it begins with neither a zstd frame nor a line")
        part = next(iter(read_blocks(file)), None)
    if not isinstance(part, Block):
        reason = "nothing can be read" if part is None else part.reason
        found.is_readable = False
        found.holes.append(f"{path.name}: {reason}")
        return
    try:
        head = decode_line(part.data.partition(b"\n")[0])
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None
    if not isinstance(head, Header):
        raise RecordingError(f"{path}: is no recording: its first line is no header")
    found.session, found.part, found.at = head.session, head.part, head.at

"""The files of recordings, looked at before DuckDB reads them: which of them it cannot read.

It refuses a file with damage in the middle. That can be seen from the heads of the frames, so a folder of gigabytes is
looked at in a moment. What files lack is in holes.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from ..display import is_utf8
from ..errors import RecordingError
from ..recording.files import Paths, find_files, is_file_name, shown
from ..recording.format import Header, decode_line
from ..recording.frames import MAGIC, Block, Damage, outline, read_blocks
from ..recording.recorded_file import describe_copy

__all__ = ("RecordedFile", "damage_in", "describe_damage", "look_at", "own_errors")

_ESCAPED = frozenset("*?[")


@attrs.define
class RecordedFile:
    """A file of a recording, seen from outside.

    Attributes:
        path: the file.
        session: the session that recorded it; "" if unknown.
        part: its number in the session.
        wrong: why DuckDB cannot read it; "" if it can.
        may_be_whole: whether a reader may find nothing wrong with it.
    """

    path: str
    session: str = ""
    part: int = 1
    wrong: str = ""
    may_be_whole: bool = False


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
    if all(file.wrong for file in files):
        reasons = "; ".join(file.wrong for file in files)
        raise RecordingError(f"{shown(paths)}: no recording to read{f': {reasons}' if reasons else ''}")
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
            found.append(describe_damage(path, damage))
    return "\n".join(found)


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise what a query met within the scan of a file: DuckDB, or Arrow, hides it in the words of an error of its own.

    Raises:
        RecordingError: a file cannot be read.
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        of_scan = text if "Traceback (most recent call last)" in text else ""  # a query may have any word in it
        _, found, said = of_scan.rpartition(f"{RecordingError.__name__}: ")
        if found:
            raise RecordingError(said.strip()) from error
        is_interrupted = isinstance(error, RuntimeError) and "interrupted" in text
        if is_interrupted or KeyboardInterrupt.__name__ in of_scan:
            raise KeyboardInterrupt from None
        raise


def describe_damage(path: Path, damage: Damage) -> str:
    """Return where a file is damaged, what is wrong, and the remedy."""
    remedy = f"kiwoom-proto recordings {shlex.quote(str(path))} --repair OUT"
    return f"{path}: damaged at byte {damage.offset}: {damage.reason}; make a copy that everything reads: {remedy}"


def _leave_out_copies(files: list[RecordedFile]) -> None:
    """Mark each file with the session and part of another: its rows would be there twice."""
    seen: dict[tuple[str, int], RecordedFile] = {}
    for file in sorted(files, key=lambda file: not is_file_name(Path(file.path).name)):  # as `open_files`
        if not file.wrong and file.session:
            first = seen.setdefault((file.session, file.part), file)
            if first is not file:
                file.wrong = describe_copy(Path(file.path), Path(first.path))


def _look_at(path: Path, is_named: bool) -> RecordedFile:
    found = RecordedFile(str(path))
    try:
        _read_head(path, found)
        if not found.wrong and _ESCAPED.intersection(found.path):
            found.may_be_whole = True
            raise RecordingError(f"{path}: DuckDB takes *, ? and [ in a name for a pattern: rename it")
        with path.open("rb") as file:
            _, damage = outline(file)
    except (RecordingError, OSError) as error:
        found.wrong = str(error) if isinstance(error, RecordingError) else f"{path}: {error.strerror}"
        found.may_be_whole |= isinstance(error, OSError)
        if is_named:
            raise RecordingError(found.wrong) from None
        return found
    if damage is not None and damage.kind == "corrupt":
        raise RecordingError(describe_damage(path, damage))
    return found


def _read_head(path: Path, found: RecordedFile) -> None:
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        if not first:
            found.wrong = f"{path.name}: the file is empty"
            return
        if not first.startswith((MAGIC, b"{")) and not MAGIC.startswith(first):
            raise RecordingError(f"{path}: is no recording: it begins with neither a zstd frame nor a line")
        part = next(iter(read_blocks(file)), None)
    if not isinstance(part, Block):
        found.wrong = f"{path.name}: {'nothing can be read' if part is None else part.reason}"
        return
    try:
        head = decode_line(part.data.partition(b"\n")[0])
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from None
    if not isinstance(head, Header):
        raise RecordingError(f"{path}: is no recording: its first line is no header")
    found.session, found.part = head.session, head.part

"""One file of a recording: whether it is one, its lines, and what cannot be read of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import RecordingError
from ..events import RecordingHole
from ..realtime import REALTIME
from ..realtime.record import Record
from .files import Paths, find_files, is_file_name
from .format import VERSION, Header, Line, decode_line, decode_version
from .frames import MAGIC, Block, Damage, read_blocks

__all__ = ("NO_END", "RecordingFile", "begins_of", "describe_copy", "open_files", "read_texts")

BUFFER = 1024 * 1024
NO_END = "the file has no end: its recorder was stopped, or still writes it"


class RecordingFile:
    """A file, and what its first line says.

    Attributes:
        path: the file.
        is_named: whether it was named itself, rather than found in a folder.
        head: its first line; None if that cannot be read.
        wrong: why nothing of it can be read; "" if it can.
        text_size: bytes of the lines that `parts` yielded when it was last called.
        offset: where in the file the part begins that it yielded last.
    """

    def __init__(self, path: Path, is_named: bool) -> None:
        self.path = path
        self.is_named = is_named
        self.head: Header | None = None
        self.wrong = ""
        self.text_size = self.offset = 0
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

    def describe_line(self, block: Block, error: RecordingError) -> str:
        """Return which line cannot be read, and why."""
        return f"{self.path.name}, in the frame at byte {block.offset}: {error}"

    def parts(self) -> Iterator[Block | Damage]:
        """Yield what it holds. A file that vanishes meanwhile, or cannot be read, is damage."""
        self.text_size = self.offset = 0
        for part in self._parts():
            self.offset = part.offset
            if isinstance(part, Block):
                self.text_size += len(part.data)
            yield part

    def _parts(self) -> Iterator[Block | Damage]:
        try:
            with self.path.open("rb", BUFFER) as file:
                if file.read(1):
                    yield from read_blocks(file)
                else:
                    yield Damage(0, 0, "torn", "the file is empty")
        except OSError as error:
            yield Damage(0, 0, "corrupt", f"the file cannot be read: {error.strerror}")

    def _read_head(self) -> None:
        with self.path.open("rb") as file:
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
            what = "" if decode_version(line) != VERSION else "is no recording: "
            reason = str(error).removeprefix("a line of a recording: ")
            raise RecordingError(f"{self.path}: {what}{reason}") from None
        if not isinstance(head, Header):
            raise RecordingError(f"{self.path}: is no recording: its first line is no header")
        self.head = head


def open_files(paths: Paths) -> list[RecordingFile]:
    """Return the files that are meant. One with the session and part of another is a copy, and counts as wrong.

    Raises:
        RecordingError: there is no such file, or one that was named is no recording, or of a newer version.
    """
    files = [RecordingFile(path, is_named) for path, is_named in find_files(paths)]
    seen: dict[tuple[str, int], RecordingFile] = {}
    for file in sorted(files, key=lambda file: not is_file_name(file.path.name)):  # copies are often named otherwise
        if file.head is not None and file.head.session:
            first = seen.setdefault((file.session, file.part), file)
            if first is not file:
                file.wrong = describe_copy(file.path, first.path)
    return files


def begins_of(files: Iterable[RecordingFile]) -> list[int]:
    """Return when files begin, in order. What a file without an end may lack ends when the next one begins."""
    return sorted(file.at for file in files)


def describe_copy(path: Path, original: Path) -> str:
    """Return why a file is not read that has the session and part of another."""
    return f"{path.name}: a copy of {original.name}, which is read instead"


def read_texts(
    file: RecordingFile, catalogue: Mapping[str, type[Record]] = REALTIME
) -> Iterator[tuple[bytes, Line] | RecordingHole]:
    """Yield the lines of a file, as they are and what they say, and a hole for whatever cannot be read."""
    at, waiting = 0, list[str]()
    for part in file.parts():
        if isinstance(part, Damage):
            waiting.append(file.describe(part))
            continue
        for text in part.data.split(b"\n")[:-1]:
            try:
                line = decode_line(text, catalogue)
            except RecordingError as error:
                waiting.append(file.describe_line(part, error))
                continue
            for reason in waiting:
                yield RecordingHole(at or line.at, line.at, None, reason)
            waiting.clear()
            at = line.at
            yield text, line
    for reason in waiting:
        yield RecordingHole(at, at, None, reason)

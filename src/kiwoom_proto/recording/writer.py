"""The writer of a recording: which lines make a frame, which frames make a file, and what to do if a disk fails. Pure.

* A frame is closed at each MiB of lines and at least every second, so that a kill or a power cut loses no more.
* A file is closed at midnight (KST, by the time of its lines) and at a size. The next begins with its first frame.
* A frame stands in a file as a whole, or not at all. If a write fails, the file is cut back to the frame before, and
  the frame is kept and written again: on a full disk in the same file, after any other failure in a new one.
* A file that somebody has renamed gets its end, and the next one is begun, so that a log rotation works. One that
  somebody has removed is left, and the frame just written goes into a new one; what was in it is a hole.

Time is what the caller says it is, and files are what `Disk` makes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol, TypeAlias

import attrs

from ..events import RecordingHole
from .format import Footer, Header, encode_footer, encode_header
from .frames import compressor

__all__ = ("REMOVED", "Disk", "File", "Fsync", "Place", "Writer")

FRAME_BYTES = 1024 * 1024
FRAME_SECONDS = 1.0
REMOVED = "somebody removed the file while it was being written"
RETRY_SECONDS = 1.0
"""Seconds after which a write that failed is tried again."""
DAY = 86_400 * 1_000_000_000
KST_OFFSET = 9 * 3_600 * 1_000_000_000
FULL = (errno.ENOSPC, errno.EDQUOT)

Fsync: TypeAlias = Literal["file", "frame", "never"]
Place: TypeAlias = Literal["here", "moved", "removed"]


class File(Protocol):
    """A file that is being written. Everything but `discard` may raise OSError."""

    @property
    def path(self) -> str:
        """Its path."""

    def write(self, data: bytes) -> None:
        """Write all of it at the end."""

    def truncate(self, size: int) -> None:
        """Cut the file to this size."""

    def sync(self) -> None:
        """Wait until everything is on the disk."""

    def place(self) -> Place:
        """Return whether the file is still found by its path."""

    def close(self) -> None:
        """Close it."""

    def discard(self) -> None:
        """Close and remove it, as far as that is possible."""


class Disk(Protocol):
    """A place where files are made."""

    def create(self, at: int) -> File:
        """Make a file that did not exist before, named after this time. Makes the folder too if it is missing.

        Raises:
            OSError: that is impossible.
        """


@attrs.frozen
class _Frame:
    """A frame to be written: its bytes, the times of its first and last line, its messages, the bytes of its lines."""

    data: bytes
    at: int
    last_at: int
    messages: int
    size: int


class _Removed(Exception):
    """The file that was written to does not exist any more."""


class Writer:
    """Writes lines to files.

    Args:
        disk: where files are made.
        header: the header of the first file.
        max_file_bytes: the size at which a file is closed.
        fsync: when to wait for the disk: at the end of each frame, or of each file, or never.
        compress: makes a frame of lines; None: as recordings are made.
        on_removed: called with what is missing because somebody removed a file.

    Attributes:
        failure: why nothing can be written; "" if it can.
        messages: messages received that have been written, and not been removed since.
        lost: messages received that were in files that somebody removed.
        files: files begun.
        bytes_in: bytes of lines that have been written, and not been removed since.
        bytes_written: bytes of the files.
        path: the file that is being written; "" if there is none.
        is_file_due: set by the caller, from any thread: the file ends with the frame that is written next.
    """

    def __init__(
        self,
        disk: Disk,
        header: Header,
        *,
        max_file_bytes: int,
        fsync: Fsync,
        compress: Callable[[bytes], bytes] | None = None,
        on_removed: Callable[[RecordingHole], None] = lambda hole: None,
    ) -> None:
        self.failure = ""
        self.messages = 0
        self.lost = 0
        self.files = 0
        self.bytes_in = 0
        self.bytes_written = 0
        self.path = ""
        self.is_file_due = False
        self._disk = disk
        self._header = header
        self._max_file_bytes = max_file_bytes
        self._fsync = fsync
        self._compress = compressor() if compress is None else compress
        self._on_removed = on_removed
        self._frame: list[bytes] = []  # lines of the frame that is being made
        self._frame_bytes = 0
        self._frame_messages = 0
        self._frame_at = 0
        self._last_at = 0  # of the last line that was added
        self._frame_due = 0.0
        self._waiting: _Frame | None = None  # a frame whose write has failed
        self._retry_at = 0.0
        self._file: File | None = None
        self._size = 0  # of the whole frames in the file; 0: not even its header
        self._file_messages = 0
        self._file_bytes_in = 0
        self._file_at = 0  # of the first line in the file; 0: no frame is in it
        self._day = 0

    @property
    def deadline(self) -> float | None:
        """When to call `handle_deadline`, in seconds on the caller's clock; None: nothing is due."""
        if self.failure:
            return self._retry_at
        return self._frame_due if self._frame else None

    @property
    def oldest_at(self) -> int:
        """The time of the first line that is not written yet; 0 if there is none."""
        if self._waiting is not None:
            return self._waiting.at
        return self._frame_at if self._frame else 0

    def add(self, at: int, lines: bytes, messages: int, now: float) -> None:
        """Add lines. Not while `failure` says that they cannot be written.

        Args:
            at: their time, in nanoseconds since the epoch.
            lines: whole lines.
            messages: how many of them are messages received.
            now: seconds on the caller's clock.
        """
        if self._frame and (_day(at) != _day(self._frame_at) or now >= self._frame_due):
            self._end_frame(now)
        if not self._frame:
            self._frame_at, self._frame_due = at, now + FRAME_SECONDS
        self._frame.append(lines)
        self._last_at = at
        self._frame_bytes += len(lines)
        self._frame_messages += messages
        if self._frame_bytes >= FRAME_BYTES and not self.failure:
            self._end_frame(now)

    def handle_deadline(self, now: float) -> None:
        """Do what is due: write the frame, or try again."""
        if self.failure and now >= self._retry_at:
            self._write(now)
        if not self.failure and self._frame and now >= self._frame_due:
            self._end_frame(now)

    def close(self, at: int, now: float, *, is_whole: bool = True) -> None:
        """Write what is left, and end the file. What cannot be written is lost: see `messages` and `failure`.

        Args:
            at: the time, in nanoseconds since the epoch.
            now: seconds on the caller's clock.
            is_whole: whether everything was added that should be in the recording. A file that lacks something gets no
                footer, so that whoever reads it is told.
        """
        try:
            if self.failure:
                self._write(now)
            if not self.failure and self._frame:
                self._end_frame(now)
        finally:
            if self._file is not None and not self._size:
                self._abandon(at)
            elif self._file is not None and is_whole and not self.failure:
                self.failure = self._end_file(at, "closed")
            elif self._file is not None:
                self._leave()

    # Frames.

    def _end_frame(self, now: float) -> None:
        lines = b"".join(self._frame)
        self._waiting = _Frame(self._compress(lines), self._frame_at, self._last_at, self._frame_messages, len(lines))
        self._frame = []
        self._frame_bytes = self._frame_messages = 0
        self._write(now)

    def _write(self, now: float) -> None:
        """Write the frame that waits."""
        self.failure = ""
        frame = self._waiting
        if frame is None:
            return
        try:
            if self._file is not None and self._size and self._day != _day(frame.at):
                self._end_file(frame.at, "rotated")
            self._put(frame)
        except OSError as error:
            self._fail(error, frame.at, now)
            return
        self._waiting = None
        self.messages += frame.messages
        self.bytes_in += frame.size
        self._file_messages += frame.messages
        self._file_bytes_in += frame.size
        self._file_at = self._file_at or frame.at
        assert self._file is not None
        if self._size >= self._max_file_bytes or self.is_file_due or self._file.place() == "moved":
            self.is_file_due = False
            self._end_file(frame.last_at, "rotated")

    def _put(self, frame: _Frame) -> None:
        """Write a frame, into a new file if there is none or if the file was removed."""
        for _ in range(2):
            try:
                if self._file is None:
                    self._file = self._disk.create(frame.at)
                    self._size = self._file_messages = self._file_bytes_in = self._file_at = 0
                    self._day = _day(frame.at)
                    self.path = self._file.path
                if not self._size:
                    self._append(self._compress(encode_header(attrs.evolve(self._header, at=frame.at))))
                    self._header = attrs.evolve(self._header, part=self._header.part + 1)
                    self.files += 1
                self._append(frame.data)
                return
            except _Removed:
                self._note_removed(frame.at)
                self._leave()
        raise OSError(errno.ENOENT, "the file is removed as soon as it is made")

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        if self._fsync == "frame":
            self._file.sync()
        if self._file.place() == "removed":
            raise _Removed
        self._size += len(data)
        self.bytes_written += len(data)

    # Files.

    def _end_file(self, at: int, end: Literal["rotated", "closed"]) -> str:
        """Write the footer, and close. Return why there is no footer; "" if there is.

        Without one, a file still has all of its frames. A reader says that its end is missing. A disk that is full when
        a file ends is not reported: the frame that follows reports it.
        """
        assert self._file is not None
        failure = ""
        try:
            self._append(self._compress(encode_footer(Footer(at, end, self._file_messages))))
        except OSError as error:
            failure = _described(error)
        except _Removed:
            self._note_removed(at)
        with suppress(OSError):
            self._file.truncate(self._size)  # a footer that was written in part
            if self._fsync == "file":
                self._file.sync()
        self._leave()
        return failure

    def _note_removed(self, at: int) -> None:
        """Count what was in the file, and report it."""
        self.bytes_written -= self._size
        if self._file_at:
            self.messages -= self._file_messages
            self.lost += self._file_messages
            self.bytes_in -= self._file_bytes_in
            self._on_removed(RecordingHole(self._file_at, at, self._file_messages, REMOVED))

    def _leave(self) -> None:
        assert self._file is not None
        with suppress(OSError):
            self._file.close()
        self._file, self.path, self._size = None, "", 0

    def _abandon(self, at: int) -> None:
        """Give up a file that cannot be written to."""
        assert self._file is not None
        if self._size:
            self._end_file(at, "rotated")
        else:
            self._file.discard()
            self._file, self.path = None, ""

    def _fail(self, error: OSError, at: int, now: float) -> None:
        self.failure = _described(error)
        self._retry_at = now + RETRY_SECONDS
        if self._file is None:
            return
        try:
            self._file.truncate(self._size)
        except OSError:
            self._abandon(at)
        else:
            if error.errno not in FULL:
                self._abandon(at)


def _day(at: int) -> int:
    return (at + KST_OFFSET) // DAY


def _described(error: OSError) -> str:
    """Return what failed, without a path: a reason may be shown anywhere."""
    if error.errno in FULL:
        return "the disk is full"
    return f"the disk cannot be written to: {error.strerror or type(error).__name__}"

"""The recorder: keeps what a session hears and says in files. It owns one thread, and the feed never waits for it.

    feed --> Backlog (bounded, in bytes) --> thread: mask, encode, compress --> Writer --> files

The feed adds one small list for each read. The thread encodes in steps, so that it holds the interpreter's lock for no
longer than a fraction of a millisecond; compressing and writing do not hold it.

`kiwoom_asyncio.connect(..., record=Recorder(folder))` needs nothing else. A program with its own event loop calls:

    session = Session(endpoint, ..., capture=Capture())
    recorder.start(session.endpoint, session.capture)                  before `session.connect`
    recorder.add(events := session.events(), size, time.time_ns())     after each call into the session
    recorder.stop()                                                    once the session has ended
    recorder.wait(10)                                                  where waiting is allowed
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from os import PathLike
from pathlib import Path
from typing import get_args

import attrs

from ..connection.capture import Capture, Entry
from ..endpoint import Endpoint
from ..errors import LocalProtocolError, RecordingError
from ..events import Batch
from ..secrets import Secret, redact
from .backlog import Backlog, message_count
from .disk import FolderDisk, free_bytes
from .entries import encode_entry
from .format import Header
from .frames import compress
from .masking import Masking
from .writer import Disk, Fsync, Writer

__all__ = ("Recorder", "RecorderStats")

INTERVAL = 0.02
"""Seconds for which the thread gathers before it looks at the backlog again: waking it costs the feed more."""
TURN = 0.0001
"""Seconds for which the thread works before it is the feed's turn, which may have waited for that long."""
TURN_PER_BYTE = 0.25e-9
"""Or more, for each byte that waits: 2 ms if 8 MB do. Each change of turns costs a feed that never rests as much as
some messages. However much waits, Python changes turns after 5 ms."""
EXIT_SECONDS = 10.0
"""Seconds that the end of the program waits for what is not written yet."""
LEAST_FILE_BYTES = 64 * 1024


@attrs.frozen
class RecorderStats:
    """Counters of what was recorded and lost so far.

    Attributes:
        messages: messages received that are in files.
        lost: messages received that are not, and never will be.
        holes: how often something was lost and it went on.
        files: files begun.
        bytes_in: bytes of lines that are in files.
        bytes_written: bytes of these files.
        waiting_bytes: bytes that wait to be written.
        lag: seconds for which the oldest of them has been waiting; 0.0 if nothing waits.
        path: the file that is being written; "" if there is none.
        free_bytes: bytes left on the disk; None if that cannot be told.
        failure: why nothing can be written at present; "" if it can.
    """

    messages: int
    lost: int
    holes: int
    files: int
    bytes_in: int
    bytes_written: int
    waiting_bytes: int
    lag: float
    path: str
    free_bytes: int | None
    failure: str


class Recorder:
    """Records what one client at a time hears and says, into files of a folder. See docs/recordings.md.

    Args:
        folder: where the files go. It is made if it does not exist.
        max_file_bytes: the size at which a file is closed and the next one is begun. One is begun each day anyway.
        fsync: when to wait until the data is on the disk: at the end of each "file", of each "frame" (every second), or
            "never". A power cut may cost what was not waited for.
        mask_accounts: whether account numbers are masked. Tokens and keys always are.
        queue_bytes: how much waits in memory at most while the disk is slow or full. Then messages are lost, and
            counted; the feed goes on.
        disk: where files are made, for tests; None: in `folder`.
        wall_clock: the time in nanoseconds since the epoch.

    Raises:
        RecordingError: the folder cannot be made or written to, or the package zstandard is not installed.
        LocalProtocolError: an argument is invalid.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        max_file_bytes: int = 256 * 1024 * 1024,
        fsync: Fsync = "file",
        mask_accounts: bool = True,
        queue_bytes: int = 64 * 1024 * 1024,
        disk: Disk | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        _check("max_file_bytes", max_file_bytes, LEAST_FILE_BYTES)
        _check("queue_bytes", queue_bytes, 1)
        if fsync not in get_args(Fsync):
            raise LocalProtocolError(f"fsync: must be one of {', '.join(get_args(Fsync))}, not {fsync!r}")
        compress(b"")  # is zstandard installed?
        if not isinstance(folder, str | PathLike):
            raise LocalProtocolError(
                f'folder: must be a path, as in Recorder("recordings"), not {type(folder).__name__}'
            )
        self.folder = Path(folder)
        if disk is None:
            _check_folder(self.folder)
        self._disk = FolderDisk(self.folder) if disk is None else disk
        self._max_file_bytes = max_file_bytes
        self._fsync: Fsync = fsync
        self._mask_accounts = mask_accounts
        self._queue_bytes = queue_bytes
        self._wall_clock = wall_clock
        self._run: _Run | None = None
        self._totals = RecorderStats(0, 0, 0, 0, 0, 0, 0, 0.0, "", None, "")

    def start(self, endpoint: Endpoint, capture: Capture) -> None:
        """Begin a recording.

        Args:
            endpoint: what the session connects to.
            capture: the tap that the session was given.

        Raises:
            LocalProtocolError: the recorder is in use.
        """
        if self._run is not None and not (self._run.is_over and self._run.is_stopping):
            raise LocalProtocolError("record: this Recorder serves another client; use one Recorder for each client")
        if self._run is not None:
            self._totals = self.stats()
        header = Header(0, str(endpoint), endpoint.mock, _software(), os.urandom(8).hex(), masked=self._mask_accounts)
        backlog = Backlog(capture, self._queue_bytes)
        writer = Writer(
            self._disk,
            header,
            max_file_bytes=self._max_file_bytes,
            fsync=self._fsync,
            on_removed=backlog.removed.append,
        )
        self._run = _Run(capture, backlog, writer, self._mask_accounts, self._wall_clock)
        self._run.start()

    def add(self, events: Batch, size: int, now: int) -> None:
        """Keep what the session has heard and said since the last call. Never raises, and never waits.

        Args:
            events: what `Session.events` has just returned. `RecordingFailed` and `RecordingHole` are appended to it.
            size: bytes that the session has received since the last call.
            now: nanoseconds since the epoch.
        """
        if self._run is not None:
            self._run.add(events, size, now)

    def begin_file(self) -> None:
        """End the file that is being written: the next frame begins a new one. May be called from any thread."""
        if self._run is not None:
            self._run.writer.is_file_due = True

    def stop(self) -> None:
        """Write what is left and close the file, without waiting for it. Repeating it does nothing."""
        if self._run is not None:
            self._run.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything is written and the file is closed. This blocks the thread that calls it.

        Args:
            timeout: seconds; None: as long as it takes.

        Returns:
            Whether it is.

        Raises:
            RecordingError: something could not be written at the end, and is lost.
        """
        run = self._run
        if run is None:
            return True
        if not run.wait(timeout):
            return False
        if run.error:
            raise RecordingError(f"the recording in {self.folder} lacks its end: {run.error}")
        return True

    def stats(self) -> RecorderStats:
        """Return the counters of what was recorded and lost so far."""
        before, run = self._totals, self._run
        if run is None:
            return attrs.evolve(before, free_bytes=free_bytes(self.folder))
        writer, backlog = run.writer, run.backlog
        oldest = writer.oldest_at or backlog.oldest_at
        return RecorderStats(
            messages=before.messages + writer.messages,
            lost=before.lost + backlog.lost + writer.lost + run.lost,
            holes=before.holes + backlog.holes,
            files=before.files + writer.files,
            bytes_in=before.bytes_in + writer.bytes_in,
            bytes_written=before.bytes_written + writer.bytes_written,
            waiting_bytes=backlog.waiting_bytes,
            lag=max(0.0, (self._wall_clock() - oldest) / 1e9) if oldest else 0.0,
            path=writer.path,
            free_bytes=free_bytes(self.folder),
            failure=writer.failure or run.error,
        )

    def __repr__(self) -> str:
        return f"<Recorder {self.folder}>"


class _Run:
    """One recording, and its thread."""

    def __init__(
        self, capture: Capture, backlog: Backlog, writer: Writer, mask_accounts: bool, wall_clock: Callable[[], int]
    ) -> None:
        self.backlog = backlog
        self.writer = writer
        self.error = ""
        self.lost = 0
        self._capture = capture
        self._wall_clock = wall_clock
        self._mask_accounts = mask_accounts
        self._known: tuple[tuple[Secret, ...], Masking] | None = None
        self._taken = 0  # messages
        self._turn_began = 0.0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # The end of the program does not wait for a thread that was never told to stop; see `_finish_at_exit`.
        self._thread = threading.Thread(target=self._work, name="kiwoom-recorder", daemon=True)
        self._process = os.getpid()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    @property
    def is_over(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        atexit.register(self._finish_at_exit)
        self._thread.start()

    def add(self, events: Batch, size: int, now: int) -> None:
        """Called by the feed."""
        backlog = self.backlog
        backlog.add(events, size, now)
        if backlog.is_idle:
            backlog.is_idle = False
            self._wake.set()

    def stop(self) -> None:
        """Tell the thread to end."""
        self._stopping.set()
        self._wake.set()

    def wait(self, timeout: float | None) -> bool:
        """Wait for the end of the thread."""
        self._thread.join(timeout)
        return self.is_over

    def _finish_at_exit(self) -> None:
        if self._process == os.getpid():
            self.stop()
            self._thread.join(EXIT_SECONDS)

    # On the thread.

    def _work(self) -> None:
        try:
            self._loop()
        except _GivenUp:
            pass
        except Exception as error:  # a bug of this library must not look like a recording that is complete
            reason = redact(f"{type(error).__name__}: {error}", self._capture.secrets)
            self.error = f"an error of the recorder, {reason}"
            self.backlog.failure = self.error  # the feed hears of it
        finally:
            self._end()
            atexit.unregister(self._finish_at_exit)

    def _loop(self) -> None:
        while True:
            is_stopping = self._stopping.is_set()
            while (entries := self.backlog.take()) is not None:
                self._write(entries)
            if is_stopping:
                self._write(self.backlog.finish(self._wall_clock()))
                return
            self._rest()

    def _rest(self) -> None:
        """Wait for something to do."""
        if self._stopping.wait(INTERVAL):
            return
        self._handle_deadline()
        backlog = self.backlog
        backlog.is_idle = True
        if not backlog.waiting_bytes:
            deadline = self.writer.deadline
            self._wake.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        backlog.is_idle = False
        self._wake.clear()
        self._handle_deadline()

    def _write(self, entries: list[Entry]) -> None:
        self._taken += message_count(entries)
        masking = self._masking()
        for entry in entries:
            for lines in encode_entry(entry, masking):
                self._wait_for_disk()
                now = time.monotonic()
                self.writer.add(lines.at, lines.data, lines.messages, now)
                if now - self._turn_began >= max(TURN, TURN_PER_BYTE * self.backlog.waiting_bytes):
                    time.sleep(0)  # the feed's turn
                    self._turn_began = time.monotonic()

    def _wait_for_disk(self) -> None:
        while self.writer.failure:
            self.backlog.failure = self.writer.failure
            is_last = self._stopping.wait(max(0.0, (self.writer.deadline or 0.0) - time.monotonic()))
            self._handle_deadline()
            if is_last and self.writer.failure:
                raise _GivenUp
        self.backlog.failure = ""

    def _handle_deadline(self) -> None:
        self.writer.handle_deadline(time.monotonic())
        self.backlog.failure = self.writer.failure

    def _end(self) -> None:
        self.backlog.is_over = True
        while (entries := self.backlog.take()) is not None:
            self._taken += message_count(entries)
        with suppress(Exception) if self.error else nullcontext():  # it may fail in the same way again
            self.writer.close(self._wall_clock(), time.monotonic(), is_whole=not self.error)
        self.lost = self._taken - self.writer.messages - self.writer.lost
        if not self.error and self.writer.failure:
            missing = f"{self.lost:,} messages were lost" if self.lost else "the last line of its file is missing"
            self.error = f"{missing}: {self.writer.failure}"
        elif not self.error and self.backlog.removed:  # too late to be told by an event
            self.error = " ".join(map(str, self.backlog.removed))

    def _masking(self) -> Masking:
        """Return what masks the secrets that are known by now."""
        if self._known is None or self._capture.secrets is not self._known[0]:
            secrets = self._capture.secrets
            self._known = secrets, Masking(secrets, accounts=self._mask_accounts, types=self._capture.types)
        return self._known[1]


class _GivenUp(Exception):
    """The disk cannot be written to, and the recorder was told to stop."""


def _check(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise LocalProtocolError(f"{name}: must be a number of bytes of at least {least}, not {value!r}")


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RecordingError(f"{folder}: cannot be written to")


def _software() -> str:
    from importlib.metadata import version

    return f"kiwoom-proto {version('kiwoom-proto')}"

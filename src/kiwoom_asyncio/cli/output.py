"""Standard output and standard error: errors, slow readers, and text that is safe for a terminal.

If the reader of the output leaves (`| head`), the program ends quietly. Any other failure to write, such as a full
disk, is an error. `guard_standard_output` applies this rule beneath everything that writes: click, rich, and `Output`.

A reader may also pause: a pager, a full pipe, a terminal held with Ctrl-S. Waiting for it in the event loop would leave
PINGs unanswered until the server cuts the connection. So a thread writes. The event loop only waits, without blocking
other tasks, while more than `UNWRITTEN_LIMIT` bytes are unwritten.

A person reads standard error. `guard_standard_error` makes all text written to it safe for a terminal.
"""

from __future__ import annotations

import errno
import io
import os
import queue
import select
import sys
import threading
from typing import Any, TextIO, cast

import anyio

from kiwoom_proto.display import MESSAGE_LIMIT, displayed

__all__ = ("Output", "OutputError", "ReaderLeft", "guard_standard_error", "guard_standard_output")

UNWRITTEN_LIMIT = 1024 * 1024
BLOCK_SIZE = 64 * 1024
POLL_INTERVAL = 0.02
READER_LEFT = (errno.EPIPE, errno.EINVAL) if os.name == "nt" else (errno.EPIPE,)  # Windows reports EINVAL


class ReaderLeft(Exception):
    """The reader of standard output left."""


class OutputError(Exception):
    """Standard output cannot be written. The message says why."""


class _Guarded(io.RawIOBase):
    """A raw stream that raises `ReaderLeft` or `OutputError`. After the first error it discards all data."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._failed = False

    def write(self, data: Any) -> int:
        if self._failed:
            return len(data)  # Python flushes once more at exit
        try:
            while (written := self._raw.write(data)) is None:
                select.select((), (self._raw,), ())  # another program made the pipe non-blocking
        except OSError as error:
            self._failed = True
            if error.errno in READER_LEFT:
                raise ReaderLeft from None
            reason = error.strerror or str(error)
            raise OutputError(f"cannot write the output: {reason}; its last line may be incomplete") from None
        return written

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def guard_standard_output() -> None:
    """Make failed writes to standard output raise `ReaderLeft` or `OutputError`."""
    if sys.stdout is None:  # the parent process closed it
        # Fail at the first write, as other programs do. This also keeps a socket from becoming standard output.
        unwritable = io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Guarded(unwritable)), encoding="utf-8")
        return
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper) or (os.name == "nt" and stdout.isatty()):
        return  # a Windows console has its own writers
    stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Guarded(_raw_of(stdout))),
        encoding=stdout.encoding,
        errors="replace",  # a console of another encoding shows what it can
        line_buffering=stdout.line_buffering,
        write_through=stdout.write_through,
    )


class _Shown(io.TextIOBase):
    """A text stream that makes every line safe for a terminal, whether click, Python or the command wrote it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write("\n".join(displayed(line, MESSAGE_LIMIT) for line in text.split("\n")))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here; never set
        return self._stream.encoding


def guard_standard_error() -> None:
    """Make all text written to standard error safe for a terminal."""
    if sys.stderr is None:  # the parent process closed it
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")  # a console of another encoding shows what it can
    sys.stderr = cast("TextIO", _Shown(sys.stderr))


def _raw_of(stream: io.TextIOWrapper) -> io.RawIOBase:
    return cast("io.RawIOBase", getattr(stream.buffer, "raw", stream.buffer))  # an unbuffered stream is raw itself


class Output:
    """Writes to standard output from its own thread.

    Args:
        raw: the stream to write to; defaults to standard output.
    """

    def __init__(self, raw: io.RawIOBase | None = None) -> None:
        if raw is None:
            assert isinstance(sys.stdout, io.TextIOWrapper)
            raw = _raw_of(sys.stdout)
        self._raw = raw if isinstance(raw, _Guarded) else _Guarded(raw)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unwritten = 0
        self._lock = threading.Lock()
        self._failure: Exception | None = None
        # The thread is a daemon and writes without a locked buffer, so that a reader who never resumes cannot keep an
        # interrupted program from ending.
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    async def write(self, data: bytes) -> None:
        """Queue data to be written. Wait while too much is unwritten.

        Raises:
            ReaderLeft: the reader left.
            OutputError: the output cannot be written.
        """
        with self._lock:
            self._unwritten += len(data)
        self._queue.put(data)
        # Polling is simpler than letting the thread wake the loop, and only happens with a slow reader.
        while self._unwritten > UNWRITTEN_LIMIT and self._failure is None:  # noqa: ASYNC110
            await anyio.sleep(POLL_INTERVAL)
        self._check()

    async def finish(self, timeout: float | None = None) -> None:
        """Wait until everything is written, for at most `timeout` seconds. Raises as `write` does."""
        self._queue.put(None)
        with anyio.move_on_after(timeout):
            while self._thread.is_alive():  # noqa: ASYNC110
                await anyio.sleep(POLL_INTERVAL)
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write_all(self) -> None:
        try:
            while (data := self._queue.get()) is not None:
                block = bytearray(data)
                ended = False
                while not ended and len(block) < BLOCK_SIZE and not self._queue.empty():
                    more = self._queue.get()
                    ended = more is None
                    block += more or b""
                self._write_block(block)
                if ended:
                    return
        except Exception as error:  # raised in the event loop, by _check
            self._failure = error

    def _write_block(self, block: bytearray) -> None:
        rest = memoryview(block)
        while rest:
            written = self._raw.write(rest)
            rest = rest[written:]
            with self._lock:
                self._unwritten -= written

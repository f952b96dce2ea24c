"""Standard output: what becomes of it, and a program that must not wait for it.

Whoever reads what is printed may have had enough (`| head`), which ends the program quietly. Anything else that keeps
output from being written, such as a full disk, is an error. `guard_standard_output` puts that one rule beneath
everything that writes: click, rich, and `Output`.

A reader may also pause: a pager, a full pipe, a terminal held with Ctrl-S. Waiting for that in the event loop would
keep a PING from being answered until the server cuts the connection. So a thread writes, and the event loop only waits,
without blocking anything else, while a good deal is unwritten.

Standard error is read by a person: `guard_standard_error` makes whatever is written to it fit to be shown.
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
READER_LEFT = (errno.EPIPE, errno.EINVAL) if os.name == "nt" else (errno.EPIPE,)  # Windows has EINVAL for it


class ReaderLeft(Exception):
    """Nobody reads standard output any more."""


class OutputError(Exception):
    """Standard output cannot be written; says why."""


class _Guarded(io.RawIOBase):
    """A raw stream whose errors say what became of the output. After the first, it discards what it is given."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._failed = False

    def write(self, data: Any) -> int:
        if self._failed:
            return len(data)  # Python flushes once more while it ends
        try:
            while (written := self._raw.write(data)) is None:
                select.select((), (self._raw,), ())  # a pipe that some other program has made non-blocking
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
    """Let whatever writes to standard output, and cannot, raise `ReaderLeft` or `OutputError`."""
    if sys.stdout is None:  # closed by whoever started this
        # As for other programs, an error at the first write; and no socket becomes standard output.
        unwritable = io.FileIO(os.open(os.devnull, os.O_RDONLY), "w")
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Guarded(unwritable)), encoding="utf-8")
        return
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper) or (os.name == "nt" and stdout.isatty()):
        return  # a console of Windows has writers of its own
    stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Guarded(_raw_of(stdout))),
        encoding=stdout.encoding,
        errors="replace",  # a console of another encoding shows what it can
        line_buffering=stdout.line_buffering,
        write_through=stdout.write_through,
    )


class _Shown(io.TextIOBase):
    """A text stream on which every line is fit for a terminal, whoever wrote it: click, Python, or the command."""

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
    def encoding(self) -> str:  # type: ignore[override]  # read-only here, and nobody sets it
        return self._stream.encoding


def guard_standard_error() -> None:
    """Make whatever is written to standard error fit for a terminal."""
    if sys.stderr is None:  # closed by whoever started this
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")  # a console of another encoding shows what it can
    sys.stderr = cast("TextIO", _Shown(sys.stderr))


def _raw_of(stream: io.TextIOWrapper) -> io.RawIOBase:
    return cast("io.RawIOBase", getattr(stream.buffer, "raw", stream.buffer))  # unbuffered, it is raw itself


class Output:
    """Writes to standard output from a thread of its own.

    Args:
        raw: where to write to instead.
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
        # A daemon, and no buffer with a lock, so that a reader who never goes on does not keep an interrupted program
        # from ending.
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    async def write(self, data: bytes) -> None:
        """Write, some time.

        Raises:
            ReaderLeft: nobody reads any more.
            OutputError: it cannot be written.
        """
        with self._lock:
            self._unwritten += len(data)
        self._queue.put(data)
        # Looking now and then is simpler than having the thread wake the loop, and only happens to a slow reader.
        while self._unwritten > UNWRITTEN_LIMIT and self._failure is None:  # noqa: ASYNC110
            await anyio.sleep(POLL_INTERVAL)
        self._check()

    async def finish(self, timeout: float | None = None) -> None:
        """Wait until everything is written, or for so many seconds. Errors as `write`."""
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
        except Exception as error:  # which is the event loop's to raise
            self._failure = error

    def _write_block(self, block: bytearray) -> None:
        rest = memoryview(block)
        while rest:
            written = self._raw.write(rest)
            rest = rest[written:]
            with self._lock:
                self._unwritten -= written

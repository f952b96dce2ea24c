"""Standard output for a program that must not wait for it.

Whoever reads what is printed may pause: a pager, a full pipe, a terminal held with Ctrl-S. Waiting for that in the
event loop would keep a PING from being answered until the server cuts the connection. So a thread writes, and the event
loop only waits, without blocking anything else, while a good deal is unwritten.
"""

from __future__ import annotations

import queue
import sys
import threading

import anyio

__all__ = ("Output",)

UNWRITTEN_LIMIT = 1024 * 1024
POLL_INTERVAL = 0.02


class Output:
    """Writes to standard output from a thread of its own."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unwritten = 0
        self._lock = threading.Lock()
        self._reader_left = False
        # A daemon, so that a reader who never goes on does not keep an interrupted program from ending.
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    async def write(self, data: bytes) -> None:
        """Write, some time.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        with self._lock:
            self._unwritten += len(data)
        self._queue.put(data)
        # Looking now and then is simpler than having the thread wake the loop, and only happens to a slow reader.
        while self._unwritten > UNWRITTEN_LIMIT and not self._reader_left:  # noqa: ASYNC110
            await anyio.sleep(POLL_INTERVAL)
        if self._reader_left:
            raise BrokenPipeError

    def finish(self) -> None:
        """Wait until everything is written.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        self._queue.put(None)
        self._thread.join()
        if self._reader_left:
            raise BrokenPipeError

    def _write_all(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                sys.stdout.buffer.write(data)
                if self._queue.empty():
                    sys.stdout.buffer.flush()
            except (OSError, ValueError):  # Windows says EINVAL for a pipe that was closed
                self._reader_left = True
                return
            with self._lock:
                self._unwritten -= len(data)

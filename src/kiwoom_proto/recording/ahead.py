"""A thread that does one thing while the caller goes on: it decompresses the next frame.

Decompressing does not hold the interpreter's lock; everything around it does. Whoever computes gives that lock to
another thread after 5 ms (`sys.getswitchinterval`), which is as long as the lines of a frame take. So the thread is
given nothing but the call that lets go of the lock, and `begin` waits until it makes it: for some 0.05 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

__all__ = ("Ahead",)

T = TypeVar("T")


class Ahead(Generic[T]):
    """What is made ahead, one thing at a time. The thread begins with the first of them, and ends with `end`."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "kiwoom-recording")
        self._key: int | None = None
        self._future: Future[T] | None = None

    def begin(self, key: int, make: Callable[[], T]) -> None:
        """Have the thread make something, instead of what it was to make before.

        Args:
            key: what it is: `pop` asks for it.
            make: makes it. It lets go of the interpreter's lock at once.
        """
        begun = SimpleQueue[None]()

        def run() -> T:
            begun.put(None)
            return make()

        self._key, self._future = key, self._thread.submit(run)
        begun.get()

    def pop(self, key: int) -> Callable[[], T] | None:
        """Return what waits for this and returns it, or raises what `make` raised; None: it has not been begun."""
        if key != self._key or self._future is None:
            return None
        result = self._future.result
        self._key = self._future = None
        return result

    def end(self) -> None:
        """End the thread, once it has made what it makes at the moment."""
        self._thread.shutdown()

"""A thread that does one thing while the caller goes on: it decompresses the next frame.

Decompressing does not hold the interpreter's lock; everything around it does. Whoever computes gives that lock to
another thread after 5 ms (`sys.getswitchinterval`), which is as long as the lines of a frame take. So the thread is
given nothing but the call that lets go of the lock, and `begin` waits until it makes it: for some 0.05 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

__all__ = ("Ahead",)

T = TypeVar("T")


class Ahead(Generic[T]):
    """What is made ahead, one thing at a time. The thread begins with the first of them, and ends with `end`."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._asked = SimpleQueue[Callable[[], T] | None]()
        self._begun = SimpleQueue[None]()
        self._made = SimpleQueue[tuple[T | None, Exception | None]]()
        self._key: int | None = None

    def begin(self, key: int, make: Callable[[], T]) -> None:
        """Have the thread make something, instead of what it was to make before.

        Args:
            key: what it is: `pop` asks for it.
            make: makes it. It lets go of the interpreter's lock at once.
        """
        if self._thread is None:
            self._thread = Thread(target=self._work, name="kiwoom-recording", daemon=True)
            self._thread.start()
        if self._key is not None:
            self._made.get()
        self._key = key
        self._asked.put(make)
        self._begun.get()

    def pop(self, key: int) -> Callable[[], T] | None:
        """Return what waits for this and returns it, or raises what `make` raised; None: it has not been begun."""
        if key != self._key:
            return None
        self._key = None
        return self._result

    def end(self) -> None:
        """End the thread, once it has made what it makes at the moment."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()

    def _result(self) -> T:
        made, error = self._made.get()
        if error is not None:
            raise error
        return made  # type: ignore[return-value]  # it is what `make` returned

    def _work(self) -> None:
        while (make := self._asked.get()) is not None:
            self._begun.put(None)
            try:
                made: tuple[T | None, Exception | None] = make(), None
            except Exception as error:
                made = None, error
            self._made.put(made)
            del make, made  # what was made is the caller's alone

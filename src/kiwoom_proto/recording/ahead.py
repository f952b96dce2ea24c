"""A thread that makes a few things while the caller goes on: it decompresses the frames that come next.

Decompressing does not hold the interpreter's lock; everything around it does. Whoever computes gives that lock to
another thread after 5 ms (`sys.getswitchinterval`), which is as long as the lines of a frame take. So the thread is
given nothing but the calls that let go of the lock. And it has two of them: when the caller waits for what the first
one made, the thread hands that over and makes the second call at once, in one change of threads. Only for a thread that
has nothing to do, `begin` waits until it makes its call: for some 0.1 ms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

__all__ = ("Ahead",)

MOST = 2
"""Things that the thread has to make at most, or has made and nobody has asked for."""

T = TypeVar("T")


class Ahead(Generic[T]):
    """What is made ahead, in order. The thread begins with the first of them, and ends with `end`."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._asked = SimpleQueue[tuple[Callable[[], T], bool] | None]()
        self._begun = SimpleQueue[None]()
        self._made = SimpleQueue[tuple[T | None, Exception | None]]()
        self._keys = deque[int]()

    @property
    def is_full(self) -> bool:
        """Whether the thread has enough to do."""
        return len(self._keys) >= MOST

    def begin(self, key: int, make: Callable[[], T]) -> None:
        """Have the thread make something, after what it was to make before.

        Args:
            key: what it is: `pop` asks for it. It is higher than those before.
            make: makes it. It lets go of the interpreter's lock at once.
        """
        if self._thread is None:
            self._thread = Thread(target=self._work, name="kiwoom-recording", daemon=True)
            self._thread.start()
        is_first = not self._keys
        self._keys.append(key)
        self._asked.put((make, is_first))
        if is_first:
            self._begun.get()

    def pop(self, key: int) -> Callable[[], T] | None:
        """Return what waits for this and returns it, or raises what `make` raised; None: it has not been begun."""
        self.drop_before(key)
        if not self._keys or self._keys[0] != key:
            return None
        self._keys.popleft()
        return self._result

    def drop_before(self, key: int) -> None:
        """Forget what has lower keys than this."""
        while self._keys and self._keys[0] < key:
            self._keys.popleft()
            self._made.get()

    def end(self) -> None:
        """End the thread, once it has made what it makes at the moment."""
        if self._thread is not None:
            with suppress(Empty):
                while True:
                    self._asked.get_nowait()
            self._asked.put(None)
            self._thread.join()

    def _result(self) -> T:
        made, error = self._made.get()
        if error is not None:
            raise error
        return made  # type: ignore[return-value]  # it is what `make` returned

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            make, is_waited_for = asked
            if is_waited_for:
                self._begun.put(None)
            try:
                made: tuple[T | None, Exception | None] = make(), None
            except Exception as error:
                made = None, error
            self._made.put(made)
            del asked, make, made  # what was made is the caller's alone

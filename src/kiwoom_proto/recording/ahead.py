"""Parts of a file, each made on a thread of its own while the one before it is used.

To decompress a frame takes a third of the time of reading it, and does not hold the interpreter's lock. So there is one
part in memory that nobody uses yet, and never more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ("ahead",)

T = TypeVar("T")


def ahead(parts: Generator[T], at_once: int = 2) -> Iterator[T]:
    """Yield what a generator yields, in order, and raise what it raises.

    The thread begins with the third part, so what is short needs none, and ends with the iteration.

    Args:
        parts: makes the parts. It is closed if the iteration is.
        at_once: how many parts are made without the thread.
    """
    for _ in range(at_once):
        part = next(parts, None)
        if part is None:
            return
        yield part
    with ThreadPoolExecutor(1, "kiwoom-recording") as thread:
        try:
            following = thread.submit(next, parts, None)
            while (part := following.result()) is not None:
                following = thread.submit(next, parts, None)
                yield part
        finally:
            following.cancel()
            thread.shutdown()  # whatever it makes at the moment
            parts.close()

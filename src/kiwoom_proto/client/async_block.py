"""What `connect`, `replay` and `serve` of an adapter return: for `async with` only, and it says so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

__all__ = ("AsyncBlock", "GeneratorBlock", "block")

P = ParamSpec("P")
T = TypeVar("T")


class AsyncBlock(AbstractAsyncContextManager[T]):
    """A block of `async with`. Used in any other way, it raises an error that says what to write.

    Args:
        name: the function that made it.
        cure: what to write.
        without_async: the same for a program without async; "" if there is none.
    """

    _name = _cure = _without_async = ""

    def __init__(self, name: str, cure: str, without_async: str = "") -> None:
        self._name = name
        self._cure = cure
        self._without_async = without_async

    if not TYPE_CHECKING:  # type checkers find these mistakes because the methods are missing

        def __enter__(self) -> NoReturn:
            without_async = f"; without async, {self._without_async}" if self._without_async else ""
            raise TypeError(f"{self._name}: {self._cure}{without_async}")

        def __exit__(self, *error: object) -> None:
            """Never called: `__enter__` raises."""

        def __await__(self) -> NoReturn:
            raise TypeError(f"{self._name}: {self._cure}")

        def __iter__(self) -> NoReturn:
            raise TypeError(f"{self._name}: {self._cure}")

        def __aiter__(self) -> NoReturn:
            raise TypeError(f"{self._name}: {self._cure}")

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{self._name}(...) is not entered yet, and has no {name!r}: {self._cure}")


class GeneratorBlock(AsyncBlock[T]):
    """A block made of an async generator.

    Args:
        name: the function that made it.
        manager: what `asynccontextmanager` makes of the generator.
    """

    def __init__(self, name: str, manager: AbstractAsyncContextManager[T]) -> None:
        without_async = "" if name == "serve" else f"use kiwoom_asyncio.blocking.{name}(...)"
        super().__init__(name, f"write `async with {name}(...) as ...:`", without_async)
        self._manager = manager

    async def __aenter__(self) -> T:
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)


def block(function: Callable[P, AsyncGenerator[T]]) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Make a function that returns a `GeneratorBlock` of an async generator function, as `asynccontextmanager` does."""
    make = asynccontextmanager(function)

    @wraps(function)
    def made(*arguments: P.args, **options: P.kwargs) -> AbstractAsyncContextManager[T]:
        return GeneratorBlock(function.__name__, make(*arguments, **options))

    return made

"""What `connect`, `open`, `replay` and `serve` of an adapter return: for `async with` or `await` only."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from ..errors import LocalProtocolError

__all__ = ("AsyncBlock", "GeneratorBlock", "block", "opening")

P = ParamSpec("P")
T = TypeVar("T")


class AsyncBlock(AbstractAsyncContextManager[T]):
    """A block of `async with`. Used in any other way, it raises an error that says what to write.

    Args:
        name: the function that made it.
        cure: what to write.
        without_async: the same for a program without async; "" if there is none.
        check_loop: raises LocalProtocolError unless the adapter's event loop runs.
    """

    _name = _cure = _without_async = ""

    def __init__(self, name: str, cure: str, without_async: str, check_loop: Callable[[str], None]) -> None:
        self._name = name
        self._cure = cure
        self._without_async = without_async
        self._check_loop = check_loop
        self._is_entered = False

    def _enter(self) -> None:
        """Refuse to be entered again, or in a wrong event loop.

        Raises:
            LocalProtocolError: the text says what to do instead.
        """
        self._check_loop(self._name)
        if self._is_entered:
            raise LocalProtocolError(f"{self._name}: a block is entered once; call {self._name}(...) again for another")
        self._is_entered = True

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
        check_loop: raises LocalProtocolError unless the adapter's event loop runs.
    """

    def __init__(self, name: str, manager: AbstractAsyncContextManager[T], check_loop: Callable[[str], None]) -> None:
        without_async = "" if name == "serve" else f"use kiwoom_asyncio.blocking.{name}(...)"
        super().__init__(name, f"write `async with {name}(...) as ...:`", without_async, check_loop)
        self._manager = manager

    async def __aenter__(self) -> T:
        self._enter()
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)


def block(
    check_loop: Callable[[str], None],
) -> Callable[[Callable[P, AsyncGenerator[T]]], Callable[P, AbstractAsyncContextManager[T]]]:
    """Decorate an async generator function: it returns a `GeneratorBlock`, as with `asynccontextmanager`.

    Args:
        check_loop: raises LocalProtocolError unless the adapter's event loop runs.
    """

    def decorate(function: Callable[P, AsyncGenerator[T]]) -> Callable[P, AbstractAsyncContextManager[T]]:
        make = asynccontextmanager(function)

        @wraps(function)
        def made(*arguments: P.args, **options: P.kwargs) -> AbstractAsyncContextManager[T]:
            return GeneratorBlock(function.__name__, make(*arguments, **options), check_loop)

        return made

    return decorate


def opening(
    cure: str,
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Decorate an async function that opens something: used without `await`, its result says what to write.

    Args:
        cure: what to write.
    """

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(function)
        def made(*arguments: P.args, **options: P.kwargs) -> Coroutine[Any, Any, T]:
            return _Opening(function.__name__, function(*arguments, **options), cure)

        return made

    return decorate


class _Opening(Coroutine[Any, Any, T]):
    """A coroutine that must be awaited, and says so."""

    _name = _cure = ""

    def __init__(self, name: str, coroutine: Coroutine[Any, Any, T], cure: str) -> None:
        self._name = name
        self._coroutine = coroutine
        self._cure = cure

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """Go on, as a task asks for."""
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error where it waits."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    if not TYPE_CHECKING:  # type checkers find these mistakes because the methods are missing

        def __aenter__(self) -> NoReturn:
            self.close()
            raise TypeError(f"{self._name}: {self._cure}")

        def __aexit__(self, *error: object) -> None:
            """Never called: `__aenter__` raises."""

        def __enter__(self) -> NoReturn:
            self.close()
            raise TypeError(f"{self._name}: {self._cure}")

        def __exit__(self, *error: object) -> None:
            """Never called: `__enter__` raises."""

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"{self._name}(...) is not awaited yet, and has no {name!r}: {self._cure}")

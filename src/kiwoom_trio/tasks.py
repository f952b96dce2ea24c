"""Background tasks that end with their block, leave its exceptions as they are, and let Ctrl-C be Ctrl-C.

trio raises KeyboardInterrupt in whatever code runs when the signal comes, unless that code is protected: then the
program's main task gets it, at its next checkpoint. What is ours is protected, or else it would come out of a task of
ours, wrapped in a group for every nursery on its way, and could leave a block with its nursery open.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import wraps
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

import trio

__all__ = ("background_tasks", "block", "ungrouped")

P = ParamSpec("P")
T = TypeVar("T")


def block(function: Callable[P, AsyncGenerator[T]]) -> Callable[P, AbstractAsyncContextManager[T]]:
    """As `asynccontextmanager`, and no Ctrl-C comes while the block is entered or left."""
    make = asynccontextmanager(function)

    @wraps(function)
    def made(*arguments: P.args, **options: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _Block(make(*arguments, **options))

    return made


class _Block(AbstractAsyncContextManager[T], Generic[T]):
    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> T:
        return await self._manager.__aenter__()

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose tasks are cancelled when the block is left.

    A nursery would put what the block raises into a group; here it is raised as itself, after the tasks have ended. So
    is what a task raises. KeyboardInterrupt and SystemExit come before all else, and what the block raises before what
    its tasks do.
    """
    failure: BaseException | None = None
    try:
        with ungrouped():
            async with trio.open_nursery() as nursery:
                try:
                    yield nursery
                except trio.Cancelled:
                    raise
                except BaseException as error:
                    failure = error
                finally:
                    nursery.cancel_scope.cancel()
    except BaseException as error:
        if failure is None or isinstance(error, KeyboardInterrupt | SystemExit):
            raise
    if failure is not None:
        raise failure


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise what a nursery of ours has put into groups as itself, where it is one error."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = _essence(group)
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context  # not the group


def _essence(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What is in groups within groups: one error, or one group of several."""
    errors = [error for error in _flat(group) if not isinstance(error, trio.Cancelled)]
    for error in errors:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            return error
    if len(errors) == 1:
        return errors[0]
    return BaseExceptionGroup(group.message, errors) if errors else group


def _flat(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _flat(each)
    else:
        yield error

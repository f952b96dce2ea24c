"""Background tasks that end with their block, leave its exceptions unchanged, and do not swallow Ctrl-C.

trio raises KeyboardInterrupt in whatever code runs when the signal arrives, unless that code is protected: then the
program's main task gets it, at its next checkpoint. The code of this package is protected. Otherwise KeyboardInterrupt
would come out of one of its tasks, wrapped in a group for every nursery on the way, and could leave a nursery open.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

import trio

from kiwoom_proto.client.async_block import GeneratorBlock
from kiwoom_proto.client.errors import add_failure

from .own_loop import check_loop

__all__ = ("background_tasks", "block", "ungrouped")

P = ParamSpec("P")
T = TypeVar("T")


def block(function: Callable[P, AsyncGenerator[T]]) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Like the `block` of the core, but Ctrl-C is deferred while the block is entered or left."""
    make = asynccontextmanager(function)

    @wraps(function)
    def made(*arguments: P.args, **options: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _Block(function.__name__, make(*arguments, **options), check_loop)

    return made


class _Block(GeneratorBlock[T]):
    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> T:
        return await super().__aenter__()

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await super().__aexit__(kind, error, traceback)


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose tasks are cancelled when the block is left.

    A plain nursery would wrap what the block raises in a group; here it is raised unchanged, after the tasks have
    ended. The same goes for what a task raises. KeyboardInterrupt and SystemExit take precedence over everything, and
    the block's exception over those of its tasks.
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
        add_failure(failure, error)
    if failure is not None:
        raise failure


@contextmanager
def ungrouped() -> Iterator[None]:
    """Unwrap what a nursery has put into groups, if it is one error."""
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
    """Flatten nested groups: return one error, or one group of several."""
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

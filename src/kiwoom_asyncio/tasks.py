"""Background tasks that end with their block, and leave its exceptions as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from kiwoom_proto import LocalProtocolError

__all__ = ("BackgroundTask", "background_tasks")


class BackgroundTask:
    """A task that stands in no scope of the program's: whichever task began it, any may end it.

    Arguments:
        run: what it does.
        failed: called with what it raises, or an error that says that it was cancelled by somebody else.
    """

    def __init__(self, run: Callable[[], Awaitable[None]], failed: Callable[[BaseException], None]) -> None:
        self._run = run
        self._failed = failed
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._main())

    async def end(self) -> BaseException | None:
        """Cancel it and wait until it has ended, whoever cancels the caller meanwhile; return what it raised."""
        self._scope.cancel()
        cancelled: asyncio.CancelledError | None = None
        while not self._task.done():
            try:
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([self._task])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return None if self._task.cancelled() else self._task.exception()

    async def _main(self) -> None:
        with self._scope:
            try:
                await self._run()
            except asyncio.CancelledError:
                if not self._scope.cancel_called:  # nobody would tell those who wait for it
                    self._failed(LocalProtocolError("the client's own task was cancelled from outside"))
                raise
            except BaseException as failure:
                self._failed(failure)
                raise


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[anyio.abc.TaskGroup]:
    """A task group whose tasks are cancelled when the block is left.

    A task group would put what the block raises into a group; here it is raised as itself, after the tasks have ended.
    So is what a task raises. KeyboardInterrupt and SystemExit come before all else, and what the block raises before
    what its tasks do.
    """
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:
                failure = error
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        reason = _essence(group)
        if failure is None or isinstance(reason, KeyboardInterrupt | SystemExit):
            failure = reason
        context = failure.__context__
        try:
            raise failure
        finally:
            failure.__context__ = context  # not the group
    if failure is not None:
        raise failure


def _essence(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What is in groups within groups: one error, or one group of several."""
    errors = list(_flat(group))
    for error in errors:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            return error
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(group.message, errors)


def _flat(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _flat(each)
    else:
        yield error

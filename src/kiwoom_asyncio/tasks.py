"""Background tasks that end with their block, and leave its exceptions unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.client.errors import add_failure

__all__ = ("BackgroundTask", "background_tasks", "run_together")


class BackgroundTask:
    """A task outside every scope of the program: whichever task started it, any may end it.

    Args:
        run: its body.
        failed: called with what it raises, or with an error that says it was cancelled from outside.
    """

    def __init__(self, run: Callable[[], Awaitable[None]], failed: Callable[[BaseException], None]) -> None:
        self._run = run
        self._failed = failed
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._main())

    async def end(self) -> BaseException | None:
        """Cancel it, and wait until it has ended, even if the caller is cancelled meanwhile; return what it raised."""
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
                if not self._scope.cancel_called:  # otherwise whoever waits for it would wait for ever
                    self._failed(LocalProtocolError("the client's own task was cancelled from outside"))
                raise
            except BaseException as failure:
                self._failed(failure)
                raise


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[anyio.abc.TaskGroup]:
    """A task group whose tasks are cancelled when the block is left.

    A plain task group would wrap what the block raises in a group; here it is raised unchanged, after the tasks have
    ended. The same goes for what a task raises. KeyboardInterrupt and SystemExit take precedence over everything, and
    the block's exception over those of its tasks.
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
        else:
            add_failure(failure, reason)
        context = failure.__context__
        try:
            raise failure
        finally:
            failure.__context__ = context  # not the group
    if failure is not None:
        raise failure


async def run_together(*functions: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run functions at once until all have returned. What one of them raises cancels the others, and is unchanged."""
    if len(functions) == 1:
        await functions[0]()
        return
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            for function in functions:
                tasks.start_soon(function)
    except BaseExceptionGroup as group:
        failure = _essence(group)
    if failure is not None:
        raise failure


def _essence(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Flatten nested groups: return one error, or one group of several."""
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

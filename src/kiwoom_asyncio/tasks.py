"""Background tasks that end with their block, and leave its exceptions as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

__all__ = ("background_tasks",)


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

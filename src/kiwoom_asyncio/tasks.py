"""Background tasks that end with their block, and leave its exceptions as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

__all__ = ("background_tasks",)


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[anyio.abc.TaskGroup]:
    """A task group whose tasks are cancelled when the block is left.

    A task group puts what the block raises into a group; here the user's exception comes out as itself, because the
    tasks in it raise nothing but their cancellation.
    """
    failure: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            try:
                yield tasks
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        failure = group.exceptions[0]
    if failure is not None:
        raise failure  # out here, so that it does not get the group as its context

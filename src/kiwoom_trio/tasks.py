"""Background tasks that end with their block, and leave its exceptions as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

__all__ = ("background_tasks",)


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose tasks are cancelled when the block is left.

    A nursery puts what the block raises into a group; here the user's exception comes out as itself, because the
    tasks in it raise nothing but their cancellation.
    """
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        rest = group.split(trio.Cancelled)[1]
        if rest is None or len(rest.exceptions) > 1:
            raise
        failure = rest.exceptions[0]
    if failure is not None:
        raise failure  # out here, so that it does not get the group as its context

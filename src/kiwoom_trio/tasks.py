"""Background tasks that end with their block, and leave its exceptions as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

__all__ = ("background_tasks",)


@asynccontextmanager
async def background_tasks() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose tasks are cancelled when the block is left.

    A nursery would put what the block raises into a group; here it is raised as itself, after the tasks have ended.
    """
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except trio.Cancelled:
            raise
        except BaseException as error:
            failure = error
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure

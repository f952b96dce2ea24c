"""Where code runs, on asyncio."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextvars import ContextVar

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.client.own_loop import Place

__all__ = ("HAND_OVER", "caller", "check_loop", "here", "runs_trio")

HAND_OVER = "asyncio.run_coroutine_threadsafe(call, loop), or loop.call_soon_threadsafe"
"""How another thread calls the client."""

caller: ContextVar[object] = ContextVar("caller", default=None)
"""The thread whose call a task does, if each of its calls has a task of its own; None: the task is the caller."""


def here() -> Place:
    """Return the process, thread and event loop of the caller."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # none runs here
        loop = None
    return Place(os.getpid(), threading.get_ident(), loop)


def runs_trio() -> bool:
    """Return whether the caller runs in a task of trio."""
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def check_loop(name: str) -> None:
    """Refuse to enter a block where no event loop of asyncio runs.

    Args:
        name: the function that made it.

    Raises:
        LocalProtocolError: the text says what to use instead.
    """
    if here().loop is not None:
        return
    if runs_trio():
        raise LocalProtocolError(
            f"kiwoom_asyncio.{name} needs asyncio, and trio runs here: use kiwoom_trio.{name}, or asyncio.run(...)"
        )
    raise LocalProtocolError(f"kiwoom_asyncio.{name} needs asyncio, which does not run here: use asyncio.run(...)")

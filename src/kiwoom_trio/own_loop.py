"""Where code runs, on trio."""

from __future__ import annotations

import asyncio
import os
import threading

import trio

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.client.own_loop import Place

__all__ = ("HAND_OVER", "check_loop", "here")

HAND_OVER = "trio.from_thread.run(call, trio_token=token)"
"""How another thread calls the client."""


def here() -> Place:
    """Return the process, thread and event loop of the caller."""
    try:
        loop = trio.lowlevel.current_trio_token()
    except RuntimeError:  # trio does not run here
        loop = None
    return Place(os.getpid(), threading.get_ident(), loop)


def check_loop(name: str) -> None:
    """Refuse to enter a block where trio does not run.

    Args:
        name: the function that made it.

    Raises:
        LocalProtocolError: the text says what to use instead.
    """
    if here().loop is not None:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise LocalProtocolError(f"kiwoom_trio.{name} needs trio, which does not run here: use trio.run(...)") from None
    raise LocalProtocolError(
        f"kiwoom_trio.{name} needs trio, and asyncio runs here: use kiwoom_asyncio.{name}, or trio.run(...)"
    )

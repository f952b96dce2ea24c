"""Where code runs, on asyncio."""

from __future__ import annotations

import asyncio
import os
import threading

from kiwoom_proto.client.own_loop import Place

__all__ = ("HAND_OVER", "here")

HAND_OVER = "asyncio.run_coroutine_threadsafe(call, loop), or loop.call_soon_threadsafe"
"""How another thread calls the client."""


def here() -> Place:
    """Return the process, thread and event loop of the caller."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # none runs here
        loop = None
    return Place(os.getpid(), threading.get_ident(), loop)

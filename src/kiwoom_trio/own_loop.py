"""Where code runs, on trio."""

from __future__ import annotations

import os
import threading

import trio

from kiwoom_proto.client.own_loop import Place

__all__ = ("HAND_OVER", "here")

HAND_OVER = "trio.from_thread.run(call, trio_token=token)"
"""How another thread calls the client."""


def here() -> Place:
    """Return the process, thread and event loop of the caller."""
    try:
        loop = trio.lowlevel.current_trio_token()
    except RuntimeError:  # trio does not run here
        loop = None
    return Place(os.getpid(), threading.get_ident(), loop)

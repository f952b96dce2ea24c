"""Where a client belongs: to the process, thread and event loop that it was connected in."""

from __future__ import annotations

import asyncio
import os
import threading

from kiwoom_proto import LocalProtocolError

__all__ = ("OwnLoop",)


class OwnLoop:
    """The process, thread and event loop in which it was made, and to which everything that waits there belongs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._process = os.getpid()

    def check(self) -> None:
        """Raise where the caller runs elsewhere.

        Raises:
            LocalProtocolError: in another process, thread, or event loop; tells what to do instead.
        """
        if os.getpid() != self._process:
            raise LocalProtocolError(
                "called in a process that was forked after the client connected; connect in the process that uses it"
            )
        try:
            if asyncio.get_running_loop() is self._loop:
                return
        except RuntimeError:
            pass  # no loop runs here
        if threading.get_ident() != self._thread:
            raise LocalProtocolError(
                "called from another thread than the client's own; "
                "hand the call over: asyncio.run_coroutine_threadsafe(call, loop), or loop.call_soon_threadsafe"
            )
        raise LocalProtocolError(
            "called from another event loop than the client's own; connect in the loop that uses the client"
        )

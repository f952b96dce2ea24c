"""Where a client belongs: to the process, thread and event loop that it was connected in."""

from __future__ import annotations

import os
import threading

import trio

from kiwoom_proto import LocalProtocolError

__all__ = ("OwnLoop",)


class OwnLoop:
    """The process, thread and event loop in which it was made, and to which everything that waits there belongs."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
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
            if trio.lowlevel.current_trio_token() is self._token:
                return
        except RuntimeError:
            pass  # trio does not run here
        if threading.get_ident() != self._thread:
            raise LocalProtocolError(
                "called from another thread than the client's own; "
                "hand the call over: trio.from_thread.run(call, trio_token=token)"
            )
        raise LocalProtocolError(
            "called from another event loop than the client's own; connect in the loop that uses the client"
        )

"""End a command before its work is done, at a deadline or on a signal.

Cancelling the block that holds a connection cuts the connection. So only the innermost of nested blocks is cancelled:
the one that uses the connection. The block that holds the connection then exits normally, with a close frame. A second
signal cancels that block too.
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio

from kiwoom_proto import KiwoomError

__all__ = ("Ending",)

SIGNALS = tuple(
    signal.Signals(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
PATIENCE = 2
"""Signals that are handled in order. The next one ends the process at once."""


class Ending:
    """Ends a command at a deadline or on a signal.

    Args:
        duration: seconds after `run` starts; None: no limit.
        hang_up: called for SIGHUP, which then does not end the command.

    Attributes:
        signal: the signal that ended the command, or None.
    """

    def __init__(self, duration: float | None = None, *, hang_up: Callable[[], None] | None = None) -> None:
        self.signal: signal.Signals | None = None
        self._hang_up = hang_up
        self._duration = duration
        self._deadline = math.inf
        self._scopes: list[anyio.CancelScope] = []
        self._count = 0

    async def run(self, command: Callable[[Ending], Awaitable[None]]) -> None:
        """Run a command until it returns, the deadline passes or a signal arrives."""
        if self._duration is not None:
            self._deadline = anyio.current_time() + self._duration
        with self._signals(asyncio.get_running_loop()), self.cancels():
            await command(self)

    @contextmanager
    def cancels(self) -> Iterator[anyio.CancelScope]:
        """Cancel the block at the deadline. The blocks around it lose their deadline, so they exit normally."""
        with anyio.CancelScope(deadline=self._deadline) as scope:
            if self._scopes:
                self._scopes[-1].deadline = math.inf
            self._scopes.append(scope)
            try:
                yield scope
            finally:
                self._scopes.pop()

    def check(self, done: bool, what: str) -> None:
        """Raise `KiwoomError` if the deadline passed before the work was done.

        Args:
            done: whether the work was done.
            what: what is missing, for the message, such as "no answer".
        """
        if not done and self.signal is None:
            raise KiwoomError(f"{what} within --duration {self._duration:g}")

    @contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        # loop.add_signal_handler does not exist on Windows.
        def handle(number: int, frame: FrameType | None) -> None:
            if self._hang_up is not None and signal.Signals(number).name == "SIGHUP":
                loop.call_soon_threadsafe(self._hang_up)
                return
            self._count += 1
            if self._count > PATIENCE:  # something blocks the exit: end at once
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            loop.call_soon_threadsafe(self._stop, signal.Signals(number))

        # Ignored signals stay ignored: nohup, background jobs.
        before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
        for number in taken:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)

    def _stop(self, number: signal.Signals) -> None:
        if self.signal is None:
            self.signal = number
        for scope in reversed(self._scopes):
            if not scope.cancel_called:
                scope.cancel()
                return

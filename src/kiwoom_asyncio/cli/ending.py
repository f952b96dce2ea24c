"""When a command ends before its work does, by the clock or at a signal, and what is cancelled then.

A connection that is cancelled is cut. So of blocks inside each other only the innermost is cancelled: the one that uses
the connection, while the one that holds it is left as always, with a close frame. A second signal cancels that one too.
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
"""Signals after which nothing is left to be closed in order."""


class Ending:
    """When a command ends.

    Args:
        duration: seconds from `run` on; None: no limit.

    Attributes:
        signal: the signal that ended it, if any.
    """

    def __init__(self, duration: float | None = None) -> None:
        self.signal: signal.Signals | None = None
        self._duration = duration
        self._deadline = math.inf
        self._scopes: list[anyio.CancelScope] = []
        self._count = 0

    async def run(self, command: Callable[[Ending], Awaitable[None]]) -> None:
        """Run a command until it ends by itself, by the clock or at a signal."""
        if self._duration is not None:
            self._deadline = anyio.current_time() + self._duration
        with self._signals(asyncio.get_running_loop()), self.cancels():
            await command(self)

    @contextmanager
    def cancels(self) -> Iterator[anyio.CancelScope]:
        """A block that is cancelled at the end. For whatever is around it, that is no longer the end then."""
        with anyio.CancelScope(deadline=self._deadline) as scope:
            if self._scopes:
                self._scopes[-1].deadline = math.inf
            self._scopes.append(scope)
            try:
                yield scope
            finally:
                self._scopes.pop()

    def check(self, done: bool, what: str) -> None:
        """Raise KiwoomError where the clock was faster than the server."""
        if not done and self.signal is None:
            raise KiwoomError(f"{what} within --duration {self._duration:g}")

    @contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        # Not loop.add_signal_handler: Windows has none.
        def handle(number: int, frame: FrameType | None) -> None:
            self._count += 1
            if self._count > PATIENCE:  # whatever it is that holds it up: end at once
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            loop.call_soon_threadsafe(self._stop, signal.Signals(number))

        # What is ignored stays so: nohup, a job in the background.
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

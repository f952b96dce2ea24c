"""Virtual time on trio and on asyncio: the loop's clock jumps to the next deadline whenever nothing can be done."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Literal

import trio
import trio.testing

__all__ = ("VIRTUAL_LOOPS", "run_virtually")

VIRTUAL_LOOPS: tuple[Literal["trio", "asyncio"], ...] = ("trio", "asyncio")
"""uvloop keeps its time to itself."""


def run_virtually(loop: str, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario that waits for nothing but time."""
    if loop == "trio":
        trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
            runner.run(_awaited(scenario))


async def _awaited(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


class _JumpingSelector(selectors.DefaultSelector):
    """Where nothing is ready, it moves the time on instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the scenario waits for something that never comes")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

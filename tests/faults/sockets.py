"""The soak on real sockets: an exchange at a brisk rate, the fault proxy before it, and a client, for minutes.

Every few seconds something goes wrong. Between two faults, with everything as it should be, it looks at what must not
grow: memory, tasks, open descriptors.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import anyio
import attrs
from tests.adapters.kit import Client, Loop, LoopName, until
from tests.adapters.proxy import Proxy, proxy_to

from kiwoom_proto import AfterHoursQuote, ClientConfig, Disconnected, Gap, Record
from kiwoom_proto.events import Connecting
from kiwoom_proto.simulator import Exchange

__all__ = ("Watch", "soak_sockets")

ITEMS = ("005930", "000660", "035420", "105560", "000270")
CONFIG = ClientConfig(
    backoff_min=0.05,
    backoff_max=0.5,
    open_timeout=1,
    login_timeout=1,
    ack_timeout=1,
    idle_timeout=1.5,
    close_timeout=0.5,
    takeover="reconnect",
    takeover_limit=1_000_000,
)
RATE = 400.0
"""Rows a second of each item."""
REPORT_EVERY = 10.0
RECOVERY_LIMIT = 10.0
WARM_UP = 0.2
"""The part of the time after which memory must not grow any more."""
GROWTH_LIMIT = 8.0
"""Megabytes by which it may all the same: allocators round."""


@attrs.define
class Watch:
    """What was seen so far.

    Attributes:
        loop: on which event loop.
        seconds: for how long.
        faults: how many there were.
        losses: how many connections, and attempts at one, were lost.
        gaps: how many were reported.
        rows: how many were delivered.
        holes: rows that do not go on from the one before them, within one connection.
        memory: resident megabytes of this process: server, proxy and client.
        tasks: of the loop, between two faults.
        descriptors: open, between two faults.
        slowest: longest time from the end of a fault until everything was as it should be.
        problems: what was wrong.
    """

    loop: LoopName
    seconds: float = 0.0
    faults: int = 0
    losses: int = 0
    gaps: int = 0
    rows: int = 0
    holes: int = 0
    memory: float = 0.0
    tasks: int = 0
    descriptors: int = 0
    slowest: float = 0.0
    problems: list[str] = attrs.field(factory=list)
    quantities: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    is_whole: bool = True

    @property
    def is_good(self) -> bool:
        return not (self.holes or self.problems)

    def __str__(self) -> str:
        return (
            f"{self.loop:8}{self.seconds:5.0f} s  {self.faults:4} faults  {self.losses:5} losses  {self.gaps:4} gaps  "
            f"{self.rows:9,} rows  {self.holes} holes  {self.memory:6.1f} MB  {self.tasks:3} tasks  "
            f"{self.descriptors:3} descriptors  slowest recovery {self.slowest:.1f} s"
        )

    async def follow(self, client: Client) -> None:
        """Take note of everything that a client reports, until it ends."""
        async for event in client:
            if isinstance(event, AfterHoursQuote):
                self.rows += 1
                self._check(event)
            elif isinstance(event, Disconnected):
                self.losses += 1
                self.is_whole = False
            elif isinstance(event, Gap):
                self.gaps += 1
                self.is_whole = True
            elif isinstance(event, Record):
                self.problems.append(f"a row that nobody wanted: {event!r}")
            elif isinstance(event, Connecting):
                self.is_whole = False

    def _check(self, quote: AfterHoursQuote) -> None:
        """Every row tells what has changed since the one before it."""
        quantity = quote.ask_quantity or 0
        epoch, before = self.quantities.get(quote.item, (0, 0))
        if epoch == quote.epoch and quantity != before + (quote.ask_quantity_change or 0):
            self.holes += 1
        self.quantities[quote.item] = quote.epoch, quantity


async def slow(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    proxy.size, proxy.slow = 1000, True
    await anyio.sleep(chance.uniform(0.2, 1.5))
    proxy.size, proxy.slow = None, False


async def small_pieces(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    proxy.size = 16
    await anyio.sleep(chance.uniform(0.2, 0.5))
    proxy.size = None


async def close(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    proxy.close()


async def reset(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    proxy.reset()


async def half_open(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    proxy.half_open()


async def hold(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    proxy.hold()
    await anyio.sleep(chance.uniform(0.1, 4))
    proxy.release()


async def refuse(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    await proxy.stop()
    await anyio.sleep(chance.uniform(0, 2))
    await proxy.start()


async def http_502(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    exchange.faults.http_status = 502
    exchange.drop()
    await anyio.sleep(chance.uniform(0, 2))
    exchange.faults.http_status = 101


async def kick(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    exchange.kick()


async def stall(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    exchange.stall()
    await anyio.sleep(chance.uniform(0.1, 4))
    exchange.resume()


async def bad_message(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    for peer in tuple(exchange.links):
        if peer.key is not None:
            exchange.garbage(chance.choice((b"{]", b"\xff\xfe")), peer)


async def again_and_again(proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    for _ in range(10):
        proxy.reset()
        await anyio.sleep(chance.uniform(0, 0.3))


FAULTS: tuple[Callable[[Proxy, Exchange, random.Random], Awaitable[None]], ...] = (
    slow,
    small_pieces,
    close,
    reset,
    half_open,
    hold,
    refuse,
    http_502,
    kick,
    stall,
    bad_message,
    again_and_again,
)


def soak_sockets(name: LoopName, duration: float, seed: int, report: Callable[[Watch], None]) -> Watch:
    """Run it on one event loop.

    Arguments:
        name: which.
        duration: seconds.
        seed: of everything random.
        report: called every ten seconds.
    """
    watch = Watch(name)
    anyio.run(_soak, watch, duration, seed, report, **Loop(name).backend())
    return watch


async def _soak(watch: Watch, duration: float, seed: int, report: Callable[[Watch], None]) -> None:
    loop, chance, exchange = Loop(watch.loop), random.Random(seed), Exchange(rate=RATE)
    begin = time.monotonic()
    next_report = REPORT_EVERY
    memory_at_first = 0.0
    tasks_at_first = loop._tasks()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        loop.connect(proxy.endpoint, config=CONFIG) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(watch.follow, client)
        await client.subscribe("0E", *ITEMS)
        await _calm(watch, client, exchange)
        base = loop._tasks(), _descriptors()
        while watch.seconds < duration and not watch.problems:
            await chance.choice(FAULTS)(proxy, exchange, chance)
            watch.faults += 1
            since = time.monotonic()
            with anyio.move_on_after(RECOVERY_LIMIT) as scope:
                await _calm(watch, client, exchange)
                watch.slowest = max(watch.slowest, time.monotonic() - since)
                # Sockets that were cut are gone a moment later.
                await until(lambda: (loop._tasks(), _descriptors()) == base)
            watch.tasks, watch.descriptors = loop._tasks(), _descriptors()
            if scope.cancelled_caught:
                watch.problems.append(
                    f"not as before: {watch.tasks} tasks and {watch.descriptors} descriptors, of {base}"
                )
            watch.seconds = time.monotonic() - begin
            gc.collect()
            watch.memory = _resident()
            if watch.seconds < duration * WARM_UP or not memory_at_first:
                memory_at_first = watch.memory
            if watch.seconds >= next_report:
                report(watch)
                next_report = watch.seconds - watch.seconds % REPORT_EVERY + REPORT_EVERY
            await anyio.sleep(chance.uniform(0.2, 1.5))
        if watch.memory > memory_at_first + GROWTH_LIMIT:
            watch.problems.append(f"memory grew from {memory_at_first:.1f} to {watch.memory:.1f} MB")
        await client.aclose()
    if loop._tasks() != tasks_at_first:
        watch.problems.append(f"{loop._tasks()} tasks are left, of {tasks_at_first}")


async def _calm(watch: Watch, client: Client, exchange: Exchange) -> None:
    """Wait until everything is as it should be, and rows come."""
    wanted = {"1": dict.fromkeys(("0E", item) for item in ITEMS)}

    def is_calm() -> bool:
        peers = exchange.links
        return watch.is_whole and len(peers) == 1 and peers[0].registered == wanted and not peers[0].stalled

    rows = -1
    while rows < 0 or watch.rows == rows:
        await until(is_calm)
        rows = watch.rows
        await anyio.sleep(0.15)
    await until(lambda: client.stats().waiting == 0)


def _resident() -> float:
    """Megabytes of memory that this process has; where the system does not tell, the most that it ever had."""
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _descriptors() -> int:
    """How many are open, where the system tells (Linux)."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

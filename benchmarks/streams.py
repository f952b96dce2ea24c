"""Layer d, streams: what streams and callbacks cost beside `async for event in client`, from a socket, in pairs.

Subjects, on asyncio and on trio, each reading the usual fields of every row that it is given:

    iteration         `async for event in client`
    stream            one stream of all items
    conflating        one stream that conflates, read by the same loop as fast as it comes
    callback          `client.on`
    10 of a tenth     ten streams of a tenth of the items each, a task each: a row goes to one
    10 of all         ten streams of all items, a task each: a row goes to ten. Figures are for rows received
    blocking          a stream of `kiwoom_asyncio.blocking`, in a thread beside its event loop
    blocking next     the same, by `rows.next(timeout=...)`
    blocking events   `for event in client` of `kiwoom_asyncio.blocking`
    blocking callback `client.on` of `kiwoom_asyncio.blocking`, called on its thread

CPU is that of the process, of both threads. Latency is measured at 1,000 messages a second, of iteration, stream,
callback and blocking stream, against picows and msgspec.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio
import trio

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_asyncio import blocking
from kiwoom_proto import ClientConfig, Endpoint

from . import opponents
from .data import STAMP_FID, fids
from .decode import our_reader
from .loopback import COUNT, LATENCY, THROUGHPUT
from .peers.driver import Meter, Round, serve
from .runner import Bench, Player, Worker

__all__ = ("measure", "prepare")

RATE = 1_000
LATENCY_SECONDS = 3.0
ITEMS = tuple(f"{number:06}" for number in range(1, 101))
OTHER = "000101"
"""An item of no row."""
REGISTRATIONS = {"10 of a tenth": 10, "10 of all": 2}
"""REGs after which the feeder begins, where that is not the first."""
QUICK = ClientConfig(request_interval=0)
FACES = ("iteration", "stream", "conflating", "callback", "10 of a tenth", "10 of all")
LOOPS = ("asyncio", "trio")
BLOCKING = ("blocking", "blocking next", "blocking events", "blocking callback")
CASES = (*((face, loop) for loop in LOOPS for face in FACES), *((face, "asyncio") for face in BLOCKING))
TIMEOUT = 60


def measure(bench: Bench) -> None:
    """Make the measurements."""
    for shape in ("0B", "0D"):
        feeder, url = start_feeder(shape)
        command = {"count": bench.effort.messages(COUNT), "rate": 0}
        try:
            for face, loop in CASES:
                if face == "iteration":
                    continue
                told = {**command, "registrations": REGISTRATIONS.get(face, 1)}
                both = [player(name, loop, shape, url) for name in ("iteration", face)]
                case = f"{shape}, {face} on {loop}"
                bench.compare("streams", case, both, THROUGHPUT, told, before=partial(feeder.ask, told))
        finally:
            feeder.close()
    _latency(bench)


def _latency(bench: Bench) -> None:
    feeder, url = start_feeder("0B")
    status = opponents.find("picows")
    setting = {"shape": "0B", "url": url, "authority": None, "stamp": STAMP_FID, "fids": {"0B": fids("0B")}}
    command = {"count": round(RATE * LATENCY_SECONDS * min(1.0, bench.effort.scale)), "rate": RATE, "registrations": 1}
    who = [player(face, "asyncio", "0B", url) for face in ("iteration", "stream", "callback", "blocking")]
    who.append(
        Player(
            "picows + msgspec",
            "benchmarks.peers.picows_msgspec",
            {**setting, "struct": False},
            status.python,
            status.error,
        )
    )
    try:
        bench.compare("streams", f"0B, {RATE:,} a second", who, LATENCY, command, before=partial(feeder.ask, command))
    finally:
        feeder.close()


def player(face: str, loop: str, shape: str, url: str) -> Player:
    """One subject."""
    return Player(face, "benchmarks.streams", {"face": face, "loop": loop, "shape": shape, "url": url})


def start_feeder(shape: str) -> tuple[Worker, str]:
    """Start the feeder; returns it and its URL."""
    feeder = Worker(Player("feeder", "benchmarks.feeder", {"shape": shape, "certificate": None}))
    return feeder, f"ws://127.0.0.1:{feeder.ask({'port': True})['port']}/api/dostk/websocket"


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""

    def run(command: dict[str, Any]) -> dict[str, float]:
        plan = {**setting, **command}
        if setting["face"] in BLOCKING:
            return _receive_blocking(plan)
        if setting["loop"] == "asyncio":
            return asyncio.run(_receive(kiwoom_asyncio.connect, plan))
        receive: Callable[..., Awaitable[dict[str, float]]] = _receive
        found: dict[str, float] = trio.run(receive, kiwoom_trio.connect, plan)
        return found

    return run


def _meter(plan: dict[str, Any]) -> Meter:
    stamp = (lambda row: int(row.fid(STAMP_FID))) if plan["rate"] else None
    return Meter(plan["count"], our_reader(plan["shape"], "usual"), stamp)


def _receive_blocking(plan: dict[str, Any]) -> dict[str, float]:
    meter, face, shape = _meter(plan), plan["face"], plan["shape"]
    with blocking.connect(Endpoint(plan["url"]), token="token", config=QUICK) as client:
        if face == "blocking callback":
            done = threading.Event()
            client.on(shape, lambda row: done.set() if meter.taken(row) else None, *ITEMS)
            done.wait(TIMEOUT)
        elif face == "blocking events":
            client.subscribe(shape, *ITEMS)
            _loop(client, meter)
        elif face == "blocking next":
            with client.stream(shape, *ITEMS) as rows:
                while not meter.taken(rows.next(timeout=TIMEOUT)):
                    pass
        else:
            _loop(client.stream(shape, *ITEMS), meter)
    return meter.result()


def _loop(rows: Any, meter: Meter) -> None:
    """Read as a program without async does."""
    take, left = meter.take, meter.count
    for row in rows:
        if left == meter.count:
            meter.start()
        take(row)
        left -= 1
        if not left:
            break
    meter.stop()


async def _receive(connect: Any, plan: dict[str, Any]) -> dict[str, float]:
    meter = _meter(plan)
    async with connect(Endpoint(plan["url"]), token="token", config=QUICK) as client:
        if plan["face"] == "iteration":
            await _iteration(client, plan["shape"], meter, plan["registrations"])
        else:
            await _RECEIVERS[plan["face"]](client, plan["shape"], meter)
    return meter.result()


async def _iterate(rows: Any, meter: Meter, count: int) -> None:
    """Read so many rows as a program does."""
    take, left = meter.take, count
    async for row in rows:
        if left == count:
            meter.start()
        take(row)
        left -= 1
        if not left:
            break
    meter.stop()


async def _iteration(client: Any, shape: str, meter: Meter, registrations: int) -> None:
    for part in range(registrations):
        await client.subscribe(shape, *ITEMS[part::registrations])
    await _iterate(client, meter, meter.count)


async def _stream(client: Any, shape: str, meter: Meter) -> None:
    async with client.stream(shape, *ITEMS) as rows:
        await _iterate(rows, meter, meter.count)


async def _conflating(client: Any, shape: str, meter: Meter) -> None:
    async with client.stream(shape, *ITEMS, overflow="conflate", buffer_size=65_536) as rows:
        await _iterate(rows, meter, meter.count)


async def _callback(client: Any, shape: str, meter: Meter) -> None:
    done = anyio.Event()
    read, count = meter.take, meter.count
    left = count

    def take(row: Any) -> None:
        nonlocal left
        if left == count:
            meter.start()
        read(row)
        left -= 1
        if not left:
            meter.stop()
            done.set()

    client.on(shape, take, *ITEMS)
    await done.wait()


async def _ten(client: Any, shape: str, meter: Meter, parts: list[tuple[str, ...]]) -> None:
    """Ten streams, a task each. The meter ends with the last of them. The last REG is what the feeder waits for."""
    begun = False

    async def read(rows: Any, count: int) -> None:
        nonlocal begun
        take, left = meter.take, count
        async for row in rows:
            if not begun:
                begun = True
                meter.start()
            take(row)
            left -= 1
            if not left:
                break

    async with AsyncExitStack() as streams, anyio.create_task_group() as tasks:
        for items in parts:  # one after the other: a REG for each
            rows = await streams.enter_async_context(client.stream(shape, *items))
            tasks.start_soon(read, rows, meter.count * len(items) // len(ITEMS))
        if parts[0] == ITEMS:  # streams of the same items share one REG: another says that all are open
            await client.subscribe(shape, OTHER)
    meter.stop()


async def _ten_of_a_tenth(client: Any, shape: str, meter: Meter) -> None:
    await _ten(client, shape, meter, [ITEMS[part::10] for part in range(10)])


async def _ten_of_all(client: Any, shape: str, meter: Meter) -> None:
    await _ten(client, shape, meter, [ITEMS] * 10)


_RECEIVERS: dict[str, Callable[[Any, str, Meter], Awaitable[None]]] = {
    "stream": _stream,
    "conflating": _conflating,
    "callback": _callback,
    "10 of a tenth": _ten_of_a_tenth,
    "10 of all": _ten_of_all,
}

if __name__ == "__main__":
    serve(prepare)

"""Layer calls: one REST call after the other on one connection, a real socket, JSON -> dict; calls a second, and CPU.

Subjects:

    ours (asyncio), ours (trio)   `await api.call(request)`: pacing, deadlines, refusals told apart; the body as a dict
    ours (typed)                  on asyncio, with the request and the reply of the catalogue; one field read
    ours (blocking)               `api.call(request)` of `kiwoom_asyncio.blocking`: each call changes the thread twice
    httpx, aiohttp                a client that is kept; `post(url, json=..., headers=...)`, `response.json()`

The server is a process of its own that answers everything with the same 700 bytes, without limits (rest_server.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_asyncio import blocking
from kiwoom_proto import Endpoint
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest import CATALOGUE

from . import opponents
from .peers.driver import Round, serve
from .rest import HEADERS, Quote
from .runner import Bench, Player, Worker

__all__ = ("CASE", "SUBJECTS", "UNITS", "measure", "players", "prepare")

COUNT = 2_000
CASE = "ka10004, 700 bytes, plain"
UNITS = {"rate": "calls per second", "cpu": "ns of CPU per call"}
PEERS = ("httpx", "aiohttp")
BLOCKING = "ours (blocking)"
CONFIG = RestConfig(calls_per_second=1_000_000)


def measure(bench: Bench) -> None:
    """Make the measurements."""
    server = Worker(Player("server", "benchmarks.rest_server"))
    try:
        port = round(server.ask({"url": True})["port"])
        command = {"count": bench.effort.messages(COUNT)}
        bench.compare("calls", CASE, players(port), UNITS, command)
    finally:
        server.close()


def players(port: int) -> list[Player]:
    """Everybody."""
    ours = (*SUBJECTS, BLOCKING)
    found = [Player(name, "benchmarks.rest_loopback", {"port": port, "subject": name}) for name in ours]
    setting = {
        "url": f"http://127.0.0.1:{port}/api/dostk/mrkcond",
        "headers": dict(HEADERS),
        "json": {"stk_cd": "005930"},
    }
    for name in PEERS:
        status = opponents.find(name)
        found.append(Player(name, f"benchmarks.peers.{name}_calls", setting, status.python, status.error))
    return found


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    endpoint = Endpoint(f"ws://127.0.0.1:{setting['port']}/api/dostk/websocket")
    if setting["subject"] == BLOCKING:
        return lambda command: _blocking(endpoint, command["count"])
    run, make, read = SUBJECTS[setting["subject"]]

    async def work(rest: Callable[..., Any], count: int) -> dict[str, float]:
        async with rest(endpoint, token="t" * 80, config=CONFIG) as api:
            await api.call(make())  # dials
            wall, cpu = time.perf_counter_ns(), time.process_time_ns()
            for _ in range(count):
                assert read(await api.call(make()))
            cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        return {"rate": count * 1e9 / wall, "cpu": cpu / count}

    return lambda command: run(lambda rest: work(rest, command["count"]))


def _blocking(endpoint: Endpoint, count: int) -> dict[str, float]:
    make: Any = blocking.rest
    with make(endpoint, token="t" * 80, config=CONFIG) as api:
        api.call(Quote())  # dials
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(count):
            assert _member(api.call(Quote()))
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return {"rate": count * 1e9 / wall, "cpu": cpu / count}


Work = Callable[[Callable[..., Any]], Awaitable[dict[str, float]]]


def _on_asyncio(work: Work) -> dict[str, float]:
    async def main() -> dict[str, float]:
        return await work(kiwoom_asyncio.rest)

    return asyncio.run(main())


def _on_trio(work: Work) -> dict[str, float]:
    return trio.run(work, kiwoom_trio.rest)


def _member(reply: Any) -> object:
    return reply["buy_fpr_bid"]


SUBJECTS: dict[str, tuple[Callable[[Work], dict[str, float]], Callable[[], Any], Callable[[Any], object]]] = {
    "ours (asyncio)": (_on_asyncio, Quote, _member),
    "ours (trio)": (_on_trio, Quote, _member),
    "ours (typed)": (
        _on_asyncio,
        lambda: CATALOGUE["ka10004"](stk_cd="005930"),
        lambda reply: reply.buy_fpr_bid,
    ),
}


if __name__ == "__main__":
    serve(prepare)

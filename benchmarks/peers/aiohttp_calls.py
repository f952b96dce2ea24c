"""aiohttp 3.14: one session that is kept, `post` with `json=`, and `response.json()`."""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import Any

from .driver import Round, serve

__all__ = ("prepare",)


def prepare(setting: dict[str, Any]) -> Round:
    """Set the subject up."""
    aiohttp = importlib.import_module("aiohttp")
    url, headers, json = setting["url"], setting["headers"], setting["json"]

    async def work(count: int) -> dict[str, float]:
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json=json, headers=headers) as response:  # dials
                await response.json()
            wall, cpu = time.perf_counter_ns(), time.process_time_ns()
            for _ in range(count):
                async with session.post(url, json=json, headers=headers) as response:
                    assert (await response.json())["buy_fpr_bid"]
            cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        return {"rate": count * 1e9 / wall, "cpu": cpu / count}

    return lambda command: asyncio.run(work(command["count"]))


if __name__ == "__main__":
    serve(prepare)

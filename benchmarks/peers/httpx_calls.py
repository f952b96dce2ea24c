"""httpx 0.28.1: one client that is kept, `post` with `json=`, and `response.json()`."""

from __future__ import annotations

import asyncio
import importlib
import time
from typing import Any

from .driver import Round, serve

__all__ = ("prepare",)


def prepare(setting: dict[str, Any]) -> Round:
    """Set the subject up."""
    httpx = importlib.import_module("httpx")
    url, headers, json = setting["url"], setting["headers"], setting["json"]

    async def work(count: int) -> dict[str, float]:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(url, json=json, headers=headers)  # dials
            wall, cpu = time.perf_counter_ns(), time.process_time_ns()
            for _ in range(count):
                response = await client.post(url, json=json, headers=headers)
                assert response.json()["buy_fpr_bid"]
            cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        return {"rate": count * 1e9 / wall, "cpu": cpu / count}

    return lambda command: asyncio.run(work(command["count"]))


if __name__ == "__main__":
    serve(prepare)

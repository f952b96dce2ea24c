"""A block that is cut off, by cancellation or by an interrupt, ends whatever others wait for in its client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.adapters.kit import ITEM, TOKEN, Loop, until
from tests.adapters.recordings import replay_on, write_recording
from tests.adapters.test_replay import trades

from kiwoom_proto import ConnectionLost, Trade
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState
from kiwoom_proto.simulator import Exchange

SILENT = "900050"
"""An item that is acknowledged and has no rows."""
STANDING = (SubscriptionState.CONFIRMED, SubscriptionState.RECEIVING)


async def iterate_stream(client: Any) -> None:
    async with client.stream(Trade, SILENT) as trades:
        async for _ in trades:
            pass


async def iterate_client(client: Any) -> None:
    async for _ in client:
        pass


async def iterate_condition(client: Any) -> None:
    condition = (await client.list_conditions())[0]
    async with client.condition(condition.name) as hits:
        async for _ in hits:
            pass


async def wait_for_answer(client: Any) -> None:
    with pytest.raises(ConnectionLost, match="its block was left"):
        await client.subscribe("0E", ITEM)


WAITS = {
    "stream": iterate_stream,
    "client": iterate_client,
    "condition": iterate_condition,
    "call": wait_for_answer,
}


class OwnError(BaseException):
    """An error that is no `Exception`, as an interrupt is."""


@pytest.mark.parametrize("how", ["cancelled", "interrupted", "cancelled while closing"])
@pytest.mark.parametrize("several", [False, True], ids=["one key", "two keys"])
async def test_other_tasks_end(loop: Loop, how: str, several: bool) -> None:
    exchange = Exchange(seed=1)
    clients: list[Any] = []
    ended: list[str] = []
    leave = anyio.Event()
    scope = anyio.CancelScope()
    token = [TOKEN, f"{TOKEN}2"] if several else TOKEN

    async def own() -> None:
        with scope:
            try:
                async with loop.connect(server.endpoint, token=token) as client:
                    clients.append(client)
                    await leave.wait()
                    if how == "interrupted":
                        raise OwnError
                    if how == "cancelled while closing":
                        exchange.stall()
            except OwnError:
                pass

    async def wait(name: str) -> None:
        await WAITS[name](clients[0])
        ended.append(name)

    async with loop.serve(exchange) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(own)
        await until(lambda: clients)
        client = clients[0]
        for name in ("stream", "condition", "client"):
            tasks.start_soon(wait, name)
        await until(
            lambda: len(client.subscriptions) == 2 and all(each.state in STANDING for each in client.subscriptions)
        )
        exchange.faults.lose_acks = 1
        tasks.start_soon(wait, "call")
        await until(lambda: exchange.faults.lose_acks == 0)

        leave.set()
        if how == "cancelled while closing":
            await until(lambda: client.state is SessionState.CLOSING)
        if how != "interrupted":
            scope.cancel()

        await until(lambda: len(ended) == 4)
        assert client.state is SessionState.CLOSED
        with pytest.raises(ConnectionLost, match="its block was left"):
            await client.subscribe(Trade, ITEM)
        exchange.resume()


async def test_other_tasks_end_with_a_recording(loop: Loop, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([1, 1000]))
    ended: list[str] = []
    clients: list[Any] = []
    scope = anyio.CancelScope()

    async def own() -> None:
        with scope:
            async with replay_on(loop.name, path) as client:
                clients.append(client)
                await anyio.sleep_forever()

    async def wait(name: str) -> None:
        await WAITS[name](clients[0])
        ended.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(own)
        await until(lambda: clients)
        tasks.start_soon(wait, "stream")
        tasks.start_soon(wait, "client")
        await until(lambda: clients[0].subscriptions)
        scope.cancel()
        await until(lambda: len(ended) == 2)
        assert clients[0].state is SessionState.CLOSED

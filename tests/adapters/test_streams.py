"""Streams, callbacks, newest rows and conditions over a socket, on every loop."""

from __future__ import annotations

import asyncio
import datetime
import gc
import logging
from typing import Any

import anyio
import attrs
import pytest
from tests.adapters.kit import ITEM, QUICK, Loop, until

from kiwoom_proto import ConnectionLost, Gap, LocalProtocolError, OrderBook, RequestRefused, Stale, Trade
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.events import StreamGap
from kiwoom_proto.simulator import Exchange

DAYTIME = datetime.time(10)
OTHER = "000660"
LASTING = attrs.evolve(QUICK, reconnect=True, backoff_min=0.01, backoff_max=0.01)


def exchange(**options: Any) -> Exchange:
    return Exchange(seed=1, start=DAYTIME, rate=100, **options)


async def test_streams_and_callbacks_each_get_their_rows(loop: Loop) -> None:
    books: list[OrderBook] = []
    async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
        handle = client.on(OrderBook, books.append, ITEM)
        async with client.stream(Trade, ITEM) as one, client.stream(Trade, ITEM, f"{OTHER}_AL") as two:
            client.latest(Trade, ITEM)
            twos = [await anext(two) for _ in range(40)]
            shared = [row for row in twos if row.item == ITEM]
            ones = [await anext(one)]
            while ones[-1].sequence < shared[-1].sequence:
                ones.append(await anext(one))
            newest = client.latest(Trade, ITEM)
            assert newest is not None
            assert newest.sequence >= ones[-1].sequence
        assert {row.item for row in ones} == {ITEM}
        assert {row.item for row in twos} == {ITEM, f"{OTHER}_AL"}
        assert [row for row in ones if row.sequence >= shared[0].sequence] == shared  # `two` was entered later
        assert books
        handle.close()
        await until(lambda: client.subscriptions == ())
        assert client.stats().received == 0


async def test_a_stream_for_each_of_ten_tasks(loop: Loop) -> None:
    async def read(item: str) -> None:
        async with client.stream(Trade, item) as trades:
            for _ in range(10):
                assert (await anext(trades)).item == item
        done.append(item)

    done: list[str] = []
    items = [f"{number * 10:06}" for number in range(1, 11)]
    async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
        async with anyio.create_task_group() as tasks:
            for item in items:
                tasks.start_soon(read, item)
        assert sorted(done) == items


async def test_leaving_the_client_ends_a_stream_that_another_task_iterates(loop: Loop) -> None:
    async def read() -> None:
        async for row in trades:
            seen.append(row)  # noqa: PERF401

    seen: list[Trade] = []
    async with loop.serve(exchange()) as server, anyio.create_task_group() as tasks:  # noqa: SIM117
        async with loop.connect(server.endpoint) as client:
            trades = await client.stream(Trade, ITEM).__aenter__()
            tasks.start_soon(read)
            await until(lambda: seen)


async def test_leaving_a_stream_ends_the_iteration_of_another_task(loop: Loop) -> None:
    async def read() -> None:
        async for _ in trades:
            raise AssertionError("no row comes")

    async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
        async with anyio.create_task_group() as tasks, client.stream(Trade, "999999") as trades:
            tasks.start_soon(read)
            await anyio.sleep(0.01)
        with pytest.raises(LocalProtocolError, match="was left with its block"):
            await read()


async def test_entering_that_is_cancelled_leaves_nothing(loop: Loop) -> None:
    served = exchange()
    served.faults.ack_delay = 0.2
    async with loop.serve(served) as server, loop.connect(server.endpoint) as client:
        with anyio.move_on_after(0.05) as scope:
            async with client.stream(Trade, ITEM):
                raise AssertionError("not acknowledged")
        assert scope.cancelled_caught
        await until(lambda: client.subscriptions == ())


async def test_the_loss_is_raised_by_every_stream(loop: Loop) -> None:
    async def read(number: int) -> None:
        with pytest.raises(ConnectionLost):
            async with client.stream(Trade, ITEM) as trades:
                async for _ in trades:
                    entered.add(number)
        lost.add(number)

    entered: set[int] = set()
    lost: set[int] = set()
    async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(read, number)
            await until(lambda: len(entered) == 3)
            server.exchange.drop()
        assert lost == entered


async def test_a_gap_is_iterated_where_it_is(loop: Loop) -> None:
    async with (
        loop.serve(exchange()) as server,
        loop.connect(server.endpoint, config=LASTING) as client,
        client.stream(Trade, ITEM, gaps="items") as trades,
    ):
        first = await anext(trades)
        server.exchange.drop()
        event = first
        while not isinstance(event, Gap):
            event = await anext(trades)
        after = await anext(trades)
        assert isinstance(after, Trade)
        assert first.epoch < event.epoch == after.epoch


async def test_silence_is_iterated_and_called_back(loop: Loop) -> None:
    heard: list[StreamGap] = []
    quiet = Exchange(rate=1e-6)
    config = attrs.evolve(QUICK, hours=None)
    async with (
        loop.serve(quiet) as server,
        loop.connect(server.endpoint, config=config) as client,
        client.stream(Trade, ITEM, fresh_within=0.01, gaps="items") as trades,
    ):
        handle = client.on(OrderBook, repr, ITEM, fresh_within=0.01, gaps=heard.append)
        assert await anext(trades) == Stale("0B", ITEM, 0.01)
        await until(lambda: heard == [Stale("0D", ITEM, 0.01)])
        assert (trades.silences, handle.silences, trades.gaps) == (1, 1, 0)
        assert [each.is_stale for each in client.subscriptions] == [True, True]


async def test_too_slow_a_stream_ends_alone(loop: Loop) -> None:
    async with (
        loop.serve(exchange()) as server,
        loop.connect(server.endpoint) as client,
        client.stream(Trade, ITEM, buffer_size=2) as slow,
        client.stream(Trade, ITEM) as other,
    ):
        for _ in range(100):
            await anext(other)
        with pytest.raises(BufferOverflow, match="stream of 0B 005930"):
            async for _ in slow:
                pass
        await anext(other)


async def test_a_refused_stream_is_not_entered(loop: Loop) -> None:
    async with (
        loop.serve(exchange(item_limit=1)) as server,
        loop.connect(server.endpoint) as client,
        client.stream(Trade, ITEM) as trades,
    ):
        with pytest.raises(RequestRefused):
            async with client.stream(Trade, OTHER):
                raise AssertionError("it was refused")
        await anext(trades)


async def test_a_condition_by_name(loop: Loop) -> None:
    async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
        async with client.condition("골든크로스") as hits:
            known = set(hits.symbols)
            assert known
            async for change in hits:
                known ^= {change.symbol}
                assert (change.symbol in known) == change.entered
                assert set(hits.symbols) == known
                if len(known) < 40:
                    break
        await until(lambda: client.subscriptions == ())


async def test_a_callback_that_raises_is_reported_and_nothing_else_suffers(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[dict[str, Any]] = []
    if loop.name != "trio":
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def fail(row: Trade) -> None:
        raise ValueError("mine")

    with caplog.at_level(logging.ERROR):
        async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
            handle = client.on(Trade, fail, ITEM)
            async with client.stream(Trade, ITEM) as trades:
                for _ in range(10):
                    await anext(trades)
            handle.close()
    assert handle.errors > 1
    if loop.name == "trio":
        (record,) = caplog.records
        assert record.name == "kiwoom_trio"
        assert record.exc_info is not None
        assert record.exc_info[1] is handle.error
    else:
        assert [context["exception"] for context in told] == [handle.error]


async def test_a_stream_that_is_forgotten_makes_no_noise(loop: Loop) -> None:
    """It warns of nothing: it is not open."""
    async with loop.serve(exchange()) as server, loop.connect(server.endpoint) as client:
        client.stream(Trade, ITEM)
        gc.collect()
        assert client.subscriptions == ()

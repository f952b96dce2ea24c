"""Clients that recover by themselves: `connect(..., recover=True)` on every loop, in a pool, and without async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import anyio
import pytest
from tests.adapters.kit import ITEM, LIMIT, TOKEN, Loop, until
from tests.adapters.test_rest import OPEN_AT, QUOTE, make_exchange
from tests.exchanges import served

import kiwoom_asyncio
from kiwoom_asyncio import blocking
from kiwoom_proto import ClientConfig, Endpoint, Gap, LocalProtocolError, OrderBook, Trade
from kiwoom_proto.config import RecoveryPolicy, RestConfig
from kiwoom_proto.events import Event, Recovered, Snapshot
from kiwoom_proto.simulator import Exchange

CONFIG = ClientConfig(request_interval=0, backoff_min=0.01, backoff_max=0.05)


async def test_after_a_gap_there_is_a_snapshot_and_what_was_recovered(loop: Loop) -> None:
    exchange = make_exchange(rate=0.2)
    events: list[Event] = []
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, config=CONFIG, recover=True) as client,
        anyio.create_task_group() as tasks,
    ):

        async def follow() -> None:
            async for event in client:
                events.append(event)  # noqa: PERF401  # a comprehension would show none before the end

        tasks.start_soon(follow)
        await client.subscribe(OrderBook, ITEM)
        await until(lambda: any(isinstance(event, Recovered) for event in events))
        events.clear()
        exchange.drop()
        await until(lambda: any(isinstance(event, Recovered) for event in events))
        await client.aclose()
    kinds = [type(event) for event in events if isinstance(event, Gap | Snapshot | Recovered)]
    assert kinds in ([Gap, Snapshot, Recovered], [Gap, Recovered])  # a row may have come first
    recovered = next(event for event in events if isinstance(event, Recovered))
    assert (recovered.complete, recovered.partly, recovered.not_at_all) == (1, 0, 0)


async def test_a_feed_that_recovers_and_a_rest_client_keep_the_limit_together(loop: Loop) -> None:
    exchange = Exchange(seed=1, start=OPEN_AT, rate=0.1, rest_limit=5)
    config = RestConfig(rate_limit_tries=1)
    async with (
        loop.serve(exchange) as server,
        loop.rest(server.endpoint, config=config) as api,
        loop.connect(server.endpoint, config=CONFIG, recover=True) as client,
    ):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(api.call, QUOTE)
        await client.subscribe(OrderBook, ITEM)
        async for event in client:
            if isinstance(event, Recovered):
                assert event.complete == 1
                break
    assert exchange.rest.limits.refused == 0


async def test_rest_clients_of_one_key_keep_the_limit_together(loop: Loop) -> None:
    exchange = Exchange(seed=1, start=OPEN_AT, rest_limit=1)
    config = RestConfig(calls_per_second=1, rate_limit_tries=1)
    async with (
        loop.serve(exchange) as server,
        loop.rest(server.endpoint, config=config) as one,
        loop.rest(server.endpoint, config=config) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(one.call, QUOTE)
        tasks.start_soon(other.call, QUOTE)
    assert exchange.rest.limits.refused == 0


async def test_a_stream_of_a_book_has_its_state_at_once(loop: Loop) -> None:
    """Also where no row comes."""
    exchange = make_exchange(rate=0.0001)
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, config=CONFIG, recover=True) as client,
        client.stream(OrderBook, ITEM) as books,
    ):
        book = await anext(books)
        assert book.item == ITEM
        assert book.ask_price_1 and book.bid_price_1 and book.ask_price_1 > book.bid_price_1
        exchange.drop()
        assert (await anext(books)).item == ITEM


async def test_a_pool_recovers_too(loop: Loop) -> None:
    exchange = make_exchange(rate=0.0001)
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token=["one-token", "another-token"], config=CONFIG, recover=True) as client,
    ):
        await client.subscribe(OrderBook, ITEM)
        async for event in client:
            if isinstance(event, Snapshot):
                break


Face: TypeAlias = Callable[[Endpoint, str | Sequence[str]], AbstractAsyncContextManager[kiwoom_asyncio.Client]]


def connected(endpoint: Endpoint, token: str | Sequence[str]) -> AbstractAsyncContextManager[kiwoom_asyncio.Client]:
    return kiwoom_asyncio.connect(endpoint, token=token, config=CONFIG, recover=True)


@asynccontextmanager
async def opened(endpoint: Endpoint, token: str | Sequence[str]) -> AsyncIterator[kiwoom_asyncio.Client]:
    client = await kiwoom_asyncio.open(endpoint, token=token, config=CONFIG, recover=True)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.mark.parametrize("face", [connected, opened])
@pytest.mark.parametrize("token", [TOKEN, ["one-token", "another-token"]], ids=["one", "pool"])
def test_under_asyncio_run(face: Face, token: str | Sequence[str]) -> None:
    """Calls are needed as bytes arrive: in a callback of the loop, outside every task, where anyio can start none."""

    async def follow(url: str, drop: Callable[[], object]) -> None:
        async with face(Endpoint(url), token) as client, client.stream(OrderBook, ITEM) as books:
            assert (await anext(books)).item == ITEM  # of a `Snapshot`: no row comes
            await asyncio.to_thread(drop)
            assert (await anext(books)).item == ITEM
            assert books.gaps >= 1  # one for each member of a pool

    exchange = make_exchange(rate=0.0001)
    with served(exchange) as (url, portal):
        asyncio.run(asyncio.wait_for(follow(url, lambda: portal.call(exchange.drop)), LIMIT))


async def test_without_recover_nothing_is_asked_for(loop: Loop) -> None:
    exchange = make_exchange(rate=40)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
        await client.subscribe(Trade, ITEM)
        exchange.drop()
        async for event in client:
            if isinstance(event, Gap):
                break
        assert len(exchange.links) == 1


def test_without_async() -> None:
    with (
        served(make_exchange(rate=0.0001)) as (url, _),
        blocking.connect(Endpoint(url), token="any", config=CONFIG, recover=RecoveryPolicy()) as client,
        client.stream(OrderBook, ITEM) as books,
    ):
        assert books.next(timeout=30).item == ITEM


@pytest.mark.parametrize("recover", [1, "yes", None])
async def test_a_policy_that_is_none(loop: Loop, recover: Any) -> None:
    with pytest.raises(LocalProtocolError, match="recover"):
        async with loop.connect(Endpoint("ws://127.0.0.1:1/"), recover=recover):
            pass


async def test_a_book_heals_after_the_exchange_was_restarted(loop: Loop) -> None:
    endpoints: list[Endpoint] = []

    async def serve(port: int, over: anyio.Event) -> None:
        async with loop.serve(make_exchange(rate=0.0001), port=port) as server:
            endpoints.append(server.endpoint)
            await over.wait()

    async with anyio.create_task_group() as tasks:
        over, finally_over = anyio.Event(), anyio.Event()
        tasks.start_soon(serve, 0, over)
        await until(lambda: endpoints)
        async with (
            loop.connect(endpoints[0], config=CONFIG, recover=True) as client,
            client.stream(OrderBook, ITEM) as books,
        ):
            assert (await anext(books)).item == ITEM
            over.set()
            await until(lambda: client.disconnected)
            tasks.start_soon(serve, endpoints[0].port, finally_over)
            assert (await anext(books)).item == ITEM
            assert books.gaps == 1
        finally_over.set()


async def test_trades_never_go_back_after_a_gap_however_slow_rest_is(loop: Loop) -> None:
    exchange = make_exchange(rate=50)
    exchange.faults.rest_delay = 0.2
    config = ClientConfig(request_interval=0, backoff_min=0.5, backoff_max=0.5)
    called: list[int] = []
    newest: list[int] = []

    def call(trade: Trade) -> None:
        called.append(trade.volume or 0)
        latest = client.latest(Trade, ITEM)
        newest.append(0 if latest is None else latest.volume or 0)

    streamed: list[int] = []
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, config=config, recover=True) as client,
        client.stream(Trade, ITEM) as trades,
    ):
        client.on(Trade, call, ITEM)
        recovered = False
        async for trade in trades:
            streamed.append(trade.volume or 0)
            if len(streamed) % 20 == 5 and not recovered:
                exchange.drop()  # again, if the client was back before the next trade
            recovered = recovered or bool(trade.extra)  # of a `Snapshot`
            if recovered and not trade.extra:
                break
    assert streamed == sorted(set(streamed))
    assert called == sorted(set(called)) and newest == sorted(newest)

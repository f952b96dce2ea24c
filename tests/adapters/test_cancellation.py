"""Cancelling at every stage leaves no task, no socket and no warning; `Loop.run` looks after each scenario."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel
import attrs
import pytest
import trio
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, PATH, QUICK, Client, Loop, collect, raw_server, until

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import ClientConfig, Endpoint, Event, Trade
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.hours import MarketHours
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange

MOMENT = 0.1
"""Seconds after which a stage that never ends is cancelled. Nothing depends on it but that the stage is reached."""


@contextmanager
def port_that_does_not_accept() -> Iterator[Endpoint]:
    """A port whose queue is full: a connection to it is neither made nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield Endpoint(f"ws://127.0.0.1:{listener.getsockname()[1]}{PATH}")
        finally:
            for one in waiting:
                one.close()


@asynccontextmanager
async def silent_server(scheme: str) -> AsyncIterator[tuple[Endpoint, list[bytes]]]:
    """A server that takes whatever it is sent and says nothing; also gives what was sent."""
    taken: list[bytes] = []

    async def take(stream: anyio.abc.ByteStream) -> None:
        while True:
            try:
                taken.append(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    async with raw_server(take, scheme) as endpoint:
        yield endpoint, taken


async def test_cancelling_while_dialling(loop: Loop) -> None:
    with port_that_does_not_accept() as endpoint:
        with anyio.move_on_after(MOMENT) as scope:
            async with loop.connect(endpoint):
                raise AssertionError("the block must not be entered")
        assert scope.cancelled_caught


async def test_cancelling_while_the_token_is_got(loop: Loop) -> None:
    async def token() -> str:
        await anyio.sleep_forever()
        return "never"

    async with loop.serve(Exchange()) as server:
        with anyio.move_on_after(MOMENT) as scope:
            async with loop.connect(server.endpoint, token=token):
                raise AssertionError("the block must not be entered")
        assert scope.cancelled_caught


@pytest.mark.parametrize("scheme, first", [("ws", b"GET "), ("wss", b"\x16\x03")], ids=["handshake", "TLS handshake"])
async def test_cancelling_in_the_handshake(loop: Loop, tls: Net, scheme: str, first: bytes) -> None:
    async with silent_server(scheme) as (endpoint, taken), anyio.create_task_group() as tasks:

        async def connect() -> None:
            async with loop.connect(endpoint, ssl_context=tls.client):
                raise AssertionError("the block must not be entered")

        tasks.start_soon(connect)
        await until(lambda: taken)
        assert taken[0].startswith(first)
        tasks.cancel_scope.cancel()


async def test_cancelling_while_waiting_for_the_login(loop: Loop, net: Net) -> None:
    exchange = Exchange()
    async with loop.serve(exchange, ssl_context=net.server) as server:
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                async with loop.connect(server.endpoint, ssl_context=net.client):
                    raise AssertionError("the block must not be entered")

            tasks.start_soon(connect)
            while not (exchange.links and exchange.links[0].state is ConnectionState.LOGGING_IN):
                await anyio.lowlevel.checkpoint()  # every turn of the loop: a moment later it may be logged in
            exchange.stall()
            tasks.cancel_scope.cancel()
        await until(lambda: not exchange.links)


async def test_cancelling_while_waiting_for_an_acknowledgement(loop: Loop, net: Net) -> None:
    exchange = Exchange()
    exchange.faults.lose_acks = 1
    async with loop.serve(exchange, ssl_context=net.server) as server:
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                async with loop.connect(server.endpoint, ssl_context=net.client) as client:
                    await client.subscribe("0E", ITEM)
                    raise AssertionError("it must not be acknowledged")

            tasks.start_soon(subscribe)
            await until(lambda: exchange.faults.lose_acks == 0)
            tasks.cancel_scope.cancel()
        await until(lambda: not exchange.links)


async def test_cancelling_while_iterating(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    async with loop.serve(exchange, ssl_context=net.server) as server:
        async with anyio.create_task_group() as tasks:
            seen: list[Event] = []

            async def iterate() -> None:
                async with loop.connect(server.endpoint, ssl_context=net.client) as client:
                    await client.subscribe("0E", ITEM)
                    await collect(client, seen)

            tasks.start_soon(iterate)
            await until(lambda: seen)
            tasks.cancel_scope.cancel()
        await until(lambda: not exchange.links)


async def test_cancelling_the_iteration_alone_loses_no_row(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        await client.subscribe("0E", ITEM)
        seen: list[Event] = []
        while len(seen) < 100:
            with anyio.move_on_after(0.03):
                await collect(client, seen)
        await client.unsubscribe("0E", ITEM)
        await client.aclose()
        await collect(client, seen)
        assert len(seen) == exchange.rows_sent + 1, "every row, and Closed"


async def test_cancelling_while_closing(loop: Loop, net: Net) -> None:
    exchange = Exchange()
    async with loop.serve(exchange, ssl_context=net.server) as server:
        clients: list[Client] = []
        async with anyio.create_task_group() as tasks:

            async def close() -> None:
                async with loop.connect(server.endpoint, ssl_context=net.client) as client:
                    clients.append(client)
                    exchange.stall()
                    await client.aclose()
                    raise AssertionError("the server does not answer")

            tasks.start_soon(close)
            await until(lambda: clients and clients[0].state is SessionState.CLOSING)
            tasks.cancel_scope.cancel()
        exchange.resume()
        await until(lambda: not exchange.links)


async def test_cancelling_while_the_block_is_left(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server:
        with anyio.move_on_after(MOMENT) as scope:
            async with loop.connect(server.endpoint, config=ClientConfig(reconnect=False, close_timeout=9)):
                exchange.stall()
        assert scope.cancelled_caught


async def test_cancelling_a_server_with_clients(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    connected = anyio.Event()

    async def serve() -> None:
        async with (
            loop.serve(exchange, ssl_context=net.server) as server,
            loop.connect(server.endpoint, ssl_context=net.client) as client,
        ):
            await client.subscribe("0E", ITEM)
            connected.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await connected.wait()
        tasks.cancel_scope.cancel()


async def test_a_timeout_of_the_programs_own_is_raised_as_one(loop: Loop) -> None:
    async with loop.serve(Exchange()) as server, loop.connect(server.endpoint) as client:
        with pytest.raises(TimeoutError), anyio.fail_after(0.05):
            await anext(aiter(client))
        await client.subscribe("0B", ITEM)


# The same, in each loop's own words, which a program that does not use anyio uses.


async def live(module_client: kiwoom_asyncio.Client) -> None:
    await module_client.subscribe("0E", ITEM)
    async for _ in module_client:
        pass


def test_a_task_cancelled_with_asyncio_leaves_nothing() -> None:
    async def scenario() -> None:
        exchange = Exchange(rate=500)

        async def follow() -> None:
            async with kiwoom_asyncio.connect(server.endpoint, token="key") as client:
                await live(client)

        async with kiwoom_asyncio.serve(exchange) as server:
            task = asyncio.create_task(follow())
            await until(lambda: exchange.rows_sent)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: not exchange.links)

    Loop("asyncio").run(scenario)


def test_asyncio_timeout_is_raised_as_one() -> None:
    async def scenario() -> None:
        async with kiwoom_asyncio.serve(Exchange(rate=500)) as server:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), kiwoom_asyncio.connect(server.endpoint, token="key") as client:
                    await live(client)

    Loop("asyncio").run(scenario)


def test_a_sibling_that_fails_in_an_asyncio_task_group_ends_the_client() -> None:
    async def scenario() -> None:
        exchange = Exchange(rate=500)

        async def follow() -> None:
            async with kiwoom_asyncio.connect(server.endpoint, token="key") as client:
                await live(client)

        async def fail() -> None:
            await until(lambda: exchange.rows_sent)
            raise LookupError

        async with kiwoom_asyncio.serve(exchange) as server:
            with pytest.raises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(follow())
                    tasks.create_task(fail())
            assert [type(error) for error in caught.value.exceptions] == [LookupError]
            await until(lambda: not exchange.links)

    Loop("asyncio").run(scenario)


def test_a_cancel_scope_of_trio_leaves_nothing() -> None:
    async def scenario() -> None:
        exchange = Exchange(rate=500)
        async with kiwoom_trio.serve(exchange) as server:
            with trio.CancelScope() as scope:
                async with kiwoom_trio.connect(server.endpoint, token="key") as client:
                    await client.subscribe("0E", ITEM)
                    async for _ in client:
                        scope.cancel()
            assert scope.cancelled_caught
            await until(lambda: not exchange.links)

    Loop("trio").run(scenario)


def test_a_sibling_that_fails_in_a_trio_nursery_ends_the_client() -> None:
    async def scenario() -> None:
        exchange = Exchange(rate=500)

        async def follow(endpoint: Endpoint) -> None:
            async with kiwoom_trio.connect(endpoint, token="key") as client:
                await client.subscribe("0E", ITEM)
                async for _ in client:
                    pass

        async def fail() -> None:
            await until(lambda: exchange.rows_sent)
            raise LookupError

        async with kiwoom_trio.serve(exchange) as server:
            with pytest.raises(ExceptionGroup) as caught:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(follow, server.endpoint)
                    nursery.start_soon(fail)
            assert [type(error) for error in caught.value.exceptions] == [LookupError]
            await until(lambda: not exchange.links)

    Loop("trio").run(scenario)


# A failure of the client's own tasks beside an error of the block.


def chain(error: BaseException | None) -> list[BaseException]:
    """An error, and what its traceback shows before it."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.parametrize("when", ["after", "from"])
async def test_the_error_of_a_block_is_raised_though_the_client_has_failed_and_both_are_shown(
    loop: Loop, when: str
) -> None:
    """A calendar that raises stands for a bug: it is asked by the client's own task."""
    bug = RuntimeError("a bug")

    def calendar(date: datetime.date) -> bool:
        asked.append(date)
        raise bug

    asked: list[datetime.date] = []
    config = attrs.evolve(QUICK, hours=MarketHours(calendar=calendar))
    with pytest.raises(ValueError, match="mine") as caught:
        async with (
            loop.serve(Exchange(rate=1e-6)) as server,
            loop.connect(server.endpoint, config=config) as client,
        ):
            await client.subscribe(Trade, ITEM, fresh_within=0.01)
            try:
                if when == "after":
                    await until(lambda: asked)
                else:
                    await anext(client)
            finally:
                raise ValueError("mine")
    assert bug in chain(caught.value)


async def test_a_failure_of_the_client_is_raised_if_the_block_raises_nothing(loop: Loop) -> None:
    bug = RuntimeError("a bug")
    asked: list[datetime.date] = []

    def calendar(date: datetime.date) -> bool:
        asked.append(date)
        raise bug

    config = attrs.evolve(QUICK, hours=MarketHours(calendar=calendar))
    with pytest.raises(RuntimeError) as caught:
        async with (
            loop.serve(Exchange(rate=1e-6)) as server,
            loop.connect(server.endpoint, config=config) as client,
        ):
            await client.subscribe(Trade, ITEM, fresh_within=0.01)
            await until(lambda: asked)
    assert caught.value is bug


async def test_a_block_that_raises_while_the_client_fails_in_closing(loop: Loop) -> None:
    """The block knows nothing of the failure yet."""
    bug = RuntimeError("a bug")

    def calendar(date: datetime.date) -> bool:
        raise bug

    config = attrs.evolve(QUICK, hours=MarketHours(calendar=calendar), close_timeout=30)
    exchange = Exchange(rate=1e-6)
    with pytest.raises(ValueError, match="mine") as caught:
        async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
            await client.subscribe(Trade, ITEM, fresh_within=0.01)
            exchange.stall()  # so that closing takes until the failure
            raise ValueError("mine")
    assert bug in chain(caught.value)

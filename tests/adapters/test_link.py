"""The asyncio adapter's link: what it hands over, when it stops, and what it calls an error."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.adapters.kit import QUICK, TOKEN, Loop, until

import kiwoom_asyncio.dial
import kiwoom_trio.dial
from kiwoom_asyncio.dial import Link, describe, dial
from kiwoom_proto import AfterHoursQuote, Closed, ConnectionLost, Event, KiwoomError, LocalProtocolError
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange

posix = pytest.mark.skipif(os.name != "posix", reason="the system's words are asked for where there are errno's")


@posix
@pytest.mark.parametrize("describe", [kiwoom_asyncio.dial.describe, kiwoom_trio.dial.describe])
def test_several_addresses_that_all_failed_are_told_each_reason_once(describe: Callable[[BaseException], str]) -> None:
    numbers = errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNREFUSED
    several = OSError("no address answers")
    several.__cause__ = ExceptionGroup("", [OSError(number, "whatever the loop says") for number in numbers])

    assert describe(several) == f"{os.strerror(errno.ENETUNREACH)}; {os.strerror(errno.ECONNREFUSED)}"


@posix
@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ETIMEDOUT])
def test_an_error_is_told_in_the_system_s_words(number: int) -> None:
    assert describe(OSError(number, "whatever the loop says")) == os.strerror(number)
    outer = RuntimeError("outer")
    outer.__cause__ = OSError(number, "inner")
    assert describe(outer) == os.strerror(number)


def test_an_error_without_words_is_told_by_its_name() -> None:
    assert describe(EOFError()) == "EOFError"
    assert describe(UnicodeError("label too long")) == "label too long"
    assert "Name or service" in describe(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))


class Heard:
    """A receiver that keeps what it is given."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.ends: list[str | None] = []

    def receive_data(self, data: bytes) -> None:
        self.data.append(data)

    def receive_eof(self, error: str | None = None) -> None:
        self.ends.append(error)


def run(scenario: Any) -> list[dict[str, Any]]:
    """Run it as a program does, on plain asyncio; return what the loop complained of."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await asyncio.wait_for(scenario(), 10)
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(watched())
    return complaints


def test_a_link_that_was_aborted_hands_over_nothing_more() -> None:
    async def scenario() -> None:
        heard = Heard()

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            with contextlib.suppress(OSError):
                await reader.read(1)
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            link = await dial("127.0.0.1", port, heard)
            await until(lambda: heard.data)
            link.abort()
            link.abort()
            for _ in range(10):
                await asyncio.sleep(0)
            assert (heard.data, heard.ends) == ([b"hello"], []), "not even the end"
            with pytest.raises(OSError):
                await link.send(b"x")

    run(scenario)


def test_a_link_that_was_never_made_can_be_aborted() -> None:
    heard = Heard()
    link = Link()
    link.start(heard)

    link.abort()
    link.connection_lost(None)

    assert (heard.data, heard.ends) == ([], [])


@pytest.mark.parametrize("how", ["left", "raised", "cancelled"])
def test_nothing_changes_in_a_client_after_its_block(how: str) -> None:
    """The loop tells of the end of the connection later; by then it is nobody's."""
    exchange = Exchange(rate=500)
    kept: list[kiwoom_asyncio.Client] = []

    async def live(endpoint: Any) -> None:
        async with kiwoom_asyncio.connect(endpoint, token=TOKEN, config=QUICK) as client:
            await client.subscribe("0E", "005930")
            await anext(client)
            kept.append(client)
            if how == "raised":
                raise RuntimeError("mine")
            if how == "cancelled":
                await asyncio.sleep(60)

    async def scenario() -> None:
        async with kiwoom_asyncio.serve(exchange) as server:
            task = asyncio.create_task(live(server.endpoint))
            await until(lambda: kept)
            if how == "cancelled":
                task.cancel()
            await asyncio.wait([task])
            [client] = kept
            state, stats, disconnected = client.state, client.stats(), client.disconnected
            for _ in range(20):
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            assert (client.state, client.disconnected) == (state, disconnected)
            assert client.stats().received == stats.received
            if how != "cancelled":
                assert state is SessionState.CLOSED
            assert task.cancelled() == (how == "cancelled")
            if how != "cancelled":
                assert str(task.exception() or "") == ("mine" if how == "raised" else "")

    assert run(scenario) == []


def test_faults_of_a_served_exchange_may_be_used_in_a_callback_of_the_loop() -> None:
    exchange = Exchange(rate=500)

    async def scenario() -> None:
        async with (
            kiwoom_asyncio.serve(exchange) as server,
            kiwoom_asyncio.connect(server.endpoint, token=TOKEN, config=QUICK) as client,
        ):
            asyncio.get_running_loop().call_soon(exchange.drop)
            with pytest.raises(ConnectionLost):
                async for _ in client:
                    pass

    assert run(scenario) == []


def test_every_call_after_a_failure_raises_it_with_the_traceback_of_the_failure_alone() -> None:
    lengths = []

    async def scenario() -> None:
        async with kiwoom_asyncio.serve(Exchange()) as server:
            with pytest.raises(LocalProtocolError, match="cancelled from outside"):
                async with kiwoom_asyncio.connect(server.endpoint, token=TOKEN, config=QUICK) as client:
                    task = next(each for each in asyncio.all_tasks() if "BackgroundTask" in repr(each))
                    task.cancel()
                    await asyncio.wait([task])
                    for _ in range(4):
                        with pytest.raises(LocalProtocolError, match="cancelled from outside") as caught:
                            await client.subscribe("0B", "005930")
                        lengths.append(len(caught.traceback))

    assert run(scenario) == []
    assert len(lengths) == 4 and len(set(lengths)) == 1


@pytest.mark.parametrize("fault", ["drop", "kick", "refused login"])
def test_an_end_that_the_server_makes_is_followed_on_plain_asyncio(fault: str) -> None:
    """What comes is handed over outside of any task, where only the loop itself can be asked."""
    exchange = Exchange(rate=500, tokens={} if fault == "refused login" else None)
    events: list[Event] = []

    async def scenario() -> None:
        async with kiwoom_asyncio.serve(exchange) as server:
            with pytest.raises(KiwoomError):
                async with kiwoom_asyncio.connect(server.endpoint, token=TOKEN, config=QUICK) as client:
                    await client.subscribe("0E", "005930")
                    getattr(exchange, fault)()
                    async for event in client:
                        events.append(event)  # noqa: PERF401  # it ends in an exception

    assert run(scenario) == []
    if fault != "refused login":
        assert isinstance(events[-1], Closed)
        assert all(isinstance(event, AfterHoursQuote) for event in events[:-2])


def entered_by_hand(scenario: Callable[[Any, Exchange], Any]) -> None:
    """Run a scenario with what `connect` returns, and see that it leaves nothing, for all that no block does it."""

    async def served() -> None:
        exchange = Exchange()
        async with kiwoom_asyncio.serve(exchange) as server:
            await scenario(kiwoom_asyncio.connect(server.endpoint, token=TOKEN, config=QUICK), exchange)
            await until(lambda: not exchange.links)

    Loop("asyncio").run(served)


def test_a_client_whose_context_manager_is_garbage_lives_on() -> None:
    """As in `client = await connect(...).__aenter__()`."""

    async def scenario(manager: Any, exchange: Exchange) -> None:
        client = await manager.__aenter__()
        del manager
        for _ in range(10):
            gc.collect()
            await asyncio.sleep(0)
        await client.subscribe("0E", "005930")
        await client.aclose()

    entered_by_hand(scenario)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_block_may_be_left_in_another_task_than_it_was_entered_in(cancelled: bool) -> None:
    """As the cells of a notebook are tasks."""

    async def scenario(manager: Any, exchange: Exchange) -> None:
        client = await asyncio.create_task(manager.__aenter__())
        await asyncio.create_task(client.subscribe("0E", "005930"))
        error = asyncio.CancelledError() if cancelled else None
        await asyncio.create_task(manager.__aexit__(type(error) if error else None, error, None))
        assert client.state is SessionState.CLOSED or cancelled

    entered_by_hand(scenario)


def test_a_client_whose_own_task_is_cancelled_says_so() -> None:
    """By a program that cancels every task of the loop but its own."""

    async def scenario(manager: Any, exchange: Exchange) -> None:
        with pytest.raises(LocalProtocolError, match="cancelled from outside"):
            async with manager as client:
                before = asyncio.all_tasks()
                [own] = [task for task in before if "BackgroundTask" in repr(task)]
                own.cancel()
                async for _ in client:
                    pass

    entered_by_hand(scenario)

"""A client belongs to the loop and thread that it was connected in: calls from elsewhere raise, and change nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import pytest
import trio
from tests.adapters.kit import ITEM, LOOPS, Client, Loop, LoopName

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.wire.messages import Element, Reg

Call: TypeAlias = Callable[[Client], Awaitable[object]]


async def iterate(client: Client) -> None:
    async for _ in client:
        raise AssertionError("nothing may be iterated")


async def search_rows(client: Client) -> None:
    async for _ in client.search_condition_rows("0"):
        raise AssertionError("nothing may be iterated")


async def listen(client: Client) -> None:
    client.on("0E", print, ITEM)


async def newest(client: Client) -> None:
    client.latest("0E", ITEM)


CALLS: dict[str, Call] = {
    "subscribe": lambda client: client.subscribe("0E", ITEM),
    "subscribe, wait=False": lambda client: client.subscribe("0E", ITEM, wait=False),
    "unsubscribe": lambda client: client.unsubscribe("0E", ITEM),
    "request": lambda client: client.request(Reg("1", "1", (Element((ITEM,), ("0E",)),))),
    "list_conditions": lambda client: client.list_conditions(),
    "search_condition": lambda client: client.search_condition("0", realtime=True),
    "search_condition_rows": search_rows,
    "clear_condition": lambda client: client.clear_condition("0"),
    "stream": lambda client: client.stream("0E", ITEM).__aenter__(),
    "condition": lambda client: client.condition("0").__aenter__(),
    "on": listen,
    "latest": newest,
    "aclose": lambda client: client.aclose(),
    "async for": iterate,
    "anext": lambda client: anext(client),
}


def run_elsewhere(name: LoopName, call: Call, client: Client) -> Exception:
    """Make a call in an event loop of its own; returns what it raised."""

    async def scenario() -> Exception:
        with anyio.fail_after(20), pytest.raises(LocalProtocolError) as caught:
            await call(client)
        return caught.value

    return anyio.run(scenario, **Loop(name).backend())


@pytest.mark.parametrize("elsewhere", LOOPS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_from_another_thread_says_so(loop: Loop, elsewhere: LoopName, call: Call) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        error = await anyio.to_thread.run_sync(run_elsewhere, elsewhere, call, client)
        assert "another thread" in str(error)
        cure = "trio.from_thread.run" if loop.name == "trio" else "asyncio.run_coroutine_threadsafe"
        assert cure in str(error)
        assert client.state is SessionState.READY
        assert client.subscriptions == ()
        await client.subscribe("0E", ITEM)


@pytest.mark.parametrize("elsewhere", LOOPS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_from_a_later_loop_says_so(loop: Loop, elsewhere: LoopName, call: Call) -> None:
    """A client that was kept, in the cells of a notebook."""
    clients: list[Client] = []

    async def scenario() -> None:
        async with loop.serve(Exchange()) as server, loop.connect(server.endpoint) as client:
            clients.append(client)

    loop.run(scenario)
    error = run_elsewhere(elsewhere, call, clients[0])
    assert "another event loop" in str(error)


async def test_a_call_in_no_loop_says_so(loop: Loop) -> None:
    def step(client: Client) -> None:
        coroutine: Any = client.subscribe("0E", ITEM)
        coroutine.send(None)

    async with loop.serve(Exchange()) as server, loop.connect(server.endpoint) as client:
        with pytest.raises(LocalProtocolError, match="another thread"):
            await anyio.to_thread.run_sync(step, client)
        with pytest.raises(LocalProtocolError, match="another thread"):
            await anyio.to_thread.run_sync(aiter, client)


async def test_what_waits_for_nothing_may_be_asked_anywhere(loop: Loop) -> None:
    async with loop.serve(Exchange()) as server, loop.connect(server.endpoint) as client:
        await client.subscribe("0E", ITEM)

        def look() -> tuple[object, ...]:
            return client.state, len(client.subscriptions), client.stats().connections, repr(client)

        assert (await anyio.to_thread.run_sync(look))[:3] == (SessionState.READY, 1, 1)


async def test_another_thread_may_hand_its_calls_over(loop: Loop) -> None:
    """As the error says to."""
    async with loop.serve(Exchange()) as server, loop.connect(server.endpoint) as client:
        if loop.name == "trio":

            def hand_over() -> object:
                return trio.from_thread.run(client.subscribe, "0E", ITEM)

            await trio.to_thread.run_sync(hand_over)
        else:
            own = asyncio.get_running_loop()

            def hand_over() -> object:
                coroutine: Any = client.subscribe("0E", ITEM)
                return asyncio.run_coroutine_threadsafe(coroutine, own).result()

            await asyncio.to_thread(hand_over)
        assert [one.item for one in client.subscriptions] == [ITEM]


def call_in_a_fork(call: Call, client: Client) -> str:
    """Make a call in a forked process; returns what it raised. No loop runs there: it makes one step."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        told = "nothing was raised"
        try:
            call(client).__await__().send(None)
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, told.encode())
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        told = pipe.read()
    os.waitpid(process, 0)
    return told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from Python 3.12 on, where there are threads
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_in_a_forked_process_says_so(loop: Loop, call: Call) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        told = call_in_a_fork(call, client)
        assert told.startswith("LocalProtocolError: called in a process that was forked")
        await client.subscribe("0E", ITEM)
        assert exchange.links[0].pairs() == {("0E", ITEM): None}

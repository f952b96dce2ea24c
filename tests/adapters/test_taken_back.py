"""A call that raises has taken back what it asked for, in whatever turn of the loop it is cancelled.

The turn that matters is the one in which the answer comes: cancelled before the answer was taken, or after it, the call
may not have run since. `cut` cancels in that very turn, so nothing here depends on time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import anyio
import pytest
import trio
from tests.adapters.kit import ITEM, LOOPS, Client, Loop, LoopName, until
from tests.faults.crowd import gather

from kiwoom_proto import ClientConfig, Event, RequestRefused
from kiwoom_proto.events import ConditionResult, RequestAccepted, RequestRefusal
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.wire.messages import Element, Reg

When: TypeAlias = Literal["before", "after"]
Call: TypeAlias = Callable[[Client], Awaitable[object]]

CONFIG = ClientConfig(request_interval=0, reconnect=False, items_per_request=2, item_limit=1000)
ANSWERS = (RequestAccepted, RequestRefusal, ConditionResult)
OTHER = "000660"


def on_answer(monkeypatch: pytest.MonkeyPatch, client: Client, when: When, cancel: Callable[[], object]) -> None:
    """Cancel once the session reports an answer: before the calls that wait are told, or after they were woken."""
    events, wake = client._session.events, client._wake
    is_answered = False

    def events_then() -> list[Event]:
        nonlocal is_answered
        found = events()
        if any(isinstance(event, ANSWERS) for event in found):
            is_answered = True
            if when == "before":
                cancel()
        return found

    def wake_then() -> None:
        wake()
        if is_answered and when == "after":
            cancel()

    monkeypatch.setattr(client._session, "events", events_then)
    monkeypatch.setattr(client, "_wake", wake_then)


async def cut(loop: Loop, client: Client, call: Call, when: When) -> object:
    """Make a call, and cancel it in the turn in which it is answered. Returns what it returned; None: it raised."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        if loop.name == "trio":
            with trio.CancelScope() as scope:
                on_answer(monkeypatch, client, when, scope.cancel)
                return await call(client)
            return None
        task = asyncio.ensure_future(call(client))
        on_answer(monkeypatch, client, when, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None


def registered(exchange: Exchange) -> set[tuple[str, str]]:
    """What the server has: type and item, live searches too."""
    return {pair for peer in exchange.links for pair in (*peer.pairs(), *peer.live)}


async def settled(client: Client) -> None:
    await until(lambda: client._session.is_settled)


async def subscribe(client: Client) -> object:
    return await client.subscribe("0E", ITEM)


async def subscribe_in_several_messages(client: Client) -> object:
    return await client.subscribe("0E", ITEM, *(f"{number:06}" for number in range(5)))


async def subscribe_and_see(client: Client) -> object:
    return await client.subscribe("0E", ITEM, wait=False)


async def request(client: Client) -> object:
    return await client.request(Reg("1", "1", (Element((ITEM, "1"), ("0E", "0D")),)))


async def search(client: Client) -> object:
    return await client.search_condition("0", realtime=True)


async def subscribe_too_much(client: Client) -> object:
    return await client.subscribe("0E", *(f"{number:06}" for number in range(201)))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [subscribe, subscribe_in_several_messages, request, search])
async def test_a_call_cancelled_as_its_answer_comes_is_taken_back(loop: Loop, call: Call, when: When) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
        returned = await cut(loop, client, call, when)
        await settled(client)
        assert bool(registered(exchange)) == bool(client.subscriptions) == (returned is not None)
        assert loop.name == "trio" or returned is None, "asyncio cancels a task that was woken, trio does not"


@pytest.mark.parametrize("call", [subscribe, subscribe_and_see, request, search])
async def test_a_call_made_when_it_is_cancelled_already_is_taken_back(loop: Loop, call: Call) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:

        async def cancelled(cancel: Callable[[], object]) -> None:
            cancel()
            await call(client)
            raise AssertionError("it must not return")

        if loop.name == "trio":
            with trio.CancelScope() as scope:
                await cancelled(scope.cancel)
        else:
            task = asyncio.ensure_future(cancelled(lambda: task.cancel()))
            with pytest.raises(asyncio.CancelledError):
                await task
        await settled(client)
        assert registered(exchange) == set()
        assert client.subscriptions == ()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [subscribe, search])
async def test_what_another_wants_too_stays(loop: Loop, call: Call, when: When) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
        await call(client)
        returned = await cut(loop, client, call, when)
        await settled(client)
        (one,) = client.subscriptions
        assert one.consumers == 1 + (returned is not None)
        assert len(registered(exchange)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_refused_call_takes_back_its_own_alone(loop: Loop, when: When) -> None:
    """The refusal has taken it back already: cancelled as well, it must not take away what somebody else wants."""
    exchange = Exchange()
    config = ClientConfig(request_interval=0, reconnect=False, items_per_request=300, item_limit=1000)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        await client.subscribe("0E", "000000")
        try:
            assert await cut(loop, client, subscribe_too_much, when) is None
        except RequestRefused:
            pass  # it was told before it was cancelled
        await settled(client)
        (one,) = client.subscriptions
        assert (one.item, one.consumers) == ("000000", 1)
        assert registered(exchange) == {("0E", "000000")}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancelled_end_is_an_end(loop: Loop, when: When) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
        await client.subscribe("0E", ITEM)
        await client.search_condition("0", realtime=True)
        await cut(loop, client, lambda client: client.unsubscribe("0E", ITEM), when)
        await cut(loop, client, lambda client: client.clear_condition("0"), when)
        await settled(client)
        await until(lambda: not registered(exchange))
        assert client.subscriptions == ()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_quota_is_free_again(loop: Loop, when: When) -> None:
    exchange = Exchange()
    config = ClientConfig(request_interval=0, reconnect=False, item_limit=1)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        if await cut(loop, client, subscribe, when) is not None:
            await client.unsubscribe("0E", ITEM)
        await client.subscribe("0E", OTHER)
        await settled(client)
        assert registered(exchange) == {("0E", OTHER)}


async def test_it_is_taken_back_at_once_on_a_quiet_line(loop: Loop) -> None:
    """Nothing else comes that would carry the REMOVE along."""
    exchange = Exchange(rate=0.0001)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
        with anyio.fail_after(5):  # the next PING would come after ten
            for call in (subscribe, search):
                if await cut(loop, client, call, "before") is None:
                    await until(lambda: not registered(exchange))


@pytest.mark.parametrize("name", LOOPS)
def test_a_crowd_that_gives_up_at_random_leaves_what_it_wants_and_no_more(name: LoopName) -> None:
    """Twenty tasks, while the link flaps; `make soak` has more of it."""
    crowd = gather(name, seed=1, rounds=2)
    assert crowd.problems == []
    assert crowd.quiet == 2
    assert crowd.cancelled


# The same in the words that programs use.


@pytest.mark.parametrize("name", LOOPS[1:])
def test_asyncio_timeouts_that_race_the_answer_leave_nothing(name: LoopName) -> None:
    loop = Loop(name)

    async def scenario() -> None:
        exchange = Exchange()
        async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
            for wait in (_under_timeout, _under_wait_for, _under_anyio):
                with pytest.MonkeyPatch.context() as monkeypatch:
                    returned = await wait(client, monkeypatch)
                await settled(client)
                assert bool(registered(exchange)) == returned
                if returned:
                    await client.unsubscribe("0E", ITEM)

    loop.run(scenario)


async def _under_timeout(client: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    try:
        async with asyncio.timeout(None) as timeout:
            on_answer(monkeypatch, client, "after", lambda: timeout.reschedule(0))
            await client.subscribe("0E", ITEM)
    except TimeoutError:
        return False
    return True


async def _under_wait_for(client: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    task = asyncio.ensure_future(asyncio.wait_for(client.subscribe("0E", ITEM), 100))
    on_answer(monkeypatch, client, "after", task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


async def _under_anyio(client: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    with anyio.CancelScope() as scope:
        on_answer(monkeypatch, client, "after", scope.cancel)
        await client.subscribe("0E", ITEM)
        return True
    return False

"""What the usual mistakes print: the mistake, and the cure."""

from __future__ import annotations

import asyncio
import gc
import inspect
import re
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from tests.adapters.kit import ITEM, QUICK, TOKEN, Loop, until
from tests.adapters.recordings import write_recording

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_asyncio import blocking
from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    AfterHoursQuote,
    AppKey,
    ClientConfig,
    ConnectionLost,
    Endpoint,
    LocalProtocolError,
    OrderBook,
    Secret,
    Trade,
    rest,
)
from kiwoom_proto.auth import Token as IssuedToken
from kiwoom_proto.client import pump
from kiwoom_proto.client.listeners import Listener
from kiwoom_proto.simulator import Exchange

Mistake = Callable[[Any], object]
KEY = AppKey("an-app-key-of-a-test", "a-secret-key-of-a-test")
QUOTE = rest.StockQuote(stk_cd=ITEM)


async def callback(row: object) -> None:
    """An async callback, which would never run."""


def loop_over(rows: Any) -> None:
    for _ in rows:
        pass


async def loop_async(rows: Any) -> None:
    async for _ in rows:
        pass


async def awaited(value: Any) -> None:
    await value


async def enter(block: Any) -> None:
    async with block:
        pass


def enter_plain(block: Any) -> None:
    with block:
        pass


MISTAKES: dict[str, tuple[Mistake, type[Exception], str]] = {
    "for instead of async for": (loop_over, TypeError, "write `async for event in client`"),
    "for over a stream": (
        lambda client: loop_over(client.stream(Trade, ITEM)),
        TypeError,
        "write `async with client.stream",
    ),
    "with a stream": (
        lambda client: enter_plain(client.stream(Trade, ITEM)),
        TypeError,
        "write `async with client.str",
    ),
    "a stream without its block": (
        lambda client: loop_async(client.stream(Trade, ITEM)),
        LocalProtocolError,
        "not entered: write `async with",
    ),
    "await a stream": (
        lambda client: awaited(client.stream(Trade, ITEM)),
        TypeError,
        r"write `async with client\.stream\(",
    ),
    "await a condition": (
        lambda client: awaited(client.condition("1")),
        TypeError,
        r"write `async with client\.condition\(",
    ),
    "close": (lambda client: client.close(), AttributeError, r"await client\.aclose\(\)"),
    "enter the client": (lambda client: enter(client), TypeError, r"await client\.aclose\(\).*async with connect"),
    "with the client": (enter_plain, TypeError, r"open already.*blocking\.connect"),
    "the item first": (lambda client: client.subscribe(ITEM, Trade), LocalProtocolError, "the type comes first"),
    "a list of items": (lambda client: client.subscribe(Trade, [ITEM]), LocalProtocolError, r"pass a list as \*items"),
    "a number as an item": (lambda client: client.subscribe(Trade, 5930), LocalProtocolError, "must be str"),
    "the code of a bank's screen": (lambda client: client.subscribe(Trade, "A005930"), LocalProtocolError, "005930"),
    "a type in small letters": (lambda client: client.subscribe("0b", ITEM), LocalProtocolError, "did you mean '0B'"),
    "no item": (lambda client: client.subscribe(Trade), LocalProtocolError, "at least one"),
    "an async callback": (lambda client: client.on(Trade, callback, ITEM), LocalProtocolError, "plain function"),
    "the newest row of nothing": (
        lambda client: client.latest(OrderBook, ITEM),
        LocalProtocolError,
        r"enter client\.stream",
    ),
    "a policy that is none": (
        lambda client: client.stream(Trade, ITEM, overflow="newest"),
        LocalProtocolError,
        "must be one of",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_with_a_client(loop: Loop, name: str) -> None:
    make, error, text = MISTAKES[name]
    async with loop.serve(Exchange(seed=1)) as server, loop.connect(server.endpoint) as client:
        with pytest.raises(error, match=text):
            answer = make(client)
            if isinstance(answer, Awaitable):
                await answer
        assert client.subscriptions == ()


async def test_after_the_block(loop: Loop) -> None:
    async with loop.serve(Exchange(seed=1)) as server:
        async with loop.connect(server.endpoint) as client:
            pass
        for use in (lambda: client.subscribe(Trade, ITEM), lambda: enter(client.stream(Trade, ITEM))):
            with pytest.raises(ConnectionLost, match="the client is closed: its block was left") as caught:
                await use()
            assert caught.value.was_asked


async def test_a_forgotten_await(loop: Loop) -> None:
    async with loop.serve(Exchange(seed=1)) as server, loop.connect(server.endpoint) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert inspect.iscoroutinefunction(client.subscribe)
            client.subscribe(Trade, ITEM)  # type: ignore[unused-coroutine]
            gc.collect()
    assert any("subscribe' was never awaited" in str(each.message) for each in caught)


class ShiftedLoop(asyncio.SelectorEventLoop):
    """Its time may jump, as it does for a loop that is blocked."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


@pytest.mark.parametrize("phase", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("seconds", [5.0, 7.0])
@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_a_blocked_loop_is_always_warned_of_and_for_how_long(
    name: str, seconds: float, phase: float, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []

    def note() -> bool:
        said[:] = [record.getMessage() for record in caplog.records if record.name == f"kiwoom_{name}"]
        return bool(said)

    async def on_trio() -> None:
        async with kiwoom_trio.serve(Exchange(seed=1)) as server, kiwoom_trio.connect(server.endpoint, token="a"):
            await trio.sleep(phase)
            clock.jump(seconds)
            await until(note)

    async def on_asyncio() -> None:
        async with kiwoom_asyncio.serve(Exchange(seed=1)) as server, kiwoom_asyncio.connect(server.endpoint, token="a"):
            await asyncio.sleep(0)
            shifted.shift += phase
            await asyncio.sleep(0)
            shifted.shift += seconds
            await until(note)

    if name == "trio":
        clock = trio.testing.MockClock(autojump_threshold=0.02)
        trio.run(on_trio, clock=clock)
    else:
        shifted = ShiftedLoop()
        with asyncio.Runner(loop_factory=lambda: shifted) as runner:
            runner.run(on_asyncio())

    found = re.match(r"the event loop stood still for ([0-9.]+) to ([0-9.]+) s, and the client with it", said[0])
    assert found, said
    assert seconds <= float(found[2]) + 0.1
    assert name == "asyncio" or float(found[1]) - 0.1 <= seconds  # asyncio's time goes on by itself beside the jump
    assert len(said) == 1


async def test_time_sleep(loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(pump, "BEAT", 0.01)
    monkeypatch.setattr(pump, "STANDSTILL", 0.1)
    name = "trio" if loop.name == "trio" else "asyncio"

    def warnings_of(name: str) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == f"kiwoom_{name}"]

    async with loop.serve(Exchange(seed=1, rate=100)) as server, loop.connect(server.endpoint) as client:
        handles: list[Listener] = []

        def block_once(row: object) -> None:
            handles[0].close()
            time.sleep(0.3)

        handles.append(client.on(AfterHoursQuote, block_once, ITEM))
        await until(lambda: warnings_of(name))

    said = warnings_of(name)[0]
    assert said.startswith("the event loop stood still for ") and "`time.sleep`" in said
    assert f"`await {name}.sleep(...)`" in said and f"`await {name}.to_thread" in said


@pytest.mark.parametrize(
    ("endpoint", "token", "cure"),
    [
        ("mock", "a", r"endpoint: must be an Endpoint, such as PRODUCTION, MOCK or Endpoint\('ws://"),
        (MOCK, None, r"not NoneType; with the keys in the environment write token=AppKey.from_env\(\)"),
        (MOCK, AppKey, r"a function that returns|missing"),
    ],
)
async def test_an_endpoint_or_token_that_is_none(loop: Loop, endpoint: Any, token: Any, cure: str) -> None:
    with pytest.raises((LocalProtocolError, TypeError), match=cure):
        await enter(loop.connect(endpoint, token=token))


async def test_the_wrong_path_is_named(loop: Loop) -> None:
    once = ClientConfig(reconnect=False)
    async with loop.serve(Exchange()) as server:
        wrong = Endpoint(server.endpoint.url.replace("/api/dostk/websocket", "/websocket"))
        with pytest.raises(ConnectionLost, match=r"HTTP 404.*the path is /websocket"):
            await enter(loop.connect(wrong, token="a", config=once))


async def test_a_key_and_its_secret_as_two_tokens(loop: Loop) -> None:
    async with loop.serve(Exchange(tokens={})) as server:
        with pytest.raises(ConnectionLost, match=r"one token: AppKey\(key, secret\)"):
            await enter(loop.connect(server.endpoint, token=("an app key", "its secret")))


BLOCKS: dict[str, Callable[[], Any]] = {
    "trio connect": lambda: kiwoom_trio.connect(MOCK, token=TOKEN),
    "trio replay": lambda: kiwoom_trio.replay("day"),
    "asyncio connect": lambda: kiwoom_asyncio.connect(MOCK, token=TOKEN),
    "asyncio replay": lambda: kiwoom_asyncio.replay("day"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_that_is_not_entered(name: str) -> None:
    block = BLOCKS[name]()
    call = name.split()[1]
    cure = rf"{call}: write `async with {call}\(\.\.\.\)"
    with pytest.raises(TypeError, match=cure + rf".*; without async, use kiwoom_asyncio\.blocking\.{call}\("):
        enter_plain(block)
    with pytest.raises(TypeError, match=cure):
        await_(block)
    with pytest.raises(TypeError, match=cure):
        loop_over(block)
    with pytest.raises(TypeError, match=cure):
        asyncio.run(loop_async(block))
    with pytest.raises(AttributeError, match="not entered yet, and has no 'subscribe': write `async with"):
        block.subscribe(Trade, ITEM)


CONNECTING: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "with instead of async with": (
        lambda: enter_plain(kiwoom_asyncio.connect(MOCK, token=TOKEN)),
        TypeError,
        r"write `async with connect.*blocking\.connect",
    ),
    "await connect": (lambda: await_(kiwoom_asyncio.connect(MOCK, token=TOKEN)), TypeError, r"await open\(\.\.\.\)"),
    "no block": (
        lambda: kiwoom_asyncio.connect(MOCK, token=TOKEN).subscribe(Trade, ITEM),  # type: ignore[attr-defined]
        AttributeError,
        "not entered yet.*write `async with",
    ),
    "no block, blocking": (
        lambda: blocking.connect(MOCK, token=TOKEN).subscribe(Trade, ITEM),  # type: ignore[attr-defined]
        AttributeError,
        r"no client yet.*with blocking\.connect",
    ),
    "a URL": (lambda: blocking.open(PRODUCTION.url, token=TOKEN), LocalProtocolError, "PRODUCTION"),  # type: ignore[arg-type]
    "Bearer": (lambda: blocking.open(MOCK, token=f"Bearer {TOKEN}"), LocalProtocolError, "must not begin"),
    "a plain function": (
        lambda: blocking.open(MOCK, token=lambda: TOKEN),  # type: ignore[arg-type]
        LocalProtocolError,
        "async callable",
    ),
}


def await_(block: Any) -> None:
    async def wrong() -> None:
        await block

    asyncio.run(wrong())


@pytest.mark.parametrize("name", CONNECTING)
def test_a_mistake_in_connecting(name: str) -> None:
    make, error, text = CONNECTING[name]

    with pytest.raises(error, match=text) as caught:
        make()

    assert TOKEN not in str(caught.value)


def test_what_looks_for_attributes_finds_none() -> None:
    """As copying, and the tools of a notebook, do."""
    for block in (kiwoom_asyncio.connect(MOCK, token=TOKEN, config=QUICK), blocking.connect(MOCK, token=TOKEN)):
        assert not hasattr(block, "_repr_html_")
        assert TOKEN not in repr(block)


async def test_a_block_is_entered_once(loop: Loop) -> None:
    exchange = Exchange(seed=1)
    async with loop.serve(exchange) as server:
        for block in (loop.connect(server.endpoint), loop.rest(server.endpoint)):
            async with block:
                with pytest.raises(LocalProtocolError, match="a block is entered once; call "):
                    await enter(block)
                assert len(exchange.links) <= 1
            with pytest.raises(LocalProtocolError, match="a block is entered once"):
                await enter(block)
        await until(lambda: not exchange.links)


WRONG_LOOP: dict[str, tuple[Callable[[], Any], bool]] = {
    "connect": (lambda: kiwoom_asyncio.connect(MOCK, token=TOKEN), True),
    "rest": (lambda: kiwoom_asyncio.rest(MOCK, token=TOKEN), True),
    "replay": (lambda: kiwoom_asyncio.replay("day"), True),
    "serve": (lambda: kiwoom_asyncio.serve(Exchange()), True),
    "issue_token": (lambda: kiwoom_asyncio.issue_token(MOCK, KEY), True),
    "revoke_token": (lambda: kiwoom_asyncio.revoke_token(MOCK, KEY, TOKEN), True),
    "trio's connect": (lambda: kiwoom_trio.connect(MOCK, token=TOKEN), False),
    "trio's rest": (lambda: kiwoom_trio.rest(MOCK, token=TOKEN), False),
    "trio's replay": (lambda: kiwoom_trio.replay("day"), False),
    "trio's serve": (lambda: kiwoom_trio.serve(Exchange()), False),
    "trio's issue_token": (lambda: kiwoom_trio.issue_token(MOCK, KEY), False),
    "trio's revoke_token": (lambda: kiwoom_trio.revoke_token(MOCK, KEY, TOKEN), False),
}


async def begin(made: Any) -> None:
    """Enter a block, or await a call."""
    if isinstance(made, Coroutine):
        await made
    else:
        await enter(made)


@pytest.mark.parametrize("name", WRONG_LOOP)
def test_the_adapter_of_another_loop(name: str) -> None:
    make, is_asyncio = WRONG_LOOP[name]
    call = name.split()[-1]
    if is_asyncio:
        with pytest.raises(LocalProtocolError, match=rf"needs asyncio, and trio runs here: use kiwoom_trio\.{call}"):
            trio.run(begin, make())
    else:
        with pytest.raises(LocalProtocolError, match=rf"needs trio, and asyncio runs here: use kiwoom_asyncio\.{call}"):
            asyncio.run(begin(make()))


@pytest.mark.parametrize("adapter", [kiwoom_asyncio, kiwoom_trio])
def test_a_token_that_is_not_awaited(adapter: Any) -> None:
    issued = adapter.issue_token(MOCK, KEY)
    with pytest.raises(AttributeError, match="not awaited yet, and has no 'value': write `token = await issue_token"):
        assert issued.value
    for make in (adapter.connect, adapter.rest):
        with pytest.raises(LocalProtocolError, match="not something to await: write `await` before it"):
            (asyncio.run if adapter is kiwoom_asyncio else trio.run)(*entered(make, issued, adapter))
    with pytest.raises(LocalProtocolError, match="not a Token: pass its `value`"):
        blocking.open_rest(MOCK, token=IssuedToken(Secret(TOKEN), None))  # type: ignore[arg-type]
    issued.close()


def entered(make: Any, token: object, adapter: Any) -> tuple[Any, ...]:
    """What `run` of a loop takes to enter a block: a coroutine, or a function."""

    async def main() -> None:
        async with make(MOCK, token=token):
            pass

    return (main(),) if adapter is kiwoom_asyncio else (main,)


NEEDS_A_TOKEN = {
    "connect": (kiwoom_asyncio.connect, kiwoom_trio.connect, blocking.connect),
    "open": (kiwoom_asyncio.open, blocking.open),
    "rest": (kiwoom_asyncio.rest, kiwoom_trio.rest, blocking.rest),
    "open_rest": (kiwoom_asyncio.open_rest, blocking.open_rest),
}


@pytest.mark.parametrize("name", NEEDS_A_TOKEN)
@pytest.mark.parametrize("given", [(MOCK,), (MOCK, TOKEN), ()])
def test_a_token_that_is_missing(name: str, given: tuple[object, ...]) -> None:
    for function in NEEDS_A_TOKEN[name]:
        make: Any = function
        assert inspect.signature(make).parameters["token"].default is inspect.Parameter.empty
        with pytest.raises(
            TypeError, match=rf"{name}: the argument token=\.\.\. is missing.*AppKey\.from_env"
        ) as caught:
            make(*given)
        frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
        assert not any(TOKEN in repr(value) for names in frames for value in names.values())


REST_MISTAKES: dict[str, tuple[Mistake, type[Exception], str]] = {
    "close": (lambda api: api.close(), AttributeError, r"write `await api\.aclose\(\)`, or leave its block"),
    "enter the client": (enter, TypeError, r"open already.*await api\.aclose\(\).*async with rest"),
    "with the client": (enter_plain, TypeError, r"write `async with rest\(\.\.\.\) as api:`"),
    "a name that is none": (lambda api: api.nothing, AttributeError, "has no attribute 'nothing'$"),
}


@pytest.mark.parametrize("name", REST_MISTAKES)
async def test_a_mistake_with_a_rest_client(loop: Loop, name: str) -> None:
    make, error, text = REST_MISTAKES[name]
    async with loop.serve(Exchange(seed=1)) as server, loop.rest(server.endpoint) as api:
        with pytest.raises(error, match=text):
            answer = make(api)
            if isinstance(answer, Awaitable):
                await answer


async def test_a_rest_client_after_its_block(loop: Loop) -> None:
    async with loop.serve(Exchange(seed=1)) as server:
        async with loop.rest(server.endpoint) as api:
            pages = api.pages(QUOTE)
        for use in (
            lambda: api.call(QUOTE),
            lambda: anext(pages),
            lambda: anext(api.rows(rest.StockTrades(stk_cd=ITEM))),
        ):
            with pytest.raises(LocalProtocolError, match="the REST client is closed: its block was left"):
                await use()


def test_blocking_clients_used_with_async(tmp_path: Path) -> None:
    text = (
        "of kiwoom_asyncio.blocking is for programs without async: write `{}` in a plain function; in an async one, use"
    )

    def refuses(value: Any) -> None:
        for use, plain in ((loop_async, "for ... in"), (enter, "with")):
            with pytest.raises(TypeError, match=re.escape(text.format(plain))):
                asyncio.run(use(value))

    write_recording(tmp_path, [])
    with blocking.replay(tmp_path, speed=None) as client:
        for value in (client, client.stream(Trade, ITEM), client.condition("1")):
            refuses(value)
    with blocking.rest(MOCK, token=TOKEN) as api:
        for other in (api, api.pages(QUOTE), api.rows(rest.StockTrades(stk_cd=ITEM))):
            refuses(other)


def test_a_mistake_with_a_blocking_rest_client() -> None:
    with blocking.rest(MOCK, token=TOKEN) as api:
        with pytest.raises(AttributeError, match=r"write `api\.close\(\)`, or leave its block"):
            api.aclose()  # type: ignore[attr-defined]
        with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
            assert api.nothing  # type: ignore[attr-defined]
    with pytest.raises(LocalProtocolError, match=r"the client is closed.*open_rest\(\.\.\.\), and use it until close"):
        api.call(QUOTE)


OPENING: dict[str, tuple[Callable[[], Any], str]] = {
    "open": (lambda: kiwoom_asyncio.open(MOCK, token=TOKEN), r"client = await open\(\.\.\.\)`.*async with connect"),
    "open_rest": (lambda: kiwoom_asyncio.open_rest(MOCK, token=TOKEN), r"api = await open_rest\(.*async with rest\("),
}


@pytest.mark.parametrize("name", OPENING)
def test_a_forgotten_await_of_open(name: str) -> None:
    make, cure = OPENING[name]
    opened = make()
    with pytest.raises(AttributeError, match=rf"{name}\(\.\.\.\) is not awaited yet, .*: write `{cure}"):
        opened.stream(Trade, ITEM)
    opened.close()
    with pytest.raises(TypeError, match=cure):
        asyncio.run(enter(make()))
    with pytest.raises(TypeError, match=cure):
        enter_plain(make())
    assert TOKEN not in repr(opened)


def test_open_as_a_task() -> None:
    async def scenario() -> None:
        async with kiwoom_asyncio.serve(Exchange(seed=1)) as server:
            client = await asyncio.create_task(kiwoom_asyncio.open(server.endpoint, token=TOKEN, config=QUICK))
            with pytest.raises(TypeError, match=r"open already.*await client\.aclose"):
                await enter(client)
            await client.aclose()

    Loop("asyncio").run(scenario)


BLOCKING: dict[str, Callable[[], Any]] = {
    "connect": lambda: blocking.connect(MOCK, token=TOKEN),
    "replay": lambda: blocking.replay("day"),
    "rest": lambda: blocking.rest(MOCK, token=TOKEN),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_a_blocking_block_used_as_something_else(name: str) -> None:
    block = BLOCKING[name]()
    for use in (enter, awaited):
        with pytest.raises(TypeError, match=rf"without async: .*`async with kiwoom_asyncio\.{name}\("):
            asyncio.run(use(block))
    with pytest.raises(TypeError, match=rf"no client yet: write `with blocking\.{name}\("):
        loop_over(block)

"""Ctrl-C at any moment leaves the program as KeyboardInterrupt, and a mistake of ours as itself, on every loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest
import trio._highlevel_open_tcp_stream
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, LOOPS, TOKEN, Loop
from tests.adapters.test_tokens import issue

import kiwoom_asyncio
import kiwoom_proto.client.credentials
import kiwoom_trio
from kiwoom_proto import AppKey, ClientConfig, Disconnected, Gap, KiwoomError, Secret, Session, Trade
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.errors import TokenError
from kiwoom_proto.simulator import Exchange

ADAPTERS = tuple(str(Path(inspect.getfile(module)).parent) for module in (kiwoom_asyncio, kiwoom_trio))
BESIDE = tuple(inspect.getfile(module) for module in (contextlib, trio._highlevel_open_tcp_stream))
"""What runs parts of the adapters. On trio alone does it matter which line is interrupted there."""
STRIDE = {"trio": 7, "asyncio": 23, "uvloop": 23}
"""One line of so many is interrupted; all of them take a minute for each loop. On asyncio it is the loop's doing."""
CONFIG = ClientConfig(backoff_min=0.001, backoff_max=0.001, request_interval=0)

pytestmark = pytest.mark.usefixtures("ctrl_c")

Line = tuple[str, int]
Scenario = Callable[[], Awaitable[None]]


class Tracer:
    """Sees every line of the adapters that is executed, and interrupts at the first execution of one of them."""

    def __init__(self, loop: Loop, at: Line | None = None) -> None:
        self.files = ADAPTERS + BESIDE if loop.name == "trio" else ADAPTERS
        self.at = at
        self.seen: dict[Line, None] = {}

    def __enter__(self) -> Tracer:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(self.files) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        line = frame.f_code.co_filename, frame.f_lineno
        self.seen.setdefault(line)
        if line == self.at:
            sys.settrace(self._before)
            self.at = None
            signal.raise_signal(signal.SIGINT)
        return self._line


def run(loop: Loop, scenario: Scenario, at: Line | None = None) -> list[Line]:
    """Run a scenario on plain trio or asyncio, as a program does; return the lines it went through, in order."""
    with Tracer(loop, at) as tracer:
        anyio.run(scenario, **loop.backend())
    return list(tracer.seen)


def lifetime(loop: Loop, net: Net) -> Scenario:
    """A client's, from the token to the end, with a loss in between; and its server's."""

    async def scenario() -> None:
        exchange = Exchange(app_keys={"app": "secret"})
        key = AppKey("app", "secret")
        async with (
            loop.serve(exchange, ssl_context=net.server) as server,
            loop.connect(server.endpoint, token=key, config=CONFIG, ssl_context=net.client) as client,
        ):
            await client.subscribe("0E", ITEM)
            exchange.drop()
            async for event in client:
                if isinstance(event, Gap):
                    break

    return scenario


def token_call(loop: Loop, net: Net) -> Scenario:
    """One call to the token server, by itself."""

    async def scenario() -> None:
        async with loop.serve(Exchange(app_keys={"app": "secret"}), ssl_context=net.server) as server:
            await issue(loop, server.endpoint, AppKey("app", "secret"), net.client)

    return scenario


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # trio, interrupted, leaves its own sockets to be collected
@pytest.mark.parametrize("scenario", [lifetime, token_call])
def test_ctrl_c_at_any_line_is_a_keyboard_interrupt(
    loop: Loop, net: Net, scenario: Callable[[Loop, Net], Scenario]
) -> None:
    lines = run(loop, scenario(loop, net))
    assert len(lines) > 50
    stride = STRIDE[loop.name]
    for line in lines[0 if net.server is None else stride // 2 :: stride]:
        with pytest.raises(BaseException) as caught:  # what it is, is the question
            run(loop, scenario(loop, net), line)
        assert type(caught.value) is KeyboardInterrupt, (line, caught.value)
    gc.collect()


async def asked_again(loop: Loop, second: Callable[[], Awaitable[str]]) -> list[KiwoomError]:
    """A client whose token is refused after a while, so that its callable is called again, and first does `second`.

    Returns:
        Why it was disconnected, each time.
    """
    causes: list[KiwoomError] = []
    exchange = Exchange(app_keys={"app": "secret"})
    async with loop.serve(exchange) as server:
        calls = 0

        async def token() -> str | Secret:
            nonlocal calls
            calls += 1
            return await second() if calls == 2 else (await issue(loop, server.endpoint, AppKey("app", "secret"))).value

        async with loop.connect(server.endpoint, token=token, config=CONFIG) as client:
            exchange.expire_tokens()
            exchange.drop()
            async for event in client:
                if isinstance(event, Disconnected):
                    causes.append(event.cause)
                elif isinstance(event, Gap):
                    break
    return causes


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_inside_a_token_callable_ends_it(loop: Loop, error: type[BaseException]) -> None:
    async def token() -> str:
        raise error

    with pytest.raises(error) as caught:
        anyio.run(asked_again, loop, token, **loop.backend())
    assert type(caught.value) is error


@pytest.mark.parametrize("when", ["first", "later"])
def test_ctrl_c_inside_a_token_callable_stops_it_there(loop: Loop, when: str) -> None:
    stopped: list[BaseException] = []

    async def token() -> str:
        try:
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep_forever()
        except BaseException as error:
            stopped.append(error)
            raise
        raise AssertionError

    async def first() -> None:
        async with loop.serve(Exchange()) as server, loop.connect(server.endpoint, token=token):
            raise AssertionError("the block must not be entered")

    with pytest.raises(KeyboardInterrupt):
        if when == "first":
            anyio.run(first, **loop.backend())
        else:
            anyio.run(asked_again, loop, token, **loop.backend())
    assert len(stopped) == 1


# Mistakes of ours.


class Mistake(Exception):
    """Nothing that the adapters expect."""


def mistaken(*arguments: object, **options: object) -> Any:
    raise Mistake


async def once(loop: Loop, net: Net) -> None:
    """Connect with a key, and be there."""
    async with (
        loop.serve(Exchange(app_keys={"app": "secret"}), ssl_context=net.server) as server,
        loop.connect(server.endpoint, token=AppKey("app", "secret"), config=CONFIG, ssl_context=net.client) as client,
    ):
        await client.subscribe("0E", ITEM)


@pytest.mark.parametrize(
    "owner, name",
    [
        (AppKey, "store"),
        (TokenCall, "receive_data"),
        (TokenCall, "data_to_send"),
        (Session, "receive_token"),
        (Session, "receive_data"),
    ],
)
async def test_a_mistake_of_ours_is_raised_as_itself(
    loop: Loop, net: Net, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """It is no fault of the token server's, of the network's, or of a callable's; and in no group of groups."""
    monkeypatch.setattr(owner, name, mistaken)
    with pytest.raises(Mistake):
        await once(loop, net)


async def test_a_mistake_of_ours_in_what_a_callable_returned_is_not_the_callable_s(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def token() -> str:
        monkeypatch.setattr(kiwoom_proto.client.credentials, "check_token", mistaken)
        return TOKEN

    with pytest.raises(Mistake):
        await asked_again(loop, token)


async def test_what_a_callable_raises_is_a_token_error_that_names_it(loop: Loop) -> None:
    async def token() -> str:
        raise Mistake

    [error] = [cause for cause in await asked_again(loop, token) if isinstance(cause, TokenError)]
    assert "the token callable raised Mistake" in str(error)
    assert isinstance(error.__cause__, Mistake)


@pytest.mark.parametrize("loop", [Loop(name) for name in LOOPS if name != "trio"], ids=lambda loop: loop.name)
async def test_what_a_callable_waited_for_and_somebody_else_cancelled_is_a_failure(loop: Loop) -> None:
    """On asyncio a callable can raise CancelledError although nobody cancels it; our task must not end of it."""

    async def token() -> str:
        shared: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        shared.cancel()
        return await shared

    [error] = [cause for cause in await asked_again(loop, token) if isinstance(cause, TokenError)]
    assert "what the token callable waited for was cancelled" in str(error)


def test_ctrl_c_interrupts_a_callback_on_trio() -> None:
    """A callback that hangs could not be ended otherwise. On asyncio Ctrl-C cancels the program's main task."""
    passed: list[Trade] = []

    def hang(row: Trade) -> None:
        signal.raise_signal(signal.SIGINT)
        passed.append(row)

    async def scenario() -> None:
        async with (
            kiwoom_trio.serve(Exchange(seed=1, rate=100)) as server,
            kiwoom_trio.connect(server.endpoint, token=TOKEN, config=CONFIG) as client,
        ):
            client.on(Trade, hang, ITEM)
            await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        trio.run(scenario)
    assert passed == []

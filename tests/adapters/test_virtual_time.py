"""Hours in seconds: trio's clock jumps whenever nothing happens, so the deadlines of a long day can be looked at."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio
import trio.testing
from tests.adapters.kit import raw_server
from tests.proto.wire import accept_handshake

import kiwoom_trio
from kiwoom_proto import AfterHoursQuote, ClientConfig, Closed, ConnectionLost
from kiwoom_proto.errors import DeadlineExceeded
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange

QUIET = 0.02
"""Real seconds in which nothing happens, after which the clock jumps: long enough for loopback to deliver."""


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=QUIET))


def test_the_heartbeat_keeps_a_quiet_connection_alive() -> None:
    async def scenario() -> None:
        async with kiwoom_trio.serve(Exchange()) as server:
            async with kiwoom_trio.connect(server.endpoint, token="key") as client:
                await trio.sleep(300)
                assert client.state is SessionState.READY
            assert [type(event) async for event in client] == [Closed]

    run(scenario)


def test_a_dead_connection_is_noticed_when_the_idle_time_is_over() -> None:
    async def scenario() -> None:
        exchange = Exchange()
        async with (
            kiwoom_trio.serve(exchange) as server,
            kiwoom_trio.connect(server.endpoint, token="key", config=ClientConfig(reconnect=False)) as client,
        ):
            exchange.stall()
            begin = trio.current_time()
            with pytest.raises(ConnectionLost) as caught:
                async for _ in client:
                    pass
            assert isinstance(caught.value.__cause__, DeadlineExceeded)
            assert caught.value.__cause__.phase == "idle"
            assert trio.current_time() - begin == pytest.approx(ClientConfig().idle_timeout, abs=1)

    run(scenario)


@pytest.mark.parametrize("phase, seconds", [("open", 7), ("login", 8)])
def test_a_server_that_says_nothing_is_given_up_in_time(phase: str, seconds: int) -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        request = await stream.receive()
        if phase == "login":
            await stream.send(accept_handshake(request))
        await trio.sleep_forever()

    async def scenario() -> None:
        config = ClientConfig(reconnect=False, open_timeout=7, login_timeout=8)
        async with raw_server(silent) as endpoint:
            begin = trio.current_time()
            with pytest.raises(ConnectionLost) as caught:
                async with kiwoom_trio.connect(endpoint, token="key", config=config):
                    raise AssertionError("the block must not be entered")
            assert isinstance(caught.value.__cause__, DeadlineExceeded)
            assert caught.value.__cause__.phase == phase
            assert trio.current_time() - begin == pytest.approx(seconds, abs=1)

    run(scenario)


def test_an_acknowledgement_that_comes_late_but_in_time_is_waited_for() -> None:
    async def scenario() -> None:
        exchange = Exchange()
        exchange.faults.ack_delay = 4.5
        async with (
            kiwoom_trio.serve(exchange) as server,
            kiwoom_trio.connect(server.endpoint, token="key") as client,
        ):
            begin = trio.current_time()
            await client.subscribe("0B", "005930")
            assert trio.current_time() - begin == pytest.approx(4.5, abs=0.2)

    run(scenario)


def test_requests_are_paced_so_that_none_is_refused() -> None:
    async def scenario() -> None:
        async with (
            kiwoom_trio.serve(Exchange()) as server,
            kiwoom_trio.connect(server.endpoint, token="key") as client,
        ):
            begin = trio.current_time()
            for number in range(10):
                await client.subscribe("0B", f"{number:06}")
            assert trio.current_time() - begin == pytest.approx(9 * 0.35, abs=0.3)

    run(scenario)


def test_rows_over_the_end_of_a_session() -> None:
    async def scenario() -> None:
        exchange = Exchange(start=datetime.time(15, 59, 58), rate=5)
        async with (
            kiwoom_trio.serve(exchange) as server,
            kiwoom_trio.connect(server.endpoint, token="key") as client,
        ):
            await client.subscribe(AfterHoursQuote, "005930")
            hours = []
            async for event in client:
                assert isinstance(event, AfterHoursQuote)
                assert event.time is not None
                hours.append(event.time.hour)
                if hours[-1] == 16:
                    break
            assert set(hours) == {15, 16}

    run(scenario)

"""Both adapters against a server that shares no code with them (see `independent`)."""

from __future__ import annotations

import asyncio
import json

import anyio
import anyio.lowlevel
import pytest
from tests.adapters.conftest import Net
from tests.adapters.independent import IndependentServer, Session
from tests.adapters.kit import ITEM, TOKEN, Loop, collect, until

from kiwoom_proto import (
    AfterHoursQuote,
    ClientConfig,
    Closed,
    ConnectionLost,
    Endpoint,
    Event,
    Record,
    RequestRefused,
    SystemNotice,
)
from kiwoom_proto.errors import LoginRefused
from kiwoom_proto.headers import RequestHeader


async def test_a_whole_life(loop: Loop, net: Net) -> None:
    async def script(session: Session) -> None:
        await session.login()
        await session.rows(1)  # before anything was asked for, which is odd and no harm
        registered = await session.acknowledge()
        assert registered == {
            "trnm": "REG",
            "grp_no": "1",
            "refresh": "1",
            "data": [{"item": [ITEM, "000660"], "type": ["0E"]}],
        }
        await session.rows(2, 3)
        await session.ping()
        await session.rows(4)
        removed = await session.acknowledge()
        assert removed == {"trnm": "REMOVE", "grp_no": "1", "data": [{"item": [ITEM, "000660"], "type": ["0E"]}]}
        await session.until_closed()

    with IndependentServer(script, net.server) as server:
        async with loop.connect(Endpoint(server.url), ssl_context=net.client) as client:
            await client.subscribe(AfterHoursQuote, ITEM, "000660")
            seen = []
            async for event in client:
                assert isinstance(event, AfterHoursQuote)
                seen.append((event.item, event.ask_quantity, event.ask_quantity_change, event.bid_quantity_change))
                if len(seen) == 4:
                    break
            assert seen == [(ITEM, number, 1, -1) for number in (1, 2, 3, 4)]
            await client.unsubscribe(AfterHoursQuote, ITEM, "000660")
        (session,) = server.sessions
        await until(lambda: session.closed)
        assert session.closed == (1000, "")
        assert json.loads(session.heard[0]) == {"trnm": "LOGIN", "token": TOKEN}
        assert session.path == "/api/dostk/websocket"


async def test_header_elements_travel_in_the_opening_handshake_and_only_when_asked_for(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.login()
        await session.until_closed()

    header = RequestHeader(api_id="0E", cont_yn="Y", next_key="k")
    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url), header=header):
            pass
        async with loop.connect(Endpoint(server.url)):
            pass
        with_header, without = [session.headers for session in server.sessions]
        assert with_header["api-id"] == "0E"
        assert with_header["authorization"] == f"Bearer {TOKEN}"
        assert (with_header["cont-yn"], with_header["next-key"]) == ("Y", "k")
        assert not {"api-id", "authorization", "cont-yn", "next-key"} & {name.lower() for name in without}


async def test_a_ping_is_answered_with_the_same_bytes_while_the_consumer_sleeps(loop: Loop) -> None:
    answered = False

    async def script(session: Session) -> None:
        nonlocal answered
        await session.login()
        for ping in ('{"trnm":"PING"}', '{"trnm": "PING"}', '{ "trnm" : "PING", "extra": [1, 2] }'):
            await session.send(ping)
            await session.receive()
            assert session.heard[-1] == ping
        answered = True
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url)):
            await until(lambda: answered)  # and never a look at the client


@pytest.mark.parametrize("overflow", ["drop_oldest", "conflate"])
async def test_a_ping_is_answered_while_the_consumer_is_stuck_and_its_buffer_overflows(
    loop: Loop, overflow: str
) -> None:
    pings = 0

    async def script(session: Session) -> None:
        nonlocal pings
        await session.login()
        for number in range(50):
            await session.rows(*range(number * 10, number * 10 + 10))
            await session.ping()
            pings += 1
        await session.until_closed()

    config = ClientConfig(
        reconnect=False, buffer_size=20, overflow="drop_oldest" if overflow == "drop_oldest" else "conflate"
    )
    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url), config=config) as client:
            async for event in client:
                assert isinstance(event, Record)
                await until(lambda: pings == 50)  # this handler takes its time
                break
            assert client.stats().dropped + client.stats().conflated > 100


async def test_a_ping_before_the_login_reply_is_answered(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.receive()
        await session.ping()
        await session.send({"trnm": "LOGIN", "return_code": 0, "return_msg": ""})
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url)):
            pass


async def test_a_refused_login_ends_with_the_reason(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.receive()
        text = "인증에 실패했습니다[CODE=8005, MESSAGE=Token이 유효하지 않습니다]"
        await session.send({"trnm": "LOGIN", "return_code": 805004, "return_msg": text})
        await session.send({"trnm": "SYSTEM", "code": "R10004", "message": "로그인 인증에 실패"})

    with IndependentServer(script) as server:
        with pytest.raises(LoginRefused) as caught:
            async with loop.connect(Endpoint(server.url)):
                raise AssertionError("the block must not be entered")
        assert (caught.value.code, caught.value.reason) == ("805004", "8005")


async def test_a_refused_request_is_raised_where_it_was_made(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.login()
        await session.receive()
        await session.send({"trnm": "REG", "return_code": 105115, "return_msg": "초과"})
        await session.acknowledge()
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(
            Endpoint(server.url), config=ClientConfig(reconnect=False, request_interval=0)
        ) as client:
            with pytest.raises(RequestRefused, match="105115") as caught:
                await client.subscribe("0E", ITEM)
            assert caught.value.message == "초과"
            await client.subscribe("0E", ITEM)


async def test_a_takeover_is_told_after_all_that_was_received(loop: Loop, net: Net) -> None:
    async def script(session: Session) -> None:
        await session.login()
        await session.acknowledge()
        await session.rows(*range(100))
        await session.send({"trnm": "SYSTEM", "code": "R10001", "message": "동일한 App key로 접속이 되었습니다"})

    with IndependentServer(script, net.server) as server:
        async with loop.connect(Endpoint(server.url), ssl_context=net.client) as client:
            await client.subscribe("0E", ITEM)
            events: list[Event] = []
            with pytest.raises(ConnectionLost, match="R10001") as caught:
                await collect(client, events)
            *rows, notice, closed = events
            assert [row.ask_quantity for row in rows if isinstance(row, AfterHoursQuote)] == list(range(100))
            assert isinstance(notice, SystemNotice)
            assert isinstance(closed, Closed)
            assert (closed.code, closed.reason, closed.system) == (1000, "Bye", notice)
            assert 'received 1000 (OK) "Bye"' in str(caught.value)


async def test_a_server_that_dies_is_told_with_what_it_had_said(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.login()
        await session.rows(1, 2)
        session.websocket.transport.abort()

    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url)) as client:
            events: list[Event] = []
            with pytest.raises(ConnectionLost):
                await collect(client, events)
            assert [type(event) for event in events] == [AfterHoursQuote, AfterHoursQuote, Closed]


async def test_rfc_6455_pings_are_answered_too(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.login()
        for _ in range(3):
            pong = await session.websocket.ping()
            async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(session.websocket.recv())
                await pong
                reading.cancel()
        await session.rows(1)
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url)) as client:
            async for event in client:
                assert isinstance(event, AfterHoursQuote)
                break


async def test_fragments_of_a_message_are_one_message(loop: Loop) -> None:
    async def script(session: Session) -> None:
        await session.login()
        await session.websocket.send(
            iter(['{"data":[{"values":{"131":"7"},"type"', ':"0E","item":"005930"}]', ',"trnm":"REAL"}'])
        )
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url)) as client:
            async for event in client:
                assert isinstance(event, AfterHoursQuote)
                assert event.ask_quantity == 7
                break


async def test_requests_leave_at_the_pace_that_was_configured(loop: Loop) -> None:
    times: list[float] = []

    async def script(session: Session) -> None:
        await session.login()
        for _ in range(4):
            await session.acknowledge()
            times.append(asyncio.get_running_loop().time())
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(
            Endpoint(server.url), config=ClientConfig(reconnect=False, request_interval=0.1)
        ) as client:
            for number in range(4):
                await client.subscribe("0E", f"{number:06}")
    assert times[-1] - times[0] > 0.25


async def test_many_rows_through_a_busy_program(loop: Loop) -> None:
    """Thousands of rows, taken by a consumer that yields to others: none lost, none out of order."""
    count = 5000

    async def script(session: Session) -> None:
        await session.login()
        for first in range(0, count, 50):
            await session.rows(*range(first, first + 50))
        await session.until_closed()

    with IndependentServer(script) as server:
        async with loop.connect(Endpoint(server.url)) as client:
            numbers = []
            async for event in client:
                assert isinstance(event, AfterHoursQuote)
                numbers.append(event.ask_quantity)
                if len(numbers) % 500 == 0:
                    await anyio.lowlevel.checkpoint()
                if len(numbers) == count:
                    break
            assert numbers == list(range(count))

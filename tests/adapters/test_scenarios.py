"""What a program can rely on, the same on every loop: from connecting to the end, against the exchange."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, TOKEN, Client, Loop, collect, until

from kiwoom_proto import (
    AfterHoursQuote,
    ClientConfig,
    Closed,
    ConnectionLost,
    Endpoint,
    Event,
    LocalProtocolError,
    Record,
    RequestRefused,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.client.errors import BufferOverflow, RequestTimeout
from kiwoom_proto.config import Overflow
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    LoginRefused,
    QuotaExceeded,
    TakenOver,
)
from kiwoom_proto.events import RequestAccepted
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.wire.messages import Element, Reg, Remove


async def drain(client: Client) -> list[Event]:
    """Iterate to the quiet end."""
    return [event async for event in client]


async def drain_until_lost(client: Client) -> tuple[list[Event], ConnectionLost]:
    """Iterate to an end that was not asked for."""
    events: list[Event] = []
    with pytest.raises(ConnectionLost) as caught:
        await collect(client, events)
    return events, caught.value


async def next_quote(client: Client) -> AfterHoursQuote:
    async for event in client:
        if isinstance(event, AfterHoursQuote):
            return event
    raise AssertionError("the iteration ended")


# A life.


async def test_a_whole_life(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        loop.connect(server.endpoint, ssl_context=net.client) as client,
    ):
        assert server.endpoint.secure is (net.server is not None)
        assert repr(client) == f"<Client {server.endpoint}, ready>"
        request = await client.subscribe(AfterHoursQuote, ITEM, "000660")
        assert request.confirmed == 1
        seen: list[AfterHoursQuote] = []
        async for event in client:
            assert isinstance(event, AfterHoursQuote)
            seen.append(event)
            if len(seen) == 20:
                break
        assert {quote.item for quote in seen} == {ITEM, "000660"}
        assert abs(seen[-1].received_at / 1e9 - time.time()) < 60
        assert [quote.received_at for quote in seen] == sorted(quote.received_at for quote in seen)
        await client.unsubscribe(AfterHoursQuote, ITEM, "000660")
        assert exchange.links[0].registered == {}
        await client.aclose()
        assert client.state is SessionState.CLOSED
        *rest, closed = await drain(client)
        assert all(isinstance(event, AfterHoursQuote) for event in rest)
        assert isinstance(closed, Closed)
        assert (closed.code, closed.error) == (1000, None)
        await until(lambda: not exchange.links)


async def test_leaving_the_block_closes(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    async with loop.serve(exchange, ssl_context=net.server) as server:
        async with loop.connect(server.endpoint, ssl_context=net.client) as client:
            await client.subscribe("0E", ITEM)
            await next_quote(client)
        assert client.state is SessionState.CLOSED
        (*_, closed) = await drain(client)
        assert isinstance(closed, Closed)
        assert (closed.code, closed.sent_code, closed.error) == (1000, 1000, None)
        await until(lambda: not exchange.links)


async def test_every_row_sent_arrives_in_order(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        loop.connect(server.endpoint, ssl_context=net.client) as client,
    ):
        await client.subscribe("0E", ITEM)
        await until(lambda: exchange.rows_sent > 50)
        exchange.faults.split = True  # every byte on its own
        await until(lambda: exchange.rows_sent > 100)
        exchange.faults.split = False
        exchange.kick()
        events, _ = await drain_until_lost(client)
        quotes = [event for event in events if isinstance(event, AfterHoursQuote)]
        assert len(quotes) == exchange.rows_sent
        for before, after in pairwise(quotes):
            assert after.ask_quantity == (before.ask_quantity or 0) + (after.ask_quantity_change or 0)


async def test_several_clients_at_once(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token="one") as first,
        loop.connect(server.endpoint, token="two") as second,
    ):
        await first.subscribe("0E", "000001")
        await second.subscribe("0E", "000002")
        assert (await next_quote(first)).item == "000001"
        assert (await next_quote(second)).item == "000002"


async def test_requests_of_several_tasks_are_each_told_of_their_own_reply(loop: Loop) -> None:
    """All three are made at once; the second is the one that the server refuses."""
    accepted: list[str] = []
    refused: list[str] = []
    config = ClientConfig(reconnect=False, request_interval=0, items_per_request=201, item_limit=1000)
    async with loop.serve(Exchange()) as server, loop.connect(server.endpoint, config=config) as client:

        async def subscribe(group: str, count: int) -> None:
            try:
                await client.subscribe("0E", *(f"{group}{item:05}" for item in range(count)), group=group)
            except RequestRefused as error:
                assert error.request.group == group
                refused.append(group)
            else:
                accepted.append(group)

        async with anyio.create_task_group() as tasks:
            for group, count in (("1", 1), ("2", 201), ("3", 1)):
                tasks.start_soon(subscribe, group, count)
    assert (sorted(accepted), refused) == (["1", "3"], ["2"])


async def test_a_request_of_ones_own_making(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        elements = (Element(("1", "2"), ("0E", "0B")), Element(("",), ("00",)))
        await client.request(Reg("7", "1", elements))
        assert exchange.links[0].registered == {
            "7": dict.fromkeys([("0E", "1"), ("0B", "1"), ("0E", "2"), ("0B", "2"), ("00", "")])
        }
        await client.request(Remove("7", elements[:1]))
        assert exchange.links[0].registered == {"7": {("00", ""): None}}


async def test_header_elements_are_sent_and_the_answer_is_exposed(loop: Loop, net: Net) -> None:
    async with loop.serve(Exchange(), ssl_context=net.server) as server:
        async with loop.connect(server.endpoint, header=RequestHeader(api_id="0E"), ssl_context=net.client) as client:
            assert client.header is not None
            assert (client.header.api_id, client.header.cont_yn, client.header.next_key) == ("0E", "N", None)
            assert client.endpoint == server.endpoint
        async with loop.connect(server.endpoint, ssl_context=net.client) as client:
            assert client.header is not None
            assert client.header.api_id is None


async def test_stats_and_repr(loop: Loop) -> None:
    async with loop.serve(Exchange(rate=500)) as server, loop.connect(server.endpoint) as client:
        assert repr(client) == f"<Client {server.endpoint}, ready>"
        await client.subscribe("0E", ITEM)
        await until(lambda: client.stats().waiting > 10)
        stats = client.stats()
        assert (stats.received, stats.delivered, stats.dropped, stats.conflated) == (stats.waiting, 0, 0, 0)
        assert stats.lag >= 0
        assert stats.bytes_received > 1000
        assert (stats.undecodable, stats.connections, stats.gaps) == (0, 1, 0)
        await next_quote(client)
        assert client.stats().delivered == 1


# Tokens.


async def test_a_token_can_be_an_async_callable(loop: Loop) -> None:
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        return "issued"

    exchange = Exchange(tokens={"issued": "key"})
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, token=token):
        assert exchange.links[0].key == "key"
    assert asked == 1


async def test_a_token_callable_that_fails_fails_as_itself_and_nothing_is_dialled(loop: Loop) -> None:
    async def token() -> str:
        raise LookupError("no token today")

    exchange = Exchange()
    async with loop.serve(exchange) as server:
        with pytest.raises(LookupError, match="no token today"):
            async with loop.connect(server.endpoint, token=token):
                pass
        assert exchange.links == []


@pytest.mark.parametrize("token", ["", "Bearer abc", "two\nlines", "한글"])
async def test_a_token_that_cannot_be_one_is_refused_before_anything_is_dialled(loop: Loop, token: str) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server:
        with pytest.raises(LocalProtocolError, match="token"):
            async with loop.connect(server.endpoint, token=token):
                pass
        assert exchange.links == []


@pytest.mark.parametrize("mock", [False, True])
async def test_login_refused(loop: Loop, net: Net, mock: bool) -> None:
    exchange = Exchange(tokens={}, mock=mock)
    async with loop.serve(exchange, ssl_context=net.server) as server:
        with pytest.raises(LoginRefused, match="8005") as caught:
            async with loop.connect(server.endpoint, ssl_context=net.client):
                raise AssertionError("the block must not be entered")
        assert (caught.value.code, caught.value.reason) == ("805004", "8005")
        await until(lambda: not exchange.links)


async def test_the_token_is_never_shown(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    exchange = Exchange(tokens={TOKEN: "key"}, rate=500)
    header = RequestHeader(api_id="0E")
    async with loop.serve(exchange) as server:
        async with loop.connect(server.endpoint, header=header) as client:
            shown += [repr(client), repr(exchange.links[0].connection), repr(client.header)]
            await client.subscribe("0E", ITEM)
            shown.append(repr(await next_quote(client)))
            exchange.kick()
            events, lost = await drain_until_lost(client)
            shown += [repr(events), *traceback.format_exception(lost)]
            with pytest.raises(ConnectionLost) as again:
                await client.subscribe("0E", ITEM)
            shown += traceback.format_exception(again.value)
        refusing = Exchange(tokens={})
        async with loop.serve(refusing) as strict:
            with pytest.raises(LoginRefused) as refused:
                async with loop.connect(strict.endpoint, header=header):
                    pass
            shown += traceback.format_exception(refused.value)
        exchange.faults.http_status = 401
        with pytest.raises(ConnectionLost) as unauthorized:
            async with loop.connect(server.endpoint, header=header):
                pass
        shown += traceback.format_exception(unauthorized.value)
    with pytest.raises(LocalProtocolError) as invalid:
        async with loop.connect(server.endpoint, token=f"Bearer {TOKEN}"):
            pass
    shown.append(str(invalid.value))
    assert TOKEN not in "".join(shown)
    assert TOKEN not in caplog.text


# Requests.


async def test_a_request_that_is_refused_is_raised_where_it_was_made_and_nothing_of_it_is_wanted(
    loop: Loop, net: Net
) -> None:
    exchange = Exchange(rate=5)
    config = ClientConfig(reconnect=False, request_interval=0, item_limit=1000)
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        loop.connect(server.endpoint, ssl_context=net.client, config=config) as client,
    ):
        with pytest.raises(RequestRefused, match="105118"):
            await client.subscribe("0E", *(f"{number:06}" for number in range(201)))
        await client.subscribe("0E", ITEM)
        assert (await next_quote(client)).item
        await until(lambda: exchange.links[0].registered == {"1": {("0E", ITEM): None}})
        assert [subscription.item for subscription in client.subscriptions] == [ITEM]


async def test_more_than_the_quota_is_refused_with_the_arithmetic_and_nothing_is_sent(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        await client.subscribe("0E", ITEM, f"{ITEM}_NX")
        with pytest.raises(QuotaExceeded, match="2 of 200 are in use and 199 more were asked for, 1 too many"):
            await client.subscribe("0B", *(f"{number:06}" for number in range(199)))
        assert len(exchange.links[0].pairs()) == 2


async def test_what_two_want_goes_on_until_both_have_let_go(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        await client.subscribe("0E", ITEM)
        await client.subscribe("0E", ITEM)
        await client.unsubscribe("0E", ITEM)
        assert exchange.links[0].pairs() == {("0E", ITEM): None}
        await client.unsubscribe("0E", ITEM)
        assert exchange.links[0].pairs() == {}


async def test_a_call_need_not_wait(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        request = await client.subscribe("0E", ITEM, wait=False)
        assert request.confirmed == 0
        async for event in client:
            if isinstance(event, RequestAccepted):
                assert event.request is request
                break


async def test_a_request_that_cannot_be_right_changes_nothing(loop: Loop) -> None:
    exchange = Exchange(mock=True)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        with pytest.raises(LocalProtocolError, match="items"):
            await client.subscribe("0E")
        with pytest.raises(LocalProtocolError, match="KRX only"):
            await client.subscribe("0E", "005930_NX")
        with pytest.raises(LocalProtocolError, match="grp_no"):
            await client.subscribe("0E", ITEM, group="12345")
        assert exchange.links[0].registered == {}
        await client.subscribe("0E", ITEM)


async def test_a_call_that_was_cancelled_is_taken_back(loop: Loop) -> None:
    exchange = Exchange()
    exchange.faults.ack_delay = 0.2
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.subscribe("0B", "000001")
        assert scope.cancelled_caught
        exchange.faults.ack_delay = 0.0
        request = await client.subscribe("0B", "000002")
        assert request.items == ("000002",)
        await until(lambda: exchange.links[0].registered == {"1": {("0B", "000002"): None}})


async def test_a_lost_acknowledgement_ends_the_connection(loop: Loop) -> None:
    exchange = Exchange()
    exchange.faults.lose_acks = 1
    config = ClientConfig(reconnect=False, ack_timeout=0.1)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        with pytest.raises(ConnectionLost, match="ack_timeout") as caught:
            await client.subscribe("0E", ITEM)
        assert isinstance(caught.value.__cause__, DeadlineExceeded)
        assert caught.value.__cause__.phase == "ack"
        assert client.state is SessionState.CLOSED


async def test_a_search_without_an_answer_fails_alone(loop: Loop) -> None:
    exchange = Exchange(rate=50)
    config = ClientConfig(ack_timeout=0.2, request_interval=0.01)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        await client.subscribe("0D", "005930")
        for call in (
            client.list_conditions,
            lambda: client.search_condition("0"),
            lambda: client.search_condition("0", realtime=True),
            lambda: client.clear_condition("0"),
        ):
            exchange.faults.lose_acks = 100
            with pytest.raises(RequestTimeout, match=r"not answered within 0\.2 s \(ack_timeout\)") as caught:
                await call()
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.request.kind.is_condition
        exchange.faults.lose_acks = 0
        assert (await client.search_condition("0")).rows
        assert client.stats().connections == 1
        async for event in client:
            assert isinstance(event, Record)
            break


async def test_subscribing_after_the_loss_raises_the_loss(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        exchange.kick()
        _, lost = await drain_until_lost(client)
        for call in (client.subscribe, client.unsubscribe):
            with pytest.raises(ConnectionLost, match="R10001") as caught:
                await call("0E", ITEM)
            assert caught.value.closed is lost.closed
        with pytest.raises(ConnectionLost, match="R10001"):
            await client.request(Reg("1", "1", (Element((ITEM,), ("0E",)),)))


async def test_a_call_that_waits_is_told_of_the_loss(loop: Loop) -> None:
    exchange = Exchange()
    exchange.faults.lose_acks = 1
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        caught: list[ConnectionLost] = []

        async def subscribe() -> None:
            with pytest.raises(ConnectionLost) as lost:
                await client.subscribe("0E", ITEM)
            caught.append(lost.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(subscribe)
            await until(lambda: exchange.faults.lose_acks == 0)
            exchange.drop()
        assert isinstance(caught[0].closed.error, ClosedByPeer)


# The end.


async def test_a_kick_ends_the_iteration_after_everything_received_and_says_why(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        loop.connect(server.endpoint, ssl_context=net.client) as client,
    ):
        await client.subscribe("0E", ITEM)
        await until(lambda: exchange.rows_sent > 20)
        exchange.kick()
        await until(lambda: client.state is SessionState.CLOSED)
        events, lost = await drain_until_lost(client)
        *rows, notice, closed = events
        assert len(rows) == exchange.rows_sent
        assert isinstance(notice, SystemNotice)
        assert notice.code == "R10001"
        assert closed is lost.closed
        assert "R10001 (the same app key connected elsewhere" in str(lost)
        assert isinstance(lost.__cause__, TakenOver)
        with pytest.raises(ConnectionLost):  # and again, for whoever asks again
            await anext(aiter(client))


async def test_a_second_login_with_the_same_key_ends_the_first(loop: Loop) -> None:
    exchange = Exchange(tokens={"one": "key", "two": "key"})
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token="one") as first,
        loop.connect(server.endpoint, token="two") as second,
    ):
        _, lost = await drain_until_lost(first)
        assert "R10001" in str(lost)
        assert second.state is SessionState.READY


async def test_a_cut_connection_ends_the_iteration(loop: Loop, net: Net) -> None:
    exchange = Exchange(rate=500)
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        loop.connect(server.endpoint, ssl_context=net.client) as client,
    ):
        await client.subscribe("0E", ITEM)
        await next_quote(client)
        exchange.drop()
        events, lost = await drain_until_lost(client)
        assert events[-1] is lost.closed
        assert lost.closed.code == 1006


async def test_aclose_ends_the_iteration_quietly(loop: Loop) -> None:
    async with loop.serve(Exchange()) as server, loop.connect(server.endpoint) as client:
        events: list[Event] = []

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, client, events)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()
        assert [type(event) for event in events] == [Closed]
        await client.aclose()  # again, and nothing happens
        assert await drain(client) == []


async def test_what_was_received_can_still_be_iterated_after_aclose(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    async with loop.serve(exchange) as server:
        async with loop.connect(server.endpoint) as client:
            await client.subscribe("0E", ITEM)
            await until(lambda: exchange.rows_sent > 20)
            await client.aclose()
        rows = [event for event in await drain(client) if isinstance(event, AfterHoursQuote)]
        assert len(rows) == exchange.rows_sent


async def test_aclose_takes_at_most_its_time_when_the_server_is_silent(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server:
        async with loop.connect(server.endpoint, config=ClientConfig(reconnect=False, close_timeout=0.1)) as client:
            exchange.stall()
            begin = anyio.current_time()
            await client.aclose()
            assert 0.05 < anyio.current_time() - begin < 3
        (closed,) = await drain(client)
        assert isinstance(closed, Closed)
        assert client.state is SessionState.CLOSED


async def test_a_silent_server_is_given_up_when_the_idle_time_is_over(loop: Loop) -> None:
    exchange = Exchange()
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, config=ClientConfig(reconnect=False, idle_timeout=0.2)) as client,
    ):
        exchange.stall()
        _, lost = await drain_until_lost(client)
        assert "idle_timeout" in str(lost)


async def test_garbage_is_handed_over_and_the_stream_goes_on(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        exchange.garbage(b"{]")
        async for event in client:
            assert isinstance(event, UnknownMessage)
            assert event.payload == b"{]"
            break
        await client.subscribe("0E", ITEM)
        await next_quote(client)


# Exceptions of the program's own.


class Mine(Exception):
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mine("mine"),
        lambda: ExceptionGroup("mine", [Mine(), ValueError()]),
        lambda: BaseExceptionGroup("mine", [SystemExit(3)]),
        lambda: StopAsyncIteration("mine"),
        lambda: StopIteration("mine"),
        lambda: TimeoutError("mine"),
        lambda: OSError("mine"),
        lambda: SystemExit(3),
    ],
    ids=["plain", "group", "base group", "StopAsyncIteration", "StopIteration", "TimeoutError", "OSError", "exit"],
)
async def test_an_exception_in_the_block_comes_out_as_itself(loop: Loop, make: Callable[[], BaseException]) -> None:
    exchange = Exchange()
    error = make()
    async with loop.serve(exchange) as server:
        with pytest.raises(type(error)) as caught:
            async with loop.connect(server.endpoint):
                raise error
        assert caught.value is error
        await until(lambda: not exchange.links)


async def test_a_lost_connection_comes_out_of_the_block_as_itself(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server:
        with pytest.raises(ConnectionLost) as caught:
            async with loop.connect(server.endpoint) as client:
                exchange.drop()
                await drain(client)
        assert isinstance(caught.value.__cause__, ClosedByPeer)


async def test_the_block_can_be_left_after_the_loss_was_dealt_with(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        exchange.drop()
        await drain_until_lost(client)


# A slow consumer.


async def test_raise_ends_the_connection_of_a_consumer_that_is_too_slow(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    config = ClientConfig(reconnect=False, request_interval=0, buffer_size=20, overflow="raise")
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        await client.subscribe("0E", ITEM)
        await until(lambda: client.state is SessionState.CLOSED)
        events: list[Event] = []
        with pytest.raises(BufferOverflow, match="buffer_size"):
            await collect(client, events)
        rows = [event for event in events if isinstance(event, Record)]
        assert len(rows) >= 20  # more where one read brought several while little waited
        assert isinstance(events[-1], Closed)


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
async def test_a_lenient_policy_keeps_the_connection_of_a_consumer_that_is_too_slow(
    loop: Loop, policy: Overflow
) -> None:
    exchange = Exchange(rate=500)
    config = ClientConfig(reconnect=False, request_interval=0, buffer_size=20, overflow=policy)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        await client.subscribe("0E", ITEM, "000660")
        await until(lambda: client.stats().dropped + client.stats().conflated > 200)
        stats = client.stats()
        assert (stats.dropped == 0) is (policy == "conflate")
        assert (stats.conflated == 0) is (policy == "drop_oldest")
        assert stats.waiting <= 20
        assert client.state is SessionState.READY
        await next_quote(client)
        await client.unsubscribe("0E", ITEM, "000660")


async def test_no_policy_drops_a_notice(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    config = ClientConfig(reconnect=False, request_interval=0, buffer_size=20, overflow="drop_oldest")
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=config) as client:
        exchange.garbage(b"first of all")
        await client.subscribe("0E", ITEM)
        await until(lambda: client.stats().dropped > 100)
        exchange.kick()
        events, _ = await drain_until_lost(client)
        assert isinstance(events[0], UnknownMessage)
        assert [type(event) for event in events[-2:]] == [SystemNotice, Closed]


# Two consumers.


async def test_two_tasks_that_iterate_lose_nothing(loop: Loop) -> None:
    exchange = Exchange(rate=500)
    seen: list[list[Event]] = [[], []]
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:

        async def iterate(number: int) -> None:
            try:
                async for event in client:
                    seen[number].append(event)
                    await anyio.lowlevel.checkpoint()
            except ConnectionLost:
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(iterate, 0)
            tasks.start_soon(iterate, 1)
            await client.subscribe("0E", ITEM)
            await until(lambda: exchange.rows_sent > 200)
            exchange.kick()
        rows = [event for event in (*seen[0], *seen[1]) if isinstance(event, AfterHoursQuote)]
        assert len(rows) == len({id(row) for row in rows}) == exchange.rows_sent
        for one in seen:
            numbers = [event.received_at for event in one if isinstance(event, Record)]
            assert numbers == sorted(numbers)


async def test_what_one_task_leaves_the_other_gets(loop: Loop) -> None:
    """Two tasks wait; several events come at once; one task takes one of them and has had enough."""
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        taken: list[Event] = []

        async def take(count: int) -> None:
            while count:
                taken.append(await anext(aiter(client)))
                count -= 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, 1)
            tasks.start_soon(take, 3)
            await anyio.wait_all_tasks_blocked()
            for _ in range(4):
                exchange.garbage()
            with anyio.move_on_after(1):
                await until(lambda: len(taken) == 4)
            tasks.cancel_scope.cancel()
        assert len(taken) == 4


async def test_the_end_is_not_told_before_everything_was_delivered(loop: Loop) -> None:
    """Two tasks wait; one stops after its first event, if it gets any; the other gets the rest, and then the end."""
    exchange = Exchange()
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        taken: list[Event] = []

        async def take_one() -> None:
            try:
                taken.append(await anext(aiter(client)))
            except ConnectionLost:
                pass  # the other was faster and has it all

        async def take_all() -> None:
            with pytest.raises(ConnectionLost):
                await collect(client, taken)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_one)
            tasks.start_soon(take_all)
            await anyio.wait_all_tasks_blocked()
            for _ in range(4):
                exchange.garbage()
            exchange.kick()
        assert sorted(type(event).__name__ for event in taken) == ["Closed", "SystemNotice", *["UnknownMessage"] * 4]


# The simulated exchange on a port.


async def test_an_exception_in_the_serve_block_comes_out_as_itself(loop: Loop) -> None:
    with pytest.raises(Mine):
        async with loop.serve(Exchange()):
            raise Mine


async def test_leaving_the_serve_block_cuts_its_clients(loop: Loop) -> None:
    endpoints: list[Endpoint] = []
    leave = anyio.Event()

    async def serve() -> None:
        async with loop.serve(Exchange()) as server:
            endpoints.append(server.endpoint)
            await leave.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await until(lambda: endpoints)
        async with loop.connect(endpoints[0]) as client:
            leave.set()
            _, lost = await drain_until_lost(client)
            assert lost.closed.code == 1006


async def test_a_port_that_is_taken_is_an_oserror(loop: Loop) -> None:
    async with loop.serve(Exchange()) as server:
        with pytest.raises(OSError):
            async with loop.serve(Exchange(), port=server.endpoint.port):
                pass


async def test_an_exchange_is_put_on_a_port_once(loop: Loop) -> None:
    exchange = Exchange()
    async with loop.serve(exchange):
        with pytest.raises(LocalProtocolError, match="clock"):
            async with loop.serve(exchange):
                pass


async def test_a_mock_exchange_gives_a_mock_endpoint(loop: Loop) -> None:
    async with loop.serve(Exchange(mock=True)) as server:
        assert server.endpoint == Endpoint(server.endpoint.url, mock=True)

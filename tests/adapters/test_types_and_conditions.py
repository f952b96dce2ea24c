"""Every real-time type, and condition search, end to end over a socket: the same on trio and on asyncio."""

from __future__ import annotations

import datetime

import anyio
import pytest
from tests.adapters.kit import TOKEN, Loop

import kiwoom_proto.simulator.conditions
from kiwoom_proto import (
    MOCK,
    REALTIME,
    AfterHoursQuote,
    ClientConfig,
    ConditionHit,
    LocalProtocolError,
    Record,
    UsConditionHit,
)
from kiwoom_proto.errors import RemoteProtocolError
from kiwoom_proto.realtime.conditions import Condition, ConditionRow, UsConditionRow
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.wire.messages import Element, Reg

DAYTIME, AUCTION, AFTER_HOURS, US_EVENING = (datetime.time(hour) for hour in (10, 8, 16, 23))
STOCK, NVDA = ("005930",), ("NVDA:ND",)
# What is registered together, and when the market begins for it.
GROUPS: dict[str, tuple[datetime.time, list[tuple[tuple[str, ...], tuple[str, ...]]]]] = {
    "domestic, by day": (
        DAYTIME,
        [
            (("0A", "0B", "0C", "0D", "0F", "0g", "0w"), STOCK),
            (("0G",), ("069500",)),
            (("0I",), ("MGD",)),
            (("0J", "0U"), ("001",)),
            (("0m", "0u"), ("57JBHH",)),
            (("00", "04", "1h"), ("",)),
        ],
    ),
    "market phases": (DAYTIME, [(("0s",), ("",))]),
    "auction": (AUCTION, [(("0H",), STOCK)]),
    "after hours": (AFTER_HOURS, [(("0E",), STOCK)]),
    "US": (US_EVENING, [(("F4", "F5", "FE", "FT"), NVDA)]),
}


def test_the_groups_are_the_whole_catalogue() -> None:
    types = {code for _, elements in GROUPS.values() for codes, _ in elements for code in codes}
    assert types | {"02", "S2"} == set(REALTIME)


@pytest.mark.parametrize("group", GROUPS)
async def test_rows_of_every_type_come_typed(loop: Loop, group: str) -> None:
    start, elements = GROUPS[group]
    wanted = {code for codes, _ in elements for code in codes}
    exchange = Exchange(seed=3, start=start, rate=40)
    async with loop.serve(exchange) as server:
        endpoint = server.us_endpoint if group == "US" else server.endpoint
        async with loop.connect(endpoint) as client:
            await client.request(Reg("1", "1", tuple(Element(items, codes) for codes, items in elements)))
            if {"00", "F4"} & wanted:
                exchange.place_order(TOKEN, "NVDA:ND" if group == "US" else "005930", "buy", 10)
            seen: dict[str, Record] = {}
            async for event in client:
                if isinstance(event, Record):
                    seen[event.type_code] = event
                    if seen.keys() == wanted:
                        break
    for code, record in seen.items():
        assert type(record) is REALTIME[code]
        assert record.to_dict(masked=False)["fids"] == record.fids()
        for name in record.fields:
            getattr(record, name)  # none raises


class MyQuote(AfterHoursQuote):
    """Stands for the class of the catalogue."""


class Odd(Record, tag="ZZ"):
    """A type of one's own."""


async def test_rows_of_classes_of_ones_own(loop: Loop) -> None:
    async with (
        loop.serve(Exchange(seed=3, start=AFTER_HOURS, rate=40)) as server,
        loop.connect(server.endpoint, types=[MyQuote, Odd]) as client,
    ):
        await client.subscribe(Odd, "005930")
        await client.subscribe(MyQuote, "005930")
        async for event in client:
            if isinstance(event, Record):
                assert type(event) is MyQuote
                break
        await client.unsubscribe("ZZ", "005930")


@pytest.mark.parametrize("item", ["A005930", "005930.KS", "5930", "005930,000660"])
async def test_a_mistake_is_told_before_anything_is_sent(loop: Loop, item: str) -> None:
    async with loop.serve(Exchange(seed=3)) as server, loop.connect(server.endpoint) as client:
        for ask in (client.subscribe, client.unsubscribe):
            for type in ("0B", "0b", "FE"):
                with pytest.raises(LocalProtocolError, match=r"mean|argument of its own|US path"):
                    await ask(type, item)
        assert client.subscriptions == ()


async def test_types_that_are_none_are_refused_before_anything_is_dialled(loop: Loop) -> None:
    with pytest.raises(LocalProtocolError, match="types: "):
        async with loop.connect(MOCK, types=[Record]):
            raise AssertionError("not reached")


async def test_conditions_are_listed(loop: Loop) -> None:
    exchange = Exchange(conditions={"0": "급등", "7": "신고가"})
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        assert await client.list_conditions() == (Condition("0", "급등"), Condition("7", "신고가"))


@pytest.mark.parametrize("us", [False, True])
async def test_a_search_is_followed_page_by_page(loop: Loop, us: bool) -> None:
    exchange = Exchange(seed=1)
    async with loop.serve(exchange) as server, loop.connect(server.us_endpoint if us else server.endpoint) as client:
        rows = [row async for row in client.search_condition_rows("0")]
        first = await client.search_condition("0")
    assert [row.symbol for row in rows[: len(first.rows)]] == [row.symbol for row in first.rows]
    assert len(rows) > len(first.rows) or first.next_key is None
    assert len({row.symbol for row in rows}) == len(rows) > 0
    assert all(isinstance(row, UsConditionRow if us else ConditionRow) and row.price for row in rows)


async def test_pages_that_go_round_and_round_are_an_error_and_the_connection_goes_on(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kiwoom_proto.simulator.conditions, "PAGE", 0)  # each page is empty, and the next the same
    async with loop.serve(Exchange(seed=1)) as server, loop.connect(server.endpoint) as client:
        with pytest.raises(RemoteProtocolError, match="page 2 of its search gives the next_key of a page before it"):
            async for _ in client.search_condition_rows("0"):
                raise AssertionError("there are no rows")
        assert await client.list_conditions()


@pytest.mark.parametrize("us", [False, True])
async def test_a_live_search_tells_who_enters_and_leaves_until_it_is_cleared(loop: Loop, us: bool) -> None:
    exchange = Exchange(seed=1, rate=20, start=US_EVENING if us else DAYTIME)
    async with loop.serve(exchange) as server, loop.connect(server.us_endpoint if us else server.endpoint) as client:
        result = await client.search_condition("0", realtime=True)
        hits = 0
        async for event in client:
            assert isinstance(event, UsConditionHit if us else ConditionHit)
            assert result.matches(event)
            hits += 1
            if hits == 3:
                break
        await client.clear_condition("0")


async def test_a_search_left_live_by_an_earlier_connection_is_taken_over(loop: Loop) -> None:
    """900003 outlives a reconnect for a while; nobody has to know."""
    config = ClientConfig(reconnect=False, request_interval=0)
    async with loop.serve(Exchange(seed=1)) as server:
        for _ in range(2):
            async with loop.connect(server.endpoint, config=config) as client:
                with anyio.fail_after(5):
                    result = await client.search_condition("0", realtime=True)
                assert result.symbols


async def test_a_reply_that_is_no_event_of_its_own_lets_the_next_paced_request_out(loop: Loop) -> None:
    """The list that a first search asks for is answered without an event; the search itself is due a little later."""
    config = ClientConfig(request_interval=0.1)
    async with loop.serve(Exchange(seed=1)) as server, loop.connect(server.endpoint, config=config) as client:
        with anyio.fail_after(5):
            assert (await client.search_condition("0")).rows

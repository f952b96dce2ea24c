"""What type checkers know of streams, callbacks and newest rows. Nothing here runs: mypy checks it.

A wrong use is marked `type: ignore`, which mypy reports where it is not needed.
"""

from __future__ import annotations

from typing import assert_type

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import (
    ConditionHit,
    Gap,
    OrderBook,
    OrderExecution,
    Record,
    Stale,
    Symbol,
    Trade,
    UsConditionHit,
    UsTrade,
)
from kiwoom_proto.client.condition_stream import ConditionChange
from kiwoom_proto.client.listeners import Listener
from kiwoom_proto.client.streams import Stream
from kiwoom_proto.events import Evicted, MemberLost, RecordingHole, StreamGap, Unplaced


class Own(Record, tag="ZZ"):
    """A type of one's own."""


def take_trade(row: Trade) -> None: ...
def take_book(row: OrderBook) -> None: ...
def take_record(row: Record) -> object: ...
def take_gap(gap: StreamGap) -> None: ...


async def streams(client: kiwoom_asyncio.Client | kiwoom_trio.Client) -> None:
    async with client.stream(Trade, "005930", Symbol("000660")) as trades:
        assert_type(trades, Stream[Trade])
        async for trade in trades:
            assert_type(trade, Trade)
            assert_type(trade.price, int | None)
        assert_type(await anext(trades), Trade)
        assert_type(trades.gaps, int)
    async with client.stream(UsTrade, "NVDA:ND", gaps="ignore", overflow="conflate") as us:
        assert_type(await anext(us), UsTrade)
    async with client.stream(Trade, "005930", gaps=take_gap) as called:
        assert_type(await anext(called), Trade)
    async with client.stream(Own, "005930") as own:
        assert_type(await anext(own), Own)


async def streams_with_gaps(client: kiwoom_asyncio.Client) -> None:
    async with client.stream(OrderBook, "005930", gaps="items") as books:
        async for event in books:
            assert_type(event, OrderBook | StreamGap)
            if isinstance(event, Gap):
                assert_type(event.seconds, float)
            elif isinstance(event, OrderBook):
                assert_type(event, OrderBook)
            else:
                assert_type(event, Unplaced | Evicted | MemberLost | Stale | RecordingHole)


async def streams_by_code(client: kiwoom_trio.Client) -> None:
    async with client.stream("0B", "005930") as rows:
        assert_type(await anext(rows), Record)
    async with client.stream("0B", "005930", gaps="items") as events:
        assert_type(await anext(events), Record | StreamGap)


async def conditions(client: kiwoom_asyncio.Client) -> None:
    async with client.condition("골든크로스") as hits:
        assert_type(hits.symbols, tuple[Symbol, ...])
        async for change in hits:
            assert_type(change, ConditionChange)
            assert_type(change.symbol, Symbol)
            assert_type(change.hit, ConditionHit | UsConditionHit | None)


def newest_rows(client: kiwoom_asyncio.Client) -> None:
    assert_type(client.latest(OrderBook, "005930"), OrderBook | None)
    assert_type(client.latest(OrderExecution), OrderExecution | None)
    assert_type(client.latest("0D", "005930"), Record | None)


def callbacks(client: kiwoom_asyncio.Client) -> None:
    assert_type(client.on(Trade, take_trade, "005930"), Listener)
    client.on(Trade, take_record)
    client.on(Trade, lambda trade: trade.price)
    client.on("0B", take_record, "005930", transient=True, gaps=take_gap)


async def wrong(client: kiwoom_asyncio.Client) -> None:
    client.on(Trade, take_book, "005930")  # type: ignore[arg-type]
    client.on("0B", take_trade, "005930")  # type: ignore[arg-type]
    client.on(Trade, lambda trade: trade.asks)  # type: ignore[attr-defined]
    client.stream(str, "005930")  # type: ignore[type-var]
    client.stream(Trade, ["005930"])  # type: ignore[call-overload]
    client.stream(Trade, "005930", overflow="never")  # type: ignore[call-overload]
    client.stream(Trade, "005930", gaps="perhaps")  # type: ignore[call-overload]
    async with client.stream(Trade, "005930") as trades:
        async for trade in trades:
            trade.asks  # type: ignore[attr-defined]  # noqa: B018
    client.latest(OrderBook, "005930").asks  # type: ignore[union-attr]  # noqa: B018

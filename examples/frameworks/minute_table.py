"""Trades (0B) as a pandas DataFrame, every minute.

    pip install "kiwoom-proto[asyncio,tables]" pandas
    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... \\
    python examples/frameworks/minute_table.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660

A minute is one of the exchange's clock, not of this machine's. It is over with the first trade after it.
"""

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator

import kiwoom_asyncio
from kiwoom_proto import AppKey, Endpoint, Trade
from kiwoom_proto.tables import table


async def minutes(trades: AsyncIterable[Trade]) -> AsyncIterator[list[Trade]]:
    """Group trades by minute. A trade that comes late counts in the minute in which it comes."""
    rows: list[Trade] = []
    current = None
    async for trade in trades:
        minute = trade.time and trade.time.replace(second=0)
        if minute and (current is None or minute > current):
            if rows:
                yield rows
            rows, current = [], minute
        rows.append(trade)


async def run(endpoint: Endpoint, items: list[str]) -> None:
    async with (
        kiwoom_asyncio.connect(endpoint, token=AppKey.from_env()) as client,
        client.stream(Trade, *items, overflow="raise") as trades,
    ):
        async for rows in minutes(trades):
            frame = table(rows, Trade).to_pandas()
            frame["quantity"] = frame["quantity"].abs()  # its sign says who was the aggressor
            prices = frame.groupby("item")["price"].agg(["first", "max", "min", "last"])
            prices["quantity"] = frame.groupby("item")["quantity"].sum()
            print(f"{rows[0].time:%H:%M}, {len(rows)} trades, {trades.gaps} gaps so far", prices, sep="\n", flush=True)


if __name__ == "__main__":
    asyncio.run(run(Endpoint(sys.argv[1]), sys.argv[2:]))

"""Trades (0B) as a stream, and the client's notices in a task beside it.

The stream is `Trade` or `Gap` to your editor: what is missing stands where it is missing. A stream for a screen would
say overflow="conflate", and get the newest trade of each stock however slow the screen is.

    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... \\
    python examples/streams_asyncio.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660

With KIWOOM_TOKEN=..., an access token, instead of the keys, it runs until the token expires.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

import kiwoom_asyncio
from kiwoom_proto import AppKey, ConnectionLost, Disconnected, Endpoint, Gap, KiwoomError, Trade


async def follow(endpoint: Endpoint, token: str | AppKey, items: list[str], count: int | None) -> None:
    async with kiwoom_asyncio.connect(endpoint, token=token) as client:
        notices = asyncio.create_task(show_notices(client))
        try:
            async with client.stream(Trade, *items, gaps="items") as trades:
                seen = 0
                async for trade in trades:
                    if isinstance(trade, Gap):
                        print(f"trades of {trade.seconds:.1f} s are missing", file=sys.stderr)
                        continue
                    if not isinstance(trade, Trade):  # with several app keys: items that have no connection now
                        print(trade, file=sys.stderr)
                        continue
                    print(trade.time, trade.symbol, trade.price, trade.quantity, flush=True)
                    seen += 1
                    if seen == count:
                        break
        finally:
            notices.cancel()


async def show_notices(client: kiwoom_asyncio.Client) -> None:
    try:
        async for event in client:
            if isinstance(event, Disconnected):
                print(event, file=sys.stderr)
    except ConnectionLost:
        pass  # the stream raises it too


def access() -> str | AppKey:
    """What to log in with: the token of the environment, or else the keys to get one with."""
    token = os.environ.get("KIWOOM_TOKEN")
    return token or AppKey.from_env()


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    arguments = parser.parse_args()
    try:
        asyncio.run(follow(Endpoint(arguments.url), access(), arguments.item, arguments.count))
    except KiwoomError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

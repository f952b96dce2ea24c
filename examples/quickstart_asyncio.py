"""Trades (0B) with the asyncio adapter: connect, subscribe, iterate.

The client reconnects by itself, and subscribes to everything again. `Gap` says for how long rows are missing: a program
that keeps state takes a new snapshot then.

    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... \\
    python examples/quickstart_asyncio.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660

With KIWOOM_TOKEN=..., an access token, instead of the keys, it runs until the token expires.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

import kiwoom_asyncio
from kiwoom_proto import AppKey, Disconnected, Endpoint, Gap, KiwoomError, Trade


async def follow(endpoint: Endpoint, token: str | AppKey, items: list[str], count: int | None) -> None:
    async with kiwoom_asyncio.connect(endpoint, token=token) as client:
        await client.subscribe(Trade, *items)
        seen = 0
        async for event in client:
            match event:
                case Trade():
                    print(event.time, event.symbol, event.price, event.quantity, flush=True)
                    seen += 1
                    if seen == count:
                        break
                case Disconnected():
                    print(event, file=sys.stderr)
                case Gap():
                    print(f"trades of {event.seconds:.1f} s are missing", file=sys.stderr)


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

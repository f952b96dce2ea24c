"""One strategy, live or on a recording: nothing changes but the call that makes the client.

It prints the trades (0B), and at the end of the feed the average price of each stock, weighted by quantity. Given a URL
it connects, and records what it sees into `--record`; given a recording it replays that, `--speed` times as fast.

    KIWOOM_APPKEY=... KIWOOM_SECRETKEY=... \\
    python examples/replay_strategy.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660 --record day

    python examples/replay_strategy.py day 005930 000660

With KIWOOM_TOKEN=..., an access token, instead of the keys, it runs until the token expires.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from contextlib import AbstractAsyncContextManager

import kiwoom_asyncio
from kiwoom_proto import AppKey, Disconnected, Endpoint, Gap, KiwoomError, Trade
from kiwoom_proto.recording import Recorder

Client = kiwoom_asyncio.Client | kiwoom_asyncio.Replay


async def strategy(client: Client, items: list[str], count: int | None) -> None:
    """Follow trades. It cannot tell a recording from a connection, but for the times of the rows."""
    quantities: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    await client.subscribe(Trade, *items)
    seen = 0
    async for event in client:
        match event:
            case Trade(symbol=symbol, price=int(price), quantity=int(quantity)):
                print(event.time, symbol, price, quantity, flush=True)
                quantities[event.item] += abs(quantity)
                amounts[event.item] += abs(quantity) * price
                seen += 1
                if seen == count:
                    return
            case Disconnected():
                print(event, file=sys.stderr)
            case Gap():
                print(f"trades of {event.seconds:.1f} s are missing", file=sys.stderr)
    for item, quantity in quantities.items():
        print(f"average of {item}: {amounts[item] / quantity:.1f}", file=sys.stderr)


def source(arguments: argparse.Namespace) -> AbstractAsyncContextManager[Client]:
    """The one call that differs."""
    if not arguments.source.startswith(("ws://", "wss://")):
        return kiwoom_asyncio.replay(arguments.source, speed=arguments.speed)
    record = Recorder(arguments.record) if arguments.record else None
    return kiwoom_asyncio.connect(Endpoint(arguments.source), token=access(), record=record)


def access() -> str | AppKey:
    """What to log in with: the token of the environment, or else the keys to get one with."""
    token = os.environ.get("KIWOOM_TOKEN")
    return token or AppKey.from_env()


async def run(arguments: argparse.Namespace) -> None:
    async with source(arguments) as client:
        await strategy(client, arguments.item, arguments.count)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B), live or from a recording.")
    parser.add_argument("source", help="ws://... or wss://..., or a recording: a file or a folder")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    parser.add_argument("--record", metavar="DIR", help="record into this folder")
    parser.add_argument("--speed", type=float, help="times as fast as recorded; as fast as it goes if left out")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments))
    except KiwoomError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

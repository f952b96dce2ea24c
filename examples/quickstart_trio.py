"""After-hours quotes (0E) with the trio adapter: connect, subscribe, iterate.

KIWOOM_TOKEN=... python examples/quickstart_trio.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660
"""

from __future__ import annotations

import argparse
import os
import sys

import trio

import kiwoom_trio
from kiwoom_proto import AfterHoursQuote, Endpoint, KiwoomError


async def follow(endpoint: Endpoint, token: str, items: list[str], count: int | None) -> None:
    async with kiwoom_trio.connect(endpoint, token=token) as client:
        await client.subscribe(AfterHoursQuote, *items)
        seen = 0
        async for event in client:
            if isinstance(event, AfterHoursQuote):
                print(event.time, event.symbol, event.ask_quantity, event.bid_quantity, flush=True)
                seen += 1
                if seen == count:
                    break


def main() -> None:
    parser = argparse.ArgumentParser(description="Print after-hours quotes (0E).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many quotes")
    arguments = parser.parse_args()
    try:
        trio.run(follow, Endpoint(arguments.url), os.environ["KIWOOM_TOKEN"], arguments.item, arguments.count)
    except KiwoomError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""Trades (0B) on asyncio, without `kiwoom_asyncio` or anyio: the core driven directly, in one task.

The connection uses the event loop's clock, so its deadline works with `asyncio.timeout_at`.

    KIWOOM_TOKEN=... python examples/asyncio_raw.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

from kiwoom_proto import ClientConnection, Closed, Endpoint, Trade
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.events import RequestRefusal


async def follow(endpoint: Endpoint, token: str, items: list[str], count: int | None) -> None:
    connection = ClientConnection(endpoint, clock=asyncio.get_running_loop().time)
    connection.connect(token)
    connection.subscribe(Trade, *items)  # queued until the login
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.secure or None)
    try:
        seen = 0
        while True:
            for event in connection.events():
                match event:
                    case Trade() if seen != count:
                        print(event.time, event.symbol, event.price, event.quantity, flush=True)
                        seen += 1
                        if seen == count:
                            connection.close()
                    case RequestRefusal(code=code, message=message):
                        sys.exit(f"refused with {code}: {message}")
                    case Closed(error=error) if error is not None:
                        sys.exit(str(event))
            writer.write(connection.data_to_send())
            if connection.state is ConnectionState.CLOSED:
                return
            try:
                async with asyncio.timeout_at(connection.next_timeout()):
                    data = await reader.read(65_536)
            except TimeoutError:
                connection.handle_timeout()
            except OSError as error:
                connection.receive_eof(str(error))
            else:
                if data:
                    connection.receive_data(data, time.time_ns())
                else:
                    connection.receive_eof()
    finally:
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    arguments = parser.parse_args()
    token = os.environ.get("KIWOOM_TOKEN")
    if not token:
        parser.error("set the environment variable KIWOOM_TOKEN to an access token")
    asyncio.run(follow(Endpoint(arguments.url), token, arguments.item, arguments.count))


if __name__ == "__main__":
    main()

"""Trades (0B) on trio, without `kiwoom_trio`: the core driven directly, in one task.

The connection uses trio's clock, so its deadline works with `trio.move_on_at`. `Tls` makes it wss://.

    KIWOOM_TOKEN=... python examples/trio_raw.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time

import trio

from kiwoom_proto import ClientConnection, Closed, Endpoint, Trade
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.events import RequestRefusal
from kiwoom_proto.wire.tls import Tls


async def follow(endpoint: Endpoint, token: str, items: list[str], count: int | None) -> None:
    connection = ClientConnection(endpoint, clock=trio.current_time)
    connection.connect(token)
    connection.subscribe(Trade, *items)  # queued until the login
    link = Tls(connection, endpoint.host) if endpoint.secure else connection
    seen = 0
    async with await trio.open_tcp_stream(endpoint.host, endpoint.port) as stream:
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
            try:
                if outgoing := link.data_to_send():
                    await stream.send_all(outgoing)
                if connection.state is ConnectionState.CLOSED:
                    return
                deadline = connection.next_timeout()
                with trio.move_on_at(math.inf if deadline is None else deadline):
                    if data := await stream.receive_some():
                        link.receive_data(data, time.time_ns())
                    else:
                        link.receive_eof()
            except trio.BrokenResourceError as error:
                link.receive_eof(str(error.__cause__))
            connection.handle_timeout()  # does nothing unless a deadline has passed


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    arguments = parser.parse_args()
    token = os.environ.get("KIWOOM_TOKEN")
    if not token:
        parser.error("set the environment variable KIWOOM_TOKEN to an access token")
    trio.run(follow, Endpoint(arguments.url), token, arguments.item, arguments.count)


if __name__ == "__main__":
    main()

"""Trades (0B) over another library's WebSocket: `Conversation` over the `websockets` package.

The other library dials, does the handshake and splits the stream into messages; the core does the rest: LOGIN,
heartbeat, requests and their acknowledgements, deadlines, rows. Any library that returns whole messages will do.

    KIWOOM_TOKEN=... python examples/other_websocket_library.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kiwoom_proto import Closed, Conversation, Endpoint, Trade
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.events import RequestRefusal

PING_INTERVAL = 5.0


async def ask(websocket: ClientConnection, connection: Conversation) -> None:
    """Send pings and report their pongs.

    Kiwoom sends no PING to a client that sends something every 10 s, and nothing else on a quiet market. A missing pong
    alone is not an error: `idle_timeout` detects a dead connection.
    """
    try:
        while True:
            pong = await websocket.ping()
            await pong
            connection.note_alive()
            await asyncio.sleep(PING_INTERVAL)
    except ConnectionClosed:
        pass  # `follow` says why


async def follow(endpoint: Endpoint, token: str, items: list[str], count: int | None) -> None:
    connection = Conversation(endpoint, clock=asyncio.get_running_loop().time)
    connection.connect(token)
    connection.subscribe(Trade, *items)  # queued until the login
    # No keepalive of the library: it does not report pongs, which may be all that arrives. See `ask`.
    async with connect(endpoint.url, ping_interval=None) as websocket, asyncio.TaskGroup() as tasks:
        connection.receive_opened()
        asking = tasks.create_task(ask(websocket, connection))
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
            if connection.state is ConnectionState.CLOSED:
                asking.cancel()
                return
            try:
                for payload in connection.messages_to_send():
                    await websocket.send(payload, text=True)
                if connection.state is ConnectionState.CLOSING:
                    await websocket.close()
                async with asyncio.timeout_at(connection.next_timeout()):
                    connection.receive_message(await websocket.recv(decode=False), time.time_ns())
            except TimeoutError:
                connection.handle_timeout()
            except ConnectionClosed as closed:
                if closed.rcvd is None:
                    connection.receive_close()
                else:
                    connection.receive_close(closed.rcvd.code, closed.rcvd.reason)


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

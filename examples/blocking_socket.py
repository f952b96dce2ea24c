"""Trades (0B) over one plain blocking socket: no event loop, no thread, no adapter.

All of bring-your-own-I/O is the loop in `follow`: write what the connection has to send, handle its events, wait for
bytes until its deadline, and hand them over. `Tls` makes it wss://.

    KIWOOM_TOKEN=... python examples/blocking_socket.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Iterator

from kiwoom_proto import ClientConnection, Closed, Endpoint, Event, Trade
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.events import RequestRefusal
from kiwoom_proto.wire.tls import Tls


def follow(connection: ClientConnection) -> Iterator[Event]:
    """Dial, drive the connection to its end, and yield what happens."""
    endpoint = connection.endpoint
    link = Tls(connection, endpoint.host) if endpoint.secure else connection
    with socket.create_connection((endpoint.host, endpoint.port), timeout=10) as stream:
        while True:
            try:
                stream.settimeout(10)
                stream.sendall(link.data_to_send())
            except OSError as error:
                link.receive_eof(str(error))
            yield from connection.events()
            if connection.state is ConnectionState.CLOSED:
                return
            deadline = connection.next_timeout()
            stream.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
            try:
                data = stream.recv(65_536)
            except TimeoutError:
                connection.handle_timeout()
            except OSError as error:
                link.receive_eof(str(error))
            else:
                if data:
                    link.receive_data(data, time.time_ns())
                else:
                    link.receive_eof()


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    arguments = parser.parse_args()
    token = os.environ.get("KIWOOM_TOKEN")
    if not token:
        parser.error("set the environment variable KIWOOM_TOKEN to an access token")

    connection = ClientConnection(Endpoint(arguments.url), clock=time.monotonic)
    connection.connect(token)
    connection.subscribe(Trade, *arguments.item)  # queued until the login
    seen = 0
    for event in follow(connection):
        match event:
            case Trade() if seen != arguments.count:
                print(event.time, event.symbol, event.price, event.quantity, flush=True)
                seen += 1
                if seen == arguments.count:
                    connection.close()
            case RequestRefusal(code=code, message=message):
                sys.exit(f"refused with {code}: {message}")
            case Closed(error=error) if error is not None:
                sys.exit(str(event))


if __name__ == "__main__":
    main()

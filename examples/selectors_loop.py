"""Several connections in one hand-written event loop: the `selectors` module and nothing else.

A connection takes 200 items, and an app key one connection, so more items need more keys. Give one token for each,
separated by commas; the items are distributed among them. Each connection has a deadline: the loop sleeps until the
earliest.

    KIWOOM_TOKEN=one,two python examples/selectors_loop.py wss://api.kiwoom.com:10000/api/dostk/websocket 005930 000660
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import sys
import time

from kiwoom_proto import ClientConnection, Closed, Endpoint, Trade
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.events import RequestRefusal
from kiwoom_proto.wire.tls import Tls


class Line:
    """One connection and its socket."""

    def __init__(self, endpoint: Endpoint, token: str, items: list[str]) -> None:
        self.connection = ClientConnection(endpoint, clock=time.monotonic)
        self.connection.connect(token)
        self.connection.subscribe(Trade, *items)
        self.stream = socket.create_connection((endpoint.host, endpoint.port), timeout=10)
        self.stream.setblocking(False)
        self.link = Tls(self.connection, endpoint.host) if endpoint.secure else self.connection
        self.unsent = bytearray()

    @property
    def is_over(self) -> bool:
        return self.connection.state is ConnectionState.CLOSED and not self.unsent

    def write(self) -> None:
        """Write as much as the network takes."""
        self.unsent += self.link.data_to_send()
        try:
            del self.unsent[: self.stream.send(self.unsent) if self.unsent else 0]
        except BlockingIOError:
            pass
        except OSError as error:
            self.unsent.clear()
            self.link.receive_eof(str(error))

    def read(self) -> None:
        """Read as much as there is."""
        while self.connection.state is not ConnectionState.CLOSED:
            try:
                data = self.stream.recv(65_536)
            except BlockingIOError:
                return
            except OSError as error:
                self.link.receive_eof(str(error))
                return
            if data:
                self.link.receive_data(data, time.time_ns())
            else:
                self.link.receive_eof()


def main() -> None:
    parser = argparse.ArgumentParser(description="Print trades (0B).")
    parser.add_argument("url", help="ws://... or wss://...")
    parser.add_argument("item", nargs="+", help="005930, 005930_NX or 005930_AL")
    parser.add_argument("--count", type=int, help="end after this many trades")
    arguments = parser.parse_args()
    token = os.environ.get("KIWOOM_TOKEN")
    if not token:
        parser.error("set the environment variable KIWOOM_TOKEN to an access token")

    tokens = token.split(",")[: len(arguments.item)]
    endpoint = Endpoint(arguments.url)
    lines = [Line(endpoint, token, arguments.item[at :: len(tokens)]) for at, token in enumerate(tokens)]
    selector = selectors.DefaultSelector()
    for line in lines:
        selector.register(line.stream, selectors.EVENT_READ, line)
    seen = 0
    while lines:
        for line in list(lines):
            for event in line.connection.events():
                match event:
                    case Trade() if seen != arguments.count:
                        print(event.time, event.symbol, event.price, event.quantity, flush=True)
                        seen += 1
                        if seen == arguments.count:
                            for each in lines:
                                each.connection.close()
                    case RequestRefusal(code=code, message=message):
                        sys.exit(f"refused with {code}: {message}")
                    case Closed(error=error) if error is not None:
                        sys.exit(str(event))
            line.write()
            if line.is_over:
                lines.remove(line)
                selector.unregister(line.stream)
                line.stream.close()
            else:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.unsent else 0)
                selector.modify(line.stream, wanted, line)
        deadlines = [at for line in lines if (at := line.connection.next_timeout()) is not None]
        for key, _ in selector.select(max(0.0, min(deadlines) - time.monotonic()) if deadlines else 0):
            key.data.read()
        for line in lines:
            line.connection.handle_timeout()  # does nothing unless a deadline has passed
    selector.close()


if __name__ == "__main__":
    main()

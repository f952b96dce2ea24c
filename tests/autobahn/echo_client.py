"""The client's end for the Autobahn test suite: `python echo_client.py BASE_URL` plays every case of a fuzzing server.

Plain blocking sockets and `kiwoom_proto.wire.websocket`, nothing else: what is tested is the WebSocket itself.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

from kiwoom_proto.wire.websocket import BinaryMessage, WebSocketClient

AGENT = "kiwoom-proto"
MAX_SIZE = 32 * 1024 * 1024
TIMEOUT = 30.0


def send(websocket: WebSocketClient, message: bytes) -> None:
    """Send a message in the kind that it came in."""
    if isinstance(message, BinaryMessage):
        # Kiwoom speaks text only, so the class has no method for it; the suite wants its binary messages back.
        websocket._protocol.send_binary(message)
    else:
        websocket.send_text(message)


def messages(url: str, *, echo: bool) -> Iterator[bytes]:
    """Open `url`, yield every message, with `echo` send it back, and end with the connection."""
    parts = urlsplit(url)
    websocket = WebSocketClient(url, max_size=MAX_SIZE)
    websocket.connect()
    with socket.create_connection((parts.hostname or "", parts.port or 80), TIMEOUT) as stream:
        stream.sendall(websocket.data_to_send())
        try:
            while data := stream.recv(65_536):
                for message in websocket.receive_data(data):
                    yield message
                    if echo and websocket.is_open:
                        send(websocket, message)
                stream.sendall(websocket.data_to_send())
        except ConnectionError:
            pass  # the suite does not always wait for the closing handshake
        websocket.receive_eof()


def main(base_url: str) -> None:
    """Play every case, then have the reports written."""
    (count,) = messages(f"{base_url}/getCaseCount", echo=False)
    for case in range(1, int(count) + 1):
        for _ in messages(f"{base_url}/runCase?case={case}&agent={AGENT}", echo=True):
            pass
    for _ in messages(f"{base_url}/updateReports?agent={AGENT}", echo=False):
        pass


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))

"""The server's end for the Autobahn test suite: `python echo_server.py [PORT]` echoes every message until terminated.

Plain blocking sockets, a thread per connection, and `kiwoom_proto.wire.websocket`: what is tested is the WebSocket.
Prints its URL once it listens; without PORT the system chooses one.
"""

from __future__ import annotations

import socket
import sys
import threading

from kiwoom_proto.wire.websocket import BinaryMessage, WebSocketServer

MAX_SIZE = 32 * 1024 * 1024
TIMEOUT = 30.0


def accept_all(path: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
    """Accept every opening handshake."""
    return 101, []


def send(websocket: WebSocketServer, message: bytes) -> None:
    """Send a message in the kind that it came in."""
    if isinstance(message, BinaryMessage):
        # Kiwoom speaks text only, so the class has no method for it; the suite wants its binary messages back.
        websocket._protocol.send_binary(message)
    else:
        websocket.send_text(message)


def serve(stream: socket.socket) -> None:
    """Echo on one connection to its end."""
    websocket = WebSocketServer(max_size=MAX_SIZE, on_request=accept_all)
    with stream:
        stream.settimeout(TIMEOUT)
        try:
            while data := stream.recv(65_536):
                for message in websocket.receive_data(data):
                    if websocket.is_open:
                        send(websocket, message)
                stream.sendall(websocket.data_to_send())
                if websocket.ends_connection:
                    stream.shutdown(socket.SHUT_WR)
                    break
        except OSError:
            pass  # the suite cuts connections in some cases


def main(port: int) -> None:
    """Listen on loopback."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)

"""A server that answers every POST with the same reply, and limits nothing: what calls are measured against.

Command (see peers/driver.py): {"url": true}. Answer: {"port": its port}.
"""

from __future__ import annotations

import socket
import threading
from typing import Any

from .peers.driver import Round, serve
from .rest import ANSWER

__all__ = ("answer", "prepare")


def prepare(setting: dict[str, Any]) -> Round:
    """Listen."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=[listener], daemon=True).start()
    return lambda command: {"port": listener.getsockname()[1]}


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=[connection], daemon=True).start()


def answer(connection: socket.socket) -> None:
    """Answer the requests of a connection, one after the other, until it ends."""
    unread = b""
    with connection:
        while True:
            while (end := unread.find(b"\r\n\r\n")) < 0:
                data = connection.recv(65_536)
                if not data:
                    return
                unread += data
            head = unread[:end].lower()
            at = head.index(b"content-length:") + len(b"content-length:")
            end += 4 + int(head[at:].partition(b"\r\n")[0])
            while len(unread) < end:
                unread += connection.recv(65_536)
            unread = unread[end:]
            connection.sendall(ANSWER)


if __name__ == "__main__":
    serve(prepare)

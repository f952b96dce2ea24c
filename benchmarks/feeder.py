"""The feeder: a process that speaks just enough of the server's side and sends messages made beforehand.

It answers the opening handshake, LOGIN and REG (and a request for a token, which one of the opponents makes first).
After the REG it sends what it was told to: as fast as the socket takes it, or at a fixed rate, each message with the
time at which it was due in FID 13, in nanoseconds of the monotonic clock, which all processes of a machine share. A
message counts from when it was due, so a client that is too slow for the rate cannot make its own latency look better
by holding the feeder up. How late the feeder itself was is reported too.

Commands (see peers/driver.py): {"count": messages, "rate": a second, or 0, "registrations": the REG after which it
begins, the first unless said otherwise}. Answer: {"bytes": how many that will be}.
Command {"report": true}: how late it was, {"p50": ..., "p99": ..., "p999": ...} in µs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import threading
import time
from typing import Any

from .data import STAMP_WIDTH, messages, server_frame, stamped
from .peers.driver import Round, percentiles, serve

__all__ = ("Feeder", "prepare")

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
POOL = 2_000
"""Different messages, sent again and again."""
LATE = 0.0005
"""Seconds before a message is due at which the feeder wakes up and waits busily, because sleeping is not exact."""


class Feeder:
    """A server on a port of the loopback interface.

    Arguments:
        shape: of the messages.
        rows: rows in each.
        certificate: path of certificate and key, for TLS; None: none.
        pool: different messages.
    """

    def __init__(self, shape: str, rows: int = 1, certificate: str | None = None, pool: int = POOL) -> None:
        payloads = messages(shape, pool, rows=rows)
        self._frames = [server_frame(payload) for payload in payloads]
        self._all = b"".join(self._frames)
        self._stamped = [stamped(payload) for payload in payloads[:200]] if shape == "0B" and rows == 1 else []
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._plan = (0, 0)
        self._registrations = 1
        self._late: list[int] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def plan(self, count: int, rate: int, registrations: int = 1) -> int:
        """What the next connection is sent after so many REGs; returns how many bytes that is."""
        self._plan = count, rate
        self._registrations = registrations
        self._late = []
        whole, rest = divmod(count, len(self._frames))
        if rate:
            return sum(len(self._stamped[at % len(self._stamped)][0]) for at in range(count))
        return whole * len(self._all) + sum(map(len, self._frames[:rest]))

    def report(self) -> dict[str, float]:
        """How late it was, in microseconds."""
        return percentiles(self._late or [0])

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for clients
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                stream = self._context.wrap_socket(stream, server_side=True)
            with stream:
                self._talk(stream)
        except (OSError, EOFError):
            pass  # the client has left

    def _talk(self, stream: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _receive(stream, 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if lines[0].startswith("POST"):
            _receive(stream, int(headers.get("content-length", "0")))
            body = b'{"return_code":0,"token":"token","token_type":"bearer","expires_dt":"20991231235959"}'
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
            stream.sendall(head + b"Connection: close\r\n\r\n" + body)
            return
        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest())
        stream.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        awaited = self._registrations
        while True:
            opcode, payload = _receive_frame(stream)
            if opcode == 8:
                stream.sendall(b"\x88" + bytes([len(payload)]) + payload)
                return
            if opcode == 9:
                stream.sendall(b"\x8a" + bytes([len(payload)]) + payload)
            elif opcode == 1:
                trnm = json.loads(payload)["trnm"]
                stream.sendall(server_frame(f'{{"trnm":"{trnm}","return_code":0,"return_msg":""}}'.encode()))
                if trnm == "REG":
                    awaited -= 1
                    if not awaited:
                        self._feed(stream)

    def _feed(self, stream: socket.socket) -> None:
        count, rate = self._plan
        if rate:
            self._feed_evenly(stream, count, rate)
            return
        whole, rest = divmod(count, len(self._frames))
        for _ in range(whole):
            stream.sendall(self._all)
        stream.sendall(b"".join(self._frames[:rest]))

    def _feed_evenly(self, stream: socket.socket, count: int, rate: int) -> None:
        interval = 1_000_000_000 / rate
        now = time.monotonic_ns
        start = now() + 50_000_000
        for index in range(count):
            frame, place = self._stamped[index % len(self._stamped)]
            due = start + round(index * interval)
            frame[place : place + STAMP_WIDTH] = str(due).zfill(STAMP_WIDTH).encode()
            if (rest := due / 1e9 - now() / 1e9 - LATE) > 0:
                time.sleep(rest)
            while (moment := now()) < due:
                pass
            self._late.append(moment - due)
            stream.sendall(frame)


def _receive(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _receive_frame(stream: socket.socket) -> tuple[int, bytes]:
    first, second = _receive(stream, 2)
    length = second & 0x7F
    if length > 125:
        length = int.from_bytes(_receive(stream, 2 if length == 126 else 8), "big")
    mask = _receive(stream, 4)
    payload = _receive(stream, length)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def prepare(setting: dict[str, Any]) -> Round:
    """Set the process up; the first command must be {"port": true}."""
    feeder = Feeder(setting["shape"], setting.get("rows", 1), setting.get("certificate"))

    def run(command: dict[str, Any]) -> dict[str, float]:
        if "port" in command:
            return {"port": feeder.port}
        if "report" in command:
            return feeder.report()
        return {"bytes": feeder.plan(command["count"], command["rate"], command.get("registrations", 1))}

    return run


if __name__ == "__main__":
    serve(prepare)

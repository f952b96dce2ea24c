"""The other end of the wire, written by hand: WebSocket frames and handshakes as plain bytes.

Nothing here uses the code under test or the package below it, so that both can be held against it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kiwoom_proto import MOCK, ClientConfig, ClientConnection, Endpoint, Event
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.testing import ManualClock

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x5a\xa5\x0f\xf0"
TOKEN = "the-token-that-nobody-may-see"
LOGIN_OK = b'{"trnm":"LOGIN","return_code":0,"return_msg":"","sor_yn":"Y"}'
REG_OK = b'{"trnm":"REG","return_code":0,"return_msg":""}'
REMOVE_OK = b'{"trnm":"REMOVE","return_code":0,"return_msg":""}'


@dataclass(frozen=True)
class WireFrame:
    """One frame as it was found on the wire."""

    opcode: int
    payload: bytes
    fin: bool = True
    masked: bool = True


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = None, width: int = 0
) -> bytes:
    """Return a frame. `width`: bytes of the extended length, 2 or 8, also where fewer would do; 0: as few as do."""
    length = len(payload)
    if width == 0:
        width = 0 if length < 126 else 2 if length < 65_536 else 8
    short = {0: length, 2: 126, 8: 127}[width]
    head = bytes([fin << 7 | rsv << 4 | opcode, short | (0x80 if mask is not None else 0)])
    head += length.to_bytes(width, "big") if width else b""
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def text(payload: bytes) -> bytes:
    """Return an unmasked text frame, as the server sends it."""
    return frame(TEXT, payload)


def close_payload(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Return what a close frame holds."""
    return b"" if code is None else code.to_bytes(2, "big") + reason


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Return an unmasked close frame."""
    return frame(CLOSE, close_payload(code, reason))


def parse_frames(data: bytes) -> list[WireFrame]:
    """Take apart what one end sent. Fails on anything but whole frames."""
    frames = []
    position = 0
    while position < len(data):
        first, second = data[position], data[position + 1]
        assert not first & 0x70, "a reserved bit is set"
        position += 2
        length = second & 0x7F
        width = {126: 2, 127: 8}.get(length, 0)
        if width:
            length = int.from_bytes(data[position : position + width], "big")
            assert length > (125 if width == 2 else 65_535), "the length is not in its shortest form"
            position += width
        masked = bool(second & 0x80)
        mask = data[position : position + 4] if masked else b"\0\0\0\0"
        position += 4 if masked else 0
        payload = data[position : position + length]
        assert len(payload) == length, "the frame is cut short"
        position += length
        plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        frames.append(WireFrame(first & 0x0F, plain, bool(first & 0x80), masked))
    return frames


def accept_key(request: bytes) -> bytes:
    """Return the Sec-WebSocket-Accept that belongs to an opening handshake (RFC 6455, 4.2.2)."""
    (key,) = [line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def accept_handshake(request: bytes, *lines: bytes) -> bytes:
    """Return the answer 101 to an opening handshake, with further header lines."""
    head = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept_key(request),
        *lines,
    ]
    return b"\r\n".join(head) + b"\r\n\r\n"


def real(*rows: tuple[str, str, dict[str, str]]) -> bytes:
    """Return a REAL message of rows (type, item, values), keys in the order that was measured."""
    data = [{"values": values, "type": code, "name": "", "item": item} for code, item, values in rows]
    return json.dumps({"data": data, "trnm": "REAL"}, separators=(",", ":")).encode()


def reply(trnm: str, code: int = 0, message: str = "", **members: Any) -> bytes:
    """Return a reply to a request."""
    return json.dumps({"trnm": trnm, "return_code": code, "return_msg": message, **members}).encode()


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut `data` at these positions."""
    ends = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    return [data[start:stop] for start, stop in pairwise(ends)]


def one_by_one(data: bytes) -> list[bytes]:
    """Cut `data` into single bytes."""
    return [data[index : index + 1] for index in range(len(data))]


class CountingBytes:
    """A source of "random" bytes that counts: 0, 1, 2 ..."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, count: int) -> bytes:
        start, self._next = self._next, self._next + count
        return bytes(number & 0xFF for number in range(start, self._next))


class Wire:
    """A `ClientConnection` on virtual time, with the server's end written by hand."""

    def __init__(self, config: ClientConfig | None = None, endpoint: Endpoint = MOCK) -> None:
        self.clock = ManualClock(1000.0)
        self.client = ClientConnection(endpoint, config, clock=self.clock, random_bytes=CountingBytes())
        self.request = b""

    def connect(self, header: RequestHeader | None = None) -> Wire:
        """Have the client send its opening handshake."""
        self.client.connect(TOKEN, header)
        self.request = self.client.data_to_send()
        return self

    def open(self, *lines: bytes) -> Wire:
        """Accept the opening handshake; the LOGIN is then on the wire."""
        self.connect()
        self.client.receive_data(accept_handshake(self.request, *lines))
        return self

    def login(self) -> Wire:
        """Have the client log in, and forget what was sent and reported on the way."""
        self.open()
        self.send(LOGIN_OK)
        self.sent()
        self.client.events()
        return self

    def send(self, *payloads: bytes) -> None:
        """Send text messages to the client, in one chunk."""
        self.client.receive_data(b"".join(text(payload) for payload in payloads))

    def sent(self) -> list[WireFrame]:
        """Return the frames that the client sent since the last call."""
        return parse_frames(self.client.data_to_send())

    def messages(self) -> list[bytes]:
        """Return the text messages that the client sent since the last call."""
        return [found.payload for found in self.sent() if found.opcode == TEXT]

    def events(self) -> Sequence[Event]:
        """Return what the client reported since the last call."""
        return self.client.events()

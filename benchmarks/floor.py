"""The floor: the least that Python code can do for the same result, written by hand for the benchmark alone.

It knows beforehand which type comes, which fields are read, and in which order the FIDs stand. One pass over a message
with a msgspec Struct of exactly the fields read; frames are sliced. There are no events, no checks, no control frames,
no deadlines, nothing for another type, and a message cut in two by the network is put together in the plainest way.
"""

from __future__ import annotations

import base64
import datetime
import functools
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kiwoom_proto.realtime import REALTIME

from .data import READS, fids, server_frame, types_of
from .peers.driver import compile_reader

__all__ = ("Floor", "dial", "read_typed", "slice_frames")

Decode = Callable[[bytes], Any]


class Floor:
    """How messages of one shape are decoded, and what is read of their rows.

    Attributes:
        rows: payload -> rows.
        read: reads of a row what is read, as texts.
        read_typed: the same, and makes of each what the library makes of it.
    """

    def __init__(self, shape: str, reads: str = "usual") -> None:
        types = types_of(shape)
        if len(types) == 1:
            self.rows = _one_pass(types[0], reads)
            names = [f"values.f{fid}" for fid in fids(types[0], reads)]
            self.read = compile_reader("row.{}", names)
            self.read_typed = read_typed(types[0], reads)
        else:
            self.rows = _two_passes(types, reads)
            readers = {t: compile_reader("row.values.f{}", fids(t, reads)) for t in types}
            typed = {t: read_typed(t, reads) for t in types}
            self.read = lambda row: readers[row.type](row)
            self.read_typed = lambda row: typed[row.type](row)


def _values(type_code: str, reads: str) -> type[msgspec.Struct]:
    """A Struct of the FIDs that are read. Its fields stand in the order of a message, which is faster."""
    fields = [(f"f{fid}", str, msgspec.field(name=fid)) for fid in fids(type_code, reads)]
    return msgspec.defstruct("Values", fields, frozen=True, gc=False)


def _one_pass(type_code: str, reads: str) -> Decode:
    members: list[tuple[str, Any]] = [("type", str), ("item", str)]
    if fids(type_code, reads):
        members.insert(0, ("values", _values(type_code, reads)))
    row = msgspec.defstruct("Row", members, frozen=True, gc=False)
    message = msgspec.defstruct("Message", [("data", list[row])], frozen=True, gc=False)  # type: ignore[valid-type]
    decode = msgspec.json.Decoder(message).decode
    return lambda payload: decode(payload).data  # type: ignore[attr-defined]


class _Raw(msgspec.Struct, frozen=True, gc=False):
    values: msgspec.Raw
    type: str
    item: str


class _RawMessage(msgspec.Struct, frozen=True, gc=False):
    data: list[_Raw]


class _Row(msgspec.Struct, frozen=True, gc=False):
    type: str
    values: Any


def _two_passes(types: tuple[str, ...], reads: str) -> Decode:
    """Where types are mixed, the type must be known before the values can be decoded."""
    decode = msgspec.json.Decoder(_RawMessage).decode
    values = {t: msgspec.json.Decoder(_values(t, reads)).decode for t in types if fids(t, reads)}

    def rows(payload: bytes) -> list[_Row]:
        return [
            _Row(row.type, values[row.type](row.values) if row.type in values else None) for row in decode(payload).data
        ]

    return rows


def read_typed(type_code: str, reads: str, value: str = "row.values.f{}") -> Callable[[Any], None]:
    """A function that reads what is read of a row and makes numbers and times of it, without a check.

    Arguments:
        type_code: of the row.
        reads: what is read.
        value: how the text of a FID is read off a `row`.
    """
    ways = {"price": "abs(int({}))", "time": "clock_time({})"}
    fields = REALTIME[type_code].fields
    parts = []
    for name in READS[reads].get(type_code, ()):
        way = ways.get(fields[name].kind.name, "int({})")
        parts.append(way.format(value.format(fields[name].fid)))
    scope: dict[str, Any] = {"clock_time": _clock_time}
    exec("def read(row):\n    " + ("; ".join(parts) or "pass"), scope)
    read: Callable[[Any], None] = scope["read"]
    return read


@functools.lru_cache(maxsize=256)  # as the library does
def _clock_time(text: str) -> datetime.time:
    return datetime.time(int(text[:2]), int(text[2:4]), int(text[4:]))


def slice_frames(data: bytes, held: bytes = b"") -> tuple[list[bytes], bytes]:
    """Cut what came into the payloads of its frames, and what is left of the last."""
    if held:
        data = held + data
    payloads = []
    position, end = 0, len(data)
    while position + 4 <= end:
        length = data[position + 1]
        start = position + 2
        if length == 126:
            start += 2
            length = data[position + 2] << 8 | data[position + 3]
        elif length == 127:
            start += 8
            length = int.from_bytes(data[position + 2 : start], "big")
        stop = start + length
        if stop > end:
            break
        payloads.append(data[start:stop])
        position = stop
    return payloads, data[position:]


def dial(url: str, authority: str | None = None) -> socket.socket:
    """Connect, log in and register, over a plain blocking socket. Rows follow on it at once.

    Arguments:
        url: of the feeder.
        authority: path of the certificate to trust, for TLS.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    stream = socket.create_connection((parts.hostname, parts.port), timeout=30)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if parts.scheme == "wss":
        context = ssl.create_default_context(cafile=authority)
        stream = context.wrap_socket(stream, server_hostname=parts.hostname)
    key = base64.b64encode(os.urandom(16)).decode()
    stream.sendall(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    _receive_until(stream, b"\r\n\r\n")
    _send(stream, b'{"trnm":"LOGIN","token":"token"}')
    _receive_until(stream, b"}")
    _send(stream, b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":["000001"],"type":["0B"]}]}')
    _receive_until(stream, b"}")
    return stream


def _send(stream: socket.socket, payload: bytes) -> None:
    frame = bytearray(server_frame(payload))
    head = len(frame) - len(payload)
    frame[1] |= 0x80  # masked, with a mask of zeros
    frame[head:head] = bytes(4)
    stream.sendall(frame)


def _receive_until(stream: socket.socket, end: bytes) -> None:
    """Take an answer, byte by byte: what comes after it is left to be measured."""
    data = b""
    while not data.endswith(end):
        byte = stream.recv(1)
        assert byte, "the feeder hung up"
        data += byte

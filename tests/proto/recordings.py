"""Recordings made for tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import zstandard

from kiwoom_proto.recording.files import file_name
from kiwoom_proto.recording.format import Footer, Header, encode_footer, encode_header, encode_message
from kiwoom_proto.recording.frames import compress

START = 1_795_564_800_000_000_000
"""2026-11-25 09:00 in Seoul."""
SECOND = 1_000_000_000
SESSION = "0123456789abcdef"


def trade(number: int, item: str = "005930", type: str = "0B") -> bytes:
    """A message of one row, whose volume is a number."""
    values = {"20": "090000", "10": "-72300", "13": str(number)}
    row = {"values": values, "type": type, "name": "주식체결", "item": item}
    return json.dumps({"data": [row], "trnm": "REAL"}, ensure_ascii=False, separators=(",", ":")).encode()


def header(at: int = START, session: str = SESSION, part: int = 1) -> Header:
    return Header(at, "wss://api.kiwoom.com:10000/api/dostk/websocket", False, "kiwoom-proto 0.1.0", session, part)


def lines(first: int, count: int, at: int | None = None) -> bytes:
    """Lines of trades: their numbers, sequences and seconds are the same."""
    return b"".join(
        encode_message(START + n * SECOND if at is None else at, 1, n, trade(n)) for n in range(first, first + count)
    )


def frames(*parts: bytes, head: Header | None = None, end: str | None = "closed") -> list[bytes]:
    """The frames of a file: the header, one for each part, and the footer."""
    count = sum(part.count(b'"message":') for part in parts)
    at = max([START, *(int(each) for part in parts for each in re.findall(rb'"at":(\d{19})', part))])
    last = [] if end is None else [encode_footer(Footer(at, end, count))]  # type: ignore[arg-type]
    return [compress(part) for part in (encode_header(head or header()), *parts, *last)]


def write(folder: Path, data: Iterable[bytes] | bytes, number: int = 0, at: int = START) -> Path:
    path = folder / file_name(at, number)
    path.write_bytes(data if isinstance(data, bytes) else b"".join(data))
    return path


def unframed(data: bytes) -> bytes:
    """What undamaged frames hold."""
    reader = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
    return bytes(reader.read())

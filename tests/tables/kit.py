"""Recordings made for tests, and what SQL and records say of the same messages."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kiwoom_proto import MessageDecoder, Record
from kiwoom_proto.events import Numbering
from kiwoom_proto.realtime import REALTIME
from kiwoom_proto.recording.format import Footer, Header, encode_footer, encode_header, encode_message
from kiwoom_proto.recording.frames import compress

MORNING = int(datetime.datetime(2025, 11, 25, 9, 0, tzinfo=datetime.UTC).timestamp()) * 1_000_000_000 - 9 * 3600 * 10**9
"""09:00 in Korea."""
SESSION = "00112233aabbccdd"


def header(at: int = MORNING, session: str = SESSION) -> bytes:
    """Return the line of a header."""
    return encode_header(Header(at, "wss://example", False, "tests", session))


def footer(at: int, messages: int = 0) -> bytes:
    """Return the line of a footer."""
    return encode_footer(Footer(at, "closed", messages))


def write(path: Path, *frames: bytes, end: bool = True) -> Path:
    """Write a recording: a header, these frames of lines, and a footer."""
    data = [compress(header()), *map(compress, filter(None, frames))]
    if end:
        data.append(compress(footer(MORNING + 10**12)))
    path.write_bytes(b"".join(data))
    return path


def lines_of(payloads: Iterable[bytes], at: int = MORNING) -> bytes:
    """Return the lines of messages, a millisecond apart, their events numbered as a session does."""
    decoder = MessageDecoder()
    lines, sequence = [], 1
    for index, payload in enumerate(payloads):
        lines.append(encode_message(at + index * 1_000_000, 1, sequence, payload))
        sequence += len(decoder.decode(payload))
    return b"".join(lines)


def records_of(payloads: Iterable[bytes], at: int = MORNING, types: Any = REALTIME) -> list[Record]:
    """Return the records of the same messages, with the same times and numbers."""
    numbering = Numbering(1)
    decoder = MessageDecoder(types, numbering)
    found: list[Record] = []
    for index, payload in enumerate(payloads):
        found += [each for each in decoder.decode(payload, at + index * 1_000_000) if isinstance(each, Record)]
    return found


def row(type_code: str, values: object, item: str = "005930", **more: object) -> bytes:
    """Return a message of one row."""
    return message({"values": values, "type": type_code, "name": "", "item": item, **more})


def message(*rows: object) -> bytes:
    """Return a message of rows."""
    return json.dumps({"data": rows, "trnm": "REAL"}, ensure_ascii=False, separators=(",", ":")).encode()

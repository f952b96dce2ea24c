"""Recordings made for tests, and what SQL and records say of the same messages."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kiwoom_proto import PRODUCTION, Event, MessageDecoder, Record, Session
from kiwoom_proto.connection.capture import Capture, Received, Reported
from kiwoom_proto.events import Numbering
from kiwoom_proto.realtime import REALTIME
from kiwoom_proto.recording.format import (
    Footer,
    Header,
    encode_event,
    encode_footer,
    encode_header,
    encode_message,
    encode_messages,
)
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.masking import Masking
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

MORNING = int(datetime.datetime(2025, 11, 25, 9, 0, tzinfo=datetime.UTC).timestamp()) * 1_000_000_000 - 9 * 3600 * 10**9
"""09:00 in Korea."""
SESSION = "00112233aabbccdd"


def header(at: int = MORNING, session: str = SESSION) -> bytes:
    """Return the line of a header."""
    return encode_header(Header(at, "wss://example", False, "tests", session))


def footer(at: int, messages: int = 0) -> bytes:
    """Return the line of a footer."""
    return encode_footer(Footer(at, "closed", messages))


def write(path: Path, *frames: bytes, end: bool = True, session: str = SESSION) -> Path:
    """Write a recording: a header, these frames of lines, and a footer."""
    data = [compress(header(session=session)), *map(compress, filter(None, frames))]
    if end:
        data.append(compress(footer(MORNING + 10**12)))
    path.write_bytes(b"".join(data))
    return path


def flip_a_bit(path: Path) -> None:
    """Damage the second frame of a file inside, where only its checksum shows it."""
    data = bytearray(path.read_bytes())
    second = data.index(b"\x28\xb5\x2f\xfd", 4)
    data[second + 40] ^= 1
    path.write_bytes(data)


def lines_of(payloads: Iterable[bytes], at: int = MORNING) -> bytes:
    """Return the lines of messages, a millisecond apart, their events numbered as a session does."""
    numbering = Numbering(1)
    decoder = MessageDecoder(numbering=numbering)
    lines = []
    for index, payload in enumerate(payloads):
        lines.append(encode_message(at + index * 1_000_000, 1, numbering.sequence + 1, payload))
        decoder.decode(payload)
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


def simulated_day(
    path: Path, *, minutes: int, start: datetime.time = datetime.time(9, 0), losses: int = 1
) -> list[Event]:
    """Record a simulated exchange on virtual time, the connection cut on the way. Returns what the session reported."""
    clock, capture, exchange = ManualClock(), Capture(), Exchange(rate=0.5, start=start)
    exchange.run_on(clock)
    session = Session(PRODUCTION, clock=clock, random=lambda: 0.5, capture=capture)
    network = SimulatedNetwork(session, exchange, clock)
    session.connect("token")
    for code in ("0B", "0C", "0D", "0F", "0H", "0w", "0g"):
        session.subscribe(code, "005930", "000660", *(("005930_NX",) if code in ("0B", "0D") else ()))
    for code in ("00", "04", "0s", "1h"):
        session.subscribe(code)
    cuts = {minutes * number // (losses + 1) for number in range(1, losses + 1)}
    lines, seen = [], 0
    for minute in range(minutes):
        if minute in cuts:
            network.reset()
        network.advance(60)
        for entry in capture.pop(network.events[seen:], int(clock.now * 1e9)):
            at = MORNING + entry.at
            if isinstance(entry, Received) and entry.rows_only:
                lines.append(encode_messages(at, entry.epoch, entry.sequence, entry.payloads))
            elif isinstance(entry, Received):
                masking = Masking(capture.secrets)
                lines += [
                    encode_message(at, entry.epoch, entry.sequence, masking.received(each)) for each in entry.payloads
                ]
            elif isinstance(entry, Reported):
                lines.append(encode_event(at, entry.event))
        seen = len(network.events)
    write(path, *lines)
    return network.events

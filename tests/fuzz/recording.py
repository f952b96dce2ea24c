"""The target "recording": the first byte says what the rest is.

0  a file
1  the lines of a file, in frames after a header: a frame ends at each byte 0
2  damage to a file that is whole: three bytes for each place, two for where and one for which bits are flipped
3  a message, which is masked, recorded and read again
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kiwoom_proto.errors import RecordingError
from kiwoom_proto.events import Connecting, Event, Gap, RecordingHole
from kiwoom_proto.realtime.record import Record
from kiwoom_proto.recording.check import repair, summarize
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.recording.files import file_name
from kiwoom_proto.recording.format import (
    Footer,
    Header,
    MessageLine,
    SentLine,
    decode_line,
    encode_event,
    encode_footer,
    encode_header,
    encode_message,
    encode_messages,
    encode_sent,
)
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.masking import Masking
from kiwoom_proto.recording.reader import read_lines, read_recording

__all__ = ("recording", "recording_seeds")

START = 1_795_564_800_000_000_000
TOKEN = "T0ken-of-the-fuzzer"
HEADER = encode_header(Header(START, "wss://localhost", False, "fuzzer", "0" * 16))
ROW = b'{"data":[{"values":{"10":"-1","13":"%d"},"type":"0B","name":"x","item":"005930"}],"trnm":"REAL"}'
FRAMES = [
    compress(part)
    for part in (
        HEADER,
        encode_messages(START, 1, 1, [ROW % 1, ROW % 2]) + encode_event(START, Connecting(1, epoch=1, sequence=3)),
        b"".join(encode_message(START + n, 1, n, ROW % n) for n in range(4, 9)),
        encode_footer(Footer(START + 9, "closed", 7)),
    )
]
ROWS = ((), (1, 2), (4, 5, 6, 7, 8), ())


def recording(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    if kind == b"\1":
        check_file(b"".join(map(compress, (HEADER, *rest.split(b"\0")))))
    elif kind == b"\2":
        check_damage(rest)
    elif kind == b"\3":
        check_message(rest)
    else:
        check_file(rest)


def check_file(data: bytes) -> list[Event]:
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder, file_name(START)), Path(folder, "copy.ndjson.zst")
        path.write_bytes(data)
        try:
            events = list(read_recording(path))
        except RecordingError:
            (summary,) = summarize(folder)
            assert summary.holes, "in a folder the same is a hole"
            return []
        for event in events:
            str(event)
        assert list(map(event_to_dict, events)) == list(map(event_to_dict, read_recording(folder)))
        for line in read_lines(path):
            str(line)
        repaired = repair(path, copy)
        assert not repaired.problems
        assert rows(read_recording(copy)) == rows(events), "a copy has the same rows"
        return events


def rows(events: Iterator[Event] | list[Event]) -> list[tuple[int, int, bytes]]:
    return [(event.sequence, event.received_at, event.values) for event in events if isinstance(event, Record)]


def check_damage(data: bytes) -> None:
    whole = bytearray(b"".join(FRAMES))
    damaged = set()
    for at in range(0, len(data) - 2, 3):
        place = int.from_bytes(data[at : at + 2]) % len(whole)
        whole[place] ^= data[at + 2]
        damaged.add(place)
    events = check_file(bytes(whole))
    offset, expected = 0, list[int]()
    for frame, numbers in zip(FRAMES, ROWS, strict=True):
        if damaged.isdisjoint(range(offset, offset + len(frame))):
            expected += numbers
        offset += len(frame)
    if FRAMES[0] == whole[: len(FRAMES[0])]:
        assert {event.sequence for event in events if isinstance(event, Record)} >= set(expected)
        complete = [number for numbers in ROWS for number in numbers]
        assert expected == complete or any(isinstance(event, RecordingHole) for event in events)


def check_message(payload: bytes) -> None:
    masking = Masking([TOKEN])
    for masked in (payload, masking.received(payload), masking.sent(payload)):
        line = encode_message(START, 1, 2, masked)
        assert line.count(b"\n") == 1 and line.endswith(b"\n")
        json.loads(line)
        assert decode_line(line) == MessageLine(START, 1, 2, masked)
        assert decode_line(encode_sent(START, 1, 2, masked)) == SentLine(START, 1, 2, masked)
    assert TOKEN.encode() not in masking.received(payload)
    try:
        payload.decode()
    except UnicodeDecodeError:
        return
    one = encode_message(START, 1, 2, payload)
    assert encode_messages(START, 1, 2, [payload, b"{}"]) == one + encode_message(START, 1, 3, b"{}")


def recording_seeds(messages: list[bytes]) -> Iterator[bytes]:
    """What to begin with."""
    whole = b"".join(FRAMES)
    yield b"\0" + whole
    yield b"\0" + whole[:-30]
    yield b"\0" + whole[: len(FRAMES[0]) + 20]
    yield b"\0" + whole + whole
    yield b"\0" + b"\x50\x2a\x4d\x18\x01\0\0\0x" + whole
    yield b"\0" + HEADER + encode_message(START, 1, 1, ROW % 1)
    yield b"\0" + compress(b'{"recording":2}\n')
    gap = encode_event(START, Gap(1, 2, 3, epoch=1, sequence=4))
    yield b"\1" + gap + b"\0" + b"".join(encode_message(START, 1, n, message) for n, message in enumerate(messages[:9]))
    yield b'\1{"at":1,"epoch":1,"sequence":1,"base64":"AA=="}\nnonsense\n{"at":2,"end":"closed","messages":1}\n'
    for place in range(0, len(whole), 9):
        yield b"\2" + place.to_bytes(2) + b"\1"
    for message in messages:
        yield b"\3" + message
    yield (
        b'\3{"data":[{"values":{"\\u0039201":"1234567890"},"type":"00","acct_no":"1"}],"trnm":"REAL"} ' + TOKEN.encode()
    )

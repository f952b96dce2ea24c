"""Recordings are read as far as they can be, in order, and what they lack is reported."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proto.recordings import SECOND, SESSION, START, frames, header, lines, trade, unframed, write

from kiwoom_proto import US_PRODUCTION, MessageDecoder, OrderBook, Symbol, Trade, UsTrade
from kiwoom_proto.errors import LocalProtocolError, RecordingError
from kiwoom_proto.events import (
    Closed,
    Connecting,
    Event,
    Gap,
    LoggedIn,
    RecordingHole,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.realtime.record import KST, Record
from kiwoom_proto.recording import frames as frames_module
from kiwoom_proto.recording.check import summarize
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.recording.files import file_name, is_file_name
from kiwoom_proto.recording.format import (
    EventLine,
    Footer,
    Header,
    MessageLine,
    SentLine,
    encode_event,
    encode_footer,
    encode_header,
    encode_message,
    encode_sent,
)
from kiwoom_proto.recording.frames import Block, Damage, compress, read_blocks
from kiwoom_proto.recording.line_decoder import LineDecoder
from kiwoom_proto.recording.reader import read_headers, read_lines, read_recording
from kiwoom_proto.recording.writer import REMOVED

DATA = Path(__file__).parent.parent / "data" / "messages.jsonl"
EXAMPLES = [json.loads(line)["msg"].encode() for line in DATA.read_text(encoding="utf-8").splitlines()]


def rows(events: Iterable[Event]) -> list[int]:
    """The numbers of the trades among events, each of which stands for what it says."""
    found = []
    for event in events:
        if isinstance(event, Record):
            assert isinstance(event, Trade)
            assert event.volume == event.sequence
            assert event.epoch == 1
            found.append(event.sequence)
    return found


def holes(events: Iterable[Event]) -> list[RecordingHole]:
    return [event for event in events if isinstance(event, RecordingHole)]


def read(paths: Path | Sequence[Path]) -> list[Event]:
    return list(read_recording(paths))


# What is read.


def test_rows_are_read_with_their_times_and_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, frames(lines(1, 9), lines(10, 91)))

    events = read(path)

    assert rows(events) == list(range(1, 101))
    assert [event.received_at for event in events if isinstance(event, Record)] == [
        START + n * SECOND for n in range(1, 101)
    ]
    assert holes(events) == []


@pytest.mark.parametrize("count", [1, 2, 95, 300, 1200])
def test_rows_of_one_time_are_read_with_their_numbers(tmp_path: Path, count: int) -> None:
    path = write(tmp_path, frames(lines(1, count, START), lines(count + 1, count, START)))

    assert rows(read(path)) == list(range(1, 2 * count + 1))


def test_everything_that_a_session_reported_comes_in_its_order(tmp_path: Path) -> None:
    two = {"values": {"13": "0"}, "type": "0B", "name": "", "item": "005930"}
    system = b'{"trnm":"SYSTEM","code":"R10001","message":"x"}'
    text = b"".join(
        (
            encode_event(START, Connecting(1, epoch=1, sequence=1)),
            encode_sent(START, 1, 2, b'{"trnm":"LOGIN","token":"***"}'),
            encode_message(START, 1, 2, b'{"trnm":"LOGIN","return_code":0}'),
            encode_event(START, LoggedIn({}, epoch=1, sequence=2)),
            encode_message(START, 1, 3, trade(3)),
            encode_message(START, 1, 4, b'{"trnm":"PING"}'),
            encode_message(START, 1, 4, trade(4)),
            encode_message(START, 1, 5, json.dumps({"trnm": "REAL", "data": [two, two]}).encode()),
            encode_message(START, 1, 7, trade(7)),
            encode_message(START, 1, 8, b"not JSON\n"),
            encode_message(START, 1, 9, trade(9)),
            encode_message(START, 1, 10, system),
            encode_event(START, Gap(1, 2, 3, epoch=1, sequence=11)),
            encode_event(START, RecordingHole(1, 2, 5, "the disk is full", epoch=1, sequence=12)),
            encode_event(START, Closed(1000, "", None, epoch=1, sequence=13)),
        )
    )

    events = read(write(tmp_path, frames(text)))

    assert [event.sequence for event in events] == list(range(1, 14))
    assert [type(event) for event in events] == [
        *(Connecting, LoggedIn, Trade, Trade, Trade, Trade, Trade, UnknownMessage, Trade, SystemNotice),
        *(Gap, RecordingHole, Closed),
    ]
    assert all(event.epoch == 1 for event in events)


def test_numbers_that_do_not_follow_one_another_are_kept(tmp_path: Path) -> None:
    text = b"".join(encode_message(START, 1, n, trade(n)) for n in (3, 4, 8, 9, 20))

    assert rows(read(write(tmp_path, frames(text)))) == [3, 4, 8, 9, 20]


def test_every_example_is_read_as_the_decoder_reads_it(tmp_path: Path) -> None:
    text = b"".join(encode_message(START, 1, n * 10, payload) for n, payload in enumerate(EXAMPLES, 1))
    decoder = MessageDecoder()
    expected = [
        event_to_dict(event)
        for payload in EXAMPLES
        for event in decoder.decode(payload, START)
        if isinstance(event, Record | SystemNotice | UnknownMessage)
    ]

    events = read(write(tmp_path, frames(text)))

    for one, other in zip(map(event_to_dict, events), expected, strict=True):
        assert {**one, "epoch": 0, "sequence": 0} == {**other, "epoch": 0, "sequence": 0}


def test_lines_are_read_for_tools(tmp_path: Path) -> None:
    text = lines(1, 1) + encode_sent(START, 1, 2, b"{}") + encode_event(START, Connecting(1, epoch=2, sequence=2))

    found = list(read_lines(write(tmp_path, frames(text))))

    assert [type(line) for line in found] == [Header, MessageLine, SentLine, EventLine, Footer]


def test_a_line_of_a_later_program_is_a_hole_and_the_rest_is_read(tmp_path: Path) -> None:
    text = lines(1, 2) + b'{"at":5,"note":"?"}\n' + b"what?\n" + lines(3, 2)

    events = read(write(tmp_path, frames(text)))

    assert rows(events) == [1, 2, 3, 4]
    assert [hole.reason.partition(": ")[2] for hole in holes(events)] == [
        'a line of a recording: it has no member that this version knows: b\'{"at":5,"note":"?"}\'',
        "a line of a recording: a JSON object belongs here, not b'what?'",
    ]
    assert (holes(events)[0].start, holes(events)[0].end) == (START + 2 * SECOND, START + 3 * SECOND)


@pytest.mark.parametrize("same_time", [True, False])
@pytest.mark.parametrize(
    ("member", "damaged"), [("sequence", b'"sequence":1x'), ("sequence", b'"sequence":1_2'), ("at", b'"at":x')]
)
def test_a_damaged_number_in_a_run_of_rows_loses_its_line_alone(
    tmp_path: Path, member: str, damaged: bytes, same_time: bool
) -> None:
    at = START if same_time else None
    whole = lines(112, 1, at)
    line = re.sub(rb'"%b":.{%d}' % (member.encode(), len(damaged) - len(member) - 3), damaged, whole, count=1)
    assert len(line) == len(whole)

    events = read(write(tmp_path, frames(lines(111, 1, at), line, lines(113, 1, at))))
    together = read(write(tmp_path, frames(lines(111, 1, at) + line + lines(113, 1, at)), 1))

    for found in (events, together):
        assert rows(found) == [111, 113]
        assert len(holes(found)) == 1


def test_your_own_classes_are_used(tmp_path: Path) -> None:
    class Margin(Record, tag="07"):
        """A type of one's own."""

    text = encode_message(START, 1, 1, trade(1, type="07"))

    (row,) = read_recording(write(tmp_path, frames(text)), record_types=[Margin])

    assert type(row) is Margin


# What is asked for.


def test_rows_are_filtered_by_type_and_item_and_everything_else_stays(tmp_path: Path) -> None:
    text = b"".join(
        (
            encode_event(START, Connecting(1, epoch=1, sequence=1)),
            encode_message(START, 1, 2, trade(2)),
            encode_message(START, 1, 3, trade(3, "000660_NX")),
            encode_message(START, 1, 4, trade(4, type="0D")),
        )
    )
    path = write(tmp_path, frames(text))

    def sequences(**filters: object) -> list[int]:
        return [event.sequence for event in read_recording(path, **filters)]  # type: ignore[arg-type]

    assert sequences() == [1, 2, 3, 4]
    assert sequences(types=["0B"]) == sequences(types=[Trade]) == [1, 2, 3]
    assert sequences(types=[OrderBook, "0B"]) == [1, 2, 3, 4]
    assert sequences(items=["005930"]) == [1, 2, 4]
    assert sequences(items=[Symbol.parse("000660_NX")]) == [1, 3]
    assert sequences(types=["0B"], items=["005930"]) == [1, 2]
    assert sequences(types=[]) == [1]


@pytest.mark.parametrize("types", [None, ["0B"], ["0D", "0F"], []])
@pytest.mark.parametrize("items", [None, ["005930"], ["000660_NX", ""]])
def test_what_is_asked_for_changes_nothing_else(
    tmp_path: Path, types: list[str] | None, items: list[str] | None
) -> None:
    two = [row for item in ("005930", "000660_NX") for row in json.loads(trade(20, item))["data"]]
    several = json.dumps({"data": two, "trnm": "REAL"}).encode()
    broken = b'{"trnm":"REAL","data":[{"type":"0B","item":"000660_NX","values":{"10":"\xec\x82\xbc" 1}}]}'
    payloads = [*EXAMPLES, trade(30, "000660_NX"), b"what?\n", several, broken, trade(31), trade(32, type="0D")]
    text = b"".join(encode_message(START + n * SECOND, 1, n * 10 + 1, text) for n, text in enumerate(payloads * 2))
    data = frames(text, lines(1000, 2), lines(1010, 2), encode_message(START, 2, 1, trade(1, "000660_NX")))
    data[3] = data[3][:-9] + bytes(9)
    path = write(tmp_path, data)
    everything = read(path)
    assert holes(everything) and any(isinstance(event, UnknownMessage) for event in everything)

    def is_wanted(event: Event) -> bool:
        return not isinstance(event, Record) or (
            (types is None or event.type_code in types) and (items is None or event.item in items)
        )

    assert list(read_recording(path, types=types, items=items)) == list(filter(is_wanted, everything))


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"types": ["0b"]}, r"types: '0b': did you mean '0B' \(Trade, 주식체결\)\?"),
        ({"types": ["Trade"]}, r"types: 'Trade': did you mean '0B'"),
        ({"types": ["005930"]}, "types: '005930': a type code has two characters"),
        ({"items": ["A005930"]}, r"items: 'A005930': did you mean '005930'\?"),
        ({"items": ["005930", "5930"]}, r"items: '5930': did you mean '005930'\?"),
        ({"items": ["삼성전자"]}, "items: '삼성전자': rows name a code of six characters"),
        ({"types": ["0J"], "items": ["005930"]}, r"items: '005930': rows name the code of a sector"),
        ({"types": ["0B"], "items": ["NVDA:ND"]}, "items: 'NVDA:ND': rows name a code of six characters"),
        ({"items": 5930}, "items: must be several"),
        ({"start": START + 1, "end": START}, "start: lies after end"),
    ],
)
def test_what_would_bring_no_row_is_refused_as_when_subscribing(
    tmp_path: Path, filters: dict[str, Any], text: str
) -> None:
    path = write(tmp_path, frames(encode_message(START, 1, 1, trade(1))))
    with pytest.raises(LocalProtocolError, match=text):
        read_recording(path, **filters)


def test_whatever_may_have_been_recorded_may_be_asked_for(tmp_path: Path) -> None:
    """Types of one's own and of `request`, conditions, accounts, both markets, and items as rows name them."""
    path = write(tmp_path, frames(encode_message(START, 1, 1, trade(1))))
    assert list(read_recording(path, types=["ZZ", "02", "FE"])) == []
    for items in (["MGD"], ["001"], ["NVDA:ND"], ["M04020000"], [""], ["005930_AL"]):
        assert list(read_recording(path, items=items)) == []
    assert list(read_recording(path, types=["00"], items=["A005930"])) == []
    assert list(read_recording(path, start=START, end=START)) == []


def test_items_of_the_us_market_are_asked_for_as_registered_or_as_rows_name_them(tmp_path: Path) -> None:
    text = encode_message(START, 1, 1, trade(1, "NVDA", type="FE"))
    head = Header(START, US_PRODUCTION.url, False, "kiwoom-proto 0.1.0", SESSION)
    path = write(tmp_path, frames(text, head=head))
    for item in ("NVDA:ND", "NVDA"):
        (row,) = read_recording(path, items=[item], types=[UsTrade])
        assert isinstance(row, UsTrade)
    with pytest.raises(LocalProtocolError, match="did you mean 'NVDA:ND'"):
        read_recording(path, items=["nvda nd"])


def test_rows_that_nobody_asks_for_are_not_made(tmp_path: Path) -> None:
    made = []

    class Margin(Record, tag="07"):
        """A type of one's own."""

        def __post_init__(self) -> None:
            made.append(self.item)

    text = b"".join(encode_message(START, 1, n, trade(n, f"{n % 2:06}", type="07")) for n in range(1, 9))
    path = write(tmp_path, frames(text))

    assert len(list(read_recording(path, items=["000001"], record_types=[Margin]))) == len(made) == 4
    assert list(read_recording(path, types=["0B"], record_types=[Margin])) == []
    assert set(made) == {"000001"}


def test_a_time_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, frames(lines(1, 100)))
    at = datetime.datetime(2026, 11, 25, 9, 0, 10, tzinfo=KST)

    assert rows(read_recording(path, start=at, end=at + datetime.timedelta(seconds=2))) == [10, 11]
    assert rows(read_recording(path, start=START + 99 * SECOND)) == [99, 100]
    assert rows(read_recording(path, end=START + 2 * SECOND)) == [1]


def test_files_far_outside_of_the_time_are_not_read(tmp_path: Path) -> None:
    hour = 3600 * SECOND
    for part in range(5):
        at = START + part * 2 * hour
        text = encode_message(at, 1, part + 1, trade(part + 1))
        write(tmp_path, frames(text, head=header(at, part=part + 1), end="rotated"), at=at)
    for part in (0, 4):
        write(
            tmp_path,
            frames(b"no line\n", head=header(START + part * 2 * hour, part=part + 1)),
            at=START + part * 2 * hour,
        )

    events = list(read_recording(tmp_path, start=START + 4 * hour, end=START + 5 * hour))

    assert rows(events) == [3] and holes(events) == []


@pytest.mark.parametrize("start", [None, 3, 8, 11])
@pytest.mark.parametrize("end", [None, 2, 6, 11])
def test_frames_far_outside_of_the_time_are_skipped_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int | None, end: int | None
) -> None:
    hour = 3600 * SECOND

    def texts(hours: int, *extra: bytes) -> bytes:
        times = [(hours * 10 + n, START + hours * hour + n * SECOND) for n in range(3)]
        one, *others = (encode_message(at, 1 + hours // 4, number, trade(number)) for number, at in times)
        return one + b"".join(extra) + b"".join(others)

    hole = RecordingHole(START + 2 * hour, START + 8 * hour, 7, "the disk is full", epoch=3, sequence=81)
    parts = [texts(0), texts(2, b"no line\n"), texts(4), texts(6), texts(8, encode_event(START + 8 * hour, hole))]
    data = frames(*parts, texts(10), texts(12), end=None)
    data[3] = data[3][:-9] + bytes(9)
    path = write(tmp_path, data)
    everything = read(path)
    decoded = []
    take_lines = LineDecoder.take_lines

    def counted(self: LineDecoder, *args: Any) -> int:
        decoded.append(args[1])
        return take_lines(self, *args)

    first, last = (None if time is None else START + time * hour for time in (start, end))
    if first is not None and last is not None and first > last:
        return  # refused
    monkeypatch.setattr(LineDecoder, "take_lines", counted)
    found = list(read_recording(path, start=first, end=last))

    def has(event: Event) -> bool:
        from_, to = (event.start, event.end) if isinstance(event, RecordingHole) else (event.received_at,) * 2  # type: ignore[union-attr]
        return (first is None or to >= first) and (last is None or from_ < last)

    assert found == [event for event in everything if has(event)]
    if start == 11 or end == 2:
        assert decoded.count(0) <= 5  # the header, the end, two frames in time, and that with the hole


@pytest.mark.parametrize(
    "arguments",
    [
        {"start": datetime.datetime(2026, 11, 25)},
        {"end": "today"},
        {"start": True},
        {"types": "0B"},
        {"types": [5]},
        {"items": "005930"},
        {"items": Symbol("005930")},
    ],
)
def test_arguments_that_are_wrong_are_refused_at_once(tmp_path: Path, arguments: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        read_recording(write(tmp_path, frames()), **arguments)  # type: ignore[arg-type]


# Files and sessions.


def test_parts_of_a_session_follow_one_another_whatever_their_names(tmp_path: Path) -> None:
    write(tmp_path, frames(lines(1, 3), end="rotated"), number=7)
    write(tmp_path, frames(lines(4, 3), head=header(part=2)), number=3)

    events = read(tmp_path)

    assert rows(events) == [1, 2, 3, 4, 5, 6] and holes(events) == []


def test_a_part_that_is_missing_is_a_hole(tmp_path: Path) -> None:
    write(tmp_path, frames(lines(1, 1), head=header(part=2), end="rotated"))
    write(tmp_path, frames(lines(5, 1), head=header(START + 5 * SECOND, part=4)), number=1)

    before, hole = holes(read(tmp_path))

    assert "the files before part 2" in before.reason
    assert (before.start, before.end) == (START, START)
    assert "the files between part 2 and part 4" in hole.reason
    assert hole.end == START + 5 * SECOND


@pytest.mark.parametrize("part, count", [(2, 1), (3, 2)])
def test_a_part_whose_removal_the_recorder_has_told_of_is_one_hole(tmp_path: Path, part: int, count: int) -> None:
    told = RecordingHole(START, START + 5 * SECOND, 5, REMOVED, epoch=1, sequence=6)
    at = START + 5 * SECOND
    write(tmp_path, frames(lines(5, 1), encode_event(at + SECOND, told), head=header(at, part=part)), at=at)

    found = holes(read(tmp_path))

    assert found[-1] == told
    assert len(found) == count, "of two parts that are missing, it has told of one"


def test_parts_that_were_not_asked_for_are_not_missing(tmp_path: Path) -> None:
    day = 86_400 * SECOND
    write(tmp_path, frames(lines(1, 1), end="rotated"))
    later = encode_message(START + day, 1, 2, trade(2))
    path = write(tmp_path, frames(later, head=header(START + day, part=2)), at=START + day)

    assert holes(read_recording(path)) == []
    assert holes(read_recording(tmp_path, start=START + day)) == []


def test_a_copy_beside_the_original_is_told_and_not_read(tmp_path: Path) -> None:
    data = frames(lines(1, 5))
    write(tmp_path, data)
    (tmp_path / "2026-11-25T090000-00 copy.ndjson.zst").write_bytes(b"".join(data))

    *rows, hole = read_recording(tmp_path)
    assert [row.sequence for row in rows] == [1, 2, 3, 4, 5]
    assert isinstance(hole, RecordingHole)
    reason = "2026-11-25T090000-00 copy.ndjson.zst: a copy of 2026-11-25T090000-00.ndjson.zst, which is read instead"
    assert hole.reason == reason
    other, one = summarize(tmp_path, verify=True)
    assert (one.rows, one.is_complete, one.problems) == ({"0B": 5}, True, ())
    assert (other.rows, other.is_complete, other.problems) == ({}, False, (reason,))
    assert len(read_headers(tmp_path)) == 1


def test_sessions_that_overlap_are_merged_by_time(tmp_path: Path) -> None:
    def texts(numbers: Iterable[int]) -> bytes:
        return b"".join(encode_message(START + n * SECOND, 1, n, trade(n)) for n in numbers)

    write(tmp_path, frames(texts(range(1, 40, 2)), texts(range(41, 60, 2))))
    write(tmp_path, frames(texts(range(2, 60, 2)), head=header(session="f" * 16)), number=1)
    write(tmp_path, frames(texts(range(60, 70)), head=header(START + 60 * SECOND, "e" * 16)), at=START + 60 * SECOND)

    assert rows(read(tmp_path)) == list(range(1, 70))


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    text = b"".join(
        encode_message(START + second * SECOND, 1, n, trade(n)) for n, second in enumerate((5, 6, 2, 3, 7), 1)
    )
    write(tmp_path, frames(text))
    other = b"".join(encode_message(START + n * SECOND, 1, 100 * n, trade(100 * n)) for n in (1, 8))
    write(tmp_path, frames(other, head=header(session="f" * 16)), number=1)

    events = read(tmp_path)

    assert rows(events) == [100, 1, 2, 3, 4, 5, 800]
    assert rows(read_recording(tmp_path, start=START + 2 * SECOND, end=START + 4 * SECOND)) == [3, 4]


def test_two_days_in_one_file(tmp_path: Path) -> None:
    day = 86_400 * SECOND
    text = encode_message(START, 1, 1, trade(1)) + encode_message(START + day, 1, 2, trade(2))
    path = write(tmp_path, frames(text))

    assert rows(read(path)) == [1, 2]
    assert rows(read_recording(path, start=START + day)) == [2]


def test_files_that_were_joined_are_read(tmp_path: Path) -> None:
    one, other = frames(lines(1, 3), end="rotated"), frames(lines(4, 3), head=header(part=2))

    events = read(write(tmp_path, [*one, *other]))

    assert rows(events) == [1, 2, 3, 4, 5, 6] and holes(events) == []


def test_lines_that_are_not_compressed_are_read(tmp_path: Path) -> None:
    path = tmp_path / "day.ndjson"
    path.write_bytes(unframed(b"".join(frames(lines(1, 5000)))))

    assert rows(read(tmp_path)) == list(range(1, 5001)) and holes(read(path)) == []


def test_lines_in_one_frame_of_another_program_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = unframed(b"".join(frames(lines(1, 30_000))))
    path = write(tmp_path, zstandard.ZstdCompressor(write_content_size=False).compress(text))

    assert rows(read(path)) == list(range(1, 30_001))
    monkeypatch.setattr(frames_module, "MAX_FRAME", 1_000_000)
    assert rows(read(path)) == list(range(1, 30_001)) and holes(read(path)) == []


def test_skippable_frames_hold_nothing(tmp_path: Path) -> None:
    head, *rest = frames(lines(1, 3))

    events = read(write(tmp_path, [b"\x50\x2a\x4d\x18\x03\0\0\0abc", head, b"\x5f\x2a\x4d\x18\0\0\0\0", *rest]))

    assert rows(events) == [1, 2, 3] and holes(events) == []


def test_names_sort_by_time() -> None:
    assert file_name(START) == "2026-11-25T090000-00.ndjson.zst"
    assert file_name(START, 1) == "2026-11-25T090000-01.ndjson.zst"
    assert is_file_name(file_name(START, 123)) and is_file_name("2026-11-25T090000-00.ndjson")
    assert not is_file_name("x" + file_name(START)) and not is_file_name("2026-11-25.ndjson.zst")


# Damage.


def test_a_torn_tail_is_read_up_to_the_tear(tmp_path: Path) -> None:
    data = frames(lines(1, 100), lines(101, 20_000))
    whole = b"".join(data[:3])

    events = read(write(tmp_path, whole[: -len(data[2]) // 2]))

    found = rows(events)
    assert found == list(range(1, len(found) + 1)) and len(found) > 1000
    (hole,) = holes(events)
    assert isinstance(events[-1], RecordingHole) and hole.start == START + len(found) * SECOND
    assert f"at byte {len(data[0]) + len(data[1])}, " in hole.reason and "the file ends within a frame" in hole.reason


def test_a_corrupt_frame_in_the_middle_is_a_hole(tmp_path: Path) -> None:
    data = frames(lines(1, 10), lines(11, 10), lines(21, 10))
    damaged = bytearray(data[2])
    damaged[len(damaged) // 2] ^= 1

    events = read(write(tmp_path, [*data[:2], bytes(damaged), *data[3:]]))

    assert rows(events) == [*range(1, 11), *range(21, 31)]
    (hole,) = holes(events)
    assert (hole.start, hole.end) == (START + 10 * SECOND, START + 21 * SECOND)
    assert hole.messages is None
    assert f"at byte {len(data[0] + data[1])}, {len(data[2]):,} bytes of the file: " in hole.reason


def test_a_file_without_an_end_is_told(tmp_path: Path) -> None:
    write(tmp_path, frames(lines(1, 10), end=None))
    other = START + 50 * SECOND
    write(tmp_path, frames(encode_message(other, 1, 1, trade(1)), head=header(other, "f" * 16)), at=other)

    events = read(tmp_path)

    (hole,) = holes(events)
    assert events.index(hole) == 10
    assert (hole.start, hole.end) == (START + 10 * SECOND, other)
    assert "the file has no end" in hole.reason


@pytest.mark.parametrize("size", [0, 1, 3, 4, 6, 12, 100])
def test_a_file_that_was_only_begun_is_a_hole(tmp_path: Path, size: int) -> None:
    path = write(tmp_path, b"".join(frames())[:size])

    events = read(path)

    assert [type(event) for event in events] == [RecordingHole]


def test_zeros_after_a_power_cut_are_a_hole(tmp_path: Path) -> None:
    events = read(write(tmp_path, [*frames(lines(1, 10), end=None), bytes(5_000_000)]))

    assert rows(events) == list(range(1, 11))
    assert any("no frame begins here" in hole.reason for hole in holes(events))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04....", "begins with neither a zstd frame nor a line"),
        (compress(b"hello\n"), "is no recording: a JSON object belongs here"),
        (compress(b'{"a":1}\n'), "is no recording: Object missing required field `at`"),
        (compress(lines(1, 1)), "its first line is no header"),
        (b'{"a":1}\n', "is no recording: Object missing required field `at`"),
        (
            compress(b'{"recording":2,"at":5,"session":7}\n'),
            "foreign.ndjson.zst: a recording of version 2; this version",
        ),
    ],
)
def test_a_foreign_file_is_refused_and_in_a_folder_left_out(tmp_path: Path, content: bytes, words: str) -> None:
    foreign = tmp_path / "foreign.ndjson.zst"
    foreign.write_bytes(content)
    write(tmp_path, frames(lines(1, 3)))
    (tmp_path / "notes.txt").write_text("not looked at")

    for call in (read_recording, read_lines):
        with pytest.raises(RecordingError, match=words) as caught:
            call(foreign)
        assert str(foreign) in str(caught.value)
    events = read(tmp_path)
    assert rows(events) == [1, 2, 3]
    (hole,) = holes(events)
    assert words in hole.reason and "foreign.ndjson.zst" in hole.reason


def test_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file or folder"):
        read_recording(tmp_path / "nothing")


def test_a_folder_without_recordings_has_no_events(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_a_file_that_vanishes_is_a_hole(tmp_path: Path) -> None:
    write(tmp_path, frames(lines(1, 3)))
    gone = write(tmp_path, frames(lines(4, 3), head=header(part=2)), number=1)

    events = read_recording(tmp_path)
    gone.unlink()
    found = list(events)

    assert rows(found) == [1, 2, 3]
    assert "the file cannot be read: No such file or directory" in holes(found)[0].reason


def test_a_header_that_is_damaged_loses_nothing_else(tmp_path: Path) -> None:
    head, *rest = frames(lines(1, 10))

    events = read(write(tmp_path, [head[:-1] + bytes([head[-1] ^ 1]), *rest]))

    assert rows(events) == list(range(1, 11))
    assert len(holes(events)) == 1


# Hostile files: bounded in memory and time.


def frame(blocks: bytes, claimed: int | None = None) -> bytes:
    """A frame made by hand, without a checksum."""
    if claimed is None:
        return b"\x28\xb5\x2f\xfd\x00\x58" + blocks
    return b"\x28\xb5\x2f\xfd\xe0" + claimed.to_bytes(8, "little") + blocks


def block(kind: int, size: int, data: bytes, last: bool) -> bytes:
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + data


def parts(data: bytes) -> list[Block | Damage]:
    return list(read_blocks(io.BytesIO(data)))


def test_a_frame_that_claims_a_huge_size_is_damage() -> None:
    for claimed in (1 << 62, 1 << 40, 200_000):
        data = frame(block(0, 3, b"{}\n", True), claimed)
        (found,) = parts(data)
        assert isinstance(found, Damage) and "claims" in found.reason


def test_a_decompression_bomb_is_read_in_pieces() -> None:
    bomb = frame(b"".join(block(1, 128 * 1024, b"\n", n == 1023) for n in range(1024)))  # 4 KB that hold 128 MiB

    sizes = [len(found.data) for found in read_blocks(io.BytesIO(bomb)) if isinstance(found, Block)]

    assert sum(sizes) == 128 * 1024 * 1024
    assert max(sizes) <= 2 * 1024 * 1024 + 1


def test_a_line_without_an_end_is_not_kept() -> None:
    bomb = frame(b"".join(block(1, 128 * 1024, b"x", n == 1023) for n in range(1024)))

    found = parts(compress(b"{}\n") + bomb + compress(b"\n{}\n"))

    assert [each.data for each in found if isinstance(each, Block)] == [b"{}\n", b"{}\n"]
    (damage,) = [each for each in found if isinstance(each, Damage)]
    assert "a line of more than 33,554,432 bytes" in damage.reason


def test_frames_that_cannot_be_read_do_not_take_for_ever() -> None:
    found = parts(b"\x28\xb5\x2f\xfd\x00\x58" * 50_000 + compress(b"{}\n"))

    assert isinstance(found[0], Damage)


def test_an_empty_frame_is_nothing() -> None:
    assert parts(compress(b"") + compress(b"{}\n")) == [Block(b"{}\n", len(compress(b"")))]


# Any damage at all.

FRAMES = frames(lines(1, 40), lines(41, 40, START), lines(81, 40), lines(121, 3))
WHOLE = b"".join(FRAMES)
BOUNDS = [0]
for each in FRAMES:
    BOUNDS.append(BOUNDS[-1] + len(each))
ROWS_OF = [range(0), range(1, 41), range(41, 81), range(81, 121), range(121, 124), range(0)]


@settings(deadline=None)
@given(cut=st.integers(0, len(WHOLE)))
def test_any_truncation_loses_only_what_is_cut_off(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    events = read(write(tmp_path_factory.mktemp("cut"), WHOLE[:cut]))

    found = rows(events)
    whole = [row for end, numbers in zip(BOUNDS[1:], ROWS_OF, strict=True) if end <= cut for row in numbers]
    assert found[: len(whole)] == whole
    assert found == list(range(1, len(found) + 1))
    assert bool(holes(events)) == (cut < len(WHOLE))


@settings(deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 7)), min_size=1, max_size=3, unique=True)
)
def test_any_flipped_bits_lose_only_their_frames(
    tmp_path_factory: pytest.TempPathFactory, flips: set[tuple[int, int]]
) -> None:
    damaged = bytearray(WHOLE)
    for place, bit in flips:
        damaged[place] ^= 1 << bit
    hit = {n for n in range(len(FRAMES)) for place, _ in flips if BOUNDS[n] <= place < BOUNDS[n + 1]}

    events = read(write(tmp_path_factory.mktemp("flip"), bytes(damaged)))

    expected = [row for n, numbers in enumerate(ROWS_OF) if n not in hit for row in numbers]
    found = rows(events)
    assert set(expected) <= set(found)
    assert found == sorted(found)
    if found != rows(read(write(tmp_path_factory.mktemp("whole"), WHOLE))):
        assert holes(events)


@settings(deadline=None)
@given(pieces=st.lists(st.sampled_from(FRAMES) | st.binary(max_size=60), max_size=8))
def test_any_pieces_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = write(tmp_path_factory.mktemp("pieces"), pieces)
    expected = [n for piece in pieces if piece in FRAMES for n in ROWS_OF[FRAMES.index(piece)]]

    try:
        events = read(path)
    except RecordingError:
        assert not pieces or FRAMES[0] not in pieces[:1]
        return

    assert set(expected) <= set(rows(events))


def test_no_file_is_left_open(tmp_path: Path) -> None:
    path = write(tmp_path, frames(lines(1, 5000), lines(5001, 5000)))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    events = read_recording(path)
    next(events)
    del events

    assert (len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0) == before


def test_the_session_is_that_of_the_header() -> None:
    assert encode_header(header()).count(SESSION.encode()) == 1
    assert encode_footer(Footer(1, "closed", 2)) == b'{"at":1,"end":"closed","messages":2}\n'

"""Rows that are read in runs, where they stand, are those that the same lines give one by one, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proto.recordings import START, frames, trade, write

from kiwoom_proto import MessageDecoder
from kiwoom_proto.events import Numbering, RecordingHole
from kiwoom_proto.realtime.record import Record
from kiwoom_proto.recording.format import MessageLine, encode_message
from kiwoom_proto.recording.reader import read_lines, read_recording

ORDERS = [
    b'{"data":[{"values":{"13":"%d"},"type":"0B","name":"","item":"005930"}],"trnm":"REAL"}',
    b'{"data":[{"values":{"13":"%d"},"type":"0B","name":"","item":"000660"}],"trnm":"REAL"}',
    b'{"trnm":"REAL","data":[{"type":"0B","name":"","item":"005930","values":{"13":"%d"}}]}',
    b'{"trnm":"REAL","data":[{"type":"0D","name":"x","item":"000660","values":{"13":"%d"}}]}',
    b'{"data":[{"values":{"13":"%d","9":"\xea\xb0\x80"},"type":"0B","name":"","item":"005930"}],"trnm":"REAL"}',
]
"""Messages of one row, their members in different orders."""


def one_by_one(path: Path) -> Iterator[Record | RecordingHole]:
    """What the lines of a file say, each cut out and decoded by itself."""
    numbering = Numbering()
    decoder = MessageDecoder(numbering=numbering)
    for line in read_lines(path):
        if isinstance(line, RecordingHole):
            yield line
        elif isinstance(line, MessageLine):
            numbering.epoch, numbering.sequence = line.epoch, line.sequence - 1
            yield from (each for each in decoder.decode(line.payload, line.at) if isinstance(each, Record))


def described(found: Iterator[object]) -> list[object]:
    return [
        (each.epoch, each.sequence, each.received_at, type(each), each.item, each.name, each.values)
        if isinstance(each, Record)
        else type(each)
        for each in found
        if isinstance(each, Record | RecordingHole)
    ]


def compare(path: Path) -> list[object]:
    found = described(read_recording(path))
    assert found == described(one_by_one(path))
    return found


@pytest.mark.parametrize("first", [1, 8, 95, 195, 990, 99_995, 10**17 - 5, 10**18 - 5])
@pytest.mark.parametrize("at_once", [1, 3, 40])
def test_numbers_and_times_of_a_run(tmp_path: Path, first: int, at_once: int) -> None:
    text = b"".join(
        encode_message(START + number // at_once, 1, first + number, trade(first + number)) for number in range(230)
    )

    found = compare(write(tmp_path, frames(text)))

    assert [row[1] for row in found if isinstance(row, tuple)] == list(range(first, first + 230))


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_members_of_messages_in_any_order(tmp_path: Path, step: int) -> None:
    text = b"".join(
        encode_message(START, 1, number, ORDERS[number * step % len(ORDERS)] % number) for number in range(1, 300)
    )

    assert len(compare(write(tmp_path, frames(text)))) == 299


BITS = st.sampled_from([*(bytes((char,)) for char in b'0123456789{}[]":,\n\r\\ x_-+.'), b"", b"\xea\xb0\x80", b"\xff"])


@given(
    first=st.sampled_from([1, 7, 97, 105, 198]),
    kinds=st.lists(st.sampled_from(ORDERS), min_size=3, max_size=8),
    changes=st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 3), BITS), max_size=4),
)
def test_whatever_is_damaged_the_same_rows_are_read(
    tmp_path_factory: pytest.TempPathFactory, first: int, kinds: list[bytes], changes: list[tuple[int, int, bytes]]
) -> None:
    text = b"".join(
        encode_message(START + number // 4, 1, first + number, kind % number) for number, kind in enumerate(kinds)
    )
    for place, size, replacement in changes:
        place %= len(text)
        text = text[:place] + replacement + text[place + size :]

    compare(write(tmp_path_factory.mktemp("lines"), frames(text if text.endswith(b"\n") else text + b"\n")))

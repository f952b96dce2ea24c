"""What recordings hold and lack is told, and a damaged one is copied into one that every program reads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proto.recordings import SECOND, START, frames, header, lines, trade, unframed, write

from kiwoom_proto.errors import RecordingError
from kiwoom_proto.events import Gap, RecordingHole
from kiwoom_proto.realtime.record import Record
from kiwoom_proto.recording.check import repair, summaries, summarize
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.recording.files import file_name
from kiwoom_proto.recording.format import Footer, encode_event, encode_footer, encode_message, encode_sent
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.reader import read_recording

GAP = Gap(START, START + SECOND, 3, epoch=1, sequence=11)
HOLE = RecordingHole(START, START + SECOND, 5, "the disk is full")


def damaged() -> bytes:
    data = frames(lines(1, 10), lines(11, 10), lines(21, 5000))
    middle = bytearray(data[2])
    middle[len(middle) // 2] ^= 1
    return b"".join([*data[:2], bytes(middle), data[3][: len(data[3]) // 2]])


def test_a_summary_says_what_a_file_holds(tmp_path: Path) -> None:
    extra = encode_message(START + 20 * SECOND, 1, 10, trade(10, type="0D")) + encode_sent(START, 1, 11, b"{}")
    path = write(
        tmp_path, frames(lines(1, 9), extra + encode_event(START + 30 * SECOND, GAP), encode_event(START, HOLE))
    )

    (summary,) = summarize(path, verify=True)

    assert summary.path == path and summary.size == path.stat().st_size
    assert summary.header == header()
    assert (summary.first, summary.last) == (START, START + 30 * SECOND)
    assert summary.messages == 10 and summary.rows == {"0B": 9, "0D": 1}
    assert summary.gaps == (GAP,) and summary.holes == (HOLE,)
    assert summary.problems == ()


def test_a_file_is_complete_if_it_was_closed_and_nothing_is_missing(tmp_path: Path) -> None:
    whole = frames(lines(1, 9))

    assert summarize(write(tmp_path, whole))[0].is_complete
    assert not summarize(write(tmp_path, whole[:-1]))[0].is_complete
    assert not summarize(write(tmp_path, [*whole[:1], b"\0", *whole[1:]]))[0].is_complete
    assert not summarize(write(tmp_path, frames(encode_event(START, HOLE))))[0].is_complete


def test_files_of_a_folder_are_summarized_one_by_one(tmp_path: Path) -> None:
    write(tmp_path, frames(lines(1, 3), end="rotated"))
    write(tmp_path, frames(lines(4, 5), head=header(part=2)), number=1)
    (tmp_path / "x.ndjson.zst").write_bytes(b"nothing")

    found = summarize(tmp_path)

    assert [summary.messages for summary in found] == [3, 5, 0]
    assert [summary.is_complete for summary in found] == [True, True, False]
    assert "is no recording" in found[2].holes[0].reason
    with pytest.raises(RecordingError, match="is no recording"):
        summarize(tmp_path / "x.ndjson.zst")


@pytest.mark.parametrize("verify", [False, True])
def test_progress_is_told_within_a_file(tmp_path: Path, verify: bool) -> None:
    path = write(tmp_path, frames(*(lines(first, 10) for first in range(1, 50, 10))))
    told: list[tuple[Path, int, int]] = []

    list(summaries(path, verify=verify, progress=lambda *each: told.append(each)))

    offsets = [offset for _, offset, _ in told]
    assert {(name, size) for name, _, size in told} == {(path, path.stat().st_size)}
    assert offsets[:6] == sorted(set(offsets)) and len(offsets) == 6 * (1 + verify)
    assert offsets[0] > 0 and offsets[-1] < path.stat().st_size


def test_verifying_finds_messages_that_are_missing_and_lines_that_are_not_json(tmp_path: Path) -> None:
    bad = b'{"at":5,"epoch":1,"sequence":1,"message":{"trnm":nonsense}}\n'
    text = [*frames(lines(1, 9) + bad, end=None), compress(encode_footer(Footer(START, "closed", 12)))]
    path = write(tmp_path, text)

    assert summarize(path)[0].problems == ()
    assert summarize(path, verify=True)[0].problems == (
        "line 11: is not JSON",
        "line 12: the file should hold 12 messages and holds 10",
    )


def test_a_repaired_copy_is_one_that_every_program_reads(tmp_path: Path) -> None:
    path, out = write(tmp_path, damaged()), tmp_path / "copy" / file_name(START)
    out.parent.mkdir()

    summary = repair(path, out)

    assert path.read_bytes() == damaged()
    assert summary.path == out and summary.problems == ()
    found = [json.loads(line) for line in unframed(out.read_bytes()).split(b"\n")[:-1]]
    assert found[0]["recording"] == 1 and found[-1] == {
        "at": summary.last,
        "end": "closed",
        "messages": summary.messages,
    }
    assert len(summary.holes) == 2 and "at byte" in summary.holes[0].reason
    assert [event_to_dict(event) for event in read_recording(out)] == [
        event_to_dict(event) for event in read_recording(path)
    ]


def test_a_whole_file_is_copied_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, frames(lines(1, 9), lines(10, 5000)))

    assert repair(path, tmp_path / "out.ndjson.zst").is_complete
    assert unframed((tmp_path / "out.ndjson.zst").read_bytes()) == unframed(path.read_bytes())


def test_a_file_without_a_header_gets_one(tmp_path: Path) -> None:
    head, *rest = frames(lines(1, 9))
    path = write(tmp_path, [head[:-1] + b"x", *rest])

    summary = repair(path, tmp_path / "out.ndjson.zst")

    assert summary.header is not None and summary.messages == 9
    assert len(summary.holes) == 1


def test_the_copy_of_an_empty_file_has_the_time_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, b"")
    os.utime(path, ns=(START, START))

    (hole,) = repair(path, tmp_path / "out.ndjson.zst").holes

    assert (hole.start, hole.end) == (START, START)
    assert "the file is empty" in hole.reason


def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, frames())

    with pytest.raises(RecordingError, match="exists already"):
        repair(path, path)
    with pytest.raises(RecordingError, match="cannot be written: No such file or directory"):
        repair(path, tmp_path / "nowhere" / "x.ndjson.zst")
    with pytest.raises(RecordingError, match="no such file"):
        repair(tmp_path / "nothing", tmp_path / "out.ndjson.zst")


@settings(deadline=None)
@given(data=st.data())
def test_any_damage_is_repaired(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = bytearray(b"".join(frames(lines(1, 40), lines(41, 40), lines(81, 3))))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)):
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
    folder = tmp_path_factory.mktemp("repair")
    path = write(folder, bytes(whole[: data.draw(st.integers(0, len(whole)))]))

    summary = repair(path, folder / "out.ndjson.zst")

    def rows(path: Path) -> list[int]:
        return [event.sequence for event in read_recording(path) if isinstance(event, Record)]

    assert rows(folder / "out.ndjson.zst") == rows(path)
    assert summary.is_complete == (not summarize(path)[0].holes)

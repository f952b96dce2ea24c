"""kiwoom-proto record and recordings: a feed is kept in files, through kills, and what is missing is told."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text
from tests.adapters.command import TOKEN, exchange, run, run_on_terminal, start
from tests.proto.recordings import SECOND, START, frames, header, lines, write

from kiwoom_asyncio.cli.commands import cli
from kiwoom_asyncio.cli.stream import warn_of
from kiwoom_asyncio.cli.wanted import read_items
from kiwoom_proto import Gap, Trade
from kiwoom_proto.events import RecordingFailed, RecordingHole
from kiwoom_proto.recording.check import Summary, summarize
from kiwoom_proto.recording.event_json import event_from_dict
from kiwoom_proto.recording.format import encode_event
from kiwoom_proto.recording.reader import read_recording

LIMIT = 60.0
"""Seconds after which something that should happen counts as missing; a busy machine may need many."""

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals for another process")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with exchange("--start", "10:00", "--speed", "60") as (url, _):
        yield url


def said(process: subprocess.Popen[str], words: str) -> str:
    """Return the next line of these words that a command says of itself, once it has."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended without a word of {words!r}")


def files_of(folder: Path) -> list[Summary]:
    return summarize(folder) if folder.exists() and any(folder.iterdir()) else []


def record(url: str, folder: Path) -> subprocess.Popen[str]:
    """A `kiwoom-proto record` that goes on until it is ended."""
    return start("record", "0B", "--item", "005930", "--item", "000660", "--folder", str(folder), "--endpoint", url)


def invoke(*words: str) -> tuple[int, str, str]:
    """Run a command in this process: its exit code, its output, and what it said."""
    result = CliRunner().invoke(cli, words, env={"KIWOOM_TOKEN": TOKEN})
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


@posix
def test_a_day_that_was_killed_twice_is_listed_with_its_ends_and_its_bars_agree_with_the_exchange(
    url: str, tmp_path: Path
) -> None:
    pytest.importorskip("duckdb")
    for ending in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        with record(url, tmp_path) as process:
            said(process, "recording into")
            process.send_signal(ending)
            process.communicate(timeout=LIMIT)
        assert process.returncode == (-9 if ending is signal.SIGKILL else 143)

    code, listed, _ = invoke("recordings", str(tmp_path), "--verify")
    summaries = [json.loads(line) for line in listed.splitlines()]
    assert [summary["is_complete"] for summary in summaries] == [False, False, True]
    assert all(summary["rows"]["0B"] > 0 for summary in summaries)
    assert [len(summary["holes"]) for summary in summaries] == [1, 1, 0]
    assert code == (1 if any(summary["problems"] for summary in summaries) else 0)

    trades = [event for event in read_recording(tmp_path) if isinstance(event, Trade)]
    assert len(trades) == sum(summary["rows"]["0B"] for summary in summaries)

    query = "select * from bar_check(interval '1 minute')"
    bars = [json.loads(line) for line in invoke("query", query, str(tmp_path))[1].splitlines()]
    assert bars
    for item in {trade.item for trade in trades}:
        of_item = [trade for trade in trades if trade.item == item]
        first, last = of_item[0], of_item[-1]
        assert first.volume is not None and first.quantity is not None and last.volume is not None
        total = sum(bar["volume"] for bar in bars if bar["item"] == item)
        missing = sum(bar["missing_volume"] or 0 for bar in bars if bar["item"] == item)
        assert total + missing == last.volume - first.volume + abs(first.quantity), "the exchange's own total"

    printed = quick_start(tmp_path)
    assert len(printed) == sum(trade.item == "005930" for trade in trades)
    assert all(" 005930 " in line for line in printed)


def quick_start(folder: Path) -> list[str]:
    """What the program of the README prints of a recording, with no change but the call that connects."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    program = readme.partition("## Quick start")[2].partition("```python\n")[2].partition("```")[0]
    connect = "kiwoom_asyncio.connect(PRODUCTION, token=AppKey.from_env())"
    assert connect in program
    done = subprocess.run(
        [sys.executable, "-c", program.replace(connect, f"kiwoom_asyncio.replay({str(folder)!r}, speed=None)")],
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_disk_that_fails_is_told_without_claiming_a_loss(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of(RecordingFailed("the disk is full"), None)  # type: ignore[arg-type]

    said = capsys.readouterr().err
    assert "the recording is held up: the disk is full; rows wait in memory, and what does not fit is lost" in said


@posix
def test_sighup_begins_a_new_file_and_sigterm_ends_it_in_order(url: str, tmp_path: Path) -> None:
    with start("record", "0B", "--item", "005930", "--folder", str(tmp_path), "--endpoint", url, stdin=-3) as process:
        names = [said(process, "recording into")]
        process.send_signal(signal.SIGHUP)
        names.append(said(process, "recording into"))
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=LIMIT)

    first, second = files_of(tmp_path)
    assert [Path(name.split()[-1]).name for name in names] == [Path(each.path).name for each in (first, second)]
    assert process.returncode == 143
    assert first.is_complete and second.is_complete
    assert first.header is not None and second.header is not None
    assert (first.header.part, second.header.part) == (1, 2)
    assert first.header.session == second.header.session
    assert first.header.masked
    *_, state, end = rest.splitlines()
    assert end == "kiwoom-proto: ended by SIGTERM"
    assert "messages, " in state and "no gaps, no holes" in state
    assert TOKEN not in rest


@posix
def test_a_lost_connection_is_a_gap_in_the_recording(tmp_path: Path) -> None:
    with exchange("--start", "10:00") as (url, server), record(url, tmp_path) as process:
        said(process, "recording into")
        server.kill()
        server.wait()
        said(process, "connection lost")
        with exchange("--start", "10:00", port=int(url.split(":")[2].partition("/")[0])):
            said(process, "connected again after")
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=LIMIT)

    assert process.returncode == 130
    assert "1 gap, no holes" in rest
    assert any(isinstance(event, Gap) for event in read_recording(tmp_path))


def test_a_condition_is_recorded_and_cleared_at_the_end(url: str, tmp_path: Path) -> None:
    done = run(
        *("record", "--condition", "골든크로스", "--folder", str(tmp_path), "--endpoint", url, "--duration", "2"),
        "--keep-accounts",
    )

    assert done.returncode == 0
    [summary] = files_of(tmp_path)
    assert set(summary.rows) <= {"02"}
    assert summary.header is not None and not summary.header.masked


def test_on_a_terminal_the_state_is_shown_live(url: str, tmp_path: Path) -> None:
    words = ["record", "0B", "0D", "--item", "005930", "--folder", str(tmp_path), "--endpoint", url, "--duration", "3"]
    code, shown = run_on_terminal(words)
    screen = Text.from_ansi(shown.decode().replace("\r\n", "\n")).plain

    assert code == 0
    assert "recording" in screen and ".ndjson.zst" in screen
    assert "0B 주식체결" in screen and "0D 주식호가잔량" in screen
    assert "a second" in screen and "s behind" in screen and "free" in screen
    assert "ended, no gaps, no holes" in screen


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "nothing to record: name a TYPE, or a --condition"),
        (["0B"], "type 0B needs at least one"),
        (["0b", "--item", "005930"], "did you mean '0B'"),
        (["0B", "--item", "A005930"], "did you mean '005930'"),
        (["00", "--item", "005930"], "no type is named that takes items"),
        (["0B", "--item", "005930", "--max-size", "0"], "0 is not in the range x>=1"),
        (["0B", *(word for number in range(201) for word in ("--item", f"{number:06d}"))], "1 too many"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_recorded(words: list[str], said: str, tmp_path: Path) -> None:
    folder = tmp_path / "day"
    code, _, errors = invoke("record", *words, "--folder", str(folder))

    assert code == 2
    assert said in errors
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, said = invoke("record", "0B", "--item", "005930", "--folder", str(tmp_path / "file" / "day"))

    assert code == 1
    assert "cannot be made" in said


def test_a_file_of_items_may_have_names_and_remarks() -> None:
    file = io.BytesIO("\ufeff005930 삼성전자\n\n# 반도체\n000660,SK하이닉스\n  001\t종합\n".encode())

    assert read_items(file) == ["005930", "000660", "001"]


def test_a_line_of_items_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_bytes("005930\n삼성\n".encode("cp949"))
    code, _, said = invoke("record", "0B", "--items", str(path), "--folder", str(tmp_path / "day"))

    assert code == 2
    assert f"line 2 of {path}" in said


# recordings.


def damaged(folder: Path) -> Path:
    """A recording with a frame in its middle that cannot be read."""
    parts = frames(lines(1, 10), lines(11, 500), lines(511, 10))
    broken = bytearray(parts[2])
    broken[len(broken) // 2] ^= 1
    return write(folder, b"".join([*parts[:2], bytes(broken), *parts[3:]]))


def test_recordings_are_listed_as_json_lines(tmp_path: Path) -> None:
    gap = encode_event(START + 9 * SECOND, Gap(START + 7 * SECOND, START + 9 * SECOND, 3, epoch=2, sequence=9))
    write(tmp_path, frames(lines(1, 5), gap))
    write(tmp_path, frames(lines(100, 2), head=header(part=2), end=None), number=1)

    code, listed, said = invoke("recordings", str(tmp_path))

    assert (code, said) == (0, "")
    whole, cut = (json.loads(line) for line in listed.splitlines())
    assert whole["path"] == str(tmp_path / "2026-11-25T090000-00.ndjson.zst")
    assert (whole["first"], whole["last"]) == ("2026-11-25T09:00:00+09:00", "2026-11-25T09:00:09+09:00")
    assert (whole["rows"], whole["messages"], whole["is_complete"]) == ({"0B": 5}, 5, True)
    assert event_from_dict(whole["gaps"][0]) == Gap(START + 7 * SECOND, START + 9 * SECOND, 3)
    assert 0 < whole["size"] < whole["text_size"]
    assert (cut["is_complete"], len(cut["holes"])) == (False, 1)


def test_recordings_on_a_terminal_are_a_table_with_what_is_missing(tmp_path: Path) -> None:
    gap = encode_event(START + 9 * SECOND, Gap(START + 7 * SECOND, START + 9 * SECOND, 3, epoch=2, sequence=9))
    hole = encode_event(START + 9 * SECOND, RecordingHole(START, START + SECOND, 12, "the disk is full"))
    write(tmp_path, frames(lines(1, 5), gap, hole))
    write(tmp_path, frames(lines(100, 2), head=header(part=2), end=None), number=1)

    code, shown = run_on_terminal(["recordings", str(tmp_path)], columns=120)
    screen = Text.from_ansi(shown.decode().replace("\r\n", "\n")).plain

    assert code == 0
    first, second = (line for line in screen.splitlines() if line.startswith("2026-11-25"))
    assert "09:00:00 – 09:00:09" in first and "0B 5" in first
    assert "1 (2.0 s)" in first and "1 (1.0 s)" in first
    assert "not closed" in second
    assert "gap   2026-11-25 09:00:07       2.0 s  no connection" in screen
    assert "12 messages: the disk is full" in screen
    assert "2 files · 7 rows" in screen and "1 gap of 2.0 s · 1 hole of 1.0 s · 1 not closed" in screen


def test_recordings_on_a_narrow_terminal_are_lines_of_which_nothing_is_cut(tmp_path: Path) -> None:
    gap = encode_event(START + 9 * SECOND, Gap(START + 7 * SECOND, START + 9 * SECOND, 3, epoch=2, sequence=9))
    write(tmp_path, frames(lines(1, 5), gap))
    write(tmp_path, frames(head=header(part=2), end=None), number=1)

    code, shown = run_on_terminal(["recordings", str(tmp_path)], columns=60)
    screen = Text.from_ansi(shown.decode().replace("\r\n", "\n")).plain

    assert code == 0 and "…" not in screen.partition("2026-11-25T")[2]
    first, _, second = screen.partition("2026-11-25T")[2].partition("2026-11-25T")
    assert [line.strip() for line in first.splitlines()[1:3]] == ["0B 5", "gaps: 1 (2.0 s)  holes: none"]
    assert [line.strip() for line in second.splitlines()[1:3]] == ["none", "gaps: none  holes: not closed"]


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_the_listing_on_a_terminal_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        parts = [lines(100 * number + 5 * part + 1, 5) for part in range(9)]
        write(tmp_path, frames(*parts, head=header(part=number + 1)), number=number)
    told: list[str] = []

    class Status:
        def update(self, text: Text) -> None:
            told.append(text.plain)

    monkeypatch.setattr(Console, "status", lambda console, text: nullcontext(Status()))
    monkeypatch.setattr(sys, "stdout", Terminal())
    cli(["recordings", str(tmp_path)], standalone_mode=False)

    first, second = [each for each in told if "00-00" in each], [each for each in told if "00-01" in each]
    assert told == [*first, "reading … 1 file", *second, "reading … 2 files"]
    for done, each in (("", first), ("1 file, ", second)):
        found = [re.fullmatch(rf"reading … {done}2026-11-25T090000-0\d\.ndjson\.zst (\d+)%", text) for text in each]
        shares = [int(match[1]) for match in found if match]
        assert len(shares) == len(each) and shares == sorted(set(shares)) and 0 < shares[3] < shares[-1] < 100


def test_the_end_of_a_file_that_was_not_closed_is_a_hole_up_to_the_next_file(tmp_path: Path) -> None:
    other = START + 9_300_000_000
    write(tmp_path, frames(lines(1, 5), end=None))
    write(tmp_path, frames(lines(20, 2), head=header(other, "f" * 16), end=None), at=other)
    (tmp_path / "foreign.ndjson").write_bytes(b"PK")

    code, listed, _ = invoke("recordings", str(tmp_path))
    found = [event_from_dict(hole) for line in listed.splitlines() for hole in json.loads(line)["holes"]]
    shown = run_on_terminal(["recordings", str(tmp_path)], columns=120)[1].decode()
    screen = Text.from_ansi(shown.replace("\r\n", "\n")).plain

    assert code == 0
    in_order = sorted((hole for hole in read_recording(tmp_path) if isinstance(hole, RecordingHole)), key=str)
    assert sorted(found, key=str) == in_order, "the listing and the reader agree"
    first, second = (line for line in screen.splitlines() if line.startswith("2026-11-25"))
    assert "not closed, 4.3 s" in first
    assert "not closed" in second and "not closed," not in second
    assert "hole  2026-11-25 09:00:05       4.3 s  2026-11-25T090000-00.ndjson.zst: the file has no end" in screen
    assert "2 holes of 4.3 s · 2 not closed" in screen, "the other is the foreign file"


def test_verify_names_what_is_damaged(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    code, listed, said = invoke("recordings", str(tmp_path), "--verify")

    assert code == 1
    assert f"{path}: at byte " in said
    assert "1 of 1 file damaged or no recording; --repair OUT writes a copy" in said
    assert json.loads(listed)["rows"] == {"0B": 20}
    assert invoke("recordings", str(tmp_path))[0] == 0


def test_verify_names_a_foreign_file_once(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.ndjson.zst"
    foreign.write_bytes(b"PK")

    code, _, said = invoke("recordings", str(tmp_path), "--verify")

    assert code == 1
    assert f"{foreign}: is no recording" in said and said.count(foreign.name) == 1


def test_verify_is_content_with_a_file_that_was_not_closed(tmp_path: Path) -> None:
    write(tmp_path, frames(lines(1, 5), end=None))

    assert invoke("recordings", str(tmp_path), "--verify")[0] == 0


def test_repair_writes_a_copy_that_has_its_hole_marked(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    before, copy = path.read_bytes(), tmp_path / "repaired.ndjson.zst"

    code, listed, said = invoke("recordings", str(path), "--repair", str(copy))

    assert (code, said) == (0, "")
    assert json.loads(listed)["rows"] == {"0B": 20}
    assert invoke("recordings", str(copy), "--verify")[0] == 0
    assert path.read_bytes() == before
    code, _, said = invoke("recordings", str(path), "--repair", str(copy))
    assert code == 1
    assert "exists already" in said


def test_repair_of_a_folder_writes_a_folder(tmp_path: Path) -> None:
    folder, out = tmp_path / "day", tmp_path / "out"
    folder.mkdir()
    damaged(folder)
    write(folder, frames(lines(1, 5), head=header(part=2), end=None), number=1)

    assert invoke("recordings", str(folder), "--repair", str(out))[0] == 0
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in folder.iterdir())
    assert all(summary.is_complete or summary.holes for summary in summarize(out, verify=True))
    assert invoke("recordings", str(out), "--verify")[0] == 0


def test_repair_of_a_folder_goes_on_after_a_file_that_is_no_recording(tmp_path: Path) -> None:
    folder, out = tmp_path / "day", tmp_path / "out"
    folder.mkdir()
    (folder / "1.ndjson").write_bytes(b"PK")
    path = damaged(folder)

    code, listed, said = invoke("recordings", str(folder), "--repair", str(out))

    assert code == 1
    assert [json.loads(line)["rows"] for line in listed.splitlines()] == [{"0B": 20}]
    assert [copy.name for copy in out.iterdir()] == [path.name]
    assert "1.ndjson: is no recording" in said and "1 file left out, and 1 repaired" in said


def test_a_recording_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    code, _, said = invoke("recordings", str(tmp_path / "notes.txt"))

    assert code == 1
    assert "notes.txt: is no recording" in said
    assert "no such file" in invoke("recordings", str(tmp_path / "nowhere"))[2]

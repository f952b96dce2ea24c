"""Recordings of programs that are killed, that exit, that share a folder, or that may not write any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.adapters.command import exchange

from kiwoom_proto import Event, Record
from kiwoom_proto.events import RecordingHole
from kiwoom_proto.recording import read_recording
from kiwoom_proto.recording.check import summarize

LIMIT = 60.0
"""Seconds after which something that should happen counts as missing; a busy machine may need many."""

PROGRAM = """
import asyncio, json, sys
import kiwoom_asyncio
from kiwoom_proto import AfterHoursQuote, ClientConfig, Endpoint, Record
from kiwoom_proto.events import RecordingFailed, RecordingHole
from kiwoom_proto.recording import Recorder

def say(**told):
    print(json.dumps(told), flush=True)

async def main(act, url, folder, token):
    recorder = Recorder(folder, queue_bytes=20_000)
    config = ClientConfig(overflow="drop_oldest")
    async with kiwoom_asyncio.connect(Endpoint(url), token=token, config=config, record=recorder) as client:
        await client.subscribe(AfterHoursQuote, "005930")
        await act(client, recorder)
    say(messages=recorder.stats().messages, lost=recorder.stats().lost)

async def never_ends(client, recorder):
    written = 0
    async for event in client:
        if recorder.stats().messages > written:
            say(written=(written := recorder.stats().messages))

async def exits(client, recorder):
    async for event in client:
        if event.sequence > 100:
            sys.exit(3)

async def ends_when_told(client, recorder):
    async for event in client:
        if recorder.stats().messages:
            break
    say(path=recorder.stats().path)
    await asyncio.to_thread(sys.stdin.readline)

async def may_not_write(client, recorder):
    import resource
    own, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    at_first = 0
    async for event in client:
        if not at_first and (at_first := recorder.stats().messages):
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        if isinstance(event, RecordingFailed):
            say(failed=event.reason)
        if at_first and recorder.stats().lost > 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (own, hard))
        if isinstance(event, RecordingHole):
            say(hole=[event.start, event.end, event.messages, event.reason])
            return

asyncio.run(main(globals()[sys.argv[1]], *sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with exchange("--rate", "200") as (url, _):
        yield url


def program(act: str, url: str, folder: Path, token: str = "token") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, act, url, str(folder), token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a program says next, once it has."""
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def end(process: subprocess.Popen[str], code: int = 0) -> list[dict[str, Any]]:
    """Let a program end; return what else it said."""
    output, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, errors) == (code, "")
    return [json.loads(line) for line in output.splitlines()]


def assert_no_row_is_missing(path: Path, events: list[Event]) -> None:
    """Between the rows of a recording, there is no number but those of its other events and of its messages.

    An answer that comes after the first rows has a number of its own, and what the session makes of it has another.
    """
    numbers = {event.sequence for event in events} | sequences_of_lines(path)
    rows = [event.sequence for event in events if isinstance(event, Record)]
    assert set(range(rows[0], rows[-1])) <= numbers


def sequences_of_lines(path: Path) -> set[int]:
    """Return the number of each whole line of a recording that has one."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as lines:
        whole = [line for line in lines.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return {line["sequence"] for line in map(json.loads, whole) if "sequence" in line}


def test_a_killed_program_has_recorded_all_that_it_counts_as_written(url: str, tmp_path: Path) -> None:
    with program("never_ends", url, tmp_path) as process:
        told_by(process)
        told_by(process)
        process.kill()
        rest, _ = process.communicate(timeout=LIMIT)
    counts = [json.loads(line)["written"] for line in rest.splitlines() if line.endswith("}")]

    (summary,) = summarize(tmp_path)
    events = list(read_recording(tmp_path))
    assert not summary.is_complete
    assert summary.messages >= max(counts, default=1)
    assert isinstance(events[-1], RecordingHole)
    assert_no_row_is_missing(summary.path, events[:-1])


def test_a_program_that_exits_leaves_a_complete_recording(url: str, tmp_path: Path) -> None:
    with program("exits", url, tmp_path) as process:
        end(process, 3)

    (summary,) = summarize(tmp_path)
    events = list(read_recording(tmp_path))
    assert summary.is_complete
    assert_no_row_is_missing(summary.path, events)
    assert events[-1].sequence > 100


def test_two_programs_may_record_to_one_folder_at_once(url: str, tmp_path: Path) -> None:
    with program("ends_when_told", url, tmp_path, "one") as one, program("ends_when_told", url, tmp_path, "two") as two:
        paths = [told_by(process)["path"] for process in (one, two)]  # both are recording now
        counts = [end(process)[0]["messages"] for process in (one, two)]

    summaries = {str(summary.path): summary for summary in summarize(tmp_path)}
    assert sorted(summaries) == sorted(paths)
    assert [summaries[path].messages for path in paths] == counts
    assert all(summary.is_complete and not summary.holes for summary in summaries.values())
    for path in paths:
        assert_no_row_is_missing(Path(path), list(read_recording(path)))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of a process's files")
def test_where_the_system_refuses_to_write_it_is_told_and_the_rest_is_kept(url: str, tmp_path: Path) -> None:
    with program("may_not_write", url, tmp_path) as process:
        failed, hole, totals = end(process)

    start, stop, messages, reason = hole["hole"]
    assert failed["failed"] == reason == "the disk cannot be written to: File too large"
    assert totals["lost"] == messages > 20
    events = list(read_recording(tmp_path))
    rows = [event for event in events if isinstance(event, Record)]
    assert [row for row in rows if start < row.received_at < stop] == []
    assert rows[0].received_at <= start and rows[-1].received_at >= stop, "there are rows on both sides"
    assert sum(summary.messages for summary in summarize(tmp_path)) == totals["messages"]
    found = [event for event in events if isinstance(event, RecordingHole)]
    assert [(each.start, each.end, each.messages) for each in found if each.messages] == [(start, stop, messages)]

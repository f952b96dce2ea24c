"""A recording of a simulated exchange: everything heard and said, whatever the consumer, the disk or the end."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.adapters.kit import ITEM, TOKEN, Client, Loop, until

from kiwoom_proto import AfterHoursQuote, ClientConfig, Event, LocalProtocolError, Record, Trade
from kiwoom_proto.errors import LoginRefused, RecordingError
from kiwoom_proto.events import RecordingFailed, RecordingHole
from kiwoom_proto.recording.check import summarize
from kiwoom_proto.recording.disk import FolderDisk
from kiwoom_proto.recording.format import EventLine, Footer, Header, MessageLine, SentLine
from kiwoom_proto.recording.frames import Block, read_blocks
from kiwoom_proto.recording.reader import read_lines, read_recording
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.recording.writer import File
from kiwoom_proto.simulator import Exchange

BUSY = ClientConfig(request_interval=0, reconnect=False, buffer_size=20, overflow="drop_oldest")


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def content(folder: Path) -> bytes:
    """Everything in the files of a folder, decompressed."""
    found = b""
    for path in files(folder):
        with path.open("rb") as file:
            for part in read_blocks(file):
                assert isinstance(part, Block)
                found += part.data
    return found


def decompressed(frame: bytes) -> bytes:
    return b"".join(part.data for part in read_blocks(io.BytesIO(frame)) if isinstance(part, Block))


def events_of(folder: Path) -> list[Event]:
    return list(read_recording(folder))


def assert_whole(events: list[Event]) -> list[int]:
    """The numbers of rows, with none missing among them but those of other events."""
    numbers = [event.sequence for event in events if isinstance(event, Record)]
    others = {event.sequence for event in events if not isinstance(event, Record)}
    missing = set(range(numbers[0], numbers[-1])) - set(numbers)
    assert missing <= others
    return numbers


async def take(client: Client, count: int) -> list[Event]:
    """Iterate so many rows; returns everything that came until then."""
    events: list[Event] = []
    async for event in client:
        events.append(event)
        count -= isinstance(event, Record)
        if not count:
            break
    return events


async def test_a_recording_holds_a_session_from_the_first_attempt_to_the_end(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with loop.serve(Exchange(rate=500)) as server:
        async with loop.connect(server.endpoint, record=recorder) as client:
            await client.subscribe(AfterHoursQuote, ITEM)
            seen = await take(client, 100)
        seen += [event async for event in client]

    (path,) = files(tmp_path)
    lines = list(read_lines(path))
    events = list(read_recording(tmp_path))
    assert isinstance(lines[0], Header)
    assert (lines[0].endpoint, lines[0].part, lines[0].masked) == (server.endpoint.url, 1, True)
    names = [type(line.event).__name__ for line in lines if isinstance(line, EventLine)]
    assert names == ["Connecting", "Opened", "LoggedIn", "RequestAccepted", "Closed"]
    sent = [line.payload for line in lines if isinstance(line, SentLine)]
    assert sent[0] == b'{"trnm":"LOGIN","token":"***"}'
    assert b'"trnm":"REG"' in sent[1]
    messages = sum(isinstance(line, MessageLine) for line in lines)
    assert isinstance(lines[-1], Footer)
    assert (lines[-1].end, lines[-1].messages) == ("closed", messages)
    rows = [event for event in events if isinstance(event, Record)]
    assert rows[: len(seen) - 1] == [event for event in seen if isinstance(event, Record)]
    assert [(row.epoch, row.sequence, row.received_at) for row in rows[:100]] == [
        (row.epoch, row.sequence, row.received_at) for row in seen[:100] if isinstance(row, Record)
    ]
    stats = recorder.stats()
    assert (stats.messages, stats.lost, stats.files, stats.waiting_bytes) == (messages, 0, 1, 0)


async def test_a_consumer_that_is_too_slow_costs_the_recording_nothing(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with (
        loop.serve(Exchange(rate=500)) as server,
        loop.connect(server.endpoint, config=BUSY, record=recorder) as client,
    ):
        await client.subscribe(AfterHoursQuote, ITEM)
        await until(lambda: client.stats().dropped > 100)

    assert len(assert_whole(events_of(tmp_path))) > 100
    assert recorder.stats().lost == 0


@pytest.mark.parametrize("record", ["day", 5, True, Recorder, Path("day")])
async def test_what_is_no_recorder_is_refused(loop: Loop, record: Any) -> None:
    text = r'record: must be a Recorder, as in record=Recorder\("recordings"\), not '
    async with loop.serve(Exchange()) as server:
        with pytest.raises(LocalProtocolError, match=text):
            async with loop.connect(server.endpoint, record=record):
                raise AssertionError("the block must not be entered")


@pytest.mark.parametrize("folder", [None, 5, b"day", ["day"]])
def test_a_recorder_needs_a_path(folder: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r'folder: must be a path, as in Recorder\("recordings"\), not '):
        Recorder(folder)


async def test_a_recorder_serves_one_client_at_a_time(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with loop.serve(Exchange(rate=100)) as server:
        async with loop.connect(server.endpoint, record=recorder) as client:
            await client.subscribe(AfterHoursQuote, ITEM)
            await take(client, 3)
            with pytest.raises(LocalProtocolError, match="serves another client"):
                async with loop.connect(server.endpoint, record=recorder):
                    raise AssertionError("the block must not be entered")
            await take(client, 3)
        async with loop.connect(server.endpoint, record=recorder):
            pass

    first, second = [next(read_lines(path)) for path in files(tmp_path)]
    assert isinstance(first, Header)
    assert isinstance(second, Header)
    assert first.session != second.session
    assert recorder.stats().files == 2


async def test_two_recorders_in_one_folder_have_files_of_their_own(loop: Loop, tmp_path: Path) -> None:
    async with (
        loop.serve(Exchange(rate=100)) as server,
        loop.connect(server.endpoint, record=Recorder(tmp_path)) as one,
        loop.connect(server.endpoint, record=Recorder(tmp_path), token=f"{TOKEN}-2") as two,
    ):
        for client in (one, two):
            await client.subscribe(AfterHoursQuote, ITEM)
        for client in (one, two):
            await take(client, 10)

    assert len(files(tmp_path)) == 2
    assert {next(read_lines(path)).part for path in files(tmp_path)} == {1}  # type: ignore[union-attr]
    for path in files(tmp_path):
        assert_whole(list(read_recording(path)))


async def test_a_refused_login_is_recorded(loop: Loop, tmp_path: Path) -> None:
    async with loop.serve(Exchange(tokens={})) as server:
        with pytest.raises(LoginRefused):
            async with loop.connect(server.endpoint, record=Recorder(tmp_path)):
                raise AssertionError("the block must not be entered")

    (path,) = files(tmp_path)
    *_, closed, footer = read_lines(path)
    assert isinstance(closed, EventLine)
    assert type(closed.event).__name__ == "Closed"
    assert isinstance(footer, Footer)
    assert TOKEN.encode() not in content(tmp_path)


@pytest.mark.parametrize("masks", [True, False])
async def test_neither_token_nor_account_number_is_written(loop: Loop, tmp_path: Path, masks: bool) -> None:
    exchange = Exchange(tokens={TOKEN: "key"}, rate=100)
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, record=Recorder(tmp_path, mask_accounts=masks)) as client,
    ):
        await client.subscribe("00")
        account = exchange.place_order("key", ITEM, "buy", 10).account
        await take(client, 1)
        exchange.garbage(f"who is {TOKEN}, account {account}?".encode())
        async for event in client:
            if not isinstance(event, Record):
                break

    text = content(tmp_path)
    assert b'"9201"' in text
    assert TOKEN.encode() not in text
    assert (account.encode() in text) is not masks


async def test_a_recording_can_be_read_while_it_is_written(loop: Loop, tmp_path: Path) -> None:
    async with (
        loop.serve(Exchange(rate=500)) as server,
        loop.connect(server.endpoint, record=Recorder(tmp_path)) as client,
    ):
        await client.subscribe(AfterHoursQuote, ITEM)
        await until(lambda: files(tmp_path) and len(events_of(tmp_path)) > 100)
        so_far = events_of(tmp_path)
        assert isinstance(so_far[-1], RecordingHole)
        assert_whole(so_far)

    assert not any(isinstance(event, RecordingHole) for event in events_of(tmp_path))


async def test_cancelled_the_recording_is_completed_all_the_same(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with loop.serve(Exchange(rate=500)) as server:
        with anyio.CancelScope() as scope:
            async with loop.connect(server.endpoint, record=recorder) as client:
                await client.subscribe(AfterHoursQuote, ITEM)
                await take(client, 20)
                scope.cancel()
                await anyio.sleep(10)
        await until(lambda: recorder.wait(0))

    (path,) = files(tmp_path)
    *_, footer = read_lines(path)
    assert isinstance(footer, Footer)
    assert footer.messages == recorder.stats().messages


async def test_an_error_of_the_block_is_raised_and_the_recording_complete(loop: Loop, tmp_path: Path) -> None:
    async with loop.serve(Exchange()) as server:
        with pytest.raises(ZeroDivisionError):
            async with loop.connect(server.endpoint, record=Recorder(tmp_path)):
                raise ZeroDivisionError

    (path,) = files(tmp_path)
    *_, footer = read_lines(path)
    assert isinstance(footer, Footer)


# The disk.


class Quota:
    """A disk with a quota: nothing can be written while `is_full`."""

    def __init__(self, folder: Path) -> None:
        self.is_full = False
        self.is_full_at_end = False
        self.error: Exception = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._disk = FolderDisk(folder)

    def create(self, at: int) -> File:
        quota, file = self, self._disk.create(at)

        class Limited(type(file)):  # type: ignore[misc]
            def write(self, data: bytes) -> None:
                if quota.is_full or (quota.is_full_at_end and b'"end":' in decompressed(data)):
                    file.write(data[: len(data) // 2])
                    raise quota.error
                file.write(data)

        limited = Limited.__new__(Limited)
        limited.__dict__.update(vars(file))
        return limited


async def test_a_full_disk_is_told_once_and_the_hole_when_it_goes_on(loop: Loop, tmp_path: Path) -> None:
    quota = Quota(tmp_path)
    recorder = Recorder(tmp_path, disk=quota, queue_bytes=20_000)
    seen: list[Event] = []
    async with (
        loop.serve(Exchange(rate=500)) as server,
        loop.connect(server.endpoint, record=recorder) as client,
        client.stream(Trade, ITEM, overflow="drop_oldest") as live,
    ):
        await client.subscribe(AfterHoursQuote, ITEM)
        seen += await take(client, 100)
        quota.is_full = True
        async for event in client:
            seen.append(event)
            if isinstance(event, RecordingFailed):
                break
        assert recorder.stats().failure == "the disk is full"
        while recorder.stats().lost < 50:
            seen += await take(client, 10)
        quota.is_full = False
        async for event in client:
            seen.append(event)
            if isinstance(event, RecordingHole):
                break
        seen += await take(client, 10)
        assert live.gaps == 0, "a live stream has got every row"

    failed = [event for event in seen if isinstance(event, RecordingFailed)]
    assert [event.reason for event in failed] == ["the disk is full"]
    (hole,) = [event for event in seen if isinstance(event, RecordingHole)]
    stats = recorder.stats()
    assert (hole.messages, hole.reason) == (stats.lost, "the disk is full")
    assert (stats.holes, stats.files) == (1, 1)
    recorded = events_of(tmp_path)
    assert [event for event in recorded if isinstance(event, RecordingHole)] == [hole]
    missing = {event.sequence for event in seen if isinstance(event, Record)} - {event.sequence for event in recorded}
    assert missing
    assert all(hole.start < event.received_at < hole.end for event in seen if event.sequence in missing)  # type: ignore[union-attr]


async def test_a_disk_that_stays_full_is_an_error_on_leaving(loop: Loop, tmp_path: Path) -> None:
    quota = Quota(tmp_path)
    recorder = Recorder(tmp_path, disk=quota)
    async with loop.serve(Exchange(rate=500)) as server:
        with pytest.raises(RecordingError, match=r"lacks its end: .* messages were lost: the disk is full"):
            async with loop.connect(server.endpoint, record=recorder) as client:
                await client.subscribe(AfterHoursQuote, ITEM)
                await until(lambda: recorder.stats().messages)
                quota.is_full = True
                received = client.stats().received
                await until(lambda: client.stats().received > received)

    assert recorder.stats().lost > 0
    events = events_of(tmp_path)
    assert_whole(events)
    assert isinstance(events[-1], RecordingHole)


async def test_a_bug_of_the_recorder_leaves_no_file_that_looks_complete(loop: Loop, tmp_path: Path) -> None:
    quota = Quota(tmp_path)
    quota.error = ValueError(f"what is {TOKEN}?")
    recorder = Recorder(tmp_path, disk=quota)
    seen: list[Event] = []
    async with loop.serve(Exchange(rate=500)) as server:
        with pytest.raises(RecordingError, match="lacks its end: an error of the recorder, ValueError") as caught:
            async with loop.connect(server.endpoint, record=recorder) as client:
                await client.subscribe(AfterHoursQuote, ITEM)
                await until(lambda: recorder.stats().messages)
                quota.is_full = True
                async for event in client:
                    seen.append(event)
                    if isinstance(event, RecordingFailed):
                        break
                quota.is_full = False
                lost = recorder.stats().lost
                while recorder.stats().lost < lost + 20:  # the feed goes on, and what is lost is counted
                    seen += await take(client, 1)

    assert TOKEN not in f"{caught.value} {seen}"
    (summary,) = summarize(tmp_path)
    assert not summary.is_complete
    assert isinstance(events_of(tmp_path)[-1], RecordingHole)


async def test_a_disk_that_is_full_at_the_end_of_the_file_is_an_error_on_leaving(loop: Loop, tmp_path: Path) -> None:
    quota = Quota(tmp_path)
    recorder = Recorder(tmp_path, disk=quota)
    async with loop.serve(Exchange(rate=500)) as server:
        with pytest.raises(RecordingError, match=r"the last line of its file is missing: the disk is full"):
            async with loop.connect(server.endpoint, record=recorder) as client:
                await client.subscribe(AfterHoursQuote, ITEM)
                await until(lambda: recorder.stats().messages)
                quota.is_full_at_end = True

    stats = recorder.stats()
    assert (stats.lost, stats.failure) == (0, "the disk is full")


async def test_a_folder_that_is_removed_is_made_again_and_what_it_held_is_a_hole(loop: Loop, tmp_path: Path) -> None:
    folder = tmp_path / "days"
    recorder = Recorder(folder)
    async with (
        loop.serve(Exchange(rate=500)) as server,
        loop.connect(server.endpoint, record=recorder) as client,
    ):
        await client.subscribe(AfterHoursQuote, ITEM)
        await until(lambda: recorder.stats().messages)
        shutil.rmtree(folder)
        await until(lambda: recorder.stats().files == 2)
        async for event in client:
            if isinstance(event, RecordingHole):
                told = event
                break

    (path,) = files(folder)
    header, *_, footer = read_lines(path)
    assert isinstance(header, Header)
    assert header.part == 2
    assert isinstance(footer, Footer)
    stats = recorder.stats()
    assert told.messages == stats.lost > 0
    assert (stats.messages, stats.holes) == (footer.messages, 1)
    assert [hole for hole in events_of(folder) if isinstance(hole, RecordingHole)] == [told], "one loss, one hole"


async def test_a_file_that_is_removed_before_the_end_is_an_error_on_leaving(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with loop.serve(Exchange()) as server:
        with pytest.raises(RecordingError, match=r"the recording lacks \d+ messages.*: somebody removed the file"):
            async with loop.connect(server.endpoint, record=recorder) as client:
                await client.subscribe(AfterHoursQuote, ITEM)
                await until(lambda: recorder.stats().messages)
                shutil.rmtree(tmp_path)
    assert recorder.stats().lost > 0


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be renamed there")
async def test_a_file_that_is_renamed_is_completed(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with (
        loop.serve(Exchange(rate=500)) as server,
        loop.connect(server.endpoint, record=recorder) as client,
    ):
        await client.subscribe(AfterHoursQuote, ITEM)
        await until(lambda: recorder.stats().messages)
        (path,) = files(tmp_path)
        path.rename(tmp_path / "2000-01-01T000000-00.ndjson.zst")
        await until(lambda: recorder.stats().files == 2)

    events = events_of(tmp_path)
    assert not any(isinstance(event, RecordingHole) for event in events)
    assert_whole(events)


# What cannot be recorded.


def test_a_folder_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RecordingError, match="cannot be made"):
        Recorder(tmp_path / "file" / "folder")


def test_invalid_arguments(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="fsync: must be one of file, frame, never"):
        Recorder(tmp_path, fsync="always")  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="max_file_bytes"):
        Recorder(tmp_path, max_file_bytes=10)
    with pytest.raises(LocalProtocolError, match="queue_bytes"):
        Recorder(tmp_path, queue_bytes=0)

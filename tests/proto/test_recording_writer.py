"""Which lines make a frame, which frames a file, and what becomes of them when the disk fails: on virtual time."""

from __future__ import annotations

import errno
import io
from typing import Any, Literal

import pytest

from kiwoom_proto.events import RecordingHole
from kiwoom_proto.recording.format import Footer, Header, MessageLine, decode_line, encode_message
from kiwoom_proto.recording.frames import Block, read_blocks
from kiwoom_proto.recording.writer import Place, Writer

SECOND = 1_000_000_000
NOON = 1_764_039_600 * SECOND  # 2025-11-25 12:00 KST
MIDNIGHT = NOON + 12 * 3_600 * SECOND
HEADER = Header(0, "wss://127.0.0.1/", False, "test", "0123456789abcdef")


class FakeFile:
    """A file in memory that fails on demand."""

    def __init__(self, disk: FakeDisk, path: str) -> None:
        self.disk = disk
        self.path = path
        self.data = bytearray()
        self.writes: list[int] = []
        self.syncs = 0
        self.is_open = True
        self.now_at: Place = "here"

    def write(self, data: bytes) -> None:
        room = self.disk.room
        if room is not None and len(data) > room:
            self.data += data[:room]
            self.disk.room = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.disk.broken:
            self.data += data[: len(data) // 2]
            raise OSError(errno.EIO, "Input/output error")
        self.disk.room = None if room is None else room - len(data)
        self.data += data
        self.writes.append(len(data))

    def truncate(self, size: int) -> None:
        if self.disk.broken == "for good":
            raise OSError(errno.EIO, "Input/output error")
        self.disk.room = None if self.disk.room is None else self.disk.room + len(self.data) - size
        del self.data[size:]

    def sync(self) -> None:
        self.syncs += 1
        if self.disk.sync_fails:
            raise OSError(errno.EIO, "Input/output error")

    def place(self) -> Place:
        return self.now_at

    def close(self) -> None:
        self.is_open = False

    def discard(self) -> None:
        self.is_open = False
        self.disk.files.remove(self)


class FakeDisk:
    """Where files are made in memory."""

    def __init__(self) -> None:
        self.files: list[FakeFile] = []
        self.made: list[int] = []
        self.room: int | None = None
        self.broken: Literal["", "once", "for good"] = ""
        self.sync_fails = False
        self.is_readonly = False

    def create(self, at: int) -> FakeFile:
        if self.is_readonly:
            raise OSError(errno.EROFS, "Read-only file system")
        self.made.append(at)
        self.files.append(FakeFile(self, f"file {len(self.made)}"))
        return self.files[-1]


def make(
    disk: FakeDisk, *, max_file_bytes: int = 1 << 30, fsync: Literal["file", "frame", "never"] = "never"
) -> Writer:
    return Writer(disk, HEADER, max_file_bytes=max_file_bytes, fsync=fsync)


def line(number: int, at: int = NOON, size: int = 10) -> bytes:
    return encode_message(at, 1, number, b'{"n":%d,"pad":"%s"}' % (number, b"x" * size))


def read(file: FakeFile) -> list[Any]:
    """The lines of a file, which must be without damage."""
    lines = []
    for part in read_blocks(io.BytesIO(bytes(file.data))):
        assert isinstance(part, Block)
        lines += [decode_line(text) for text in part.data.splitlines()]
    return lines


def numbers(disk: FakeDisk) -> list[int]:
    return [each.sequence for file in disk.files for each in read(file) if isinstance(each, MessageLine)]


def test_a_quiet_feed_is_on_the_disk_after_a_second() -> None:
    disk = FakeDisk()
    writer = make(disk)

    writer.add(NOON, line(1), 1, 100.0)
    writer.add(NOON, line(2), 1, 100.9)

    assert disk.files == []
    assert writer.deadline == 101.0
    assert writer.oldest_at == NOON
    writer.handle_deadline(100.99)
    assert disk.files == []
    writer.handle_deadline(101.0)
    assert numbers(disk) == [1, 2]
    after = writer.deadline
    assert after is None
    assert (writer.oldest_at, writer.messages, writer.failure) == (0, 2, "")


def test_a_busy_feed_makes_a_frame_of_each_mebibyte_in_one_write() -> None:
    disk = FakeDisk()
    writer = make(disk)

    for number in range(1, 41):
        writer.add(NOON, line(number, size=65_536), 1, 100.0)

    (file,) = disk.files
    assert len(file.writes) == 3  # the header, and two frames
    assert len(numbers(disk)) == writer.messages == 32
    writer.close(NOON, 100.0)
    assert numbers(disk) == list(range(1, 41))
    assert writer.bytes_written == len(file.data) == sum(file.writes)


def test_a_line_that_comes_late_does_not_keep_those_before_it_waiting() -> None:
    disk = FakeDisk()
    writer = make(disk)
    writer.add(NOON, line(1), 1, 100.0)

    writer.add(NOON, line(2), 1, 101.5)

    assert numbers(disk) == [1]
    assert writer.deadline == 102.5


def test_a_file_begins_with_its_header_and_ends_with_how_many_messages_it_has() -> None:
    disk = FakeDisk()
    writer = make(disk)
    writer.add(NOON, line(1), 1, 0.0)
    writer.close(NOON + SECOND, 0.5)

    header, message, footer = read(disk.files[0])

    assert header == Header(NOON, "wss://127.0.0.1/", False, "test", "0123456789abcdef", 1)
    assert message.sequence == 1
    assert footer == Footer(NOON + SECOND, "closed", 1)
    assert not disk.files[0].is_open
    assert writer.path == ""


def test_nothing_to_record_makes_no_file() -> None:
    disk = FakeDisk()
    make(disk).close(NOON, 0.0)

    assert disk.made == []


def test_a_file_ends_at_midnight_in_seoul() -> None:
    disk = FakeDisk()
    writer = make(disk)
    writer.add(MIDNIGHT - 1, line(1, MIDNIGHT - 1), 1, 0.0)
    writer.add(MIDNIGHT, line(2, MIDNIGHT), 1, 0.1)
    writer.close(MIDNIGHT + SECOND, 0.2)

    first, second = map(read, disk.files)

    assert disk.made == [MIDNIGHT - 1, MIDNIGHT]
    assert [type(each) for each in first] == [Header, MessageLine, Footer]
    assert (first[-1].end, second[-1].end) == ("rotated", "closed")
    assert (first[0].part, second[0].part) == (1, 2)
    assert first[0].session == second[0].session


def test_a_clock_that_steps_back_over_midnight_begins_a_file_too() -> None:
    disk = FakeDisk()
    writer = make(disk)
    for number, at in enumerate((MIDNIGHT, MIDNIGHT - 1, MIDNIGHT)):
        writer.add(at, line(number, at), 1, 0.0)
    writer.close(MIDNIGHT, 0.0)

    assert disk.made == [MIDNIGHT, MIDNIGHT - 1, MIDNIGHT]
    assert numbers(disk) == [0, 1, 2]


def test_a_file_ends_at_its_size() -> None:
    disk = FakeDisk()
    writer = make(disk, max_file_bytes=400)
    for number in range(20):
        writer.add(NOON, line(number), 1, float(number))
    writer.close(NOON, 20.0)

    assert len(disk.files) > 2
    assert all(len(file.data) < 800 for file in disk.files)
    assert numbers(disk) == list(range(20))
    assert [read(file)[0].part for file in disk.files] == list(range(1, len(disk.files) + 1))
    assert writer.files == len(disk.files)


def test_a_file_that_is_due_begins_with_the_next_frame() -> None:
    disk = FakeDisk()
    writer = make(disk)
    writer.add(NOON, line(1), 1, 0.0)
    writer.is_file_due = True
    writer.handle_deadline(2.0)
    writer.add(NOON, line(2), 1, 3.0)
    writer.close(NOON, 4.0)

    assert [len(read(file)) for file in disk.files] == [3, 3]
    assert numbers(disk) == [1, 2]


@pytest.mark.parametrize(("fsync", "least"), [("never", 0), ("file", 1), ("frame", 4)])
def test_fsync_as_asked(fsync: Any, least: int) -> None:
    disk = FakeDisk()
    writer = make(disk, fsync=fsync)
    for number in range(3):
        writer.add(NOON, line(number), 1, float(2 * number))
    writer.close(NOON, 9.0)

    (file,) = disk.files
    assert file.syncs >= least
    assert bool(file.syncs) is bool(least)


# The disk fails.


def test_a_file_that_is_rotated_ends_no_earlier_than_its_last_line() -> None:
    disk = FakeDisk()
    writer = make(disk)
    writer.is_file_due = True
    writer.add(NOON, line(1), 1, 100.0)
    writer.add(NOON + SECOND // 2, line(2, NOON + SECOND // 2), 1, 100.5)
    writer.handle_deadline(101.0)

    assert read(disk.files[0])[-1] == Footer(NOON + SECOND // 2, "rotated", 2)


def fill(writer: Writer, first: int, last: int, now: float) -> None:
    for number in range(first, last + 1):
        writer.add(NOON, line(number), 1, now)
    writer.handle_deadline(now + 1.0)


def test_a_full_disk_cuts_the_file_back_and_goes_on_in_it_when_there_is_room() -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    whole = bytes(disk.files[0].data)
    disk.room = 20

    fill(writer, 4, 6, 10.0)

    assert writer.failure == "the disk is full"
    assert writer.deadline == 12.0
    assert bytes(disk.files[0].data) == whole, "no torn frame is left"
    assert writer.messages == 3
    writer.handle_deadline(12.0)
    assert writer.failure == "the disk is full"
    disk.room = None
    writer.handle_deadline(12.5)
    assert writer.failure, "it is tried once a second"
    writer.handle_deadline(13.0)
    assert writer.failure == ""
    writer.close(NOON, 14.0)
    assert len(disk.files) == 1
    assert numbers(disk) == list(range(1, 7))
    assert read(disk.files[0])[-1] == Footer(NOON, "closed", 6)


def test_a_disk_that_is_full_from_the_start_leaves_no_heap_of_empty_files() -> None:
    disk = FakeDisk()
    disk.room = 0
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    for now in range(2, 20):
        writer.handle_deadline(float(now))

    assert len(disk.made) == 1
    disk.room = None
    writer.handle_deadline(21.0)
    writer.close(NOON, 22.0)
    assert numbers(disk) == [1, 2, 3]
    assert read(disk.files[0])[0].part == 1


@pytest.mark.parametrize("how", ["once", "for good"])
def test_after_another_failure_a_new_file_is_begun_and_nothing_is_lost(how: Any) -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    disk.broken = how
    fill(writer, 4, 6, 10.0)

    assert writer.failure == "the disk cannot be written to: Input/output error"
    assert writer.messages == 3
    disk.broken = ""
    writer.handle_deadline(12.0)
    assert writer.failure == ""
    writer.close(NOON, 13.0)
    first, second = disk.files
    assert [each.part for each in (read(second)[0],)] == [2]
    assert [each.sequence for each in read(second) if isinstance(each, MessageLine)] == [4, 5, 6]
    assert bytes(first.data[:4]) == b"\x28\xb5\x2f\xfd"
    if how == "once":
        assert numbers(disk) == list(range(1, 7))


def test_a_file_that_cannot_be_made_is_tried_again() -> None:
    disk = FakeDisk()
    disk.is_readonly = True
    writer = make(disk)
    fill(writer, 1, 2, 0.0)

    assert writer.failure == "the disk cannot be written to: Read-only file system"
    disk.is_readonly = False
    writer.handle_deadline(2.0)
    writer.close(NOON, 3.0)
    assert numbers(disk) == [1, 2]


def test_data_that_may_not_have_reached_the_disk_is_written_again() -> None:
    disk = FakeDisk()
    writer = make(disk, fsync="frame")
    fill(writer, 1, 2, 0.0)
    disk.sync_fails = True
    fill(writer, 3, 4, 10.0)
    assert writer.failure

    disk.sync_fails = False
    writer.handle_deadline(12.0)
    writer.close(NOON, 13.0)

    assert numbers(disk) == [1, 2, 3, 4]


def test_a_disk_that_stays_full_costs_what_was_not_written_and_says_how_much() -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    disk.room = 0
    fill(writer, 4, 6, 10.0)
    writer.close(NOON, 12.0)

    assert writer.messages == 3
    assert writer.failure == "the disk is full"
    assert numbers(disk) == [1, 2, 3]


def test_a_disk_that_is_full_when_a_frame_is_lost_gives_the_file_no_end_though_that_would_fit() -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    writer.add(NOON, b"".join(line(number, size=number) for number in range(4, 400)), 396, 10.0)
    disk.room = 150
    writer.close(NOON, 12.0)

    assert (writer.messages, writer.failure) == (3, "the disk is full")
    assert not any(isinstance(each, Footer) for each in read(disk.files[0]))


def test_a_disk_that_is_full_exactly_at_the_end_is_said() -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    disk.room = 10
    writer.close(NOON, 12.0)

    assert (writer.messages, writer.failure) == (3, "the disk is full")
    assert numbers(disk) == [1, 2, 3]
    assert not any(isinstance(each, Footer) for each in read(disk.files[0]))


def test_a_file_that_lacks_something_gets_no_end() -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    writer.add(NOON, line(4), 1, 10.0)
    writer.close(NOON, 10.5, is_whole=False)

    assert numbers(disk) == [1, 2, 3, 4]
    assert not any(isinstance(each, Footer) for each in read(disk.files[0]))
    assert not disk.files[0].is_open


# Somebody touches the files.


def test_a_file_that_was_removed_is_left_and_the_frame_goes_into_a_new_one() -> None:
    disk = FakeDisk()
    missing: list[RecordingHole] = []
    writer = Writer(disk, HEADER, max_file_bytes=1 << 30, fsync="never", on_removed=missing.append)
    fill(writer, 1, 3, 0.0)
    disk.files[0].now_at = "removed"
    fill(writer, 4, 6, 10.0)
    writer.close(NOON, 12.0)

    assert (writer.messages, writer.lost) == (3, 3)
    assert writer.bytes_written == len(disk.files[1].data)
    assert missing == [RecordingHole(NOON, NOON, 3, "somebody removed the file while it was being written")]

    _, second = disk.files
    assert [each.sequence for each in read(second) if isinstance(each, MessageLine)] == [4, 5, 6]
    assert read(second)[0].part == 2
    assert not disk.files[0].is_open


def test_a_file_that_was_renamed_gets_its_end() -> None:
    disk = FakeDisk()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)
    disk.files[0].now_at = "moved"
    fill(writer, 4, 6, 10.0)
    fill(writer, 7, 8, 20.0)
    writer.close(NOON, 30.0)

    first, second = map(read, disk.files)
    assert first[-1] == Footer(NOON, "rotated", 6)
    assert [each.sequence for each in second if isinstance(each, MessageLine)] == [7, 8]


def test_files_that_vanish_as_soon_as_they_are_made_are_a_failure_not_a_loop() -> None:
    class Vanishing(FakeDisk):
        def create(self, at: int) -> FakeFile:
            file = super().create(at)
            file.now_at = "removed"
            return file

    disk = Vanishing()
    writer = make(disk)
    fill(writer, 1, 3, 0.0)

    assert "removed" in writer.failure
    assert len(disk.made) == 2

"""The queue between a feed and a recorder's thread: bounded, never blocking, and nothing is lost silently."""

from __future__ import annotations

from kiwoom_proto import Closed, Event
from kiwoom_proto.connection.capture import Capture, Received, Reported
from kiwoom_proto.events import Batch, Numbering, RecordingFailed, RecordingHole
from kiwoom_proto.recording.backlog import OVERHEAD, Backlog, message_count

NOW = 1_764_000_000_000_000_000
ROOM = 10 * (1_000 + OVERHEAD)


class Feed:
    """A feed that adds reads of 1,000 bytes in five messages, and what it was told."""

    def __init__(self) -> None:
        self.capture = Capture()
        self.capture.numbering = Numbering(1)
        self.backlog = Backlog(self.capture, ROOM)
        self.told: list[Event] = []
        self.reads = 0

    def read(self, *events: Closed, size: int = 1_000) -> None:
        """Receive five messages, and report `events`."""
        self.reads += 1
        self.capture.numbering.sequence += 5
        payloads = [b"{}"] * 5
        self.capture.start_run(payloads, iter(()), NOW + self.reads)
        self.capture.end_run()
        batch = Batch([self.capture.numbering.stamp(event) for event in events])
        batch.rows_only = not events
        self.backlog.add(batch, size, NOW + self.reads)
        self.told += batch[len(events) :]

    def take(self, count: int = 1) -> None:
        """Let the thread take some."""
        for _ in range(count):
            assert self.backlog.take() is not None


def test_what_is_added_is_taken_in_order() -> None:
    feed = Feed()
    feed.read()
    feed.read()

    assert feed.backlog.waiting_bytes == 2 * (1_000 + OVERHEAD)
    assert feed.backlog.oldest_at == NOW + 1
    first, second = feed.backlog.take(), feed.backlog.take()
    assert first is not None and second is not None
    assert [entry.sequence for entry in (*first, *second)] == [1, 6]
    assert message_count(first) == 5
    assert feed.backlog.take() is None
    assert (feed.backlog.waiting_bytes, feed.backlog.oldest_at, feed.told) == (0, 0, [])


def test_nothing_that_happened_is_nothing_to_add() -> None:
    feed = Feed()
    feed.backlog.add(Batch(), 500, NOW)

    assert feed.backlog.take() is None


def test_a_full_queue_loses_what_comes_counts_it_and_says_so_once() -> None:
    feed = Feed()
    for _ in range(14):
        feed.read()

    assert feed.backlog.waiting_bytes == ROOM
    assert feed.backlog.lost == 20
    assert feed.told == [RecordingFailed("the disk, or the processor, cannot keep up")]
    assert feed.told[0].sequence == 11 * 5 + 1, "right behind what was lost first"


def test_the_hole_is_reported_and_recorded_when_half_of_the_queue_is_free_again() -> None:
    feed = Feed()
    for _ in range(14):
        feed.read()
    feed.take(4)
    feed.read()
    assert len(feed.told) == 1, "six of ten wait"
    feed.take(1)
    feed.read()

    hole = feed.told[-1]
    assert hole == RecordingHole(NOW + 10, NOW + 16, 25, "the disk, or the processor, cannot keep up")
    feed.take(5)
    last = feed.backlog.take()
    assert last is not None
    assert [type(entry) for entry in last] == [Received, Reported]
    assert isinstance(last[1], Reported)
    assert last[1].event is hole
    assert [entry.sequence for entry in last] == sorted(entry.sequence for entry in last)
    assert (feed.backlog.lost, feed.backlog.holes) == (25, 1)
    feed.read()
    assert len(feed.told) == 2


def test_a_second_hole_is_told_again() -> None:
    feed = Feed()
    for _ in range(2):
        for _ in range(12):
            feed.read()
        feed.take(10)
        feed.read()
        feed.take(1)

    assert [type(event) for event in feed.told] == [RecordingFailed, RecordingHole] * 2
    assert [event.messages for event in feed.told if isinstance(event, RecordingHole)] == [10, 10]


def test_a_disk_that_fails_is_told_at_once_though_nothing_is_lost_yet() -> None:
    feed = Feed()
    feed.read()
    feed.backlog.failure = "the disk is full"
    feed.read()
    feed.read()
    assert feed.told == [RecordingFailed("the disk is full")]

    feed.backlog.failure = ""
    feed.read()
    assert len(feed.told) == 1
    assert feed.backlog.lost == 0


def test_the_reason_of_a_hole_is_that_of_the_failure() -> None:
    feed = Feed()
    feed.backlog.failure = "the disk is full"
    for _ in range(12):
        feed.read()
    feed.backlog.failure = ""
    feed.take(10)
    feed.read()

    assert feed.told == [
        RecordingFailed("the disk is full"),
        RecordingHole(NOW + 10, NOW + 13, 10, "the disk is full"),
    ]


def test_one_read_larger_than_the_limit_is_accepted_by_an_empty_queue() -> None:
    feed = Feed()
    feed.read(size=100 * ROOM)
    feed.read()

    assert feed.backlog.lost == 5


def test_nothing_is_reported_behind_the_end() -> None:
    feed = Feed()
    for _ in range(12):
        feed.read()
    feed.take(10)
    feed.read(Closed(1000, "", None))

    assert [type(event) for event in feed.told] == [RecordingFailed]
    feed.take(1)
    (entry,) = feed.backlog.finish(NOW + 99)
    assert isinstance(entry, Reported)
    assert entry.event == RecordingHole(NOW + 10, NOW + 99, 10, "the disk, or the processor, cannot keep up")
    assert feed.backlog.finish(NOW + 99) == []

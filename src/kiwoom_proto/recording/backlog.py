"""The backlog of a recorder: what was heard and said and is not written yet, in a queue that never blocks the feed.

The feed adds, one thread takes. Both sides keep a count of their own, so neither needs a lock. If the queue is full,
what does not fit is lost and counted, and two events report it where they belong in the stream: `RecordingFailed` when
something goes wrong, `RecordingHole` when the queue, half empty again, takes what comes. The hole goes into the
recording too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from ..connection.capture import Capture, Entry, Received, Reported
from ..events import Batch, Closed, RecordingFailed, RecordingHole

__all__ = ("Backlog", "message_count")

OVERHEAD = 256
"""Bytes that an entry takes in memory beside its messages."""
TOO_SLOW = "the disk, or the processor, cannot keep up"


class Backlog:
    """A queue of entries, bounded in bytes.

    Args:
        capture: the tap on the session.
        size_in_bytes: how much it holds at most. If it is empty, one read is accepted whatever its size.

    Attributes:
        failure: why nothing can be written at present, set by the thread; "" if it can.
        lost: messages received that did not fit.
        holes: how often something was lost and it went on.
        is_idle: whether the thread waits to be woken when something is added.
        removed: holes that files left which somebody removed, added by the thread: the feed is told of them.
        is_over: set by the thread when it has ended: whatever comes after that is lost.
    """

    def __init__(self, capture: Capture, size_in_bytes: int) -> None:
        self.failure = ""
        self.lost = 0
        self.holes = 0
        self.is_idle = False
        self.removed: deque[RecordingHole] = deque()
        self.is_over = False
        self._capture = capture
        self._size_in_bytes = size_in_bytes
        self._queue: deque[tuple[list[Entry], int]] = deque()
        self._added = 0  # bytes; changed by the feed alone
        self._taken = 0  # bytes; changed by the thread alone
        self._last_at = 0
        self._hole: tuple[int, str] | None = None  # since when what comes is lost, and why
        self._lost_in_hole = 0
        self._is_failure_told = False

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._added - self._taken

    @property
    def oldest_at(self) -> int:
        """When the oldest entry happened, in nanoseconds since the epoch; 0 if there is none."""
        try:
            return self._queue[0][0][0].at
        except IndexError:
            return 0

    # The feed.

    def add(self, events: Batch, size: int, now: int) -> None:
        """Add what the session has heard and said since the last call. Never raises, and never waits.

        Args:
            events: what `Session.events` has just returned. Events of the recorder's own are appended.
            size: bytes that were received since the last call.
            now: nanoseconds since the epoch.
        """
        entries = self._capture.pop(events, now)
        if not entries:
            return
        waiting, size = self.waiting_bytes, size + OVERHEAD * len(entries)
        is_over = type(entries[-1]) is Reported and isinstance(entries[-1].event, Closed)  # no event may follow
        if self.is_over:
            fits = False
        elif self._hole is None:
            fits = waiting + size <= self._size_in_bytes or not waiting
        else:
            fits = waiting * 2 <= self._size_in_bytes
        if fits:
            if self._hole is not None and not is_over:
                self._report(self._pop_hole(entries[0].at), events, entries, now)
            while self.removed and not is_over:
                self.holes += 1
                self._report(self.removed.popleft(), events, entries, now)
            self._last_at = entries[-1].at
            self._added += size
            self._queue.append((entries, size))
        else:
            self._lose(entries)
        is_failing = bool(self.failure) or self._hole is not None
        if is_failing and not self._is_failure_told and not is_over:
            reason = self.failure if self._hole is None else self._hole[1]
            _append(events, self._capture.numbering.stamp(RecordingFailed(reason)))
        self._is_failure_told = is_failing

    def _lose(self, entries: Sequence[Entry]) -> None:
        if self._hole is None:
            self._hole = self._last_at, self.failure or TOO_SLOW
            self._lost_in_hole = 0
        count = message_count(entries)
        self.lost += count
        self._lost_in_hole += count

    def _report(self, hole: RecordingHole, events: Batch, entries: list[Entry], now: int) -> None:
        """Report a hole, behind what comes after it: that has its numbers already."""
        event = self._capture.numbering.stamp(hole)
        _append(events, event)
        entries.append(Reported(entries[-1].at or now, event))

    def _pop_hole(self, end: int) -> RecordingHole:
        assert self._hole is not None
        (start, reason), self._hole = self._hole, None
        self.holes += 1
        return RecordingHole(start or end, end, self._lost_in_hole, reason)

    # The thread.

    def take(self) -> list[Entry] | None:
        """Remove and return what was added by one call; None if nothing waits."""
        try:
            entries, size = self._queue.popleft()
        except IndexError:
            return None
        self._taken += size
        return entries

    def finish(self, now: int) -> list[Entry]:
        """Return what is to be written last, once the feed adds nothing more: the holes that were not reported."""
        self.holes += len(self.removed)
        holes = list(self.removed)
        self.removed.clear()
        if self._hole is not None:
            holes.append(self._pop_hole(now))
        numbering = self._capture.numbering
        return [
            Reported(now, attrs.evolve(hole, epoch=numbering.epoch, sequence=numbering.sequence + number))
            for number, hole in enumerate(holes, 1)
        ]


def message_count(entries: Sequence[Entry]) -> int:
    """Return how many messages were received among these."""
    return sum(len(entry.payloads) for entry in entries if type(entry) is Received)


def _append(events: Batch, event: RecordingFailed | RecordingHole) -> None:
    events.rows_only = False
    events.append(event)

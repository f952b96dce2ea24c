"""The rule for `Gap`: since when rows are missing after a connection was lost.

What is missing follows the last row read. That row may have arrived at any time since the read before: a read tells
when it was made, not since when its bytes had been waiting. After a program blocked its loop, they may have waited
for all of that time, and so may the bytes of the next reads, until the loop has caught up. Therefore

* a gap starts when the driver was last known to read with nothing waiting;
* catching up takes as long as the absence, and at least `MIN_CATCH_UP`. Reads within that time count as one;
* bytes that arrive once the connection has begun to close may be ignored, so they do not move the start;
* nothing is missing from before the login: nothing was registered on that connection;
* when a connection is lost before the gap of an earlier one has ended, the first start stays. One `Gap` covers both.

A gap ends once everything wanted is registered again (`is_restored`).
"""

from __future__ import annotations

from ..events import Gap
from .searches import Searches
from .subscriptions import Subscriptions

__all__ = ("GapTracker", "is_restored")

MIN_CATCH_UP = 1_000_000_000
"""Nanoseconds that a loop which was away needs at least to read what has arrived meanwhile."""


class GapTracker:
    """Tracks, for one session, what a gap would start with. All times are nanoseconds since the epoch.

    Attributes:
        received_at: time of the last read that counts.
        next_read_at: time from which a read no longer counts as one with the reads before it. The session compares
            each read with it, and calls `start_read` only when it has passed.
        open: start of the open gap, and the number of the last event before it; None if there is none.
    """

    __slots__ = ("_caught_up_at", "_read_at", "next_read_at", "open", "received_at")

    def __init__(self) -> None:
        self.received_at = 0
        self.next_read_at = 0
        self.open: tuple[int, int] | None = None
        self._read_at = 0  # start of the reads that count as one
        self._caught_up_at = 0  # start of those before them: what was read since has arrived since

    def logged_in(self) -> None:
        """Start anew on a connection that has just logged in."""
        self._caught_up_at = self._read_at = self.received_at
        self.next_read_at = self.received_at + MIN_CATCH_UP

    def start_read(self, received_at: int) -> None:
        """Note a read at or after `next_read_at`: what waited before the last one has been read."""
        self._caught_up_at, self._read_at = self._read_at, received_at
        self.next_read_at = received_at + max(MIN_CATCH_UP, received_at - self.received_at)

    def connection_lost(self, last_sequence: int) -> None:
        """Open a gap, unless one is open already.

        Args:
            last_sequence: number of the last event before the loss.
        """
        if self.open is None:
            self.open = min(self._caught_up_at, self.received_at), last_sequence

    def end(self) -> Gap:
        """Close the open gap and return the event that reports it."""
        assert self.open is not None
        start, last_sequence = self.open
        self.open = None
        return Gap(start, self.received_at, last_sequence)


def is_restored(subscriptions: Subscriptions, searches: Searches) -> bool:
    """Return whether a gap ends, on a connection that is logged in: everything subscribed to is registered.

    Searches count only if nothing else is wanted.
    """
    return subscriptions.is_settled and not (subscriptions.is_empty and searches.delays_gap)

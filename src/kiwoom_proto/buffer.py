"""EventBuffer: the events that wait for a slow consumer, bounded, with a policy for when there are too many.

Order, balance and condition rows, replies and notices are never dropped, whatever the policy. Nothing is dropped
silently: every policy counts what it did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from .config import Overflow
from .errors import BufferOverflow
from .events import Event
from .record import Record

__all__ = ("BufferStats", "EventBuffer")

KEPT_TYPES = frozenset({"00", "04", "F4", "F5", "02", "S2"})
"""Types of which every row counts: orders, executions, balances, condition hits."""


@attrs.frozen
class BufferStats:
    """What became of the events so far.

    Attributes:
        received: events put in.
        delivered: events taken out.
        dropped: rows forgotten ("drop_oldest").
        conflated: rows replaced by a newer one of the same type and item ("conflate").
        waiting: events in the buffer now.
    """

    received: int
    delivered: int
    dropped: int
    conflated: int
    waiting: int


class EventBuffer:
    """A bounded queue of events, filled and emptied in batches.

    Arguments:
        size: most events that wait.
        overflow: what happens when there would be more; see `ClientConfig.overflow`.
    """

    def __init__(self, size: int, overflow: Overflow) -> None:
        self._size = size
        self._overflow = overflow
        self._kept: list[Event] = []  # events that may not be dropped, older than everything in _events
        self._events: deque[Event] = deque()
        self._received = 0
        self._delivered = 0
        self._dropped = 0
        self._conflated = 0

    def __len__(self) -> int:
        return len(self._kept) + len(self._events)

    def put(self, events: Sequence[Event]) -> None:
        """Add events.

        Raises:
            BufferOverflow: there are too many, and the policy, or what they are, forbids dropping any. Those that
                fit are in the buffer.
        """
        if len(self) + len(events) <= self._size:
            self._events += events
            self._received += len(events)
            return
        for event in events:
            self._events.append(event)
            self._received += 1
            if len(self) > self._size:
                self._let_go()
                if len(self) > self._size:
                    self._events.pop()
                    self._received -= 1
                    raise BufferOverflow(
                        f"{self._size} events wait (ClientConfig.buffer_size) and overflow={self._overflow!r} lets "
                        "none go: read faster, or choose a larger buffer or another policy"
                    )

    def take(self) -> list[Event]:
        """Remove and return everything, oldest first."""
        if not self:
            return []
        events = [*self._kept, *self._events]
        self._kept.clear()
        self._events.clear()
        self._delivered += len(events)
        return events

    def stats(self) -> BufferStats:
        """Return what became of the events so far."""
        return BufferStats(self._received, self._delivered, self._dropped, self._conflated, len(self))

    def _let_go(self) -> None:
        if self._overflow == "drop_oldest":
            self._drop_oldest()
        elif self._overflow == "conflate":
            self._conflate()

    def _drop_oldest(self) -> None:
        while len(self._events) > 1:  # the last is the one that needs the room
            event = self._events.popleft()
            if _is_droppable(event):
                self._dropped += 1
                return
            self._kept.append(event)

    def _conflate(self) -> None:
        seen: set[tuple[str, str]] = set()
        newest: deque[Event] = deque()
        for event in reversed(self._events):
            if _is_droppable(event):
                assert isinstance(event, Record)
                key = (event.type_code, event.item)
                if key in seen:
                    self._conflated += 1
                    continue
                seen.add(key)
            newest.appendleft(event)
        self._events = newest


def _is_droppable(event: Event) -> bool:
    return isinstance(event, Record) and event.type_code not in KEPT_TYPES

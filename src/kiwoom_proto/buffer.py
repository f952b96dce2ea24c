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
        size_in_bytes: most bytes of messages that wait with them.
    """

    def __init__(self, size: int, overflow: Overflow, size_in_bytes: int = 256 * 1024 * 1024) -> None:
        self._size = size
        self._size_in_bytes = size_in_bytes
        self._overflow = overflow
        self._kept: list[Event] = []  # events that may not be dropped, older than everything in _events
        self._events: deque[Event] = deque()
        self._shares: deque[float] = deque()  # of each in _events, the bytes that it keeps in memory
        self._bytes = 0.0
        self._held = 0
        self._received = 0
        self._delivered = 0
        self._dropped = 0
        self._conflated = 0

    def __len__(self) -> int:
        return len(self._kept) + len(self._events)

    @property
    def size_in_bytes(self) -> int:
        """Bytes of the messages that the events came in which wait."""
        return round(self._bytes)

    def oldest_received_at(self) -> int:
        """When the oldest row that waits was received; 0: none waits, or it is not known."""
        for events in (self._kept, self._events):
            for event in events:
                if isinstance(event, Record):
                    return event.received_at
        return 0

    def put(self, events: Sequence[Event], size: int = 0, held: int = 0) -> None:
        """Add events.

        Arguments:
            events: what to add.
            size: bytes of the messages that they came in.
            held: how many that were taken are still waiting; they need room too.

        Raises:
            BufferOverflow: there are too many, and the policy, or what they are, forbids dropping any. Those that
                fit are in the buffer.
        """
        if not events:
            return
        share = size / len(events)
        self._held = held
        if len(self) + held + len(events) <= self._size and self._bytes + size <= self._size_in_bytes:
            self._events += events
            self._shares += [share] * len(events)
            self._bytes += size
            self._received += len(events)
            return
        for event in events:
            self._events.append(event)
            self._shares.append(share)
            self._bytes += share
            self._received += 1
            if self._is_too_full():
                self._let_go()
                if self._is_too_full():
                    self._events.pop()
                    self._bytes -= self._shares.pop()
                    self._received -= 1
                    raise BufferOverflow(
                        f"{len(self)} events of {self._bytes:,.0f} bytes wait, the limits are {self._size} events "
                        f"(ClientConfig.buffer_size) and {self._size_in_bytes} bytes (buffer_bytes), and "
                        f"overflow={self._overflow!r} lets none go: read faster, or choose a larger buffer or another "
                        "policy"
                    )

    def take(self, most: int | None = None) -> list[Event]:
        """Remove and return the oldest, oldest first: `most` of them, or everything."""
        if not self:
            return []
        if most is not None and most < len(self):
            return self._take_some(most)
        events = [*self._kept, *self._events]
        self._kept.clear()
        self._events.clear()
        self._shares.clear()
        self._bytes = 0.0
        self._delivered += len(events)
        return events

    def _take_some(self, most: int) -> list[Event]:
        events = self._kept[:most]
        del self._kept[:most]
        while len(events) < most:
            events.append(self._events.popleft())
            self._bytes -= self._shares.popleft()
        self._delivered += most
        return events

    def stats(self) -> BufferStats:
        """Return what became of the events so far."""
        return BufferStats(self._received, self._delivered, self._dropped, self._conflated, len(self))

    def _is_too_full(self) -> bool:
        return len(self) + self._held > self._size or self._bytes > self._size_in_bytes

    def _let_go(self) -> None:
        if self._overflow == "drop_oldest":
            while self._is_too_full() and self._drop_oldest():
                pass
        elif self._overflow == "conflate":
            self._conflate()

    def _drop_oldest(self) -> bool:
        """Forget the oldest row that may be. False: there is none but the last, which is the one that needs the room"""
        while len(self._events) > 1:
            event, share = self._events.popleft(), self._shares.popleft()
            if _is_droppable(event):
                self._dropped += 1
                self._bytes -= share
                return True
            self._kept.append(event)
        return False

    def _conflate(self) -> None:
        seen: set[tuple[str, str]] = set()
        newest: deque[Event] = deque()
        shares: deque[float] = deque()
        for event, share in zip(reversed(self._events), reversed(self._shares), strict=True):
            if _is_droppable(event):
                assert isinstance(event, Record)
                key = (event.type_code, event.item)
                if key in seen:
                    self._conflated += 1
                    self._bytes -= share
                    continue
                seen.add(key)
            newest.appendleft(event)
            shares.appendleft(share)
        self._events, self._shares = newest, shares


def _is_droppable(event: Event) -> bool:
    return isinstance(event, Record) and event.type_code not in KEPT_TYPES

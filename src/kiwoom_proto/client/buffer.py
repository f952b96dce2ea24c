"""EventBuffer: the events that wait for a slow consumer, bounded, with a policy for when there are too many.

Order, balance and condition rows, replies and notices are never dropped, whatever the policy. Nothing is dropped
silently: every policy counts what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, compress
from typing import cast

import attrs

from ..config import Overflow
from ..events import Event
from ..realtime.record import Record
from .errors import BufferOverflow

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

    A batch is what one read brought. Where what waited before filled at most half of each limit, all of it is taken, so
    a consumer that keeps up never meets `BufferOverflow`, however much one read brings. At most as much waits as the
    limits allow, or half of that and one read.

    Arguments:
        size: most events that wait.
        overflow: what happens when there would be more; see `ClientConfig.overflow`.
        size_in_bytes: most bytes of messages that wait with them.
    """

    def __init__(self, size: int, overflow: Overflow, size_in_bytes: int = 256 * 1024 * 1024) -> None:
        self._size = size
        self._size_in_bytes = size_in_bytes
        self._overflow = overflow
        # What waits, oldest first, and beside each its share of the bytes. What was let go leaves a hole: None and 0.
        self._events: list[Event | None] = []
        self._shares: list[int] = []
        self._count = 0  # events in _events
        self._bytes = 0  # sum of _shares
        self._examined = 0  # places that the policy has looked at: no other row before them may be let go
        self._newest: dict[tuple[str, str], int] = {}  # "conflate": place of each type and item among those
        self._taken: list[int] = []  # shares of what was taken last
        self._taken_bytes = 0
        self._held = 0  # of what was taken last, what the consumer has not read yet
        self._held_bytes = 0
        self._received = 0
        self._delivered = 0
        self._dropped = 0
        self._conflated = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size_in_bytes(self) -> int:
        """Bytes of the messages that the events came in which wait."""
        return self._bytes

    def held_bytes(self, held: int) -> int:
        """Bytes of the messages that the newest events came in, `held` of them, of those that were taken last."""
        return sum(self._taken[-held:]) if held else 0

    def oldest_received_at(self) -> int:
        """When the oldest row that waits was received; 0: none waits, or it is not known."""
        for event in self._events:
            if isinstance(event, Record):
                return event.received_at
        return 0

    def put(self, events: Sequence[Event], size: int = 0, held: int = 0) -> None:
        """Add what one read brought.

        Arguments:
            events: what to add.
            size: bytes of the messages that they came in.
            held: how many of those that were taken last are still waiting; they need room too.

        Raises:
            BufferOverflow: there are too many, and the policy, or what they are, forbids dropping any. Those that
                fit are in the buffer.
        """
        if not events:
            return
        held_bytes = self._taken_bytes if held else 0  # at most
        if self._count + held + len(events) <= self._size and self._bytes + held_bytes + size <= self._size_in_bytes:
            self._add(events, size)
        else:
            self._squeeze_in(events, size, held)

    def put_last(self, event: Event) -> None:
        """Add the last event, which always has room."""
        self._add((event,), 0)

    def take(self) -> list[Event]:
        """Remove and return everything, oldest first."""
        self._close_holes()
        events, self._events = self._events, []
        self._taken, self._shares = self._shares, []
        self._delivered += self._count
        self._taken_bytes = self._bytes
        self._count = self._bytes = self._examined = 0
        self._newest.clear()
        return cast("list[Event]", events)

    def take_some(self) -> list[Event]:
        """Remove and return the oldest, oldest first: half of what the limits allow, or everything.

        Half, so that the policy has the other half to make room in; and so that no more than half stays, and whatever
        the next read brings finds room. Where more waits than the limits allow, everything is taken.
        """
        if self._count * 2 <= self._size and self._bytes * 2 <= self._size_in_bytes:
            return self.take()
        if self._count > self._size or self._bytes > self._size_in_bytes:
            return self.take()
        self._close_holes()
        most = self._half()
        events, self._taken = self._events[:most], self._shares[:most]
        del self._events[:most]
        del self._shares[:most]
        self._delivered += len(events)
        self._taken_bytes = sum(self._taken)
        self._count -= len(events)
        self._bytes -= self._taken_bytes
        self._examined = max(0, self._examined - most)
        self._newest = {key: place - most for key, place in self._newest.items() if place >= most}
        return cast("list[Event]", events)

    def stats(self) -> BufferStats:
        """Return what became of the events so far."""
        return BufferStats(self._received, self._delivered, self._dropped, self._conflated, self._count)

    # Where events come and go, and their bytes with them; taking is above.

    def _add(self, events: Sequence[Event], size: int) -> None:
        count = len(events)
        share = size // count
        self._events += events
        self._shares += [share] * count
        self._shares[-1] += size - share * count
        self._count += count
        self._bytes += size
        self._received += count

    def _remove(self, places: Sequence[int]) -> None:
        events, shares = self._events, self._shares
        for place in places:
            self._bytes -= shares[place]
            events[place] = None
            shares[place] = 0
        self._count -= len(places)

    def _half(self) -> int:
        """How many events from the oldest on are half of what one of the limits allows."""
        most = (self._size + 1) // 2
        if self._bytes * 2 > self._size_in_bytes:
            for number, size in enumerate(accumulate(self._shares[:most]), 1):
                if size * 2 >= self._size_in_bytes:
                    return number
        return most

    # When there would be too many.

    def _squeeze_in(self, events: Sequence[Event], size: int, held: int) -> None:
        """Add events one by one: as far as the policy makes room for them, or all where half of it was free."""
        self._held = held
        self._held_bytes = self.held_bytes(held)
        added = 0
        for number, event in enumerate(events, 1):
            share = size * number // len(events) - added
            self._add((event,), share)
            added += share
            if self._is_too_full() and not self._let_go() and self._was_filled(number, added):
                self._refuse_last()
                raise BufferOverflow(
                    f"{self._count + held} events of {self._bytes + self._held_bytes:,} bytes wait, the limits are "
                    f"{self._size} events (ClientConfig.buffer_size) and {self._size_in_bytes} bytes (buffer_bytes), "
                    f"and overflow={self._overflow!r} lets none go: read faster, or choose a larger buffer or another "
                    "policy"
                )

    def _is_too_full(self) -> bool:
        return self._count + self._held > self._size or self._bytes + self._held_bytes > self._size_in_bytes

    def _was_filled(self, added: int, size: int) -> bool:
        """Whether more than half of a limit was filled before so many events, and bytes, were added."""
        return (self._count + self._held - added) * 2 > self._size or (
            self._bytes + self._held_bytes - size
        ) * 2 > self._size_in_bytes

    def _refuse_last(self) -> None:
        event = self._events[-1]
        self._remove((len(self._events) - 1,))
        self._received -= 1
        if isinstance(event, Record):
            self._newest.pop((event.type_code, event.item), None)

    def _let_go(self) -> bool:
        """Do what the policy allows. True: there is room now."""
        if self._overflow == "drop_oldest":
            self._drop_oldest()
        elif self._overflow == "conflate":
            self._conflate()
        if len(self._events) > 2 * self._count + 16:
            self._close_holes()
        return not self._is_too_full()

    def _drop_oldest(self) -> None:
        """Forget the oldest rows that may be, but not the last, which is the one that needs the room."""
        for place in range(self._examined, len(self._events) - 1):
            self._examined = place + 1
            event = self._events[place]
            if isinstance(event, Record) and event.type_code not in KEPT_TYPES:
                self._remove((place,))
                self._dropped += 1
                if not self._is_too_full():
                    break

    def _conflate(self) -> None:
        """Forget rows of which a newer one waits, looking at those alone that have come since the last time."""
        came: dict[tuple[str, str], int] = {}
        superseded = []
        place = len(self._events)
        for event in reversed(self._events[self._examined :]):
            place -= 1
            # What has no item may be about anything: another row of its type is not a newer one of the same.
            if isinstance(event, Record) and event.item and event.type_code not in KEPT_TYPES:
                key = (event.type_code, event.item)
                if key in came:
                    superseded.append(place)
                else:
                    came[key] = place
        superseded += [self._newest[key] for key in came.keys() & self._newest.keys()]
        self._newest |= came
        self._remove(superseded)
        self._conflated += len(superseded)
        self._examined = len(self._events)

    def _close_holes(self) -> None:
        if self._count == len(self._events):
            return
        is_event = [event is not None for event in self._events]
        places = list(accumulate(is_event))  # where each is afterwards, counted from 1
        self._newest = {key: places[place] - 1 for key, place in self._newest.items()}
        self._examined = places[self._examined - 1] if self._examined else 0
        self._events = list(compress(self._events, is_event))
        self._shares = list(compress(self._shares, is_event))

"""The queue between a connection and its consumer: bounded, with a policy for a consumer that is too slow.

Rows of types that are not `droppable` (orders, balances, condition hits), replies and notices are never dropped,
whatever the policy. Nothing is dropped silently: `BufferStats` counts what the policy did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, compress
from typing import cast

import attrs

from ..config import Overflow
from ..events import Event
from ..realtime.record import Record
from .errors import BufferOverflow

__all__ = ("BufferStats", "EventBuffer")


@attrs.frozen
class BufferStats:
    """What became of the events so far.

    Attributes:
        received: events added.
        delivered: events removed for the consumer.
        dropped: rows dropped by "drop_oldest", and what a client that nobody iterates need not keep.
        conflated: rows replaced by a newer one of the same type and item ("conflate").
        waiting: events queued now.
    """

    received: int
    delivered: int
    dropped: int
    conflated: int
    waiting: int


class EventBuffer:
    """A bounded queue of events, filled and emptied in batches.

    A batch is what one read brought. If the queue was at most half full before, a batch is accepted whole, so a
    consumer that keeps up never meets `BufferOverflow`, however much one read brings. The queue holds at most what the
    limits allow, or half of that and one batch.

    Args:
        size: maximum queued events.
        overflow: policy beyond that; see `ClientConfig.overflow`.
        size_in_bytes: maximum bytes of the messages that the queued events came in.
    """

    def __init__(self, size: int, overflow: Overflow, size_in_bytes: int = 256 * 1024 * 1024) -> None:
        self._size = size
        self._size_in_bytes = size_in_bytes
        self._overflow = overflow
        # Queued events, oldest first, and the share of the bytes of each. A dropped event leaves a hole: None and 0.
        self._events: list[Event | None] = []
        self._shares: list[int] = []
        self._count = 0  # events in _events
        self._bytes = 0  # sum of _shares
        self._examined = 0  # the policy has examined this many places: no row before them may be dropped any more
        self._newest: dict[
            tuple[str, str], int
        ] = {}  # "conflate": place of the newest row of each type and item in them
        self._popped: list[int] = []  # shares of the events popped last
        self._popped_bytes = 0
        self._held = 0  # how many of those the consumer has not read yet
        self._held_bytes = 0
        self._received = 0
        self._delivered = 0
        self._dropped = 0
        self._conflated = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size_in_bytes(self) -> int:
        """Bytes of the messages that the queued events came in."""
        return self._bytes

    def held_bytes(self, held: int) -> int:
        """Return the bytes of the messages that the newest `held` of the events popped last came in."""
        return sum(self._popped[-held:]) if held else 0

    def oldest_received_at(self) -> int:
        """Return when the oldest queued row was received, nanoseconds since the epoch; 0: none, or unknown."""
        for event in self._events:
            if isinstance(event, Record):
                return event.received_at
        return 0

    def put(self, events: Sequence[Event], size: int = 0, held: int = 0) -> None:
        """Add what one read brought.

        Args:
            events: events to add.
            size: bytes of the messages that they came in.
            held: how many of the events popped last the consumer has not read yet; they count against the limits too.

        Raises:
            BufferOverflow: there are too many, and neither the policy nor their types allow dropping any. Those that
                fit have been added.
        """
        if not events:
            return
        held_bytes = self._popped_bytes if held else 0  # at most
        if self._count + held + len(events) <= self._size and self._bytes + held_bytes + size <= self._size_in_bytes:
            self._add(events, size)
        else:
            self._squeeze_in(events, size, held)

    def has_room(self, count: int, size: int) -> bool:
        """Return whether so many events of so many bytes fit without dropping any."""
        return self._count + count <= self._size and self._bytes + size <= self._size_in_bytes

    def discard(self, is_spare: Callable[[Event], bool]) -> None:
        """Drop the oldest events that nobody needs, until half of the limits is free or none is left. They are counted.

        Args:
            is_spare: whether an event may go.
        """
        for place, event in enumerate(self._events):
            if self._count * 2 <= self._size and self._bytes * 2 <= self._size_in_bytes:
                break
            if event is not None and is_spare(event):
                self._remove((place,))
                self._dropped += 1
                if isinstance(event, Record) and self._newest.get((event.type_code, event.item)) == place:
                    del self._newest[event.type_code, event.item]
        self._close_holes()

    def put_whole(self, events: Sequence[Event], size: int) -> None:
        """Add events beyond any limit. Args as `put`."""
        if events:
            self._add(events, size)

    def put_last(self, event: Event) -> None:
        """Add the last event, beyond any limit."""
        self._add((event,), 0)

    def pop_all(self) -> list[Event]:
        """Remove and return everything, oldest first."""
        self._close_holes()
        events, self._events = self._events, []
        self._popped, self._shares = self._shares, []
        self._delivered += self._count
        self._popped_bytes = self._bytes
        self._count = self._bytes = self._examined = 0
        self._newest.clear()
        return cast("list[Event]", events)

    def pop_some(self) -> list[Event]:
        """Remove and return events, oldest first: half of what the limits allow, or everything.

        Half, because the policy needs queued rows to make room from, and because a queue that is at most half full
        accepts the next read whole. If more is queued than the limits allow, everything is removed.
        """
        if self._count * 2 <= self._size and self._bytes * 2 <= self._size_in_bytes:
            return self.pop_all()
        if self._count > self._size or self._bytes > self._size_in_bytes:
            return self.pop_all()
        self._close_holes()
        most = self._half()
        events, self._popped = self._events[:most], self._shares[:most]
        del self._events[:most]
        del self._shares[:most]
        self._delivered += len(events)
        self._popped_bytes = sum(self._popped)
        self._count -= len(events)
        self._bytes -= self._popped_bytes
        self._examined = max(0, self._examined - most)
        self._newest = {key: place - most for key, place in self._newest.items() if place >= most}
        return cast("list[Event]", events)

    def stats(self) -> BufferStats:
        """Return the counters of the events."""
        return BufferStats(self._received, self._delivered, self._dropped, self._conflated, self._count)

    # Add and remove events, and their bytes with them; popping is above.

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
        """Return how many of the oldest events fill half of one of the limits."""
        most = (self._size + 1) // 2
        if self._bytes * 2 > self._size_in_bytes:
            for number, size in enumerate(accumulate(self._shares[:most]), 1):
                if size * 2 >= self._size_in_bytes:
                    return number
        return most

    # Beyond the limits.

    def _squeeze_in(self, events: Sequence[Event], size: int, held: int) -> None:
        """Add what fits, then one by one while the policy makes room; all of them if half of the queue was free before.

        A policy that makes much room at once, as conflating does, is so asked but once for many events.
        """
        self._held = held
        self._held_bytes = self.held_bytes(held)
        if self._overflow == "drop_oldest":
            self._drop_oldest(len(self._events), len(events), size)
            self._limit_holes()
        number = added = 0
        while number < len(events):
            begin, number = number, number + max(1, self._room(len(events) - number, size // len(events) + 1))
            share = size * number // len(events) - added
            self._add(events[begin:number], share)
            added += share
            if self._is_too_full() and not self._apply_overflow() and self._was_filled(number, added):
                self._refuse_last()
                raise BufferOverflow(
                    f"{self._count + held} events of {self._bytes + self._held_bytes:,} bytes are queued, the "
                    f"limits are {self._size} events (ClientConfig.buffer_size) and {self._size_in_bytes} bytes "
                    f"(buffer_bytes), and overflow={self._overflow!r} allows dropping none of them: read faster, or "
                    "choose a larger buffer or another policy"
                )

    def _room(self, count: int, share: int) -> int:
        """Return how many of so many events, of so many bytes each, surely fit."""
        room = self._size - self._count - self._held
        room_in_bytes = (self._size_in_bytes - self._bytes - self._held_bytes) // share
        return min(count, room, room_in_bytes)

    def _is_too_full(self) -> bool:
        return self._count + self._held > self._size or self._bytes + self._held_bytes > self._size_in_bytes

    def _was_filled(self, added: int, size: int) -> bool:
        """Return whether more than half of a limit was used before this many events and bytes were added."""
        return (self._count + self._held - added) * 2 > self._size or (
            self._bytes + self._held_bytes - size
        ) * 2 > self._size_in_bytes

    def _refuse_last(self) -> None:
        event = self._events[-1]
        self._remove((len(self._events) - 1,))
        self._received -= 1
        if isinstance(event, Record):
            self._newest.pop((event.type_code, event.item), None)

    def _apply_overflow(self) -> bool:
        """Drop what the policy allows. Return whether there is room now."""
        if self._overflow == "drop_oldest":
            self._drop_oldest(len(self._events) - 1)  # the last event is the one that needs the room
        elif self._overflow == "conflate":
            self._conflate()
        self._limit_holes()
        return not self._is_too_full()

    def _drop_oldest(self, end: int, count: int = 0, size: int = 0) -> None:
        """Drop the oldest rows that may be dropped, before the place `end`, until so much more fits."""
        excess = self._count + self._held + count - self._size
        excess_in_bytes = self._bytes + self._held_bytes + size - self._size_in_bytes
        places = []
        for place in range(self._examined, end):
            if excess <= 0 and excess_in_bytes <= 0:
                break
            self._examined = place + 1
            event = self._events[place]
            if isinstance(event, Record) and event.droppable:
                places.append(place)
                excess -= 1
                excess_in_bytes -= self._shares[place]
        self._remove(places)
        self._dropped += len(places)

    def _conflate(self) -> None:
        """Drop rows that a newer queued row supersedes. Only what was added since the last time is examined."""
        came: dict[tuple[str, str], int] = {}
        superseded = []
        place = len(self._events)
        for event in reversed(self._events[self._examined :]):
            place -= 1
            # A row without an item may be about anything: another one of its type does not supersede it.
            if isinstance(event, Record) and event.item and event.droppable:
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

    def _limit_holes(self) -> None:
        if len(self._events) > 2 * self._count + 16:
            self._close_holes()

    def _close_holes(self) -> None:
        if self._count == len(self._events):
            return
        is_event = [event is not None for event in self._events]
        places = list(accumulate(is_event))  # the new place of each, counted from 1
        self._newest = {key: places[place] - 1 for key, place in self._newest.items()}
        self._examined = places[self._examined - 1] if self._examined else 0
        self._events = list(compress(self._events, is_event))
        self._shares = list(compress(self._shares, is_event))

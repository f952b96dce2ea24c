"""Scheduled actions and their owners.

When an owner goes away, its actions are forgotten, so that no action keeps its owner in memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator

import attrs

__all__ = ("Agenda", "Entry")


@attrs.define(eq=False)
class Entry:
    """One scheduled action.

    Attributes:
        time: when to run it, in seconds.
        owner: the owner; None if it has none.
        action: called with `time`; None if it was cancelled.
    """

    time: float
    owner: Hashable
    action: Callable[[float], None] | None

    def run(self) -> None:
        """Run the action, unless it was cancelled."""
        if self.action is not None:
            self.action(self.time)


class Agenda:
    """Scheduled actions, ordered by time. Actions due at the same time run in the order they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._count = 0
        self._forgotten = 0  # cancelled entries in the heap
        self._of: dict[Hashable, set[Entry]] = {}

    @property
    def next_time(self) -> float | None:
        """When the next action is due, in seconds; None if there is none."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._forgotten -= 1
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        """Return the number of entries in memory, including cancelled ones."""
        return len(self._heap)

    def add(self, time: float, action: Callable[[float], None], owner: Hashable = None) -> None:
        """Schedule an action."""
        entry = Entry(time, owner, action)
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, entry))
        if owner is not None:
            self._of.setdefault(owner, set()).add(entry)

    def waiting(self, owner: Hashable) -> int:
        """Return the number of scheduled actions of an owner."""
        return len(self._of.get(owner, ()))

    def forget(self, owner: Hashable) -> None:
        """Cancel every action of an owner."""
        for entry in self._of.pop(owner, ()):
            entry.action = None
            self._forgotten += 1
        if self._forgotten > len(self._heap) / 2:
            self._heap = [item for item in self._heap if item[2].action is not None]
            heapq.heapify(self._heap)
            self._forgotten = 0

    def due(self, now: float) -> Iterator[Entry]:
        """Remove and yield the due entries, one by one. Entries added meanwhile are included if they are due."""
        while (time := self.next_time) is not None and time <= now:
            entry = heapq.heappop(self._heap)[2]
            if entry.owner is not None:
                entries = self._of[entry.owner]
                entries.discard(entry)
                if not entries:
                    del self._of[entry.owner]
            yield entry

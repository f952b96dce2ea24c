"""What is to be done later, and for whom.

Whoever goes away takes what was to be done for it along, so that what waits does not outlive what it waits for.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator

import attrs

__all__ = ("Agenda", "Entry")


@attrs.define(eq=False)
class Entry:
    """One thing to do.

    Attributes:
        time: when.
        owner: for whom; None: for nobody in particular.
        action: called with `time`. None: it is not to be done any more.
    """

    time: float
    owner: Hashable
    action: Callable[[float], None] | None

    def run(self) -> None:
        """Do it."""
        if self.action is not None:
            self.action(self.time)


class Agenda:
    """Things to do, by time; those of one time in the order in which they were put down."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._count = 0
        self._forgotten = 0  # entries in the heap that are not to be done any more
        self._of: dict[Hashable, set[Entry]] = {}

    @property
    def next_time(self) -> float | None:
        """When something is to be done next; None: never."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._forgotten -= 1
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        """How much is kept in memory."""
        return len(self._heap)

    def add(self, time: float, action: Callable[[float], None], owner: Hashable = None) -> None:
        """Put something down."""
        entry = Entry(time, owner, action)
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, entry))
        if owner is not None:
            self._of.setdefault(owner, set()).add(entry)

    def waiting(self, owner: Hashable) -> int:
        """How many things are to be done for somebody."""
        return len(self._of.get(owner, ()))

    def forget(self, owner: Hashable) -> None:
        """Do nothing any more for somebody."""
        for entry in self._of.pop(owner, ()):
            entry.action = None
            self._forgotten += 1
        if self._forgotten > len(self._heap) / 2:
            self._heap = [item for item in self._heap if item[2].action is not None]
            heapq.heapify(self._heap)
            self._forgotten = 0

    def due(self, now: float) -> Iterator[Entry]:
        """Take what is due, one after the other. What is put down meanwhile is among it, if it is due too."""
        while (time := self.next_time) is not None and time <= now:
            entry = heapq.heappop(self._heap)[2]
            if entry.owner is not None:
                entries = self._of[entry.owner]
                entries.discard(entry)
                if not entries:
                    del self._of[entry.owner]
            yield entry

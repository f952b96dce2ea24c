"""Transients: which items are given up when another needs their room, and in which order.

A call with `transient=True` wants its items for as long as there is room. An item is transient while every call that
wants it, for whatever type, is. When an item that is not (a pinned one) needs room and there is none, transient items
are evicted, the one asked for longest ago first: nobody wants them any more, and `Evicted` names them. A transient item
never evicts another.
"""

from __future__ import annotations

from collections.abc import Collection

from ..request import Key

__all__ = ("Transients",)


class Transients:
    """Tracks what the calls of one session, or of one pool, have said of their items."""

    def __init__(self) -> None:
        self._transient: dict[Key, None] = {}  # the one asked for longest ago first
        self._pinned: dict[str, set[Key]] = {}  # item -> what pins it

    def add(self, key: Key, *, transient: bool) -> None:
        """Note that one more call wants this. What was pinned stays so until nobody wants it."""
        pinned = self._pinned.get(key[2], ())
        if transient and key not in pinned:
            self._transient.pop(key, None)
            self._transient[key] = None
        elif not transient:
            self._transient.pop(key, None)
            self._pinned.setdefault(key[2], set()).add(key)

    def remove(self, key: Key) -> None:
        """Note that nobody wants this any more."""
        self._transient.pop(key, None)
        pinned = self._pinned.get(key[2])
        if pinned is not None:
            pinned.discard(key)
            if not pinned:
                del self._pinned[key[2]]

    def is_pinned(self, item: str) -> bool:
        """Return whether some call wants this item to stay."""
        return item in self._pinned

    def candidates(self, needed: Collection[str] = ()) -> dict[str, list[Key]]:
        """Return what may be evicted: items with all that is wanted of them, the one asked for longest ago first.

        Args:
            needed: items that must stay.
        """
        found: dict[str, list[Key]] = {}
        for key in self._transient:
            item = key[2]
            if item and item not in self._pinned and item not in needed:
                found[item] = [*found.pop(item, ()), key]  # the newest call for it counts
        return found

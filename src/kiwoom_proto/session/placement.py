"""Placement: which member of a pool has which item. Pure: it knows neither sessions nor time.

* An item has one place, with everything that is wanted of it, because the quota counts items and types are free. It is
  never in two places.
* No member has more items than its limit, and no more of one group than its limit for groups.
* A new item goes to the member with the most room, so a lost key takes few items with it.
* An item stays where it is until nobody wants it or it is taken away: nothing is moved to balance the load.
* The item "" (market-wide types) counts 0. It has a place too, because one is enough.

Whether a member can take anything at all, and what is moved from one that cannot, is in pool_subscriptions.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..request import Key

__all__ = ("Placement", "Room")


class Room:
    """The items of one member.

    Attributes:
        limit: maximum number of items.
        group_limit: maximum number of items of one group; None: no limit of its own.
        items: the items that have their place here.
    """

    def __init__(self, limit: int, group_limit: int | None = None) -> None:
        self.limit = limit
        self.group_limit = group_limit
        self.items: dict[str, None] = {}
        self._counted = 0  # those that count
        self._group_items: Counter[str] = Counter()

    @property
    def free(self) -> int:
        """How many more items the member may have; negative if its limit turned out to be lower than thought."""
        return self.limit - self._counted

    def fits(self, item: str, groups: Iterable[str], without: tuple[str, ...] | None = None) -> bool:
        """Return whether there is room for an item that is not here.

        Args:
            item: the item.
            groups: the groups that it is wanted in.
            without: the groups of another item that is here and would be gone; None if none is.
        """
        if not item:
            return True
        if self.free + (without is not None) < 1:
            return False
        return all(self.fits_group(group, without or ()) for group in groups)

    def fits_group(self, group: str, without: tuple[str, ...] = ()) -> bool:
        """Return whether there is room for one more item in a group. `without` as for `fits`."""
        return self.group_limit is None or self._group_items[group] - (group in without) < self.group_limit

    def group_items(self, group: str) -> int:
        """Return how many items of a group are here."""
        return self._group_items[group]

    def add(self, item: str, groups: Iterable[str]) -> None:
        """Give an item its place here."""
        self.items[item] = None
        self._counted += bool(item)
        for group in groups:
            self.add_group(item, group)

    def add_group(self, item: str, group: str) -> None:
        """Count an item that is here in one more group."""
        if item:
            self._group_items[group] += 1

    def remove_group(self, item: str, group: str) -> None:
        """Count an item that is here in one group less."""
        if item:
            self._group_items[group] -= 1

    def remove(self, item: str, groups: Iterable[str]) -> None:
        """Take the place of an item away."""
        del self.items[item]
        self._counted -= bool(item)
        for group in groups:
            self.remove_group(item, group)

    def copy(self) -> Room:
        """Return a copy, to try something out."""
        room = Room(self.limit, self.group_limit)
        room.items, room._counted, room._group_items = dict(self.items), self._counted, Counter(self._group_items)
        return room


class Placement:
    """The items of a pool, and their places.

    Args:
        rooms: one for each member.
    """

    def __init__(self, rooms: Iterable[Room]) -> None:
        self.rooms = tuple(rooms)
        self.homeless: dict[str, None] = {}
        """The items that have no place, in the order in which they lost it."""
        self._keys: dict[str, dict[Key, None]] = {}  # item -> what is wanted of it
        self._place: dict[str, int] = {}

    def copy(self) -> Placement:
        """Return a copy, to try something out."""
        copy = Placement(room.copy() for room in self.rooms)
        copy.homeless, copy._place = dict(self.homeless), dict(self._place)
        copy._keys = {item: dict(keys) for item, keys in self._keys.items()}
        return copy

    def place_of(self, item: str) -> int | None:
        """Return the number of the member that has an item; None: none has."""
        return self._place.get(item)

    def keys_of(self, item: str) -> tuple[Key, ...]:
        """Return what is wanted of an item."""
        return tuple(self._keys.get(item, ()))

    def groups_of(self, item: str) -> tuple[str, ...]:
        """Return the groups that an item is wanted in."""
        return tuple(dict.fromkeys(group for group, _, _ in self._keys.get(item, ())))

    def add(self, key: Key, tiers: Sequence[Sequence[int]]) -> bool:
        """Add something that is wanted; a new item gets a place.

        Args:
            key: what is wanted.
            tiers: the members that may take a new item: the best first, then those to ask if none of them has room.

        Returns:
            False if there is no room; nothing has changed then.
        """
        group, _, item = key
        keys = self._keys.get(item)
        if keys is None:
            place = next((place for tier in tiers if (place := self.best(item, tier, (group,))) is not None), None)
            if place is None:
                return False
            self.rooms[place].add(item, (group,))
            self._place[item] = place
            self._keys[item] = {key: None}
            return True
        if group not in self.groups_of(item):
            place = self._place.get(item)
            if place is None or (item and not self.rooms[place].fits_group(group)):
                return False
            self.rooms[place].add_group(item, group)
        keys[key] = None
        return True

    def remove(self, key: Key) -> None:
        """Remove something that nobody wants any more."""
        group, _, item = key
        place, keys = self._place.get(item), self._keys[item]
        del keys[key]
        if not keys:
            if place is not None:
                self.rooms[place].remove(item, (group,))
                del self._place[item]
            self.homeless.pop(item, None)
            del self._keys[item]
        elif place is not None and group not in self.groups_of(item):
            self.rooms[place].remove_group(item, group)

    def best(self, item: str, members: Iterable[int], groups: Iterable[str] | None = None) -> int | None:
        """Return which of these members has the most room for an item that it does not have; None: none has any.

        Args:
            item: the item.
            members: the members that may take it; among equals the first is chosen.
            groups: the groups that it is wanted in; None: as known.
        """
        groups = self.groups_of(item) if groups is None else groups
        fitting = [member for member in members if self.rooms[member].fits(item, groups)]
        if not item:
            return fitting[0] if fitting else None
        return max(fitting, key=lambda member: self.rooms[member].free, default=None)

    def makes_room(self, candidate: str, item: str, groups: Iterable[str], members: Iterable[int]) -> bool:
        """Return whether one of these members has room for an item once another item is gone.

        Args:
            candidate: the item that would be gone.
            item: the item that needs room.
            groups: the groups that need room for it.
            members: the members that may take it.
        """
        place = self._place.get(candidate)
        if place is None or place not in members:
            return False
        room, without = self.rooms[place], self.groups_of(candidate)
        if item in room.items:
            return all(room.fits_group(group, without) for group in groups)
        return room.fits(item, groups, without)

    def take_away(self, item: str) -> None:
        """Take the place of an item away."""
        place = self._place.pop(item)
        self.rooms[place].remove(item, self.groups_of(item))
        self.homeless[item] = None

    def move(self, item: str, member: int) -> None:
        """Give an item another place, in which there is room for it."""
        if item in self._place:
            self.take_away(item)
        del self.homeless[item]
        self.rooms[member].add(item, self.groups_of(item))
        self._place[item] = member

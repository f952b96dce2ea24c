"""The placement of a pool, and a pool whatever its network does."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kiwoom_proto.request import Key
from kiwoom_proto.session.placement import Placement, Room

_ITEMS = st.lists(st.integers(1, 30).map("{:06}".format), min_size=1, max_size=12, unique=True)
_TYPES = st.sampled_from(["0B", "0D"])
_GROUPS = st.sampled_from(["1", "2"])


class PlacementMachine(RuleBasedStateMachine):
    """A placement, and what it must hold by the plain words of its rules."""

    @initialize(limits=st.lists(st.integers(0, 8), min_size=1, max_size=4), group_limit=st.none() | st.integers(1, 8))
    def start(self, limits: list[int], group_limit: int | None) -> None:
        self.placement = Placement(Room(limit, group_limit) for limit in limits)
        self.limits, self.group_limit = limits, group_limit
        self.open = set(range(len(limits)))
        self.wanted: dict[Key, None] = {}
        self.places: dict[str, int | None] = {}

    def items(self) -> dict[str, None]:
        return {item: None for _, _, item in self.wanted}

    def look(self) -> dict[str, int | None]:
        return {item: self.placement.place_of(item) for item in self.items()}

    def moved(self) -> set[str]:
        """What has another place than before. Look anew."""
        before, self.places = self.places, self.look()
        return {item for item, place in self.places.items() if item in before and before[item] != place}

    @rule(items=_ITEMS, type=_TYPES, group=_GROUPS)
    def want(self, items: list[str], type: str, group: str) -> None:
        for item in items:
            free = any(self.placement.rooms[member].fits(item, (group,)) for member in self.open)
            known = item in self.items()
            added = self.placement.add((group, type, item), [sorted(self.open)])
            if added:
                self.wanted[group, type, item] = None
            assert known or added == free, "what has no place gets one if there is room"
        assert not self.moved(), "nothing moves because something else is wanted"

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        for key in data.draw(st.lists(st.sampled_from(list(self.wanted)), unique=True)):
            self.placement.remove(key)
            del self.wanted[key]
        assert not self.moved(), "nothing moves because something else is given up"

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(sorted(self.open)))
        self.open.discard(member)
        gone = {*self.placement.rooms[member].items, *self.placement.homeless}
        for item in tuple(self.placement.rooms[member].items):
            self.placement.take_away(item)
        self.find_places()
        assert self.moved() <= gone, "only what has no place moves"

    @precondition(lambda self: len(self.open) < len(self.limits))
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        self.open.add(data.draw(st.sampled_from(sorted(set(range(len(self.limits))) - self.open))))
        homeless = set(self.placement.homeless)
        self.find_places()
        assert self.moved() <= homeless, "only what had no place moves"

    @rule()
    def fill(self) -> None:
        homeless = set(self.placement.homeless)
        self.find_places()
        assert self.moved() <= homeless, "only what had no place moves"

    def find_places(self) -> None:
        for item in tuple(self.placement.homeless):
            place = self.placement.best(item, sorted(self.open))
            if place is not None:
                self.placement.move(item, place)
        for item in self.placement.homeless:
            groups = self.placement.groups_of(item)
            assert not any(self.placement.rooms[member].fits(item, groups) for member in self.open)
        if self.group_limit is None and self.placement.homeless:
            assert all(self.placement.rooms[member].free == 0 for member in self.open), "no room is left unused"

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "placement"):
            return
        placed = [item for room in self.placement.rooms for item in room.items]
        assert len(placed) == len(set(placed)), "an item has one place"
        assert {*placed, *self.placement.homeless} == set(self.items())
        for limit, room in zip(self.limits, self.placement.rooms, strict=True):
            assert len(room.items) <= limit
            assert room.free == limit - len(room.items)
            for group in ("1", "2"):
                count = sum(any(key[2] == item and key[0] == group for key in self.wanted) for item in room.items)
                assert room.group_items(group) == count
                assert self.group_limit is None or count <= self.group_limit
        for item in self.items():
            assert set(self.placement.keys_of(item)) == {key for key in self.wanted if key[2] == item}


TestPlacement = PlacementMachine.TestCase
TestPlacement.settings = settings(stateful_step_count=30)

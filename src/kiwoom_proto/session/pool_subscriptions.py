"""PoolSubscriptions: what a pool wants, and which of its members is asked for it.

* Calls count here, as in subscriptions.py; of each member everything is wanted once. Where an item goes is up to
  placement.py, with the limits as the members' quotas know them.
* Types of the account are registered with every member, because each token has an account of its own. A hand-built
  message may name an item for them; it makes no difference [official], so they are known without.
* An item stays with a member that is logged in. When a member is dead (without a connection for `move_after`), its
  items move to members that are logged in and have room; those for which there is none stay, and are registered when it
  is back, or move when there is room. When a member is lost for good, its items go to any other that has room, or wait
  for room.
* Those that are not transient go first, and evict transient ones that are in the way (transients.py).
* Items that were refused for the quota go elsewhere, and not to the same member before its next connection.
* What moved is missing from the loss on until it is registered again.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

import attrs

from ..errors import QuotaExceeded
from ..request import Key
from .lifecycle import READY, SubscriptionState
from .member import Loss, Member
from .placement import Placement, Room
from .subscriptions import Claims, Subscription
from .transients import Transients

__all__ = ("PoolSubscriptions",)


@attrs.define(eq=False)
class _Wanted:
    """One subscription that somebody wants. The attributes are those of `Entry`."""

    period: int
    consumers: int = 0
    fresh_within: float | None = None


class PoolSubscriptions:
    """What one pool wants. It has the methods that `PendingCalls` needs.

    Args:
        members: the members.
        account_types: the codes of the types whose rows are about the account.
    """

    def __init__(self, members: Sequence[Member], account_types: Collection[str]) -> None:
        self.is_unsettled = False
        """Whether something has changed that `settle` acts upon."""
        self._members = members
        self._account_types = account_types
        self._placement = Placement(Room(member.quota.limit) for member in members)
        self._wanted: dict[Key, _Wanted] = {}
        self._periods = itertools.count(1)
        self._transients = Transients()
        self._evicted: list[str] = []
        self._touched: set[int] = set()
        self._missing: dict[str, Loss] = {}  # of items that moved and are not registered again yet
        self._refused_by: dict[str, set[int]] = {}  # item -> members that refused it for the quota
        self._asked_again: set[tuple[int, Key]] = set()  # of the account, after such a refusal
        self._reported: dict[str, str] = {}  # items known to have no connection, and why

    # What is wanted: see the methods of `Subscriptions` with the same names.

    def add_consumer(
        self,
        keys: Iterable[Key],
        fresh_within: float | None = None,
        *,
        instead_of: tuple[Key, ...] = (),
        transient: bool = False,
    ) -> set[Key]:
        """Add a consumer that wants these. Return what nobody wants any more."""
        keys = tuple(dict.fromkeys(map(self._known_as, keys)))
        placement, evicted = self._plan(keys, instead_of, transient)
        dropped = self.drop_consumer(instead_of)
        for going in evicted.values():
            dropped.update(going)
            self._give_up(going)
        self._evicted += evicted
        self._placement = placement
        new = [key for key in keys if key not in self._wanted]
        for key in keys:
            self._transients.add(key, transient=transient)
            wanted = self._wanted.setdefault(key, _Wanted(0))
            wanted.consumers += 1
            if wanted.consumers == 1:
                wanted.period = next(self._periods)
            if fresh_within is not None:
                wanted.fresh_within = min(fresh_within, wanted.fresh_within or fresh_within)
            if wanted.consumers > 1:
                for member in self._carriers(key):
                    self._touched.add(member.index)
                    member.want_again(key, fresh_within)
        self._ask(new)
        return dropped

    def drop_consumer(self, keys: Iterable[Key]) -> set[Key]:
        """Drop a consumer of these. Return what nobody wants any more."""
        dropped = set()
        for key in map(self._known_as, keys):
            wanted = self._wanted.get(key)
            if wanted is not None:
                wanted.consumers -= 1
                if not wanted.consumers:
                    dropped.add(key)
                    self._give_up((key,))
        return dropped

    def pop_evicted(self) -> tuple[str, ...]:
        """Return the items that were evicted since the last time, and forget them."""
        evicted, self._evicted = tuple(self._evicted), []
        return evicted

    def claims(self, keys: Iterable[Key]) -> Claims:
        """Return what a call claims that has just been added as a consumer of these."""
        return {key: self._wanted[key].period for key in map(self._known_as, keys)}

    def drop_claims(self, claims: Claims) -> None:
        """Drop a call as a consumer of what it claims."""
        wanted = self._wanted
        self.drop_consumer([key for key, period in claims.items() if key in wanted and wanted[key].period == period])

    def others_in_groups(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """Return what else is wanted in the groups of these keys, once for each consumer."""
        keys = set(map(self._known_as, keys))
        groups = {group for group, _, _ in keys}
        return tuple(
            key
            for key, wanted in self._wanted.items()
            if key[0] in groups and key not in keys
            for _ in range(wanted.consumers)
        )

    def refusal_reason(self, key: Key) -> str:
        """Return why a server refused this; "" if none did."""
        key = self._known_as(key)
        return next((reason for member in self._carriers(key) if (reason := member.state_of(key)[1])), "")

    def is_registration_settled(self, key: Key) -> bool:
        """Return whether the server has accepted or refused this registration: of the account, for every member."""
        if not self._is_of_account(key):
            place = self._placement.place_of(key[2])
            if place is None:
                return key not in self._wanted
            return self._members[place].is_registration_settled(key)
        key = self._known_as(key)
        alive = [member for member in self._members if not (member.is_over or member.is_dead)]
        return key not in self._wanted or (bool(alive) and all(member.is_registration_settled(key) for member in alive))

    def is_removal_settled(self, key: Key) -> bool:
        """Return whether the server has removed this, or somebody else still wants it."""
        key = self._known_as(key)
        return key in self._wanted or all(member.is_removal_settled(key) for member in self._members)

    def snapshot(self) -> tuple[Subscription, ...]:
        """Return every subscription, in the order asked for. Of the account it is the one that is least far."""
        found = []
        for key, wanted in self._wanted.items():
            states = [member.state_of(key) for member in self._carriers(key)]
            state, reason = min(states, key=_progress, default=(SubscriptionState.WANTED, ""))
            group, type, item = key
            if state is SubscriptionState.WANTED and not reason and item in self._reported:
                reason = f"no token has room for it: {self._reported[item]}"
            is_stale = any(member.is_stale(key) for member in self._carriers(key))
            found.append(
                Subscription(type, item, state, group, wanted.consumers, reason, wanted.fresh_within, is_stale)
            )
        return tuple(found)

    def market_member(self) -> Member | None:
        """Return the member that has the market-wide types; None if nobody wants them."""
        place = self._placement.place_of("")
        return None if place is None else self._members[place]

    # What happens to members. Call `settle` afterwards.

    def member_ready(self, member: Member) -> None:
        """Note that a member is logged in."""
        member.note_ready()
        self.is_unsettled = True
        for item in self._placement.rooms[member.index].items:
            self._reported.pop(item, None)
        self._asked_again = {(index, key) for index, key in self._asked_again if index != member.index}
        for refused_by in self._refused_by.values():
            refused_by.discard(member.index)

    def member_over(self, member: Member) -> None:
        """Note that a member has ended for good: its items need another place."""
        self.is_unsettled = True
        for item in tuple(self._placement.rooms[member.index].items):
            if member.loss is not None:
                self._missing.setdefault(item, member.loss)
            self._placement.take_away(item)

    def member_refused(self, member: Member, keys: Iterable[Key]) -> None:
        """Note that a member's server has too many items with these: they need another place."""
        self.is_unsettled = True
        for key in map(self._known_as, keys):
            if key not in self._wanted:
                continue
            if self._is_of_account(key):
                # It takes no room; the server refused it because of what stood beside it.
                if (member.index, key) not in self._asked_again:
                    self._asked_again.add((member.index, key))
                    self._touched.add(member.index)
                    member.want_again(key, None)
            elif self._placement.place_of(key[2]) == member.index:
                self._refused_by.setdefault(key[2], set()).add(member.index)
                self._touched.add(member.index)
                member.drop(self._placement.keys_of(key[2]))
                self._placement.take_away(key[2])

    def settle(self) -> set[Key]:
        """Find a place for the items that need one.

        Returns:
            What was evicted for them.
        """
        dropped: set[Key] = set()
        if not self.is_unsettled:
            return dropped
        self.is_unsettled = False
        self._update_limits()
        ready, soon, dead = self._tiers()
        for item in self._without_connection():
            if not self._placement.keys_of(item):
                continue  # evicted meanwhile
            place = self._best(item, ready)
            if place is None and item in self._placement.homeless:
                place = self._best(item, soon + dead)
            if place is None and self._transients.is_pinned(item):
                evicted = self._evict_for(item, ready)
                dropped.update(evicted)
                place = self._best(item, ready) if evicted else None
            if place is not None:
                self._move(item, place)
        self.is_unsettled = False
        return dropped

    def pop_unplaced(self, reason: str) -> tuple[str, ...]:
        """Return the items that are known since the last time to have no connection.

        Args:
            reason: what happened to their connections.
        """
        unplaced = tuple(item for item in self._without_connection() if item not in self._reported)
        self._reported.update(dict.fromkeys(unplaced, reason))
        return unplaced

    def homeless_keys(self) -> tuple[Key, ...]:
        """Return what is wanted of the items that have no place at all."""
        return tuple(key for item in self._placement.homeless for key in self._placement.keys_of(item))

    def pop_restored(self) -> list[tuple[Loss, int, tuple[str, ...]]]:
        """Return what moved and is registered again: the loss, the time of the last read, and the items."""
        found: dict[Loss, list[str]] = {}
        for item, loss in self._missing.items():
            place = self._placement.place_of(item)
            if place is not None and not self._members[place].is_dead:
                found.setdefault(loss, []).append(item)
        restored = []
        for loss, items in found.items():
            keys = [key for item in items for key in self._placement.keys_of(item)]
            if all(self.is_registration_settled(key) for key in keys):
                places = {self._placement.place_of(item) for item in items}
                read_at = max(self._members[place].last_read for place in places if place is not None)
                restored.append((loss, read_at, tuple(items)))
                for item in items:
                    del self._missing[item]
        return restored

    def pop_touched(self) -> list[Member]:
        """Return the members of which something else is wanted than before, and forget them."""
        touched, self._touched = self._touched, set()
        return [self._members[index] for index in sorted(touched)]

    # Internals.

    def _is_of_account(self, key: Key) -> bool:
        return key[1] in self._account_types

    def _known_as(self, key: Key) -> Key:
        group, type, item = key
        return (group, type, "") if item and type in self._account_types else key

    def _carriers(self, key: Key) -> Sequence[Member]:
        """Return the members that are asked for this."""
        if self._is_of_account(key):
            return [member for member in self._members if not member.is_over]
        place = self._placement.place_of(key[2])
        return () if place is None else (self._members[place],)

    def _without_connection(self) -> list[str]:
        """Return the items that have no place, or that of a dead member; those that are not transient first."""
        dead = (self._placement.rooms[member.index].items for member in self._members if member.is_dead)
        items: Iterator[str] = itertools.chain(self._placement.homeless, *dead)
        return sorted(items, key=lambda item: not self._transients.is_pinned(item))

    def _best(self, item: str, members: Iterable[int]) -> int | None:
        refused_by = self._refused_by.get(item, ())
        return self._placement.best(item, [index for index in members if index not in refused_by])

    def _update_limits(self) -> None:
        for member, room in zip(self._members, self._placement.rooms, strict=True):
            room.limit, room.group_limit = member.quota.limit, member.quota.group_limit

    def _tiers(self) -> tuple[list[int], list[int], list[int]]:
        """Return the members that may take new items: those logged in, then those that soon will be, then dead ones."""
        tiers: tuple[list[int], list[int], list[int]] = [], [], []
        for member in self._members:
            if not member.is_over:
                tiers[0 if member.state is READY else 2 if member.is_dead else 1].append(member.index)
        return tiers

    def _plan(
        self, keys: Sequence[Key], instead_of: Iterable[Key], transient: bool
    ) -> tuple[Placement, dict[str, list[Key]]]:
        """Return the placement with these, and the items that must be evicted for them.

        Raises:
            QuotaExceeded: there is no room.
        """
        self._update_limits()
        tiers = self._tiers()
        going = Counter(map(self._known_as, instead_of))
        if not going and self._add_all(keys, tiers):
            return self._placement, {}  # nearly always: there is room, and no copy is needed to find out
        placement = self._placement.copy()
        for key, count in going.items():
            if key in self._wanted and self._wanted[key].consumers <= count and not self._is_of_account(key):
                placement.remove(key)
        before = placement.copy()
        candidates = {} if transient else self._transients.candidates({item for _, _, item in keys})
        members = [index for tier in tiers for index in tier]
        evicted: dict[str, list[Key]] = {}
        for key in keys:
            if self._is_of_account(key) or key in placement.keys_of(key[2]):
                continue
            while not placement.add(key, tiers):
                group, _, item = key
                place = placement.place_of(item)
                where = members if place is None else [place]
                found = (each for each in candidates if placement.makes_room(each, item, (group,), where))
                candidate = next(found, None)
                if candidate is None:
                    raise self._quota_exceeded(keys, before, "" if place is None else group)
                evicted[candidate] = candidates.pop(candidate)
                for gone in evicted[candidate]:
                    placement.remove(gone)
        return placement, evicted

    def _add_all(self, keys: Iterable[Key], tiers: Sequence[Sequence[int]]) -> bool:
        """Place these if there is room for all; otherwise change nothing."""
        added: list[Key] = []
        for key in keys:
            if self._is_of_account(key) or key in self._wanted:
                continue
            if not self._placement.add(key, tiers):
                for each in added:
                    self._placement.remove(each)
                return False
            added.append(key)
        return True

    def _quota_exceeded(self, keys: Iterable[Key], placement: Placement, group: str) -> QuotaExceeded:
        """Return the error for a call that there is no room for.

        Args:
            keys: what it wants.
            placement: the placement before the call.
            group: the group without room for an item that has a place; "" if an item has no place.
        """
        rooms = [room for room, member in zip(placement.rooms, self._members, strict=True) if not member.is_over]
        new = {item: group for group, _, item in keys if item and not placement.keys_of(item)}
        used, limit = sum(room.limit - room.free for room in rooms), sum(room.limit for room in rooms)
        if not group and used + len(placement.homeless) + len(new) > limit:
            source = f"{len(rooms)} tokens, {self._members[0].quota.source} for each"
            return QuotaExceeded(limit, used + len(placement.homeless), len(new), source)
        group = group or next(iter(new.values()))
        used, limit = sum(room.group_items(group) for room in rooms), sum(room.group_limit or 0 for room in rooms)
        asked = len(
            {item for in_group, _, item in keys if in_group == group and group not in placement.groups_of(item)}
        )
        return QuotaExceeded(limit, used, asked, f"{len(rooms)} tokens, named by the server", group)

    def _ask(self, keys: Iterable[Key]) -> None:
        """Ask the members for these."""
        asked: dict[tuple[int, float | None], list[Key]] = defaultdict(list)
        for key in keys:
            for member in self._carriers(key):
                asked[member.index, self._wanted[key].fresh_within].append(key)
        for (index, fresh_within), wanted in asked.items():
            self._touched.add(index)
            self._members[index].want(wanted, fresh_within)

    def _give_up(self, keys: Iterable[Key]) -> None:
        """Give up what nobody wants any more."""
        self.is_unsettled = True
        for key in keys:
            for member in self._carriers(key):
                self._touched.add(member.index)
                member.drop((key,))
            del self._wanted[key]
            self._transients.remove(key)
            if self._is_of_account(key):
                continue
            item = key[2]
            self._placement.remove(key)
            if not self._placement.keys_of(item):
                self._missing.pop(item, None)
                self._refused_by.pop(item, None)
                self._reported.pop(item, None)

    def _evict_for(self, item: str, members: Collection[int]) -> list[Key]:
        """Evict the item that makes room for another. Return what nobody wants any more."""
        placement, groups = self._placement, self._placement.groups_of(item)
        allowed = [index for index in members if index not in self._refused_by.get(item, ())]
        for candidate, keys in self._transients.candidates((item,)).items():
            if placement.makes_room(candidate, item, groups, allowed):
                self._evicted.append(candidate)
                self._give_up(keys)
                return keys
        return []

    def _move(self, item: str, place: int) -> None:
        keys, old = self._placement.keys_of(item), self._placement.place_of(item)
        if old is not None:
            loss = self._members[old].loss
            if loss is not None:
                self._missing.setdefault(item, loss)
            self._touched.add(old)
            self._members[old].drop(keys)
        self._placement.move(item, place)
        if self._members[place].state is READY:
            self._reported.pop(item, None)
        self._ask(keys)


def _progress(found: tuple[SubscriptionState, str]) -> int:
    return list(SubscriptionState).index(found[0])

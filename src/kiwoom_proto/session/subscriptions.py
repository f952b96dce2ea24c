"""Subscriptions: what is wanted, what the server has confirmed, and the difference as REG and REMOVE messages.

Each (group, type, item) is one entry. Calls say what is wanted, and they count: what two consumers want is kept until
both have given it up. Answers say what the server knows. `plan` turns the difference into the next message:

* in order of urgency: first registrations of the account (orders, balances), then removals, which make room, then
  market data. While removals are pending, only account types may register: market data could exceed the quota, and
  would be refused together with them;
* in as few messages as possible: types are free, so all types of an item go together, and items with the same types
  share an element. A message has at most `items_per_request` items, and never more bytes than the server accepts;
* one message at a time: what is planned late need not be taken back.

Registrations die with the connection [measured by several]. `connection_lost` therefore marks everything wanted as to
be sent again, and forgets everything else. How many items may be wanted is in quota.py, how a message is sent again
that cost the connection in suspects.py, what rows say about a subscription in freshness.py, what the calls learn of
it all in registrations.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

import attrs

from ..display import quoted
from ..errors import QuotaExceeded
from ..realtime.catalogue import ACCOUNT_TYPES, REALTIME, Types
from ..request import Key
from ..wire.messages import Element, Reg, Remove, is_too_large, keys_of
from .freshness import Entry, Freshness
from .lifecycle import SubscriptionState
from .market_clock import MarketClock
from .quota import Quota
from .suspects import Suspects
from .transients import Transients

__all__ = ("UNACKNOWLEDGED", "Claims", "Subscription", "Subscriptions")

Claims: TypeAlias = Mapping[Key, int]
"""What one call is a consumer of, and the number of the period, without a break, for which it has been wanted."""

UNACKNOWLEDGED = "not acknowledged, and connections were lost for that each time"

WANTED, SENT, CONFIRMED, RECEIVING, REFUSED, LEAVING = SubscriptionState


@attrs.frozen
class Subscription:
    """How far one (type, item) has come.

    Attributes:
        type: the real-time type, "0E"; "02" (US: "S2") for a live condition search.
        item: the item as registered; "" for account-wide types; the number of a condition.
        state: how far it has come.
        group: group number (grp_no); "" for a condition.
        consumers: number of calls that want it.
        reason: why it was refused, or has no place in a pool; "" if neither.
        fresh_within: seconds after which silence is reported as `Stale`; None: never.
        is_stale: whether it has been reported, and no row has come since.
    """

    type: str = attrs.field(repr=quoted)
    item: str = attrs.field(repr=quoted)
    state: SubscriptionState
    group: str = attrs.field(default="1", repr=quoted)
    consumers: int = 1
    reason: str = attrs.field(default="", repr=quoted)
    fresh_within: float | None = None
    is_stale: bool = False


class Subscriptions:
    """What one session wants, and what its present connection has confirmed of it.

    Args:
        quota: the item quota.
        items_per_request: maximum number of items in one message.
        account_types: the codes of the types whose rows are about the account. A trading program must not miss them.
        types: the record classes by type code.
        market: tells when markets are open, for freshness; None: they always are.
    """

    def __init__(
        self,
        quota: Quota,
        items_per_request: int,
        account_types: Collection[str] = ACCOUNT_TYPES,
        types: Types = REALTIME,
        market: MarketClock | None = None,
    ) -> None:
        self._account_types = account_types
        self.quota = quota
        """The item quota."""
        self._items_per_request = items_per_request
        self._entries: dict[Key, Entry] = {}
        self._periods = itertools.count(1)
        self._to_register: dict[Key, None] = {}  # in the order asked for
        self._to_remove: dict[Key, None] = {}
        self._in_flight: Reg | Remove | None = None
        self._parts: list[tuple[Key, ...]] = []  # of messages that were refused as a whole; their entries are SENT
        self.freshness = Freshness(account_types, types, market)
        """What rows say about the subscriptions: tell it of them."""
        self._transients = Transients()
        self._evicted: list[str] = []
        self._suspects: Suspects[Key] = Suspects()
        self._was_answered = False  # whether the server has answered anything on this connection
        self.has_dropped = False
        """Whether anything is wanted no more since this was last reset."""

    # What is wanted.

    def add_consumer(
        self,
        keys: Iterable[Key],
        fresh_within: float | None = None,
        *,
        instead_of: tuple[Key, ...] = (),
        transient: bool = False,
    ) -> set[Key]:
        """Add a consumer that wants these.

        Args:
            keys: what it wants.
            fresh_within: seconds within which rows must come; the shortest time that any consumer asks for counts.
            instead_of: what is wanted by one consumer less; named twice, by two.
            transient: whether it can do without them once others need the room; otherwise it may evict those that can.

        Returns:
            What nobody wants any more.

        Raises:
            QuotaExceeded: there would be too many items; nothing has changed.
        """
        keys = tuple(keys)
        evicted = self._make_room(keys, instead_of, transient)
        dropped = self.drop_consumer((*instead_of, *evicted))
        for key in keys:
            self._transients.add(key, transient=transient)
            entry = self._entries.setdefault(key, Entry())
            entry.consumers += 1
            if entry.consumers == 1:
                entry.period = next(self._periods)
                self.quota.add(key)
                if entry.state is LEAVING and key in self._to_remove:
                    del self._to_remove[key]  # in time: the server still has it
                    self._confirm(key, entry)
            if entry.state is REFUSED or (entry.state is WANTED and key not in self._to_register):
                self._want_anew(key, entry)
                self._suspects.wake((key,))
            if fresh_within is not None:
                entry.fresh_within = min(fresh_within, entry.fresh_within or fresh_within)
                entry.stale_at = None
                if entry.state in (CONFIRMED, RECEIVING):
                    self.freshness.watch(key, entry)
        return dropped

    def drop_consumer(self, keys: Iterable[Key]) -> set[Key]:
        """Drop a consumer of these. What nobody wants is left as it is.

        Returns:
            What nobody wants any more.
        """
        dropped = set()
        for key in keys:
            entry = self._entries.get(key)
            if entry is None or not entry.consumers:
                continue
            entry.consumers -= 1
            if entry.consumers:
                continue
            dropped.add(key)
            self.has_dropped = True
            self.quota.remove(key)
            self._transients.remove(key)
            self.freshness.unwatch(key)
            entry.fresh_within, entry.stale_at, entry.is_stale = None, None, False
            if entry.state in (WANTED, REFUSED):
                self._to_register.pop(key, None)
                del self._entries[key]
            elif entry.state in (CONFIRMED, RECEIVING):
                entry.state = LEAVING
                self._to_remove[key] = None
            # What was sent is removed once it is acknowledged.
        return dropped

    def pop_evicted(self) -> tuple[str, ...]:
        """Return the items that were evicted since the last time, and forget them."""
        evicted, self._evicted = tuple(self._evicted), []
        return evicted

    def is_wanted(self, key: Key) -> bool:
        """Return whether some call wants this."""
        entry = self._entries.get(key)
        return entry is not None and entry.consumers > 0

    def pop_confirmed(self) -> list[tuple[Key, bool, bool]]:
        """Return what was confirmed since the last time, whether its item is pinned, and whether it has had a row."""
        news = [(key, entry) for key, entry in self._entries.items() if entry.is_news and entry.consumers]
        for _, entry in news:
            entry.is_news = False
        return [(key, self._transients.is_pinned(key[2]), entry.has_row) for key, entry in news]

    def claims(self, keys: Iterable[Key]) -> Claims:
        """Return what a call claims that has just been added as a consumer of these."""
        return {key: self._entries[key].period for key in keys}

    def drop_claims(self, claims: Claims) -> None:
        """Drop a call as a consumer of what it claims.

        What nobody wanted in the meantime stays: those who want it now are others.
        """
        entries = self._entries
        self.drop_consumer([key for key, period in claims.items() if key in entries and entries[key].period == period])

    def others_in_groups(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """Return what else is wanted in the groups of these keys, once for each consumer."""
        keys = set(keys)
        groups = {group for group, _, _ in keys}
        return tuple(
            key
            for key, entry in self._entries.items()
            if key[0] in groups and key not in keys
            for _ in range(entry.consumers)
        )

    # What the server is asked, and answers.

    @property
    def is_urgent(self) -> bool:
        """Whether registrations of the account wait to be sent."""
        return any(key[1] in self._account_types and self._suspects.max_keys(key) is None for key in self._to_register)

    def plan(self) -> Reg | Remove | None:
        """Return the next message to send; None if there is none, or the last one is not answered yet."""
        if self._in_flight is not None:
            return None
        while self._parts:
            keys = self._still_wanted(self._parts.pop(0))
            if keys:
                self._in_flight = Reg(keys[0][0], "1", _elements(keys))
                return self._in_flight
        if self._to_remove and not self.is_urgent:
            keys = self._choose(self._to_remove)
            self._in_flight = Remove(keys[0][0], _elements(keys))
            for key in keys:
                del self._to_remove[key]
        elif self._to_register:
            # While removals are pending, only account types may register: see above.
            account_types = self._account_types
            keys = self._choose([key for key in self._to_register if not self._to_remove or key[1] in account_types])
            self._in_flight = Reg(keys[0][0], "1", _elements(keys))
            for key in keys:
                del self._to_register[key]
                self._entries[key].state = SENT
                self.freshness.watch(key, self._entries[key])  # rows may arrive before the acknowledgement [measured]
        return self._in_flight

    def accept(self) -> bool:
        """Note that the message in flight was acknowledged.

        Returns:
            Whether some of it had been refused here, as a suspect.
        """
        message = self._pop_in_flight()
        keys = keys_of((message,))
        for key in keys:
            entry = self._entries[key]
            if isinstance(message, Remove):
                self._removed(key, entry)
            elif not entry.consumers:
                entry.state = LEAVING
                self._to_remove[key] = None
            elif entry.state is SENT:
                self._confirm(key, entry)
        return self._suspects.clear(keys)

    def split(self) -> bool:
        """Note that the message in flight was refused, and send its two halves instead.

        What is wrong with one item, or one type, is found in few messages, and the others are registered.

        Returns:
            False if it names one thing only, or removes; nothing has changed then.
        """
        message = self._in_flight
        if not isinstance(message, Reg):
            return False
        keys = keys_of((message,))
        if len(keys) < 2:
            return False
        self._in_flight = None
        middle = len(keys) // 2
        self._parts[:0] = [keys[:middle], keys[middle:]]
        return True

    def refuse(self, reason: str) -> None:
        """Note that the message in flight was refused. It is not sent again over this connection."""
        message = self._pop_in_flight()
        self._suspects.clear(keys_of((message,)))
        for key in keys_of((message,)):
            entry = self._entries[key]
            if isinstance(message, Remove):
                self._removed(key, entry)
            elif entry.consumers:
                entry.state, entry.reason = REFUSED, reason
                self.freshness.unwatch(key)
            else:
                del self._entries[key]

    def blame(self, now: float, certain: bool) -> bool:
        """Note that the connection was lost because of the message in flight.

        Args:
            now: seconds on the session's clock.
            certain: whether the server has blamed it.

        Returns:
            Whether it is refused, and not sent again for now.
        """
        message = self._in_flight
        certain = certain or self._was_answered
        if not isinstance(message, Reg) or not self._suspects.accuse(keys_of((message,)), now, certain=certain):
            return False
        for key in keys_of((message,)):
            self._entries[key].state, self._entries[key].reason = REFUSED, UNACKNOWLEDGED
        return True

    def retry_refused(self, now: float) -> None:
        """Want to register again what was refused as a suspect and has waited for long enough."""
        for key in self._suspects.due(now):
            self._suspects.wake((key,))
            entry = self._entries.get(key)
            if entry is not None and entry.state is REFUSED:
                self._want_anew(key, entry)

    def next_retry(self) -> float | None:
        """Return when to call `retry_refused`; None: never."""
        return self._suspects.next_timeout()

    def connection_lost(self) -> None:
        """Note that the connection is gone, and all registrations with it: everything wanted is to be sent again."""
        self._in_flight = None
        self._was_answered = False
        self._parts.clear()
        self._to_remove.clear()
        self.freshness.connection_lost()
        self._entries = {key: entry for key, entry in self._entries.items() if entry.consumers}
        self._to_register = {key: None for key in self._entries if not self._suspects.rests(key)}
        for key, entry in self._entries.items():
            entry.stale_at, entry.has_row, entry.is_stale, entry.is_news = None, False, False, False
            if key in self._to_register:
                entry.state, entry.reason = WANTED, ""
            else:
                entry.state, entry.reason = REFUSED, UNACKNOWLEDGED

    # How far it has come.

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted, and nothing must still be removed."""
        return not self._entries

    @property
    def is_settled(self) -> bool:
        """Whether the server has answered everything, and nothing more is to be sent."""
        return self._in_flight is None and not (self._parts or self._to_register or self._to_remove)

    def is_registration_settled(self, key: Key) -> bool:
        """Return whether the server has accepted or refused this registration."""
        entry = self._entries.get(key)
        return entry is None or entry.state in (CONFIRMED, RECEIVING, REFUSED)

    def is_removal_settled(self, key: Key) -> bool:
        """Return whether the server has removed this, or somebody else still wants it."""
        entry = self._entries.get(key)
        return entry is None or entry.consumers > 0

    def refusal_reason(self, key: Key) -> str:
        """Return why the server refused this; "" if it did not."""
        entry = self._entries.get(key)
        return entry.reason if entry is not None else ""

    def state_of(self, key: Key) -> tuple[SubscriptionState, str]:
        """Return how far a subscription has come, and why the server refused it; "" if it did not."""
        entry = self._entries.get(key)
        return (WANTED, "") if entry is None else (entry.state if entry.consumers else LEAVING, entry.reason)

    def is_stale(self, key: Key) -> bool:
        """Return whether a subscription has been reported as stale, and no row has come since."""
        return key in self._entries and self._entries[key].is_stale

    def snapshot(self) -> tuple[Subscription, ...]:
        """Return every subscription, in the order asked for."""
        found = []
        for (group, type, item), entry in self._entries.items():
            state = entry.state if entry.consumers else LEAVING
            rest = entry.consumers, entry.reason, entry.fresh_within, entry.is_stale
            found.append(Subscription(type, item, state, group, *rest))
        return tuple(found)

    # Rows: see freshness.py, which `self.freshness` takes them to.

    def arm_freshness(self, now: float) -> None:
        """Start the time within which rows must come for what is confirmed by now. Call it after every change."""
        self.freshness.arm(self._entries.values(), now)

    def pop_stale(self, now: float) -> list[tuple[Key, float]]:
        """Return what has become stale, with its `fresh_within`, once each until the next row."""
        return self.freshness.pop_stale(self._entries, now)

    # Internals.

    def _make_room(self, keys: tuple[Key, ...], freed: tuple[Key, ...], transient: bool) -> tuple[Key, ...]:
        """Return what must be evicted for these, once for each consumer. Raise QuotaExceeded if that is not enough."""
        first: QuotaExceeded | None = None
        candidates: dict[str, list[Key]] | None = None
        evicted: dict[str, list[Key]] = {}
        while True:
            try:
                self.quota.check(keys, (*freed, *(key for going in evicted.values() for key in going)))
                break
            except QuotaExceeded as error:
                first = first or error
                if transient:
                    raise
                if candidates is None:
                    candidates = self._transients.candidates({item for _, _, item in keys})
                concerned = (
                    item
                    for item, going in candidates.items()
                    if not error.group or any(group == error.group for group, _, _ in going)
                )
                item = next(concerned, None)
                if item is None:
                    raise first from None
                evicted[item] = candidates.pop(item)
        self._evicted += evicted
        return tuple(key for going in evicted.values() for key in going for _ in range(self._entries[key].consumers))

    def _pop_in_flight(self) -> Reg | Remove:
        """Return the message in flight, which the server has answered, and forget it."""
        message, self._in_flight = self._in_flight, None
        self._was_answered = True
        assert message is not None
        return message

    def _want_anew(self, key: Key, entry: Entry) -> None:
        entry.state, entry.reason = WANTED, ""
        self._to_register[key] = None

    def _confirm(self, key: Key, entry: Entry) -> None:
        entry.state = RECEIVING if entry.has_row else CONFIRMED
        entry.is_news = True
        if not entry.has_row or entry.fresh_within is not None:
            self.freshness.watch(key, entry)

    def _removed(self, key: Key, entry: Entry) -> None:
        if entry.consumers:  # wanted again in the meantime
            entry.has_row = False
            self._want_anew(key, entry)
        else:
            del self._entries[key]

    def _still_wanted(self, keys: tuple[Key, ...]) -> list[Key]:
        """Return what somebody still wants of a refused message, and forget the rest: the server does not have it."""
        wanted = [key for key in keys if self._entries[key].consumers]
        for key in set(keys).difference(wanted):
            del self._entries[key]
        return wanted

    def _choose(self, pending: Iterable[Key]) -> list[Key]:
        """Return which of these go into the next message."""
        suspects = self._suspects
        # A stable sort: otherwise in the order asked for. Suspects go last, and few at a time.
        keys = sorted(pending, key=lambda key: (suspects.losses(key), key[1] not in self._account_types))
        max_keys = suspects.max_keys(keys[0])
        keys = [key for key in keys if key[0] == keys[0][0] and suspects.max_keys(key) == max_keys][:max_keys]
        items = list(dict.fromkeys(item for _, _, item in keys if item))
        chosen = {"", *items[: self._items_per_request]}
        keys = [key for key in keys if key[2] in chosen]
        while len(keys) > 1 and is_too_large(Reg(keys[0][0], "1", _elements(keys))):
            keys = keys[: len(keys) // 2]
        return keys


def _elements(keys: list[Key]) -> tuple[Element, ...]:
    """Return keys of one group as elements, one for each different set of types."""
    types_of: dict[str, list[str]] = {}
    for _, type, item in keys:
        types_of.setdefault(item, []).append(type)
    items_of: dict[tuple[str, ...], list[str]] = {}
    for item, types in types_of.items():
        items_of.setdefault(tuple(sorted(types)), []).append(item)
    return tuple(Element(tuple(items), types) for types, items in items_of.items())

"""Subscriptions: what is wanted against what the server has confirmed, and the difference as REG and REMOVE.

Each (group, type, item) is one entry. Calls say what is wanted, and count: what two consumers asked for is kept until
both have let go. Messages say what the server knows. `plan` turns the difference into the next message:

* the most urgent first: registrations of the account (orders, balances), then what makes room, then market data;
* as few messages as possible: types are free, so every type of an item goes with it, and items of the same types share
  an element, at most `items_per_request` items in a message, and no more than the server takes in one;
* one message at a time: what is planned late needs no taking back.

The quota is one of item strings a connection and a group [measured by several]: a code under three venues counts three,
types and "" count nothing. It is checked when something is asked for: what would be too much is refused there, with the
arithmetic. How many it is belongs to the endpoint and may have changed: where the server refuses something as too much
and names a number, that number counts from then on, unless the user has chosen a lower one.

Registrations die with the connection, so `lost` makes everything wanted to be sent again, and forgets what is not.
"""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import attrs

from ..codes import GROUP_QUOTA
from ..display import quoted
from ..errors import QuotaExceeded
from ..realtime.record import Record
from ..wire.messages import Element, Reg, Remove, is_too_large
from .suspects import Suspects

__all__ = ("Claims", "Key", "Subscription", "SubscriptionState", "Subscriptions", "keys_of")

Key: TypeAlias = tuple[str, str, str]
"""Group, type and item."""
Claims: TypeAlias = Mapping[Key, int]
"""What one call counts as a consumer of, and since when the item has been wanted without a break."""

URGENT_TYPES = frozenset({"00", "04", "F4", "F5"})
"""Orders and balances: what a trading program must not miss."""
PUSHED_AS = {"MGD": "MGU"}
"""Items whose rows come under another name: 0I registers MGD and pushes MGU [measured]."""
UNACKNOWLEDGED = "not acknowledged, and connections were lost for that each time"
NEVER = float("inf")


class SubscriptionState(enum.Enum):
    """How far a subscription has come on the present connection."""

    WANTED = "wanted"
    """Not sent yet: there is no connection, or its turn has not come."""
    SENT = "sent"
    """Sent and not acknowledged yet."""
    CONFIRMED = "confirmed"
    """Acknowledged. The server acknowledges nonsense too, so this says little until a row has come."""
    RECEIVING = "receiving"
    """A row has come."""
    REFUSED = "refused"
    """Refused by the server, or not answered. It is asked for again on the next connection, not before."""
    LEAVING = "leaving"
    """No longer wanted, and not removed yet."""


WANTED, SENT, CONFIRMED, RECEIVING, REFUSED, LEAVING = SubscriptionState


@attrs.frozen
class Subscription:
    """Where one (type, item) stands.

    Attributes:
        type: the real-time type, "0E"; "02" (US: "S2") for a live condition search.
        item: the item as registered; "" for account-wide types; the number of a condition.
        state: how far it has come.
        group: group number (grp_no); "" for a condition.
        consumers: how many calls want it.
        reason: why the server refused it; "" where it did not.
        fresh_within: seconds within which a row is to come, or None.
    """

    type: str = attrs.field(repr=quoted)
    item: str = attrs.field(repr=quoted)
    state: SubscriptionState
    group: str = attrs.field(default="1", repr=quoted)
    consumers: int = 1
    reason: str = attrs.field(default="", repr=quoted)
    fresh_within: float | None = None


@attrs.define(eq=False)
class _Entry:
    consumers: int = 0
    wanted_since: int = 0  # another number each time that somebody wants it whom nobody did before
    state: SubscriptionState = WANTED
    reason: str = ""
    fresh_within: float | None = None
    due: float | None = None  # when it will be stale
    has_row: bool = False  # one may come before the acknowledgement [measured]


def keys_of(messages: Iterable[Reg | Remove]) -> tuple[Key, ...]:
    """Every (group, type, item) that these messages name, once each, in order."""
    return tuple(
        dict.fromkeys(
            (message.grp_no, type, str(item))
            for message in messages
            for element in message.data
            for item in element.item
            for type in element.type
        )
    )


class Subscriptions:
    """What one session wants, and what its present connection has confirmed of it.

    Arguments:
        item_limit: most items wanted at once.
        items_per_request: most items in one message.
        is_chosen: whether the user has chosen the limit; False: it is what the endpoint is believed to take.
    """

    def __init__(self, item_limit: int, items_per_request: int, *, is_chosen: bool = True) -> None:
        self._item_limit = item_limit
        self._limit_source = "ClientConfig.item_limit" if is_chosen else "Endpoint.item_limit"
        self._limit_is_chosen = is_chosen
        self._group_limit: int | None = None  # until the server names one, what holds for all holds for each
        self._items_per_request = items_per_request
        self._entries: dict[Key, _Entry] = {}
        self._begins = itertools.count(1)
        self._to_register: dict[Key, None] = {}  # in the order asked for
        self._to_remove: dict[Key, None] = {}
        self._in_flight: Reg | Remove | None = None
        self._parts: list[tuple[Key, ...]] = []  # of messages that were refused as a whole; their entries are SENT
        self._items: dict[str, int] = {}  # item -> how many wanted entries have it
        self._watched: dict[str, dict[str, list[Key]]] = {}  # type -> item of its rows -> who wants to know of it
        self._check_at: float | None = None  # not before then can anything be stale
        self._suspects: Suspects[Key] = Suspects()
        self._was_answered = False  # whether the server has answered anything on this connection

    # What is wanted.

    def want(
        self, keys: Iterable[Key], fresh_within: float | None = None, *, instead_of: tuple[Key, ...] = ()
    ) -> set[Key]:
        """One more consumer wants these. Returns what nobody wants any more.

        Arguments:
            keys: what it wants.
            fresh_within: seconds within which rows are to come; the shortest that any consumer asks for counts.
            instead_of: what one consumer less wants.

        Raises:
            QuotaExceeded: they would be too many; nothing has changed.
        """
        keys = tuple(keys)
        freed = Counter(item for _, _, item in set(instead_of) if item)
        used = {item for item, count in self._items.items() if count > freed[item]}
        new = {item for _, _, item in keys if item} - used
        if len(used) + len(new) > self._item_limit:
            raise QuotaExceeded(self._item_limit, len(used), len(new), self._limit_source)
        if self._group_limit is not None:
            self._check_groups(self._group_limit, keys, set(instead_of))
        gone = self.release(instead_of)
        for key in keys:
            entry = self._entries.setdefault(key, _Entry())
            entry.consumers += 1
            if entry.consumers == 1:
                entry.wanted_since = next(self._begins)
                self._count(key, 1)
                if entry.state is LEAVING and key in self._to_remove:
                    del self._to_remove[key]  # in time: the server still has it
                    self._confirm(key, entry)
            if entry.state is REFUSED or (entry.state is WANTED and key not in self._to_register):
                entry.state, entry.reason = WANTED, ""
                self._to_register[key] = None
                self._suspects.wake((key,))
            if fresh_within is not None:
                entry.fresh_within = min(fresh_within, entry.fresh_within or fresh_within)
                entry.due = None
                if entry.state in (CONFIRMED, RECEIVING):
                    self._watch(key)
        return gone

    def learn_limit(self, limit: int, code: str) -> None:
        """The server has refused a message as too much, with this code, and named how many items it takes."""
        if code == GROUP_QUOTA:
            self._group_limit = limit
        elif limit < self._item_limit or not self._limit_is_chosen:
            self._item_limit, self._limit_source = limit, _named_by(code)

    def release(self, keys: Iterable[Key]) -> set[Key]:
        """One consumer less wants these; what nobody wanted is left as it is. Returns what nobody wants any more."""
        gone = set()
        for key in keys:
            entry = self._entries.get(key)
            if entry is None or not entry.consumers:
                continue
            entry.consumers -= 1
            if entry.consumers:
                continue
            gone.add(key)
            self._count(key, -1)
            self._unwatch(key)
            entry.fresh_within = entry.due = None
            if entry.state in (WANTED, REFUSED):
                self._to_register.pop(key, None)
                del self._entries[key]
            elif entry.state in (CONFIRMED, RECEIVING):
                entry.state = LEAVING
                self._to_remove[key] = None
            # What was sent is removed once it is acknowledged.
        return gone

    def claims(self, keys: Iterable[Key]) -> Claims:
        """What a call claims that has just wanted these."""
        return {key: self._entries[key].wanted_since for key in keys}

    def take_back(self, claims: Claims) -> None:
        """Release what a call claims. What nobody wanted meanwhile is wanted by others now, if at all: it stays."""
        entries = self._entries
        self.release([key for key, since in claims.items() if key in entries and entries[key].wanted_since == since])

    def others_of(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """What else is wanted in the groups of these keys, once for each consumer."""
        keys = set(keys)
        groups = {group for group, _, _ in keys}
        return tuple(
            key
            for key, entry in self._entries.items()
            if key[0] in groups and key not in keys
            for _ in range(entry.consumers)
        )

    # What the server is told, and says.

    @property
    def is_urgent(self) -> bool:
        """Whether something of the account waits to be registered."""
        return any(key[1] in URGENT_TYPES and self._suspects.most(key) is None for key in self._to_register)

    def plan(self) -> Reg | Remove | None:
        """Return the next message to send; None: nothing is to be said, or the last one is not answered yet."""
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
            # Past what makes room goes the account alone: market data with it could be too much, and refused with it.
            keys = self._choose([key for key in self._to_register if not self._to_remove or key[1] in URGENT_TYPES])
            self._in_flight = Reg(keys[0][0], "1", _elements(keys))
            for key in keys:
                del self._to_register[key]
                self._entries[key].state = SENT
                self._watch(key)  # rows may come before the acknowledgement [measured]
        return self._in_flight

    def accept(self) -> bool:
        """The message in flight was acknowledged. Returns whether some of it had been refused here, as a suspect."""
        message = self._answered()
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

    def blame(self, now: float, certain: bool) -> bool:
        """The connection was lost for the message in flight. Returns whether it is refused: not sent again for now.

        Arguments:
            now: seconds on the session's clock.
            certain: whether the server has blamed it.
        """
        message = self._in_flight
        certain = certain or self._was_answered
        if not isinstance(message, Reg) or not self._suspects.accuse(keys_of((message,)), now, certain=certain):
            return False
        for key in keys_of((message,)):
            self._entries[key].state, self._entries[key].reason = REFUSED, UNACKNOWLEDGED
        return True

    def try_again(self, now: float) -> None:
        """Want to register what was refused here and has waited for long enough."""
        for key in self._suspects.due(now):
            self._suspects.wake((key,))
            entry = self._entries.get(key)
            if entry is not None and entry.state is REFUSED:
                entry.state, entry.reason = WANTED, ""
                self._to_register[key] = None

    def next_try(self) -> float | None:
        """When to call `try_again`; None: never."""
        return self._suspects.next_timeout()

    def split(self) -> bool:
        """The message in flight was refused: send its two halves instead. False: it names one thing only.

        What is wrong with one item, or one type, is found in few messages, and the others are registered.
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
        """The message in flight was refused. It is not sent again over this connection."""
        message = self._answered()
        self._suspects.clear(keys_of((message,)))
        for key in keys_of((message,)):
            entry = self._entries[key]
            if isinstance(message, Remove):
                self._removed(key, entry)
            elif entry.consumers:
                entry.state, entry.reason = REFUSED, reason
                self._unwatch(key)
            else:
                del self._entries[key]

    def lost(self) -> None:
        """The connection is gone, and all registrations with it: everything wanted is to be sent again."""
        self._in_flight = None
        self._was_answered = False
        self._parts.clear()
        self._to_remove.clear()
        self._watched.clear()
        self._check_at = None
        self._entries = {key: entry for key, entry in self._entries.items() if entry.consumers}
        self._to_register = {key: None for key in self._entries if not self._suspects.rests(key)}
        for key, entry in self._entries.items():
            entry.due, entry.has_row = None, False
            if key in self._to_register:
                entry.state, entry.reason = WANTED, ""
            else:
                entry.state, entry.reason = REFUSED, UNACKNOWLEDGED

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted, and nothing left to remove."""
        return not self._entries

    @property
    def is_settled(self) -> bool:
        """Whether the server knows all that it is to know."""
        return self._in_flight is None and not (self._parts or self._to_register or self._to_remove)

    def is_answered(self, key: Key) -> bool:
        """Whether the server has said yes or no to a registration that is wanted."""
        entry = self._entries.get(key)
        return entry is None or entry.state in (CONFIRMED, RECEIVING, REFUSED)

    def is_gone(self, key: Key) -> bool:
        """Whether the server knows a (group, type, item) no longer, or somebody else still wants it."""
        entry = self._entries.get(key)
        return entry is None or entry.consumers > 0

    def refusal(self, key: Key) -> str:
        """Why the server refused this; "" where it did not."""
        entry = self._entries.get(key)
        return entry.reason if entry is not None else ""

    # What comes of it.

    @property
    def is_watching(self) -> bool:
        """Whether `see` has anything to look for."""
        return bool(self._watched)

    def see(self, rows: Iterable[Record], now: float) -> None:
        """Note that rows have come."""
        watched_of = self._watched.get
        for row in rows:
            watched = watched_of(row.type_code)
            if watched is not None and (row.item in watched or "" in watched):
                self._note(row, watched, now)

    def _note(self, row: Record, watched: dict[str, list[Key]], now: float) -> None:
        keys = watched.get(row.item, ())
        for key in (*keys, *watched.get("", ())) if row.item else tuple(keys):
            entry = self._entries[key]
            entry.has_row = True
            if entry.state is CONFIRMED:
                entry.state = RECEIVING
            if entry.fresh_within is None:
                self._unwatch(key)
            else:
                entry.due = now + entry.fresh_within
                self._check_at = min(entry.due, self._check_at or entry.due)

    def watch(self, now: float) -> None:
        """From now on, what is confirmed has to stay fresh. Call it after every change."""
        self._check_at = None
        for entry in self._entries.values():
            if entry.fresh_within is None or entry.state not in (CONFIRMED, RECEIVING):
                continue
            if entry.due is None:
                entry.due = now + entry.fresh_within
            if entry.due != NEVER:
                self._check_at = min(entry.due, self._check_at or entry.due)

    def next_timeout(self) -> float | None:
        """When to ask `take_stale`; None: never. Rows that came meanwhile may have made it too early."""
        return self._check_at

    def take_stale(self, now: float) -> list[tuple[Key, float]]:
        """Those that have become stale, with their limit, once each until the next row."""
        if self._check_at is None or now < self._check_at:
            return []
        stale = []
        for key, entry in self._entries.items():
            if entry.due is not None and entry.due <= now and entry.fresh_within is not None:
                stale.append((key, entry.fresh_within))
                entry.due = NEVER
        dues = [entry.due for entry in self._entries.values() if entry.due not in (None, NEVER)]
        self._check_at = min(dues, default=None)
        return stale

    def snapshot(self) -> tuple[Subscription, ...]:
        """Where each one stands, in the order asked for."""
        return tuple(
            Subscription(
                type,
                item,
                entry.state if entry.consumers else LEAVING,
                group,
                entry.consumers,
                entry.reason,
                entry.fresh_within,
            )
            for (group, type, item), entry in self._entries.items()
        )

    # Inside.

    def _answered(self) -> Reg | Remove:
        """The message in flight, which is no longer."""
        message, self._in_flight = self._in_flight, None
        self._was_answered = True
        assert message is not None
        return message

    def _check_groups(self, limit: int, keys: tuple[Key, ...], leaving: set[Key]) -> None:
        """Raise QuotaExceeded where one group would have too many."""
        for group in dict.fromkeys(group for group, _, _ in keys):
            used = {
                key[2]
                for key, entry in self._entries.items()
                if key[0] == group and key[2] and entry.consumers and key not in leaving
            }
            new = {item for other, _, item in keys if other == group and item} - used
            if len(used) + len(new) > limit:
                raise QuotaExceeded(limit, len(used), len(new), _named_by(GROUP_QUOTA), group)

    def _count(self, key: Key, by: int) -> None:
        item = key[2]
        if not item:
            return
        count = self._items.get(item, 0) + by
        if count:
            self._items[item] = count
        else:
            del self._items[item]

    def _confirm(self, key: Key, entry: _Entry) -> None:
        entry.state = RECEIVING if entry.has_row else CONFIRMED
        if not entry.has_row or entry.fresh_within is not None:
            self._watch(key)

    def _removed(self, key: Key, entry: _Entry) -> None:
        if entry.consumers:  # wanted again meanwhile
            entry.state, entry.has_row = WANTED, False
            self._to_register[key] = None
        else:
            del self._entries[key]

    def _still_wanted(self, keys: tuple[Key, ...]) -> list[Key]:
        """Those of a refused message that somebody still wants; the server does not know of any."""
        wanted = [key for key in keys if self._entries[key].consumers]
        for key in set(keys).difference(wanted):
            del self._entries[key]
        return wanted

    def _choose(self, pending: Iterable[Key]) -> list[Key]:
        """What of this goes into one message."""
        suspects = self._suspects
        # Stable, so else in the order asked for. Suspects go last, and not many together.
        keys = sorted(pending, key=lambda key: (suspects.times(key), key[1] not in URGENT_TYPES))
        most = suspects.most(keys[0])
        keys = [key for key in keys if key[0] == keys[0][0] and suspects.most(key) == most][:most]
        items = list(dict.fromkeys(item for _, _, item in keys if item))
        chosen = {"", *items[: self._items_per_request]}
        keys = [key for key in keys if key[2] in chosen]
        while len(keys) > 1 and is_too_large(Reg(keys[0][0], "1", _elements(keys))):
            keys = keys[: len(keys) // 2]
        return keys

    def _watch(self, key: Key) -> None:
        keys = self._watched.setdefault(key[1], {}).setdefault(_pushed_item(key), [])
        if key not in keys:
            keys.append(key)

    def _unwatch(self, key: Key) -> None:
        items = self._watched.get(key[1], {})
        keys = items.get(_pushed_item(key), [])
        if key in keys:
            keys.remove(key)
            if not keys:
                del items[_pushed_item(key)]
            if not items:
                del self._watched[key[1]]


def _named_by(code: str) -> str:
    return f"named by the server in its refusal {code}"


def _pushed_item(key: Key) -> str:
    """Under which name the rows of a registration come: "NVDA" for "NVDA:ND"; "" for any."""
    _, type, item = key
    if type in URGENT_TYPES:
        return ""  # those of the account come whatever item was registered [official pages]
    item = item.partition(":")[0]
    return PUSHED_AS.get(item, item)


def _elements(keys: list[Key]) -> tuple[Element, ...]:
    """The same as a list of elements, as few as there are different sets of types."""
    types_of: dict[str, list[str]] = {}
    for _, type, item in keys:
        types_of.setdefault(item, []).append(type)
    items_of: dict[tuple[str, ...], list[str]] = {}
    for item, types in types_of.items():
        items_of.setdefault(tuple(sorted(types)), []).append(item)
    return tuple(Element(tuple(items), types) for types, items in items_of.items())

"""Freshness: what the arrival of rows, or their absence, says about a subscription.

* The first row proves that the server knows the item; its acknowledgement does not. A row may arrive before the
  acknowledgement [measured]: it is remembered.
* With `fresh_within`, a row must come within so many seconds of the acknowledgement and of each row. If none does, the
  subscription is stale. That is reported once, until the next row; nothing is closed.

This is on the way of every row, so what no row can change is not watched: a subscription without `fresh_within` only
until its first row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from ..realtime.record import Record
from ..request import Key
from .lifecycle import SubscriptionState

__all__ = ("Entry", "Freshness", "row_item")

PUSHED_AS = {"MGD": "MGU"}
"""Items whose rows have another name: 0I registers MGD and pushes MGU [measured]."""
NEVER = float("inf")
CONFIRMED, RECEIVING = SubscriptionState.CONFIRMED, SubscriptionState.RECEIVING


@attrs.define(eq=False)
class Entry:
    """What is known of one subscription.

    Attributes:
        consumers: number of calls that want it.
        period: another number each time that it gets its first consumer.
        state: how far it has come.
        reason: why it was refused; "" if it was not.
        fresh_within: seconds after which silence is reported; None: never.
        stale_at: when it will be stale; None: not before it is armed; infinite: it is, until the next row.
        has_row: whether a row has arrived on this connection.
    """

    consumers: int = 0
    period: int = 0
    state: SubscriptionState = SubscriptionState.WANTED
    reason: str = ""
    fresh_within: float | None = None
    stale_at: float | None = None
    has_row: bool = False


class Freshness:
    """Watches the rows of one session's subscriptions. Times are seconds on the session's clock.

    Args:
        account_types: the codes of the types whose rows are about the account.
    """

    def __init__(self, account_types: Collection[str]) -> None:
        self._account_types = account_types
        self._watched: dict[str, dict[str, dict[Key, Entry]]] = {}  # type -> item of its rows -> what a row changes
        self._check_at: float | None = None  # nothing is stale before

    @property
    def is_watching(self) -> bool:
        """Whether a row can change anything. If not, `note_rows` need not be called."""
        return bool(self._watched)

    def watch(self, key: Key, entry: Entry) -> None:
        """Watch the rows of a subscription."""
        self._watched.setdefault(key[1], {}).setdefault(self._pushed_item(key), {})[key] = entry

    def unwatch(self, key: Key) -> None:
        """No longer watch the rows of a subscription."""
        items = self._watched.get(key[1], {})
        entries = items.get(self._pushed_item(key), {})
        if entries.pop(key, None) is None:
            return
        if not entries:
            del items[self._pushed_item(key)]
        if not items:
            del self._watched[key[1]]

    def connection_lost(self) -> None:
        """Watch nothing any more: all registrations are gone."""
        self._watched.clear()
        self._check_at = None

    def note_rows(self, rows: Iterable[Record], now: float) -> None:
        """Note that rows have arrived."""
        watched_of = self._watched.get
        for row in rows:
            watched = watched_of(row.type_code)
            if watched is not None and (row.item in watched or "" in watched):
                self._note_row(row, watched, now)

    def _note_row(self, row: Record, watched: dict[str, dict[Key, Entry]], now: float) -> None:
        entries = list(watched.get(row.item, {}).items())
        if row.item:
            entries += watched.get("", {}).items()
        for key, entry in entries:
            entry.has_row = True
            if entry.state is CONFIRMED:
                entry.state = RECEIVING
            if entry.fresh_within is None:
                self.unwatch(key)
            else:
                entry.stale_at = now + entry.fresh_within
                self._check_at = min(entry.stale_at, self._check_at or entry.stale_at)

    def arm(self, entries: Iterable[Entry], now: float) -> None:
        """Start the time of those that are confirmed by now and not armed yet."""
        self._check_at = None
        for entry in entries:
            if entry.fresh_within is None or entry.state not in (CONFIRMED, RECEIVING):
                continue
            if entry.stale_at is None:
                entry.stale_at = now + entry.fresh_within
            if entry.stale_at != NEVER:
                self._check_at = min(entry.stale_at, self._check_at or entry.stale_at)

    def next_timeout(self) -> float | None:
        """Return when to call `pop_stale`; None: never. Rows since then may have made it too early."""
        return self._check_at

    def pop_stale(self, entries: Mapping[Key, Entry], now: float) -> list[tuple[Key, float]]:
        """Return what has become stale, with its `fresh_within`, once each until the next row."""
        if self._check_at is None or now < self._check_at:
            return []
        stale = []
        for key, entry in entries.items():
            if entry.stale_at is not None and entry.stale_at <= now and entry.fresh_within is not None:
                stale.append((key, entry.fresh_within))
                entry.stale_at = NEVER
        times = [entry.stale_at for entry in entries.values() if entry.stale_at not in (None, NEVER)]
        self._check_at = min(times, default=None)
        return stale

    def _pushed_item(self, key: Key) -> str:
        """Return the item of the rows that a registration brings: "NVDA" for "NVDA:ND"; "" for any."""
        _, type, item = key
        if type in self._account_types:
            return ""  # rows of the account come whatever item was registered [official pages]
        return row_item(item)


def row_item(item: str) -> str:
    """Return the item that the rows of a registered item name: "NVDA" for "NVDA:ND"."""
    item = item.partition(":")[0]
    return PUSHED_AS.get(item, item)

"""Freshness: what the arrival of rows, or their absence, says about a subscription.

* The first row proves that the server knows the item; its acknowledgement does not. A row may arrive before the
  acknowledgement [measured]: it is remembered.
* With `fresh_within`, a row must come within so many seconds of the acknowledgement and of each row. If none does, the
  subscription is stale. That is reported once, until the next row or until the market opens again; nothing is closed.
* While the market is closed (market_clock.py), nothing is stale. When it opens, the time starts again, with
  `OPENING_GRACE` on top: in the first seconds rows may be late.
* Rows of 0s are passed on to the market clock.

This is on the way of every row, so what no row can change is not watched: a subscription without `fresh_within` only
until its first row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from ..realtime.catalogue import type_code_of
from ..realtime.market import MarketPhase
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..request import Key
from .lifecycle import SubscriptionState
from .market_clock import MarketClock

__all__ = ("Entry", "Freshness")

PHASES: str = type_code_of(MarketPhase)
NEVER = float("inf")
OPENING_GRACE = 10.0
"""Seconds after the opening of a market before the time of `fresh_within` starts."""
TOLERANCE = 0.001
"""Seconds by which a time may be wrong that was converted from one clock to another."""
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
        stale_at: when it may be stale; None: not before it is armed; infinite: it is, until the next row.
        reported_in: since when rows had been expected (nanoseconds since the epoch) when it was last reported as stale;
            None: it has not been since the last row.
        is_stale: whether it has been reported as stale, and no row has come since.
        has_row: whether a row has arrived on this connection.
        is_news: whether it has been confirmed since that was last looked at.
    """

    consumers: int = 0
    period: int = 0
    state: SubscriptionState = SubscriptionState.WANTED
    reason: str = ""
    fresh_within: float | None = None
    stale_at: float | None = None
    reported_in: int | None = None
    is_stale: bool = False
    has_row: bool = False
    is_news: bool = False


class Freshness:
    """Watches the rows of one session's subscriptions. Times are seconds on the session's clock.

    Args:
        account_types: the codes of the types whose rows are about the account.
        types: the record classes by type code, which say when their rows are expected.
        market: tells when markets are open; None: silence counts at any time.
    """

    def __init__(
        self, account_types: Collection[str], types: Mapping[str, type[Record]], market: MarketClock | None
    ) -> None:
        self._account_types = account_types
        self._types = types
        self._market = market
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
        if key[1] == PHASES and self._market is not None:
            self._market.interrupt()
        if not entries:
            del items[self._pushed_item(key)]
        if not items:
            del self._watched[key[1]]

    def connection_lost(self) -> None:
        """Watch nothing any more: all registrations are gone."""
        self._watched.clear()
        self._check_at = None
        if self._market is not None:
            self._market.interrupt()

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
        if isinstance(row, MarketPhase):
            self._note_phase(row, now)
        for key, entry in entries:
            entry.has_row, entry.is_stale, entry.reported_in = True, False, None
            if entry.state is CONFIRMED:
                entry.state = RECEIVING
            if entry.fresh_within is None:
                if key[1] != PHASES or self._market is None:
                    self.unwatch(key)
            else:
                entry.stale_at = now + entry.fresh_within
                self._check_at = min(entry.stale_at, self._check_at or entry.stale_at)

    def _note_phase(self, row: MarketPhase, now: float) -> None:
        """Pass on what a market does. Whatever waits for one to open is looked at again."""
        if self._market is None or not self._market.note_phase(row, self._market.time_at(now)):
            return
        for entries in self._watched.values():
            for watched in entries.values():
                for entry in watched.values():
                    if entry.stale_at is not None and entry.fresh_within is not None:
                        entry.stale_at = min(entry.stale_at, now + entry.fresh_within)
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
            if entry.stale_at is None or entry.stale_at > now or entry.fresh_within is None:
                continue
            if self._is_stale(key, entry, entry.fresh_within, now):
                entry.is_stale = True
                stale.append((key, entry.fresh_within))
        times = [entry.stale_at for entry in entries.values() if entry.stale_at not in (None, NEVER)]
        self._check_at = min(times, default=None)
        return stale

    def note_stale(self, type: str, item: str) -> None:
        """Note that a subscription was reported as stale when a recording was made."""
        for entry in self._watched.get(type, {}).get(self._pushed_item(("", type, item)), {}).values():
            entry.is_stale = True

    def _is_stale(self, key: Key, entry: Entry, fresh_within: float, now: float) -> bool:
        """Return whether a silent subscription is stale, and set when to look again."""
        market = self._market
        time = 0 if market is None else market.time_at(now)
        window = None if market is None else market.window(self._types.get(key[1]), key[2], time)
        if window is None:
            entry.stale_at = NEVER
            return True
        is_stale = False
        if window.since is not None and window.since != entry.reported_in:
            due = now + (window.since - time) / 1e9 + OPENING_GRACE + fresh_within
            if due > now + TOLERANCE:
                entry.stale_at = due
                return False
            is_stale, entry.reported_in = True, window.since
        opens_in = NEVER if window.opens_at is None else (window.opens_at - time) / 1e9
        entry.stale_at = now + opens_in + OPENING_GRACE + fresh_within
        return is_stale

    def _pushed_item(self, key: Key) -> str:
        """Return the item of the rows that a registration brings: "NVDA" for "NVDA:ND"; "" for any."""
        _, type, item = key
        if type in self._account_types:
            return ""  # rows of the account come whatever item was registered [official pages]
        return row_item(item)

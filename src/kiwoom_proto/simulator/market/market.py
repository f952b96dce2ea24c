"""The simulated market: it makes plausible rows, the same ones for the same seed.

Time is the exchange's time: seconds since it was opened. The market also has a time of day (KST), which starts at a
given time and advances with it. Every type has sessions (`sessions`) and has rows only during them. When no wanted type
has a session, the market skips ahead to the next moment at which one has, so nobody has to wait for the morning to see
rows. With 0E and 0D wanted at 16:00, 0E has rows until 18:00. Then the market skips to 08:30 of the next day for 0E's
first session, at 08:40 to 09:00 for 0D, at 15:30 to 15:40 for 0E, and so on. While nothing is wanted, time runs without
skipping. No row has a time outside the sessions of its type.

The events of a stock do not depend on which of its types are wanted, by whom, or in which order. About half of them are
trades (0B, FE). Every event makes a row of 0D or FT, and some make rows of the stock's other types. A stock that nobody
wants does not change. Items that the market does not list (`names.is_listed`) have no rows.
"""

from __future__ import annotations

import datetime
import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from ...realtime.catalogue import ACCOUNT_TYPES, REALTIME, codes_of_scope
from ...realtime.traits import Scope
from ...wire.messages import Row
from .account import Order, Task
from .history import History
from .indices import Gold, Sector
from .instrument import Instrument
from .names import KNOWN, US, is_listed
from .orders import Accounts
from .phases import OTHER_CODES, Interruptions, Phases
from .quotes import AfterHoursBook
from .sessions import DAY, SESSIONS, Moment, closing, next_opening, open_types, seconds_of
from .source import Push, Source, SourceError
from .stock import Stock
from .trading import TRADING_TYPES, DomesticTrading, Trading, UsTrading

__all__ = ("TYPES_WITH_ROWS", "Market", "has_rows")

TYPES_WITH_ROWS = ACCOUNT_TYPES | SESSIONS.keys() | {"1h"}
"""Types that have rows."""
_WITHOUT_ITEM = codes_of_scope(REALTIME, Scope.ACCOUNT, Scope.MARKET)
_VENUES = MappingProxyType({"_NX": "NXT", "_AL": "SOR"})
GAP = 1e-6
"""Seconds between two calls of `rows`, above which the sources start again."""

MAX_SOURCES = 4_000
"""Maximum sources with rows at once. Each takes about 40 kB."""
MAX_HISTORIES = 16
"""Number of histories that are kept. Each takes about 400 kB."""
MAX_KEPT = 500
"""Maximum pairs whose sources are kept going for the sake of REST."""
MAX_IDLE = 1_000
"""Maximum sources kept that are no longer wanted. A source that was dropped starts again."""


def _kind(type: str) -> str:
    """Return the key shared by all types that one source makes."""
    return "stock" if type in TRADING_TYPES else "sector" if type in ("0J", "0U") else type


def has_rows(type: str, item: str) -> bool:
    """Return whether a registration of this pair gets rows at some time of the day."""
    if type == "1h":
        return True
    if item == "":
        return type in _WITHOUT_ITEM
    return type in SESSIONS and type != "0s" and is_listed(type, item)


class Market:
    """Makes rows for the wanted (type, item) pairs.

    Args:
        seed: the same seed gives the same rows.
        start: time of day (KST) at which the market starts.
        rate: average number of events per second for each item.

    Attributes:
        accounts: the accounts and their orders.
        interruptions: the volatility interruptions.

    Raises:
        ValueError: rate is not above 0.
    """

    def __init__(self, *, seed: int = 0, start: datetime.time = datetime.time(16, 0), rate: float = 2.0) -> None:
        if rate <= 0:
            raise ValueError(f"rate: must be above 0, not {rate!r}")
        self._seed = seed
        self._rate = rate
        self._shift = float(seconds_of(start))  # market time minus exchange time, in seconds
        self._reached = 0.0
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._stocks: dict[str, Stock] = {}
        self._sources: dict[tuple[str, str], Source] = {}
        self.accounts = Accounts(seed)
        self.interruptions = Interruptions(self.stock, self._is_watched, self._draw("interruptions"), rate)
        self._sources["1h", ""] = self.interruptions
        self._lasting: set[tuple[str, str]] = {("1h", "")}  # keys of the sources that are never dropped
        # The wanted pairs, grouped by source; the sources that are awake; and a heap of their next events.
        self._wanted: Mapping[tuple[str, str], None] = {}
        self._groups: dict[Source, frozenset[str]] = {}
        self._types: frozenset[str] = frozenset()
        self._open: frozenset[str] | None = None
        self._awake: dict[Source, None] = {}
        self._breadth = MAX_SOURCES  # maximum sources awake; reduced when there is no time for more
        self._heap: list[tuple[float, int, Source]] = []
        self._brought_forward = 0
        self._driving: frozenset[str] = frozenset()  # the types of the pairs wanted by somebody who gets rows
        self._asked: Mapping[tuple[str, str], None] = {}
        self._kept: dict[tuple[str, str], float] = {}
        self._waiting: list[Push] = []
        self._histories: dict[str, History] = {}
        self._moment = Moment(seconds_of(start))

    def add(self, pair: tuple[str, str], source: Source) -> None:
        """Add a source that makes the rows of a pair. It is never dropped."""
        self._sources[pair] = source
        self._lasting.add(pair)

    def rows(self, since: float, now: float, wanted: Iterable[tuple[str, str]]) -> list[Row]:
        """Return the rows of the wanted (type, item) pairs from `since` until `now`, oldest first.

        The times of successive calls must not go back. Rows of accounts are left out.

        Raises:
            SourceError: rows could not be made. The market stays usable.
        """
        return [push.row for push in self.pushes(since, now, dict.fromkeys(wanted)) if push.account is None]

    def pushes(
        self,
        since: float,
        now: float,
        wanted: Mapping[tuple[str, str], None],
        stopwatch: Callable[[], Callable[[], bool]] = lambda: lambda: False,
    ) -> list[Push]:
        """Return the same as `rows`, including rows of accounts, each with its recipient.

        Args:
            since: as for `rows`.
            now: as for `rows`.
            wanted: as for `rows`.
            stopwatch: called at the start of each piece of work; returns a function that tells whether the work has
                taken too long. If so, the work stops: nothing more happens until `now`, and the pairs wanted last wait
                until there is time for them.

        Raises:
            SourceError: rows could not be made. The market stays usable.
        """
        at = since if since - self._reached > GAP else self._reached
        if at > self._reached:
            self._sleep()
        if self._kept:
            self._kept = {pair: until for pair, until in self._kept.items() if until > at}
        self._group(wanted, stopwatch())
        is_late = stopwatch()
        if self._breadth < MAX_SOURCES:
            self._breadth += 1 + self._breadth // 8
            self._open = None
        pushes, self._waiting = self._waiting, []
        stamp = at + self._shift
        while at < now:
            opened = open_types(stamp % DAY)
            types = opened & self._types
            if not opened & self._driving:
                opening = next_opening(self._driving, stamp)
                if opening is not None:
                    self._sleep()
                    self._shift, stamp = opening - at, float(opening)
                    continue
                if not types:
                    break
            ends = closing(stamp)
            end, stamp = (now, stamp + (now - at)) if ends - stamp >= now - at else (at + (ends - stamp), float(ends))
            self._run(at, end, types, ends - 1, pushes, is_late)
            at = end
        self._reached = max(now, self._reached)
        return pushes

    def moment(self, at: float) -> Moment:
        """Return the market's time at a time of the exchange."""
        stamp = int(at + self._shift)
        return Moment(stamp, stamp - self._shift)

    def stock(self, item: str) -> Stock:
        """Return the stock of an item. It is made on first use."""
        found = self._stocks.get(item)
        if found is None:
            found = self._stocks[item] = self._make_stock(item)
        return found

    # What REST asks.

    @property
    def has_kept(self) -> bool:
        """Whether a source is kept going for the sake of REST."""
        return bool(self._kept)

    def keep(self, pair: tuple[str, str], until: float) -> None:
        """Keep the source of a pair going, as if it were wanted, but let the market skip its sessions."""
        self._kept.pop(pair, None)
        self._kept[pair] = until
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def source(self, type: str, item: str) -> Source:
        """Return the source of a pair that has rows. It is made on first use."""
        found = self._find_source(type, item) or self._add_source(type, item)
        assert found is not None
        if len(self._sources) > MAX_SOURCES + MAX_IDLE:
            self._forget_idle((type, item))
        return found

    def trading(self, item: str, moment: Moment) -> Trading:
        """Return the trading of a stock that is listed, on this moment's day."""
        source = self.source("FT" if ":" in item or item in US else "0D", item)
        assert isinstance(source, Trading)
        source.prepare(moment)
        return source

    def history(self, stock: Stock) -> History:
        """Return the history of a stock."""
        found = self._histories.get(stock.item)
        if found is None or found.stock is not stock:
            found = self._histories[stock.item] = History(f"{self._seed}/{stock.item}/history", stock)
            if len(self._histories) > MAX_HISTORIES:
                del self._histories[next(iter(self._histories))]
        return found

    def listed(self) -> list[Instrument]:
        """Return the domestic instruments that a list has: the well-known ones, and those that are interrupted."""
        codes = dict.fromkeys((*KNOWN, *OTHER_CODES))
        return [self.instrument(code) for code in codes]

    def instrument(self, code: str) -> Instrument:
        """Return a domestic instrument. It is not kept if no stock of it is."""
        return self._instruments.get((code, "")) or Instrument(code, "", self._seed)

    def take_orders(self, item: str, moment: Moment) -> None:
        """Accept or refuse the new orders of a stock at once. The rows that report it are the first of `pushes`."""
        self._waiting += self.accounts.take(self.trading(item, moment).stock, moment)

    def withdraw(self, original: Order, quantity: int, task: Task, price: int, moment: Moment) -> Order:
        """Cancel or amend an open order at once. Returns the order that does it. The rows come as for `take_orders`."""
        stock = self.trading(original.item, moment).stock
        order, pushes = self.accounts.withdraw(original, quantity, task, price, stock, moment)
        self._waiting += pushes
        return order

    def drop_waiting(self) -> None:
        """Drop the rows of orders that nobody waits for."""
        self._waiting.clear()

    # Internals.

    def _draw(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}/{name}")

    def _make_stock(self, item: str) -> Stock:
        code, colon, market = item.partition(":")
        if colon or code in US:
            venue = market = market or US[code].market
        else:
            venue = _VENUES.get(item[-3:], "KRX")
            code = code if venue == "KRX" else item[:-3]
        instrument = self._instruments.get((code, market))
        if instrument is None:
            instrument = self._instruments[code, market] = Instrument(code, market, self._seed)
        return Stock(item, instrument, venue, self._draw(f"{item}/stock"))

    def _is_watched(self, code: str) -> bool:
        return any(("stock", code + suffix) in self._sources for suffix in ("", *_VENUES))

    def _find_source(self, type: str, item: str) -> Source | None:
        """Return the source of a pair, or None if it has not been made."""
        return self._sources.get((type, item)) or self._sources.get(("1h", "") if type == "1h" else (_kind(type), item))

    def _add_source(self, type: str, item: str) -> Source | None:
        try:
            source = self._make_source(type, item)
        except Exception as error:
            raise SourceError([(type, item)]) from error
        if source is not None:
            self._sources[_kind(type), item] = source
        return source

    def _make_source(self, type: str, item: str) -> Source | None:
        draw, rate = self._draw(f"{item}/{type}"), self._rate
        if type in TRADING_TYPES:
            stock, draw = self.stock(item), self._draw(f"{item}/trading")
            if stock.instrument.kind == "us":
                return UsTrading(stock, self.accounts, draw, rate)
            return DomesticTrading(stock, self.accounts, self.interruptions, draw, rate)
        if type in ("0J", "0U"):
            return Sector(item, self._draw(f"{item}/sector"), rate)
        match type:
            case "0E":
                return AfterHoursBook(item, draw, rate)
            case "0I":
                return Gold(item, draw, rate)
            case "0s":
                return Phases(draw, rate)
        return None

    def _group(self, wanted: Mapping[tuple[str, str], None], is_late: Callable[[], bool]) -> None:
        """Group the wanted pairs by source. Once `is_late()`, sources not yet made are left for the next call."""
        if self.accounts.open:
            wanted = {**wanted, **dict.fromkeys(self.accounts.pairs())}
        asked = wanted
        if self._kept:
            wanted = {**wanted, **dict.fromkeys(self._kept)}
        is_same = self._asked is self._wanted if asked is wanted else asked == self._asked
        if is_same and wanted == self._wanted:
            return
        self._wanted, self._groups, self._types, self._driving = {}, {}, frozenset(), frozenset()
        groups: dict[Source, set[str]] = {}
        types, driving = set(), set()
        late = left_out = False
        for pair in wanted:
            type, item = pair
            if item or type not in ACCOUNT_TYPES:
                source = self._find_source(type, item)
                if source is None and len(groups) < MAX_SOURCES:
                    if late:
                        left_out = True
                    elif has_rows(type, item):
                        source = self._add_source(type, item)
                        late = is_late()
                if source is not None and (source in groups or len(groups) < MAX_SOURCES):
                    groups.setdefault(source, set()).add(type)
                    types.add(type)
                    if pair in asked:
                        driving.add(type)
            else:
                types.add(type)
                driving.add(type)
        self._wanted = {} if left_out else dict(wanted)
        self._asked = self._wanted if asked is wanted else dict(asked)
        self._groups = {source: frozenset(found) for source, found in groups.items()}
        self._types, self._driving = frozenset(types), frozenset(driving)
        self.interruptions.items = frozenset(item for type, item in wanted if type == "1h")
        self._open = None
        self._forget_idle()

    def _forget_idle(self, asked: tuple[str, str] = ("", "")) -> None:
        """Drop the oldest sources that are no longer wanted, if there are more than MAX_IDLE; keep half as many."""
        idle = [key for key, source in self._sources.items() if source not in self._groups and key not in self._lasting]
        idle = [(kind, item) for kind, item in idle if item != asked[1]]
        if len(idle) <= MAX_IDLE:
            return
        for kind, item in idle[: len(idle) - MAX_IDLE // 2]:
            source = self._sources.pop((kind, item))
            self._awake.pop(source, None)
            if kind == "stock":
                self._stocks.pop(item, None)
        used = {stock.instrument for stock in self._stocks.values()}
        self._instruments = {key: one for key, one in self._instruments.items() if one in used}

    def _sleep(self) -> None:
        for source in self._awake:
            source.want(frozenset())
        self._awake = {}
        self._open = None

    def _wake(self, at: float, types: frozenset[str]) -> None:
        """Wake the sources that have a wanted type with a session now, and put the others to sleep."""
        if types == self._open:
            return
        self._open = types
        awake: dict[Source, None] = {}
        for source, wanted in self._groups.items():
            now_wanted = wanted & types
            if now_wanted and len(awake) < self._breadth:
                awake[source] = None
                source.want(now_wanted)
                if source not in self._awake:
                    source.wake(at, self._moment)
        for source in self._awake:
            if source not in awake:
                source.want(frozenset())
        self._awake = awake
        self._heap = [(source.next_at, number, source) for number, source in enumerate(awake)]
        heapq.heapify(self._heap)

    def _run(
        self,
        at: float,
        end: float,
        types: frozenset[str],
        last: int,
        pushes: list[Push],
        is_late: Callable[[], bool],
    ) -> None:
        """Run the events from `at` until `end`. No event is later than the second `last`."""
        shift = self._shift
        if self._moment.stamp != (stamp := min(int(at + shift), last)) or self._moment.begins_at != stamp - shift:
            self._moment = Moment(stamp, stamp - shift)
        self._wake(at, types)
        heap, moment, interruptions = self._heap, self._moment, self.interruptions
        release_at = interruptions.next_at
        while heap and heap[0][0] < end:
            if is_late():
                share = max(0.0, (heap[0][0] - at) / (end - at))
                self._breadth = 1 + int(min(self._breadth, len(self._awake)) * min(share, 0.9))
                self._sleep()  # otherwise the backlog would keep growing
                return
            due, number, source = heap[0]
            if due != source.next_at:  # stale: the event was brought forward and has another entry
                heapq.heappop(heap)
                continue
            stamp = min(int(due + shift), last)
            if stamp != moment.stamp:
                moment = self._moment = Moment(stamp, stamp - shift)
            try:
                pushes += source.step(moment)
            except Exception as error:
                raise SourceError(pair for pair in self._wanted if self._find_source(*pair) is source) from error
            heapq.heapreplace(heap, (source.next_at, number, source))
            if interruptions.next_at != release_at:
                if source is not interruptions and interruptions in self._awake:
                    self._brought_forward += 1
                    heapq.heappush(heap, (interruptions.next_at, -self._brought_forward, interruptions))
                release_at = interruptions.next_at

"""What the simulated market does: rows that could have come from the real one, the same ones for the same seed.

Time is the exchange's: seconds since it was opened. The market has a time of day of its own (KST), which begins where
it is told to and runs on with it. Every type has sessions (`sessions`), and has rows only then. When nothing that is
wanted has a session, the market skips ahead to the next moment at which something has; so whoever wants to see rows
need not wait for the morning. With 0E and 0D wanted at 16:00, 0E has rows until 18:00, then it is 08:30 of the next day
for 0E's first session, at 08:40 it is 09:00 for 0D, at 15:30 it is 15:40 for 0E, and so on. While nothing at all is
wanted, time runs without skipping. No row ever tells of a time outside the sessions of its type.

What happens to a stock does not depend on which of its types are wanted, by whom, or in which order they asked. About
half of what happens to it is a trade (0B, FE); everything shows in 0D or FT; the other types of a stock tell of some of
it. A stock nobody looks at stands still.
Of what the market does not have (`names.is_listed`) there are no rows.
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
from .indices import Gold, Sector
from .instrument import Instrument
from .names import US, is_listed
from .orders import Accounts
from .phases import Interruptions, Phases
from .quotes import AfterHoursBook
from .sessions import DAY, SESSIONS, Moment, closing, next_opening, open_types, seconds_of
from .source import Push, Source, SourceError
from .stock import Stock
from .trading import TRADING_TYPES, DomesticTrading, UsTrading

__all__ = ("TYPES_WITH_ROWS", "Market", "has_rows")

TYPES_WITH_ROWS = ACCOUNT_TYPES | SESSIONS.keys() | {"1h"}
"""Types of which a registration can bring rows."""
_WITHOUT_ITEM = codes_of_scope(REALTIME, Scope.ACCOUNT, Scope.MARKET)
_VENUES = MappingProxyType({"_NX": "NXT", "_AL": "SOR"})
GAP = 1e-6
"""Seconds between two calls of `rows`, above which the sources begin anew."""

MAX_SOURCES = 4_000
"""How many items have rows at once. Each takes about 40 kB."""
MAX_IDLE = 1_000
"""How many items are remembered of which nothing is wanted any more. One that was forgotten begins anew."""


def _kind(type: str) -> str:
    """What is common to the types that one source has rows of."""
    return "stock" if type in TRADING_TYPES else "sector" if type in ("0J", "0U") else type


def has_rows(type: str, item: str) -> bool:
    """Whether a registration of this pair can bring rows, at some time of the day."""
    if type == "1h":
        return True
    if item == "":
        return type in _WITHOUT_ITEM
    return type in SESSIONS and type != "0s" and is_listed(type, item)


class Market:
    """Makes rows for what it is asked for.

    Args:
        seed: the same seed gives the same rows.
        start: time of day (KST) at which the market begins.
        rate: how many things happen a second to each item, on average.

    Attributes:
        accounts: the orders placed, and the accounts.
    """

    def __init__(self, *, seed: int = 0, start: datetime.time = datetime.time(16, 0), rate: float = 2.0) -> None:
        if rate <= 0:
            raise ValueError(f"rate: must be above 0, not {rate!r}")
        self._seed = seed
        self._rate = rate
        self._shift = float(seconds_of(start))  # what the time of the exchange is behind that of the market
        self._reached = 0.0
        self._instruments: dict[tuple[str, str], Instrument] = {}
        self._stocks: dict[str, Stock] = {}
        self._sources: dict[tuple[str, str], Source] = {}
        self.accounts = Accounts(seed)
        self._interruptions = Interruptions(self.stock, self._is_watched, self._draw("interruptions"), rate)
        self._sources["1h", ""] = self._interruptions
        self._lasting: set[tuple[str, str]] = {("1h", "")}  # of the sources, what is never forgotten
        # What is wanted, by source; of which those that are awake; and when they happen.
        self._wanted: Mapping[tuple[str, str], None] = {}
        self._groups: dict[Source, frozenset[str]] = {}
        self._types: frozenset[str] = frozenset()
        self._open: frozenset[str] | None = None
        self._awake: dict[Source, None] = {}
        self._breadth = MAX_SOURCES  # how many may be awake; fewer where there is no time for more
        self._heap: list[tuple[float, int, Source]] = []
        self._brought_forward = 0
        self._moment = Moment(seconds_of(start))

    def add(self, pair: tuple[str, str], source: Source) -> None:
        """Let a source of somebody else's make the rows of a pair."""
        self._sources[pair] = source
        self._lasting.add(pair)

    def rows(self, since: float, now: float, wanted: Iterable[tuple[str, str]]) -> list[Row]:
        """Return what happened from `since` until `now`, oldest first, for the (type, item) pairs wanted.

        Call it with times that go on. Rows of accounts are left out.

        Raises:
            SourceError: rows could not be made; after it, call again.
        """
        return [push.row for push in self.pushes(since, now, dict.fromkeys(wanted)) if push.account is None]

    def pushes(
        self,
        since: float,
        now: float,
        wanted: Mapping[tuple[str, str], None],
        stopwatch: Callable[[], Callable[[], bool]] = lambda: lambda: False,
    ) -> list[Push]:
        """As `rows`, and tell of each row whom it is for.

        Args:
            stopwatch: called at the beginning of a piece of work, returns what tells whether the work takes too long.
                Then it is left: nothing more happens until `now`, and what was wanted last has to wait until there is
                time for it.
        """
        at = since if since - self._reached > GAP else self._reached
        if at > self._reached:
            self._sleep()
        self._group(wanted, stopwatch())
        is_late = stopwatch()
        if self._breadth < MAX_SOURCES:
            self._breadth += 1 + self._breadth // 8
            self._open = None
        pushes: list[Push] = []
        stamp = at + self._shift
        while at < now:
            types = open_types(stamp % DAY) & self._types
            if not types:
                opening = next_opening(self._types, stamp)
                if opening is None:
                    break
                self._sleep()
                self._shift, stamp = opening - at, float(opening)
                continue
            ends = closing(stamp)
            end, stamp = (now, stamp + (now - at)) if ends - stamp >= now - at else (at + (ends - stamp), float(ends))
            self._run(at, end, types, ends - 1, pushes, is_late)
            at = end
        self._reached = max(now, self._reached)
        return pushes

    def moment(self, at: float) -> Moment:
        """The market's time of day at a time of the exchange."""
        stamp = int(at + self._shift)
        return Moment(stamp, stamp - self._shift)

    def stock(self, item: str) -> Stock:
        """The stock that an item names, made where it was never named before."""
        found = self._stocks.get(item)
        if found is None:
            found = self._stocks[item] = self._make_stock(item)
        return found

    # Inside.

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
        """The source of a pair that has rows, if there is one yet."""
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
            return DomesticTrading(stock, self.accounts, self._interruptions, draw, rate)
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
        """Find the sources of what is wanted. Once it `is_late`, further ones are left to be made the next time."""
        ordered = self.accounts.open
        if ordered:
            wanted = {**wanted, **dict.fromkeys(self.accounts.pairs())}
        if wanted == self._wanted:
            return
        self._wanted, self._groups, self._types = {}, {}, frozenset()
        groups: dict[Source, set[str]] = {}
        types = set()
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
            else:
                types.add(type)
        self._wanted = {} if left_out else dict(wanted)
        self._groups = {source: frozenset(found) for source, found in groups.items()}
        self._types = frozenset(types)
        self._interruptions.items = frozenset(item for type, item in wanted if type == "1h")
        self._open = None
        self._forget_idle()

    def _forget_idle(self) -> None:
        """Where too much is remembered of which nothing is wanted, forget the older half."""
        idle = [key for key, source in self._sources.items() if source not in self._groups and key not in self._lasting]
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
        """See to it that those are awake of which something is wanted that has a session now."""
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
        """Let happen what happens from `at` until `end`, which is not after the second `last`."""
        shift = self._shift
        if self._moment.stamp != (stamp := min(int(at + shift), last)) or self._moment.begins_at != stamp - shift:
            self._moment = Moment(stamp, stamp - shift)
        self._wake(at, types)
        heap, moment, interruptions = self._heap, self._moment, self._interruptions
        release_at = interruptions.next_at
        while heap and heap[0][0] < end:
            if is_late():
                share = max(0.0, (heap[0][0] - at) / (end - at))
                self._breadth = 1 + int(min(self._breadth, len(self._awake)) * min(share, 0.9))
                self._sleep()  # else there would be more and more to make up for
                return
            due, number, source = heap[0]
            if due != source.next_at:  # it was brought forward, and has another entry
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

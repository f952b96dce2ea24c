"""Rows of resting orders: the best prices (0C), the ten levels (0D), and after-hours orders (0E).

0D has the change of each level and each total since the previous row. Here it is always exact, level by level. For a
combined (SOR) book, 0D also has the quantities of each level at KRX and at NXT.

0E (주식시간외호가) has the quantities resting in after-hours trading. Every row has the totals and the change of each
since the previous row, and these always agree. Orders arrive, are cancelled and are filled. When a session ends, the
remaining orders are cleared.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from ...wire.messages import Row
from .book import DEPTH
from .formats import change_code, hundredths, percent, price, ratio, signed, unsigned_percent
from .sessions import AFTER_HOURS, Moment
from .source import Push, Source
from .stock import Stock

__all__ = ("AfterHoursBook", "Expected", "OrderBookRows", "best_quote")

TYPICAL_QUANTITY = 20_000
"""Typical total of 0E, in shares."""

SETTLED_AFTER = 600
"""Seconds from the start of a session until its totals reach the typical quantity."""


class Expected(NamedTuple):
    """The price and quantity at which an auction would trade if it ended now."""

    price: int
    quantity: int


def best_quote(stock: Stock) -> dict[str, str]:
    """Return the values of 0C."""
    reference = stock.instrument.reference
    book = stock.book
    return {"27": price(book.ask_prices[0], reference), "28": price(book.bid_prices[0], reference)}


_LEVELS = tuple(str(fid + level) for level in range(DEPTH) for fid in (41, 61, 81, 51, 71, 91))
_TOTALS = ("121", "122", "125", "126")
_EXPECTED = ("23", "24", "128", "129", "138", "139", "200", "201", "238", "291", "292", "293", "294", "295")
_MAKERS = tuple(str(fid + level) for level in range(DEPTH) for fid in (621, 631))
_VENUES = tuple(str(fid) for fid in range(6044, 6088))
_MIDDLE = tuple(str(fid) for fid in range(6100, 6116))


class OrderBookRows:
    """Makes the values of a stock's 0D rows, each with its changes since the previous row.

    It keeps one dict and copies it, because most of the 163 values do not change from row to row.
    """

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._values = {
            "21": "",
            **dict.fromkeys((*_LEVELS, *_TOTALS, *_EXPECTED, *_MAKERS), "0"),
            "13": "0",
            "299": "0.00",
            "215": "",
            "216": "",
            **dict.fromkeys((*_VENUES, *_MIDDLE), "0"),
        }
        self._sides = (_Side(41, 61, 81, "121", "122"), _Side(51, 71, 91, "125", "126"))
        self._expected: Expected | None = None
        self._set_expected(None)

    def next(self, moment: Moment, expected: Expected | None) -> dict[str, str]:
        """Return the values of the next row. `expected` is the expected trade of an auction, or None."""
        stock, values = self._stock, self._values
        book, reference = stock.book, stock.instrument.reference
        values["21"] = moment.text
        asks, bids = self._sides
        offered = asks.write(values, book.ask_prices, book.ask_quantities, reference)
        wanted = bids.write(values, book.bid_prices, book.bid_quantities, reference)
        values["128"], values["138"] = signed(wanted - offered), signed(offered - wanted)
        values["129"], values["139"] = unsigned_percent(wanted, offered), unsigned_percent(offered, wanted)
        values["13"] = str(stock.volume)
        values["299"] = hundredths(ratio(stock.volume - stock.previous_volume, stock.previous_volume))
        if expected != self._expected:
            self._set_expected(expected)
        if stock.venue == "SOR":
            self._split_by_venue()
        return values.copy()

    @property
    def last(self) -> dict[str, str]:
        """The values of the latest row; FID 21 is empty if there was none."""
        return self._values.copy()

    def _set_expected(self, expected: Expected | None) -> None:
        self._expected = expected
        values = self._values
        if expected is None:
            at, quantity, reference, sign = 0, 0, 0, "3"
        else:
            at, quantity = expected
            instrument = self._stock.instrument
            reference = instrument.reference
            sign = change_code(at, reference, instrument.upper, instrument.lower)
        values["23"] = values["291"] = price(at, reference)
        values["24"] = values["292"] = str(quantity)
        values["200"] = values["294"] = signed(at - reference)
        values["201"] = values["295"] = percent(at - reference, reference)
        values["238"] = values["293"] = sign

    def _split_by_venue(self) -> None:
        """Split each level between the venues: about seven tenths at KRX, the rest at NXT."""
        values, book = self._values, self._stock.book
        for side, quantities in ((0, book.ask_quantities), (1, book.bid_quantities)):
            at_krx = [quantity * 7 // 10 for quantity in quantities]
            for level, (quantity, there) in enumerate(zip(quantities, at_krx, strict=True)):
                values[str(6044 + 10 * side + level)] = str(there)
                values[str(6066 + 10 * side + level)] = str(quantity - there)
            values[str(6064 + side)] = str(sum(at_krx))
            values[str(6086 + side)] = str(sum(quantities) - sum(at_krx))


class _Side:
    """One side of the book as of the last row."""

    __slots__ = (
        "_changes",
        "_fids",
        "_prices",
        "_quantities",
        "_reference",
        "_total",
        "_total_change_fid",
        "_total_fid",
    )

    def __init__(self, prices: int, quantities: int, changes: int, total: str, total_change: str) -> None:
        self._fids = tuple(
            (str(prices + level), str(quantities + level), str(changes + level)) for level in range(DEPTH)
        )
        self._total_fid, self._total_change_fid = total, total_change
        self._prices = [-1] * DEPTH
        self._quantities: list[int] | None = None
        self._changes = [0] * DEPTH
        self._total = self._reference = 0

    def write(self, values: dict[str, str], prices: list[int], quantities: list[int], reference: int) -> int:
        """Update `values` with what changed. Returns the total quantity."""
        if prices != self._prices or reference != self._reference:
            for (fid, _, _), at in zip(self._fids, prices, strict=True):
                values[fid] = price(at, reference)
            self._prices, self._reference = prices.copy(), reference
        total = sum(quantities)
        before = self._quantities
        if before is None:  # the first row has no changes
            before, self._total = quantities, total
            for (_, fid, _), quantity in zip(self._fids, quantities, strict=True):
                values[fid] = str(quantity)
        if before != quantities or any(self._changes):
            self._write_changes(values, before, quantities)
        values[self._total_fid] = str(total)
        values[self._total_change_fid] = signed(total - self._total)
        self._quantities, self._total = quantities.copy(), total
        return total

    def _write_changes(self, values: dict[str, str], before: list[int], now: list[int]) -> None:
        changes = self._changes
        for level, (old, new) in enumerate(zip(before, now, strict=True)):
            if new != old:
                _, quantity_fid, change_fid = self._fids[level]
                values[quantity_fid] = str(new)
                values[change_fid] = f"{new - old:+d}"
                changes[level] = 1
            elif changes[level]:
                values[self._fids[level][2]] = "0"
                changes[level] = 0


class AfterHoursBook(Source):
    """The after-hours order book of one item, reduced to the totals that 0E reports."""

    def __init__(self, item: str, draw: random.Random, rate: float) -> None:
        super().__init__(draw, rate)
        self._item = item
        self._ask = self._bid = 0
        self._session: tuple[int, int] | None = None
        self._last: dict[str, str] | None = None

    def values(self, moment: Moment) -> dict[str, str]:
        """Return the values of 0E as they are now: those of the latest row of this session; "0" outside of sessions."""
        session = _session_at(moment)
        if session is not None:
            self._begin(session, moment)
        if session is None or session != self._session:
            return {"21": moment.text, "131": "0", "132": "0", "135": "0", "136": "0"}
        return self._last or self._values(moment.text, 0, 0)

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Add or remove an order. The first event of a session also clears the previous one. Returns the rows."""
        begin = max(begin for begin, _ in AFTER_HOURS if begin <= moment.second)
        session = moment.day, begin
        pushes = []
        self._begin(session, moment)
        if session != self._session and (self._ask or self._bid):
            pushes.append(self._move(moment, -self._ask, -self._bid))
        self._session = session
        pushes.append(self._next(moment))
        return pushes

    def _begin(self, session: tuple[int, int], moment: Moment) -> None:
        """Make up the quantities that were resting before the item was first wanted."""
        if self._session is None:
            self._session = session
            typical = TYPICAL_QUANTITY * min(SETTLED_AFTER, moment.second - session[1]) // SETTLED_AFTER
            self._ask, self._bid = (int(typical * self.draw.lognormvariate(0, 0.8)) for _ in range(2))

    def _next(self, moment: Moment) -> Push:
        on_ask_side = self.draw.random() < 0.5
        resting = self._ask if on_ask_side else self._bid
        size = max(1, round(self.draw.expovariate(1 / 400)))
        # The more is resting, the more likely an order is removed.
        leaves = self.draw.random() < resting / (resting + TYPICAL_QUANTITY)
        change = -min(size, resting) if leaves else size
        return self._move(moment, change, 0) if on_ask_side else self._move(moment, 0, change)

    def _move(self, moment: Moment, ask_change: int, bid_change: int) -> Push:
        self._ask += ask_change
        self._bid += bid_change
        self._last = values = self._values(moment.text, ask_change, bid_change)
        return Push(("0E", self._item), Row(values, "0E", "주식시간외호가", self._item))

    def _values(self, time: str, ask_change: int, bid_change: int) -> dict[str, str]:
        return {
            "21": time,
            "131": str(self._ask),
            "132": signed(ask_change),
            "135": str(self._bid),
            "136": signed(bid_change),
        }


def _session_at(moment: Moment) -> tuple[int, int] | None:
    """Return day and beginning of the after-hours session at a moment, or None."""
    begins = [begin for begin, end in AFTER_HOURS if begin <= moment.second < end]
    return (moment.day, begins[0]) if begins else None

"""One stock at one venue: what it trades at, its order book, and what was traded today.

Everything the rows of a stock say is said of this one state, so they agree with one another: every trade happens at the
best ask or the best bid, adds to volume and turnover, and moves the book.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from .book import Book
from .instrument import Instrument
from .sessions import Moment, clock_text

__all__ = ("Stock", "Trade")

TYPICAL_WORTH = 40_000_000
US_TYPICAL_WORTH = 100_000_000
"""Around which a level of a book is worth, in the smallest unit: won, ten thousandths of a dollar."""


class Trade(NamedTuple):
    """One execution.

    Attributes:
        price: its price.
        quantity: shares.
        buyer: whether the buyer was the aggressor.
        ask: the best ask it met.
        bid: the best bid it met.
    """

    price: int
    quantity: int
    buyer: bool
    ask: int
    bid: int


class Stock:
    """One stock at one venue.

    Args:
        item: the item as text: "005930_NX", "NVDA:ND".
        instrument: what is traded.
        venue: "KRX", "NXT", "SOR", or the US exchange.
        draw: its source of chance.

    Attributes:
        day: the trading day that it is of, or None.
        book: its order book.
        last: the last price.
        open: the first price of the day, 0 before the first trade; so are `high` and `low`.
        volume: shares traded today.
        turnover: what they cost.
        sold: of the volume, what was traded by sellers as the aggressors.
        bought: and by buyers.
        sales: how many trades those were; so are `purchases`.
        upper_time: when it last traded at the upper limit, or "000000"; so is `lower_time`.
    """

    def __init__(self, item: str, instrument: Instrument, venue: str, draw: random.Random) -> None:
        self.item = item
        self.instrument = instrument
        self.venue = venue
        self._random = draw
        self.day: int | None = None
        self.last = self.open = self.high = self.low = 0
        self.volume = self.turnover = self.sold = self.bought = self.sales = self.purchases = 0
        self.previous_volume = instrument.previous_volume
        if venue == "NXT":
            self.previous_volume = self.previous_volume * 3 // 10

    def prepare(self, moment: Moment) -> None:
        """Be of today: a new day begins with a book around the reference price."""
        instrument = self.instrument
        day = instrument.trading_day(moment)
        if self.day == day:
            return
        fresh = self.day is None
        self.day = day
        instrument.start_day(day)
        if not fresh:
            self.previous_volume = max(self.volume, 1)
        worth = US_TYPICAL_WORTH if instrument.kind == "us" else TYPICAL_WORTH
        self.typical = max(20, min(worth // instrument.reference, 500_000))
        self.open = self.high = self.low = 0
        self.volume = self.turnover = self.sold = self.bought = self.sales = self.purchases = 0
        self.open_time = self.high_time = self.low_time = self.upper_time = self.lower_time = "000000"
        self.last = instrument.reference
        elapsed = instrument.elapsed(moment)
        if fresh and elapsed:
            self._make_up_history(elapsed, moment)
        best_ask = instrument.up(self.last) or self.last
        self.book = Book(best_ask, instrument.up, instrument.down, self._level)

    def _make_up_history(self, elapsed: int, moment: Moment) -> None:
        """What was traded before anybody looked."""
        instrument, draw = self.instrument, self._random
        self.last = instrument.rounded(instrument.value)
        around = [instrument.rounded(self.last + self.last * draw.randint(-100, 100) // 10_000) for _ in range(3)]
        self.open, self.high, self.low = around[0], max(*around, self.last), min(*around, self.last)
        self.volume = max(1, self.previous_volume * elapsed * draw.randint(70, 140) // 1_000_000)
        self.turnover = self.volume * ((self.low + self.high) // 2)
        self.bought = self.volume * draw.randint(42, 52) // 100
        self.sold = self.volume * 95 // 100 - self.bought
        self.purchases, self.sales = self.bought // 60, self.sold // 60
        seconds = 22_800 * elapsed // 10_000
        opened = moment.second - seconds
        self.open_time = clock_text((opened + 12) % 86_400)
        self.high_time, self.low_time = (clock_text((opened + draw.randint(0, seconds)) % 86_400) for _ in range(2))

    def _level(self) -> int:
        return 1 + int(self._random.random() * 2 * self.typical)

    def trade(self, buyer: bool, quantity: int, moment: Moment) -> Trade:
        """An aggressor takes up to so many shares from the best level."""
        book = self.book
        ask, bid = book.ask_prices[0], book.bid_prices[0]
        price = ask if buyer else bid
        quantity = book.take(buyer, quantity)
        self.last = self.instrument.close = price
        self.volume += quantity
        self.turnover += price * quantity
        if buyer:
            self.bought += quantity
            self.purchases += 1
        else:
            self.sold += quantity
            self.sales += 1
        self._note_extremes(price, moment.text)
        return Trade(price, quantity, buyer, ask, bid)

    def _note_extremes(self, price: int, time: str) -> None:
        if not self.open:
            self.open = self.high = self.low = price
            self.open_time = self.high_time = self.low_time = time
        elif price > self.high:
            self.high, self.high_time = price, time
        elif price < self.low:
            self.low, self.low_time = price, time
        if price == self.instrument.upper:
            self.upper_time = time
        elif price == self.instrument.lower:
            self.lower_time = time

    def rearrange(self) -> None:
        """An order comes to rest somewhere in the book, or one is cancelled."""
        draw, book = self._random.random, self.book
        asks = draw() < 0.5
        quantities, prices = (book.ask_quantities, book.ask_prices) if asks else (book.bid_quantities, book.bid_prices)
        level = int(draw() * draw() * 10)  # mostly near the best
        if not prices[level]:
            level = 0
        resting = quantities[level]
        size = 1 + int(draw() * self.typical * 0.4)
        # The more rests, the likelier it is that some of it goes; a level never empties this way.
        if draw() * (resting + self.typical) < resting:
            quantities[level] = resting - min(size, resting - 1)
        else:
            quantities[level] = resting + size

    @property
    def sign(self) -> str:
        """전일대비기호 of the last price: 1 upper limit, 2 up, 3 unchanged, 4 lower limit, 5 down."""
        instrument, last = self.instrument, self.last
        if last == instrument.reference:
            return "3"
        if last > instrument.reference:
            return "1" if last == instrument.upper else "2"
        return "4" if last == instrument.lower else "5"

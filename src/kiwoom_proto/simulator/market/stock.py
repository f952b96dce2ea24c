"""One stock at one venue: its price, its order book, and its trading today.

All rows of a stock are made from this one state, so they agree with each other: every trade happens at the best ask or
the best bid, adds to volume and turnover, and changes the book.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from .book import Book
from .instrument import Instrument
from .sessions import Moment, clock_text
from .tape import Bar, Tape

__all__ = ("Stock", "Trade")

TYPICAL_WORTH = 40_000_000
US_TYPICAL_WORTH = 100_000_000
"""Typical value of a level of a US (above: domestic) book, in the smallest unit: ten thousandths of a dollar (won)."""


class Trade(NamedTuple):
    """One execution.

    Attributes:
        price: its price.
        quantity: shares.
        buyer: whether the buyer was the aggressor.
        ask: the best ask before it.
        bid: the best bid before it.
    """

    price: int
    quantity: int
    buyer: bool
    ask: int
    bid: int


class Stock:
    """One stock at one venue.

    Args:
        item: the item: "005930_NX", "NVDA:ND".
        instrument: the instrument traded.
        venue: "KRX", "NXT", "SOR", or the US exchange.
        draw: random number generator.

    Attributes:
        day: the trading day of its state, or None before the first `prepare`.
        book: its order book.
        last: the last price.
        open: the first price of the day, 0 before the first trade.
        high: the highest price of the day, 0 before the first trade.
        low: the lowest price of the day, 0 before the first trade.
        volume: shares traded today.
        turnover: total price of the shares traded today, in the smallest unit.
        sold: the part of the volume in which the seller was the aggressor.
        bought: the part of the volume in which the buyer was the aggressor.
        sales: number of trades in `sold`.
        purchases: number of trades in `bought`.
        upper_time: when it last traded at the upper limit, "HHMMSS", or "000000".
        lower_time: when it last traded at the lower limit, "HHMMSS", or "000000".
        tape: its trades.
    """

    def __init__(self, item: str, instrument: Instrument, venue: str, draw: random.Random) -> None:
        self.item = item
        self.instrument = instrument
        self.venue = venue
        self._random = draw
        self.day: int | None = None
        self.last = self.open = self.high = self.low = 0
        self.volume = self.turnover = self.sold = self.bought = self.sales = self.purchases = 0
        self.tape = Tape()
        self.previous_volume = instrument.previous_volume
        if venue == "NXT":
            self.previous_volume = self.previous_volume * 3 // 10

    def prepare(self, moment: Moment) -> None:
        """Bring the state to the moment's day. A new day starts with a book around the reference price."""
        instrument = self.instrument
        day = instrument.trading_day(moment)
        if self.day == day:
            return
        fresh = self.day is None
        if self.day is not None:
            self.previous_volume = max(self.volume, 1)
            if self.volume:
                totals = self.volume, self.turnover
                self.tape.days.append(Bar(self.day, self.open, self.high, self.low, self.last, *totals))
        self.day = day
        instrument.start_day(day)
        tape = self.tape
        tape.start_day()
        if fresh:
            tape.first_day, tape.first_reference, tape.first_volume = day, instrument.reference, self.previous_volume
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
        """Invent the trading of the day before the stock was first wanted."""
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
        totals = self.volume, self.turnover
        self.tape.made_up = Bar(moment.second, self.open, self.high, self.low, self.last, *totals)

    def _level(self) -> int:
        return 1 + int(self._random.random() * 2 * self.typical)

    def trade(self, buyer: bool, quantity: int, moment: Moment) -> Trade:
        """Let an aggressor take up to `quantity` shares from the best level. Returns the trade."""
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
        self.tape.add(moment.second, price, quantity if buyer else -quantity)
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
        """Add a resting order to some level of the book, or cancel one."""
        draw, book = self._random.random, self.book
        asks = draw() < 0.5
        quantities, prices = (book.ask_quantities, book.ask_prices) if asks else (book.bid_quantities, book.bid_prices)
        level = int(draw() * draw() * 10)  # mostly near the best
        if not prices[level]:
            level = 0
        resting = quantities[level]
        size = 1 + int(draw() * self.typical * 0.4)
        # The more is resting, the more likely an order is cancelled. A level never becomes empty this way.
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

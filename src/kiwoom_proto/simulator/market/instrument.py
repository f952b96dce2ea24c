"""One instrument, whichever of its venues trades it: reference price, ticks, limits, and how it is interrupted.

Sources: the exchange's table of tick sizes of 2023, its daily price limit of 30 % of the reference price, and its
volatility interruption (VI): a trade 10 % or more away from the static reference price stops trading for two minutes,
and the price of that trade becomes the static reference price.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from .names import KNOWN, US, Known, made_up, made_up_us
from .sessions import DAY, Moment

__all__ = ("NEW_YORK", "Instrument", "Interruption", "price_limits", "tick_size")

_STOCK_TICKS = ((2_000, 1), (5_000, 5), (20_000, 10), (50_000, 50), (200_000, 100), (500_000, 500))
LARGEST_TICK = 1_000
US_TICK = 100
"""One cent, in ten thousandths of a dollar, which US prices are kept in."""

NEW_YORK = -13 * 3600
"""Seconds from Korean time to New York's, in summer."""

HALT_SECONDS = 120
SHOCK_EVERY = 4_000
"""Seconds of trading between two jumps of an instrument's value by about 12 %, on average."""
MOST_STEPS = 600
"""Seconds after which the value has forgotten where it was."""


def tick_size(price: int, kind: str = "stock") -> int:
    """The step between a price and the next higher one: in won, of a US stock in ten thousandths of a dollar."""
    if kind == "us":
        return US_TICK
    if kind == "etf":
        return 1 if price < 2_000 else 5
    if kind == "elw":
        return 5
    for below, tick in _STOCK_TICKS:
        if price < below:
            return tick
    return LARGEST_TICK


def price_limits(reference: int, kind: str = "stock") -> tuple[int, int]:
    """Highest and lowest price of the day: 30 % away, cut to the tick. US stocks have none; far away, then."""
    if kind == "us":
        return reference * 3, max(US_TICK, reference // 3 // US_TICK * US_TICK)
    tick = tick_size(reference, kind)
    width = reference * 3 // 10 // tick * tick
    upper, lower = reference + width, reference - width
    upper -= upper % tick_size(upper, kind)
    lower += -lower % tick_size(lower, kind)
    return upper, max(lower, tick_size(1, kind))


class Interruption(NamedTuple):
    """Trading of an instrument stops for two minutes (VI).

    Attributes:
        price: the price of the trade that did it.
        reference: the static reference price before it.
        number: which of the day it is, counted from 1.
        at: when, in seconds since midnight of the first day.
        until: when trading goes on.
    """

    price: int
    reference: int
    number: int
    at: int
    until: int


class Instrument:
    """One instrument.

    Attributes:
        code: the code without venue.
        name: its Korean name.
        kind: "stock", "etf", "elw" or "us".
        market: "001" KOSPI, "101" KOSDAQ, or the US exchange.
        shares: listed shares.
        reference: the reference price (기준가): yesterday's close. All prices in won, of a US stock in ten thousandths
            of a dollar.
        upper: the highest price of the day (상한가).
        lower: the lowest price of the day (하한가).
        close: the last price at which any venue traded it.
        value: what it is worth today; the price follows at every venue, which keeps them together.
        static_reference: what a trade is compared with to decide on an interruption.
        interruption: the last one of the day, or None.
    """

    def __init__(self, code: str, market: str, seed: int) -> None:
        self._random = random.Random(f"{seed}/{code}")
        known = self._known(code, market)
        self.code = code
        self.name, _, shares, self.kind, self.market = known
        self.shares = shares * 1000
        price = known.price * 100 if self.kind == "us" else known.price
        self.close = price - price % tick_size(price, self.kind)
        self.previous_volume = max(1_000, self.shares // self._random.randint(150, 900))
        self.day: int | None = None
        self._value_at = -1

    def _known(self, code: str, market: str) -> Known:
        if market:
            known = US.get(code)
            return made_up_us(code, market, self._random) if known is None else known._replace(market=market)
        return KNOWN.get(code) or made_up(self._random)

    def start_day(self, day: int) -> None:
        """A day begins, if it has not: yesterday's close is the reference now."""
        if day == self.day:
            return
        self.day = day
        self.reference = self.static_reference = self.close
        self.upper, self.lower = price_limits(self.reference, self.kind)
        self.value = self.reference + (self._random.randint(-100, 100) * self.reference) // 10_000
        self.interruption: Interruption | None = None

    def trading_day(self, moment: Moment) -> int:
        """The day that a moment belongs to: New York's for US stocks, whose sessions go on over midnight here."""
        return (moment.stamp + NEW_YORK) // DAY if self.kind == "us" else moment.day

    def up(self, price: int) -> int:
        """The next higher price, or 0 above the limit."""
        higher = price + tick_size(price, self.kind)
        return higher if price and higher <= self.upper else 0

    def down(self, price: int) -> int:
        """The next lower price, or 0 below the limit."""
        lower = price - tick_size(price - 1, self.kind)
        return lower if price and lower >= self.lower else 0

    def rounded(self, price: int) -> int:
        """The nearest price not above `price` that is on a tick and inside the limits."""
        price = min(max(price, self.lower), self.upper)
        return max(price - price % tick_size(price, self.kind), self.lower)

    def drift(self, stamp: int) -> int:
        """Let the value wander until this second, and return it."""
        steps = stamp - self._value_at
        if steps > 0:
            if self._value_at < 0 or steps > MOST_STEPS:
                steps = 1
            self._value_at = stamp
            draw, width = self._random.random, max(4, self.reference // 800)
            for _ in range(steps):
                self.value += int((draw() - 0.5) * width) - (self.value - self.reference) // 40_000
                if draw() < 1 / SHOCK_EVERY:
                    self.value = self.value * (112 if draw() < 0.5 else 88) // 100
            self.value = min(max(self.value, self.lower), self.upper)
        return self.value

    def is_halted(self, stamp: int) -> bool:
        """Whether an interruption keeps it from trading."""
        return self.interruption is not None and stamp < self.interruption.until

    def interrupt(self, price: int, stamp: int) -> Interruption | None:
        """Whether a trade at this price interrupts trading; if so it is interrupted from now on."""
        reference = self.static_reference
        if abs(price - reference) * 10 < reference or self.kind not in ("stock", "etf") or self.is_halted(stamp):
            return None
        number = 1 if self.interruption is None else self.interruption.number + 1
        self.interruption = Interruption(price, reference, number, stamp, stamp + HALT_SECONDS)
        self.static_reference = self.value = price
        return self.interruption

    def elapsed(self, moment: Moment) -> int:
        """How much of the trading day is over, in ten thousandths."""
        opened, seconds = (81_000, 23_400) if self.kind == "us" else (32_400, 22_800)
        gone = moment.second - opened
        if self.kind == "us":
            gone %= DAY
        return min(max(gone, 0), seconds) * 10_000 // seconds

"""One instrument across all its venues: reference price, tick sizes, price limits and volatility interruptions.

Sources: the Korea Exchange's tick size table of 2023, its daily price limit of 30 % of the reference price, and its
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
"""One cent. US prices are in ten thousandths of a dollar."""

NEW_YORK = -13 * 3600
"""Offset of New York time from Korean time in summer, in seconds."""

HALT_SECONDS = 120
SHOCK_EVERY = 4_000
"""Average seconds of trading between two jumps of an instrument's value by about 12 %."""
MAX_STEPS = 600
"""Longest gap, in seconds, that `drift` simulates second by second; after a longer one it takes a single step."""


def tick_size(price: int, kind: str = "stock") -> int:
    """Return the tick from a price to the next higher one, in won; for a US stock in ten thousandths of a dollar."""
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
    """Return the highest and lowest price of the day: 30 % away, rounded inward to a tick.

    US stocks have no limits; distant prices are returned for them.
    """
    if kind == "us":
        return reference * 3, max(US_TICK, reference // 3 // US_TICK * US_TICK)
    tick = tick_size(reference, kind)
    width = reference * 3 // 10 // tick * tick
    upper, lower = reference + width, reference - width
    upper -= upper % tick_size(upper, kind)
    lower += -lower % tick_size(lower, kind)
    return upper, max(lower, tick_size(1, kind))


class Interruption(NamedTuple):
    """A volatility interruption (VI): trading of an instrument stops for two minutes.

    Attributes:
        price: the price of the trade that triggered it.
        reference: the static reference price before it.
        number: its number within the day, from 1.
        at: when it started, in seconds since midnight of the first day.
        until: when trading resumes, in seconds since midnight of the first day.
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
        name: the Korean name.
        kind: "stock", "etf", "elw" or "us".
        market: "001" KOSPI, "101" KOSDAQ, or the US exchange.
        shares: listed shares.
        reference: the reference price (기준가): yesterday's close. All prices are in won, for a US stock in ten
            thousandths of a dollar.
        upper: the upper limit of the day (상한가).
        lower: the lower limit of the day (하한가).
        close: the last price traded at any venue.
        value: its current fair value. The prices at all venues follow it, so they stay together.
        static_reference: the price that trades are compared with to trigger an interruption.
        interruption: the latest interruption of the day, or None.
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
        """Start a day, unless it has started: yesterday's close becomes the reference price."""
        if day == self.day:
            return
        self.day = day
        self.reference = self.static_reference = self.close
        self.upper, self.lower = price_limits(self.reference, self.kind)
        self.value = self.reference + (self._random.randint(-100, 100) * self.reference) // 10_000
        self.interruption: Interruption | None = None

    def trading_day(self, moment: Moment) -> int:
        """Return the trading day of a moment: New York's day for US stocks, whose sessions span midnight in Korea."""
        return (moment.stamp + NEW_YORK) // DAY if self.kind == "us" else moment.day

    def up(self, price: int) -> int:
        """Return the next higher price, or 0 above the limit."""
        higher = price + tick_size(price, self.kind)
        return higher if price and higher <= self.upper else 0

    def down(self, price: int) -> int:
        """Return the next lower price, or 0 below the limit."""
        lower = price - tick_size(price - 1, self.kind)
        return lower if price and lower >= self.lower else 0

    def rounded(self, price: int) -> int:
        """Return `price` rounded down to a tick and clamped to the limits."""
        price = min(max(price, self.lower), self.upper)
        return max(price - price % tick_size(price, self.kind), self.lower)

    def drift(self, stamp: int) -> int:
        """Advance the random walk of the value to this second. Returns the value."""
        steps = stamp - self._value_at
        if steps > 0:
            if self._value_at < 0 or steps > MAX_STEPS:
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
        """Return whether an interruption stops trading at this second."""
        return self.interruption is not None and stamp < self.interruption.until

    def interrupt(self, price: int, stamp: int) -> Interruption | None:
        """Interrupt trading if a trade at this price triggers it. Returns the interruption, or None."""
        reference = self.static_reference
        if abs(price - reference) * 10 < reference or self.kind not in ("stock", "etf") or self.is_halted(stamp):
            return None
        number = 1 if self.interruption is None else self.interruption.number + 1
        self.interruption = Interruption(price, reference, number, stamp, stamp + HALT_SECONDS)
        self.static_reference = self.value = price
        return self.interruption

    def elapsed(self, moment: Moment) -> int:
        """Return the elapsed part of the trading day, in ten thousandths."""
        opened, seconds = (81_000, 23_400) if self.kind == "us" else (32_400, 22_800)
        gone = moment.second - opened
        if self.kind == "us":
            gone %= DAY
        return min(max(gone, 0), seconds) * 10_000 // seconds

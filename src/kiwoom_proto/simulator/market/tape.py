"""Tape: what a stock traded since it was first wanted: its latest trades, the bars of its minutes and of its days.

A trade is kept as three numbers. Its totals are not kept: they follow from those of the stock, walking back.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ("Bar", "Tape")

TRADES = 2_000
"""Number of today's trades that are kept at least."""
SLACK = 1_000
"""Number of further trades after which the oldest are dropped."""


class Bar(NamedTuple):
    """The trading of some time.

    Attributes:
        at: when it began: a second of the day, or a day.
        open: the first price.
        high: the highest price.
        low: the lowest price.
        close: the last price.
        volume: shares traded.
        turnover: total price of the shares, in the smallest unit.
    """

    at: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int


class Tape:
    """The trades of one stock.

    Attributes:
        made_up: today's trading before the stock was first wanted, `at` the second at which it was; or None.
        days: the days that ended, oldest first.
        first_day: the day on which the stock was first wanted.
        first_reference: the reference price of that day.
        first_volume: the volume of the day before.
    """

    def __init__(self) -> None:
        self.first_day = self.first_reference = self.first_volume = 0
        self.made_up: Bar | None = None
        self.days: list[Bar] = []
        self._trades = array("q")  # second of the day, price, and quantity with the aggressor's sign, of each
        self._minutes: list[Bar] = []

    def start_day(self) -> None:
        """Forget the trades and minutes of the day before."""
        self.made_up = None
        self._trades = array("q")
        self._minutes = []

    def add(self, second: int, price: int, quantity: int) -> None:
        """Add a trade; the quantity of a seller is negative."""
        trades = self._trades
        trades.extend((second, price, quantity))
        if len(trades) >= 3 * (TRADES + SLACK):
            del trades[: 3 * SLACK]
        shares, minutes, minute = abs(quantity), self._minutes, second - second % 60
        if minutes and minutes[-1].at == minute:
            last = minutes[-1]
            high, low = max(last.high, price), min(last.low, price)
            volume, turnover = last.volume + shares, last.turnover + shares * price
            minutes[-1] = Bar(minute, last.open, high, low, price, volume, turnover)
        else:
            minutes.append(Bar(minute, price, price, price, price, shares, shares * price))

    def trades(self) -> Iterator[tuple[int, int, int]]:
        """Return second of the day, price and quantity with sign of the trades that are kept, newest first."""
        trades = self._trades
        for at in range(len(trades) - 3, -1, -3):
            yield trades[at], trades[at + 1], trades[at + 2]

    def minutes(self) -> list[Bar]:
        """Return the bars of the minutes in which it traded since it was first wanted, oldest first."""
        return self._minutes

"""History: the trading of a stock on the days before it was first wanted, and today's until then.

It is made up from the seed, backwards from the first reference price, and is the same however often it is asked for.
It fits what rows say: the last day ends at the reference price and has yesterday's volume, and today's minutes and
ticks add up to today's volume.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from .instrument import tick_size
from .sessions import CONTINUOUS
from .stock import Stock
from .tape import Bar

__all__ = ("DAYS", "History", "merged")

DAYS = 2_500
"""Number of days before the first one: about ten years."""
OPENS, CLOSES = CONTINUOUS[0]
MINUTE = 60
TICKS = 4
"""Ticks made up of a minute: open, low, high and close."""


class History:
    """The history of a stock that was prepared.

    Args:
        seed: the same seed gives the same history.
        stock: the stock.
    """

    def __init__(self, seed: str, stock: Stock) -> None:
        self.stock = stock
        self._seed = seed
        self._kind = stock.instrument.kind
        self._before: list[Bar] | None = None

    def days(self) -> list[Bar]:
        """Return the bars of the days, oldest first. Today's is the state of the stock, if it has traded."""
        stock = self.stock
        days = self._made_up_days() + stock.tape.days
        if stock.volume and stock.day is not None:
            totals = stock.volume, stock.turnover
            days.append(Bar(stock.day, stock.open, stock.high, stock.low, stock.last, *totals))
        return days

    def minutes(self, day: Bar) -> list[Bar]:
        """Return the bars of the minutes of a day of `days`, oldest first; minutes without a trade have none."""
        tape = self.stock.tape
        if day.at != self.stock.day:
            return self._split(day, CLOSES)
        made_up = [] if tape.made_up is None else self._split(tape.made_up._replace(at=day.at), tape.made_up.at)
        return merged(made_up, tape.minutes())

    def ticks(self, day: Bar) -> list[tuple[int, int, int]]:
        """Return the second, price and quantity of the trades of a day, oldest first.

        Trades that are not kept are made up of the bars of their minutes.
        """
        if day.at != self.stock.day:
            return [tick for bar in self.minutes(day) for tick in self._ticks_of(bar)]
        kept = [(second, price, abs(quantity)) for second, price, quantity in self.stock.tape.trades()][::-1]
        missing = day.volume - sum(quantity for _, _, quantity in kept)
        ticks: list[tuple[int, int, int]] = []
        for bar in self.minutes(day):
            if missing <= 0:
                break
            part = bar if bar.volume <= missing else bar._replace(volume=missing, close=bar.open)
            ticks += self._ticks_of(part)
            missing -= part.volume
        return ticks + kept

    # Internals.

    def _made_up_days(self) -> list[Bar]:
        if self._before is None:
            self._before = list(self._walk_back())[::-1]
        return self._before

    def _walk_back(self) -> Iterator[Bar]:
        """Yield the bars of the days before the first one, newest first."""
        tape, draw = self.stock.tape, random.Random(self._seed)
        close, usual = tape.first_reference, tape.first_volume
        volume = usual
        for number in range(1, DAYS + 1):
            change = draw.randint(-250, 250) + (draw.randint(-600, 600) if draw.random() < 0.1 else 0)
            before = self._rounded(close * 10_000 // (10_000 + change))
            start = self._rounded(before * (10_000 + draw.randint(-80, 80)) // 10_000)
            high = self._rounded(max(start, close) * (10_000 + draw.randint(0, 120)) // 10_000)
            low = self._rounded(min(start, close) * (10_000 - draw.randint(0, 120)) // 10_000)
            high, low = max(high, start, close), min(low, start, close)
            turnover = volume * ((high + low + start + close) // 4)
            yield Bar(tape.first_day - number, start, high, low, close, volume, turnover)
            close, volume = before, max(1, usual * draw.randint(50, 180) // 100)

    def _rounded(self, price: int) -> int:
        tick = tick_size(price, self._kind)
        return max(price - price % tick, tick)

    def _split(self, day: Bar, until: int) -> list[Bar]:
        """Return the minutes of the trading of a day until a second of it. Their volumes add up to the day's."""
        draw = random.Random(f"{self._seed}/{day.at}")
        count = max(1, (min(until, CLOSES) - OPENS) // MINUTE)
        weights = [draw.randint(1, 100) for _ in range(count)]
        whole = sum(weights)
        volumes = [day.volume * weight // whole for weight in weights]
        volumes[-1] += day.volume - sum(volumes)
        at_high, at_low = draw.randrange(count), draw.randrange(count)
        bars, last, sway = [], day.open, max(day.high - day.low, 1) // 4
        for number, volume in enumerate(volumes):
            there = day.open + (day.close - day.open) * (number + 1) // count
            close = self._rounded(there + draw.randint(-sway, sway)) if number < count - 1 else day.close
            close = min(max(close, day.low), day.high)
            high = day.high if number == at_high else max(last, close)
            low = day.low if number == at_low else min(last, close)
            if volume:
                bars.append(Bar(OPENS + number * MINUTE, last, high, low, close, volume, volume * ((high + low) // 2)))
            last = close
        return bars

    def _ticks_of(self, bar: Bar) -> Iterator[tuple[int, int, int]]:
        """Yield the ticks made up of a minute."""
        prices = bar.open, bar.low, bar.high, bar.close
        count = min(TICKS, bar.volume)
        for number, price in enumerate(prices[TICKS - count :]):
            quantity = bar.volume // count + (bar.volume % count if number == count - 1 else 0)
            yield bar.at + number * (MINUTE // TICKS), price, quantity


def merged(first: Sequence[Bar], then: Sequence[Bar]) -> list[Bar]:
    """Return two series of bars as one. The last of the first and the first of the second may be of the same time."""
    if not first or not then or first[-1].at != then[0].at:
        return [*first, *then]
    one, other = first[-1], then[0]
    both = Bar(
        one.at,
        one.open,
        max(one.high, other.high),
        min(one.low, other.low),
        other.close,
        one.volume + other.volume,
        one.turnover + other.turnover,
    )
    return [*first[:-1], both, *then[1:]]

"""Rows of the whole market: its phases (0s), and volatility interruptions (1h).

Interruptions of wanted stocks come from their trades. So that a program that registers only 1h sees some, a stock that
nobody wants is swept up or down to its threshold now and then. It is a stock like any other, and is still interrupted
if somebody then wants it. Every interruption is reported twice, for the plain item and for its combined (SOR) item
[measured], and again with the time of release (FID 1224) when trading resumes.

Only "1" has been seen in FID 9068. The "2" of a release is its meaning in Kiwoom's older interface.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from ...wire.messages import Row
from .formats import percent
from .instrument import Interruption
from .sessions import DAY, PHASES, Moment, clock_text
from .source import Push, Source
from .stock import Stock, Trade

__all__ = ("OTHER_CODES", "Interruptions", "Phases")

MILLION = 1_000_000
ROUNDING = 1e-6
"""Seconds added to the time of a release, so that a rounding error cannot make it early."""

OTHER_STOCKS = 300
"""Number of other stocks, which can be interrupted though nobody wants them."""
OTHER_CODES = tuple(f"{number * 470 + 1_010:06}" for number in range(OTHER_STOCKS))
"""Their codes."""
REMEMBERED = 1_000
"""Number of interruptions that are remembered."""

INTERRUPTION_EVERY = 20
"""Average time between two interruptions of other stocks, as a multiple of the average time between events of an
item."""


class Phases(Source):
    """The phases of the day (0s)."""

    def wake(self, at: float, moment: Moment) -> None:
        """Set the next event to now: a session of 0s is the second in which a phase starts."""
        self.next_at = at

    def step(self, moment: Moment) -> Iterable[Push]:
        """Return the rows of the phases that start now. There is no further event until the next session."""
        self.next_at = float("inf")
        return self.happen(moment)

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Return the rows of the phases that start now."""
        return [
            Push(
                ("0s", ""),
                Row({"215": code, "20": moment.text, "214": clock_text(remaining)}, "0s", "장시작시간", ""),
            )
            for time, code, remaining in PHASES
            if time == moment.second
        ]


class Interruptions(Source):
    """Volatility interruptions (1h) of all stocks.

    Args:
        stock_of: returns the stock of an item.
        is_watched: returns whether a stock has a source of its own, because somebody wants it.
        draw: random number generator.
        rate: average number of events per second for each item.
    """

    def __init__(
        self,
        stock_of: Callable[[str], Stock],
        is_watched: Callable[[str], bool],
        draw: random.Random,
        rate: float,
    ) -> None:
        super().__init__(draw, rate / INTERRUPTION_EVERY)
        self._stock_of = stock_of
        self._is_watched = is_watched
        self._pending: deque[tuple[Stock, Interruption]] = deque()
        self._next_sweep = float("inf")
        self.items: frozenset[str] = frozenset()
        """The items that 1h is registered for; "" stands for all."""
        self.log: deque[tuple[Stock, Interruption]] = deque(maxlen=REMEMBERED)
        """The interruptions so far, oldest first."""

    def wake(self, at: float, moment: Moment) -> None:
        """Schedule the first interruption soon, and drop pending releases of earlier days."""
        self._pending = deque(pending for pending in self._pending if pending[1].at // DAY == moment.day)
        self._next_sweep = at + self.draw.uniform(0.0, 0.1 / self.rate)
        self._set_next(moment)

    def step(self, moment: Moment) -> Iterable[Push]:
        """Release the stocks that are due, or sweep a stock if none is. Returns the rows."""
        pushes: list[Push] = []
        if self.next_at < self._next_sweep:
            while self._pending and self._pending[0][1].until <= moment.stamp:
                pushes += self._told(*self._pending.popleft(), released=True)
        else:
            self._next_sweep += self.draw.expovariate(self.rate)
            pushes += self.happen(moment)
        self._set_next(moment)
        return pushes

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Sweep a stock that nobody wants to its threshold. Returns the rows of the interruption."""
        code = OTHER_CODES[self.draw.randrange(OTHER_STOCKS)]
        buyer = self.draw.random() < 0.6
        if self._is_watched(code):
            return ()
        stock = self._stock_of(code)
        stock.prepare(moment)
        if stock.instrument.kind != "stock" or stock.instrument.is_halted(moment.stamp):
            return ()
        while True:
            prices, quantities = (
                (stock.book.ask_prices, stock.book.ask_quantities)
                if buyer
                else (stock.book.bid_prices, stock.book.bid_quantities)
            )
            if not prices[1]:
                return ()
            pushes = self.after(stock, stock.trade(buyer, quantities[0], moment), moment)
            if stock.instrument.is_halted(moment.stamp):
                return pushes

    def after(self, stock: Stock, trade: Trade, moment: Moment) -> list[Push]:
        """Interrupt trading if this trade is far enough from the static reference price. Returns the rows."""
        interruption = stock.instrument.interrupt(trade.price, moment.stamp)
        if interruption is None:
            return []
        self.log.append((stock, interruption))
        if not self.types:
            return []
        self._pending.append((stock, interruption))
        self._set_next(moment)
        return self._told(stock, interruption, released=False)

    def _set_next(self, moment: Moment) -> None:
        self.next_at = self._next_sweep
        if self._pending:
            release_at = moment.begins_at + (self._pending[0][1].until - moment.stamp)
            self.next_at = max(moment.begins_at, min(self.next_at, release_at + ROUNDING))

    def _told(self, stock: Stock, interruption: Interruption, *, released: bool) -> list[Push]:
        values = _values(stock, interruption, released)
        code = stock.instrument.code
        rows = [Row(values, "1h", "VI발동/해제", item) for item in (f"{code}_AL", code)]
        return [
            Push(("1h", registered), row) for row in rows for registered in ("", row.item) if registered in self.items
        ]


def _values(stock: Stock, interruption: Interruption, released: bool) -> dict[str, str]:
    price, static = interruption.price, interruption.reference
    reference = stock.instrument.reference
    up = price > static
    return {
        "9001": stock.instrument.code,
        "302": stock.instrument.name,
        "13": str(stock.volume),
        "14": str(stock.turnover // MILLION),
        "9068": "2" if released else "1",
        "9008": stock.instrument.market,
        "9075": "1",
        "1221": str(price),
        "1223": clock_text(interruption.at % 86_400),
        "1224": clock_text(interruption.until % 86_400) if released else "000000",
        "1225": "정적",
        "1236": str(static),
        "1237": "0",
        "1238": percent(price - static, static),
        "1239": "0.00",
        "1489": percent(price - reference, reference),
        "1490": str(interruption.number),
        "9069": "1" if up else "2",
        "1279": "+정적" if up else "-정적",
    }

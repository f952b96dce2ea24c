"""Trading of one stock through the day: trades, resting orders and auctions.

Half of the events are trades. In the other half an order is added to the book or cancelled. The price follows the
instrument's value: the further away it is, the more likely the next aggressor trades towards it. All venues of an
instrument follow the same value, so their prices stay together.
"""

from __future__ import annotations

import abc
import random
from collections.abc import Iterable
from types import MappingProxyType

from ...wire.messages import Row
from .flows import Flows
from .infos import elw_indicator, elw_theory, etf_nav, stock_info
from .orders import ORDER_TYPES, Accounts
from .phases import Interruptions
from .quotes import Expected, OrderBookRows, best_quote
from .sessions import CONTINUOUS, Moment
from .source import Push, Source
from .stock import Stock, Trade
from .trades import expected_trade, nominal_price, trade_row
from .us import UsBookRows, us_trade_row

__all__ = ("TRADING_TYPES", "DomesticTrading", "Trading", "UsTrading")

SWEEP = 0.12
"""Share of trades that take the whole best level when the price is near the value."""

BROKERS_EVERY = 4
"""Number of trades per row of 0F."""

NOMINAL_EVERY = 4
"""Number of changes of the book per row of 0A."""

NAMES = MappingProxyType(
    {
        "0A": "주식기세",
        "0B": "주식체결",
        "0C": "주식우선호가",
        "0D": "주식호가잔량",
        "0F": "주식당일거래원",
        "0G": "ETF NAV",
        "0H": "주식예상체결",
        "0g": "주식종목정보",
        "0m": "ELW 이론가",
        "0u": "ELW 지표",
        "0w": "종목별프로그램매매",
        "FE": "미국체결",
        "FT": "미국10호가",
    }
)
"""Type code -> the type's name in its rows."""
TRADING_TYPES = frozenset((*NAMES, *ORDER_TYPES))
"""Types whose rows are made by the trading of a stock. Account types have rows only after an order was placed."""


class Trading(Source):
    """Trading of one stock.

    Args:
        stock: the stock.
        accounts: the accounts, with their orders.
        draw: random number generator.
        rate: average number of events per second.
    """

    def __init__(self, stock: Stock, accounts: Accounts, draw: random.Random, rate: float) -> None:
        super().__init__(draw, rate)
        self.stock = stock
        self._accounts = accounts
        self._day: int | None = None
        self._is_new_day = False
        self._new: set[str] = set()

    def want(self, types: frozenset[str]) -> None:
        """Set the wanted types. New types get a row at the next event, whatever it is."""
        self._new |= types - self.types
        super().want(types)

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Make a trade or a change of the book happen. Returns the rows."""
        stock = self.stock
        self.prepare(moment)
        new_day, self._is_new_day = self._is_new_day, False
        orders_wanted = stock.item in self._accounts.open and not self.types.isdisjoint(ORDER_TYPES)
        pushes = self._accounts.take(stock, moment) if orders_wanted else []
        value = stock.instrument.drift(moment.stamp)
        best = stock.book.ask_prices[0]
        trade = None
        if not self._can_trade(moment):
            self._pause(moment)
        elif new_day:
            stock.rearrange()  # so that a row of the book precedes the first trade
        else:
            trade = self._trade(value, moment, pushes)
        shown = self._rows(trade, best != stock.book.ask_prices[0], moment)
        # Rows of the market precede rows of accounts.
        return shown + pushes if pushes else shown

    def prepare(self, moment: Moment) -> None:
        """Bring the stock to the moment's day."""
        self.stock.prepare(moment)
        if self.stock.day != self._day:
            self._day = self.stock.day
            self._is_new_day = True
            self._begin_day()

    @abc.abstractmethod
    def quote(self, moment: Moment) -> dict[str, str]:
        """Return the order book as it is now, as the values of its row: 0D, FT. Call `prepare` first.

        If somebody gets the rows, these are the values of the latest one.
        """

    def _begin_day(self) -> None: ...

    def _can_trade(self, moment: Moment) -> bool:
        return True

    def _pause(self, moment: Moment) -> None:
        self.stock.rearrange()

    @abc.abstractmethod
    def _rows(self, trade: Trade | None, best_moved: bool, moment: Moment) -> list[Push]:
        """Return the rows that report an event."""

    def _push(self, type: str, values: dict[str, str]) -> Push:
        item = self.stock.item
        return Push((type, item), Row(values, type, NAMES[type], item))

    def _trade(self, value: int, moment: Moment, pushes: list[Push]) -> Trade | None:
        stock, accounts, draw = self.stock, self._accounts, self.draw.random
        order = accounts.aggressor(stock) if stock.item in accounts.open else None
        if order is not None:
            level = stock.book.ask_quantities[0] if order.buys else stock.book.bid_quantities[0]
            trade = stock.trade(order.buys, min(order.remaining, level), moment)
            pushes += accounts.fill(order, stock, trade.quantity, trade.price, moment)
            return trade
        if draw() < 0.5:
            stock.rearrange()
            return None
        ticks = 4 * (value - stock.last) // (stock.book.ask_prices[0] - stock.book.bid_prices[0] or 1)
        buyer = draw() < 0.5 + min(max(ticks / 40, -0.45), 0.45)
        # A price far from the value moves there quickly.
        far = (ticks > 20) if buyer else (ticks < -20)
        if draw() < (0.9 if far else SWEEP):
            quantity = (stock.book.ask_quantities if buyer else stock.book.bid_quantities)[0]
        else:
            quantity = 1 + int(draw() * draw() * stock.typical * 0.3)
        trade = stock.trade(buyer, quantity, moment)
        left = trade.quantity
        for waiting in accounts.waiting(stock, buyer, trade.price) if stock.item in accounts.open else ():
            if left:
                filled = min(left, waiting.remaining)
                left -= filled
                pushes += accounts.fill(waiting, stock, filled, trade.price, moment)
        return trade


class DomesticTrading(Trading):
    """Trading of a stock at KRX, NXT or both.

    Args:
        stock: as for `Trading`.
        accounts: as for `Trading`.
        interruptions: receives every trade.
        draw: as for `Trading`.
        rate: as for `Trading`.
    """

    def __init__(
        self, stock: Stock, accounts: Accounts, interruptions: Interruptions, draw: random.Random, rate: float
    ) -> None:
        super().__init__(stock, accounts, draw, rate)
        self._interruptions = interruptions
        self._book_rows = OrderBookRows(stock)
        self._flows: Flows | None = None
        self._expected: Expected | None = None
        self._expected_told = 0
        self._trades = self._changes = 0
        self._latest: dict[str, dict[str, str]] = {}

    def quote(self, moment: Moment) -> dict[str, str]:
        """Return the values of 0D; see `Trading`."""
        if "0D" in self.types - self._new and self._book_rows.last["21"]:
            return self._book_rows.last
        return self._book_rows.next(moment, self.expected(moment))

    def summary(self, type: str, moment: Moment) -> dict[str, str]:
        """Return the values of 0F, 0G, 0m, 0u or 0w as they are now. Call `prepare` first.

        If somebody gets the rows, these are the values of the latest one.
        """
        if type in self.types - self._new and type in self._latest:
            return self._latest[type]
        return self._summarize(type, moment)

    def _summarize(self, type: str, moment: Moment) -> dict[str, str]:
        stock, flows = self.stock, self._flows
        assert flows is not None
        match type:
            case "0F":
                values = flows.broker_row()
            case "0w":
                values = flows.program_row(moment)
            case "0G":
                values = etf_nav(stock, moment)
            case "0m":
                values = elw_theory(stock, moment)
            case _:
                values = elw_indicator(stock, moment)
        self._latest[type] = values
        return values

    def expected(self, moment: Moment) -> Expected | None:
        """Return the expected trade of the auction, or None if there is none."""
        return None if CONTINUOUS[0][0] <= moment.second < CONTINUOUS[0][1] else self._expected

    def _begin_day(self) -> None:
        self._latest.clear()
        if self._flows is None:
            self._flows = Flows(self.stock, random.Random(f"{self.draw.random()}"))
        else:
            self._flows.start_day()

    def _can_trade(self, moment: Moment) -> bool:
        return CONTINUOUS[0][0] <= moment.second < CONTINUOUS[0][1] and not self.stock.instrument.is_halted(
            moment.stamp
        )

    def _pause(self, moment: Moment) -> None:
        """Change the book without a trade. During an auction, move the expected price too, and the book with it."""
        stock, draw = self.stock, self.draw.random
        stock.rearrange()
        if CONTINUOUS[0][0] <= moment.second < CONTINUOUS[0][1]:
            return
        book = stock.book
        if draw() < 0.3:
            if draw() < 0.5 and book.ask_prices[1]:
                book.shift_up()
            elif book.bid_prices[1]:
                book.shift_down()
        quantity = 0 if self._expected is None else self._expected.quantity
        change = 1 + int(draw() * stock.typical)
        quantity = quantity - change if draw() < 0.3 and quantity > change else quantity + change
        self._expected = Expected(
            book.ask_prices[0] if draw() < 0.5 and book.ask_prices[0] else book.bid_prices[0], quantity
        )

    def _rows(self, trade: Trade | None, best_moved: bool, moment: Moment) -> list[Push]:
        stock, types, new, push = self.stock, self.types, self._new, self._push
        pushes: list[Push] = []
        if trade is not None:
            self._expected, self._expected_told = None, 0
            pushes += self._trade_rows(trade, moment)
        elif "0H" in types and self._expected is not None:
            change = self._expected.quantity - self._expected_told
            self._expected_told = self._expected.quantity
            pushes.append(push("0H", expected_trade(stock, self._expected, change, moment)))
        if "0D" in types:
            pushes.append(push("0D", self._book_rows.next(moment, self.expected(moment))))
        if "0C" in types and (best_moved or "0C" in new):
            pushes.append(push("0C", best_quote(stock)))
        if trade is None and "0A" in types:
            self._changes += 1
            if self._changes % NOMINAL_EVERY == 0 or "0A" in new:
                pushes.append(push("0A", nominal_price(stock)))
        if new:
            pushes += self._first_rows(trade, moment)
            new.clear()
        return pushes

    def _trade_rows(self, trade: Trade, moment: Moment) -> list[Push]:
        stock, types, push = self.stock, self.types, self._push
        flows = self._flows
        assert flows is not None
        by_program = flows.take(trade)
        self._trades += 1
        pushes = [push("0B", trade_row(stock, trade, moment))] if "0B" in types else []
        pushes += self._interruptions.after(stock, trade, moment)
        due = (("0w", by_program), ("0F", self._trades % BROKERS_EVERY == 0), ("0G", True), ("0m", True), ("0u", True))
        pushes += [push(type, self._summarize(type, moment)) for type, is_due in due if is_due and type in types]
        if "0g" in types and self._trades % 50 == 0:
            pushes.append(push("0g", stock_info(stock)))
        return pushes

    def _first_rows(self, trade: Trade | None, moment: Moment) -> list[Push]:
        """Return the first rows of newly wanted types."""
        pushes = [self._push("0g", stock_info(self.stock))] if "0g" in self._new else []
        first = ("0F", "0w", "0G", "0m", "0u") if trade is None else ("0F", "0w")
        return pushes + [self._push(type, self._summarize(type, moment)) for type in first if type in self._new]


class UsTrading(Trading):
    """Trading of a US stock. Arguments as for `Trading`."""

    def __init__(self, stock: Stock, accounts: Accounts, draw: random.Random, rate: float) -> None:
        super().__init__(stock, accounts, draw, rate)
        self._book_rows = UsBookRows(stock)

    def _push(self, type: str, values: dict[str, str]) -> Push:
        stock = self.stock
        return Push((type, stock.item), Row(values, type, NAMES[type], stock.instrument.code, stock.venue))

    def quote(self, moment: Moment) -> dict[str, str]:
        """Return the values of FT; see `Trading`."""
        if "FT" in self.types and self._book_rows.last:
            return self._book_rows.last
        return self._book_rows.next(moment)

    def _rows(self, trade: Trade | None, best_moved: bool, moment: Moment) -> list[Push]:
        pushes = []
        if trade is not None and "FE" in self.types:
            pushes.append(self._push("FE", us_trade_row(self.stock, trade, moment)))
        if "FT" in self.types:
            pushes.append(self._push("FT", self._book_rows.next(moment)))
        return pushes

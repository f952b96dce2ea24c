"""The orders of an account and its holdings."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

__all__ = ("MARKET_PRICE", "NO_NUMBER", "Holding", "Order", "Side", "Task", "fee_of", "tax_of")

Side: TypeAlias = Literal["buy", "sell"]
Task: TypeAlias = Literal["new", "amend", "cancel"]
MARKET_PRICE = 0
"""The price of a market order, which has no limit."""
NO_NUMBER = "0000000"
"""The number of the original order where there is none."""


def fee_of(amount: int) -> int:
    """Return the fee of trades of this amount, in won: 0.015 %."""
    return amount * 15 // 100_000


def tax_of(amount: int) -> int:
    """Return the tax on sales of this amount, in won: 0.15 %."""
    return amount * 15 // 10_000


@attrs.define(eq=False, kw_only=True)
class Order:
    """An order and its state.

    Attributes:
        key: the app key of the account.
        account: the account number.
        number: the order number, a str.
        item: the item to buy or sell.
        side: "buy" or "sell".
        quantity: shares ordered.
        price: limit in the smallest unit (won, ten thousandths of a dollar); 0 is a market order.
        filled: shares traded so far.
        amount: total price of the shares traded, in the smallest unit.
        status: "" until the market processes it, then 접수, 체결 or 거부.
        refusal: the reason for a refusal (거부사유), or "".
        task: "new" places shares; "amend" takes those of the original order to another price, "cancel" takes them back.
        original: the number of the original order.
        withdrawn: shares that were cancelled, or taken over by an amendment.
        last_price: the price of the last trade, 0 before the first.
        last_quantity: the shares of the last trade.
        execution: the number of the last trade, or 0.
        day: the day on which the market processed it.
        time: the time at which the market processed it, "HHMMSS".
    """

    key: str
    account: str
    number: str
    item: str
    side: Side
    quantity: int
    price: int
    filled: int = 0
    amount: int = 0
    status: str = ""
    refusal: str = ""
    task: Task = "new"
    original: str = NO_NUMBER
    withdrawn: int = 0
    last_price: int = 0
    last_quantity: int = 0
    execution: int = 0
    day: int = -1
    time: str = ""

    @property
    def buys(self) -> bool:
        """Whether this is a buy order."""
        return self.side == "buy"

    @property
    def remaining(self) -> int:
        """Shares left to trade."""
        return 0 if self.task == "cancel" else self.quantity - self.filled - self.withdrawn

    @property
    def fee(self) -> int:
        """The fee of its trades, in won."""
        return fee_of(self.amount)

    @property
    def tax(self) -> int:
        """The tax on its trades, in won."""
        return 0 if self.buys else tax_of(self.amount)

    @property
    def is_open(self) -> bool:
        """Whether shares are left to trade and the order was not refused."""
        return self.status != "거부" and self.remaining > 0

    def accepts(self, price: int) -> bool:
        """Return whether the limit allows a trade at this price."""
        return self.price == MARKET_PRICE or (price <= self.price if self.buys else price >= self.price)


@attrs.define
class Holding:
    """An account's holding of one stock. Amounts are in the smallest unit: won, ten thousandths of a dollar.

    Attributes:
        quantity: shares held.
        cost: purchase cost of the shares held.
        bought_today: shares bought today.
        sold_today: shares sold today.
        profit: profit realised today.
        sold_cost: purchase cost of the shares sold today.
        day: the day that "today" means.
    """

    quantity: int = 0
    cost: int = 0
    bought_today: int = 0
    sold_today: int = 0
    profit: int = 0
    sold_cost: int = 0
    day: int = -1

    def start_day(self, day: int) -> None:
        """Start a day, unless it has started: nothing was traded today."""
        if day != self.day:
            self.day = day
            self.bought_today = self.sold_today = self.profit = self.sold_cost = 0

    @property
    def average(self) -> int:
        """Average purchase price of a share, 0 if none is held."""
        return self.cost // self.quantity if self.quantity else 0

    def fill(self, buys: bool, quantity: int, price: int) -> None:
        """Record a trade of some shares."""
        if buys:
            self.quantity += quantity
            self.cost += quantity * price
            self.bought_today += quantity
            return
        cost = self.cost * quantity // self.quantity
        self.quantity -= quantity
        self.cost -= cost
        self.sold_cost += cost
        self.sold_today += quantity
        self.profit += quantity * price - cost

"""The orders of an account and its holdings."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

__all__ = ("MARKET_PRICE", "Holding", "Order", "Side")

Side: TypeAlias = Literal["buy", "sell"]
MARKET_PRICE = 0
"""The price of a market order, which has no limit."""


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

    @property
    def buys(self) -> bool:
        """Whether this is a buy order."""
        return self.side == "buy"

    @property
    def remaining(self) -> int:
        """Shares not yet traded."""
        return self.quantity - self.filled

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
    """

    quantity: int = 0
    cost: int = 0
    bought_today: int = 0
    sold_today: int = 0
    profit: int = 0
    sold_cost: int = 0

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

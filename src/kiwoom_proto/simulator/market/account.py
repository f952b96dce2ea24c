"""What an account has: its orders, and what it holds of each stock."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

__all__ = ("MARKET_PRICE", "Holding", "Order", "Side")

Side: TypeAlias = Literal["buy", "sell"]
MARKET_PRICE = 0
"""The limit of an order without one."""


@attrs.define(eq=False, kw_only=True)
class Order:
    """An order and what became of it.

    Attributes:
        key: the app key of the account.
        account: the account's number.
        number: the order's number, as text.
        item: what is bought or sold.
        side: "buy" or "sell".
        quantity: shares.
        price: limit in the smallest unit (won, ten thousandths of a dollar); 0: at any price.
        filled: shares traded so far.
        amount: what they cost.
        status: "" until it is taken, then 접수, 체결 or 거부.
        refusal: why it was refused (거부사유), or "".
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
        """Whether it is an order to buy."""
        return self.side == "buy"

    @property
    def remaining(self) -> int:
        """Shares still to be traded."""
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Whether more is to come of it."""
        return self.status != "거부" and self.remaining > 0

    def accepts(self, price: int) -> bool:
        """Whether it may be filled at this price."""
        return self.price == MARKET_PRICE or (price <= self.price if self.buys else price >= self.price)


@attrs.define
class Holding:
    """What an account holds of one stock.

    Attributes:
        quantity: shares.
        cost: what they cost.
        bought_today: shares bought today; so is `sold_today`.
        profit: realised today.
        sold_cost: what the shares sold today had cost.
    """

    quantity: int = 0
    cost: int = 0
    bought_today: int = 0
    sold_today: int = 0
    profit: int = 0
    sold_cost: int = 0

    @property
    def average(self) -> int:
        """Purchase price of a share."""
        return self.cost // self.quantity if self.quantity else 0

    def fill(self, buys: bool, quantity: int, price: int) -> None:
        """Some shares were traded."""
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

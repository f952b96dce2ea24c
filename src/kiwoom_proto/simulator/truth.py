"""Truth: what the simulated exchange knows at this moment, to compare a program's state with."""

from __future__ import annotations

from collections.abc import Callable

from .market.account import Holding, Order
from .market.market import Market
from .market.sessions import Moment

__all__ = ("Truth",)


class Truth:
    """What the exchange knows.

    Args:
        market: the market.
        now: returns its time.
    """

    def __init__(self, market: Market, now: Callable[[], Moment]) -> None:
        self._market = market
        self._now = now

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders that the market has processed, of all accounts, oldest first."""
        return tuple(order for order in self._market.accounts.orders if order.status)

    def holdings(self, key: str) -> dict[str, Holding]:
        """Return what the account of an app key holds: the code of a domestic stock, or the item of a US stock."""
        accounts = self._market.accounts
        held = {**accounts.holdings(key, self._now().day), **accounts.us_holdings(key)}
        return {code: holding for code, holding in held.items() if holding.quantity}

    def prices(self, item: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ask and the bid prices of a stock, best first, in won or in ten thousandths of a dollar."""
        book = self._market.trading(item, self._now()).stock.book
        return tuple(book.ask_prices), tuple(book.bid_prices)

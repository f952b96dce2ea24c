"""A ten-level order book on consecutive ticks without gaps: the best bid is one tick below the best ask.

When the best level is used up, the book moves by one tick and the other side takes its place. Levels beyond the daily
limits are empty, with price 0 and quantity 0.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ("DEPTH", "Book")

DEPTH = 10


class Book:
    """The resting orders of one stock.

    Args:
        best_ask: the lowest ask price.
        up: returns the next higher price, or 0 above the limit.
        down: returns the next lower price, or 0 below the limit.
        draw: returns the quantity of a new level.

    Attributes:
        ask_prices: ask prices, best first.
        ask_quantities: ask quantities, in shares.
        bid_prices: bid prices, best first.
        bid_quantities: bid quantities, in shares.
    """

    __slots__ = ("_down", "_draw", "_up", "ask_prices", "ask_quantities", "bid_prices", "bid_quantities")

    def __init__(
        self, best_ask: int, up: Callable[[int], int], down: Callable[[int], int], draw: Callable[[], int]
    ) -> None:
        self._up, self._down, self._draw = up, down, draw
        asks, bids = [best_ask], [down(best_ask)]
        for _ in range(DEPTH - 1):
            asks.append(up(asks[-1]))
            bids.append(down(bids[-1]))
        self.ask_prices, self.bid_prices = asks, bids
        self.ask_quantities = [draw() if price else 0 for price in asks]
        self.bid_quantities = [draw() if price else 0 for price in bids]

    def take(self, buyer: bool, quantity: int) -> int:
        """Let an aggressor take up to `quantity` shares from the best level. Returns the quantity taken."""
        quantities, prices = (self.ask_quantities, self.ask_prices) if buyer else (self.bid_quantities, self.bid_prices)
        if quantity < quantities[0]:
            quantities[0] -= quantity
            return quantity
        quantity = quantities[0]
        if not prices[1]:  # the last level before the limit never runs out
            quantities[0] = self._draw()
            return quantity
        if buyer:
            self.shift_up()
        else:
            self.shift_down()
        return quantity

    def shift_up(self) -> None:
        """Move the book up one tick: the best ask price becomes the best bid price."""
        price = self.ask_prices.pop(0)
        del self.ask_quantities[0]
        new = self._up(self.ask_prices[-1])
        self.ask_prices.append(new)
        self.ask_quantities.append(self._draw() if new else 0)
        self.bid_prices.insert(0, price)
        self.bid_quantities.insert(0, self._draw())
        del self.bid_prices[-1], self.bid_quantities[-1]

    def shift_down(self) -> None:
        """Move the book down one tick: the best bid price becomes the best ask price."""
        price = self.bid_prices.pop(0)
        del self.bid_quantities[0]
        new = self._down(self.bid_prices[-1])
        self.bid_prices.append(new)
        self.bid_quantities.append(self._draw() if new else 0)
        self.ask_prices.insert(0, price)
        self.ask_quantities.insert(0, self._draw())
        del self.ask_prices[-1], self.ask_quantities[-1]

"""Rows of US stocks: each trade (FE), the ten levels (FT), and an account's orders (F4, F5).

Prices are stored in ten thousandths of a dollar and written with four decimals. Times are Korean; FID 51020 and the
date are New York's (13 hours behind, as in summer). Amounts of FE are in thousands of dollars with six decimals. No
page states that unit, but it makes the official example plausible.

Sources: official pages FE, FT, F4 and F5. The keys of FE are in the order of its page, those of the other types in
numerical order, as in their examples. FID 8046 of F4 is in its example but not in its table.
"""

from __future__ import annotations

from types import MappingProxyType

from .account import Holding, Order
from .book import DEPTH
from .formats import percent, unsigned_percent
from .instrument import NEW_YORK
from .sessions import Moment
from .stock import Stock, Trade

__all__ = ("UsBookRows", "dollars", "us_execution", "us_order", "us_price", "us_trade_row")

EXCHANGE_CODES = MappingProxyType({"ND": "000030", "NY": "000010", "NA": "000020"})
"""Exchange -> value of FID 8046. Only the value of ND has been seen."""


def dollars(value: int, width: int = 0) -> str:
    """Format an amount with four decimals, zero-padded to `width` characters including the minus sign of a loss."""
    text = f"{abs(value) // 10_000}.{abs(value) % 10_000:04}"
    return f"-{text:0>{max(width - 1, 0)}}" if value < 0 else f"{text:0>{width}}"


def us_price(value: int, reference: int) -> str:
    """Format a price with the sign of its direction against the reference price."""
    return ("+" if value > reference else "-" if value < reference else "") + dollars(value)


def us_trade_row(stock: Stock, trade: Trade, moment: Moment) -> dict[str, str]:
    """Return the values of FE."""
    reference, last = stock.instrument.reference, trade.price
    there = moment.shifted(NEW_YORK)
    thousands = stock.turnover // 10
    more = stock.volume - stock.previous_volume
    return {
        "10": us_price(last, reference),
        "11": ("+" if last > reference else "") + dollars(last - reference),
        "12": percent(last - reference, reference),
        "13": str(stock.volume),
        "14": f"{thousands // 1_000_000}.{thousands % 1_000_000:06}",
        "15": f"+{trade.quantity}" if trade.buyer else f"-{trade.quantity}",
        "16": us_price(stock.open, reference),
        "17": us_price(stock.high, reference),
        "18": us_price(stock.low, reference),
        "20": moment.text,
        "22": f"{there.date:%Y%m%d}",
        "25": stock.sign,
        "27": us_price(trade.ask, reference),
        "28": us_price(trade.bid, reference),
        "30": percent(stock.volume * (-1 if more < 0 else 1), stock.previous_volume),
        "228": unsigned_percent(stock.bought, stock.sold) if stock.sold else "500.00",
        "290": "2",
        "51020": there.text,
    }


class UsBookRows:
    """Makes the values of a US stock's FT rows, each with its changes since the previous row."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._before: tuple[list[int], list[int]] | None = None
        self.last: dict[str, str] = {}
        """The values of the latest row; empty if there was none."""

    def next(self, moment: Moment) -> dict[str, str]:
        """Return the values of the next row."""
        stock, book = self._stock, self._stock.book
        reference = stock.instrument.reference
        now = book.ask_quantities.copy(), book.bid_quantities.copy()
        before = self._before or now
        self._before = now
        values = {"21": moment.text}
        levels = [(side, level) for side in range(2) for level in range(DEPTH)]
        prices = book.ask_prices, book.bid_prices
        for fid, (side, level) in enumerate(levels, 41):
            values[str(fid)] = us_price(prices[side][level], reference)
        for fid, (side, level) in enumerate(levels, 61):
            values[str(fid)] = str(now[side][level])
        for fid, (side, level) in enumerate(levels, 81):
            values[str(fid)] = _moved(now[side][level] - before[side][level])
        for side, fids in enumerate((("121", "122"), ("125", "126"))):
            total = sum(now[side])
            values[fids[0]], values[fids[1]] = str(total), _moved(total - sum(before[side]))
        self.last = values
        return values


def _moved(change: int) -> str:
    """Format a change, with a space before 0 in place of a sign, as in the official example."""
    return f"{change:+d}" if change else " 0"


def us_order(order: Order, stock: Stock, moment: Moment) -> dict[str, str]:
    """Return the values of F4: the order was sent."""
    return {
        "302": stock.instrument.name,
        "900": str(order.quantity),
        "901": dollars(order.price),
        "904": "000000000",
        "905": "10",
        "906": "00" if order.price else "03",
        "907": "02" if order.buys else "01",
        "908": moment.text,
        "913": "주문전송",
        "1091": "미국",
        "8043": "USD",
        "8046": EXCHANGE_CODES.get(stock.venue, "000030"),
        "9001": stock.instrument.code,
        "9201": order.account,
        "9203": order.number,
        "50072": "매수" if order.buys else "매도",
        "50073": "지정가" if order.price else "시장가",
        "50810": "000000000000",
        "50841": "0",
        "55190": "001",
    }


def us_execution(
    order: Order, holding: Holding, stock: Stock, moment: Moment, fill: tuple[int, int, int] | None
) -> dict[str, str]:
    """Return the values of F5: the order was accepted, refused or filled."""
    number, _, at = fill or (0, 0, 0)
    return {
        "302": stock.instrument.name,
        "900": str(order.quantity),
        "901": dollars(order.price, 12),
        "902": str(order.remaining if order.status != "거부" else 0),
        "904": "000000000",
        "905": "10",
        "907": "02" if order.buys else "01",
        "908": moment.text,
        "909": f"{number:09}",
        "910": dollars(at, 12) if fill else "000000000000",
        "911": str(order.filled),
        "913": order.status,
        "930": str(holding.quantity),
        "931": dollars(holding.average, 12),
        "934": str(holding.sold_today),
        "936": str(holding.bought_today),
        "1091": "미국",
        "8004": "0",
        "8005": "0",
        "8018": dollars(holding.profit),
        "8019": _rate(holding),
        "8043": "USD",
        "8046": EXCHANGE_CODES.get(stock.venue, "000030"),
        "8075": "000000000000",
        "9001": stock.instrument.code,
        "9201": order.account,
        "9203": order.number,
        "13006": "000000000000",
        "50072": "매수" if order.buys else "매도",
        "50073": "지정가" if order.price else "시장가",
        "50724": "000000000000",
        "50725": "000000000000",
        "50810": "0000000.0000",
        "50841": "0",
        "50844": "000000000000000",
        "55190": "001",
    }


def _rate(holding: Holding) -> str:
    return dollars(holding.profit * 1_000_000 // holding.sold_cost) if holding.sold_cost else "0.0000"

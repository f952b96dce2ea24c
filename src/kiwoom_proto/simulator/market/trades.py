"""Rows of trades: each trade (0B), the price without a trade (0A), and the expected trade of an auction (0H).

Units and peculiarities are those of rows [measured]: 14 in million won, 29 in won, 1313 in thousand won with the
aggressor's sign, a space before the 0 of the side that did not trade (1315, 1316), and the order of the keys of 0B.
"""

from __future__ import annotations

from .formats import change_code, hundredths, percent, price, ratio, signed, spaced_price, unsigned_percent
from .quotes import Expected
from .sessions import Moment
from .stock import Stock, Trade

__all__ = ("expected_trade", "nominal_price", "trade_row")

MILLION = 1_000_000


def trade_row(stock: Stock, trade: Trade, moment: Moment) -> dict[str, str]:
    """Return the values of 0B. The best prices are those before the trade."""
    instrument = stock.instrument
    reference, last = instrument.reference, trade.price
    quantity = f"+{trade.quantity}" if trade.buyer else f"-{trade.quantity}"
    margin = last * 4 // 10
    return {
        "20": moment.text,
        "10": price(last, reference),
        "11": signed(last - reference),
        "12": percent(last - reference, reference),
        "27": price(trade.ask, reference),
        "28": price(trade.bid, reference),
        "15": quantity,
        "13": str(stock.volume),
        "14": str(stock.turnover // MILLION),
        "16": price(stock.open, reference),
        "17": price(stock.high, reference),
        "18": price(stock.low, reference),
        "25": stock.sign,
        **_against_yesterday(stock),
        "31": unsigned_percent(stock.volume, instrument.shares),
        "32": str(last * 231 // 100_000),
        "228": unsigned_percent(stock.bought, stock.sold),
        "311": str(last * instrument.shares // 100_000_000),
        "290": "2",
        "691": "0",
        "567": stock.upper_time,
        "568": stock.lower_time,
        "851": str(_against_same_time_yesterday(stock, moment)),
        "1890": stock.open_time,
        "1891": stock.high_time,
        "1892": stock.low_time,
        "1030": str(stock.sold),
        "1031": str(stock.bought),
        "1032": _share_of_buyers(stock),
        "1071": str(stock.sales),
        "1072": str(stock.purchases),
        "1313": signed(trade.quantity * last // 1000 * (1 if trade.buyer else -1)),
        "1315": " 0" if trade.buyer else quantity,
        "1316": quantity if trade.buyer else " 0",
        "1314": quantity,
        "1497": str(margin),
        "1498": str(margin * 8 // 10),
        "620": str(stock.turnover // stock.volume),
        "732": str(last * 502 // 100_000),
        "852": str(last * 4_015 // 1_000_000),
        "9081": _venue_of(stock, trade),
    }


def nominal_price(stock: Stock) -> dict[str, str]:
    """Return the values of 0A."""
    instrument, book = stock.instrument, stock.book
    reference, last = instrument.reference, stock.last
    return {
        "10": spaced_price(last, reference),
        "11": signed(last - reference),
        "12": percent(last - reference, reference),
        "27": spaced_price(book.ask_prices[0], reference),
        "28": spaced_price(book.bid_prices[0], reference),
        "13": str(stock.volume),
        "14": str(stock.turnover // MILLION),
        "16": spaced_price(stock.open, reference) if stock.open else "0",
        "17": spaced_price(stock.high, reference) if stock.open else "0",
        "18": spaced_price(stock.low, reference) if stock.open else "0",
        "25": stock.sign,
        **_against_yesterday(stock),
        "31": unsigned_percent(stock.volume, instrument.shares),
        "32": str(last * 231 // 100_000),
        "311": str(last * instrument.shares // 100_000_000),
        "567": stock.upper_time,
        "568": stock.lower_time,
    }


def expected_trade(stock: Stock, expected: Expected, change: int, moment: Moment) -> dict[str, str]:
    """Return the values of 0H.

    FID 15 (quantity) is the change since the previous row, FID 13 (volume) the quantity that would trade.
    """
    instrument = stock.instrument
    reference = instrument.reference
    return {
        "20": moment.text,
        "10": price(expected.price, reference),
        "11": signed(expected.price - reference),
        "12": percent(expected.price - reference, reference),
        "15": signed(change),
        "13": str(expected.quantity),
        "25": change_code(expected.price, reference, instrument.upper, instrument.lower),
    }


def _against_yesterday(stock: Stock) -> dict[str, str]:
    more = stock.volume - stock.previous_volume
    return {
        "26": signed(more),
        "29": signed(stock.turnover - stock.previous_volume * stock.instrument.reference),
        "30": hundredths(ratio(stock.volume * (-1 if more < 0 else 1), stock.previous_volume)),
    }


def _against_same_time_yesterday(stock: Stock, moment: Moment) -> int:
    """Return the volume relative to yesterday's at this time, in hundredths of a percent, with no point [measured]."""
    return ratio(stock.volume, stock.previous_volume * max(1, stock.instrument.elapsed(moment)) // 10_000)


def _share_of_buyers(stock: Stock) -> str:
    """Return the buyers' share of the trades with an aggressor, with a minus sign if sellers prevail [measured]."""
    share = ratio(stock.bought, stock.bought + stock.sold)
    return hundredths(-share if share < 5_000 else share)


def _venue_of(stock: Stock, trade: Trade) -> str:
    """Return the venue of a trade: KRX or NXT, also for a trade in a combined book."""
    if stock.venue == "SOR":
        return "NXT" if trade.quantity % 3 == 0 else "KRX"
    return stock.venue

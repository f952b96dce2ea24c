"""Rows about an instrument: its limits (0g), the net asset value of an ETF (0G), and the figures of an ELW (0m, 0u).

The figures of an ELW are simple and consistent (premium = break-even, gearing = underlying / price). They do not come
from a pricing model.
"""

from __future__ import annotations

from .formats import hundredths, percent, price, ratio, signed, spaced_price
from .sessions import Moment
from .stock import Stock

__all__ = ("elw_indicator", "elw_theory", "etf_nav", "stock_info")


def stock_info(stock: Stock) -> dict[str, str]:
    """Return the values of 0g, in the order and with the spaces of the official example."""
    instrument = stock.instrument
    reference = instrument.reference
    return {
        "297": "정적VI" if instrument.interruption is not None else "",
        "592": " ",
        "593": " ",
        "305": price(instrument.upper, reference),
        "306": price(instrument.lower, reference),
        "307": str(reference),
        "689": "",
        "594": "",
        "382": "",
        "370": "",
    }


def etf_nav(stock: Stock, moment: Moment) -> dict[str, str]:
    """Return the values of 0G. The net asset value, in hundredths of a won, is near the instrument's value."""
    instrument = stock.instrument
    reference, last = instrument.reference, stock.last
    nav = instrument.value * 100 + (moment.stamp * 37 + last) % 100
    before = reference * 100
    return {
        "36": ("+" if nav > before else "-" if nav < before else "") + hundredths(nav, plus=False),
        "37": hundredths(nav - before),
        "38": percent(nav - before, before),
        "39": hundredths(abs(ratio(last * 100 - nav, nav)) + 10, plus=False),
        "20": moment.text,
        "10": price(last, reference),
        "11": signed(last - reference),
        "12": percent(last - reference, reference),
        "13": str(stock.volume),
        "25": stock.sign,
        "667": "",
        "668": "",
        "669": "",
        "265": percent(nav - before, before),
        "266": percent(last * 100 - nav, nav),
    }


UNDERLYING_PER_WARRANT = 160
"""Price of the underlying, as a multiple of the reference price of the ELW."""


def elw_theory(stock: Stock, moment: Moment) -> dict[str, str]:
    """Return the values of 0m."""
    reference, last = stock.instrument.reference, stock.last
    moneyness = min(max(5_000 + ratio(last - reference, reference), 100), 9_900)
    return {
        "20": moment.text,
        "10": spaced_price(last, reference),
        "670": str(max(1, stock.instrument.value)),
        "671": hundredths(2_800 + moneyness // 50, plus=False),
        "672": f"0.{moneyness:04}00",
        "673": f"0.0000{min(moneyness, 10_000 - moneyness) // 100:02}",
        "674": f"-0.{moneyness // 10:06}",
        "675": f"0.{moneyness * 2:06}",
        "676": f"0.{moneyness // 3:06}",
        "706": f" {hundredths(2_750 + moneyness // 50, plus=False)}",
    }


def elw_indicator(stock: Stock, moment: Moment) -> dict[str, str]:
    """Return the values of 0u."""
    reference, last = stock.instrument.reference, stock.last
    parity = 6_900 + ratio(last - reference, reference) // 4
    underlying = reference * UNDERLYING_PER_WARRANT
    break_even = 10_000 - parity + ratio(last, underlying)
    return {
        "20": moment.text,
        "666": hundredths(parity, plus=False),
        "1211": hundredths(break_even, plus=False),
        "667": hundredths(underlying * 100 // last, plus=False),
        "668": hundredths(break_even),
        "669": hundredths(break_even + 5),
    }

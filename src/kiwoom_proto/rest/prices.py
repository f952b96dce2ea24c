"""Prices of KRX: ticks and daily limits, for programs that check an order before they send it.

Nothing here is called by the library: which rule applies depends on what the stock is, and that only the caller knows.
Orders of US stocks and of gold have other ticks, which are not here.

    ticks of stocks       since 2023-01-25, KOSPI, KOSDAQ and KONEX alike [KRX, in the press of 2023-01-17]
    ticks of ETF, ETN     5 won; below 2,000 won 1 won since December 2023 [KRX, in the press of 2023-10-05]
    ticks of ELW          5 won [KRX, global.krx.co.kr]
    daily limit           30 % of the base price, without what is less than a tick of the base price. Leveraged ETFs and
                          ETNs have a multiple of it. ELWs, subscription rights and what is about to be delisted have
                          none; KONEX has 15 % [KRX, global.krx.co.kr, and the press]
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ..errors import LocalProtocolError

__all__ = ("Instrument", "is_on_tick", "price_limits", "round_to_tick", "tick_size")

Instrument: TypeAlias = Literal["stock", "etf", "etn", "elw"]
"""What determines the tick."""

_TICKS = ((2_000, 1), (5_000, 5), (20_000, 10), (50_000, 50), (200_000, 100), (500_000, 500))
"""Of stocks: below this price, this tick."""
_HIGHEST_TICK = 1_000
_FUND_TICK = 5
_LOW = 2_000
"""Below this price the tick of an ETF or ETN is 1."""


def tick_size(price: int, instrument: Instrument = "stock") -> int:
    """Return the tick (호가가격단위) at a price, in won.

    Args:
        price: the price, in won.
        instrument: "stock", "etf", "etn" or "elw".

    Raises:
        LocalProtocolError: an argument is not what it should be.
    """
    _check(price, instrument)
    if instrument == "elw":
        return _FUND_TICK
    if instrument in ("etf", "etn"):
        return 1 if price < _LOW else _FUND_TICK
    return next((tick for below, tick in _TICKS if price < below), _HIGHEST_TICK)


def is_on_tick(price: int, instrument: Instrument = "stock") -> bool:
    """Return whether an order may have this price. Arguments and errors as for `tick_size`."""
    return price % tick_size(price, instrument) == 0


def round_to_tick(price: int, instrument: Instrument = "stock", *, up: bool = False) -> int:
    """Return the nearest price on the tick that is not above, or not below, a price.

    Args:
        price: the price, in won.
        instrument: "stock", "etf", "etn" or "elw".
        up: the nearest that is not below it; False: not above it.

    Raises:
        LocalProtocolError: an argument is not what it should be, or there is no such price.
    """
    tick = tick_size(price, instrument)
    rounded = -(-price // tick) * tick if up else price // tick * tick
    if not rounded:
        raise LocalProtocolError(f"price: {price} is below the lowest tick")
    return rounded


def price_limits(base: int, instrument: Instrument = "stock", *, percent: int = 30) -> tuple[int, int]:
    """Return the lowest and the highest price of a day (하한가, 상한가).

    Args:
        base: the base price (기준가), in won: as a rule yesterday's close. ka10001 has it, and both limits.
        instrument: "stock", "etf" or "etn".
        percent: 30; of a leveraged ETF or ETN a multiple of it; 15 on KONEX.

    Raises:
        LocalProtocolError: an argument is not what it should be, or an ELW was asked for, which has no limits.
    """
    tick = tick_size(base, instrument)
    if instrument == "elw":
        raise LocalProtocolError("instrument: an ELW has no daily limits")
    if isinstance(percent, bool) or not isinstance(percent, int) or not percent > 0:
        raise LocalProtocolError(f"percent: must be a whole number above 0, not {percent!r}")
    width = base * percent // 100 // tick * tick
    lowest = max(base - width, 1)
    return round_to_tick(lowest, instrument, up=True), round_to_tick(base + width, instrument)


def _check(price: object, instrument: object) -> None:
    if isinstance(price, bool) or not isinstance(price, int) or price <= 0:
        raise LocalProtocolError(f"price: must be a whole number of won above 0, not {price!r}")
    if instrument not in get_args(Instrument):
        raise LocalProtocolError(f"instrument: must be one of {', '.join(get_args(Instrument))}, not {instrument!r}")

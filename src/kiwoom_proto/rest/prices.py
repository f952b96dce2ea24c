"""Prices of KRX: ticks and daily limits, and what they say of the price of an order.

Which rule applies depends on what the instrument is, and that only the caller knows: `check_order` checks an order
against it. Without it, `order_rules` refuses what is on no tick that any instrument has. Orders of US stocks and of
gold have other ticks, which are not here.

    ticks of stocks       since 2023-01-25, KOSPI, KOSDAQ and KONEX alike [KRX, in the press of 2023-01-17]
    ticks of ETF, ETN     5 won; below 2,000 won 1 won since December 2023 [KRX, in the press of 2023-10-05]
    ticks of ELW          5 won [KRX, regulation.krx.co.kr]
    daily limit           30 % of the base price, without what is less than a tick of the base price. Leveraged ETFs and
                          ETNs have a multiple of it. ELWs, subscription rights and what is about to be delisted have
                          none; KONEX has 15 % [KRX, global.krx.co.kr, and the press]
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias, get_args

from ..display import quoted
from ..errors import LocalProtocolError

__all__ = (
    "MIDPOINT_ORDERS",
    "PRICE_ELEMENTS",
    "Instrument",
    "check_order",
    "fault_of_price",
    "is_on_tick",
    "price_limits",
    "round_to_tick",
    "tick_size",
)

Instrument: TypeAlias = Literal["stock", "etf", "etn", "elw"]
"""What determines the tick."""

_TICKS = ((2_000, 1), (5_000, 5), (20_000, 10), (50_000, 50), (200_000, 100), (500_000, 500))
"""Of stocks: below this price, this tick."""
_HIGHEST_TICK = 1_000
_FUND_TICK = 5
_LOW = 2_000
"""Below this price the tick of an ETF or ETN is 1."""

Limit: TypeAlias = int | Decimal | None
PRICE_ELEMENTS = ("ord_uv", "mdfy_uv")
"""The prices of orders that are traded at. Whether a condition price has to be on the tick, nobody has said."""
MIDPOINT_ORDERS = frozenset({"29", "30", "31"})
"""Trade types of orders at the middle between two ticks."""


class _Order(Protocol):
    """A request of the catalogue."""

    @property
    def elements(self) -> Mapping[str, Any]: ...
    @property
    def safety(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...


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


def check_order(order: _Order, instrument: Instrument = "stock", *, limits: tuple[Limit, Limit] | None = None) -> None:
    """Check the price of an order for a Korean stock: its tick and, if they are known, the limits of the day.

    Orders without a price pass. Those at the midpoint are not held to the tick.

    Args:
        order: an order to buy or sell, or an amendment: `BuyOrder`, `AmendOrder` and so on, those on credit too.
        instrument: what is traded: "stock", "etf", "etn" or "elw".
        limits: the lowest and the highest price of the day: `price_limits(base)`, or `(info.lst_pric, info.upl_pric)`
            of the reply to ka10001. None: they are not checked.

    Raises:
        LocalProtocolError: the price is none that the order may have, or an argument is not what it should be. Names
            the element, the price and what would do.
    """
    elements = getattr(order, "elements", {})
    if getattr(order, "safety", "") != "order_write" or "dmst_stex_tp" not in elements:
        raise LocalProtocolError(f"order: must be an order for a Korean stock, not {quoted(order)}")
    if limits is not None and not all(isinstance(limit, int | Decimal) and limit > 0 for limit in limits):
        raise LocalProtocolError(f"limits: must be two prices above 0, not {quoted(limits)}")
    values = order.to_dict()
    for name in PRICE_ELEMENTS:
        price = int(values.get(name) or 0)
        if not price:
            continue
        tick = tick_size(price, instrument)
        if values.get("trde_tp") not in MIDPOINT_ORDERS and price % tick:
            elements[name].refuse(
                f"{price} is not on the tick of {_named(instrument)}, {tick} won there: {_nearest(price, instrument)}"
            )
        lowest, highest = limits or (None, None)
        if lowest is not None and price < lowest:
            elements[name].refuse(f"{price} is below {lowest}, the lowest price of the day (하한가)")
        if highest is not None and price > highest:
            elements[name].refuse(f"{price} is above {highest}, the highest price of the day (상한가)")


def fault_of_price(price: int) -> str:
    """Return why no Korean instrument that is traded in won can have a price; "" if one can.

    Args:
        price: the price, in won, above 0.
    """
    if any(is_on_tick(price, instrument) for instrument in get_args(Instrument)):
        return ""
    return (
        f"{price} is on no tick: of stocks it is {tick_size(price)} won there ({_nearest(price, 'stock')}), of ETFs, "
        f"ETNs and ELWs {_FUND_TICK} ({_nearest(price, 'etf')})"
    )


def _nearest(price: int, instrument: Instrument) -> str:
    tick = tick_size(price, instrument)
    prices = (price // tick * tick, (price // tick + 1) * tick)
    return " or ".join(str(each) for each in prices if each)


def _named(instrument: Instrument) -> str:
    return "a stock" if instrument == "stock" else f"an {instrument.upper()}"


def _check(price: object, instrument: object) -> None:
    if isinstance(price, bool) or not isinstance(price, int) or price <= 0:
        raise LocalProtocolError(f"price: must be a whole number of won above 0, not {price!r}")
    if instrument not in get_args(Instrument):
        raise LocalProtocolError(f"instrument: must be one of {', '.join(get_args(Instrument))}, not {instrument!r}")

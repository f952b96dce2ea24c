"""What an order must be before a byte of it is sent, beyond what each of its elements must be.

A quantity or price that no exchange takes, a limit order without a price, a market order with one, the code of another
market: such an order was not meant, and the server might read it as another one.

    quantities      whole and above 0; of an amendment or a cancellation also 0, which is all that is left
    prices          above 0, of Korean instruments whole, and on a tick that one of them has
    trade types     some need a price, some have none; a stop limit order needs a condition price, others have none
    codes           of the market of the order: see `instruments`

What nobody has said is not refused: orders at the midpoint (29 to 31) and US stop orders (35) may have a price or none.
Nothing here knows the tick and the daily limits of the instrument of an order: see `prices.check_order`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..display import quoted
from .instruments import fault_of_stock, fault_of_us_stock
from .prices import MIDPOINT_ORDERS, PRICE_ELEMENTS, fault_of_price

__all__ = ("fault_of_order",)

_WHOLE = re.compile(r"[0-9]+").fullmatch
_ZERO = re.compile(r"0*(?:\.0*)?").fullmatch
_OF_US_ORDERS = "orders for US stocks are UsBuyOrder, UsSellOrder and so on"

_PRICED = {
    "domestic": frozenset({"0", "00", "5", "10", "20", "28", "62"}),
    "us": frozenset({"00", "26", "27", "30", "34"}),
}
"""Limit orders of all kinds. Of gold, 10 and 20 are limit orders too."""
_UNPRICED = {
    "domestic": frozenset({"3", "6", "7", "13", "16", "23", "26", "61", "81"}),
    "us": frozenset({"03", "33", "36", "37"}),
}
"""Orders at the market, at a best price, or at a close."""
_PRICES = frozenset({"ord_uv", "cond_uv", "mdfy_uv", "mdfy_cond_uv", "stop_pric", "fc_exmn_amt"})
_NEVER_ZERO = {"domestic": frozenset({"mdfy_uv"}), "us": frozenset({"fc_exmn_amt"})}
"""Where 0 does not stand for no price."""
_STOP_LIMIT = "28"
_US_STOPS = frozenset({"34", "35"})


def fault_of_order(market: str, values: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Return what is wrong with an order: the name of an element and the reason; None if nothing is.

    Args:
        market: "domestic" or "us", as of the request.
        values: what the request holds, by the names on the wire; each is already one that its element takes.
    """
    return next(_faults(market, values), None)


def _faults(market: str, values: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    is_us = market == "us"
    has_code = is_us or "dmst_stex_tp" in values  # the codes of gold are listed with their element
    if has_code and (code := values.get("stk_cd")):
        reason = fault_of_us_stock(code) if is_us else fault_of_stock(code, _OF_US_ORDERS)
        if reason:
            yield "stk_cd", reason
    for name, text in values.items():
        if text and name.endswith("_qty"):
            takes_zero = name != "ord_qty"
            if not _WHOLE(text) or (_ZERO(text) and not takes_zero):
                least = "a whole number above 0, or 0 for all that is left" if takes_zero else "a whole number above 0"
                yield name, f"must be {least}, not {quoted(text)}"
        if text and name in _PRICES:
            is_price = not text.startswith("-") if is_us else _WHOLE(text)
            if not is_price or (_ZERO(text) and name in _NEVER_ZERO[market]):
                yield name, f"must be {'above 0' if is_us else 'a whole number of won above 0'}, not {quoted(text)}"
    if has_code and not is_us and values.get("trde_tp") not in MIDPOINT_ORDERS:
        for name in PRICE_ELEMENTS:
            if _is_given(values, name) and (reason := fault_of_price(int(values[name] or 0))):
                yield name, reason
    if is_us and "mdfy_uv" in values and not (_is_given(values, "mdfy_uv") or _is_given(values, "stop_pric")):
        yield "mdfy_uv", "an amendment needs a price above 0: give mdfy_uv, or stop_pric of a stop order"
    if (kind := values.get("trde_tp")) is not None:
        yield from _faults_of_kind(market, kind, values)


def _is_given(values: Mapping[str, str | None], name: str) -> bool:
    """Return whether there is a price that is not 0, which stands for none."""
    text = values.get(name)
    return bool(text) and not _ZERO(text or "")


def _faults_of_kind(market: str, kind: str, values: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yield where the prices of an order are not those of its trade type."""
    has_price = _is_given(values, "ord_uv")
    if kind in _PRICED[market] and not has_price:
        yield (
            "ord_uv",
            f"trde_tp {quoted(kind)} needs a price above 0; an order at the market is {_market_kind(market)}",
        )
    if kind in _UNPRICED[market] and has_price:
        yield "ord_uv", f"trde_tp {quoted(kind)} has no price: leave it out, or choose a limit order"
    if "cond_uv" in values:
        if kind == _STOP_LIMIT and not _is_given(values, "cond_uv"):
            yield "cond_uv", f"trde_tp {quoted(kind)}, a stop limit order, needs it, above 0"
        if kind != _STOP_LIMIT and _is_given(values, "cond_uv"):
            yield "cond_uv", f"only stop limit orders, trde_tp '{_STOP_LIMIT}', have it: leave it out"
    if market == "us" and kind in _US_STOPS and not _is_given(values, "stop_pric"):
        yield "stop_pric", f"trde_tp {quoted(kind)}, a stop order, needs it, above 0"


def _market_kind(market: str) -> str:
    return "'03'" if market == "us" else "'3'"

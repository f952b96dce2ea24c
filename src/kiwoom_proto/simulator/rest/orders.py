"""Orders: buy (kt10000), sell (kt10001), amend (kt10002) and cancel (kt10003).

An order is accepted at once; from then on the market trades it as any other. Rows of 00 and 04 report it. Measured: a
refusal has return_code 20, a code such as RC4003 in its text, and no order number; "0" shares cancels all that is
left.

Choices: orders are taken while the market trades continuously, 09:00 to 15:20. Of the kinds of orders there are limit
(0, 5), market (3), and limit at the best price of the other side (6) or of the own side (7); others are refused. The
cash that a market order may need is reckoned at the upper limit.
"""

from __future__ import annotations

from types import MappingProxyType

from ..market.account import MARKET_PRICE, Order, Side
from ..market.orders import is_on_tick, is_possible
from ..market.sessions import CONTINUOUS
from ..market.trading import Trading
from .call import Call, Reply
from .texts import (
    BEYOND_LIMITS,
    CLOSED,
    NO_CASH,
    NO_ORDER,
    NO_ROOM,
    NO_SHARES,
    NO_STOCK,
    OFF_TICK,
    TOO_EARLY,
    Refused,
    bad_format,
    missing,
    not_simulated,
)

__all__ = ("amend", "buy", "cancel", "cost_of", "sell")

SUFFIXES = MappingProxyType({"KRX": "", "NXT": "_NX", "SOR": "_AL"})
LIMIT, MARKET, BEST_OTHER, BEST_OWN = ("0", "5"), "3", "6", "7"


def buy(call: Call) -> Reply:
    """Answer kt10000."""
    return _place(call, "buy")


def sell(call: Call) -> Reply:
    """Answer kt10001."""
    return _place(call, "sell")


def _place(call: Call, side: Side) -> Reply:
    trading = _trading(call)
    quantity = _above_zero(call, "ord_qty")
    price = _price_of(call, trading, side)
    _check_hours(call)
    _check_price(price, trading)
    accounts, stock, key = call.market.accounts, trading.stock, call.key
    if not accounts.can_take(key):
        raise Refused(*NO_ROOM)
    if side == "buy":
        needed = quantity * (price or stock.instrument.upper)
        if needed > accounts.cash(key) - accounts.reserved(key, lambda order: cost_of(order, call)):
            raise Refused(*NO_CASH)
    elif quantity > accounts.orderable(key, stock.item):
        raise Refused(*NO_SHARES)
    order = accounts.place(key, stock.item, side, quantity, price)
    call.market.take_orders(stock.item, call.moment)
    return Reply({"ord_no": order.number, "dmst_stex_tp": call.text("dmst_stex_tp")})


def amend(call: Call) -> Reply:
    """Answer kt10002."""
    trading = _trading(call)
    price = _above_zero(call, "mdfy_uv")
    original, quantity = _original(call, trading, "mdfy_qty")
    _check_price(price, trading)
    accounts = call.market.accounts
    if original.buys:
        more = quantity * (price - cost_of(original, call))
        if more > accounts.cash(call.key) - accounts.reserved(call.key, lambda order: cost_of(order, call)):
            raise Refused(*NO_CASH)
    order = call.market.withdraw(original, quantity, "amend", price, call.moment)
    return Reply(_withdrawn(call, order, "mdfy_qty"))


def cancel(call: Call) -> Reply:
    """Answer kt10003."""
    original, quantity = _original(call, _trading(call), "cncl_qty")
    order = call.market.withdraw(original, quantity, "cancel", original.price, call.moment)
    reply = _withdrawn(call, order, "cncl_qty")
    del reply["dmst_stex_tp"]
    return Reply(reply)


def _withdrawn(call: Call, order: Order, name: str) -> dict[str, str]:
    return {
        "ord_no": order.number,
        "base_orig_ord_no": order.original,
        name: f"{order.quantity:012}",
        "dmst_stex_tp": call.text("dmst_stex_tp"),
    }


def cost_of(order: Order, call: Call) -> int:
    """Return the price at which an open order may trade at worst."""
    return order.price or call.market.trading(order.item, call.moment).stock.instrument.upper


def _trading(call: Call) -> Trading:
    suffix = SUFFIXES.get(call.text("dmst_stex_tp"))
    if suffix is None:
        raise Refused(*bad_format("dmst_stex_tp"))
    code = call.text("stk_cd").removeprefix("A").removesuffix("_NX").removesuffix("_AL")
    trading = call.stock(code + suffix)
    if trading is None:
        raise Refused(*NO_STOCK)
    return trading


def _above_zero(call: Call, name: str) -> int:
    number = call.number(name)
    if not number:
        raise Refused(*bad_format(name))
    return number


def _price_of(call: Call, trading: Trading, side: Side) -> int:
    kind, book = call.text("trde_tp"), trading.stock.book
    if kind == MARKET:
        return MARKET_PRICE
    if kind in LIMIT:
        if not call.text("ord_uv"):
            raise Refused(*missing("ord_uv"))
        return _above_zero(call, "ord_uv")
    if kind in (BEST_OTHER, BEST_OWN):
        asks = (side == "buy") is (kind == BEST_OTHER)
        return (book.ask_prices if asks else book.bid_prices)[0]
    raise Refused(*not_simulated("trde_tp", kind))


def _check_hours(call: Call) -> None:
    opens, closes = CONTINUOUS[0]
    if call.moment.second < opens:
        raise Refused(*TOO_EARLY)
    if call.moment.second >= closes:
        raise Refused(*CLOSED)


def _check_price(price: int, trading: Trading) -> None:
    if not is_possible(price, trading.stock.instrument):
        raise Refused(*(BEYOND_LIMITS if is_on_tick(price, trading.stock.instrument) else OFF_TICK))


def _original(call: Call, trading: Trading, name: str) -> tuple[Order, int]:
    """Return the open order that is meant, and how many of its shares."""
    number, quantity = call.text("orig_ord_no"), call.number(name)
    _check_hours(call)
    for order in call.market.accounts.open.get(trading.stock.item, ()):
        is_meant = order.key == call.key and order.number == number.zfill(len(order.number)) and order.status
        if is_meant and quantity <= order.remaining:
            return order, quantity or order.remaining
    raise Refused(*NO_ORDER)

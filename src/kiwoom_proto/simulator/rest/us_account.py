"""US orders and holdings of the account: open orders (ust21050), executions of today (ust21510), holdings (ust21070).

They hold what the rows of F4 and F5 hold. Numbers are padded as in official examples, which have frgn_ord_id and
stex_tp too. The tables lack these.

Choices: a page has 50 rows. ust21510 has one row for each order of the day in New York, with its total and its latest
price, executed or not. There are no fees on US stocks.
"""

from __future__ import annotations

from ..market.account import Order
from ..market.formats import hundredths, ratio
from ..market.instrument import NEW_YORK
from ..market.sessions import DAY
from ..market.us import dollars
from .account import padded
from .call import Call, Reply, page_of

__all__ = ("executions", "holdings", "open_orders")

PAGE = 50
RATE = 138_520
"""Won per dollar, in hundredths."""


def _orders(call: Call) -> list[Order]:
    """Return the orders of the account, newest first, by what the parameters ask for."""
    wanted = {"1": False, "2": True}.get(call.text("slby_tp"))
    code, exchange = call.text("stk_cd"), call.text("stex_tp")
    return [
        order
        for order in reversed(call.market.accounts.us_orders_of(call.key))
        if (wanted is None or order.buys is wanted)
        and code in ("", order.item.partition(":")[0])
        and exchange in ("", order.item.partition(":")[2])
    ]


def _common(call: Call, order: Order) -> dict[str, str]:
    code = order.item.partition(":")[0]
    return {
        "ord_no": order.number,
        "orig_ord_no": "000000000",
        "stex_nm": "미국",
        "crnc_code": "USD",
        "stk_cd": code,
        "frgn_stk_nm": call.market.trading(order.item, call.moment).stock.instrument.name,
        "frgn_trde_tp": "00" if order.price else "03",
        "frgn_trde_nm": "지정가" if order.price else "시장가",
        "slby_tp": "2" if order.buys else "1",
        "slby_tp_nm": "매수" if order.buys else "매도",
        "ord_qty": padded(order.quantity, 12),
        "ord_uv": dollars(order.price),
        "stop_pric": dollars(0),
        "cntr_qty": padded(order.filled, 12),
        "cntr_uv": dollars(order.last_price),
        "ord_remnq": padded(order.remaining if order.is_open else 0, 12),
        "ord_time": _clock(order),
        "ord_resp_time": _clock(order),
        "ord_stat": order.status,
        "rsrv_tp": "일반",
        "natn_nm": "미국",
    }


def _clock(order: Order) -> str:
    return f"{order.time[:2]}:{order.time[2:4]}:{order.time[4:]}"


def open_orders(call: Call) -> Reply:
    """Answer ust21050."""
    rows = [
        {
            **_common(call, order),
            "ord_cntr_tp": "10",
            "mdfy_qty": padded(0, 12),
            "mdfy_uv": dollars(0),
            "cncl_qty": padded(0, 12),
            "frgn_ord_id": "",
        }
        for order in _orders(call)
        if order.is_open
    ]
    page, next_key = page_of(rows, call.next_key, PAGE)
    return Reply({"result_list": page}, next_key)


def executions(call: Call) -> Reply:
    """Answer ust21510."""
    today = call.moment.shifted(NEW_YORK).day
    rows = []
    for order in _orders(call):
        second = sum(int(order.time[at : at + 2]) * unit for at, unit in ((0, 3600), (2, 60), (4, 1)))
        if (order.day * DAY + second + NEW_YORK) // DAY == today:
            confirmed = {"cnfm_qty": padded(0, 12), "cntr_time": _clock(order) if order.filled else ""}
            rows.append({**_common(call, order), **confirmed})
    page, next_key = page_of(rows, call.next_key, PAGE)
    return Reply({"result_list": page}, next_key)


def _won(value: int) -> str:
    """Return an amount in ten thousandths of a dollar, in won."""
    return padded(value * RATE // 1_000_000)


def holdings(call: Call) -> Reply:
    """Answer ust21070."""
    code, exchange = call.text("stk_cd"), call.text("stex_tp")
    rows: list[dict[str, str]] = []
    cost = worth = 0
    for item, held in call.market.accounts.us_holdings(call.key).items():
        own_code, _, own_exchange = item.partition(":")
        if code not in ("", own_code) or exchange not in ("", own_exchange):
            continue
        stock = call.market.trading(item, call.moment).stock
        value = stock.last * held.quantity
        cost, worth = cost + held.cost, worth + value
        rows.append(
            {
                "stex_nm": "미국",
                "crnc_code": "USD",
                "stk_cd": own_code,
                "frgn_stk_nm": stock.instrument.name,
                **dict.fromkeys(("qty", "poss_qty", "sell_alowq"), padded(held.quantity, 12)),
                "pred_cntr_sellq": padded(0, 12),
                "pred_cntr_buyq": padded(0, 12),
                "tdy_cntr_sellq": padded(held.sold_today, 12),
                "tdy_cntr_buyq": padded(held.bought_today, 12),
                "frgn_stk_book_uv": dollars(held.average),
                "now_pric": dollars(stock.last),
                "evlt_amt": dollars(value),
                "pl_amt": dollars(value - held.cost),
                "pl_rt": hundredths(ratio(value - held.cost, held.cost), plus=False),
                "evlt_amt_krw": _won(value),
                "pl_amt_krw": _won(value - held.cost),
                "natn_nm": "미국",
                "exch_rate": hundredths(RATE, plus=False),
                "frgn_stk_book_uv_krw": _won(held.average),
                "now_pric_krw": _won(stock.last),
                "frgn_stk_book_amt": dollars(held.cost),
                "frgn_stk_book_amt_krw": _won(held.cost),
            }
        )
    totals = {
        "crnc_code": "USD",
        "tot_evlt_amt": dollars(worth),
        "tot_prch_amt": dollars(cost),
        "tot_pl_amt": dollars(worth - cost),
        "tot_pl_rt": hundredths(ratio(worth - cost, cost), plus=False),
        "tdy_book_amt": dollars(0),
        "tdy_pl_amt": dollars(0),
        "tdy_pl_rt": "0.00",
        "tot_evlt_amt_krw": _won(worth),
        "tot_prch_amt_krw": _won(cost),
        "tot_pl_amt_krw": _won(worth - cost),
        "tdy_book_amt_krw": padded(0),
        "tdy_pl_amt_krw": padded(0),
        "stex_tp": exchange,
    }
    page, next_key = page_of(rows, call.next_key, PAGE)
    return Reply({**totals, "result_list": page}, next_key)

"""The account: open orders, fills, orders of a day, holdings, cash and number.

These are ka10075, ka10076, kt00007, kt00018, kt00004, kt00001 and ka00001.

All are views of the same orders and holdings that rows of 00 and 04 report. Measured: zero-padded amounts with the
sign inside the width, an "A" before the code in kt00018 and kt00007, a space before the return_msg of ka10075, and its
empty list.

Choices: a page has 50 rows. ka10076 has one row for each order with fills, with their total and the latest price. Only
the orders of today are known, as in kt00007 for other days. All cash can be withdrawn and ordered with, except what
open orders reserve; settlement days are left out, and fractions of stocks' worth as collateral too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..market.account import Holding, Order, fee_of, tax_of
from ..market.formats import hundredths, price, ratio
from ..market.orders import EXCHANGES, task_name, unfilled
from ..market.stock import Stock
from .call import Call, Reply, page_of
from .orders import cost_of

__all__ = ("account_number", "cash", "evaluation", "fills", "holdings", "open_orders", "order_history", "padded")

PAGE = 50
AMOUNT = 15
"""Width of amounts in kt00001 and kt00018."""


def padded(value: int, width: int = AMOUNT) -> str:
    """Return a number with zeros up to a width that includes the sign: "-00000000000012"."""
    return f"{value:0{width}d}"


def account_number(call: Call) -> Reply:
    """Answer ka00001."""
    return Reply({"acctNo": call.market.accounts.account_of(call.key)})


def _venue_of(order: Order) -> str:
    return {"_NX": "NXT", "_AL": "SOR"}.get(order.item[-3:], "KRX")


def _code_of(order: Order) -> str:
    return order.item[:6]


def _orders(call: Call, *, side: str, stock: bool) -> list[Order]:
    """Return the account's orders, newest first, by what the parameters ask for. `side` names that of the side."""
    wanted = {"0": None, "1": False, "2": True}.get(call.text(side))
    venue = {"1": "KRX", "2": "NXT"}.get(call.text("stex_tp"))
    code = call.text("stk_cd")[:6] if stock else ""
    return [
        order
        for order in reversed(call.market.accounts.orders_of(call.key, call.moment.day))
        if (wanted is None or order.buys is wanted)
        and (not code or code == _code_of(order))
        and (venue is None or venue == _venue_of(order))
    ]


def open_orders(call: Call) -> Reply:
    """Answer ka10075."""
    orders = _orders(call, side="trde_tp", stock=call.text("all_stk_tp") == "1")
    rows, next_key = page_of([_open_order(call, order) for order in orders if order.is_open], call.next_key, PAGE)
    return Reply({"oso": rows}, next_key, " 조회가 완료되었습니다")


def _open_order(call: Call, order: Order) -> dict[str, str]:
    stock = call.market.trading(order.item, call.moment).stock
    reference = stock.instrument.reference
    exchange, exchange_name = EXCHANGES[stock.venue]
    return {
        "acnt_no": order.account,
        "ord_no": order.number,
        "mang_empno": "",
        "stk_cd": _code_of(order),
        "tsk_tp": "",
        "ord_stt": order.status,
        "stk_nm": stock.instrument.name,
        "ord_qty": str(order.quantity),
        "ord_pric": str(order.price),
        "oso_qty": str(unfilled(order)),
        "cntr_tot_amt": str(order.amount),
        "orig_ord_no": order.original,
        "io_tp_nm": task_name(order),
        "trde_tp": _kind_of(order),
        "tm": order.time,
        "cntr_no": str(order.execution or ""),
        "cntr_pric": str(order.last_price),
        "cntr_qty": str(order.filled),
        "cur_prc": price(stock.last, reference),
        "sel_bid": price(stock.book.ask_prices[0], reference),
        "buy_bid": price(stock.book.bid_prices[0], reference),
        "unit_cntr_pric": str(order.last_price or ""),
        "unit_cntr_qty": str(order.last_quantity or ""),
        "tdy_trde_cmsn": str(order.fee),
        "tdy_trde_tax": str(order.tax),
        "ind_invsr": "",
        "stex_tp": exchange,
        "stex_tp_txt": exchange_name,
        "sor_yn": "Y" if stock.venue == "SOR" else "N",
        "stop_pric": "",
    }


def _kind_of(order: Order) -> str:
    return "보통" if order.price else "시장가"


def fills(call: Call) -> Reply:
    """Answer ka10076."""
    orders = _orders(call, side="sell_tp", stock=call.text("qry_tp") == "1")
    before = call.text("ord_no")
    rows = [_filled(call, order) for order in orders if order.filled and (not before or order.number < before.zfill(7))]
    page, next_key = page_of(rows, call.next_key, PAGE)
    return Reply({"cntr": page}, next_key)


def _filled(call: Call, order: Order) -> dict[str, str]:
    stock = call.market.trading(order.item, call.moment).stock
    exchange, exchange_name = EXCHANGES[stock.venue]
    return {
        "ord_no": order.number,
        "stk_nm": stock.instrument.name,
        "io_tp_nm": task_name(order),
        "ord_pric": str(order.price),
        "ord_qty": str(order.quantity),
        "cntr_pric": str(order.last_price),
        "cntr_qty": str(order.filled),
        "oso_qty": str(unfilled(order)),
        "tdy_trde_cmsn": str(order.fee),
        "tdy_trde_tax": str(order.tax),
        "ord_stt": order.status,
        "trde_tp": _kind_of(order),
        "orig_ord_no": order.original,
        "ord_tm": order.time,
        "stk_cd": _code_of(order),
        "stex_tp": exchange,
        "stex_tp_txt": "SOR" if stock.venue == "SOR" else exchange_name,
        "sor_yn": "Y" if stock.venue == "SOR" else "N",
        "stop_pric": "",
    }


def order_history(call: Call) -> Reply:
    """Answer kt00007."""
    date, kind, venue = call.text("ord_dt"), call.text("qry_tp"), call.text("dmst_stex_tp")
    orders: Iterable[Order] = _orders(call, side="sell_tp", stock=True)
    if kind != "2":
        orders = reversed(list(orders))
    first = call.text("fr_ord_no")
    today = f"{call.moment.date:%Y%m%d}"
    rows = [
        _told(call, order)
        for order in orders
        if (kind != "3" or order.is_open)
        and (kind != "4" or order.filled)
        and venue in ("%", _venue_of(order))
        and (not first or order.number >= first.zfill(7))
        and (date or today) == today
        and call.text("stk_bond_tp") != "2"
    ]
    page, next_key = page_of(rows, call.next_key, PAGE)
    return Reply({"acnt_ord_cntr_prps_dtl": page}, next_key)


def _told(call: Call, order: Order) -> dict[str, str]:
    stock = call.market.trading(order.item, call.moment).stock
    time = f"{order.time[:2]}:{order.time[2:4]}:{order.time[4:]}"
    confirmed = order.quantity if order.task != "new" else 0
    return {
        "ord_no": order.number,
        "stk_cd": f"A{_code_of(order)}",
        "trde_tp": _kind_of(order),
        "crd_tp": "보통매매",
        "ord_qty": padded(order.quantity, 10),
        "ord_uv": padded(order.price, 10),
        "cnfm_qty": padded(confirmed, 10),
        "acpt_tp": "주문거부" if order.status == "거부" else "접수",
        "rsrv_tp": "",
        "ord_tm": time,
        "ori_ord": order.original,
        "stk_nm": stock.instrument.name,
        "io_tp_nm": "현금매수" if order.buys else "현금매도",
        "loan_dt": "",
        "cntr_qty": padded(order.filled, 10),
        "cntr_uv": padded(order.amount // order.filled if order.filled else 0, 10),
        "ord_remnq": padded(unfilled(order), 10),
        "comm_ord_tp": "REST API",
        "mdfy_cncl": {"new": "", "amend": "정정", "cancel": "취소"}[order.task],
        "cnfm_tm": time if confirmed else "",
        "dmst_stex_tp": _venue_of(order),
        "cond_uv": padded(0, 10),
    }


def _held(call: Call) -> Iterator[tuple[str, Holding, Stock]]:
    for code, held in call.market.accounts.holdings(call.key, call.moment.day).items():
        if held.quantity:
            yield code, held, call.market.trading(code, call.moment).stock


def _profit(held: Holding, value: int) -> int:
    """Return what a sale of a holding at this value would gain, after fees and tax."""
    return value - held.cost - fee_of(held.cost) - fee_of(value) - tax_of(value)


def holdings(call: Call) -> Reply:
    """Answer kt00018."""
    accounts = call.market.accounts
    rows: list[dict[str, str]] = []
    bought = worth = gained = 0
    for code, held, stock in _held(call):
        value = stock.last * held.quantity
        fee_in, fee_out, tax = fee_of(held.cost), fee_of(value), tax_of(value)
        profit = _profit(held, value)
        bought, worth, gained = bought + held.cost, worth + value, gained + profit
        rows.append(
            {
                "stk_cd": f"A{code}",
                "stk_nm": stock.instrument.name,
                "evltv_prft": padded(profit),
                "prft_rt": hundredths(ratio(profit, held.cost), plus=False),
                "pur_pric": padded(held.average),
                "pred_close_pric": padded(stock.instrument.reference, 12),
                "rmnd_qty": padded(held.quantity),
                "trde_able_qty": padded(accounts.orderable(call.key, code)),
                "cur_prc": padded(stock.last, 12),
                "pred_buyq": padded(0),
                "pred_sellq": padded(0),
                "tdy_buyq": padded(held.bought_today),
                "tdy_sellq": padded(held.sold_today),
                "pur_amt": padded(held.cost),
                "pur_cmsn": padded(fee_in),
                "evlt_amt": padded(value),
                "sell_cmsn": padded(fee_out),
                "tax": padded(tax),
                "sum_cmsn": padded(fee_in + fee_out),
                "poss_rt": "",
                "crd_tp": "00",
                "crd_tp_nm": "",
                "crd_loan_dt": "",
            }
        )
    for row in rows:
        row["poss_rt"] = hundredths(ratio(int(row["pur_amt"]), bought), plus=False)
    page, next_key = page_of(rows, call.next_key, PAGE)
    totals = {
        "tot_pur_amt": padded(bought),
        "tot_evlt_amt": padded(worth),
        "tot_evlt_pl": padded(gained),
        "tot_prft_rt": hundredths(ratio(gained, bought), plus=False),
        "prsm_dpst_aset_amt": padded(accounts.cash(call.key) + worth),
        **dict.fromkeys(("tot_loan_amt", "tot_crd_loan_amt", "tot_crd_ls_amt"), padded(0)),
    }
    return Reply({**totals, "acnt_evlt_remn_indv_tot": page}, next_key)


def evaluation(call: Call) -> Reply:
    """Answer kt00004."""
    money = call.market.accounts.cash(call.key)
    rows: list[dict[str, str]] = []
    bought = worth = 0
    for code, held, stock in _held(call):
        value = stock.last * held.quantity
        profit = _profit(held, value)
        bought, worth = bought + held.cost, worth + value
        part = 10_000 * profit * 100 // held.cost if held.cost else 0
        rows.append(
            {
                "stk_cd": f"A{code}",
                "stk_nm": stock.instrument.name,
                "rmnd_qty": padded(held.quantity, 12),
                "avg_prc": padded(held.average, 12),
                "cur_prc": padded(stock.last, 12),
                "evlt_amt": padded(value, 12),
                "pl_amt": padded(profit, 12),
                "pl_rt": f"{'-' if part < 0 else ''}{abs(part) // 10_000}.{abs(part) % 10_000:04}",
                "loan_dt": "",
                "pur_amt": padded(held.cost, 12),
                "setl_remn": padded(held.quantity, 12),
                "pred_buyq": padded(0, 12),
                "pred_sellq": padded(0, 12),
                "tdy_buyq": padded(held.bought_today, 12),
                "tdy_sellq": padded(held.sold_today, 12),
            }
        )
    zeros = ("tot_grnt_sella", "tdy_lspft_amt", "invt_bsamt", "lspft_amt", "tdy_lspft", "lspft2", "lspft")
    totals = {
        "acnt_nm": "",
        "brch_nm": "",
        "entr": padded(money, 12),
        "d2_entra": padded(money, 12),
        "tot_est_amt": padded(worth, 12),
        "aset_evlt_amt": padded(money + worth, 12),
        "tot_pur_amt": padded(bought, 12),
        "prsm_dpst_aset_amt": padded(money + worth, 12),
        **dict.fromkeys(zeros, padded(0, 12)),
        **dict.fromkeys(("tdy_lspft_rt", "lspft_ratio", "lspft_rt"), "0.00"),
    }
    page, next_key = page_of(rows, call.next_key, PAGE)
    return Reply({**totals, "stk_acnt_evlt_prst": page}, next_key)


# fmt: off
_CASH = (
    "entr", "profa_ch", "bncr_profa_ch", "nxdy_bncr_sell_exct", "fc_stk_krw_repl_set_amt", "crd_grnta_ch",
    "crd_grnt_ch", "add_grnt_ch", "etc_profa", "uncl_stk_amt", "shrts_prica", "crd_set_grnta", "chck_ina_amt",
    "etc_chck_ina_amt", "crd_grnt_ruse", "knx_asset_evltv", "elwdpst_evlta", "crd_ls_rght_frcs_amt",
    "lvlh_join_amt", "lvlh_trns_alowa", "repl_amt", "remn_repl_evlta", "trst_remn_repl_evlta",
    "bncr_remn_repl_evlta", "profa_repl", "crd_grnta_repl", "crd_grnt_repl", "add_grnt_repl", "rght_repl_amt",
    "pymn_alow_amt", "wrap_pymn_alow_amt", "ord_alow_amt", "bncr_buy_alowa", "20stk_ord_alow_amt",
    "30stk_ord_alow_amt", "40stk_ord_alow_amt", "100stk_ord_alow_amt", "ch_uncla", "ch_uncla_dlfe",
    "ch_uncla_tot", "crd_int_npay", "int_npay_amt_dlfe", "int_npay_amt_tot", "etc_loana", "etc_loana_dlfe",
    "etc_loan_tot", "nrpy_loan", "loan_sum", "ls_sum", "crd_grnt_rt", "mdstrm_usfe", "min_ord_alow_yn",
    "loan_remn_evlt_amt", "dpst_grntl_remn", "sell_grntl_remn", "d1_entra", "d1_slby_exct_amt", "d1_buy_exct_amt",
    "d1_out_rep_mor", "d1_sel_exct_amt", "d1_pymn_alow_amt", "d2_entra", "d2_slby_exct_amt", "d2_buy_exct_amt",
    "d2_out_rep_mor", "d2_sel_exct_amt", "d2_pymn_alow_amt", "50stk_ord_alow_amt", "60stk_ord_alow_amt",
)
_AVAILABLE = (
    "pymn_alow_amt", "ord_alow_amt", "bncr_buy_alowa", "20stk_ord_alow_amt", "30stk_ord_alow_amt",
    "40stk_ord_alow_amt", "50stk_ord_alow_amt", "60stk_ord_alow_amt", "100stk_ord_alow_amt", "d1_pymn_alow_amt",
    "d2_pymn_alow_amt",
)
# fmt: on


def cash(call: Call) -> Reply:
    """Answer kt00001."""
    accounts = call.market.accounts
    money = accounts.cash(call.key)
    reserved = accounts.reserved(call.key, lambda order: cost_of(order, call))
    values = dict.fromkeys(_CASH, padded(0))
    values |= dict.fromkeys(("entr", "d1_entra", "d2_entra"), padded(money))
    values |= dict.fromkeys(_AVAILABLE, padded(max(0, money - reserved)))
    values["profa_ch"] = padded(reserved)
    values["crd_grnt_rt"] = "0.00"
    return Reply({**values, "stk_entr_prst": []})

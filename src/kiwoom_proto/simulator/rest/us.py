"""Quotes of a US stock: its state (usa20100) and its order book (usa20101).

They hold what the rows of FE and FT hold. Both have elements that their tables lack, as in the official examples. An
unknown stock gets blanks, which is a choice. Figures that the market does not have are blank or made up.
"""

from __future__ import annotations

from types import MappingProxyType

from ..market.formats import hundredths, percent, ratio
from ..market.instrument import NEW_YORK
from ..market.names import is_listed
from ..market.sessions import DAY, Moment
from ..market.stock import Stock
from ..market.tape import Bar
from ..market.trading import Trading
from ..market.us import dollars, us_price
from .call import Call, Reply

__all__ = ("quote", "state")

LEVELS = range(1, 11)
YEAR = 252
"""Trading days of a year."""
EXCHANGE_RATE = "1385.20"
SIDES = "sel", "buy"

STATE = (
    *("stex_tp", "stk_cd", "stk_nm", "stk_enm"),
    *(f"52wk_{edge}_pric{part}" for edge in ("hgst", "lwst") for part in ("", "_pre_rt", "_dt")),
    *("stk_cnt", "mac", "setl_mm", "lg_inds_cd", "sm_inds_cd", "cur_prc", "pred_pre_sig", "pred_pre", "flu_rt"),
    "acc_trde_qty",
    *(f"oyr_{edge}{part}" for edge in ("hgst", "lwst") for part in ("", "_dt", "_pre_rt")),
    *("pre_open_pric", "pre_high_pric", "pre_low_pric", "base_close_pric", "upl_pric", "lst_pric", "trde_qty_unit"),
    *("uncert_lv", "comp_adv_tp", "curr_unit", "open_pric", "high_pric", "low_pric", "trd_susp_tp", "base_exrt"),
    "fnc_health_lv",
)
QUOTE = (
    *("stex_tp", "stk_cd", "stk_nm", "stk_enm", "cur_prc", "pred_pre", "flu_rt", "trde_qty", "trde_prica"),
    *("open_pric", "high_pric", "low_pric", "bid_tm", "dt", "pred_pre_sig", "fpr_sel_bid", "fpr_buy_bid"),
    *("pre_trde_rt", "trde_tern_rt"),
    *(f"{side}_{level}bid" for side in SIDES for level in LEVELS),
    *(f"{side}_{level}bid_req" for side in SIDES for level in LEVELS),
    *(f"sel_{level}bid_jub_pre" for level in LEVELS),
    "buy_1th_pre_req_pre",
    *(f"buy_{level}bid_jub_pre" for level in LEVELS),
    *("tot_sel_req", "sel_bid_tot_req_jub_pre", "tot_buy_req", "buy_bid_tot_req_jub_pre", "netprps_req"),
    *("netslmt_req", "upl_pric", "base_pric"),
    *(f"{side}_{level}bid_cnt" for side in SIDES for level in LEVELS),
    *("tot_sel_cnt", "tot_buy_cnt"),
)
_NAMES = MappingProxyType({"SPY": "SPDR S&P 500 ETF TRUST"})


def _trading(call: Call) -> Trading | None:
    code, exchange = call.text("stk_cd"), call.text("stex_tp")
    item = f"{code}:{exchange}"
    if ":" in code or not is_listed("FT", item):
        return None
    call.keep("FT", item)
    return call.market.trading(item, call.moment)


def _common(stock: Stock) -> dict[str, str]:
    reference, last = stock.instrument.reference, stock.last
    code = stock.instrument.code
    return {
        "stex_tp": stock.venue,
        "stk_cd": code,
        "stk_nm": stock.instrument.name,
        "stk_enm": _NAMES.get(code, code),
        "cur_prc": us_price(last, reference),
        "pred_pre_sig": stock.sign,
        "pred_pre": ("+" if last > reference else "") + dollars(last - reference),
        "flu_rt": percent(last - reference, reference),
        **{
            f"{name}_pric": us_price(value, reference) if value else ""
            for name, value in (("open", stock.open), ("high", stock.high), ("low", stock.low))
        },
    }


def state(call: Call) -> Reply:
    """Answer usa20100."""
    trading = _trading(call)
    values = dict.fromkeys(STATE, "")
    if trading is None:
        return Reply(values)
    stock = trading.stock
    instrument, reference = stock.instrument, stock.instrument.reference
    days = call.market.history(stock).days()
    before = days[-2] if stock.volume else days[-1]
    values |= _common(stock)
    year = f"{call.moment.shifted(NEW_YORK).date:%Y}"
    spans = {"52wk": days[-YEAR:], "oyr": [bar for bar in days[-2 * YEAR :] if _date_of(bar)[:4] == year] or days[-1:]}
    for name, span in spans.items():
        part = "_pric" if name == "52wk" else ""
        for edge, bar, at in (
            ("hgst", *max(((bar, bar.high) for bar in span), key=lambda one: one[1])),
            ("lwst", *min(((bar, bar.low) for bar in span), key=lambda one: one[1])),
        ):
            values[f"{name}_{edge}{part}"] = us_price(at, reference)
            values[f"{name}_{edge}{part}_dt"] = _date_of(bar)
            values[f"{name}_{edge}{part}_pre_rt"] = percent(stock.last - at, at)
    return Reply(
        values
        | {
            "stk_cnt": str(instrument.shares),
            "mac": str(instrument.shares * stock.last // 10_000_000),
            "acc_trde_qty": str(stock.volume),
            "pre_open_pric": dollars(before.open),
            "pre_high_pric": dollars(before.high),
            "pre_low_pric": dollars(before.low),
            "base_close_pric": dollars(reference),
            "trde_qty_unit": "1",
            "curr_unit": "USD",
            "trd_susp_tp": "0",
            "base_exrt": EXCHANGE_RATE,
        }
    )


def _date_of(bar: Bar) -> str:
    return f"{Moment(bar.at * DAY).date:%Y%m%d}"


def quote(call: Call) -> Reply:
    """Answer usa20101."""
    trading = _trading(call)
    values = dict.fromkeys(QUOTE, "")
    if trading is None:
        return Reply(values)
    stock, row = trading.stock, trading.quote(call.moment)
    values |= _common(stock)
    for number, side in enumerate(SIDES):
        for level in LEVELS:
            fid = 10 * number + level
            values[f"{side}_{level}bid"] = row[str(40 + fid)]
            values[f"{side}_{level}bid_req"] = row[str(60 + fid)]
            values[f"{side}_{level}bid_jub_pre"] = row[str(80 + fid)].strip()
    asks, bids = int(row["121"]), int(row["125"])
    less = stock.volume < stock.previous_volume
    return Reply(
        values
        | {
            "trde_qty": str(stock.volume),
            "trde_prica": str(stock.turnover // 10_000_000),
            "bid_tm": f"{row['21'][:2]}:{row['21'][2:4]}",
            "dt": f"{call.moment.shifted(NEW_YORK).date:%Y%m%d}",
            "fpr_sel_bid": row["41"],
            "fpr_buy_bid": row["51"],
            "pre_trde_rt": hundredths(ratio(-stock.volume if less else stock.volume, stock.previous_volume)),
            "trde_tern_rt": f"+{hundredths(ratio(stock.volume, stock.instrument.shares), plus=False)}",
            "buy_1th_pre_req_pre": values["buy_1bid_jub_pre"],
            "tot_sel_req": row["121"],
            "sel_bid_tot_req_jub_pre": row["122"].strip(),
            "tot_buy_req": row["125"],
            "buy_bid_tot_req_jub_pre": row["126"].strip(),
            "netprps_req": str(bids - asks),
            "netslmt_req": str(asks - bids),
            "base_pric": dollars(stock.instrument.reference),
        }
    )

"""Domestic stocks: one (ka10001, ka10100), up to 100 at once (ka10095), and all of a market (ka10099).

Measured: an unknown code gets a row of blanks with return_code 0 in ka10095, more than 100 codes return_code 5, and
codes keep the suffix they were asked with; counts and greeks are empty; the lists have keys in camelCase and
zero-padded numbers, and rows of other markets come along. What nobody measured of ka10001 and ka10100 follows ka10095.

Figures that the market does not have (earnings, credit, free float) are blank or made up.
"""

from __future__ import annotations

from types import MappingProxyType

from ..market.formats import hundredths, percent, price, ratio, signed, unsigned_percent
from ..market.instrument import Instrument
from ..market.names import is_listed
from ..market.sessions import DAY, Moment, clock_text
from ..market.stock import Stock
from ..market.tape import Bar
from ..market.trading import DomesticTrading, Trading
from .call import Call, Reply
from .texts import TOO_MANY_CODES, Refused

__all__ = ("basics", "listing", "one_listing", "several")

MAX_CODES = 100
MILLION, HUNDRED_MILLION = 1_000_000, 100_000_000
FACE_VALUE = 500
YEAR = 250
"""Trading days of a year."""

BASICS = (
    *("stk_cd", "stk_nm", "setl_mm", "fav", "cap", "flo_stk", "crd_rt", "oyr_hgst", "oyr_lwst", "mac", "mac_wght"),
    *("for_exh_rt", "repl_pric", "per", "eps", "roe", "pbr", "ev", "bps", "sale_amt", "bus_pro", "cup_nga", "250hgst"),
    *("250lwst", "high_pric", "open_pric", "low_pric", "upl_pric", "lst_pric", "base_pric", "exp_cntr_pric"),
    *("exp_cntr_qty", "250hgst_pric_dt", "250hgst_pric_pre_rt", "250lwst_pric_dt", "250lwst_pric_pre_rt", "cur_prc"),
    *("pre_sig", "pred_pre", "flu_rt", "trde_qty", "trde_pre", "fav_unit", "dstr_stk", "dstr_rt"),
)
SEVERAL = (
    *("stk_cd", "stk_nm", "cur_prc", "base_pric", "pred_pre", "pred_pre_sig", "flu_rt", "trde_qty", "trde_prica"),
    *("cntr_qty", "cntr_str", "pred_trde_qty_pre", "sel_bid", "buy_bid"),
    *(f"{side}_{level}th_bid" for side in ("sel", "buy") for level in range(1, 6)),
    *("upl_pric", "lst_pric", "open_pric", "high_pric", "low_pric", "close_pric", "cntr_tm", "exp_cntr_pric"),
    *("exp_cntr_qty", "cap", "fav", "mac", "stkcnt", "bid_tm", "dt", "pri_sel_req", "pri_buy_req", "pri_sel_cnt"),
    *("pri_buy_cnt", "tot_sel_req", "tot_buy_req", "tot_sel_cnt", "tot_buy_cnt", "prty", "gear", "pl_qutr"),
    *("cap_support", "elwexec_pric", "cnvt_rt", "elwexpr_dt", "cntr_engg", "cntr_pred_pre", "theory_pric"),
    *("innr_vltl", "delta", "gam", "theta", "vega", "law"),
)


def _date_of(day: int) -> str:
    return f"{Moment(day * DAY).date:%Y%m%d}"


def _common(call: Call, trading: Trading) -> dict[str, str]:
    """Return what ka10001 and ka10095 both have."""
    stock = trading.stock
    instrument, last = stock.instrument, stock.last
    reference = instrument.reference
    expected = trading.expected(call.moment) if isinstance(trading, DomesticTrading) else None
    change = last - reference
    return {
        "stk_cd": call.text("stk_cd"),
        "stk_nm": instrument.name,
        "fav": str(FACE_VALUE),
        "cap": str(FACE_VALUE * instrument.shares // HUNDRED_MILLION),
        "mac": str(last * instrument.shares // HUNDRED_MILLION),
        "open_pric": price(stock.open, reference),
        "high_pric": price(stock.high, reference),
        "low_pric": price(stock.low, reference),
        "upl_pric": price(instrument.upper, reference),
        "lst_pric": price(instrument.lower, reference),
        "base_pric": str(reference),
        "exp_cntr_pric": price(0 if expected is None else expected.price, reference),
        "exp_cntr_qty": str(0 if expected is None else expected.quantity),
        "cur_prc": price(last, reference),
        "pred_pre": signed(change),
        "flu_rt": percent(change, reference),
        "trde_qty": str(stock.volume),
    }


def _against_yesterday(stock: Stock) -> str:
    """Return the volume against yesterday's, as FID 30 has it."""
    less = stock.volume < stock.previous_volume
    return hundredths(ratio(-stock.volume if less else stock.volume, stock.previous_volume))


def basics(call: Call) -> Reply:
    """Answer ka10001."""
    trading = call.stock(call.text("stk_cd"))
    values = dict.fromkeys(BASICS, "")
    if trading is None:
        return Reply(values)
    stock = trading.stock
    reference, shares = stock.instrument.reference, stock.instrument.shares
    days = call.market.history(stock).days()
    year = f"{call.moment.date:%Y}"
    this_year = [bar for bar in days[-2 * YEAR :] if _date_of(bar.at)[:4] == year] or days[-1:]
    recent = days[-YEAR:]
    top, bottom = max(recent, key=_high), min(recent, key=_low)
    return Reply(
        values
        | _common(call, trading)
        | {
            "setl_mm": "12",
            "flo_stk": str(shares // 1000),
            "crd_rt": "0.00",
            "oyr_hgst": price(max(map(_high, this_year)), reference),
            "oyr_lwst": price(min(map(_low, this_year)), reference),
            "for_exh_rt": "0.00",
            "repl_pric": str(reference * 8 // 10),
            **dict.fromkeys(("sale_amt", "bus_pro", "cup_nga"), "0"),
            "250hgst": price(top.high, reference),
            "250lwst": price(bottom.low, reference),
            "250hgst_pric_dt": _date_of(top.at),
            "250hgst_pric_pre_rt": percent(stock.last - top.high, top.high),
            "250lwst_pric_dt": _date_of(bottom.at),
            "250lwst_pric_pre_rt": percent(stock.last - bottom.low, bottom.low),
            "pre_sig": stock.sign,
            "trde_pre": _against_yesterday(stock),
            "fav_unit": "원",
            "dstr_stk": str(shares * 6 // 10),
            "dstr_rt": "60.0",
        }
    )


def _high(bar: Bar) -> int:
    return bar.high


def _low(bar: Bar) -> int:
    return bar.low


def several(call: Call) -> Reply:
    """Answer ka10095."""
    codes = [code.strip() for code in call.text("stk_cd").split("|")]
    if len(codes) > MAX_CODES:
        raise Refused(*TOO_MANY_CODES)
    return Reply({"atn_stk_infr": [_one_of_several(call, code) for code in codes]})


def _one_of_several(call: Call, code: str) -> dict[str, str]:
    trading = call.stock(code)
    values = dict.fromkeys(SEVERAL, "")
    if trading is None:
        return values
    stock, quote = trading.stock, trading.quote(call.moment)
    second, _, quantity = next(stock.tape.trades(), (None, 0, 0))
    return (
        values
        | {name: value for name, value in _common(call, trading).items() if name in values}
        | {
            "stk_cd": code,
            "pred_pre_sig": stock.sign,
            "trde_prica": str(stock.turnover // MILLION),
            "cntr_qty": signed(quantity),
            "cntr_str": unsigned_percent(stock.bought, stock.sold),
            "pred_trde_qty_pre": _against_yesterday(stock),
            "sel_bid": quote["41"],
            "buy_bid": quote["51"],
            **{f"sel_{level}th_bid": quote[str(40 + level)] for level in range(1, 6)},
            **{f"buy_{level}th_bid": quote[str(50 + level)] for level in range(1, 6)},
            "close_pric": price(stock.last, stock.instrument.reference),
            "cntr_tm": "" if second is None else clock_text(second),
            "stkcnt": str(stock.instrument.shares // 1000),
            "bid_tm": quote["21"],
            "dt": f"{call.moment.date:%Y%m%d}",
            "pri_sel_req": quote["61"],
            "pri_buy_req": quote["71"],
            "tot_sel_req": quote["121"],
            "tot_buy_req": quote["125"],
            **dict.fromkeys(("prty", "gear", "pl_qutr", "cap_support"), "0.00"),
            "elwexec_pric": "0",
            "cnvt_rt": "0.0000",
            "elwexpr_dt": "00000000",
        }
    )


# Lists.

KOSPI, KOSDAQ, ELW, ETF = "0", "10", "3", "8"
_MARKETS = MappingProxyType({KOSPI: "거래소", KOSDAQ: "코스닥", ELW: "ELW", ETF: "ETF"})
_ALSO = MappingProxyType({KOSPI: (KOSPI, ETF)})
"""mrkt_tp -> the markets whose rows come; only its own if it is not here."""


def listing(call: Call) -> Reply:
    """Answer ka10099."""
    asked = call.text("mrkt_tp")
    markets = _ALSO.get(asked, (asked,))
    listed = [one for one in call.market.listed() if _market_of(one) in markets]
    return Reply({"list": [_listed(one) for one in sorted(listed, key=lambda one: one.code)]})


def one_listing(call: Call) -> Reply:
    """Answer ka10100."""
    code = call.text("stk_cd")
    if "_" in code or not code[:1].isdigit() or not is_listed("0D", code):
        return Reply(dict.fromkeys(_listed(call.market.instrument("005930")), ""))
    return Reply(_listed(call.market.instrument(code)))


def _market_of(instrument: Instrument) -> str:
    kinds = {"etf": ETF, "elw": ELW}
    return kinds.get(instrument.kind) or (KOSDAQ if instrument.market == "101" else KOSPI)


def _listed(instrument: Instrument) -> dict[str, str]:
    market = _market_of(instrument)
    yesterday = instrument.close if instrument.day is None else instrument.reference
    return {
        "code": instrument.code,
        "name": instrument.name,
        "listCount": f"{instrument.shares:016}",
        "auditInfo": "정상",
        "regDay": "20100104",
        "lastPrice": f"{yesterday:08}",
        "state": "증거금20%|담보대출|신용가능",
        "marketCode": market,
        "marketName": _MARKETS[market],
        "upName": "" if market in (ETF, ELW) else "전기전자",
        "upSizeName": "대형주" if market == KOSPI else "",
        "companyClassName": "",
        "orderWarning": "0",
        "nxtEnable": "Y" if market in (KOSPI, KOSDAQ) else "N",
    }

"""What is told of a stock beside its trades: brokers (ka10040), an ETF (ka40009), an ELW (ka30012), programs (ka90008).

They hold what the rows of 0F, 0G, 0m, 0u and 0w hold. Measured: negative numbers have two minus signs in ka30012 and
ka90008, and theoretical prices of ka30012 are hundredths. In official examples the quantities of ka10040 have the sign
of their side.

Choices: an unknown code gets blanks, or no rows. Figures that the market does not have are blank. The lists by time
have the present state only, and the market knows one day, which ka90008 answers with for every date. No broker has left
the largest five of ka10040.
"""

from __future__ import annotations

from ..market.formats import percent, signed
from ..market.stock import Stock
from ..market.trading import DomesticTrading
from .call import Call, Reply
from .quotes import doubled

__all__ = ("brokers", "elw", "etf", "programs")

RANKS = range(1, 6)
BROKERS = (
    *(
        f"{side}_trde_ori_{kind}{rank}"
        for rank in RANKS
        for side in ("sel", "buy")
        for kind in ("irds_", "qty_", "", "cd_")
    ),
    *(f"frgn_{side}_prsm_sum{part}" for side in ("sel", "buy") for part in ("_chang", "")),
)
ETF = (
    *("nav", "navpred_pre", "navflu_rt", "trace_eor_rt", "dispty_rt", "stkcnt", "base_pric", "for_rmnd_qty"),
    *("repl_pric", "conv_pric", "drstk", "wonju_pric"),
)
ELW = (
    *("aset_cd", "cur_prc", "pred_pre_sig", "pred_pre", "flu_rt", "lpmmcm_nm", "lpmmcm_nm_1", "lpmmcm_nm_2"),
    *("elwrght_cntn", "elwexpr_evlt_pric", "elwtheory_pric", "dispty_rt", "elwinnr_vltl", "exp_rght_pric"),
    *("elwpl_qutr_rt", "elwexec_pric", "elwcnvt_rt", "elwcmpn_rt", "elwpric_rising_part_rt", "elwrght_type"),
    *("elwsrvive_dys", "stkcnt", "elwlpord_pos", "lpposs_rt", "lprmnd_qty", "elwspread", "elwprty", "elwgear"),
    *("elwflo_dt", "elwfin_trde_dt", "expr_dt", "exec_dt", "lpsuply_end_dt", "elwpay_dt", "elwinvt_ix_comput"),
    *("elwpay_agnt", "elwappr_way", "elwrght_exec_way", "elwpblicte_orgn", "dcsn_pay_amt", "kobarr", "iv"),
    "clsprd_end_elwocr",
    *(f"bsis_aset_{part}{number}" for number in RANKS for part in ("", "comp_rt_")),
    *("fr_dt", "to_dt", "fr_tm", "evlt_end_tm", "evlt_pric", "evlt_fnsh_yn"),
    *(f"{span}_{edge}_pric" for span in ("all", "imaf", "sndhalf_mrkt") for edge in ("hgst", "lwst")),
)
PROGRAMS = (
    *("tm", "cur_prc", "pre_sig", "pred_pre", "flu_rt", "trde_qty", "prm_sell_amt", "prm_buy_amt", "prm_netprps_amt"),
    *("prm_netprps_amt_irds", "prm_sell_qty", "prm_buy_qty", "prm_netprps_qty", "prm_netprps_qty_irds"),
    *("base_pric_tm", "dbrt_trde_rpy_sum", "remn_rcvord_sum", "stex_tp"),
)


def _summary(call: Call, *types: str) -> tuple[Stock, dict[str, str]] | None:
    """Return the stock that is asked for, and the values of the rows of these types; None if it is not listed."""
    trading = call.stock(call.text("stk_cd"))
    if trading is None:
        return None
    assert isinstance(trading, DomesticTrading)
    values: dict[str, str] = {}
    for type in types:
        values |= trading.summary(type, call.moment)
    return trading.stock, values


def brokers(call: Call) -> Reply:
    """Answer ka10040."""
    values = dict.fromkeys(BROKERS, "")
    found = _summary(call, "0F")
    if found is None:
        return Reply({**values, "tdy_main_trde_ori": []})
    _, row = found
    for rank in RANKS:
        for side, first in (("sel", 140), ("buy", 150)):
            fid, sign = first + rank, -1 if side == "sel" else 1
            values[f"{side}_trde_ori_{rank}"] = row[str(fid)]
            values[f"{side}_trde_ori_cd_{rank}"] = row[str(fid + 5)]
            values[f"{side}_trde_ori_qty_{rank}"] = signed(sign * int(row[str(fid + 20)]))
            values[f"{side}_trde_ori_irds_{rank}"] = row[str(fid + 25)]
    values["frgn_sel_prsm_sum"], values["frgn_sel_prsm_sum_chang"] = signed(-int(row["261"])), row["262"]
    values["frgn_buy_prsm_sum"], values["frgn_buy_prsm_sum_chang"] = signed(int(row["263"])), row["264"]
    return Reply({**values, "tdy_main_trde_ori": []})


def etf(call: Call) -> Reply:
    """Answer ka40009."""
    found = _summary(call, "0G")
    if found is None:
        return Reply({"etfnavarray": []})
    stock, row = found
    values = dict.fromkeys(ETF, "") | {
        "nav": row["36"],
        "navpred_pre": row["37"],
        "navflu_rt": row["38"],
        "trace_eor_rt": row["39"],
        "dispty_rt": row["266"],
        "stkcnt": str(stock.instrument.shares // 1_000),
        "base_pric": str(stock.instrument.reference),
    }
    return Reply({"etfnavarray": [values]})


def elw(call: Call) -> Reply:
    """Answer ka30012."""
    values = dict.fromkeys(ELW, "")
    found = _summary(call, "0u", "0m")
    if found is None:
        return Reply(values)
    stock, row = found
    reference, last = stock.instrument.reference, stock.last
    return Reply(
        values
        | {
            "cur_prc": row["10"].strip(),
            "pred_pre_sig": stock.sign,
            "pred_pre": doubled(signed(last - reference)),
            "flu_rt": doubled(percent(last - reference, reference)),
            "elwtheory_pric": f"{row['670']}00",
            "elwprty": row["666"],
            "elwgear": row["667"],
            "elwpl_qutr_rt": doubled(row["668"]),
            "stkcnt": str(stock.instrument.shares // 1_000),
            "elwrght_type": "CALL",
        }
    )


def programs(call: Call) -> Reply:
    """Answer ka90008."""
    found = _summary(call, "0w")
    if found is None:
        return Reply({"stk_tm_prm_trde_trnsn": []})
    stock, row = found
    values = dict.fromkeys(PROGRAMS, "") | {
        "tm": row["20"],
        "cur_prc": row["10"],
        "pre_sig": row["25"],
        "pred_pre": doubled(row["11"]),
        "flu_rt": doubled(row["12"]),
        "trde_qty": row["13"],
        "prm_sell_amt": row["204"],
        "prm_buy_amt": row["208"],
        "prm_netprps_amt": doubled(row["212"]),
        "prm_netprps_amt_irds": doubled(row["213"]),
        "prm_sell_qty": row["202"],
        "prm_buy_qty": row["206"],
        "prm_netprps_qty": doubled(row["210"]),
        "prm_netprps_qty_irds": doubled(row["211"]),
        "stex_tp": "통합" if stock.venue == "SOR" else stock.venue,
    }
    return Reply({"stk_tm_prm_trde_trnsn": [values]})

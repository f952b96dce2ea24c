"""The market as a whole: an index (ka20001), all of a market (ka20003), and volatility interruptions (ka10054).

They hold what the rows of 0J, 0U and 1h hold. Measured: the release time of a stock that is still interrupted is
"000000"; mrkt_tp of ka20001 has no effect; a row with the time 888888 is the closing total. ka20001 has an element in
its rows that its table lacks. A choice: the earlier times of ka20001 are the latest 30 changes.
"""

from __future__ import annotations

from ..market.formats import percent
from ..market.indices import Sector
from ..market.names import SECTORS, is_listed
from ..market.sessions import DAY, clock_text
from .call import Call, Reply

__all__ = ("index", "indices", "interruptions")

CLOSED = 55_800
"""15:30."""


def _sector(call: Call, item: str) -> Sector | None:
    if not is_listed("0J", item):
        return None
    call.keep("0J", item)
    found = call.market.source("0J", item)
    assert isinstance(found, Sector)
    found.prepare(call.moment)
    return found


_BREADTH = (("upl", "251"), ("rising", "252"), ("stdns", "253"), ("fall", "255"), ("lst", "254"))
INDEX = (
    *("cur_prc", "pred_pre_sig", "pred_pre", "flu_rt", "trde_qty", "trde_prica", "trde_frmatn_stk_num"),
    *("trde_frmatn_rt", "open_pric", "high_pric", "low_pric", *(name for name, _ in _BREADTH)),
    *(f"52wk_{edge}_pric{part}" for edge in ("hgst", "lwst") for part in ("", "_dt", "_pre_rt")),
)


def index(call: Call) -> Reply:
    """Answer ka20001."""
    sector = _sector(call, call.text("inds_cd"))
    values = dict.fromkeys(INDEX, "")
    if sector is None:
        return Reply({**values, "inds_cur_prc_tm": []})
    row, breadth = sector.values(call.moment)
    values |= {
        "cur_prc": row["10"],
        "pred_pre_sig": row["25"],
        "pred_pre": row["11"],
        "flu_rt": row["12"],
        "trde_qty": row["13"],
        "trde_prica": row["14"],
        "trde_frmatn_stk_num": breadth["256"],
        "trde_frmatn_rt": breadth["257"],
        "open_pric": row["16"],
        "high_pric": row["17"],
        "low_pric": row["18"],
        **{name: breadth[fid] for name, fid in _BREADTH},
        "52wk_hgst_pric": row["17"],
        "52wk_lwst_pric": row["18"],
        **dict.fromkeys(("52wk_hgst_pric_dt", "52wk_lwst_pric_dt"), f"{call.moment.date:%Y%m%d}"),
        "52wk_hgst_pric_pre_rt": _rate(row["10"], row["17"]),
        "52wk_lwst_pric_pre_rt": _rate(row["10"], row["18"]),
    }
    samples = list(reversed(sector.samples))
    if samples and call.moment.second >= CLOSED:
        samples.insert(0, ("888888", *samples[0][1:]))
    return Reply({**values, "inds_cur_prc_tm": [_time(sector, *sample) for sample in samples]})


def _rate(now: str, then: str) -> str:
    points = [int(text.lstrip("+-").replace(".", "")) for text in (now, then)]
    return percent(points[0] - points[1], points[1])


def _time(sector: Sector, time: str, level: int, quantity: int, volume: int) -> dict[str, str]:
    points, code, change, rate = sector.against_reference(level)
    return {
        "tm_n": time,
        "cur_prc_n": points,
        "pred_pre_sig_n": code,
        "pred_pre_n": change,
        "flu_rt_n": rate,
        "trde_qty_n": str(quantity),
        "acc_trde_qty_n": str(volume),
        "stex_tp": "",
    }


def indices(call: Call) -> Reply:
    """Answer ka20003."""
    of_kosdaq = call.text("inds_cd")[:1] == "1"
    rows = []
    for item, (name, _, listed) in SECTORS.items():
        sector = _sector(call, item) if (item[:1] == "1") is of_kosdaq else None
        if sector is None:
            continue
        row, breadth = sector.values(call.moment)
        rows.append(
            {
                "stk_cd": item,
                "stk_nm": name,
                "cur_prc": row["10"],
                "pre_sig": row["25"],
                "pred_pre": row["11"],
                "flu_rt": row["12"],
                "trde_qty": row["13"],
                "wght": "",
                "trde_prica": row["14"],
                **{name: breadth[fid] for name, fid in _BREADTH},
                "flo_stk_num": str(listed),
            }
        )
    return Reply({"all_inds_idex": rows})


_VENUES = {"1": "KRX", "2": "NXT"}


def interruptions(call: Call) -> Reply:
    """Answer ka10054. Interruptions are static ones, so dynamic ones alone are none."""
    moment = call.moment
    market, code, direction = call.text("mrkt_tp"), call.text("stk_cd")[:6], call.text("motn_drc")
    venue = _VENUES.get(call.text("stex_tp"))
    quantities, amounts = _range(call, "trde_qty"), _range(call, "trde_prica")
    rows = []
    for stock, one in reversed(call.market.interruptions.log):
        instrument, up = stock.instrument, one.price > one.reference
        if (
            one.at // DAY != moment.day
            or call.text("motn_tp") == "2"
            or (market != "000" and instrument.market != market)
            or (code and instrument.code != code)
            or (direction == "1" and not up)
            or (direction == "2" and up)
            or (venue is not None and stock.venue != venue)
            or not quantities[0] <= stock.volume <= quantities[1]
            or not amounts[0] <= stock.turnover // 1_000_000 <= amounts[1]
        ):
            continue
        rows.append(
            {
                "stk_cd": instrument.code,
                "stk_nm": instrument.name,
                "acc_trde_qty": str(stock.volume),
                "motn_pric": str(one.price),
                "dynm_dispty_rt": "0.00",
                "trde_cntr_proc_time": clock_text(one.at % DAY),
                "virelis_time": clock_text(one.until % DAY) if one.until <= moment.stamp else "000000",
                "viaplc_tp": "정적",
                "dynm_stdpc": "0",
                "static_stdpc": str(one.reference),
                "static_dispty_rt": percent(one.price - one.reference, one.reference),
                "open_pric_pre_flu_rt": percent(one.price - stock.open, stock.open),
                "vimotn_cnt": str(one.number),
                "stex_tp": "통합" if stock.venue == "SOR" else stock.venue,
            }
        )
    return Reply({"motn_stk": rows})


def _range(call: Call, name: str) -> tuple[int, int]:
    """Return the lowest and highest value that is asked for."""
    if call.text(f"{name}_tp") != "1":
        return 0, 1 << 80
    return call.number(f"min_{name}", default=0), call.number(f"max_{name}", default=1 << 80)

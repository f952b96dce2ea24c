"""Quotes of a domestic stock: its order book (ka10004), latest trades (ka10003), and after-hours orders (ka10087).

They hold what the rows of 0D, 0B and 0E hold. Measured: changes of quantities that are negative have two minus signs
in ka10004; a combined item ("_AL") gets the order book of KRX; empty levels of ka10087 are "-0", and an unknown code
gets blanks with return_code 0.

Choices: an unknown code gets blanks in ka10004 too, and no rows in ka10003. A page of ka10003 has 100 rows. ka10087
has prices during the single-price session only, with the totals of 0E spread over five levels.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..market.formats import change_code, percent, price, signed, unsigned_percent
from ..market.quotes import AfterHoursBook
from ..market.sessions import clock_text
from ..market.stock import Stock
from .call import Call, Reply
from .texts import Refused, bad_format

__all__ = ("after_hours", "doubled", "order_book", "trades")

TRADES_A_PAGE = 100
SINGLE_PRICE = 57_600, 64_800
"""The session with prices: 16:00 to 18:00."""
LEVELS = 5
DEPTH = 10


def doubled(change: str) -> str:
    """Return a change as ka10004 has it: "--2" where a row has "-2"."""
    return f"-{change}" if change.startswith("-") else change


def order_book(call: Call) -> Reply:
    """Answer ka10004."""
    trading = call.stock(call.text("stk_cd").removesuffix("_AL"))
    if trading is None:
        return Reply(dict.fromkeys(_book_names(), ""))
    values = trading.quote(call.moment)
    late = after_hours_values(call, trading.stock.item)
    names: dict[str, str] = {"bid_req_base_tm": values["21"]}
    for level in range(DEPTH, 0, -1):
        name = "sel_fpr" if level == 1 else f"sel_{level}th_pre"
        names[f"sel_{level}th_pre_req_pre"] = doubled(values[str(80 + level)])
        names[f"{name}_req"] = values[str(60 + level)]
        names[f"{name}_bid"] = values[str(40 + level)]
    for level in range(1, DEPTH + 1):
        name = "buy_fpr" if level == 1 else f"buy_{level}th_pre"
        names[f"{name}_bid"] = values[str(50 + level)]
        names[f"{name}_req"] = values[str(70 + level)]
        names[f"buy_{level}th_pre_req_pre"] = doubled(values[str(90 + level)])
    names["tot_sel_req_jub_pre"], names["tot_sel_req"] = doubled(values["122"]), values["121"]
    names["tot_buy_req"], names["tot_buy_req_jub_pre"] = values["125"], doubled(values["126"])
    names["ovt_sel_req_pre"], names["ovt_sel_req"] = doubled(late["132"]), late["131"]
    names["ovt_buy_req"], names["ovt_buy_req_pre"] = late["135"], doubled(late["136"])
    return Reply(names)


def _book_names() -> Iterator[str]:
    yield "bid_req_base_tm"
    for level in range(DEPTH, 0, -1):
        yield f"sel_{level}th_pre_req_pre"
        yield from (
            ("sel_fpr_req", "sel_fpr_bid") if level == 1 else (f"sel_{level}th_pre_req", f"sel_{level}th_pre_bid")
        )
    for level in range(1, DEPTH + 1):
        yield from (
            ("buy_fpr_bid", "buy_fpr_req") if level == 1 else (f"buy_{level}th_pre_bid", f"buy_{level}th_pre_req")
        )
        yield f"buy_{level}th_pre_req_pre"
    yield from ("tot_sel_req_jub_pre", "tot_sel_req", "tot_buy_req", "tot_buy_req_jub_pre")
    yield from ("ovt_sel_req_pre", "ovt_sel_req", "ovt_buy_req", "ovt_buy_req_pre")


def after_hours_values(call: Call, item: str) -> dict[str, str]:
    """Return the values of 0E of a stock, and keep its after-hours orders going."""
    call.keep("0E", item)
    book = call.market.source("0E", item)
    assert isinstance(book, AfterHoursBook)
    return book.values(call.moment)


def trades(call: Call) -> Reply:
    """Answer ka10003."""
    trading = call.stock(call.text("stk_cd"))
    key = call.next_key
    if key and not (key.isascii() and key.isdecimal() and len(key) <= 18):
        raise Refused(*bad_format("next-key"))
    rows: list[dict[str, str]] = []
    before = int(key) if key else None
    for volume, row in () if trading is None else _trades_of(trading.stock):
        if before is not None and volume >= before:
            continue
        if len(rows) == TRADES_A_PAGE:
            return Reply({"cntr_infr": rows}, f"{int(rows[-1]['acc_trde_qty']):018}")
        rows.append(row)
    return Reply({"cntr_infr": rows})


def _trades_of(stock: Stock) -> Iterator[tuple[int, dict[str, str]]]:
    """Return the trades that are kept, newest first, each after the day's volume up to it."""
    instrument = stock.instrument
    reference = instrument.reference
    volume, turnover, bought, sold = stock.volume, stock.turnover, stock.bought, stock.sold
    for second, at, quantity in stock.tape.trades():
        buyer, shares = quantity > 0, abs(quantity)
        ask, bid = (at, instrument.down(at)) if buyer else (instrument.up(at), at)
        # Of a combined book, as FID 9081 has it.
        venue = ("NXT" if shares % 3 == 0 else "KRX") if stock.venue == "SOR" else stock.venue
        yield (
            volume,
            {
                "tm": clock_text(second),
                "cur_prc": price(at, reference),
                "pred_pre": signed(at - reference),
                "pre_rt": percent(at - reference, reference),
                "pri_sel_bid_unit": price(ask, reference),
                "pri_buy_bid_unit": price(bid, reference),
                "cntr_trde_qty": str(quantity),
                "sign": change_code(at, reference, instrument.upper, instrument.lower),
                "acc_trde_qty": str(volume),
                "acc_trde_prica": str(turnover),
                "cntr_str": unsigned_percent(bought, sold),
                "stex_tp": venue,
            },
        )
        volume, turnover = volume - shares, turnover - shares * at
        if buyer:
            bought -= shares
        else:
            sold -= shares


def after_hours(call: Call) -> Reply:
    """Answer ka10087. Only a plain code is known: with the suffix of a venue it gets blanks."""
    item = call.text("stk_cd")
    trading = None if "_" in item else call.stock(item)
    if trading is None:
        return Reply(dict.fromkeys(_after_hours_names(), ""))
    stock = trading.stock
    reference = stock.instrument.reference
    late, book = after_hours_values(call, item), trading.quote(call.moment)
    has_prices = SINGLE_PRICE[0] <= call.moment.second < SINGLE_PRICE[1]
    names = dict.fromkeys(_after_hours_names(), "0")
    names["bid_req_base_tm"] = late["21"]
    for side, total, change, step in (("sel", "131", "132", 1), ("buy", "135", "136", -1)):
        at = stock.last
        for level in range(1, LEVELS + 1):
            shown = price(at if has_prices else 0, reference)
            names[f"ovt_sigpric_{side}_bid_{level}"] = shown
            quantity = int(late[total]) * (LEVELS + 1 - level) // 15 if has_prices and at else 0
            names[f"ovt_sigpric_{side}_bid_qty_{level}"] = str(quantity)
            at = stock.instrument.up(at) if step > 0 else stock.instrument.down(at)
        names[f"ovt_sigpric_{side}_bid_jub_pre_1"] = late[change] if has_prices else "0"
        names[f"ovt_sigpric_{side}_bid_tot_req"] = late[total] if has_prices else "0"
        names[f"ovt_{side}_bid_tot_req"], names[f"ovt_{side}_bid_tot_req_jub_pre"] = late[total], late[change]
    names["sel_bid_tot_req"], names["sel_bid_tot_req_jub_pre"] = book["121"], book["122"]
    names["buy_bid_tot_req"], names["buy_bid_tot_req_jub_pre"] = book["125"], book["126"]
    names["ovt_sigpric_cur_prc"] = price(stock.last, reference)
    names["ovt_sigpric_pred_pre_sig"] = stock.sign
    names["ovt_sigpric_pred_pre"] = signed(stock.last - reference)
    names["ovt_sigpric_flu_rt"] = percent(stock.last - reference, reference)
    return Reply(names)


def _after_hours_names() -> Iterator[str]:
    yield "bid_req_base_tm"
    sides = (
        ("sel", range(LEVELS, 0, -1), ("jub_pre_", "qty_", "")),
        ("buy", range(1, LEVELS + 1), ("", "qty_", "jub_pre_")),
    )
    for side, levels, kinds in sides:
        for kind in kinds:
            yield from (f"ovt_sigpric_{side}_bid_{kind}{level}" for level in levels)
    yield from ("ovt_sigpric_sel_bid_tot_req", "ovt_sigpric_buy_bid_tot_req")
    yield from ("sel_bid_tot_req_jub_pre", "sel_bid_tot_req", "buy_bid_tot_req", "buy_bid_tot_req_jub_pre")
    yield from ("ovt_sel_bid_tot_req_jub_pre", "ovt_sel_bid_tot_req")
    yield from ("ovt_buy_bid_tot_req", "ovt_buy_bid_tot_req_jub_pre")
    yield from (f"ovt_sigpric_{name}" for name in ("cur_prc", "pred_pre_sig", "pred_pre", "flu_rt", "acc_trde_qty"))

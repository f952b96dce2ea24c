"""Charts of a domestic stock: ticks (ka10079), minutes (ka10080) and days (ka10081), newest bar first.

The bars before the stock was first wanted are made up (`market.history`); the newest one is the state of the market.
Measured: 900 ticks, 900 minutes and 600 days a page; a minute without trades has no bar; minutes are kept for about 13
months; prices of minutes carry the direction, those of ticks and days do not, and ticks an unsigned change; volumes of
days stop at 4,294,967,295; ka10080 has an element that its table lacks. Days go back from the base date.

Choices: ticks are kept for 20 days. An unknown code gets one row of blanks, as was measured of a stock in ka10081.
Bars of several minutes or ticks are counted from the opening of each day.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from ..market.formats import change_code, hundredths, price, ratio, signed
from ..market.history import History
from ..market.instrument import price_limits
from ..market.sessions import CONTINUOUS, DAY, Moment, clock_text
from ..market.stock import Stock
from ..market.tape import Bar
from .call import Call, Reply
from .texts import Refused, bad_format

__all__ = ("days", "minutes", "ticks")

BARS_A_PAGE, DAYS_A_PAGE = 900, 600
MINUTE_DAYS = 270
TICK_DAYS = 20
LARGEST = 2**32 - 1
MILLION = 1_000_000
MINUTES = 1, 3, 5, 10, 15, 30, 45, 60
TICKS = 1, 3, 5, 10, 30
OF_TICKS = "cur_prc", "trde_qty", "cntr_tm", "open_pric", "high_pric", "low_pric", "pred_pre", "pred_pre_sig"
OF_MINUTES = *OF_TICKS[:6], "acc_trde_qty", *OF_TICKS[6:]
OF_DAYS = "cur_prc", "trde_qty", "trde_prica", "dt", *OF_TICKS[3:], "trde_tern_rt"
_KEY = re.compile(r"A([0-9A-Z]{6})([0-9]{8})([0-9]{15})").fullmatch
_DATE = re.compile(r"[0-9]{8}").fullmatch


def _date_of(day: int) -> str:
    return f"{Moment(day * DAY).date:%Y%m%d}"


def _code_of(call: Call) -> str:
    return call.text("stk_cd").partition("_")[0]


def _date(call: Call) -> str:
    """Return the base date, or "" if there is none."""
    text = call.text("base_dt")
    if not text:
        return ""
    try:
        if _DATE(text) is None:
            raise ValueError
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        raise Refused(*bad_format("base_dt")) from None
    return text


def _scope(call: Call, allowed: tuple[int, ...]) -> int:
    scope = call.number("tic_scope")
    if scope not in allowed:
        raise Refused(*bad_format("tic_scope"))
    return scope


class _Page:
    """A page of a chart that is being filled, newest row first.

    Each row has a place: its date, and a number that grows during the day. The key of a page is the place of the last
    row before it.
    """

    def __init__(self, call: Call, size: int) -> None:
        self.rows: list[dict[str, str]] = []
        self.next_key = ""
        self._size = size
        self._code = _code_of(call)
        self._before = "9" * 23
        self._last = ""
        if call.next_key:
            found = _KEY(call.next_key)
            if found is None or found[1] != self._code:
                raise Refused(*bad_format("next-key"))
            self._before = found[2] + found[3]

    @property
    def is_full(self) -> bool:
        """Whether a row was left for the next page."""
        return bool(self.next_key)

    @property
    def date(self) -> str:
        """The newest date that it can have."""
        return self._before[:8]

    def add(self, date: str, number: int, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        """Add the row of a place, if it belongs to the page."""
        place = f"{date}{number:015}"
        if self.next_key or place >= self._before:
            return
        if len(self.rows) == self._size:
            self.next_key = f"A{self._code}{self._last}"
        else:
            self.rows.append(dict(zip(names, values, strict=True)))
            self._last = place


def _days_of(history: History, page: _Page, count: int, base: str) -> Iterator[tuple[str, Bar, int]]:
    """Yield date, bar and reference price of the days that a page may have, newest first."""
    bars = history.days()
    for at in range(len(bars) - 1, max(len(bars) - 1 - count, 0), -1):
        date = _date_of(bars[at].at)
        if date <= page.date and (not base or date <= base):
            is_today = bars[at].at == history.stock.day
            yield date, bars[at], history.stock.instrument.reference if is_today else bars[at - 1].close
        if page.is_full:
            return


def _code(value: int, reference: int, stock: Stock) -> str:
    return change_code(value, reference, *price_limits(reference, stock.instrument.kind))


def days(call: Call) -> Reply:
    """Answer ka10081."""
    base, trading = _date(call), call.stock(call.text("stk_cd"))
    page = _Page(call, DAYS_A_PAGE)
    names = OF_DAYS
    if trading is None:
        page.rows.append(dict.fromkeys(names, ""))
    else:
        stock = trading.stock
        for date, bar, reference in _days_of(call.market.history(stock), page, 1 << 30, base):
            values = (
                str(bar.close),
                str(min(bar.volume, LARGEST)),
                str(bar.turnover // MILLION),
                date,
                str(bar.open),
                str(bar.high),
                str(bar.low),
                signed(bar.close - reference),
                _code(bar.close, reference, stock),
                hundredths(ratio(bar.volume, stock.instrument.shares)),
            )
            page.add(date, 0, names, values)
    return Reply({"stk_cd": _code_of(call), "stk_dt_pole_chart_qry": page.rows}, page.next_key)


def minutes(call: Call) -> Reply:
    """Answer ka10080."""
    scope, base, trading = _scope(call, MINUTES), _date(call), call.stock(call.text("stk_cd"))
    page = _Page(call, BARS_A_PAGE)
    names = OF_MINUTES
    if trading is None:
        page.rows.append(dict.fromkeys(names, ""))
    else:
        stock = trading.stock
        history = call.market.history(stock)
        for date, day, reference in _days_of(history, page, MINUTE_DAYS, base):
            total = day.volume
            for bar in reversed(_grouped(history.minutes(day), scope)):
                values = (
                    price(bar.close, reference),
                    str(bar.volume),
                    date + clock_text(bar.at),
                    price(bar.open, reference),
                    price(bar.high, reference),
                    price(bar.low, reference),
                    str(total),
                    signed(bar.close - reference),
                    _code(bar.close, reference, stock),
                )
                page.add(date, bar.at, names, values)
                total -= bar.volume
    return Reply({"stk_cd": _code_of(call), "stk_min_pole_chart_qry": page.rows}, page.next_key)


def _grouped(bars: list[Bar], scope: int) -> list[Bar]:
    """Return bars of so many minutes, from the opening on."""
    grouped: list[Bar] = []
    for bar in bars:
        begin = CONTINUOUS[0][0] + (bar.at - CONTINUOUS[0][0]) // (scope * 60) * scope * 60
        if grouped and grouped[-1].at == begin:
            last = grouped[-1]
            high, low = max(last.high, bar.high), min(last.low, bar.low)
            totals = last.volume + bar.volume, last.turnover + bar.turnover
            grouped[-1] = Bar(begin, last.open, high, low, bar.close, *totals)
        else:
            grouped.append(bar._replace(at=begin))
    return grouped


def ticks(call: Call) -> Reply:
    """Answer ka10079."""
    scope, trading = _scope(call, TICKS), call.stock(call.text("stk_cd"))
    page = _Page(call, BARS_A_PAGE)
    names = OF_TICKS
    newest = ""
    if trading is None:
        page.rows.append(dict.fromkeys(names, ""))
    else:
        stock = trading.stock
        history = call.market.history(stock)
        for date, day, reference in _days_of(history, page, TICK_DAYS, ""):
            trades = history.ticks(day)
            total = day.volume
            newest = newest or str(len(trades) % scope or scope)
            for begin in range((len(trades) - 1) // scope * scope, -1, -scope):
                group = trades[begin : begin + scope]
                prices = [at for _, at, _ in group]
                quantity = sum(shares for _, _, shares in group)
                values = (
                    str(prices[-1]),
                    str(quantity),
                    date + clock_text(group[-1][0]),
                    str(prices[0]),
                    str(max(prices)),
                    str(min(prices)),
                    str(abs(prices[-1] - reference)),
                    _code(prices[-1], reference, stock),
                )
                page.add(date, total, names, values)
                total -= quantity
    members = {"stk_cd": _code_of(call), "last_tic_cnt": newest, "stk_tic_chart_qry": page.rows}
    return Reply(members, page.next_key)

"""What type checkers know of the REST catalogue. Nothing here runs: mypy checks it.

A wrong use is marked `type: ignore`, which mypy reports where it is not needed.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, assert_type

from kiwoom_proto import rest
from kiwoom_proto.realtime.fields import Direction


def requests() -> None:
    quote = rest.StockQuote(stk_cd="005930")
    assert_type(quote.stk_cd, str)
    assert_type(quote.to_json(), bytes)
    assert_type(rest.CATALOGUE["ka10004"], type[rest.Request[Any]])
    order = rest.BuyOrder(dmst_stex_tp="KRX", stk_cd="005930", ord_qty=10, trde_tp="3")
    assert_type(order.ord_uv, str | int | Decimal | None)
    assert_type(rest.UsBuyOrder.from_dict({}), rest.UsBuyOrder)
    rest.StockQuote()  # type: ignore[call-arg]
    rest.StockQuote(stk_cd=5930)  # type: ignore[arg-type]
    rest.StockQuote(stk_code="005930")  # type: ignore[call-arg]
    rest.StockQuote("005930")  # type: ignore[call-arg]
    rest.BuyOrder(dmst_stex_tp="KRX", stk_cd="005930", ord_qty=1.5, trde_tp="3")  # type: ignore[arg-type]
    rest.StockQuot  # type: ignore[attr-defined]  # noqa: B018
    quote.stk_cd = "000660"  # type: ignore[misc]


def replies(body: bytes) -> None:
    quote = rest.StockQuote(stk_cd="005930").decode(body)
    assert_type(quote, rest.StockQuoteReply)
    assert_type(quote.sel_fpr_bid, int | None)
    assert_type(quote.bid_req_base_tm, datetime.time | None)
    assert_type(quote.element("sel_fpr_bid"), str | None)
    assert_type(quote.direction("sel_fpr_bid"), Direction | None)
    assert_type(quote.return_code, int | None)
    quote.rows  # type: ignore[attr-defined]  # noqa: B018
    quote.no_such_element  # type: ignore[attr-defined]  # noqa: B018

    chart = rest.DailyChart.decode(body)
    assert_type(chart, rest.DailyChartReply)
    assert_type(chart.rows, Sequence[rest.DailyChartRow])
    for row in chart.rows:
        assert_type(row.cur_prc, int | None)
        assert_type(row.dt, datetime.date | None)
        assert_type(row.trde_tern_rt, Decimal | None)
        assert_type(row.pred_pre_sig, str | None)
    for tick in rest.TickChart.decode(body).rows:
        assert_type(tick.cntr_tm, datetime.datetime | None)

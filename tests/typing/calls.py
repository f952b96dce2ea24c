"""What type checkers know of calls of TRs. Nothing here runs: mypy checks it.

A wrong use is marked `type: ignore`, which mypy reports where it is not needed.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import assert_type

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_asyncio import blocking
from kiwoom_proto import rest
from kiwoom_proto.rest.pages import PagesEnd

QUOTE = rest.StockQuote(stk_cd="005930")
TRADES = rest.StockTrades(stk_cd="005930")


async def calls(api: kiwoom_asyncio.RestClient | kiwoom_trio.RestClient) -> None:
    reply = await api.call(QUOTE)
    assert_type(reply, rest.StockQuoteReply)
    assert_type(reply.sel_fpr_bid, int | None)
    assert_type((await api.call(TRADES)).rows[0], rest.StockTradesRow)
    rows = api.rows(TRADES, limit=5)
    async for row in rows:
        assert_type(row, rest.StockTradesRow)
        assert_type(row.tm, datetime.time | None)
        assert_type(row.pre_rt, Decimal | None)
    assert_type(rows.end, PagesEnd | None)
    async for page in api.pages(TRADES):
        assert_type(page.reply, rest.StockTradesReply)
    api.rows(QUOTE)  # type: ignore[arg-type]  # its reply has no list
    await api.call("ka10004")  # type: ignore[arg-type]


def blocking_calls(api: blocking.RestClient) -> None:
    assert_type(api.call(QUOTE), rest.StockQuoteReply)
    for row in api.rows(TRADES):
        assert_type(row, rest.StockTradesRow)
    for page in api.pages(TRADES):
        assert_type(page.reply, rest.StockTradesReply)

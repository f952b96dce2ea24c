"""`kiwoom-proto demo`: a simulated exchange and a real client, in one process, over a real socket."""

from __future__ import annotations

import datetime
import functools
import os
import shutil
import sys

import anyio
import click

from kiwoom_proto.realtime import REALTIME, ItemForm, Market, Scope
from kiwoom_proto.simulator import Exchange

from ..server import serve
from .ending import Ending
from .stream import follow, follow_condition, show
from .view import plural, view_of

__all__ = ("run_demo",)

KEY = "demo"
STOCKS = {
    "005930": "삼성전자",
    "000660": "SK하이닉스",
    "035420": "NAVER",
    "005380": "현대차",
    "068270": "셀트리온",
}
US_STOCKS = {"NVDA:ND": "", "AAPL:ND": "", "TSLA:ND": ""}
SECTORS = {"001": "종합(KOSPI)", "101": "종합(KOSDAQ)"}
ITEMS_OF_FORM = {
    ItemForm.STOCK: STOCKS,
    ItemForm.SECTOR: SECTORS,
    ItemForm.GOLD_PRICE: {"MGD": ""},
    ItemForm.US_STOCK: US_STOCKS,
}
ITEMS_OF_TYPE = {
    "0D": {"005930": "삼성전자", "000660": "SK하이닉스"},
    "0G": {"069500": "KODEX 200"},
    "0m": {"57JBHH": ""},
    "0u": {"57JBHH": ""},
    "FT": {"NVDA:ND": "", "AAPL:ND": ""},
}
"""The items of types that need fewer, or others, than their form has."""
AFTER_HOURS, DAYTIME, US_EVENING = datetime.time(16, 52), datetime.time(10, 0), datetime.time(23, 0)


async def run_demo(ending: Ending, type: str, duration: float) -> None:
    """Show rows of a type until the command ends, then print how many came.

    Args:
        ending: when the command ends.
        type: type code.
        duration: seconds after which it ends, for the last message.
    """
    cls = REALTIME[type]
    us = cls.market is Market.US
    items = ITEMS_OF_TYPE.get(type, ITEMS_OF_FORM.get(cls.item_form, {}))
    start = AFTER_HOURS if type == "0E" else US_EVENING if us else DAYTIME
    exchange = Exchange(seed=1, start=start, rate=3.0)
    async with serve(exchange) as server, anyio.create_task_group() as tasks:
        endpoint = server.us_endpoint if us else server.endpoint
        view = view_of(type, f"simulated exchange, {endpoint.host}:{endpoint.port}", items | STOCKS)
        if cls.scope is Scope.CONDITION:
            following = functools.partial(follow_condition, ending, endpoint, KEY, "0")
        else:
            following = functools.partial(follow, ending, endpoint, KEY, type, tuple(items))
        if cls.scope is Scope.ACCOUNT:
            tasks.start_soon(_place_orders, exchange, us)
        await show(view, following)
        tasks.cancel_scope.cancel()
    if ending.signal is not None:
        return
    over = f" for {plural(len(items), 'item')}" if items else ""
    click.echo(
        f"\n{plural(view.rows, 'row')} came{over} in {duration:g} s, over a real WebSocket.\n"
        f"Next: {_program()} types {type}   or   {_program()} --help"
    )


async def _place_orders(exchange: Exchange, us: bool) -> None:
    """Place orders until cancelled, so that the account has rows."""
    items = list(US_STOCKS if us else STOCKS)
    await anyio.sleep(0.5)
    while True:
        for item in items:
            exchange.place_order(KEY, item, "buy", 10)
            await anyio.sleep(0.7)


def _program() -> str:
    """Return how the user can call this command."""
    called = sys.argv[0]
    if shutil.which("kiwoom-proto") is not None or "kiwoom-proto" not in os.path.basename(called):
        return "kiwoom-proto"
    return min(called, os.path.relpath(called), key=len)

"""The dispatcher against the simulated exchange, in memory: the catalogue's requests, pages, orders and refusals."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from kiwoom_proto import Endpoint
from kiwoom_proto.rest import CATALOGUE
from kiwoom_proto.rest.call import Page
from kiwoom_proto.rest.dispatcher import Dispatcher
from kiwoom_proto.rest.errors import TokenRejected
from kiwoom_proto.rest.links import Link
from kiwoom_proto.rest.pages import PageCursor, PagesEnd
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock

TOKEN = "token-of-the-simulator"
ENDPOINT = Endpoint("ws://127.0.0.1:9/api/dostk/websocket")


class Market:
    """An exchange and a dispatcher that are joined in memory."""

    def __init__(self, token: str = TOKEN) -> None:
        self.clock = ManualClock(1000.0)
        self.exchange = Exchange(clock=self.clock, tokens={TOKEN: "test"}, start=datetime.time(10, 0), rest_limit=5)
        self.dispatcher = Dispatcher(ENDPOINT, token, clock=self.clock, wall_clock=self.clock)
        self._peers: dict[Link, Any] = {}

    def call(self, api_id: str, *, cont_yn: str = "", next_key: str = "", **elements: str) -> Ticket[Any]:
        request = CATALOGUE[api_id](**elements)
        ticket: Ticket[Any] = self.dispatcher.submit(request, cont_yn=cont_yn, next_key=next_key)
        for _ in range(300):
            self._carry()
            if ticket.outcome is not None:
                break
            self.clock.advance(0.1)
            self.exchange.handle_timeout()
            self.dispatcher.handle_timeout()
        return ticket

    def _carry(self) -> None:
        for link in self.dispatcher.needs:
            assert isinstance(link, Link)
            if link not in self._peers:
                self._peers[link] = self.exchange.connect()
                self.dispatcher.connection_made(link)
            if data := self.dispatcher.data_to_send(link):
                self._peers[link].receive_data(data)
            self._peers[link].handle_timeout()
            if data := self._peers[link].data_to_send():
                self.dispatcher.receive_data(link, data)


def test_a_quote_comes_typed() -> None:
    page = Market().call("ka10004", stk_cd="005930").result()
    assert page.is_last
    assert isinstance(page.reply.buy_fpr_bid, int) and page.reply.buy_fpr_bid > 0


def test_a_wrong_token_is_refused() -> None:
    assert isinstance(Market("a-wrong-token-altogether").call("ka10004", stk_cd="005930").outcome, TokenRejected)


def test_pages_of_a_chart_are_followed_to_their_limit() -> None:
    market = Market()
    elements = {"stk_cd": "005930", "base_dt": "20261126", "upd_stkpc_tp": "1"}
    cursor: PageCursor[Any] = PageCursor(CATALOGUE["ka10081"](**elements), limit=3)
    rows = 0
    while cursor.end is None:
        ticket = market.call("ka10081", cont_yn=cursor.cont_yn, next_key=cursor.next_key, **elements)
        page = ticket.result()
        rows += len(page.reply.rows)
        cursor.add(page)
    assert rows > 0 and cursor.end in (PagesEnd.LIMIT, PagesEnd.COMPLETE)


def test_more_calls_than_the_limit_are_all_answered() -> None:
    market = Market()
    outcomes = [market.call("ka10004", stk_cd="005930").outcome for _ in range(12)]
    assert all(isinstance(outcome, Page) for outcome in outcomes)


def test_an_order_gets_a_number() -> None:
    market = Market()
    price = market.call("ka10004", stk_cd="005930").result().reply.buy_fpr_bid
    order = {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "1", "ord_uv": str(price), "trde_tp": "0"}
    reply = market.call("kt10000", **order).result().reply
    assert reply.element("ord_no")


@pytest.mark.parametrize("api_id", ["ka10001", "ka10003", "ka10087"])
def test_other_queries_are_answered(api_id: str) -> None:
    assert isinstance(Market().call(api_id, stk_cd="005930").outcome, Page)

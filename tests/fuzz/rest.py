"""What is fuzzed of the REST interface: answers to a query, an order and a page of a chart, through the dispatcher.

Which request, splits, then what the server sends and the end of the stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from kiwoom_proto import PRODUCTION, KiwoomError
from kiwoom_proto.errors import FieldError
from kiwoom_proto.rest import CATALOGUE
from kiwoom_proto.rest.call import Page
from kiwoom_proto.rest.dispatcher import Dispatcher
from kiwoom_proto.rest.errors import OrderOutcomeUnknown, RestError, was_not_processed
from kiwoom_proto.rest.links import Link
from kiwoom_proto.rest.pages import PageCursor
from kiwoom_proto.testing import ManualClock

__all__ = ("rest", "rest_seeds")

TOKEN = "T0ken-of-the-fuzzer"
REQUESTS = (
    CATALOGUE["ka10004"](stk_cd="005930"),
    CATALOGUE["ka10081"](stk_cd="005930", base_dt="20261126", upd_stkpc_tp="1"),
    CATALOGUE["kt10000"](dmst_stex_tp="KRX", stk_cd="005930", ord_qty="1", ord_uv="70000", trde_tp="0"),
)


def rest(data: bytes, pieces: Callable[[bytes, int], Iterator[bytes]]) -> None:
    """Feed the bytes whole and split; the outcome must be the same."""
    if len(data) < 2:
        return
    outcomes = [ask(data[0], pieces(data[2:], splits), data[2:]) for splits in {0, 1, data[1]}]
    assert len(set(outcomes)) == 1, f"split differently: {outcomes}"


def ask(which: int, pieces: Iterator[bytes], data: bytes) -> str:
    clock = ManualClock(1000.0)
    dispatcher = Dispatcher(PRODUCTION, TOKEN, clock=clock, wall_clock=clock)
    request = REQUESTS[which % len(REQUESTS)]
    ticket = dispatcher.submit(request)
    (link,) = dispatcher.needs
    assert isinstance(link, Link)
    dispatcher.connection_made(link)
    sent = dispatcher.data_to_send(link)
    assert TOKEN.encode() in sent and not dispatcher.data_to_send(link)
    for piece in pieces:
        dispatcher.receive_data(link, piece)
    dispatcher.receive_eof(link)
    dispatcher.receive_eof(link, "again")
    dispatcher.cancel(ticket)
    assert dispatcher.outcomes() == [ticket] and not dispatcher.needs
    outcome = ticket.outcome
    shown = f"{outcome!r} {outcome} {ticket!r} {dispatcher!r}"
    assert TOKEN not in shown or TOKEN.encode() in data
    if isinstance(outcome, Page):
        read(outcome)
        return f"{outcome.reply.to_dict()} {outcome.cont_yn} {outcome.next_key}"
    assert isinstance(outcome, KiwoomError)
    if ticket.is_order:
        clear = isinstance(outcome, RestError) and was_not_processed(outcome)
        assert clear or isinstance(outcome, OrderOutcomeUnknown)
    return shown


def read(page: Page[Any]) -> None:
    """Read everything in a page, and follow it."""
    for values in (page.reply, *getattr(page.reply, "rows", ())):
        for element in values.elements.values():
            try:
                getattr(values, element.attribute)
            except FieldError as error:
                str(error)
        repr(values)
        json.dumps(values.to_dict())
    cursor: PageCursor[Any] = PageCursor(REQUESTS[1])
    while cursor.end is None:
        cursor.add(page)
    repr(cursor)


def rest_seeds() -> Iterator[bytes]:
    """Answers as they come, and as they should not."""
    row = {"cur_prc": "-70000", "trde_qty": "4294967295", "dt": "20261126", "pred_pre": "--2"}
    bodies = (
        {"return_code": 0, "return_msg": "OK", "sel_fpr_bid": "+70000", "bid_req_base_tm": "090000"},
        {"return_code": 0, "stk_cd": "005930", "stk_dt_pole_chart_qry": [row, row]},
        {"return_code": 0, "ord_no": "0000123", "dmst_stex_tp": "KRX"},
        {"return_code": 5, "return_msg": "[1700:x]"},
        {"return_code": "3", "return_msg": "[8005:x]"},
        {"return_code": 20, "return_msg": "[2000](RC4058:x)"},
    )
    for which in range(3):
        for body in bodies:
            text = json.dumps(body).encode()
            head = b"HTTP/1.1 200 OK\r\ncont-yn: Y\r\nnext-key: K1\r\n"
            yield bytes([which, 7]) + head + b"Content-Length: %d\r\n\r\n" % len(text) + text
            chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(text), text)
            yield bytes([which, 3]) + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
        yield (
            bytes([which, 1])
            + b"HTTP/1.1 502 x\r\nContent-Type: text/html\r\nRetry-After: 3\r\n\r\n<html><title>x</title>"
        )
        yield bytes([which, 2]) + b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"
        yield bytes([which, 2]) + b"HTTP/1.1 429 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        yield bytes([which, 2]) + b"HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\nmore"

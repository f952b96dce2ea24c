"""Records made of replies, and the tables behind them."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest

from kiwoom_proto import REALTIME, Record
from kiwoom_proto.realtime import Balance, ElwTheoreticalPrice, OrderBook, OrderExecution, ProgramTrading, UsOrder
from kiwoom_proto.realtime.codes import Side
from kiwoom_proto.realtime.fields import Direction
from kiwoom_proto.rest import CATALOGUE, Reply
from kiwoom_proto.session.snapshot_tables import NO_SOURCE, SOURCES, Source
from kiwoom_proto.session.snapshots import combined, identity_of, records_of

ITEMS = {"sector": "001", "us_stock": "NVDA:ND"}
PAIRS = [(type, source) for type, sources in SOURCES.items() for source in sources]
IDS = [f"{type} {source.api_id}" for type, source in PAIRS]


def parameters_of(source: Source, item: str = "") -> dict[str, str]:
    item = item or ITEMS.get(source.form.__name__, "005930")
    named = source.form((item,))
    assert named is not None
    return {name: "20261126" if text == "{date}" else text for name, text in {**source.fixed, **named}.items()}


def reply_of(source: Source, *rows: dict[str, Any], **members: Any) -> Reply:
    request = CATALOGUE[source.api_id](**parameters_of(source))
    if source.rows:
        assert request.list_element is not None
        members[request.list_element] = list(rows)
    reply: Reply = request.decode(json.dumps({**members, "return_code": 0, "return_msg": ""}).encode())
    return reply


def records(type: str, step: int, *rows: dict[str, Any], item: str = "005930", **members: Any) -> list[Record]:
    source = SOURCES[type][step]
    reply = reply_of(source, *rows, **members)
    return [record for _, record in records_of(REALTIME[type], type, (item,), reply, source, 5)]


def test_every_documented_type_that_is_registered_has_a_source_or_says_why_not() -> None:
    searches = {"02", "S2"}  # a new ConditionResult is the snapshot

    assert SOURCES.keys() | NO_SOURCE.keys() == REALTIME.keys() - searches
    assert not SOURCES.keys() & NO_SOURCE.keys()


@pytest.mark.parametrize(("type", "source"), PAIRS, ids=IDS)
def test_every_fid_and_every_element_exists(type: str, source: Source) -> None:
    reply = reply_of(source, {})
    elements = reply.rows[0].elements if source.rows else reply.elements  # type: ignore[attr-defined]

    assert {element for element, _ in source.fields.values()} <= elements.keys()
    assert source.fields.keys() <= {field.fid for field in REALTIME[type].fields.values()}


@pytest.mark.parametrize(("type", "source"), PAIRS, ids=IDS)
def test_every_value_of_a_reply_is_one_of_the_fid(type: str, source: Source) -> None:
    """Plain numbers, in every element: nothing that was converted may be unreadable as a field of the record."""
    clocks = ("tm", "time", "trde_cntr_proc_time", "virelis_time", "bid_req_base_tm", "ord_time", "cntr_time")
    texts = {element: "093000" if element in clocks else "7" for element, _ in source.fields.values()}
    texts |= dict.fromkeys(("sor_yn",), "Y") if "sor_yn" in texts else {}
    texts |= dict.fromkeys(("crd_loan_dt",), "20260101") if "crd_loan_dt" in texts else {}
    texts |= dict.fromkeys(("io_tp_nm",), "+매수") if "io_tp_nm" in texts else {}
    found = records(type, SOURCES[type].index(source), texts, **({} if source.rows else texts))
    if source.code:
        found = records(type, 0, {**texts, source.code: "005930"})
    (record,) = found

    assert set(record.fids()) == set(source.fields)
    for name, field in record.fields.items():
        if field.fid in source.fields:
            assert getattr(record, name) is not None, name


def test_an_order_book() -> None:
    (book,) = records(
        "0D",
        0,
        bid_req_base_tm="101500",
        sel_fpr_bid="-70100",
        sel_fpr_req="12",
        sel_1th_pre_req_pre="--3",
        sel_2th_pre_bid="+70200",
        buy_fpr_bid=" 70000",
        buy_10th_pre_bid="-0",
        buy_1th_pre_req_pre="+4",
        tot_sel_req_jub_pre="",
    )

    assert isinstance(book, OrderBook)
    assert (book.item, book.received_at, book.extra) == ("005930", 5, {"api_id": "ka10004"})
    assert book.time == datetime.time(10, 15)
    assert (book.ask_price_1, book.ask_quantity_1, book.ask_quantity_change_1) == (70100, 12, -3)
    assert book.direction("ask_price_1") is Direction.DOWN and book.direction("ask_price_2") is Direction.UP
    assert (book.bid_price_1, book.bid_price_10, book.bid_quantity_change_1) == (70000, 0, 4)
    assert book.total_ask_quantity_change is None and book.lp_ask_quantity_1 is None
    assert "122" not in book.fids()


def test_hundredths_and_double_minus_are_exact() -> None:
    (price,) = records("0m", 0, item="57JBHH", cur_prc="10", elwtheory_pric="27412")
    (cheap,) = records("0m", 0, item="57JBHH", elwtheory_pric="-7")
    (flow,) = records("0w", 0, {"tm": "101500", "prm_netprps_qty": "--14240", "prm_netprps_amt": "+771"})

    assert isinstance(price, ElwTheoreticalPrice) and isinstance(cheap, ElwTheoreticalPrice)
    assert price.elw_theoretical_price == Decimal("274.12") and cheap.fid("670") == "-0.07"
    assert isinstance(flow, ProgramTrading) and (flow.net_buy_quantity, flow.net_buy_amount) == (-14240, 771)


def test_orders_of_two_lists() -> None:
    row = {"ord_no": "0000012", "stk_cd": "A005930", "ord_stt": "접수", "io_tp_nm": "-매도정정", "ord_qty": "10"}
    (open_,) = records("00", 0, {**row, "acnt_no": "1234567890", "oso_qty": "10", "cntr_qty": "0", "tm": "101500"})
    (filled,) = records("00", 1, {**row, "ord_stt": "체결", "oso_qty": "6", "cntr_qty": "4", "ord_tm": "101500"})

    assert identity_of(open_) == identity_of(filled) == ("12",)
    both = combined(open_, filled)
    assert isinstance(both, OrderExecution)
    assert (both.item, both.order_number, both.side) == ("005930", "0000012", Side.SELL)
    assert (both.unfilled_quantity, both.execution_quantity, both.account_number) == (6, 4, "1234567890")
    assert both.time == datetime.time(10, 15) and both.extra == {"api_id": "ka10075 ka10076"}


def test_a_holding_has_no_pads() -> None:
    (held,) = records(
        "04",
        0,
        {"stk_cd": "A005930", "rmnd_qty": "000000000000003", "pur_pric": "000000000124500", "cur_prc": "000000059000"},
    )

    assert isinstance(held, Balance)
    assert (held.fid("930"), held.purchase_price, held.item) == ("3", 124500, "005930")
    assert held.price is None, "its direction is not known"


def test_a_us_order() -> None:
    (order,) = records("F4", 0, {"ord_no": "000000282", "stk_cd": "NVDA", "ord_time": "21:46:06", "ord_qty": "00005"})

    assert isinstance(order, UsOrder)
    assert (order.time, order.order_quantity, order.item) == (datetime.time(21, 46, 6), 5, "NVDA")


def test_us_books_and_trades_name_the_exchange() -> None:
    (book,) = records("FT", 0, item="NVDA:ND", sel_1bid="+201.5300", sel_1bid_req="30", bid_tm="08:16")

    assert (book.item, book.venue_code, str(book.symbol)) == ("NVDA", "ND", "NVDA:ND")
    assert book.fid("41") == "+201.5300" and book.fid("21") is None


def test_many_stocks_at_once_are_told_apart() -> None:
    source = SOURCES["0C"][0]
    rows = [
        {"stk_cd": "005930_NX", "sel_bid": "+2", "buy_bid": "+1"},
        {"stk_cd": "000660", "sel_bid": "+4", "buy_bid": "+3"},
        {"stk_cd": "", "sel_bid": ""},
    ]
    items = ("000660", "005930_NX", "035420")

    found = dict(records_of(REALTIME["0C"], "0C", items, reply_of(source, *rows), source, 5))

    assert {item: record.fids() for item, record in found.items()} == {
        "000660": {"27": "+4", "28": "+3"},
        "005930_NX": {"27": "+2", "28": "+1"},
    }


@pytest.mark.parametrize(("type", "source"), PAIRS, ids=IDS)
def test_a_blank_reply_is_no_record(type: str, source: Source) -> None:
    blank = {element: " " for element, _ in source.fields.values()}

    assert records(type, SOURCES[type].index(source), blank, **({} if source.rows else blank)) == []
    assert records(type, SOURCES[type].index(source)) == []


@pytest.mark.parametrize(
    ("type", "item", "is_asked"),
    [
        ("0D", "005930_AL", False),  # ka10004 answers with the book of KRX [measured]
        ("0D", "005930_NX", True),
        ("0E", "005930_NX", False),
        ("0B", "005930_AL", True),
        ("0F", "005930_AL", False),
        ("FT", "NVDA", False),
    ],
)
def test_no_tr_is_asked_that_would_answer_about_something_else(type: str, item: str, is_asked: bool) -> None:
    assert (SOURCES[type][0].form((item,)) is not None) is is_asked

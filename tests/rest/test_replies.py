"""Replies: every TR's decodes, what an unexpected body becomes, and what is shown of one."""

from __future__ import annotations

import copy
import datetime
import itertools
import json
import pickle
import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rest.every import check_every
from tests.rest.samples import reply_of

from kiwoom_proto import Symbol, Venue, rest
from kiwoom_proto.errors import FieldError, LocalProtocolError
from kiwoom_proto.realtime.fields import Direction
from kiwoom_proto.rest import Element, errors
from kiwoom_proto.rest.reply import Values

ROW = {
    "cur_prc": "-315500",
    "trde_qty": "143",
    "cntr_tm": "20260917131939",
    "open_pric": "+316000",
    "high_pric": "316500",
    "low_pric": "-0",
    "pred_pre": "--2",
    "pred_pre_sig": "5",
}
CHART = {"stk_cd": "005930", "last_tic_cnt": "", "stk_tic_chart_qry": [ROW], "return_code": 0, "return_msg": "정상"}


def encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def chart(**changes: Any) -> rest.TickChartReply:
    """Decode a chart with other members; ... leaves one out."""
    body = {name: value for name, value in {**CHART, **changes}.items() if value is not ...}
    return rest.TickChart.decode(encoded(body))


def chart_row(**changes: Any) -> rest.TickChartRow:
    """Decode a chart whose only row has other members."""
    (row,) = chart(stk_tic_chart_qry=[{**ROW, **changes}]).rows
    return row


def check_every_element(values: Values, body: dict[str, Any]) -> None:
    """Every element has its exact text, and reads as its declared type."""
    for name, each in values.elements.items():
        assert values.element(name) == body[name], name
        value = getattr(values, each.attribute)
        assert value is None or type(value) is each.kind.python_type, name
        assert value is not None or not body[name].strip("0+-., ") or each.kind.python_type is datetime.time, name
        if each.kind.directional:
            assert (values.direction(name) is None) == (value is None), name


# Every TR.


def test_every_reply_decodes() -> None:
    draw = random.Random(1)

    def check(api_id: str) -> None:
        cls = rest.CATALOGUE[api_id]
        body = reply_of(cls.reply_type, draw)

        reply = cls.decode(encoded(body))

        assert type(reply).__name__ == cls.reply_type.__name__
        assert isinstance(reply, cls.reply_type)
        assert (reply.return_code, reply.return_msg) == (0, body["return_msg"])
        assert reply.unknown == {}
        check_every_element(reply, body)
        rows: Any = getattr(reply, "rows", ())
        if cls.list_element is not None:
            assert len(rows) == 2
            for row, members in zip(rows, body[cls.list_element], strict=True):
                assert cls.reply_type.row_type is not None and isinstance(row, cls.reply_type.row_type)
                check_every_element(row, members)
        json.dumps(reply.to_dict(masked=False))
        assert pickle.loads(pickle.dumps(reply)) == reply
        assert cls.reply_type._decode_tolerantly(encoded(body)) == reply, "both ways give the same"

    check_every(rest.CATALOGUE, check)


def test_no_reply_needs_an_element() -> None:
    def check(api_id: str) -> None:
        reply = rest.CATALOGUE[api_id].decode(b"{}")

        assert reply.return_code is None
        assert reply.return_msg == ""
        assert all(getattr(reply, each.attribute) is None for each in reply.elements.values())
        assert tuple(getattr(reply, "rows", ())) == ()

    check_every(rest.CATALOGUE, check)


HOSTILE = ("１２", "1_000", "1e3", "NaN", "--", "+-2", "가\n나", "1" * 5000)


def test_hostile_texts_raise_one_error_when_read() -> None:
    """Every element gets one of them, and every kind of value gets them all."""
    turns: dict[str, Iterator[str]] = {}
    seen: set[tuple[str, str]] = set()
    holders: dict[str, str] = {}

    def hostile_values(elements: Mapping[str, Element[Any]]) -> dict[str, Any]:
        return {
            name: next(turns.setdefault(each.kind.name, itertools.cycle(HOSTILE))) for name, each in elements.items()
        }

    def check(api_id: str) -> None:
        cls = rest.CATALOGUE[api_id]
        body = hostile_values(cls.reply_type.elements)
        bodies = [body]
        if cls.reply_type.row_type is not None and cls.list_element is not None:
            bodies.append(hostile_values(cls.reply_type.row_type.elements))
            body = {**body, cls.list_element: bodies[1:]}

        reply = cls.decode(encoded(body))

        for values, texts in zip((reply, *getattr(reply, "rows", ())), bodies, strict=True):
            repr(values)
            json.dumps(values.to_dict())
            for name, each in values.elements.items():
                hostile = texts[name]
                seen.add((each.kind.name, hostile))
                holders[each.kind.name] = api_id
                assert values.element(name) == hostile, name
                try:
                    value = getattr(values, each.attribute)
                except FieldError as error:
                    assert (error.text, each.kind.python_type is str) == (hostile, False), name
                    words = str(error)
                    assert api_id in words and name in words and each.label in words
                else:
                    assert each.kind.python_type not in (int, Decimal) or hostile == HOSTILE[-1] or value is None, name

    check_every(rest.CATALOGUE, check)
    while missing := set(itertools.product(turns, HOSTILE)) - seen:
        check_every({holders[kind] for kind, _ in missing}, check)


# One TR in detail.


def test_values_of_a_row() -> None:
    row = chart_row()

    assert (row.cur_prc, row.open_pric, row.high_pric, row.low_pric) == (315_500, 316_000, 316_500, None)
    assert (row.trde_qty, row.pred_pre, row.pred_pre_sig) == (143, -2, "5")
    assert row.cntr_tm is not None and row.cntr_tm.isoformat() == "2026-09-17T13:19:39+09:00"
    assert row.element("cur_prc") == "-315500"
    assert row.elements["pred_pre_sig"].codes["5"] == "하락"
    assert row.direction("cur_prc") is Direction.DOWN
    assert row.direction("open_pric") is Direction.UP
    assert row.direction("high_pric") is Direction.UNCHANGED
    assert row.direction("low_pric") is None
    for name in ("pred_pre", "no_such_element"):
        with pytest.raises(LocalProtocolError, match=name):
            row.direction(name)


def test_an_error_names_the_tr_the_element_its_label_and_the_text() -> None:
    row = chart_row(cur_prc="1e3")

    with pytest.raises(FieldError) as caught:
        row.cur_prc  # noqa: B018

    assert str(caught.value) == "ka10079, element cur_prc (현재가): '1e3' is not a value of this element"
    assert row.trde_qty == 143, "the others are as good as before"
    assert row.element("cur_prc") == "1e3"


def test_a_time_that_is_blank_is_none() -> None:
    for text in ("", " ", "000000"):
        assert rest.StockQuote.decode(encoded({"bid_req_base_tm": text})).bid_req_base_tm is None


def test_a_counter_at_its_limit_is_told() -> None:
    assert chart_row(trde_qty="4294967295").saturated == ("trde_qty",)
    assert chart_row(trde_qty="4294967294").saturated == ()
    assert chart_row(trde_qty="not a number").saturated == ()
    assert chart_row(trde_qty="4294967295").trde_qty == 2**32 - 1


@pytest.mark.parametrize(("text", "names"), [("-2147483", ("orgn_nettrde_avg_pric",)), ("-2147482", ()), ("1e3", ())])
def test_an_average_price_at_its_limit_is_told(text: str, names: tuple[str, ...]) -> None:
    reply = rest.CATALOGUE["ka10062"].decode(
        encoded(
            {"eql_nettrde_rank": [{"orgn_nettrde_avg_pric": text, "cur_prc": "-2147483", "nettrde_qty": "2147483"}]}
        )
    )

    assert reply.rows[0].saturated == names


def test_codes_of_instruments() -> None:
    for text, symbol in (
        ("005930", Symbol("005930")),
        ("A005930", Symbol("005930")),
        ("Q580058", Symbol("580058")),
        ("005930_NX", Symbol("005930", Venue.NXT)),
        ("", None),
    ):
        reply = chart(stk_cd=text)
        assert (reply.stk_cd or "", reply.symbol()) == (text, symbol)
    listed = {"stk_cd": "NVDA", "stex_tp": "ND"}
    (us, unlisted) = rest.UsVolumeRanking.decode(encoded({"result_list": [listed, {"stk_cd": "NVDA"}]})).rows
    assert us.symbol() == Symbol("NVDA", Venue.NASDAQ)
    assert unlisted.symbol() is None
    with pytest.raises(LocalProtocolError, match="cur_prc"):
        chart_row().symbol("cur_prc")


def test_names_that_python_does_not_allow() -> None:
    reply = rest.StockInfo.decode(encoded({"250hgst": "+181400", "250hgst_pric_dt": "20240709"}))

    assert reply.n250hgst == 181_400
    assert reply.direction("250hgst") is Direction.UP
    assert reply.element("250hgst") == "+181400"
    assert reply.to_dict()["250hgst_pric_dt"] == "2024-07-09"
    assert reply.elements["250hgst"].attribute == "n250hgst"


# Bodies that do not have the documented form.


@pytest.mark.parametrize(
    ("value", "text", "price"),
    [
        (315500, "315500", 315_500),
        (-315500, "-315500", 315_500),
        (None, None, None),
        (True, "true", FieldError),
        (1.50, "1.5", FieldError),
        ([1], "[1]", FieldError),
        ({"a": 1}, '{"a": 1}', FieldError),
    ],
)
def test_other_values_than_strings(value: object, text: str | None, price: Any) -> None:
    row = chart_row(cur_prc=value)

    assert row.element("cur_prc") == text
    assert row.trde_qty == 143
    if price is FieldError:
        with pytest.raises(FieldError):
            row.cur_prc  # noqa: B018
    else:
        assert row.cur_prc == price


def test_the_exact_text_of_a_number_is_kept() -> None:
    body = encoded(CHART).replace(b'"-315500"', b"-3155.5000").replace(b'"143"', b"12345678901234567890123")
    (row,) = rest.TickChart.decode(body).rows

    assert row.element("cur_prc") == "-3155.5000"
    assert row.trde_qty == 12345678901234567890123


def test_unknown_elements_are_kept() -> None:
    reply = chart(extra="x", more={"deep": [1, 2.5, None]}, stk_tic_chart_qry=[{**ROW, "new": 7, "newer": 0.1}])

    assert reply.unknown == {"extra": "x", "more": {"deep": [1, "2.5", None]}}
    assert reply.element("extra") == "x"
    assert reply.element("more") == '{"deep":[1,"2.5",null]}'
    assert reply.to_dict()["extra"] == "x"
    (row,) = reply.rows
    assert row.unknown == {"new": 7, "newer": "0.1"}
    assert row.element("new") == "7"
    assert row.element("nothing") is None
    assert row.to_dict()["new"] == 7
    assert "unknown=<2>" in repr(row)
    assert pickle.loads(pickle.dumps(reply)) == reply


@pytest.mark.parametrize("rows", [None, [], "", ...])
def test_a_list_may_be_missing(rows: object) -> None:
    reply = chart(stk_tic_chart_qry=rows)

    assert tuple(reply.rows) == ()
    assert reply.unknown == {}
    assert reply.stk_cd == "005930"


def test_a_list_under_another_name_is_the_list() -> None:
    reply = chart(stk_tic_chart_qry=..., result_lsit=[ROW])

    assert [row.trde_qty for row in reply.rows] == [143]
    assert reply.unknown == {}
    both = chart(stk_tic_chart_qry=..., one=[ROW], two=[ROW])
    assert tuple(both.rows) == ()
    assert both.unknown.keys() == {"one", "two"}


def test_an_object_in_place_of_a_list_is_a_row() -> None:
    assert [row.trde_qty for row in chart(stk_tic_chart_qry=ROW).rows] == [143]


def test_what_is_not_a_row_is_kept() -> None:
    reply = chart(stk_tic_chart_qry=[ROW, "footer", 3, None, ROW])

    assert len(reply.rows) == 2
    assert reply.unknown == {"stk_tic_chart_qry": ["footer", 3]}


@pytest.mark.parametrize(("code", "read"), [(0, 0), ("0", 0), (None, None), ("", None), (..., None)])
def test_the_return_code_may_be_a_text(code: object, read: int | None) -> None:
    assert chart(return_code=code).return_code == read


def test_the_return_code_may_be_spelt_otherwise() -> None:
    reply = chart(return_code=..., return_msg=..., returnCode=0, returnMsg="정상")

    assert (reply.return_code, reply.return_msg, reply.unknown) == (0, "정상", {})


def test_a_refusal_is_raised() -> None:
    body = {"return_code": 5, "return_msg": "허용된 요청 개수를 초과하였습니다[1700:...]"}

    with pytest.raises(errors.RateLimited) as caught:
        rest.TickChart.decode(encoded(body))

    assert (caught.value.code, caught.value.api_id) == ("1700", "ka10079")
    reply = rest.TickChartReply.decode(encoded(body))
    assert (reply.return_code, reply.is_success) == (5, False)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_an_object_is_not_a_reply(body: bytes) -> None:
    with pytest.raises(errors.RestError, match="ka10079"):
        rest.TickChart.decode(body)


def test_bytes_that_are_no_utf_8_do_no_harm() -> None:
    body = encoded(CHART).replace("정상".encode(), b"\xb1\xb8")
    reply = rest.TickChart.decode(body)
    assert [row.trde_qty for row in reply.rows] == [143] and reply.return_msg.startswith("\ufffd")
    text = rest.StockInfo.decode('{"return_code":0,"stk_nm":"삼성전자"}'.encode("euc-kr")).element("stk_nm")
    assert text is not None and "\ufffd" in text, "as the docs say: it is told, not guessed"


def test_control_characters_in_a_string_do_no_harm() -> None:
    body = encoded({**CHART, "return_msg": "one"}).replace(b"one", b"one\n\ttwo\x00")

    assert rest.TickChart.decode(body).return_msg == "one\n\ttwo\x00"


def test_the_last_of_two_elements_of_one_name_counts() -> None:
    for body in (b'{"stk_cd":"1","stk_cd":"2"}', b'{"stk_cd":"1","stk_cd":"2","x":1}'):
        assert rest.TickChart.decode(body).stk_cd == "2"


NAMES = ("stk_cd", "stk_tic_chart_qry", "cur_prc", "return_code", "x")


@given(body=st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_body_is_a_reply_or_refused(body: bytes) -> None:
    try:
        reply = rest.TickChart.decode(body)
    except errors.RestError:
        return
    repr(reply)
    json.dumps(reply.to_dict())
    for values in (reply, *reply.rows):
        for each in values.elements.values():
            try:
                getattr(values, each.attribute)
            except FieldError:
                pass


# What is shown.


def test_to_dict() -> None:
    assert chart(stk_tic_chart_qry=[{**ROW, "trde_qty": "?"}]).to_dict() == {
        "return_code": 0,
        "return_msg": "정상",
        "stk_cd": "005930",
        "last_tic_cnt": None,
        "stk_tic_chart_qry": [
            {
                "cur_prc": 315_500,
                "cntr_tm": "2026-09-17T13:19:39+09:00",
                "open_pric": 316_000,
                "high_pric": 316_500,
                "low_pric": None,
                "pred_pre": -2,
                "pred_pre_sig": "5",
                "directions": {"cur_prc": "-", "open_pric": "+"},
                "texts": {"trde_qty": "?"},
            }
        ],
    }


def test_account_numbers_are_not_shown() -> None:
    number = "5012345610"
    reply = rest.AccountNumbers.decode(encoded({"acctNo": number, "x": {"acnt_no": number}}))

    assert reply.acctNo == number
    assert number not in f"{reply!r} {reply.to_dict()}"
    assert reply.to_dict(masked=False)["acctNo"] == number
    (order,) = rest.OpenOrders.decode(encoded({"oso": [{"acnt_no": number, "ord_no": "0000139"}]})).rows
    assert number not in f"{order!r} {order.to_dict()}"
    assert order.ord_no == "0000139"
    evaluation = rest.AccountEvaluation.decode(encoded({"acnt_nm": "홍길동"}))
    assert "홍길동" not in f"{evaluation!r} {evaluation.to_dict()}"


def test_a_token_is_a_secret() -> None:
    token = "a-token-of-the-test-0123456789"
    reply = rest.TokenIssue.decode(encoded({"token": token, "expires_dt": "20260918131939", "token_type": "bearer"}))

    assert reply.token == token
    assert token not in f"{reply!r} {reply.token!r} {reply.to_dict()}"
    assert reply.to_dict(masked=False)["token"] == token
    assert reply.expires_dt is not None and reply.expires_dt.isoformat() == "2026-09-18T13:19:39+09:00"


def test_a_repr_is_short_and_says_what_is_bad() -> None:
    reply = chart(stk_tic_chart_qry=[ROW] * 900, last_tic_cnt="x")

    assert (
        repr(reply)
        == "TickChartReply(stk_cd='005930', last_tic_cnt=<bad text 'x'>, rows=<900>, return_code=0, return_msg='정상')"
    )
    assert len(repr(chart(stk_cd="\x1b[31m" * 10_000))) < 1000
    assert "\x1b" not in repr(chart(stk_cd="\x1b[31m"))


def test_replies_and_rows_are_values() -> None:
    reply = chart()

    assert reply == chart()
    assert reply != chart(stk_cd="000660")
    assert reply.rows[0] == chart_row()
    assert reply.rows[0] != chart_row(cur_prc="1")
    assert hash(reply.rows[0]) == hash(chart_row())
    assert copy.deepcopy(reply) == copy.copy(reply) == reply
    with pytest.raises(AttributeError):
        reply.stk_cd = "000660"


def test_replies_and_rows_say_what_they_are() -> None:
    reply = rest.DailyChart.decode(b'{"return_code":0,"stk_dt_pole_chart_qry":[{"cur_prc":"1"}]}')
    assert type(reply).__doc__ == rest.DailyChartReply.__doc__
    assert "The reply to `DailyChart` (주식일봉차트조회요청)" in str(type(reply).__doc__)
    assert str(type(reply.rows[0]).__doc__).startswith("One row of stk_dt_pole_chart_qry")

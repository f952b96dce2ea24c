"""Condition search and the US path, client side: what is sent, when, and what is made of the answers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    US_PRODUCTION,
    Closed,
    Endpoint,
    LocalProtocolError,
    MessageDecoder,
    Record,
    Request,
    Symbol,
    UnknownMessage,
    Venue,
)
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import RemoteProtocolError
from kiwoom_proto.events import ConditionList, ConditionResult, RequestAccepted, RequestRefusal, RequestUnanswered
from kiwoom_proto.realtime.conditions import Condition, ConditionRow, UsConditionRow
from kiwoom_proto.request import RequestKind
from kiwoom_proto.session.searches import MAX_PAGES, Pages
from kiwoom_proto.wire.messages import Element, Reg, UsItem

from .wire import Wire, real, text

LIST = b'{"trnm":"CNSRLST"}'
LISTED = '{"trnm":"CNSRLST","return_code":0,"return_msg":"","data":[["0","조건1"],["1","조건2"]]}'.encode()


def ready(endpoint: Endpoint = PRODUCTION) -> Wire:
    return Wire(endpoint=endpoint).login()


def sent(wire: Wire) -> list[bytes]:
    """Everything that goes out, as far as pacing lets it."""
    wire.clock.advance(1)
    wire.client.handle_timeout()
    return wire.messages()


def answer(trnm: str, **members: Any) -> bytes:
    return json.dumps({"trnm": trnm, **members}, ensure_ascii=False).encode()


def test_the_list_is_asked_for_and_read() -> None:
    wire = ready()
    request = wire.client.list_conditions()
    assert sent(wire) == [LIST]
    wire.send(LISTED)
    assert wire.events() == [
        ConditionList(request, (Condition("0", "조건1"), Condition("1", "조건2"))),
        RequestAccepted(request),
    ]


@pytest.mark.parametrize("data", [None, [], [None, ["3"], "x", [None, "y"]], "x"])
def test_a_list_without_usable_rows_is_empty(data: object) -> None:
    wire = ready()
    request = wire.client.list_conditions()
    sent(wire)
    wire.send(answer("CNSRLST", data=data))  # without a return_code, as measured
    assert wire.events() == [ConditionList(request, ()), RequestAccepted(request)]


def test_the_list_is_asked_for_first_and_once_in_a_connection() -> None:
    """Without it the server keeps silent."""
    wire = ready()
    first = wire.client.search_condition("4")
    wire.client.search_condition("5", realtime=True)
    assert sent(wire) == [LIST]
    assert sent(wire) == []
    wire.send(LISTED)
    assert wire.events() == []  # nobody asked to see the list
    assert sent(wire) == [b'{"trnm":"CNSRREQ","seq":"4","search_type":"0","stex_tp":"K","cont_yn":"N","next_key":""}']
    assert sent(wire) == []
    wire.send(answer("CNSRREQ", seq="4", return_code=0, data=[]))
    assert RequestAccepted(first) in wire.events()
    assert sent(wire) == [b'{"trnm":"CNSRREQ","seq":"5","search_type":"1","stex_tp":"K"}']


def test_a_list_that_was_refused_refuses_the_search_and_is_asked_for_again() -> None:
    wire = ready()
    request = wire.client.search_condition("4")
    sent(wire)
    wire.send(answer("CNSRLST", return_code=105111, return_msg="slow down"))
    assert wire.events() == [RequestRefusal(request, "105111", "slow down")]
    assert sent(wire) == []
    wire.client.search_condition("4")
    assert sent(wire) == [LIST]


def searching(seq: str = "4", endpoint: Endpoint = PRODUCTION, **more: Any) -> tuple[Wire, Any]:
    """A connection that has asked for a condition, the list being known."""
    wire = ready(endpoint)
    wire.client.list_conditions()
    sent(wire)
    wire.send(answer("GCNSRLST" if endpoint.us else "CNSRLST", data=[]))
    request = wire.client.search_condition(seq, **more)
    sent(wire)
    wire.events()
    return wire, request


def result_of(wire: Wire) -> ConditionResult:
    result, accepted = wire.events()
    assert isinstance(result, ConditionResult)
    assert accepted == RequestAccepted(result.request)
    return result


ROW = {
    "9001": "A005930",
    "302": "삼성전자",
    "10": "000021850",
    "25": "5",
    "11": "-00000100",
    "12": "-00001500",
    "13": "000012345",
    "16": "",
}


def test_padded_numbers_of_a_row_are_decoded() -> None:
    wire, _ = searching()
    payload = answer("CNSRREQ", seq="4  ", cont_yn="N", next_key="", return_code=0, data=[None, ROW, 5])
    wire.client.receive_data(text(payload), 7)
    result = result_of(wire)
    assert (result.seq, result.next_key, result.symbols) == ("4", None, (Symbol("005930"),))
    (row,) = result.rows
    assert isinstance(row, ConditionRow)
    assert (row.price, row.change, row.change_rate, row.volume, row.open) == (
        21850,
        -100,
        Decimal("-1.500"),
        12345,
        None,
    )
    assert row.symbol == Symbol("005930")
    assert row.stock_name == "삼성전자"
    assert row.received_at == 7
    assert row.fids() == ROW


def test_pages_are_followed_by_hand() -> None:
    wire, _ = searching()
    wire.send(answer("CNSRREQ", seq="4", cont_yn="Y", next_key="K2", data=[ROW]))
    assert result_of(wire).next_key == "K2"
    wire.client.search_condition("4", next_key="K2")
    assert sent(wire) == [b'{"trnm":"CNSRREQ","seq":"4","search_type":"0","stex_tp":"K","cont_yn":"Y","next_key":"K2"}']
    wire.send(answer("CNSRREQ", cont_yn="N", next_key="K2", data=None))  # without seq, and with null for rows
    result = result_of(wire)
    assert (result.seq, result.rows, result.next_key) == ("4", (), None)


def test_a_live_search_answers_with_codes_and_its_pushes_are_known_by_the_number() -> None:
    wire, _ = searching("04", realtime=True)
    wire.send(answer("CNSRREQ", seq="04", return_code=0, data=[{"jmcode": "A005930"}, {"jmcode": "Q500001"}]))
    result = result_of(wire)
    assert result.symbols == (Symbol("005930"), Symbol("500001"))
    assert result.rows == ()
    wire.send(real(("02", "005930", {"841": "4", "9001": "005930", "843": "I", "20": "152028", "907": "2"})))
    wire.send(real(("02", "005930", {"841": "5", "9001": "005930", "843": "D", "20": "152028", "907": "2"})))
    wire.send(real(("0B", "005930", {"841": "4"})))
    ours, other, trade = wire.events()
    assert isinstance(ours, Record) and isinstance(other, Record) and isinstance(trade, Record)
    assert [result.matches(record) for record in (ours, other, trade)] == [True, False, False]


def test_a_condition_that_is_registered_already_is_cleared_and_asked_for_again() -> None:
    wire, request = searching(realtime=True)
    again = b'{"trnm":"CNSRREQ","seq":"4","search_type":"1","stex_tp":"K"}'
    wire.client.subscribe("0E", "005930")
    sent(wire)
    wire.client.subscribe("0E", "000660")  # waits; what is to be mended goes first
    wire.send(answer("CNSRREQ", return_code=900003, return_msg="이미 등록된 조건식입니다(4)"))
    assert wire.events() == []
    assert sent(wire) == [b'{"trnm":"CNSRCLR","seq":"4"}']
    wire.send(answer("CNSRCLR", seq="4", return_code=0, return_msg=""))
    assert wire.events() == []
    assert sent(wire) == [again]
    wire.send(answer("CNSRREQ", seq="4", return_code=0, data=[]))
    assert result_of(wire).request is request


@pytest.mark.parametrize("refused", ["CNSRCLR", "CNSRREQ"])
def test_it_is_cleared_and_asked_for_again_once_only(refused: str) -> None:
    wire, request = searching(realtime=True)
    wire.send(answer("CNSRREQ", return_code=900003, return_msg="4"))
    sent(wire)
    if refused == "CNSRREQ":
        wire.send(answer("CNSRCLR", return_code=0))
        sent(wire)
    wire.send(answer(refused, return_code=900003, return_msg="4"))
    assert wire.events() == [RequestRefusal(request, "900003", "4")]
    assert sent(wire) == []


def test_a_live_search_is_ended() -> None:
    wire, _ = searching(realtime=True)
    wire.send(answer("CNSRREQ", seq="4", return_code=0, data=[]))
    wire.events()
    request = wire.client.clear_condition("4")
    assert sent(wire) == [b'{"trnm":"CNSRCLR","seq":"4"}']
    wire.send(answer("CNSRCLR", seq="4", return_code=0, return_msg=""))
    assert wire.events() == [RequestAccepted(request)]


def given_up(wire: Wire, *requests: Request, seconds: float = 5.0) -> None:
    """Wait until it is too late for an answer; these were not answered."""
    wire.clock.advance(seconds)
    wire.client.handle_timeout()
    assert wire.events() == [RequestUnanswered(request, 5.0) for request in requests]
    assert wire.client.state is ConnectionState.READY


def ask(wire: Wire, what: str) -> Request:
    """ "LST", "CLR 4", "REQ 4", "REQ 4 live" or "REQ 4 K2" for the next page."""
    trnm, *rest = what.split()
    if trnm == "LST":
        return wire.client.list_conditions()
    if trnm == "CLR":
        return wire.client.clear_condition(rest[0])
    realtime = rest[1:] == ["live"]
    return wire.client.search_condition(rest[0], realtime=realtime, next_key="" if realtime else "".join(rest[1:]))


@pytest.mark.parametrize("endpoint", [PRODUCTION, US_PRODUCTION])
@pytest.mark.parametrize("what", ["LST", "REQ 5", "REQ 5 live", "REQ 5 K2", "CLR 5"])
def test_what_is_not_answered_is_given_up_alone(what: str, endpoint: Endpoint) -> None:
    """The server was measured to keep silent for half a minute on a healthy connection."""
    wire, _ = searching(endpoint=endpoint)
    wire.send(answer("GCNSRREQ" if endpoint.us else "CNSRREQ", seq="4", data=[]))
    wire.events()
    request = ask(wire, what)
    assert len(sent(wire)) == 1
    wire.clock.advance(3.9)
    wire.client.handle_timeout()
    assert wire.events() == []
    given_up(wire, request)
    assert str(RequestUnanswered(request, 5.0)) == f"{request} was not answered within 5 s (ack_timeout)"
    wire.send(real(("0B", "005930", {"10": "1"})))
    assert len(wire.events()) == 1


def test_a_list_that_is_not_answered_is_asked_for_again_before_the_next_search() -> None:
    wire = ready()
    first, second = wire.client.search_condition("4"), wire.client.search_condition("5")
    assert sent(wire) == [LIST]
    given_up(wire, first)
    assert sent(wire) == [LIST]
    given_up(wire, second)
    assert sent(wire) == []
    third = wire.client.search_condition("6")
    assert sent(wire) == [LIST]
    wire.send(LISTED)
    assert json.loads(sent(wire)[0])["seq"] == "6"
    wire.send(answer("CNSRREQ", seq="6", data=[]))
    assert result_of(wire).request is third
    wire.send(LISTED, LISTED)  # late, of those before
    assert wire.events() == []


def test_a_late_list_is_a_list() -> None:
    """The server was asked, and has answered: searches need no other."""
    wire = ready()
    request = wire.client.list_conditions()
    sent(wire)
    given_up(wire, request)
    wire.send(LISTED)
    wire.client.search_condition("4")
    assert json.loads(sent(wire)[0])["trnm"] == "CNSRREQ"
    assert wire.events() == []


def test_registrations_do_not_wait_for_a_search_nor_a_search_for_them() -> None:
    wire, _ = searching()
    wire.client.subscribe("0E", "005930")
    wire.client.unsubscribe("0D", "005930")
    assert [json.loads(message)["trnm"] for message in (*sent(wire), *sent(wire))] == ["REG", "REMOVE"]
    wire.send(answer("CNSRREQ", seq="4", data=[]))
    wire.client.subscribe("0E", "000660")  # waits for the first
    wire.client.search_condition("5")
    assert [json.loads(message)["trnm"] for message in sent(wire)] == ["CNSRREQ"]


def test_a_registration_that_is_not_acknowledged_ends_the_connection_all_the_same() -> None:
    wire, request = searching()
    wire.client.subscribe("0E", "005930")
    sent(wire)
    given_up(wire, request, seconds=3.5)
    wire.clock.advance(0.5)
    wire.client.handle_timeout()
    (closed,) = wire.events()
    assert isinstance(closed, Closed)
    assert "ack_timeout" in str(closed)


ONCE, LIVE = {"data": [ROW], "cont_yn": "N"}, {"data": [{"jmcode": "A005930"}]}
NO = {"return_code": 105111, "return_msg": "m"}


@pytest.mark.parametrize(
    ("before", "now", "late"),
    [
        ("REQ 4", "REQ 5", ("CNSRREQ", "4", ONCE)),
        ("REQ 4", "REQ 5", ("CNSRREQ", "004 ", ONCE)),
        ("REQ 4", "REQ 40", ("CNSRREQ", "4", NO)),
        ("REQ 4", "REQ 5", ("CNSRREQ", "", ONCE)),
        ("REQ 4", "REQ 5", ("CNSRREQ", "", NO)),
        ("REQ 4 live", "REQ 5 live", ("CNSRREQ", "", {"return_code": 900003, "return_msg": "m.(seq=4)"})),
        ("REQ 4", "REQ 4 live", ("CNSRREQ", "4", ONCE)),
        ("REQ 4 live", "REQ 4", ("CNSRREQ", "4", LIVE)),
        ("REQ 4 K2", "REQ 4", ("CNSRREQ", "4", ONCE)),
        ("REQ 4", "CLR 4", ("CNSRREQ", "4", ONCE)),
        ("REQ 4", "LST", ("CNSRREQ", "4", ONCE)),
        ("CLR 4", "REQ 4 live", ("CNSRCLR", "4", {})),
        ("CLR 4", "CLR 5", ("CNSRCLR", "4", {})),
        ("LST", "REQ 5", ("CNSRLST", "", {"data": [["4", "x"]]})),
        ("LST", "CLR 5", ("CNSRLST", "", NO)),
    ],
)
@pytest.mark.parametrize("us", [False, True])
def test_a_late_reply_is_dropped_and_never_taken_for_another(
    before: str, now: str, late: tuple[str, str, dict[str, Any]], us: bool
) -> None:
    """It is told by its kind, its number, and by what it looks like."""
    prefix, endpoint = ("G", US_PRODUCTION) if us else ("", PRODUCTION)
    wire, request = searching("3", endpoint)
    wire.send(answer(f"{prefix}CNSRREQ", seq="3", data=[]))
    wire.events()
    request = ask(wire, before)
    assert len(sent(wire)) == 1
    given_up(wire, request)
    request = ask(wire, now)
    assert len(sent(wire)) == 1

    trnm, seq, members = late
    wire.send(answer(prefix + trnm, **({"seq": seq} if seq else {}), **members))
    assert wire.events() == []
    kind, *number = now.split()
    right = LIVE if now.endswith("live") else ONCE if kind == "REQ" else {"data": [["4", "x"]]} if kind == "LST" else {}
    wire.send(answer(f"{prefix}CNSR{kind}", **({"seq": number[0]} if number else {}), **right))
    assert wire.events()[-1] == RequestAccepted(request)


@pytest.mark.parametrize("times", [1, 3])
def test_a_search_that_was_never_answered_harms_none_that_is(times: int) -> None:
    """A page that is answered at once is not taken for a late answer to the first page."""
    wire, request = searching("3")
    wire.send(answer("CNSRREQ", seq="3", data=[]))
    wire.events()
    for _ in range(times):
        request = ask(wire, "REQ 4")
        sent(wire)
        given_up(wire, request)
    for what, reply in (
        ("REQ 4", {**ONCE, "cont_yn": "Y", "next_key": "K2"}),
        ("REQ 4 K2", {**ONCE, "cont_yn": "Y", "next_key": "K3"}),
        ("REQ 4", ONCE),
        ("REQ 4 live", {"data": []}),
        ("CLR 4", {}),
    ):
        request = ask(wire, what)
        assert len(sent(wire)) == 1
        wire.send(answer(f"CNSR{what.split()[0]}", seq="4", **reply))
        assert wire.events()[-1] == RequestAccepted(request), what


def test_a_late_first_page_is_not_taken_for_the_second() -> None:
    wire, request = searching("3")
    wire.send(answer("CNSRREQ", seq="3", data=[]))
    wire.events()
    request = ask(wire, "REQ 4")
    sent(wire)
    given_up(wire, request)
    request = ask(wire, "REQ 4 K2")
    sent(wire)
    wire.send(answer("CNSRREQ", seq="4", **{**ONCE, "cont_yn": "Y", "next_key": "K2"}))
    assert wire.events() == []
    wire.send(answer("CNSRREQ", seq="4", **ONCE))
    assert wire.events()[-1] == RequestAccepted(request)


@pytest.mark.parametrize("us", [False, True])
@pytest.mark.parametrize("what", ["LST", "REQ 4", "REQ 4 live", "REQ 4 K2", "CLR 4"])
def test_a_late_reply_answers_the_same_question_asked_again(what: str, us: bool) -> None:
    prefix, endpoint = ("G", US_PRODUCTION) if us else ("", PRODUCTION)
    wire, request = searching("3", endpoint)
    wire.send(answer(f"{prefix}CNSRREQ", seq="3", data=[]))
    wire.events()
    for _ in range(2):
        request = ask(wire, what)
        sent(wire)
        given_up(wire, request)
    request = ask(wire, what)
    sent(wire)
    kind = what.split()[0]
    members: dict[str, Any] = {} if kind == "CLR" else LIVE if what.endswith("live") else {"data": []}
    payload = answer(f"{prefix}CNSR{kind}", **({} if kind == "LST" else {"seq": "4"}), **members)
    wire.send(payload)
    assert wire.events()[-1] == RequestAccepted(request)
    wire.send(payload, payload)  # those to the later ones: too late
    assert wire.events() == []
    wire.send(payload)  # one too many
    (event,) = wire.events()
    assert isinstance(event, UnknownMessage)


def test_a_us_clear_is_not_taken_for_the_search_before_it_nor_the_other_way_round() -> None:
    """Both replies come under the name of a search."""
    for first, second in (({"return_msg": "정상종료되었습니다."}, LIVE), (LIVE, {"return_msg": "정상종료되었습니다."})):
        wire, request = searching(endpoint=US_PRODUCTION, realtime=True)
        given_up(wire, request)
        clearing = wire.client.clear_condition("4")
        sent(wire)
        wire.send(answer("GCNSRREQ", seq="4", return_code=0, **first), answer("GCNSRREQ", seq="4", **second))
        assert wire.events() == [RequestAccepted(clearing)]


def test_a_refusal_for_coming_too_fast_names_nothing_and_is_of_the_one_that_waits() -> None:
    wire, request = searching()
    given_up(wire, request)
    wire.client.search_condition("5")
    (message,) = sent(wire)
    wire.send(answer("CNSRREQ", return_code=105110, return_msg="m"))
    assert wire.events() == []
    assert sent(wire) == [message]


def test_a_reply_with_another_number_is_nobodys() -> None:
    wire, request = searching("4")
    wire.send(answer("CNSRREQ", seq="5", data=[ROW]))
    (event,) = wire.events()
    assert isinstance(event, UnknownMessage)
    wire.send(answer("CNSRREQ", seq="4", data=[ROW]))
    assert result_of(wire).request is request


def test_a_live_search_given_up_in_the_middle_is_not_asked_for_again() -> None:
    wire, request = searching(realtime=True)
    wire.send(answer("CNSRREQ", return_code=900003, return_msg="m(seq=4)"))
    assert json.loads(sent(wire)[0])["trnm"] == "CNSRCLR"
    given_up(wire, request)
    assert sent(wire) == []


def test_a_condition_reply_that_nobody_asked_for_is_reported_and_no_more() -> None:
    """A search reply that killed the receive task is what other clients were reported for."""
    wire = ready()
    payload = answer("CNSRREQ", seq="1", return_code=0, data=[ROW])
    wire.send(payload)
    (event,) = wire.events()
    assert isinstance(event, UnknownMessage)
    assert event.payload == payload
    assert wire.client.state is ConnectionState.READY


@pytest.mark.parametrize("seq", ["", " ", 4, None, "1\n", "골든크로스", "abc", "-1", "０"])
def test_what_is_no_number_of_a_condition_is_refused(seq: Any) -> None:
    wire = ready()
    for call in (wire.client.search_condition, wire.client.clear_condition):
        with pytest.raises(LocalProtocolError, match="seq"):
            call(seq)
    assert sent(wire) == []


def test_a_live_search_has_no_pages() -> None:
    wire = ready()
    with pytest.raises(LocalProtocolError, match="next_key"):
        wire.client.search_condition("4", realtime=True, next_key="K2")


# The US path.

US_ROW = {
    "10": "000000.1602",
    "11": "-00000.0265",
    "12": "-0014.19",
    "13": "0070213118",
    "25": "5",
    "302": "하이퍼스케일 데이터",
    "9001": "GPUS",
}


def test_the_us_path_has_names_of_its_own() -> None:
    wire = ready(US_PRODUCTION)
    wire.client.search_condition("0")
    assert sent(wire) == [b'{"trnm":"GCNSRLST"}']
    wire.send(answer("GCNSRLST", return_code=0, data=[["0", "x"]]))
    assert sent(wire) == [b'{"trnm":"GCNSRREQ","seq":"0","search_type":"0","cont_yn":"N","next_key":""}']
    wire.send(answer("GCNSRREQ", seq="0", return_code=0, data=[{**US_ROW, "stex_tp": "NA"}]))
    result = result_of(wire)
    (row,) = result.rows
    assert isinstance(row, UsConditionRow)
    assert (row.price, row.change, row.change_rate) == (Decimal("0.1602"), Decimal("-0.0265"), Decimal("-14.19"))
    assert row.symbol == result.symbols[0] == Symbol("GPUS", Venue.AMEX)
    assert row.fids() == US_ROW


def test_the_reply_to_a_us_clear_comes_under_the_name_of_a_search() -> None:
    wire, _ = searching(endpoint=US_PRODUCTION, realtime=True)
    wire.send(answer("GCNSRREQ", seq="4", return_code=0, data=[{"stex_tp": "ND", "jmcode": "AAOI"}]))
    assert result_of(wire).symbols == (Symbol("AAOI", Venue.NASDAQ),)
    request = wire.client.clear_condition("4")
    assert sent(wire) == [b'{"trnm":"GCNSRCLR","seq":"4"}']
    wire.send(answer("GCNSRREQ", seq="4", return_code=0, return_msg="정상종료되었습니다."))
    assert wire.events() == [RequestAccepted(request)]


@pytest.mark.parametrize("item", ["NVDA:ND", Symbol("NVDA", Venue.NASDAQ)])
def test_a_us_item_is_sent_as_the_object_it_is_there(item: str | Symbol) -> None:
    wire = ready(US_PRODUCTION)
    request = wire.client.subscribe("FE", item)
    assert sent(wire) == [
        b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":[{"jmcode":"NVDA","stex_tp":"ND"}],"type":["FE"]}]}'
    ]
    assert (request.items, str(request)) == (("NVDA:ND",), "REG FE for NVDA:ND")


def test_us_items_of_a_request_of_ones_own_may_be_texts_or_objects() -> None:
    wire = ready(US_PRODUCTION)
    wire.client.request(Reg("1", "1", (Element(("NVDA:ND", UsItem("IBM", "NY"), ""), ("FE", "FT")),)))
    (message,) = sent(wire)
    assert json.loads(message)["data"][0]["item"] == [
        {"jmcode": "NVDA", "stex_tp": "ND"},
        {"jmcode": "IBM", "stex_tp": "NY"},
        "",
    ]


@pytest.mark.parametrize(
    ("endpoint", "item", "complaint"),
    [
        (US_PRODUCTION, "NVDA", "NVDA:ND"),
        (US_PRODUCTION, "005930_NX", "names its exchange"),
        (US_PRODUCTION, "NVDA:ZZ", "NVDA:ZZ"),
        (PRODUCTION, "NVDA:ND", "US path"),
        (MOCK, "NVDA:ND", "US path"),
    ],
)
def test_an_item_of_the_other_market_is_refused_here(endpoint: Endpoint, item: str, complaint: str) -> None:
    wire = ready(endpoint)
    with pytest.raises(LocalProtocolError, match=complaint):
        wire.client.subscribe("FE", item)
    assert sent(wire) == []


def test_a_us_row_names_its_exchange() -> None:
    (record,) = MessageDecoder().decode(
        '{"data":[{"values":{"20":"215300","10":"+198.5000"},"type":"FE","name":"미국체결","item":"NVDA","stexTp":"ND"}],'
        '"trnm":"REAL"}'
    )
    assert isinstance(record, Record)
    assert record.symbol == Symbol("NVDA", Venue.NASDAQ)
    assert record.extra is None


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_refused_list_does_not_leave_a_waiting_search_without_one(by_hand: bool) -> None:
    """The server would keep silent, and the silence would end the connection."""
    wire = ready()
    first = wire.client.list_conditions() if by_hand else wire.client.search_condition("4")
    second = wire.client.search_condition("5")
    assert sent(wire) == [LIST]
    wire.send(answer("CNSRLST", return_code=105111, return_msg="slow"))
    assert wire.events() == [RequestRefusal(first, "105111", "slow")]
    assert sent(wire) == [LIST]
    wire.send(LISTED)
    (message,) = sent(wire)
    assert json.loads(message)["seq"] == "5"
    wire.send(answer("CNSRREQ", seq="5", data=[]))
    assert result_of(wire).request is second


def test_a_push_without_a_number_belongs_to_no_search() -> None:
    wire, _ = searching("0", realtime=True)
    wire.send(answer("CNSRREQ", seq="0", data=[]))
    result = result_of(wire)
    for values, ours in (
        ({}, False),
        ({"841": ""}, False),
        ({"841": "0"}, True),
        ({"841": "00 "}, True),
        ({"841": "1"}, False),
    ):
        wire.send(real(("02", "005930", values)))
        (row,) = wire.events()
        assert isinstance(row, Record)
        assert result.matches(row) is ours


def test_odd_rows_of_a_search_are_taken_and_the_reply_is_kept() -> None:
    wire, _ = searching()
    wire.send(answer("CNSRREQ", seq="4", data={**ROW, "jmcode": None}, surprise=1))
    result = result_of(wire)
    assert len(result.rows) == len(result.symbols) == 1
    assert result.members["surprise"] == 1


# Following the pages.


def page(next_key: str | None) -> ConditionResult:
    request = Request(RequestKind.CONDITION_SEARCH, seq="0")
    return ConditionResult(request, "0", (), (), next_key)


def test_pages_are_followed_to_the_last() -> None:
    pages = Pages()
    keys = [f"{number:06}" for number in range(MAX_PAGES - 1)]

    assert [pages.next_key(page(key)) for key in keys] == keys
    assert pages.next_key(page(None)) is None


@pytest.mark.parametrize("length", [1, 2, 100])
def test_a_key_that_comes_again_is_an_error(length: int) -> None:
    pages = Pages()
    for number in range(length):
        pages.next_key(page(f"{number}"))

    with pytest.raises(RemoteProtocolError, match=rf"condition 0: page {length + 1} of .* a page before it"):
        pages.next_key(page("0"))


def test_pages_without_end_are_an_error() -> None:
    pages = Pages()
    for number in range(MAX_PAGES - 1):
        pages.next_key(page(f"{number}"))

    with pytest.raises(RemoteProtocolError, match="page 1000 of its search is not the last, and 1,000 are followed"):
        pages.next_key(page("more"))


@pytest.mark.parametrize("key", ["a\nb", "x" * 1001], ids=["a line feed", "far too long"])
def test_a_key_that_cannot_be_sent_is_the_servers_fault(key: str) -> None:
    with pytest.raises(RemoteProtocolError, match="page 1 of its search gives a next_key that cannot be sent"):
        Pages().next_key(page(key))


def test_searches_follow_their_pages_apart() -> None:
    assert [Pages().next_key(page("1")) for _ in range(3)] == ["1"] * 3

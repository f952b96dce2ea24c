"""One call: the bytes of the request, what each answer means, and that nothing is shown that is secret."""

from __future__ import annotations

import json
from collections.abc import Iterable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rest.asked import Buy, Quote, Reply

from kiwoom_proto import MOCK, PRODUCTION, KiwoomError, LocalProtocolError, rest
from kiwoom_proto.errors import TransportError
from kiwoom_proto.rest.call import Call, Page, dry_run, is_order
from kiwoom_proto.rest.errors import (
    InputRejected,
    MaintenancePage,
    RateLimited,
    RestError,
    ServerFailed,
    UnreadableReply,
)
from kiwoom_proto.secrets import Secret
from kiwoom_proto.wire.http import HttpConnection

TOKEN = "the-token-that-nobody-may-see"
GOOD = b'{"return_code":0,"return_msg":"OK","cur_prc":"+70000"}'


def http(body: bytes = GOOD, status: str = "200 OK", *lines: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    return f"{head}\r\n\r\n".encode() + body


def answered(data: bytes | Iterable[bytes], max_size: int = 10_000) -> Page[Reply] | KiwoomError:
    call = Call(Quote(), PRODUCTION, TOKEN, max_size=max_size)
    for piece in (data,) if isinstance(data, bytes) else data:
        call.receive_data(piece)
    call.receive_eof()
    assert call.outcome is not None
    return call.outcome


def test_a_call_is_a_post_with_the_documented_headers() -> None:
    server = h11.Connection(our_role=h11.SERVER)
    server.receive_data(Call(Quote("000660"), PRODUCTION, TOKEN, cont_yn="Y", next_key="A1").data_to_send())

    request, data, end = (server.next_event() for _ in range(3))
    assert isinstance(request, h11.Request) and isinstance(data, h11.Data) and isinstance(end, h11.EndOfMessage)
    assert (request.method, request.target) == (b"POST", b"/api/dostk/mrkcond")
    headers = dict(request.headers)
    assert headers[b"host"] == b"api.kiwoom.com"
    assert headers[b"user-agent"] == b"kiwoom-proto"
    assert headers[b"api-id"] == b"ka10004"
    assert headers[b"authorization"] == f"Bearer {TOKEN}".encode()
    assert (headers[b"cont-yn"], headers[b"next-key"]) == (b"Y", b"A1")
    assert headers[b"content-type"] == b"application/json;charset=UTF-8"
    assert headers[b"accept-encoding"] == b"identity"
    assert json.loads(data.data) == {"stk_cd": "000660"}
    first = Call(Quote(), MOCK, TOKEN).data_to_send().lower()
    assert b"cont-yn" not in first and b"host: mockapi.kiwoom.com\r\n" in first


@pytest.mark.parametrize(
    ("cont_yn", "next_key"), [("YY", "A"), ("Y", "A\r\nX: y"), ("Y", "가"), ("Y", "x" * 1001), ("Y", 5), (5, "")]
)
def test_what_cannot_be_sent_is_refused(cont_yn: str, next_key: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"cont-yn|next-key"):
        Call(Quote(), PRODUCTION, TOKEN, cont_yn=cont_yn, next_key=next_key)


def test_a_reply_comes_with_where_it_continues() -> None:
    page = answered(http(GOOD, "200 OK", "Cont-Yn: Y", "next-key: A0059302024032700010000"))

    assert isinstance(page, Page)
    assert page.reply.members["cur_prc"] == "+70000"
    assert (page.cont_yn, page.next_key, page.is_last) == ("Y", "A0059302024032700010000", False)
    assert "A0059302024032700010000" not in repr(page), "it may be anything"
    last = answered(http(GOOD, "200 OK", "cont-yn: N", "next-key: "))
    assert isinstance(last, Page) and last.is_last
    assert Page(last.reply, "Y", "").is_last and not Page(last.reply, " y", "K").is_last


@pytest.mark.parametrize(
    ("data", "cls", "text"),
    [
        (http(b'{"return_code":5,"return_msg":"[1700:x]"}', "429 Too Many Requests"), RateLimited, "1700"),
        (http(b"<html><title>Check</title></html>", "200 OK", "Content-Type: text/html"), MaintenancePage, "Check"),
        (
            http(b"", "302 Found", "Location: /"),
            UnreadableReply,
            "HTTP 302, the server redirects, which is not followed",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", UnreadableReply, "more than 10,000 bytes"),
        (
            http(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"),
            UnreadableReply,
            "compressed (gzip), which was not asked",
        ),
        (http(b"\x1f\x8b", "503 x", "Content-Encoding: gzip"), ServerFailed, "HTTP 503"),
        (http(b'{"a":"' + b"x" * 20_000 + b'"}'), UnreadableReply, "more than 10,000 bytes (max_answer_size)"),
        (http(b"<title>Check</title>" + b"x" * 20_000, "200 OK", "Content-Type: text/html"), MaintenancePage, "Check"),
        (http(b"x" * 20_000, "500 x"), ServerFailed, "HTTP 500"),
        (http(b"[]"), UnreadableReply, "not a JSON object"),
        (b"SSH-2.0-x\r\n\r\n", UnreadableReply, "breaks the rules of HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", TransportError, "before its answer was complete"),
        (b"", TransportError, "ka10004: the server ended the connection"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, cls: type[KiwoomError], text: str) -> None:
    outcome = answered(data)

    assert type(outcome) is cls
    assert text in str(outcome)
    if isinstance(outcome, RestError):
        assert outcome.api_id == "ka10004"


@pytest.mark.parametrize(
    ("body", "cls", "text"),
    [
        (b"{}", UnreadableReply, "ka10081: the answer has neither a return_code nor any element of ka10081"),
        (b'{"error":"internal","path":"/x"}', UnreadableReply, "any element of ka10081: internal"),
        (b'{"return_code":null,"return_msg":"words"}', UnreadableReply, "any element of ka10081: words"),
        (b'{"return_code":"","sel_fpr_bid":"1"}', UnreadableReply, "neither"),  # that of another TR
        (b'{"rtn_cd":7,"err_code":1511,"err_msg":"bad"}', InputRejected, "code 1511"),
        (b'{"rtn_cd":"7","err_msg":"bad"}', InputRejected, "return_code 7, bad"),
        (b'{"err_code":"1700","err_msg":"bad"}', RateLimited, "code 1700"),
        (b'{"return_code":null,"rtn_cd":5}', RateLimited, "return_code 5"),
        (b'{"rtn_cd":0,"err_code":""}', None, ""),
        (b'{"return_code":0}', None, ""),
        (b'{"returnCode":"0"}', None, ""),
        (b'{"stk_cd":null}', None, ""),
        (b'{"stk_dt_pole_chart_qry":[]}', None, ""),
    ],
)
def test_an_answer_that_holds_nothing_of_its_tr_is_no_reply(
    body: bytes, cls: type[RestError] | None, text: str
) -> None:
    call = Call(rest.DailyChart(stk_cd="005930", base_dt="20261126", upd_stkpc_tp="1"), PRODUCTION, TOKEN)
    call.receive_data(http(body))
    assert type(call.outcome) is (cls or Page)
    assert text in str(call.outcome)


def test_there_is_no_result_before_the_answer() -> None:
    call = Call(Quote(), PRODUCTION, Secret(TOKEN))
    with pytest.raises(LocalProtocolError, match="not finished"):
        call.result()
    call.receive_data(http())
    assert call.result().reply.members["cur_prc"] == "+70000"
    call.receive_data(b"more")
    call.receive_eof("reset")
    assert isinstance(call.outcome, Page)
    refused = Call(Quote(), PRODUCTION, TOKEN)
    refused.receive_eof("reset by peer")
    with pytest.raises(TransportError, match="ka10004: reset by peer"):
        refused.result()


def test_calls_follow_one_another_on_one_connection() -> None:
    connection = HttpConnection(1000)
    for _ in range(3):
        assert connection.is_reusable
        call = Call(Quote(), PRODUCTION, TOKEN, connection=connection)
        call.receive_data(http())
        assert isinstance(call.outcome, Page)


def test_nothing_shows_the_token() -> None:
    call = Call(Quote(), PRODUCTION, TOKEN)
    call.receive_data(http(json.dumps({"return_code": 3, "return_msg": f"no such token {TOKEN}"}).encode()))

    assert TOKEN not in f"{call!r} {call.outcome!r} {call.outcome} {vars(call)!r}"
    assert "no such token ***" in str(call.outcome)


def test_what_would_be_sent_is_shown_without_secrets() -> None:
    shown = dry_run(Buy(), MOCK)

    assert str(shown).splitlines() == [
        "POST https://mockapi.kiwoom.com/api/dostk/ordr",
        "Host: mockapi.kiwoom.com",
        "User-Agent: kiwoom-proto",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Content-Type: application/json;charset=UTF-8",
        "authorization: Bearer ***",
        "api-id: kt10000",
        "",
        '{"stk_cd":"005930","dmst_stex_tp":"KRX","ord_qty":"10","ord_uv":"70000","trde_tp":"0"}',
    ]
    assert "8100000001" not in str(dry_run(Quote("8100000001"), MOCK, cont_yn="Y", next_key="8100000001"))
    assert "next-key: ***" in str(dry_run(Quote(), MOCK, cont_yn="Y", next_key="8100000001"))
    with pytest.raises(LocalProtocolError):
        dry_run(Quote(), MOCK, next_key="\n")


def test_what_an_order_is() -> None:
    assert is_order(Buy()) and not is_order(Quote())


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [http(), http(b"{}", "500 x"), b"HTTP/1.1 100 x\r\n\r\n", b"Transfer-Encoding: chunked\r\n"]
            ),
        ),
        max_size=3,
    ).map(b"".join),
    st.integers(1, 50),
)
def test_no_bytes_raise_and_every_split_says_the_same(data: bytes, size: int) -> None:
    outcomes = {
        f"{answered(pieces)!r}" for pieces in (data, [data[at : at + size] for at in range(0, len(data), size)])
    }
    assert len(outcomes) == 1

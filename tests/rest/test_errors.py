"""Answers are told apart by what helps, and nothing in them makes reading raise or shows a secret."""

from __future__ import annotations

import datetime
import json
import pickle
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rest.samples import arguments_of

from kiwoom_proto import KiwoomError, rest
from kiwoom_proto.codes import Remedy
from kiwoom_proto.errors import TransportError
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.rest import errors
from kiwoom_proto.rest.errors import (
    AccountRefused,
    AddressRejected,
    InputRejected,
    MaintenancePage,
    NotInMock,
    OrderOutcomeUnknown,
    RateLimited,
    RequestBlocked,
    RestError,
    ServerFailed,
    TokenRejected,
    TooManyCodes,
    UnreadableReply,
    read_failure,
    was_not_processed,
)
from kiwoom_proto.secrets import Redaction

HTML = [("Content-Type", "text/html; charset=utf-8")]


def refusal(return_code: object, words: str) -> bytes:
    return json.dumps({"return_code": return_code, "return_msg": words}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("status", "return_code", "words", "cls", "code"),
    [
        (429, 5, "허용된 요청 개수를 초과하였습니다[1700:허용된 요청 개수를 초과하였습니다.]", RateLimited, "1700"),
        (200, 5, "[1701:초과]", RateLimited, "1701"),
        (429, 5, "종목 개수 초과[1634:종목]", TooManyCodes, "1634"),
        (200, 5, "초과", RateLimited, ""),
        (429, 0, "", RateLimited, ""),
        (429, 3, "", RateLimited, ""),
        (200, "1700", "초과", RateLimited, "1700"),
        (200, 3, "인증에 실패했습니다[8005:Token이 유효하지 않습니다]", TokenRejected, "8005"),
        (200, 3, "[8030:투자구분]", TokenRejected, "8030"),
        (200, 3, "[8031]", TokenRejected, "8031"),
        (200, 3, "인증", TokenRejected, ""),
        (401, None, "", TokenRejected, ""),
        (200, 3, "[8050:지정단말기 인증에 실패했습니다]", AddressRejected, "8050"),
        (200, 3, "[8010:IP]", AddressRejected, "8010"),
        (200, "3", "[8040]", AddressRejected, "8040"),
        (200, 20, "[2000](RC4058:모의투자 장종료)", AccountRefused, "RC4058"),
        (200, 20, "[2000](RC9999:무엇)", AccountRefused, "RC9999"),
        (200, 20, "[2000]", AccountRefused, "2000"),
        (200, 20, "[2000](RC9000:모의투자에서는 해당업무가 제공되지 않습니다.)", NotInMock, "RC9000"),
        (200, 2, "입력 값 오류입니다[8104:모의투자 미지원]", NotInMock, "8104"),
        (
            200,
            2,
            "입력 값 오류입니다[1511:필수 입력 값에 값이 존재하지 않습니다. 필수입력 파라미터=stk_cd]",
            InputRejected,
            "1511",
        ),
        (200, 1, "[1504:해당 URI에서는 지원하는 API ID가 아닙니다]", InputRejected, "1504"),
        (200, 3, "[1504:해당 URI]", InputRejected, "1504"),
        (200, 7, "알 수 없음", InputRejected, ""),
        (400, None, "", InputRejected, ""),
        (404, None, "", InputRejected, ""),
        (200, 1, "[1999:예기치 못한 에러]", ServerFailed, "1999"),
        (503, 0, "", ServerFailed, ""),
        (500, 20, "무엇", ServerFailed, ""),
        (500, 3, "[8005:Token]", TokenRejected, "8005"),
        (408, None, "", ServerFailed, ""),
        (302, None, "", UnreadableReply, ""),
        (200, 99, "새로운 것", RestError, ""),
        (200, 99, "새로운 것[7777:무엇]", RestError, "7777"),
        (200, -1, "음수", RestError, ""),
        (200, "x", "", UnreadableReply, ""),
        (200, True, "", UnreadableReply, ""),
        (200, 0.5, "", UnreadableReply, ""),
    ],
)
def test_a_refusal_is_told_apart(status: int, return_code: object, words: str, cls: type[RestError], code: str) -> None:
    found = read_failure("ka10004", status, [("Retry-After", "3")], refusal(return_code, words))

    assert type(found) is cls
    assert (found.code, found.status, found.api_id, found.retry_after) == (code, status, "ka10004", 3.0)
    assert not words or words in found.message or cls is UnreadableReply
    assert "ka10004" in str(found)
    assert not code or code in str(found)


@pytest.mark.parametrize("return_code", [0, "0", " 0 ", "00", None, ""])
def test_success_is_no_failure(return_code: object) -> None:
    assert read_failure("ka10004", 200, [], refusal(return_code, "정상적으로 처리되었습니다")) is None
    assert read_failure("ka10004", 200, [], b'{"stk_cd":"005930","row":[{"return_code":5}]}') is None


@pytest.mark.parametrize(
    ("status", "headers", "body", "cls", "text"),
    [
        (
            200,
            HTML,
            b"<html><title>System check</title>",
            MaintenancePage,
            "HTML page where JSON belongs: System check",
        ),
        (200, [], b"<!DOCTYPE html><html></html>", MaintenancePage, "HTML page"),
        (400, HTML, b"<html><title>Request Blocked</title>", RequestBlocked, "Request Blocked"),
        (429, HTML, b"<html></html>", RateLimited, "HTTP 429"),
        (502, HTML, b"<html><title>Bad Gateway</title></html>", ServerFailed, "HTTP 502, an HTML page"),
        (503, HTML, "<html><title>시스템 점검 안내</title></html>".encode(), MaintenancePage, "시스템 점검 안내"),
        (503, HTML, "<html><body>서비스 점검 중입니다".encode("cp949"), MaintenancePage, "HTTP 503"),
        (500, [], b"<html><h1>Down for Maintenance</h1></html>", MaintenancePage, "HTTP 500"),
        (403, HTML, "<html><title>점검</title></html>".encode(), MaintenancePage, "점검"),
        (429, HTML, "<html><title>점검</title></html>".encode(), RateLimited, "점검"),
        (503, HTML, b"<html><title>Service Unavailable</title></html>", ServerFailed, "Service Unavailable"),
        (503, [], b"", ServerFailed, "HTTP 503"),
        (429, [], b"slow down", RateLimited, "slow down"),
        (
            200,
            HTML,
            b"<html><style>p {}</style><!-- a --><p>Down &amp; out<p>until  9",
            MaintenancePage,
            "Down & out until 9",
        ),
        (200, HTML, "<html><h1>시스템 작업".encode("cp949"), MaintenancePage, "where JSON belongs: 시스템 작업"),
        (502, HTML, "<p>서버 오류".encode() + b"\xec", ServerFailed, "서버 오류"),
        *(
            (status, headers, body, UnreadableReply, f"HTTP {status}, the server redirects{to}, which is not followed")
            for status, headers, body, to in (
                (307, [("Location", "https://user:pass@elsewhere:443/a?token=b")], b"", " to elsewhere"),
                (302, [*HTML, ("location", "//other/")], b"<html><title>Found</title>", " to other"),
                (302, [*HTML, ("Location", "/x")], b"", ""),
                (301, [("Location", "https://[/")], b'{"return_code":0}', ""),
                (304, [], b"", ""),
            )
        ),
        (200, [], b"", UnreadableReply, "not a JSON object"),
        (200, [], b"[1,2]", UnreadableReply, "not a JSON object"),
        (200, [], b"null", UnreadableReply, "not a JSON object"),
        (200, [], b'{"return_code":0', UnreadableReply, "not a JSON object"),
        (200, [], b"[" * 100_000, UnreadableReply, "not a JSON object"),
        (404, [], b"", InputRejected, "HTTP 404"),
    ],
)
def test_what_is_not_json_is_told_apart(
    status: int, headers: list[tuple[str, str]], body: bytes, cls: type[RestError], text: str
) -> None:
    found = read_failure("ka10081", status, headers, body)

    assert type(found) is cls
    assert text in str(found)


@pytest.mark.parametrize(
    ("status", "return_code", "words", "expected"),
    [
        (200, 5, "[1700:x]", True),
        (200, 5, "[1634:x]", True),
        (200, 3, "[8005:x]", True),
        (200, 3, "[8010:x]", True),
        (200, 20, "[2000](RC4058:x)", True),
        (200, 2, "[1511:x]", True),
        (200, 2, "[8104:x]", True),
        (429, 5, "x", True),
        (401, 3, "[8005:x]", True),
        # A bare return code or HTTP status, or a code that nobody knows, says too little.
        (401, 3, "x", False),
        (404, 1, "x", False),
        (400, 3, "[8999:x]", False),
        (200, 1, "x", False),
        (200, 1, "", False),
        (200, 2, "x", False),
        (200, 3, "x", False),
        (200, 3, "[8999:x]", False),
        (200, 5, "x", False),
        (200, 7, "x", False),
        (200, 20, "x", False),
        (200, 99, "x", False),
        (200, 1, "[1999:x]", False),
        (500, 5, "[1700:x]", False),
        (503, 2, "[1511:x]", False),
    ],
)
def test_only_a_clear_refusal_says_that_nothing_was_processed(
    status: int, return_code: int, words: str, expected: bool
) -> None:
    body = json.dumps({"return_code": return_code, "return_msg": words}).encode()
    error = read_failure("kt10000", status, [], body)
    assert error is not None and was_not_processed(error) is expected


@pytest.mark.parametrize("cls", [RestError, MaintenancePage, UnreadableReply, ServerFailed])
def test_what_is_no_refusal_says_nothing_of_the_kind(cls: type[RestError]) -> None:
    assert not was_not_processed(cls("", "1700", status=200))
    assert not was_not_processed(TransportError("reset"))


def test_an_html_page_of_the_firewall_says_that_nothing_was_processed() -> None:
    error = read_failure(
        "kt10000", 400, [("Content-Type", "text/html")], b"<html><title>Request Blocked</title></html>"
    )
    assert isinstance(error, RequestBlocked) and was_not_processed(error)


def test_what_helps_is_known() -> None:
    assert RateLimited().remedy is Remedy.RETRY
    assert TooManyCodes(code="1634").remedy is Remedy.STOP
    assert TokenRejected(code="8005").remedy is Remedy.RENEW
    assert TokenRejected(code="8030").remedy is Remedy.STOP
    assert AddressRejected(code="8050").remedy is Remedy.STOP
    assert AccountRefused(code="RC4058").remedy is Remedy.STOP
    assert RestError("?").remedy is None


def test_every_class_is_told_in_the_first_lines() -> None:
    for name in errors.__all__:
        cls = getattr(errors, name)
        if isinstance(cls, type) and issubclass(cls, RestError):
            assert errors.__doc__ is not None and name in errors.__doc__


def test_the_words_are_masked_and_cut() -> None:
    token = "the-token-of-this-test"
    words = f"계좌 8100000001, token {token}, {'가' * 5000}"
    found = read_failure("kt00018", 200, [], refusal(20, words), Redaction([token]))

    assert found is not None
    assert found.message.startswith("계좌 ***, token ***, 가가")
    assert len(found.message) == 200
    assert "8100000001" not in repr(found)


@attrs.frozen
class Order:
    api_id: ClassVar[str] = "kt10000"
    elements: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.elements


def test_an_unknown_outcome_names_the_order_and_when_to_look() -> None:
    sent = datetime.datetime(2026, 11, 26, 9, 0, 1, 500_000, KST)
    order = Order({"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "10", "ord_uv": "70000", "trde_tp": "0"})
    error = OrderOutcomeUnknown(order, (sent, sent + datetime.timedelta(seconds=10)), TransportError("reset by peer"))

    assert (error.side, error.stock_code, error.quantity, error.price) == ("buy", "005930", "10", "70000")
    assert str(error) == (
        "kt10000: nobody knows whether this order was processed: buy 005930 quantity 10 price 70000. Look it up "
        "(ka10075, ka10076) from 09:00:01.500 to a little after 09:00:11.500 KST before you send it again. "
        "Why: reset by peer"
    )
    assert error.remedy is Remedy.STOP
    assert isinstance(error.__cause__, TransportError)
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.window) == (str(error), error.window)


def test_an_unknown_outcome_names_the_trs_that_tell() -> None:
    by_order = {
        "kt10000 kt10001 kt10002 kt10003": ("ka10075", "ka10076"),
        "kt10006 kt10007 kt10008 kt10009": ("ka10075", "ka10076", "kt00007"),
        "kt50000 kt50001 kt50002 kt50003": ("kt50075", "kt50031"),
        "ust20000 ust20001 ust20002 ust20003": ("ust21050", "ust21510"),
        "ust31302": ("ust21100",),
    }
    expected = {api_id: trs for api_ids, trs in by_order.items() for api_id in api_ids.split()}
    orders = {api_id: cls for api_id, cls in rest.CATALOGUE.items() if cls.safety == "order_write"}
    assert orders.keys() == expected.keys()
    sent = datetime.datetime(2026, 11, 26, 9, tzinfo=KST)
    for api_id, cls in orders.items():
        error = OrderOutcomeUnknown(cls.from_dict(arguments_of(cls)), (sent, sent), TransportError("reset"))
        assert error.look_up == expected[api_id], api_id
        assert f"Look it up ({', '.join(error.look_up)}) from" in str(error)
        assert error.side and (error.quantity or error.original), api_id
        assert error.side in cls.__name__.lower()
        for look_up in error.look_up:
            assert rest.CATALOGUE[look_up].safety == "account_read"
            assert rest.CATALOGUE[look_up].market == cls.market


@pytest.mark.parametrize("cls", [RestError, RateLimited, ServerFailed])
def test_errors_survive_pickling(cls: type[RestError]) -> None:
    error = cls("words", "1700", 5, 429, "ka10004", 1.5)
    twin = pickle.loads(pickle.dumps(error))

    assert type(twin) is cls and str(twin) == str(error) and twin.retry_after == 1.5


@given(
    st.integers(100, 999),
    st.lists(st.tuples(st.sampled_from(["content-type", "retry-after", "date"]), st.text(max_size=30)), max_size=3),
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            refusal,
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=25)),
            st.text(max_size=30),
        ),
    ),
)
def test_no_answer_makes_it_raise(status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    found = read_failure("ka10004", status, headers, body)

    assert found is None or isinstance(found, KiwoomError)
    if found is not None:
        assert len(str(found)) < 1000 and str(found).isprintable()
        assert found.remedy is None or isinstance(found.remedy, Remedy)
    else:
        assert status // 100 == 2


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        (b'{"return_code":0,"return_msg":"a\n\tb\x00"}', None),
        (b'\xef\xbb\xbf{"return_code":0,"return_msg":"a"}', None),
        (b'\xef\xbb\xbf{"return_code":5,"return_msg":"[1700:x]"}', RateLimited),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"return_code":0}', UnreadableReply),
        (b'{"return_code":0,"return_msg":"\xb1\xb8"}', None),
        (b'{"stk_nm":"\xb1\xb8"}', None),
        (b'{"\xb1\xb8":"a\nb"}', None),
        (b'{"return_code":5,"return_msg":"a\nb[1700:x]"}', RateLimited),
        (b'{"return_code":"3","return_msg":"\xb1\xb8[8005:x]"}', TokenRejected),
        (b'{"returnCode":5,"returnMsg":"[1700:x]"}', RateLimited),
        (b'{"returnCode":5,"returnMsg":"\n[1700:x]"}', RateLimited),
        (b'{"return_code":null,"returnCode":0}', None),
        (b'{"return_code":[5],"return_msg":"\n"}', UnreadableReply),
        (b'{"return_code":true,"return_msg":"\n"}', UnreadableReply),
        (b'{"return_code":0,"return_msg":"\n', UnreadableReply),
    ],
)
def test_an_outcome_is_read_from_whatever_a_reply_is_read_from(body: bytes, cls: type[RestError] | None) -> None:
    found = read_failure("ka10004", 200, [], body)

    assert type(found) is (cls or type(None))


@given(
    st.lists(
        st.sampled_from(
            [
                *(b'"return_code"', b'"returnCode"', b'"return_msg"', b"0", b'"0"', b'" 00 "', b"5", b"null"),
                *(b'"a\nb"', b'"\xb1\xb8"', b":", b",", b"[", b"]", b"1.5", b"true"),
            ]
        ),
        max_size=9,
    ).map(lambda parts: b"{" + b"".join(parts) + b"}")
)
def test_a_reply_that_can_be_decoded_reaches_the_caller(body: bytes) -> None:
    try:
        reply = rest.StockQuoteReply.decode(body)
    except UnreadableReply:
        assert isinstance(read_failure("ka10004", 200, [], body), UnreadableReply)
    else:
        assert (read_failure("ka10004", 200, [], body) is None) is reply.is_success

"""Errors: the tree, what their messages say and never say, and Kiwoom's codes."""

from __future__ import annotations

import copy
import csv
import pickle
import re
from pathlib import Path

import pytest

from kiwoom_proto import Closed, ConnectionLost, KiwoomError, LocalProtocolError, Request, RequestRefused, SystemNotice
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.codes import RETURN_CODES, Remedy, explain_code, reason_in, remedy_of
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    FieldError,
    HandshakeError,
    LoginRefused,
    QuotaExceeded,
    RemoteProtocolError,
    TakenOver,
    TokenError,
    TokenRefused,
)
from kiwoom_proto.request import RequestKind
from kiwoom_proto.session.quota import item_limit_in

ERROR_CODES = Path(__file__).parents[1] / "data" / "error_codes.csv"

# Where our meaning is not that of the table, which is a source of its own and stays as it was found.
NAME_NO_NUMBER = ("105110", "105115", "105118", "1634")
SAY_WHERE_TO_REGISTER = ("8010", "8050")


def refused(*items: str, code: str = "105115", message: str = "") -> RequestRefused:
    return RequestRefused(Request(RequestKind.REGISTER, tuple(("1", "0E", item) for item in items)), code, message)


def test_the_codes_known_are_exactly_those_of_the_table_and_of_the_account_system() -> None:
    with ERROR_CODES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]

    listed = {code: (where, meaning, action) for code, where, meaning, action in rows}
    undocumented = {code for code in RETURN_CODES if code.startswith("RC")}

    assert listed.keys() == RETURN_CODES.keys() - undocumented
    assert undocumented == {"RC4003", "RC4007", "RC4027", "RC4057", "RC4058", "RC7006", "RC9000"}
    known = {code: (found.where, found.meaning, found.action) for code, found in RETURN_CODES.items()}
    differing = {code for code in listed if listed[code] != known[code]}
    assert differing == {*NAME_NO_NUMBER, *SAY_WHERE_TO_REGISTER}
    for code in differing:
        assert (known[code][0], known[code][2]) == (listed[code][0], listed[code][2])


def test_no_meaning_names_a_number_that_the_server_may_set() -> None:
    """Beside "(100)" in the server's text, a 200 of ours would be wrong."""
    meanings = {code: known.meaning.replace("CODE=8005", "") for code, known in RETURN_CODES.items()}
    numbers = {code: re.findall(r"\d+", meaning) for code, meaning in meanings.items()}
    assert {code: found for code, found in numbers.items() if found} == {}


@pytest.mark.parametrize("code", SAY_WHERE_TO_REGISTER)
def test_an_address_that_is_not_registered_is_told_with_where_to_register_it(code: str) -> None:
    refusals = (
        LoginRefused("805004", f"[CODE={code}, MESSAGE=10.0.0.7]", code),
        TokenRefused("3", f"인증에 실패했습니다[{code}:지정단말기 10.0.0.7]", 200, code),
    )
    for error in refusals:
        assert "IP address" in str(error)
        assert "https://openapi.kiwoom.com (API 사용신청, 계좌 App Key 관리)" in str(error)
        assert "10.0.0.7" in str(error), "which one, if the server says so"


@pytest.mark.parametrize(
    ("remedy", "codes"),
    [
        ("renew", ["8003", "8005", "8010", "8103", "105100", "805004"]),
        ("retry", ["8006", "8009", "105110", "100013", "R10002", "1700", "1701", "1702", "1999", "RC4057"]),
        ("stop", ["8001", "8002", "8011", "8012", "8016", "8020", "8030", "8031", "8050", "805002", "105115"]),
        ("stop", ["1511", "1634", "8040", "8104", "8200", "RC4003", "RC4027", "RC9000"]),
        (None, ["", "3", "777", "8005 "]),
    ],
)
def test_a_code_tells_whether_another_token_or_another_try_can_help(remedy: str | None, codes: list[str]) -> None:
    assert [code for code in codes if remedy_of(code) != remedy] == []


def test_every_code_has_a_remedy() -> None:
    assert {remedy_of(code) for code in RETURN_CODES} == set(Remedy)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("로그인 인증에 실패하였습니다. [CODE=8005, MESSAGE=Token이 유효하지 않습니다]", "8005"),
        ("[CODE = 8010 ]", "8010"),
        ("인증에 실패했습니다[8001:App Key와 Secret Key 검증에 실패했습니다]", "8001"),
        ("[2000](RC4058:모의투자 장종료)", "RC4058"),
        ("[1700:허용된 요청 개수를 초과하였습니다.]", "1700"),
        ("인증에 실패했습니다", None),
        ("", None),
    ],
)
def test_the_reason_inside_a_refusal(message: str, reason: str | None) -> None:
    assert reason_in(message) == reason


def test_a_known_code_is_explained_and_an_unknown_one_stands_alone() -> None:
    assert explain_code("8005") == "8005 (the token is not valid)"
    assert explain_code("R10002") == "R10002 (no PING echo came; this connection is closed)"
    assert explain_code("777") == "777"
    assert explain_code("") == ""


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (LocalProtocolError, (KiwoomError, ValueError)),
        (RemoteProtocolError, (KiwoomError,)),
        (HandshakeError, (RemoteProtocolError, KiwoomError)),
        (FieldError, (KiwoomError, ValueError)),
        (QuotaExceeded, (LocalProtocolError, ValueError)),
        (LoginRefused, (KiwoomError,)),
        (TokenError, (KiwoomError,)),
        (TokenRefused, (TokenError,)),
        (TakenOver, (KiwoomError,)),
        (RequestRefused, (KiwoomError,)),
        (DeadlineExceeded, (KiwoomError, TimeoutError)),
        (ClosedByPeer, (KiwoomError,)),
        (BufferOverflow, (KiwoomError,)),
        (ConnectionLost, (KiwoomError,)),
    ],
)
def test_every_error_can_be_caught_as_its_family(error: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(error, base) for base in bases)
    assert issubclass(error, RemoteProtocolError) == (error in (RemoteProtocolError, HandshakeError))


def test_a_field_error_names_type_fid_name_and_exact_text() -> None:
    error = FieldError("0E", "131", "ask_quantity", " 1_000\n")

    assert (error.type_code, error.fid, error.name, error.text) == ("0E", "131", "ask_quantity", " 1_000\n")
    assert str(error) == "type 0E, FID 131 (ask_quantity): ' 1_000\\n' is not a value of this field"


def test_the_text_of_a_masked_field_is_not_in_the_message() -> None:
    error = FieldError("00", "9201", "account_number", "8100000001", masked=True)

    assert error.text == "8100000001"
    assert str(error) == "type 00, FID 9201 (account_number): a text not shown is not a value of this field"
    assert "8100000001" not in str(pickle.loads(pickle.dumps(error)))


def test_the_text_of_a_masked_field_is_not_in_the_repr() -> None:
    """Logging often writes an exception with repr()."""
    assert "8100000001" not in repr(FieldError("00", "9201", "account_number", "8100000001", masked=True))


def test_a_handshake_error_holds_the_answer() -> None:
    error = HandshakeError("the server answered 503", 503, b"<html>")

    assert (str(error), error.status, error.body) == ("the server answered 503", 503, b"<html>")
    assert (HandshakeError("x").status, HandshakeError("x").body) == (None, b"")


OPAQUE = "WQJCwyqInphKnR3bSRtB9NE1lv-_"
"""What a token looks like."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            LoginRefused("805004", "인증에 실패했습니다[CODE=8005, MESSAGE=...]", "8005"),
            f"login refused with code {explain_code('805004')}; reason 8005 (the token is not valid): "
            "인증에 실패했습니다[CODE=8005, MESSAGE=...]",
        ),
        (LoginRefused("3", "no"), "login refused with code 3: no"),
        (LoginRefused("3", ""), "login refused with code 3"),
        (LoginRefused("3", "no", "4711"), "login refused with code 3; reason 4711: no"),
        (LoginRefused("3", "no\r\n\x1b[31m"), "login refused with code 3: no\\r\\n\\x1b[31m"),
        (LoginRefused("3", f"no: {OPAQUE}."), "login refused with code 3: no: ***."),
    ],
)
def test_a_refused_login_tells_the_reason_that_tells_most(error: LoginRefused, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            TokenRefused("3", "인증에 실패했습니다[8001:...]", 200, "8001"),
            f"no token: HTTP 200, code 3; reason {explain_code('8001')}: 인증에 실패했습니다[8001:...]",
        ),
        (TokenRefused("8001", "no", 200, "8001"), f"no token: HTTP 200, code {explain_code('8001')}: no"),
        (TokenRefused("3", "no", 200), "no token: HTTP 200, code 3: no"),
        (TokenRefused("3", "a\nb", 200, "4711"), "no token: HTTP 200, code 3; reason 4711: a\\nb"),
        (TokenRefused("", "Too Many Requests", 429), "no token: HTTP 429: Too Many Requests"),
        (TokenRefused("", "", 500), "no token: HTTP 500"),
        (TokenRefused("", "a\x1b[31mb", 500), "no token: HTTP 500: a\\x1b[31mb"),
    ],
)
def test_a_refused_token_tells_the_reason_that_tells_most(error: TokenRefused, text: str) -> None:
    assert str(error) == text


def test_a_refused_request_tells_which_and_why() -> None:
    error = refused("005930", "000660", message="초과")

    assert str(error) == f"REG 0E for 005930, 000660 refused with code {explain_code('105115')}: 초과"
    assert (error.code, error.message, error.request.items) == ("105115", "초과", ("005930", "000660"))


def test_a_notice_of_the_servers_is_told_in_its_words_and_ours() -> None:
    meaning = "the same app key connected elsewhere; this connection is closed"
    assert str(SystemNotice("R10001", "동일한 App key로 접속")) == f"R10001 ({meaning}): 동일한 App key로 접속"
    assert str(SystemNotice("R10001", "")) == f"R10001 ({meaning})"
    assert str(SystemNotice("R4711", "a\nb")) == "R4711: a\\nb"
    end = Closed(1000, "Bye", TakenOver(1), None, SystemNotice("R10001", "동일한 App key로 접속"))
    assert f"the server said R10001 ({meaning}): 동일한 App key로 접속; received 1000" in str(ConnectionLost(end))


def test_a_refused_request_of_many_items_is_told_shortly() -> None:
    text = str(refused(*(f"{number:06}" for number in range(100)), code="777"))

    assert text == "REG 0E for 000000, 000001, 000002 and 97 more refused with code 777"


def test_a_quota_that_would_be_exceeded_is_told_with_its_arithmetic() -> None:
    error = QuotaExceeded(200, 199, 5)

    assert (error.limit, error.used, error.asked) == (200, 199, 5)
    assert str(error).startswith("items: 199 of 200 are in use and 5 more were asked for, 4 too many")
    assert str(error).endswith("subscribe to fewer items, or pass several app keys: token=[key, other]")
    assert "ClientConfig.item_limit" in str(error)


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("실시간 등록 허용 개수(100)를 초과했습니다", 100),
        ("그룹당 등록 가능한 종목수( 200 )를 초과하였습니다", 200),
        ("[105115] 허용 개수(1000)", 1000),
        ("허용 개수를 초과했습니다", None),
        ("허용 개수(0)를 초과했습니다", None),
        ("허용 개수(-5)를 초과했습니다", None),
        ("허용 개수(100개)를 초과했습니다", None),
        ("이미 등록된 조건검색 일련번호입니다.(seq=3)", None),
        ("(9999999)", None),
        ("", None),
    ],
)
def test_the_limit_that_a_refusal_names(message: str, limit: int | None) -> None:
    assert item_limit_in(message) == limit


@pytest.mark.parametrize(("times", "often"), [(1, "(R10001), which"), (3, "(R10001) 3 times in a row, which")])
def test_a_takeover_is_told_with_what_to_do_about_it(times: int, often: str) -> None:
    error = TakenOver(times)

    assert error.times == times
    assert f"the same app key logged in elsewhere {often} ends this session" in str(error)
    assert str(error).endswith("or choose another ClientConfig.takeover")


@pytest.mark.parametrize("phase", ["token", "open", "login", "ack", "idle", "close"])
def test_a_missed_deadline_names_its_limit_and_the_option_to_change(phase: str) -> None:
    error = DeadlineExceeded(phase, 2.5)

    assert (error.phase, error.seconds) == (phase, 2.5)
    assert str(error).endswith(f" within 2.5 s ({phase}_timeout)")


def test_a_lost_connection_explains_itself_as_its_closed_event_does() -> None:
    closed = Closed(1006, "", DeadlineExceeded("idle", 60))

    assert str(ConnectionLost(closed)) == str(closed)
    assert "nothing was received within 60 s (idle_timeout)" in str(closed)
    assert ConnectionLost(closed).closed is closed


@pytest.mark.parametrize(
    "error",
    [
        LocalProtocolError("data: must be a list"),
        HandshakeError("no", 401, b"body"),
        FieldError("0E", "131", "ask_quantity", "x"),
        FieldError("00", "9201", "account_number", "x", masked=True),
        LoginRefused("805004", "m", "8005"),
        TokenRefused("3", "m", 200, "8001"),
        QuotaExceeded(200, 199, 5),
        TakenOver(2),
        DeadlineExceeded("ack", 5),
        ConnectionLost(Closed(1000, "Bye", None)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickle_and_copy(error: KiwoomError) -> None:
    """Worker processes send exceptions back this way."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin).keys() == vars(error).keys()

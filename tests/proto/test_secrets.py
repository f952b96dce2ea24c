"""What is secret stays hidden: the type that holds it, and the redaction of what a server says."""

from __future__ import annotations

import copy
import datetime
import json
import pickle
from typing import Any

import msgspec
import pytest

from kiwoom_proto import PRODUCTION, AppKey, LocalProtocolError, Record, Secret
from kiwoom_proto.auth import Token, TokenCall
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.secrets import OpaqueBuffer, Redaction, conceal, redact
from kiwoom_proto.wire.messages import Login, encode

TEXT = "the-token-of-this-test"
SECRET = Secret(TEXT)
ACCOUNT = "8100000001"
OPAQUE = "Ab3_-" * 5


# The type.


@pytest.mark.parametrize(
    "shown", [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET:>40}", f"{[SECRET]}", format(SECRET)]
)
def test_a_secret_is_stars_however_it_is_shown(shown: str) -> None:
    assert TEXT not in shown
    assert "***" in shown


def test_only_asking_for_it_reveals_a_secret() -> None:
    assert SECRET.reveal() == TEXT
    assert not isinstance(SECRET, str)
    assert not hasattr(SECRET, "__dict__")
    assert len(SECRET) == len(TEXT)
    assert SECRET and not Secret("")


def test_a_secret_equals_its_text_and_nothing_else() -> None:
    assert SECRET == Secret(TEXT) == TEXT
    assert Secret("가") == "가"
    assert Secret(f"{TEXT}!") != SECRET
    assert TEXT.encode() != SECRET
    assert SECRET != ""
    assert len({SECRET, Secret(TEXT), TEXT}) == 1


@pytest.mark.parametrize(
    "holder",
    [
        SECRET,
        Token(SECRET, None),
        AppKey(TEXT, TEXT),
        RequestHeader(api_id="0E", authorization=f"Bearer {TEXT}"),
        {"some": [SECRET]},
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_what_holds_a_secret_is_not_pickled_and_copies_keep_it_hidden(holder: object) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(holder, protocol)
    with pytest.raises(TypeError, match=r"written in clear\. Create it again .* AppKey\.from_env"):
        pickle.dumps(holder)
    for twin in (copy.copy(holder), copy.deepcopy(holder)):
        assert TEXT not in repr(twin)
        assert type(twin) is type(holder)
    assert TEXT not in repr(holder)


def test_a_copy_of_a_secret_is_the_secret() -> None:
    assert copy.copy(SECRET) is SECRET
    assert copy.deepcopy([SECRET])[0] is SECRET


@pytest.mark.parametrize("value", [SECRET, Token(SECRET, None)])
def test_json_does_not_write_a_secret_unless_it_is_a_message_of_ours(value: object) -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(value)
    with pytest.raises(TypeError):
        json.dumps(value)
    assert TEXT not in json.dumps(value, default=str)
    assert json.loads(encode(Login(SECRET))) == {"trnm": "LOGIN", "token": TEXT}
    assert TEXT not in repr(Login(SECRET))


@pytest.mark.parametrize("wrong", [None, 5, b"bytes", SECRET])
def test_a_secret_is_made_of_a_text(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        Secret(wrong)


def test_keys_and_tokens_may_be_given_as_secrets() -> None:
    key = AppKey(Secret("app"), Secret("key"))
    assert [secret.reveal() for secret in key.secrets] == ["app", "key"]
    key.store(PRODUCTION, Token(SECRET, datetime.datetime.max.replace(tzinfo=datetime.UTC)), 0)
    assert key.cached(PRODUCTION, 0) is SECRET
    key.forget(PRODUCTION, Secret(TEXT))
    assert key.cached(PRODUCTION, 0) is None
    assert TEXT.encode() in TokenCall(PRODUCTION, key, revoke=SECRET).data_to_send()
    assert RequestHeader(api_id="0E").http_headers(SECRET)[1] == ("authorization", f"Bearer {TEXT}")


@pytest.mark.parametrize("wrong", [TEXT.encode(), bytearray(TEXT.encode())])
def test_bytes_in_the_place_of_a_secret_are_refused_and_not_shown(wrong: Any) -> None:
    assert conceal(wrong) == ""
    with pytest.raises(LocalProtocolError, match="secretkey"):
        AppKey("app", wrong)


def test_bytes_to_send_show_nothing_but_their_number() -> None:
    buffer = OpaqueBuffer()
    buffer += TEXT.encode()
    assert f"{buffer} {buffer!r}" == f"<{len(TEXT)} bytes> <{len(TEXT)} bytes>"
    assert bytes(buffer) == TEXT.encode()


# The redaction of words.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no such token: {TEXT}.", "no such token: ***."),
        (f"지정단말기 {OPAQUE} [{TEXT}{TEXT}]", "지정단말기 *** [******]"),
        (f"token{TEXT}이 유효하지", "token***이 유효하지"),
        (f"계좌번호 {ACCOUNT}", "계좌번호 ***"),
        ("계좌 8100-0000-01은", "계좌 ***은"),
        ("8100000001234 is no account", "8100000001234 is no account"),
        ("20260117213932 is a time", "20260117213932 is a time"),
        ("실시간 등록 허용 개수(100)를 초과", "실시간 등록 허용 개수(100)를 초과"),
        ("https://openapi.kiwoom.com (API 사용신청)", "https://openapi.kiwoom.com (API 사용신청)"),
        (f"key 1.{OPAQUE}.2", "key 1.***.2"),
        ("a" * 19, "a" * 19),
        ("a" * 20, "***"),
        ("***", "***"),
        ("", ""),
    ],
)
def test_words_of_a_servers_are_masked(text: str, shown: str) -> None:
    assert redact(text, [SECRET]) == shown
    assert redact(shown, [SECRET]) == shown


def test_one_secret_may_be_a_part_of_another() -> None:
    assert redact(f"{TEXT} {TEXT}2", [None, "", TEXT, f"{TEXT}2"]) == "*** ***"


def test_a_short_secret_is_masked_as_a_word_of_its_own() -> None:
    """Nobody issues one, but tests and simulated exchanges have them: they must not tear words apart."""
    redaction = Redaction(["any", "key"])
    assert redaction.words("many keys, any key: [any]") == "many keys, *** ***: [***]"
    assert redaction.reply({"next_key": "0020", "key": "any"}) == {"next_key": "0020", "key": "***"}


def test_an_opaque_word_is_found_in_linear_time() -> None:
    text = ("a" * 19 + " ") * 200_000
    assert redact(text) == text  # four million characters


# The redaction of members.


def test_members_of_a_reply_are_masked_at_any_depth() -> None:
    members = {
        "sor_yn": "Y",
        "note": f"for {TEXT}",
        "acctNo": ACCOUNT,
        "ACNT_NO": 8100000001,
        "9201": ACCOUNT,
        TEXT: 1,
        "nested": [{"token": "short", "deep": [[f"({ACCOUNT})"]], "n": 5, "none": None}],
        "appkey": "",
        "session": OPAQUE,
    }
    assert Redaction([SECRET]).reply(members) == {
        "sor_yn": "Y",
        "note": "for ***",
        "acctNo": "***",
        "ACNT_NO": "***",
        "9201": "***",
        "***": 1,
        "nested": [{"token": "***", "deep": [["(***)"]], "n": 5, "none": None}],
        "appkey": "",
        "session": "***",
    }


@pytest.mark.parametrize(
    "number", [8100000001, -8100000001, 8100000001.0, 1234567890123456789, 12345678901234567890123]
)
def test_a_number_is_masked_as_its_digits_are(number: float) -> None:
    redaction = Redaction(["1234567890123456789"])
    members = {"x": number, "12": number, "list": [number, 1], "deep": {"1": [{"y": number}]}}
    masked = {"x": "***", "12": "***", "list": ["***", 1], "deep": {"1": [{"y": "***"}]}}
    assert redaction.reply(members) == masked
    if number != 12345678901234567890123:  # an opaque word, which extra members may hold
        assert redaction.extra(members) == masked


def test_of_numbers_for_a_program_known_secrets_alone_are_masked() -> None:
    members = {"data": [{"10": 8100000001}, [1234567890123456789]]}
    assert Redaction(["1234567890123456789"]).reply(members, ("data",)) == {"data": [{"10": 8100000001}, ["***"]]}


@pytest.mark.parametrize("number", [0, -1, 123456789, 81000000011, 0.8100000001, 1e300, float("inf"), True, 10**30])
def test_other_numbers_stay(number: float) -> None:
    assert Redaction(["a-secret-of-letters"]).extra({"x": number, "y": [number]}) == {"x": number, "y": [number]}


def test_a_number_of_more_digits_than_python_writes_is_not_shown() -> None:
    assert Redaction().reply({"x": 10**5_000, "y": [10**5_000]}) == {"x": "***", "y": ["***"]}


def test_a_member_whose_name_is_a_number_is_masked_like_any_but_for_the_text_of_a_fid_beside_its_row() -> None:
    members = {"12": "8100000001", "13": {"14": ["8100-0000-01"]}, "15": 8100000001, "x": {"16": "8100000001"}}
    masked = {"12": "***", "13": {"14": ["***"]}, "15": "***", "x": {"16": "***"}}
    assert Redaction().reply(members) == masked
    assert Redaction().extra(members) == masked | {"12": "8100000001"}
    assert Record("0B", "005930", extra={"12": "8100000001"}).to_dict()["extra"] == {"12": "***"}
    assert Redaction().reply({"12": "Q" * 30}) == {"12": "***"}


def test_rows_and_the_key_that_goes_on_are_exact_but_for_what_is_known() -> None:
    rows = [["0", "a_condition_of_a_long_name"], {"9201": ACCOUNT, "29": "1234567890", "302": f"x{TEXT}"}]
    members = {"data": rows, "next_key": f"{OPAQUE}-{ACCOUNT}"}
    assert Redaction([SECRET]).reply(members, exact=["data", "next_key"]) == {
        "data": [["0", "a_condition_of_a_long_name"], {"9201": "***", "29": "1234567890", "302": "x***"}],
        "next_key": f"{OPAQUE}-{ACCOUNT}",
    }


def test_undocumented_members_of_a_row_are_exact_but_for_what_is_known_or_personal() -> None:
    extra = {"trace": OPAQUE, "acct": ACCOUNT, "said": [TEXT, ACCOUNT], "29": "1234567890"}
    assert Redaction([SECRET]).extra(extra) == {
        "trace": OPAQUE,
        "acct": "***",
        "said": ["***", "***"],
        "29": "1234567890",
    }


def test_what_is_too_deep_to_look_into_is_not_shown() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert Redaction().reply({"a": "b", "deep": deep}) == {"a": "b", "deep": "***"}
    while deep:  # piece by piece, for Python frees no nest of that depth at once
        deep = deep[0]


def test_a_redaction_forgets() -> None:
    redaction = Redaction([SECRET])
    redaction.forget()
    assert redaction.known(TEXT) == TEXT

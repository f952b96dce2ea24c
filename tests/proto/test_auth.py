"""AppKey and TokenCall: keeping tokens, one call to the token server, and keys and tokens that nobody gets to see."""

from __future__ import annotations

import datetime
import json
import traceback
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kiwoom_proto
from kiwoom_proto import MOCK, PRODUCTION, US_PRODUCTION, AppKey, Endpoint, KiwoomError, LocalProtocolError
from kiwoom_proto.auth import RENEW_MARGIN, Token, TokenCall
from kiwoom_proto.codes import Remedy
from kiwoom_proto.errors import LoginRefused, TokenError, TokenRefused, TransportError
from kiwoom_proto.headers import MAX_ANSWER
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.wire.http import PIECE_SIZE, PIECES

from .wire import one_by_one

APPKEY, SECRETKEY, TOKEN = "app-key-that-nobody-may-see", "secret-key-that-nobody-may-see", "token-that-nobody-may-see"
PACKAGE = Path(kiwoom_proto.__file__).parent
SECRETS = (APPKEY, SECRETKEY, TOKEN)
ISSUED = {
    "expires_dt": "20260117213932",
    "token_type": "bearer",
    "token": TOKEN,
    "return_code": 0,
    "return_msg": "정상적으로 처리되었습니다",
}
EXPIRES_AT = datetime.datetime(2026, 1, 17, 21, 39, 32, tzinfo=KST)
REVOKED = {"return_code": 0, "return_msg": "정상적으로 처리되었습니다"}
WRONG_KEYS = {"return_code": 3, "return_msg": "인증에 실패했습니다[8001:App Key와 Secret Key 검증에 실패했습니다]"}
PAGE = '<!DOCTYPE html>\n<html><head><title>시스템 점검 안내\n</title></head><body id="body-of-it"></body></html>'


def make_key() -> AppKey:
    return AppKey(APPKEY, SECRETKEY)


def make_call(revoke: str | None = None, endpoint: Endpoint = PRODUCTION) -> TokenCall:
    call = TokenCall(endpoint, make_key(), revoke)
    assert call.data_to_send()
    return call


def http(body: bytes | str | object, status: str = "200 OK", content_type: str = "application/json") -> bytes:
    """An answer. A body that is neither bytes nor text is sent as JSON."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body, ensure_ascii=False)
    payload = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


def answered(data: bytes, revoke: str | None = None, *, eof: bool = False) -> TokenCall:
    call = make_call(revoke)
    call.receive_data(data)
    if eof:
        call.receive_eof()
    assert call.finished
    return call


def failure(call: TokenCall) -> KiwoomError:
    with pytest.raises(KiwoomError) as caught:
        call.result()
    check_secrets(caught.value, call)
    return caught.value


def refusal(data: bytes, revoke: str | None = None) -> TokenRefused:
    error = failure(answered(data, revoke))
    assert isinstance(error, TokenRefused)
    return error


def check_secrets(error: BaseException, call: TokenCall | None = None) -> None:
    """No key and no token can be read off an exception, even where locals are shown."""
    shown = [str(error), repr(error), repr(error.args), repr(vars(error)), repr(call)]
    described = traceback.TracebackException.from_exception(error, capture_locals=True)
    described.stack[:] = [frame for frame in described.stack if Path(frame.filename).is_relative_to(PACKAGE)]
    assert described.stack
    shown += described.format()
    assert [secret for secret in SECRETS for text in shown if secret in text] == []


# What is asked.


def sent(call: TokenCall) -> tuple[h11.Request, Any]:
    server = h11.Connection(our_role=h11.SERVER)
    server.receive_data(call.data_to_send())
    request, data, end = server.next_event(), server.next_event(), server.next_event()
    assert isinstance(request, h11.Request) and isinstance(data, h11.Data) and isinstance(end, h11.EndOfMessage)
    return request, json.loads(data.data)


def test_a_token_is_asked_for_as_documented() -> None:
    call = TokenCall(PRODUCTION, make_key())
    request, body = sent(call)

    assert (request.method, request.target) == (b"POST", b"/oauth2/token")
    assert list(body.items()) == [
        ("grant_type", "client_credentials"),
        ("appkey", APPKEY),
        ("secretkey", SECRETKEY),
    ]
    assert dict(request.headers) == {
        b"host": b"api.kiwoom.com",
        b"content-type": b"application/json;charset=UTF-8",
        b"accept": b"application/json",
        b"content-length": str(len(json.dumps(body, separators=(",", ":")))).encode(),
        b"connection": b"close",
    }
    assert call.data_to_send() == b""


def test_a_token_is_revoked_as_documented() -> None:
    request, body = sent(TokenCall(MOCK, make_key(), revoke=TOKEN))

    assert (request.method, request.target) == (b"POST", b"/oauth2/revoke")
    assert dict(request.headers)[b"host"] == b"mockapi.kiwoom.com"
    assert body == {"appkey": APPKEY, "secretkey": SECRETKEY, "token": TOKEN}


@pytest.mark.parametrize(
    ("url", "dialled", "header"),
    [
        (PRODUCTION.url, ("api.kiwoom.com", 443, True), b"api.kiwoom.com"),
        ("ws://127.0.0.1:8000/x", ("127.0.0.1", 8000, False), b"127.0.0.1:8000"),
        ("ws://[::1]/x", ("::1", 80, False), b"[::1]"),
        ("wss://xn--cp5bx4p.xn--3e0b707e/x", ("xn--cp5bx4p.xn--3e0b707e", 443, True), b"xn--cp5bx4p.xn--3e0b707e"),
    ],
)
def test_where_to_dial(url: str, dialled: tuple[str, int, bool], header: bytes) -> None:
    call = TokenCall(Endpoint(url), make_key())

    assert (call.host, call.port, call.secure) == dialled
    assert dict(sent(call)[0].headers)[b"host"] == header


@pytest.mark.parametrize("token", ["", f"Bearer {TOKEN}", f"{TOKEN}\n", 5])
def test_what_can_be_no_token_is_not_revoked(token: Any) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        TokenCall(PRODUCTION, make_key(), revoke=token)
    assert TOKEN not in str(caught.value)


# What is answered.


@pytest.mark.parametrize(
    "data",
    [
        http(ISSUED),
        http(ISSUED).replace(b"HTTP/1.1", b"HTTP/1.0"),
        http(ISSUED, content_type="text/html"),  # what the body is tells more
        http(ISSUED | {"return_code": "0", "more": [None]}),
        http({key: value for key, value in ISSUED.items() if key != "return_code"}),
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(ISSUED),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + http(ISSUED),
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % byte for byte in json.dumps(ISSUED).encode())
        + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(ISSUED).encode(),
    ],
    ids=["whole", "1.0", "wrong type", "texts", "no code", "continue", "hints", "chunked", "until the end"],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_token_comes_in_any_pieces(data: bytes, size: int) -> None:
    call = make_call()
    for at in range(0, len(data), size):
        call.receive_data(data[at : at + size])
    call.receive_eof()

    assert call.finished
    assert call.result() == Token(TOKEN, EXPIRES_AT)


def test_what_follows_the_answer_is_ignored() -> None:
    call = answered(http(ISSUED) + b"HTTP/1.1 500 Oops\r\n\r\n")
    call.receive_data(b"\x00" * 100)
    call.receive_data(b"")
    call.receive_eof("Connection reset by peer")
    call.receive_eof()

    assert call.result() == Token(TOKEN, EXPIRES_AT)


@pytest.mark.parametrize(
    "expires_dt", [None, "", "20261317213932", "2026011721393", "2026-01-17 2139", "²0260117213932", 20260117213932, []]
)
def test_an_expiry_that_cannot_be_read_is_unknown(expires_dt: object) -> None:
    assert answered(http(ISSUED | {"expires_dt": expires_dt})).result() == Token(TOKEN, None)


def test_a_revoked_token_gives_nothing() -> None:
    assert answered(http(REVOKED), TOKEN).result() is None


def test_there_is_no_result_before_the_answer() -> None:
    call = make_call()
    call.receive_data(http(ISSUED)[:-1])

    assert not call.finished
    with pytest.raises(LocalProtocolError, match="is not finished"):
        call.result()


# What is refused.


@pytest.mark.parametrize(
    ("answer", "code", "reason", "text"),
    [
        (WRONG_KEYS, "3", "8001", "app key and secret key do not verify"),
        (
            {"return_code": 2, "return_msg": "입력 값 오류입니다[8030:투자구분이 달라서]"},
            "2",
            "8030",
            "other environment",
        ),
        ({"return_code": 805004, "return_msg": "...[CODE=8005, MESSAGE=...]"}, "805004", "8005", "not valid"),
        ({"return_code": "8001", "return_msg": "no"}, "8001", None, "8001 (app key"),
        ({"return_code": 7, "return_msg": ""}, "7", None, "code 7"),
        ({"return_code": 7, "return_msg": "[가나다]", "token": TOKEN}, "7", None, "[가나다]"),
        ({"return_code": -1}, "-1", None, "code -1"),
    ],
)
@pytest.mark.parametrize("revoke", [None, TOKEN])
def test_a_refusal_tells_why(answer: object, code: str, reason: str | None, text: str, revoke: str | None) -> None:
    error = refusal(http(answer), revoke)

    assert (error.code, error.reason, error.status) == (code, reason, 200)
    assert text in str(error)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (http(PAGE, content_type="text/html"), "HTTP 200: an HTML page where JSON belongs: 시스템 점검 안내"),
        (http(PAGE, "503 Busy", "text/plain"), "HTTP 503: an HTML page where JSON belongs: 시스템 점검 안내"),
        (http("점검", content_type="text/HTML;charset=utf-8"), "HTTP 200: an HTML page where JSON belongs"),
        (http("", "429 Slow down"), 'HTTP 429: Too Many Requests ("Slow down")'),
        (http("", "429 null"), "HTTP 429: Too Many Requests"),
        (
            http("등록 안 된\nIP: 10.0.0.7", "403 Forbidden"),
            "HTTP 403: Forbidden: 등록 안 된 IP: 10.0.0.7",
        ),
        (http(f"no such key: {TOKEN * 2}", "403 Forbidden"), "HTTP 403: Forbidden: no such key: ***"),
        (http({"return_msg": "천천히"}, "429 Slow down"), "HTTP 429: 천천히"),
        (http(ISSUED, "500 Oops"), "HTTP 500, code 0: 정상"),
        (http([], "500 Oops"), "HTTP 500: Internal Server Error"),
        (http("", "599 Oops"), "HTTP 599: an unknown HTTP status"),
        (
            http(ISSUED, "302 Found", "x\r\nLocation: https://other/x"),
            "the server redirects to other, which is not followed",
        ),
        (http(ISSUED, "302 Found"), "HTTP 302: Found: the server redirects, which is not followed"),
        (http(""), "HTTP 200: not JSON"),
        (http("{", content_type="text/plain"), "HTTP 200: not JSON"),
        (http("[" * 60_000), "HTTP 200: not JSON"),
        (http(b'{"token": "\xff"}'), "HTTP 200: the answer holds no token that can be used"),
        (http([ISSUED]), "HTTP 200: JSON that is not an object"),
        (http({}), "HTTP 200: the answer holds no token that can be used"),
        (http({"return_code": 0, "token": None}), "the answer holds no token that can be used"),
        (http({"return_code": 0, "token": ""}), "the answer holds no token that can be used"),
        (http({"return_code": 0, "token": f"Bearer {TOKEN}"}), "the answer holds no token that can be used"),
        (http({"return_code": 0, "token": f"{TOKEN}\n"}), "the answer holds no token that can be used"),
        (http({"return_code": 0, "token": [TOKEN]}), "the answer holds no token that can be used"),
    ],
)
def test_an_answer_that_is_not_what_it_should_be_is_a_refusal_too(data: bytes, text: str) -> None:
    error = refusal(data)

    assert text in str(error)
    assert len(str(error)) < 300
    assert "body-of-it" not in str(error)
    assert error.remedy is None


@pytest.mark.parametrize("flaw", [b"\n", b"\x00", b"\xff", b"\xb0\xa1"])
def test_a_refusal_is_read_with_raw_control_characters_and_bytes_that_are_not_utf8(flaw: bytes) -> None:
    error = refusal(http(b'{"return_code": 3, "return_msg": "no' + flaw + b' more[8001:\xec\x95\xb1]"}'))

    assert (error.code, error.reason, error.status) == ("3", "8001", 200)
    assert "app key" in str(error)


def test_a_token_is_read_in_such_an_answer_and_is_not_shown() -> None:
    call = answered(http(b'{"return_code": 0, "token": "%s", "return_msg": "ok\x01"}' % TOKEN.encode()))

    found = call.result()
    assert isinstance(found, Token) and found.value == TOKEN
    assert TOKEN not in f"{call!r} {found!r}"


def test_the_code_of_a_refusal_may_be_spelled_like_that_of_official_examples() -> None:
    error = refusal(http({"returnCode": 3, "returnMsg": "no", "token": TOKEN}))

    assert (error.code, error.message) == ("3", "no")


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (b"", None),
        (b"Retry-After: 3\r\n", 3),
        (b"Date: Tue, 14 Jan 2025 09:00:00 GMT\r\nRetry-After: Tue, 14 Jan 2025 09:00:07 GMT\r\n", 7),
        (b"Retry-After: \xff\r\n", None),
    ],
)
def test_a_refusal_carries_how_long_the_server_asks_to_wait(lines: bytes, seconds: float | None) -> None:
    data = http("", "429 Slow down").replace(b"Content-Length", lines + b"Content-Length")

    assert refusal(data).retry_after == seconds


@pytest.mark.parametrize("answer", [{}, {"return_code": None}, {"return_code": True}, {"return_code": []}])
def test_a_token_is_revoked_only_where_the_answer_says_so(answer: object) -> None:
    assert "no return_code" in str(refusal(http(answer), TOKEN))


def test_what_an_answer_repeats_of_the_keys_is_not_shown() -> None:
    message = f"{APPKEY} {SECRETKEY} {TOKEN}"
    for data in (
        http({"return_code": 1, "return_msg": message, "token": TOKEN}),
        http(f"<html><title>{APPKEY} {SECRETKEY}</title>", "500 Oops"),
    ):
        assert "***" in refusal(data).message


def test_a_long_text_is_cut() -> None:
    assert len(refusal(http({"return_code": 1, "return_msg": "긴 말 " * 7_000})).message) == 200


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01" + b"\x00" * 100 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + TOKEN.encode() + b"\x00\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_what_is_not_http_says_so(data: bytes) -> None:
    error = failure(answered(data))

    assert type(error) is TokenError
    assert "https://api.kiwoom.com/oauth2/token: the answer breaks the rules of HTTP" in str(error)


def test_an_endless_answer_is_not_read_on() -> None:
    call = make_call()
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    call.receive_data(head)
    call.receive_data(b" " * (MAX_ANSWER - len(head)))
    assert not call.finished
    call.receive_data(b" ")

    assert call.finished
    assert type(failure(call)) is TokenError
    assert "the answer has more than 65,536 bytes" in str(failure(call))


@pytest.mark.parametrize("framing", ["", f"Content-Length: {10 * MAX_ANSWER}\r\n", "Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_page_that_is_far_too_long_still_says_what_it_is_and_when_to_come_again(framing: str, at_once: bool) -> None:
    page = "<html><title>시스템 점검</title>" + "x" * 2 * MAX_ANSWER
    head = f"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nRetry-After: 7\r\n{framing}\r\n"
    data = (head + ("30000\r\n" if "chunked" in framing else "") + page).encode()
    call = make_call()

    for piece in (data,) if at_once else one_by_one(data[: MAX_ANSWER + 1]):
        call.receive_data(piece)

    error = failure(call)
    assert isinstance(error, TokenRefused)
    assert (error.status, error.retry_after) == (503, 7.0)
    assert "an HTML page where JSON belongs: 시스템 점검" in str(error)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;a=b\r\na\r\n"),
        (b"", b"HTTP/1.1 100 \r\n\r\n"),
        (b"", b"HTTP/1.1 102 Wait\r\na: b\r\n\r\n"),
    ],
    ids=["chunks", "chunks with something more", "continue", "processing"],
)
@pytest.mark.parametrize("at_a_time", [100, 4096, 65_536, 6_000_000])
def test_an_answer_in_too_many_pieces_is_given_up_after_a_number_of_them(
    monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes, at_a_time: int
) -> None:
    steps = most = 0
    next_event = h11.Connection.next_event

    def counting(connection: h11.Connection) -> Any:
        nonlocal steps
        steps += 1
        return next_event(connection)

    monkeypatch.setattr(h11.Connection, "next_event", counting)
    data = head + piece * (6_000_000 // len(piece))
    call = make_call()
    position = 0

    while not call.finished:
        steps = 0
        call.receive_data(data[position : position + at_a_time])
        position += at_a_time
        most = max(most, steps)

    assert position <= MAX_ANSWER + at_a_time
    assert most <= PIECES + at_a_time // PIECE_SIZE
    error = str(failure(call))
    assert "in far too many pieces" in error or "more than 65,536 bytes" in error


def test_an_answer_that_comes_byte_by_byte_is_in_no_pieces() -> None:
    call = make_call()

    answer = http({"token": "T" * 2000, "return_code": 0})
    for byte in one_by_one(b"HTTP/1.1 100 Wait\r\n\r\n" * 3 + answer):
        call.receive_data(byte)

    token = call.result()
    assert token is not None
    assert token.value == "T" * 2000


@pytest.mark.parametrize("length", [0, 5, 30, 60, -1])
def test_an_answer_cut_short_is_a_fault_of_the_network(length: int) -> None:
    call = make_call()
    call.receive_data(http(ISSUED)[:length])
    call.receive_eof()
    call.receive_data(http(ISSUED))

    error = failure(call)
    assert type(error) is TransportError
    assert str(error).endswith("the server ended the connection before its answer was complete")


def test_what_the_network_says_is_told() -> None:
    call = make_call()
    call.receive_eof("Connection reset by peer")
    call.receive_eof()

    error = failure(call)
    assert type(error) is TransportError
    assert str(error) == "https://api.kiwoom.com/oauth2/token: Connection reset by peer"


@pytest.mark.parametrize("where", ["return_code", "return_msg"])
def test_a_token_that_a_refusal_quotes_is_not_shown(where: str) -> None:
    """It was never seen before, as the answer holds no token that can be used."""
    unseen = "unseen-" + TOKEN
    call = make_call()
    call.receive_data(http({"return_code": 3, "return_msg": "인증에 실패했습니다", where: unseen}))

    error = failure(call)
    assert type(error) is TokenRefused
    check_secrets(error, call)
    assert unseen not in str(error)
    assert "***" in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(SECRETS),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(ISSUED)) | st.text(), inner),
    max_leaves=10,
)
BODIES = st.binary() | st.dictionaries(st.sampled_from(list(ISSUED)), JSON).map(lambda members: json.dumps(members))
ANSWERS = st.one_of(
    st.binary(),
    st.builds(http, BODIES, st.sampled_from(["200 OK", "302 Found", "429 x", "500 x", "199 x", "204 x"])),
    st.builds(
        lambda data, at, byte: data[:at] + byte + data[at:], st.just(http(ISSUED)), st.integers(0, 300), st.binary()
    ),
)


@given(st.lists(ANSWERS, max_size=3), st.sampled_from([None, TOKEN]))
def test_no_bytes_make_a_call_raise_or_tell_a_secret(chunks: list[bytes], revoke: str | None) -> None:
    call = make_call(revoke)
    for chunk in chunks:
        call.receive_data(chunk)
    call.receive_eof()

    assert call.finished
    try:
        token = call.result()
    except KiwoomError as error:
        check_secrets(error, call)
    else:
        assert (token is None) == (revoke is not None)
        assert TOKEN not in repr(token)


# Keys of the environment.


def test_keys_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIWOOM_APPKEY", f" {APPKEY}\n")
    monkeypatch.setenv("KIWOOM_SECRETKEY", SECRETKEY)

    for key in (AppKey.from_env(), AppKey.from_env({"KIWOOM_APPKEY": APPKEY, "KIWOOM_SECRETKEY": SECRETKEY})):
        assert [secret.reveal() for secret in key.secrets] == [APPKEY, SECRETKEY]


@pytest.mark.parametrize(
    "environ, says",
    [
        ({}, "KIWOOM_APPKEY and KIWOOM_SECRETKEY: not set"),
        ({"KIWOOM_APPKEY": " ", "KIWOOM_SECRETKEY": SECRETKEY}, "KIWOOM_APPKEY: not set"),
        ({"KIWOOM_APPKEY": APPKEY}, "KIWOOM_SECRETKEY: not set"),
    ],
)
def test_keys_that_are_missing_are_named(environ: dict[str, str], says: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        AppKey.from_env(environ)
    assert str(caught.value).startswith(says)
    assert "openapi.kiwoom.com" in str(caught.value)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


# Secrets.


def test_nothing_shows_the_keys_or_a_token() -> None:
    key = make_key()
    token = Token(TOKEN, EXPIRES_AT)
    key.store(PRODUCTION, token, 0)
    call = TokenCall(PRODUCTION, key, revoke=TOKEN)

    shown = f"{key!r} {key} {token!r} {token} {call!r} {call}"
    assert [secret for secret in SECRETS if secret in shown] == []
    assert repr(key) == "AppKey(appkey='***', secretkey='***')"
    assert repr(token).startswith("Token(value='***', expires_at=datetime")


@pytest.mark.parametrize("wrong", ["", "  ", "한글", "key\n", "a\x00b", None, 5, b"key"])
def test_keys_that_cannot_be_are_refused_and_not_shown(wrong: Any) -> None:
    for arguments in ((wrong, SECRETKEY), (APPKEY, wrong)):
        with pytest.raises(LocalProtocolError, match="must be printable ASCII and not empty") as caught:
            AppKey(*arguments)
        assert not any(text in str(caught.value) for text in (*SECRETS, "한글", "key\n"))


# Keeping tokens.


NOW = EXPIRES_AT.timestamp() - 10_000


def token_of(value: str = TOKEN, seconds: float | None = 10_000) -> Token:
    return Token(value, None if seconds is None else EXPIRES_AT + datetime.timedelta(seconds=seconds - 10_000))


def test_a_token_is_kept_until_it_is_about_to_expire() -> None:
    key = make_key()
    assert key.cached(PRODUCTION, NOW) is None

    key.store(PRODUCTION, token_of(), NOW)

    assert key.cached(PRODUCTION, NOW) == TOKEN
    assert key.cached(PRODUCTION, NOW + 10_000 - RENEW_MARGIN - 0.1) == TOKEN
    assert key.cached(PRODUCTION, NOW + 10_000 - RENEW_MARGIN) is None


@pytest.mark.parametrize("left", [RENEW_MARGIN, RENEW_MARGIN - 1, 1])
def test_a_token_of_which_little_is_left_is_used_up(left: float) -> None:
    """Asking again would give the same one."""
    key = make_key()
    key.store(PRODUCTION, token_of(seconds=left), NOW)

    assert key.cached(PRODUCTION, NOW) == TOKEN
    assert key.cached(PRODUCTION, NOW + left - 0.1) == TOKEN
    assert key.cached(PRODUCTION, NOW + left) is None


def test_a_token_that_has_expired_is_not_used() -> None:
    key = make_key()
    key.store(PRODUCTION, token_of(seconds=-1), NOW)

    assert key.cached(PRODUCTION, NOW) is None


def test_a_token_of_unknown_expiry_is_used_until_it_is_refused() -> None:
    key = make_key()
    key.store(PRODUCTION, token_of(seconds=None), NOW)
    assert key.cached(PRODUCTION, NOW + 1e9) == TOKEN

    key.forget(PRODUCTION, TOKEN)
    assert key.cached(PRODUCTION, NOW) is None
    key.forget(PRODUCTION, TOKEN)


def test_a_late_refusal_does_not_cost_the_token_that_was_issued_meanwhile() -> None:
    key = make_key()
    key.store(PRODUCTION, token_of("old"), NOW)
    key.store(PRODUCTION, token_of("new"), NOW)

    key.forget(PRODUCTION, "old")

    assert key.cached(PRODUCTION, NOW) == "new"


def test_both_markets_share_a_token_and_mock_trading_has_its_own() -> None:
    key = make_key()
    key.store(PRODUCTION, token_of(), NOW)

    assert key.cached(US_PRODUCTION, NOW) == TOKEN
    assert key.cached(MOCK, NOW) is None
    assert make_key().cached(PRODUCTION, NOW) is None


# What can be tried again.


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        *(
            (TokenRefused("3", "", 200, code), "stop")
            for code in ("8001", "8002", "8011", "8012", "8020", "8030", "8031")
        ),
        (TokenRefused("8001", "", 200), "stop"),
        (LoginRefused("805004", "", "8031"), "stop"),
        (LoginRefused("805004", "", "8005"), "renew"),
        (TokenRefused("3", "", 200), None),
        (TokenRefused("3", "", 200, "8006"), "retry"),
        (TokenRefused("3", "", 200, "8003"), "renew"),
        (TokenRefused("3", "", 200, "9999"), None),
        (TokenRefused("", "", 429), None),
        (TokenRefused("", "an HTML page", 200), None),
    ],
)
def test_what_helps_is_known_by_the_code_that_tells_more(
    error: TokenRefused | LoginRefused, remedy: Remedy | None
) -> None:
    assert error.remedy == remedy

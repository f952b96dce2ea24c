"""The simulated token server: on the same port as the WebSocket, and for the same app keys. All on virtual time."""

from __future__ import annotations

import datetime
import json
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proto.sim import Sim

from kiwoom_proto import PRODUCTION, AppKey, Secret
from kiwoom_proto.auth import Token, TokenCall
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import TokenRefused
from kiwoom_proto.events import LoginRefusal
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock

KEYS = {"one": "secret of one", "two": "secret of two"}
ONE, TWO = (AppKey(*pair) for pair in KEYS.items())
DAY = 24 * 3600


class CallEnd:
    """A `TokenCall` as an end."""

    def __init__(self, call: TokenCall) -> None:
        self._call = call
        self.receive_data = call.receive_data
        self.receive_eof = call.receive_eof
        self.data_to_send = call.data_to_send

    @property
    def is_over(self) -> bool:
        return self._call.finished

    def next_timeout(self) -> float | None:
        return None

    def handle_timeout(self) -> None: ...


def called(sim: Sim, key: AppKey = ONE, revoke: str | Secret | None = None) -> Token | None:
    """Make a call to the token server, to its end."""
    call = TokenCall(PRODUCTION, key, revoke)
    peer = sim.add(CallEnd(call))
    assert call.finished
    assert peer.state is ConnectionState.CLOSED
    assert peer not in sim.exchange.links
    return call.result()


def issued(sim: Sim, key: AppKey = ONE) -> Token:
    token = called(sim, key)
    assert token is not None
    return token


def refused(sim: Sim, key: AppKey = ONE, revoke: str | Secret | None = None) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        called(sim, key, revoke)
    return caught.value


def logs_in(sim: Sim, token: str | Secret) -> str | None:
    """Log in; return the app key that it was as, or None."""
    client = sim.client(token)
    sim.advance(0.02)
    if client.state is ConnectionState.READY:
        return sim.exchange.links[-1].key
    (rejected,) = [event for event in client.events() if isinstance(event, LoginRefusal)]
    assert (rejected.code, rejected.reason) == ("805004", "8005")
    return None


def posted(sim: Sim, body: object, path: str = "/oauth2/token") -> tuple[int, Any]:
    """POST anything, as JSON unless it is bytes; return status and answer."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(payload)}\r\n\r\n"
    answer = answer_to(sim.exchange.connect(), head.encode() + payload)
    status = int(answer.split(b" ", 2)[1])
    text = answer.partition(b"\r\n\r\n")[2]
    return status, json.loads(text) if text else None


def answer_to(peer: ClientLink, data: bytes, size: int = 1 << 20) -> bytes:
    for at in range(0, len(data), size):
        peer.receive_data(data[at : at + size])
    return b"".join(iter(peer.data_to_send, b""))


# Issuing and revoking.


def test_a_token_is_the_same_until_it_expires_and_then_another() -> None:
    sim = Sim(app_keys=KEYS)
    first = issued(sim)
    sim.advance(DAY - 1)
    assert issued(sim) == first
    assert logs_in(sim, first.value) == "one"

    sim.advance(1)
    second = issued(sim)
    assert second.value != first.value
    assert second.expires_at is not None and first.expires_at is not None
    assert second.expires_at - first.expires_at == datetime.timedelta(days=1)
    assert logs_in(sim, first.value) is None
    assert logs_in(sim, second.value) == "one"


def test_a_token_expires_a_day_after_it_was_issued_on_the_market_s_own_calendar() -> None:
    sim = Sim(start=datetime.time(9, 30))
    sim.advance(60)
    assert issued(sim).expires_at == datetime.datetime(2026, 6, 30, 9, 31, tzinfo=KST)


def test_a_token_expires_by_the_clock_that_was_given() -> None:
    clock = ManualClock(500.0)
    sim = Sim()
    sim.exchange = Exchange()
    sim.exchange.run_on(clock, wall_time=1_000_000_000.0)
    clock.advance(7)
    expires_at = issued(sim).expires_at
    assert expires_at is not None
    assert expires_at.timestamp() == 1_000_000_007 + DAY


def test_tokens_look_real_and_depend_on_seed_and_app_key_alone() -> None:
    tokens = [issued(Sim(seed=seed), key).value for seed in (1, 2) for key in (ONE, TWO)]
    assert len(set(tokens)) == 4
    assert {len(token) for token in tokens} == {86}
    assert [issued(Sim(seed=seed, app_keys=KEYS), key).value for seed in (1, 2) for key in (ONE, TWO)] == tokens


def test_a_revoked_token_is_good_for_nothing() -> None:
    sim = Sim(app_keys=KEYS)
    token = issued(sim).value
    assert called(sim, ONE, token) is None

    assert logs_in(sim, token) is None
    assert refused(sim, ONE, token).reason == "8015"
    assert issued(sim).value != token


def test_a_token_is_revoked_with_its_own_keys_only() -> None:
    sim = Sim(app_keys=KEYS)
    token = issued(sim).value
    assert refused(sim, TWO, token).reason == "8015"
    assert refused(sim, ONE, "unknown").reason == "8015"
    assert logs_in(sim, token) == "one"


def test_expire_tokens_ends_them_all_and_the_next_one_is_another() -> None:
    sim = Sim()
    first = {key: issued(sim, key).value for key in (ONE, TWO)}
    sim.exchange.expire_tokens()
    for key, token in first.items():
        assert logs_in(sim, token) is None
        assert issued(sim, key).value != token
        assert logs_in(sim, issued(sim, key).value) == key.appkey


def test_a_revoked_app_key_has_no_token_any_more_and_others_have_theirs() -> None:
    sim = Sim(tokens={"fixed": "one"})
    first, second = issued(sim, ONE).value, issued(sim, TWO).value
    sim.exchange.revoke_key("one")
    assert logs_in(sim, first) is None
    assert logs_in(sim, "fixed") is None
    assert refused(sim, ONE).reason == "8001"
    assert logs_in(sim, second) == "two"


@pytest.mark.parametrize("key", [AppKey("one", "wrong"), AppKey("three", "secret of one")])
def test_wrong_keys_are_refused(key: AppKey) -> None:
    error = refused(Sim(app_keys=KEYS), key)
    assert (error.status, error.code, error.reason) == (200, "3", "8001")


RIGHT = {"grant_type": "client_credentials", "appkey": "one", "secretkey": "secret of one"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"grant_type": None}, "8011"),
        ({"grant_type": "password"}, "8012"),
        ({"grant_type": []}, "8011"),
        ({"appkey": None}, "8020"),
        ({"appkey": ""}, "8020"),
        ({"secretkey": None}, "8020"),
        ({"secretkey": ["secret of one"]}, "8020"),
    ],
)
def test_a_request_that_lacks_something_is_refused_as_documented(change: dict[str, object], code: str) -> None:
    status, answer = posted(Sim(app_keys=KEYS), RIGHT | change)
    assert (status, answer["return_code"]) == (200, 2)
    assert f"[{code}:" in answer["return_msg"]


def test_revoking_nothing_is_refused_as_documented() -> None:
    status, answer = posted(Sim(), RIGHT, "/oauth2/revoke")
    assert (status, answer["return_code"]) == (200, 2)
    assert "[8016:" in answer["return_msg"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null", b"[" * 60_000])
def test_what_is_no_json_object_is_a_bad_request(body: bytes) -> None:
    status, answer = posted(Sim(), body)
    assert (status, answer["return_code"]) == (400, 2)


def test_other_paths_are_those_of_rest() -> None:
    status, answer = posted(Sim(), RIGHT, "/oauth2/tokens")
    assert (status, answer["return_code"]) == (200, 2)
    assert "[1501:" in answer["return_msg"]
    assert posted(Sim(), RIGHT, "/oauth2/token?x=y")[0] == 200


# Who may log in.


def test_any_token_logs_in_unless_somebody_said_which() -> None:
    assert logs_in(Sim(), "any") == "any"
    assert logs_in(Sim(app_keys=KEYS), "any") is None
    assert logs_in(Sim(tokens={}), "any") is None
    assert logs_in(Sim(tokens={"any": "mine"}, app_keys=KEYS), "any") == "mine"


def test_an_issued_token_logs_in_as_its_app_key_whoever_may_log_in() -> None:
    for arguments in ({}, {"tokens": {"any": "mine"}}, {"app_keys": KEYS}):
        sim = Sim(**arguments)
        assert logs_in(sim, issued(sim).value) == "one"


def test_two_tokens_of_one_app_key_take_each_other_over() -> None:
    sim = Sim(tokens={"fixed": "one"})
    first = sim.ready("fixed")
    sim.ready(issued(sim).value)
    assert first.state is ConnectionState.CLOSED


# One port for both.


def request() -> bytes:
    return TokenCall(PRODUCTION, ONE).data_to_send()


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize("split", [False, True])
def test_a_call_may_come_and_go_in_any_pieces(size: int, split: bool) -> None:
    sim = Sim()
    sim.exchange.faults.split = split
    peer = sim.exchange.connect()
    data = request()
    for at in range(0, len(data), size):
        assert peer.data_to_send() == b""
        peer.receive_data(data[at : at + size])
    pieces = list(iter(peer.data_to_send, b""))
    assert (len(pieces) == 1) is not split
    client = h11.Connection(our_role=h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
    for piece in pieces:
        client.receive_data(piece)
    response, body = client.next_event(), client.next_event()
    assert isinstance(response, h11.Response) and isinstance(body, h11.Data)
    assert (b"connection", b"close") in response.headers
    assert sim.exchange.links == []


def test_a_chunked_call_is_taken_and_what_follows_it_is_ignored() -> None:
    head, _, body = request().partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    data = b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b"%x" % len(body), body, b"0", b"", b""])
    assert answer_to(Sim().exchange.connect(), data + request()).startswith(b"HTTP/1.1 200 ")
    assert answer_to(Sim().exchange.connect(), data, 1).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("data", [b"POST", b"PO", b""])
def test_a_client_that_says_too_little_is_given_up(data: bytes) -> None:
    sim = Sim()
    peer = sim.exchange.connect()
    peer.receive_data(data)
    sim.advance(10)
    assert peer.state is ConnectionState.CLOSED
    assert sim.exchange.links == []


@pytest.mark.parametrize("data", [b"POST /oauth2/token HTTP/1.1\r\n", request()[:-1]])
def test_a_call_that_never_ends_is_given_up(data: bytes) -> None:
    sim = Sim()
    peer = sim.exchange.connect()
    assert answer_to(peer, data) == b""
    sim.advance(9.9)
    assert sim.exchange.links == [peer]
    sim.advance(0.1)
    assert peer.state is ConnectionState.CLOSED
    assert answer_to(peer, request()[-1:]) == b""
    assert sim.exchange.links == []


def test_a_caller_that_hangs_up_is_forgotten() -> None:
    for data in (b"PO", request()[:-1]):
        exchange = Sim().exchange
        peer = exchange.connect()
        peer.receive_data(data)
        peer.receive_eof()
        assert exchange.links == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000, 413),
    ],
)
def test_a_malformed_or_endless_call_is_refused(data: bytes, status: int) -> None:
    exchange = Sim().exchange
    assert answer_to(exchange.connect(), data).startswith(f"HTTP/1.1 {status} ".encode())
    assert exchange.links == []


@given(st.binary(), st.integers(1, 9))
def test_no_bytes_make_it_raise(data: bytes, size: int) -> None:
    for start in (b"", b"POST ", b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"):
        peer = Sim().exchange.connect()
        answer_to(peer, start + data, size)
        peer.receive_eof()
        assert peer.state is ConnectionState.CLOSED


def test_a_websocket_whose_first_bytes_come_one_by_one_opens() -> None:
    sim = Sim()
    sim.exchange.faults.split = True
    client = sim.client()
    sim.advance(0.02)
    assert client.state is ConnectionState.READY


# Faults.


def test_a_maintenance_page_and_too_many_requests() -> None:
    sim = Sim(app_keys=KEYS)
    sim.exchange.faults.token_answer = "html"
    page = refused(sim)
    assert (page.status, page.code) == (200, "")
    assert "an HTML page where JSON belongs: 시스템 점검 안내" in str(page)

    sim.exchange.faults.token_answer = "too_many"
    assert refused(sim).status == 429
    assert refused(sim, revoke="token").status == 429
    answer = answer_to(sim.exchange.connect(), TokenCall(PRODUCTION, ONE).data_to_send())
    assert answer.startswith(b"HTTP/1.1 429 null\r\n")
    assert answer.endswith(b"\r\n\r\n"), "no body"

    sim.exchange.faults.token_answer = "ok"
    assert logs_in(sim, issued(sim).value) == "one"


def test_a_call_that_is_cut_or_stalled() -> None:
    sim = Sim()
    call = TokenCall(PRODUCTION, ONE)
    first, rest = (data := call.data_to_send())[:20], data[20:]
    peer = sim.exchange.connect()
    peer.receive_data(first)
    sim.exchange.stall()
    peer.receive_data(rest)
    assert peer.data_to_send() == b""
    sim.exchange.resume()
    call.receive_data(peer.data_to_send())
    assert call.finished

    peer = sim.exchange.connect()
    peer.receive_data(first)
    sim.exchange.drop()
    assert answer_to(peer, rest) == b""
    assert sim.exchange.links == []

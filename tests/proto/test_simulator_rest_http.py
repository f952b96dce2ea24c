"""REST of the simulated exchange through bytes: kept connections, hostile input, limits, refusals and faults."""

from __future__ import annotations

import datetime
import gzip
import json
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proto.recordings import frames, write
from tests.proto.rest_ground import ITEM, NOON, asked, posted, refused
from tests.proto.sim import Sim

from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.rest import CATALOGUE
from kiwoom_proto.simulator import ClientLink, Exchange, Playback, client_link
from kiwoom_proto.simulator.rest.http import HttpServer
from kiwoom_proto.simulator.rest.limits import RateLimits
from kiwoom_proto.simulator.rest.service import TRS
from kiwoom_proto.testing import ManualClock


def request(
    api_id: str = "ka10004", path: str = "/api/dostk/mrkcond", body: bytes = b'{"stk_cd":"005930"}', **headers: str
) -> bytes:
    """Return the bytes of a request."""
    every = {"Host": "localhost", "api-id": api_id, "authorization": "Bearer key", "Content-Length": str(len(body))}
    every |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def received(link: ClientLink) -> bytes:
    return b"".join(iter(link.data_to_send, b""))


def answers(data: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, headers and body of the answers in these bytes."""
    found = []
    while data:
        client = h11.Connection(our_role=h11.CLIENT)
        client.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        response = client.next_event()
        while isinstance(response, h11.InformationalResponse):
            response = client.next_event()
        assert isinstance(response, h11.Response), response
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        headers = {name.decode().lower(): value.decode() for name, value in response.headers}
        found.append((response.status_code, headers, body))
        data = client.trailing_data[0]
    return found


def code_of(body: bytes) -> int:
    return int(json.loads(body)["return_code"])


# A connection that is kept.


def test_a_connection_is_kept_for_the_next_request() -> None:
    sim = Sim(start=NOON)
    link = sim.exchange.connect()
    for api_id, path in (("ka10004", "mrkcond"), ("ka10003", "stkinfo"), ("ka10001", "stkinfo")):
        link.receive_data(request(api_id, f"/api/dostk/{path}"))
        ((status, headers, body),) = answers(received(link))
        assert (status, code_of(body), headers["api-id"]) == (200, 0, api_id)
        assert (headers["cont-yn"], headers["next-key"]) == ("N", "")
        assert "connection" not in headers
        sim.advance(59)
    assert sim.exchange.links == [link]
    sim.advance(1.1)
    assert sim.exchange.links == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_ends_when_the_client_wants_it_to(version: str) -> None:
    sim = Sim(start=NOON)
    link = sim.exchange.connect()
    link.receive_data(request(Connection="close").replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
    assert answers(received(link))[0][0] == 200
    assert link.state is ConnectionState.CLOSED


@given(st.lists(st.integers(1, 400), max_size=30))
def test_any_split_of_requests_in_a_row_gives_the_same_answers_in_order(sizes: list[int]) -> None:
    row = [("ka10003", "stkinfo"), ("ka10004", "mrkcond"), ("nonsense", "x"), ("ka10095", "stkinfo")]
    data = b"".join(request(api_id, f"/api/dostk/{path}") for api_id, path in row)

    def answered(sizes: list[int]) -> bytes:
        link = Sim(start=NOON).exchange.connect()
        out, at = b"", 0
        for size in [*sizes, len(data)]:
            link.receive_data(data[at : at + size])
            out += received(link)
            at += size
        return out

    whole = answered([])
    assert answered(sizes) == whole
    assert [headers["api-id"] for _, headers, _ in answers(whole)] == ["ka10003", "ka10004", "", "ka10095"]


def test_requests_wait_for_a_delayed_answer_and_not_for_ever() -> None:
    sim = Sim(start=NOON)
    sim.exchange.faults.rest_delay = 3.0
    link = sim.exchange.connect()
    link.receive_data(request() + request("ka10001", "/api/dostk/stkinfo"))
    link.receive_data(request("ka10003", "/api/dostk/stkinfo"))
    assert received(link) == b""
    api_ids = []
    for _ in range(3):
        sim.advance(2.8)
        assert received(link) == b""
        sim.advance(0.2)
        api_ids += [headers["api-id"] for _, headers, _ in answers(received(link))]
    assert api_ids == ["ka10004", "ka10001", "ka10003"]
    link.receive_data(request())
    while link.state is not ConnectionState.CLOSED:
        link.receive_data(bytes(10_000))
    assert sim.exchange.links == []


def test_a_request_that_never_ends_is_given_up_also_after_others() -> None:
    sim = Sim(start=NOON)
    link = sim.exchange.connect()
    link.receive_data(request())
    sim.advance(30)
    link.receive_data(request()[:-1])
    sim.advance(9.9)
    assert sim.exchange.links == [link]
    sim.advance(0.2)
    assert sim.exchange.links == []


def test_expecting_to_be_told_to_continue() -> None:
    link = Sim(start=NOON).exchange.connect()
    head, _, body = request(Expect="100-continue").partition(b"\r\n\r\n")
    link.receive_data(head + b"\r\n\r\n")
    assert received(link).startswith(b"HTTP/1.1 100 ")
    link.receive_data(body)
    assert answers(received(link))[0][0] == 200


def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_link, "BACKLOG_LIMIT", 1_000_000)
    sim = Sim(start=NOON, rest_limit=100_000)
    link = sim.exchange.connect()
    chart = request("ka10081", "/api/dostk/chart", b'{"stk_cd":"005930","base_dt":"20260629","upd_stkpc_tp":"1"}')
    sent = 0
    while link.state is not ConnectionState.CLOSED:
        link.receive_data(chart)
        sent += 1
        assert sent < 10
    assert sim.exchange.links == []


# Hostile input.


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"PUT /api/dostk/mrkcond HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"\x00" * 50, 400),
        (request(Content_Length="70000") + bytes(70_000), 413),
        (request(body=b"", Transfer_Encoding="chunked", Content_Length="") + b"1\r\n \r\n" * 1_100, 413),
        (request(X="x" * 100_000)[:90_000], 431),
        (request(Origin="https://evil.example"), 403),
        (request(Content_Length="-1"), 400),
    ],
)
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_a_bad_request_is_answered_also_after_a_good_one(data: bytes, status: int, size: int) -> None:
    sim = Sim(start=NOON)
    link = sim.exchange.connect()
    link.receive_data(request())
    assert answers(received(link))[0][0] == 200
    for at in range(0, len(data), size):
        link.receive_data(data[at : at + size])
    out = received(link)
    assert out.startswith(b"HTTP/1.1 %d " % status)
    assert link.state is ConnectionState.CLOSED
    assert sim.exchange.links == []


def test_every_request_of_a_connection_is_looked_at_for_web_pages() -> None:
    exchange = Sim(start=NOON).exchange
    link = exchange.connect(hosts=["exchange.example"])
    for host, status in (("exchange.example", 200), ("localhost", 200), ("evil.example", 421)):
        link.receive_data(request(Host=host))
        assert answers(received(link))[0][0] == status


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_make_it_raise(data: bytes, size: int) -> None:
    for start in (b"", request(), request()[:-5], request().replace(b"005930", data[:6])):
        link = Sim(start=NOON).exchange.connect()
        whole = start + data
        for at in range(0, len(whole), size):
            link.receive_data(whole[at : at + size])
            link.data_to_send()
        link.receive_eof()
        assert link.state is ConnectionState.CLOSED


FUZZED = Sim(start=NOON, rest_limit=1_000_000)
"""Shared, for speed: its answers are not compared."""


@given(
    st.sampled_from(sorted(TRS)),
    st.dictionaries(
        st.sampled_from(["stk_cd", "base_dt", "tic_scope", "upd_stkpc_tp", "ord_qty", "ord_uv", "trde_tp", "stex_tp"]),
        st.one_of(st.text(max_size=12), st.integers(), st.none(), st.lists(st.text()), st.just("1"), st.just(ITEM)),
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
)
def test_no_parameters_make_it_raise(api_id: str, body: dict[str, Any], key: str) -> None:
    base = {"stk_cd": ITEM, "dmst_stex_tp": "KRX", "orig_ord_no": "1", "cncl_qty": "0", "mrkt_tp": "000"}
    answer = posted(FUZZED, api_id, key, **(base | body))
    assert answer.status == 200
    assert isinstance(json.loads(answer.body)["return_code"], int)


# Refusals.


def test_what_is_wrong_with_a_request_is_said_as_documented() -> None:
    exchange = Sim(start=NOON, tokens={"good": "key"}).exchange
    right = {"api-id": "ka10004", "authorization": "Bearer good"}
    path, body = "/api/dostk/mrkcond", b'{"stk_cd":"005930"}'

    def code(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        answer = exchange.answer_rest(path, headers, body)
        assert answer.status == 200
        members = json.loads(answer.body)
        return members["return_code"], members["return_msg"].partition("[")[2][:4]

    def without(name: str) -> dict[str, str]:
        return {key: value for key, value in right.items() if key != name}

    assert exchange.answer_rest(path, right, body).body.startswith(b'{"bid_req_base_tm"')
    assert code(path, without("api-id"), body) == (2, "1501")
    assert code("/api/dostk/stkinfo", right, body) == (1, "1504")
    assert code("/", right, body) == (1, "1504")
    assert code(path, right | {"api-id": "ka99999"}, body) == (2, "1505")
    assert code(path, without("authorization"), body) == (2, "1513")
    assert code(path, right | {"authorization": "good"}, body) == (2, "1514")
    assert code(path, right | {"authorization": "Bearer "}, body) == (2, "1516")
    assert code(path, right | {"authorization": "Bearer bad"}, body) == (3, "8005")
    for nothing in (b"", b"{}", b'{"stk_cd":""}', b'{"stk_cd":"  "}'):
        assert code(path, right, nothing) == (2, "1511")
    exchange = Sim(start=NOON, rest_limit=100).exchange
    for nonsense in (b"[]", b"{", b"\xff", b"1", b'{"stk_cd":5}', b"[" * 60_000):
        assert code(path, right, nonsense) == (2, "1517")
    assert b"parameter=stk_cd" in exchange.answer_rest(path, right, b"{}").body


def test_a_tr_that_is_not_served_is_told_from_one_that_mock_trading_lacks() -> None:
    lacking = next(api_id for api_id, request in CATALOGUE.items() if request.mock is False)
    path = CATALOGUE[lacking].path
    for mock, code in ((False, b"[1505:"), (True, b"[8104:")):
        exchange = Sim(start=NOON, mock=mock).exchange
        answer = exchange.answer_rest(path, {"api-id": lacking, "authorization": "Bearer x"}, b"{}")
        assert code in answer.body
        assert code_of(answer.body) == 2
        assert b"[1504:" in exchange.answer_rest("/x", {"api-id": lacking, "authorization": "Bearer x"}, b"{}").body


def test_a_token_that_expired_is_refused_and_one_that_was_issued_is_not() -> None:
    sim = Sim(start=NOON, app_keys={"one": "secret"})
    keys = {"grant_type": "client_credentials", "appkey": "one", "secretkey": "secret"}
    token = json.loads(sim.exchange.answer_rest("/oauth2/token", {}, json.dumps(keys).encode()).body)["token"]
    assert code_of(posted(sim, "ka00001", token=token).body) == 0
    sim.exchange.expire_tokens()
    assert refused(sim, "ka00001", token=token) == (3, "8005")


def test_an_exchange_that_plays_a_recording_answers_no_tr(tmp_path: Path) -> None:
    write(tmp_path, frames())
    exchange = Exchange(playback=Playback([tmp_path]), clock=ManualClock())
    answer = exchange.answer_rest(
        "/api/dostk/mrkcond", {"api-id": "ka10004", "authorization": "Bearer x"}, b'{"stk_cd":"005930"}'
    )
    assert code_of(answer.body) == 1


# Limits.


@pytest.mark.parametrize(("mock", "limit"), [(False, 5), (True, 1)])
def test_so_many_requests_a_second_are_answered(mock: bool, limit: int) -> None:
    sim = Sim(start=NOON, mock=mock)
    assert [posted(sim, "ka10004", stk_cd=ITEM).status for _ in range(limit + 2)] == [200] * limit + [429] * 2
    refusal = json.loads(posted(sim, "ka10004", stk_cd=ITEM).body)
    assert refusal["return_code"] == 5
    assert f"유량={limit}, API ID=ka10004]" in refusal["return_msg"]
    assert posted(sim, "ka10001", stk_cd=ITEM).status == 200, "each api-id counts by itself"
    assert posted(sim, "ka10004", token="other", stk_cd=ITEM).status == 200, "and so does each key"
    sim.advance(0.99)
    assert posted(sim, "ka10004", stk_cd=ITEM).status == 429
    sim.advance(0.01)
    assert posted(sim, "ka10004", stk_cd=ITEM).status == 200
    assert sim.exchange.rest.limits.refused == 4


def test_a_second_slides_or_begins_anew() -> None:
    times = [0.9, 0.95, 1.0, 1.05, 1.95, 2.0]
    sliding, fixed = RateLimits(2, "sliding"), RateLimits(2, "fixed")
    assert [sliding.take("key", "id", time) for time in times] == [True, True, False, False, True, True]
    assert [fixed.take("key", "id", time) for time in times] == [True, True, True, True, False, True]


def test_counters_of_the_past_are_forgotten() -> None:
    limits = RateLimits(1, "sliding")
    for number in range(25_000):
        assert limits.take(f"key {number}", "id", number / 1_000)
    assert len(limits._times) <= 10_001


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_a_limit_is_a_whole_number_above_0(limit: Any) -> None:
    with pytest.raises(ValueError, match="rest_limit"):
        Sim(rest_limit=limit)


# Faults.


def buy() -> bytes:
    body = {"dmst_stex_tp": "KRX", "stk_cd": ITEM, "ord_qty": "1", "trde_tp": "3"}
    return request("kt10000", "/api/dostk/ordr", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("cut", "delay", "processed"),
    [(cut, delay, cut != "before") for cut in ("before", "half", "after") for delay in (0, 1)],
)
def test_a_connection_is_cut_before_within_and_after_an_order(cut: Any, delay: float, processed: bool) -> None:
    sim = Sim(start=NOON)
    faults = sim.exchange.faults
    faults.rest_cut, faults.rest_times, faults.rest_delay = cut, 1, delay
    link = sim.exchange.connect()
    link.receive_data(buy())
    sim.advance(delay)
    out = received(link)
    assert out.startswith(b"HTTP/1.1 200 ") == (cut == "half")
    assert not out.endswith(b"}")
    assert link.state is ConnectionState.CLOSED
    assert sim.exchange.orders_processed == processed
    link = sim.exchange.connect()
    link.receive_data(buy())
    sim.advance(delay)
    assert code_of(answers(received(link))[0][2]) == 0
    assert sim.exchange.orders_processed == processed + 1


@pytest.mark.parametrize(
    ("how", "status", "code", "processed"),
    [
        ("html", 200, None, 0),
        ("too_many", 429, 5, 0),
        ("token", 200, 3, 0),
        ("failed", 500, None, 0),
        ("failed_after", 500, None, 1),
    ],
)
def test_an_answer_is_another_as_often_as_is_wanted(how: Any, status: int, code: int | None, processed: int) -> None:
    sim = Sim(start=NOON)
    sim.exchange.faults.rest_answer, sim.exchange.faults.rest_times = how, 2
    link = sim.exchange.connect()
    link.receive_data(buy() * 3)
    found = answers(received(link))
    assert [one[0] for one in found] == [status, status, 200]
    if code is not None:
        assert code_of(found[0][2]) == code
    assert ("text/html" in found[0][1]["content-type"]) == (how == "html")
    assert sim.exchange.orders_processed == 2 * processed + 1


def test_bodies_are_compressed_on_demand() -> None:
    sim = Sim(start=NOON)
    sim.exchange.faults.rest_gzip = True
    link = sim.exchange.connect()
    link.receive_data(request())
    ((_, headers, body),) = answers(received(link))
    assert headers["content-encoding"] == "gzip"
    assert code_of(gzip.decompress(body)) == 0


def test_a_next_key_repeats_on_demand() -> None:
    sim = Sim(start=NOON)
    body = {"stk_cd": ITEM, "base_dt": "20260629", "upd_stkpc_tp": "1"}
    first = dict(posted(sim, "ka10081", **body).headers)["next-key"]
    sim.exchange.faults.repeat_next_key = True
    assert dict(posted(sim, "ka10081", first, **body).headers)["next-key"] == first
    sim.exchange.faults.repeat_next_key = False
    assert dict(posted(sim, "ka10081", first, **body).headers)["next-key"] != first


@pytest.mark.parametrize("key", ["x", "A00593020260629", "A00066020260629000000000000000", "9" * 300])
def test_a_next_key_that_was_not_given_out_is_refused(key: str) -> None:
    sim = Sim(start=datetime.time(12, 0))
    body = {"stk_cd": ITEM, "base_dt": "20260629", "upd_stkpc_tp": "1"}
    assert code_of(posted(sim, "ka10081", key, **body).body) == 2
    assert code_of(posted(sim, "ka10003", "x", stk_cd=ITEM).body) == 2
    assert code_of(posted(sim, "kt00018", "x", qry_tp="1", dmst_stex_tp="KRX").body) == 2
    assert asked(sim, "ka10081", **body)


def test_a_stalled_connection_gets_its_answer_when_it_goes_on() -> None:
    sim = Sim(start=NOON)
    link = sim.exchange.connect()
    link.receive_data(request())
    received(link)
    sim.exchange.stall(link)
    link.receive_data(request())
    assert received(link) == b""
    sim.exchange.resume(link)
    assert answers(received(link))[0][0] == 200


def test_a_server_that_is_finished_ignores_the_rest() -> None:
    server = HttpServer(lambda request: None)
    server.receive_data(b"nonsense\r\n\r\n")
    assert server.finished
    out = server.data_to_send()
    server.receive_data(request())
    assert out.startswith(b"HTTP/1.1 400 ")
    assert server.data_to_send() == b""

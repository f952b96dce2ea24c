"""The simulated exchange among hostile clients: what one does costs that one. All on virtual time.

An exchange without a port raises its own errors, so whatever a client can make go wrong in here fails a test.
"""

from __future__ import annotations

import datetime
import gc
import json
import random
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proto.sim import RawClient, Sim
from tests.proto.wire import MASK, TEXT, frame

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import ServerRequest
from kiwoom_proto.simulator import ClientLink, Exchange, bounds, conditions, tokens
from kiwoom_proto.simulator.market import market
from kiwoom_proto.simulator.market.quotes import AfterHoursBook
from kiwoom_proto.simulator.market.sessions import SESSIONS
from kiwoom_proto.simulator.market.source import Push
from kiwoom_proto.simulator.market.stock import Stock
from kiwoom_proto.testing import ManualClock

ITEM = "005930"
KEYS = {"grant_type": "client_credentials", "appkey": "key", "secretkey": "secret"}
PING = b'{"trnm":"PING"}'


def logged_in(sim: Sim, token: str = "key") -> RawClient:
    client = sim.raw()
    client.login(token)
    return client


def ask(sim: Sim, client: RawClient, message: dict[str, Any]) -> dict[str, Any]:
    """Send a request no faster than they are taken; return its reply."""
    sim.advance(0.25)
    client.take()
    client.say(compact(message))
    sim.advance(0.02)
    (reply,) = (one for one in client.take() if one["trnm"] == message["trnm"])
    return reply


def reg(items: Iterable[str], types: Iterable[str], **members: Any) -> dict[str, Any]:
    return {"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": [*items], "type": [*types]}]} | members


def compact(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def wire(message: dict[str, Any] | bytes) -> bytes:
    return frame(TEXT, message if isinstance(message, bytes) else compact(message), mask=MASK)


def alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


def rows(client: RawClient) -> list[dict[str, Any]]:
    return [row for message in client.take() if message["trnm"] == "REAL" for row in message["data"]]


def post(
    exchange: Exchange, members: dict[str, Any] | bytes, headers: str = "Host: x\r\n", what: str = "token"
) -> tuple[int, dict[str, Any]]:
    """Call the token server; return the status and the members of the answer."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    link = exchange.connect()
    link.receive_data(f"POST /oauth2/{what} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    head, _, answer = link.data_to_send().partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(answer) if answer.startswith(b"{") else {}


# What one message can be.


@pytest.mark.parametrize(
    "key", ["9" * 5_000, "9" * 60_000, "-1", "٣", "1e9", "000020\n", "", "0" * 5_000, 20, None, [], {}]
)
@pytest.mark.parametrize("trnm", ["CNSRREQ", "GCNSRREQ"])
def test_a_next_key_that_nobody_was_given_begins_anew(key: object, trnm: str) -> None:
    sim = Sim()
    client = sim.raw(us=trnm[0] == "G")
    client.login()
    ask(sim, client, {"trnm": trnm.replace("REQ", "LST")})
    search = {"trnm": trnm, "seq": "0", "search_type": "0", "stex_tp": "K", "cont_yn": "N", "next_key": ""}
    first = ask(sim, client, search)
    assert ask(sim, client, {**search, "cont_yn": "Y", "next_key": key})["data"] == first["data"]


CROSS_PRODUCTS: dict[str, tuple[dict[str, Any], int]] = {
    "items and types": (
        reg(map(str, range(6_000)), (chr(33 + n % 90) + chr(256 + n // 90) for n in range(2_500))),
        105118,
    ),
    "200 items": (reg(map(str, range(200)), (chr(33 + n % 90) + chr(256 + n // 90) for n in range(6_000))), 105111),
    "the same twice": (reg(["1", "2"] * 6_000, ["0B", "0D"] * 1_500), 0),
    "REMOVE": (reg(map(str, range(6_000)), map(str, range(2_500)), trnm="REMOVE"), 105111),
    "many elements": (reg([], []) | {"data": [{"item": [f"{n}" for n in range(200)], "type": ["a"] * 9}] * 50}, 0),
    "elements of 200": (
        reg([], []) | {"data": [{"item": [f"{n + k}" for n in range(50)], "type": ["a"]} for k in range(0, 5_000, 50)]},
        105118,
    ),
}


@pytest.mark.parametrize("name", CROSS_PRODUCTS)
def test_a_cross_product_is_counted_before_it_is_written_out(name: str) -> None:
    message, code = CROSS_PRODUCTS[name]
    sim = Sim()
    client = logged_in(sim)
    assert len(compact(message)) <= 65_536
    tracemalloc.start()
    try:
        reply = ask(sim, client, message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply["return_code"] == code
    assert peak < 32 << 20


def test_the_owner_of_a_request_is_told_of_a_cross_product_that_is_too_large() -> None:
    request = ServerRequest("REG", reg(map(str, range(200)), map(str, range(51))))
    with pytest.raises(ValueError, match="10200 registrations, more than 10000"):
        request.registrations()
    assert len(request.elements()[0][0]) == 200


@pytest.mark.parametrize("place", ["grp_no", "item", "type", "jmcode"])
def test_texts_that_are_too_long_are_refused(place: str) -> None:
    sim = Sim()
    client = logged_in(sim)
    for length, code in ((100, 0), (101, 105111)):
        text = "x" * length
        message = reg([text if place == "item" else ITEM], [text if place == "type" else "0B"])
        if place == "grp_no":
            message["grp_no"] = text
        elif place == "jmcode":
            message["data"][0]["item"] = [{"jmcode": text[3:], "stex_tp": "ND"}]
        assert ask(sim, client, message)["return_code"] == code


def test_a_condition_number_that_is_too_long_is_refused() -> None:
    sim = Sim()
    client = logged_in(sim)
    ask(sim, client, {"trnm": "CNSRLST"})
    for trnm in ("CNSRREQ", "CNSRCLR"):
        assert ask(sim, client, {"trnm": trnm, "seq": "1" * 101, "search_type": "0"})["return_code"] == 105111


def test_a_token_that_is_longer_than_the_official_page_allows_logs_nobody_in() -> None:
    sim = Sim()
    client = sim.raw()
    client.say({"trnm": "LOGIN", "token": "t" * 1_001})
    assert client.take()[0]["return_code"] == 805004
    logged_in(sim, "t" * 1_000)


SHAPES: tuple[object, ...] = (
    None, True, 0, -1, 1.5, 1e308, "", " ", "x", "\x00", "\ud7ff\ue000", "١", [], [[]], [None], [1], {}, {"a": 1}, [{}],
    [{"item": None, "type": None}], [{"item": [], "type": []}], [{"item": [""], "type": [""]}],
    [{"item": [{}], "type": ["F4"]}], [{"item": [{"jmcode": "", "stex_tp": ""}], "type": ["FE"]}],
    [{"item": [[]], "type": ["0B"]}], [{"type": ["00"]}],
    [{"item": ["005930"], "type": [0]}], [{"item": "005930", "type": "0B"}],
    [{"item": ["005930_AL_NX", "_NX", "_AL"], "type": ["0B"]}],
)  # fmt: skip
NAMES = ("trnm", "token", "grp_no", "refresh", "data", "seq", "search_type", "cont_yn", "next_key", "stex_tp", "x")
TRNMS = (
    "LOGIN",
    "REG",
    "REMOVE",
    "PING",
    "PONG",
    "REAL",
    "SYSTEM",
    "CNSRLST",
    "CNSRREQ",
    "CNSRCLR",
    "GCNSRLST",
    "GCNSRREQ",
)


@pytest.mark.parametrize("us", [False, True])
@pytest.mark.parametrize("trnm", TRNMS)
def test_any_shape_of_any_member_is_answered_or_ignored(trnm: str, us: bool) -> None:
    sim = Sim(rate=0.1)
    whole = {**reg([ITEM], ["0E"]), "seq": "0", "search_type": "1", "cont_yn": "Y", "next_key": "000020", "trnm": trnm}
    early, late = sim.raw(us=us), sim.raw(us=us)
    late.login()
    late.say({"trnm": "GCNSRLST" if us else "CNSRLST"})
    for name in NAMES:
        for shape in SHAPES:
            if early.is_over:
                early = sim.raw(us=us)
            early.say(whole | {name: shape, "token": ""})
            late.say(whole | {name: shape})
            sim.advance(0.21)  # no faster than they are carried out
    sim.advance(5)
    assert late.close is None


@pytest.mark.parametrize(
    "payload",
    [b"[" * 60_000, b'{"a":' * 12_000, b'{"trnm":"REG","data":' + b"[" * 60_000, b"9" * 60_000, b"1e999999999",
     b'{"trnm":"REG","data":' + b"9" * 60_000 + b"}", b'"\\ud800"', b"\x00", b"", b"null", b"[]", b'{"trnm":"\\ud800"}',
     b'{"trnm":"' + "가".encode() * 20_000 + b'"}', b'{"":"","":""}'],
    ids=lambda payload: repr(payload[:12]),
)  # fmt: skip
def test_any_payload_costs_nobody_anything(payload: bytes) -> None:
    sim = Sim(rate=20)
    honest, hostile = logged_in(sim, "honest"), logged_in(sim, "hostile")
    honest.register(ITEM)
    hostile.say(payload)
    sim.advance(11)
    assert hostile.close is None
    assert rows(honest)


# What adds up.


def test_requests_that_are_never_answered_are_not_kept() -> None:
    sim = Sim()
    sim.exchange.faults.lose_acks = 10**9
    sim.exchange.faults.mute_conditions = True
    client = logged_in(sim)
    for number in range(300):
        client.say(reg([ITEM], ["0B"]) if number % 2 else {"trnm": "CNSRREQ", "seq": "0", "search_type": "0"})
        sim.advance(0.05)
    assert client.close is None
    assert alive(ServerRequest) == 0


def test_of_requests_that_wait_little_is_kept_and_there_is_an_end_to_them() -> None:
    sim = Sim()
    sim.exchange.faults.ack_delay = 1e6
    client = logged_in(sim)
    link = sim.exchange.links[0]
    message = wire({"trnm": "REG", "junk": [{}] * 500})
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(bounds.MAX_WAITING - 1):  # the watch over its silence waits too
            assert link.state is ConnectionState.READY
            link.receive_data(message)
            sim.clock.advance(0.01)
        assert tracemalloc.get_traced_memory()[0] - before < 5 << 20
    finally:
        tracemalloc.stop()
    link.receive_data(message)
    assert link.state is ConnectionState.CLOSED
    assert alive(ServerRequest) == 0
    assert client.close is None, "without a word"


def test_nothing_is_kept_of_clients_that_come_and_go() -> None:
    before = alive(ClientLink)  # of other tests
    sim = Sim()
    sim.exchange.faults.ack_delay = 100
    logged_in(sim, "stays")
    for number in range(2_000):
        link = sim.exchange.connect()
        if number % 2:
            link.receive_data(b"GET / HTTP/1.1\r\n")
        link.receive_eof()
    del link
    assert alive(ClientLink) <= before + 1
    assert len(sim.exchange.agenda) < 10


def test_registrations_that_cost_no_quota_are_bounded_too() -> None:
    sim = Sim()
    client = logged_in(sim)
    types = [f"{number:04}" for number in range(2_000)]
    codes = [ask(sim, client, reg([""], types, grp_no=f"{group}"))["return_code"] for group in range(6)]
    assert codes == [0] * 5 + [105115]
    assert ask(sim, client, reg([""], types, trnm="REMOVE"))["return_code"] == 0
    assert ask(sim, client, reg([""], types, grp_no="5"))["return_code"] == 0


def test_registrations_are_bounded_by_the_second_as_well() -> None:
    sim = Sim()
    client = logged_in(sim)
    many = reg([f"{number:06}" for number in range(100)], [f"{number}" for number in range(40)])
    for _ in range(3):
        client.say(compact(many))
    sim.advance(0.02)
    assert [reply["return_code"] for reply in client.take()] == [0, 0, 105110]
    sim.advance(1)
    assert ask(sim, client, many)["return_code"] == 0


def test_tokens_are_bounded_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 20)
    sim = Sim(app_keys=None)
    first = post(sim.exchange, KEYS)[1]["token"]
    for number in range(19):
        assert post(sim.exchange, {**KEYS, "appkey": f"{number}"})[0] == 200
    assert post(sim.exchange, KEYS)[1]["token"] == first, "it is still known"
    post(sim.exchange, {**KEYS, "appkey": "one more"})
    assert len(sim.exchange._tokens._issued) == 20
    assert len(sim.exchange._tokens._latest) == 20
    assert post(sim.exchange, {**KEYS, "token": first}, what="revoke")[1]["return_code"] == 3


def test_a_key_that_is_issued_a_token_over_and_over_again_gets_other_ones() -> None:
    sim = Sim()
    seen = set()
    for _ in range(5):
        token = post(sim.exchange, KEYS)[1]["token"]
        assert post(sim.exchange, {**KEYS, "token": token}, what="revoke")[1]["return_code"] == 0
        seen.add(token)
    assert len(seen) == 5


@pytest.mark.parametrize("name", ["appkey", "secretkey"])
def test_a_key_that_is_too_long_is_none(name: str) -> None:
    sim = Sim()
    assert post(sim.exchange, KEYS | {name: "x" * 256})[1]["return_code"] == 0
    assert post(sim.exchange, KEYS | {name: "x" * 257})[1]["return_code"] == 3


def test_live_searches_of_ended_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "MAX_REMEMBERED", 3)
    sim = Sim()

    def search(key: str) -> int:
        client = logged_in(sim, key)
        ask(sim, client, {"trnm": "CNSRLST"})
        return int(ask(sim, client, {"trnm": "CNSRREQ", "seq": "0", "search_type": "1"})["return_code"])

    for number in range(5):
        assert search(f"{number}") == 0
        sim.exchange.drop()
    assert [search(f"{number}") for number in (4, 3, 2, 1, 0)] == [900003] * 3 + [0, 0]


def test_items_of_which_nothing_is_wanted_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market, "MAX_IDLE", 200)
    sim = Sim(rate=1)
    honest, hostile = logged_in(sim, "honest"), logged_in(sim, "hostile")
    honest.register(ITEM, type="0B")
    before = alive(Stock)
    for number in range(12):
        codes = [f"{number * 100 + index:06}" for index in range(100)]
        assert ask(sim, hostile, reg(codes, ["0B", "0E"], refresh="0"))["return_code"] == 0
        sim.advance(0.3)
    assert alive(Stock) - before <= 301
    honest.take()
    sim.advance(5)
    assert {row["item"] for row in rows(honest)} == {ITEM}


def test_items_that_have_rows_are_bounded_and_those_wanted_first_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market, "MAX_SOURCES", 10)
    sim = Sim(rate=20)
    honest, hostile = logged_in(sim, "honest"), logged_in(sim, "hostile")
    honest.register(ITEM, "000660")
    hostile.register(*(f"{number:06}" for number in range(50)))
    sim.advance(3)
    assert {row["item"] for row in rows(honest)} == {ITEM, "000660"}
    assert len({row["item"] for row in rows(hostile)}) == 8
    honest.register(ITEM, trnm="REMOVE")
    sim.advance(3)
    hostile.take()
    sim.advance(3)
    assert len({row["item"] for row in rows(hostile)}) == 9


def test_where_rows_take_longer_than_there_is_time_half_of_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Sim(rate=50)
    client = logged_in(sim)
    client.register(ITEM)
    pushes = sim.exchange._market.pushes
    times = []

    def slowly(*arguments: Any) -> list[Push]:
        times.append(sim.clock.now)
        sim.clock.advance(0.5)
        return pushes(*arguments)

    monkeypatch.setattr(sim.exchange._market, "pushes", slowly)
    sim.advance(10)
    assert [after - before for before, after in pairwise(times)] == pytest.approx([1.0] * 9)
    assert rows(client)


def take_time(monkeypatch: pytest.MonkeyPatch, sim: Sim, *, to_make: float, to_happen: float) -> None:
    """Let the work for rows of 0E take so many seconds, as it does on a clock that is not ours."""
    make, happen = AfterHoursBook.__init__, AfterHoursBook.happen

    def slow_make(book: AfterHoursBook, *arguments: Any) -> None:
        sim.clock.advance(to_make)
        make(book, *arguments)

    def slow_happen(book: AfterHoursBook, moment: Any) -> Iterable[Push]:
        sim.clock.advance(to_happen)
        return happen(book, moment)

    monkeypatch.setattr(AfterHoursBook, "__init__", slow_make)
    monkeypatch.setattr(AfterHoursBook, "happen", slow_happen)


def test_where_there_is_too_much_to_do_each_connection_gets_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Sim(rate=20)
    take_time(monkeypatch, sim, to_make=0.001, to_happen=0.005)  # 23 s of work in a second
    hostile = [logged_in(sim, f"hostile {number}") for number in range(3)]
    for number, client in enumerate(hostile):
        client.register(*(f"{number * 100 + index:06}" for index in range(75)))
    sim.advance(10)
    honest = logged_in(sim, "honest")
    honest.register(ITEM)
    sim.advance(2)
    honest.heard.clear()
    began = sim.clock.now
    for _ in range(100):
        before = sim.clock.now
        sim.exchange.handle_timeout()
        assert sim.clock.now - before < 0.2
        sim.advance(0.1)
    times = [time for time, text in honest.heard if b'"REAL"' in text]
    assert len(times) > sim.clock.now - began, "one a second, which is one for 20 that it would be"
    assert max(after - before for before, after in pairwise(times)) < 3


def test_a_registration_of_many_new_items_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Sim(rate=2)
    take_time(monkeypatch, sim, to_make=0.02, to_happen=0.0)
    client = logged_in(sim)
    client.say(compact(reg([f"{index:06}" for index in range(200)], ["0E"])))
    longest = 0.0
    for _ in range(200):
        due = sim.exchange.next_timeout()
        assert due is not None
        sim.clock.now = max(due, sim.clock.now)
        before = sim.clock.now
        sim.exchange.handle_timeout()
        sim.settle()
        longest = max(longest, sim.clock.now - before)
    assert longest < 0.1
    assert len({row["item"] for row in rows(client)}) == 200


# Clients that flood, and that do not read.


@pytest.mark.parametrize(
    "data", [frame(9, b"", mask=MASK), frame(10, b"", mask=MASK), wire(PING), wire(b"1")], ids=repr
)
def test_a_flood_of_frames_ends_the_connection(data: bytes) -> None:
    sim = Sim(rate=20)
    honest = logged_in(sim, "honest")
    honest.register(ITEM)
    logged_in(sim, "hostile")
    link = sim.exchange.links[1]
    link.receive_data(data * 900)
    sim.advance(1)
    link.receive_data(data * 900)
    assert link in sim.exchange.links
    link.receive_data(data * 101)
    assert link.state is ConnectionState.CLOSED
    sim.advance(1)
    assert rows(honest)


def test_a_client_that_reads_nothing_is_cut_off_at_a_bounded_backlog() -> None:
    sim = Sim()
    logged_in(sim)
    link = sim.exchange.links[0]
    data = wire({"trnm": "x" * 60_000})  # answered at once, with as many bytes
    read, sent = link.data_to_send, 0
    while link.state is not ConnectionState.CLOSED:
        link.receive_data(data)
        sim.clock.advance(0.01)
        sent += 1
        assert sent * 60_000 < bounds.BACKLOG_LIMIT + 120_000
    assert sent * 60_000 > bounds.BACKLOG_LIMIT - 120_000
    assert len(read()) < bounds.BACKLOG_LIMIT + 120_000
    assert sim.exchange.links == []


def test_what_a_client_sends_during_a_stall_is_bounded() -> None:
    sim = Sim()
    logged_in(sim)
    link = sim.exchange.links[0]
    sim.exchange.stall()
    for _ in range(bounds.BACKLOG_LIMIT // 1_000_000 + 1):
        link.receive_data(bytes(1_000_000))
    assert link.state is ConnectionState.CLOSED
    sim.exchange.resume()


def test_a_flood_during_a_stall_is_noticed_before_all_of_it_is_read() -> None:
    sim = Sim()
    logged_in(sim)
    link = sim.exchange.links[0]
    sim.exchange.stall()
    link.receive_data(frame(9, b"", mask=MASK) * 1_000_000)
    sim.exchange.resume()
    assert link.state is ConnectionState.CLOSED
    assert link.connection.frames_received < 5_000


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_connection_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(LocalProtocolError, match="connection_limit"):
        Exchange(connection_limit=limit, clock=ManualClock())


def test_above_the_limit_the_oldest_that_has_not_logged_in_goes() -> None:
    sim = Sim(connection_limit=4, rate=20)
    honest = logged_in(sim, "honest")
    honest.register(ITEM)
    idle = [sim.raw() for _ in range(3)]
    later = [sim.exchange.connect() for _ in range(20)]
    sim.settle()
    assert [one.is_over for one in idle] == [True] * 3
    assert [link.state is ConnectionState.CLOSED for link in later] == [True] * 17 + [False] * 3
    logged_in(sim, "another")
    assert len(sim.exchange.links) == 4
    honest.take()
    sim.advance(1)
    assert rows(honest)


def test_above_the_limit_of_those_that_have_logged_in_the_new_one_goes() -> None:
    sim = Sim(connection_limit=3)
    stay = [logged_in(sim, f"{number}") for number in range(3)]
    link = sim.exchange.connect()
    assert link.state is ConnectionState.CLOSED
    assert link.data_to_send() == b""
    stay[0].say({"trnm": "PONG"})
    assert stay[0].take()[-1]["return_code"] == 105108
    sim.exchange.drop(sim.exchange.links[1])
    logged_in(sim, "new")


# HTTP.


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 1_001, 413),
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n" + bytes(65_537), 413),
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]", 400),
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", 400),
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"[" * 60_000, 400),
        (b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + b"9" * 50_000, 400),
        (b"POST /oauth2/token HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
        (b"POST /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /oauth2/token HTTP/1.1\r\n\r\n", 400),
        (b"POST /x HTTP/1.0\r\n\r\n", 200),
        (b"POST " * 20_000, 431),
        (b"POST / HTTP/1.1\nHost: x\nConnection: close\n\n", 200),
    ],
    ids=lambda value: repr(value[-20:]) if isinstance(value, bytes) else None,
)
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_a_post_of_any_kind_gets_one_answer(request_bytes: bytes, status: int, size: int) -> None:
    sim = Sim()
    link = sim.exchange.connect()
    answer = b""
    for at in range(0, len(request_bytes), size):
        link.receive_data(request_bytes[at : at + size])
        answer += link.data_to_send()
        if answer:
            break
    pieces = len(request_bytes) / size
    assert answer.startswith(b"HTTP/1.1 %d " % (413 if pieces > 50_000 and status == 400 else status))
    assert link.state is ConnectionState.CLOSED
    assert sim.exchange.links == []


@pytest.mark.parametrize(
    "begun", [b"", b"P", b"POST", b"POST / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"]
)
def test_who_says_nothing_to_the_end_is_cut_off(begun: bytes) -> None:
    sim = Sim()
    link = sim.exchange.connect()
    link.receive_data(begun)
    sim.advance(10)
    assert sim.exchange.links == []


# Web pages.


def handshake(exchange: Exchange, headers: str, hosts: Iterable[str] | None = ("box.test",)) -> tuple[int, str]:
    """Open a WebSocket; return the status and the text of the answer."""
    link = exchange.connect(None if hosts is None else tuple(hosts))
    link.receive_data(
        f"GET /api/dostk/websocket HTTP/1.1\r\n{headers}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head, _, text = link.data_to_send().decode().partition("\r\n\r\n")
    return int(head.split()[1]), text


def call(exchange: Exchange, headers: str, hosts: Iterable[str] | None = ("box.test",)) -> tuple[int, str]:
    """Ask for a token; return the status and the text of the answer."""
    link = exchange.connect(None if hosts is None else tuple(hosts))
    body = json.dumps(KEYS)
    link.receive_data(f"POST /oauth2/token HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    head, _, text = link.data_to_send().decode().partition("\r\n\r\n")
    return int(head.split()[1]), text


Asked = Callable[..., tuple[int, str]]
both = pytest.mark.parametrize(("asked", "good"), [(handshake, 101), (call, 200)], ids=["WebSocket", "token"])


@both
@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8765", "localhost.", "localhost.:80", "127.0.0.1", "127.0.0.1:8765", "127.9.9.9",
     "[::1]:8765", "[0:0::1]", "box.test", "BOX.test:1", "box.test."],
)  # fmt: skip
def test_it_is_called_by_its_own_names(asked: Asked, good: int, host: str) -> None:
    sim = Sim()
    assert asked(sim.exchange, f"Host: {host}\r\n")[0] == good
    assert asked(sim.exchange, f"Host: {host}\r\nOrigin: http://{host}\r\n")[0] == good, "as some libraries say"


@both
@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8765", "localhost.evil.test", "localhost:80:80", "evil.test#localhost",
     "localhost@evil.test", "evil@localhost", "127.0.0.1.evil.test", "0.0.0.0", "192.168.0.1", "[::]",
     "[::ffff:10.0.0.1]",
     "[::1", "127.0.0.1/", "xbox.test", "sub.box.test", "local host", "2130706433", "0x7f.1", "box.test,localhost"],
)  # fmt: skip
def test_it_is_not_called_by_other_names(asked: Asked, good: int, host: str) -> None:
    """Such is what a page sends whose own name was made to lead here."""
    sim = Sim()
    status, text = asked(sim.exchange, f"Host: {host}\r\n")
    assert status == 421
    assert host not in text
    assert "allowed" in text
    assert sim.exchange.links == []


@both
@pytest.mark.parametrize("headers", ["Host: localhost\r\nHost: evil.test\r\n", "Host: a\r\nhost: localhost\r\n"])
def test_it_is_called_by_one_name(asked: Asked, good: int, headers: str) -> None:
    assert asked(Sim().exchange, headers)[0] == 400


def test_a_handshake_that_names_no_host_is_refused() -> None:
    assert handshake(Sim().exchange, "")[0] == 400


@both
@pytest.mark.parametrize(
    "origin",
    ["http://evil.test", "null", "https://localhost", "http://localhost:3000", "http://localhost:8765.evil.test",
     "http://localhost:8765/", "file://", "", "chrome-extension://abc", "http://localhost:8765, http://evil.test"],
)  # fmt: skip
@pytest.mark.parametrize("hosts", [None, ("box.test",)])
def test_a_web_page_is_refused(asked: Asked, good: int, origin: str, hosts: Iterable[str] | None) -> None:
    sim = Sim()
    status, text = asked(sim.exchange, f"Host: localhost:8765\r\noRiGiN: {origin}\r\n", hosts)
    assert status == 403
    assert "no web page" in text
    assert sim.exchange.links == []
    assert sim.exchange._tokens._issued == {}


@both
def test_one_good_origin_does_not_excuse_another(asked: Asked, good: int) -> None:
    headers = "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.test\r\n"
    assert asked(Sim().exchange, headers)[0] == (400 if asked is handshake else 403)


@both
def test_without_a_port_it_is_called_by_any_name(asked: Asked, good: int) -> None:
    assert asked(Sim().exchange, "Host: api.kiwoom.com:10000\r\n", None)[0] == good


# Mistakes of its own: `object()` for the name of a condition cannot be said, and stands for one.


def contained() -> tuple[Sim, list[Exception]]:
    """An exchange as it is on a port, and the errors that it has reported."""
    sim = Sim()
    sim.exchange = Exchange(conditions={"0": object()}, rate=20)  # type: ignore[dict-item]
    failures: list[Exception] = []
    sim.exchange.run_on(sim.clock, on_failure=failures.append)
    return sim, failures


def test_an_error_in_answering_a_client_costs_that_client() -> None:
    sim, failures = contained()
    honest, other = logged_in(sim, "honest"), logged_in(sim, "other")
    honest.register(ITEM)
    other.say({"trnm": "CNSRLST"})
    sim.advance(1)
    assert other.is_over
    assert other.close is None
    assert len(failures) == 1
    assert rows(honest)
    assert [link.key for link in sim.exchange.links] == ["honest"]


def test_an_error_in_reading_from_a_client_costs_that_client(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, failures = contained()
    honest, other = logged_in(sim, "honest"), logged_in(sim, "other")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ServerRequest, "elements", fail)
        other.say(reg([ITEM], ["0E"]))
    assert other.is_over
    assert [type(error) for error in failures] == [ZeroDivisionError]
    assert honest.register(ITEM)["return_code"] == 0


def test_an_error_in_making_rows_costs_those_who_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, failures = contained()
    honest, other = logged_in(sim, "honest"), logged_in(sim, "other")
    honest.register(ITEM)
    happen = AfterHoursBook.happen

    def fail(book: AfterHoursBook, moment: Any) -> Iterable[Push]:
        found = [*happen(book, moment)]
        if any(push.row.item == "000660" for push in found):
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(AfterHoursBook, "happen", fail)
    other.register(ITEM, "000660")
    sim.advance(5)
    assert other.is_over
    assert [type(error.__cause__) for error in failures] == [ZeroDivisionError]
    honest.take()
    sim.advance(5)
    assert len(rows(honest)) > 50


def test_an_error_in_beginning_to_make_rows_costs_those_who_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, failures = contained()
    honest, other = logged_in(sim, "honest"), logged_in(sim, "other")
    honest.register(ITEM)
    make = AfterHoursBook.__init__

    def fail(book: AfterHoursBook, item: str, *arguments: Any) -> None:
        if item == "000660":
            raise ZeroDivisionError
        make(book, item, *arguments)

    monkeypatch.setattr(AfterHoursBook, "__init__", fail)
    other.register("000660")
    sim.advance(1)
    assert other.is_over
    assert len(failures) == 1
    honest.take()
    sim.advance(5)
    assert len(rows(honest)) > 50


def test_an_exchange_without_a_port_raises_its_own_errors() -> None:
    sim = Sim(conditions={"0": object()})
    client = logged_in(sim)
    client.say({"trnm": "CNSRLST"})
    with pytest.raises((TypeError, NotImplementedError)):  # as the encoder says it
        sim.advance(1)


# All of it together.

ITEMS = (
    ITEM, "", " ", "A005930", "005930_NX", "005930_AL", "005930_AL_NX", "005930_NX_AL", "0004V0", "57JBHH", "069500",
    "999999", "001", "101", "M04020000", "MGD",
    "M04020000_NX", "NVDA", "NVDA:ND", "NVDA:NY", "KO:NY", "ZZZZ:NA", "./-:ND",
    "A./-:ND", "삼성전자", "\x00", "0", "1", ":", "stock", "00000A", "000000", "00680K",
)  # fmt: skip
TYPES = (*SESSIONS, "", "0b", "ZZ", "stock", "sector", "02", "S2", "REAL", "\x00")


@pytest.mark.parametrize("us", [False, True])
@pytest.mark.parametrize("start", ["08:29", "08:59", "15:19", "15:59", "22:29"])
def test_any_pair_can_be_registered_through_the_day(us: bool, start: str) -> None:
    sim = Sim(rate=0.5, start=datetime.time.fromisoformat(start))
    client = sim.raw(us=us)
    client.login()
    assert ask(sim, client, reg(ITEMS, TYPES))["return_code"] == 0
    for _ in range(6):
        sim.advance(30)
        client.take()
    assert client.close is None


def raw_attack(draw: random.Random) -> bytes:
    """Bytes that no client sends."""
    payload = draw.choice((b"", b"{", b"[" * 5_000, b"\xff", draw.randbytes(40), PING, b'{"trnm":"PONG"}'))
    return draw.choice(
        (
            draw.randbytes(60),
            frame(draw.randrange(16), payload[:125], mask=MASK, fin=draw.random() < 0.5),
            frame(TEXT, payload),
            frame(TEXT, payload, mask=MASK, rsv=draw.randrange(8)),
            frame(TEXT, b"x" * 66_000, mask=MASK),
            frame(9, b"", mask=MASK) * draw.choice((3, 1_500)),
            frame(0, b"", mask=MASK, fin=False) * 50,
            wire(PING)[:-3],
            b"POST /oauth2/token HTTP/1.1\r\n\r\n",
        )
    )


def message_attack(draw: random.Random) -> dict[str, Any]:
    """A message that is nearly one."""
    message: dict[str, Any] = {
        "trnm": draw.choice(TRNMS),
        "grp_no": f"{draw.randrange(5)}",
        "refresh": draw.choice("01"),
        "seq": draw.choice(("0", "1", " 2 ", "7", "9" * 200)),
        "search_type": draw.choice("01"),
        "cont_yn": "Y",
        "next_key": draw.choice(("", "000020", "9" * 5_000)),
        "token": draw.choice(("x", "y", "", "t" * 2_000)),
        "data": [
            {"item": draw.sample(ITEMS, draw.randrange(1, 9)), "type": draw.sample(TYPES, draw.randrange(1, 9))}
            for _ in range(draw.randrange(3))
        ],
    }
    if draw.random() < 0.3:
        message[draw.choice(NAMES)] = draw.choice(SHAPES)
    return message


@given(st.integers(min_value=0))
@settings(max_examples=15)
def test_beside_a_swarm_of_hostile_clients_an_honest_one_goes_on(seed: int) -> None:
    draw = random.Random(seed)
    sim = Sim(rate=20, connection_limit=8)
    honest = logged_in(sim, "honest")
    honest.register(ITEM)
    heard_at, rows_at = sim.clock.now, sim.clock.now
    hostile: list[tuple[RawClient, ClientLink]] = []
    for _ in range(40):
        for _, link in hostile:
            match draw.randrange(5):
                case 0:
                    link.receive_data(raw_attack(draw))
                case 1:
                    link.receive_data(wire({"trnm": "LOGIN", "token": draw.choice("xyz")}))
                case 2 | 3:
                    link.receive_data(wire(message_attack(draw)))
                case 4 if draw.random() < 0.1:
                    link.receive_eof()
        hostile = [pair for pair in hostile if pair[1].state is not ConnectionState.CLOSED]
        if draw.random() < 0.7:
            client = RawClient(sim)
            client.echoes = draw.random() < 0.5
            hostile.append((client, sim.add(client)))
        if draw.random() < 0.2:
            post(sim.exchange, draw.randbytes(30) if draw.random() < 0.5 else KEYS)
        sim.advance(draw.choice((0.01, 0.1, 0.3, 1.0)))
        for time, text in honest.heard:
            if text == PING:
                heard_at = time
            elif b'"REAL"' in text:
                rows_at = time
        honest.heard.clear()
        assert sim.clock.now - heard_at < 11
        assert sim.clock.now - rows_at < 2
        assert len(sim.exchange.links) <= 8
    assert honest.close is None

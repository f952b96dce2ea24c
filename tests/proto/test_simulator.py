"""The simulated exchange answers as the live server was measured to, and misbehaves on demand. All on virtual time."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proto.sim import UNPACED, RawClient, Sim

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    AfterHoursQuote,
    ClientConfig,
    ClientConnection,
    Closed,
    Event,
    LocalProtocolError,
    Request,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import ClosedByPeer, DeadlineExceeded, HandshakeError, LoginRefused, RemoteProtocolError
from kiwoom_proto.events import LoggedIn, LoginRefusal, RequestAccepted, RequestRefusal
from kiwoom_proto.simulator import Exchange, Market
from kiwoom_proto.simulator.market.sessions import SESSIONS, Moment
from kiwoom_proto.testing import ConnectionPair, ManualClock

ITEM = "005930"
BYE = (1000, "Bye")


def items(count: int, first: int = 0, suffix: str = "") -> list[str]:
    return [f"{number:06}{suffix}" for number in range(first, first + count)]


def codes(messages: Iterable[dict[str, Any]]) -> list[tuple[str, Any]]:
    """What replies and notices say: (trnm, code)."""
    return [(message["trnm"], message.get("return_code", message.get("code"))) for message in messages]


def quotes(client: ClientConnection) -> list[AfterHoursQuote]:
    return [event for event in client.events() if isinstance(event, AfterHoursQuote)]


def rows(client: RawClient) -> list[dict[str, Any]]:
    """The rows heard, and forget them."""
    return [row for message in client.take() if message["trnm"] == "REAL" for row in message["data"]]


def items_heard(client: RawClient, sim: Sim, seconds: float = 2.0) -> set[str]:
    """The items that rows come for in the time that follows."""
    client.take()
    sim.advance(seconds)
    return {row["item"] for row in rows(client)}


# Determinism.


def recording(seed: int) -> bytes:
    """Every byte that an exchange sends after the opening handshake, while two clients come and look."""
    sim = Sim(seed=seed, rate=20)
    first, second = sim.client("one"), sim.client("two")
    sim.sent.clear()
    sim.advance(0.5)
    first.subscribe("0E", *items(3))
    sim.advance(1.5)
    second.subscribe("0E", *items(3, first=2))
    sim.advance(15)
    sim.exchange.kick()
    sim.settle()
    return bytes(sim.sent)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert recording(1) == recording(1)


def test_another_seed_gives_other_rows() -> None:
    assert recording(1) != recording(2)


def test_one_stock_is_one_book_however_many_clients_look_at_it() -> None:
    sim = Sim(rate=20)
    first, second = sim.ready("one"), sim.ready("two")
    first.subscribe("0E", ITEM)
    second.subscribe("0E", ITEM)
    sim.advance(5)
    seen = [[event.fids() for event in quotes(client)] for client in (first, second)]
    assert len(seen[0]) > 50
    assert seen[0] == seen[1]


def test_rows_that_are_equal_are_not_unequal() -> None:
    sim = Sim(rate=20)
    clients = [sim.ready("one"), sim.ready("two")]
    for client in clients:
        client.subscribe("0E", ITEM)
    sim.advance(2)
    for first, second in zip(*map(quotes, clients), strict=True):
        assert first == second
        assert (first != second) is False


def test_the_order_of_registration_does_not_change_what_happens_to_a_stock() -> None:
    def history(*order: str) -> dict[str, list[dict[str, str]]]:
        sim = Sim(rate=20)
        client = sim.ready()
        client.subscribe("0E", *order)
        sim.advance(5)
        found: dict[str, list[dict[str, str]]] = {}
        for quote in quotes(client):
            found.setdefault(quote.item, []).append(quote.fids())
        return found

    assert history("005930", "000660") == history("000660", "005930")


# The market.


def assert_totals_move_by_their_changes(seen: list[AfterHoursQuote]) -> None:
    for before, after in pairwise(seen):
        assert before.ask_quantity is not None
        assert before.bid_quantity is not None
        assert after.ask_quantity_change is not None
        assert after.bid_quantity_change is not None
        assert after.ask_quantity == before.ask_quantity + after.ask_quantity_change
        assert after.bid_quantity == before.bid_quantity + after.bid_quantity_change
        assert after.ask_quantity >= 0
        assert after.bid_quantity >= 0


@pytest.mark.parametrize(
    "start", [datetime.time(16, 0), datetime.time(15, 59, 50), datetime.time(8, 39, 50), datetime.time(17, 59, 50)]
)
def test_totals_always_move_by_their_stated_change_over_the_end_of_a_session_too(start: datetime.time) -> None:
    sim = Sim(rate=20, start=start)
    client = sim.ready()
    client.subscribe("0E", *items(3))
    sim.advance(20)
    seen = quotes(client)
    assert len(seen) > 500
    for item in items(3):
        assert_totals_move_by_their_changes([quote for quote in seen if quote.item == item])


def test_what_rests_at_the_end_of_a_session_is_cleared_away() -> None:
    sim = Sim(rate=20, start=datetime.time(15, 59, 50))
    client = sim.ready()
    client.subscribe("0E", ITEM)
    sim.advance(20)
    seen = quotes(client)
    (first_after,) = [after for before, after in pairwise(seen) if before.time != after.time == datetime.time(16, 0, 0)]
    assert (first_after.ask_quantity, first_after.bid_quantity) == (0, 0)
    before = seen[seen.index(first_after) - 1]
    assert first_after.ask_quantity_change == -(before.ask_quantity or 0) != 0
    assert first_after.bid_quantity_change == -(before.bid_quantity or 0) != 0


SESSION_TIMES = [
    ("08:30:00", 0, "08:30:00"),
    ("08:39:59", 1, "15:40:00"),  # the day's trading is skipped
    ("12:00:00", 0, "15:40:00"),
    ("15:59:59", 1, "16:00:00"),
    ("16:00:00", 0, "16:00:00"),
    ("17:59:59", 1, "08:30:00"),  # the next morning
    ("18:00:00", 0, "08:30:00"),
    ("23:59:59", 0, "08:30:00"),
    ("00:00:00", 0, "08:30:00"),
    ("16:00:00", 150 * 60, "16:00:00"),  # 150 minutes of trading later: the same time the next day
]


def moment_at(market: Market, seconds: float, wanted: Iterable[tuple[str, str]] = (("0E", ITEM),)) -> Moment:
    """The market's time of day after so many seconds of wanting something."""
    pairs = tuple(wanted)
    market.rows(0.0, seconds, pairs)
    market.rows(seconds, seconds + 0.001, pairs)
    return market.moment(seconds + 0.001)


def as_text(time: datetime.time) -> str:
    return f"{time:%H%M%S}"


@pytest.mark.parametrize("start, seconds, expected", SESSION_TIMES)
def test_the_market_skips_the_hours_without_after_hours_trading(start: str, seconds: float, expected: str) -> None:
    market = Market(start=datetime.time.fromisoformat(start), rate=0.1)
    assert moment_at(market, seconds).text == as_text(datetime.time.fromisoformat(expected))


@settings(max_examples=50)
@given(st.times(), st.floats(0, 1e5), st.sampled_from(sorted(SESSIONS)))
def test_the_time_of_day_is_always_inside_a_session(start: datetime.time, seconds: float, type: str) -> None:
    others = {"0J": "001", "0U": "001", "0I": "MGD", "FE": "NVDA:ND", "FT": "NVDA:ND"}
    item = "" if type in ("0s", "1h", "00", "04", "F4", "F5") else others.get(type, ITEM)
    second = moment_at(Market(start=start, rate=0.001), seconds, [(type, item)]).second
    if type not in ("02", "S2"):  # they have rows of live searches alone
        assert any(begin <= second < end for begin, end in SESSIONS[type])


@settings(max_examples=50)
@given(st.times(), st.lists(st.floats(0, 1e5), min_size=2, max_size=10))
def test_the_market_never_goes_back(start: datetime.time, moments: list[float]) -> None:
    market = Market(start=start, rate=0.001)
    stamps, before = [], 0.0
    for moment in sorted(moments):
        market.rows(before, moment, [("0E", ITEM), ("0D", ITEM)])
        stamps.append(market.moment(moment).stamp)
        before = moment
    assert stamps == sorted(stamps)


def test_rows_carry_the_time_of_day_of_the_market() -> None:
    sim = Sim(rate=20, start=datetime.time(15, 59, 58))
    client = sim.ready()
    client.subscribe("0E", ITEM)
    sim.advance(4)
    times = [quote.time for quote in quotes(client) if quote.time is not None]
    assert times == sorted(times)
    assert {datetime.time(15, 59, 59), datetime.time(16, 0, 0), datetime.time(16, 0, 1)} <= set(times)


def test_the_rate_is_kept_on_average() -> None:
    sim = Sim(rate=5)
    client = sim.ready()
    client.subscribe("0E", *items(20))
    sim.advance(20)
    assert 0.9 < len(quotes(client)) / (20 * 20 * 5) < 1.1


@pytest.mark.parametrize("rate", [0, -1])
def test_a_market_in_which_nothing_ever_happens_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        Exchange(rate=rate)


# LOGIN.


def test_a_login_is_answered_after_20_ms() -> None:
    sim = Sim()
    client = sim.client()
    sim.advance(0.019)
    assert LoggedIn not in [type(event) for event in client.events()]
    sim.advance(0.001)
    (logged_in,) = [event for event in client.events() if isinstance(event, LoggedIn)]
    assert logged_in.members == {"sor_yn": "Y"}


def test_mock_trading_says_the_same_at_login_though_it_has_no_order_routing() -> None:
    """Its reply was measured, and is the same."""
    sim = Sim(mock=True)
    client = sim.client(endpoint=MOCK)
    sim.advance(0.02)
    assert LoggedIn({"sor_yn": "Y"}) in client.events()


@pytest.mark.parametrize("trnm", ["REG", "REMOVE", "PONG", "CNSRLST", "anything"])
def test_whatever_comes_before_the_login_is_answered_100013_and_dropped(trnm: str) -> None:
    sim = Sim()
    client = sim.raw()
    client.say({"trnm": trnm, "grp_no": "1", "data": [{"item": [ITEM], "type": ["0E"]}]})
    assert codes(client.take()) == [(trnm, 100013)]
    client.login()
    assert items_heard(client, sim) == set()


def test_what_comes_between_login_and_its_reply_is_answered_100013_first() -> None:
    sim = Sim()
    client = sim.raw()
    client.say({"trnm": "LOGIN", "token": "key"})
    client.say({"trnm": "REG", "grp_no": "1", "data": [{"item": [ITEM], "type": ["0E"]}]})
    sim.advance(1)
    assert codes(client.take()) == [("REG", 100013), ("LOGIN", 0)]


def test_a_request_right_after_the_login_reply_is_fine() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register(ITEM)["return_code"] == 0


def test_production_says_why_it_closes_after_a_bad_token() -> None:
    sim = Sim(tokens={"good": "key"})
    client = sim.raw()
    client.say({"trnm": "LOGIN", "token": "bad"})
    sim.advance(0.02)
    reply, notice = client.take()
    assert (reply["trnm"], reply["return_code"]) == ("LOGIN", 805004)
    assert reply["return_msg"] == (
        "토큰 인증에 실패했습니다. 접속을 종료합니다 [CODE=8005, MESSAGE=Token이 유효하지 않습니다]"
    )
    assert (notice["trnm"], notice["code"]) == ("SYSTEM", "R10004")
    assert set(notice) == {"trnm", "code", "message"}
    assert client.close == BYE


def test_mock_trading_closes_after_a_bad_token_without_saying_why() -> None:
    sim = Sim(tokens={"good": "key"}, mock=True)
    client = sim.raw()
    client.say({"trnm": "LOGIN", "token": "bad"})
    sim.advance(0.02)
    assert codes(client.take()) == [("LOGIN", 805004)]
    assert client.close == BYE


@pytest.mark.parametrize("token", [{}, {"token": ""}, {"token": None}], ids=["none", "empty", "null"])
def test_a_login_without_a_token_is_answered_805002(token: dict[str, str | None]) -> None:
    sim = Sim()
    client = sim.raw()
    client.say({"trnm": "LOGIN", **token})
    sim.advance(0.02)
    assert codes(client.take())[0] == ("LOGIN", 805002)
    assert client.close == BYE


@pytest.mark.parametrize("token", ["Bearer key", 5, ["key"]], ids=str)
def test_a_token_with_bearer_in_front_or_that_is_no_text_is_refused(token: object) -> None:
    sim = Sim()
    client = sim.raw()
    client.say({"trnm": "LOGIN", "token": token})
    sim.advance(0.02)
    assert codes(client.take())[0] == ("LOGIN", 805004)


@pytest.mark.parametrize("mock", [False, True])
def test_a_client_reports_the_refusal_with_its_reason(mock: bool) -> None:
    sim = Sim(tokens={}, mock=mock)
    client = sim.client()
    sim.advance(0.1)
    *_, rejected, closed = [event for event in client.events() if not isinstance(event, SystemNotice)]
    assert isinstance(rejected, LoginRefusal)
    assert (rejected.code, rejected.reason) == ("805004", "8005")
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, LoginRefused)
    assert closed.code == 1000


def test_a_client_that_never_logs_in_is_told_r10004_and_closed() -> None:
    sim = Sim()
    client = sim.raw()
    sim.advance(9.9)
    assert client.take() == []
    sim.advance(0.2)
    assert codes(client.take()) == [("SYSTEM", "R10004")]
    assert client.close == BYE
    assert sim.exchange.links == []


def test_a_login_that_comes_in_the_last_moment_is_in_time() -> None:
    sim = Sim()
    client = sim.raw()
    sim.advance(9.99)
    client.say({"trnm": "LOGIN", "token": "key"})
    sim.advance(1)
    assert codes(client.take()) == [("LOGIN", 0)]
    assert client.close is None


def test_a_client_that_has_logged_in_is_left_alone_when_the_grace_time_ends() -> None:
    sim = Sim()
    client = sim.ready()
    sim.advance(60)
    assert client.state is ConnectionState.READY
    assert client.events() == []


# One app key, one session.


def test_a_second_login_with_the_same_key_kicks_the_older_session() -> None:
    sim = Sim(tokens={"old token": "key", "new token": "key", "other": "another key"})
    old, other = sim.ready("old token"), sim.ready("other")
    new = sim.ready("new token")
    notice, closed = old.events()
    assert notice == SystemNotice("R10001", "동일한 App key로 접속이 되었습니다. 기존 세션은 종료가 됩니다")
    assert isinstance(closed, Closed)
    assert closed.system is notice
    assert (closed.code, closed.reason) == BYE
    assert isinstance(closed.error, ClosedByPeer)
    assert (new.state, other.state) == (ConnectionState.READY, ConnectionState.READY)
    assert new.events() == other.events() == []


def test_a_login_that_is_refused_kicks_nobody() -> None:
    sim = Sim(tokens={"token": "key"})
    client = sim.ready("token")
    sim.client("wrong")
    sim.advance(1)
    assert client.state is ConnectionState.READY


def test_without_a_list_of_tokens_each_token_is_a_key_of_its_own() -> None:
    sim = Sim()
    clients = [sim.ready("one"), sim.ready("two")]
    assert [client.state for client in clients] == [ConnectionState.READY] * 2
    sim.ready("one")
    assert [client.state for client in clients] == [ConnectionState.CLOSED, ConnectionState.READY]


def test_a_restart_closes_every_connection_without_saying_why() -> None:
    sim = Sim()
    clients = [sim.ready("one"), sim.ready("two")]
    sim.exchange.close()
    sim.settle()
    for client in clients:
        (closed,) = client.events()
        assert isinstance(closed, Closed)
        assert (closed.code, closed.reason, closed.system) == (*BYE, None)
    assert sim.exchange.links == []


# Heartbeat.


def test_pings_come_every_10_s_and_a_client_that_echoes_stays() -> None:
    sim = Sim()
    client = sim.raw()
    begin = sim.clock.now
    client.login()
    sim.advance(301)
    assert {text for _, text in client.heard} == {b'{"trnm":"PING"}'}
    assert [time - begin for time, _ in client.heard] == pytest.approx([10.0 * count for count in range(1, 31)])
    assert client.close is None


def test_a_client_connection_keeps_the_heartbeat_for_a_day() -> None:
    sim = Sim()
    client = sim.ready()
    sim.advance(86_400)
    assert client.state is ConnectionState.READY
    assert client.events() == []


def test_five_pings_missed_in_a_row_are_r10002_and_the_end() -> None:
    sim = Sim()
    client = sim.raw()
    client.echoes = False
    begin = sim.clock.now
    client.login()
    sim.advance(120)
    pings = [text for _, text in client.heard if text == b'{"trnm":"PING"}']
    assert len(pings) == 5
    assert codes(client.take()) == [("SYSTEM", "R10002")]
    assert client.close == BYE
    assert client.closed_at == pytest.approx(begin + 60)


def test_four_pings_missed_are_forgiven_by_one_echo() -> None:
    sim = Sim()
    client = sim.raw()
    client.echoes = False
    client.login()
    for _ in range(5):
        sim.advance(45)
        client.say(b'{"trnm":"PING"}')
    assert client.close is None


ECHOES = [
    b'{"trnm":"PING"}',
    b'{"trnm": "PING"}',
    b'{"trnm":"PING","x":1}',
    b' {"trnm":"PING"}',
    b'{"trnm":"P\\u0049NG"}',
]


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("echo", ECHOES)
def test_any_ping_is_an_echo_unless_the_same_bytes_are_asked_for(echo: bytes, exact: bool) -> None:
    sim = Sim()
    sim.exchange.faults.exact_echo = exact
    client = sim.raw()
    client.echoes = False
    client.login()
    for _ in range(20):
        sim.advance(10)
        if client.close is None:
            client.say(echo)
    if exact and echo != ECHOES[0]:
        assert codes(client.take()) == [("SYSTEM", "R10002")]
        assert client.close == BYE
    else:
        assert client.close is None


def test_a_pong_is_an_unknown_service() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    client.say({"trnm": "PONG"})
    assert codes(client.take()) == [("PONG", 105108)]
    assert client.close is None


# REG and REMOVE.


def test_an_acknowledgement_comes_after_10_ms_and_names_nothing() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    client.say({"trnm": "REG", "grp_no": "7", "refresh": "1", "data": [{"item": [ITEM], "type": ["0E"]}]})
    sim.advance(0.009)
    assert client.take() == []
    sim.advance(0.001)
    assert client.take() == [{"trnm": "REG", "return_code": 0, "return_msg": ""}]


def test_nonsense_items_and_types_are_accepted() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register("no such item", type="??")["return_code"] == 0


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({"data": "0E"}, 105111),
        ({"data": [{"item": ITEM, "type": ["0E"]}]}, 105111),
        ({"data": [{"item": [ITEM], "type": "0E"}]}, 105111),
        ({"data": [{"item": [1], "type": ["0E"]}]}, 105111),
        ({"data": [[ITEM]]}, 105111),
        ({"data": None}, 105111),
        ({"grp_no": ""}, 100002),
        ({"grp_no": None}, 100002),
        ({"grp_no": 1}, 100002),
    ],
    ids=str,
)
@pytest.mark.parametrize("trnm", ["REG", "REMOVE"])
def test_a_malformed_request_is_refused(trnm: str, wrong: dict[str, Any], code: int) -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    client.say({"trnm": trnm, "grp_no": "1", "refresh": "1", "data": [{"item": [ITEM], "type": ["0E"]}], **wrong})
    sim.advance(0.01)
    assert codes(client.take()) == [(trnm, code)]
    assert items_heard(client, sim) == set()


def test_rows_can_come_before_the_acknowledgement() -> None:
    sim = Sim(rate=50)
    client = sim.ready()
    sim.exchange.faults.ack_delay = 1.0
    client.subscribe("0E", ITEM)
    sim.advance(2)
    kinds = [type(event) for event in client.events()]
    assert kinds.index(AfterHoursQuote) < kinds.index(RequestAccepted)


def test_rows_come_only_for_what_is_registered_and_only_of_types_that_have_a_session() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register("000001")
    client.register("000002", type="0B")
    client.register("", type="00")
    assert items_heard(client, sim) == {"000001"}


def test_three_venues_are_three_items_with_rows_of_their_own() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register("005930", "005930_NX", "005930_AL")
    assert items_heard(client, sim) == {"005930", "005930_NX", "005930_AL"}


def test_items_and_types_of_an_element_are_a_cross_product() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    first, second, third = items(3)
    elements = [{"item": [first, second], "type": ["0B", "0E"]}, {"item": [third], "type": ["0E"]}]
    client.say({"trnm": "REG", "grp_no": "1", "data": elements})
    assert items_heard(client, sim) == {first, second, third}


def test_remove_ends_the_rows_of_what_it_names_in_its_group_and_of_nothing_else() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register("000001", "000002", group="1")
    client.register("000003", group="2")
    client.register("000001", "000003", group="1", trnm="REMOVE")
    assert items_heard(client, sim) == {"000002", "000003"}


def test_an_item_of_two_groups_comes_once_until_both_let_go_of_it() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register(ITEM, group="1")
    client.register(ITEM, group="2")
    sim.advance(2)
    times = [row["values"] for row in rows(client)]
    assert all(before != after for before, after in pairwise(times))
    client.register(ITEM, group="1", trnm="REMOVE")
    assert items_heard(client, sim) == {ITEM}
    client.register(ITEM, group="2", trnm="REMOVE")
    assert items_heard(client, sim) == set()


def test_removing_what_was_never_registered_is_accepted() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register("nothing", trnm="REMOVE")["return_code"] == 0


def test_refresh_1_adds_and_registering_again_changes_nothing() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register("000001")
    client.register("000002", refresh="1")
    client.register("000002", refresh="1")
    assert items_heard(client, sim) == {"000001", "000002"}


def test_refresh_0_drops_what_its_group_had_before() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register("000001", group="1")
    client.register("000002", group="2")
    client.register("000003", group="1", refresh="0")
    assert items_heard(client, sim) == {"000002", "000003"}


def test_registrations_die_with_the_connection() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register(ITEM)
    sim.exchange.drop()
    sim.settle()
    again = sim.raw()
    again.login()
    assert items_heard(again, sim) == set()


# Rate and quota.


def test_the_sixth_request_within_a_second_is_refused_105110() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    answers = [client.register(f"{number}")["return_code"] for number in range(7)]
    assert answers == [0, 0, 0, 0, 0, 105110, 105110]
    sim.advance(1)
    assert client.register("later")["return_code"] == 0


def test_remove_counts_for_the_rate_too() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    answers = [client.register("x", trnm=trnm)["return_code"] for trnm in ["REG", "REMOVE"] * 3]
    assert answers == [0, 0, 0, 0, 0, 105110]


def test_a_request_refused_for_the_rate_registers_nothing() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    for item in items(6):
        client.register(item)
    assert items_heard(client, sim) == set(items(5))


def test_each_connection_has_a_rate_of_its_own() -> None:
    sim = Sim()
    clients = [sim.raw(), sim.raw()]
    for token, client in enumerate(clients):
        client.login(str(token))
    assert {client.register("x")["return_code"] for client in clients * 5} == {0}


def test_the_default_pace_of_a_client_is_never_refused() -> None:
    sim = Sim()
    client = sim.ready(config=ClientConfig())
    for number in range(30):
        client.subscribe("0E", f"{number:06}")
        client.unsubscribe("0E", f"{number:06}")
    sim.advance(60)
    answers = [event for event in client.events() if isinstance(event, RequestAccepted | RequestRefusal)]
    assert [type(answer) for answer in answers] == [RequestAccepted] * 60


def test_200_items_in_a_group_are_the_most() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register(*items(200))["return_code"] == 0
    assert client.register("one more")["return_code"] == 105118
    assert client.register(*items(200))["return_code"] == 0, "those it has are not counted again"


def test_200_items_on_a_connection_are_the_most_over_all_groups() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register(*items(150), group="1")["return_code"] == 0
    assert client.register(*items(51, first=150), group="2")["return_code"] == 105115
    assert client.register(*items(50, first=150), group="2")["return_code"] == 0


def test_a_request_over_the_quota_is_refused_whole() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register(ITEM)
    assert client.register(*items(200))["return_code"] == 105118
    assert client.register(*items(200), refresh="0", group="2")["return_code"] == 105115
    assert items_heard(client, sim) == {ITEM}


def test_a_refused_refresh_0_keeps_what_was_there() -> None:
    sim = Sim(rate=20)
    client = sim.raw()
    client.login()
    client.register(ITEM)
    assert client.register(*items(201), refresh="0")["return_code"] == 105118
    assert items_heard(client, sim) == {ITEM}


def test_refresh_0_makes_room_in_the_quota() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    client.register(*items(200))
    assert client.register(*items(200, first=200), refresh="0")["return_code"] == 0


def test_remove_makes_room_in_the_quota() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    client.register(*items(200))
    client.register("000000", trnm="REMOVE")
    assert client.register("another")["return_code"] == 0


def test_types_are_free_and_the_empty_item_counts_nothing() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register(*items(200), type="0E")["return_code"] == 0
    assert client.register(*items(200), type="0B")["return_code"] == 0
    assert client.register("", type="00")["return_code"] == 0
    assert client.register("", type="04", group="2")["return_code"] == 0


def test_three_venues_count_three() -> None:
    sim = Sim()
    client = sim.raw()
    client.login()
    assert client.register(*items(66), *items(66, suffix="_NX"), *items(66, suffix="_AL"))["return_code"] == 0
    assert client.register("a", "a_NX", "a_AL")["return_code"] == 105118
    assert client.register("a", "a_NX")["return_code"] == 0


def test_a_client_reports_a_refused_request_and_goes_on() -> None:
    sim = Sim(rate=20)
    client = sim.ready()
    request = client.subscribe("0E", *items(201))
    sim.advance(0.1)
    (rejected,) = [event for event in client.events() if not isinstance(event, AfterHoursQuote)]
    assert isinstance(rejected, RequestRefusal)
    assert (rejected.request, rejected.code) == (request, "105118")
    client.unsubscribe("0E", *items(1))
    client.subscribe("0E", ITEM)
    sim.advance(1)
    assert [type(event) for event in client.events()].count(RequestAccepted) == 2


# The shape of what is sent.


def test_several_rows_come_in_one_message_in_the_measured_order_of_keys() -> None:
    sim = Sim(rate=30)
    client = sim.raw()
    client.login()
    client.register("000001", "000002")
    client.heard.clear()
    sim.advance(2)
    sizes = set()
    for _, text in client.heard:
        message = json.loads(text)
        assert list(message) == ["data", "trnm"]
        assert text == json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(), "compact"
        sizes.add(len(message["data"]))
        for row in message["data"]:
            assert list(row) == ["values", "type", "name", "item"]
            assert list(row["values"]) == ["21", "131", "132", "135", "136"]
            assert all(isinstance(value, str) for value in row["values"].values())
            assert (row["type"], row["name"]) == ("0E", "주식시간외호가")
    assert max(sizes) > 3


def test_rows_come_in_batches_every_100_ms() -> None:
    sim = Sim(rate=100)
    client = sim.raw()
    client.login()
    client.register(ITEM)
    client.heard.clear()
    sim.advance(2)
    times = [time for time, _ in client.heard]
    assert len(times) >= 19
    assert [after - before for before, after in pairwise(times)] == pytest.approx([0.1] * (len(times) - 1))


def test_changes_carry_a_sign_and_totals_do_not() -> None:
    sim = Sim(rate=50)
    client = sim.raw()
    client.login()
    client.register(ITEM)
    sim.advance(5)
    values = [row["values"] for row in rows(client)]
    assert all(value[total].isdigit() for value in values for total in ("131", "135"))
    changes = {value[change][0] for value in values for change in ("132", "136")}
    assert changes == {"+", "-", "0"}


# Faults, each against a real client.


def subscribed(sim: Sim, config: ClientConfig = UNPACED) -> ClientConnection:
    """A client with one item, that has got rows."""
    client = sim.ready(config=config)
    client.subscribe("0E", ITEM)
    sim.advance(1)
    assert quotes(client)
    return client


def end_of(client: ClientConnection) -> Closed:
    """The last event, which must be the end."""
    events = client.events()
    assert [event for event in events if isinstance(event, Closed)] == events[-1:]
    assert isinstance(events[-1], Closed)
    assert client.state is ConnectionState.CLOSED
    return events[-1]


def test_drop_is_reported_as_a_cut_connection() -> None:
    sim = Sim(rate=20)
    client = subscribed(sim)
    sim.exchange.drop()
    sim.settle()
    closed = end_of(client)
    assert isinstance(closed.error, ClosedByPeer)
    assert (closed.code, closed.system) == (1006, None)
    assert sim.exchange.links == []


def test_a_fault_can_be_aimed_at_one_of_several() -> None:
    sim = Sim()
    clients = [sim.ready("one"), sim.ready("two"), sim.ready("three")]
    sim.exchange.drop(sim.exchange.links[1])
    sim.settle()
    sim.exchange.kick(sim.exchange.links[1])
    sim.settle()
    states = [client.state for client in clients]
    assert states == [ConnectionState.READY, ConnectionState.CLOSED, ConnectionState.CLOSED]
    closed = [end_of(client).system for client in clients[1:]]
    assert [None if notice is None else notice.code for notice in closed] == [None, "R10001"]


def test_stall_is_noticed_by_the_idle_deadline() -> None:
    sim = Sim(rate=20)
    client = subscribed(sim)
    begin = sim.clock.now
    sim.exchange.stall()
    took = sim.until(lambda: client.state is ConnectionState.CLOSED)
    assert begin + took == pytest.approx(begin + 30, abs=0.2)
    closed = end_of(client)
    assert isinstance(closed.error, DeadlineExceeded)
    assert closed.error.phase == "idle"


def test_stall_before_the_login_reply_is_noticed_by_the_login_deadline() -> None:
    sim = Sim()
    client = sim.client()
    sim.exchange.stall()
    assert sim.until(lambda: client.state is ConnectionState.CLOSED) == pytest.approx(10)
    error = end_of(client).error
    assert isinstance(error, DeadlineExceeded)
    assert error.phase == "login"


def test_resume_sends_what_should_have_been_sent() -> None:
    sim = Sim(rate=20)
    client = subscribed(sim)
    sim.exchange.stall()
    sim.advance(28)
    assert client.events() == []
    sim.exchange.resume()
    sim.advance(0.1)
    seen = quotes(client)
    assert len(seen) > 300
    assert_totals_move_by_their_changes(seen)
    sim.advance(100)
    assert client.state is ConnectionState.READY


def test_a_request_made_during_a_stall_is_answered_after_it() -> None:
    """Whatever was cut off in the middle: what comes is read, in order, when the stall ends."""
    sim = Sim()
    client = sim.ready(config=ClientConfig(ack_timeout=60))
    sim.exchange.stall()
    request = client.subscribe("0E", ITEM)
    sim.advance(10)
    assert client.events() == []
    sim.exchange.resume()
    sim.advance(0.1)
    assert RequestAccepted(request) in client.events()


def test_a_stall_lasts_as_long_as_it_is_left() -> None:
    """Hours of silence on a connection that stays up were measured: only the client's own deadline can end that."""
    sim = Sim()
    client = sim.ready(config=ClientConfig(idle_timeout=7200))
    sim.exchange.stall()
    took = sim.until(lambda: client.state is ConnectionState.CLOSED, 10_000)
    assert took == pytest.approx(7200, abs=1)
    error = end_of(client).error
    assert isinstance(error, DeadlineExceeded)
    assert error.phase == "idle"


def test_a_client_that_only_asks_and_never_reads_is_cut_off() -> None:
    sim = Sim()
    client = sim.ready()
    (peer,) = sim.exchange.links
    ping = b"\x89\xfd" + bytes(4) + bytes(125)
    for _ in range(100):
        peer.receive_data(ping * 4000)
        if peer.state is ConnectionState.CLOSED:
            break
    assert peer.state is ConnectionState.CLOSED
    assert client.state is not ConnectionState.CLOSED


@pytest.mark.parametrize("payload", [b"{]", b"", b"[]", b"null", b'{"trnm":"REAL"}', b'{"data":[1],"trnm":"REAL"}'])
def test_garbage_is_reported_with_its_exact_bytes_and_the_stream_goes_on(payload: bytes) -> None:
    sim = Sim(rate=20)
    client = subscribed(sim)
    sim.exchange.garbage(payload)
    sim.advance(1)
    events = client.events()
    (unknown,) = [event for event in events if isinstance(event, UnknownMessage)]
    assert unknown.payload in payload
    assert unknown.payload == (b"1" if b"[1]" in payload else payload)
    assert AfterHoursQuote in [type(event) for event in events[events.index(unknown) :]]
    assert client.state is ConnectionState.READY


def test_garbage_is_one_bad_text_unless_told_otherwise() -> None:
    sim = Sim()
    client = sim.ready()
    sim.exchange.garbage()
    sim.settle()
    (unknown,) = client.events()
    assert isinstance(unknown, UnknownMessage)
    assert unknown.payload == b"{]"


def test_garbage_that_is_not_utf_8_ends_the_connection() -> None:
    sim = Sim()
    client = sim.ready()
    sim.exchange.garbage(b"\xff\xfe")
    sim.advance(10)
    closed = end_of(client)
    assert isinstance(closed.error, RemoteProtocolError)
    assert closed.sent_code == 1007


def test_a_stream_split_at_every_byte_is_understood_just_the_same() -> None:
    def report(split: bool) -> tuple[list[Event], str]:
        sim = Sim(rate=20)
        sim.exchange.faults.split = split
        client = sim.client()
        sim.advance(0.02)
        client.subscribe("0E", *items(3))
        sim.advance(25)
        sim.exchange.garbage()
        sim.exchange.kick()
        sim.settle()
        *events, closed = client.events()
        return [event for event in events if not isinstance(event, RequestAccepted)], str(closed)

    assert len(report(True)[0]) > 100
    assert report(True) == report(False)


def test_split_can_be_switched_off_in_the_middle_of_a_message() -> None:
    sim = Sim()
    client = sim.ready()
    (peer,) = sim.exchange.links
    sim.exchange.faults.split = True
    sim.exchange.garbage(b"first")
    client.receive_data(peer.data_to_send())
    sim.exchange.faults.split = False
    sim.exchange.garbage(b"second")
    sim.settle()
    assert [event.payload for event in client.events() if isinstance(event, UnknownMessage)] == [b"first", b"second"]


def test_a_late_acknowledgement_that_is_still_in_time_is_taken() -> None:
    sim = Sim()
    client = sim.ready()
    sim.exchange.faults.ack_delay = 4.9
    request = client.subscribe("0E", ITEM)
    took = sim.until(lambda: request.confirmed)
    assert took == pytest.approx(4.91)
    assert client.state is ConnectionState.READY


def test_an_acknowledgement_that_comes_too_late_has_ended_the_connection() -> None:
    sim = Sim()
    client = sim.ready()
    sim.exchange.faults.ack_delay = 5.5
    request = client.subscribe("0E", ITEM)
    assert sim.until(lambda: client.state is ConnectionState.CLOSED) == pytest.approx(5)
    error = end_of(client).error
    assert isinstance(error, DeadlineExceeded)
    assert (error.phase, error.seconds) == ("ack", 5)
    sim.advance(10)
    assert request.confirmed == 0


def test_a_lost_acknowledgement_ends_the_connection_and_only_so_many_are_lost() -> None:
    sim = Sim()
    sim.exchange.faults.lose_acks = 1
    client = sim.ready()
    client.subscribe("0E", ITEM)
    assert sim.until(lambda: client.state is ConnectionState.CLOSED) == pytest.approx(5)
    error = end_of(client).error
    assert isinstance(error, DeadlineExceeded)
    assert error.phase == "ack"
    again = sim.ready()
    again.subscribe("0E", ITEM)
    sim.advance(0.1)
    assert RequestAccepted in [type(event) for event in again.events()]


def test_kick_is_reported_as_a_takeover() -> None:
    sim = Sim(rate=20)
    client = subscribed(sim)
    sim.exchange.kick()
    sim.settle()
    *_, notice, closed = client.events()
    assert isinstance(notice, SystemNotice)
    assert notice.code == "R10001"
    assert isinstance(closed, Closed)
    assert closed.system is notice
    assert "same app key" in str(closed)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
def test_an_http_status_instead_of_101_is_reported(status: int) -> None:
    sim = Sim()
    sim.exchange.faults.http_status = status
    client = sim.client()
    sim.advance(1)
    error = end_of(client).error
    assert isinstance(error, HandshakeError)
    assert error.status == status
    assert f"HTTP {status}" in str(error)
    sim.exchange.faults.http_status = 101
    assert sim.ready().state is ConnectionState.READY


def test_a_client_that_does_not_read_gets_no_more_rows_and_the_loss_is_counted() -> None:
    sim = Sim(rate=200)
    reader, slow = sim.ready("reader"), sim.raw()
    slow.login("slow")
    slow.register(*items(200))
    reader.subscribe("0E", ITEM)
    peer = sim.exchange.links[1]
    read, peer.data_to_send = peer.data_to_send, lambda: b""  # type: ignore[method-assign]  # a network that is full
    sim.advance(1.5)
    assert peer.rows_dropped > 10_000
    assert sim.exchange.links[0].rows_dropped == 0
    assert quotes(reader)
    peer.data_to_send = read  # type: ignore[method-assign]
    sim.settle()
    assert 4 << 20 < sum(len(text) for _, text in slow.heard) < 8 << 20
    dropped = peer.rows_dropped
    slow.take()
    sim.advance(0.2)
    assert peer.rows_dropped == dropped
    assert len(rows(slow)) > 5_000


# The exchange and its clock.


def test_rows_sent_are_counted_over_all_connections() -> None:
    sim = Sim(rate=20)
    clients = [sim.ready("one"), sim.ready("two")]
    for client in clients:
        client.subscribe("0E", ITEM)
    sim.advance(3)
    assert sim.exchange.rows_sent == sum(len(quotes(client)) for client in clients) > 0


def test_an_exchange_needs_a_clock_and_only_one() -> None:
    exchange = Exchange()
    with pytest.raises(LocalProtocolError, match="clock"):
        exchange.connect()
    exchange.run_on(ManualClock())
    with pytest.raises(LocalProtocolError, match="clock"):
        exchange.run_on(ManualClock())
    exchange.connect()


def test_a_fault_tells_the_driver_that_there_is_something_to_do() -> None:
    told: list[str] = []
    exchange = Exchange()
    exchange.run_on(ManualClock(), lambda: told.append("something"))
    faults: Iterator[Any] = iter([exchange.drop, exchange.resume, exchange.garbage, exchange.kick])
    for count, fault in enumerate(faults, 1):
        fault()
        assert len(told) == count


def test_a_pair_joins_a_client_and_the_exchange() -> None:
    """What the documentation of `ConnectionPair` promises users for tests of their own."""
    clock = ManualClock()
    exchange = Exchange(clock=clock, rate=20)
    client = ClientConnection(PRODUCTION, clock=clock)
    pair = ConnectionPair(client, exchange.connect(), clock)
    client.connect("key")
    pair.advance(0.1)
    request: Request = client.subscribe(AfterHoursQuote, ITEM)
    pair.exchange()
    pair.advance(5)
    assert request.confirmed == 1
    assert quotes(client)
    client.close()
    pair.exchange()
    assert client.state is ConnectionState.CLOSED
    assert exchange.links == []


def test_a_client_that_closes_is_let_go_of() -> None:
    sim = Sim()
    client = sim.ready()
    client.close()
    sim.settle()
    closed = end_of(client)
    assert (closed.code, closed.error) == (1000, None)
    assert sim.exchange.links == []

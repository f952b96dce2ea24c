"""Condition search at the simulated exchange, domestic and US, as measured."""

from __future__ import annotations

import datetime
import json
import pathlib
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.proto.sim import RawClient, Sim

from kiwoom_proto import ClientConnection, Endpoint
from kiwoom_proto.simulator.market.sessions import SESSIONS

DATA = pathlib.Path(__file__).parent.parent / "data"
NOON = datetime.time(12, 0)
NIGHT = datetime.time(23, 0)


def searcher(sim: Sim, market: str = "", token: str = "key", *, listed: bool = True) -> RawClient:
    """A client that is logged in, and has asked for the list."""
    client = sim.raw(us=market == "G")
    client.login(token)
    if listed:
        ask(sim, client, {"trnm": f"{market}CNSRLST"})
    return client


def ask(sim: Sim, client: RawClient, message: dict[str, Any]) -> dict[str, Any] | None:
    """Send a request; return its answer, if one comes. What was pushed meanwhile is forgotten."""
    sim.advance(0.25)  # no more than five requests a second
    client.take()
    client.say(message)
    sim.advance(0.01)
    answers = [answer for answer in client.take() if answer["trnm"] != "REAL"]
    return answers[0] if answers else None


def search(sim: Sim, client: RawClient, seq: str, how: str, market: str = "", **members: str) -> dict[str, Any]:
    message = {"trnm": f"{market}CNSRREQ", "seq": seq, "search_type": how, **members}
    answer = ask(sim, client, message if market else {**message, "stex_tp": "K"})
    assert answer is not None
    return answer


def pushed(client: RawClient) -> list[dict[str, Any]]:
    return [row for message in client.take() if message["trnm"] == "REAL" for row in message["data"]]


def example(kind: str, number: int = 0) -> dict[str, Any]:
    """An official example of a message received."""
    found = []
    for line in (DATA / "messages.jsonl").read_text(encoding="utf-8").splitlines():
        line_ = json.loads(line)
        if line_["kind"] == kind and line_["dir"] == "recv":
            found.append(json.loads(line_["msg"]))
    return dict(found[number])


# The list.


@pytest.mark.parametrize("market", ["", "G"])
def test_the_list_has_numbers_and_names(market: str) -> None:
    sim = Sim(conditions={"0": "급등", "7": "눌림목"})
    client = searcher(sim, market, listed=False)
    answer = ask(sim, client, {"trnm": f"{market}CNSRLST"})
    assert answer == {
        "trnm": f"{market}CNSRLST",
        "return_code": 0,
        "return_msg": "",
        "data": [["0", "급등"], ["7", "눌림목"]],
    }


def test_there_are_three_conditions_unless_told_otherwise() -> None:
    sim = Sim()
    answer = ask(sim, searcher(sim), {"trnm": "CNSRLST"})
    assert answer is not None
    assert [seq for seq, _ in answer["data"]] == ["0", "1", "2"]


@pytest.mark.parametrize(("market", "other"), [("", "G"), ("G", "")])
@pytest.mark.parametrize("how", ["0", "1"])
def test_a_search_before_the_list_gets_silence(market: str, other: str, how: str) -> None:
    sim = Sim(rate=20)
    searcher(sim, other)  # on a connection of its own, and for the other market
    client = searcher(sim, market, listed=False)
    message = {"trnm": f"{market}CNSRREQ", "seq": "0", "search_type": how}
    assert ask(sim, client, message) is None
    sim.advance(5)
    assert client.take() == []
    ask(sim, client, {"trnm": f"{market}CNSRLST"})
    assert ask(sim, client, message) is not None


def test_the_list_is_to_be_asked_for_on_every_connection() -> None:
    sim = Sim()
    searcher(sim, token="one")
    again = searcher(sim, token="one", listed=False)
    assert ask(sim, again, {"trnm": "CNSRREQ", "seq": "0", "search_type": "0"}) is None


# A search that asks once.


def pages(sim: Sim, client: RawClient, seq: str, market: str = "") -> Iterator[dict[str, Any]]:
    page = search(sim, client, seq, "0", market, cont_yn="N", next_key="")
    yield page
    while page["cont_yn"] == "Y":
        page = search(sim, client, seq, "0", market, cont_yn="Y", next_key=page["next_key"])
        yield page


def test_rows_of_a_search_have_the_keys_and_formats_of_the_official_example() -> None:
    sim = Sim(start=NOON)
    told = list(pages(sim, searcher(sim), "2"))
    expected = example("CNSRREQ/reply")
    rows = [row for page in told for row in page["data"]]
    assert {tuple(row) for row in rows} == {tuple(expected["data"][0])}
    assert [list(page) for page in told] == [list(expected)] * len(told)
    assert told[0]["seq"] == "2  "
    for row in rows:
        assert re.fullmatch(r"A\d{6}", row["9001"])
        assert all(re.fullmatch(r"[-0-9]\d{8}", row[fid]) for fid in row.keys() - {"9001", "302", "25"})
        price, change = int(row["10"]), int(row["11"])
        rate = (Decimal(change) * 100 / (price - change)).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        assert int(row["12"]) == int(rate * 1000), "thousandths of a percent"
        assert int(row["18"]) <= price <= int(row["17"])
        assert (row["25"] in "12", row["25"] in "45") == (change > 0, change < 0)
    assert any(row["11"].startswith("-") for row in rows)


def test_a_search_comes_in_pages() -> None:
    sim = Sim()
    client = searcher(sim)
    told = list(pages(sim, client, "0"))
    assert len(told) > 1
    assert [page["cont_yn"] for page in told] == ["Y"] * (len(told) - 1) + ["N"]
    assert told[-1]["next_key"] == ""
    codes = [row["9001"] for page in told for row in page["data"]]
    assert len(codes) == len(set(codes)) > 20
    assert list(pages(sim, client, "0")) == told


def test_rows_of_a_us_search_have_the_keys_and_formats_of_the_official_example() -> None:
    sim = Sim(start=NIGHT)
    told = list(pages(sim, searcher(sim, "G"), "0", "G"))
    expected = example("GCNSRREQ/reply")
    assert told[0]["seq"] == "0"
    assert [list(page) for page in told] == [list(expected)] * len(told)
    rows = [row for page in told for row in page["data"]]
    assert {tuple(row) for row in rows} == {tuple(expected["data"][0])}
    lengths = {fid: len(text) for fid, text in expected["data"][0].items() if fid in ("10", "11", "12", "13", "16")}
    for row in rows:
        assert {fid: len(row[fid]) for fid in lengths} == lengths
        assert re.fullmatch(r"\d{6}\.\d{4}", row["10"])
        assert re.fullmatch(r"[-0]\d{5}\.\d{4}", row["11"])
        assert re.fullmatch(r"[-0]\d{4}\.\d{2}", row["12"])
        assert row["stex_tp"] in ("ND", "NY", "NA")


def test_what_a_search_says_of_a_stock_agrees_with_its_rows() -> None:
    sim = Sim(start=NOON, rate=20)
    client = searcher(sim)
    row = next(row for page in pages(sim, client, "0") for row in page["data"])
    code = row["9001"][1:]
    client.register(code, type="0B")
    sim.advance(1)
    first = pushed(client)[0]["values"]
    assert abs(int(first["10"])) - int(first["11"]) == int(row["10"]) - int(row["11"])
    assert int(first["13"]) == int(row["13"]) + abs(int(first["15"]))


def test_a_condition_nobody_saved_has_null_for_rows() -> None:
    sim = Sim()
    client = searcher(sim)
    for how in ("0", "1"):
        answer = search(sim, client, "99", how)
        assert (answer["return_code"], answer["data"]) == (0, None)


@pytest.mark.parametrize("wrong", [{"seq": None}, {"seq": ""}, {"seq": 4}, {"search_type": "2"}, {"search_type": 0}])
def test_a_malformed_search_is_refused(wrong: dict[str, Any]) -> None:
    sim = Sim()
    client = searcher(sim)
    answer = ask(sim, client, {"trnm": "CNSRREQ", "seq": "0", "search_type": "0", **wrong})
    assert answer is not None
    assert answer["return_code"] == 100002


# A live search.


@pytest.mark.parametrize(("market", "type", "start"), [("", "02", NOON), ("G", "S2", NIGHT)])
def test_a_live_search_answers_with_codes_and_goes_on_with_hits(market: str, type: str, start: datetime.time) -> None:
    sim = Sim(start=start, rate=20)
    client = searcher(sim, market)
    answer = search(sim, client, "1", "1", market)
    assert list(answer) == list(example(f"{market}CNSRREQ/reply", 1))
    assert answer["seq"] == "1"
    assert {tuple(row) for row in answer["data"]} == {tuple(example(f"{market}CNSRREQ/reply", 1)["data"][0])}
    members = {row["jmcode"].removeprefix("A" if not market else "") for row in answer["data"]}
    sim.advance(30)
    client.say({"trnm": f"{market}CNSRCLR", "seq": "1"})
    sim.advance(0.01)
    hits = pushed(client)
    assert len(hits) > 100
    expected = example(f"REAL/{type}")["data"][0]
    for hit in hits:
        told = hit["values"]
        assert (tuple(hit), tuple(told), hit["name"]) == (tuple(expected), tuple(expected["values"]), "조건검색")
        assert (hit["type"], told["841"], told["907"]) == (type, "1", "2")
        assert hit["item"] == told["9001"]
        assert (told["843"] == "D") == (told["9001"] in members), "what leaves was in it, what enters was not"
        members ^= {told["9001"]}
        second = int(told["20"][:2]) * 3600 + int(told["20"][2:4]) * 60 + int(told["20"][4:])
        assert any(begin <= second < end for begin, end in SESSIONS[type])
    rows = [row for page in pages(sim, client, "1", market) for row in page["data"]]
    assert {row["9001"].removeprefix("A" if not market else "") for row in rows} == members


def test_hits_come_for_the_conditions_that_are_live_and_for_no_others() -> None:
    sim = Sim(start=NOON, rate=20)
    client, idle = searcher(sim, token="one"), searcher(sim, token="two")
    search(sim, client, "0", "1")
    search(sim, client, "2", "1")
    sim.advance(10)
    assert {hit["values"]["841"] for hit in pushed(client)} == {"0", "2"}
    assert pushed(idle) == []


def test_asking_again_while_it_is_live_is_refused_900003_without_seq() -> None:
    sim = Sim(start=NOON, rate=20)
    client = searcher(sim)
    search(sim, client, "1", "1")
    answer = search(sim, client, "1", "1")
    assert answer == {
        "trnm": "CNSRREQ",
        "return_code": 900003,
        "return_msg": "이미 등록된 조건검색 일련번호입니다.(seq=1)",
    }
    assert search(sim, client, "0", "1")["return_code"] == 0, "another one may be asked for"
    sim.advance(5)
    assert pushed(client)


def test_clearing_ends_the_hits_and_makes_room_for_asking_again() -> None:
    sim = Sim(start=NOON, rate=20)
    client = searcher(sim)
    search(sim, client, "1", "1")
    answer = ask(sim, client, {"trnm": "CNSRCLR", "seq": "1"})
    assert answer is not None
    assert list(answer.items()) == list(example("CNSRCLR/reply").items())
    sim.advance(5)
    assert pushed(client) == []
    assert search(sim, client, "1", "1")["return_code"] == 0


def test_clearing_on_the_us_path_is_answered_under_the_name_of_a_search() -> None:
    sim = Sim(start=NIGHT, rate=20)
    client = searcher(sim, "G")
    search(sim, client, "1", "1", "G")
    answer = ask(sim, client, {"trnm": "GCNSRCLR", "seq": "1"})
    assert answer is not None
    assert list(answer.items()) == list({**example("GCNSRREQ/reply", 2), "seq": "1"}.items())
    sim.advance(5)
    assert pushed(client) == []


def test_a_live_search_outlives_its_connection_for_a_while() -> None:
    sim = Sim(start=NOON, rate=20)
    search(sim, searcher(sim), "1", "1")
    sim.exchange.drop()
    sim.settle()
    again = searcher(sim)
    assert search(sim, again, "1", "1")["return_code"] == 900003
    sim.advance(5)
    assert pushed(again) == [], "it is remembered, not pushed"
    sim.advance(30)
    assert search(sim, again, "1", "1")["return_code"] == 0


def test_what_outlives_a_connection_can_be_cleared() -> None:
    sim = Sim(start=NOON, rate=20)
    search(sim, searcher(sim), "1", "1")
    again = searcher(sim)  # which kicks the first
    assert search(sim, again, "1", "1")["return_code"] == 900003
    ask(sim, again, {"trnm": "CNSRCLR", "seq": "1"})
    assert search(sim, again, "1", "1")["return_code"] == 0


def test_another_account_may_ask_for_the_same() -> None:
    sim = Sim(start=NOON, rate=20)
    clients = [searcher(sim, token=token) for token in ("one", "two")]
    assert [search(sim, client, "1", "1")["return_code"] for client in clients] == [0, 0]
    for client in clients:
        client.take()
    sim.advance(10)
    first, second = (pushed(client) for client in clients)
    assert first == second != []


def test_a_live_search_alone_makes_the_market_skip_to_trading_hours() -> None:
    sim = Sim(rate=20)
    client = searcher(sim)
    search(sim, client, "1", "1")
    sim.advance(5)
    assert all("090000" <= hit["values"]["20"] < "152000" for hit in pushed(client))


# Requests like any others.


def test_condition_requests_count_for_the_rate() -> None:
    sim = Sim()
    client = searcher(sim, listed=False)
    for _ in range(6):
        client.say({"trnm": "CNSRLST"})
    sim.advance(0.01)
    assert [answer["return_code"] for answer in client.take()] == [0] * 5 + [105110]


def test_answers_can_be_lost_and_late() -> None:
    sim = Sim()
    client = searcher(sim, listed=False)
    sim.exchange.faults.lose_acks = 1
    assert ask(sim, client, {"trnm": "CNSRLST"}) is None
    sim.exchange.faults.ack_delay = 1.0
    assert ask(sim, client, {"trnm": "CNSRLST"}) is None
    sim.advance(1)
    assert [answer["trnm"] for answer in client.take()] == ["CNSRLST"]


def test_condition_requests_can_go_unanswered_while_everything_else_goes_on() -> None:
    """As was measured, for every condition, on a connection that answered them before."""
    sim = Sim(start=NOON, rate=20)
    client = searcher(sim)
    sim.exchange.faults.mute_conditions = True
    for what in ("LST", "REQ", "CLR"):
        assert ask(sim, client, {"trnm": f"CNSR{what}", "seq": "1", "search_type": "1"}) is None
    sim.advance(60)
    assert client.register("005930", type="0B")["return_code"] == 0
    sim.advance(1)
    assert {row["type"] for row in pushed(client)} == {"0B"}, "and nothing was carried out"
    sim.exchange.faults.mute_conditions = False
    assert search(sim, client, "1", "1")["return_code"] == 0


def test_condition_requests_can_be_answered_late_while_everything_else_is_not() -> None:
    sim = Sim(start=NOON)
    client = searcher(sim)
    sim.exchange.faults.condition_delay = 30.0
    assert ask(sim, client, {"trnm": "CNSRREQ", "seq": "1", "search_type": "0"}) is None
    assert client.register("005930", type="0B")["return_code"] == 0
    client.take()
    sim.advance(29.9)
    assert [answer["trnm"] for answer in client.take() if answer["trnm"] != "REAL"] == []
    sim.advance(0.1)
    assert [answer["seq"] for answer in client.take() if answer["trnm"] != "REAL"] == ["1  "]


def test_a_search_on_the_other_markets_path_is_no_service_there() -> None:
    sim = Sim()
    for market, other in (("", "G"), ("G", "")):
        answer = ask(sim, searcher(sim, market), {"trnm": f"{other}CNSRLST"})
        assert answer is not None
        assert answer["return_code"] == 105108


def test_an_answer_that_is_due_after_the_end_is_not_sent() -> None:
    sim = Sim(start=NOON)
    client = searcher(sim)
    sim.advance(1)
    client.say({"trnm": "CNSRREQ", "seq": "1", "search_type": "1"})
    sim.exchange.kick()
    sim.advance(1)
    assert "CNSRREQ" not in [answer["trnm"] for answer in client.take()]
    assert search(sim, searcher(sim), "1", "1")["return_code"] == 0


def test_the_same_seed_gives_the_same_answers() -> None:
    def told(seed: int) -> list[dict[str, Any]]:
        sim = Sim(seed=seed, start=NOON)
        client = searcher(sim)
        live = search(sim, client, "1", "1")
        sim.advance(30)
        return [*pages(sim, client, "0"), live, *client.take()]

    assert told(1) == told(1) != told(2)


def test_a_client_connection_searches() -> None:
    """Both ends together, whatever the client makes of it."""
    sim = Sim(start=NOON, rate=20)
    client: ClientConnection = sim.ready()
    request = client.search_condition("1", realtime=True)
    sim.advance(10)
    assert request.confirmed
    assert "02" in {getattr(event, "type_code", None) for event in client.events()}
    again: ClientConnection = sim.ready(endpoint=Endpoint("ws://localhost/api/us/websocket"), token="us")
    request = again.search_condition("0")
    sim.advance(1)
    assert request.confirmed

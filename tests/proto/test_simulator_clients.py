"""The simulated exchange under other people's clients: what the live server puts up with, and what it does not.

Each fact is one of docs/protocol.md that some client met. All on virtual time.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from tests.proto.sim import RawClient, Sim
from tests.proto.wire import MASK, frame

from kiwoom_proto import Endpoint, LocalProtocolError
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import HandshakeError
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock

ITEM = "005930"
NOON = datetime.time(12, 0)
NIGHT = datetime.time(23, 0)
BYE = (1000, "Bye")
PING = b'{"trnm":"PING"}'


def items(count: int, first: int = 0, suffix: str = "") -> list[str]:
    return [f"{number:06}{suffix}" for number in range(first, first + count)]


def logged_in(sim: Sim, token: str = "key", *, us: bool = False) -> RawClient:
    client = sim.raw(us=us)
    client.login(token)
    return client


def pings(client: RawClient) -> list[float]:
    """When PINGs came."""
    return [time for time, text in client.heard if text == PING]


def rows(client: RawClient) -> list[dict[str, Any]]:
    """The rows heard; everything is forgotten."""
    return [row for message in client.take() if message["trnm"] == "REAL" for row in message["data"]]


def order_rows(sim: Sim, client: RawClient, item: str, seconds: float = 10.0) -> list[tuple[str, str]]:
    """Type and item of the rows that an order of the client's account brings."""
    sim.advance(0.1)
    client.take()
    sim.exchange.place_order("key", item, "buy", 10)
    sim.advance(seconds)
    return [(row["type"], row["item"]) for row in rows(client) if row["type"] in ("00", "04", "F4", "F5")]


# A client in the manner of the official one: it decodes every message, and encodes it anew with spaces.


class ForeignClient(RawClient):
    """It answers a PING with what its JSON library makes of it, and asks for its items in one REG at the login."""

    def __init__(self, sim: Sim) -> None:
        super().__init__(sim)
        self.echoes = False
        self.refused: list[dict[str, Any]] = []

    def receive_data(self, data: bytes) -> None:
        heard = len(self.heard)
        super().receive_data(data)
        for _, text in self.heard[heard:]:
            message = json.loads(text)
            if message["trnm"] == "PING":
                self._answer(message)
            elif message["trnm"] == "LOGIN":
                self._answer(
                    {
                        "trnm": "REG",
                        "grp_no": "1",
                        "refresh": "1",
                        "data": [{"item": [ITEM, "000660_AL"], "type": ["0B"]}, {"item": [], "type": ["00"]}],
                    }
                )
            elif message.get("return_code"):
                self.refused.append(message)

    def _answer(self, message: dict[str, Any]) -> None:
        self._websocket.send_text(json.dumps(message, ensure_ascii=False).encode())


def test_a_client_in_the_manner_of_the_official_one_stays_and_gets_its_rows() -> None:
    sim = Sim(rate=2, start=NOON)
    client = ForeignClient(sim)
    peer = sim.add(client)
    client.say(b'{"token": "key", "trnm": "LOGIN"}')
    sim.advance(300)
    sim.exchange.place_order("key", ITEM, "buy", 10)
    sim.advance(300)
    assert (client.close, client.refused) == (None, [])
    assert peer.state is ConnectionState.READY
    assert len(pings(client)) == pytest.approx(60, abs=1)
    seen = rows(client)
    assert {(row["type"], row["item"]) for row in seen} == {("0B", ITEM), ("0B", "000660_AL"), ("00", ITEM)}
    assert len(seen) > 500


# Silence.


def test_a_ping_comes_10_s_after_the_last_message() -> None:
    sim = Sim()
    client = logged_in(sim)
    sim.advance(7)
    last = sim.clock.now
    client.register(ITEM)
    sim.advance(20)
    assert pings(client) == pytest.approx([last + 10, last + 20])


@pytest.mark.parametrize(("opcode", "payload"), [(9, b""), (9, b"abc"), (10, b"")], ids=["ping", "ping abc", "pong"])
def test_a_client_that_pings_by_rfc_6455_more_often_is_never_sent_a_ping(opcode: int, payload: bytes) -> None:
    sim = Sim()
    client = logged_in(sim)
    peer = sim.exchange.links[0]
    for _ in range(120):
        sim.advance(5)
        peer.receive_data(frame(opcode, payload, mask=MASK))
    assert pings(client) == []
    assert peer.state is ConnectionState.READY
    last = sim.clock.now
    sim.advance(10)
    assert pings(client) == pytest.approx([last + 10])


def test_pings_go_on_while_rows_flow() -> None:
    sim = Sim(rate=20)
    client = logged_in(sim)
    client.register(ITEM)
    last = sim.clock.now - 0.01
    sim.advance(35)
    assert pings(client) == pytest.approx([last + 10, last + 20, last + 30])


def test_other_messages_put_a_ping_off_and_answer_none() -> None:
    sim = Sim()
    client = logged_in(sim)
    client.echoes = False
    while client.close is None:
        sim.advance(12)
        if client.close is None:
            client.say({"trnm": "REMOVE", "grp_no": "1", "data": []})
        assert sim.clock.now < 200
    assert client.take()[-1]["code"] == "R10002"


@pytest.mark.parametrize("mock", [False, True])
def test_the_grace_for_a_login_runs_from_the_last_message(mock: bool) -> None:
    sim = Sim(mock=mock)
    client = sim.raw()
    for _ in range(3):
        sim.advance(9)
        client.say({"trnm": "REG"})
    last = sim.clock.now
    sim.advance(9.9)
    assert client.close is None
    sim.advance(10)
    assert client.closed_at == pytest.approx(last + 10)
    *early, notice = client.take()
    assert [reply["return_code"] for reply in early] == [100013] * 3
    assert (notice["trnm"], notice["code"]) == ("SYSTEM", "R10004")
    assert client.close == BYE


def test_a_stall_is_not_the_clients_silence() -> None:
    sim = Sim()
    client = logged_in(sim)
    sim.exchange.stall()
    sim.advance(300)
    sim.exchange.resume()
    sim.settle()
    assert client.heard == []
    sim.advance(30)
    assert client.close is None
    assert len(pings(client)) == 3


# What is taken, and what is not.


@pytest.mark.parametrize(("size", "close"), [(65_536, None), (65_537, 1009)])
def test_no_message_may_have_more_than_65_536_bytes(size: int, close: int | None) -> None:
    sim = Sim()
    client = logged_in(sim)
    message = {"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": [ITEM], "type": ["0E"]}]}
    client.say(json.dumps(message).encode().ljust(size))
    sim.advance(0.01)
    if close is None:
        assert [reply["return_code"] for reply in client.take()] == [0]
        assert client.close is None
    else:
        assert client.close == (1009, "Max frame length of 65536 has been exceeded.")


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize("message", [{}, {"grp_no": "1"}, {"trnm": None}, {"trnm": ""}])
def test_a_message_without_a_trnm_is_told_so(message: dict[str, Any], ready: bool) -> None:
    sim = Sim()
    client = logged_in(sim) if ready else sim.raw()
    client.say(message)
    (_, text), *_ = client.heard
    expected = '{"trnm":"","return_code":100002,"return_msg":"필수 파라미터가 누락되어 있습니다(parameter=trnm)"}'
    assert text.decode() == expected
    assert client.close is None


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ({"trnm": "PONG"}, 105108, "정의되어 있지 않는 TRNM입니다"),
        ({"trnm": "REG", "data": []}, 100002, "(parameter=grp_no)"),
        (
            {"trnm": "REG", "grp_no": "1", "data": [{"item": ITEM, "type": ["0B"]}]},
            105111,
            "item and type must be lists",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_in_the_servers_words(message: dict[str, Any], code: int, text: str) -> None:
    sim = Sim()
    client = logged_in(sim)
    client.say(message)
    sim.advance(0.01)
    (reply,) = client.take()
    assert list(reply) == ["trnm", "return_code", "return_msg"]
    assert (reply["trnm"], reply["return_code"]) == (message["trnm"], code)
    assert text in reply["return_msg"]


def test_what_comes_too_early_and_too_fast_is_refused_in_the_servers_words() -> None:
    sim = Sim()
    client = sim.raw()
    client.say({"trnm": "REG"})
    (reply,) = client.take()
    assert reply["return_msg"] == (
        "로그인 인증이 들어오기 전에 다른 전문이 들어왔습니다. 해당 전문은 무시됩니다. (TRNM=%s)"
    )
    client.login()
    replies = [client.register(ITEM, trnm="REMOVE") for _ in range(6)]
    assert replies[-1]["return_msg"] == "해당 TRNM으로 허용된 요청 건수를 초과하였습니다 (TRNM=REMOVE)"


@pytest.mark.parametrize(
    "path", ["", "/", "/api", "/api/dostk/websocket/", "/api/dostk/websockets", "/API/us/websocket"]
)
def test_another_path_is_answered_404(path: str) -> None:
    sim = Sim()
    client = sim.client(endpoint=Endpoint(f"ws://localhost{path}"))
    sim.advance(1)
    error = getattr(client.events()[-1], "error", None)
    assert isinstance(error, HandshakeError)
    assert error.status == 404
    assert sim.exchange.links == []


@pytest.mark.parametrize("item", ["A005930", "5930", "233740AL", "005930_KR", "005930,000660", "999999", "삼성전자"])
def test_an_item_that_there_is_not_is_acknowledged_and_silent_for_ever(item: str) -> None:
    sim = Sim(rate=50)
    client = logged_in(sim)
    assert client.register(item, type="0B")["return_code"] == 0
    assert client.register(item, type="0E")["return_code"] == 0
    sim.advance(60)
    assert rows(client) == []


@pytest.mark.parametrize("us", [False, True])
def test_types_of_the_other_market_are_acknowledged_and_silent(us: bool) -> None:
    sim = Sim(rate=20, start=NOON)
    client = logged_in(sim, us=us)
    for type, item in (("0B", ITEM), ("0D", ITEM), ("FE", {"jmcode": "NVDA", "stex_tp": "ND"})):
        message = {"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": [item], "type": [type]}]}
        client.say(message)
        sim.advance(0.01)
        assert client.take()[-1]["return_code"] == 0
    sim.advance(20)
    assert {row["type"] for row in rows(client)} == ({"FE"} if us else {"0B", "0D"})


# The account's types.


@pytest.mark.parametrize("asked", [[""], [], [ITEM], ["000660"], ["A005930", "x"]], ids=str)
def test_orders_and_balances_come_whatever_item_was_registered(asked: list[str]) -> None:
    sim = Sim(rate=20, start=NOON)
    client = logged_in(sim)
    for type in ("00", "04"):
        assert client.register(*asked, type=type)["return_code"] == 0
    seen = order_rows(sim, client, "005930_NX")
    assert set(seen) == {("00", ITEM), ("04", ITEM)}


@pytest.mark.parametrize(
    "asked", [[""], [], [{"jmcode": "NVDA", "stex_tp": "ND"}], [{"jmcode": "KO", "stex_tp": "NY"}]], ids=str
)
def test_us_orders_come_whatever_item_was_registered(asked: list[object]) -> None:
    sim = Sim(rate=20, start=NIGHT)
    client = logged_in(sim, us=True)
    client.say({"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": asked, "type": ["F4", "F5"]}]})
    seen = order_rows(sim, client, "NVDA:ND")
    assert set(seen) == {("F4", "NVDA"), ("F5", "NVDA")}


def test_orders_come_once_however_often_they_were_registered_and_until_all_of_it_is_removed() -> None:
    sim = Sim(rate=20, start=NOON)
    client = logged_in(sim)
    client.register(ITEM, "000660", type="00")
    client.register("", type="00", group="2")
    assert order_rows(sim, client, ITEM).count(("00", ITEM)) == 2, "taken, and filled"
    client.register(ITEM, "000660", type="00", trnm="REMOVE")
    assert order_rows(sim, client, ITEM)
    client.register("", type="00", group="2", trnm="REMOVE")
    assert order_rows(sim, client, ITEM) == []


def test_other_types_without_items_register_nothing() -> None:
    sim = Sim(rate=20, start=NOON)
    client = logged_in(sim)
    for type in ("0B", "0s", "1h"):
        assert client.register(type=type)["return_code"] == 0
    assert sim.exchange.links[0].registered == {}


# Quotas, and mock trading.


@pytest.mark.parametrize(
    ("options", "limit"),
    [({}, 200), ({"mock": True}, 100), ({"mock": True, "item_limit": 150}, 150), ({"item_limit": 7}, 7)],
    ids=str,
)
def test_the_quota_is_the_endpoints_and_its_number_stands_in_the_refusal(options: dict[str, Any], limit: int) -> None:
    sim = Sim(**options)
    client = logged_in(sim)
    assert client.register(*items(limit))["return_code"] == 0
    assert client.register(ITEM) == {
        "trnm": "REG",
        "return_code": 105118,
        "return_msg": f"등록 종목이 그룹번호에 등록할 수 있는 허용 개수({limit})를 초과했습니다",
    }
    assert client.register(ITEM, group="2") == {
        "trnm": "REG",
        "return_code": 105115,
        "return_msg": f"등록 종목이 허용 개수({limit})를 초과했습니다",
    }


def test_a_hundred_items_a_group_with_refresh_0_get_one_yes_on_mock_trading() -> None:
    """As was measured: 42 of them, one yes and 41 refusals."""
    sim = Sim(mock=True)
    client = logged_in(sim)
    codes = []
    for group in range(42):
        sim.advance(0.4)
        codes.append(client.register(*items(100, 100 * group), group=f"{group}", refresh="0")["return_code"])
    assert codes == [0] + [105115] * 41


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_a_quota_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(LocalProtocolError, match="item_limit"):
        Exchange(item_limit=limit, clock=ManualClock())


def test_mock_trading_has_rows_of_krx_alone() -> None:
    sim = Sim(rate=20, mock=True)
    client = logged_in(sim)
    assert client.register(ITEM, f"{ITEM}_NX", f"{ITEM}_AL")["return_code"] == 0
    sim.advance(5)
    assert {row["item"] for row in rows(client)} == {ITEM}

"""Trades come in order and once, however often the connection is lost, and whatever REST does meanwhile."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.proto.hand_client import HandClient
from tests.proto.test_streams import entered, rows

from kiwoom_proto import ClientConfig, Record, Trade
from kiwoom_proto.errors import TransportError
from kiwoom_proto.events import Recovered, Snapshot
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.session.snapshot_needs import SnapshotNeeded
from kiwoom_proto.wire.messages import Row

ITEMS = "005930", "000660"
CONFIG = ClientConfig(request_interval=0, backoff_min=0.1, backoff_max=0.2, recover=True)
STEPS = st.one_of(
    st.tuples(st.just("trade"), st.sampled_from(ITEMS)),
    st.tuples(st.just("trade"), st.sampled_from(ITEMS)),
    st.tuples(st.just("burst"), st.sampled_from(ITEMS)),
    st.tuples(st.just("lose"), st.just("")),
    st.tuples(st.just("answer"), st.just("")),
    st.tuples(st.just("fail"), st.just("")),
    st.tuples(st.just("wait"), st.sampled_from(["0.1", "1", "4.9", "6"])),
)


def volume_of(row: Record) -> int:
    return int(row.fid("13") or "")


class Market:
    """A client, what was traded, and the calls that it waits for."""

    def __init__(self) -> None:
        self.client = client = HandClient(CONFIG)
        self.traded: dict[str, list[int]] = {item: [] for item in ITEMS}
        self.calls: list[SnapshotNeeded] = []
        self.called: list[Record] = []
        self.latest: dict[str, int] = {}
        self.own: list[Any] = []
        self.streamed: list[Record] = []
        client.run(client.subscribe(Trade, *ITEMS))
        self.stream = entered(client, client.stream(Trade, *ITEMS))
        client.on(Trade, self.called.append, *ITEMS)
        self.look()
        for item in ITEMS:
            self.trade(item)
        self.answer()

    def trade(self, item: str, times: int = 1) -> None:
        traded = self.traded[item]
        new = [Row({"13": str(10 * len(traded) + 10 * n), "15": "10"}, "0B", "", item) for n in range(1, times + 1)]
        traded += [int(row.values["13"]) for row in new]
        if self.client.server is not None and self.client.state is SessionState.READY:
            self.client.send(*new)

    def answer(self) -> None:
        self.calls += self.client._session.snapshots_needed()
        for need in self.calls:
            item = need.parameters["stk_cd"]
            body = {
                "cntr_infr": [{"acc_trde_qty": str(at), "cntr_trde_qty": "10"} for at in reversed(self.traded[item])],
                "return_code": 0,
            }
            self.client._session.receive_snapshot(need.id, need.request.decode(json.dumps(body).encode()))
            self.client._pump()
        self.calls.clear()

    def fail(self) -> None:
        for need in self.calls:
            self.client._session.snapshot_failed(need.id, TransportError("cut"))
            self.client._pump()
        self.calls.clear()

    def look(self) -> None:
        """See what has come, in the turn in which it came."""
        for item in ITEMS:
            newest = self.client.latest(Trade, item)
            if newest is not None:
                assert volume_of(newest) >= self.latest.get(item, 0), "the newest row goes back"
                self.latest[item] = volume_of(newest)

    def take(self, what: str, argument: str) -> None:
        match what:
            case "trade":
                self.trade(argument)
            case "burst":
                self.trade(argument, 3)
            case "lose":
                self.client.cut()
            case "answer":
                self.answer()
            case "fail":
                self.calls += self.client._session.snapshots_needed()
                self.fail()
            case "wait":
                self.client.advance(float(argument))
                self.calls += self.client._session.snapshots_needed()
        self.look()


@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_trades_come_in_order_and_none_is_lost_or_doubled(steps: list[tuple[str, str]]) -> None:
    market = Market()
    client = market.client
    for what, argument in steps:
        market.take(what, argument)
    client.advance(1)
    for _ in range(3):
        market.answer()
        client.advance(6)
        market.look()
    own, streamed = rows(client, client), rows(client, market.stream)
    late = [row for event in own if isinstance(event, Snapshot) for row in event.missed[: event.late]]
    flat: list[Record] = []
    for event in own:
        if isinstance(event, Record):
            flat.append(event)
        elif isinstance(event, Snapshot):
            flat += event.missed[event.late :]

    for item in ITEMS:
        for seen in (flat, streamed, market.called):
            volumes = [volume_of(row) for row in seen if row.item == item]
            assert volumes == sorted(volumes), "they go back"
            after = [volume_of(row) for row in late if row.item == item]
            given_up = [event for event in own if isinstance(event, Recovered) and event.not_at_all]
            everything = sorted(volumes + after)
            assert given_up or everything == market.traded[item], "each once"
            assert len(set(everything)) == len(everything)
            assert market.latest[item] == volumes[-1] == market.traded[item][-1]

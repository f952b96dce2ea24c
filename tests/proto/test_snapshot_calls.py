"""What a session needs after a gap, through the dispatcher of its app key: paced, in order, no call in vain."""

from __future__ import annotations

import datetime
import json
from collections import Counter

from tests.proto.pool_ground import Ground as PoolGround
from tests.proto.wire import real
from tests.rest.network import Answer, Network, Seen, http

from kiwoom_proto import PRODUCTION, ClientConfig, Session
from kiwoom_proto.client.snapshot_calls import SnapshotCalls
from kiwoom_proto.events import Recovered, Snapshot
from kiwoom_proto.rest import CATALOGUE
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import SimulatedNetwork

CONFIG = ClientConfig(recover=True, request_interval=0, backoff_min=0.001, backoff_max=0.002)
BOOK = {"sel_fpr_bid": "+70100", "return_code": 0}


class _Quiet(Exchange):
    def start_ticking(self) -> None: ...


def answered(seen: Seen) -> Answer:
    return Answer(http(json.dumps(BOOK).encode()), after=0.02)


class Ground:
    """A session and a dispatcher, with a network each, on one clock."""

    def __init__(self) -> None:
        self.rest = Network(answered)
        clock = self.rest.clock
        self.exchange = _Quiet(seed=1, clock=clock)
        self.session = Session(PRODUCTION, CONFIG, clock=clock, random=lambda: 0.5)
        self.feed = SimulatedNetwork(self.session, self.exchange, clock)
        self.calls = SnapshotCalls(self.session, self.rest.dispatcher, lambda: 7)
        self.others: list[Ticket[object]] = []
        self.session.connect("token")
        self.advance(1)

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.feed.advance(0)
            self.rest.advance(0.01)
            self.others += self.calls.take(self.rest.done)
            self.rest.done.clear()
            while self.calls.advance():
                self.rest.settle()

    def row(self, item: str) -> None:
        (link,) = self.exchange.links
        link.connection.send_text(real(("0D", item, {"41": "+1"})))

    def shots(self) -> list[Snapshot]:
        return [event for event in self.feed.events if isinstance(event, Snapshot)]


def test_many_items_are_asked_for_at_the_pace_of_the_server() -> None:
    ground = Ground()
    items = [f"{number:06}" for number in range(1, 31)]
    ground.session.subscribe("0D", *items)
    ground.advance(8)

    assert [shot.item for shot in ground.shots()] == items
    (recovered,) = [event for event in ground.feed.events if isinstance(event, Recovered)]
    assert recovered.complete == 30
    times = [seen.at for seen in ground.rest.seen]
    assert max(sum(time <= other < time + 0.999 for other in times) for time in times) <= 5
    assert times[-1] - times[0] < 6.5


def test_what_rows_have_brought_meanwhile_costs_no_call() -> None:
    ground = Ground()
    items = [f"{number:06}" for number in range(1, 31)]
    ground.session.subscribe("0D", *items)
    ground.advance(0.5)
    for item in items[5:]:
        ground.row(item)
    ground.advance(8)

    assert len(ground.rest.seen) <= 10, "some were under way"
    assert next(event for event in ground.feed.events if isinstance(event, Recovered)).complete == 30
    assert not ground.rest.dispatcher.is_busy


def test_a_loss_takes_back_what_waits_and_asks_anew() -> None:
    ground = Ground()
    items = [f"{number:06}" for number in range(1, 11)]
    ground.session.subscribe("0D", *items)
    ground.advance(0.05)
    ground.feed.reset()
    ground.advance(8)

    assert sorted(shot.item for shot in ground.shots() if shot.epoch == 2) == items
    asked = Counter(seen.body["stk_cd"] for seen in ground.rest.seen)
    assert max(asked.values()) <= 2


def test_a_closed_dispatcher_is_said() -> None:
    ground = Ground()
    ground.rest.dispatcher.close()
    ground.session.subscribe("0D", "005930")
    ground.advance(0.5)

    (recovered,) = [event for event in ground.feed.events if isinstance(event, Recovered)]
    assert [str(each) for each in recovered.results] == ["0D 005930: ka10004: the dispatcher is closed"]


def test_calls_of_others_pass_through() -> None:
    ground = Ground()
    ticket = ground.rest.dispatcher.submit(CATALOGUE["ka10004"](stk_cd="000660"))
    ground.advance(1)

    assert ground.others == [ticket]


def test_each_member_of_a_pool_asks_for_what_it_has() -> None:
    config = ClientConfig(recover=True, request_interval=0.25, backoff_min=1, backoff_max=4)
    ground = PoolGround(2, config, start=datetime.time(10, 0), rate=0.1).connect(1)
    ground.pool.subscribe("04")
    ground.pool.subscribe("0D", "005930", "000660")
    ground.advance(2)

    for member in ground.pool.members:
        for need in member.snapshots_needed():
            if need.api_id == "kt00018":
                body = b'{"acnt_evlt_remn_indv_tot":[],"return_code":0}'
                member.receive_snapshot(need.id, need.request.decode(body))
    ground.advance(1)

    shots = [event for event in ground.events if isinstance(event, Snapshot) and event.type == "04"]
    assert sorted(shot.token_index for shot in shots) == [0, 1]

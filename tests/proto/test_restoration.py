"""What a session asks for after a gap, and what becomes of the answers."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from tests.proto.rest_line import RestLine
from tests.proto.wire import real

from kiwoom_proto import (
    PRODUCTION,
    US_PRODUCTION,
    ClientConfig,
    Endpoint,
    KiwoomError,
    LocalProtocolError,
    Record,
    Session,
)
from kiwoom_proto.config import RecoveryPolicy
from kiwoom_proto.errors import CertificateRefused, TransportError
from kiwoom_proto.events import Event, Extent, Gap, Recovered, Snapshot
from kiwoom_proto.rest import CATALOGUE, Reply
from kiwoom_proto.rest.errors import InputRejected, MaintenancePage
from kiwoom_proto.session.order_state import OrderState
from kiwoom_proto.session.snapshot_needs import SnapshotNeeded
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

ORDERBOOK = {"bid_req_base_tm": "101500", "sel_fpr_bid": "+70100"}


class Quiet(Exchange):
    """An exchange that sends no rows of its own."""

    def start_ticking(self) -> None: ...


class Ground:
    """A session whose rows and replies are those of the test."""

    def __init__(self, policy: bool | RecoveryPolicy = True, *, endpoint: Endpoint = PRODUCTION) -> None:
        self.clock = ManualClock()
        self.exchange = Quiet(seed=1, clock=self.clock)
        config = ClientConfig(recover=policy, request_interval=0, backoff_min=0.001, backoff_max=0.002)
        self.session = Session(endpoint, config, clock=self.clock, random=lambda: 0.5)
        self.network = SimulatedNetwork(self.session, self.exchange, self.clock)
        self.session.connect("token")
        self.network.advance(1)
        self.network.events.clear()

    def subscribe(self, type: str, *items: str, **options: Any) -> None:
        self.session.subscribe(type, *items, **options)
        self.network.advance(0.1)

    def lose(self) -> None:
        self.network.reset()
        self.network.advance(1)

    def row(self, type: str, item: str, **values: str) -> None:
        """A row arrives."""
        texts = {fid.removeprefix("f"): text for fid, text in values.items()}
        (link,) = self.exchange.links
        link.connection.send_text(real((type, item, texts)))
        self.network.settle()

    def needed(self) -> list[SnapshotNeeded]:
        found = self.session.snapshots_needed()
        self.network.settle()
        return found

    def answer(self, need: SnapshotNeeded, *rows: dict[str, str], next_key: str = "", **members: str) -> None:
        self.session.receive_snapshot(need.id, reply(need, *rows, **members), next_key, 7)
        self.network.settle()

    def fail(self, need: SnapshotNeeded, error: KiwoomError) -> None:
        self.session.snapshot_failed(need.id, error)
        self.network.settle()

    def pop(self) -> list[Event]:
        """Return the events since the last time, without those of requests and connections."""
        events, self.network.events = self.network.events, []
        return [event for event in events if isinstance(event, Record | Snapshot | Recovered | Gap)]

    def results(self) -> dict[tuple[str, str], tuple[Extent, str]]:
        return {
            (each.type, each.item): (each.extent, each.reason)
            for event in self.pop()
            if isinstance(event, Recovered)
            for each in event.results
        }


def reply(need: SnapshotNeeded, *rows: dict[str, str], **members: str) -> Reply:
    request = CATALOGUE[need.api_id](**need.parameters)
    body: dict[str, Any] = {**members, "return_code": 0}
    if request.list_element is not None:
        body[request.list_element] = list(rows)
    decoded: Reply = request.decode(json.dumps(body).encode())
    return decoded


def kinds(events: list[Event]) -> list[str]:
    return [event.type_code if isinstance(event, Record) else type(event).__name__ for event in events]


def calls(needs: list[SnapshotNeeded]) -> list[tuple[str, str]]:
    return [(need.api_id, need.parameters.get("stk_cd", "")) for need in needs]


def test_without_recover_nothing_is_asked() -> None:
    ground = Ground(False)
    ground.subscribe("0D", "005930")
    ground.lose()

    assert ground.needed() == []
    ground.session.receive_snapshot(1, reply(SnapshotNeeded(1, "ka10004", {"stk_cd": "005930"})))
    ground.session.snapshot_failed(1, TransportError("cut"))
    assert kinds(ground.pop()) == ["Gap"]


def test_the_state_is_asked_for_at_the_start_and_after_each_gap() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    (first,) = ground.needed()
    assert (first.api_id, first.parameters, first.next_key) == ("ka10004", {"stk_cd": "005930"}, "")
    assert first.request == CATALOGUE["ka10004"](stk_cd="005930")
    assert ground.needed() == [], "each is returned once"
    ground.answer(first, **ORDERBOOK)
    events = ground.pop()
    assert kinds(events) == ["Snapshot", "Recovered"]

    ground.lose()
    (second,) = ground.needed()
    ground.answer(second, **ORDERBOOK)

    gap, snapshot, recovered = ground.pop()
    assert isinstance(gap, Gap) and isinstance(snapshot, Snapshot) and isinstance(recovered, Recovered)
    assert snapshot.record is not None and snapshot.record.fid("41") == "+70100"
    assert (
        (snapshot.record.epoch, snapshot.record.sequence)
        == (snapshot.epoch, snapshot.sequence)
        == (2, snapshot.sequence)
    )
    assert gap.sequence < snapshot.sequence < recovered.sequence
    assert (recovered.complete, recovered.partly, recovered.not_at_all) == (1, 0, 0)
    assert str(recovered) == "state known again: 1 complete, 0 partly, 0 not at all"


def test_a_row_makes_a_snapshot_unnecessary_before_it_is_asked_for() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    ground.row("0D", "005930", f41="+70100")

    assert ground.needed() == []
    assert kinds(ground.pop()) == ["0D", "Recovered"]


def test_a_row_before_the_acknowledgement_counts_too() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    ground.row("0D", "005930", f41="+70100")
    ground.pop()
    (link,) = ground.exchange.links
    ground.session.subscribe("0E", "005930")
    link.connection.send_text(real(("0E", "005930", {"131": "1"})))
    ground.network.advance(1)

    assert ground.needed() == []
    assert ground.results() == {("0E", "005930"): (Extent.COMPLETE, "")}


def test_a_row_is_never_undone_by_a_snapshot_that_was_on_its_way() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    (need,) = ground.needed()
    ground.row("0D", "005930", f41="+70200")
    assert not need.is_needed

    ground.answer(need, **ORDERBOOK)

    assert kinds(ground.pop()) == ["0D", "Recovered"]


def test_rows_of_others_do_not_count() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930", "000660")
    first, second = ground.needed()
    ground.row("0D", "000660", f41="+70200")

    assert (first.is_needed, second.is_needed) == (True, False)


def test_the_loss_of_the_connection_cancels_what_is_on_its_way() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    (old,) = ground.needed()
    ground.lose()
    assert not old.is_needed

    ground.answer(old, **ORDERBOOK)
    ground.fail(old, TransportError("cut"))
    (new,) = ground.needed()
    ground.answer(new, **ORDERBOOK)

    assert kinds(ground.pop()) == ["Gap", "Snapshot", "Recovered"]


def test_what_nobody_wants_any_more_is_not_reported() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930", "000660")
    first, second = ground.needed()
    ground.session.unsubscribe("0D", "005930")
    ground.network.advance(0.1)
    assert (first.is_needed, second.is_needed) == (False, True)

    ground.answer(first, **ORDERBOOK)
    ground.answer(second, **ORDERBOOK)

    assert [event.item for event in ground.pop() if isinstance(event, Snapshot)] == ["000660"]


def test_the_account_goes_first_and_transient_items_last() -> None:
    ground = Ground()
    ground.session.subscribe("0E", "068270", transient=True)
    ground.session.subscribe("0D", "005930")
    ground.subscribe("04")
    ground.lose()

    assert calls(ground.needed()) == [("kt00018", ""), ("ka10004", "005930"), ("ka10087", "068270")]


def test_few_calls_of_a_tr_are_out_at_a_time() -> None:
    ground = Ground()
    items = [f"{number:06}" for number in range(1, 9)]
    ground.subscribe("0D", *items)

    needs = ground.needed()
    assert calls(needs) == [("ka10004", item) for item in items[:5]]
    ground.row("0D", items[6], f41="+1")
    ground.answer(needs[0], **ORDERBOOK)
    ground.fail(needs[1], InputRejected("no", "1511", 2, 200, "ka10004"))

    assert calls(ground.needed()) == [("ka10004", items[5]), ("ka10004", items[7])]


def test_types_with_one_tr_share_a_call() -> None:
    ground = Ground()
    ground.subscribe("0J", "001")
    ground.subscribe("0U", "001")
    ground.subscribe("0U", "101")

    first, second = ground.needed()
    assert [need.parameters["inds_cd"] for need in (first, second)] == ["001", "101"]
    ground.answer(first, cur_prc="-2394.49", rising="17")

    shots = [event for event in ground.pop() if isinstance(event, Snapshot)]
    assert {shot.type: shot.record and shot.record.fids() for shot in shots} == {
        "0J": {"10": "-2394.49"},
        "0U": {"10": "-2394.49", "252": "17"},
    }


def test_a_hundred_stocks_share_a_call_where_the_fields_are_the_same() -> None:
    ground = Ground()
    items = [f"{number:06}" for number in range(1, 151)]
    ground.subscribe("0C", *items)
    ground.subscribe("0H", items[0])

    first, second = ground.needed()
    assert [need.api_id for need in (first, second)] == ["ka10095"] * 2
    named = [need.parameters["stk_cd"].split("|") for need in (first, second)]
    assert (len(named[0]), len(named[1])) == (100, 50)
    ground.answer(first, {"stk_cd": items[0], "sel_bid": "+2", "exp_cntr_pric": "+3"}, {"stk_cd": "", "sel_bid": ""})
    ground.answer(second)

    shots = {(event.type, event.item): event.record for event in ground.pop() if isinstance(event, Snapshot)}
    assert {key: record and record.fids() for key, record in shots.items()} == {
        ("0C", items[0]): {"27": "+2"},
        ("0H", items[0]): {"10": "+3"},
    }


def test_what_cannot_be_had_is_said() -> None:
    ground = Ground()
    ground.subscribe("0s")
    ground.subscribe("0I", "MGD")
    ground.subscribe("0D", "005930_AL")
    ground.subscribe("0E", "005930_NX", "005930")
    (need,) = ground.needed()
    ground.answer(need, bid_req_base_tm=" ")

    results = ground.results()
    assert {extent for extent, _ in results.values()} == {Extent.NOT_AT_ALL}
    assert results["0s", ""][1] == "no TR has the phase of the market: its next row does"
    assert "gold" in results["0I", "MGD"][1]
    assert "KRX" in results["0D", "005930_AL"][1]
    assert results["0E", "005930_NX"][1] == "ka10087 knows codes without a venue only"
    assert results["0E", "005930"][1] == "the answer of ka10087 is blank"


def test_gold_is_no_stock() -> None:
    ground = Ground()
    ground.subscribe("0D", "M04020000")
    ground.subscribe("0B", "M04020000")

    assert ground.needed() == []
    assert {reason for _, reason in ground.results().values()} == {
        "ka10004 knows the codes of stocks only",
        "ka10003 knows the codes of stocks only",
    }


def test_a_type_of_the_programs_own_has_no_tr() -> None:
    class Margin(Record, tag="07"):
        label = "x"

    clock = ManualClock()
    exchange = Quiet(seed=1, clock=clock)
    session = Session(PRODUCTION, ClientConfig(recover=True), clock=clock, random=lambda: 0.5, types=[Margin])
    network = SimulatedNetwork(session, exchange, clock)
    session.connect("token")
    session.subscribe(Margin, "005930")
    network.advance(2)

    (recovered,) = [event for event in network.events if isinstance(event, Recovered)]
    assert [str(each) for each in recovered.results] == ["07 005930: no TR is known that has its state"]


def test_a_failure_that_may_pass_is_tried_again_after_5_20_and_60_seconds() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    begun, asked = ground.clock.now, []
    for _ in range(4):
        while not (needs := ground.needed()):
            ground.network.advance(0.5)
        asked.append(round(ground.clock.now - begun))
        ground.fail(needs[0], MaintenancePage("점검"))

    assert asked == [0, 5, 25, 85]
    assert ground.results() == {("0D", "005930"): (Extent.NOT_AT_ALL, "ka10004: 점검")}


def test_a_certificate_that_is_refused_is_not_tried_again() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    (need,) = ground.needed()
    ground.fail(need, CertificateRefused("verify failed"))

    assert ground.results() == {("0D", "005930"): (Extent.NOT_AT_ALL, "ka10004: verify failed")}


def test_a_row_ends_the_wait_for_another_try() -> None:
    ground = Ground()
    ground.subscribe("0D", "005930")
    ground.fail(ground.needed()[0], TransportError("cut"))
    assert ground.session.next_timeout() is not None
    ground.row("0D", "005930", f41="+1")

    assert ground.results() == {("0D", "005930"): (Extent.COMPLETE, "")}
    ground.network.advance(100)
    assert ground.needed() == []


# Orders, holdings, interruptions.


OPEN = {"ord_no": "0000001", "stk_cd": "005930", "ord_stt": "접수", "ord_qty": "10", "oso_qty": "10", "cntr_qty": "0"}


def test_orders_come_from_two_lists_of_any_number_of_pages() -> None:
    ground = Ground()
    ground.subscribe("00")
    (need,) = ground.needed()
    assert need.api_id == "ka10075"
    ground.answer(need, OPEN, next_key="p2")
    (need,) = ground.needed()
    assert (need.api_id, need.next_key) == ("ka10075", "p2")
    ground.answer(need, {**OPEN, "ord_no": "0000002"})
    (need,) = ground.needed()
    assert (need.api_id, need.next_key) == ("ka10076", "")
    ground.answer(need, {**OPEN, "ord_no": "0000003", "ord_stt": "체결", "oso_qty": "0", "cntr_qty": "10"})

    snapshot, recovered = ground.pop()
    assert isinstance(snapshot, Snapshot) and (snapshot.type, snapshot.item) == ("00", "")
    assert [record.fid("9203") for record in snapshot.records] == ["0000001", "0000002", "0000003"]
    assert snapshot.is_complete and isinstance(recovered, Recovered)


def test_a_row_takes_the_place_of_the_record_of_the_same_order() -> None:
    ground = Ground()
    ground.subscribe("00")
    (need,) = ground.needed()
    ground.row("00", "005930", f9203="0000001", f9001="A005930", f900="10", f902="4", f911="6")
    ground.row("00", "000660", f9203="0000009", f9001="A000660", f900="1", f902="1", f911="0")
    ground.answer(need, OPEN, {**OPEN, "ord_no": "0000002"})
    ground.answer(ground.needed()[0])

    events = ground.pop()
    assert kinds(events) == ["00", "00", "Snapshot", "Recovered"]
    (snapshot,) = [event for event in events if isinstance(event, Snapshot)]
    assert {record.fid("9203"): record.fid("902") for record in snapshot.records} == {
        "0000001": "4",
        "0000002": "10",
        "0000009": "1",
    }
    assert [record.sequence for record in snapshot.records[1:]] == [events[0].sequence, events[1].sequence], "their own"


def test_a_list_that_does_not_end_is_given_up_and_said() -> None:
    ground = Ground(RecoveryPolicy(max_pages=2))
    ground.subscribe("04")
    ground.answer(ground.needed()[0], {"stk_cd": "A005930", "rmnd_qty": "1"}, next_key="2")
    ground.answer(ground.needed()[0], {"stk_cd": "A000660", "rmnd_qty": "1"}, next_key="3")

    snapshot, recovered = ground.pop()
    assert isinstance(snapshot, Snapshot) and isinstance(recovered, Recovered)
    assert len(snapshot.records) == 2 and not snapshot.is_complete
    assert [str(each) for each in recovered.results] == ["04: kt00018 has more than 2 pages"]


def test_a_key_that_repeats_and_a_page_without_rows_end_a_list() -> None:
    ground = Ground()
    ground.subscribe("04")
    ground.answer(ground.needed()[0], {"stk_cd": "A005930", "rmnd_qty": "1"}, next_key="2")
    ground.answer(ground.needed()[0], {"stk_cd": "A000660", "rmnd_qty": "1"}, next_key="2")
    assert ground.results()["04", ""] == (Extent.PARTLY, "kt00018: the key of the next page repeats")

    ground.lose()
    ground.answer(ground.needed()[0], next_key="2")
    assert ground.results()["04", ""] == (Extent.COMPLETE, "")


def test_a_second_list_that_fails_leaves_the_first() -> None:
    ground = Ground()
    ground.subscribe("00")
    ground.answer(ground.needed()[0], OPEN)
    ground.fail(ground.needed()[0], InputRejected("no", "1511", 2, 200, "ka10076"))

    snapshot, recovered = ground.pop()
    assert isinstance(snapshot, Snapshot) and isinstance(recovered, Recovered)
    assert len(snapshot.records) == 1 and not snapshot.is_complete
    assert recovered.partly == 1 and "ka10076" in recovered.results[0].reason


def test_interruptions_of_the_day() -> None:
    ground = Ground()
    ground.subscribe("1h")
    (need,) = ground.needed()
    ground.answer(need, {"stk_cd": "005930", "trde_cntr_proc_time": "101500", "virelis_time": "000000"})

    snapshot = ground.pop()[0]
    assert isinstance(snapshot, Snapshot) and snapshot.record is not None
    assert (snapshot.record.item, snapshot.record.fid("1224")) == ("005930", "000000")


def test_us_types() -> None:
    ground = Ground(endpoint=US_PRODUCTION)
    ground.subscribe("FT", "NVDA:ND")
    ground.subscribe("FE", "NVDA:ND")
    book, trade = ground.needed()
    assert (book.api_id, dict(book.parameters)) == ("usa20101", {"stex_tp": "ND", "stk_cd": "NVDA"})
    ground.answer(book, sel_1bid="+201.53")
    ground.row("FE", "NVDA", f10="+201.5")

    assert not trade.is_needed
    assert kinds(ground.pop()) == ["Snapshot", "FE", "Recovered"]


def test_the_rows_in_a_snapshot_of_us_executions_come_last_and_in_their_order() -> None:
    """Each says how much of its stock is held, so the newest must be applied last."""
    ground = Ground(endpoint=US_PRODUCTION)
    ground.subscribe("F5")
    (need,) = ground.needed()
    ground.row("F5", "NVDA", f9203="000000001", f9001="NVDA", f902="8", f911="0", f930="5")
    ground.row("F5", "NVDA", f9203="000000002", f9001="NVDA", f902="9", f911="0", f930="5")
    ground.row("F5", "NVDA", f9203="000000001", f9001="NVDA", f902="1", f911="7", f930="12")
    ground.answer(need, {"ord_no": "000000001", "stk_cd": "NVDA"}, {"ord_no": "000000003", "stk_cd": "NVDA"})
    ground.answer(ground.needed()[0], {"stk_cd": "NVDA", "poss_qty": "000000000005"})

    events = ground.pop()
    (snapshot,) = (event for event in events if isinstance(event, Snapshot))
    assert [record.fid("9203") for record in snapshot.records] == ["000000003", "000000002", "000000001"]
    state = OrderState()
    for event in events:
        state.apply(event)
    assert [position.quantity for position in state.positions.values()] == [12]


# Trades.


def trades(*pairs: tuple[int, int]) -> list[dict[str, str]]:
    return [{"tm": "101500", "acc_trde_qty": str(volume), "cntr_trde_qty": str(quantity)} for volume, quantity in pairs]


def missed(events: list[Event]) -> list[str | None]:
    return [record.fid("13") for event in events if isinstance(event, Snapshot) for record in event.missed]


def test_missed_trades_are_fetched_page_by_page_as_far_as_they_are_needed() -> None:
    ground = Ground()
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    ground.row("0B", "005930", f13="1100", f15="-30")
    ground.pop()
    (need,) = ground.needed()
    ground.answer(need, *trades((1100, -30), (1070, 40)), next_key="2")
    (need,) = ground.needed()
    assert (need.api_id, need.next_key) == ("ka10003", "2")
    ground.answer(need, *trades((1030, 30), (1000, 10), (990, 5)), next_key="3")
    assert ground.needed() == []

    snapshot, row, recovered = ground.pop()
    assert missed([snapshot]) == ["1030", "1070"]
    assert isinstance(snapshot, Snapshot) and snapshot.records == (), "the row is newer"
    assert isinstance(row, Record) and row.fid("13") == "1100"
    assert isinstance(recovered, Recovered) and recovered.complete == 1


def test_no_call_is_made_if_nothing_was_traded() -> None:
    ground = Ground()
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    (need,) = ground.needed()
    ground.row("0B", "005930", f13="1007", f15="+7")

    assert not need.is_needed
    assert ground.results()["0B", "005930"] == (Extent.COMPLETE, "")


def test_without_a_row_the_newest_trade_is_the_state_and_no_trade_comes_twice() -> None:
    ground = Ground()
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    ground.pop()
    ground.answer(ground.needed()[0], *trades((1030, 20), (1010, 10), (1000, 10)))
    ground.row("0B", "005930", f13="1030", f15="+20")  # it was on its way
    ground.row("0B", "005930", f13="1050", f15="+20")

    events = ground.pop()
    assert kinds(events) == ["Snapshot", "Recovered", "0B"]
    (snapshot,) = [event for event in events if isinstance(event, Snapshot)]
    assert missed(events) == ["1010", "1030"]
    assert snapshot.record is not None and snapshot.record.fid("13") == "1030"
    assert [event.fid("13") for event in events if isinstance(event, Record)] == ["1050"]


def test_what_comes_in_the_same_read_as_a_repeated_trade_is_not_lost() -> None:
    ground = Ground()
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    ground.answer(ground.needed()[0], *trades((1030, 20), (1010, 10), (1000, 10)))
    ground.network.events.clear()
    (link,) = ground.exchange.links
    link.connection.send_text(real(("0B", "005930", {"13": "1030", "15": "+20"})))
    link.connection.send_text(b'{"trnm":"SYSTEM","code":"R10002","message":"x"}')
    link.connection.send_text(real(("0D", "005930", {"41": "+1"})))
    ground.network.settle()

    assert [type(event).__name__ for event in ground.network.events] == ["SystemNotice", "OrderBook"]


def test_trades_that_are_not_there_any_more_are_said() -> None:
    ground = Ground()
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    ground.row("0B", "005930", f13="2000", f15="+10")
    ground.answer(ground.needed()[0], *trades((2000, 10), (1990, 10)))

    assert ground.results()["0B", "005930"] == (
        Extent.PARTLY,
        "980 shares between volume 1,000 and 1,980 are missing: ka10003 lacks them; known from volume 1,980 on",
    )


def test_a_loss_in_between_leaves_both_holes_to_be_filled() -> None:
    ground = Ground()
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    ground.row("0B", "005930", f13="1030", f15="+10")
    ground.lose()
    ground.row("0B", "005930", f13="1060", f15="+10")
    ground.answer(ground.needed()[0], *trades((1060, 10), (1050, 20), (1030, 10), (1020, 20), (1000, 10)))

    assert missed(ground.pop()) == ["1020", "1050"]


# The policy.


def test_a_policy_says_which_types_and_whether_at_the_start() -> None:
    ground = Ground(RecoveryPolicy(types=["0D"], at_start=False))
    ground.subscribe("0D", "005930")
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    assert ground.needed() == []
    ground.lose()
    ground.row("0B", "005930", f13="2000", f15="+10")

    assert calls(ground.needed()) == [("ka10004", "005930")]


def test_without_missed_trades_a_hole_is_said() -> None:
    ground = Ground(RecoveryPolicy(missed_trades=False))
    ground.subscribe("0B", "005930")
    ground.row("0B", "005930", f13="1000", f15="+10")
    ground.lose()
    ground.row("0B", "005930", f13="2000", f15="+10")

    assert ground.needed() == []
    extent, reason = ground.results()["0B", "005930"]
    assert extent is Extent.PARTLY and "missed_trades" in reason


@pytest.mark.parametrize("wrong", [1, "yes", None, {"types": "0D"}])
def test_recover_is_a_flag_or_a_policy(wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match="recover"):
        ClientConfig(recover=wrong)


@pytest.mark.parametrize(
    "wrong", [{"types": "0D"}, {"types": [1]}, {"max_pages": 0}, {"at_start": 1}, {"missed_trades": None}]
)
def test_a_policy_is_checked(wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match=f"RecoveryPolicy.{next(iter(wrong))}"):
        RecoveryPolicy(**wrong)


def test_it_works_against_the_simulated_exchange() -> None:
    clock = ManualClock()
    exchange = Exchange(seed=1, clock=clock, start=datetime.time(10, 0), rate=0.5)
    session = Session(PRODUCTION, ClientConfig(recover=True), clock=clock, random=lambda: 0.5)
    network, rest = SimulatedNetwork(session, exchange, clock), RestLine(session, exchange, clock)
    session.connect("token")
    for type in ("0D", "0B"):
        session.subscribe(type, "005930")
    for _ in range(100):
        network.advance(0.1)
        rest.settle()

    shots = [event for event in network.events if isinstance(event, Snapshot)]
    assert {shot.type for shot in shots} <= {"0D", "0B"} and rest.calls

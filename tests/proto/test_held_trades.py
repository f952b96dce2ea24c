"""Trades come in order after a gap: rows wait for those that were missed before them, but not for ever."""

from __future__ import annotations

import pytest

from kiwoom_proto import PRODUCTION, ClientConfig, Record
from kiwoom_proto.client.replayed import ReplayedSession
from kiwoom_proto.config import RecoveryPolicy
from kiwoom_proto.errors import TransportError
from kiwoom_proto.events import Closed, Disconnected, Event, Extent, Gap, Recovered, Snapshot, Stale, SystemNotice
from kiwoom_proto.rest.errors import InputRejected
from kiwoom_proto.session.held_trades import HOLD, HeldTrades
from kiwoom_proto.session.missed_trades import Hole, TradeTape, find_missed, is_older
from kiwoom_proto.session.snapshot_needs import SnapshotNeeded

from .hand_client import HandClient
from .pool_ground import Ground as PoolGround
from .test_missed_trades import trade as made
from .test_restoration import Ground, kinds, reply, trades
from .test_snapshot_streams import fetch
from .test_snapshot_streams import trade as sent
from .test_streams import entered, rows
from .wire import real

A, B = "005930", "000660"
CONFIG = ClientConfig(request_interval=0, backoff_max=1, recover=True)
REFUSED = InputRejected("no", "1511", 2, 200, "ka10003")
ALL = trades((1060, 10), (1050, 20), (1030, 10), (1020, 10), (1010, 10), (1000, 10))


def trade(ground: Ground, volume: int, quantity: int = 10, item: str = A) -> None:
    ground.row("0B", item, f13=str(volume), f15=str(quantity))


def after_a_gap(*items: str, policy: bool | RecoveryPolicy = True) -> Ground:
    """A session that knew the trade with volume 1000 of each item before its gap. What was missed is not asked for."""
    ground = Ground(policy)
    for item in items or (A,):
        ground.subscribe("0B", item)
        trade(ground, 1000, 10, item)
    ground.needed()
    ground.lose()
    ground.pop()
    return ground


def seen(events: list[Event]) -> list[tuple[str, int]]:
    """What a program sees of trades: rows, and missed trades in their order or late."""
    found: list[tuple[str, int]] = []
    for event in events:
        if isinstance(event, Record) and event.type_code == "0B":
            found.append(("row", int(event.fid("13") or 0)))
        elif isinstance(event, Snapshot):
            volumes = [int(row.fid("13") or 0) for row in event.missed]
            found += [("late", volume) for volume in volumes[: event.late]]
            found += [("missed", volume) for volume in volumes[event.late :]]
    return found


def result(events: list[Event]) -> tuple[Extent, str]:
    (recovered,) = [event for event in events if isinstance(event, Recovered)]
    (only,) = recovered.results
    return only.extent, only.reason


def call_for(ground: Ground, item: str = A) -> SnapshotNeeded:
    return next(need for need in ground.needed() if need.parameters.get("stk_cd") == item)


def answer_trades(client: HandClient, *volumes: int) -> None:
    assert fetch(client, *trades(*((volume, 10) for volume in reversed(volumes)))) == ["ka10003"]


def send(ground: PoolGround, member: int, volume: int) -> None:
    ground.link(member).connection.send_text(real(("0B", A, {"13": str(volume), "15": "10"})))
    ground.settle()


def test_rows_wait_and_come_right_behind_the_snapshot() -> None:
    ground = after_a_gap()
    trade(ground, 1030)
    need = call_for(ground)
    trade(ground, 1050, 20)
    assert ground.pop() == [], "they wait"

    ground.answer(need, *ALL)

    events = ground.pop()
    assert seen(events) == [("missed", 1010), ("missed", 1020), ("row", 1030), ("row", 1050)]
    assert kinds(events) == ["Snapshot", "0B", "0B", "Recovered"]
    assert result(events) == (Extent.COMPLETE, "")
    assert events[1].sequence < events[2].sequence < events[0].sequence < events[3].sequence, "rows keep their numbers"
    trade(ground, 1060)
    assert seen(ground.pop()) == [("row", 1060)], "nothing waits any more"


def test_a_page_after_another_is_waited_for() -> None:
    ground = after_a_gap()
    trade(ground, 1060)
    ground.answer(call_for(ground), *ALL[:2], next_key="2")
    trade(ground, 1070)
    assert ground.pop() == []
    ground.answer(call_for(ground), *ALL[2:])

    volumes = [volume for _, volume in seen(ground.pop())]
    assert volumes == [1010, 1020, 1030, 1050, 1060, 1070]


def test_nothing_waits_where_nothing_was_missed() -> None:
    ground = Ground()
    ground.subscribe("0B", A)
    trade(ground, 1000)
    assert seen(ground.pop()) == [("row", 1000)], "at the start"
    ground.lose()
    trade(ground, 1010)
    assert seen(ground.pop()) == [("row", 1010)], "no volume is lacking"
    trade(ground, 1050, 10)
    assert seen(ground.pop()) == [("row", 1050)], "a gap in the volume within a connection is the exchange's"


def test_nothing_waits_that_will_not_be_asked_for() -> None:
    ground = after_a_gap(policy=RecoveryPolicy(missed_trades=False))
    trade(ground, 1030)
    assert seen(ground.pop()) == [("row", 1030)]

    ground = after_a_gap(policy=RecoveryPolicy(types=["0D"]))
    trade(ground, 1030)
    assert seen(ground.pop()) == [("row", 1030)]

    gold = "M04020000"
    ground = after_a_gap(gold)
    trade(ground, 1030, item=gold)
    assert seen(ground.pop()) == [("row", 1030)]


def test_other_items_and_types_flow() -> None:
    ground = after_a_gap(A, B)
    ground.subscribe("0D", A)
    trade(ground, 1010, 10, B)
    trade(ground, 1030, 10, A)
    ground.row("0D", A, f41="+1")
    trade(ground, 1020, 10, B)

    events = ground.pop()
    assert [(event.type_code, event.item) for event in events if isinstance(event, Record)] == [
        ("0B", B),
        ("0D", A),
        ("0B", B),
    ]
    ground.answer(call_for(ground, A), *ALL)
    assert seen(ground.pop()) == [("missed", 1010), ("missed", 1020), ("row", 1030)]


def test_each_item_waits_for_its_own_call() -> None:
    ground = after_a_gap(A, B)
    trade(ground, 1030, 10, A)
    trade(ground, 1030, 10, B)
    first, second = ground.needed()
    ground.answer(second, *ALL)
    events = ground.pop()
    assert {event.item for event in events if isinstance(event, Snapshot | Record)} == {B}
    ground.answer(first, *ALL)
    assert seen(ground.pop()) == seen(events) == [("missed", 1010), ("missed", 1020), ("row", 1030)]


def test_rows_wait_for_5_seconds_from_the_first_one_on_and_what_comes_later_is_late() -> None:
    ground = after_a_gap()
    need = call_for(ground)
    ground.network.advance(3)
    trade(ground, 1030)
    begun = ground.clock.now
    assert ground.session.next_timeout() is not None
    ground.network.advance(4.5)
    trade(ground, 1050, 20)
    assert ground.pop() == []
    assert ground.session.next_timeout() == pytest.approx(begun + HOLD)

    ground.network.advance(0.6)
    assert seen(ground.pop()) == [("row", 1030), ("row", 1050)]
    trade(ground, 1060)
    assert seen(ground.pop()) == [("row", 1060)]

    ground.answer(need, *ALL)
    events = ground.pop()
    assert seen(events) == [("late", 1010), ("late", 1020)]
    assert result(events) == (
        Extent.PARTLY,
        "2 missed trades came late, after newer rows: rows had been waiting for 5 s",
    )


def test_the_deadline_of_each_item_is_its_own() -> None:
    ground = after_a_gap(A, B)
    ground.needed()
    trade(ground, 1030, 10, A)
    ground.network.advance(2)
    trade(ground, 1030, 10, B)
    ground.network.advance(3.1)
    assert [event.item for event in ground.pop() if isinstance(event, Record)] == [A]
    ground.network.advance(2)
    assert [event.item for event in ground.pop() if isinstance(event, Record)] == [B]


def test_no_more_than_so_many_rows_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiwoom_proto.session.restoration.MAX_HELD", 3)
    ground = after_a_gap(A, B)
    first, second = ground.needed()
    trade(ground, 1030, 10, A)
    trade(ground, 1030, 10, B)
    trade(ground, 1040, 10, A)
    assert ground.pop() == []
    (link,) = ground.exchange.links
    volumes = (("1050", A), ("1060", A), ("1040", B))
    link.connection.send_text(real(*(("0B", item, {"13": volume, "15": "10"}) for volume, item in volumes)))
    ground.network.settle()

    rows = [(event.item, event.fid("13")) for event in ground.pop() if isinstance(event, Record)]
    assert rows == [(A, "1030"), (B, "1030"), (A, "1040"), (A, "1050"), (A, "1060"), (B, "1040")]
    ground.answer(first, *ALL)
    ground.answer(second, *ALL)
    events = ground.pop()
    assert seen(events) == [("late", 1010), ("late", 1020)] * 2
    assert "10,000 rows had been waiting" in str(events[-1])


def test_rows_are_reported_when_the_call_fails_for_good() -> None:
    ground = after_a_gap()
    need = call_for(ground)
    trade(ground, 1030)
    ground.fail(need, REFUSED)

    events = ground.pop()
    assert kinds(events) == ["0B", "Recovered"]
    assert result(events)[0] is Extent.NOT_AT_ALL
    trade(ground, 1040)
    assert seen(ground.pop()) == [("row", 1040)]


def test_rows_wait_for_another_try_no_longer_than_for_the_first() -> None:
    ground = after_a_gap()
    need = call_for(ground)
    ground.network.advance(4)
    trade(ground, 1030)
    ground.fail(need, TransportError("cut"))
    assert ground.pop() == []
    ground.network.advance(4.9)
    assert ground.pop() == []
    ground.network.advance(0.2)
    assert seen(ground.pop()) == [("row", 1030)]
    ground.answer(call_for(ground), *ALL)
    assert seen(ground.pop()) == [("late", 1010), ("late", 1020)]


def test_rows_come_before_the_loss_of_the_connection_and_two_gaps_in_a_row_are_told_apart() -> None:
    ground = after_a_gap()
    call_for(ground)
    trade(ground, 1030)
    ground.network.reset()
    ground.network.settle()
    types = [type(event) for event in ground.network.events if isinstance(event, Record | Disconnected)]
    assert [issubclass(cls, Record) for cls in types] == [True, False]
    ground.network.advance(1)
    assert seen(ground.pop()) == [("row", 1030)]

    need = call_for(ground)
    trade(ground, 1060)
    assert ground.pop() == []
    ground.answer(need, *ALL)

    events = ground.pop()
    assert seen(events) == [("late", 1010), ("late", 1020), ("missed", 1050), ("row", 1060)]
    assert result(events) == (
        Extent.PARTLY,
        "2 missed trades came late, after newer rows: the connection was lost before",
    )


def test_rows_come_before_the_session_closes_and_none_waits_any_more() -> None:
    ground = after_a_gap()
    call_for(ground)
    trade(ground, 1030)
    ground.network.black_hole = True  # the server does not answer the close
    ground.session.close()
    ground.network.events += ground.session.events()
    assert seen(ground.pop()) == [("row", 1030)]


def test_rows_that_arrive_while_the_session_closes_do_not_wait() -> None:
    ground = after_a_gap()
    call_for(ground)
    ground.session.close()
    (link,) = ground.exchange.links
    link.connection.send_text(real(("0B", A, {"13": "1030", "15": "10"})))
    ground.session.receive_data(link.connection.data_to_send())

    assert seen(list(ground.session.events())) == [("row", 1030)]


def test_the_end_is_the_last_event() -> None:
    ground = after_a_gap()
    call_for(ground)
    trade(ground, 1030)
    ground.session.close()
    ground.network.advance(10)

    assert isinstance(ground.network.events[-1], Closed)
    assert seen(ground.pop()) == [("row", 1030)]


def test_rows_of_what_nobody_wants_any_more_are_reported() -> None:
    ground = after_a_gap(A, B)
    ground.needed()
    trade(ground, 1030, 10, A)
    trade(ground, 1030, 10, B)
    ground.session.unsubscribe("0B", A)
    ground.network.advance(0.1)

    assert [event.item for event in ground.pop() if isinstance(event, Record)] == [A]


def test_a_row_that_waits_counts_as_received() -> None:
    ground = Ground()
    ground.subscribe("0B", A, fresh_within=2)
    trade(ground, 1000)
    ground.needed()
    ground.lose()
    ground.network.events.clear()
    call_for(ground)
    for volume in (1030, 1040, 1050):
        ground.network.advance(1)
        (link,) = ground.exchange.links
        if volume == 1040:  # in one read with something else
            link.connection.send_text(b'{"trnm":"SYSTEM","code":"R10002","message":"x"}')
        trade(ground, volume)
    ground.network.advance(1)

    assert any(isinstance(event, SystemNotice) for event in ground.network.events)
    assert not any(isinstance(event, Stale) for event in ground.network.events)
    assert seen(ground.pop()) == [], "they still wait"


def test_a_read_whose_rows_wait_moves_the_deadline() -> None:
    """A driver does not ask for the deadline again after a read that brought nothing but rows."""
    ground = after_a_gap()
    call_for(ground)
    (link,) = ground.exchange.links
    link.connection.send_text(real(("0B", A, {"13": "1030", "15": "10"})))
    ground.session.receive_data(link.connection.data_to_send())

    batch = ground.session.events()
    assert batch == [] and not batch.rows_only


def test_rows_before_the_gap_is_told_wait_too() -> None:
    """A gap is told once everything is registered again; rows of what is registered may come before."""
    client = HandClient(CONFIG)
    client.run(client.subscribe("0B", A))
    client.send(sent(1000, 10))
    client.answers = False
    client.cut()
    client.advance(2)
    client.answer()  # the login
    client.send(sent(1030, 10))
    client.answer()  # the registration
    answer_trades(client, 1000, 1010, 1020, 1030)

    events = rows(client, client)
    assert [type(event) for event in events if isinstance(event, Gap | Snapshot)] == [Gap, Snapshot]
    assert seen(events) == [("row", 1000), ("missed", 1010), ("missed", 1020), ("row", 1030)]


# What wants rows in order gets them in order.


def test_streams_callbacks_and_newest_rows_never_go_back() -> None:
    client = HandClient(CONFIG)
    stream = entered(client, client.stream("0B", A))
    called: list[int] = []
    newest: list[int] = []

    def call(row: Record) -> None:
        called.append(int(row.fid("13") or 0))
        latest = client.latest("0B", A)
        newest.append(0 if latest is None else int(latest.fid("13") or 0))

    client.on("0B", call, A)
    client.send(sent(1000, 10))
    client.latest("0B", A)
    client.cut()
    client.advance(2)
    client.send(sent(1030, 10))
    client.send(sent(1040, 10))
    answer_trades(client, 1000, 1010, 1020, 1030, 1040)

    volumes = [1000, 1010, 1020, 1030, 1040]
    assert [int(row.fid("13") or 0) for row in rows(client, stream)] == called == volumes
    assert newest[1:] == [1040] * 4, "callbacks are called once everything has been given out"


def test_trades_that_come_late_reach_the_clients_own_iteration_alone() -> None:
    client = HandClient(CONFIG)
    stream = entered(client, client.stream("0B", A))
    called: list[int] = []
    client.on("0B", lambda row: called.append(int(row.fid("13") or 0)), A)
    client.send(sent(1000, 10))
    client.latest("0B", A)
    client.cut()
    client.advance(2)
    client.send(sent(1030, 10))
    client.advance(HOLD + 0.1)
    answer_trades(client, 1000, 1010, 1020, 1030)

    assert [int(row.fid("13") or 0) for row in rows(client, stream)] == called == [1000, 1030]
    newest = client.latest("0B", A)
    assert newest is not None and newest.fid("13") == "1030"
    assert seen(rows(client, client)) == [("late", 1010), ("late", 1020)]


def test_the_newest_row_does_not_go_back_to_an_older_trade() -> None:
    old, new = made(1010, 10), made(1030, 10)
    assert is_older(old, new) and not is_older(new, old) and not is_older(new, new)
    tomorrow = Record("0B", A, received_at=86_400 * 10**9, values=b'{"13":"10","15":"10"}')
    assert not is_older(tomorrow, new), "the volume starts anew each day"
    no_volume = Record("0B", A, values=b"{}")
    assert not is_older(no_volume, new) and not is_older(new, no_volume)
    early, late = (Record("0B", item, values=b'{"20":"%s"}' % at) for item, at in ((A, b"100000"), (B, b"100001")))
    assert is_older(early, late) and not is_older(late, early)


def test_a_pool_keeps_the_order_too() -> None:
    ground = PoolGround(config=CONFIG, rate=0.0001).connect()
    ground.pool.subscribe("0B", A)
    ground.advance(1)
    ((place,),) = ground.held().values()
    member = ground.pool.members[place]
    send(ground, place, 1000)
    ground.networks[place].reset()
    ground.advance(2)
    ground.events.clear()
    send(ground, place, 1030)
    (need,) = member.snapshots_needed()
    member.receive_snapshot(need.id, reply(need, *ALL), "", 7)
    send(ground, place, 1050)
    ground.settle()

    assert seen(ground.events) == [("missed", 1010), ("missed", 1020), ("row", 1030), ("row", 1050)]


def test_a_replay_has_rows_where_they_were_received_and_does_not_go_back_either() -> None:
    row, old = made(1030, 10), made(1010, 10)
    events: list[Event] = [
        row,
        Snapshot("0B", A, (), (old,)),
        Snapshot("0B", B, (old,), (old,)),
        Snapshot("0D", A, (row,)),
    ]
    batches = iter([([1, 2, 3, 4], events, False)])
    session = ReplayedSession(batches, PRODUCTION, None, clock=lambda: 0.0, speed=None)
    session.handle_timeout()

    assert [event.late for event in session.events() if isinstance(event, Snapshot)] == [1, 0, 0]


def test_over_midnight_rows_wait_for_the_trades_of_the_new_day() -> None:
    tape = TradeTape(last=made(5000, 10))
    tape.connection_lost()
    tape.note_row(made(30, 10))
    tape.start_day()
    assert tape.waits and tape.holes == [Hole(0, 20)]
    tape.stop_waiting("why")
    tape.start_day()
    assert not tape.waits

    found = find_missed(tape, [made(10, 10), made(20, 10)], False)
    assert (len(found.records), found.late) == (2, 2)


def test_held_trades() -> None:
    held = HeldTrades()
    assert (held.next_timeout(), held.items, held.due(100.0)) == (None, (), [])
    first, second, third = (made(volume, 1) for volume in (1, 2, 3))
    for row, at in ((first, 1.0), (second, 2.0), (third, 3.0)):
        held.add(row, at)
    assert (held.next_timeout(), held.items, held.count) == (1.0 + HOLD, (A,), 3)
    assert held.due(5.9) == [] and held.due(6.0) == [A]
    assert held.pop([A, B]) == [first, second, third]
    assert (held.next_timeout(), held.items, held.count) == (None, (), 0)

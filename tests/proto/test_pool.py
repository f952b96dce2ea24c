"""A pool: several sessions as one feed, on virtual time, with the simulated exchange."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kiwoom_proto import PRODUCTION, Closed, ConditionHit, Disconnected, Gap, LocalProtocolError, Record, Stale
from kiwoom_proto.errors import LoginRefused, PoolLost, QuotaExceeded, TakenOver
from kiwoom_proto.events import (
    ConditionList,
    ConditionResult,
    Evicted,
    LoggedIn,
    MemberLost,
    RequestAccepted,
    RequestRefusal,
    Unplaced,
)
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.session.pool import Pool
from kiwoom_proto.simulator import client_link
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import Element, Reg

from .pool_ground import CONFIG, TOKENS, Ground, items


def in_order(ground: Ground) -> bool:
    """Whether the numbers of the events are unique and grow."""
    numbers = [event.sequence for event in ground.events]
    return numbers == sorted(set(numbers))


# Placement.


def test_450_items_on_three_tokens_all_bring_rows_each_from_one_place() -> None:
    ground = Ground(rate=8).connect()
    request = ground.pool.subscribe("0B", *items(450))
    ground.advance(5)

    assert ground.counts() == [150, 150, 150]
    assert all(len(places) == 1 for places in ground.held().values())
    assert {item: list(places) for item, places in ground.rows().items()} == ground.held()
    assert len(ground.rows()) == 450
    assert in_order(ground)
    assert [event.request for event in ground.take(RequestAccepted)] == [request]


def test_each_token_keeps_its_own_pace() -> None:
    ground = Ground(config=attrs.evolve(CONFIG, items_per_request=10)).connect()
    ground.pool.subscribe("0B", *items(300))
    ground.advance(0.26 * 10)

    assert ground.counts() == [100, 100, 100], "30 messages, ten each, in the time of ten"
    assert not ground.take(RequestRefusal)


def test_a_call_that_no_room_is_left_for_changes_nothing() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(590))

    with pytest.raises(QuotaExceeded, match="590 of 600 are in use and 11 more were asked for, 1 too many"):
        ground.pool.subscribe("0B", *items(11, start=591))

    ground.pool.subscribe("0B", *items(10, start=591))
    ground.pool.subscribe("0D", *items(600))  # types are free
    ground.advance(10)
    assert ground.counts() == [200, 200, 200]


def test_everything_of_an_item_stands_on_one_member_and_calls_count() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", "000001", "000002", "000003", "000004")
    ground.pool.subscribe("0D", "000001", "000003")
    ground.pool.subscribe("0B", "000001", group="2")
    ground.pool.subscribe("0B", "000002")
    ground.advance(2)
    assert {len(places) for places in ground.held().values()} == {1}
    before = ground.held()

    ground.pool.unsubscribe("0B", "000002")
    gone = ground.pool.unsubscribe("0B", "000004")
    ground.advance(2)

    assert ground.held() == {item: before[item] for item in ("000001", "000002", "000003")}
    assert gone in [event.request for event in ground.take(RequestAccepted)]
    consumers = {(each.type, each.item, each.group): each.consumers for each in ground.pool.subscriptions}
    assert consumers == {
        ("0B", "000001", "1"): 1,
        ("0B", "000002", "1"): 1,
        ("0B", "000003", "1"): 1,
        ("0D", "000001", "1"): 1,
        ("0D", "000003", "1"): 1,
        ("0B", "000001", "2"): 1,
    }


def test_replace_gives_up_the_rest_of_the_group_on_every_member() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(600))
    ground.pool.subscribe("0B", *items(3), group="2")
    ground.advance(5)

    ground.pool.subscribe("0B", *items(500, start=1001), replace=True)
    ground.advance(6)

    assert set(ground.held()) == {*items(3), *items(500, start=1001)}
    assert {len(places) for places in ground.held().values()} == {1}


def test_types_of_the_account_are_registered_with_every_token_and_told_apart() -> None:
    ground = Ground(rate=1).connect()
    accepted = ground.pool.subscribe("00")
    hand_built = ground.pool.request(Reg("1", "1", (Element(("005930",), ("04",)),)))
    ground.pool.subscribe("0B", "005930")
    ground.advance(1)
    assert {event.request for event in ground.take(RequestAccepted)} >= {accepted, hand_built}
    assert [len([pair for pair in link.pairs() if pair[0] in ("00", "04")]) for link in ground.exchange.links] == [
        2
    ] * 3

    ground.exchange.place_order("app-c", "005930", "buy", 10)
    ground.advance(2)

    assert {row.token_index for row in ground.events if isinstance(row, Record) and row.type_code == "00"} == {2}
    assert {row.token_index for row in ground.events if isinstance(row, Record) and row.type_code == "04"} == {2}
    ground.pool.unsubscribe("00")
    ground.advance(1)
    assert not any(pair[0] == "00" for link in ground.exchange.links for pair in link.pairs())


def test_market_wide_types_are_registered_once() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0s")
    ground.advance(1)

    assert [list(link.pairs()) for link in ground.exchange.links] == [[("0s", "")], [], []]


def test_a_limit_that_the_server_names_moves_what_it_refused() -> None:
    ground = Ground(item_limit=100, config=CONFIG).connect()
    request = ground.pool.subscribe("0B", *items(250))
    ground.advance(3)

    # 84, 83 and 83 items go to each: no limit is met. The rest of the story needs one that is.
    assert ground.counts() == [84, 83, 83]
    assert [event.request for event in ground.take(RequestAccepted)] == [request]
    more = ground.pool.subscribe("0B", *items(60, start=501))
    ground.advance(5)

    (refusal,) = ground.take(RequestRefusal)
    assert refusal.request is more
    assert sum(ground.counts()) == 250
    with pytest.raises(QuotaExceeded, match="250 of 300"):
        ground.pool.subscribe("0B", *items(51, start=501))


def test_one_wrong_item_refuses_its_call_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_link, "MAX_TEXT", 8)  # otherwise the exchange finds nothing wrong with any item
    ground = Ground().connect()
    good = ground.pool.subscribe("0B", *items(6))
    bad = ground.pool.request(Reg("1", "1", (Element(("000100", "000200", "123456789"), ("0B",)),)))
    ground.advance(3)

    assert [event.request for event in ground.events if isinstance(event, RequestRefusal)] == [bad]
    assert [event.request for event in ground.events if isinstance(event, RequestAccepted)] == [good]
    assert set(ground.held()) == set(items(6))


# Losses.


def test_a_token_that_is_taken_over_leaves_its_items_to_the_others() -> None:
    ground = Ground(rate=8).connect()
    ground.pool.subscribe("0B", *items(450))
    ground.pool.subscribe("00")
    ground.advance(5)
    before = ground.held()
    ground.events.clear()

    ground.exchange.kick(ground.link(1))
    ground.advance(5)

    assert in_order(ground)
    (lost,) = [event for event in ground.events if isinstance(event, MemberLost)]
    assert (lost.token_index, type(lost.closed.error)) == (1, TakenOver)
    assert "token 1" in str(lost)
    (unplaced,) = [event for event in ground.events if isinstance(event, Unplaced)]
    assert (len(unplaced.items), unplaced.token_index) == (50, 1)
    assert "R10001" in unplaced.reason
    assert ground.counts() == [200, 0, 200]
    assert {each.item for each in ground.pool.subscriptions if each.reason} == set(unplaced.items)
    after = ground.held()
    moved = {item for item in before if before[item] == [1]}
    assert {item for item, places in before.items() if after.get(item) != places} == moved, "few moves"
    (gap,) = [event for event in ground.events if isinstance(event, Gap)]
    assert (set(gap.items), gap.token_index) == (moved - set(unplaced.items), 1)
    assert gap.start < gap.end
    assert ground.pool.state is SessionState.READY

    # Room appears.
    ground.events.clear()
    ground.pool.unsubscribe("0B", *items(60))
    ground.advance(5)
    assert set(ground.held()) == set(items(390, start=61))
    assert not any(each.reason for each in ground.pool.subscriptions)
    (gap,) = [event for event in ground.events if isinstance(event, Gap)]
    assert set(gap.items) == set(unplaced.items) - set(items(60))
    assert gap.start < gap.end
    ground.events.clear()
    ground.advance(5)
    assert set(ground.rows()) == set(items(390, start=61))


def test_a_token_that_is_dead_lends_its_items_and_gets_back_what_nobody_had_room_for() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(450))
    ground.pool.subscribe("00")
    ground.advance(5)
    before = ground.held()
    ground.events.clear()

    ground.networks[2].unreachable = "no route to host"
    ground.networks[2].reset()
    ground.advance(9.9)
    assert ground.counts() == [150, 150, 0], "it may be back any moment"
    ground.advance(3)

    assert ground.counts() == [200, 200, 0]
    (unplaced,) = [event for event in ground.events if isinstance(event, Unplaced)]
    assert len(unplaced.items) == 50
    assert unplaced.reason == "token 2: no connection for 10 s"
    reasons = {each.item: each.reason for each in ground.pool.subscriptions if each.reason}
    assert reasons == dict.fromkeys(unplaced.items, f"no token has room for it: {unplaced.reason}")
    (gap,) = [event for event in ground.events if isinstance(event, Gap)]
    assert (len(gap.items), gap.token_index) == (100, 2)
    moved = set(gap.items)

    ground.events.clear()
    ground.networks[2].unreachable = None
    ground.advance(10)
    after = ground.held()
    assert ground.counts() == [200, 200, 50]
    assert not any(each.reason for each in ground.pool.subscriptions)
    assert {item for item in after if after[item] != before[item]} == moved, "nothing moves back"
    assert [(event.items, event.token_index) for event in ground.events if isinstance(event, Gap)] == [((), 2)]
    assert in_order(ground)
    assert ("00", "") in ground.link(2).pairs()


def test_a_token_that_is_back_in_time_keeps_everything() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(300))
    ground.advance(3)
    before = ground.held()
    ground.events.clear()

    ground.exchange.drop(ground.link(0))
    ground.advance(5)

    assert ground.held() == before
    assert [event.token_index for event in ground.events if isinstance(event, Disconnected | Gap)] == [0, 0]
    assert not [event for event in ground.events if isinstance(event, Unplaced | MemberLost)]


def test_when_all_are_away_everything_waits_where_it_is() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(300))
    ground.advance(3)
    before = ground.held()
    for network in ground.networks:
        network.unreachable = "no route to host"
        network.reset()
    ground.advance(60)
    assert ground.pool.state is not SessionState.CLOSED
    assert sum(len(event.items) for event in ground.events if isinstance(event, Unplaced)) == 300
    late = ground.pool.subscribe("0B", "000999")

    for network in ground.networks:
        network.unreachable = None
    ground.advance(10)

    after = ground.held()
    assert set(after) == {*before, "000999"}
    assert {len(places) for places in after.values()} == {1}
    assert late in [event.request for event in ground.events if isinstance(event, RequestAccepted)]


def test_a_refused_token_does_not_stop_the_others() -> None:
    ground = Ground(tokens={"token-a": "app-a", "token-c": "app-c"})
    for member, token in zip(ground.pool.members, TOKENS, strict=True):
        member.connect(token)
    request = ground.pool.subscribe("0B", *items(400))
    ground.advance(4)

    (lost,) = [event for event in ground.events if isinstance(event, MemberLost)]
    assert (lost.token_index, type(lost.closed.error)) == (1, LoginRefused)
    assert len(ground.held()) == 400
    assert request in [event.request for event in ground.events if isinstance(event, RequestAccepted)]
    assert not [event for event in ground.events if isinstance(event, Gap | Unplaced)], "nothing had been registered"
    assert in_order(ground)


def test_a_call_that_no_room_is_left_for_is_refused() -> None:
    ground = Ground(tokens={"token-a": "app-a", "token-c": "app-c"})
    for member, token in zip(ground.pool.members, TOKENS, strict=True):
        member.connect(token)
    small = ground.pool.subscribe("0B", *items(300))
    large = ground.pool.subscribe("0D", *items(300, start=1001))
    ground.advance(4)

    refused = {event.request: event.message for event in ground.events if isinstance(event, RequestRefusal)}
    accepted = [event.request for event in ground.events if isinstance(event, RequestAccepted)]
    assert {*refused, *accepted} == {small, large}
    assert set(refused.values()) == {"no token has room for all of it any more"}
    assert len(ground.held()) == 300 * len(accepted)


def test_it_ends_when_the_last_token_is_lost_and_names_all_reasons() -> None:
    ground = Ground().connect()
    waiting = ground.pool.subscribe("0B", *items(30))
    ground.advance(1)
    ground.events.clear()
    for index in range(3):
        ground.exchange.kick(ground.link(index))
        ground.advance(0.1)

    assert [type(event) for event in ground.events if isinstance(event, MemberLost | Closed)] == [
        MemberLost,
        MemberLost,
        Closed,
    ]
    closed = ground.events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, PoolLost)
    assert [type(error) for error in closed.error.errors] == [TakenOver] * 3
    assert all(f"token {index}: the same app key" in str(closed.error) for index in range(3))
    assert ground.pool.state is SessionState.CLOSED
    assert ground.pool.next_timeout() is None
    with pytest.raises(LocalProtocolError, match="the pool is closed"):
        ground.pool.subscribe("0B", "000001")
    ground.pool.withdraw(waiting)
    assert in_order(ground)


def test_closing_closes_all_and_says_nothing_was_wrong() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(30))
    ground.advance(1)
    ground.events.clear()

    ground.pool.close()
    assert ground.pool.state is SessionState.CLOSING
    ground.advance(1)

    (closed,) = ground.take(Closed)
    assert closed.error is None
    assert not ground.exchange.links


def test_a_pool_of_one_ends_as_a_session_does() -> None:
    ground = Ground(size=1).connect()
    ground.exchange.kick(ground.link(0))
    ground.advance(1)

    (closed,) = ground.take(Closed)
    assert isinstance(closed.error, TakenOver)


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_its_size_is_a_number_of_tokens(size: Any) -> None:
    with pytest.raises(LocalProtocolError, match="size: must be a whole number above 0"):
        Pool(PRODUCTION, size, clock=ManualClock(), random=lambda: 0.5)


def test_silence_is_reported_by_the_member_that_has_the_item() -> None:
    ground = Ground(rate=0.001).connect()
    ground.pool.subscribe("0B", *items(3), fresh_within=5)
    ground.pool.subscribe("0B", "000002", fresh_within=2)
    ground.advance(3)
    assert [(event.item, event.seconds) for event in ground.take(Stale)] == [("000002", 2)]
    ground.advance(3)
    assert {event.item for event in ground.take(Stale)} == {"000001", "000003"}


# Transient items.


def test_transient_items_are_evicted_wherever_there_is_need() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(100), transient=True)
    ground.pool.subscribe("0B", *items(480, start=101))
    ground.advance(5)

    ground.pool.subscribe("0B", *items(30, start=1001))
    ground.advance(5)

    (evicted,) = ground.take(Evicted)
    assert evicted.items == tuple(items(10))
    assert set(ground.held()) == {*items(570, start=11), *items(30, start=1001)}
    assert ground.counts() == [200, 200, 200]


def test_transient_items_make_room_for_those_of_a_lost_token() -> None:
    ground = Ground().connect()
    ground.pool.subscribe("0B", *items(300), transient=True)
    ground.pool.subscribe("0B", *items(300, start=301))
    ground.advance(5)
    pinned = set(items(300, start=301))

    ground.exchange.kick(ground.link(0))
    ground.advance(5)

    evicted = {item for event in ground.events if isinstance(event, Evicted) for item in event.items}
    unplaced = {item for event in ground.events if isinstance(event, Unplaced) for item in event.items}
    assert pinned <= set(ground.held())
    assert not (evicted | unplaced) & pinned
    assert set(ground.held()) == set(items(600)) - evicted - unplaced
    assert len(ground.held()) == 400


# Condition searches.


def test_condition_searches_move_with_the_requests_that_callers_hold() -> None:
    ground = Ground(rate=20).connect()
    listing = ground.pool.list_conditions()
    live = ground.pool.search_condition("1", realtime=True)
    ground.advance(2)
    assert [event.request for event in ground.events if isinstance(event, ConditionList)] == [listing]
    assert [event.request for event in ground.events if isinstance(event, ConditionResult)] == [live]
    assert [bool(link.live) for link in ground.exchange.links] == [True, False, False]
    assert [each.item for each in ground.pool.subscriptions] == ["1"]
    ground.events.clear()

    ground.exchange.kick(ground.link(0))
    ground.advance(3)

    assert [bool(link.live) for link in ground.exchange.links] == [True, False]
    assert [event.request for event in ground.events if isinstance(event, ConditionResult)] == [live]
    assert not [event for event in ground.events if isinstance(event, RequestAccepted)], "it was accepted before"
    ground.events.clear()
    ground.advance(20)
    assert {event.token_index for event in ground.events if isinstance(event, ConditionHit)} == {1}
    cleared = ground.pool.clear_condition("1")
    ground.advance(1)
    assert cleared in [event.request for event in ground.events if isinstance(event, RequestAccepted)]
    assert not any(link.live for link in ground.exchange.links)
    ground.exchange.kick(ground.link(1))
    ground.advance(1)
    assert not any(link.live for link in ground.exchange.links)


def test_a_search_that_is_withdrawn_is_cleared_where_it_is() -> None:
    ground = Ground().connect()
    live = ground.pool.search_condition("1", realtime=True)
    ground.advance(2)
    ground.exchange.kick(ground.link(0))
    ground.advance(3)
    assert any(link.live for link in ground.exchange.links)

    ground.pool.withdraw(live)
    ground.advance(1)

    assert not any(link.live for link in ground.exchange.links)


def test_each_login_says_whose_it_is() -> None:
    ground = Ground().connect()
    assert [event.token_index for event in ground.take(LoggedIn)] == [0, 1, 2]
    assert ground.pool.epoch == 3

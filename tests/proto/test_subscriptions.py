"""Subscriptions: what is wanted, what the server was told of it, and the messages that make up the difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import LocalProtocolError, MessageDecoder, Record
from kiwoom_proto.errors import QuotaExceeded
from kiwoom_proto.request import Key
from kiwoom_proto.session.lifecycle import SubscriptionState
from kiwoom_proto.session.quota import Quota
from kiwoom_proto.session.subscriptions import Subscriptions
from kiwoom_proto.wire.messages import Element, Reg, Remove, UsItem, check, keys_of

from .wire import real

WANTED, SENT, CONFIRMED, RECEIVING, REFUSED, LEAVING = SubscriptionState
X, Y, Z = ("1", "0B", "005930"), ("1", "0B", "000660"), ("1", "0D", "005930")
ORDERS: Key = ("1", "00", "")


def made(limit: int = 200, size: int = 100) -> Subscriptions:
    return Subscriptions(Quota(limit), size)


def keys(count: int, *types: str, group: str = "1", first: int = 0) -> list[Key]:
    """So many items, each for these types, in the order that a caller names them: type by type."""
    return [(group, type, f"{number:06}") for type in types or ("0B",) for number in range(first, first + count)]


def row(type: str, item: str, **values: str) -> Record:
    (record,) = MessageDecoder().decode(real((type, item, values or {"10": "+1"})))
    assert isinstance(record, Record)
    return record


def state(subscriptions: Subscriptions, key: Key) -> SubscriptionState | None:
    """How far one has come; None: it is not known."""
    found = {(one.group, one.type, one.item): one.state for one in subscriptions.snapshot()}
    return found.get(key)


def plan(subscriptions: Subscriptions) -> Reg | Remove:
    message = subscriptions.plan()
    assert message is not None
    return message


def said(message: Reg | Remove) -> tuple[str, set[Key]]:
    return type(message).__name__, set(keys_of((message,)))


def drain(subscriptions: Subscriptions) -> list[Reg | Remove]:
    """Every message until there is nothing more to say, each acknowledged."""
    messages = []
    while (message := subscriptions.plan()) is not None:
        messages.append(message)
        subscriptions.accept()
    return messages


def confirmed(*wanted: Key, **options: Any) -> Subscriptions:
    subscriptions = made(**options)
    subscriptions.add_consumer(wanted)
    drain(subscriptions)
    return subscriptions


# How far each has come.


def test_a_subscription_is_wanted_sent_confirmed_receiving() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    assert state(subscriptions, X) is WANTED
    assert not subscriptions.is_settled
    assert said(plan(subscriptions)) == ("Reg", {X})
    assert state(subscriptions, X) is SENT
    assert not subscriptions.is_settled
    assert not subscriptions.is_registration_settled(X)
    subscriptions.accept()
    assert state(subscriptions, X) is CONFIRMED
    assert subscriptions.is_registration_settled(X)
    assert subscriptions.is_settled
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    assert state(subscriptions, X) is RECEIVING
    assert subscriptions.is_registration_settled(X)


def test_a_registration_keeps_earlier_ones() -> None:
    """refresh "0" would drop more than was ever measured."""
    subscriptions = confirmed(X)
    subscriptions.add_consumer([Y])
    message = plan(subscriptions)
    assert isinstance(message, Reg)
    assert message.refresh == "1"


def test_a_row_may_come_before_the_acknowledgement() -> None:
    """It is remembered, and is no acknowledgement."""
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    assert state(subscriptions, X) is SENT
    assert not subscriptions.is_registration_settled(X)
    subscriptions.accept()
    assert state(subscriptions, X) is RECEIVING
    assert subscriptions.is_registration_settled(X)


def test_a_refusal_is_kept_with_its_reason_and_not_asked_again() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.refuse("105115: too many")
    assert state(subscriptions, X) is REFUSED
    assert subscriptions.refusal_reason(X) == subscriptions.snapshot()[0].reason == "105115: too many"
    assert subscriptions.is_registration_settled(X)
    assert subscriptions.plan() is None
    assert subscriptions.is_settled


def test_a_refused_one_is_asked_again_where_somebody_asks_anew() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.refuse("105111")
    subscriptions.add_consumer([X])
    assert state(subscriptions, X) is WANTED
    assert subscriptions.refusal_reason(X) == ""
    assert said(plan(subscriptions)) == ("Reg", {X})


def test_a_refused_one_that_nobody_wants_is_forgotten() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.refuse("105111")
    subscriptions.drop_consumer([X])
    assert subscriptions.snapshot() == ()
    assert subscriptions.refusal_reason(X) == ""
    assert subscriptions.plan() is None


def test_one_that_is_no_longer_wanted_is_leaving_until_it_is_removed() -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([X])
    assert state(subscriptions, X) is LEAVING
    assert not subscriptions.is_removal_settled(X)
    assert not subscriptions.is_settled
    assert said(plan(subscriptions)) == ("Remove", {X})
    assert state(subscriptions, X) is LEAVING
    subscriptions.accept()
    assert subscriptions.snapshot() == ()
    assert subscriptions.is_removal_settled(X)
    assert subscriptions.is_settled


def test_a_refused_removal_is_not_repeated() -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([X])
    plan(subscriptions)
    subscriptions.refuse("105111")
    assert subscriptions.snapshot() == ()
    assert subscriptions.plan() is None


def test_one_message_at_a_time() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.add_consumer([Y])
    assert subscriptions.plan() is None
    subscriptions.accept()
    assert said(plan(subscriptions)) == ("Reg", {Y})


# Consumers.


def test_what_two_want_stays_until_both_have_let_go() -> None:
    subscriptions = confirmed(X)
    subscriptions.add_consumer([X])
    assert subscriptions.plan() is None, "it is registered"
    assert subscriptions.snapshot()[0].consumers == 2
    subscriptions.drop_consumer([X])
    assert subscriptions.plan() is None
    assert state(subscriptions, X) is CONFIRMED
    assert subscriptions.is_removal_settled(X), "for the one who let go"
    subscriptions.drop_consumer([X])
    assert said(plan(subscriptions)) == ("Remove", {X})


def test_letting_go_of_what_nobody_wanted_changes_nothing() -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([Y])
    assert subscriptions.is_removal_settled(Y)
    subscriptions.drop_consumer([X])
    subscriptions.drop_consumer([X])
    subscriptions.add_consumer([X])
    assert subscriptions.snapshot()[0].consumers == 1


def test_let_go_before_it_was_sent_it_is_never_sent() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X, Y])
    subscriptions.drop_consumer([X])
    assert state(subscriptions, X) is None
    assert [said(message) for message in drain(subscriptions)] == [("Reg", {Y})]


def test_let_go_while_it_is_sent_it_is_removed_once_it_is_acknowledged() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X, Y])
    plan(subscriptions)
    subscriptions.drop_consumer([X])
    assert state(subscriptions, X) is LEAVING
    assert not subscriptions.is_removal_settled(X)
    assert subscriptions.plan() is None
    subscriptions.accept()
    assert (state(subscriptions, X), state(subscriptions, Y)) == (LEAVING, CONFIRMED)
    assert [said(message) for message in drain(subscriptions)] == [("Remove", {X})]
    assert subscriptions.is_removal_settled(X)


def test_let_go_while_it_is_sent_and_refused_it_is_forgotten() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.drop_consumer([X])
    subscriptions.refuse("105115")
    assert subscriptions.snapshot() == ()
    assert subscriptions.plan() is None


@pytest.mark.parametrize("accepted", [True, False])
def test_let_go_after_a_row_that_came_before_the_acknowledgement(accepted: bool) -> None:
    """The same: it is not removed before it is acknowledged, and where it is refused there is nothing to remove."""
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    subscriptions.drop_consumer([X])
    if accepted:
        subscriptions.accept()
    else:
        subscriptions.refuse("105118")
    assert [said(message) for message in drain(subscriptions)] == ([("Remove", {X})] if accepted else [])
    assert subscriptions.snapshot() == ()


def test_wanted_again_while_it_is_sent_it_stays() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.drop_consumer([X])
    subscriptions.add_consumer([X])
    assert state(subscriptions, X) is SENT
    subscriptions.accept()
    assert state(subscriptions, X) is CONFIRMED
    assert subscriptions.plan() is None
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    assert state(subscriptions, X) is RECEIVING


def test_wanted_again_before_the_removal_is_sent_it_stays_registered() -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([X])
    subscriptions.add_consumer([X])
    assert state(subscriptions, X) is CONFIRMED
    assert subscriptions.plan() is None
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    assert state(subscriptions, X) is RECEIVING


@pytest.mark.parametrize("accepted", [True, False])
def test_wanted_again_while_its_removal_is_sent_it_is_registered_anew(accepted: bool) -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([X])
    plan(subscriptions)
    subscriptions.add_consumer([X])
    assert not subscriptions.is_registration_settled(X)
    assert subscriptions.is_removal_settled(X), "for the one who let go: somebody else wants it"
    assert subscriptions.plan() is None
    if accepted:
        subscriptions.accept()
    else:
        subscriptions.refuse("105111")
    assert state(subscriptions, X) is WANTED
    assert [said(message) for message in drain(subscriptions)] == [("Reg", {X})]
    assert state(subscriptions, X) is CONFIRMED


def test_wanted_again_and_let_go_again_while_its_removal_is_sent() -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([X])
    plan(subscriptions)
    subscriptions.add_consumer([X])
    subscriptions.drop_consumer([X])
    subscriptions.accept()
    assert subscriptions.snapshot() == ()
    assert subscriptions.plan() is None


# The next message.


def test_every_type_of_an_item_goes_with_it() -> None:
    """200 items for 3 types: two messages of one element each."""
    subscriptions = made()
    subscriptions.add_consumer(keys(200, "0B", "0D", "0E"))
    messages = drain(subscriptions)
    assert [len(message.data) for message in messages] == [1, 1]
    assert [len(message.data[0].item) for message in messages] == [100, 100]
    assert all(message.data[0].type == ("0B", "0D", "0E") for message in messages)


def test_items_of_the_same_types_share_an_element() -> None:
    subscriptions = made()
    subscriptions.add_consumer([*keys(3, "0B"), *keys(2, "0D")])
    (message,) = drain(subscriptions)
    assert message.data == (Element(("000000", "000001"), ("0B", "0D")), Element(("000002",), ("0B",)))


def test_items_of_the_same_types_share_an_element_in_whatever_order_the_types_were_asked_for() -> None:
    subscriptions = made()
    subscriptions.add_consumer([("1", "0B", "1"), ("1", "0D", "2"), ("1", "0D", "1"), ("1", "0B", "2")])
    (message,) = drain(subscriptions)
    assert message.data == (Element(("1", "2"), ("0B", "0D")),)


def test_no_more_items_in_a_message_than_configured() -> None:
    subscriptions = made(size=3)
    subscriptions.add_consumer(keys(8, "0B", "0D"))
    messages = drain(subscriptions)
    assert [len({item for _, _, item in keys_of((message,))}) for message in messages] == [3, 3, 2]


def test_the_order_is_that_asked_for() -> None:
    subscriptions = made(size=2)
    subscriptions.add_consumer([("1", "0B", item) for item in ("5", "3", "9", "1")])
    assert [message.data[0].item for message in drain(subscriptions)] == [("5", "3"), ("9", "1")]


def test_a_message_is_of_one_group() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X, ("2", "0B", "005930"), Y])
    assert [(message.grp_no, said(message)[1]) for message in drain(subscriptions)] == [
        ("1", {X, Y}),
        ("2", {("2", "0B", "005930")}),
    ]


@pytest.mark.parametrize("type", ["00", "04", "F4", "F5"])
def test_the_account_goes_first(type: str) -> None:
    """Before market data that was asked for earlier, in its own group or another."""
    for group in "1", "2":
        subscriptions = made(size=2)
        subscriptions.add_consumer(keys(4, "0B"))
        assert not subscriptions.is_urgent
        account: Key = (group, type, "")
        subscriptions.add_consumer([account])
        assert subscriptions.is_urgent
        first = plan(subscriptions)
        assert account in keys_of((first,))
        assert not subscriptions.is_urgent


def test_the_account_and_market_data_of_its_group_share_a_message() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X, ORDERS])
    (message,) = drain(subscriptions)
    assert said(message)[1] == {X, ORDERS}
    assert Element(("",), ("00",)) in message.data


def test_what_makes_room_goes_before_market_data() -> None:
    subscriptions = confirmed(*keys(200))
    subscriptions.drop_consumer(keys(100))
    subscriptions.add_consumer(keys(100, first=500))
    assert [said(message) for message in drain(subscriptions)] == [
        ("Remove", set(keys(100))),
        ("Reg", set(keys(100, first=500))),
    ]


def test_the_account_does_not_wait_for_what_makes_room() -> None:
    subscriptions = confirmed(X)
    subscriptions.drop_consumer([X])
    subscriptions.add_consumer([("2", "00", "")])
    assert [said(message)[0] for message in drain(subscriptions)] == ["Reg", "Remove"]


def test_the_account_takes_no_market_data_past_what_makes_room() -> None:
    """Or the server would have too many for a moment, and refuse the account with them (105115)."""
    subscriptions = confirmed(*keys(200))
    subscriptions.drop_consumer(keys(100))
    subscriptions.add_consumer([*keys(100, first=500), ORDERS])
    assert [said(message) for message in drain(subscriptions)] == [
        ("Reg", {ORDERS}),
        ("Remove", set(keys(100))),
        ("Reg", set(keys(100, first=500))),
    ]


def test_a_removal_never_takes_with_it_what_is_still_wanted() -> None:
    """0B of 005930 leaves and so does 0D of 000660: two elements, or their other types would go as well."""
    subscriptions = confirmed(X, Y, Z, ("1", "0D", "000660"))
    subscriptions.drop_consumer([X, ("1", "0D", "000660")])
    (message,) = drain(subscriptions)
    assert said(message) == ("Remove", {X, ("1", "0D", "000660")})
    assert {(one.type, one.item) for one in subscriptions.snapshot()} == {("0B", "000660"), ("0D", "005930")}


_KEYS = st.tuples(
    st.sampled_from(["1", "2"]),
    st.sampled_from(["00", "0B", "0D", "0E", "1h"]),
    st.sampled_from(["", "005930", "000660", "005930_NX", "039490", "035720_AL"]),
)


@given(st.lists(_KEYS, max_size=30), st.lists(_KEYS, max_size=20), st.integers(1, 4))
def test_what_is_planned_is_exactly_what_is_pending(wanted: list[Key], let_go: list[Key], size: int) -> None:
    """An element is all of its items for all of its types: none may name a pair that nobody asked for."""
    subscriptions = made(size=size)
    subscriptions.add_consumer(dict.fromkeys(wanted))
    messages = drain(subscriptions)
    assert sorted(key for message in messages for key in keys_of((message,))) == sorted(set(wanted))
    subscriptions.drop_consumer(dict.fromkeys(let_go))
    removals = drain(subscriptions)
    gone = set(wanted) & set(let_go)
    assert sorted(key for message in removals for key in keys_of((message,))) == sorted(gone)
    for message in messages + removals:
        check(message)
        assert len({item for _, _, item in keys_of((message,)) if item}) <= size
        pairs = [key for element in message.data for key in keys_of((Reg(message.grp_no, "1", (element,)),))]
        assert len(pairs) == len(set(pairs)), "nothing is named twice"
    assert {(one.group, one.type, one.item) for one in subscriptions.snapshot()} == set(wanted) - gone


@given(
    st.lists(
        st.tuples(st.sampled_from(["want", "release", "plan", "accept", "refuse", "row", "lost"]), _KEYS), max_size=60
    )
)
def test_whatever_happens_the_server_ends_up_with_what_is_wanted(steps: list[tuple[str, Key]]) -> None:
    """A server that does as it is told, and refuses now and then; and a reference count for each key."""
    subscriptions = made(size=2)
    counts: dict[Key, int] = {}
    server: set[Key] = set()
    in_flight: Reg | Remove | None = None

    def answer(accepted: bool) -> None:
        nonlocal in_flight
        assert in_flight is not None
        if not accepted:
            subscriptions.refuse("no")
        else:
            (server.update if isinstance(in_flight, Reg) else server.difference_update)(keys_of((in_flight,)))
            subscriptions.accept()
        in_flight = None

    refused = set()
    for step, key in steps:
        if step == "want":
            counts[key] = counts.get(key, 0) + 1
            refused.discard(key)
            subscriptions.add_consumer([key])
        elif step == "release":
            counts[key] = max(0, counts.get(key, 0) - 1)
            subscriptions.drop_consumer([key])
        elif step == "plan" and in_flight is None:
            in_flight = subscriptions.plan()
        elif step == "accept" and in_flight is not None:
            answer(True)
        elif step == "refuse" and isinstance(in_flight, Reg):
            refused.update(keys_of((in_flight,)))
            answer(False)
        elif step == "row":
            subscriptions.freshness.note_rows([row(key[1], key[2])], 1.0)
        elif step == "lost":
            in_flight = None
            server.clear()
            refused.clear()
            subscriptions.connection_lost()
    if in_flight is not None:
        answer(True)
    while (in_flight := subscriptions.plan()) is not None:
        answer(True)
    wanted = {key for key, count in counts.items() if count}
    assert subscriptions.is_settled
    assert server <= wanted
    assert wanted - server <= refused
    assert {(one.group, one.type, one.item): one.consumers for one in subscriptions.snapshot()} == {
        key: counts[key] for key in wanted
    }


# Quota.


def refused_by(subscriptions: Subscriptions, wanted: Iterable[Key], **options: Any) -> QuotaExceeded:
    """What `want` is refused with; nothing has changed."""
    before = subscriptions.snapshot()
    with pytest.raises(QuotaExceeded) as caught:
        subscriptions.add_consumer(wanted, **options)
    assert subscriptions.snapshot() == before
    assert subscriptions.plan() is None
    return caught.value


def test_no_more_items_than_a_connection_may_have() -> None:
    subscriptions = confirmed(*keys(200))
    error = refused_by(subscriptions, keys(3, first=199))
    assert (error.limit, error.used, error.asked) == (200, 200, 2)
    assert str(error) == (
        "items: 200 of 200 are in use and 2 more were asked for, 2 too many (ClientConfig.item_limit; a stock counts "
        "once for each of KRX, NXT and SOR, however many types it has): subscribe to fewer items, or pass several app "
        "keys: token=[key, other]"
    )
    assert isinstance(error, LocalProtocolError)


def test_the_limit_is_the_configured_one() -> None:
    assert refused_by(confirmed(*keys(2), limit=3), keys(2, first=7)).limit == 3


def test_the_error_says_where_the_limit_comes_from() -> None:
    assert refused_by(made(limit=1), keys(2)).source == "ClientConfig.item_limit"
    subscriptions = Subscriptions(Quota(1, is_chosen=False), 100)
    error = refused_by(subscriptions, keys(2))
    assert error.source == "Endpoint.item_limit"
    assert "1 too many (Endpoint.item_limit; a stock" in str(error)


@pytest.mark.parametrize(
    ("is_chosen", "own", "named", "limit"),
    [
        (False, 200, 100, 100),
        (False, 100, 200, 200),
        (True, 200, 100, 100),
        (True, 50, 100, 50),
    ],
)
def test_a_limit_that_the_server_named_counts_unless_the_user_s_own_is_lower(
    is_chosen: bool, own: int, named: int, limit: int
) -> None:
    subscriptions = Subscriptions(Quota(own, is_chosen=is_chosen), 100)
    subscriptions.quota.learn("105115", f"({named})")
    error = refused_by(subscriptions, keys(limit + 1))
    assert error.limit == limit
    assert error.source == (
        "named by the server in its refusal 105115" if limit == named else "ClientConfig.item_limit"
    )
    subscriptions.add_consumer(keys(limit))


def test_a_limit_of_each_group_that_the_server_named_counts_beside_that_of_all() -> None:
    subscriptions = Subscriptions(Quota(10, is_chosen=False), 100)
    subscriptions.quota.learn("105118", "(4)")
    subscriptions.add_consumer(keys(3, "0B", "0D"))
    subscriptions.add_consumer(keys(4, group="2", first=10))
    subscriptions.add_consumer([ORDERS])
    drain(subscriptions)
    error = refused_by(subscriptions, keys(3, first=2))
    assert (error.limit, error.used, error.asked, error.group) == (4, 3, 2, "1")
    assert str(error).startswith(
        "items of group 1: 3 of 4 are in use and 2 more were asked for, 1 too many (named by the server in its refusal "
        "105118; a stock counts once"
    )
    assert refused_by(subscriptions, keys(4, group="3", first=20)).group == ""
    subscriptions.add_consumer(keys(4, group="1", first=7), instead_of=tuple(keys(3, "0B", "0D")))


def test_a_limit_below_what_is_wanted_already_refuses_only_what_is_new() -> None:
    subscriptions = confirmed(*keys(8), limit=10)
    subscriptions.quota.learn("105115", "(5)")
    error = refused_by(subscriptions, keys(1, first=9))
    assert (error.limit, error.used, error.asked) == (5, 8, 1)
    subscriptions.drop_consumer(keys(4))
    drain(subscriptions)
    subscriptions.add_consumer(keys(1, first=9))


def test_a_stock_counts_once_for_each_venue() -> None:
    subscriptions = made(limit=2)
    subscriptions.add_consumer([("1", "0B", "005930"), ("1", "0B", "005930_NX")])
    drain(subscriptions)
    assert refused_by(subscriptions, [("1", "0B", "005930_AL")]).used == 2


def test_types_are_free() -> None:
    subscriptions = made(limit=1)
    subscriptions.add_consumer(keys(1, "0B", "0D", "0E"))
    subscriptions.add_consumer(keys(1, "0F", "0H"))
    assert len(subscriptions.snapshot()) == 5


def test_account_wide_registrations_are_free() -> None:
    subscriptions = made(limit=1)
    subscriptions.add_consumer([X])
    subscriptions.add_consumer([ORDERS, ("1", "04", ""), ("1", "0s", "")])
    assert len(subscriptions.snapshot()) == 4


def test_an_item_in_two_groups_counts_once() -> None:
    subscriptions = made(limit=1)
    subscriptions.add_consumer([X])
    subscriptions.add_consumer([("2", "0D", "005930")])
    subscriptions.drop_consumer([X])
    drain(subscriptions)
    assert refused_by(subscriptions, [Y]).used == 1
    subscriptions.drop_consumer([("2", "0D", "005930")])
    subscriptions.add_consumer([Y])
    assert state(subscriptions, Y) is WANTED


def test_what_was_let_go_frees_its_place() -> None:
    subscriptions = confirmed(*keys(200))
    subscriptions.drop_consumer(keys(1))
    subscriptions.add_consumer(keys(1, first=777))
    assert len([one for one in subscriptions.snapshot() if one.consumers]) == 200


def test_what_a_second_consumer_wants_takes_no_place() -> None:
    subscriptions = confirmed(X, limit=1)
    subscriptions.add_consumer([X])
    subscriptions.drop_consumer([X])
    drain(subscriptions)
    assert refused_by(subscriptions, [Y]).used == 1


def test_what_is_wanted_instead_of_other_things_may_take_their_places() -> None:
    subscriptions = confirmed(*keys(200))
    others = subscriptions.others_in_groups(keys(200, first=200))
    subscriptions.add_consumer(keys(200, first=200), instead_of=others)
    assert [said(message)[0] for message in drain(subscriptions)] == ["Remove", "Remove", "Reg", "Reg"]
    assert {one.item for one in subscriptions.snapshot()} == {item for _, _, item in keys(200, first=200)}


def test_a_place_is_not_freed_by_what_another_group_still_wants() -> None:
    subscriptions = made(limit=2)
    subscriptions.add_consumer([X, Y])
    subscriptions.add_consumer([("2", "0B", "005930")])
    drain(subscriptions)
    others = subscriptions.others_in_groups([("1", "0B", "7")])
    error = refused_by(subscriptions, [("1", "0B", "7"), ("1", "0B", "8")], instead_of=others)
    assert (error.used, error.asked) == (1, 2)
    subscriptions.add_consumer([("1", "0B", "7")], instead_of=others)
    assert {(one.group, one.item) for one in subscriptions.snapshot() if one.consumers} == {("1", "7"), ("2", "005930")}


def test_the_others_of_a_group_are_counted_once_for_each_consumer() -> None:
    subscriptions = confirmed(X, Y, ("2", "0B", "9"))
    subscriptions.add_consumer([X])
    assert sorted(subscriptions.others_in_groups([Y])) == [X, X]
    assert subscriptions.others_in_groups([X, Y]) == ()
    subscriptions.add_consumer([Y], instead_of=subscriptions.others_in_groups([Y]))
    assert said(plan(subscriptions)) == ("Remove", {X})


# The connection is lost.


def test_everything_wanted_is_sent_again_and_nothing_else() -> None:
    subscriptions = confirmed(X, Y, Z)
    subscriptions.freshness.note_rows([row("0B", "000660")], 1.0)
    subscriptions.drop_consumer([X])
    subscriptions.add_consumer([ORDERS])
    subscriptions.connection_lost()
    assert [one.state for one in subscriptions.snapshot()] == [WANTED] * 3
    assert subscriptions.is_removal_settled(X)
    (message,) = drain(subscriptions)
    assert said(message) == ("Reg", {ORDERS, Y, Z})


@pytest.mark.parametrize("message", ["Reg", "Remove"])
def test_a_message_that_was_lost_is_not_waited_for(message: str) -> None:
    subscriptions = confirmed(X)
    if message == "Reg":
        subscriptions.add_consumer([Y])
    else:
        subscriptions.drop_consumer([X])
        subscriptions.add_consumer([Y], fresh_within=5)
    assert said(plan(subscriptions))[0] == message
    subscriptions.connection_lost()
    assert [said(message) for message in drain(subscriptions)] == [("Reg", {X, Y} if message == "Reg" else {Y})]


def test_what_was_refused_is_asked_again_on_the_next_connection() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    subscriptions.refuse("105115")
    subscriptions.connection_lost()
    assert subscriptions.refusal_reason(X) == ""
    assert said(plan(subscriptions)) == ("Reg", {X})


def test_what_was_let_go_while_away_does_not_come_back() -> None:
    subscriptions = confirmed(X, Y)
    subscriptions.connection_lost()
    subscriptions.drop_consumer([X])
    assert subscriptions.is_removal_settled(X)
    assert [said(message) for message in drain(subscriptions)] == [("Reg", {Y})]


def test_registrations_of_different_calls_come_back_in_as_few_messages_as_possible() -> None:
    subscriptions = made()
    for number in range(150):
        subscriptions.add_consumer(keys(1, "0B", first=number))
        subscriptions.add_consumer(keys(1, "0D", first=number))
        drain(subscriptions)
    subscriptions.add_consumer([ORDERS])
    subscriptions.connection_lost()
    messages = drain(subscriptions)
    assert [len(message.data) for message in messages] == [2, 1]
    assert ORDERS in keys_of((messages[0],))


# Rows.


@pytest.mark.parametrize(
    ("registered", "type", "item"),
    [
        (("1", "0B", "005930"), "0B", "005930"),
        (("1", "0B", "005930_NX"), "0B", "005930_NX"),
        (("7", "00", ""), "00", "005930"),
        (("1", "04", ""), "04", ""),
        (("1", "00", "005930"), "00", "000660"),
        (("1", "00", "005930"), "00", ""),
        (("1", "F5", "NVDA:ND"), "F5", "AAPL"),
        (("1", "0s", ""), "0s", ""),
        (("1", "1h", ""), "1h", "005930"),
        (("1", "0I", "MGD"), "0I", "MGU"),
        (("1", "FE", "NVDA:ND"), "FE", "NVDA"),
    ],
)
def test_a_row_is_credited_to_what_registered_it(registered: Key, type: str, item: str) -> None:
    subscriptions = confirmed(registered)
    assert subscriptions.freshness.is_watching
    subscriptions.freshness.note_rows([row(type, item)], 1.0)
    assert state(subscriptions, registered) is RECEIVING
    assert not subscriptions.freshness.is_watching, "there is nothing more to learn"


@pytest.mark.parametrize(
    ("registered", "type", "item"),
    [
        (("1", "0B", "005930"), "0B", "000660"),
        (("1", "0B", "005930"), "0D", "005930"),
        (("1", "0B", "005930_NX"), "0B", "005930"),
        (("1", "0B", "005930"), "0B", "005930_AL"),
    ],
)
def test_a_row_is_not_credited_to_anything_else(registered: Key, type: str, item: str) -> None:
    subscriptions = confirmed(registered)
    subscriptions.freshness.note_rows([row(type, item)], 1.0)
    assert state(subscriptions, registered) is CONFIRMED
    assert subscriptions.freshness.is_watching


def test_a_row_is_credited_to_every_group_that_registered_it() -> None:
    subscriptions = confirmed(X, ("2", "0B", "005930"))
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    assert [one.state for one in subscriptions.snapshot()] == [RECEIVING, RECEIVING]


@pytest.mark.parametrize("how", ["let go", "refused", "lost"])
def test_a_row_of_what_is_not_registered_changes_nothing(how: str) -> None:
    subscriptions = made()
    subscriptions.add_consumer([X])
    plan(subscriptions)
    if how == "let go":
        subscriptions.accept()
        subscriptions.drop_consumer([X])
    elif how == "refused":
        subscriptions.refuse("105115")
    else:
        subscriptions.connection_lost()
    before = subscriptions.snapshot()
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    assert subscriptions.snapshot() == before
    assert not subscriptions.freshness.is_watching


# Freshness.


def fresh(*limits: float, now: float = 100.0) -> Subscriptions:
    """One that is confirmed now, with a limit for each of its consumers."""
    subscriptions = made()
    for limit in limits:
        subscriptions.add_consumer([X], limit)
    drain(subscriptions)
    subscriptions.arm_freshness(now)
    return subscriptions


def stale(subscriptions: Subscriptions, now: float) -> Sequence[tuple[Key, float]]:
    return subscriptions.pop_stale(now)


def test_silence_beyond_the_limit_is_stale_once() -> None:
    subscriptions = fresh(5)
    assert subscriptions.freshness.next_timeout() == 105.0
    assert stale(subscriptions, 104.9) == []
    assert stale(subscriptions, 105.0) == [(X, 5)]
    assert subscriptions.freshness.next_timeout() is None
    assert stale(subscriptions, 1e9) == []


def test_it_can_be_stale_again_after_the_next_row() -> None:
    subscriptions = fresh(5)
    subscriptions.pop_stale(105.0)
    subscriptions.freshness.note_rows([row("0B", "005930")], 200.0)
    assert subscriptions.freshness.next_timeout() == 205.0
    assert stale(subscriptions, 204.0) == []
    assert stale(subscriptions, 205.0) == [(X, 5)]


def test_each_row_puts_it_off() -> None:
    subscriptions = fresh(5)
    for now in range(100, 150):
        subscriptions.freshness.note_rows([row("0B", "005930")], float(now))
        assert stale(subscriptions, now + 0.5) == []
    due = subscriptions.freshness.next_timeout()
    assert due is not None
    assert stale(subscriptions, due) == [], "asked too early, and told when to ask again"
    assert subscriptions.freshness.next_timeout() == 154.0
    assert stale(subscriptions, 154.0) == [(X, 5)]


def test_a_row_before_the_acknowledgement_starts_the_time() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X], 5)
    plan(subscriptions)
    subscriptions.freshness.note_rows([row("0B", "005930")], 100.0)
    subscriptions.accept()
    subscriptions.arm_freshness(103.0)
    assert subscriptions.freshness.next_timeout() == 105.0


def test_the_time_does_not_run_before_it_is_confirmed() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X], 5)
    subscriptions.arm_freshness(100.0)
    assert subscriptions.freshness.next_timeout() is None
    plan(subscriptions)
    subscriptions.arm_freshness(100.0)
    assert subscriptions.freshness.next_timeout() is None
    subscriptions.accept()
    subscriptions.arm_freshness(200.0)
    assert subscriptions.freshness.next_timeout() == 205.0


def test_the_shortest_limit_counts() -> None:
    assert fresh(9, 5, 7).freshness.next_timeout() == 105.0
    assert fresh(9, 5, 7).snapshot()[0].fresh_within == 5


def test_a_limit_that_a_later_consumer_sets_counts_from_then() -> None:
    subscriptions = confirmed(X)
    subscriptions.freshness.note_rows([row("0B", "005930")], 1.0)
    subscriptions.add_consumer([X], 5)
    subscriptions.arm_freshness(100.0)
    assert stale(subscriptions, 105.0) == [(X, 5)]


def test_watching_again_does_not_put_it_off() -> None:
    subscriptions = fresh(5)
    subscriptions.arm_freshness(104.0)
    assert subscriptions.freshness.next_timeout() == 105.0
    subscriptions.pop_stale(105.0)
    subscriptions.arm_freshness(106.0)
    assert subscriptions.freshness.next_timeout() is None, "it was said once"


def test_those_without_a_limit_are_never_stale() -> None:
    subscriptions = confirmed(X)
    subscriptions.arm_freshness(100.0)
    assert subscriptions.freshness.next_timeout() is None
    assert stale(subscriptions, 1e9) == []


@pytest.mark.parametrize("how", ["let go", "lost"])
def test_what_is_not_registered_is_not_stale(how: str) -> None:
    subscriptions = fresh(5)
    if how == "let go":
        subscriptions.drop_consumer([X])
    else:
        subscriptions.connection_lost()
    subscriptions.arm_freshness(101.0)
    assert subscriptions.freshness.next_timeout() is None
    assert stale(subscriptions, 1e9) == []


def test_the_limit_comes_back_with_the_registration() -> None:
    subscriptions = fresh(5)
    subscriptions.pop_stale(105.0)
    subscriptions.connection_lost()
    drain(subscriptions)
    subscriptions.arm_freshness(200.0)
    assert stale(subscriptions, 205.0) == [(X, 5)]


def test_several_are_stale_each_in_its_time() -> None:
    subscriptions = made()
    subscriptions.add_consumer([X], 5)
    subscriptions.add_consumer([Y], 8)
    drain(subscriptions)
    subscriptions.arm_freshness(100.0)
    assert stale(subscriptions, 105.0) == [(X, 5)]
    assert subscriptions.freshness.next_timeout() == 108.0
    subscriptions.freshness.note_rows([row("0B", "005930")], 106.0)
    assert stale(subscriptions, 108.0) == [(Y, 8)]
    assert subscriptions.freshness.next_timeout() == 111.0


# What messages name.


def test_the_keys_of_messages() -> None:
    messages: list[Reg | Remove] = [
        Reg("1", "1", (Element(("a", "b"), ("0B", "0D")), Element(("b",), ("0B",)))),
        Remove("2", (Element((UsItem("NVDA", "ND"),), ("FE",)),)),
    ]
    assert keys_of(messages) == (
        ("1", "0B", "a"),
        ("1", "0D", "a"),
        ("1", "0B", "b"),
        ("1", "0D", "b"),
        ("2", "FE", "NVDA:ND"),
    )

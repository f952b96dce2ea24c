"""EventBuffer: bounded, in order, and nothing that counts is ever dropped."""

from __future__ import annotations

import sys
import tracemalloc
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import REALTIME, AfterHoursQuote, Closed, Event, Record, Request, SystemNotice, UnknownMessage
from kiwoom_proto.client.buffer import BufferStats, EventBuffer
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.config import Overflow
from kiwoom_proto.events import RequestAccepted
from kiwoom_proto.request import RequestKind

POLICIES: tuple[Overflow, ...] = ("raise", "drop_oldest", "conflate")
LENIENT: tuple[Overflow, ...] = ("drop_oldest", "conflate")
TYPES_OF_WHICH_EVERY_ROW_COUNTS = ("00", "04", "F4", "F5", "02", "S2")

any_policy = pytest.mark.parametrize("policy", POLICIES)
any_lenient_policy = pytest.mark.parametrize("policy", LENIENT)


def quote(item: str, number: int, type_code: str = "0E") -> Record:
    """A row of market data; its number tells it from others."""
    return AfterHoursQuote(type_code, item, received_at=number)


def of_type(type_code: str, item: str, **members: Any) -> Record:
    """A row of any type."""
    return REALTIME.get(type_code, Record)(type_code, item, **members)


def never_dropped() -> list[Event]:
    """One of everything that no policy may drop."""
    return [
        *(of_type(code, "") for code in TYPES_OF_WHICH_EVERY_ROW_COUNTS),
        SystemNotice("R10001", ""),
        UnknownMessage(b"{]", ""),
        RequestAccepted(Request(RequestKind.REGISTER)),
        Closed(1006, "", None),
    ]


def add_up(stats: BufferStats) -> bool:
    return stats.received == stats.delivered + stats.dropped + stats.conflated + stats.waiting


@any_policy
def test_gives_back_what_was_put_in_in_order(policy: Overflow) -> None:
    buffer = EventBuffer(100, policy)
    events: list[Event] = [quote("005930", 1), SystemNotice("R10001", ""), quote("005930", 2)]
    buffer.put(events[:1])
    buffer.put(events[1:])
    assert len(buffer) == 3
    assert buffer.pop_all() == events
    assert len(buffer) == 0


@any_policy
def test_an_empty_buffer_gives_nothing(policy: Overflow) -> None:
    buffer = EventBuffer(1, policy)
    assert buffer.pop_all() == []
    buffer.put([])
    assert buffer.pop_all() == []
    assert buffer.stats() == BufferStats(0, 0, 0, 0, 0)


@any_policy
def test_takes_exactly_as_many_as_its_size_and_again_once_emptied(policy: Overflow) -> None:
    buffer = EventBuffer(3, policy)
    for _ in range(5):
        buffer.put([quote("005930", number) for number in range(3)])
        assert len(buffer.pop_all()) == 3
    assert buffer.stats() == BufferStats(received=15, delivered=15, dropped=0, conflated=0, waiting=0)


def test_raise_keeps_what_fits_and_says_what_to_do() -> None:
    buffer = EventBuffer(3, "raise")
    buffer.put([quote("005930", number) for number in range(2)])
    with pytest.raises(BufferOverflow, match=r"3 events .*ClientConfig.buffer_size.*overflow='raise'"):
        buffer.put([quote("005930", number) for number in range(2, 5)])
    assert buffer.pop_all() == [quote("005930", number) for number in range(3)]


@any_policy
def test_the_counters_add_up_after_an_overflow(policy: Overflow) -> None:
    buffer = EventBuffer(3, policy)
    buffer.put([of_type("00", "", received_at=number) for number in range(2)])
    with pytest.raises(BufferOverflow):
        buffer.put([of_type("00", "", received_at=number) for number in range(2, 5)])
    assert buffer.stats().waiting == 3
    assert add_up(buffer.stats())
    buffer.pop_all()
    assert add_up(buffer.stats())


def test_drop_oldest_forgets_the_oldest_rows_and_counts_them() -> None:
    buffer = EventBuffer(3, "drop_oldest")
    buffer.put([quote("005930", number) for number in range(10)])
    assert buffer.stats() == BufferStats(received=10, delivered=0, dropped=7, conflated=0, waiting=3)
    assert buffer.pop_all() == [quote("005930", number) for number in (7, 8, 9)]
    assert buffer.stats() == BufferStats(received=10, delivered=3, dropped=7, conflated=0, waiting=0)


def test_drop_oldest_passes_over_what_must_be_kept_and_keeps_the_order() -> None:
    buffer = EventBuffer(3, "drop_oldest")
    order = of_type("00", "")
    buffer.put([quote("a", 1), order, quote("a", 2)])
    buffer.put([quote("a", 3)])
    buffer.put([quote("a", 4)])
    assert buffer.pop_all() == [order, quote("a", 3), quote("a", 4)]


def test_drop_oldest_keeps_the_order_of_what_it_keeps_between_rows_that_come_later() -> None:
    buffer = EventBuffer(4, "drop_oldest")
    orders = [of_type("00", "", received_at=number) for number in range(3)]
    buffer.put([orders[0], quote("a", 1), orders[1], quote("a", 2)])
    buffer.put([orders[2], quote("a", 3)])
    assert buffer.pop_all() == [orders[0], orders[1], orders[2], quote("a", 3)]


def test_conflate_keeps_the_newest_row_of_each_type_and_item() -> None:
    buffer = EventBuffer(4, "conflate")
    buffer.put([quote("a", 1), quote("b", 2), quote("a", 3), quote("a", 4)])
    buffer.put([quote("b", 5)])
    kept = buffer.pop_all()
    assert kept[-2:] == [quote("a", 4), quote("b", 5)]
    stats = buffer.stats()
    assert stats.conflated == 5 - len(kept) > 0
    assert stats.dropped == 0


def test_conflate_tells_types_and_items_apart() -> None:
    buffer = EventBuffer(4, "conflate")
    rows = [quote("a", 1, "0E"), quote("a", 2, "0e"), quote("b", 3, "0E"), quote("", 4, "0E")]
    buffer.put(rows)
    with pytest.raises(BufferOverflow):
        buffer.put([quote("c", 5)])
    assert buffer.pop_all() == rows


def test_conflate_takes_no_row_without_an_item_for_a_newer_one_of_another() -> None:
    """They may be of any stock, or each count: a phase of the market that ends, and the next that begins."""
    buffer = EventBuffer(4, "conflate")
    rows = [quote("", 1), quote("", 2), of_type("0s", "", received_at=3), of_type("0s", "", received_at=4)]
    buffer.put(rows)
    with pytest.raises(BufferOverflow):
        buffer.put([quote("", 5)])
    assert buffer.pop_all() == rows


def test_conflate_replaces_a_waiting_row_by_the_one_that_comes_when_all_others_differ() -> None:
    """A buffer as large as there are items never overflows under this policy, however slow the consumer is."""
    buffer = EventBuffer(2, "conflate")
    buffer.put([quote("a", 1), quote("b", 2)])
    buffer.put([quote("a", 3)])
    assert buffer.pop_all() == [quote("b", 2), quote("a", 3)]
    assert buffer.stats() == BufferStats(received=3, delivered=2, dropped=0, conflated=1, waiting=0)


@any_lenient_policy
@pytest.mark.parametrize("event", never_dropped(), ids=lambda event: getattr(event, "type_code", type(event).__name__))
def test_no_policy_drops_orders_balances_conditions_replies_or_notices(policy: Overflow, event: Event) -> None:
    buffer = EventBuffer(10, policy)
    buffer.put([event] * 8)
    buffer.put([quote("a", number) for number in range(100)])
    assert buffer.pop_all()[:8] == [event] * 8


@any_lenient_policy
def test_a_buffer_full_of_what_must_be_kept_overflows_rather_than_dropping_it(policy: Overflow) -> None:
    buffer = EventBuffer(len(never_dropped()), policy)
    events = never_dropped()
    buffer.put(events)
    with pytest.raises(BufferOverflow):
        buffer.put([of_type("00", "")])
    assert buffer.pop_all() == events


# A model: everything the buffer promises, held against whatever sequence of calls.

ROW = st.tuples(st.sampled_from(["0E", "0B", "00", "02"]), st.sampled_from(["a", "b", "c"]))
CALL = st.one_of(st.none(), st.lists(ROW, max_size=6))  # take, or put


def is_kept(row: Record) -> bool:
    return row.type_code in TYPES_OF_WHICH_EVERY_ROW_COUNTS


def newest(rows: list[Record]) -> dict[tuple[str, str], Record]:
    """The newest row of market data of each type and item."""
    return {(row.type_code, row.item): row for row in rows if not is_kept(row)}


def least_room(policy: Overflow, rows: list[Record]) -> int:
    """How much room rows need when the policy has let go of all it may."""
    kept = sum(is_kept(row) for row in rows)
    return {"raise": len(rows), "drop_oldest": kept, "conflate": kept + len(newest(rows))}[policy]


@given(st.sampled_from(POLICIES), st.integers(1, 8), st.lists(CALL, max_size=25))
def test_keeps_its_promises_whatever_is_put_and_taken(
    policy: Overflow, size: int, calls: list[list[tuple[str, str]] | None]
) -> None:
    buffer = EventBuffer(size, policy)
    number = 0
    rows: list[Record] = []  # put since the last take
    for call in calls:
        if call is None:
            taken = [event for event in buffer.pop_all() if isinstance(event, Record)]
            numbers = [row.received_at for row in taken]
            assert numbers == sorted(set(numbers)), "order is kept and nothing comes twice"
            assert [row for row in rows if is_kept(row)] == [row for row in taken if is_kept(row)]
            if policy == "raise":
                assert taken == rows
            elif policy == "conflate":
                assert newest(taken) == newest(rows)
            else:
                assert taken[-1:] == rows[-1:]
            rows = []
        for code, item in call or ():
            number += 1
            row = of_type(code, item, received_at=number)
            # Under "drop_oldest" a row of market data needs room beside what must be kept, too.
            room = least_room(policy, [*rows, row]) + (policy == "drop_oldest" and not is_kept(row))
            try:
                buffer.put([row])
            except BufferOverflow:
                assert room > size
            else:
                rows.append(row)
                assert room <= size
            assert len(buffer) <= size
            assert add_up(buffer.stats())


# Bytes: what waits is bounded by its size too, however few events it is.


def test_bytes_are_bounded_and_counted_off_again() -> None:
    buffer = EventBuffer(100, "raise", 1000)
    for _ in range(5):
        buffer.put([quote("a", 1), quote("b", 1)], 900)
        with pytest.raises(BufferOverflow, match="1000 bytes"):
            buffer.put([quote("c", 1)], 200)
        assert len(buffer.pop_all()) == 2


def test_drop_oldest_makes_room_for_large_rows() -> None:
    buffer = EventBuffer(100, "drop_oldest", 1000)
    for number in range(10):
        buffer.put([quote("a", number)], 400)
    assert buffer.pop_all() == [quote("a", 8), quote("a", 9)]
    assert buffer.stats().dropped == 8


def test_conflate_makes_room_for_large_rows() -> None:
    buffer = EventBuffer(100, "conflate", 1000)
    for number in range(10):
        buffer.put([quote("a", number)], 400)
    assert buffer.pop_all()[-1] == quote("a", 9)
    assert add_up(buffer.stats())


@any_policy
def test_large_events_that_may_not_be_dropped_overflow(policy: Overflow) -> None:
    buffer = EventBuffer(100, policy, 1000)
    with pytest.raises(BufferOverflow):
        for _ in range(10):
            buffer.put([of_type("00", "")], 400)
    assert len(buffer) == 2


# What one read brings is taken whole where at most half of the buffer is in use.


@any_policy
@pytest.mark.parametrize("before", [0, 2])
def test_what_one_read_brings_is_taken_whole_however_much_it_is(policy: Overflow, before: int) -> None:
    buffer = EventBuffer(5, policy, 1000)
    orders: list[Event] = [of_type("00", "", received_at=number) for number in range(before + 40)]
    buffer.put(orders[:before], 500)

    buffer.put(orders[before:], 100_000)

    assert buffer.pop_some() == orders, "all of it at once, so that the next read finds room"
    assert len(buffer) == buffer.size_in_bytes == 0


@any_policy
@pytest.mark.parametrize(("count", "size"), [(3, 0), (1, 501)])
def test_a_read_that_finds_more_than_half_in_use_has_to_fit(policy: Overflow, count: int, size: int) -> None:
    buffer = EventBuffer(5, policy, 1000)
    orders: list[Event] = [of_type("00", "", received_at=number) for number in range(count)]
    buffer.put(orders, size)

    with pytest.raises(BufferOverflow):
        buffer.put([of_type("00", "")] * 9, 9 * 90)

    assert len(buffer) == 5


@any_policy
def test_what_was_taken_and_is_held_counts_against_the_limits_with_its_bytes(policy: Overflow) -> None:
    """The memory is in use until the consumer has read it."""
    buffer = EventBuffer(100, policy, 1000)
    orders: list[Event] = [of_type("00", "", received_at=number) for number in range(3)]
    buffer.put(orders, 900)
    assert buffer.pop_some() == orders[:2]
    assert (buffer.held_bytes(2), buffer.held_bytes(1), buffer.held_bytes(0)) == (600, 300, 0)

    with pytest.raises(BufferOverflow, match="4 events of 1,000 bytes"):
        buffer.put([of_type("00", "")] * 5, 500, held=2)
    assert len(buffer) == 2


def test_some_is_half_of_what_the_limits_allow() -> None:
    buffer = EventBuffer(5, "raise", 1000)
    rows: list[Event] = [quote("a", number) for number in range(5)]
    buffer.put(rows)
    assert buffer.pop_some() == rows[:3]
    assert buffer.pop_some() == rows[3:]
    buffer.put(rows[:1], 200)
    buffer.put(rows[1:2], 400)
    buffer.put(rows[2:], 300)
    assert buffer.pop_some() == rows[:2], "half of the bytes"
    assert buffer.pop_some() == rows[2:]
    assert buffer.pop_some() == []


def test_the_last_event_always_has_room() -> None:
    buffer = EventBuffer(2, "raise")
    buffer.put([quote("a", 1), quote("b", 2)])
    buffer.put_last(Closed(1006, "", None))
    assert len(buffer) == 3
    assert buffer.pop_some()[-1] == Closed(1006, "", None)


# A consumer that lags without ever catching up.


def test_drop_oldest_gives_back_the_bytes_of_rows_that_it_keeps_once_they_are_read() -> None:
    """Or the bytes that are counted climb to the limit, though little waits."""
    buffer = EventBuffer(10, "drop_oldest", 10_000)
    for number in range(2000):
        buffer.put([quote("a", number), of_type("00", ""), quote("b", number)], 300)
        if number % 2:
            buffer.pop_some()
    assert buffer.size_in_bytes == len(buffer) * 100


@any_lenient_policy
def test_a_row_costs_the_same_however_much_waits_that_may_not_be_dropped(policy: Overflow) -> None:
    """Measured in lines of Python: the clock knows how busy the machine is."""
    size = 5_000
    buffer = EventBuffer(size, policy)
    buffer.put([of_type("00", "")] * (size - 4))
    buffer.put([quote(item, 0) for item in "abcd"])
    buffer.put([quote("a", 1)])  # what waits is looked at, once

    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        for number in range(100):
            buffer.put([quote("abcd"[number % 4], number)])
    finally:
        sys.settrace(before)

    assert lines / 100 < 200
    assert len(buffer) == size


@any_lenient_policy
@pytest.mark.parametrize("seed", range(5))
def test_rows_of_one_read_are_treated_as_if_each_came_alone(policy: Overflow, seed: int) -> None:
    random = Random(seed)
    together, alone = EventBuffer(20, policy), EventBuffer(20, policy)
    for number in range(60):
        rows = [quote(str(random.randrange(8)), number) for _ in range(random.randrange(1, 15))]
        together.put(rows)
        for row in rows:
            alone.put([row])
        assert together.stats() == alone.stats()
        if random.random() < 0.2:
            assert together.pop_some() == alone.pop_some()
    assert together.pop_all() == alone.pop_all()


@any_lenient_policy
def test_a_queue_that_nobody_reads_does_not_grow(policy: Overflow) -> None:
    buffer = EventBuffer(20, policy)
    row = [quote(str(number), number) for number in range(8)]
    for _ in range(100):
        buffer.put(row)
    tracemalloc.start()
    try:
        for _ in range(2_000):
            buffer.put(row)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20_000

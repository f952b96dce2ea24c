"""Which trades a gap has swallowed, and what proves that they are all."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import Trade
from kiwoom_proto.events import Extent
from kiwoom_proto.session.missed_trades import Hole, TradeTape, find_missed

FIRST = 1_000


def trade(volume: int, quantity: int) -> Trade:
    return Trade("0B", "005930", values=json.dumps({"13": str(volume), "15": f"{quantity:+d}"}).encode())


def day(quantities: list[int], start: int = FIRST) -> list[Trade]:
    trades = []
    for quantity in quantities:
        start += abs(quantity)
        trades.append(trade(start, quantity))
    return trades


def volumes(trades: list[Trade] | tuple[object, ...]) -> list[str]:
    return [each.fid("13") or "" for each in trades if isinstance(each, Trade)]


QUANTITIES = st.lists(st.integers(1, 500).flatmap(lambda n: st.sampled_from([n, -n])), min_size=3, max_size=40)


@given(quantities=QUANTITIES, data=st.data())
def test_exactly_the_trades_of_the_gap_are_found(quantities: list[int], data: st.DataObject) -> None:
    trades = day(quantities)
    lost = data.draw(st.integers(1, len(trades) - 1))
    back = data.draw(st.integers(lost, len(trades)))
    tape = TradeTape()
    for row in trades[:lost]:
        assert tape.note_row(row)
    tape.connection_lost()
    for row in trades[back : back + 1]:
        assert tape.note_row(row)

    missed = find_missed(tape, data.draw(st.permutations(trades)), False)

    expected = trades[lost:back] if back < len(trades) else trades[lost:]
    assert volumes(missed.records) == volumes(expected)
    assert (missed.extent, missed.reason) == (Extent.COMPLETE, "")
    assert bool(tape.holes) == (bool(expected) or back == len(trades))


@given(quantities=QUANTITIES, data=st.data())
def test_a_trade_that_is_lacking_is_always_noticed(quantities: list[int], data: st.DataObject) -> None:
    trades = day(quantities)
    lost = data.draw(st.integers(1, len(trades) - 2))
    back = data.draw(st.integers(lost + 1, len(trades) - 1))
    gone = data.draw(st.integers(lost, back - 1))
    tape = TradeTape(last=trades[lost - 1])
    tape.connection_lost()
    tape.note_row(trades[back])

    missed = find_missed(tape, trades[:gone] + trades[gone + 1 :], False)

    assert missed.extent is Extent.PARTLY and "missing" in missed.reason
    assert volumes(missed.records) == volumes(trades[lost:gone] + trades[gone + 1 : back])


@given(quantities=QUANTITIES, data=st.data())
def test_a_row_that_was_on_its_way_is_not_reported_again(quantities: list[int], data: st.DataObject) -> None:
    trades = day(quantities)
    lost = data.draw(st.integers(1, len(trades) - 1))
    late = data.draw(st.integers(lost, len(trades)))
    tape = TradeTape(last=trades[lost - 1])
    tape.connection_lost()
    found = find_missed(tape, trades, False)
    tape.close(found)

    after = [*trades[late:], trade(FIRST + 10**6, 5)]
    reported = volumes(found.records) + volumes([row for row in after if tape.note_row(row)])

    assert reported == [*volumes(trades[lost:]), str(FIRST + 10**6)]
    assert not tape.repeats


def test_nothing_traded_is_no_hole() -> None:
    tape = TradeTape(last=trade(2_000, 5))
    tape.connection_lost()
    tape.note_row(trade(2_010, -10))

    assert not tape.needs_trades()


def test_a_list_that_ends_too_early_says_from_where_on_all_is_known() -> None:
    tape = TradeTape(last=trade(1_000, 5))
    tape.connection_lost()
    tape.note_row(trade(5_000, 100))

    missed = find_missed(tape, day([500, 400], 4_000), True)

    assert missed.extent is Extent.PARTLY and volumes(missed.records) == ["4500", "4900"]
    assert missed.reason == (
        "3,000 shares between volume 1,000 and 4,000 are missing: ka10003 has more pages than were asked for; "
        "known from volume 4,000 on"
    )


def test_two_losses_in_a_row_leave_two_holes() -> None:
    trades = day([10] * 10)
    tape = TradeTape(last=trades[0])
    tape.connection_lost()
    tape.note_row(trades[3])
    tape.connection_lost()
    tape.note_row(trades[7])

    assert tape.holes == [Hole(FIRST + 10, FIRST + 30), Hole(FIRST + 40, FIRST + 70)]
    assert volumes(find_missed(tape, trades, False).records) == volumes(trades[1:3] + trades[4:7])


def test_a_loss_before_any_row_leaves_the_hole_that_is_open() -> None:
    tape = TradeTape(last=trade(1_010, 10))
    tape.connection_lost()
    tape.connection_lost()

    assert tape.holes == [Hole(1_010)]


def test_many_holes_are_given_up_and_said() -> None:
    tape, volume = TradeTape(last=trade(1_000, 10)), 1_000
    for _ in range(30):
        tape.connection_lost()
        volume += 100
        tape.note_row(trade(volume, 10))

    assert len(tape.holes) <= 16
    assert "too many gaps" in find_missed(tape, [], False).reason


def test_the_volume_starts_anew_every_day() -> None:
    tape = TradeTape(last=trade(9_000, 10))
    tape.connection_lost()
    tape.note_row(trade(120, 20))

    missed = find_missed(tape, [trade(100, 100), trade(120, 20)], False)

    assert volumes(missed.records) == ["100"]
    assert missed.extent is Extent.PARTLY and "the day before" in missed.reason


def test_a_night_is_said_even_if_the_volume_has_passed_that_of_the_day_before() -> None:
    tape = TradeTape(last=trade(900, 10))
    tape.connection_lost()
    tape.note_row(trade(1_500, 500))
    tape.start_day()

    missed = find_missed(tape, [trade(1_000, 1_000), trade(1_500, 500)], False)

    assert volumes(missed.records) == ["1000"]
    assert missed.extent is Extent.PARTLY and "the day before" in missed.reason


def test_everything_is_missed_if_there_was_no_trade_before() -> None:
    tape = TradeTape()
    tape.close(find_missed(tape, [], False))  # the snapshot at the start: no trade today
    tape.connection_lost()

    missed = find_missed(tape, day([5, 6]), False)

    assert volumes(missed.records) == ["1005", "1011"] and missed.extent is Extent.COMPLETE


def test_a_row_without_a_volume_is_reported_and_said() -> None:
    tape = TradeTape(last=trade(1_000, 10))
    tape.connection_lost()

    assert tape.note_row(Trade("0B", "005930", values=b'{"10":"+1"}'))
    assert find_missed(tape, [], False).reason == "the first row after the gap has no volume"

"""OrderState: orders and holdings from rows and snapshots."""

from __future__ import annotations

import itertools
import json
from typing import Any

import attrs

from kiwoom_proto import REALTIME, Disconnected, Gap, Record
from kiwoom_proto.errors import TransportError
from kiwoom_proto.events import Event, Snapshot
from kiwoom_proto.realtime.codes import OrderStatus, Side
from kiwoom_proto.session.order_state import OrderEnd, OrderKey, OrderState, PositionKey

DAY = 24 * 3600 * 10**9
NOON = 1_790_000_000 * 10**9


def row(type: str, received_at: int = NOON, **values: Any) -> Record:
    texts = {fid.removeprefix("f"): str(text) for fid, text in values.items()}
    return REALTIME[type](type, "005930", values=json.dumps(texts).encode(), received_at=received_at)


def order(number: int, quantity: int, filled: int = 0, status: str = "접수", **more: Any) -> Record:
    values = {"f9203": f"{number:07}", "f9001": "A005930", "f900": quantity, "f902": quantity - filled, "f911": filled}
    return row("00", **{**values, "f913": status, "f907": "2", "f905": "+매수", "f901": 70000, **more})


def execution(number: int, quantity: int, filled: int, unit: int, which: int) -> Record:
    more = {"f909": which, "f914": 70000, "f915": unit, "f903": filled * 70000, "f908": "101500"}
    return order(number, quantity, filled, "체결", **more)


def balance(quantity: int, **more: Any) -> Record:
    values = {"f9201": "8100000001", "f9001": "A005930", "f917": "00", "f916": "00000000", "f930": quantity}
    return row("04", **{**values, "f931": 70000, "f932": quantity * 70000, "f933": quantity, **more})


def state_of(*events: Event) -> OrderState:
    state = OrderState()
    for event in events:
        state.apply(event)
    return state


def view(state: OrderState) -> Any:
    return {**state.orders}, {**state.positions}


KEY = OrderKey(0, "0000007")


def test_an_order_is_filled_in_parts() -> None:
    state = state_of(order(7, 100), execution(7, 100, 30, 30, 1))

    (opened,) = state.open_orders
    assert (opened.key, opened.code, str(opened.symbol), opened.side) == (KEY, "005930", "005930", Side.BUY)
    assert (opened.filled, opened.unfilled, opened.amount, opened.unreported) == (30, 70, 2_100_000, 0)

    state.apply(execution(7, 100, 100, 70, 2))
    assert state.open_orders == ()
    assert [(each.number, each.quantity) for each in state.orders[KEY].executions] == [("1", 30), ("2", 70)]
    assert state.orders[KEY].status is OrderStatus.EXECUTED


ROWS = [
    order(7, 100),
    execution(7, 100, 30, 30, 1),
    execution(7, 100, 60, 30, 2),
    order(8, 20, 0, "접수", f904="0000007", f905="매수취소"),
    order(8, 20, 20, "확인", f904="0000007", f905="매수취소", f911=0),
    order(7, 100, 60, "접수", f902=20),
]


def test_the_order_of_rows_does_not_matter() -> None:
    for rows in itertools.permutations(ROWS):
        state = state_of(*rows)

        assert (state.orders[KEY].filled, state.orders[KEY].unfilled) == (60, 20)
        assert [each.key for each in state.open_orders] == [KEY]
        assert {each.number for each in state.orders[KEY].executions} == {"1", "2"}


def test_repeats_change_nothing() -> None:
    assert view(state_of(*ROWS)) == view(state_of(*ROWS, *ROWS)) == view(state_of(*(r for r in ROWS for _ in "ab")))


def test_a_cancellation_takes_shares_from_the_original_without_a_row_of_it() -> None:
    state = state_of(order(7, 100), order(8, 40, 40, "확인", f904="0000007", f905="매수취소", f911=0))

    assert [(each.key.number, each.unfilled) for each in state.open_orders] == [("0000007", 60)]


def test_an_amendment_goes_on_with_its_own_number() -> None:
    amended = order(8, 100, 0, "확인", f904="0000007", f905="+매수정정", f901=69000)
    state = state_of(order(7, 100), amended)

    assert [(each.key.number, each.price, each.original) for each in state.open_orders] == [
        ("0000008", 69000, "0000007")
    ]


def test_it_is_known_why_an_order_is_over() -> None:
    original = {"f904": "0000001"}
    cancel = order(7, 60, 0, "확인", f905="매수취소", **original)
    amend = order(7, 60, 0, "확인", f905="+매수정정", **original)
    begun = order(1, 100), execution(1, 100, 40, 40, 1)
    first = OrderKey(0, "0000001")

    def end_of(*events: Event, key: OrderKey = first) -> OrderEnd | None:
        return state_of(*events).orders[key].end

    assert end_of(*begun) is None
    assert end_of(*begun, execution(1, 100, 100, 60, 2)) is OrderEnd.FILLED
    assert end_of(*begun, cancel) is OrderEnd.CANCELLED
    assert end_of(*begun, cancel, cancel) is OrderEnd.CANCELLED
    assert end_of(*begun, cancel, key=KEY) is None, "a cancellation that was carried out"
    assert end_of(*begun, amend) is OrderEnd.AMENDED
    assert end_of(*begun, amend, key=KEY) is None, "it is open"
    assert end_of(order(1, 100, 0, "취소", f902=0)) is OrderEnd.CANCELLED
    assert end_of(order(1, 100, 0, "거부")) is OrderEnd.REJECTED
    assert end_of(order(7, 60, 0, "거부", f905="매수취소", **original), key=KEY) is OrderEnd.REJECTED
    assert end_of(*begun, Snapshot("00", "", ())) is OrderEnd.UNKNOWN
    assert state_of(*begun, cancel, cancel).orders[first].cancelled == 60


def test_its_repr_counts_and_that_of_an_order_masks_what_the_server_says() -> None:
    said = "계좌 8100000001 의 주문"
    state = state_of(order(7, 100), order(8, 1, 0, "거부", f919=said), balance(3))

    assert repr(state) == "<OrderState: 2 orders, 1 of them open, 1 holdings>"
    assert state.orders[OrderKey(0, "0000008")].rejection == said
    shown = repr(state.orders[OrderKey(0, "0000008")])
    assert "8100000001" not in shown and "계좌 *** 의 주문" in shown and "end=" in shown
    assert "quantity=3" in repr(*state.positions.values())


def test_a_rejected_order_is_not_open() -> None:
    state = state_of(order(7, 100, 0, "거부", f919="매도가능수량이 부족합니다"))

    assert state.open_orders == () and state.orders[KEY].rejection == "매도가능수량이 부족합니다"


def test_a_number_begins_anew_the_next_day() -> None:
    state = state_of(execution(7, 100, 100, 100, 1), order(7, 50, received_at=NOON + DAY))

    (opened,) = state.open_orders
    assert (opened.quantity, opened.filled, opened.executions) == (50, 0, ())
    before = view(state)
    state.apply(execution(7, 100, 100, 100, 1))
    assert view(state) == before, "a row of the day before is about another order"


def test_a_holding_comes_and_goes() -> None:
    state = state_of(balance(10))
    key = PositionKey(0, "005930")
    assert (state.positions[key].quantity, state.positions[key].cost) == (10, 700_000)

    state.apply(balance(0))
    assert dict(state.positions) == {}


def test_shares_on_credit_are_a_holding_of_their_own() -> None:
    state = state_of(balance(10), balance(5, f917="03", f916="20260901"))

    assert sorted(each.quantity for each in state.positions.values()) == [5, 10]


def test_a_complete_snapshot_ends_what_it_does_not_have() -> None:
    state = state_of(order(7, 100), order(8, 50), balance(10))

    state.apply(Snapshot("00", "", (order(8, 50, 20, "체결"),)))
    state.apply(Snapshot("04", "", ()))

    assert [(each.key.number, each.unfilled) for each in state.open_orders] == [("0000008", 30)]
    assert state.orders[OrderKey(0, "0000008")].unreported == 20
    assert dict(state.positions) == {}


def test_an_incomplete_snapshot_ends_nothing() -> None:
    state = state_of(order(7, 100), balance(10))

    for type in ("00", "04"):
        state.apply(Snapshot(type, "", (), is_complete=False))

    assert len(state.open_orders) == len(state.positions) == 1 and not state.is_certain()


def test_it_is_certain_from_the_snapshots_until_the_next_loss() -> None:
    state = OrderState()
    seen = []
    lost = Disconnected(TransportError("cut"), 1.0, 1.0)
    snapshots = Snapshot("00", "", ()), Snapshot("04", "", ())
    for event in (*snapshots, lost, Gap(1, 2, 3), *snapshots):
        state.apply(event)
        seen.append(state.is_certain())

    assert seen == [False, True, False, False, False, True]


def test_accounts_are_apart() -> None:
    other = attrs.evolve(Snapshot("04", "", ()), epoch=1 << 20)
    state = state_of(balance(10))

    state.apply(other)

    assert len(state.positions) == 1
    assert not state.is_certain(0)


def test_us_orders_and_holdings() -> None:
    values: dict[str, Any] = {
        "f9203": "000000027",
        "f9001": "NVDA",
        "f900": 5,
        "f907": "02",
        "f905": "10",
        "f901": "198.4200",
    }
    state = state_of(row("F4", **values, f913="접수"))
    state.apply(row("F5", **values, f902=3, f911=2, f913="체결", f930=7, f931="185.0305"))

    (opened,) = state.open_orders
    assert (opened.key.is_us, opened.code, opened.filled, opened.unfilled) == (True, "NVDA", 2, 3)
    assert str(opened.price) == "198.4200"
    assert [(key.code, each.quantity) for key, each in state.positions.items()] == [("NVDA", 7)]

    held = REALTIME["F5"]("F5", "NVDA", values=b'{"9001":"NVDA","930":"9"}', received_at=NOON)
    state.apply(Snapshot("F5", "", (held,)))
    assert state.open_orders == () and state.positions[PositionKey(0, "NVDA")].quantity == 9
    state.apply(Snapshot("F5", "", ()))
    assert dict(state.positions) == {} and state.is_certain()


def test_an_unreadable_row_is_counted_and_costs_nothing_else() -> None:
    state = state_of(order(7, 100), order(8, 100, f900="x"), balance(10, f930="?"))

    assert state.unreadable == 2 and len(state.open_orders) == 1


def test_no_account_number_is_kept() -> None:
    state = state_of(order(7, 100, f9201="8100000001"), balance(10))

    assert "81000" not in repr(view(state))


def test_orders_that_are_over_can_be_forgotten() -> None:
    state = state_of(order(7, 100), execution(8, 10, 10, 10, 1))

    state.forget_closed()

    assert [key.number for key in state.orders] == ["0000007"]

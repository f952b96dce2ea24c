"""Ticks and daily limits of KRX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import LocalProtocolError, rest
from kiwoom_proto.rest.prices import (
    Instrument,
    check_order,
    fault_of_price,
    is_on_tick,
    price_limits,
    round_to_tick,
    tick_size,
)

PRICES = st.integers(1, 3_000_000)
INSTRUMENTS: st.SearchStrategy[Instrument] = st.sampled_from(["stock", "etf", "etn"])


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        *((1, 1), (1_999, 1), (2_000, 5), (4_999, 5), (5_000, 10), (19_999, 10), (20_000, 50), (49_999, 50)),
        *((50_000, 100), (199_999, 100), (200_000, 500), (499_999, 500), (500_000, 1_000), (2_000_000, 1_000)),
    ],
)
def test_the_tick_of_a_stock_grows_with_its_price(price: int, tick: int) -> None:
    assert tick_size(price) == tick


def test_the_ticks_of_other_instruments() -> None:
    assert [tick_size(price, "etf") for price in (1_999, 2_000, 100_000)] == [1, 5, 5]
    assert [tick_size(price, "etn") for price in (1_999, 2_000)] == [1, 5]
    assert [tick_size(price, "elw") for price in (100, 5_000)] == [5, 5]


def test_prices_are_rounded_to_the_tick() -> None:
    assert is_on_tick(70_100) and not is_on_tick(70_150)
    assert (round_to_tick(70_150), round_to_tick(70_150, up=True)) == (70_100, 70_200)
    assert (round_to_tick(1_999, up=True), round_to_tick(49_999, up=True)) == (1_999, 50_000)
    with pytest.raises(LocalProtocolError, match="lowest tick"):
        round_to_tick(3, "elw")


@pytest.mark.parametrize(
    ("base", "limits"),
    [
        (70_000, (49_000, 91_000)),
        (18_000, (12_600, 23_400)),
        (9_990, (7_000, 12_980)),
        (19_990, (14_000, 25_950)),
        (1_000, (700, 1_300)),
        (1, (1, 1)),
        (3, (3, 3)),
        (4, (3, 5)),
    ],
)
def test_the_daily_limits_are_on_the_tick(base: int, limits: tuple[int, int]) -> None:
    assert price_limits(base) == limits


def test_the_limits_of_a_leveraged_fund_are_wider() -> None:
    assert price_limits(10_000, "etf") == (7_000, 13_000)
    assert price_limits(10_000, "etf", percent=60) == (4_000, 16_000)
    assert price_limits(10_000, "etf", percent=150)[0] == 1


@given(PRICES, INSTRUMENTS)
def test_limits_are_prices_that_an_order_may_have(base: int, instrument: Instrument) -> None:
    lowest, highest = price_limits(base, instrument)
    assert is_on_tick(lowest, instrument) and is_on_tick(highest, instrument)
    assert lowest >= 0.7 * base and highest <= 1.3 * base
    assert lowest <= base + tick_size(base, instrument) and highest >= base - tick_size(highest, instrument)


@given(PRICES, INSTRUMENTS, st.booleans())
def test_rounding_goes_one_way_and_less_than_a_tick(price: int, instrument: Instrument, up: bool) -> None:
    rounded = round_to_tick(price, instrument, up=up)
    assert is_on_tick(rounded, instrument)
    assert 0 <= (rounded - price if up else price - rounded) < tick_size(price, instrument)


BUY = {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": 1, "trde_tp": "0"}
AMEND = {"dmst_stex_tp": "KRX", "stk_cd": "005930", "orig_ord_no": "0000001", "mdfy_qty": 0}
ORDERS: dict[str, Callable[[int], rest.Request[Any]]] = {
    "ord_uv (주문단가)": lambda price: rest.BuyOrder.from_dict({**BUY, "ord_uv": price}),
    "mdfy_uv (정정단가)": lambda price: rest.AmendOrder.from_dict({**AMEND, "mdfy_uv": price}),
}


@pytest.mark.parametrize("element", ORDERS)
def test_an_order_is_checked_against_what_is_traded(element: str) -> None:
    make = ORDERS[element]

    def refused(price: int, *args: Any, **options: Any) -> str:
        with pytest.raises(LocalProtocolError) as caught:
            check_order(make(price), *args, **options)
        return str(caught.value)

    check_order(make(70_100))
    check_order(make(70_105), "etf")
    assert refused(70_050) == f"{element}: 70050 is not on the tick of a stock, 100 won there: 70000 or 70100"
    assert refused(1_001, "elw") == f"{element}: 1001 is not on the tick of an ELW, 5 won there: 1000 or 1005"
    assert refused(3, "elw") == f"{element}: 3 is not on the tick of an ELW, 5 won there: 5"

    limits = price_limits(70_000)
    for price in limits:
        check_order(make(price), limits=limits)
    assert refused(48_950, limits=limits) == f"{element}: 48950 is below 49000, the lowest price of the day (하한가)"
    assert refused(91_100, limits=limits) == f"{element}: 91100 is above 91000, the highest price of the day (상한가)"

    body = b'{"return_code":0,"base_pric":"70000","upl_pric":"+91000","lst_pric":"-49000"}'
    info = rest.StockInfo.decode(body)
    check_order(make(91_000), limits=(info.lst_pric, info.upl_pric))
    assert "is above 91000" in refused(91_100, limits=(info.lst_pric, info.upl_pric))
    assert "is below 49000" in refused(48_950, limits=(info.lst_pric, info.upl_pric))
    for unknown in ((None, 91_000), (49_000, None), (0, 91_000)):
        assert refused(70_000, limits=unknown).startswith("limits: must be two prices above 0")


def test_orders_without_a_price_pass_and_those_at_the_midpoint_are_held_to_the_limits_only() -> None:
    check_order(rest.SellOrder.from_dict(BUY | {"trde_tp": "3"}), limits=(1, 2))
    check_order(rest.CancelOrder(dmst_stex_tp="KRX", orig_ord_no="1", stk_cd="005930", cncl_qty=0), limits=(1, 2))
    midpoint = rest.BuyOrder.from_dict(BUY | {"trde_tp": "29", "ord_uv": 70_050})
    check_order(midpoint, limits=(49_000, 91_000))
    with pytest.raises(LocalProtocolError, match="above 60000"):
        check_order(midpoint, limits=(49_000, 60_000))


@pytest.mark.parametrize(
    "request_",
    [
        rest.StockQuote(stk_cd="005930"),
        rest.GoldBuyOrder(stk_cd="M04020000", ord_qty=1, trde_tp="00", ord_uv=190_000),
        rest.UsBuyOrder(stex_tp="ND", stk_cd="NVDA", ord_qty=1, trde_tp="00", ord_uv="150.25"),
        "BuyOrder",
    ],
    ids=["query", "gold", "US", "no request"],
)
def test_only_orders_for_korean_stocks_can_be_checked(request_: Any) -> None:
    with pytest.raises(LocalProtocolError, match="order: must be an order for a Korean stock"):
        check_order(request_)


@given(PRICES)
def test_a_price_that_some_instrument_can_have_is_not_refused(price: int) -> None:
    on_some = any(is_on_tick(price, instrument) for instrument in get_args(Instrument))
    assert (fault_of_price(price) == "") is on_some


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: tick_size(0), "price"),
        (lambda: tick_size(-5), "price"),
        (lambda: tick_size(True), "price"),
        (lambda: tick_size(1.5), "price"),  # type: ignore[arg-type]
        (lambda: tick_size(5, "bond"), "instrument"),  # type: ignore[arg-type]
        (lambda: price_limits(5_000, "elw"), "ELW"),
        (lambda: price_limits(5_000, percent=0), "percent"),
        (lambda: price_limits(5_000, percent=30.0), "percent"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_refused(call: Any, name: str) -> None:
    with pytest.raises(LocalProtocolError, match=name):
        call()

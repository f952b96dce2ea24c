"""Ticks and daily limits of KRX."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import LocalProtocolError
from kiwoom_proto.rest.prices import Instrument, is_on_tick, price_limits, round_to_tick, tick_size

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

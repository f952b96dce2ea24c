"""What becomes of a text: each rule of `kinds` by itself, and what is not a value."""

from __future__ import annotations

import datetime
import itertools
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rest.every import check_every

from kiwoom_proto.hours import KST
from kiwoom_proto.realtime.fields import Kind
from kiwoom_proto.rest import kinds

KINDS = [value for value in vars(kinds).values() if isinstance(value, Kind)]
WHOLE = (kinds.quantity, kinds.amount, kinds.change)
DECIMAL = (kinds.decimal_change, kinds.decimal_amount, kinds.ratio, kinds.number)
PRICES = (kinds.price, kinds.decimal_price, kinds.hundredths_price)
NUMBERS = (*WHOLE, *DECIMAL, *PRICES, kinds.hundredths, kinds.millionths)
HOSTILE = (
    *("１２", "1_000", "1e3", "NaN", "Infinity", "--", "+-2", "-+2", "---2", "+", "1,00", ",100", "1.2.3", "0x10"),
    *("٣", "1 000", "½", "None", "true", "12a", "1,0000", "10,000,00"),
)


def test_a_blank_text_is_absent() -> None:
    def check(case: tuple[Kind[Any], str]) -> None:
        kind, text = case
        try:
            assert kind.convert(text) is None
        except ValueError:
            assert kind is kinds.clock_time  # None for the reader all the same: see test_replies

    check_every(itertools.product(KINDS, ["", " ", "   "]), check)


def test_what_is_not_a_number_is_refused() -> None:
    def check(case: tuple[Kind[Any], str]) -> None:
        kind, text = case
        with pytest.raises((ValueError, ArithmeticError)):
            kind.convert(text)

    check_every(itertools.product(NUMBERS, HOSTILE), check)


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("+5", 5),
        ("-5", -5),
        ("--2", -2),
        ("++100", 100),
        ("-0", 0),
        ("--19229312", -19_229_312),
        ("-00000000163475", -163_475),
        ("000000000102470", 102_470),
        ("20,190", 20_190),
        ("-1,234,567", -1_234_567),
        (" 67300 ", 67_300),
        ("70000.00", 70_000),
        ("4294967295", 2**32 - 1),
    ],
)
def test_whole_numbers_keep_their_sign(kind: Kind[int], text: str, value: int) -> None:
    assert kind.convert(text) == value
    assert type(kind.convert(text)) is int


@pytest.mark.parametrize("kind", [*WHOLE, kinds.price], ids=lambda kind: kind.name)
def test_decimals_that_count_are_not_cut_off(kind: Kind[int]) -> None:
    with pytest.raises(ValueError, match=r"70000\.50"):
        kind.convert("70000.50")


@pytest.mark.parametrize(
    ("text", "value"),
    [("-315500", 315_500), ("+315500", 315_500), ("--320000", 320_000), ("0", 0), ("-0", None), ("-000000", None)],
)
def test_a_price_has_no_sign_and_may_be_none(text: str, value: int | None) -> None:
    assert kinds.price.convert(text) == value
    assert kinds.price.directional


@pytest.mark.parametrize(
    ("text", "value"),
    [("-2394.49", "2394.49"), ("+3001.91", "3001.91"), ("12.3400", "12.3400"), ("-0.0000", None), (".5", "0.5")],
)
def test_a_price_with_decimals_keeps_them(text: str, value: str | None) -> None:
    found = kinds.decimal_price.convert(text)

    assert (None if found is None else str(found)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("683580", "6835.80"),
        ("-7", "0.07"),
        ("+108970", "1089.70"),
        ("1089.70", "1089.70"),
        ("0", "0.00"),
        ("-0", None),
    ],
)
def test_an_index_in_hundredths_is_given_as_it_is(text: str, value: str | None) -> None:
    found = kinds.hundredths_price.convert(text)

    assert (None if found is None else str(found)) == value


def test_scaled_numbers_are_exact() -> None:
    with localcontext() as context:
        context.prec = 3
        assert str(kinds.hundredths.convert("-38")) == "-0.38"
        assert str(kinds.hundredths.convert("+123456")) == "1234.56"
        assert str(kinds.millionths.convert("282426")) == "0.282426"
        assert str(kinds.millionths.convert("-12345678901")) == "-12345.678901"
        assert str(kinds.decimal_amount.convert("-1,234,567.891")) == "-1234567.891"


@pytest.mark.parametrize(("text", "value"), [("45%", "45"), ("100% ", "100"), ("-0.24", "-0.24"), ("++0.34", "0.34")])
def test_a_ratio_may_carry_the_sign_of_percent(text: str, value: str) -> None:
    assert str(kinds.ratio.convert(text)) == value


@pytest.mark.parametrize("kind", [*DECIMAL, kinds.decimal_price], ids=lambda kind: kind.name)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=0))
def test_decimals_are_exact(kind: Kind[Decimal], value: Decimal) -> None:
    text = format(value, "f")

    assert kind.convert(text) == value
    assert kind.convert(f"+{text}") == value


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.name)
@given(value=st.integers(-(10**30), 10**30))
def test_commas_and_pads_change_nothing(kind: Kind[int], value: int) -> None:
    assert kind.convert(str(value)) == value
    assert kind.convert(f"{value:,}") == value
    assert kind.convert(f"{value:032}") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20260917", datetime.date(2026, 9, 17)),
        ("2026-09-17", datetime.date(2026, 9, 17)),
        ("2026-09-17 00:00:00.0", datetime.date(2026, 9, 17)),
        ("00000000", None),
        ("000000", None),
        ("0", None),
    ],
)
def test_dates(text: str, value: datetime.date | None) -> None:
    assert kinds.date.convert(text) == value


@pytest.mark.parametrize("text", ["20261317", "2026091", "2026W381", "２０２６０９１７", "2026-0917", "3", "0.00"])
def test_what_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        kinds.date.convert(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("131939", datetime.time(13, 19, 39)),
        ("13:19:39", datetime.time(13, 19, 39)),
        ("13:19", datetime.time(13, 19)),
        ("1319", datetime.time(13, 19)),
        ("00:00", datetime.time(0)),
        ("000000", None),
        ("888888", None),
        ("999999", None),
        ("27:44", datetime.time(3, 44)),
    ],
)
def test_times(text: str, value: datetime.time | None) -> None:
    assert kinds.clock_time.convert(text) == value


@pytest.mark.parametrize("text", ["246060", "280000", "13193", "13:1", "１３１９", "131939.5"])
def test_what_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        kinds.clock_time.convert(text)


def test_moments_know_their_zone() -> None:
    korean = kinds.moment.convert("20260917131939")
    assert korean == datetime.datetime(2026, 9, 17, 13, 19, 39, tzinfo=KST)
    assert kinds.moment.convert("00000000000000") is None

    summer = kinds.us_moment.convert("20260624080700")
    winter = kinds.us_moment.convert("20261224080700")
    assert summer is not None and winter is not None
    assert summer.isoformat() == "2026-06-24T08:07:00-04:00"
    assert winter.isoformat() == "2026-12-24T08:07:00-05:00"
    assert (summer.tzname(), winter.tzname()) == ("EDT", "EST")


@pytest.mark.parametrize(
    ("local", "offset"),
    [
        ((2026, 3, 8, 1, 59), -5),
        ((2026, 3, 8, 3, 0), -4),
        ((2026, 11, 1, 0, 59), -4),
        ((2026, 11, 1, 2, 0), -5),
        ((2027, 3, 14, 3, 0), -4),
        ((2027, 11, 7, 2, 0), -5),
    ],
)
def test_daylight_saving_time_begins_and_ends_as_in_new_york(local: tuple[int, ...], offset: int) -> None:
    year, month, day, hour, minute = local
    moment = datetime.datetime(year, month, day, hour, minute, tzinfo=kinds.EASTERN)

    assert moment.utcoffset() == datetime.timedelta(hours=offset)


def test_overnight_hours_of_the_us_are_of_the_next_day() -> None:
    moment = kinds.us_moment.convert("20260923253000")

    assert moment is not None
    assert moment.isoformat() == "2026-09-24T01:30:00-04:00"


@pytest.mark.parametrize("text", ["2026091713193", "2026W381131939", "20260917133999", "20260932131939", "now"])
def test_what_is_not_a_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        kinds.moment.convert(text)


def test_identifiers_keep_their_zeros() -> None:
    assert kinds.order_number.convert("0000139") == "0000139"
    assert kinds.order_reference.convert("0000000") is None
    assert kinds.order_reference.convert("0000139") == "0000139"
    assert kinds.code.convert(" 001 ") == "001"


@given(text=st.text(max_size=20))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    for kind in KINDS:
        try:
            value = kind.convert(text)
        except (ValueError, ArithmeticError):
            continue
        assert value is None or isinstance(value, kind.python_type)
        assert not isinstance(value, float)

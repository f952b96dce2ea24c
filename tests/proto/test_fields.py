"""Fields: every kind of value, read from the texts that Kiwoom sends, and from those it should not send.

One record class declares a field of every kind, so each case goes the way a user goes: a message in, an attribute
read.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from kiwoom_proto import MessageDecoder, Record
from kiwoom_proto.display import quoted
from kiwoom_proto.errors import FieldError
from kiwoom_proto.known import MAX_KNOWN_VALUES
from kiwoom_proto.realtime import fields as kinds
from kiwoom_proto.realtime.fields import Field, Kind
from kiwoom_proto.secrets import redact


def digits_only(text: str) -> str:
    return str(int(text))


class Fruit(enum.Enum):
    APPLE = "1"
    PEAR = "2"


class Everything(Record, tag="ZZ"):
    """One field of every kind."""

    account_number = Field("1", kinds.account_number)
    amount = Field("2", kinds.amount)
    calendar_date = Field("3", kinds.calendar_date)
    change = Field("4", kinds.change)
    clock_time = Field("5", kinds.clock_time)
    code = Field("6", kinds.code)
    decimal = Field("7", kinds.decimal)
    decimal_change = Field("8", kinds.decimal_change)
    decimal_price = Field("9", kinds.decimal_price)
    order_number = Field("10", kinds.order_number)
    price = Field("11", kinds.price)
    quantity = Field("12", kinds.quantity)
    rate = Field("13", kinds.rate)
    signed_amount = Field("14", kinds.signed_amount)
    signed_quantity = Field("15", kinds.signed_quantity)
    text = Field("16", kinds.text)
    trade_quantity = Field("17", kinds.trade_quantity)
    personal_number = Field("18", Kind("personal number", digits_only, masked=True))
    decimal_amount = Field("19", kinds.decimal_amount)
    duration = Field("20", kinds.duration)
    flag = Field("21", kinds.flag)
    order_reference = Field("22", kinds.order_reference)
    ratio = Field("23", kinds.ratio)
    fruit = Field("24", kinds.coded("fruit", Fruit))


INTEGERS = ("amount", "change", "quantity", "signed_amount", "signed_quantity", "trade_quantity")
DECIMALS = ("decimal", "decimal_amount", "decimal_change", "rate")
MAGNITUDES = ("price", "decimal_price", "ratio")
NUMBERS = (*INTEGERS, *DECIMALS, *MAGNITUDES)
TEXTS = ("account_number", "code", "order_number", "text")
TIMES = ("clock_time", "calendar_date", "duration")
OTHERS = ("flag", "order_reference")

DECODER = MessageDecoder({"ZZ": Everything})


def record_with(name: str, text: str) -> Everything:
    row = {"values": {Everything.fields[name].fid: text}, "type": "ZZ", "name": "", "item": "005930"}
    [record] = DECODER.decode(json.dumps({"data": [row], "trnm": "REAL"}))
    assert isinstance(record, Everything)
    return record


def read(name: str, text: str) -> Any:
    return getattr(record_with(name, text), name)


def same(value: object, expected: object) -> bool:
    """Equal, of the same type, and for Decimals with the same digits."""
    return type(value) is type(expected) and str(value) == str(expected)


def test_every_kind_is_declared_here() -> None:
    public = {name for name in kinds.__all__ if isinstance(getattr(kinds, name), Kind)}

    assert public == {*NUMBERS, *TEXTS, *TIMES, *OTHERS}
    assert public <= Everything.fields.keys()


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("43955", 43955),
        ("+156", 156),
        ("-82", -82),
        ("0", 0),
        ("-0", 0),
        ("+0", 0),
        ("000000", 0),
        ("000030", 30),
        ("-00000100", -100),
        (" 0", 0),
        (" -7 ", -7),
        ("-4167722708811", -4167722708811),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_whole_numbers_keep_their_sign(name: str, text: str, value: int) -> None:
    assert same(read(name, text), value)


@pytest.mark.parametrize("name", DECIMALS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-4.18", "-4.18"),
        ("+0.60", "0.60"),
        ("0.000000", "0.000000"),
        ("-00000.0265", "-0.0265"),
        ("000000.1602", "0.1602"),
        (" 0.00", "0.00"),
        ("89.62 ", "89.62"),
        ("5", "5"),
        ("-0", "-0"),
        ("000000", "0"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("36384473.963000", "36384473.963000"),
        ("0.1234567890123456789012345678901234567890", "0.1234567890123456789012345678901234567890"),
    ],
)
def test_decimals_keep_their_sign_and_every_digit(name: str, text: str, value: str) -> None:
    assert same(read(name, text), Decimal(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-20800", 20800),
        ("+20900", 20900),
        ("60300", 60300),
        (" 67300", 67300),
        ("-0", 0),
        ("0", 0),
        ("000000", 0),
        ("000021850", 21850),
    ],
)
def test_the_sign_of_a_price_is_not_part_of_the_number(text: str, value: int) -> None:
    assert same(read("price", text), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1762.61", "1762.61"),
        ("+198.5000", "198.5000"),
        ("0000198.4200", "198.4200"),
        (" 450", "450"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("000000", "0"),
        ("000000000000", "0"),
    ],
)
@pytest.mark.parametrize("name", ["decimal_price", "ratio"])
def test_the_sign_of_a_price_with_decimals_and_of_a_ratio_is_not_part_of_the_number(
    name: str, text: str, value: str
) -> None:
    assert same(read(name, text), Decimal(value))


@pytest.mark.parametrize("name", (*DECIMALS, "decimal_price", "ratio"))
def test_decimals_do_not_depend_on_the_precision_that_the_program_chose(name: str) -> None:
    with decimal.localcontext() as context:
        context.prec = 3
        assert same(read(name, "7488.27"), Decimal("7488.27"))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("005930", "005930"),
        ("0000018", "0000018"),
        ("000000", "000000"),
        ("-0", "-0"),
        ("!!!!", "!!!!"),
        ("KB증권", "KB증권"),
        ("삼  성", "삼  성"),
        ("  삼  성 ", "삼  성"),
        ("1_000", "1_000"),
        ("NaN", "NaN"),
        ("+매수", "+매수"),
    ],
)
def test_texts_and_codes_lose_outer_spaces_only(name: str, text: str, value: str) -> None:
    assert same(read(name, text), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("165208", datetime.time(16, 52, 8)),
        (" 090000", datetime.time(9)),
        ("235959 ", datetime.time(23, 59, 59)),
        ("000001", datetime.time(0, 0, 1)),
    ],
)
def test_times(text: str, value: datetime.time) -> None:
    assert same(read("clock_time", text), value)


@pytest.mark.parametrize(("text", "value"), [("20260630", (2026, 6, 30)), (" 20240229 ", (2024, 2, 29))])
def test_dates(text: str, value: tuple[int, int, int]) -> None:
    assert same(read("calendar_date", text), datetime.date(*value))


@pytest.mark.parametrize(
    ("name", "text"), [("clock_time", "000000"), ("clock_time", " 000000 "), ("calendar_date", "00000000")]
)
def test_a_time_of_zeros_means_never_and_a_date_of_zeros_none(name: str, text: str) -> None:
    assert read(name, text) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("002500", 1500), ("000000", 0), (" 000010 ", 10), ("235959", 86399), ("990000", 356400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert same(read("duration", text), datetime.timedelta(seconds=seconds))


@pytest.mark.parametrize(("text", "value"), [("Y", True), ("N", False), (" Y", True)])
def test_flags(text: str, value: bool) -> None:
    assert read("flag", text) is value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0000018", "0000018"), (" 0000100 ", "0000100"), ("0000000", None), ("000000000", None), ("0", None)],
)
def test_a_reference_of_zeros_means_no_order(text: str, value: str | None) -> None:
    assert read("order_reference", text) == value


def test_a_code_becomes_a_member_of_its_enumeration() -> None:
    assert read("fruit", "2") is Fruit.PEAR
    assert read("fruit", " 1 ") is Fruit.APPLE


@pytest.mark.parametrize("name", Everything.fields)
@pytest.mark.parametrize("text", ["", " ", "      ", "\t"])
def test_nothing_but_spaces_is_absent_for_every_kind(name: str, text: str) -> None:
    assert read(name, text) is None


@pytest.mark.parametrize("name", Everything.fields)
def test_a_fid_not_received_is_absent_for_every_kind(name: str) -> None:
    record = record_with("text" if name != "text" else "code", "x")

    assert getattr(record, name) is None


BAD_NUMBERS = (
    "abc",
    "1_000",
    "１２",
    "١٢",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "1e3",
    "1E3",
    "0x10",
    "1,000",
    "1 000",
    "- 5",
    "+-5",
    "--5",
    "5-",
    "+",
    "-",
    ".",
    "1.2.3",
    "00680K",
    "5\x00",
    "!!!!",
)
BAD_TIMES = (
    "240000",
    "126000",
    "120060",
    "12345",
    "1234567",
    "12:30:00",
    "１２３０００",
    "-12300",
    "+12300",
    "abcdef",
    "12 000",
)
BAD_DATES = ("20260631", "20250229", "20261301", "260630", "2026-06-30", "２０２６０６３０", "+2026063", "abcdefgh")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, text) for name in NUMBERS for text in BAD_NUMBERS),
        *((name, "1.5") for name in (*INTEGERS, "price")),
        *((name, "5.") for name in NUMBERS),
        *((name, "9" * 5000) for name in (*INTEGERS, "price")),
        *(("clock_time", text) for text in BAD_TIMES),
        *(("calendar_date", text) for text in BAD_DATES),
        *(("duration", text) for text in BAD_TIMES if text != "240000"),
        *(("flag", text) for text in ("y", "1", "YES", "Y N", "０")),
        *(("fruit", text) for text in ("3", "APPLE", "1 2")),
    ],
)
def test_a_text_that_is_not_of_its_kind_is_an_error_that_names_the_field_and_the_text(name: str, text: str) -> None:
    record = record_with(name, text)

    with pytest.raises(FieldError) as caught:
        getattr(record, name)

    error = caught.value
    fid = Everything.fields[name].fid
    assert (error.type_code, error.fid, error.name, error.text) == ("ZZ", fid, name, text)
    shown = redact(text)  # too long for a number: it may be anything
    assert str(error) == f"type ZZ, FID {fid} ({name}): {quoted(shown)} is not a value of this field"
    assert len(text) > 100 or repr(text) in str(error)
    assert error.__cause__ is None


def test_the_exact_text_of_an_error_has_its_outer_spaces() -> None:
    with pytest.raises(FieldError) as caught:
        read("quantity", " x ")

    assert caught.value.text == " x "


def test_a_bad_text_touches_no_other_field_and_is_still_readable() -> None:
    row = {"values": {"12": "1_000", "11": "-20800", "5": "x"}, "type": "ZZ", "name": "", "item": "005930"}
    [record] = DECODER.decode(json.dumps({"data": [row], "trnm": "REAL"}))
    assert isinstance(record, Everything)

    for _ in range(2):
        with pytest.raises(FieldError):
            _ = record.quantity
        assert record.price == 20800
    assert record.fid("12") == "1_000"


def test_the_bad_text_of_a_masked_kind_is_not_shown() -> None:
    assert read("personal_number", "007") == "7"

    with pytest.raises(FieldError) as caught:
        read("personal_number", "8100000001x")

    assert caught.value.text == "8100000001x"
    assert "8100000001" not in str(caught.value)
    assert "FID 18 (personal_number)" in str(caught.value)


def test_the_signs_of_prices_and_ratios_alone_are_directions_and_only_account_numbers_are_masked() -> None:
    public = {name: getattr(kinds, name) for name in (*NUMBERS, *TEXTS, *TIMES, *OTHERS)}

    assert {name for name, kind in public.items() if kind.directional} == {"price", "decimal_price", "ratio"}
    assert {name for name, kind in public.items() if kind.masked} == {"account_number"}


def test_a_field_tells_what_it_is() -> None:
    field = Everything.fields["price"]

    assert (field.name, field.fid, field.kind) == ("price", "11", kinds.price)
    assert repr(field) == "<Field price = FID 11, price>"


def test_a_field_without_a_kind_is_refused_with_the_likely_reason() -> None:
    """In a class body `price = Field("10", price)` hides the kind from the next line on."""
    hidden: Any = Field("10", kinds.price)

    with pytest.raises(TypeError, match=r"field of FID 11: .* is not a Kind"):
        Field("11", hidden)


@pytest.mark.parametrize("name", ["quantity", "rate", "decimal_price", "clock_time", "duration"])
def test_a_very_long_bad_text_is_refused_in_no_time(name: str) -> None:
    """One message may hold 4 MiB, so the time must grow with the length and not with its square."""
    program = (
        "from kiwoom_proto.realtime import fields\n"
        f"try: fields.{name}.convert('1' * 200_000 + 'x')\n"
        "except (ValueError, ArithmeticError): print('refused')"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=8, check=True)

    assert done.stdout == "refused\n"


def test_known_values_are_bounded_and_keep_no_text_that_is_no_value() -> None:
    convert = Kind("number", int).known
    assert [convert[f"{number}"] for number in range(MAX_KNOWN_VALUES + 10)] == list(range(MAX_KNOWN_VALUES + 10))
    assert len(convert) <= MAX_KNOWN_VALUES
    for _ in range(2):
        with pytest.raises(ValueError, match="nonsense"):
            convert["nonsense"]
    assert "nonsense" not in convert


def test_kinds_that_read_texts_the_same_way_share_what_they_know() -> None:
    assert kinds.quantity.known is kinds.change.known
    assert kinds.quantity.known is not kinds.price.known

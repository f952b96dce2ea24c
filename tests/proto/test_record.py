"""Records: everything that can be asked of one row, for declared and unknown types."""

from __future__ import annotations

import copy
import datetime
import json
import operator
import pickle
import types
from decimal import Decimal
from typing import Any

import pytest

from kiwoom_proto import REALTIME, AfterHoursQuote, LocalProtocolError, MessageDecoder, Record, Symbol, Venue
from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime import fields as kinds
from kiwoom_proto.realtime.fields import Direction, Field
from kiwoom_proto.realtime.record import KST


class Sample(Record, tag="ZZ"):
    """A type with a field of each kind that behaves in a way of its own."""

    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    level = Field("36", kinds.decimal_price, "NAV")
    change = Field("11", kinds.change, "전일대비")
    rate = Field("12", kinds.rate, "등락율")
    account = Field("9201", kinds.account_number, "계좌번호")
    stock_name = Field("302", kinds.text, "종목명")
    trade_date = Field("22", kinds.calendar_date, "체결일자")


DECODER = MessageDecoder({"0E": AfterHoursQuote, "ZZ": Sample})

QUOTE = {"21": "165208", "131": "43955", "132": "+156", "135": "0", "136": "0"}
ACCOUNT = "8100000001"


def one(values: object, type_code: str = "ZZ", item: str = "005930", received_at: int = 0, **more: object) -> Record:
    """The record of one row, as a program gets it."""
    row = {"values": values, "type": type_code, "name": "이름", "item": item, **more}
    [record] = DECODER.decode(json.dumps({"data": [row], "trnm": "REAL"}), received_at)
    assert isinstance(record, Record)
    return record


def sample(values: object, item: str = "005930", received_at: int = 0, **more: object) -> Sample:
    record = one(values, "ZZ", item, received_at, **more)
    assert isinstance(record, Sample)
    return record


def quote(values: object = QUOTE, item: str = "005930", received_at: int = 0, **more: object) -> AfterHoursQuote:
    record = one(values, "0E", item, received_at, **more)
    assert isinstance(record, AfterHoursQuote)
    return record


def nanoseconds(*moment: int) -> int:
    """KST date and time -> nanoseconds since the epoch."""
    seconds = datetime.datetime(*moment, tzinfo=KST).timestamp()  # type: ignore[arg-type,misc]  # year, month, ...
    return int(seconds) * 1_000_000_000


# What a row says.


def test_a_row_s_own_members() -> None:
    record = sample({"10": "-5"}, "005930_NX", 17, stexTp="ND")

    assert (record.type_code, record.item, record.name) == ("ZZ", "005930_NX", "이름")
    assert (record.received_at, record.venue_code, record.extra) == (17, "ND", None)
    assert json.loads(bytes(record.values)) == {"10": "-5"}


def test_fields_are_read_by_english_name() -> None:
    record = sample({"20": "090001", "10": "-20800", "36": "+7488.27", "11": "-50", "12": "-0.24", "302": " 삼  성 "})

    assert record.time == datetime.time(9, 0, 1)
    assert (record.price, record.level) == (20800, Decimal("7488.27"))
    assert (record.change, record.rate) == (-50, Decimal("-0.24"))
    assert (record.stock_name, record.account) == ("삼  성", None)


def test_any_fid_can_be_read_as_its_exact_text() -> None:
    record = sample({"10": "-20800", "12": " 0.00", "4711": " 새 "})

    assert (record.fid("10"), record.fid("12"), record.fid("4711")) == ("-20800", " 0.00", " 새 ")
    assert record.fid("11") is None
    assert record.fid("9999") is None
    assert record.fid("item") is None


def test_every_fid_is_listed_in_the_order_received_unknown_ones_too() -> None:
    values = {"4711": "x", "12": "1", "10": "2", "1": ""}

    assert list(sample(values).fids().items()) == list(values.items())
    assert list(one(values, "??").fids().items()) == list(values.items())


def test_reading_twice_gives_the_same() -> None:
    record = quote()

    assert [record.ask_quantity, record.fid("131"), record.fids()] == [43955, "43955", QUOTE]
    assert [record.ask_quantity, record.fid("131"), record.fids()] == [43955, "43955", QUOTE]


def test_a_change_of_what_fids_returned_changes_nothing_in_the_record() -> None:
    record = quote()
    record.fids().clear()

    assert record.fids() == QUOTE


def test_a_row_of_an_unknown_type_is_a_plain_record_that_keeps_everything() -> None:
    record = one({"10": "5", "x": "y"}, "Q9")

    assert type(record) is Record
    assert (record.type_code, record.item, record.name) == ("Q9", "005930", "이름")
    assert (record.fid("10"), record.fid("x"), record.fid("11")) == ("5", "y", None)
    assert record.fids() == {"10": "5", "x": "y"}
    assert record.symbol == Symbol("005930")
    assert (record.fields, record.exchange_time) == ({}, None)


# Which instrument.


@pytest.mark.parametrize(
    ("item", "symbol"),
    [
        ("005930", Symbol("005930")),
        ("005930_NX", Symbol("005930", Venue.NXT)),
        ("005930_AL", Symbol("005930", Venue.SOR)),
        ("MGU", Symbol("MGU")),
    ],
)
def test_the_symbol_comes_from_the_item(item: str, symbol: Symbol) -> None:
    assert sample({"9001": "A000660"}, item).symbol == symbol


@pytest.mark.parametrize(
    ("stock_code", "symbol"),
    [
        ("005930", Symbol("005930")),
        ("A005930", Symbol("005930")),
        ("J57JBHH", Symbol("57JBHH")),
        ("Q500001", Symbol("500001")),
        (" A005930 ", Symbol("005930")),
        ("A005930_AL", Symbol("005930", Venue.SOR)),
        ("NVDA", Symbol("NVDA")),
        ("", None),
        (" ", None),
        ("_NX", None),
    ],
)
@pytest.mark.parametrize("type_code", ["ZZ", "Q9"])
def test_without_an_item_the_symbol_comes_from_fid_9001(stock_code: str, symbol: Symbol | None, type_code: str) -> None:
    assert one({"9001": stock_code}, type_code, "").symbol == symbol


@pytest.mark.parametrize("item", ["A005930", "005930"])
def test_the_symbol_of_a_row_is_what_can_be_subscribed_to(item: str) -> None:
    assert sample({"9001": "J57JBHH"}, item).symbol == Symbol("005930")


def test_a_row_that_names_no_instrument_has_no_symbol() -> None:
    assert sample({}, "").symbol is None
    assert sample({"10": "5"}, " ").symbol is None


# Direction and time.


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("+20900", Direction.UP),
        ("-20800", Direction.DOWN),
        ("60300", Direction.UNCHANGED),
        (" -20800", Direction.DOWN),
        (" 67300", Direction.UNCHANGED),
        ("-0", Direction.DOWN),
        ("0", Direction.UNCHANGED),
        ("", None),
        (" ", None),
        (None, None),
    ],
)
@pytest.mark.parametrize(("name", "fid"), [("price", "10"), ("level", "36")])
def test_the_sign_of_a_price_is_its_direction(
    name: str, fid: str, text: str | None, direction: Direction | None
) -> None:
    record = sample({} if text is None else {fid: text})

    assert record.direction(name) is direction


@pytest.mark.parametrize("name", ["change", "rate", "time", "nonsense", "", "10", "item"])
def test_what_is_no_price_has_no_direction(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"type ZZ has no price named {name!r}"):
        sample({"11": "-5"}).direction(name)


def test_the_exchange_time_has_date_and_zone() -> None:
    moment = sample({"20": "165208"}, received_at=nanoseconds(2026, 1, 2, 16, 52, 9)).exchange_time

    assert moment == datetime.datetime(2026, 1, 2, 16, 52, 8, tzinfo=KST)
    assert moment is not None
    assert moment.utcoffset() == datetime.timedelta(hours=9)


@pytest.mark.parametrize(
    ("text", "received", "expected"),
    [
        ("235959", (2026, 1, 2, 0, 0, 1), (2026, 1, 1, 23, 59, 59)),
        ("000001", (2026, 1, 1, 23, 59, 58), (2026, 1, 2, 0, 0, 1)),
        ("235959", (2026, 1, 1, 23, 59, 59), (2026, 1, 1, 23, 59, 59)),
        ("000001", (2026, 1, 2, 0, 0, 1), (2026, 1, 2, 0, 0, 1)),
        ("180000", (2026, 1, 2, 5, 0, 0), (2026, 1, 1, 18, 0, 0)),
        ("180000", (2026, 1, 2, 7, 0, 0), (2026, 1, 2, 18, 0, 0)),
        ("235959", (2024, 3, 1, 0, 0, 0), (2024, 2, 29, 23, 59, 59)),
    ],
)
def test_the_exchange_time_is_dated_to_the_nearest_day(
    text: str, received: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    moment = sample({"20": text}, received_at=nanoseconds(*received)).exchange_time

    assert moment is not None
    assert moment.timestamp() * 1e9 == nanoseconds(*expected)


def test_the_exchange_time_needs_both_times() -> None:
    now = nanoseconds(2026, 1, 2, 12)

    assert sample({"20": "165208"}).exchange_time is None
    assert sample({"20": ""}, received_at=now).exchange_time is None
    assert sample({"20": "000000"}, received_at=now).exchange_time is None
    assert sample({}, received_at=now).exchange_time is None


def test_an_exchange_time_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FieldError, match="FID 20"):
        _ = sample({"20": "x"}, received_at=1).exchange_time


# to_dict.


def test_to_dict_has_plain_values_under_english_names() -> None:
    record = sample(
        {
            "20": "090001",
            "11": "-50",
            "12": "-0.24",
            "302": "삼성전자",
            "22": "20260630",
            "4711": " x ",
        },
        received_at=17,
        stexTp="ND",
        surprise=[1, None],
    )

    assert record.to_dict() == {
        "type": "ZZ",
        "item": "005930",
        "name": "이름",
        "received_at": 17,
        "exchange_time": "1970-01-01T09:00:01+09:00",
        "time": "09:00:01",
        "price": None,
        "level": None,
        "change": -50,
        "rate": "-0.24",
        "account": None,
        "stock_name": "삼성전자",
        "trade_date": "2026-06-30",
        "venue_code": "ND",
        "extra": {"surprise": [1, None]},
        "fids": record.fids(),
    }
    assert json.loads(json.dumps(record.to_dict())) == record.to_dict()


def test_to_dict_of_a_complete_row() -> None:
    assert quote().to_dict() == {
        "type": "0E",
        "item": "005930",
        "name": "이름",
        "received_at": 0,
        "time": "16:52:08",
        "ask_quantity": 43955,
        "ask_quantity_change": 156,
        "bid_quantity": 0,
        "bid_quantity_change": 0,
        "fids": {"21": "165208", "131": "43955", "132": "+156", "135": "0", "136": "0"},
    }


@pytest.mark.parametrize(
    "texts", [{"10": "-0", "11": "+5", "12": " 1.50", "x": "y"}, {}, {"10": "1_000", "302": "삼  성"}]
)
def test_from_dict_makes_the_same_record_of_it(texts: dict[str, str]) -> None:
    record = sample(texts, received_at=17, stexTp="ND", surprise=[1, None])
    again = Sample.from_dict(json.loads(json.dumps(record.to_dict())))
    assert again == record
    assert again.fids() == record.fids() == texts


def test_to_dict_keeps_bad_texts_as_they_came_and_never_raises() -> None:
    found = sample({"10": "1_000", "12": "x", "11": "5"}).to_dict()

    assert found["fids"] == {"10": "1_000", "12": "x", "11": "5"}
    assert found["change"] == 5
    assert "price" not in found
    assert "rate" not in found


def test_to_dict_of_an_unknown_type_has_every_text() -> None:
    assert one({"10": "5", "x": ""}, "Q9").to_dict() == {
        "type": "Q9",
        "item": "005930",
        "name": "이름",
        "received_at": 0,
        "fids": {"10": "5", "x": ""},
    }


def test_to_dict_has_prices_as_magnitudes_and_their_signs_apart() -> None:
    found = sample({"10": "-20800", "36": "+7488.270"}).to_dict()

    assert (found["price"], found["level"]) == (20800, "7488.270")
    assert found["directions"] == {"price": "-", "level": "+"}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("fid", ["10", "36"])
def test_to_dict_does_not_lose_the_direction_of_a_price(fid: str) -> None:
    """The sign of a price says where it stands against the reference price: not the same row without it."""
    up, down, unchanged = (sample({fid: text}).to_dict() for text in ("+20800", "-20800", "20800"))

    assert up != down
    assert down != unchanged
    assert unchanged != up


@pytest.mark.parametrize("text", ["0.00000012", "0.0000000", "-0.0000001"])
def test_to_dict_has_decimals_as_their_text_and_not_in_scientific_notation(text: str) -> None:
    assert sample({"12": text}).to_dict()["rate"] == text


@pytest.mark.parametrize(
    ("text", "received_at"),
    [("165208", 0), ("x", 17), ("", 17), ("165208", 10**30), ("165208", -62_135_596_800 * 10**9)],
)
def test_to_dict_has_no_exchange_time_where_the_record_has_none(text: str, received_at: int) -> None:
    assert "exchange_time" not in sample({"20": text}, received_at=received_at).to_dict()


def test_a_type_whose_time_is_no_time_of_day_has_no_exchange_time() -> None:
    class Paced(Record, tag="ZY"):
        """A type with a duration that is named time."""

        time = Field("20", kinds.quantity, "시간")

    paced = Paced("ZY", "005930", received_at=17, values=b'{"20":"5"}')

    assert paced.exchange_time is None
    assert "exchange_time" not in paced.to_dict()


def test_to_dict_has_the_numbers_of_a_row_of_a_session_and_from_dict_restores_them() -> None:
    row = Sample("ZZ", "005930", values=b'{"10":"5"}', epoch=2, sequence=7)

    again = Sample.from_dict(json.loads(json.dumps(row.to_dict())))

    assert (again, again.epoch, again.sequence) == (row, 2, 7)
    assert (row.to_dict()["epoch"], row.to_dict()["sequence"]) == (2, 7)


# repr.


def test_the_repr_shows_what_was_received() -> None:
    record = sample({"20": "090001", "10": "-20800", "12": "-0.24", "11": ""})

    assert repr(record) == ("Sample(item='005930', time=09:00:01, price=20800, change=None, rate=Decimal('-0.24'))")


def test_the_repr_of_a_quote() -> None:
    assert repr(quote()) == (
        "AfterHoursQuote(item='005930', time=16:52:08, ask_quantity=43955, ask_quantity_change=156, "
        "bid_quantity=0, bid_quantity_change=0)"
    )


def test_the_repr_masks_the_account_number() -> None:
    record = sample({"9201": ACCOUNT, "10": "5"})

    assert record.account == ACCOUNT
    assert repr(record) == "Sample(item='005930', price=5, account='***')"


def test_the_repr_of_an_unknown_type_shows_no_text_since_one_may_be_an_account_number() -> None:
    assert repr(one({"9201": ACCOUNT, "10": "5"}, "Q9")) == "Record(type_code='Q9', item='005930', fids=<2>)"


def test_the_repr_shows_a_bad_text_and_never_raises() -> None:
    assert repr(sample({"10": "1_000", "11": "5"})) == "Sample(item='005930', price=<bad text '1_000'>, change=5)"


# Equality, copies, immutability.


def test_equal_rows_are_equal_and_have_the_same_hash_whether_read_or_not() -> None:
    read, unread = quote(), quote()
    assert read.ask_quantity == 43955

    assert read == unread
    assert hash(read) == hash(unread)
    assert len({read, unread}) == 1


def test_the_order_of_keys_makes_no_difference() -> None:
    other = quote(dict(reversed(QUOTE.items())))

    assert bytes(other.values) != bytes(quote().values)
    assert other == quote()
    assert hash(other) == hash(quote())


@pytest.mark.parametrize(
    "other",
    [
        quote({**QUOTE, "131": "43956"}),
        quote({**QUOTE, "4711": "x"}),
        quote(item="005930_NX"),
        quote(received_at=1),
        quote(name="other"),
        quote(stexTp="ND"),
        quote(surprise=1),
        one(QUOTE, "0e"),
        one(QUOTE, "ZZ"),
        "AfterHoursQuote",
        None,
    ],
)
def test_another_row_is_not_equal(other: object) -> None:
    assert quote() != other
    assert not operator.eq(quote(), other)


def test_plain_records_of_two_types_are_not_equal() -> None:
    assert one({}, "Q8") != one({}, "Q9")
    assert one({}, "Q9") == one({}, "Q9")


COPIES: dict[str, Any] = {
    "pickle": lambda record: pickle.loads(pickle.dumps(record)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("already_read", [False, True])
@pytest.mark.parametrize(
    "record",
    [
        quote(received_at=17),
        sample({"9201": ACCOUNT, "10": "x", "4711": "y"}, stexTp="ND", surprise={"a": [1]}),
        one({"10": "5"}, "Q9"),
        one(None, "0E"),
        one([{"131": "5"}], "0E"),
    ],
    ids=["quote", "sample", "plain", "no values", "list of values"],
)
def test_copies_are_equal_and_complete(record: Record, way: str, already_read: bool) -> None:
    if already_read:
        record.fid("131")

    twin = COPIES[way](record)

    assert type(twin) is type(record)
    assert twin == record
    assert hash(twin) == hash(record)
    assert twin.fids() == record.fids()
    assert twin.to_dict() == record.to_dict()
    assert repr(twin) == repr(record)


@pytest.mark.parametrize("name", ["item", "type_code", "received_at", "values", "ask_quantity", "surprise"])
def test_nothing_of_a_record_can_be_set_or_deleted(name: str) -> None:
    record: Any = quote()

    with pytest.raises(AttributeError):
        setattr(record, name, 1)
    with pytest.raises(AttributeError):
        delattr(record, name)
    assert record == quote()


# Subclasses.


def test_a_subclass_inherits_fields_and_adds_its_own() -> None:
    class Extended(Sample, tag="ZY"):
        volume = Field("13", kinds.quantity)

    [record] = MessageDecoder({"ZY": Extended}).decode(
        b'{"data":[{"values":{"10":"-5","13":"7"},"type":"ZY","item":"1"}],"trnm":"REAL"}'
    )

    assert isinstance(record, Extended)
    assert (record.price, record.volume) == (5, 7)
    assert list(Extended.fields) == [*Sample.fields, "volume"]
    assert "volume" not in Sample.fields


def test_the_direction_of_a_price_that_cannot_be_read_is_an_error() -> None:
    record = one({"10": "abc"})
    with pytest.raises(FieldError, match="FID 10"):
        record.direction("price")


@pytest.mark.parametrize("name", ["item", "values", "symbol", "fid", "to_dict"])
def test_a_field_cannot_be_called_what_every_record_has(name: str) -> None:
    with pytest.raises(TypeError, match=f"every Record has an attribute {name}"):
        types.new_class("Clash", (Record,), {"tag": "ZY"}, lambda body: body.update({name: Field("10", kinds.text)}))


@pytest.mark.parametrize(
    ("venue_code", "symbol"),
    [("ND", Symbol("NVDA", Venue.NASDAQ)), (" NY ", Symbol("NVDA", Venue.NYSE)), ("ZZ", None)],
)
def test_the_exchange_of_a_us_row_comes_from_its_stextp(venue_code: str, symbol: Symbol | None) -> None:
    assert one({}, item="NVDA", stexTp=venue_code).symbol == symbol
    assert one({"9001": "NVDA"}, item="", stexTp=venue_code).symbol == symbol


@pytest.mark.parametrize("type_code", ["F4", "F5", "FE", "FT", "S2"])
def test_a_us_row_that_names_no_exchange_is_not_taken_for_a_korean_stock(type_code: str) -> None:
    assert REALTIME[type_code](type_code, "NVDA", values=b'{"9001":"NVDA"}').symbol is None

"""The catalogue: the classes declare what the official pages list, and nothing else."""

from __future__ import annotations

import csv
import json
import keyword
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

import kiwoom_proto
from kiwoom_proto import (
    REALTIME,
    AfterHoursQuote,
    Balance,
    ConditionHit,
    OrderExecution,
    Record,
    VolatilityInterruption,
    realtime,
)
from kiwoom_proto.realtime import Code, codes, type_code_of
from kiwoom_proto.realtime import fields as kinds
from kiwoom_proto.realtime.fields import Field

DATA = Path(__file__).parents[1] / "data"


def read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TYPES = read("types.csv")
FIELDS = read("fields.csv")

# What stands in the column "unit" and is none: how a text is written.
NOTATIONS = ("HHMMSS", "YYYYMMDD", "10 digits", "7 digits", "2 decimals", "colour hint")

# Where the official page has a unit that its own example contradicts: an index has no price in won, and 60.7 trillion
# won in 725 277 shares would be 84 million won a share.
OTHER_UNITS = {
    **{(type_code, fid): "points" for type_code in ("0J", "0U") for fid in ("10", "11", "16", "17", "18")},
    **{(type_code, fid): "thousand shares" for type_code in ("0J", "0U") for fid in ("13", "15")},
}


def test_the_catalogue_has_every_type_in_official_order() -> None:
    assert [(type_code, cls.__name__) for type_code, cls in REALTIME.items()] == [
        (row["type"], row["class_name"]) for row in TYPES
    ]


@pytest.mark.parametrize("row", TYPES, ids=lambda row: row["type"])
def test_a_class_has_the_documented_name_and_label(row: dict[str, str]) -> None:
    cls = REALTIME[row["type"]]
    _, _, rest = (cls.__doc__ or "").partition("\n\n")
    source = {"02": "ka10173", "S2": "usa20290"}.get(row["type"], row["type"])

    assert type_code_of(cls) == row["type"]
    assert cls.label == row["label_ko"]
    assert rest.strip().startswith(f"Source: official API page {source}.")
    assert len(cls.fields) == int(row["fields"])


@pytest.mark.parametrize("type_code", REALTIME)
def test_a_class_declares_every_fid_of_its_type_in_official_order_with_its_label(type_code: str) -> None:
    official = [(row["fid"], row["label_ko"]) for row in FIELDS if row["type"] == type_code]

    assert [(field.fid, field.label) for field in REALTIME[type_code].fields.values()] == official


@pytest.mark.parametrize("type_code", REALTIME)
def test_a_field_has_the_documented_unit(type_code: str) -> None:
    """Where none is documented it may still have one: the documentation of a like field, or arithmetic, told it."""
    fields = {field.fid: field for field in REALTIME[type_code].fields.values()}
    documented = {
        row["fid"]: OTHER_UNITS.get((type_code, row["fid"]), row["unit"].partition(" (")[0])
        for row in FIELDS
        if row["type"] == type_code and row["unit"] and not row["unit"].startswith(NOTATIONS)
    }

    assert {fid: fields[fid].unit for fid in documented} == documented


def test_units_are_few_and_fit_their_kinds() -> None:
    for cls in REALTIME.values():
        for field in cls.fields.values():
            if field.kind in (kinds.rate, kinds.ratio):
                assert field.unit == "percent", (cls, field)
            elif field.kind is kinds.decimal_price:
                assert field.unit in ("KRW", "USD", "points"), (cls, field)
            elif field.kind is kinds.price:
                assert field.unit == "KRW", (cls, field)
            elif field.kind in (kinds.quantity, kinds.signed_quantity, kinds.trade_quantity):
                assert field.unit in ("shares", "thousand shares", "stocks", "trades", "times"), (cls, field)
            elif field.kind not in (
                kinds.amount,
                kinds.signed_amount,
                kinds.decimal_amount,
                kinds.change,
                kinds.decimal_change,
            ):
                assert not field.unit, (cls, field)


@pytest.mark.parametrize(
    "row", [row for row in FIELDS if row["codes"]], ids=lambda row: f"{row['type']} {row['fid']} {row['codes'][:12]}"
)
def test_a_field_with_documented_codes_has_their_enumeration(row: dict[str, str]) -> None:
    field = next(field for field in REALTIME[row["type"]].fields.values() if field.fid == row["fid"])
    pairs = [pair.partition("=") for pair in row["codes"].split("; ")] if "=" in row["codes"] else []
    listed = [value for value, _, _ in pairs] or row["codes"].split("|")

    match row["type"], row["fid"]:
        case _, "15" | "1315" | "1316":
            assert field.kind is kinds.trade_quantity  # its codes are the sign
        case "00", "905":
            assert field.kind is kinds.text  # its sign is part of the text
        case _, "2136":
            assert field.kind is kinds.flag
        case _, "215":
            assert field.kind is codes.market_phase
        case _, "9081":
            assert field.kind is codes.venue
        case _:
            assert issubclass(field.kind.python_type, Code)
            assert all(field.kind.python_type(value).is_known for value in listed)


def test_prices_of_the_us_indices_and_net_asset_values_have_decimals_and_all_others_are_whole_won() -> None:
    decimal = {
        (type_code, name)
        for type_code, cls in REALTIME.items()
        for name, field in cls.fields.items()
        if field.kind is kinds.decimal_price
    }

    assert {type_code for type_code, _ in decimal} == {"0D", "0G", "0J", "0U", "0m", "F4", "F5", "FE", "FT"}
    assert {pair for pair in decimal if pair[0] in ("0D", "0G", "0m")} == {
        ("0D", "krx_mid_price"),
        ("0D", "nxt_mid_price"),
        ("0G", "nav"),
        ("0m", "elw_theoretical_price"),
    }


LADDERS = {
    ("0D", 10): {
        *("ask_price", "ask_quantity", "ask_quantity_change", "bid_price", "bid_quantity", "bid_quantity_change"),
        *("lp_ask_quantity", "lp_bid_quantity", "krx_ask_quantity", "krx_bid_quantity"),
        *("nxt_ask_quantity", "nxt_bid_quantity"),
    },
    ("FT", 10): {
        "ask_price",
        "ask_quantity",
        "ask_quantity_change",
        "bid_price",
        "bid_quantity",
        "bid_quantity_change",
    },
    ("0F", 5): {
        *("seller_name", "seller_code", "seller_quantity", "seller_quantity_change", "seller_colour"),
        *("buyer_name", "buyer_code", "buyer_quantity", "buyer_quantity_change", "buyer_colour"),
    },
}


@pytest.mark.parametrize(("type_code", "depth"), LADDERS)
def test_the_numbered_fields_of_a_type_are_whole_ladders_of_one_kind(type_code: str, depth: int) -> None:
    steps: dict[str, dict[int, Field[Any]]] = defaultdict(dict)
    for name, field in REALTIME[type_code].fields.items():
        stem, _, number = name.rpartition("_")
        if number.isdigit() and not name.startswith("extra_item"):
            steps[stem][int(number)] = field

    assert steps.keys() == LADDERS[type_code, depth]
    for fields in steps.values():
        assert sorted(fields) == list(range(1, depth + 1))
        assert len({(field.kind, field.unit) for field in fields.values()}) == 1
        assert len({int(field.fid) - number for number, field in fields.items()}) == 1, "FIDs count up with the steps"
        assert all(str(number) in field.label for number, field in fields.items())


@pytest.mark.parametrize(
    ("type_code", "sequence", "names"),
    [
        *(
            (type_code, f"{side}s", [f"{side}_price", f"{side}_quantity", f"{side}_quantity_change"])
            for type_code in ("0D", "FT")
            for side in ("ask", "bid")
        ),
        *(
            ("0D", f"{book}_{side}_quantities", [f"{book}_{side}_quantity"])
            for book in ("lp", "krx", "nxt")
            for side in ("ask", "bid")
        ),
        *(
            ("0F", f"{side}s", [f"{side}_{what}" for what in ("name", "code", "quantity", "quantity_change", "colour")])
            for side in ("seller", "buyer")
        ),
    ],
)
def test_a_ladder_is_its_numbered_fields_step_by_step(type_code: str, sequence: str, names: list[str]) -> None:
    cls = REALTIME[type_code]
    values = {field.fid: str(number) for number, field in enumerate(cls.fields.values(), 1)}
    row = cls(type_code, "", values=json.dumps(values).encode())
    depth = next(depth for code, depth in LADDERS if code == type_code)
    expected = [tuple(getattr(row, f"{name}_{number}") for name in names) for number in range(1, depth + 1)]

    ladder = getattr(row, sequence)

    assert isinstance(ladder, tuple)
    assert [structs.astuple(step) if isinstance(step, Struct) else (step,) for step in ladder] == expected


def test_one_fid_with_one_label_has_one_name_everywhere() -> None:
    names = defaultdict(set)
    for cls in REALTIME.values():
        for name, field in cls.fields.items():
            names[field.fid, field.label].add(name)

    assert {key: found for key, found in names.items() if len(found) > 1} == {}


def test_one_fid_has_one_name_everywhere_whatever_its_label() -> None:
    """Labels of one FID differ by a space or a comma only, or between the domestic and the US pages."""
    names = defaultdict(set)
    for cls in REALTIME.values():
        for name, field in cls.fields.items():
            names[field.fid].add(name)

    assert {key: found for key, found in names.items() if len(found) > 1} == {}


def test_names_are_lower_case_identifiers_that_no_record_and_no_exported_dict_has_already() -> None:
    taken = {name for name in dir(Record) if not name.startswith("__")} | {
        "type",
        "item",
        "name",
        "received_at",
        "directions",
        "venue_code",
        "fids",
        "extra",
    }
    for cls in REALTIME.values():
        for name in cls.fields:
            assert name.isidentifier() and name.isascii() and name == name.lower(), (cls, name)
            assert not keyword.iskeyword(name), (cls, name)
            assert name not in taken, (cls, name)


def test_everything_is_exported() -> None:
    classes = {cls.__name__ for cls in REALTIME.values()}
    enumerations = {name for name in codes.__all__ if isinstance(getattr(codes, name), type)}

    assert classes | enumerations | {"Level", "Broker", "REALTIME"} < set(realtime.__all__)
    assert classes | {"REALTIME"} < set(kiwoom_proto.__all__)


def test_the_fields_of_after_hours_quotes() -> None:
    declared = {name: (field.fid, field.kind, field.unit) for name, field in AfterHoursQuote.fields.items()}

    assert REALTIME["0E"] is AfterHoursQuote
    assert declared == {
        "time": ("21", kinds.clock_time, ""),
        "ask_quantity": ("131", kinds.quantity, "shares"),
        "ask_quantity_change": ("132", kinds.signed_quantity, "shares"),
        "bid_quantity": ("135", kinds.quantity, "shares"),
        "bid_quantity_change": ("136", kinds.signed_quantity, "shares"),
    }
    assert list(declared) == list(AfterHoursQuote.fields)


def test_a_field_is_documented_by_its_official_label() -> None:
    assert vars(AfterHoursQuote)["ask_quantity"].__doc__ == "시간외매도호가총잔량"


@pytest.mark.parametrize("cls", [OrderExecution, Balance, VolatilityInterruption, ConditionHit])
def test_the_stock_code_of_a_row_says_that_another_attribute_is_what_subscribes(cls: type[Record]) -> None:
    documented = vars(cls)["stock_code"].__doc__
    assert documented.startswith("종목코드")
    assert "`symbol` is what subscribes" in documented


def test_every_kind_of_the_catalogue_says_what_its_values_are() -> None:
    found = {field.kind.python_type for cls in REALTIME.values() for field in cls.fields.values()}

    assert object not in found
    assert float not in found
    assert {int, Decimal, str, bool} < found


def test_the_type_code_is_the_one_declared() -> None:
    class Declared(Record, tag="ZX"):
        pass

    assert type_code_of(Declared) == "ZX"


def test_a_class_that_declares_no_type_has_no_type_code() -> None:
    class Undeclared(Record):
        pass

    for cls in (Undeclared, Record):
        with pytest.raises(TypeError, match="declares no real-time type"):
            type_code_of(cls)


def test_two_fields_of_one_fid_are_refused() -> None:
    with pytest.raises(TypeError, match="same FID"):

        class Twice(Record, tag="ZX"):
            first = Field("10", kinds.quantity)
            second = Field("10", kinds.quantity)


@pytest.mark.parametrize("fid", ["", "a", "1a", "-1", "1 ", "１"])
def test_a_fid_that_is_no_number_is_refused(fid: str) -> None:
    with pytest.raises(TypeError, match="FID must be digits"):

        class Bad(Record, tag="ZX"):
            field = Field(fid, kinds.quantity)

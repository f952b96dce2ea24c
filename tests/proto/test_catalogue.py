"""The catalogue: the classes declare what the official page lists."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from kiwoom_proto import REALTIME, AfterHoursQuote, Field, Record
from kiwoom_proto import fields as kinds
from kiwoom_proto.realtime import type_code_of

DATA = Path(__file__).parents[1] / "data"


def read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("type_code", sorted(REALTIME))
def test_a_class_declares_every_fid_of_its_type_in_official_order_with_its_label(type_code: str) -> None:
    official = [(row["fid"], row["label_ko"]) for row in read("fields.csv") if row["type"] == type_code]

    assert [(field.fid, field.label) for field in REALTIME[type_code].fields.values()] == official


@pytest.mark.parametrize("type_code", sorted(REALTIME))
def test_a_class_has_the_documented_name_and_label(type_code: str) -> None:
    official = next(row for row in read("types.csv") if row["type"] == type_code)
    cls = REALTIME[type_code]

    assert cls.__name__ == official["class_name"]
    assert official["label_ko"] in (cls.__doc__ or "")
    assert type_code_of(cls) == type_code
    assert len(cls.fields) == int(official["fields"])


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

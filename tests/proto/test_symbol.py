"""Symbols: the text on the wire and the instrument it names, both ways."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kiwoom_proto import LocalProtocolError, Symbol, Venue
from kiwoom_proto.symbol import MAX_ITEM_LENGTH, parse_item, parse_stock_code


@pytest.mark.parametrize(
    ("item", "code", "venue"),
    [
        ("039490", "039490", Venue.KRX),
        ("039490_NX", "039490", Venue.NXT),
        ("039490_AL", "039490", Venue.SOR),
        ("0004V0_NX", "0004V0", Venue.NXT),
        ("57JBHH", "57JBHH", Venue.KRX),
        ("001", "001", Venue.KRX),
        ("MGU", "MGU", Venue.KRX),
        ("NVDA", "NVDA", Venue.KRX),
        ("NVDA:ND", "NVDA", Venue.NASDAQ),
        ("IBM:NY", "IBM", Venue.NYSE),
        ("GPUS:NA", "GPUS", Venue.AMEX),
        ("039490_XX", "039490_XX", Venue.KRX),
        ("039490_nx", "039490_nx", Venue.KRX),
    ],
)
def test_an_item_and_its_symbol_are_the_same_both_ways(item: str, code: str, venue: Venue) -> None:
    symbol = Symbol.parse(item)

    assert symbol == Symbol(code, venue)
    assert (symbol.code, symbol.venue) == (code, venue)
    assert symbol.item == str(symbol) == item


def test_what_is_no_text_is_no_item() -> None:
    with pytest.raises(LocalProtocolError, match=r"Symbol\.code"):
        Symbol.parse(5930)  # type: ignore[arg-type]  # the mistake that is tested


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("A005930", Symbol("005930")),
        ("J57JBHH", Symbol("57JBHH")),
        ("Q500001_NX", Symbol("500001", Venue.NXT)),
        ("005930", Symbol("005930")),
        ("AAPL_NX", Symbol("AAPL", Venue.NXT)),
        ("AMZNABC", Symbol("AMZNABC")),
    ],
)
def test_a_stock_code_may_have_a_letter_for_the_kind_of_instrument_in_front(text: str, symbol: Symbol) -> None:
    assert parse_stock_code(text) == symbol


def test_the_venue_is_krx_unless_said_otherwise() -> None:
    assert Symbol("005930") == Symbol("005930", Venue.KRX)
    assert Symbol("005930").item == "005930"


def test_one_code_at_three_venues_is_three_symbols() -> None:
    symbols = [Symbol("005930", venue) for venue in (Venue.KRX, Venue.NXT, Venue.SOR)]

    assert len(set(symbols)) == 3
    assert [symbol.item for symbol in symbols] == ["005930", "005930_NX", "005930_AL"]


def test_an_exchange_that_is_not_known_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="NVDA:ZZ"):
        Symbol.parse("NVDA:ZZ")
    assert parse_item("NVDA:ZZ") is None


def test_symbols_are_ordered_by_code_then_venue() -> None:
    krx, nxt, sor = (Symbol("005930", venue) for venue in (Venue.KRX, Venue.NXT, Venue.SOR))
    other = Symbol("000660", Venue.SOR)

    assert sorted([sor, nxt, krx, other]) == [other, krx, nxt, sor]


def test_a_symbol_cannot_be_changed() -> None:
    symbol = Symbol("005930")

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        symbol.code = "000660"  # type: ignore[misc]  # this is what must fail


@pytest.mark.parametrize("code", ["", " ", " 005930", "005930 ", None, 5930, b"005930"])
def test_a_code_that_is_no_plain_text_is_refused_by_name(code: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Symbol\.code: "):
        Symbol(code)


@pytest.mark.parametrize("code", ["005930_NX", "005930_AL"])
def test_a_code_with_a_suffix_is_refused_and_the_way_out_is_named(code: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"Symbol\.parse") as caught:
        Symbol(code)

    assert repr(code) in str(caught.value)


@pytest.mark.parametrize("venue", ["KRX", "NXT", None, "_NX"])
def test_a_venue_that_is_no_venue_is_refused_by_name(venue: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"^Symbol\.venue: "):
        Symbol("005930", venue)


def test_the_limit_counts_the_suffix_and_is_named() -> None:
    assert len(Symbol("9" * 100).item) == MAX_ITEM_LENGTH == 100
    assert len(Symbol("9" * 97, Venue.NXT).item) == MAX_ITEM_LENGTH

    with pytest.raises(LocalProtocolError, match="101 characters, the limit is 100"):
        Symbol("9" * 101)
    with pytest.raises(LocalProtocolError, match="101 characters, the limit is 100"):
        Symbol("9" * 98, Venue.SOR)


@pytest.mark.parametrize("item", ["", "_NX", "_AL", " 005930", "005930_NX_AL", "9" * 101])
def test_what_can_be_no_item_is_refused_by_parse_and_none_when_received(item: str) -> None:
    with pytest.raises(LocalProtocolError):
        Symbol.parse(item)

    assert parse_item(item) is None


def test_a_received_item_is_parsed_like_any_other() -> None:
    assert parse_item("005930_AL") == Symbol("005930", Venue.SOR)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("005930", Symbol("005930")),
        ("A005930", Symbol("005930")),
        ("J57JBHH", Symbol("57JBHH")),
        ("Q500001", Symbol("500001")),
        ("A005930_AL", Symbol("005930", Venue.SOR)),
        ("005930_NX", Symbol("005930", Venue.NXT)),
        ("AAPL", Symbol("AAPL")),
        ("QQQ", Symbol("QQQ")),
        ("A00593", Symbol("A00593")),
        ("X005930", Symbol("X005930")),
    ],
)
def test_a_stock_code_loses_the_letter_for_the_kind_of_instrument_and_nothing_else(text: str, symbol: Symbol) -> None:
    assert parse_stock_code(text) == symbol

"""Tables for notebooks: Korean labels beside English names, everything escaped, and masked as in `repr`."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec
import pytest

from kiwoom_proto import REALTIME, Balance, MessageDecoder, OrderBook, Record, Trade
from kiwoom_proto.html import shown, table
from kiwoom_proto.realtime.codes import VenueCode


def row(cls: type[Record], item: str = "005930", **values: str) -> Record:
    """A row of a type, by names of fields."""
    return cls(REALTIME_CODES[cls], item, "", 0, msgspec.json.encode({cls.fields[n].fid: v for n, v in values.items()}))


REALTIME_CODES = {cls: code for code, cls in REALTIME.items()}


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", " ", html)


def test_values_are_shown_as_people_read_them() -> None:
    assert [shown(each) for each in (71_400, Decimal("1234.50"), None, True, VenueCode.KRX, "a\x1b")] == [
        "71,400",
        "1,234.50",
        "",
        "True",
        "KRX",
        "a\\x1b",
    ]


def test_everything_in_a_table_is_escaped() -> None:
    html = table("<b>", ["<i>"], [["<script>alert('x')</script>", 1_000]])

    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert '<td style="text-align: right">1,000</td>' in html


def test_a_row_shows_what_is_there_with_both_names() -> None:
    html = row(Trade, price="-71400", volume="12345")._repr_html_()

    assert "Trade 주식체결 0B 005930" in html
    for cell in ("price", "현재가", "71,400", "KRW", "12,345"):
        assert f">{cell}<" in html
    assert "open_time" not in html


def test_a_book_is_a_ladder() -> None:
    book = row(
        OrderBook,
        ask_price_2="71600",
        ask_price_1="+71500",
        ask_quantity_1="7",
        bid_price_1="71400",
        bid_quantity_1="1234",
        bid_price_2="0",
    )

    cells = text_of(book._repr_html_()).split()

    assert [cell for cell in cells if cell.startswith("71,")] == ["71,600", "71,500", "71,400"]
    assert "1,234" in cells
    assert "매도잔량" in cells


def test_account_numbers_are_masked() -> None:
    balance = row(Balance, account_number="1234567890")

    html = balance._repr_html_()

    assert "1234567890" not in html
    assert "***" in html


def test_a_row_of_an_unknown_type_shows_no_value() -> None:
    unknown = Record("9Z", "<x>", "", 0, b'{"9201":"1234567890"}')

    html = unknown._repr_html_()

    assert "1234567890" not in html
    assert "&lt;x&gt;" in html


def test_a_bad_value_is_shown_as_such_and_escaped() -> None:
    html = row(Trade, price="<b>", volume="7")._repr_html_()

    assert "&lt;bad text" in html
    assert "<b>" not in html
    assert ">7<" in html


@pytest.mark.parametrize("cls", list(REALTIME.values()), ids=lambda cls: cls.__name__)
def test_every_type_has_a_table(cls: type[Record]) -> None:
    filled = row(cls, **dict.fromkeys(cls.fields, "1"))

    assert "<table>" in filled._repr_html_()


def test_a_decoded_row_shows_when_it_came() -> None:
    text = '{"trnm":"REAL","data":[{"type":"0B","item":"005930","values":{"20":"090000","10":"+71400"}}]}'
    (trade,) = MessageDecoder().decode(text, 1_700_000_000_000_000_000)
    assert isinstance(trade, Trade)

    assert "09:00:00" in trade._repr_html_()

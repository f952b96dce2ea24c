"""Condition search (조건검색): rows of stocks that enter or leave a condition, and the contents of the replies.

The server answers a search once with rows of FIDs, in pages; or it answers with the codes that meet the condition now,
and then pushes a row of type 02 (US: S2) for every stock that enters or leaves. Numbers are zero-padded with the sign
inside.

Sources: official pages ka10171 to ka10174 and usa20280 to usa20291; missing members, padded numbers and null rows as
measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from ..display import repr_of, rich_repr
from ..secrets import redact
from ..symbol import Symbol, parse_item, parse_stock_code
from . import codes
from . import fields as kinds
from .fields import Field, Kind
from .record import Record
from .traits import Market, Scope

__all__ = (
    "Condition",
    "ConditionHit",
    "ConditionRow",
    "UsConditionHit",
    "UsConditionRow",
    "read_conditions",
    "read_rows",
    "read_symbols",
)


class Condition(msgspec.Struct, frozen=True):
    """One saved condition.

    Attributes:
        seq: its number (조건식 일련번호), "0".
        name: its name, given by the user (조건식명).
    """

    seq: str
    name: str

    def __repr__(self) -> str:
        return repr_of(self, {"seq": redact(self.seq), "name": redact(self.name)})

    __rich_repr__ = rich_repr


def _thousandths(text: str) -> Decimal:
    value = kinds.signed_quantity.convert(text)
    assert value is not None  # whole numbers are never absent
    return Decimal(value).scaleb(-3)


_padded_rate = Kind("percent", _thousandths)


class ConditionRow(Record, tag="CNSRREQ"):
    """One stock that meets a condition.

    Source: official API page ka10172. Prices in won.
    """

    label = "조건검색 요청 일반"
    scope = Scope.CONDITION

    stock_code = Field("9001", kinds.code, "종목코드", note=kinds.STOCK_CODE_NOTE)
    stock_name = Field("302", kinds.text, "종목명")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", _padded_rate, "등락율", unit="percent")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    open = Field("16", kinds.price, "시가", unit="KRW")
    high = Field("17", kinds.price, "고가", unit="KRW")
    low = Field("18", kinds.price, "저가", unit="KRW")


class UsConditionRow(Record, tag="GCNSRREQ"):
    """One US stock that meets a condition.

    Source: official API page usa20281. Prices in US dollars.
    """

    label = "미국주식 조건검색 요청 일반"
    market = Market.US
    scope = Scope.CONDITION

    stock_code = Field("9001", kinds.code, "종목코드")
    stock_name = Field("302", kinds.text, "종목명")
    price = Field("10", kinds.decimal_price, "현재가", unit="USD")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    change = Field("11", kinds.decimal_change, "전일대비", unit="USD")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    open = Field("16", kinds.decimal_price, "시가", unit="USD")
    high = Field("17", kinds.decimal_price, "고가", unit="USD")
    low = Field("18", kinds.decimal_price, "저가", unit="USD")


def read_conditions(data: object) -> tuple[Condition, ...]:
    """Read the rows of a list reply, `["0", "name"]` each. Anything else is skipped."""
    return tuple(
        Condition(str(row[0]).strip(), str(row[1]))
        for row in _rows(data)
        if isinstance(row, list) and len(row) >= 2 and row[0] is not None
    )


def read_rows(trnm: str, data: object, received_at: int) -> tuple[ConditionRow | UsConditionRow, ...]:
    """Read the rows of FIDs in a search reply. Null rows and bare codes are skipped."""
    cls = UsConditionRow if trnm.startswith("G") else ConditionRow
    return tuple(
        cls(
            trnm,
            "",
            "",
            received_at,
            msgspec.json.encode({key: value for key, value in row.items() if key != "stex_tp"}),
            str(row.get("stex_tp") or ""),
        )
        for row in _rows(data)
        if isinstance(row, dict) and row.get("jmcode") is None
    )


def read_symbols(data: object) -> tuple[Symbol, ...]:
    """Read the stocks in a search reply: the codes, `{"jmcode": "A005930"}` each, or those of its rows of FIDs."""
    symbols = []
    for row in _rows(data):
        if not isinstance(row, dict):
            continue
        code, venue = str(row.get("jmcode") or row.get("9001") or "").strip(), str(row.get("stex_tp") or "")
        symbol = parse_item(f"{code}:{venue}") if venue else parse_stock_code(code)
        if symbol is not None:
            symbols.append(symbol)
    return tuple(symbols)


def _rows(data: object) -> Iterable[Any]:
    # An object instead of a list is one row.
    return data if isinstance(data, list) else [data] if isinstance(data, dict) else ()


class ConditionHit(Record, tag="02"):
    """A stock enters or leaves a condition.

    Source: official API page ka10173.
    """

    label = "조건검색 실시간"
    scope = Scope.CONDITION

    condition_number = Field("841", kinds.code, "일련번호")
    stock_code = Field("9001", kinds.code, "종목코드", note=kinds.STOCK_CODE_NOTE)
    event = Field("843", codes.condition_event, "삽입삭제 구분")
    time = Field("20", kinds.clock_time, "체결시간")
    side = Field("907", codes.side, "매도/수 구분")


class UsConditionHit(Record, tag="S2"):
    """A US stock enters or leaves a condition.

    Source: official API page usa20290.
    """

    label = "미국주식 조건검색 실시간"
    market = Market.US
    scope = Scope.CONDITION

    time = Field("20", kinds.clock_time, "체결시간")
    condition_number = Field("841", kinds.code, "일련번호")
    event = Field("843", codes.condition_event, "삽입삭제 구분")
    side = Field("907", codes.side, "매도/수 구분")
    stock_code = Field("9001", kinds.code, "종목코드")

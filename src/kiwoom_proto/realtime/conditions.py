"""Condition search: stocks that begin or cease to meet a condition (조건검색)."""

from __future__ import annotations

from .. import fields as kinds
from ..fields import Field
from ..record import Record
from . import codes

__all__ = ("ConditionHit", "UsConditionHit")


class ConditionHit(Record, tag="02"):
    """A stock began or ceased to meet a condition (조건검색 실시간).

    Source: official API page ka10173.
    """

    condition_number = Field("841", kinds.code, "일련번호")
    stock_code = Field("9001", kinds.code, "종목코드", note=kinds.STOCK_CODE_NOTE)
    event = Field("843", codes.condition_event, "삽입삭제 구분")
    time = Field("20", kinds.clock_time, "체결시간")
    side = Field("907", codes.side, "매도/수 구분")


class UsConditionHit(Record, tag="S2"):
    """A US stock began or ceased to meet a condition (미국주식 조건검색 실시간).

    Source: official API page usa20290.
    """

    time = Field("20", kinds.clock_time, "체결시간")
    condition_number = Field("841", kinds.code, "일련번호")
    event = Field("843", codes.condition_event, "삽입삭제 구분")
    side = Field("907", codes.side, "매도/수 구분")
    stock_code = Field("9001", kinds.code, "종목코드")

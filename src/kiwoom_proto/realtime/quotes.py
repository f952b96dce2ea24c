"""Quotes: what rests in the order book (호가)."""

from __future__ import annotations

from ..fields import Field, clock_time, quantity, signed_quantity
from ..record import Record

__all__ = ("AfterHoursQuote",)


class AfterHoursQuote(Record, tag="0E"):
    """Order quantity resting in after-hours trading of one stock (주식시간외호가).

    Source: official API page 0E. Quantities in shares; changes against the row before.
    """

    time = Field("21", clock_time, "호가시간")
    ask_quantity = Field("131", quantity, "시간외매도호가총잔량", unit="shares")
    ask_quantity_change = Field("132", signed_quantity, "시간외매도호가총잔량직전대비", unit="shares")
    bid_quantity = Field("135", quantity, "시간외매수호가총잔량", unit="shares")
    bid_quantity_change = Field("136", signed_quantity, "시간외매수호가총잔량직전대비", unit="shares")

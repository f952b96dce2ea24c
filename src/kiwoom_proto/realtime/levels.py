"""One step of a ladder: what the numbered fields of an order book or a broker ranking say together."""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

__all__ = ("Broker", "Level")

P = TypeVar("P", int, Decimal)


class Level(msgspec.Struct, Generic[P], frozen=True, gc=False):
    """One price level of an order book (호가). None where the row does not say.

    Attributes:
        price: `int` in won, or `Decimal` in US dollars; 0 at a level that is empty.
        quantity: the shares that rest there (호가수량).
        change: by how much they changed since the row before (직전대비).
    """

    price: P | None
    quantity: int | None
    change: int | None


class Broker(msgspec.Struct, frozen=True, gc=False):
    """One of the brokers that traded most of a stock today (거래원). None where the row does not say.

    Attributes:
        name: its Korean name (거래원).
        code: its code (거래원코드): "050".
        quantity: the shares that it sold or bought (거래원수량).
        change: by how much they changed since the row before (거래원별증감).
        colour: a hint for the screen of Kiwoom's trading program (거래원색깔). Its codes are not documented.
    """

    name: str | None
    code: str | None
    quantity: int | None
    change: int | None
    colour: str | None

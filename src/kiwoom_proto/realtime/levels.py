"""Ladders: the numbered fields of an order book or a broker ranking, read as a sequence of steps."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

__all__ = ("Broker", "Level", "ladder", "numbered")

P = TypeVar("P", int, Decimal)
S = TypeVar("S")


class Level(msgspec.Struct, Generic[P], frozen=True, gc=False):
    """One price level of an order book (호가). A member is None if it is absent from the row.

    Attributes:
        price: `int` in won, or `Decimal` in US dollars; 0 if the level is empty.
        quantity: resting quantity (호가수량), shares.
        change: change of the quantity against the previous row (직전대비), shares.
    """

    price: P | None
    quantity: int | None
    change: int | None


class Broker(msgspec.Struct, frozen=True, gc=False):
    """One of the brokers that traded most of a stock today (거래원). A member is None if it is absent from the row.

    Attributes:
        name: the Korean name (거래원).
        code: the code (거래원코드), "050".
        quantity: quantity sold or bought (거래원수량), shares.
        change: change of the quantity against the previous row (거래원별증감), shares.
        colour: a display hint of Kiwoom's trading program (거래원색깔). The codes are not documented.
    """

    name: str | None
    code: str | None
    quantity: int | None
    change: int | None
    colour: str | None


def numbered(name: str, depth: int) -> Callable[[object], tuple[Any, ...]]:
    """Return a function that reads the fields `name_1` to `name_<depth>` of a row."""
    return operator.attrgetter(*(f"{name}_{number}" for number in range(1, depth + 1)))


def ladder(step: Callable[..., S], depth: int, *names: str) -> Callable[[object], tuple[S, ...]]:
    """Return a function that reads a ladder of a row, the best step first.

    Args:
        step: makes one step from the values of its fields.
        depth: number of steps.
        names: the names of a step's fields, without their numbers.
    """
    columns = [numbered(name, depth) for name in names]

    def read(record: object) -> tuple[S, ...]:
        return tuple(map(step, *[column(record) for column in columns]))

    return read

"""Ladders: the numbered fields of an order book or a broker ranking, read as a sequence of steps."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec

from ..errors import LocalProtocolError
from .fields import to_magnitude, to_whole_number
from .layout import FidStrings, NumberLayout
from .record import Record

__all__ = ("Broker", "Level", "TopLevels", "TopReaders", "ladder", "numbered")

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


class TopLevels(msgspec.Struct, Generic[P], frozen=True, gc=False):
    """The first price levels of an order book, best first: what `OrderBook.top` returns.

    Attributes:
        ask_prices: prices of the ask levels (매도호가), as in `Level`; None for one that is absent from the row.
        ask_quantities: resting quantities of the ask levels (매도호가수량), shares.
        bid_prices: prices of the bid levels (매수호가).
        bid_quantities: resting quantities of the bid levels (매수호가수량), shares.
    """

    ask_prices: tuple[P | None, ...]
    ask_quantities: tuple[int | None, ...]
    bid_prices: tuple[P | None, ...]
    bid_quantities: tuple[int | None, ...]


def _names(name: str, depth: int) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(1, depth + 1))


def _attributes(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads these attributes, always as a tuple."""
    read = operator.attrgetter(*names)
    return read if len(names) > 1 else lambda found: (read(found),)


def numbered(name: str, depth: int) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that reads the fields `name_1` to `name_<depth>` of a row, in one call each."""
    names = _names(name, depth)
    read_fields = _attributes(names)
    plans: dict[type[Record], Callable[[Any], tuple[Any, ...]]] = {}

    def plan(cls: type[Record]) -> Callable[[Any], tuple[Any, ...]]:
        fields = [cls.fields[name] for name in names]
        kind = fields[0].kind
        if any(field.kind.convert is not kind.convert for field in fields):
            plans[cls] = _refuse  # of several kinds: one after the other
        else:
            form = _FORMS.get(kind.convert, "known[n.f{}],")
            plans[cls] = _compiled(_tuple_of(form, [field.fid for field in fields]), known=kind.known)
        return plans[cls]

    def read(record: Record) -> tuple[Any, ...]:
        values = record._decoded
        if values is None:
            values = record._decode()
        cls = type(record)
        make = plans.get(cls) or plan(cls)
        try:
            return make(values)
        except (AttributeError, TypeError, ValueError, ArithmeticError):
            pass  # some are not plain: their fields know what to do
        return read_fields(record)

    return read


_FORMS: dict[object, str] = {to_magnitude: "abs(int(n.f{})),", to_whole_number: "int(n.f{}),"}


def _refuse(values: object) -> tuple[Any, ...]:
    raise ValueError


def _tuple_of(form: str, fids: Sequence[str]) -> str:
    return f"({''.join(map(form.format, fids))})"


def _compiled(expression: str, **names: object) -> Callable[[Any], Any]:
    """Return a function of decoded values `n` that makes tuples of them, in half of the time that `map` takes or less.

    Args:
        expression: what it returns.
        names: what else the expression names.
    """
    made: Callable[[Any], Any] = eval(f"lambda n: {expression}", {"abs": abs, "int": int, "__builtins__": {}, **names})
    return made


def ladder(step: Callable[..., S], depth: int, *names: str) -> Callable[[Any], tuple[S, ...]]:
    """Return a function that reads a ladder of a row, the best step first.

    Args:
        step: makes one step from the values of its fields.
        depth: number of steps.
        names: the names of a step's fields, without their numbers.
    """
    columns = [numbered(name, depth) for name in names]

    def read(record: Record) -> tuple[S, ...]:
        return tuple(map(step, *[column(record) for column in columns]))

    return read


class TopReaders(dict[tuple[type[Record], int], Callable[[Any], TopLevels[Any]]]):
    """The functions that read the first levels of an order book, by class and number of levels.

    Strategy: whole numbers are decoded as numbers, by a layout that has these fields only, and all at once. The tuples
    are made by an expression compiled for these fields. That takes two thirds of the time that their properties take.
    Whatever is not plain, and prices with decimals, are read by way of the fields.

    Args:
        depth: number of levels that the book has.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth

    def __missing__(self, key: tuple[type[Record], int]) -> Callable[[Any], TopLevels[Any]]:
        cls, levels = key
        if not isinstance(levels, int) or not 1 <= levels <= self._depth:
            raise LocalProtocolError(f"levels: must be a whole number from 1 to {self._depth}, not {levels!r}")
        self[key] = _top_reader(cls, levels)
        return self[key]


def _top_reader(cls: type[Record], levels: int) -> Callable[[Any], TopLevels[Any]]:
    columns = [_names(name, levels) for name in ("ask_price", "ask_quantity", "bid_price", "bid_quantity")]
    ask_prices, ask_quantities, bid_prices, bid_quantities = map(_attributes, columns)

    def read_fields(row: Any) -> TopLevels[Any]:
        return TopLevels(ask_prices(row), ask_quantities(row), bid_prices(row), bid_quantities(row))

    fields = [cls.fields[name] for names in columns for name in names]
    if any(field.kind.convert not in (to_magnitude, to_whole_number) for field in fields):
        return read_fields
    numbers = {field.fid: field.kind.convert is to_magnitude for field in fields}
    layout = NumberLayout([field.fid for field in cls.fields.values()], numbers)
    forms = ("abs(n.f{}),", "n.f{},") * 2
    fids = [[cls.fields[name].fid for name in names] for names in columns]
    tuples = ", ".join(map(_tuple_of, forms, fids))
    levels_of: Callable[[Any], TopLevels[Any]] = _compiled(f"TopLevels({tuples})", TopLevels=TopLevels)
    decode = layout.decode

    def read(record: Record) -> TopLevels[Any]:
        numbers = decode(record.values)
        try:
            return levels_of(numbers)
        except (AttributeError, TypeError):
            pass  # a sampled row, strings that are no plain numbers, or a price that is absent
        if isinstance(numbers, FidStrings):
            values = [record._read(field, numbers) for field in fields]
            columns = (tuple(values[first : first + levels]) for first in range(0, 4 * levels, levels))
            return TopLevels(*columns)
        return read_fields(record)

    return read

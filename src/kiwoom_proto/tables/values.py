"""What a column holds of a field: its SQL type, and its value, which is the record's or nothing.

A text that is no value, or does not fit the SQL type, is NULL. It is never rounded.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ..realtime import fields as kinds
from ..realtime.fields import Kind

__all__ = (
    "DECIMAL",
    "MAX_BIGINT",
    "MAX_INTEGER",
    "PERCENT",
    "digits_of",
    "literal",
    "plain_conversion",
    "plain_value",
    "sql_type_of",
)

PERCENT = "DECIMAL(18,6)"
"""Rates and ratios: up to six decimals, and twelve digits before the point."""
DECIMAL = "DECIMAL(38,10)"
"""Any other number with decimals: up to ten, and 28 digits before the point."""

_TYPES: dict[type, str] = {
    int: "BIGINT",
    Decimal: DECIMAL,
    bool: "BOOLEAN",
    datetime.time: "TIME",
    datetime.timedelta: "BIGINT",
    datetime.date: "DATE",
}
MAX_BIGINT, MAX_INTEGER = 2**63, 2**31
"""More than a BIGINT, and an INTEGER, can hold."""


def literal(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_type_of(kind: Kind[Any]) -> str:
    """Return the SQL type of a kind's values. Enumerations, and what has no SQL type, are texts."""
    if kind.python_type is Decimal and kind.name in (kinds.rate.name, kinds.ratio.name):
        return PERCENT
    return _TYPES.get(kind.python_type, "VARCHAR")


def plain_value(value: Any, sql_type: str) -> Any:
    """Return a field's value as what a column of this SQL type holds: exact, or not at all.

    Durations become seconds, members of enumerations their values.

    Raises:
        ValueError: it does not fit.
    """
    if value is None:
        return None
    if isinstance(value, enum.Enum):
        value = value.value
    if sql_type == "VARCHAR":
        return str(value)
    if isinstance(value, datetime.timedelta):
        return round(value.total_seconds())
    if sql_type == "BIGINT" and not -MAX_BIGINT <= value < MAX_BIGINT:
        raise ValueError("does not fit BIGINT")
    if sql_type.startswith("DECIMAL"):
        precision, scale = digits_of(sql_type)
        sign, digits, exponent = value.as_tuple()
        if -exponent > scale:
            zeros = -exponent - scale
            if any(digits[-zeros:]):
                raise ValueError(f"does not fit {sql_type}")
            value = Decimal((sign, digits[:-zeros] or (0,), -scale))
        if value.adjusted() >= precision - scale and value:
            raise ValueError(f"does not fit {sql_type}")
    return value


def digits_of(sql_type: str) -> tuple[int, int]:
    """Return precision and scale of a DECIMAL."""
    precision, scale = map(int, sql_type[8:-1].split(","))
    return precision, scale


def plain_conversion(kind: Kind[Any]) -> Callable[[str], Any]:
    """Return a function that converts any text as the kind does; None where a record would raise `FieldError`."""
    convert, sql_type = kind.convert, sql_type_of(kind)

    def plain(text: str) -> Any:
        try:
            return plain_value(convert(text), sql_type)
        except (ValueError, ArithmeticError):
            return None

    return plain

"""From the text of a field to its value in SQL: the same value as the field's conversion in Python, for every text.

DuckDB's casts accept more than Kiwoom sends ("1e5", "1_000", and "1.5" as 2), so each is behind a guard that lets only
plain texts through. To look at a text takes as long as to cast it, so a guard looks at many, strung together: whole
numbers are searched for the characters that such texts have, decimals must match a pattern. If one of them is not
plain, all of them are converted by the field's own conversion in Python, as a function of the connection: exact, and
slow only for what hardly occurs.

A text that is no value, or does not fit the SQL type, is NULL. It is never rounded.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from ..realtime import fields as kinds
from ..realtime.codes import Code
from ..realtime.fields import Kind, to_magnitude, to_whole_number

__all__ = (
    "DECIMAL",
    "PERCENT",
    "are_decimals",
    "are_whole_numbers",
    "clock_digits",
    "expression_of",
    "is_clock",
    "is_decimal",
    "is_whole_number",
    "literal",
    "plain_value",
    "slow_function",
    "slow_name",
    "sql_type_of",
    "stripped",
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
_MAX_BIGINT = 2**63
# Unicode has no space above U+3000; a search of all of it would take a tenth of a second.
_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))


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
    if sql_type == "BIGINT" and not -_MAX_BIGINT <= value < _MAX_BIGINT:
        raise ValueError("does not fit BIGINT")
    if sql_type.startswith("DECIMAL"):
        precision, scale = _digits_of(sql_type)
        sign, digits, exponent = value.as_tuple()
        if -exponent > scale:
            zeros = -exponent - scale
            if any(digits[-zeros:]):
                raise ValueError(f"does not fit {sql_type}")
            value = Decimal((sign, digits[:-zeros] or (0,), -scale))
        if value.adjusted() >= precision - scale and value:
            raise ValueError(f"does not fit {sql_type}")
    return value


def _digits_of(sql_type: str) -> tuple[int, int]:
    """Return precision and scale of a DECIMAL."""
    precision, scale = map(int, sql_type[8:-1].split(","))
    return precision, scale


def slow_name(kind: Kind[Any]) -> str:
    """Return the name of the SQL function that `slow_function` is made: one for all kinds that convert alike."""
    sql_type = "".join(filter(str.isalnum, sql_type_of(kind))).lower()
    return f"convert_{id(kind.convert):x}_{sql_type}"


def slow_function(kind: Kind[Any]) -> Callable[[str | None], Any]:
    """Return a function that converts any text as the kind does; None where a record would raise `FieldError`."""
    convert, sql_type = kind.convert, sql_type_of(kind)

    def slow(text: str | None) -> Any:
        try:
            return None if text is None else plain_value(convert(text), sql_type)
        except (ValueError, ArithmeticError):
            return None

    return slow


def stripped(text: str) -> str:
    """Return the SQL of a text without its outer spaces, which are those that Python strips."""
    # Most texts have none. To look for 29 characters takes a microsecond, for an empty text too.
    return f"CASE WHEN {_is_bare(text)} OR {text} = '' THEN {text} ELSE trim({text}, {literal(_SPACES)}) END"


def _is_bare(text: str) -> str:
    """Return the SQL of whether a text surely has no outer spaces. It need not say so of every such text."""
    return f"""{text} GLOB '["-~]*["-~]' OR (strlen({text}) = 1 AND {text} > ' ')"""


def is_whole_number(kind: Kind[Any]) -> bool:
    """Return whether values of a kind are whole numbers: `are_whole_numbers` guards them."""
    return _template_of(kind) in (_WHOLE, _MAGNITUDE)


def are_whole_numbers(joined: str) -> str:
    """Return the SQL of whether DuckDB's cast makes of each of these texts what Python does.

    Args:
        joined: the SQL of the texts, one behind the other. It occurs several times, so let it be a column.
    """
    # To search for a character takes a hundredth of the time of a regular expression.
    return " AND ".join(f"NOT contains({joined}, {literal(part)})" for part in _NOT_IN_WHOLE_NUMBERS)


def is_decimal(kind: Kind[Any]) -> bool:
    """Return whether values of a kind are decimal numbers: `are_decimals` guards those of one SQL type."""
    return _template_of(kind) in (_DECIMAL, _DECIMAL_MAGNITUDE)


def are_decimals(sql_type: str, texts: Iterable[str]) -> str:
    """Return the SQL of whether each of these texts fits a DECIMAL, or is blank, or NULL.

    A text with a comma in it may pass for two, but DuckDB's cast makes NULL of it, as of any text that is no value.

    Args:
        sql_type: the type, "DECIMAL(18,6)".
        texts: the SQL of each.
    """
    precision, scale = _digits_of(sql_type)
    one = f" *(?:[-+]?[0-9]{{1,{precision - scale}}}(?:[.][0-9]{{1,{scale}}})?)? *"
    return f"regexp_full_match(concat_ws(',', {', '.join(texts)}), '{one}(?:,{one})*')"


def is_clock(kind: Kind[Any]) -> bool:
    """Return whether values of a kind are six digits, HHMMSS, which `clock_digits` prepares."""
    return _template_of(kind) in (_TIME, _DURATION)


def clock_digits(text: str) -> str:
    """Return the SQL of a number that has eight digits only if a text of six characters has six: 1HHMMSS0."""
    return f"TRY_CAST(concat('1', {text}, '0') AS INTEGER)"


def expression_of(kind: Kind[Any], text: str, slow: str, prepared: str = "") -> str:
    """Return the SQL of a value.

    Args:
        kind: how the text is read.
        text: the SQL of the text. It occurs several times, so let it be a column.
        slow: the name of the SQL function that `slow_function` was made.
        prepared: the column with what `are_whole_numbers`, `are_decimals` or `clock_digits` returned, if the kind
            needs one.
    """
    if issubclass(kind.python_type, enum.Enum):
        return _code(kind, text, slow)
    template = _template_of(kind)
    if template is None:
        return f"{slow}({text})"
    names = {
        "t": text,
        "slow": slow,
        "rest": f"WHEN trim({text}) <> '' THEN {slow}({text})",
        "stripped": stripped(text),
        "type": sql_type_of(kind),
        "prepared": prepared,
    }
    return template.format_map(names)


def _template_of(kind: Kind[Any]) -> str | None:
    return None if issubclass(kind.python_type, enum.Enum) else _TEMPLATES.get(kind.convert)


def _code(kind: Kind[Any], text: str, slow: str) -> str:
    """Return the SQL of a code: those that are listed are looked up, any other is up to the enumeration."""
    whens = []
    unlisted = f"WHEN trim({text}) <> '' THEN {slow}({text})"
    if issubclass(kind.python_type, Code):  # what is not listed is a code all the same
        unlisted = f"WHEN {_is_bare(text)} THEN {text} {unlisted}"
    members: Any = kind.python_type
    for member in members:
        for spelling in getattr(member, "spellings", (member.value,)):
            try:
                value = plain_value(kind.convert(spelling), "VARCHAR")
            except (ValueError, ArithmeticError, TypeError, AttributeError):
                continue
            if isinstance(spelling, str) and value is not None:
                whens.append(f"WHEN {literal(spelling)} THEN {literal(value)}")
    if not whens:
        return f"{slow}({text})"
    return f"CASE {text} {' '.join(whens)} ELSE CASE {unlisted} END END"


# Short, since DuckDB plans a query of hundreds of columns: the time for that grows with each word.
_GUARDED = "CASE WHEN {prepared} THEN %s ELSE {slow}({t}) END"
_WHOLE = _GUARDED % "TRY_CAST({t} AS BIGINT)"
_MAGNITUDE = _GUARDED % "abs(TRY_CAST({t} AS BIGINT))"
_DECIMAL = _GUARDED % "TRY_CAST({t} AS {type})"
_DECIMAL_MAGNITUDE = _GUARDED % "abs(TRY_CAST({t} AS {type}))"
_CLOCK = (
    "CASE WHEN strlen({t}) = 6 AND {prepared} BETWEEN 10000000 AND %s AND {prepared} // 1000 %% 100 < 60"
    " AND {prepared} // 10 %% 100 < 60 THEN %s {rest} END"
)
_HMS = ("{prepared} // 100000 - 100", "{prepared} // 1000 % 100", "{prepared} // 10 % 100")
_TIME = _CLOCK % (12359590, f"nullif(make_time({', '.join(_HMS)}), TIME '00:00:00')")
_DURATION = _CLOCK % (19959590, "CAST(({}) * 3600 + {} * 60 + {} AS BIGINT)".format(*_HMS))
_NOT_IN_WHOLE_NUMBERS = (*".eE_xXbB", *"\x1c\x1d\x1e\x1f", str(_MAX_BIGINT))
"""What makes a text a number for DuckDB ("1e5", "1_000", "0x1F") that is none for Python, or another one; the spaces
that Python alone strips; and the least BIGINT, of which `abs` is an error."""
_DATE = (
    "CASE WHEN strlen({t}) = 8 AND NOT ({t} GLOB '*[!0-9]*') THEN CASE WHEN {t} >= '0001'"
    " THEN TRY_CAST({t}[1:4] || '-' || {t}[5:6] || '-' || {t}[7:8] AS DATE) END {rest} END"
)
_TEXT = "nullif({stripped}, '')"
_REFERENCE = "CASE WHEN {t} GLOB '*[!0]*' THEN CASE WHEN ({stripped}) GLOB '*[!0]*' THEN {stripped} END END"
_FLAG = "CASE {stripped} WHEN 'Y' THEN true WHEN 'N' THEN false END"

_TEMPLATES: Mapping[Callable[[str], Any], str] = {
    to_whole_number: _WHOLE,
    to_magnitude: _MAGNITUDE,
    kinds.decimal.convert: _DECIMAL,
    kinds.decimal_price.convert: _DECIMAL_MAGNITUDE,
    kinds.clock_time.convert: _TIME,
    kinds.duration.convert: _DURATION,
    kinds.calendar_date.convert: _DATE,
    kinds.text.convert: _TEXT,
    kinds.order_reference.convert: _REFERENCE,
    kinds.flag.convert: _FLAG,
}

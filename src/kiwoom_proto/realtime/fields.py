"""Fields of a row: one FID's string, converted to a Python value.

Kiwoom sends every value as a string. A `Kind` says how to read it: what it becomes, and whether its sign is part of the
number or a direction. A `Field` gives one FID of one real-time type a name and a kind:

    ask_quantity = Field("131", quantity, "시간외매도호가총잔량", unit="shares")

Rules for every kind [measured by several]:

* Outer spaces are not part of the value (`" 67300"`); inner spaces are (`"삼  성"`).
* `""` and `" "` mean absent: the value is None.
* Nothing becomes a float. Whole numbers are `int`, numbers with decimals are `Decimal`.
* A string that is not of its kind raises `FieldError` when the field is read. It never becomes a silent 0, and never
  affects other fields.
"""

from __future__ import annotations

import datetime
import enum
import functools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import attrs

from ..known import KnownValues, NothingKnown

__all__ = (
    "Direction",
    "Field",
    "Kind",
    "account_number",
    "amount",
    "calendar_date",
    "change",
    "clock_time",
    "code",
    "coded",
    "decimal",
    "decimal_amount",
    "decimal_change",
    "decimal_price",
    "duration",
    "flag",
    "order_number",
    "order_reference",
    "price",
    "quantity",
    "rate",
    "ratio",
    "signed_amount",
    "signed_quantity",
    "text",
    "to_magnitude",
    "to_whole_number",
    "trade_quantity",
)

T = TypeVar("T", covariant=True)
C = TypeVar("C", bound=enum.Enum)


class Direction(enum.Enum):
    """Where a price stands against the reference price (대비기호): its sign on the wire.

    For a ratio, whether it is more or less than what it is compared with.
    """

    UP = "+"
    DOWN = "-"
    UNCHANGED = ""


@functools.cache
def _known_values(convert: Callable[[str], Any]) -> KnownValues:
    """Return the cache that all kinds with the same conversion share."""
    return KnownValues(convert)


@attrs.frozen(eq=False)
class Kind(Generic[T]):
    """How to read the string of a FID.

    Attributes:
        name: the name in listings.
        convert: returns the value of a string, or None if it is absent; raises ValueError or ArithmeticError if the
            string is malformed.
        directional: whether the sign is a direction and not part of the number.
        masked: whether the value is personal, and never shown in reprs and messages.
        python_type: the type of a value, for listings.
        known: a cache of `convert`; `known[text]` converts any string. Masked values are not kept.
    """

    name: str
    convert: Callable[[str], T | None]
    directional: bool = False
    masked: bool = False
    python_type: type = object
    known: KnownValues = attrs.field(init=False, repr=False)

    @known.default
    def _share_known(self) -> KnownValues:
        return NothingKnown(self.convert) if self.masked else _known_values(self.convert)


# int() and Decimal() accept more than Kiwoom sends ("1_000", "１２", "1e3", "NaN"). Garbage must not become a
# number, so these are rejected.
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++)\s*").fullmatch


def to_whole_number(text: str) -> int:
    """Return the whole number that a string holds, with its sign. Raises ValueError for anything else."""
    value = int(text)
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return value


def to_magnitude(text: str) -> int:
    """Return the whole number that a string holds, without its sign. Raises ValueError for anything else."""
    value = int(text)
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return abs(value)


def _decimal(text: str) -> Decimal:
    if not _DECIMAL(text):
        raise ValueError(text)
    return Decimal(text)


def _decimal_magnitude(text: str) -> Decimal:
    return _decimal(text).copy_abs()  # abs() would round to the precision of the program's decimal context


def _text(text: str) -> str | None:
    return text.strip() or None


def _reference(text: str) -> str | None:
    stripped = text.strip()
    return stripped if stripped.strip("0") else None


def _flag(text: str) -> bool | None:
    match text.strip():
        case "Y":
            return True
        case "N":
            return False
    raise ValueError(text)


def _clock_time(text: str) -> datetime.time | None:
    digits = text.strip()
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(text)
    if digits == "000000":
        return None
    return datetime.time(int(digits[:2]), int(digits[2:4]), int(digits[4:]))


def _duration(text: str) -> datetime.timedelta | None:
    digits = text.strip()
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()) or digits[2] > "5" or digits[4] > "5":
        raise ValueError(text)
    return datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))


def _calendar_date(text: str) -> datetime.date | None:
    digits = text.strip()
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(text)
    if digits == "00000000":
        return None
    return datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def coded(name: str, codes: type[C]) -> Kind[C]:
    """Return a kind whose values are members of an enumeration: `coded("side", Side)`.

    What becomes of a string that is not one of its values is up to the enumeration: those of the catalogue keep it, a
    plain `Enum` rejects it, which raises `FieldError`.
    """
    known: dict[str, C] = {text: member for member in codes for text in getattr(member, "spellings", (member.value,))}

    def convert(text: str) -> C | None:
        member = known.get(text)
        if member is not None:
            return member
        stripped = text.strip()
        return codes(stripped) if stripped else None

    return Kind(name, convert, python_type=codes)


quantity = Kind("quantity", to_whole_number, python_type=int)
"""Shares or contracts, or a count: `int`."""
signed_quantity = Kind("signed quantity", to_whole_number, python_type=int)
"""A change of a quantity, or a net quantity: `int` with a real sign."""
trade_quantity = Kind("trade quantity", to_whole_number, python_type=int)
"""Quantity of one trade: `int`, positive if the buyer was the aggressor, negative if the seller was."""
price = Kind("price", to_magnitude, directional=True, python_type=int)
"""Won: `int` without a sign. The sign on the wire is the `direction()` against the reference price; "-0" is 0."""
decimal_price = Kind("price", _decimal_magnitude, directional=True, python_type=Decimal)
"""A price or index level with decimals: `Decimal` without a sign, which is the `direction()`."""
change = Kind("change", to_whole_number, python_type=int)
"""A change in won: `int` with a real sign."""
decimal_change = Kind("change", _decimal, python_type=Decimal)
"""A change with decimals: `Decimal` with a real sign."""
amount = Kind("amount", to_whole_number, python_type=int)
"""Money in the field's unit (won, thousand won, million won): `int`."""
signed_amount = Kind("signed amount", to_whole_number, python_type=int)
"""Money with a real sign: `int`."""
decimal_amount = Kind("amount", _decimal, python_type=Decimal)
"""Money with decimals, with a real sign if it can be negative: `Decimal`."""
rate = Kind("percent", _decimal, python_type=Decimal)
"""Percent: `Decimal`."""
ratio = Kind("ratio", _decimal_magnitude, directional=True, python_type=Decimal)
"""Percent of something else: `Decimal` without a sign, which is the `direction()`: "-96.64" of yesterday's volume is
96.64 percent of it, which is less."""
decimal = Kind("decimal", _decimal, python_type=Decimal)
"""Any other number with decimals: `Decimal`."""
clock_time = Kind("time", _clock_time, python_type=datetime.time)
"""HHMMSS in Korea Standard Time (KST): `datetime.time`; None for "000000", which means never."""
duration = Kind("duration", _duration, python_type=datetime.timedelta)
"""A duration as HHMMSS: `datetime.timedelta`, zero for "000000"."""
calendar_date = Kind("date", _calendar_date, python_type=datetime.date)
"""YYYYMMDD: `datetime.date`; None for "00000000", which means none."""
text = Kind("text", _text, python_type=str)
"""Text: `str` without outer spaces."""
code = Kind("code", _text, python_type=str)
"""A code without an enumeration: `str`, with its leading zeros."""
flag = Kind("flag", _flag, python_type=bool)
"""Y or N: `bool`."""
order_number = Kind("order number", _text, python_type=str)
"""A zero-padded order number: `str`."""
order_reference = Kind("order number", _reference, python_type=str)
"""The number of another order: `str`; None for only zeros, which means there is none."""
account_number = Kind("account number", _text, masked=True, python_type=str)
"""An account number: `str`, never shown in reprs and messages."""


STOCK_CODE_NOTE = 'may have a letter in front, as in "A005930"; `symbol` is what subscribes'
"""The note of FID 9001 (종목코드)."""


class Field(Generic[T]):
    """One FID of one real-time type, declared as a class attribute of a `Record`.

    Attributes:
        fid: the number of the field on the wire, "131".
        kind: how to read its string.
        label: the official Korean label (한글명).
        unit: "shares", "KRW", "percent" ...; "" if there is none.
        note: what else a reader of the value should know; part of the attribute's docstring.
        name: the English name of the attribute.
    """

    __slots__ = ("fid", "kind", "label", "name", "note", "unit")

    def __init__(self, fid: str, kind: Kind[T], label: str = "", *, unit: str = "", note: str = "") -> None:
        if not isinstance(kind, Kind):
            # In a class body, `price = Field("10", price)` hides the kind from the next line on.
            raise TypeError(
                f"field of FID {fid}: {kind!r} is not a Kind; if an attribute is named like a kind, write fields.price"
            )
        if not (fid.isascii() and fid.isdigit()):
            raise TypeError(f"a field's FID must be digits, not {fid!r}")
        self.fid = fid
        self.kind = kind
        self.label = label
        self.unit = unit
        self.note = note
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Field {self.name} = FID {self.fid}, {self.kind.name}>"

    # Record.__init_subclass__ replaces each Field by a plain property, which is read twice as fast as a descriptor
    # written in Python. This only tells type checkers and editors the type of the value.
    if TYPE_CHECKING:

        @overload
        def __get__(self, record: None, owner: type) -> property: ...
        @overload
        def __get__(self, record: object, owner: type) -> T | None: ...
        def __get__(self, record: object, owner: type) -> property | T | None: ...

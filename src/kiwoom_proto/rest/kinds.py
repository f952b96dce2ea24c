"""Kinds of values in replies: one element's text, converted to a Python value.

REST sends every value as a string, like the feed, and spells numbers in more ways. What these kinds read beyond those
of `realtime.fields`:

    "--2"                 -2: in changes and net quantities, some TRs write the minus twice [measured]
    "-00000000163475"     -163475: zeros fill the width, and the sign takes one of its places [measured]
    "20,190"              20190: commas between groups of three digits [measured]
    "45%", "100%"         the number: some margin rates carry the sign of percent (official examples)
    "-0" as a price       None: an empty level, no expected price [measured]
    "683580" of an index  6835.80 where the TR counts in hundredths; a text with a point is taken as it stands
    "00000000", "000000"  None as a date, or as the time of what has not happened
    "25:30" in the US     half past one after the end of the day: overnight hours go on from 24 [measured]

As in the feed, outer spaces are not part of a value, an empty text is None, nothing becomes a float, and a text that is
not of its kind raises `FieldError` when it is read. "１２", "1_000", "1e3" and "NaN" are not numbers.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal

from ..hours import KST
from ..realtime import fields
from ..realtime.fields import Kind
from ..secrets import Secret

__all__ = (
    "EASTERN",
    "account",
    "amount",
    "change",
    "clock_time",
    "code",
    "date",
    "decimal_amount",
    "decimal_change",
    "decimal_price",
    "hundredths",
    "hundredths_price",
    "millionths",
    "moment",
    "number",
    "order_number",
    "order_reference",
    "personal_name",
    "price",
    "quantity",
    "ratio",
    "secret",
    "stock_code",
    "text",
    "us_moment",
)

_NUMBER = re.compile(
    r"\s*(?P<sign>[+-]|--|\+\+)?(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]++)?(?P<decimals>\.[0-9]++)?\s*"
).fullmatch
_DATE = re.compile(r"\s*([0-9]{4})([-./]?)([0-9]{2})\2([0-9]{2})(?:[ T]00:00:00(?:\.0+)?)?\s*").fullmatch
_TIME = re.compile(r"\s*([0-9]{2}):?([0-9]{2})(?::?([0-9]{2}))?\s*").fullmatch
_MOMENT = re.compile(r"\s*([0-9]{8})([0-9]{2})([0-9]{2})([0-9]{2})\s*").fullmatch
_CLOSING = frozenset({"888888", "999999"})  # closing totals in the place of a time (ka20001) [measured]


class _Eastern(datetime.tzinfo):
    """US Eastern Time, with the daylight saving time of 2007 and since."""

    def utcoffset(self, moment: datetime.datetime | None) -> datetime.timedelta:
        """Return the difference from UTC."""
        return datetime.timedelta(hours=-5) + self.dst(moment)

    def dst(self, moment: datetime.datetime | None) -> datetime.timedelta:
        """Return an hour between the second Sunday of March and the first of November, at 02:00."""
        if moment is None:
            return datetime.timedelta()
        start = _sunday(moment.year, 3, 8)
        end = _sunday(moment.year, 11, 1)
        return datetime.timedelta(hours=int(start <= moment.replace(tzinfo=None) < end))

    def tzname(self, moment: datetime.datetime | None) -> str:
        """Return "EST" or "EDT"."""
        return "EDT" if self.dst(moment) else "EST"

    def __repr__(self) -> str:
        return "EASTERN"

    def __reduce__(self) -> str:
        return "EASTERN"


def _sunday(year: int, month: int, day: int) -> datetime.datetime:
    """Return 02:00 on the first Sunday from a day on."""
    first = datetime.datetime(year, month, day, 2)
    return first + datetime.timedelta(days=6 - first.weekday())


EASTERN = _Eastern()
"""US Eastern Time, of the moments in US charts."""


def _parts(text: str) -> tuple[bool, str, str]:
    """Return whether a number is negative, its whole digits, and its decimals with the point.

    Raises:
        ValueError: the text is not a number.
    """
    match = _NUMBER(text)
    if match is None or not (match["whole"] or match["decimals"]):
        raise ValueError(text)
    sign = match["sign"] or ""
    return sign.startswith("-"), (match["whole"] or "0").replace(",", ""), match["decimals"] or ""


def _whole(text: str) -> int | None:
    """Return a whole number with its sign. Decimals are allowed if they are zeros."""
    try:
        value = int(text)
    except ValueError:
        return _other_whole(text)
    if "_" in text or not text.isascii():  # int() accepts more than Kiwoom sends
        raise ValueError(text)
    return value


def _other_whole(text: str) -> int | None:
    """Return a whole number that `int` does not read; None if the text is blank."""
    if not text.strip():
        return None
    is_negative, whole, decimals = _parts(text)
    if decimals.strip(".0"):
        raise ValueError(text)
    return -int(whole) if is_negative else int(whole)


def _price(text: str) -> int | None:
    value = _whole(text)
    if value:
        return abs(value)
    return None if "-" in text else value


def _decimal(text: str) -> Decimal | None:
    if not text.strip():
        return None
    is_negative, whole, decimals = _parts(text)
    return Decimal(f"{'-' if is_negative else ''}{whole}{decimals}")


def _decimal_price(text: str) -> Decimal | None:
    if not text.strip():
        return None
    is_negative, whole, decimals = _parts(text)
    value = Decimal(f"{whole}{decimals}")
    return None if is_negative and not value else value


def _ratio(text: str) -> Decimal | None:
    return _decimal(text.rstrip().removesuffix("%"))


def _shifted(places: int, *, has_direction: bool = False) -> Callable[[str], Decimal | None]:
    """Return the conversion of whole numbers that count hundredths, or other decimal fractions."""

    def convert(text: str) -> Decimal | None:
        if not text.strip():
            return None
        is_negative, whole, decimals = _parts(text)
        if decimals:
            return (_decimal_price if has_direction else _decimal)(text)
        # From a text: arithmetic would round to the precision of the program's decimal context.
        digits = whole.zfill(places + 1)
        value = Decimal(f"{digits[:-places]}.{digits[-places:]}")
        if has_direction:
            return None if is_negative and not value else value
        return value.copy_negate() if is_negative else value

    return convert


def _date(text: str) -> datetime.date | None:
    if len(text) == 8 and text.isdigit() and text != "00000000":
        return datetime.date.fromisoformat(text)
    if not text.strip(" 0"):
        return None
    match = _DATE(text)
    if match is None:
        raise ValueError(text)
    return datetime.date(int(match[1]), int(match[3]), int(match[4]))


def _clock_time(text: str) -> datetime.time | None:
    match = _TIME(text)
    if match is None:
        if not text.strip(" 0"):
            return None
        raise ValueError(text)
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if (not (hour or minute or second) and match[3]) or text.strip() in _CLOSING:
        return None
    if 24 <= hour < 28:
        hour -= 24
    return datetime.time(hour, minute, second)


def _moment_in(zone: datetime.tzinfo) -> Callable[[str], datetime.datetime | None]:
    """Return the conversion of YYYYMMDDHHmmss in a zone."""

    def convert(text: str) -> datetime.datetime | None:
        if zone is KST and len(text) == 14 and text.isdigit():
            try:
                return datetime.datetime.fromisoformat(f"{text[:8]}T{text[8:]}+09:00")  # five times as fast
            except ValueError:
                pass
        match = _MOMENT(text)
        if match is None:
            if not text.strip(" 0"):
                return None
            raise ValueError(text)
        digits = match[1]
        if not digits.strip("0"):
            return None
        hour = int(match[2])
        days = 0
        if 24 <= hour < 28:
            hour, days = hour - 24, 1
        moment = datetime.datetime(
            int(digits[:4]), int(digits[4:6]), int(digits[6:]), hour, int(match[3]), int(match[4]), tzinfo=zone
        )
        return moment + datetime.timedelta(days=days) if days else moment

    return convert


def _personal(text: str) -> str | None:
    return text.strip() or None


def _secret(text: str) -> Secret | None:
    return Secret(text.strip()) if text.strip() else None


text = fields.text
"""Text: `str` without outer spaces."""
code = fields.code
"""A code: `str`, with its leading zeros."""
stock_code = Kind("stock code", fields.code.convert, python_type=str)
"""The code of an instrument: `str` as received. It may have a letter in front ("A005930"), or the suffix of a venue;
`symbol()` gives the instrument."""
order_number = fields.order_number
"""A zero-padded order number: `str`."""
order_reference = fields.order_reference
"""The number of another order: `str`; None for only zeros, which means there is none."""
account = fields.account_number
"""An account number: `str`, never shown in reprs and messages."""
personal_name = Kind("name of a person", _personal, masked=True, python_type=str)
"""The name of the holder of an account: `str`, never shown in reprs and messages."""
secret = Kind("secret", _secret, masked=True, python_type=Secret)
"""A token: `Secret`."""

quantity = Kind("quantity", _whole, python_type=int)
"""Shares, contracts, or a count: `int`, with a sign where it is a net quantity or a change."""
amount = Kind("amount", _whole, python_type=int)
"""Money in the element's unit: `int`, with its sign."""
change = Kind("change", _whole, python_type=int)
"""A change in won: `int` with its sign."""
price = Kind("price", _price, directional=True, python_type=int)
"""Won: `int` without a sign, which is the `direction()` against the reference price. None for "-0"."""
decimal_price = Kind("price", _decimal_price, directional=True, python_type=Decimal)
"""A price or index level with decimals: `Decimal` without a sign, which is the `direction()`. None for "-0.00"."""
hundredths_price = Kind("price in hundredths", _shifted(2, has_direction=True), directional=True, python_type=Decimal)
"""A price or index level in hundredths: `Decimal` of the true value without a sign, which is the `direction()`."""
decimal_change = Kind("change", _decimal, python_type=Decimal)
"""A change with decimals: `Decimal` with its sign."""
decimal_amount = Kind("amount", _decimal, python_type=Decimal)
"""Money with decimals, with its sign: `Decimal`."""
ratio = Kind("percent", _ratio, python_type=Decimal)
"""Percent, or another ratio: `Decimal` with its sign."""
number = Kind("number", _decimal, python_type=Decimal)
"""Any other number: `Decimal` with its sign."""
hundredths = Kind("number in hundredths", _shifted(2), python_type=Decimal)
"""A number in hundredths: `Decimal` of the true value, with its sign."""
millionths = Kind("number in millionths", _shifted(6), python_type=Decimal)
"""A number in millionths: `Decimal` of the true value, with its sign."""
date = Kind("date", _date, python_type=datetime.date)
"""A date: `datetime.date`; None for "00000000"."""
clock_time = Kind("time", _clock_time, python_type=datetime.time)
"""A time of day, in Korea, or of US Eastern Time in US quotations: `datetime.time`; None for "000000"."""
moment = Kind("date and time", _moment_in(KST), python_type=datetime.datetime)
"""YYYYMMDDHHmmss in Korea: `datetime.datetime` with the zone KST."""
us_moment = Kind("date and time", _moment_in(EASTERN), python_type=datetime.datetime)
"""YYYYMMDDHHmmss in US Eastern Time: `datetime.datetime` with the zone `EASTERN`."""

"""Numbers as the server writes them: always texts, and with a sign that means one thing or another.

A price's sign is its direction against the reference price, not part of the number; a change's sign is its own. Rates
have two decimals. Everything here is an integer in its smallest unit: won, hundredths of a percent, ten thousandths of
a dollar.

Source: measured rows.
"""

from __future__ import annotations

__all__ = (
    "change_code",
    "hundredths",
    "percent",
    "price",
    "ratio",
    "signed",
    "spaced_price",
    "unsigned_percent",
)


def price(value: int, reference: int) -> str:
    """A price: "-20800" is below the reference price, "+20900" above it, "20850" is it."""
    if value > reference:
        return f"+{value}"
    return f"-{value}" if value < reference else str(value)


def spaced_price(value: int, reference: int) -> str:
    """A price with a space where others have the sign, as 0A, 0m and FID 10010 of 00 have it."""
    return f" {value}" if value == reference else price(value, reference)


def signed(value: int) -> str:
    """A change: "+5", "-5" or "0"."""
    return f"{value:+d}" if value else "0"


def ratio(part: int, whole: int) -> int:
    """So many hundredths of a percent are `part` of `whole`, rounded half away from zero; 0 where there is no whole."""
    if not whole:
        return 0
    hundredths = (abs(part) * 20_000 + whole) // (2 * whole)
    return -hundredths if part < 0 else hundredths


def hundredths(value: int, *, plus: bool = True) -> str:
    """Hundredths as a number of two decimals: "+1.23", "-0.05", "0.00"."""
    sign = "-" if value < 0 else "+" if value and plus else ""
    value = abs(value)
    return f"{sign}{value // 100}.{value % 100:02}"


def percent(part: int, whole: int) -> str:
    """A rate of change: "+1.23"."""
    return hundredths(ratio(part, whole))


def unsigned_percent(part: int, whole: int) -> str:
    """A share of something: "98.92"."""
    return hundredths(ratio(part, whole), plus=False)


def change_code(value: int, reference: int, upper: int = 0, lower: int = 0) -> str:
    """전일대비기호: 1 upper limit, 2 up, 3 unchanged, 4 lower limit, 5 down."""
    if value == reference:
        return "3"
    if value > reference:
        return "1" if value == upper else "2"
    return "4" if value == lower else "5"

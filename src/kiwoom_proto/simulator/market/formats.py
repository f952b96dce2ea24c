"""Format numbers as the server does: always as str, with a sign whose meaning depends on the field.

The sign of a price is its direction against the reference price, not part of the number. The sign of a change is its
own. Rates have two decimals. All arguments are integers in the smallest unit: won, hundredths of a percent, ten
thousandths of a dollar.

Source: rows [measured].
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
    """Format a price: "-20800" is below the reference price, "+20900" is above it, "20850" is equal to it."""
    if value > reference:
        return f"+{value}"
    return f"-{value}" if value < reference else str(value)


def spaced_price(value: int, reference: int) -> str:
    """Format a price with a space in place of a missing sign, as in 0A, 0m and FID 10010 of 00."""
    return f" {value}" if value == reference else price(value, reference)


def signed(value: int) -> str:
    """Format a change: "+5", "-5" or "0"."""
    return f"{value:+d}" if value else "0"


def ratio(part: int, whole: int) -> int:
    """Return `part` / `whole` in hundredths of a percent, rounded half away from zero; 0 if `whole` is 0."""
    if not whole:
        return 0
    hundredths = (abs(part) * 20_000 + whole) // (2 * whole)
    return -hundredths if part < 0 else hundredths


def hundredths(value: int, *, plus: bool = True) -> str:
    """Format hundredths as a number with two decimals: "+1.23", "-0.05", "0.00"."""
    sign = "-" if value < 0 else "+" if value and plus else ""
    value = abs(value)
    return f"{sign}{value // 100}.{value % 100:02}"


def percent(part: int, whole: int) -> str:
    """Format a rate of change: "+1.23"."""
    return hundredths(ratio(part, whole))


def unsigned_percent(part: int, whole: int) -> str:
    """Format a ratio in percent without a plus sign: "98.92"."""
    return hundredths(ratio(part, whole), plus=False)


def change_code(value: int, reference: int, upper: int = 0, lower: int = 0) -> str:
    """Return 전일대비기호: 1 upper limit, 2 up, 3 unchanged, 4 lower limit, 5 down."""
    if value == reference:
        return "3"
    if value > reference:
        return "1" if value == upper else "2"
    return "4" if value == lower else "5"

"""The trading day of the simulated market (KST): when each real-time type has rows.

Sources: the published trading hours of the Korea Exchange (auctions 08:30-09:00 and 15:20-15:30, continuous trading
between them, after-hours trading 08:30-08:40, 15:40-16:00 and 16:00-18:00), of Nextrade (08:00-08:50, 09:00:30-15:20,
15:40-20:00) and of the US exchanges (22:30-05:00 KST in summer). The codes of the phases are Kiwoom's (FID 215). The
times at which Kiwoom sends them are published for only a few; the others were chosen to fit the trading hours.

Simplifications: rows of NXT items follow the hours of KRX, and only the phases (0s) have Nextrade's hours. Every day of
the simulated market is a trading day. A span includes its start and excludes its end.
"""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import TypeAlias

__all__ = (
    "AFTER_HOURS",
    "CONTINUOUS",
    "DAY",
    "FIRST_DATE",
    "PHASES",
    "SESSIONS",
    "Moment",
    "clock_text",
    "closing",
    "next_opening",
    "open_types",
    "seconds_of",
)

DAY = 86_400
"""Length of a day in seconds."""

FIRST_DATE = datetime.date(2026, 6, 29)
"""The date of the first day of every simulated market, a Monday. Rows of some types have a date."""

Span: TypeAlias = tuple[int, int]


def _clock(text: str) -> int:
    hours, minutes, *seconds = map(int, text.split(":"))
    return hours * 3600 + minutes * 60 + sum(seconds)


def _spans(*texts: str) -> tuple[Span, ...]:
    return tuple((_clock(begin), _clock(end)) for begin, end in (text.split("-") for text in texts))


PHASES: tuple[tuple[int, str, int], ...] = tuple(
    (_clock(time), code, _clock(remaining))
    for time, code, remaining in (
        ("08:00", "P", "00:00"),  # NXT pre-market starts
        ("08:30", "0", "00:30"),  # before the opening, with the time until it
        ("08:40", "0", "00:20"),
        ("08:50", "Q", "00:00"),  # NXT pre-market ends
        ("08:50", "0", "00:10"),
        ("08:55", "0", "00:05"),
        ("08:59", "0", "00:01"),
        ("09:00", "3", "00:00"),  # open
        ("09:00", "o", "00:00"),  # derivatives open
        ("09:00:30", "R", "00:00"),  # NXT main market starts
        ("15:20", "2", "00:10"),  # closing soon
        ("15:20", "S", "00:00"),  # NXT main market ends
        ("15:25", "2", "00:05"),
        ("15:29", "2", "00:01"),
        ("15:30", "4", "00:00"),  # closed
        ("15:30", "8", "00:00"),  # regular session over
        ("15:30", "T", "00:00"),  # NXT after-market auction
        ("15:35", "s", "00:00"),  # derivatives closing auction starts
        ("15:40", "a", "00:00"),  # after-hours trading at the closing price starts
        ("15:40", "U", "00:00"),  # NXT after-market starts
        ("15:45", "e", "00:00"),  # derivatives closing auction ends
        ("16:00", "b", "00:00"),  # after-hours trading at the closing price ends
        ("16:00", "c", "00:00"),  # after-hours single-price trading starts
        ("18:00", "d", "00:00"),  # and ends
        ("18:00", "9", "00:00"),  # all sessions over
        ("20:00", "V", "00:00"),  # NXT after-market ends
    )
)
"""Time of day, code, and seconds remaining until the phase that it announces (0s: FIDs 20, 215 and 214)."""

CONTINUOUS = _spans("09:00-15:20")
REGULAR = _spans("09:00-15:30")
AUCTIONS = _spans("08:30-09:00", "15:20-15:30")
AFTER_HOURS = _spans("08:30-08:40", "15:40-16:00", "16:00-18:00")
US_REGULAR = _spans("00:00-05:00", "22:30-24:00")

SESSIONS: Mapping[str, tuple[Span, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("0A", "0B", "0F", "0G", "0m", "0u", "0w", "1h", "00", "04", "02"), CONTINUOUS),
        **dict.fromkeys(("0C", "0D", "0I", "0J", "0U", "0g"), REGULAR),
        "0H": AUCTIONS,
        "0E": AFTER_HOURS,
        "0s": tuple((time, time + 1) for time in sorted({time for time, _, _ in PHASES})),
        **dict.fromkeys(("FE", "FT", "F4", "F5", "S2"), US_REGULAR),
    }
)
"""Type code -> its sessions, in seconds of the day, in order."""

_BOUNDARIES = tuple(sorted({0, DAY} | {edge for spans in SESSIONS.values() for span in spans for edge in span}))
_OPEN = tuple(
    frozenset(type for type, spans in SESSIONS.items() if any(first <= begin < last for first, last in spans))
    for begin in _BOUNDARIES[:-1]
)


def seconds_of(time: datetime.time) -> int:
    """Return the seconds since midnight of a time of day."""
    return time.hour * 3600 + time.minute * 60 + time.second


def open_types(second: float) -> frozenset[str]:
    """Return the types that have a session at this second of the day."""
    return _OPEN[bisect.bisect_right(_BOUNDARIES, second) - 1]


def closing(stamp: float) -> int:
    """Return when the next session of any type starts or ends, in seconds since midnight of the first day."""
    day, second = divmod(stamp, DAY)
    return int(day) * DAY + _BOUNDARIES[bisect.bisect_right(_BOUNDARIES, second)]


def next_opening(types: Set[str], stamp: float) -> int | None:
    """Return when the next session of these types starts, in seconds since midnight of the first day; None if never."""
    day, second = divmod(stamp, DAY)
    begins = [begin for type in types for begin, _ in SESSIONS.get(type, ())]
    if not begins:
        return None
    today = [begin for begin in begins if begin > second]
    return int(day) * DAY + (min(today) if today else DAY + min(begins))


class Moment:
    """A second of the simulated market.

    Attributes:
        stamp: seconds since midnight of the first day.
        day: days since the first day.
        second: second of the day.
        text: the time in the format of rows, "HHMMSS".
        begins_at: when it starts, in seconds of the exchange.
    """

    __slots__ = ("begins_at", "day", "second", "stamp", "text")

    def __init__(self, stamp: int, begins_at: float = 0.0) -> None:
        self.stamp = stamp
        self.begins_at = begins_at
        self.day, self.second = divmod(stamp, DAY)
        self.text = clock_text(self.second)

    @property
    def date(self) -> datetime.date:
        """The date; weekends are skipped."""
        weeks, weekday = divmod(self.day, 5)
        return FIRST_DATE + datetime.timedelta(weeks=weeks, days=weekday)

    def shifted(self, seconds: int) -> Moment:
        """Return the moment this many seconds later."""
        return Moment(self.stamp + seconds, self.begins_at + seconds)


def clock_text(second: int) -> str:
    """Format a second of the day as "HHMMSS"."""
    minutes, seconds = divmod(second, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}{minutes:02}{seconds:02}"

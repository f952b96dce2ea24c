"""Trading hours: the timetable of a day at KRX and NXT, trading days, and special days.

Sources: the published trading hours of the Korea Exchange (opening auction 08:30-09:00, continuous trading from then to
15:20, closing auction to 15:30, after-hours trading at the closing price 15:40-16:00, at single prices 16:00-18:00) and
of Nextrade (08:00-08:50, 09:00:30-15:20, 15:40-20:00, with an auction from 15:30). Trading at the last closing price,
08:30-08:40, runs beside the opening auction.

Guessed: on a day with late hours the ends of single-price trading (18:00) and of the after-market (20:00) stay, and NXT
moves its other hours as KRX does.

All times of day are in Korea Standard Time (KST).
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import attrs

from .errors import LocalProtocolError

__all__ = (
    "EXAM_DAY",
    "FIRST_TRADING_DAY",
    "HOLIDAY",
    "KRX_DAY",
    "KST",
    "NXT_DAY",
    "MarketHours",
    "MarketSession",
    "SessionCalendar",
    "SpecialDay",
    "Timetable",
)

KST = datetime.timezone(datetime.timedelta(hours=9), "KST")
"""Korea Standard Time, which has no daylight saving."""
NO_DELAY = datetime.timedelta()


class MarketSession(enum.Enum):
    """What a market is doing."""

    UNKNOWN = "unknown"
    """The time of day is not known."""
    CLOSED = "closed"
    OPENING_AUCTION = "opening auction"
    """KRX: orders for the opening price (장전 동시호가)."""
    REGULAR = "regular"
    """KRX: continuous trading (정규장)."""
    CLOSING_AUCTION = "closing auction"
    """KRX: orders for the closing price (장마감 동시호가)."""
    CLOSING_PRICE = "closing price"
    """KRX: after-hours trading at the closing price (시간외 종가)."""
    SINGLE_PRICE = "single price"
    """KRX: after-hours trading at single prices (시간외 단일가)."""
    PRE_MARKET = "pre-market"
    """NXT: pre-market (프리마켓)."""
    MAIN_MARKET = "main market"
    """NXT: main market (메인마켓)."""
    AFTER_MARKET_AUCTION = "after-market auction"
    """NXT: orders for the first price of the after-market (애프터마켓 단일가)."""
    AFTER_MARKET = "after-market"
    """NXT: after-market (애프터마켓)."""


@attrs.frozen(kw_only=True)
class SpecialDay:
    """A day with other hours.

    Attributes:
        closed: whether there is no trading.
        opening_delay: how much later than usual the market opens.
        closing_delay: how much later than usual the regular session closes.
    """

    closed: bool = False
    opening_delay: datetime.timedelta = NO_DELAY
    closing_delay: datetime.timedelta = NO_DELAY


EXAM_DAY = SpecialDay(opening_delay=datetime.timedelta(hours=1), closing_delay=datetime.timedelta(hours=1))
"""The day of the college entrance exam (수능일): KRX trades from 10:00 to 16:30."""
FIRST_TRADING_DAY = SpecialDay(opening_delay=datetime.timedelta(hours=1))
"""The first trading day of a year (증시 개장일): KRX opens at 10:00."""
HOLIDAY = SpecialDay(closed=True)
"""No trading, as on the last weekday of a year (연말 휴장일)."""

Timetable: TypeAlias = tuple[tuple[int, MarketSession, str], ...]
"""When sessions start: second of the day, the session, and the delay that moves it ("opening", "closing" or "")."""


def _timetable(*lines: tuple[str, MarketSession, str]) -> Timetable:
    table = []
    for text, session, moved_by in lines:
        hours, minutes, *seconds = map(int, text.split(":"))
        table.append((hours * 3600 + minutes * 60 + sum(seconds), session, moved_by))
    return tuple(table)


KRX_DAY = _timetable(
    ("08:30", MarketSession.OPENING_AUCTION, "opening"),
    ("09:00", MarketSession.REGULAR, "opening"),
    ("15:20", MarketSession.CLOSING_AUCTION, "closing"),
    ("15:30", MarketSession.CLOSED, "closing"),
    ("15:40", MarketSession.CLOSING_PRICE, "closing"),
    ("16:00", MarketSession.SINGLE_PRICE, "closing"),
    ("18:00", MarketSession.CLOSED, ""),
)
"""The sessions of KRX on a usual day."""
NXT_DAY = _timetable(
    ("08:00", MarketSession.PRE_MARKET, "opening"),
    ("08:50", MarketSession.CLOSED, "opening"),
    ("09:00:30", MarketSession.MAIN_MARKET, "opening"),
    ("15:20", MarketSession.CLOSED, "closing"),
    ("15:30", MarketSession.AFTER_MARKET_AUCTION, "closing"),
    ("15:40", MarketSession.AFTER_MARKET, "closing"),
    ("20:00", MarketSession.CLOSED, ""),
)
"""The sessions of NXT on a usual day."""


class SessionCalendar(Protocol):
    """The interface that `MarketHours` needs of a calendar object. Those of the package exchange_calendars have it."""

    def is_session(self, date: Any, /) -> bool:
        """Return whether a date is a trading day; raise ValueError if it is not known."""
        ...


def _is_calendar(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not callable(value) and not callable(getattr(value, "is_session", None)):
        raise LocalProtocolError(
            "MarketHours.calendar: must be a function of a date, or an object with is_session(date), such as "
            f"exchange_calendars.get_calendar('XKRX'), not {value!r}"
        )


def _are_special_days(instance: object, attribute: attrs.Attribute[Any], value: Mapping[Any, Any]) -> None:
    for day, special in value.items():
        if type(day) is not datetime.date or not isinstance(special, SpecialDay):
            raise LocalProtocolError(
                f"MarketHours.special_days: must map datetime.date to SpecialDay, not {day!r} to {special!r}"
            )


def _copied(days: Mapping[datetime.date, SpecialDay]) -> Mapping[datetime.date, SpecialDay]:
    return dict(days)


@attrs.frozen(kw_only=True)
class MarketHours:
    """Which days are trading days, and which have other hours than usual.

    Attributes:
        calendar: tells trading days: a function from `datetime.date` to bool, or an object with `is_session(date)`,
            such as `exchange_calendars.get_calendar("XKRX")`. Its `session_open` and `session_close`, if it has them,
            tell late hours. What raises ValueError is not known to it. None: Monday to Friday.
        special_days: days with other hours, by date. They go before the calendar.
    """

    calendar: Callable[[datetime.date], bool] | Any | None = attrs.field(
        default=None, validator=_is_calendar, hash=False
    )
    special_days: Mapping[datetime.date, SpecialDay] = attrs.field(
        factory=dict, validator=_are_special_days, converter=_copied, hash=False
    )

    def day(self, date: datetime.date) -> SpecialDay:
        """Return what is special about a day."""
        special = self.special_days.get(date)
        if special is not None:
            return special
        is_weekday = date.weekday() < 5
        if self.calendar is None:
            return SpecialDay(closed=not is_weekday)
        is_session = getattr(self.calendar, "is_session", self.calendar)
        try:
            if not is_session(date):
                return HOLIDAY
            return SpecialDay(
                opening_delay=self._delay("session_open", date, datetime.time(9)),
                closing_delay=self._delay("session_close", date, datetime.time(15, 30)),
            )
        except ValueError:  # outside the years that it knows
            return SpecialDay(closed=not is_weekday)

    def _delay(self, name: str, date: datetime.date, usual: datetime.time) -> datetime.timedelta:
        tell = getattr(self.calendar, name, None)
        if tell is None:
            return NO_DELAY
        delay: datetime.timedelta = tell(date) - datetime.datetime.combine(date, usual, KST)
        return datetime.timedelta(seconds=delay.total_seconds())

"""Which session each market is in: by the time of day, by the calendar, and by what the server says (0s).

* The time of day comes in as nanoseconds since the epoch, and is read in KST, whatever the zone of the machine.
* The table (hours.py) holds unless a row of 0s says otherwise. What 0s says holds until its next row about the same
  market, at most for `OVERTIME` beyond the time at which the table has the next session. If rows may be missing,
  because the connection was lost or nothing wants 0s any more, it ends with the table's session.
* What 0s says of the time that remains (FID 214) moves the hours of the whole day: that is how a late opening, of which
  no table knew, becomes known.
* Silence is news only in sessions in which a type has rows (`RowsExpected`). Types of the account and of the whole
  market, US types, and types whose hours are not known have none: for them silence is news at any time.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import attrs

from ..errors import FieldError
from ..hours import KRX_DAY, KST, NXT_DAY, MarketHours, MarketSession, SpecialDay, Timetable
from ..realtime.codes import MarketPhaseCode
from ..realtime.market import MarketPhase
from ..realtime.record import Record
from ..realtime.traits import ItemForm, Market, RowsExpected, Scope
from ..symbol import Venue, parse_item

__all__ = ("MarketClock", "MarketStatus", "Window")

SECOND = 1_000_000_000
EARLIEST = 946_684_800 * SECOND
"""The year 2000. An earlier time is that of a test, or of no clock at all: the time of day is not known."""
OVERTIME = 90 * 60 * SECOND
"""How long 0s may keep a session beyond the table. The latest known is an hour, on the day of the exam."""
MAX_DELAY = datetime.timedelta(hours=3)
"""A delay that is longer is not believed."""
MAX_DAYS = 21
"""How far an opening is looked for. The longest holidays have ten days."""
USUAL_OPENING, USUAL_CLOSING = datetime.time(9), datetime.time(15, 30)

_ANNOUNCEMENTS = (MarketPhaseCode.BEFORE_OPEN, MarketPhaseCode.CLOSING_SOON)
_KRX_SAYS = {
    MarketPhaseCode.OPEN: MarketSession.REGULAR,
    MarketPhaseCode.CLOSED: MarketSession.CLOSED,
    MarketPhaseCode.REGULAR_SESSION_OVER: MarketSession.CLOSED,
    MarketPhaseCode.CLOSING_PRICE_TRADING_START: MarketSession.CLOSING_PRICE,
    MarketPhaseCode.CLOSING_PRICE_TRADING_END: MarketSession.CLOSED,
    MarketPhaseCode.SINGLE_PRICE_TRADING_START: MarketSession.SINGLE_PRICE,
    MarketPhaseCode.SINGLE_PRICE_TRADING_END: MarketSession.CLOSED,
    MarketPhaseCode.ALL_SESSIONS_OVER: MarketSession.CLOSED,
}
_NXT_SAYS = {
    MarketPhaseCode.NXT_PRE_MARKET_START: MarketSession.PRE_MARKET,
    MarketPhaseCode.NXT_PRE_MARKET_END: MarketSession.CLOSED,
    MarketPhaseCode.NXT_MAIN_MARKET_START: MarketSession.MAIN_MARKET,
    MarketPhaseCode.NXT_MAIN_MARKET_END: MarketSession.CLOSED,
    MarketPhaseCode.NXT_AFTER_MARKET_AUCTION: MarketSession.AFTER_MARKET_AUCTION,
    MarketPhaseCode.NXT_AFTER_MARKET_START: MarketSession.AFTER_MARKET,
    MarketPhaseCode.NXT_AFTER_MARKET_END: MarketSession.CLOSED,
}

_CONTINUOUS = frozenset(
    {MarketSession.REGULAR, MarketSession.PRE_MARKET, MarketSession.MAIN_MARKET, MarketSession.AFTER_MARKET}
)
_AUCTIONS = frozenset(
    {MarketSession.OPENING_AUCTION, MarketSession.CLOSING_AUCTION, MarketSession.AFTER_MARKET_AUCTION}
)
SESSIONS = {
    RowsExpected.CONTINUOUS_TRADING: _CONTINUOUS,
    RowsExpected.AUCTIONS: _AUCTIONS,
    RowsExpected.CONTINUOUS_TRADING_AND_AUCTIONS: _CONTINUOUS | _AUCTIONS,
    RowsExpected.AFTER_HOURS: frozenset({MarketSession.CLOSING_PRICE, MarketSession.SINGLE_PRICE}),
}
"""The sessions in which a type has rows."""


@attrs.frozen
class MarketStatus:
    """What each market is doing.

    Attributes:
        krx: the session of the Korea Exchange (한국거래소).
        nxt: the session of Nextrade (넥스트레이드).
        time: when, in KST; None if the time of day is not known.
    """

    krx: MarketSession = MarketSession.UNKNOWN
    nxt: MarketSession = MarketSession.UNKNOWN
    time: datetime.datetime | None = None


@attrs.frozen
class Window:
    """Whether rows of a subscription are expected. Times are nanoseconds since the epoch.

    Attributes:
        since: since when they have been; None if they are not.
        opens_at: when they will be for the next time; None: not within three weeks.
    """

    since: int | None
    opens_at: int | None


@attrs.frozen
class _Word:
    """What 0s said of a market, and when."""

    session: MarketSession
    at: int


@attrs.define
class _Place:
    """One market: its timetable, and what 0s said of it."""

    table: Timetable
    word: _Word | None = None


class MarketClock:
    """Tells which session each market is in.

    Args:
        hours: trading days and special days; None: silence is news at any time, and every weekday is a usual one.
    """

    def __init__(self, hours: MarketHours | None) -> None:
        self._hours = hours or MarketHours()
        self._is_asked = hours is not None
        self._krx, self._nxt = _Place(KRX_DAY), _Place(NXT_DAY)
        self._learned: tuple[datetime.date, SpecialDay] | None = None
        self._is_told = False
        self._read_at = 0, 0.0  # the time of a read, in nanoseconds since the epoch and on the session's clock
        self._windows: dict[tuple[RowsExpected, Venue], tuple[Window, int, int]] = {}  # and from when to when it holds

    def note_time(self, time: int, now: float) -> None:
        """Note the time of a read, from which the time of day between reads is derived.

        Args:
            time: nanoseconds since the epoch; 0: not known.
            now: seconds on the session's clock.
        """
        self._read_at = time, now

    def time_at(self, now: float) -> int:
        """Return the time in nanoseconds since the epoch, at a time on the session's clock; 0: not known."""
        time, then = self._read_at
        return time and time + int((now - then) * SECOND)

    def note_phase(self, row: MarketPhase, at: int) -> bool:
        """Note a row of 0s.

        Args:
            row: the row. What cannot be read of it is ignored.
            at: when it was received, in nanoseconds since the epoch.

        Returns:
            Whether it said something of KRX or NXT.
        """
        try:
            code, remaining = row.phase, row.time_to_open
        except FieldError:
            return False
        if at < EARLIEST or code is None:
            return False
        self._is_told = True
        if code in _ANNOUNCEMENTS:
            # It says when a session will start, which moves the table, and not what the market is doing.
            self._krx.word = None
            if remaining:
                self._learn_delay(code, remaining, at)
            elif code is MarketPhaseCode.BEFORE_OPEN:
                self._krx.word = _Word(MarketSession.OPENING_AUCTION, at)
        elif code in _KRX_SAYS:
            self._krx.word = _Word(_KRX_SAYS[code], at)
        elif code in _NXT_SAYS:
            self._nxt.word = _Word(_NXT_SAYS[code], at)
        else:
            return False
        self._windows.clear()
        return True

    def interrupt(self) -> None:
        """Note that rows of 0s may be missing from now on, until the next one."""
        if self._is_told:
            self._is_told = False
            self._windows.clear()

    def status(self, now: int) -> MarketStatus:
        """Return what each market is doing at a time, in nanoseconds since the epoch."""
        if now < EARLIEST:
            return MarketStatus()
        return MarketStatus(self._session(self._krx, now), self._session(self._nxt, now), _kst(now))

    def window(self, cls: type[Record] | None, item: str, now: int) -> Window | None:
        """Return when rows of a type and an item are expected.

        Args:
            cls: the class of the type; None if there is none.
            item: the item, as registered.
            now: nanoseconds since the epoch.

        Returns:
            None if the hours do not say: silence is news at any time.
        """
        if (
            now < EARLIEST
            or not self._is_asked
            or cls is None
            or cls.market is not Market.DOMESTIC
            or cls.scope is not Scope.ITEM
        ):
            return None
        if cls.item_form not in (ItemForm.STOCK, ItemForm.SECTOR):
            return None
        symbol = parse_item(item)
        venue = Venue.KRX if symbol is None else symbol.venue
        key = cls.rows_expected, venue
        found, start, end = self._windows.get(key, (None, 0, 0))
        if found is None or not start <= now < end:
            found, start, end = self._window(*key, now)
            self._windows[key] = found, start, end
        return found

    def _window(self, rows_expected: RowsExpected, venue: Venue, now: int) -> tuple[Window, int, int]:
        """Return when rows are expected at a venue, and from when to when this is the answer."""
        places = {Venue.NXT: (self._nxt,), Venue.SOR: (self._krx, self._nxt)}.get(venue, (self._krx,))
        expected = SESSIONS[rows_expected]

        def is_open(at: int) -> bool:
            return any(self._session(place, at) in expected for place in places)

        changes = sorted({at for place in places for at in self._changes(place, now)})
        past = [at for at in changes if at <= now]  # not empty: midnight
        coming = changes[len(past) :]
        since = None
        if is_open(now):
            since = next(at for at in reversed(past) if not is_open(at - 1))
        opens_at = next((at for at in coming if is_open(at) and not is_open(at - 1)), None)
        return Window(since, opens_at), past[-1], coming[0]

    def _learn_delay(self, code: MarketPhaseCode, remaining: datetime.timedelta, at: int) -> None:
        date = _kst(at).date()
        moment = _kst(at + int(remaining.total_seconds()) * SECOND)
        opening = code is MarketPhaseCode.BEFORE_OPEN
        usual = datetime.datetime.combine(date, USUAL_OPENING if opening else USUAL_CLOSING, KST)
        delay = datetime.timedelta(minutes=round((moment - usual).total_seconds() / 60))
        if abs(delay) > MAX_DELAY:
            return
        known = self._day(date)
        self._learned = (
            date,
            SpecialDay(
                opening_delay=delay if opening else known.opening_delay,
                closing_delay=known.closing_delay if opening else delay,
            ),
        )

    def _day(self, date: datetime.date) -> SpecialDay:
        if self._learned is not None and self._learned[0] == date:
            return self._learned[1]
        return self._hours.day(date)

    def _starts(self, place: _Place, date: datetime.date) -> Iterator[tuple[int, MarketSession]]:
        """Yield when sessions start on a day, in order."""
        midnight = _nanoseconds(datetime.datetime.combine(date, datetime.time(), KST))
        yield midnight, MarketSession.CLOSED
        day = self._day(date)
        if day.closed:
            return
        delays = {"opening": day.opening_delay, "closing": day.closing_delay, "": datetime.timedelta()}
        for second, session, moved_by in place.table:
            yield midnight + (second + int(delays[moved_by].total_seconds())) * SECOND, session

    def _session(self, place: _Place, at: int) -> MarketSession:
        word = place.word
        if word is not None and word.at <= at < self._word_ends(place, word):
            return word.session
        found = MarketSession.CLOSED
        for start, session in self._starts(place, _kst(at).date()):
            if start <= at:
                found = session
        return found

    def _word_ends(self, place: _Place, word: _Word) -> int:
        """Return until when a word holds if no other comes."""
        date = _kst(word.at).date()
        midnight = _nanoseconds(datetime.datetime.combine(date + datetime.timedelta(days=1), datetime.time(), KST))
        starts = list(self._starts(place, date))
        end = next((start for start, _ in starts if start > word.at), midnight)
        return min(end + OVERTIME, midnight) if self._is_told else end

    def _changes(self, place: _Place, now: int) -> Iterator[int]:
        """Yield all times around a time at which the session of a market may change."""
        word = place.word
        if word is not None:
            yield word.at
            yield self._word_ends(place, word)
        today = _kst(now).date()
        for days in range(MAX_DAYS + 1):
            for start, _ in self._starts(place, today + datetime.timedelta(days=days)):
                yield start


def _kst(nanoseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(nanoseconds // SECOND, KST)


def _nanoseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp()) * SECOND

"""Which session a market is in, and when rows are expected: by the table, a calendar, special days, and 0s."""

from __future__ import annotations

import copy
import datetime
import json
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from kiwoom_proto import (
    REALTIME,
    AfterHoursQuote,
    ClientConfig,
    ExpectedTrade,
    OrderBook,
    OrderExecution,
    Record,
    SectorIndex,
    Trade,
    UsTrade,
)
from kiwoom_proto.errors import LocalProtocolError
from kiwoom_proto.hours import EXAM_DAY, FIRST_TRADING_DAY, HOLIDAY, MarketHours, MarketSession, SpecialDay
from kiwoom_proto.realtime import InternationalGoldPrice, MarketPhase
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.session.market_clock import MarketClock, MarketStatus, Window

S = MarketSession
MONDAY = datetime.date(2026, 6, 29)
EXAM = datetime.date(2026, 11, 19)


def at(text: str, date: datetime.date = MONDAY) -> int:
    """A time of day in KST, as nanoseconds since the epoch."""
    time = datetime.time.fromisoformat(text)
    return int(datetime.datetime.combine(date, time, KST).timestamp()) * 1_000_000_000


def clock(**hours: Any) -> MarketClock:
    return MarketClock(MarketHours(**hours))


def sessions(clock: MarketClock, text: str, date: datetime.date = MONDAY) -> tuple[MarketSession, MarketSession]:
    status = clock.status(at(text, date))
    return status.krx, status.nxt


def tell(clock: MarketClock, code: str, text: str, remaining: str = "000000", date: datetime.date = MONDAY) -> bool:
    values = json.dumps({"215": code, "20": text.replace(":", ""), "214": remaining}).encode()
    return clock.note_phase(MarketPhase("0s", "", values=values), at(text, date))


@pytest.mark.parametrize(
    ("text", "krx", "nxt"),
    [
        ("00:00:00", S.CLOSED, S.CLOSED),
        ("07:59:59", S.CLOSED, S.CLOSED),
        ("08:00:00", S.CLOSED, S.PRE_MARKET),
        ("08:30:00", S.OPENING_AUCTION, S.PRE_MARKET),
        ("08:50:00", S.OPENING_AUCTION, S.CLOSED),
        ("08:59:59", S.OPENING_AUCTION, S.CLOSED),
        ("09:00:00", S.REGULAR, S.CLOSED),
        ("09:00:30", S.REGULAR, S.MAIN_MARKET),
        ("15:19:59", S.REGULAR, S.MAIN_MARKET),
        ("15:20:00", S.CLOSING_AUCTION, S.CLOSED),
        ("15:30:00", S.CLOSED, S.AFTER_MARKET_AUCTION),
        ("15:40:00", S.CLOSING_PRICE, S.AFTER_MARKET),
        ("16:00:00", S.SINGLE_PRICE, S.AFTER_MARKET),
        ("18:00:00", S.CLOSED, S.AFTER_MARKET),
        ("20:00:00", S.CLOSED, S.CLOSED),
        ("23:59:59", S.CLOSED, S.CLOSED),
    ],
)
def test_a_usual_day(text: str, krx: MarketSession, nxt: MarketSession) -> None:
    assert sessions(clock(), text) == (krx, nxt)
    assert sessions(clock(), text, MONDAY + datetime.timedelta(days=5)) == (S.CLOSED, S.CLOSED)  # a Saturday


def test_the_status_says_when() -> None:
    status = clock().status(at("10:00:00"))
    assert status == MarketStatus(S.REGULAR, S.MAIN_MARKET, datetime.datetime(2026, 6, 29, 10, tzinfo=KST))


@pytest.mark.parametrize("now", [0, 1_000_000_000, 60_000_000_000])
def test_a_time_that_is_none_is_not_known(now: int) -> None:
    assert clock().status(now) == MarketStatus(S.UNKNOWN, S.UNKNOWN, None)
    assert clock().window(Trade, "005930", now) is None


# Calendars and special days.


class FakeCalendar:
    """Has what `exchange_calendars.get_calendar("XKRX")` has."""

    def is_session(self, date: datetime.date) -> bool:
        if date.year > 2027:
            raise ValueError("outside the calendar")
        return date.weekday() < 5 and date != MONDAY

    def session_open(self, date: datetime.date) -> datetime.datetime:
        hour = 1 if date == EXAM else 0
        return datetime.datetime.combine(date, datetime.time(hour), datetime.UTC)

    def session_close(self, date: datetime.date) -> datetime.datetime:
        hour = 7 if date == EXAM else 6
        return datetime.datetime.combine(date, datetime.time(hour, 30), datetime.UTC)


def test_a_calendar_that_is_an_object() -> None:
    told = clock(calendar=FakeCalendar())
    tuesday = MONDAY + datetime.timedelta(days=1)
    assert sessions(told, "10:00") == (S.CLOSED, S.CLOSED)
    assert sessions(told, "10:00", tuesday) == (S.REGULAR, S.MAIN_MARKET)
    assert sessions(told, "09:30", EXAM) == (S.OPENING_AUCTION, S.PRE_MARKET)
    assert sessions(told, "16:19", EXAM) == (S.REGULAR, S.MAIN_MARKET)
    assert sessions(told, "10:00", datetime.date(2028, 1, 3)) == (S.REGULAR, S.MAIN_MARKET)  # it does not know
    assert sessions(told, "10:00", datetime.date(2028, 1, 1)) == (S.CLOSED, S.CLOSED)


def test_a_calendar_that_is_a_function() -> None:
    told = clock(calendar=lambda date: date != MONDAY)
    assert sessions(told, "10:00") == (S.CLOSED, S.CLOSED)
    assert sessions(told, "10:00", MONDAY + datetime.timedelta(days=5)) == (S.REGULAR, S.MAIN_MARKET)


def test_special_days_go_before_the_calendar() -> None:
    days = {EXAM: EXAM_DAY, MONDAY: FIRST_TRADING_DAY, datetime.date(2026, 12, 31): HOLIDAY}
    told = clock(calendar=FakeCalendar(), special_days=days)
    assert sessions(told, "09:59") == (S.OPENING_AUCTION, S.CLOSED)
    assert sessions(told, "10:01") == (S.REGULAR, S.MAIN_MARKET)
    assert sessions(told, "15:30") == (S.CLOSED, S.AFTER_MARKET_AUCTION)
    assert sessions(told, "16:25", EXAM) == (S.CLOSING_AUCTION, S.CLOSED)
    assert sessions(told, "16:30", EXAM) == (S.CLOSED, S.AFTER_MARKET_AUCTION)
    assert sessions(told, "17:59", EXAM) == (S.SINGLE_PRICE, S.AFTER_MARKET)
    assert sessions(told, "18:00", EXAM) == (S.CLOSED, S.AFTER_MARKET)
    assert sessions(told, "10:00", datetime.date(2026, 12, 31)) == (S.CLOSED, S.CLOSED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"calendar": "XKRX"}, "MarketHours.calendar: must be a function of a date, or an object with is_session"),
        ({"special_days": {"2026-11-19": EXAM_DAY}}, "MarketHours.special_days: must map datetime.date to SpecialDay"),
        ({"special_days": {EXAM: "late"}}, "MarketHours.special_days: must map datetime.date to SpecialDay"),
    ],
)
def test_hours_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        MarketHours(**arguments)
    with pytest.raises(LocalProtocolError, match=r"ClientConfig\.hours: must be a MarketHours"):
        ClientConfig(hours="09:00-15:30")  # type: ignore[arg-type]


def test_hours_are_a_value() -> None:
    hours = MarketHours(special_days={EXAM: EXAM_DAY})
    assert hours == MarketHours(special_days={EXAM: EXAM_DAY}) != MarketHours()
    config = ClientConfig(hours=hours)
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
    assert hash(config) == hash(ClientConfig(hours=hours))


# What 0s says.


def test_0s_tells_a_late_opening() -> None:
    told = clock()
    assert tell(told, "0", "08:30:00", "013000", EXAM)
    assert sessions(told, "08:45", EXAM)[0] is S.CLOSED  # the auction is an hour later too
    assert sessions(told, "09:30", EXAM)[0] is S.OPENING_AUCTION
    assert sessions(told, "09:59:59", EXAM)[0] is S.OPENING_AUCTION
    assert sessions(told, "10:00", EXAM)[0] is S.REGULAR
    assert sessions(told, "10:00:30", EXAM)[1] is S.MAIN_MARKET
    assert sessions(told, "09:00", EXAM + datetime.timedelta(days=1))[0] is S.REGULAR  # of that day only


def test_0s_goes_before_the_table() -> None:
    told = clock()
    tell(told, "3", "09:00:00")
    assert sessions(told, "15:25")[0] is S.REGULAR  # it would have said that it closes
    assert sessions(told, "15:25")[1] is S.CLOSED  # of NXT it said nothing
    tell(told, "4", "16:30:00")
    assert sessions(told, "16:35")[0] is S.CLOSED
    tell(told, "a", "16:40:00")
    assert sessions(told, "16:41")[0] is S.CLOSING_PRICE
    tell(told, "d", "18:00:00")
    assert sessions(told, "18:00")[0] is S.CLOSED


def test_0s_may_close_a_market_early() -> None:
    told = clock()
    tell(told, "3", "09:00:00")
    tell(told, "8", "11:00:00")
    tell(told, "S", "11:00:00")
    assert sessions(told, "11:30") == (S.CLOSED, S.CLOSED)


def test_0s_of_a_day_off_goes_before_the_calendar() -> None:
    told = clock(special_days={MONDAY: HOLIDAY})
    assert sessions(told, "10:00") == (S.CLOSED, S.CLOSED)
    tell(told, "3", "09:00:00")
    assert sessions(told, "10:00")[0] is S.REGULAR


def test_what_0s_said_does_not_last_for_ever() -> None:
    told = clock()
    tell(told, "3", "09:00:00")
    assert sessions(told, "16:49")[0] is S.REGULAR
    assert sessions(told, "16:51")[0] is S.SINGLE_PRICE  # no exam ends that late: rows were missed
    tell(told, "U", "19:50:00")
    assert sessions(told, "00:10", MONDAY + datetime.timedelta(days=1)) == (S.CLOSED, S.CLOSED)


def test_after_a_loss_the_table_says_when_a_session_ends() -> None:
    told = clock()
    tell(told, "3", "08:59:00")
    assert sessions(told, "08:59:30")[0] is S.REGULAR
    tell(told, "3", "09:00:00")
    told.interrupt()
    assert sessions(told, "15:19")[0] is S.REGULAR
    assert sessions(told, "15:20")[0] is S.CLOSING_AUCTION
    tell(told, "8", "12:00:00")
    told.interrupt()
    assert sessions(told, "15:19")[0] is S.CLOSED
    assert sessions(told, "15:20")[0] is S.CLOSING_AUCTION


def test_before_the_opening_without_saying_how_long() -> None:
    told = clock()
    tell(told, "0", "08:59:00")
    assert sessions(told, "09:05")[0] is S.OPENING_AUCTION
    tell(told, "3", "09:06:00")
    assert sessions(told, "09:06")[0] is S.REGULAR


def test_the_announcement_of_the_close_moves_it() -> None:
    told = clock()
    tell(told, "3", "10:00:00")
    tell(told, "2", "16:10:00", "002000")
    assert sessions(told, "16:15")[0] is S.REGULAR
    assert sessions(told, "16:20")[0] is S.CLOSING_AUCTION
    assert sessions(told, "16:30")[0] is S.CLOSED
    assert sessions(told, "16:40")[0] is S.CLOSING_PRICE


@pytest.mark.parametrize("code", ["e", "f", "o", "s", "z", ""])
def test_what_0s_says_of_other_markets_changes_nothing(code: str) -> None:
    told = clock()
    assert not tell(told, code, "10:00:00", "010000")
    assert sessions(told, "10:00") == (S.REGULAR, S.MAIN_MARKET)


def test_rows_of_0s_that_make_no_sense() -> None:
    told = clock()
    for values in (b"", b"[]", b'{"215":"0","214":"99:99"}', b'{"215":"0","214":"x"}', b'{"214":"010000"}'):
        assert not told.note_phase(MarketPhase("0s", "", values=values), at("08:40:00"))
    assert not told.note_phase(MarketPhase("0s", "", values=b'{"215":"4"}'), 0)
    tell(told, "0", "08:40:00", "990000")  # no market opens four days later
    assert sessions(told, "10:00") == (S.REGULAR, S.MAIN_MARKET)


# When rows are expected.


@pytest.mark.parametrize(
    ("cls", "item", "open_at", "closed_at"),
    [
        (Trade, "005930", "09:00 12:00 15:19", "08:40 15:20 15:45 17:00 21:00"),
        (Trade, "005930_NX", "08:00 09:01 15:40 19:59", "08:55 09:00:10 15:25 15:35 20:00"),
        (Trade, "005930_AL", "08:00 09:00:10 12:00 19:00", "07:59 08:55 15:25 20:00"),
        (OrderBook, "005930", "08:30 08:59 09:00 15:29", "08:29 15:30 16:30 20:01"),
        (SectorIndex, "001", "09:00 15:19", "15:31 08:00"),
        (ExpectedTrade, "005930", "08:30 08:59 15:20", "09:00 15:30"),
        (AfterHoursQuote, "005930", "15:40 16:30 17:59", "09:00 15:35 18:00"),
    ],
)
def test_when_rows_are_expected(cls: type[Record], item: str, open_at: str, closed_at: str) -> None:
    for text in open_at.split():
        window = clock().window(cls, item, at(text))
        assert window is not None and window.since is not None and window.since <= at(text), text
    for text in closed_at.split():
        window = clock().window(cls, item, at(text))
        assert window is not None and window.since is None, text


@pytest.mark.parametrize(
    ("cls", "item"),
    [(OrderExecution, ""), (MarketPhase, ""), (UsTrade, "NVDA:ND"), (InternationalGoldPrice, "MGD"), (None, "005930")],
)
def test_hours_that_do_not_count(cls: type[Record] | None, item: str) -> None:
    assert clock().window(cls, item, at("03:00")) is None


def test_every_type_says_when_its_rows_are_expected() -> None:
    for cls in REALTIME.values():
        clock().window(cls, "005930", at("12:00"))


def test_windows_begin_and_come_again() -> None:
    told = clock()
    tuesday = MONDAY + datetime.timedelta(days=1)
    assert told.window(Trade, "005930", at("12:00")) == Window(at("09:00"), at("09:00", tuesday))
    assert told.window(OrderBook, "005930", at("12:00")) == Window(at("08:30"), at("08:30", tuesday))
    assert told.window(Trade, "005930", at("08:00")) == Window(None, at("09:00"))
    friday, monday = MONDAY + datetime.timedelta(days=4), MONDAY + datetime.timedelta(days=7)
    assert told.window(Trade, "005930", at("18:00", friday)) == Window(None, at("09:00", monday))
    assert told.window(Trade, "005930_AL", at("23:59:59", friday)) == Window(None, at("08:00", monday))
    assert clock(calendar=lambda date: date == MONDAY).window(Trade, "005930", at("18:00")) == Window(None, None)


def test_windows_follow_what_0s_says() -> None:
    told = clock()
    assert told.window(Trade, "005930", at("08:40")) == Window(None, at("09:00"))
    tell(told, "0", "08:40:00", "012000")
    assert told.window(Trade, "005930", at("08:40")) == Window(None, at("10:00"))
    tell(told, "3", "10:00:00")
    window = told.window(Trade, "005930", at("15:25"))
    assert window is not None and window.since == at("10:00")
    told.interrupt()
    window = told.window(Trade, "005930", at("15:25"))
    assert window is not None and window.since is None


def test_a_special_day_of_its_own() -> None:
    short = SpecialDay(closing_delay=datetime.timedelta(hours=-2))
    assert sessions(clock(special_days={MONDAY: short}), "13:25") == (S.CLOSING_AUCTION, S.CLOSED)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_zone_of_the_machine_does_not_matter(zone: str) -> None:
    code = (
        "from kiwoom_proto.session.market_clock import MarketClock; from kiwoom_proto.hours import MarketHours;"
        f"print(MarketClock(MarketHours()).status({at('09:00')}))"
    )
    environment = {**os.environ, "TZ": zone}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(clock().status(at("09:00")))

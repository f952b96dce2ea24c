"""Freshness that knows the hours: no `Stale` while the market is closed, and again when it has opened. Virtual time."""

from __future__ import annotations

import datetime
from typing import Any

import attrs
import pytest

from kiwoom_proto import PRODUCTION, ClientConfig, MarketPhase, OrderExecution, Record, Session, Stale, Trade
from kiwoom_proto.hours import HOLIDAY, MarketHours, MarketSession
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.session.market_clock import MarketStatus
from kiwoom_proto.testing import ManualClock

from .wire import LOGIN_OK, REG_OK, TOKEN, CountingBytes, accept_handshake, real, text

MONDAY = datetime.date(2026, 6, 29)
TUESDAY, FRIDAY = datetime.date(2026, 6, 30), datetime.date(2026, 7, 3)
NEXT_MONDAY = datetime.date(2026, 7, 6)
PATIENT = ClientConfig(request_interval=0, idle_timeout=1e9)


def moment(time: str, date: datetime.date = MONDAY) -> datetime.datetime:
    return datetime.datetime.combine(date, datetime.time.fromisoformat(time), KST)


class Line:
    """A session that is logged in, at a time of day."""

    def __init__(self, time: str, date: datetime.date = MONDAY, **config: Any) -> None:
        self.clock = ManualClock(500.0)
        self.start = moment(time, date)
        self.session = Session(
            PRODUCTION,
            attrs.evolve(PATIENT, **config),
            clock=self.clock,
            random=lambda: 0.5,
            random_bytes=CountingBytes(),
        )
        self.session.connect(TOKEN)
        self.login()

    @property
    def time(self) -> datetime.datetime:
        return self.start + datetime.timedelta(seconds=self.clock.now - 500.0)

    def receive(self, data: bytes) -> None:
        self.session.receive_data(data, round(self.time.timestamp() * 1e9))
        self.session.data_to_send()

    def login(self) -> None:
        self.receive(accept_handshake(self.session.data_to_send()))
        self.receive(text(LOGIN_OK))
        assert self.session.state is SessionState.READY

    def subscribe(self, cls: type[Record], *items: str, fresh_within: float | None = 5) -> None:
        self.session.subscribe(cls, *items, fresh_within=fresh_within)
        self.session.data_to_send()
        self.receive(text(REG_OK))
        self.session.events()

    def row(self, item: str = "005930") -> None:
        self.receive(text(real(("0B", item, {"10": "1"}))))

    def phase(self, code: str, remaining: str = "000000") -> None:
        self.receive(text(real(("0s", "", {"215": code, "20": "000000", "214": remaining}))))

    def stale_until(self, time: str, date: datetime.date = MONDAY) -> list[tuple[str, str]]:
        """What becomes stale until then: the item, or the type, and the time of day."""
        end = self.clock.now + (moment(time, date) - self.time).total_seconds()
        found = []
        while (due := self.session.next_timeout()) is not None and due <= end:
            self.clock.now = max(due, self.clock.now)
            self.session.handle_timeout()
            self.session.data_to_send()
            time = (self.time + HALF).strftime("%a %H:%M:%S")
            stale = [event for event in self.session.events() if isinstance(event, Stale)]
            found += [(event.item or event.type, time) for event in stale]
        self.clock.now = end
        return found


HALF = datetime.timedelta(seconds=0.5)  # to round to whole seconds


def test_nothing_is_stale_at_night_and_the_time_starts_anew_at_the_opening() -> None:
    line = Line("17:00")
    line.subscribe(Trade, "005930")
    assert line.stale_until("09:00:14", TUESDAY) == []
    assert line.stale_until("08:00", datetime.date(2026, 7, 2)) == [
        ("005930", "Tue 09:00:15"),  # once a day, as silence goes on
        ("005930", "Wed 09:00:15"),
    ]


def test_weekends_and_midnights() -> None:
    line = Line("15:00", FRIDAY)
    line.subscribe(Trade, "005930")
    line.row()
    assert line.stale_until("15:10", FRIDAY) == [("005930", "Fri 15:00:05")]
    assert line.stale_until("09:00:20", NEXT_MONDAY) == [("005930", "Mon 09:00:15")]
    line.row()
    assert line.stale_until("09:00:24", NEXT_MONDAY) == []
    assert line.stale_until("09:01", NEXT_MONDAY) == [("005930", "Mon 09:00:25")]


def test_holidays() -> None:
    for hours in (MarketHours(special_days={TUESDAY: HOLIDAY}), MarketHours(calendar=lambda date: date != TUESDAY)):
        line = Line("17:00", hours=hours)
        line.subscribe(Trade, "005930")
        assert line.stale_until("10:00", datetime.date(2026, 7, 1)) == [("005930", "Wed 09:00:15")]


def test_a_row_just_before_the_close() -> None:
    line = Line("15:19")
    line.subscribe(Trade, "005930")
    for time in ("15:19:03", "15:19:07", "15:19:11"):
        assert line.stale_until(time) == []
        line.row()
    line.stale_until("15:19:57")
    line.row()
    assert line.stale_until("23:00") == []


def test_a_stock_that_trades_from_the_first_second_on() -> None:
    line = Line("08:59")
    line.subscribe(Trade, "005930", fresh_within=1)
    assert line.stale_until("09:00:09") == []
    line.row()
    assert line.stale_until("09:01") == [("005930", "Mon 09:00:11")]  # the first seconds are never held against it


def test_every_item_follows_its_own_market() -> None:
    line = Line("15:25")
    for item in ("005930", "005930_NX", "005930_AL"):
        line.subscribe(Trade, item)
    assert line.stale_until("07:00", TUESDAY) == [("005930_NX", "Mon 15:40:15"), ("005930_AL", "Mon 15:40:15")]


def test_the_account_has_no_hours() -> None:
    line = Line("03:00")
    line.subscribe(OrderExecution)
    assert line.stale_until("23:00") == [("00", "Mon 03:00:05")]


def test_hours_may_be_left_out() -> None:
    line = Line("03:00", hours=None)
    line.subscribe(Trade, "005930")
    assert line.stale_until("23:00") == [("005930", "Mon 03:00:05")]
    assert line.session.market.krx is MarketSession.CLOSED


def test_a_late_opening_that_0s_tells() -> None:
    line = Line("08:00")
    line.subscribe(Trade, "005930")
    line.subscribe(MarketPhase, fresh_within=None)
    line.stale_until("08:40")
    line.phase("0", "012000")
    assert line.stale_until("11:00") == [("005930", "Mon 10:00:15")]


def test_an_opening_that_no_calendar_knew_of() -> None:
    line = Line("09:30", hours=MarketHours(special_days={MONDAY: HOLIDAY}))
    line.subscribe(MarketPhase, fresh_within=None)
    line.subscribe(Trade, "005930")
    assert line.stale_until("10:00") == []
    line.phase("3")
    assert line.stale_until("10:01") == [("005930", "Mon 10:00:15")]


def test_a_market_that_0s_has_closed() -> None:
    line = Line("11:00")
    line.subscribe(MarketPhase, fresh_within=None)
    line.subscribe(Trade, "005930")
    line.row()
    line.phase("8")
    assert line.stale_until("15:19") == []


def test_many_phases_and_still_once() -> None:
    line = Line("08:59")
    line.subscribe(MarketPhase, fresh_within=None)
    line.subscribe(Trade, "005930")
    line.stale_until("09:00")
    line.phase("3")
    assert line.stale_until("09:01") == [("005930", "Mon 09:00:15")]
    for time, code in (("15:10", "2"), ("15:20", "T"), ("15:30", "4"), ("15:30:01", "8"), ("15:40", "a")):
        assert line.stale_until(time) == []
        line.phase(code)
    assert line.stale_until("09:00:20", TUESDAY) == [("005930", "Tue 09:00:15")]


def test_after_a_loss_what_0s_said_ends_with_the_table() -> None:
    line = Line("09:00")
    line.subscribe(MarketPhase, fresh_within=None)
    line.phase("3")
    line.stale_until("15:25")
    markets = [line.session.market.krx]
    line.session.receive_eof("reset")
    markets.append(line.session.market.krx)
    assert markets == [MarketSession.REGULAR, MarketSession.CLOSING_AUCTION]


def test_nobody_wants_0s_any_more() -> None:
    line = Line("09:00")
    line.subscribe(MarketPhase, fresh_within=None)
    line.phase("3")
    line.session.unsubscribe(MarketPhase)
    line.stale_until("15:25")
    assert line.session.market.krx is MarketSession.CLOSING_AUCTION


@pytest.mark.parametrize(
    ("time", "krx", "nxt"),
    [
        ("08:45", MarketSession.OPENING_AUCTION, MarketSession.PRE_MARKET),
        ("12:00", MarketSession.REGULAR, MarketSession.MAIN_MARKET),
        ("21:00", MarketSession.CLOSED, MarketSession.CLOSED),
    ],
)
def test_the_session_says_which_session_it_is(time: str, krx: MarketSession, nxt: MarketSession) -> None:
    line = Line("07:00")
    line.stale_until(time)
    assert line.session.market == MarketStatus(krx, nxt, moment(time))


def test_without_a_time_of_receipt_nothing_is_known() -> None:
    clock = ManualClock(500.0)
    session = Session(PRODUCTION, PATIENT, clock=clock, random=lambda: 0.5, random_bytes=CountingBytes())
    assert session.market == MarketStatus()
    session.connect(TOKEN)
    session.receive_data(accept_handshake(session.data_to_send()))
    session.receive_data(text(LOGIN_OK))
    session.subscribe(Trade, "005930", fresh_within=5)
    session.receive_data(text(REG_OK))
    assert session.market == MarketStatus()
    session.events()
    clock.now += 5
    session.handle_timeout()
    assert [type(event) for event in session.events()] == [Stale]

"""What the simulated market does: rows that could have come from the real one, the same ones for the same seed.

주식시간외호가 (0E): the quantity resting in after-hours trading. Every row states the totals and by how much each moved
since the row before, and the two always agree. Orders come, are cancelled and are filled; when a session ends what
still rests is cleared away.

Time is the exchange's: seconds since it was opened. The market has a time of day of its own, which begins where it is
told to and skips the hours in which there is no after-hours trading.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable

from ..messages import Row

__all__ = ("SESSIONS", "Market")

SESSIONS = (
    (datetime.time(8, 30), datetime.time(8, 40)),  # 장전 시간외 종가, before the opening, at the last closing price
    (datetime.time(15, 40), datetime.time(16, 0)),  # 장후 시간외 종가, after the closing, at the closing price
    (datetime.time(16, 0), datetime.time(18, 0)),  # 시간외 단일가, single-price auctions
)
"""After-hours sessions of the Korea Exchange (KST). Source: the exchange's published trading hours."""

TYPICAL_QUANTITY = 20_000
"""Around which a total moves, in shares."""

SETTLED_AFTER = 600
"""Seconds of a session after which as much rests as ever."""


def _seconds(time: datetime.time) -> int:
    return time.hour * 3600 + time.minute * 60 + time.second


_SPANS = [(_seconds(begin), _seconds(end)) for begin, end in SESSIONS]
_TRADING_SECONDS = sum(end - begin for begin, end in _SPANS)


def _trading_offset(time: datetime.time) -> int:
    """How many seconds of after-hours trading a day has before `time`."""
    at = _seconds(time)
    return sum(min(max(at - begin, 0), end - begin) for begin, end in _SPANS)


class Market:
    """Makes rows for the items it is asked for.

    Arguments:
        seed: the same seed gives the same rows.
        start: time of day (KST) at which the market begins; moved to the next session where there is none.
        rate: rows a second for each item, on average.
    """

    def __init__(self, *, seed: int = 0, start: datetime.time = datetime.time(16, 0), rate: float = 2.0) -> None:
        if rate <= 0:
            raise ValueError(f"rate: must be above 0, not {rate!r}")
        self._seed = seed
        self._offset = _trading_offset(start)
        self._rate = rate
        self._books: dict[str, _AfterHoursBook] = {}

    def session(self, now: float) -> tuple[int, datetime.time, int]:
        """Return the session that `now` is in: its number, counted from the first day; the time of day; and for how
        many seconds it has been going."""
        day, within = divmod(int(self._offset + now), _TRADING_SECONDS)
        number = 0
        while within >= _SPANS[number][1] - _SPANS[number][0]:
            within -= _SPANS[number][1] - _SPANS[number][0]
            number += 1
        minutes, second = divmod(_SPANS[number][0] + within, 60)
        hour, minute = divmod(minutes, 60)
        return day * len(_SPANS) + number, datetime.time(hour, minute, second), within

    def rows(self, since: float, now: float, wanted: Iterable[tuple[str, str]]) -> list[Row]:
        """Return what happened after `since` and up to `now`, oldest first, for the (type, item) pairs wanted.

        Types other than 0E have no rows.
        """
        due: list[tuple[float, Row]] = []
        for type, item in wanted:
            if type != "0E" or not item:
                continue
            book = self._books.get(item)
            if book is None:
                book = self._books[item] = _AfterHoursBook(self, item, now)
            due += [(at, row) for at, row in book.rows(now) if at > since]
        due.sort(key=lambda pair: pair[0])
        return [row for _, row in due]


class _AfterHoursBook:
    """The after-hours order book of one item, as far as 0E tells of it."""

    def __init__(self, market: Market, item: str, now: float) -> None:
        self._market = market
        self._item = item
        self._random = random.Random(f"{market._seed}/{item}")
        self._session, _, going_for = market.session(now)
        # What has come to rest before anybody looked.
        typical = TYPICAL_QUANTITY * min(1.0, going_for / SETTLED_AFTER)
        self._ask = int(typical * self._random.lognormvariate(0, 0.8))
        self._bid = int(typical * self._random.lognormvariate(0, 0.8))
        self._next_at = now + self._random.uniform(0.0, 1.0 / market._rate)

    def rows(self, now: float) -> list[tuple[float, Row]]:
        rows = []
        while self._next_at <= now:
            at = self._next_at
            session, time, _ = self._market.session(at)
            if session != self._session:
                self._session = session
                if self._ask or self._bid:
                    rows.append((at, self._move(time, -self._ask, -self._bid)))
            rows.append((at, self._next_row(time)))
            self._next_at = at + self._random.expovariate(self._market._rate)
        return rows

    def _next_row(self, time: datetime.time) -> Row:
        on_ask_side = self._random.random() < 0.5
        resting = self._ask if on_ask_side else self._bid
        size = max(1, round(self._random.expovariate(1 / 400)))
        # The more rests, the likelier it is that some of it goes.
        leaves = self._random.random() < resting / (resting + TYPICAL_QUANTITY)
        change = -min(size, resting) if leaves else size
        return self._move(time, change, 0) if on_ask_side else self._move(time, 0, change)

    def _move(self, time: datetime.time, ask_change: int, bid_change: int) -> Row:
        self._ask += ask_change
        self._bid += bid_change
        values = {
            "21": time.strftime("%H%M%S"),
            "131": str(self._ask),
            "132": _signed(ask_change),
            "135": str(self._bid),
            "136": _signed(bid_change),
        }
        return Row(values, "0E", "주식시간외호가", self._item)


def _signed(number: int) -> str:
    return f"{number:+d}" if number else "0"

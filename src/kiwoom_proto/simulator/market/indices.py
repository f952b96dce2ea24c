"""Rows that are not about a single stock: a sector's index (0J) and breadth (0U), and the price of gold (0I).

The index and the breadth of a sector share one state. The counts of rising, unchanged and falling stocks add up to the
number of stocks that traded, and follow the direction of the index.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

from ...wire.messages import Row
from .formats import change_code, hundredths, percent, price, signed
from .names import SECTORS
from .sessions import Moment
from .source import Push, Source

__all__ = ("Gold", "Sector")

OPENING = 32_400
SECONDS = 23_400
SHARES_PER_POINT = 120
SAMPLES = 30
"""Number of changes of an index that are remembered."""


class Sector(Source):
    """One sector (0J, 0U). Levels are in hundredths of a point, volume in thousands of shares."""

    def __init__(self, item: str, draw: random.Random, rate: float) -> None:
        super().__init__(draw, rate)
        self._item = item
        _, level, self._listed = SECTORS.get(item, ("", draw.randrange(30_000, 300_000), draw.randrange(20, 400)))
        self._level = level
        self._usual_volume = self._listed * 500
        self._previous_volume = self._volume = self._turnover = 0
        self._reference = self._open = self._high = self._low = 0
        self._day = -1
        self._unchanged = 7
        self.samples: deque[tuple[str, int, int, int]] = deque(maxlen=SAMPLES)
        """Time, level, quantity and volume of the latest changes, oldest first."""

    def prepare(self, moment: Moment) -> None:
        """Bring the state to the moment's day."""
        if moment.day != self._day:
            self._start_day(moment)

    def values(self, moment: Moment) -> tuple[dict[str, str], dict[str, str]]:
        """Return the values of 0J and 0U as they are now. Call `prepare` first."""
        quantity = self.samples[-1][2] if self.samples else 0
        return self._index(quantity, moment), self._counts(moment)

    def against_reference(self, level: int) -> tuple[str, str, str, str]:
        """Return an earlier level of the day, with the sign of its direction, 전일대비기호, change and rate."""
        reference = self._reference
        change = level - reference
        return self._points(level), change_code(level, reference), hundredths(change), percent(change, reference)

    @property
    def listed(self) -> int:
        """Number of listed stocks."""
        return self._listed

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Move the index a little. Returns the rows."""
        self.prepare(moment)
        draw = self.draw
        self._level = max(100, self._level + draw.randint(-1, 1) * max(1, self._reference // 8_000))
        quantity = draw.randint(1, 60)
        self._volume += quantity
        self._turnover += quantity * draw.randint(12, 24)
        if not self._open:
            self._open = self._high = self._low = self._level
        self._high, self._low = max(self._high, self._level), min(self._low, self._level)
        self.samples.append((moment.text, self._level, quantity, self._volume))
        pushes = []
        if "0J" in self.types:
            pushes.append(self._push("0J", "업종지수", self._index(quantity, moment)))
        if "0U" in self.types:
            pushes.append(self._push("0U", "업종등락", self._breadth(moment)))
        return pushes

    def _start_day(self, moment: Moment) -> None:
        self._previous_volume = self._usual_volume if self._day < 0 else self._volume
        elapsed = min(max(moment.second - OPENING, 0), SECONDS) if self._day < 0 else 0
        self._day = moment.day
        self._reference = self._level
        self.samples.clear()
        self._open = self._high = self._low = 0
        self._volume = self._usual_volume * elapsed // SECONDS
        self._turnover = self._volume * 18
        if elapsed:
            moved = self._reference * self.draw.randint(-80, 80) // 10_000
            self._open, self._level = self._reference + moved // 4, self._reference + moved
            self._high, self._low = max(self._open, self._level), min(self._open, self._level)

    def _push(self, type: str, name: str, values: dict[str, str]) -> Push:
        return Push((type, self._item), Row(values, type, name, self._item))

    def _points(self, level: int) -> str:
        sign = "+" if level > self._reference else "-" if level < self._reference else ""
        return sign + hundredths(level, plus=False)

    def _index(self, quantity: int, moment: Moment) -> dict[str, str]:
        level, reference = self._level, self._reference
        return {
            "20": moment.text,
            "10": self._points(level),
            "11": hundredths(level - reference),
            "12": percent(level - reference, reference),
            "15": str(quantity),
            "13": str(self._volume),
            "14": str(self._turnover),
            "16": self._points(self._open),
            "17": self._points(self._high),
            "18": self._points(self._low),
            "25": change_code(level, reference),
            "26": signed(self._volume - self._previous_volume),
        }

    def _breadth(self, moment: Moment) -> dict[str, str]:
        self._unchanged = self.draw.randint(5, 9)
        return self._counts(moment)

    def _counts(self, moment: Moment) -> dict[str, str]:
        level, reference, listed = self._level, self._reference, self._listed
        traded = min(listed, listed * 97 // 100 + 1)
        unchanged = traded * self._unchanged // 100
        lean = min(max((level - reference) * 2_000 // reference, -40), 40)  # percentage points
        rising = (traded - unchanged) * (50 + lean) // 100
        falling = traded - unchanged - rising
        return {
            "20": moment.text,
            "252": str(rising),
            "251": str(rising // 150),
            "253": str(unchanged),
            "255": str(falling),
            "254": str(falling // 300),
            "13": str(self._volume),
            "14": str(self._turnover),
            "10": self._points(level),
            "11": hundredths(level - reference),
            "12": percent(level - reference, reference),
            "256": str(traded),
            "257": percent(traded, listed).removeprefix("+"),
            "25": change_code(level, reference),
        }


class Gold(Source):
    """The price of gold in won (0I). The item is registered as MGD and sent as MGU, as in the official example."""

    PUSHED_AS = "MGU"

    def __init__(self, item: str, draw: random.Random, rate: float) -> None:
        super().__init__(draw, rate)
        self._item = item
        self._price = 339_450
        self._reference = self._price
        self._day = -1

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Move the price a little. Returns the row."""
        if moment.day != self._day:
            self._day = moment.day
            self._reference = self._price
        self._price += self.draw.randint(-60, 60)
        now, reference = self._price, self._reference
        values = {
            "10": price(now, reference),
            "25": change_code(now, reference),
            "11": signed(now - reference),
            "12": percent(now - reference, reference),
        }
        item = self.PUSHED_AS if self._item == "MGD" else self._item
        return [Push(("0I", self._item), Row(values, "0I", "국제금환산가격", item))]

"""RateLimits: how many requests an app key may send, counted as the live server does: per app key and api-id.

Measured: 5 per second on production, 1 per second on mock trading, for each api-id by itself. Whether the second
slides or starts anew is not known, so both are here.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

__all__ = ("RateLimits", "Window")

Window: TypeAlias = Literal["sliding", "fixed"]
"""Whether the second before each request counts, or the second of the clock that it is in."""
SECOND = 1.0
MAX_COUNTERS = 10_000
"""Number of counters above which those of the past are dropped."""


class RateLimits:
    """Counts requests.

    Args:
        limit: requests per second of a key and api-id.
        window: what a second is.

    Attributes:
        refused: number of requests that were refused.
    """

    def __init__(self, limit: int, window: Window) -> None:
        self.limit = limit
        self.window = window
        self.refused = 0
        self._times: dict[tuple[str, str], deque[float]] = {}

    def take(self, key: str, api_id: str, now: float) -> bool:
        """Count a request, unless it exceeds the limit. Returns whether it was counted."""
        if len(self._times) >= MAX_COUNTERS:
            self._times = {one: times for one, times in self._times.items() if now - times[-1] < SECOND}
        times = self._times.setdefault((key, api_id), deque(maxlen=self.limit))
        if len(times) == self.limit and self._is_same_second(times[0], now):
            self.refused += 1
            return False
        times.append(now)
        return True

    def _is_same_second(self, before: float, now: float) -> bool:
        return before // SECOND == now // SECOND if self.window == "fixed" else now - before < SECOND

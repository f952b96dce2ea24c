"""RateLimit: how fast messages may leave, and what a refusal with 105110 changes.

The server accepts about 5 messages a second and refuses the rest with 105110, not queued [measured]. Messages therefore
leave at least `request_interval` apart. A refused one is sent again after a pause, and the interval grows.

Times are arguments, in seconds on the connection's clock.
"""

from __future__ import annotations

__all__ = ("RateLimit",)

MIN_PAUSE, MAX_PAUSE = 1.0, 30.0
"""Seconds before a message refused with 105110 is sent again. The pause doubles with each refusal in a row."""
MEASURED_INTERVAL, MAX_INTERVAL, SLOWDOWN = 0.2, 2.0, 1.5
"""The interval that the server was measured to accept, and the limit, in seconds; the factor for each refusal."""


class RateLimit:
    """Says when the next message of one connection may leave.

    Args:
        interval: minimum interval between two messages, in seconds. It grows with refusals.
    """

    def __init__(self, interval: float) -> None:
        self.next_send_at = float("-inf")
        """When the next message may leave."""
        self._interval = interval
        self._pause = MIN_PAUSE

    def sent(self, now: float) -> None:
        """Note that a message has left."""
        self.next_send_at = now + self._interval

    def answered(self) -> None:
        """Note a reply other than 105110: refusals are no longer in a row."""
        self._pause = MIN_PAUSE

    def refused(self, now: float) -> None:
        """Note a refusal with 105110: pause, and slow down."""
        self.next_send_at = now + self._pause
        self._pause = min(self._pause * 2, MAX_PAUSE)
        slower = max(self._interval, MEASURED_INTERVAL) * SLOWDOWN
        self._interval = max(self._interval, min(slower, MAX_INTERVAL))

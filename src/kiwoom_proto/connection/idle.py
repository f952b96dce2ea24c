"""IdleTimer: when silence is a reason to ask for a sign of life, and when to end the connection.

"[The PING] comes when the server has heard nothing from the client for 10.0 s, RFC 6455 pings included" [measured], so
under a client that sends more often the server may be silent and well. Therefore anything received counts as life, and
a ping of RFC 6455 asks for it after each third of `idle_timeout` but the last. A missing pong means nothing by itself.

Silence is not the server's while nobody reads: if the deadline is handled late, what has come may still wait to be
read, so the last third begins anew.
"""

from __future__ import annotations

__all__ = ("IdleTimer",)

THIRDS = 3
"""Into how many parts pings divide the timeout."""


class IdleTimer:
    """The idle timer of one connection.

    Args:
        timeout: seconds of silence that end the connection.
        sends_pings: whether pings can be sent.

    Attributes:
        heard_at: when something was last received, in seconds on the connection's clock.
    """

    __slots__ = ("_pinged", "_sends_pings", "_timeout", "heard_at")

    def __init__(self, timeout: float, *, sends_pings: bool) -> None:
        self.heard_at = 0.0
        self._timeout = timeout
        self._sends_pings = sends_pings
        self._pinged = (0.0, 0)  # the silence, by when it began, and how many pings it was given

    def next_timeout(self) -> float:
        """Return when `handle_timeout` has something to do, if nothing is received."""
        return self.heard_at + self._timeout * self._next_third() / THIRDS

    def handle_timeout(self, now: float) -> bool:
        """Handle that a third of a silence is over.

        Returns:
            Whether to send a ping. False: the last third is over, and the connection has timed out.
        """
        third = self._timeout / THIRDS
        late = now - self.next_timeout()
        thirds = self._next_third() + int(late / third)
        if thirds >= THIRDS:
            if late < third / 2:
                return False
            self.heard_at, thirds = now - self._timeout + third, THIRDS - 1  # nobody was reading
        self._pinged = self.heard_at, thirds
        return True

    def _next_third(self) -> int:
        """Return which third of the present silence ends next."""
        heard_at, pings = self._pinged
        return (pings + 1 if heard_at == self.heard_at else 1) if self._sends_pings else THIRDS

"""Recovery: what to do when a connection has ended, or could not be made.

* Network faults, silence, and whatever the server closes for: try again after a random time, at most `backoff_min`
  seconds at first and twice as many after each failure, never more than `backoff_max` ("full jitter"). The count starts
  over once a connection has held for `backoff_max`: a server that accepts and drops at once is not flooded either.
* HTTP 429, and an answer that says how long to wait (Retry-After): the random time comes on top of that, or of a second
  where a 429 does not say. Both together are not more than `backoff_max` either: no server sends us away for a day.
* A LOGIN refused for its token: get another one, once. Tokens are not asked for otherwise (429 was measured).
* Wrong credentials, the wrong environment, a token that cannot be renewed: stop.
* The same app key elsewhere (R10001): by policy. Two clients that both reconnect throw each other out for ever, so the
  default is to stop, and the other policies have a limit.
* The first login: as above, for `connect_timeout` from `connect` on; then stop, for somebody is there to see it. No
  random wait takes more than a sixth of that time, so that a server that comes back in it is found in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from ..codes import TAKEN_OVER, Remedy
from ..config import ClientConfig
from ..errors import (
    DeadlineExceeded,
    HandshakeError,
    KiwoomError,
    LocalProtocolError,
    LoginRefused,
    TakenOver,
    TokenRefused,
)
from ..events import Closed

__all__ = ("Recovery", "Renew", "Retry", "Stop", "Verdict")

CALM = 3600.0
"""Seconds without one after which takeovers no longer count as in a row."""
TOO_MANY_REQUESTS = 429
PAUSE = 1.0
"""Seconds that a 429 lasts, where it does not say: a third request within one second was measured to get it."""
FIRST_SHARE = 1 / 6
"""The part of `connect_timeout` that one random wait takes at most."""


@attrs.frozen
class Retry:
    """Try again after so many seconds."""

    delay: float


@attrs.frozen
class Renew:
    """Get another token, and try again at once."""


@attrs.frozen
class Stop:
    """Give up, for this reason."""

    error: KiwoomError


Verdict: TypeAlias = Retry | Renew | Stop


class Recovery:
    """Decides, for one session.

    Arguments:
        config: policies and limits.
        random: gives numbers from 0 to below 1.
    """

    def __init__(self, config: ClientConfig, random: Callable[[], float]) -> None:
        self.attempt = 0
        """Attempts since the session was last logged in."""
        self.give_up_at: float | None = None
        """When the first login is given up, on the session's clock; None: not begun, or done."""
        self._last: KiwoomError | None = None  # why the last attempt at the first login failed
        self._config = config
        self._random = random
        self._failures = 0  # since a connection was stable
        self._takeovers = 0
        self._ready_at: float | None = None  # of the present connection
        self._renewed = False

    def begin(self, now: float) -> None:
        """The time for the first login runs from now on, in seconds on the session's clock."""
        self.give_up_at = now + self._config.connect_timeout

    def out_of_time(self, now: float) -> DeadlineExceeded | None:
        """Why to give up the first login in the middle of an attempt; None: go on."""
        if self.give_up_at is None or now < self.give_up_at:
            return None
        return DeadlineExceeded("connect", self._config.connect_timeout, self._last)

    def attempting(self) -> None:
        """A new attempt begins."""
        self.attempt += 1

    def logged_in(self, now: float) -> None:
        """The attempt has succeeded."""
        self.attempt = 0
        self.give_up_at = self._last = None
        self._ready_at = now
        self._renewed = False

    def closed(self, closed: Closed, now: float, renewable: bool) -> Verdict:
        """What to do after a connection has ended without being asked to.

        Arguments:
            closed: how.
            now: seconds on the session's clock.
            renewable: whether another token can be had.
        """
        held = 0.0 if self._ready_at is None else now - self._ready_at
        self._ready_at = None
        if held >= self._config.backoff_max:
            self._failures = 0
        if held >= max(CALM, 2 * self._config.takeover_wait):
            self._takeovers = 0
        if closed.system is not None and closed.system.code == TAKEN_OVER:
            return self._taken_over(now)
        error = closed.error
        assert error is not None  # it was not asked for
        if isinstance(error, LoginRefused):
            return self._login_refused(error, now, renewable)
        return self._retry(error, now)

    def no_token(self, error: KiwoomError, now: float) -> Verdict:
        """What to do when no token could be had. Arguments as `closed`."""
        if isinstance(error, LocalProtocolError):
            return Stop(error)  # what came cannot be a token
        if isinstance(error, TokenRefused) and error.remedy is Remedy.STOP:
            return Stop(error)
        return self._retry(error, now)

    def _retry(self, error: KiwoomError, now: float) -> Verdict:
        config = self._config
        if not config.reconnect or (isinstance(error, DeadlineExceeded) and error.phase == "connect"):
            return Stop(error)
        # The exponent is bounded because a float is; by then the delay has been at its limit for hours.
        limit = min(config.backoff_max, config.backoff_min * 2.0 ** min(self._failures, 64))
        self._failures += 1
        if self.give_up_at is None:
            return Retry(self._delay(error, limit))
        self._last = error
        delay = self._delay(error, min(limit, config.connect_timeout * FIRST_SHARE))
        if now + delay >= self.give_up_at:
            return Stop(DeadlineExceeded("connect", config.connect_timeout, error))
        return Retry(delay)

    def _delay(self, error: KiwoomError, limit: float) -> float:
        """A random time below the limit, on top of what the server asked for."""
        least = 0.0
        if isinstance(error, TokenRefused | HandshakeError):
            least = error.retry_after or 0.0
            if error.status == TOO_MANY_REQUESTS:
                least = max(least, PAUSE)
        return min(least + self._random() * limit, self._config.backoff_max)

    def _login_refused(self, error: LoginRefused, now: float, renewable: bool) -> Verdict:
        remedy = error.remedy or Remedy.RENEW  # one source saw a code without a reason
        if remedy is Remedy.RETRY:
            return self._retry(error, now)
        if remedy is Remedy.STOP or self._renewed or not renewable:
            return Stop(error)
        self._renewed = True
        self._last = error
        return Renew()

    def _taken_over(self, now: float) -> Verdict:
        self._takeovers += 1
        error = TakenOver(self._takeovers)
        if self._config.takeover == "stop" or self._takeovers > self._config.takeover_limit:
            return Stop(error)
        if self._config.takeover == "wait" and self._config.reconnect:
            return Retry(self._config.takeover_wait)
        return self._retry(error, now)

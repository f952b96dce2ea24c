"""Recovery: what to do when a connection has ended or could not be made.

* Network faults, silence, and any reason for which the server closes: try again after a random delay ("full jitter").
  It is at most `backoff_min` seconds at first, doubles with each failure, and never exceeds `backoff_max`. The count
  starts over once a connection has stayed logged in for `backoff_max`, so a server that accepts and then drops at
  once is not flooded either.
* HTTP 429, and an answer that says how long to wait (Retry-After): the random delay is added to that time, or to
  `MIN_DELAY_AFTER_429` if a 429 does not say. The sum never exceeds `backoff_max`: no server keeps a session away for
  a day.
* The same app key logs in elsewhere (R10001): as `takeover` says. Two clients that both reconnect disconnect each
  other for ever, so the default is to stop, and the other policies have a limit.
* The first login: as above, for `connect_timeout` seconds from `connect` on; then stop, because somebody is there to
  see it. No random delay exceeds a sixth of that time, so a server that comes back within it is found within it.

* A token that could not be obtained: as for connections; refusals whose remedy is STOP (codes.py) stop the session.
  Whether a token is renewed after a refused LOGIN is decided in token_renewal.py.
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
from ..secrets import Secret
from .token_renewal import TokenRenewal

__all__ = ("Recovery", "Renew", "Retry", "Stop", "Verdict")

TAKEOVER_RESET_AFTER = 3600.0
"""Seconds that a connection must stay logged in for the takeovers before it to no longer count as in a row."""
TOO_MANY_REQUESTS = 429
MIN_DELAY_AFTER_429 = 1.0
"""Seconds to wait after a 429 that names no time: the third request within one second was measured to get it."""
MAX_DELAY_SHARE = 1 / 6
"""The largest share of `connect_timeout` that one random delay takes."""
MAX_DOUBLINGS = 64
"""Number of failures after which the delay is no longer doubled, as a float would overflow."""


@attrs.frozen
class Retry:
    """Try again after `delay` seconds."""

    delay: float


@attrs.frozen
class Renew:
    """Get another token, and try again at once."""


@attrs.frozen
class Stop:
    """Give up, because of `error`."""

    error: KiwoomError


Verdict: TypeAlias = Retry | Renew | Stop


class Recovery:
    """Decides for one session.

    Times are seconds on the session's clock.

    Args:
        config: policies and limits.
        random: returns numbers from 0 to below 1.
    """

    def __init__(self, config: ClientConfig, random: Callable[[], float]) -> None:
        self.attempt = 0
        """Number of attempts since the session was last logged in."""
        self.give_up_at: float | None = None
        """When to give up the first login; None before `start` and once it has succeeded."""
        self.tokens = TokenRenewal()
        self._config = config
        self._random = random
        self._last: KiwoomError | None = None  # why the last attempt at the first login failed
        self._failures = 0  # since a connection was stable
        self._takeovers = 0
        self._ready_at: float | None = None  # of the present connection

    def start(
        self, now: float, token: Secret | None = None, *, can_renew: bool = True, keeps_token: bool = True
    ) -> None:
        """Start the time for the first login.

        Args:
            now: the present time.
            token: see `TokenRenewal.start`, as for the two others.
            can_renew: see there.
            keeps_token: see there.
        """
        self.give_up_at = now + self._config.connect_timeout
        self.tokens.start(token, can_renew=can_renew, keeps_token=keeps_token)

    def check_deadline(self, now: float) -> DeadlineExceeded | None:
        """Return why to give up the first login in the middle of an attempt; None: go on."""
        if self.give_up_at is None or now < self.give_up_at:
            return None
        return DeadlineExceeded("connect", self._config.connect_timeout, self._last)

    def attempt_started(self) -> None:
        """Count an attempt."""
        self.attempt += 1

    def logged_in(self, now: float) -> None:
        """Note that the attempt has succeeded."""
        self.attempt = 0
        self.give_up_at = self._last = None
        self._ready_at = now
        self.tokens.logged_in()

    def connection_lost(self, closed: Closed, now: float) -> Verdict:
        """Decide what to do after a connection has ended although nobody asked for it.

        Args:
            closed: how it ended.
            now: the present time.
        """
        token = self.tokens.connection_lost()
        held = 0.0 if self._ready_at is None else now - self._ready_at
        self._ready_at = None
        if held >= self._config.backoff_max:
            self._failures = 0
        if held >= max(TAKEOVER_RESET_AFTER, 2 * self._config.takeover_wait):
            self._takeovers = 0
        if closed.system is not None and closed.system.code == TAKEN_OVER:
            return self._taken_over(now)
        error = closed.error
        assert error is not None  # nobody asked for it
        if isinstance(error, LoginRefused):
            return self._login_refused(error, token, now)
        return self._retry(error, now)

    def token_failed(self, error: KiwoomError, now: float) -> Retry | Stop:
        """Decide what to do when no token could be obtained.

        Args:
            error: why.
            now: the present time.
        """
        if isinstance(error, LocalProtocolError):
            return Stop(error)  # what the driver returned cannot be a token
        if isinstance(error, TokenRefused) and error.remedy is Remedy.STOP:
            return Stop(error)
        return self._retry(error, now)

    def _retry(self, error: KiwoomError, now: float) -> Retry | Stop:
        config = self._config
        if not config.reconnect or (isinstance(error, DeadlineExceeded) and error.phase == "connect"):
            return Stop(error)
        max_delay = min(config.backoff_max, config.backoff_min * 2.0 ** min(self._failures, MAX_DOUBLINGS))
        self._failures += 1
        if self.give_up_at is None:
            return Retry(self._delay(error, max_delay))
        self._last = error
        delay = self._delay(error, min(max_delay, config.connect_timeout * MAX_DELAY_SHARE))
        if now + delay >= self.give_up_at:
            return Stop(DeadlineExceeded("connect", config.connect_timeout, error))
        return Retry(delay)

    def _delay(self, error: KiwoomError, max_delay: float) -> float:
        """Return a random delay below `max_delay`, plus the time that the server asks for."""
        asked_for = 0.0
        if isinstance(error, TokenRefused | HandshakeError):
            asked_for = error.retry_after or 0.0
            if error.status == TOO_MANY_REQUESTS:
                asked_for = max(asked_for, MIN_DELAY_AFTER_429)
        return min(asked_for + self._random() * max_delay, self._config.backoff_max)

    def _login_refused(self, error: LoginRefused, token: Secret | None, now: float) -> Verdict:
        remedy = error.remedy or Remedy.RENEW  # one source saw a code without a reason
        if remedy is Remedy.RETRY:
            return self._retry(error, now)
        if remedy is Remedy.STOP or not self.tokens.renew(token):
            return Stop(error)
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

"""Recovery: what to do when a connection has ended, or could not be made.

* Network faults, silence, and whatever the server closes for: try again after a random time, at most `backoff_min`
  seconds at first and twice as many after each failure, never more than `backoff_max` ("full jitter"). The count starts
  over once a connection has held for `backoff_max`: a server that accepts and drops at once is not flooded either.
* A LOGIN refused for its token: get another one, once. Tokens are not asked for otherwise (429 was measured).
* Wrong credentials, the wrong environment, a token that cannot be renewed: stop.
* The same app key elsewhere (R10001): by policy. Two clients that both reconnect throw each other out for ever, so the
  default is to stop, and the other policies have a limit.
* The first login: stop after `connect_attempts`. Somebody is there to see it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from .config import ClientConfig
from .errors import TAKEN_OVER, KiwoomError, LocalProtocolError, LoginRefused, TakenOver, TokenRefused
from .events import Closed

__all__ = ("Recovery", "Renew", "Retry", "Stop", "Verdict")

CALM = 3600.0
"""Seconds without one after which takeovers no longer count as in a row."""


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
        self._config = config
        self._random = random
        self._failures = 0  # since a connection was stable
        self._takeovers = 0
        self._was_ready = False
        self._ready_at: float | None = None  # of the present connection
        self._renewed = False

    def attempting(self) -> None:
        """A new attempt begins."""
        self.attempt += 1

    def logged_in(self, now: float) -> None:
        """The attempt has succeeded."""
        self.attempt = 0
        self._was_ready = True
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
            return self._taken_over()
        error = closed.error
        assert error is not None  # it was not asked for
        if isinstance(error, LoginRefused):
            return self._login_refused(error, renewable)
        return self._retry(error)

    def no_token(self, error: KiwoomError) -> Verdict:
        """What to do when no token could be had."""
        if isinstance(error, LocalProtocolError):
            return Stop(error)  # what came cannot be a token
        if isinstance(error, TokenRefused) and error.remedy == "stop":
            return Stop(error)
        return self._retry(error)

    def _retry(self, error: KiwoomError) -> Verdict:
        if not self._config.reconnect:
            return Stop(error)
        if not self._was_ready and self.attempt >= self._config.connect_attempts:
            return Stop(error)
        # The exponent is bounded because a float is; by then the delay has been at its limit for hours.
        limit = min(self._config.backoff_max, self._config.backoff_min * 2.0 ** min(self._failures, 64))
        self._failures += 1
        return Retry(self._random() * limit)

    def _login_refused(self, error: LoginRefused, renewable: bool) -> Verdict:
        remedy = error.remedy or "renew"  # one source saw a code without a reason
        if remedy == "retry":
            return self._retry(error)
        if remedy == "stop" or self._renewed or not renewable:
            return Stop(error)
        self._renewed = True
        return Renew()

    def _taken_over(self) -> Verdict:
        self._takeovers += 1
        error = TakenOver(self._takeovers)
        if self._config.takeover == "stop" or self._takeovers > self._config.takeover_limit:
            return Stop(error)
        if self._config.takeover == "wait" and self._config.reconnect:
            return Retry(self._config.takeover_wait)
        return self._retry(error)

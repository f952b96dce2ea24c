"""Authorization: the token that calls carry, and when another is asked for.

* A token is used until it expires (`AppKey` knows when) or until the server refuses it.
* A query that is refused because of its token is sent again with another one, once; an order never. However many calls
  were refused with one token, another is asked for once, when the next call may leave.
* A token of the other environment (8031) is not renewed: the endpoint is wrong, or the key.
* If the new one is refused before it was ever accepted, no other is asked for during `STOPPED` seconds, and every call
  fails: wrong keys are not put right by asking again, and asking too often is refused with HTTP 429 [measured].
* If no token can be obtained, it is tried again after a pause that doubles. After `tries` failures in a row, or one
  that no waiting changes, the calls that wait fail.
* A token that was given as such cannot be renewed.
"""

from __future__ import annotations

from ..auth import AppKey, TokenNeeded
from ..codes import Remedy
from ..config import RestConfig
from ..endpoint import Endpoint
from ..errors import CertificateRefused, DeadlineExceeded, KiwoomError, TokenError, TokenRefused, TransportError
from ..secrets import Secret, conceal
from ..wire.messages import check_token
from .errors import RestError, TokenRejected, was_not_processed

__all__ = ("Authorization", "asks_for_renewal")

STOPPED = 60.0
"""Seconds without a request for a token after a new token was refused."""
PAUSE, MAX_PAUSE = 1.0, 60.0
"""Seconds before a token is asked for again that could not be obtained. They double."""


def asks_for_renewal(error: KiwoomError) -> bool:
    """Return whether this refusal may be put right by another token."""
    if isinstance(error, TokenRejected) and error.remedy is None:
        return (error.status or 200) < 500  # nobody knows the reason, but it is about the token
    return isinstance(error, RestError) and was_not_processed(error) and error.remedy is Remedy.RENEW


class Authorization:
    """Holds the token of one dispatcher.

    Args:
        endpoint: where the token is used.
        token: the keys, or a token; None: the driver gets tokens.
        config: how patient to be.

    Attributes:
        needs: what the driver must get; None: nothing.
        error: why there will be no token for a while; None if there may be one.

    Raises:
        LocalProtocolError: the token cannot be one.
    """

    def __init__(self, endpoint: Endpoint, token: AppKey | Secret | None, config: RestConfig) -> None:
        self._endpoint = endpoint
        self._config = config
        self._key = token if isinstance(token, AppKey) else None
        self._fixed = token if isinstance(token, Secret) else None
        if self._fixed is not None:
            check_token(self._fixed)
        self.needs: TokenNeeded | None = None
        self.error: KiwoomError | None = None
        self._token = self._fixed
        self._last: Secret | None = None  # that a call was given
        self._refused: Secret | None = None
        self._is_unproven = False
        self._failures = 0
        self._deadline = float("-inf")  # of `needs`
        self._not_before = float("-inf")

    def token(self, wall_time: float) -> Secret | None:
        """Return the token to send, or None if one must be obtained.

        Args:
            wall_time: seconds since the epoch.
        """
        token = None if self._key is None else self._key.cached(self._endpoint, wall_time)
        if token is None:
            token = self._token
        else:
            self._token = None  # the driver has stored it
        if token is not None:
            self._last = token
        return token

    def ask(self, now: float) -> None:
        """Ask the driver for a token, unless it was asked or a pause is on."""
        if self.needs is None and now >= self._not_before:
            self.needs = TokenNeeded(self._refused)
            self._deadline = now + self._config.token_timeout

    def receive(self, token: str | Secret) -> None:
        """Receive the token that was needed. Ignored if none is.

        Raises:
            LocalProtocolError: it cannot be one.
        """
        token = conceal(token)
        if self.needs is None:
            return
        check_token(token)
        self.needs = None
        self._token = token
        self._failures = 0
        self._is_unproven = self._refused is not None

    def failed(self, error: KiwoomError, now: float) -> bool:
        """Note that no token could be obtained. Returns whether the calls that wait must fail."""
        if self.needs is None:
            return False
        self.needs = None
        self._failures += 1
        wait = getattr(error, "retry_after", None) or 0.0
        self._not_before = now + min(MAX_PAUSE, max(wait, PAUSE * 2 ** min(self._failures - 1, 10)))
        if self._failures < self._config.tries and _may_pass(error):
            return False
        self._failures = min(self._failures, self._config.tries)
        return True

    def refused(self, token: Secret, error: KiwoomError, now: float) -> bool:
        """Note that the server refused a token. Returns whether the call may be sent again, with another one."""
        if self._fixed is not None:
            return False
        if self._key is not None:
            self._key.forget(self._endpoint, token)
        if token != self._last or (token == self._refused and not self._is_unproven):
            return True  # another one has been, or is being, obtained
        if self._token == token:
            self._token = None
        self._refused = token
        if self._is_unproven:
            self._is_unproven = False
            self._not_before = now + STOPPED
            self.error = error
            return False
        return True

    def accepted(self, token: Secret) -> None:
        """Note that the server accepted a call with a token."""
        if token == self._last and (self._is_unproven or token != self._refused):
            self._is_unproven = False
            self._refused = None

    def next_timeout(self) -> float | None:
        """Return when a token is overdue, or may be asked for again; None if nothing waits for that."""
        if self.needs is not None:
            return self._deadline
        return None if self._not_before == float("-inf") else self._not_before

    def handle_timeout(self, now: float) -> KiwoomError | None:
        """Do what is due. Returns why the calls that wait must fail; None if they need not."""
        if self.needs is not None and now >= self._deadline:
            error = DeadlineExceeded("token", self._config.token_timeout)
            return error if self.failed(error, now) else None
        if now >= self._not_before:
            self._not_before = float("-inf")
            self.error = None
        return None

    def end(self) -> None:
        """Forget the token: the dispatcher is closed."""
        self.needs = None
        self._token = self._last = self._refused = self._fixed = None


def _may_pass(error: KiwoomError) -> bool:
    """Return whether waiting may help."""
    if isinstance(error, TokenRefused | CertificateRefused):
        return error.remedy is not Remedy.STOP
    return isinstance(error, TokenError | TransportError | DeadlineExceeded)

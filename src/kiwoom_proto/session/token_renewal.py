"""TokenRenewal: the token of a session, and who decides that it is renewed.

A token is needed to log in, and only a refused LOGIN shows that it is no longer good. Asking for one at every reconnect
gets HTTP 429 [measured]. Therefore

* a token is used for every connection until a LOGIN refuses it. (If the driver keeps tokens itself, it is asked before
  each attempt instead: for an `AppKey`, auth.py replaces a token ten minutes before it expires.)
* a LOGIN refused with a code whose remedy is RENEW (codes.py), or without a known code: get another token and try again
  at once, if the driver can get one. It is told which token was refused, so that it does not return the same one.
* a second refusal in a row stops the session. So does a token that cannot be renewed, and whatever no waiting changes:
  wrong keys, keys of the other environment, an IP address that is not on the allow-list.
"""

from __future__ import annotations

from ..secrets import Secret

__all__ = ("TokenRenewal",)


class TokenRenewal:
    """Holds the token of one session.

    Attributes:
        token: the token to log in with; None: the driver must get one.
        refused_token: the token that the last LOGIN refused; None since a LOGIN was accepted.
    """

    def __init__(self) -> None:
        self.token: Secret | None = None
        self.refused_token: Secret | None = None
        self._can_renew = True
        self._keeps_token = True
        self._has_renewed = False  # since the last login

    def start(self, token: Secret | None, *, can_renew: bool, keeps_token: bool) -> None:
        """Begin with a token, if there is one.

        Args:
            token: the token to log in with; None: the driver must get one.
            can_renew: whether the driver can get another token once this one is refused.
            keeps_token: whether a token is used until it is refused; False: the driver keeps it, and is asked before
                each attempt.
        """
        self.token = token
        self._can_renew = can_renew
        self._keeps_token = keeps_token

    def logged_in(self) -> None:
        """Note that a LOGIN was accepted."""
        self.refused_token = None
        self._has_renewed = False

    def connection_lost(self) -> Secret | None:
        """Return the token of the connection that has ended. Forget it if the driver keeps tokens."""
        token = self.token
        if not self._keeps_token:
            self.token = None
        return token

    def renew(self, token: Secret | None) -> bool:
        """Decide whether to get another token after a LOGIN refused this one."""
        if self._has_renewed or not self._can_renew:
            return False
        self._has_renewed = True
        self.refused_token, self.token = token, None
        return True

    def end(self) -> None:
        """Forget the tokens: the session is over."""
        self.token = self.refused_token = None

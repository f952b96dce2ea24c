"""Registrations: ties what is wanted to the server's answers, and its refusals to the calls.

subscriptions.py knows what is wanted and what the server has confirmed, and plans the messages; pending.py has the
calls that wait. Here is what is between them:

* One planned message at a time is in flight. Its answer changes the subscriptions, and then answers the calls.
* A refused message of several subscriptions is split in two, until the one that is wrong is alone. One that is
  refused for the quota (quota.py), or not acknowledged time after time (suspects.py), is not.
* A refusal of what no waiting call asked for (it was registered on an earlier connection) is reported on its own.

The interface is that of searches.py: `subscribe`, `unsubscribe`, `request` and `withdraw` take a call, `send` asks the
connection, `handle_answer` and `blame` take what came of it, `pop_answers` returns the answers to the calls.
"""

from __future__ import annotations

from typing import Protocol

from ..config import ClientConfig
from ..endpoint import Endpoint
from ..events import RequestAccepted, RequestRefusal
from ..realtime.catalogue import Types
from ..request import Request
from ..wire.messages import Reg, Remove
from .pending import PendingCalls
from .quota import QUOTA_CODES
from .subscriptions import UNACKNOWLEDGED, Subscriptions

__all__ = ("Registrar", "Registrations")


class Registrar(Protocol):
    """What registrations are asked of: a connection."""

    def request(self, message: Reg | Remove) -> Request: ...


class Registrations(PendingCalls):
    """The calls of one session for registrations, over all its connections, and the message in flight.

    Args:
        endpoint: where the session connects; what it does not serve is refused.
        types: the record classes by type code.
        config: the number of items in one request.
        subscriptions: what is wanted and confirmed.
    """

    def __init__(self, endpoint: Endpoint, types: Types, config: ClientConfig, subscriptions: Subscriptions) -> None:
        super().__init__(endpoint, types, config, subscriptions)
        self._subscriptions = subscriptions
        self._in_flight: Request | None = None  # the planned message that waits for its answer

    @property
    def is_urgent(self) -> bool:
        """Whether registrations of the account wait: they go before condition searches, all others after them."""
        return self._subscriptions.is_urgent

    def send(self, connection: Registrar, now: float) -> None:
        """Send the next message over a connection that is logged in, unless one is in flight.

        Args:
            connection: the connection.
            now: seconds on the session's clock.
        """
        self._subscriptions.retry_refused(now)
        message = self._subscriptions.plan() if self._in_flight is None else None
        if message is not None:
            self._in_flight = connection.request(message)

    def handle_answer(self, answer: RequestAccepted | RequestRefusal) -> RequestAccepted | RequestRefusal | None:
        """Take the server's answer to the message in flight.

        Returns:
            The answer if it must be reported as it is, because no waiting call is told all of it; else None.
        """
        if answer.request is not self._in_flight:
            return None
        self._in_flight = None
        if isinstance(answer, RequestAccepted):
            had_been_refused = self._subscriptions.accept()
            return answer if had_been_refused else None
        if answer.code in QUOTA_CODES:
            self._subscriptions.quota.learn(answer.code, answer.message)
        elif self._subscriptions.split():
            return None  # one wrong item must not take the others with it: find out which it is
        self._subscriptions.refuse(answer.reason)
        return answer if self.refuse_calls(answer) else None

    def blame(self, request: Request, now: float, *, certain: bool) -> None:
        """Note that the connection was lost because of this request, if it is the one in flight.

        Args:
            request: the request, of the connection.
            now: seconds on the session's clock.
            certain: whether the server has blamed it.
        """
        if request is self._in_flight and self._subscriptions.blame(now, certain):
            refusal = RequestRefusal(request, "", UNACKNOWLEDGED)
            if self.refuse_calls(refusal):
                self._answers.append(refusal)

    def connection_lost(self) -> None:
        """Forget what the lost connection was asked; whatever is wanted is registered again on the next."""
        self._subscriptions.connection_lost()
        self._in_flight = None
        self.answer_calls()

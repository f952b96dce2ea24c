"""Registrations: ties the calls of `subscribe` and `unsubscribe` to what is wanted and to the server's answers.

subscriptions.py knows what is wanted and what the server has confirmed, and plans the messages. It knows no calls.
Here is the rest:

* One planned message at a time is in flight. Its answer changes the subscriptions, and then answers the calls.
* A call is answered once: accepted when everything that it names is settled, whichever messages and connections that
  took; refused as a whole as soon as a message with some of it is refused. One whose connection was lost goes on
  waiting, for the next connection.
* A refused message of several subscriptions is split in two, until the one that is wrong is alone. One that is
  refused for the quota (quota.py), or not acknowledged time after time (suspects.py), is not.
* A refusal of what no waiting call asked for (it was registered on an earlier connection) is reported on its own.
* What a call of `subscribe` claims is given up once: by `unsubscribe`, by a refusal, or by `withdraw`. A call counts
  as one consumer of everything that it names until then, answered or not.

The interface is that of searches.py: `subscribe`, `unsubscribe`, `request` and `withdraw` take a call, `send` asks the
connection, `handle_answer` and `blame` take what came of it, `pop_answers` returns the answers to the calls.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ..config import ClientConfig
from ..connection.client import ClientConnection
from ..endpoint import Endpoint
from ..errors import LocalProtocolError
from ..events import RequestAccepted, RequestRefusal
from ..realtime.catalogue import Types
from ..realtime.record import Record
from ..request import Request, RequestKind
from ..symbol import Symbol
from ..wire.messages import Reg, Remove, ticket_for
from ..wire.registration import checked, registration, removal
from .quota import QUOTA_CODES
from .subscriptions import UNACKNOWLEDGED, Claims, Subscriptions

__all__ = ("Registrations",)

REPLACED = "replaced by another call before it was registered"


class Registrations:
    """The calls of one session for registrations, over all its connections.

    Args:
        endpoint: where the session connects; what it does not serve is refused.
        types: the record classes by type code.
        config: the number of items in one request.
        subscriptions: what is wanted and confirmed.
    """

    def __init__(self, endpoint: Endpoint, types: Types, config: ClientConfig, subscriptions: Subscriptions) -> None:
        self._endpoint = endpoint
        self._types = types
        self._items_per_request = config.items_per_request
        self._subscriptions = subscriptions
        self._in_flight: Request | None = None  # the planned message that waits for its answer
        self._registering: list[Request] = []
        self._removing: list[Request] = []
        self._claims: WeakKeyDictionary[Request, Claims] = WeakKeyDictionary()  # of calls that may be withdrawn
        self._answers: list[RequestAccepted | RequestRefusal] = []

    # The calls. Args and errors are those of the methods of `Session` with the same names.

    def subscribe(
        self,
        type: str | type[Record],
        items: tuple[str | Symbol, ...],
        group: str,
        replace: bool,
        fresh_within: float | None,
    ) -> Request:
        """Take a call that wants items for a type."""
        messages = registration(self._endpoint, self._types, self._items_per_request, type, items, group)
        if fresh_within is not None and not (isinstance(fresh_within, int | float) and fresh_within > 0):
            raise LocalProtocolError(f"fresh_within: must be a number of seconds above 0, not {fresh_within!r}")
        return self._register(messages, replace, fresh_within)

    def unsubscribe(self, type: str | type[Record], items: tuple[str | Symbol, ...], group: str) -> Request:
        """Take a call that no longer wants items for a type."""
        return self._remove(removal(self._endpoint, self._types, self._items_per_request, type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Take a call that wants, or no longer wants, what a hand-built message names."""
        message = checked(self._endpoint, message)
        if isinstance(message, Remove):
            return self._remove((message,))
        return self._register((message,), message.refresh == "0", None)

    def _register(self, messages: tuple[Reg, ...], replace: bool, fresh_within: float | None) -> Request:
        if not any(element.item for message in messages for element in message.data):
            raise LocalProtocolError("data: names nothing to register")
        request = ticket_for(*messages)
        keys = request.keys
        others = self._subscriptions.others_in_groups(keys) if replace else ()
        dropped = self._subscriptions.add_consumer(keys, fresh_within, instead_of=others)
        # A call that waits for some of what is no longer wanted will not get it.
        for waiting in [call for call in self._registering if not dropped.isdisjoint(call.keys)]:
            self._registering.remove(waiting)
            self._drop_claims(waiting)
            self._answers.append(RequestRefusal(waiting, "", REPLACED))
        self._claims[request] = self._subscriptions.claims(keys)
        self._registering.append(request)
        return request

    def _remove(self, messages: tuple[Remove, ...]) -> Request:
        request = ticket_for(*messages)
        self._subscriptions.drop_consumer(request.keys)
        self._removing.append(request)
        return request

    def withdraw(self, request: Request) -> None:
        """Take a call back, answered or not. If it was to remove something, the removal still takes effect."""
        self._registering = [call for call in self._registering if call is not request]
        self._removing = [call for call in self._removing if call is not request]
        self._drop_claims(request)

    # The connection.

    @property
    def is_urgent(self) -> bool:
        """Whether registrations of the account wait: they go before condition searches, all others after them."""
        return self._subscriptions.is_urgent

    def send(self, connection: ClientConnection, now: float) -> None:
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
        return answer if self._refuse_calls(answer) else None

    def blame(self, request: Request, now: float, *, certain: bool) -> None:
        """Note that the connection was lost because of this request, if it is the one in flight.

        Args:
            request: the request, of the connection.
            now: seconds on the session's clock.
            certain: whether the server has blamed it.
        """
        if request is self._in_flight and self._subscriptions.blame(now, certain):
            refusal = RequestRefusal(request, "", UNACKNOWLEDGED)
            if self._refuse_calls(refusal):
                self._answers.append(refusal)

    def connection_lost(self) -> None:
        """Forget what the lost connection was asked; whatever is wanted is registered again on the next."""
        self._subscriptions.connection_lost()
        self._in_flight = None
        self.answer_calls()

    def answer_calls(self) -> None:
        """Accept the calls that are settled by now. Call it after every change."""
        for calls, is_settled in (
            (self._registering, self._subscriptions.is_registration_settled),
            (self._removing, self._subscriptions.is_removal_settled),
        ):
            for call in tuple(calls):
                if all(is_settled(key) for key in call.keys):
                    calls.remove(call)
                    call.confirmed = call.parts
                    self._answers.append(RequestAccepted(call))

    def pop_answers(self) -> list[RequestAccepted | RequestRefusal]:
        """Return the answers to calls since the last time, and forget them."""
        answers, self._answers = self._answers, []
        return answers

    def _drop_claims(self, request: Request) -> None:
        """Drop the call as a consumer of what it claims, once."""
        self._subscriptions.drop_claims(self._claims.pop(request, {}))

    def _refuse_calls(self, refusal: RequestRefusal) -> bool:
        """Refuse every call that the refused message belonged to, and drop what they claim.

        Returns:
            Whether the refusal must be reported itself, because no waiting call is told all of it.
        """
        keys = set(refusal.request.keys)
        is_register = refusal.request.kind is RequestKind.REGISTER
        calls = self._registering if is_register else self._removing
        concerned = [call for call in calls if not keys.isdisjoint(call.keys)]
        for call in concerned:
            calls.remove(call)
            if is_register:
                self._drop_claims(call)
            self._answers.append(RequestRefusal(call, refusal.code, refusal.message))
        if is_register:
            # Some of it may still be wanted: it was registered before, on an earlier connection.
            return any(self._subscriptions.refusal_reason(key) for key in keys)
        return not concerned

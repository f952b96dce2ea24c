"""PendingCalls: those of `subscribe` and `unsubscribe` that wait, and what each of them claims.

* A call is answered once: accepted when everything that it names is settled, whichever messages and connections that
  took; refused as a whole as soon as a message with some of it is refused. One whose connection was lost goes on
  waiting, for the next connection.
* What a call of `subscribe` claims is given up once: by `unsubscribe`, by a refusal, by an eviction, or by `withdraw`.
  A call counts as one consumer of everything that it names until then, answered or not.

What is wanted, and whether it is settled, is known to `Wants`: the subscriptions of one session (subscriptions.py), or
those of a pool (pool_subscriptions.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias
from weakref import WeakKeyDictionary

from ..config import ClientConfig
from ..endpoint import Endpoint
from ..errors import LocalProtocolError
from ..events import Evicted, RequestAccepted, RequestRefusal
from ..realtime.catalogue import Types
from ..realtime.record import Record
from ..request import Key, Request, RequestKind
from ..symbol import Symbol
from ..wire.messages import Reg, Remove, ticket_for
from ..wire.registration import checked, registration, removal
from .subscriptions import Claims

__all__ = ("CallAnswer", "PendingCalls", "Wants")

REPLACED = "replaced by another call before it was registered"
EVICTED = "evicted before it was registered: an item that is not transient needed the room"

CallAnswer: TypeAlias = RequestAccepted | RequestRefusal | Evicted
"""What the calls of a session report."""


class Wants(Protocol):
    """What is wanted. The methods are those of `Subscriptions`."""

    def add_consumer(
        self,
        keys: Iterable[Key],
        fresh_within: float | None = None,
        *,
        instead_of: tuple[Key, ...] = (),
        transient: bool = False,
    ) -> set[Key]: ...
    def drop_consumer(self, keys: Iterable[Key]) -> set[Key]: ...
    def pop_evicted(self) -> tuple[str, ...]: ...
    def claims(self, keys: Iterable[Key]) -> Claims: ...
    def drop_claims(self, claims: Claims) -> None: ...
    def others_in_groups(self, keys: Iterable[Key]) -> tuple[Key, ...]: ...
    def refusal_reason(self, key: Key) -> str: ...
    def is_registration_settled(self, key: Key) -> bool: ...
    def is_removal_settled(self, key: Key) -> bool: ...


class PendingCalls:
    """The calls of one session, or of one pool, for registrations.

    Args:
        endpoint: where the session connects; what it does not serve is refused.
        types: the record classes by type code.
        config: the number of items in one request.
        wants: what is wanted.
    """

    def __init__(self, endpoint: Endpoint, types: Types, config: ClientConfig, wants: Wants) -> None:
        self._endpoint = endpoint
        self._types = types
        self._items_per_request = config.items_per_request
        self._wants = wants
        self._registering: list[Request] = []
        self._removing: list[Request] = []
        self._claims: WeakKeyDictionary[Request, Claims] = WeakKeyDictionary()  # of calls that may be withdrawn
        self._answers: list[CallAnswer] = []

    # The calls. Args and errors are those of the methods of `Session` with the same names.

    def subscribe(
        self,
        type: str | type[Record],
        items: tuple[str | Symbol, ...],
        group: str,
        replace: bool,
        fresh_within: float | None,
        transient: bool,
    ) -> Request:
        """Take a call that wants items for a type."""
        messages = registration(self._endpoint, self._types, self._items_per_request, type, items, group)
        if fresh_within is not None and not (isinstance(fresh_within, int | float) and fresh_within > 0):
            raise LocalProtocolError(f"fresh_within: must be a number of seconds above 0, not {fresh_within!r}")
        if not isinstance(transient, bool):
            raise LocalProtocolError(f"transient: must be True or False, not {transient!r}")
        return self._register(messages, replace, fresh_within, transient)

    def unsubscribe(self, type: str | type[Record], items: tuple[str | Symbol, ...], group: str) -> Request:
        """Take a call that no longer wants items for a type."""
        return self._remove(removal(self._endpoint, self._types, self._items_per_request, type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Take a call that wants, or no longer wants, what a hand-built message names."""
        message = checked(self._endpoint, message)
        if isinstance(message, Remove):
            return self._remove((message,))
        return self._register((message,), message.refresh == "0", None, False)

    def _register(
        self, messages: tuple[Reg, ...], replace: bool, fresh_within: float | None, transient: bool
    ) -> Request:
        if not any(element.item for message in messages for element in message.data):
            raise LocalProtocolError("data: names nothing to register")
        request = ticket_for(*messages)
        keys = request.keys
        others = self._wants.others_in_groups(keys) if replace else ()
        dropped = self._wants.add_consumer(keys, fresh_within, instead_of=others, transient=transient)
        self.handle_dropped(dropped)
        self._claims[request] = self._wants.claims(keys)
        self._registering.append(request)
        return request

    def _remove(self, messages: tuple[Remove, ...]) -> Request:
        request = ticket_for(*messages)
        self._wants.drop_consumer(request.keys)
        self._removing.append(request)
        return request

    def handle_dropped(self, dropped: set[Key]) -> None:
        """Refuse the calls that wait for what nobody wants any more: for some of it that was replaced, or all evicted.

        A call of which a part was evicted goes on for the rest.
        """
        evicted = self._wants.pop_evicted()
        if evicted:
            self._answers.append(Evicted(evicted))
        for waiting in [call for call in self._registering if not dropped.isdisjoint(call.keys)]:
            is_replaced = any(key in dropped and key[2] not in evicted for key in waiting.keys)
            if is_replaced or dropped.issuperset(waiting.keys):
                self._registering.remove(waiting)
                self._drop_claims(waiting)
                self._answers.append(RequestRefusal(waiting, "", REPLACED if is_replaced else EVICTED))

    def withdraw(self, request: Request) -> None:
        """Take a call back, answered or not. If it was to remove something, the removal still takes effect."""
        self._registering = [call for call in self._registering if call is not request]
        self._removing = [call for call in self._removing if call is not request]
        self._drop_claims(request)

    def answer_calls(self) -> None:
        """Accept the calls that are settled by now. Call it after every change."""
        for calls, is_settled in (
            (self._registering, self._wants.is_registration_settled),
            (self._removing, self._wants.is_removal_settled),
        ):
            for call in tuple(calls):
                if all(is_settled(key) for key in call.keys):
                    calls.remove(call)
                    call.confirmed = call.parts
                    self._answers.append(RequestAccepted(call))

    def pop_answers(self) -> list[CallAnswer]:
        """Return the answers to calls since the last time, and forget them."""
        answers, self._answers = self._answers, []
        return answers

    def _drop_claims(self, request: Request) -> None:
        """Drop the call as a consumer of what it claims, once."""
        self._wants.drop_claims(self._claims.pop(request, {}))

    def refuse_calls(self, refusal: RequestRefusal) -> bool:
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
            return any(self._wants.refusal_reason(key) for key in keys)
        return not concerned

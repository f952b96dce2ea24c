"""PoolSearches: the condition searches of a pool, all on one member.

The first call chooses the member: the first that is logged in, or else the first that has not ended. It stays until
that member is dead or lost for good, and another can take its place: then the searches that are live, and the calls
that wait, are asked of the other, with the requests that the callers hold. A `ConditionResult` says that a live search
has begun anew, as after a reconnect.

The numbers and names of saved conditions belong to a user of Kiwoom, so this supposes tokens of one user.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..events import ConditionList, ConditionResult, RequestAccepted, RequestRefusal
from ..request import Request, RequestKind
from .lifecycle import READY
from .member import Member
from .searches import Answer
from .subscriptions import Subscription

__all__ = ("PoolSearches",)


class PoolSearches:
    """The calls of one pool for conditions.

    Args:
        members: the members.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._member: Member | None = None
        # The caller's request -> that of the present member; the same until it has moved. What waits or is live.
        self._open: dict[Request, Request] = {}
        self._callers: dict[Request, Request] = {}  # the other way round, of those that have moved
        self._accepted: set[Request] = set()  # live searches whose caller has its answer

    # The calls: see the methods of `Session` with the same names.

    def list_conditions(self) -> Request:
        """Take a call that asks for the saved conditions."""
        return self._add(self._chosen().list_conditions())

    def search_condition(self, seq: str, *, realtime: bool, next_key: str) -> Request:
        """Take a call that searches, once or live."""
        return self._add(self._chosen().search_condition(seq, realtime=realtime, next_key=next_key))

    def clear_condition(self, seq: str) -> Request:
        """Take a call that ends a live search."""
        request = self._chosen().clear_condition(seq)
        for caller in self._open:
            if caller.live and caller.seq == request.seq:
                self._forget(caller)
                break
        return self._add(request)

    def withdraw(self, caller: Request) -> None:
        """Take a call back, answered or not."""
        if self._member is not None:
            self._member.withdraw(self._open.get(caller, caller))
        self._forget(caller)

    # What happens.

    def handle_answer(self, answer: Answer) -> Answer | None:
        """Take what a member reports. Return what to report, with the caller's own request; None: nothing."""
        current = answer.request
        caller = self._callers.get(current, current)
        if self._open.get(caller) is not current:
            return answer  # of nobody's call: a live search that was asked for anew after a reconnect
        if current is not caller:
            caller.confirmed = current.confirmed
            answer = attrs.evolve(answer, request=caller)
        if isinstance(answer, ConditionList | ConditionResult):
            return answer
        if isinstance(answer, RequestAccepted) and caller.live:
            was_answered = caller in self._accepted
            self._accepted.add(caller)
            return None if was_answered else answer
        self._forget(caller)
        return answer

    def settle(self) -> list[RequestAccepted | RequestRefusal]:
        """Move to another member if the present one is dead or lost for good. Return the answers that this gives."""
        old = self._member
        if old is None or not (old.is_dead or old.is_over) or not self._open:
            return []
        new = next((member for member in self._members if member.state is READY), None)
        if new is None:
            return []
        self._member = new
        answers: list[RequestAccepted | RequestRefusal] = []
        for caller, current in tuple(self._open.items()):
            if not old.is_over:
                old.withdraw(current)
            self._callers.pop(current, None)
            if caller.kind is RequestKind.CONDITION_CLEAR:  # the other member has nothing to clear
                self._forget(caller)
                answers.append(RequestAccepted(caller))
                continue
            if caller.kind is RequestKind.CONDITION_LIST:
                moved = new.list_conditions()
            else:
                moved = new.search_condition(caller.seq, realtime=caller.live, next_key=caller.next_key)
            self._open[caller] = moved
            self._callers[moved] = caller
        return answers

    def snapshot(self) -> tuple[Subscription, ...]:
        """Return every live search, as a subscription to the type of its rows."""
        return () if self._member is None else self._member.searches

    def _chosen(self) -> Member:
        member = self._member
        if member is None or (not self._open and (member.is_dead or member.is_over)):
            alive = [each for each in self._members if not each.is_over]
            member = self._member = next((each for each in alive if each.state is READY), alive[0])
        return member

    def _add(self, request: Request) -> Request:
        self._open[request] = request
        return request

    def _forget(self, caller: Request) -> None:
        self._accepted.discard(caller)
        current = self._open.pop(caller, None)
        if current is not None:
            self._callers.pop(current, None)

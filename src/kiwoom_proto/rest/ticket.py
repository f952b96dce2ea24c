"""Ticket: one call that was submitted, and what became of it. WaitingCalls: those that have not been sent, in order.

Orders go first. Of the rest the one that was submitted first goes first, among those whose TR may be called now: calls
of one TR leave in their order, and calls of different TRs do not wait for one another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, Generic, TypeVar

import attrs

from ..display import rich_repr
from ..errors import KiwoomError, LocalProtocolError
from ..secrets import Secret
from .call import Asked, Page, is_order
from .pacing import Pacing, Place

__all__ = ("ORDERS", "Ticket", "WaitingCalls")

R = TypeVar("R")

ORDERS = "orders"
"""The bucket of all orders."""


@attrs.define(eq=False, repr=False)
class Ticket(Generic[R]):
    """One call. Compared by identity. It gets exactly one outcome.

    Attributes:
        request: what is asked for.
        cont_yn: what the page is asked for with, else "".
        next_key: likewise.
        outcome: the page, or why there is none; None until it is decided.
        tries: how often it has been sent.
        number: its place in the order of submission.
        bucket: what it is counted together with.
        is_order: whether it is never sent a second time.
        deadline: when it fails if it has not been sent, in seconds on the clock of the dispatcher; of a query: never.
    """

    request: Asked[R]
    cont_yn: str = ""
    next_key: str = ""
    outcome: Page[R] | KiwoomError | None = None
    tries: int = 0
    number: int = 0
    bucket: str = attrs.field(init=False)
    is_order: bool = attrs.field(init=False)
    deadline: float = attrs.field(default=float("inf"), init=False)
    # For the dispatcher.
    not_before: float = attrs.field(default=float("-inf"), init=False)
    waits_since: float = attrs.field(default=float("-inf"), init=False)
    failures: int = attrs.field(default=0, init=False)
    stale: int = attrs.field(default=0, init=False)
    """How often a connection broke that had been kept."""
    too_fast: int = attrs.field(default=0, init=False)
    held_up: KiwoomError | None = attrs.field(default=None, init=False)
    """What it was refused or lost for, if it is sent again after a pause."""
    has_renewed: bool = attrs.field(default=False, init=False)
    place: Place | None = attrs.field(default=None, init=False)
    token: Secret | None = attrs.field(default=None, init=False)
    sent_at: float = attrs.field(default=0.0, init=False)
    """When it was last sent, in seconds since the epoch."""

    def __attrs_post_init__(self) -> None:
        self.is_order = is_order(self.request)
        self.bucket = ORDERS if self.is_order else self.request.api_id

    def result(self) -> Page[R]:
        """Return the page.

        Raises:
            RestError: the server refused, or its answer is not what it should be; `OrderOutcomeUnknown` for an order of
                which nobody knows whether it was processed.
            CallCancelled: the call was taken back.
            TransportError: the network failed.
            TokenError: no access token could be obtained.
            DeadlineExceeded: no answer came in time.
            LocalProtocolError: there is no outcome yet.
        """
        if self.outcome is None:
            raise LocalProtocolError("result: the call is not finished")
        if isinstance(self.outcome, KiwoomError):
            raise self.outcome
        return self.outcome

    def __repr__(self) -> str:
        if self.outcome is None:
            state = "waits" if self.place is None else "under way"
        else:
            state = "failed" if isinstance(self.outcome, KiwoomError) else "answered"
        return f"<Ticket {self.request.api_id}, {state}>"

    __rich_repr__ = rich_repr


class WaitingCalls:
    """The calls that have not been sent, or are to be sent again."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Ticket[Any]]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Ticket[Any]]:
        return (ticket for queue in self._queues.values() for ticket in queue)

    @property
    def orders(self) -> Sequence[Ticket[Any]]:
        """The orders, in their order. The first has the first deadline."""
        return self._queues.get(ORDERS, ())

    def add(self, ticket: Ticket[Any]) -> None:
        """Append a call."""
        self._queues.setdefault(ticket.bucket, deque()).append(ticket)

    def add_again(self, ticket: Ticket[Any]) -> None:
        """Put a call back in its place by number: before those that were submitted later."""
        queue = self._queues.setdefault(ticket.bucket, deque())
        at = next((index for index, other in enumerate(queue) if other.number > ticket.number), len(queue))
        queue.insert(at, ticket)

    def remove(self, ticket: Ticket[Any]) -> bool:
        """Remove a call. Returns whether it was there."""
        queue = self._queues.get(ticket.bucket)
        if queue is None or ticket not in queue:
            return False
        queue.remove(ticket)
        if not queue:
            del self._queues[ticket.bucket]
        return True

    def pop_all(self, which: Callable[[Ticket[Any]], bool]) -> list[Ticket[Any]]:
        """Remove and return those for which `which` returns True, in the order of submission."""
        tickets = sorted(filter(which, self), key=lambda ticket: ticket.number)
        gone = set(tickets)
        queues = {bucket: deque(each for each in queue if each not in gone) for bucket, queue in self._queues.items()}
        self._queues = {bucket: queue for bucket, queue in queues.items() if queue}
        return tickets

    def pop_late_orders(self, now: float) -> list[Ticket[Any]]:
        """Remove and return the orders whose deadline has come."""
        if not self.orders or self.orders[0].deadline > now:
            return []
        return self.pop_all(lambda ticket: ticket.deadline <= now)

    def ready(self, pacing: Pacing, now: float, *, orders: bool) -> Ticket[Any] | None:
        """Return the order, or else the query, that may leave next, and may now; None if there is none."""
        heads = (queue[0] for bucket, queue in self._queues.items() if (bucket == ORDERS) is orders)
        return min(
            (head for head in heads if _time_of(head, pacing, now) <= now),
            key=lambda ticket: ticket.number,
            default=None,
        )

    def count_ready(self, pacing: Pacing, now: float, *, orders: bool) -> int:
        """Return how many orders, or else queries, may leave now."""
        return sum(
            min(len(queue), pacing.room(bucket, now))
            for bucket, queue in self._queues.items()
            if (bucket == ORDERS) is orders and queue[0].not_before <= now
        )

    def next_time(self, pacing: Pacing, now: float, held: Container[bool]) -> float | None:
        """Return when the next call may leave, or an order is late; None: not before something else happens.

        Args:
            pacing: when calls may leave.
            now: the time.
            held: whose calls wait for something else, if they may leave now: True of orders, False of queries.
        """
        times = [self.orders[0].deadline] if self.orders else []
        for bucket, queue in self._queues.items():
            time = _time_of(queue[0], pacing, now)
            if time > now or (bucket == ORDERS) not in held:
                times.append(time)
        return min(times, default=None)


def _time_of(ticket: Ticket[Any], pacing: Pacing, now: float) -> float:
    return max(ticket.not_before, pacing.free_at(ticket.bucket, now))

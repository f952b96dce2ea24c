"""RequestQueue: the order in which requests leave, and whose reply is whose. `RateLimit` says how fast.

At most one message is unanswered in each lane. REG and REMOVE are a lane each, all condition requests together are the
third. Two lines wait for a free lane, first come, first served: registrations, where nothing overtakes, and condition
requests, which the server was measured to leave unanswered for half a minute on a healthy connection. Neither line
waits for the other.

Correlation
* The reply to a REG or REMOVE carries "no id, no group, no data" [measured]. Only the order ties it to its request, so
  a reply that nobody asked for, or one that is overdue, ends the connection: every later reply would be credited to the
  wrong request.
* The reply to a condition request names its trnm and mostly its number. If it is overdue, the request alone is given
  up. A late reply is recognised by what it names and dropped, unless the same question was asked again, which it
  answers. See `conditions`.

Times are arguments, in seconds on the connection's clock.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..request import Request, RequestKind
from ..wire.messages import ConditionRequest, Message, Reply, encode
from .conditions import answers, answers_earlier, fits
from .rate_limit import RateLimit

__all__ = ("RequestQueue",)

CONDITIONS = RequestKind.CONDITION_SEARCH
"""The lane of all condition requests."""
GIVEN_UP_KEPT = 100
"""How many condition requests that were given up are remembered, to recognise late replies."""


def _lane(kind: RequestKind | None) -> RequestKind | None:
    """Return the lane of a kind: messages of one lane wait for one another's replies."""
    return CONDITIONS if kind is not None and kind.is_condition else kind


@attrs.define(eq=False)
class _Sent:
    """A message that waits for its reply."""

    request: Request
    message: Message
    overdue_at: float
    probe_at: float | None  # when to find out whether the server hears us


class RequestQueue:
    """Orders, paces and correlates the requests of one connection.

    Args:
        interval: minimum interval between two messages, in seconds.
        ack_timeout: seconds after which a reply is overdue.
    """

    def __init__(self, interval: float, ack_timeout: float) -> None:
        self._rate_limit = RateLimit(interval)
        self._ack_timeout = ack_timeout
        self.waiting: deque[tuple[Request, Message]] = deque()
        """What has not been sent: both lines, in the order of the calls."""
        self._in_flight: dict[RequestKind | None, _Sent] = {}  # by lane
        self._given_up: deque[ConditionRequest] = deque(maxlen=GIVEN_UP_KEPT)  # whose replies may yet come
        self._last_lane: RequestKind | None = None

    # What is sent.

    def add(self, request: Request, messages: tuple[Message, ...]) -> None:
        """Append a request, with the messages that carry it."""
        self.waiting += [(request, message) for message in messages]

    def add_first(self, request: Request, *messages: Message) -> None:
        """Send further messages for a request, before anything else."""
        self.waiting.extendleft((request, message) for message in reversed(messages))

    def pop(self, now: float) -> bytes | None:
        """Return the next message that may leave now, encoded, or None."""
        if now < self._rate_limit.next_send_at or (index := self._next()) is None:
            return None
        request, message = self.waiting[index]
        del self.waiting[index]
        lane = self._last_lane = _lane(request.kind)
        probe_at = None if lane is CONDITIONS else now + self._ack_timeout / 2
        self._in_flight[lane] = _Sent(request, message, now + self._ack_timeout, probe_at)
        self._rate_limit.sent(now)
        return encode(message)

    def first_waiting(self, kind: RequestKind) -> Request | None:
        """Return the first request of this kind that has not been sent, or None."""
        return next((request for request, _ in self.waiting if request.kind is kind), None)

    def is_finished(self, request: Request) -> bool:
        """Whether nothing of a request is left to send."""
        return all(waiting is not request for waiting, _ in self.waiting)

    # What is answered.

    def reply(self, reply: Reply) -> Request | None:
        """Credit a reply to its request and return that; None if nobody asked. After a refusal the rest is not sent."""
        lane = _lane(reply.kind)
        found = self._in_flight.get(lane)
        if found is None or (isinstance(found.message, ConditionRequest) and not answers(reply, found.message)):
            return None
        del self._in_flight[lane]
        request = found.request
        self._rate_limit.answered()
        if reply.ok:
            request.confirmed = min(request.confirmed + 1, request.parts)
        else:
            self._drop(request)
        return request

    def repeat(self, reply: Reply, now: float) -> bool:
        """Send the refused message again, after a pause, and slow down. Returns False if nobody had asked.

        Args:
            reply: the refusal that says that the message came too fast (105110).
            now: the time.
        """
        found = self._in_flight.pop(_lane(reply.kind), None)
        if found is None:
            return False
        self.waiting.appendleft((found.request, found.message))
        self._rate_limit.refused(now)
        return True

    def is_late(self, reply: Reply) -> bool:
        """Whether this answers a condition request that was given up, and not the one that waits. Forgets it then.

        Most of what was given up is never answered, so a reply counts as late only if it cannot be meant for the one
        that waits: see `answers_earlier`.
        """
        late = [message for message in self._given_up if answers(reply, message)]
        waiting = self._in_flight.get(CONDITIONS)
        message = None if waiting is None else waiting.message
        if isinstance(message, ConditionRequest) and answers(reply, message) and fits(reply, message):
            late = [earlier for earlier in late if answers_earlier(reply, earlier, message)]
        if not late:
            return False
        self._given_up.remove(late[0])
        return True

    # What is not answered.

    def next_timeout(self) -> float | None:
        """Return when `pop` will have a message or a reply is overdue; None if neither will happen by itself."""
        times = [sent.overdue_at for sent in self._in_flight.values()]
        if self._next() is not None:
            times.append(self._rate_limit.next_send_at)
        return min(times, default=None)

    def overdue(self, now: float) -> Request | None:
        """Return the REG or REMOVE whose reply is overdue, or None."""
        for lane, sent in self._in_flight.items():
            if lane is not CONDITIONS and now >= sent.overdue_at:
                return sent.request
        return None

    def give_up(self, now: float) -> tuple[Request, ConditionRequest] | None:
        """Give up the condition request whose reply is overdue. Returns it and its message, or None."""
        found = self._in_flight.get(CONDITIONS)
        if found is None or now < found.overdue_at:
            return None
        del self._in_flight[CONDITIONS]
        request, message = found.request, found.message
        assert isinstance(message, ConditionRequest)
        self._given_up.append(message)
        self._drop(request)
        return request, message

    def next_probe(self) -> float | None:
        """Return when to call `needs_probe`, or None."""
        return min((sent.probe_at for sent in self._in_flight.values() if sent.probe_at is not None), default=None)

    def needs_probe(self, now: float) -> bool:
        """Whether a reply is so late that a ping should find out if the server hears us. True once for each message."""
        due = [sent for sent in self._in_flight.values() if sent.probe_at is not None and now >= sent.probe_at]
        for sent in due:
            sent.probe_at = None
        return bool(due)

    def last_unanswered(self) -> Request | None:
        """Return the request whose message was the last to leave, if that is unanswered."""
        found = self._in_flight.get(self._last_lane)
        return None if found is None else found.request

    # Inside.

    def _next(self) -> int | None:
        """Return the index of the message that may leave next: the head of either line, if its lane is free."""
        seen = set()
        for index, (request, _) in enumerate(self.waiting):
            lane = _lane(request.kind)
            line = lane is CONDITIONS
            if line not in seen and lane not in self._in_flight:
                return index
            seen.add(line)  # Only ever its head: a REMOVE must not overtake the REG before it.
            if len(seen) == 2:
                break
        return None

    def _drop(self, request: Request) -> None:
        """Send nothing more of a request."""
        self.waiting = deque(step for step in self.waiting if step[0] is not request)

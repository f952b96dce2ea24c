"""Answers: what a reply, or its absence, means for the request that it belongs to.

The rules of the condition search on one connection are here
* "CNSRLST first, once per connection, or CNSRREQ gets silence" [measured by several]: a search brings a list request
  along if none was made.
* "900003 without seq [...]: CNSRCLR, then ask again; it outlives a reconnect for a while" [measured]: once for each
  search.
* "Unanswered for 30 s and more on a healthy connection" [measured]: such a request is given up alone.
"""

from __future__ import annotations

from ..codes import ALREADY_REGISTERED, TOO_FAST, explain_code
from ..events import ConditionList, ConditionResult, RequestAccepted, RequestRefusal, RequestUnanswered, UnknownMessage
from ..realtime.conditions import read_conditions
from ..request import Request, RequestKind
from ..wire.messages import Message, Reply, condition_clear, condition_list, condition_search, ticket_for
from .conditions import read_result
from .request_queue import RequestQueue

__all__ = ("Answer", "Answers", "is_unexpected_reply", "unexpected")

LIST, SEARCH = RequestKind.CONDITION_LIST, RequestKind.CONDITION_SEARCH

Answer = ConditionList | ConditionResult | RequestAccepted | RequestRefusal | RequestUnanswered


class Answers:
    """The requests of one connection, and the answers to them.

    Args:
        queue: where messages wait.
        us: whether the connection is on the US path.
        ack_timeout: seconds after which a reply is overdue.
    """

    def __init__(self, queue: RequestQueue, *, us: bool, ack_timeout: float) -> None:
        self._queue = queue
        self._us = us
        self._ack_timeout = ack_timeout
        self._is_listed = False  # whether the list of conditions has been requested on this connection

    def add(self, *messages: Message) -> Request:
        """Queue the messages of one call and return its ticket, with a list request before a search that needs one."""
        kind = messages[-1].kind
        if kind is SEARCH and not self._is_listed:
            messages = (condition_list(us=self._us), *messages)
        self._is_listed |= kind in (LIST, SEARCH)
        request = ticket_for(*messages)
        self._queue.add(request, messages)
        return request

    def handle_reply(self, reply: Reply, received_at: int, now: float) -> list[Answer] | None:
        """Handle a reply.

        Args:
            reply: the reply, to anything but the LOGIN.
            received_at: when it was received, in nanoseconds since the epoch.
            now: the time, in seconds on the connection's clock.

        Returns:
            What to report. None: nobody had asked.
        """
        # "Excess is answered 105110, not queued" [measured by several].
        if reply.code == TOO_FAST and self._queue.repeat(reply, now):
            return []
        if self._queue.is_late(reply):
            self._is_listed |= reply.ok and reply.kind is LIST
            return []
        request = self._queue.reply(reply)
        if request is None:
            return None
        if not reply.ok:
            return self._handle_refusal(request, reply)
        if not self._queue.is_finished(request):
            return []
        answers: list[Answer] = [RequestAccepted(request)]
        if request.kind is LIST:
            answers.insert(0, ConditionList(request, read_conditions(reply.members.get("data"))))
        elif request.kind is SEARCH:
            answers.insert(0, read_result(request, reply, received_at))
        return answers

    def give_up(self, now: float) -> list[Answer]:
        """Give up a condition request whose reply is overdue, and return what to report."""
        given_up = self._queue.give_up(now)
        if given_up is None:
            return []
        request, message = given_up
        if message.kind is LIST:
            self._list_again()
        return [RequestUnanswered(request, self._ack_timeout)]

    def _handle_refusal(self, request: Request, reply: Reply) -> list[Answer]:
        if reply.code == ALREADY_REGISTERED and request.kind is SEARCH and not request.asked_again:
            request.asked_again = True
            search = condition_search(request.seq, live=request.live, next_key=request.next_key, us=self._us)
            self._queue.add_first(request, condition_clear(request.seq, us=self._us), search)
            return []
        if reply.kind is LIST:
            self._list_again()
        return [RequestRefusal(request, reply.code, reply.message)]

    def _list_again(self) -> None:
        """The list did not come. Waiting searches were queued without one of their own; the first needs one now."""
        waiting = self._queue.first_waiting(SEARCH)
        self._is_listed = waiting is not None
        if waiting is not None:
            self._queue.add_first(waiting, condition_list(us=self._us))


def unexpected(reply: Reply, payload: bytes) -> UnknownMessage:
    """Return how a reply is reported that nobody was waiting for."""
    code = explain_code(reply.code, reply.message)
    return UnknownMessage(payload, f"a {reply.trnm} {_UNEXPECTED}{code}")


def is_unexpected_reply(event: UnknownMessage) -> bool:
    """Return whether an event is one of `unexpected`, which decoding its message does not make."""
    return _UNEXPECTED in event.error


_UNEXPECTED = "reply when none was expected, with code "

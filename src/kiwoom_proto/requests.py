"""Requests waiting for their acknowledgement, and how fast they may go out.

A reply to REG or REMOVE names nothing: no id, no group, no data. Order is all that ties it to its request, so

* one unanswered message of a kind is on the wire at a time, and the rest wait their turn, first come first served (REG,
  REMOVE and condition search are the kinds: the reply to a US clear comes under the name of a search);
* a reply that nobody asked for, or one that does not come in time, ends the connection: from then on every later
  reply would be credited to the wrong request;
* messages leave at least `request_interval` apart: the server takes about 5 a second and refuses the rest (105110).

Time comes in as an argument, in seconds on the connection's clock.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import attrs

from .messages import ConditionRequest, Element, Reg, Remove, encode

__all__ = ("Request", "RequestQueue")

Message: TypeAlias = Reg | Remove | ConditionRequest


def _kind(trnm: str) -> str:
    """Messages of one kind wait for one another's replies."""
    return "CNSR" if "CNSR" in trnm else trnm


@attrs.define(eq=False)
class Request:
    """One call of `subscribe`, `unsubscribe`, `request` or for a condition search, and what became of it.

    Exactly one of `RequestAccepted`, `RequestRejected` or `Closed` follows. It is sent as one message, or as several:
    where it has more items than `ClientConfig.items_per_request`, or where the list of conditions must be asked for
    first.

    Attributes:
        messages: what is sent, in order.
        confirmed: how many of the messages were acknowledged so far.
        asked_again: whether a condition that was registered already was cleared and asked for again.
    """

    messages: tuple[Message, ...]
    confirmed: int = 0
    asked_again: bool = False

    @property
    def trnm(self) -> str:
        """What it asks for: "REG", "REMOVE", "CNSRREQ" ..."""
        last = self.messages[-1]
        return last.trnm if isinstance(last, ConditionRequest) else "REG" if isinstance(last, Reg) else "REMOVE"

    @property
    def group(self) -> str:
        """The group number of a REG or REMOVE, else ""."""
        last = self.messages[-1]
        return "" if isinstance(last, ConditionRequest) else last.grp_no

    @property
    def seq(self) -> str:
        """The number of the condition, else ""."""
        last = self.messages[-1]
        return last.seq if isinstance(last, ConditionRequest) and isinstance(last.seq, str) else ""

    @property
    def types(self) -> tuple[str, ...]:
        """Every type code in it, once each, in order."""
        return tuple(dict.fromkeys(code for element in self._elements() for code in element.type))

    @property
    def items(self) -> tuple[str, ...]:
        """Every item in it, once each, in order."""
        return tuple(dict.fromkeys(str(item) for element in self._elements() for item in element.item))

    def _elements(self) -> list[Element]:
        return [element for message in self.messages if isinstance(message, Reg | Remove) for element in message.data]

    def __str__(self) -> str:
        if not self.types:
            return f"{self.trnm} {self.seq}".rstrip()
        items = self.items
        shown = ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
        return f"{self.trnm} {', '.join(self.types)}" + (f" for {shown}" if shown else "")

    def __repr__(self) -> str:
        group = f", group {self.group}" if self.group else ""
        return f"<Request {self}{group}, {self.confirmed} of {len(self.messages)} confirmed>"


class RequestQueue:
    """Orders, paces and correlates the requests of one connection.

    Arguments:
        interval: least seconds between two messages.
        ack_timeout: seconds to wait for a reply.
    """

    def __init__(self, interval: float, ack_timeout: float) -> None:
        self._interval = interval
        self._ack_timeout = ack_timeout
        self._line: deque[tuple[Request, Message]] = deque()
        self._in_flight: dict[str, tuple[Request, float]] = {}  # kind -> request and when its reply is overdue
        self._next_send_at = float("-inf")

    def add(self, request: Request) -> None:
        """Put a request at the end of the line."""
        self._line += [(request, message) for message in request.messages]

    def add_first(self, request: Request, *messages: Message) -> None:
        """Send further messages for a request, before anything else."""
        self._line.extendleft((request, message) for message in reversed(messages))

    def take(self, now: float) -> bytes | None:
        """Return the next message that may go out now, encoded, or None."""
        if not self._can_send() or now < self._next_send_at:
            return None
        request, message = self._line.popleft()
        self._in_flight[_kind(request.trnm)] = request, now + self._ack_timeout
        self._next_send_at = now + self._interval
        return encode(message)

    def reply(self, trnm: str, ok: bool) -> Request | None:
        """Credit a reply to the request it belongs to. None: nobody asked. After a no the rest of it is not sent."""
        found = self._in_flight.pop(_kind(trnm), None)
        if found is None:
            return None
        request = found[0]
        if ok:
            request.confirmed = min(request.confirmed + 1, len(request.messages))
        else:
            self._line = deque(step for step in self._line if step[0] is not request)
        return request

    def next_waiting(self, trnm: str) -> Request | None:
        """The first request of this trnm that is still to be sent."""
        return next((request for request, _ in self._line if request.trnm == trnm), None)

    def is_finished(self, request: Request) -> bool:
        """Whether nothing more of a request is to be sent."""
        return all(waiting is not request for waiting, _ in self._line)

    def next_timeout(self) -> float | None:
        """When `take` will have something to send, or a reply is overdue; None: not before something else happens."""
        times = [overdue_at for _, overdue_at in self._in_flight.values()]
        if self._can_send():
            times.append(self._next_send_at)
        return min(times, default=None)

    def is_overdue(self, now: float) -> bool:
        """Whether a reply should have come by now."""
        return any(now >= overdue_at for _, overdue_at in self._in_flight.values())

    def _can_send(self) -> bool:
        # Only ever the head of the line: a REMOVE must not overtake the REG before it.
        return bool(self._line) and _kind(self._line[0][0].trnm) not in self._in_flight

"""Requests waiting for their acknowledgement, and how fast they may go out.

A reply to REG or REMOVE names nothing: no id, no group, no data. Order is all that ties it to its request, so

* one unanswered message per trnm is on the wire at a time, and the rest wait their turn, first come first served;
* a reply that nobody asked for, or one that does not come in time, ends the connection: from then on every later
  reply would be credited to the wrong request;
* messages leave at least `request_interval` apart: the server takes about 5 a second and refuses the rest (105110).

Time comes in as an argument, in seconds on the connection's clock.
"""

from __future__ import annotations

from collections import deque

import attrs

from .messages import Reg, Remove, encode

__all__ = ("Request", "RequestQueue")


@attrs.define(eq=False)
class Request:
    """One call of `subscribe`, `unsubscribe` or `request`, and what became of it.

    Exactly one of `RequestAccepted`, `RequestRejected` or `Closed` follows. It is sent as one message, or as several
    where it has more items than `ClientConfig.items_per_request`.

    Attributes:
        messages: what is sent, in order.
        confirmed: how many of the messages were acknowledged so far.
    """

    messages: tuple[Reg | Remove, ...]
    confirmed: int = 0

    @property
    def trnm(self) -> str:
        """ "REG" or "REMOVE"."""
        return "REG" if isinstance(self.messages[0], Reg) else "REMOVE"

    @property
    def group(self) -> str:
        """The group number."""
        return self.messages[0].grp_no

    @property
    def types(self) -> tuple[str, ...]:
        """Every type code in it, once each, in order."""
        return tuple(
            dict.fromkeys(code for message in self.messages for element in message.data for code in element.type)
        )

    @property
    def items(self) -> tuple[str, ...]:
        """Every item in it, once each, in order."""
        return tuple(
            dict.fromkeys(item for message in self.messages for element in message.data for item in element.item)
        )

    def __str__(self) -> str:
        items = self.items
        shown = ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
        return f"{self.trnm} {', '.join(self.types)}" + (f" for {shown}" if shown else "")

    def __repr__(self) -> str:
        return f"<Request {self}, group {self.group}, {self.confirmed} of {len(self.messages)} confirmed>"


class RequestQueue:
    """Orders, paces and correlates the requests of one connection.

    Arguments:
        interval: least seconds between two messages.
        ack_timeout: seconds to wait for a reply.
    """

    def __init__(self, interval: float, ack_timeout: float) -> None:
        self._interval = interval
        self._ack_timeout = ack_timeout
        self._waiting: deque[Request] = deque()  # those of which a message is still to be sent
        self._next_message = 0  # of the first in line
        self._in_flight: dict[str, tuple[Request, float]] = {}  # trnm -> request and when its reply is overdue
        self._next_send_at = float("-inf")

    def add(self, request: Request) -> None:
        """Put a request at the end of the line."""
        self._waiting.append(request)

    def take(self, now: float) -> bytes | None:
        """Return the next message that may go out now, encoded, or None."""
        if not self._can_send() or now < self._next_send_at:
            return None
        request = self._waiting[0]
        message = request.messages[self._next_message]
        self._next_message += 1
        if self._next_message == len(request.messages):
            self._leave_line()
        self._in_flight[request.trnm] = request, now + self._ack_timeout
        self._next_send_at = now + self._interval
        return encode(message)

    def reply(self, trnm: str, ok: bool) -> tuple[Request, bool] | None:
        """Credit a reply: the request it belongs to, and whether that is finished now. None: nobody asked."""
        found = self._in_flight.pop(trnm, None)
        if found is None:
            return None
        request = found[0]
        if not ok:
            if self._waiting and self._waiting[0] is request:
                self._leave_line()  # the rest of it is not sent
            return request, True
        request.confirmed += 1
        return request, request.confirmed == len(request.messages)

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
        # Only ever the head of the line, until all of it is sent: a REMOVE must not overtake the REG before it.
        return bool(self._waiting) and self._waiting[0].trnm not in self._in_flight

    def _leave_line(self) -> None:
        self._waiting.popleft()
        self._next_message = 0

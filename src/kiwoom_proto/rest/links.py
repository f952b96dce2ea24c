"""Links: the connections of a dispatcher. Each carries one call at a time and is kept for the next.

A link is opening, idle or busy, and then gone for good. What ends it:

* the end of the stream, a byte that nobody asked for, an answer that closes it: it cannot be used again;
* `idle_timeout` without a call, before the server closes it;
* a deadline: it was not opened, or its call not answered, in time.

A connection that was kept may be dead without anybody knowing, and the call that finds out is lost. A query is sent
again. An order cannot be, so it goes on a connection that was in use within the last `FRESH` seconds, or on a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from ..config import RestConfig
from ..display import rich_repr
from ..endpoint import Endpoint
from ..wire.http import HttpConnection
from .call import Call
from .ticket import Ticket

__all__ = ("Link", "Links", "retry_pause")

FRESH = 5.0
"""Seconds since its last answer for which a connection is trusted with an order."""
RETRY_PAUSE, MAX_DIAL_PAUSE = 0.5, 5.0
"""Seconds before another attempt to connect. They double."""


def retry_pause(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return RETRY_PAUSE * 2.0 ** min(failures - 1, 10)


@attrs.define(eq=False, repr=False)
class Link:
    """A connection that is needed, for as long as `Dispatcher.needs` holds this very object.

    Attributes:
        endpoint: whose REST interface: `Endpoint.check_tls` applies.
        number: number of the connection; the first is 1.
    """

    endpoint: Endpoint
    number: int
    # For the dispatcher.
    http: HttpConnection
    deadline: float
    """When to give up: opening, handing its call to the driver, answering, or keeping it idle."""
    is_open: bool = False
    is_taken: bool = False
    """Whether bytes of the present call have been handed to the driver."""
    ticket: Ticket[Any] | None = None
    call: Call[Any] | None = None
    served: int = 0
    """How many calls it has carried before the present one."""
    used_at: float = 0.0
    """When its last answer came."""

    @property
    def host(self) -> str:
        """The host to dial, and to verify the certificate against."""
        return self.endpoint.host

    @property
    def port(self) -> int:
        """The TCP port to dial."""
        return self.endpoint.rest_port

    @property
    def secure(self) -> bool:
        """Whether TLS is used."""
        return self.endpoint.secure

    @property
    def fresh_until(self) -> float:
        """Until when it is trusted with an order."""
        return self.used_at + FRESH

    @property
    def is_idle(self) -> bool:
        """Whether it can carry a call."""
        return self.is_open and self.ticket is None

    def __repr__(self) -> str:
        state = "opening" if not self.is_open else "idle" if self.ticket is None else "busy"
        return f"<Link {self.number} to {self.host}:{self.port}, {state}>"

    __rich_repr__ = rich_repr


class Links:
    """The connections of one dispatcher.

    Args:
        endpoint: where they go.
        config: how many, and how patient.

    Attributes:
        failed_dials: how many attempts to connect have failed in a row.
        dial_not_before: when the next attempt may be made.
    """

    def __init__(self, endpoint: Endpoint, config: RestConfig) -> None:
        self._endpoint = endpoint
        self._config = config
        self._links: dict[int, Link] = {}
        self._number = 0
        self.failed_dials = 0
        self.dial_not_before = self._unreachable_since = float("-inf")

    def __iter__(self) -> Iterator[Link]:
        return iter(tuple(self._links.values()))

    def __len__(self) -> int:
        return len(self._links)

    def __contains__(self, link: object) -> bool:
        return isinstance(link, Link) and self._links.get(link.number) is link

    @property
    def opening(self) -> int:
        """How many are being opened."""
        return sum(not link.is_open for link in self._links.values())

    def idle_for(self, ticket: Ticket[Any], now: float) -> Link | None:
        """Return the idle link that was used last, if it may carry this call."""
        found = max((link for link in self if link.is_idle), key=lambda link: link.used_at, default=None)
        if found is not None and ticket.is_order and now >= found.fresh_until:
            return None
        return found

    def may_carry(self, ticket: Ticket[Any], now: float) -> bool:
        """Return whether one of the links may carry this call, now or when it is free."""
        return any(not link.is_idle for link in self) or self.idle_for(ticket, now) is not None

    def open(self, wanted: int, now: float, *, for_orders: bool) -> None:
        """Ask for as many connections as calls want, within the limit, unless a pause is on.

        Args:
            wanted: how many calls want one that no idle link can carry.
            now: the time.
            for_orders: whether orders are among them: one more is opened. Idle links, which are too old for them, make
                room.
        """
        if now < self.dial_not_before:
            return
        wanted -= self.opening
        room = self._config.max_connections + for_orders - len(self)
        for link in [link for link in self if link.is_idle][: max(0, wanted - room)]:
            self.drop(link)
            room += 1
        for _ in range(min(wanted, room)):
            self._number += 1
            http = HttpConnection(self._config.max_answer_size)
            self._links[self._number] = Link(self._endpoint, self._number, http, now + self._config.open_timeout)

    def dial_failed(self, link: Link, now: float, *, is_final: bool) -> None:
        """Give up a link that could not be opened, and pause; `is_final`: not for longer each time."""
        self.drop(link)
        if now < self.dial_not_before:
            return  # it is one of several at once
        if not self.failed_dials:
            self._unreachable_since = link.deadline - self._config.open_timeout
        self.failed_dials = 0 if is_final else self.failed_dials + 1
        self.dial_not_before = now + min(MAX_DIAL_PAUSE, retry_pause(self.failed_dials))

    def has_waited(self, ticket: Ticket[Any]) -> bool:
        """Return whether a call has waited for a connection for long enough."""
        if self.failed_dials >= self._config.tries and (ticket.is_order or self._config.tries == 1):
            return True
        since = max(ticket.waits_since, self._unreachable_since)
        return self.dial_not_before > since + self._config.answer_timeout

    def drop(self, link: Link) -> None:
        """Give up a link: the driver hangs up."""
        del self._links[link.number]
        link.ticket = link.call = None

    def next_timeout(self) -> float | None:
        """Return when the first of them has a deadline; None if there are none."""
        return min((link.deadline for link in self._links.values()), default=None)

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

__all__ = ("Link", "Links")

FRESH = 5.0
"""Seconds since its last answer for which a connection is trusted with an order."""


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
    """When to give up: opening, answering, or keeping it idle."""
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
    """

    def __init__(self, endpoint: Endpoint, config: RestConfig) -> None:
        self._endpoint = endpoint
        self._config = config
        self._links: dict[int, Link] = {}
        self._number = 0

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
        if found is not None and ticket.is_order and now > found.used_at + FRESH:
            return None
        return found

    def may_carry(self, ticket: Ticket[Any], now: float) -> bool:
        """Return whether one of the links may carry this call, now or when it is free."""
        return any(not link.is_idle for link in self) or self.idle_for(ticket, now) is not None

    def open(self, now: float) -> None:
        """Ask for another connection."""
        self._number += 1
        http = HttpConnection(self._config.max_answer_size)
        self._links[self._number] = Link(self._endpoint, self._number, http, now + self._config.open_timeout)

    def drop(self, link: Link) -> None:
        """Give up a link: the driver hangs up."""
        del self._links[link.number]
        link.ticket = link.call = None

    def next_timeout(self) -> float | None:
        """Return when the first of them has a deadline; None if there are none."""
        return min((link.deadline for link in self._links.values()), default=None)

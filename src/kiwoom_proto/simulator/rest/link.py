"""HttpLink: the connection of a client that began with "POST ", from the first request to its end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, NamedTuple, TypeAlias

from ..callers import refusal_of
from .http import HttpAnswer, HttpRequest, HttpServer

__all__ = ("Cut", "HttpLink", "Outcome")

Cut: TypeAlias = Literal["no", "before", "half", "after"]
"""When a connection is cut: not at all, before the request was carried out, within its answer, or after it was carried
out and before its answer."""
REQUEST_TIMEOUT = 10.0
"""Seconds that a request may take to arrive."""
IDLE_TIMEOUT = 60.0
"""Seconds for which a connection is kept between two requests."""


class Outcome(NamedTuple):
    """What becomes of a request.

    Attributes:
        answer: its answer.
        delay: seconds until the answer is sent.
        cut: whether and where the connection is cut.
    """

    answer: HttpAnswer
    delay: float = 0.0
    cut: Cut = "no"


class HttpLink:
    """The HTTP side of a client's connection.

    Args:
        respond: returns the outcome of a request.
        hosts: the allowed host names, as `callers.refusal_of` takes them.
        now: returns the time in seconds.
        later: schedules an action after so many seconds, to be dropped if the connection ends first.
        end: called when the connection ends; what is left to send is still sent.

    Attributes:
        deadline: when to call `handle_timeout`; None if nothing is due.
    """

    def __init__(
        self,
        respond: Callable[[HttpRequest], Outcome],
        hosts: Collection[str] | None,
        *,
        now: Callable[[], float],
        later: Callable[[float, Callable[[float], None]], None],
        end: Callable[[], None],
    ) -> None:
        self.deadline: float | None = now() + REQUEST_TIMEOUT
        self._respond = respond
        self._now = now
        self._later = later
        self._end = end
        self._server = HttpServer(self._take, lambda headers: refusal_of(headers, hosts))

    def receive_data(self, data: bytes | bytearray) -> None:
        """Receive bytes from the network."""
        server = self._server
        before = server.is_idle, server.answered
        server.receive_data(data)
        self._settle(began=before[0] or server.answered != before[1])

    @property
    def unsent(self) -> int:
        """Number of bytes that wait."""
        return self._server.unsent

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and clear them."""
        return self._server.data_to_send()

    def handle_timeout(self) -> None:
        """End the connection if its deadline has passed."""
        if self.deadline is not None and self._now() >= self.deadline:
            self._end()

    def _take(self, request: HttpRequest) -> None:
        outcome = self._respond(request)
        if outcome.cut == "before" or (outcome.delay <= 0 and outcome.cut == "after"):
            self._end()
        elif outcome.delay > 0:
            self._later(outcome.delay, lambda _: self._answer(outcome))
        else:
            self._server.answer(outcome.answer, half=outcome.cut == "half")

    def _answer(self, outcome: Outcome) -> None:
        if outcome.cut == "after":
            self._end()
            return
        self._server.answer(outcome.answer, half=outcome.cut == "half")
        self._settle(began=True)

    def _settle(self, began: bool) -> None:
        """Set the deadline, or end the connection if it is finished."""
        server = self._server
        if server.finished:
            self._end()
        elif server.is_pending:
            self.deadline = None
        elif server.is_idle:
            self.deadline = self._now() + IDLE_TIMEOUT
        elif began or self.deadline is None:
            self.deadline = self._now() + REQUEST_TIMEOUT

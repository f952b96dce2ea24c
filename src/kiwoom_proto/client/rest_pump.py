"""The pump of calls: what happens between a dispatcher and the tasks that drive it.

    network  -->  [Tls]  -->  Dispatcher  -->  outcomes  -->  whoever submitted a call
    network  <--  [Tls]  <--  Dispatcher  <--  calls

After whatever happened (bytes, a deadline, a call), `pump` does the same: it wakes `run` if a need has no task yet or
the timer must be rearmed, lets the tasks write or hang up, and hands out what has got an outcome. One task serves one
link or one token; it ends when the need does. `run` starts the tasks: `pump` may be called in a callback of the event
loop, outside every task, where anyio can start none.

It is used by the client of REST (rest.py), and by clients of the feed that recover. An adapter adds sockets, tasks and
timers.
"""

from __future__ import annotations

import abc
import math
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..auth import AppKey, TokenNeeded
from ..config import RestConfig
from ..endpoint import Endpoint
from ..errors import KiwoomError, LocalProtocolError
from ..rest.dispatcher import Dispatcher, RestNeed
from ..rest.links import Link
from ..rest.ticket import Ticket
from ..secrets import Secret
from ..wire.messages import check_token
from ..wire.tls import Tls
from .credentials import Credentials, renew_token, resolve_token
from .own_loop import AnyEvent
from .pacings import shared_count

__all__ = ("BaseRestPump", "LinkWire", "Tasks")


class Tasks(Protocol):
    """Where tasks are started: a nursery or task group."""

    def start_soon(self, function: Callable[..., Coroutine[Any, Any, None]], /, *args: Any) -> object:
        """Start a task."""


class _Scope(Protocol):
    """A cancel scope of the loop."""

    def cancel(self) -> object: ...


class _Served:
    """A need that is being served.

    Attributes:
        has_outgoing: set when there may be something to write.
        scope: cancels the task; None: it has not begun.
    """

    def __init__(self, has_outgoing: AnyEvent) -> None:
        self.has_outgoing = has_outgoing
        self.scope: _Scope | None = None


class BaseRestPump(abc.ABC):
    """What the pumps of all event loops share.

    Args:
        endpoint: whose REST interface.
        token: what to call with.
        config: deadlines and limits.
        ssl_context: TLS settings; None verifies against the system's trust store.
        clock: seconds, never going back.
        clock_of: what is the same for all who have the same clock.
        wall_clock: seconds since the epoch.
        tell: called with the calls that have got their outcome.

    Attributes:
        dispatcher: submit calls to it, then call `pump`.

    Raises:
        LocalProtocolError: an argument is not what it should be.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        token: Credentials,
        config: RestConfig | None,
        ssl_context: ssl.SSLContext | None,
        *,
        clock: Callable[[], float],
        clock_of: Hashable,
        wall_clock: Callable[[], float],
        tell: Callable[[list[Ticket[Any]]], None],
    ) -> None:
        known = None if callable(token) else token
        count = shared_count(endpoint, token, clock_of) if isinstance(endpoint, Endpoint) else None
        self.dispatcher = Dispatcher(endpoint, known, config, clock=clock, wall_clock=wall_clock, count=count)
        endpoint.check_tls(ssl_context)
        self.ssl_context = ssl_context
        self._token = token
        self._clock = clock
        self._tell = tell
        self._served: dict[RestNeed, _Served] = {}
        self._changed = self._new_event()  # wakes `run`
        self._armed = math.inf

    # What the adapter provides.

    @abc.abstractmethod
    def _new_event(self) -> AnyEvent:
        """Return an event that is not set."""

    @abc.abstractmethod
    def _new_scope(self) -> AbstractContextManager[Any]:
        """Return a cancel scope."""

    @abc.abstractmethod
    def _move_on_after(self, seconds: float, /) -> AbstractContextManager[Any]:
        """Return a cancel scope with a deadline."""

    @abc.abstractmethod
    async def _checkpoint(self) -> None:
        """Let other tasks run."""

    @abc.abstractmethod
    async def _fresh_token(self, key: AppKey, refused: Secret | None) -> Secret:
        """Return a token that is valid, from `key` or from the token server; not one that was refused."""

    @abc.abstractmethod
    async def _carry(self, wire: LinkWire, served: Any) -> None:
        """Dial, then carry bytes. Whatever ends it is told to the wire."""

    # The pump.

    def pump(self) -> None:
        """Let the tasks do what the dispatcher needs now, and hand out what has got an outcome."""
        needs = self.dispatcher.needs
        if len(self._served) != len(needs) or any(need not in self._served for need in needs):
            self._abandon(needs)
            self._changed.set()
        for need, served in self._served.items():
            if isinstance(need, Link) and need.ticket is not None and not need.is_taken:
                served.has_outgoing.set()
        timeout = self.dispatcher.next_timeout()
        if timeout is not None and timeout < self._armed:
            self._changed.set()
        outcomes = self.dispatcher.outcomes()
        if outcomes:
            self._tell(outcomes)

    def _abandon(self, needs: tuple[RestNeed, ...]) -> None:
        """Cancel the tasks whose need is none any more."""
        for need, served in tuple(self._served.items()):
            if need not in needs:
                del self._served[need]
                if served.scope is not None:
                    served.scope.cancel()

    def _serve_all(self, tasks: Tasks) -> None:
        """Start a task for each need that has none."""
        for need in self.dispatcher.needs:
            if need not in self._served:
                self._served[need] = served = _Served(self._new_event())
                tasks.start_soon(self._serve, need, served)

    async def run(self, tasks: Tasks) -> None:
        """Start the tasks that serve what is needed, and watch the clock, until cancelled.

        Args:
            tasks: where to start the tasks that serve; they are cancelled together with this one.
        """
        self.pump()
        while True:
            self._changed = self._new_event()
            self._serve_all(tasks)
            timeout = self.dispatcher.next_timeout()
            self._armed = math.inf if timeout is None else timeout
            with self._move_on_after(max(0.0, self._armed - self._clock())):
                await self._changed.wait()
                continue
            self.dispatcher.handle_timeout()
            self.pump()

    async def _serve(self, need: RestNeed, served: _Served) -> None:
        with self._new_scope() as served.scope:
            if self._served.get(need) is not served:
                return  # it was needed no more before this task began
            if isinstance(need, TokenNeeded):
                await self._serve_token(need)
            else:
                await self._serve_link(need, served)

    async def _serve_token(self, need: TokenNeeded) -> None:
        try:
            token = await self._obtain_token(need.refused)
            check_token(token)
        except KiwoomError as error:
            if need in self.dispatcher.needs:
                self.dispatcher.token_failed(error)
        else:
            if need in self.dispatcher.needs:
                self.dispatcher.receive_token(token)
        self.pump()

    async def _obtain_token(self, refused: Secret | None) -> Secret:
        if isinstance(self._token, AppKey):
            return await self._fresh_token(self._token, refused)
        return await renew_token(self._resolve_token)

    async def _resolve_token(self) -> Secret:
        """Return what the user's callable returns."""
        return await resolve_token(self._token)

    async def _serve_link(self, link: Link, served: _Served) -> None:
        try:
            link.endpoint.check_tls(self.ssl_context)  # it may have been changed since the last time
            wire = LinkWire(self, link)
        except LocalProtocolError as error:
            self.dispatcher.receive_eof(link, str(error))
            self.pump()
            return
        await self._carry(wire, served)

    def wake_writer(self, link: Link) -> None:
        """Let a link's task write: TLS answers by itself."""
        served = self._served.get(link)
        if served is not None:
            served.has_outgoing.set()

    async def _write(
        self,
        send: Callable[[bytes | memoryview], Awaitable[None]],
        wire: LinkWire,
        served: _Served,
        failures: tuple[type[Exception], ...],
    ) -> None:
        """Write what there is to send, until cancelled. After a failure the reader finds the end, and its reason."""
        while True:
            served.has_outgoing = self._new_event()
            data = wire.data_to_send()
            if not data:
                await served.has_outgoing.wait()
                continue
            try:
                await send(data)
            except failures:
                await self._new_event().wait()


class LinkWire:
    """The bytes of one link, between a socket and the dispatcher: in plaintext, or over TLS.

    Args:
        pump: its pump.
        link: the link.

    Raises:
        LocalProtocolError: the host name cannot be verified.
    """

    def __init__(self, pump: BaseRestPump, link: Link) -> None:
        self.host = link.host
        self.port = link.port
        self._pump = pump
        self._link = link
        self._dispatcher = pump.dispatcher
        self._tls = Tls(_Plain(pump.dispatcher, link), link.host, pump.ssl_context) if link.secure else None

    def fail_dial(self, reason: str) -> None:
        """Note that there is no stream."""
        self._dispatcher.receive_eof(self._link, f"could not connect to {self.host}:{self.port}: {reason}")
        self._pump.pump()

    def connected(self) -> None:
        """Note that there is a stream."""
        if self._tls is None:
            self._dispatcher.connection_made(self._link)
            self._pump.pump()

    def data_to_send(self) -> memoryview:
        """Return the bytes to write, and forget them. A memoryview does not show the token in them."""
        if self._tls is not None:
            return memoryview(self._tls.data_to_send())
        return memoryview(self._dispatcher.data_to_send(self._link))

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes from the network."""
        view, data = memoryview(data), b""
        tls = self._tls
        if tls is None:
            self._dispatcher.receive_data(self._link, view)
        else:
            was_open = tls.is_open
            tls.receive_data(view)
            if tls.is_open and not was_open:
                self._dispatcher.connection_made(self._link)
            if tls.wants_write:
                self._pump.wake_writer(self._link)
        self._pump.pump()

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream, and what the network said if it failed."""
        if self._tls is None:
            self._dispatcher.receive_eof(self._link, error)
        else:
            self._tls.receive_eof(error)
        self._pump.pump()


class _Plain:
    """A link as what TLS carries."""

    def __init__(self, dispatcher: Dispatcher, link: Link) -> None:
        self._dispatcher = dispatcher
        self._link = link

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        view, data = memoryview(data), b""
        self._dispatcher.receive_data(self._link, view)

    def receive_eof(self, error: str | None = None) -> None:
        self._dispatcher.receive_eof(self._link, error)

    def data_to_send(self) -> bytes:
        return self._dispatcher.data_to_send(self._link)

"""For tests of programs that use this library: virtual time, and two ends joined in memory.

clock = ManualClock()
pair = ConnectionPair(ClientConnection(endpoint, clock=clock), ServerConnection(clock=clock))
pair.client.connect("token")
pair.exchange()
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from .connection import ClientConnection
from .conversation import ConnectionState

__all__ = ("ConnectionPair", "ManualClock", "ServerEnd")


class ManualClock:
    """A clock that stands still until it is moved. Calling it gives seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move it on."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self.now += seconds


class ServerEnd(Protocol):
    """What `ConnectionPair` needs of a server: a `ServerConnection` and a simulator's `Peer` both have it."""

    @property
    def state(self) -> ConnectionState: ...
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self) -> None: ...
    def data_to_send(self) -> bytes: ...


S = TypeVar("S", bound=ServerEnd)


class ConnectionPair(Generic[S]):
    """A client's and a server's end joined in memory, in place of a network.

    Arguments:
        client: the client's end.
        server: the server's end.
        clock: the clock of both, where `advance` is used.
    """

    def __init__(self, client: ClientConnection, server: S, clock: ManualClock | None = None) -> None:
        self.client = client
        self.server = server
        self._clock = clock

    def exchange(self) -> None:
        """Carry bytes both ways until neither end has any more to send. An end that is closed closes the wire."""
        while True:
            to_server, to_client = self.client.data_to_send(), self.server.data_to_send()
            if to_server:
                self.server.receive_data(to_server)
            if to_client:
                self.client.receive_data(to_client)
            if to_server or to_client:
                continue
            if self.server.state is ConnectionState.CLOSED and self.client.state is not ConnectionState.CLOSED:
                self.client.receive_eof()
            elif self.client.state is ConnectionState.CLOSED and self.server.state is not ConnectionState.CLOSED:
                self.server.receive_eof()
            else:
                return

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline of either end on the way.

        Raises:
            ValueError: the pair was made without a clock, or time would go back.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        if self._clock is None:
            raise ValueError("advance: needs the clock that both ends were made with")
        end = self._clock.now + seconds
        self.exchange()
        while True:
            due = [time for end_ in (self.client, self.server) if (time := end_.next_timeout()) is not None]
            now = min(due, default=end)
            if now > end:
                break
            self._clock.now = max(now, self._clock.now)
            self.client.handle_timeout()
            self.server.handle_timeout()
            self.exchange()
            if not due or now >= end:
                break
        self._clock.now = end
        self.exchange()

"""Tools for tests of programs that use this library: virtual time, and networks in memory.

Join a client and a server in memory:

    clock = ManualClock()
    pair = ConnectionPair(ClientConnection(endpoint, clock=clock), ServerConnection(clock=clock))
    pair.client.connect("token")
    pair.exchange()

Drive a session against an exchange that outlives its connections, over a network that fails on demand:

    clock = ManualClock()
    session = Session(endpoint, clock=clock, random=random.Random(1).random)
    network = SimulatedNetwork(session, Exchange(clock=clock), clock)
    session.connect("token")
    network.advance(5)
    network.reset()
    network.advance(60)
    network.events
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .connection.client import ClientConnection
from .connection.lifecycle import ConnectionState
from .errors import KiwoomError
from .events import Event
from .secrets import Secret
from .session.connector import LinkNeeded, Need, TokenNeeded
from .session.session import Session

__all__ = ("ConnectionPair", "ManualClock", "Server", "ServerEnd", "SimulatedNetwork")


class ManualClock:
    """A clock that moves only when it is told to. Calling it returns seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("time cannot go back")
        self.now += seconds


class ServerEnd(Protocol):
    """The interface that `ConnectionPair` needs of a server. A `ServerConnection` has it, and so does a client link of
    the simulated exchange."""

    @property
    def state(self) -> ConnectionState: ...
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self) -> None: ...
    def data_to_send(self) -> bytes: ...


S = TypeVar("S", bound=ServerEnd)


class ConnectionPair(Generic[S]):
    """A client and a server, joined in memory instead of by a network.

    Args:
        client: the client's end.
        server: the server's end.
        clock: the clock of both. `advance` needs it.
    """

    def __init__(self, client: ClientConnection, server: S, clock: ManualClock | None = None) -> None:
        self.client = client
        self.server = server
        self._clock = clock

    def exchange(self) -> None:
        """Carry bytes both ways until neither end has more to send. When one end is closed, the other receives EOF."""
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
        """Move the clock forward, and stop at every deadline of either end on the way.

        Raises:
            ValueError: the pair has no clock, or `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("time cannot go back")
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


class Server(Protocol):
    """The interface that `SimulatedNetwork` needs of a server. A simulated `Exchange` has it."""

    def connect(self) -> ServerEnd: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self) -> None: ...


class SimulatedNetwork:
    """Drives a session without I/O, over a network that fails on demand.

    Args:
        session: the session.
        server: what it connects to.
        clock: the clock of both.
        token: called when the session needs a token, with True if the last one was refused. Returns a token, or the
            error that says why there is none.

    Attributes:
        unreachable: the error of every dial, such as "no such host". None: dialling succeeds.
        black_hole: while True, no bytes arrive in either direction, and neither end is told. They arrive, in order,
            when it is False again, as if TCP had sent them again.
        deaf: the same for bytes to the session only.
        blocked: while True, the session's program is busy elsewhere: it serves no needs, misses its deadlines and reads
            nothing.
        chunk: maximum bytes delivered at once. None: no limit.
        speed: bytes per second in each direction. None: no limit.
        events: every event that the session has reported.
        attempts: the times, in seconds on the clock, at which the session dialled or asked for a token.
    """

    def __init__(
        self,
        session: Session,
        server: Server,
        clock: ManualClock,
        token: Callable[[bool], str | Secret | KiwoomError] = lambda refused: "token",
    ) -> None:
        self.session = session
        self.unreachable: str | None = None
        self.black_hole = False
        self.deaf = False
        self.blocked = False
        self.chunk: int | None = None
        self.speed: float | None = None
        self.events: list[Event] = []
        self.attempts: list[float] = []
        self._server = server
        self._clock = clock
        self._token = token
        self._need: Need | None = None
        self._peer: ServerEnd | None = None
        self._to_server: deque[tuple[float, bytes]] = deque()
        self._to_session: deque[tuple[float, bytes]] = deque()

    @property
    def peer(self) -> ServerEnd | None:
        """The server's end of the current connection; None if there is none."""
        return self._peer

    def reset(self, error: str = "connection reset by peer") -> None:
        """Cut the current connection for both ends."""
        self._cut()
        self.session.receive_eof(error)
        self.settle()

    def half_open(self) -> None:
        """Cut the current connection for the server only. The session is not told."""
        self._cut()

    def advance(self, seconds: float) -> None:
        """Move the clock forward, and stop at every deadline on the way.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("time cannot go back")
        end = self._clock.now + seconds
        self.settle()
        while (due := self._next_timeout()) is not None and due <= end:
            self._clock.now = max(due, self._clock.now)
            if not self.blocked:
                self.session.handle_timeout()
            self._server.handle_timeout()
            self.settle()
        self._clock.now = end
        self.settle()

    def settle(self) -> None:
        """Serve the session's needs and carry bytes until nothing more can be done at this time."""
        while self._serve_need() or self._carry():
            pass
        self.events += self.session.events()

    def _next_timeout(self) -> float | None:
        times = [None if self.blocked else self.session.next_timeout(), self._server.next_timeout()]
        times += [queue[0][0] for queue in (self._to_server, self._to_session) if queue and not self._is_held(queue)]
        return min((time for time in times if time is not None), default=None)

    def _serve_need(self) -> bool:
        need = self.session.needs
        if need is self._need or self.blocked:
            return False
        self._cut()
        self._need = need
        if isinstance(need, TokenNeeded):
            self.attempts.append(self._clock.now)
            if not self.black_hole:
                token = self._token(need.refused is not None)
                try:
                    if isinstance(token, KiwoomError):
                        raise token
                    self.session.receive_token(token)
                except KiwoomError as error:
                    self.session.token_failed(error)
        elif isinstance(need, LinkNeeded):
            self.attempts.append(self._clock.now)
            if self.unreachable is not None:
                self.session.receive_eof(self.unreachable)
            elif not self.black_hole:
                self._peer = self._server.connect()
        return True

    def _carry(self) -> bool:
        """Carry bytes one step. Return whether there were any."""
        peer = self._peer
        if peer is None:
            self.session.data_to_send()
            return False
        moved = False
        for source, queue in ((self.session, self._to_server), (peer, self._to_session)):
            data = b"" if self.blocked and source is self.session else source.data_to_send()
            if data:
                moved = True
                self._queue(queue, data)
        for queue in (self._to_server, self._to_session):
            while queue and self._is_due(queue):
                moved = True
                self._deliver(queue, queue.popleft()[1], peer)
        if moved:
            return True
        if peer.state is ConnectionState.CLOSED and not (
            self._to_session or self.black_hole or self.deaf or self.blocked
        ):
            self._cut()
            self.session.receive_eof()
            return True
        return False

    def _is_held(self, queue: deque[tuple[float, bytes]]) -> bool:
        return self.black_hole or ((self.deaf or self.blocked) and queue is self._to_session)

    def _is_due(self, queue: deque[tuple[float, bytes]]) -> bool:
        return not self._is_held(queue) and (self.speed is None or queue[0][0] <= self._clock.now)

    def _queue(self, queue: deque[tuple[float, bytes]], data: bytes) -> None:
        if self.speed is None:
            queue.append((self._clock.now, data))
            return
        due = max(queue[-1][0], self._clock.now) if queue else self._clock.now
        size = max(1, int(self.speed / 10))
        for at in range(0, len(data), size):
            due += len(data[at : at + size]) / self.speed
            queue.append((due, data[at : at + size]))

    def _deliver(self, queue: deque[tuple[float, bytes]], data: bytes, peer: ServerEnd) -> None:
        to_session = queue is self._to_session
        size = self.chunk or len(data)
        for at in range(0, len(data), size):
            if to_session:
                self.session.receive_data(data[at : at + size], 1 + int(self._clock.now * 1e9))
            else:
                peer.receive_data(data[at : at + size])

    def _cut(self) -> None:
        self._to_server.clear()
        self._to_session.clear()
        if self._peer is not None:
            self._peer.receive_eof()
            self._peer = None

"""Feed: what an adapter does with a connection's events, without the I/O.

A reply goes to the call that waits for it; everything else waits for the consumer, in order, in a bounded buffer. Both
adapters are this plus a socket, and so is any driver that offers `await subscribe(...)` and `async for`.
"""

from __future__ import annotations

from .buffer import BufferStats, EventBuffer
from .connection import ClientConnection
from .conversation import CLOSED, ConnectionState
from .errors import BufferOverflow, ConnectionLost, KiwoomError, LoginRefused, RequestRefused
from .events import (
    Closed,
    ConditionList,
    ConditionResult,
    Event,
    LoggedIn,
    Opened,
    RequestAccepted,
    RequestRejected,
)
from .record import Record
from .requests import Request

__all__ = ("Feed",)

UNSENT_LIMIT = 1024 * 1024
"""Bytes of ours (answers to pings, mostly) that may wait for a server that does not read."""


class Feed:
    """A connection, and what its events have come to.

    Arguments:
        connection: the connection; the driver goes on driving it.

    Attributes:
        closed: the `Closed` event, once the connection has ended.
        logged_in: whether the LOGIN was accepted.
        outgoing: bytes to write to the network. The driver removes what it has written.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.closed: Closed | None = None
        self.logged_in = False
        self.outgoing = bytearray()
        config = connection.config
        self._buffer = EventBuffer(config.buffer_size, config.overflow, config.buffer_bytes)
        self._bytes_seen = 0
        self._overflow: BufferOverflow | None = None
        self._last: list[Event] = []  # Closed, which always has room
        self._close_asked = False
        self._awaited: set[Request] = set()
        self._replies: dict[Request, RequestAccepted | RequestRejected] = {}
        self._answers: dict[Request, ConditionList | ConditionResult] = {}

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self.connection.state

    def close(self) -> None:
        """Begin to close, as asked for by the user."""
        self._close_asked = True
        self.connection.close()

    def collect(self) -> None:
        """Take what the connection has to say and to send. Call it after every entry into the connection."""
        connection = self.connection
        events = connection.events()
        if events:
            wanted = [event for event in events if isinstance(event, Record) or not self._is_consumed(event)]
            # What comes after an overflow is not delivered, as if there were no hole before it.
            if self._overflow is None:
                try:
                    self._buffer.put(wanted, connection.bytes_received - self._bytes_seen)
                except BufferOverflow as overflow:
                    self._overflow = overflow
                    connection.close()
                    self.collect()
            # Not before: reads that complete no message belong to the one that they begin.
            self._bytes_seen = connection.bytes_received
        data = connection.data_to_send()
        if data:
            self.outgoing += data
            if len(self.outgoing) > UNSENT_LIMIT and connection.state is not CLOSED:
                connection.receive_eof("the server does not read what it is sent")
                self.collect()

    def expect(self, request: Request) -> None:
        """A call waits for the reply to this request: it is kept for `reply`."""
        self._awaited.add(request)

    def forget(self, request: Request) -> None:
        """The call waits no more; the reply, when it comes, goes to the consumer."""
        self._awaited.discard(request)
        self._replies.pop(request, None)
        self._answers.pop(request, None)

    def answer(self, request: Request) -> ConditionList | ConditionResult:
        """What an accepted request for conditions was answered."""
        return self._answers[request]

    def reply(self, request: Request) -> bool:
        """Whether the request was accepted; False: not answered yet.

        Raises:
            RequestRefused: it was refused.
            ConnectionLost: the connection ended first.
        """
        reply = self._replies.get(request)
        if isinstance(reply, RequestRejected):
            raise RequestRefused(request, reply.code, reply.message)
        if reply is None:
            self.check_open()
        return reply is not None

    def check_open(self) -> None:
        """Raise where the connection has ended.

        Raises:
            BufferOverflow: the consumer was too slow.
            ConnectionLost: it ended for any other reason.
        """
        if self._overflow is not None:
            raise self._overflow
        if self.closed is not None:
            raise ConnectionLost(self.closed) from self.closed.error

    def check_login(self) -> bool:
        """Whether the login is done.

        Raises:
            LoginRefused: the server refused it.
            ConnectionLost: the connection ended first.
        """
        if self.logged_in:
            return True  # and if it was lost since, the consumer is told, after what came before
        if self.closed is not None and isinstance(self.closed.error, LoginRefused):
            raise self.closed.error
        self.check_open()
        return False

    def take(self) -> list[Event]:
        """Remove and return the events that wait, oldest first; empty: none do."""
        events = self._buffer.take()
        if self._last:
            events += self._last
            self._last.clear()
        return events

    def end(self) -> KiwoomError | None:
        """Why there are no more events, for the consumer; None: the end was asked for. Ask once `closed` is set."""
        if self._overflow is not None:
            return self._overflow
        if self._close_asked or self.closed is None or self.closed.error is None:
            return None
        error = ConnectionLost(self.closed)
        error.__cause__ = self.closed.error
        return error

    def stats(self) -> BufferStats:
        """Return what became of the events so far."""
        return self._buffer.stats()

    def _is_consumed(self, event: object) -> bool:
        """Note what an event means for the calls that wait; True where it is of no interest to the consumer."""
        match event:
            case Opened():
                return True
            case LoggedIn():
                self.logged_in = True
                return True
            case RequestAccepted(request=request) | RequestRejected(request=request) if request in self._awaited:
                self._replies[request] = event
                return True
            case ConditionList(request=request) | ConditionResult(request=request) if request in self._awaited:
                self._answers[request] = event
                return True
            case Closed():
                self.closed = event
                self._last.append(event)
                return True
        return False

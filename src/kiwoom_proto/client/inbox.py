"""Feed: what an adapter does with a session's events, without the I/O.

A reply goes to the call that waits for it; everything else waits for the consumer, in order, in a bounded buffer. Both
adapters are this plus a socket, and so is any driver that offers `await subscribe(...)` and `async for`.
"""

from __future__ import annotations

import attrs

from ..connection.requests import Request
from ..errors import (
    KiwoomError,
    LoginRefused,
    TokenError,
)
from ..events import (
    Closed,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    Event,
    Gap,
    LoggedIn,
    LoginRejected,
    Opened,
    RequestAccepted,
    RequestRejected,
    RequestUnanswered,
    UnknownMessage,
)
from ..realtime.record import Record
from ..secrets import OpaqueBuffer
from ..session.connector import LinkNeeded
from ..session.lifecycle import SessionState
from ..session.session import Session
from .buffer import EventBuffer
from .errors import BufferOverflow, ConnectionLost, RequestRefused, RequestTimeout

__all__ = ("Feed", "Stats")

UNSENT_LIMIT = 1024 * 1024
"""Bytes of ours (answers to pings, mostly) that may wait for a server that does not read."""


@attrs.frozen
class Stats:
    """What became of a session's events so far, and where it stands.

    Attributes:
        received: events for the consumer, those that were let go again included.
        delivered: events that the consumer was given.
        dropped: rows forgotten because the buffer was full ("drop_oldest").
        conflated: rows replaced by a newer one of the same type and item ("conflate").
        undecodable: messages, or rows of one, that could not be understood.
        waiting: events that wait for the consumer now.
        waiting_bytes: bytes of the messages that they came in, each with an equal share of what one read brought.
        lag: seconds that the oldest of the rows that wait has been waiting; 0.0 where none does.
        bytes_received: bytes received from the network.
        connections: attempts to connect; 1 where it never had to be made again.
        gaps: how often the feed was whole again after a loss (`Gap`).
    """

    received: int
    delivered: int
    dropped: int
    conflated: int
    undecodable: int
    waiting: int
    waiting_bytes: int
    lag: float
    bytes_received: int
    connections: int
    gaps: int


class Feed:
    """A session, and what its events have come to.

    Arguments:
        session: the session; the driver goes on driving it.

    Attributes:
        closed: the `Closed` event, once the session has ended.
        logged_in: whether a LOGIN was accepted.
        outgoing: bytes to write to the present connection, which the driver removes once written. Each connection has
            one of its own: what was meant for the last must not go to the next.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.closed: Closed | None = None
        self.logged_in = False
        self.outgoing: bytearray = OpaqueBuffer()
        config = session.config
        self._buffer = EventBuffer(config.buffer_size, config.overflow, config.buffer_bytes)
        self._bytes_seen = 0
        self._epoch = 0
        self._undecodable = 0
        self._gaps = 0
        self._overflow: BufferOverflow | None = None
        self._last: list[Event] = []  # Closed, on its way into the buffer, where it always has room
        self._held: list[Event] = []  # what was taken last; the driver removes what it has given on
        self._close_asked = False
        self._awaited: set[Request] = set()
        self._replies: dict[Request, RequestAccepted | RequestRejected | RequestUnanswered] = {}
        self._answers: dict[Request, ConditionList | ConditionResult] = {}

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self.session.state

    def close(self) -> None:
        """Begin to close, as asked for by the user."""
        self._close_asked = True
        self.session.close()

    def collect(self) -> bool:
        """Take what the session has to say and to send. Call it after every entry into the session.

        Returns:
            Whether the session's `needs` or deadline may have changed by what it took. Rows alone only put it off,
            unless they are too many.
        """
        session = self.session
        rows_only = session.rows_only
        wanted = session.events()
        if wanted:
            if not rows_only:
                wanted = [event for event in wanted if isinstance(event, Record) or not self._is_consumed(event)]
            # What comes after an overflow is not delivered, as if there were no hole before it.
            if self._overflow is None:
                try:
                    self._buffer.put(wanted, session.bytes_received - self._bytes_seen, len(self._held))
                except BufferOverflow as overflow:
                    self._overflow = overflow
                    session.close()
                    rows_only = False
                    self.collect()
            if self._last:
                self._buffer.put_last(self._last.pop())
            # Not before: reads that complete no message belong to the one that they begin.
            self._bytes_seen = session.bytes_received
        data: bytes | memoryview
        # A handshake may hold the token, and a memoryview shows nothing of it. Mostly there is nothing to send.
        data = (data := session.data_to_send()) and memoryview(data)
        if session.epoch != self._epoch:
            self._epoch = session.epoch
            self.outgoing = OpaqueBuffer()
        if data:
            rows_only = False
            self.outgoing += data
            if len(self.outgoing) > UNSENT_LIMIT and isinstance(session.needs, LinkNeeded):
                session.receive_eof("the server does not read what it is sent")
                self.collect()
        return not rows_only or session.watches_freshness

    def expect(self, request: Request) -> None:
        """A call waits for the reply to this request: it is kept for `reply`, until `told` or `withdraw`."""
        self._awaited.add(request)

    def told(self, request: Request) -> ConditionList | ConditionResult | None:
        """The call returns now: what it asked for is its own. Returns what a request for conditions was answered."""
        return self._forget(request)

    def withdraw(self, request: Request) -> None:
        """The call does not return: what it asked for is taken back, even where it was accepted by now.

        Collect after it: there may be something to send.
        """
        self._forget(request)
        self.session.withdraw(request)

    def _forget(self, request: Request) -> ConditionList | ConditionResult | None:
        self._awaited.discard(request)
        self._replies.pop(request, None)
        return self._answers.pop(request, None)

    def reply(self, request: Request) -> bool:
        """Whether the request was accepted; False: not answered yet.

        Raises:
            RequestRefused: it was refused.
            RequestTimeout: it was not answered in time.
            ConnectionLost: the session ended first.
        """
        reply = self._replies.get(request)
        if isinstance(reply, RequestRejected):
            raise RequestRefused(request, reply.code, reply.message)
        if isinstance(reply, RequestUnanswered):
            raise RequestTimeout(request, reply.seconds)
        if reply is None:
            self.check_open()
        return reply is not None

    def check_open(self) -> None:
        """Raise where the session has ended.

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
            TokenError: no token could be had.
            ConnectionLost: the session ended first.
        """
        if self.logged_in:
            return True  # and if it was lost since, the consumer is told, after what came before
        if self.closed is not None and isinstance(self.closed.error, LoginRefused | TokenError):
            raise self.closed.error
        self.check_open()
        return False

    @property
    def is_ready(self) -> bool:
        """Whether the consumer need not wait: there are events, or no more will come."""
        return self.closed is not None or bool(self._buffer)

    def take(self) -> list[Event]:
        """Remove and return events that wait, oldest first; empty: none do.

        The list is the driver's to turn round and to empty: what is left in it counts as waiting.
        """
        self._held = self._buffer.take_some()
        return self._held

    def end(self) -> KiwoomError | None:
        """Why there are no more events, for the consumer; None: the end was asked for. Ask once `closed` is set."""
        if self._overflow is not None:
            return self._overflow
        if self._close_asked or self.closed is None or self.closed.error is None:
            return None
        error = ConnectionLost(self.closed)
        error.__cause__ = self.closed.error
        return error

    def stats(self, now: int) -> Stats:
        """Return what became of the events so far.

        Arguments:
            now: nanoseconds since the epoch, as the driver tells the session with what it receives.
        """
        buffer = self._buffer.stats()
        held = self._held
        rows = [event.received_at for event in (*held[:1], *held[-1:]) if isinstance(event, Record)]
        oldest = min(rows, default=0) or self._buffer.oldest_received_at()
        return Stats(
            received=buffer.received,
            delivered=buffer.delivered - len(held),
            dropped=buffer.dropped,
            conflated=buffer.conflated,
            undecodable=self._undecodable,
            waiting=buffer.waiting + len(held),
            waiting_bytes=self._buffer.size_in_bytes + self._buffer.held_bytes(len(held)),
            lag=max(0.0, (now - oldest) / 1e9) if oldest else 0.0,
            bytes_received=self.session.bytes_received,
            connections=self.session.epoch,
            gaps=self._gaps,
        )

    def _is_consumed(self, event: object) -> bool:
        """Note what an event means for the calls that wait; True where it is of no interest to the consumer."""
        match event:
            case LoggedIn() if not self.logged_in:
                self.logged_in = True
                return True
            case Connecting() | Disconnected() | Opened() | LoginRejected():
                return not self.logged_in  # whoever waits for the first login is told by the call
            case (
                RequestAccepted(request=request) | RequestRejected(request=request) | RequestUnanswered(request=request)
            ) if request in self._awaited:
                self._replies[request] = event
                return True
            case ConditionList(request=request) | ConditionResult(request=request) if request in self._awaited:
                self._answers[request] = event
                return True
            case UnknownMessage():
                self._undecodable += 1
            case Gap():
                self._gaps += 1
            case Closed():
                self.closed = event
                self._last.append(event)
                return True
        return False

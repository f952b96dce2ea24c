"""What a client does with a session's events: replies to the calls that wait, everything else to the consumer.

A reply goes to the call that waits for it. Everything else is queued for the consumer, in order, in a bounded buffer.
Any driver that offers `await subscribe(...)` and `async for` can use it.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..errors import (
    KiwoomError,
    LoginRefused,
    TokenError,
)
from ..events import (
    Batch,
    Closed,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    Event,
    Gap,
    LoggedIn,
    LoginRefusal,
    Opened,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
    UnknownMessage,
)
from ..realtime.record import Record
from ..recording.recorder import Recorder
from ..request import Request
from ..session.lifecycle import SessionState
from ..session.pool import Pool
from ..session.session import Session
from .buffer import EventBuffer
from .errors import BufferOverflow, ConnectionLost, RequestRefused, RequestTimeout
from .newest import NewestRows
from .replayed import ReplayedSession
from .routes import Router
from .unsent import Unsent

__all__ = ("Inbox", "Stats")

NOT_ITERATED = "Nobody has iterated the client: iterate it, or take rows by client.stream(...) instead of subscribe"


@attrs.frozen
class Stats:
    """Counters of a session's events, and its state.

    Attributes:
        received: events for the consumer, including those dropped later.
        delivered: events handed to the consumer.
        dropped: rows dropped because the buffer was full ("drop_oldest"); while nobody iterates, also notices, and rows
            that a stream or callback gets too.
        conflated: rows replaced by a newer one of the same type and item ("conflate").
        undecodable: messages, or rows of a message, that could not be decoded.
        waiting: events queued for the consumer now.
        waiting_bytes: bytes of the messages that they came in; the events of one read share its bytes equally.
        lag: seconds that the oldest queued row has been waiting; 0.0 if none is queued.
        bytes_received: bytes received from the network.
        connections: connection attempts; 1 if the session never had to reconnect.
        gaps: how often everything was registered again after a loss (`Gap`).
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


class Inbox:
    """The events and outgoing bytes of a session or pool, sorted for calls, consumer and writers.

    Args:
        session: the session or pool; the driver still drives it.
        recorder: what keeps everything before it is sorted, started on this session; None keeps nothing.
        wall_clock: the time in nanoseconds since the epoch, for the recorder.

    Attributes:
        closed: the `Closed` event, once the session has ended.
        logged_in: whether a LOGIN was accepted.
        unsent: the outgoing bytes of the session, or of each member of the pool.
        router: gives rows to streams and callbacks, if there are any.
        newest: the newest row of each registration; None: nobody looks at it.
        is_iterated: whether anybody has begun to iterate. Until then, what somebody else has got need not be kept.
    """

    def __init__(
        self,
        session: Session | Pool | ReplayedSession,
        recorder: Recorder | None = None,
        wall_clock: Callable[[], int] = lambda: 0,
    ) -> None:
        self.session = session
        self.closed: Closed | None = None
        self.logged_in = False
        self.unsent: tuple[Unsent, ...] = ()  # a recording is sent nothing
        if isinstance(session, Pool):
            self.unsent = tuple(map(Unsent, session.members))
        elif isinstance(session, Session):
            self.unsent = (Unsent(session),)
        self.router = Router(lambda: session.subscriptions)
        self.newest: NewestRows | None = None
        self.is_iterated = False
        config = session.config
        self._buffer = EventBuffer(config.buffer_size, config.overflow, config.buffer_bytes)
        self._recorder = recorder
        self._wall_clock = wall_clock
        self._bytes_recorded = 0
        self._bytes_seen = 0
        self._undecodable = 0
        self._gaps = 0
        self._overflow: BufferOverflow | None = None
        self._last: list[Event] = []  # Closed, on its way into the buffer, where it always has room
        self._held: list[Event] = []  # popped last; the driver removes what it has delivered
        self._close_asked = False
        self._awaited: set[Request] = set()
        self._replies: dict[Request, RequestAccepted | RequestRefusal | RequestUnanswered] = {}
        self._answers: dict[Request, ConditionList | ConditionResult] = {}

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self.session.state

    def close(self) -> None:
        """Begin to close, at the user's request."""
        self._close_asked = True
        self.session.close()

    def collect(self) -> bool:
        """Take the session's events and outgoing bytes. Call it after every call into the session.

        Returns:
            Whether the session's `needs` may have changed, or its deadline moved nearer. Rows alone only move the
            deadline away, unless they overflow the buffer.
        """
        session = self.session
        events = session.events()
        if self._recorder is not None and self.closed is None:  # afterwards it may serve another client
            received, self._bytes_recorded = session.bytes_received - self._bytes_recorded, session.bytes_received
            self._recorder.add(events, received, self._wall_clock())
        rows_only = events.rows_only  # only now: the recorder may have something to say
        router = self.router
        is_routed = router.is_active
        if events:
            wanted: list[Event] = events
            if self.newest is not None:
                self.newest.add(events)
            size = session.bytes_received - self._bytes_seen
            if is_routed:
                wanted, size = self._share(router, events, size)
            elif not rows_only:
                wanted = [event for event in wanted if isinstance(event, Record) or not self._route_to_caller(event)]
            # Nothing after an overflow is delivered: it would hide the hole before it.
            if self._overflow is None:
                try:
                    self._buffer.put(wanted, size, len(self._held))
                except BufferOverflow as overflow:
                    self._overflow = overflow if self.is_iterated else BufferOverflow(f"{overflow}. {NOT_ITERATED}")
                    session.close()
                    rows_only = False
                    self.collect()
            if self._last:
                self._buffer.put_last(self._last.pop())
                router.end()
            # Only now: reads that complete no message count with the message that they begin.
            self._bytes_seen = session.bytes_received
        if is_routed and not (events and rows_only):
            router.refresh()
        for unsent in self.unsent:
            if unsent.collect():
                rows_only = False
                if unsent.check():
                    self.collect()
        return not rows_only or session.watches_freshness

    def _share(self, router: Router, events: Batch, size: int) -> tuple[list[Event], int]:
        """Give rows to the streams and callbacks. Return what is for the consumer, and its share of the bytes."""
        if events.rows_only:
            wanted = router.route_rows(events, size)
        else:
            wanted = router.route_events(events, size, self._route_to_caller)
        size = size * len(wanted) // len(events)
        if wanted and not self.is_iterated and not self._buffer.has_room(len(wanted), size):
            self._buffer.discard(router.is_taken)
        return wanted, size

    def expect(self, request: Request) -> None:
        """Keep the reply to this request for `reply`, until `pop_answer` or `withdraw`: a call waits for it."""
        self._awaited.add(request)

    def pop_answer(self, request: Request) -> ConditionList | ConditionResult | None:
        """End a call that succeeded. Return the answer to a condition request, or None."""
        return self._forget(request)

    def withdraw(self, request: Request) -> None:
        """End a call that failed or was cancelled: undo its request, even if the server has accepted it.

        Call `collect` afterwards: there may be something to send.
        """
        self._forget(request)
        self.session.withdraw(request)

    def _forget(self, request: Request) -> ConditionList | ConditionResult | None:
        self._awaited.discard(request)
        self._replies.pop(request, None)
        return self._answers.pop(request, None)

    def reply(self, request: Request) -> bool:
        """Return whether the request was accepted; False means not answered yet.

        Raises:
            RequestRefused: the server refused it.
            RequestTimeout: the server did not answer in time.
            ConnectionLost: the session ended first.
        """
        reply = self._replies.get(request)
        if isinstance(reply, RequestRefusal):
            raise RequestRefused(request, reply.code, reply.message)
        if isinstance(reply, RequestUnanswered):
            raise RequestTimeout(request, reply.seconds)
        if reply is None:
            self.check_open()
        return reply is not None

    def check_open(self) -> None:
        """Raise if the session has ended.

        Raises:
            BufferOverflow: the consumer was too slow.
            ConnectionLost: it ended for any other reason.
        """
        if self._overflow is not None:
            raise self._overflow
        if self.closed is not None:
            raise ConnectionLost(self.closed, self._close_asked) from self.closed.error

    def check_login(self) -> bool:
        """Return whether the login has succeeded.

        Raises:
            LoginRefused: the server refused it.
            TokenError: no token could be obtained.
            ConnectionLost: the session ended first.
        """
        if self.logged_in and not (isinstance(self.session, Pool) and self.session.is_starting):
            return True  # if the connection was lost since, the consumer learns of it, after what came before
        if self.closed is not None and isinstance(self.closed.error, LoginRefused | TokenError):
            raise self.closed.error
        self.check_open()
        return False

    @property
    def is_ready(self) -> bool:
        """Whether the consumer need not wait: events are queued, or no more will come."""
        return self.closed is not None or bool(self._buffer)

    def pop(self) -> list[Event]:
        """Remove and return queued events, oldest first; empty if there are none.

        The driver may reverse the list, and removes from it what it delivers: what is left in it counts as waiting.
        """
        self._held = self._buffer.pop_some()
        return self._held

    def end(self) -> KiwoomError | None:
        """Return what ends the iteration; None if the user asked for the end. Call it once `closed` is set."""
        if self._overflow is not None:
            return self._overflow
        if self._close_asked or self.closed is None or self.closed.error is None:
            return None
        error = ConnectionLost(self.closed)
        error.__cause__ = self.closed.error
        return error

    def stats(self, now: int) -> Stats:
        """Return the counters of the events.

        Args:
            now: nanoseconds since the epoch, on the clock whose time is passed to `Session.receive_data`.
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

    def _route_to_caller(self, event: object) -> bool:
        """Give an event to the call that waits for it. Return whether that was all: the consumer does not get it."""
        match event:
            case LoggedIn() if not self.logged_in:
                self.logged_in = True
                return True
            case Connecting() | Disconnected() | Opened() | LoginRefusal():
                return not self.logged_in  # before the first login, `connect` reports them
            case (
                RequestAccepted(request=request) | RequestRefusal(request=request) | RequestUnanswered(request=request)
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
            case Closed() if self.session.state is SessionState.CLOSED:  # otherwise a recording goes on with another
                self.closed = event
                self._last.append(event)
                return True
        return False

"""The pump of every event loop's client: what happens between a session and the tasks that drive it.

THEORY OF OPERATION

    network  -->  [SecureWire]  -->  Wire  -->  Session  -->  Inbox  -->  calls that wait, consumer
    network  <--  [SecureWire]  <--  Wire  <--  Unsent

After whatever happened (bytes, a deadline, a call), `_pump` does the same: it takes the session's events and outgoing
bytes, wakes whoever waits for them, and wakes the timer if its deadline moved nearer. Reading never waits for the
consumer or for writing, so neither can delay the answer to a PING. One task serves the session's needs (a token, a
connection), one after the other. When the session no longer needs what is being served, it is abandoned. Of a pool each
member has such a task (`Line`); calls, inbox and timer are those of the pool.

The calls are in calls.py. An adapter is a subclass. It adds what differs between event loops: sockets, tasks and
timers.
"""

from __future__ import annotations

import abc
import math
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from ..auth import AppKey
from ..config import ClientConfig
from ..connection.capture import Capture
from ..endpoint import Endpoint
from ..errors import DeadlineExceeded, KiwoomError, LocalProtocolError, RecordingError, TokenError, TransportError
from ..headers import RequestHeader
from ..realtime.record import Record
from ..recording.recorder import Recorder
from ..rest.ticket import Ticket
from ..secrets import Secret
from ..session.connector import LinkNeeded, Need, TokenNeeded
from ..session.pool import Pool
from ..session.session import Session
from ..wire.messages import check_token
from .credentials import Credentials, renew_token, resolve_token
from .feeds import Feeds
from .line import Line
from .recovery import Recovery
from .rest_pump import BaseRestPump
from .wires import SecureWire, Wire

__all__ = ("BaseClient", "new_session")

T = TypeVar("T")

BEAT = 1.0
"""Seconds between two looks at whether the event loop still turns. A standstill may begin at any time between them."""
STANDSTILL = 5.0
"""Seconds of standing still that are always warned of; a busy machine may delay a look for a while."""
FLUSH_TIME = 0.5
"""Seconds for writing the last bytes to a connection that has ended."""
RECORDING_TIME = 30.0
"""Seconds for writing the end of a recording; then it goes on by itself."""


def new_session(
    endpoint: Endpoint,
    tokens: Sequence[Credentials],
    config: ClientConfig | None,
    *,
    clock: Callable[[], float],
    random: Callable[[], float],
    types: Iterable[type[Record]],
    capture: Capture | None,
) -> Session | Pool:
    """Return a session for one token, or a pool for several. Args and errors as `Session` and `Pool`."""
    if len(tokens) == 1:
        return Session(endpoint, config, clock=clock, random=random, types=types, capture=capture)
    if capture is not None:
        raise LocalProtocolError("record: a recording holds one token; record each with a client of its own")
    return Pool(endpoint, len(tokens), config, clock=clock, random=random, types=types)


class BaseClient(Feeds):
    """What the clients of all event loops share.

    Args:
        session: the session or pool, not connected yet.
        tokens: what to log in with: one, or one for each member of the pool.
        ssl_context: TLS settings; None verifies against the system's trust store.
        clock: the session's clock, in seconds.
        wall_clock: the time in nanoseconds since the epoch.
        record: what keeps everything that is heard and said; None keeps nothing.
    """

    _session: Session | Pool

    def __init__(
        self,
        session: Session | Pool,
        tokens: Sequence[Credentials],
        ssl_context: ssl.SSLContext | None,
        clock: Callable[[], float],
        wall_clock: Callable[[], int],
        record: Recorder | None = None,
    ) -> None:
        super().__init__(session, wall_clock, record)
        self._recorder = record
        self._ssl_context = ssl_context
        self._clock = clock
        self._lines = tuple(
            Line(unsent, token, self._new_event()) for unsent, token in zip(self._inbox.unsent, tokens, strict=True)
        )
        self._deadline_moved = self._new_event()
        self._armed = math.inf
        self._recoveries: tuple[Recovery, ...] = ()
        if session.config.recover:
            self._recoveries = tuple(
                Recovery(line.session, line.token, self._new_rest_pump, wall_clock, self._pump) for line in self._lines
            )

    # What the adapter provides.

    @abc.abstractmethod
    def _move_on_after(self, seconds: float, /) -> AbstractContextManager[Any]:
        """Return a cancel scope with a deadline; its `cancelled_caught` tells whether it was met."""

    @abc.abstractmethod
    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that blocks, in a thread. If cancelled, its result is ignored."""

    @abc.abstractmethod
    async def _fresh_token(self, key: AppKey, refused: Secret | None) -> Secret:
        """Return a token that is valid, from `key` or from the token server; not one that was refused."""

    @abc.abstractmethod
    def _new_rest_pump(self, token: Credentials, tell: Callable[[list[Ticket[Any]]], None]) -> BaseRestPump:
        """Return what drives the calls of a recovery."""

    @abc.abstractmethod
    async def _carry(self, line: Line, need: LinkNeeded) -> None:
        """Dial, then carry bytes while the line's session needs this connection."""

    @abc.abstractmethod
    def _warn(self, message: str) -> None:
        """Log a warning."""

    _sleep_call: str
    """How a program waits on this event loop."""
    _thread_call: str
    """How it calls a function in a thread."""

    # The recording.

    def _start_recording(self) -> None:
        """Begin the recording, if one is wanted.

        Raises:
            LocalProtocolError: the recorder serves another client, or is none.
        """
        capture = self._session.capture
        if self._recorder is not None and not isinstance(self._recorder, Recorder):
            raise LocalProtocolError(
                f'record: must be a Recorder, as in record=Recorder("recordings"), not {type(self._recorder).__name__}'
            )
        if self._recorder is not None and capture is not None:
            self._recorder.start(self.endpoint, capture)

    async def _end_recording(self, error: BaseException | None) -> None:
        """End the recording. Cancelled or interrupted, there is no time to wait for it: it is completed all the same.

        Args:
            error: what ends the block.

        Raises:
            RecordingError: nothing else ends the block, and the end of the recording could not be written.
        """
        recorder = self._recorder
        if recorder is None:
            return
        recorder.stop()
        if error is not None and not isinstance(error, Exception):
            return
        try:
            await self._run_in_thread(partial(recorder.wait, RECORDING_TIME))
        except RecordingError:
            if error is None:
                raise

    # Waiting.

    async def _wait_login(self) -> None:
        while not self._inbox.check_login():
            await self._wait_change()

    async def _wait_events(self) -> None:
        await self._wait_change()

    async def _watch_loop(self) -> None:
        """Warn when the event loop has stood still: nothing else could tell why the server gave up, or rows were late.

        A callback or another task has blocked it, with `time.sleep` as a rule.
        """
        while True:
            due = self._clock() + BEAT
            with self._move_on_after(BEAT):
                await self._new_event().wait()
            late = self._clock() - due
            if late >= STANDSTILL - BEAT:
                self._warn(
                    f"the event loop stood still for {late:.1f} to {late + BEAT:.1f} s, and the client with it: no row "
                    "was read, no PING answered. Did an async function or a callback call `time.sleep`, or calculate "
                    "for long? "
                    f"Write `await {self._sleep_call}` or `await {self._thread_call}`"
                )

    # The pump.

    def _pump(self) -> None:
        for recovery in self._recoveries:
            recovery.advance()
        self._inbox.collect()
        self._apply_session()
        self._wake()
        if self._due:
            self._make_calls()

    def _apply_session(self) -> None:
        """Let the tasks do what the session needs now: write, hang up, rearm the timer."""
        for line in self._lines:
            if line.unsent.data or self._inbox.closed is not None:
                line.has_outgoing.set()
            serving = line.serving
            if serving is not None and line.needs_else and serving.deadline == math.inf:
                serving.deadline = self._clock() + FLUSH_TIME
                line.has_outgoing.set()
        timeout = self._session.next_timeout()
        if timeout is not None and timeout < self._armed:
            self._deadline_moved.set()

    def _cut(self) -> None:
        """End without a closing handshake, if it has not ended: whoever waits for anything learns of it now."""
        if self._inbox.closed is None:
            self._inbox.close()
            for line in self._lines:
                line.session.receive_eof()
            self._pump()

    async def _connect(self, header: RequestHeader | None) -> None:
        """Obtain the first token of each line, and connect its session with it.

        Raises:
            DeadlineExceeded: the token callable took longer than `token_timeout`.
            Exception: what the token callable raises, except for what may pass (TokenError, TransportError).
        """
        for line in self._lines:
            await self._connect_line(line, header)

    async def _connect_line(self, line: Line, header: RequestHeader | None) -> None:
        token, session = line.token, line.session
        first: Secret | None = None
        failure: KiwoomError | None = None
        if not isinstance(token, AppKey):
            with self._move_on_after(session.config.token_timeout) as scope:
                try:
                    first = await self._resolve_token(token)
                    check_token(first)
                except (TokenError, TransportError) as error:
                    failure = error  # the session decides whether this is the end
            if scope.cancelled_caught:
                raise DeadlineExceeded("token", session.config.token_timeout)
        session.connect(
            first,
            header,
            renewable=not isinstance(token, Secret),
            keep=not isinstance(token, AppKey),
            secrets=token.secrets if isinstance(token, AppKey) else (),
        )
        if failure is not None:
            session.token_failed(failure)

    async def _serve_need(self, line: Line, need: Need | None) -> None:
        match need:
            case LinkNeeded():
                await self._carry(line, need)
            case TokenNeeded():
                await self._renew_token(line, need)
            case None:
                line.has_outgoing = self._new_event()
                if self._inbox.closed is None and not line.needs_else:
                    await line.has_outgoing.wait()

    async def _renew_token(self, line: Line, need: TokenNeeded) -> None:
        try:
            token = await self._obtain_token(line, need.refused)
        except KiwoomError as error:
            if need is line.session.needs:
                line.session.token_failed(error)
        else:
            if need is line.session.needs:
                line.session.receive_token(token)
        self._pump()

    async def _obtain_token(self, line: Line, refused: Secret | None) -> Secret:
        if isinstance(line.token, AppKey):
            return await self._fresh_token(line.token, refused)
        return await renew_token(partial(self._resolve_token, line.token))

    def _open_wire(self, line: Line, need: LinkNeeded) -> Wire | SecureWire:
        """Return what carries the bytes of one connection, with TLS if the endpoint asks for it.

        Raises:
            LocalProtocolError: the TLS context does not verify the server.
        """
        endpoint = need.endpoint
        endpoint.check_tls(self._ssl_context)  # it may have been changed since the last time
        wire = Wire(
            endpoint,
            line.unsent.data,
            partial(self._handle_data, line.session, need),
            partial(self._handle_eof, line.session, need),
        )
        if not endpoint.secure:
            return wire
        return SecureWire(wire, endpoint.host, self._ssl_context, partial(self._wake_writer, line))

    def _handle_data(self, session: Session, need: LinkNeeded, data: bytes | bytearray) -> None:
        if need is session.needs:  # otherwise it is another connection's turn
            session.receive_data(data, self._wall_clock())
            for recovery in self._recoveries:
                recovery.advance()
            if self._inbox.collect():  # as in `_pump`, without what rows alone cannot change
                self._apply_session()
            self._wake()
            if self._due:
                self._make_calls()  # in this very turn, and after everything else

    def _handle_eof(self, session: Session, need: LinkNeeded, error: str | None) -> None:
        if need is session.needs:
            session.receive_eof(error)
            self._pump()

    def _wake_writer(self, line: Line) -> None:
        line.has_outgoing.set()

    async def _resolve_token(self, token: Credentials) -> Secret:
        """Return the token, or what the user's callable returns."""
        return await resolve_token(token)

    def _fail_dial(self, line: Line, need: LinkNeeded, reason: str) -> None:
        self._handle_eof(line.session, need, f"could not connect to {need.endpoint}: {reason}")

    async def _write(
        self,
        send: Callable[[bytes | memoryview], Awaitable[None]],
        line: Line,
        need: LinkNeeded,
        wire: Wire | SecureWire,
        failures: tuple[type[Exception], ...],
    ) -> None:
        """Write what there is to send until the session needs something else.

        Args:
            send: writes to the socket.
            line: the session.
            need: the connection.
            wire: its bytes.
            failures: what `send` raises if the connection is lost.
        """
        while True:
            line.has_outgoing = self._new_event()
            if wire.has_outgoing:
                await self._checkpoint()  # a failing write would lose what has arrived: let it be read first
                try:
                    await send(wire.data_to_send())
                except failures:
                    # The server's last bytes may still wait to be read: the reader finds the end, and its reason.
                    while need is line.session.needs:
                        await self._wait_change()
                    return
            elif need is not line.session.needs:
                return
            else:
                await line.has_outgoing.wait()

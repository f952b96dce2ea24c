"""The pump of every event loop's client: what happens between a session and the tasks that drive it.

THEORY OF OPERATION

    network  -->  [SecureWire]  -->  Wire  -->  Session  -->  Inbox  -->  calls that wait, consumer
    network  <--  [SecureWire]  <--  Wire  <--  Inbox.outgoing

After whatever happened (bytes, a deadline, a call), `_pump` does the same: it takes the session's events and outgoing
bytes, wakes whoever waits for them, and wakes the timer if its deadline moved nearer. Reading never waits for the
consumer or for writing, so neither can delay the answer to a PING. One task serves the session's needs (a token, a
connection), one after the other. When the session no longer needs what is being served, it is abandoned.

The calls are in calls.py. An adapter is a subclass. It adds what differs between event loops: sockets, tasks and
timers.
"""

from __future__ import annotations

import abc
import math
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from ..auth import AppKey
from ..errors import DeadlineExceeded, KiwoomError, RecordingError, TokenError, TransportError
from ..headers import RequestHeader
from ..recording.recorder import Recorder
from ..secrets import Secret
from ..session.connector import LinkNeeded, Need, TokenNeeded
from ..session.session import Session
from ..wire.messages import check_token
from .credentials import Credentials, resolve_token
from .feeds import Feeds
from .own_loop import AnyScope
from .wires import SecureWire, Wire

__all__ = ("BaseClient",)

T = TypeVar("T")

FLUSH_TIME = 0.5
"""Seconds for writing the last bytes to a connection that has ended."""
RECORDING_TIME = 30.0
"""Seconds for writing the end of a recording; then it goes on by itself."""


class BaseClient(Feeds):
    """What the clients of all event loops share.

    Args:
        session: the session, not connected yet.
        token: what to log in with.
        ssl_context: TLS settings; None verifies against the system's trust store.
        clock: the session's clock, in seconds.
        wall_clock: the time in nanoseconds since the epoch.
        record: what keeps everything that is heard and said; None keeps nothing.
    """

    _session: Session

    def __init__(
        self,
        session: Session,
        token: Credentials,
        ssl_context: ssl.SSLContext | None,
        clock: Callable[[], float],
        wall_clock: Callable[[], int],
        record: Recorder | None = None,
    ) -> None:
        super().__init__(session, wall_clock, record)
        self._recorder = record
        self._token = token
        self._ssl_context = ssl_context
        self._clock = clock
        self._has_outgoing = self._new_event()
        self._deadline_moved = self._new_event()
        self._armed = math.inf
        self._need: Need | None = None
        self._serving: AnyScope | None = None  # cancels what serves `_need`

    # What the adapter provides.

    @abc.abstractmethod
    def _move_on_after(self, seconds: float, /) -> AbstractContextManager[Any]:
        """Return a cancel scope with a deadline; its `cancelled_caught` tells whether it was met."""

    @abc.abstractmethod
    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that blocks, in a thread. If cancelled, its result is ignored."""

    @abc.abstractmethod
    async def _fresh_token(self, key: AppKey) -> Secret:
        """Return a token that is valid, from `key` or from the token server."""

    @abc.abstractmethod
    async def _carry(self, need: LinkNeeded) -> None:
        """Dial, then carry bytes while the session needs this connection."""

    # The recording.

    def _start_recording(self) -> None:
        """Begin the recording, if one is wanted.

        Raises:
            LocalProtocolError: the recorder serves another client.
        """
        capture = self._session.capture
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

    # The pump.

    def _pump(self) -> None:
        self._inbox.collect()
        self._apply_session()
        self._wake()
        if self._due:
            self._make_calls()

    def _apply_session(self) -> None:
        """Let the tasks do what the session needs now: write, hang up, rearm the timer."""
        if self._inbox.outgoing:
            self._has_outgoing.set()
        serving = self._serving
        if serving is not None and self._need is not self._session.needs and serving.deadline == math.inf:
            serving.deadline = self._clock() + FLUSH_TIME
            self._has_outgoing.set()
        timeout = self._session.next_timeout()
        if timeout is not None and timeout < self._armed:
            self._deadline_moved.set()

    async def _connect(self, header: RequestHeader | None) -> None:
        """Obtain the first token, and connect the session with it.

        Raises:
            DeadlineExceeded: the token callable took longer than `token_timeout`.
            Exception: what the token callable raises, except for what may pass (TokenError, TransportError).
        """
        token, session = self._token, self._session
        first: Secret | None = None
        failure: KiwoomError | None = None
        if not isinstance(token, AppKey):
            with self._move_on_after(session.config.token_timeout) as scope:
                try:
                    first = await self._resolve_token()
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

    async def _serve_need(self, need: Need | None) -> None:
        match need:
            case LinkNeeded():
                await self._carry(need)
            case TokenNeeded():
                await self._renew_token(need)
            case None if self._inbox.closed is None:
                await self._wait_change()

    async def _renew_token(self, need: TokenNeeded) -> None:
        try:
            token = await self._obtain_token(need.refused)
        except KiwoomError as error:
            if need is self._session.needs:
                self._session.token_failed(error)
        else:
            if need is self._session.needs:
                self._session.receive_token(token)
        self._pump()

    async def _obtain_token(self, refused: Secret | None) -> Secret:
        if isinstance(self._token, AppKey):
            if refused is not None:
                self._token.forget(self.endpoint, refused)
            return await self._fresh_token(self._token)
        try:
            token = await self._resolve_token()
        except KiwoomError:
            raise
        except Exception as error:
            raise TokenError(f"the token callable raised {type(error).__name__}") from error
        check_token(token)
        return token

    def _open_wire(self, need: LinkNeeded) -> Wire | SecureWire:
        """Return what carries the bytes of one connection, with TLS if the endpoint asks for it.

        Raises:
            LocalProtocolError: the TLS context does not verify the server.
        """
        endpoint = need.endpoint
        endpoint.check_tls(self._ssl_context)  # it may have been changed since the last time
        wire = Wire(endpoint, self._inbox.outgoing, partial(self._handle_data, need), partial(self._handle_eof, need))
        return SecureWire(wire, endpoint.host, self._ssl_context, self._wake_writer) if endpoint.secure else wire

    def _handle_data(self, need: LinkNeeded, data: bytes | bytearray) -> None:
        session = self._session
        if need is session.needs:  # otherwise it is another connection's turn
            session.receive_data(data, self._wall_clock())
            if self._inbox.collect():  # as in `_pump`, without what rows alone cannot change
                self._apply_session()
            self._wake()
            if self._due:
                self._make_calls()  # in this very turn, and after everything else

    def _handle_eof(self, need: LinkNeeded, error: str | None) -> None:
        if need is self._session.needs:
            self._session.receive_eof(error)
            self._pump()

    def _wake_writer(self) -> None:
        self._has_outgoing.set()

    async def _resolve_token(self) -> Secret:
        """Return the token, or what the user's callable returns."""
        return await resolve_token(self._token)

    def _fail_dial(self, need: LinkNeeded, reason: str) -> None:
        if need is self._session.needs:
            self._session.receive_eof(f"could not connect to {need.endpoint}: {reason}")
            self._pump()

    async def _write(
        self,
        send: Callable[[bytes | memoryview], Awaitable[None]],
        need: LinkNeeded,
        wire: Wire | SecureWire,
        failures: tuple[type[Exception], ...],
    ) -> None:
        """Write what there is to send until the session needs something else.

        Args:
            send: writes to the socket.
            need: the connection.
            wire: its bytes.
            failures: what `send` raises if the connection is lost.
        """
        while True:
            self._has_outgoing = self._new_event()
            if wire.has_outgoing:
                await self._checkpoint()  # a failing write would lose what has arrived: let it be read first
                try:
                    await send(wire.data_to_send())
                except failures:
                    # The server's last bytes may still wait to be read: the reader finds the end, and its reason.
                    while need is self._session.needs:
                        await self._wait_change()
                    return
            elif need is not self._session.needs:
                return
            else:
                await self._has_outgoing.wait()

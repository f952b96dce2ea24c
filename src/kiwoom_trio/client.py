"""connect and Client on trio: sockets, tasks and timers. `BaseClient` has everything else."""

from __future__ import annotations

import logging
import math
import random
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, TypeVar

import trio
from trio.lowlevel import checkpoint, disable_ki_protection, enable_ki_protection

from kiwoom_proto import AppKey, ClientConfig, Endpoint, LinkNeeded, LocalProtocolError, Record, Secret, Session
from kiwoom_proto.client.credentials import Credentials, Token, credentials_of, needs_token, resolve_token
from kiwoom_proto.client.line import Line
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.client.pump import BaseClient, new_session
from kiwoom_proto.client.recovery import with_recovery
from kiwoom_proto.client.wires import SecureWire, Wire
from kiwoom_proto.config import RecoveryPolicy
from kiwoom_proto.connection.capture import Capture
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.secrets import conceal_each
from kiwoom_proto.session.pool import Pool

from .auth import fresh_token
from .dial import NETWORK_ERRORS, STREAM_ERRORS, describe, dial
from .own_loop import HAND_OVER, here
from .rest import RestPump
from .tasks import background_tasks, block

__all__ = ("Client", "connect")

T = TypeVar("T")

READ_SIZE = 262_144


@needs_token(conceal_each)
@block
async def connect(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
    recover: bool | RecoveryPolicy = False,
) -> AsyncGenerator[Client]:
    """Connect, log in, and yield a `Client` that stays connected; leaving the block closes.

    The client reconnects after a loss, and registers everything wanted again; see docs/reliability.md.

    Args:
        endpoint: PRODUCTION, MOCK, or an endpoint of your own.
        token: the access token, without "Bearer"; or an `AppKey` to obtain tokens with; or an async callable that
            returns one. The last two are used again when a token is refused. A list of several app keys' tokens makes
            several connections that are one feed, for more items; see docs/pool.md.
        config: deadlines, limits and policies, such as what to do when the consumer is slow.
        header: header elements for the opening handshakes; none are needed.
        ssl_context: TLS settings; None verifies against the system's trust store.
        types: record classes of your own, in addition to the catalogue or replacing its class of the same type code.
        record: keeps everything that is heard and said in files; see docs/recordings.md.
        recover: whether the state after a gap, and at the start, is asked for over REST and iterated as `Snapshot`
            events; a policy says what of it. See docs/reliability.md.

    Raises:
        LoginRefused: the server refused the token.
        TokenError: no token could be obtained, and waiting would not help. What the callable raises at first is raised
            unchanged, except for `TokenError` and `TransportError`, which may pass: it is called again, within
            `connect_timeout`.
        DeadlineExceeded: the callable took longer than `token_timeout`.
        ConnectionLost: no connection could be made within `connect_timeout`; the text says what went wrong last.
        LocalProtocolError: an argument is invalid, or `record` serves another client.
        RecordingError: on leaving the block: the end of the recording could not be written.
    """
    token = conceal_each(token)  # tracebacks may show variables
    tokens = credentials_of(token)
    config = with_recovery(config, recover)
    if isinstance(endpoint, Endpoint):  # `Session` refuses anything else
        endpoint.check_tls(ssl_context)
    capture = None if record is None else Capture()
    session = new_session(
        endpoint, tokens, config, clock=trio.current_time, random=random.random, types=types, capture=capture
    )
    client = Client(session, tokens, ssl_context, record)
    client._start_recording()
    try:
        await client._connect(header)
        async with background_tasks() as tasks:
            tasks.start_soon(client._run)
            await client._wait_login()
            try:
                try:
                    yield client
                except Exception:
                    try:
                        await client.aclose()
                    except trio.Cancelled:
                        if not tasks.cancel_scope.cancel_called:
                            raise  # otherwise `_run` has failed, and cancels this: the error of the block counts
                    raise
                await client.aclose()
            finally:
                client._cut()  # cancelled or interrupted, there is no time for a closing handshake
    except BaseException as error:
        await client._end_recording(error)
        raise
    await client._end_recording(None)


class Client(BaseClient):
    """A client that is logged in, and stays so. Made by `connect`.

    Iterate it for rows (`Record` and subclasses), notices, and messages that could not be decoded, in order. After a
    loss it yields `Disconnected`, and `Gap` once everything wanted is registered again. The iteration ends after
    `aclose`. It raises ConnectionLost when the session gave up, and BufferOverflow when the consumer was too slow for
    its policy; both after everything received before, with `Closed` last.

    Several tasks may iterate it: each event goes to one of them, but not in equal shares. A client belongs to the event
    loop and thread that it was connected in: calls and iteration elsewhere raise LocalProtocolError. Its properties and
    `stats` may be read anywhere.
    """

    def __init__(
        self,
        session: Session | Pool,
        tokens: Sequence[Credentials],
        ssl_context: ssl.SSLContext | None,
        record: Recorder | None = None,
    ) -> None:
        super().__init__(session, tokens, ssl_context, trio.current_time, time.time_ns, record)

    def _here(self) -> Place:
        return here()

    _hand_over = HAND_OVER
    _new_event = trio.Event
    _move_on_after = staticmethod(trio.move_on_after)
    _checkpoint = staticmethod(checkpoint)
    _sleep_call = "trio.sleep(...)"
    _thread_call = "trio.to_thread.run_sync(function)"

    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True)

    def _new_rest_pump(self, token: Credentials, tell: Callable[[list[Ticket[Any]]], None]) -> RestPump:
        return RestPump(self.endpoint, token, None, self._ssl_context, tell)

    async def _fresh_token(self, key: AppKey, refused: Secret | None) -> Secret:
        return await fresh_token(self.endpoint, key, ssl_context=self._ssl_context, refused=refused)

    def _warn(self, message: str) -> None:
        logging.getLogger("kiwoom_trio").warning("%s", message)

    def _report_failure(self, message: str, error: Exception) -> None:
        logging.getLogger("kiwoom_trio").error("%s", message, exc_info=error)

    @disable_ki_protection
    def _make_calls(self) -> None:
        super()._make_calls()

    @disable_ki_protection
    async def _resolve_token(self, token: Credentials) -> Secret:
        return await resolve_token(token)

    @enable_ki_protection
    async def _run(self) -> None:
        """Watch the clock, and serve what is needed until the end."""
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._watch_clock)
            tasks.start_soon(self._watch_loop)
            for recovery in self._recoveries:
                tasks.start_soon(recovery.run, tasks)
            async with trio.open_nursery() as others:
                for line in self._lines[1:]:
                    others.start_soon(self._serve, line)
                await self._serve(self._lines[0])
            tasks.cancel_scope.cancel()

    @enable_ki_protection
    async def _watch_loop(self) -> None:
        await super()._watch_loop()

    @enable_ki_protection
    async def _serve(self, line: Line) -> None:
        while self._inbox.closed is None:
            line.need = line.session.needs
            with trio.CancelScope() as line.serving:
                self._pump()
                await self._serve_need(line, line.need)

    async def _carry(self, line: Line, need: LinkNeeded) -> None:
        try:
            wire = self._open_wire(line, need)
            stream = await dial(need.endpoint.host, need.endpoint.port)
        except (*NETWORK_ERRORS, LocalProtocolError) as error:
            self._fail_dial(line, need, describe(error))
            return
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._read, stream, line.session, need, wire)
                await self._write(stream.send_all, line, need, wire, STREAM_ERRORS)
                tasks.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)

    @enable_ki_protection
    async def _read(self, stream: trio.abc.Stream, session: Session, need: LinkNeeded, wire: Wire | SecureWire) -> None:
        receive, receive_data = stream.receive_some, wire.receive_data
        while need is session.needs:
            try:
                data = await receive(READ_SIZE)
            except STREAM_ERRORS as failure:
                wire.receive_eof(describe(failure))
            else:
                if data:
                    receive_data(data)
                else:
                    wire.receive_eof()

    @enable_ki_protection
    async def _watch_clock(self) -> None:
        while self._inbox.closed is None:
            timeout = self._session.next_timeout()
            self._armed = math.inf if timeout is None else timeout
            self._deadline_moved = trio.Event()
            with trio.CancelScope(deadline=self._armed):
                await self._deadline_moved.wait()
                continue
            self._session.handle_timeout()
            self._pump()

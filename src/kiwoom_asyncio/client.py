"""connect and Client on asyncio: sockets, tasks (by way of anyio) and timers. `BaseClient` has everything else."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from kiwoom_proto import AppKey, ClientConfig, Endpoint, LinkNeeded, LocalProtocolError, Record, Secret, Session
from kiwoom_proto.client.async_block import AsyncBlock, opening
from kiwoom_proto.client.credentials import Credentials, Token, credentials_of, needs_token
from kiwoom_proto.client.errors import Failure, add_failure
from kiwoom_proto.client.line import Line
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.client.pump import BaseClient, new_session
from kiwoom_proto.client.recovery import with_recovery
from kiwoom_proto.config import RecoveryPolicy
from kiwoom_proto.connection.capture import Capture
from kiwoom_proto.errors import TokenError
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.secrets import conceal_each
from kiwoom_proto.session.pool import Pool

from .auth import fresh_token
from .dial import NETWORK_ERRORS, describe, dial
from .own_loop import HAND_OVER, check_loop, here
from .rest import RestPump
from .tasks import BackgroundTask, background_tasks, run_together

__all__ = ("Client", "connect", "open")

T = TypeVar("T")

CONNECT = "write `async with connect(...) as client:`, or in the cells of a notebook `client = await open(...)`"
OPEN = "write `client = await open(...)`, and `await client.aclose()` in the end; a block is `async with connect(...)`"


@needs_token(conceal_each)
def connect(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
    recover: bool | RecoveryPolicy = False,
) -> AbstractAsyncContextManager[Client]:
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
    config = with_recovery(config, recover)
    return _Connection(endpoint, credentials_of(token), config, header, ssl_context, types, record)


@needs_token(conceal_each)
@opening(OPEN)
async def open(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
    recover: bool | RecoveryPolicy = False,
) -> Client:
    """Connect, log in, and return a `Client` that stays connected until its `aclose()`, whatever task calls that.

    For the cells of a notebook, and wherever no block encloses the use; elsewhere prefer `connect`. If it is never
    closed, its connection ends with the event loop. Args and errors as for `connect`.
    """
    token = conceal_each(token)  # tracebacks may show variables
    config = with_recovery(config, recover)
    connection = _Connection(endpoint, credentials_of(token), config, header, ssl_context, types, record)
    client = await connection.__aenter__()
    client._block = connection
    return client


class _Connection(AsyncBlock["Client"]):
    """What `connect` returns. It may be entered in one task and left in another, as the cells of a notebook are."""

    def __init__(
        self,
        endpoint: Endpoint,
        tokens: Sequence[Credentials],
        config: ClientConfig | None,
        header: RequestHeader | None,
        ssl_context: ssl.SSLContext | None,
        types: Iterable[type[Record]],
        record: Recorder | None,
    ) -> None:
        super().__init__("connect", CONNECT, "use kiwoom_asyncio.blocking.connect(...)", check_loop)
        self._endpoint = endpoint
        self._tokens = tokens
        self._config = config
        self._header = header
        self._ssl_context = ssl_context
        self._types = types
        self._record = record
        self._task: BackgroundTask | None = None

    async def __aenter__(self) -> Client:
        self._enter()
        if isinstance(self._endpoint, Endpoint):  # `Session` refuses anything else
            self._endpoint.check_tls(self._ssl_context)
        clock = asyncio.get_running_loop().time
        capture = None if self._record is None else Capture()
        session = new_session(
            self._endpoint,
            self._tokens,
            self._config,
            clock=clock,
            random=random.random,
            types=self._types,
            capture=capture,
        )
        self._client = Client(session, self._tokens, self._ssl_context, self._record)
        self._client._start_recording()
        try:
            await self._client._connect(self._header)
            self._task = BackgroundTask(self._client._run, self._client._fail)
            await self._client._wait_login()
        except BaseException as error:
            if self._task is not None:
                await self._task.end()
            await self._client._end_recording(error)
            raise
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        client, ended_by = self._client, error
        try:
            if error is None or isinstance(error, Exception):
                await client.aclose()
        except BaseException as failed:
            if client._failure is None or failed is not client._failure.error:
                ended_by = failed
                raise
        finally:
            client._cut()  # cancelled or interrupted, there is no time for a closing handshake
            await self._task.end()
            failure = None if client._failure is None else client._failure.error
            await client._end_recording(ended_by or failure)
        if failure is not None:
            if error is None:
                raise failure
            add_failure(error, failure)


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
        super().__init__(session, tokens, ssl_context, asyncio.get_running_loop().time, time.time_ns, record)
        self._block: _Connection | None = None  # that `aclose` must leave: nobody else does

    async def aclose(self) -> None:
        """Close, and wait until that is done, at most `close_timeout`. Events received before can still be iterated."""
        self._check_place()
        block, self._block = self._block, None
        if block is None:
            await super().aclose()
        else:
            await block.__aexit__(None, None, None)

    def _here(self) -> Place:
        return here()

    _hand_over = HAND_OVER
    _new_event = asyncio.Event
    _move_on_after = staticmethod(anyio.move_on_after)
    _checkpoint = staticmethod(checkpoint)
    _sleep_call = "asyncio.sleep(...)"
    _thread_call = "asyncio.to_thread(function)"

    async def _run_in_thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True)

    def _new_rest_pump(self, token: Credentials, tell: Callable[[list[Ticket[Any]]], None]) -> RestPump:
        return RestPump(self.endpoint, token, None, self._ssl_context, tell)

    async def _fresh_token(self, key: AppKey, refused: Secret | None) -> Secret:
        return await fresh_token(self.endpoint, key, ssl_context=self._ssl_context, refused=refused)

    async def _obtain_token(self, line: Line, refused: Secret | None) -> Secret:
        try:
            return await super()._obtain_token(line, refused)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling() or isinstance(line.token, AppKey):
                raise
            # What the callable waited for was cancelled by somebody else: without this, our task would end unnoticed.
            raise TokenError("what the token callable waited for was cancelled") from error

    async def _run(self) -> None:
        """Watch the clock, and serve what is needed until the end."""
        async with background_tasks() as tasks:
            tasks.start_soon(self._watch_clock)
            tasks.start_soon(self._watch_loop)
            for recovery in self._recoveries:
                tasks.start_soon(recovery.run, tasks)
            await run_together(*(partial(self._serve, line) for line in self._lines))

    async def _serve(self, line: Line) -> None:
        while self._inbox.closed is None:
            line.need = line.session.needs
            with anyio.CancelScope() as line.serving:
                self._pump()
                await self._serve_need(line, line.need)

    def _fail(self, failure: BaseException) -> None:
        self._failure = Failure(failure)
        self._wake()
        self._router.end()

    def _warn(self, message: str) -> None:
        logging.getLogger("kiwoom_asyncio").warning("%s", message)

    def _report_failure(self, message: str, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error, "client": self})

    async def _carry(self, line: Line, need: LinkNeeded) -> None:
        try:
            wire = self._open_wire(line, need)
            link = await dial(need.endpoint.host, need.endpoint.port, wire)
        except (*NETWORK_ERRORS, LocalProtocolError) as error:
            self._fail_dial(line, need, describe(error))
            return
        async with link.supervised():
            await self._write(link.send, line, need, wire, (OSError,))

    async def _watch_clock(self) -> None:
        while self._inbox.closed is None:
            timeout = self._session.next_timeout()
            self._armed = math.inf if timeout is None else timeout
            self._deadline_moved = asyncio.Event()
            with anyio.CancelScope(deadline=self._armed):
                await self._deadline_moved.wait()
                continue
            self._session.handle_timeout()
            self._pump()

"""rest and RestClient on asyncio: sockets, tasks (by way of anyio) and timers. `BaseRestClient` has everything else."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from kiwoom_proto import AppKey, Endpoint, Secret
from kiwoom_proto.client.async_block import AsyncBlock, opening
from kiwoom_proto.client.credentials import Credentials, Token, needs_token, one_credential
from kiwoom_proto.client.errors import add_failure
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.client.rest import BaseRestClient
from kiwoom_proto.client.rest_pump import BaseRestPump, LinkWire
from kiwoom_proto.config import RestConfig
from kiwoom_proto.errors import TokenError
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.secrets import conceal

from .auth import fresh_token
from .dial import NETWORK_ERRORS, describe, dial
from .own_loop import HAND_OVER, check_loop, here
from .tasks import BackgroundTask, background_tasks

__all__ = ("RestClient", "RestPump", "open_rest", "rest")

REST = "write `async with rest(...) as api:`, or in the cells of a notebook `api = await open_rest(...)`"
OPEN_REST = "write `api = await open_rest(...)`, and `await api.aclose()` in the end; a block is `async with rest(...)`"


@needs_token(conceal)
def rest(
    endpoint: Endpoint,
    *,
    token: Token,
    config: RestConfig | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AbstractAsyncContextManager[RestClient]:
    """Yield a `RestClient` for the TRs of the REST interface; leaving the block closes its connections.

    Nothing is sent before the first call. See docs/rest.md.

    Args:
        endpoint: PRODUCTION, MOCK, or an endpoint of your own. The market of its path does not matter.
        token: the access token, without "Bearer"; or an `AppKey` to obtain tokens with, which may be shared with
            clients of the feed; or an async callable that returns a token. The last two are used again when a token is
            refused.
        config: deadlines and limits.
        ssl_context: TLS settings; None verifies against the system's trust store.

    Raises:
        LocalProtocolError: an argument is invalid.
    """
    token = conceal(token)  # tracebacks may show variables
    return _Block(endpoint, one_credential(token), config, ssl_context)


@needs_token(conceal)
@opening(OPEN_REST)
async def open_rest(
    endpoint: Endpoint,
    *,
    token: Token,
    config: RestConfig | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> RestClient:
    """Return a `RestClient` that is open until its `aclose()`, whatever task calls that.

    For the cells of a notebook, and wherever no block encloses the use; elsewhere prefer `rest`. Args and errors as
    for `rest`.
    """
    token = conceal(token)  # tracebacks may show variables
    block = _Block(endpoint, one_credential(token), config, ssl_context)
    client = await block.__aenter__()
    client._block = block
    return client


class _Block(AsyncBlock["RestClient"]):
    """What `rest` returns. It may be entered in one task and left in another, as the cells of a notebook are."""

    def __init__(
        self, endpoint: Endpoint, token: Credentials, config: RestConfig | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        super().__init__("rest", REST, "use kiwoom_asyncio.blocking.rest(...)", check_loop)
        self._arguments = endpoint, token, config, ssl_context

    async def __aenter__(self) -> RestClient:
        self._enter()
        self._client = RestClient(*self._arguments)
        self._task = BackgroundTask(self._client._run, self._client._fail)
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client._close()
        await self._task.end()
        failure = None if self._client._failure is None else self._client._failure.error
        if failure is not None:
            if error is None:
                raise failure
            add_failure(error, failure)


class RestClient(BaseRestClient):
    """Calls TRs of the REST interface. Made by `rest`.

    Several tasks may call at once: they share the connections, the token, and the rate that the server allows. A client
    belongs to the event loop and thread that it was made in.
    """

    def __init__(
        self, endpoint: Endpoint, token: Credentials, config: RestConfig | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(lambda tell: RestPump(endpoint, token, config, ssl_context, tell))
        self._block: _Block | None = None  # that `aclose` must leave: nobody else does

    async def aclose(self) -> None:
        """Take back all calls, and close the connections. An order under way raises `OrderOutcomeUnknown`."""
        await super().aclose()
        block, self._block = self._block, None
        if block is not None:
            await block.__aexit__(None, None, None)

    def _here(self) -> Place:
        return here()

    _hand_over = HAND_OVER
    _new_event = asyncio.Event

    async def _run(self) -> None:
        async with background_tasks() as tasks:
            await self._pump.run(tasks)


class RestPump(BaseRestPump):
    """Drives a dispatcher on asyncio."""

    def __init__(
        self,
        endpoint: Endpoint,
        token: Credentials,
        config: RestConfig | None,
        ssl_context: ssl.SSLContext | None,
        tell: Callable[[list[Ticket[Any]]], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        is_monotonic = abs(loop.time() - time.monotonic()) < 1  # as every loop is that keeps real time
        super().__init__(
            endpoint,
            token,
            config,
            ssl_context,
            clock=loop.time,
            clock_of="monotonic" if is_monotonic else loop,
            wall_clock=time.time,
            tell=tell,
        )

    _new_event = asyncio.Event
    _new_scope = anyio.CancelScope
    _move_on_after = staticmethod(anyio.move_on_after)
    _checkpoint = staticmethod(checkpoint)

    async def _fresh_token(self, key: AppKey, refused: Secret | None) -> Secret:
        return await fresh_token(self.dispatcher.endpoint, key, ssl_context=self.ssl_context, refused=refused)

    async def _resolve_token(self) -> Secret:
        try:
            return await super()._resolve_token()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # What the callable waited for was cancelled by somebody else: without this, our task would end unnoticed.
            raise TokenError("what the token callable waited for was cancelled") from error

    async def _carry(self, wire: LinkWire, served: Any) -> None:
        try:
            link = await dial(wire.host, wire.port, wire)
        except NETWORK_ERRORS as error:
            wire.fail_dial(describe(error))
            return
        async with link.supervised():
            wire.connected()
            await self._write(link.send, wire, served, (OSError,))

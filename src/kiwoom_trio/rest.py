"""rest and RestClient on trio: sockets, tasks and timers. `BaseRestClient` has everything else."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import trio
from trio.lowlevel import checkpoint, current_trio_token, disable_ki_protection, enable_ki_protection

from kiwoom_proto import AppKey, Endpoint, Secret
from kiwoom_proto.client.credentials import Credentials, Token, needs_token, one_credential
from kiwoom_proto.client.own_loop import Place
from kiwoom_proto.client.rest import BaseRestClient
from kiwoom_proto.client.rest_pump import BaseRestPump, LinkWire
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.secrets import conceal

from .auth import fresh_token
from .dial import NETWORK_ERRORS, STREAM_ERRORS, describe, dial
from .own_loop import HAND_OVER, here
from .tasks import background_tasks, block

__all__ = ("RestClient", "RestPump", "rest")

READ_SIZE = 262_144


@needs_token(conceal)
@block
async def rest(
    endpoint: Endpoint,
    *,
    token: Token,
    config: RestConfig | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncGenerator[RestClient]:
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
    client = RestClient(endpoint, one_credential(token), config, ssl_context)
    async with background_tasks() as tasks:
        tasks.start_soon(client._run)
        try:
            yield client
        finally:
            client._close()


class RestClient(BaseRestClient):
    """Calls TRs of the REST interface. Made by `rest`.

    Several tasks may call at once: they share the connections, the token, and the rate that the server allows. A client
    belongs to the event loop and thread that it was made in.
    """

    def __init__(
        self, endpoint: Endpoint, token: Credentials, config: RestConfig | None, ssl_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(lambda tell: RestPump(endpoint, token, config, ssl_context, tell))

    def _here(self) -> Place:
        return here()

    _hand_over = HAND_OVER
    _new_event = trio.Event

    @enable_ki_protection
    async def _run(self) -> None:
        async with trio.open_nursery() as tasks:
            await self._pump.run(tasks)


class RestPump(BaseRestPump):
    """Drives a dispatcher on trio."""

    def __init__(
        self,
        endpoint: Endpoint,
        token: Credentials,
        config: RestConfig | None,
        ssl_context: ssl.SSLContext | None,
        tell: Callable[[list[Ticket[Any]]], None],
    ) -> None:
        super().__init__(
            endpoint,
            token,
            config,
            ssl_context,
            clock=trio.current_time,
            clock_of=current_trio_token(),
            wall_clock=time.time,
            tell=tell,
        )

    _new_event = trio.Event
    _new_scope = trio.CancelScope
    _move_on_after = staticmethod(trio.move_on_after)
    _checkpoint = staticmethod(checkpoint)

    async def _fresh_token(self, key: AppKey, refused: Secret | None) -> Secret:
        return await fresh_token(self.dispatcher.endpoint, key, ssl_context=self.ssl_context, refused=refused)

    @disable_ki_protection
    async def _resolve_token(self) -> Secret:
        return await super()._resolve_token()

    run = enable_ki_protection(BaseRestPump.run)
    _serve = enable_ki_protection(BaseRestPump._serve)

    async def _carry(self, wire: LinkWire, served: Any) -> None:
        try:
            stream = await dial(wire.host, wire.port)
        except NETWORK_ERRORS as error:
            wire.fail_dial(describe(error))
            return
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._read, stream, wire)
                wire.connected()
                await self._write(stream.send_all, wire, served, STREAM_ERRORS)
        finally:
            await trio.aclose_forcefully(stream)

    @enable_ki_protection
    async def _read(self, stream: trio.abc.Stream, wire: LinkWire) -> None:
        while True:
            try:
                data = await stream.receive_some(READ_SIZE)
            except STREAM_ERRORS as failure:
                wire.receive_eof(describe(failure))
                return
            if not data:
                wire.receive_eof()
                return
            wire.receive_data(data)

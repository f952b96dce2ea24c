"""serve on asyncio, by way of anyio: a simulated exchange on a port."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import ssl
import time
from collections.abc import AsyncGenerator, Collection, Iterable
from typing import cast

import anyio
import anyio.abc

from kiwoom_proto import Endpoint
from kiwoom_proto.client.async_block import block
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.simulator import PATH, US_PATH, ClientLink, Exchange
from kiwoom_proto.wire.tls import Tls

from .own_loop import check_loop
from .tasks import background_tasks

__all__ = ("Server", "serve")

READ_SIZE = 16_384
LINGER = 5.0
"""Seconds for writing what is left to send on a connection that has ended."""
ACCEPT_PAUSE = 0.1
"""Seconds before accepting again after a failure: the process has no file descriptor left."""

_logger = logging.getLogger(__name__)


@block(check_loop)
async def serve(
    exchange: Exchange,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    allowed_hosts: Collection[str] = (),
) -> AsyncGenerator[Server]:
    """Serve a simulated exchange on a port until the block is left.

    Whoever reaches the port can use it; requests from web pages are refused. A bug of the exchange cuts off the client
    that triggered it, and is logged to "kiwoom_asyncio.server".

    Args:
        exchange: the exchange. It can be served once.
        host: address to listen on; other machines can reach it unless it is a loopback address.
        port: port to listen on; 0 for any free one.
        ssl_context: TLS settings with a certificate; None serves without TLS.
        allowed_hosts: further names that clients may use for it (Host), besides `host`, the address that they reach,
            localhost and the loopback addresses.

    Raises:
        OSError: the address is not available.
    """
    server = Server(exchange, host, ssl_context, allowed_hosts)
    clock = asyncio.get_running_loop().time  # anyio's answers only in a task; faults may be used in callbacks too
    async with (
        await anyio.create_tcp_listener(local_host=host, local_port=port) as listener,
        background_tasks() as tasks,
    ):
        addresses = [one.extra(anyio.abc.SocketAttribute.local_address)[0] for one in listener.listeners]
        server._set_addresses(map(str, addresses), listener.extra(anyio.abc.SocketAttribute.local_port))
        exchange.run_on(clock, server._pump, wall_time=time.time(), on_failure=_report)
        tasks.start_soon(server._watch_clock)
        for one in listener.listeners:
            tasks.start_soon(server._accept, cast(anyio.abc.SocketListener, one), tasks)
        yield server


class Server:
    """A served exchange. Made by `serve`.

    Attributes:
        exchange: the exchange; its faults can be used at any time.
        endpoint: where clients connect, domestic market.
        us_endpoint: where clients connect, US market.
        is_loopback: whether only this machine can reach it.
    """

    def __init__(
        self, exchange: Exchange, host: str, ssl_context: ssl.SSLContext | None, allowed_hosts: Collection[str]
    ) -> None:
        self.exchange = exchange
        self._hosts = {*allowed_hosts, host} - {"", "0.0.0.0", "::"}
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # listens on every address; the URL names one
        self._host = f"[{host}]" if ":" in host else host
        self._ssl_context = ssl_context
        self._links: set[_Link] = set()
        self._deadline_moved = anyio.Event()
        self._armed = math.inf

    def _set_addresses(self, addresses: Iterable[str], port: int) -> None:
        self.is_loopback = all(ipaddress.ip_address(address).is_loopback for address in addresses)
        scheme = "ws" if self._ssl_context is None else "wss"
        address = f"{scheme}://{self._host}:{port}"
        # Listening beyond loopback without TLS is a choice: tokens of the simulated exchange are not secret.
        insecure = self._ssl_context is None and not Endpoint(f"wss://{self._host}").is_loopback
        self.endpoint = Endpoint(address + PATH, mock=self.exchange.mock, insecure=insecure)
        self.us_endpoint = Endpoint(address + US_PATH, mock=self.exchange.mock, insecure=insecure)

    def _pump(self) -> None:
        """Wake writers and timer: any connection may have something to send, and the deadline may have moved."""
        for link in self._links:
            link.changed.set()
            if link.peer.state is ConnectionState.CLOSED:
                link.end_soon()
        timeout = self.exchange.next_timeout()
        if timeout is not None and timeout < self._armed:
            self._deadline_moved.set()

    async def _watch_clock(self) -> None:
        while True:
            timeout = self.exchange.next_timeout()
            self._armed = math.inf if timeout is None else timeout
            self._deadline_moved = anyio.Event()
            with anyio.CancelScope(deadline=self._armed):
                await self._deadline_moved.wait()
                continue
            self.exchange.handle_timeout()
            self._pump()

    async def _accept(self, listener: anyio.abc.SocketListener, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                _logger.warning("cannot accept a connection, trying again: %s", error)
                await anyio.sleep(ACCEPT_PAUSE)
            else:
                tasks.start_soon(self._handle, stream)

    async def _handle(self, stream: anyio.abc.SocketStream) -> None:
        try:
            local = str(stream.extra(anyio.abc.SocketAttribute.local_address)[0])
        except OSError:  # the client has gone already
            local = ""
        link = _Link(self.exchange.connect({*self._hosts, local}), self._ssl_context)
        self._links.add(link)
        self._pump()
        try:
            with link.scope:
                await self._talk(stream, link)
        except Exception as error:
            _report(error)
        finally:
            self._links.discard(link)
            link.peer.receive_eof()
            await anyio.aclose_forcefully(stream)

    async def _talk(self, stream: anyio.abc.ByteStream, link: _Link) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, stream, link)
            await self._write(stream, link)
            tasks.cancel_scope.cancel()

    async def _read(self, stream: anyio.abc.ByteStream, link: _Link) -> None:
        while link.peer.state is not ConnectionState.CLOSED:
            try:
                data = await stream.receive(READ_SIZE)
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                link.wire.receive_eof()
            else:
                link.wire.receive_data(data)
            self._pump()

    async def _write(self, stream: anyio.abc.ByteStream, link: _Link) -> None:
        peer = link.peer
        while True:
            link.changed = anyio.Event()
            try:
                while data := link.wire.data_to_send():
                    await stream.send(data)
            except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                peer.receive_eof()
            if peer.state is ConnectionState.CLOSED:
                return
            await link.changed.wait()


class _Link:
    """One client's connection.

    Attributes:
        peer: the exchange's end of it.
        changed: set when something happened that its writer should look at.
        scope: cancels its task.
        wire: the bytes of it: the peer itself, or TLS around it.
    """

    def __init__(self, peer: ClientLink, ssl_context: ssl.SSLContext | None) -> None:
        self.peer = peer
        self.wire = peer if ssl_context is None else Tls(peer, context=ssl_context, server_side=True)
        self.changed = anyio.Event()
        self.scope = anyio.CancelScope()

    def end_soon(self) -> None:
        """Close the socket of a connection that has ended: at once, or after the client had time to read the rest.

        There is no rest where the client was cut off, or is still in the TLS handshake.
        """
        has_rest = self.wire is self.peer or (
            isinstance(self.wire, Tls) and (self.wire.is_open or self.wire.wants_write)
        )
        linger = LINGER if has_rest and not self.peer.is_cut else 0.0
        self.scope.deadline = min(self.scope.deadline, asyncio.get_running_loop().time() + linger)


def _report(error: Exception) -> None:
    _logger.error("a client was cut off because of a bug in this server", exc_info=error)

"""Proxy: a TCP proxy on loopback that does to connections what networks do."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.abc
from tests.adapters.kit import PATH

from kiwoom_proto import Endpoint

__all__ = ("Proxy", "proxy_to")

HOST = "127.0.0.1"
FAILURES = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
SLOWLY = 0.001
"""Seconds between two pieces of what is passed on slowly."""


@asynccontextmanager
async def proxy_to(port: int, scheme: str = "ws") -> AsyncIterator[Proxy]:
    """Listen on a port of its own, and pass on what comes to another one, until the block is left."""
    async with anyio.create_task_group() as tasks:
        proxy = Proxy(port, tasks)
        await proxy.start()
        proxy.endpoint = Endpoint(f"{scheme}://{HOST}:{proxy.port}{PATH}")
        try:
            yield proxy
        finally:
            await proxy.stop()
            tasks.cancel_scope.cancel()


class Proxy:
    """A listener and the connections that go through it. Made by `proxy_to`.

    Attributes:
        port: where it listens.
        target: the port that further connections are passed on to.
        endpoint: where to connect to.
        size: most bytes passed on at once; None: as many as there are.
        slow: whether time passes between the pieces.
    """

    endpoint: Endpoint

    def __init__(self, target: int, tasks: anyio.abc.TaskGroup) -> None:
        self.port = 0
        self.target = target
        self.size: int | None = None
        self.slow = False
        self._tasks = tasks
        self._listening: anyio.CancelScope | None = None
        self._stopped = anyio.Event()
        self._pipes: set[_Pipe] = set()
        self._is_open = anyio.Event()
        self._is_open.set()

    @property
    def connections(self) -> int:
        """How many there are at present."""
        return len(self._pipes)

    async def start(self) -> None:
        """Listen, on the port that it had before."""
        listener = await anyio.create_tcp_listener(local_host=HOST, local_port=self.port)
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        self._listening, self._stopped = anyio.CancelScope(), anyio.Event()
        self._tasks.start_soon(self._listen, listener, self._listening, self._stopped)

    async def stop(self) -> None:
        """Listen no more, so that connections are refused, and cut those there are."""
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
            with anyio.CancelScope(shield=True):
                await self._stopped.wait()
        self.close()

    def close(self) -> None:
        """End every connection in an orderly way."""
        for pipe in tuple(self._pipes):
            pipe.scope.cancel()

    def reset(self) -> None:
        """End every connection with a RST, to either end."""
        for pipe in tuple(self._pipes):
            for stream in (pipe.client, pipe.server):
                with suppress(OSError, AttributeError):  # it is over already, and on uvloop has no socket any more
                    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            pipe.scope.cancel()

    def half_open(self) -> None:
        """End every connection for the server alone; the client is not told, and talks to nobody."""
        for pipe in tuple(self._pipes):
            pipe.is_half_open = True
            pipe.server_scope.cancel()

    def hold(self) -> None:
        """Pass nothing on any more, of any connection, and tell nobody, until `release`."""
        self._is_open = anyio.Event()

    def release(self) -> None:
        """Pass everything on again, what was held too."""
        self._is_open.set()

    # Inside.

    async def _listen(
        self,
        listener: anyio.abc.Listener[anyio.abc.SocketStream],
        scope: anyio.CancelScope,
        stopped: anyio.Event,
    ) -> None:
        try:
            async with listener:
                with scope:
                    # Connections outlive the listener, so their tasks are not the listener's.
                    await listener.serve(self._handle, self._tasks)
        finally:
            stopped.set()

    async def _handle(self, client: anyio.abc.SocketStream) -> None:
        try:
            await self._is_open.wait()
            server = await anyio.connect_tcp(HOST, self.target)
        except OSError:
            await anyio.aclose_forcefully(client)
            return
        except BaseException:
            await anyio.aclose_forcefully(client)
            raise
        pipe = _Pipe(client, server)
        self._pipes.add(pipe)
        try:
            with pipe.scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._carry_up, pipe)
                    tasks.start_soon(self._carry_down, pipe)
        finally:
            self._pipes.discard(pipe)
            with anyio.CancelScope(shield=True):  # or the first would be all that a cancellation closes
                await anyio.aclose_forcefully(client)
                await anyio.aclose_forcefully(server)

    async def _carry_up(self, pipe: _Pipe) -> None:
        """From the client to the server."""
        try:
            while True:
                data = await pipe.client.receive()
                if not pipe.is_half_open:
                    await self._pass_on(data, pipe.server)
        except FAILURES:
            if not pipe.is_half_open:
                pipe.scope.cancel()
        if pipe.is_half_open:
            await self._swallow(pipe)

    async def _swallow(self, pipe: _Pipe) -> None:
        """The server is gone and the client does not know."""
        try:
            while True:
                await pipe.client.receive()
        except FAILURES:
            pipe.scope.cancel()

    async def _carry_down(self, pipe: _Pipe) -> None:
        """From the server to the client."""
        with pipe.server_scope:
            try:
                while True:
                    await self._pass_on(await pipe.server.receive(), pipe.client)
            except FAILURES:
                pipe.scope.cancel()
        await anyio.aclose_forcefully(pipe.server)

    async def _pass_on(self, data: bytes, sink: anyio.abc.SocketStream) -> None:
        size = self.size or len(data)
        for at in range(0, len(data), size):
            await self._is_open.wait()
            await sink.send(data[at : at + size])
            if self.slow:
                await anyio.sleep(SLOWLY)


class _Pipe:
    """One connection, in two halves."""

    def __init__(self, client: anyio.abc.SocketStream, server: anyio.abc.SocketStream) -> None:
        self.client = client
        self.server = server
        self.scope = anyio.CancelScope()
        self.server_scope = anyio.CancelScope()
        self.is_half_open = False

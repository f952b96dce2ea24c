"""Losing connections that are real sockets, on every loop: the session comes back, with what is wanted and no more."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio
import anyio.abc
import attrs
import pytest
import trustme
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, LIMIT, Client, Loop, collect, raw_server, until
from tests.adapters.proxy import Proxy, proxy_to

from kiwoom_proto import (
    AfterHoursQuote,
    ClientConfig,
    Closed,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    Record,
    UnknownMessage,
)
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import HandshakeError, TransportError
from kiwoom_proto.events import Connecting
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange

LEFT = "000660"
"""Is unsubscribed from while there is no connection."""
CONFIG = ClientConfig(
    backoff_min=0.01,
    backoff_max=0.05,
    open_timeout=0.5,
    login_timeout=5,
    ack_timeout=5,
    idle_timeout=5,
    close_timeout=0.2,
    request_interval=0,
)
IMPATIENT = attrs.evolve(CONFIG, idle_timeout=0.4)
"""Where rows come every 0.1 s; a machine that is busy can make it lose a connection more."""
PATIENT = attrs.evolve(CONFIG, open_timeout=100, login_timeout=100, ack_timeout=100, idle_timeout=100)
"""Where no deadline is to pass, however long a busy machine takes."""
PAGE = "<html>점검 중입니다</html>".encode()


def new_exchange() -> Exchange:
    return Exchange(rate=100)


class Watch:
    """A client, and what it has reported so far."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events: list[Event] = []
        self._left_in = 0

    def of(self, kind: type[Any]) -> list[Any]:
        """What it reported of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    async def rows(self) -> None:
        """Wait for rows of what is wanted, from now on."""
        seen = len(self.events)
        await until(
            lambda: any(isinstance(event, AfterHoursQuote) and event.item == ITEM for event in self.events[seen:])
        )

    async def away(self, cause: type[BaseException] | str = "", losses: int = 1) -> Disconnected:
        """Wait until the connection was lost so often, and for this."""

        def found() -> list[Disconnected]:
            lost = self.of(Disconnected)
            return [
                event
                for event in lost
                if len(lost) >= losses
                and (cause in str(event) if isinstance(cause, str) else isinstance(event.cause, cause))
            ]

        await until(found)
        return found()[-1]

    async def leave(self) -> None:
        """Unsubscribe from something."""
        # The connection that is being made now knows of it, the last one did not.
        self._left_in = self.client.stats().connections - (self.client.state is SessionState.CONNECTING)
        await self.client.unsubscribe("0E", LEFT)

    async def back(self, exchange: Exchange, gaps: int | None = 1) -> None:
        """Wait until it is whole again, and see that everything is as it should be. `gaps`: how many; None: any."""
        await until(lambda: self.of(Gap) and gaps in (None, len(self.of(Gap))))
        gap = self.of(Gap)[-1]
        await self.rows()
        await until(lambda: len(exchange.links) == 1)
        assert exchange.links[0].registered == {"1": {("0E", ITEM): None}}
        assert [(subscription.item, subscription.consumers) for subscription in self.client.subscriptions] == [
            (ITEM, 1)
        ]
        rows = [event for event in self.events if isinstance(event, Record)]
        assert {row.item for row in rows if row.epoch > self._left_in} <= {ITEM}
        assert gaps in (None, len(self.of(Gap)))
        assert len(self.of(Disconnected)) == len(self.of(Connecting))
        assert gap.start <= gap.end
        before = [row for row in rows if row.sequence <= gap.last_sequence]
        assert before[-1].received_at - gap.start < LIMIT * 1e9
        assert not self.of(UnknownMessage)
        numbers = [event.sequence for event in self.events]
        assert numbers == sorted(set(numbers))


@asynccontextmanager
async def watched(
    loop: Loop, endpoint: Endpoint, *, config: ClientConfig = CONFIG, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Watch]:
    """A client that has subscribed to two items and gets rows."""

    async def iterate() -> None:
        async for event in watch.client:
            watch.events.append(event)

    async with loop.connect(endpoint, config=config, ssl_context=ssl_context) as client:
        watch = Watch(client)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(iterate)
            await client.subscribe("0E", ITEM, LEFT)
            await watch.rows()
            yield watch
            await client.aclose()
    (closed,) = watch.of(Closed)
    assert (closed, closed.error) == (watch.events[-1], None)


# The server.


class Seat:
    """A port, and the server that sits there at present, if any. It goes down with all its connections."""

    def __init__(self, loop: Loop, tasks: anyio.abc.TaskGroup) -> None:
        self.endpoint: Endpoint
        self._loop = loop
        self._tasks = tasks
        self._port = 0
        self._scope = anyio.CancelScope()
        self._gone = anyio.Event()

    async def fill(self, exchange: Exchange, context: ssl.SSLContext | None) -> None:
        """Let an exchange sit down."""
        self._scope, self._gone = anyio.CancelScope(), anyio.Event()
        await self._tasks.start(self._serve, exchange, context)

    async def clear(self) -> None:
        """Take the server away."""
        self._scope.cancel()
        await self._gone.wait()

    async def _serve(
        self, exchange: Exchange, context: ssl.SSLContext | None, *, task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        with self._scope:
            async with self._loop.serve(exchange, port=self._port, ssl_context=context) as server:
                self.endpoint, self._port = server.endpoint, server.endpoint.port
                task_status.started()
                await anyio.sleep_forever()
        self._gone.set()


@asynccontextmanager
async def seat(loop: Loop, context: ssl.SSLContext | None) -> AsyncIterator[Seat]:
    async with anyio.create_task_group() as tasks:
        found = Seat(loop, tasks)
        await found.fill(new_exchange(), context)
        yield found
        await found.clear()


async def test_a_server_that_was_restarted_on_its_port(loop: Loop, net: Net) -> None:
    async with seat(loop, net.server) as server, watched(loop, server.endpoint, ssl_context=net.client) as watch:
        await server.clear()
        await watch.away("refused", losses=3)
        await watch.leave()
        again = new_exchange()
        await server.fill(again, net.server)
        await watch.back(again)


async def test_a_certificate_of_another_authority_until_it_is_the_right_one_again(loop: Loop, tls: Net) -> None:
    stranger = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    async with seat(loop, tls.server) as server, watched(loop, server.endpoint, ssl_context=tls.client) as watch:
        await server.clear()
        strange, again = new_exchange(), new_exchange()
        await server.fill(strange, stranger)
        lost = await watch.away("certificate verify failed")
        assert isinstance(lost.cause, TransportError)
        # There may be one whose TLS handshake is not over yet; nothing was said to it.
        assert all(peer.state is ConnectionState.CONNECTING for peer in strange.links)
        await watch.leave()
        await server.clear()
        await server.fill(again, tls.server)
        await watch.back(again)


async def test_a_maintenance_page_in_place_of_the_server(loop: Loop) -> None:
    async def maintenance(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\n\r\n"
        await stream.send(head.encode() + PAGE)

    exchange = new_exchange()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        raw_server(maintenance) as elsewhere,
        watched(loop, proxy.endpoint) as watch,
    ):
        proxy.target = elsewhere.port
        proxy.close()
        lost = await watch.away(HandshakeError, losses=3)
        assert isinstance(lost.cause, HandshakeError)
        assert (lost.cause.status, lost.cause.body) == (502, PAGE)
        await watch.leave()
        proxy.target = server.endpoint.port
        await watch.back(exchange)


async def test_a_server_that_is_there_and_says_nothing(loop: Loop) -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        await anyio.sleep_forever()

    exchange = new_exchange()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        raw_server(silent) as elsewhere,
        watched(loop, proxy.endpoint) as watch,
    ):
        proxy.target = elsewhere.port
        proxy.close()
        await watch.away("open_timeout")
        await watch.leave()
        proxy.target = server.endpoint.port
        await watch.back(exchange)


# The network.


ANYIO_TELLS_RESETS = tuple(map(int, version("anyio").split(".")[:2])) >= (4, 16)
"""Older ones were seen to report a reset as a plain end of the stream (4.11 to 4.14)."""


@pytest.mark.parametrize("fault, says", [(Proxy.close, "cut"), (Proxy.reset, "reset")], ids=["closed", "reset"])
async def test_a_connection_that_is_lost(loop: Loop, net: Net, fault: Callable[[Proxy], None], says: str) -> None:
    exchange = new_exchange()
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        proxy_to(server.endpoint.port, "ws" if net.server is None else "wss") as proxy,
        watched(loop, proxy.endpoint, ssl_context=net.client) as watch,
    ):
        fault(proxy)
        await watch.away(says if loop.name == "trio" or ANYIO_TELLS_RESETS else "lost")
        await watch.leave()
        await watch.back(exchange)


@pytest.mark.parametrize("fault", [Proxy.half_open, Proxy.hold], ids=["half-open", "black hole"])
async def test_a_connection_that_is_dead_and_nobody_was_told(
    loop: Loop, net: Net, fault: Callable[[Proxy], None]
) -> None:
    exchange = new_exchange()
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        proxy_to(server.endpoint.port, "ws" if net.server is None else "wss") as proxy,
        watched(loop, proxy.endpoint, config=IMPATIENT, ssl_context=net.client) as watch,
    ):
        fault(proxy)
        await watch.away("idle_timeout")
        await watch.leave()
        proxy.release()
        await watch.back(exchange, gaps=None)


async def test_one_loss_after_another(loop: Loop) -> None:
    """The next one comes while it resumes, wherever it has got to by then."""
    exchange = new_exchange()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        watched(loop, proxy.endpoint) as watch,
    ):
        for number in range(10):
            proxy.reset()
            await watch.away(losses=number + 1)
            await until(lambda: proxy.connections)
            if number == 5:
                await watch.leave()
            await anyio.sleep(0.004 * number)
        await until(lambda: watch.events and len(watch.of(Gap)) and isinstance(watch.events[-1], Record))
        await watch.back(exchange, len(watch.of(Gap)))


async def test_a_port_where_nobody_listens_for_a_while(loop: Loop) -> None:
    exchange = new_exchange()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        watched(loop, proxy.endpoint) as watch,
    ):
        await proxy.stop()
        await watch.away("refused", losses=3)
        await watch.leave()
        await proxy.start()
        await watch.back(exchange)


async def test_a_name_that_is_not_known_for_a_while(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    real, known = socket.getaddrinfo, True

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in ("localhost", b"localhost") and not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    exchange = new_exchange()
    async with loop.serve(exchange) as server, proxy_to(server.endpoint.port) as proxy:
        by_name = Endpoint(proxy.endpoint.url.replace("127.0.0.1", "localhost"))
        async with watched(loop, by_name) as watch:
            known = False
            proxy.reset()
            await watch.away("not known", losses=3)
            await watch.leave()
            known = True
            await watch.back(exchange)


async def test_a_gap_begins_before_a_loop_was_blocked(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute passes between two reads, and nothing was read meanwhile: so says the time that is told with them."""
    exchange = new_exchange()
    now, blocked_for = time.time_ns, 0
    monkeypatch.setattr(time, "time_ns", lambda: now() + blocked_for)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, config=CONFIG) as client:
        watch = Watch(client)
        await client.subscribe("0E", ITEM)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(collect, client, watch.events)
            await watch.rows()
            before, blocked_for = now(), 60 * 10**9
            await watch.rows()
            exchange.drop()
            await until(lambda: watch.of(Gap))
            tasks.cancel_scope.cancel()
        (gap,) = watch.of(Gap)
        assert gap.start <= before
        assert gap.seconds > 60


@pytest.mark.parametrize("slow", [False, True])
async def test_bytes_that_come_one_at_a_time_are_no_fault(loop: Loop, slow: bool) -> None:
    exchange = Exchange(rate=2)  # few rows: a busy machine takes long for each byte
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        watched(loop, proxy.endpoint, config=PATIENT) as watch,
    ):
        proxy.size, proxy.slow = 7 if slow else 1, slow
        await watch.rows()
        await watch.leave()
        assert exchange.links[0].registered == {"1": {("0E", ITEM): None}}
        proxy.size = None
        await watch.rows()
        assert {type(event) for event in watch.events} == {AfterHoursQuote}


async def test_a_line_that_hangs_for_a_moment_loses_nothing(loop: Loop) -> None:
    exchange = new_exchange()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        watched(loop, proxy.endpoint) as watch,
    ):
        proxy.hold()
        sent = exchange.rows_sent
        await until(lambda: exchange.rows_sent > sent)
        proxy.release()
        sent = exchange.rows_sent
        await until(lambda: len(watch.events) >= sent)
        assert {type(event) for event in watch.events} == {AfterHoursQuote}

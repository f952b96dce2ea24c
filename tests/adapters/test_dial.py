"""Dialling a name, on every loop: addresses that do not answer, that refuse, and a resolver that takes for ever."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
import trustme
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, PATH, QUICK, TOKEN, Loop, raw_server
from tests.adapters.test_tokens import issue

from kiwoom_proto import AppKey, ClientConfig, ConnectionLost, Endpoint
from kiwoom_proto.errors import DeadlineExceeded, TransportError
from kiwoom_proto.simulator import Exchange

HOST = "localhost"
GOOD, OTHER, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"

needs_loopback_net = pytest.mark.skipif(sys.platform != "linux", reason="there all of 127/8 is loopback")

Resolve = Callable[..., list[Any]]


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make `HOST` a name with these addresses."""

    def resolve_to(*addresses: str, before: Callable[[], object] = lambda: None) -> None:
        really = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *words: Any, **options: Any) -> list[Any]:
            if host not in (HOST, HOST.encode()):
                return list(really(host, port, *words, **options))
            if (words[3] if len(words) > 3 else options.get("flags", 0)) & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "a name")
            before()
            return [
                (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return resolve_to


@contextlib.contextmanager
def silent(port: int, *addresses: str) -> Iterator[None]:
    """Listen at addresses with a queue that is full: a connection is neither made nor refused."""
    with contextlib.ExitStack() as stack:
        for address in addresses:
            listener = stack.enter_context(socket.create_server((address, port), backlog=0))
            for _ in range(4):
                one = stack.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
        yield


def named(endpoint: Endpoint) -> Endpoint:
    """The same port under the name."""
    return Endpoint(endpoint.url.replace(GOOD, HOST))


def free_port() -> int:
    with socket.create_server((GOOD, 0)) as probe:
        return int(probe.getsockname()[1])


@needs_loopback_net
async def test_an_address_that_does_not_answer_is_passed_over(loop: Loop, resolve_to: Callable[..., None]) -> None:
    resolve_to(OTHER, THIRD, GOOD)
    async with loop.serve(Exchange(app_keys={"app": "secret"})) as server:
        with silent(server.endpoint.port, OTHER, THIRD):
            token = await issue(loop, named(server.endpoint), AppKey("app", "secret"))
            async with loop.connect(named(server.endpoint), token=token.value) as client:
                await client.subscribe("0E", ITEM)


@needs_loopback_net
async def test_so_it_is_with_tls(loop: Loop, resolve_to: Callable[..., None], authority: trustme.CA, tls: Net) -> None:
    resolve_to(OTHER, GOOD)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    async with loop.serve(Exchange(), ssl_context=context) as server:
        with silent(server.endpoint.port, OTHER):
            async with loop.connect(named(server.endpoint), ssl_context=tls.client) as client:
                await client.subscribe("0E", ITEM)


@needs_loopback_net
async def test_an_address_that_refuses_is_passed_over_at_once(loop: Loop, resolve_to: Callable[..., None]) -> None:
    resolve_to(OTHER, THIRD, GOOD)
    async with loop.serve(Exchange()) as server, loop.connect(named(server.endpoint)) as client:
        await client.subscribe("0E", ITEM)


@needs_loopback_net
async def test_where_all_addresses_fail_the_error_says_how(loop: Loop, resolve_to: Callable[..., None]) -> None:
    resolve_to(GOOD, OTHER, THIRD)
    with pytest.raises(ConnectionLost) as caught:
        async with loop.connect(Endpoint(f"ws://{HOST}:{free_port()}{PATH}")):
            raise AssertionError("the block must not be entered")
    assert HOST in str(caught.value)
    assert str(caught.value).lower().count("refused") == 1


@needs_loopback_net
async def test_cancelling_while_several_are_tried(loop: Loop, resolve_to: Callable[..., None]) -> None:
    """Nothing of it is left; `loop` looks."""
    resolve_to(GOOD, OTHER, THIRD)
    port = free_port()
    with silent(port, GOOD, OTHER, THIRD):
        for moment in (0, 0.1, 0.35, 0.6):
            with anyio.move_on_after(moment) as scope:
                async with loop.connect(Endpoint(f"ws://{HOST}:{port}{PATH}")):
                    raise AssertionError("the block must not be entered")
            assert scope.cancelled_caught


@needs_loopback_net
async def test_addresses_that_do_not_answer_are_given_up_in_time(loop: Loop, resolve_to: Callable[..., None]) -> None:
    resolve_to(GOOD, OTHER)
    port = free_port()
    config = ClientConfig(reconnect=False, open_timeout=0.4)
    with silent(port, GOOD, OTHER), pytest.raises(ConnectionLost) as caught:
        async with loop.connect(Endpoint(f"ws://{HOST}:{port}{PATH}"), config=config):
            raise AssertionError("the block must not be entered")
    assert isinstance(caught.value.closed.error, DeadlineExceeded)


def test_a_resolver_that_takes_for_ever_keeps_neither_the_client_nor_the_loop(
    loop: Loop, resolve_to: Callable[..., None]
) -> None:
    released = threading.Event()
    outcome: list[bool] = []
    resolve_to(GOOD, before=lambda: outcome.append(released.wait(30)))

    async def scenario() -> None:
        config = ClientConfig(reconnect=False, open_timeout=0.1)
        with pytest.raises(ConnectionLost) as caught:
            async with loop.connect(Endpoint(f"ws://{HOST}:9{PATH}"), config=config):
                raise AssertionError("the block must not be entered")
        assert isinstance(caught.value.closed.error, DeadlineExceeded)

    try:
        loop.run(scenario)
        assert not outcome, "the resolver is still at it, and the loop has ended"
    finally:
        released.set()


@pytest.mark.parametrize(
    "spoken", [b"SSH-2.0-OpenSSH_9.6\r\n", b'HTTP/1.0 200 OK\r\n\r\n{"token":"abc","return_code":0}']
)
async def test_nothing_that_came_before_tls_passes_for_what_came_through_it(
    loop: Loop, tls: Net, spoken: bytes
) -> None:
    async def hasty(stream: anyio.abc.ByteStream) -> None:
        await stream.send(spoken)
        with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            await stream.receive()

    async with raw_server(hasty, "wss") as endpoint:
        with pytest.raises(TransportError):
            await issue(loop, endpoint, AppKey("app", "secret"), tls.client)
        with pytest.raises(ConnectionLost) as caught:
            async with loop.connect(endpoint, token=TOKEN, config=QUICK, ssl_context=tls.client):
                raise AssertionError("the block must not be entered")
        assert isinstance(caught.value.closed.error, TransportError)

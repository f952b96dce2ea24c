"""What can go wrong below the protocol, on every loop: every fault is a ConnectionLost that says what it was."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable

import anyio
import pytest
import trustme
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, PATH, QUICK, TOKEN, Loop, collect, raw_server, until
from tests.proto.wire import LOGIN_OK, accept_handshake, close, real, text

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import (
    AfterHoursQuote,
    AppKey,
    ClientConfig,
    Closed,
    ConnectionLost,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    LocalProtocolError,
    Record,
    SystemNotice,
)
from kiwoom_proto.errors import DeadlineExceeded, HandshakeError, TransportError
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange


async def refused(
    loop: Loop, endpoint: Endpoint, *, config: ClientConfig = QUICK, ssl_context: ssl.SSLContext | None = None
) -> ConnectionLost:
    """Connect where it cannot work; return what was raised."""
    with pytest.raises(ConnectionLost) as caught:
        async with loop.connect(endpoint, config=config, ssl_context=ssl_context):
            raise AssertionError("the block must not be entered")
    assert str(caught.value).startswith("connection lost: ")
    assert caught.value.__cause__ is caught.value.closed.error
    return caught.value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


# Dialling.


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_refused_connection_says_so(loop: Loop, scheme: str) -> None:
    endpoint = Endpoint(f"{scheme}://127.0.0.1:{free_port()}{PATH}")
    lost = await refused(loop, endpoint)
    assert isinstance(lost.closed.error, TransportError)
    assert str(endpoint) in str(lost)
    assert "refused" in str(lost).lower()


async def test_a_host_that_does_not_exist_says_so(loop: Loop) -> None:
    lost = await refused(loop, Endpoint(f"ws://no-such-host.invalid{PATH}", insecure=True))
    assert isinstance(lost.closed.error, TransportError)
    assert "no-such-host.invalid" in str(lost)


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "a..invalid", "xn--ls8h=.invalid"])
async def test_a_host_that_can_not_exist_says_so_too(loop: Loop, host: str) -> None:
    lost = await refused(loop, Endpoint(f"ws://{host}{PATH}", insecure=True))
    assert isinstance(lost.closed.error, TransportError)


async def test_a_server_that_never_answers_the_handshake_is_given_up(loop: Loop) -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        await anyio.sleep_forever()

    async with raw_server(silent) as endpoint:
        lost = await refused(loop, endpoint, config=ClientConfig(reconnect=False, open_timeout=0.1))
        assert isinstance(lost.closed.error, DeadlineExceeded)
        assert lost.closed.error.phase == "open"


async def test_a_server_that_never_answers_the_tls_handshake_is_given_up(loop: Loop, tls: Net) -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        await anyio.sleep_forever()

    async with raw_server(silent, "wss") as endpoint:
        lost = await refused(
            loop, endpoint, config=ClientConfig(reconnect=False, open_timeout=0.1), ssl_context=tls.client
        )
        assert isinstance(lost.closed.error, DeadlineExceeded)


# TLS.


async def test_an_unknown_authority_is_refused(loop: Loop, tls: Net) -> None:
    exchange = Exchange()
    async with loop.serve(exchange, ssl_context=tls.server) as server:
        lost = await refused(loop, server.endpoint)  # the system's trust store does not know it
        assert isinstance(lost.closed.error, TransportError)
        assert "certificate verify failed" in str(lost).lower()
        await until(lambda: exchange.links == [])  # the server has read the alert


async def test_a_certificate_of_another_host_is_refused(loop: Loop, authority: trustme.CA, tls: Net) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.kiwoom.com").configure_cert(context)
    async with loop.serve(Exchange(), ssl_context=context) as server:
        lost = await refused(loop, server.endpoint, ssl_context=tls.client)
        assert "certificate verify failed" in str(lost).lower()
        assert "127.0.0.1" in str(lost)


async def test_the_context_is_checked_when_the_block_is_entered_and_each_time_it_dials(
    loop: Loop, tls: Net, authority: trustme.CA
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    exchange = Exchange()
    async with loop.serve(exchange, ssl_context=tls.server) as server:
        block = loop.connect(server.endpoint, config=QUICK, ssl_context=context)
        context.check_hostname = False
        with pytest.raises(LocalProtocolError, match="ssl_context: does not verify"):
            async with block:
                raise AssertionError("not reached")
        context.check_hostname = True
        block = loop.connect(server.endpoint, config=ClientConfig(backoff_min=0.01), ssl_context=context)
        async with block as client:
            context.check_hostname = False
            exchange.drop()
            reasons: list[str] = []
            async for event in client:
                if isinstance(event, Disconnected):
                    reasons.append(str(event))
                    if "ssl_context: does not verify" in reasons[-1]:
                        assert exchange.links == []
                        context.check_hostname = True
                elif isinstance(event, Gap):
                    break
    assert any("ssl_context: does not verify" in reason for reason in reasons)


async def test_tls_that_does_not_verify_needs_a_word(loop: Loop, tls: Net) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    exchange = Exchange(app_keys={"app": "secret"})
    async with loop.serve(exchange, ssl_context=tls.server) as server:
        for token in (AppKey("app", "secret"), TOKEN):
            with pytest.raises(LocalProtocolError, match="ssl_context: does not verify"):
                async with loop.connect(server.endpoint, token=token, ssl_context=context):
                    pass
        adapter = kiwoom_trio if loop.name == "trio" else kiwoom_asyncio
        with pytest.raises(LocalProtocolError, match="ssl_context: does not verify"):
            await adapter.issue_token(server.endpoint, AppKey("app", "secret"), ssl_context=context)
        with pytest.raises(LocalProtocolError, match="ssl_context: does not verify"):
            await adapter.revoke_token(server.endpoint, AppKey("app", "secret"), TOKEN, ssl_context=context)
        endpoint = Endpoint(server.endpoint.url, insecure=True)
        async with loop.connect(endpoint, token=AppKey("app", "secret"), ssl_context=context) as client:
            assert client.state is SessionState.READY


async def test_tls_to_a_server_without_says_so(loop: Loop, tls: Net) -> None:
    async with loop.serve(Exchange()) as server:
        secure = Endpoint(server.endpoint.url.replace("ws://", "wss://"))
        lost = await refused(loop, secure, ssl_context=tls.client)
        assert isinstance(lost.closed.error, TransportError)


async def test_no_tls_to_a_server_with_it_says_so(loop: Loop, tls: Net) -> None:
    async with loop.serve(Exchange(), ssl_context=tls.server) as server:
        plain = Endpoint(server.endpoint.url.replace("wss://", "ws://"))
        lost = await refused(loop, plain)
        assert isinstance(lost.closed.error, HandshakeError | TransportError)


async def test_a_client_that_breaks_the_tls_handshake_off_does_not_disturb_the_server(loop: Loop, tls: Net) -> None:
    exchange = Exchange()
    async with loop.serve(exchange, ssl_context=tls.server) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.endpoint.port) as stream:
            await stream.send(b"this is not TLS at all, by any standard\r\n\r\n")
        async with await anyio.connect_tcp("127.0.0.1", server.endpoint.port):
            pass
        async with loop.connect(server.endpoint, ssl_context=tls.client) as client:
            assert client.state is SessionState.READY


# The opening handshake.


@pytest.mark.parametrize("status", [502, 503, 401])
async def test_an_http_error_instead_of_101_says_so(loop: Loop, net: Net, status: int) -> None:
    exchange = Exchange()
    exchange.faults.http_status = status
    async with loop.serve(exchange, ssl_context=net.server) as server:
        lost = await refused(loop, server.endpoint, ssl_context=net.client)
        assert isinstance(lost.closed.error, HandshakeError)
        assert lost.closed.error.status == status
        assert f"HTTP {status}" in str(lost)


async def test_a_maintenance_page_is_handed_over(loop: Loop) -> None:
    page = "<html>점검 중입니다</html>".encode()

    async def maintenance(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
        await stream.send(head.encode() + page)

    async with raw_server(maintenance) as endpoint:
        lost = await refused(loop, endpoint)
        assert isinstance(lost.closed.error, HandshakeError)
        assert (lost.closed.error.status, lost.closed.error.body) == (502, page)


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"])
async def test_a_server_that_cuts_the_handshake_says_so(loop: Loop, answered: bytes) -> None:
    async def cut(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        if answered:
            await stream.send(answered)

    async with raw_server(cut) as endpoint:
        lost = await refused(loop, endpoint)
        assert "during the opening handshake" in str(lost)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00" * 100, b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_server_that_is_no_websocket_server_says_so(loop: Loop, answer: bytes) -> None:
    async def other(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        await stream.send(answer)

    async with raw_server(other) as endpoint:
        lost = await refused(loop, endpoint)
        assert isinstance(lost.closed.error, HandshakeError)


async def test_a_close_before_the_login_reply_says_so(loop: Loop) -> None:
    """Under rapid reconnects the live server was seen to close 1000 without a LOGIN reply."""

    async def close_at_once(stream: anyio.abc.ByteStream) -> None:
        await stream.send(accept_handshake(await stream.receive()) + close(1000, b"Bye"))
        await stream.receive()

    async with raw_server(close_at_once) as endpoint:
        lost = await refused(loop, endpoint)
        assert (lost.closed.code, lost.closed.reason) == (1000, "Bye")


async def test_rows_in_the_same_packet_as_the_handshake_are_not_lost(loop: Loop) -> None:
    async def hasty(stream: anyio.abc.ByteStream) -> None:
        await stream.send(
            accept_handshake(await stream.receive()) + text(LOGIN_OK) + text(real(("0E", ITEM, {"131": "1"})))
        )
        await anyio.sleep_forever()

    config = ClientConfig(reconnect=False, close_timeout=0.1)
    async with raw_server(hasty) as endpoint, loop.connect(endpoint, config=config) as client:
        async for event in client:
            assert isinstance(event, Record)
            break


# The end.


async def test_a_request_while_the_server_is_closing_raises_the_loss(loop: Loop) -> None:
    """The server has said that it goes, and its end of the TCP connection is still there."""

    async def goes(stream: anyio.abc.ByteStream) -> None:
        await stream.send(accept_handshake(await stream.receive()) + text(LOGIN_OK))
        await stream.receive()
        await stream.send(text(b'{"trnm":"SYSTEM","code":"R10001","message":""}') + close(1000, b"Bye"))
        await anyio.sleep_forever()

    config = ClientConfig(reconnect=False, close_timeout=0.2)
    async with raw_server(goes) as endpoint, loop.connect(endpoint, config=config) as client:
        async for event in client:
            assert isinstance(event, SystemNotice)
            break
        with pytest.raises(ConnectionLost, match="R10001"):
            await client.subscribe("0E", ITEM)


def server_that_resets(spoken: Callable[[], bytes], ready: threading.Event, done: threading.Event) -> socket.socket:
    """A server in a thread: logs the client in; when told, it says its last words and cuts the line at once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
        with connection:
            connection.sendall(accept_handshake(connection.recv(65_536)) + text(LOGIN_OK))
            connection.recv(65_536)
            assert ready.wait(10)
            connection.sendall(spoken())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        done.set()

    threading.Thread(target=serve).start()
    return listener


async def test_what_the_server_said_before_it_cut_the_line_is_not_lost_to_a_failed_write(loop: Loop) -> None:
    """The program was busy while the last rows, the reason and the cut came; the first it does then is to write."""
    ready, done = threading.Event(), threading.Event()
    last_words = text(real(("0E", ITEM, {"131": "1"}))) + text(b'{"trnm":"SYSTEM","code":"R10001","message":""}')
    listener = server_that_resets(lambda: last_words, ready, done)
    endpoint = Endpoint(f"ws://127.0.0.1:{listener.getsockname()[1]}{PATH}")
    async with loop.connect(endpoint) as client:
        await anyio.wait_all_tasks_blocked()
        ready.set()
        assert done.wait(10)  # blocks the loop, as a busy program does
        with pytest.raises(ConnectionLost):
            await client.subscribe("0E", ITEM)
        events: list[Event] = []
        with pytest.raises(ConnectionLost, match="R10001"):
            await collect(client, events)
        assert [type(event) for event in events] == [AfterHoursQuote, SystemNotice, Closed]

"""Access tokens over a real network, on every loop: issued, kept, revoked, refused, and none to be had."""

from __future__ import annotations

import datetime
import inspect
import socket
import ssl
import time
from collections.abc import Collection
from typing import Any

import anyio
import anyio.abc
import pytest
import trustme
from tests.adapters.conftest import Net
from tests.adapters.kit import PATH, Loop, raw_server

import kiwoom_asyncio
import kiwoom_asyncio.auth
import kiwoom_trio
import kiwoom_trio.auth
from kiwoom_proto import AppKey, ClientConfig, ConnectionLost, Endpoint, Gap, KiwoomError, LocalProtocolError, Secret
from kiwoom_proto.auth import RENEW_MARGIN, Token
from kiwoom_proto.errors import DeadlineExceeded, TokenError, TokenRefused, TransportError
from kiwoom_proto.simulator import ClientLink, Exchange

KEYS = {"the-app-key": "the-secret-key"}


def make_key() -> AppKey:
    return AppKey("the-app-key", "the-secret-key")


async def issue(loop: Loop, endpoint: Endpoint, key: AppKey, ssl_context: ssl.SSLContext | None = None) -> Token:
    call = kiwoom_trio.issue_token if loop.name == "trio" else kiwoom_asyncio.issue_token
    return await call(endpoint, key, ssl_context=ssl_context)


async def revoke(
    loop: Loop, endpoint: Endpoint, key: AppKey, token: str | Secret, ssl_context: ssl.SSLContext | None = None
) -> None:
    call = kiwoom_trio.revoke_token if loop.name == "trio" else kiwoom_asyncio.revoke_token
    await call(endpoint, key, token, ssl_context=ssl_context)


async def fresh(loop: Loop, endpoint: Endpoint, key: AppKey, ssl_context: ssl.SSLContext | None = None) -> Secret:
    call = kiwoom_trio.auth.fresh_token if loop.name == "trio" else kiwoom_asyncio.auth.fresh_token
    return await call(endpoint, key, ssl_context=ssl_context)


async def failure(
    loop: Loop, endpoint: Endpoint, key: AppKey | None = None, ssl_context: ssl.SSLContext | None = None
) -> KiwoomError:
    """Ask where none can be had; return what was raised."""
    with pytest.raises(KiwoomError) as caught:
        await issue(loop, endpoint, key or make_key(), ssl_context)
    error = caught.value
    assert error.__context__ is None
    assert not any(secret in f"{error!r} {error}" for secret in ("the-app-key", "the-secret-key"))
    return error


async def test_a_token_is_issued_and_revoked(loop: Loop, net: Net) -> None:
    async with loop.serve(Exchange(app_keys=KEYS), ssl_context=net.server) as server:
        key = make_key()
        token = await issue(loop, server.endpoint, key, net.client)
        assert len(token.value) == 86
        assert await issue(loop, server.us_endpoint, key, net.client) == token

        await revoke(loop, server.endpoint, key, token.value, net.client)
        with pytest.raises(TokenRefused, match="8015"):
            await revoke(loop, server.endpoint, key, token.value, net.client)
        assert (await issue(loop, server.endpoint, key, net.client)).value != token.value


async def test_a_token_is_asked_for_once_and_kept(loop: Loop, net: Net) -> None:
    exchange = Exchange(app_keys=KEYS)
    async with loop.serve(exchange, ssl_context=net.server) as server:
        key = make_key()
        token = await fresh(loop, server.endpoint, key, net.client)
        exchange.faults.token_answer = "too_many"
        assert await fresh(loop, server.endpoint, key, net.client) == token
        assert await fresh(loop, server.us_endpoint, key, net.client) == token

        key.forget(server.endpoint, token)
        with pytest.raises(TokenRefused, match="HTTP 429"):
            await fresh(loop, server.endpoint, key, net.client)


async def test_a_token_that_was_revoked_is_not_kept(loop: Loop) -> None:
    async with loop.serve(Exchange()) as server:
        key = make_key()
        token = await fresh(loop, server.endpoint, key)
        await revoke(loop, server.endpoint, key, token)
        assert await fresh(loop, server.endpoint, key) != token


async def test_a_websocket_goes_on_beside_it_on_the_same_port(loop: Loop, net: Net) -> None:
    exchange = Exchange(app_keys=KEYS)
    async with loop.serve(exchange, ssl_context=net.server) as server:
        token = await issue(loop, server.endpoint, make_key(), net.client)
        async with loop.connect(server.endpoint, token=token.value, ssl_context=net.client) as client:
            await issue(loop, server.endpoint, make_key(), net.client)
            await client.subscribe("0E", "005930")
            assert [peer.key for peer in exchange.links] == ["the-app-key"]


@pytest.mark.parametrize("split", [False, True])
async def test_what_the_server_refuses_says_why(loop: Loop, net: Net, split: bool) -> None:
    exchange = Exchange(app_keys=KEYS)
    exchange.faults.split = split
    async with loop.serve(exchange, ssl_context=net.server) as server:
        error = await failure(loop, server.endpoint, AppKey("the-app-key", "wrong"), net.client)
        assert isinstance(error, TokenRefused)
        assert (error.status, error.code, error.reason) == (200, "3", "8001")

        exchange.faults.token_answer = "html"
        assert "an HTML page where JSON belongs" in str(await failure(loop, server.endpoint, None, net.client))

        exchange.faults.token_answer = "too_many"
        assert "HTTP 429" in str(await failure(loop, server.endpoint, None, net.client))


# The network.


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_refused_connection_says_so(loop: Loop, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    error = await failure(loop, endpoint := Endpoint(f"{scheme}://127.0.0.1:{port}{PATH}"))
    assert isinstance(error, TransportError)
    assert endpoint.token_url in str(error)
    assert "refused" in str(error).lower()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "a..invalid"])
async def test_a_host_that_does_not_exist_says_so(loop: Loop, host: str) -> None:
    assert isinstance(await failure(loop, Endpoint(f"ws://{host}{PATH}", insecure=True)), TransportError)


async def test_a_certificate_of_another_host_or_authority_is_not_taken(
    loop: Loop, authority: trustme.CA, tls: Net
) -> None:
    other = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("another.host").configure_cert(other)
    for server_context, client_context in ((other, tls.client), (tls.server, None)):
        async with loop.serve(Exchange(), ssl_context=server_context) as server:
            error = await failure(loop, server.endpoint, None, client_context)
            assert isinstance(error, TransportError)
            assert "certificate" in str(error).lower()


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"])
async def test_a_server_that_cuts_the_line_says_so(loop: Loop, answered: bytes) -> None:
    async def cut(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        if answered:
            await stream.send(answered)

    async with raw_server(cut) as endpoint:
        error = await failure(loop, endpoint)
        assert isinstance(error, TransportError)
        assert "before its answer was complete" in str(error)


async def test_an_answer_may_end_where_the_stream_ends(loop: Loop) -> None:
    async def brief(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        await stream.send(b'HTTP/1.0 200 OK\r\n\r\n{"token":"abc","return_code":0}')

    async with raw_server(brief) as endpoint:
        assert await issue(loop, endpoint, make_key()) == Token("abc", None)


async def test_a_server_that_speaks_no_http_says_so(loop: Loop) -> None:
    async def other(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        await stream.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await anyio.sleep_forever()

    async with raw_server(other) as endpoint:
        error = await failure(loop, endpoint)
        assert type(error) is TokenError
        assert "breaks the rules of HTTP" in str(error)


async def test_a_call_that_takes_too_long_can_be_cancelled(loop: Loop) -> None:
    """Nothing of it is left; `loop` looks."""
    asked = anyio.Event()

    async def silent(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()
        asked.set()
        await anyio.sleep_forever()

    async with raw_server(silent) as endpoint, anyio.create_task_group() as tasks:
        tasks.start_soon(issue, loop, endpoint, make_key())
        await asked.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"], ids=["nothing", "a part"])
async def test_a_call_has_a_deadline_of_its_own(loop: Loop, answer: bytes) -> None:
    async def keep_silent(stream: anyio.abc.ByteStream) -> None:
        if answer:
            await stream.send(answer)
        await anyio.sleep_forever()

    issuing = kiwoom_trio.issue_token if loop.name == "trio" else kiwoom_asyncio.issue_token
    revoking = kiwoom_trio.revoke_token if loop.name == "trio" else kiwoom_asyncio.revoke_token
    async with raw_server(keep_silent) as endpoint:
        with pytest.raises(TransportError, match=r"/oauth2/token: no answer within 0\.05 s"):
            await issuing(endpoint, make_key(), timeout=0.05)
        with pytest.raises(TransportError, match=r"/oauth2/revoke: no answer within 0\.05 s"):
            await revoking(endpoint, make_key(), "a-token", timeout=0.05)


@pytest.mark.parametrize("timeout", [0, -1.0, "10", None])
async def test_a_deadline_that_is_none_is_refused(loop: Loop, timeout: Any) -> None:
    issuing = kiwoom_trio.issue_token if loop.name == "trio" else kiwoom_asyncio.issue_token

    with pytest.raises(LocalProtocolError, match="timeout: must be a number of seconds above 0"):
        await issuing(Endpoint(f"ws://127.0.0.1:1{PATH}"), make_key(), timeout=timeout)


def test_a_call_has_by_default_as_long_as_a_session_gives_it() -> None:
    for call in (
        kiwoom_trio.issue_token,
        kiwoom_trio.revoke_token,
        kiwoom_asyncio.issue_token,
        kiwoom_asyncio.revoke_token,
    ):
        assert inspect.signature(call).parameters["timeout"].default == ClientConfig().token_timeout == 10.0


async def test_a_callable_that_does_not_return_is_given_up_in_time(loop: Loop) -> None:
    async def never() -> str:
        await anyio.sleep_forever()
        raise AssertionError

    exchange = Exchange()
    async with loop.serve(exchange) as server:
        with pytest.raises(DeadlineExceeded, match=r"no access token came within 0\.05 s"):
            async with loop.connect(server.endpoint, token=never, config=ClientConfig(token_timeout=0.05)):
                raise AssertionError("the block must not be entered")
        assert exchange.links == []


class Rising(Exchange):
    """An exchange that comes up by and by. Of the connections to it, the first two get 429 for a token, the next the
    token, the next two 503 in place of an opening handshake; then all is well."""

    def __init__(self) -> None:
        super().__init__(app_keys=KEYS)
        self.count = 0

    def connect(self, hosts: Collection[str] | None = None) -> ClientLink:
        self.count += 1
        self.faults.token_answer = "too_many" if self.count <= 2 else "ok"
        self.faults.http_status = 503 if self.count in (4, 5) else 101
        return super().connect(hosts)


async def test_a_server_that_comes_up_by_and_by_is_waited_for(loop: Loop) -> None:
    exchange = Rising()
    config = ClientConfig(backoff_min=0.01, backoff_max=0.02)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, token=make_key(), config=config) as client:
        assert exchange.count == 6
        assert client.stats().connections == 3


async def test_a_token_server_that_stays_busy_is_given_up_in_time_with_both_reasons(loop: Loop) -> None:
    exchange = Exchange(app_keys=KEYS)
    exchange.faults.token_answer = "too_many"
    config = ClientConfig(backoff_min=0.01, backoff_max=0.02, connect_timeout=0.2)
    async with loop.serve(exchange) as server:
        with pytest.raises(ConnectionLost, match=r"0\.2 s \(connect_timeout\).*HTTP 429") as caught:
            async with loop.connect(server.endpoint, token=make_key(), config=config):
                raise AssertionError("the block must not be entered")
        error = caught.value.closed.error
        assert isinstance(error, DeadlineExceeded)
        assert isinstance(error.last, TokenRefused)


@pytest.mark.parametrize("error", [TokenRefused("", "m", 429), TransportError("m"), TokenError("m")], ids=repr)
async def test_a_callable_that_cannot_have_a_token_at_first_is_called_again(loop: Loop, error: KiwoomError) -> None:
    """And what it returned then is kept."""
    calls = 0

    async def token() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise error
        return "token"

    exchange = Exchange()
    config = ClientConfig(backoff_min=0.01, backoff_max=0.02)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, token=token, config=config) as client:
        exchange.drop()
        async for event in client:
            if isinstance(event, Gap):
                break
        assert calls == 3


async def test_a_callable_that_can_have_no_token_is_called_once(loop: Loop) -> None:
    calls = 0
    error = TokenRefused("3", "m", 200, "8001")

    async def token() -> str:
        nonlocal calls
        calls += 1
        raise error

    async with loop.serve(Exchange()) as server:
        with pytest.raises(TokenRefused) as caught:
            async with loop.connect(server.endpoint, token=token, config=ClientConfig()):
                raise AssertionError("the block must not be entered")
        assert caught.value is error
        assert calls == 1


async def test_a_token_near_its_end_is_asked_for_again_at_the_next_connection(loop: Loop) -> None:
    """And one that is good is not: asking at every reconnect was measured to be refused."""
    exchange = Exchange(app_keys={"app": "secret"})
    key = AppKey("app", "secret")
    config = ClientConfig(backoff_min=0.01, backoff_max=0.01)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, token=key, config=config) as client:

        async def again() -> None:
            exchange.drop()
            async for event in client:
                if isinstance(event, Gap):
                    return

        held = key.cached(server.endpoint, time.time())
        assert held is not None
        exchange.faults.token_answer = "too_many"
        await again()
        exchange.faults.token_answer = "ok"
        expiring = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=RENEW_MARGIN - 1)
        key.store(server.endpoint, Token(held, expiring), time.time() - 2 * RENEW_MARGIN)
        exchange.expire_tokens()
        await again()
        assert key.cached(server.endpoint, time.time()) not in (None, held)
        assert client.stats().connections == 3


@pytest.mark.parametrize("answer", [None, 5, "", "Bearer abc"])
async def test_a_callable_that_returns_no_token_is_told_so(loop: Loop, answer: object) -> None:
    async def token() -> str:
        return answer  # type: ignore[return-value]  # that is the mistake

    exchange = Exchange()
    async with loop.serve(exchange) as server:
        with pytest.raises(LocalProtocolError, match="token"):
            async with loop.connect(server.endpoint, token=token):
                raise AssertionError("the block must not be entered")
        assert exchange.links == []

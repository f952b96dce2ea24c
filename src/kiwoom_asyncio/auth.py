"""Access tokens on asyncio: one call to the token server each. `TokenCall` has the protocol."""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.to_thread

from kiwoom_proto import AppKey, ClientConfig, Endpoint, LocalProtocolError, Secret
from kiwoom_proto.auth import Token, TokenCall
from kiwoom_proto.client.async_block import opening
from kiwoom_proto.client.own_loop import AnyEvent
from kiwoom_proto.client.tokens import forget_token, obtain_token
from kiwoom_proto.secrets import conceal
from kiwoom_proto.wire.tls import Tls

from .dial import NETWORK_ERRORS, describe, dial
from .own_loop import check_loop

__all__ = ("fresh_token", "issue_token", "revoke_token")

T = TypeVar("T")

TIMEOUT = ClientConfig().token_timeout
ISSUE = "write `token = await issue_token(...)`"


@opening(ISSUE)
async def issue_token(
    endpoint: Endpoint, key: AppKey, *, ssl_context: ssl.SSLContext | None = None, timeout: float = TIMEOUT
) -> Token:
    """Issue an access token. While one is valid, Kiwoom returns the same one again.

    Args:
        endpoint: where the token is used; it determines the token server.
        key: the app key and secret key.
        ssl_context: TLS settings; None verifies against the system's trust store.
        timeout: seconds for everything, from resolving the name to the last byte; `math.inf` disables it.

    Raises:
        TokenRefused: the server refused.
        TokenError: the answer is not HTTP.
        TransportError: the network failed, or the timeout passed.
        LocalProtocolError: the TLS context does not verify (see `Endpoint.insecure`), or the timeout is invalid.
    """
    check_loop("issue_token")
    endpoint.check_tls(ssl_context)
    call = TokenCall(endpoint, key)
    await _carry(call, ssl_context, timeout)
    token = call.result()
    assert token is not None  # only revoking returns None
    return token


async def revoke_token(
    endpoint: Endpoint,
    key: AppKey,
    token: str | Secret,
    *,
    ssl_context: ssl.SSLContext | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Revoke an access token: nobody can log in with it any more. Arguments and errors as for `issue_token`."""
    token = conceal(token)
    check_loop("revoke_token")
    endpoint.check_tls(ssl_context)
    call = TokenCall(endpoint, key, revoke=token)
    await _carry(call, ssl_context, timeout)
    call.result()
    await forget_token(endpoint, key, token, _LOOP)


async def fresh_token(
    endpoint: Endpoint, key: AppKey, *, ssl_context: ssl.SSLContext | None = None, refused: Secret | None = None
) -> Secret:
    """Return a valid token of the key: see `obtain_token`. As `issue_token`, but the caller sets the timeout."""

    async def issue() -> Token:
        return await issue_token(endpoint, key, ssl_context=ssl_context, timeout=math.inf)

    return await obtain_token(endpoint, key, issue, _LOOP, refused)


async def _carry(call: TokenCall, ssl_context: ssl.SSLContext | None, timeout: float) -> None:
    """Dial, and carry bytes until the call has finished; failures become part of its result.

    Raises:
        LocalProtocolError: the timeout is invalid.
    """
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise LocalProtocolError(f"timeout: must be a number of seconds above 0, not {timeout!r}")
    with anyio.move_on_after(timeout) as scope:
        await _carry_bytes(call, ssl_context)
    if scope.cancelled_caught:
        call.receive_eof(f"no answer within {timeout:g} s")


async def _carry_bytes(call: TokenCall, ssl_context: ssl.SSLContext | None) -> None:
    answer = _Answer(Tls(call, call.host, ssl_context) if call.secure else call)
    try:
        link = await dial(call.host, call.port, answer)
    except NETWORK_ERRORS as error:
        call.receive_eof(describe(error))
        return
    async with link.supervised():
        try:
            while True:
                answer.changed.clear()
                if data := memoryview(answer.link.data_to_send()):  # a memoryview does not show the keys in it
                    await link.send(data)
                if call.finished:
                    return
                await answer.changed.wait()
        except OSError as error:
            call.receive_eof(describe(error))


class _Answer:
    """Gives a call what a connection brings, and tells that there may be something to do."""

    def __init__(self, link: Tls | TokenCall) -> None:
        self.link = link
        self.changed = asyncio.Event()

    def receive_data(self, data: bytes) -> None:
        view, data = memoryview(data), b""  # a memoryview does not show the token in it
        self.link.receive_data(view)
        self.changed.set()

    def receive_eof(self, error: str | None = None) -> None:
        self.link.receive_eof(error)
        self.changed.set()


class _Loop:
    """What sharing tokens needs of the event loop."""

    now = staticmethod(time.time)
    sleep = staticmethod(anyio.sleep)

    def new_waiter(self) -> tuple[AnyEvent, Callable[[], object]]:
        event, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

        return event, wake

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function)


_LOOP = _Loop()

"""Access tokens on trio: one call to the token server each. `TokenCall` has the protocol."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import trio

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

READ_SIZE = 65_536


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
    with trio.move_on_after(timeout) as scope:
        await _carry_bytes(call, ssl_context)
    if scope.cancelled_caught:
        call.receive_eof(f"no answer within {timeout:g} s")


async def _carry_bytes(call: TokenCall, ssl_context: ssl.SSLContext | None) -> None:
    stream = None
    link = Tls(call, call.host, ssl_context) if call.secure else call
    try:
        stream = await dial(call.host, call.port)
        while True:
            if data := memoryview(link.data_to_send()):  # a memoryview does not show the keys in it
                await stream.send_all(data)
            if call.finished:
                break
            if data := memoryview(await stream.receive_some(READ_SIZE)):
                link.receive_data(data)
            else:
                link.receive_eof()
    except NETWORK_ERRORS as error:
        call.receive_eof(describe(error))
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


class _Loop:
    """What sharing tokens needs of the event loop."""

    now = staticmethod(time.time)
    sleep = staticmethod(trio.sleep)

    def new_waiter(self) -> tuple[AnyEvent, Callable[[], object]]:
        event, loop = trio.Event(), trio.lowlevel.current_trio_token()

        def wake() -> None:
            with suppress(trio.RunFinishedError):
                loop.run_sync_soon(event.set)

        return event, wake

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(function)


_LOOP = _Loop()

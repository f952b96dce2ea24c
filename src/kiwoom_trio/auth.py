"""Access tokens on trio: one call to the token server each. What is said is `TokenCall`'s."""

from __future__ import annotations

import math
import ssl
import time

import trio

from kiwoom_proto import AppKey, ClientConfig, Endpoint, LocalProtocolError, Secret
from kiwoom_proto.auth import Token, TokenCall
from kiwoom_proto.secrets import conceal
from kiwoom_proto.wire.tls import Tls

from .dial import NETWORK_ERRORS, describe, dial

__all__ = ("fresh_token", "issue_token", "revoke_token")

TIMEOUT = ClientConfig().token_timeout

READ_SIZE = 65_536


async def issue_token(
    endpoint: Endpoint, key: AppKey, *, ssl_context: ssl.SSLContext | None = None, timeout: float = TIMEOUT
) -> Token:
    """Ask for an access token. While one is valid, Kiwoom issues the same again.

    Arguments:
        endpoint: where it is to be used; it tells the token server.
        key: the keys to ask with.
        ssl_context: for TLS; None verifies against the system's trust store.
        timeout: seconds for all of it, from looking up the name to the last byte; `math.inf`: as long as it takes.

    Raises:
        TokenRefused: the server said no.
        TokenError: what it said is not HTTP.
        TransportError: the network failed, or it took longer.
        LocalProtocolError: the TLS context does not verify (see `Endpoint.insecure`), or there is no such timeout.
    """
    endpoint.check_tls(ssl_context)
    call = TokenCall(endpoint, key)
    await _carry(call, ssl_context, timeout)
    token = call.result()
    assert token is not None  # that is the result of revoking
    return token


async def revoke_token(
    endpoint: Endpoint,
    key: AppKey,
    token: str | Secret,
    *,
    ssl_context: ssl.SSLContext | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Revoke an access token: nobody can log in with it any more. Arguments and errors as `issue_token`."""
    token = conceal(token)
    endpoint.check_tls(ssl_context)
    call = TokenCall(endpoint, key, revoke=token)
    await _carry(call, ssl_context, timeout)
    call.result()
    key.forget(endpoint, token)


async def fresh_token(endpoint: Endpoint, key: AppKey, *, ssl_context: ssl.SSLContext | None = None) -> Secret:
    """Return the key's token where it has one that is good, else ask for one and keep it.

    As `issue_token`, but the caller has the timeout.
    """
    cached = key.cached(endpoint, time.time())
    if cached is not None:
        return cached
    token = await issue_token(endpoint, key, ssl_context=ssl_context, timeout=math.inf)
    key.store(endpoint, token, time.time())
    return token.value


async def _carry(call: TokenCall, ssl_context: ssl.SSLContext | None, timeout: float) -> None:
    """Dial, and carry bytes until the call is finished; whatever goes wrong is part of its result.

    Raises:
        LocalProtocolError: there is no such timeout.
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

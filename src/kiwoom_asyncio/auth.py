"""Access tokens on asyncio: one call to the token server each. What is said is `TokenCall`'s.

Nothing here waits for a limited time: put a call into `anyio.fail_after` where that matters.
"""

from __future__ import annotations

import asyncio
import ssl
import time

from kiwoom_proto import AppKey, Endpoint, Secret, Token, TokenCall
from kiwoom_proto.secrets import conceal

from .dial import NETWORK_ERRORS, describe, dial

__all__ = ("fresh_token", "issue_token", "revoke_token")


async def issue_token(endpoint: Endpoint, key: AppKey, *, ssl_context: ssl.SSLContext | None = None) -> Token:
    """Ask for an access token. While one is valid, Kiwoom issues the same again.

    It waits as long as it takes; the caller has the timeout.

    Arguments:
        endpoint: where it is to be used; it tells the token server.
        key: the keys to ask with.
        ssl_context: for TLS; None verifies against the system's trust store.

    Raises:
        TokenRefused: the server said no.
        TokenError: what it said is not HTTP.
        TransportError: the network failed.
        LocalProtocolError: the TLS context does not verify; see `Endpoint.insecure`.
    """
    endpoint.check_tls(ssl_context)
    call = TokenCall(endpoint, key)
    await _carry(call, ssl_context)
    token = call.result()
    assert token is not None  # that is the result of revoking
    return token


async def revoke_token(
    endpoint: Endpoint, key: AppKey, token: str | Secret, *, ssl_context: ssl.SSLContext | None = None
) -> None:
    """Revoke an access token: nobody can log in with it any more. Arguments and errors as `issue_token`."""
    token = conceal(token)
    endpoint.check_tls(ssl_context)
    call = TokenCall(endpoint, key, revoke=token)
    await _carry(call, ssl_context)
    call.result()
    key.forget(endpoint, token)


async def fresh_token(endpoint: Endpoint, key: AppKey, *, ssl_context: ssl.SSLContext | None = None) -> Secret:
    """Return the key's token where it has one that is good, else ask for one and keep it. As `issue_token`."""
    cached = key.cached(endpoint, time.time())
    if cached is not None:
        return cached
    token = await issue_token(endpoint, key, ssl_context=ssl_context)
    key.store(endpoint, token, time.time())
    return token.value


async def _carry(call: TokenCall, ssl_context: ssl.SSLContext | None) -> None:
    """Dial, and carry bytes until the call is finished; whatever goes wrong is part of its result."""
    finished = asyncio.Event()

    def receive(data: bytes, error: str | None) -> None:
        view, data = memoryview(data), b""  # which shows nothing: it may hold a token
        if view:
            call.receive_data(view)
        else:
            call.receive_eof(error)
        if call.finished:
            finished.set()

    try:
        link = await dial(call.host, call.port, call.secure, ssl_context, receive)
    except NETWORK_ERRORS as error:
        call.receive_eof(describe(error))
        return
    async with link.supervised():
        try:
            await link.send(memoryview(call.data_to_send()))  # which shows nothing of the keys
        except OSError as error:
            call.receive_eof(describe(error))
        else:
            await finished.wait()

"""Dialling on trio: a TCP connection, with TLS or without, and what went wrong in words."""

from __future__ import annotations

import os
import ssl

import trio

from .tasks import ungrouped

__all__ = ("NETWORK_ERRORS", "describe", "dial")

NETWORK_ERRORS = (
    OSError,
    UnicodeError,  # no host name at all
    trio.BrokenResourceError,
)
"""What `dial`, and writing to and reading from what it returns, may raise."""


async def dial(host: str, port: int, secure: bool, ssl_context: ssl.SSLContext | None) -> trio.abc.Stream:
    """Connect, with TLS where `secure`; a context of None verifies against the system's trust store.

    Raises:
        OSError, UnicodeError, trio.BrokenResourceError: it could not be done; see `describe`.
    """
    with ungrouped():
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
    if not secure:
        return stream
    context = ssl.create_default_context() if ssl_context is None else ssl_context
    tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return tls


def describe(error: BaseException) -> str:
    """The cause that tells something: trio wraps what the system said."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ExceptionGroup):
        return "; ".join(dict.fromkeys(describe(each) for each in error.exceptions))  # one for each address
    if os.name == "posix" and isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error)  # the loops have texts of their own
    return str(error) or type(error).__name__

"""Dialling on asyncio (by way of anyio): a TCP connection, with TLS or without, and what went wrong in words."""

from __future__ import annotations

import os
import ssl

import anyio
import anyio.abc

__all__ = ("NETWORK_ERRORS", "describe", "dial")

NETWORK_ERRORS = (
    OSError,
    UnicodeError,  # no host name at all
    anyio.BrokenResourceError,
    anyio.EndOfStream,
)
"""What `dial`, and writing to and reading from what it returns, may raise."""


async def dial(host: str, port: int, secure: bool, ssl_context: ssl.SSLContext | None) -> anyio.abc.ByteStream:
    """Connect, with TLS where `secure`; a context of None verifies against the system's trust store.

    Raises:
        OSError, UnicodeError, anyio.BrokenResourceError, anyio.EndOfStream: it could not be done; see `describe`.
    """
    if not secure:
        return await anyio.connect_tcp(host, port)
    context = ssl.create_default_context() if ssl_context is None else ssl_context
    return await anyio.connect_tcp(
        host,
        port,
        tls=True,
        ssl_context=context,
        tls_standard_compatible=False,
        tls_hostname=host,
    )


def describe(error: BaseException) -> str:
    """The cause that tells something: anyio wraps what the system said."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ExceptionGroup):
        return describe(error.exceptions[0])
    if os.name == "posix" and isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error)  # the loops have texts of their own
    return str(error) or type(error).__name__

"""Dialling on asyncio: a TCP connection, with TLS or without, and what went wrong in words.

What comes is handed over where asyncio receives it. A task that reads would learn of it one turn of the loop later,
which is a third of what a message takes from the socket to the program.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import ssl
from collections.abc import Callable

__all__ = ("NETWORK_ERRORS", "Link", "describe", "dial")

READ_SIZE = 131_072
"""Most bytes taken at once."""
NETWORK_ERRORS = (
    OSError,
    UnicodeError,  # no host name at all
)
"""What `dial` and `Link.send` may raise."""


class Link(asyncio.BufferedProtocol):
    """A connection.

    Arguments:
        receive: called with what comes; at the end with nothing, and what went wrong, or None.
    """

    def __init__(self, receive: Callable[[bytes, str | None], None]) -> None:
        self._receive = receive
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._written = asyncio.Event()
        self._written.set()

    async def send(self, data: bytes) -> None:
        """Write, and wait until the system has taken it, or the connection is lost.

        Raises:
            OSError: the connection was lost before.
        """
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)
        await self._written.wait()

    def abort(self) -> None:
        """End it at once, and hand over nothing more."""
        self._receive = lambda data, error: None
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(0)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        self._receive(bytes(self._buffer[:size]), None)

    def connection_lost(self, error: Exception | None) -> None:
        self._written.set()
        self._receive(b"", None if error is None else describe(error))

    def pause_writing(self) -> None:
        self._written.clear()

    def resume_writing(self) -> None:
        self._written.set()


async def dial(
    host: str,
    port: int,
    secure: bool,
    ssl_context: ssl.SSLContext | None,
    receive: Callable[[bytes, str | None], None],
) -> Link:
    """Connect, with TLS where `secure`; a context of None verifies against the system's trust store.

    Raises:
        OSError, UnicodeError: it could not be done; see `describe`.
    """
    context = None
    if secure:
        context = ssl.create_default_context() if ssl_context is None else ssl_context
    _, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(receive),
        host,
        port,
        ssl=context,
        server_hostname=host if secure else None,
    )
    return link


def describe(error: BaseException) -> str:
    """The cause that tells something, in the system's words."""
    while error.__cause__ is not None:
        error = error.__cause__
    if os.name == "posix" and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        # Where there are several addresses, asyncio puts the errors of all into one text.
        found = re.search(r"\[Errno (\d+)\]", str(error))
        number = error.errno or (int(found[1]) if found else 0)
        if number:
            return os.strerror(number) if number > 0 else str(error)  # the loops have texts of their own
        if isinstance(error, ConnectionResetError) and not str(error):  # asyncio's own, where TLS has not begun
            return os.strerror(errno.ECONNRESET)
    return str(error) or type(error).__name__

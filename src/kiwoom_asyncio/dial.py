"""TCP on asyncio, and network errors in words.

Only what every asyncio loop has is used. uvloop's transports are not subclasses of asyncio's, for example, and its
`create_connection` has no `happy_eyeballs_delay`.

Received bytes are handed over in asyncio's own callback. A reading task would get them one turn of the loop later,
which is a third of the time that a message takes from the socket to the program.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, cast

import anyio

from .tasks import background_tasks

__all__ = ("NETWORK_ERRORS", "Link", "describe", "dial")

READ_SIZE = 131_072
"""Maximum bytes per read."""
NEXT_ADDRESS_AFTER = 0.25
"""Seconds after which the next address is tried in parallel with one that does not answer, as in trio and RFC 8305."""
NETWORK_ERRORS = (
    OSError,
    UnicodeError,  # not a host name
)
"""Exceptions that `dial` and `Link.send` raise."""


class Receiver(Protocol):
    """Takes what a connection brings."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes."""

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end, and what went wrong, or None."""


class _Kept:
    """Keeps what arrives before there is a receiver, or after it has lost interest."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_over = False
        self.error: str | None = None

    def receive_data(self, data: bytes) -> None:
        self.data += data

    def receive_eof(self, error: str | None = None) -> None:
        self.is_over, self.error = True, error

    def hand_over(self, receiver: Receiver) -> None:
        if self.data:
            receiver.receive_data(bytes(self.data))
        if self.is_over:
            receiver.receive_eof(self.error)


class Link(asyncio.BufferedProtocol):
    """A TCP connection. What arrives is kept until `start` says where it goes."""

    def __init__(self) -> None:
        self._kept = _Kept()
        self._receiver: Receiver = self._kept
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._written = asyncio.Event()
        self._written.set()
        self._mistake: Exception | None = None
        self._mistaken = asyncio.Event()

    def start(self, receiver: Receiver) -> None:
        """Hand over what has arrived, and what arrives from now on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_write_buffer_limits(0)
        self._receiver = receiver
        self._kept.hand_over(receiver)

    @asynccontextmanager
    async def supervised(self) -> AsyncGenerator[None]:
        """Raise in this block what the receiver raises, and end the connection with it.

        That is a bug of this library. A loop would report it as the reason why the connection was lost.
        """
        try:
            async with background_tasks() as tasks:
                tasks.start_soon(self._raise_mistake)
                yield
        finally:
            self.abort()

    async def send(self, data: bytes | memoryview) -> None:
        """Write, and wait until the system has accepted it or the connection is lost.

        Raises:
            OSError: the connection was already lost.
        """
        self._open_transport().write(data)
        await self._written.wait()

    def abort(self) -> None:
        """Close at once, and hand over nothing more."""
        self._receiver = _Kept()
        if self._transport is not None:
            self._transport.abort()

    async def _raise_mistake(self) -> None:
        await self._mistaken.wait()
        assert self._mistake is not None
        raise self._mistake

    def _fail(self, mistake: Exception) -> None:
        self.abort()
        self._mistake = mistake
        self._mistaken.set()

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        return self._transport

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        try:
            self._receiver.receive_data(bytes(self._buffer[:size]))
        except Exception as mistake:
            self._fail(mistake)

    def connection_lost(self, error: Exception | None) -> None:
        self._written.set()
        try:
            self._receiver.receive_eof(None if error is None else describe(error))
        except Exception as mistake:
            self._fail(mistake)

    def pause_writing(self) -> None:
        self._written.clear()

    def resume_writing(self) -> None:
        self._written.set()


async def dial(host: str, port: int, receiver: Receiver) -> Link:
    """Connect to the first of a host's addresses that answers, and hand what arrives to `receiver`.

    Raises:
        OSError, UnicodeError: no connection could be made; see `describe`.
    """
    link = await _connect(await _resolve(host, port), port)
    link.start(receiver)
    return link


async def _connect(addresses: list[str], port: int) -> Link:
    """Connect to the first that answers. Each is tried once the one before it has failed or taken too long."""
    first: Link | None = None
    failures: list[OSError] = []
    settled = asyncio.Event()

    async def attempt(address: str) -> None:
        nonlocal first
        try:
            _, link = await asyncio.get_running_loop().create_connection(Link, address, port)
        except OSError as error:
            failures.append(error)
        else:
            if first is None:
                first = link
            else:
                link.abort()
        settled.set()

    try:
        async with background_tasks() as tasks:
            for address in addresses:
                settled.clear()
                tasks.start_soon(attempt, address)
                with anyio.move_on_after(NEXT_ADDRESS_AFTER):
                    await settled.wait()
                if first is not None:
                    return first
            while len(failures) < len(addresses):
                settled.clear()
                await settled.wait()
                if first is not None:
                    return first
    except BaseException:
        if first is not None:
            first.abort()
        raise
    raise OSError("no address answers") from ExceptionGroup("", failures)


async def _resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the order to try them.

    This uses a thread of its own: the end of the loop, and of the program, would wait for the loop's own threads,
    however long the resolver takes.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Any]] = loop.create_future()

    def settle(answer: list[Any] | Exception) -> None:
        if found.done():
            return
        if isinstance(answer, Exception):
            found.set_exception(answer)
        else:
            found.set_result(answer)

    def look_up() -> None:
        answer: list[Any] | Exception
        try:
            answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:
            answer = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, answer)

    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):  # a name
        threading.Thread(target=look_up, name="kiwoom_asyncio resolver", daemon=True).start()
        answers = await found
    for position, answer in enumerate(answers):
        if answer[0] != answers[0][0]:
            answers.insert(1, answers.pop(position))  # if one family is unreachable, the other comes second
            break
    return [str(answer[4][0]) for answer in answers]


def describe(error: BaseException) -> str:
    """Return the most specific cause of an error, in the system's words."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ExceptionGroup):  # one for each address
        return "; ".join(dict.fromkeys(describe(each) for each in error.exceptions))
    if os.name == "posix" and isinstance(error, OSError):
        if error.errno:
            return os.strerror(error.errno) if error.errno > 0 else str(error)  # loops have their own texts
        if isinstance(error, ConnectionResetError) and not str(error):  # asyncio's own
            return os.strerror(errno.ECONNRESET)
    return str(error) or type(error).__name__

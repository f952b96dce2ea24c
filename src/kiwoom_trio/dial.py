"""TCP on trio, and network errors in words."""

from __future__ import annotations

import os

import trio

from .tasks import ungrouped

__all__ = ("NETWORK_ERRORS", "STREAM_ERRORS", "describe", "dial")

NETWORK_ERRORS = (
    OSError,
    UnicodeError,  # not a host name
    trio.BrokenResourceError,
)
"""Exceptions that `dial`, reads and writes raise."""
STREAM_ERRORS = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""Exceptions that reads and writes raise, also while the stream is closed by another task."""


async def dial(host: str, port: int) -> trio.SocketStream:
    """Connect to the first of a host's addresses that answers.

    Raises:
        OSError, UnicodeError: no connection could be made; see `describe`.
    """
    with ungrouped():
        return await trio.open_tcp_stream(host, port)


def describe(error: BaseException) -> str:
    """Return the most specific cause of an error, in the system's words: trio wraps them."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ExceptionGroup):
        return "; ".join(dict.fromkeys(describe(each) for each in error.exceptions))  # one for each address
    if os.name == "posix" and isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error)  # loops have their own texts
    return str(error) or type(error).__name__

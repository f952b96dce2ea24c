"""Run a command, and turn how it ends into an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import anyio
import click

from kiwoom_proto import KiwoomError, LocalProtocolError

from .ending import Ending
from .output import OutputError, ReaderLeft
from .stream import warn

__all__ = ("exit_codes", "run", "usage_errors")


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn an invalid argument into a usage error."""
    try:
        yield
    except LocalProtocolError as error:
        raise click.UsageError(str(error)) from None


def run(
    command: Callable[[Ending], Awaitable[None]],
    duration: float | None = None,
    *,
    hang_up: Callable[[], None] | None = None,
) -> None:
    """Run a command. Exit with the code of the signal that ended it, if one did.

    What went wrong at that end is told first: that nobody knows what became of an order, for example.

    Args:
        command: the command.
        duration: seconds after which it ends; None: no limit.
        hang_up: called for SIGHUP, which then does not end it.
    """
    ending = Ending(duration, hang_up=hang_up)
    try:
        anyio.run(ending.run, command)
    except (BaseExceptionGroup, KiwoomError) as caught:
        error = _first_of(caught)
        if ending.signal is None or not isinstance(error, KiwoomError):
            raise
        warn(str(error))
    if ending.signal is not None:
        warn("interrupted" if ending.signal == signal.SIGINT else f"ended by {ending.signal.name}")
        sys.exit(128 + ending.signal)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn an exception into a message and an exit code."""
    try:
        yield
    except (KeyboardInterrupt, BaseExceptionGroup, Exception) as caught:
        _fail(_first_of(caught))


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, ReaderLeft):
        sys.exit(0)  # the reader wants no more rows
    if isinstance(error, KeyboardInterrupt):
        warn("interrupted")
        sys.exit(130)
    if isinstance(error, LocalProtocolError):
        raise click.UsageError(str(error)) from None
    if isinstance(error, KiwoomError | OSError | OutputError):
        warn(str(error))
        sys.exit(1)
    raise error

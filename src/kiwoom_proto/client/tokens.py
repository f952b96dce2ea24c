"""One request for a token at a time: for each key and token server, however many clients need one.

Clients of the feed and of REST share an `AppKey` and the token in it. Those that need one in the same moment, in
whatever thread and event loop, wait for the first of them, and get what it gets: the token, or the refusal. If the
first gives up, the next one asks. With a `TokenFolder` the same holds for all processes: see token_folder.

A folder that cannot be used, or a lock that another process does not give back within `LOCK_TIME`, holds nobody up: the
token is asked for as without one, and a `TokenFolderWarning` says so.
"""

from __future__ import annotations

import copy
import os
import threading
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeAlias, TypeVar

from ..auth import RENEW_MARGIN, AppKey, Token
from ..endpoint import Endpoint
from ..errors import KiwoomError
from ..secrets import Secret
from ..token_folder import TokenFile, TokenFolderWarning
from .own_loop import AnyEvent

__all__ = ("TokenLoop", "forget_token", "obtain_token")

T = TypeVar("T")

LOCK_TIME = 15.0
"""Seconds that another process may take to get a token."""
POLL_INTERVAL = 0.05


class TokenLoop(Protocol):
    """What is needed of an event loop."""

    def now(self) -> float:
        """Return the time in seconds since the epoch (UTC)."""

    def new_waiter(self) -> tuple[AnyEvent, Callable[[], object]]:
        """Return an event, and a function that sets it from any thread."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that blocks, in a thread, and wait for its end even if cancelled."""


class _Flight:
    """One request for a token, and who waits for it."""

    def __init__(self) -> None:
        self.wakes: list[Callable[[], object]] = []
        self.outcome: Token | KiwoomError | None = None  # None after the end: whoever asked has given up


_Place: TypeAlias = tuple[int, Secret, Secret, str]
_lock = threading.Lock()
_flights: dict[_Place, _Flight] = {}
"""By process (a fork has the flights of its parent, which never end), keys, and token server."""


async def obtain_token(
    endpoint: Endpoint,
    key: AppKey,
    issue: Callable[[], Awaitable[Token]],
    loop: TokenLoop,
    refused: Secret | None = None,
) -> Secret:
    """Return a token that is valid: the key's own, one that is kept in its folder, or a new one.

    Args:
        endpoint: where it is used.
        key: the key, which keeps the token.
        issue: asks the server for one.
        loop: the event loop.
        refused: a token that the server has refused; None: none.

    Raises:
        KiwoomError: what `issue` raises, here or where somebody else had asked at the same time.
    """
    if refused is not None:
        key.forget(endpoint, refused)
    place = os.getpid(), key.appkey, key.secretkey, endpoint.token_url
    while (cached := key.cached(endpoint, loop.now())) is None:
        event: AnyEvent | None = None
        with _lock:
            flight = _flights.get(place)
            if flight is None:
                flight = _flights[place] = _Flight()
            else:
                event, wake = loop.new_waiter()
                flight.wakes.append(wake)
        if event is None:
            return await _lead(place, flight, endpoint, key, issue, loop, refused)
        await event.wait()
        if isinstance(flight.outcome, KiwoomError):
            raise copy.copy(flight.outcome)  # not the same one: each is raised with a traceback of its own
        if flight.outcome is not None and flight.outcome.value != refused:
            key.store(endpoint, flight.outcome, loop.now())  # it may be another object of the same key
            return flight.outcome.value
    return cached


async def _lead(
    place: _Place,
    flight: _Flight,
    endpoint: Endpoint,
    key: AppKey,
    issue: Callable[[], Awaitable[Token]],
    loop: TokenLoop,
    refused: Secret | None,
) -> Secret:
    """Get a token for everybody who waits for it."""
    try:
        flight.outcome = await _obtain(endpoint, key, issue, loop, refused)
        key.store(endpoint, flight.outcome, loop.now())
        return flight.outcome.value
    except KiwoomError as error:
        flight.outcome = error
        raise
    finally:
        with _lock:
            del _flights[place]
        for wake in flight.wakes:
            wake()


async def _obtain(
    endpoint: Endpoint,
    key: AppKey,
    issue: Callable[[], Awaitable[Token]],
    loop: TokenLoop,
    refused: Secret | None,
) -> Token:
    """Return the token in the folder, or a new one, which is kept there."""
    if key.folder is None:
        return await issue()
    async with _locked(key.folder.file(key, endpoint), loop) as file:
        if file is None:
            return await issue()
        kept = await loop.run_in_thread(file.read)
        if kept is not None and kept.value != refused and _is_fresh(kept, loop.now()):
            return kept
        token = await issue()
        await loop.run_in_thread(lambda: file.write(token))
        return token


def _is_fresh(token: Token, now: float) -> bool:
    """Return whether a token is good for a while. Near its end the server may have a new one."""
    return token.expires_at is not None and now < token.expires_at.timestamp() - RENEW_MARGIN


async def forget_token(endpoint: Endpoint, key: AppKey, token: Secret, loop: TokenLoop) -> None:
    """Drop a token that was revoked, also from the key's folder."""
    key.forget(endpoint, token)
    if key.folder is not None:
        async with _locked(key.folder.file(key, endpoint), loop) as file:
            if file is not None:
                await loop.run_in_thread(lambda: file.erase(token))


@asynccontextmanager
async def _locked(file: TokenFile, loop: TokenLoop) -> AsyncGenerator[TokenFile | None]:
    """Hold the lock of a file; give None if that cannot be had."""
    give_up_at = loop.now() + LOCK_TIME
    try:
        while (is_locked := await loop.run_in_thread(file.try_lock)) is False:
            if loop.now() >= give_up_at:
                file.problems.append(f"{file.path} is not used: another process has locked it for {LOCK_TIME:g} s")
                break
            await loop.sleep(POLL_INTERVAL)
        _warn(file)
        yield file if is_locked else None
        _warn(file)
    finally:
        file.unlock()


def _warn(file: TokenFile) -> None:
    problems, file.problems = file.problems, []
    for problem in problems:
        warnings.warn(problem, TokenFolderWarning, stacklevel=2)

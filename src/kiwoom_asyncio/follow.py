"""What `kiwoom-proto` follows, and how it is shown while it does."""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
from rich.console import Console
from rich.live import Live

from kiwoom_proto import (
    AppKey,
    ClientConfig,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    KiwoomError,
    Record,
    RequestRejected,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.errors import explain_code, printable

from .client import Client, connect
from .view import View, standing_of

__all__ = ("CONFIG", "Emit", "Follow", "Token", "Watch", "complain", "follow", "follow_condition", "show")

FRAMES_PER_SECOND = 8
CLEAR_TIMEOUT = 2.0

CONFIG = ClientConfig(connect_timeout=3)
"""Somebody waits for the first login: long enough for what passes by itself (HTTP 429), then say why it fails."""

Token: TypeAlias = str | AppKey
Emit: TypeAlias = Callable[[Record], Awaitable[None]]
Watch: TypeAlias = Callable[[Client], None]
Follow: TypeAlias = Callable[[Emit, Watch], Coroutine[Any, Any, None]]


async def follow(
    endpoint: Endpoint,
    token: Token,
    type: str,
    items: tuple[str, ...],
    emit: Emit,
    watch: Watch,
    *,
    count: int | None = None,
    duration: float | None = None,
) -> None:
    """Emit the rows of one subscription until `count` or `duration` is reached, both counted from the call on.

    Arguments:
        endpoint: where to connect to.
        token: the access token, or the keys to get one with.
        type: type code.
        items: what to subscribe to.
        emit: called with each row.
        watch: called with the client, once it is logged in.
        count: most rows.
        duration: seconds.

    Raises:
        KiwoomError: it ended for any other reason.
    """
    subscribed = False
    with anyio.move_on_after(duration):
        async with connect(endpoint, token=token, config=CONFIG) as client:
            watch(client)
            await client.subscribe(type, *items)
            subscribed = True
            rows = 0
            async for event in client:
                if isinstance(event, Record):
                    await emit(event)
                    rows += 1
                    if rows == count:
                        return
                else:
                    _complain_of(event, client)
    if not subscribed:
        raise KiwoomError(f"no subscription within --duration {duration:g}")


async def follow_condition(
    endpoint: Endpoint,
    token: Token,
    seq: str,
    emit: Emit,
    watch: Watch,
    *,
    count: int | None = None,
    duration: float | None = None,
) -> None:
    """Emit what enters and leaves, until `count` or `duration` is reached."""
    answered = False
    hits = 0
    with anyio.move_on_after(duration):
        async with connect(endpoint, token=token, config=CONFIG) as client:
            watch(client)
            result = await client.search_condition(seq, realtime=True)
            answered = True
            now = ", ".join(symbol.item for symbol in result.symbols)
            complain(f"{len(result.symbols)} meet condition {seq} now" + (f": {now}" if now else ""))
            try:
                async for event in client:
                    if isinstance(event, Record) and result.matches(event):
                        await emit(event)
                        hits += 1
                        if hits == count:
                            return
                    else:
                        _complain_of(event, client)
            finally:
                # Left registered, it would be in the way of the next to ask for it.
                with anyio.move_on_after(CLEAR_TIMEOUT, shield=True):
                    await _clear(client, seq)
    if not answered:
        raise KiwoomError(f"no answer within --duration {duration:g}")


async def show(view: View, following: Follow) -> None:
    """Follow a stream and draw it as it comes. A thread draws, for the terminal may be held: see `output`."""
    started = anyio.current_time()

    async def emit(record: Record) -> None:
        view.add(record)

    with Live(view.render(0.0), console=Console(), auto_refresh=False) as live:

        async def draw() -> None:
            while True:
                await anyio.sleep(1 / FRAMES_PER_SECOND)
                frame = view.render(anyio.current_time() - started)
                draw_frame = functools.partial(live.update, frame, refresh=True)
                await anyio.to_thread.run_sync(draw_frame, abandon_on_cancel=True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(draw)
            try:
                await following(emit, view.watch)
            finally:
                tasks.cancel_scope.cancel()
                live.update(view.render(anyio.current_time() - started), refresh=True)


async def _clear(client: Client, seq: str) -> None:
    try:
        await client.clear_condition(seq)
    except KiwoomError:
        pass  # the connection is gone, and with it what there was to clear


def _complain_of(event: Event, client: Client) -> None:
    match event:
        case SystemNotice():
            complain(f"the server says {event.code}: {event.meaning}")
        case UnknownMessage():
            complain(f"a message could not be understood ({len(event.payload)} bytes): {event.error}")
        case Disconnected():
            complain(str(event))
        case Gap():
            complain(f"connected again after {event.seconds:.1f} s without data; {standing_of(client)}")
        case RequestRejected():
            complain(f"{event.request} refused with code {explain_code(event.code)}")


def complain(text: str) -> None:
    """Say something on standard error, fit for a terminal whoever wrote it."""
    with suppress(OSError):  # nobody is left to say that to
        sys.stderr.write(f"kiwoom-proto: {printable(text)}\n")  # which a live view puts above itself

"""Follow rows for `kiwoom-proto`, show them live, and report events on standard error."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import click
from rich.console import Console, RenderableType
from rich.live import Live

from kiwoom_proto import (
    AppKey,
    ClientConfig,
    Closed,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    KiwoomError,
    Record,
    RequestRefused,
    Secret,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.display import MESSAGE_LIMIT, displayed, quoted
from kiwoom_proto.events import RecordingFailed, RecordingHole, RequestRefusal, RequestUnanswered
from kiwoom_proto.realtime.conditions import Condition

from ..client import Client, connect
from .ending import Ending
from .view import View, standing_of

__all__ = (
    "CONFIG",
    "Emit",
    "Follow",
    "Token",
    "Watch",
    "clear",
    "drawn",
    "find_condition",
    "follow",
    "follow_condition",
    "search",
    "show",
    "warn",
    "warn_of",
)

FRAMES_PER_SECOND = 8
MAX_LISTED = 50
"""Maximum number of conditions that an error lists."""
CLEAR_TIMEOUT = 1.0

CONFIG = ClientConfig(connect_timeout=10, close_timeout=1)
"""A person waits for the first login. Retry long enough for temporary faults (HTTP 429, a restart), then say why it
fails. A person also waits for the end, so the close is short."""

Token: TypeAlias = str | Secret | AppKey
Emit: TypeAlias = Callable[[Event], Awaitable[None]]
"""Called with each row that is wanted, and with each event that tells of missing rows."""
Watch: TypeAlias = Callable[[Client], None]
Follow: TypeAlias = Callable[[Emit, Watch], Coroutine[Any, Any, None]]


async def follow(
    ending: Ending,
    endpoint: Endpoint,
    token: Token,
    type: str,
    items: tuple[str, ...],
    emit: Emit,
    watch: Watch,
    *,
    types: Sequence[type[Record]] = (),
    count: int | None = None,
) -> None:
    """Emit the rows of one subscription until the command ends.

    Args:
        ending: when the command ends.
        endpoint: where to connect to.
        token: the access token, or the keys to get one.
        type: type code.
        items: items to subscribe to.
        emit: called with each row.
        watch: called with the client once it is logged in.
        types: record classes in addition to the catalogue.
        count: number of rows after which to return; None: no limit.

    Raises:
        KiwoomError: the stream ended for any other reason.
    """
    subscribed = False
    with ending.cancels():
        async with connect(endpoint, token=token, config=CONFIG, types=types) as client:
            with ending.cancels():
                watch(client)
                await client.subscribe(type, *items)
                subscribed = True
                await _emit_rows(client, emit, count, lambda record: True)
    ending.check(subscribed, "no subscription")


async def follow_condition(
    ending: Ending,
    endpoint: Endpoint,
    token: Token,
    given: str,
    emit: Emit,
    watch: Watch,
    *,
    count: int | None = None,
) -> None:
    """Emit the stocks that enter and leave a condition, as `follow` does. Clear the search at the end.

    `given` is the number or name of the condition.
    """
    answered = False
    with ending.cancels():
        async with connect(endpoint, token=token, config=CONFIG) as client:
            registered = None  # seq of the condition, from the moment the request may be sent
            try:
                with ending.cancels():
                    watch(client)
                    condition = await find_condition(client, given)
                    registered = condition.seq
                    result = await client.search_condition(condition.seq, realtime=True)
                    answered = True
                    now = ", ".join(symbol.item for symbol in result.symbols)
                    which = f"condition {displayed(condition.seq)} ({displayed(condition.name)})"
                    warn(f"{len(result.symbols)} meet {which} now" + (f": {now}" if now else ""))
                    await _emit_rows(client, emit, count, result.matches)
            except RequestRefused:
                registered = None
                raise
            finally:
                if registered is not None:  # a search left live would block the next request for it
                    await clear(client, registered)
    ending.check(answered, "no answer")


async def search(ending: Ending, endpoint: Endpoint, token: Token, given: str, emit: Emit, watch: Watch) -> None:
    """Emit the rows of one search, as `follow` does. Emit each page before the next is requested."""
    rows = 0
    is_complete = False
    with ending.cancels():
        async with connect(endpoint, token=token, config=CONFIG) as client:
            with ending.cancels():
                watch(client)
                condition = await find_condition(client, given)
                async for row in client.search_condition_rows(condition.seq):
                    await emit(row)
                    rows += 1
                is_complete = True
    ending.check(is_complete, "not all pages" if rows else "no answer")


async def find_condition(client: Client, given: str) -> Condition:
    """Return the saved condition with a number or, if none has that number, with a name.

    Raises:
        click.BadParameter: none or several match. The message lists the saved conditions.
    """
    conditions = await client.list_conditions()
    given = given.strip()
    found = [condition for condition in conditions if condition.seq == given]
    found = found or [condition for condition in conditions if condition.name.strip() == given]
    if len(found) == 1:
        return found[0]
    problem = "has the number or name" if not found else "is the only one with the name"
    listed = [f"\n  {displayed(each.seq):>3}  {displayed(each.name)}" for each in conditions[:MAX_LISTED]]
    if len(conditions) > MAX_LISTED:
        listed.append(f"\n  and {len(conditions) - MAX_LISTED} more")
    there_are = f"There are:{''.join(listed)}" if conditions else "None are saved."
    raise click.BadParameter(
        f"no condition {problem} {quoted(given)}. {there_are}",
        param_hint="CONDITION",
    )


async def _emit_rows(client: Client, emit: Emit, count: int | None, is_wanted: Callable[[Record], bool]) -> None:
    rows = 0
    async for event in client:
        if isinstance(event, Record) and is_wanted(event):
            await emit(event)
            rows += 1
            if rows == count:
                return
        else:
            warn_of(event, client)
            if isinstance(event, Disconnected | Gap | Closed):
                await emit(event)


async def show(view: View, following: Follow) -> None:
    """Follow a stream and draw it live."""

    async def emit(event: Event) -> None:
        if isinstance(event, Record):
            view.add(event)

    async with drawn(view.render):
        await following(emit, view.watch)


@asynccontextmanager
async def drawn(render: Callable[[float], RenderableType]) -> AsyncIterator[None]:
    """Draw a view while the block runs. A thread draws, because the terminal may be paused: see `output`.

    Args:
        render: returns the current view, given the seconds since the start.
    """
    started = anyio.current_time()
    with Live(render(0.0), console=Console(), auto_refresh=False) as live:

        async def draw() -> None:
            while True:
                await anyio.sleep(1 / FRAMES_PER_SECOND)
                frame = render(anyio.current_time() - started)
                draw_frame = functools.partial(live.update, frame, refresh=True)
                await anyio.to_thread.run_sync(draw_frame, abandon_on_cancel=True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(draw)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                live.update(render(anyio.current_time() - started), refresh=True)


async def clear(client: Client, seq: str) -> None:
    """Clear a live search, if that is still possible."""
    with anyio.move_on_after(CLEAR_TIMEOUT), suppress(KiwoomError):  # a lost connection has nothing left to clear
        await client.clear_condition(seq)


def warn_of(event: Event, client: Client) -> None:
    """Say on standard error what an event means that is not a row."""
    match event:
        case SystemNotice():
            warn(f"the server says {event}")
        case UnknownMessage():
            warn(f"a message could not be understood ({len(event.payload)} bytes): {event.error}")
        case Disconnected():
            warn(str(event))
        case Gap():
            warn(f"connected again after {event.seconds:.1f} s without data; {standing_of(client)}")
        case RequestRefusal():
            warn(str(RequestRefused(event.request, event.code, event.message)))
        case RequestUnanswered() | RecordingHole():
            warn(str(event))
        case RecordingFailed():
            warn(f"the recording is held up: {event.reason}; rows wait in memory, and what does not fit is lost")


def warn(text: str) -> None:
    """Write one line to standard error, made safe for a terminal."""
    with suppress(OSError):  # standard error is closed: nowhere to report it
        sys.stderr.write(f"kiwoom-proto: {displayed(text, MESSAGE_LIMIT)}\n")  # a live view prints it above itself

"""`kiwoom-proto record`: keep the feed in files, for months.

A supervisor such as systemd starts it again where it gave up; it then continues in new files. Without a terminal,
SIGHUP is what rotates logs, and begins a new file. On a terminal it means that the terminal was closed.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import anyio
import attrs
import click

from kiwoom_proto import Endpoint
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.recording.writer import Fsync

from ..client import connect
from .arguments import token_of_environment
from .ending import Ending
from .endpoint_option import endpoint_options
from .recorder_view import RecorderView
from .running import run, usage_errors
from .stream import CONFIG, Token, clear, drawn, find_condition, warn, warn_of
from .wanted import Wanted, read_items, wanted

__all__ = ("record",)

LINE_INTERVAL = 60.0
"""Seconds between two lines in a log."""
FILE_INTERVAL = 1.0
"""Seconds after which it is looked whether another file was begun."""
RECORD_CONFIG = attrs.evolve(CONFIG, overflow="drop_oldest")
"""Rows are recorded before they are queued; here they are only counted, so the queue may drop them."""
MB = 1_000_000


@click.command(short_help="Record real-time rows in files, for months.")
@click.argument("types", metavar="TYPE...", nargs=-1)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder of the files; made if it is missing.",
)
@click.option(
    "--items", "items_file", type=click.File("rb"), metavar="FILE", help="Items, one a line; - for standard input."
)
@click.option("--item", "items", multiple=True, metavar="ITEM", help="An item. Can be repeated.")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="NAME",
    help="Number or name of a condition search (조건검색) to record live. Can be repeated.",
)
@endpoint_options
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="Stop after this many seconds.")
@click.option(
    "--max-size",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="MB",
    help="Begin a new file at this size.",
)
@click.option(
    "--fsync",
    type=click.Choice(("file", "frame", "never")),
    default="file",
    show_default=True,
    help="When written data is forced to the disk: once a file, every second, or never.",
)
@click.option("--keep-accounts", is_flag=True, help="Do not mask account numbers (계좌번호).")
def record(
    types: tuple[str, ...],
    folder: Path,
    items_file: IO[bytes] | None,
    items: tuple[str, ...],
    conditions: tuple[str, ...],
    endpoint: Endpoint,
    duration: float | None,
    max_size: int,
    fsync: Fsync,
    keep_accounts: bool,
) -> None:
    """Record every message of the types to files in DIR, until interrupted. Keys, tokens and items are those of
    "kiwoom-proto stream".

    Each item is registered for every TYPE that takes items of its form: 005930 for 0B and 0D, the sector 001 for 0J.
    Types of an account or a market, such as orders (주문체결, 00), take none. The first word of a line of FILE is an
    item; what follows it, and lines that begin with "#", are ignored.

    The command reconnects when the connection is lost. What it could not record, it marks in the recording, and
    "kiwoom-proto recordings DIR" lists. A new file begins at midnight (KST) and at --max-size; a started command
    never continues an old one. Several may record to one folder.

    On a terminal it shows counts, rates, lag and free disk. Otherwise it writes a line a minute to standard error, and
    one for each file.

    \b
    Examples:
      kiwoom-proto record 0B 0D --item 005930 --folder DIR
      kiwoom-proto record 0B 0D 0J 00 --items kospi200.txt --folder DIR
      kiwoom-proto record --condition "골든크로스" --folder DIR
      kiwoom-proto recordings DIR
      kiwoom-proto query "select time, price from trade" DIR

    \b
    Exit codes:
      0    reached --duration
      1    refused by the server, lost for good, or nothing can be written at the start
      2    usage error, such as more items than a connection may have
      130  ended by Ctrl-C; 143 by SIGTERM

    SIGHUP begins a new file, or ends the command (129) if it runs on a terminal. A killed command loses at most the
    last second.
    """
    token = token_of_environment()
    if not types and not conditions:
        raise click.UsageError("nothing to record: name a TYPE, or a --condition")
    named = [*items, *(read_items(items_file) if items_file is not None else ())]
    with usage_errors():  # report usage errors before dialling
        subscribed = wanted(endpoint, RECORD_CONFIG, types, named)
    recorder = Recorder(folder, max_file_bytes=max_size * MB, fsync=fsync, mask_accounts=not keep_accounts)
    on_terminal = any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    run(
        lambda ending: _record(ending, endpoint, token, subscribed, conditions, recorder),
        duration,
        hang_up=None if on_terminal else recorder.begin_file,
    )


async def _record(
    ending: Ending,
    endpoint: Endpoint,
    token: Token,
    subscribed: Wanted,
    conditions: tuple[str, ...],
    recorder: Recorder,
) -> None:
    """Record until the command ends."""
    view = RecorderView(f"{endpoint.host}:{endpoint.port}", recorder)
    is_registered = False
    searches: list[str] = []
    shown = drawn(view.render) if sys.stdout.isatty() else _logged(view, recorder)
    with ending.cancels():
        async with (
            shown,
            connect(endpoint, token=token, config=RECORD_CONFIG, types=subscribed.types, record=recorder) as client,
        ):
            try:
                with ending.cancels():
                    view.watch(client)
                    for code, items in subscribed.registrations:
                        await client.subscribe(code, *items)
                    for given in conditions:
                        condition = await find_condition(client, given)
                        searches.append(condition.seq)
                        await client.search_condition(condition.seq, realtime=True)
                    is_registered = True
                    async for event in client:
                        view.add(event)
                        warn_of(event, client)
            finally:
                for seq in searches:  # a search left live would block the next request for it
                    await clear(client, seq)
    ending.check(is_registered, "not everything was registered")


@asynccontextmanager
async def _logged(view: RecorderView, recorder: Recorder) -> AsyncIterator[None]:
    """Write a line a minute, and one for each file, to standard error while the block runs."""
    started = anyio.current_time()

    async def log() -> None:
        while True:
            await anyio.sleep(LINE_INTERVAL)
            warn(view.line(anyio.current_time() - started))

    async def name_files() -> None:
        named, messages = "", 0
        while True:
            await anyio.sleep(FILE_INTERVAL)
            stats = recorder.stats()
            if stats.path not in ("", named) and stats.messages > messages:
                named, messages = stats.path, stats.messages
                warn(f"recording into {named}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log)
        tasks.start_soon(name_files)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()
            warn(view.line(anyio.current_time() - started))

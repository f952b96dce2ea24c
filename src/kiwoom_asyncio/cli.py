"""The `kiwoom-proto` command.

Exit codes: 0 the end that was asked for, 1 the connection was refused or lost, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import datetime
import os
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

import anyio

try:
    import click
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table
except ImportError:
    sys.exit("the kiwoom-proto command needs click and rich: pip install 'kiwoom-proto[cli]'")

import msgspec

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    REALTIME,
    ClientConnection,
    Endpoint,
    KiwoomError,
    LocalProtocolError,
    Record,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.messages import check_token
from kiwoom_proto.record import ACCOUNT_NUMBER_FID
from kiwoom_proto.simulator import Exchange

from . import connect, serve
from .view import LiveTable, label_of, plural

__all__ = ("main",)

TOKEN_VARIABLE = "KIWOOM_TOKEN"
DEMO_STOCKS = {
    "005930": "삼성전자",
    "000660": "SK하이닉스",
    "035420": "NAVER",
    "005380": "현대차",
    "068270": "셀트리온",
}
FRAMES_PER_SECOND = 8

Emit = Callable[[Record], None]


class _Endpoint(click.ParamType[Endpoint]):
    name = "production|mock|URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        known = {"production": PRODUCTION, "mock": MOCK}.get(value)
        if known is not None:
            return known
        try:
            return Endpoint(value)
        except LocalProtocolError as error:
            self.fail(str(error), param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kiwoom-proto", prog_name="kiwoom-proto")
def cli() -> None:
    """The Kiwoom Securities (키움증권) real-time feed.

    \b
    Try it without an account:
      kiwoom-proto demo
    See what there is:
      kiwoom-proto types
      kiwoom-proto types 0E
    Follow the real feed, with an access token in KIWOOM_TOKEN:
      kiwoom-proto stream 0E 005930 000660
    """


@cli.command(short_help="A live table of a simulated exchange, about ten seconds.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), default=10.0, help="Seconds. [default: 10]")
def demo(duration: float) -> None:
    """Show live after-hours quotes (주식시간외호가, 0E) of a simulated exchange.

    It starts the exchange on a free loopback port, connects to it as any client would, subscribes to a few stocks and
    shows what comes. No account and no network needed.
    """

    async def run() -> int:
        exchange = Exchange(seed=1, start=datetime.time(16, 52), rate=3.0)
        async with serve(exchange) as server:
            table = LiveTable("0E", f"simulated exchange, {_short(server.endpoint)}", DEMO_STOCKS)
            await _show(
                table,
                lambda emit: _follow(server.endpoint, "demo", "0E", tuple(DEMO_STOCKS), emit, duration=duration),
            )
            return table.rows

    started = time.monotonic()
    rows = _run(run)
    seconds = time.monotonic() - started
    click.echo(
        f"\n{plural(rows, 'row')} came for {plural(len(DEMO_STOCKS), 'stock')} in {seconds:.1f} s, "
        f"over a real WebSocket.\nNext: {_program()} types 0E   or   {_program()} --help"
    )


@cli.command(short_help="Follow real-time rows: a live table, or JSON lines.")
@click.argument("type", metavar="TYPE")
@click.argument("items", metavar="[ITEM]...", nargs=-1)
@click.option(
    "--endpoint", type=_Endpoint(), default="production", help="production, mock, or a URL. [default: production]"
)
@click.option("--count", type=click.IntRange(min=1), help="End after this many rows.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="End after this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; the default when piped.")
def stream(
    type: str,
    items: tuple[str, ...],
    endpoint: Endpoint,
    count: int | None,
    duration: float | None,
    as_json: bool,
) -> None:
    """Subscribe to TYPE for each ITEM and show the rows: a live table, or JSON lines.

    TYPE is a type code such as 0E (upper and lower case differ; see "kiwoom-proto types"). ITEM is a stock code:
    005930 at KRX, 005930_NX at NXT, 005930_AL for both (SOR). Account-wide types have none.

    The access token is read from the environment variable KIWOOM_TOKEN.

    \b
    Examples:
      kiwoom-proto stream 0E 005930 000660
      kiwoom-proto stream 0E 005930 --endpoint mock --count 10
      kiwoom-proto stream 0E 005930 --json --duration 60 > quotes.jsonl
      kiwoom-proto stream 0E 005930 --endpoint ws://127.0.0.1:8765/api/dostk/websocket

    \b
    Exit codes:
      0    --count or --duration was reached
      1    refused, or the connection was lost
      2    wrong usage
      130  interrupted with Ctrl-C
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise click.UsageError(f"the environment variable {TOKEN_VARIABLE} holds no access token")
    try:  # what cannot be right is said before anything is dialled
        check_token(token)
        ClientConnection(endpoint, clock=time.monotonic).subscribe(type, *items)
    except LocalProtocolError as error:
        raise click.UsageError(str(error)) from None

    def follow(emit: Emit) -> Coroutine[Any, Any, None]:
        return _follow(endpoint, token, type, items, emit, count=count, duration=duration)

    if as_json or not sys.stdout.isatty():
        _run(lambda: follow(_write_json))
        return
    table = LiveTable(type, _short(endpoint))
    _run(lambda: _show(table, follow))


@cli.command(name="serve", short_help="Run a simulated exchange on a port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same rows.")
@click.option(
    "--start", metavar="HH:MM", default="16:00", show_default=True, help="Its time of day at the start (KST)."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Rows a second for each item.",
)
@click.option("--mock", is_flag=True, help="Behave as mock trading (모의투자) does: KRX only.")
def serve_command(host: str, port: int, seed: int, start: str, rate: float, mock: bool) -> None:
    """Run a simulated exchange on a port, until interrupted. Any token may log in.

    \b
    Example, in two terminals:
      kiwoom-proto serve
      KIWOOM_TOKEN=any kiwoom-proto stream 0E 005930 --endpoint ws://127.0.0.1:8765/api/dostk/websocket
    """
    try:
        start_time = datetime.datetime.strptime(start, "%H:%M").time()
    except ValueError:
        raise click.BadParameter(f"{start!r} is not HH:MM", param_hint="--start") from None

    async def run() -> None:
        exchange = Exchange(seed=seed, start=start_time, rate=rate, mock=mock)
        async with serve(exchange, host=host, port=port) as server:
            click.echo(f"Simulated exchange at {server.endpoint}")
            click.echo("Any token may log in. Ctrl-C ends it.")
            await anyio.sleep_forever()

    _run(run)


@cli.command(short_help="The types and their fields, in Korean and English.")
@click.argument("type", metavar="[TYPE]", required=False)
def types(type: str | None) -> None:
    """List the real-time types, or every field of one TYPE, in Korean and English.

    \b
    Examples:
      kiwoom-proto types
      kiwoom-proto types 0E
    """
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    if type is None:
        for column in ("type", "class", "Korean", "what it is"):
            table.add_column(column, no_wrap=column != "what it is")
        for code, cls in REALTIME.items():
            table.add_row(code, cls.__name__, label_of(code), _summary(cls))
        console.print(table)
        console.print("\nRows of any other type arrive as a plain Record: every FID is readable.", style="dim")
        return
    found = REALTIME.get(type)
    if found is None:
        near = [code for code in REALTIME if code.lower() == type.lower()]
        hint = f"; did you mean {near[0]}? Upper and lower case differ" if near else ""
        raise click.BadParameter(f"no type {type!r} in the catalogue{hint}", param_hint="TYPE")
    console.print(f"[bold]{type}[/]  {label_of(type)}  [cyan]{found.__name__}[/]")
    console.print(f"{_summary(found)}\n", style="dim")
    for column in ("FID", "attribute", "Korean", "kind", "unit"):
        table.add_column(column, no_wrap=column != "Korean")
    for field in found.fields.values():
        table.add_row(field.fid, field.name, field.label, field.kind.name, field.unit)
    console.print(table)


def main() -> NoReturn:
    """Run the command."""
    cli()
    raise AssertionError("click exits by itself")


async def _follow(
    endpoint: Endpoint,
    token: str,
    type: str,
    items: tuple[str, ...],
    emit: Emit,
    *,
    count: int | None = None,
    duration: float | None = None,
) -> None:
    """Emit the rows of one subscription until `count` or `duration` is reached, both counted from the call on.

    Raises:
        KiwoomError: it ended for any other reason.
    """
    subscribed = False
    with anyio.move_on_after(duration):
        async with connect(endpoint, token=token) as client:
            await client.subscribe(type, *items)
            subscribed = True
            rows = 0
            async for event in client:
                if isinstance(event, Record):
                    emit(event)
                    rows += 1
                    if rows == count:
                        return
                elif isinstance(event, SystemNotice):
                    _complain(f"the server says {event.code}: {event.meaning}")
                elif isinstance(event, UnknownMessage):
                    _complain(f"a message could not be understood ({len(event.payload)} bytes): {event.error}")
    if not subscribed:
        raise KiwoomError(f"no subscription within --duration {duration:g}")


async def _show(table: LiveTable, follow: Callable[[Emit], Coroutine[Any, Any, None]]) -> None:
    """Follow a stream and draw it as it comes."""
    started = anyio.current_time()
    with Live(table.render(0.0), console=Console(), auto_refresh=False) as live:

        async def draw() -> None:
            while True:
                await anyio.sleep(1 / FRAMES_PER_SECOND)
                live.update(table.render(anyio.current_time() - started), refresh=True)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(draw)
            try:
                await follow(table.add)
            finally:
                tasks.cancel_scope.cancel()
                live.update(table.render(anyio.current_time() - started), refresh=True)


def _run(run: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run to the end and leave with the right exit code where that is not a success."""
    try:
        return anyio.run(run)
    except KeyboardInterrupt:
        _complain("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the rows has had enough. Python would complain about it once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except BaseExceptionGroup as group:
        _fail(group.exceptions[0])
    except (KiwoomError, OSError) as error:
        _fail(error)


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, LocalProtocolError):
        raise click.UsageError(str(error)) from None
    if isinstance(error, KiwoomError | OSError):
        _complain(str(error))
        sys.exit(1)
    raise error


def _short(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


def _program() -> str:
    """How this command is called from here."""
    called = sys.argv[0]
    if shutil.which("kiwoom-proto") is not None or "kiwoom-proto" not in os.path.basename(called):
        return "kiwoom-proto"
    return min(called, os.path.relpath(called), key=len)


def _complain(text: str) -> None:
    click.echo(f"kiwoom-proto: {text}", err=True)


def _write_json(record: Record) -> None:
    line = msgspec.json.encode(_masked(record)) + b"\n"
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _masked(record: Record) -> Mapping[str, Any]:
    """What is printed of a row: everything but account numbers."""
    members = record.to_dict()
    for name, field in record.fields.items():
        if field.kind.masked and members.get(name) is not None:
            members[name] = "***"
    fids = members.get("fids", {})
    if ACCOUNT_NUMBER_FID in fids:
        fids[ACCOUNT_NUMBER_FID] = "***"
    return members


def _summary(cls: type[Record]) -> str:
    first = (cls.__doc__ or "").partition("\n")[0]
    return first.partition(" (")[0] + "."


if __name__ == "__main__":
    main()

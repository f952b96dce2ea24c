"""The `kiwoom-proto` command.

Exit codes: 0 the end that was asked for, or the reader of the output left; 1 refused, lost for good, or the output
cannot be written; 2 wrong usage; 130 ended by Ctrl-C (SIGINT), 143 by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import datetime
import enum
import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import IO, Any, NoReturn

import anyio

try:
    import click
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError:
    sys.exit("the kiwoom-proto command needs click and rich: pip install 'kiwoom-proto[cli]'")


from kiwoom_proto import REALTIME, AppKey, ClientConnection, Endpoint, KiwoomError, LocalProtocolError, Record, Secret
from kiwoom_proto.display import displayed
from kiwoom_proto.realtime.catalogue import Types, condition_type
from kiwoom_proto.realtime.conditions import Condition
from kiwoom_proto.realtime.traits import Market, Scope
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.wire.messages import MAX_TYPE_LENGTH, check_token

from .. import connect, serve
from .demo import run_demo
from .ending import Ending
from .endpoint_option import endpoint_options
from .lines import decode_lines, json_line, masked, write_line
from .output import Output, OutputError, ReaderLeft, guard_standard_error, guard_standard_output
from .stream import CONFIG, Follow, Token, follow, follow_condition, search, show, warn
from .table import RowTable
from .view import View, summary_of, view_of

__all__ = ("main",)

PRINTED_WIDTH = 200  # where it is no terminal that sets one
FINISH_TIMEOUT = 1.0
"""Seconds in which a reader has to take what is left, once it was interrupted."""
CLOSE_TIMEOUT = 1.0
"""Seconds in which the clients of a simulated exchange have to answer its goodbye."""
POLL_INTERVAL = 0.02
TOKEN_VARIABLE = "KIWOOM_TOKEN"
KEY_VARIABLES = ("KIWOOM_APPKEY", "KIWOOM_SECRETKEY")


class _Commands(click.Group):
    """The commands, all with the same exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        with _exit_codes():
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kiwoom-proto", prog_name="kiwoom-proto")
def cli() -> None:
    """Follow the Kiwoom Securities (키움증권) real-time feed.

    \b
    Try it without an account:
      kiwoom-proto demo
    See what there is:
      kiwoom-proto types
      kiwoom-proto types 0E
    Follow the real feed, with KIWOOM_APPKEY and KIWOOM_SECRETKEY (or a token in KIWOOM_TOKEN) set:
      kiwoom-proto stream 0E 005930 000660
    """


@cli.command(short_help="Show a simulated exchange for about ten seconds.")
@click.argument("type", metavar="[TYPE]", default="0E")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), default=10.0, help="Seconds. [default: 10]")
def demo(type: str, duration: float) -> None:
    """Show live rows of a simulated exchange: after-hours quotes (주식시간외호가, 0E), or any other TYPE.

    It starts the exchange on a free loopback port, connects to it as any client would, subscribes to a few items and
    shows the rows. It needs no account and no network.

    \b
    Examples:
      kiwoom-proto demo
      kiwoom-proto demo 0D
      kiwoom-proto demo 00 --duration 20
    """
    if type not in REALTIME:
        raise click.BadParameter(f"no type {type!r} in the catalogue{_other_case(type)}", param_hint="TYPE")
    _run(lambda ending: run_demo(ending, type, duration), duration)


@cli.command(short_help="Follow real-time rows: a live table, or JSON lines.")
@click.argument("type", metavar="TYPE")
@click.argument("items", metavar="[ITEM]...", nargs=-1)
@endpoint_options
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

    The keys are read from the environment variables KIWOOM_APPKEY and KIWOOM_SECRETKEY; or an access token from
    KIWOOM_TOKEN. A lost connection is re-established, with a note on standard error.

    \b
    Examples:
      kiwoom-proto stream 0E 005930 000660
      kiwoom-proto stream 0E 005930 --endpoint mock --count 10
      kiwoom-proto stream 0E 005930 --json --duration 60 > quotes.jsonl
      kiwoom-proto stream 0E 005930 --endpoint ws://127.0.0.1:8765/api/dostk/websocket

    \b
    Exit codes:
      0    --count or --duration was reached, or the reader of the output left
      1    refused, lost for good, or the output cannot be written
      2    usage error
      130  ended by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP

    It always closes the connection cleanly; a second signal cuts it.
    """
    token = _token()
    if type in REALTIME and REALTIME[type].scope is Scope.CONDITION:
        raise click.UsageError(f"rows of {type} belong to a condition search: kiwoom-proto conditions CONDITION --live")
    types = _undeclared(type, endpoint)
    with _usage_errors():  # what cannot be right is said before anything is dialled
        ClientConnection(endpoint, clock=time.monotonic, types=types).subscribe(type, *items)
    if types:
        warn(f"type {type!r} is not in the catalogue: FIDs come as they are, if it is one; the server takes any")

    def following(ending: Ending) -> Follow:
        return functools.partial(follow, ending, endpoint, token, type, items, types=types, count=count)

    view = None if as_json or not sys.stdout.isatty() else view_of(type, f"{endpoint.host}:{endpoint.port}")
    _run(lambda ending: _show_or_print(ending, view, following(ending)), duration)


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
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="A name by which clients may call it, besides --host, its addresses and localhost. Can be repeated.",
)
def serve_command(
    host: str, port: int, seed: int, start: str, rate: float, mock: bool, allowed_hosts: tuple[str, ...]
) -> None:
    """Run a simulated exchange on a port, until interrupted. Any token may log in, and any keys get one.

    Whoever reaches the port can use it. Web pages cannot: requests with an Origin, or for a host that is not its own,
    are refused.

    All clients share one market day: while anyone subscribes to daytime types, evening types wait.

    \b
    Example, in two terminals:
      kiwoom-proto serve
      KIWOOM_TOKEN=any kiwoom-proto stream 0E 005930 --endpoint ws://127.0.0.1:8765/api/dostk/websocket
    Ctrl-C the first and start it again: the second goes on.

    It ends with Ctrl-C (exit code 130) or SIGTERM (143), after it has closed every connection; with 1 where the port
    cannot be listened on.
    """
    try:
        start_time = datetime.datetime.strptime(start, "%H:%M").time()
    except ValueError:
        raise click.BadParameter(f"{start!r} is not HH:MM", param_hint="--start") from None

    async def run(ending: Ending) -> None:
        exchange = Exchange(seed=seed, start=start_time, rate=rate, mock=mock)
        async with AsyncExitStack() as stack:
            try:
                server = await stack.enter_async_context(
                    serve(exchange, host=host, port=port, allowed_hosts=allowed_hosts)
                )
            except (OSError, UnicodeError) as error:  # UnicodeError: no host name at all
                reason = getattr(error, "strerror", None) or error
                raise OSError(f"cannot listen on {host}:{port}: {reason}") from None
            click.echo(f"Simulated exchange at {server.endpoint}")
            click.echo("Any token may log in, and any keys get one. Ctrl-C ends it.")
            if not server.is_loopback:
                warn(
                    "warning: other machines can reach it: anyone who reaches the port can use it, and all is sent in "
                    "clear; use no real token or key with it"
                )
            with ending.cancels():
                await anyio.sleep_forever()
            exchange.close()
            with anyio.move_on_after(CLOSE_TIMEOUT):
                while exchange.links:  # noqa: ASYNC110
                    await anyio.sleep(POLL_INTERVAL)

    _run(run)


@cli.command(short_help="List the types and their fields, in Korean and English.")
@click.argument("type", metavar="[TYPE]", required=False)
def types(type: str | None) -> None:
    """List the real-time types, or every field of one TYPE, in Korean and English.

    \b
    Examples:
      kiwoom-proto types
      kiwoom-proto types 0E
    """
    console = Console() if sys.stdout.isatty() else Console(width=PRINTED_WIDTH)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    if type is None:
        console.print(table_of_types(REALTIME))
        console.print("\nRows of any other type arrive as a plain Record: every FID is readable.", style="dim")
        return
    found = REALTIME.get(type)
    if found is None:
        raise click.BadParameter(f"no type {type!r} in the catalogue{_other_case(type)}", param_hint="TYPE")
    console.print(Text.assemble((type, "bold"), f"  {found.label}  ", (found.__name__, "cyan")))
    console.print(Text(f"{inspect.getdoc(found)}\n", style="dim"))
    for column in ("FID", "attribute", "Korean", "kind", "value", "unit"):
        table.add_column(column, overflow="fold")
    for field in found.fields.values():
        value = field.kind.python_type.__name__ + (" and direction" if field.kind.directional else "")
        table.add_row(field.fid, field.name, field.label, field.kind.name, value, field.unit)
    console.print(table)
    for name, member in vars(found).items():
        if isinstance(member, property) and name not in found.fields:
            console.print(Text.assemble("\n", (name, "bold"), f": {inspect.getdoc(member)}"))
    for field in found.fields.values():
        codes = field.kind.python_type
        if issubclass(codes, enum.Enum):
            listed = ", ".join(
                f"{' or '.join(getattr(code, 'spellings', (code.value,)))} {code.name.lower()}" for code in codes
            )
            console.print(Text.assemble("\n", (field.name, "bold"), f" ({codes.__name__}): {listed}"))


@cli.command(short_help="List condition searches, run one, or follow one.")
@click.argument("condition", metavar="[CONDITION]", required=False)
@click.option("--live", is_flag=True, help="Follow which stocks enter and leave.")
@endpoint_options
@click.option("--count", type=click.IntRange(min=1), help="With --live: end after this many hits.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="End after this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; the default when piped.")
def conditions(
    condition: str | None, live: bool, endpoint: Endpoint, count: int | None, duration: float | None, as_json: bool
) -> None:
    """List the saved condition searches (조건검색), or run the one with the number or name CONDITION.

    \b
    Examples:
      kiwoom-proto conditions
      kiwoom-proto conditions 4
      kiwoom-proto conditions "골든크로스"
      kiwoom-proto conditions 4 --live --count 10

    Token and exit codes as for "kiwoom-proto stream"; an unknown CONDITION is a usage error. A live search is always
    cleared at the end.
    """
    token = _token()
    if live and condition is None:
        raise click.UsageError("--live needs CONDITION, the number or name of one")
    if condition is not None and not condition.strip():
        raise click.BadParameter("an empty text is neither a number nor a name", param_hint="CONDITION")
    if count is not None and not live:
        raise click.UsageError("--count goes with --live")
    table = not as_json and sys.stdout.isatty()
    if condition is None:
        _run(lambda ending: _list_conditions(ending, endpoint, token, table), duration)
    elif not live:
        print_rows = _print_table if table else _print_json
        _run(lambda ending: print_rows(ending, functools.partial(search, ending, endpoint, token, condition)), duration)
    else:
        source = f"condition {displayed(condition, 40)}, {endpoint.host}:{endpoint.port}"
        view = view_of(condition_type(endpoint.us), source) if table else None

        def following(ending: Ending) -> Follow:
            return functools.partial(follow_condition, ending, endpoint, token, condition, count=count)

        _run(lambda ending: _show_or_print(ending, view, following(ending)), duration)


@cli.command(short_help="Convert recorded payloads to JSON lines.")
@click.argument("file", type=click.File("rb"))
def decode(file: IO[bytes]) -> None:
    """Turn recorded payloads, one text message a line, into JSON lines: one for each row or other message.

    FILE is a path, or - for standard input. Lines that cannot be decoded are reported on standard error; all others are
    written, and the exit code is then 1.

    \b
    Examples:
      kiwoom-proto decode payloads.txt
      kiwoom-proto decode - < payloads.txt | head -3
    """
    decode_lines(file)


def main() -> NoReturn:
    """Run the command."""
    guard_standard_output()
    # None: closed by whoever started this.
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    guard_standard_error()
    with _exit_codes():
        try:
            cli()
        finally:
            sys.stdout.flush()  # while there is somebody to say that it could not be written
    raise AssertionError("click exits by itself")


async def _show_or_print(ending: Ending, view: View | None, following: Follow) -> None:
    if view is None:
        await _print_json(ending, following)
    else:
        await show(view, following)


async def _print_json(ending: Ending, following: Follow) -> None:
    """Follow a stream and print it, one JSON object a line."""
    output = Output()

    async def emit(record: Record) -> None:
        await output.write(json_line(masked(record)))

    try:
        await following(emit, lambda client: None)
    finally:
        # What came before the end is not lost with it; but nobody who interrupts waits for a reader who pauses.
        await output.finish(None if ending.signal is None else FINISH_TIMEOUT)


async def _print_table(ending: Ending, following: Follow) -> None:
    """Follow a search to its end, and show what it found as a table; what came before an error, too."""
    found = RowTable(("stock_code", "stock_name", "price", "change", "change_rate", "volume"))

    async def emit(record: Record) -> None:
        found.add(masked(record))

    try:
        await following(emit, lambda client: None)
    except Exception:
        if found.rows:
            found.print()
        raise
    if ending.signal is None or found.rows:
        found.print()


async def _list_conditions(ending: Ending, endpoint: Endpoint, token: Token, table: bool) -> None:
    found: tuple[Condition, ...] | None = None
    with ending.cancels():
        async with connect(endpoint, token=token, config=CONFIG) as client:
            with ending.cancels():
                found = await client.list_conditions()
    ending.check(found is not None, "no list")
    if found is None:
        return
    lines = ({"seq": condition.seq, "name": condition.name} for condition in found)
    if not table:
        for line in lines:
            write_line(line)
        return
    listed = RowTable(("seq", "name"))
    for line in lines:
        listed.add(line)
    listed.print()


def table_of_types(types: Types) -> Table:
    """Return one line for each type: its code, class and Korean name, and what it is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("type", "class", "Korean", "what it is"):
        table.add_column(column, no_wrap=column != "what it is")
    for code, cls in types.items():
        table.add_row(code, cls.__name__, cls.label, summary_of(cls))
    return table


def _other_case(type: str) -> str:
    near = [code for code in REALTIME if code.lower() == type.lower()]
    return f"; did you mean {' or '.join(near)}? Upper and lower case differ" if near else ""


def _undeclared(type: str, endpoint: Endpoint) -> list[type[Record]]:
    """A class for a type that the catalogue does not have, where that is not for another case."""
    if len(type) != MAX_TYPE_LENGTH or type in REALTIME or _other_case(type):
        return []

    class Undeclared(Record, tag=type):
        """Every FID as it comes."""

        market = Market.US if endpoint.us else Market.DOMESTIC

    return [Undeclared]


def _token() -> Token:
    token = Secret(os.environ.get(TOKEN_VARIABLE, "").strip())
    appkey, secretkey = (Secret(os.environ.get(name, "").strip()) for name in KEY_VARIABLES)
    with _usage_errors():
        if token:
            check_token(token)
            return token
        if appkey and secretkey:
            return AppKey(appkey, secretkey)
    raise click.UsageError(
        f"no access: set the environment variables {' and '.join(KEY_VARIABLES)}, or {TOKEN_VARIABLE}, an access token"
    )


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except LocalProtocolError as error:
        raise click.UsageError(str(error)) from None


def _run(command: Callable[[Ending], Awaitable[None]], duration: float | None = None) -> None:
    """Run a command, and leave with the exit code of the signal that ended it."""
    ending = Ending(duration)
    anyio.run(ending.run, command)
    if ending.signal is not None:
        warn("interrupted" if ending.signal == signal.SIGINT else f"ended by {ending.signal.name}")
        sys.exit(128 + ending.signal)


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Leave with the right exit code where it is not a success."""
    try:
        yield
    except (KeyboardInterrupt, BaseExceptionGroup, Exception) as caught:
        error: BaseException = caught
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        _fail(error)


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, ReaderLeft):
        sys.exit(0)  # who read the rows has had enough
    if isinstance(error, KeyboardInterrupt):
        warn("interrupted")
        sys.exit(130)
    if isinstance(error, LocalProtocolError):
        raise click.UsageError(str(error)) from None
    if isinstance(error, KiwoomError | OSError | OutputError):
        warn(str(error))
        sys.exit(1)
    raise error

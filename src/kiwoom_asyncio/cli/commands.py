"""The `kiwoom-proto` command.

Exit codes: 0 finished as requested, or the reader of the output left; 1 refused by the server, lost for good, or the
output cannot be written; 2 usage error; 3 an order was shown and not sent; 130 ended by Ctrl-C (SIGINT), 143 by
SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import enum
import functools
import inspect
import os
import sys
import time
from typing import IO, Any, NoReturn

try:
    import click
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError:
    sys.exit("the kiwoom-proto command needs click and rich: pip install 'kiwoom-proto[cli]'")


from kiwoom_proto import REALTIME, ClientConnection, Endpoint, Event
from kiwoom_proto.display import displayed
from kiwoom_proto.realtime.catalogue import condition_type
from kiwoom_proto.realtime.conditions import Condition
from kiwoom_proto.realtime.traits import Scope

from .. import connect
from .arguments import other_case, token_of_environment, undeclared
from .call import call_command
from .demo import run_demo
from .ending import Ending
from .endpoint_option import endpoint_options
from .export import export
from .lines import decode_lines, json_line, members_of, write_line
from .output import Output, guard_standard_error, guard_standard_output
from .query import query
from .record import record
from .recordings import recordings
from .running import exit_codes, run, usage_errors
from .serve import serve_command
from .stream import CONFIG, Follow, Token, follow, follow_condition, search, show, warn
from .table import RowTable, table_of_types
from .view import View, view_of

__all__ = ("main",)

PRINTED_WIDTH = 200  # columns, if the output is not a terminal
FINISH_TIMEOUT = 1.0
"""Seconds that a reader has to take the remaining output after an interrupt."""


class _Commands(click.Group):
    """The group of commands. All use the same exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        with exit_codes():
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kiwoom-proto", prog_name="kiwoom-proto")
def cli() -> None:
    """Follow the real-time feed (실시간시세) of Kiwoom Securities (키움증권).

    \b
    Try it without an account:
      kiwoom-proto demo
    List the types, and the fields of one type:
      kiwoom-proto types
      kiwoom-proto types 0E
    Follow the real feed. Set KIWOOM_APPKEY and KIWOOM_SECRETKEY first, or
    KIWOOM_TOKEN:
      kiwoom-proto stream 0E 005930 000660
    Call a TR of the REST interface, and find one:
      kiwoom-proto call ka10004 stk_cd=005930
      kiwoom-proto call --describe daily chart
    Keep it in files, and ask them questions:
      kiwoom-proto record 0B 0D --item 005930 --folder DIR
      kiwoom-proto recordings DIR
      kiwoom-proto query "select time, price, quantity from trade" DIR
    """


@cli.command(short_help="Show rows of a simulated exchange for ten seconds.")
@click.argument("type", metavar="[TYPE]", default="0E")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), default=10.0, help="Seconds to run. [default: 10]"
)
def demo(type: str, duration: float) -> None:
    """Show live rows of a simulated exchange. TYPE is a type code and defaults to 0E,
    after-hours quotes (주식시간외호가).

    The command starts the exchange on a free loopback port, connects to it as any client does, subscribes to a few
    items and shows the rows. It needs no account and no network.

    \b
    Examples:
      kiwoom-proto demo
      kiwoom-proto demo 0D
      kiwoom-proto demo 00 --duration 20
    """
    if type not in REALTIME:
        raise click.BadParameter(f"no type {type!r} in the catalogue{other_case(type)}", param_hint="TYPE")
    run(lambda ending: run_demo(ending, type, duration), duration)


@cli.command(short_help="Follow real-time rows as a live table or JSON lines.")
@click.argument("type", metavar="TYPE")
@click.argument("items", metavar="[ITEM]...", nargs=-1)
@endpoint_options
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many rows.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="Stop after this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line; the default in a pipe.")
def stream(
    type: str,
    items: tuple[str, ...],
    endpoint: Endpoint,
    count: int | None,
    duration: float | None,
    as_json: bool,
) -> None:
    """Subscribe to TYPE for each ITEM and show the rows as a live table or JSON lines.

    TYPE is a type code such as 0E. Upper and lower case differ; "kiwoom-proto types" lists the codes. ITEM is a stock
    code: 005930 for KRX, 005930_NX for NXT, 005930_AL for both (SOR). Types of an account, such as orders (주문체결,
    00), take no ITEM.

    Set the environment variables KIWOOM_APPKEY and KIWOOM_SECRETKEY to your keys, or KIWOOM_TOKEN to an access token
    (접근토큰).

    The command reconnects when the connection is lost, and says so on standard error.

    \b
    Examples:
      kiwoom-proto stream 0E 005930 000660
      kiwoom-proto stream 0E 005930 --endpoint mock --count 10
      kiwoom-proto stream 0E 005930 --json --duration 60 > quotes.jsonl
      kiwoom-proto stream 0E 005930 \\
        --endpoint ws://127.0.0.1:8765/api/dostk/websocket

    \b
    Exit codes:
      0    reached --count or --duration, or the reader of the output left
      1    refused by the server, lost for good, or the output cannot be written
      2    usage error
      130  ended by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP

    The command always closes the connection cleanly. A second signal cuts it.
    """
    token = token_of_environment()
    if type in REALTIME and REALTIME[type].scope is Scope.CONDITION:
        raise click.UsageError(f"rows of {type} belong to a condition search: kiwoom-proto conditions CONDITION --live")
    types = undeclared(type, endpoint)
    with usage_errors():  # report usage errors before dialling
        ClientConnection(endpoint, clock=time.monotonic, types=types).subscribe(type, *items)
    if types:
        warn(f"type {type!r} is not in the catalogue: FIDs come as they are, if it is one; the server takes any")

    def following(ending: Ending) -> Follow:
        return functools.partial(follow, ending, endpoint, token, type, items, types=types, count=count)

    view = None if as_json or not sys.stdout.isatty() else view_of(type, f"{endpoint.host}:{endpoint.port}")
    run(lambda ending: _show_or_print(ending, view, following(ending)), duration)


@cli.command(short_help="List the real-time types, or the fields of one.")
@click.argument("type", metavar="[TYPE]", required=False)
def types(type: str | None) -> None:
    """List the real-time types (실시간 항목), or the fields of one TYPE.

    Labels are in Korean, names and summaries in English.

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
        raise click.BadParameter(f"no type {type!r} in the catalogue{other_case(type)}", param_hint="TYPE")
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


@cli.command(short_help="List, run or follow condition searches (조건검색).")
@click.argument("condition", metavar="[CONDITION]", required=False)
@click.option("--live", is_flag=True, help="Follow the stocks that enter (편입) and leave (이탈).")
@endpoint_options
@click.option("--count", type=click.IntRange(min=1), help="With --live: stop after this many hits.")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="Stop after this many seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line; the default in a pipe.")
def conditions(
    condition: str | None, live: bool, endpoint: Endpoint, count: int | None, duration: float | None, as_json: bool
) -> None:
    """List the saved condition searches (조건검색), or run or follow one.

    CONDITION is the number or the name of a saved search.

    \b
    Examples:
      kiwoom-proto conditions
      kiwoom-proto conditions 4
      kiwoom-proto conditions "골든크로스"
      kiwoom-proto conditions 4 --live --count 10

    Keys, tokens and exit codes are those of "kiwoom-proto stream". An unknown CONDITION is a usage error. The command
    always clears a live search when it ends.
    """
    token = token_of_environment()
    if live and condition is None:
        raise click.UsageError("--live needs CONDITION, the number or name of one")
    if condition is not None and not condition.strip():
        raise click.BadParameter("an empty text is neither a number nor a name", param_hint="CONDITION")
    if count is not None and not live:
        raise click.UsageError("--count goes with --live")
    table = not as_json and sys.stdout.isatty()
    if condition is None:
        run(lambda ending: _list_conditions(ending, endpoint, token, table), duration)
    elif not live:
        print_rows = _print_table if table else _print_json
        run(lambda ending: print_rows(ending, functools.partial(search, ending, endpoint, token, condition)), duration)
    else:
        source = f"condition {displayed(condition, 40)}, {endpoint.host}:{endpoint.port}"
        view = view_of(condition_type(endpoint.us), source) if table else None

        def following(ending: Ending) -> Follow:
            return functools.partial(follow_condition, ending, endpoint, token, condition, count=count)

        run(lambda ending: _show_or_print(ending, view, following(ending)), duration)


@cli.command(short_help="Convert recorded payloads to JSON lines.")
@click.argument("file", type=click.File("rb"))
def decode(file: IO[bytes]) -> None:
    """Convert recorded payloads to JSON lines. The input has one text message per line; the output has one line for
    each row or other message.

    FILE is a path, or - for standard input. Lines that cannot be decoded are reported on standard error, and the exit
    code is then 1. All other lines are written.

    \b
    Examples:
      kiwoom-proto decode payloads.txt
      kiwoom-proto decode - < payloads.txt | head -3
    """
    decode_lines(file)


for command in (call_command, record, recordings, query, export, serve_command):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command."""
    guard_standard_output()
    # None: the parent process closed it.
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    guard_standard_error()
    with exit_codes():
        try:
            cli()
        finally:
            sys.stdout.flush()  # here a failure to write can still be reported
    raise AssertionError("click exits by itself")


async def _show_or_print(ending: Ending, view: View | None, following: Follow) -> None:
    if view is None:
        await _print_json(ending, following)
    else:
        await show(view, following)


async def _print_json(ending: Ending, following: Follow) -> None:
    """Follow a stream and print it, one JSON object a line."""
    output = Output()

    async def emit(event: Event) -> None:
        await output.write(json_line(members_of(event)))

    try:
        await following(emit, lambda client: None)
    finally:
        # Write what came before the end. After an interrupt, do not wait long for a paused reader.
        await output.finish(None if ending.signal is None else FINISH_TIMEOUT)


async def _print_table(ending: Ending, following: Follow) -> None:
    """Follow a search to its end and print its rows as a table, also if an error ends it."""
    found = RowTable(("stock_code", "stock_name", "price", "change", "change_rate", "volume"))

    async def emit(event: Event) -> None:
        found.add(members_of(event))

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

"""`kiwoom-proto call`: call a TR of the REST interface, or say what it takes and returns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import click
import msgspec

from kiwoom_proto import AppKey, Endpoint
from kiwoom_proto.display import displayed, quoted
from kiwoom_proto.rest.call import dry_run, is_order
from kiwoom_proto.rest.catalogue import CATALOGUE, nearest
from kiwoom_proto.rest.request import Request
from kiwoom_proto.token_folder import TokenFolder

from ..rest import RestClient, rest
from .arguments import token_of_environment
from .describe import describe, list_trs
from .ending import Ending
from .endpoint_option import endpoint_options
from .lines import json_line
from .output import Output
from .running import run, usage_errors
from .stream import Token, warn

__all__ = ("call_command",)

NOT_SENT = 3
"""Exit code: an order was shown, and not sent."""
POLL_INTERVAL = 0.1
FINISH_TIMEOUT = 1.0
"""Seconds that a reader has to take the remaining output after an interrupt."""


@click.command(name="call", short_help="Call a TR of the REST interface, or describe it.")
@click.argument("tr", metavar="[TR]", required=False)
@click.argument("values", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--describe", "-d", "describes", is_flag=True, help="Show what a TR takes and returns, or list TRs.")
@click.option("--all", "takes_all", is_flag=True, help="Print the rows of all pages, one JSON object a line.")
@click.option("--limit", type=click.IntRange(min=1), help="Print at most this many rows, one JSON object a line.")
@click.option("--yes", is_flag=True, help="Send an order. Without it, an order is only shown.")
@click.option(
    "--keep-token",
    is_flag=True,
    envvar="KIWOOM_KEEP_TOKEN",
    help="Keep the access token in a file, for the next command.  [env: KIWOOM_KEEP_TOKEN]",
)
@endpoint_options
def call_command(
    tr: str | None,
    values: tuple[str, ...],
    describes: bool,
    takes_all: bool,
    limit: int | None,
    yes: bool,
    keep_token: bool,
    endpoint: Endpoint,
) -> None:
    """Call a TR of the REST interface, and print its reply as a JSON object.

    TR is an id such as ka10004, or a name such as StockQuote. NAME=VALUE are the elements of the request, by Kiwoom's
    names. They are checked before anything is sent.

    With --all or --limit, the rows of the list are printed instead, one JSON object a line, from as many pages as they
    need. The calls keep to the rate that the server allows.

    An order is shown, and not sent: exit code 3. With --yes it is sent, once. If nobody knows whether it was processed,
    the command says so: look the order up before you send it again.

    With --describe, TR may be left out, or be words in Korean or English to look for.

    \b
    Examples:
      kiwoom-proto call ka10004 stk_cd=005930
      kiwoom-proto call ka10081 stk_cd=005930 base_dt=20261126 \\
        upd_stkpc_tp=1 --limit 900
      kiwoom-proto call kt10000 dmst_stex_tp=KRX stk_cd=005930 ord_qty=1 \\
        trde_tp=3 --endpoint mock --yes
      kiwoom-proto call --describe ka10081
      kiwoom-proto call --describe 잔고
      kiwoom-proto call --describe daily chart

    \b
    Exit codes:
      0    done
      1    refused by the server, not answered, or the output cannot be written
      2    usage error
      3    an order was shown, and not sent: --yes is missing
      130  ended by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP. If an order had been
           sent, standard error says so: look it up

    Account numbers are masked. Keys and tokens are those of "kiwoom-proto stream".
    """
    if describes:
        found = None if tr is None or values else _found(tr)
        if found is None:
            list_trs([] if tr is None else [tr, *values])
        else:
            describe(found)
        return
    if tr is None:
        raise click.UsageError("name a TR: kiwoom-proto call ka10004 stk_cd=005930; --describe lists them")
    cls = _found(tr)
    if cls is None:
        raise click.BadParameter(f"no TR {quoted(tr)}{nearest(tr)}; --describe lists them", param_hint="TR")
    if cls.safety == "auth_write":
        raise click.UsageError(f"{cls.api_id}: kiwoom-proto gets tokens by itself, from the keys in the environment")
    with usage_errors():
        request = cls.from_dict(_values_of(cls, values))
    takes_rows = takes_all or limit is not None
    if takes_rows and cls.list_element is None:
        raise click.UsageError(f"{cls.api_id} has no list: leave out --all and --limit")
    if is_order(request) and not yes:
        with usage_errors():
            shown = dry_run(request, endpoint)
        click.echo(str(shown))
        warn("this is an order, and it was not sent: add --yes to send it")
        sys.exit(NOT_SENT)
    token = token_of_environment()
    if keep_token and isinstance(token, AppKey):
        token = AppKey(*token.secrets, folder=TokenFolder())
        warnings.showwarning = _show_warning
    run(lambda ending: _call(ending, endpoint, token, request, takes_rows=takes_rows, limit=limit))


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning, such as that of a token folder that others may enter, as this command prints everything."""
    warn(str(message))


def _found(tr: str) -> type[Request[Any]] | None:
    """Return the TR with an id, in any case, or with a name."""
    by_id = {api_id.lower(): api_id for api_id in CATALOGUE}
    if tr.lower() in by_id:
        return CATALOGUE[by_id[tr.lower()]]
    return next((cls for cls in CATALOGUE.values() if cls.__name__.lower() == tr.lower()), None)


def _values_of(cls: type[Request[Any]], values: Sequence[str]) -> dict[str, Any]:
    """Return the elements of a request as they were given: NAME=VALUE."""
    found: dict[str, Any] = {}
    for each in values:
        name, equals, text = each.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{quoted(each)} is not NAME=VALUE, as in stk_cd=005930", param_hint="NAME=VALUE")
        if name in found:
            raise click.BadParameter(f"{displayed(name, 40)} is given twice", param_hint="NAME=VALUE")
        parameter = cls.elements.get(name)
        found[name] = _list_of(name, text) if parameter is not None and parameter.format == "stocks" else text
    return found


def _list_of(name: str, text: str) -> Any:
    """Return a list of stocks, which is given as JSON."""
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        raise click.BadParameter(
            f"""{displayed(name, 40)}: must be JSON, as in '[{{"stex_tp": "ND", "stk_cd": "NVDA"}}]'""",
            param_hint="NAME=VALUE",
        ) from None


async def _call(
    ending: Ending, endpoint: Endpoint, token: Token, request: Request[Any], *, takes_rows: bool, limit: int | None
) -> None:
    output = Output()
    try:
        async with rest(endpoint, token=token) as api:
            with ending.cancels():
                async with _told_of_waits(api):
                    if takes_rows:
                        await _print_rows(api, request, limit, output)
                    else:
                        await output.write(json_line((await api.call(request)).to_dict()))
    finally:
        # Write what came before the end. After an interrupt, do not wait long for a paused reader.
        await output.finish(None if ending.signal is None else FINISH_TIMEOUT)


async def _print_rows(api: RestClient, request: Request[Any], limit: int | None, output: Output) -> None:
    async for row in api.rows(request, limit=limit):
        await output.write(json_line(row.to_dict()))


@asynccontextmanager
async def _told_of_waits(api: RestClient) -> AsyncIterator[None]:
    """Say on standard error, once, why a call waits to be sent again: that may take minutes."""

    async def tell() -> None:
        while (reason := api._held_up()) is None:  # noqa: ASYNC110  # nothing else here needs to be told of it
            await anyio.sleep(POLL_INTERVAL)
        warn(f"{reason}; waiting to send it again")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        yield
        tasks.cancel_scope.cancel()

"""`kiwoom-proto serve`: a simulated exchange, or a recording, on a port."""

from __future__ import annotations

import datetime
from contextlib import AsyncExitStack
from urllib.parse import urljoin

import anyio
import click
from click.core import ParameterSource

from kiwoom_proto import Endpoint
from kiwoom_proto.simulator import Exchange, Playback

from ..server import serve
from .ending import Ending
from .running import run
from .stream import warn

__all__ = ("serve_command",)

CLOSE_TIMEOUT = 1.0
"""Seconds that the clients of a simulated exchange have to answer its close."""
POLL_INTERVAL = 0.02
MARKET_OPTIONS = ("seed", "start", "rate")
"""What a recording leaves nothing to say about."""


@click.command(name="serve", short_help="Run a simulated exchange on a port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 picks a free one.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same rows.")
@click.option("--start", metavar="HH:MM", default="16:00", show_default=True, help="Market time at the start (KST).")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Rows per second for each item.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How many times as fast as real time the market day, or the recording, passes.",
)
@click.option(
    "--replay",
    "paths",
    metavar="PATH",
    multiple=True,
    help="Play a recording instead: a file or a folder. Can be repeated.",
)
@click.option("--mock", is_flag=True, help="Behave like mock trading (모의투자): KRX only.")
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="Host name that clients may use, besides --host, its addresses and localhost. Can be repeated.",
)
@click.pass_context
def serve_command(
    context: click.Context,
    host: str,
    port: int,
    seed: int,
    start: str,
    rate: float,
    speed: float,
    paths: tuple[str, ...],
    mock: bool,
    allowed_hosts: tuple[str, ...],
) -> None:
    """Run a simulated exchange on a port until interrupted. Any token can log in, and any keys get a token.

    Anyone who can reach the port can use the exchange. Web pages cannot: requests with an Origin, or for another host
    name, are refused.

    All clients share one market day. While any client subscribes to daytime types, evening types send no rows.

    \b
    Example, in two terminals:
      kiwoom-proto serve
      KIWOOM_TOKEN=any kiwoom-proto stream 0E 005930 \\
        --endpoint ws://127.0.0.1:8765/api/dostk/websocket
    Stop the first with Ctrl-C and start it again: the second reconnects.

    REST is answered on the same port, from the same market: quotes, charts, orders, the account. Orders are taken while
    the market is open: use --start 10:00.

    \b
    Example:
      curl http://127.0.0.1:8765/api/dostk/mrkcond -H "api-id: ka10004" \\
        -H "authorization: Bearer any" -d '{"stk_cd":"005930"}'

    With --replay, the rows are those of a recording, at the recorded distances. It starts one second after the first
    client has registered something, whoever comes later gets what comes later, and the exchange stays when it has
    ended. Condition searches are refused, and rows that a client does not read in time are dropped.

    
    Example:
      kiwoom-proto serve --replay recordings --speed 10

    Ctrl-C (exit code 130) or SIGTERM (143) ends the exchange after it has closed every connection. If it cannot listen
    on the port, the exit code is 1.
    """
    try:
        start_time = datetime.datetime.strptime(start, "%H:%M").time()
    except ValueError:
        raise click.BadParameter(f"{start!r} is not HH:MM", param_hint="--start") from None

    for option in MARKET_OPTIONS:
        if paths and context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{option} is of the simulated market: leave it out with --replay")

    async def serving(ending: Ending) -> None:
        if paths:
            exchange = Exchange(playback=Playback(paths, speed=speed, tell=click.echo), mock=mock)
        else:
            exchange = Exchange(seed=seed, start=start_time, rate=rate, speed=speed, mock=mock)
        async with AsyncExitStack() as stack:
            try:
                server = await stack.enter_async_context(
                    serve(exchange, host=host, port=port, allowed_hosts=allowed_hosts)
                )
            except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
                reason = getattr(error, "strerror", None) or error
                raise OSError(f"cannot listen on {host}:{port}: {reason}") from None
            click.echo(f"Simulated exchange at {server.endpoint}")
            if paths:
                click.echo(f"It plays {', '.join(paths)} from the first registration on, {speed:g} times as fast.")
            else:
                click.echo(f"REST answers on the same port: {_example(server.endpoint)}")
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

    run(serving)


def _example(endpoint: Endpoint) -> str:
    """Return a command that asks REST for an order book."""
    url = urljoin(endpoint.token_url, "/api/dostk/mrkcond")
    return f"""curl {url} -H "api-id: ka10004" -H "authorization: Bearer any" -d '{{"stk_cd":"005930"}}'"""

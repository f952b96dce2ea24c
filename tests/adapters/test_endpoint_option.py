"""--endpoint and --insecure, in whichever order they stand."""

from __future__ import annotations

import pytest

pytest.importorskip("rich")

import click
from click.testing import CliRunner

from kiwoom_asyncio.cli.endpoint_option import endpoint_options
from kiwoom_proto import PRODUCTION, Endpoint


@click.command()
@endpoint_options
def command(endpoint: Endpoint) -> None:
    """Say where to."""
    click.echo(repr(endpoint))


OTHER = "ws://192.0.2.1:8765/api/dostk/websocket"


@pytest.mark.parametrize(
    ("words", "endpoint"),
    [
        ([], PRODUCTION),
        (["--endpoint", "ws://127.0.0.1:1/"], Endpoint("ws://127.0.0.1:1/")),
        (["--endpoint", "wss://exchange.test/"], Endpoint("wss://exchange.test/")),
        (["--endpoint", OTHER, "--insecure"], Endpoint(OTHER, insecure=True)),
        (["--insecure", "--endpoint", OTHER], Endpoint(OTHER, insecure=True)),
    ],
)
def test_where_the_command_connects_to(words: list[str], endpoint: Endpoint) -> None:
    done = CliRunner().invoke(command, words)
    assert (done.exit_code, done.output.strip()) == (0, repr(endpoint))


@pytest.mark.parametrize(
    ("words", "said", "unsaid"),
    [
        (["--endpoint", OTHER], ["wss://", "add --insecure"], ["insecure=True"]),
        (["--endpoint", "ws://api.kiwoom.com:10000/"], ["write wss://, not ws://"], ["--insecure", "insecure=True"]),
        (["--endpoint", "ws://api.kiwoom.com:10000/", "--insecure"], ["require verified TLS"], ["insecure=True"]),
        (["--insecure"], ["certificate of a wss:// server is always verified"], ["insecure=True"]),
        (["--endpoint", "mock", "--insecure"], ["always verified"], ["insecure=True"]),
        (["--endpoint", "wss://exchange.test/", "--insecure"], ["always verified"], ["insecure=True"]),
        (["--endpoint", "http://exchange.test/"], ["must be ws://"], ["--insecure"]),
    ],
)
def test_what_is_refused_says_what_to_write(words: list[str], said: list[str], unsaid: list[str]) -> None:
    done = CliRunner().invoke(command, words)
    output = " ".join(done.output.split())
    assert done.exit_code == 2
    assert all(text in output for text in said), output
    assert not any(text in output for text in unsaid), output

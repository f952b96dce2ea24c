"""Every example is run as a user runs it: a process of its own, against the simulated exchange on a loopback port."""

from __future__ import annotations

import ast
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trustme
from tests import environments
from tests.exchanges import served

from kiwoom_proto import Trade
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.simulator import Exchange

EXAMPLES = {path.stem: path for path in (Path(__file__).parent.parent / "examples").glob("*.py")}
WITHOUT_ADAPTER = ("asyncio_raw", "blocking_socket", "other_websocket_library", "selectors_loop", "trio_raw")
SESSION_ALONE = ("blocking_session",)
WITH_ADAPTER = ("quickstart_asyncio", "quickstart_trio", "replay_strategy", "streams_asyncio")
SESSIONS = SESSION_ALONE + WITH_ADAPTER
EXTRA = {
    "quickstart_asyncio": "asyncio",
    "quickstart_trio": "trio",
    "replay_strategy": "cli",  # asyncio, and recordings
    "streams_asyncio": "asyncio",
    "trio_raw": "trio",
}
"""What each needs beside the core; it runs in an environment with nothing else."""

TOKENS = {"S3CRET-one": "one key", "S3CRET-two": "another key"}
ITEMS = ("005930", "000660")
TRADE = re.compile(r"\d\d:\d\d:\d\d (005930|000660) \d+ -?\d+")

KEYS = {"KIWOOM_APPKEY": "S3CRET-app", "KIWOOM_SECRETKEY": "S3CRET-secret"}
NO_TOKEN = {"KIWOOM_TOKEN": ""}

every_example = pytest.mark.parametrize("example", sorted(EXAMPLES))
every_session = pytest.mark.parametrize("example", SESSIONS)


def start(example: str, *words: str, tokens: str = ",".join(TOKENS), **environment: str) -> subprocess.Popen[str]:
    """Start an example; warnings are errors in it.

    Not in development mode: asyncio then writes to stderr what took long, which tells how busy the machine is.
    """
    token = tokens if example == "selectors_loop" else tokens.split(",")[0]
    python = environments.python(EXTRA.get(example, ""))
    return subprocess.Popen(
        [python, "-X", "faulthandler", "-W", "error", str(EXAMPLES[example]), *words],
        env=os.environ | {"KIWOOM_TOKEN": token, "PYTHONIOENCODING": "utf-8"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    """Wait for its end: exit code, lines of output, and what it complained of."""
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    with process:
        output, complaint = process.stdout.read(), process.stderr.read()
    watchdog.cancel()
    assert "S3CRET" not in output + complaint
    assert "Traceback" not in complaint
    return process.returncode, output.splitlines(), complaint


def test_these_are_the_examples() -> None:
    assert sorted(EXAMPLES) == sorted(WITHOUT_ADAPTER + SESSIONS)


@every_example
def test_it_prints_trades_and_closes_in_order(example: str) -> None:
    exchange = Exchange(tokens=TOKENS, rate=50)
    with served(exchange) as (url, _):
        code, lines, complaint = finish(start(example, url, *ITEMS, "--count", "30"))
        assert (code, complaint) == (0, "")
        assert len(lines) == 30
        found = [TRADE.fullmatch(line) for line in lines]
        assert {match and match[1] for match in found} == set(ITEMS)
        limit = time.monotonic() + 60
        while exchange.links and time.monotonic() < limit:
            time.sleep(0.01)
        assert exchange.links == []


@every_example
def test_it_verifies_and_speaks_tls(example: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    known = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(known))
    with served(Exchange(rate=50), context) as (url, _):
        code, lines, complaint = finish(start(example, url, *ITEMS, "--count", "3", SSL_CERT_FILE=str(known)))
        assert (code, len(lines), complaint) == (0, 3, "")


@every_example
def test_it_says_why_a_login_was_refused(example: str) -> None:
    with served(Exchange(tokens={})) as (url, _):
        code, lines, complaint = finish(start(example, url, *ITEMS))
        assert (code, lines) == (1, [])
        assert "8005" in complaint


@every_example
def test_it_says_why_a_request_was_refused(example: str) -> None:
    with served(Exchange()) as (url, _):
        items = [f"{number:06}" for number in range(402)]  # too many for two connections, too
        code, _, complaint = finish(start(example, url, *items))
        assert code == 1
        # A session does not even ask: it knows what a connection takes.
        assert ("202 too many" if example in SESSIONS else "105118") in complaint


@every_example
def test_it_says_why_the_connection_was_lost(example: str) -> None:
    exchange = Exchange(rate=50)
    with served(exchange) as (url, portal):
        process = start(example, url, *ITEMS)
        assert process.stdout is not None
        assert TRADE.fullmatch(process.stdout.readline().strip())
        portal.call(exchange.kick)
        code, lines, complaint = finish(process)
        assert code == 1
        assert all(TRADE.fullmatch(line) for line in lines)
        assert "R10001" in complaint


@every_example
def test_it_explains_itself(example: str) -> None:
    code, lines, _ = finish(start(example, "--help"))
    assert code == 0
    assert lines[0].startswith("usage: ")
    text = EXAMPLES[example].read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None
    assert f"examples/{example}.py" in docstring


@every_session
def test_it_goes_on_after_a_loss(example: str) -> None:
    exchange = Exchange(rate=50)
    with served(exchange) as (url, portal):
        process = start(example, url, *ITEMS, "--count", "30")
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        portal.call(exchange.drop)
        code, lines, complaint = finish(process)
        assert code == 0
        assert len(lines) == 29
        assert all(TRADE.fullmatch(line) for line in [first, *lines])
        assert "trying again in" in complaint
        assert re.search(r"trades of \d+\.\d s are missing", complaint)


@every_session
def test_it_gets_a_token_with_the_keys(example: str) -> None:
    with served(Exchange(app_keys={"S3CRET-app": "S3CRET-secret"}, rate=50)) as (url, _):
        code, lines, complaint = finish(start(example, url, *ITEMS, "--count", "3", **KEYS, **NO_TOKEN))
        assert (code, len(lines), complaint) == (0, 3, "")


@every_session
def test_it_says_that_the_keys_are_wrong(example: str) -> None:
    with served(Exchange(app_keys={})) as (url, _):
        code, lines, complaint = finish(start(example, url, *ITEMS, **KEYS, **NO_TOKEN))
        assert (code, lines) == (1, [])
        assert "8001" in complaint


@every_example
def test_it_says_what_to_set(example: str) -> None:
    with served(Exchange()) as (url, _):
        nothing = dict.fromkeys((*KEYS, *NO_TOKEN), "")
        code, lines, complaint = finish(start(example, url, *ITEMS, **nothing))
        assert (code, lines) == (2 if example in WITHOUT_ADAPTER else 1, [])
        assert ("KIWOOM_TOKEN" if example in WITHOUT_ADAPTER else "KIWOOM_APPKEY") in complaint


def test_a_strategy_sees_the_same_trades_live_and_replayed(tmp_path: Path) -> None:
    folder = tmp_path / "day"
    with served(Exchange(tokens=TOKENS, rate=50)) as (url, _):
        code, live, _ = finish(start("replay_strategy", url, *ITEMS, "--count", "40", "--record", str(folder)))
    assert (code, len(live)) == (0, 40)
    code, replayed, averages = finish(start("replay_strategy", str(folder), *ITEMS))
    assert (code, replayed[:40]) == (0, live)  # and what came while it closed
    assert averages.count("average of") == 2


@pytest.mark.parametrize("example", ["quickstart_asyncio", "quickstart_trio", "streams_asyncio"])
def test_it_runs_on_a_recording_with_no_change_but_that_call(example: str, tmp_path: Path) -> None:
    with served(Exchange(tokens=TOKENS, rate=50)) as (url, _):
        recording = tmp_path / "day"
        finish(start("replay_strategy", url, *ITEMS, "--count", "60", "--record", str(recording)))
    whole = EXAMPLES[example].read_text(encoding="utf-8")
    changed = whole.replace("connect(endpoint, token=token)", f"replay({str(recording)!r}, speed=None)")
    assert changed != whole
    program = tmp_path / "program.py"
    program.write_text(changed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), url, *ITEMS, "--count", "50"],
        env=os.environ | {"KIWOOM_TOKEN": "any", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    recorded = [event for event in read_recording(recording) if isinstance(event, Trade)]
    lines = [f"{row.time} {row.symbol} {row.price} {row.quantity}" for row in recorded[:50]]
    assert done.stdout.splitlines() == lines


@pytest.mark.parametrize("example", WITHOUT_ADAPTER + SESSION_ALONE)
def test_the_core_is_all_it_needs(example: str) -> None:
    tree = ast.parse(EXAMPLES[example].read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "kiwoom_proto" in imported
    assert not {"kiwoom_trio", "kiwoom_asyncio", "anyio"} & imported

"""The kiwoom-proto command, run as a user runs it: a process of its own, its output and its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

TOKEN = "S3CRET-t0ken"
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"
COMMAND = (sys.executable, "-m", "kiwoom_asyncio.cli")


def run(*words: str, token: str | None = TOKEN, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *words], env=environment(token), capture_output=True, encoding="utf-8", timeout=timeout
    )
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def environment(token: str | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KIWOOM_")}
    extra = {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}
    return inherited | extra | ({} if token is None else {"KIWOOM_TOKEN": token})


def start(*words: str, token: str | None = TOKEN, columns: int = 100, **streams: Any) -> subprocess.Popen[str]:
    """A command that goes on until it is ended; its output can be read as it comes."""
    return subprocess.Popen(
        [*COMMAND, *words],
        env=environment(token) | {"PYTHONUNBUFFERED": "1", "COLUMNS": str(columns)},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams,
        text=True,
        encoding="utf-8",
        preexec_fn=None if os.name == "nt" else _mind_signals,
    )


def _mind_signals() -> None:
    """Tests that were started in the background have them ignored, and so would have the command."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def run_on_terminal(
    words: list[str], act: Callable[[subprocess.Popen[str]], None] = lambda process: None, *, columns: int = 100
) -> tuple[int, bytes]:
    """Run on a terminal, and act once a live view is there. Returns the exit code and what the terminal was sent."""
    ours, theirs = os.openpty()
    shown = bytearray()
    with start(*words, columns=columns, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            while data := os.read(ours, 65_536):
                if HIDE_CURSOR not in shown and HIDE_CURSOR in shown + data:
                    act(process)
                shown += data
        except OSError:
            pass  # Linux has EIO for the end of a terminal
        process.wait(timeout=20)
    os.close(ours)
    return process.returncode, bytes(shown)


@contextmanager
def exchange(*words: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A `kiwoom-proto serve` of our own; gives its URL."""
    with start("serve", "--port", str(port), "--rate", "40", *words, token=None) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1], process
        finally:
            process.kill()

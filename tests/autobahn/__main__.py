"""Run the Autobahn test suite against both ends of our WebSocket, on loopback: `python -m tests.autobahn`.

The suite's program, `wstest`, needs Python 2.7. It is looked for as python2.7 under PYENV_ROOT and on PATH, and the
suite is installed once into a virtual environment ($AUTOBAHN_VENV, or one in ~/.cache). Prints a line per case that
is not good and the counts of each role; exits 1 if a case failed, 0 where there is no Python 2.7.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
START_TIMEOUT = 30.0
ROLE_TIMEOUT = 900.0


def find_python() -> str | None:
    """Return a Python 2.7 that runs; a pyenv shim on PATH may not."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [str(path) for path in sorted(root.glob("versions/2.7*/bin/python2.7"), reverse=True)]
    for program in (*found, shutil.which("python2.7")):
        if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return program
    return None


def find_wstest() -> str | None:
    """Return the suite's program, installed where it was not; None where there is no Python 2.7."""
    venv = Path(os.environ.get("AUTOBAHN_VENV", Path.home() / ".cache" / "autobahn-venv"))
    program = venv / "bin" / "wstest"
    if program.exists():
        return str(program)
    python = find_python()
    if python is None:
        return None
    print(f"installing the suite into {venv} (once) ...", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        # virtualenv only makes the environment; it is kept out of the user's own site-packages.
        run(python, "-m", "pip", "install", "--target", scratch, "virtualenv<20.22")
        run(python, "-m", "virtualenv", str(venv), env={**os.environ, "PYTHONPATH": scratch})
    run(str(venv / "bin" / "pip"), "install", "autobahntestsuite")
    return str(program)


def run(*words: str, **options: Any) -> None:
    """Run a program in silence; where it fails, show what it said."""
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if result.returncode:
        print(result.stdout, file=sys.stderr)
        raise SystemExit(f"{words[0]} ended with status {result.returncode}")


@contextmanager
def running(*words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program beside us, and terminate it at the end."""
    process = subprocess.Popen(words, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until something listens."""
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the suite did not start")


def play_as_client(wstest: str, scratch: Path, spec: dict[str, Any]) -> None:
    """The suite is the server, `echo_client` plays."""
    port = free_port()
    spec |= {"url": f"ws://127.0.0.1:{port}", "webport": 0}
    (scratch / "spec.json").write_text(json.dumps(spec))
    words = [wstest, "-m", "fuzzingserver", "-s", "spec.json"]
    with running(*words, cwd=scratch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for(port)
        client = [sys.executable, str(HERE / "echo_client.py"), f"ws://127.0.0.1:{port}"]
        run(*client, timeout=ROLE_TIMEOUT)


def play_as_server(wstest: str, scratch: Path, spec: dict[str, Any]) -> None:
    """`echo_server` listens, the suite is the client."""
    with running(sys.executable, str(HERE / "echo_server.py"), stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        spec |= {"servers": [{"agent": "kiwoom-proto", "url": url}]}
        (scratch / "spec.json").write_text(json.dumps(spec))
        run(wstest, "-m", "fuzzingclient", "-s", "spec.json", cwd=scratch, timeout=ROLE_TIMEOUT)


def report(role: str, folder: Path, *, verbose: bool) -> bool:
    """Print a line per case that is worth one, and the counts; return whether all is well."""
    counts: collections.Counter[str] = collections.Counter()
    index = json.loads((folder / "index.json").read_text())
    for cases in index.values():
        for case, result in sorted(cases.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
            results = (result["behavior"], result["behaviorClose"])
            good = GOOD.issuperset(results)
            counts[results[0] if good else "FAILED"] += 1
            if not good or (verbose and set(results) != {"OK"}):
                print(f"{role} {case}: {results[0]}, closing {results[1]}")
    print(f"{role}: {sum(counts.values())} cases, " + ", ".join(f"{counts[name]} {name}" for name in sorted(counts)))
    return bool(counts) and not counts["FAILED"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.autobahn", description="Autobahn test suite, both roles.")
    parser.add_argument("--cases", default="*", help="which to run: '1.*,2.*'")
    parser.add_argument("--exclude", default="12.*,13.*", help="which to leave out (default: compression, 12 and 13)")
    parser.add_argument("--verbose", action="store_true", help="a line also for cases that are not plainly OK")
    arguments = parser.parse_args()
    wstest = find_wstest()
    if wstest is None:
        print("skipped: no Python 2.7")
        return 0
    good = True
    for role, play in (("client", play_as_client), ("server", play_as_server)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "reports")
            spec = {
                "cases": arguments.cases.split(","),
                "exclude-cases": arguments.exclude.split(",") if arguments.exclude else [],
                "exclude-agent-cases": {},
                "outdir": str(folder),
            }
            play(wstest, Path(scratch), spec)
            good = report(role, folder, verbose=arguments.verbose) and good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

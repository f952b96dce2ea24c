"""Fuzz: `python -m tests.fuzz [--seconds 60] [target ...]`, which is what `make fuzz` does. It needs atheris.

Each target runs in a process of its own, led by coverage, from the corpus and the seeds. What is found to reach code
that nothing in the corpus reaches is put into the corpus, under the beginning of its hash; commit it. An input that
makes a target raise is kept in findings/<target>, and the exit code is 1: mend the bug, then move it into the corpus.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import re
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FINDINGS = HERE / "findings"
INSTRUMENTED = ("kiwoom_proto", "websockets", "h11")
THE_MARKET = tuple(
    f"kiwoom_proto.simulator.{part}"
    for part in ("book", "flows", "indices", "infos", "instrument", "market", "phases", "quotes", "sessions", "stock")
)
"""What moves by itself, however dull the input; its steps do not count."""
MAX_LENGTH = {"decoder": 4096, "connection": 2048, "session": 300}
"""Bytes of an input; 1024 unless said otherwise."""
TIMEOUT = 20
"""Seconds that one input may take; then it counts as a finding."""
GRACE = 30.0
"""Seconds that a fuzzer may take to start and stop, beside fuzzing."""

Reached = set[tuple[types.CodeType, int, int]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--shrink", action="store_true", help="choose the corpus anew, not only add to it")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="target", help="all unless said otherwise")
    options = parser.parse_args()
    if options.child:
        run_child(*options.child)
        return
    from .targets import TARGETS

    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target is called {unknown[0]!r}; there are {', '.join(TARGETS)}")
    failed = False
    print(f"{'target':<12}{'runs':>10}{'runs/s':>9}{'corpus':>8}{'bytes':>9}{'added':>7}{'new steps':>11}  findings")
    for name in options.targets or TARGETS:
        failed |= fuzz(name, options.seconds, shrink=options.shrink)
    sys.exit(failed)


def fuzz(name: str, seconds: float, *, shrink: bool) -> bool:
    """Fuzz one target and keep what was found. Returns whether it raised."""
    from .seeds import dictionary, seeds
    from .targets import TARGETS

    corpus, findings = CORPUS / name, FINDINGS / name
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch, "found")
        found.mkdir()
        for seed in seeds(name):
            save(found, seed)
        words = Path(scratch, "words")
        words.write_text(dictionary(), encoding="ascii")
        log, code = run(
            [
                *(sys.executable, "-m", "tests.fuzz", "--child", name),
                *(str(found), str(corpus), f"-dict={words}", f"-artifact_prefix={findings}/"),
                *(f"-max_total_time={max(1, round(seconds))}", f"-max_len={MAX_LENGTH.get(name, 1024)}"),
                *(f"-timeout={TIMEOUT}", "-rss_limit_mb=2048", "-print_final_stats=1"),
            ],
            seconds + GRACE + TIMEOUT,
        )
        added, steps = keep(TARGETS[name], corpus, found, shrink=shrink)
    runs, rate = (stat(log, key) for key in ("number_of_executed_units", "average_exec_per_sec"))
    kept = [path.stat().st_size for path in corpus.iterdir()]
    verdict = "FOUND ONE" if code else "none"
    print(f"{name:<12}{runs:>10}{rate:>9}{len(kept):>8}{sum(kept):>9}{added:>7}{steps:>11}  {verdict}", flush=True)
    if code:
        print("\n".join(f"    {line}" for line in explain(log)))
        for file in re.findall(r"Test unit written to .*?([^/\\\n]+)$", log, re.MULTILINE):
            print(f"    kept in findings/{name}/{file}", flush=True)
    return bool(code)


def run(words: list[str], limit: float) -> tuple[str, int]:
    """Run a fuzzer to its end; return what it said, and its exit code."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    watchdog = threading.Timer(limit, process.kill)
    watchdog.start()
    try:
        log, _ = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
    return log, process.returncode


def stat(log: str, key: str) -> str:
    found = re.search(rf"stat::{key}:\s*(\d+)", log)
    return found[1] if found else "?"


PROGRESS = ("#", "INFO:", "WARNING:", "\t", "stat::", "Dictionary", "MS: ", "0x", "\\", "artifact_prefix", "Base64")


def explain(log: str) -> list[str]:
    """What a fuzzer that stopped early said, without its progress, and without the input."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith(PROGRESS)]
    return [line[:300] for line in lines[-25:]]


def run_child(name: str, *arguments: str) -> None:
    """Run libFuzzer on one target, in this process, to its end."""
    try:
        # Not an import statement: type checkers must not ask for what is not everywhere.
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed; `make fuzz` does that")
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        from .targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


# What is kept: the smallest inputs that together take every step that any takes. A step is from one line of ours to
# another, seen with `sys.settrace`: nearly the same on every machine, which the fuzzer's own counters are not.


def keep(target: Callable[[bytes], Any], corpus: Path, found: Path, *, shrink: bool) -> tuple[int, int]:
    """Put into the corpus what it lacks. Returns how many inputs were added, and how many steps they are the first to
    take."""
    known: Reached = set()
    kept = [path.read_bytes() for path in corpus.iterdir()]
    for data in kept:
        known |= reached(target, data)
    taken: Reached = set() if shrink else set(known)
    chosen = []
    candidates = {path.read_bytes() for path in found.iterdir()}
    if shrink:
        candidates.update(kept)
    for data in by_size(candidates):
        steps = reached(target, data)
        if not steps <= taken:
            taken |= steps
            chosen.append(data)
    if shrink:
        for path in corpus.iterdir():
            path.unlink()
    for data in chosen:
        save(corpus, data)
    return len(set(chosen) - set(kept)), len(taken - known)


def by_size(inputs: Iterable[bytes]) -> list[bytes]:
    return sorted(inputs, key=lambda data: (len(data), data))


def save(directory: Path, data: bytes) -> None:
    directory.joinpath(hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def reached(target: Callable[[bytes], Any], data: bytes) -> Reached:
    """The steps that an input takes; none where the target raises: that is a finding."""
    steps: Reached = set()
    last: dict[int, int] = {}

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        if event == "call":
            if not is_counted(frame.f_globals.get("__name__", "")):
                return None
            last[id(frame)] = 0
        elif event == "line":
            steps.add((frame.f_code, last.get(id(frame), 0), frame.f_lineno))
            last[id(frame)] = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        target(data)
    except Exception:
        return set()
    finally:
        sys.settrace(None)
    return steps


@functools.cache
def is_counted(module: str) -> bool:
    return module.startswith(INSTRUMENTED) and not module.startswith(THE_MARKET)


if __name__ == "__main__":
    main()

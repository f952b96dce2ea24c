"""What every subject of a measurement does, in a process of its own; nothing but the standard library is needed.

A subject is started once: `prepare` sets it up. Then the parent sends commands, one JSON object a line, and the
subject answers each with one line: the figures of one round. So several subjects can take turns, A B B A ..., with
nothing running but the one whose turn it is. What cannot be done is answered {"error": why}.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ("Meter", "Round", "compile_reader", "percentiles", "serve", "settings", "timed")

Round = Callable[[dict[str, Any]], dict[str, float]]
"""One round: a command -> figures by name."""


def settings() -> dict[str, Any]:
    """What the subject was started with."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def serve(prepare: Callable[[dict[str, Any]], Round], versions: dict[str, str] | None = None) -> None:
    """Be a subject until there are no more commands. A library that prints must not disturb the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    try:
        run_round = prepare(settings())
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"python": platform.python_version(), **(versions or {})})
    for line in sys.stdin:
        gc.collect()
        try:
            answer(run_round(json.loads(line)))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})
            return


def timed(work: Callable[[], int]) -> dict[str, float]:
    """Time work that does nothing but compute; it returns how many messages it did.

    "cpu" is the figure to look at, in nanoseconds a message: unlike "wall" it does not count who else was running.
    """
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    count = work()
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return {"cpu": cpu / count, "wall": wall / count}


class Meter:
    """Measures a client from the first row it is given to the last.

    Attributes:
        take: to be called with every row: reads of it what is read.
        left: rows still to come, for clients that are called back.

    Arguments:
        count: rows that will come.
        read: reads of a row what is read, where the rate is what is measured.
        stamp: returns when a row was sent, in nanoseconds of the monotonic clock; None: the rate is measured.
    """

    def __init__(self, count: int, read: Callable[[Any], None], stamp: Callable[[Any], int] | None = None) -> None:
        self.count = self.left = count
        self._latencies: list[int] = []
        self._started = (0, 0)
        self._ended = (0, 0)
        if stamp is None:
            self.take = read
        else:
            note, now = self._latencies.append, time.monotonic_ns
            self.take = lambda row: note(now() - stamp(row))

    def start(self) -> None:
        """The first row is there."""
        self._started = time.perf_counter_ns(), time.process_time_ns()

    def stop(self) -> None:
        """The last row was taken."""
        self._ended = time.perf_counter_ns(), time.process_time_ns()

    def taken(self, row: Any) -> bool:
        """`take`, for clients that are called back; True: that was the last."""
        if self.left == self.count:
            self.start()
        self.take(row)
        self.left -= 1
        if not self.left:
            self.stop()
        return not self.left

    def result(self) -> dict[str, float]:
        """The figures."""
        if self._latencies:
            return percentiles(self._latencies)
        wall, cpu = (self._ended[at] - self._started[at] for at in (0, 1))
        return {"rate": self.count / wall * 1e9, "cpu": cpu / self.count}


def percentiles(latencies: list[int]) -> dict[str, float]:
    """Nanoseconds -> p50, p99 and p99.9 in microseconds. The first tenth is left out: it warms up."""
    ordered = sorted(latencies[len(latencies) // 10 :])
    last = len(ordered) - 1
    return {name: ordered[round(last * part)] / 1000 for name, part in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}


def compile_reader(expression: str, names: Sequence[str]) -> Callable[[Any], None]:
    """A function that reads these one after another, as written by hand: `row.time; row.price`.

    Arguments:
        expression: what reads one of them off a `row`: "row.{}".
        names: what is put in for {}.
    """
    body = "; ".join(expression.format(name) for name in names) or "pass"
    scope: dict[str, Any] = {}
    exec(f"def read(row):\n    {body}", scope)
    read: Callable[[Any], None] = scope["read"]
    return read

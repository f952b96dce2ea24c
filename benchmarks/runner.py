"""Runs subjects against each other: each in a process of its own, taking turns, and only one of them at a time.

A noisy machine drifts, so a figure alone says little; what counts is the ratio of two that took turns, A B B A ...
"""

from __future__ import annotations

import json
import os
import pathlib
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from .results import Measurement, Results, Subject

__all__ = ("Bench", "Effort", "Player", "SubjectFailed", "Worker")

ROOT = pathlib.Path(__file__).parent.parent
TIMEOUT = 120.0


class SubjectFailed(Exception):
    """A subject cannot be measured; the text says why."""


@attrs.frozen
class Effort:
    """How much is done.

    Attributes:
        rounds: rounds of each comparison.
        scale: factor on the number of messages in a round.
    """

    rounds: int = 9
    scale: float = 1.0

    def messages(self, usual: int) -> int:
        """How many messages, where `usual` is what a full run does."""
        return max(50, round(usual * self.scale))


@attrs.frozen
class Player:
    """A subject to be started.

    Attributes:
        name: what it is called in the results.
        module: what is run, "benchmarks.decode".
        settings: what it is told at the start.
        python: the interpreter; None: it could not be had.
        error: why it could not be had.
        environment: further environment variables.
    """

    name: str
    module: str
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    python: str | None = sys.executable
    error: str = ""
    environment: Mapping[str, str] = attrs.field(factory=dict)


class Worker:
    """A subject that has been started.

    Raises:
        SubjectFailed: it could not be set up.
    """

    def __init__(self, player: Player, *, verbose: bool = False) -> None:
        if player.python is None:
            raise SubjectFailed(player.error)
        self._unread = b""
        try:
            self._process = subprocess.Popen(
                [player.python, "-m", player.module, json.dumps(dict(player.settings))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if verbose else subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": "0", **player.environment},
            )
        except OSError as error:
            raise SubjectFailed(f"its Python cannot be run: {error.strerror}") from None
        try:
            self.about = self._answer(TIMEOUT)
        except SubjectFailed:
            self.close()
            raise

    def ask(self, command: Mapping[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
        """Do one round and return its figures.

        Raises:
            SubjectFailed: it did not.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(command)).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise SubjectFailed("it ended before its turn") from None
        return self._answer(timeout)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        try:
            self._process.stdin.close()
        except OSError:  # a command that it did not live to read
            pass
        self._process.stdout.close()
        self._process.wait()

    def _answer(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        end = time.monotonic() + timeout
        while b"\n" not in self._unread:
            if not select.select([stdout], [], [], max(0.0, end - time.monotonic()))[0]:
                raise SubjectFailed(f"no answer in {timeout:g} s")
            data = os.read(stdout, 65_536)
            if not data:
                raise SubjectFailed("it ended without an answer")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SubjectFailed(answer["error"])
        return answer


class Bench:
    """One run.

    Arguments:
        effort: how much is done.
        show: called with each measurement once it is made.
        verbose: whether what subjects print to standard error is shown.
    """

    def __init__(
        self, effort: Effort | None = None, *, show: Callable[[Measurement], None] | None = None, verbose: bool = False
    ) -> None:
        self.effort = Effort() if effort is None else effort
        self.results = Results.begun()
        self.verbose = verbose
        self._show = show

    def compare(
        self,
        layer: str,
        case: str,
        players: Sequence[Player],
        units: Mapping[str, str],
        command: Mapping[str, Any] | None = None,
        *,
        before: Callable[[], Mapping[str, Any]] | None = None,
        rounds: int | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """Let them take turns, and add one measurement for each figure that they give.

        Arguments:
            layer: the layer's name.
            case: what is done.
            players: who does it.
            units: figure -> how it is called in the results: "ns of CPU per message".
            command: what each is told in each of its turns.
            before: called before each turn; returns what to add to the command.
            rounds: how many turns each has; None: as many as the effort says.
            timeout: of one turn, in seconds.
        """
        workers: dict[str, Worker] = {}
        figures: dict[str, dict[str, list[float]]] = {player.name: {key: [] for key in units} for player in players}
        errors: dict[str, str] = {}
        about: dict[str, dict[str, str]] = {}
        try:
            for player in players:
                try:
                    workers[player.name] = Worker(player, verbose=self.verbose)
                    about[player.name] = workers[player.name].about
                except SubjectFailed as error:
                    errors[player.name] = str(error)
            for turn in range(-1, self.effort.rounds if rounds is None else rounds):
                order = list(workers)
                for name in order if turn % 2 else reversed(order):
                    try:
                        told = {**(command or {}), **(before() if before is not None else {})}
                        found = workers[name].ask(told, timeout)
                    except SubjectFailed as error:
                        errors[name] = str(error)
                        workers.pop(name).close()
                        continue
                    if turn >= 0:  # the first warms up
                        for key in units:
                            figures[name][key].append(found[key])
        finally:
            for worker in workers.values():
                worker.close()
        for key, unit in units.items():
            subjects = {
                player.name: Subject(
                    tuple(figures[player.name][key]) if player.name not in errors else (),
                    errors.get(player.name, ""),
                    about.get(player.name, {}),
                )
                for player in players
            }
            self.add(Measurement(layer, case, unit, subjects))

    def add(self, measurement: Measurement) -> None:
        """Add a measurement to the results, and show it."""
        self.results.measurements.append(measurement)
        if self._show is not None:
            self._show(measurement)

    def note(self, text: str) -> None:
        """Add what a reader of the figures must know."""
        self.results.notes.append(text)

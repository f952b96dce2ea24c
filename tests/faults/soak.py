"""A long time of random faults: whether the session is as good on the last day as on the first.

A row is delivered at most every half minute here, and little happens, so that a month takes half a minute.
"""

from __future__ import annotations

import gc
import random
import sys
import types
from collections.abc import Callable

import attrs
from tests.faults.catalogue import CATALOGUE, Moment
from tests.faults.ground import CONFIG, Ground, most_attempts
from tests.faults.suite import HOUR, LIMIT, most_in

__all__ = ("Soak", "soak")

DAY = 86_400.0
BETWEEN = 2400.0
"""Seconds between the end of one fault and the next, on average."""
SIZE_LIMIT = 1_000_000
"""Bytes that a session of so few subscriptions may hold, between two faults."""


@attrs.define
class Soak:
    """What became of a long time.

    Attributes:
        days: how long.
        faults: how many there were.
        losses: how many connections, and attempts at one, were lost.
        gaps: how many were reported.
        witnessed: rows of what was wanted.
        lost_in_gaps: rows not delivered, of which a `Gap` told.
        lost_outside: rows not delivered, of which none did.
        unwanted: rows delivered that nobody wanted, or twice.
        attempts: most attempts in any hour.
        size: bytes that the session held between faults, at most.
        problems: what was wrong.
    """

    days: float = 0.0
    faults: int = 0
    losses: int = 0
    gaps: int = 0
    witnessed: int = 0
    lost_in_gaps: int = 0
    lost_outside: int = 0
    unwanted: int = 0
    attempts: int = 0
    size: int = 0
    problems: list[str] = attrs.field(factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.lost_outside or self.unwanted or self.problems)

    def __str__(self) -> str:
        return (
            f"day {self.days:4.1f}: {self.faults:,} faults, {self.losses:,} losses, {self.gaps:,} gaps, "
            f"{self.witnessed:,} rows, {self.lost_in_gaps:,} lost in gaps, {self.lost_outside:,} outside, "
            f"{self.unwanted:,} unwanted; at most {self.attempts} attempts an hour, {self.size / 1000:.0f} kB"
        )


def soak(days: float, seed: int, report: Callable[[Soak], None] = lambda result: None) -> Soak:
    """Let random faults happen for so long.

    Arguments:
        days: how long.
        seed: of everything random.
        report: called at the end of every day.
    """
    config = attrs.evolve(CONFIG, takeover="wait", takeover_wait=60)
    ground = Ground(seed, config, transit=60, rate=0.02, batch_interval=30)
    ledger, chance, result = ground.ledger, random.Random(seed), Soak()
    faults = [fault for fault in CATALOGUE if Moment.STREAMING in fault.moments]
    begin, begins = ground.clock.now, []
    ground.start()
    ground.run(60)
    day = 1
    while ground.clock.now - begin < days * DAY and not result.problems:
        ground.run(chance.expovariate(1 / BETWEEN))
        fault = chance.choice(faults)
        result.faults += 1
        begins.append(ground.clock.now)
        with fault.apply(ground):
            end = ground.clock.now + chance.uniform(*fault.seconds)
            if not fault.patient or chance.random() < 0.5:
                ground.run(chance.uniform(0, end - ground.clock.now))
                for _ in range(chance.randint(1, 4)):
                    ground.toggle()
            ground.run(max(0.0, end - ground.clock.now))
        if not ground.run_until(ground.is_whole, LIMIT + config.takeover_wait):
            result.problems += [f"{fault.name}: did not recover", *ground.differences()]
        ground.run(31)  # what was slow arrives, and a row comes
        ledger.settle()
        result.problems += [f"{fault.name}: {problem}" for problem in ground.problems()]
        result.size = max(result.size, size_of(ground.session))
        if ground.clock.now - begin >= day * DAY or result.problems:
            _count(ground, begins, result, begin)
            report(result)
            day += 1
    _count(ground, begins, result, begin)
    return result


def _count(ground: Ground, begins: list[float], result: Soak, begin: float) -> None:
    ledger = ground.ledger
    result.days = (ground.clock.now - begin) / DAY
    result.losses = ledger.disconnections
    result.gaps = ledger.gaps
    result.witnessed = ledger.witnessed
    result.lost_in_gaps = ledger.lost_in_gaps
    result.lost_outside = ledger.lost_outside
    result.unwanted = ledger.unwanted
    result.attempts = most_in(sorted(set(ground.network.attempts)), HOUR)
    if result.attempts > most_attempts(HOUR, most_in(begins, HOUR) + 1):
        result.problems.append(f"{result.attempts} attempts in an hour")
    if result.size > SIZE_LIMIT:
        result.problems.append(f"the session holds {result.size:,} bytes")


SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


def size_of(thing: object) -> int:
    """Bytes of everything that is reached from this, classes and functions left out."""
    seen: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        found = waiting.pop()
        if id(found) not in seen and not isinstance(found, SHARED):
            seen[id(found)] = found
            waiting += gc.get_referents(found)
    return sum(sys.getsizeof(found) for found in seen.values())

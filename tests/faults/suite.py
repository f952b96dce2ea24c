"""The suite: every fault of the catalogue, at every moment, several times; and what became of the session."""

from __future__ import annotations

import random
import statistics
import zlib
from collections.abc import Iterable, Sequence

import attrs
from tests.faults.catalogue import Fault, Moment
from tests.faults.ground import Ground, most_attempts

from kiwoom_proto.simulator import ClientLink

__all__ = ("Result", "run", "table")

LIMIT = 400.0
"""Virtual seconds within which everything has to be as wanted again: a connection that is dead without knowing, an
attempt that fails by its deadline, the longest wait between two, and then some."""
HOUR = 3600.0


@attrs.define
class Result:
    """What became of a fault, over all tries.

    Attributes:
        fault: which.
        tries: how many.
        witnessed: rows that there were of what was wanted.
        lost_in_gaps: rows not delivered, of which a `Gap` told.
        lost_outside: rows not delivered, of which none did.
        unwanted: rows delivered that nobody wanted, or twice.
        seconds: how long each try took to recover, from the end of the fault.
        problems: what else was wrong.
    """

    fault: Fault
    tries: int = 0
    witnessed: int = 0
    lost_in_gaps: int = 0
    lost_outside: int = 0
    unwanted: int = 0
    seconds: list[float] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.lost_outside or self.unwanted or self.problems)


def run(fault: Fault, tries: int, seed: int) -> Result:
    """Let a fault happen so many times, at each of its moments in turn."""
    result = Result(fault)
    for number in range(tries):
        moment = fault.moments[number % len(fault.moments)]
        _try(fault, moment, zlib.crc32(f"{seed}/{fault.name}/{number}".encode()), result)
    return result


def _try(fault: Fault, moment: Moment, seed: int, result: Result) -> None:
    ground = Ground(seed, fault.config, transit=fault.transit)
    ledger, chance = ground.ledger, random.Random(seed)
    problems: list[str] = []
    _reach(moment, ground, chance)
    losses = ledger.disconnections
    has_connection = isinstance(ground.network.peer, ClientLink)
    with fault.apply(ground):
        if moment is Moment.BEFORE:
            ground.start()
        end = ground.clock.now + chance.uniform(*fault.seconds)
        # The program changes its mind: as soon as the session knows that it is away, or before it can know.
        waits = fault.patient and chance.random() < 0.5
        if not waits:
            ground.run(chance.uniform(0, end - ground.clock.now))
            ground.change()
        elif ground.run_until(ground.is_away, end - ground.clock.now):
            ground.change()
            waits = False
        ground.run(max(0.0, end - ground.clock.now))
    over = ground.clock.now
    if waits:
        if not ground.run_until(lambda: ground.is_away() or ground.is_whole(), fault.config.idle_timeout + 1):
            problems.append("did not notice that its connection is dead")
        ground.change()
    if not ground.run_until(ground.is_whole, LIMIT):
        problems += ["did not recover", *ground.differences()]
    result.seconds.append(ground.clock.now - over)
    if fault.loses is not None and has_connection and (ledger.disconnections > losses) != fault.loses:
        problems.append(f"{ledger.disconnections - losses} connections were lost ({ledger.last_cause})")
    if fault.loses and ledger.disconnections > losses and fault.says not in ledger.last_cause:
        problems.append(f"{fault.says!r} is not in {ledger.last_cause!r}")
    if ledger.undecodable != fault.undecodable:
        problems.append(f"{ledger.undecodable} messages could not be understood")
    received = ledger.received
    losses = ledger.disconnections
    ground.run(10)
    if not ground.is_whole() or ledger.disconnections != losses or ledger.received == received:
        problems += ["did not stay as it was", *ground.differences()]
    ledger.settle()
    problems += ground.problems()
    problems += _storms(ground.network.attempts, ground.clock.now - 1000.0)
    result.lost_in_gaps += ledger.lost_in_gaps
    result.lost_outside += ledger.lost_outside
    problems += [f"lost outside any gap: {loss.row}, at {loss.at / 1e9:.3f}" for loss in ledger.lost]
    ground.session.close()
    ground.run(fault.config.close_timeout + 1)
    if ledger.closed is None or ledger.closed.error is not None or ground.network.peer is not None:
        problems.append(f"did not close: {ledger.closed}")
    if ground.exchange.clients:
        problems.append("the server still has a connection")
    result.tries += 1
    result.witnessed += ledger.witnessed
    result.unwanted += ledger.unwanted
    result.problems += [f"try {result.tries}, {moment.value}: {problem}" for problem in problems]


def _reach(moment: Moment, ground: Ground, chance: random.Random) -> None:
    """Let it run until this moment."""
    if moment is Moment.BEFORE:
        return
    ground.start()
    if moment is Moment.LOGIN:
        ground.run(0.010)
    elif moment is Moment.REGISTERING:
        ground.run(0.025 + 0.35 * chance.randrange(3))
    else:
        ground.run(chance.uniform(4, 9))
        if moment is Moment.RESUMING:
            ground.network.reset()
            if chance.random() < 0.5:
                ground.run(chance.random())
            else:
                epoch = ground.session.epoch
                ground.run_until(lambda: ground.session.epoch > epoch, 2, 0.005)
                ground.run(chance.uniform(0, 1.2))


def _storms(attempts: Sequence[float], seconds: float) -> list[str]:
    """Where there were more attempts than there may be: in all of the time, or in any hour of it."""
    found = []
    attempts = sorted(set(attempts))  # one for a token and one with it are one
    if len(attempts) > most_attempts(seconds, 2):
        found.append(f"{len(attempts)} attempts in {seconds:.0f} s")
    in_an_hour = most_in(attempts, HOUR)
    if in_an_hour > most_attempts(HOUR, 2):
        found.append(f"{in_an_hour} attempts in an hour")
    return found


def most_in(times: Sequence[float], span: float) -> int:
    """How many of these times, in order, lie within any one span."""
    most, first = 0, 0
    for last, time in enumerate(times):
        while time - times[first] > span:
            first += 1
        most = max(most, last - first + 1)
    return most


HEAD = ("fault", "tries", "rows", "lost in gaps", "lost outside", "unwanted", "else wrong", "recovery: median", "worst")


def table(results: Iterable[Result]) -> str:
    """The results, as a table in plain text."""
    rows: list[tuple[str, ...]] = [HEAD]
    for result in results:
        cells = (result.tries, result.witnessed, result.lost_in_gaps, result.lost_outside, result.unwanted)
        seconds = (statistics.median(result.seconds), max(result.seconds))
        rows.append(
            (
                result.fault.name,
                *(f"{cell:,}" for cell in cells),
                f"{len(result.problems):,}",
                *(f"{each:.1f} s" for each in seconds),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(cells))
        for cells in (tuple(zip(row, widths, strict=True)) for row in rows)
    ]
    return "\n".join((lines[0], "─" * len(lines[0]), *lines[1:]))

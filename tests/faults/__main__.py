"""Run the fault suite on virtual time, a month of random faults (`soak`), or minutes on sockets (`soak-sockets`).

`healing` compares what a program knows after gaps with the truth, `--tries` times.

`soak-crowd` is the part of the last in which many tasks use one client and give up at random.

Exits 1 where anything is not as it must be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from tests.adapters.kit import LOOPS, LoopName
from tests.faults import suite
from tests.faults.catalogue import CATALOGUE
from tests.faults.crowd import Crowd, gather
from tests.faults.healing import heal
from tests.faults.soak import soak
from tests.faults.sockets import soak_sockets


def run_suite(tries: int, seed: int, only: str) -> bool:
    results = [suite.run(fault, tries, seed) for fault in CATALOGUE if only in fault.name]
    print(suite.table(results))
    for result in results:
        for problem in result.problems:
            print(f"{result.fault.name}, {problem}")
    return bool(results) and all(result.is_good for result in results)


def run_soak(days: float, seed: int) -> bool:
    begin = time.perf_counter()
    result = soak(days, seed, lambda result: print(result, flush=True))
    print(f"{result.days:.0f} days in {time.perf_counter() - begin:.0f} s: {'good' if result.is_good else 'NOT good'}")
    for problem in result.problems:
        print(problem)
    return result.is_good


def run_healing(tries: int, seed: int) -> bool:
    begin, gaps, snapshots, missed, late, bad = time.perf_counter(), 0, 0, 0, 0, 0
    for number in range(seed, seed + tries):
        healed = heal(number)
        gaps, snapshots, missed = gaps + healed.gaps, snapshots + healed.snapshots, missed + healed.missed
        late += healed.late
        bad += bool(healed.problems)
        for problem in healed.problems:
            print(problem, flush=True)
    seconds = time.perf_counter() - begin
    found = f"{missed:,} missed trades found, {late:,} of them late"
    print(f"{tries} seeds in {seconds:.0f} s: {gaps:,} gaps, {snapshots:,} snapshots, {found}")
    print(f"{bad} seeds NOT good" if bad else "good")
    return not bad


def run_sockets(loop: LoopName, duration: float, seed: int) -> bool:
    watch = soak_sockets(loop, duration, seed, lambda watch: print(watch, flush=True))
    print(f"{watch}: {'good' if watch.is_good else 'NOT good'}")
    for problem in watch.problems:
        print(problem)
    return watch.is_good


def run_crowd(loop: LoopName, duration: float, seed: int) -> bool:
    end = time.monotonic() + duration

    def report(crowd: Crowd) -> None:
        if crowd.quiet % 10 == 0:
            print(crowd, flush=True)

    crowd = gather(loop, seed, rounds=sys.maxsize, goes_on=lambda: time.monotonic() < end, report=report)
    print(f"{crowd}: {'NOT good' if crowd.problems else 'good'}")
    for problem in crowd.problems:
        print(problem)
    return not crowd.problems


def run_sockets_apart(duration: float, seed: int) -> bool:
    """Each loop in a process of its own, so that each has its own memory to look at; then the crowd."""
    statuses = []
    for what, part in (("soak-sockets", 2 / 3), ("soak-crowd", 1 / 3)):
        words = [sys.executable, "-m", "tests.faults", what, "--seed", str(seed)]
        words += ["--duration", str(part * duration / len(LOOPS))]
        statuses += [subprocess.run([*words, "--loop", loop], check=False).returncode for loop in LOOPS]
    return not any(statuses)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "what", nargs="?", choices=("suite", "soak", "soak-sockets", "soak-crowd", "healing"), default="suite"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default 1)")
    parser.add_argument("--tries", type=int, default=10, help="suite: of each fault; healing: in all (default 10)")
    parser.add_argument("--only", default="", help="suite: faults whose name holds this")
    parser.add_argument("--days", type=float, default=30.0, help="soak: virtual days (default 30)")
    parser.add_argument("--duration", type=float, default=180.0, help="soak-sockets: seconds in all (default 180)")
    parser.add_argument("--loop", choices=LOOPS, help="soak-sockets, soak-crowd: on this one alone")
    arguments = parser.parse_args()
    match arguments.what:
        case "soak":
            good = run_soak(arguments.days, arguments.seed)
        case "healing":
            good = run_healing(arguments.tries, arguments.seed)
        case "soak-sockets" if arguments.loop is not None:
            good = run_sockets(arguments.loop, arguments.duration, arguments.seed)
        case "soak-sockets":
            good = run_sockets_apart(arguments.duration, arguments.seed)
        case "soak-crowd":
            loops = LOOPS if arguments.loop is None else (arguments.loop,)
            goods = [run_crowd(loop, arguments.duration / len(loops), arguments.seed) for loop in loops]
            good = all(goods)
        case _:
            good = run_suite(arguments.tries, arguments.seed, arguments.only)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

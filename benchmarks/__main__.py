"""How fast kiwoom-proto is, against its opponents and against the least that Python can do.

commands:
  run [LAYER ...]   measure; without a layer all of them, and keep the results and their chart
  targets [FILE]    what was aimed at, what was measured, and whether it is met
  chart [FILE]      draw the chart of kept results again
  peers             set the opponents up, each in an environment of its own (benchmarks/.peers)
  check             has decoding become slower? Under a minute; compares with expected.json

layers:
  decode     one text payload -> typed records, the usual fields read
  core       TCP bytes -> events, framing included, in reads of 1 frame, 16 frames and 64 KiB
  loopback   another process -> a real socket, plain and TLS -> `async for`; throughput, CPU, latency
  recorder   what recording costs the feed, and whether it keeps up; levels of zstd
  memory     bytes per event that waits, growth over five million messages, objects
  scale      cost per message against subscriptions, rows, size of messages, size of the catalogue
  steps      where the time of the core goes, step by step
  streams    what streams, ten streams and callbacks cost beside `async for event in client`; latency of callbacks
  recording  messages -> lines and frames of zstd, and events again
  tables     a recording -> typed columns: every field, six columns, by size of the recording
  rest       calls -> replies through the dispatcher, in memory, beside h11 alone
  calls      REST calls one after the other on one connection, a real socket, beside httpx and aiohttp

Each subject runs in a process of its own, and those that are compared take turns, so look at the ratios first: figures
on a busy machine drift, ratios much less. Medians and quartiles of the rounds.

examples:
  python -m benchmarks run decode core
  python -m benchmarks run --quick
  python -m benchmarks targets
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable

from . import (
    chart,
    check,
    core,
    decode,
    loopback,
    memory,
    opponents,
    recorder,
    recording,
    report,
    rest,
    rest_loopback,
    rest_pages,
    scale,
    steps,
    streams,
    tables,
)
from .results import Measurement, Results
from .runner import Bench, Effort

__all__ = ("main",)

PLACE = pathlib.Path(__file__).parent / "results"
RESULTS = PLACE / "results.json"
CHART = PLACE / "chart.svg"
LAYERS: dict[str, Callable[[Bench], None]] = {
    "decode": decode.measure,
    "core": core.measure,
    "loopback": loopback.measure,
    "recorder": recorder.measure,
    "memory": memory.measure,
    "scale": scale.measure,
    "steps": steps.measure,
    "streams": streams.measure,
    "recording": recording.measure,
    "tables": tables.measure,
    "rest": rest.measure,
    "rest-pages": rest_pages.measure,
    "calls": rest_loopback.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    match chosen.command:
        case "run":
            return _run(chosen)
        case "targets":
            print(report.about(results := Results.load(chosen.file)))
            print(report.targets(results))
        case "chart":
            CHART.write_text(chart.chart_of(Results.load(chosen.file)), encoding="utf-8")
        case "peers":
            return _peers()
        case "check":
            return check.check(update=chosen.update)
        case _:
            parser.print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        usage="python -m benchmarks COMMAND ...",
        description=__doc__,
        formatter_class=formatter,
    )
    commands = parser.add_subparsers(dest="command", help=argparse.SUPPRESS, metavar="COMMAND")
    run = commands.add_parser("run", help="measure")
    run.add_argument(
        "layers", nargs="*", metavar="LAYER", help=f"{', '.join(LAYERS)}; all of them unless said otherwise"
    )
    run.add_argument("--rounds", type=int, default=9, help="rounds of each comparison (9)")
    run.add_argument(
        "--quick", action="store_true", help="a twentieth of the messages in 3 rounds: does it work at all?"
    )
    run.add_argument("--json", type=pathlib.Path, metavar="FILE", help="where to keep the results")
    run.add_argument("--chart", type=pathlib.Path, metavar="FILE", help="where to draw the chart")
    run.add_argument("--verbose", action="store_true", help="show what subjects print to standard error")
    for name, what in (("targets", "compare with what was aimed at"), ("chart", "draw the chart")):
        command = commands.add_parser(name, help=what)
        command.add_argument("file", nargs="?", type=pathlib.Path, default=RESULTS, help="kept results")
    commands.add_parser("peers", help="set the opponents up")
    guard = commands.add_parser("check", help="has it become slower?")
    guard.add_argument("--update", action="store_true", help="keep what is measured as what is expected")
    return parser


def _run(chosen: argparse.Namespace) -> int:
    unknown = [layer for layer in chosen.layers if layer not in LAYERS]
    if unknown:
        print(f"no such layer: {', '.join(unknown)}; there are {', '.join(LAYERS)}", file=sys.stderr)
        return 2
    effort = Effort(3, 0.05) if chosen.quick else Effort(chosen.rounds)
    bench = Bench(effort, show=_show, verbose=chosen.verbose)
    results = bench.results
    print(report.about(results), end="\n\n", flush=True)
    for name, measure in LAYERS.items():
        if not chosen.layers or name in chosen.layers:
            measure(bench)
    PLACE.mkdir(exist_ok=True)
    # A part of the measurements, or poor ones, do not take the place of those that are kept.
    whole = not chosen.layers and not chosen.quick
    print(report.notes(results))
    print(report.targets(results, everything=whole))
    if (kept := chosen.json or (RESULTS if whole else None)) is not None:
        kept.write_text(results.to_json(), encoding="utf-8")
    if (drawing := chosen.chart or (CHART if whole else None)) is not None:
        drawing.write_text(chart.chart_of(results), encoding="utf-8")
    return 0


def _show(measurement: Measurement) -> None:
    print(report.table(measurement), flush=True)


def _peers() -> int:
    for opponent, status in opponents.set_up():
        print(f"{opponent.name:<18}{' '.join(opponent.requirements):<36}{status.error or 'ready'}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

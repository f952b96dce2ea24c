"""What a person reads: tables on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .results import Measurement, Results
from .targets import TARGETS

__all__ = ("about", "notes", "table", "targets")


def about(results: Results) -> str:
    """What it ran on: "CPython 3.11.7, msgspec 0.22.0, x86_64, 2 cores"."""
    machine = results.machine
    return (
        f"{machine['implementation']} {machine['python']}, msgspec {machine['msgspec']}, "
        f"{machine['system']} {machine['arch']}, {machine['cores']} cores, {results.made}"
    )


def table(measurement: Measurement) -> str:
    """One measurement."""
    return "\n".join(_lines(measurement))


def _lines(measurement: Measurement) -> Iterator[str]:
    yield f"{measurement.layer}: {measurement.case}"
    first = next(iter(measurement.subjects))
    python = measurement.subjects[first].about.get("python")
    better = "more is better" if measurement.more_is_better else "less is better"
    yield f"  {f'{measurement.unit} ({better})':<54}{'median':>10}  {'quartiles':^21}{f'to {first}':>18}"
    for name, subject in measurement.subjects.items():
        spread = subject.spread
        theirs = subject.about.get("python")
        shown = f"{name} on {theirs}" if theirs != python and theirs is not None else name
        if spread is None:
            yield f"  {shown:<54}{'-':>10}  {subject.error}"
            continue
        ratio = measurement.times_worse(name, first)
        figure = ""
        if ratio is not None and name != first and 0 < ratio.median < math.inf:
            worse = ratio.median >= 1
            figure = f"{_ratio(ratio.median)} worse" if worse else f"{_ratio(1 / ratio.median)} better"
        quartiles = f"{spread.low:,.4g} to {spread.high:,.4g}"
        if spread.high >= 10_000:
            quartiles = f"{spread.low:,.0f} to {spread.high:,.0f}"
        median = f"{spread.median:,.0f}" if spread.median >= 100 else f"{spread.median:,.3g}"
        yield f"  {shown:<54}{median:>10}  {quartiles:^21}{figure:>18}"
    yield ""


def _ratio(value: float) -> str:
    return f"{value:.2f}×" if value < 10 else f"{value:.1f}×"


def notes(results: Results) -> str:
    """What a reader of the figures must know."""
    return "\n".join(f"Note: {note}" for note in results.notes)


def targets(results: Results, *, everything: bool = True) -> str:
    """Every target, what was measured, and whether it is met; or those alone of which something was measured."""
    lines = [f"  {'target':<54}{'goal':>13}{'measured':>13}{'quartiles':>20}"]
    for target in TARGETS:
        found = target.measure(results)
        if found is None and not everything:
            continue
        if found is None:
            lines.append(f"? {target.text:<54}{target.goal:>13}{'not measured':>13}")
            continue
        unit = f" {target.unit}" if target.unit else "×"
        value, low, high = (f"{x:,.0f}" if target.unit else f"{x:.2f}" for x in (found.value, found.low, found.high))
        mark = "✓" if target.is_met(found) else "✗"
        where = f"   {found.where}" if found.where else ""
        lines.append(f"{mark} {target.text:<54}{target.goal:>13}{value + unit:>13}{f'{low} to {high}':>20}{where}")
    return "\n".join(lines)

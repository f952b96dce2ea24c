"""The guard: decode and core against the floor, in less than a minute, and against the ratios kept in expected.json.

Ratios to the floor depend little on the machine, and the floor does not change; so where a ratio grows, the library has
become slower. A case that looks slower is measured again, longer, before it counts: noise does not repeat itself.
"""

from __future__ import annotations

import json
import pathlib
import sys

from .core import SIZE
from .decode import CPU, case_name
from .results import Ratio
from .runner import Bench, Effort, Player

__all__ = ("CASES", "check", "measure")

EXPECTED = pathlib.Path(__file__).parent / "expected.json"
TOLERANCE = 0.15
"""A ratio may be so much above the expected one; quiet runs of the same code differ by a third of that."""
CASES = (
    ("decode", "0E", "usual"),
    ("decode", "0B", "usual"),
    ("decode", "0B", "nothing"),
    ("decode", "0D", "two levels"),
    ("decode", "0D", "nothing"),
    ("core", "0E", "nothing"),
    ("core", "0B", "nothing"),
    ("core", "0B", "usual"),
)
COUNT = 500


def measure(layer: str, shape: str, reads: str, effort: Effort) -> Ratio:
    """How many times slower ours is than the floor."""
    bench = Bench(effort)
    setting = {"shape": shape, "reads": reads, "count": COUNT, "order": "official", "read": f"{SIZE // 1024} KiB"}
    players = [Player(name, f"benchmarks.{layer}", {**setting, "subject": name}) for name in ("ours", "floor")]
    bench.compare(layer, case_name(shape, reads), players, CPU, {"times": max(1, round(16 * effort.scale))})
    (found,) = bench.results.measurements
    ratio = found.times_worse("ours", "floor")
    if ratio is None:
        raise SystemExit(f"{layer}, {shape}: {'; '.join(s.error for s in found.subjects.values() if s.error)}")
    return ratio


def check(*, update: bool, effort: Effort | None = None) -> int:
    """Measure, print, and compare. Returns the exit status: 0, or 1 where something has become slower.

    Arguments:
        update: keep what is measured as what is expected of this version of Python from now on.
        effort: how much is done.
    """
    effort = Effort(15, 1.0) if effort is None else effort
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    kept: dict[str, dict[str, float]] = json.loads(EXPECTED.read_text(encoding="utf-8"))
    expected = kept.get(python, {})
    if not expected and not update:
        print(f"{EXPECTED.name} has nothing for Python {python}; run with --update first", file=sys.stderr)
        return 2
    measured: dict[str, float] = {}
    failed = []
    print(f"{'times the floor':<32}{'expected':>10}{'measured':>10}   quartiles")
    for layer, shape, reads in CASES:
        name = f"{layer}: {case_name(shape, reads)}"
        limit = expected.get(name, 0.0) * (1 + TOLERANCE)
        ratio = measure(layer, shape, reads, effort)
        if not update and ratio.median > limit:
            ratio = measure(layer, shape, reads, Effort(effort.rounds * 2, effort.scale))
        measured[name] = round(ratio.median, 2)
        shown = f"{expected[name]:.2f}" if name in expected else "-"
        slower = not update and ratio.median > limit
        mark = "  SLOWER" if slower else ""
        print(f"{name:<32}{shown:>10}{ratio.median:>10.2f}   {ratio.low:.2f} to {ratio.high:.2f}{mark}", flush=True)
        if slower:
            failed.append(name)
    if update:
        kept[python] = measured
        EXPECTED.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", encoding="utf-8")
        print(f"kept in {EXPECTED.name} for Python {python}")
    elif failed:
        print(f"slower by more than {TOLERANCE:.0%}: {', '.join(failed)}")
        return 1
    return 0

"""Results: figures, ratios of those that took turns, and the JSON file they are kept in.

The file is one object:

    schema        1
    made          when, ISO 8601, UTC
    machine       python, implementation, msgspec, system, arch, cores: what "ours" ran on
    measurements  a list of objects:
        layer     "decode", "core", "loopback", "memory", "scale" or "steps"
        case      what was done: "0B, usual fields read"
        unit      of the figures: "ns of CPU per message"
        subjects  name -> {"figures": one a round, "error": why there are none, "about": versions}
                  Figures of the same place in two subjects' lists were measured one right after the other.
    notes         a list of texts that a reader of the figures must know

Subjects are called "ours" (or ours with something in brackets), "floor", or what they are.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import platform
import statistics
from typing import Any

import attrs
import msgspec

__all__ = ("Measurement", "Ratio", "Results", "Subject")

RATES = (
    "messages per second",
    "messages per second, read",
    "messages per second, written",
    "calls per second",
    "bytes of lines per byte",
)
"""Units of which more is better."""


@attrs.frozen
class Ratio:
    """How many times as much, round by round: median, quartiles, extremes."""

    median: float
    low: float
    high: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Ratio:
        """The spread of some values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        return cls(median, low, high, min(values), max(values))


@attrs.frozen
class Subject:
    """What one subject gave: a figure for each round, or why none."""

    figures: tuple[float, ...]
    error: str = ""
    about: dict[str, str] = attrs.field(factory=dict)

    @property
    def spread(self) -> Ratio | None:
        """Median and spread of the figures; None where there are none."""
        return Ratio.of(list(self.figures)) if self.figures else None


@attrs.frozen
class Measurement:
    """One comparison, one unit."""

    layer: str
    case: str
    unit: str
    subjects: dict[str, Subject]

    @property
    def more_is_better(self) -> bool:
        """Whether the figures are rates."""
        return self.unit in RATES

    def times_worse(self, subject: str, than: str) -> Ratio | None:
        """How many times slower (or larger) `subject` was than `than`, paired; None where either has no figures."""
        if subject not in self.subjects or than not in self.subjects:
            return None
        a, b = self.subjects[subject].figures, self.subjects[than].figures
        if not a or not b:
            return None
        if self.more_is_better:
            a, b = b, a
        return Ratio.of([x / y if y else float("inf") for x, y in zip(a, b, strict=True)])


@attrs.define
class Results:
    """One run."""

    made: str
    machine: dict[str, str | int]
    measurements: list[Measurement] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)

    @classmethod
    def begun(cls) -> Results:
        """Those of a run that begins now."""
        return cls(
            datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            {
                "python": platform.python_version(),
                "implementation": platform.python_implementation(),
                "msgspec": msgspec.__version__,
                "system": platform.system(),
                "arch": platform.machine(),
                "cores": os.cpu_count() or 1,
            },
        )

    def find(self, layer: str, case: str, unit: str) -> Measurement | None:
        """The measurement of this layer, case and unit; the last, where there are several."""
        for measurement in reversed(self.measurements):
            if (measurement.layer, measurement.case, measurement.unit) == (layer, case, unit):
                return measurement
        return None

    def to_json(self) -> str:
        """The file's text: a measurement a line."""
        members = attrs.asdict(self, value_serializer=_rounded)
        measurements = ",\n".join(json.dumps(one, ensure_ascii=False) for one in members.pop("measurements"))
        others = json.dumps({"schema": 1, **members}, ensure_ascii=False)
        return f'{others[:-1]}, "measurements": [\n{measurements}\n]}}\n'

    @classmethod
    def load(cls, path: pathlib.Path) -> Results:
        """Read such a file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is of another schema.
        """
        members: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if members.get("schema") != 1:
            raise ValueError(f"{path.name}: schema {members.get('schema')!r}, not 1")
        return cls(
            members["made"],
            members["machine"],
            [
                Measurement(
                    found["layer"],
                    found["case"],
                    found["unit"],
                    {
                        name: Subject(tuple(subject["figures"]), subject["error"], subject["about"])
                        for name, subject in found["subjects"].items()
                    },
                )
                for found in members["measurements"]
            ],
            members["notes"],
        )


def _rounded(instance: object, attribute: object, value: Any) -> Any:
    return [float(f"{figure:.5g}") for figure in value] if isinstance(value, tuple) else value

"""The targets, as data: what was measured against what was aimed at. All are ratios of one run on one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from . import recorder, recording, rest_pages, tables
from .decode import CPU
from .loopback import LATENCY, RATES, THROUGHPUT
from .rest_loopback import CASE, UNITS
from .results import Ratio, Results

__all__ = ("TARGETS", "Found", "Target")

NS = CPU["cpu"]


@attrs.frozen
class Found:
    """What was measured for a target.

    Attributes:
        value: the figure, a ratio mostly.
        low, high: quartiles, where there were several rounds.
        where: which of several cases it is, the worst.
    """

    value: float
    low: float
    high: float
    where: str = ""

    @classmethod
    def of(cls, ratio: Ratio | None, where: str = "") -> Found | None:
        """The median and quartiles of a ratio."""
        return None if ratio is None else cls(ratio.median, ratio.low, ratio.high, where)


@attrs.frozen
class Target:
    """One target.

    Attributes:
        text: what is aimed at, in words.
        limit: the figure.
        at_least: whether the measured figure must be at least the limit, or at most.
        measure: finds it in the results; None: it was not measured.
        unit: of the figure; "" for a ratio.
    """

    text: str
    limit: float
    at_least: bool
    measure: Callable[[Results], Found | None]
    unit: str = ""

    def is_met(self, found: Found) -> bool:
        """Whether this is good enough."""
        return found.value >= self.limit if self.at_least else found.value <= self.limit

    @property
    def goal(self) -> str:
        """The limit in words: "≥ 5×"."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}{f' {self.unit}' if self.unit else '×'}"


def _ratio(layer: str, case: str, worse: str, better: str, unit: str = NS) -> Callable[[Results], Found | None]:
    def measure(results: Results) -> Found | None:
        found = results.find(layer, case, unit)
        return None if found is None else Found.of(found.times_worse(worse, better))

    return measure


def _worst_order(results: Results) -> Found | None:
    """The slowest order of keys against the fastest."""
    worst: list[Found] = []
    for shape in ("0B", "0D"):
        case = results.find("decode", f"{shape}, orders of keys", NS)
        if case is None:
            continue
        medians = {name: spread.median for name, subject in case.subjects.items() if (spread := subject.spread)}
        best = min(medians, key=medians.__getitem__, default="")
        for name in medians:
            found = Found.of(case.times_worse(name, best), f"{shape}, {name}")
            worst += [] if found is None else [found]
    return max(worst, key=lambda found: found.value, default=None)


def _loopback(opponent: str, ours: str) -> Callable[[Results], Found | None]:
    """Throughput: the worst of all shapes and transports."""

    def measure(results: Results) -> Found | None:
        found = []
        for case in (f"{shape}, {transport}" for shape in ("0B", "market") for transport in ("plain", "TLS")):
            rates = results.find("loopback", case, THROUGHPUT["rate"])
            ratio = None if rates is None else Found.of(rates.times_worse(opponent, ours), case)
            if ratio is not None:
                found.append(ratio)
        return min(found, key=lambda one: one.value, default=None)

    return measure


def _figure(layer: str, start: str, unit: str) -> Callable[[Results], Found | None]:
    """A figure of ours itself."""

    def measure(results: Results) -> Found | None:
        for found in results.measurements:
            if found.layer == layer and found.case.startswith(start) and found.unit == unit:
                subject = found.subjects.get("ours")
                return None if subject is None else Found.of(subject.spread, found.case)
        return None

    return measure


def _flat(sizes: Iterable[str]) -> Callable[[Results], Found | None]:
    """The cost at the size that differs most, either way, from that at one subscription."""

    def measure(results: Results) -> Found | None:
        found = results.find("scale", "subscriptions", NS)
        if found is None:
            return None
        ratios = [Found.of(found.times_worse(*pair), size) for size in sizes for pair in ((size, "1"), ("1", size))]
        return max((one for one in ratios if one is not None), key=lambda one: one.value, default=None)

    return measure


TARGETS: tuple[Target, ...] = (
    Target("decode 0B against kwcli", 5, True, _ratio("decode", "0B, usual fields read", "kwcli", "ours")),
    Target(
        "  the same, both on this Python", 5, True, _ratio("decode", "0B, usual fields read", "kwcli (here)", "ours")
    ),
    Target("decode 0D, two levels, against kwcli", 5, True, _ratio("decode", "0D, two levels read", "kwcli", "ours")),
    Target("  the same, both on this Python", 5, True, _ratio("decode", "0D, two levels read", "kwcli (here)", "ours")),
    Target("decode 0D, row seen, against kwcli", 15, True, _ratio("decode", "0D, nothing read", "kwcli", "ours")),
    Target("  the same, both on this Python", 15, True, _ratio("decode", "0D, nothing read", "kwcli (here)", "ours")),
    Target("decode 0E against kwcli", 4, True, _ratio("decode", "0E, usual fields read", "kwcli", "ours")),
    Target(
        "  the same, both on this Python", 4, True, _ratio("decode", "0E, usual fields read", "kwcli (here)", "ours")
    ),
    Target("decode, any order of keys against the best", 1.3, False, _worst_order),
    Target("decode 0B against the floor", 1.25, False, _ratio("decode", "0B, usual fields read", "ours", "floor")),
    Target(
        "  the same, the floor makes numbers too",
        1.25,
        False,
        _ratio("decode", "0B, usual fields read", "ours", "floor (typed)"),
    ),
    Target(
        "core 0B, events, against the floor",
        1.35,
        False,
        _ratio("core", "0B, nothing read, 64 KiB a read", "ours", "floor"),
    ),
    Target(
        "  the same, usual fields read",
        1.35,
        False,
        _ratio("core", "0B, usual fields read, 64 KiB a read", "ours", "floor"),
    ),
    Target(
        "core 0E against websockets + ours",
        3,
        True,
        _ratio("core", "0E, nothing read, 64 KiB a read", "websockets + ours", "ours"),
    ),
    *(
        Target(f"loopback, {ours}, against {opponent}", limit, True, _loopback(opponent, ours))
        for opponent, limit in (
            ("kwcli", 5),
            ("kiwoom-restful", 3),
            ("picows + msgspec", 1.2),
            ("picows + Struct", 1.2),  # "bare" may mean this too: the decoder knows what is read
        )
        for ours in ("ours (asyncio)", "ours (trio)")
    ),
    *(
        Target(
            f"latency p99 at 1,000/s, {ours}, against picows",
            1,
            False,
            _ratio("loopback", f"0B, plain, {RATES[0]:,} a second", ours, "picows + msgspec", LATENCY["p99"]),
        )
        for ours in ("ours (asyncio)", "ours (trio)")
    ),
    Target(
        "memory, growth",
        1_024,
        False,
        _figure("memory", "market", "kB more than after the first tenth"),
        "kB",
    ),
    Target(
        "memory, a buffered 0B event",
        1_200,
        False,
        _figure("memory", "0B, waiting", "bytes per buffered event"),
        "bytes",
    ),
    *(
        Target(
            f"REST calls, {ours}, against {opponent}", limit, True, _ratio("calls", CASE, opponent, ours, UNITS["cpu"])
        )
        for opponent, limit in (("httpx", 2), ("aiohttp", 1))
        for ours in ("ours (asyncio)", "ours (trio)")
    ),
    Target(
        "a page of a chart, decoded, against json.loads + pydantic",
        5,
        True,
        _ratio("rest-pages", "900 ticks, nothing read", "pydantic (texts)", "ours", rest_pages.CPU["cpu"]),
    ),
    *(
        Target(
            f"all fields of {shape} as columns, against reading records",
            limit,
            True,
            _ratio("tables", f"{shape}, all fields", "records", "ours", tables.CPU["cpu"]),
        )
        for shape, limit in (("0B", 5), ("0D", 3.5))
    ),
    *(
        Target(
            f"six columns of 0B against SQL {name}",
            1.1,
            False,
            _ratio("tables", "0B, six columns", "ours", name, tables.CPU["cpu"]),
        )
        for name in ("by hand", "by hand (types)")
    ),
    *(
        Target(
            f"six columns of 0B against {name}",
            1,
            True,
            _ratio("tables", "0B, six columns", name, "ours", tables.CPU["cpu"]),
        )
        for name in ("polars", "pyarrow")
    ),
    *(
        Target(
            f"replay of {shape} against decoding",
            1.25,
            False,
            _ratio("recording", f"read {shape}, usual fields read", "replay", "decoder", recording.CLOCK["wall"]),
        )
        for shape in ("0B", "0D", "market")
    ),
    *(
        Target(
            f"a feed of {shape} with a recorder, {loop}",
            1.1,
            False,
            _ratio("recorder", shape, f"{loop}, recording", loop, recorder.COSTS["feed"]),
        )
        for shape in ("0B", "0D", "market")
        for loop in ("asyncio", "trio")
    ),
    Target("scale, up to 10,000 items against one", 1.1, False, _flat(("10", "100", "1,000", "10,000"))),
    Target("  the same, one item silent", 1.1, False, _flat(("10,000 + 1 silent",))),
)

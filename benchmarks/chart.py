"""The chart: bars as SVG, written here. Its colours can be seen on light and on dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

import attrs

from .decode import CPU, case_name
from .loopback import THROUGHPUT
from .results import Results

__all__ = ("Bar", "Panel", "chart_of", "render")

COLUMNS = 2
WIDTH = 420  # of a panel
LABEL = 150
VALUE = 50
TITLE = 42
BAR = 15
GAP = 5
SPACE = 24
COLOURS = {"ours": "#2f81f7", "floor": "#3fa45b", "other": "#8b949e"}
TEXT = "#7d8590"


@attrs.frozen
class Bar:
    """One bar.

    Attributes:
        label: whose.
        value: how long.
        text: what stands at its end.
        kind: "ours", "floor" or "other".
    """

    label: str
    value: float
    text: str
    kind: str


@attrs.frozen
class Panel:
    """Some bars on one scale, under a title and what they are in."""

    title: str
    unit: str
    bars: tuple[Bar, ...]


def render(panels: Sequence[Panel], caption: str = "") -> str:
    """Return the chart as an SVG document: two panels beside each other, row by row."""
    body: list[str] = []
    y = 0
    for first in range(0, len(panels), COLUMNS):
        row = panels[first : first + COLUMNS]
        for column, panel in enumerate(row):
            body += _panel(panel, column * (WIDTH + SPACE), y)
        y += TITLE + max(len(panel.bars) for panel in row) * (BAR + GAP) + SPACE
    if caption:
        body.append(f'<text x="0" y="{y}" class="small">{escape(caption)}</text>')
    size = COLUMNS * (WIDTH + SPACE) - SPACE, y + 8
    style = (
        f"text{{font:12px system-ui,sans-serif;fill:{TEXT}}}.title{{font-weight:600;font-size:13px}}"
        ".small{font-size:11px}.label{text-anchor:end}"
    )
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" '
        f'height="{size[1]}" role="img">'
    )
    title = escape("; ".join(panel.title for panel in panels))
    return "\n".join([opening, f"<title>{title}</title>", f"<style>{style}</style>", *body, "</svg>", ""])


def _panel(panel: Panel, x: int, y: int) -> Iterator[str]:
    yield f'<text x="{x}" y="{y + 16}" class="title">{escape(panel.title)}</text>'
    yield f'<text x="{x}" y="{y + 32}" class="small">{escape(panel.unit)}</text>'
    y += TITLE
    longest = max((bar.value for bar in panel.bars), default=1.0) or 1.0
    for bar in panel.bars:
        length = max((WIDTH - LABEL - VALUE) * bar.value / longest, 1.0)
        middle = y + BAR - 4
        left = x + LABEL
        yield f'<text x="{left - 8}" y="{middle}" class="label">{escape(bar.label)}</text>'
        yield f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3" fill="{COLOURS[bar.kind]}"/>'
        yield f'<text x="{left + length + 6:.1f}" y="{middle}">{escape(bar.text)}</text>'
        y += BAR + GAP


def chart_of(results: Results) -> str:
    """The chart of a run: decoding by type, and throughput from a socket."""
    panels = []
    for shape, reads in (("0B", "usual"), ("0D", "two levels"), ("0E", "usual"), ("0D", "nothing")):
        case = case_name(shape, reads)
        panels += _found(results, "decode", case, CPU["cpu"], "µs a message, less is better", DECODE)
    for case in ("0B, plain", "market, TLS"):
        unit = "thousand messages a second, more is better"
        panels += _found(results, "loopback", case, THROUGHPUT["rate"], unit, LOOPBACK)
    machine = results.machine
    caption = (
        f"Medians. {machine['implementation']} {machine['python']}, {machine['system']} {machine['arch']}. "
        "Floor: by hand for one type and these fields, without a check."
    )
    return render(panels, caption)


DECODE = {"ours": "kiwoom-proto", "kwcli": "kwcli (official)", "json.loads": "json.loads", "floor (typed)": "floor"}
LOOPBACK = {
    "ours (asyncio)": "kiwoom-proto, asyncio",
    "ours (trio)": "kiwoom-proto, trio",
    "kwcli": "kwcli (official)",
    "kiwoom-restful": "kiwoom-restful",
    "cluefin-openapi": "cluefin-openapi",
    "picows + msgspec": "picows + msgspec",
    "floor": "floor",
}


def _found(results: Results, layer: str, case: str, unit: str, shown: str, names: dict[str, str]) -> list[Panel]:
    found = results.find(layer, case, unit)
    if found is None:
        return []
    bars = []
    for name, label in names.items():
        subject = found.subjects.get(name)
        if subject is None or (spread := subject.spread) is None:
            continue
        value = spread.median / 1000
        kind = name.split(" ")[0]
        bars.append(Bar(label, value, f"{value:,.1f}", kind if kind in COLOURS else "other"))
    title = f"{layer.capitalize()}: {case}"
    return [Panel(title, shown, tuple(bars))] if bars else []

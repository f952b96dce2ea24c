"""The state of a recording in progress: a few lines on a terminal, one line a minute in a log."""

from __future__ import annotations

import datetime
from collections import Counter, deque
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from kiwoom_proto import Disconnected, Event, Gap, Record
from kiwoom_proto.display import MESSAGE_LIMIT, displayed
from kiwoom_proto.realtime.catalogue import REALTIME
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.recording.recorder import Recorder, RecorderStats
from kiwoom_proto.secrets import redact
from kiwoom_proto.session.lifecycle import SessionState

from ..client import Client
from .view import plural, standing_of

__all__ = ("RecorderView", "size_text")

RATE_SECONDS = 10.0
"""Seconds that the rate of a live view is the average of."""
MAX_TYPES = 40
"""Types that are counted by name. There are fewer, but a server may send rows of any."""
LOW_SPACE = 1024**3
"""Free bytes from which on the space is shown as a warning."""


class RecorderView:
    """Counts what is recorded, and shows it.

    Args:
        source: where the rows come from.
        recorder: what records them.
    """

    def __init__(self, source: str, recorder: Recorder) -> None:
        self._source = source
        self._recorder = recorder
        self._client: Client | None = None
        self._rows: Counter[str] = Counter()
        self._gaps = 0
        self._name = ""  # of the last file
        self._samples: deque[tuple[float, int]] = deque([(0.0, 0)])

    def watch(self, client: Client) -> None:
        """Show the state of this client's subscriptions."""
        self._client = client

    def add(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Record(type_code=code):
                self._rows[code if code in self._rows or len(self._rows) < MAX_TYPES else "other"] += 1
            case Gap():
                self._gaps += 1

    def render(self, seconds: float) -> RenderableType:
        """Return the current view, `seconds` after the start."""
        stats = self._recorder.stats()
        self._name = displayed(Path(stats.path).name) if stats.path else self._name
        title = Text.assemble(
            ("recording", "bold"), f" {self._name}".rstrip(), (f" · {displayed(self._source)}", "dim")
        )
        parts = [
            plural(stats.messages, "message"),
            f"{self._rate(seconds, stats.messages, RATE_SECONDS):,.1f} a second",
            f"{stats.lag:.1f} s behind",
            _written(stats),
        ]
        status = Text(" · ".join(parts), style="dim")
        if stats.free_bytes is not None:
            style = "bold red" if stats.free_bytes < LOW_SPACE else ""
            status.append(" · ").append(f"{size_text(stats.free_bytes)} free", style)
        lines = [title, status, Text(self._types()), Text(self._standing(stats), style="dim")]
        away = self._away()
        if away is not None:
            lines.append(Text(displayed(str(away), MESSAGE_LIMIT), style="bold yellow"))
        if stats.failure:
            lines.append(Text(f"nothing can be written: {displayed(stats.failure)}", style="bold red"))
        return Group(*lines)

    def line(self, seconds: float) -> str:
        """Return the current state as one line, `seconds` after the start. The rate is that since the line before."""
        stats = self._recorder.stats()
        parts = [
            f"{datetime.datetime.now(KST):%Y-%m-%d %H:%M:%S}",
            plural(stats.messages, "message"),
            f"{self._rate(seconds, stats.messages, 0.0):,.1f} a second",
            f"{stats.lag:.1f} s behind",
            _written(stats),
            *([] if stats.free_bytes is None else [f"{size_text(stats.free_bytes)} free"]),
            *([displayed(Path(stats.path).name)] if stats.path else []),
            self._standing(stats),
            *([f"nothing can be written: {stats.failure}"] if stats.failure else []),
        ]
        return ", ".join(parts)

    def _rate(self, seconds: float, messages: int, window: float) -> float:
        """Return messages a second over the last `window` seconds, at least since the last call."""
        while len(self._samples) > 1 and self._samples[1][0] <= seconds - window:
            self._samples.popleft()
        since, before = self._samples[0]
        self._samples.append((seconds, messages))
        return (messages - before) / (seconds - since) if seconds > since else 0.0

    def _types(self) -> str:
        if not self._rows:
            return "waiting for rows …"
        parts = []
        for code, rows in self._rows.most_common():
            label = REALTIME[code].label if code in REALTIME else ""
            parts.append(f"{displayed(redact(code))}{f' {label}' if label else ''} {rows:,}")
        return " · ".join(parts)

    def _standing(self, stats: RecorderStats) -> str:
        client = self._client
        if client is None:
            standing = "connecting"
        else:
            standing = "ended" if client.state is SessionState.CLOSED else displayed(standing_of(client))
        parts = [standing, plural(self._gaps, "gap") if self._gaps else "no gaps"]
        parts.append(
            f"{plural(stats.holes, 'hole')} ({plural(stats.lost, 'message')} lost)" if stats.holes else "no holes"
        )
        return ", ".join(filter(None, parts))

    def _away(self) -> Disconnected | None:
        client = self._client
        return None if client is None or client.state is SessionState.CLOSED else client.disconnected


def _written(stats: RecorderStats) -> str:
    return f"{size_text(stats.bytes_written)} in {plural(stats.files, 'file')}"


def size_text(size: int) -> str:
    """Return a size as a person reads it: "812 B", "1.2 MB"."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} B" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"

"""How long a recording waits for the consumers of its streams.

Nothing is reported while a stream is full. What is reported at once is queued whole, beyond the limit of the stream, so
nothing is dropped, whatever its policy: whoever keeps up with a live stream gets every row.

But a stream that nobody iterates must not hold up the others for ever. The recording waits for a full stream

* until `PATIENCE` seconds have passed in which no row was taken from it;
* for `GRACE` seconds, if nobody has begun to iterate it, or the task that did has ended;
* not at all, while the task that iterated it last waits for something else of the recording.

Then the stream's own policy applies, until it is iterated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from .streams import BaseStream

__all__ = ("GRACE", "PATIENCE", "Patience")

GRACE = 0.1
"""Seconds that a program has to begin to iterate, or to ask for more, before the recording goes on by itself."""
PATIENCE = 10.0
"""Seconds that a consumer has for one row, while others wait for the recording."""


class Patience:
    """What a recording knows of the consumers of its streams.

    Args:
        now: returns seconds, never going back.
        has_ended: whether a task has ended.
    """

    def __init__(self, now: Callable[[], float], has_ended: Callable[[object], bool]) -> None:
        self._now = now
        self._has_ended = has_ended
        self._waiting: dict[object, object] = {}  # task -> the stream that it waits for, or None
        self._full: dict[object, tuple[float, int]] = {}  # stream -> since when, and how many rows were taken by then

    def note_reader(self, stream: BaseStream[object], task: object) -> None:
        """Note that a task iterates a stream."""
        stream.reader = task
        stream.is_waited_for = True

    @contextmanager
    def waiting(self, task: object, stream: object) -> Iterator[None]:
        """Know that a task waits for a stream, or for something else of the recording (None)."""
        self._waiting[task] = stream
        try:
            yield
        finally:
            self._waiting.pop(task, None)

    def ends_at(self, streams: Iterable[BaseStream[object]]) -> float:
        """Return until when nothing may be reported. Let go of the streams that were waited for long enough.

        Args:
            streams: all of them.
        """
        now = latest = self._now()
        before, self._full = self._full, {}
        for stream in streams:
            if not (stream.is_waited_for and stream.is_full):
                continue
            taken = stream.stats().delivered
            since, taken_before = before.get(stream, (now, taken))
            since = since if taken == taken_before else now
            end = since + self._limit_of(stream)
            if end <= now:
                stream.is_waited_for = False
            else:
                self._full[stream] = since, taken
                latest = max(latest, end)
        return latest

    def _limit_of(self, stream: BaseStream[object]) -> float:
        reader = stream.reader
        if reader is not None and self._waiting.get(reader, stream) is not stream:
            return 0.0
        return GRACE if reader is None or self._has_ended(reader) else PATIENCE

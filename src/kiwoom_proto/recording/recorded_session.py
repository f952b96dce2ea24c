"""The files of one session, one after the other, as its events."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import RecordingError
from ..events import Event, Numbering, RecordingHole
from ..realtime import REALTIME
from ..realtime.record import Record
from ..wire.decoder import MessageDecoder
from ..wire.messages import Ping, Reply
from .format import EventLine, Footer, Header, Line, MessageLine, SentLine, decode_line
from .frames import Block
from .recorded_file import NO_END, RecordingFile

__all__ = ("Batch", "RecordedSession")

Batch: TypeAlias = tuple[list[int], list[Event]]
"""The time of each event, by the recorder's clock, and the events."""

MAX_RUN = 256
"""Messages that are decoded together."""
_MARKER = b',"message":{'
_head_of_message = re.compile(
    rb'(\{"at":([0-9]{1,19}),"epoch":([0-9]{1,18}),"sequence":)([0-9]{1,18}),"message":(?=\{)'
).match


class RecordedSession:
    """The files of one session, in order.

    Args:
        files: its files.
        catalogue: type code -> class.
        begins: when any file begins, in order: what a file without an end may lack ends there at the latest.
        leaves_out: whether a file need not be read, judging by it and the file that follows it.
    """

    def __init__(
        self,
        files: Sequence[RecordingFile],
        catalogue: Mapping[str, type[Record]] = REALTIME,
        begins: Sequence[int] = (),
        leaves_out: Callable[[RecordingFile, RecordingFile | None], bool] = lambda file, following: False,
    ) -> None:
        self._files = sorted(files, key=lambda file: (file.part, file.path.name))
        self._begins = begins
        self._leaves_out = leaves_out
        self._catalogue = catalogue
        self._numbering = Numbering(0)
        self._decoder = MessageDecoder(catalogue, self._numbering)
        self.begins_at = self.at = self._files[0].at
        """When its first file begins; when its last line was written that has been read."""
        self.messages = 0
        """Messages received that have been read."""
        self.is_complete = True
        """Whether nothing is missing so far."""
        self._has_end = False
        self._waiting: list[str] = []  # reasons of holes whose end is not known yet
        self._ats: list[int] = []
        self._events: list[Any] = []

    def batches(self) -> Iterator[Batch]:
        """Yield its events. The times are those of the lines."""
        last: RecordingFile | None = None
        for file, following in zip(self._files, [*self._files[1:], None], strict=True):
            if file.wrong:
                self._lack(file.wrong)
                continue
            if self._leaves_out(file, following):
                continue
            if last is not None and file.part > last.part + 1:
                self._lack(f"{file.path.name}: the files between part {last.part} and part {file.part}")
            last, self._has_end = file, False
            for part in file.parts():
                if isinstance(part, Block):
                    yield self._read(file, part)
                else:
                    self._lack(file.describe(part))
                    self._has_end = part.kind == "torn"  # said already
            if not self._has_end:
                self._lack(f"{file.path.name}: {NO_END}")
        if self._waiting:
            after = bisect_right(self._begins, self.at)
            self._report_holes(self._begins[after] if after < len(self._begins) else self.at)
            yield self._popped()

    def _popped(self) -> Batch:
        batch, self._ats, self._events = (self._ats, self._events), [], []
        return batch

    def _lack(self, reason: str) -> None:
        self.is_complete = False
        self._waiting.append(reason)

    def _advance(self, at: int) -> None:
        """Note the time of the next line: what was missing before it is known now."""
        self.at = self.at or at
        self.begins_at = self.begins_at or at
        if self._waiting:
            self._report_holes(at)
        self.at = at

    def _report_holes(self, end: int) -> None:
        for reason in self._waiting:
            self._ats.append(self.at)
            self._events.append(RecordingHole(self.at, end, None, reason, epoch=self._numbering.epoch))
        self._waiting.clear()

    def _read(self, file: RecordingFile, block: Block) -> Batch:
        """Return the events of a block of lines.

        Nearly every line is a message of one row. Those of one time are cut out and decoded together, which takes half
        the time of parsing the lines one by one.
        """
        lines = block.data.split(b"\n")
        lines.pop()  # what follows the last line break
        index, count = 0, len(lines)
        while index < count:
            line = lines[index]
            head = _head_of_message(line)
            if head is None or not line.endswith(b"}"):
                index += 1
                try:
                    self._read_line(decode_line(line, self._catalogue))
                except RecordingError as error:
                    self._lack(file.describe_line(block, error))
                continue
            at, sequence = int(head[2]), int(head[4])
            if at != self.at or self._waiting:
                self._advance(at)
            begin, same, marker_at = head.end(), head[1], head.end(4)
            first, end, limit = index, index + 1, min(count, index + MAX_RUN)
            while end < limit and lines[end].startswith(same) and lines[end].startswith(_MARKER, marker_at):
                end += 1
            if end - first > 1 and int(lines[end - 1][head.start(4) : marker_at]) - sequence != end - first - 1:
                end = first + 1  # their numbers do not follow one another
            self._numbering.epoch, self._numbering.sequence = int(head[3]), sequence - 1
            index += self._read_messages(at, [line[begin:-1] for line in lines[first:end]])
        return self._popped()

    def _read_messages(self, at: int, payloads: list[bytes]) -> int:
        """Read messages, up to the first that is not one row. Return how many."""
        events = self._events
        before = len(events)
        other = self._decoder.take_rows(payloads, at, events)
        count = len(events) - before
        if other is not None:
            count += 1
            events += [message for message in self._decoder.decode(other, at) if not isinstance(message, Ping | Reply)]
        self._ats += [at] * (len(events) - before)
        self.messages += count
        return count

    def _read_line(self, line: Line) -> None:
        self._advance(line.at)
        match line:
            case MessageLine(at=at, epoch=epoch, sequence=sequence, payload=payload):
                self._numbering.epoch, self._numbering.sequence = epoch, sequence - 1
                self._read_messages(at, [payload])
            case EventLine(at=at, event=event):
                self._numbering.epoch = event.epoch
                self._events.append(event)
                self._ats.append(at)
                self.is_complete &= not isinstance(event, RecordingHole)
            case Header():
                self._has_end = False
            case Footer():
                self._has_end = True
            case SentLine():
                pass

"""The files of one session, one after the other, as its events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import RecordingError
from ..events import Event, Numbering, RecordingHole
from ..realtime import REALTIME
from ..realtime.record import Record
from ..wire.messages import Ping, Reply
from ..wire.tolerant import Message
from .format import EventLine, Footer, Header, Line, MessageLine, SentLine, decode_line
from .frames import Block
from .line_decoder import LineDecoder, message_head
from .recorded_file import NO_END, RecordingFile
from .writer import REMOVED

__all__ = ("Batch", "RecordedSession")

Batch: TypeAlias = tuple[list[int], list[Event], bool]
"""The time of each event, by the recorder's clock; the events; whether they are nothing but rows."""

PIECE = 256 * 1024
"""Bytes of lines whose events are yielded together: few enough for the processor's cache, and so many that what is done
once for all of them costs little."""


_HOLE = b'"event":{"event":"RecordingHole"'


class RecordedSession:
    """The files of one session, in order.

    Args:
        files: its files.
        catalogue: type code -> class.
        begins: when any file begins, in order: what a file without an end may lack ends there at the latest.
        leaves_out: whether a file need not be read, judging by it and the file that follows it.
        skips: whether lines need not be decoded, judging by the time of the first and of the last of them.
        wants: whether rows of a type code and an item are wanted; None: all are. Of others, most are never made.
        is_whole: whether these should be all of its files: then the first of them is part 1.
    """

    def __init__(
        self,
        files: Sequence[RecordingFile],
        catalogue: Mapping[str, type[Record]] = REALTIME,
        begins: Sequence[int] = (),
        leaves_out: Callable[[RecordingFile, RecordingFile | None], bool] = lambda file, following: False,
        skips: Callable[[int, int], bool] | None = None,
        wants: Callable[[str, str], bool] | None = None,
        is_whole: bool = False,
    ) -> None:
        self._files = sorted(files, key=lambda file: (file.part, bool(file.wrong), file.path.name))
        self._begins = begins
        self._leaves_out = leaves_out
        self._skips = skips
        self._wants = wants
        self._is_whole = is_whole
        self._catalogue = catalogue
        self._numbering = Numbering(0)
        self._decoder = LineDecoder(catalogue, self._numbering, wants)
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
        self._rows_only = True

    def batches(self) -> Iterator[Batch]:
        """Yield its events. The times are those of the lines."""
        last: RecordingFile | None = None
        for file, following in zip(self._files, [*self._files[1:], None], strict=True):
            if file.wrong:
                self._lack(file.wrong)
                continue
            if self._leaves_out(file, following):
                last = file
                continue
            if last is not None or self._is_whole:
                self._compare(0 if last is None else last.part, file)
            last, self._has_end = file, False
            for part in file.parts():
                if isinstance(part, Block):
                    if not self._can_skip(part):
                        yield from self._read(file, part)
                    elif self._events:
                        yield self._popped()
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
        batch = self._ats, self._events, self._rows_only
        self._ats, self._events, self._rows_only = [], [], True
        return batch

    def _compare(self, last: int, file: RecordingFile) -> None:
        """Note that files are missing between a part and a file, unless that file tells of the only one."""
        if file.part <= last + 1 or (file.part == last + 2 and _tells_of_a_removed_file(file)):
            return
        missing = f"between part {last} and" if last else "before"
        self._lack(f"{file.path.name}: the files {missing} part {file.part}")

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
            self._rows_only = False
        self._waiting.clear()

    def _can_skip(self, block: Block) -> bool:
        """Skip a block of lines if it begins and ends with messages that nobody asks for."""
        if self._skips is None:
            return False
        first, last = message_head(block.data, 0), message_head(block.data, block.data.rfind(b"\n", 0, -1) + 1)
        if first is None or last is None or not self._skips(first[0], last[0]) or _HOLE in block.data:
            return False  # a hole may have begun long before its line
        self._advance(first[0])
        self.at, self._numbering.epoch = last
        return True

    def _read(self, file: RecordingFile, block: Block) -> Iterator[Batch]:
        """Yield the events of a block of lines, in pieces that stay in the processor's cache."""
        data, position, size = block.data, 0, len(block.data)
        events, ats = self._events, self._ats
        limit = PIECE
        while position < size:
            before = len(ats)
            position = self._decoder.take_lines(data, position, min(limit, size), ats, events)
            if self._decoder.lines:
                self._note_lines(before)
            if position < min(limit, size):
                end = data.find(b"\n", position)
                try:
                    self._read_line(decode_line(data[position:end], self._catalogue))
                except RecordingError as error:
                    self._lack(file.describe_line(block, error))
                position = end + 1
            if position >= limit:
                yield self._popped()
                events, ats = self._events, self._ats
                limit = position + PIECE
        yield self._popped()

    def _note_lines(self, first: int) -> None:
        """Note the lines that were taken last. Their rows, one for each message that is wanted, begin at this place."""
        taken = self._decoder
        self.messages += taken.lines
        if self._waiting:
            rows, times = self._events[first:], self._ats[first:]
            del self._events[first:], self._ats[first:]
            self._advance(taken.begin)
            self._events += rows
            self._ats += times
        self.begins_at = self.begins_at or taken.begin
        self.at, self._numbering.epoch = taken.end, taken.epoch

    def _is_event(self, message: Message) -> bool:
        """Return whether a message is one that is reported."""
        if isinstance(message, Record):
            return self._wants is None or self._wants(message.type_code, message.item)
        return not isinstance(message, Ping | Reply)

    def _read_line(self, line: Line) -> None:
        self._advance(line.at)
        match line:
            case MessageLine(at=at, epoch=epoch, sequence=sequence, payload=payload):
                self._numbering.epoch, self._numbering.sequence = epoch, sequence - 1
                messages = [each for each in self._decoder.decode(payload, at) if self._is_event(each)]
                self.messages += 1
                self._events += messages
                self._ats += [at] * len(messages)
                self._rows_only &= all(isinstance(message, Record) for message in messages)
            case EventLine(at=at, event=event):
                self._numbering.epoch = event.epoch
                self._events.append(event)
                self._ats.append(at)
                self._rows_only = False
                self.is_complete &= not isinstance(event, RecordingHole)
            case Header():
                self._has_end = False
            case Footer():
                self._has_end = True
            case SentLine():
                pass


def _tells_of_a_removed_file(file: RecordingFile) -> bool:
    """Return whether the recorder has noted in this file that the one before it was removed."""
    reason = REMOVED.encode()
    blocks = (part.data for part in file.parts() if isinstance(part, Block) and reason in part.data)
    for text in (text for data in blocks for text in data.split(b"\n") if reason in text):
        try:
            line = decode_line(text)
        except RecordingError:
            continue
        if isinstance(line, EventLine) and isinstance(line.event, RecordingHole) and line.event.end <= file.at:
            return True
    return False

"""LineDecoder: rows straight out of lines. The hot path of reading.

Nearly every line is a message of one row, and begins as the one before it but for two numbers:

    {"at":1795564800000000000,"epoch":1,"sequence":123456,"message":{"data":[{"values":{ ... },"type": ... }
          '------ at -------''------ middle ------''----''- marker -'

So they are read where they stand in the block, and of each message nothing is copied but the row's values. Its envelope
is looked up as `MessageDecoder` does, together with the marker and the end of the line. What is not one row is left to
the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, TypeAlias

from ..events import Numbering
from ..realtime import REALTIME
from ..realtime.record import Record
from ..wire.decoder import MAX_ENVELOPE_PART, MAX_ENVELOPES, MessageDecoder

__all__ = ("LineDecoder", "message_head")

_End: TypeAlias = tuple[bytes, int, type[Record] | None, str, str, str, str]

_MARKER = b',"message":{'
_OPENING = len(_MARKER) - 1
_BEGIN = b'{"at":'
_AT = len(_BEGIN)
_AT_END = _AT + 19
"""Nanoseconds since the epoch have 19 digits until the year 2286."""
LAST_DIGITS = 2
"""Digits of a line's number that are looked up together with the marker. Those before them are compared with those of
the line before, as its time is."""
_numbers = {b"%0*d%b" % (digits, n, _MARKER): n for digits in range(1, LAST_DIGITS + 1) for n in range(10**digits)}
_head = re.compile(rb'\{"at":([0-9]{19})(,"epoch":([0-9]{1,9}),"sequence":)([0-9]{1,18}),"message":\{').match


def message_head(data: bytes, position: int) -> tuple[int, int] | None:
    """Return the time and the epoch of a message's line; None if it is another line."""
    head = _head(data, position)
    return None if head is None else (int(head[1]), int(head[3]))


class LineDecoder(MessageDecoder):
    """Decodes lines, and payloads.

    Args:
        types: as for `MessageDecoder`.
        numbering: likewise.
        wants: whether rows of a type code and an item are wanted. Of lines, no others are made; None: all are.

    Attributes:
        lines: how many lines were taken last, those with rows that are not wanted included.
        begin: the time of the first of them.
        end: of the last.
        epoch: the epoch of all of them.
    """

    def __init__(
        self,
        types: Mapping[str, type[Record]] = REALTIME,
        numbering: Numbering | None = None,
        wants: Callable[[str, str], bool] | None = None,
    ) -> None:
        super().__init__(types, numbering)
        self._wants = wants
        self.lines = self.begin = self.end = self.epoch = 0
        # What follows a row's values, to the end of its line -> what stands between the marker and their brace, how far
        # that brace is from where the marker begins, and what else a record needs; no class if it is not wanted.
        self._ends: dict[bytes, _End] = {}
        self._opening_size = 0  # of what stood there in the last line

    def take_lines(self, data: bytes, position: int, limit: int, ats: list[int], messages: list[Any]) -> int:
        """Append the records of lines with messages of one row, and the time of each.

        Args:
            data: whole lines.
            position: where the first one begins.
            limit: where no further one is begun.
            ats: where their times go.
            messages: where the records go.

        Returns:
            The position of the first line that is anything else, or at or after the limit.
        """
        head = _head(data, position)
        if head is None:
            self.lines = 0
            return position
        middle, epoch = head[2], int(head[3])
        sequence_at, marker_at = head.start(4) - position, head.end(4) - position
        digits = min(LAST_DIGITS, marker_at - sequence_at)
        cut = Struct(f"{marker_at - digits}s{digits + len(_MARKER)}s{self._opening_size}s")
        limit = min(limit, len(data) - cut.size + 1)
        ends, find, startswith, unpack_from = self._ends, data.find, data.startswith, cut.unpack_from
        same, at, high = b"", int(head[1]), 0
        end: _End | None = None
        self.begin, first, first_of_time, skipped = at, len(messages), len(messages), 0
        while position < limit:
            begin, last_digits, opening = unpack_from(data, position)
            if begin != same:  # received at another time, or the next hundred numbers
                time, high_digits = begin[_AT:_AT_END], begin[sequence_at:]
                if not begin.startswith(_BEGIN) or not begin.startswith(middle, _AT_END):
                    break  # something else, or damaged
                if not time.isdigit() or not (high_digits or b"0").isdigit():
                    break  # `int` takes more than digits
                ats += [at] * (len(messages) - first_of_time)
                first_of_time = len(messages)
                same, at, high = begin, int(time), int(high_digits or b"0") * 10**digits
            number = _numbers.get(last_digits)
            if number is None:
                break  # a number with one more digit
            marker = position + marker_at
            line_end = find(b"\n", marker)
            values_end = find(b"}", marker, line_end) + 1
            tail = data[values_end:line_end]
            end = ends.get(tail)
            if end is None or (opening != end[0] and not startswith(end[0], marker + len(_MARKER))):
                end = self._end(data[marker : values_end - 1], tail) if values_end else None
                if end is None:
                    break  # something else
            _, size, cls, type_code, item, name, venue_code = end
            values = data[marker + size : values_end]
            if not values.isascii():
                row = self._row(data[marker + _OPENING : line_end - 1], at, epoch, high + number)
                if row is None:
                    break
                if cls is not None:
                    messages.append(row)
                else:
                    skipped += 1
            elif cls is not None:
                messages.append(cls(type_code, item, name, at, values, venue_code, epoch, high + number))
            else:
                skipped += 1
            position = line_end + 1
        ats += [at] * (len(messages) - first_of_time)
        if end is not None:
            self._opening_size = len(end[0])
        self.end, self.epoch, self.lines = at, epoch, len(messages) - first + skipped
        return position

    def _end(self, start: bytes, tail: bytes) -> _End | None:
        """Return what is known of a line, from its marker to the end of the values, and from there on."""
        if not start.startswith(_MARKER) or not tail.endswith(b"}") or len(tail) > MAX_ENVELOPE_PART:
            return None
        envelope = self._envelope(start[_OPENING:], tail[:-1])
        if envelope is None:
            return None
        (opening, size, cls, type_code, name, venue_code), item = envelope
        if not opening.isascii():
            return None  # of such a message `MessageDecoder` reads more than the envelope
        is_wanted = self._wants is None or self._wants(type_code, item)
        made = cls if is_wanted else None
        end = opening[1:], _OPENING + size, made, type_code, item, name, venue_code
        if len(self._ends) >= MAX_ENVELOPES:
            self._ends.clear()
        self._ends[tail] = end
        return end

    def _row(self, payload: bytes, at: int, epoch: int, sequence: int) -> Record | None:
        """Return the record of a message with text that is not ASCII; None if it is not one row."""
        self._numbering.epoch, self._numbering.sequence = epoch, sequence - 1
        rows = self.decode_rows(payload, at)
        return rows[0] if rows is not None and len(rows) == 1 else None

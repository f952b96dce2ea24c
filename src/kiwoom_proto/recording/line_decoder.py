"""LineDecoder: rows straight out of lines. The hot path of reading.

Nearly every line is a message of one row, and begins as the one before it but for two numbers:

    {"at":1795564800000000000,"epoch":1,"sequence":123456,"message":{"data":[{"values":{ ... },"type": ... }
          '------ at -------''------ middle ------''----''- marker -'

So they are read where they stand in the block, and of each message nothing is copied but the row's values. Its envelope
is looked up as `MessageDecoder` does; what that decoder would not take at a glance, this one leaves to the caller.
"""

from __future__ import annotations

import re
from typing import Any

from ..wire.decoder import MAX_ENVELOPE_PART, MessageDecoder

__all__ = ("LineDecoder", "message_head")

_MARKER = b',"message":{'
_OPENING = len(_MARKER) - 1
_BEGIN = b'{"at":'
_AT = len(_BEGIN)
_AT_END = _AT + 19
"""Nanoseconds since the epoch have 19 digits until the year 2286."""
_head = re.compile(rb'\{"at":([0-9]{19})(,"epoch":([0-9]{1,9}),"sequence":)([0-9]{1,18}),"message":\{').match


def message_head(data: bytes, position: int) -> tuple[int, int] | None:
    """Return the time and the epoch of a message's line; None if it is another line."""
    head = _head(data, position)
    return None if head is None else (int(head[1]), int(head[3]))


class LineDecoder(MessageDecoder):
    """Decodes lines, and payloads."""

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
            return position
        middle, epoch = head[2], int(head[3])
        sequence_at, marker_at = head.start(4) - position, head.end(4) - position
        envelopes, startswith, find = self._envelopes, data.startswith, data.find
        same, at = data[position : position + sequence_at], int(data[position + _AT : position + _AT_END])
        while position < limit:
            if not startswith(same, position):  # received at another time
                if not startswith(middle, position + _AT_END) or not startswith(_BEGIN, position):
                    break
                time = data[position + _AT : position + _AT_END]
                if not time.isdigit():
                    break  # damaged, and `int` takes more than digits
                same, at = data[position : position + sequence_at], int(time)
            if not startswith(_MARKER, position + marker_at):
                break  # something else, or a number with one more digit
            begin = position + marker_at + _OPENING
            end = find(b"\n", begin)
            brace = find(b"}", begin, end)
            tail = data[brace + 1 : end - 1]
            envelope = envelopes.get(tail)
            if envelope is None or not startswith(envelope[0][0], begin):
                if brace < 0 or len(tail) > MAX_ENVELOPE_PART:
                    break
                envelope = self._envelope(data[begin:brace], tail)
                if envelope is None:
                    break
            (_, opening, cls, type_code, name, venue_code), item = envelope
            values = data[begin + opening : brace + 1]
            if not values.isascii():
                break
            number = data[position + sequence_at : position + marker_at]
            if not number.isdigit():
                break
            sequence = int(number)
            ats.append(at)
            messages.append(cls(type_code, item, name, at, values, venue_code, epoch, sequence))
            position = end + 1
        return position

"""What a tap has caught, as lines: in pieces, because whoever encodes shares the interpreter's lock with the feed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from ..connection.capture import Entry, Received, Reported, Sent
from .format import encode_event, encode_message, encode_messages, encode_sent
from .masking import Masking

__all__ = ("Lines", "encode_entry")

PIECE = 24 * 1024
"""Bytes of messages that are encoded at once: that takes some 50 µs. (bytes.find is slower from 30,000 bytes on.)"""


@attrs.define
class Lines:
    """Whole lines of one time.

    Attributes:
        at: their time, in nanoseconds since the epoch.
        data: the lines.
        messages: how many of them are messages received.
    """

    at: int
    data: bytes
    messages: int


def encode_entry(entry: Entry, masking: Masking) -> Iterator[Lines]:
    """Yield the lines of an entry.

    Args:
        entry: what was heard, said or reported.
        masking: masks what must not be written.
    """
    at = entry.at
    if type(entry) is Received:
        yield from _encode_received(entry, masking)
    elif type(entry) is Sent:
        yield Lines(at, encode_sent(at, entry.epoch, entry.sequence, masking.sent(entry.payload)), 0)
    elif type(entry) is Reported:
        yield Lines(at, encode_event(at, entry.event, masking), 0)


def _encode_received(entry: Received, masking: Masking) -> Iterator[Lines]:
    at, epoch, payloads = entry.at, entry.epoch, entry.payloads
    if not entry.rows_only:
        (payload,) = payloads
        yield Lines(at, encode_message(at, epoch, entry.sequence, masking.received(payload)), 1)
        return
    for first, some in _pieces(payloads):
        yield Lines(at, encode_messages(at, epoch, entry.sequence + first, some, masking), len(some))


def _pieces(payloads: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
    """Yield the messages in pieces of about `PIECE` bytes, and the place of the first of each."""
    first = size = 0
    for place, payload in enumerate(payloads):
        size += len(payload)
        if size >= PIECE:
            yield first, payloads[first : place + 1]
            first, size = place + 1, 0
    if first < len(payloads):
        yield first, payloads[first:] if first else payloads

"""Playback: a recording as what the exchange pushes, instead of its market.

Messages of rows are sent at the recorded distances, `speed` times as fast. A client that has registered all rows of a
message gets the message as it was recorded, byte for byte. If it has registered some of them, it gets a message of
those rows, each of them as recorded. Everything else that the recorded client received (replies, PING, SYSTEM, what
cannot be read) belonged to its own connection, and is left out.

It starts one second after the first registration, so that a program that registers several types misses none of them.
From then on it goes on like a market: whether or not a client is there, and whoever comes later gets what comes later.

Rows of the domestic market go to the clients of its path, those of the US market to the clients of the other.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import msgspec

from ..errors import LocalProtocolError
from ..events import RecordingHole
from ..realtime.catalogue import ACCOUNT_TYPES
from ..realtime.record import KST
from ..realtime.spelling import row_item
from ..recording.files import Paths
from ..recording.format import Header, MessageLine
from ..recording.reader import read_headers, read_messages
from .client_link import US_PATH

__all__ = ("Playback", "RecordedRows", "recorded_pairs")

START_DELAY = 1.0
"""Seconds between the first registration and the first message."""
MAX_AT_ONCE = 1_000
"""Maximum messages sent at once. Between two such batches the exchange does its other work."""
NANOSECONDS = 1_000_000_000


@attrs.frozen
class RecordedRows:
    """A message of rows.

    Attributes:
        us: whether it is of the US market.
        payload: its exact bytes.
        rows: of each row, its (type, item), and its exact bytes.
    """

    us: bool
    payload: bytes
    rows: tuple[tuple[tuple[str, str], bytes], ...]

    def wanted(self, pairs: frozenset[tuple[str, str]]) -> tuple[bytes, int]:
        """Return the message to send to a client that wants these pairs (`recorded_pairs`), and its number of rows."""
        found = [text for pair, text in self.rows if pair in pairs or (pair[0], "") in pairs]
        if len(found) == len(self.rows):
            return self.payload, len(found)
        return b'{"data":[%b],"trnm":"REAL"}' % b",".join(found), len(found)


class Playback:
    """Tells which recorded messages are due, and when the next one is.

    Args:
        paths: a recording: a file, a folder, or several of them.
        speed: how many times as fast as recorded.
        tell: called with a sentence when it has started and when it has ended, and for each part that is missing.

    Attributes:
        next_at: when the next message is due, in seconds of the exchange's clock; None before the start and after the
            end.

    Raises:
        RecordingError: there is no such file, or it is no recording, or one of a newer version.
        LocalProtocolError: speed is not above 0.
    """

    def __init__(
        self, paths: Paths, *, speed: float = 1.0, tell: Callable[[str], None] = lambda sentence: None
    ) -> None:
        if not 0 < speed < math.inf:
            raise LocalProtocolError(f"speed: must be a number above 0, not {speed!r}")
        self.next_at: float | None = None
        read_headers(paths)  # so that nobody waits for rows of what holds none
        self._messages = self._read(read_messages(paths))
        self._speed = speed
        self._tell: Callable[[str], None] = _say_nothing if tell is None else tell
        self._began: tuple[int, float] | None = None  # a time of the recording, and of the clock
        self._next: tuple[int, RecordedRows] | None = None
        self._count = 0

    def start(self, now: float) -> None:
        """Start, if it has not started yet."""
        if self._began is not None:
            return
        self._next = next(self._messages, None)
        if self._next is None:
            self._began = 0, now
            self._tell("The recording holds no rows to play.")
            return
        self._began = self._next[0], now + START_DELAY
        self.next_at = now + START_DELAY
        self._tell(f"Playback starts at {_shown(self._next[0])} of the recording.")

    def take(self, now: float) -> list[RecordedRows]:
        """Return the messages that are due, MAX_AT_ONCE at most."""
        found: list[RecordedRows] = []
        while self.next_at is not None and self.next_at <= now and len(found) < MAX_AT_ONCE:
            assert self._next is not None and self._began is not None
            at, message = self._next
            found.append(message)
            self._count += 1
            self._next = next(self._messages, None)
            if self._next is None:
                self.next_at = None
                self._tell(f"Playback has ended at {_shown(at)} of the recording, after {self._count:,} messages.")
            else:
                began_at, began = self._began
                self.next_at = began + (self._next[0] - began_at) / NANOSECONDS / self._speed
        return found

    def _read(
        self, lines: Iterable[tuple[Header | None, MessageLine | RecordingHole]]
    ) -> Iterator[tuple[int, RecordedRows]]:
        for header, line in lines:
            if isinstance(line, RecordingHole):
                self._tell(f"Not in the recording: {line.reason}")
                continue
            rows = _rows_of(line.payload)
            if rows:
                us = header is not None and header.endpoint.endswith(US_PATH)
                yield line.at, RecordedRows(us, line.payload, rows)


def recorded_pairs(registered: Iterable[Iterable[tuple[str, str]]]) -> frozenset[tuple[str, str]]:
    """Return what rows name as type and item, for registered (type, item) pairs. The item "" stands for every item."""
    return frozenset(
        (type, "" if type in ACCOUNT_TYPES else row_item(item))  # account rows come whatever item was registered
        for pairs in registered
        for type, item in pairs
    )


class _Message(msgspec.Struct):
    data: tuple[msgspec.Raw, ...]
    trnm: str


class _Row(msgspec.Struct):
    type: str
    item: Any = ""


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_row = msgspec.json.Decoder(_Row).decode


def _rows_of(payload: bytes) -> tuple[tuple[tuple[str, str], bytes], ...]:
    """Return the rows of a message; none if it is no message of rows."""
    try:
        message = _decode_message(payload)
        if message.trnm != "REAL":
            return ()
        rows = [(_decode_row(text), bytes(text)) for text in message.data]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    return tuple(((row.type, row.item if isinstance(row.item, str) else ""), text) for row, text in rows)


def _say_nothing(_: str) -> None: ...


def _shown(at: int) -> str:
    return f"{datetime.datetime.fromtimestamp(at // NANOSECONDS, KST):%Y-%m-%d %H:%M:%S} KST"

"""Capture: a tap on what one session hears and says, for whoever keeps it.

It costs one small object for each run of messages that came in one read, however many there are, and nothing where
there is no tap. What is popped is in the order of the sequence numbers, which is the order in which it happened:

    Received    messages, as they came: a run of messages of one row each, or one message of any other kind
    Sent        one message
    Reported    an event of the session. Rows, `SystemNotice` and `UnknownMessage` are left out if decoding the
                messages that they came in makes them again

The number of a message is that of the first event that it causes, or that of the next event if it causes none. So an
event stands behind the message with its number.

Nothing is decoded here. The LOGIN is kept without its token. `secrets` is what else must not be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import length_hint
from typing import TypeAlias

import attrs

from ..events import Batch, Event, Numbering, SystemNotice, UnknownMessage
from ..realtime import REALTIME
from ..realtime.record import Record
from ..secrets import MASK, Secret
from ..wire.messages import Login, encode
from .answers import is_unexpected_reply

__all__ = ("Capture", "Entry", "Received", "Reported", "Sent")

MAX_SECRETS = 64
"""Secrets remembered. Tokens are renewed once a day, and a server quotes the last one if any."""

_MASKED_LOGIN = encode(Login(Secret(MASK)))


@attrs.define
class Received:
    """Messages that one read brought.

    Attributes:
        at: when, in nanoseconds since the epoch.
        epoch: number of the connection.
        sequence: number of the first event that the first of them caused. If there are several, each caused one.
        payloads: the messages.
        rows_only: whether each is a well-formed message of one row, with nothing unknown beside the row's values.
    """

    at: int
    epoch: int
    sequence: int
    payloads: Sequence[bytes] = attrs.field(repr=False)
    rows_only: bool


@attrs.define
class Sent:
    """A message that was sent.

    Attributes:
        at: when, in nanoseconds since the epoch.
        epoch: number of the connection.
        sequence: number of the next event.
        payload: the message; of a LOGIN, without its token.
    """

    at: int
    epoch: int
    sequence: int
    payload: bytes = attrs.field(repr=False)


@attrs.define
class Reported:
    """An event of the session.

    Attributes:
        at: when, in nanoseconds since the epoch.
        event: the event.
    """

    at: int
    event: Event

    @property
    def epoch(self) -> int:
        """Number of the connection."""
        return self.event.epoch

    @property
    def sequence(self) -> int:
        """Number of the event."""
        return self.event.sequence


Entry: TypeAlias = Received | Sent | Reported


class Capture:
    """What one session has heard and said since it was popped last. Pass it to one `Session` or `Conversation`.

    Attributes:
        numbering: where the session's events get their numbers.
        types: type code -> class of the rows.
        secrets: tokens and keys that the connections were given.
    """

    __slots__ = ("_entries", "_first", "_payloads", "_received_at", "_rest", "numbering", "secrets", "types")

    def __init__(self) -> None:
        self.numbering = Numbering(0)
        self.types: Mapping[str, type[Record]] = REALTIME
        self.secrets: tuple[Secret, ...] = ()
        self._entries: list[Entry] = []
        # The run being decoded: its messages, those not decoded yet, and the place of the first that is not kept yet.
        self._payloads: Sequence[bytes] = ()
        self._rest: Iterator[bytes] = iter(())
        self._first = 0
        self._received_at = 0

    def pop(self, events: Iterable[Event] = (), now: int = 0) -> list[Entry]:
        """Return what has happened since the last call, in order, and forget it. Call it after each call of `events`.

        Args:
            events: what `events` returned.
            now: nanoseconds since the epoch, for what was not received.
        """
        entries, self._entries = self._entries, []
        reported: list[Event] = []
        if not (isinstance(events, Batch) and events.rows_only):  # to look at each row takes 2 % of the feed's time
            reported = [event for event in events if not isinstance(event, Record) and not _is_decoded(event)]
        if reported:
            entries += [Reported(0, event) for event in reported]
            entries.sort(key=_order)
        elif len(entries) == 1 and entries[0].at:
            return entries
        # What a read caused happened at the time of that read, so that times never run back.
        at = next((entry.at for entry in entries if entry.at), now)
        for entry in entries:
            at = entry.at = entry.at or at
        return entries

    # What a session and its conversations call.

    def bind(self, numbering: Numbering, types: Mapping[str, type[Record]]) -> None:
        """Note what the numbers of events, and the classes of rows, are."""
        self.numbering, self.types = numbering, types

    def add_secrets(self, secrets: Iterable[Secret]) -> None:
        """Note what must not be written."""
        known = dict.fromkeys((*self.secrets, *secrets))
        self.secrets = tuple(known)[-MAX_SECRETS:]

    def note_sent(self, payload: bytes | memoryview) -> None:
        """Note a message to send. A memoryview is a LOGIN: its token is masked."""
        data = payload if isinstance(payload, bytes) else _MASKED_LOGIN
        self._entries.append(Sent(0, self.numbering.epoch, self.numbering.sequence + 1, data))

    def start_run(self, payloads: Sequence[bytes], rest: Iterator[bytes], received_at: int) -> None:
        """Note that messages came. What is taken from `rest` is decoded; `end_run`, or nothing, follows."""
        self._payloads, self._rest, self._received_at = payloads, rest, received_at
        self._first = 0

    def note_other(self, payload: bytes, rows: int = 0) -> None:
        """Note that the message taken last is not one row.

        Args:
            payload: the message.
            rows: the events that it has caused by now. Those that are not rows must be caused afterwards.
        """
        place = len(self._payloads) - length_hint(self._rest) - 1
        sequence = self.numbering.sequence - rows
        if place > self._first:
            self._keep_rows(place, sequence)
        epoch = self.numbering.epoch
        self._entries.append(Received(self._received_at, epoch, sequence + 1, (payload,), rows_only=False))
        self._first = place + 1

    def end_run(self) -> None:
        """Note that all messages of the run have been handled."""
        if self._first < len(self._payloads):
            self._keep_rows(len(self._payloads), self.numbering.sequence)
        self._payloads = ()

    def _keep_rows(self, end: int, last: int) -> None:
        """Keep the messages up to `end`: each has caused one event, the last of them that with the number `last`."""
        payloads = self._payloads if end - self._first == len(self._payloads) else self._payloads[self._first : end]
        sequence = last - len(payloads) + 1
        self._entries.append(Received(self._received_at, self.numbering.epoch, sequence, payloads, rows_only=True))


def _is_decoded(event: Event) -> bool:
    """Return whether decoding a message makes the event."""
    return isinstance(event, SystemNotice) or (isinstance(event, UnknownMessage) and not is_unexpected_reply(event))


def _order(entry: Entry) -> tuple[int, bool]:
    """Return what entries are sorted by: a message stands before the event with its number."""
    return entry.sequence, isinstance(entry, Reported)

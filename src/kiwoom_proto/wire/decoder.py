"""MessageDecoder: from one text payload to its rows or message. The hot path.

Nearly every message is one row, and what surrounds the row's `values` (which type, which item) was received before:

    {"data":[{"values":{"20":"165208","10":"-20800", ...},"type":"0B","name":"주식체결","item":"005930"}],"trnm":"REAL"}
    '------ opening -----'                                '------------------------- tail -------------------------'

So `take_rows` cuts a message at its first closing brace and looks up what opening and tail mean in a dictionary. Only
those seen for the first time are parsed, with nothing between the braces. `values` stay encoded; see `record`.

Everything else takes another path. Well-formed REAL messages of several rows, or with text that is not ASCII, are
parsed whole. Anything else takes the tolerant path. No input raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from ..errors import UNREADABLE
from ..events import Numbering
from ..realtime import REALTIME
from ..realtime.record import Record
from ..secrets import Redaction
from .tolerant import MAX_ROWS, Message, Row, TolerantDecoder

__all__ = ("MAX_ENVELOPES", "MAX_ENVELOPE_PART", "MessageDecoder")

_Shared: TypeAlias = tuple[bytes, int, type[Record], str, str, str]
_Envelope: TypeAlias = tuple[_Shared, str]

MAX_ENVELOPES = 16_384
"""Openings and tails remembered: as many as registered items times types. A connection has 200 items."""

MAX_ENVELOPE_BYTES = 2 * 1024 * 1024
"""Their total size in bytes. With what they decode to, they take 8 MB at most."""

MAX_ENVELOPE_PART = 256
"""Size limit of an opening or a tail, in bytes: longer ones are more than the ends of a row and its message."""


SUSPICIOUS = 20 * MAX_ROWS
"""Size in bytes from which a message may have too many rows: the shortest row has twenty bytes."""


class _Real(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    data: list[Row]
    trnm: str


class MessageDecoder:
    """Decodes text payloads, from the WebSocket or from a recording.

    Args:
        types: type code -> class; defaults to the whole catalogue. Rows of other types become plain `Record`s.
        numbering: where rows get their numbers; defaults to one of its own.
        redaction: what to mask in everything but rows; defaults to whatever looks like a secret.
    """

    def __init__(
        self,
        types: Mapping[str, type[Record]] = REALTIME,
        numbering: Numbering | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self._class_of = dict(types).get
        self._numbering = Numbering(0) if numbering is None else numbering
        self._tolerant = TolerantDecoder(
            self._class_of, self._numbering, Redaction() if redaction is None else redaction
        )
        self._real = msgspec.json.Decoder(_Real).decode
        # The tail, or opening and tail -> what a record needs: the item, and what it has in common with all other items
        # (the opening with its brace, where that stands, class, type, name, venue), which is then in the CPU's cache.
        self._envelopes: dict[bytes, _Envelope] = {}
        self._envelopes_by_both: dict[bytes, _Envelope] = {}
        self._shared: dict[_Shared, _Shared] = {}
        self._envelope_bytes = 0

    def decode(self, payload: bytes | str, received_at: int = 0) -> list[Message]:
        """Return what a payload says, in its order: one record for each row, or the one message that it is.

        Args:
            payload: one whole text message, UTF-8.
            received_at: when it was received, in nanoseconds since the epoch; 0 if unknown.
        """
        if type(payload) is not bytes:
            payload = payload.encode(errors="surrogatepass") if isinstance(payload, str) else bytes(payload)
        # As `take_rows`, for one message: a quarter faster without the loop and a second call.
        start, _, tail = payload.partition(b"}")
        envelope = self._envelopes.get(tail) if len(tail) <= MAX_ENVELOPE_PART else None
        if envelope is not None and start.startswith(envelope[0][0]) and start.isascii():
            (_, brace, cls, type_code, name, venue_code), item = envelope
            values = payload[brace : len(start) + 1]
            numbering = self._numbering
            numbering.sequence = sequence = numbering.sequence + 1
            return [cls(type_code, item, name, received_at, values, venue_code, numbering.epoch, sequence)]
        messages: list[Message] = []
        if self.take_rows((payload,), received_at, messages) is None:
            return messages
        self.start_read()
        rows: list[Message] | None = self.decode_rows(payload, received_at)  # type: ignore[assignment]  # list is invariant
        return self.decode_other(payload, received_at) if rows is None else rows

    def take_rows(self, payloads: Iterable[bytes], received_at: int, messages: list[Any]) -> bytes | None:
        """Append the records of messages of one row each, up to the first message that is not one.

        Returns:
            That message, which is for `decode_rows` or else `decode_other`; None at the end. All messages before it
            are valid UTF-8.
        """
        envelopes = self._envelopes
        numbering = self._numbering
        epoch, sequence = numbering.epoch, numbering.sequence
        for payload in payloads:
            start, _, tail = payload.partition(b"}")
            if len(tail) > MAX_ENVELOPE_PART:
                break
            envelope = envelopes.get(tail)
            if envelope is None or not start.startswith(envelope[0][0]):
                envelope = self._envelope(start, tail)
                if envelope is None:
                    break
            if not start.isascii():
                break
            (_, brace, cls, type_code, name, venue_code), item = envelope
            sequence += 1
            values = payload[brace : len(start) + 1]
            messages.append(cls(type_code, item, name, received_at, values, venue_code, epoch, sequence))
        else:
            payload = None
        numbering.sequence = sequence
        return payload

    def _envelope(self, start: bytes, tail: bytes) -> _Envelope | None:
        """Return the envelope of a message that its tail alone does not identify; None if it is not one row."""
        if b"{" in tail:
            return None  # another row follows, a very short one
        brace = start.find(b"{", start.find(b'"values"'))
        if brace >= MAX_ENVELOPE_PART:
            return None
        opening = start[: brace + 1]
        envelope = self._envelopes_by_both.get(opening + tail)
        if envelope is not None:
            return envelope
        try:
            real = self._real(opening + b"}" + tail)
        except UNREADABLE:
            return None
        if real.trnm != "REAL" or len(real.data) != 1 or bytes(real.data[0].values) != b"{}":
            return None
        row = real.data[0]
        cls = self._class_of(row.type, Record)
        shared = opening, brace, cls, row.type, row.name, row.stexTp
        envelope = self._shared.setdefault(shared, shared), row.item
        size = len(opening) + len(tail)
        count = len(self._envelopes) + len(self._envelopes_by_both)
        if count >= MAX_ENVELOPES or self._envelope_bytes + size > MAX_ENVELOPE_BYTES:
            self._envelopes.clear()
            self._envelopes_by_both.clear()
            self._shared.clear()
            self._envelope_bytes = 0
        self._envelope_bytes += size
        if len(tail) > len(opening) and tail not in self._envelopes:
            self._envelopes[tail] = envelope
        else:  # the order of the official examples, values last: all tails are the same
            self._envelopes_by_both[opening + tail] = envelope
        return envelope

    def decode_rows(self, payload: bytes, received_at: int) -> list[Record] | None:
        """Return the records of a well-formed REAL message of up to `MAX_ROWS` rows; None for anything else."""
        if len(payload) > SUSPICIOUS and payload.count(b"{") > 2 * MAX_ROWS + 1:
            return None
        try:
            real = self._real(payload)
        except UNREADABLE:
            return None
        if real.trnm != "REAL" or len(real.data) > MAX_ROWS:
            return None
        numbering = self._numbering
        epoch, sequence = numbering.epoch, numbering.sequence
        records: list[Record] = []
        for row in real.data:
            sequence += 1
            cls = self._class_of(row.type, Record)
            values = bytes(row.values)
            records.append(cls(row.type, row.item, row.name, received_at, values, row.stexTp, epoch, sequence))
        numbering.sequence = sequence
        return records

    def start_read(self) -> None:
        """Restart the counts of what is bounded per read: what follows came in another one."""
        self._tolerant.start_read()

    def decode_other(self, payload: bytes, received_at: int) -> list[Message]:
        """Return what any other payload says. Never raises."""
        return self._tolerant.decode(payload, received_at)

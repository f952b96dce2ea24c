"""The lines of a recording, version 1: one JSON object each. Pure.

    {"recording":1,"at":...,"endpoint":"wss://...", ...}               Header, the first line of every file
    {"at":...,"epoch":1,"sequence":7,"message":{"trnm":"REAL", ...}}   MessageLine: received, byte for byte
    {"at":...,"epoch":1,"sequence":7,"sent":{"trnm":"REG", ...}}       SentLine
    {"at":...,"epoch":1,"sequence":9,"event":{"event":"Gap", ...}}     EventLine: what the session reported
    {"at":...,"end":"closed","messages":123456}                        Footer, the last line of a file that was closed

`at` is nanoseconds since the epoch, by the recorder's clock. `sequence` is the number of the first event that a message
caused, or of the next event if it caused none.

A message that is a JSON object without a line break is a member as it is, and a reader cuts it out of the line. Any
other is a text (`text`, `sent_text`), or base64 (`base64`, `sent_base64`) if it is not UTF-8. Each gives back its exact
bytes. Events made by decoding a message (rows, `SystemNotice`, most `UnknownMessage`) have no line of their own.

docs/recordings.md says the same for people.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import contains, itemgetter
from typing import Any, Literal, TypeAlias

import attrs
import msgspec

from ..display import quoted
from ..errors import UNREADABLE, RecordingError
from ..events import Event
from ..realtime import REALTIME
from ..realtime.record import Record
from .event_json import event_from_dict, event_to_dict
from .masking import Masking

__all__ = (
    "VERSION",
    "EventLine",
    "Footer",
    "Header",
    "Line",
    "MessageLine",
    "SentLine",
    "decode_line",
    "decode_version",
    "encode_event",
    "encode_footer",
    "encode_header",
    "encode_message",
    "encode_messages",
    "encode_sent",
)

VERSION = 1
"""The version of the format that is written, and the latest that is read."""
MAX_EVENT = 2 * 1024 * 1024
"""Bytes of an event's line from which on the members that a server sent are left out of it."""


@attrs.frozen
class Header:
    """The first line of every file.

    Attributes:
        at: when the file was begun.
        endpoint: the URL that was connected to.
        mock: whether it is mock trading.
        software: what wrote the file: "kiwoom-proto 0.1.0".
        session: 16 hexadecimal digits, random for each recorder and client. Files with the same ones belong together.
        part: the number of the file within its session, from 1.
        masked: whether account numbers are masked.
        clock: where the times come from.
        version: the version of the format.
    """

    at: int
    endpoint: str
    mock: bool
    software: str
    session: str
    part: int = 1
    masked: bool = True
    clock: str = "time.time_ns"
    version: int = VERSION


@attrs.frozen
class MessageLine:
    """A message received.

    Attributes:
        at: when.
        epoch: the number of its connection.
        sequence: the number of the first event that it caused, or of the next event if it caused none.
        payload: its exact bytes, except what is masked.
    """

    at: int
    epoch: int
    sequence: int
    payload: bytes = attrs.field(repr=lambda payload: f"<{len(payload)} bytes>")


@attrs.frozen
class SentLine:
    """A message sent. Attributes as those of a `MessageLine`."""

    at: int
    epoch: int
    sequence: int
    payload: bytes = attrs.field(repr=lambda payload: f"<{len(payload)} bytes>")


@attrs.frozen
class EventLine:
    """An event that is not made by decoding a message.

    Attributes:
        at: when it was reported.
        event: the event, with its `epoch` and `sequence`.
    """

    at: int
    event: Event


@attrs.frozen
class Footer:
    """The last line of a file that was closed.

    Attributes:
        at: when.
        end: "rotated" if another file of the session follows, else "closed".
        messages: how many messages received are in the file.
    """

    at: int
    end: Literal["rotated", "closed"]
    messages: int


Line: TypeAlias = Header | MessageLine | SentLine | EventLine | Footer
"""Whatever a line of a recording may be."""


# Encoding.

_raw = msgspec.json.Decoder(msgspec.Raw)
_first = itemgetter(0)
_OBJECT = set(b"{")
(_LINE_BREAK,) = b"\n"


def encode_header(header: Header) -> bytes:
    """Return the line of a header."""
    members = {
        "recording": header.version,
        "at": header.at,
        "endpoint": header.endpoint,
        "mock": header.mock,
        "software": header.software,
        "clock": header.clock,
        "session": header.session,
        "part": header.part,
        "masked": header.masked,
    }
    return msgspec.json.encode(members) + b"\n"


def encode_message(at: int, epoch: int, sequence: int, payload: bytes) -> bytes:
    """Return the line of a message received, whatever its bytes are."""
    name, value = _member(payload, "message", "text", "base64")
    return b'{"at":%d,"epoch":%d,"sequence":%d,"%b":%b}\n' % (at, epoch, sequence, name, value)


def encode_messages(
    at: int, epoch: int, sequence: int, payloads: Sequence[bytes], masking: Masking | None = None
) -> bytes:
    """Return the lines of messages that were received at once and caused one event each. As fast as can be.

    Args:
        at: when they were received.
        epoch: the number of their connection.
        sequence: the number of the first one's event.
        payloads: the messages: valid UTF-8, and nothing unknown beside the values of their rows, as
            `MessageDecoder.take_rows` sees to. About a hundred at a time are the fastest.
        masking: masks them; None if they are masked.
    """
    joined = b"\n".join(payloads)
    if _are_lines(joined, payloads) and (masking is None or not masking.concerns(joined)):
        # One join of heads and messages by turns copies each message once. (`%b` looks at each byte.)
        template = b'}\n{"at":%d,"epoch":%d,"sequence":%%d,"message":' % (at, epoch)
        parts = [b"}\n"] * (2 * len(payloads) + 1)
        parts[:-1:2] = [template % number for number in range(sequence, sequence + len(payloads))]
        parts[1::2] = payloads
        parts[0] = parts[0][2:]
        return b"".join(parts)
    mask = bytes if masking is None else masking.received
    return b"".join(
        [encode_message(at, epoch, sequence + index, mask(payload)) for index, payload in enumerate(payloads)]
    )


def _are_lines(joined: bytes, payloads: Sequence[bytes]) -> bool:
    """Return whether each message is a JSON object without a line break; `joined` is all of them as lines."""
    # To look for a byte in each message is faster than to count it in all: in messages of 2 kB nine times as fast.
    if any(map(contains, payloads, repeat(_LINE_BREAK))) or b"\r" in joined or not all(payloads):
        return False
    try:
        values = _raw.decode_lines(joined)  # at once, which is faster than one by one
    except UNREADABLE:
        return False
    # By their lengths, no value goes on in the next line, and no two are in one.
    return list(map(len, values)) == list(map(len, payloads)) and set(map(_first, payloads)) == _OBJECT


def encode_sent(at: int, epoch: int, sequence: int, payload: bytes) -> bytes:
    """Return the line of a message sent. Mask it first."""
    name, value = _member(payload, "sent", "sent_text", "sent_base64")
    return b'{"at":%d,"epoch":%d,"sequence":%d,"%b":%b}\n' % (at, epoch, sequence, name, value)


def encode_event(at: int, event: Event, masking: Masking | None = None) -> bytes:
    """Return the line of an event that is not made by decoding a message.

    Args:
        at: when it was reported.
        event: the event.
        masking: masks what it holds; None: nothing is masked.
    """
    members = event_to_dict(event, masking)
    epoch, sequence = members.pop("epoch"), members.pop("sequence")
    try:
        text = msgspec.json.encode(members)
    except (ValueError, OverflowError, RecursionError):
        text = b""
    if not 0 < len(text) <= MAX_EVENT and "members" in members:
        members["members"] = {}  # what the server sent stands in the line of its message
        text = msgspec.json.encode(members)
    return b'{"at":%d,"epoch":%d,"sequence":%d,"event":%b}\n' % (at, epoch, sequence, text)


def encode_footer(footer: Footer) -> bytes:
    """Return the line of a footer."""
    return msgspec.json.encode({"at": footer.at, "end": footer.end, "messages": footer.messages}) + b"\n"


def _member(payload: bytes, verbatim: str, text: str, encoded: str) -> tuple[bytes, bytes]:
    """Return the name and the value of the member that gives back these bytes."""
    try:
        string = payload.decode()
    except UnicodeDecodeError:
        return encoded.encode(), b'"%b"' % base64.b64encode(payload)
    if payload[:1] == b"{" and payload[-1:] == b"}" and b"\n" not in payload and b"\r" not in payload:
        try:
            _raw.decode(payload)
        except UNREADABLE:
            pass
        else:
            return verbatim.encode(), payload
    return text.encode(), msgspec.json.encode(string)


# Decoding.


NOTHING = msgspec.Raw(b"")


class _Line(msgspec.Struct, gc=False):
    """Every member that any line has; one that is not known is skipped."""

    at: int
    epoch: int = 0
    sequence: int = 0
    message: msgspec.Raw = NOTHING
    text: str | None = None
    base64: str | None = None
    sent: msgspec.Raw = NOTHING
    sent_text: str | None = None
    sent_base64: str | None = None
    event: dict[str, Any] | None = None
    end: Literal["rotated", "closed"] | None = None
    messages: int = 0
    recording: int | None = None
    endpoint: str = ""
    mock: bool = False
    software: str = ""
    clock: str = ""
    session: str = ""
    part: int = 1
    masked: bool = True


class _Version(msgspec.Struct):
    """Of a header, what every version has."""

    recording: int


_line = msgspec.json.Decoder(_Line)
_version = msgspec.json.Decoder(_Version)
_plain_line = re.compile(
    rb'\{"at":(\d{1,19}),"epoch":(\d{1,19}),"sequence":(\d{1,19}),"message":(\{.*\})\}\n?'
).fullmatch


def decode_line(line: bytes, types: Mapping[str, type[Record]] = REALTIME) -> Line:
    """Return what a line says.

    Args:
        line: the line, with or without the "\\n" at its end.
        types: type code -> class, for the rows within events.

    Raises:
        RecordingError: names what is wrong with the line.
    """
    plain = _plain_line(line)
    if plain is not None:
        at, epoch, sequence, payload = plain.groups()
        return MessageLine(int(at), int(epoch), int(sequence), payload)
    try:
        found = _line.decode(line)
    except UNREADABLE as error:
        _check_version(decode_version(line))
        raise RecordingError(f"a line of a recording: {_reason(line, error)}") from None
    if found.recording is not None:
        _check_version(found.recording)
        return _header(found)
    numbers = found.at, found.epoch, found.sequence
    if found.event is not None:
        members = {**found.event, "epoch": found.epoch, "sequence": found.sequence}
        return EventLine(found.at, event_from_dict(members, types))
    if found.end is not None:
        return Footer(found.at, found.end, found.messages)
    if (payload := _payload(found.message, found.text, found.base64)) is not None:
        return MessageLine(*numbers, payload)
    if (payload := _payload(found.sent, found.sent_text, found.sent_base64)) is not None:
        return SentLine(*numbers, payload)
    raise RecordingError(f"a line of a recording: it has no member that this version knows: {quoted(line[:80])}")


def _header(found: _Line) -> Header:
    return Header(
        found.at,
        found.endpoint,
        found.mock,
        found.software,
        found.session,
        found.part,
        found.masked,
        found.clock,
    )


def decode_version(line: bytes) -> int:
    """Return the version of the format that a first line names; `VERSION` if it names none."""
    try:
        return _version.decode(line).recording
    except UNREADABLE:
        return VERSION


def _check_version(version: int) -> None:
    if version != VERSION:
        raise RecordingError(f"a recording of version {version}; this version of kiwoom-proto reads version {VERSION}")


def _payload(verbatim: msgspec.Raw, text: str | None, encoded: str | None) -> bytes | None:
    if len(verbatim):
        return bytes(verbatim)
    if text is not None:
        return text.encode()
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise RecordingError(f"a line of a recording: base64 that cannot be decoded: {error}") from None


def _reason(line: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if not line.startswith(b"{"):
        return f"a JSON object belongs here, not {quoted(line[:40])}"
    return f"{error}"

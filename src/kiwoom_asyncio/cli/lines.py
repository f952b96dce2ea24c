"""The JSON lines that `kiwoom-proto` prints, without account numbers and secrets.

A line with a "type" is a row, as `Record.to_dict` gives it. A line with an "event" tells what the rows do not: that
they are missing, since when and why. `event_from_dict` reads both.
"""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import msgspec

from kiwoom_proto import Event, KiwoomError, MessageDecoder, Record, SystemNotice, UnknownMessage
from kiwoom_proto.display import json_displayed
from kiwoom_proto.realtime.conditions import read_rows
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.wire.messages import Ping, Reply

from .stream import warn
from .view import plural

__all__ = ("decode_lines", "json_line", "members_of", "write_line")


def decode_lines(file: IO[bytes]) -> None:
    """Write recorded payloads, one per line, as JSON lines.

    Raises:
        KiwoomError: some messages could not be understood. Each was reported on standard error.
        OSError: the file cannot be read.
    """
    decoder = MessageDecoder()
    bad = 0
    for number, line in enumerate(_lines_of(file), 1):
        payload = line.strip().removeprefix(codecs.BOM_UTF8)
        if not payload:
            continue
        for message in decoder.decode(payload):
            if isinstance(message, UnknownMessage):
                bad += 1
                warn(f"line {number}: {message.error}")
            else:
                write_line(_members_of_message(message))
    if bad:
        raise KiwoomError(f"{plural(bad, 'message')} could not be understood")


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from file
    except OSError as error:
        raise OSError(f"cannot read {file.name}: {error.strerror or error}") from None


def _members_of_message(message: Record | Ping | Reply | SystemNotice) -> Mapping[str, Any]:
    match message:
        case Record():
            return message.to_dict()
        case Ping():
            return {"trnm": "PING"}
        case Reply():
            members = {"trnm": message.trnm, "return_code": message.code, "return_msg": message.message}
            rows = read_rows(message.trnm, message.members.get("data"), 0) if message.trnm.endswith("REQ") else ()
            return members | message.members | ({"data": [row.to_dict() for row in rows]} if rows else {})
        case SystemNotice():
            return {"trnm": "SYSTEM", "code": message.code, "message": message.message, **message.members}


def members_of(event: Event) -> Mapping[str, Any]:
    """Return the members of a row or of another event to print, secrets masked."""
    if isinstance(event, Record):
        return event.to_dict()
    members = event_to_dict(event)
    _leave_out_bodies(members)
    return members


def _leave_out_bodies(members: dict[str, Any]) -> None:
    """Leave out the bodies of HTTP answers, which hold whatever the server sent."""
    members.pop("body", None)
    for each in members.values():
        if isinstance(each, dict):
            _leave_out_bodies(each)


def write_line(members: Mapping[str, Any]) -> None:
    """Write a JSON line to standard output."""
    sys.stdout.buffer.write(json_line(members))


def json_line(members: Mapping[str, Any]) -> bytes:
    r"""Return one JSON object as a line. For a terminal, unprintable characters are escaped.

    Half a surrogate pair, which UTF-8 does not have, stays the escape "\ud800" that it was: a server may send one.
    """
    try:
        line = msgspec.json.encode(members)
    except UnicodeEncodeError:
        line = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    if sys.stdout.isatty():
        line = json_displayed(line.decode()).encode()
    return line + b"\n"

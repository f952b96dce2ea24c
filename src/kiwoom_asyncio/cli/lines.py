"""The JSON lines that `kiwoom-proto` prints, without account numbers and secrets."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import msgspec

from kiwoom_proto import KiwoomError, MessageDecoder, Record, SystemNotice, UnknownMessage
from kiwoom_proto.display import json_displayed
from kiwoom_proto.realtime.conditions import read_rows
from kiwoom_proto.wire.messages import Ping, Reply

from .stream import warn
from .view import plural

__all__ = ("decode_lines", "json_line", "masked", "write_line")


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
                write_line(_members_of(message))
    if bad:
        raise KiwoomError(f"{plural(bad, 'message')} could not be understood")


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from file
    except OSError as error:
        raise OSError(f"cannot read {file.name}: {error.strerror or error}") from None


def _members_of(message: Record | Ping | Reply | SystemNotice) -> Mapping[str, Any]:
    match message:
        case Record():
            return masked(message)
        case Ping():
            return {"trnm": "PING"}
        case Reply():
            members = {"trnm": message.trnm, "return_code": message.code, "return_msg": message.message}
            rows = read_rows(message.trnm, message.members.get("data"), 0) if message.trnm.endswith("REQ") else ()
            return members | message.members | ({"data": [masked(row) for row in rows]} if rows else {})
        case SystemNotice():
            return {"trnm": "SYSTEM", "code": message.code, "message": message.message, **message.members}


def write_line(members: Mapping[str, Any]) -> None:
    """Write a JSON line to standard output."""
    sys.stdout.buffer.write(json_line(members))


def json_line(members: Mapping[str, Any]) -> bytes:
    """Return one JSON object as a line. For a terminal, unprintable characters are escaped."""
    line = msgspec.json.encode(members)
    if sys.stdout.isatty():
        line = json_displayed(line.decode()).encode()
    return line + b"\n"


def masked(record: Record) -> Mapping[str, Any]:
    """Return the members of a row to print: FIDs only if they have no name, secrets masked (see `Record.to_dict`)."""
    members = record.to_dict()
    fids = members.pop("fids")
    for name, field in record.fields.items():
        if name in members:
            fids.pop(field.fid, None)
    if fids:
        members["fids"] = fids
    return members

"""Events as JSON-ready dicts, and back, errors and tickets included.

    {"event": "Gap", "epoch": 2, "sequence": 817, "start": 1790..., "end": 1790..., "last_sequence": 801}

Two events are the same if their dicts are equal. `==` says less: it ignores `epoch` and `sequence`, and tickets and
errors are compared by identity. So a restored event with a ticket or an error in it never equals the original by `==`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import msgspec

from .. import errors, events
from ..errors import KiwoomError, RecordingError
from ..events import Event, Extent
from ..events.snapshots import RecoveryResult
from ..headers import ResponseHeader
from ..realtime import REALTIME
from ..realtime.conditions import Condition, ConditionRow, UsConditionRow
from ..realtime.record import Record
from ..request import Request, RequestKind
from ..secrets import MASK, is_personal
from ..symbol import Symbol
from .masking import Masking

__all__ = ("event_from_dict", "event_to_dict")

_Types: TypeAlias = Mapping[str, type[Record]]

_EVENTS: dict[str, type[Any]] = {
    cls.__name__: cls for name in events.__all__ if attrs.has(cls := getattr(events, name))
}
_ERRORS: dict[str, tuple[type[KiwoomError], tuple[str, ...]]] = {
    "QuotaExceeded": (errors.QuotaExceeded, ("limit", "used", "asked", "source", "group")),
    "HandshakeError": (errors.HandshakeError, ("message", "status", "body", "retry_after")),
    "LoginRefused": (errors.LoginRefused, ("code", "message", "reason")),
    "TokenRefused": (errors.TokenRefused, ("code", "message", "status", "reason", "retry_after")),
    "PoolLost": (errors.PoolLost, ("errors",)),
    "TakenOver": (errors.TakenOver, ("times",)),
    "DeadlineExceeded": (errors.DeadlineExceeded, ("phase", "seconds", "last", "what")),
    **{
        cls.__name__: (cls, ("message",))
        for cls in (
            errors.ClosedByPeer,
            errors.KiwoomError,
            errors.LocalProtocolError,
            errors.RecordingError,
            errors.RemoteProtocolError,
            errors.TokenError,
            errors.CertificateRefused,
            errors.TransportError,
        )
    },
}
"""Name -> class, and its arguments by name. An error of another class is kept as the nearest of its bases here."""
_CONDITION_ROWS: _Types = {"CNSRREQ": ConditionRow, "GCNSRREQ": UsConditionRow}
MAX_DEPTH = 100
"""Levels of what a server sent, from which on it is kept as its text."""


def event_to_dict(event: Event, masking: Masking | None = None) -> dict[str, Any]:
    """Return what `event_from_dict` restores the event from: JSON-ready values, by the names of its attributes.

    Args:
        event: any event. Rows are kept as they came; for their values by name, see `Record.to_dict`.
        masking: masks what may hold a secret, at any depth; None: nothing is masked.
    """
    return _Writer(masking).event(event)


def event_from_dict(members: Mapping[str, Any], types: _Types = REALTIME) -> Event:
    """Return the event that `event_to_dict` was called on, or the row that `Record.to_dict` was called on.

    So every line of `kiwoom-proto stream --json` is read back.

    Args:
        members: what either returned.
        types: type code -> class of rows.

    Raises:
        RecordingError: names what is wrong.
    """
    name = members.get("event", "a row" if "type" in members else None) if isinstance(members, Mapping) else None
    if not isinstance(name, str):
        raise RecordingError("an event: must be an object with the member event or type")
    try:
        if "event" not in members:
            return {**_CONDITION_ROWS, **types}.get(members["type"], Record).from_dict(members)
        if name == "Record":
            return _read_row(members, types)
        cls = _EVENTS.get(name)
        if cls is None:
            raise RecordingError(f"an event: {name!r} is none that this version knows")
        arguments = {
            field.name: _restored(field.name, members[field.name], types)
            for field in attrs.fields(cls)
            if field.name in members
        }
        event: Event = cls(**arguments)
    except RecordingError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RecordingError(f"an event: {name} cannot be restored: {error}") from None
    return event


class _Writer:
    """Makes events, and whatever they are made of, JSON-ready. Every text and every run of bytes passes the masking."""

    def __init__(self, masking: Masking | None) -> None:
        self._masking = masking

    def event(self, event: Event) -> dict[str, Any]:
        if isinstance(event, Record):
            return {"event": "Record", **self._row(event)}
        members: dict[str, Any] = {"event": type(event).__name__, "epoch": event.epoch, "sequence": event.sequence}
        for field in attrs.fields(type(event)):
            if field.name not in members:
                members[field.name] = self._plain(getattr(event, field.name))
        return members

    def _plain(self, value: Any, depth: int = 0) -> Any:
        """Return a value as JSON-ready."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, int):
            return value
        if isinstance(value, bytes):
            return _plain_bytes(value if self._masking is None else self._masking.received(value))
        if isinstance(value, KiwoomError):
            return self._error(value)
        if isinstance(value, Request):  # the program's own words
            return {**attrs.asdict(value), "kind": value.kind.value}
        if isinstance(value, Symbol):
            return self._text(value.item)
        if isinstance(value, Record):
            return self._row(value)
        if isinstance(value, Condition):
            return {"seq": self._text(value.seq), "name": self._text(value.name)}
        if isinstance(value, RecoveryResult):
            return {name: self._text(str(each)) for name, each in attrs.asdict(value).items()}
        if isinstance(value, ResponseHeader):
            return {name: self._plain(each) for name, each in attrs.asdict(value).items()}
        if depth > MAX_DEPTH:
            return "(nested too deeply)"
        if isinstance(value, Mapping):
            return {self._plain(name): self._member(name, each, depth + 1) for name, each in value.items()}
        if isinstance(value, Sequence):
            return [self._plain(each, depth + 1) for each in value]
        return self.event(value)

    def _text(self, text: str) -> str:
        text = text if self._masking is None else self._masking.text(text)
        return text if text.isascii() else text.encode(errors="replace").decode()

    def _member(self, name: Any, value: Any, depth: int) -> Any:
        hides = self._masking is not None and value not in (None, "") and is_personal(str(name))
        return MASK if hides else self._plain(value, depth)

    def _error(self, error: KiwoomError) -> dict[str, Any]:
        name = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
        members: dict[str, Any] = {"error": name}
        for argument in _ERRORS[name][1]:
            if argument == "message" and not hasattr(error, "message"):
                known = name == type(error).__name__ and error.args and isinstance(error.args[0], str)
                members["message"] = self._plain(error.args[0] if known else str(error))
            else:
                members[argument] = self._plain(getattr(error, argument))
        return members

    def _row(self, record: Record) -> dict[str, Any]:
        """Return a row whose values are as they came: an object if JSON restores the same bytes, else their text."""
        data = record.values if self._masking is None else self._masking.values(record.values)
        try:
            values: Any = msgspec.json.decode(data)
            if msgspec.json.encode(values) != data:
                values = _plain_bytes(data)
        except errors.UNREADABLE:
            values = _plain_bytes(data)
        members = {
            "type": self._text(record.type_code),
            "item": self._text(record.item),
            "name": self._text(record.name),
            "received_at": record.received_at,
            "venue_code": self._plain(record.venue_code),
            "epoch": record.epoch,
            "sequence": record.sequence,
            "values": values,
        }
        return {**members, "extra": self._plain(record.extra)} if record.extra else members


def _plain_bytes(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _read_bytes(value: str | Mapping[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)


def _read_error(members: Mapping[str, Any] | None) -> KiwoomError | None:
    if members is None:
        return None
    cls, names = _ERRORS.get(members["error"], (KiwoomError, ("message",)))
    arguments = {name: members[name] for name in names if name in members}
    if "body" in arguments:
        arguments["body"] = _read_bytes(arguments["body"])
    if "last" in arguments:
        arguments["last"] = _read_error(arguments["last"])
    if "errors" in arguments:
        arguments["errors"] = tuple(map(_read_error, arguments["errors"]))
    positional = [arguments.pop(name) for name in names if name in arguments and name != "what"]
    return cls(*positional, **arguments)


def _read_row(members: Mapping[str, Any], types: _Types) -> Record:
    code, values = members["type"], members["values"]
    cls = types.get(code, Record)
    text = isinstance(values, str) or "base64" in values
    return cls(
        code,
        members["item"],
        members["name"],
        members["received_at"],
        _read_bytes(values) if text else msgspec.json.encode(values),
        members["venue_code"],
        members["epoch"],
        members["sequence"],
        members.get("extra"),
    )


def _read_request(members: Mapping[str, Any]) -> Request:
    keys = tuple((str(group), str(type), str(item)) for group, type, item in members["keys"])
    return Request(**{**members, "kind": RequestKind(members["kind"]), "keys": keys})


_RESTORE: dict[str, Callable[[Any], Any]] = {
    "header": lambda members: ResponseHeader(**members),
    "request": _read_request,
    "conditions": lambda conditions: tuple(Condition(each["seq"], each["name"]) for each in conditions),
    "symbols": lambda symbols: tuple(map(Symbol.parse, symbols)),
    "rows": lambda rows: tuple(_read_row(each, _CONDITION_ROWS) for each in rows),
    "results": lambda results: tuple(RecoveryResult(**{**each, "extent": Extent(each["extent"])}) for each in results),
    "payload": _read_bytes,
    "cause": _read_error,
    "error": lambda error: error if isinstance(error, str) else _read_error(error),
    "items": tuple,
    "retry_at": float,
    "delay": lambda seconds: seconds if seconds is None else float(seconds),
    "seconds": float,
}
"""Name of an attribute -> what restores its value; any other is as JSON has it."""


def _restored(name: str, value: Any, types: _Types) -> Any:
    if name in ("closed", "system"):
        return None if value is None else event_from_dict(value, types)
    if name in ("records", "missed"):
        return tuple(_read_row(each, types) for each in value)
    restore = _RESTORE.get(name)
    return value if restore is None else restore(value)

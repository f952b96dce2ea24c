"""TolerantDecoder: reads a payload that is not a well-formed message of rows. No input raises.

A bad row is reported beside its good neighbours, in order, with its exact bytes. So is a whole message that cannot be
understood.

The peer decides what is in a message, but must not decide how long the program stands still over it. So the work is
bounded, to about a tenth of a second for any 4 MiB: by the number of bad rows, by the bytes that must be read one
member at a time, by the brackets and strings that are visited one by one. If a bound is met, what was read until then
is kept, and the message is reported once, with all its bytes and with what was not read of it.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ..errors import UNREADABLE
from ..events import Numbering, SystemNotice, UnknownMessage
from ..realtime.record import Record
from ..secrets import Redaction
from .messages import KIND_OF, Ping, Reply

__all__ = ("CONDITIONS", "EXACT", "MAX_ROWS", "REPLIES", "Message", "Row", "TolerantDecoder")

Message: TypeAlias = Record | Ping | Reply | SystemNotice | UnknownMessage

MAX_ROWS = 32_768
"""Maximum rows in one message. A row has at least 0.15 kB, and comes with the others of the same 100 ms."""

REPORTED_BAD_ROWS = 16
"""Bad rows reported one by one; any more are reported together, with the message."""
MAX_BAD_ROWS = 4096
"""Bad rows after which no further row of a message, and of all that came with it in one read, is read."""

MAX_STRANGE = 384 * 1024
"""Bytes of a message's rows, without `values`, that are read one member at a time because something in them is wrong or
new. Each takes about 0.1 µs."""
MAX_STRANGE_IN_ONE = 65_536
"""The same for one row, and for the message without its rows."""

MAX_REPLY = 1024 * 1024
"""Bytes of a message other than REAL: every str in it is searched for secrets. A search that finds 4,000 stocks has
0.8 MB."""
MAX_VALUES = 65_536
"""Values in such a message, by its commas and brackets."""
MAX_COMMAS = 524_288
"""Commas up to which a list is parsed as a whole. 4 MiB of good rows have no more."""
MAX_ESCAPES = 262_144
"""Backslashes in a message up to which rows are searched one token at a time."""
MAX_TOKENS = 65_536
"""Tokens (members, strings, commas, brackets) that are visited one by one to find rows in malformed JSON, not counting
those of good rows, or nearly good ones."""

EXACT = ("data", "next_key")
"""Members of a reply to a condition request that a program needs unchanged: the rows, and the key of the next page."""
MAX_CODE = 7
"""Maximum length of a code that is never taken for a secret: "R10001"."""

REPLIES = frozenset({"LOGIN", *KIND_OF})
"""The `trnm` of every answer to a request."""
CONDITIONS = frozenset(trnm for trnm, kind in KIND_OF.items() if kind.is_condition)


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A row in which nothing is wrong or unknown."""

    # Members in the order that was measured; see values.py for why that matters.
    values: msgspec.Raw
    type: str
    item: str = ""  # no element of a response is required, says the official page
    name: str = ""
    stexTp: str = ""


NULL, NOTHING, NO_FIDS = (msgspec.Raw(text) for text in (b"null", b"", b"{}"))


class _Head(msgspec.Struct, gc=False):
    """The members that all messages share; any other is skipped."""

    trnm: msgspec.Raw = NULL
    data: msgspec.Raw = NULL


class _Values(msgspec.Struct, gc=False):
    """The values of a row; any other member is skipped."""

    values: msgspec.Raw = NOTHING


_head = msgspec.json.Decoder(_Head)
_values = msgspec.json.Decoder(_Values)
_row = msgspec.json.Decoder(Row)
_any = msgspec.json.Decoder()
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_only_text = msgspec.json.Decoder(tuple[str])

_ROW_TEXTS = ("type", "item", "name", "stexTp")


class TolerantDecoder:
    """The tolerant path of a `MessageDecoder`.

    Args:
        class_of: type code, default -> class of its rows.
        numbering: where rows and reports get their numbers.
        redaction: what to mask in everything but rows.
    """

    def __init__(
        self, class_of: Callable[[str, type[Record]], type[Record]], numbering: Numbering, redaction: Redaction
    ) -> None:
        self._class_of = class_of
        self._numbering = numbering
        self._redaction = redaction
        self._bad_rows_left = MAX_BAD_ROWS

    def start_read(self) -> None:
        """Restart the count of bad rows: what follows came in another read."""
        self._bad_rows_left = MAX_BAD_ROWS

    def decode(self, payload: bytes, received_at: int) -> list[Message]:
        """Return what a payload says, in its order. Never raises."""
        return [self._numbered(message) for message in self._read(payload, received_at)]

    def _read(self, payload: bytes, received_at: int) -> list[Message]:
        rest, rows = payload, None
        try:
            head = _head.decode(payload)
        except msgspec.ValidationError:
            return [UnknownMessage(payload, f"a JSON {_json_type(payload)} where a message object belongs")]
        except UNREADABLE as error:
            # One row may make the whole message unreadable: nested too deeply, half a surrogate pair.
            found = _find_rows(payload)
            if found is None:
                return [UnknownMessage(payload, f"not a JSON text: {_describe(error)}")]
            head, rest, rows = found
        trnm = _string(head.trnm)
        if trnm == "PING":
            return [Ping(payload)]
        if trnm == "REAL":
            return self._read_real(payload, rest, head, rows, received_at)
        if trnm == "SYSTEM" or trnm in REPLIES:
            if rows is not None and trnm != "SYSTEM":
                return [UnknownMessage(payload, f"{trnm}: data cannot be read")]
            return [self._read_reply(payload, rest, trnm)]
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            return [UnknownMessage(payload, _describe(error))]
        return [UnknownMessage(payload, "no trnm" if head.trnm == NULL else "unknown trnm")]

    def _read_reply(self, payload: bytes, rest: bytes, trnm: str) -> Reply | SystemNotice | UnknownMessage:
        """Return what a message without rows says, a reply or a SYSTEM message, from what can be read of it."""
        if len(rest) > MAX_REPLY:
            return UnknownMessage(payload, f"{trnm}: more than {MAX_REPLY:,} bytes")
        if sum(map(rest.count, (b",", b"[", b"{"))) > MAX_VALUES:
            return UnknownMessage(payload, f"{trnm}: more than {MAX_VALUES:,} values")
        try:
            members: dict[str, Any] = _any.decode(rest)
        except UNREADABLE:
            try:
                members = {key: _value(value) for key, value in _members.decode(rest).items()}
            except UNREADABLE as error:
                return UnknownMessage(payload, f"{trnm}: {_describe(error)}")
        del members["trnm"]
        # Documented are return_code and return_msg. A SYSTEM message has code and message [measured]: accept both.
        code = _first(members, "return_code", "code")
        text = _first(members, "return_msg", "message")
        if code is None:
            code = 0  # condition-search replies come without one
        if isinstance(code, bool) or not isinstance(code, int | str):
            return UnknownMessage(payload, f"{trnm}: return_code is neither a number nor a text")
        redaction = self._redaction
        code = str(code).strip()
        code = (redaction.words(code) if len(code) > MAX_CODE else code) or "0"
        text = redaction.words(text) if isinstance(text, str) else ""
        members = redaction.reply(members, EXACT if trnm in CONDITIONS else ())
        return SystemNotice(code, text, members) if trnm == "SYSTEM" else Reply(trnm, code, text, members)

    def _read_real(
        self, payload: bytes, rest: bytes, head: _Head, rows: _Rows | None, received_at: int
    ) -> list[Message]:
        """Return what a REAL message says, each row on its own.

        Args:
            payload: the message.
            rest: the same, or the same without what stands in its list of rows.
            head: what `rest` says.
            rows: what stands there; None: `head` has it.
            received_at: when it was received.
        """
        data = bytes(head.data)
        if rows is None:
            kind = _json_type(data)
            if kind not in ("list", "object"):
                return [UnknownMessage(payload, f"REAL: data is {kind} where a list of rows belongs")]
            # An object in place of the list is read as one row.
            rows = _split(data) if kind == "list" else _Rows([data], True)
        unread: list[str] = []
        members: dict[str, Any] = {}
        if len(rest) - len(data) > MAX_STRANGE_IN_ONE:
            unread.append(f"more than {MAX_STRANGE_IN_ONE:,} bytes beside the rows")
        else:
            try:
                found = _members.decode(rest)
                members = {key: _value(value) for key, value in found.items() if key not in ("trnm", "data")}
                members = self._redaction.extra(members)
            except UNREADABLE as error:
                unread.append(f"what stands beside the rows: {_describe(error)}")
        messages = self._read_rows(rows, members, received_at, unread)
        if unread:
            messages.append(UnknownMessage(payload, f"REAL: {'; '.join(unread)}"))
        return messages

    def _read_rows(self, rows: _Rows, members: dict[str, Any], received_at: int, unread: list[str]) -> list[Message]:
        """Read rows, and append to `unread` what is not read of them, or not reported one by one."""
        messages: list[Message] = []
        bad = strange = 0
        for index, raw in enumerate(rows.found):
            bound = _bound_met(index, self._bad_rows_left, strange)
            if bound:
                unread.append(f"more than {bound}, nothing was read from data[{index}] on")
                break
            row = bytes(raw)
            try:
                plain = _row.decode(row)
            except UNREADABLE:
                message, size = self._read_strange(row, index, members, received_at)
                strange += size
                if isinstance(message, UnknownMessage):
                    bad += 1
                    self._bad_rows_left -= 1
                    if bad > REPORTED_BAD_ROWS:
                        continue
                messages.append(self._numbered(message))  # here, to keep the order of its rows
            else:
                messages.append(self._record(plain, received_at, members))
        else:
            if not rows.is_complete:
                unread.append(f"the end of data[{len(rows.found)}] is too far away, nothing was read from there on")
        if bad > REPORTED_BAD_ROWS:
            unread.insert(0, f"{bad} bad rows, {REPORTED_BAD_ROWS} reported one by one")
        return messages

    def _read_strange(
        self, raw: bytes, index: int, envelope: dict[str, Any], received_at: int
    ) -> tuple[Record | UnknownMessage, int]:
        """Read a row in which something is wrong or unknown. Also returns how many bytes were read by members."""
        try:
            if len(raw) > MAX_STRANGE_IN_ONE and len(raw) - len(_values.decode(raw).values) > MAX_STRANGE_IN_ONE:
                error = f"REAL: data[{index}] has more than {MAX_STRANGE_IN_ONE:,} bytes beside its values"
                return UnknownMessage(raw, error), 0
            members = _members.decode(raw)
        except UNREADABLE:
            return UnknownMessage(raw, f"REAL: data[{index}] is no object that can be read"), 0
        values = members.pop("values", NOTHING)
        size = len(raw) - len(values)
        texts: dict[str, str] = {}
        own: dict[str, Any] = {}  # also what is not a str but read as one, so that nothing is lost
        for key, value in members.items():
            if key in _ROW_TEXTS and (text := _string(value)) is not None:
                texts[key] = text
                continue
            own[key] = _value(value)
            if key == "item" and not _is_utf8(value):
                return UnknownMessage(raw, f"REAL: data[{index}] has an item that is not UTF-8"), size
            if key in ("type", "item", "name") and (text := _string_of_list(value)) is not None:
                texts[key] = text
        own = own and self._redaction.extra(own)
        # Neither item nor name is required [official page]; an order also names its stock in FID 9001.
        if "type" not in texts:
            return UnknownMessage(raw, f"REAL: data[{index}] has no type"), size
        if not bytes(values) and "item" not in texts:
            return UnknownMessage(raw, f"REAL: data[{index}] has neither values nor an item"), size
        # The members of the message are shared between its rows: copied, they would multiply.
        extra = ChainMap(own, envelope) if own and envelope else own or envelope
        return self._record(Row(values if bytes(values) else NO_FIDS, **texts), received_at, extra), size

    def _record(self, row: Row, received_at: int, extra: Mapping[str, Any]) -> Record:
        numbering = self._numbering
        numbering.sequence += 1
        cls = self._class_of(row.type, Record)
        numbers = numbering.epoch, numbering.sequence
        return cls(row.type, row.item, row.name, received_at, bytes(row.values), row.stexTp, *numbers, extra or None)

    def _numbered(self, message: Message) -> Message:
        if isinstance(message, SystemNotice | UnknownMessage) and not message.sequence:
            return self._numbering.stamp(message)
        return message


def _bound_met(rows: int, bad_rows_left: int, strange: int) -> str:
    """Return which bound of a message's rows is met, after so many rows; "" if none is."""
    if rows == MAX_ROWS:
        return f"{MAX_ROWS:,} rows"
    if not bad_rows_left:
        return f"{MAX_BAD_ROWS:,} rows that cannot be read"
    if strange > MAX_STRANGE:
        return f"{MAX_STRANGE:,} bytes of rows with something wrong or unknown in them"
    return ""


# Finding rows.


class _Rows(NamedTuple):
    """The elements of a list of rows, and whether these are all of them."""

    found: Sequence[bytes | msgspec.Raw]
    is_complete: bool


# Loops are unrolled, which halves the time. A string without an end takes all the rest: none is looked for twice.
_STRING = rb'"[^"\\]*+(?:"|(?:\\.[^"\\]*+)++(?:"|\\?\Z)|\Z)'


def _nested(levels: int) -> bytes:
    """Return the pattern of an object, or list, with at most so many levels."""
    inner = rb"|" + _nested(levels - 1) if levels > 1 else b""
    return rb'[\[{][^]\[{}"]*+(?:(?:' + _STRING + inner + rb')[^]\[{}"]*+)*+[\]}]'


# An element of a list, if it has no more levels than a row; and what is looked at one by one where it has.
_element = re.compile(rb'[^]\[{}",]*+(?:(?:' + _STRING + rb"|" + _nested(3) + rb')[^]\[{}",]*+)*+', re.DOTALL).match
_tokens = re.compile(_nested(3) + rb"|" + _STRING + rb"|[\[{]++|[\]}]++|,", re.DOTALL).finditer
_start_of_data = re.compile(rb'\s*"data"\s*:\s*\[').match
COMMA = ord(",")
OPENING, CLOSING = b"[{", b"]}"


def _split(data: bytes) -> _Rows:
    """Split a list of rows."""
    if data.count(b",") <= MAX_COMMAS:
        try:
            return _Rows(_list.decode(data), True)
        except UNREADABLE:  # at another depth of the program's it could be read
            pass
    found, end = _Cutter(data).cut(data.index(b"[") + 1)
    return _Rows(found, end is not None)


def _find_rows(payload: bytes) -> tuple[_Head, bytes, _Rows] | None:
    """Cut the rows out of a message without parsing them, so that a bad one does not spoil its neighbours.

    Returns:
        What the message says without them, that message, and the rows; None if it is not such a message.
    """
    cutter = _Cutter(payload)
    position = payload.find(b"{") + 1
    while (data := _start_of_data(payload, position)) is None:
        end = cutter.end_of(position)
        if end is None or payload[end] != COMMA:
            return None
        position = end + 1
    start = data.end()
    found, end = cutter.cut(start)
    # Where the end was not reached: the last list of a message is that of its rows, as measured.
    rest = payload[:start] + payload[max(start, payload.rfind(b"]")) if end is None else end :]
    try:
        return _head.decode(rest), rest, _Rows(found, end is not None)
    except UNREADABLE:
        return None


class _Cutter:
    """Cuts JSON into the elements of a list, or of an object, whatever they contain."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._tokens_left = MAX_TOKENS if text.count(b"\\") <= MAX_ESCAPES else 0

    def cut(self, start: int) -> tuple[list[bytes], int | None]:
        """Return the elements from here on, and where they end; None if that is too far away."""
        found: list[bytes] = []
        while len(found) <= MAX_ROWS:
            end = self.end_of(start)
            if end is None:
                break
            found.append(self._text[start:end].strip())
            if self._text[end] != COMMA:
                return found, end
            start = end + 1
        return found, None

    def end_of(self, start: int) -> int | None:
        """Return the position of the comma or bracket that ends an element; None if there is none, or too far away."""
        if not self._tokens_left:
            return None
        self._tokens_left -= 1
        text = self._text
        match = _element(text, start)
        assert match is not None  # it may be empty
        end = match.end()
        if text[end : end + 1] in (b",", b"]", b"}") or end == len(text):
            return end if end < len(text) else None
        depth = 0
        for token in islice(_tokens(text, end), self._tokens_left):
            self._tokens_left -= 1
            first, last = text[token.start()], text[token.end() - 1]
            size = token.end() - token.start()
            if first in CLOSING:
                if size > depth:
                    return token.start() + depth
                depth -= size
            elif first == COMMA and not depth:
                return token.start()
            elif first in OPENING and last in OPENING:
                depth += size
        return None


# Members.


def _first(members: dict[str, Any], *names: str) -> Any:
    """Pop the first of these members that is present and not null."""
    for name in names:
        value = members.pop(name, None)
        if value is not None:
            return value
    return None


def _value(raw: msgspec.Raw | bytes) -> Any:
    """Decode one member. What Python cannot represent (1e999, half a surrogate pair) stays a str."""
    try:
        return _any.decode(raw)
    except UNREADABLE:
        return bytes(raw).decode(errors="replace")


def _string(raw: msgspec.Raw) -> str | None:
    try:
        return _text.decode(raw)
    except UNREADABLE:
        return None


def _string_of_list(raw: msgspec.Raw) -> str | None:
    """Return the only str in a list, which is how items and types are registered."""
    try:
        return _only_text.decode(raw)[0]
    except UNREADABLE:
        return None


def _is_utf8(raw: msgspec.Raw) -> bool:
    try:
        bytes(raw).decode()
    except UnicodeDecodeError:
        return False
    return True


def _describe(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return str(error)


_JSON_TYPES = {b"{": "object", b"[": "list", b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null"}


def _json_type(raw: bytes) -> str:
    """Return the JSON type of a value, judging by how it starts."""
    return _JSON_TYPES.get(raw.lstrip()[:1], "number")

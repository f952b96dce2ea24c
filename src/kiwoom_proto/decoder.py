"""MessageDecoder: one text payload -> what it says. The hot path.

Nearly every message is one row, and all that it says beside the row's `values` (which type, which item) it said before:

    {"data":[{"values":{"20":"165208","10":"-20800", ...},"type":"0B","name":"주식체결","item":"005930"}],"trnm":"REAL"}
    '------ opening -----'                                '------------------------- tail -------------------------'

So `take_rows` cuts a message at its first brace that closes, and looks up in a dictionary what opening and tail mean.
Only those met for the first time are parsed, with nothing between the braces. `values` stay encoded; see `record`.

Everything else takes the other ways. Well-formed REAL messages of several rows, or with other texts than ASCII in them,
are parsed whole. What is no such message is taken apart by hand: a bad row is reported beside its good neighbours, in
order, with its exact bytes, and so is a whole message that says nothing intelligible. No input raises.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from .events import Numbering, SystemNotice, UnknownMessage
from .messages import Ping, Reply
from .realtime import REALTIME
from .record import Record
from .secrets import Redaction
from .values import UNREADABLE

__all__ = ("Message", "MessageDecoder")

Message: TypeAlias = Record | Ping | Reply | SystemNotice | UnknownMessage
_Kind: TypeAlias = tuple[bytes, int, type[Record], str, str, str]
_Envelope: TypeAlias = tuple[_Kind, str]

MAX_ENVELOPES = 16_384
"""Openings and tails that are remembered: as many as items are registered, times types. A connection has 200 items."""

MAX_ENVELOPE_BYTES = 2 * 1024 * 1024
"""Bytes of all these together. With what is made of them they take some 8 MB at the very most."""

LONGEST = 256
"""Bytes of an opening or a tail; longer ones hold more than the ends of a row and of its message."""

MAX_BAD_ROWS = 16
"""Bad rows reported one by one; in a message with more of them, those after are reported as one, with the message."""

MAX_CODE = 7
"""Characters that a code of the server's may have without being taken for a secret: "R10001"."""

REPLIES = frozenset(
    {"LOGIN", "REG", "REMOVE"} | {f"{market}CNSR{what}" for market in ("", "G") for what in ("LST", "REQ", "CLR")}
)
"""The `trnm` of every answer to a request."""


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    # Members in the order that was measured; see values.py for why that matters.
    values: msgspec.Raw
    type: str
    item: str = ""  # no element of a response is required, says the official page
    name: str = ""
    stexTp: str = ""


class _Real(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    data: list[_Row]
    trnm: str


_any = msgspec.json.Decoder()
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_only_text = msgspec.json.Decoder(tuple[str])

_ROW_TEXTS = ("type", "item", "name", "stexTp")


class MessageDecoder:
    """Decodes text payloads as they come from the WebSocket, or from a recording.

    Arguments:
        types: type code -> class; the whole catalogue unless said otherwise. Other types give plain `Record`s.
        numbering: what rows get their numbers from; its own unless given.
        redaction: what is masked in whatever is no row: what looks like a secret, unless more is known.
    """

    def __init__(
        self,
        types: Mapping[str, type[Record]] = REALTIME,
        numbering: Numbering | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self._redaction = Redaction() if redaction is None else redaction
        self._class_of = dict(types).get
        self._numbering = Numbering(0) if numbering is None else numbering
        self._real = msgspec.json.Decoder(_Real).decode
        # The tail, or opening and tail -> what a record needs: the item, and what it has in common with all other items
        # (the opening with its brace, where that stands, class, type, name, venue), which is then in the CPU's cache.
        self._envelopes: dict[bytes, _Envelope] = {}
        self._envelopes_by_both: dict[bytes, _Envelope] = {}
        self._kinds: dict[_Kind, _Kind] = {}
        self._envelope_bytes = 0

    def decode(self, payload: bytes | str, received_at: int = 0) -> list[Message]:
        """Return what a payload says, in its order: a record per row, or the one message that it is.

        Arguments:
            payload: one whole text message, UTF-8.
            received_at: when it was received, nanoseconds since the epoch; 0: unknown.
        """
        if type(payload) is not bytes:
            payload = payload.encode(errors="surrogatepass") if isinstance(payload, str) else bytes(payload)
        # What `take_rows` does, for one: without a loop and a second call it takes a quarter less.
        start, _, tail = payload.partition(b"}")
        envelope = self._envelopes.get(tail) if len(tail) <= LONGEST else None
        if envelope is not None and start.startswith(envelope[0][0]) and start.isascii():
            (_, brace, cls, type_code, name, venue_code), item = envelope
            values = payload[brace : len(start) + 1]
            numbering = self._numbering
            numbering.sequence = sequence = numbering.sequence + 1
            return [cls(type_code, item, name, received_at, values, venue_code, numbering.epoch, sequence)]
        messages: list[Message] = []
        if self.take_rows((payload,), received_at, messages) is None:
            return messages
        rows: list[Message] | None = self.decode_rows(payload, received_at)  # type: ignore[assignment]  # list is invariant
        return self.decode_other(payload, received_at) if rows is None else rows

    def take_rows(self, payloads: Iterable[bytes], received_at: int, messages: list[Any]) -> bytes | None:
        """Append the records of messages of one row each, up to the first message that is none; return that one, which
        is for `decode_rows` or else `decode_other`, or None at the end. Messages taken are valid UTF-8.
        """
        envelopes = self._envelopes
        numbering = self._numbering
        epoch, sequence = numbering.epoch, numbering.sequence
        for payload in payloads:
            start, _, tail = payload.partition(b"}")
            if len(tail) > LONGEST:
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
        """What this is that the tail alone does not tell; None: not a row in its message."""
        if b"{" in tail:
            return None  # another row follows, a very short one
        brace = start.find(b"{", start.find(b'"values"'))
        if brace >= LONGEST:
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
        kind = opening, brace, cls, row.type, row.name, row.stexTp
        envelope = self._kinds.setdefault(kind, kind), row.item
        size = len(opening) + len(tail)
        count = len(self._envelopes) + len(self._envelopes_by_both)
        if count >= MAX_ENVELOPES or self._envelope_bytes + size > MAX_ENVELOPE_BYTES:
            self._envelopes.clear()
            self._envelopes_by_both.clear()
            self._kinds.clear()
            self._envelope_bytes = 0
        self._envelope_bytes += size
        if len(tail) > len(opening) and tail not in self._envelopes:
            self._envelopes[tail] = envelope
        else:  # documented is the other order, with the values last, and all tails are the same
            self._envelopes_by_both[opening + tail] = envelope
        return envelope

    def decode_rows(self, payload: bytes, received_at: int) -> list[Record] | None:
        """Return the records of a well-formed REAL message of any number of rows; None for everything else."""
        try:
            real = self._real(payload)
        except UNREADABLE:
            return None
        if real.trnm != "REAL":
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

    def decode_other(self, payload: bytes, received_at: int) -> list[Message]:
        """Return what any other payload says; never raises."""
        return [self._numbered(message) for message in self._take_apart(payload, received_at)]

    def _take_apart(self, payload: bytes, received_at: int) -> list[Message]:
        rows: list[bytes] | None = None
        try:
            members = _members.decode(payload)
        except msgspec.ValidationError:
            return [UnknownMessage(payload, f"a JSON {_json_type(payload)} where a message object belongs")]
        except UNREADABLE as error:
            # One row may have spoilt it for all: nested too deeply, half a surrogate pair.
            split = split_rows(payload)
            if split is None:
                return [UnknownMessage(payload, f"not a JSON text: {_describe(error)}")]
            members, rows = split
        trnm = _value(members.pop("trnm", b"null"))
        if trnm == "PING":
            return [Ping(payload)]
        if trnm == "REAL":
            return self._decode_real(payload, members, rows, received_at)
        if trnm == "SYSTEM":
            return [self._system(payload, members)]
        if isinstance(trnm, str) and trnm in REPLIES:
            if rows is not None:
                return [UnknownMessage(payload, f"{trnm}: data cannot be read")]
            return [self._reply(payload, trnm, members)]
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            return [UnknownMessage(payload, _describe(error))]
        return [UnknownMessage(payload, "no trnm" if trnm is None else "unknown trnm")]

    def _reply(self, payload: bytes, trnm: str, members: dict[str, msgspec.Raw]) -> Reply | UnknownMessage:
        # Documented: return_code and return_msg. Taken as well: the names a SYSTEM message uses for the same two.
        code = _first(members, "return_code", "code")
        text = _first(members, "return_msg", "message")
        if code is None:
            code = 0  # condition-search replies come without one
        if isinstance(code, bool) or not isinstance(code, int | str):
            return UnknownMessage(payload, f"{trnm}: return_code is neither a number nor a text")
        redaction = self._redaction
        code = str(code).strip()
        return Reply(
            trnm,
            (redaction.words(code) if len(code) > MAX_CODE else code) or "0",
            redaction.words(text) if isinstance(text, str) else "",
            redaction.reply({key: _value(value) for key, value in members.items()}),
        )

    def _system(self, payload: bytes, members: dict[str, msgspec.Raw]) -> SystemNotice | UnknownMessage:
        reply = self._reply(payload, "SYSTEM", members)
        return SystemNotice(reply.code, reply.message, reply.members) if isinstance(reply, Reply) else reply

    def _decode_real(
        self, payload: bytes, members: dict[str, msgspec.Raw], rows: list[bytes] | None, received_at: int
    ) -> list[Message]:
        """The tolerant way through a REAL message: each row on its own."""
        data = bytes(members.pop("data", b"null"))
        if rows is None:
            kind = _json_type(data)
            if kind not in ("list", "object"):
                return [UnknownMessage(payload, f"REAL: data is {kind} where a list of rows belongs")]
            # An object is one row where a list of rows belongs.
            rows = [bytes(row) for row in _rows.decode(data)] if kind == "list" else [data]
        envelope = self._redaction.extra({key: _value(value) for key, value in members.items()})
        result: list[Message] = []
        bad = 0
        for index, row in enumerate(rows):
            decoded = self._decode_row(row, index, envelope, received_at)
            if isinstance(decoded, UnknownMessage):
                bad += 1
                if bad > MAX_BAD_ROWS:
                    continue
            result.append(self._numbered(decoded))  # here, to keep the order of its rows
        if bad > MAX_BAD_ROWS:
            result.append(UnknownMessage(payload, f"REAL: {bad} bad rows, {MAX_BAD_ROWS} reported one by one"))
        return result

    def _numbered(self, message: Message) -> Message:
        if isinstance(message, SystemNotice | UnknownMessage) and not message.sequence:
            return self._numbering.stamp(message)
        return message

    def _decode_row(
        self, raw: bytes, index: int, envelope: dict[str, Any], received_at: int
    ) -> Record | UnknownMessage:
        try:
            members = _members.decode(raw)
        except UNREADABLE:
            return UnknownMessage(raw, f"REAL: data[{index}] is no object that can be read")
        values = bytes(members.pop("values", b""))
        texts: dict[str, str] = {}
        own: dict[str, Any] = {}  # what is no text as well where it is read as one: nothing is lost
        for key, value in members.items():
            if key in _ROW_TEXTS and (text := _string(value)) is not None:
                texts[key] = text
                continue
            own[key] = _value(value)
            if key == "item" and not _is_utf8(value):
                return UnknownMessage(raw, f"REAL: data[{index}] has an item that is not UTF-8")
            if key in ("type", "item", "name") and (text := _string_of_list(value)) is not None:
                texts[key] = text
        own = own and self._redaction.extra(own)
        # Neither item nor name is required [official page], and an order names its stock in FID 9001 too.
        if "type" not in texts:
            return UnknownMessage(raw, f"REAL: data[{index}] has no type")
        if not values and "item" not in texts:
            return UnknownMessage(raw, f"REAL: data[{index}] has neither values nor an item")
        self._numbering.sequence += 1
        return self._class_of(texts["type"], Record)(
            texts["type"],
            texts.get("item", ""),
            texts.get("name", ""),
            received_at,
            values or b"{}",
            texts.get("stexTp", ""),
            self._numbering.epoch,
            self._numbering.sequence,
            # The message's own members are shared between its rows: copied, they would multiply.
            (ChainMap(own, envelope) if own and envelope else own or envelope) or None,
        )


# A string that does not end takes everything up to the end, so that no token is looked for twice.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[][{},]', re.DOTALL)


def split_rows(payload: bytes) -> tuple[dict[str, msgspec.Raw], list[bytes]] | None:
    """Cut the rows out of a message without parsing them, so that one that cannot be parsed does not take its
    neighbours along. Returns the message's other members, and the rows; None where it is not such a message."""
    depth = 0
    first = start = -1
    text = b""  # the last string seen in the message object itself
    rows: list[bytes] = []
    for token in _TOKEN.finditer(payload):
        what = token[0]
        if what in b"[{":
            depth += 1
            if depth == 2 and what == b"[" and text == b'"data"':
                first = start = token.end()
        elif what in b"]}":
            depth -= 1
        elif depth == 1:
            text = what
        if start >= 0 and (depth == 1 or (depth == 2 and what == b",")):
            rows.append(payload[start : token.start()].strip())
            start = token.end()
            if depth == 1:
                try:
                    return _members.decode(payload[:first] + payload[token.start() :]), rows
                except UNREADABLE:
                    return None
    return None


def _first(members: dict[str, msgspec.Raw], *names: str) -> Any:
    """Take the first of these members that is there and not null."""
    for name in names:
        value = _value(members.pop(name, b"null"))
        if value is not None:
            return value
    return None


def _value(raw: msgspec.Raw | bytes) -> Any:
    """Decode one member; what Python cannot hold (1e999, half a surrogate pair) stays the text that it was."""
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
    """The text that stands alone in a list, as items and types do where they are registered."""
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
    """What kind of JSON value this is, going by how it begins."""
    return _JSON_TYPES.get(raw.lstrip()[:1], "number")

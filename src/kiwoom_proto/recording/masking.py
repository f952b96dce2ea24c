r"""What is masked in a message that is recorded: account numbers, tokens and keys. Everything else stays byte for byte.

    received, rows        the FIDs with account numbers ("9201", and those that a record class declares as such) of each
                          row; beside the values of rows, personal members and account numbers; the secrets in use
    received, any other   as `secrets` masks what a server says: personal members, account numbers, opaque words, the
                          secrets in use. Of a reply to a condition request, its rows and the key of the next page
                          keep all but personal members and the secrets in use
    sent                  as any other

A message that is longer than `MAX_WALK`, and may hold something to mask, is masked as a whole: a text says so in its
place. (Rows that hold nothing to mask are kept however long they are.)

A value is found by its name, however that is spelt ("\u0039201"), also in a message that is not well-formed JSON.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from ..errors import UNREADABLE
from ..realtime import REALTIME
from ..realtime.record import Record
from ..secrets import MASK, PERSONAL_FIDS, Redaction, Secret, conceal, is_personal
from ..wire.tolerant import CONDITIONS, EXACT, Row

__all__ = ("MAX_WALK", "Masking")

MAX_WALK = 512 * 1024
"""Bytes of a message that are searched token by token, at two microseconds a byte at worst. Real messages have less."""
_PING = b'{"trnm":"PING"}'
_MASKED = b'"%b"' % MASK.encode()
_RARE = b"QZXJqzxjVWUYGvwkfghbGMOFPcSI_-"
"""Characters that market data seldom has, the most seldom first. Of a secret with one of them, it is searched first."""
_ROW_TEXTS = ("type", "item", "name", "stexTp", "trnm")
_is_fid = re.compile(r"[0-9]{1,6}").fullmatch
_is_number = re.compile(rb"-?([0-9]+)(?:\.0*)?((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)").fullmatch
_TOKEN = re.compile(
    rb"""
    (?P<name> "(?:[^"\\]++|\\.)*+" (?=[ \t\r\n]*+:) )
    | (?P<text> "(?:[^"\\]++|\\.)*+"? )
    | (?P<open> [\[{] )
    | (?P<close> [\]}] )
    | (?P<other> [^][{}",:\s]++ )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Head(msgspec.Struct, gc=False):
    trnm: str


class _Rows(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: list[Row]
    trnm: str


_head = msgspec.json.Decoder(_Head)
_rows = msgspec.json.Decoder(_Rows)


class Masking:
    """Masks what is recorded.

    Args:
        secrets: the tokens and keys in use. None is ignored.
        accounts: whether FIDs with account numbers are masked in rows. Everywhere else they always are.
        types: type code -> class: which FIDs hold account numbers.
    """

    def __init__(
        self,
        secrets: Iterable[Secret | str | None] = (),
        *,
        accounts: bool = True,
        types: Mapping[str, type[Record]] = REALTIME,
    ) -> None:
        self._redaction = Redaction()
        self._secrets: dict[Secret, tuple[bytes, bytes]] = {}  # its bytes, and one of them that is searched for first
        self._fids = PERSONAL_FIDS if accounts else frozenset[str]()
        self._fids_of: dict[bytes, frozenset[str]] = {}  # of types with others than these
        if accounts:
            for code, cls in types.items():
                declared = frozenset(field.fid for field in cls.fields.values() if field.kind.masked)
                if not declared <= PERSONAL_FIDS:
                    self._fids_of[code.encode()] = declared
        names = [b'"%b"' % fid.encode() for fid in sorted(self._fids.union(*self._fids_of.values()))]
        self._names = tuple((name, re.compile(name + rb"[ \t\r\n]*+:").search) for name in names)
        self.add(*secrets)

    def add(self, *secrets: Secret | str | None) -> None:
        """Mask these as well."""
        for secret in secrets:
            if secret:
                hidden = conceal(secret)
                content = hidden.reveal().encode(errors="surrogatepass")
                rare = next((bytes((char,)) for char in _RARE if char in content), content)
                self._secrets[hidden] = content, rare
                self._redaction.add(hidden)

    def concerns(self, rows: bytes) -> bool:
        r"""Return whether there may be something to mask in rows. Fast, for many messages at once.

        Args:
            rows: well-formed messages, with anything between them, and with nothing unknown beside the rows' values.
        """
        # A backslash: names and secrets may be spelt as in "\u0039201". From the end, because CPython then takes 0.6 of
        # the time to find that a name is not among digits.
        return (
            b"\\" in rows
            or any(rows.rfind(name) >= 0 and is_name_in(rows) is not None for name, is_name_in in self._names)
            or any(rare in rows and content in rows for content, rare in self._secrets.values())
        )

    def received(self, payload: bytes) -> bytes:
        """Return a message of the server as it may be recorded."""
        if payload == _PING:
            return payload
        trnm = _trnm(payload)
        if trnm != "REAL":
            return _Walk(payload, self._redaction, exact=EXACT if trnm in CONDITIONS else ()).masked()
        if not self.concerns(payload) and _is_plain(payload):
            return payload
        fids = self._fids.union(*(fids for code, fids in self._fids_of.items() if code in payload))
        return _Walk(payload, self._redaction, _Zone.ROW, fids=fids).masked()

    def sent(self, payload: bytes) -> bytes:
        """Return a message to the server as it may be recorded."""
        return payload if payload == _PING else _Walk(payload, self._redaction).masked()

    def text(self, text: str) -> str:
        """Return a text of an event as it may be recorded. The server's words were masked on entry.

        Only the secrets in use are looked for again: one may have become known since, or be another connection's.
        """
        return self._redaction.known(text)

    def values(self, values: bytes) -> bytes:
        """Return the values of a row within an answer as they may be recorded."""
        return _Walk(values, self._redaction, _Zone.EXACT).masked()


def _trnm(payload: bytes) -> str:
    """Return what a message is, as far as that can be seen."""
    try:
        return _head.decode(payload).trnm
    except UNREADABLE:
        return "REAL" if b'"REAL"' in payload else ""


def _is_plain(payload: bytes) -> bool:
    """Return whether a REAL message is well-formed, with nothing unknown beside the values of its rows."""
    try:
        _rows.decode(payload)
    except UNREADABLE:
        return False
    return True


class _Zone(enum.Enum):
    """Where a value stands, which decides what is masked in it beside the secrets in use."""

    WORDS = enum.auto()
    """Personal members, account numbers, opaque words."""
    EXACT = enum.auto()
    """Personal members."""
    ROW = enum.auto()
    """Personal members, account numbers."""
    VALUES = enum.auto()
    """FIDs with account numbers."""


class _Walk:
    """Walks through the tokens of a message, well-formed or not.

    Args:
        payload: the message.
        redaction: masks texts.
        zone: where the message stands.
        exact: names of the message's members whose values are EXACT.
        fids: FIDs with account numbers.
    """

    def __init__(
        self,
        payload: bytes,
        redaction: Redaction,
        zone: _Zone = _Zone.WORDS,
        *,
        exact: Collection[str] = (),
        fids: Collection[str] = (),
    ) -> None:
        self._payload = payload
        self._redaction = redaction
        self._exact = exact
        self._fids = fids
        # Of each container around a token: the name of its elements (of an object that of the present one), its zone.
        self._around: list[tuple[str, _Zone]] = [("", zone)]
        self._name = ""
        self._hidden = 0  # open containers within a value that is masked as a whole

    def masked(self) -> bytes:
        """Return the message with every other byte as it was."""
        payload, pieces, done = self._payload, list[bytes](), 0
        if len(payload) > MAX_WALK:
            return b'"%b: a message of %d bytes, too long to be masked"' % (MASK.encode(), len(payload))
        for found in _TOKEN.finditer(payload):
            was_hidden = self._hidden
            replaced = self._replaced(found.lastgroup, found[0])
            if replaced is not None:
                pieces += b"" if was_hidden else payload[done : found.start()], replaced
                done = found.end()
        if self._hidden:  # what is masked as a whole has no end
            done = len(payload)
        return b"".join((*pieces, payload[done:])) if pieces else payload

    def _replaced(self, kind: str | None, token: bytes) -> bytes | None:
        """Return what a token is replaced by; None if it stays."""
        if self._hidden:
            self._hidden += (kind == "open") - (kind == "close")
            return b""
        if kind == "close":
            if len(self._around) > 1:
                self._around.pop()
            self._name = self._around[-1][0]
            return None
        if kind == "name":
            self._name = _read(token)
            zone = self._around[-1][1]
            redaction = self._redaction
            return _masked_text(
                token, self._name, redaction.known if zone is _Zone.VALUES else redaction.without_accounts
            )
        name, zone = self._name, self._zone()
        self._name = self._around[-1][0]
        hides = name in self._fids if zone is _Zone.VALUES else is_personal(name)
        if kind == "open":
            if hides:
                self._hidden = 1
                return _MASKED
            self._name = name if token == b"[" else ""
            self._around.append((self._name, zone))
            return None
        if hides:
            return None if token in (b"null", b'""') else _MASKED
        mask = self._mask(zone, name, kind)
        if kind == "text":
            return _masked_text(token, _read(token), mask)
        number = _is_number(token)
        if number is None:  # not JSON
            return _changed(token, mask)
        return None if number[2] or _changed(number[1], mask) is None else _MASKED

    def _zone(self) -> _Zone:
        """Return where the value of the present name stands."""
        zone = self._around[-1][1]
        if zone is _Zone.ROW and self._name == "values":
            return _Zone.VALUES
        if zone is _Zone.WORDS and self._name in self._exact and len(self._around) == 2:
            return _Zone.EXACT
        return zone

    def _mask(self, zone: _Zone, name: str, kind: str | None) -> Callable[[str], str]:
        if zone is _Zone.WORDS:
            return self._redaction.words
        if zone is not _Zone.ROW:
            return self._redaction.known
        # Ten digits in a FID that stands beside a row's values are usually a turnover.
        fits = name in _ROW_TEXTS or (len(self._around) <= _ROW_DEPTH and _is_fid(name))
        return self._redaction.known if fits and kind == "text" else self._redaction.without_accounts


_ROW_DEPTH = 4
"""Containers around a member of a row: the message, its list of rows, the row; and what is around the message."""


def _read(token: bytes) -> str:
    """Return the text of a string token."""
    text = token.strip(b'"') if b"\\" not in token else token
    try:
        return text.decode() if text is not token else str(json.loads(token.decode(), strict=False))
    except ValueError:  # also of bytes that are not UTF-8
        return text.strip(b'"').decode(errors="surrogateescape")


def _masked_text(token: bytes, text: str, mask: Callable[[str], str]) -> bytes | None:
    """Return what a string token with this text is replaced by; None if there is nothing to mask."""
    if b"\\" not in token:
        return _changed(token, mask)
    masked = mask(text)
    return None if masked == text else json.dumps(masked).encode()


def _changed(token: bytes, mask: Callable[[str], str]) -> bytes | None:
    text = token.decode(errors="surrogateescape")
    masked = mask(text)
    return None if masked == text else masked.encode(errors="surrogateescape")

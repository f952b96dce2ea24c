"""The documented header elements, which travel as HTTP headers of the opening handshake.

Source: official page 0E, "Request / Header" and "Response / Header": api-id (10), authorization (1000), cont-yn (1),
next-key (50). On the WebSocket they were measured to make no difference, since only LOGIN logs in; so they are sent
when asked for, and the server's answer is handed over as it came.

Also what an HTTP refusal says beside its status: when to retry (Retry-After, RFC 9110, 10.2.3), and why.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import attrs
import msgspec

from .display import quoted
from .errors import UNREADABLE, LocalProtocolError
from .secrets import Redaction, Secret, conceal, redact

__all__ = (
    "LIMITS",
    "MAX_ANSWER",
    "MAX_PAGE",
    "MAX_SHOWN",
    "RequestHeader",
    "ResponseHeader",
    "check_header",
    "describe_page",
    "describe_redirect",
    "header_secrets",
    "read_retry_after",
    "read_words",
)

MAX_ANSWER = 65_536
"""Bytes of an HTTP answer that are read, head and body. Of a refusal the beginning is enough."""

MAX_SHOWN = 200
"""Characters of the server's words that an error about an HTTP answer shows."""

_json = msgspec.json.Decoder()
_TITLE = re.compile(rb"<title>\s*([^<\r\n]{1,1000})", re.IGNORECASE)
_TAGS = re.compile(rb"<(script|style)\b.*?(</\1\s*>|$)|<!--.*?(-->|$)|<[^>]*(>|$)", re.IGNORECASE | re.DOTALL)
MAX_PAGE = 4_000
"""Bytes of a page in which words are looked for."""

LIMITS = {"api-id": 10, "authorization": 1000, "cont-yn": 1, "next-key": 50}
"""Maximum length of each element, in characters."""


def check_header(name: str, value: object, *, required: bool = False) -> None:
    """Raise LocalProtocolError, naming the element and its limit, if `value` cannot be sent."""
    if value is None and not required:
        return
    if not isinstance(value, str | Secret) or not _text(value).strip():
        raise LocalProtocolError(f"{name}: must be a non-empty str")
    if len(value) > LIMITS[name]:
        raise LocalProtocolError(f"{name}: has {len(value)} characters, the limit is {LIMITS[name]}")
    if not (_text(value).isascii() and _text(value).isprintable()):
        shown = "" if isinstance(value, Secret) else f", not {value!r}"
        raise LocalProtocolError(f"{name}: must be printable ASCII{shown}")


def _text(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _concealed(value: str | Secret | None) -> Secret | None:
    return conceal(value)


@attrs.frozen(kw_only=True)
class RequestHeader:
    """Header elements of a request.

    Attributes:
        api_id: the API's name (TR명), "0E". Required, at most 10 characters.
        authorization: "Bearer " and the token, at most 1000 characters; kept as a `Secret`. None builds it from the
            token that `connect` gets.
        cont_yn: "Y" to continue an earlier answer (연속조회여부).
        next_key: where to continue (연속조회키), at most 50 characters.

    Raises:
        LocalProtocolError: an element is missing, too long, or not printable ASCII.
    """

    api_id: str = attrs.field()
    authorization: Secret | None = attrs.field(default=None, converter=_concealed)
    cont_yn: str | None = None
    next_key: str | None = None

    def __attrs_post_init__(self) -> None:
        check_header("api-id", self.api_id, required=True)
        check_header("authorization", self.authorization)
        if self.authorization is not None and not self.authorization.reveal().startswith("Bearer "):
            raise LocalProtocolError("authorization: must begin with 'Bearer '")
        check_header("cont-yn", self.cont_yn)
        check_header("next-key", self.next_key)

    def http_headers(self, token: str | Secret) -> list[tuple[str, str]]:
        """Return the HTTP headers to send, with `authorization` built from `token` if it is None.

        Raises:
            LocalProtocolError: the token makes `authorization` too long.
        """
        token = conceal(token)
        return [(name, _text(value)) for name, value in self.elements(token)]

    def elements(self, token: Secret) -> list[tuple[str, str | Secret]]:
        """As `http_headers`, with secrets still hidden."""
        authorization = self.authorization
        if authorization is None:
            authorization = Secret(f"Bearer {token.reveal()}")
        check_header("authorization", authorization)
        headers: list[tuple[str, str | Secret]] = [("api-id", self.api_id), ("authorization", authorization)]
        if self.cont_yn is not None:
            headers.append(("cont-yn", self.cont_yn))
        if self.next_key is not None:
            headers.append(("next-key", self.next_key))
        return headers

    @classmethod
    def from_http(cls, headers: Iterable[tuple[str, str]]) -> RequestHeader | None:
        """Return the elements of an opening handshake, or None if they are not valid (server side)."""
        found = {name.lower(): value for name, value in headers}
        try:
            return cls(
                api_id=found.get("api-id", ""),
                authorization=found.get("authorization"),
                cont_yn=found.get("cont-yn"),
                next_key=found.get("next-key"),
            )
        except LocalProtocolError:
            return None


@attrs.frozen(kw_only=True)
class ResponseHeader:
    """Header elements of the server's answer, as received but without secrets; None if absent.

    Attributes:
        api_id: the API's name (TR명).
        cont_yn: "Y" if there is more data.
        next_key: the key to request it with.
    """

    api_id: str | None = attrs.field(default=None, repr=quoted)
    cont_yn: str | None = attrs.field(default=None, repr=quoted)
    next_key: str | None = attrs.field(default=None, repr=lambda key: quoted(key and redact(key)))

    @classmethod
    def from_http(cls, headers: Iterable[tuple[str, str]], redaction: Redaction | None = None) -> ResponseHeader:
        """Return the elements among the HTTP headers of the answer to the opening handshake.

        Args:
            headers: names and values.
            redaction: what to mask in them.
        """
        redaction = Redaction() if redaction is None else redaction
        found = {name.lower(): value for name, value in headers}
        return cls(
            api_id=_masked(found.get("api-id"), redaction.words),
            cont_yn=_masked(found.get("cont-yn"), redaction.words),
            next_key=_masked(found.get("next-key"), redaction.known),
        )


def header_secrets(header: object, token: Secret) -> tuple[Secret, ...]:
    """Return what must be masked because of the header elements that a connection is to send.

    Raises:
        LocalProtocolError: `header` is neither None nor a `RequestHeader` that can be sent with this token.
    """
    if header is None:
        return ()
    if not isinstance(header, RequestHeader):
        raise LocalProtocolError(f"header: must be a RequestHeader, not {type(header).__name__}")
    header.elements(token)
    if header.authorization is None:
        return ()
    return (Secret(header.authorization.reveal().removeprefix("Bearer ")),)


def _masked(value: str | None, mask: Callable[[str], str]) -> str | None:
    return None if value is None else mask(value)


def read_retry_after(headers: Iterable[tuple[str, str]]) -> float | None:
    """Return the seconds that the server asks to wait; None if it does not, or not readably.

    A date is by the server's own clock, which its Date header shows.
    """
    values = {name.lower(): value.strip() for name, value in headers}
    text = values.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(values.get("date", ""))
    except (ValueError, TypeError, OverflowError, IndexError):  # no date, or one of the two without a zone
        return None
    return max(0.0, wait.total_seconds())


def describe_page(headers: Iterable[tuple[str, str]], body: bytes | bytearray) -> str | None:
    """Return the title of an HTML page, or else its first words, "" if there are none; None if it is not HTML."""
    kinds = [value for name, value in headers if name.lower() == "content-type"]
    if not any("html" in kind.lower() for kind in kinds) and b"<html" not in body[:1000].lower():
        return None
    begin = body[:MAX_PAGE]
    title = _TITLE.search(begin)
    words = title[1] if title else _TAGS.sub(b" ", begin)
    return " ".join(html.unescape(_korean(words)).split())


def _korean(text: bytes | bytearray) -> str:
    """Decode a text that may be cut, in either encoding that Korean pages have."""
    for encoding in ("utf-8", "cp949"):
        try:
            return codecs.getincrementaldecoder(encoding)().decode(text)
        except UnicodeDecodeError:
            pass
    return text.decode(errors="replace")


def describe_redirect(headers: Iterable[tuple[str, str]]) -> str:
    """Return where a redirection leads to: the host alone, for the rest may hold anything."""
    location = next((value for name, value in headers if name.lower() == "location"), "")
    try:
        host = urlsplit(location.strip()).hostname
    except ValueError:
        host = None
    where = f" to {host}" if host else ""
    return f"the server redirects{where}, which is not followed"


def read_words(body: bytes | bytearray) -> str:
    """Return the words of a refusal: `return_msg`, `message` or `error`, or plain text; "" if there is neither."""
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        members = _json.decode(body)
    except UNREADABLE:
        text = body.decode(errors="replace").strip()
        return "" if text[:1] in ("{", "[", "<") else " ".join(text.split())
    if not isinstance(members, dict):
        return ""
    words = (members.get(name) for name in ("return_msg", "message", "error"))
    return next((each for each in words if isinstance(each, str) and each), "")

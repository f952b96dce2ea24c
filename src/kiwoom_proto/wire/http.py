"""HttpConnection: HTTP/1.1 requests and their answers, one after the other, without I/O, bounded in bytes and pieces.

It knows nothing of Kiwoom: see `auth` for the token server, and `rest` for everything else. Requests are POSTs. One is
under way at a time: no pipelining.

The answer that servers usually send, a plain head with a Content-Length, is read here. Every other is read by h11: in
chunks, until the end of the stream, with interim answers, unusual in its form or wrong. What is read here is a part of
what h11 would read alike, and which of the two reads it does not depend on how the bytes are split.

The peer decides what is in an answer, and must not decide how long the program stands still over it: `max_size` bytes
are read, in at most so many pieces as `PIECES` says. An answer that announces more ends with its head, unless it is a
page (HTML), whose beginning tells what is the matter. Nor may the peer decide what the answer to the next request is:
whatever comes after an answer, or before the next request, ends the connection.
"""

from __future__ import annotations

import http
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from ..errors import RemoteProtocolError, TransportError, network_error
from ..headers import MAX_ANSWER
from ..secrets import OpaqueBuffer, Secret

if TYPE_CHECKING:
    import h11

__all__ = ("HttpAnswer", "HttpConnection", "request_bytes")

PIECES, PIECE_SIZE = 1024, 64
"""Pieces accepted at once: this many, and one more for each so many bytes. Each chunk is one, and so is each interim
answer (1xx): h11 takes 20 µs for any of them."""
MAX_HEAD = 16_384
"""Bytes of the head of an answer that are read."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_VALUE = rb"[^\x00\r\n\x0b\x0c]*"
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([2-9][0-9]{2})(?: (" + _VALUE + rb"))?\r\n((?:" + _NAME + rb":" + _VALUE + rb"\r\n)+)\r\n"
)
_HEADER = re.compile(rb"(" + _NAME + rb"):(" + _VALUE + rb")\r\n")
_LENGTH = re.compile(r"[0-9]{1,15}")
_NO_BODY = (204, 304)
_VIOLATION = "the answer breaks the rules of HTTP"
_CUT = "the server ended the connection before its answer was complete"


@attrs.frozen
class HttpAnswer:
    """An HTTP answer.

    Attributes:
        status: the status code.
        reason: the server's own words for it, which may be anything.
        headers: names in lower case, and values.
        body: the body, as far as it was read. Not shown in the repr: it may hold a token.
        is_whole: whether that is all of it; False for an answer of more than the size that is read.
    """

    status: int
    reason: str = attrs.field(repr=False)
    headers: list[tuple[str, str]] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    is_whole: bool

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status // 100 == 2

    @property
    def phrase(self) -> str:
        """What the status means, and the server's own words if they say something else."""
        try:
            phrase = http.HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "an unknown HTTP status"
        own = self.reason.strip()
        return phrase if own.lower() in ("", "null", phrase.lower()) else f'{phrase} ("{own}")'

    def header(self, name: str) -> str:
        """Return the last value of a header, by its name in lower case; "" if it is absent."""
        return next((value for other, value in reversed(self.headers) if other == name), "")


def request_bytes(target: str, headers: Iterable[tuple[str, str | Secret]], body: memoryview) -> memoryview:
    """Return a POST as bytes. The caller sees to it that names and values are printable ASCII.

    Args:
        target: path and query.
        headers: names and values, but for Content-Length.
        body: the body. A memoryview, which shows nothing of it.
    """
    # One expression: a variable would show what a `Secret` holds.
    return memoryview(
        "".join(
            [
                f"POST {target} HTTP/1.1\r\n",
                *(f"{name}: {value.reveal() if isinstance(value, Secret) else value}\r\n" for name, value in headers),
                f"Content-Length: {len(body)}\r\n\r\n",
            ]
        ).encode("ascii")
        + body
    )


class HttpConnection:
    """The client's end of one connection: write `data_to_send`, read until `outcome` is there, and perhaps go on.

    Args:
        max_size: maximum size of an answer, head and body, in bytes. Of a longer one the beginning is kept.

    Attributes:
        max_size: likewise.
        outcome: the answer to the last request, or why there is none; None until then.
        is_reusable: whether another request may follow. False while one is under way.
    """

    def __init__(self, max_size: int = MAX_ANSWER) -> None:
        self.outcome: HttpAnswer | RemoteProtocolError | TransportError | None = None
        self.is_reusable = True
        self.max_size = max_size
        self._outgoing = memoryview(b"")
        self._waits = False
        self._buffer = OpaqueBuffer()  # of the plain answer; then the body of one that h11 reads
        self._room = 0
        self._body_at = 0  # where the body begins, once the head is there
        self._size = 0  # of head and body
        self._head: tuple[int, str, list[tuple[str, str]]] | None = None
        self._keeps = False
        self._h11: h11.Connection | None = None
        self._pieces_left = 0  # in this call

    def send(self, request: memoryview) -> None:
        """Send a request, made by `request_bytes`. The last one must have been answered."""
        assert self.is_reusable, "an HTTP connection carries one request at a time"
        self.outcome = None
        self.is_reusable = False
        self._waits = True
        self._outgoing = request
        self._buffer.clear()
        self._room = self.max_size
        self._body_at = self._size = 0
        self._head = self._h11 = None
        self._keeps = False

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty if there are none."""
        data, self._outgoing = self._outgoing, memoryview(b"")
        return bytes(data)

    def receive_data(self, view: memoryview) -> None:
        """Receive bytes from the network. Never raises for their content. What nobody asked for ends the reuse."""
        if not view:
            return
        if not self._waits:
            self.is_reusable = False
            return
        is_too_long = len(view) > self._room
        view = view[: self._room]
        self._room -= len(view)
        if view:  # no bytes would be EOF
            self._read(view)
        if is_too_long and self.outcome is None:
            self._end_cut()
        elif is_too_long:
            self.is_reusable = False

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream; `error` says why, if it is not EOF. Repeating it does nothing."""
        self.is_reusable = False
        if not self._waits:
            return
        if error is None and self._h11 is not None:
            self._pieces_left = PIECES
            self._h11.receive_data(b"")
            self._read_events(TransportError(_CUT))  # an answer may end where the stream ends
        if self.outcome is None:
            self._end(network_error(error or _CUT))
        self.is_reusable = False

    # Inside.

    def _end(self, outcome: HttpAnswer | RemoteProtocolError | TransportError, *, keeps: bool = False) -> None:
        self.outcome = outcome
        self.is_reusable = keeps
        self._waits = False
        self._buffer = OpaqueBuffer()
        self._head = self._h11 = None

    def _end_cut(self) -> None:
        """End with the beginning of an answer that is too long."""
        if self._head is None:
            self._end(RemoteProtocolError(f"the answer has more than {self.max_size:,} bytes"))
        else:
            status, reason, headers = self._head
            self._end(HttpAnswer(status, reason, headers, bytes(self._buffer[self._body_at :]), False))

    def _read(self, view: memoryview) -> None:
        if self._h11 is None:
            known = len(self._buffer)
            self._buffer += view
            if self._head is None:
                self._read_head(max(0, known - 2))
            if self._h11 is None:
                self._read_plain_body()
                return
            view = memoryview(bytes(self._buffer))
            self._buffer = OpaqueBuffer()
        self._pieces_left = PIECES + len(view) // PIECE_SIZE
        self._h11.receive_data(bytes(view))
        self._read_events(RemoteProtocolError(_VIOLATION))

    def _read_head(self, start: int) -> None:
        """Read the head of an answer, once it is there; or leave the answer to h11.

        Args:
            start: where the blank line that ends it may begin.
        """
        buffer = self._buffer
        blank = _BLANK_LINE.search(buffer, start)
        if buffer[:1] == b"\n" or buffer[:2] == b"\r\n":
            self._start_h11()
        elif (len(buffer) if blank is None else blank.end()) > MAX_HEAD:
            self._end(RemoteProtocolError(_VIOLATION))
        elif blank is not None:
            found = _PLAIN_HEAD.fullmatch(buffer, 0, blank.end())
            if found is None or not self._read_plain_head(found):
                self._start_h11()

    def _read_plain_head(self, found: re.Match[bytes]) -> bool:
        """Read a head; False if its body does not simply have a length."""
        version, status, reason, lines = found.groups()
        headers = [
            (name.decode("ascii").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in _HEADER.findall(lines)
        ]
        lengths = [value for name, value in headers if name == "content-length"]
        if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]) or int(status) in _NO_BODY:
            return False
        options = ",".join(value for name, value in headers if name == "connection").lower()
        if any(name == "transfer-encoding" for name, _ in headers):
            return False
        self._head = int(status), (reason or b"").decode("latin-1"), headers
        self._keeps = version == b"1" and "close" not in options
        self._body_at = found.end()
        self._size = found.end() + int(lengths[0])
        self._end_announced()
        return True

    def _end_announced(self) -> None:
        """End with the head of an answer that announces more than is read, unless it is a page."""
        assert self._head is not None
        status, reason, headers = self._head
        found = dict(headers)
        length = found.get("content-length", "")
        if length.isdecimal() and int(length) > self.max_size and "html" not in found.get("content-type", "").lower():
            self._end(HttpAnswer(status, reason, headers, b"", False))

    def _read_plain_body(self) -> None:
        """Take the body of a plain answer, once it is there."""
        if self._head is None or len(self._buffer) < self._size:
            return
        status, reason, headers = self._head
        keeps = self._keeps and len(self._buffer) == self._size
        self._end(
            HttpAnswer(status, reason, headers, bytes(self._buffer[self._body_at : self._size]), True), keeps=keeps
        )

    def _start_h11(self) -> None:
        import h11  # here, as most programs never need it

        self._h11 = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=self.max_size)
        request = h11.Request(method="POST", target="/", headers=[("Host", "h"), ("Content-Length", "0")])
        for event in (request, h11.EndOfMessage()):
            self._h11.send(event)

    def _read_events(self, violation: RemoteProtocolError | TransportError) -> None:
        import h11

        connection = self._h11
        while self.outcome is None and connection is not None:
            self._pieces_left -= 1
            if self._pieces_left < 0:
                self._end(RemoteProtocolError("the answer comes in far too many pieces"))
                return
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:  # its text may quote what came, which may be a token
                self._end(violation)
                return
            if isinstance(event, h11.Response):
                headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                self._head = event.status_code, event.reason.decode("latin-1"), headers
                self._end_announced()
            elif isinstance(event, h11.Data):
                self._buffer += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert self._head is not None
                status, reason, headers = self._head
                keeps = connection.their_state is h11.DONE and connection.trailing_data == (b"", False)
                self._end(HttpAnswer(status, reason, headers, bytes(self._buffer), True), keeps=keeps)
            elif not isinstance(event, h11.InformationalResponse):
                return  # everything there is was read

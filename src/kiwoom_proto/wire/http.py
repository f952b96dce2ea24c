"""HttpCall: one HTTP/1.1 request and its answer, without I/O, bounded in bytes and in pieces.

The protocol is h11's. It knows nothing of Kiwoom: see `auth` for the token server.

The peer decides what is in an answer, and must not decide how long the program stands still over it: `MAX_ANSWER` bytes
are read, in at most so many pieces as `PIECES` says.
"""

from __future__ import annotations

import http
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from ..errors import RemoteProtocolError, TransportError
from ..headers import MAX_ANSWER

if TYPE_CHECKING:
    import h11

__all__ = ("HttpAnswer", "HttpCall")

PIECES, PIECE_SIZE = 1024, 64
"""Pieces accepted at once: this many, and one more for each so many bytes. Each chunk is one, and so is each interim
answer (1xx): h11 takes 20 µs for any of them."""


@attrs.frozen
class HttpAnswer:
    """An HTTP answer.

    Attributes:
        status: the status code.
        reason: the server's own words for it, which may be anything.
        headers: names and values.
        body: the body, as far as it was read. Not shown in the repr: it may hold a token.
        is_whole: whether that is all of it; False for an answer of more than `MAX_ANSWER` bytes.
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


class HttpCall:
    """One POST and its answer: write `data_to_send`, read until `outcome` is there, hang up.

    Args:
        target: path and query.
        headers: names and values, but for Content-Length and Connection.
        body: the body. A memoryview, which shows nothing of it.

    Attributes:
        outcome: the answer, or why there is none; None until then.
    """

    def __init__(self, target: str, headers: Iterable[tuple[str, str]], body: memoryview) -> None:
        import h11  # here, so that a program that has its token need not wait until this has loaded

        self.outcome: HttpAnswer | RemoteProtocolError | TransportError | None = None
        self._response: h11.Response | None = None
        self._body = bytearray()
        self._room = MAX_ANSWER
        self._pieces_left = 0  # in this call
        self._connection = h11.Connection(our_role=h11.CLIENT)
        sent = [*headers, ("Content-Length", str(len(body))), ("Connection", "close")]
        data = h11.Data(body)  # type: ignore[arg-type]  # it accepts whatever has a length
        events = (h11.Request(method="POST", target=target, headers=sent), data, h11.EndOfMessage())
        self._outgoing = memoryview(b"".join(self._connection.send(event) or b"" for event in events))

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty if there are none."""
        data, self._outgoing = self._outgoing, memoryview(b"")
        return bytes(data)

    def receive_data(self, view: memoryview) -> None:
        """Receive bytes from the network. Never raises for their content. Ignored once there is an outcome."""
        if not view or self.outcome is not None:
            return
        is_too_long = len(view) > self._room
        view = view[: self._room]
        self._room -= len(view)
        if view:  # no bytes would be EOF
            self._pieces_left = PIECES + len(view) // PIECE_SIZE
            self._connection.receive_data(bytes(view))
            self._read(RemoteProtocolError("the answer breaks the rules of HTTP"))
        if is_too_long and self.outcome is None:
            self._end(is_whole=False)

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream; `error` says why, if it is not EOF. Repeating it does nothing."""
        if self.outcome is not None:
            return
        cut = "the server ended the connection before its answer was complete"
        if error is None:
            self._pieces_left = PIECES
            self._connection.receive_data(b"")
            self._read(TransportError(cut))  # an answer may end where the stream ends
        if self.outcome is None:
            self.outcome = TransportError(error or cut)

    def _read(self, violation: RemoteProtocolError | TransportError) -> None:
        import h11

        while self.outcome is None:
            self._pieces_left -= 1
            if self._pieces_left < 0:
                self.outcome = RemoteProtocolError("the answer comes in far too many pieces")
                return
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError:  # its text may quote what came, which may be a token
                self.outcome = violation
                return
            if isinstance(event, h11.Response):
                self._response = event
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._end(is_whole=True)
            elif not isinstance(event, h11.InformationalResponse):
                return  # everything there is was read

    def _end(self, *, is_whole: bool) -> None:
        response = self._response
        if response is None:
            self.outcome = RemoteProtocolError(f"the answer has more than {MAX_ANSWER:,} bytes")
        else:
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
            reason = response.reason.decode("latin-1")
            self.outcome = HttpAnswer(response.status_code, reason, headers, bytes(self._body), is_whole)
        self._body.clear()

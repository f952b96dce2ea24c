"""HttpServer: the requests of one HTTP/1.1 connection and their answers, without I/O.

A connection is kept for further requests unless either side asks for its end. A request that arrives before the
previous one has its answer waits, so answers come in the order of the requests. Sizes are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

__all__ = ("JSON", "TEXT", "HttpAnswer", "HttpRequest", "HttpServer")

JSON = "application/json;charset=UTF-8"
TEXT = "text/plain;charset=UTF-8"
MAX_BODY = 64 * 1024
"""Maximum size of a request's body, in bytes; larger ones are refused."""
MAX_PIECES = 1_000
"""Maximum pieces (chunks) of a request's body. Each piece costs more than its bytes."""
MAX_WAITING = 256 * 1024
"""Maximum bytes received while an answer is pending; above it, the connection ends."""


class HttpRequest(NamedTuple):
    """A request.

    Attributes:
        path: the path, without the query.
        headers: lower-case name -> value; of a repeated header, the first value.
        body: the body, in bytes.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpAnswer(NamedTuple):
    """The answer to an HTTP request.

    Attributes:
        status: HTTP status code.
        content_type: the Content-Type of the body.
        body: the body, in bytes.
        reason: the reason phrase after the status.
        headers: further headers.
        closes: whether the connection ends with it.
    """

    status: int
    content_type: str
    body: bytes
    reason: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    closes: bool = False


class HttpServer:
    """The server's side of a connection.

    Args:
        take: called with each request. Call `answer` for it, now or later.
        refuse: called with the headers of a request; returns HTTP status and text to refuse it, or None.

    Attributes:
        finished: whether the connection ends once `data_to_send` is empty.
        answered: number of requests that have their answer.
    """

    def __init__(
        self,
        take: Callable[[HttpRequest], None],
        refuse: Callable[[Iterable[tuple[str, str]]], tuple[int, str] | None] = lambda headers: None,
    ) -> None:
        import h11  # imported here, so that programs that use WebSocket only need not load it

        self.finished = False
        self.answered = 0
        self._take = take
        self._refuse = refuse
        self._connection = h11.Connection(our_role=h11.SERVER)
        self._path = ""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._pieces = 0
        self._pending = False
        self._waiting = bytearray()
        self._outgoing = bytearray()
        self._reading = False

    @property
    def is_pending(self) -> bool:
        """Whether a request waits for its answer."""
        return self._pending

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a further request has arrived."""
        import h11

        state = self._connection.their_state
        return not self._pending and state is h11.IDLE and not self._connection.trailing_data[0]

    def receive_data(self, data: bytes | bytearray) -> None:
        """Receive bytes from the network. Never raises for their contents. Ignores them once finished."""
        if not data or self.finished:
            return
        if not self._pending:
            self._connection.receive_data(bytes(data))
            self._read()
        elif len(self._waiting) + len(data) > MAX_WAITING:
            self.finished = True
        else:
            self._waiting += data

    @property
    def unsent(self) -> int:
        """Number of bytes that wait for `data_to_send`, or for an answer to be sent first."""
        return len(self._outgoing) + len(self._waiting)

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and clear them; empty if there are none."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def answer(self, answer: HttpAnswer, *, half: bool = False) -> None:
        """Answer the request that waits. With `half`, only the first half is sent, and the connection ends."""
        import h11

        self._pending = False
        connection = self._connection
        closes = answer.closes or connection.their_state is not h11.DONE
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
        if closes:
            headers.append(("Connection", "close"))
        response = h11.Response(status_code=answer.status, headers=headers, reason=answer.reason)
        data = b"".join(
            connection.send(event) or b"" for event in (response, h11.Data(answer.body), h11.EndOfMessage())
        )
        self._outgoing += data[: len(data) // 2] if half else data
        self.answered += 1
        if half or closes or connection.our_state is not h11.DONE:
            self.finished = True
            return
        connection.start_next_cycle()
        if self._waiting:
            waiting, self._waiting = bytes(self._waiting), bytearray()
            connection.receive_data(waiting)
        self._read()

    def _read(self) -> None:
        if self._reading:  # called by `answer`, within the loop below
            return
        self._reading = True
        try:
            while not (self.finished or self._pending) and self._read_event():
                pass
        finally:
            self._reading = False

    def _read_event(self) -> bool:
        """Read the next event. Returns whether there may be more."""
        import h11

        try:
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            self.answer(HttpAnswer(error.error_status_hint, TEXT, b"", closes=True))
            return False
        if isinstance(event, h11.Request):
            self._begin(
                event.method, event.target, [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
            )
        elif isinstance(event, h11.Data):
            self._body += event.data
            self._pieces += 1
            if len(self._body) > MAX_BODY or self._pieces > MAX_PIECES:
                self.answer(HttpAnswer(413, TEXT, b"", closes=True))
        elif isinstance(event, h11.EndOfMessage):
            self._pending = True
            self._take(HttpRequest(self._path, self._headers, bytes(self._body)))
        else:
            return False  # everything received so far was read
        return True

    def _begin(self, method: bytes, target: bytes, headers: list[tuple[str, str]]) -> None:
        import h11

        self._path = target.decode("ascii").partition("?")[0]
        self._headers = {}
        for name, value in headers:
            self._headers.setdefault(name.lower(), value)
        self._body, self._pieces = bytearray(), 0
        refused = self._refuse(headers)
        if refused is None and method != b"POST":
            refused = 405, "only POST is answered here\n"
        if refused is not None:
            status, text = refused
            self.answer(HttpAnswer(status, TEXT, text.encode(), closes=True))
        elif self._connection.they_are_waiting_for_100_continue:
            self._outgoing += self._connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

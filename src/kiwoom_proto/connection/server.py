"""ServerConnection: the server's end, the mirror of `ClientConnection`.

It speaks the protocol and decides nothing: who may log in and how a request is answered is up to its owner (see
`simulator`). It has the inputs, outputs and states of a client's end. Close the TCP connection once its state is CLOSED
and everything is written.
"""

from __future__ import annotations

import http
import weakref
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import attrs
import msgspec

from ..config import ServerConfig
from ..display import quoted
from ..errors import UNREADABLE, ClosedByPeer, DeadlineExceeded, KiwoomError, LocalProtocolError, RemoteProtocolError
from ..events import Closed, SystemNotice, UnknownMessage
from ..headers import RequestHeader
from ..realtime.catalogue import ACCOUNT_TYPES
from ..request import RequestKind
from ..wire.messages import KIND_OF, Row, encode, encode_rows
from ..wire.rfc6455 import check_close
from ..wire.websocket import WebSocketServer
from .lifecycle import (
    CLOSED,
    CLOSING,
    CONNECTING,
    LOGGING_IN,
    TRANSITIONS,
    ConnectionState,
    Trigger,
)

__all__ = (
    "ClientOpened",
    "PingAnswered",
    "RequestReceived",
    "ServerConnection",
    "ServerEvent",
    "ServerRequest",
)


@attrs.frozen(eq=False)
class ServerRequest:
    """A message of a client that must be answered.

    Attributes:
        trnm: "LOGIN", "REG", "REMOVE", or whatever the client sent; "" if it sent none.
        members: everything else in the message. Not shown in the repr: a LOGIN has the token.
    """

    trnm: str = attrs.field(repr=quoted)
    members: dict[str, Any] = attrs.field(repr=False)

    @property
    def kind(self) -> RequestKind | None:
        """What it asks for; None for a LOGIN, and for an unknown trnm."""
        return KIND_OF.get(self.trnm)

    def elements(self) -> list[tuple[list[str], list[str]]]:
        """Return the items and the types of each element of a REG or REMOVE, each once.

        It means each of the items for each of the types. Of an element without items, only the types that are about
        the account are returned, with the item "". An item of the US path, `{"jmcode": "NVDA", "stex_tp": "ND"}`, is
        returned as the str "NVDA:ND".

        Raises:
            ValueError: `data` is not the list of elements that it should be.
        """
        data = self.members.get("data")
        if not isinstance(data, list):
            raise ValueError("data must be a list")
        return [_read_element(element) for element in data]

    def registrations(self) -> list[tuple[str, str]]:
        """Return every (type, item) a REG or REMOVE names: see `elements`.

        Raises:
            ValueError: `data` is not the list of elements that it should be, or names more than `MAX_REGISTRATIONS`,
                which a small message can: a thousand items for a thousand types are a million.
        """
        elements = self.elements()
        count = sum(len(items) * len(types) for items, types in elements)
        if count > MAX_REGISTRATIONS:
            raise ValueError(f"data names {count} registrations, more than {MAX_REGISTRATIONS}")
        return [(type, item) for items, types in elements for item in items for type in types]


def _read_element(element: object) -> tuple[list[str], list[str]]:
    if not isinstance(element, dict):
        raise ValueError("data must hold objects")
    items, types = element.get("item", [""]), element.get("type")
    if not isinstance(items, list) or not isinstance(types, list):
        raise ValueError("item and type must be lists")
    items = [_item_text(item) for item in items]
    if not all(isinstance(text, str) for text in (*items, *types)):
        raise ValueError("item and type must hold texts")
    if not items:
        items, types = [""], [type for type in types if type in ACCOUNT_TYPES]
    return list(dict.fromkeys(items)), list(dict.fromkeys(types))


def _item_text(item: object) -> object:
    """Return an item of the US path as a str, and anything else unchanged."""
    if not isinstance(item, dict):
        return item
    code, venue = item.get("jmcode"), item.get("stex_tp")
    if not isinstance(code, str) or not isinstance(venue, str):
        raise ValueError("a US item must hold jmcode and stex_tp")
    return f"{code}:{venue}" if code else ""


@attrs.frozen
class ClientOpened:
    """A client's opening handshake was accepted.

    Attributes:
        path: path and query of its request.
        header: the documented header elements in it, or None.
    """

    path: str = attrs.field(repr=quoted)
    header: RequestHeader | None


@attrs.frozen
class RequestReceived:
    """A client sent a request: answer with `accept` or `refuse`, now or later, or not at all."""

    request: ServerRequest


@attrs.frozen
class PingAnswered:
    """A client echoed a PING. `payload`: its exact bytes."""

    payload: bytes = attrs.field(repr=quoted)


ServerEvent: TypeAlias = ClientOpened | RequestReceived | PingAnswered | UnknownMessage | Closed

_any = msgspec.json.Decoder()
_STATUSES = frozenset(status.value for status in http.HTTPStatus)


MAX_REGISTRATIONS = 10_000
"""Maximum (type, item) pairs in one message; an honest one has at most 200 items for 25 types."""
TOO_LARGE = "Max frame length of {} has been exceeded."
"""The reason of close 1009 for a message that is too large [measured, 20 times]."""


class ServerConnection:
    """One connection of a client, without I/O.

    Args:
        config: deadlines and limits.
        clock: returns seconds, monotonic.
        status: the HTTP status of the answer to the opening handshake: 101, or another to refuse it.
        paths: the paths that it serves; a handshake for any other is answered 404. None serves every path.
        refuse_handshake: returns the HTTP status and text to refuse a handshake with, given its headers; None accepts.
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        clock: Callable[[], float],
        status: int = 101,
        paths: Collection[str] | None = None,
        refuse_handshake: Callable[[Iterable[tuple[str, str]]], tuple[int, str] | None] = lambda headers: None,
    ) -> None:
        if status not in _STATUSES:
            raise LocalProtocolError(f"status: {status!r} is not an HTTP status code")
        self.config = ServerConfig() if config is None else config
        self._clock = clock
        self._status = status
        self._paths = paths
        self._refuse_handshake = refuse_handshake
        self._state = CONNECTING
        max_size = self.config.max_message_size
        self._websocket = WebSocketServer(
            max_size=max_size, on_request=self._answer_handshake, too_large=TOO_LARGE.format(max_size)
        )
        self._deadline: float | None = clock() + self.config.open_timeout
        self._opened: ClientOpened | None = None
        # Weak: a request that its owner has let go of is never answered, and a client may send any number of those.
        self._unanswered: weakref.WeakSet[ServerRequest] = weakref.WeakSet()
        self._events: list[ServerEvent] = []
        self._error: KiwoomError | None = None
        self._system: SystemNotice | None = None
        self._close_asked = False
        self._outgoing = bytearray()

    @property
    def state(self) -> ConnectionState:
        """The state of the connection. READY once a LOGIN was accepted."""
        return self._state

    @property
    def unsent(self) -> int:
        """Number of bytes that wait for `data_to_send`."""
        self._outgoing += self._websocket.data_to_send()
        return len(self._outgoing)

    @property
    def frames_received(self) -> int:
        """Number of WebSocket frames that have started to arrive."""
        return self._websocket.frames_passed

    # What the owner calls.

    def accept(self, request: ServerRequest, **members: Any) -> None:
        """Answer a request with return_code 0, and further members. Accepting a LOGIN makes the connection READY.

        Raises:
            LocalProtocolError: it was answered before, or came on another connection.
        """
        self.answer(request, return_code=0, return_msg="", **members)
        if request.trnm == "LOGIN" and self._state is LOGGING_IN:
            self._move(Trigger.LOGGED_IN)

    def refuse(self, request: ServerRequest, code: int, message: str, **members: Any) -> None:
        """Answer a request with a return_code other than 0. Errors as for `accept`."""
        self.answer(request, return_code=code, return_msg=message, **members)

    def answer(self, request: ServerRequest, **members: Any) -> None:
        """Answer a request with these members and no others, after its trnm. Errors as for `accept`.

        It does not log in. Members may include another `trnm`.
        """
        if request not in self._unanswered:
            raise LocalProtocolError(f"the {request.trnm} was answered before, or came on another connection")
        self._unanswered.discard(request)
        self._send(encode({"trnm": request.trnm, **members}))

    def send_records(self, rows: Iterable[Row]) -> None:
        """Send rows in one REAL message."""
        self._send(encode_rows(rows))

    def send_ping(self) -> None:
        """Send Kiwoom's heartbeat, a PING message."""
        self._send(b'{"trnm":"PING"}')

    def send_system(self, code: str, message: str) -> None:
        """Send a SYSTEM message; the owner closes after it."""
        self._system = SystemNotice(code, message)
        self._send(encode({"trnm": "SYSTEM", "code": code, "message": message}))

    def send_text(self, payload: bytes) -> None:
        """Send any bytes as a text message, to misbehave on purpose."""
        self._send(payload)

    def close(self, code: int = 1000, reason: str = "Bye") -> None:
        """Start closing.

        Raises:
            LocalProtocolError: code or reason cannot be sent in a close frame.
        """
        check_close(code, reason)
        if self._state in (CLOSING, CLOSED):
            return
        self._close_asked = True
        if self._websocket.is_open:
            self._websocket.send_close(code, reason)
            self._start_closing(self._clock())
        else:
            self._end()

    def abort(self) -> None:
        """End at once, without a closing handshake, like a cut cable."""
        self._close_asked = True
        self._end()

    # What the driver does.

    def receive_data(self, data: bytes | bytearray) -> None:
        """Receive bytes from the network. Never raises for their content. Ignored after the end."""
        if self._state is CLOSED:
            return
        now = self._clock()
        websocket = self._websocket
        messages = websocket.receive_data(data)
        if self._state is CONNECTING and self._opened is not None:  # even where the same bytes end it again
            self._move(Trigger.OPENED)
            self._deadline = None
            self._events.append(self._opened)
        for message in messages:
            self._handle_message(message)
        if websocket.ends_connection or websocket.is_closed:
            if self._status != 101:
                self._close_asked = True
            elif not self._close_asked and websocket.error is not None:
                self._error = RemoteProtocolError(f"WebSocket protocol violation: {websocket.error}")
            self._end()
        elif websocket.is_closing and self._state is not CLOSING:
            self._start_closing(now)

    def receive_eof(self) -> None:
        """Receive the end of the stream. Repeating it does nothing."""
        if self._state is CLOSED:
            return
        self._websocket.receive_eof()
        self._end()

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None if nothing is due by itself."""
        return self._deadline

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless if nothing is."""
        if self._deadline is not None and self._clock() >= self._deadline:
            phase = "open" if self._state is CONNECTING else "close"
            self._error = DeadlineExceeded(phase, getattr(self.config, f"{phase}_timeout"))
            self._end()

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty if there are none."""
        if not self._outgoing:
            return self._websocket.data_to_send()
        self._outgoing += self._websocket.data_to_send()
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def events(self) -> list[ServerEvent]:
        """Return what has happened since the last call, in order, and forget it."""
        events, self._events = self._events, []
        return events

    def __repr__(self) -> str:
        return f"<ServerConnection, {self._state.value}>"

    # Inside.

    def _answer_handshake(self, path: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
        if self._status == 101:
            self._status, self._websocket.refusal = self._refuse_handshake(headers) or (101, "")
        if self._status == 101 and self._paths is not None and path.partition("?")[0] not in self._paths:
            self._status = 404
        if self._status != 101:
            return self._status, []
        header = RequestHeader.from_http(headers)
        self._opened = ClientOpened(path, header)
        return 101, [] if header is None else [("api-id", header.api_id), ("cont-yn", "N")]

    def _handle_message(self, payload: bytes) -> None:
        try:
            members = _any.decode(payload)
        except UNREADABLE as error:
            self._events.append(UnknownMessage(payload, f"not a JSON text: {type(error).__name__}"))
            return
        if not isinstance(members, dict):
            self._events.append(UnknownMessage(payload, "not an object"))
            return
        trnm = members.pop("trnm", None)
        if trnm == "PING":
            self._events.append(PingAnswered(payload))
        else:
            request = ServerRequest(trnm if isinstance(trnm, str) else "", members)
            self._unanswered.add(request)
            self._events.append(RequestReceived(request))

    def _send(self, payload: bytes) -> None:
        if self._state is CONNECTING:
            raise LocalProtocolError("the connection is not open yet; nothing can be sent")
        if self._websocket.is_open:
            self._websocket.send_text(payload)

    def _move(self, trigger: Trigger) -> None:
        self._state = TRANSITIONS[self._state][trigger]

    def _start_closing(self, now: float) -> None:
        self._move(Trigger.CLOSE_STARTED)
        self._deadline = now + self.config.close_timeout

    def _end(self) -> None:
        if self._state is CLOSED:
            return
        self._move(Trigger.ENDED)
        self._deadline = None
        received, sent = self._websocket.close_received, self._websocket.close_sent
        if self._error is None and received is None and not self._close_asked:
            self._error = ClosedByPeer("the client cut the connection")
        self._events.append(
            Closed(
                1006 if received is None else received.code,
                "" if received is None else received.reason,
                self._error,
                None if sent is None else sent.code,
                self._system,
            )
        )

"""ClientConnection: one connection to Kiwoom, as bytes in and out. A WebSocket and a `Conversation`.

Drive it like this, from anything that can read, write and wait:

    connection = ClientConnection(MOCK, clock=time.monotonic)
    connection.connect(token)
    loop:
        write connection.data_to_send()
        look at connection.events()
        until connection.state is CLOSED:
            wait for bytes, at most until connection.next_timeout()
            connection.receive_data(bytes), connection.receive_eof() or connection.handle_timeout()

The WebSocket is bytes in and whole messages out, the conversation messages in and messages out. Nothing is decided
here: this class hands what one of them says to the other. `_transmit` is the one place where output goes down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..config import ClientConfig
from ..endpoint import Endpoint
from ..errors import DeadlineExceeded, KiwoomError, RemoteProtocolError, network_error
from ..events import Batch, Numbering
from ..headers import RequestHeader, ResponseHeader
from ..realtime.record import Record
from ..request import Request
from ..secrets import Secret, conceal
from ..symbol import Symbol
from ..wire.messages import Reg, Remove
from ..wire.websocket import WebSocketClient
from .capture import Capture
from .conversation import Conversation
from .lifecycle import CLOSED, CLOSING, CONNECTING, ConnectionState

__all__ = ("ClientConnection",)

NOTHING_CAME = "no connection was made, or nothing came over it,"
"""What is known if the driver has not said that there is a stream."""


class ClientConnection:
    """One connection to Kiwoom, without I/O. Single use.

    Args:
        endpoint: where it connects to; dialling (and TLS) is up to the driver.
        config: deadlines and limits.
        clock: returns seconds, monotonic.
        random_bytes: source of the WebSocket's key and masks; None uses the system's.
        numbering: where events get their numbers; defaults to one of its own.
        types: classes of rows beside those of the catalogue, or in place of one with the same type code.
        capture: a tap on what is received and sent; None costs nothing.

    Attributes:
        endpoint: as given.
        config: as given, or the defaults.
        bytes_received: bytes received from the network so far.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None = None,
        numbering: Numbering | None = None,
        types: Iterable[type[Record]] = (),
        capture: Capture | None = None,
    ) -> None:
        self._conversation = Conversation(
            endpoint, config, clock=clock, numbering=numbering, types=types, sends_pings=True, capture=capture
        )
        self._clock = clock
        self.endpoint = endpoint
        self.config = self._conversation.config
        self.bytes_received = 0
        self._was_made = False
        self._websocket = WebSocketClient(
            endpoint.url,
            max_size=self.config.max_message_size,
            random_bytes=random_bytes,
            redaction=self._conversation.redaction,
        )

    # What the caller asks for.

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._conversation.state

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's answer, once the WebSocket is open."""
        return self._conversation.header

    @property
    def ended_by(self) -> Request | None:
        """The request that the connection was lost for, once it has ended; None if for anything else."""
        return self._conversation.ended_by

    def connect(
        self, token: str | Secret, header: RequestHeader | None = None, *, secrets: Iterable[Secret] = ()
    ) -> None:
        """Start. The deadline for opening runs from here; LOGIN with `token` follows by itself.

        Args:
            token: the access token, without "Bearer".
            header: header elements for the opening handshake; None sends none, which the server accepts.
            secrets: what to mask in the server's words, beside the token: `AppKey.secrets`.

        Raises:
            LocalProtocolError: the token cannot be one, or `connect` was called before.
        """
        token = conceal(token)
        self._conversation.connect(token, header, secrets=secrets)
        self._websocket.connect(() if header is None else header.elements(token))

    def subscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", replace: bool = False
    ) -> Request:
        """Register items for one real-time type (REG). The request waits here until the login is done.

        Args:
            type: a class of the catalogue or of `types`, or its type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: drop earlier registrations (refresh "0"), of the group or of the whole connection: which of
                the two was never measured.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent. What the server would acknowledge and never serve
                is wrong too: "A005930", a US type on a domestic endpoint.
        """
        request = self._conversation.subscribe(type, *items, group=group, replace=replace)
        self._transmit()
        return request

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Remove registrations (REMOVE). Arguments and errors as for `subscribe`."""
        request = self._conversation.unsubscribe(type, *items, group=group)
        self._transmit()
        return request

    def request(self, message: Reg | Remove) -> Request:
        """Send a hand-built REG or REMOVE, with any number of `data` elements.

        Lengths are checked, and whether the endpoint serves the venue; types and items are not. Use it for what this
        library does not know: the server acknowledges everything, and rows of a type without a class come as plain
        `Record`s.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent.
        """
        request = self._conversation.request(message)
        self._transmit()
        return request

    def list_conditions(self) -> Request:
        """Request the saved conditions (조건검색 목록조회, CNSRLST). `ConditionList` answers it."""
        request = self._conversation.list_conditions()
        self._transmit()
        return request

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Search the stocks that meet a condition (조건검색 요청, CNSRREQ). `ConditionResult` answers it.

        The list is requested first if this connection has not done so yet. A condition that is already registered
        (900003) is cleared and requested again, once.

        Args:
            seq: the number of the condition, from the list.
            realtime: keep streaming which stocks enter and leave, as rows of type 02 (US: S2), until it is cleared.
            next_key: `ConditionResult.next_key`, for the next page of a one-time search.

        Raises:
            LocalProtocolError: names what is wrong; nothing is sent.
        """
        request = self._conversation.search_condition(seq, realtime=realtime, next_key=next_key)
        self._transmit()
        return request

    def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제, CNSRCLR).

        Raises:
            LocalProtocolError: `seq` cannot be a number of a condition; nothing is sent.
        """
        request = self._conversation.clear_condition(seq)
        self._transmit()
        return request

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start closing. Rows that arrive until the server has answered are still reported.

        Raises:
            LocalProtocolError: code or reason cannot be sent in a close frame.
        """
        self._conversation.close(code, reason)
        self._transmit()

    def abort(self, error: KiwoomError) -> None:
        """End at once, without a closing handshake. `Closed` says why: `error`, or what had gone wrong before."""
        self._conversation.abort(error)
        self._transmit()

    # What the driver does.

    def connection_made(self) -> None:
        """Note that the stream exists now, and let `data_to_send` start with the opening handshake.

        For a driver that dials beside everything else: what `data_to_send` returned before there was a stream must not
        be written any more. A driver that asks for nothing to send before it has a stream need not call this. Ignored
        once something was received.
        """
        self._was_made = True
        if self.state is CONNECTING and not self.bytes_received:
            self._websocket.connect_again()

    def receive_data(self, data: bytes | bytearray, received_at: int = 0) -> None:
        """Receive bytes from the network. Never raises for their content. Ignored after the end.

        After calling this method, write `data_to_send`, and call `events` and `next_timeout`.

        Args:
            data: any number of bytes.
            received_at: when, in nanoseconds since the epoch, for the records in them; 0 if unknown.

        Raises:
            LocalProtocolError: `connect` was not called.
        """
        conversation = self._conversation
        state = conversation.state
        if state is CLOSED:
            return
        now = conversation.start_read(len(data))
        self.bytes_received += len(data)
        websocket = self._websocket
        runs: Iterable[list[bytes]]
        if state is CONNECTING:
            # All of it first: a server that closes at once needs no LOGIN.
            runs = (websocket.receive_data(data),)
            if not self._handle_handshake():
                return
        else:
            runs = websocket.receive_runs(data)
        for run in runs:
            goes_on = conversation.receive_run(run, received_at, now, self._is_text)
            if conversation.outbox.has_output:
                self._transmit()  # before what the next run may do to the WebSocket
            if not goes_on:
                return
        conversation.finish_read(now)
        if conversation.outbox.has_output:
            self._transmit()
        if not websocket.is_open:
            self._handle_closing()

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream. Repeating it does nothing.

        Args:
            error: the network's own words, if it failed: "connection refused"; None for EOF.
        """
        conversation, websocket = self._conversation, self._websocket
        if conversation.state is CLOSED:
            return
        websocket.receive_eof()
        if error is not None:
            cause = network_error(error)
            conversation.receive_close(error=type(cause)(conversation.redaction.known(error)))
        else:
            conversation.receive_close(error=websocket.handshake_error if self.state is CONNECTING else None)

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None if nothing is due by itself.

        Ask again after every other call: it may move either way.
        """
        return self._conversation.next_timeout()

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless if nothing is."""
        conversation, websocket = self._conversation, self._websocket
        if conversation.state is CONNECTING:
            self._check_open_timeout()
        conversation.pong = websocket.pong
        conversation.handle_timeout()
        self._transmit()

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty if there are none.

        Call it when there is a stream to write them to. If it was called before, see `connection_made`.
        """
        return self._websocket.data_to_send()

    def events(self) -> Batch:
        """Return what has happened since the last call, in order, and forget it."""
        return self._conversation.events()

    def __repr__(self) -> str:
        return f"<ClientConnection {self.endpoint}, {self.state.value}>"

    # Between the two.

    def _transmit(self) -> None:
        """Hand down what the conversation wants to send. Called after everything that may have made some."""
        conversation, websocket = self._conversation, self._websocket
        if not conversation.outbox.has_output:
            return
        conversation.outbox.has_output = False
        payloads = conversation.outbox.pop_messages()
        pings = conversation.pings_to_send()
        if not websocket.is_open:
            return  # "After sending a close frame, an endpoint MUST NOT send any more data" (RFC 6455, 5.5.1)
        for ping in pings:
            websocket.send_ping(ping)
        for payload in payloads:
            websocket.send_text(payload)
        if conversation.close_code is not None:
            websocket.send_close(conversation.close_code, conversation.close_reason)

    def _is_text(self, payload: bytes) -> bool:
        if self._conversation.outbox.has_output:
            self._transmit()  # before a payload that is not text closes the WebSocket
        return self._websocket.check_text(payload)

    def _handle_handshake(self) -> bool:
        """Report how the opening handshake stands. Returns whether the WebSocket has been opened."""
        websocket, conversation = self._websocket, self._conversation
        error = websocket.handshake_error
        if websocket.is_open or (websocket.response_headers and error is None):
            conversation.receive_opened(ResponseHeader.from_http(websocket.response_headers, conversation.redaction))
            self._transmit()
            return True
        if error is not None:
            conversation.receive_close(error=error)
        return False

    def _handle_closing(self) -> None:
        """Report that the server has started to close, or that it broke RFC 6455 and the WebSocket has."""
        websocket, conversation = self._websocket, self._conversation
        received, sent = websocket.close_received, websocket.close_sent
        error: KiwoomError | None = None
        if websocket.error is not None and conversation.state is not CLOSING:
            words = conversation.redaction.words(f"WebSocket protocol violation: {websocket.error}")
            error = RemoteProtocolError(words)
        conversation.receive_closing(
            None if received is None else received.code,
            "" if received is None else received.reason,
            sent_code=None if sent is None else sent.code,
            error=error,
        )

    def _check_open_timeout(self) -> None:
        """If the deadline for opening has passed, end with what is known beyond that, if anything."""
        deadline = self._conversation.next_timeout()
        if deadline is None or self._clock() < deadline:
            return
        # An HTTP error whose body has no end tells more than that time is up.
        self._websocket.receive_eof()
        error = self._websocket.handshake_error
        if error is not None and error.status is not None:
            self._conversation.abort(error)
        elif not self._was_made and not self.bytes_received:
            self._conversation.abort(DeadlineExceeded("open", self.config.open_timeout, what=NOTHING_CAME))

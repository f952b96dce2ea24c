"""One connection's life: `ClientConnection` as bytes in and out, `MessageConnection` as whole messages in and out.

Both are a `Conversation`; see conversation.py for how it works and for the tables it obeys. Drive the first like this,
from anything that can read, write and wait:

    connection = ClientConnection(MOCK, clock=time.monotonic)
    connection.connect(token)
    loop:
        write connection.data_to_send()
        look at connection.events()
        until connection.state is CLOSED:
            wait for bytes, at most until connection.next_timeout()
            connection.receive_data(bytes), connection.receive_eof() or connection.handle_timeout()

Drive the second, over a WebSocket of another library, with `receive_opened`, `receive_message` and `receive_close`;
send what `messages_to_send` returns as text messages, and close the WebSocket when `state` is CLOSING.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..config import ClientConfig
from ..endpoint import Endpoint
from ..errors import DeadlineExceeded, LocalProtocolError, RemoteProtocolError, TransportError
from ..events import Numbering
from ..headers import RequestHeader, ResponseHeader
from ..realtime.record import Record
from ..secrets import Secret, conceal
from ..wire.websocket import WebSocketClient
from .conversation import CLOSED, CLOSING, CONNECTING, OTHER_SIZE, OTHERS, ConnectionState, Conversation

__all__ = ("ClientConnection", "ConnectionState", "MessageConnection")

NOTHING_CAME = "no connection was made, or nothing came over it,"
"""What is known where the driver has not said that there is a stream."""


class ClientConnection(Conversation):
    """One connection to Kiwoom, without I/O. Single use.

    Arguments:
        endpoint: where it connects to; dialling (and TLS) is the driver's business.
        config: deadlines and limits.
        clock: gives seconds, never going back; read once per entry.
        random_bytes: source of the WebSocket's key and masks; None: the system's.
        numbering: what its events get their numbers from, where it is one of a session's.
        types: classes of rows of your own, beside those of the catalogue or instead of one with the same type code.
    """

    _sends_pings = True

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None = None,
        numbering: Numbering | None = None,
        types: Iterable[type[Record]] = (),
    ) -> None:
        super().__init__(endpoint, config, clock=clock, numbering=numbering, types=types)
        self.bytes_received = 0
        """Bytes received from the network so far."""
        self._was_made = False
        self._websocket = WebSocketClient(
            endpoint.url,
            max_size=self.config.max_message_size,
            random_bytes=random_bytes,
            redaction=self._redaction,
        )

    def connect(
        self, token: str | Secret, header: RequestHeader | None = None, *, secrets: Iterable[Secret] = ()
    ) -> None:
        token = conceal(token)
        super().connect(token, header, secrets=secrets)
        self._websocket.connect(() if header is None else header.elements(token))

    connect.__doc__ = Conversation.connect.__doc__

    def connection_made(self) -> None:
        """The stream exists now, and `data_to_send` begins with the opening handshake.

        For a driver that dials beside everything else: what `data_to_send` gave it before there was a stream is not to
        be written any more. One that asks for nothing to send before it has a stream need not call this. Ignored once
        something was received.
        """
        self._was_made = True
        if self._state is CONNECTING and not self.bytes_received:
            self._websocket.connect_again()

    def receive_data(self, data: bytes | bytearray, received_at: int = 0) -> None:
        """Take bytes from the network. Never raises for what they hold; after the end they are ignored.

        Arguments:
            data: any number of bytes.
            received_at: when, in nanoseconds since the epoch, for the records in them; 0: not known.
        """
        if self._state is CLOSED:
            return
        if not self._connect_called:
            raise LocalProtocolError("connect: must be called first")
        now = self._clock()
        self.bytes_received += len(data)
        self._others_left = OTHERS + len(data) // OTHER_SIZE
        self._begin_read()
        websocket = self._websocket
        if self._state is CONNECTING:
            payloads = websocket.receive_data(data)  # all of it: a server that closes at once needs no LOGIN
            if not self._has_opened(now):
                return
            self._take(payloads, received_at, now)
        else:
            for run in websocket.receive_runs(data):
                self._take(run, received_at, now)
                if self._others_left < 0:
                    break
        if self._others_left < 0:
            return
        self._heard(now)
        if not websocket.is_open and self._state is not CLOSING:
            # Either the server has begun to close, or it broke RFC 6455 and the WebSocket has.
            if websocket.error is not None:
                self._error = RemoteProtocolError(
                    self._redaction.words(f"WebSocket protocol violation: {websocket.error}")
                )
            super()._start_closing(1000, "", now)
        self._close_answered = websocket.close_received is not None

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream. Repeating it does nothing.

        Arguments:
            error: what the network said, where it failed: "connection refused"; None for a plain end.
        """
        if self._state is CLOSED:
            return
        self._websocket.receive_eof()
        if self._error is None and not self._close_asked and not self._close_answered:
            if error is not None:
                self._error = TransportError(self._redaction.known(error))
            elif self._state is CONNECTING:
                self._error = self._websocket.handshake_error
        self._end()

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty: nothing.

        Call it when there is a stream to write them to. Where it was called before, see `connection_made`.
        """
        return self._websocket.data_to_send()

    def _expire(self, phase: str) -> None:
        if phase == "open":
            # An HTTP error whose body has no end tells more than that time is up.
            self._websocket.receive_eof()
            error = self._websocket.handshake_error
            if error is not None and error.status is not None:
                self._error = error
            elif not self._was_made and not self.bytes_received:
                self._error = DeadlineExceeded(phase, self.config.open_timeout, what=NOTHING_CAME)
        super()._expire(phase)

    def _has_opened(self, now: float) -> bool:
        websocket = self._websocket
        if websocket.is_open or (websocket.response_headers and websocket.handshake_error is None):
            self._opened(ResponseHeader.from_http(websocket.response_headers, self._redaction), now)
            return True
        self._error = websocket.handshake_error
        if self._error is not None:
            self._end()
        return False

    def _is_text(self, payload: bytes) -> bool:
        return self._websocket.check_text(payload)

    def _send(self, payload: bytes | memoryview) -> None:
        # After a close frame nothing may follow: what is still to be said is too late.
        if self._websocket.is_open:
            self._websocket.send_text(payload)

    @property
    def _pong(self) -> bytes | None:
        return self._websocket.pong

    def _send_ping(self, payload: bytes = b"") -> None:
        if self._websocket.is_open:
            self._websocket.send_ping(payload)

    def _start_closing(self, code: int, reason: str, now: float) -> None:
        super()._start_closing(code, reason, now)
        if self._websocket.is_open:
            self._websocket.send_close(code, reason)

    def _end(self, code: int | None = None, reason: str = "", sent_code: int | None = None) -> None:
        websocket = self._websocket
        if websocket.is_open:
            websocket.send_close(1001)  # going away: a deadline passed, or the stream ended under us
        received, sent = websocket.close_received, websocket.close_sent
        super()._end(
            None if received is None else received.code,
            "" if received is None else received.reason,
            None if sent is None else sent.code,
        )


class MessageConnection(Conversation):
    """One connection to Kiwoom over a WebSocket of another library, without I/O. Single use.

    Arguments:
        endpoint: where the other library connects to.
        config: deadlines and limits; `max_message_size` is the other library's business.
        clock: gives seconds, never going back; read once per entry.
        numbering: what its events get their numbers from, where it is one of a session's.
        types: classes of rows of your own, beside those of the catalogue or instead of one with the same type code.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        numbering: Numbering | None = None,
        types: Iterable[type[Record]] = (),
    ) -> None:
        super().__init__(endpoint, config, clock=clock, numbering=numbering, types=types)
        self._outbox: list[bytes] = []
        self.close_code: int | None = None
        """The code to close the WebSocket with, once `state` is CLOSING."""
        self.close_reason = ""
        """The reason to close it with."""

    def receive_opened(self, header: ResponseHeader | None = None) -> None:
        """The WebSocket is open. `header`: the documented header elements of the server's answer, if known.

        Raises:
            LocalProtocolError: `connect` was not called, or the WebSocket was opened before.
        """
        if not self._connect_called or self._state is not CONNECTING:
            raise LocalProtocolError(f"receive_opened: the connection is {self._state.value}")
        self._opened(ResponseHeader() if header is None else header, self._clock())

    def receive_message(self, payload: bytes | str, received_at: int = 0) -> None:
        """Take one whole message. Never raises for what it holds; after the end it is ignored.

        Arguments:
            payload: the text, as it came.
            received_at: when, in nanoseconds since the epoch, for the records in it; 0: not known.

        Raises:
            LocalProtocolError: `receive_opened` was not called.
        """
        if self._state is CLOSED:
            return
        if self._state is CONNECTING:
            raise LocalProtocolError("receive_opened: must be called first")
        now = self._clock()
        data = payload.encode(errors="surrogatepass") if isinstance(payload, str) else payload
        self._others_left = 1
        self._begin_read()
        self._take((data,), received_at, now)
        self._heard(now)

    def note_alive(self) -> None:
        """The server has shown that it lives in a way that is no message: a ping came, or a pong.

        Call it for each that the other library tells of. Under a library that sends pings by itself, more often than
        every 10 s, the server never sends its own PING and on a quiet market nothing else either.
        """
        self._heard(self._clock())

    def receive_close(self, code: int | None = None, reason: str = "") -> None:
        """The WebSocket is closed. `code` None: it was cut without a close frame."""
        self._end(code, reason, self.close_code)

    def messages_to_send(self) -> list[bytes]:
        """Return the messages to send as text, in order, and forget them."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def _send(self, payload: bytes | memoryview) -> None:
        self._outbox.append(bytes(payload))

    def _start_closing(self, code: int, reason: str, now: float) -> None:
        super()._start_closing(code, reason, now)
        self.close_code, self.close_reason = code, reason

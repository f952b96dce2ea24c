"""Both ends of a WebSocket (RFC 6455): bytes in, whole messages out. It knows nothing of Kiwoom.

The protocol is the sans-I/O part of the `websockets` package: handshake, control frames, fragments, closing and every
error. A frame costs five times as much there as the rest of the hot path, so one kind of frame bypasses it: a whole,
unfragmented, unmasked text frame, on an open connection, at a frame boundary. It is sliced out of the bytes received.
Nearly everything that the server sends is of this kind.

To know the frame boundaries, the header of every frame is read here first. Any other frame is then passed to the
package as it arrives, to the end of the frame and not one byte further.

Size limit and UTF-8 validity (RFC 6455, 8.1: "When an endpoint is to interpret a byte stream as UTF-8 but finds that
the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_") apply on
both paths. A caller that recognises most messages can omit the check for those: see `receive_runs`.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CLOSED, CLOSING, CONNECTING, OPEN

from ..display import displayed
from ..errors import HandshakeError
from ..headers import MAX_ANSWER, describe_page, describe_redirect, read_retry_after, read_words
from ..secrets import Redaction, Secret
from .rfc6455 import PackageClient, PackageServer, UnshownRequest

_STATUS_LINE = re.compile(rb"HTTP/[0-9.]+ ([1-5][0-9][0-9]) ?([^\r\n]*)").match

__all__ = ("BinaryMessage", "WebSocketClient", "WebSocketServer")

_TEXT_FRAME = 0x81  # FIN, no reserved bit, opcode 1
_TEXT_FRAME_16 = 0x817E  # the same, and the next two bytes are the length: nearly all are
_read_head = struct.Struct(">HH").unpack_from
_CLOSE = 0x8
_END_OF_HEAD = b"\r\n\r\n"
_NOT_FOUND = 404

FRAMES, FRAME_SIZE = 1024, 64
"""Fragments and control frames accepted in one call: this many, and one more for each so many bytes. The package takes
10 µs for each of them, empty or not."""


class BinaryMessage(bytes):
    """A message received in binary frames. Any other message is text, valid UTF-8, as plain `bytes`."""


class _WebSocket:
    """What both ends share. `_protocol` is the package's object, which decides everything but the fast path."""

    def __init__(self, protocol: Any, max_size: int, *, masked: bool) -> None:
        self._protocol = protocol
        self._max_size = max_size
        self._masked = masked  # whether the peer's frames are: then none of them is fast
        self._head_tail: bytes | None = b""  # the last bytes of the handshake's head, in which its end may have begun
        self._held = bytearray()  # the beginning of a frame, held back until it is whole
        self._needed = 0  # how long `_held` must get
        self._passing = 0  # bytes of the current frame that still go to the package
        self.frames_passed = 0
        """Frames passed to the package so far: all frames of a client, few of a server."""
        self._fragments = bytearray()
        self._fragments_binary = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._messages: list[bytes] = []
        self._frames_left = 0  # in this call
        self.pong: bytes | None = None
        """Payload of the last pong received."""

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is OPEN

    @property
    def is_closing(self) -> bool:
        """Whether the closing handshake has started and the TCP connection is still needed."""
        return self._protocol.state is CLOSING

    @property
    def is_closed(self) -> bool:
        """Whether the WebSocket has ended, so that the TCP connection can be closed."""
        return self._protocol.state is CLOSED

    @property
    def close_received(self) -> Close | None:
        """Code and reason of the close frame received; code 1005 if it had none."""
        return cast("Close | None", self._protocol.close_rcvd)

    @property
    def close_sent(self) -> Close | None:
        """Code and reason of the close frame sent."""
        return cast("Close | None", self._protocol.close_sent)

    @property
    def error(self) -> Exception | None:
        """What the peer did wrong after the handshake, or None."""
        return cast("Exception | None", self._protocol.parser_exc)

    def receive_data(self, data: bytes | bytearray) -> list[bytes]:
        """Receive bytes and return the messages they complete, in order. Never raises for their content."""
        messages: list[bytes] = []
        for run in self.receive_runs(data):
            for message in run:
                if not self.check_text(message):
                    break
                messages.append(message)
        return messages

    def receive_runs(self, data: bytes | bytearray) -> Iterator[list[bytes]]:
        """As `receive_data`, but yield runs of messages with no other frame between them, not yet checked to be UTF-8.

        The caller must `check_text` every message that it does not recognise, ignore the rest of a run after one that
        is not text, and consume all runs: whatever a loop that ends early has not consumed is lost.
        """
        self._frames_left = frames = FRAMES + len(data) // FRAME_SIZE
        if self._held:
            if len(self._held) + len(data) < self._needed:
                self._held += data
                return
            data = bytes(self._held) + data
            self._held.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        position = 0
        protocol = self._protocol
        while 0 <= position < len(data):
            if protocol.state is CONNECTING or protocol.state is CLOSED:
                position = self._receive_outside(data, position)
            elif self._passing:
                position = self._pass_on(data, position)
            else:
                if protocol.state is OPEN and protocol.current_size is None and not self._masked:
                    position = self._slice_text_frames(data, position)
                    if self._messages:
                        yield self._pop_messages()
                if 0 <= position < len(data):
                    position = self._begin_passing(data, position)
                if self._frames_left < 0:
                    self._fail_flood(frames)
                    position = -1
            if self._messages:
                yield self._pop_messages()

    def check_text(self, message: bytes) -> bool:
        """Whether a message of a run is valid UTF-8. If not, the connection has failed (1007)."""
        if not isinstance(message, BinaryMessage):
            try:
                message.decode()
            except UnicodeDecodeError as error:
                self._fail_utf8(error)
                return False
        return True

    def _pop_messages(self) -> list[bytes]:
        messages, self._messages = self._messages, []
        return messages

    def _slice_text_frames(self, data: bytes, position: int) -> int:
        """Slice whole text frames up to the end or another kind of frame: the fast path.

        Called at a frame boundary of an open connection, outside fragments.

        Returns:
            The position reached; -1 if the rest was held back.
        """
        end = len(data)
        messages = self._messages
        max_size = self._max_size
        try:
            while position < end:
                head, length = _read_head(data, position)
                start = position + 4
                if head != _TEXT_FRAME_16:
                    if head >> 8 != _TEXT_FRAME:
                        break
                    length = head & 0xFF
                    start = position + 2
                    if length > 127:
                        break  # masked, which a server must not do
                    if length == 127:
                        start += 8
                        if start > end:
                            break
                        length = int.from_bytes(data[position + 2 : start], "big")
                stop = start + length
                if length > max_size:
                    break
                if stop > end:
                    return self._hold(data, position, stop - position)
                messages.append(data[start:stop])
                position = stop
        except struct.error:
            pass  # fewer than four bytes are left
        return position

    def receive_eof(self) -> None:
        """Receive the end of the stream. Repeating it does nothing."""
        self._held.clear()
        if not self._protocol.reader.eof:
            self._protocol.receive_eof()

    def send_text(self, payload: bytes | memoryview) -> None:
        """Send one text message. Legal while `is_open`."""
        self._protocol.send_text(payload)

    def send_ping(self, payload: bytes = b"") -> None:
        """Send a ping. Legal while `is_open`."""
        self._protocol.send_ping(payload)

    def send_close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Start the closing handshake. Legal while `is_open`."""
        self._protocol.send_close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """End the connection because of a fault, with a close frame if one can still be sent."""
        if not self.is_closed:
            self._protocol.fail(code, reason)

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network; empty if there are none."""
        return b"".join(self._protocol.data_to_send())

    def _hold(self, data: bytes, position: int, needed: int) -> int:
        self._held += data[position:]
        self._needed = needed
        return -1

    def _receive_outside(self, data: bytes, position: int) -> int:
        """Pass on what is not a frame: the handshake up to its end, or anything after the end of the connection."""
        cut = len(data)
        if self._head_tail is not None:
            window = self._head_tail + data[position:]
            found = window.find(_END_OF_HEAD)
            if found >= 0:
                cut = position + found + len(_END_OF_HEAD) - len(self._head_tail)
            self._head_tail = window[-len(_END_OF_HEAD) + 1 :] if found < 0 else None
        self._feed_outside(data[position:cut])
        return cut

    def _feed_outside(self, data: bytes) -> None:
        self._feed(data)

    def _begin_passing(self, data: bytes, position: int) -> int:
        """Read the header of a frame for the package. Returns -1 if it is not complete yet, and held."""
        available = len(data) - position
        if available < 2:
            return self._hold(data, position, 2)
        second = data[position + 1]
        length = second & 0x7F
        size = 2 + {126: 2, 127: 8}.get(length, 0)
        if available < size:
            return self._hold(data, position, size)
        if size > 2:
            length = int.from_bytes(data[position + 2 : position + size], "big")
        self._frames_left -= 1
        self._passing = size + (4 if second & 0x80 else 0) + length
        self.frames_passed += 1
        if data[position] & 0x0F == _CLOSE:
            # RFC 6455, 5.4: "Control frames MAY be injected in the middle of a fragmented message." The package
            # calls a close frame there a protocol error; it is a close frame like any other.
            self._protocol.current_size = None
        return position

    def _pass_on(self, data: bytes, position: int) -> int:
        stop = min(position + self._passing, len(data))
        self._passing -= stop - position
        self._feed(data[position:stop])
        return stop

    def _feed(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol.reader.eof:
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._receive_frame(event)
            else:
                self._receive_handshake(event)

    def _receive_frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is Opcode.PONG:
                self.pong = bytes(frame.data)
            return  # control frames: the package has answered
        if frame.opcode is not Opcode.CONT:
            self._fragments_binary = frame.opcode is Opcode.BINARY
        if not self._fragments_binary:
            try:
                self._utf8.decode(bytes(frame.data), frame.fin)
            except UnicodeDecodeError as error:
                self._fail_utf8(error)
                return
        self._fragments += frame.data
        if frame.fin:
            message = bytes(self._fragments)
            self._fragments.clear()
            self._messages.append(BinaryMessage(message) if self._fragments_binary else message)

    def _receive_handshake(self, event: Request | Response) -> None:
        raise NotImplementedError

    def _fail_flood(self, frames: int) -> None:
        """Fail because of so many frames without content that nothing else would have its turn."""
        text = f"more than {frames:,} fragments and control frames at once"
        self._protocol.fail(CloseCode.POLICY_VIOLATION, text)
        self._protocol.parser_exc = ProtocolError(text)

    def _fail_utf8(self, error: UnicodeDecodeError) -> None:
        self._protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        self._protocol.parser_exc = error


class WebSocketClient(_WebSocket):
    """The client's end.

    Args:
        url: "ws://..." or "wss://...", with the path.
        max_size: largest message accepted, in bytes.
        random_bytes: source of masks and key, for reproducible bytes; None uses the system's.
        redaction: what to mask in the server's words.
    """

    def __init__(
        self,
        url: str,
        *,
        max_size: int,
        random_bytes: Callable[[int], bytes] | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        super().__init__(PackageClient(url, max_size, random_bytes), max_size, masked=False)
        self._redaction = Redaction() if redaction is None else redaction
        self.response_headers: list[tuple[str, str]] = []
        """HTTP headers of the server's answer, once received."""
        self._path = urlsplit(url).path
        self._request: UnshownRequest | None = None
        self._answer = bytearray()  # as it came, as far as it is read
        self._is_too_long = False

    def connect(self, headers: Iterable[tuple[str, str | Secret]] = ()) -> None:
        """Send the opening handshake, with further HTTP headers."""
        plain = self._protocol.connect()
        request = UnshownRequest(plain.path, plain.headers)
        del plain
        for name, value in headers:
            request.headers[name] = value.reveal() if isinstance(value, Secret) else value
        self._request = request
        self._protocol.send_request(request)

    def connect_again(self) -> None:
        """Send the opening handshake again, in place of one that was never written."""
        if self._request is not None and self._protocol.state is CONNECTING:
            self._protocol.data_to_send()
            self._protocol.send_request(self._request)

    @property
    def handshake_error(self) -> HandshakeError | None:
        """Why the opening handshake failed; None if it has not."""
        error = self._protocol.handshake_exc
        if error is None:
            return None
        if isinstance(error, InvalidStatus) and not self._is_too_long:
            response = error.response
            headers = list(response.headers.raw_items())
            return self._refusal(response.status_code, response.reason_phrase, headers, response.body or b"")
        if self._is_too_long or (isinstance(error.__cause__, EOFError) and self._protocol.reader.eof):
            head, end, body = bytes(self._answer).partition(_END_OF_HEAD)
            status = _STATUS_LINE(head)
            if end and status and status[1] != b"101":  # the end of its body did not come, and does not matter
                fields = [line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:]]
                headers = [(name, value.strip()) for name, _, value in fields]
                return self._refusal(int(status[1]), status[2].decode("latin-1"), headers, body)
            if self._is_too_long:
                return HandshakeError(f"the opening handshake failed: the answer has more than {MAX_ANSWER:,} bytes")
            return HandshakeError("the server closed the connection during the opening handshake")
        cause = f": {error.__cause__}" if error.__cause__ is not None else ""
        said = self._redaction.words(f"{error}{cause}")
        return HandshakeError(f"the opening handshake failed: {displayed(said)}")

    def _refusal(
        self, status: int, phrase: str, headers: list[tuple[str, str]], body: bytes | bytearray
    ) -> HandshakeError:
        masked = self._redaction.words
        text = f"the opening handshake was answered HTTP {status}"
        text += f" {displayed(masked(phrase))} instead of 101" if phrase else " instead of 101"
        if status == _NOT_FOUND:
            text += f" (the path is {displayed(masked(self._path))}; Kiwoom's are in PRODUCTION and MOCK)"
        is_redirect = status // 100 == 3
        words = describe_redirect(headers) if is_redirect else describe_page(headers, body) or read_words(body)
        text += f": {displayed(masked(words))}" if words else ""
        return HandshakeError(text, status, bytes(body), read_retry_after(headers))

    def _feed_outside(self, data: bytes) -> None:
        if self._protocol.state is not CONNECTING:
            self._feed(data)
            return
        if self._protocol.handshake_exc is not None:
            return  # what comes after a failure means nothing
        read = data[: MAX_ANSWER - len(self._answer)]
        self._answer += read
        self._feed(read)
        if len(read) < len(data) and self._protocol.state is CONNECTING and self._protocol.handshake_exc is None:
            self._is_too_long = True
            self.receive_eof()

    def _receive_handshake(self, event: Request | Response) -> None:
        assert isinstance(event, Response)
        self._request = None  # not needed again, so not kept
        self.response_headers = list(event.headers.raw_items())
        self._answer.clear()


class WebSocketServer(_WebSocket):
    """The server's end. Accepts every valid opening handshake, unless `on_request` refuses it.

    Args:
        max_size: largest message accepted, in bytes.
        too_large: the reason in the close frame (1009) for a larger one; "" uses the package's.
        on_request: called with path and headers of the request; returns the HTTP status to answer with (101 to
            accept) and further headers of the answer.
    """

    def __init__(
        self,
        *,
        max_size: int,
        on_request: Callable[[str, list[tuple[str, str]]], tuple[int, list[tuple[str, str]]]],
        too_large: str = "",
    ) -> None:
        super().__init__(PackageServer(max_size, too_large), max_size, masked=True)
        self._on_request = on_request
        self.refusal = ""
        """The body of the answer to a handshake that `on_request` refuses; "" uses the HTTP status."""

    @property
    def error(self) -> Exception | None:
        """What the client did wrong, in the opening handshake or after it, or None."""
        return cast("Exception | None", self._protocol.handshake_exc or super().error)

    @property
    def ends_connection(self) -> bool:
        """Whether to close the TCP connection once everything is written; the server closes it first."""
        return bool(self._protocol.eof_sent)

    def _receive_handshake(self, event: Request | Response) -> None:
        assert isinstance(event, Request)
        protocol = self._protocol
        response = protocol.accept(event)
        if response.status_code == 101:
            status, headers = self._on_request(event.path, list(event.headers.raw_items()))
            if status != 101:
                response = protocol.reject(status, self.refusal or f"HTTP {status}\n")
            for name, value in headers:
                response.headers[name] = value
        del response.headers["Date"]  # the clock is not ours to read
        protocol.send_response(response)

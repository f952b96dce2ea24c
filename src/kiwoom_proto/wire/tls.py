"""TLS without I/O: ciphertext in and out on one side, whatever speaks plaintext on the other.

THEORY OF OPERATION

    network  --receive_data-->  Tls  --receive_data-->  ClientConnection, Session, TokenCall, ClientLink
    network  <--data_to_send--  Tls  <--data_to_send--  the same

`Tls` stands between a stream and an object that takes and gives bytes, and offers the same three methods itself. So a
driver speaks TLS by driving the `Tls` in place of the object:

    link = Tls(connection, endpoint.host) if endpoint.secure else connection

OpenSSL does the work, over two memory buffers (`ssl.MemoryBIO`). All records of one read reach the object in one call.

* Until the handshake is done, nothing is asked of the object and nothing reaches it: the peer is not yet known.
* Nothing here raises for what the peer does. A handshake or record that fails ends the connection; the object gets the
  reason through `receive_eof`, and the alert for the peer is in `data_to_send`. A certificate that is refused is told
  in `CertificateWords`, since another attempt would end the same.
* EOF without close_notify is EOF: WebSocket and HTTP know by themselves whether they were cut.

This is the only module of the package that loads ssl, and nothing imports it but where TLS is used.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from typing import Protocol

from ..errors import CertificateWords, LocalProtocolError
from ..secrets import OpaqueBuffer

__all__ = ("Inner", "Tls")

_CURE = "check the host and this machine's clock, or trust the authority with ssl_context"

RECORD_SIZE = 16_384
"""Maximum plaintext of one record, bytes (RFC 8446, section 5.1)."""


class Inner(Protocol):
    """What `Tls` carries the plaintext of: `ClientConnection`, `Session`, `TokenCall`, a simulator `ClientLink`."""

    @property
    def receive_data(self) -> Callable[..., None]:
        """Takes plaintext, and what else was given to `Tls.receive_data`."""

    @property
    def receive_eof(self) -> Callable[[str | None], None]:
        """Takes the end of the stream, and the reason if it is an error."""

    def data_to_send(self) -> bytes | memoryview:
        """Return the plaintext to send, and forget it."""


class Tls:
    """One TLS connection. Single use: make one for each stream, once the stream exists.

    Args:
        inner: receives the plaintext, and is asked for the plaintext to send.
        host: host name or IP address that the server's certificate must be valid for; unused at the server's end.
        context: TLS settings. Defaults to verifying against the system's trust store. Check a context of your own with
            `Endpoint.check_tls`.
        server_side: True at the server's end, which needs a context with a certificate.

    Raises:
        LocalProtocolError: the host name is not one that can be verified.
    """

    def __init__(
        self, inner: Inner, host: str = "", context: ssl.SSLContext | None = None, *, server_side: bool = False
    ) -> None:
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        context = _default_context() if context is None else context
        try:
            self._object = context.wrap_bio(
                self._incoming, self._outgoing, server_side=server_side, server_hostname=None if server_side else host
            )
        except (ValueError, TypeError) as error:  # too long, empty, or with a NUL in it
            raise LocalProtocolError(f"host: {host!r} cannot be verified: {error}") from error
        self._plaintext = memoryview(bytearray(2 * RECORD_SIZE))  # reused; a memoryview shows nothing of what is in it
        self._unsent = OpaqueBuffer()  # plaintext that OpenSSL did not take yet
        self._is_open = False
        self._is_over = False
        self._has_failed = False
        self._shake_hands()

    @property
    def is_open(self) -> bool:
        """Whether the handshake was completed: at the client's end, the server's identity is verified."""
        return self._is_open

    @property
    def has_failed(self) -> bool:
        """Whether the handshake or a record failed: nothing but an alert can be sent any more."""
        return self._has_failed

    @property
    def wants_write(self) -> bool:
        """Whether TLS itself has bytes to send: a handshake, an alert, an answer to a key update."""
        return self._outgoing.pending > 0

    def receive_data(self, data: bytes | bytearray | memoryview, *received_at: int) -> None:
        """Take bytes from the network, and hand their plaintext to the inner object.

        After calling this method you must write what `data_to_send` returns. Never raises for what the bytes hold;
        after the end they are ignored.

        Args:
            data: any number of bytes.
            received_at: passed on with the plaintext: when it was received, nanoseconds since the epoch.
        """
        if self._is_over:
            return
        self._incoming.write(data)
        if self._is_open or self._shake_hands():
            self._read(received_at)

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream. Repeating it does nothing.

        Args:
            error: what the network said if it failed: "connection reset by peer". None for a plain EOF.
        """
        if self._is_over:
            return
        if error is None and not self._is_open:
            error = "the server ended the connection during the TLS handshake"
        self._end(error)

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty: nothing.

        Call it when there is a stream to write them to. It takes what the inner object has to send.
        """
        if self._is_open and not self._has_failed:
            if data := memoryview(self._inner.data_to_send()):  # a memoryview shows no token
                self._unsent += data
            if self._unsent:
                self._write()
        return self._outgoing.read()

    def close(self) -> None:
        """Announce that nothing more will be sent: `data_to_send` ends with close_notify. Closing without is legal."""
        if self._is_open and not self._has_failed:
            try:
                self._object.unwrap()
            except ssl.SSLError:
                pass  # the peer's close_notify has not arrived, and need not

    def __repr__(self) -> str:
        state = "closed" if self._is_over else "open" if self._is_open else "in the handshake"
        return f"<Tls over {self._inner!r}, {state}>"

    # Inside.

    def _shake_hands(self) -> bool:
        """Go on with the handshake. True: it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            self._fail(error)
            return False
        self._is_open = True
        return True

    def _read(self, received_at: tuple[int, ...]) -> None:
        """Decrypt everything that has arrived, and hand it over in one piece."""
        incoming = self._incoming
        read: Callable[[int, memoryview], int] = self._object.read  # type: ignore[assignment]  # as with a bytearray
        plaintext = self._plaintext
        if incoming.pending + RECORD_SIZE > len(plaintext):  # OpenSSL holds at most the beginning of one record
            plaintext = self._plaintext = memoryview(bytearray(incoming.pending + RECORD_SIZE))
        size = 0
        failure: ssl.SSLError | None = None
        is_over = False
        try:
            while incoming.pending and not is_over:
                count = read(RECORD_SIZE, plaintext[size:])
                size += count
                is_over = not count  # close_notify
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still to come
        except ssl.SSLZeroReturnError:
            is_over = True
        except ssl.SSLError as error:
            failure = error
        if size:
            self._inner.receive_data(bytes(plaintext[:size]), *received_at)
        if failure is not None:
            self._fail(failure)
        elif is_over:
            self._end(None)

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._object.write(self._unsent)]
        except ssl.SSLWantReadError:
            pass  # a renegotiation: the rest goes once the peer has answered
        except ssl.SSLError as error:
            self._fail(error)

    def _fail(self, error: ssl.SSLError) -> None:
        self._has_failed = True
        self._unsent.clear()
        words = str(error) or type(error).__name__
        if isinstance(error, ssl.SSLCertVerificationError):
            words = CertificateWords(f"{words}; {_CURE}")
        self._end(words)

    def _end(self, error: str | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._inner.receive_eof(error)


@functools.cache
def _default_context() -> ssl.SSLContext:
    """Return a context that verifies against the system's trust store. Loading that takes milliseconds."""
    return ssl.create_default_context()

"""The bytes of one connection, between a socket and the client: in plaintext, or over TLS.

A socket drives either in the same way: `receive_data`, `receive_eof`, and `data_to_send` while `has_outgoing`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from ..endpoint import Endpoint
from ..wire.tls import Tls

__all__ = ("SecureWire", "Wire")


class Wire:
    """Plaintext.

    Args:
        endpoint: where the connection goes.
        outgoing: bytes to send; what is sent is removed.
        receive_data: called with received bytes.
        receive_eof: called at the end of the stream, with what the network said if it failed.

    Attributes:
        receive_data: as above; nothing stands in between.
        tls: what the bytes go through before; None if nothing.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        outgoing: bytearray,
        receive_data: Callable[[bytes | bytearray], None],
        receive_eof: Callable[[str | None], None],
    ) -> None:
        self.receive_data = receive_data
        self.tls: Tls | None = None
        self._endpoint = endpoint
        self._outgoing = outgoing
        self._receive_eof = receive_eof

    @property
    def has_outgoing(self) -> bool:
        """Whether there is something to send."""
        return bool(self._outgoing)

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream.

        Args:
            error: what the network said if it failed.
        """
        if error is not None and self.tls is not None and not self.tls.is_open:
            error = f"could not connect to {self._endpoint}: {error}"
        self._receive_eof(error)

    def data_to_send(self) -> memoryview:
        """Return the bytes to write to the network, and forget them. A memoryview does not show the token in them."""
        data = memoryview(bytes(self._outgoing))
        self._outgoing.clear()
        return data


class SecureWire:
    """TLS around a `Wire`.

    Args:
        wire: the plaintext.
        host: host name or IP address to verify.
        context: TLS settings; None verifies against the system's trust store.
        wake_writer: called after a read when there is something to send, because TLS answers by itself.
    """

    def __init__(self, wire: Wire, host: str, context: ssl.SSLContext | None, wake_writer: Callable[[], None]) -> None:
        self._wire = wire
        self._tls = wire.tls = Tls(wire, host, context)
        self._wake_writer = wake_writer

    @property
    def has_outgoing(self) -> bool:
        """Whether there is something to send that may be sent by now."""
        tls = self._tls
        return tls.wants_write or (self._wire.has_outgoing and tls.is_open and not tls.has_failed)

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes from the network."""
        self._tls.receive_data(data)
        if self.has_outgoing:
            self._wake_writer()

    def receive_eof(self, error: str | None = None) -> None:
        """Take the end of the stream.

        Args:
            error: what the network said if it failed.
        """
        self._tls.receive_eof(error)

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them."""
        return self._tls.data_to_send()

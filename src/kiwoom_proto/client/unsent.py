"""Unsent: the bytes of one session that wait to be written to its present connection."""

from __future__ import annotations

from ..secrets import OpaqueBuffer
from ..session.connector import LinkNeeded
from ..session.session import Session

__all__ = ("UNSENT_LIMIT", "Unsent")

UNSENT_LIMIT = 1024 * 1024
"""Maximum bytes (mostly answers to pings) queued for a server that does not read."""


class Unsent:
    """The outgoing bytes of a session.

    Args:
        session: the session.

    Attributes:
        session: as given.
        data: bytes to write to the present connection; the driver removes what it has written. Each connection has a
            buffer of its own, so that bytes of the previous one never reach the next.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.data: bytearray = OpaqueBuffer()
        self._epoch = 0

    def collect(self) -> bool:
        """Take the session's outgoing bytes. Return whether there were any."""
        session = self.session
        # An opening handshake may hold the token, and a memoryview does not show it. Mostly there is nothing to send.
        data: bytes | memoryview
        data = (data := session.data_to_send()) and memoryview(data)
        if session.epoch != self._epoch:
            self._epoch = session.epoch
            self.data = OpaqueBuffer()
        if not data:
            return False
        self.data += data
        return True

    def check(self) -> bool:
        """End the connection if its server does not read. Return whether that was so."""
        if len(self.data) <= UNSENT_LIMIT or not isinstance(self.session.needs, LinkNeeded):
            return False
        self.session.receive_eof("the server does not read what it is sent")
        return True

"""What a conversation wants to have sent: messages, and pings of RFC 6455. What is sent is tapped here."""

from __future__ import annotations

from .capture import Capture

__all__ = ("Outbox",)


class Outbox:
    """Messages and pings that wait to be sent, in order.

    Args:
        sends_pings: whether the WebSocket sends pings; otherwise `add_ping` does nothing.
        capture: what keeps the messages; None keeps nothing.

    Attributes:
        has_output: whether there is anything to send, the closing handshake included, since this was last set False.
    """

    __slots__ = ("_capture", "_messages", "_pings", "_sends_pings", "has_output")

    def __init__(self, *, sends_pings: bool, capture: Capture | None = None) -> None:
        self.has_output = False
        self._messages: list[bytes | memoryview] = []
        self._pings: list[bytes] = []
        self._sends_pings = sends_pings
        self._capture = capture

    def add(self, payload: bytes | memoryview) -> None:
        """Queue a message. A LOGIN is a memoryview, which shows no token."""
        self._messages.append(payload)
        self.has_output = True
        if self._capture is not None:
            self._capture.note_sent(payload)

    def add_ping(self, payload: bytes = b"") -> None:
        """Queue a ping of RFC 6455."""
        if self._sends_pings:
            self._pings.append(payload)
            self.has_output = True

    def pop_messages(self) -> list[bytes | memoryview]:
        """Return the messages, and forget them."""
        messages, self._messages = self._messages, []
        return messages

    def pop_pings(self) -> list[bytes]:
        """Return the payloads of the pings, and forget them."""
        pings, self._pings = self._pings, []
        return pings

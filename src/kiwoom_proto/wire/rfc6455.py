"""The sans-I/O protocols of the `websockets` package, as `websocket` uses them: silent, with chosen random bytes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import LoggerLike
from websockets.uri import parse_uri
from websockets.utils import apply_mask

from ..errors import LocalProtocolError

__all__ = ("PackageClient", "PackageServer", "UnshownRequest", "check_close")


def check_close(code: int, reason: str) -> None:
    """Check that RFC 6455 allows a close frame to be sent.

    Raises:
        LocalProtocolError: names what is wrong.
    """
    try:
        size = len(Close(code, reason).serialize()) - 2
    except (ProtocolError, struct.error, TypeError, AttributeError, UnicodeEncodeError):
        raise LocalProtocolError(
            f"code: {code!r} is not a close code that can be sent, or the reason is not a str"
        ) from None
    if size > 123:
        raise LocalProtocolError(f"reason: has {size} bytes, the limit is 123")


class _Quiet:
    """A logger that logs nothing: the package would log every header, the authorization included."""

    def isEnabledFor(self, level: int) -> bool:
        return False

    def debug(self, *args: object, **kwargs: object) -> None: ...

    info = error = warning = debug


_QUIET = cast(LoggerLike, _Quiet())


class PackageClient(ClientProtocol):
    """The package's client with its masks and key drawn from an injected source."""

    def __init__(self, url: str, max_size: int, random_bytes: Callable[[int], bytes] | None) -> None:
        super().__init__(parse_uri(url), max_size=max_size, logger=_QUIET)
        self.random_bytes = random_bytes
        if random_bytes is not None:
            self.key = base64.b64encode(random_bytes(16)).decode()

    def send_frame(self, frame: Frame) -> None:
        if self.random_bytes is None:
            super().send_frame(frame)
            return
        # The same frame without a mask has the same header but for the mask bit.
        mask = self.random_bytes(4)
        plain = memoryview(frame.serialize(mask=False))  # which shows nothing: a LOGIN holds the token
        head = len(plain) - len(frame.data)
        parts = (plain[:1], bytes([plain[1] | 0x80]), plain[2:head], mask, apply_mask(frame.data, mask))
        self.writes.append(b"".join(parts))


class UnshownRequest(Request):
    """The opening handshake, whose headers may hold a token."""

    def __repr__(self) -> str:
        return "<opening handshake>"


class PackageServer(ServerProtocol):
    """The package's server, which closes on a message that is too large with its owner's reason."""

    def __init__(self, max_size: int, too_large: str) -> None:
        super().__init__(max_size=max_size, logger=_QUIET)
        self.too_large = too_large

    def fail(self, code: int, reason: str = "") -> None:
        super().fail(code, self.too_large or reason if code == CloseCode.MESSAGE_TOO_BIG else reason)

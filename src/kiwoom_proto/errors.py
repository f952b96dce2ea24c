"""What can go wrong.

Three families, told apart by whose fault it is:

    KiwoomError
    ├── LocalProtocolError     the caller asked for something illegal; nothing was sent, nothing changed
    │   └── QuotaExceeded      ... for more items than one connection may have
    ├── RemoteProtocolError    the server broke the protocol
    │   └── HandshakeError     ... in the opening handshake (an HTTP error instead of 101, say)
    ├── FieldError             a field does not hold what its type should hold
    │   └── ElementError       ... an element of a REST reply
    ├── RecordingError         a file or line is no recording that this version reads, or cannot be written
    ├── LoginRefused           the server refused the LOGIN
    ├── TokenError             no access token could be obtained
    │   └── TokenRefused       ... because the server refused
    ├── TakenOver              the same app key logged in elsewhere
    ├── PoolLost               every session of a pool has ended
    ├── DeadlineExceeded       a phase of the connection took longer than configured
    ├── TransportError         the network failed: no such host, refused, reset, TLS
    │   └── CertificateRefused ... because the server's certificate is not one to trust
    └── ClosedByPeer           the other side ended the connection

What only clients raise is in client/errors.py: RequestRefused, RequestTimeout, BufferOverflow, ConnectionLost.

Receiving never raises for the server's faults: they travel inside events, the last of which is `Closed`. The clients
turn that into exceptions, at the call that waits.

Secrets (tokens, keys, account numbers) are never part of a message; see `secrets`. `str()` and `repr()` are fit for a
terminal and bounded in length (see `display`); attributes hold the exact text.
"""

from __future__ import annotations

import msgspec

from .codes import Remedy, explain_code, remedy_of
from .display import MEMBER_LIMIT, MESSAGE_LIMIT, displayed, quoted
from .secrets import MASK, redact

__all__ = (
    "UNREADABLE",
    "CertificateRefused",
    "CertificateWords",
    "ClosedByPeer",
    "DeadlineExceeded",
    "ElementError",
    "FieldError",
    "HandshakeError",
    "KiwoomError",
    "LocalProtocolError",
    "LoginRefused",
    "PoolLost",
    "QuotaExceeded",
    "RecordingError",
    "RemoteProtocolError",
    "TakenOver",
    "TokenError",
    "TokenRefused",
    "TransportError",
    "network_error",
)


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bad input. RecursionError: it is nested too deeply."""


class KiwoomError(Exception):
    """Base of everything this library raises."""

    def __str__(self) -> str:
        return displayed(self._text(), MESSAGE_LIMIT)

    def __repr__(self) -> str:
        args = ", ".join(quoted(arg, MEMBER_LIMIT) for arg in self.args)
        return displayed(f"{type(self).__name__}({args})", MESSAGE_LIMIT)

    def _text(self) -> str:
        """Return the message, which `str()` makes fit to be shown."""
        return super().__str__()


class LocalProtocolError(KiwoomError, ValueError):
    """The caller did something illegal. Nothing was sent, and nothing changed."""


class QuotaExceeded(LocalProtocolError):
    """The call would exceed the item quota of the connection, or of a group. Nothing was sent.

    Attributes:
        limit: the quota, in items.
        used: items in use already.
        asked: items that the call would have added.
        source: the origin of the limit: "ClientConfig.item_limit", "Endpoint.item_limit", or a refusal of the
            server that named it.
        group: the group with this limit; "" for the whole connection.
    """

    def __init__(
        self, limit: int, used: int, asked: int, source: str = "ClientConfig.item_limit", group: str = ""
    ) -> None:
        super().__init__(limit, used, asked, source, group)
        self.limit = limit
        self.used = used
        self.asked = asked
        self.source = source
        self.group = group

    def _text(self) -> str:
        return (
            f"items{f' of group {self.group}' if self.group else ''}: {self.used} of {self.limit} are in use and "
            f"{self.asked} more were asked for, {self.used + self.asked - self.limit} too many ({self.source}; a stock "
            "counts once for each of KRX, NXT and SOR, however many types it has): subscribe to fewer items, or pass "
            "several app keys: token=[key, other]"
        )


class RemoteProtocolError(KiwoomError):
    """The server violated the protocol."""


class HandshakeError(RemoteProtocolError):
    """The opening handshake failed.

    Attributes:
        status: HTTP status code of the answer; None if there was none.
        body: the body of the answer, exact bytes; of an answer of more than 64 KiB, the beginning.
        retry_after: seconds to wait, as the server asks (Retry-After); None if it does not.
    """

    def __init__(
        self, message: str, status: int | None = None, body: bytes = b"", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class FieldError(KiwoomError, ValueError):
    """The value of a field cannot be read as its type declares.

    Attributes:
        type_code: the real-time type, "0E".
        fid: the field's number, "131".
        name: the field's English name, "ask_quantity".
        text: the exact value received. The message masks what may be a secret, and all of it if it may be an account
            number. None if the row cannot be read at all.
        reason: what is wrong with such a row; else "".
    """

    def __init__(
        self, type_code: str, fid: str, name: str, text: str | None, reason: str = "", *, masked: bool = False
    ) -> None:
        shown = text if text is None else redact(text)
        super().__init__(type_code, fid, name, MASK if masked else shown, reason)
        self.type_code = type_code
        self.fid = fid
        self.name = name
        self.text = text
        self.reason = reason
        self._masked = masked

    def _text(self) -> str:
        text = "a text not shown" if self._masked else quoted(self.args[3])
        field = f"type {self.type_code}, FID {self.fid}" + (f" ({self.name})" if self.name else "")
        return f"{field}: {self.reason or f'{text} is not a value of this field'}"


class ElementError(FieldError):
    """The text of an element of a REST reply cannot be read as its kind of value.

    Attributes:
        api_id: the TR, "ka10004".
        element: the name of the element, "cur_prc".
        label: its Korean label, "현재가".
        text: the exact text received. The message masks what may be a secret, and all of it if it may be an account
            number.
    """

    def __init__(self, api_id: str, element: str, label: str, text: str, *, masked: bool = False) -> None:
        super().__init__(api_id, "", element, text, masked=masked)
        self.api_id = api_id
        self.element = element
        self.label = label

    def _text(self) -> str:
        text = "a text not shown" if self._masked else quoted(self.args[3])
        label = f" ({self.label})" if self.label else ""
        return f"{self.api_id}, element {self.element}{label}: {text} is not a value of this element"


class RecordingError(KiwoomError, ValueError):
    """A file or line is no recording that this version reads, or a recording cannot be written or repaired."""


class LoginRefused(KiwoomError):
    """The server refused the LOGIN.

    Attributes:
        code: `return_code` of the reply, as a str.
        reason: the code inside the message ("8005"), more specific than `code`; None if there is none.
        message: `return_msg`, as received, with what may be a token masked.
    """

    def __init__(self, code: str, message: str, reason: str | None = None) -> None:
        super().__init__(code, message, reason)
        self.code = code
        self.message = message
        self.reason = reason

    @property
    def remedy(self) -> Remedy | None:
        """What to do: get another token, retry later, or give up; None if the code is unknown."""
        return remedy_of(self.reason or self.code)

    def _text(self) -> str:
        return f"login refused with code {explain_code(self.code, self.message, self.reason)}"


class TokenError(KiwoomError):
    """No access token could be obtained."""


class TokenRefused(TokenError):
    """The server refused to issue, or to revoke, a token.

    Attributes:
        code: `return_code` of the answer, as a str; "" if it has none, as an HTML page during maintenance.
        message: `return_msg`, as received, or what is wrong with the answer.
        status: HTTP status code.
        reason: the code inside the message ("8001"), more specific than `code`; None if there is none.
        retry_after: seconds to wait, as the server asks (Retry-After); None if it does not.
    """

    def __init__(
        self, code: str, message: str, status: int, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(code, message, status, reason)
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def remedy(self) -> Remedy | None:
        """What to do: get another token, retry later, or give up; None if the code is unknown."""
        return remedy_of(self.reason or self.code)

    def _text(self) -> str:
        text = f"no token: HTTP {self.status}"
        if self.code:
            return f"{text}, code {explain_code(self.code, self.message, self.reason)}"
        return f"{text}: {displayed(self.message)}" if self.message else text


class PoolLost(KiwoomError):
    """Every session of a pool has ended.

    Attributes:
        errors: why, one for each token in their order; None for one that was asked to end.
    """

    def __init__(self, errors: tuple[KiwoomError | None, ...]) -> None:
        super().__init__(errors)
        self.errors = errors

    def _text(self) -> str:
        reasons = (f"token {index}: {error or 'closed'}" for index, error in enumerate(self.errors))
        text = f"every token is lost: {'; '.join(reasons)}"
        if len(self.errors) == 2 and all(isinstance(error, LoginRefused) for error in self.errors):
            text += ". An app key and its secret are one token: AppKey(key, secret)"
        return displayed(text, MESSAGE_LIMIT)


class TakenOver(KiwoomError):
    """The same app key logged in elsewhere (R10001), and the takeover policy says to let it.

    Attributes:
        times: how often that happened in a row.
    """

    def __init__(self, times: int) -> None:
        super().__init__(times)
        self.times = times

    def _text(self) -> str:
        often = "" if self.times == 1 else f" {self.times} times in a row"
        return (
            f"the same app key logged in elsewhere (R10001){often}, which ends this session: two programs with one key "
            "would throw each other out for ever. Give each an app key of its own, or choose another "
            "ClientConfig.takeover"
        )


_PHASES = {
    "connect": "cannot log in",
    "token": "no access token came",
    "open": "the opening handshake did not finish",
    "login": "the LOGIN was not answered",
    "ack": "a request was not acknowledged",
    "idle": "nothing was received",
    "close": "the closing handshake did not finish",
}


class DeadlineExceeded(KiwoomError, TimeoutError):
    """A phase of the connection took too long.

    Attributes:
        phase: "connect", "token", "open", "login", "ack", "idle" or "close".
        seconds: the limit, as configured.
        last: why the last attempt failed, if the phase is "connect" and there was one; else None.
        what: what did not happen, if the phase does not say it; else "".
    """

    def __init__(self, phase: str, seconds: float, last: KiwoomError | None = None, *, what: str = "") -> None:
        super().__init__(phase, seconds)
        self.phase = phase
        self.seconds = seconds
        self.last = last
        self.what = what
        self.__cause__ = last

    def _text(self) -> str:
        text = f"{self.what or _PHASES[self.phase]} within {self.seconds:g} s ({self.phase}_timeout)"
        if self.last is None:
            return text
        wait = getattr(self.last, "retry_after", None)
        asked = "" if wait is None else f"; the server asks to wait {wait:g} s"
        return f"{text}; the last attempt failed: {self.last}{asked}"


class TransportError(KiwoomError):
    """The network failed: no such host, refused, reset, a TLS record that was changed ..."""


class CertificateRefused(TransportError):
    """The server's certificate is not one to trust. Another attempt would end the same."""

    remedy = Remedy.STOP


class CertificateWords(str):
    """Why a certificate was refused, where `receive_eof` takes the network's words. What is said so is final."""

    __slots__ = ()


def network_error(words: str) -> TransportError:
    """Return the error that the network's words stand for."""
    return CertificateRefused(words) if isinstance(words, CertificateWords) else TransportError(words)


class ClosedByPeer(KiwoomError):
    """The peer ended the connection, with a close frame or without. Code 1000 is no success here."""

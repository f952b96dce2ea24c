"""What a connection reports beside rows: of its opening, of requests, and of its end."""

from __future__ import annotations

from typing import Any

import attrs
from websockets.frames import CLOSE_CODE_EXPLANATIONS

from ..codes import RETURN_CODES, explain_code
from ..display import MESSAGE_LIMIT, displayed, quoted
from ..errors import ClosedByPeer, KiwoomError
from ..headers import ResponseHeader
from ..realtime.conditions import Condition, ConditionRow, UsConditionRow
from ..realtime.record import Record
from ..realtime.traits import Scope
from ..request import Request, number_of
from ..secrets import redact
from ..symbol import Symbol
from .numbered import Numbered

__all__ = (
    "Closed",
    "ConditionList",
    "ConditionResult",
    "LoggedIn",
    "LoginRefusal",
    "Opened",
    "RequestAccepted",
    "RequestRefusal",
    "RequestUnanswered",
    "SystemNotice",
    "UnknownMessage",
)


@attrs.frozen(repr=False)
class Opened(Numbered):
    """The opening handshake succeeded; LOGIN was sent.

    Attributes:
        header: the documented header elements of the server's answer.
    """

    header: ResponseHeader


@attrs.frozen(repr=False)
class LoggedIn(Numbered):
    """The LOGIN was accepted; waiting requests are sent now.

    Attributes:
        members: the other members of the reply: {"sor_yn": "Y"}.
    """

    members: dict[str, Any]


@attrs.frozen(repr=False)
class LoginRefusal(Numbered):
    """The LOGIN was refused; the connection closes.

    Attributes:
        code: `return_code`, as a str.
        message: `return_msg`, as received, with what may be a token masked.
        reason: the code inside the message ("8005"), which is more specific; None if there is none.
    """

    code: str
    message: str
    reason: str | None


@attrs.frozen(repr=False)
class RequestAccepted(Numbered):
    """Every message of a request was acknowledged. "The ack validates nothing" [measured]: nonsense is accepted too."""

    request: Request


@attrs.frozen(repr=False)
class RequestRefusal(Numbered):
    """A request was refused.

    Attributes:
        request: the request; `request.confirmed` of its messages had been accepted before.
        code: `return_code`, as a str; "" if the session refused it itself, because another call replaced it.
        message: `return_msg`, as received.
    """

    request: Request
    code: str
    message: str

    @property
    def reason(self) -> str:
        """Code and message in one."""
        return ": ".join(filter(None, (self.code, self.message)))


@attrs.frozen(repr=False)
class RequestUnanswered(Numbered):
    """A condition request was not answered in time. The connection stays. `str()` explains it.

    Attributes:
        request: the request.
        seconds: the limit (`ClientConfig.ack_timeout`).
        delay: seconds until a session asks again, for a live search that is still wanted; None if it does not on this
            connection.
    """

    request: Request
    seconds: float
    delay: float | None = None

    def __str__(self) -> str:
        again = "" if self.delay is None else f"; asking again in {self.delay:g} s"
        return f"{self.request} was not answered within {self.seconds:g} s (ack_timeout){again}"


@attrs.frozen(repr=False)
class ConditionList(Numbered):
    """The answer to `list_conditions`; `RequestAccepted` follows.

    Attributes:
        request: the request it answers.
        conditions: the saved conditions (조건식), in the server's order.
    """

    request: Request
    conditions: tuple[Condition, ...]


@attrs.frozen(repr=False)
class ConditionResult(Numbered):
    """The answer to `search_condition`; `RequestAccepted` follows.

    Attributes:
        request: the request it answers.
        seq: the condition's number, without padding.
        rows: the rows found by a one-time search; empty for a live one.
        symbols: the stocks found, by either.
        next_key: the key of the next page; None on the last page.
        members: the members of the reply, as received.
    """

    request: Request
    seq: str
    rows: tuple[ConditionRow | UsConditionRow, ...]
    symbols: tuple[Symbol, ...]
    next_key: str | None = attrs.field(repr=lambda key: quoted(key and redact(key)))
    members: dict[str, Any] = attrs.field(factory=dict, repr=False)

    def matches(self, record: Record) -> bool:
        """Return whether a row is a push of this live search: type 02 or S2, with its number."""
        number = record.fid("841") if record.scope is Scope.CONDITION else None
        return number is not None and number_of(number) == number_of(self.seq)


@attrs.frozen(repr=False)
class SystemNotice(Numbered):
    """A SYSTEM message: the server's word on the connection, usually just before it closes it. `str()` explains it.

    Attributes:
        code: "R10001" (same app key elsewhere), "R10002" (no PING answer), "R10004" (no valid LOGIN) ...
        message: its message, as received.
        members: its other members.
    """

    code: str
    message: str
    members: dict[str, Any] = attrs.field(factory=dict, repr=False)

    @property
    def meaning(self) -> str:
        """The meaning of the code, in English; the message itself if the code is unknown."""
        known = RETURN_CODES.get(self.code)
        return known.meaning if known else self.message

    def __str__(self) -> str:
        return explain_code(self.code, self.message)


@attrs.frozen(repr=False)
class UnknownMessage(Numbered):
    """A message, or one row of a message, that could not be understood. The stream continues.

    Attributes:
        payload: its exact bytes. Not shown in the repr: it may hold anything.
        error: what was wrong with it.
    """

    payload: bytes = attrs.field(repr=lambda payload: f"<{len(payload)} bytes>")
    error: str


@attrs.frozen(repr=False)
class Closed(Numbered):
    """The connection, or session, has ended. Always the last event, and exactly one. `str()` explains it.

    Attributes:
        code: the close code received; 1006 if the connection ended without one.
        reason: the reason received with it. The server sends 1000 "Bye" for nearly everything, so look at `system`.
        error: what went wrong; None if `close()` was called.
        sent_code: the close code sent, or None.
        system: the last SYSTEM message, in which the server says why it closes; or None.
    """

    code: int
    reason: str
    error: KiwoomError | None
    sent_code: int | None = None
    system: SystemNotice | None = None

    def __str__(self) -> str:
        parts = []
        if self.error is not None:
            parts.append(str(self.error))
        if self.system is not None:
            parts.append(f"the server said {self.system}")
        if self.code == 1006:
            if self.error is None or isinstance(self.error, ClosedByPeer):
                parts.append("no close frame was received")
        else:
            parts.append(f"received {_close_text(self.code)}" + (f' "{displayed(self.reason)}"' if self.reason else ""))
        if self.sent_code is not None:
            parts.append(f"sent {_close_text(self.sent_code)}")
        text = ("connection closed: " if self.error is None else "connection lost: ") + "; ".join(parts)
        return displayed(text, MESSAGE_LIMIT)


def _close_text(code: int) -> str:
    explanation = CLOSE_CODE_EXPLANATIONS.get(code, "private use" if 3000 <= code < 5000 else "unknown")
    return f"{code} ({explanation})"

"""What connections and sessions report, in order: a closed union of immutable values.

    match event:
        case AfterHoursQuote(): ...
        case SystemNotice(code=code): ...
        case Closed(error=error): ...

Every real-time row is a `Record` or a subclass of it; everything else is below. Each event, rows included, has the
number of its connection (`epoch`) and its own number within the session (`sequence`).

`str()` and `repr()` of an event are fit for a terminal and bounded in length (see `display`); its attributes hold
exactly what was received.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import attrs
from websockets.frames import CLOSE_CODE_EXPLANATIONS

from .codes import RETURN_CODES, explain_code
from .display import MESSAGE_LIMIT, displayed, quoted, repr_of, rich_repr
from .errors import ClosedByPeer, KiwoomError
from .headers import ResponseHeader
from .realtime.conditions import Condition, ConditionRow, UsConditionRow
from .realtime.record import TOKEN_INDEX_SHIFT, Record
from .realtime.traits import Scope
from .request import Request, number_of
from .secrets import redact
from .symbol import Symbol

__all__ = (
    "Batch",
    "Closed",
    "ConditionList",
    "ConditionResult",
    "Connecting",
    "Disconnected",
    "Event",
    "Evicted",
    "Gap",
    "LoggedIn",
    "LoginRefusal",
    "MemberLost",
    "Numbering",
    "Opened",
    "RecordingFailed",
    "RecordingHole",
    "RequestAccepted",
    "RequestRefusal",
    "RequestUnanswered",
    "Stale",
    "SystemNotice",
    "UnknownMessage",
    "Unplaced",
)


@attrs.frozen(repr=False)
class _Numbered:
    """The base of every event.

    Attributes:
        epoch: the number of its connection within the session, from 1; in a pool see `TOKEN_INDEX_SHIFT`.
        sequence: its number within the session. It grows by one with each event, and not every event is delivered.
    """

    epoch: int = attrs.field(default=0, kw_only=True, eq=False, repr=False)
    sequence: int = attrs.field(default=0, kw_only=True, eq=False, repr=False)

    @property
    def token_index(self) -> int:
        """Which token's connection it came from: its index in the list given to `connect`; 0 if there is only one."""
        return self.epoch >> TOKEN_INDEX_SHIFT

    def __repr__(self) -> str:
        fields = [field for field in attrs.fields(type(self)) if field.repr]
        shown = {field.name: field.repr for field in fields if callable(field.repr)}
        return repr_of(self, {field.name: getattr(self, field.name) for field in fields}, shown)

    __rich_repr__ = rich_repr


E = TypeVar("E", bound=_Numbered)


class Numbering:
    """The counters behind `epoch` and `sequence`. A connection without a session has one of its own."""

    __slots__ = ("epoch", "sequence")

    def __init__(self, epoch: int = 1, sequence: int = 0) -> None:
        self.epoch = epoch
        self.sequence = sequence

    def stamp(self, event: E) -> E:
        """Return the event with its numbers. (Rows are created with theirs.)"""
        self.sequence += 1
        return attrs.evolve(event, epoch=self.epoch, sequence=self.sequence)


@attrs.frozen(repr=False)
class Opened(_Numbered):
    """The opening handshake succeeded; LOGIN was sent.

    Attributes:
        header: the documented header elements of the server's answer.
    """

    header: ResponseHeader


@attrs.frozen(repr=False)
class LoggedIn(_Numbered):
    """The LOGIN was accepted; waiting requests are sent now.

    Attributes:
        members: the other members of the reply: {"sor_yn": "Y"}.
    """

    members: dict[str, Any]


@attrs.frozen(repr=False)
class LoginRefusal(_Numbered):
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
class RequestAccepted(_Numbered):
    """Every message of a request was acknowledged. "The ack validates nothing" [measured]: nonsense is accepted too."""

    request: Request


@attrs.frozen(repr=False)
class RequestRefusal(_Numbered):
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
class RequestUnanswered(_Numbered):
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
class ConditionList(_Numbered):
    """The answer to `list_conditions`; `RequestAccepted` follows.

    Attributes:
        request: the request it answers.
        conditions: the saved conditions (조건식), in the server's order.
    """

    request: Request
    conditions: tuple[Condition, ...]


@attrs.frozen(repr=False)
class ConditionResult(_Numbered):
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
class SystemNotice(_Numbered):
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
class UnknownMessage(_Numbered):
    """A message, or one row of a message, that could not be understood. The stream continues.

    Attributes:
        payload: its exact bytes. Not shown in the repr: it may hold anything.
        error: what was wrong with it.
    """

    payload: bytes = attrs.field(repr=lambda payload: f"<{len(payload)} bytes>")
    error: str


@attrs.frozen(repr=False)
class Connecting(_Numbered):
    """A session starts to connect; `LoggedIn` or `Disconnected` follows.

    Attributes:
        attempt: 1 for the first since the last login, or since the start.
    """

    attempt: int


@attrs.frozen(repr=False)
class Disconnected(_Numbered):
    """A session lost its connection, or failed to connect, and will try again. `str()` explains it.

    Attributes:
        cause: what went wrong.
        retry_at: when it tries again, in seconds on the session's clock.
        delay: how many seconds from now that is.
        attempt: the attempt that failed, as in `Connecting`; 0 if a connection that was logged in was lost.
        closed: how the connection ended; None if there was none, because no token could be obtained.
    """

    cause: KiwoomError
    retry_at: float
    delay: float
    attempt: int = 0
    closed: Closed | None = None

    def __str__(self) -> str:
        what = str(self.cause if self.closed is None else self.closed)
        if self.attempt:
            what = f"attempt {self.attempt} failed: {what.removeprefix('connection lost: ')}"
        again = f"in {self.delay:.1f} s" if self.delay else "at once"
        return f"{displayed(what, MESSAGE_LIMIT - 100)}; trying again {again}"


@attrs.frozen(repr=False)
class Gap(_Numbered):
    """Everything wanted is registered again after a loss. The rows in between are missing.

    Take a new snapshot of whatever your program keeps up to date. Rows since `end` are complete.

    The gap starts a little too early rather than a moment too late: a row has arrived when it is read, or any time
    before. So `start` is when the driver was last known to read with nothing waiting: in a busy market a second or two
    before the last row, in a quiet one a read or two before it, and after a blocked loop a moment before that.

    Attributes:
        start: since when rows may be missing, in ns since the epoch, by the driver's `received_at`; 0 if unknown. Rows
            sent before that and still on their way are missing too.
        end: when the last registration was acknowledged, likewise.
        last_sequence: the number of the last event before the loss.
        epoch: the connection that is complete. Those between it and that of `last_sequence` never were; their rows
            have been delivered. For items that moved, it is the connection that was lost.
        items: those that moved; () if it is about everything that the connection had.
    """

    start: int
    end: int
    last_sequence: int
    items: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The length of the gap, in seconds."""
        return (self.end - self.start) / 1e9


@attrs.frozen(repr=False)
class Stale(_Numbered):
    """No row came for a subscription within its limit (`fresh_within`).

    The connection is alive, or there would be a `Disconnected`. Reported once until the next row.

    Attributes:
        type: the real-time type, "0E".
        item: the item, as registered.
        seconds: the limit.
    """

    type: str
    item: str
    seconds: float


@attrs.frozen(repr=False)
class RecordingHole(_Numbered):
    """A recording does not hold what happened in this time. `str()` explains it.

    Written by a recorder that lost something, and yielded by a reader for whatever is missing or damaged.

    Attributes:
        start: since when, in nanoseconds since the epoch: the time of the last line before it; 0 if there is none.
        end: until when, likewise: the time of the first line after it. Equal to `start` if that is unknown.
        messages: how many messages are missing; None if unknown.
        reason: why, and where: "the disk is full".
    """

    start: int
    end: int
    messages: int | None
    reason: str

    @property
    def seconds(self) -> float:
        """The length of the hole, in seconds; 0.0 if its start is unknown."""
        return (self.end - self.start) / 1e9 if self.start else 0.0

    def __str__(self) -> str:
        many = "an unknown number of messages" if self.messages is None else f"{self.messages:,} messages"
        when = f" in {self.seconds:.3f} s" if self.seconds > 0 else ""
        return displayed(f"the recording lacks {many}{when}: {self.reason}", MESSAGE_LIMIT)


@attrs.frozen(repr=False)
class RecordingFailed(_Numbered):
    """A recorder cannot write, or cannot keep up. The feed goes on.

    What comes in waits in memory, up to the recorder's limit. What does not fit is lost, and once the recorder has
    recovered, a `RecordingHole` says how much that was.

    Attributes:
        reason: why: "the disk is full".
    """

    reason: str


@attrs.frozen(repr=False)
class Evicted(_Numbered):
    """Transient `items` were given up for others that needed the room, the one asked for longest ago first."""

    items: tuple[str, ...]


@attrs.frozen(repr=False)
class Unplaced(_Numbered):
    """Items of a pool have lost their connection, and no other has room. `Gap` says when they are registered again.

    Attributes:
        items: the items, as registered.
        reason: what became of their connection.
    """

    items: tuple[str, ...]
    reason: str


@attrs.frozen(repr=False)
class MemberLost(_Numbered):
    """One session of a pool has ended for good; the pool goes on with the others. `token_index` says which it was.

    Attributes:
        closed: how it ended, and why.
    """

    closed: Closed

    def __str__(self) -> str:
        return displayed(f"token {self.token_index} is lost for good: {self.closed}", MESSAGE_LIMIT)


@attrs.frozen(repr=False)
class Closed(_Numbered):
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


Event: TypeAlias = (
    Record
    | Opened
    | LoggedIn
    | LoginRefusal
    | RequestAccepted
    | RequestRefusal
    | RequestUnanswered
    | ConditionList
    | ConditionResult
    | SystemNotice
    | UnknownMessage
    | Connecting
    | Disconnected
    | Gap
    | Stale
    | RecordingHole
    | RecordingFailed
    | Evicted
    | Unplaced
    | MemberLost
    | Closed
)


class Batch(list[Event]):
    """The events that one call of `events()` returns.

    Attributes:
        rows_only: whether it holds nothing but rows, and nothing else has happened since the call before. A driver
            whose reads mostly bring rows then need not look at anything else.
    """

    # Set on the instance only if False: created at each read, a batch must cost no more than a list.
    rows_only = True

"""What a session, a pool or a recorder reports beside what connections do: attempts, losses, gaps, silence, holes."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from ..display import MESSAGE_LIMIT, displayed
from ..errors import KiwoomError
from .connections import Closed
from .numbered import Numbered

__all__ = (
    "Connecting",
    "Disconnected",
    "Evicted",
    "Gap",
    "MemberLost",
    "RecordingFailed",
    "RecordingHole",
    "Stale",
    "StreamGap",
    "Unplaced",
)


@attrs.frozen(repr=False)
class Connecting(Numbered):
    """A session starts to connect; `LoggedIn` or `Disconnected` follows.

    Attributes:
        attempt: 1 for the first since the last login, or since the start.
    """

    attempt: int


@attrs.frozen(repr=False)
class Disconnected(Numbered):
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
class Gap(Numbered):
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
class Stale(Numbered):
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
class RecordingHole(Numbered):
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
class RecordingFailed(Numbered):
    """A recorder cannot write, or cannot keep up. The feed goes on.

    What comes in waits in memory, up to the recorder's limit. What does not fit is lost, and once the recorder has
    recovered, a `RecordingHole` says how much that was.

    Attributes:
        reason: why: "the disk is full".
    """

    reason: str


@attrs.frozen(repr=False)
class Evicted(Numbered):
    """Transient `items` were given up for others that needed the room, the one asked for longest ago first.

    A stream or callback is told so too when another call gave items of it up: `replace=True` in their group, or one
    `unsubscribe` too many. That event has no `sequence`.
    """

    items: tuple[str, ...]


@attrs.frozen(repr=False)
class Unplaced(Numbered):
    """Items of a pool have lost their connection, and no other has room. `Gap` says when they are registered again.

    Attributes:
        items: the items, as registered.
        reason: what happened to their connection.
    """

    items: tuple[str, ...]
    reason: str


@attrs.frozen(repr=False)
class MemberLost(Numbered):
    """One session of a pool has ended for good; the pool goes on with the others. `token_index` says which it was.

    Attributes:
        closed: how it ended, and why.
    """

    closed: Closed

    def __str__(self) -> str:
        return displayed(f"token {self.token_index} is lost for good: {self.closed}", MESSAGE_LIMIT)


StreamGap: TypeAlias = Gap | Unplaced | Evicted | MemberLost | Stale | RecordingHole
"""What streams and callbacks say of rows that they lack, or may lack.

`Gap` when everything is registered again, `Unplaced` when items of it have no connection, `Evicted` when transient ones
of it were given up, `MemberLost` when an account of it is gone, `Stale` when no row came within its `fresh_within`, and
`RecordingHole`, in a replay alone, when something was not recorded.
"""

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

from typing import TypeAlias

from ..realtime.record import Record
from .connections import (
    Closed,
    ConditionList,
    ConditionResult,
    LoggedIn,
    LoginRefusal,
    Opened,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
    SystemNotice,
    UnknownMessage,
)
from .numbered import Numbering
from .sessions import (
    Connecting,
    Disconnected,
    Evicted,
    Gap,
    MemberLost,
    RecordingFailed,
    RecordingHole,
    Stale,
    StreamGap,
    Unplaced,
)
from .snapshots import Extent, Recovered, Snapshot

__all__ = (
    "Batch",
    "Closed",
    "ConditionList",
    "ConditionResult",
    "Connecting",
    "Disconnected",
    "Event",
    "Evicted",
    "Extent",
    "Gap",
    "LoggedIn",
    "LoginRefusal",
    "MemberLost",
    "Numbering",
    "Opened",
    "RecordingFailed",
    "RecordingHole",
    "Recovered",
    "RequestAccepted",
    "RequestRefusal",
    "RequestUnanswered",
    "Snapshot",
    "Stale",
    "StreamGap",
    "SystemNotice",
    "UnknownMessage",
    "Unplaced",
)

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
    | Snapshot
    | Recovered
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

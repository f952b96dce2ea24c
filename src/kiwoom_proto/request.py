"""Request: the ticket a caller holds while it waits for the server's answer.

`subscribe`, `unsubscribe`, `request` and the condition-search calls each return one. Events name the ticket they
answer. It says what was asked for, as data. The messages that carry it are in `wire.messages` and `wire.registration`;
when they leave, and which reply is whose, is decided in `connection.request_queue`.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from .display import displayed, rich_repr

__all__ = ("Key", "Request", "RequestKind", "number_of")

Key: TypeAlias = tuple[str, str, str]
"""One registration: group, type and item."""


class RequestKind(enum.Enum):
    """What a request asks for. Values are the names (trnm) of the domestic path; the US path writes some with a G."""

    REGISTER = "REG"
    """Register items (등록)."""
    REMOVE = "REMOVE"
    """Remove registrations (해지)."""
    CONDITION_LIST = "CNSRLST"
    """List the saved conditions (조건검색 목록조회)."""
    CONDITION_SEARCH = "CNSRREQ"
    """Search by a condition, once or live (조건검색 요청)."""
    CONDITION_CLEAR = "CNSRCLR"
    """End a live search (조건검색 실시간 해제)."""

    @property
    def is_condition(self) -> bool:
        """Whether it belongs to the condition search."""
        return self not in (RequestKind.REGISTER, RequestKind.REMOVE)


@attrs.define(eq=False)
class Request:
    """One call, and its outcome. Compared by identity.

    Exactly one of `RequestAccepted`, `RequestRefusal`, `RequestUnanswered` or `Closed` follows. A call is sent as one
    message, or as several: if it has more items than `ClientConfig.items_per_request`, or if the list of conditions
    must be requested first.

    Attributes:
        kind: what it asks for.
        keys: every (group, type, item) it names, once each, in order; empty for a condition request.
        seq: the number of the condition, else "".
        live: whether it is a search that keeps pushing until it is cleared.
        next_key: the page that a one-time search continues with, else "".
        parts: how many messages carry it.
        confirmed: how many of them have been acknowledged.
        asked_again: whether a condition that was already registered was cleared and requested again.
    """

    kind: RequestKind
    keys: tuple[Key, ...] = ()
    seq: str = ""
    live: bool = False
    next_key: str = ""
    parts: int = 1
    confirmed: int = 0
    asked_again: bool = False

    @property
    def group(self) -> str:
        """The group number (grp_no) of a registration or removal, else ""."""
        return self.keys[0][0] if self.keys else ""

    @property
    def types(self) -> tuple[str, ...]:
        """Every type code it names, once each, in order."""
        return tuple(dict.fromkeys(type for _, type, _ in self.keys))

    @property
    def items(self) -> tuple[str, ...]:
        """Every item it names, once each, in order."""
        return tuple(dict.fromkeys(item for _, _, item in self.keys))

    def __str__(self) -> str:
        if self.kind.is_condition:
            return displayed(f"{self.kind.value} {self.seq}".rstrip())
        items = self.items
        shown = ", ".join(map(displayed, items[:3])) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
        return f"{self.kind.value} {displayed(', '.join(self.types))}" + (f" for {shown}" if shown else "")

    def __repr__(self) -> str:
        group = f", group {displayed(self.group)}" if self.group else ""
        return f"<Request {self}{group}, {self.confirmed} of {self.parts} confirmed>"

    __rich_repr__ = rich_repr


def number_of(seq: str) -> str:
    """Return a condition's number without its padding."""
    return seq.strip().lstrip("0") or seq.strip()[-1:]

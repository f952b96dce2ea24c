"""What all events have: the number of their connection, and their own within the session."""

from __future__ import annotations

from typing import TypeVar

import attrs

from ..display import repr_of, rich_repr
from ..realtime.record import TOKEN_INDEX_SHIFT

__all__ = ("Numbered", "Numbering")


@attrs.frozen(repr=False)
class Numbered:
    """The base of every event.

    Attributes:
        epoch: the number of its connection within the session, from 1; in a pool see `TOKEN_INDEX_SHIFT`.
        sequence: its number within the session. It grows by one with each event, and not every event is delivered.
            Trades that were held back stand behind a `Snapshot` with a higher number.
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


E = TypeVar("E", bound=Numbered)


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

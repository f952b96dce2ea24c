"""Sources, which make the market's rows. Each source has a series of events and chooses their times."""

from __future__ import annotations

import abc
import random
from collections.abc import Iterable
from typing import NamedTuple

from ...wire.messages import Row
from .sessions import Moment

__all__ = ("Push", "Source", "SourceError")


class Push(NamedTuple):
    """One row and its recipients.

    Attributes:
        pair: the registered (type, item) that it is sent for; the row's own item may differ.
        row: the row.
        account: the only app key that receives it; None for all.
    """

    pair: tuple[str, str]
    row: Row
    account: str | None = None


class SourceError(Exception):
    """Rows could not be made because of a bug in the simulator. `__cause__` is the original error.

    Attributes:
        pairs: the (type, item) pairs that the rows were for.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__("rows could not be made")
        self.pairs = frozenset(pairs)


class Source(abc.ABC):
    """Makes rows of one or more types.

    Args:
        draw: random number generator.
        rate: average number of events per second.

    Attributes:
        next_at: when the next event happens, in seconds of the exchange.
        types: the wanted types that have a session now.
    """

    def __init__(self, draw: random.Random, rate: float) -> None:
        self.draw = draw
        self.rate = rate
        self.next_at = float("inf")
        self.types: frozenset[str] = frozenset()

    def want(self, types: frozenset[str]) -> None:
        """Set the types wanted from now on."""
        self.types = types

    def wake(self, at: float, moment: Moment) -> None:
        """Schedule the first event. Called when the source becomes wanted."""
        self.next_at = at + self.draw.uniform(0.0, 1.0 / self.rate)

    @abc.abstractmethod
    def happen(self, moment: Moment) -> Iterable[Push]:
        """Make one event happen. Returns its rows, in order."""

    def step(self, moment: Moment) -> Iterable[Push]:
        """Make the next event happen and schedule the one after it. Returns the rows."""
        pushes = self.happen(moment)
        self.next_at += self.draw.expovariate(self.rate)
        return pushes

"""What the market asks for rows: sources, each of which has things happen at moments of its own choosing."""

from __future__ import annotations

import abc
import random
from collections.abc import Iterable
from typing import NamedTuple

from ...wire.messages import Row
from .sessions import Moment

__all__ = ("Push", "Source", "SourceError")


class Push(NamedTuple):
    """One row and whom it is for.

    Attributes:
        pair: the registration that it answers, (type, item); the row's own item may be another one.
        row: the row.
        account: the only app key that may see it; None: everybody.
    """

    pair: tuple[str, str]
    row: Row
    account: str | None = None


class SourceError(Exception):
    """Rows could not be made, because of a mistake in here; the cause is the error.

    Attributes:
        pairs: the registrations that they were for, (type, item).
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__("rows could not be made")
        self.pairs = frozenset(pairs)


class Source(abc.ABC):
    """Something that has rows of one or more types.

    Args:
        draw: its source of chance.
        rate: how many things happen to it a second, on average.

    Attributes:
        next_at: when something happens next, in seconds of the exchange.
        types: the types that somebody wants of it and that have a session now.
    """

    def __init__(self, draw: random.Random, rate: float) -> None:
        self.draw = draw
        self.rate = rate
        self.next_at = float("inf")
        self.types: frozenset[str] = frozenset()

    def want(self, types: frozenset[str]) -> None:
        """Take note of what is wanted from now on."""
        self.types = types

    def wake(self, at: float, moment: Moment) -> None:
        """Somebody wants something of it now and nobody did before: say when the first thing happens."""
        self.next_at = at + self.draw.uniform(0.0, 1.0 / self.rate)

    @abc.abstractmethod
    def happen(self, moment: Moment) -> Iterable[Push]:
        """Something happens. Returns the rows of it, in order."""

    def step(self, moment: Moment) -> Iterable[Push]:
        """Let the next thing happen, and choose when the one after it does."""
        pushes = self.happen(moment)
        self.next_at += self.draw.expovariate(self.rate)
        return pushes

"""Member: one session of a pool.

It is a session like any other: a driver serves its `needs`, its bytes and its deadline. What is registered is decided
by the pool, which is its only consumer: each subscription is wanted by the pool, once, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from ..config import ClientConfig
from ..endpoint import Endpoint
from ..events import Closed, Numbering
from ..realtime.record import TOKEN_INDEX_SHIFT, Record
from ..request import Key
from .lifecycle import CLOSED, SubscriptionState
from .quota import Quota
from .session import Session
from .subscriptions import Subscription

__all__ = ("Loss", "Member", "MemberNumbering")


class MemberNumbering(Numbering):
    """The numbering of one member: connections of its own, and the sequence of the whole pool.

    Args:
        shared: the numbering of the pool.
        index: the index of the member.
    """

    __slots__ = ("_shared",)

    def __init__(self, shared: Numbering, index: int) -> None:
        self._shared = shared
        self.epoch = index << TOKEN_INDEX_SHIFT

    @property
    def sequence(self) -> int:  # read once per read, not once per row
        """Number of the last event of the pool."""
        return self._shared.sequence

    @sequence.setter
    def sequence(self, sequence: int) -> None:
        self._shared.sequence = sequence


@attrs.frozen
class Loss:
    """Since when rows are missing of what one member had.

    Attributes:
        start: as `Gap.start`.
        last_sequence: as `Gap.last_sequence`.
        epoch: the connection that was lost.
    """

    start: int
    last_sequence: int
    epoch: int


class Member(Session):
    """One session of a pool. Args as `Session`, and:

    Args:
        index: its index in the pool.

    Attributes:
        down_since: since when it has had no connection, in seconds on the clock; None while it is logged in, and before
            `connect`.
        is_dead: whether that is for so long that its items move.
        loss: since when its rows are missing; None if none are.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None,
        *,
        index: int,
        clock: Callable[[], float],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None,
        types: Iterable[type[Record]],
        numbering: MemberNumbering,
    ) -> None:
        super().__init__(
            endpoint, config, clock=clock, random=random, random_bytes=random_bytes, types=types, numbering=numbering
        )
        self.index = index
        self.down_since: float | None = None
        self.is_dead = False
        self.loss: Loss | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.state is CLOSED

    @property
    def connections(self) -> int:
        """Number of connections that it has begun to make."""
        return self.epoch - (self.index << TOKEN_INDEX_SHIFT)

    @property
    def has_events(self) -> bool:
        """Whether `events` would tell anything: events, or that something has happened that causes none."""
        return bool(self._events) or not self._events.rows_only

    @property
    def is_starting(self) -> bool:
        """Whether its first login has neither succeeded nor failed for good."""
        return self._connector.next_give_up() is not None and not self.is_over

    @property
    def quota(self) -> Quota:
        """Its item quota, as far as known."""
        return self._subscriptions.quota

    @property
    def last_read(self) -> int:
        """Time of the last read, in nanoseconds since the epoch; 0 if unknown."""
        return self._gaps.received_at

    @property
    def searches(self) -> tuple[Subscription, ...]:
        """Every live search, as a subscription to the type of its rows."""
        return self._searches.snapshot()

    def note_down(self, now: float, closed: Closed | None) -> None:
        """Note that it has no connection.

        Args:
            now: seconds on the clock.
            closed: how the connection ended, if there was one.
        """
        if self.down_since is None:
            self.down_since = now
        gap = self._gaps.open
        if gap is None:
            self.loss = None
        elif self.loss is None or (self.loss.start, self.loss.last_sequence) != gap:
            self.loss = Loss(*gap, self.epoch if closed is None else closed.epoch)

    def note_ready(self) -> None:
        """Note that it is logged in."""
        self.down_since, self.is_dead = None, False

    # What the pool wants of it. Call `advance` afterwards.

    def want(self, keys: Iterable[Key], fresh_within: float | None) -> None:
        """Want what it did not want before. There is room for it."""
        self._subscriptions.add_consumer(keys, fresh_within)

    def want_again(self, key: Key, fresh_within: float | None) -> None:
        """Ask once more for what was refused, and take another `fresh_within` into account if it is shorter."""
        self._subscriptions.add_consumer((key,), fresh_within)
        self._subscriptions.drop_consumer((key,))

    def drop(self, keys: Iterable[Key]) -> None:
        """No longer want these."""
        self._subscriptions.drop_consumer(keys)

    def advance(self) -> None:
        """Send what can be sent."""
        if not self.is_over:
            self._advance()

    def is_registration_settled(self, key: Key) -> bool:
        """Return whether the server has accepted or refused this registration."""
        return self._subscriptions.is_registration_settled(key)

    def is_removal_settled(self, key: Key) -> bool:
        """Return whether the server has removed this."""
        return self.is_over or self._subscriptions.is_removal_settled(key)

    def state_of(self, key: Key) -> tuple[SubscriptionState, str]:
        """Return how far a subscription has come, and why it was refused."""
        return self._subscriptions.state_of(key)

    def is_stale(self, key: Key) -> bool:
        """Return whether a subscription has been reported as stale, and no row has come since."""
        return self._subscriptions.is_stale(key)

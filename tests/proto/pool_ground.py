"""A pool, the simulated exchange, and a network for each member, on virtual time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeVar

from kiwoom_proto import PRODUCTION, ClientConfig, Event, Record
from kiwoom_proto.events import Batch
from kiwoom_proto.session.member import Member
from kiwoom_proto.session.pool import Pool
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

E = TypeVar("E")

TOKENS = {"token-a": "app-a", "token-b": "app-b", "token-c": "app-c"}
CONFIG = ClientConfig(request_interval=0.25, backoff_min=1, backoff_max=4, move_after=10)


class Quiet:
    """A member whose events are left to its pool."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def __getattr__(self, name: str) -> Any:
        return getattr(self._member, name)

    def events(self) -> Batch:
        return Batch()


class Ground:
    """A pool and what it is connected to.

    Attributes:
        clock: the time of everything.
        exchange: the server of all members.
        pool: the pool.
        networks: that of each member; see `SimulatedNetwork` for the faults it has.
        events: everything that the pool has reported.
    """

    def __init__(
        self,
        size: int = 3,
        config: ClientConfig = CONFIG,
        tokens: Mapping[str, str] = TOKENS,
        **exchange: Any,
    ) -> None:
        self.clock = ManualClock(1000.0)
        self.exchange = Exchange(clock=self.clock, tokens=tokens, **exchange)
        self.pool = Pool(PRODUCTION, size, config, clock=self.clock, random=lambda: 0.5)
        self.networks = [
            SimulatedNetwork(Quiet(member), self.exchange, self.clock)  # type: ignore[arg-type]  # it has the same interface
            for member in self.pool.members
        ]
        self.events: list[Event] = []
        self._tokens = list(tokens)
        self._keys: list[str | None] = list(tokens.values())

    def connect(self, seconds: float = 0.1) -> Ground:
        """Connect every member with its token, and let them log in."""
        for member, token in zip(self.pool.members, self._tokens, strict=False):
            member.connect(token)
        self.advance(seconds)
        return self

    def settle(self) -> None:
        """Carry everything until nothing more happens at this time."""
        quiet = 0
        while quiet < 2:
            for network in self.networks:
                network.settle()
            events = self.pool.events()
            self.events += events
            quiet = 0 if events else quiet + 1

    def advance(self, seconds: float) -> Ground:
        """Let time pass, stopping at every deadline on the way."""
        end = self.clock.now + seconds
        self.settle()
        while (due := self._due()) is not None and due <= end:
            self.clock.now = max(due, self.clock.now)
            self.pool.handle_timeout()
            self.exchange.handle_timeout()
            self.settle()
        self.clock.now = end
        self.settle()
        return self

    def _due(self) -> float | None:
        times = (self.pool.next_timeout(), self.exchange.next_timeout())
        return min((time for time in times if time is not None), default=None)

    def take(self, kind: type[E]) -> list[E]:
        """Return the events of a kind, and forget all."""
        found: list[E] = [event for event in self.events if isinstance(event, kind)]
        self.events.clear()
        return found

    def link(self, index: int) -> ClientLink:
        """Return the server's end of a member's connection."""
        (link,) = [link for link in self.exchange.links if link.key == self._keys[index]]
        return link

    def held(self) -> dict[str, list[int]]:
        """Return which members the server has each item of."""
        found: dict[str, list[int]] = defaultdict(list)
        for link in self.exchange.links:
            index = self._keys.index(link.key)
            for _, item in link.pairs():
                if item and index not in found[item]:
                    found[item].append(index)
        return dict(found)

    def counts(self) -> list[int]:
        """Return how many items the server has of each member."""
        held = self.held()
        return [sum(index in members for members in held.values()) for index in range(len(self.networks))]

    def rows(self) -> dict[str, set[int]]:
        """Return which members the rows reported so far came from, by item."""
        found: dict[str, set[int]] = defaultdict(set)
        for event in self.events:
            if isinstance(event, Record):
                found[event.item].add(event.token_index)
        return dict(found)


def items(count: int, start: int = 1) -> list[str]:
    """Return some items that the market lists."""
    return [f"{number:06}" for number in range(start, start + count)]

"""Twenty tasks that use one client and give up at random, on real sockets, while the link flaps.

They subscribe, unsubscribe, search and clear, and cancel: after a while, or in the very turn of the loop in which an
answer comes. A book says who wants what by what the calls did, returned or raised, and by nothing else. Whenever the
crowd stands still, the client's consumers and what the exchange has registered must be what the book says.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from unittest import mock

import anyio
import attrs
import trio
from tests.adapters.kit import Client, Loop, LoopName, until
from tests.adapters.proxy import Proxy, proxy_to

from kiwoom_proto import ClientConfig, RequestRefused
from kiwoom_proto.errors import QuotaExceeded
from kiwoom_proto.events import Batch, ConditionResult, RequestAccepted, RequestRefusal
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.wire.messages import Element, Reg, Remove

__all__ = ("Crowd", "gather")

TASKS = 20
TYPES = ("0E", "0D", "0B")
ITEMS = ("005930", "000660", "035420", "105560", "000270", "051910", "005380")
LIMIT = 6
"""Items, so that some calls are too much."""
GROUPS = ("1", "2", "9")
REPLACED_GROUP = "9"
"""The group whose subscriptions replace one another."""
SEQS = ("0", "1", "2")
LONGEST = 0.04
"""Seconds after which a call is cancelled, at most; an answer takes a fourth of that, where there is a connection."""
SETTLED_WITHIN = 30.0
"""Seconds of calm after which the client must be what the book says; a busy machine may need many."""
CONFIG = ClientConfig(
    request_interval=0,
    backoff_min=0.01,
    backoff_max=0.05,
    item_limit=LIMIT,
    items_per_request=2,
    takeover="reconnect",
    takeover_limit=1_000_000,
)
Key: TypeAlias = tuple[str, str, str]
"""Group, type and item; of a live search "", its type and the number."""


@attrs.define(eq=False)
class Claim:
    """What one call wants, from when it is made until it raises or somebody lets go."""

    keys: set[Key]
    is_held: bool = False  # the call has returned


class Book:
    """Who wants what."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def consumers(self) -> Counter[Key]:
        return Counter(key for claim in self.claims for key in claim.keys)

    def held(self, mine: list[Claim]) -> list[tuple[Claim, Key]]:
        """What a task may let go of: its calls returned, and nothing was replaced away."""
        return [(claim, key) for claim in mine if claim.is_held for key in sorted(claim.keys)]

    def replace(self, keys: set[Key]) -> None:
        """Everything else in the group is let go of, whoever wants it, or waits for it."""
        for claim in self.claims:
            claim.keys = {key for key in claim.keys if key[0] != REPLACED_GROUP or key in keys}


@attrs.define
class Crowd:
    """What became of it.

    Attributes:
        name: on which event loop.
        calls: how many were made.
        cancelled: how many of them were cancelled.
        returned: how many returned.
        refused: how many were refused: too much, or replaced.
        losses: how often the link was cut.
        quiet: how often everything was as the book says.
        problems: what was not.
    """

    name: LoopName
    calls: int = 0
    cancelled: int = 0
    returned: int = 0
    refused: int = 0
    losses: int = 0
    quiet: int = 0
    problems: list[str] = attrs.field(factory=list)

    def __str__(self) -> str:
        return (
            f"{self.name:8}{self.calls:7,} calls  {self.returned:6,} returned  {self.cancelled:6,} cancelled  "
            f"{self.refused:5,} refused  {self.losses:4} losses  {self.quiet:3} times as it should be"
        )


def gather(
    name: LoopName,
    seed: int,
    *,
    rounds: int,
    calls: int = 10,
    goes_on: Callable[[], bool] = lambda: True,
    report: Callable[[Crowd], None] = lambda crowd: None,
) -> Crowd:
    """Let the crowd loose on one event loop.

    Arguments:
        name: which.
        seed: of everything random; what the network makes of it differs from run to run.
        rounds: how often it stands still, at most.
        calls: of each task, between two of them.
        goes_on: whether to begin another round.
        report: called when it stands still.
    """
    crowd = Crowd(name)

    async def scenario() -> None:
        with mock.patch("kiwoom_proto.simulator.client_link.REQUESTS_PER_SECOND", 1_000_000):
            await _gather(crowd, random.Random(seed), rounds, calls, goes_on, report)

    anyio.run(scenario, **Loop(name).backend())
    return crowd


async def _gather(
    crowd: Crowd,
    chance: random.Random,
    rounds: int,
    calls: int,
    goes_on: Callable[[], bool],
    report: Callable[[Crowd], None],
) -> None:
    loop, exchange, book = Loop(crowd.name), Exchange(), Book()
    async with (
        loop.serve(exchange) as server,
        proxy_to(server.endpoint.port) as proxy,
        loop.connect(proxy.endpoint, config=CONFIG) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(_iterate, client)
        cut = Cut(client, random.Random(chance.random()))
        members = [Member(crowd, client, book, cut, random.Random(chance.random())) for _ in range(TASKS)]
        for _ in range(rounds):
            if crowd.problems or not goes_on():
                break
            async with anyio.create_task_group() as busy:
                busy.start_soon(_flap, crowd, proxy, exchange, random.Random(chance.random()))
                for member in members:
                    busy.start_soon(member.make_calls, calls)
            await _stand_still(crowd, client, exchange, book)
            report(crowd)
        await client.aclose()


async def _iterate(client: Client) -> None:
    async for _ in client:
        pass


async def _flap(crowd: Crowd, proxy: Proxy, exchange: Exchange, chance: random.Random) -> None:
    """Cut the link a few times, each time for another reason."""
    for _ in range(8):
        await anyio.sleep(chance.uniform(0, 0.15))
        how = chance.choice((proxy.close, proxy.reset, exchange.drop, None))
        if how is not None:
            how()
        else:
            for peer in tuple(exchange.links):
                if peer.key is not None:
                    exchange.kick(peer)
        crowd.losses += 1


async def _stand_still(crowd: Crowd, client: Client, exchange: Exchange, book: Book) -> None:
    """Nobody calls and nothing is cut: what the client and the exchange have becomes what the book says, and stays."""
    wanted = {key: count for key, count in book.consumers().items() if count}

    def has() -> tuple[dict[Key, int], set[Key]]:
        consumers = {(one.group, one.type, one.item): one.consumers for one in client.subscriptions}
        registered = {
            (group, *pair)
            for peer in exchange.links
            for group, pairs in (*peer.registered.items(), ("", peer.live))
            for pair in pairs
        }
        return consumers, registered

    with anyio.move_on_after(SETTLED_WITHIN):
        await until(lambda: client._session.is_settled and has() == (wanted, set(wanted)))
        for _ in range(3):
            await anyio.sleep(0.01)  # what is late would undo it
    consumers, registered = has()
    if (consumers, registered) != (wanted, set(wanted)):
        differences = {key: (count, wanted.get(key, 0)) for key, count in consumers.items() ^ wanted.items()}
        crowd.problems.append(
            f"after {crowd.calls} calls, (consumers, wanted): {differences}; "
            f"registered and not wanted: {registered - set(wanted)}, the other way round: {set(wanted) - registered}"
        )
    crowd.quiet += not crowd.problems


class Cut:
    """Cancels calls in the very turn of the loop in which an answer comes, before it is taken or after."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.waiting: list[Callable[[], object]] = []
        self._chance = chance
        self._events, self._wake = client._session.events, client._wake
        self._is_answered = False
        client._session.events = self._look  # type: ignore[method-assign]
        client._wake = self._woken  # type: ignore[method-assign]

    def _look(self) -> Batch:
        events = self._events()
        if any(isinstance(event, RequestAccepted | RequestRefusal | ConditionResult) for event in events):
            self._is_answered = True
            self._cancel_some()
        return events

    def _woken(self) -> None:
        self._wake()
        if self._is_answered:
            self._is_answered = False
            self._cancel_some()

    def _cancel_some(self) -> None:
        for cancel in tuple(self.waiting):
            if self._chance.random() < 0.3:
                self.waiting.remove(cancel)
                cancel()


class Member:
    """One task of the crowd."""

    def __init__(self, crowd: Crowd, client: Client, book: Book, cut: Cut, chance: random.Random) -> None:
        self.crowd = crowd
        self.client = client
        self.book = book
        self.cut = cut
        self.chance = chance
        self.mine: list[Claim] = []
        self.is_trio = crowd.name == "trio"
        self.is_answered = False

    async def make_calls(self, count: int) -> None:
        for _ in range(count):
            self.mine = [claim for claim in self.mine if claim.keys]
            call = self.let_go if len(self.mine) > 2 or self.chance.random() < 0.3 else self.want
            self.crowd.calls += 1
            self.is_answered = False
            await self.limited(call)
            self.crowd.cancelled += not self.is_answered
            await anyio.sleep(self.chance.choice((0, 0, 0.001, 0.01)))

    # Wanting.

    async def want(self) -> None:
        chance, client = self.chance, self.client
        if chance.random() < 0.3:
            seq = chance.choice(SEQS)
            await self.claiming({("", "02", seq)}, lambda: client.search_condition(seq, realtime=True))
            return
        group, type = chance.choice(GROUPS), chance.choice(TYPES)
        items = chance.sample(ITEMS, chance.randint(1, 3))
        keys = {(group, type, item) for item in items}
        replace = group == REPLACED_GROUP and chance.random() < 0.5
        wait = group == REPLACED_GROUP or chance.random() < 0.8
        if chance.random() < 0.2:
            message = Reg(group, "0" if replace else "1", (Element(tuple(items), (type,)),))
            await self.claiming(keys, lambda: client.request(message, wait=wait), replace)
        else:
            await self.claiming(
                keys, lambda: client.subscribe(type, *items, group=group, replace=replace, wait=wait), replace
            )

    async def claiming(self, keys: set[Key], call: Callable[[], Awaitable[object]], replace: bool = False) -> None:
        """A call wants these until it raises. The session is told in the same turn as the book."""
        claim, before = Claim(set(keys)), [(claim, claim.keys) for claim in self.book.claims]
        if replace:
            self.book.replace(keys)
        self.book.claims.append(claim)
        try:
            await call()
        except QuotaExceeded:  # raised in the same turn, and nothing has changed
            if len({item for group, _, item in self.book.consumers() if group}) <= LIMIT:
                self.crowd.problems.append(f"too much: {sorted(self.book.consumers())}")
            self.book.claims.remove(claim)
            for other, kept in before:
                other.keys = kept
            self.refused()
        except RequestRefused as refusal:
            self.book.claims.remove(claim)
            self.refused()
            if refusal.code or not any(group == REPLACED_GROUP for group, _, _ in keys):
                self.crowd.problems.append(f"refused: {refusal}")
        except BaseException:
            self.book.claims.remove(claim)
            raise
        else:
            claim.is_held = True
            self.mine.append(claim)
            self.returned()

    # Letting go, and asking.

    async def let_go(self) -> None:
        chance, client = self.chance, self.client
        held = self.book.held(self.mine)
        if not held or chance.random() < 0.1:
            await client.list_conditions()
            await client.search_condition(chance.choice(SEQS))
        else:
            claim, key = chance.choice(held)
            claim.keys = claim.keys - {key}  # whatever becomes of the call
            group, type, item = key
            if not group:
                await client.clear_condition(item)
            elif chance.random() < 0.2:
                await client.request(Remove(group, (Element((item,), (type,)),)))
            else:
                await client.unsubscribe(type, item, group=group, wait=chance.random() < 0.8)
        self.returned()

    def returned(self) -> None:
        self.crowd.returned += 1
        self.is_answered = True

    def refused(self) -> None:
        self.crowd.refused += 1
        self.is_answered = True

    # Giving up.

    async def limited(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make a call, and give up after a while, or as an answer comes, or not at all."""
        how, delay = self.chance.random(), self.chance.uniform(0, LONGEST)
        if how < 0.25:
            await call()
        elif how < 0.6 and self.is_trio:
            with trio.move_on_after(delay):
                await call()
        elif self.is_trio:
            with trio.CancelScope() as scope:
                await self.watched(scope.cancel, call)
        elif how < 0.4:
            try:
                async with asyncio.timeout(delay):
                    await call()
            except TimeoutError:
                pass
        elif how < 0.5:
            try:
                await asyncio.wait_for(call(), delay)
            except TimeoutError:
                pass
        elif how < 0.6:
            with anyio.move_on_after(delay):
                await call()
        else:
            await self.in_a_task(call)

    async def in_a_task(self, call: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(call())
        try:
            await self.watched(task.cancel, lambda: asyncio.wait((task,)))
        finally:
            task.cancel()
        if not task.cancelled():
            task.result()

    async def watched(self, cancel: Callable[[], object], call: Callable[[], Awaitable[object]]) -> None:
        """Cancelled by `Cut` where it comes to that."""
        self.cut.waiting.append(cancel)
        try:
            await call()
        finally:
            if cancel in self.cut.waiting:
                self.cut.waiting.remove(cancel)

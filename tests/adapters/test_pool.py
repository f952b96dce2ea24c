"""Several app keys as one feed, over real sockets, on every loop."""

from __future__ import annotations

import anyio
import attrs
import pytest
from tests.adapters.kit import Loop, until

from kiwoom_proto import (
    AppKey,
    ClientConfig,
    Closed,
    ConnectionLost,
    Event,
    Gap,
    LocalProtocolError,
    Record,
    Stale,
    Trade,
)
from kiwoom_proto.errors import LoginRefused, PoolLost, TakenOver
from kiwoom_proto.events import MemberLost, StreamGap, Unplaced
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange

CONFIG = ClientConfig(request_interval=0, backoff_min=0.01, backoff_max=0.05, move_after=0.2)
TOKENS = {"S3CRET-a": "app-a", "S3CRET-b": "app-b", "S3CRET-c": "app-c"}
ITEMS = [f"{number:06}" for number in range(1, 451)]


def held(exchange: Exchange) -> dict[str | None, set[str]]:
    """The items that the exchange has of each app key."""
    return {link.key: {item for _, item in link.pairs() if item} for link in exchange.links}


async def test_450_items_on_three_keys_one_taken_over_one_revoked(loop: Loop) -> None:
    keys = {f"app-{letter}": f"secret-{letter}" for letter in "abc"}
    exchange = Exchange(app_keys=keys, rate=1.5)  # 450 items: more would take a busy machine too long
    events: list[Event] = []  # those that are not rows
    sources: set[int] = set()
    seen: set[str] = set()
    last = 0

    async def rows_of(items: set[str]) -> None:
        """Wait for a row of each."""
        seen.clear()
        await until(lambda: items <= seen)

    async with (
        loop.serve(exchange) as server,
        loop.connect(
            server.endpoint, token=[AppKey(key, secret) for key, secret in keys.items()], config=CONFIG
        ) as client,
        anyio.create_task_group() as tasks,
    ):

        async def consume() -> None:
            nonlocal last
            async for event in client:
                assert event.sequence > last
                last = event.sequence
                if isinstance(event, Record):
                    seen.add(event.item)
                    sources.add(event.token_index)
                else:
                    events.append(event)

        tasks.start_soon(consume)
        await client.subscribe(Trade, *ITEMS)
        assert [len(items) for items in held(exchange).values()] == [150, 150, 150]
        await rows_of(set(ITEMS))

        # One is taken over.
        (second,) = [link for link in exchange.links if link.key == "app-b"]
        exchange.kick(second)
        await until(lambda: any(isinstance(event, Gap) for event in events))
        (lost,) = [event for event in events if isinstance(event, MemberLost)]
        assert (lost.token_index, type(lost.closed.error)) == (1, TakenOver)
        (unplaced,) = [event for event in events if isinstance(event, Unplaced)]
        assert len(unplaced.items) == 50
        await rows_of(set(ITEMS) - set(unplaced.items))

        # Another app key is revoked: it gets no token any more.
        exchange.revoke_key("app-c")
        (third,) = [link for link in exchange.links if link.key == "app-c"]
        exchange.drop(third)
        await until(lambda: len([event for event in events if isinstance(event, Unplaced)]) == 2)
        without = {item for event in events if isinstance(event, Unplaced) for item in event.items}
        await until(lambda: held(exchange).keys() == {"app-a"})  # it has hung up on the refused
        assert held(exchange) == {"app-a": set(ITEMS) - without}
        assert len(held(exchange)["app-a"]) == 200
        await rows_of(set(ITEMS) - without)

        assert client.state is SessionState.READY
        assert sources == {0, 1, 2}
        stats = client.stats()
        assert stats.connections >= 3
        assert stats.gaps >= 1
        tasks.cancel_scope.cancel()
    assert not any("S3CRET" in repr(event) or "secret-" in repr(event) for event in events)


async def test_a_stream_alone_is_told_that_its_items_have_no_connection(loop: Loop) -> None:
    exchange = Exchange(tokens=TOKENS, rate=1.5)
    called: list[StreamGap] = []
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token=list(TOKENS), config=CONFIG) as client,
        client.stream(Trade, *ITEMS, gaps="items") as trades,
        client.stream(Trade, ITEMS[0]) as counting,
    ):
        handle = client.on(Trade, repr, *ITEMS, gaps=called.append)
        exchange.kick(next(link for link in exchange.links if link.key == "app-b"))
        said: list[StreamGap] = []
        while len(said) < 2:
            event = await anext(trades)
            if not isinstance(event, Trade):
                said.append(event)

        (unplaced,) = [event for event in said if isinstance(event, Unplaced)]
        (gap,) = [event for event in said if isinstance(event, Gap)]
        assert (len(unplaced.items), len(gap.items)) == (50, 100)
        assert (trades.gaps, handle.gaps) == (2, 2)
        assert called == said
        assert counting.gaps == (ITEMS[0] in unplaced.items) + (ITEMS[0] in gap.items)
        reasons = {each.item: each.reason for each in client.subscriptions if each.reason}
        assert reasons.keys() == set(unplaced.items)
        assert all("no token has room" in reason and "R10001" in reason for reason in reasons.values())
        assert "no token has room" in client._repr_html_()


async def test_silence_of_a_key_is_told_to_the_streams_of_its_items(loop: Loop) -> None:
    config = attrs.evolve(CONFIG, hours=None)
    async with (
        loop.serve(Exchange(tokens=TOKENS, rate=1e-6)) as server,
        loop.connect(server.endpoint, token=list(TOKENS), config=config) as client,
        client.stream(Trade, *ITEMS, fresh_within=0.01, gaps="items") as trades,
        client.stream(Trade, ITEMS[0], fresh_within=0.01) as counting,
    ):
        silent: dict[str, int] = {}
        while len(silent) < len(ITEMS) or not counting.silences:
            event = await anext(trades)
            assert isinstance(event, Stale)
            silent[event.item] = event.token_index
        assert silent.keys() == set(ITEMS)
        assert set(silent.values()) == {0, 1, 2}
        assert all(each.is_stale for each in client.subscriptions)


async def test_connect_waits_for_every_key_and_goes_on_without_the_refused(loop: Loop) -> None:
    exchange = Exchange(tokens={"S3CRET-a": "app-a", "S3CRET-c": "app-c"}, rate=8)
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token=list(TOKENS), config=CONFIG) as client,
    ):
        assert set(held(exchange)) == {"app-a", "app-c"}
        events = [await anext(client) for _ in range(1)]
        while not isinstance(events[-1], MemberLost):
            events.append(await anext(client))
        assert (events[-1].token_index, type(events[-1].closed.error)) == (1, LoginRefused)
        await client.subscribe("0B", *ITEMS[:300])
        assert [len(items) for items in held(exchange).values()] == [150, 150]


async def test_when_no_key_is_left_connect_says_why_of_each(loop: Loop) -> None:
    async with loop.serve(Exchange(tokens={})) as server:
        with pytest.raises(ConnectionLost, match=r"token 0: .*8005.*token 1: .*8005") as caught:
            async with loop.connect(server.endpoint, token=["S3CRET-a", "S3CRET-b"], config=CONFIG):
                pass
    assert isinstance(caught.value.closed.error, PoolLost)
    assert "S3CRET" not in str(caught.value)


async def test_the_last_key_ends_the_iteration(loop: Loop) -> None:
    exchange = Exchange(tokens=TOKENS, rate=8)
    events: list[Event] = []
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token=list(TOKENS), config=CONFIG) as client,
    ):
        await client.subscribe("0B", *ITEMS[:30])
        exchange.kick()
        with pytest.raises(ConnectionLost) as caught:
            async for event in client:
                events.append(event)  # noqa: PERF401
        assert isinstance(caught.value.closed.error, PoolLost)
    assert isinstance(events[-1], Closed)
    assert [event.token_index for event in events if isinstance(event, MemberLost)] != []


async def test_a_key_comes_back_by_itself(loop: Loop) -> None:
    exchange = Exchange(tokens=TOKENS, rate=8)
    patient = attrs.evolve(CONFIG, move_after=1000)
    async with (
        loop.serve(exchange) as server,
        loop.connect(server.endpoint, token=list(TOKENS), config=patient) as client,
    ):
        await client.subscribe("0B", *ITEMS[:30])
        for link in tuple(exchange.links)[1:]:
            exchange.drop(link)
        gaps: list[int] = []
        while len(gaps) < 2:
            event = await anext(client)
            if isinstance(event, Gap):
                gaps.append(event.token_index)
        assert sorted(gaps) == [1, 2]
        assert sum(map(len, held(exchange).values())) == 30


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ([], "token: the list is empty"),
        (["S3CRET-a", "S3CRET-b", "S3CRET-a"], r"token\[2\]: the same as token\[0\]; a key has one connection"),
        ([AppKey("app", "S3CRET"), AppKey("app", "S3CRET")], r"token\[1\]: the same as token\[0\]"),
        (["S3CRET-a", 5], r"token: must be a str, an AppKey, or an async callable"),
    ],
)
async def test_a_list_of_tokens_that_cannot_work(loop: Loop, token: list[str], reason: str) -> None:
    async with loop.serve(Exchange()) as server:
        with pytest.raises(LocalProtocolError, match=reason):
            async with loop.connect(server.endpoint, token=token):
                pass


async def test_transient_items_of_one_key(loop: Loop) -> None:
    exchange = Exchange()
    config = ClientConfig(item_limit=2, request_interval=0)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint, token="a", config=config) as client:
        await client.subscribe("0B", "000001", "000002", transient=True)
        await client.subscribe("0B", "000003")
        assert held(exchange) == {"a": {"000002", "000003"}}

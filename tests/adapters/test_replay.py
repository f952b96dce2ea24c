"""Recordings played back: what was iterated live is iterated again, at its time, behind the same calls."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.adapters.kit import Loop
from tests.adapters.recordings import NINE, SECOND, Day, Replay, iterated, plain, play, replay_on, write_recording
from tests.adapters.virtual import VIRTUAL_LOOPS, run_virtually

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    US_PRODUCTION,
    ClientConfig,
    ConditionHit,
    ConnectionLost,
    Disconnected,
    Event,
    Gap,
    KiwoomError,
    LocalProtocolError,
    Record,
    RequestRefused,
    Session,
    Stale,
    Trade,
)
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.client.streams import Stream
from kiwoom_proto.errors import LoginRefused, RecordingError
from kiwoom_proto.events import Closed, ConditionResult, RecordingHole, RequestAccepted, StreamGap
from kiwoom_proto.recording import read_recording
from kiwoom_proto.recording.format import encode_event, encode_message
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock

on_virtual_time = pytest.mark.parametrize("clock", VIRTUAL_LOOPS)


def trade(item: str, price: int) -> bytes:
    """A message of one trade, as the server writes it."""
    values = f'{{"20":"090000","10":"+{price}","15":"1"}}'
    return (f'{{"data":[{{"values":{values},"type":"0B","name":"주식체결","item":"{item}"}}],"trnm":"REAL"}}').encode()


def trades(seconds: list[float], item: str = "005930") -> list[bytes]:
    """Lines of trades at these seconds after nine; the prices count up from 1."""
    return [
        encode_message(NINE + int(second * SECOND), 1, 10 + number, trade(item, number))
        for number, second in enumerate(seconds, 1)
    ]


@functools.cache
def a_day_of_faults(seed: int = 1) -> Day:
    """A day with three losses, and its end. Every test has the same one: do not change it."""
    day = Day(Exchange(seed=seed, start=datetime.time(9, 0), rate=2), seed=seed)
    day.subscribe("0B", "005930", "000660")
    day.subscribe("0D", "005930")
    day.subscribe("00")
    day.exchange.place_order("token", "005930", "buy", 10)
    day.advance(20)
    day.exchange.garbage()
    day.network.reset()
    day.advance(30)
    day.exchange.stall()  # the server falls silent, and the session gives the connection up
    day.advance(100)
    day.exchange.resume()
    day.network.unreachable = "no such host"
    day.network.reset()
    day.advance(50)
    day.network.unreachable = None
    day.advance(100)
    day.end()
    return day


# The events.


@on_virtual_time
@pytest.mark.parametrize("speed", [1.0, 25, None])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_events_are_those_that_were_iterated_live(
    clock: str, speed: float | None, seed: int, tmp_path: Path
) -> None:
    day = a_day_of_faults(seed)
    path = day.write(tmp_path)
    found: list[Event] = []

    async def scenario() -> None:
        async with replay_on(clock, path, speed=speed) as client:
            found.extend(await play(client))

    run_virtually(clock, scenario)
    assert plain(found) == plain(iterated(day))
    assert sum(isinstance(event, Record) for event in found) > 500
    assert sum(isinstance(event, Gap) for event in found) == 3
    assert isinstance(found[-1], Closed)


async def test_the_events_are_the_same_on_every_loop(loop: Loop, tmp_path: Path) -> None:
    day = a_day_of_faults()
    async with replay_on(loop.name, day.write(tmp_path), speed=None) as client:
        assert client.state is SessionState.READY
        assert plain(await play(client)) == plain(iterated(day))
        stats = client.stats()
    assert stats.gaps == 3
    assert stats.received == stats.delivered == len(iterated(day))
    assert stats.connections > 3


async def test_it_ends_as_the_recorded_session_ended(loop: Loop, tmp_path: Path) -> None:
    day = Day()
    day.subscribe("0B", "005930")
    day.exchange.kick()
    day.advance(10)
    found = []
    async with replay_on(loop.name, day.write(tmp_path), speed=None) as client:
        with pytest.raises(ConnectionLost, match="R10001"):
            async for event in client:
                found.append(event)  # noqa: PERF401
        with pytest.raises(ConnectionLost):
            await client.subscribe("0B", "005930")
    assert plain(found) == plain(iterated(day))


async def test_what_never_logged_in_raises_as_connect_does(loop: Loop, tmp_path: Path) -> None:
    day = Day(Exchange(tokens={}))
    day.advance(10)
    with pytest.raises(LoginRefused, match="8005"):
        async with replay_on(loop.name, day.write(tmp_path)):
            raise AssertionError("the block must not be entered")


async def test_a_recording_that_was_cut_off_ends_with_the_hole(loop: Loop, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([1, 2]), closed=False)
    async with replay_on(loop.name, path, speed=None) as client:
        found = await play(client)
    assert [type(event) for event in found] == [Trade, Trade, RecordingHole, Closed]
    assert "the recording has ended" in str(found[-1])


async def test_sessions_follow_one_another(loop: Loop, tmp_path: Path) -> None:
    """Of each, what `connect` keeps to itself is left out; the end of the first is one event among others."""
    days = [a_day_of_faults(seed) for seed in (1, 2)]
    for number, day in enumerate(days):
        lines = [line.replace(b'"at":1795', b'"at":179%d' % (5 + number)) for line in day.lines()]
        write_recording(
            tmp_path, lines, session=f"{number:016x}", at=NINE + number * 10**15, name=f"{number}.ndjson.zst"
        )
    async with replay_on(loop.name, tmp_path, speed=None) as client:
        found = await play(client)
    assert [(type(event), event.epoch, event.sequence) for event in found] == [
        (type(event), event.epoch, event.sequence) for day in days for event in iterated(day)
    ]


async def test_from_and_to(loop: Loop, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([1, 2, 3, 4]))
    start = datetime.datetime.fromtimestamp(NINE / SECOND + 2, datetime.UTC)
    async with replay_on(loop.name, path, speed=None, start=start, end=NINE + 4 * SECOND) as client:
        found = [event.price for event in await play(client) if isinstance(event, Trade)]
    assert found == [2, 3]


async def test_a_loss_after_the_start_is_not_taken_for_a_failed_login(loop: Loop, tmp_path: Path) -> None:
    day = a_day_of_faults()
    lost = next(event for event in day.events if isinstance(event, Disconnected))
    path = day.write(tmp_path)
    last = [event for event in day.events if isinstance(event, Record) and event.sequence < lost.sequence][-1]
    async with replay_on(loop.name, path, speed=None, start=NINE + last.received_at + 1) as client:
        assert plain([await anext(client)]) == plain([lost])
        assert client.disconnected is None  # read on already: as a client that reads faster than it is iterated


# Time.


@on_virtual_time
@pytest.mark.parametrize("speed", [0.5, 1, 100])
def test_events_come_at_their_recorded_distances(clock: str, speed: float, tmp_path: Path) -> None:
    seconds = [0.0, 0.25, 0.25, 7.0, 40_000.0, 200_000.125]  # a night in between
    path = write_recording(tmp_path, trades(seconds))
    came: list[float] = []

    async def scenario() -> None:
        async with replay_on(clock, path, speed=speed) as client:
            begin = anyio.current_time()
            async for event in client:
                if isinstance(event, Trade):
                    came.append(anyio.current_time() - begin)  # noqa: PERF401

    run_virtually(clock, scenario)
    assert came == pytest.approx([second / speed for second in seconds], abs=1e-6)


@on_virtual_time
def test_a_slow_consumer_loses_nothing_and_catches_up(clock: str, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([0, 1, 2, 3, 20]))
    came: list[float] = []
    lags: list[float] = []

    async def scenario() -> None:
        async with replay_on(clock, path) as client:
            begin = anyio.current_time()
            async for event in client:
                if isinstance(event, Trade):
                    came.append(anyio.current_time() - begin)
                    await anyio.sleep(2)
                    lags.append(client.stats().lag)

    run_virtually(clock, scenario)
    assert came == pytest.approx([0, 2, 4, 6, 20])
    assert max(lags) <= 6


@on_virtual_time
def test_time_goes_on_while_nobody_iterates(clock: str, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([0, 5, 15]))

    async def scenario() -> None:
        async with replay_on(clock, path) as client:
            begin = anyio.current_time()
            await anyio.sleep(10)
            await anext(client)
            await anext(client)
            assert anyio.current_time() - begin == 10
            await anext(client)
            assert anyio.current_time() - begin == pytest.approx(15)

    run_virtually(clock, scenario)


@on_virtual_time
def test_two_tasks_share_it_and_close_ends_both(clock: str, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([0, 1, 2, 1_000_000]))
    found: list[Event] = []

    async def scenario() -> None:
        async def iterate(client: Replay) -> None:
            found.extend(await play(client))

        async with replay_on(clock, path) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(iterate, client)
            tasks.start_soon(iterate, client)
            await anyio.sleep(10)
            await client.aclose()
            assert client.state is SessionState.CLOSED

    run_virtually(clock, scenario)
    assert [type(event) for event in found] == [Trade] * 3 + [Closed]


# Calls.


async def test_subscribing_filters(loop: Loop, tmp_path: Path) -> None:
    day = a_day_of_faults()
    live = iterated(day)
    path = day.write(tmp_path)
    async with replay_on(loop.name, path, speed=None) as client:
        await client.subscribe("0B", "005930")
        await client.subscribe("00")
        assert [each.state for each in client.subscriptions] == [SubscriptionState.CONFIRMED] * 2
        found = await play(client)
        assert client.stats().delivered == len(found)
    wanted = {("0B", "005930"), ("00", "005930")}
    assert plain(found) == plain(
        event for event in live if not isinstance(event, Record) or (event.type_code, event.item) in wanted
    )
    assert {event.type_code for event in found if isinstance(event, Record)} == {"0B", "00"}


async def test_what_is_subscribed_to_counts_from_the_next_event_on(loop: Loop, tmp_path: Path) -> None:
    lines = [line for pair in zip(trades([1, 2, 3]), trades([1, 2, 3], "000660"), strict=True) for line in pair]
    path = write_recording(tmp_path, lines)
    async with replay_on(loop.name, path, speed=None) as client:
        found: list[Any] = [await anext(client), await anext(client)]  # everything
        await client.subscribe("0B", "000660")
        found.append(await anext(client))
        await client.subscribe(Trade, "005930")
        await client.unsubscribe("0B", "000660")
        found.append(await anext(client))
        await client.unsubscribe("0B", "005930")  # now nothing
        assert [type(event) for event in await play(client)] == [Closed]
    assert [(event.item, event.price) for event in found] == [
        ("005930", 1),
        ("000660", 1),
        ("000660", 2),
        ("005930", 3),
    ]


async def test_a_call_that_does_not_wait_is_answered_in_the_stream(loop: Loop, tmp_path: Path) -> None:
    async with replay_on(loop.name, write_recording(tmp_path, trades([1])), speed=None) as client:
        request = await client.subscribe("0B", "005930", wait=False)
        assert await anext(client) == RequestAccepted(request)
        assert isinstance(await anext(client), Trade)


MISTAKES: list[Callable[[Any], Any]] = [
    lambda client: client.subscribe("0B", "A005930"),
    lambda client: client.subscribe("0b", "005930"),
    lambda client: client.subscribe("FE", "NVDA:ND"),
    lambda client: client.subscribe("0B"),
    lambda client: client.subscribe("0B", ["005930"]),
    lambda client: client.subscribe("0B", "005930", group="12345"),
    lambda client: client.subscribe("0B", "005930", fresh_within=-1),
    lambda client: client.subscribe("0B", *(f"{number:06}" for number in range(201))),
    lambda client: client.unsubscribe("0B", "삼성전자"),
    lambda client: client.search_condition("", realtime=True),
    lambda client: client.clear_condition(" "),
]


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_mistakes_are_refused_in_the_words_of_a_session(
    mistake: Callable[[Any], Any], loop: Loop, tmp_path: Path
) -> None:
    session = Session(PRODUCTION, clock=ManualClock(), random=lambda: 0.5)
    with pytest.raises(LocalProtocolError) as expected:
        mistake(session)
    async with replay_on(loop.name, write_recording(tmp_path, trades([1])), speed=None) as client:
        with pytest.raises(type(expected.value)) as caught:
            await mistake(client)
        assert str(caught.value) == str(expected.value)
        assert client.subscriptions == ()
        assert isinstance(await anext(client), Trade)  # nothing has changed: everything still comes


async def test_conditions_are_answered_from_the_recording(loop: Loop, tmp_path: Path) -> None:
    day = Day()
    day.calls.append(day.session.list_conditions())
    day.advance(1)
    key: str | None = ""
    while key is not None:
        day.calls.append(day.session.search_condition("1", next_key=key))
        day.advance(1)
        key = next(event.next_key for event in reversed(day.events) if isinstance(event, ConditionResult))
    day.calls.append(day.session.search_condition("1", realtime=True))
    day.advance(30)
    day.network.reset()
    day.advance(60)
    day.end()
    live_events = iterated(day)
    async with replay_on(loop.name, day.write(tmp_path), speed=None) as client:
        conditions = await client.list_conditions()
        assert conditions == await client.list_conditions()  # the last one again
        assert [condition.seq for condition in conditions] == ["0", "1", "2"]
        rows = [row async for row in client.search_condition_rows("1")]
        assert len(rows) == 35  # two pages
        found = await client.search_condition("1", realtime=True)
        assert found.symbols
        with pytest.raises(RequestRefused, match="the recording holds no answer"):
            await client.search_condition("2")
        events = await play(client)
    assert plain(events) == plain(live_events)
    assert any(isinstance(event, Record) and found.matches(event) for event in events)
    assert sum(isinstance(event, ConditionResult) for event in events) == 1  # asked for again after the loss


# Arguments and files.


@pytest.mark.parametrize("speed", [0, -1, float("nan"), "fast", True])
async def test_a_speed_that_is_none_is_refused(speed: Any, loop: Loop, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([1]))
    with pytest.raises(LocalProtocolError, match="speed: must be a number above 0, or None"):
        async with replay_on(loop.name, path, speed=speed):
            raise AssertionError("the block must not be entered")


@pytest.mark.parametrize("paths", [None, 5, b"day", [b"day"], ["day", None]])
async def test_what_is_no_path_is_refused(paths: Any, loop: Loop) -> None:
    text = "paths: must be a file, a folder, or several of them, not "
    with pytest.raises(LocalProtocolError, match=text):
        async with replay_on(loop.name, paths):
            raise AssertionError("the block must not be entered")
    with pytest.raises(LocalProtocolError, match=text):
        read_recording(paths)


async def test_files_that_are_none_are_refused(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no recording")
    for path, text in (
        (tmp_path / "absent", "no such file"),
        (tmp_path / "notes.txt", "no recording"),
        (tmp_path, "holds no recording"),
    ):
        with pytest.raises(RecordingError, match=text):
            async with replay_on(loop.name, path):
                raise AssertionError("the block must not be entered")


async def test_it_stands_where_it_was_recorded(loop: Loop, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([1]), endpoint=MOCK)
    async with replay_on(loop.name, [str(path)], speed=None) as client:
        assert client.endpoint == MOCK
        assert client.endpoint.mock
        assert repr(client) == f"<Replay {MOCK}, ready>"
    other = write_recording(tmp_path, trades([1]), endpoint=US_PRODUCTION, session="0" * 16, name="us.ndjson.zst")
    with pytest.raises(LocalProtocolError, match="domestic and of the US market"):
        async with replay_on(loop.name, [path, other]):
            raise AssertionError("the block must not be entered")


async def test_it_belongs_to_its_loop(loop: Loop, tmp_path: Path) -> None:
    async with replay_on(loop.name, write_recording(tmp_path, trades([1])), speed=None) as client:
        failures: list[KiwoomError] = []

        def iterate_elsewhere() -> None:
            try:
                aiter(client)
            except KiwoomError as error:
                failures.append(error)

        await anyio.to_thread.run_sync(iterate_elsewhere)
        assert "another thread" in str(failures[0])


# Streams, callbacks and newest rows.


async def test_streams_and_callbacks_of_a_recording(loop: Loop, tmp_path: Path) -> None:
    lines = [line for pair in zip(trades([1, 2, 3]), trades([1, 2, 3], "000660"), strict=True) for line in pair]
    seen: list[Trade] = []
    async with (
        replay_on(loop.name, write_recording(tmp_path, lines), speed=None) as client,
        client.stream(Trade, "005930") as one,
        client.stream(Trade, "005930", "000660") as both,
    ):
        client.on(Trade, seen.append, "000660")
        client.latest(Trade, "005930")
        found = [(row.item, row.price) async for row in one]
        assert found == [("005930", 1), ("005930", 2), ("005930", 3)]
        assert len([row async for row in both]) == 6
        assert [row.price for row in seen] == [1, 2, 3]
        with pytest.raises(ConnectionLost):  # it is over
            client.latest(Trade, "005930")
        assert [type(event) for event in await play(client)] == [Closed]


@on_virtual_time
@pytest.mark.parametrize("speed", [1, None])
def test_callbacks_and_newest_rows_come_although_nobody_iterates(
    clock: str, speed: float | None, tmp_path: Path
) -> None:
    """The rows come as they would from a connection, which has tasks of its own."""
    path = write_recording(tmp_path, trades([1, 3, 7]))
    seen: list[float] = []
    prices: list[object] = []

    async def scenario() -> None:
        async with replay_on(clock, path, speed=speed) as client:
            await client.subscribe(Trade, "005930")
            began = anyio.current_time()
            client.latest(Trade, "005930")
            handle = client.on(Trade, lambda trade: seen.append(anyio.current_time() - began), "005930")
            if speed is not None:
                await anyio.sleep(4)
                row = client.latest(Trade, "005930")
                prices.append(row and row.price)
            await anyio.sleep(60)
            assert handle.errors == 0

    run_virtually(clock, scenario)
    assert len(seen) == 3
    if speed is not None:
        assert [round(second) for second in seen] == [0, 2, 6]
        assert prices == [2]


async def test_a_condition_by_name(loop: Loop, tmp_path: Path) -> None:
    day = Day()
    day.calls.append(day.session.list_conditions())
    day.advance(1)
    day.calls.append(day.session.search_condition("0", realtime=True))
    day.advance(60)
    day.end()
    result = next(event for event in day.events if isinstance(event, ConditionResult))
    hits = [event for event in day.events if isinstance(event, ConditionHit)]
    async with (
        replay_on(loop.name, day.write(tmp_path), speed=None) as client,
        client.condition("거래량 급증") as stream,
    ):
        assert stream.symbols == tuple(result.symbols)
        changes = [change async for change in stream]
    assert [change.symbol for change in changes] == [hit.symbol for hit in hits] != []


@on_virtual_time
def test_streams_come_at_their_recorded_distances(clock: str, tmp_path: Path) -> None:
    path = write_recording(tmp_path, trades([1, 3, 7]))

    async def scenario() -> None:
        async with replay_on(clock, path) as client, client.stream(Trade, "005930") as rows:
            began = anyio.current_time()
            assert [round(anyio.current_time() - began) async for _ in rows] in ([0, 2, 6], [1, 3, 7])

    run_virtually(clock, scenario)


@on_virtual_time
def test_silence_is_told_to_streams_as_it_was_recorded(clock: str, tmp_path: Path) -> None:
    day = Day(Exchange(rate=1e-6), config=ClientConfig(hours=None))
    day.calls.append(day.session.subscribe("0B", "005930", fresh_within=5))
    day.advance(20)
    day.end()
    path = day.write(tmp_path)

    async def scenario() -> None:
        async with (
            replay_on(clock, path) as client,
            client.stream(Trade, "005930", fresh_within=5, gaps="items") as trades,
        ):
            assert await anext(trades) == Stale("0B", "005930", 5)
            assert trades.silences == 1
            assert [each.is_stale for each in client.subscriptions] == [True]

    run_virtually(clock, scenario)


async def test_holes_of_the_recording_concern_every_stream_condition_and_callback(loop: Loop, tmp_path: Path) -> None:
    """The recorder was killed twice, and once the disk was full. Gaps of the connection are told as ever."""
    marked = RecordingHole(NINE + 25 * SECOND // 10, NINE + 3 * SECOND, 7, "the disk is full", epoch=1, sequence=50)
    for number, lines in enumerate(
        (trades([1]), [*trades([2]), encode_event(marked.end, marked), *trades([3, 4], "000660")], trades([5]))
    ):
        write_recording(
            tmp_path,
            lines,
            session=f"{number:016x}",
            at=NINE + 10 * number,
            name=f"{number}.ndjson.zst",
            closed=number == 2,
        )
    holes = [event for event in read_recording(tmp_path) if isinstance(event, RecordingHole)]
    called: list[StreamGap] = []
    heard: list[StreamGap] = []
    async with (
        replay_on(loop.name, tmp_path, speed=None) as client,
        client.stream(Trade, "005930", gaps="items") as items,
        client.stream(Trade, "000660", gaps=called.append) as rows,
        client.stream(Trade, "005930") as counted,
    ):
        listener = client.on(Trade, lambda row: None, "000660", gaps=heard.append)
        found = [event async for event in items]
        assert [row.price async for row in rows] == [1, 2]
        assert [event for event in await play(client) if isinstance(event, RecordingHole)] == holes
    assert [event for event in found if not isinstance(event, Trade)] == called == heard == holes
    assert marked in holes and len(holes) == 3
    assert items.gaps == rows.gaps == counted.gaps == listener.gaps == 3


async def test_a_hole_counts_in_a_condition_stream(loop: Loop, tmp_path: Path) -> None:
    day = Day()
    day.calls.append(day.session.list_conditions())
    day.advance(1)
    day.calls.append(day.session.search_condition("0", realtime=True))
    day.advance(20)
    path = write_recording(tmp_path, day.lines(), closed=False)
    async with (
        replay_on(loop.name, path, speed=None) as client,
        client.condition("거래량 급증") as stream,
    ):
        assert [change async for change in stream]
        assert stream.gaps == 1


# A recording waits for its streams.

MANY = 3_000
"""Rows: more than are reported at once."""


def write_many(folder: Path, *items: str, apart: float = 0.001) -> Path:
    """A recording of many rows of each item, in turn."""
    of_each = [trades([number * apart for number in range(MANY)], item) for item in items]
    return write_recording(folder, [line for lines in zip(*of_each, strict=True) for line in lines])


@on_virtual_time
@pytest.mark.parametrize("speed", [1, None])
@pytest.mark.parametrize("options", [{"overflow": "conflate"}, {"overflow": "drop_oldest", "buffer_size": 5}, {}])
def test_whoever_does_nothing_but_iterate_a_stream_gets_every_row(
    clock: str, speed: float | None, options: Any, tmp_path: Path
) -> None:
    path = write_many(tmp_path, "005930")
    prices: list[object] = []

    async def scenario() -> None:
        config = ClientConfig(buffer_size=5)
        async with (
            replay_on(clock, path, speed=speed, config=config) as client,
            client.stream(Trade, "005930", **options) as rows,
        ):
            prices.extend([row.price async for row in rows])
            assert (rows.stats().delivered, rows.stats().dropped, rows.stats().conflated) == (MANY, 0, 0)

    run_virtually(clock, scenario)
    assert prices == list(range(1, MANY + 1))


@on_virtual_time
@pytest.mark.parametrize("speed", [1, None])
def test_streams_that_are_iterated_by_tasks_of_their_own_get_every_row(
    clock: str, speed: float | None, tmp_path: Path
) -> None:
    """However slow one of them is: the recording comes late then, for all. The client may be iterated meanwhile."""
    path = write_many(tmp_path, "005930", "000660")
    prices: dict[str, list[object]] = {"005930": [], "000660": []}
    took: list[float] = []

    async def scenario() -> None:
        async def read(client: Replay, item: str, pause: float) -> None:
            async with client.stream(Trade, item, overflow="conflate") as rows:
                async for row in rows:
                    prices[item].append(row.price)
                    await anyio.sleep(pause)
            took.append(anyio.current_time() - began)

        async with replay_on(clock, path, speed=speed) as client, anyio.create_task_group() as tasks:
            began = anyio.current_time()
            tasks.start_soon(read, client, "005930", 0)
            tasks.start_soon(read, client, "000660", 9)
            await anyio.sleep(0.05)
            await play(client)

    run_virtually(clock, scenario)
    assert prices == {item: list(range(1, MANY + 1)) for item in prices}
    assert max(took) == pytest.approx(9 * MANY, rel=0.01)


@on_virtual_time
def test_a_stream_that_nobody_iterates_does_not_hold_up_the_others(clock: str, tmp_path: Path) -> None:
    path = write_many(tmp_path, "005930", "000660")

    async def scenario() -> None:
        async with (
            replay_on(clock, path, speed=None) as client,
            client.stream(Trade, "005930") as read,
            client.stream(Trade, "000660", overflow="conflate") as unread,
            client.stream(Trade, "000660", overflow="raise", buffer_size=10) as too_small,
        ):
            began = anyio.current_time()
            assert len([row async for row in read]) == MANY
            assert anyio.current_time() - began == pytest.approx(0.1, abs=0.01)  # once, for both of them
            newest = [row.price async for row in unread]
            assert len(newest) <= 4 and newest[-1] == MANY
            assert unread.stats().conflated == MANY - len(newest)
            with pytest.raises(BufferOverflow, match="buffer_size"):
                await play(too_small)  # type: ignore[arg-type]

    run_virtually(clock, scenario)


@on_virtual_time
def test_a_recording_is_not_far_ahead_of_a_slow_consumer_and_keeps_what_is_read_later(
    clock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream without limits of its own would hold a whole day otherwise. One that is read later does."""
    monkeypatch.setattr("kiwoom_proto.client.streams.FAR_BEHIND", 100)
    path = write_many(tmp_path, "005930", "000660")
    waiting: list[int] = []

    async def scenario() -> None:
        async def read_slowly(rows: Stream[Trade]) -> None:
            async for _ in rows:
                waiting.append(rows.stats().waiting)
                await anyio.sleep(1)

        async with (
            replay_on(clock, path, speed=None) as client,
            client.stream(Trade, "005930") as slow,
            client.stream(Trade, "000660") as fast,
            client.stream(Trade, "000660") as later,
        ):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_slowly, slow)
                assert len([row async for row in fast]) == MANY
            assert len([row async for row in later]) == MANY

    run_virtually(clock, scenario)
    assert len(waiting) == MANY
    assert max(waiting) < 2_000  # what is reported at once, twice at most


@on_virtual_time
def test_callbacks_do_not_wait_for_ever_for_a_stream_that_nobody_iterates(clock: str, tmp_path: Path) -> None:
    path = write_many(tmp_path, "005930", "000660")
    seen: list[Trade] = []

    async def scenario() -> None:
        async with (
            replay_on(clock, path, speed=None) as client,
            client.stream(Trade, "000660", overflow="conflate"),
        ):
            await anyio.sleep(1)
            assert not seen
            client.on(Trade, seen.append, "005930")
            await anyio.sleep(1)

    run_virtually(clock, scenario)
    assert len(seen) == MANY


@on_virtual_time
def test_one_task_that_reads_two_streams_in_turn_waits_for_neither(clock: str, tmp_path: Path) -> None:
    """The stream that it does not wait for follows its policy: the rows of the other one lie behind these."""
    lines = [*trades([number * 0.001 for number in range(MANY)]), *trades([4, 5], "000660")]
    path = write_recording(tmp_path, lines)

    async def scenario() -> None:
        async with (
            replay_on(clock, path, speed=None) as client,
            client.stream(Trade, "005930", overflow="conflate") as many,
            client.stream(Trade, "000660", overflow="conflate") as few,
        ):
            began = anyio.current_time()
            assert [(await anext(many)).price, (await anext(few)).price] == [1, 1]
            assert [(await anext(many)).price, (await anext(few)).price] != [MANY, 1]
            assert anyio.current_time() == began

    run_virtually(clock, scenario)


@on_virtual_time
@pytest.mark.parametrize("has_ended", [True, False])
def test_a_stream_that_was_left_alone_holds_up_the_others_for_a_while(
    clock: str, has_ended: bool, tmp_path: Path
) -> None:
    path = write_many(tmp_path, "005930", "000660")

    async def scenario() -> None:
        async def begin(rows: Stream[Trade]) -> None:
            await anext(rows)
            if not has_ended:
                await anyio.sleep(10_000)

        async with (
            replay_on(clock, path, speed=None) as client,
            client.stream(Trade, "005930") as read,
            client.stream(Trade, "000660", overflow="conflate") as left,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(begin, left)
            await anyio.sleep(0.01)
            began = anyio.current_time()
            assert len([row async for row in read]) == MANY
            assert anyio.current_time() - began == pytest.approx(0.1 if has_ended else 10, abs=0.02)
            assert left.stats().conflated > 0
            tasks.cancel_scope.cancel()

    run_virtually(clock, scenario)

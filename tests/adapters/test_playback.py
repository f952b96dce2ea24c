"""A recording as the exchange, over real sockets: recorded, served, received again, and the rows are the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.adapters.command import run, start
from tests.adapters.kit import Loop
from tests.adapters.recordings import Day

from kiwoom_proto import Event, OrderBook, Record, Trade
from kiwoom_proto.simulator import Exchange, Playback


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """The file of a recorded day, and its events."""
    day = Day()
    day.subscribe("0B", "005930", "000660")
    day.subscribe("0D", "005930")
    day.subscribe("00")
    day.exchange.place_order("token", "005930", "buy", 10)
    day.advance(30)
    day.end()
    return day.write(tmp_path_factory.mktemp("day")), day.events


def said(events: Iterable[Event], type: str, item: str | None = None) -> list[tuple[str, dict[str, str]]]:
    """The rows of a type, and of an item if one is given: item, and every text by its FID."""
    return [
        (event.item, event.fids())
        for event in events
        if isinstance(event, Record) and event.type_code == type and item in (None, event.item)
    ]


async def test_what_was_recorded_is_received_again(loop: Loop, day: tuple[Path, list[Event]]) -> None:
    path, recorded = day
    received: list[Event] = []
    told: list[str] = []
    wanted = {("0B", "005930"), ("0D", "005930")}
    count = sum(len(said(recorded, *pair)) for pair in wanted) + len(said(recorded, "00"))
    async with (
        loop.serve(Exchange(playback=Playback(path, speed=60, tell=told.append))) as server,
        loop.connect(server.endpoint) as client,
    ):
        await client.subscribe(Trade, "005930")
        await client.subscribe(OrderBook, "005930")
        await client.subscribe("00")
        async for event in client:
            received.append(event)
            if sum(isinstance(event, Record) for event in received) == count:
                break
    assert told[0].startswith("Playback starts")
    for pair in sorted(wanted):
        assert said(received, *pair) == said(recorded, *pair) != []
    assert said(received, "00") == said(recorded, "00") != []
    assert not said(received, "0B", "000660")


def test_the_command_plays_it_for_a_program_of_any_language(day: tuple[Path, list[Event]]) -> None:
    path, recorded = day
    trades = [event for event in recorded if isinstance(event, Trade) and event.item == "005930"]
    with start("serve", "--port", "0", "--replay", str(path), "--speed", "60", token=None) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().split()[-1]
            done = run("stream", "0B", "005930", "--endpoint", url, "--count", str(len(trades)))
            assert done.returncode == 0
            shown = [server.stdout.readline() for _ in range(4)]
        finally:
            server.kill()
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [trade.to_dict() for trade in trades]
    assert [(row["item"], row["price"], row["quantity"]) for row in rows] == [
        (row["item"], row["price"], row["quantity"]) for row in json.loads(json.dumps(expected, default=str))
    ]
    assert f"It plays {path} from the first registration on, 60 times as fast." in shown[0]
    assert "Playback starts at 2026-11-25 09:0" in shown[2]
    assert "Playback has ended" in shown[3]


def test_a_path_that_is_no_recording_ends_the_command() -> None:
    done = run("serve", "--port", "0", "--replay", "no-such-folder", token=None)
    assert done.returncode == 1
    assert "no-such-folder: no such file or folder" in done.stderr
    assert done.stdout == ""

"""A recording of a simulated exchange: everything heard and said, whatever the consumer, the disk or the end."""

from __future__ import annotations

from pathlib import Path

from tests.adapters.kit import ITEM, Client, Loop

from kiwoom_proto import AfterHoursQuote, Event, Record
from kiwoom_proto.recording.format import EventLine, Footer, Header, MessageLine, SentLine
from kiwoom_proto.recording.reader import read_lines, read_recording
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.simulator import Exchange


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def take(client: Client, count: int) -> list[Event]:
    """Iterate so many rows; returns everything that came until then."""
    events: list[Event] = []
    async for event in client:
        events.append(event)
        count -= isinstance(event, Record)
        if not count:
            break
    return events


async def test_a_recording_holds_a_session_from_the_first_attempt_to_the_end(loop: Loop, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    async with loop.serve(Exchange(rate=500)) as server:
        async with loop.connect(server.endpoint, record=recorder) as client:
            await client.subscribe(AfterHoursQuote, ITEM)
            seen = await take(client, 100)
        seen += [event async for event in client]

    (path,) = files(tmp_path)
    lines = list(read_lines(path))
    events = list(read_recording(tmp_path))
    assert isinstance(lines[0], Header)
    assert (lines[0].endpoint, lines[0].part, lines[0].masked) == (server.endpoint.url, 1, True)
    names = [type(line.event).__name__ for line in lines if isinstance(line, EventLine)]
    assert names == ["Connecting", "Opened", "LoggedIn", "RequestAccepted", "Closed"]
    sent = [line.payload for line in lines if isinstance(line, SentLine)]
    assert sent[0] == b'{"trnm":"LOGIN","token":"***"}'
    assert b'"trnm":"REG"' in sent[1]
    messages = sum(isinstance(line, MessageLine) for line in lines)
    assert isinstance(lines[-1], Footer)
    assert (lines[-1].end, lines[-1].messages) == ("closed", messages)
    rows = [event for event in events if isinstance(event, Record)]
    assert rows[: len(seen) - 1] == [event for event in seen if isinstance(event, Record)]
    assert [(row.epoch, row.sequence, row.received_at) for row in rows[:100]] == [
        (row.epoch, row.sequence, row.received_at) for row in seen[:100] if isinstance(row, Record)
    ]
    stats = recorder.stats()
    assert (stats.messages, stats.lost, stats.files, stats.waiting_bytes) == (messages, 0, 1, 0)

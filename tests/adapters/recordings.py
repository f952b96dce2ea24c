"""Recordings for tests: of a session on virtual time, over a network that fails on demand, or written by hand."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import PRODUCTION, ClientConfig, Endpoint, Event, Record, Request, Session
from kiwoom_proto.connection.capture import Capture, Entry, Received, Reported
from kiwoom_proto.events import (
    Batch,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    LoggedIn,
    LoginRefusal,
    Opened,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
)
from kiwoom_proto.recording.event_json import event_to_dict
from kiwoom_proto.recording.format import (
    Footer,
    Header,
    encode_event,
    encode_footer,
    encode_header,
    encode_message,
    encode_messages,
    encode_sent,
)
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

__all__ = ("NINE", "SECOND", "Day", "Replay", "iterated", "plain", "play", "replay_on", "write_recording")

Replay = kiwoom_asyncio.Replay | kiwoom_trio.Replay
SECOND = 1_000_000_000
NINE = 1_795_564_800 * SECOND
"""2026-11-25, 09:00 KST."""
ANSWERS = RequestAccepted | RequestRefusal | RequestUnanswered | ConditionList | ConditionResult


def replay_on(loop: str, paths: Any, **options: Any) -> AbstractAsyncContextManager[Replay]:
    """The `replay` of a loop's adapter."""
    return kiwoom_trio.replay(paths, **options) if loop == "trio" else kiwoom_asyncio.replay(paths, **options)


async def play(replay: Replay) -> list[Event]:
    """Iterate to the end."""
    return [event async for event in replay]


def plain(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Events as what they say: tickets and errors are compared by what they hold, and numbers count."""
    return [event_to_dict(event) for event in events]


class _TappedSession(Session):
    """Keeps what its capture caught, in step with its events, as an adapter does."""

    def __init__(self, *args: Any, now: Callable[[], int], **options: Any) -> None:
        self._tap = Capture()
        self.entries: list[Entry] = []
        self._wall_clock = now
        super().__init__(*args, capture=self._tap, **options)

    def events(self) -> Batch:
        events = super().events()
        self.entries += self._tap.pop(events, self._wall_clock())
        return events


class Day:
    """A session on virtual time, recorded.

    Attributes:
        calls: the requests that were awaited: their answers go to the caller.
        events: every event of the session.
    """

    def __init__(
        self,
        exchange: Exchange | None = None,
        *,
        seed: int = 1,
        endpoint: Endpoint = PRODUCTION,
        config: ClientConfig | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.exchange = exchange or Exchange(seed=seed, start=datetime.time(9, 0), rate=5)
        self.exchange.run_on(self.clock)
        self.session = _TappedSession(
            endpoint, config, clock=self.clock, random=random.Random(seed).random, now=self._now
        )
        self.network = SimulatedNetwork(self.session, self.exchange, self.clock)
        self.calls: list[Request] = []
        self.session.connect("token")
        self.advance(1)

    def _now(self) -> int:
        return 1 + int(self.clock.now * SECOND)  # as `SimulatedNetwork` has it

    @property
    def events(self) -> list[Event]:
        return self.network.events

    def advance(self, seconds: float) -> None:
        self.network.advance(seconds)

    def subscribe(self, type: str, *items: str) -> None:
        """Subscribe, as a call that waits."""
        self.calls.append(self.session.subscribe(type, *items))
        self.advance(1)

    def end(self, seconds: float = 5) -> None:
        """Close, as `aclose`."""
        self.session.close()
        self.advance(seconds)
        assert self.session.state is SessionState.CLOSED

    def lines(self) -> list[bytes]:
        """What is recorded."""
        lines = []
        for entry in self.session.entries:
            if isinstance(entry, Reported):
                lines.append(encode_event(NINE + entry.at, entry.event))
            elif isinstance(entry, Received):
                at = NINE + entry.at
                if entry.rows_only:
                    lines.append(encode_messages(at, entry.epoch, entry.sequence, entry.payloads))
                else:
                    lines.append(encode_message(at, entry.epoch, entry.sequence, entry.payloads[0]))
            else:
                lines.append(encode_sent(NINE + entry.at, entry.epoch, entry.sequence, entry.payload))
        return lines

    def write(self, folder: Path) -> Path:
        """Write the recording; return its file."""
        return write_recording(folder, self.lines(), endpoint=self.session.endpoint)


def write_recording(
    folder: Path,
    lines: Sequence[bytes],
    *,
    endpoint: Endpoint = PRODUCTION,
    session: str = "0123456789abcdef",
    at: int = NINE,
    name: str = "2026-11-25T090000-00.ndjson.zst",
    frame: int = 200,
    closed: bool = True,
) -> Path:
    """Write a file of these lines, `frame` of them in each frame."""
    header = Header(at, endpoint.url, endpoint.mock, "kiwoom-proto test", session)
    data = [compress(encode_header(header))]
    data += [compress(b"".join(lines[place : place + frame])) for place in range(0, len(lines), frame)]
    if closed:
        data.append(compress(encode_footer(Footer(at, "closed", len(lines)))))
    path = folder / name
    path.write_bytes(b"".join(data))
    return path


def iterated(day: Day) -> list[Event]:
    """What the client of this session had to iterate, with the times of the recording."""
    found: list[Event] = []
    logged_in = False
    for event in day.events:
        if isinstance(event, LoggedIn) and not logged_in:
            logged_in = True
            continue
        of_login = isinstance(event, Connecting | Opened | Disconnected | LoginRefusal) and not logged_in
        of_call = isinstance(event, ANSWERS) and event.request in day.calls
        if not of_login and not of_call:
            found.append(_at_nine(event))
    return found


def _at_nine(event: Event) -> Event:
    if isinstance(event, Record) and event.received_at:
        return _replaced(event, received_at=NINE + event.received_at)
    return event


def _replaced(record: Record, received_at: int) -> Record:
    return msgspec.structs.replace(record, received_at=received_at)

"""The tap on what a session hears and says: everything, once, in order, and at no cost where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from tests.proto.wire import LOGIN_OK, REG_OK, TOKEN, close, text

from kiwoom_proto import MOCK, ClientConfig, Conversation, Event, Record, Secret, Session, SystemNotice, UnknownMessage
from kiwoom_proto.connection.capture import Capture, Entry, Received, Reported, Sent
from kiwoom_proto.connection.server import ServerConnection
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.decoder import MessageDecoder

QUICK = ClientConfig(request_interval=0, reconnect=False)
NOW = 1_764_000_000_000_000_000
PING = b'{"trnm":"PING"}'
SYSTEM = b'{"trnm":"SYSTEM","code":"R10001","message":"bye"}'


def row(number: int, item: str = "005930") -> bytes:
    values = {"20": "153000", "21": str(number)}
    return json.dumps({"trnm": "REAL", "data": [{"type": "0E", "name": "", "item": item, "values": values}]}).encode()


def rows(*numbers: int) -> bytes:
    data = [{"type": "0E", "name": "", "item": "005930", "values": {"21": str(number)}} for number in numbers]
    return json.dumps({"trnm": "REAL", "data": data}).encode()


class Tapped:
    """A session with a tap, logged in, and a server's end that sends what the test says."""

    def __init__(self, config: ClientConfig = QUICK) -> None:
        self.clock = ManualClock()
        self.capture = Capture()
        self.session = Session(MOCK, config, clock=self.clock, random=lambda: 0.5, capture=self.capture)
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        self.now = NOW
        self.session.connect(TOKEN)
        self.pop()

    def open(self) -> None:
        """Carry the opening handshake out."""
        server = ServerConnection(clock=self.clock)
        server.receive_data(self.session.data_to_send())
        self.receive(server.data_to_send())

    def login(self) -> None:
        """Log in."""
        self.open()
        self.receive(text(LOGIN_OK))

    def receive(self, *frames: bytes) -> list[Entry]:
        """Receive frames in one read; returns what was tapped."""
        self.now += 1_000_000
        self.session.receive_data(b"".join(frames), self.now)
        return self.pop()

    def pop(self) -> list[Entry]:
        """Take what happened."""
        events = self.session.events()
        self.events += events
        found = self.capture.pop(events, self.now + 500)
        self.entries += found
        return found


def received(entries: Iterable[Entry]) -> list[tuple[int, bytes]]:
    """Each message received, with the number of its first event."""
    return [
        (entry.sequence + place, payload)
        for entry in entries
        if isinstance(entry, Received)
        for place, payload in enumerate(entry.payloads)
    ]


def kinds(entries: Iterable[Entry]) -> list[str]:
    return [
        type(entry.event).__name__ if isinstance(entry, Reported) else type(entry).__name__.lower() for entry in entries
    ]


def test_a_run_of_rows_is_one_entry_whatever_its_length() -> None:
    tapped = Tapped()
    tapped.login()
    payloads = [row(number) for number in range(100)]

    (entry,) = tapped.receive(*map(text, payloads))

    assert isinstance(entry, Received)
    assert (entry.at, entry.epoch, list(entry.payloads), entry.rows_only) == (tapped.now, 1, payloads, True)
    records = [event for event in tapped.events if isinstance(event, Record)]
    assert [record.sequence for record in records] == list(range(entry.sequence, entry.sequence + 100))


def test_rows_with_korean_text_belong_to_the_run() -> None:
    tapped = Tapped()
    tapped.login()
    korean = row(2).replace(b"153000", "삼성".encode())
    payloads = [korean, row(1), korean, row(3), rows(4, 5), korean, row(6)]

    entries = tapped.receive(*map(text, payloads))

    assert [len(entry.payloads) for entry in entries if isinstance(entry, Received)] == [4, 1, 2]
    numbers = [number for number, _ in received(entries)]
    assert [payload for _, payload in received(entries)] == payloads
    records = {event.sequence: event for event in tapped.events if isinstance(event, Record)}
    assert len(records) == 8
    assert all(payload.count(records[number].values) == 1 for number, payload in zip(numbers, payloads, strict=True))
    assert all(records[number].values == korean[korean.index(b'{"20"') : -3] for number in (numbers[0], numbers[5]))


@pytest.mark.parametrize(
    "other", [rows(7, 8, 9), rows(), PING, SYSTEM, b"no JSON", b'{"trnm":"NEW"}', b"[]", b"\xec\x82\xbc", b""]
)
def test_what_is_not_one_row_has_an_entry_and_the_number_before_it(other: bytes) -> None:
    tapped = Tapped()
    tapped.login()
    payloads = [row(1), row(2), other, row(3), other, other, row(4)]

    entries = tapped.receive(*map(text, payloads))

    assert [payload for _, payload in received(entries)] == payloads
    assert [entry.rows_only for entry in entries if isinstance(entry, Received)] == [
        True, False, True, False, False, True
    ]  # fmt: skip
    by_number = {event.sequence: event for event in tapped.events}
    for number, payload in received(entries):
        decoded = [message for message in MessageDecoder().decode(payload) if not isinstance(message, Record)]
        if payload.startswith(b'{"trnm": "REAL"') and payload != rows():
            event = by_number[number]
            assert isinstance(event, Record)
            assert payload.count(event.values) == 1
        elif decoded and isinstance(decoded[0], SystemNotice | UnknownMessage):
            assert by_number[number] == decoded[0]


def test_the_order_is_that_of_the_numbers_and_times_never_run_back() -> None:
    tapped = Tapped()
    tapped.login()
    tapped.session.subscribe("0E", "005930")
    tapped.pop()
    tapped.receive(text(REG_OK), text(row(1)), text(PING), text(row(2)))
    tapped.receive(text(SYSTEM), close())
    tapped.session.receive_eof()
    tapped.pop()

    assert kinds(tapped.entries) == [
        "Connecting",
        "Opened",
        "sent",  # LOGIN
        "received",
        "LoggedIn",
        "sent",  # REG
        "received",  # its reply
        "received",
        "received",
        "sent",  # PING
        "received",
        "RequestAccepted",  # the session's own events come after those of the bytes that caused them
        "received",  # SYSTEM
        "Closed",
    ]
    assert [entry.sequence for entry in tapped.entries] == sorted(entry.sequence for entry in tapped.entries)
    assert [entry.at for entry in tapped.entries] == sorted(entry.at for entry in tapped.entries)
    assert all(entry.at >= NOW for entry in tapped.entries)
    assert [entry.event for entry in tapped.entries if isinstance(entry, Reported)] == [
        event for event in tapped.events if not isinstance(event, Record | SystemNotice | UnknownMessage)
    ]


def test_every_connection_of_a_session_is_tapped() -> None:
    tapped = Tapped(ClientConfig(request_interval=0, backoff_max=1.0))
    tapped.login()
    tapped.session.receive_eof()
    tapped.pop()
    tapped.clock.now = tapped.session.next_timeout() or 0
    tapped.session.handle_timeout()
    tapped.pop()
    tapped.login()

    assert [entry.epoch for entry in tapped.entries if isinstance(entry, Received)] == [1, 2]
    assert kinds(tapped.entries).count("Connecting") == 2
    assert "Disconnected" in kinds(tapped.entries)


def test_the_token_is_not_kept_and_named_as_a_secret() -> None:
    tapped = Tapped()
    tapped.login()

    sent = [entry.payload for entry in tapped.entries if isinstance(entry, Sent)]

    assert sent == [b'{"trnm":"LOGIN","token":"***"}']
    assert [secret.reveal() for secret in tapped.capture.secrets] == [TOKEN]
    assert TOKEN not in repr(tapped.capture.secrets) + repr(tapped.entries)


def test_what_is_ignored_after_the_end_is_not_kept() -> None:
    tapped = Tapped()
    tapped.login()
    flood = [text(PING)] * 5_000

    entries = tapped.receive(text(row(1)), *flood, text(row(2)))

    payloads = [payload for _, payload in received(entries)]
    assert payloads[0] == row(1)
    assert row(2) not in payloads
    assert tapped.receive(text(row(3))) == []


def test_what_is_not_text_is_kept_and_what_follows_is_ignored() -> None:
    tapped = Tapped()
    tapped.login()

    entries = tapped.receive(text(row(1)), text(b"\xff\xfe"), text(row(2)))

    assert [payload for _, payload in received(entries)] == [row(1), b"\xff\xfe"]


def test_a_conversation_over_another_websocket_is_tapped_too() -> None:
    clock, capture = ManualClock(), Capture()
    conversation = Conversation(MOCK, QUICK, clock=clock, capture=capture)
    conversation.connect(TOKEN)
    conversation.receive_opened()
    conversation.receive_message(LOGIN_OK, NOW)
    for number in range(3):
        conversation.receive_message(row(number).decode(), NOW + number)

    entries = capture.pop(conversation.events(), NOW)

    assert kinds(entries) == ["Opened", "sent", "received", "LoggedIn", "received", "received", "received"]
    assert [entry.sequence for entry in entries] == [1, 2, 2, 2, 3, 4, 5]


def test_old_secrets_are_forgotten() -> None:
    capture = Capture()
    for number in range(1_000):
        capture.add_secrets([secret(number)])

    assert len(capture.secrets) == 64
    assert capture.secrets[-1] == secret(999)


def secret(number: int) -> Secret:
    return Secret(f"token-number-{number:08d}")


class Counted(Sequence[bytes]):
    """Messages that count how often they are looked at one by one."""

    def __init__(self, payloads: list[bytes]) -> None:
        self.payloads, self.looks = payloads, 0

    def __len__(self) -> int:
        return len(self.payloads)

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return self.payloads[place]

    def __iter__(self) -> Any:
        return iter(self.payloads)


def test_the_work_of_the_tap_does_not_grow_with_the_messages_of_a_run() -> None:
    clock, capture = ManualClock(), Capture()
    conversation = Conversation(MOCK, QUICK, clock=clock, capture=capture)
    conversation.connect(TOKEN)
    conversation.receive_opened()
    conversation.receive_message(LOGIN_OK, NOW)
    capture.pop(conversation.events(), NOW)
    run = Counted([row(number) for number in range(1_000)])

    conversation.receive_run(run, NOW, conversation.start_read(700_000))
    (entry,) = capture.pop(conversation.events(), NOW)

    assert isinstance(entry, Received)
    assert entry.payloads is run, "handed on as it is"
    assert run.looks == 0

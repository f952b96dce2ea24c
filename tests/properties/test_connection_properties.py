"""What holds for a connection whatever comes, in whatever pieces, and whatever is asked of it when."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kiwoom_proto import ClientConfig, Closed, Event, KiwoomError, LocalProtocolError, Request
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import ClosedByPeer, DeadlineExceeded, LoginRefused, RemoteProtocolError
from kiwoom_proto.events import RequestAccepted, RequestRefusal

from ..proto.wire import (
    BINARY,
    CLOSE,
    CONT,
    LOGIN_OK,
    MASK,
    PING,
    PONG,
    REG_OK,
    REMOVE_OK,
    TEXT,
    Wire,
    accept_handshake,
    close,
    close_payload,
    frame,
    pieces,
    real,
    reply,
    text,
)

# Any split of any conversation.

_PAYLOADS = st.one_of(
    st.lists(st.tuples(st.sampled_from(["0E", "0B", "zz"]), st.sampled_from(["005930", ""]), st.just({"131": "5"})),
             min_size=1, max_size=3).map(lambda rows: real(*rows)),
    st.sampled_from([
        b'{"trnm":"PING"}', b'{ "trnm" : "PING" , "x":1}', b'{"trnm":"SYSTEM","code":"R10001","message":"m"}',
        b'{"trnm":"REAL","data":[{"values":{"131":"1"},"item":"1","type":"0E"},null,5]}', b"", b"junk", b"[]",
        reply("REG", 100013)[:-1], reply("CNSRLST", data=[["0", "name"]]), "동시호가".encode(), b"x" * 300,
    ]),
)  # fmt: skip


@st.composite
def _fragmented(draw: st.DrawFn) -> bytes:
    """One message in fragments, with control frames in between."""
    payload = draw(_PAYLOADS)
    cuts = draw(st.lists(st.integers(0, len(payload)), min_size=1, max_size=3))
    parts = pieces(payload, cuts) if payload else [b"", b""]
    data = b""
    for index, part in enumerate(parts):
        data += frame(CONT if index else TEXT, part, fin=index == len(parts) - 1)
        if index < len(parts) - 1:
            data += draw(st.sampled_from([b"", frame(PING, b"between"), frame(PONG)]))
    return data


_FRAMES = st.one_of(
    _PAYLOADS.map(text),
    _PAYLOADS.map(text),
    _fragmented(),
    st.builds(frame, st.just(TEXT), _PAYLOADS, width=st.just(8)),
    st.builds(frame, st.just(BINARY), st.one_of(_PAYLOADS, st.binary(max_size=20))),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
)
_ENDS = st.sampled_from([
    b"", b"", b"", close(1000, b"Bye"), close(None), close(1006), frame(CLOSE, b"\x03"), frame(3), frame(CONT),
    text(b"\xff"), text(b"\xed\xa0\x80"), frame(TEXT, b"a", mask=MASK), frame(TEXT, b"a", fin=False) + close(1001),
    frame(TEXT, b"a", fin=False) + text(b"b"), text(b"x" * 2001), frame(TEXT, b"\xec", fin=False) + frame(CONT),
    text(reply("REG")), text(reply("REMOVE", 5)), b"\x81\x7e", text(b"half")[:-1], b"\xff" * 9,
])  # fmt: skip


@dataclass(frozen=True)
class Conversation:
    """What a server sends, as bytes: while the client logs in, and after its requests went out."""

    login: bytes
    answers: bytes
    end: bytes
    closes: bool  # whether the client calls close() between the two


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    before = draw(st.lists(_FRAMES, max_size=3))
    login = draw(st.sampled_from([LOGIN_OK, LOGIN_OK, LOGIN_OK, reply("LOGIN", 805004, "[CODE=8005]")]))
    after = draw(st.lists(_FRAMES, max_size=3))
    acks = [text(REG_OK), text(draw(st.sampled_from([REMOVE_OK, reply("REMOVE", 105111)])))]
    answers = draw(st.permutations([*draw(st.lists(_FRAMES, max_size=6)), *acks]))
    end = draw(_ENDS)
    return Conversation(
        b"".join(before) + text(login) + b"".join(after),
        b"".join(answers),
        end + b"".join(draw(st.lists(_FRAMES, max_size=2))) if end else b"",
        draw(st.booleans()),
    )


@dataclass
class Outcome:
    """What a conversation came to."""

    events: list[Event] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    echoes: list[bytes] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    states: list[ConnectionState] = field(default_factory=list)


def play(conversation: Conversation, first_cuts: list[int], second_cuts: list[int]) -> Outcome:
    """Hold the conversation with a new client, cut at these places."""
    wire = Wire(ClientConfig(max_message_size=2000, request_interval=0)).connect()
    requests = [wire.client.subscribe("0E", "005930"), wire.client.unsubscribe("0E", "000660")]
    outcome = Outcome()

    def feed(data: bytes, cuts: list[int]) -> None:
        for piece in pieces(data, cuts):
            wire.client.receive_data(piece)
            for found in wire.sent():
                if found.opcode == PONG:
                    outcome.pongs.append(found.payload)
                elif found.opcode == TEXT:
                    (outcome.echoes if b"PING" in found.payload else outcome.requests).append(found.payload)
            outcome.events += wire.events()
        outcome.states.append(wire.client.state)

    feed(accept_handshake(wire.request, b"api-id: 0E") + conversation.login, first_cuts)
    if conversation.closes:
        wire.client.close()
    feed(conversation.answers + conversation.end, second_cuts)
    wire.client.receive_eof()
    outcome.events += wire.events()
    known = set(requests)
    for event in outcome.events:
        if isinstance(event, RequestAccepted | RequestRefusal):
            assert event.request in known
    return outcome


def comparable(event: Event) -> object:
    """An event in a form that can be compared between two connections."""
    if isinstance(event, RequestAccepted):
        return "accepted", str(event.request)
    if isinstance(event, RequestRefusal):
        return "rejected", str(event.request), event.code
    if isinstance(event, Closed):
        # The close code sent is left out: a close frame that comes in the same chunk as what we would close for is
        # answered first.
        return "closed", event.code, event.reason, str(event.error), event.system
    return event


@settings(max_examples=200)
@given(conversations(), st.data())
def test_any_split_of_any_conversation_gives_the_same_events(conversation: Conversation, data: st.DataObject) -> None:
    """Nothing depends on how TCP cut the bytes: the events and the states; and, as long as the connection lasts, what
    is sent: the requests, the echoes and the pongs, each in their order."""
    whole = play(conversation, [], [])
    sizes = len(conversation.login) + 200, len(conversation.answers) + len(conversation.end)
    cuts = [data.draw(st.lists(st.integers(1, size), max_size=12)) for size in sizes]
    bytewise = [list(range(size)) for size in sizes]
    for first, second in (cuts, bytewise):
        other = play(conversation, first, second)
        assert [comparable(event) for event in other.events] == [comparable(event) for event in whole.events]
        assert other.states == whole.states
        if not conversation.end and not conversation.closes:
            assert (other.requests, other.echoes, other.pongs) == (whole.requests, whole.echoes, whole.pongs)
            assert len(whole.requests) == (3 if other.states[0] is ConnectionState.READY else 1)


# Any sequence of commands and answers.

CONFIG = ClientConfig(
    open_timeout=3, login_timeout=4, ack_timeout=5, idle_timeout=9, close_timeout=2, request_interval=0.5,
    items_per_request=2,
)  # fmt: skip
CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED = ConnectionState
_SELDOM = st.sampled_from([False] * 5 + [True])  # for what ends a connection, so that some live long


class ConnectionMachine(RuleBasedStateMachine):
    """A client, a server written by hand, and a model of what each request should come to."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire(CONFIG)
        self.client = self.wire.client
        self.clock = self.wire.clock
        # The model.
        self.state = CONNECTING
        self.line: deque[tuple[Request, int]] = deque()  # messages in the order in which they must go out
        self.in_flight: dict[str, tuple[Request, int, float]] = {}
        self.open_requests: list[Request] = []
        self.outcomes: dict[Request, str] = {}
        self.last_sent_at = float("-inf")
        self.deadline = 0.0
        self.pings_at: list[float] = []  # when pings must go out, if nothing comes
        self.error: type[KiwoomError] | None = None
        self.phase: str | None = None
        self.echoes: list[bytes] = []
        self.close_frames = 0
        self.server_closed = False  # its close frame was read
        self.broken = False  # it broke RFC 6455: nothing of it is read any more
        self.closed: Closed | None = None

    @initialize()
    def connect(self) -> None:
        self.wire.connect()
        self.deadline = self.clock.now + CONFIG.open_timeout

    # The model's own steps.

    def expect_closing(self, error: type[KiwoomError] | None) -> None:
        self.state = CLOSING
        self.error = error
        self.deadline = self.clock.now + CONFIG.close_timeout
        self.line.clear()

    def expect_end(self, error: type[KiwoomError] | None) -> None:
        self.state = CLOSED
        self.error = error
        self.line.clear()

    def heard(self) -> None:
        if self.state is READY:
            self.deadline = self.clock.now + CONFIG.idle_timeout
            self.pings_at = [self.clock.now + CONFIG.idle_timeout * third / 3 for third in (1, 2)]

    def look(self) -> None:
        """Take what the client sent and reported, and hold each of it against the model."""
        for found in self.wire.sent():
            if found.opcode == CLOSE:
                self.close_frames += 1
                continue
            if found.opcode == PONG:
                continue
            if found.opcode == PING and found.payload:  # asks about a reply that is late
                halves = [sent_at + CONFIG.ack_timeout / 2 for _, _, sent_at in self.in_flight.values()]
                assert self.clock.now in halves
                continue
            if found.opcode == PING:
                assert self.pings_at.pop(0) == self.clock.now
                continue
            assert self.close_frames == 0, "no message follows a close frame"
            members = json.loads(found.payload)
            if members["trnm"] == "PING":
                assert found.payload == self.echoes.pop(0)
            elif members["trnm"] != "LOGIN":
                self.sent_request(members)
        events = self.client.events()
        for event in events:
            assert self.closed is None, "Closed is the last event"
            if isinstance(event, RequestAccepted | RequestRefusal):
                assert event.request not in self.outcomes, "one outcome for each request"
                self.outcomes[event.request] = type(event).__name__
            elif isinstance(event, Closed):
                self.closed = event

    def sent_request(self, members: dict[str, Any]) -> None:
        trnm = members["trnm"]
        assert self.client.state is not CONNECTING
        assert self.clock.now - self.last_sent_at >= CONFIG.request_interval
        assert trnm not in self.in_flight, "one unanswered message of a trnm at a time"
        request, index = self.line.popleft()
        assert request.kind.value == trnm
        assert members["grp_no"] == request.group
        size = CONFIG.items_per_request
        part = list(request.items[index * size : (index + 1) * size])
        assert [element["item"] for element in members["data"]] == [part]
        self.in_flight[trnm] = request, index, self.clock.now
        self.last_sent_at = self.clock.now

    def answered(self, trnm: str, ok: bool) -> str | None:
        """Credit an answer in the model; returns the outcome it must have, if any."""
        request, index, _ = self.in_flight.pop(trnm)
        if ok and index + 1 < request.parts:
            return None
        for number in range(index + 1, request.parts):
            if (request, number) in self.line:
                self.line.remove((request, number))
        self.open_requests.remove(request)
        return "RequestAccepted" if ok else "RequestRefusal"

    # What the caller does.

    @precondition(lambda self: self.state in (CONNECTING, LOGGING_IN, READY))
    @rule(count=st.integers(1, 5), remove=st.booleans(), group=st.sampled_from(["1", "2"]))
    def ask(self, count: int, remove: bool, group: str) -> None:
        call = self.client.unsubscribe if remove else self.client.subscribe
        items = [f"{number:06}" for number in range(count)]
        request = call("0E", *items, group=group)
        assert request.parts == (count + 1) // 2
        # The parts of one request stand together in the line: the next goes out once the one before is answered.
        self.line += [(request, index) for index in range(request.parts)]
        self.open_requests.append(request)
        self.look()

    @precondition(lambda self: self.state in (CLOSING, CLOSED))
    @rule()
    def ask_too_late(self) -> None:
        try:
            self.client.subscribe("0E", "005930")
        except LocalProtocolError:
            self.look()
        else:
            raise AssertionError("a request was taken after the close")

    @rule(really=_SELDOM)
    def close(self, really: bool) -> None:
        if not really:
            return
        if self.state is CONNECTING:
            self.expect_end(None)
        elif self.state in (LOGGING_IN, READY):
            self.expect_closing(None)
        self.client.close()
        self.look()

    @rule(seconds=st.sampled_from([0.1, 0.25, 0.5, 0.5, 1.0, 2.0, 4.5, 9.0]))
    def advance(self, seconds: float) -> None:
        """Let time pass, stopping where the client asks to, as a driver does."""
        end = self.clock.now + seconds
        while (due := self.client.next_timeout()) is not None and due <= end:
            assert due >= self.clock.now, "a deadline in the past would never let a driver rest"
            self.clock.now = due
            self.expire()
            self.client.handle_timeout()
            self.look()
        self.clock.now = end
        self.client.handle_timeout()
        self.look()
        assert self.state is not READY or all(at > end for at in self.pings_at), "each third of a silence has its ping"

    def expire(self) -> None:
        """Let the model's deadlines pass."""
        if self.state is CLOSED:
            return
        overdue = [
            sent_at for _, _, sent_at in self.in_flight.values() if sent_at + CONFIG.ack_timeout <= self.clock.now
        ]
        if self.clock.now >= self.deadline:
            self.phase = {CONNECTING: "open", LOGGING_IN: "login", READY: "idle", CLOSING: "close"}[self.state]
            keeps = self.state is CLOSING and (self.error is not None or self.server_closed)
            self.expect_end(self.error if keeps else DeadlineExceeded)
        elif self.state is READY and overdue:
            self.phase = "ack"
            self.expect_end(DeadlineExceeded)

    # What the server does.

    @precondition(lambda self: self.state is CONNECTING)
    @rule(status=st.sampled_from([101, 101, 101, 101, 503]))
    def answer_handshake(self, status: int) -> None:
        if status == 101:
            self.client.receive_data(accept_handshake(self.wire.request))
            self.state = LOGGING_IN
            self.deadline = self.clock.now + CONFIG.login_timeout
        else:
            self.client.receive_data(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            self.expect_end(RemoteProtocolError)
        self.look()

    @precondition(lambda self: self.state is LOGGING_IN)
    @rule(ok=st.sampled_from([True, True, True, False]))
    def answer_login(self, ok: bool) -> None:
        if ok:
            self.state = READY
            self.heard()
            self.wire.send(LOGIN_OK)
        else:
            self.expect_closing(LoginRefused)
            self.wire.send(reply("LOGIN", 805004, "[CODE=8005]"))
        self.look()

    @precondition(lambda self: self.state in (READY, CLOSING) and self.in_flight)
    @rule(data=st.data(), ok=st.sampled_from([True, True, False]))
    def answer_request(self, data: st.DataObject, ok: bool) -> None:
        trnm = data.draw(st.sampled_from(sorted(self.in_flight)))
        request = self.in_flight[trnm][0]
        outcome = self.answered(trnm, ok)
        self.heard()
        self.wire.send(reply(trnm, 0 if ok else 105111, "m"))
        if self.server_closed or self.broken:
            outcome = None  # after its close frame or a fault of its own nothing it says counts
        self.look()
        if outcome is not None:
            assert self.outcomes[request] == outcome
        else:
            assert request not in self.outcomes

    @precondition(lambda self: self.state is READY)
    @rule(trnm=st.sampled_from(["REG", "REMOVE"]), really=_SELDOM)
    def answer_nothing(self, trnm: str, really: bool) -> None:
        """An ack that nobody waits for."""
        if trnm in self.in_flight or not really:
            return
        self.expect_closing(RemoteProtocolError)
        self.wire.send(reply(trnm))
        self.look()

    @precondition(lambda self: self.state in (LOGGING_IN, READY, CLOSING))
    @rule(what=st.sampled_from(["row", "ping", "system", "junk", "pong", "early"]))
    def send(self, what: str) -> None:
        payload = {
            "row": real(("0E", "005930", {"131": "1"})),
            "ping": b'{ "trnm":"PING" }',
            "system": b'{"trnm":"SYSTEM","code":"R10001","message":"m"}',
            "junk": b"junk",
            "pong": b"",
            "early": reply("LOGIN", 1) if self.state is not LOGGING_IN else reply("REG", 100013),
        }[what]
        if what == "ping" and self.state in (LOGGING_IN, READY):
            self.echoes.append(payload)
        self.heard()
        self.client.receive_data(frame(PING, b"p") if what == "pong" else text(payload))
        self.look()
        assert not self.echoes, "a PING is answered at once"

    @precondition(lambda self: self.state in (LOGGING_IN, READY, CLOSING))
    @rule(code=st.sampled_from([1000, 1001, 4000]), really=_SELDOM)
    def server_closes(self, code: int, really: bool) -> None:
        if not really:
            return
        if self.state is not CLOSING:
            self.expect_closing(ClosedByPeer)
        self.server_closed = self.server_closed or not self.broken
        self.client.receive_data(frame(CLOSE, close_payload(code)))
        self.look()

    @precondition(lambda self: self.state in (LOGGING_IN, READY))
    @rule(really=_SELDOM)
    def break_websocket(self, really: bool) -> None:
        if not really:
            return
        self.expect_closing(RemoteProtocolError)
        self.broken = True
        self.client.receive_data(frame(3))
        self.look()

    @rule(really=_SELDOM)
    def cut(self, really: bool) -> None:
        if not really:
            return
        if self.state is not CLOSED:
            if self.state is CONNECTING:
                error: type[KiwoomError] | None = RemoteProtocolError
            else:
                error = self.error if self.state is CLOSING else ClosedByPeer
            self.expect_end(error)
        self.client.receive_eof()
        self.look()

    # What always holds.

    @invariant()
    def state_is_as_modelled(self) -> None:
        assert self.client.state is self.state

    @invariant()
    def closed_comes_with_the_state_and_tells_why(self) -> None:
        assert (self.closed is not None) is (self.state is CLOSED)
        if self.closed is None:
            return
        assert self.client.next_timeout() is None
        error = self.closed.error
        assert (error is None) is (self.error is None)
        assert self.error is None or isinstance(error, self.error)
        if isinstance(error, DeadlineExceeded):
            assert error.phase == self.phase
        assert str(self.closed)

    @invariant()
    def each_request_has_one_outcome_or_is_open(self) -> None:
        """Accepted or rejected once; all others are settled by `Closed`, or still waiting for something."""
        assert not any(request in self.outcomes for request in self.open_requests)
        if self.state is READY and self.open_requests:
            assert self.in_flight or self.line
        if self.state is READY and self.line and self.line[0][0].kind.value not in self.in_flight:
            due = self.client.next_timeout()
            assert due is not None
            assert due <= self.last_sent_at + CONFIG.request_interval

    @invariant()
    def one_close_frame_at_most(self) -> None:
        assert self.close_frames <= 1

    @invariant()
    def there_is_always_something_to_wait_for(self) -> None:
        """A connection that is not over has a deadline: it cannot hang for ever."""
        assert (self.client.next_timeout() is None) is (self.state is CLOSED)


ConnectionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50)


class TestConnectionMachine(ConnectionMachine.TestCase):  # type: ignore[misc,valid-type]  # made at run time
    """Any sequence of commands and answers keeps the model's acks, states and bytes."""

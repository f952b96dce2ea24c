"""ClientConnection and Conversation: one connection's whole life, on virtual time."""

from __future__ import annotations

import gc
import itertools
import json
import math
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    US_PRODUCTION,
    AfterHoursQuote,
    ClientConfig,
    ClientConnection,
    Closed,
    Conversation,
    Endpoint,
    Event,
    KiwoomError,
    LocalProtocolError,
    Record,
    Request,
    ServerConnection,
    Symbol,
    SystemNotice,
    UnknownMessage,
    Venue,
)
from kiwoom_proto.codes import explain_code
from kiwoom_proto.connection.conversation import ROWLESS_MESSAGES, ROWLESS_SIZE
from kiwoom_proto.connection.lifecycle import LEGAL, PHASE, TRANSITIONS, ConnectionState, Trigger
from kiwoom_proto.connection.server import RequestReceived
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    HandshakeError,
    LoginRefused,
    RemoteProtocolError,
    TransportError,
)
from kiwoom_proto.events import LoggedIn, LoginRefusal, Opened, RequestAccepted, RequestRefusal
from kiwoom_proto.headers import RequestHeader, ResponseHeader
from kiwoom_proto.realtime.catalogue import extended_catalogue
from kiwoom_proto.request import RequestKind
from kiwoom_proto.testing import ConnectionPair, ManualClock
from kiwoom_proto.wire.messages import Element, Reg, Remove
from kiwoom_proto.wire.registration import registration, removal
from kiwoom_proto.wire.tolerant import MAX_BAD_ROWS, REPORTED_BAD_ROWS

from .wire import (
    CLOSE,
    CONT,
    LOGIN_OK,
    PING,
    PONG,
    REG_OK,
    REMOVE_OK,
    TEXT,
    TOKEN,
    Wire,
    WireFrame,
    accept_handshake,
    close,
    close_payload,
    frame,
    real,
    reply,
    text,
)

CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED = ConnectionState
LOGIN = f'{{"trnm":"LOGIN","token":"{TOKEN}"}}'.encode()
OFFICIAL_REG = b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":["005930"],"type":["0E"]}]}'
REFUSED = reply("LOGIN", 805004, "로그인 인증에 실패했습니다.[CODE=8005, MESSAGE=Token이 유효하지 않습니다]")
SYSTEM = b'{"trnm":"SYSTEM","code":"R10001","message":"\xeb\x8f\x99\xec\x9d\xbc\xed\x95\x9c App key"}'
TIMEOUTS = ClientConfig(
    open_timeout=1, login_timeout=2, ack_timeout=3, idle_timeout=7, close_timeout=5, request_interval=0.5
)


def row(item: str = "005930", quantity: str = "1") -> bytes:
    return real(("0E", item, {"131": quantity}))


def closed(events: object) -> Closed:
    """The `Closed` among the events: exactly one, and the last."""
    assert isinstance(events, list)
    assert [isinstance(event, Closed) for event in events] == [False] * (len(events) - 1) + [True]
    found = events[-1]
    assert isinstance(found, Closed)
    return found


def kinds(events: object) -> list[str]:
    assert isinstance(events, list)
    return [type(event).__name__ for event in events]


# The whole life.


def test_whole_life() -> None:
    """Handshake, LOGIN, REG, rows, REMOVE, close: every message and every event, in order."""
    wire = Wire()
    client = wire.client
    assert client.state is CONNECTING
    assert client.data_to_send() == b""
    assert client.next_timeout() is None

    wire.connect()
    assert wire.request.startswith(b"GET /api/dostk/websocket HTTP/1.1\r\nHost: mockapi.kiwoom.com:10000\r\n")
    client.receive_data(accept_handshake(wire.request))
    assert client.state is LOGGING_IN
    assert client.events() == [Opened(ResponseHeader())]
    assert wire.messages() == [LOGIN]

    wire.send(LOGIN_OK)
    assert client.state is READY
    assert client.events() == [LoggedIn({"sor_yn": "Y"})]

    request = client.subscribe(AfterHoursQuote, "005930")
    assert wire.messages() == [OFFICIAL_REG]
    wire.send(REG_OK)
    assert client.events() == [RequestAccepted(request)]

    client.receive_data(text(row(quantity="23")), received_at=12345)
    (record,) = client.events()
    assert isinstance(record, AfterHoursQuote)
    assert (record.item, record.received_at) == ("005930", 12345)

    wire.clock.advance(1)
    removal = client.unsubscribe(AfterHoursQuote, "005930")
    assert wire.messages() == [b'{"trnm":"REMOVE","grp_no":"1","data":[{"item":["005930"],"type":["0E"]}]}']
    wire.send(REMOVE_OK)
    assert client.events() == [RequestAccepted(removal)]

    client.close(1000, "done")
    assert client.state is CLOSING
    assert wire.sent() == [WireFrame(CLOSE, close_payload(1000, b"done"))]
    client.receive_data(close(1000, b"done"))
    assert client.events() == []
    client.receive_eof()
    assert client.state is CLOSED
    end = closed(client.events())
    assert end == Closed(1000, "done", None, 1000)
    assert str(end) == 'connection closed: received 1000 (OK) "done"; sent 1000 (OK)'
    assert client.next_timeout() is None
    assert client.data_to_send() == b""


def test_whole_life_between_both_ends() -> None:
    """The same between a client's and a server's connection."""
    clock = ManualClock()
    server = ServerConnection(clock=clock)
    pair = ConnectionPair(ClientConnection(MOCK, clock=clock), server, clock)
    client = pair.client
    client.connect(TOKEN)
    request = client.subscribe("0E", "005930")
    pair.exchange()
    (_, received) = server.events()
    assert isinstance(received, RequestReceived)
    assert received.request.members == {"token": TOKEN}
    server.accept(received.request, sor_yn="Y")
    pair.exchange()
    (received,) = server.events()
    assert isinstance(received, RequestReceived)
    assert received.request.registrations() == [("0E", "005930")]
    server.accept(received.request)
    client.close()
    pair.exchange()
    assert kinds(client.events()) == ["Opened", "LoggedIn", "RequestAccepted", "Closed"]
    assert request.confirmed == 1
    assert (client.state, server.state) == (CLOSED, CLOSED)


def test_login_and_ping_answers_are_on_the_wire_before_anyone_looks_at_events() -> None:
    wire = Wire().open()
    wire.send(b'{"trnm":"PING"}', LOGIN_OK, b'{"trnm":"PING","n":2}')
    assert wire.messages() == [LOGIN, b'{"trnm":"PING"}', b'{"trnm":"PING","n":2}']


def test_answer_and_login_reply_in_one_chunk() -> None:
    """A server that is quicker than it can be: nothing is lost."""
    wire = Wire().connect()
    request = wire.client.subscribe("0E", "005930")
    wire.client.receive_data(accept_handshake(wire.request) + text(LOGIN_OK) + text(row()))
    assert kinds(wire.events()) == ["Opened", "LoggedIn", "AfterHoursQuote"]
    assert wire.messages() == [LOGIN, OFFICIAL_REG]
    wire.send(REG_OK)
    assert wire.events() == [RequestAccepted(request)]


# The tables.

NEXT_STATE = {
    (CONNECTING, Trigger.OPENED): LOGGING_IN,
    (CONNECTING, Trigger.ENDED): CLOSED,
    (LOGGING_IN, Trigger.LOGGED_IN): READY,
    (LOGGING_IN, Trigger.CLOSE_STARTED): CLOSING,
    (LOGGING_IN, Trigger.ENDED): CLOSED,
    (READY, Trigger.CLOSE_STARTED): CLOSING,
    (READY, Trigger.ENDED): CLOSED,
    (CLOSING, Trigger.ENDED): CLOSED,
}


@pytest.mark.parametrize("state", ConnectionState)
@pytest.mark.parametrize("trigger", Trigger)
def test_transition_table(state: ConnectionState, trigger: Trigger) -> None:
    """Each pair is as written here: a next state, or none."""
    assert TRANSITIONS[state].get(trigger) is NEXT_STATE.get((state, trigger))


def test_tables_cover_every_state() -> None:
    assert set(TRANSITIONS) == set(ConnectionState)
    assert PHASE == {CONNECTING: "open", LOGGING_IN: "login", READY: "idle", CLOSING: "close"}
    assert {trnm: sorted(state.name for state in states) for trnm, states in LEGAL.items()} == {
        "LOGIN": ["LOGGING_IN"],
        "REG": ["CLOSING", "READY"],
        "REMOVE": ["CLOSING", "READY"],
        **{f"{us}CNSR{what}": ["CLOSING", "READY"] for us in ("", "G") for what in ("LST", "REQ", "CLR")},
    }
    assert all(hasattr(ClientConfig(), f"{phase}_timeout") for phase in PHASE.values())


def wire_in(state: ConnectionState, config: ClientConfig | None = None) -> Wire:
    """A connection in this state, its events and bytes taken."""
    wire = Wire(config)
    if state is CONNECTING:
        wire.connect()
    elif state is LOGGING_IN:
        wire.open()
    else:
        wire.login()
    if state in (CLOSING, CLOSED):
        wire.client.close()
    if state is CLOSED:
        wire.client.receive_eof()
    wire.client.data_to_send()
    wire.client.events()
    assert wire.client.state is state
    return wire


def expire(wire: Wire) -> None:
    for _ in range(3 if wire.client.state is READY else 1):  # silence is asked about twice before it is the end
        due = wire.client.next_timeout()
        if due is not None:
            wire.clock.now = due
        wire.client.handle_timeout()


STIMULI: dict[str, Callable[[Wire], None]] = {
    "the handshake is answered": lambda wire: wire.client.receive_data(accept_handshake(wire.request)),
    "LOGIN is accepted": lambda wire: wire.send(LOGIN_OK),
    "LOGIN is refused": lambda wire: wire.send(REFUSED),
    "close() is called": lambda wire: wire.client.close(),
    "the server closes": lambda wire: wire.client.receive_data(close()),
    "a frame is wrong": lambda wire: wire.client.receive_data(frame(3)),
    "the stream ends": lambda wire: wire.client.receive_eof(),
    "the deadline passes": expire,
    "handle_timeout is called early": lambda wire: wire.client.handle_timeout(),
    "a PING comes": lambda wire: wire.send(b'{"trnm":"PING"}'),
    "nothing comes": lambda wire: wire.client.receive_data(b""),
}

# In each state: what becomes of it. Before the handshake is over, frames are an answer that has not come in full.
# After it, an HTTP answer is a wrong frame ("H" has a reserved bit).
BECOMES = {
    "the handshake is answered": (LOGGING_IN, CLOSING, CLOSING, CLOSING, CLOSED),
    "LOGIN is accepted": (CONNECTING, READY, READY, CLOSING, CLOSED),
    "LOGIN is refused": (CONNECTING, CLOSING, READY, CLOSING, CLOSED),
    "close() is called": (CLOSED, CLOSING, CLOSING, CLOSING, CLOSED),
    "the server closes": (CONNECTING, CLOSING, CLOSING, CLOSING, CLOSED),
    "a frame is wrong": (CONNECTING, CLOSING, CLOSING, CLOSING, CLOSED),
    "the stream ends": (CLOSED, CLOSED, CLOSED, CLOSED, CLOSED),
    "the deadline passes": (CLOSED, CLOSED, CLOSED, CLOSED, CLOSED),
    "handle_timeout is called early": (CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED),
    "a PING comes": (CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED),
    "nothing comes": (CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED),
}


@pytest.mark.parametrize("stimulus", STIMULI)
@pytest.mark.parametrize("state", ConnectionState)
def test_every_stimulus_in_every_state(state: ConnectionState, stimulus: str) -> None:
    """No case is forgotten: the state is as written above, `Closed` comes with CLOSED and only then, and exactly in
    CLOSED there is no deadline left."""
    wire = wire_in(state)
    STIMULI[stimulus](wire)
    after = BECOMES[stimulus][list(ConnectionState).index(state)]
    assert wire.client.state is after
    events = wire.client.events()
    assert kinds(events).count("Closed") == (1 if after is CLOSED and state is not CLOSED else 0)
    assert (wire.client.next_timeout() is None) is (after is CLOSED)
    if state is CLOSED:
        assert events == []
        assert wire.client.data_to_send() == b""


ALL_REPLIES = ("LOGIN", "REG", "REMOVE", "CNSRLST", "CNSRREQ", "CNSRCLR", "GCNSRREQ")


OUT_OF_PLACE = [
    (state, trnm)
    for state, trnm in itertools.product((LOGGING_IN, READY, CLOSING), ALL_REPLIES)
    if not (trnm == "LOGIN" and state is LOGGING_IN) and not (trnm in ("REG", "REMOVE") and state is not LOGGING_IN)
]


@pytest.mark.parametrize(("state", "trnm"), OUT_OF_PLACE)
@pytest.mark.parametrize("code", [0, 100013])
def test_reply_out_of_place_is_reported_and_no_more(state: ConnectionState, trnm: str, code: int) -> None:
    """Each reply, in each state where it is not legal: an `UnknownMessage` with its exact bytes; the state stays."""
    wire = wire_in(state)
    payload = reply(trnm, code, "text")
    wire.send(payload)
    (event,) = wire.events()
    assert isinstance(event, UnknownMessage)
    assert event.payload == payload
    assert trnm in event.error
    assert str(code) in event.error
    assert wire.client.state is state
    assert wire.sent() == []


# Deadlines.


def lead_to_open(wire: Wire) -> None:
    wire.connect()


def lead_to_login(wire: Wire) -> None:
    wire.open()


def lead_to_ack(wire: Wire) -> None:
    wire.login().client.subscribe("0E", "005930")


def lead_to_idle(wire: Wire) -> None:
    wire.login()


def lead_to_close(wire: Wire) -> None:
    wire.login().client.close()


LEADS = {"open": lead_to_open, "login": lead_to_login, "ack": lead_to_ack, "idle": lead_to_idle, "close": lead_to_close}
ASKS = ("ack", "idle")
"""Phases in which silence is asked about with pings before they are over."""


@pytest.mark.parametrize("phase", LEADS)
def test_each_deadline_ends_in_one_closed_that_explains_itself(phase: str) -> None:
    """Not a moment before; then with the phase, its limit and the setting's name in `Closed`, and no second one."""
    wire = Wire(TIMEOUTS)
    LEADS[phase](wire)
    wire.client.data_to_send()
    wire.client.events()
    seconds = getattr(TIMEOUTS, f"{phase}_timeout")
    due = wire.clock.now + seconds
    while (next_due := wire.client.next_timeout() or 0) < due:
        assert phase in ASKS
        wire.clock.now = next_due
        wire.client.handle_timeout()
        assert wire.sent() == [WireFrame(PING, b"1" if phase == "ack" and next_due == due - seconds / 2 else b"")]
    assert next_due == due
    wire.clock.now = due - 0.001
    wire.client.handle_timeout()
    assert wire.events() == []
    assert wire.client.state is not CLOSED

    wire.clock.now = due
    wire.client.handle_timeout()
    end = closed(wire.client.events())
    assert isinstance(end.error, DeadlineExceeded)
    assert (end.error.phase, end.error.seconds) == (phase, seconds)
    assert end.code == 1006
    assert f"within {seconds} s ({phase}_timeout)" in str(end)
    if phase in ("login", "ack", "idle"):
        assert wire.sent() == [WireFrame(CLOSE, close_payload(1001))]
        assert end.sent_code == 1001
    wire.client.handle_timeout()
    wire.client.receive_eof()
    wire.client.close()
    assert wire.events() == []


def test_dribble_does_not_put_off_the_open_and_login_deadlines() -> None:
    """Bytes that lead nowhere, and even PINGs, buy no time while a phase lasts."""
    wire = Wire(TIMEOUTS).connect()
    due = wire.client.next_timeout()
    answer = accept_handshake(wire.request)
    wire.clock.advance(0.5)
    wire.client.receive_data(answer[:20])
    assert wire.client.next_timeout() == due
    wire.client.receive_data(answer[20:])
    due = wire.client.next_timeout()
    assert due == wire.clock.now + TIMEOUTS.login_timeout
    wire.clock.advance(1)
    wire.send(b'{"trnm":"PING"}', row())
    assert wire.client.next_timeout() == due


@pytest.mark.parametrize(
    "data", [text(row()), text(b'{"trnm":"PING"}'), frame(PING), frame(PONG), text(b"junk"), b"\x81", b"\x81\x7e"]
)
def test_any_byte_puts_off_the_idle_deadline(data: bytes) -> None:
    """A message, a control frame, half a header: the server is alive."""
    wire = Wire(TIMEOUTS).login()
    let_pass(wire, TIMEOUTS.idle_timeout - 1)
    wire.client.receive_data(data)
    assert wire.client.next_timeout() == wire.clock.now + TIMEOUTS.idle_timeout / 3
    let_pass(wire, TIMEOUTS.idle_timeout - 0.001)
    assert wire.client.state is READY
    let_pass(wire, 0.001)
    assert wire.client.state is CLOSED


# Silence.


def let_pass(wire: Wire, seconds: float) -> None:
    """Let time pass, stopping where the client asks to."""
    end = wire.clock.now + seconds
    while (due := wire.client.next_timeout()) is not None and due <= end:
        assert due >= wire.clock.now, "a deadline in the past would never let a driver rest"
        wire.clock.now = due
        wire.client.handle_timeout()
    wire.clock.now = end


QUIET = ClientConfig(idle_timeout=30)


def test_silence_is_asked_about_after_each_third_of_it() -> None:
    wire = Wire(QUIET).login()
    wire.sent()
    let_pass(wire, 9.999)
    assert wire.sent() == []
    let_pass(wire, 0.001)
    assert wire.sent() == [WireFrame(PING, b"")]
    let_pass(wire, 9.999)
    assert wire.sent() == []
    let_pass(wire, 0.001)
    assert wire.sent() == [WireFrame(PING, b"")]
    let_pass(wire, 9.999)
    assert (wire.sent(), wire.client.state) == ([], READY)
    let_pass(wire, 0.001)
    assert wire.sent() == [WireFrame(CLOSE, close_payload(1001))]
    assert wire.client.state is CLOSED


def test_a_server_that_says_nothing_and_answers_pings_is_alive() -> None:
    """A client that sends something more often than every 10 s is never sent a PING [measured]."""
    wire = Wire(QUIET).login()
    wire.sent()
    for _ in range(1000):
        let_pass(wire, 10)
        assert wire.sent() == [WireFrame(PING, b"")]
        wire.client.receive_data(frame(PONG))
    assert wire.events() == []
    assert wire.client.state is READY


def test_a_server_that_answers_no_ping_and_says_something_is_alive() -> None:
    wire = Wire(QUIET).login()
    for _ in range(1000):
        let_pass(wire, 29)
        wire.send(b'{"trnm":"PING"}')
    assert wire.client.state is READY


def test_one_pong_of_several_pings_is_enough() -> None:
    wire = Wire(QUIET).login()
    for _ in range(100):
        let_pass(wire, 29)
        wire.client.receive_data(frame(PONG))
    assert wire.client.state is READY


def test_nothing_is_asked_while_something_comes() -> None:
    wire = Wire(QUIET).login()
    wire.sent()
    for _ in range(100):
        let_pass(wire, 9)
        wire.send(row())
    assert wire.sent() == []


def test_who_does_not_want_to_know_of_silence_asks_nothing() -> None:
    wire = Wire(ClientConfig(idle_timeout=math.inf)).login()
    wire.sent()
    assert wire.client.next_timeout() == math.inf
    wire.clock.advance(1e9)
    wire.client.handle_timeout()
    assert (wire.sent(), wire.client.state) == ([], READY)


def test_pings_go_out_only_while_logged_in() -> None:
    config = ClientConfig(idle_timeout=0.3, login_timeout=5, close_timeout=5)
    wire = Wire(config).connect()
    wire.client.receive_data(accept_handshake(wire.request))
    let_pass(wire, 4)
    assert [found.opcode for found in wire.sent()] == [TEXT]
    wire.send(LOGIN_OK)
    wire.client.close()
    let_pass(wire, 4)
    assert [found.opcode for found in wire.sent()] == [CLOSE]


@pytest.mark.parametrize("looked", [0, 1, 2])
def test_the_silence_of_a_server_that_nobody_listened_to_is_not_its_own(looked: int) -> None:
    """A loop that was blocked meets its deadline late, and what came meanwhile still waits to be read."""
    wire = Wire(QUIET).login()
    let_pass(wire, 10 * looked + 1)
    wire.sent()
    wire.clock.advance(100)
    wire.client.handle_timeout()
    assert wire.client.state is READY
    assert wire.sent() == [WireFrame(PING, b"")]
    assert wire.client.next_timeout() == wire.clock.now + 10
    wire.send(row())
    assert wire.client.next_timeout() == wire.clock.now + 10
    let_pass(wire, 29)
    assert wire.client.state is READY


def test_a_server_that_is_dead_when_somebody_listens_again_is_noticed() -> None:
    wire = Wire(QUIET).login()
    wire.clock.advance(100)
    wire.client.handle_timeout()
    let_pass(wire, 9.999)
    assert wire.client.state is READY
    let_pass(wire, 0.001)
    assert wire.client.state is CLOSED


def test_a_driver_that_is_late_by_a_little_asks_as_often() -> None:
    wire = Wire(QUIET).login()
    wire.sent()
    begin = wire.clock.now
    pings = 0
    while wire.client.state is READY:
        wire.clock.now = (wire.client.next_timeout() or 0) + 0.3
        wire.client.handle_timeout()
        pings += sum(found.opcode == PING for found in wire.sent())
    assert pings == 2
    assert wire.clock.now == begin + 30.3


def test_close_deadline_after_the_server_answered_is_no_failure() -> None:
    """The closing handshake is complete and only TCP is not: that is what `close()` asked for."""
    wire = Wire(TIMEOUTS).login()
    wire.client.close()
    wire.client.receive_data(close())
    wire.clock.advance(TIMEOUTS.close_timeout)
    wire.client.handle_timeout()
    assert closed(wire.client.events()) == Closed(1000, "", None, 1000)


def test_handle_timeout_too_early_does_nothing() -> None:
    wire = Wire(TIMEOUTS).login()
    wire.client.subscribe("0E", "000001")
    wire.client.subscribe("0E", "000002")
    wire.sent()
    for _ in range(3):
        wire.client.handle_timeout()
        wire.clock.advance(0.1)
    assert wire.sent() == []
    assert wire.events() == []


# Logging in.


def test_reg_before_the_login_reply_is_queued_and_not_sent() -> None:
    """At every moment before: asked for before connecting, before the handshake, before the reply."""
    wire = Wire()
    first = wire.client.subscribe("0E", "005930")
    wire.connect()
    second = wire.client.unsubscribe("0E", "000660")
    wire.client.receive_data(accept_handshake(wire.request))
    wire.client.subscribe("0B", "005930")
    assert wire.messages() == [LOGIN]
    wire.send(b'{"trnm":"PING"}')
    assert wire.messages() == [b'{"trnm":"PING"}']
    wire.clock.advance(1)
    wire.client.handle_timeout()
    assert wire.messages() == []
    wire.send(LOGIN_OK)
    assert wire.messages() == [OFFICIAL_REG]
    wire.send(REG_OK)
    wire.clock.advance(1)
    wire.client.handle_timeout()
    (message,) = wire.messages()
    assert json.loads(message)["trnm"] == "REMOVE"
    wire.send(REMOVE_OK)
    assert [event for event in wire.events() if isinstance(event, RequestAccepted)] == [
        RequestAccepted(first),
        RequestAccepted(second),
    ]


def test_what_may_come_before_the_login_reply_is_no_failure() -> None:
    """100013 for something sent too early, a SYSTEM, a PING, rows: the login goes on, and each is reported."""
    wire = Wire().open()
    wire.sent()
    too_early = reply("REG", 100013, "로그인 후")
    ping = b'{"trnm":"PING"}'
    notice = b'{"trnm":"SYSTEM","code":"R10004","message":"m"}'
    wire.send(too_early, notice, ping, row(), LOGIN_OK)
    assert kinds(wire.events()) == ["Opened", "UnknownMessage", "SystemNotice", "AfterHoursQuote", "LoggedIn"]
    assert wire.messages() == [ping]
    assert wire.client.state is READY


@pytest.mark.parametrize(
    "ping",
    [
        b'{"trnm":"PING"}',
        b'{ "trnm" : "PING" , "x":1}',
        b'\t{"x":[1, 2.50, null],\n"trnm":"PING"}  ',
        '{"trnm":"PING","text":"동시호가 \\ud55c"}'.encode(),
        b'{"trnm":"PING","pad":"' + b"x" * 65_000 + b'"}',
    ],
)
@pytest.mark.parametrize("state", [LOGGING_IN, READY])
def test_ping_is_echoed_verbatim(state: ConnectionState, ping: bytes) -> None:
    """The very bytes, spaces and order and escapes, at once; and it is nobody else's business."""
    wire = wire_in(state)
    wire.send(ping)
    assert wire.messages() == [ping]
    assert wire.events() == []


def test_ping_is_not_held_up_by_paced_requests() -> None:
    wire = Wire().login()
    for item in ("000001", "000002", "000003"):
        wire.client.subscribe("0E", item)
    wire.sent()
    wire.send(b'{"trnm":"PING"}')
    assert wire.messages() == [b'{"trnm":"PING"}']


@pytest.mark.parametrize(
    ("answer", "code", "reason"),
    [
        (REFUSED, "805004", "8005"),
        (reply("LOGIN", 805004, "[ CODE = 8103 ]"), "805004", "8103"),
        (reply("LOGIN", 3, "refused"), "3", None),
        (b'{"trnm":"LOGIN","return_code":"805002"}', "805002", None),
        (b'{"trnm":"LOGIN","code":"-1","message":"CODE=8010,x"}', "-1", "8010"),
    ],
)
def test_refused_login(answer: bytes, code: str, reason: str | None) -> None:
    """Reported with the code inside the text, closed by us, and the reason of `Closed` whatever the server adds."""
    wire = Wire().open()
    wire.events()
    wire.sent()
    wire.client.subscribe("0E", "005930")
    wire.send(answer)
    (event,) = wire.events()
    assert isinstance(event, LoginRefusal)
    assert (event.code, event.reason) == (code, reason)
    assert wire.client.state is CLOSING
    assert wire.sent() == [WireFrame(CLOSE, close_payload(1000))]
    wire.send(b'{"trnm":"SYSTEM","code":"R10004","message":"m"}')
    wire.client.receive_data(close(1000, b"Bye"))
    wire.client.receive_eof()
    notice, end = wire.events()
    assert isinstance(end, Closed)
    assert isinstance(end.error, LoginRefused)
    assert (end.error.code, end.error.reason) == (code, reason)
    assert end.system is notice
    assert "login refused" in str(end)
    assert event.message in str(end), "the server's own words, whatever we know of the code"
    if reason == "8005":
        assert "the token is not valid" in str(end)


def test_a_token_that_a_refusal_quotes_is_shown_nowhere() -> None:
    wire = Wire().open()
    wire.events()
    wire.send(reply("LOGIN", 805004, f"[CODE=8005, MESSAGE={TOKEN}이 유효하지 않습니다]"))
    wire.client.receive_eof()
    rejected, end = wire.events()
    assert isinstance(rejected, LoginRefusal)
    assert rejected.message == "[CODE=8005, MESSAGE=***이 유효하지 않습니다]"
    for shown in (repr(rejected), str(end), repr(end)):
        assert TOKEN not in shown
        assert "***이 유효하지" in shown


def test_a_reply_that_nobody_expects_is_told_in_the_servers_words() -> None:
    wire = Wire().open()
    wire.events()
    wire.send(reply("REG", 100013, "로그인 전입니다"))
    (event,) = wire.events()
    assert isinstance(event, UnknownMessage)
    assert event.error == f"a REG reply when none was expected, with code {explain_code('100013')}: 로그인 전입니다"


def test_refused_login_without_anything_after_it_ends_by_its_deadline() -> None:
    wire = Wire(TIMEOUTS).open()
    wire.send(REFUSED)
    wire.clock.advance(TIMEOUTS.close_timeout)
    wire.client.handle_timeout()
    assert isinstance(closed(wire.client.events()).error, LoginRefused)


def test_second_login_reply_changes_nothing() -> None:
    wire = Wire().login()
    wire.send(REFUSED)
    assert kinds(wire.events()) == ["UnknownMessage"]
    assert wire.client.state is READY


# How it ends.


def test_takeover_is_explained_and_never_taken_for_success() -> None:
    """SYSTEM R10001, then close 1000 "Bye": an error, with the meaning of the notice in its text."""
    wire = Wire().login()
    wire.send(SYSTEM)
    (notice,) = wire.events()
    assert isinstance(notice, SystemNotice)
    assert (notice.code, notice.message) == ("R10001", "동일한 App key")
    assert wire.sent() == []  # never echoed
    assert wire.client.state is READY
    wire.client.receive_data(close(1000, b"Bye"))
    assert wire.client.state is CLOSING
    wire.client.receive_eof()
    end = closed(wire.client.events())
    assert (end.code, end.reason, end.sent_code, end.system) == (1000, "Bye", 1000, notice)
    assert isinstance(end.error, ClosedByPeer)
    assert str(end) == (
        "connection lost: the server closed the connection; the server said R10001 (the same app key connected "
        'elsewhere; this connection is closed): 동일한 App key; received 1000 (OK) "Bye"; sent 1000 (OK)'
    )


@pytest.mark.parametrize("state", [LOGGING_IN, READY])
@pytest.mark.parametrize("code", [None, 1000, 1001, 1011, 3000, 4999])
def test_no_close_of_the_servers_is_a_success(state: ConnectionState, code: int | None) -> None:
    """Whatever its code, and in the middle of the login too."""
    wire = wire_in(state)
    wire.client.receive_data(close(code))
    wire.client.receive_eof()
    end = closed(wire.client.events())
    assert isinstance(end.error, ClosedByPeer)
    assert end.code == (1005 if code is None else code)
    assert str(end).startswith("connection lost: ")


@pytest.mark.parametrize("state", [LOGGING_IN, READY])
def test_cut_connection(state: ConnectionState) -> None:
    wire = wire_in(state)
    wire.client.receive_eof()
    end = closed(wire.client.events())
    assert isinstance(end.error, ClosedByPeer)
    assert (end.code, end.sent_code) == (1006, None)
    assert "cut" in str(end)
    assert wire.client.data_to_send() == b""


@pytest.mark.parametrize("state", [CONNECTING, LOGGING_IN, READY])
def test_failure_of_the_network_is_named(state: ConnectionState) -> None:
    """What the driver was told is the reason of the end."""
    wire = wire_in(state)
    wire.client.receive_eof("connection reset by peer")
    end = closed(wire.client.events())
    assert isinstance(end.error, TransportError)
    assert "connection reset by peer" in str(end)


def test_failure_of_the_network_does_not_hide_what_came_before_it() -> None:
    """The refused LOGIN and the server's close are the reason, not how TCP ended after them."""
    wire = Wire().open()
    wire.send(REFUSED)
    wire.client.receive_eof("connection reset by peer")
    assert isinstance(closed([wire.client.events()[-1]]).error, LoginRefused)
    wire = Wire().login()
    wire.client.receive_data(close(1000, b"Bye"))
    wire.client.receive_eof("connection reset by peer")
    assert isinstance(closed(wire.client.events()).error, ClosedByPeer)


@pytest.mark.parametrize(
    ("data", "code"),
    [(frame(3), 1002), (text(b"\xff"), 1007), (frame(TEXT, b"a", mask=b"1234"), 1002), (frame(CONT), 1002)],
)
def test_broken_websocket_is_the_servers_fault(data: bytes, code: int) -> None:
    wire = Wire().login()
    wire.client.receive_data(text(row()) + data + text(row()))
    assert kinds(wire.events()) == ["AfterHoursQuote"]
    assert wire.client.state is CLOSING
    (answer,) = wire.sent()
    assert (answer.opcode, answer.payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
    wire.client.receive_eof()
    end = closed(wire.client.events())
    assert isinstance(end.error, RemoteProtocolError)
    assert end.sent_code == code
    assert "WebSocket protocol violation" in str(end)


def test_message_too_large_is_the_servers_fault() -> None:
    wire = Wire(ClientConfig(max_message_size=1000)).login()
    wire.send(b"x" * 1000)
    assert kinds(wire.events()) == ["UnknownMessage"]
    wire.send(b"x" * 1001)
    (answer,) = wire.sent()
    assert answer.payload[:2] == (1009).to_bytes(2, "big")
    wire.client.receive_eof()
    assert isinstance(closed(wire.client.events()).error, RemoteProtocolError)


@pytest.mark.parametrize(
    ("response", "status"),
    [(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait", 503), (b"garbage\r\n\r\n", None)],
)
def test_failed_handshake_ends_at_once(response: bytes, status: int | None) -> None:
    wire = Wire().connect()
    wire.client.receive_data(response)
    end = closed(wire.client.events())
    assert isinstance(end.error, HandshakeError)
    assert end.error.status == status
    assert wire.client.state is CLOSED
    if status is not None:
        assert end.error.body == b"wait"
        assert "HTTP 503 Busy instead of 101: wait" in str(end)


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("text/html", "<html><title>시스템 점검\x1b[2J</title>", "instead of 101: 시스템 점검\\x1b[2J"),
        ("application/json", '{"return_code":3,"return_msg":"[8050:지정단말기]"}', "instead of 101: [8050:지정단말기]"),
        ("application/json", '{"token":"secret"}', "instead of 101"),
        ("text/plain", f"not {TOKEN}", "instead of 101: not ***"),
        ("text/plain", "", "instead of 101"),
    ],
)
def test_a_handshake_that_is_refused_is_told_in_the_servers_words(kind: str, body: str, words: str) -> None:
    wire = Wire().connect()
    content = body.encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    wire.client.receive_data(head.encode() + content)
    error = closed(wire.client.events()).error
    assert isinstance(error, HandshakeError)
    assert str(error) == f"the opening handshake was answered HTTP 403 Forbidden {words}"
    assert error.body == content


def test_http_error_whose_body_has_no_end_is_still_named() -> None:
    wire = wire_in(CONNECTING)
    wire.client.receive_data(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>busy")
    assert wire.client.state is CONNECTING
    expire(wire)
    error = closed(wire.client.events()).error
    assert isinstance(error, HandshakeError)
    assert (error.status, error.body) == (502, b"<html>busy")


def test_failure_of_the_network_after_our_close_is_what_was_asked_for() -> None:
    wire = wire_in(CLOSING)
    wire.client.receive_eof("reset")
    assert closed(wire.client.events()).error is None


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda client: client.subscribe(5, "005930"), "type"),
        (lambda client: client.subscribe(int, "005930"), "type"),
        (lambda client: client.subscribe(Record, "005930"), "declares no real-time type"),
        (lambda client: client.request("x"), "message"),
    ],
)
def test_what_is_no_type_and_no_message_is_refused(call: Callable[[Any], object], named: str) -> None:
    wire = wire_in(READY)
    with pytest.raises(LocalProtocolError, match=named):
        call(wire.client)
    assert wire.client.data_to_send() == b""


def test_server_closing_in_mid_handshake() -> None:
    wire = Wire().connect()
    wire.client.receive_data(b"HTTP/1.1 101 Swi")
    wire.client.receive_eof()
    end = closed(wire.client.events())
    assert isinstance(end.error, HandshakeError)
    assert "during the opening handshake" in str(end)


def test_close_frame_with_the_handshakes_answer() -> None:
    """Under rapid reconnects the server closes before the login: opened and closed in one chunk, nothing sent after."""
    wire = Wire().connect()
    wire.client.receive_data(accept_handshake(wire.request) + text(SYSTEM) + close(1000, b"Bye"))
    wire.client.receive_eof()
    events = wire.client.events()
    assert kinds(events) == ["Opened", "SystemNotice", "Closed"]
    assert isinstance(closed(events).error, ClosedByPeer)
    assert [found.opcode for found in wire.sent()] == [CLOSE]


def test_close_before_the_handshake_is_over() -> None:
    wire = Wire().connect()
    wire.client.close()
    assert closed(wire.client.events()) == Closed(1006, "", None)
    assert wire.client.data_to_send() == b""


def test_close_while_logging_in() -> None:
    """A closing handshake like any other; a LOGIN reply that comes late does not bring the connection back."""
    wire = Wire().open()
    wire.events()
    wire.client.close()
    assert [found.opcode for found in wire.sent()] == [TEXT, CLOSE]
    wire.send(LOGIN_OK)
    assert kinds(wire.events()) == ["UnknownMessage"]
    wire.client.receive_data(close())
    wire.client.receive_eof()
    assert closed(wire.client.events()).error is None


def test_rows_and_acks_after_our_close_are_still_delivered() -> None:
    wire = Wire().login()
    accepted = wire.client.subscribe("0E", "005930")
    wire.client.close()
    wire.sent()
    wire.send(row(), REG_OK, b'{"trnm":"PING"}', row())
    assert kinds(wire.events()) == ["AfterHoursQuote", "RequestAccepted", "AfterHoursQuote"]
    assert accepted.confirmed == 1
    assert wire.sent() == []  # nothing may follow a close frame, not even an echo
    wire.client.receive_data(text(row()) + close() + text(row()))
    wire.client.receive_eof()
    events = wire.client.events()
    assert kinds(events) == ["AfterHoursQuote", "Closed"]
    assert closed(events).error is None


def test_close_twice_sends_one_close_frame() -> None:
    wire = Wire().login()
    wire.client.close(1000, "first")
    wire.client.close(1001, "second")
    assert wire.sent() == [WireFrame(CLOSE, close_payload(1000, b"first"))]


def test_everything_after_the_end_is_ignored() -> None:
    wire = Wire().login()
    wire.client.receive_eof()
    wire.client.events()
    for _ in range(2):
        wire.client.receive_data(text(row()) + close() + b"\xff")
        wire.client.receive_eof()
        wire.client.handle_timeout()
        wire.client.close()
    assert wire.events() == []
    assert wire.client.data_to_send() == b""
    assert wire.client.next_timeout() is None


JUNK = (
    b"",
    b"\xff" * 50,
    b"\0" * 50,
    bytes(range(256)) * 4,
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x81\x7f" + b"\xff" * 20,
    b"\x88\x01\x03",
    *(text(payload) for payload in (
        b"", b"null", b"[]", b"5", b'"x"', b"{", b"{}", b"[" * 5000, b"\xff", b'{"trnm":5}', b'{"trnm":null}',
        b'{"trnm":"XYZ"}', b'{"trnm":"REG"}', b'{"trnm":"SYSTEM"}', b'{"trnm":"LOGIN","return_code":[]}',
        b'{"trnm":"REAL"}', b'{"trnm":"REAL","data":5}', b'{"trnm":"REAL","data":[null,5,"x",{}]}',
        b'{"trnm":"REAL","data":[{"type":[],"item":{},"values":null}]}',
    )),
)  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("state", ConnectionState)
def test_no_bytes_ever_raise(state: ConnectionState, junk: bytes) -> None:
    """In no state, in no pieces; and the connection still comes to one end."""
    for size in (1, 3, len(junk) or 1):
        wire = wire_in(state)
        events: list[Event] = []
        for at in range(0, len(junk), size):
            wire.client.receive_data(junk[at : at + size])
        events += wire.client.events()
        for event in events:
            assert str(event) and repr(event)
        wire.client.receive_eof()
        events += wire.client.events()
        if state is not CLOSED:
            closed(events)


@pytest.mark.parametrize("payload", [b"text", b"{}", b"[1]", b'{"trnm":"NEW","a":1}', b'{"trnm":"REAL"}'])
def test_message_that_cannot_be_understood_is_handed_over_and_the_stream_goes_on(payload: bytes) -> None:
    wire = Wire().login()
    wire.send(payload, row())
    unknown, record = wire.events()
    assert isinstance(unknown, UnknownMessage)
    assert unknown.payload == payload
    assert isinstance(record, Record)
    assert wire.client.state is READY


# Requests.


def test_data_rows_before_their_ack() -> None:
    """Measured: rows of a new registration may come first. Neither is lost and the order stays."""
    wire = Wire().login()
    request = wire.client.subscribe("0E", "005930")
    wire.send(row(), row(), REG_OK, row())
    first, second, ack, third = wire.events()
    assert ack == RequestAccepted(request)
    assert all(isinstance(event, AfterHoursQuote) for event in (first, second, third))


def test_acks_are_credited_in_order() -> None:
    wire = Wire().login()
    requests = [
        wire.client.subscribe("0E", "000001"),
        wire.client.unsubscribe("0E", "000002"),
        wire.client.subscribe("0E", "000003"),
    ]
    outcomes: list[Event] = []
    for trnm in ("REG", "REMOVE", "REG"):
        (message,) = wire.messages()
        assert json.loads(message)["trnm"] == trnm
        wire.send(reply(trnm))
        outcomes += wire.events()
        wire.clock.advance(1)
        wire.client.handle_timeout()
    assert outcomes == [RequestAccepted(request) for request in requests]


def test_rejected_request() -> None:
    """105111, 105115 and whatever else: reported with code and text; the connection goes on, and so do the others."""
    wire = Wire().login()
    refused = wire.client.subscribe("0E", "005930")
    wire.send(reply("REG", 105111, "초과"))
    assert wire.events() == [RequestRefusal(refused, "105111", "초과")]
    wire.clock.advance(1)
    accepted = wire.client.subscribe("0E", "005930")
    wire.send(REG_OK)
    assert wire.events() == [RequestAccepted(accepted)]


def test_request_that_came_too_fast_is_sent_again() -> None:
    """105110 says nothing against the request: nobody is told, and it is sent again after 1 s, 2 s, 4 s ..."""
    wire = Wire(ClientConfig(idle_timeout=1000)).login()
    request = wire.client.subscribe("0E", "005930")
    assert wire.messages() == [OFFICIAL_REG]
    for pause in (1, 2, 4, 8, 16, 30, 30):
        wire.send(reply("REG", 105110, "초과"))
        assert wire.client.next_timeout() == wire.clock.now + pause
        wire.clock.advance(pause - 0.001)
        wire.client.handle_timeout()
        assert wire.messages() == []
        wire.clock.advance(0.001)
        wire.client.handle_timeout()
        assert wire.messages() == [OFFICIAL_REG]
    assert wire.events() == []
    wire.send(REG_OK)
    assert wire.events() == [RequestAccepted(request)]
    assert request.confirmed == 1


def test_request_that_is_sent_again_waits_for_its_reply_anew() -> None:
    wire = Wire(TIMEOUTS).login()
    wire.client.subscribe("0E", "005930")
    wire.clock.advance(2.5)
    wire.send(reply("REG", 105110))
    let_pass(wire, 1)
    let_pass(wire, TIMEOUTS.ack_timeout - 0.001)
    assert wire.client.state is READY
    let_pass(wire, 0.001)
    end = closed(wire.client.events())
    assert isinstance(end.error, DeadlineExceeded)
    assert end.error.phase == "ack"


@pytest.mark.parametrize("payload", [REG_OK, REMOVE_OK, reply("REG", 105110)])
def test_ack_that_nobody_asked_for_ends_the_connection(payload: bytes) -> None:
    """From then on every ack would be credited to the wrong request."""
    wire = Wire().login()
    wire.send(payload, row())
    assert wire.client.state is CLOSING
    assert wire.sent() == [WireFrame(CLOSE, close_payload(1002))]
    wire.client.receive_eof()
    events = wire.client.events()
    assert kinds(events) == ["AfterHoursQuote", "Closed"]
    end = closed(events)
    assert isinstance(end.error, RemoteProtocolError)
    assert json.loads(payload)["trnm"] in str(end.error)


def test_second_ack_of_one_request_ends_the_connection() -> None:
    wire = Wire().login()
    wire.client.subscribe("0E", "005930")
    wire.send(REG_OK, REG_OK)
    wire.client.receive_eof()
    assert kinds(wire.events()) == ["RequestAccepted", "Closed"]


def test_ack_of_another_trnm_ends_the_connection() -> None:
    wire = Wire().login()
    wire.client.subscribe("0E", "005930")
    wire.send(REMOVE_OK)
    wire.client.receive_eof()
    assert kinds(wire.events()) == ["Closed"]


def test_requests_are_paced_by_the_deadline() -> None:
    """`next_timeout` says when the next message goes out, and `handle_timeout` sends it then."""
    wire = Wire(TIMEOUTS).login()
    for item in ("000001", "000002"):
        wire.client.subscribe("0E", item)
    assert len(wire.messages()) == 1
    wire.send(REG_OK)
    assert wire.messages() == []
    due = wire.client.next_timeout()
    assert due == wire.clock.now + TIMEOUTS.request_interval
    wire.clock.now = due
    wire.client.handle_timeout()
    assert len(wire.messages()) == 1


def test_several_data_elements() -> None:
    wire = Wire().login()
    message = Reg("2", "0", (Element(("005930", "000660"), ("0E", "0B")), Element(("",), ("00",))))
    request = wire.client.request(message)
    assert request.kind is RequestKind.REGISTER
    assert request.keys == (
        *(("2", type, item) for item in ("005930", "000660") for type in ("0E", "0B")),
        ("2", "00", ""),
    )
    assert wire.messages() == [
        b'{"trnm":"REG","grp_no":"2","refresh":"0","data":[{"item":["005930","000660"],"type":["0E","0B"]},'
        b'{"item":[""],"type":["00"]}]}'
    ]
    wire.send(REG_OK)
    assert wire.events() == [RequestAccepted(request)]


def test_official_example_is_sent_as_the_page_has_it() -> None:
    ways: list[Callable[[ClientConnection], Request]] = [
        lambda client: client.subscribe("0E", "005930"),
        lambda client: client.subscribe(AfterHoursQuote, Symbol("005930")),
        lambda client: client.request(Reg("1", "1", (Element(("005930",), ("0E",)),))),
    ]
    for ask in ways:
        wire = Wire().login()
        ask(wire.client)
        assert wire.messages() == [OFFICIAL_REG]


def test_long_lists_are_split_and_replace_is_on_the_first_part_only() -> None:
    """Each part waits for the one before; the request is accepted once, with the last; the second part must not
    undo the first."""
    wire = Wire(ClientConfig(items_per_request=2)).login()
    request = wire.client.subscribe("0E", "000001", "000002", "000003", "000004", "000005", group="9", replace=True)
    seen = []
    for confirmed in (1, 2, 3):
        (message,) = wire.messages()
        members = json.loads(message)
        seen.append((members["grp_no"], members["refresh"], members["data"]))
        wire.send(REG_OK)
        assert wire.events() == ([RequestAccepted(request)] if confirmed == 3 else [])
        assert request.confirmed == confirmed
        wire.clock.advance(1)
        wire.client.handle_timeout()
    assert seen == [
        ("9", "0", [{"item": ["000001", "000002"], "type": ["0E"]}]),
        ("9", "1", [{"item": ["000003", "000004"], "type": ["0E"]}]),
        ("9", "1", [{"item": ["000005"], "type": ["0E"]}]),
    ]
    assert wire.messages() == []


def items_by_message(messages: tuple[Reg | Remove, ...]) -> list[tuple[object, ...]]:
    return [message.data[0].item for message in messages]


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (100, 1), (101, 2), (200, 2), (201, 3)])
def test_split_by_default(count: int, parts: int) -> None:
    items = tuple(f"{number:06}" for number in range(count))
    request = Wire().client.subscribe("0E", *items)
    assert request.parts == parts
    assert request.items == items
    messages = registration(PRODUCTION, extended_catalogue(()), ClientConfig().items_per_request, "0E", items, "1")
    assert len(messages) == parts
    assert max(len(items) for items in items_by_message(messages)) <= 100


def test_refused_part_ends_the_whole_request() -> None:
    wire = Wire(ClientConfig(items_per_request=1)).login()
    request = wire.client.subscribe("0E", "000001", "000002", "000003")
    wire.send(REG_OK)
    wire.clock.advance(1)
    wire.client.handle_timeout()
    wire.send(reply("REG", 105115, "200"))
    assert wire.events() == [RequestRefusal(request, "105115", "200")]
    assert request.confirmed == 1
    wire.sent()
    wire.clock.advance(1)
    wire.client.handle_timeout()
    assert wire.sent() == []


def test_unsubscribe_is_split_too() -> None:
    request = Wire(ClientConfig(items_per_request=1)).client.unsubscribe("0E", "000001", "000002")
    assert request.parts == 2
    messages = removal(PRODUCTION, extended_catalogue(()), 1, "0E", ("000001", "000002"), "1")
    assert items_by_message(messages) == [("000001",), ("000002",)]


@pytest.mark.parametrize(
    ("code", "endpoint"),
    [("00", MOCK), ("04", MOCK), ("0s", MOCK), ("1h", MOCK), ("F4", US_PRODUCTION), ("F5", US_PRODUCTION)],
)
def test_account_and_market_wide_types_need_no_item(code: str, endpoint: Endpoint) -> None:
    """They go out with the empty item that the server wants."""
    wire = Wire(endpoint=endpoint).login()
    wire.client.subscribe(code)
    (message,) = wire.messages()
    assert json.loads(message)["data"] == [{"item": [""], "type": [code]}]


# What is refused here, before a byte is sent.


def unchanged(wire: Wire, call: Callable[[], object]) -> str:
    """Make the call: it must raise, send nothing and change nothing. Returns the error's text."""
    before = (wire.client.state, wire.client.next_timeout())
    with pytest.raises(LocalProtocolError) as caught:
        call()
    assert (wire.client.state, wire.client.next_timeout()) == before
    assert wire.client.data_to_send() == b""
    assert wire.client.events() == []
    return str(caught.value)


@dataclass(frozen=True)
class Refusal:
    name: str
    ask: Callable[[ClientConnection], Request]
    texts: tuple[str, ...]


def reg_of(*, group: Any = "1", refresh: Any = "1", data: Any = None) -> Callable[[ClientConnection], Request]:
    elements = (Element(("005930",), ("0E",)),) if data is None else data
    return lambda client: client.request(Reg(group, refresh, elements))


REFUSALS = [
    Refusal("long group", lambda client: client.subscribe("0E", "005930", group="12345"), ("grp_no", "limit is 4")),
    Refusal("long group, REMOVE", lambda c: c.unsubscribe("0E", "005930", group="12345"), ("grp_no", "limit is 4")),
    Refusal("no group", lambda client: client.subscribe("0E", "005930", group=""), ("grp_no", "required")),
    Refusal("group of another type", reg_of(group=1), ("grp_no", "int")),
    Refusal("long item", lambda client: client.subscribe("0E", "x" * 101), ("item[0]", "101", "limit is 100")),
    Refusal(
        "long second item", lambda client: client.subscribe("0E", "1", "x" * 101), ("data[0].item[1]", "limit is 100")
    ),
    Refusal(
        "long item in a later part",
        lambda client: client.subscribe("0E", *map(str, range(150)), "x" * 101),
        ("item[50]", "limit is 100"),
    ),
    Refusal("long type", lambda client: client.subscribe("0EE", "005930"), ("type '0EE'", "two characters")),
    Refusal("no type", lambda client: client.subscribe("", "005930"), ("type ''", "two characters")),
    Refusal("no item", lambda client: client.subscribe("0E"), ("items", "0E")),
    Refusal("a list for items", lambda client: client.subscribe("0E", ["005930"]), ("list", "*items")),  # type: ignore[arg-type]  # the mistake
    Refusal("line break in an item", lambda client: client.subscribe("0E", "00\n5930"), ("item[0]", "printable")),
    Refusal("long refresh", reg_of(refresh="11"), ("refresh", '"0" or "1"')),
    Refusal("wrong refresh", reg_of(refresh="Y"), ("refresh", '"0" or "1"')),
    Refusal("no data", reg_of(data=()), ("data", "at least one")),
    Refusal("data is no list", reg_of(data="0E"), ("data", "list")),
    Refusal("element of another type", reg_of(data=({"item": ["1"], "type": ["0E"]},)), ("data[0]", "dict")),
    Refusal("second element", reg_of(data=(Element(("1",), ("0E",)), Element(("1",), ("0EE",)))), ("data[1].type[0]",)),
    Refusal("item is a text", reg_of(data=(Element("005930", ("0E",)),)), ("data[0].item", "list", "str")),  # type: ignore[arg-type]  # the mistake
    Refusal("type is a text", reg_of(data=(Element(("005930",), "0E"),)), ("data[0].type", "list")),  # type: ignore[arg-type]  # the mistake
    Refusal("no type in an element", reg_of(data=(Element(("005930",), ()),)), ("data[0].type", "at least one")),
    *(
        Refusal(f"{item} on mock trading", ask, (item, "mock trading", "KRX only", item[-3:]))
        for item in ("039490_NX", "039490_AL")
        for ask in (
            lambda client, item=item: client.subscribe("0E", item),
            lambda client, item=item: client.subscribe("0E", "005930", Symbol.parse(item)),
            lambda client, item=item: client.unsubscribe("0E", item),
            lambda client, item=item: client.request(Remove("1", (Element(("1", item), ("0E",)),))),
        )
    ),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
@pytest.mark.parametrize("state", [CONNECTING, LOGGING_IN, READY])
def test_illegal_request_is_refused_here(refusal: Refusal, state: ConnectionState) -> None:
    """The error names the element and the limit; nothing is sent, queued or changed."""
    wire = wire_in(state)
    message = unchanged(wire, lambda: refusal.ask(wire.client))
    for part in refusal.texts:
        assert part in message
    if state is READY:  # nothing of it waits either
        wire.client.subscribe("0E", "005930")
        assert wire.messages() == [OFFICIAL_REG]


def test_limits_themselves_are_legal() -> None:
    wire = Wire(endpoint=PRODUCTION).login()
    wire.client.request(Reg("1234", "1", (Element(("x" * 97 + "_NX",), ("0E",)),)))
    (message,) = wire.messages()
    assert json.loads(message)["data"][0]["item"] == ["x" * 97 + "_NX"]


@pytest.mark.parametrize("venue", [Venue.KRX, Venue.NXT, Venue.SOR])
def test_production_serves_every_domestic_venue(venue: Venue) -> None:
    wire = Wire(endpoint=PRODUCTION).login()
    symbol = Symbol("039490", venue)
    wire.client.subscribe("0E", symbol)
    (message,) = wire.messages()
    assert json.loads(message)["data"][0]["item"] == [symbol.item]


HEADER_LIMITS = {"api_id": ("api-id", 10), "cont_yn": ("cont-yn", 1), "next_key": ("next-key", 50)}


@pytest.mark.parametrize(("argument", "name", "limit"), [(key, *value) for key, value in HEADER_LIMITS.items()])
def test_header_lengths(argument: str, name: str, limit: int) -> None:
    good: dict[str, Any] = {"api_id": "0E", argument: "x" * limit}
    assert (name, "x" * limit) in RequestHeader(**good).http_headers(TOKEN)
    with pytest.raises(LocalProtocolError, match=rf"{name}: has {limit + 1} characters, the limit is {limit}"):
        RequestHeader(**{**good, argument: "x" * (limit + 1)})


def test_authorization_length_is_checked_with_the_token_in_it() -> None:
    """Given by itself, or made of the token; the token is not in the message, and `connect` can be tried again."""
    with pytest.raises(LocalProtocolError, match="authorization: has 1001 characters, the limit is 1000"):
        RequestHeader(api_id="0E", authorization="Bearer " + "t" * 994)
    wire = Wire()
    message = unchanged(wire, lambda: wire.client.connect("t" * 994, RequestHeader(api_id="0E")))
    assert "authorization" in message
    assert "limit is 1000" in message
    assert "ttt" not in message
    wire.client.connect("t" * 993, RequestHeader(api_id="0E"))
    assert b"authorization: Bearer " + b"t" * 993 + b"\r\n" in wire.client.data_to_send()


@pytest.mark.parametrize("token", ["", "Bearer abc", "bearer abc", "to\nken", "토큰", None, 5, b"token"])
def test_token_that_cannot_be_one(token: Any) -> None:
    wire = Wire()
    message = unchanged(wire, lambda: wire.client.connect(token))
    assert "token" in message
    assert "abc" not in message
    assert "토큰" not in message
    wire.connect()
    assert wire.request


@pytest.mark.parametrize("state", [CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED])
def test_connect_twice(state: ConnectionState) -> None:
    wire = wire_in(state)
    assert "connect" in unchanged(wire, lambda: wire.client.connect("another"))


def test_connect_after_close_is_refused() -> None:
    """A connection closed before it began is over, too."""
    wire = Wire()
    wire.client.close()
    assert kinds(wire.events()) == ["Closed"]
    assert "connect" in unchanged(wire, lambda: wire.client.connect(TOKEN))
    assert TOKEN not in known_texts(wire.client)


@pytest.mark.parametrize("state", [CLOSING, CLOSED])
@pytest.mark.parametrize("ask", ["subscribe", "unsubscribe", "request"])
def test_request_after_close(state: ConnectionState, ask: str) -> None:
    wire = wire_in(state)
    arguments = (Reg("1", "1", (Element(("1",), ("0E",)),)),) if ask == "request" else ("0E", "005930")
    assert state.value in unchanged(wire, lambda: getattr(wire.client, ask)(*arguments))


def test_receive_data_before_connect() -> None:
    wire = Wire()
    assert "connect" in unchanged(wire, lambda: wire.client.receive_data(b"x"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, "x" * 124), (1000, "가" * 42), (1006, ""), (1005, ""), (5000, "")],
    ids=["124 bytes", "126 bytes", "1006", "1005", "5000"],
)
@pytest.mark.parametrize("state", [LOGGING_IN, READY])
def test_close_code_or_reason_that_cannot_be_sent(state: ConnectionState, code: int, reason: str) -> None:
    """RFC 6455 leaves 123 bytes for a reason and forbids some codes: refused like any other illegal call."""
    wire = wire_in(state)
    unchanged(wire, lambda: wire.client.close(code, reason))
    wire.client.close(1000, "x" * 123)
    assert wire.sent() == [WireFrame(CLOSE, close_payload(1000, b"x" * 123))]


# Header elements.


def test_header_elements_are_sent_when_asked_for() -> None:
    wire = Wire().connect(RequestHeader(api_id="0E", cont_yn="N", next_key="k"))
    lines = wire.request.split(b"\r\n")
    assert lines[-6:] == [
        b"api-id: 0E",
        b"authorization: Bearer " + TOKEN.encode(),
        b"cont-yn: N",
        b"next-key: k",
        b"",
        b"",
    ]


def test_header_elements_are_not_sent_by_themselves() -> None:
    wire = Wire().connect()
    request = wire.request.lower()
    for name in (b"api-id", b"authorization", b"cont-yn", b"next-key", TOKEN.encode()):
        assert name not in request


def test_header_elements_of_the_answer_are_exposed() -> None:
    wire = Wire().open(b"API-ID: 0E", b"cont-yn: Y", b"Next-Key: abc", b"Server: x")
    expected = ResponseHeader(api_id="0E", cont_yn="Y", next_key="abc")
    assert wire.events() == [Opened(expected)]
    assert wire.client.header == expected


# Secrets.


def known_texts(root: object) -> str:
    """Every text, in bytes or not, that can be reached from an object through what it holds."""
    found: list[str] = []
    seen: set[int] = set()
    todo: list[object] = [root]
    while todo:
        value = todo.pop()
        if id(value) in seen or isinstance(value, type | types.ModuleType | types.FunctionType | types.CodeType):
            continue
        seen.add(id(value))
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, bytes | bytearray):
            found.append(bytes(value).decode("latin-1"))
        else:
            todo += gc.get_referents(value)
            todo += [getattr(value, name) for name in getattr(value, "__struct_fields__", ())]
            todo += vars(value).values() if hasattr(value, "__dict__") else []
    return "\n".join(found)


def test_search_for_secrets_finds_them() -> None:
    """The search itself works: before the LOGIN is sent, the token is there to be found."""
    wire = Wire()
    wire.client.connect(TOKEN)
    assert TOKEN in known_texts(wire.client)
    assert "mockapi.kiwoom.com" in known_texts(wire.client)


@pytest.mark.parametrize("header", [None, RequestHeader(api_id="0E")], ids=["without header", "with header"])
def test_token_is_kept_as_what_is_to_be_masked_alone_once_the_login_was_sent(header: RequestHeader | None) -> None:
    """No other attribute at any depth keeps it: not the connection, not the WebSocket, not the package's parser."""
    wire = Wire().connect(header)
    wire.client.receive_data(accept_handshake(wire.request))
    assert wire.messages() == [LOGIN]
    assert known_texts(wire.client).count(TOKEN) == 1
    wire.client.receive_eof()
    assert TOKEN not in known_texts(wire.client)


@pytest.mark.parametrize("end", ["close() is called", "the stream ends", "the deadline passes"])
def test_token_is_forgotten_when_the_login_was_never_sent(end: str) -> None:
    wire = Wire().connect()
    STIMULI[end](wire)
    assert wire.client.state is CLOSED
    assert TOKEN not in known_texts(wire.client)


def test_message_connection_forgets_the_token() -> None:
    connection = Conversation(MOCK, clock=ManualClock())
    connection.connect(TOKEN)
    connection.receive_opened()
    assert connection.messages_to_send() == [LOGIN]
    assert known_texts(connection).count(TOKEN) == 1
    connection.receive_close()
    assert TOKEN not in known_texts(connection)


def test_token_is_in_no_text() -> None:
    """Not in str or repr of the connection, in any state, nor of any event, error, header or request."""
    shown: list[object] = []
    for state, stimulus in itertools.product(ConnectionState, STIMULI):
        wire = wire_in(state)
        shown.append(wire.client)
        STIMULI[stimulus](wire)
        events = wire.client.events()
        shown += [wire.client, *events, *(event.error for event in events if isinstance(event, Closed))]
    header = RequestHeader(api_id="0E", authorization=f"Bearer {TOKEN}")
    shown.append(header)
    wire = Wire().connect(header)
    for client, token in ((wire.client, TOKEN), (Wire().client, f"Bearer {TOKEN}")):
        with pytest.raises(LocalProtocolError) as caught:
            client.connect(token, header)
        shown.append(caught.value)
    server = ServerConnection(clock=ManualClock())
    server.receive_data(wire.request)
    wire.client.receive_data(server.data_to_send())
    server.receive_data(wire.client.data_to_send())
    shown += [server, *server.events(), wire.client, *wire.events()]
    assert len(shown) > 100
    for value in shown:
        assert TOKEN not in str(value)
        assert TOKEN not in repr(value)


# Over somebody else's WebSocket.


class Messages:
    """A `Conversation` on virtual time, logged in unless told otherwise."""

    def __init__(self, *, login: bool = True, config: ClientConfig | None = None) -> None:
        self.clock = ManualClock(50.0)
        self.connection = Conversation(MOCK, config, clock=self.clock)
        self.connection.connect(TOKEN)
        if login:
            self.connection.receive_opened()
            self.connection.receive_message(LOGIN_OK)
            self.connection.messages_to_send()
            self.connection.events()


def test_message_connection_whole_life() -> None:
    both = Messages(login=False)
    connection = both.connection
    assert connection.messages_to_send() == []
    header = ResponseHeader(api_id="0E")
    connection.receive_opened(header)
    assert connection.header is header
    assert connection.messages_to_send() == [LOGIN]
    connection.receive_message(LOGIN_OK.decode())
    request = connection.subscribe("0E", "005930")
    assert connection.messages_to_send() == [OFFICIAL_REG]
    connection.receive_message(row().decode(), received_at=7)
    connection.receive_message(REG_OK)
    connection.receive_message(b'{ "trnm" : "PING" , "x":1}')
    assert connection.messages_to_send() == [b'{ "trnm" : "PING" , "x":1}']
    connection.receive_message("한국어")
    opened, logged_in, record, accepted, unknown = connection.events()
    assert (opened, logged_in, accepted) == (Opened(header), LoggedIn({"sor_yn": "Y"}), RequestAccepted(request))
    assert isinstance(record, AfterHoursQuote)
    assert record.received_at == 7
    assert isinstance(unknown, UnknownMessage)
    assert unknown.payload == "한국어".encode()
    connection.close()
    assert connection.state is CLOSING
    connection.receive_message(row())
    connection.receive_close(1000, "Bye")
    assert connection.state is CLOSED
    record, end = connection.events()
    assert isinstance(record, AfterHoursQuote)
    assert end == Closed(1000, "Bye", None, sent_code=1000)


def test_message_connection_tells_what_to_close_the_websocket_with() -> None:
    connection = Messages().connection
    assert (connection.close_code, connection.close_reason) == (None, "")
    connection.close(4000, "enough")
    assert (connection.close_code, connection.close_reason) == (4000, "enough")
    connection.receive_close(1000)
    assert closed(connection.events()).sent_code == 4000


def test_message_connection_takes_no_message_before_it_is_open() -> None:
    connection = Messages(login=False).connection
    with pytest.raises(LocalProtocolError, match="receive_opened"):
        connection.receive_message(row())
    assert connection.events() == []


@pytest.mark.parametrize(("code", "expected"), [(None, 1006), (1000, 1000), (1011, 1011)])
@pytest.mark.parametrize("login", [False, True])
def test_message_connection_closed_by_the_server(code: int | None, expected: int, login: bool) -> None:
    """Never a success, and once only."""
    connection = Messages(login=login).connection
    connection.receive_close(code, "Bye")
    connection.receive_close(code, "Bye")
    end = closed(connection.events())
    assert (end.code, end.reason) == (expected, "Bye")
    assert isinstance(end.error, ClosedByPeer)
    connection.receive_message(row())
    assert connection.events() == []
    assert connection.next_timeout() is None


@pytest.mark.parametrize("phase", ["open", "login", "ack", "idle", "close"])
def test_message_connection_deadlines(phase: str) -> None:
    both = Messages(login=phase not in ("open", "login"), config=TIMEOUTS)
    connection = both.connection
    if phase == "login":
        connection.receive_opened()
    elif phase == "ack":
        connection.subscribe("0E", "005930")
    elif phase == "close":
        connection.close()
    connection.events()
    seconds = getattr(TIMEOUTS, f"{phase}_timeout")
    assert connection.next_timeout() == both.clock.now + seconds
    both.clock.advance(seconds - 0.001)
    connection.handle_timeout()
    assert connection.events() == []
    both.clock.now = connection.next_timeout() or 0
    connection.handle_timeout()
    end = closed(connection.events())
    assert isinstance(end.error, DeadlineExceeded)
    assert end.error.phase == phase


def test_message_connection_under_a_library_that_pings_by_itself_lives_by_what_that_tells() -> None:
    """A library that pings every 5 s keeps the server from ever sending PING: its pongs are all there is."""
    both = Messages(config=QUIET)
    for _ in range(1000):
        both.clock.advance(5)
        both.connection.handle_timeout()
        both.connection.note_alive()
    assert both.connection.events() == []
    assert both.connection.next_timeout() == both.clock.now + 30
    both.clock.advance(30)
    both.connection.handle_timeout()
    assert isinstance(closed(both.connection.events()).error, DeadlineExceeded)


def test_message_connection_that_nobody_listened_to_is_given_time_to() -> None:
    both = Messages(config=QUIET)
    both.clock.advance(100)
    both.connection.handle_timeout()
    assert both.connection.next_timeout() == both.clock.now + 10
    both.connection.receive_message(row())
    assert both.connection.next_timeout() == both.clock.now + 30


def test_message_connection_has_no_pings_to_send() -> None:
    both = Messages(config=QUIET)
    both.connection.messages_to_send()
    both.clock.advance(29.999)
    both.connection.handle_timeout()
    assert both.connection.messages_to_send() == []


def test_message_connection_does_not_mind_life_out_of_season() -> None:
    connection = Conversation(MOCK, QUIET, clock=ManualClock())
    connection.note_alive()
    connection.connect(TOKEN)
    connection.note_alive()
    assert connection.next_timeout() == QUIET.open_timeout
    connection.receive_close()
    connection.note_alive()
    assert connection.next_timeout() is None


def test_message_connection_refused_login_wants_to_be_closed() -> None:
    both = Messages(login=False)
    both.connection.receive_opened()
    both.connection.receive_message(REFUSED)
    assert both.connection.state is CLOSING
    both.connection.receive_close(1000)
    assert isinstance(closed(both.connection.events()[2:]).error, LoginRefused)


@pytest.mark.parametrize("payload", ["", "\ud800", b"\xff", b"", "{", "[" * 5000])
def test_message_connection_takes_any_message(payload: str | bytes) -> None:
    connection = Messages().connection
    connection.receive_message(payload)
    assert kinds(connection.events()) == ["UnknownMessage"]
    assert connection.state is READY


def test_a_conversation_that_gives_up_says_what_to_close_the_websocket_with() -> None:
    """There is nobody left to answer a closing handshake, but a close frame may still arrive."""
    both = Messages(config=QUIET)
    both.clock.advance(QUIET.idle_timeout)
    both.connection.handle_timeout()
    assert both.connection.state is CLOSED
    assert (both.connection.close_code, both.connection.close_reason) == (1001, "")
    end = closed(both.connection.events())
    assert (end.code, end.sent_code) == (1006, 1001)
    assert isinstance(end.error, DeadlineExceeded)


def test_a_conversation_leaves_pings_to_a_websocket_that_can_send_them() -> None:
    clock = ManualClock(50.0)
    silent, pinging = (Conversation(MOCK, QUIET, clock=clock, sends_pings=pings) for pings in (False, True))
    for conversation in (silent, pinging):
        conversation.connect(TOKEN)
        conversation.receive_opened()
        conversation.receive_message(LOGIN_OK)
    clock.advance(QUIET.idle_timeout / 3)
    for conversation in (silent, pinging):
        conversation.handle_timeout()
    assert (silent.pings_to_send(), pinging.pings_to_send()) == ([], [b""])
    assert pinging.pings_to_send() == []


def test_a_batch_says_whether_it_holds_rows_alone_and_the_next_one_is_not_asked() -> None:
    wire = Wire().login()
    wire.send(real(("0B", "005930", {"10": "1"})))
    rows = wire.client.events()
    wire.send(real(("0B", "005930", {"10": "1"})), b'{"trnm":"PING"}')
    mixed = wire.client.events()
    nothing = wire.client.events()
    assert [len(batch) for batch in (rows, mixed, nothing)] == [1, 1, 0]
    assert [batch.rows_only for batch in (rows, mixed, nothing)] == [True, False, True]


def test_message_connection_misuse() -> None:
    connection = Conversation(MOCK, clock=ManualClock())
    with pytest.raises(LocalProtocolError):
        connection.receive_opened()
    assert connection.state is CONNECTING
    assert connection.events() == []
    connection.connect(TOKEN)
    connection.receive_opened()
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            connection.receive_opened()
        connection.receive_close()
    assert kinds(connection.events()) == ["Opened", "Closed"]


def test_message_connection_paces_and_credits_requests() -> None:
    both = Messages(config=TIMEOUTS)
    first, second = both.connection.subscribe("0E", "000001"), both.connection.subscribe("0E", "000002")
    assert len(both.connection.messages_to_send()) == 1
    both.connection.receive_message(REG_OK)
    both.clock.advance(TIMEOUTS.request_interval)
    both.connection.handle_timeout()
    assert len(both.connection.messages_to_send()) == 1
    both.connection.receive_message(reply("REG", 105111, "m"))
    assert both.connection.events() == [RequestAccepted(first), RequestRefusal(second, "105111", "m")]


def test_message_connection_ack_that_nobody_asked_for() -> None:
    both = Messages()
    both.connection.receive_message(REG_OK)
    assert both.connection.state is CLOSING
    both.connection.receive_close(1000)
    assert isinstance(closed(both.connection.events()).error, RemoteProtocolError)


def test_repr_says_where_and_how_far() -> None:
    wire = Wire(endpoint=Endpoint("ws://localhost:1/x"))
    assert repr(wire.client) == "<ClientConnection ws://localhost:1/x, connecting>"
    wire.login()
    assert repr(wire.client) == "<ClientConnection ws://localhost:1/x, ready>"


def errors_raised() -> Iterator[KiwoomError]:
    """Every kind of error that a `Closed` may hold."""
    for state, stimulus in itertools.product(ConnectionState, STIMULI):
        wire = wire_in(state)
        STIMULI[stimulus](wire)
        wire.client.receive_eof()
        for event in wire.client.events():
            if isinstance(event, Closed) and event.error is not None:
                yield event.error


def test_every_error_of_an_end_is_of_the_librarys_own() -> None:
    """And says something."""
    errors = list(errors_raised())
    assert {type(error) for error in errors} == {
        ClosedByPeer,
        DeadlineExceeded,
        HandshakeError,
        LoginRefused,
        RemoteProtocolError,
    }
    assert all(str(error) for error in errors)


# Arguments of the wrong kind are the caller's mistakes like any other: named, and nothing happens.


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ClientConnection("wss://host/", clock=ManualClock()), "endpoint"),  # type: ignore[arg-type]  # the mistake
        (lambda: ClientConnection(MOCK, {}, clock=ManualClock()), "config"),  # type: ignore[arg-type]  # the mistake
        (lambda: ClientConnection(MOCK, clock=ManualClock()).connect(TOKEN, "0E"), "header"),  # type: ignore[arg-type]  # the mistake
        (lambda: ClientConnection(MOCK, clock=ManualClock()).close("1000"), "code"),  # type: ignore[arg-type]  # the mistake
        (lambda: ClientConnection(MOCK, clock=ManualClock()).close(1000, None), "reason"),  # type: ignore[arg-type]  # the mistake
    ],
)
def test_arguments_of_the_wrong_kind_are_named(make: Callable[[], object], named: str) -> None:
    with pytest.raises(LocalProtocolError, match=named):
        make()


def test_a_registration_changed_after_it_was_asked_for_is_sent_as_it_was() -> None:
    wire = Wire().connect()
    items: Any = ["005930"]
    wire.client.request(Reg("1", "1", (Element(items, ("0E",)),)))
    items.append("x" * 200)
    wire.client.receive_data(accept_handshake(wire.request))
    wire.send(LOGIN_OK)
    assert wire.messages()[-1] == OFFICIAL_REG


def test_what_the_server_says_is_fit_for_a_terminal() -> None:
    wire = wire_in(READY)
    wire.send(b'{"trnm":"SYSTEM","code":"R9","message":"a\\u001b]0;owned\\u0007b"}')
    wire.client.receive_data(close())
    wire.client.receive_eof()
    assert "\x1b" not in str(closed(wire.events()))


# Floods.


ROW = b'{"data":[{"values":{"131":"5"},"type":"0E","name":"n","item":"005930"}],"trnm":"REAL"}'
NO_ROWS = {
    "empty messages": b"",
    "no objects": b"1",
    "nothing known": b"{}",
    "PING": b'{"trnm":"PING"}',
    "SYSTEM": b'{"trnm":"SYSTEM"}',
    "condition lists": b'{"trnm":"CNSRLST"}',
    "logins": LOGIN_OK,
}


@pytest.mark.parametrize("payload", NO_ROWS.values(), ids=list(NO_ROWS))
@pytest.mark.parametrize("before", [b"", text(ROW)], ids=["at once", "after a row"])
def test_a_flood_of_messages_without_rows_ends_the_connection_at_once(payload: bytes, before: bytes) -> None:
    wire = Wire().login()
    size = 262_144
    data = before + text(payload) * (size // len(text(payload)))

    wire.client.receive_data(data)

    events = wire.client.events()
    assert len(events) <= ROWLESS_MESSAGES + len(data) // ROWLESS_SIZE + 2
    assert isinstance(events[0], Record) == bool(before)
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, RemoteProtocolError)
    assert "far too many messages without rows at once" in str(closed)
    assert closed.sent_code == 1008
    sent = wire.sent()
    assert sent[-1].opcode == CLOSE
    assert len(sent) <= ROWLESS_MESSAGES + len(data) // ROWLESS_SIZE + 1
    wire.client.receive_data(data)
    assert wire.client.events() == []


@pytest.mark.parametrize("count", [15, 16, 100, 1000])
@pytest.mark.parametrize("bad", [b"{}", b"0"])
def test_bad_rows_are_bounded_over_all_messages_of_a_read_and_the_stream_goes_on(count: int, bad: bytes) -> None:
    wire = Wire().login()
    message = text(b'{"trnm":"REAL","data":[' + b",".join([bad] * count) + b"]}")
    messages = min(ROWLESS_MESSAGES, 131_072 // len(message))

    for _ in range(2):
        wire.client.receive_data(message * messages + text(ROW))

        *reported, row = wire.client.events()
        assert isinstance(row, Record)
        assert all(isinstance(event, UnknownMessage) for event in reported)
        at_once = min(count, REPORTED_BAD_ROWS)
        read = MAX_BAD_ROWS // count + 1  # of all messages; of the others it is said that they were not read
        assert len(reported) <= read * (at_once + 1) + messages
        assert "nothing was read from data[0] on" in str(reported[-1])
    assert wire.client.state is ConnectionState.READY


def test_a_flood_before_the_login_and_with_the_answer_to_the_handshake_ends_it_too() -> None:
    wire = Wire().connect()
    answer = accept_handshake(wire.request)

    wire.client.receive_data(answer + text(b"{}") * 100_000)

    opened, *others, closed = wire.client.events()
    assert isinstance(opened, Opened)
    assert {type(event) for event in others} == {UnknownMessage}
    assert isinstance(closed, Closed)
    assert "far too many messages" in str(closed)


def test_a_flood_while_closing_is_not_looked_at_and_the_close_ends_in_time() -> None:
    wire = Wire().login()
    wire.client.close()

    wire.client.receive_data(text(b"{}") * 100_000)

    assert wire.client.state is ConnectionState.CLOSING
    assert len(wire.client.events()) < 10_000
    wire.clock.advance(100)
    wire.client.handle_timeout()
    [closed] = wire.client.events()
    assert isinstance(closed, Closed)
    assert closed.error is not None or closed.code == 1006


def test_as_many_messages_without_rows_in_many_reads_are_no_flood() -> None:
    wire = Wire().login()

    for _ in range(20):
        wire.client.receive_data(text(b'{"trnm":"PING"}') * ROWLESS_MESSAGES)

    assert wire.client.state is ConnectionState.READY


def test_any_number_of_rows_is_no_flood() -> None:
    wire = Wire().login()
    two = ROW.replace(b"[{", b'[{"values":{},"type":"0B"},{')

    wire.client.receive_data((text(ROW) + text(two)) * 20_000)

    assert len(wire.client.events()) == 60_000
    assert wire.client.state is ConnectionState.READY


def test_fragments_without_end_end_the_connection() -> None:
    wire = Wire().login()

    wire.client.receive_data(text(ROW) + frame(TEXT, fin=False) + frame(CONT, fin=False) * 131_072)

    assert isinstance(wire.client.events()[0], Record)
    assert wire.client.state is ConnectionState.CLOSING
    wire.client.receive_eof()
    [closed] = wire.client.events()
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, RemoteProtocolError)
    assert "fragments and control frames at once" in str(closed)

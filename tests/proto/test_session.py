"""Session: what outlives a connection, on virtual time; the server's end by hand, or the simulated exchange."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
import pytest

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    US_PRODUCTION,
    AfterHoursQuote,
    ClientConfig,
    Closed,
    ConditionHit,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    KiwoomError,
    LinkNeeded,
    LocalProtocolError,
    Record,
    Request,
    RequestRefused,
    Session,
    Stale,
    Symbol,
    SystemNotice,
    TokenNeeded,
    UnknownMessage,
)
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    HandshakeError,
    LoginRefused,
    QuotaExceeded,
    RemoteProtocolError,
    TakenOver,
    TokenError,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.events import (
    ConditionList,
    ConditionResult,
    Connecting,
    LoggedIn,
    LoginRefusal,
    Opened,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
)
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.session.lifecycle import TRANSITIONS, SessionState, SubscriptionState, Trigger
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock, ServerEnd, SimulatedNetwork
from kiwoom_proto.wire.messages import Element, Reg, Remove

from .wire import (
    CLOSE,
    LOGIN_OK,
    PONG,
    REG_OK,
    REMOVE_OK,
    TEXT,
    TOKEN,
    CountingBytes,
    WireFrame,
    accept_handshake,
    close,
    close_payload,
    frame,
    parse_frames,
    real,
    reply,
    text,
)
from .wire import PING as PING_FRAME

WAITING, AUTHORIZING, CONNECTING, READY, CLOSING, CLOSED = SessionState
WANTED, SENT, CONFIRMED, RECEIVING, REFUSED, LEAVING = SubscriptionState
SECOND = 1_000_000_000
PING = b'{"trnm":"PING"}'
R10001 = b'{"trnm":"SYSTEM","code":"R10001","message":"m"}'
TOKEN_REFUSED = reply("LOGIN", 805004, "인증 실패[CODE=8005, MESSAGE=Token이 유효하지 않습니다]")
WRONG_SERVER = reply("LOGIN", 805004, "인증 실패[CODE=8031, MESSAGE=...]")
LISTED = reply("CNSRLST", data=[["4", "name"], ["5", "other"]])
CONFIG = ClientConfig(
    open_timeout=2,
    login_timeout=3,
    ack_timeout=4,
    idle_timeout=30,
    close_timeout=1,
    token_timeout=5,
    request_interval=0,
)
E = TypeVar("E")


def row(item: str = "005930", type: str = "0E") -> bytes:
    return real((type, item, {"131": "1"}))


class Line:
    """A session with the server's end written by hand. Each attempt comes half of the longest time after the loss."""

    def __init__(self, config: ClientConfig = CONFIG, endpoint: Endpoint = PRODUCTION, draw: float = 0.5) -> None:
        self.clock = ManualClock(1000.0)
        self.session = Session(endpoint, config, clock=self.clock, random=lambda: draw, random_bytes=CountingBytes())

    def connect(self, token: str | None = TOKEN, **options: Any) -> Line:
        self.session.connect(token, **options)
        return self

    def open(self) -> Line:
        """Accept the opening handshake; the LOGIN is then on the wire."""
        assert isinstance(self.session.needs, LinkNeeded)
        request = self.session.data_to_send()
        assert request.startswith(b"GET ")
        self.receive(accept_handshake(request))
        return self

    def login(self) -> Line:
        """Accept the opening handshake and the LOGIN."""
        self.open()
        assert [message["trnm"] for message in self.messages()] == ["LOGIN"]
        self.send(LOGIN_OK)
        assert self.session.state is READY
        return self

    def ready(self) -> Line:
        """Connect and log in; what was reported on the way is forgotten."""
        self.connect().login().session.events()
        return self

    def attempt(self) -> Line:
        """Wait for the next attempt."""
        assert self.session.state is WAITING
        due = self.session.next_timeout()
        assert due is not None
        self.clock.now = due
        self.session.handle_timeout()
        return self

    def again(self) -> Line:
        """Wait for the next attempt, and log in."""
        return self.attempt().login()

    def receive(self, data: bytes) -> None:
        self.session.receive_data(data, int(self.clock.now * SECOND))

    def send(self, *payloads: bytes) -> None:
        """Send text messages to the session, in one chunk."""
        self.receive(b"".join(text(payload) for payload in payloads))

    def drop(self, error: str | None = None) -> None:
        self.session.receive_eof(error)

    def wait(self, seconds: float) -> None:
        """Let time pass, stopping where the session asks to."""
        end = self.clock.now + seconds
        while (due := self.session.next_timeout()) is not None and due <= end:
            assert due >= self.clock.now, "a deadline in the past would never let a driver rest"
            self.clock.now = due
            self.session.handle_timeout()
        self.clock.now = end

    def sent(self) -> list[WireFrame]:
        return parse_frames(self.session.data_to_send())

    def answer_pings(self) -> None:
        """Send the pongs of RFC 6455 that are due, and nothing else; forget what else was sent."""
        for found in self.sent():
            if found.opcode == PING_FRAME:
                self.receive(frame(PONG, found.payload))

    def overdue(self) -> None:
        """Wait until an acknowledgement is overdue, on a line that is well."""
        self.wait(self.session.config.ack_timeout * 0.75)
        self.answer_pings()
        self.wait(self.session.config.ack_timeout / 4)

    def messages(self) -> list[dict[str, Any]]:
        """The messages sent since the last call."""
        return [json.loads(frame.payload) for frame in self.sent() if frame.opcode == TEXT]

    def said(self) -> list[str]:
        """The same, shortly: "REG 0E 005930"."""
        return [shortly(message) for message in self.messages()]

    def acknowledge(self) -> list[str]:
        """Say yes to everything until there is no more; returns what there was."""
        said = []
        while messages := self.messages():
            for message in messages:
                said.append(shortly(message))
                trnm = message["trnm"]
                answer = reply(trnm, data=[]) if "CNSR" in trnm else reply(trnm)
                self.send(LISTED if trnm == "CNSRLST" else answer)
        return said

    def events(self) -> list[Event]:
        return self.session.events()

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events()]

    def states(self) -> dict[tuple[str, str], SubscriptionState]:
        return {(one.type, one.item): one.state for one in self.session.subscriptions}


def shortly(message: dict[str, Any]) -> str:
    trnm: str = message["trnm"]
    parts = [trnm, message.get("seq", "")]
    for element in message.get("data", ()):
        parts += [",".join(element["type"]), ",".join(str(item) for item in element["item"])]
    return " ".join(part for part in parts if part)


def only(kind: type[E], events: Sequence[object]) -> E:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


class Net:
    """A session and the simulated exchange, and the network between them."""

    def __init__(
        self,
        config: ClientConfig | None = None,
        endpoint: Endpoint = PRODUCTION,
        token: Callable[[bool], str | KiwoomError] = lambda refused: "key",
        exchange: Exchange | None = None,
        clock: ManualClock | None = None,
        seed: int = 1,
        **options: Any,
    ) -> None:
        self.clock = ManualClock() if clock is None else clock
        self.exchange = Exchange(clock=self.clock, **options) if exchange is None else exchange
        self.session = Session(
            endpoint, config, clock=self.clock, random=random.Random(seed).random, random_bytes=CountingBytes()
        )
        self.network = SimulatedNetwork(self.session, self.exchange, self.clock, token)
        self.advance = self.network.advance
        self.events = self.network.events

    def ready(self) -> Net:
        self.session.connect("key")
        self.advance(0.1)
        assert self.session.state is READY
        return self

    def registered(self) -> set[tuple[str, str]]:
        """What the server has registered, over all connections: live searches as well."""
        return {pair for peer in self.exchange.links for pair in (*peer.pairs(), *peer.live)}

    def settle(self, seconds: float = 300) -> None:
        self.advance(seconds)
        assert self.session.is_settled

    def found(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


# The whole life.


def test_whole_life() -> None:
    """Two connections: every message and every event, in order."""
    line = Line()
    session = line.session
    assert session.state is WAITING
    assert (session.needs, session.next_timeout(), session.data_to_send(), session.epoch) == (None, None, b"", 0)

    line.connect()
    assert session.state is CONNECTING
    need = session.needs
    assert isinstance(need, LinkNeeded)
    assert (need.endpoint, need.epoch) == (PRODUCTION, 1)
    line.open()
    assert line.messages() == [{"trnm": "LOGIN", "token": TOKEN}]
    line.send(LOGIN_OK)
    assert session.state is READY
    request = session.subscribe(AfterHoursQuote, "005930")
    assert line.said() == ["REG 0E 005930"]
    line.send(REG_OK)
    line.send(row())
    assert session.needs is need
    kinds = line.kinds()
    assert kinds == ["Connecting", "Opened", "LoggedIn", "RequestAccepted", "AfterHoursQuote"]
    assert request.confirmed == 1

    line.drop("connection reset by peer")
    assert session.state is WAITING
    assert session.needs is None
    disconnected = only(Disconnected, line.events())
    assert isinstance(disconnected.cause, TransportError)
    assert (disconnected.delay, disconnected.retry_at) == (0.5, 1000.5)
    assert session.next_timeout() == 1000.5
    assert isinstance(disconnected.closed, Closed)
    assert str(disconnected).endswith("; trying again in 0.5 s")

    line.again()
    assert isinstance(session.needs, LinkNeeded)
    assert session.needs.epoch == session.epoch == 2
    assert session.needs is not need
    assert line.said() == ["REG 0E 005930"]
    line.send(REG_OK, row())
    assert line.kinds() == ["Connecting", "Opened", "LoggedIn", "AfterHoursQuote", "Gap"]

    session.close(1000, "done")
    assert session.state is CLOSING
    assert line.sent() == [WireFrame(CLOSE, close_payload(1000, b"done"))]
    line.receive(close(1000, b"done"))
    line.drop()
    (end,) = line.events()
    assert end == Closed(1000, "done", None, 1000)
    assert (session.state, session.needs, session.next_timeout(), session.data_to_send()) == (CLOSED, None, None, b"")


def test_every_state_can_be_left_and_the_last_cannot() -> None:
    assert TRANSITIONS.keys() == set(SessionState)
    assert all(Trigger.ENDED in triggers for state, triggers in TRANSITIONS.items() if state is not CLOSED)
    assert TRANSITIONS[CLOSED] == {}
    reached = {state for triggers in TRANSITIONS.values() for state in triggers.values()}
    assert reached == set(SessionState)


def test_everything_in_one_chunk() -> None:
    line = Line()
    line.session.subscribe("0E", "005930")
    line.connect()
    request = line.session.data_to_send()
    line.receive(accept_handshake(request) + text(LOGIN_OK) + text(row()) + close(1000, b"Bye"))
    line.drop()
    assert line.kinds() == ["Connecting", "Opened", "LoggedIn", "AfterHoursQuote", "Disconnected"]


def test_sequence_grows_over_everything_and_epoch_tells_the_connection() -> None:
    """Rows, replies, notices, the session's own: no number comes twice, and none is out of order."""
    net = Net(rate=20).ready()
    net.session.subscribe("0E", "005930", fresh_within=0.05)
    net.session.search_condition("0", realtime=True)
    for _ in range(5):
        net.advance(3)
        net.exchange.garbage()
        net.advance(0)
        net.session.subscribe("0D", "000660")
        net.session.unsubscribe("0D", "000660")
        net.network.reset()
        net.session.list_conditions()
        net.advance(20)
    net.session.close()
    net.advance(1)
    sequences = [event.sequence for event in net.events]
    assert sequences == sorted(set(sequences))
    assert sequences[0] == 1
    epochs = [event.epoch for event in net.events]
    assert epochs == sorted(epochs)
    assert {event.epoch for event in net.found(Connecting)} == set(range(1, net.session.epoch + 1))
    assert {type(event) for event in net.events} >= {Stale, Gap, Disconnected, ConditionList, UnknownMessage, Closed}


def test_events_before_the_connection_have_epoch_0() -> None:
    line = Line()
    line.connect(None)
    line.session.token_failed(TransportError("no such host"))
    (event,) = line.events()
    assert (event.epoch, event.sequence) == (0, 1)


def test_what_comes_of_bytes_is_reported_after_what_was_in_them() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    line.send(row(), REG_OK, row())
    events = line.events()
    assert [type(event).__name__ for event in events] == ["AfterHoursQuote", "AfterHoursQuote", "RequestAccepted"]
    assert only(RequestAccepted, events).request is request


def test_header_elements_of_the_server() -> None:
    line = Line()
    assert line.session.header is None
    line.connect(header=RequestHeader(api_id="0E"))
    request = line.session.data_to_send()
    assert b"api-id: 0E\r\n" in request
    line.receive(accept_handshake(request, b"api-id: 0E"))
    assert line.session.header is not None
    assert line.session.header.api_id == "0E"


def test_header_elements_are_sent_on_every_connection() -> None:
    line = Line().connect(header=RequestHeader(api_id="0E")).login()
    line.drop()
    line.wait(0.5)
    assert b"api-id: 0E\r\n" in line.session.data_to_send()


# What other clients get wrong, each a test.


def test_pitfall_hangs_for_ever_when_login_is_unanswered() -> None:
    line = Line().connect().open()
    line.wait(CONFIG.login_timeout)
    disconnected = only(Disconnected, line.events())
    assert isinstance(disconnected.cause, DeadlineExceeded)
    assert disconnected.cause.phase == "login"


@pytest.mark.parametrize(
    "payload", [b'{"trnm":"SYSTEM","code":"R10003","message":"m"}', PING, reply("REG", 100013, "early")]
)
def test_pitfall_treats_a_system_ping_or_100013_before_the_login_reply_as_a_failure(payload: bytes) -> None:
    line = Line()
    request = line.session.subscribe("0E", "005930")
    line.connect().open()
    line.send(payload)
    assert line.session.state is CONNECTING
    assert (PING in [frame.payload for frame in line.sent()]) is (payload is PING)
    line.send(LOGIN_OK)
    line.send(REG_OK)
    assert only(RequestAccepted, line.events()).request is request


def test_pitfall_sends_reg_before_the_login_reply() -> None:
    line = Line()
    line.session.subscribe("0E", "005930")
    line.session.search_condition("4", realtime=True)
    line.connect().open()
    line.session.subscribe("0E", "000660")
    line.session.unsubscribe("0E", "005930")
    line.wait(2.9)
    assert line.said() == ["LOGIN"]
    line.send(LOGIN_OK)
    assert line.acknowledge() == ["CNSRLST", "REG 0E 000660", "CNSRREQ 4"]


def test_pitfall_logs_in_again_after_a_drop_but_registers_nothing() -> None:
    net = Net().ready()
    net.session.subscribe("0E", "005930", "000660")
    net.session.subscribe("0D", "005930")
    net.session.subscribe("00")
    net.advance(1)
    before = net.registered()
    net.exchange.drop()
    net.advance(0)
    assert net.registered() == set()
    net.settle()
    assert net.registered() == before == {("0E", "005930"), ("0E", "000660"), ("0D", "005930"), ("00", "")}
    assert net.session.epoch == 2


def test_pitfall_brings_back_what_was_unsubscribed() -> None:
    net = Net().ready()
    net.session.subscribe("0E", "005930", "000660")
    net.session.search_condition("0", realtime=True)
    net.session.search_condition("1", realtime=True)
    net.advance(3)
    net.network.unreachable = "connection refused"
    net.network.reset()
    removal = net.session.unsubscribe("0E", "005930")
    clearing = net.session.clear_condition("0")
    net.advance(10)
    assert {event.request for event in net.found(RequestAccepted)} >= {removal, clearing}
    net.network.unreachable = None
    net.settle()
    assert net.registered() == {("0E", "000660"), ("02", "1")}


def test_pitfall_39_logins_in_two_seconds_on_a_dead_token() -> None:
    """One more try with another token, then it is the end: of a session, and of its sockets."""
    for renewable, logins in ((False, 1), (True, 2)):
        net = Net(tokens={}, token=lambda refused: "also dead")
        net.session.connect("dead", renewable=renewable)
        net.advance(3600)
        assert len(net.found(LoginRefusal)) == len(net.found(Connecting)) == logins
        assert isinstance(only(Closed, net.events).error, LoginRefused)
        assert net.exchange.links == []
        assert net.network.peer is None


def test_pitfall_two_instances_kicking_each_other_eleven_times_in_ten_seconds() -> None:
    clock = ManualClock()
    exchange = Exchange(clock=clock)
    for policy, kicks in (("stop", 1), ("reconnect", 7), ("wait", 7)):
        config = ClientConfig(takeover=policy, takeover_wait=20)  # type: ignore[arg-type]  # every one of them
        first, second = (Net(config, exchange=exchange, clock=clock, seed=seed) for seed in (1, 2))
        first.session.connect("key")
        second.session.connect("key")
        begun = clock.now
        while clock.now < begun + 600:
            first.advance(0.1)
            second.advance(0)
        notices = [*first.found(SystemNotice), *second.found(SystemNotice)]
        assert {notice.code for notice in notices} == {"R10001"}
        assert len(notices) <= kicks
        assert {first.session.state, second.session.state} == {READY, CLOSED}
        loser = first if first.session.state is CLOSED else second
        assert isinstance(only(Closed, loser.events).error, TakenOver)
        for net in (first, second):
            net.session.close()
            net.advance(1)


def test_pitfall_a_close_1000_is_taken_for_success_or_not_noticed() -> None:
    line = Line().ready()
    line.receive(close(1000, b"Bye"))
    assert line.sent() == [WireFrame(CLOSE, close_payload(1000, b"Bye"))]
    line.drop()
    assert line.session.state is WAITING
    disconnected = only(Disconnected, line.events())
    assert isinstance(disconnected.cause, ClosedByPeer)
    assert disconnected.closed is not None
    assert disconnected.closed.code == 1000


@pytest.mark.parametrize("fault", ["half_open", "black_hole", "deaf"])
def test_a_dead_connection_is_noticed_in_half_a_minute_by_default(fault: str) -> None:
    net = Net().ready()
    net.advance(60)
    broken_at = net.clock.now
    if fault == "half_open":
        net.network.half_open()
    else:
        setattr(net.network, fault, True)
    net.advance(40)
    disconnected = net.found(Disconnected)[0]
    assert isinstance(disconnected.cause, DeadlineExceeded)
    assert disconnected.cause.phase == "idle"
    assert broken_at + 20 <= disconnected.retry_at - disconnected.delay <= broken_at + 30


class OnlyPongs:
    """The simulated exchange, but for PING, which it does not send."""

    def __init__(self, clock: ManualClock) -> None:
        self._exchange = Exchange(clock=clock)
        self.next_timeout = self._exchange.next_timeout
        self.handle_timeout = self._exchange.handle_timeout

    def connect(self) -> ServerEnd:
        peer = self._exchange.connect()
        peer.connection.send_ping = lambda: None  # type: ignore[method-assign]  # that is what is special about it
        peer._pings_unanswered = -(10**9)
        return peer


def test_a_quiet_market_whose_server_answers_pings_and_sends_none_is_no_loss() -> None:
    clock = ManualClock()
    session = Session(PRODUCTION, clock=clock, random=random.random)
    network = SimulatedNetwork(session, OnlyPongs(clock), clock)
    session.connect("key")
    network.advance(12 * 3600)
    assert session.epoch == 1
    assert session.state is READY


def test_pitfall_a_dead_but_established_socket_unnoticed_for_hours() -> None:
    net = Net(ClientConfig(idle_timeout=60)).ready()
    net.session.subscribe("0E", "005930")
    net.advance(30)
    net.network.black_hole = True
    net.advance(61)
    disconnected = only(Disconnected, net.events)
    assert isinstance(disconnected.cause, DeadlineExceeded)
    assert disconnected.cause.phase == "idle"
    net.advance(120)
    net.network.black_hole = False
    net.settle()
    assert net.registered() == {("0E", "005930")}


def test_pitfall_a_condition_search_reply_kills_the_receive_task() -> None:
    line = Line().ready()
    for payload in (
        LISTED,
        reply("CNSRREQ", 900003, "?"),
        b'{"trnm":"CNSRREQ","data":[[null]]}',
        b'{"trnm":"CNSRCLR"}',
    ):
        line.send(payload)
    assert line.session.state is READY
    assert line.kinds() == ["UnknownMessage"] * 4
    line.send(row())
    assert line.kinds() == ["AfterHoursQuote"]


def test_pitfall_a_refused_reg_is_invisible() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    line.send(reply("REG", 105115, "초과"))
    assert line.events() == [RequestRefusal(request, "105115", "초과")]
    line.messages()
    request = line.session.subscribe("0E", "000660")
    line.send(reply("REG", 105110, "초과"))
    assert (line.said(), line.events()) == (["REG 0E 000660"], [])
    line.wait(1)
    assert line.said() == ["REG 0E 000660"]
    line.send(REG_OK)
    assert line.events() == [RequestAccepted(request)]


def test_pitfall_refuses_more_than_100_items_although_200_are_allowed() -> None:
    net = Net(rate=0.01).ready()
    items = [f"{number:06}" for number in range(200)]
    request = net.session.subscribe("0E", *items)
    net.advance(3)
    assert only(RequestAccepted, net.events).request is request
    assert net.registered() == {("0E", item) for item in items}
    with pytest.raises(QuotaExceeded, match="200 of 200 are in use and 1 more"):
        net.session.subscribe("0E", "999999")


def test_pitfall_remove_by_one_consumer_silences_another() -> None:
    net = Net(rate=20).ready()
    net.session.subscribe("0E", "005930", "000660")
    net.session.subscribe("0E", "005930")
    net.advance(1)
    net.session.unsubscribe("0E", "005930", "000660")
    net.advance(1)
    assert net.registered() == {("0E", "005930")}
    seen = len(net.events)
    net.advance(2)
    assert {event.item for event in net.events[seen:] if isinstance(event, Record)} == {"005930"}
    net.session.unsubscribe("0E", "005930")
    net.advance(1)
    assert net.registered() == set()


def test_pitfall_an_empty_registration_never_matches_the_rows_it_brings() -> None:
    line = Line().ready()
    line.session.subscribe("00")
    line.acknowledge()
    assert line.states() == {("00", ""): CONFIRMED}
    line.send(row("005930", "00"))
    assert line.states() == {("00", ""): RECEIVING}


def test_pitfall_900003_is_fatal() -> None:
    line = Line().ready()
    request = line.session.search_condition("4", realtime=True)
    assert line.said() == ["CNSRLST"]
    line.send(LISTED)
    assert line.said() == ["CNSRREQ 4"]
    line.send(reply("CNSRREQ", 900003, "이미 등록된 조건식입니다(4)"))
    assert line.said() == ["CNSRCLR 4"]
    line.send(reply("CNSRCLR", seq="4"))
    assert line.said() == ["CNSRREQ 4"]
    line.send(reply("CNSRREQ", seq="4", data=[]))
    events = line.events()
    assert [type(event).__name__ for event in events] == ["ConditionResult", "RequestAccepted"]
    assert only(RequestAccepted, events).request is request


def test_pitfall_conditions_not_re_armed() -> None:
    """Though the server still has it for a while, and refuses it with 900003 (the exchange does)."""
    net = Net(rate=20).ready()
    net.session.search_condition("0", realtime=True)
    net.advance(3)
    assert net.registered() == {("02", "0")}
    net.network.reset()
    seen = len(net.events)
    net.settle(30)
    assert net.registered() == {("02", "0")}
    result = only(ConditionResult, net.events[seen:])
    assert result.symbols
    assert any(isinstance(event, ConditionHit) for event in net.events[seen:])
    assert not net.found(RequestRefusal)


# Registering.


def test_calls_made_before_there_is_a_connection_are_answered_later() -> None:
    line = Line()
    requests = [
        line.session.subscribe("0E", "005930"),
        line.session.list_conditions(),
        line.session.search_condition("4"),
        line.session.subscribe("0D", "005930"),
    ]
    assert line.session.subscriptions[0].state is WANTED
    assert line.events() == []
    line.connect().login()
    line.acknowledge()
    accepted = [event.request for event in line.events() if isinstance(event, RequestAccepted)]
    assert sorted(map(id, accepted)) == sorted(map(id, requests))
    assert all(request.confirmed == request.parts for request in requests)


def test_calls_made_while_disconnected_are_answered_later() -> None:
    line = Line().ready()
    line.drop()
    requests = [line.session.subscribe("0E", "005930"), line.session.list_conditions()]
    line.events()
    assert line.session.data_to_send() == b""
    line.again()
    line.acknowledge()
    assert {event.request for event in line.events() if isinstance(event, RequestAccepted)} == set(requests)


def test_calls_that_were_not_answered_are_asked_again() -> None:
    """Answered once, by the connection that answers them."""
    line = Line().ready()
    requests = [
        line.session.subscribe("0E", "005930"),
        line.session.search_condition("4", realtime=True),
        line.session.search_condition("5"),
        line.session.list_conditions(),
    ]
    assert line.said() == ["REG 0E 005930", "CNSRLST"]
    line.drop()
    assert "RequestAccepted" not in line.kinds()
    line.again()
    line.send(LISTED)
    line.drop()
    line.again()
    assert sorted(line.acknowledge()) == ["CNSRLST", "CNSRLST", "CNSRREQ 4", "CNSRREQ 5", "REG 0E 005930"]
    events = line.events()
    assert sorted(id(event.request) for event in events if isinstance(event, RequestAccepted)) == sorted(
        map(id, requests)
    )
    assert only(ConditionList, events).request is requests[3]
    assert {event.request for event in events if isinstance(event, ConditionResult)} == set(requests[1:3])


def test_everything_comes_back_in_as_few_messages_as_possible() -> None:
    """200 items for three types, asked for one by one: two messages."""
    net = Net(rate=0.001).ready()
    for number in range(200):
        net.session.subscribe("0E", f"{number:06}")
        net.session.subscribe("0D", f"{number:06}")
        net.session.subscribe("0B", f"{number:06}")
    net.advance(60)
    before = net.registered()
    assert len(before) == 600
    sent: list[bytes] = []
    data_to_send = net.session.data_to_send

    def tapped() -> bytes:
        data = data_to_send()
        sent.append(data)
        return data

    net.session.data_to_send = tapped  # type: ignore[method-assign]  # to look at what is sent
    net.network.reset()
    net.settle(20)
    assert net.registered() == before
    frames = [frame for data in sent if data and not data.startswith(b"GET") for frame in parse_frames(data)]
    registrations = [json.loads(frame.payload) for frame in frames if b'"REG"' in frame.payload]
    assert [len(message["data"]) for message in registrations] == [1, 1]


def test_the_account_comes_back_first_then_live_searches_then_market_data() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930", group="2")
    line.session.search_condition("4", realtime=True)
    line.session.subscribe("00", group="1")
    line.acknowledge()
    line.drop()
    line.again()
    (account, conditions) = line.messages()
    assert (account["trnm"], account["data"]) == ("REG", [{"item": [""], "type": ["00"]}])
    assert conditions["trnm"] == "CNSRLST"
    line.send(LISTED)
    assert line.said() == ["CNSRREQ 4"]
    line.send(REG_OK)
    assert line.said() == ["REG 0E 005930"]


def test_what_is_planned_late_needs_no_taking_back() -> None:
    """While one message is under way, what is asked for and let go of again is never sent."""
    line = Line().ready()
    line.session.subscribe("0E", "000001")
    for _ in range(10):
        line.session.subscribe("0E", "000002")
        line.session.unsubscribe("0E", "000002")
    line.session.subscribe("0E", "000003")
    assert line.said() == ["REG 0E 000001"]
    line.send(REG_OK)
    assert line.said() == ["REG 0E 000003"]


def test_unsubscribe_is_accepted_once_it_is_removed() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.events()
    removal = line.session.unsubscribe("0E", "005930")
    assert line.events() == []
    assert line.states() == {("0E", "005930"): LEAVING}
    assert line.said() == ["REMOVE 0E 005930"]
    line.send(REMOVE_OK)
    assert line.events() == [RequestAccepted(removal)]
    assert removal.confirmed == 1
    assert line.session.subscriptions == ()


@pytest.mark.parametrize("connected", [True, False])
def test_unsubscribe_is_accepted_at_once_where_there_is_nothing_to_remove(connected: bool) -> None:
    line = Line().ready() if connected else Line()
    removal = line.session.unsubscribe("0E", "005930")
    assert line.events() == [RequestAccepted(removal)]
    assert line.session.data_to_send() == b""


def test_unsubscribe_while_the_registration_is_under_way() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    removal = line.session.unsubscribe("0E", "005930")
    assert line.said() == ["REG 0E 005930"]
    assert line.events() == []
    line.send(REG_OK)
    assert line.said() == ["REMOVE 0E 005930"]
    line.send(REMOVE_OK)
    assert [event.request for event in line.events() if isinstance(event, RequestAccepted)] == [request, removal]
    assert line.session.subscriptions == ()


def test_subscribe_while_the_removal_is_under_way() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    removal = line.session.unsubscribe("0E", "005930")
    request = line.session.subscribe("0E", "005930")
    line.events()
    assert line.said() == ["REMOVE 0E 005930"]
    line.send(REMOVE_OK)
    assert line.said() == ["REG 0E 005930"]
    assert request.confirmed == 0
    line.send(REG_OK)
    assert line.events() == [RequestAccepted(request)]
    assert removal.confirmed == 1


def test_a_removal_that_was_lost_with_the_connection_is_done() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930", "000660")
    line.acknowledge()
    removal = line.session.unsubscribe("0E", "005930")
    line.events()
    line.drop()
    assert only(RequestAccepted, line.events()).request is removal
    line.again()
    assert line.said() == ["REG 0E 000660"]


def test_a_refused_removal_is_reported_and_not_repeated() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.events()
    removal = line.session.unsubscribe("0E", "005930")
    line.send(reply("REMOVE", 105111, "m"))
    assert line.events() == [RequestRefusal(removal, "105111", "m")]
    line.messages()
    line.wait(10)
    assert line.messages() == []
    assert line.session.is_settled


def test_a_refused_removal_that_no_call_waits_for_is_reported_as_it_was_sent() -> None:
    line = Line().ready()
    line.session.withdraw(line.session.subscribe("0E", "005930"))
    line.send(REG_OK)
    line.send(reply("REMOVE", 105111, "m"))
    rejected = only(RequestRefusal, line.events())
    assert str(rejected.request) == "REMOVE 0E for 005930"


def test_replace_lets_go_of_the_rest_of_the_group_whoever_wants_it() -> None:
    net = Net().ready()
    net.session.subscribe("0E", "005930", "000660")
    net.session.subscribe("0D", "005930")
    net.session.subscribe("0D", "005930")
    net.session.subscribe("0E", "039490", group="2")
    net.advance(2)
    net.session.subscribe("0E", "000660", "035720", replace=True)
    net.advance(2)
    assert net.registered() == {("0E", "000660"), ("0E", "035720"), ("0E", "039490")}
    assert {one.item: one.consumers for one in net.session.subscriptions} == {"000660": 2, "035720": 1, "039490": 1}


def test_a_message_of_your_own_making_is_wanted_like_any_other() -> None:
    net = Net().ready()
    message = Reg("1", "1", (Element(("005930", "000660"), ("0E", "0D")), Element(("",), ("00",))))
    request = net.session.request(message)
    net.advance(1)
    assert only(RequestAccepted, net.events).request is request
    everything = {("0E", "005930"), ("0E", "000660"), ("0D", "005930"), ("0D", "000660"), ("00", "")}
    assert net.registered() == everything
    net.network.reset()
    net.settle()
    assert net.registered() == everything
    net.session.request(Remove("1", (Element(("005930",), ("0E", "0D")),)))
    net.advance(1)
    assert net.registered() == everything - {("0E", "005930"), ("0D", "005930")}
    net.session.request(Reg("1", "0", (Element(("039490",), ("0B",)),)))
    net.advance(2)
    assert net.registered() == {("0B", "039490")}


def test_us_items() -> None:
    net = Net(endpoint=US_PRODUCTION, rate=20, start=datetime.time(22, 30)).ready()
    net.session.subscribe("FE", Symbol.parse("NVDA:ND"))
    net.session.search_condition("0", realtime=True)
    net.advance(5)
    (registered, live) = net.session.subscriptions
    assert (registered.item, registered.state) == ("NVDA:ND", RECEIVING)
    assert (live.type, live.item) == ("S2", "0")
    net.network.reset()
    net.settle()
    assert net.registered() == {("FE", "NVDA:ND"), ("S2", "0")}


# Refusals.


def test_a_refused_registration_is_nobodys_any_more() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    line.send(reply("REG", 105118, "m"))
    assert line.events() == [RequestRefusal(request, "105118", "m")]
    assert line.session.subscriptions == ()
    line.messages()
    line.wait(10)
    assert line.messages() == [], "it is not looped"
    line.drop()
    line.again()
    assert line.messages() == []


@pytest.mark.parametrize("code", [105115, 105118])
def test_a_registration_refused_on_a_later_connection_is_reported_and_tried_on_the_next(code: int) -> None:
    """Its calls were answered long ago, so it is news for the consumer. No loop: once a connection."""
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.drop()
    line.again()
    line.events()
    assert line.said() == ["REG 0E 005930"]
    line.send(reply("REG", code, "m"))
    events = line.events()
    rejected = only(RequestRefusal, events)
    assert (rejected.code, rejected.request.items) == (str(code), ("005930",))
    assert only(Gap, events)
    (one,) = line.session.subscriptions
    assert (one.state, one.reason, one.consumers) == (REFUSED, f"{code}: m", 1)
    line.wait(10)
    assert line.messages() == []
    line.drop()
    assert line.states() == {("0E", "005930"): WANTED}
    line.again()
    assert line.said() == ["REG 0E 005930"]
    line.send(REG_OK)
    assert line.states() == {("0E", "005930"): CONFIRMED}


def test_a_refused_message_of_several_calls_is_told_to_each_of_them() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "000001")
    first, second = line.session.subscribe("0E", "000002"), line.session.subscribe("0E", "000003")
    line.send(REG_OK)
    assert line.said() == ["REG 0E 000001", "REG 0E 000002,000003"]
    line.send(reply("REG", 105115))
    events = line.events()
    assert {event.request for event in events if isinstance(event, RequestRefusal)} == {first, second}
    assert line.states() == {("0E", "000001"): CONFIRMED}


def test_a_call_refused_in_part_keeps_nothing() -> None:
    line = Line(ClientConfig(request_interval=0, items_per_request=2)).ready()
    request = line.session.subscribe("0E", "000001", "000002", "000003")
    assert line.said() == ["REG 0E 000001,000002"]
    line.send(REG_OK)
    assert line.said() == ["REG 0E 000003"]
    line.send(reply("REG", 105115))
    assert only(RequestRefusal, line.events()).request is request
    assert line.acknowledge() == ["REMOVE 0E 000001,000002"]
    assert line.session.subscriptions == ()


def test_a_registration_that_nobody_waits_for_any_more_may_be_refused_in_silence() -> None:
    line = Line().ready()
    line.session.withdraw(line.session.subscribe("0E", "005930"))
    line.send(reply("REG", 105115))
    assert line.events() == []
    assert line.session.subscriptions == ()
    assert line.session.is_settled


def test_an_item_that_one_call_wanted_before_is_reported_beside_the_call_that_wants_it_now() -> None:
    """Asked for again after a loss, for both: the one is told, and of the other's the consumer is."""
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.drop()
    request = line.session.subscribe("0E", "005930")
    line.again()
    line.events()
    line.send(reply("REG", 105115, "m"))
    rejected = [event for event in line.events() if isinstance(event, RequestRefusal)]
    assert len(rejected) == 2
    assert request in [event.request for event in rejected]
    assert line.session.subscriptions[0].consumers == 1


def test_105110_slows_down_and_repeats() -> None:
    """The exchange takes five a second, whatever the client believes."""
    net = Net(ClientConfig(request_interval=0.01)).ready()
    requests = [net.session.list_conditions() for _ in range(30)]
    net.advance(60)
    accepted = [event.request for event in net.found(RequestAccepted)]
    assert accepted == requests
    assert not net.found(RequestRefusal)


def test_105110_while_coming_back_loses_nothing() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.drop()
    line.again()
    for pause in (1, 2, 4):
        assert line.said() == ["REG 0E 005930"]
        line.send(reply("REG", 105110))
        assert line.messages() == []
        line.wait(pause)
    line.events()
    assert line.acknowledge() == ["REG 0E 005930"]
    assert line.kinds() == ["Gap"]


# What connections are lost for.


UNANSWERED_CALLS: list[tuple[str, Callable[[Session], Request]]] = [
    ("CNSRLST", lambda session: session.list_conditions()),
    ("CNSRREQ", lambda session: session.search_condition("4")),
    ("CNSRREQ", lambda session: session.search_condition("4", next_key="K")),
    ("CNSRREQ", lambda session: session.search_condition("4", realtime=True)),
    ("CNSRCLR", lambda session: session.clear_condition("4")),
]


def refusing(line: Line, *bad: str, seconds: float, close_with: int | None = None) -> int:
    """Let time pass with a server that acknowledges no REG with one of these in it, or closes; with PINGs, and again.

    Returns how many connections were lost.
    """
    end, epoch = line.clock.now + seconds, line.session.epoch
    while line.clock.now < end:
        if line.session.state is WAITING:
            line.again()
        line.send(PING)
        for found in line.sent():
            if found.opcode == PING_FRAME:
                line.receive(frame(PONG, found.payload))
            message = json.loads(found.payload) if found.opcode == TEXT else {"trnm": "PING"}
            if message["trnm"] == "PING":
                continue
            if not any(item in shortly(message) for item in bad):
                line.send(LISTED if message["trnm"] == "CNSRLST" else reply(message["trnm"], data=[]))
            elif close_with is not None:
                line.receive(close(close_with, b""))
                line.drop()
                break
        if line.session.state is WAITING:
            continue
        due = line.session.next_timeout()
        assert due is not None
        line.clock.now = max(line.clock.now, min(due, line.clock.now + 1))
        line.session.handle_timeout()
    return line.session.epoch - epoch


UNACKNOWLEDGED = "not acknowledged, and connections were lost for that each time"


@pytest.mark.parametrize("close_with", [None, 1002, 1009])
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_registration_that_costs_the_connection_is_tried_once_more_and_then_refused(
    by_hand: bool, close_with: int | None
) -> None:
    line = Line().ready()
    good = line.session.subscribe("0E", "000660")
    line.acknowledge()
    session = line.session
    message = Reg("1", "1", (Element(("000001",), ("0B",)),))
    bad = session.request(message) if by_hand else session.subscribe("0B", "000001")
    assert refusing(line, "000001", seconds=3600, close_with=close_with) == 2
    events = line.events()
    assert [event for event in events if isinstance(event, RequestRefusal)] == [RequestRefusal(bad, "", UNACKNOWLEDGED)]
    assert str(RequestRefused(bad, "", UNACKNOWLEDGED)) == f"REG 0B for 000001: {UNACKNOWLEDGED}"
    assert RequestAccepted(good) in events
    assert isinstance(events[-1], Gap)
    assert line.states() == {("0E", "000660"): CONFIRMED}
    assert session.is_settled


def test_one_bad_item_is_found_among_many_in_a_few_connections() -> None:
    line = Line().ready()
    items = [f"{number:06}" for number in range(100)]
    request = line.session.subscribe("0E", *items)
    assert refusing(line, "000042", seconds=3600) == 3
    assert line.session.subscriptions == ()
    assert only(RequestRefusal, line.events()).request is request
    line.session.subscribe("0E", *items[:42], *items[43:])
    line.acknowledge()
    assert set(line.states().values()) == {CONFIRMED}


def test_what_was_registered_before_is_reported_and_tried_again_a_few_times() -> None:
    """The others do not wait for it, nor does the gap."""
    line = Line().ready()
    line.session.subscribe("0E", "000660", "000001", group="2")
    line.acknowledge()
    line.drop()
    line.events()
    begin, lost = line.clock.now, []
    while line.clock.now < begin + 20_000:
        if refusing(line, "000001", seconds=1):
            lost.append(line.clock.now - begin)
    rejected = [event for event in line.events() if isinstance(event, RequestRefusal)]
    assert {(str(event.request), event.message) for event in rejected} == {("REG 0E for 000001", UNACKNOWLEDGED)}
    assert len(rejected) == 4
    assert line.states() == {("0E", "000660"): CONFIRMED, ("0E", "000001"): REFUSED}
    assert {one.item: one.reason for one in line.session.subscriptions}["000001"] == UNACKNOWLEDGED
    first, *tries = [at for at in lost if at > 30]
    assert 60 < first < 90
    assert [round(at, -2) for at in tries] == [700, 4300]
    assert line.session.is_settled

    request = line.session.subscribe("0E", "000001", group="2")  # somebody asks
    line.acknowledge()
    assert RequestAccepted(request) in line.events()
    assert line.states() == {("0E", "000660"): CONFIRMED, ("0E", "000001"): CONFIRMED}


def test_what_is_acknowledged_after_it_was_refused_is_reported() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "000001")
    line.acknowledge()
    line.drop()
    refusing(line, "000001", seconds=30)
    assert line.states() == {("0E", "000001"): REFUSED}
    line.events()
    refusing(line, seconds=60)
    assert str(only(RequestAccepted, line.events()).request) == "REG 0E for 000001"
    assert line.states() == {("0E", "000001"): CONFIRMED}
    line.drop()
    line.again()
    assert line.acknowledge() == ["REG 0E 000001"]
    assert "RequestAccepted" not in line.kinds()


def test_one_lost_acknowledgement_is_forgotten_once_another_has_come() -> None:
    line = Line().ready()
    request = line.session.subscribe("00")
    for _ in range(5):
        assert line.said() == ["REG 00"]
        line.overdue()
        line.again()
        assert line.acknowledge() == ["REG 00"]
        line.drop()
        line.again()
    assert RequestAccepted(request) in line.events()


@pytest.mark.parametrize("how", ["cut", 1000, 1001, 1006, 1012])
def test_a_connection_that_is_lost_for_something_else_accuses_nothing(how: str | int) -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "000660", "005930")
    for _ in range(20):
        assert line.said() == ["REG 0E 000660,005930"]
        if isinstance(how, int) and how != 1006:
            line.receive(close(how, b"Bye"))
        line.drop("connection reset by peer")
        line.again()
    assert line.acknowledge() == ["REG 0E 000660,005930"]
    assert RequestAccepted(request) in line.events()


def test_suspects_come_last_and_in_parts() -> None:
    line = Line().ready()
    line.session.subscribe("0E", *[f"{number:06}" for number in range(30)])
    line.overdue()
    line.session.subscribe("00")
    line.session.subscribe("0D", "005930")
    line.again()
    said = line.acknowledge()
    assert said[0] == "REG 00 0D 005930"
    assert [text.count(",") + 1 for text in said[1:]] == [3] * 10
    assert line.session.is_settled


def test_of_two_that_were_not_answered_the_later_is_accused() -> None:
    line = Line().ready()
    line.session.list_conditions()
    line.acknowledge()
    line.session.search_condition("4", realtime=True)
    line.session.subscribe("0E", "005930")
    line.receive(close(1002, b""))
    line.drop()
    line.session.subscribe("0E", "000660")  # goes out before the suspect
    line.again()
    assert line.said() == ["CNSRLST", "REG 0E 000660"]
    line.send(LISTED, REG_OK)
    assert line.said() == ["CNSRREQ 4", "REG 0E 005930"]
    line.receive(close(1002, b""))
    line.drop()
    refused = [event for event in line.events() if isinstance(event, RequestRefusal)]
    assert [str(event.request) for event in refused] == ["REG 0E for 005930"]
    line.again()
    assert line.said() == ["CNSRLST", "REG 0E 000660"]


@pytest.mark.parametrize("call", [call for _, call in UNANSWERED_CALLS])
def test_a_condition_call_that_the_server_closes_for_is_asked_once_more_and_then_refused(
    call: Callable[[Session], Request],
) -> None:
    line = Line().ready()
    line.session.list_conditions()
    line.acknowledge()
    line.events()
    request = call(line.session)
    for _ in range(2):
        assert line.messages()
        line.receive(close(1009, b""))
        line.drop()
        line.again()
    assert [event for event in line.events() if isinstance(event, RequestRefusal)] == [
        RequestRefusal(request, "", "the server closed the connection for it each time")
    ]
    assert line.messages() == []
    assert line.session.is_settled


def test_a_live_search_that_the_server_closes_for_is_left_alone_until_somebody_asks() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    for _ in range(2):
        line.again()
        line.send(LISTED)
        line.receive(close(1002, b""))
        line.drop()
    line.again()
    assert line.messages() == []
    assert only(RequestRefusal, line.events()).request.seq == "4"
    assert line.states() == {("02", "4"): REFUSED}
    line.drop()
    line.again()
    assert line.messages() == []
    line.session.search_condition("4", realtime=True)
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4"]
    assert line.states() == {("02", "4"): CONFIRMED}


def test_no_message_of_a_session_is_longer_than_the_server_takes() -> None:
    """Long items, many of them, each of several types, of more calls than one; then all of them again after a loss."""
    config = attrs.evolve(CONFIG, item_limit=5_000, items_per_request=5_000)
    line = Line(config).ready()
    items = [f"{number:05}{chr(0xAC00 + number) * 95}" for number in range(500)]
    for at in range(0, 500, 100):
        line.session.request(Reg("1", "1", (Element(tuple(items[at : at + 100]), ("0B", "0D")),)))
    line.session.subscribe("0B", *[f"{number:06}" for number in range(4_000)])

    def registered() -> set[tuple[str, str]]:
        found = set()
        while frames := [each.payload for each in line.sent() if each.opcode == TEXT]:
            for payload in frames:
                assert len(payload) <= 65_536
                for element in json.loads(payload)["data"]:
                    found |= {(type, item) for type in element["type"] for item in element["item"]}
                line.send(REG_OK)
        return found

    wanted = {(one.type, one.item) for one in line.session.subscriptions}
    assert len(wanted) == 5_000
    assert registered() == wanted
    line.drop()
    line.again()
    assert registered() == wanted


def test_a_us_session_counts_the_objects_that_its_items_are() -> None:
    line = Line(attrs.evolve(CONFIG, item_limit=5_000, items_per_request=5_000), US_PRODUCTION).ready()
    line.session.subscribe("FE", *[f"A{number}:ND" for number in range(3_000)])
    sizes: list[int] = []
    while frames := [each.payload for each in line.sent() if each.opcode == TEXT]:
        sizes += map(len, frames)
        line.send(*[REG_OK for _ in frames])
    assert len(sizes) > 1
    assert max(sizes) <= 65_536
    assert set(line.states().values()) == {CONFIRMED}


def test_a_ping_that_is_too_long_to_be_echoed_is_answered_shortly() -> None:
    line = Line().ready()
    line.send(b'{"trnm":"PING","x":"' + b"x" * 65_514 + b'"}', b'{"trnm":"PING","x":"' + b"x" * 65_515 + b'"}')
    assert [len(each.payload) for each in line.sent()] == [65_536, len(PING)]


# Conditions.


def test_live_searches_come_back_with_the_list_first() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.session.search_condition("5", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    line.events()
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4", "CNSRREQ 5"]
    assert line.kinds() == ["ConditionResult", "ConditionResult", "Gap"]
    assert [(one.type, one.item, one.state) for one in line.session.subscriptions] == [
        ("02", "4", CONFIRMED),
        ("02", "5", CONFIRMED),
    ]


def test_a_live_search_of_two_is_cleared_when_both_have_let_go() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    assert line.session.subscriptions[0].consumers == 2
    line.events()
    clearing = line.session.clear_condition("4")
    assert line.events() == [RequestAccepted(clearing)]
    assert line.messages() == []
    clearing = line.session.clear_condition("4")
    assert line.acknowledge() == ["CNSRCLR 4"]
    assert line.events() == [RequestAccepted(clearing)]
    assert line.session.subscriptions == ()


def test_a_clear_of_what_was_never_live_is_asked_all_the_same() -> None:
    line = Line().ready()
    clearing = line.session.clear_condition("4")
    assert line.acknowledge() == ["CNSRCLR 4"]
    assert line.events() == [RequestAccepted(clearing)]


def test_a_live_search_cleared_before_it_was_answered() -> None:
    for connected in (True, False):
        line = Line().ready() if connected else Line()
        search, clearing = line.session.search_condition("4", realtime=True), line.session.clear_condition("4")
        if not connected:
            line.connect().login()
            line.events()
        assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4", "CNSRCLR 4"]
        accepted = [event.request for event in line.events() if isinstance(event, RequestAccepted)]
        assert accepted == [search, clearing]
        assert line.session.subscriptions == ()
        assert line.session.is_settled


def test_a_live_search_that_is_refused_is_nobodys_any_more() -> None:
    line = Line().ready()
    request = line.session.search_condition("4", realtime=True)
    line.send(LISTED)
    line.send(reply("CNSRREQ", 100002, "m"))
    assert line.events() == [RequestRefusal(request, "100002", "m")]
    assert line.session.subscriptions == ()
    line.drop()
    line.again()
    assert line.messages() == []


def test_a_live_search_that_is_refused_on_a_later_connection_is_reported() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    line.send(LISTED)
    line.events()
    line.send(reply("CNSRREQ", 100002, "m"))
    events = line.events()
    assert only(RequestRefusal, events).code == "100002"
    assert only(Gap, events)
    (one,) = line.session.subscriptions
    assert (one.state, one.reason) == (REFUSED, "100002: m")
    line.drop()
    line.again()
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4"]
    assert line.session.subscriptions[0].state is CONFIRMED


def silent(line: Line, *, about: str, seconds: float) -> list[tuple[float, str]]:
    """Let time pass in which the server answers everything but condition requests with this in them, and PINGs.

    Returns those, and when they came.
    """
    begin, end, ignored = line.clock.now, line.clock.now + seconds, []
    while line.clock.now < end:
        line.send(PING)
        for message in line.messages():
            trnm, said = message["trnm"], shortly(message)
            if about in said and "CNSR" in said:
                ignored.append((line.clock.now - begin, said))
            elif trnm != "PING":
                answer = reply(trnm, seq=message.get("seq"), data=[]) if "CNSR" in trnm else reply(trnm)
                line.send(LISTED if trnm == "CNSRLST" else answer)
        line.wait(0.5)
    return ignored


@pytest.mark.parametrize("endpoint", [PRODUCTION, US_PRODUCTION])
@pytest.mark.parametrize(("trnm", "call"), UNANSWERED_CALLS)
def test_a_condition_call_that_is_never_answered_fails_alone(
    trnm: str, call: Callable[[Session], Request], endpoint: Endpoint
) -> None:
    line = Line(endpoint=endpoint).ready()
    request = call(line.session)
    silent(line, about=trnm, seconds=120)
    assert line.events() == [RequestUnanswered(request, 4.0)]
    assert line.session.state is READY
    assert line.session.subscriptions == ()
    assert line.session.is_settled
    answered = f"{'G' if endpoint.us else ''}{request.kind.value}"
    line.send(reply(answered, seq="4", data=[]), reply(answered, 105111, seq="4"))  # late, and too many
    assert {type(event) for event in line.events()} <= {UnknownMessage}
    assert line.session.state is READY


def test_a_live_search_that_was_not_answered_is_cleared_as_the_server_may_have_it() -> None:
    line = Line().ready()
    request = line.session.search_condition("4", realtime=True)
    assert [said for _, said in silent(line, about="REQ 4", seconds=3)] == ["CNSRREQ 4"]
    line.wait(2)
    assert line.events() == [RequestUnanswered(request, 4.0)]
    assert line.acknowledge() == ["CNSRCLR 4"]
    line.send(reply("CNSRREQ", seq="4", data=[{"jmcode": "A005930"}]))
    assert line.events() == []
    assert line.session.is_settled


@pytest.mark.parametrize("call", ["search", "clear"])
def test_what_is_not_wanted_is_cleared_again_a_few_times_where_a_clear_is_not_answered(call: str) -> None:
    """The server may go on pushing it. The call is told all the same, after the first."""
    line = Line().ready()
    if call == "search":
        line.session.search_condition("4", realtime=True)
        line.wait(4)
    else:
        line.session.clear_condition("4")
    asked = silent(line, about="CNSR", seconds=3600)
    assert [at for at, said in asked if said == "CNSRCLR 4"] == [0, 9, 33, 97]
    assert [type(event) for event in line.events()] == [RequestUnanswered]
    assert line.session.is_settled
    assert line.session.state is READY


def test_what_is_wanted_again_is_not_cleared_any_more() -> None:
    line = Line().ready()
    line.session.clear_condition("4")
    silent(line, about="CLR", seconds=6)
    line.session.search_condition("4", realtime=True)
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4"]
    line.wait(20)
    assert line.messages() == []
    assert line.states() == {("02", "4"): CONFIRMED}


def test_what_was_to_be_cleared_again_died_with_the_connection() -> None:
    line = Line().ready()
    line.session.clear_condition("4")
    silent(line, about="CLR", seconds=6)
    assert not line.session.is_settled
    line.drop()
    line.again()
    line.wait(20)
    assert line.messages() == []
    assert line.session.is_settled


def test_a_live_search_that_is_not_answered_after_a_loss_is_asked_for_a_few_times_more_and_reported() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.session.search_condition("5", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    line.events()
    asked = silent(line, about="REQ 4", seconds=3600)
    assert [at for at, _ in asked] == [0.5, 9, 33, 97]  # looked at every half second, the list being asked for first
    told = [event for event in line.events() if isinstance(event, RequestUnanswered)]
    assert [event.delay for event in told] == [5.0, 20.0, 60.0, None]
    assert str(told[0]) == "CNSRREQ 4 was not answered within 4 s (ack_timeout); asking again in 5 s"
    assert line.session.state is READY
    assert line.states() == {("02", "4"): REFUSED, ("02", "5"): CONFIRMED}
    assert line.session.subscriptions[0].reason == "not answered"
    line.drop()
    line.again()
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4", "CNSRREQ 5"]
    assert line.states() == {("02", "4"): CONFIRMED, ("02", "5"): CONFIRMED}


def test_a_live_search_that_is_answered_in_the_end_is_live_again() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    silent(line, about="REQ 4", seconds=8)
    assert line.states() == {("02", "4"): WANTED}
    assert not line.session.is_settled
    line.events()
    line.wait(2)
    assert line.acknowledge() == ["CNSRREQ 4"]
    assert line.kinds() == ["ConditionResult"]
    assert line.states() == {("02", "4"): CONFIRMED}
    assert line.session.is_settled
    line.wait(20)
    assert line.messages() == []


def test_a_live_search_that_was_not_answered_for_a_second_consumer_is_asked_for_again_for_the_first() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.events()
    second = line.session.search_condition("4", realtime=True)
    assert silent(line, about="REQ 4", seconds=8) == [(0.0, "CNSRREQ 4")]
    assert line.events() == [RequestUnanswered(second, 4.0)]
    line.wait(2)
    assert line.acknowledge() == ["CNSRREQ 4"]
    (one,) = line.session.subscriptions
    assert (one.state, one.consumers) == (CONFIRMED, 1)


@pytest.mark.parametrize("asked", [0, 1])
def test_what_waits_to_be_asked_again_can_be_cleared_or_asked_for_by_a_call(asked: int) -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    silent(line, about="REQ 4", seconds=6)
    if asked:
        line.session.search_condition("4", realtime=True)
        assert line.acknowledge() == ["CNSRREQ 4"]
    else:
        line.session.clear_condition("4")
        assert line.acknowledge() == ["CNSRCLR 4"]
    line.wait(25)
    assert line.messages() == []
    assert [one.consumers for one in line.session.subscriptions] == [2] * asked


def test_a_gap_comes_though_a_search_stays_unanswered_and_market_data_does_not_wait_for_it() -> None:
    config = attrs.evolve(CONFIG, request_interval=0.35)
    line = Line(config).ready()
    line.session.search_condition("4", realtime=True)
    line.session.search_condition("5", realtime=True)
    line.session.subscribe("0E", "005930")
    silent(line, about="nothing", seconds=5)
    line.drop()
    line.again()
    line.events()
    silent(line, about="LST", seconds=1.5)
    assert line.states() == {("0E", "005930"): CONFIRMED, ("02", "4"): SENT, ("02", "5"): SENT}
    assert line.kinds() == ["Gap"]
    silent(line, about="LST", seconds=3.5)
    assert line.kinds() == ["RequestUnanswered"]
    assert silent(line, about="LST", seconds=3600)
    assert "Gap" not in line.kinds()
    assert line.session.state is READY


def test_closing_with_something_to_ask_again_does_not_wake_for_it() -> None:
    line = Line(attrs.evolve(CONFIG, close_timeout=60)).ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    silent(line, about="REQ 4", seconds=6)
    line.session.close()
    due = line.session.next_timeout()
    assert due == line.clock.now + 60


def test_the_next_page_of_a_search_can_be_asked_for_on_another_connection() -> None:
    net = Net().ready()
    net.session.search_condition("0")
    net.advance(2)
    result = net.found(ConditionResult)[-1]
    assert result.next_key is not None
    net.network.reset()
    request = net.session.search_condition("0", next_key=result.next_key)
    net.settle()
    assert net.found(ConditionResult)[-1].request is request
    assert net.found(ConditionResult)[-1].rows != result.rows


# Withdrawing.


def test_a_call_withdrawn_before_there_is_a_connection_is_never_sent() -> None:
    line = Line()
    for request in (
        line.session.subscribe("0E", "005930"),
        line.session.unsubscribe("0E", "005930"),
        line.session.list_conditions(),
        line.session.search_condition("4", realtime=True),
        line.session.clear_condition("5"),
    ):
        line.session.withdraw(request)
    line.events()
    assert line.session.subscriptions == ()
    line.connect().login()
    line.wait(5)
    assert line.messages() == []
    assert "RequestAccepted" not in line.kinds()


def test_a_subscription_withdrawn_while_it_is_under_way_is_removed() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    line.session.withdraw(request)
    assert line.acknowledge() == ["REG 0E 005930", "REMOVE 0E 005930"]
    assert line.events() == []
    assert line.session.subscriptions == ()


def test_a_subscription_withdrawn_after_a_loss_is_not_sent_again() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    line.drop()
    line.session.withdraw(request)
    line.again()
    assert line.messages() == []
    assert "RequestAccepted" not in line.kinds()


def test_a_call_withdrawn_after_its_answer_is_undone() -> None:
    """The answer came, and whoever waited for it was gone by then."""
    line = Line().ready()
    subscription = line.session.subscribe("0E", "005930", "000660")
    search = line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.events()
    for _ in range(2):  # the second time is harmless
        line.session.withdraw(subscription)
        line.session.withdraw(search)
    assert not line.session.is_settled
    assert line.acknowledge() == ["REMOVE 0E 005930,000660", "CNSRCLR 4"]
    assert line.session.subscriptions == ()
    assert line.session.is_settled
    assert line.events() == []


@pytest.mark.parametrize("others", [0, 1])
def test_a_call_that_was_answered_and_undone_takes_nothing_away_when_it_is_withdrawn(others: int) -> None:
    """Its count went with an `unsubscribe`, or with a loss of interest by all; what is wanted now is others'."""
    line = Line().ready()
    subscription = line.session.subscribe("0E", "005930")
    search = line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.session.unsubscribe("0E", "005930")
    line.session.clear_condition("4")
    for _ in range(others):
        line.session.subscribe("0E", "005930")
        line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.session.withdraw(subscription)
    line.session.withdraw(search)
    assert line.acknowledge() == []
    assert [one.consumers for one in line.session.subscriptions] == [1, 1] * others


def test_a_call_that_was_answered_is_withdrawn_without_a_connection() -> None:
    line = Line().ready()
    subscription = line.session.subscribe("0E", "005930")
    search = line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.session.withdraw(subscription)
    line.session.withdraw(search)
    assert line.session.subscriptions == ()
    line.again()
    assert line.messages() == []


def test_a_live_search_that_was_answered_and_asked_for_anew_is_withdrawn() -> None:
    line = Line().ready()
    search = line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    line.session.withdraw(search)
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4", "CNSRCLR 4"]
    assert line.session.subscriptions == ()
    assert line.session.is_settled


def test_a_live_search_withdrawn_before_it_was_sent_is_cleared_where_the_server_has_it_from_another() -> None:
    line = Line().ready()
    first = line.session.search_condition("4", realtime=True)
    line.acknowledge()
    second = line.session.search_condition("4", realtime=True)
    line.session.withdraw(second)
    line.session.withdraw(first)
    assert line.acknowledge()[-1] == "CNSRCLR 4"
    assert line.session.subscriptions == ()
    assert line.session.is_settled


def test_a_call_of_several_messages_withdrawn_after_the_first_of_them_leaves_nothing() -> None:
    line = Line(attrs.evolve(CONFIG, items_per_request=1)).ready()
    request = line.session.subscribe("0E", "000001", "000002", "000003")
    assert line.said() == ["REG 0E 000001"]
    line.send(reply("REG"))
    line.wait(1)
    assert line.said() == ["REG 0E 000002"]
    line.session.withdraw(request)
    line.send(reply("REG"))
    assert sorted(line.acknowledge()) == ["REMOVE 0E 000001", "REMOVE 0E 000002"]
    assert line.session.subscriptions == ()
    assert line.events() == []


def test_a_refused_call_takes_nothing_away_when_it_is_withdrawn_as_well() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.events()
    request = line.session.subscribe("0E", "005930", "000660")
    line.send(reply("REG", 105115))
    assert only(RequestRefusal, line.events()).request is request
    line.session.withdraw(request)
    assert {one.item: one.consumers for one in line.session.subscriptions} == {"005930": 1}


def test_withdrawing_one_of_two_leaves_the_other() -> None:
    line = Line().ready()
    first, second = line.session.subscribe("0E", "005930"), line.session.subscribe("0E", "005930")
    line.session.withdraw(first)
    assert line.acknowledge() == ["REG 0E 005930"]
    assert line.events() == [RequestAccepted(second)]


def test_an_unsubscription_withdrawn_is_done_all_the_same() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.events()
    line.session.withdraw(line.session.unsubscribe("0E", "005930"))
    assert line.acknowledge() == ["REMOVE 0E 005930"]
    assert line.events() == []


@pytest.mark.parametrize("answered", [0, 1])
def test_a_live_search_withdrawn_while_it_is_under_way_is_cleared(answered: int) -> None:
    line = Line().ready()
    request = line.session.search_condition("4", realtime=True)
    if answered:
        line.messages()
        line.send(LISTED)
    line.session.withdraw(request)
    assert line.acknowledge()[-1] == "CNSRCLR 4"
    assert line.events() == []
    assert line.session.subscriptions == ()
    assert line.session.is_settled


def test_a_live_search_withdrawn_while_another_wants_it_too_stays() -> None:
    """Its answer tells what became of the other's."""
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    second = line.session.search_condition("4", realtime=True)
    line.again()
    assert line.states() == {("02", "4"): SENT}
    line.session.withdraw(second)
    assert not line.session.is_settled
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4"]
    assert line.states() == {("02", "4"): CONFIRMED}
    assert line.session.subscriptions[0].consumers == 1
    assert line.session.is_settled
    assert only(Gap, line.events())


@pytest.mark.parametrize("connected", [True, False])
def test_a_clear_withdrawn_is_done_all_the_same(connected: bool) -> None:
    """The search before it is still asked for, and would stay live."""
    line = Line().ready() if connected else Line()
    search = line.session.search_condition("4", realtime=True)
    line.session.withdraw(line.session.clear_condition("4"))
    if connected:
        line.drop()
        line.again()
    else:
        line.connect().login()
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4", "CNSRCLR 4"]
    assert only(RequestAccepted, line.events()).request is search
    assert line.session.subscriptions == ()
    assert line.session.is_settled


def test_a_live_search_whose_place_another_took_is_cleared_once_it_was_answered() -> None:
    """Two asked, one clear undid one of them, the other was withdrawn: nobody wants it, though one is still asked."""
    line = Line()
    first, second = line.session.search_condition("4", realtime=True), line.session.search_condition("4", realtime=True)
    line.session.clear_condition("4")
    line.session.withdraw(first)
    once = line.session.search_condition("4")
    line.connect().login()
    assert line.acknowledge() == ["CNSRLST", "CNSRREQ 4", "CNSRREQ 4", "CNSRCLR 4"]
    answered = [event.request for event in line.events() if isinstance(event, RequestAccepted)]
    assert answered[1:] == [second, once]
    assert line.session.subscriptions == ()
    assert line.session.is_settled


def test_a_search_withdrawn_is_not_answered() -> None:
    line = Line().ready()
    line.session.withdraw(line.session.search_condition("4"))
    line.session.withdraw(line.session.list_conditions())
    line.acknowledge()
    assert line.events() == []


@pytest.mark.parametrize("state", [CLOSING, CLOSED])
def test_withdrawing_at_the_end_does_nothing(state: SessionState) -> None:
    line = Line().ready()
    requests = [
        line.session.subscribe("0E", "000001"),
        line.session.list_conditions(),
        line.session.clear_condition("4"),
    ]
    line.session.close()
    if state is CLOSED:
        line.drop()
    line.messages()
    events = line.kinds()
    for request in requests:
        line.session.withdraw(request)
    assert line.session.state is state
    assert line.events() == []
    assert events == (["Closed"] if state is CLOSED else [])


def test_withdrawing_a_request_of_somebody_else_does_nothing() -> None:
    line = Line().ready()
    line.session.withdraw(Line().ready().session.subscribe("0E", "005930"))
    assert line.events() == []


# Counts are anonymous, so a call that waits can be undone by somebody's `unsubscribe`. Withdrawn after that, it must
# not take away what a third call has asked for meanwhile.


def test_a_call_that_was_undone_takes_nothing_away_when_it_is_withdrawn() -> None:
    line = Line().ready()
    first = line.session.subscribe("0E", "005930")
    line.session.unsubscribe("0E", "005930")
    second = line.session.subscribe("0E", "005930")
    line.session.withdraw(first)
    line.acknowledge()
    assert ("0E", "005930") in line.states()
    assert second.confirmed == 1


def test_a_live_search_that_was_undone_takes_nothing_away_when_it_is_withdrawn() -> None:
    line = Line()
    first = line.session.search_condition("4", realtime=True)
    line.session.clear_condition("4")
    line.session.search_condition("4", realtime=True)
    line.session.withdraw(first)
    line.connect().login()
    line.acknowledge()
    assert line.states() == {("02", "4"): CONFIRMED}


def test_a_call_whose_item_was_replaced_away_is_told_no_and_takes_nothing_away() -> None:
    line = Line().ready()
    first = line.session.subscribe("0E", "005930")
    line.session.subscribe("0E", "000660", replace=True)
    third = line.session.subscribe("0E", "005930")
    line.session.withdraw(first)
    line.acknowledge()
    assert third.confirmed == 1
    assert set(line.states()) == {("0E", "000660"), ("0E", "005930")}
    refused = only(RequestRefusal, line.events())
    assert (refused.request, refused.code) == (first, "")
    assert str(RequestRefused(first, refused.code, refused.message)) == (
        "REG 0E for 005930: replaced by another call before it was registered"
    )


def test_live_searches_that_were_cleared_and_withdrawn_as_well_leave_nothing() -> None:
    line = Line()
    first, second = (line.session.search_condition("4", realtime=True) for _ in range(2))
    line.session.clear_condition("4")
    line.session.withdraw(first)
    line.session.withdraw(second)
    line.session.search_condition("4", realtime=True)
    line.session.withdraw(second)
    line.connect().login()
    line.acknowledge()
    assert line.states() == {("02", "4"): CONFIRMED}


def test_one_bad_item_does_not_take_the_others_along() -> None:
    """Found in few messages: the halves, and the halves of those that are refused."""
    line = Line().ready()
    items = [*(f"{number:06}" for number in range(1, 8)), "00000B"]
    line.session.subscribe("0E", "000000")
    calls = {item: line.session.subscribe("0E", item) for item in items}
    line.send(REG_OK)
    said = line.said()
    assert said == ["REG 0E 000000", f"REG 0E {','.join(items)}"]
    messages = 1
    while True:
        line.send(reply("REG", 105111, "no such item") if "00000B" in said[-1] else REG_OK)
        said = line.said()
        if not said:
            break
        messages += 1
    events = line.events()
    assert {event.request for event in events if isinstance(event, RequestRefusal)} == {calls["00000B"]}
    assert line.states() == {("0E", item): CONFIRMED for item in ("000000", *items[:-1])}
    assert messages == 7
    assert line.session.is_settled


def test_a_refusal_for_the_quota_is_not_looked_into() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "000001", "000002")
    line.send(reply("REG", 105115))
    line.said()
    assert only(RequestRefusal, line.events()).code == "105115"
    assert line.said() == []
    assert line.states() == {}


# Gaps.


def gap_of(line: Line) -> Gap:
    return only(Gap, line.events())


def test_a_gap_is_from_the_last_bytes_to_the_last_acknowledgement() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930", group="1")
    line.session.subscribe("0E", "000660", group="2")
    line.acknowledge()
    line.send(row())
    last = line.events()[-1]
    start = line.clock.now
    line.wait(20)
    line.drop("reset")
    line.clock.advance(0.5)
    line.session.handle_timeout()
    line.login()
    line.wait(3)
    assert len(line.said()) == 1
    line.send(REG_OK)
    assert "Gap" not in line.kinds()
    line.wait(3)
    line.send(REG_OK)
    gap = gap_of(line)
    assert (gap.start, gap.end) == (int(start * SECOND), int(line.clock.now * SECOND))
    assert gap.seconds == 26.5
    assert gap.last_sequence == last.sequence
    assert gap.epoch == 2
    line.wait(1)
    line.send(PING, row())
    assert "Gap" not in line.kinds()


def test_where_nothing_is_wanted_the_gap_ends_with_the_login() -> None:
    line = Line().ready()
    line.drop()
    line.again()
    assert line.kinds() == ["Disconnected", "Connecting", "Opened", "LoggedIn", "Gap"]


def test_a_gap_waits_for_live_searches() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.again()
    line.send(LISTED)
    assert "Gap" not in line.kinds()
    line.send(reply("CNSRREQ", seq="4", data=[]))
    assert line.kinds() == ["ConditionResult", "Gap"]


def test_a_gap_waits_for_a_live_search_that_a_call_asks_for_too() -> None:
    line = Line().ready()
    line.session.search_condition("4", realtime=True)
    line.acknowledge()
    line.drop()
    line.session.search_condition("4", realtime=True)
    line.again()
    line.send(LISTED)
    assert "Gap" not in line.kinds()
    line.send(reply("CNSRREQ", seq="4", data=[]))
    assert line.kinds() == ["ConditionResult", "RequestAccepted", "Gap"]


def test_a_gap_waits_for_what_was_asked_for_while_away() -> None:
    line = Line().ready()
    line.drop()
    line.session.subscribe("0E", "005930")
    line.again()
    assert "Gap" not in line.kinds()
    line.send(REG_OK)
    assert line.kinds() == ["RequestAccepted", "Gap"]


def stamp(time: float) -> int:
    return int(time * SECOND)


def subscribed_line() -> Line:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    return line


def gap_after(line: Line) -> Gap:
    """The gap that is reported once the session is whole again."""
    line.again()
    line.acknowledge()
    return gap_of(line)


def test_a_gap_begins_at_the_read_before_the_last_one() -> None:
    """When the last row was read tells only the latest time at which it can have arrived."""
    line = subscribed_line()
    line.wait(4)
    line.send(row())
    line.wait(20)
    before = line.clock.now
    line.send(row())
    line.wait(5)
    line.send(row())
    line.drop()
    assert gap_after(line).start <= stamp(before)


def test_a_gap_in_a_busy_market_begins_a_second_or_two_early() -> None:
    line = subscribed_line()
    for _ in range(200):
        line.wait(0.05)
        line.send(row())
    last = line.clock.now
    line.drop()
    assert stamp(last - 2.1) <= gap_after(line).start <= stamp(last - 0.9)


def test_a_gap_after_a_loop_was_blocked_begins_before_that() -> None:
    """However many reads it takes to find what has waited, and the end."""
    line = subscribed_line()
    for _ in range(100):
        line.wait(0.05)
        line.send(row())
    before = line.clock.now
    line.clock.advance(65)
    for _ in range(50):
        line.send(row())
        line.clock.advance(0.05)
    line.drop()
    assert stamp(before - 2.1) <= gap_after(line).start <= stamp(before)


def test_a_gap_long_after_a_loop_was_blocked_has_nothing_to_do_with_that() -> None:
    line = subscribed_line()
    line.clock.advance(8)
    for _ in range(400):
        line.send(row())
        line.wait(0.05)
    last = line.clock.now
    line.drop()
    assert gap_after(line).start >= stamp(last - 2.1)


def test_a_gap_does_not_reach_back_beyond_its_connection() -> None:
    """What went before is in the gap before, or was whole."""
    line = subscribed_line()
    line.wait(5)
    line.drop()
    first = gap_after(line)
    line.wait(0.2)
    line.send(row())
    line.drop()
    second = gap_after(line)
    assert first.start < first.end == second.start


@pytest.mark.parametrize("end", [close(), b"\x83\x00", text(b"\xff"), text(REG_OK)])
def test_rows_that_come_after_the_end_has_begun_and_are_ignored_lie_within_the_gap(end: bytes) -> None:
    """Once a connection closes, or has broken the protocol, what still comes on it is not delivered."""
    line = subscribed_line()
    line.wait(4)
    line.send(row())
    begun = line.clock.now
    line.receive(end)
    for _ in range(9):
        line.clock.advance(0.7)
        line.send(row())
    line.drop()
    assert gap_after(line).start <= stamp(begun)


def test_a_clock_that_was_set_back_makes_no_gap_that_ends_before_it_begins() -> None:
    line = subscribed_line()
    line.wait(5)
    line.send(row())
    line.clock.now -= 3600
    line.send(row())
    line.session._clock = line.clock
    line.drop()
    gap = gap_after(line)
    assert 0 <= gap.seconds < 10


@pytest.mark.parametrize("timers_first", [False, True])
@pytest.mark.parametrize("seconds", [5, 31, 65, 200])
def test_whatever_a_blocked_loop_missed_lies_within_the_gap(seconds: float, timers_first: bool) -> None:
    """Against the simulated exchange: every row that it pushed was delivered, or lies within the gap."""
    net = Net(rate=5).ready()
    net.session.subscribe("0E", "005930")
    net.advance(20)
    net.network.blocked = True
    blocked_at = net.clock.now
    net.advance(seconds)
    net.network.blocked = False
    if timers_first:
        net.session.handle_timeout()
    net.settle(60)
    assert net.session.state is READY
    gaps = net.found(Gap)
    assert len(gaps) == (seconds > 60)
    for gap in gaps:
        assert stamp(blocked_at - 3) <= gap.start <= stamp(blocked_at)
        assert gap.end >= stamp(blocked_at + seconds)


def test_a_resume_that_is_interrupted_is_one_gap() -> None:
    """From before the first loss to after the last acknowledgement, however often it failed on the way."""
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.send(row())
    last = line.events()[-1].sequence
    start = int(line.clock.now * SECOND)
    line.wait(5)
    line.drop()
    for _ in range(3):
        line.again()
        line.send(row())
        line.wait(1)
        line.drop("reset")
    line.wait(0)
    assert "Gap" not in line.kinds()
    line.again()
    line.send(REG_OK)
    gap = gap_of(line)
    assert (gap.start, gap.end, gap.last_sequence, gap.epoch) == (start, int(line.clock.now * SECOND), last, 5)


def test_attempts_that_fail_do_not_move_a_gap() -> None:
    line = Line().ready()
    line.send(PING)
    start = int(line.clock.now * SECOND)
    line.drop()
    for _ in range(3):
        line.wait(60)
        if isinstance(line.session.needs, LinkNeeded):
            line.open()
            line.drop()
    while line.session.state is not WAITING:
        line.wait(1)
    line.again()
    assert gap_of(line).start == start


def test_two_losses_with_a_resume_between_are_two_gaps() -> None:
    line = Line().ready()
    gaps = []
    for _ in range(2):
        line.drop()
        line.again()
        gaps.append(gap_of(line))
        line.wait(1)
    assert gaps[0].end <= gaps[1].start
    assert gaps[0].last_sequence < gaps[1].last_sequence
    assert [gap.epoch for gap in gaps] == [2, 3]


def test_before_the_first_login_there_is_nothing_to_miss() -> None:
    line = Line().connect()
    line.drop("refused")
    line.again()
    assert "Gap" not in line.kinds()


def test_a_gap_ends_though_a_registration_is_refused() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.drop()
    line.again()
    line.events()
    line.send(reply("REG", 105115))
    assert line.kinds() == ["RequestRefusal", "Gap"]


def test_a_gap_ends_though_what_was_missing_is_let_go() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930", group="1")
    line.session.subscribe("0E", "000660", group="2")
    line.acknowledge()
    line.drop()
    line.again()
    line.events()
    line.session.unsubscribe("0E", "000660", group="2")
    assert line.kinds() == ["RequestAccepted"]
    line.send(REG_OK)
    assert line.kinds() == ["Gap"]


def test_a_session_that_ends_reports_no_gap() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.acknowledge()
    line.drop()
    line.again()
    line.session.close()
    line.send(REG_OK)
    line.drop()
    assert "Gap" not in line.kinds()


# Deadlines: one for every phase.


@pytest.mark.parametrize("phase", ["open", "login", "ack", "idle"])
def test_every_phase_of_a_connection_has_a_deadline(phase: str) -> None:
    line = Line().connect()
    if phase == "login":
        line.open()
    elif phase != "open":
        line.login()
        if phase == "ack":
            line.session.subscribe("0E", "005930")
    timeout = getattr(CONFIG, f"{phase}_timeout")
    line.wait(timeout - 0.001)
    assert "Disconnected" not in line.kinds()
    line.wait(0.001)
    disconnected = only(Disconnected, line.events())
    assert isinstance(disconnected.cause, DeadlineExceeded)
    assert (disconnected.cause.phase, disconnected.cause.seconds) == (phase, timeout)
    assert (line.session.state, line.session.needs) == (WAITING, None)


def test_getting_a_token_has_a_deadline() -> None:
    line = Line().connect(None)
    assert line.session.next_timeout() == 1000.0 + CONFIG.token_timeout
    line.wait(CONFIG.token_timeout)
    disconnected = only(Disconnected, line.events())
    assert isinstance(disconnected.cause, DeadlineExceeded)
    assert disconnected.cause.phase == "token"
    assert disconnected.closed is None
    assert line.session.needs is None


def test_closing_has_a_deadline() -> None:
    line = Line().ready()
    line.session.close()
    line.wait(CONFIG.close_timeout)
    end = only(Closed, line.events())
    assert end.error is None, "it was asked for"
    assert line.session.state is CLOSED


def test_any_byte_of_the_server_shows_that_it_lives() -> None:
    line = Line().ready()
    for _ in range(10):
        line.wait(CONFIG.idle_timeout - 1)
        line.send(PING)
    assert line.session.state is READY


def test_a_deadline_that_did_not_pass_does_nothing() -> None:
    line = Line()
    line.session.handle_timeout()
    line.connect(None)
    line.session.handle_timeout()
    line.session.receive_token(TOKEN)
    line.session.handle_timeout()
    line.login()
    line.session.handle_timeout()
    line.drop()
    line.session.handle_timeout()
    assert line.session.state is WAITING
    assert line.kinds() == ["Connecting", "Opened", "LoggedIn", "Disconnected"]


# Quotas.


@pytest.mark.parametrize(("endpoint", "limit"), [(PRODUCTION, 200), (MOCK, 100)])
def test_the_quota_is_the_endpoint_s(endpoint: Endpoint, limit: int) -> None:
    line = Line(endpoint=endpoint).ready()
    line.session.subscribe("0B", *(f"{number:06}" for number in range(limit)))
    with pytest.raises(QuotaExceeded, match=r"Endpoint\.item_limit") as caught:
        line.session.subscribe("0B", "900000")
    assert caught.value.limit == limit
    line = Line(attrs.evolve(CONFIG, item_limit=limit + 1), endpoint).ready()
    line.session.subscribe("0B", *(f"{number:06}" for number in range(limit + 1)))
    with pytest.raises(QuotaExceeded, match=r"ClientConfig\.item_limit"):
        line.session.subscribe("0B", "900000")


@pytest.mark.parametrize("code", [105115, 105118])
def test_a_quota_that_the_server_names_counts_from_then_on(code: int) -> None:
    line = Line(attrs.evolve(CONFIG, item_limit=1000)).ready()
    line.session.subscribe("0B", "005930", "000660")
    line.acknowledge()
    request = line.session.subscribe("0B", "035420", "035720")
    line.said()
    message = "실시간 등록 허용 개수(3)를 초과했습니다"
    line.send(reply("REG", code, message))
    rejected = only(RequestRefusal, line.events())
    assert (rejected.request, rejected.code, rejected.message) == (request, str(code), message)
    assert line.states() == {("0B", "005930"): CONFIRMED, ("0B", "000660"): CONFIRMED}
    with pytest.raises(QuotaExceeded) as caught:
        line.session.subscribe("0B", "035420", "035720")
    error = caught.value
    assert (error.limit, error.used, error.asked) == (3, 2, 2)
    assert error.source == f"named by the server in its refusal {code}"
    assert error.group == ("1" if code == 105118 else "")
    assert line.said() == []
    line.session.subscribe("0B", "035420")
    assert line.said() == ["REG 0B 035420"]


def test_a_quota_that_the_server_named_outlives_the_connection() -> None:
    line = Line(attrs.evolve(CONFIG, item_limit=1000)).ready()
    line.session.subscribe("0B", "005930", "000660")
    line.said()
    line.send(reply("REG", 105115, "(1)"))
    line.drop()
    line.again()
    with pytest.raises(QuotaExceeded, match="named by the server"):
        line.session.subscribe("0B", "005930", "000660")


def test_a_refusal_for_too_much_that_names_no_number_teaches_none() -> None:
    line = Line().ready()
    line.session.subscribe("0B", "005930", "000660")
    line.said()
    line.send(reply("REG", 105115, "초과했습니다"))
    line.session.subscribe("0B", *(f"{number:06}" for number in range(200)))


# Attempts.


def test_each_attempt_counts_from_the_last_login() -> None:
    line = Line().ready()
    line.drop()
    for _ in range(3):
        line.attempt().drop("refused")
    line.again()
    line.drop()
    line.again()
    assert [event.attempt for event in line.events() if isinstance(event, Connecting)] == [1, 2, 3, 4, 1]


def test_the_first_login_is_given_up_after_some_time() -> None:
    net = Net()
    net.network.unreachable = "no such host"
    net.session.connect("key")
    net.advance(25)
    assert len(net.found(Connecting)) > 3
    assert net.session.state is WAITING
    net.advance(5)
    end = only(Closed, net.events)
    assert isinstance(end.error, DeadlineExceeded)
    assert str(end.error) == ("cannot log in within 30 s (connect_timeout); the last attempt failed: no such host")
    assert net.events[-1] is end


SEEDS = range(1000)


def test_a_server_that_comes_up_two_seconds_later_is_always_found() -> None:
    for seed in SEEDS:
        net = Net(seed=seed)
        net.network.unreachable = "connection refused"
        net.session.connect("key")
        net.advance(2)
        net.network.unreachable = None
        net.advance(28)
        assert net.session.state is READY, seed


def busy_until(clock: ManualClock, time: float) -> Callable[[bool], str | KiwoomError]:
    return lambda refused: TokenRefused("", "Too Many Requests", 429) if clock.now < time else "key"


def test_a_token_server_that_is_busy_for_a_second_is_always_waited_for() -> None:
    """And left alone for that second."""
    for seed in SEEDS:
        clock = ManualClock()
        net = Net(seed=seed, clock=clock, token=busy_until(clock, 1))
        net.session.connect()
        net.advance(30)
        assert net.session.state is READY, seed
        assert net.network.attempts[0] == 0
        assert 1 <= net.network.attempts[1] < 2


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_server_that_refuses_opening_handshakes_for_two_seconds_is_always_waited_for(status: int) -> None:
    for seed in range(100):
        net = Net(seed=seed)
        net.exchange.faults.http_status = status
        net.session.connect("key")
        net.advance(2)
        net.exchange.faults.http_status = 101
        net.advance(28)
        assert net.session.state is READY, seed


def test_an_opening_handshake_that_is_put_off_is_tried_again_no_sooner() -> None:
    line = Line(draw=0.0).connect()
    line.session.data_to_send()
    line.receive(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 12\r\nContent-Length: 0\r\n\r\n")
    disconnected = only(Disconnected, line.events())
    assert isinstance(disconnected.cause, HandshakeError)
    assert (disconnected.cause.retry_after, disconnected.delay) == (12, 12)


def test_time_that_is_up_in_the_middle_of_an_attempt_ends_it_and_says_why_the_one_before_failed() -> None:
    line = Line(attrs.evolve(CONFIG, connect_timeout=4, login_timeout=30)).connect()
    line.drop("connection refused")
    line.attempt().open()
    line.wait(4)
    end = only(Closed, line.events())
    assert str(end.error) == ("cannot log in within 4 s (connect_timeout); the last attempt failed: connection refused")
    assert (line.session.state, line.session.needs, line.session.next_timeout()) == (CLOSED, None, None)


@pytest.mark.parametrize("reconnect", [True, False])
def test_time_that_is_up_in_the_middle_of_the_first_attempt_ends_it(reconnect: bool) -> None:
    line = Line(attrs.evolve(CONFIG, connect_timeout=1, reconnect=reconnect)).connect()
    line.wait(1)
    end = only(Closed, line.events())
    assert str(end.error) == "cannot log in within 1 s (connect_timeout)"


def test_time_that_is_up_while_a_token_is_asked_for_ends_that() -> None:
    line = Line(attrs.evolve(CONFIG, connect_timeout=4, token_timeout=30)).connect(None)
    line.session.token_failed(TransportError("no such host"))
    line.attempt()
    assert line.session.state is AUTHORIZING
    line.wait(4)
    assert "the last attempt failed: no such host" in str(only(Closed, line.events()))
    line.session.receive_token(TOKEN)
    assert line.session.state is CLOSED


def test_a_refusal_that_is_being_closed_when_time_is_up_is_what_is_told() -> None:
    line = Line(attrs.evolve(CONFIG, connect_timeout=1, close_timeout=30)).connect().open()
    line.send(WRONG_SERVER)
    line.wait(1)
    assert isinstance(only(Closed, line.events()).error, LoginRefused)


def test_the_time_for_the_first_login_means_nothing_after_it() -> None:
    net = Net(ClientConfig(connect_timeout=1)).ready()
    net.network.unreachable = "no such host"
    net.network.reset()
    net.advance(600)
    net.network.unreachable = None
    net.settle()
    assert net.session.state is READY


def test_later_ones_are_not() -> None:
    net = Net().ready()
    net.network.unreachable = "no such host"
    net.network.reset()
    net.advance(12 * 3600)
    assert net.session.state is WAITING or net.session.state is CONNECTING
    assert 12 * 60 < len(net.network.attempts) < 12 * 240
    net.network.unreachable = None
    net.settle()
    assert len(net.found(Gap)) == 1


def test_without_reconnecting_a_loss_is_the_end() -> None:
    line = Line(ClientConfig(reconnect=False)).ready()
    line.session.subscribe("0E", "005930")
    line.drop("reset")
    end = only(Closed, line.events())
    assert isinstance(end.error, TransportError)
    assert (line.session.state, line.session.needs, line.session.next_timeout()) == (CLOSED, None, None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nhtml", HandshakeError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", HandshakeError),
    ],
)
def test_an_answer_that_is_no_websocket_is_tried_again(answer: bytes, kind: type[KiwoomError]) -> None:
    line = Line().connect()
    line.session.data_to_send()
    line.receive(answer)
    line.drop()
    assert isinstance(only(Disconnected, line.events()).cause, kind)
    line.again()
    assert line.session.state is READY


def test_a_server_that_breaks_the_rules_is_left_and_tried_again() -> None:
    line = Line().ready()
    line.send(REG_OK)
    assert line.session.state is READY, "until the closing handshake is over"
    request = line.session.subscribe("0E", "005930")
    assert [frame.opcode for frame in line.sent()] == [CLOSE], "too late for this connection"
    line.drop()
    assert isinstance(only(Disconnected, line.events()).cause, RemoteProtocolError)
    line.again()
    line.acknowledge()
    assert only(RequestAccepted, line.events()).request is request


# Tokens.


def test_a_token_is_asked_for_where_none_is_given() -> None:
    line = Line().connect(None)
    assert line.session.state is AUTHORIZING
    assert isinstance(line.session.needs, TokenNeeded)
    assert line.session.needs.refused is None
    assert line.session.epoch == 0
    line.session.receive_token(TOKEN)
    line.login()
    assert line.kinds() == ["Connecting", "Opened", "LoggedIn"]


def test_a_token_is_kept_for_the_next_connection() -> None:
    """Asking at every reconnect was measured to be refused (429). A driver that keeps tokens is asked each time."""
    asked = []

    def token(refused: bool) -> str:
        asked.append(refused)
        return "key"

    net = Net(token=token)
    net.session.connect()
    for _ in range(10):
        net.advance(100)
        net.network.reset()
    net.settle()
    assert asked == [False] * 11
    kept = Net(token=token)
    kept.session.connect("key", renewable=True)
    for _ in range(10):
        kept.advance(100)
        kept.network.reset()
    kept.settle()
    assert asked == [False] * 11


def refuse(line: Line, answer: bytes = TOKEN_REFUSED) -> None:
    """Refuse the LOGIN, and close."""
    line.open()
    line.send(answer)
    line.receive(close(1000, b"Bye"))
    line.drop()


def test_a_refused_token_is_renewed_at_once_and_once() -> None:
    line = Line().connect(renewable=True)
    refuse(line)
    assert line.session.state is AUTHORIZING
    need = line.session.needs
    assert isinstance(need, TokenNeeded)
    assert need.refused == TOKEN
    events = line.events()
    assert [type(event).__name__ for event in events] == ["Connecting", "Opened", "LoginRefusal", "Disconnected"]
    assert only(Disconnected, events).delay == 0.0
    line.session.receive_token("another")
    refuse(line)
    assert line.session.state is CLOSED
    end = only(Closed, line.events())
    assert isinstance(end.error, LoginRefused)
    assert end.error.reason == "8005"


def test_the_other_token_logs_in() -> None:
    line = Line().connect(renewable=True)
    refuse(line)
    line.session.receive_token("another")
    line.open()
    assert line.messages() == [{"trnm": "LOGIN", "token": "another"}]
    line.send(LOGIN_OK)
    assert line.session.state is READY
    assert [event.attempt for event in line.events() if isinstance(event, Connecting)] == [1, 2]


def test_a_token_that_expires_in_the_middle_of_a_session_is_renewed() -> None:
    """As often as it happens: tokens last for a day, sessions for months."""
    line = Line().connect(renewable=True).login()
    for day in range(3):
        line.drop()
        refuse(line.attempt())
        assert isinstance(line.session.needs, TokenNeeded)
        line.session.receive_token(f"token-{day}")
        line.login()
    assert line.session.state is READY


def test_which_token_was_refused_is_known_until_another_has_logged_in() -> None:
    line = Line().connect(renewable=True)
    refuse(line)
    line.session.token_failed(TransportError("no such host"))
    line.wait(1)
    assert isinstance(line.session.needs, TokenNeeded)
    assert line.session.needs.refused == TOKEN
    line.session.receive_token("another")
    line.login()
    line.drop()
    line.wait(1)
    refuse(line)
    assert isinstance(line.session.needs, TokenNeeded)
    assert line.session.needs.refused == "another"


def test_a_token_that_cannot_be_renewed_is_the_end() -> None:
    line = Line().connect()
    refuse(line)
    assert isinstance(only(Closed, line.events()).error, LoginRefused)


def test_a_wrong_environment_is_the_end() -> None:
    line = Line().connect(None)
    line.session.receive_token(TOKEN)
    refuse(line, WRONG_SERVER)
    end = only(Closed, line.events())
    assert isinstance(end.error, LoginRefused)
    assert end.error.reason == "8031"


def test_a_token_that_the_driver_got_can_be_kept() -> None:
    line = Line().connect(None, keep=True)
    line.session.token_failed(TransportError("no"))
    line.attempt()
    line.session.receive_token(TOKEN)
    line.login()
    line.drop()
    line.attempt()
    assert isinstance(line.session.needs, LinkNeeded)
    line.open().send(TOKEN_REFUSED)
    line.drop()
    need = line.session.needs
    assert isinstance(need, TokenNeeded) and need.refused == TOKEN


@pytest.mark.parametrize("error", [TokenRefused("", "Too Many Requests", 429), TokenError("no"), TransportError("no")])
def test_a_token_that_could_not_be_had_is_asked_for_again(error: KiwoomError) -> None:
    line = Line().connect(None)
    line.session.token_failed(error)
    disconnected = only(Disconnected, line.events())
    least = 1 if "429" in str(error) else 0
    assert (disconnected.cause, disconnected.closed, disconnected.delay) == (error, None, least + 0.5)
    assert line.session.state is WAITING
    line.wait(least + 0.5)
    assert line.session.state is AUTHORIZING


def test_wrong_keys_are_the_end() -> None:
    line = Line().connect(None)
    error = TokenRefused("3", "m", 200, "8001")
    line.session.token_failed(error)
    (end,) = line.events()
    assert end == Closed(1006, "", error)
    assert (line.session.state, line.session.needs, line.session.next_timeout()) == (CLOSED, None, None)


def test_what_cannot_be_a_token_changes_nothing() -> None:
    line = Line().connect(None, header=RequestHeader(api_id="0E"))
    need = line.session.needs
    for wrong in ("", "Bearer x", "a\nb", "x" * 2000, None):
        with pytest.raises(LocalProtocolError):
            line.session.receive_token(wrong)  # type: ignore[arg-type]  # what is wrong with it
        assert (line.session.state, line.session.needs, line.session.epoch) == (AUTHORIZING, need, 0)
    assert line.events() == []


def test_a_token_that_nobody_needs_is_ignored() -> None:
    line = Line()
    line.session.receive_token(TOKEN)
    line.session.token_failed(TokenError("no"))
    assert (line.session.state, line.events()) == (WAITING, [])
    line.ready()
    line.session.receive_token("Bearer wrong")
    line.session.token_failed(TokenError("no"))
    assert (line.session.state, line.events()) == (READY, [])


def test_another_token_is_had_and_the_exchange_takes_it() -> None:
    net = Net(tokens={"second": "key"}, token=lambda refused: "second" if refused else "first")
    net.session.subscribe("0E", "005930")
    net.session.connect()
    net.settle(30)
    assert net.registered() == {("0E", "005930")}
    assert len(net.found(LoginRefusal)) == 1
    assert net.exchange.links[0].key == "key"


# The same app key elsewhere.


def test_a_takeover_is_the_end_by_default() -> None:
    line = Line().ready()
    line.send(R10001)
    line.receive(close(1000, b"Bye"))
    line.drop()
    events = line.events()
    assert [type(event).__name__ for event in events] == ["SystemNotice", "Closed"]
    end = only(Closed, events)
    assert isinstance(end.error, TakenOver)
    assert (end.code, end.reason) == (1000, "Bye")
    assert end.system is not None
    assert line.session.state is CLOSED


def test_a_takeover_can_be_waited_out() -> None:
    net = Net(ClientConfig(takeover="wait", takeover_wait=100)).ready()
    net.session.subscribe("0E", "005930")
    net.advance(1)
    net.exchange.kick()
    net.advance(99)
    assert only(Disconnected, net.events).delay == 100
    assert net.session.state is WAITING
    net.advance(3)
    assert net.session.is_settled
    assert net.registered() == {("0E", "005930")}


def test_a_takeover_can_be_as_any_other_loss() -> None:
    net = Net(ClientConfig(takeover="reconnect")).ready()
    net.exchange.kick()
    net.advance(5)
    assert net.session.state is READY


@pytest.mark.parametrize("policy", ["wait", "reconnect"])
def test_takeovers_in_a_row_have_a_limit(policy: Any) -> None:
    net = Net(ClientConfig(takeover=policy, takeover_wait=5, takeover_limit=2)).ready()
    for _ in range(10):
        net.exchange.kick()
        net.advance(20)
    assert len(net.found(SystemNotice)) == 3
    error = only(Closed, net.events).error
    assert isinstance(error, TakenOver)
    assert error.times == 3


# Freshness.


def test_silence_is_reported_once_and_the_connection_stays() -> None:
    line = Line(attrs.evolve(CONFIG, idle_timeout=1000)).ready()
    line.session.subscribe("0E", "005930", fresh_within=5)
    line.session.subscribe("0E", "000660")
    line.acknowledge()
    line.events()
    assert line.session.next_timeout() == 1005.0
    line.wait(100)
    stale = only(Stale, line.events())
    assert (stale.type, stale.item, stale.seconds) == ("0E", "005930", 5)
    assert line.session.state is READY
    line.send(row())
    line.wait(5)
    assert line.kinds() == ["AfterHoursQuote", "Stale"]
    assert line.session.subscriptions[0].fresh_within == 5


def test_while_away_nothing_is_stale_and_afterwards_it_may_be_again() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930", fresh_within=5)
    line.acknowledge()
    line.wait(3)
    line.drop("reset")
    line.events()
    line.again()
    line.wait(2.5)
    assert "Stale" not in line.kinds()
    line.send(REG_OK)
    line.wait(4.9)
    assert "Stale" not in line.kinds()
    line.wait(0.2)
    assert line.kinds() == ["Stale"]


def test_rows_put_it_off() -> None:
    net = Net(rate=20).ready()
    net.session.subscribe("0E", "005930", fresh_within=3)
    net.advance(60)
    assert not net.found(Stale)
    net.network.deaf = True
    net.advance(4)
    assert len(net.found(Stale)) == 1


# Closing.


def test_closing_delivers_what_comes_until_the_server_has_answered() -> None:
    line = Line().ready()
    line.session.close()
    line.send(row(), row())
    line.receive(close(1000))
    line.drop()
    assert line.kinds() == ["AfterHoursQuote", "AfterHoursQuote", "Closed"]


def closing_in(state: SessionState) -> Line:
    line = Line()
    if state is AUTHORIZING:
        line.connect(None)
    elif state is CONNECTING:
        line.connect()
    elif state is not WAITING:
        line.ready()
        if state in (CLOSING, CLOSED):
            line.session.close()
        if state is CLOSED:
            line.drop()
    assert line.session.state is state
    line.events()
    return line


@pytest.mark.parametrize("state", list(SessionState))
def test_close_in_every_state(state: SessionState) -> None:
    line = closing_in(state)
    line.session.close()
    if state in (READY, CLOSING):
        assert line.session.state is CLOSING
        line.drop()
    assert (line.session.state, line.session.needs, line.session.next_timeout()) == (CLOSED, None, None)
    events = line.events()
    if state is CLOSED:
        assert events == []
    else:
        (end,) = events
        assert isinstance(end, Closed)
        assert end.error is None
    line.session.close()
    line.wait(1e6)
    assert line.events() == []


def test_close_while_waiting_for_the_next_attempt() -> None:
    line = Line().ready()
    line.drop()
    line.events()
    line.session.close()
    assert line.events() == [Closed(1006, "", None)]
    line.wait(1000)
    assert line.session.needs is None


def test_close_in_the_middle_of_a_login() -> None:
    line = Line().connect().open()
    line.session.close()
    line.send(LOGIN_OK)
    line.receive(close(1000))
    line.drop()
    end = line.events()[-1]
    assert isinstance(end, Closed)
    assert end.error is None


def test_close_while_the_server_was_being_left() -> None:
    """It broke the rules, and the user closes: the end was asked for."""
    line = Line().ready()
    line.send(REG_OK)
    line.session.close()
    line.drop()
    assert only(Closed, line.events()).error is None
    assert line.session.state is CLOSED


def test_calls_that_wait_at_the_end_are_answered_by_it() -> None:
    line = Line().ready()
    request = line.session.subscribe("0E", "005930")
    line.session.close()
    line.send(REG_OK)
    line.drop()
    events = line.events()
    assert isinstance(events[-1], Closed)
    assert sum(isinstance(event, RequestAccepted) and event.request is request for event in events) <= 1
    assert sum(isinstance(event, Closed) for event in events) == 1


# Misuse.


@pytest.mark.parametrize("state", [WAITING, READY])
@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.subscribe("0E"),
        lambda session: session.subscribe("0E", "NVDA:ND"),
        lambda session: session.subscribe("0E", ["005930"]),
        lambda session: session.subscribe("far too long", "005930"),
        lambda session: session.subscribe("0E", "005930", group="12345"),
        lambda session: session.subscribe("0E", "005930", fresh_within=0),
        lambda session: session.subscribe("0E", "005930", fresh_within=float("nan")),
        lambda session: session.subscribe("0E", "005930", fresh_within="5"),
        lambda session: session.subscribe("0E", *[f"{number:06}" for number in range(201)]),
        lambda session: session.unsubscribe("0E"),
        lambda session: session.unsubscribe(int, "005930"),
        lambda session: session.request(Reg("1", "2", (Element(("005930",), ("0E",)),))),
        lambda session: session.request("REG"),
        lambda session: session.search_condition(""),
        lambda session: session.search_condition("4", realtime=True, next_key="1"),
        lambda session: session.clear_condition(" "),
        lambda session: session.close(1005),
        lambda session: session.close(1000, "x" * 200),
        lambda session: session.connect("Bearer x"),
        lambda session: session.connect("a\nb"),
        lambda session: session.connect("token", header="api-id"),
        lambda session: session.connect("x" * 2000, header=RequestHeader(api_id="0E")),
    ],
)
def test_misuse_changes_nothing(state: SessionState, call: Callable[[Session], object]) -> None:
    line = closing_in(state)
    before = (line.session.needs, line.session.next_timeout(), line.session.epoch)
    with pytest.raises(LocalProtocolError):
        call(line.session)
    assert line.session.state is state
    assert (line.session.needs, line.session.next_timeout(), line.session.epoch) == before
    assert line.events() == []
    assert line.session.data_to_send() == b""
    assert line.session.subscriptions == ()


@pytest.mark.parametrize("state", [state for state in SessionState if state is not WAITING])
def test_connect_a_second_time(state: SessionState) -> None:
    line = closing_in(state)
    with pytest.raises(LocalProtocolError, match="started before"):
        line.connect()
    assert line.session.state is state


def test_connect_a_second_time_while_waiting_for_the_next_attempt() -> None:
    line = Line().ready()
    line.drop()
    with pytest.raises(LocalProtocolError, match="started before"):
        line.connect()


@pytest.mark.parametrize("state", [CLOSING, CLOSED])
@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.subscribe("0E", "005930"),
        lambda session: session.unsubscribe("0E", "005930"),
        lambda session: session.request(Reg("1", "1", (Element(("005930",), ("0E",)),))),
        lambda session: session.list_conditions(),
        lambda session: session.search_condition("4"),
        lambda session: session.clear_condition("4"),
    ],
)
def test_calls_after_the_end_are_refused(state: SessionState, call: Callable[[Session], object]) -> None:
    line = closing_in(state)
    with pytest.raises(LocalProtocolError, match="the session is clos"):
        call(line.session)
    assert line.session.subscriptions == ()


def test_what_no_endpoint_serves_is_refused_here() -> None:
    line = Line(endpoint=MOCK)
    with pytest.raises(LocalProtocolError, match="KRX"):
        line.session.subscribe("0E", "005930_NX")


@pytest.mark.parametrize("wrong", [("endpoint", "ws://x"), ("config", {})])
def test_a_session_is_made_of_an_endpoint_and_a_configuration(wrong: tuple[str, Any]) -> None:
    arguments: dict[str, Any] = {"endpoint": MOCK, "config": None, wrong[0]: wrong[1]}
    with pytest.raises(LocalProtocolError, match=wrong[0]):
        Session(**arguments, clock=ManualClock(), random=lambda: 0.5)


# Bytes.


def test_bytes_before_the_beginning_and_after_the_end_are_ignored() -> None:
    line = Line()
    line.send(LOGIN_OK)
    line.drop()
    assert (line.session.state, line.events()) == (WAITING, [])
    line.ready()
    line.drop()
    received = line.session.bytes_received
    line.events()
    line.send(row(), REG_OK)
    line.drop("again")
    assert (line.session.state, line.events(), line.session.bytes_received) == (WAITING, [], received)
    line.session.close()
    line.events()
    line.send(row())
    line.drop()
    assert (line.session.state, line.events(), line.session.bytes_received) == (CLOSED, [], received)


def test_bytes_after_the_end_do_not_move_the_gap() -> None:
    line = Line().ready()
    line.drop()
    start = int(line.clock.now * SECOND)
    line.wait(0.4)
    line.send(row())
    line.again()
    assert gap_of(line).start == start


def test_bytes_of_one_connection_never_go_to_the_next() -> None:
    line = Line().ready()
    line.session.subscribe("0E", "005930")
    line.send(PING)
    line.drop()  # with the REG, the answer to the PING and a close frame unsent
    line.wait(0.5)
    data = line.session.data_to_send()
    assert data.startswith(b"GET ")
    assert data.count(b"\r\n\r\n") == 1
    assert data.endswith(b"\r\n\r\n")


def test_bytes_are_counted_over_all_connections() -> None:
    net = Net().ready()
    first = net.session.bytes_received
    net.network.reset()
    net.settle()
    assert net.session.bytes_received > first > 100


def test_any_split_of_the_bytes_gives_the_same_events() -> None:
    outcomes = []
    for chunk in (None, 1, 7):
        net = Net()
        net.network.chunk = chunk
        net.session.subscribe("0E", "005930")
        net.session.search_condition("0", realtime=True)
        net.ready()
        net.advance(5)
        net.network.reset()
        net.advance(20)
        outcomes.append([(type(event), event.sequence, event.epoch) for event in net.events])
    assert outcomes[0] == outcomes[1] == outcomes[2]


# What is told of it.


def test_no_secret_is_in_any_repr() -> None:
    line = Line().connect(renewable=True)
    refuse(line)
    things: list[object] = [line.session, line.session.needs, *line.events()]
    line.session.receive_token("another-secret")
    things += [line.session, line.session.needs]
    line.login()
    line.drop()
    things += [line.session, *line.events(), line.session.subscribe("0E", "000001")]
    for thing in things:
        shown = f"{thing!r} {thing}"
        assert TOKEN not in shown
        assert "another-secret" not in shown


def test_a_session_describes_itself() -> None:
    line = Line()
    assert repr(line.session) == f"<Session {PRODUCTION}, waiting>"
    assert repr(line.connect(None).session) == f"<Session {PRODUCTION}, getting a token>"


def test_subscriptions_tell_how_far_each_has_come() -> None:
    line = Line()
    line.session.subscribe("0E", "005930")
    line.session.subscribe("0E", "005930", group="2", fresh_within=9)
    line.session.search_condition("4", realtime=True)
    assert [(one.type, one.item, one.group, one.state) for one in line.session.subscriptions] == [
        ("0E", "005930", "1", WANTED),
        ("0E", "005930", "2", WANTED),
        ("02", "4", "", WANTED),
    ]
    assert not line.session.is_settled
    line.connect().login()
    assert [one.state for one in line.session.subscriptions] == [SENT, WANTED, SENT]
    line.acknowledge()
    assert [one.state for one in line.session.subscriptions] == [CONFIRMED, CONFIRMED, CONFIRMED]
    assert line.session.is_settled
    line.send(row())
    assert [one.state for one in line.session.subscriptions] == [RECEIVING, RECEIVING, CONFIRMED]
    line.drop()
    assert [one.state for one in line.session.subscriptions] == [WANTED, WANTED, WANTED]
    assert not line.session.is_settled


def test_opened_and_logged_in_are_reported_on_every_connection() -> None:
    line = Line().connect().login()
    line.drop()
    line.again()
    events = line.events()
    assert [event.epoch for event in events if isinstance(event, Opened)] == [1, 2]
    assert [event.epoch for event in events if isinstance(event, LoggedIn)] == [1, 2]


def test_each_request_is_its_own() -> None:
    line = Line().ready()
    requests: list[Request] = [line.session.subscribe("0E", "005930") for _ in range(3)]
    line.acknowledge()
    assert [event.request for event in line.events() if isinstance(event, RequestAccepted)] == requests

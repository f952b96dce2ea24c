"""ManualClock, ConnectionPair and SimulatedNetwork, which tests of other programs are built on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    AfterHoursQuote,
    ClientConfig,
    ClientConnection,
    Closed,
    Disconnected,
    KiwoomError,
    LocalProtocolError,
    Record,
    ServerConnection,
    Session,
)
from kiwoom_proto.config import ServerConfig
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import RequestReceived
from kiwoom_proto.errors import ClosedByPeer, DeadlineExceeded, TransportError
from kiwoom_proto.events import LoggedIn, RequestAccepted
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ConnectionPair, ManualClock, SimulatedNetwork

CLIENT = ClientConfig(
    open_timeout=1, login_timeout=2, ack_timeout=3, idle_timeout=10, close_timeout=4, request_interval=0.5
)


def make_pair(clock: ManualClock | None = None, *, status: int = 101) -> ConnectionPair[ServerConnection]:
    clock = ManualClock() if clock is None else clock
    server = ServerConnection(ServerConfig(open_timeout=1, close_timeout=2), clock=clock, status=status)
    return ConnectionPair(ClientConnection(MOCK, CLIENT, clock=clock), server, clock)


def log_in(pair: ConnectionPair[ServerConnection]) -> None:
    pair.client.connect("token")
    pair.exchange()
    _, received = pair.server.events()
    assert isinstance(received, RequestReceived)
    pair.server.accept(received.request)
    pair.exchange()
    assert isinstance(pair.client.events()[-1], LoggedIn)


def test_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(5.0)
    assert (clock(), clock(), clock.now) == (5.0, 5.0, 5.0)
    clock.advance(1.5)
    assert clock() == 6.5
    clock.advance(0)
    assert clock() == 6.5
    assert ManualClock()() == 0.0


def test_clock_does_not_go_back() -> None:
    clock = ManualClock(5.0)
    with pytest.raises(ValueError):
        clock.advance(-0.001)
    assert clock() == 5.0


def test_exchange_carries_everything_both_ways() -> None:
    """Until nobody has any more to say: handshake, LOGIN, PING and its echo in one call each."""
    pair = make_pair()
    log_in(pair)
    assert pair.client.state is pair.server.state is ConnectionState.READY
    pair.server.send_ping()
    pair.exchange()
    assert len(pair.server.events()) == 1
    assert pair.client.data_to_send() == pair.server.data_to_send() == b""


def test_exchange_without_anything_to_carry_does_nothing() -> None:
    pair = make_pair()
    pair.exchange()
    assert pair.client.state is pair.server.state is ConnectionState.CONNECTING
    assert pair.client.events() == pair.server.events() == []


@pytest.mark.parametrize("who", ["client", "server"])
def test_exchange_closes_the_wire_after_the_closing_handshake(who: str) -> None:
    pair = make_pair()
    log_in(pair)
    (pair.client if who == "client" else pair.server).close()
    pair.exchange()
    for end in (pair.client.events(), pair.server.events()):
        (event,) = end
        assert isinstance(event, Closed)
        assert event.code == 1000


def test_exchange_tells_each_end_of_the_others_sudden_end() -> None:
    pair = make_pair()
    log_in(pair)
    pair.server.abort()
    pair.exchange()
    (event,) = pair.client.events()
    assert isinstance(event, Closed)
    assert event.code == 1006
    assert isinstance(event.error, ClosedByPeer)


def test_exchange_tells_the_server_of_a_client_that_gave_up() -> None:
    pair = make_pair()
    pair.client.connect("token")
    pair.client.data_to_send()
    pair.client.close()
    pair.exchange()
    (event,) = pair.server.events()
    assert isinstance(event, Closed)
    assert isinstance(event.error, ClosedByPeer)


def test_exchange_of_a_refused_handshake() -> None:
    pair = make_pair(status=503)
    pair.client.connect("token")
    pair.exchange()
    assert pair.client.state is pair.server.state is ConnectionState.CLOSED


def test_advance_stops_at_every_deadline_on_the_way() -> None:
    """Three requests half a second apart, all within one call; each end sees the time that its deadline named."""
    clock = ManualClock(100.0)
    pair = make_pair(clock)
    log_in(pair)
    for item in ("000001", "000002", "000003"):
        pair.client.unsubscribe("0E", item) if item == "000002" else pair.client.subscribe("0E", item)
    seen: list[tuple[float, str]] = []
    real_receive = pair.server.receive_data

    def receive(data: bytes | bytearray) -> None:
        real_receive(data)
        for event in pair.server.events():
            assert isinstance(event, RequestReceived)
            seen.append((clock.now, event.request.trnm))
            pair.server.accept(event.request)

    pair.server.receive_data = receive  # type: ignore[method-assign]  # an owner that answers at once
    pair.advance(2.0)
    assert clock.now == 102.0
    assert seen == [(100.0, "REG"), (100.5, "REMOVE"), (101.0, "REG")]


def test_advance_to_a_deadline_and_no_further() -> None:
    """A deadline just beyond the end does not pass; one exactly at it does."""
    pair = make_pair()
    log_in(pair)
    pair.client.subscribe("0E", "005930")
    pair.advance(2.999)
    assert pair.client.events() == []
    pair.advance(0.001)
    (event,) = pair.client.events()
    assert isinstance(event, Closed)
    assert isinstance(event.error, DeadlineExceeded)
    assert event.error.phase == "ack"
    assert pair.server.state is ConnectionState.CLOSED


def test_advance_lets_time_pass_where_no_deadline_is() -> None:
    clock = ManualClock()
    pair = make_pair(clock)
    log_in(pair)
    pair.client.close()
    pair.exchange()
    assert pair.client.next_timeout() is pair.server.next_timeout() is None
    pair.advance(50)
    assert clock.now == 50.0


def test_advance_carries_what_was_waiting() -> None:
    pair = make_pair()
    pair.client.connect("token")
    pair.advance(0)
    assert pair.client.state is ConnectionState.LOGGING_IN


def test_advance_lets_the_servers_deadlines_pass_too() -> None:
    pair = make_pair()
    pair.advance(1)
    (event,) = pair.server.events()
    assert isinstance(event, Closed)
    assert isinstance(event.error, DeadlineExceeded)


def test_advance_does_not_go_back() -> None:
    clock = ManualClock(5.0)
    pair = make_pair(clock)
    with pytest.raises(ValueError):
        pair.advance(-1)
    assert clock.now == 5.0


def test_advance_needs_a_clock() -> None:
    clock = ManualClock()
    pair = ConnectionPair(ClientConnection(MOCK, clock=clock), ServerConnection(clock=clock))
    with pytest.raises(ValueError, match="clock"):
        pair.advance(1)


# SimulatedNetwork.


def make_network(
    config: ClientConfig | None = None,
    token: Callable[[bool], str | KiwoomError] = lambda refused: "token",
    exchange: Exchange | None = None,
) -> SimulatedNetwork:
    clock = ManualClock()
    exchange = Exchange(rate=20) if exchange is None else exchange
    exchange.run_on(clock)
    session = Session(PRODUCTION, config, clock=clock, random=lambda: 0.5)
    return SimulatedNetwork(session, exchange, clock, token)


def ready_network(config: ClientConfig | None = None) -> SimulatedNetwork:
    network = make_network(config)
    network.session.connect("token")
    network.session.subscribe("0E", "005930")
    network.advance(1)
    assert network.session.is_settled
    return network


def clock_of(network: SimulatedNetwork) -> ManualClock:
    clock = network._clock
    assert isinstance(clock, ManualClock)
    return clock


def rows(network: SimulatedNetwork) -> int:
    return sum(isinstance(event, Record) for event in network.events)


def cause(network: SimulatedNetwork) -> KiwoomError:
    """Why the session lost its connection, the last time."""
    return [event for event in network.events if isinstance(event, Disconnected)][-1].cause


def is_ready(network: SimulatedNetwork) -> bool:
    return network.session.state is SessionState.READY


def test_a_network_dials_and_carries() -> None:
    network = make_network()
    assert network.peer is None
    network.advance(10)
    assert network.attempts == network.events == []
    network.session.connect("token")
    network.settle()
    assert network.peer is not None
    assert network.attempts == [10.0]
    network.session.subscribe(AfterHoursQuote, "005930")
    network.advance(2)
    assert {type(event) for event in network.events} >= {LoggedIn, RequestAccepted, AfterHoursQuote}
    assert clock_of(network).now == 12.0
    received = [event.received_at for event in network.events if isinstance(event, Record)]
    assert received == sorted(received)
    assert 10_000_000_000 < received[0] <= received[-1] <= 12_000_000_001


def test_a_network_does_not_go_back_in_time() -> None:
    with pytest.raises(ValueError, match="back"):
        make_network().advance(-1)


def test_a_network_that_is_reset() -> None:
    network = ready_network()
    peer = network.peer
    network.reset("no route to host")
    assert isinstance(cause(network), TransportError)
    assert str(cause(network)) == "no route to host"
    assert peer is not None
    assert peer.state is ConnectionState.CLOSED
    assert network.peer is None
    network.advance(2)
    assert network.peer is not peer
    assert is_ready(network)
    assert len(network.attempts) == 2


def test_a_network_whose_other_end_is_gone_tells_nobody() -> None:
    network = ready_network(ClientConfig(idle_timeout=15))
    network.half_open()
    assert network.peer is None
    seen = rows(network)
    network.advance(14)
    assert is_ready(network)
    assert rows(network) == seen
    network.advance(5)
    error = cause(network)
    assert isinstance(error, DeadlineExceeded)
    assert error.phase == "idle"
    assert is_ready(network)


def test_a_network_that_cannot_be_dialled() -> None:
    network = ready_network()
    network.unreachable = "no such host"
    network.reset()
    network.advance(30)
    assert not is_ready(network)
    assert str(cause(network)) == "no such host"
    assert len(network.attempts) > 3
    network.unreachable = None
    network.advance(60)
    assert is_ready(network)


@pytest.mark.parametrize("way", ["black_hole", "deaf"])
def test_a_network_that_swallows_tells_nobody(way: str) -> None:
    network = ready_network(ClientConfig(idle_timeout=15, open_timeout=5))
    setattr(network, way, True)
    seen = rows(network)
    network.advance(14)
    assert is_ready(network)
    assert rows(network) == seen
    network.advance(30)
    assert not is_ready(network)
    errors = [event.cause for event in network.events if isinstance(event, Disconnected)]
    assert all(isinstance(error, DeadlineExceeded) for error in errors)
    setattr(network, way, False)
    network.advance(100)
    assert is_ready(network)
    assert rows(network) > seen


@pytest.mark.parametrize("way", ["black_hole", "deaf"])
def test_what_was_swallowed_arrives_late_and_whole_where_the_connection_still_stands(way: str) -> None:
    """As TCP does it."""
    network = ready_network()
    setattr(network, way, True)
    network.session.subscribe("0E", "000660")
    network.advance(2)
    seen = rows(network)
    setattr(network, way, False)
    network.settle()
    assert rows(network) > seen
    network.advance(1)
    assert network.session.epoch == 1
    assert network.session.is_settled
    sequences = [event.sequence for event in network.events]
    assert sequences == sorted(sequences)


def test_only_the_way_to_the_session_is_deaf() -> None:
    network = ready_network()
    network.deaf = True
    network.session.subscribe("0E", "000660")
    network.advance(0.5)
    assert network._server.links[0].pairs() == {("0E", "005930"): None, ("0E", "000660"): None}  # type: ignore[attr-defined]  # an Exchange
    assert not network.session.is_settled


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_a_network_delivers_in_pieces(chunk: int | None) -> None:
    network = make_network()
    network.chunk = chunk
    sizes = []
    receive_data = network.session.receive_data

    def receive(data: bytes | bytearray, received_at: int = 0) -> None:
        sizes.append(len(data))
        receive_data(data, received_at)

    network.session.receive_data = receive  # type: ignore[method-assign]  # to see what arrives
    network.session.connect("token")
    network.advance(1)
    assert is_ready(network)
    assert max(sizes) == chunk if chunk else max(sizes) > 100


def test_a_network_takes_its_time() -> None:
    """About 300 bytes have to go to the server, and 200 back, before it is logged in."""
    network = make_network()
    network.speed = 100
    network.session.connect("token")
    network.advance(3)
    assert not is_ready(network)
    network.advance(5)
    assert is_ready(network)
    assert network.session.epoch == 1


def test_a_network_that_is_too_slow_is_given_up() -> None:
    network = make_network(ClientConfig(open_timeout=2, connect_timeout=3))
    network.speed = 50
    network.session.connect("token")
    network.advance(3)
    assert network.session.state is SessionState.CLOSED


def test_tokens_are_asked_for_where_the_session_needs_them() -> None:
    asked = []

    def token(refused: bool) -> str:
        asked.append(refused)
        return "right" if refused else "wrong"

    network = make_network(token=token, exchange=Exchange(tokens={"right": "key"}))
    network.session.connect()
    network.advance(5)
    assert asked == [False, True]
    assert is_ready(network)
    assert len(network.attempts) == 4


def test_tokens_that_cannot_be_had() -> None:
    network = make_network(token=lambda refused: TransportError("no such host"))
    network.session.connect()
    network.advance(30)
    assert network.session.state is SessionState.CLOSED
    assert len(network.attempts) > 3


def test_what_is_no_token_is_what_is_wrong() -> None:
    network = make_network(token=lambda refused: "Bearer x")
    network.session.connect()
    network.advance(1)
    end = network.events[-1]
    assert isinstance(end, Closed)
    assert isinstance(end.error, LocalProtocolError)


def test_tokens_are_not_had_from_a_black_hole() -> None:
    network = make_network(ClientConfig(token_timeout=5))
    network.black_hole = True
    network.session.connect()
    network.advance(4)
    assert network.session.state is SessionState.AUTHORIZING
    network.advance(1)
    error = cause(network)
    assert isinstance(error, DeadlineExceeded)
    assert error.phase == "token"


def test_a_network_tells_the_session_when_the_server_hangs_up() -> None:
    network = ready_network()
    assert isinstance(network._server, Exchange)
    network._server.drop()
    network.settle()
    assert isinstance(cause(network), ClosedByPeer)


def test_a_network_hangs_up_when_the_session_is_over() -> None:
    network = ready_network()
    peer = network.peer
    network.session.close()
    network.advance(1)
    assert network.session.state is SessionState.CLOSED
    assert network.peer is None
    assert peer is not None
    assert peer.state is ConnectionState.CLOSED

"""ManualClock and ConnectionPair, which tests of other programs are built on."""

from __future__ import annotations

import pytest

from kiwoom_proto import (
    MOCK,
    ClientConfig,
    ClientConnection,
    Closed,
    ClosedByPeer,
    ConnectionState,
    DeadlineExceeded,
    LoggedIn,
    RequestReceived,
    ServerConfig,
    ServerConnection,
)
from kiwoom_proto.testing import ConnectionPair, ManualClock

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
    for item in ("1", "2", "3"):
        pair.client.unsubscribe("0E", item) if item == "2" else pair.client.subscribe("0E", item)
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
    pair.advance(9.999)
    assert pair.client.events() == []
    pair.advance(0.001)
    (event,) = pair.client.events()
    assert isinstance(event, Closed)
    assert isinstance(event.error, DeadlineExceeded)
    assert event.error.phase == "idle"
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

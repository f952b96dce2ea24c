"""Drivers written from the documents alone, for loops that dial beside everything else."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kiwoom_proto import (
    PRODUCTION,
    ClientConfig,
    ClientConnection,
    Closed,
    Disconnected,
    Event,
    LinkNeeded,
    Session,
    Trade,
)
from kiwoom_proto.errors import DeadlineExceeded, TransportError
from kiwoom_proto.events import LoggedIn
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.session.connector import Need
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.tls import Tls

from .test_tls import client_context, server_context

DIAL_TIME = 2.0


class Reactor:
    """A loop of callbacks, on virtual time, with an exchange at the other end of every stream."""

    def __init__(self, host: str = "") -> None:
        self.host = host  # whose certificate the exchange shows; "": no TLS
        self.clock = ManualClock(1000.0)
        self.exchange = Exchange(clock=self.clock, rate=20)
        self._calls: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self._calls.append((self.clock.now + seconds, call))

    def connect(self, protocol: Protocol) -> None:
        """Dial: returns at once, and calls `connectionMade` later."""
        self.call_later(DIAL_TIME, lambda: protocol.connectionMade(Transport(self.peer(), protocol)))

    def peer(self) -> ClientLink | Tls:
        peer = self.exchange.connect()
        return Tls(peer, context=server_context(self.host), server_side=True) if self.host else peer

    def run(self, seconds: float, protocol: Protocol) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 0.05
            due, self._calls = [
                [entry for entry in self._calls if (entry[0] <= self.clock.now) is now] for now in (True, False)
            ]
            for _, call in due:
                call()
            self.exchange.handle_timeout()
            if protocol.transport is not None:
                protocol.transport.carry()
            protocol.tick()


class Transport:
    """A stream to the exchange."""

    def __init__(self, peer: ClientLink | Tls, protocol: Protocol) -> None:
        self._peer = peer
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._peer.receive_data(data)

    def carry(self) -> None:
        if data := self._peer.data_to_send():
            self._protocol.dataReceived(data)


class Protocol:
    """A driver as one writes it for Twisted: it pumps after every call, and a stream is there when it is there."""

    def __init__(
        self, reactor: Reactor, driven: Session | ClientConnection, *, tells: bool = True, secure: bool = False
    ) -> None:
        self.reactor = reactor
        self.driven = driven
        self.secure = secure
        self.link: Session | ClientConnection | Tls = driven
        self.transport: Transport | None = None
        self.events: list[Event] = []
        self._tells = tells
        self._need: Need | None = None

    def pump(self) -> None:
        data = self.link.data_to_send()
        if self.transport is not None and data:
            self.transport.write(data)  # else there is nowhere to write it to
        self.events += self.driven.events()
        if isinstance(self.driven, Session) and self.driven.needs is not self._need:
            self._need = self.driven.needs
            self.transport = None
            if isinstance(self._need, LinkNeeded):
                self.reactor.connect(self)

    def tick(self) -> None:
        due = self.driven.next_timeout()
        if due is not None and due <= self.reactor.clock.now:
            self.driven.handle_timeout()
        self.pump()

    def connectionMade(self, transport: Transport) -> None:  # as Twisted spells it
        self.transport = transport
        if self._tells:
            self.driven.connection_made()
        self.link = Tls(self.driven, PRODUCTION.host, client_context()) if self.secure else self.driven
        self.pump()

    def dataReceived(self, data: bytes) -> None:
        self.link.receive_data(data, 1)
        self.pump()


def session_of(reactor: Reactor, **config: float) -> Session:
    return Session(PRODUCTION, ClientConfig(**config), clock=reactor.clock, random=random.Random(1).random)  # type: ignore[arg-type]


@pytest.mark.parametrize("header", [None, RequestHeader(api_id="0B", authorization="Bearer token")])
def test_a_driver_that_pumps_while_it_dials_loses_nothing(header: RequestHeader | None) -> None:
    reactor = Reactor()
    session = session_of(reactor)
    protocol = Protocol(reactor, session)
    session.connect("token", header)
    protocol.pump()
    session.subscribe(Trade, "005930")
    protocol.pump()
    reactor.run(5, protocol)
    assert session.state is SessionState.READY
    assert any(isinstance(event, Trade) for event in protocol.events)
    reactor.exchange.drop()
    session.receive_eof()
    reactor.run(10, protocol)
    assert [event.epoch for event in protocol.events if isinstance(event, LoggedIn)] == [1, 2]


def test_a_connection_of_its_own_likewise() -> None:
    reactor = Reactor()
    connection = ClientConnection(PRODUCTION, clock=reactor.clock)
    protocol = Protocol(reactor, connection)
    connection.connect("token")
    protocol.pump()
    reactor.connect(protocol)
    reactor.run(5, protocol)
    assert any(isinstance(event, LoggedIn) for event in protocol.events)


def test_a_driver_that_does_not_tell_hears_what_may_be_wrong_and_not_that_it_was_the_server() -> None:
    reactor = Reactor()
    session = session_of(reactor, open_timeout=4)
    protocol = Protocol(reactor, session, tells=False)
    session.connect("token")
    protocol.pump()
    reactor.run(5, protocol)
    (lost,) = [event for event in protocol.events if isinstance(event, Disconnected)]
    assert isinstance(lost.cause, DeadlineExceeded)
    assert str(lost.cause) == "no connection was made, or nothing came over it, within 4 s (open_timeout)"


@pytest.mark.parametrize("tells", [False, True])
def test_where_a_stream_was_there_it_is_the_handshake_that_did_not_finish(tells: bool) -> None:
    clock = ManualClock()
    connection = ClientConnection(PRODUCTION, ClientConfig(open_timeout=4), clock=clock)
    connection.connect("token")
    if tells:
        connection.connection_made()
    else:
        connection.data_to_send()
        connection.receive_data(b"HTTP/1.1 101 ")
    clock.advance(4)
    connection.handle_timeout()
    closed = connection.events()[-1]
    assert isinstance(closed, Closed)
    assert str(closed.error) == "the opening handshake did not finish within 4 s (open_timeout)"


def test_the_handshake_is_given_once_to_each_stream() -> None:
    connection = ClientConnection(PRODUCTION, clock=ManualClock())
    connection.connection_made()  # before there is anything to say
    assert connection.data_to_send() == b""
    connection.connect("token")
    handshake = connection.data_to_send()
    assert handshake.startswith(b"GET ")
    assert connection.data_to_send() == b""
    connection.connection_made()
    assert connection.data_to_send() == handshake
    connection.connection_made()
    connection.connection_made()
    assert connection.data_to_send() == handshake
    connection.receive_data(b"HTTP/1.1 101 ")
    connection.connection_made()  # too late to mean anything
    assert connection.data_to_send() == b""


def test_a_session_that_needs_no_stream_ignores_that_there_is_one() -> None:
    reactor = Reactor()
    session = session_of(reactor)
    session.connection_made()
    session.connect("token")
    session.data_to_send()
    session.receive_eof("refused")
    assert session.state is SessionState.WAITING
    session.connection_made()
    assert session.data_to_send() == b""


def test_tls_is_a_line_of_a_driver() -> None:
    reactor = Reactor(PRODUCTION.host)
    session = session_of(reactor)
    protocol = Protocol(reactor, session, secure=True)
    session.connect("token")
    session.subscribe(Trade, "005930")
    reactor.run(5, protocol)
    assert session.state is SessionState.READY
    assert any(isinstance(event, Trade) for event in protocol.events)
    reactor.exchange.drop()
    protocol.link.receive_eof()
    reactor.run(10, protocol)
    assert [event.epoch for event in protocol.events if isinstance(event, LoggedIn)] == [1, 2]


def test_a_driver_hears_that_the_server_could_not_be_verified() -> None:
    reactor = Reactor("other.kiwoom.com")
    session = session_of(reactor)
    protocol = Protocol(reactor, session, secure=True)
    session.connect("token")
    reactor.run(5, protocol)
    lost = next(event for event in protocol.events if isinstance(event, Disconnected))
    assert isinstance(lost.cause, TransportError)
    assert "certificate verify failed" in str(lost)
    assert not any(isinstance(event, LoggedIn) for event in protocol.events)

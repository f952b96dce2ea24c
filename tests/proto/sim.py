"""A simulated exchange and any number of clients, joined in memory on virtual time.

`ConnectionPair` joins one client to one server's end; the exchange has things to say to several at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from kiwoom_proto import PRODUCTION, US_PRODUCTION, ClientConfig, ClientConnection, Endpoint, Secret
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.websocket import WebSocketClient

UNPACED = ClientConfig(request_interval=0)
"""The exchange takes five requests a second; hardly any test here sends more."""


class CountingBytes:
    """A source of "random" bytes that counts, for keys and masks that are the same every time."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, count: int) -> bytes:
        start, self._next = self._next, self._next + count
        return bytes(number & 0xFF for number in range(start, self._next))


class ClientEnd(Protocol):
    """What the simulation needs of a client."""

    @property
    def is_over(self) -> bool: ...
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def next_timeout(self) -> float | None: ...
    def handle_timeout(self) -> None: ...
    def data_to_send(self) -> bytes: ...


class RealClient:
    """A `ClientConnection` as an end."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.receive_eof = connection.receive_eof
        self.next_timeout = connection.next_timeout
        self.handle_timeout = connection.handle_timeout
        self.data_to_send = connection.data_to_send

    @property
    def is_over(self) -> bool:
        return self._connection.state is ConnectionState.CLOSED

    def receive_data(self, data: bytes) -> None:
        self._connection.receive_data(data, 1)


class RawClient:
    """A client that says what it is told to, and remembers what it heard, and when.

    Attributes:
        heard: time and exact text of every message.
        closed_at: when the server's close frame came, or None.
        echoes: whether PINGs are answered.
    """

    def __init__(self, sim: Sim, url: str = PRODUCTION.url) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.closed_at: float | None = None
        self.echoes = True
        self._sim = sim
        self._websocket = WebSocketClient(url, max_size=1 << 24, random_bytes=CountingBytes())
        self._websocket.connect()

    def say(self, message: dict[str, Any] | bytes) -> None:
        """Send a message."""
        self._websocket.send_text(message if isinstance(message, bytes) else json.dumps(message).encode())
        self._sim.settle()

    def login(self, token: str | Secret = "key") -> None:
        """Log in, and forget what was heard on the way."""
        self.say({"trnm": "LOGIN", "token": token})
        self._sim.advance(0.02)
        assert self.take()[-1]["return_code"] == 0

    def register(
        self, *items: str, type: str = "0E", group: str = "1", refresh: str = "1", trnm: str = "REG"
    ) -> dict[str, Any]:
        """Send a REG or REMOVE, wait for its reply, and return it."""
        self.say({"trnm": trnm, "grp_no": group, "refresh": refresh, "data": [{"item": list(items), "type": [type]}]})
        heard = len(self.heard)
        self._sim.advance(0.01)
        (reply,) = [message for _, text in self.heard[heard:] if (message := json.loads(text))["trnm"] == trnm]
        return dict(reply)

    def take(self) -> list[dict[str, Any]]:
        """Return the messages heard, PINGs left out, and forget them."""
        heard, self.heard = self.heard, []
        messages = [json.loads(text) for _, text in heard]
        return [message for message in messages if message["trnm"] != "PING"]

    @property
    def close(self) -> tuple[int, str] | None:
        """Code and reason of the close frame heard."""
        received = self._websocket.close_received
        return None if received is None else (int(received.code), received.reason)

    @property
    def is_over(self) -> bool:
        return self._websocket.is_closed

    def receive_data(self, data: bytes) -> None:
        for text in self._websocket.receive_data(data):
            self.heard.append((self._sim.clock(), text))
            if self.echoes and text == b'{"trnm":"PING"}':
                self._websocket.send_text(text)
        if self._websocket.close_received is not None and self.closed_at is None:
            self.closed_at = self._sim.clock()

    def receive_eof(self) -> None:
        self._websocket.receive_eof()

    def next_timeout(self) -> float | None:
        return None

    def handle_timeout(self) -> None: ...

    def data_to_send(self) -> bytes:
        return self._websocket.data_to_send()


class Sim:
    """An exchange on virtual time, and its clients.

    Attributes:
        clock: its time, beginning at 0.
        exchange: the exchange.
        sent: every byte the exchange sent, over all connections.
    """

    def __init__(self, **exchange: Any) -> None:
        self.clock = ManualClock()
        self.exchange = Exchange(clock=self.clock, **exchange)
        self.sent = bytearray()
        self._links: list[tuple[ClientEnd, ClientLink]] = []

    def client(
        self, token: str | Secret = "key", config: ClientConfig = UNPACED, endpoint: Endpoint = PRODUCTION
    ) -> ClientConnection:
        """Return a client that has begun to connect."""
        client = ClientConnection(endpoint, config, clock=self.clock, random_bytes=CountingBytes())
        client.connect(token)
        self.add(RealClient(client))
        return client

    def ready(
        self, token: str | Secret = "key", config: ClientConfig = UNPACED, endpoint: Endpoint = PRODUCTION
    ) -> ClientConnection:
        """Return a client that is logged in; what it reported on the way is forgotten."""
        client = self.client(token, config, endpoint)
        self.advance(0.02)
        assert client.state is ConnectionState.READY
        client.events()
        return client

    def raw(self, *, us: bool = False) -> RawClient:
        """Return a client of few words, its opening handshake done."""
        client = RawClient(self, US_PRODUCTION.url if us else PRODUCTION.url)
        self.add(client)
        return client

    def add(self, client: ClientEnd) -> ClientLink:
        """Connect a client's end; return the exchange's end of its connection."""
        peer = self.exchange.connect()
        self._links.append((client, peer))
        self.settle()
        return peer

    def settle(self) -> None:
        """Carry bytes both ways until nobody has any more to send. An end that is closed closes the wire."""
        carried = True
        while carried:
            carried = False
            for client, peer in self._links:
                carried |= self._carry(client, peer)
        self._links = [(client, peer) for client, peer in self._links if not client.is_over]

    def _carry(self, client: ClientEnd, peer: ClientLink) -> bool:
        if to_server := client.data_to_send():
            peer.receive_data(to_server)
        if to_client := peer.data_to_send():
            self.sent += to_client
            client.receive_data(to_client)
        if to_server or to_client:
            return True
        if client.is_over and peer.state is not ConnectionState.CLOSED:
            peer.receive_eof()
            return True
        if peer.state is ConnectionState.CLOSED and not client.is_over:
            client.receive_eof()
            return True
        return False

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline on the way."""
        self.settle()
        end = self.clock.now + seconds
        while (due := self._due()) is not None and due <= end:
            self.clock.now = max(due, self.clock.now)
            for client, _ in self._links:
                client.handle_timeout()
            self.exchange.handle_timeout()
            self.settle()
        self.clock.now = end
        self.settle()

    def until(self, happened: Callable[[], object], limit: float = 100) -> float:
        """Let time pass until something has happened; return how long that took."""
        self.settle()
        begin = self.clock.now
        while not happened():
            due = self._due()
            assert due is not None and due - begin <= limit, f"it did not happen within {limit} s"
            self.advance(max(0.0, due - self.clock.now))
        return self.clock.now - begin

    def _due(self) -> float | None:
        times = [client.next_timeout() for client, _ in self._links]
        return min((time for time in (*times, self.exchange.next_timeout()) if time is not None), default=None)

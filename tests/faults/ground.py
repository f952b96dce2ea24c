"""Ground: a session on virtual time, a server that can be taken away and replaced, and the network between them."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable, Collection, Iterable

from tests.faults.ledger import Ledger
from tests.proto.wire import accept_handshake, close

from kiwoom_proto import PRODUCTION, ClientConfig, KiwoomError, Request, ServerConnection, Session
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import ServerRequest
from kiwoom_proto.events import RequestAccepted, RequestUnanswered
from kiwoom_proto.request import RequestKind
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock, ServerEnd, SimulatedNetwork
from kiwoom_proto.wire.messages import Row

__all__ = ("CONFIG", "Canned", "Ground", "Service", "most_attempts")

CONFIG = ClientConfig(connect_timeout=math.inf, takeover_limit=1_000)
"""The defaults, but for giving up, which would end the test."""
KEY = "key"
OPENS = datetime.time(9, 0)
CALLS = (
    ("0B", ("005930", "000660_NX", "035420"), "1"),
    ("0D", ("005930",), "1"),
    ("0D", ("068270",), "2"),
    ("0B", ("105560",), "2"),
    ("00", (), "3"),
    ("04", (), "3"),
)
"""What is subscribed to at first: type, items, group."""
LEFT_TOO = (("0B", ("035420",), "1"), ("0D", ("068270",), "2"))
"""What of it is unsubscribed while something is wrong."""
JOINED = ("0D", ("000270_AL",), "1")
"""What is subscribed to while something is wrong."""


def most_attempts(seconds: float, losses: int = 1) -> float:
    """How many attempts there can be in any span of time.

    Full jitter waits a random time from 0 to a limit of 1, 2, 4 ... 32 and from then on 60 s: six attempts soon after
    a connection that was stable is lost, then one in 30 s on average. The waits have a deviation of 60/sqrt(12) s, so
    the number of them in t seconds has one of sqrt(t * 300 / 30**3), and six of those are allowed. An hour: 165.

    Arguments:
        seconds: the span.
        losses: how often a connection that was stable was lost in it, at most.
    """
    return 7 * losses + seconds / 30 + 6 * math.sqrt(seconds / 90)


class Canned:
    """A server's end that sends what it was told to once a request came, and then cuts the line, or keeps silent.

    Arguments:
        answer: what to send, given what the client sent first.
        cuts: whether the line is cut then.
    """

    def __init__(self, answer: Callable[[bytes], bytes], *, cuts: bool = True) -> None:
        self.state = ConnectionState.CONNECTING
        self._answer = answer
        self._cuts = cuts
        self._request = b""
        self._outgoing = b""

    def receive_data(self, data: bytes) -> None:
        if b"\r\n\r\n" in self._request:
            return
        self._request += data
        if b"\r\n\r\n" in self._request:
            self._outgoing += self._answer(self._request)
            if self._cuts:
                self.state = ConnectionState.CLOSED

    def receive_eof(self) -> None:
        self.state = ConnectionState.CLOSED

    def next_timeout(self) -> float | None:
        return None

    def handle_timeout(self) -> None: ...

    def data_to_send(self) -> bytes:
        data, self._outgoing = self._outgoing, b""
        return data


def says_goodbye(request: bytes) -> bytes:
    """What was measured under rapid reconnects: close 1000 "Bye" in place of everything."""
    return accept_handshake(request) + close(1000, b"Bye")


class _Witness(ClientLink):
    """A client that has everything registered that is wanted, and whose line never fails."""

    def __init__(self, exchange: Exchange, ground: Ground) -> None:
        connection = ServerConnection(clock=ground.clock)
        connection._state = ConnectionState.READY
        connection._deadline = None
        super().__init__(exchange, connection)
        self.key = KEY
        self._ground = ground
        self.registered = {"": {}}

    def pairs(self) -> dict[tuple[str, str], None]:
        return dict(self._ground.expected)

    def wanted(self) -> dict[tuple[str, str], None]:
        self._served_of = None  # what is expected changes by itself
        return super().wanted()

    def send_rows(self, rows: list[Row]) -> None:
        self._ground.ledger.witness(rows)


class _Exchange(Exchange):
    """An exchange that tells of the rows it sends, and refuses the tokens it is told to."""

    def __init__(self, service: Service, seed: int) -> None:
        self._service = service
        ground = service.ground
        super().__init__(
            seed=seed, start=OPENS, rate=ground.rate, clock=ground.clock, batch_interval=ground.batch_interval
        )
        self._witness = _Witness(self, ground)
        self.links.append(self._witness)
        self.start_ticking()

    @property
    def clients(self) -> list[ClientLink]:
        """The connections of the session."""
        return [peer for peer in self.links if peer is not self._witness]

    def connect(self, hosts: Collection[str] | None = None) -> ClientLink:
        ground = self._service.ground
        peer = super().connect(hosts)
        epoch = ground.session.epoch
        send, register = peer.connection.send_records, peer._register
        ground.seen = ground.wanted()

        def register_and_look(request: ServerRequest) -> tuple[int, str] | None:
            refusal = register(request)
            unwanted = peer.pairs().keys() - ground.seen
            ground.ledger.problems += [f"{type} {item} was registered again" for type, item in sorted(unwanted)]
            return refusal

        def record_and_send(rows: Iterable[Row]) -> None:
            rows = tuple(rows)
            ground.ledger.send(epoch, rows)
            send(rows)

        peer.connection.send_records = record_and_send  # type: ignore[method-assign]  # a look at what is sent
        peer._register = register_and_look  # type: ignore[method-assign]  # and at what is asked for
        return peer

    def key_of(self, token: object) -> str | None:
        return None if token in self._service.dead_tokens else KEY

    def _victims(self, peer: ClientLink | None) -> tuple[ClientLink, ...]:
        return tuple(victim for victim in super()._victims(peer) if victim is not self._witness)


class Service:
    """What the session connects to: an exchange, or another after it, or what stands before it.

    Attributes:
        exchange: the present one.
        answer: makes the end of every further connection in its place; None: it answers itself.
        dead_tokens: tokens that no longer log in.
        is_up: whether the exchange runs.
        cut_every: seconds between cuts of every connection there is; None: none.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.answer: Callable[[], ServerEnd] | None = None
        self.dead_tokens: set[str] = set()
        self.is_up = True
        self.cut_every: float | None = None
        self._cut_at = 0.0
        self._count = 0
        self.exchange = self._new_exchange()

    def stop(self) -> None:
        """The server goes down, and all connections with it."""
        self.exchange.drop()
        self.is_up = False

    def start(self) -> None:
        """It is there again: another exchange, which knows nothing of what was."""
        self.exchange = self._new_exchange()
        self.is_up = True

    def connect(self) -> ServerEnd:
        return self.exchange.connect() if self.answer is None else self.answer()

    def next_timeout(self) -> float | None:
        times = [self.exchange.next_timeout() if self.is_up else None]
        if self.cut_every is not None:
            times.append(self._cut_at)
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self) -> None:
        if self.is_up:
            self.exchange.handle_timeout()
        if self.cut_every is not None and self._cut_at <= self.ground.clock():
            self._cut_at = self.ground.clock() + self.cut_every
            self.exchange.drop()

    def _new_exchange(self) -> _Exchange:
        self._count += 1
        return _Exchange(self, self.ground.seed + 1_000_000 * self._count)


class Ground:
    """A session on virtual time with everything that can go wrong around it.

    Arguments:
        seed: of everything random.
        config: the session's.
        transit: see `Ledger`.
        rate: how many things happen a second to each item, on average.
        batch_interval: seconds between deliveries of rows.
    """

    def __init__(
        self,
        seed: int,
        config: ClientConfig = CONFIG,
        *,
        transit: float = 0.0,
        rate: float = 1.0,
        batch_interval: float = 0.5,
    ) -> None:
        self.seed = seed
        self.rate = rate
        self.batch_interval = batch_interval
        self.random = random.Random(seed)
        self.clock = ManualClock(1000.0)
        self.ledger = Ledger(self.clock, transit)
        self.expected: dict[tuple[str, str], None] = {}
        """What was confirmed to be registered and is still wanted."""
        self.session = Session(PRODUCTION, config, clock=self.clock, random=self.random.random)
        self.service = Service(self)
        self.network = SimulatedNetwork(self.session, self.service, self.clock, self._issue)
        self.token_error: KiwoomError | None = None
        self.token = "token-1"
        self._tokens_issued = 1
        self.seen: set[tuple[str, str]] = set()
        """What was wanted at any time of the present connection."""
        self._wanted: dict[str, set[tuple[str, str]]] = {}
        self._live: set[str] = set()
        self._unanswered: list[tuple[Request, tuple[tuple[str, str], ...]]] = []
        self._leaving: list[tuple[Request, tuple[str, str]]] = []

    @property
    def exchange(self) -> _Exchange:
        """The present one."""
        return self.service.exchange

    # What the program does.

    def start(self) -> None:
        """Connect, and ask for everything that is wanted at first."""
        self.session.connect(self.token, renewable=True)
        for type, items, group in CALLS:
            self.subscribe(type, items, group)
        for seq in ("0", "2"):
            self.search(seq)
        self.run(0.0)

    def change(self) -> None:
        """Let go of some of it, and ask for something else. Once."""
        for type, items, group in LEFT_TOO:
            self.unsubscribe(type, items, group)
        self.subscribe(*JOINED)
        self.clear("2")
        self.exchange.place_order(KEY, "005930", "buy", 1)
        self.run(0.0)

    def toggle(self) -> None:
        """Let go of something, or want it again."""
        type, items, group = call = self.random.choice((*LEFT_TOO, JOINED, ("02", ("2",), "")))
        if type == "02":
            (self.clear if "2" in self._live else self.search)("2")
        elif (type, items[0]) in self._wanted.get(group, ()):
            self.unsubscribe(*call)
        else:
            self.subscribe(*call)
        self.run(0.0)

    def subscribe(self, type: str, items: tuple[str, ...], group: str) -> None:
        pairs = [(type, item) for item in items or ("",)]
        self._ask(self.session.subscribe(type, *items, group=group), *pairs)
        self._wanted.setdefault(group, set()).update(pairs)
        self.seen.update(pairs)
        for pair in pairs:
            self._leaving = [entry for entry in self._leaving if entry[1] != pair]
            self.ledger.want(*pair)

    def unsubscribe(self, type: str, items: tuple[str, ...], group: str) -> None:
        request = self.session.unsubscribe(type, *items, group=group)
        self._ask(request)
        for pair in [(type, item) for item in items or ("",)]:
            self._wanted[group].discard(pair)
            if pair not in self.wanted():
                self._leave(request, pair)

    def search(self, seq: str) -> None:
        self._ask(self.session.search_condition(seq, realtime=True), ("02", seq))
        self._live.add(seq)
        self._leaving = [entry for entry in self._leaving if entry[1] != ("02", seq)]
        self.ledger.want("02", seq)

    def clear(self, seq: str) -> None:
        request = self.session.clear_condition(seq)
        self._ask(request)
        self._live.discard(seq)
        self._leave(request, ("02", seq))

    def _ask_again(self, request: Request) -> None:
        """A call was not answered. (A clear, and what is asked for after a loss, the session repeats by itself.)"""
        if all(request is not asked for asked, _ in self._unanswered):
            return
        self._unanswered = [entry for entry in self._unanswered if entry[0] is not request]
        if request.kind is RequestKind.CONDITION_SEARCH and request.seq in self._live:
            self.search(request.seq)
        self._leaving = [entry for entry in self._leaving if entry[0] is not request]

    def _ask(self, request: Request, *pairs: tuple[str, str]) -> None:
        self._unanswered.append((request, pairs))

    def _leave(self, request: Request, pair: tuple[str, str]) -> None:
        self.expected.pop(pair, None)
        self._unanswered = [
            (other, tuple(joined for joined in pairs if joined != pair)) for other, pairs in self._unanswered
        ]
        self._leaving.append((request, pair))

    # Time.

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.network.advance(seconds)
        events, self.network.events = self.network.events, []
        ledger = self.ledger
        start = 0
        for index, event in enumerate(events):
            if isinstance(event, RequestUnanswered):
                self._ask_again(event.request)
            if not isinstance(event, RequestAccepted):
                continue
            self.expected |= dict.fromkeys(
                pair for request, pairs in self._unanswered if request is event.request for pair in pairs
            )
            self._unanswered = [entry for entry in self._unanswered if entry[0] is not event.request]
            gone = [pair for request, pair in self._leaving if request is event.request]
            if gone:
                ledger.take(events[start : index + 1])
                start = index + 1
                for type, item in gone:
                    ledger.unwant(type, item)
                self._leaving = [entry for entry in self._leaving if entry[0] is not event.request]
        ledger.take(events[start:])

    def run_until(self, condition: Callable[[], bool], limit: float, step: float = 0.1) -> bool:
        """Let time pass until something is so, and tell whether it is."""
        end = self.clock.now + limit
        while not condition():
            if self.clock.now >= end:
                return False
            self.run(step)
        return True

    # What is true.

    def wanted(self) -> set[tuple[str, str]]:
        """Every (type, item) that is wanted, conditions left out."""
        return {pair for pairs in self._wanted.values() for pair in pairs}

    def is_away(self) -> bool:
        """Whether the session knows that it has no connection."""
        return self.session.state is not SessionState.READY

    def is_whole(self) -> bool:
        """Whether the server has registered what is wanted and nothing else, on a connection that both ends have."""
        peer = self.network.peer
        return (
            isinstance(peer, ClientLink)
            and self.exchange.clients == [peer]
            and not peer.stalled
            and not self.network.black_hole
            and not self.network.deaf
            and self.session.is_settled
            and self.ledger.is_whole
            and not self.differences()
        )

    def differences(self) -> list[str]:
        """What the server has registered and should not have, or the other way round."""
        peer = self.network.peer
        if not isinstance(peer, ClientLink):
            return ["there is no connection"]
        found = []
        for group in sorted({*self._wanted, *peer.registered}):
            wanted, held = self._wanted.get(group, set()), set(peer.registered.get(group, ()))
            found += [f"{type} {item} of group {group} is not registered" for type, item in sorted(wanted - held)]
            found += [f"{type} {item} of group {group} is registered" for type, item in sorted(held - wanted)]
        live = {seq for _, seq in peer.live}
        found += [f"condition {seq} is not live" for seq in sorted(self._live - live)]
        found += [f"condition {seq} is live" for seq in sorted(live - self._live)]
        shown = {
            (subscription.group, subscription.type, subscription.item)
            for subscription in self.session.subscriptions
            if subscription.state in (SubscriptionState.CONFIRMED, SubscriptionState.RECEIVING)
        }
        expected = {(group, *pair) for group, pairs in self._wanted.items() for pair in pairs}
        expected |= {("", "02", seq) for seq in self._live}
        if shown != expected:
            found.append(f"session.subscriptions says otherwise: {sorted(shown ^ expected)}")
        return found

    def problems(self) -> list[str]:
        """Everything else that is not as it must be, with the session whole."""
        found = list(self.ledger.problems)
        found += [f"no answer to {request}" for request, _ in self._unanswered]
        attempts = set(self.network.attempts)
        found += [f"no attempt at {at}, as was said" for at in self.ledger.retries if at not in attempts]
        return found

    def _issue(self, refused: bool) -> str | KiwoomError:
        if self.token_error is not None:
            return self.token_error
        self._tokens_issued += 1
        self.token = f"token-{self._tokens_issued}"
        return self.token

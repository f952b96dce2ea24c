"""The catalogue of faults: what goes wrong, and how it is made to.

Each is a context: on entering it something goes wrong, on leaving it the world is as it should be again. In between the
suite lets time pass, `seconds` of it, in which the program changes its mind about what it wants.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import attrs
from tests.faults.ground import CONFIG, Canned, Ground, says_goodbye
from tests.proto.wire import accept_handshake

from kiwoom_proto import ClientConfig, KiwoomError
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import TokenRefused
from kiwoom_proto.simulator import ClientLink
from kiwoom_proto.wire.messages import Row

__all__ = ("CATALOGUE", "Fault", "Moment")

PAGE = "<html><head><title>점검</title></head><body>시스템 점검 중입니다</body></html>".encode()
IDLE = CONFIG.idle_timeout


class Moment(enum.Enum):
    """When it goes wrong."""

    BEFORE = "before the first connection"
    LOGIN = "while the LOGIN is not answered"
    REGISTERING = "while a REG is not acknowledged"
    STREAMING = "while rows come"
    RESUMING = "while it resumes after another loss"


ALWAYS = tuple(Moment)
CONNECTED = (Moment.LOGIN, Moment.REGISTERING, Moment.STREAMING, Moment.RESUMING)
RESUMED = (Moment.BEFORE, Moment.REGISTERING, Moment.RESUMING)
CONDITIONS = (*RESUMED, Moment.STREAMING)
LOGGED_IN = (Moment.REGISTERING, Moment.STREAMING)


@attrs.frozen
class Fault:
    """One way in which it goes wrong.

    Attributes:
        name: what it is called.
        apply: makes it so, and undoes it.
        seconds: how long it lasts: at least, at most.
        loses: whether the session must lose the connection that it has by it, must not, or (None) may.
        says: what the last `Disconnected` says then.
        moments: when it can go wrong.
        patient: whether it goes wrong without the program asking for anything.
        config: the session's.
        transit: seconds for which rows can be on their way.
        undecodable: how many `UnknownMessage` there are.
    """

    name: str
    apply: Callable[[Ground], AbstractContextManager[None]]
    seconds: tuple[float, float] = (0.0, 0.0)
    loses: bool | None = True
    says: str = ""
    moments: tuple[Moment, ...] = ALWAYS
    patient: bool = True
    config: ClientConfig = CONFIG
    transit: float = 0.0
    undecodable: int = 0


def at_once(action: Callable[[Ground], object]) -> Callable[[Ground], AbstractContextManager[None]]:
    """Something that happens in an instant, with nothing to undo."""

    @contextmanager
    def apply(ground: Ground) -> Iterator[None]:
        action(ground)
        yield

    return apply


# What the server does.


@contextmanager
def stall(ground: Ground) -> Iterator[None]:
    ground.exchange.stall()
    yield
    ground.exchange.resume()


def garbage(*payloads: bytes) -> Callable[[Ground], AbstractContextManager[None]]:
    def send(ground: Ground) -> None:
        for payload in payloads:
            ground.exchange.garbage(payload)

    return at_once(send)


@contextmanager
def lost_ack(ground: Ground) -> Iterator[None]:
    ground.exchange.faults.lose_acks = 1
    yield
    ground.exchange.faults.lose_acks = 0


@contextmanager
def late_ack(ground: Ground) -> Iterator[None]:
    ground.exchange.faults.ack_delay = CONFIG.ack_timeout + 1
    yield
    ground.exchange.faults.ack_delay = 0.0


@contextmanager
def slow_ack(ground: Ground) -> Iterator[None]:
    ground.exchange.faults.ack_delay = CONFIG.ack_timeout - 1
    yield
    ground.exchange.faults.ack_delay = 0.0


@contextmanager
def mute_conditions(ground: Ground) -> Iterator[None]:
    ground.exchange.faults.mute_conditions = True
    yield
    ground.exchange.faults.mute_conditions = False


@contextmanager
def late_conditions(ground: Ground) -> Iterator[None]:
    ground.ledger.counts_searches = False
    delay = CONFIG.ack_timeout + ground.random.uniform(0.5, 30)
    ground.exchange.faults.condition_delay = delay
    yield
    begin = ground.clock.now
    while ground.exchange.faults.condition_delay:
        # What is asked now must not overtake what was asked before.
        ground.run(0.001)
        ground.exchange.faults.condition_delay = max(0.0, delay - (ground.clock.now - begin) * 0.9)


@contextmanager
def split(ground: Ground) -> Iterator[None]:
    ground.exchange.faults.split = True
    yield
    ground.exchange.faults.split = False


@contextmanager
def flapping(ground: Ground) -> Iterator[None]:
    ground.service.cut_every = 3.0
    yield
    ground.service.cut_every = None


@contextmanager
def http_401(ground: Ground) -> Iterator[None]:
    ground.exchange.faults.http_status = 401
    ground.exchange.drop()
    yield
    ground.exchange.faults.http_status = 101


def answers(answer: Callable[[bytes], bytes], *, cuts: bool = True) -> Callable[[Ground], AbstractContextManager[None]]:
    """What stands before the server answers in its place."""

    @contextmanager
    def apply(ground: Ground) -> Iterator[None]:
        ground.service.answer = lambda: Canned(answer, cuts=cuts)
        ground.exchange.drop()
        yield
        ground.service.answer = None

    return apply


def maintenance(request: bytes) -> bytes:
    head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\n\r\n"
    return head.encode() + PAGE


def half_a_handshake(request: bytes) -> bytes:
    return accept_handshake(request)[:60]


def not_http(request: bytes) -> bytes:
    return b"SSH-2.0-OpenSSH_9.6\r\n"


@contextmanager
def restart(ground: Ground) -> Iterator[None]:
    ground.network.unreachable = "connection refused"
    ground.service.stop()
    yield
    ground.service.start()
    ground.network.unreachable = None


def burst(ground: Ground) -> None:
    """Thousands of rows at once, of something that is registered."""
    peer = ground.network.peer
    if isinstance(peer, ClientLink) and peer.state is ConnectionState.READY and ("0B", "005930") in peer.pairs():
        for number in range(10):
            values = ({"10": f"+{70_000 + row}", "15": f"{number}"} for row in range(300))
            rows = [Row(each, "0B", "주식체결", "005930") for each in values]
            ground.ledger.witness(rows)
            peer.connection.send_records(rows)
        ground.network.settle()


# Tokens.


def refuse_token(ground: Ground) -> None:
    ground.service.dead_tokens.add(ground.token)
    ground.exchange.drop()


def no_token(error: KiwoomError) -> Callable[[Ground], AbstractContextManager[None]]:
    @contextmanager
    def apply(ground: Ground) -> Iterator[None]:
        ground.token_error = error
        refuse_token(ground)
        yield
        ground.token_error = None

    return apply


# What the network does.


def unreachable(error: str) -> Callable[[Ground], AbstractContextManager[None]]:
    @contextmanager
    def apply(ground: Ground) -> Iterator[None]:
        ground.network.unreachable = error
        ground.network.reset()
        yield
        ground.network.unreachable = None

    return apply


@contextmanager
def black_hole(ground: Ground) -> Iterator[None]:
    ground.network.black_hole = True
    yield
    ground.network.black_hole = False


@contextmanager
def deaf(ground: Ground) -> Iterator[None]:
    ground.network.deaf = True
    yield
    ground.network.deaf = False


@contextmanager
def blocked(ground: Ground) -> Iterator[None]:
    ground.network.blocked = True
    yield
    ground.network.blocked = False


def slow(speed: float) -> Callable[[Ground], AbstractContextManager[None]]:
    @contextmanager
    def apply(ground: Ground) -> Iterator[None]:
        ground.network.speed = speed
        yield
        ground.network.speed = None

    return apply


@contextmanager
def byte_at_a_time(ground: Ground) -> Iterator[None]:
    ground.network.chunk = 1
    yield
    ground.network.chunk = None


def drop(ground: Ground) -> None:
    ground.exchange.drop()


def kick(ground: Ground) -> None:
    ground.exchange.kick()


def reset(ground: Ground) -> None:
    ground.network.reset()


def half_open(ground: Ground) -> None:
    ground.network.half_open()


NONSENSE = (b"{]", b"", b"null", b"[]", b'{"trnm":5}', b'{"trnm":"REAL","data":[1,{}]}', b'{"trnm":"NEWS"}')
TOO_MANY = TokenRefused("", "Too Many Requests", 429)
NO_JSON = TokenRefused("", "an HTML page where JSON belongs", 200)
BRIEF = (1, CONFIG.ack_timeout - 0.5)
"""Seconds for which silence is no news."""
STREAMING = (Moment.STREAMING,)
WAIT = attrs.evolve(CONFIG, takeover="wait", takeover_wait=20)
RECONNECT = attrs.evolve(CONFIG, takeover="reconnect")

CATALOGUE = (
    Fault("server drops the connection", at_once(drop), says="was cut", moments=CONNECTED),
    Fault("server stalls for long", stall, (IDLE + 1, IDLE + 60), says="_timeout", moments=STREAMING),
    Fault("server stalls for a while", stall, BRIEF, loses=False, moments=STREAMING),
    Fault("server stalls at any time", stall, (1, 60), loses=None, moments=CONNECTED),
    Fault("server sends nonsense", garbage(*NONSENSE), loses=False, moments=CONNECTED[:3], undecodable=8),
    Fault("server sends bad UTF-8", garbage(b"\xff\xfe"), says="violation", moments=CONNECTED[:3]),
    Fault("server kicks; waiting", at_once(kick), says="R10001", moments=LOGGED_IN, config=WAIT),
    Fault("server kicks; reconnecting", at_once(kick), says="R10001", moments=LOGGED_IN, config=RECONNECT),
    Fault("acknowledgement is lost", lost_ack, (6, 9), says="ack_timeout", moments=STREAMING, patient=False),
    Fault("acknowledgements are too late", late_ack, (1, 60), loses=None),
    Fault("acknowledgements are slow", slow_ack, (1, 20), loses=False, moments=LOGGED_IN),
    Fault("searches are not answered", mute_conditions, (1, 60), loses=False, moments=CONDITIONS, patient=False),
    Fault("searches are answered too late", late_conditions, (1, 60), loses=False, moments=RESUMED, patient=False),
    Fault("server splits every byte", split, (1, 5), loses=False),
    Fault("server cuts every 3 s", flapping, (60, 180)),
    Fault("server was restarted", restart, (0, 0)),
    Fault("server is gone for minutes", restart, (30, 300), says="refused"),
    Fault("server is gone for hours", restart, (7200, 10800), says="refused", moments=STREAMING),
    Fault("HTTP 401", http_401, (5, 100), says="HTTP 401"),
    Fault("HTTP 502 with a page", answers(maintenance), (5, 100), says="HTTP 502"),
    Fault("no WebSocket server", answers(not_http), (5, 100), says="handshake"),
    Fault("cut in mid-handshake", answers(half_a_handshake), (5, 100), says="opening handshake"),
    Fault("close 1000 before the login", answers(says_goodbye), (5, 100), says="1000"),
    Fault("LOGIN is not answered", answers(accept_handshake, cuts=False), (12, 100), says="login_timeout"),
    Fault("LOGIN refused for the token", at_once(refuse_token), says="8005"),
    Fault("token server: HTTP 429", no_token(TOO_MANY), (5, 100), says="429"),
    Fault("token server: a page", no_token(NO_JSON), (5, 100), says="page"),
    Fault("burst of rows", at_once(burst), loses=False, moments=LOGGED_IN),
    Fault("reset", at_once(reset), says="reset by peer", moments=CONNECTED),
    Fault("half-open", at_once(half_open), says="_timeout", moments=CONNECTED),
    Fault("black hole", black_hole, (IDLE + 1, 100), says="_timeout"),
    Fault("black hole for a while", black_hole, BRIEF, loses=False, moments=STREAMING),
    Fault("nothing comes in", deaf, (IDLE + 1, 100), says="_timeout"),
    Fault("program blocks its loop", blocked, (65, 200), says="10002", moments=STREAMING),
    Fault("program blocks its loop for a while", blocked, (1, 45), loses=None, moments=STREAMING),
    Fault("slow link", slow(20_000), (5, 20), loses=False),
    Fault("link far too slow", slow(60), (20, 60), loses=None, transit=120),
    Fault("byte at a time", byte_at_a_time, (1, 10), loses=False),
    Fault("no such host", unreachable("Name or service not known"), (5, 100), says="not known"),
    Fault("connection refused", unreachable("connection refused"), (5, 100), says="refused"),
    Fault("TLS not to be verified", unreachable("certificate verify failed"), (5, 100), says="verify"),
)  # fmt: skip

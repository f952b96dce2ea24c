"""What is fuzzed: functions of bytes that return nothing and raise only where the library is wrong.

`python -m tests.fuzz` feeds them with what a coverage-guided fuzzer thinks of, `test_corpus` with what it found before.
Each says how it reads its bytes. Where an input begins with a byte "splits", that byte tells in which pieces the rest
arrives; what comes of it must not depend on that.
"""

from __future__ import annotations

import json
import math
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kiwoom_proto import (
    MOCK,
    PRODUCTION,
    AppKey,
    ClientConfig,
    ClientConnection,
    Closed,
    KiwoomError,
    LinkNeeded,
    LocalProtocolError,
    MessageDecoder,
    Record,
    Request,
    ServerConnection,
    Session,
    SystemNotice,
    TokenNeeded,
    UnknownMessage,
)
from kiwoom_proto import rest as rest_api
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.config import ServerConfig
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import RequestReceived
from kiwoom_proto.errors import FieldError, TokenError
from kiwoom_proto.events import RequestAccepted, RequestRefusal, RequestUnanswered
from kiwoom_proto.realtime.catalogue import REALTIME, codes_of_scope
from kiwoom_proto.realtime.layout import read_fids
from kiwoom_proto.realtime.traits import Scope
from kiwoom_proto.rest.errors import RestError
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.simulator.rest.http import HttpRequest, HttpServer
from kiwoom_proto.testing import ManualClock, SimulatedNetwork
from kiwoom_proto.wire.messages import Ping, Reply
from kiwoom_proto.wire.websocket import WebSocketClient, WebSocketServer

from ..proto.wire import CLOSE, TEXT, CountingBytes, accept_handshake, frame, parse_frames, text
from .recording import recording
from .rest import rest

__all__ = ("TARGETS",)

TOKEN = "T0ken-of-the-fuzzer"
APPKEY = "appkey-of-the-fuzzer"
SECRET = "secretkey-of-the-fuzzer"
RECEIVED_AT = 1_790_000_000_000_000_000
MAX_SIZE = 300
"""Largest WebSocket message here: small, so that the limit is met."""
WITHOUT_ITEM = codes_of_scope(REALTIME, Scope.ACCOUNT, Scope.MARKET)
REQUEST = (
    b"GET /api/dostk/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LOGGED_IN = b'{"trnm":"LOGIN","return_code":0,"return_msg":""}'


def pieces(data: bytes, splits: int) -> Iterator[bytes]:
    """Cut data: 0 not at all, 1 into single bytes, else at random but always in the same places."""
    if splits == 0 and data:
        yield data
    draw = random.Random(splits)
    position = 0
    while splits and position < len(data):
        size = 1 if splits == 1 else draw.choice((1, 1, 2, 3, 7, 20, 100))
        yield data[position : position + size]
        position += size


# The decoder: the input is a message.


def decoder(data: bytes) -> None:
    messages = MessageDecoder().decode(data, RECEIVED_AT)
    assert messages == MessageDecoder().decode(data, RECEIVED_AT), "the same message says the same twice"
    number = 0
    for message in messages:
        assert isinstance(message, Record | Ping | Reply | SystemNotice | UnknownMessage)
        repr(message)
        if isinstance(message, Record | SystemNotice | UnknownMessage):
            number += 1
            assert message.sequence == number, "numbered in its order"
        if isinstance(message, Record):
            check_record(message)
        elif isinstance(message, UnknownMessage):
            assert message.payload in data or len(messages) == 1
    taken: list[Any] = []
    rest = MessageDecoder().take_rows((data,), RECEIVED_AT, taken)
    if rest is None:
        assert taken == messages and [record.sequence for record in taken] == [1]
        if is_json(taken[0].values):
            tolerant = MessageDecoder().decode_other(data, RECEIVED_AT)
            assert tolerant == taken, "the tolerant way reads a proper message as the fast way does"
            assert [one.sequence for one in tolerant if isinstance(one, Record)] == [1]
    else:
        assert rest is data and not taken
    check_known(data, messages)


def check_known(data: bytes, messages: list[Any]) -> None:
    """It makes no difference whether the envelope was met before, which it is here with nothing in it."""
    end = data.find(b"}")
    brace = data.find(b"{")
    for _ in range(6):
        if brace < 0 or brace > end:
            break
        known = MessageDecoder()
        known.decode(data[: brace + 1] + data[end:])
        assert said(known.decode(data, RECEIVED_AT)) == said(messages), "a known envelope changes nothing"
        assert said(known.decode(data, RECEIVED_AT)) == said(messages)
        brace = data.find(b"{", brace + 1)


def said(messages: list[Any]) -> list[object]:
    """What was decoded, without the numbers."""
    return [
        (type(one), one.values, one.to_dict()) if isinstance(one, Record) else (type(one), repr(one))
        for one in messages
    ]


def is_json(values: bytes) -> bool:
    try:
        msgspec.json.decode(values)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def check_record(record: Record) -> None:
    hash(record)
    fids, broken = read_fids(record.values)
    assert record.fid("99999") == fids.get("99999")
    for name, field in record.fields.items():
        text = record.fid(field.fid)
        assert text == fids.get(field.fid)
        try:
            value = getattr(record, name)
            if field.kind.directional:
                record.direction(name)
        except FieldError as error:
            str(error)
            assert error.text == text and (text is not None or broken)
        else:
            assert value is None or text is not None
            assert text is not None or not broken, "nobody knows it, so that is said"
    for derived in ("symbol", "exchange_time", "asks", "bids", "sellers", "buyers"):
        try:
            getattr(record, derived, None)
        except FieldError:
            pass
    repr(record)
    members = record.to_dict(masked=False)
    json.dumps(members)
    assert type(record).from_dict(members) == record, "to_dict loses nothing"
    copy = pickle.loads(pickle.dumps(record))
    assert copy == record and copy.sequence == record.sequence, "pickle loses nothing"
    assert copy.fids() == fids


# A REST reply: the first byte picks one of REPLY_TYPES, the rest is the body.

REPLY_TYPES: tuple[type[rest_api.Request[Any]], ...] = (
    rest_api.TickChart,
    rest_api.StockQuote,
    rest_api.StockInfo,
    rest_api.AccountBalance,
    rest_api.OpenOrders,
    rest_api.UsMinuteChart,
    rest_api.TokenIssue,
)


def reply(data: bytes) -> None:
    if not data:
        return
    cls, body = REPLY_TYPES[data[0] % len(REPLY_TYPES)], data[1:]
    try:
        found: Any = cls.reply_type.decode(body)
    except RestError as error:
        assert cls.api_id in str(error)
        repr(error)
        return
    assert found == cls.reply_type.decode(body), "the same body says the same twice"
    try:
        assert cls.decode(body) == found
    except RestError:
        assert not found.is_success
    members = [found, *(found.rows if cls.list_element is not None else ())]
    for values in members:
        hash(values)
        repr(values)
        json.dumps(values.to_dict())
        json.dumps(values.to_dict(masked=False))
        assert pickle.loads(pickle.dumps(values)) == values, "pickle loses nothing"
        for name, element in values.elements.items():
            text = values.element(name)
            assert text is None or type(text) is str
            try:
                value = getattr(values, element.attribute)
            except FieldError as error:
                assert error.text == text and cls.api_id in str(error)
            else:
                assert value is None or isinstance(value, element.kind.python_type)
                assert value is None or text is not None
    if cls.reply_type.row_type is not None or found.unknown:
        return
    assert cls.reply_type._decode_tolerantly(body) == found, "both ways give the same"


# A WebSocket, either end: mode, splits, then what comes after a proper opening handshake.


def websocket(data: bytes) -> None:
    if len(data) < 2:
        return
    make = make_server if data[0] & 1 else make_client
    outcomes = []
    for splits in {0, 1, data[1]}:
        end = make()
        messages: list[bytes] = []
        out = b""
        for piece in pieces(data[2:], splits):
            messages += end.receive_data(piece)
            out += end.data_to_send()
        before = describe(end)
        end.receive_eof()
        end.receive_eof()
        out += end.data_to_send()
        assert not end.receive_data(b"\x81\x00"), "nothing comes after the end"
        assert end.is_closed
        for message in messages:
            assert len(message) <= MAX_SIZE, "the size limit holds"
            if type(message) is bytes:
                message.decode()
        parse_frames(out)
        outcomes.append((messages, [type(message) for message in messages], out, before, describe(end)))
    assert all(outcome == outcomes[0] for outcome in outcomes), f"split differently: {outcomes}"


def make_client() -> WebSocketClient:
    client = WebSocketClient("ws://localhost/", max_size=MAX_SIZE, random_bytes=CountingBytes())
    client.connect()
    client.receive_data(accept_handshake(client.data_to_send()))
    assert client.is_open
    return client


def make_server() -> WebSocketServer:
    server = WebSocketServer(max_size=MAX_SIZE, on_request=lambda path, headers: (101, []))
    server.receive_data(REQUEST)
    assert server.is_open and server.data_to_send()
    return server


def describe(end: WebSocketClient | WebSocketServer) -> object:
    return end.is_open, end.is_closing, end.is_closed, end.close_received, end.close_sent, repr(end.error)


# A connection that is logged in: splits, then lines. A line is a message of the server's, or
#   ~N  one of MESSAGES    !N  a call    +N  time passes    =bytes  bytes outside a frame    .  end of the stream

MESSAGES = (
    b'{"trnm":"PING"}',
    b'{"trnm":"REG","return_code":0,"return_msg":""}',
    b'{"trnm":"REMOVE","return_code":0,"return_msg":""}',
    b'{"trnm":"REG","return_code":105110,"return_msg":"too fast"}',
    b'{"trnm":"CNSRLST","return_code":0,"return_msg":"","data":[["0","a"],["1","b"]]}',
    b'{"trnm":"CNSRREQ","return_code":0,"return_msg":"","seq":"0","data":[{"jmcode":"A005930"}]}',
    b'{"trnm":"CNSRREQ","return_code":900003,"return_msg":"registered"}',
    b'{"trnm":"CNSRCLR","return_code":0,"return_msg":"","seq":"0"}',
    b'{"trnm":"SYSTEM","code":"R10001","message":"elsewhere"}',
    b'{"data":[{"values":{"20":"160000","10":"-100"},"type":"0B","name":"x","item":"005930"}],"trnm":"REAL"}',
    b'{"trnm":"REMOVE","return_code":100002,"return_msg":"no"}',
)
CALLS: tuple[Callable[[ClientConnection], object], ...] = (
    lambda client: client.subscribe("0B", "005930"),
    lambda client: client.subscribe("0E", *(f"{number:06}" for number in range(5))),
    lambda client: client.unsubscribe("0B", "005930"),
    lambda client: client.list_conditions(),
    lambda client: client.search_condition("0", realtime=True),
    lambda client: client.search_condition("1"),
    lambda client: client.clear_condition("0"),
    lambda client: client.close(),
    lambda client: client.close(4000, "tired"),
)
WAITS = (0.0, 0.01, 0.2, 0.35, 1.0, 5.0, 10.0, 60.0)


def connection(data: bytes) -> None:
    if not data:
        return
    whole, split = (talk(data[1:].split(b"\n"), splits) for splits in (0, data[0]))
    compare(whole, split)


def talk(lines: list[bytes], splits: int) -> tuple[list[str], bytes]:
    clock = ManualClock(1000.0)
    config = ClientConfig(max_message_size=4096, items_per_request=2)
    client = ClientConnection(MOCK, config, clock=clock, random_bytes=CountingBytes())
    client.connect(TOKEN)
    client.receive_data(accept_handshake(client.data_to_send()))
    client.receive_data(text(LOGGED_IN))
    assert client.state is ConnectionState.READY
    watch = Watch(client, b"".join(lines))
    for line in lines:
        command, argument = line[:1], line[1] if len(line) > 1 else 0
        sent = b""
        if command == b"~":
            sent = text(MESSAGES[argument % len(MESSAGES)])
        elif command == b"!":
            try:
                CALLS[argument % len(CALLS)](client)
            except LocalProtocolError:
                assert client.state in (ConnectionState.CLOSING, ConnectionState.CLOSED)
        elif command == b"+":
            clock.advance(WAITS[argument % len(WAITS)])
            client.handle_timeout()
            due = client.next_timeout()
            assert due is None or due > clock.now, "what was due is done"
        elif command == b"=":
            sent = line[1:]
        elif command == b".":
            client.receive_eof("reset" if argument else None)
        else:
            sent = text(line)
        for piece in pieces(sent, splits):
            client.receive_data(piece, RECEIVED_AT)
            watch.look()
        watch.look()
    client.receive_eof()
    watch.look()
    assert watch.closed
    return watch.seen, watch.sent


def compare(whole: tuple[list[str], bytes], split: tuple[list[str], bytes]) -> None:
    """The same must have been reported and sent; but where the connection ends in the middle of what was received,
    an answer to what came before it in the same bytes is too late to be sent."""
    assert whole[0] == split[0], f"split differently: {whole} {split}"
    if whole[1] == split[1]:
        return
    frames, more = (parse_frames(after_head(sent)) for sent in (whole[1], split[1]))
    assert frames[-1].opcode == more[-1].opcode == CLOSE, f"sent differently: {whole} {split}"
    texts, more_texts = ([one.payload for one in sent if one.opcode == TEXT] for sent in (frames, more))
    assert texts == more_texts[: len(texts)], f"sent differently: {whole} {split}"


def after_head(sent: bytes) -> bytes:
    """What an end sent after the opening handshake."""
    return sent.partition(b"\r\n\r\n")[2] if sent.startswith(b"HTTP/") else sent


class Watch:
    """Looks at a client's connection after every step. Attributes: what it reported, sent, and whether it is over."""

    def __init__(self, client: ClientConnection, received: bytes) -> None:
        self.seen: list[str] = []
        self.sent = b""
        self.closed = False
        self._client = client
        self._number = 0
        self._answered: set[Request] = set()
        self._may_show_token = TOKEN.encode() in received  # the server may say what it likes, and is quoted

    def look(self) -> None:
        client = self._client
        for event in client.events():
            assert not self.closed, "nothing comes after Closed"
            self._number += 1
            assert event.sequence == self._number, "numbered without a hole"
            if isinstance(event, RequestAccepted | RequestRefusal | RequestUnanswered):
                assert event.request not in self._answered, "a request is answered once"
                self._answered.add(event.request)
            self.closed = isinstance(event, Closed)
            self.seen.append(f"{event!r} {event}" if self.closed else repr(event))
            assert self._may_show_token or TOKEN not in self.seen[-1]
        sent = client.data_to_send()
        if sent:
            parse_frames(sent)
            self.sent += sent
        assert self.closed == (client.state is ConnectionState.CLOSED)
        due = client.next_timeout()
        assert (due is None) == self.closed, "there is a deadline until the end"
        assert due is None or math.isfinite(due)
        repr(client)


# HTTP: mode, splits, then the bytes of an answer (or of a request) and the end of the stream.


def http(data: bytes) -> None:
    if len(data) < 2:
        return
    mode, rest = data[0] % 4, data[2:]
    if mode == 2:
        compare(open_websocket(rest, 0), open_websocket(rest, data[1]))
        return
    ask = {0: issue, 1: revoke, 3: serve_http}[mode]
    outcomes = [ask(rest, splits) for splits in (0, data[1])]
    assert outcomes[0] == outcomes[1], f"split differently: {outcomes}"


def issue(data: bytes, splits: int) -> object:
    return call(data, splits, None)


def revoke(data: bytes, splits: int) -> object:
    return call(data, splits, TOKEN)


def call(data: bytes, splits: int, token: str | None) -> object:
    asked = TokenCall(PRODUCTION, AppKey(APPKEY, SECRET), token)
    assert asked.data_to_send() and not asked.data_to_send()
    for piece in pieces(data, splits):
        asked.receive_data(piece)
    asked.receive_eof()
    asked.receive_eof()
    asked.receive_data(b"HTTP/1.1 200 OK\r\n\r\n")
    assert asked.finished
    try:
        found = asked.result()
    except KiwoomError as error:
        assert isinstance(error, TokenError) or type(error).__name__ == "TransportError"
        shown = f"{error} {error!r}"
        for secret in (APPKEY, SECRET, token or SECRET):
            assert secret not in shown, "no secret in any message"
        return shown
    assert (found is None) == (token is not None)
    if found is not None:
        assert found.value and repr(found.value) == "'***'"
        AppKey(APPKEY, SECRET).store(PRODUCTION, found, 1.79e9)
    return found


def open_websocket(data: bytes, splits: int) -> tuple[list[str], bytes]:
    clock = ManualClock(1000.0)
    client = ClientConnection(MOCK, clock=clock, random_bytes=CountingBytes())
    client.connect(TOKEN)
    request = client.data_to_send()
    assert TOKEN.encode() not in request
    watch = Watch(client, data)
    # "\0" in the input stands for the one right answer to the key, which nobody would guess.
    data = data.replace(b"\0", accept_handshake(request).split(b"Sec-WebSocket-Accept: ")[1].strip())
    for piece in pieces(data, splits):
        client.receive_data(piece, RECEIVED_AT)
        watch.look()
    clock.advance(10)
    client.handle_timeout()
    watch.look()
    client.receive_eof()
    watch.look()
    assert watch.closed
    return watch.seen, watch.sent


def serve_http(data: bytes, splits: int) -> object:
    exchange = Exchange(app_keys={APPKEY: SECRET}, tokens={TOKEN: APPKEY}, seed=1, clock=ManualClock(1000.0))

    def take(request: HttpRequest) -> None:
        served.answer(exchange.respond(request).answer)

    served = HttpServer(take)
    out = b""
    for piece in pieces(data, splits):
        served.receive_data(piece)
        out += served.data_to_send()
    assert out.startswith(b"HTTP/1.1 ") == (served.answered > 0 or out.startswith(b"HTTP/1.1 100 "))
    assert not served.finished or served.answered
    return out


# A session: bytes are taken one by one, as operations and their arguments.

ITEMS = ("005930", "000660", "005930_NX", "005930_AL", "035720", "0004V0")
TYPES = ("0B", "0E", "00", "0D", "04")
PAUSES = (0.0, 0.01, 0.1, 0.4, 1.0, 3.0, 8.0, 25.0)
LIFETIME = 80.0
"""Seconds that the operations of one input may take."""


class Bytes:
    """An input, taken byte by byte; zeros after its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, limit: int) -> int:
        self._position += 1
        return self._data[self._position - 1] % limit if self._position <= len(self._data) else 0

    def text(self) -> bytes:
        size = self.take(64)
        self._position += size
        return self._data[self._position - size : self._position]


class Life:
    """A session, its exchange and the network between them, and what is known of the calls made."""

    def __init__(self, source: Bytes) -> None:
        self.source = source
        self.clock = ManualClock(100.0)
        config = ClientConfig(
            open_timeout=4,
            login_timeout=4,
            ack_timeout=2,
            idle_timeout=15,
            close_timeout=2,
            token_timeout=3,
            request_interval=(0.35, 0.0)[source.take(2)],
            items_per_request=3,
            item_limit=4,
            connect_timeout=1000,
            backoff_min=0.5,
            backoff_max=4,
            takeover=("reconnect", "wait")[source.take(2)],
            takeover_wait=5,
            takeover_limit=100,
        )
        self.session = Session(
            PRODUCTION, config, clock=self.clock, random=random.Random(1).random, random_bytes=CountingBytes()
        )
        self.exchange = Exchange(clock=self.clock, rate=0.2, tokens={TOKEN: "key"})
        self.network = SimulatedNetwork(self.session, self.exchange, self.clock, self.give_token)
        self.bad_tokens = 0
        self.forged = False
        self.until = self.clock.now + LIFETIME
        self.open: dict[Request, None] = {}  # calls that wait for their answer
        self.answered: set[Request] = set()
        self._looked_at = 0
        self._last = (0, 0)
        self._closed = False
        self.session.connect(None if source.take(2) else TOKEN, renewable=True)

    def give_token(self, refused: bool) -> str | KiwoomError:
        if self.bad_tokens:
            self.bad_tokens -= 1
            return TokenError("not now") if self.bad_tokens % 2 else "bad"
        return TOKEN

    def look(self) -> None:
        """Check everything that must hold at any time."""
        session, events = self.session, self.network.events
        for event in events[self._looked_at :]:
            assert not self._closed, "nothing comes after Closed"
            assert event.sequence > self._last[1] and event.epoch >= self._last[0], f"numbers go back: {event}"
            self._last = event.epoch, event.sequence
            self._closed = isinstance(event, Closed)
            if isinstance(event, RequestAccepted | RequestRefusal | RequestUnanswered):
                assert event.request not in self.answered, "a call is answered once"
                self.answered.add(event.request)
                self.open.pop(event.request, None)
            assert TOKEN not in f"{event!r}"
        self._looked_at = len(events)
        state, needs, due = session.state, session.needs, session.next_timeout()
        assert self._closed == (state is SessionState.CLOSED)
        if state in (SessionState.CLOSED, SessionState.WAITING):
            assert needs is None
        elif state is SessionState.AUTHORIZING:
            assert isinstance(needs, TokenNeeded)
        else:
            assert isinstance(needs, LinkNeeded) and needs.epoch == session.epoch
        assert (due is None) == self._closed, "there is a deadline until the end"
        assert due is None or math.isfinite(due)
        found = [(one.group, one.type, one.item) for one in session.subscriptions]
        assert len(found) == len(set(found))
        wanted = {one.item for one in session.subscriptions if one.consumers and one.group and one.item}
        assert len(wanted) <= (session.config.item_limit or 0)
        assert not (session.is_settled and state is not SessionState.READY)
        repr(session)

    def advance(self, seconds: float) -> None:
        self.network.advance(max(0.0, min(seconds, self.until - self.clock.now)))
        self.look()

    def ask(self, call: Callable[[], Request]) -> None:
        try:
            self.open[call()] = None
        except LocalProtocolError as error:
            closed = self.session.state in (SessionState.CLOSING, SessionState.CLOSED)
            assert closed or type(error).__name__ == "QuotaExceeded", error

    def heal(self) -> None:
        """Let everything work again: now what is wanted must come about, unless the session is over."""
        network, faults = self.network, self.exchange.faults
        network.unreachable, network.black_hole, network.deaf, network.chunk, network.speed = (
            None,
            False,
            False,
            None,
            None,
        )
        faults.ack_delay, faults.lose_acks, faults.split, faults.http_status = 0.0, 0, False, 101
        self.bad_tokens = 0
        self.exchange.resume()
        network.settle()
        self.look()
        self.until = math.inf
        for _ in range(8):
            self.advance(10)
            if self._closed or (self.session.is_settled and not self.open):
                break
        if self._closed:
            return
        assert self.session.is_settled, f"not settled: {self.session} {self.session.subscriptions}"
        assert not self.open, f"calls without an answer: {self.open}"
        for one in self.session.subscriptions:
            assert one.consumers > 0, f"nobody wants it: {one}"
            told = (SubscriptionState.CONFIRMED, SubscriptionState.RECEIVING, SubscriptionState.REFUSED)
            assert one.state in told and (one.state is SubscriptionState.REFUSED) == bool(one.reason), f"{one}"
        peer = self.exchange.links[-1]
        wanted = {(one.group, one.type, one.item) for one in self.session.subscriptions if one.group and not one.reason}
        registered = {(group, *pair) for group, pairs in peer.registered.items() for pair in pairs}
        assert self.forged or wanted == registered, f"wanted {wanted}, registered {registered}"


def what(source: Bytes) -> tuple[str, tuple[str, ...]]:
    """A type, and an item where it takes one."""
    type_, item = TYPES[source.take(len(TYPES))], ITEMS[source.take(len(ITEMS))]
    return type_, () if type_ in WITHOUT_ITEM else (item,)


def step(life: Life) -> None:
    """Do one operation."""
    source, session, network, exchange = life.source, life.session, life.network, life.exchange
    match source.take(24):
        case 0 | 1 | 2:
            type_, items = what(source)
            how = source.take(8)
            group, replace, fresh = str(1 + how % 2), how == 7, 2.0 if how & 4 else None
            life.ask(lambda: session.subscribe(type_, *items, group=group, replace=replace, fresh_within=fresh))
        case 3 | 4:
            type_, items = what(source)
            group = str(1 + source.take(2))
            life.ask(lambda: session.unsubscribe(type_, *items, group=group))
        case 5:
            life.ask(session.list_conditions)
        case 6:
            seq, live = str(source.take(3)), bool(source.take(2))
            life.ask(lambda: session.search_condition(seq, realtime=live))
        case 7:
            seq = str(source.take(3))
            life.ask(lambda: session.clear_condition(seq))
        case 8 | 9 | 10:
            life.advance(PAUSES[source.take(len(PAUSES))])
        case 11:
            network.reset()
        case 12:
            exchange.drop()
        case 13:
            exchange.kick()
        case 14:
            network.unreachable = None if network.unreachable else "connection refused"
        case 15:
            network.black_hole = not network.black_hole
        case 16:
            network.deaf = not network.deaf
        case 17:
            network.chunk = (None, 1, 3, 50)[source.take(4)]
        case 18:
            exchange.faults.lose_acks = source.take(3)
            exchange.faults.ack_delay = (0.0, 0.5, 3.0)[source.take(3)]
            exchange.faults.http_status = (101, 101, 503)[source.take(3)]
        case 19:
            if source.take(2):
                exchange.stall()
            else:
                exchange.resume()
        case 20:
            if life.open:
                request = tuple(life.open)[source.take(len(life.open))]
                del life.open[request]
                session.withdraw(request)
        case 21:
            life.forged = True
            if exchange.links and exchange.links[-1].state in (ConnectionState.LOGGING_IN, ConnectionState.READY):
                exchange.garbage(MESSAGES[source.take(len(MESSAGES))], exchange.links[-1])
        case 22:
            life.forged = True
            session.receive_data(source.text(), RECEIVED_AT)
        case 23:
            if source.take(8) == 7:
                session.close()
            else:
                life.bad_tokens = source.take(4)
    network.settle()
    life.look()


def session(data: bytes) -> None:
    source = Bytes(data)
    life = Life(source)
    life.network.settle()
    life.look()
    for _ in range(100):
        if source.left <= 0:
            break
        step(life)
    life.heal()


# The server's end: mode, splits, then bytes from the very beginning (0), after the opening handshake (1), or lines to a
# simulated exchange (2); 3 is 0 to a simulated exchange. A line is a text message, or
#   +N  time passes    @N  the lines that follow come from another of CLIENTS clients    =bytes  bytes outside a frame
# Beside them an honest client of that exchange must go on.


def server(data: bytes) -> None:
    if len(data) < 2:
        return
    mode, rest = data[0] % 4, data[2:]
    if mode < 2:
        compare(serve(rest, 0, opened=mode == 1), serve(rest, data[1], opened=mode == 1))
    else:
        exchange_with(rest, data[1], lines=mode == 2)


def serve(data: bytes, splits: int, *, opened: bool) -> tuple[list[str], bytes]:
    clock = ManualClock(100.0)
    end = ServerConnection(ServerConfig(max_message_size=MAX_SIZE), clock=clock)
    seen: list[str] = []
    out = b""
    for piece in (*((REQUEST,) if opened else ()), *pieces(data, splits)):
        end.receive_data(piece)
        for event in end.events():
            seen.append(repr(event))
            if isinstance(event, RequestReceived):
                try:
                    event.request.registrations()
                except ValueError:
                    pass
                end.accept(event.request)
        out += end.data_to_send()
    clock.advance(20)
    end.handle_timeout()
    end.receive_eof()
    seen += [repr(event) for event in end.events()]
    assert end.state is ConnectionState.CLOSED and end.next_timeout() is None
    assert sum(event.startswith("Closed(") for event in seen) == 1 and seen[-1].startswith("Closed(")
    return seen, out + end.data_to_send()


CLIENTS = 3
PAIR = b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":["005930"],"type":["0E"]}]}'


class Honest:
    """A client of an exchange that has one item registered and answers PINGs, whatever else happens there."""

    def __init__(self, exchange: Exchange) -> None:
        self._peer = exchange.connect(("localhost",))
        self._say(REQUEST)
        self._say(frame(TEXT, b'{"trnm":"LOGIN","token":"honest"}', mask=b"abcd"))

    def register(self) -> None:
        self._say(frame(TEXT, PAIR, mask=b"abcd"))

    def _say(self, data: bytes) -> None:
        self._peer.receive_data(data)
        self.look()

    def look(self) -> bytes:
        """Read what came, and echo PINGs."""
        sent = self._peer.data_to_send()
        if b'{"trnm":"PING"}' in sent:
            self._peer.receive_data(frame(TEXT, b'{"trnm":"PING"}', mask=b"abcd"))
        assert self._peer.state in (ConnectionState.LOGGING_IN, ConnectionState.READY), "it is still there"
        return sent


def exchange_with(data: bytes, splits: int, *, lines: bool) -> None:
    clock = ManualClock(100.0)
    exchange = Exchange(clock=clock, rate=0.2, app_keys={APPKEY: SECRET}, tokens={TOKEN: "key", "honest": "honest"})
    honest = Honest(exchange)
    clock.advance(0.1)
    exchange.handle_timeout()
    honest.register()
    peers = [exchange.connect(("localhost",))]
    peer = peers[0]
    steps = [REQUEST, *data.split(b"\n")] if lines else list(pieces(data, splits))
    for number, line in enumerate(steps):
        argument = line[1] if len(line) > 1 else 0
        if lines and line[:1] == b"+":
            clock.advance(PAUSES[argument % 6])
            exchange.handle_timeout()
        elif lines and line[:1] == b"@":
            if argument % CLIENTS >= len(peers):
                peers.append(exchange.connect(("localhost",)))
                peers[-1].receive_data(REQUEST)
            peer = peers[argument % len(peers)]
        elif lines and number:
            sent = line[1:] if line[:1] == b"=" else frame(TEXT, line, mask=b"\0\0\0\0")
            for piece in pieces(sent, splits):
                peer.receive_data(piece)
        else:
            peer.receive_data(line)
        for one in peers:
            while one.data_to_send():
                pass
            assert (one in exchange.links) == (one.state is not ConnectionState.CLOSED)
        honest.look()
        due = exchange.next_timeout()
        assert due is None or math.isfinite(due)
    for one in peers:
        one.receive_eof()
        assert one not in exchange.links and one.state is ConnectionState.CLOSED
    clock.advance(9)
    exchange.handle_timeout()
    honest.look()


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "decoder": decoder,
    "websocket": websocket,
    "connection": connection,
    "http": http,
    "session": session,
    "server": server,
    "recording": recording,
    "rest": lambda data: rest(data, pieces),
    "reply": reply,
}

"""The WebSocket, both ends: what comes in as bytes goes out as messages, however the bytes were cut."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from kiwoom_proto import MOCK, ClientConnection
from kiwoom_proto.errors import HandshakeError
from kiwoom_proto.headers import MAX_ANSWER, RequestHeader
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.websocket import FRAME_SIZE, FRAMES, BinaryMessage, WebSocketClient, WebSocketServer

from .wire import (
    BINARY,
    CLOSE,
    CONT,
    LOGIN_OK,
    MASK,
    PING,
    PONG,
    TEXT,
    TOKEN,
    CountingBytes,
    WireFrame,
    accept_handshake,
    accept_key,
    close,
    close_payload,
    frame,
    one_by_one,
    parse_frames,
    text,
)

URL = "ws://example.test:10000/api/dostk/websocket"
MAX = 70_000
KOREAN = "주식시간외호가".encode()
BAD_UTF8 = {
    "wrong first byte": b"abc\xff",
    "cut short": KOREAN[:-1],
    "surrogate": b"\xed\xa0\x80",
    "overlong": b"\xc0\xaf",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "lone continuation": b"\x80",
}

Feed = Callable[["WebSocketClient | WebSocketServer", bytes], list[bytes]]


def feed_whole(websocket: WebSocketClient | WebSocketServer, data: bytes) -> list[bytes]:
    return websocket.receive_data(data)


def feed_one_by_one(websocket: WebSocketClient | WebSocketServer, data: bytes) -> list[bytes]:
    return [message for piece in one_by_one(data) for message in websocket.receive_data(piece)]


def feed_with_offset(websocket: WebSocketClient | WebSocketServer, data: bytes) -> list[bytes]:
    """Pieces that end nowhere near the end of a frame."""
    return [message for at in range(0, len(data), 7) for message in websocket.receive_data(data[at : at + 7])]


FEEDS: dict[str, Feed] = {
    "whole": feed_whole,
    "byte by byte": feed_one_by_one,
    "seven bytes at a time": feed_with_offset,
}


@pytest.fixture(params=FEEDS)
def feed(request: pytest.FixtureRequest) -> Feed:
    """One of the ways in which bytes may be cut."""
    return FEEDS[request.param]


def open_client(max_size: int = MAX) -> WebSocketClient:
    """A client's end with its opening handshake behind it."""
    client = WebSocketClient(URL, max_size=max_size, random_bytes=CountingBytes())
    client.connect()
    assert client.receive_data(accept_handshake(client.data_to_send())) == []
    assert client.is_open
    return client


def accept(path: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
    return 101, []


REQUEST = (
    b"GET /api/dostk/websocket HTTP/1.1\r\n"
    b"Host: example.test:10000\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def open_server(max_size: int = MAX) -> WebSocketServer:
    """A server's end with the opening handshake behind it."""
    server = WebSocketServer(max_size=max_size, on_request=accept)
    assert server.receive_data(REQUEST + b"\r\n") == []
    assert server.data_to_send().startswith(b"HTTP/1.1 101 ")
    assert server.is_open
    return server


@dataclass(frozen=True)
class Case:
    """Frames that one end receives, and what must come of them. `close_code` None: the connection stays open."""

    name: str
    data: tuple[tuple[int, bytes, bool], ...] | bytes  # frames as (opcode, payload, fin), or bytes as they are
    messages: tuple[bytes, ...] = ()
    answers: tuple[tuple[int, bytes], ...] = ()
    close_code: int | None = None
    received: int | None = None

    def wire(self, mask: bytes | None) -> bytes:
        if isinstance(self.data, bytes):
            return self.data
        return b"".join(frame(opcode, payload, fin=fin, mask=mask) for opcode, payload, fin in self.data)


def one(opcode: int, payload: bytes = b"", *, fin: bool = True) -> tuple[tuple[int, bytes, bool]]:
    return ((opcode, payload, fin),)


def cut_text(payload: bytes, *at: int) -> tuple[tuple[int, bytes, bool], ...]:
    """A text message in fragments that begin at these positions."""
    ends = [0, *at, len(payload)]
    parts = [payload[start:stop] for start, stop in pairwise(ends)]
    return tuple((CONT if index else TEXT, part, index == len(parts) - 1) for index, part in enumerate(parts))


# What both ends must do alike, whether their peer masks its frames or not.
CASES = [
    Case("short text", one(TEXT, b"hello"), (b"hello",)),
    Case("empty text", one(TEXT), (b"",)),
    Case("Korean text", one(TEXT, KOREAN), (KOREAN,)),
    Case("text with a NUL and a noncharacter", one(TEXT, b"\0\xef\xbf\xbf"), (b"\0\xef\xbf\xbf",)),
    *(Case(f"text of {n} bytes", one(TEXT, b"x" * n), (b"x" * n,)) for n in (125, 126, 127, 65_535, 65_536)),
    Case("text of the largest size", one(TEXT, b"x" * MAX), (b"x" * MAX,)),
    Case("two texts", one(TEXT, b"a") + one(TEXT, b"b"), (b"a", b"b")),
    Case("binary", one(BINARY, b"\0\xff"), (BinaryMessage(b"\0\xff"),)),
    Case("empty binary", one(BINARY), (BinaryMessage(b""),)),
    Case("binary in fragments", one(BINARY, b"\xff", fin=False) + one(CONT, b"\xfe"), (BinaryMessage(b"\xff\xfe"),)),
    Case("text in fragments", cut_text(b"hello", 2, 4), (b"hello",)),
    Case("text in empty fragments", cut_text(b"", 0, 0), (b"",)),
    Case("text cut inside characters", cut_text(KOREAN, 1, 2, 5), (KOREAN,)),
    Case("texts after a fragmented one", (*cut_text(b"ab", 1), *one(TEXT, b"c")), (b"ab", b"c")),
    Case("ping", one(PING, b"p"), (), ((PONG, b"p"),)),
    Case("ping of 125 bytes", one(PING, b"p" * 125), (), ((PONG, b"p" * 125),)),
    Case("pong that nobody asked for", one(PONG, b"p")),
    Case("ping between texts", one(TEXT, b"a") + one(PING, b"p") + one(TEXT, b"b"), (b"a", b"b"), ((PONG, b"p"),)),
    Case(
        "control frames between fragments",
        one(TEXT, KOREAN[:4], fin=False) + one(PING, b"1") + one(PONG) + one(CONT, KOREAN[4:]),
        (KOREAN,),
        ((PONG, b"1"),),
    ),
    Case("close", one(CLOSE, close_payload(1000, b"Bye")), (), (), 1000, 1000),
    Case("close without code", one(CLOSE), (), (), None, 1005),
    Case("close with a private code", one(CLOSE, close_payload(4000)), (), (), 4000, 4000),
    Case("text, then close", one(TEXT, b"a") + one(CLOSE, close_payload(1001)), (b"a",), (), 1001, 1001),
    Case(
        "close inside a fragmented message",
        one(TEXT, b"a", fin=False) + one(CLOSE, close_payload(1000)),
        (),
        (),
        1000,
        1000,
    ),
    Case("close with half a code", one(CLOSE, b"\x03"), (), (), 1002),
    *(
        Case(f"close with code {code}", one(CLOSE, close_payload(code)), (), (), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
    ),
    Case("close with a bad reason", one(CLOSE, close_payload(1000, b"\xff")), (), (), 1007),
    Case("text too large", one(TEXT, b"x" * (MAX + 1)), (), (), 1009),
    Case("binary too large", one(BINARY, b"x" * (MAX + 1)), (), (), 1009),
    Case("fragments too large", cut_text(b"x" * (MAX + 1), 40_000), (), (), 1009),
    Case("good text, then one too large", one(TEXT, b"a") + one(TEXT, b"x" * (MAX + 1)), (b"a",), (), 1009),
    *(Case(f"text that is no UTF-8: {name}", one(TEXT, data), (), (), 1007) for name, data in BAD_UTF8.items()),
    *(
        Case(f"fragments that are no UTF-8: {name}", cut_text(b"ok" + data, 2), (), (), 1007)
        for name, data in BAD_UTF8.items()
    ),
    Case("good text, then bad UTF-8", one(TEXT, b"a") + one(TEXT, b"\xff"), (b"a",), (), 1007),
    *(Case(f"opcode {opcode:#x}", one(opcode), (), (), 1002) for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)),
    *(Case(f"fragmented control frame {opcode:#x}", one(opcode, fin=False), (), (), 1002) for opcode in (8, 9, 10)),
    Case("ping of 126 bytes", one(PING, b"p" * 126), (), (), 1002),
    Case("close of 126 bytes", one(CLOSE, close_payload(1000, b"r" * 124)), (), (), 1002),
    Case("continuation of nothing", one(CONT, b"a"), (), (), 1002),
    Case("text inside a fragmented text", one(TEXT, b"a", fin=False) + one(TEXT, b"b"), (), (), 1002),
    Case("binary inside a fragmented text", one(TEXT, b"a", fin=False) + one(BINARY, b"b"), (), (), 1002),
    Case("good text, then a bad opcode", one(TEXT, b"a") + one(3), (b"a",), (), 1002),
]

# What depends on the mask, or on bytes that `Case.wire` would not make.
CLIENT_CASES = [
    *CASES,
    *(Case(f"reserved bits {rsv:03b}", frame(TEXT, b"a", rsv=rsv), (), (), 1002) for rsv in (1, 2, 4, 7)),
    Case("masked text", frame(TEXT, b"a", mask=MASK), (), (), 1002),
    Case("masked text of 200 bytes", frame(TEXT, b"a" * 200, mask=MASK), (), (), 1002),
    # A mask of zeros changes nothing, and here it would read as a length of 0 in eight bytes.
    Case("masked text of NULs", frame(TEXT, bytes(20), mask=bytes(4)), (), (), 1002),
    Case("masked ping", frame(PING, mask=MASK), (), (), 1002),
    # RFC 6455, 5.2 wants the shortest form of a length; nothing is lost by taking any.
    Case("length 5 in two bytes", frame(TEXT, b"hello", width=2), (b"hello",)),
    Case("length 5 in eight bytes", frame(TEXT, b"hello", width=8), (b"hello",)),
    Case("length 126 in eight bytes", frame(TEXT, b"x" * 126, width=8), (b"x" * 126,)),
    Case(
        "long lengths in fragments",
        frame(TEXT, b"a", fin=False, width=8) + frame(CONT, b"b", width=2),
        (b"ab",),
    ),
    Case("length 2**63", b"\x81\x7f\x80" + bytes(7), (), (), 1009),
    Case("length 2**32", b"\x81\x7f\0\0\0\1" + bytes(4), (), (), 1009),
]
SERVER_CASES = [
    *CASES,
    *(Case(f"reserved bits {rsv:03b}", frame(TEXT, b"a", rsv=rsv, mask=MASK), (), (), 1002) for rsv in (1, 2, 4, 7)),
    Case("text without a mask", frame(TEXT, b"a"), (), (), 1002),
    Case("ping without a mask", frame(PING), (), (), 1002),
    Case("length 5 in eight bytes", frame(TEXT, b"hello", width=8, mask=MASK), (b"hello",)),
    Case("length 2**63", b"\x81\xff\x80" + bytes(7), (), (), 1009),
]


def check(websocket: WebSocketClient | WebSocketServer, case: Case, messages: list[bytes]) -> None:
    """Hold what happened against what must."""
    assert messages == list(case.messages)
    assert [type(message) for message in messages] == [type(message) for message in case.messages]
    masked = isinstance(websocket, WebSocketClient)
    found = parse_frames(websocket.data_to_send())
    assert all(answer.fin and answer.masked is masked for answer in found)
    answers = [(answer.opcode, answer.payload) for answer in found]
    if case.close_code is None and case.received is None:
        assert answers == list(case.answers)
        assert websocket.is_open
        assert (websocket.close_received, websocket.close_sent, websocket.error) == (None, None, None)
        return
    *before, (opcode, payload) = answers
    assert before == list(case.answers)
    assert opcode == CLOSE
    assert payload[:2] == (b"" if case.close_code is None else case.close_code.to_bytes(2, "big"))
    assert not websocket.is_open
    assert websocket.is_closing
    assert websocket.close_sent is not None
    assert (websocket.error is None) is (case.received is not None)
    if case.received is not None:
        assert websocket.close_received is not None
        assert websocket.close_received.code == case.received


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("case", CLIENT_CASES, ids=names(CLIENT_CASES))
def test_client_takes_frames_however_they_are_cut(case: Case, feed: Feed) -> None:
    """The same bytes, whole or in pieces: the same messages, answers and end."""
    client = open_client()
    check(client, case, feed(client, case.wire(None)))


@pytest.mark.parametrize("case", CLIENT_CASES, ids=names(CLIENT_CASES))
def test_client_takes_frames_with_trailing_data(case: Case) -> None:
    """What follows in the same chunk is the next message on an open connection, and nothing after the end."""
    client = open_client()
    messages = client.receive_data(case.wire(None) + text(b"next") + b"\x81")
    if case.close_code is None and case.received is None:
        assert messages.pop() == b"next"
        assert client.receive_data(b"\x04rest") == [b"rest"]
    check(client, case, messages)


@pytest.mark.parametrize("case", SERVER_CASES, ids=names(SERVER_CASES))
def test_server_takes_frames_however_they_are_cut(case: Case, feed: Feed) -> None:
    """The server's end takes the same from a client that masks, and ends the connection itself after a fault."""
    server = open_server()
    check(server, case, feed(server, case.wire(MASK)))
    assert server.ends_connection is not server.is_open


@pytest.mark.parametrize("case", SERVER_CASES, ids=names(SERVER_CASES))
def test_server_takes_frames_with_trailing_data(case: Case) -> None:
    server = open_server()
    messages = server.receive_data(case.wire(MASK) + frame(TEXT, b"next", mask=MASK))
    if case.close_code is None and case.received is None:
        assert messages.pop() == b"next"
    check(server, case, messages)


@pytest.mark.parametrize("case", CASES, ids=names(CASES))
def test_messages_before_a_case_do_not_change_it(case: Case, feed: Feed) -> None:
    """A frame is judged alike at the beginning of a chunk and behind others, text, binary and control."""
    client = open_client()
    before = text(b"first") + frame(BINARY, b"second") + frame(PONG) + text(b"third")
    messages = feed(client, before + case.wire(None))
    assert messages[:3] == [b"first", b"second", b"third"]
    check(client, case, messages[3:])


@pytest.mark.parametrize("payload", [b"", b"a", KOREAN, b"x" * 126, b"x" * MAX, b"x" * (MAX + 1), *BAD_UTF8.values()])
def test_fast_and_slow_path_agree(payload: bytes) -> None:
    """A text in one frame goes one way and the same text in two goes the other: the same message, the same close
    code, whether it is good, too large or no UTF-8."""
    outcomes = []
    for data in (text(payload), frame(TEXT, payload, fin=False) + frame(CONT)):
        client = open_client()
        messages = client.receive_data(data + text(b"next"))
        sent = client.close_sent
        outcomes.append((messages, client.is_open, None if sent is None else sent.code, type(client.error)))
    assert outcomes[0] == outcomes[1]


def test_close_frame_explains_bad_utf8_where_it_is() -> None:
    client = open_client()
    client.receive_data(text(b"abc\xff"))
    assert client.close_sent is not None
    assert "position 3" in client.close_sent.reason
    assert isinstance(client.error, UnicodeDecodeError)


def test_messages_are_plain_bytes_whatever_the_buffer_was() -> None:
    """A driver may hand over the buffer that it reads into."""
    client = open_client()
    for whole in (bytearray(text(b"a")), memoryview(text(b"b"))):
        for data in (whole, whole[:2], whole[2:]):
            for message in client.receive_data(data):  # type: ignore[arg-type]  # any buffer will do
                assert type(message) is bytes


# Runs: messages with no other frame between them, not checked yet.


def runs_of(client: WebSocketClient, *data: bytes) -> list[list[bytes]]:
    return [list(run) for piece in data for run in client.receive_runs(piece)]


@pytest.mark.parametrize(
    ("between", "added"),
    [
        (frame(PING, b"p"), []),
        (frame(PONG), []),
        (frame(BINARY, b"\xff"), [[BinaryMessage(b"\xff")]]),
        (frame(TEXT, b"c", fin=False) + frame(CONT, b"d"), [[b"cd"]]),
    ],
    ids=["ping", "pong", "binary", "fragments"],
)
def test_a_run_ends_where_another_frame_begins(between: bytes, added: list[list[bytes]]) -> None:
    client = open_client()

    found = runs_of(
        client, text(b"text a") + text(b"text b") + between + text(b"text e") + text(b"text f") + text(b"text g")
    )

    assert found == [[b"text a", b"text b"], *added, [b"text e", b"text f", b"text g"]]
    assert all(isinstance(message, BinaryMessage) == (message == b"\xff") for run in found for message in run)


def test_a_frame_is_not_answered_before_the_run_ahead_of_it_was_taken() -> None:
    """What a run makes its taker send goes out first, as if the messages had come one by one."""
    client = open_client()
    sent = []

    for run in client.receive_runs(text(b"text a") + frame(PING, b"p") + text(b"text b")):
        sent.append([found.opcode for found in parse_frames(client.data_to_send())])
        assert len(run) == 1

    assert sent == [[], [PONG]]


def test_messages_of_several_reads_are_runs_of_their_own() -> None:
    client = open_client()
    data = text(b"text a") + text(b"text b") + text(b"text c")

    assert runs_of(client, data[:12], data[12:]) == [[b"text a"], [b"text b", b"text c"]]
    assert runs_of(client, data, data) == [[b"text a", b"text b", b"text c"]] * 2
    assert runs_of(client, *one_by_one(data)) == [[b"text a"], [b"text b"], [b"text c"]]
    assert runs_of(client, b"") == []


@pytest.mark.parametrize("payload", BAD_UTF8.values(), ids=list(BAD_UTF8))
def test_a_message_of_a_run_that_is_no_utf_8_is_handed_over_and_fails_where_it_is_checked(payload: bytes) -> None:
    client = open_client()
    runs = client.receive_runs(text(b"a") + text(payload) + text(b"b") + frame(PING, b"p") + text(b"c"))

    run = next(runs)
    assert run == [b"a", payload, b"b"]
    assert client.is_open
    assert client.check_text(run[0])
    assert client.is_open and not client.data_to_send()
    assert not client.check_text(run[1])

    assert not client.is_open
    assert isinstance(client.error, UnicodeDecodeError)
    assert list(runs) == [], "nothing comes behind it"
    [sent] = parse_frames(client.data_to_send())
    assert (sent.opcode, sent.payload[:2]) == (CLOSE, (1007).to_bytes(2, "big"))


def test_binary_is_not_checked() -> None:
    client = open_client()

    [[message]] = runs_of(client, frame(BINARY, b"\xff\xfe"))

    assert client.check_text(message)
    assert client.is_open
    assert not client.check_text(bytes(message))


@pytest.mark.parametrize("at", range(1, 5))
def test_fragments_that_are_no_utf_8_are_never_handed_over(at: int) -> None:
    client = open_client()

    assert runs_of(client, text(b"a") + frame(TEXT, b"ok\xff"[:at], fin=False) + frame(CONT, b"ok\xff"[at:])) == [
        [b"a"]
    ]
    assert client.close_sent is not None
    assert client.close_sent.code == 1007


def test_size_limit_counts_the_message_and_not_the_frames() -> None:
    """A message of many small fragments may not grow past the limit either; one just within it may pass."""
    parts = [frame(TEXT, b"x" * 10, fin=False), *[frame(CONT, b"x" * 10, fin=False)] * 8]
    within = open_client(100)
    assert within.receive_data(b"".join(parts) + frame(CONT, b"x" * 10)) == [b"x" * 100]
    beyond = open_client(100)
    assert beyond.receive_data(b"".join(parts) + frame(CONT, b"x" * 11)) == []
    assert beyond.close_sent is not None
    assert beyond.close_sent.code == 1009


def test_dribbled_message_is_kept_once_and_parsed_once() -> None:
    """A large message in many small pieces is collected in one growing buffer: nothing of it is looked at or copied
    again until it is whole, and nothing is left afterwards."""
    size = 1_000_000
    client = open_client(size)
    data = text(b"x" * size)
    held = client._held
    for at in range(0, size, 10_000):
        assert client.receive_data(data[at : at + 10_000]) == []
        assert client._held is held
        assert len(held) == at + 10_000
        assert not client._protocol.reader.buffer
    assert client.receive_data(data[size:]) == [b"x" * size]
    assert not client._held


def test_dribbled_fragments_are_not_collected_twice() -> None:
    """In fragments too: what has been taken is kept as message alone, not as bytes of frames as well."""
    client = open_client(1_000_000)
    client.receive_data(frame(TEXT, b"x" * 1000, fin=False))
    for _ in range(100):
        client.receive_data(frame(CONT, b"x" * 1000, fin=False))
        assert not client._held
        assert not client._protocol.reader.buffer
    assert client.receive_data(frame(CONT)) == [b"x" * 101_000]
    assert not client._fragments


# Sending.


def test_client_bytes_are_reproducible() -> None:
    """Key and masks come from `random_bytes`, each byte drawn once: the same calls give the same bytes."""
    client = WebSocketClient(URL, max_size=MAX, random_bytes=CountingBytes())
    client.connect([("api-id", "0E"), ("cont-yn", "N")])
    key = base64.b64encode(bytes(range(16)))
    request = client.data_to_send()
    assert request == REQUEST + b"api-id: 0E\r\ncont-yn: N\r\n\r\n"
    assert key in request
    client.receive_data(accept_handshake(request))
    client.send_text(b"hello")
    client.send_close(1000, "Bye")
    masks = bytes(range(16, 20)), bytes(range(20, 24))
    expected = frame(TEXT, b"hello", mask=masks[0]) + frame(CLOSE, close_payload(1000, b"Bye"), mask=masks[1])
    assert client.data_to_send() == expected
    assert client.data_to_send() == b""


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("random_bytes", [CountingBytes(), None], ids=["injected", "the system's"])
def test_client_masks_every_length(size: int, random_bytes: CountingBytes | None) -> None:
    client = WebSocketClient(URL, max_size=MAX, random_bytes=random_bytes)
    client.connect()
    client.receive_data(accept_handshake(client.data_to_send()))
    client.send_text(b"x" * size)
    assert parse_frames(client.data_to_send()) == [WireFrame(TEXT, b"x" * size, masked=True)]


def test_system_randomness_gives_each_client_its_own_key() -> None:
    requests = set()
    for _ in range(5):
        client = WebSocketClient(URL, max_size=MAX)
        client.connect()
        requests.add(client.data_to_send())
    assert len(requests) == 5


def test_server_does_not_mask() -> None:
    server = open_server()
    server.send_text(b"x" * 300)
    server.send_ping(b"p")
    server.send_close(1001, "away")
    assert server.data_to_send() == (
        frame(TEXT, b"x" * 300) + frame(PING, b"p") + frame(CLOSE, close_payload(1001, b"away"))
    )


# Closing.


def test_closing_handshake_that_the_client_began(feed: Feed) -> None:
    """Messages that were on their way are still taken; the server's close frame is the last, and then TCP ends."""
    client = open_client()
    client.send_close(1000, "Bye")
    assert client.is_closing
    data = text(b"late") + frame(BINARY, b"\xff") + frame(PING, b"p") + close(1000, b"Bye")
    assert feed(client, data) == [b"late", b"\xff"]
    assert [(found.opcode, found.payload) for found in parse_frames(client.data_to_send())] == [
        (CLOSE, close_payload(1000, b"Bye")),
        (PONG, b"p"),
    ]
    assert client.close_received is not None
    assert (client.close_received.code, client.close_received.reason) == (1000, "Bye")
    assert not client.is_closed
    client.receive_eof()
    assert client.is_closed


def test_after_our_close_bad_utf8_ends_what_is_taken(feed: Feed) -> None:
    """RFC 6455, 7.1.7: after a fault no data of the peer is processed any more, neither text nor a close frame."""
    client = open_client()
    client.send_close()
    assert feed(client, text(b"good") + text(b"\xff") + text(b"late") + close(1000)) == [b"good"]
    assert client.close_received is None
    assert isinstance(client.error, UnicodeDecodeError)


def test_after_our_close_a_close_inside_a_fragmented_message_counts(feed: Feed) -> None:
    client = open_client()
    client.send_close()
    assert feed(client, frame(TEXT, b"a", fin=False) + close(1000)) == []
    assert client.close_received is not None
    assert client.error is None


@pytest.mark.parametrize("held", [1, 2, 3, 8])
def test_close_of_ours_in_the_middle_of_a_message(held: int) -> None:
    """A message that had begun to arrive when we closed is completed."""
    client = open_client()
    data = text(b"x" * 200)
    assert client.receive_data(data[:held]) == []
    client.send_close()
    assert client.receive_data(data[held:] + close()) == [b"x" * 200]
    assert client.close_received is not None


@pytest.mark.parametrize("junk", [b"\x81", text(b"late"), b"\xff" * 300, b"\x81\xfe", bytes(1000)])
def test_data_after_the_close_is_ignored(junk: bytes, feed: Feed) -> None:
    client = open_client()
    assert feed(client, close(1000, b"Bye") + junk) == []
    assert len(parse_frames(client.data_to_send())) == 1
    client.receive_eof()
    assert client.is_closed
    assert client.receive_data(junk) == []
    assert client.data_to_send() == b""


@pytest.mark.parametrize("cut", [b"", b"\x81", b"\x81\x05ab", frame(TEXT, b"a", fin=False), b"\x89\x04"])
def test_end_of_stream_without_a_close_frame(cut: bytes) -> None:
    """Wherever the stream ends: over, no close code, nothing left to send, and the half message is not given out."""
    client = open_client()
    assert client.receive_data(cut) == []
    client.receive_eof()
    client.receive_eof()
    assert client.is_closed
    assert client.close_received is None
    assert client.data_to_send() == b""


def test_fail_sends_one_close_frame() -> None:
    client = open_client()
    client.fail(1011, "sorry")
    client.fail(1011, "sorry")
    assert parse_frames(client.data_to_send()) == [WireFrame(CLOSE, close_payload(1011, b"sorry"))]
    client.receive_eof()
    client.fail(1011, "sorry")
    assert client.data_to_send() == b""


# The opening handshake, client's end.


def connecting_client() -> tuple[WebSocketClient, bytes]:
    client = WebSocketClient(URL, max_size=MAX, random_bytes=CountingBytes())
    client.connect()
    return client, client.data_to_send()


def test_first_frames_may_come_with_the_answer(feed: Feed) -> None:
    client, request = connecting_client()
    data = accept_handshake(request, b"api-id: 0E") + text(b"a") + frame(PING, b"p") + text(KOREAN)
    assert feed(client, data) == [b"a", KOREAN]
    assert ("api-id", "0E") in client.response_headers
    assert client.handshake_error is None
    assert [found.opcode for found in parse_frames(client.data_to_send())] == [PONG]


def test_close_may_come_with_the_answer(feed: Feed) -> None:
    client, request = connecting_client()
    assert feed(client, accept_handshake(request) + text(b"a") + close(1000, b"Bye")) == [b"a"]
    assert client.response_headers
    assert client.handshake_error is None
    assert client.close_received is not None


@pytest.mark.parametrize(
    ("response", "status", "body", "at_eof"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nno...", 401, b"no...", False),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, b"", False),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n<html>\r\n\r\n</html>", 503, b"<html>\r\n\r\n</html>", True),
        (b"HTTP/1.1 500 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 500, b"abc", False),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 302, b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}", False),
    ],
)
def test_http_error_instead_of_101(response: bytes, status: int, body: bytes, at_eof: bool, feed: Feed) -> None:
    """Status and body are handed over; a body without a length ends with the connection."""
    client, _ = connecting_client()
    assert feed(client, response) == []
    if at_eof:
        assert client.handshake_error is None
        client.receive_eof()
    error = client.handshake_error
    assert isinstance(error, HandshakeError)
    assert (error.status, error.body) == (status, body)
    assert f"HTTP {status}" in str(error)
    assert not client.is_open
    assert client.receive_data(text(b"late")) == []


def test_body_of_blank_lines_is_taken_in_one_go() -> None:
    """The end of the head is looked for once, so a body full of line ends is no burden."""
    client, _ = connecting_client()
    calls: list[int] = []
    feed_package = client._protocol.receive_data

    def count(data: bytes) -> None:
        calls.append(len(data))
        feed_package(data)

    client._protocol.receive_data = count
    client.receive_data(b"HTTP/1.1 503 X\r\n\r\n" + b"\r\n" * 10_000)
    assert len(calls) == 2
    client.receive_eof()
    error = client.handshake_error
    assert error is not None
    assert error.body == b"\r\n" * 10_000


def test_a_redirect_is_said_with_its_host(feed: Feed) -> None:
    client, _ = connecting_client()
    feed(client, b"HTTP/1.1 302 Found\r\nLocation: https://other:1/secret\r\nContent-Length: 6\r\n\r\n<html>")

    assert str(client.handshake_error).endswith("instead of 101: the server redirects to other, which is not followed")


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 900000\r\n", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("end", ["the stream ends", "too long"])
def test_an_answer_without_an_end_still_says_why_and_when_to_come_again(framing: bytes, end: str, feed: Feed) -> None:
    client, _ = connecting_client()
    page = b"<html><title>Closed for today</title>" + b"x" * (MAX_ANSWER if end == "too long" else 100)
    chunk = b"20000\r\n" if b"chunked" in framing else b""

    feed(client, b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n" + framing + b"\r\n" + chunk + page)
    if end == "the stream ends":
        assert client.handshake_error is None
        client.receive_eof()

    error = client.handshake_error
    assert isinstance(error, HandshakeError)
    assert (error.status, error.retry_after) == (503, 7.0)
    assert str(error) == "the opening handshake was answered HTTP 503 Busy instead of 101: Closed for today"
    assert len(error.body) < MAX_ANSWER
    assert page.startswith(error.body.removeprefix(chunk))
    assert client.is_closed


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 503 Busy\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n"],
)
@pytest.mark.parametrize("piece", [b"1\r\na\r\n", b"a: b\r\n", b"\r\n", b"HTTP/1.1 100 X\r\n\r\n", b"x"])
@pytest.mark.parametrize("at_a_time", [1000, 262_144])
def test_no_more_of_an_answer_is_looked_at_than_the_limit(head: bytes, piece: bytes, at_a_time: int) -> None:
    client, _ = connecting_client()
    taken = 0
    feed_package = client._protocol.receive_data

    def count(data: bytes) -> None:
        nonlocal taken
        taken += len(data)
        feed_package(data)

    client._protocol.receive_data = count
    data = head + piece * (6_000_000 // len(piece))

    for position in range(0, len(data), at_a_time):
        client.receive_data(data[position : position + at_a_time])
        if client.handshake_error is not None:
            break

    assert position <= MAX_ANSWER
    assert taken <= MAX_ANSWER
    assert client.handshake_error is not None
    assert len(client.handshake_error.body) <= MAX_ANSWER
    client.receive_eof()
    assert client.is_closed


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x15\x03\x03\x00\x02\x02\x28\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"hello\n",
        b"\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 one Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"x" * 20_000,
        b"HTTP/1.1 101 X\r\n" + b"a: b\r\n" * 500,
        b"HTTP/1.1 101 X\r\na: " + b"b" * 20_000,
    ],
)
def test_garbage_instead_of_http(garbage: bytes, feed: Feed) -> None:
    """No answer that is none ever opens the connection, and the error does not blame the server for closing it."""
    client, _ = connecting_client()
    assert feed(client, garbage) == []
    error = client.handshake_error
    assert isinstance(error, HandshakeError)
    assert error.status is None
    assert "closed the connection" not in str(error)
    assert not client.is_open
    client.receive_eof()
    assert client.is_closed


def test_wrong_key_is_refused_although_the_rest_is_right() -> None:
    client, request = connecting_client()
    good = accept_handshake(request)
    client.receive_data(good.replace(accept_key(request), base64.b64encode(bytes(20))))
    assert client.handshake_error is not None
    assert not client.is_open


def test_extension_that_was_not_offered_is_refused() -> None:
    client, request = connecting_client()
    client.receive_data(accept_handshake(request, b"Sec-WebSocket-Extensions: permessage-deflate"))
    assert client.handshake_error is not None


@pytest.mark.parametrize("length", [0, 1, 10, 34, 35, 36, 60, -3, -2, -1])
def test_server_closing_in_mid_handshake(length: int) -> None:
    client, request = connecting_client()
    assert client.receive_data(accept_handshake(request)[:length]) == []
    assert client.handshake_error is None
    client.receive_eof()
    assert client.is_closed
    error = client.handshake_error
    assert error is not None
    assert error.status is None
    assert "closed the connection" in str(error)


# Floods.

FLOODS = {
    "pings": frame(PING),
    "pongs": frame(PONG),
    "pings with something in them": frame(PING, b"x" * 20),
    "empty fragments": frame(CONT, fin=False),
    "fragments of a byte": frame(CONT, b"x", fin=False),
    "empty binary messages": frame(BINARY),
}
BEGUN = {unit: frame(TEXT, fin=False) if unit[0] == CONT else b"" for unit in FLOODS.values()}


def packages_calls(client: WebSocketClient) -> list[int]:
    calls: list[int] = []
    feed_package = client._protocol.receive_data

    def count(data: bytes) -> None:
        calls.append(len(data))
        feed_package(data)

    client._protocol.receive_data = count
    return calls


@pytest.mark.parametrize("unit", FLOODS.values(), ids=list(FLOODS))
@pytest.mark.parametrize("size", [262_144, 1_000_000])
def test_a_flood_of_frames_that_say_nothing_ends_the_connection(unit: bytes, size: int) -> None:
    client = open_client(10_000_000)
    client.data_to_send()
    calls = packages_calls(client)

    messages = client.receive_data(text(b"a") + BEGUN[unit] + unit * (size // len(unit)))

    assert messages[0] == b"a"
    assert len(calls) <= FRAMES + size // FRAME_SIZE + 2
    assert client.is_closing
    assert client.close_sent is not None
    assert client.close_sent.code == 1008
    assert "fragments and control frames at once" in str(client.error)
    calls.clear()
    client.receive_data(unit * (size // len(unit)))
    assert len(calls) <= FRAMES + size // FRAME_SIZE + 2
    client.receive_eof()
    assert client.is_closed


@pytest.mark.parametrize("unit", FLOODS.values(), ids=list(FLOODS))
def test_as_many_frames_in_many_reads_are_no_flood(unit: bytes) -> None:
    client = open_client()
    client.receive_data(BEGUN[unit])

    for _ in range(20):
        client.receive_data(unit * FRAMES)
        client.data_to_send()

    assert client.is_open


@pytest.mark.parametrize("at_a_time", [1000, 65_536, 8_000_000])
def test_a_large_message_may_come_in_small_fragments(at_a_time: int) -> None:
    payload = b"0123456789abcdef" * 4 * 65_536
    client = open_client(len(payload))
    data = frame(TEXT, fin=False) + b"".join(
        frame(CONT, payload[at : at + 64], fin=at + 64 == len(payload)) for at in range(0, len(payload), 64)
    )

    found = [
        message
        for position in range(0, len(data), at_a_time)
        for message in client.receive_data(data[position : position + at_a_time])
    ]

    assert found == [payload]


# The opening handshake, server's end.


def test_server_shows_the_request_to_its_owner_and_sends_its_headers(feed: Feed) -> None:
    seen: list[tuple[str, list[tuple[str, str]]]] = []

    def on_request(path: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
        seen.append((path, headers))
        return 101, [("api-id", "0E")]

    server = WebSocketServer(max_size=MAX, on_request=on_request)
    first = frame(TEXT, b"first", mask=MASK)
    assert feed(server, REQUEST + b"Authorization: Bearer x\r\n\r\n" + first) == [b"first"]
    ((path, headers),) = seen
    assert path == "/api/dostk/websocket"
    assert ("Authorization", "Bearer x") in headers
    answer = server.data_to_send()
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: " + accept_key(REQUEST) + b"\r\n" in answer
    assert b"api-id: 0E\r\n" in answer
    assert not server.ends_connection


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503])
def test_server_rejects_with_a_status(status: int, feed: Feed) -> None:
    server = WebSocketServer(max_size=MAX, on_request=lambda path, headers: (status, [("Retry-After", "1")]))
    assert feed(server, REQUEST + b"\r\n" + frame(TEXT, b"late", mask=MASK)) == []
    answer = server.data_to_send()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Retry-After: 1\r\n" in answer
    assert server.error is None
    assert server.ends_connection
    assert not server.is_open

    client, _ = connecting_client()
    client.receive_data(answer)
    error = client.handshake_error
    assert error is not None
    assert (error.status, error.body) == (status, b"HTTP %d\n" % status)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        REQUEST.replace(b"Version: 13", b"Version: 8") + b"\r\n",
        REQUEST.replace(b"AAECAwQFBgcICQoLDA0ODw==", b"c2hvcnQ=") + b"\r\n",
        REQUEST.replace(b"GET", b"POST") + b"\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"x" * 20_000,
    ],
)
def test_server_refuses_what_is_no_opening_handshake(request_bytes: bytes, feed: Feed) -> None:
    """The connection ends, and its owner never hears of such a client."""
    asked: list[str] = []

    def on_request(path: str, headers: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]]]:
        asked.append(path)
        return 101, []

    server = WebSocketServer(max_size=MAX, on_request=on_request)
    assert feed(server, request_bytes) == []
    assert not asked
    assert server.error is not None
    assert server.ends_connection
    assert not server.is_open
    assert b" 101 " not in server.data_to_send()


def test_server_ends_the_connection_after_the_closing_handshake() -> None:
    server = open_server()
    server.send_close(1000, "Bye")
    assert not server.ends_connection
    assert server.receive_data(frame(TEXT, b"late", mask=MASK) + frame(CLOSE, close_payload(), mask=MASK)) == [b"late"]
    assert server.ends_connection


# Logging.


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level neither headers nor messages reach any log: both hold the token."""
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "websockets.server", "websockets.protocol"):
        caplog.set_level(logging.DEBUG, logger=name)
    connection = ClientConnection(MOCK, clock=ManualClock())
    connection.connect(TOKEN, RequestHeader(api_id="0E"))
    request = connection.data_to_send()
    assert TOKEN.encode() in request
    server = WebSocketServer(max_size=MAX, on_request=accept)
    server.receive_data(request)
    connection.receive_data(server.data_to_send())
    login = connection.data_to_send()
    assert TOKEN.encode() in server.receive_data(login)[0]
    server.send_text(LOGIN_OK)
    connection.receive_data(server.data_to_send())
    server.receive_data(b"\xff" * 20)
    connection.receive_data(b"\xff" * 20)
    connection.receive_eof()
    server.receive_eof()
    refused = WebSocketServer(max_size=MAX, on_request=lambda path, headers: (403, []))
    refused.receive_data(request)
    garbage, _ = connecting_client()
    garbage.receive_data(b"garbage\r\n\r\n")
    garbage.receive_eof()
    assert caplog.records == []

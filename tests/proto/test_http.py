"""HTTP connections: one request after the other, whatever the server sends and however it is split."""

from __future__ import annotations

from collections.abc import Iterable

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto.errors import RemoteProtocolError, TransportError
from kiwoom_proto.secrets import Secret
from kiwoom_proto.wire.http import MAX_HEAD, HttpAnswer, HttpConnection, request_bytes

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
REQUEST = request_bytes("/path", [("Host", "localhost")], memoryview(b"{}"))


def ask(connection: HttpConnection, *pieces: bytes) -> HttpConnection:
    connection.send(REQUEST)
    assert connection.data_to_send() == REQUEST
    for piece in pieces:
        connection.receive_data(memoryview(piece))
    return connection


def answer_of(connection: HttpConnection) -> HttpAnswer:
    assert isinstance(connection.outcome, HttpAnswer)
    return connection.outcome


def each_byte(data: bytes) -> Iterable[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def test_a_request_is_what_it_should_be_and_hides_the_token() -> None:
    request = request_bytes("/a?b=c", [("Host", "h"), ("authorization", Secret("Bearer T"))], memoryview(b'{"a":1}'))

    assert (
        bytes(request)
        == b'POST /a?b=c HTTP/1.1\r\nHost: h\r\nauthorization: Bearer T\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )
    server = h11.Connection(our_role=h11.SERVER)
    server.receive_data(bytes(request))
    assert isinstance(server.next_event(), h11.Request)
    assert isinstance(server.next_event(), h11.Data)
    assert isinstance(server.next_event(), h11.EndOfMessage)
    assert "Bearer" not in repr(request)


@pytest.mark.parametrize(
    "data",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200\r\ncontent-length:  2\t\r\n\r\n{}",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_connection_is_used_again_and_again(data: bytes) -> None:
    connection = HttpConnection()
    for pieces in ([data], each_byte(data), [data]):
        assert connection.is_reusable
        answer = answer_of(ask(connection, *pieces))
        assert (answer.status, answer.body, answer.is_whole) == (200, b"{}", True)
    assert connection.is_reusable


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\n{}", b"{}"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (OK + b"H", b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", b""),
    ],
)
def test_a_connection_is_not_used_again(data: bytes, body: bytes) -> None:
    for pieces in ([data], each_byte(data)):
        connection = ask(HttpConnection(), *pieces)
        assert answer_of(connection).body == body
        assert not connection.is_reusable


def test_what_nobody_asked_for_ends_the_reuse() -> None:
    fresh, used = HttpConnection(), ask(HttpConnection(), OK)
    for connection in (fresh, used):
        connection.receive_data(memoryview(b"HTTP/1.1 408 Too slow\r\nContent-Length: 0\r\n\r\n"))
        assert not connection.is_reusable
    ended = ask(HttpConnection(), OK)
    ended.receive_eof()
    assert not ended.is_reusable
    assert answer_of(ended).body == b"{}"


def test_an_answer_may_end_where_the_stream_ends() -> None:
    connection = ask(HttpConnection(), b"HTTP/1.1 200 OK\r\n\r\n{}")
    assert connection.outcome is None
    connection.receive_eof()
    assert answer_of(connection).body == b"{}"
    assert not connection.is_reusable


@pytest.mark.parametrize("length", range(len(OK)))
def test_an_answer_that_is_cut_is_a_fault_of_the_network(length: int) -> None:
    for error, text in ((None, "before its answer was complete"), ("reset by peer", "reset by peer")):
        connection = ask(HttpConnection(), OK[:length])
        connection.receive_eof(error)
        connection.receive_eof()
        assert isinstance(connection.outcome, TransportError)
        assert text in str(connection.outcome)
        assert not connection.is_reusable


@pytest.mark.parametrize("size", [0, 1, 5])
def test_an_answer_that_is_too_long_is_cut(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    for framed in (head, b"HTTP/1.1 200 OK\r\n\r\n"):
        for pieces in ([framed + b"0123456789"], each_byte(framed + b"0123456789")):
            connection = ask(HttpConnection(max_size=len(framed) + size), *pieces)
            answer = answer_of(connection)
            assert (answer.body, answer.is_whole) == (b"0123456789"[:size], False)
            assert not connection.is_reusable
    assert answer_of(ask(HttpConnection(max_size=len(head) + 10), head + b"0123456789")).is_whole


@pytest.mark.parametrize("lead", [b"", b"HTTP/1.1 100 x\r\n\r\n"])
@pytest.mark.parametrize("length", [101, 10**12, 10**18])
def test_an_answer_that_announces_more_than_is_read_ends_at_once(lead: bytes, length: int) -> None:
    head = lead + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
    for pieces in ([head], each_byte(head), [head + b"{"]):
        connection = ask(HttpConnection(max_size=100), *pieces)
        answer = answer_of(connection)
        assert (answer.status, answer.body, answer.is_whole, connection.is_reusable) == (200, b"", False, False)


def test_of_a_page_that_announces_more_the_beginning_is_read() -> None:
    head = b"HTTP/1.1 503 x\r\nContent-Type: text/HTML\r\nContent-Length: 10000\r\n\r\n"
    answer = answer_of(ask(HttpConnection(max_size=100), head, b"<title>x</title>" * 50))
    assert answer.body.startswith(b"<title>x</title>") and not answer.is_whole


def test_a_head_is_bounded_however_it_is_split() -> None:
    line = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "
    for size, whole in ((MAX_HEAD, True), (MAX_HEAD + 1, False)):
        data = line + b"x" * (size - len(line) - 4) + b"\r\n\r\n"
        for pieces in ([data], each_byte(data)):
            connection = ask(HttpConnection(), *pieces)
            assert isinstance(connection.outcome, HttpAnswer if whole else RemoteProtocolError)


def test_a_body_of_megabytes_comes_in_any_pieces() -> None:
    body = bytes(range(256)) * 4096
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for step in (1 << 16, 1000, len(data)):
        connection = HttpConnection(max_size=1 << 22)
        ask(connection, *(data[at : at + step] for at in range(0, len(data), step)))
        assert answer_of(connection).body == body and connection.is_reusable


def read_by_h11(data: bytes) -> object:
    """What h11 alone makes of an answer and the end of the stream; None: it breaks the rules, or is cut."""
    connection = h11.Connection(our_role=h11.CLIENT)
    for sent in (h11.Request(method="POST", target="/", headers=[("Host", "h")]), h11.EndOfMessage()):
        connection.send(sent)
    connection.receive_data(data)
    connection.receive_data(b"")
    head, body = None, b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return None
        if isinstance(event, h11.Response):
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
            head = event.status_code, event.reason.decode("latin-1"), headers
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return *head, body
        elif not isinstance(event, h11.InformationalResponse):
            return None


LINES = st.sampled_from(
    [
        *(
            b"Content-Length: 2",
            b"content-length:2",
            b"Content-Length: 2, 2",
            b"Content-Length: 3",
            b"Content-Length: +2",
        ),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Connection: close", b"Connection: keep-alive"),
        *(
            b"X: \xec\xa0\x80",
            b"X:",
            b"X : y",
            b" folded",
            b"X: a\x00b",
            b"X: a\x0bb",
            b": y",
            b"X\xff: y",
            b"",
            b"X: a\x01",
        ),
    ]
)
STATUS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 ",
            b"HTTP/1.0 200 OK",
            b"HTTP/2.0 200 OK",
            b"HTTP/1.1 204 x",
        ),
        *(
            b"HTTP/1.1 304 x",
            b"HTTP/1.1 999 x",
            b"HTTP/1.1 100 x",
            b"HTTP/1.1 101 x",
            b"http/1.1 200 OK",
            b"HTTP/1.1 20 x",
        ),
        *(b"HTTP/1.1 199 x", b"HTTP/1.1 200 \xea", b"HTTP/1.1 200\tOK", b"HTTP/1.1 000 x", b"\r\nHTTP/1.1 200 OK", b""),
    ]
)
ANSWERS = st.builds(
    lambda status, lines, ends, body: ends.join([status, *lines]) + ends + ends + body,
    STATUS,
    st.lists(LINES, max_size=4),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]),
    st.sampled_from([b"", b"{", b"{}", b"{}{}", b"2\r\n{}\r\n0\r\n\r\n", OK]),
)


@given(ANSWERS | st.binary(max_size=40), st.lists(st.integers(1, 20), max_size=30))
def test_answers_are_read_as_h11_reads_them_however_they_are_split(data: bytes, sizes: list[int]) -> None:
    whole, single, split = HttpConnection(), HttpConnection(), HttpConnection()
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    ask(whole, data)
    ask(single, *each_byte(data))
    ask(split, *pieces, data[at:])
    seen = []
    for connection in (whole, single, split):
        connection.receive_eof()
        assert connection.outcome is not None and not connection.is_reusable
        seen.append(f"{connection.outcome!r}")
        if isinstance(connection.outcome, HttpAnswer):
            answer = connection.outcome
            assert (answer.status, answer.reason, answer.headers, answer.body) == read_by_h11(data)
        else:
            assert read_by_h11(data) is None
    assert len(set(seen)) == 1

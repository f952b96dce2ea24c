"""TLS over memory: two ends, a wire that cuts bytes anywhere, and everything that a peer can do to it."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import attrs
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwoom_proto import (
    AppKey,
    ClientConnection,
    Closed,
    Endpoint,
    LocalProtocolError,
    Trade,
)
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.codes import Remedy
from kiwoom_proto.errors import CertificateRefused, TransportError
from kiwoom_proto.events import LoggedIn
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.tls import RECORD_SIZE, Tls

HOST = "127.0.0.1"
ENDPOINT = Endpoint(f"wss://{HOST}/api/dostk/websocket")
TOKEN = "the-token-that-nobody-may-see"


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_context(host: str = HOST, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.maximum_version = version
    authority().issue_cert(host).configure_cert(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@attrs.define
class End:
    """What stands behind a `Tls`: keeps what comes, and has something to send.

    Attributes:
        received: plaintext, one entry for each call.
        times: what was given with it.
        ends: the argument of each `receive_eof`.
        outgoing: plaintext to send.
        asked: how often it was asked for plaintext.
    """

    received: list[bytes] = attrs.Factory(list)
    times: list[tuple[int, ...]] = attrs.Factory(list)
    ends: list[str | None] = attrs.Factory(list)
    outgoing: bytes = b""
    asked: int = 0

    def receive_data(self, data: bytes, *times: int) -> None:
        self.received.append(data)
        self.times.append(times)

    def receive_eof(self, error: str | None) -> None:
        self.ends.append(error)

    def data_to_send(self) -> bytes:
        self.asked += 1
        data, self.outgoing = self.outgoing, b""
        return data


@attrs.define
class Pair:
    """A client and a server, each over TLS."""

    client: End
    server: End
    near: Tls
    far: Tls

    def exchange(self) -> None:
        """Carry bytes both ways until neither has anything to send."""
        while True:
            there, back = self.near.data_to_send(), self.far.data_to_send()
            if not there + back:
                return
            self.far.receive_data(there)
            self.near.receive_data(back)


def pair_of(
    client: Any = None,
    server: Any = None,
    *,
    context: ssl.SSLContext | None = None,
    host: str = HOST,
    at_server: ssl.SSLContext | None = None,
) -> Pair:
    client, server = client or End(), server or End()
    near = Tls(client, host, context or client_context())
    far = Tls(server, context=at_server or server_context(), server_side=True)
    return Pair(client, server, near, far)


def opened() -> Pair:
    pair = pair_of()
    pair.exchange()
    assert pair.near.is_open
    assert pair.far.is_open
    return pair


# What goes through.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_ends_get_what_the_other_has_to_send(version: ssl.TLSVersion) -> None:
    pair = pair_of(at_server=server_context(version=version))
    pair.client.outgoing, pair.server.outgoing = b"from the client", b"from the server"

    pair.exchange()

    assert (pair.client.received, pair.server.received) == ([b"from the server"], [b"from the client"])
    assert (pair.client.ends, pair.server.ends) == ([], [])


def test_nothing_is_asked_of_the_client_before_the_server_is_verified() -> None:
    pair = pair_of()
    pair.client.outgoing = TOKEN.encode()
    for _ in range(3):
        pair.near.data_to_send()
    assert (pair.client.asked, pair.client.outgoing) == (0, TOKEN.encode())


def test_what_is_received_keeps_its_time() -> None:
    pair = opened()
    pair.server.outgoing = b"row"

    pair.near.receive_data(pair.far.data_to_send(), 1_700_000_000)

    assert pair.client.times == [(1_700_000_000,)]


def test_the_records_of_one_read_arrive_in_one_call() -> None:
    pair = opened()
    ciphertext = b""
    for number in range(300):
        pair.server.outgoing = b"%03d" % number * 200
        ciphertext += pair.far.data_to_send()

    pair.near.receive_data(ciphertext)

    assert pair.client.received == [b"".join(b"%03d" % number * 200 for number in range(300))]


@pytest.mark.parametrize("size", [1, RECORD_SIZE - 1, RECORD_SIZE, RECORD_SIZE + 1, 1_000_000])
def test_any_length_goes_through(size: int) -> None:
    pair = opened()
    pair.client.outgoing = pair.server.outgoing = b"x" * size

    pair.exchange()

    assert b"".join(pair.client.received) == b"".join(pair.server.received) == b"x" * size


def test_tls_s_own_bytes_are_announced() -> None:
    """A driver that writes in another task than it reads must know that there is something to write."""
    pair = pair_of()
    assert pair.near.wants_write
    assert not pair.far.wants_write
    pair.far.receive_data(pair.near.data_to_send())
    assert not pair.near.wants_write
    assert pair.far.wants_write
    pair.near.receive_data(pair.far.data_to_send())
    assert pair.near.is_open
    assert pair.near.wants_write  # its Finished
    pair.exchange()
    assert not pair.near.wants_write


_CUTS = st.lists(st.integers(1, 40) | st.integers(1, 3000), min_size=1, max_size=20)


@settings(deadline=None, max_examples=60)
@given(
    there=st.lists(st.binary(max_size=3000), max_size=6),
    back=st.lists(st.binary(max_size=3000), max_size=6),
    cuts=_CUTS,
    closes=st.booleans(),
)
def test_any_chunking_gives_the_same_plaintext(
    there: list[bytes], back: list[bytes], cuts: list[int], closes: bool
) -> None:
    pair = pair_of()
    at = 0

    def carry(source: Tls, sink: Tls) -> bool:
        """Carry what there is, cut anywhere; an end of the chunk is no end of anything."""
        nonlocal at
        data = source.data_to_send()
        left = data
        while left:
            size = cuts[at % len(cuts)]
            at += 1
            sink.receive_data(left[:size])
            left = left[size:]
        return bool(data)

    waiting = {"there": list(there), "back": list(back)}
    while True:
        if waiting["there"]:
            pair.client.outgoing += waiting["there"].pop(0)
        if waiting["back"]:
            pair.server.outgoing += waiting["back"].pop(0)
        moved = [carry(pair.near, pair.far), carry(pair.far, pair.near)]
        if not any(moved) and not any(waiting.values()):
            break
    assert b"".join(pair.server.received) == b"".join(there)
    assert b"".join(pair.client.received) == b"".join(back)
    assert (pair.client.ends, pair.server.ends) == ([], [])
    if closes:
        pair.far.close()
        carry(pair.far, pair.near)
        assert pair.client.ends == [None]


# Who it is.


def test_a_certificate_of_another_host_is_refused() -> None:
    pair = pair_of(at_server=server_context("api.kiwoom.com"))
    pair.client.outgoing = TOKEN.encode()

    pair.exchange()

    (error,) = pair.client.ends
    assert error is not None
    assert "certificate verify failed" in error
    assert HOST in error
    assert (pair.client.asked, pair.client.received, pair.near.is_open) == (0, [], False)
    assert len(pair.server.ends) == 1  # it got the alert


def test_an_unknown_authority_is_refused() -> None:
    pair = pair_of(context=ssl.create_default_context())
    pair.exchange()
    assert "certificate verify failed" in str(pair.client.ends[0])


def test_the_default_is_the_system_s_trust_store() -> None:
    end = End()
    near, far = Tls(end, HOST), Tls(End(), context=server_context(), server_side=True)
    far.receive_data(near.data_to_send())
    near.receive_data(far.data_to_send())
    assert "certificate verify failed" in str(end.ends[0])


@pytest.mark.parametrize("host", ["", ".kiwoom.com", "a" * 64 + ".invalid", "a\0b"])
def test_a_host_that_cannot_be_verified_is_a_mistake(host: str) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be verified"):
        Tls(End(), host)


@pytest.mark.parametrize("spoken", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.0 200 OK\r\n\r\n", bytes(100)])
def test_nothing_that_is_not_tls_reaches_the_client(spoken: bytes) -> None:
    end = End()
    near = Tls(end, HOST, client_context())

    near.receive_data(spoken)
    near.receive_data(spoken)
    near.receive_eof()

    assert end.received == []
    (error,) = end.ends
    assert error


def test_a_client_without_tls_is_refused_by_the_server() -> None:
    end = End()
    far = Tls(end, context=server_context(), server_side=True)

    far.receive_data(b"GET / HTTP/1.1\r\n\r\n")

    (error,) = end.ends
    assert error is not None
    assert "http request" in error.lower()
    assert end.asked == 0


# The end.


def test_close_notify_is_the_end_after_everything_before_it() -> None:
    pair = opened()
    pair.server.outgoing = b"last words"
    ciphertext = pair.far.data_to_send()
    pair.far.close()
    ciphertext += pair.far.data_to_send()

    pair.near.receive_data(ciphertext)
    pair.near.receive_data(b"what is this")
    pair.near.receive_eof("connection reset by peer")

    assert (pair.client.received, pair.client.ends) == ([b"last words"], [None])


def test_a_close_can_be_answered() -> None:
    """A close frame that answers the server's goes out even if close_notify came with it."""
    pair = opened()
    pair.far.close()
    pair.near.receive_data(pair.far.data_to_send())
    pair.client.outgoing = b"answer"

    pair.far.receive_data(pair.near.data_to_send())

    assert pair.server.received == [b"answer"]


def test_eof_without_close_notify_is_eof() -> None:
    pair = opened()
    pair.near.receive_eof()
    pair.near.receive_eof()
    assert pair.client.ends == [None]


def test_a_cut_in_mid_record_is_eof_and_the_record_is_lost() -> None:
    pair = opened()
    pair.server.outgoing = b"whole"
    ciphertext = pair.far.data_to_send()
    pair.server.outgoing = b"cut"
    ciphertext += pair.far.data_to_send()[:-1]

    pair.near.receive_data(ciphertext)
    pair.near.receive_eof()

    assert (pair.client.received, pair.client.ends) == ([b"whole"], [None])


def test_the_network_s_error_is_passed_on() -> None:
    for pair in (pair_of(), opened()):
        pair.near.receive_eof("Connection reset by peer")
        assert pair.client.ends == ["Connection reset by peer"]


@pytest.mark.parametrize("size", [0, 1, 100])
def test_an_eof_during_the_handshake_says_so(size: int) -> None:
    pair = pair_of()
    pair.far.receive_data(pair.near.data_to_send())
    pair.near.receive_data(pair.far.data_to_send()[:size])

    pair.near.receive_eof()

    assert pair.client.ends == ["the server ended the connection during the TLS handshake"]


def test_a_changed_record_ends_the_connection_after_what_came_before_it() -> None:
    pair = opened()
    pair.server.outgoing = b"good"
    ciphertext = pair.far.data_to_send()
    pair.server.outgoing = b"evil"
    evil = bytearray(pair.far.data_to_send())
    evil[-1] ^= 1

    pair.near.receive_data(ciphertext + evil)
    pair.client.outgoing = TOKEN.encode()
    alert = pair.near.data_to_send()

    assert pair.client.received == [b"good"]
    (error,) = pair.client.ends
    assert error is not None
    assert "bad record mac" in error.lower().replace("_", " ")
    assert pair.client.outgoing == TOKEN.encode(), "nothing more goes out"
    pair.far.receive_data(alert)
    assert "bad record mac" in str(pair.server.ends[0]).lower()


def test_closing_before_the_handshake_or_twice_does_nothing() -> None:
    pair = pair_of()
    pair.near.close()
    pair.exchange()
    assert pair.near.is_open
    pair.near.close()
    pair.near.close()
    pair.exchange()
    assert pair.server.ends == [None]


def test_its_repr_shows_where_it_stands_and_no_plaintext() -> None:
    pair = pair_of(ClientConnection(ENDPOINT, clock=ManualClock()))
    assert repr(pair.near).endswith(", in the handshake>")
    pair.exchange()
    assert repr(pair.near).endswith(", open>")
    pair.near.receive_eof()
    assert repr(pair.near).endswith(", closed>")


# What it is for.


def live(pair: Pair, exchange: Exchange, clock: ManualClock) -> None:
    """Let three seconds pass."""
    for _ in range(30):
        pair.exchange()
        clock.advance(0.1)
        exchange.handle_timeout()


def test_a_connection_logs_in_over_it() -> None:
    clock = ManualClock()
    connection = ClientConnection(ENDPOINT, clock=clock)
    connection.connect(TOKEN)
    connection.subscribe("0B", "005930")
    exchange = Exchange(clock=clock, rate=10)
    pair = pair_of(connection, exchange.connect())

    live(pair, exchange, clock)

    assert {LoggedIn, Trade} <= {type(event) for event in connection.events()}
    connection.close()
    live(pair, exchange, clock)
    pair.far.close()
    pair.exchange()
    closed = connection.events()[-1]
    assert isinstance(closed, Closed)
    assert closed.error is None


def test_a_connection_says_why_tls_failed() -> None:
    connection = ClientConnection(ENDPOINT, clock=ManualClock())
    connection.connect(TOKEN)
    pair = pair_of(connection, at_server=server_context("api.kiwoom.com"))

    pair.exchange()

    closed = connection.events()[-1]
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, TransportError)
    assert "certificate verify failed" in str(closed)


def test_a_token_is_issued_over_it() -> None:
    clock = ManualClock()
    call = TokenCall(ENDPOINT, AppKey("app", "secret"))
    exchange = Exchange(app_keys={"app": "secret"}, clock=clock)
    pair = pair_of(call, exchange.connect())

    live(pair, exchange, clock)

    assert call.result() is not None


def test_a_token_call_says_why_tls_failed() -> None:
    call = TokenCall(ENDPOINT, AppKey("app", "secret"))
    pair = pair_of(call, at_server=server_context("api.kiwoom.com"))

    pair.exchange()

    with pytest.raises(CertificateRefused, match="certificate verify failed") as caught:
        call.result()
    assert caught.value.remedy is Remedy.STOP


def test_what_else_ends_a_handshake_is_not_a_certificate_that_was_refused() -> None:
    call = TokenCall(ENDPOINT, AppKey("app", "secret"))
    near = Tls(call, HOST, client_context())

    near.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(TransportError) as caught:
        call.result()
    assert not isinstance(caught.value, CertificateRefused)

"""How a TLS connection ends, on every loop: with close_notify, in mid-record, or by a record that was changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest
from tests.adapters.conftest import Net
from tests.adapters.kit import QUICK, Loop, collect, raw_server
from tests.proto.wire import LOGIN_OK, accept_handshake, text

from kiwoom_proto import ConnectionLost, Disconnected, Endpoint, Event, UnknownMessage
from kiwoom_proto.wire.tls import Tls

GARBAGE = b"{ is no message }"


class Plain:
    """The plaintext of a server's end."""

    def __init__(self) -> None:
        self.received = b""
        self.unsent = b""

    def receive_data(self, data: bytes) -> None:
        self.received += data

    def receive_eof(self, error: str | None = None) -> None:
        self.received += b""

    def data_to_send(self) -> bytes:
        data, self.unsent = self.unsent, b""
        return data


@asynccontextmanager
async def server_that_ends(tls: Net, end: Callable[[Tls], bytes]) -> AsyncIterator[Endpoint]:
    """A server over TLS that logs a client in, sends a message, and ends with what `end` makes of that."""

    async def serve(stream: anyio.abc.ByteStream) -> None:
        plain = Plain()
        link = Tls(plain, context=tls.server, server_side=True)

        async def read() -> None:
            before = len(plain.received)
            while len(plain.received) == before:
                link.receive_data(await stream.receive())
                await stream.send(link.data_to_send())

        await read()
        plain.unsent = accept_handshake(plain.received)
        await stream.send(link.data_to_send())
        await read()
        plain.unsent = text(LOGIN_OK)
        await stream.send(link.data_to_send())
        plain.unsent = text(GARBAGE)
        await stream.send(end(link))

    async with raw_server(serve, "wss") as endpoint:
        yield endpoint


async def end_of(loop: Loop, endpoint: Endpoint, tls: Net) -> tuple[ConnectionLost, list[UnknownMessage]]:
    events: list[Event] = []
    with pytest.raises(ConnectionLost) as lost:
        async with loop.connect(endpoint, config=QUICK, ssl_context=tls.client) as client:
            await collect(client, events)
    assert not any(isinstance(event, Disconnected) for event in events)
    return lost.value, [event for event in events if isinstance(event, UnknownMessage)]


def whole(link: Tls) -> bytes:
    return link.data_to_send()


def with_close_notify(link: Tls) -> bytes:
    message = link.data_to_send()
    link.close()
    return message + link.data_to_send()


@pytest.mark.parametrize("end", [whole, with_close_notify])
async def test_a_stream_that_ends_behind_a_record_is_read_to_its_end(
    loop: Loop, tls: Net, end: Callable[[Tls], bytes]
) -> None:
    async with server_that_ends(tls, end) as endpoint:
        lost, messages = await end_of(loop, endpoint, tls)

    assert [message.payload for message in messages] == [GARBAGE]
    assert "the connection was cut" in str(lost)


async def test_a_stream_that_ends_in_mid_record_gives_nothing_of_that_record(loop: Loop, tls: Net) -> None:
    async with server_that_ends(tls, lambda link: link.data_to_send()[:-3]) as endpoint:
        lost, messages = await end_of(loop, endpoint, tls)

    assert messages == []
    assert "the connection was cut" in str(lost)


async def test_a_record_that_was_changed_ends_the_connection_and_gives_nothing(loop: Loop, tls: Net) -> None:
    def changed(link: Tls) -> bytes:
        record = bytearray(link.data_to_send())
        record[-1] ^= 1
        return bytes(record)

    async with server_that_ends(tls, changed) as endpoint:
        lost, messages = await end_of(loop, endpoint, tls)

    assert messages == []
    assert "bad record mac" in str(lost)

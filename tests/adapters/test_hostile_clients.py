"""A simulated exchange on a port, and clients that mean harm: what one does costs that one, on every loop."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import anyio
import pytest
from tests.adapters import command
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, PATH, Client, Loop, until
from tests.proto.wire import MASK, TEXT, frame

import kiwoom_asyncio.server
import kiwoom_trio.server
from kiwoom_proto import Endpoint, Record
from kiwoom_proto.config import ServerConfig
from kiwoom_proto.simulator import Exchange

HANDSHAKE = (
    f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n"
).encode()


def text(message: object) -> bytes:
    payload = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    return frame(TEXT, payload, mask=MASK)


OPENED = HANDSHAKE + b"\r\n"
LOGIN = OPENED + text({"trnm": "LOGIN", "token": "hostile"})


def port_of(endpoint: Endpoint) -> int:
    return int(endpoint.url.split(":")[2].split("/")[0])


async def rows_come(client: Client) -> None:
    """Wait for rows that were sent from now on."""
    seen = 0
    async for event in client:
        seen += isinstance(event, Record)
        if seen == 30:
            return


@contextmanager
def dialled(port: int, *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    with closing(socket.socket()) as stream:
        if receive_buffer is not None:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        stream.connect(("127.0.0.1", port))
        stream.settimeout(30)
        yield stream


def read_to_end(stream: socket.socket) -> bytes:
    received = bytearray()
    try:
        while data := stream.recv(65_536):
            received += data
    except ConnectionError:
        pass
    return bytes(received)


# Bytes of all kinds.

SEARCH = {"trnm": "CNSRREQ", "seq": "0", "search_type": "0", "cont_yn": "Y"}
ATTACKS: tuple[bytes, ...] = (
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500,
    b"GET /" + b"x" * 100_000,
    OPENED.replace(b"127.0.0.1", b"evil.test"),
    OPENED.replace(b"Host: ", b"Origin: http://evil.test\r\nHost: "),
    b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n" + b"[" * 60_000,
    b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n1\r\n" * 9_000,
    OPENED + frame(TEXT, b"unmasked"),
    OPENED + b"\xff" * 5_000,
    OPENED + frame(TEXT, b"\xff", mask=MASK),
    OPENED + frame(TEXT, b" " * 65_537, mask=MASK),
    OPENED + text(b"[" * 60_000),
    LOGIN + frame(9, b"", mask=MASK) * 20_000,
    LOGIN + text({"trnm": "REG"}) * 3_000,
    LOGIN + text({"trnm": "CNSRLST"}) + text(SEARCH | {"next_key": "9" * 5_000}),
    LOGIN + text({"trnm": "REG", "grp_no": "1", "data": [{"item": ["a"] * 9_000, "type": ["b"] * 4_000}]}),
    LOGIN + text({"trnm": "REG", "grp_no": "1", "data": [{"item": [f"{n}" for n in range(6_000)], "type": [""] * 9}]}),
)


async def test_an_honest_client_goes_on_among_all_of_them(loop: Loop) -> None:
    exchange = Exchange(rate=20, connection_limit=60)
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        await client.subscribe("0E", ITEM)
        port = port_of(server.endpoint)
        async with anyio.create_task_group() as tasks:
            for attack in ATTACKS * 2:
                tasks.start_soon(anyio.to_thread.run_sync, _attack, port, attack)
            await rows_come(client)
        await rows_come(client)
        await until(lambda: len(exchange.links) == 1)


def _attack(port: int, attack: bytes) -> None:
    """Send it, wait a little for an answer or the end, and be gone without a word."""
    with dialled(port) as stream:
        stream.settimeout(0.5)
        try:
            stream.sendall(attack)
            stream.recv(65_536)
            stream.recv(65_536)
        except OSError:
            pass


async def test_a_client_that_reads_nothing_is_cut_off(loop: Loop, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kiwoom_asyncio.server, kiwoom_trio.server):
        monkeypatch.setattr(module, "LINGER", 0.1)
    exchange = Exchange(rate=20)
    async with (
        loop.serve(exchange, ssl_context=net.server) as server,
        loop.connect(server.endpoint, ssl_context=net.client) as client,
    ):
        await client.subscribe("0E", ITEM)
        sent = await anyio.to_thread.run_sync(_flood, port_of(server.endpoint), net)
        assert sent < 60 << 20
        await rows_come(client)
        await until(lambda: len(exchange.links) == len(server._links) == 1)


def _flood(port: int, net: Net) -> int:
    """Send messages that are answered with as many bytes, read no answer, and return how many it took to the end."""
    message = text({"trnm": "x" * 60_000})
    sent = 0
    with dialled(port, receive_buffer=65_536) as plain:
        stream = plain if net.client is None else net.client.wrap_socket(plain, server_hostname="127.0.0.1")
        with stream:
            stream.settimeout(30)
            try:
                stream.sendall(LOGIN)
                while sent < 60 << 20:
                    stream.sendall(message)
                    sent += len(message)
                    time.sleep(0.002)  # no more than a thousand a second
            except OSError:
                pass
    return sent


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
def test_it_goes_on_where_there_are_no_files_left(loop: Loop) -> None:
    words = [sys.executable, "-m", "tests.adapters.few_files", loop.name, "64"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        endpoint = Endpoint(process.stdout.readline().strip())
        port = port_of(endpoint)

        async def scenario() -> None:
            async with loop.connect(endpoint) as client:
                await client.subscribe("0E", ITEM)
                idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(120)]
                await rows_come(client)
                for stream in idle:
                    stream.close()
                await rows_come(client)
                async with loop.connect(endpoint, token="another") as another:
                    await another.subscribe("0E", ITEM)
                    await rows_come(another)

        try:
            loop.run(scenario)
        finally:
            _, errors = process.communicate("\n", timeout=30)
    assert process.returncode == 0, errors
    assert "accept" in errors, "and it was said"


async def test_above_the_limit_a_connection_that_does_nothing_makes_room(loop: Loop) -> None:
    async with loop.serve(Exchange(rate=20, connection_limit=3)) as server:
        port = port_of(server.endpoint)
        async with loop.connect(server.endpoint) as client:
            await client.subscribe("0E", ITEM)
            with dialled(port) as first, dialled(port), dialled(port):
                assert await anyio.to_thread.run_sync(read_to_end, first) == b""
                async with loop.connect(server.endpoint, token="another") as another:
                    await another.subscribe("0E", ITEM)
                    await rows_come(another)
            await rows_come(client)


async def test_what_is_cut_off_while_it_says_nothing_of_tls_is_closed_at_once(
    loop: Loop, tls: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (kiwoom_asyncio.server, kiwoom_trio.server):
        monkeypatch.setattr(module, "LINGER", 1_000)
    async with loop.serve(Exchange(rate=20, connection_limit=3), ssl_context=tls.server) as server:
        port = port_of(server.endpoint)
        with dialled(port) as first, dialled(port) as second, dialled(port), dialled(port), dialled(port):
            for stream in (first, second):
                assert await anyio.to_thread.run_sync(read_to_end, stream) == b""
            await until(lambda: len(server._links) == 3)
            async with loop.connect(server.endpoint, ssl_context=tls.client) as client:
                await client.subscribe("0E", ITEM)
                await rows_come(client)


async def test_tls_and_the_opening_handshake_have_one_deadline(
    loop: Loop, tls: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (kiwoom_asyncio.server, kiwoom_trio.server):
        monkeypatch.setattr(module, "LINGER", 1_000)
    exchange = Exchange(config=ServerConfig(open_timeout=0.1))
    async with loop.serve(exchange, ssl_context=tls.server) as server:
        with dialled(port_of(server.endpoint)) as stream:
            assert await anyio.to_thread.run_sync(read_to_end, stream) == b""


# Web pages.


async def asked(server_port: int, request: bytes) -> int:
    def ask() -> int:
        with dialled(server_port) as stream:
            stream.sendall(request)
            return int(stream.recv(65_536).split()[1])

    return await anyio.to_thread.run_sync(ask)


async def test_web_pages_and_other_names_are_refused(loop: Loop) -> None:
    async with loop.serve(Exchange(), allowed_hosts=["box.test"]) as server:
        port = port_of(server.endpoint)
        body = b'{"grant_type":"client_credentials","appkey":"k","secretkey":"s"}'
        post = b"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for request, good in ((OPENED, 101), (post, 200)):
            for host, status in (("127.0.0.1", good), ("localhost:1", good), ("box.test", good), ("evil.test", 421)):
                assert await asked(port, request.replace(b"127.0.0.1", host.encode())) == status
            page = request.replace(b"Host", b"Origin: http://evil.test\r\nHost")
            assert await asked(port, page) == 403


# Its own mistakes.


async def test_an_error_of_its_own_costs_the_client_it_came_up_with(loop: Loop, own_errors: list[str]) -> None:
    exchange = Exchange(rate=20, conditions={"0": object()})  # type: ignore[dict-item]  # what cannot be said
    async with loop.serve(exchange) as server, loop.connect(server.endpoint) as client:
        await client.subscribe("0E", ITEM)
        port = port_of(server.endpoint)
        with dialled(port) as stream:
            stream.sendall(LOGIN)
            await until(lambda: len(exchange.links) == 2 and exchange.links[1].key)
            stream.sendall(text({"trnm": "CNSRLST"}))
            await anyio.to_thread.run_sync(read_to_end, stream)
        await rows_come(client)
    assert len(own_errors) == 1
    assert "Traceback" in own_errors[0]
    own_errors.clear()


# The command.


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])
def test_the_command_warns_where_other_machines_can_reach_it(host: str, warned: bool) -> None:
    with command.start("serve", "--port", "0", "--host", host, "--allow-host", "box.test") as process:
        assert process.stdout is not None
        port = port_of(Endpoint(process.stdout.readline().split()[-1], insecure=True))
        with dialled(port) as stream:
            stream.sendall(OPENED.replace(b"127.0.0.1", b"box.test"))
            assert stream.recv(65_536).startswith(b"HTTP/1.1 101 ")
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert ("anyone who reaches" in errors and "in clear" in errors) == warned
    assert warned or "warning" not in errors

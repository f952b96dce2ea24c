"""The JSON lines of the kiwoom-proto command: a saved file tells its holes, and every line is read back."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.adapters.command import TOKEN, exchange, run, start

from kiwoom_proto import AfterHoursQuote, Disconnected, Event, Gap, Record
from kiwoom_proto.errors import HandshakeError
from kiwoom_proto.events import Closed
from kiwoom_proto.realtime import OrderExecution
from kiwoom_proto.recording.event_json import event_from_dict

pandas: Any = pytest.importorskip("pandas")


def read(lines: str) -> list[Event]:
    """What a saved file tells."""
    return [event_from_dict(json.loads(line)) for line in lines.splitlines()]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with exchange() as (url, _):
        yield url


def test_a_line_reads_back_as_the_row_it_was(url: str) -> None:
    done = run("stream", "0E", "005930", "--endpoint", url, "--count", "5")

    rows = read(done.stdout)

    assert len(rows) == 5
    for row, members in zip(rows, map(json.loads, done.stdout.splitlines()), strict=True):
        assert isinstance(row, AfterHoursQuote)
        assert (row.item, row.received_at) == ("005930", members["received_at"])
        assert row.fids() == members["fids"]
        assert row.to_dict() == members
        assert row.exchange_time is not None
        assert members["exchange_time"] == row.exchange_time.isoformat()
        assert members["exchange_time"].endswith("+09:00")
    assert [row.sequence for row in rows] == list(range(rows[0].sequence, rows[0].sequence + 5))
    assert {row.epoch for row in rows} == {1}


def test_a_decoded_payload_reads_back_too() -> None:
    payload = (
        b'{"data":[{"values":{"9201":"8100000001","9203":"0000018","9001":"A005930","20":"090001"},"type":"00",'
        b'"name":"\xec\xa3\xbc\xeb\xac\xb8\xec\xb2\xb4\xea\xb2\xb0","item":"005930"}],"trnm":"REAL"}\n'
    )
    with start("decode", "-", stdin=-1) as process:
        lines, _ = process.communicate(payload.decode(), timeout=20)

    [row] = read(lines)

    assert isinstance(row, OrderExecution)
    assert row.order_number == "0000018"
    assert row.account_number == "***"
    assert "8100000001" not in lines


def test_pandas_keeps_codes_as_texts(url: str) -> None:
    lines = run("stream", "0E", "000660", "--endpoint", url, "--count", "3").stdout

    from_lines = pandas.DataFrame(map(json.loads, lines.splitlines()))
    from_file = pandas.read_json(io.StringIO(lines), lines=True, dtype=False)

    for frame in (from_lines, from_file):
        assert set(frame["item"]) == {"000660"}
        assert frame["received_at"].dtype == "int64"
        assert frame["ask_quantity"].dtype == "int64"
        moments = pandas.to_datetime(frame["exchange_time"])
        assert {moment.utcoffset().total_seconds() for moment in moments} == {9 * 3600}
        assert [moment.strftime("%H:%M:%S") for moment in moments] == list(frame["time"])


def test_a_saved_file_tells_its_holes() -> None:
    with exchange() as (url, server), start("stream", "0E", "005930", "--endpoint", url) as client:
        assert client.stdout is not None and client.stderr is not None
        lines = [client.stdout.readline()]
        server.kill()
        server.wait()
        said = client.stderr.readline()
        with exchange(port=urlsplit(url).port or 0):
            while not isinstance(event_from_dict(json.loads(lines[-1])), Gap):
                lines.append(client.stdout.readline())
            client.kill()
    events = read("".join(lines))

    lost = next(event for event in events if isinstance(event, Disconnected))
    before = [event for event in events[: events.index(lost)] if isinstance(event, Record)]
    gap = events[-1]
    assert isinstance(gap, Gap)
    assert str(lost) in said, "also on standard error"
    assert "connection lost" in str(lost)
    assert gap.last_sequence >= before[-1].sequence
    assert 0 < gap.start <= before[-1].received_at < gap.end
    assert gap.epoch > before[-1].epoch == 1
    assert gap.seconds > 0


def test_the_end_of_a_stream_is_a_line_too() -> None:
    with exchange() as (url, _), start("stream", "0E", "005930", "--endpoint", url) as client:
        assert client.stdout is not None
        client.stdout.readline()
        run("stream", "0E", "005930", "--endpoint", url, "--count", "1")
        lines, _ = client.communicate(timeout=20)
    closed = read(lines)[-1]

    assert client.returncode == 1
    assert isinstance(closed, Closed)
    assert "R10001" in str(closed)


def test_the_body_of_a_refused_handshake_is_not_printed() -> None:
    """A server may put anything into it, and nothing masks it."""
    secret = "the-body-that-nobody-may-see"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Length: {len(secret)}\r\n\r\n"
                    connection.sendall(f"{head}{secret}".encode())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        done = run("stream", "0E", "005930", "--endpoint", url, "--duration", "1")
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    assert secret not in done.stdout + done.stderr
    assert TOKEN not in done.stdout
    lines: list[Any] = read(done.stdout)
    assert all(
        isinstance(event.cause, HandshakeError) and not event.cause.body for event in lines if hasattr(event, "cause")
    )

"""Layer f, steps: where the time goes. Each subject does what the one before does and one thing more; 64 KiB reads.

1 frames        payloads are sliced out of the bytes
2 rows          envelopes are looked up, records made
3 connection    the connection's state machine around it
4 session       the session and the inbox around that, as the adapters drive them
5 decoded       of each row the FIDs that are read are decoded
6 fields        the usual fields are read: numbers and times; levels of a book with `top`, which decodes them itself
6 properties    levels of a book are read as properties

floor 1 frames  the same by hand (see floor.py)
floor 2 rows    one pass with a Struct: envelope and values
floor 3 texts   the usual fields are read, texts
floor 3 typed   and made numbers and times
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiwoom_proto import MessageDecoder
from kiwoom_proto.client.inbox import Inbox
from kiwoom_proto.wire.websocket import WebSocketClient

from .core import logged_in_connection, logged_in_session, reads_of
from .data import messages, types_of
from .decode import CPU, our_reader
from .floor import Floor, slice_frames
from .peers.driver import Round, serve, timed
from .runner import Bench, Player

__all__ = ("measure", "prepare")

COUNT = 2_000
NEVER = 10**9
"""Rows until layouts look again at what is read: not within a round."""

Run = Callable[[], int]


def measure(bench: Bench) -> None:
    """Make the measurements."""
    times = max(1, round(8 * bench.effort.scale))
    for shape in ("0E", "0B", "0D"):
        setting = {"shape": shape, "count": bench.effort.messages(COUNT)}
        players = [Player(name, "benchmarks.steps", {**setting, "subject": name}) for name in SUBJECTS]
        bench.compare("steps", shape, players, CPU, {"times": times})


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    shape = setting["shape"]
    payloads = messages(shape, setting["count"])
    take = SUBJECTS[setting["subject"]](shape, reads_of(payloads, "64 KiB"))

    def work(times: int) -> int:
        count = sum(take() for _ in range(times))
        assert count == len(payloads) * times, "messages are missing"
        return count

    return lambda command: timed(lambda: work(command["times"]))


def _open_websocket() -> WebSocketClient:
    return logged_in_connection()._websocket


def _frames(shape: str, chunks: list[bytes]) -> Run:
    websocket = _open_websocket()
    return lambda: sum(len(run) for data in chunks for run in websocket.receive_runs(data))


def _rows(shape: str, chunks: list[bytes]) -> Run:
    websocket, decoder = _open_websocket(), MessageDecoder()

    def run() -> int:
        count = 0
        for data in chunks:
            records: list[Any] = []
            for payloads in websocket.receive_runs(data):
                assert decoder.take_rows(payloads, 1, records) is None
            count += len(records)
        return count

    return run


def _connection(shape: str, chunks: list[bytes]) -> Run:
    connection = logged_in_connection()

    def run() -> int:
        count = 0
        for data in chunks:
            connection.receive_data(data, 1)
            count += len(connection.events())
        return count

    return run


def _session(shape: str, chunks: list[bytes], each: Callable[[Any], object] | None = None) -> Run:
    session = logged_in_session({(types_of(shape)[0], "000001")})
    inbox = Inbox(session)

    def run() -> int:
        count = 0
        for data in chunks:
            session.receive_data(data, 1)
            inbox.collect()
            events = inbox.pop()
            count += len(events)
            if each is not None:
                for event in events:
                    each(event)
        return count

    return run


def _fields(shape: str, chunks: list[bytes]) -> Run:
    return _session(shape, chunks, our_reader(shape, "usual"))


def _properties(shape: str, chunks: list[bytes]) -> Run:
    return _session(shape, chunks, our_reader(shape, "usual", properties=True))


def _decoded(shape: str, chunks: list[bytes]) -> Run:
    learning = _properties(shape, chunks)
    for _ in range(3):
        learning()

    def decode(record: Any) -> None:
        record._layout._rows_left = NEVER
        record._decode()

    return _session(shape, chunks, decode)


def _floor_frames(shape: str, chunks: list[bytes]) -> Run:
    def run() -> int:
        count, held = 0, b""
        for data in chunks:
            payloads, held = slice_frames(data, held)
            count += len(payloads)
        return count

    return run


def _floor(way: str | None) -> Callable[[str, list[bytes]], Run]:
    def make(shape: str, chunks: list[bytes]) -> Run:
        floor = Floor(shape)
        rows = floor.rows
        read = None if way is None else getattr(floor, way)

        def run() -> int:
            count, held = 0, b""
            for data in chunks:
                payloads, held = slice_frames(data, held)
                for payload in payloads:
                    for row in rows(payload):
                        if read is not None:
                            read(row)
                        count += 1
            return count

        return run

    return make


SUBJECTS: dict[str, Callable[[str, list[bytes]], Run]] = {
    "1 frames": _frames,
    "2 rows": _rows,
    "3 connection": _connection,
    "4 session": _session,
    "5 decoded": _decoded,
    "6 fields": _fields,
    "6 properties": _properties,
    "floor 1 frames": _floor_frames,
    "floor 2 rows": _floor(None),
    "floor 3 texts": _floor("read"),
    "floor 3 typed": _floor("read_typed"),
}

if __name__ == "__main__":
    serve(prepare)

"""Layer b, core: TCP bytes -> events, framing included, in reads of 1 frame, of 16 frames, and of 64 KiB. No network.

Subjects:

    ours                  ClientConnection: receive_data, events
    ours (session)        Session and Inbox, as the adapters drive them: receive_data, collect, take
    floor                 frames sliced, one pass with a Struct of exactly the fields read (see floor.py)
    websockets + ours     our MessageDecoder behind the sans-I/O protocol of the websockets package, unaided
    websockets + json     json.loads behind it: what a script written by hand does, without its event loop

In the cases that read nothing, events are counted and nothing else: their rows stay encoded, and the floor takes type
and item of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from kiwoom_proto import MOCK, ClientConfig, ClientConnection, LinkNeeded, MessageDecoder, Session
from kiwoom_proto.client.inbox import Inbox
from kiwoom_proto.connection.server import RequestReceived, ServerConnection
from kiwoom_proto.testing import ManualClock

from .data import fids, messages, server_frame, types_of
from .decode import CPU, case_name, our_reader
from .floor import Floor, slice_frames
from .peers.driver import Round, compile_reader, serve, timed
from .runner import Bench, Player

__all__ = ("logged_in_connection", "logged_in_session", "measure", "prepare", "reads_of")

READS = ("64 KiB", "16 frames", "1 frame")
CASES = [
    (shape, reads, read)
    for shape in ("0E", "0B", "0D", "market")
    for reads in ("nothing", "usual")
    for read in READS
    if reads == "nothing" or read == "64 KiB"
]
SIZE = 65_536
COUNT = 2_000


def measure(bench: Bench) -> None:
    """Make the measurements."""
    times = max(1, round(8 * bench.effort.scale))
    for shape, reads, read in CASES:
        setting = {"shape": shape, "reads": reads, "read": read, "count": bench.effort.messages(COUNT)}
        players = [Player(name, "benchmarks.core", {**setting, "subject": name}) for name in SUBJECTS]
        bench.compare("core", f"{case_name(shape, reads)}, {read} a read", players, CPU, {"times": times})


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    payloads = messages(setting["shape"], setting["count"])
    take = SUBJECTS[setting["subject"]](setting["shape"], setting["reads"], reads_of(payloads, setting["read"]))

    def work(times: int) -> int:
        count = sum(take() for _ in range(times))
        assert count == len(payloads) * times, "events are missing"
        return count

    return lambda command: timed(lambda: work(command["times"]))


def reads_of(payloads: list[bytes], read: str) -> list[bytes]:
    """The frames of these messages as they come from the network."""
    frames = [server_frame(payload) for payload in payloads]
    if read == "1 frame":
        return frames
    if read == "16 frames":
        return [b"".join(frames[at : at + 16]) for at in range(0, len(frames), 16)]
    wire = b"".join(frames)
    return [wire[at : at + SIZE] for at in range(0, len(wire), SIZE)]


def _connection(shape: str, reads: str, chunks: list[bytes]) -> Callable[[], int]:
    connection = logged_in_connection()
    read = None if reads == "nothing" else our_reader(shape, reads)

    def run() -> int:
        count = 0
        for data in chunks:
            connection.receive_data(data, 1)
            events = connection.events()
            count += len(events)
            if read is not None:
                for event in events:
                    read(event)
        return count

    return run


def _session(shape: str, reads: str, chunks: list[bytes]) -> Callable[[], int]:
    session = logged_in_session({(types_of(shape)[0], "000001")})  # of which rows will come
    inbox = Inbox(session)
    read = None if reads == "nothing" else our_reader(shape, reads)

    def run() -> int:
        count = 0
        for data in chunks:
            session.receive_data(data, 1)
            inbox.collect()
            events = inbox.pop()
            count += len(events)
            if read is not None:
                for event in events:
                    read(event)
        return count

    return run


def _floor(shape: str, reads: str, chunks: list[bytes]) -> Callable[[], int]:
    floor = Floor(shape, reads)
    rows, read = floor.rows, None if reads == "nothing" else floor.read

    def run() -> int:
        count = 0
        held = b""
        for data in chunks:
            payloads, held = slice_frames(data, held)
            for payload in payloads:
                for row in rows(payload):
                    if read is not None:
                        read(row)
                    count += 1
        return count

    return run


def _websockets(shape: str, reads: str, chunks: list[bytes]) -> Callable[[], int]:
    protocol = _open_protocol()
    decode = MessageDecoder().decode
    read = None if reads == "nothing" else our_reader(shape, reads)

    def run() -> int:
        count = 0
        for data in chunks:
            protocol.receive_data(data)
            for frame in protocol.events_received():
                assert isinstance(frame, Frame)
                for record in decode(bytes(frame.data)):
                    if read is not None:
                        read(record)
                    count += 1
        return count

    return run


def _websockets_json(shape: str, reads: str, chunks: list[bytes]) -> Callable[[], int]:
    protocol = _open_protocol()
    readers = {code: compile_reader('row["values"]["{}"]', fids(code, reads)) for code in types_of(shape)}

    def run() -> int:
        count = 0
        for data in chunks:
            protocol.receive_data(data)
            for frame in protocol.events_received():
                assert isinstance(frame, Frame)
                for row in json.loads(bytes(frame.data))["data"]:
                    readers[row["type"]](row)
                    count += 1
        return count

    return run


SUBJECTS: dict[str, Callable[[str, str, list[bytes]], Callable[[], int]]] = {
    "ours": _connection,
    "ours (session)": _session,
    "floor": _floor,
    "websockets + ours": _websockets,
    "websockets + json": _websockets_json,
}


def logged_in_connection() -> ClientConnection:
    """A connection that is logged in."""
    clock = ManualClock()
    client, server = ClientConnection(MOCK, clock=clock), ServerConnection(clock=clock)
    client.connect("token")
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    _accept_all(server)
    client.receive_data(server.data_to_send())
    client.events()
    return client


def logged_in_session(subscriptions: set[tuple[str, str]], config: ClientConfig | None = None) -> Session:
    """A session that is logged in, with these (type, item) registered."""
    clock = ManualClock()
    config = ClientConfig(item_limit=100_000, items_per_request=1_000) if config is None else config
    session, server = Session(MOCK, config, clock=clock, random=lambda: 0.5), ServerConnection(clock=clock)
    session.connect("token")
    for type_code in sorted({code for code, _ in subscriptions}):
        session.subscribe(type_code, *sorted(item for code, item in subscriptions if code == type_code))
    assert isinstance(session.needs, LinkNeeded)
    while not session.is_settled:
        server.receive_data(session.data_to_send())
        _accept_all(server)
        if data := server.data_to_send():
            session.receive_data(data)
        else:
            clock.advance(1.0)
            session.handle_timeout()
    session.events()
    return session


def _accept_all(server: ServerConnection) -> None:
    for event in server.events():
        if isinstance(event, RequestReceived):
            server.accept(event.request)


def _open_protocol() -> ClientProtocol:
    client = ClientProtocol(parse_uri("ws://localhost/"))
    server = ServerProtocol()
    client.send_request(client.connect())
    server.receive_data(b"".join(client.data_to_send()))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    client.receive_data(b"".join(server.data_to_send()))
    client.events_received()
    return client


def in_process() -> Iterator[tuple[str, str, str, str]]:
    """Every subject with every case: subject, shape, reads, read."""
    for subject in SUBJECTS:
        for case in CASES:
            yield subject, *case


if __name__ == "__main__":
    serve(prepare)

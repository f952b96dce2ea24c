"""Layer e, scale: what a message costs as something else grows. Each size is a subject; "ours" all of them.

subscriptions   items registered, with rows of all of them (Session and Inbox, nothing read). "+ 1 silent" has one
                more item, of which no row ever comes
rows            rows in a message: cost per row (ClientConnection, nothing read)
size            FIDs in a row (of 0D: 0.2 to 2 kB): cost per message (ClientConnection, nothing read)
catalogue       types that the decoder knows: cost per message (MessageDecoder, nothing read)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kiwoom_proto import ClientConfig, MessageDecoder, Record
from kiwoom_proto.client.inbox import Inbox
from kiwoom_proto.realtime import REALTIME

from .core import logged_in_connection, logged_in_session, reads_of
from .data import messages
from .decode import CPU
from .peers.driver import Round, serve, timed
from .runner import Bench, Player

__all__ = ("SIZES", "measure", "prepare")

COUNT = 10_000
SIZES = {
    "subscriptions": ("1", "10", "100", "1,000", "10,000", "10,000 + 1 silent"),
    "rows": ("1", "2", "5", "10", "50", "100"),
    "size": ("5", "20", "43", "80", "163"),
    "catalogue": ("1", "25", "1,000"),
}
UNITS = {"subscriptions": CPU, "rows": {"cpu": "ns of CPU per row"}, "size": CPU, "catalogue": CPU}


def measure(bench: Bench) -> None:
    """Make the measurements."""
    count = bench.effort.messages(COUNT)
    for what, sizes in SIZES.items():
        players = [
            Player(size, "benchmarks.scale", {"what": what, "size": size, "count": count})
            for size in sizes
            if what != "subscriptions" or _number(size) <= count
        ]
        bench.compare("scale", what, players, UNITS[what])


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    run = WHAT[setting["what"]](setting["size"], setting["count"])
    return lambda command: timed(run)


def _number(size: str) -> int:
    return int(size.partition(" ")[0].replace(",", ""))


def _subscriptions(size: str, count: int) -> Callable[[], int]:
    items = _number(size)
    registered = {("0B", f"{item + 1:06d}") for item in range(items)}
    if "silent" in size:
        registered.add(("0B", "999999"))
    # Enough room for one of every message in one read; pacing is not what is measured.
    config = ClientConfig(item_limit=20_000, items_per_request=20_000, request_interval=0)
    session = logged_in_session(registered, config)
    inbox = Inbox(session)
    chunks = reads_of(messages("0B", count, items=items), "64 KiB")

    def run() -> int:
        done = 0
        for chunk in chunks:
            session.receive_data(chunk, 1)
            inbox.collect()
            done += len(inbox.pop())
        return done

    return run


def _connection(payloads: list[bytes]) -> Callable[[], int]:
    connection = logged_in_connection()
    chunks = reads_of(payloads, "64 KiB")

    def run() -> int:
        done = 0
        for chunk in chunks:
            connection.receive_data(chunk, 1)
            done += len(connection.events())
        return done

    return run


def _rows(size: str, count: int) -> Callable[[], int]:
    rows = _number(size)
    return _connection(messages("0B", max(1, count // rows), rows=rows))


def _size(size: str, count: int) -> Callable[[], int]:
    return _connection(messages("0D", count // 4, fids=_number(size)))


def _catalogue(size: str, count: int) -> Callable[[], int]:
    types: dict[str, type[Record]] = {"0E": REALTIME["0E"]}
    wanted = _number(size)
    types.update(list(REALTIME.items())[: max(0, wanted - 1)])
    types.update({f"x{number}": Record for number in range(wanted - len(types))})
    decoder = MessageDecoder(types)
    payloads = messages("0E", count // 4)

    def run() -> int:
        decode = decoder.decode
        return sum(len(decode(payload)) for payload in payloads)

    return run


WHAT: dict[str, Callable[[str, int], Callable[[], int]]] = {
    "subscriptions": _subscriptions,
    "rows": _rows,
    "size": _size,
    "catalogue": _catalogue,
}

if __name__ == "__main__":
    serve(prepare)

"""Layer d, memory: what an event that waits costs, whether anything grows, and what the collector has to do.

    buffered   events wait unread, as they do for a slow consumer. Everything allocated for them and not freed counts
               (tracemalloc): the message's bytes, the row, its texts, the buffer's own part.
    growth     messages come and go, fields read. How much more memory the process holds at the end than after the
               first tenth, and at most.
    objects    how many blocks of memory each message that is kept takes, and how many objects of it the garbage
               collector has to look at.

Subjects: "ours" is Session and Inbox, as the adapters drive them; "json.loads" the dicts that a script would keep.
"""

from __future__ import annotations

import gc
import json
import pathlib
import resource
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

from kiwoom_proto import ClientConfig
from kiwoom_proto.client.inbox import Inbox

from .core import logged_in_session, reads_of
from .data import messages, types_of
from .decode import our_reader
from .peers.driver import Round, serve
from .runner import Bench, Player

__all__ = ("measure", "prepare")

POOL = 2_000
BUFFERED = 20_000
GROWTH = 5_000_000


def measure(bench: Bench) -> None:
    """Make the measurements."""
    count = bench.effort.messages(BUFFERED)
    for shape in ("0E", "0B", "0D"):
        players = [_player(name, "buffered", shape) for name in ("ours", "json.loads")]
        units = {"bytes": "bytes per buffered event"}
        bench.compare("memory", f"{shape}, waiting unread", players, units, {"count": count}, rounds=1)
    for shape in ("0B", "0D"):
        players = [_player(name, "objects", shape) for name in ("ours", "json.loads")]
        units = {"blocks": "blocks per message kept", "tracked": "collector's objects per message kept"}
        bench.compare("memory", f"{shape}, objects", players, units, {"count": count}, rounds=1)
    growth = {"growth": "kB more than after the first tenth", "peak": "kB at most"}
    count = bench.effort.messages(GROWTH)
    case = f"market, {count:,} messages come and go"
    bench.compare(
        "memory", case, [_player("ours", "growth", "market")], growth, {"count": count}, rounds=1, timeout=900
    )


def _player(subject: str, what: str, shape: str) -> Player:
    return Player(subject, "benchmarks.memory", {"subject": subject, "what": what, "shape": shape})


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    pool = messages(setting["shape"], POOL)
    what, ours = WHAT[setting["what"]], setting["subject"] == "ours"
    return lambda command: what(setting["shape"], pool, command["count"], ours)


def _keeper(shape: str, ours: bool, count: int) -> tuple[Callable[[bytes], None], list[Any]]:
    """What takes a read from the network and keeps what comes of it."""
    kept: list[Any] = []
    if not ours:
        return lambda data: kept.extend(_loads(data)), kept
    config = ClientConfig(buffer_size=count + 100, buffer_bytes=1 << 40)
    session = logged_in_session({(types_of(shape)[0], "000001")}, config)
    inbox = Inbox(session)
    kept.append(inbox)

    def keep(data: bytes) -> None:
        session.receive_data(data, 1_700_000_000_000_000_000)
        inbox.collect()

    return keep, kept


def _loads(data: bytes) -> list[Any]:
    # Reads of one whole frame each: the payload is what follows its header.
    return [json.loads(data[data.index(b"{") :])]


def _buffered(shape: str, pool: list[bytes], count: int, ours: bool) -> dict[str, float]:
    keep, kept = _keeper(shape, ours, count + len(pool))
    size = "64 KiB" if ours else "1 frame"
    chunks = reads_of(pool, size)
    for chunk in chunks:  # what is made once is made now
        keep(chunk)
    if ours:
        kept[0].pop()
    else:
        kept.clear()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    turns = max(1, count // len(pool))
    for _ in range(turns):
        for chunk in chunks:
            keep(bytes(bytearray(chunk)))
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return {"bytes": held / (turns * len(pool))}


def _objects(shape: str, pool: list[bytes], count: int, ours: bool) -> dict[str, float]:
    keep, _ = _keeper(shape, ours, count + len(pool))
    chunks = reads_of(pool, "64 KiB" if ours else "1 frame")
    for chunk in chunks:
        keep(chunk)
    gc.collect()  # moves what cannot hold others out of the collector's sight
    blocks, tracked = sys.getallocatedblocks(), len(gc.get_objects())
    for chunk in chunks:
        keep(chunk)
    blocks = sys.getallocatedblocks() - blocks
    gc.collect()
    tracked = len(gc.get_objects()) - tracked
    return {"blocks": blocks / len(pool), "tracked": tracked / len(pool)}


def _growth(shape: str, pool: list[bytes], count: int, ours: bool) -> dict[str, float]:
    session = logged_in_session({(types_of(shape)[0], "000001")})
    inbox = Inbox(session)
    read = our_reader(shape, "usual")
    chunks = reads_of(pool, "64 KiB")
    turns = max(10, count // len(pool))
    settled = most = 0
    for turn in range(turns):
        for chunk in chunks:
            session.receive_data(bytes(bytearray(chunk)), turn + 1)
            inbox.collect()
            for event in inbox.pop():
                read(event)
        held = resident()
        most = max(most, held)
        if turn == turns // 10:
            settled = held
    return {"growth": float(resident() - settled), "peak": float(most)}


WHAT: dict[str, Callable[[str, list[bytes], int, bool], dict[str, float]]] = {
    "buffered": _buffered,
    "objects": _objects,
    "growth": _growth,
}


def resident() -> int:
    """Memory that this process holds, in kB; where the system does not tell, the most it ever held."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize() // 1024


if __name__ == "__main__":
    serve(prepare)

"""Layer a, decode: one text payload -> its rows, and the usual fields of each read. No network, no frames.

Subjects:

    ours             MessageDecoder, fields read as users do: numbers and times, checked; levels of a book with `top`
    ours (properties)  the same, each level's fields read as properties
    floor            one pass with a Struct of exactly the fields read, which are left texts (see floor.py)
    floor (typed)    the same, and numbers and times made of the texts, as ours gives them
    json.loads       what a script written by hand does: the dict, and FIDs looked up in it, left texts
    kwcli            the official client's way (json.loads, FIDs renamed to Korean labels), in its own environment
    kwcli (here)     its renaming, run by this interpreter: its code for that needs nothing but the standard library
    kwcli (unnamed)  its way without the renaming, which a program may leave out: json.loads
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from kiwoom_proto import MessageDecoder
from kiwoom_proto.realtime import REALTIME

from . import opponents
from .data import ORDERS, READS, SHAPES, fids, messages, types_of
from .floor import Floor
from .peers import official_decode
from .peers.driver import Round, compile_reader, serve, timed
from .runner import Bench, Player

__all__ = ("measure", "our_reader", "prepare")

CPU = {"cpu": "ns of CPU per message"}
COUNT = 2_000
"""Different messages; a round is several times through them."""
CASES = [(shape, "usual") for shape in SHAPES] + [
    ("0D", "two levels"),
    ("0D", "nothing"),
    ("0B", "nothing"),
    ("0E", "nothing"),
]


def case_name(shape: str, reads: str) -> str:
    """What a measurement is called: "0B, usual fields read"."""
    return f"{shape}, {'nothing' if reads == 'nothing' else f'{reads} fields' if reads == 'usual' else reads} read"


def measure(bench: Bench) -> None:
    """Make the measurements."""
    times = max(1, round(5 * bench.effort.scale))
    kwcli = opponents.find("kwcli")
    for shape, reads in CASES:
        setting = {"shape": shape, "reads": reads, "count": bench.effort.messages(COUNT), "order": "official"}
        players = [
            Player(name, "benchmarks.decode", {**setting, "subject": name})
            for name in ("ours", "ours (properties)", "floor", "floor (typed)", "json.loads")
            if name != "ours (properties)" or "0D" in types_of(shape)
        ]
        official = {**setting, "fids": {code: fids(code, reads) for code in types_of(shape)}}
        for name, named in (("kwcli", True), ("kwcli (unnamed)", False)):
            settings = {**official, "named": named, "payloads": opponents.payload_file(setting)}
            players.append(Player(name, "benchmarks.peers.official_decode", settings, kwcli.python, kwcli.error))
        here = {**setting, "subject": "kwcli (here)", "packages": kwcli.packages}
        python = sys.executable if kwcli.packages else None
        players.append(Player("kwcli (here)", "benchmarks.decode", here, python, kwcli.error))
        bench.compare("decode", case_name(shape, reads), players, CPU, {"times": times})
    for shape in ("0B", "0D"):
        setting = {"shape": shape, "reads": "usual", "count": bench.effort.messages(COUNT), "subject": "ours"}
        players = [Player(f"ours ({order})", "benchmarks.decode", {**setting, "order": order}) for order in ORDERS]
        bench.compare("decode", f"{shape}, orders of keys", players, CPU, {"times": times})


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    payloads = messages(setting["shape"], setting["count"], order=setting["order"])
    decode_all = SUBJECTS[setting["subject"]](setting, payloads)
    return lambda command: timed(lambda: sum(decode_all() for _ in range(command["times"])))


def our_reader(shape: str, reads: str, *, properties: bool = False) -> Callable[[Any], None]:
    """Reads of a record what is read: levels of a book as tuples, or as properties."""
    readers = {code: compile_reader("row.{}", READS[reads].get(code, ())) for code in types_of(shape)}
    levels = len(READS[reads].get("0D", ())) // 4
    if "0D" in readers and levels and not properties:

        def read_book(record: Any) -> None:
            top = record.top(levels)
            top.ask_prices, top.ask_quantities, top.bid_prices, top.bid_quantities  # noqa: B018

        readers["0D"] = read_book
    if len(readers) == 1:
        return readers[shape]
    return lambda record: readers[record.type_code](record)


def _ours(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
    decoder = MessageDecoder()
    read = our_reader(setting["shape"], setting["reads"], properties="properties" in setting["subject"])

    def run() -> int:
        count = 0
        decode = decoder.decode
        for payload in payloads:
            for record in decode(payload):
                read(record)
                count += 1
        return count

    return run


def _floor(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
    floor = Floor(setting["shape"], setting["reads"])
    rows = floor.rows
    read = floor.read_typed if "typed" in setting["subject"] else floor.read

    def run() -> int:
        count = 0
        for payload in payloads:
            for row in rows(payload):
                read(row)
                count += 1
        return count

    return run


def _by_hand(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
    readers = {
        code: compile_reader('row["values"]["{}"]', fids(code, setting["reads"])) for code in types_of(setting["shape"])
    }

    def run() -> int:
        count = 0
        for payload in payloads:
            for row in json.loads(payload)["data"]:
                readers[row["type"]](row)
                count += 1
        return count

    return run


def _official_here(setting: dict[str, Any], payloads: list[bytes]) -> Callable[[], int]:
    _find_official(setting["packages"])
    codes = {code: list(fids(code, setting["reads"])) for code in types_of(setting["shape"])}
    return official_decode.decoder(codes, payloads, named=True)


def _find_official(packages: str) -> None:
    """Make modules of the official package importable without its package files, which import what it depends on."""
    for name in ("kiwoom", "kiwoom.realtime"):
        folder = f"{packages}/{name.replace('.', '/')}"
        spec = importlib.util.spec_from_file_location(
            name, f"{folder}/__init__.py", submodule_search_locations=[folder]
        )
        assert spec is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)  # and not executed


SUBJECTS: dict[str, Callable[[dict[str, Any], list[bytes]], Callable[[], int]]] = {
    "ours": _ours,
    "ours (properties)": _ours,
    "floor": _floor,
    "floor (typed)": _floor,
    "json.loads": _by_hand,
    "kwcli (here)": _official_here,
}


def in_process() -> Iterator[tuple[str, str, str]]:
    """Every subject that needs nothing else, with every case: subject, shape, reads."""
    for subject in ("ours", "ours (properties)", "floor", "floor (typed)", "json.loads"):
        for shape, reads in CASES:
            assert shape == "market" or shape in REALTIME
            yield subject, shape, reads


if __name__ == "__main__":
    serve(prepare)

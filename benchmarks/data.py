"""Seeded messages of real shapes: the FIDs, sizes and order of keys of real ones, with values that vary.

The shapes come from tests/data/messages.jsonl: measured where there is a measurement (0B: 43 FIDs, 0.7 kB), else the
official example (0D: 163 FIDs, 2 kB; 0E: 5 FIDs, 0.15 kB). "market" is what a busy morning looks like: 60 % 0D,
30 % 0B, 10 % others. (The others are types in capitals: kiwoom-restful cannot hand "0w" or "0s" to a program.)

Four orders of the FIDs: "official", which is the measured one too; "sorted" by number; "fixed", an arbitrary one that
does not change; "shuffled", another in every row.
"""

from __future__ import annotations

import atexit
import functools
import json
import pathlib
import random
import shutil
import tempfile
from decimal import Decimal
from typing import Any

from kiwoom_proto.realtime import REALTIME
from kiwoom_proto.wire.messages import Row, encode_rows

__all__ = (
    "MARKET",
    "ORDERS",
    "READS",
    "SHAPES",
    "STAMP_FID",
    "USUAL",
    "fids",
    "messages",
    "scratch_folder",
    "server_frame",
    "stamped",
    "types_of",
)

SHAPES = ("0E", "0B", "0D", "market")
ORDERS = ("official", "sorted", "fixed", "shuffled")
MARKET = {"0D": 60, "0B": 30, "0C": 2, "0F": 2, "0G": 2, "0H": 2, "0J": 2}
"""The market mix, in percent."""
STAMP_FID = "13"
"""Of 0B: where the feeder writes when it sent a message, in nanoseconds, as 19 digits."""
STAMP_WIDTH = 19

USUAL: dict[str, tuple[str, ...]] = {
    "0E": ("time", "ask_quantity", "ask_quantity_change", "bid_quantity", "bid_quantity_change"),
    "0B": ("time", "price", "quantity", "volume", "best_ask", "best_bid"),
    "0D": tuple(
        f"{side}_{what}_{level}" for level in range(1, 6) for side in ("ask", "bid") for what in ("price", "quantity")
    ),
}
"""The fields that a program usually reads of each type. Of the market mix's other types it reads none."""
READS: dict[str, dict[str, tuple[str, ...]]] = {
    "usual": USUAL,
    "two levels": {**USUAL, "0D": USUAL["0D"][:8]},
    "nothing": {},
}
"""What is read in the measurements."""

_EXAMPLES = pathlib.Path(__file__).parent.parent / "tests" / "data" / "messages.jsonl"


def types_of(shape: str) -> tuple[str, ...]:
    """The type codes in messages of this shape."""
    return tuple(MARKET) if shape == "market" else (shape,)


def fids(type_code: str, reads: str = "usual") -> tuple[str, ...]:
    """The FIDs of what is read of a type, in the order in which they stand in a message."""
    wanted = READS[reads].get(type_code, ())
    return tuple(field.fid for name, field in REALTIME[type_code].fields.items() if name in wanted)


@functools.cache
def _example(type_code: str) -> dict[str, Any]:
    for line in _EXAMPLES.read_text(encoding="utf-8").splitlines():  # the measured ones come first
        example = json.loads(line)
        if example["kind"] == f"REAL/{type_code}" and example["dir"] == "recv":
            row: dict[str, Any] = json.loads(example["msg"])["data"][0]
            return row
    raise LookupError(type_code)


def messages(
    shape: str,
    count: int,
    *,
    rows: int = 1,
    order: str = "official",
    items: int = 100,
    fids: int | None = None,
    seed: int = 42,
) -> list[bytes]:
    """Return REAL messages.

    Arguments:
        shape: one of SHAPES.
        count: how many.
        rows: rows in each.
        order: one of ORDERS.
        items: how many different stocks they are about.
        fids: of each row so many FIDs, the first ones; None: all.
        seed: the same seed gives the same messages.
    """
    source = random.Random(f"{seed}/{shape}/{rows}/{order}/{items}")
    types = tuple(MARKET) if shape == "market" else (shape,)
    weights = tuple(MARKET.values()) if shape == "market" else (1,)
    made = 0
    result = []
    for _ in range(count):
        batch = []
        for type_code in source.choices(types, weights, k=rows):
            example = _example(type_code)
            varied = _varied(type_code)
            values = {
                fid: _vary(value, source, varied[fid]) if fid in varied else value
                for fid, value in list(example["values"].items())[:fids]
            }
            # Every item comes once before one comes again, as far as there are enough rows. Sectors have three digits.
            number = (made * max(1, items // (count * rows))) % items + 1
            item = f"{number:0{len(example['item'])}d}"
            batch.append(Row(_ordered(values, order, source), type_code, example["name"], item))
            made += 1
        result.append(encode_rows(batch))
    return result


def _ordered(values: dict[str, str], order: str, source: random.Random) -> dict[str, str]:
    if order == "official":
        return values
    keys = sorted(values, key=int)
    if order == "fixed":
        random.Random(0).shuffle(keys)
    elif order == "shuffled":
        source.shuffle(keys)
    return {key: values[key] for key in keys}


@functools.cache
def _varied(type_code: str) -> dict[str, int]:
    """The FIDs that are numbers, with how many of their last digits vary: a price moves a little, others are any.

    Other digits in a time, a date or a code are seldom another one.
    """
    return {
        field.fid: 2 if field.kind.name == "price" else 99
        for field in REALTIME[type_code].fields.values()
        if field.kind.python_type in (int, Decimal)
    }


def _vary(value: str, source: random.Random, most: int) -> str:
    """Other digits, `most` of them: same length and sign, so that no two messages are the same and sizes are real."""
    if len(value) < 3 or not value.lstrip("+-").isdigit() or value.startswith("0"):
        return value
    varied = min(most, len(value.lstrip("+-")) - 1)
    return value[:-varied] + f"{source.randrange(10**varied):0{varied}d}"


def server_frame(payload: bytes) -> bytes:
    """Return one unmasked text frame."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65_536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return b"\x81" + length + payload


def stamped(payload: bytes) -> tuple[bytearray, int]:
    """A 0B message as a frame with room for the time it is sent at, and where that is."""
    head, _, tail = payload.partition(f'"{STAMP_FID}":"'.encode())
    assert tail, "no such FID"
    _, _, tail = tail.partition(b'"')
    opening = head + f'"{STAMP_FID}":"'.encode()
    frame = server_frame(opening + b"0" * STAMP_WIDTH + b'"' + tail)
    return bytearray(frame), frame.index(b"0" * STAMP_WIDTH)


def scratch_folder() -> pathlib.Path:
    """Make a folder that is there until the process ends."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kiwoom-proto-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder

"""Seeded messages of the shapes that matter: the FIDs and the order of keys of real ones, with values that vary.

The shapes come from tests/data/messages.jsonl: the official example of 0E (5 FIDs) and 0D (163), and a measured
0B (43).
"""

from __future__ import annotations

import json
import pathlib
import random

from kiwoom_proto import Row
from kiwoom_proto.messages import encode_rows

__all__ = ("SHAPES", "messages", "server_frame")

SHAPES = ("0E", "0B", "0D")
TIMES = ("20", "21")
_EXAMPLES = pathlib.Path(__file__).parent.parent / "tests" / "data" / "messages.jsonl"


def _example(type_code: str) -> dict[str, str]:
    for line in _EXAMPLES.read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        if example["kind"] == f"REAL/{type_code}" and example["dir"] == "recv":
            values: dict[str, str] = json.loads(example["msg"])["data"][0]["values"]
            return values
    raise LookupError(type_code)


def messages(type_code: str, count: int, *, seed: int = 42) -> list[bytes]:
    """Return `count` REAL messages of one row each."""
    source = random.Random(f"{seed}/{type_code}")
    example = _example(type_code)
    return [
        encode_rows(
            [
                Row(
                    {fid: value if fid in TIMES else _vary(value, source) for fid, value in example.items()},
                    type_code,
                    "주식시세",
                    "005930",
                )
            ]
        )
        for _ in range(count)
    ]


def _vary(value: str, source: random.Random) -> str:
    """Other digits, same length and sign, so that no two messages are the same and every size is real."""
    if len(value) < 3 or not value.lstrip("+-").isdigit() or value.startswith("0"):
        return value
    return value[:-2] + f"{source.randrange(100):02d}"


def server_frame(payload: bytes) -> bytes:
    """Return one unmasked text frame."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return b"\x81" + length + payload

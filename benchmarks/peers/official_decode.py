"""kwcli 1.0.3, decoding only: what its client does with one text message, without a network.

`KiwoomWebSocketClient.recv` gives `json.loads(text.strip())` of the text that the websockets package hands it (see
`_parse_message` in kiwoom/core/ws_client.py); `kiwoom.realtime.decode_realtime_message_named`, public, then puts the
official Korean labels in the place of FIDs. A program that wants typed fields calls both; one that can do with FIDs
calls the first ("unnamed").
"""

from __future__ import annotations

import importlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

from .driver import Round, compile_reader, serve, timed

__all__ = ("decoder", "labels")


def labels(codes: dict[str, list[str]]) -> dict[str, list[str]]:
    """The names under which `decode_realtime_message_named` gives the values of these FIDs, by type."""
    package = importlib.import_module("kiwoom.realtime.schemas")
    found = {}
    for code, wanted in codes.items():
        fields = package.get_realtime_schema(code)["fields"]
        found[code] = [fields[fid]["name"] for fid in wanted]
    return found


def decoder(codes: dict[str, list[str]], payloads: list[bytes], *, named: bool) -> Callable[[], int]:
    """A function that decodes them all, reads these FIDs of every row, and returns how many rows there were."""
    if named:
        # Not from kiwoom.realtime, where it is public: that imports all that the package depends on.
        name = importlib.import_module("kiwoom.realtime.decoders").decode_realtime_message_named
        member, readers = "data", labels(codes)
    else:
        name = None
        member, readers = "values", codes
    read = {code: compile_reader(f'row["{member}"]["{{}}"]', wanted) for code, wanted in readers.items()}

    def run() -> int:
        count = 0
        for payload in payloads:
            message = json.loads(payload.decode().strip())
            if name is not None:
                message = name(message)
            for row in message["data"]:
                read[row["type"]](row)
                count += 1
        return count

    return run


def prepare(setting: dict[str, Any]) -> Round:
    """Set the subject up."""
    payloads = pathlib.Path(setting["payloads"]).read_bytes().splitlines()
    run = decoder(setting["fids"], payloads, named=setting["named"])
    return lambda command: timed(lambda: sum(run() for _ in range(command["times"])))


if __name__ == "__main__":
    serve(prepare)

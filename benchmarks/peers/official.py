"""kwcli 1.0.3, the official client, driven as its own examples and command line do.

`KiwoomWebSocketClient` (public): `subscribe` dials, logs in and sends the REG; `iter_messages` gives the messages as
dicts; `decode_realtime_message_named` (public; `--named` on the command line) gives the values their official labels.
"unnamed" leaves that out and looks FIDs up.

Its URL comes from its own environment variable, W_MOCK. Its token comes from the object that its constructor takes for
that: one that has a token already, in place of one that would fetch it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from .driver import Meter, Round, compile_reader, serve
from .official_decode import labels

__all__ = ("prepare",)

REG = {"trnm": "REG", "grp_no": "1", "refresh": "1", "data": [{"item": ["000001"], "type": ["0B"]}]}


class _Token:
    """An authorization that is there already."""

    mode = "demo"

    def get_access_token(self) -> str:
        return "token"


def prepare(setting: dict[str, Any]) -> Round:
    """Set the subject up."""
    url = urlsplit(setting["url"])
    os.environ["W_MOCK"] = f"{url.scheme}://{url.netloc}"
    kiwoom = importlib.import_module("kiwoom")
    realtime = importlib.import_module("kiwoom.realtime")
    named: bool = setting["named"]
    member, names, stamp_name = "values", setting["fids"], setting["stamp"]
    if named:
        member, names = "data", labels(setting["fids"])
        (stamp_name,) = labels({"0B": [setting["stamp"]]})["0B"]
    readers = {code: compile_reader(f'row["{member}"]["{{}}"]', wanted) for code, wanted in names.items()}

    def read_any(row: Any) -> None:
        readers[row["type"]](row)

    read: Callable[[Any], None] = next(iter(readers.values())) if len(readers) == 1 else read_any

    async def receive(count: int, rate: int) -> dict[str, float]:
        meter = Meter(count, read, (lambda row: int(row[member][stamp_name])) if rate else None)
        name = realtime.decode_realtime_message_named
        client = kiwoom.KiwoomWebSocketClient(_Token())
        await client.subscribe(api_url=url.path, body=REG)
        try:
            async for message in client.iter_messages():
                if message["trnm"] != "REAL":
                    continue
                if named:
                    message = name(message)
                for row in message["data"]:
                    meter.taken(row)
                if not meter.left:
                    break
        finally:
            await client.close()
        return meter.result()

    return lambda command: asyncio.run(receive(command["count"], command["rate"]))


if __name__ == "__main__":
    serve(prepare)

"""kiwoom-restful 0.4.0, driven as its README does: `API`, callbacks by type, `register_tick`.

`API.connect` gets a token, dials and logs in; a message goes through a queue, is decoded with msgspec down to the
row's `values`, and each row becomes a task that calls the callback with a `RealData`. The callback is a coroutine
function: plain functions it would run in a thread pool, which is slower. What is to be done with `values` is left to
the callback; its documentation names orjson and msgspec, of which this uses the faster: a Struct of exactly the fields
read.

It has no configuration for the URLs; they are the public attributes `api.host` and `api.socket.url`, set before
connecting. Replies are given callbacks that do nothing, because by default it prints them.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any
from urllib.parse import urlsplit

from .driver import Meter, Round, compile_reader, serve

__all__ = ("prepare",)


def prepare(setting: dict[str, Any]) -> Round:
    """Set the subject up."""
    msgspec = importlib.import_module("msgspec")
    config = importlib.import_module("kiwoom.config")
    api_module = importlib.import_module("kiwoom.api")
    url = urlsplit(setting["url"])
    host = f"{'https' if url.scheme == 'wss' else 'http'}://{url.netloc}"
    decoders = {}
    readers = {}
    for code, wanted in setting["fids"].items():
        fields = [(f"f{fid}", str, msgspec.field(name=fid)) for fid in wanted]
        decoders[code] = msgspec.json.Decoder(msgspec.defstruct("Values", fields)).decode
        readers[code] = compile_reader("row.f{}", wanted)

    async def receive(count: int, rate: int) -> dict[str, float]:
        done = asyncio.Event()

        def read(data: Any) -> None:
            readers[data.type](decoders[data.type](data.values))

        def stamp(data: Any) -> int:
            return int(decoders[data.type](data.values).f13)

        meter = Meter(count, read, stamp if rate else None)

        async def take(data: Any) -> None:
            if meter.taken(data):
                done.set()

        async def ignore(message: Any) -> None:
            pass

        api = api_module.API(config.MOCK, "key", "secret")
        api.host = host
        api.socket.url = setting["url"]
        for trnm in ("LOGIN", "REG"):
            api.add_callback_on_real_data(trnm, ignore)
        for code in setting["fids"]:
            api.add_callback_on_real_data(code, take)
        await api.connect()
        try:
            await api.register_tick("1", ["000001"])
            await done.wait()
        finally:
            await api.close()
        return meter.result()

    return lambda command: asyncio.run(receive(command["count"], command["rate"]))


if __name__ == "__main__":
    serve(prepare)

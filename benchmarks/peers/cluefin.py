"""cluefin-openapi 1.0.0, driven as the example in its `DomesticRealtime` does.

`KiwoomWebSocketClient` reads frames into a queue as dicts; `DomesticRealtime.parse` makes pydantic models of them, with
named fields that are left texts.

It has no configuration for the URL: the class attribute WS_HOST_DEV is what it uses for env="dev", and is set here.
Its queue drops the oldest message beyond 1 000 by default; here it is given no limit, so that none is lost. (TLS: it
verifies against the system's trust store, which SSL_CERT_FILE stands in for.)
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
    package = importlib.import_module("cluefin_openapi.kiwoom")
    realtime_module = importlib.import_module("cluefin_openapi.kiwoom._domestic_realtime")
    url = urlsplit(setting["url"])
    package.KiwoomWebSocketClient.WS_HOST_DEV = f"{url.scheme}://{url.netloc}"
    readers = {}
    stamp_name = ""
    for code, wanted in setting["fids"].items():
        model = realtime_module._FRAME_MODELS[code]
        item = model.model_fields["data"].annotation.__args__[0]
        values = item.model_fields["values"].annotation
        names = {field.alias: name for name, field in values.model_fields.items()}
        readers[code] = compile_reader("row.values.{}", [names[fid] for fid in wanted])
        if code == "0B":
            stamp_name = names[setting["stamp"]]

    async def receive(count: int, rate: int) -> dict[str, float]:
        def read(row: Any) -> None:
            readers[row.type](row)

        def stamp(row: Any) -> int:
            return int(getattr(row.values, stamp_name))

        meter = Meter(count, read, stamp if rate else None)
        client = package.KiwoomWebSocketClient(token="token", env="dev", market="domestic", queue_maxsize=0)
        async with client:
            realtime = realtime_module.DomesticRealtime(client)
            await realtime.register(["0B"], ["000001"])
            async for message in client.events():
                if message.trnm != "REAL":
                    continue
                for parsed in realtime.parse(message):
                    for row in parsed.data:
                        meter.taken(row)
                if not meter.left:
                    break
        return meter.result()

    return lambda command: asyncio.run(receive(command["count"], command["rate"]))


if __name__ == "__main__":
    serve(prepare)

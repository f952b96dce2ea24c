"""picows 2.3.1, a WebSocket client in Cython, and a bare msgspec decoder: the ceiling for a client of one's own.

Its core API calls back with every frame; the payload goes straight to a decoder. "msgspec" is the decoder without a
type, which gives dicts; "Struct" is one of exactly the fields read, in one pass where there is one type, in two where
types are mixed. There are no events, no checks, no reconnecting; LOGIN and REG are sent as texts and the replies only
looked at for what they are: the first two frames.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import Callable
from typing import Any

from .driver import Meter, Round, compile_reader, serve

__all__ = ("prepare",)

REG = b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":["000001"],"type":["0B"]}]}'


def prepare(setting: dict[str, Any]) -> Round:
    """Set the subject up."""
    picows: Any = importlib.import_module("picows")
    rows, read, stamp = (_struct if setting["struct"] else _dicts)(setting["fids"])
    context = ssl.create_default_context(cafile=setting["authority"]) if setting["authority"] else None

    async def receive(count: int, rate: int) -> dict[str, float]:
        done = asyncio.Event()
        meter = Meter(count, read, stamp if rate else None)
        take, left = meter.take, count

        class Listener(picows.WSListener):  # type: ignore[misc]  # picows is Any where it is not installed
            replies = 2

            def on_ws_connected(self, transport: Any) -> None:
                transport.send(picows.WSMsgType.TEXT, b'{"trnm":"LOGIN","token":"token"}')

            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                if self.replies:
                    self.replies -= 1
                    if self.replies:
                        transport.send(picows.WSMsgType.TEXT, REG)
                    return
                nonlocal left
                if left == count:
                    meter.start()
                for row in rows(frame.get_payload_as_memoryview()):
                    take(row)
                    left -= 1
                if not left:
                    meter.stop()
                    done.set()

        transport, _ = await picows.ws_connect(Listener, setting["url"], ssl_context=context)
        await done.wait()
        transport.disconnect()
        await transport.wait_disconnected()
        return meter.result()

    return lambda command: asyncio.run(receive(command["count"], command["rate"]))


Ways = tuple[Callable[[Any], Any], Callable[[Any], None], Callable[[Any], int]]


def _dicts(codes: dict[str, list[str]]) -> Ways:
    decode = importlib.import_module("msgspec").json.Decoder().decode
    readers = {code: compile_reader('row["values"]["{}"]', wanted) for code, wanted in codes.items()}

    def read_any(row: Any) -> None:
        readers[row["type"]](row)

    read = next(iter(readers.values())) if len(readers) == 1 else read_any
    return lambda payload: decode(payload)["data"], read, lambda row: int(row["values"]["13"])


def _struct(codes: dict[str, list[str]]) -> Ways:
    msgspec: Any = importlib.import_module("msgspec")
    values = {
        code: msgspec.defstruct("Values", [(f"f{fid}", str, msgspec.field(name=fid)) for fid in wanted], gc=False)
        for code, wanted in codes.items()
    }
    alone = len(codes) == 1
    kind = next(iter(values.values())) if alone else msgspec.Raw
    row_type = msgspec.defstruct("Row", [("values", kind), ("type", str), ("item", str)], gc=False)
    decode = msgspec.json.Decoder(msgspec.defstruct("Message", [("data", list[row_type])], gc=False)).decode  # type: ignore[valid-type]
    if alone:
        read = compile_reader("row.values.f{}", next(iter(codes.values())))
        return lambda payload: decode(payload).data, read, lambda row: int(row.values.f13)
    decoders = {code: msgspec.json.Decoder(kind).decode for code, kind in values.items()}
    readers = {code: compile_reader("row.f{}", wanted) for code, wanted in codes.items()}
    return (
        lambda payload: decode(payload).data,
        lambda row: readers[row.type](decoders[row.type](row.values)),
        lambda row: int(decoders[row.type](row.values).f13),
    )


if __name__ == "__main__":
    serve(prepare)

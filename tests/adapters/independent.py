"""A Kiwoom written by hand from the description of its protocol, on the `websockets` package, with none of our code.

It runs on an event loop and a thread of its own, so that it goes on whatever the client's loop does.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PATH = "/api/dostk/websocket"


def compact(message: Any) -> str:
    """JSON as the server writes it."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


class Session:
    """One client's connection.

    Attributes:
        websocket: the connection.
        heard: every message of the client, as text, in order.
        headers: HTTP headers of its opening handshake.
        closed: code and reason of its close frame, once it came.
    """

    def __init__(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        self.websocket = websocket
        self.heard: list[str] = []
        self.path = websocket.request.path
        self.headers = websocket.request.headers
        self.closed: tuple[int, str] | None = None

    async def send(self, message: Any) -> None:
        """Send a message; a text goes out as it is."""
        await self.websocket.send(message if isinstance(message, str) else compact(message))

    async def receive(self) -> Any:
        """The client's next message."""
        text = await self.websocket.recv(decode=True)
        assert isinstance(text, str)
        self.heard.append(text)
        return json.loads(text)

    async def login(self) -> None:
        """Take the LOGIN and accept it."""
        login = await self.receive()
        assert login["trnm"] == "LOGIN"
        await self.send({"trnm": "LOGIN", "return_code": 0, "return_msg": "", "sor_yn": "Y"})

    async def acknowledge(self) -> Any:
        """Take the next REG or REMOVE, accept and return it."""
        request = await self.receive()
        await self.send({"trnm": request["trnm"], "return_code": 0, "return_msg": ""})
        return request

    async def rows(self, *numbers: int, item: str = "005930") -> None:
        """Send quotes in one message, told apart by their ask quantity."""
        data = [
            {
                "values": {"21": "165208", "131": str(number), "132": "+1", "135": "0", "136": "-1"},
                "type": "0E",
                "name": "주식시간외호가",
                "item": item,
            }
            for number in numbers
        ]
        await self.send({"data": data, "trnm": "REAL"})

    async def ping(self) -> None:
        """Send a PING and wait for the same bytes."""
        await self.send('{"trnm":"PING"}')
        await self.receive()
        assert self.heard[-1] == '{"trnm":"PING"}'

    async def until_closed(self) -> None:
        """Take whatever comes until the client closes."""
        while True:
            await self.receive()


Script = Callable[[Session], Awaitable[None]]


class IndependentServer:
    """A server on a loopback port, each of whose sessions follows a script and is then closed with 1000 "Bye".

    Leaving the block raises what went wrong in a script.

    Attributes:
        url: where to connect to.
        sessions: one for each client so far.
    """

    def __init__(self, script: Script, ssl_context: ssl.SSLContext | None = None) -> None:
        self.url = ""
        self.sessions: list[Session] = []
        self._script = script
        self._ssl_context = ssl_context
        self._started = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    def __enter__(self) -> IndependentServer:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        if error is None and self._failures:
            raise self._failures[0]

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with serve(
            self._handle, "127.0.0.1", 0, ssl=self._ssl_context, ping_interval=None, close_timeout=1
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"{'ws' if self._ssl_context is None else 'wss'}://127.0.0.1:{port}{PATH}"
            self._started.set()
            await self._stop.wait()
            server.close(close_connections=True)

    async def _handle(self, websocket: ServerConnection) -> None:
        session = Session(websocket)
        self.sessions.append(session)
        try:
            await self._script(session)
            await websocket.close(1000, "Bye")
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                session.closed = closed.rcvd.code, closed.rcvd.reason
        except Exception as failure:
            self._failures.append(failure)

"""What the scenarios stand on: an event loop, the adapter that belongs to it, and a look at what a scenario leaves."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import anyio
import anyio.lowlevel
import trio

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import AppKey, ClientConfig, Endpoint, Event, Record, Secret
from kiwoom_proto.config import RecoveryPolicy, RestConfig
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.simulator import Exchange

Client: TypeAlias = kiwoom_trio.Client | kiwoom_asyncio.Client
RestClient: TypeAlias = kiwoom_trio.RestClient | kiwoom_asyncio.RestClient
Server: TypeAlias = kiwoom_trio.Server | kiwoom_asyncio.Server
Token: TypeAlias = str | Secret | AppKey | Callable[[], Awaitable[str | Secret]]

LoopName: TypeAlias = Literal["trio", "asyncio", "uvloop"]
HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
LOOPS: tuple[LoopName, ...] = ("trio", "asyncio", "uvloop") if HAS_UVLOOP else ("trio", "asyncio")
"""The loops there are: uvloop has no wheels for every platform."""

LIMIT = 100.0
"""Seconds after which a scenario counts as hung; a busy machine may need many more than an idle one."""
TOKEN = "the-token-that-nobody-may-see"
QUICK = ClientConfig(request_interval=0, reconnect=False)
ITEM = "005930"
PATH = "/api/dostk/websocket"


@dataclass(frozen=True)
class Loop:
    """One event loop and its adapter. Both adapters have the same names, so a scenario is written once.

    asyncio's adapter runs on loops of different make: "uvloop" is the same adapter on another loop.
    """

    name: LoopName

    def connect(
        self,
        endpoint: Endpoint,
        *,
        token: Token | Sequence[Token] = TOKEN,
        config: ClientConfig = QUICK,
        header: RequestHeader | None = None,
        ssl_context: ssl.SSLContext | None = None,
        types: Iterable[type[Record]] = (),
        record: Recorder | None = None,
        recover: bool | RecoveryPolicy = False,
    ) -> AbstractAsyncContextManager[Client]:
        """The adapter's `connect`."""
        connect = kiwoom_trio.connect if self.name == "trio" else kiwoom_asyncio.connect
        return connect(
            endpoint,
            token=token,
            config=config,
            header=header,
            ssl_context=ssl_context,
            types=types,
            record=record,
            recover=recover,
        )

    def rest(
        self,
        endpoint: Endpoint,
        *,
        token: Token = TOKEN,
        config: RestConfig | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> AbstractAsyncContextManager[RestClient]:
        """The adapter's `rest`."""
        rest = kiwoom_trio.rest if self.name == "trio" else kiwoom_asyncio.rest
        return rest(endpoint, token=token, config=config, ssl_context=ssl_context)

    def serve(
        self,
        exchange: Exchange,
        *,
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        allowed_hosts: Collection[str] = (),
    ) -> AbstractAsyncContextManager[Server]:
        """The adapter's `serve`."""
        serve = kiwoom_trio.serve if self.name == "trio" else kiwoom_asyncio.serve
        return serve(exchange, port=port, ssl_context=ssl_context, allowed_hosts=allowed_hosts)

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Run a scenario within its limit, and see that it leaves no task, no socket and no warning behind."""
        sockets = open_sockets()
        gc.freeze()  # what is older need not be looked at, which makes the collection below a quick one
        try:
            self._run(scenario)
            gc.collect()  # what was not closed says so now, and warnings are errors
        finally:
            gc.unfreeze()
        assert open_sockets() <= sockets

    def _run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        if self.name == "trio":
            anyio.run(self._watched, scenario, backend="trio")
            return
        # As `asyncio.run` does. Under `anyio.run`, callbacks of the loop may do what fails in programs.
        factory = importlib.import_module("uvloop").new_event_loop if self.name == "uvloop" else None
        with asyncio.Runner(debug=True, loop_factory=factory) as runner:
            runner.run(self._watched(scenario))

    def backend(self) -> dict[str, Any]:
        """The arguments of `anyio.run` for this loop."""
        if self.name == "trio":
            return {"backend": "trio"}
        return {"backend": "asyncio", "backend_options": {"use_uvloop": self.name == "uvloop"}}

    async def _watched(self, scenario: Callable[[], Awaitable[None]]) -> None:
        tasks, sockets = self._tasks(), open_sockets()
        with anyio.fail_after(LIMIT):
            await scenario()
            await until(lambda: self._tasks() == tasks)  # it leaves none behind, however long the last takes to end
        for _ in range(10):  # asyncio closes a socket one turn of its loop later
            await anyio.lowlevel.checkpoint()
        assert open_sockets() <= sockets

    def _tasks(self) -> int:
        if self.name == "trio":
            return trio.lowlevel.current_statistics().tasks_living
        return len(asyncio.all_tasks())


def open_sockets() -> set[str]:
    """The sockets of this process, where the system can tell (Linux)."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue  # the descriptor of this very listing
        if target.startswith("socket:"):
            found.add(target)
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true; the limit of the scenario is the limit."""
    while not condition():  # noqa: ASYNC110  # what is waited for happens inside the code under test
        await anyio.sleep(0.005)


async def collect(client: Client, events: list[Event]) -> None:
    """Iterate to the end; what came is in `events` however it ends."""
    async for event in client:
        events.append(event)  # noqa: PERF401  # a comprehension would lose them all where it ends in an exception


@asynccontextmanager
async def raw_server(
    handler: Callable[[anyio.abc.ByteStream], Awaitable[None]], scheme: str = "ws"
) -> AsyncIterator[Endpoint]:
    """A TCP server that does nothing but what `handler` does with each connection; then the connection is closed."""

    async def handle(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await handler(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle)
        yield Endpoint(f"{scheme}://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}{PATH}")
        tasks.cancel_scope.cancel()

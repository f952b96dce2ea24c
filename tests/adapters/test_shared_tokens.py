"""One request for a token at a time: among clients, threads and event loops, and with a folder among processes."""

from __future__ import annotations

import asyncio
import datetime
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
import trio
from tests.adapters.kit import QUICK, Loop, until
from tests.adapters.test_tokens import KEYS, fresh, make_key, revoke
from tests.exchanges import served

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import AppKey, Endpoint, Secret
from kiwoom_proto.auth import Token
from kiwoom_proto.client import tokens
from kiwoom_proto.errors import TokenRefused
from kiwoom_proto.hours import KST
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.token_folder import TokenFolder, TokenFolderWarning


@pytest.mark.parametrize("keys", [1, 3])
async def test_clients_that_start_at_once_make_one_request(loop: Loop, keys: int) -> None:
    """Also where each has an object of its own for the same key."""
    exchange = Exchange(app_keys=KEYS)
    objects = [make_key() for _ in range(keys)]
    got: list[Secret] = []
    async with loop.serve(exchange) as server, anyio.create_task_group() as tasks:

        async def get(key: AppKey) -> None:
            got.append(await fresh(loop, server.endpoint, key))

        async def connect(key: AppKey) -> None:
            async with loop.connect(server.endpoint, token=key, config=QUICK):
                pass

        for index in range(6):
            tasks.start_soon(get, objects[index % keys])
            tasks.start_soon(connect, objects[index % keys])

    assert exchange.token_requests == 1
    assert len(set(got)) == 1


async def test_a_refusal_is_everybodys_who_waited_for_it(loop: Loop) -> None:
    exchange = Exchange(app_keys={})
    errors: list[TokenRefused] = []
    async with loop.serve(exchange) as server, anyio.create_task_group() as tasks:

        async def get() -> None:
            with pytest.raises(TokenRefused, match="8001") as caught:
                await fresh(loop, server.endpoint, make_key())
            errors.append(caught.value)

        for _ in range(5):
            tasks.start_soon(get)

    assert exchange.token_requests == 1
    assert len({id(error) for error in errors}) == 5
    assert len({(str(error), error.remedy, error.status, error.reason) for error in errors}) == 1


async def test_if_the_first_gives_up_the_next_one_asks(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    answer = anyio.Event()

    async def issue() -> Token:
        asked.append(len(asked))
        if len(asked) == 1:
            await anyio.sleep_forever()
        answer.set()
        return Token("second", None)

    loop_tools = (kiwoom_trio if loop.name == "trio" else kiwoom_asyncio).auth._LOOP
    endpoint, key = Endpoint("ws://127.0.0.1:1/"), make_key()
    got: list[Secret] = []

    async def get() -> None:
        got.append(await tokens.obtain_token(endpoint, key, issue, loop_tools))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as first:
                first.start_soon(get)
                await until(lambda: asked)
                tasks.start_soon(get)
                tasks.start_soon(get)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

    assert asked == [0, 1]
    assert got == ["second", "second"]


async def test_a_token_that_was_refused_is_not_taken_from_the_folder(loop: Loop, tmp_path: Path) -> None:
    exchange = Exchange(app_keys=KEYS)
    folder = TokenFolder(tmp_path / "tokens")
    async with loop.serve(exchange) as server:
        first = AppKey(*make_key().secrets, folder=folder)
        token = await fresh(loop, server.endpoint, first)
        second = AppKey(*make_key().secrets, folder=folder)
        assert await fresh(loop, server.endpoint, second) == token
        assert exchange.token_requests == 1

        exchange.expire_tokens()
        async with loop.connect(server.endpoint, token=second):  # it is refused, and renewed
            pass
        assert exchange.token_requests == 2
        assert await fresh(loop, server.endpoint, AppKey(*make_key().secrets, folder=folder)) != token
        assert exchange.token_requests == 2


async def test_a_token_that_was_revoked_leaves_the_folder(loop: Loop, tmp_path: Path) -> None:
    folder = TokenFolder(tmp_path / "tokens")
    async with loop.serve(Exchange(app_keys=KEYS)) as server:
        key = AppKey(*make_key().secrets, folder=folder)
        await revoke(loop, server.endpoint, key, await fresh(loop, server.endpoint, key))
        assert folder.file(key, server.endpoint).read() is None


async def test_near_its_end_the_server_is_asked_for_another(loop: Loop, tmp_path: Path) -> None:
    folder = TokenFolder(tmp_path / "tokens")
    key = AppKey(*make_key().secrets, folder=folder)
    exchange = Exchange(app_keys=KEYS)
    async with loop.serve(exchange) as server:
        file = folder.file(key, server.endpoint)
        assert file.try_lock()
        soon = datetime.datetime.now(KST) + datetime.timedelta(minutes=5)
        file.write(Token("the-old-token-near-its-end", soon))
        file.unlock()
        token = await fresh(loop, server.endpoint, key)
    kept = file.read()
    assert exchange.token_requests == 1
    assert kept is not None and kept.value == token


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
async def test_a_folder_that_cannot_be_used_is_warned_of_and_holds_nobody_up(loop: Loop, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    async with loop.serve(Exchange(app_keys=KEYS)) as server:
        key = AppKey(*make_key().secrets, folder=TokenFolder(tmp_path))
        with pytest.warns(TokenFolderWarning, match="others may use it"):
            assert await fresh(loop, server.endpoint, key)


async def test_a_lock_that_is_never_given_back_holds_nobody_up(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "LOCK_TIME", 0.1)
    folder = TokenFolder(tmp_path / "tokens")
    async with loop.serve(Exchange(app_keys=KEYS)) as server:
        key = AppKey(*make_key().secrets, folder=folder)
        held = folder.file(key, server.endpoint)
        assert held.try_lock()
        with pytest.warns(TokenFolderWarning, match="another process has locked it"):
            assert await fresh(loop, server.endpoint, key)
        held.unlock()


async def test_whoever_is_cancelled_gives_the_lock_back(loop: Loop, tmp_path: Path) -> None:
    folder = TokenFolder(tmp_path / "tokens")
    key = AppKey(*make_key().secrets, folder=folder)
    async with anyio.create_task_group() as tasks:

        async def get(endpoint: Endpoint) -> None:
            await fresh(loop, endpoint, key)

        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:  # nobody accepts
            endpoint = Endpoint(f"ws://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/")
            file = folder.file(key, endpoint)
            tasks.start_soon(get, endpoint)

            def is_held() -> bool:
                free = file.try_lock()
                file.unlock()
                return free is False

            await until(is_held)
            tasks.cancel_scope.cancel()
    assert file.try_lock()
    file.unlock()


def test_threads_with_loops_of_their_own_make_one_request() -> None:
    exchange = Exchange(app_keys=KEYS)
    key = make_key()
    got: list[Secret] = []
    barrier = threading.Barrier(4)
    with served(exchange) as (url, _):

        def get(run: Callable[[Any], object], fresh: Callable[[Endpoint, AppKey], Awaitable[Secret]]) -> None:
            async def main() -> None:
                got.append(await fresh(Endpoint(url), key))

            barrier.wait(30)
            run(main)

        def on_asyncio(main: Any) -> None:
            asyncio.run(main())

        pairs: list[Any] = [(on_asyncio, kiwoom_asyncio.auth.fresh_token), (trio.run, kiwoom_trio.auth.fresh_token)] * 2
        threads = [threading.Thread(target=get, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(got) == 4
    assert len(set(got)) == 1
    assert exchange.token_requests == 1


PROGRAM = """
import sys
import {package}
from kiwoom_proto import AppKey, Endpoint
from kiwoom_proto.token_folder import TokenFolder

async def main():
    key = AppKey("the-app-key", "the-secret-key", folder=TokenFolder(sys.argv[2]))
    async with {package}.connect(Endpoint(sys.argv[1]), token=key) as client:
        print(client.state.value, flush=True)

print("ready", flush=True)
sys.stdin.readline()
{run}
"""
RUNS = {"kiwoom_trio": "import trio; trio.run(main)", "kiwoom_asyncio": "import asyncio; asyncio.run(main())"}


def test_processes_that_start_at_once_make_one_request(tmp_path: Path) -> None:
    exchange, folder = Exchange(app_keys=KEYS), tmp_path / "tokens"
    with served(exchange) as (url, _):
        processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    "-c",
                    PROGRAM.format(package=package, run=run),
                    url,
                    folder,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for package, run in RUNS.items()
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            outputs = [process.communicate(timeout=60)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
    assert outputs == ["ready\n"] * 2  # the state of either client
    assert exchange.token_requests == 1

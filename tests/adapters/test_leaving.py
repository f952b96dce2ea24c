"""However the kiwoom-proto command is left, it clears, closes and gives the terminal back.

The server tells what it has heard; nothing is sent to a process before it has shown that it has come so far.
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.adapters.command import HIDE_CURSOR, SHOW_CURSOR, exchange, run, run_on_terminal, start
from tests.adapters.independent import IndependentServer, Session
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals for another process")

VALUES = {"841": "4", "9001": "A005930", "843": "I", "20": "100000"}
HIT = {"data": [{"values": VALUES, "type": "02", "name": "조건검색", "item": "005930"}], "trnm": "REAL"}
ENDS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}

Script = Callable[[Session], Awaitable[None]]


async def feed(session: Session) -> None:
    """Rows, for whoever subscribes, until the client closes."""
    await session.login()
    await session.acknowledge()

    async def push() -> None:
        for number in range(1, 100_000):
            await session.rows(number)
            await asyncio.sleep(0.01)

    await push_until_closed(session, push)


def conditions(
    *, clears: bool = True, answers: bool = True, reached: threading.Event | None = None
) -> Callable[[Session], Awaitable[None]]:
    """Condition 4, and hits of it; or without an answer to whoever clears, or asks."""

    async def script(session: Session) -> None:
        await session.login()

        async def push() -> None:
            while True:
                await session.send(HIT)
                await asyncio.sleep(0.01)

        pushing: asyncio.Task[None] | None = None
        try:
            while True:
                request = await session.receive()
                reply: dict[str, Any] = {"trnm": request["trnm"], "return_code": 0, "return_msg": ""}
                match request["trnm"]:
                    case "CNSRLST":
                        await session.send(reply | {"data": [["4", "급등[/]"], ["5", "신고가"]]})
                    case "CNSRREQ" if answers:
                        await session.send(reply | {"seq": "4", "data": [{"jmcode": "A005930"}]})
                        pushing = asyncio.create_task(push())
                    case "CNSRCLR" if clears:
                        await session.send(reply | {"seq": "4"})
                if reached is not None and request["trnm"] == "CNSRREQ":
                    reached.set()
        finally:
            if pushing is not None:
                pushing.cancel()

    return script


async def push_until_closed(session: Session, push: Callable[[], Awaitable[None]]) -> None:
    pushing = asyncio.ensure_future(push())
    try:
        await session.until_closed()
    finally:
        pushing.cancel()


def heard(session: Session) -> list[str]:
    return [json.loads(text)["trnm"] for text in session.heard]


def leave(process: subprocess.Popen[str], how: str) -> tuple[int, str]:
    """Leave after the first row. Returns the exit code and the last line of what was said."""
    assert process.stdout is not None
    assert process.stdout.readline().startswith("{")
    if how == "reader":
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        process.wait(timeout=20)
    else:
        process.send_signal(signal.Signals[how])
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    return process.returncode, (errors.splitlines() or [""])[-1]


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP", "reader"])
@pytest.mark.parametrize("live", [False, True])
def test_a_stream_is_closed_and_a_search_cleared_too(how: str, live: bool) -> None:
    words = ["conditions", "4", "--live"] if live else ["stream", "0E", "005930"]
    with IndependentServer(conditions() if live else feed) as server:
        with start(*words, "--endpoint", server.url) as process:
            code, said = leave(process, how)
        (session,) = server.sessions
    assert code == ENDS.get(how, 0)
    if how != "reader":
        assert said == f"kiwoom-proto: {'interrupted' if how == 'SIGINT' else f'ended by {how}'}"
    assert session.closed == (1000, "")
    assert heard(session)[1:] == (["CNSRLST", "CNSRREQ", "CNSRCLR"] if live else ["REG"])


@pytest.mark.parametrize("limit", [["--count", "2"], ["--duration", "2"]])
def test_a_search_that_has_reached_its_limit_is_cleared_and_closed(limit: list[str]) -> None:
    with IndependentServer(conditions()) as server:
        done = run("conditions", "4", "--live", "--endpoint", server.url, *limit)
        (session,) = server.sessions
    assert done.returncode == 0
    assert done.stdout.count("\n") >= 2
    assert session.closed == (1000, "")
    assert heard(session)[1:] == ["CNSRLST", "CNSRREQ", "CNSRCLR"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_search_whose_output_cannot_be_written_is_cleared_and_closed() -> None:
    with IndependentServer(conditions()) as server, open("/dev/full", "wb") as full:
        with start("conditions", "4", "--live", "--endpoint", server.url, stdout=full) as process:
            _, errors = process.communicate(timeout=20)
        (session,) = server.sessions
    assert process.returncode == 1
    assert "cannot write the output" in errors
    assert session.closed == (1000, "")
    assert heard(session)[-1] == "CNSRCLR"


def test_a_server_that_does_not_answer_the_clear_holds_nobody_up() -> None:
    with IndependentServer(conditions(clears=False)) as server:
        done = run("conditions", "4", "--live", "--endpoint", server.url, "--count", "1")
        (session,) = server.sessions
    assert done.returncode == 0
    assert session.closed == (1000, "")
    assert heard(session)[-1] == "CNSRCLR"


@pytest.mark.parametrize("words", [["stream", "0E", "005930"], ["conditions", "0", "--live"]])
def test_a_server_that_stands_still_holds_nobody_up(words: list[str]) -> None:
    with exchange() as (url, server), start(*words, "--endpoint", url) as process:
        assert process.stdout is not None
        process.stdout.readline()
        server.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 143


def test_a_search_that_is_not_answered_can_be_left() -> None:
    asked = threading.Event()
    with IndependentServer(conditions(answers=False, reached=asked)) as server:
        with start("conditions", "4", "--live", "--endpoint", server.url) as process:
            assert asked.wait(20)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
        (session,) = server.sessions
    assert (process.returncode, errors) == (143, "kiwoom-proto: ended by SIGTERM\n")
    assert session.closed == (1000, "")


def test_a_reader_who_pauses_holds_up_nobody_who_interrupts() -> None:
    sent = threading.Event()

    async def script(session: Session) -> None:
        await session.login()
        await session.acknowledge()
        await session.rows(*range(10_000))  # more than a pipe holds
        await session.ping()
        sent.set()
        await session.until_closed()

    with IndependentServer(script) as server:
        with start("stream", "0E", "005930", "--endpoint", server.url) as process:
            assert sent.wait(20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 143
        (session,) = server.sessions
    assert session.closed == (1000, "")


def test_a_login_that_is_not_answered_can_be_left() -> None:
    asked = threading.Event()

    async def silent(session: Session) -> None:
        await session.receive()
        asked.set()
        await session.until_closed()

    with (
        IndependentServer(silent) as server,
        start("stream", "0E", "005930", "--endpoint", server.url) as process,
    ):
        assert asked.wait(20)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (143, "", "kiwoom-proto: ended by SIGTERM\n")


def test_a_second_signal_cuts_what_the_first_would_close() -> None:
    clearing = threading.Event()

    async def script(session: Session) -> None:
        receive = session.receive

        async def receive_and_tell() -> Any:
            message = await receive()
            if message["trnm"] == "CNSRCLR":
                clearing.set()
            return message

        session.receive = receive_and_tell  # type: ignore[method-assign]
        await conditions(clears=False)(session)

    with IndependentServer(script) as server:
        with start("conditions", "4", "--live", "--endpoint", server.url) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert clearing.wait(20)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
        (session,) = server.sessions
    assert process.returncode == 143
    assert session.closed is None


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_a_simulated_exchange_says_goodbye(how: str) -> None:
    with start("serve", "--port", "0", token=None) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        process.stdout.readline()
        with connect(url) as client:
            client.send('{"trnm":"LOGIN","token":"any"}')
            client.recv()
            process.send_signal(signal.Signals[how])
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    client.recv()
        process.communicate(timeout=20)
    assert process.returncode == ENDS[how]
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Bye")


@pytest.mark.parametrize(
    ("how", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("--count", 0), ("--duration", 0), ("lost", 1), ("demo", 143)]
)
def test_the_cursor_comes_back(how: str, code: int, tmp_path: pathlib.Path) -> None:
    async def script(session: Session) -> None:
        if how == "lost":
            await session.login()
            await session.acknowledge()
            await session.send({"trnm": "SYSTEM", "code": "R10001", "message": ""})
        else:
            await feed(session)

    def act(process: subprocess.Popen[str]) -> None:
        if how in ENDS or how == "demo":
            process.send_signal(signal.Signals[how] if how in ENDS else signal.SIGTERM)

    with IndependentServer(script) as server:
        words = ["stream", "0E", "005930", "--endpoint", server.url]
        words += [how, "2"] if how.startswith("--") else []
        ended, shown = run_on_terminal(["demo", "--duration", "60"] if how == "demo" else words, act)
    assert ended == code, shown.decode()
    assert b"Traceback" not in shown
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)

"""What the command writes to a terminal: whatever a server, a file or a user says, nothing that the terminal obeys.

Each place in which a text from outside is shown is sent every hostile text there is, over a real connection.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from tests.adapters.command import COMMAND, environment, run, run_on_terminal
from tests.adapters.independent import IndependentServer, Session
from tests.proto.hostile import EVERYTHING, HOSTILE, unfit
from tests.proto.recordings import frames, header, lines

TEXTS = (*HOSTILE.values(), EVERYTHING, "나" * 50_000)
LONG = 2_000
"""Characters of a text outside a row's values: a row with much more is none that can be understood."""
SHORT = tuple(text[:LONG] for text in TEXTS)
PAYLOADS = [
    json.dumps(message, ensure_ascii=False)
    for text in TEXTS[:-1]
    for message in (
        {
            "trnm": "REAL",
            "data": [{"values": {"131": text, text: text}, "type": "0E", "name": text[:LONG], "item": text[:LONG]}],
        },
        {"trnm": "SYSTEM", "code": text, "message": text, text: {text: text}},
        {"trnm": "CNSRLST", "return_code": text, "return_msg": text, "data": [[text, text]]},
        {"trnm": text},
    )
]
FROM_RICH = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|[0-9]*A)")
"""Colours, the cursor hidden and shown, and a frame wiped for the next: what the command says to a terminal itself."""
on_a_terminal = pytest.mark.skipif(os.name == "nt", reason="needs a terminal of its own")


def checked(shown: bytes | str, most: int = 200_000) -> str:
    """What a terminal was sent, as text, where it is fit for one."""
    text = shown.decode() if isinstance(shown, bytes) else shown
    lines = FROM_RICH.sub("", text).replace("\r\n", "\n").replace("\r", "").split("\n")
    assert [found for line in lines if (found := unfit(line))] == []
    assert "\x1b[35;5m" not in text, "a colour of the server's"
    assert "Traceback" not in text
    assert len(text) < most
    return text


# What a server says.

Play = Callable[[Session], Awaitable[None]]


def answer(request: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"trnm": request["trnm"], "return_code": 0, "return_msg": "", **members}


async def refuse_login(session: Session) -> None:
    await session.receive()
    await session.send({"trnm": "LOGIN", "return_code": EVERYTHING, "return_msg": EVERYTHING, EVERYTHING: EVERYTHING})
    await session.until_closed()


async def refuse_registration(session: Session) -> None:
    await session.login()
    await session.send(answer(await session.receive(), return_code=EVERYTHING, return_msg=EVERYTHING))
    await session.until_closed()


async def give_notice(session: Session) -> None:
    await session.login()
    await session.acknowledge()
    for text in TEXTS:
        await session.send({"trnm": "SYSTEM", "code": text, "message": text})
    await session.websocket.close(4000, EVERYTHING[:60])


async def talk_nonsense(session: Session) -> None:
    await session.login()
    await session.acknowledge()
    for text in TEXTS:
        await session.send({"trnm": text})
        await session.send({"trnm": "CNSRREQ", "return_code": text, "return_msg": text, text: text})
        await session.send({"trnm": "REAL", "data": [{text: text}]})
        await session.send(text)


def send_rows(type_code: str, *fids: str) -> Play:
    async def play(session: Session) -> None:
        await session.login()
        await session.acknowledge()
        for text in TEXTS:
            values = dict.fromkeys(fids or (text,), text)
            short = text[:LONG]
            row = {"values": values, "type": type_code, "name": short, "item": short, short: short}
            await session.send({"trnm": "REAL", "data": [row], short: short})
        await session.until_closed()

    return play


async def serve_conditions(session: Session) -> None:
    await session.login()
    while True:
        request = await session.receive()
        match request["trnm"]:
            case "CNSRLST":
                data = [["5", EVERYTHING], *([text[:50], text] for text in TEXTS)]
                await session.send(answer(request, data=data))
            case "CNSRREQ" if request["search_type"] == "0":
                rows = [{"9001": text, "302": text, "10": text, text: text} for text in SHORT]
                await session.send(answer(request, seq="5", data=rows, cont_yn="N"))
            case "CNSRREQ":
                await session.send(answer(request, seq="5", data=[{"jmcode": text} for text in SHORT]))
                for text in TEXTS:
                    values = {"841": "5", "9001": text, "843": text, "20": text, text: text}
                    await session.send({"trnm": "REAL", "data": [{"values": values, "type": "02", "item": text}]})
            case _:
                await session.send(answer(request))


STREAM = ["stream", "0E", "005930"]
COUNT = ["--count", str(len(TEXTS)), "--duration", "60"]
PLACES: dict[str, tuple[Play, list[str], int]] = {
    "LOGIN refused": (refuse_login, STREAM, 1),
    "REG refused": (refuse_registration, STREAM, 1),
    "SYSTEM and close": (give_notice, [*STREAM, "--duration", "1"], 0),
    "unknown messages": (talk_nonsense, [*STREAM, "--duration", "1"], 0),
    "a table": (send_rows("0E", "21", "131", "132"), [*STREAM, *COUNT], 0),
    "a table of no class": (send_rows("9Z"), ["stream", "9Z", "005930", *COUNT], 0),
    "a ladder": (send_rows("0D", "21", "41", "61", "51", "71"), ["stream", "0D", "005930", *COUNT], 0),
    "a ladder of other rows": (send_rows("0B", "20", "10"), ["stream", "0D", "005930", *COUNT], 0),
    "a tape of other rows": (send_rows("zz", "20", "10"), ["stream", "0B", "005930", *COUNT], 0),
    "a tape": (send_rows("0B", "20", "10", "11", "12", "15"), ["stream", "0B", "005930", *COUNT], 0),
    "events": (send_rows("1h", "302", "9068", "1221"), ["stream", "1h", *COUNT], 0),
    "JSON": (send_rows("1h", "302", "9068", "1221"), ["stream", "1h", "--json", *COUNT], 0),
    "conditions": (serve_conditions, ["conditions"], 0),
    "conditions as JSON": (serve_conditions, ["conditions", "--json"], 0),
    "no such condition": (serve_conditions, ["conditions", EVERYTHING.replace("\0", "")[5:]], 2),
    "what meets a condition": (serve_conditions, ["conditions", "5"], 0),
    "what enters and leaves": (serve_conditions, ["conditions", "5", "--live", *COUNT], 0),
}


@on_a_terminal
@pytest.mark.parametrize("place", PLACES)
def test_what_a_server_says_moves_no_cursor(place: str) -> None:
    play, words, code = PLACES[place]
    with IndependentServer(play) as server:
        ended, shown = run_on_terminal([*words, "--endpoint", server.url])
    as_json = "JSON" in place
    text = checked(shown, 10_000_000 if as_json else 200_000)
    assert ended == code, text
    assert ("\\u001b" if as_json else "\\x1b") in text or "\\x9b" in text or "[/]" in text


@pytest.mark.parametrize("words", [["stream", "1h", "--json", *COUNT], ["stream", "1h", *COUNT]])
def test_json_in_a_pipe_is_exact(words: list[str]) -> None:
    with IndependentServer(send_rows("1h", "302", "1221")) as server:
        done = run(*words, "--endpoint", server.url)
    assert done.returncode == 0, done.stderr[-1000:]
    assert [json.loads(line)["item"] for line in done.stdout.split("\n")[:-1]] == [text[:LONG] for text in TEXTS]
    assert HOSTILE["invisible"] in done.stdout, "as it came, for whatever reads it"


# What a server says before it is a WebSocket, and a token server.


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """A server that answers the head of any request with these bytes, and hangs up; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    received = b""
                    while b"\r\n\r\n" not in received and (data := connection.recv(65_536)):
                        received += data
                    connection.sendall(reply)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65_536):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


SAID = EVERYTHING.encode()
PAGE = b"<html><title>" + SAID.replace(b"\n", b"").replace(b"\r", b"") + b"</title></html>"
REPLIES = {
    "the status line": b"HTTP/1.1 503 " + "\x9b2J\x85 \xad".encode("latin-1") * 100 + b"\r\n\r\n",
    "a status line that is none": SAID + b"\r\n\r\n",
    "a header": b"HTTP/1.1 101 X\r\nUpgrade: " + "\x9b2J".encode() * 100 + b"\r\nConnection: Upgrade\r\n\r\n",
    "a page": b"HTTP/1.1 503 X\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE,
    "an object": b"HTTP/1.1 400 X\r\n\r\n" + json.dumps({"return_msg": EVERYTHING, "return_code": EVERYTHING}).encode(),
    "words": b"HTTP/1.1 400 X\r\n\r\n" + SAID,
}


@pytest.mark.parametrize("keys", [False, True], ids=["handshake", "token"])
def test_what_is_said_over_http_moves_no_cursor(keys: bool) -> None:
    environ = environment(None if keys else "t0ken")
    environ |= {"KIWOOM_APPKEY": "a", "KIWOOM_SECRETKEY": "s"} if keys else {}
    with ExitStack() as stack:
        processes = []
        for reply in REPLIES.values():  # all at once: each is asked again for some seconds
            words = [*COMMAND, *STREAM, "--endpoint", stack.enter_context(raw_server(reply))]
            pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
            processes.append(stack.enter_context(subprocess.Popen(words, env=environ, **pipes)))
        for place, process in zip(REPLIES, processes, strict=True):
            printed, said = process.communicate(timeout=60)
            assert (place, process.returncode, printed) == (place, 1, "")
            assert len(checked(said, 2_000)) > 50, place


# What a file holds, and what a user types.


def test_a_recording_moves_no_cursor(tmp_path: pathlib.Path) -> None:
    recording = tmp_path / "payloads"
    recording.write_text("\n".join(PAYLOADS), encoding="utf-8", newline="\n")
    piped = run("decode", str(recording))
    checked(piped.stderr)
    assert piped.returncode == 1, "some messages are unknown"
    if os.name == "nt":
        return
    code, shown = run_on_terminal(["decode", str(recording)])
    text = checked(shown, 2_000_000)
    assert code == 1
    objects = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert objects == [json.loads(line) for line in piped.stdout.split("\n")[:-1]]
    assert len(objects) == 3 * (len(TEXTS) - 1)


@on_a_terminal
def test_the_name_of_a_recording_moves_no_cursor(tmp_path: pathlib.Path) -> None:
    for number, text in enumerate(HOSTILE.values()):
        name = text.replace("\0", "").replace("/", "")[:60]  # a name has at most 255 bytes
        data = frames(lines(1, 2), head=header(session=f"{number:016x}"))
        (tmp_path / f"{name}.ndjson.zst").write_bytes(b"".join(data))

    code, shown = run_on_terminal(["recordings", str(tmp_path), "--verify"])

    text = checked(shown)
    assert code == 0
    assert f"reading … {len(list(tmp_path.iterdir()))} files" in text, "how far it is, before the table"


TYPED = EVERYTHING.replace("\0", "")


@on_a_terminal
@pytest.mark.parametrize(
    "words",
    [
        [TYPED],
        [f"--{TYPED}"],
        ["types", TYPED],
        ["types", "0E", TYPED],
        ["demo", TYPED],
        ["decode", TYPED],
        ["serve", "--start", TYPED],
        ["serve", "--port", TYPED],
        ["serve", "--port", "0", "--host", TYPED],
        ["stream", TYPED, "005930"],
        ["stream", "0E", TYPED],
        [*STREAM, "--endpoint", TYPED],
        [*STREAM, "--endpoint", f"ws://{TYPED}/"],
        [*STREAM, "--count", TYPED],
        ["conditions", "--live", "5", TYPED],
    ],
)
def test_what_a_user_types_moves_no_cursor(words: list[str]) -> None:
    code, shown = run_on_terminal(words)
    checked(shown, 5_000)
    assert code in (1, 2)

"""The command shows no secret that a server says: not on standard output, not on standard error."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.adapters.command import TOKEN, run
from tests.proto.wire import accept_handshake, close, text

ACCOUNT = "8100000001"
STRANGE = "ZY9somebodyelsestokenthatnobodytoldusof"
SAID = f"[{TOKEN}] {ACCOUNT} {STRANGE}"
LOGGED_IN = text(b'{"trnm":"LOGIN","return_code":0,"return_msg":""}')


@contextmanager
def server(answer: Callable[[bytes], bytes], *answers: bytes) -> Iterator[str]:
    """One that answers the opening handshake, and what comes next, with bytes; then listens. Its URL."""

    def serve(client: socket.socket) -> None:
        with client:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(4096)
            client.sendall(answer(request))
            client.settimeout(20)
            rest = iter(answers)
            while client.recv(4096):
                client.sendall(next(rest, b""))

    def listen() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[client], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


def message(**members: object) -> bytes:
    return text(json.dumps(members, ensure_ascii=False).encode())


def check(shown: str, *secrets: str) -> None:
    assert [secret for secret in secrets or (TOKEN, ACCOUNT, STRANGE) if secret in shown] == []
    assert "***" in shown


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: f"HTTP/1.1 403 {SAID}\r\nContent-Length: {len(SAID)}\r\n\r\n{SAID}".encode(),
        lambda request: f"HTTP/1.1 {SAID}\r\n\r\n".encode(),
        lambda request: accept_handshake(request) + message(trnm="LOGIN", return_code=3, return_msg=SAID),
        lambda request: (
            accept_handshake(request)
            + message(trnm="LOGIN", return_code=0)
            + message(trnm="SYSTEM", code="R10001", message=SAID)
            + close(1000, SAID.encode())
        ),
    ],
    ids=["a refusal", "a status line", "a refused login", "a takeover"],
)
def test_what_a_server_says_is_masked_in_errors(answer: Callable[[bytes], bytes]) -> None:
    with server(answer) as url:
        done = run("stream", "0E", "005930", "--endpoint", url)
    assert done.returncode == 1
    check(done.stdout + done.stderr)


def test_a_refused_request_is_masked() -> None:
    with server(accept_handshake, LOGGED_IN, message(trnm="REG", return_code=5, return_msg=SAID)) as url:
        done = run("stream", "0E", "005930", "--endpoint", url)
    assert done.returncode == 1
    check(done.stdout + done.stderr)


def test_rows_are_masked_in_json_lines() -> None:
    row = {"values": {"9201": ACCOUNT, "302": f"삼성 {STRANGE}", "99": STRANGE}, "type": "00", "item": "005930"}
    rows = message(trnm="REAL", data=[row | {"acctNo": ACCOUNT, "more": SAID}], said=SAID)
    reg = message(trnm="REG", return_code=0)
    with server(accept_handshake, LOGGED_IN, reg + rows) as url:
        done = run("stream", "00", "--endpoint", url, "--count", "1", "--json")
    assert done.returncode == 0
    line = json.loads(done.stdout)
    assert line["account_number"] == "***"
    assert line["extra"] == {"acctNo": "***", "more": "[***] *** ***", "said": "[***] *** ***"}
    check(done.stdout + done.stderr, ACCOUNT, STRANGE)


def test_recordings_are_masked_in_json_lines(tmp_path: Path) -> None:
    recorded = [
        {"trnm": "LOGIN", "token": TOKEN},
        {"trnm": "LOGIN", "return_code": 0, "return_msg": f"{ACCOUNT} {STRANGE}", "deep": [{"acnt_no": ACCOUNT}]},
        {"trnm": "SYSTEM", "code": "R1", "message": ACCOUNT, "token": TOKEN},
        {"trnm": "REAL", "data": [{"type": "04", "values": {"9201": ACCOUNT}, "item": "005930", "x": [ACCOUNT]}]},
        {"trnm": "CNSRREQ", "return_code": 0, "seq": "0", "data": [{"9201": ACCOUNT, "302": STRANGE}]},
    ]
    file = tmp_path / "recorded.txt"
    file.write_text("\n".join(json.dumps(each) for each in recorded), encoding="utf-8")
    done = run("decode", str(file))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(recorded)
    check(done.stdout + done.stderr)

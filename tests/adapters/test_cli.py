"""The kiwoom-proto command, run as a user runs it: a process of its own, its output and its exit code."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import anyio.abc
import pytest
from tests.adapters.command import COMMAND, TOKEN, environment, exchange, run, run_on_terminal, start
from tests.adapters.independent import IndependentServer, Session

from kiwoom_asyncio.cli.table import MAX_ROWS, RowTable
from kiwoom_proto import OrderBook, ServerConnection
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import PingAnswered, RequestReceived
from kiwoom_proto.wire.messages import Row


def stream(url: str, *items: str) -> subprocess.Popen[str]:
    """A `kiwoom-proto stream` that goes on until it is ended."""
    return start("stream", "0E", *items, "--endpoint", url)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with exchange() as (url, _):
        yield url


def test_demo_shows_a_table_and_says_how_many_rows_came() -> None:
    done = run("demo", "--duration", "1.5", token=None)
    assert done.returncode == 0
    assert "주식시간외호가" in done.stdout
    assert "삼성전자" in done.stdout
    assert "rows came for 5 items" in done.stdout


def test_stream_writes_one_json_object_a_line_when_piped(url: str) -> None:
    done = run("stream", "0E", "005930", "000660", "--endpoint", url, "--count", "7")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 7
    assert {row["item"] for row in rows} <= {"005930", "000660"}
    assert all(row["type"] == "0E" and isinstance(row["ask_quantity"], int) for row in rows)
    assert done.stderr == ""


def test_stream_ends_after_its_duration(url: str) -> None:
    done = run("stream", "0E", "005930", "--endpoint", url, "--duration", "0.8")
    assert done.returncode == 0
    assert done.stdout.count("\n") > 3


def test_stream_of_a_type_without_a_class_gives_every_fid_and_duration_holds_without_rows(url: str) -> None:
    done = run("stream", "9Z", "005930", "--endpoint", url, "--duration", "0.5")
    assert (done.returncode, done.stdout) == (0, "")
    assert "type '9Z' is not in the catalogue" in done.stderr


def test_duration_holds_while_the_login_is_not_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
        done = run("stream", "0E", "005930", "--endpoint", url, "--duration", "0.4")
    assert done.returncode == 1
    assert "--duration 0.4" in done.stderr


def test_stream_survives_a_restart_of_the_server_with_its_subscriptions() -> None:
    with exchange() as (url, server), stream(url, "005930", "000660") as client:
        assert client.stdout is not None and client.stderr is not None
        assert json.loads(client.stdout.readline())["item"] in ("005930", "000660")
        server.kill()
        server.wait()
        assert "connection lost" in client.stderr.readline()
        with exchange(port=urlsplit(url).port or 0):
            said = ""
            while "connected again" not in said:
                said = client.stderr.readline()
                assert "trying again" in said or "connected again" in said
            assert re.search(r"connected again after [0-9.]+ s without data; 2 ", said)
            client.kill()
            rows = [json.loads(line) for line in client.stdout if line.endswith("\n")]
    assert len(rows) > 1


def test_an_exchange_that_another_login_takes_over_is_exit_code_1_and_says_why() -> None:
    with exchange() as (url, _), stream(url, "005930") as client:
        assert client.stdout is not None
        client.stdout.readline()
        assert run("stream", "0E", "005930", "--endpoint", url, "--count", "1").returncode == 0
        _, errors = client.communicate(timeout=10)
    assert client.returncode == 1
    assert "the same app key logged in elsewhere (R10001), which ends this session" in errors
    assert "동일한 App key로 접속이 되었습니다" in errors, "in the server's words, too"
    assert "Traceback" not in errors


def test_keys_get_a_token(url: str) -> None:
    keys = {"KIWOOM_APPKEY": "S3CRET-app", "KIWOOM_SECRETKEY": "S3CRET-key"}
    words = [*COMMAND, "stream", "0E", "005930", "--count", "1", "--endpoint", url]

    done = subprocess.run(words, env=environment(None) | keys, capture_output=True, encoding="utf-8", timeout=30)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["item"] == "005930"


def test_without_a_token_or_keys_it_says_what_to_set() -> None:
    done = run("stream", "0E", "005930", token=None)
    assert done.returncode == 2
    assert "KIWOOM_APPKEY and KIWOOM_SECRETKEY, or KIWOOM_TOKEN" in " ".join(done.stderr.split())


def test_nobody_listening_is_exit_code_1() -> None:
    done = run("stream", "0E", "005930", "--endpoint", "ws://127.0.0.1:9/")
    assert done.returncode == 1
    assert "could not connect to ws://127.0.0.1:9/" in done.stderr


@pytest.mark.parametrize("words", [["stream", "0E", "005930", "--endpoint"], ["serve", "--port", "0"]])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_is_exit_code_130_without_a_traceback(url: str, words: list[str]) -> None:
    words = [*words, url] if words[-1] == "--endpoint" else words
    with start(*words) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert errors == "kiwoom-proto: interrupted\n"


def test_a_reader_that_has_had_enough_ends_it_quietly(url: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "stream", "0E", "005930", "--endpoint", url],
        env=environment(TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["types"],
        ["types", "--help"],
        ["decode", "-"],
        ["demo", "--duration", "0.3"],
        ["serve", "--port", "0"],
        ["stream", "0E", "005930", "--endpoint", "URL"],
        ["conditions", "--endpoint", "URL"],
        ["conditions", "0", "--endpoint", "URL"],
        ["conditions", "0", "--live", "--endpoint", "URL"],
    ],
)
def test_a_full_disk_is_exit_code_1_and_says_so(url: str, words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, *(word.replace("URL", url) for word in words)],
            env=environment(TOKEN),
            input='{"trnm":"PING"}\n',
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=30,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "kiwoom-proto: cannot write the output: No space left on device; its last line may be incomplete"
    )
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has other errors for a pipe that was closed")
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["types"],
        ["types", "--help"],
        ["decode", "-"],
        ["demo", "--duration", "0.3"],
        ["serve", "--port", "0"],
        ["stream", "0E", "005930", "--endpoint", "URL"],
        ["conditions", "--endpoint", "URL"],
        ["conditions", "0", "--live", "--endpoint", "URL"],
    ],
)
def test_a_reader_that_left_before_the_first_line_ends_it_quietly(url: str, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run(
            [*COMMAND, *(word.replace("URL", url) for word in words)],
            env=environment(TOKEN),
            input='{"trnm":"PING"}\n',
            stdout=pipe,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=30,
        )
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "meet condition 0 " not in line] == []


@pytest.mark.skipif(os.name == "nt", reason="needs a shell that closes streams")
@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [
        ("types >&-", 1, "cannot write the output: Bad file descriptor"),
        ("types zz 2>&-", 2, ""),
        ("decode - <&-", 0, ""),
    ],
)
def test_streams_that_whoever_started_it_has_closed(command: str, code: int, complaint: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m kiwoom_asyncio.cli {command}', sys.executable],
        env=environment(None),
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    assert done.returncode == code
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that opens and cannot be read")
def test_a_file_that_cannot_be_read_is_named() -> None:
    done = run("decode", "/proc/self/mem")
    assert done.returncode == 1
    assert done.stderr == "kiwoom-proto: cannot read /proc/self/mem: Input/output error\n"


def test_a_directory_is_no_file_to_decode(tmp_path: pathlib.Path) -> None:
    done = run("decode", str(tmp_path))
    assert done.returncode == 2 if os.name != "nt" else done.returncode in (1, 2)
    assert tmp_path.name in done.stderr


@pytest.mark.parametrize(
    ("words", "token", "complaint"),
    [
        (["stream"], TOKEN, "Missing argument 'TYPE'"),
        (["stream", "0E", "005930"], None, "KIWOOM_TOKEN"),
        (["stream", "0E", "005930"], f"Bearer {TOKEN}", "must not begin with 'Bearer '"),
        (["stream", "0E"], TOKEN, "type 0E needs at least one"),
        (["stream", "0EE", "005930"], TOKEN, "two characters"),
        (["stream", "0E", "x" * 101], TOKEN, "the limit is 100"),
        (["stream", "0e", "005930"], TOKEN, "did you mean '0E' (AfterHoursQuote, 주식시간외호가)?"),
        (["stream", "005930", "0E"], TOKEN, "looks like an item: the type comes first"),
        (["stream", "0E", "A005930"], TOKEN, "did you mean '005930'?"),
        (["stream", "0E", "005930,000660"], TOKEN, "an argument of its own: '005930', '000660'"),
        (["stream", "FE", "NVDA:ND"], TOKEN, "US path"),
        (["stream", "00", "005930"], TOKEN, "takes none"),
        (["stream", "0E", "005930_NX", "--endpoint", "mock"], TOKEN, "KRX only"),
        (["stream", "0E", "005930", "--endpoint", "http://127.0.0.1/"], TOKEN, "Endpoint.url"),
        (["stream", "0E", "005930", "--count", "0"], TOKEN, "--count"),
        (["serve", "--start", "25:00"], None, "HH:MM"),
        (["serve", "--replay", "day", "--seed", "0"], None, "--seed is of the simulated market"),
        (["serve", "--replay", "day", "--start", "09:00"], None, "--start is of the simulated market"),
        (["serve", "--replay", "day", "--rate", "2"], None, "--rate is of the simulated market"),
        (["types", "0e"], None, "did you mean 0E"),
        (["types", "zz"], None, "no type 'zz'"),
        (["conditions", "--live"], TOKEN, "--live needs CONDITION"),
        (["conditions", " "], TOKEN, "CONDITION"),
        (["conditions"], None, "KIWOOM_TOKEN"),
        (["decode", "no-such-file"], None, "no-such-file"),
        (["nonsense"], None, "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_what_is_wrong(
    words: list[str], token: str | None, complaint: str
) -> None:
    done = run(*words, token=token)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""


def test_conditions_are_listed_run_and_followed(url: str) -> None:
    listed = [json.loads(line) for line in run("conditions", "--endpoint", url).stdout.splitlines()]
    assert [row["seq"] for row in listed] == ["0", "1", "2"]
    found = [json.loads(line) for line in run("conditions", "0", "--endpoint", url).stdout.splitlines()]
    assert found
    assert all(row["type"] == "CNSRREQ" and row["stock_code"] for row in found)
    live = run("conditions", "0", "--live", "--endpoint", url, "--count", "2")
    assert live.returncode == 0
    assert [json.loads(line)["event"] in ("I", "D") for line in live.stdout.splitlines()] == [True, True]


def test_a_condition_goes_by_its_name_too(url: str) -> None:
    by_number, by_name = (run("conditions", word, "--endpoint", url) for word in ("1", "신고가 돌파"))
    assert (by_name.returncode, by_name.stderr) == (0, "")
    codes = [[json.loads(line)["stock_code"] for line in done.stdout.splitlines()] for done in (by_number, by_name)]
    assert codes[0] == codes[1] != []
    live = run("conditions", "신고가 돌파", "--live", "--endpoint", url, "--count", "1")
    assert live.returncode == 0
    assert "meet condition 1 (신고가 돌파) now" in live.stderr


@pytest.mark.parametrize("live", [[], ["--live"]])
def test_a_condition_that_is_none_is_wrong_usage_and_lists_those_there_are(url: str, live: list[str]) -> None:
    for given in ("9", "돌파"):
        done = run("conditions", given, *live, "--endpoint", url)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(
            f"\nError: Invalid value for CONDITION: no condition has the number or name '{given}'. There are:\n"
            "    0  거래량 급증\n    1  신고가 돌파\n    2  골든크로스\n"
        )


def test_a_search_is_printed_page_by_page() -> None:
    """A server may have pages without end: none is kept until the last."""
    printed = threading.Event()

    async def script(session: Session) -> None:
        await session.login()
        await session.receive()
        await session.send({"trnm": "CNSRLST", "return_code": 0, "return_msg": "", "data": [["0", "all"]]})
        for page in ("1", "2"):
            request = await session.receive()
            if page == "2":
                assert await asyncio.to_thread(printed.wait, 20)
            rest = {"cont_yn": "Y", "next_key": page} if page == "1" else {"cont_yn": "N", "next_key": ""}
            data = [{"9001": "A00593" + page, "302": "x"}]
            await session.send({"trnm": "CNSRREQ", "seq": request["seq"], "return_code": 0, "data": data} | rest)
        await session.until_closed()

    with IndependentServer(script) as server, start("conditions", "0", "--endpoint", server.url) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["stock_code"] == "A005931"
        printed.set()
        assert json.loads(process.stdout.readline())["stock_code"] == "A005932"
        assert process.wait(20) == 0


def test_a_table_of_a_search_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    table = RowTable(("stock_code", "stock_name"))
    for number in range(MAX_ROWS + 7):
        table.add({"stock_code": f"{number:06}", "stock_name": "x" * 1_000, "volume": "y" * 1_000})
    table.print()
    shown = capsys.readouterr().out
    assert f"{MAX_ROWS - 1:06}" in shown
    assert f"{MAX_ROWS:06}" not in shown
    assert "… 7 more rows; --json writes all" in shown
    assert "yy" not in shown


@pytest.mark.parametrize(
    ("given", "seq"), [("7", "7"), ("12", "3"), ("급등[/]", "5"), (" 급등[/] ", "5"), ("같은", None), ("\x1b[31m", "8")]
)
def test_a_number_goes_before_a_name_and_a_name_must_be_the_only_one(given: str, seq: str | None) -> None:
    saved = [["3", "12"], ["5", "급등[/]"], ["6", "7"], ["7", "x"], ["8", "\x1b[31m"], ["9", "같은"], ["10", "같은"]]

    async def script(session: Session) -> None:
        await session.login()
        while True:
            request = await session.receive()
            data = saved if request["trnm"] == "CNSRLST" else None
            reply = {"trnm": request["trnm"], "return_code": 0, "return_msg": "", "seq": request.get("seq")}
            await session.send(reply | {"data": data})

    with IndependentServer(script) as server:
        done = run("conditions", given, "--endpoint", server.url)
        (session,) = server.sessions
    asked = [message for text in session.heard if (message := json.loads(text))["trnm"] == "CNSRREQ"]
    assert [message["seq"] for message in asked] == ([] if seq is None else [seq])
    assert done.returncode == (2 if seq is None else 0)
    if seq is None:
        assert "no condition is the only one with the name '같은'" in done.stderr
        assert "  8  \\x1b[31m\n" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of its own")
@pytest.mark.parametrize("words", [["conditions"], ["conditions", "5"], ["stream", "9Z", "005930", "--count", "2"]])
def test_the_words_of_a_server_are_no_markup(words: list[str]) -> None:
    name = "급등[/] [bold]\x1b[31m"

    async def script(session: Session) -> None:
        await session.login()
        while True:
            request = await session.receive()
            reply = {"trnm": request["trnm"], "return_code": 0, "return_msg": ""}
            match request["trnm"]:
                case "CNSRLST":
                    await session.send(reply | {"data": [["5", name]]})
                case "CNSRREQ":
                    await session.send(reply | {"seq": "5", "data": [{"9001": "A005930", "302": name}]})
                case _:
                    await session.send(reply)
                    row = {"values": {"[/]": "[/red]"}, "type": "9Z", "name": name, "item": "005930"}
                    await session.send({"trnm": "REAL", "data": [row, row]})

    with IndependentServer(script) as server:
        code, shown = run_on_terminal([*words, "--endpoint", server.url])
    assert code == 0, shown.decode()
    assert "[/]" in shown.decode()
    assert words[0] == "stream" or "[bold]\\x1b[31m" in shown.decode()


@pytest.mark.parametrize("type_code", ["0D", "0B", "00", "02", "FT"])
def test_demo_shows_any_type(type_code: str) -> None:
    done = run("demo", type_code, "--duration", "2", token=None)
    assert done.returncode == 0
    assert re.search(r"[1-9]\d* rows? came", done.stdout)
    assert not re.search(r"\b\d{10}\b", done.stdout), "an account number"


def test_types_lists_the_catalogue_and_every_field_in_both_languages() -> None:
    listing = run("types")
    assert listing.returncode == 0
    assert "AfterHoursQuote" in listing.stdout
    fields = run("types", "0E")
    assert fields.returncode == 0
    for text in (
        "21",
        "호가시간",
        "131",
        "ask_quantity",
        "시간외매도호가총잔량",
        "136",
        "bid_quantity_change",
        "shares",
    ):
        assert text in fields.stdout


def test_types_of_a_long_type_is_complete_and_names_its_codes() -> None:
    shown = run("types", "0D").stdout
    assert all(re.search(rf"^{field.fid}\s+{field.name}\s", shown, re.M) for field in OrderBook.fields.values())
    assert "3 open" in run("types", "0s").stdout


def test_decode_turns_recorded_payloads_into_json_lines(tmp_path: pathlib.Path) -> None:
    payloads = [
        '{"trnm":"PING"}',
        '{"trnm":"REAL","data":[{"type":"0E","name":"","item":"005930","values":{"21":"165208","131":"43955"}}]}',
        "",
        '{"trnm":"REAL","data":[{"type":"00","name":"","item":"","values":{"9201":"8100000001","x":"1"}}]}',
        '{"trnm":"REG","return_code":105110,"return_msg":"slow"}',
    ]
    path = tmp_path / "payloads.txt"
    path.write_text("\n".join(payloads), encoding="utf-8")
    done = run("decode", str(path))
    assert done.returncode == 0
    ping, quote, order, reply = (json.loads(line) for line in done.stdout.splitlines())
    assert ping == {"trnm": "PING"}
    assert (quote["time"], quote["ask_quantity"]) == ("16:52:08", 43955)
    assert order["account_number"] == "***"
    assert order["fids"] == {"9201": "***", "x": "1"}
    assert reply["return_code"] == "105110"


def test_decode_shows_no_token_that_was_recorded() -> None:
    recorded = f'{{"trnm":"LOGIN","token":"{TOKEN}","return_code":0}}'

    done = subprocess.run([*COMMAND, "decode", "-"], input=recorded, capture_output=True, encoding="utf-8", timeout=30)

    assert json.loads(done.stdout)["token"] == "***"
    assert TOKEN not in done.stdout + done.stderr


def test_decode_names_the_lines_it_cannot_understand_after_writing_the_others() -> None:
    done = subprocess.run(
        [*COMMAND, "decode", "-"],
        input='nonsense\n{"trnm":"PING"}\n',
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stdout == '{"trnm":"PING"}\n'
    assert "line 1: not a JSON text" in done.stderr
    assert "1 message could not be understood" in done.stderr


@pytest.mark.parametrize("command", [[], ["demo"], ["stream"], ["conditions"], ["decode"], ["serve"], ["types"]])
def test_every_command_has_a_help_text(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")
    assert command == ["demo"] or "kiwoom-proto" in done.stdout


def test_help_texts_show_examples() -> None:
    for command in ("stream", "conditions", "decode", "serve", "types"):
        assert "Example" in run(command, "--help").stdout


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "ascii"])
@pytest.mark.parametrize(
    "words", [["types"], ["types", "0s"], ["demo", "--duration", "0.5"], ["--help"], ["serve", "-h"]]
)
def test_a_console_of_another_encoding_shows_what_it_can(words: list[str], encoding: str) -> None:
    done = subprocess.run(
        [*COMMAND, *words], env=environment(None) | {"PYTHONIOENCODING": encoding}, capture_output=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if encoding == "cp949" and words != ["types", "0s"]:
        assert "키움" in done.stdout.decode("cp949") or "주식" in done.stdout.decode("cp949") or words[0] == "serve"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a pipe that fills up")
def test_pings_are_answered_while_nobody_reads_what_is_printed() -> None:
    """A pager that pauses must not cost the connection: the rows wait, the heartbeat goes on."""
    pings = []

    async def main() -> None:
        async def serve_one(stream: anyio.abc.SocketStream) -> None:
            server = ServerConnection(clock=anyio.current_time)
            row = Row({"21": "165208", "131": "1"}, "0E", "x" * 1000, "005930")

            async def pump(data: bytes) -> None:
                server.receive_data(data)
                for event in server.events():
                    if isinstance(event, RequestReceived):
                        server.accept(event.request)
                    elif isinstance(event, PingAnswered):
                        pings.append(event)
                await stream.send(server.data_to_send() or b"")

            while server.state is not ConnectionState.READY:
                await pump(await stream.receive())
            await pump(await stream.receive())
            for _ in range(20):  # 4 MB: more than the pipe and what may be unwritten
                server.send_records([row] * 200)
                server.send_ping()
                await pump(b"")
                await pump(await stream.receive())

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        url = f"ws://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}/"
        words = [*COMMAND, "stream", "0E", "005930", "--endpoint", url]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, env=environment(TOKEN), stdout=pipe, stderr=pipe) as client:  # noqa: ASYNC220
            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:

                    async def serve_and_stop(stream: anyio.abc.SocketStream) -> None:
                        async with stream:
                            await serve_one(stream)
                        tasks.cancel_scope.cancel()

                    tasks.start_soon(listener.serve, serve_and_stop)
            client.kill()
        await listener.aclose()

    anyio.run(main)
    assert len(pings) == 20

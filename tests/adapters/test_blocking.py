"""The client without async: the same calls from any thread, bounded waits, Ctrl-C, and no thread left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from tests.adapters.kit import ITEM, QUICK, TOKEN
from tests.adapters.recordings import NINE, write_recording

import kiwoom_asyncio
from kiwoom_asyncio import blocking
from kiwoom_proto import (
    ConnectionLost,
    Endpoint,
    Gap,
    LocalProtocolError,
    OrderBook,
    Record,
    RequestRefused,
    Stale,
    Trade,
)
from kiwoom_proto.client.replay import BaseReplay
from kiwoom_proto.events import RecordingHole, StreamGap
from kiwoom_proto.recording.format import encode_message
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.simulator import Exchange

SILENT = "900050"
"""An item that is acknowledged and has no rows."""


class Served:
    """A simulated exchange on a loop in another thread."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._main()])
        self._thread.start()
        assert self._is_up.wait(30)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with kiwoom_asyncio.serve(self.exchange) as server:
            self.endpoint: Endpoint = server.endpoint
            self._is_up.set()
            await self._over.wait()

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on its loop."""

        async def called() -> None:
            function()

        asyncio.run_coroutine_threadsafe(called(), self._loop)

    def end(self) -> None:
        """End it."""
        self.call(self._over.set)
        self._thread.join(30)


@pytest.fixture
def served() -> Iterator[Served]:
    """An exchange with rows."""
    served = Served(Exchange(seed=1, rate=200))
    yield served
    served.end()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test leaves as many threads as it found."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert {thread for thread in threading.enumerate() if "portal" in thread.name} <= before


def connect(served: Served, **options: Any) -> Any:
    return blocking.connect(served.endpoint, token=TOKEN, config=QUICK, **options)


# The same calls.


def test_a_subscription_is_iterated(served: Served) -> None:
    with blocking.connect(served.endpoint, token=TOKEN, config=QUICK) as client:
        request = client.subscribe(Trade, ITEM)
        trades = list(islice(client, 5))

        assert str(request) == "REG 0B for 005930"
        assert [type(trade) for trade in trades] == [Trade] * 5
        assert [(each.type, each.item) for each in client.subscriptions] == [("0B", ITEM)]
        client.unsubscribe(Trade, ITEM)
        assert client.subscriptions == ()
        assert client.endpoint == served.endpoint
        assert client.disconnected is None
        assert TOKEN not in repr(client)


def test_a_loop_over_a_stream_subscribes_and_unsubscribes(served: Served) -> None:
    with blocking.connect(served.endpoint, token=TOKEN, config=QUICK) as client:
        for trade in client.stream(Trade, ITEM):
            assert trade.price
            assert [each.consumers for each in client.subscriptions] == [1]
            break
        client.subscribe(Trade, "000660")  # after which the removal has been answered

        assert [each.item for each in client.subscriptions] == ["000660"]


def test_a_stream_is_a_block_with_several_loops(served: Served) -> None:
    with connect(served) as client, client.stream(Trade, ITEM, gaps="items") as trades:
        first = [row.sequence for row in islice(trades, 3) if not isinstance(row, Gap)]
        second = [row.sequence for row in islice(trades, 3) if not isinstance(row, Gap)]

        assert first + second == sorted({*first, *second})
        assert trades.next(timeout=30).symbol.code == ITEM
        assert trades.gaps == 0


def test_silence_is_an_item_of_the_stream(served: Served) -> None:
    with (
        blocking.connect(served.endpoint, token=TOKEN, config=attrs.evolve(QUICK, hours=None)) as client,
        client.stream(Trade, ITEM, fresh_within=1e-6, gaps="items") as trades,
    ):
        handle = client.on(OrderBook, repr, ITEM, fresh_within=1e-6)
        while not isinstance(event := trades.next(timeout=30), Stale):
            pass
        assert (event.type, event.item) == ("0B", ITEM)
        assert trades.silences > trades.gaps == 0
        while not handle.silences:
            trades.next(timeout=30)


def test_what_waits_is_counted_though_rows_cross_in_batches(served: Served) -> None:
    with connect(served) as client, client.stream(Trade, ITEM) as trades:
        for _ in range(7):
            trades.next()
        stats = trades.stats()

        assert stats.delivered == 7
        assert stats.received - stats.delivered == stats.waiting


def test_the_newest_row(served: Served) -> None:
    with connect(served) as client, client.stream(OrderBook, ITEM) as books:
        assert client.latest(OrderBook, ITEM) is None
        books.next()
        while (book := client.latest(OrderBook, ITEM)) is None:
            books.next()
        assert book.asks[0].price


def test_conditions(served: Served) -> None:
    with connect(served) as client:
        conditions = client.list_conditions()
        rows = list(client.search_condition_rows(conditions[0].seq))
        assert len(rows) >= len(client.search_condition(conditions[0].seq).rows) > 0
        with client.condition(conditions[0].name) as hits:
            assert hits.condition == conditions[0]
            before = hits.symbols
            change = hits.next(timeout=60)
            assert (change.symbol in hits.symbols) is change.entered
            assert set(hits.symbols) ^ set(before) <= {change.symbol}


def test_a_callback_may_close_itself_but_not_wait(served: Served) -> None:
    rows: queue.Queue[Record | Exception] = queue.Queue()
    with blocking.connect(served.endpoint, token=TOKEN, config=QUICK) as client:

        def take(trade: Trade) -> None:
            try:
                client.subscribe(OrderBook, ITEM)
            except LocalProtocolError as error:
                rows.put(error)
            client.latest(Trade, ITEM)
            rows.put(trade)
            ready.wait(30)
            handle.close()

        ready = threading.Event()
        handle = client.on(Trade, take, ITEM)
        ready.set()

        assert "callback" in str(rows.get(timeout=30))
        assert isinstance(rows.get(timeout=30), Trade)
        client.list_conditions()
        assert handle.errors == 0
        assert rows.empty()


def test_a_recording_is_replayed(served: Served, tmp_path: Path) -> None:
    with connect(served, record=Recorder(tmp_path)) as client:
        client.subscribe(Trade, ITEM)
        live = list(islice(client, 20))

    with blocking.replay(tmp_path, speed=None) as recording:
        replayed = [event for event in recording if isinstance(event, Trade)]
        with pytest.raises(StopIteration):
            recording.next(timeout=30)

    assert replayed[:20] == live


def test_a_replayed_stream_is_told_of_holes_of_the_recording(tmp_path: Path) -> None:
    line = b'{"data":[{"values":{"10":"+1"},"type":"0B","name":"","item":"005930"}],"trnm":"REAL"}'
    write_recording(tmp_path, [encode_message(NINE, 1, 1, line)], closed=False)
    heard: list[StreamGap] = []
    with blocking.replay(tmp_path, speed=None) as recording:
        recording.on(Trade, lambda row: None, "005930", gaps=heard.append)
        rows = list(recording.stream(Trade, "005930", gaps="items"))
    assert [type(row) for row in rows] == [Trade, RecordingHole]
    assert heard == rows[1:]


def test_one_thread_reads_two_streams_of_a_recording_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for one, the recording does not wait until it reads the other."""
    for name in ("GRACE", "PATIENCE"):
        monkeypatch.setattr(f"kiwoom_proto.client.patience.{name}", 1e6)
    line = '{"data":[{"values":{"10":"+1"},"type":"0B","name":"","item":"%s"}],"trnm":"REAL"}'
    items = ["005930"] * 3_000 + ["000660"]
    lines = [encode_message(NINE, 1, number, (line % item).encode()) for number, item in enumerate(items, 1)]
    write_recording(tmp_path, lines)
    with (
        blocking.replay(tmp_path, speed=None) as recording,
        recording.stream(Trade, "005930", overflow="conflate") as many,
        recording.stream(Trade, "000660", overflow="conflate") as few,
    ):
        assert many.next(timeout=60).item == "005930"
        assert few.next(timeout=60).item == "000660"


def test_it_has_every_name_of_the_async_client() -> None:
    def names(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    # Each has the other's name for the end, which says what to write instead.
    assert names(blocking.Client) == names(kiwoom_asyncio.Client) | {"next"}
    assert names(blocking.Replay) == names(BaseReplay) | {"next"}
    assert isinstance(blocking.Client.aclose, property) and isinstance(kiwoom_asyncio.Client.close, property)  # type: ignore[attr-defined]
    for name in (names(kiwoom_asyncio.Client) & names(blocking.Client)) - {"close", "aclose"}:
        ours, theirs = getattr(blocking.Client, name), getattr(kiwoom_asyncio.Client, name)
        if inspect.isfunction(ours):
            assert list(inspect.signature(ours).parameters.values()) == list(
                inspect.signature(theirs).parameters.values()
            )


@pytest.mark.parametrize("name", ["connect", "open", "replay"])
def test_its_functions_take_what_the_async_ones_take(name: str) -> None:
    ours, theirs = getattr(blocking, name), getattr(kiwoom_asyncio, name)

    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters


# Waiting.


def test_a_wait_has_a_limit_and_loses_nothing(served: Served) -> None:
    with connect(served) as client, client.stream(Trade, SILENT) as silent, client.stream(Trade, ITEM) as trades:
        with pytest.raises(TimeoutError, match=r"nothing came within 0\.01 s"):
            silent.next(timeout=0.01)
        numbers: list[int] = []
        while len(numbers) < 20:
            try:
                numbers.append(trades.next(timeout=0.0001).sequence)
            except TimeoutError:
                pass
        assert trades.stats().delivered == 20
        assert numbers == sorted(set(numbers))
        with pytest.raises(LocalProtocolError, match="timeout: must be"):
            silent.next(timeout=-1)
        with pytest.raises(TimeoutError):
            client.next(timeout=0)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal can be sent to a thread here")
@pytest.mark.parametrize("face", ["client", "stream", "call"])
def test_ctrl_c_ends_a_wait_and_the_block(served: Served, ctrl_c: None, face: str) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), connect(served) as client:
        client.subscribe(Trade, SILENT)
        served.call(served.exchange.stall)
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        if face == "call":
            client.list_conditions()
        for _ in client.stream(OrderBook, SILENT) if face == "stream" else client:
            pass
    timer.join()


def test_one_thread_ends_the_wait_of_another(served: Served) -> None:
    client = blocking.open(served.endpoint, token=TOKEN, config=QUICK)
    with client.stream(Trade, SILENT) as silent, ThreadPoolExecutor(2) as threads:
        own, its = threads.submit(list, client), threads.submit(list, silent)
        client.list_conditions()
        client.close()

        assert (own.result(30), its.result(30)) == ([], [])


def loop_over_stream(client: Any, begun: threading.Event) -> None:
    for _ in client.stream(Trade, ITEM):
        begun.set()


def loop_over_client(client: Any, begun: threading.Event) -> None:
    client.subscribe(Trade, ITEM)
    for _ in client:
        begun.set()


def wait_for_a_condition(client: Any, begun: threading.Event) -> None:
    with client.condition(client.list_conditions()[0].name) as hits, pytest.raises(StopIteration):
        begun.set()
        while True:
            hits.next()


def wait_with_a_limit(client: Any, begun: threading.Event) -> None:
    with client.stream(Trade, SILENT) as silent, pytest.raises(StopIteration):
        begun.set()
        while True:
            silent.next(timeout=1000)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("wait", [loop_over_stream, loop_over_client, wait_for_a_condition, wait_with_a_limit])
def test_an_error_of_the_block_ends_the_wait_of_another_thread(
    served: Served, wait: Callable[[Any, threading.Event], None], error: type[BaseException]
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(client: Any) -> None:
        wait(client, begun)
        ended.set()

    def own() -> None:
        with pytest.raises(error), connect(served) as client:
            threading.Thread(target=work, args=[client], daemon=True).start()
            assert begun.wait(30)
            raise error

    owner = threading.Thread(target=own, daemon=True)  # a daemon, so that a hang is a failure
    owner.start()
    assert ended.wait(30)
    owner.join(30)
    assert not owner.is_alive()


def test_closing_inside_a_loop_ends_it(served: Served) -> None:
    with connect(served) as client:
        client.subscribe(Trade, ITEM)
        for _ in client:
            client.close()
    client.close()


def test_several_threads_share_the_rows_of_a_stream(served: Served) -> None:
    with connect(served) as client, client.stream(Trade, ITEM) as trades, ThreadPoolExecutor(4) as threads:
        parts = [threads.submit(lambda: [trades.next().sequence for _ in range(25)]) for _ in range(4)]
        numbers = [number for part in parts for number in part.result(60)]

        assert len(set(numbers)) == 100


def test_each_thread_may_have_its_own_stream(served: Served) -> None:
    def first(item: str) -> list[Trade]:
        return list(islice(client.stream(Trade, item), 5))

    with blocking.connect(served.endpoint, token=TOKEN, config=QUICK) as client, ThreadPoolExecutor(3) as threads:
        items = [ITEM, "000660", ITEM]
        for item, trades in zip(items, threads.map(first, items), strict=True):
            assert {trade.item for trade in trades} == {item}


def test_errors_are_those_of_the_async_client(served: Served) -> None:
    with pytest.raises(ConnectionLost), connect(served) as client:
        with pytest.raises(LocalProtocolError, match="A005930"):
            client.subscribe(Trade, "A005930")
        with pytest.raises(LocalProtocolError, match="number or name"):
            client.condition("no such condition").__enter__()
        client.subscribe(Trade, ITEM)
        for _ in client:
            served.call(served.exchange.kick)


def test_a_lost_registration_ends_a_stream(served: Served) -> None:
    with connect(served) as client, client.stream(Trade, ITEM) as trades:
        client.subscribe(OrderBook, ITEM, replace=True)
        with pytest.raises(RequestRefused):
            list(trades)


# Mistakes.


def test_mistakes_name_the_cure(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(served) as client:
        stream = client.stream(Trade, ITEM)
        with pytest.raises(LocalProtocolError, match=r"not entered: write `with client\.stream"):
            stream.next()
        with stream, pytest.raises(LocalProtocolError, match="entered once"), stream:
            pass
        with pytest.raises(LocalProtocolError, match="was left"):
            iter(stream)
        with pytest.raises(LocalProtocolError, match="was left"):
            next(stream)
        with pytest.raises(LocalProtocolError, match="was left"):
            stream.next(timeout=1)
        with pytest.raises(AttributeError, match=r"client\.close\(\)"):
            client.aclose()

        async def wrong() -> None:
            client.subscribe(Trade, ITEM)

        with pytest.raises(LocalProtocolError, match=r"async function.*kiwoom_asyncio\.connect"):
            asyncio.run(wrong())
        with pytest.raises(LocalProtocolError, match=r"async function.*kiwoom_trio\.connect"):
            trio.run(wrong)
        process = os.getpid() + 1
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: process)
            with pytest.raises(LocalProtocolError, match="forked"):
                client.list_conditions()
    for use in (client.list_conditions, lambda: iter(client), lambda: client.stream(Trade, ITEM), stream.__iter__):
        with pytest.raises(LocalProtocolError, match=r"closed.*blocking\.open"):
            use()
    assert client.stats().connections == 1
    assert client.state.value == "closed"


def test_connecting_in_an_async_function_is_refused(served: Served) -> None:
    async def wrong() -> None:
        with connect(served):
            pass

    with pytest.raises(LocalProtocolError, match="async function"):
        asyncio.run(wrong())
    with pytest.raises(LocalProtocolError, match="async function"):
        trio.run(wrong)


def test_a_block_is_entered_once(served: Served) -> None:
    block = connect(served)
    with block, pytest.raises(LocalProtocolError, match="a block is entered once"), block:
        pass
    with pytest.raises(LocalProtocolError, match="a block is entered once"), block:
        pass


def test_what_fails_to_connect_leaves_no_thread(served: Served) -> None:
    with pytest.raises(LocalProtocolError, match="token"):
        blocking.open(served.endpoint, token="")
    with pytest.raises(RuntimeError, match="mine"), connect(served):
        raise RuntimeError("mine")


# Never closed.


def test_a_client_that_is_dropped_ends_its_thread(served: Served) -> None:
    client = blocking.open(served.endpoint, token=TOKEN, config=QUICK)
    thread = client._bridge._thread

    del client
    gc.collect()
    thread.join(30)

    assert not thread.is_alive()


NEVER_CLOSED = {
    "blocking": """
        client = blocking.open(endpoint, token="token")
        client.subscribe(Trade, "005930")
        rows = iter(client.stream(Trade, "005930"))
        print(next(rows).symbol)
    """,
    "async": """
        async def main():
            global client
            client = await kiwoom_asyncio.open(endpoint, token="token")
            await client.subscribe(Trade, "005930")
            print((await anext(client)).symbol)

        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("face", NEVER_CLOSED)
def test_a_program_that_never_closes_ends_in_silence(served: Served, face: str) -> None:
    program = (
        "import asyncio, sys\nimport kiwoom_asyncio\nfrom kiwoom_asyncio import blocking\n"
        "from kiwoom_proto import Endpoint, Trade\nendpoint = Endpoint(sys.argv[1])\n"
    ) + textwrap.dedent(NEVER_CLOSED[face])
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, served.endpoint.url],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("005930\n", "", 0)

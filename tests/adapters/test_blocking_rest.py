"""The REST client without async, and the one that is kept over the cells of a notebook."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
from tests.adapters.kit import ITEM, TOKEN
from tests.adapters.test_rest import OPEN_AT, QUICK, QUOTE, buy, make_exchange
from tests.exchanges import served

import kiwoom_asyncio
from kiwoom_asyncio import blocking
from kiwoom_proto import PRODUCTION, Endpoint, LocalProtocolError, rest
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest.errors import MaintenancePage, OrderOutcomeUnknown
from kiwoom_proto.rest.pages import PagesEnd
from kiwoom_proto.simulator import Exchange

CHART = rest.MinuteChart(stk_cd=ITEM, tic_scope="1", upd_stkpc_tp="1")


@pytest.fixture
def exchange() -> Exchange:
    return make_exchange()


@pytest.fixture
def endpoint(exchange: Exchange) -> Iterator[Endpoint]:
    with served(exchange) as (url, _):
        yield Endpoint(url)


def test_calls_pages_and_rows(endpoint: Endpoint) -> None:
    before = threading.active_count()
    with blocking.rest(endpoint, token=TOKEN, config=QUICK) as api:
        assert api.call(QUOTE).sel_fpr_bid
        pages = api.pages(CHART, limit=2)
        counts = [len(page.reply.rows) for page in pages]
        assert (len(counts), pages.count, pages.end) == (2, 2, PagesEnd.LIMIT)
        assert api.page(CHART, cont_yn="Y", next_key=pages.next_key).reply.rows
        rows = api.rows(CHART, limit=counts[0] + 5)
        assert len([row.cntr_tm for row in rows]) == rows.count == counts[0] + 5
        assert rows.end is PagesEnd.LIMIT
        assert rows.next_key == "", "rows of the page are left"
        further = api.rows(CHART, limit=counts[0], next_key=pages.next_key)
        assert len(list(further)) == counts[0] and further.next_key not in ("", pages.next_key)
        assert "005930" in str(api.dry_run(buy()))
        assert api.call(buy()).ord_no
    assert threading.active_count() == before


def test_clients_in_several_threads_keep_the_limit_together() -> None:
    exchange = Exchange(seed=1, start=OPEN_AT, rest_limit=1)
    config = RestConfig(calls_per_second=1, rate_limit_tries=1)
    with served(exchange) as (url, _):
        endpoint = Endpoint(url)
        with (
            blocking.rest(endpoint, token=TOKEN, config=config) as one,
            blocking.rest(endpoint, token=TOKEN, config=config) as other,
        ):
            one.call(QUOTE)
            other.call(QUOTE)
            with blocking.rest(endpoint, token="another-token", config=config) as another:
                another.call(QUOTE)
        with blocking.rest(endpoint, token=TOKEN, config=config) as later:
            later.call(QUOTE)
    assert exchange.rest.limits.refused == 0


def test_errors_are_those_of_the_async_client(exchange: Exchange, endpoint: Endpoint) -> None:
    exchange.faults.rest_answer = "html"
    with blocking.rest(endpoint, token=TOKEN, config=QUICK) as api:
        with pytest.raises(MaintenancePage):
            api.call(QUOTE)
        pages = api.pages(CHART)
        with pytest.raises(MaintenancePage):
            next(pages)
        assert pages.end is PagesEnd.REFUSED


@contextmanager
def silent() -> Iterator[tuple[Endpoint, threading.Event]]:
    """A server that takes requests and answers none, and an event that is set when it has one."""
    arrived = threading.Event()

    def listen(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                connections.append(connection)
                arrived.set() if connection.recv(65_536) else None

    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen, args=[server])
        thread.start()
        yield Endpoint(f"ws://127.0.0.1:{server.getsockname()[1]}/api/dostk/websocket"), arrived
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)
    for connection in connections:
        connection.close()


AMEND = rest.AmendOrder(dmst_stex_tp="KRX", orig_ord_no="0000001", stk_cd=ITEM, mdfy_qty=1, mdfy_uv=70_000)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal can be sent to a thread here")
@pytest.mark.parametrize(
    ("ask", "is_order"),
    [
        (lambda api: api.call(buy()), True),
        (lambda api: api.call(AMEND), True),
        (lambda api: next(api.pages(buy())), True),
        (lambda api: api.call(QUOTE), False),
        (lambda api: next(api.rows(CHART)), False),
    ],
    ids=["order", "amendment", "page", "query", "rows"],
)
def test_ctrl_c_tells_of_an_order_that_was_sent(
    ctrl_c: None, ask: Callable[[blocking.RestClient], object], is_order: bool
) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        if arrived.wait(30):
            signal.pthread_kill(main, signal.SIGINT)

    with silent() as (endpoint, arrived):
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt) as caught, blocking.rest(endpoint, token=TOKEN) as api:
            ask(api)
        thread.join(30)

    if is_order:
        assert isinstance(caught.value.__cause__, OrderOutcomeUnknown)
        assert caught.value.__cause__.api_id in ("kt10000", "kt10002")
        assert "nobody knows whether this order was processed" in "".join(traceback.format_exception(caught.value))
    else:
        assert caught.value.__cause__ is None


def test_ctrl_c_tells_of_a_reply_that_was_there(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between the answer and the thread that waits for it, which no test can hit otherwise."""

    def interrupted(future: Future[object], timeout: float | None = None) -> object:
        wait([future])
        raise KeyboardInterrupt

    with blocking.rest(endpoint, token=TOKEN) as api, monkeypatch.context() as patch:
        patch.setattr("kiwoom_asyncio.blocking.bridge._result", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            api.call(buy())
        (note,) = caught.value.__notes__
    assert note.startswith("The call had ended meanwhile: BuyOrderReply(ord_no=")


def test_several_threads_share_one_client(endpoint: Endpoint) -> None:
    with blocking.rest(endpoint, token=TOKEN, config=QUICK) as api, ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: api.call(QUOTE), range(12)))
    assert len(replies) == 12


def test_it_may_be_kept_without_a_block(endpoint: Endpoint) -> None:
    api = blocking.open_rest(endpoint, token=TOKEN)
    api.call(QUOTE)
    api.close()
    api.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        api.call(QUOTE)


def test_the_async_one_may_be_kept_too(endpoint: Endpoint) -> None:
    async def cells() -> None:
        api = await kiwoom_asyncio.open_rest(endpoint, token=TOKEN)
        await asyncio.create_task(api.call(QUOTE))
        await asyncio.create_task(api.aclose())
        await api.aclose()
        with pytest.raises(LocalProtocolError, match="its block was left"):
            await api.call(QUOTE)

    asyncio.run(cells())


def test_a_forgotten_block_says_what_to_write() -> None:
    with pytest.raises(AttributeError, match=r"with blocking\.rest\(\.\.\.\) as api.*api\.close\(\)"):
        blocking.rest(PRODUCTION, token=TOKEN).call(QUOTE)  # type: ignore[attr-defined]

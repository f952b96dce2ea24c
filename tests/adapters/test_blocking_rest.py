"""The REST client without async, and the one that is kept over the cells of a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.adapters.kit import ITEM, TOKEN
from tests.adapters.test_rest import OPEN_AT, QUICK, QUOTE, buy, make_exchange
from tests.exchanges import served

import kiwoom_asyncio
from kiwoom_asyncio import blocking
from kiwoom_proto import PRODUCTION, Endpoint, LocalProtocolError, rest
from kiwoom_proto.config import RestConfig
from kiwoom_proto.rest.errors import MaintenancePage
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

"""Calls of the REST interface on every loop: against the simulated exchange, on loopback, in plaintext and over TLS."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest
import trustme
from tests.adapters.conftest import Net
from tests.adapters.kit import ITEM, TOKEN, Loop, raw_server, until

import kiwoom_asyncio
import kiwoom_trio
from kiwoom_proto import PRODUCTION, AppKey, Endpoint, LocalProtocolError, rest
from kiwoom_proto.config import RestConfig
from kiwoom_proto.errors import CertificateRefused, DeadlineExceeded, TokenError, TokenRefused, TransportError
from kiwoom_proto.rest.errors import (
    CallCancelled,
    MaintenancePage,
    OrderOutcomeUnknown,
    RateLimited,
    RepeatedCursor,
    ServerFailed,
    TokenRejected,
    UnreadableReply,
)
from kiwoom_proto.rest.pages import PagesEnd
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.simulator.faults import RestAnswer
from kiwoom_proto.simulator.rest.link import Cut

QUICK = RestConfig(calls_per_second=1000, tries=1, rate_limit_tries=1)
QUOTE = rest.StockQuote(stk_cd=ITEM)
OPEN_AT = datetime.time(10, 0)


def make_exchange(**options: Any) -> Exchange:
    """An exchange in the middle of the day, which counts requests and hardly limits them."""
    return Exchange(seed=1, start=OPEN_AT, rest_limit=1000, **options)


def buy(quantity: int = 1) -> rest.BuyOrder:
    """A market order, which is filled."""
    return rest.BuyOrder(dmst_stex_tp="KRX", stk_cd=ITEM, ord_qty=quantity, trde_tp="3")


async def test_a_call_returns_a_typed_reply(loop: Loop, net: Net) -> None:
    async with (
        loop.serve(make_exchange(), ssl_context=net.server) as server,
        loop.rest(server.endpoint, ssl_context=net.client) as api,
    ):
        reply = await api.call(QUOTE)

    assert isinstance(reply, rest.StockQuoteReply)
    assert reply.sel_fpr_bid is not None and reply.buy_fpr_bid is not None
    assert reply.sel_fpr_bid > reply.buy_fpr_bid


async def test_calls_one_after_the_other_use_one_connection_and_calls_at_once_several(loop: Loop) -> None:
    exchange = make_exchange()
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        for _ in range(5):
            await api.call(QUOTE)
            assert len(exchange.links) == 1
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(api.call, QUOTE)
            await until(lambda: len(exchange.links) > 1)
        assert len(exchange.links) <= QUICK.max_connections
    await until(lambda: not exchange.links)


async def test_the_feed_and_rest_share_one_token(loop: Loop) -> None:
    exchange = make_exchange(app_keys={"an-app-key": "a-secret-key"})
    key = AppKey("an-app-key", "a-secret-key")
    async with (
        loop.serve(exchange) as server,
        loop.rest(server.endpoint, token=key) as api,
        anyio.create_task_group() as tasks,
    ):

        async def feed() -> None:
            async with loop.connect(server.endpoint, token=key):
                pass

        tasks.start_soon(feed)
        tasks.start_soon(api.call, QUOTE)
    assert exchange.token_requests == 1


@pytest.mark.parametrize("how", ["key", "callable"])
async def test_a_token_that_expired_is_renewed_once_for_all_calls(loop: Loop, how: str) -> None:
    exchange = make_exchange(app_keys={"an-app-key": "a-secret-key"})
    key, asked = AppKey("an-app-key", "a-secret-key"), 0
    async with loop.serve(exchange) as server:

        async def token() -> str:
            nonlocal asked
            asked += 1
            issue = kiwoom_trio.issue_token if loop.name == "trio" else kiwoom_asyncio.issue_token
            return (await issue(server.endpoint, key)).value.reveal()

        async with loop.rest(server.endpoint, token=key if how == "key" else token, config=QUICK) as api:
            await api.call(QUOTE)
            exchange.expire_tokens()
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(api.call, QUOTE)
    assert exchange.token_requests == 2
    assert asked == (0 if how == "key" else 2)


async def test_what_a_token_callable_raises_is_told(loop: Loop) -> None:
    async def broken() -> str:
        raise RuntimeError("the vault is closed")

    async with loop.serve(make_exchange()) as server, loop.rest(server.endpoint, token=broken, config=QUICK) as api:
        with pytest.raises(TokenError, match="the token callable raised RuntimeError"):
            await api.call(QUOTE)


async def test_wrong_keys_are_refused(loop: Loop) -> None:
    exchange = make_exchange(app_keys={"an-app-key": "a-secret-key"})
    async with (
        loop.serve(exchange) as server,
        loop.rest(server.endpoint, token=AppKey("an-app-key", "another-key"), config=QUICK) as api,
    ):
        with pytest.raises(TokenRefused, match="8001"):
            await api.call(QUOTE)


ANSWERS: list[tuple[RestAnswer, type[Exception]]] = [
    ("html", MaintenancePage),
    ("too_many", RateLimited),
    ("token", TokenRejected),
    ("failed", ServerFailed),
]


@pytest.mark.parametrize(("answer", "error"), ANSWERS)
async def test_errors_are_raised_as_they_are_and_calls_go_on(
    loop: Loop, answer: RestAnswer, error: type[Exception]
) -> None:
    exchange = make_exchange()
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        exchange.faults.rest_answer = answer
        with pytest.raises(error) as caught:
            await api.call(QUOTE)
        assert TOKEN not in f"{caught.value} {caught.value!r}"
        exchange.faults.rest_answer = "ok"
        await api.call(rest.StockTrades(stk_cd=ITEM))


async def test_a_compressed_answer_that_nobody_asked_for_is_an_error(loop: Loop) -> None:
    exchange = make_exchange()
    exchange.faults.rest_gzip = True
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        with pytest.raises(UnreadableReply, match="compressed"):
            await api.call(QUOTE)


async def test_a_query_goes_again_where_that_helps(loop: Loop) -> None:
    exchange = make_exchange()
    exchange.faults.rest_answer, exchange.faults.rest_times = "too_many", 1
    async with loop.serve(exchange) as server, loop.rest(server.endpoint) as api:
        await api.call(QUOTE)
        exchange.faults.rest_cut, exchange.faults.rest_answer, exchange.faults.rest_times = "half", "ok", 1
        await api.call(QUOTE)


async def test_nobody_listens(loop: Loop) -> None:
    async with loop.rest(Endpoint("ws://127.0.0.1:1/"), config=QUICK) as api:
        with pytest.raises(TransportError, match=r"could not connect to 127\.0\.0\.1:1: Connection refused"):
            await api.call(QUOTE)


async def test_nobody_answers(loop: Loop) -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        await anyio.sleep_forever()

    config = RestConfig(answer_timeout=0.1, tries=1)
    async with raw_server(silent) as endpoint, loop.rest(endpoint, config=config) as api:
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.1 s"):
            await api.call(QUOTE)


async def test_a_certificate_of_an_unknown_authority_is_refused(loop: Loop, tls: Net) -> None:
    own = ssl.create_default_context()
    trustme.CA().configure_trust(own)
    async with (
        loop.serve(make_exchange(), ssl_context=tls.server) as server,
        loop.rest(server.endpoint, ssl_context=own) as api,
        loop.rest(server.endpoint, token=AppKey("app", "secret"), ssl_context=own) as with_key,
    ):
        for client in (api, with_key):
            with pytest.raises(CertificateRefused, match="trust the authority with ssl_context"):
                await client.call(QUOTE)


async def test_a_context_that_does_not_verify_is_refused(loop: Loop) -> None:
    careless = ssl.create_default_context()
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(LocalProtocolError, match="ssl_context"):
        async with loop.rest(PRODUCTION, ssl_context=careless):
            pass


# Orders.

CUTS: list[tuple[RestAnswer, Cut, float]] = [
    ("ok", "before", 0),
    ("ok", "half", 0),
    ("ok", "after", 0),
    ("failed", "no", 0),
    ("failed_after", "no", 0),
    ("ok", "no", 1000.0),
]


@pytest.mark.parametrize(("answer", "cut", "delay"), CUTS)
async def test_an_order_is_sent_once_whatever_happens(loop: Loop, answer: RestAnswer, cut: Cut, delay: float) -> None:
    """And never reported as if nothing had happened."""
    exchange = make_exchange()
    faults = exchange.faults
    faults.rest_answer, faults.rest_cut, faults.rest_delay = answer, cut, delay
    config = RestConfig(calls_per_second=1000, answer_timeout=0.3)
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=config) as api:
        with pytest.raises(OrderOutcomeUnknown) as caught:
            await api.call(buy())
        assert exchange.orders_processed == (0 if cut == "before" or answer == "failed" else 1)
        faults.rest_answer, faults.rest_cut, faults.rest_delay = "ok", "no", 0.0
        reply = await api.call(buy())
        assert reply.ord_no
    assert exchange.orders_processed == (1 if cut == "before" or answer == "failed" else 2)
    assert "005930" in str(caught.value)


@pytest.mark.parametrize(("answer", "error"), [("too_many", RateLimited), ("token", TokenRejected)])
async def test_an_order_that_was_refused_was_not_processed(
    loop: Loop, answer: RestAnswer, error: type[Exception]
) -> None:
    exchange = make_exchange()
    exchange.faults.rest_answer = answer
    async with loop.serve(exchange) as server, loop.rest(server.endpoint) as api:
        with pytest.raises(error):
            await api.call(buy())
    assert exchange.orders_processed == 0


# Cancellation, and the end.


async def test_whoever_is_cancelled_gives_a_query_up_and_others_go_on(loop: Loop) -> None:
    exchange = make_exchange()
    exchange.faults.rest_delay = 1000.0
    async with loop.serve(exchange) as server, loop.rest(server.endpoint) as api:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(api.call, QUOTE)
                await until(lambda: exchange.links and exchange.links[0].deadline is None)
                scope.cancel()
        assert scope.cancelled_caught
        exchange.faults.rest_delay = 0.0
        await api.call(QUOTE)


async def test_whoever_is_cancelled_is_told_that_the_outcome_of_an_order_is_unknown(loop: Loop) -> None:
    exchange = make_exchange()
    exchange.faults.rest_delay = 1000.0
    async with loop.serve(exchange) as server, loop.rest(server.endpoint) as api:
        with anyio.CancelScope() as scope:

            async def leave() -> None:
                await until(lambda: exchange.orders_processed)
                scope.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(leave)
                with pytest.raises(OrderOutcomeUnknown, match="cancelled"):
                    await api.call(buy())
    assert exchange.orders_processed == 1


async def test_an_order_that_has_not_left_is_taken_back(loop: Loop) -> None:
    exchange = make_exchange()
    config = RestConfig(calls_per_second=1)
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=config) as api:
        await api.call(buy())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await api.call(buy())
        assert scope.cancelled_caught
    assert exchange.orders_processed == 1


async def test_leaving_the_block_ends_calls_under_way(loop: Loop) -> None:
    exchange = make_exchange()
    exchange.faults.rest_delay = 1000.0
    errors: list[Exception] = []
    async with loop.serve(exchange) as server, anyio.create_task_group() as tasks:

        async def call(request: Any) -> None:
            try:
                await api.call(request)
            except Exception as error:
                errors.append(error)

        async with loop.rest(server.endpoint) as api:
            tasks.start_soon(call, QUOTE)
            tasks.start_soon(call, buy())
            await until(lambda: exchange.orders_processed and len(exchange.links) == 2)
    assert {type(error) for error in errors} == {CallCancelled, OrderOutcomeUnknown}


# Pages and rows.


async def test_rows_come_from_as_many_pages_as_they_need(loop: Loop) -> None:
    exchange = make_exchange()
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        request = rest.MinuteChart(stk_cd=ITEM, tic_scope="1", upd_stkpc_tp="1")
        pages = api.pages(request, limit=3)
        counts = [len(page.reply.rows) async for page in pages]
        assert pages.end is PagesEnd.LIMIT
        assert pages.count == len(counts) == 3

        rows = api.rows(request, limit=counts[0] + 1)
        found = [row.cntr_tm async for row in rows]
        assert len(found) == len(set(found)) == counts[0] + 1
        assert rows.end is PagesEnd.LIMIT

        further = api.pages(request, limit=1, next_key=pages.next_key)
        (page,) = [page async for page in further]
        assert page.reply.rows[0].cntr_tm not in found


async def test_all_rows_are_complete(loop: Loop) -> None:
    async with loop.serve(make_exchange()) as server, loop.rest(server.endpoint, config=QUICK) as api:
        rows = api.rows(rest.DailyChart(stk_cd=ITEM, base_dt="20261126", upd_stkpc_tp="1"))
        assert rows.end is None
        dates = [row.dt async for row in rows]
    assert rows.end is PagesEnd.COMPLETE
    assert rows.count == len(dates) == len(set(dates)) > 100


async def test_a_refusal_half_way_raises_after_the_rows_before_it_and_can_be_continued(loop: Loop) -> None:
    exchange = make_exchange()
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        pages = api.pages(rest.MinuteChart(stk_cd=ITEM, tic_scope="1", upd_stkpc_tp="1"))
        first = await anext(pages)
        exchange.faults.rest_answer = "html"
        with pytest.raises(MaintenancePage):
            await anext(pages)
        assert pages.end is PagesEnd.REFUSED
        assert isinstance(pages.error, MaintenancePage)
        assert pages.next_key == first.next_key
        with pytest.raises(StopAsyncIteration):
            await anext(pages)


async def test_rows_go_on_behind_a_refusal(loop: Loop) -> None:
    exchange = make_exchange()
    request = rest.MinuteChart(stk_cd=ITEM, tic_scope="1", upd_stkpc_tp="1")
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        pages = api.pages(request, limit=2)
        wanted = [row.cntr_tm async for page in pages for row in page.reply.rows]
        size = len((await api.page(request)).reply.rows)

        rows = api.rows(request)
        found = [(await anext(rows)).cntr_tm]
        assert rows.next_key == "", "rows of the page are left"
        with pytest.raises(MaintenancePage):
            async for row in rows:
                found.append(row.cntr_tm)
                if len(found) == size:
                    exchange.faults.rest_answer = "html"
        exchange.faults.rest_answer = "ok"
        assert (rows.end, len(found)) == (PagesEnd.REFUSED, size)

        rest_of_them = api.rows(request, next_key=rows.next_key, limit=len(wanted) - size)
        found += [row.cntr_tm async for row in rest_of_them]
        assert found == wanted
        assert rest_of_them.end is PagesEnd.LIMIT
        assert rest_of_them.next_key == pages.next_key, "the limit was the end of a page"
        with pytest.raises(LocalProtocolError, match="next-key"):
            api.rows(request, next_key="a\nb")


async def test_a_cursor_that_repeats_is_an_error(loop: Loop) -> None:
    exchange = make_exchange()
    exchange.faults.repeat_next_key = True
    async with loop.serve(exchange) as server, loop.rest(server.endpoint, config=QUICK) as api:
        pages, seen = api.pages(rest.MinuteChart(stk_cd=ITEM, tic_scope="1", upd_stkpc_tp="1")), 0
        with pytest.raises(RepeatedCursor):
            async for _ in pages:
                seen += 1
        assert pages.end is PagesEnd.REPEATED
        assert seen == pages.count == 2


def test_nothing_is_sent_by_a_dry_run(loop: Loop) -> None:
    async def main() -> None:
        async with loop.rest(Endpoint("ws://127.0.0.1:1/"), token="the-token-that-nobody-may-see") as api:
            shown = str(api.dry_run(buy(3)))
        assert "POST http://127.0.0.1:1/api/dostk/ordr" in shown
        assert '"ord_qty":"3"' in shown
        assert "nobody-may-see" not in shown

    loop.run(main)


# The usual mistakes.


def loop_over(found: Any) -> None:
    for _ in found:
        pass


def enter_plain(block: Any) -> None:
    with block:
        pass


MISTAKES: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    "for over rows": (lambda api: loop_over(api.rows(buy)), TypeError, "write `async for row in api.rows"),
    "for over pages": (lambda api: loop_over(api.pages(QUOTE)), TypeError, "write `async for page in api.pages"),
    "rows without a list": (lambda api: api.rows(QUOTE), LocalProtocolError, "ka10004: its reply has no list"),
    "no rows": (lambda api: api.rows(rest.StockTrades(stk_cd=ITEM), limit=0), LocalProtocolError, "limit"),
    "an id in place of a request": (lambda api: api.call("ka10004"), LocalProtocolError, r"rest.StockQuote\(stk_cd"),
    "a class in place of a request": (lambda api: api.call(rest.StockQuote), LocalProtocolError, "rest.StockQuote"),
    "a token's TR": (
        lambda api: api.call(rest.CATALOGUE["au10002"](appkey="a", secretkey="b", token="c")),
        LocalProtocolError,
        "TokenCall",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_says_what_to_write_instead(loop: Loop, name: str) -> None:
    make, error, text = MISTAKES[name]
    async with loop.rest(Endpoint("ws://127.0.0.1:1/")) as api:
        with pytest.raises(error, match=text):
            answer = make(api)
            if isinstance(answer, Awaitable):
                await answer


async def test_after_the_block(loop: Loop) -> None:
    async with loop.rest(Endpoint("ws://127.0.0.1:1/")) as api:
        pass
    with pytest.raises(LocalProtocolError, match="its block was left"):
        await api.call(QUOTE)
    with pytest.raises(LocalProtocolError, match="its block was left"):
        api.rows(rest.StockTrades(stk_cd=ITEM))


async def test_from_another_thread(loop: Loop) -> None:
    async with loop.rest(Endpoint("ws://127.0.0.1:1/")) as api:

        def elsewhere() -> None:
            with pytest.raises(LocalProtocolError, match=r"from another thread.*hand the call over"):
                api.pages(QUOTE)

        await anyio.to_thread.run_sync(elsewhere)


@pytest.mark.parametrize("token", [None, 5, b"", [TOKEN, TOKEN]])
async def test_a_token_that_is_none(loop: Loop, token: Any) -> None:
    with pytest.raises(LocalProtocolError, match="token"):
        async with loop.rest(PRODUCTION, token=token):
            pass


NO_BLOCK: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    "with": (enter_plain, TypeError, r"write `async with rest.*blocking\.rest"),
    "no block": (lambda block: block.call(QUOTE), AttributeError, "not entered yet.*write `async with rest"),
}


@pytest.mark.parametrize("name", NO_BLOCK)
def test_a_forgotten_block(name: str) -> None:
    make, error, text = NO_BLOCK[name]
    with pytest.raises(error, match=text):
        make(kiwoom_asyncio.rest(PRODUCTION, token=TOKEN))

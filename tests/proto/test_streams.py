"""Streams, callbacks and newest rows: who gets which row, and how each ends. On virtual time, driven by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kiwoom_proto import (
    US_PRODUCTION,
    ClientConfig,
    Closed,
    ConnectionLost,
    Gap,
    InternationalGoldPrice,
    LocalProtocolError,
    MarketPhase,
    OrderBook,
    OrderExecution,
    Record,
    RequestRefused,
    Stale,
    Symbol,
    Trade,
    UsTrade,
)
from kiwoom_proto.client.condition_stream import ConditionStream
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.client.streams import Stream
from kiwoom_proto.events import Evicted, MemberLost, RequestAccepted, RequestRefusal, StreamGap, Unplaced
from kiwoom_proto.request import RequestKind
from kiwoom_proto.wire.messages import Row

from .hand_client import HandClient

A, B = "005930", "000660"


def trade(item: str = A, number: int = 0) -> Row:
    return Row({"20": "100000", "10": str(number)}, "0B", "주식체결", item)


def book(item: str = A) -> Row:
    return Row({"21": "100000"}, "0D", "주식호가잔량", item)


def hit(code: str, what: str = "I", seq: str = "2") -> Row:
    return Row({"841": seq, "9001": code, "843": what, "20": "100000"}, "02", "조건검색", code)


def entered(client: HandClient, stream: Stream[Any]) -> Stream[Any]:
    return client.run(stream.__aenter__())


def leave(client: HandClient, stream: Any) -> None:
    client.run(stream.__aexit__(None, None, None))


def rows(client: HandClient, source: Any) -> list[Any]:
    """Everything that a stream, or the client, has for its consumer now."""
    found: list[Any] = []

    async def iterate() -> None:
        async for row in source:
            found.append(row)  # noqa: PERF401  # a comprehension would lose them

    task = client.start(iterate())
    if task.go_on():
        task.result()
    else:
        task.cancel()
    return found


def names(found: Iterable[Any]) -> list[tuple[str, str]]:
    return [(row.type_code, row.item) for row in found if isinstance(row, Record)]


# Who gets which row.


def test_a_stream_gets_the_rows_of_its_items_and_the_client_does_not() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A, "000660_AL"))
    client.send(trade(A), trade("000660_AL"), book(A))
    assert names(rows(client, trades)) == [("0B", A), ("0B", "000660_AL")]
    assert names(rows(client, client)) == [("0D", A)]  # nobody is known to want it


def test_each_venue_is_an_item_of_its_own() -> None:
    client = HandClient()
    krx = entered(client, client.stream(Trade, A))
    both = entered(client, client.stream(Trade, f"{A}_NX", f"{A}_AL"))
    client.send(trade(A), trade(f"{A}_NX"), trade(f"{A}_AL"))
    assert names(rows(client, krx)) == [("0B", A)]
    assert names(rows(client, both)) == [("0B", f"{A}_NX"), ("0B", f"{A}_AL")]


def test_streams_over_the_same_item_share_one_registration_and_get_every_row_each() -> None:
    client = HandClient()
    first, second = (entered(client, client.stream(Trade, A)) for _ in range(2))
    client.send(trade(A))
    assert len(rows(client, first)) == len(rows(client, second)) == 1
    assert [each.consumers for each in client.subscriptions] == [2]
    leave(client, first)
    client.send(trade(A))
    assert len(rows(client, second)) == 1
    leave(client, second)
    client.settle()
    assert client.subscriptions == ()


@pytest.mark.parametrize("subscribed_first", [True, False])
def test_what_the_client_subscribed_to_itself_it_gets_too(subscribed_first: bool) -> None:
    client = HandClient()
    if subscribed_first:
        client.run(client.subscribe(Trade, A))
    trades = entered(client, client.stream(Trade, A))
    if not subscribed_first:
        client.run(client.subscribe(Trade, A))
    client.send(trade(A))
    assert len(rows(client, trades)) == len(rows(client, client)) == 1
    client.run(client.unsubscribe(Trade, A))
    client.send(trade(A))
    assert len(rows(client, trades)) == 1
    assert rows(client, client) == []


def test_rows_of_the_account_come_whatever_item_they_name() -> None:
    client = HandClient()
    orders = entered(client, client.stream(OrderExecution))
    client.send(Row({"9203": "1"}, "00", "주문체결", A), Row({"9203": "2"}, "00", "주문체결", ""))
    assert [row.item for row in rows(client, orders)] == [A, ""]


def test_rows_of_the_market_come_whatever_item_they_name() -> None:
    client = HandClient()
    phases = entered(client, client.stream(MarketPhase))
    client.send(Row({"215": "3"}, "0s", "장시작시간", ""), Row({"215": "3"}, "0s", "장시작시간", "x"))
    assert len(rows(client, phases)) == 2


def test_items_whose_rows_have_another_name() -> None:
    client = HandClient()
    gold = entered(client, client.stream(InternationalGoldPrice, "MGD"))
    client.send(Row({"10": "1"}, "0I", "국제금환산가격", "MGU"))
    assert [row.item for row in rows(client, gold)] == ["MGU"]
    us = HandClient(endpoint=US_PRODUCTION)
    nvidia = entered(us, us.stream(UsTrade, Symbol.parse("NVDA:ND")))
    us.send(Row({"10": "1"}, "FE", "해외주식체결", "NVDA", "ND"))
    assert [str(row.symbol) for row in rows(us, nvidia)] == ["NVDA:ND"]


def test_a_row_that_names_no_item_is_for_the_client() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    client.send(trade(""))
    assert rows(client, trades) == []
    assert names(rows(client, client)) == [("0B", "")]


def test_a_row_before_the_acknowledgement_is_not_lost() -> None:
    client = HandClient()
    client.answers = False
    trades = client.stream(Trade, A)
    entering = client.start(trades.__aenter__())
    client.settle()
    client.send(trade(A))
    assert not entering.go_on()
    client.answer()
    assert entering.go_on()
    assert len(rows(client, trades)) == 1


def test_a_row_after_leaving_is_for_nobody() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    client.answers = False
    leave(client, trades)
    client.send(trade(A))
    assert rows(client, client) == []
    client.answer()
    assert client.subscriptions == ()
    client.send(trade(A))  # the server had removed it, so somebody else must have asked for it
    assert len(rows(client, client)) == 1


def test_an_unknown_type_needs_a_class_as_for_subscribe() -> None:
    client = HandClient()
    with pytest.raises(LocalProtocolError, match=r"types=\[MyRecord\]"):
        entered(client, client.stream("9Z", A))


# Ends.


def test_a_stream_ends_with_the_client() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    client.send(trade(A))
    closing = client.start(client.aclose())
    client.settle()
    assert closing.go_on()
    assert len(rows(client, trades)) == 1
    assert client.run(_ends(trades)) is StopAsyncIteration


async def _ends(source: Any) -> type[BaseException]:
    try:
        await anext(source)
    except BaseException as error:
        return type(error)
    raise AssertionError("it goes on")


def test_a_stream_raises_the_loss_as_the_client_does() -> None:
    client = HandClient(ClientConfig(request_interval=0, reconnect=False))
    trades = entered(client, client.stream(Trade, A))
    client.send(trade(A))
    client.cut()
    found: list[Any] = []

    async def iterate() -> None:
        async for row in trades:
            found.append(row)  # noqa: PERF401

    with pytest.raises(ConnectionLost):
        client.run(iterate())
    assert len(found) == 1


def test_raise_ends_one_stream_alone() -> None:
    client = HandClient()
    slow = entered(client, client.stream(Trade, A, buffer_size=3, overflow="raise"))
    other = entered(client, client.stream(Trade, A))
    for number in range(5):
        client.send(trade(A, number))
    found: list[Any] = []

    async def iterate() -> None:
        async for row in slow:
            found.append(row)  # noqa: PERF401

    with pytest.raises(BufferOverflow, match=r"stream of 0B 005930.*buffer_size"):
        client.run(iterate())
    assert [row.price for row in found] == [0, 1, 2]
    assert [row.price for row in rows(client, other)] == [0, 1, 2, 3, 4]
    assert client.disconnected is None


def test_drop_oldest_counts_what_it_drops() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A, buffer_size=3, overflow="drop_oldest"))
    for number in range(5):
        client.send(trade(A, number))
    assert [row.price for row in rows(client, trades)] == [2, 3, 4]
    assert trades.stats().dropped == 2


def test_conflate_keeps_the_newest_of_each_item_with_room_for_any_number_of_items() -> None:
    client = HandClient()
    items = [f"{number:06}" for number in range(1, 51)]
    trades = entered(client, client.stream(Trade, *items, overflow="conflate"))
    for number in range(20):
        client.send(*(trade(item, number) for item in items))
    found = rows(client, trades)
    assert len(found) <= 4 * len(items)
    assert {row.item: row.price for row in found} == dict.fromkeys(items, 19)
    assert trades.stats().conflated + len(found) == 20 * len(items)


def test_a_stream_whose_registration_another_call_replaced_says_so_after_its_rows() -> None:
    client = HandClient()
    trades, others = (entered(client, client.stream(Trade, item)) for item in (A, B))
    client.send(trade(A))
    client.run(client.subscribe(OrderBook, B, replace=True))
    for stream, count in ((trades, 1), (others, 0)):
        assert stream.stats().waiting == count
        with pytest.raises(RequestRefused, match="replace=True"):
            client.run(_all(stream))
    client.run(client.subscribe(Trade, A))
    client.send(trade(A))
    assert ("0B", A) in names(rows(client, client))


async def _all(source: Any) -> None:
    async for _ in source:
        pass


def test_a_stream_whose_registration_is_refused_after_a_reconnect_says_so() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    client.refuses = lambda request: request.kind is RequestKind.REGISTER
    client.cut()
    client.advance(3)
    with pytest.raises(RequestRefused):
        client.run(_all(trades))


def test_a_refusal_is_raised_on_entering_and_nothing_remains() -> None:
    client = HandClient()
    client.refuses = lambda request: True
    with pytest.raises(RequestRefused):
        entered(client, client.stream(Trade, A))
    assert client.subscriptions == ()
    assert not client._inbox.router.is_active


def test_entering_that_is_cancelled_takes_everything_back() -> None:
    client = HandClient()
    client.answers = False
    entering = client.start(client.stream(Trade, A).__aenter__())
    client.settle()
    entering.cancel()
    client.answer()
    client.answers = True
    client.answer()
    client.settle()
    assert client.subscriptions == ()
    assert not client._inbox.router.is_active


def test_a_stream_may_be_entered_while_there_is_no_connection() -> None:
    client = HandClient()
    client.cut()
    trades = client.stream(Trade, A, gaps="items")
    entering = client.start(trades.__aenter__())
    assert not entering.go_on()
    client.advance(3)
    assert entering.go_on()
    client.send(trade(A))
    assert names(rows(client, trades)) == [("0B", A)]  # no gap: it was not promised anything before
    assert trades.gaps == 0


# Gaps.


def test_gaps_are_items_between_the_rows() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A, gaps="items"))
    client.send(trade(A, 1))
    client.cut()
    client.advance(3)
    client.send(trade(A, 2))
    found = rows(client, trades)
    assert [type(row) for row in found] == [Trade, Gap, Trade]
    assert trades.gaps == 1
    assert sum(isinstance(event, Gap) for event in rows(client, client)) == 1


def test_gaps_are_counted_or_passed_to_a_function() -> None:
    client = HandClient()
    seen: list[StreamGap] = []
    ignoring = entered(client, client.stream(Trade, A))
    calling = entered(client, client.stream(Trade, B, gaps=seen.append))
    client.cut()
    client.advance(3)
    assert rows(client, ignoring) == rows(client, calling) == []
    assert (ignoring.gaps, calling.gaps, len(seen)) == (1, 1, 1)


def test_a_gap_of_items_that_moved_concerns_the_streams_of_these_items() -> None:
    client = HandClient()
    trades, others = (entered(client, client.stream(Trade, item)) for item in (A, B))
    for stream in (trades, others):
        stream.handle_gap(Gap(1, 2, 3, (A,)))
    assert (trades.gaps, others.gaps) == (1, 0)


def test_what_a_pool_says_concerns_the_streams_of_these_items_and_of_the_account() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    orders = entered(client, client.stream(OrderExecution))
    unplaced, lost = Unplaced((A,), "token 1: taken over"), MemberLost(Closed(1006, "", None))
    for stream in (trades, orders):
        stream.handle_gap(unplaced)
        stream.handle_gap(lost)
    assert (trades.gaps, orders.gaps) == (1, 1)


def test_a_callback_is_told_of_gaps_by_a_function_or_counts_them() -> None:
    client = HandClient()
    seen: list[StreamGap] = []
    asked = client.on(Trade, print, A, gaps=seen.append)
    counting = client.on(Trade, print, B)
    every = client.on(Trade, print)
    closed = client.on(Trade, print, A, gaps=seen.append)
    client.settle()
    client.cut()
    client.advance(3)
    assert [type(gap) for gap in seen] == [Gap, Gap]
    closed.close()
    client.cut()
    client.advance(3)
    assert len(seen) == 3
    assert (asked.gaps, counting.gaps, every.gaps, closed.gaps) == (2, 2, 2, 1)


def test_a_stream_of_conditions_says_what_to_write() -> None:
    client = HandClient()
    with pytest.raises(LocalProtocolError, match=r"rows come from client.condition\(name\)"):
        client.run(client.stream("02").__aenter__())


def test_a_transient_stream_goes_on_until_its_last_item_is_evicted() -> None:
    client = HandClient(ClientConfig(request_interval=0, item_limit=3))
    shown = entered(client, client.stream(Trade, A, B, transient=True, gaps="items"))
    handle = client.on(OrderBook, print, B, transient=True)
    client.run(client.subscribe(Trade, "000001", "000002"))
    client.send(trade(B))
    found = rows(client, shown)
    assert [(type(event), getattr(event, "items", None)) for event in found[:1]] == [(Evicted, (A,))]
    assert names(found) == [("0B", B)]
    assert (shown.gaps, handle.error) == (1, None)

    client.run(client.subscribe(Trade, "000003"))
    with pytest.raises(RequestRefused, match="evicted"):
        rows(client, shown)
    assert "evicted" in str(handle.error)
    assert {each.item for each in client.subscriptions} == {"000001", "000002", "000003"}


@pytest.mark.parametrize("how", ["replaced", "unsubscribed"])
def test_a_transient_stream_is_told_which_items_another_call_gave_up(how: str) -> None:
    client = HandClient()
    heard: list[StreamGap] = []
    shown = entered(client, client.stream(Trade, A, B, transient=True, gaps="items"))
    handle = client.on(Trade, print, A, B, transient=True, gaps=heard.append)
    pinned = entered(client, client.stream(Trade, "000001", group="2", gaps="items"))
    client.settle()
    if how == "replaced":
        client.run(client.subscribe(Trade, B, replace=True))
    else:
        for _ in range(2):
            client.run(client.unsubscribe(Trade, A))
    client.send(trade(B))
    found = rows(client, shown)
    assert found[:1] == heard == [Evicted((A,))]
    assert names(found) == [("0B", B)]
    assert (shown.gaps, handle.gaps, handle.error, pinned.gaps) == (1, 1, None, 0)

    client.run(client.subscribe(OrderBook, B, replace=True))
    with pytest.raises(RequestRefused, match="given up by another call"):
        rows(client, shown)
    assert (heard[1:], shown.gaps) == ([Evicted((B,))], 2)
    assert "given up by another call" in str(handle.error)


def test_a_stream_is_told_once_of_an_item_that_another_stream_evicts() -> None:
    client = HandClient(ClientConfig(request_interval=0, item_limit=2))
    shown = entered(client, client.stream(Trade, A, B, transient=True, gaps="items"))
    entered(client, client.stream(Trade, "000001"))
    (evicted,) = rows(client, shown)
    assert evicted == Evicted((A,))
    assert evicted.sequence > 0
    assert shown.gaps == 1


def test_a_gaps_function_that_raises_is_reported() -> None:
    client = HandClient()

    def fail(gap: StreamGap) -> None:
        raise ValueError("mine")

    entered(client, client.stream(Trade, A, gaps=fail))
    client.cut()
    client.advance(3)
    ((message, error),) = client.reported
    assert "gaps function of stream of 0B 005930" in message
    assert str(error) == "mine"


# Silence.


ROUND_THE_CLOCK = ClientConfig(request_interval=0, hours=None)


def test_silence_is_told_to_the_streams_and_callbacks_that_asked_for_it() -> None:
    client = HandClient(ROUND_THE_CLOCK)
    called: list[StreamGap] = []
    heard: list[StreamGap] = []
    trades = entered(client, client.stream(Trade, A, B, fresh_within=5, gaps="items"))
    calling = entered(client, client.stream(Trade, A, fresh_within=60, gaps=called.append))  # the shortest time counts
    ignoring = entered(client, client.stream(Trade, A, fresh_within=5))
    handle = client.on(Trade, print, A, fresh_within=5, gaps=heard.append)
    not_asked = entered(client, client.stream(Trade, A, gaps="items"))
    books = entered(client, client.stream(OrderBook, A, fresh_within=60, gaps="items"))
    others = entered(client, client.stream(Trade, "000001", fresh_within=60, gaps="items"))
    client.advance(4)
    client.send(trade(B))
    client.advance(3)
    silence = Stale("0B", A, 5)
    assert [type(event) for event in rows(client, trades)] == [Trade, Stale]
    assert called == heard == [silence]
    assert [each.silences for each in (trades, calling, ignoring, handle)] == [1] * 4
    assert [each.silences for each in (not_asked, books, others)] == [0] * 3
    assert trades.gaps == handle.gaps == 0
    assert [rows(client, each) for each in (ignoring, not_asked, books, others)] == [[]] * 4
    assert silence in rows(client, client)


def test_silence_is_told_by_the_name_of_the_registered_item() -> None:
    client = HandClient(ROUND_THE_CLOCK, US_PRODUCTION)
    trades = entered(client, client.stream(UsTrade, "NVDA:ND", fresh_within=5, gaps="items"))
    client.advance(6)
    assert rows(client, trades) == [Stale("FE", "NVDA:ND", 5)]


def test_silence_of_a_type_without_items_is_told() -> None:
    client = HandClient(ROUND_THE_CLOCK)
    orders = entered(client, client.stream(OrderExecution, fresh_within=5, gaps="items"))
    client.advance(6)
    assert rows(client, orders) == [Stale("00", "", 5)]


def test_a_newest_row_is_told_to_be_old_by_its_subscription() -> None:
    client = HandClient(ROUND_THE_CLOCK)
    trades = entered(client, client.stream(Trade, A, fresh_within=5))

    def is_stale() -> bool:
        (subscription,) = client.subscriptions
        assert (">stale<" in client._repr_html_()) == subscription.is_stale
        return subscription.is_stale

    client.advance(4)
    assert not is_stale()
    client.advance(2)
    assert is_stale()
    client.send(trade(A))
    assert not is_stale()
    client.advance(6)
    assert is_stale()
    client.cut()
    assert not is_stale()  # the server is asked anew, and `disconnected` says why there are no rows
    assert trades.silences == 2


# Mistakes.


def test_a_stream_that_is_not_entered_says_how_to() -> None:
    client = HandClient()
    trades = client.stream(Trade, A)
    for use in (_all, anext):
        with pytest.raises(LocalProtocolError, match=r"is not entered: write `async with client\.stream"):
            client.run(_of(use, trades))
    assert client.subscriptions == ()


async def _of(use: Callable[[Any], Any], source: Any) -> None:
    await use(source)


def test_a_stream_after_its_block_says_so() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    leave(client, trades)
    for use in (_all, anext):
        with pytest.raises(LocalProtocolError, match=r"was left with its block.*another with client\.stream"):
            client.run(_of(use, trades))


def test_a_stream_is_entered_once() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    with pytest.raises(LocalProtocolError, match=r"entered once; open another, with client\.stream"):
        entered(client, trades)
    client.send(trade(A))
    assert len(rows(client, trades)) == 1  # which goes on
    leave(client, trades)
    with pytest.raises(LocalProtocolError, match="entered once"):
        entered(client, trades)


def test_leaving_ends_an_iteration_that_waits_in_another_task() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    waiting = client.start(_all(trades))
    next_row = client.start(_ends(trades))
    leave(client, trades)
    assert waiting.go_on()
    waiting.result()
    assert next_row.go_on()
    assert next_row.result() is StopAsyncIteration


def test_two_tasks_that_iterate_share_the_rows() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    found: list[list[Any]] = [[], []]

    async def iterate(into: list[Any]) -> None:
        async for row in trades:
            into.append(row)  # noqa: PERF401

    tasks = [client.start(iterate(into)) for into in found]
    for number in range(10):
        client.send(trade(A, number))
        for task in tasks:
            task.go_on()
    assert sorted(row.price for into in found for row in into) == list(range(10))
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize(
    "options, told",
    [
        ({"overflow": "never"}, "overflow: must be one of raise, drop_oldest, conflate, not 'never'"),
        ({"buffer_size": 0}, "buffer_size: must be a whole number above 0, not 0"),
        ({"gaps": "yes"}, 'gaps: must be "items", "ignore" or a function'),
    ],
)
def test_an_option_that_cannot_be_right_is_refused_at_once(options: Any, told: str) -> None:
    client = HandClient()
    with pytest.raises(LocalProtocolError, match=told):
        client.stream(Trade, A, **options)


# The client's own iteration.


def test_notices_do_not_overflow_a_client_that_nobody_iterates() -> None:
    client = HandClient(ClientConfig(request_interval=0, buffer_size=10))
    trades = entered(client, client.stream(Trade, A))
    assert client.server is not None
    for _ in range(100):
        client.server.send_system("R99999", "hello")
        client.settle()
    client.send(trade(A))
    assert len(rows(client, trades)) == 1
    assert client.stats().dropped > 80
    assert 0 < len(rows(client, client)) <= 10


def test_rows_that_a_callback_gets_too_do_not_overflow_a_client_that_nobody_iterates() -> None:
    client = HandClient(ClientConfig(request_interval=0, buffer_size=10))
    seen: list[Trade] = []
    client.run(client.subscribe(Trade, A))
    client.on(Trade, seen.append)
    for number in range(100):
        client.send(trade(A, number))
    assert len(seen) == 100
    assert [row.price for row in rows(client, client)][-1] == 99


def test_rows_that_nobody_else_gets_overflow_it_and_the_error_says_what_to_do() -> None:
    client = HandClient(ClientConfig(request_interval=0, buffer_size=10))
    entered(client, client.stream(OrderBook, A))
    client.run(client.subscribe(Trade, A))
    for number in range(11):
        client.send(trade(A, number))
    client.advance(6)
    with pytest.raises(BufferOverflow, match="Nobody has iterated the client"):
        client.run(_all(client))


def test_without_streams_nothing_is_routed() -> None:
    client = HandClient()
    trades = entered(client, client.stream(Trade, A))
    assert client._inbox.router.is_active
    leave(client, trades)
    client.settle()
    assert not client._inbox.router.is_active


# Newest rows.


def test_latest_is_the_newest_row_of_what_is_subscribed() -> None:
    client = HandClient()
    client.run(client.subscribe(Trade, A))
    assert client.latest(Trade, A) is None
    client.send(trade(A, 1), trade(A, 2), trade(B, 3))
    newest = client.latest(Trade, Symbol(A))
    assert newest is not None
    assert newest.price == 2
    assert client.latest("0B", A) is newest
    assert len(rows(client, client)) == 3  # it takes nothing away


def test_latest_of_what_is_not_subscribed_says_so() -> None:
    client = HandClient()
    with pytest.raises(LocalProtocolError, match=r"nothing is subscribed to 0B 005930; enter client\.stream"):
        client.latest(Trade, A)
    books = entered(client, client.stream(OrderBook, A))
    assert client.latest(OrderBook, A) is None
    client.send(book(A))
    assert client.latest(OrderBook, A) is not None
    leave(client, books)
    client.settle()
    with pytest.raises(LocalProtocolError, match="nothing is subscribed"):
        client.latest(OrderBook, A)
    assert not client._inbox.router.is_active


def test_latest_outlives_a_loss_but_not_the_session() -> None:
    client = HandClient()
    client.run(client.subscribe(Trade, A))
    client.latest(Trade, A)
    client.send(trade(A, 1))
    client.cut()
    assert client.latest(Trade, A) is not None
    client.advance(3)
    closing = client.start(client.aclose())
    client.settle()
    assert closing.go_on()
    with pytest.raises(ConnectionLost):
        client.latest(Trade, A)


def test_latest_of_the_account_is_of_one_item_or_of_any() -> None:
    client = HandClient()
    client.run(client.subscribe(OrderExecution))
    assert client.latest(OrderExecution, A) is client.latest(OrderExecution) is None
    for item in (A, B):
        client.send(Row({"9203": item}, "00", "주문체결", item))
    own, newest = client.latest(OrderExecution, A), client.latest(OrderExecution)
    assert own is not None
    assert newest is not None
    assert (own.item, newest.item) == (A, B)


# Callbacks.


def test_a_callback_is_called_in_the_turn_of_the_bytes_and_in_order() -> None:
    client = HandClient()
    seen: list[tuple[str, str]] = []
    client.on(Trade, lambda row: seen.append(("first", row.item)), A, B)
    client.on(OrderBook, lambda row: seen.append(("book", row.item)), A)
    client.on(Trade, lambda row: seen.append(("second", row.item)), A)
    client.settle()
    client.send(trade(A), book(A), trade(B))
    assert seen == [("first", A), ("second", A), ("book", A), ("first", B)]
    assert rows(client, client) == []


def test_a_callback_without_items_gets_every_row_of_its_type_and_subscribes_to_nothing() -> None:
    client = HandClient()
    seen: list[Trade] = []
    handle = client.on(Trade, seen.append)
    assert client.subscriptions == ()
    client.run(client.subscribe(Trade, A))
    entered(client, client.stream(Trade, B))
    client.send(trade(A), trade(B))
    assert [row.item for row in seen] == [A, B]
    assert [row.item for row in rows(client, client)] == [A]
    handle.close()
    handle.close()
    client.send(trade(A))
    assert len(seen) == 2


def test_a_callback_of_the_account_subscribes() -> None:
    client = HandClient()
    seen: list[OrderExecution] = []
    client.on(OrderExecution, seen.append)
    client.settle()
    client.send(Row({"9203": "1"}, "00", "주문체결", A))
    assert len(seen) == 1


def test_a_callback_that_raises_is_reported_once_and_counted_and_the_others_go_on() -> None:
    client = HandClient()
    seen: list[Trade] = []

    def fail(row: Trade) -> None:
        raise ValueError(f"number {row.price}")

    handle = client.on(Trade, fail, A)
    client.on(Trade, seen.append, A)
    trades = entered(client, client.stream(Trade, A))
    client.send(trade(A, 1), trade(A, 2))
    client.send(trade(A, 3))
    assert [row.price for row in seen] == [row.price for row in rows(client, trades)] == [1, 2, 3]
    assert (handle.errors, str(handle.error)) == (3, "number 1")
    ((message, error),) = client.reported
    assert "callback of 0B" in message
    assert error is handle.error


def test_an_interrupt_in_a_callback_comes_out_and_the_other_rows_are_not_lost() -> None:
    client = HandClient()
    seen: list[int | None] = []

    def interrupted(row: Trade) -> None:
        seen.append(row.price)
        if row.price == 1:
            raise KeyboardInterrupt

    client.on(Trade, interrupted, A)
    client.settle()
    with pytest.raises(KeyboardInterrupt):
        client.send(trade(A, 1), trade(A, 2))
    client.send(trade(A, 3))
    assert seen == [1, 2, 3]


def test_a_callback_may_close_itself_and_open_another() -> None:
    client = HandClient()
    seen: list[str] = []

    def first(row: Trade) -> None:
        seen.append("first")
        handle.close()
        client.on(Trade, lambda row: seen.append("second"), A)

    handle = client.on(Trade, first, A)
    client.settle()
    client.send(trade(A, 1), trade(A, 2))
    client.send(trade(A, 3))
    assert seen == ["first", "second"]
    assert [each.consumers for each in client.subscriptions] == [1]


def test_a_callback_whose_subscription_is_refused_is_reported_and_closed() -> None:
    client = HandClient()
    client.refuses = lambda request: True
    handle = client.on(Trade, print, A)
    client.settle()
    assert isinstance(handle.error, RequestRefused)
    assert [error for _, error in client.reported] == [handle.error]
    assert client.subscriptions == ()
    assert not any(isinstance(event, RequestAccepted | RequestRefusal) for event in rows(client, client))


def test_a_callback_that_cannot_be_one_is_refused() -> None:
    client = HandClient()

    async def later(row: Trade) -> None:
        raise AssertionError("never")

    not_callable: Any = A
    with pytest.raises(LocalProtocolError, match="would never run"):
        client.on(Trade, later, A)
    with pytest.raises(LocalProtocolError, match="callback: must be a function, not str"):
        client.on(Trade, not_callable, A)
    with pytest.raises(LocalProtocolError, match="did you mean '005930'"):
        client.on(Trade, print, "A005930")
    assert client.subscriptions == ()
    assert not client._inbox.router.is_active


# Conditions.


def open_condition(client: HandClient, name: str = "골든크로스") -> ConditionStream:
    return client.run(client.condition(name).__aenter__())


@pytest.mark.parametrize("name", ["골든크로스", " 골든크로스 ", "2"])
def test_a_condition_by_name_or_number(name: str) -> None:
    client = HandClient()
    client.found = [A]
    hits = open_condition(client, name)
    assert (hits.condition.seq, hits.condition.name) == ("2", "골든크로스")
    assert [str(symbol) for symbol in hits.symbols] == [A]
    client.send(hit(B), hit(A, "D"), hit("000001", seq="7"))
    found = rows(client, hits)
    assert [(str(change.symbol), change.entered) for change in found] == [(B, True), (A, False)]
    assert [str(symbol) for symbol in hits.symbols] == [B]
    assert [row.item for row in rows(client, client)] == ["000001"]
    leave(client, hits)
    client.settle()
    assert client.subscriptions == ()


def test_what_changed_while_there_was_no_connection_is_iterated_too() -> None:
    client = HandClient()
    client.found = [A]
    hits = open_condition(client)
    client.send(hit("000001"))
    client.cut()
    client.found = [B, "000001"]
    client.advance(3)
    changes = rows(client, hits)
    assert [(str(change.symbol), change.entered, change.hit is None) for change in changes] == [
        ("000001", True, False),
        (A, False, True),
        (B, True, True),
    ]
    assert {str(symbol) for symbol in hits.symbols} == {B, "000001"}


def test_a_condition_that_is_not_saved_is_refused_with_those_that_are() -> None:
    client = HandClient()
    with pytest.raises(LocalProtocolError, match="no condition has the number or name 'x'; there are: 2 골든크로스"):
        open_condition(client, "x")
    client.conditions = {}
    with pytest.raises(LocalProtocolError, match="none are saved"):
        open_condition(client, "x")
    client.conditions = {"1": "x", "2": "x"}
    with pytest.raises(LocalProtocolError, match="is the only one with the name"):
        open_condition(client, "x")
    with pytest.raises(LocalProtocolError, match="must be the name or number"):
        client.condition("")


def test_a_condition_that_two_streams_follow_is_cleared_with_the_last() -> None:
    client = HandClient()
    client.found = [A]
    first, second = open_condition(client), open_condition(client)
    leave(client, first)
    client.send(hit(B))
    assert [change.entered for change in rows(client, second)] == [True]
    leave(client, second)
    client.settle()
    client.send(hit(B))
    assert rows(client, client) == []

"""Feed: what a connection's events come to, for calls that wait and for a consumer that may be slow."""

from __future__ import annotations

from typing import Any

import pytest
from tests.proto.sim import UNPACED, Sim

from kiwoom_proto import (
    PRODUCTION,
    AfterHoursQuote,
    BufferOverflow,
    ClientConfig,
    ClientConnection,
    Closed,
    ClosedByPeer,
    ConnectionLost,
    ConnectionState,
    LoginRefused,
    Record,
    RequestAccepted,
    RequestRefused,
    RequestRejected,
    SystemNotice,
    TransportError,
    UnknownMessage,
)
from kiwoom_proto.config import Overflow
from kiwoom_proto.feed import UNSENT_LIMIT, Feed
from kiwoom_proto.testing import ManualClock

ITEM = "005930"


class Link:
    """A feed, driven against the simulated exchange as an adapter drives it.

    Attributes:
        feed: the feed.
        peer: the exchange's end of the connection.
        writes: whether what the feed has to send is written.
    """

    def __init__(self, config: ClientConfig = UNPACED, token: str = "key", **exchange: Any) -> None:
        sim = Sim(**exchange)
        self.exchange = sim.exchange
        self.client = ClientConnection(PRODUCTION, config, clock=sim.clock)
        self.client.connect(token)
        self.feed = Feed(self.client)
        self.writes = True
        self.next_timeout = self.client.next_timeout
        self.advance = sim.advance
        self.until = sim.until
        self.peer = sim.add(self)

    @property
    def is_over(self) -> bool:
        return self.client.state is ConnectionState.CLOSED

    def receive_data(self, data: bytes) -> None:
        self.client.receive_data(data)
        self.feed.collect()

    def receive_eof(self) -> None:
        self.client.receive_eof()
        self.feed.collect()

    def handle_timeout(self) -> None:
        self.client.handle_timeout()
        self.feed.collect()

    def data_to_send(self) -> bytes:
        self.feed.collect()
        data = bytes(self.feed.outgoing) if self.writes else b""
        del self.feed.outgoing[: len(data)]
        return data

    def login(self) -> Link:
        self.advance(0.05)
        assert self.feed.check_login()
        return self

    def take_all(self) -> list[object]:
        self.advance(1.0)
        return list(self.feed.take())


def test_the_login_is_news_for_the_call_that_waits_and_not_for_the_consumer() -> None:
    link = Link()
    assert not link.feed.check_login()
    link.advance(0.01)
    assert not link.feed.check_login()
    link.login()
    assert link.feed.logged_in
    assert link.feed.state is ConnectionState.READY
    assert link.feed.take() == []


def test_a_refused_login_is_raised_as_itself() -> None:
    link = Link(token="unknown", tokens={})
    link.advance(0.05)
    with pytest.raises(LoginRefused) as caught:
        link.feed.check_login()
    assert (caught.value.code, caught.value.reason) == ("805004", "8005")


def test_a_connection_lost_before_the_login_is_raised_as_lost() -> None:
    link = Link()
    link.exchange.drop()
    link.advance(0.05)
    with pytest.raises(ConnectionLost):
        link.feed.check_login()


def test_a_login_that_was_done_is_done_although_the_connection_was_lost_right_after() -> None:
    """The call returns, and what came in between is there for the consumer, before it is told of the loss."""
    link = Link()
    link.advance(0.05)
    link.exchange.garbage()
    link.exchange.drop()
    link.advance(0.05)
    assert link.feed.check_login()
    assert [type(event) for event in link.feed.take()] == [UnknownMessage, Closed]
    assert isinstance(link.feed.end(), ConnectionLost)


def test_a_reply_goes_to_the_call_that_waits_for_it() -> None:
    link = Link().login()
    request = link.client.subscribe(AfterHoursQuote, ITEM)
    link.feed.expect(request)
    assert not link.feed.reply(request)
    link.advance(0.02)
    assert link.feed.reply(request)
    link.feed.forget(request)
    assert not [event for event in link.feed.take() if not isinstance(event, Record)]


def test_each_reply_goes_to_its_own_call() -> None:
    link = Link().login()
    requests = [link.client.subscribe(AfterHoursQuote, f"{number:06}") for number in range(3)]
    for request in requests:
        link.feed.expect(request)
    answered = [0]
    for _ in range(10):
        link.advance(0.01)
        answered.append([link.feed.reply(request) for request in requests].count(True))
        assert [link.feed.reply(request) for request in requests] == sorted(
            (link.feed.reply(request) for request in requests), reverse=True
        )
    assert answered[-1] == 3


def test_a_refusal_is_raised_at_the_call_that_waits_for_it() -> None:
    link = Link().login()
    request = link.client.subscribe(AfterHoursQuote, *(f"{number:06}" for number in range(201)))
    link.feed.expect(request)
    link.advance(0.1)
    with pytest.raises(RequestRefused, match="105118") as caught:
        link.feed.reply(request)
    assert caught.value.request is request
    assert caught.value.code == "105118"


@pytest.mark.parametrize("items, outcome", [(1, RequestAccepted), (201, RequestRejected)])
def test_a_reply_nobody_waits_for_goes_to_the_consumer(
    items: int, outcome: type[RequestAccepted] | type[RequestRejected]
) -> None:
    link = Link().login()
    request = link.client.subscribe(AfterHoursQuote, *(f"{number:06}" for number in range(items)))
    link.feed.expect(request)
    link.feed.forget(request)
    link.advance(0.1)
    (reply,) = [event for event in link.feed.take() if not isinstance(event, Record)]
    assert isinstance(reply, outcome)
    assert reply.request is request


def test_a_call_that_waits_is_told_of_the_end() -> None:
    link = Link().login()
    link.exchange.faults.lose_acks = 1
    request = link.client.subscribe(AfterHoursQuote, ITEM)
    link.feed.expect(request)
    link.advance(0.01)
    link.exchange.drop()
    link.advance(0.01)
    with pytest.raises(ConnectionLost) as caught:
        link.feed.reply(request)
    assert isinstance(caught.value.__cause__, ClosedByPeer)
    assert caught.value.closed is link.feed.closed


def test_a_reply_that_came_before_the_end_still_counts() -> None:
    link = Link().login()
    request = link.client.subscribe(AfterHoursQuote, ITEM)
    link.feed.expect(request)
    link.advance(0.02)
    link.exchange.drop()
    link.advance(0.02)
    assert link.feed.closed is not None
    assert link.feed.reply(request)


def test_rows_notices_and_unknown_messages_wait_for_the_consumer_in_order() -> None:
    link = Link(rate=20).login()
    link.feed.expect(link.client.subscribe(AfterHoursQuote, ITEM))
    link.advance(0.5)
    link.exchange.garbage(b"{]")
    link.advance(0.5)
    link.exchange.kick()
    events = link.take_all()
    kinds = [type(event) for event in events]
    assert kinds[-2:] == [SystemNotice, Closed]
    at = kinds.index(UnknownMessage)
    assert set(kinds[:at]) == set(kinds[at + 1 : -2]) == {AfterHoursQuote}


def test_closed_is_the_last_event_and_the_feed_remembers_it() -> None:
    link = Link().login()
    assert link.feed.closed is None
    link.feed.check_open()
    link.exchange.drop()
    (closed,) = link.take_all()
    assert closed is link.feed.closed
    with pytest.raises(ConnectionLost):
        link.feed.check_open()


def test_a_loss_is_the_end_that_the_consumer_is_told_of() -> None:
    link = Link().login()
    link.exchange.kick()
    link.advance(0.1)
    error = link.feed.end()
    assert isinstance(error, ConnectionLost)
    assert isinstance(error.__cause__, ClosedByPeer)
    assert "R10001" in str(error)
    assert "same app key" in str(error)


def test_an_end_that_was_asked_for_is_no_error() -> None:
    link = Link().login()
    link.feed.close()
    link.advance(0.1)
    assert link.feed.end() is None
    (closed,) = link.feed.take()
    assert isinstance(closed, Closed)
    assert closed.error is None


def test_bytes_to_write_wait_until_the_driver_removes_them() -> None:
    clock = ManualClock()
    client = ClientConnection(PRODUCTION, clock=clock)
    client.connect("key")
    feed = Feed(client)
    feed.collect()
    assert feed.outgoing.startswith(b"GET /api/dostk/websocket HTTP/1.1\r\n")
    before = bytes(feed.outgoing)
    feed.collect()
    assert feed.outgoing == before
    feed.outgoing.clear()
    feed.collect()
    assert not feed.outgoing


def test_a_server_that_asks_and_asks_but_does_not_read_is_given_up() -> None:
    """What waits to be written is bounded: the answers to a server's PINGs must not eat the memory."""
    link = Link().login()
    link.writes = False
    ping = b'{"trnm":"PING"}'
    link.peer.connection.send_text(ping)
    thousand = link.peer.data_to_send() * 1000
    most = 0
    while link.feed.closed is None:
        link.receive_data(thousand)
        most = max(most, len(link.feed.outgoing))
        assert most < 2 * UNSENT_LIMIT
    assert most > UNSENT_LIMIT
    assert link.feed.closed is not None
    assert isinstance(link.feed.closed.error, TransportError)
    assert "does not read" in str(link.feed.closed)


SMALL_RAISE = ClientConfig(request_interval=0, buffer_size=5)


def flood(link: Link, seconds: float = 2.0) -> None:
    link.feed.expect(link.client.subscribe(AfterHoursQuote, ITEM))
    link.advance(seconds)


def test_a_consumer_too_slow_for_raise_ends_the_connection_and_gets_what_fitted() -> None:
    link = Link(SMALL_RAISE, rate=50).login()
    flood(link)
    assert link.feed.closed is not None
    assert link.feed.state is ConnectionState.CLOSED
    rows = [event for event in link.feed.take() if isinstance(event, AfterHoursQuote)]
    assert len(rows) == 5
    assert isinstance(link.feed.end(), BufferOverflow)


def test_closed_is_the_last_event_after_an_overflow_too() -> None:
    """`Closed` is always the last event, and no policy drops it."""
    link = Link(SMALL_RAISE, rate=50).login()
    flood(link)
    assert link.feed.take()[-1] is link.feed.closed


def test_after_an_overflow_nothing_is_delivered_as_if_there_were_no_gap() -> None:
    """Before it is told, the consumer gets what came up to the overflow: not what came after it, past a hole."""
    link = Link(SMALL_RAISE, rate=50).login()
    link.feed.expect(link.client.subscribe(AfterHoursQuote, ITEM))
    link.advance(0.01)
    link.writes = False  # the closing takes its time, and rows keep coming
    link.until(lambda: link.client.state is ConnectionState.CLOSING)
    first = [event for event in link.feed.take() if isinstance(event, Record)]
    link.advance(1)
    later = [event for event in link.feed.take() if isinstance(event, Record)]
    assert (len(first), later) == (5, [])
    assert isinstance(link.feed.end(), BufferOverflow)


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_a_consumer_too_slow_for_a_lenient_policy_keeps_the_connection(policy: Overflow) -> None:
    link = Link(ClientConfig(request_interval=0, buffer_size=5, overflow=policy), rate=50).login()
    flood(link)
    assert link.feed.closed is None
    stats = link.feed.stats()
    lost = stats.dropped if policy == "drop_oldest" else stats.conflated
    assert stats.waiting <= 5 < lost
    assert stats.received == stats.waiting + lost
    newest = link.feed.take()[-1]
    assert isinstance(newest, AfterHoursQuote)


def test_stats_tell_what_became_of_the_events() -> None:
    link = Link(rate=20).login()
    flood(link)
    waiting = link.feed.stats().waiting
    assert waiting > 0
    taken = link.feed.take()
    assert len(taken) == waiting
    stats = link.feed.stats()
    assert (stats.delivered, stats.waiting, stats.dropped, stats.conflated) == (waiting, 0, 0, 0)


def test_a_large_message_that_comes_in_many_reads_counts_whole() -> None:
    """Its bytes wait with it, though only the last read completes it."""
    link = Link(ClientConfig(request_interval=0, buffer_bytes=1_000_000)).login()
    link.exchange.garbage(b"x" * 600_000)
    wire = link.peer.data_to_send()
    for _ in range(2):
        for at in range(0, len(wire), 65_536):
            link.receive_data(wire[at : at + 65_536])
    assert link.feed.stats().waiting == 1
    assert isinstance(link.feed.end(), BufferOverflow)

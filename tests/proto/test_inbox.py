"""Inbox: what a session's events come to, for calls that wait and for a consumer that may be slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from kiwoom_proto import (
    PRODUCTION,
    AfterHoursQuote,
    ClientConfig,
    Closed,
    ConnectionLost,
    Disconnected,
    Event,
    Gap,
    LinkNeeded,
    Record,
    RequestRefused,
    Session,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.client.inbox import Inbox, Stats
from kiwoom_proto.client.unsent import UNSENT_LIMIT
from kiwoom_proto.config import Overflow
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    LoginRefused,
    TakenOver,
    TokenError,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.events import (
    Batch,
    ConditionList,
    ConditionResult,
    Connecting,
    LoggedIn,
    Opened,
    RequestAccepted,
    RequestRefusal,
)
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.session.connector import Need
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import Row, encode_rows

ITEM = "005930"
LASTING = ClientConfig(request_interval=0)
ONCE = attrs.evolve(LASTING, reconnect=False)
"""For what becomes of the end of a connection: it is the end of the session, too."""


def take_all(inbox: Inbox) -> list[Event]:
    """Everything that waits, as a consumer that keeps up takes it."""
    events: list[Event] = []
    while taken := inbox.pop():
        events += taken
        taken.clear()
    return events


class Link:
    """An inbox, driven against the simulated exchange as an adapter drives it.

    Attributes:
        inbox: the inbox.
        peer: the exchange's end of the present connection.
        writes: whether what the inbox has to send is written.
    """

    def __init__(
        self, config: ClientConfig = ONCE, token: str | None = "key", recorder: Recorder | None = None, **exchange: Any
    ) -> None:
        self.clock = ManualClock()
        self.exchange = Exchange(clock=self.clock, **exchange)
        self.session = Session(PRODUCTION, config, clock=self.clock, random=lambda: 0.5)
        self.session.connect(token)
        self.inbox = Inbox(self.session, recorder)
        self.writes = True
        self.peer: ClientLink | None = None
        self._need: Need | None = None
        self.settle()

    @property
    def now(self) -> int:
        """Nanoseconds on its clock."""
        return 1 + int(self.clock.now * 1e9)

    def receive_data(self, data: bytes) -> None:
        self.session.receive_data(data, self.now)
        self.inbox.collect()

    def settle(self) -> None:
        """Do what the session needs and carry bytes until there is nothing more to do now."""
        while self._step():
            pass

    def _step(self) -> bool:
        self.inbox.collect()
        if self.session.needs is not self._need:
            self._need = self.session.needs
            if self.peer is not None:
                self.peer.receive_eof()
            self.peer = self.exchange.connect() if isinstance(self._need, LinkNeeded) else None
            return True
        peer = self.peer
        if peer is None:
            return False
        data = bytes(self.inbox.unsent[0].data) if self.writes else b""
        if data:
            del self.inbox.unsent[0].data[: len(data)]
            peer.receive_data(data)
        answer = peer.data_to_send()
        if answer:
            self.receive_data(answer)
        if data or answer:
            return True
        if peer.state is not ConnectionState.CLOSED:
            return False
        self.peer = None
        self.session.receive_eof()
        return True

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at every deadline on the way."""
        end = self.clock.now + seconds
        self.settle()
        while (due := self._due()) is not None and due <= end:
            self.clock.now = max(due, self.clock.now)
            self.session.handle_timeout()
            self.exchange.handle_timeout()
            self.settle()
        self.clock.now = end
        self.settle()

    def until(self, happened: Callable[[], object]) -> None:
        """Let time pass until something has happened."""
        while not happened():
            due = self._due()
            assert due is not None
            self.advance(max(0.0, due - self.clock.now))

    def _due(self) -> float | None:
        times = (self.session.next_timeout(), self.exchange.next_timeout())
        return min((time for time in times if time is not None), default=None)

    def drop(self) -> None:
        """Have the server cut the connection."""
        self.exchange.drop()
        self.settle()

    def login(self) -> Link:
        self.advance(0.05)
        assert self.inbox.check_login()
        return self

    def take_all(self) -> list[object]:
        self.advance(1.0)
        return list(self.inbox.pop())


def test_the_login_is_news_for_the_call_that_waits_and_not_for_the_consumer() -> None:
    link = Link()
    assert not link.inbox.check_login()
    link.advance(0.01)
    assert not link.inbox.check_login()
    link.login()
    assert link.inbox.logged_in
    assert link.inbox.state is SessionState.READY
    assert link.inbox.pop() == []


def test_a_refused_login_is_raised_as_itself() -> None:
    link = Link(token="unknown", tokens={})
    link.advance(0.05)
    with pytest.raises(LoginRefused) as caught:
        link.inbox.check_login()
    assert (caught.value.code, caught.value.reason) == ("805004", "8005")


def test_a_connection_lost_before_the_login_is_raised_as_lost() -> None:
    link = Link()
    link.drop()
    link.advance(0.05)
    with pytest.raises(ConnectionLost):
        link.inbox.check_login()


def test_a_login_that_was_done_is_done_although_the_connection_was_lost_right_after() -> None:
    """The call returns, and what came in between is there for the consumer, before it is told of the loss."""
    link = Link()
    link.advance(0.05)
    link.exchange.garbage()
    link.settle()
    link.drop()
    link.advance(0.05)
    assert link.inbox.check_login()
    assert [type(event) for event in link.inbox.pop()] == [UnknownMessage, Closed]
    assert isinstance(link.inbox.end(), ConnectionLost)


def test_a_reply_goes_to_the_call_that_waits_for_it() -> None:
    link = Link().login()
    request = link.session.subscribe(AfterHoursQuote, ITEM)
    link.inbox.expect(request)
    assert not link.inbox.reply(request)
    link.advance(0.02)
    assert link.inbox.reply(request)
    link.inbox.pop_answer(request)
    assert not [event for event in link.inbox.pop() if not isinstance(event, Record)]


def test_each_reply_goes_to_its_own_call() -> None:
    link = Link().login()
    requests = [link.session.subscribe(AfterHoursQuote, f"{number:06}") for number in range(3)]
    for request in requests:
        link.inbox.expect(request)
    answered = [0]
    for _ in range(10):
        link.advance(0.01)
        answered.append([link.inbox.reply(request) for request in requests].count(True))
        assert [link.inbox.reply(request) for request in requests] == sorted(
            (link.inbox.reply(request) for request in requests), reverse=True
        )
    assert answered[-1] == 3


TOO_MANY = attrs.evolve(ONCE, item_limit=1000, items_per_request=1000)
"""To have the server say so."""


def subscribe(link: Link, items: int) -> Any:
    return link.session.subscribe(AfterHoursQuote, *(f"{number:06}" for number in range(items)))


def test_a_refusal_is_raised_at_the_call_that_waits_for_it() -> None:
    link = Link(TOO_MANY).login()
    request = subscribe(link, 201)
    link.inbox.expect(request)
    link.advance(0.1)
    with pytest.raises(RequestRefused, match="105118") as caught:
        link.inbox.reply(request)
    assert caught.value.request is request
    assert caught.value.code == "105118"


@pytest.mark.parametrize("items, outcome", [(1, RequestAccepted), (201, RequestRefusal)])
def test_a_reply_nobody_waits_for_goes_to_the_consumer(
    items: int, outcome: type[RequestAccepted] | type[RequestRefusal]
) -> None:
    link = Link(TOO_MANY, rate=0.1).login()
    request = subscribe(link, items)
    link.advance(0.1)
    (reply,) = [event for event in link.inbox.pop() if not isinstance(event, Record)]
    assert isinstance(reply, outcome)
    assert reply.request is request


@pytest.mark.parametrize("items", [1, 201])
def test_a_call_that_waits_no_more_takes_back_what_it_asked_for(items: int) -> None:
    """Nobody is told of the reply: whoever asked has gone."""
    link = Link(TOO_MANY, rate=0.1).login()
    request = subscribe(link, items)
    link.inbox.expect(request)
    link.advance(0)
    link.inbox.withdraw(request)
    link.advance(0.1)
    assert link.inbox.pop() == []
    assert link.session.subscriptions == ()
    assert link.peer is not None
    assert not link.peer.pairs()


def test_a_call_that_was_told_takes_nothing_back() -> None:
    link = Link(rate=0.1).login()
    request = subscribe(link, 1)
    link.inbox.expect(request)
    link.advance(0.1)
    assert link.inbox.pop_answer(request) is None
    link.advance(0.1)
    assert link.peer is not None
    assert len(link.peer.pairs()) == 1


@pytest.mark.parametrize("looked", [False, True])
def test_a_call_that_was_answered_and_not_told_takes_back_what_it_asked_for(looked: bool) -> None:
    """It may have been cancelled after the answer came, but before it could return."""
    link = Link(rate=0.1).login()
    request, search = subscribe(link, 1), link.session.search_condition("0", realtime=True)
    for one in (request, search):
        link.inbox.expect(one)
    link.advance(1)
    assert link.peer is not None
    assert link.peer.pairs()
    assert link.peer.live
    for one in (request, search):
        assert not looked or link.inbox.reply(one)
        link.inbox.withdraw(one)
    link.advance(1)
    assert link.session.subscriptions == ()
    assert not link.peer.pairs()
    assert not link.peer.live
    assert not [event for event in link.inbox.pop() if not isinstance(event, Record)], "nobody is told"


def test_what_conditions_are_answered_is_kept_for_the_call() -> None:
    link = Link().login()
    listing, search = link.session.list_conditions(), link.session.search_condition("0")
    unawaited = link.session.list_conditions()
    for request in (listing, search):
        link.inbox.expect(request)
    link.advance(0.5)
    assert link.inbox.reply(listing)
    assert link.inbox.reply(search)
    assert isinstance(link.inbox.pop_answer(listing), ConditionList)
    assert isinstance(link.inbox.pop_answer(search), ConditionResult)
    (answer, reply) = link.inbox.pop()
    assert isinstance(answer, ConditionList)
    assert isinstance(reply, RequestAccepted)
    assert answer.request is reply.request is unawaited


def test_a_call_that_waits_is_told_of_the_end() -> None:
    link = Link().login()
    link.exchange.faults.lose_acks = 1
    request = link.session.subscribe(AfterHoursQuote, ITEM)
    link.inbox.expect(request)
    link.advance(0.01)
    link.drop()
    link.advance(0.01)
    with pytest.raises(ConnectionLost) as caught:
        link.inbox.reply(request)
    assert isinstance(caught.value.__cause__, ClosedByPeer)
    assert caught.value.closed is link.inbox.closed


def test_a_reply_that_came_before_the_end_still_counts() -> None:
    link = Link().login()
    request = link.session.subscribe(AfterHoursQuote, ITEM)
    link.inbox.expect(request)
    link.advance(0.02)
    link.drop()
    link.advance(0.02)
    assert link.inbox.closed is not None
    assert link.inbox.reply(request)


def test_rows_notices_and_unknown_messages_wait_for_the_consumer_in_order() -> None:
    link = Link(rate=20).login()
    link.inbox.expect(link.session.subscribe(AfterHoursQuote, ITEM))
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
    assert link.inbox.closed is None
    link.inbox.check_open()
    link.drop()
    (closed,) = link.take_all()
    assert closed is link.inbox.closed
    with pytest.raises(ConnectionLost):
        link.inbox.check_open()


class Adds(Recorder):
    """A recorder that counts how often it is given something."""

    count = 0

    def add(self, events: Batch, size: int, now: int) -> None:
        self.count += 1


def test_a_client_that_has_ended_leaves_the_recorder_alone(tmp_path: Path) -> None:
    recorder = Adds(tmp_path)
    link = Link(recorder=recorder)
    link.session.close()
    link.settle()
    assert link.inbox.closed is not None
    count = recorder.count
    assert count > 0

    link.inbox.collect()

    assert recorder.count == count, "it may serve another client by now"


def test_a_loss_is_the_end_that_the_consumer_is_told_of() -> None:
    link = Link().login()
    link.exchange.kick()
    link.advance(0.1)
    error = link.inbox.end()
    assert isinstance(error, ConnectionLost)
    assert isinstance(error.__cause__, TakenOver)
    assert "R10001" in str(error)
    assert "same app key" in str(error)


def test_an_end_that_was_asked_for_is_no_error() -> None:
    link = Link().login()
    link.inbox.close()
    link.advance(0.1)
    assert link.inbox.end() is None
    (closed,) = link.inbox.pop()
    assert isinstance(closed, Closed)
    assert closed.error is None


def test_bytes_to_write_wait_until_the_driver_removes_them() -> None:
    session = Session(PRODUCTION, clock=ManualClock(), random=lambda: 0.5)
    session.connect("key")
    inbox = Inbox(session)
    inbox.collect()
    assert inbox.unsent[0].data.startswith(b"GET /api/dostk/websocket HTTP/1.1\r\n")
    before = bytes(inbox.unsent[0].data)
    inbox.collect()
    assert inbox.unsent[0].data == before
    inbox.unsent[0].data.clear()
    inbox.collect()
    assert not inbox.unsent[0].data


def test_bytes_for_one_connection_never_go_to_the_next() -> None:
    link = Link(LASTING).login()
    link.writes = False
    link.session.subscribe(AfterHoursQuote, ITEM)
    link.settle()
    old = link.inbox.unsent[0].data
    assert old
    link.drop()
    link.until(lambda: link.session.epoch == 2)
    link.inbox.collect()
    assert link.inbox.unsent[0].data is not old, "what still writes the old ones must not take the new ones"
    assert link.inbox.unsent[0].data.startswith(b"GET ")
    assert link.inbox.unsent[0].data.count(b"\r\n\r\n") == 1
    link.writes = True
    link.advance(1)
    assert link.peer is not None
    assert link.peer.pairs() == {("0E", ITEM): None}


def test_a_server_that_asks_and_asks_but_does_not_read_is_given_up() -> None:
    """What waits to be written is bounded: the answers to a server's PINGs must not eat the memory."""
    link = Link().login()
    link.writes = False
    ping = b'{"trnm":"PING"}'
    assert link.peer is not None
    link.peer.connection.send_text(ping)
    thousand = link.peer.data_to_send() * 1000
    most = 0
    while link.inbox.closed is None:
        link.receive_data(thousand)
        most = max(most, len(link.inbox.unsent[0].data))
        assert most < 2 * UNSENT_LIMIT
    assert most > UNSENT_LIMIT
    assert link.inbox.closed is not None
    assert isinstance(link.inbox.closed.error, TransportError)
    assert "does not read" in str(link.inbox.closed)


def test_a_server_that_does_not_read_is_tried_again() -> None:
    link = Link(LASTING).login()
    link.writes = False
    assert link.peer is not None
    link.peer.connection.send_text(b'{"trnm":"PING"}')
    thousand = link.peer.data_to_send() * 1000
    while link.inbox.state is SessionState.READY:
        link.receive_data(thousand)
    link.writes = True
    link.advance(5)
    assert link.session.epoch == 2
    assert len(link.inbox.unsent[0].data) == 0
    assert [type(event) for event in link.inbox.pop()] == [Disconnected, Connecting, Opened, LoggedIn, Gap]


SMALL_RAISE = ClientConfig(request_interval=0, buffer_size=5)


def flood(link: Link, seconds: float = 2.0) -> None:
    link.inbox.expect(link.session.subscribe(AfterHoursQuote, ITEM))
    link.advance(seconds)


def test_a_consumer_too_slow_for_raise_ends_the_connection_and_gets_what_fitted() -> None:
    link = Link(SMALL_RAISE, rate=10).login()
    flood(link)
    assert link.inbox.closed is not None
    assert link.inbox.state is SessionState.CLOSED
    rows = [event for event in take_all(link.inbox) if isinstance(event, AfterHoursQuote)]
    assert len(rows) == 5
    assert isinstance(link.inbox.end(), BufferOverflow)


def test_closed_is_the_last_event_after_an_overflow_too() -> None:
    """`Closed` is always the last event, and no policy drops it."""
    link = Link(SMALL_RAISE, rate=50).login()
    flood(link)
    assert take_all(link.inbox)[-1] is link.inbox.closed


def test_after_an_overflow_nothing_is_delivered_as_if_there_were_no_gap() -> None:
    """Before it is told, the consumer gets what came up to the overflow: not what came after it, past a hole."""
    link = Link(SMALL_RAISE, rate=10).login()
    link.inbox.expect(link.session.subscribe(AfterHoursQuote, ITEM))
    link.advance(0.01)
    link.writes = False  # the closing takes its time, and rows keep coming
    link.until(lambda: link.session.state is SessionState.CLOSING)
    first = [event for event in take_all(link.inbox) if isinstance(event, Record)]
    link.advance(1)
    later = [event for event in take_all(link.inbox) if isinstance(event, Record)]
    assert (len(first), later) == (5, [])
    assert isinstance(link.inbox.end(), BufferOverflow)


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_a_consumer_too_slow_for_a_lenient_policy_keeps_the_connection(policy: Overflow) -> None:
    link = Link(ClientConfig(request_interval=0, buffer_size=5, overflow=policy), rate=50).login()
    flood(link)
    assert link.inbox.closed is None
    stats = link.inbox.stats(link.now)
    lost = stats.dropped if policy == "drop_oldest" else stats.conflated
    assert stats.waiting <= 5 < lost
    assert stats.received == stats.waiting + lost
    newest = link.inbox.pop()[-1]
    assert isinstance(newest, AfterHoursQuote)


def test_a_message_of_more_rows_than_the_buffer_takes_is_no_overflow_for_a_consumer_that_keeps_up() -> None:
    link = Link(SMALL_RAISE).login()
    link.session.subscribe(AfterHoursQuote, ITEM)
    link.settle()
    take_all(link.inbox)
    message = encode_rows([Row({"131": str(number)}, "0E", "", ITEM) for number in range(100)])
    wire = b"\x81\x7e" + len(message).to_bytes(2, "big") + message
    for _ in range(3):
        link.receive_data(wire)
        taken = link.inbox.pop()
        rows = [event for event in taken if isinstance(event, AfterHoursQuote)]
        assert [row.ask_quantity for row in rows] == list(range(100))
        taken.clear()
    assert link.inbox.closed is None


def test_the_bytes_of_what_was_taken_wait_until_the_consumer_has_it() -> None:
    link = Link(rate=20).login()
    flood(link)
    before = link.inbox.stats(link.now)
    taken = link.inbox.pop()
    held = link.inbox.stats(link.now)
    assert (held.waiting, held.waiting_bytes) == (before.waiting, before.waiting_bytes) > (0, 0)
    del taken[1:]
    assert 0 < link.inbox.stats(link.now).waiting_bytes < before.waiting_bytes
    taken.clear()
    assert link.inbox.stats(link.now).waiting_bytes == 0


@pytest.mark.parametrize("read", [0, 1, 2])
def test_the_end_is_an_event_like_others_for_the_counts(read: int) -> None:
    link = Link().login()
    link.exchange.garbage()
    link.settle()
    link.inbox.close()
    link.settle()
    assert link.inbox.stats(link.now).waiting == 2
    taken = link.inbox.pop()
    assert [type(event) for event in taken] == [UnknownMessage, Closed]
    del taken[:read]
    stats = link.inbox.stats(link.now)
    assert (stats.received, stats.delivered, stats.waiting) == (2, read, 2 - read)


def test_stats_tell_what_became_of_the_events() -> None:
    link = Link(rate=20).login()
    flood(link)
    waiting = link.inbox.stats(link.now).waiting
    assert waiting > 0
    taken = take_all(link.inbox)
    assert len(taken) == waiting
    stats = link.inbox.stats(link.now)
    assert (stats.delivered, stats.waiting, stats.dropped, stats.conflated) == (waiting, 0, 0, 0)


def test_stats_tell_what_cannot_be_understood_and_what_is_missing() -> None:
    link = Link(LASTING).login()
    first = link.inbox.stats(link.now)
    assert (first.connections, first.gaps, first.undecodable) == (1, 0, 0)
    link.exchange.garbage()
    link.exchange.garbage()
    link.settle()
    link.drop()
    link.advance(5)
    stats = link.inbox.stats(link.now)
    assert (stats.connections, stats.gaps, stats.undecodable) == (2, 1, 2)
    assert stats.bytes_received == link.session.bytes_received > first.bytes_received > 0
    assert stats.received == stats.waiting == 7  # two unknown, Disconnected ... LoggedIn, Gap
    assert stats.waiting_bytes > 0
    assert stats.lag == 0.0, "no row waits"


def test_lag_is_how_long_the_oldest_row_has_been_waiting() -> None:
    link = Link(rate=20).login()
    flood(link, 1.0)
    events = link.inbox.pop()
    rows = [event for event in events if isinstance(event, Record)]
    now = rows[0].received_at + 3_000_000_000
    events.clear()
    events += rows
    assert link.inbox.stats(now).lag == 3.0, "taken, but not given to the consumer yet"
    events.reverse()
    assert link.inbox.stats(now).lag == 3.0, "as an adapter turns it, to take the oldest from the end"
    stats = link.inbox.stats(now)
    assert (stats.waiting, stats.delivered) == (len(rows), stats.received - len(rows))
    events.clear()
    assert link.inbox.stats(now).lag == 0.0
    link.advance(1.0)
    assert 1.0 < link.inbox.stats(now).lag < 3.0
    assert link.inbox.stats(0).lag == 0.0, "a clock that went back"


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_what_was_taken_and_not_given_to_the_consumer_needs_room_too(policy: Overflow) -> None:
    link = Link(ClientConfig(request_interval=0, buffer_size=20, overflow=policy, reconnect=False), rate=50).login()
    flood(link, 5.0)
    taken = link.inbox.pop()
    assert 0 < len(taken) <= 10, "not all at once, so that there is room for what comes"
    flood(link, 5.0)
    stats = link.inbox.stats(link.now)
    assert len(taken) < stats.waiting <= 20
    assert stats.received == stats.delivered + stats.dropped + stats.conflated + stats.waiting


def test_stats_are_a_snapshot() -> None:
    link = Link(rate=20).login()
    before = link.inbox.stats(link.now)
    flood(link)
    assert isinstance(before, Stats)
    assert before.received == 0
    assert link.inbox.stats(link.now).received > 0


# Connections come and go.


def test_what_happens_before_the_first_login_is_news_for_the_call_that_waits() -> None:
    """Attempts that fail, and tokens that cannot be had yet: its error tells, if it comes to that."""
    link = Link(LASTING)
    link.drop()
    link.advance(0.5)
    link.drop()
    link.advance(3)
    assert link.inbox.check_login()
    assert link.session.epoch == 3
    assert link.inbox.pop() == []
    assert link.inbox.stats(link.now).received == 0


def test_what_happens_after_it_is_for_the_consumer() -> None:
    link = Link(LASTING).login()
    link.drop()
    link.advance(3)
    assert link.inbox.check_login()
    assert [type(event) for event in link.inbox.pop()] == [Disconnected, Connecting, Opened, LoggedIn, Gap]


def test_a_call_that_waits_while_the_connection_is_lost_is_answered_on_the_next() -> None:
    link = Link(LASTING).login()
    link.drop()
    request = link.session.subscribe(AfterHoursQuote, ITEM)
    link.inbox.expect(request)
    assert not link.inbox.reply(request)
    link.inbox.check_open()
    link.advance(3)
    assert link.inbox.reply(request)


def test_a_token_that_cannot_be_had_is_raised_as_itself() -> None:
    link = Link(LASTING, token=None)
    error = TokenRefused("3", "m", 200, "8001")
    link.session.token_failed(error)
    link.settle()
    with pytest.raises(TokenError) as caught:
        link.inbox.check_login()
    assert caught.value is error


def test_a_network_that_cannot_be_had_is_raised_as_lost() -> None:
    link = Link(attrs.evolve(LASTING, connect_timeout=0.5))
    while link.inbox.closed is None:
        link.drop()
        link.advance(0.05)
    with pytest.raises(ConnectionLost, match=r"connect_timeout.*the connection was cut") as caught:
        link.inbox.check_login()
    assert isinstance(caught.value.__cause__, DeadlineExceeded)
    assert isinstance(caught.value.__cause__.last, ClosedByPeer)


def test_close_while_waiting_for_the_next_attempt_is_no_error() -> None:
    link = Link(LASTING).login()
    link.drop()
    link.inbox.close()
    link.settle()
    assert link.inbox.end() is None
    assert [type(event) for event in link.inbox.pop()] == [Disconnected, Closed]


def test_an_overflow_while_the_connection_is_lost_ends_the_session() -> None:
    link = Link(attrs.evolve(LASTING, buffer_size=1)).login()
    link.drop()
    link.advance(10)
    assert link.inbox.state is SessionState.CLOSED
    assert isinstance(link.inbox.end(), BufferOverflow)
    assert [type(event) for event in link.inbox.pop()] == [Disconnected, Closed]


def test_a_large_message_that_comes_in_many_reads_counts_whole() -> None:
    """Its bytes wait with it, though only the last read completes it."""
    link = Link(ClientConfig(request_interval=0, buffer_bytes=1_000_000)).login()
    link.exchange.garbage(b"x" * 600_000)
    assert link.peer is not None
    wire = link.peer.data_to_send()
    for _ in range(2):
        for at in range(0, len(wire), 65_536):
            link.receive_data(wire[at : at + 65_536])
    assert link.inbox.stats(link.now).waiting == 1
    assert isinstance(link.inbox.end(), BufferOverflow)


def test_an_overflow_by_rows_alone_makes_the_driver_look_again() -> None:
    """It has a close frame to write, and its timer to set for `close_timeout`."""
    link = Link(SMALL_RAISE).login()
    link.session.subscribe(AfterHoursQuote, ITEM)
    link.settle()
    take_all(link.inbox)
    row = encode_rows([Row({"131": "5"}, "0E", "", ITEM)])
    rows = (b"\x81" + bytes([len(row)]) + row) * 20
    link.receive_data(rows)

    link.session.receive_data(rows, link.now)

    assert link.inbox.collect(), "more may have changed than that rows came"
    assert link.inbox.unsent[0].data, "the close frame"
    assert link.session.state is SessionState.CLOSING

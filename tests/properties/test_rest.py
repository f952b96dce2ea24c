"""Whatever goes wrong: every call ends in exactly one outcome, and no order is processed twice."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rest.asked import Buy, Chart, Quote
from tests.rest.network import Answer, Network, Seen, http, refusal

from kiwoom_proto import AppKey, KiwoomError
from kiwoom_proto.auth import TokenNeeded
from kiwoom_proto.config import RestConfig
from kiwoom_proto.errors import TokenError
from kiwoom_proto.rest.call import Page
from kiwoom_proto.rest.dispatcher import Dispatcher
from kiwoom_proto.rest.errors import OrderOutcomeUnknown, RestError, was_not_processed
from kiwoom_proto.rest.links import Link
from kiwoom_proto.rest.ticket import Ticket
from kiwoom_proto.testing import ManualClock

pytestmark = pytest.mark.hypothesis

GOOD = http()
FAULTS = (
    *(Answer(), Answer(after=0.3), Answer(after=4.0), Answer(then="close")),
    *(Answer(then="idle", idle=idle) for idle in (0.0, 0.01, 0.05, 1.0)),
    *(Answer(http(b'{"return_code":0}', "200 OK", "Connection: close")), Answer(GOOD + b"HTTP/1.1 200 OK\r\n")),
    *(Answer(b"", processed=done, then=then) for done in (True, False) for then in ("close", "keep")),
    *(Answer(GOOD[:40], processed=done, then=then) for done in (True, False) for then in ("close", "keep")),
    *(Answer(http(b"", f"{status} x"), processed=done) for status in (500, 503) for done in (True, False)),
    *(
        Answer(http(b"", "401 x")),
        Answer(refusal(5, "[1700:x]", "429 x"), processed=False),
        Answer(refusal(3, "[8005:x]"), processed=False),
    ),
    *(Answer(refusal(2, "[1511:x]"), processed=False), Answer(refusal(20, "(RC4058:x)"), processed=False)),
    *(Answer(http(b"<html></html>"), processed=False), Answer(b"\x00junk\r\n\r\n"), Answer(http(b"[]"))),
    *(Answer(http(b"", "302 x"), processed=False), Answer(refusal(99, "?")), Answer(refusal(1, "[1999:x]"))),
)
STEPS = ("order", "order", "query", "query", "wait", "wait", "wait", "cancel", "reset")
WAITS = (0.0, 0.005, 0.02, 0.3, 1.0, 6.0)


class MovingClock(ManualClock):
    """A clock that moves between any two readings, and at times jumps."""

    def __init__(self, draw: random.Random, jumps: float) -> None:
        super().__init__(1000.0)
        self._draw = draw
        self._jumps = jumps

    def __call__(self) -> float:
        if self._jumps and self._draw.random() < self._jumps:
            self.now += self._draw.choice((1e-6, 1e-3, 0.3, 1.0, 5.0, 20.0))
        return self.now


@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.booleans(),
    st.booleans(),
)
def test_no_order_is_processed_twice_and_every_call_has_one_outcome(
    seed: int, trouble: float, jumps: float, keys: bool, closes: bool
) -> None:
    draw = random.Random(seed)

    def answer(seen: Seen) -> Answer:
        return draw.choice(FAULTS) if draw.random() < trouble else Answer()

    def obtain(need: TokenNeeded) -> str | KiwoomError:
        return TokenError("none") if draw.random() < trouble / 3 else f"token-number-{draw.random()}"

    def dial(link: Link) -> str | None:
        return draw.choice(["refused", ""]) if draw.random() < trouble / 3 else None

    network = Network(
        answer,
        AppKey("app", "secret") if keys else None,
        RestConfig(answer_timeout=3, open_timeout=2, token_timeout=2, idle_timeout=4, max_connections=2),
        latency=lambda: draw.uniform(0, 0.04),
        piece=lambda: draw.choice([1 << 20, 50, 7]),
        obtain=obtain,
        dial=dial,
        clock=MovingClock(draw, jumps),
    )
    tickets: list[Ticket[Any]] = []
    for _ in range(draw.randrange(5, 30)):
        step = draw.choice(STEPS)
        if step == "order":
            tickets.append(network.dispatcher.submit(Buy(ord_uv=str(len(tickets)))))
        elif step == "query":
            tickets.append(network.dispatcher.submit(draw.choice((Quote, Chart))(f"Q{len(tickets)}")))
        elif step == "wait":
            network.advance(draw.choice(WAITS))
        elif step == "cancel" and tickets and draw.random() < trouble:
            network.dispatcher.cancel(draw.choice(tickets))
        elif step == "reset" and draw.random() < trouble:
            links = [link for link in network.dispatcher.needs if isinstance(link, Link)]
            if links:
                network.dispatcher.receive_eof(draw.choice(links), "reset by peer")
        network.settle()
        due_at = network.dispatcher.next_timeout()
        if jumps:
            network.clock.now += draw.choice((0.0, 1e-6, 0.3, 1.0, 5.0))
        assert network.dispatcher.next_timeout() == due_at, "what is due does not depend on when it is asked for"
        assert due_at is not None or network.dispatcher.needs or not network.dispatcher.is_busy
    if closes:
        network.dispatcher.close()
    network.advance(2000)

    assert all(asked_at < ticket.deadline for asked_at, ticket in network.sent), "an order was sent after its deadline"
    assert len(network.done) == len(set(map(id, network.done))) == len(tickets)
    assert not network.dispatcher.is_busy and not network.dispatcher.needs
    for number, ticket in enumerate(tickets):
        outcome = ticket.outcome
        assert isinstance(outcome, Page | KiwoomError)
        if not ticket.is_order:
            assert not isinstance(outcome, OrderOutcomeUnknown)
            continue
        times = sum(seen.body.get("ord_uv") == str(number) for seen in network.processed)
        assert times <= 1, f"processed {times} times: {outcome!r}"
        assert sum(seen.body.get("ord_uv") == str(number) for seen in network.seen) <= 1, "sent twice"
        if isinstance(outcome, Page):
            assert times == 1
        elif isinstance(outcome, RestError) and was_not_processed(outcome):
            assert times == 0
        elif not isinstance(outcome, OrderOutcomeUnknown):
            assert times == 0, f"nobody would look it up: {outcome!r}"


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [GOOD, GOOD[:30], GOOD[30:], refusal(5, "[1700:x]"), http(b"", "500 x"), b"HTTP/1.1 100 x\r\n\r\n"]
        ),
    ),
    max_size=6,
).map(b"".join)


@given(PIECES, st.lists(st.integers(1, 60), max_size=20), st.booleans())
def test_every_split_of_the_bytes_gives_the_same(data: bytes, sizes: list[int], order: bool) -> None:
    seen = []
    for cuts in ([], sizes, [1] * len(data)):
        clock = ManualClock(5.0)
        dispatcher = Dispatcher(Network().dispatcher.endpoint, "token", clock=clock, wall_clock=clock)
        ticket = dispatcher.submit(Buy() if order else Quote())
        (link,) = dispatcher.needs
        assert isinstance(link, Link)
        dispatcher.connection_made(link)
        assert dispatcher.data_to_send(link)
        at = 0
        for size in (*cuts, len(data)):
            dispatcher.receive_data(link, data[at : at + size])
            at += size
        dispatcher.receive_eof(link)
        dispatcher.cancel(ticket)  # a query whose connection broke would be sent again
        (done,) = dispatcher.outcomes()
        assert done is ticket
        seen.append(f"{ticket.outcome!r} {ticket.outcome}")
    assert len(set(seen)) == 1

"""Transient items of a session: they are given up when others need their room."""

from __future__ import annotations

import pytest

from kiwoom_proto import PRODUCTION, ClientConfig, LocalProtocolError, Session
from kiwoom_proto.errors import QuotaExceeded
from kiwoom_proto.events import Evicted, RequestAccepted, RequestRefusal
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

CONFIG = ClientConfig(item_limit=3, request_interval=0.25)


class Line:
    """A session with room for three items, and the simulated exchange."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.exchange = Exchange(clock=clock, item_limit=3)
        self.session = Session(PRODUCTION, CONFIG, clock=clock, random=lambda: 0.5)
        self.network = SimulatedNetwork(self.session, self.exchange, clock)

    def connect(self) -> Line:
        self.session.connect("token")
        self.network.advance(3)
        return self

    def held(self) -> set[str]:
        self.network.advance(3)
        return {item for _, item in self.exchange.links[0].pairs() if item}

    def evicted(self) -> list[tuple[str, ...]]:
        self.network.advance(3)
        return [event.items for event in self.network.events if isinstance(event, Evicted)]


def test_the_one_asked_for_longest_ago_makes_room() -> None:
    line = Line().connect()
    line.session.subscribe("0B", "000001", transient=True)
    line.session.subscribe("0B", "000002", "000003", transient=True)
    line.session.subscribe("0B", "000001", transient=True)  # wanted anew: no longer the oldest

    request = line.session.subscribe("0B", "000004")

    assert line.held() == {"000001", "000003", "000004"}
    assert line.evicted() == [("000002",)]
    assert any(isinstance(event, RequestAccepted) and event.request is request for event in line.network.events)


def test_all_types_of_an_item_go_together() -> None:
    line = Line().connect()
    line.session.subscribe("0B", "000001", "000002", "000003", transient=True)
    line.session.subscribe("0D", "000001", transient=True)
    line.session.subscribe("0E", "000001", group="2", transient=True)
    line.session.subscribe("0D", "000002", transient=True)

    line.session.subscribe("0B", "000004", "000005")

    assert line.held() == {"000002", "000004", "000005"}
    assert line.evicted() == [("000003", "000001")]


def test_an_item_is_pinned_by_any_call_for_any_type() -> None:
    line = Line().connect()
    line.session.subscribe("0B", "000001", "000002", "000003", transient=True)
    line.session.subscribe("0D", "000001")
    line.session.subscribe("0B", "000002")

    line.session.subscribe("0B", "000004")

    assert line.evicted() == [("000003",)]
    with pytest.raises(QuotaExceeded):
        line.session.subscribe("0B", "000005")
    assert line.held() == {"000001", "000002", "000004"}


def test_a_transient_item_evicts_no_other() -> None:
    line = Line().connect()
    line.session.subscribe("0B", "000001", "000002", "000003", transient=True)

    with pytest.raises(QuotaExceeded, match="3 of 3 are in use and 1 more"):
        line.session.subscribe("0B", "000004", transient=True)

    assert line.evicted() == []


def test_nothing_is_evicted_if_it_would_not_be_enough() -> None:
    line = Line().connect()
    line.session.subscribe("0B", "000001")
    line.session.subscribe("0B", "000002", transient=True)

    with pytest.raises(QuotaExceeded, match="2 of 3 are in use and 3 more"):
        line.session.subscribe("0B", "000003", "000004", "000005")

    assert line.held() == {"000001", "000002"}
    assert line.evicted() == []


def test_what_was_evicted_is_no_longer_counted() -> None:
    line = Line().connect()
    transient = line.session.subscribe("0B", "000001", transient=True)
    line.session.subscribe("0B", "000002", "000003", "000004")
    line.session.unsubscribe("0B", "000002")
    again = line.session.subscribe("0B", "000001")

    line.session.withdraw(transient)  # of a call whose claim is gone

    assert line.held() == {"000001", "000003", "000004"}
    line.session.withdraw(again)
    assert line.held() == {"000003", "000004"}


def test_a_call_that_waits_for_an_evicted_item_is_refused() -> None:
    line = Line()
    waiting = line.session.subscribe("0B", "000001", transient=True)
    line.session.subscribe("0B", "000002", "000003", "000004")
    line.connect()

    (refusal,) = [event for event in line.network.events if isinstance(event, RequestRefusal)]
    assert refusal.request is waiting
    assert "evicted" in refusal.message


def test_a_call_of_which_a_part_was_evicted_goes_on_for_the_rest() -> None:
    line = Line()
    waiting = line.session.subscribe("0B", "000001", "000002", transient=True)
    line.session.subscribe("0B", "000003", "000004")
    line.connect()

    assert line.held() == {"000002", "000003", "000004"}
    assert line.evicted() == [("000001",)]
    assert waiting in [event.request for event in line.network.events if isinstance(event, RequestAccepted)]


def test_transient_says_yes_or_no() -> None:
    with pytest.raises(LocalProtocolError, match="transient: must be True or False, not 'yes'"):
        Line().session.subscribe("0B", "000001", transient="yes")  # type: ignore[arg-type]

"""Every fault of the catalogue on virtual time, and a weekend of all of them.

`python -m tests.faults` runs the same for longer.
"""

from __future__ import annotations

import pytest
from tests.faults.catalogue import CATALOGUE, Fault
from tests.faults.soak import soak
from tests.faults.suite import run

from kiwoom_proto import Closed, Event, KiwoomError, Record, Session
from kiwoom_proto.session.recovery import Recovery, Retry, Verdict
from kiwoom_proto.session.subscriptions import Subscriptions

TRIES = 5


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_nothing_wanted_is_lost_and_nothing_unwanted_returns(fault: Fault) -> None:
    result = run(fault, TRIES, seed=1)
    assert result.problems == []
    assert (result.lost_outside, result.unwanted) == (0, 0)
    assert result.witnessed > 0


def test_a_weekend_of_random_faults() -> None:
    result = soak(2, seed=1)
    assert result.problems == []
    assert (result.lost_outside, result.unwanted) == (0, 0)
    assert result.gaps > 20


def fault_named(name: str) -> Fault:
    return next(fault for fault in CATALOGUE if fault.name == name)


def test_it_notices_gaps_that_are_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Session._connection_lost

    def lost_in_silence(self: Session, closed: Closed) -> None:
        lost(self, closed)
        self._gaps.open = None

    monkeypatch.setattr(Session, "_connection_lost", lost_in_silence)
    assert run(fault_named("black hole"), TRIES, seed=1).lost_outside > 0


def test_it_notices_gaps_that_begin_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Session._connection_lost

    def lost_later(self: Session, closed: Closed) -> None:
        lost(self, closed)
        if self._gaps.open is not None:
            self._gaps.open = self._gaps.open[0] + 10 * 10**9, self._gaps.open[1]

    monkeypatch.setattr(Session, "_connection_lost", lost_later)
    assert run(fault_named("black hole"), TRIES, seed=1).lost_outside > 0


def test_it_notices_rows_that_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Session.events

    def twice(self: Session) -> list[Event]:
        return [event for event in events(self) for _ in range(1 + isinstance(event, Record))]

    monkeypatch.setattr(Session, "events", twice)
    assert run(fault_named("reset"), 1, seed=1).unwanted > 0


def test_it_notices_what_is_not_registered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Subscriptions.connection_lost

    def forget(self: Subscriptions) -> None:
        lost(self)
        self._to_register.clear()

    monkeypatch.setattr(Subscriptions, "connection_lost", forget)
    problems = run(fault_named("reset"), TRIES, seed=1).problems
    assert any("0B 005930 of group 1 is not registered" in problem for problem in problems)


def test_it_notices_storms(monkeypatch: pytest.MonkeyPatch) -> None:
    retry = Recovery._retry

    def hurry(self: Recovery, error: KiwoomError, now: float) -> Verdict:
        verdict = retry(self, error, now)
        return Retry(verdict.delay / 2) if isinstance(verdict, Retry) else verdict

    monkeypatch.setattr(Recovery, "_retry", hurry)
    problems = run(fault_named("server is gone for hours"), 1, seed=1).problems
    assert any("attempts in an hour" in problem for problem in problems)

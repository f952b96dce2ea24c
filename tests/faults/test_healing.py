"""The state after gaps, at random: see healing.py. `python -m tests.faults healing` runs more seeds."""

from __future__ import annotations

import pytest
from tests.faults.healing import heal

from kiwoom_proto.events import Batch
from kiwoom_proto.session.missed_trades import TradeTape
from kiwoom_proto.session.order_state import OrderState
from kiwoom_proto.session.restoration import Restoration

SEEDS = range(24)


@pytest.mark.parametrize("first", SEEDS[::6])
def test_after_gaps_the_program_knows_what_the_exchange_knows(first: int) -> None:
    healed = [heal(seed) for seed in SEEDS[first : first + 6]]

    assert [problem for each in healed for problem in each.problems] == []
    assert sum(each.gaps for each in healed) > 6
    assert sum(each.missed for each in healed) > 6 and sum(each.snapshots for each in healed) > 6


def problems_of(seeds: range) -> str:
    return "; ".join(problem for seed in seeds for problem in heal(seed).problems)


def test_it_notices_trades_that_come_twice_and_snapshots_that_undo_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def note_nothing(self: Restoration, rows: Batch) -> Batch:
        return rows

    monkeypatch.setattr(Restoration, "note_rows", note_nothing)

    found = problems_of(range(6))
    assert "trades" in found


def test_it_notices_trades_that_come_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TradeTape, "waits", False)

    assert "out of order" in problems_of(range(6))


def test_it_notices_orders_that_are_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderState, "_apply_snapshot", lambda self, snapshot: None)

    found = problems_of(range(6))
    assert "open orders" in found and "holdings" in found

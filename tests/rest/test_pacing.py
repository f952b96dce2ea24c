"""A server that counts when calls arrive refuses none, and the rate stays close to its limit."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto.rest.pacing import (
    ASK_AGAIN,
    KEPT,
    MARGIN,
    MAX_PAUSE,
    MAX_TRANSIT,
    PAUSE,
    WINDOW,
    Count,
    Pacing,
    Place,
)

Latency = Callable[[random.Random], float]


class CountingServer:
    """Counts arrivals in a window that slides, and in windows of its own clock."""

    def __init__(self, limit: int, phase: float) -> None:
        self._limit = limit
        self._phase = phase
        self._recent: deque[float] = deque()
        self._window, self._count = -1, 0
        self.refused = self.total = 0

    def arrive(self, time: float) -> None:
        self.total += 1
        while self._recent and self._recent[0] < time - 1.0:
            self._recent.popleft()
        window = int(time + self._phase)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += 1
        if len(self._recent) >= self._limit or self._count > self._limit:
            self.refused += 1
        self._recent.append(time)


def taken(pacing: Pacing, bucket: str, now: float) -> Place:
    place = pacing.take(bucket, now)
    assert place is not None
    return place


def run(
    limit: int, calls: int, there: Latency, back: Latency, seed: int, work: float = 0.0, sharers: int = 1
) -> tuple[CountingServer, float]:
    """Send as fast as the pacing allows. Returns the server, and the rate over its limit."""
    draw = random.Random(seed)
    server, count = CountingServer(limit, draw.random()), Count()
    pacings = [Pacing(limit, count) for _ in range(sharers)]
    now = 1000.0
    under_way: list[tuple[float, int, Place, Pacing]] = []  # of answers
    arrivals: list[float] = []
    sent = 0
    while sent < calls:
        pacing = draw.choice(pacings)
        free_at = pacing.free_at("ka10004", now)
        if free_at <= now:
            place = taken(pacing, "ka10004", now)
            sent += 1
            arrival = now + there(draw)
            arrivals.append(arrival)
            heapq.heappush(under_way, (arrival + work + back(draw), sent, place, pacing))
            continue
        if under_way and under_way[0][0] <= free_at:
            now, _, place, sender = heapq.heappop(under_way)
            sender.answered("ka10004", place, now)
        else:
            now = free_at
    for arrival in sorted(arrivals):
        server.arrive(arrival)
    return server, calls / (max(arrivals) - 1000.0) / limit


def jitter(least: float, most: float) -> Latency:
    return lambda draw: draw.uniform(least, most)


def bursts(draw: random.Random) -> float:
    """Mostly calm, at times far too late."""
    return 0.005 + draw.expovariate(200) if draw.random() < 0.99 else draw.uniform(0.01, 0.5)


@pytest.mark.parametrize("limit", [5, 1])
@pytest.mark.parametrize(
    ("there", "back"),
    [
        (jitter(0.0, 0.0), jitter(0.0, 0.0)),
        (jitter(0.0, 0.04), jitter(0.0, 0.04)),
        (jitter(0.01, 0.05), jitter(0.001, 0.005)),
        (jitter(0.1, 0.12), jitter(0.15, 0.16)),
        (jitter(0.25, 0.25), jitter(0.3, 0.3)),
        (bursts, bursts),
    ],
    ids=["none", "40 ms each way", "there only", "far away", "constant", "bursts"],
)
def test_none_of_ten_thousand_calls_is_refused_at_95_percent_of_the_limit(
    limit: int, there: Latency, back: Latency
) -> None:
    server, rate = run(limit, 10_000, there, back, seed=limit)

    assert (server.refused, server.total) == (0, 10_000)
    assert rate >= 0.95, f"{rate:.3f}"


@given(st.integers(1, 6), st.floats(0, 0.3), st.floats(0, 1.0), st.floats(0, 0.3), st.integers(0, 9))
def test_nothing_is_refused_whatever_the_network_does(
    limit: int, least: float, spread: float, work: float, seed: int
) -> None:
    wild = jitter(least, least + spread)
    server, _ = run(limit, 200, wild, jitter(least / 2, least + spread), seed, work)

    assert server.refused == 0


@pytest.mark.parametrize("limit", [5, 1])
def test_nothing_is_refused_and_the_rate_is_kept_where_several_share_a_count(limit: int) -> None:
    server, rate = run(limit, 2_000, jitter(0.0, 0.04), jitter(0.0, 0.04), seed=1, sharers=3)
    assert server.refused == 0
    assert rate >= 0.95


def test_those_that_share_a_count_ask_again_for_a_place_whose_answer_they_will_not_see() -> None:
    count = Count()
    one, other = Pacing(2, count), Pacing(1, count)
    place = taken(one, "a", 10.0)
    assert other.take("a", 10.0) is None and other.free_at("a", 10.0) == 10.0 + ASK_AGAIN
    assert one.free_at("a", 10.0) == 10.0, "its limit is another one"
    one.answered("a", place, 10.02)
    assert other.free_at("a", 10.05) == 10.02 + WINDOW + MARGIN
    other.refused("b", taken(other, "b", 10.0), 10.0)
    assert one.free_at("b", 10.0) == 10.0 + PAUSE


def test_the_first_calls_leave_at_once_and_share_with_nobody() -> None:
    pacing = Pacing(2)
    places = [taken(pacing, "a", 10.0) for _ in range(2)]

    assert pacing.free_at("b", 10.0) == 10.0
    assert pacing.free_at("a", 10.0) == 10.0 + MAX_TRANSIT + WINDOW
    pacing.answered("a", places[1], 10.1)
    assert pacing.free_at("a", 10.2) == 10.1 + WINDOW + MARGIN
    assert pacing.free_at("a", 11.2) == 11.2


def test_a_refusal_pauses_and_several_in_a_row_pause_longer() -> None:
    pacing, now = Pacing(5), 100.0
    for pause in (PAUSE, 2 * PAUSE, 4 * PAUSE):
        place, under_way = taken(pacing, "a", now), taken(pacing, "a", now)
        pacing.refused("a", place, now)
        pacing.refused("a", under_way, now)
        assert pacing.free_at("a", now) == now + pause
        assert pacing.free_at("b", now) == now
        now += pause
    pacing.answered("a", taken(pacing, "a", now), now)
    pacing.refused("a", taken(pacing, "a", now), now, retry_after=7.0)
    assert pacing.free_at("a", now) == now + 7.0
    now += 7.0
    pacing.refused("a", taken(pacing, "a", now), now, retry_after=1e9)
    assert pacing.free_at("a", now) == now + MAX_PAUSE


def test_a_limit_of_all_trs_pauses_all() -> None:
    pacing = Pacing(5)
    pacing.refused("a", taken(pacing, "a", 1.0), 1.0, all_trs=True)

    assert pacing.free_at("b", 1.0) == 1.0 + PAUSE


def test_a_call_that_was_not_sent_after_all_takes_no_place() -> None:
    pacing = Pacing(1)
    pacing.unsent("a", taken(pacing, "a", 1.0))
    assert pacing.free_at("a", 1.0) == 1.0


def test_a_call_that_was_lost_may_have_arrived() -> None:
    pacing = Pacing(1)
    pacing.lost(taken(pacing, "a", 1.0), 1.5)
    assert pacing.free_at("a", 1.5) == 1.0 + MAX_TRANSIT + WINDOW


def test_what_is_kept_does_not_grow_where_the_limit_is_high() -> None:
    count, now = Count(), 0.0
    pacing = Pacing(100_000, count)
    for _ in range(1000):
        now += 0.1
        pacing.answered("a", taken(pacing, "a", now), now)
    assert len(count.buckets["a"].places) <= 20


def test_what_is_kept_does_not_grow() -> None:
    count, now = Count(), 0.0
    pacing = Pacing(5, count)
    for _ in range(1000):
        now = pacing.free_at("a", now)
        pacing.answered("a", taken(pacing, "a", now), now)
    assert len(count.buckets["a"].places) <= 10
    assert len(count.shortest) <= KEPT

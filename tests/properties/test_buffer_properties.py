"""EventBuffer against a model that looks at everything every time: what waits, in order, its bytes, and the counts."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kiwoom_proto import REALTIME, Event, Record, SystemNotice
from kiwoom_proto.client.buffer import BufferStats, EventBuffer
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.config import Overflow

_POLICIES: st.SearchStrategy[Overflow] = st.sampled_from(("raise", "drop_oldest", "conflate"))
_KINDS = st.one_of(  # type and item of a row; None: a notice
    st.tuples(st.sampled_from(["0B", "0D", "0E"]), st.sampled_from(["a", "b", "c", ""])),
    st.sampled_from([("00", "a"), ("02", "a"), None]),
)
_SHARES = st.sampled_from([0, 1, 10, 90, 300, 1000])


def of_type(type_code: str, item: str, **members: Any) -> Record:
    """A row of any type."""
    return REALTIME.get(type_code, Record)(type_code, item, **members)


def event(kind: tuple[str, str] | None, number: int = 0) -> Event:
    """An event of a kind; its number tells it from others."""
    return SystemNotice("R10001", "", sequence=number) if kind is None else of_type(*kind, sequence=number)


@attrs.define
class Waiting:
    event: Event
    size: int

    @property
    def key(self) -> tuple[str, str] | None:
        """What a newer row replaces this one by; None: nothing does."""
        event = self.event
        return (event.type_code, event.item) if isinstance(event, Record) and self.droppable and event.item else None

    @property
    def droppable(self) -> bool:
        event = self.event
        return isinstance(event, Record) and event.type_code not in {"00", "04", "F4", "F5", "02", "S2"}


class Model:
    """The rules, as they are described."""

    def __init__(self, size: int, policy: Overflow, size_in_bytes: int) -> None:
        self.size, self.policy, self.size_in_bytes = size, policy, size_in_bytes
        self.waiting: list[Waiting] = []
        self.held: list[Waiting] = []
        self.received = self.delivered = self.dropped = self.conflated = 0

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry in self.waiting)

    def used(self) -> tuple[int, int]:
        entries = self.waiting + self.held
        return len(entries), sum(entry.size for entry in entries)

    def is_too_full(self) -> bool:
        count, size = self.used()
        return count > self.size or size > self.size_in_bytes

    def put(self, entries: list[Waiting]) -> None:
        for number, entry in enumerate(entries, 1):
            self.waiting.append(entry)
            self.received += 1
            if self.is_too_full():
                self.let_go()
            if self.is_too_full():
                count, size = self.used()
                before = size - sum(added.size for added in entries[:number])
                if (count - number) * 2 > self.size or before * 2 > self.size_in_bytes:
                    self.waiting.pop()
                    self.received -= 1
                    raise BufferOverflow

    def let_go(self) -> None:
        if self.policy == "conflate":
            keys = [entry.key for entry in self.waiting]
            kept = [
                entry
                for place, entry in enumerate(self.waiting)
                if entry.key is None or entry.key not in keys[place + 1 :]
            ]
            self.conflated += len(self.waiting) - len(kept)
            self.waiting = kept
        while self.policy == "drop_oldest" and self.is_too_full():
            oldest = next((entry for entry in self.waiting[:-1] if entry.droppable), None)
            if oldest is None:
                break
            self.waiting = [entry for entry in self.waiting if entry is not oldest]
            self.dropped += 1

    def take(self, *, some: bool) -> list[Event]:
        most = len(self.waiting)
        if some and most <= self.size and self.bytes <= self.size_in_bytes:
            most = 0
            while most < len(self.waiting):
                most += 1
                size = sum(entry.size for entry in self.waiting[:most])
                if most * 2 >= self.size or size * 2 >= self.size_in_bytes:
                    break
        self.held, self.waiting = self.waiting[:most], self.waiting[most:]
        self.delivered += most
        return [entry.event for entry in self.held]


class BufferMachine(RuleBasedStateMachine):
    """One buffer, and what waits in it, whatever is put in and taken out."""

    @initialize(size=st.integers(1, 12), policy=_POLICIES, size_in_bytes=st.sampled_from([1, 500, 2000, 1 << 40]))
    def make(self, size: int, policy: Overflow, size_in_bytes: int) -> None:
        self.buffer = EventBuffer(size, policy, size_in_bytes)
        self.model = Model(size, policy, size_in_bytes)
        self.number = 0

    @rule(kinds=st.lists(_KINDS, max_size=15), share=_SHARES)
    def put(self, kinds: list[tuple[str, str] | None], share: int) -> None:
        events = [event(kind, self.number + place) for place, kind in enumerate(kinds)]
        self.number += len(events)
        try:
            self.model.put([Waiting(event, share) for event in events])
        except BufferOverflow:
            with pytest.raises(BufferOverflow):
                self.buffer.put(events, share * len(events), len(self.model.held))
        else:
            self.buffer.put(events, share * len(events), len(self.model.held))

    @rule(some=st.booleans())
    def take(self, some: bool) -> None:
        expected = self.model.take(some=some)
        taken = self.buffer.pop_some() if some else self.buffer.pop_all()
        assert [event.sequence for event in taken] == [event.sequence for event in expected]

    @rule(count=st.integers(0, 12))
    def read_what_was_taken(self, count: int) -> None:
        del self.model.held[:count]

    @invariant()
    def what_is_counted_is_the_truth(self) -> None:
        model, buffer = self.model, self.buffer
        assert buffer.size_in_bytes == model.bytes
        assert buffer.held_bytes(len(model.held)) == sum(entry.size for entry in model.held)
        assert len(buffer) == len(model.waiting)
        assert buffer.stats() == BufferStats(
            model.received, model.delivered, model.dropped, model.conflated, len(model.waiting)
        )


TestBuffer = BufferMachine.TestCase
# Without the phase that explains failures: it takes longer than a test may.
TestBuffer.settings = settings(phases=[phase for phase in Phase if phase is not Phase.explain])


@given(
    size=st.integers(1, 12),
    policy=_POLICIES,
    size_in_bytes=st.sampled_from([1, 500, 2000, 1 << 40]),
    reads=st.lists(st.tuples(st.lists(_KINDS, max_size=30), _SHARES), max_size=20),
)
def test_a_consumer_that_takes_between_reads_meets_no_overflow(
    size: int, policy: Overflow, size_in_bytes: int, reads: list[tuple[list[tuple[str, str] | None], int]]
) -> None:
    """However much one read brings, and although it is not given everything at once."""
    buffer = EventBuffer(size, policy, size_in_bytes)
    for kinds, share in reads:
        buffer.put([event(kind) for kind in kinds], share * len(kinds))
        buffer.pop_some()


@given(size=st.integers(1, 12), policy=_POLICIES, reads=st.lists(st.tuples(st.integers(1, 7), st.integers(0, 1000))))
def test_no_byte_is_lost_in_sharing_them_out(size: int, policy: Overflow, reads: list[tuple[int, int]]) -> None:
    """Where they cannot be shared out evenly, too."""
    buffer = EventBuffer(size, policy)
    for count, total in reads:
        before = len(buffer), buffer.size_in_bytes
        try:
            buffer.put([of_type("00", "")] * count, total)
        except BufferOverflow:
            break
        assert (len(buffer), buffer.size_in_bytes) == (before[0] + count, before[1] + total)
    while taken := buffer.pop_some():
        held = buffer.held_bytes(len(taken))
        assert held >= buffer.held_bytes(len(taken) - 1)
    assert buffer.size_in_bytes == 0

"""Every stream gets exactly the rows of its items while it is open, in order, except for what its statistics count."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.proto.hand_client import HandClient

from kiwoom_proto import ClientConfig, Gap, Record
from kiwoom_proto.client.errors import BufferOverflow
from kiwoom_proto.client.listeners import Listener
from kiwoom_proto.client.streams import Stream
from kiwoom_proto.config import Overflow
from kiwoom_proto.wire.messages import Row

ITEMS = ("000001", "000002", "000003")
TYPES = ("0B", "0D")
CONFIG = ClientConfig(request_interval=0, backoff_max=1)

_types = st.sampled_from(TYPES)
_items = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3, unique=True)
_policies: st.SearchStrategy[Overflow] = st.sampled_from(["raise", "drop_oldest", "conflate"])


@attrs.define(eq=False)
class Open:
    """An open stream, what it must get, and what was read of it."""

    stream: Stream[Any]
    code: str
    items: list[str]
    policy: Overflow
    expected: list[int] = attrs.field(factory=list)
    read: list[int] = attrs.field(factory=list)
    gaps: int = 0
    has_ended: bool = False


class StreamMachine(RuleBasedStateMachine):
    """Rows, streams, calls and callbacks in any order."""

    @initialize()
    def make(self) -> None:
        self.client = HandClient(CONFIG)
        self.streams: list[Open] = []
        self.listeners: list[tuple[Listener, str, list[str], list[int], list[int]]] = []
        self.called_for: Counter[tuple[str, str]] = Counter()
        self.own: list[int] = []
        self.own_read: list[int] = []
        self.number = 0

    @rule(code=_types, items=_items, policy=_policies, size=st.integers(1, 12))
    def open_stream(self, code: str, items: list[str], policy: Overflow, size: int) -> None:
        stream = self.client.stream(code, *items, overflow=policy, buffer_size=size, gaps="items")
        self.client.run(stream.__aenter__())
        self.streams.append(Open(stream, code, items, policy))

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def leave_stream(self, data: st.DataObject) -> None:
        left = data.draw(st.sampled_from(self.streams))
        self.streams.remove(left)
        self.client.run(left.stream.__aexit__(None, None, None))

    @rule(code=_types, items=_items)
    def listen(self, code: str, items: list[str]) -> None:
        seen: list[int] = []
        listener = self.client.on(code, lambda row: seen.append(int(row.fid("10") or "0")), *items)
        self.client.settle()
        self.listeners.append((listener, code, items, seen, []))

    @precondition(lambda self: self.listeners)
    @rule(data=st.data())
    def stop_listening(self, data: st.DataObject) -> None:
        stopped = data.draw(st.sampled_from(self.listeners))
        self.listeners.remove(stopped)
        stopped[0].close()
        self.client.settle()

    @rule(code=_types, items=_items)
    def subscribe(self, code: str, items: list[str]) -> None:
        self.client.run(self.client.subscribe(code, *items))
        self.called_for.update((code, item) for item in items)

    @precondition(lambda self: +self.called_for)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        code, item = data.draw(st.sampled_from(sorted(+self.called_for)))
        self.client.run(self.client.unsubscribe(code, item))
        self.called_for[code, item] -= 1

    @rule(named=st.lists(st.tuples(_types, st.sampled_from(ITEMS)), min_size=1, max_size=8))
    def send(self, named: list[tuple[str, str]]) -> None:
        registered = {(each.type, each.item) for each in self.client.subscriptions}
        named = [each for each in named if each in registered]
        sent = []
        for code, item in named:
            self.number += 1
            sent.append(Row({"10": str(self.number)}, code, "", item))
            for each in self.streams:
                if code == each.code and item in each.items:
                    each.expected.append(self.number)
            for _, wanted, items, _, expected in self.listeners:
                if code == wanted and item in items:
                    expected.append(self.number)
            if self.called_for[code, item]:
                self.own.append(self.number)
        if sent:
            self.client.send(*sent)

    @rule()
    def lose_the_connection(self) -> None:
        self.client.cut()
        self.client.advance(3)
        for each in self.streams:
            each.gaps += 1

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def read_of_a_stream(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(self.streams))
        for _ in range(data.draw(st.integers(1, 10))):
            if each.has_ended or not each.stream.stats().waiting:
                break
            event = self.client.run(each.stream.__anext__())
            if isinstance(event, Record):
                each.read.append(int(event.fid("10") or "0"))
            else:
                assert isinstance(event, Gap)

    @rule()
    def read_of_the_client(self) -> None:
        while self.client.stats().waiting:
            event = self.client.run(self.client.__anext__())
            if isinstance(event, Record):
                self.own_read.append(int(event.fid("10") or "0"))
        assert self.own_read == self.own

    @invariant()
    def every_callback_has_been_called_with_every_row(self) -> None:
        for *_, seen, expected in self.listeners:
            assert seen == expected
        assert self.client.reported == []

    @invariant()
    def nothing_is_lost_but_what_is_counted(self) -> None:
        for each in self.streams:
            stats = each.stream.stats()
            assert each.stream.gaps == each.gaps
            assert stats.received == stats.delivered + stats.dropped + stats.conflated + stats.waiting
            remaining = iter(each.expected)
            assert all(number in remaining for number in each.read), "out of order, twice, or never sent"
            if each.policy == "raise":
                assert each.read == each.expected[: len(each.read)]
                assert stats.dropped == stats.conflated == 0

    def teardown(self) -> None:
        for each in getattr(self, "streams", ()):
            self._read_to_the_end(each)
            stats = each.stream.stats()
            if each.policy != "raise" or not each.has_ended:
                missing = len(each.expected) - len(each.read)
                if not each.has_ended:
                    assert missing == stats.dropped + stats.conflated
                if each.policy == "conflate" and each.expected:
                    assert each.has_ended or each.read[-1] == each.expected[-1]

    def _read_to_the_end(self, each: Open) -> None:
        async def read() -> None:
            async for event in each.stream:
                if isinstance(event, Record):
                    each.read.append(int(event.fid("10") or "0"))

        task = self.client.start(read())
        if not task.go_on():
            task.cancel()
            return
        each.has_ended = True
        try:
            task.result()
        except BufferOverflow:
            pass


TestStreams = StreamMachine.TestCase
TestStreams.settings = settings(
    max_examples=max(20, settings().max_examples // 3),
    stateful_step_count=20,
    deadline=None,
    # Without the phase that explains failures: it takes longer than a test may.
    phases=[phase for phase in Phase if phase is not Phase.explain],
)

"""What holds for a session whatever the network and the server do, and whatever is asked of it when."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kiwoom_proto import (
    PRODUCTION,
    AppKey,
    ClientConfig,
    Closed,
    Disconnected,
    Gap,
    KiwoomError,
    Request,
    Secret,
    Session,
)
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.errors import QuotaExceeded
from kiwoom_proto.events import LoggedIn, RequestAccepted, RequestRefusal, RequestUnanswered
from kiwoom_proto.request import Key, RequestKind
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState
from kiwoom_proto.session.subscriptions import UNACKNOWLEDGED
from kiwoom_proto.simulator import Exchange
from kiwoom_proto.simulator.faults import Faults
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

READY, CLOSED = SessionState.READY, SessionState.CLOSED
FOREVER = 1_000_000
LIMIT = 5
"""Items, for the session and for the server: so that what goes out in the wrong order is refused."""
CONFIG = ClientConfig(
    open_timeout=3, login_timeout=3, ack_timeout=3, idle_timeout=25, close_timeout=2, token_timeout=4,
    item_limit=LIMIT, items_per_request=2, connect_timeout=FOREVER, backoff_max=20, takeover="reconnect",
    takeover_limit=FOREVER,
)  # fmt: skip
PATIENCE = 300
"""Seconds within which everything is as it should be again."""
ATTEMPTS_PER_HOUR = 700
"""At a mean of 10 s between them, and twice as many where each needs a token first; and none to spare for a storm."""

_ITEMS = st.lists(st.sampled_from([f"{number:06}" for number in range(1, 8)]), min_size=1, max_size=4, unique=True)
_TYPES = st.sampled_from(["0E", "0D", "0B"])
_GROUPS = st.sampled_from(["1", "1", "2"])
_SEQS = st.sampled_from(["0", "1"])
_SELDOM = st.booleans()


@attrs.define
class Call:
    """A call that was not withdrawn yet."""

    keys: tuple[Key, ...] = ()  # that it wants
    seq: str | None = None  # that it wants live
    claims: set[Key] = attrs.field(factory=set)  # those that it counts as a consumer of
    claims_live: bool = False


class SessionMachine(RuleBasedStateMachine):
    """A session, the simulated exchange, a network between them, and reference counts as the model."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.key = AppKey("app", "secret")
        self.exchange = Exchange(clock=self.clock, app_keys={"app": "secret"}, rate=0.3, item_limit=LIMIT)
        self.session = Session(PRODUCTION, CONFIG, clock=self.clock, random=random.Random(7).random)
        self.network = SimulatedNetwork(self.session, self.exchange, self.clock, self.token)
        # The model.
        self.wanted: Counter[Key] = Counter()
        self.live: Counter[str] = Counter()
        self.open: dict[Request, Call] = {}
        self.answered: dict[Request, Call] = {}  # and can be withdrawn all the same
        self.over: set[Request] = set()
        self.replaced: set[Request] = set()  # by another call: told no  # answered, or withdrawn
        self.seen = 0  # events looked at
        self.sequence = 0
        self.logged_in = False
        self.epoch = 0  # of the last login
        self.in_gap = False
        self.patience = PATIENCE

    def token(self, refused: bool) -> str | Secret | KiwoomError:
        """Ask the exchange's token server, as an adapter does."""
        call = TokenCall(PRODUCTION, self.key)
        peer = self.exchange.connect()
        peer.receive_data(call.data_to_send())
        while answer := peer.data_to_send():
            call.receive_data(answer)
        call.receive_eof()
        peer.receive_eof()
        try:
            token = call.result()
        except KiwoomError as error:
            return error
        assert token is not None
        return token.value

    def teardown(self) -> None:
        self.settle(end=True)
        self.session.close()
        self.network.advance(5)
        self.look()
        assert isinstance(self.network.events[-1], Closed)
        assert [type(event) for event in self.network.events].count(Closed) == 1
        assert self.session.state is CLOSED
        assert not self.exchange.links

    # What the caller does.

    @initialize(early=st.booleans())
    def connect(self, early: bool) -> None:
        if early:
            self.subscribe("0E", ["000001", "000002"], "1", False)
        self.session.connect()
        self.network.settle()

    def asked(self, request: Request, call: Call) -> None:
        call.claims = {key for key in call.keys if self.wanted[key]}
        call.claims_live = call.seq is not None
        self.open[request] = call
        self.network.settle()
        self.look()

    def release(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.wanted[key] = max(0, self.wanted[key] - 1)
        self.disclaim()

    def release_live(self, seq: str) -> None:
        self.live[seq] = max(0, self.live[seq] - 1)
        self.disclaim()

    def disclaim(self) -> None:
        """What nobody wants, no call from before can claim: withdrawn, it takes nothing away from later ones."""
        for call in (*self.open.values(), *self.answered.values()):
            call.claims = {key for key in call.claims if self.wanted[key]}
            call.claims_live = call.claims_live and call.seq is not None and self.live[call.seq] > 0

    def keys_of(self, type: str, items: list[str], group: str) -> tuple[Key, ...]:
        return tuple((group, type, item) for item in items)

    @rule(type=_TYPES, items=_ITEMS, group=_GROUPS, replace=_SELDOM)
    def subscribe(self, type: str, items: list[str], group: str, replace: bool) -> None:
        keys = self.keys_of(type, items, group)
        wanted = self.wanted.copy()
        if replace:
            for key in wanted:
                if key[0] == group and key not in keys:
                    wanted[key] = 0
        wanted.update(keys)
        too_many = len({item for (_, _, item), count in wanted.items() if count and item}) > LIMIT
        try:
            request = self.session.subscribe(type, *items, group=group, replace=replace)
        except QuotaExceeded:
            assert too_many
            return
        assert not too_many
        gone = {key for key, count in self.wanted.items() if count and not wanted[key]}
        self.wanted = wanted
        self.disclaim()
        for waiting, call in list(self.open.items()):
            if gone.intersection(call.keys):
                del self.open[waiting]
                self.replaced.add(waiting)
                self.release(call.claims)
        self.asked(request, Call(keys=keys))

    @rule(group=_GROUPS)
    def subscribe_to_the_account(self, group: str) -> None:
        request = self.session.subscribe("00", group=group)
        self.wanted[group, "00", ""] += 1
        self.asked(request, Call(keys=((group, "00", ""),)))

    @rule(type=_TYPES, items=_ITEMS, group=_GROUPS)
    def unsubscribe(self, type: str, items: list[str], group: str) -> None:
        request = self.session.unsubscribe(type, *items, group=group)
        self.release(self.keys_of(type, items, group))
        self.asked(request, Call())

    @precondition(lambda self: any(self.wanted.values()))
    @rule(data=st.data())
    def unsubscribe_from_what_is_wanted(self, data: st.DataObject) -> None:
        group, type, item = data.draw(st.sampled_from(sorted(key for key, count in self.wanted.items() if count)))
        request = self.session.unsubscribe(type, *([item] if item else []), group=group)
        self.release(((group, type, item),))
        self.asked(request, Call())

    @rule(seq=_SEQS, realtime=st.booleans())
    def search(self, seq: str, realtime: bool) -> None:
        request = self.session.search_condition(seq, realtime=realtime)
        if realtime:
            self.live[seq] += 1
        self.asked(request, Call(seq=seq if realtime else None))

    @rule(seq=_SEQS)
    def clear(self, seq: str) -> None:
        request = self.session.clear_condition(seq)
        self.release_live(seq)
        self.asked(request, Call())

    @rule()
    def list_conditions(self) -> None:
        self.asked(self.session.list_conditions(), Call())

    @precondition(lambda self: self.open or self.answered)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from([*self.open, *self.answered]))
        call = self.open.pop(request) if request in self.open else self.answered.pop(request)
        self.over.add(request)
        self.release(call.claims)
        if call.claims_live and call.seq is not None:
            self.release_live(call.seq)
        self.session.withdraw(request)
        self.network.settle()
        self.look()

    # What happens.

    @rule(seconds=st.sampled_from([0.005, 0.02, 0.02, 0.4, 0.4, 3.0, 12.0, 40.0]))
    def advance(self, seconds: float) -> None:
        self.network.advance(seconds)
        self.look()

    @rule(really=_SELDOM, how=st.sampled_from(["reset", "half open", "drop", "kick", "eof"]))
    def lose_the_connection(self, really: bool, how: str) -> None:
        if not really:
            return
        if how == "reset":
            self.network.reset()
        elif how == "half open":
            self.network.half_open()
        elif how == "kick":
            self.exchange.kick()
        elif how == "drop":
            self.exchange.drop()
        else:
            self.session.receive_eof()
        self.network.settle()
        self.look()

    @rule(really=_SELDOM, how=st.sampled_from(["unreachable", "black hole", "deaf", "slow", "bytewise"]))
    def break_the_network(self, really: bool, how: str) -> None:
        if not really:
            return
        network = self.network
        network.unreachable = "no such host" if how == "unreachable" else None
        network.black_hole = how == "black hole"
        network.deaf = how == "deaf"
        network.speed = 5_000 if how == "slow" else None
        network.chunk = 1 if how == "bytewise" else None

    @rule()
    def mend_the_network(self) -> None:
        self.network.unreachable = self.network.speed = self.network.chunk = None
        self.network.black_hole = self.network.deaf = False
        self.network.settle()
        self.look()

    @rule(
        really=_SELDOM,
        faults=st.sampled_from([
            {"lose_acks": 1}, {"lose_acks": 3}, {"ack_delay": 1.0}, {"ack_delay": 5.0}, {"split": True},
            {"http_status": 503}, {"token_answer": "html"}, {"token_answer": "too_many"},
        ]),
    )  # fmt: skip
    def break_the_server(self, really: bool, faults: dict[str, Any]) -> None:
        if really:
            self.exchange.faults = Faults(**faults)

    @rule()
    def mend_the_server(self) -> None:
        self.exchange.faults = Faults()
        self.exchange.resume()
        self.network.settle()
        self.look()

    @rule(payload=st.sampled_from([b"{]", b"", b'{"trnm":"REAL","data":5}', b'{"trnm":"CNSRREQ","data":[[]]}', b"[1]"]))
    def garbage(self, payload: bytes) -> None:
        if self.session.state is READY:
            self.exchange.garbage(payload)
            self.network.settle()
            self.look()

    @rule(really=_SELDOM)
    def stall(self, really: bool) -> None:
        if really:
            self.exchange.stall()

    @precondition(lambda self: self.session.state is READY)
    @rule()
    def expire_tokens(self) -> None:
        """Once between two logins: a token that is refused twice is the end."""
        self.exchange.expire_tokens()

    @rule(really=_SELDOM)
    def settle(self, really: bool = True, end: bool = False) -> None:
        """Let everything heal and time pass: the server then has what is wanted, and every loss was reported."""
        if not really:
            return
        self.mend_the_network()
        self.mend_the_server()
        begun = self.clock.now
        while not (self.is_settled and self.network.peer is not None) or self.clock.now < begun + 1:
            self.network.advance(1)
            self.look()
            assert self.clock.now < begun + self.patience, "it never settles"
            if self.is_settled and self.has_given_up_searches:
                self.network.reset()  # what it asks for no more on this connection, it does on the next
        if end:
            # What is half open shows by then; and everything holds from then on.
            self.network.advance(CONFIG.idle_timeout + 1)
            while not self.is_settled:
                self.network.advance(1)
                assert self.clock.now < begun + 2 * self.patience, "it never settles"
            self.look()
        elif self.session.epoch != self.peer_epoch:
            return
        self.check_the_server()

    @property
    def is_settled(self) -> bool:
        tries_later = any(one.state is SubscriptionState.REFUSED and one.group for one in self.session.subscriptions)
        return self.session.is_settled and not self.open and not tries_later

    @property
    def has_given_up_searches(self) -> bool:
        """Whether it asks no more on this connection for a live search to begin, or to end."""
        refused = [one for one in self.session.subscriptions if one.state is SubscriptionState.REFUSED]
        given_up = [one for one in refused if not one.group]
        live = {seq for peer in self.exchange.links for _, seq in peer.live}
        return bool(given_up or any(not self.live[seq] for seq in live))

    @property
    def peer_epoch(self) -> int:
        """The connection that the network carries; 0: none, of which the session does not know yet."""
        return self.session.epoch if self.network.peer is not None else 0

    def check_the_server(self) -> None:
        (peer,) = [peer for peer in self.exchange.links if peer.key is not None]
        registered = {(group, type, item) for group, pairs in peer.registered.items() for type, item in pairs} | {
            ("", type, seq) for type, seq in peer.live
        }
        wanted = {key for key, count in self.wanted.items() if count}
        assert registered == wanted | {("", "02", seq) for seq, count in self.live.items() if count}
        shown = self.session.subscriptions
        assert {(one.group, one.type, one.item) for one in shown} == registered
        assert {one.state for one in shown} <= {SubscriptionState.CONFIRMED, SubscriptionState.RECEIVING}
        counts = {**self.wanted, **{("", "02", seq): count for seq, count in self.live.items()}}
        assert all(one.consumers == counts[one.group, one.type, one.item] for one in shown)
        assert not self.in_gap, "every loss is followed by a Gap"
        assert self.network.attempts[-1] <= self.clock.now

    # What always holds.

    def look(self) -> None:
        """Take what was reported, and hold each of it against the model."""
        for event in self.network.events[self.seen :]:
            assert event.sequence > self.sequence
            self.sequence = event.sequence
            match event:
                case RequestAccepted(request=request):
                    assert request not in self.over, "one answer at most, and none after it was withdrawn"
                    if request in self.open or self.patience == PATIENCE:  # else of what was tried again
                        self.answered[request] = self.open.pop(request)
                        self.over.add(request)
                case RequestRefusal(request=request) if event.message == UNACKNOWLEDGED:
                    assert request.kind is RequestKind.REGISTER
                    self.patience = 5000  # it is tried again, later and later
                    if (call := self.open.pop(request, None)) is not None:
                        self.over.add(request)
                        self.release(call.claims)
                case RequestRefusal(request=request):
                    assert request in self.replaced, f"nothing else here can be refused: {event}"
                    self.replaced.remove(request)
                    self.over.add(request)
                case RequestUnanswered(request=request):
                    assert request.kind.is_condition
                    assert request not in self.over
                    if (call := self.open.pop(request, None)) is not None:
                        self.over.add(request)
                        if call.claims_live and call.seq is not None:
                            self.release_live(call.seq)
                case LoggedIn():
                    self.logged_in = True
                    self.epoch = event.epoch
                case Disconnected():
                    self.in_gap = self.in_gap or self.logged_in
                    self.logged_in = False
                case Gap():
                    assert self.in_gap, "a Gap for each loss, or for several, and none without"
                    assert self.logged_in
                    assert event.epoch == self.epoch
                    assert 0 < event.start <= event.end
                    assert event.last_sequence < event.sequence
                    self.in_gap = False
                case _:
                    pass
        self.seen = len(self.network.events)

    @invariant()
    def there_is_always_something_to_wait_for(self) -> None:
        if self.network.events:
            due = self.session.next_timeout()
            assert due is not None
            assert due >= self.clock.now or self.session.state is READY

    @invariant()
    def it_has_not_given_up(self) -> None:
        assert self.session.state is not CLOSED

    @invariant()
    def there_is_no_storm(self) -> None:
        hour_ago = self.clock.now - 3600
        assert sum(attempt >= hour_ago for attempt in self.network.attempts) < ATTEMPTS_PER_HOUR

    @invariant()
    def no_connection_leaks(self) -> None:
        assert len(self.exchange.links) <= 1


SessionMachine.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)


class TestSessionMachine(SessionMachine.TestCase):  # type: ignore[misc,valid-type]  # made at run time
    """Any sequence of calls and faults: the server ends up with what is wanted, and nobody is left in the dark."""

"""Healing: the exchange goes on while the line fails at random. What a program knows afterwards must be the truth.

A session with `recover=True` has trades, order books, after-hours orders, an index, orders and holdings. Its line fails
in every way that `SimulatedNetwork` knows, its REST calls take their time or fail, orders are placed, amended and
cancelled all the while. A witness, whose line never fails, sees every row. In the end

* each trade since the first one known was delivered once, as a row or as a missed trade;
* the newest order book, index and after-hours orders in the stream are those of the exchange;
* no snapshot was older than a row before it;
* `OrderState` has the open orders, the quantities filled and the holdings of the exchange.
"""

from __future__ import annotations

import datetime
import json
import math
import random
from collections.abc import Iterable, Iterator

import attrs
from tests.proto.rest_line import RestLine

from kiwoom_proto import PRODUCTION, ClientConfig, Event, Record, Session
from kiwoom_proto.config import RecoveryPolicy
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import ServerConnection
from kiwoom_proto.errors import TransportError
from kiwoom_proto.events import Extent, Gap, Recovered, Snapshot
from kiwoom_proto.session.order_state import OrderKey, OrderState
from kiwoom_proto.simulator import ClientLink, Exchange
from kiwoom_proto.testing import ManualClock, SimulatedNetwork
from kiwoom_proto.wire.messages import Row

__all__ = ("Healed", "heal")

TOKEN = "token"
REGULAR, AFTER_HOURS = datetime.time(10, 0), datetime.time(16, 5)
STOCKS = "005930", "000660_NX", "035420"
BOOK = tuple(str(fid) for fid in (*range(41, 81), 121, 125))
CONFIG = ClientConfig(
    connect_timeout=math.inf, takeover="reconnect", takeover_limit=1_000, recover=RecoveryPolicy(max_pages=100)
)


@attrs.define
class Healed:
    """What became of one seed.

    Attributes:
        seed: the seed.
        gaps: how many gaps there were.
        snapshots: how many snapshots.
        missed: how many trades were missed, and found.
        orders: how many orders there were.
        problems: what is not as it must be.
    """

    seed: int
    gaps: int = 0
    snapshots: int = 0
    missed: int = 0
    orders: int = 0
    problems: list[str] = attrs.field(factory=list)


class _Network(SimulatedNetwork):
    """A network with a line for REST beside it, which fails on its own."""

    def __init__(self, session: Session, exchange: Exchange, clock: ManualClock, rest: RestLine) -> None:
        super().__init__(session, exchange, clock, lambda refused: TOKEN)
        self._rest = rest

    def settle(self) -> None:
        super().settle()
        while self._rest.settle():
            super().settle()

    def _next_timeout(self) -> float | None:
        times = (super()._next_timeout(), self._rest.next_timeout())
        return min((time for time in times if time is not None), default=None)


class _Witness(ClientLink):
    """A client whose line never fails."""

    def __init__(self, exchange: Exchange, clock: ManualClock, pairs: Iterable[tuple[str, str]]) -> None:
        connection = ServerConnection(clock=clock)
        connection._state = ConnectionState.READY
        connection._deadline = None
        super().__init__(exchange, connection)
        self.key = TOKEN
        self.registered = {"": {}}
        self.rows: list[Row] = []
        self._pairs = dict.fromkeys(pairs)

    def pairs(self) -> dict[tuple[str, str], None]:
        return self._pairs

    def kick(self) -> None:
        """The session logs in with the same app key."""

    def send_rows(self, rows: list[Row]) -> None:
        self.rows += rows


class _Ground:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.result = Healed(seed)
        self.is_regular = seed % 4 != 3
        self.clock = ManualClock()
        self.exchange = Exchange(
            seed=seed,
            start=REGULAR if self.is_regular else AFTER_HOURS,
            rate=self.random.choice([0.5, 3.0, 10.0]),
            clock=self.clock,
            rest_limit=1_000_000,
        )
        calls = [("0E", STOCKS[0]), ("0E", STOCKS[2])]
        if self.is_regular:
            calls = [("0B", item) for item in STOCKS] + [("0D", item) for item in STOCKS[:2]]
            calls += [("0J", "001"), ("00", ""), ("04", "")]
        self.witness = _Witness(self.exchange, self.clock, calls)
        self.exchange.links.append(self.witness)
        self.exchange.start_ticking()
        self.session = Session(PRODUCTION, CONFIG, clock=self.clock, random=self.random.random)
        self.rest = RestLine(self.session, self.exchange, self.clock, TOKEN, self.delay)
        self.rest.failure = lambda need: TransportError("cut") if self.random.random() < 0.03 else None
        self.network = _Network(self.session, self.exchange, self.clock, self.rest)
        self.session.connect(TOKEN)
        for type, item in calls:
            self.session.subscribe(type, *filter(None, (item,)))

    def delay(self) -> tuple[float, float]:
        slow = self.random.random() < 0.05
        return self.random.uniform(0, 3 if slow else 0.2), self.random.uniform(0, 3 if slow else 0.3)

    # What happens.

    def run(self) -> Healed:
        self.network.advance(self.random.uniform(1, 10))
        for _ in range(self.random.randint(2, 8)):
            self.trade()
            self.fail()
            self.trade()
            self.network.advance(self.random.choice([0.3, 2.0, 15.0]) * self.random.random())
        self.network.advance(120)
        self.check()
        return self.result

    def fail(self) -> None:
        network, seconds = self.network, self.random.choice([0.2, 1.0, 5.0, 40.0]) * self.random.random()
        match self.random.randrange(8):
            case 0:
                network.reset()
            case 1:
                self.exchange.drop(self.link)
            case 2:
                network.half_open()
            case 3:
                network.unreachable = "no route to host"
                network.reset()
                self.live(seconds)
                network.unreachable = None
            case 4:
                network.black_hole = True
                self.live(seconds)
                network.black_hole = False
            case 5:
                network.deaf = True
                self.live(seconds)
                network.deaf = False
            case 6:
                network.reset()
                self.live(0.3 * self.random.random())
                network.reset()
            case 7:
                self.exchange.close(self.link)
        self.live(seconds)

    @property
    def link(self) -> ClientLink:
        links = [link for link in self.exchange.links if link is not self.witness]
        return links[-1] if links else self.witness_of_nothing()

    def witness_of_nothing(self) -> ClientLink:
        return self.exchange.connect()

    def live(self, seconds: float) -> None:
        """Time passes, and orders are placed in it."""
        self.network.advance(seconds / 2)
        self.trade()
        self.network.advance(seconds / 2)

    def trade(self) -> None:
        if not self.is_regular:
            return
        for _ in range(self.random.randint(0, 3)):
            item = self.random.choice(STOCKS)
            side = "buy" if self.random.random() < 0.7 else "sell"
            stock = self.exchange._market.trading(item, self.exchange._market.moment(self.exchange._seconds())).stock
            book = stock.book
            price = self.random.choice([0, *book.ask_prices[:3], *book.bid_prices[:3]])
            self.exchange.place_order(TOKEN, item, side, self.random.randint(1, 300), price)  # type: ignore[arg-type]
        opened = [order for orders in self.exchange._market.accounts.open.values() for order in orders if order.status]
        if opened and self.random.random() < 0.4:
            self.withdraw(self.random.choice(opened).number)

    def withdraw(self, number: str) -> None:
        order = next(order for order in self.exchange._market.accounts.orders if order.number == number)
        amends = self.random.random() < 0.5
        quantity = self.random.choice([order.remaining, max(1, order.remaining // 2)])
        body = {
            "dmst_stex_tp": "NXT" if order.item.endswith("_NX") else "KRX",
            "orig_ord_no": number,
            "stk_cd": order.item[:6],
            **({"mdfy_qty": str(quantity), "mdfy_uv": str(order.price)} if amends else {"cncl_qty": str(quantity)}),
        }
        headers = {"api-id": "kt10002" if amends else "kt10003", "authorization": f"Bearer {TOKEN}"}
        self.exchange.answer_rest("/api/dostk/ordr", headers, json.dumps(body).encode())

    # What must be so.

    def check(self) -> None:
        events, result = self.network.events, self.result
        result.gaps = sum(isinstance(event, Gap) for event in events)
        result.snapshots = sum(isinstance(event, Snapshot) for event in events)
        result.missed = sum(len(event.missed) for event in events if isinstance(event, Snapshot))
        result.orders = len(self.exchange._market.accounts.orders)
        if not self.session.is_settled:
            self.complain("the session has not settled")
        recovered = [event for event in events if isinstance(event, Recovered)]
        if not recovered:
            self.complain("nothing was recovered")
        wanting = [
            str(each) for event in recovered[-1:] for each in event.results if each.extent is not Extent.COMPLETE
        ]
        if wanting:
            self.complain(f"not everything: {wanting}")
        if self.is_regular:
            for item in STOCKS:
                self.check_trades(item, events)
            for item in STOCKS[:2]:
                self.check_state("0D", item, BOOK)
            self.check_state("0J", "001", ("10", "13"))
            self.check_account(events)
        else:
            for item in (STOCKS[0], STOCKS[2]):
                self.check_state("0E", item, ("131", "135"))

    def complain(self, problem: str) -> None:
        self.result.problems.append(f"seed {self.result.seed}: {problem}")

    def check_trades(self, item: str, events: list[Event]) -> None:
        """Each trade once; and none before the first one known."""
        delivered = [row.fid("13") for row in _trades(events, item)]
        sent = [str(row.values["13"]) for row in self.witness.rows if row.type == "0B" and row.item == item]
        if not sent:
            self.complain(f"0B {item}: the witness has no rows")
        first = min(map(int, filter(None, delivered)), default=math.inf)
        sent = [volume for volume in sent if int(volume) >= first]
        if len(delivered) != len(set(delivered)):
            self.complain(f"0B {item}: {len(delivered) - len(set(delivered))} trades twice")
        elif set(delivered) != set(sent):
            lost, invented = set(sent) - set(delivered), set(delivered) - set(sent)
            self.complain(f"0B {item}: {len(lost)} of {len(sent)} trades are lost, {len(invented)} were never sent")

    def check_state(self, type: str, item: str, fids: tuple[str, ...]) -> None:
        """What is newest in the stream is the exchange's state, and no snapshot was older than a row before it."""

        def key_of(values: dict[str, str]) -> tuple[str | None, ...]:
            return tuple(values.get(fid) for fid in fids)

        sent = [
            key_of({k: str(v) for k, v in row.values.items()})
            for row in self.witness.rows
            if (row.type, row.item) == (type, item)
        ]
        place = {key: index for index, key in enumerate(sent)}
        newest, last_row = None, -1
        for event in self.network.events:
            if isinstance(event, Record) and (event.type_code, event.item) == (type, item):
                newest = key_of(event.fids())
                last_row = max(last_row, place.get(newest, -1))
            elif isinstance(event, Snapshot) and (event.type, event.item) == (type, item):
                assert event.record is not None
                newest = key_of(event.record.fids())
                if newest in place and place[newest] < last_row:
                    self.complain(f"{type} {item}: a snapshot is older than a row before it")
        if not sent:
            self.complain(f"{type} {item}: the witness has no rows")
        elif newest != sent[-1]:
            self.complain(f"{type} {item}: the newest state is not the exchange's")

    def check_account(self, events: list[Event]) -> None:
        state, twice = OrderState(), OrderState()
        for event in events:
            state.apply(event)
            twice.apply(event)
            twice.apply(event)
        accounts = self.exchange._market.accounts
        truth = {order.number: order for order in accounts.orders if order.status}
        opened = {
            number: order.remaining for number, order in truth.items() if order.is_open and order.task != "cancel"
        }
        known = {order.key.number: order.unfilled for order in state.open_orders}
        if known != opened:
            self.complain(f"open orders: {known} are known, {opened} are open")
        for number, order in truth.items():
            mine = state.orders.get(OrderKey(0, number))
            if order.filled and (mine is None or mine.filled != order.filled):
                self.complain(f"order {number}: {order.filled} filled, known: {mine and mine.filled}")
            if mine is not None and len({each.number for each in mine.executions}) != len(mine.executions):
                self.complain(f"order {number}: an execution twice")
        holdings = accounts.holdings(TOKEN, self.exchange._market.moment(self.exchange._seconds()).day)
        held = {code: (one.quantity, one.cost) for code, one in holdings.items() if one.quantity}
        mine_held = {key.code: (each.quantity, each.cost) for key, each in state.positions.items()}
        if held != mine_held:
            self.complain(f"holdings: {mine_held} are known, {held} are held")
        if not state.is_certain():
            self.complain("the order state is not certain")
        if (state.orders, state.positions) != (twice.orders, twice.positions):
            self.complain("events applied twice change the order state")


def _trades(events: list[Event], item: str) -> Iterator[Record]:
    for event in events:
        if isinstance(event, Record) and (event.type_code, event.item) == ("0B", item):
            yield event
        elif isinstance(event, Snapshot) and (event.type, event.item) == ("0B", item):
            yield from event.missed


def heal(seed: int) -> Healed:
    """Run one seed."""
    return _Ground(seed).run()

"""Healing: the exchange goes on while the line fails at random. What a program knows afterwards must be the truth.

A session with `recover=True` has trades, order books, an index, brokers, an ETF, an ELW, programs, orders and
holdings; or after-hours orders; or US trades, order books, orders and holdings. Its line fails in every way that
`SimulatedNetwork` knows, its REST calls take their time or fail, orders are placed, amended and cancelled all the
while. A witness, whose line never fails, sees every row. In the end

* each domestic trade since the first one known was delivered once, as a row or as a missed trade, and those of an item
  in their order, except for missed trades that are said to have come late;
* the newest state of each type in the stream is that of the exchange;
* every snapshot was a state that the exchange had, and not older than a row before it;
* `OrderState` has the open orders, the quantities filled and the holdings of the exchange.
"""

from __future__ import annotations

import datetime
import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Literal

import attrs
from tests.proto.rest_line import RestLine

from kiwoom_proto import PRODUCTION, US_PRODUCTION, ClientConfig, ClientConnection, Endpoint, Event, Record, Session
from kiwoom_proto.config import RecoveryPolicy
from kiwoom_proto.errors import TransportError
from kiwoom_proto.events import Extent, Gap, Recovered, Snapshot
from kiwoom_proto.session.order_state import OrderEnd, OrderKey, OrderState
from kiwoom_proto.simulator import ClientLink, Exchange, Order
from kiwoom_proto.testing import ManualClock, SimulatedNetwork

__all__ = ("Healed", "heal")

TOKEN, WITNESS = "token", "witness"
REGULAR, AFTER_HOURS, EVENING = datetime.time(10, 0), datetime.time(16, 5), datetime.time(23, 0)
STOCKS = "005930", "000660_NX", "035420"
ETF, ELW = "069500", "57JBHH"
US_STOCKS = "NVDA:ND", "KO:NY"
BOOK = tuple(str(fid) for fid in (*range(41, 81), 121, 125))
BROKERS = tuple(str(fid) for fid in (*range(141, 150), *range(161, 166), *range(171, 176), 261, 263))
STATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{("0D", item): BOOK for item in STOCKS[:2]},
    ("0F", STOCKS[0]): BROKERS,
    ("0G", ETF): ("36", "37", "38", "39"),
    ("0J", "001"): ("10", "13"),
    ("0m", ELW): ("10", "670"),
    ("0u", ELW): ("666", "667", "668"),
    ("0w", STOCKS[2]): ("202", "204", "206", "208", "210", "212"),
}
LATE_STATES: Mapping[tuple[str, str], tuple[str, ...]] = {("0E", item): ("131", "135") for item in STOCKS[::2]}
US_STATES: Mapping[tuple[str, str], tuple[str, ...]] = {
    **{("FE", item): ("10", "12", "13", "16", "17", "18") for item in US_STOCKS},
    **{("FT", item): BOOK for item in US_STOCKS},
}
"""What is compared: type and item -> FIDs."""
CONFIG = ClientConfig(
    connect_timeout=math.inf, takeover="reconnect", takeover_limit=1_000, recover=RecoveryPolicy(max_pages=100)
)


_LATE = re.compile(r"[0-9,]+ missed trades came late, after newer rows: [^;]*")


@attrs.define
class Healed:
    """What became of one seed.

    Attributes:
        seed: the seed.
        gaps: how many gaps there were.
        snapshots: how many snapshots.
        missed: how many trades were missed, and found.
        late: how many of them came after newer rows.
        orders: how many orders there were.
        problems: what is not as it must be.
    """

    seed: int
    gaps: int = 0
    snapshots: int = 0
    missed: int = 0
    late: int = 0
    orders: int = 0
    problems: list[str] = attrs.field(factory=list)


class _Witness:
    """A client whose line never fails, with an app key of its own.

    Attributes:
        rows: what it got.
        link: the exchange's end of its line.
    """

    def __init__(self, endpoint: Endpoint, exchange: Exchange, clock: ManualClock) -> None:
        self.rows: list[Record] = []
        self.client = ClientConnection(endpoint, clock=clock)
        self.client.connect(WITNESS)
        self.link = exchange.connect()

    def settle(self) -> None:
        """Carry what is due, both ways."""
        self.client.handle_timeout()
        moved = True
        while moved:
            to_server, to_client = self.client.data_to_send(), self.link.data_to_send()
            moved = bool(to_server or to_client)
            if to_server:
                self.link.receive_data(to_server)
            if to_client:
                self.client.receive_data(to_client)
        self.rows += [event for event in self.client.events() if isinstance(event, Record)]


class _Network(SimulatedNetwork):
    """A network with a line for REST beside it, which fails on its own, and the line of the witness, which does not."""

    def __init__(
        self, session: Session, exchange: Exchange, clock: ManualClock, rest: RestLine, witness: _Witness
    ) -> None:
        super().__init__(session, exchange, clock, lambda refused: TOKEN)
        self._rest = rest
        self._witness = witness

    def settle(self) -> None:
        super().settle()
        while self._rest.settle():
            super().settle()
        self._witness.settle()

    def _next_timeout(self) -> float | None:
        times = (super()._next_timeout(), self._rest.next_timeout(), self._witness.client.next_timeout())
        return min((time for time in times if time is not None), default=None)


class _Ground:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.result = Healed(seed)
        self.is_late, self.is_us = seed % 4 == 3, seed % 4 == 1
        self.clock = ManualClock()
        self.exchange = Exchange(
            seed=seed,
            start=AFTER_HOURS if self.is_late else EVENING if self.is_us else REGULAR,
            rate=self.random.choice([0.5, 3.0, 10.0]),
            clock=self.clock,
            rest_limit=1_000_000,
        )
        self.states = LATE_STATES if self.is_late else US_STATES if self.is_us else STATES
        self.traded = () if self.is_late else US_STOCKS if self.is_us else STOCKS
        calls = list(self.states)
        if self.traded:
            calls += [("F4", ""), ("F5", "")] if self.is_us else [("00", ""), ("04", "")]
            calls += [] if self.is_us else [("0B", item) for item in STOCKS]
        endpoint = US_PRODUCTION if self.is_us else PRODUCTION
        self.witness = _Witness(endpoint, self.exchange, self.clock)
        self.session = Session(endpoint, CONFIG, clock=self.clock, random=self.random.random)
        self.rest = RestLine(self.session, self.exchange, self.clock, TOKEN, self.delay)
        self.rest.failure = lambda need: TransportError("cut") if self.random.random() < 0.03 else None
        self.network = _Network(self.session, self.exchange, self.clock, self.rest, self.witness)
        self.network.advance(1)
        for type, item in calls:
            self.witness.client.subscribe(type, *filter(None, (item,)))
        self.network.advance(30)
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
        links = [link for link in self.exchange.links if link is not self.witness.link]
        return links[-1] if links else self.exchange.connect()

    def live(self, seconds: float) -> None:
        """Time passes, and orders are placed in it."""
        self.network.advance(seconds / 2)
        self.trade()
        self.network.advance(seconds / 2)

    def trade(self) -> None:
        if not self.traded:
            return
        unit = 10_000 if self.is_us else 1
        for _ in range(self.random.randint(0, 3)):
            item = self.random.choice(self.traded)
            side: Literal["buy", "sell"] = "buy" if self.random.random() < 0.7 else "sell"
            asks, bids = self.exchange.truth.prices(item)
            price = Decimal(self.random.choice([0, *asks[:3], *bids[:3]])) / unit
            self.exchange.place_order(TOKEN, item, side, self.random.randint(1, 300), price)
        opened = [order for order in self.exchange.truth.orders if order.is_open]
        if opened and not self.is_us and self.random.random() < 0.4:
            self.withdraw(self.random.choice(opened))

    def withdraw(self, order: Order) -> None:
        amends = self.random.random() < 0.5
        quantity = self.random.choice([order.remaining, max(1, order.remaining // 2)])
        body = {
            "dmst_stex_tp": "NXT" if order.item.endswith("_NX") else "KRX",
            "orig_ord_no": order.number,
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
        result.late = sum(event.late for event in events if isinstance(event, Snapshot))
        result.orders = len(self.exchange.truth.orders)
        if not self.session.is_settled:
            self.complain("the session has not settled")
        recovered = [event for event in events if isinstance(event, Recovered)]
        if not recovered:
            self.complain("nothing was recovered")
        wanting = [
            str(each)
            for event in recovered[-1:]
            for each in event.results
            if each.extent is not Extent.COMPLETE and not (result.late and _LATE.fullmatch(each.reason))
        ]
        if wanting:
            self.complain(f"not everything: {wanting}")
        for (type, item), fids in self.states.items():
            self.check_state(type, item, fids)
        if not self.is_us:
            for item in self.traded:
                self.check_trades(item, events)
        if self.traded:
            self.check_account(events)

    def complain(self, problem: str) -> None:
        self.result.problems.append(f"seed {self.result.seed}: {problem}")

    def check_trades(self, item: str, events: list[Event]) -> None:
        """Each trade once; none before the first one known; and in order."""
        in_order = [int(row.fid("13") or "") for row in _trades(events, item, with_late=False)]
        if in_order != sorted(in_order):
            back = [pair for pair in pairwise(in_order) if pair[0] >= pair[1]]
            self.complain(f"0B {item}: trades are out of order, {len(back)} times, first {back[0]}")
        delivered = [row.fid("13") for row in _trades(events, item)]
        sent = [row.fid("13") or "" for row in self.witness.rows if (row.type_code, row.item) == ("0B", item)]
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
        row_item = item.partition(":")[0] if self.is_us else item
        sent = [_key_of(row, fids) for row in self.witness.rows if (row.type_code, row.item) == (type, row_item)]
        places: dict[tuple[str, ...], list[int]] = {}
        for index, key in enumerate(sent):
            places.setdefault(key, []).append(index)
        newest, last_row = None, -1
        for event in self.network.events:
            if isinstance(event, Record) and (event.type_code, event.item) == (type, row_item):
                newest = _key_of(event, fids)
                # States come again: the row is the first one possible, a snapshot the last one.
                last_row = next((place for place in places.get(newest, ()) if place > last_row), last_row)
            elif isinstance(event, Snapshot) and (event.type, event.item) == (type, row_item):
                assert event.record is not None
                newest = _key_of(event.record, fids)
                if newest not in places:
                    self.complain(f"{type} {item}: a snapshot is of a state that never was: {newest}")
                elif places[newest][-1] < last_row:
                    self.complain(f"{type} {item}: a snapshot is older than a row before it")
        if not sent:
            self.complain(f"{type} {item}: the witness has no rows")
        elif newest != sent[-1]:
            self.complain(f"{type} {item}: the newest state is not the exchange's")

    def possible_ends(self, order: Order) -> set[OrderEnd | None]:
        """Return what a program may know of why an order is over: less after a gap, but nothing that is wrong."""
        if order.status == "거부":
            return {OrderEnd.REJECTED}
        if order.task == "cancel" or order.is_open:
            return {None}
        if order.filled == order.quantity:
            return {OrderEnd.FILLED}
        tasks = {each.task for each in self.exchange.truth.orders if each.original == order.number}
        names = {"cancel": OrderEnd.CANCELLED, "amend": OrderEnd.AMENDED}
        return {OrderEnd.UNKNOWN, *(names[task] for task in tasks)}

    def check_account(self, events: list[Event]) -> None:
        state, twice = OrderState(), OrderState()
        for event in events:
            state.apply(event)
            twice.apply(event)
            twice.apply(event)
        truth = {order.number: order for order in self.exchange.truth.orders}
        opened = {
            number: order.remaining for number, order in truth.items() if order.is_open and order.task != "cancel"
        }
        known = {order.key.number: order.unfilled for order in state.open_orders}
        if known != opened:
            self.complain(f"open orders: {known} are known, {opened} are open")
        for number, order in truth.items():
            mine = state.orders.get(OrderKey(0, number, self.is_us))
            if order.filled and (mine is None or mine.filled != order.filled):
                self.complain(f"order {number}: {order.filled} filled, known: {mine and mine.filled}")
            if mine is not None and mine.end not in self.possible_ends(order):
                self.complain(f"order {number}: it is {mine.end}, not one of {self.possible_ends(order)}")
            if mine is not None and len({each.number for each in mine.executions}) != len(mine.executions):
                self.complain(f"order {number}: an execution twice")
        held: dict[str, tuple[int, object]] = {
            code.partition(":")[0]: (one.quantity, Decimal(one.average) / 10_000 if self.is_us else one.cost)
            for code, one in self.exchange.truth.holdings(TOKEN).items()
        }
        mine_held: dict[str, tuple[int, object]] = {
            key.code: (each.quantity, each.average_price if self.is_us else each.cost)
            for key, each in state.positions.items()
        }
        if held != mine_held:
            self.complain(f"holdings: {mine_held} are known, {held} are held")
        if not state.is_certain():
            self.complain("the order state is not certain")
        if (state.orders, state.positions) != (twice.orders, twice.positions):
            self.complain("events applied twice change the order state")


def _key_of(record: Record, fids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_same(record.fid(fid) or "") for fid in fids)


def _same(text: str) -> str:
    """Return a number without what rows and TRs write differently: " 450" and "450.00" are the same."""
    try:
        return str(Decimal(text).normalize())
    except InvalidOperation:
        return text.strip()


def _trades(events: list[Event], item: str, *, with_late: bool = True) -> Iterator[Record]:
    for event in events:
        if isinstance(event, Record) and (event.type_code, event.item) == ("0B", item):
            yield event
        elif isinstance(event, Snapshot) and (event.type, event.item) == ("0B", item):
            yield from event.missed if with_late else event.missed[event.late :]


def heal(seed: int) -> Healed:
    """Run one seed."""
    return _Ground(seed).run()

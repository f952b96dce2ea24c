"""OrderState: the orders and holdings of accounts, from rows of 00 and 04 (US: F4 and F5) and the snapshots after gaps.

    state = OrderState()
    async for event in client:
        state.apply(event)

* Events are applied in any number and order: repeating one, or applying one that is older than another about the same
  order, changes nothing. The quantity filled never becomes less, and what is left never becomes more.
* A snapshot that is complete says more than its records: an order that was open and is not among them is over, and a
  holding that is not among them is sold.
* A confirmed cancellation or amendment takes its quantity from the original order, whether or not a row of that says
  so.
* An account is the `token_index` of its events, since an app key has one account. Its number is not kept.
* Order numbers begin anew every day. So a row of another day about the same number is about another order. The day of
  domestic orders begins at midnight, that of US orders at 08:00 in Korea [guessed].
* Of what happened in a gap the TRs give the sum for each order, not each execution: see `Order.executions`. They do not
  say why an order is over: `OrderEnd.UNKNOWN`.

What is not an order or a holding is not kept, and the past is not either: `forget_closed`.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import attrs

from ..display import quoted, repr_of, rich_repr
from ..errors import FieldError
from ..events import Disconnected, Event, Gap, Snapshot
from ..realtime.account import Balance, OrderExecution, UsExecution, UsOrder
from ..realtime.codes import OrderStatus, Side
from ..realtime.record import KST, Record
from ..secrets import redact
from ..symbol import Symbol, parse_item, parse_stock_code

__all__ = ("Execution", "Order", "OrderEnd", "OrderKey", "OrderState", "Position", "PositionKey")

Money: TypeAlias = int | Decimal
US_DAY_BEGINS = datetime.timedelta(hours=8)
_ORDERS = OrderExecution, UsOrder, UsExecution
_US_CANCEL = "12"


class OrderKey(NamedTuple):
    """What tells orders apart.

    Attributes:
        account: the `token_index` of its events.
        number: the order number, as received.
        is_us: whether it is an order for a US stock: they are numbered apart.
    """

    account: int
    number: str
    is_us: bool = False


class PositionKey(NamedTuple):
    """What tells holdings apart.

    Attributes:
        account: the `token_index` of its events.
        code: the code of the stock, without a letter in front.
        credit_type: 신용구분, "" for shares bought with cash.
        loan_date: 대출일; None if there is none.
    """

    account: int
    code: str
    credit_type: str = ""
    loan_date: datetime.date | None = None


class OrderEnd(enum.Enum):
    """Why an order is over."""

    FILLED = "filled"
    """All of its shares were traded."""
    CANCELLED = "cancelled"
    """Shares that were not traded were taken back."""
    AMENDED = "amended"
    """Shares that were not traded went over to the order that amends it."""
    REJECTED = "rejected"
    """The exchange or the broker refused it: see `Order.rejection`."""
    UNKNOWN = "unknown"
    """It ended in a gap, and no TR says how."""


@attrs.frozen(repr=False)
class Execution:
    """One execution of an order, as a row reported it.

    Attributes:
        number: the execution number (체결번호).
        quantity: shares.
        price: price of one share.
        time: when, in Korea; None if the row does not say.
    """

    number: str
    quantity: int
    price: Money | None
    time: datetime.time | None

    def __repr__(self) -> str:
        return repr_of(self, attrs.asdict(self, recurse=False))

    __rich_repr__ = rich_repr


@attrs.frozen(repr=False)
class Order:
    """One order. What is not known is None.

    Attributes:
        key: account and number.
        code: the code of the stock, without a letter in front.
        side: buy or sell.
        quantity: shares ordered.
        price: limit; 0 is a market order.
        filled: shares traded.
        unfilled: shares left to trade; 0 once it is over.
        amount: total price of the shares traded.
        status: what happened to it last.
        original: number of the order that it amends or cancels.
        rejection: why it was rejected; "" if it was not.
        is_cancellation: whether it only takes shares of the original order back.
        executions: those that rows reported, in the order received. The rest of `filled` was traded in gaps.
        withdrawn: number of an order -> shares of this one that it has cancelled or taken over.
        cancelled: those of them that were cancelled.
        day: the day that its number belongs to.
    """

    key: OrderKey
    code: str = ""
    side: Side | None = None
    quantity: int | None = None
    price: Money | None = None
    filled: int = 0
    unfilled: int = 0
    amount: Money | None = None
    status: OrderStatus | None = None
    original: str | None = None
    rejection: str = ""
    is_cancellation: bool = False
    executions: tuple[Execution, ...] = ()
    withdrawn: Mapping[str, int] = attrs.field(factory=dict, eq=False)
    cancelled: int = 0
    day: datetime.date | None = None

    def __repr__(self) -> str:
        members = {name: getattr(self, name) for name in _SHOWN if getattr(self, name) is not None}
        executions = f"<{len(self.executions)} executions>"
        shown = {"rejection": lambda text: quoted(redact(text)), "executions": lambda _: executions}
        return repr_of(self, members, shown)

    __rich_repr__ = rich_repr

    @property
    def symbol(self) -> Symbol | None:
        """The stock, as it is subscribed to; None of US orders, which do not name the exchange."""
        return None if self.key.is_us else parse_item(self.code)

    @property
    def is_open(self) -> bool:
        """Whether shares may still be traded."""
        return self.unfilled > 0 and not self.is_cancellation

    @property
    def end(self) -> OrderEnd | None:
        """Why it is over; None while it is open, and for a cancellation that was not rejected."""
        if self.status is OrderStatus.REJECTED:
            return OrderEnd.REJECTED
        if self.is_cancellation or self.unfilled:
            return None
        if self.quantity is not None and self.filled >= self.quantity:
            return OrderEnd.FILLED
        if self.cancelled or self.status is OrderStatus.CANCELLED:
            return OrderEnd.CANCELLED
        return OrderEnd.AMENDED if self.withdrawn else OrderEnd.UNKNOWN

    @property
    def unreported(self) -> int:
        """Shares that were traded without a row that said so: in a gap."""
        return max(0, self.filled - sum(execution.quantity for execution in self.executions))


_SHOWN = (
    *("key", "code", "side", "quantity", "price", "filled", "unfilled", "status", "end", "original", "rejection"),
    *("is_cancellation", "executions"),
)


@attrs.frozen(repr=False)
class Position:
    """The holding of one stock.

    Attributes:
        key: account and stock.
        quantity: shares held.
        average_price: purchase price of one share.
        cost: purchase cost of all.
        orderable: shares that can be offered for sale; None if unknown.
    """

    key: PositionKey
    quantity: int
    average_price: Money | None = None
    cost: Money | None = None
    orderable: int | None = None

    def __repr__(self) -> str:
        return repr_of(self, attrs.asdict(self, recurse=False))

    __rich_repr__ = rich_repr


class OrderState:
    """Orders and holdings of any number of accounts.

    Attributes:
        unreadable: number of rows that could not be applied, because a value in them could not be read.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self._orders: dict[OrderKey, Order] = {}
        self._positions: dict[PositionKey, Position] = {}
        self._told: dict[int, set[str]] = {}  # account -> types of the complete snapshots since the last loss

    @property
    def orders(self) -> Mapping[OrderKey, Order]:
        """Every order that is known, the oldest first."""
        return MappingProxyType(self._orders)

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """The orders that may still be traded."""
        return tuple(order for order in self._orders.values() if order.is_open)

    @property
    def positions(self) -> Mapping[PositionKey, Position]:
        """The holdings."""
        return MappingProxyType(self._positions)

    def is_certain(self, account: int = 0) -> bool:
        """Return whether nothing is missing: after the snapshots of 00 and 04 (US: F5), until a `Disconnected`."""
        told = self._told.get(account, set())
        return told >= {"00", "04"} or "F5" in told

    def apply(self, event: Event) -> None:
        """Apply an event. Other events than those about accounts change nothing."""
        if isinstance(event, Record):
            if isinstance(event, (*_ORDERS, Balance)):
                self._apply(event, event.token_index)
        elif isinstance(event, Snapshot):
            self._apply_snapshot(event)
        elif isinstance(event, Disconnected | Gap):
            self._told.pop(event.token_index, None)

    def forget_closed(self) -> None:
        """Forget the orders that are over."""
        self._orders = {key: order for key, order in self._orders.items() if order.is_open}

    def __repr__(self) -> str:
        counts = f"{len(self._orders)} orders, {len(self.open_orders)} of them open, {len(self._positions)} holdings"
        return f"<OrderState: {counts}>"

    # Internals.

    def _apply_snapshot(self, snapshot: Snapshot) -> None:
        account = snapshot.token_index
        for record in snapshot.records:
            self._apply(record, account)
        if not snapshot.is_complete:
            return
        self._told.setdefault(account, set()).add(snapshot.type)
        if snapshot.type in ("04", "F5"):
            self._drop_positions(snapshot.records, account, is_us=snapshot.type == "F5")
        if snapshot.type in ("00", "F5"):
            self._close_orders(snapshot.records, account, is_us=snapshot.type == "F5")

    def _drop_positions(self, records: tuple[Record, ...], account: int, *, is_us: bool) -> None:
        """Drop the holdings that are not among these."""
        held = {_code_of(record) for record in records if isinstance(record, UsExecution)}
        keys = {_position_key(record, account) for record in records if isinstance(record, Balance)}
        for key in tuple(self._positions):
            is_held = key.code in held if is_us else key in keys
            if key.account == account and _is_domestic(key) is not is_us and not is_held:
                del self._positions[key]

    def _close_orders(self, records: tuple[Record, ...], account: int, *, is_us: bool) -> None:
        """Close the orders that are not among these."""
        told = {record.order_number for record in records if isinstance(record, OrderExecution | UsExecution)}
        for key, order in self._orders.items():
            if key.account == account and key.is_us is is_us and order.unfilled and key.number not in told:
                self._orders[key] = attrs.evolve(order, unfilled=0)

    def _apply(self, record: Record, account: int) -> None:
        try:
            if isinstance(record, Balance):
                self._apply_balance(record, account)
            elif isinstance(record, _ORDERS):
                self._apply_order(record, account)
        except FieldError:
            self.unreadable += 1

    def _apply_balance(self, record: Balance, account: int) -> None:
        key, quantity = _position_key(record, account), record.holding_quantity
        if quantity is None or not key.code:
            return
        if not quantity:
            self._positions.pop(key, None)
            return
        self._positions[key] = Position(
            key, quantity, record.purchase_price, record.purchase_amount, record.orderable_quantity
        )

    def _apply_order(self, record: OrderExecution | UsOrder | UsExecution, account: int) -> None:
        if isinstance(record, UsExecution):
            self._apply_us_holding(record, account)
        if record.order_number is None:
            return
        key = OrderKey(account, record.order_number, not isinstance(record, OrderExecution))
        day, known = _day_of(record), self._orders.get(key)
        if known is not None and day is not None and known.day is not None and day != known.day:
            if day < known.day:
                return
            known = None
            del self._orders[key]
        self._orders[key] = order = _merged(known or Order(key, day=day), record)
        if order.status is OrderStatus.CONFIRMED and order.original is not None:
            self._withdraw(order, OrderKey(account, order.original, key.is_us))

    def _withdraw(self, order: Order, key: OrderKey) -> None:
        """Take the shares of a confirmed cancellation or amendment from the original order."""
        original = self._orders.get(key)
        if original is None or original.day != order.day:
            return
        number, quantity = order.key.number, order.quantity or original.unfilled
        is_new = order.is_cancellation and number not in original.withdrawn
        withdrawn = {**original.withdrawn, number: quantity}
        left = (original.quantity or 0) - original.filled - sum(withdrawn.values())
        self._orders[key] = attrs.evolve(
            original,
            withdrawn=withdrawn,
            cancelled=original.cancelled + (quantity if is_new else 0),
            unfilled=max(0, min(original.unfilled, left)),
        )

    def _apply_us_holding(self, record: UsExecution, account: int) -> None:
        quantity = record.holding_quantity
        key = PositionKey(account, (record.stock_code or "").strip())
        if quantity is None or not key.code:
            return
        if quantity:
            self._positions[key] = Position(key, quantity, record.purchase_price)
        else:
            self._positions.pop(key, None)


def _merged(known: Order, record: OrderExecution | UsOrder | UsExecution) -> Order:
    """Return an order after one more record about it, whichever of the two is newer."""
    quantity = record.order_quantity if record.order_quantity is not None else known.quantity
    status, unfilled, filled, amount = record.order_status, None, 0, None
    executions, rejection = known.executions, known.rejection
    if not isinstance(record, UsOrder):
        unfilled, filled = record.unfilled_quantity, record.execution_quantity or 0
    if isinstance(record, OrderExecution):
        amount = record.executed_amount
        executions = _with_execution(executions, record)
        if status is OrderStatus.REJECTED:
            rejection = record.rejection_reason or rejection
    is_first = known.quantity is None
    is_older = not is_first and (filled < known.filled or (unfilled is not None and unfilled > known.unfilled))
    filled = max(filled, known.filled)
    limits = [] if is_first else [known.unfilled]
    limits += [] if quantity is None else [max(0, quantity - filled - sum(known.withdrawn.values()))]
    limits += [] if unfilled is None else [unfilled]
    limits += [0] if status is OrderStatus.REJECTED else []
    return attrs.evolve(
        known,
        code=known.code or _code_of(record),
        side=record.side or known.side,
        quantity=quantity,
        price=record.order_price if record.order_price is not None else known.price,
        filled=filled,
        unfilled=min(limits, default=0),
        amount=known.amount if amount is None else max(amount, known.amount or 0),
        status=known.status if is_older or status is None else status,
        original=record.original_order_number or known.original,
        rejection=rejection,
        is_cancellation=known.is_cancellation or _is_cancellation(record),
        executions=executions,
    )


def _with_execution(known: tuple[Execution, ...], record: OrderExecution) -> tuple[Execution, ...]:
    number, quantity = record.execution_number, record.unit_execution_quantity
    if number is None or not quantity or any(execution.number == number for execution in known):
        return known
    price = record.unit_execution_price if record.unit_execution_price is not None else record.execution_price
    return *known, Execution(number, quantity, price, record.time)


def _is_cancellation(record: OrderExecution | UsOrder | UsExecution) -> bool:
    kind = record.order_kind
    return kind is not None and (kind == _US_CANCEL or "취소" in kind)


def _code_of(record: Record) -> str:
    symbol = parse_stock_code((record.fid("9001") or "").strip())
    return "" if symbol is None else symbol.code


def _position_key(record: Balance, account: int) -> PositionKey:
    return PositionKey(account, _code_of(record), (record.credit_type or "").strip("0"), record.loan_date)


def _is_domestic(key: PositionKey) -> bool:
    """Return whether a code is one of KRX: these begin with a digit, and those of US stocks do not."""
    return key.code[:1].isdigit()


def _day_of(record: Record) -> datetime.date | None:
    if not record.received_at:
        return None
    moment = datetime.datetime.fromtimestamp(record.received_at / 1e9, KST)
    return (moment if isinstance(record, OrderExecution) else moment - US_DAY_BEGINS).date()

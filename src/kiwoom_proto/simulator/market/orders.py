"""Orders placed on the simulator, and the rows that report them: 00 and 04, for US stocks F4 and F5.

An order is accepted (접수) at the next event of its stock during trading hours. From then on it is filled as the market
trades: at once against the best level if its price allows it, otherwise by trades that aggressors of the other side
make at its price or a better one. The order is not shown in the book. A sale of more than is held is refused.

An order can be amended or cancelled, in whole or in part. Each is an order of its own, with its own number and that of
the original: a row of 접수, one of 확인, and one of the original with what is left of it. That the rows come in this
order is a choice.

The rows are sent whatever item was registered. Their item is the stock: its code without a venue, as in all examples.

Sources: official pages 00, 04, F4 and F5. The order of the keys of 00, the empty strings of an order without a fill and
the space in FID 10010 are [measured]. It is a choice that 911 is the total of an order's executions and 915 the last
execution only.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from types import MappingProxyType

import attrs

from ...errors import LocalProtocolError
from ...wire.messages import Row
from .account import MARKET_PRICE, Holding, Order, Side, Task, fee_of, tax_of
from .formats import percent, price, signed, spaced_price
from .instrument import Instrument, tick_size
from .sessions import Moment
from .source import Push
from .stock import Stock
from .us import us_execution, us_order

__all__ = ("EXCHANGES", "ORDER_TYPES", "Accounts", "is_on_tick", "is_possible", "task_name", "unfilled")

ORDER_TYPES = "00", "F4"
"""Types of the rows that report orders: of domestic stocks, of US stocks."""
CASH = 100_000_000
"""Cash of every account at first, in won."""
MAX_ORDERS = 10_000
"""Number of orders, over all accounts, that are remembered."""
MAX_OPEN = 1_000
"""Maximum open orders of an account whose orders come over REST."""
MAX_ACCOUNTS = 1_000
"""Maximum accounts with trades whose orders come over REST."""


class Accounts:
    """Accepts orders and keeps the accounts."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0
        self._executions = 0
        self._holdings: dict[tuple[str, str], Holding] = {}
        self._cash: dict[str, int] = {}
        self.open: dict[str, list[Order]] = {}
        """Item -> its open orders."""
        self.orders: deque[Order] = deque(maxlen=MAX_ORDERS)
        """The orders of all accounts, oldest first."""

    def place(self, key: str, item: str, side: Side, quantity: int, price: int | Decimal) -> Order:
        """Place an order. Arguments and errors are those of `Exchange.place_order`."""
        if side not in ("buy", "sell"):
            raise LocalProtocolError(f'side: must be "buy" or "sell", not {side!r}')
        if not item or quantity <= 0 or price < 0:
            raise LocalProtocolError("an order needs an item, a quantity above 0 and a price not below 0")
        scaled = Decimal(price) * (10_000 if ":" in item else 1)
        if scaled != int(scaled):
            raise LocalProtocolError(f"price: {price} is finer than prices of {item} are")
        self._count += 1
        order = Order(
            key=key,
            account=self.account_of(key),
            number=f"{self._count:0{9 if ':' in item else 7}}",
            item=item,
            side=side,
            quantity=quantity,
            price=int(scaled),
        )
        self.open.setdefault(item, []).append(order)
        self.orders.append(order)
        return order

    def withdraw(
        self, original: Order, quantity: int, task: Task, price: int, stock: Stock, moment: Moment
    ) -> tuple[Order, list[Push]]:
        """Cancel shares of an open order, or amend their price. Returns the order that does it, and the rows."""
        self._count += 1
        order = Order(
            key=original.key,
            account=original.account,
            number=f"{self._count:07}",
            item=original.item,
            side=original.side,
            quantity=quantity,
            price=price,
            status="접수",
            task=task,
            original=original.number,
            day=moment.day,
            time=moment.text,
        )
        self.orders.append(order)
        pushes = self._told(order, stock, moment, None)
        order.status = "확인"
        original.withdrawn += quantity
        if task == "amend":
            self.open[order.item].append(order)
        if not original.remaining:
            self._drop(original)
        pushes += self._told(order, stock, moment, None)
        rest = attrs.evolve(original, status="접수")  # a row of 체결 would be that of a trade
        return order, pushes + self._told(rest, stock, moment, None)

    def orders_of(self, key: str, day: int) -> list[Order]:
        """Return the domestic orders of an account that are open, or that the market processed on a day."""
        return [
            order
            for order in self.orders
            if order.key == key and ":" not in order.item and order.status and (order.day == day or order.is_open)
        ]

    def us_orders_of(self, key: str) -> list[Order]:
        """Return the US orders of an account that the market has processed."""
        return [order for order in self.orders if order.key == key and ":" in order.item and order.status]

    def cash(self, key: str) -> int:
        """Return the cash of an account, in won."""
        return self._cash.get(key, CASH)

    def reserved(self, key: str, price_of: Callable[[Order], int]) -> int:
        """Return the cash that the open orders of an account may need; `price_of` says at which price each trades."""
        return sum(
            order.remaining * price_of(order)
            for item, orders in self.open.items()
            if ":" not in item
            for order in orders
            if order.key == key and order.buys
        )

    def holdings(self, key: str, day: int) -> dict[str, Holding]:
        """Return code -> holding of the domestic stocks that an account holds, or has sold on this day."""
        found = {code: one for (owner, code), one in self._holdings.items() if owner == key and ":" not in code}
        for holding in found.values():
            holding.start_day(day)
        return {code: one for code, one in found.items() if one.quantity or one.sold_today}

    def us_holdings(self, key: str) -> dict[str, Holding]:
        """Return item -> holding of the US stocks that an account holds."""
        return {
            code: one for (owner, code), one in self._holdings.items() if owner == key and ":" in code and one.quantity
        }

    def can_take(self, key: str) -> bool:
        """Return whether a further order of this account is taken. Not all of them can be remembered."""
        known = key in self._cash or any(order.key == key for order in self.orders)
        waiting = sum(order.key == key for orders in self.open.values() for order in orders)
        return waiting < MAX_OPEN and (known or len(self._cash) < MAX_ACCOUNTS)

    def account_of(self, key: str) -> str:
        """Return the account number of an app key: ten digits, always the same for a key and a seed."""
        return f"81{random.Random(f'{self._seed}/account/{key}').randrange(10**8):08}"

    def holding(self, key: str, item: str) -> Holding:
        """Return an account's holding of a stock, shared by all domestic venues."""
        return self._holdings.setdefault((key, _code_of(item)), Holding())

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Return the (type, item) pairs that the market must run for the open orders."""
        return ((ORDER_TYPES[":" in item], item) for item in self.open)

    def orderable(self, key: str, item: str) -> int:
        """Return how many shares can still be offered for sale."""
        code = _code_of(item)
        offered = sum(
            order.remaining
            for orders in self.open.values()
            for order in orders
            if order.key == key and order.status and not order.buys and _code_of(order.item) == code
        )
        return self.holding(key, item).quantity - offered

    # Called by the stock's source.

    def take(self, stock: Stock, moment: Moment) -> list[Push]:
        """Accept or refuse the new orders of a stock. Returns the rows that report it."""
        pushes = []
        for order in [order for order in self.open[stock.item] if not order.status]:
            order.day, order.time = moment.day, moment.text
            if not order.buys and order.quantity > self.orderable(order.key, stock.item):
                order.refusal = "매도가능수량이 부족합니다"
            elif not is_possible(order.price, stock.instrument):
                order.refusal = "주문가격이 올바르지 않습니다"
            if order.refusal:
                order.status = "거부"
                self._drop(order)
            else:
                order.status = "접수"
            pushes += self._told(order, stock, moment, None)
        return pushes

    def aggressor(self, stock: Stock) -> Order | None:
        """Return the first order whose price the best level of the other side meets, or None."""
        book = stock.book
        for order in self.open[stock.item]:
            if order.status and order.accepts(book.ask_prices[0] if order.buys else book.bid_prices[0]):
                return order
        return None

    def waiting(self, stock: Stock, buyer: bool, price: int) -> list[Order]:
        """Return the resting orders that an aggressor's trade at this price can fill."""
        return [
            order
            for order in self.open.get(stock.item, ())
            if order.status and order.buys != buyer and order.price and order.accepts(price)
        ]

    def fill(self, order: Order, stock: Stock, quantity: int, price: int, moment: Moment) -> list[Push]:
        """Record a fill of an order. Returns the rows that report it."""
        order.filled += quantity
        order.amount += quantity * price
        order.status = "체결"
        order.last_price, order.last_quantity = price, quantity
        holding = self.holding(order.key, order.item)
        holding.start_day(moment.day)
        holding.fill(order.buys, quantity, price)
        self._executions += 1
        order.execution = self._executions
        if stock.instrument.kind != "us":
            self._pay(order, quantity * price)
        if not order.remaining:
            self._drop(order)
        return self._told(order, stock, moment, (self._executions, quantity, price))

    # Internals.

    def _pay(self, order: Order, amount: int) -> None:
        """Move the cash of a trade. The fee and the tax are those of the order's whole amount so far."""
        before = order.amount - amount
        fees = order.fee - fee_of(before) + order.tax - (0 if order.buys else tax_of(before))
        self._cash[order.key] = self.cash(order.key) + (-amount if order.buys else amount) - fees

    def _drop(self, order: Order) -> None:
        orders = self.open[order.item]
        orders.remove(order)
        if not orders:
            del self.open[order.item]

    def _told(self, order: Order, stock: Stock, moment: Moment, fill: tuple[int, int, int] | None) -> list[Push]:
        holding = self.holding(order.key, order.item)
        code = stock.instrument.code
        if stock.instrument.kind == "us":
            told = us_execution(order, holding, stock, moment, fill)
            pushes = [Push(("F5", ""), Row(told, "F5", "해외주식체결", code), order.key)]
            if order.status == "접수":
                sent = us_order(order, stock, moment)
                pushes.insert(0, Push(("F4", ""), Row(sent, "F4", "해외주식주문", code), order.key))
            return pushes
        values = _execution(order, stock, moment, fill)
        pushes = [Push(("00", ""), Row(values, "00", "주문체결", code), order.key)]
        if fill is not None:
            orderable = self.orderable(order.key, order.item)
            balance = _balance(order, holding, orderable, stock)
            pushes.append(Push(("04", ""), Row(balance, "04", "현물잔고", code), order.key))
        return pushes


def _code_of(item: str) -> str:
    return item.removesuffix("_NX").removesuffix("_AL")


EXCHANGES = MappingProxyType({"SOR": ("0", "통합"), "KRX": ("1", "KRX"), "NXT": ("2", "NXT")})


_TASKS = MappingProxyType({"new": "", "amend": "정정", "cancel": "취소"})


def task_name(order: Order) -> str:
    """Return 주문구분: "+매수", "-매도", "+매수정정", "매수취소" ..."""
    side = "매수" if order.buys else "매도"
    sign = "" if order.task == "cancel" else "+" if order.buys else "-"
    return f"{sign}{side}{_TASKS[order.task]}"


def unfilled(order: Order) -> int:
    """Return 미체결수량: of a cancellation, the shares to cancel, until it is confirmed."""
    if order.task == "cancel":
        return order.quantity if order.status == "접수" else 0
    return 0 if order.status == "거부" else order.remaining


def _execution(order: Order, stock: Stock, moment: Moment, fill: tuple[int, int, int] | None) -> dict[str, str]:
    """Return the values of 00."""
    reference, book = stock.instrument.reference, stock.book
    number, quantity, at = fill or ("", "", "")
    exchange, exchange_name = EXCHANGES[stock.venue]
    return {
        "9201": order.account,
        "9203": order.number,
        "9205": "",
        "9001": stock.instrument.code,
        "912": "JJ",
        "913": order.status,
        "302": stock.instrument.name,
        "900": str(order.quantity),
        "901": str(order.price),
        "902": str(unfilled(order)),
        "903": str(order.amount),
        "904": order.original,
        "905": task_name(order),
        "906": "시장가" if order.price == MARKET_PRICE else "보통",
        "907": "2" if order.buys else "1",
        "908": moment.text,
        "909": str(number),
        "910": str(at),
        "911": str(order.filled) if order.filled else "",
        "10": price(stock.last, reference),
        "27": price(book.ask_prices[0], reference),
        "28": price(book.bid_prices[0], reference),
        "914": str(at),
        "915": str(quantity),
        "938": str(order.fee),
        "939": str(order.tax),
        "919": order.refusal or "0",
        "920": "",
        "921": "6801005",
        "922": "00",
        "923": "",
        "10010": spaced_price(reference, reference),
        "2134": exchange,
        "2135": exchange_name,
        "2136": "Y" if stock.venue == "SOR" else "N",
    }


def _balance(order: Order, holding: Holding, orderable: int, stock: Stock) -> dict[str, str]:
    """Return the values of 04."""
    reference, book = stock.instrument.reference, stock.book
    return {
        "9201": order.account,
        "9001": stock.instrument.code,
        "917": "00",
        "916": "00000000",
        "302": stock.instrument.name,
        "10": price(stock.last, reference),
        "930": str(holding.quantity),
        "931": str(holding.average),
        "932": str(holding.cost),
        "933": str(orderable),
        "945": signed(holding.bought_today - holding.sold_today),
        "946": "2" if order.buys else "1",
        "950": signed(holding.profit),
        "951": "0",
        "27": price(book.ask_prices[0], reference),
        "28": price(book.bid_prices[0], reference),
        "307": str(reference),
        "8019": percent(holding.profit, holding.sold_cost),
        "957": "0",
        "958": "0",
        "918": "00000000",
        "990": signed(holding.profit),
        "991": percent(holding.profit, holding.sold_cost),
        "992": "0",
        "993": "0.00",
        "959": "0",
        "924": "0",
    }


def is_possible(price: int, instrument: Instrument) -> bool:
    """Return whether a limit is on a tick and within the day's limits, or 0 (a market order). US prices always are."""
    if instrument.kind == "us" or price == 0:
        return True
    return is_on_tick(price, instrument) and instrument.lower <= price <= instrument.upper


def is_on_tick(price: int, instrument: Instrument) -> bool:
    """Return whether a limit is on a tick of the instrument."""
    return price % tick_size(price, instrument.kind) == 0

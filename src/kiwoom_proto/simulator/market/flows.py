"""Rows of trading by broker (0F) and program trading (0w). Both are updated by the trades of the same stock."""

from __future__ import annotations

import random

from .formats import percent, price, signed
from .names import BROKERS
from .sessions import Moment
from .stock import Stock, Trade

__all__ = ("Flows",)

MILLION = 1_000_000
RANKS = 5


class Flows:
    """Today's trading in one stock, by broker and by program.

    Args:
        stock: the stock, after `prepare`.
        draw: random number generator.
    """

    def __init__(self, stock: Stock, draw: random.Random) -> None:
        self._stock = stock
        self._random = draw
        self.start_day()

    def start_day(self) -> None:
        """Start a day with totals for the volume traded before the stock was first wanted."""
        stock, draw = self._stock, self._random
        self._brokers = (_BrokerTotals(stock.volume, draw), _BrokerTotals(stock.volume, draw))  # sellers, buyers
        average = stock.turnover // stock.volume if stock.volume else 0
        self._sold, self._bought = stock.volume * draw.randint(5, 25) // 100, stock.volume * draw.randint(5, 25) // 100
        self._sold_for, self._bought_for = self._sold * average, self._bought * average
        self._net_told = self._bought - self._sold
        self._net_amount_told = self._bought_for // MILLION - self._sold_for // MILLION

    def take(self, trade: Trade) -> bool:
        """Record a trade. Returns whether the aggressor was a program."""
        draw = self._random.random
        sellers, buyers = self._brokers
        sellers.add(draw(), trade.quantity)
        buyers.add(draw(), trade.quantity)
        if draw() > 0.3:
            return False
        if trade.buyer:
            self._bought += trade.quantity
            self._bought_for += trade.quantity * trade.price
        else:
            self._sold += trade.quantity
            self._sold_for += trade.quantity * trade.price
        return True

    def program_row(self, moment: Moment) -> dict[str, str]:
        """Return the values of 0w. Amounts in million won, 213 before 211, no plus sign on the net: all [measured]."""
        stock = self._stock
        reference, last = stock.instrument.reference, stock.last
        sold_for, bought_for = self._sold_for // MILLION, self._bought_for // MILLION
        net, net_amount = self._bought - self._sold, bought_for - sold_for
        values = {
            "20": moment.text,
            "10": price(last, reference),
            "25": stock.sign,
            "11": signed(last - reference),
            "12": percent(last - reference, reference),
            "13": str(stock.volume),
            "202": str(self._sold),
            "204": str(sold_for),
            "206": str(self._bought),
            "208": str(bought_for),
            "210": str(net),
            "212": str(net_amount),
            "213": str(net_amount - self._net_amount_told),
            "211": str(net - self._net_told),
        }
        self._net_told, self._net_amount_told = net, net_amount
        return values

    def broker_row(self) -> dict[str, str]:
        """Return the values of 0F: the five largest sellers and buyers, each with its change since the previous row."""
        sellers, buyers = (totals.rank() for totals in self._brokers)
        values: dict[str, str] = {}
        for rank in range(RANKS):
            for fids, told in (((141, 161, 166, 146, 271), sellers), ((151, 171, 176, 156, 281), buyers)):
                values.update(zip((str(fid + rank) for fid in fids), told.ranks[rank], strict=True))
        values["261"], values["262"] = str(sellers.foreign), signed(sellers.foreign_change)
        values["263"], values["264"] = str(buyers.foreign), signed(buyers.foreign_change)
        values["267"] = signed(buyers.foreign - sellers.foreign)
        values["268"] = signed(buyers.foreign_change - sellers.foreign_change)
        values["337"] = "2" if self._stock.venue == "NXT" else "1"
        return values


class _Ranking:
    """The largest brokers of one side, with the values of a row."""

    def __init__(self, ranks: list[tuple[str, str, str, str, str]], foreign: int, foreign_change: int) -> None:
        self.ranks = ranks
        self.foreign = foreign
        self.foreign_change = foreign_change


class _BrokerTotals:
    """The quantity that each broker has sold, or bought."""

    def __init__(self, volume: int, draw: random.Random) -> None:
        weights = [draw.randint(1, 20) for _ in BROKERS]
        self._totals = [volume * weight // sum(weights) for weight in weights]
        self._told = self._totals.copy()

    def add(self, chance: float, quantity: int) -> None:
        # Brokers earlier in the table trade more.
        self._totals[int(chance * chance * len(BROKERS))] += quantity

    def rank(self) -> _Ranking:
        """Return the ranking, with changes since the previous call."""
        totals, told = self._totals, self._told
        order = sorted(range(len(BROKERS)), key=lambda index: (-totals[index], index))[:RANKS]
        ranks = []
        for index in order:
            broker = BROKERS[index]
            colour = "DHDB" if broker.foreign else "!!!!"
            ranks.append((broker.name, str(totals[index]), signed(totals[index] - told[index]), broker.code, colour))
        abroad = [index for index, broker in enumerate(BROKERS) if broker.foreign]
        foreign = sum(totals[index] for index in abroad)
        result = _Ranking(ranks, foreign, foreign - sum(told[index] for index in abroad))
        self._told = totals.copy()
        return result

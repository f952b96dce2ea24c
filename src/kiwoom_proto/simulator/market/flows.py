"""Rows of who trades: 0F the brokers, 0w programs. Both grow by the trades of the same stock."""

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
    """Who traded one stock today.

    Args:
        stock: the stock, prepared.
        draw: its source of chance.
    """

    def __init__(self, stock: Stock, draw: random.Random) -> None:
        self._stock = stock
        self._random = draw
        self.start_day()

    def start_day(self) -> None:
        """Begin with what was traded before anybody looked."""
        stock, draw = self._stock, self._random
        self._brokers = (_BrokerTotals(stock.volume, draw), _BrokerTotals(stock.volume, draw))  # sellers, buyers
        average = stock.turnover // stock.volume if stock.volume else 0
        self._sold, self._bought = stock.volume * draw.randint(5, 25) // 100, stock.volume * draw.randint(5, 25) // 100
        self._sold_for, self._bought_for = self._sold * average, self._bought * average
        self._net_told = self._bought - self._sold
        self._net_amount_told = self._bought_for // MILLION - self._sold_for // MILLION

    def take(self, trade: Trade) -> bool:
        """Somebody traded; returns whether the aggressor was a program."""
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
        """Values of 0w: amounts in million won, 213 before 211, and no plus on the net, all as measured."""
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
        """Values of 0F: the five largest sellers and buyers, each with its growth since the row before."""
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
    """The largest brokers of a side, as a row has them."""

    def __init__(self, ranks: list[tuple[str, str, str, str, str]], foreign: int, foreign_change: int) -> None:
        self.ranks = ranks
        self.foreign = foreign
        self.foreign_change = foreign_change


class _BrokerTotals:
    """What every broker has sold, or bought."""

    def __init__(self, volume: int, draw: random.Random) -> None:
        weights = [draw.randint(1, 20) for _ in BROKERS]
        self._totals = [volume * weight // sum(weights) for weight in weights]
        self._told = self._totals.copy()

    def add(self, chance: float, quantity: int) -> None:
        # The first in the table trade the most.
        self._totals[int(chance * chance * len(BROKERS))] += quantity

    def rank(self) -> _Ranking:
        """The ranking, and what moved since it was last told."""
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

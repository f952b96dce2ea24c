"""Traits of a real-time type: which market serves it, what its rows are about, and how its items are written.

Each class of rows declares its own (see `Record`). Whatever treats types differently asks the class: what a
registration may name, what is registered first, what may be dropped, how a row is shown.
"""

from __future__ import annotations

import enum

__all__ = ("MAX_TYPE_LENGTH", "ItemForm", "Market", "RowsExpected", "Scope")

MAX_TYPE_LENGTH = 2
"""Characters of a type code [official pages: `type` has length 2]."""


class ItemForm(enum.Enum):
    """The form of the items that a type takes. `spelling` refuses any other item."""

    ANY = "any"
    """Not checked: the form is unknown. A type whose rows are not about an item then takes none."""
    STOCK = "stock"
    """A domestic stock, ETF, ELW or ETN: "005930", "005930_NX"; or gold on the spot market: "M04020000"."""
    SECTOR = "sector"
    """A sector: "001"."""
    GOLD_PRICE = "gold price"
    """An international gold price: "MGD"."""
    US_STOCK = "US stock"
    """A US stock with its exchange: "NVDA:ND"."""


class Market(enum.Enum):
    """The market that a type belongs to. Each is served on an endpoint of its own."""

    DOMESTIC = "domestic"
    """KRX and NXT (국내주식)."""
    US = "US"
    """Nasdaq, NYSE and NYSE American (미국주식)."""


class RowsExpected(enum.Enum):
    """When a stock or sector that is traded has rows of a type, so that silence is news.

    Of a thing that the market may do, the shorter time: silence is normal outside it, and rows may come all the same.
    """

    CONTINUOUS_TRADING = "continuous trading"
    """While it is traded continuously: KRX's regular session, and NXT's three markets."""
    CONTINUOUS_TRADING_AND_AUCTIONS = "continuous trading and auctions"
    """In the auctions before and after that too. [guessed, of order books]"""
    AUCTIONS = "auctions"
    """In auctions only."""
    AFTER_HOURS = "after hours"
    """In KRX's after-hours trading, at the closing price and at single prices."""


class Scope(enum.Enum):
    """What the rows of a type are about."""

    ITEM = "item"
    """The item that was registered: a stock, a sector."""
    ACCOUNT = "account"
    """The whole account. Its rows come whatever item was registered [official pages 00, 04, F4, F5]."""
    MARKET = "market"
    """The whole market."""
    CONDITION = "condition"
    """A condition search, which is asked for with CNSRREQ and not registered."""

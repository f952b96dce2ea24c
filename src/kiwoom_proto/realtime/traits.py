"""Traits of a real-time type: which market serves it, and what its rows are about.

Each class of rows declares its own (see `Record`). Whatever treats types differently asks the class: what a
registration may name, what is registered first, what may be dropped, how a row is shown.
"""

from __future__ import annotations

import enum

__all__ = ("Market", "Scope")


class Market(enum.Enum):
    """The market that a type belongs to. Each is served on an endpoint of its own."""

    DOMESTIC = "domestic"
    """KRX and NXT (국내주식)."""
    US = "US"
    """Nasdaq, NYSE and NYSE American (미국주식)."""


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

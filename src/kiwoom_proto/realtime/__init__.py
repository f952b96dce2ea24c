"""Real-time types: one class per type, nothing but declarations.

General layout:

* `record` is the base of every row, `traits` what a type declares of itself;
* `fields` converts the text of one field, `layout` decodes the values of one row, `getters` makes the properties;
* `account`, `conditions`, `flows`, `instruments`, `market`, `quotes`, `trades` declare the types, `codes` their
  enumerations, `levels` the steps of their ladders;
* `catalogue` finds the class of a type code (`REALTIME`); a type without a class arrives as a plain `Record`;
* `spelling` refuses what cannot be registered and says what was probably meant.
"""

from __future__ import annotations

from .account import Balance, OrderExecution, UsExecution, UsOrder
from .catalogue import REALTIME, type_code_of
from .codes import (
    ChangeSign,
    Code,
    ConditionEvent,
    MarketPhaseCode,
    OrderStatus,
    Side,
    TradingSession,
    UsOrderKind,
    VenueCode,
    ViKind,
)
from .conditions import ConditionHit, UsConditionHit
from .flows import ProgramTrading, TopBrokers
from .instruments import ElwIndicator, ElwTheoreticalPrice, EtfNav, InternationalGoldPrice, StockInfo
from .levels import Broker, Level, TopLevels
from .market import MarketPhase, SectorBreadth, SectorIndex, VolatilityInterruption
from .quotes import AfterHoursQuote, BestQuote, OrderBook, UsOrderBook
from .trades import ExpectedTrade, NominalPrice, Trade, UsTrade
from .traits import ItemForm, Market, RowsExpected, Scope

__all__ = (
    "REALTIME",
    "type_code_of",
    # what a type declares of itself
    "ItemForm",
    "Market",
    "RowsExpected",
    "Scope",
    # quotes
    "AfterHoursQuote",
    "BestQuote",
    "OrderBook",
    "UsOrderBook",
    # trades
    "ExpectedTrade",
    "NominalPrice",
    "Trade",
    "UsTrade",
    # the account
    "Balance",
    "OrderExecution",
    "UsExecution",
    "UsOrder",
    # instruments
    "ElwIndicator",
    "ElwTheoreticalPrice",
    "EtfNav",
    "InternationalGoldPrice",
    "StockInfo",
    # the market
    "MarketPhase",
    "SectorBreadth",
    "SectorIndex",
    "VolatilityInterruption",
    # flows
    "ProgramTrading",
    "TopBrokers",
    # condition search
    "ConditionHit",
    "UsConditionHit",
    # codes
    "ChangeSign",
    "Code",
    "ConditionEvent",
    "MarketPhaseCode",
    "OrderStatus",
    "Side",
    "TradingSession",
    "UsOrderKind",
    "VenueCode",
    "ViKind",
    # the steps of ladders
    "Broker",
    "Level",
    "TopLevels",
)

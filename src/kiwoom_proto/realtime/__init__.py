"""The catalogue of real-time types: one class per type, nothing but declarations.

`REALTIME` finds the class of a type code. A type without a class arrives as a plain `Record`.
"""

from __future__ import annotations

from .account import Balance, OrderExecution, UsExecution, UsOrder
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
from .levels import Broker, Level
from .market import MarketPhase, SectorBreadth, SectorIndex, VolatilityInterruption
from .quotes import AfterHoursQuote, BestQuote, OrderBook, UsOrderBook
from .record import Record
from .trades import ExpectedTrade, NominalPrice, Trade, UsTrade

__all__ = (
    "REALTIME",
    "label_of",
    "type_code_of",
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
    # what the codes of their fields mean
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
    # the steps of their ladders
    "Broker",
    "Level",
)


def type_code_of(cls: type[Record]) -> str:
    """Return the type code ("0E") that a class of the catalogue declares.

    Raises:
        TypeError: the class declares none.
    """
    tag = cls.__struct_config__.tag
    if not isinstance(tag, str) or tag == cls.__name__:  # msgspec's own choice where none is declared
        raise TypeError(f"{cls.__name__} declares no real-time type; write class {cls.__name__}(Record, tag=...)")
    return tag


def label_of(cls: type[Record]) -> str:
    """Return the Korean name of a type, from the first line of its class's docstring; "" where it has none."""
    first = (cls.__doc__ or "").partition("\n")[0]
    return first[first.rfind("(") + 1 : first.rfind(")")] if "(" in first else ""


REALTIME: dict[str, type[Record]] = {
    type_code_of(cls): cls
    for cls in (
        OrderExecution,
        Balance,
        NominalPrice,
        Trade,
        BestQuote,
        OrderBook,
        AfterHoursQuote,
        TopBrokers,
        EtfNav,
        ExpectedTrade,
        InternationalGoldPrice,
        SectorIndex,
        SectorBreadth,
        StockInfo,
        ElwTheoreticalPrice,
        MarketPhase,
        ElwIndicator,
        ProgramTrading,
        VolatilityInterruption,
        UsOrder,
        UsExecution,
        UsTrade,
        UsOrderBook,
        ConditionHit,
        UsConditionHit,
    )
}
"""Every class by its type code, in the order of the official list."""

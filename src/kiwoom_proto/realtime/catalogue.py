"""The catalogue of real-time types: type code -> the class of its rows. The fields stand in the files of the types.

`REALTIME` holds the documented types. A session or connection adds the classes passed as `types=` to its own copy, and
whatever depends on the type of a row asks these classes. So a new type is one class and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from ..errors import LocalProtocolError
from ..symbol import Symbol
from .account import Balance, OrderExecution, UsExecution, UsOrder
from .conditions import ConditionHit, UsConditionHit
from .flows import ProgramTrading, TopBrokers
from .instruments import ElwIndicator, ElwTheoreticalPrice, EtfNav, InternationalGoldPrice, StockInfo
from .market import MarketPhase, SectorBreadth, SectorIndex, VolatilityInterruption
from .quotes import AfterHoursQuote, BestQuote, OrderBook, UsOrderBook
from .record import Record
from .trades import ExpectedTrade, NominalPrice, Trade, UsTrade
from .traits import MAX_TYPE_LENGTH, Market, Scope

__all__ = (
    "ACCOUNT_TYPES",
    "MAX_SHOWN_LENGTH",
    "REALTIME",
    "US_TYPES",
    "Types",
    "codes_of_scope",
    "condition_type",
    "declared_code",
    "extended_catalogue",
    "shown_argument",
    "type_code_of",
)

Types: TypeAlias = Mapping[str, type[Record]]
"""Type code -> the class of its rows."""

MAX_SHOWN_LENGTH = 32
"""Maximum length of an argument that an error shows, in characters. Anything longer is no item, and may be a secret."""


def type_code_of(cls: type[Record]) -> str:
    """Return the type code ("0E") that a class declares.

    Raises:
        TypeError: the class declares none.
    """
    tag = cls.__struct_config__.tag
    if not isinstance(tag, str) or tag == cls.__name__:  # msgspec's default
        raise TypeError(f"{cls.__name__} declares no real-time type; write class {cls.__name__}(Record, tag=...)")
    return tag


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
"""The class of every documented type by its type code, in the order of the official list."""


def codes_of_scope(types: Types, *scopes: Scope) -> frozenset[str]:
    """Return the codes of the types whose rows are about one of these."""
    return frozenset(code for code, cls in types.items() if cls.scope in scopes)


ACCOUNT_TYPES = codes_of_scope(REALTIME, Scope.ACCOUNT)
"""The documented types whose rows are about the account: they come whatever item was registered, or none (`[]`)."""
US_TYPES = frozenset(code for code, cls in REALTIME.items() if cls.market is Market.US)
"""The documented types that are served on the US path alone."""


def condition_type(us: bool) -> str:
    """Return the code of the type whose rows a live condition search pushes."""
    return type_code_of(UsConditionHit if us else ConditionHit)


def extended_catalogue(types: Iterable[type[Record]]) -> Types:
    """Return the catalogue with these classes added. A class replaces the one with the same type code.

    Raises:
        LocalProtocolError: `types` is not a list of classes of rows, two of them declare one type code, or one
            contradicts the class that it replaces.
    """
    if isinstance(types, type | str | Mapping) or not isinstance(types, Iterable):
        shown = types.__name__ if isinstance(types, type) else type(types).__name__
        raise LocalProtocolError(f"types: must be a list of classes of rows, not {shown}; write types=[MyRecord]")
    own: dict[str, type[Record]] = {}
    for cls in types:
        code = declared_code(cls, "types")
        if own.setdefault(code, cls) is not cls:
            raise LocalProtocolError(f"types: {own[code].__name__} and {cls.__name__} both declare type {code!r}")
        _check_traits(code, cls)
    return {**REALTIME, **own}


def declared_code(cls: object, parameter: str) -> str:
    """Return the type code that a class passed by the caller declares.

    Args:
        cls: what was passed.
        parameter: the name of the parameter, for the error.

    Raises:
        LocalProtocolError: it is not a class of rows, or declares no valid type code.
    """
    if not (isinstance(cls, type) and issubclass(cls, Record)):
        raise LocalProtocolError(f"{parameter}: must be a subclass of Record, not {shown_argument(cls)}")
    try:
        code = type_code_of(cls)
    except TypeError as error:
        raise LocalProtocolError(f"{parameter}: {error}") from None
    if not 0 < len(code) <= MAX_TYPE_LENGTH or not code.isprintable():
        raise LocalProtocolError(
            f"{parameter}: {cls.__name__} declares {code!r}; a type code has at most {MAX_TYPE_LENGTH} characters"
        )
    return code


def _check_traits(code: str, cls: type[Record]) -> None:
    """A class that replaces an official one must not change what the server does: orders would be lost quietly."""
    official = REALTIME.get(code)
    if official is None or (cls.market, cls.scope) == (official.market, official.scope):
        return
    traits = " and ".join(
        f"{name} = {getattr(official, name)}"
        for name in ("market", "scope")
        if getattr(official, name) is not getattr(cls, name)
    )
    raise LocalProtocolError(
        f"types: {cls.__name__} declares type {code!r}, so it must be a subclass of {official.__name__}, or declare "
        f"{traits}"
    )


def shown_argument(value: object) -> str:
    """Return what an error shows of something that the caller passed."""
    if isinstance(value, type):
        return value.__name__
    if not isinstance(value, str | Symbol):
        return type(value).__name__
    text = str(value)
    return repr(text) if len(text) <= MAX_SHOWN_LENGTH else f"of {len(text)} characters"

"""Symbols: one instrument at one venue, which is what a registration names.

On the domestic path, an item is the code with a suffix for the venue: `039490` is KRX, `039490_NX` is NXT and
`039490_AL` is SOR, both combined. These are three registrations, each with its own rows. On the US path, an item is an
object of ticker and exchange; as a string it is written `NVDA:ND` here.

Source: official page 0E, element `item` ("KRX:039490,NXT:039490_NX,SOR:039490_AL"); official pages of the US types,
elements `jmcode` and `stex_tp`.
"""

from __future__ import annotations

import enum
import re

import attrs

from .errors import LocalProtocolError
from .known import KnownValues

__all__ = ("MAX_ITEM_LENGTH", "US_VENUES", "Symbol", "Venue", "parse_item", "parse_stock_code")

MAX_ITEM_LENGTH = 100
"""Maximum length of an item, in characters (official page 0E)."""


class Venue(enum.Enum):
    """Where an instrument trades (거래소)."""

    KRX = "KRX"
    """Korea Exchange (한국거래소)."""
    NXT = "NXT"
    """Nextrade, the alternative trading system (넥스트레이드)."""
    SOR = "SOR"
    """Smart order routing: KRX and NXT combined (통합)."""
    NASDAQ = "ND"
    """Nasdaq (나스닥)."""
    NYSE = "NY"
    """New York Stock Exchange (뉴욕)."""
    AMEX = "NA"
    """NYSE American (아멕스)."""


_SUFFIX_OF = {
    Venue.KRX: "",
    Venue.NXT: "_NX",
    Venue.SOR: "_AL",
    Venue.NASDAQ: ":ND",
    Venue.NYSE: ":NY",
    Venue.AMEX: ":NA",
}
_VENUE_OF = {suffix: venue for venue, suffix in _SUFFIX_OF.items() if suffix}
US_VENUES = frozenset({Venue.NASDAQ, Venue.NYSE, Venue.AMEX})


@attrs.frozen(order=True)
class Symbol:
    """An instrument's code (종목코드) and its venue.

    `str(symbol)` and `symbol.item` are the item as a string: "005930_NX", "NVDA:ND".

    Attributes:
        code: the code without a suffix, "005930", "NVDA". Not always six digits ("0004V0", "57JBHH", "001").
        venue: the venue. Defaults to `Venue.KRX`.

    Raises:
        LocalProtocolError: the code is empty, already has a suffix, or exceeds 100 characters with it.
    """

    code: str = attrs.field()
    venue: Venue = attrs.field(default=Venue.KRX, order=lambda venue: venue.value)

    @code.validator
    def _check_code(self, _: object, code: str) -> None:
        if not isinstance(code, str) or not code or code != code.strip() or not code.isprintable():
            raise LocalProtocolError(f"Symbol.code: must be a printable str without outer spaces, not {code!r}")
        if code[-3:] in _VENUE_OF or ":" in code:
            raise LocalProtocolError(
                f"Symbol.code: {code!r} names a venue; use Symbol.parse({code!r}), or pass the code and the venue"
            )

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.venue, Venue):
            raise LocalProtocolError(f"Symbol.venue: must be a Venue, not {self.venue!r}")
        if len(self.item) > MAX_ITEM_LENGTH:
            raise LocalProtocolError(
                f"Symbol: the item has {len(self.item)} characters, the limit is {MAX_ITEM_LENGTH}"
            )

    @classmethod
    def parse(cls, item: str) -> Symbol:
        """Parse an item: `parse("039490_NX")` is 039490 at NXT, `parse("NVDA:ND")` is NVDA at Nasdaq."""
        venue = _VENUE_OF.get(item[-3:]) if isinstance(item, str) else None
        return cls(item, Venue.KRX) if venue is None else cls(item[:-3], venue)

    @property
    def item(self) -> str:
        """The item as a string."""
        return self.code + _SUFFIX_OF[self.venue]

    def __str__(self) -> str:
        return self.item


_LETTERED = re.compile(r"[AJQ][0-9][0-9A-Z]{5}(?:_NX|_AL)?").fullmatch  # domestic codes begin with a digit


def _parse(item: str) -> Symbol | None:
    try:
        return Symbol.parse(item)
    except LocalProtocolError:
        return None


_known_items = KnownValues(_parse, max_values=8192)


def parse_item(item: str) -> Symbol | None:
    """Return the symbol of a received item, or None if it cannot be an item."""
    symbol: Symbol | None = _known_items[item]
    return symbol


def parse_stock_code(text: str) -> Symbol | None:
    """Return the symbol of a FID 9001 (종목코드), which may have a letter in front for the kind of instrument.

    The letters are A (stock), J (ELW) and Q (ETN).
    """
    return parse_item(text[1:] if _LETTERED(text) else text)

"""The codes of fields: one enumeration for each field whose codes are documented.

The lists are not complete, and Kiwoom adds to them, so an unlisted code is kept and not rejected:

    MarketPhaseCode("3")          # <MarketPhaseCode.OPEN: '3'>
    MarketPhaseCode("z")          # <MarketPhaseCode.UNKNOWN: 'z'>
    MarketPhaseCode("z").value    # 'z'

Members are strings: equal to their value, JSON-ready, usable in `match`. If a code has several spellings, the value is
the first ("1" for a `VenueCode.KRX` received as "KRX"): compare with the member, not with a string. `Record.fid`
returns the string received.
"""

from __future__ import annotations

import enum
from typing import Any, Self

from .fields import coded

__all__ = (
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
    "change_sign",
    "condition_event",
    "market_phase",
    "order_status",
    "side",
    "trading_session",
    "us_order_kind",
    "venue",
    "vi_kind",
)


class Code(enum.StrEnum):
    """A code and its meaning. An unlisted code becomes a new member named UNKNOWN, which is not kept.

    Attributes:
        spellings: every string that stands for the code; the first is its value.
    """

    spellings: tuple[str, ...]

    def __new__(cls, value: str, *others: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.spellings = (value, *others)
        return member

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        for member in cls:
            if value in member.spellings:
                return member
        unknown = str.__new__(cls, value)
        unknown._name_ = "UNKNOWN"
        unknown._value_ = value
        unknown.spellings = (value,)
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether the code is listed."""
        return self._name_ in type(self).__members__

    def __reduce_ex__(self, _: object) -> tuple[Any, ...]:
        return type(self), (self._value_,)  # by value: an unknown code has no name to find it by


class ChangeSign(Code):
    """Where a price stands against the last close (전일대비기호). Source: FID 25 of pages 0A to 0J."""

    UPPER_LIMIT = "1"
    """상한"""
    UP = "2"
    """상승"""
    UNCHANGED = "3"
    """보합"""
    LOWER_LIMIT = "4"
    """하한"""
    DOWN = "5"
    """하락"""


class TradingSession(Code):
    """The session that a trade belongs to (장구분). Source: FID 290 of page 0B.

    The US page FE also has this FID, but lists no codes, and its example, "4", is not one of these.
    """

    PRE_MARKET = "1"
    """장전 시간외"""
    REGULAR = "2"
    """장중"""
    POST_MARKET = "3"
    """장후 시간외"""


class MarketPhaseCode(Code):
    """The phase that a market has just begun or ended (장운영구분). Source: FID 215 of page 0s."""

    BEFORE_OPEN = "0"
    """장시작전"""
    CLOSING_SOON = "2"
    """장종료전"""
    OPEN = "3"
    """장시작"""
    CLOSED = "4"
    REGULAR_SESSION_OVER = "8"
    ALL_SESSIONS_OVER = "9"
    CLOSING_PRICE_TRADING_START = "a"
    """시간외 종가매매 시작"""
    CLOSING_PRICE_TRADING_END = "b"
    """시간외 종가매매 종료"""
    SINGLE_PRICE_TRADING_START = "c"
    """시간외 단일가매매 시작"""
    SINGLE_PRICE_TRADING_END = "d"
    """시간외 단일가매매 종료"""
    DERIVATIVES_CLOSING_AUCTION_START = "s"
    """선옵 장마감전 동시호가 시작"""
    DERIVATIVES_CLOSING_AUCTION_END = "e"
    """선옵 장마감전 동시호가 종료"""
    DERIVATIVES_NOTICE = "f"
    """선옵 장운영시간 알림"""
    DERIVATIVES_OPEN = "o"
    """선옵 장시작"""
    NXT_PRE_MARKET_START = "P"
    """NXT 프리마켓 개시"""
    NXT_PRE_MARKET_END = "Q"
    """NXT 프리마켓 종료"""
    NXT_MAIN_MARKET_START = "R"
    """NXT 메인마켓 개시"""
    NXT_MAIN_MARKET_END = "S"
    """NXT 메인마켓 종료"""
    NXT_AFTER_MARKET_AUCTION = "T"
    """NXT 애프터마켓 단일가 개시"""
    NXT_AFTER_MARKET_START = "U"
    """NXT 애프터마켓 개시"""
    NXT_AFTER_MARKET_END = "V"
    """NXT 애프터마켓 종료"""


class Side(Code):
    """Sell or buy (매도수구분). Domestic pages write one digit, US pages two.

    Source: FID 907 of pages 00, 02, F4, F5 and S2.
    """

    SELL = "1", "01"
    """매도"""
    BUY = "2", "02"
    """매수"""


class OrderStatus(Code):
    """What happened to an order (주문상태). Source: FID 913 of page 00, and the example of page F4 (SENT)."""

    ACCEPTED = "접수"
    EXECUTED = "체결"
    CONFIRMED = "확인"
    """An amendment or a cancellation was carried out."""
    CANCELLED = "취소"
    REJECTED = "거부"
    SENT = "주문전송"


class UsOrderKind(Code):
    """What a US order requests (주문구분). Source: FID 905 of pages F4 and F5.

    The example of page F5, "25", is not one of those listed.
    """

    NEW = "10"
    AMEND = "11"
    CANCEL = "12"


class VenueCode(Code):
    """The exchange that a row is about (거래소구분). Source: FIDs 2134, 337 and 9081; names measured in 0B."""

    COMBINED = "0"
    """통합"""
    KRX = "1", "KRX"
    NXT = "2", "NXT"


class ConditionEvent(Code):
    """What happened to a stock in a condition search (삽입삭제 구분). Source: FID 843 of pages 02 and S2."""

    ENTERED = "I"
    """The stock meets the condition from now on."""
    LEFT = "D"
    """It no longer does."""


class ViKind(Code):
    """The rule that interrupted trading (VI적용구분). Source: FID 1225 of page 1h."""

    STATIC = "정적"
    DYNAMIC = "동적"
    BOTH = "동적+정적"


change_sign = coded("change sign", ChangeSign)
trading_session = coded("session", TradingSession)
market_phase = coded("market phase", MarketPhaseCode)
side = coded("side", Side)
order_status = coded("order status", OrderStatus)
us_order_kind = coded("order kind", UsOrderKind)
venue = coded("venue", VenueCode)
condition_event = coded("condition event", ConditionEvent)
vi_kind = coded("VI kind", ViKind)

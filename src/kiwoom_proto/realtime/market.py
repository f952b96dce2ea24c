"""Types about the market: indices, phases, interruptions (시장)."""

from __future__ import annotations

from . import codes
from . import fields as kinds
from .fields import Field
from .record import Record
from .traits import ItemForm, Scope

__all__ = ("MarketPhase", "SectorBreadth", "SectorIndex", "VolatilityInterruption")


class SectorIndex(Record, tag="0J"):
    """Index of a sector or market.

    Source: official API page 0J. Index levels in points, `turnover` in million won. Volumes in thousand shares: the
    page says shares, but in its example a share would then have traded at 84 million won.
    """

    label = "업종지수"
    item_form = ItemForm.SECTOR

    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.decimal_price, "현재가", unit="points")
    change = Field("11", kinds.decimal_change, "전일대비", unit="points")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    quantity = Field("15", kinds.trade_quantity, "거래량", unit="thousand shares")
    volume = Field("13", kinds.quantity, "누적거래량", unit="thousand shares")
    turnover = Field("14", kinds.amount, "누적거래대금", unit="million KRW")
    open = Field("16", kinds.decimal_price, "시가", unit="points")
    high = Field("17", kinds.decimal_price, "고가", unit="points")
    low = Field("18", kinds.decimal_price, "저가", unit="points")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    volume_change = Field("26", kinds.signed_quantity, "전일거래량대비", unit="thousand shares")


class SectorBreadth(Record, tag="0U"):
    """Number of stocks of a sector or market that rose and fell.

    Source: official API page 0U. Index levels in points, `turnover` in million won, `volume` in thousand shares (see
    `SectorIndex`).
    """

    label = "업종등락"
    item_form = ItemForm.SECTOR

    time = Field("20", kinds.clock_time, "체결시간")
    advancing_stocks = Field("252", kinds.quantity, "상승종목수", unit="stocks")
    upper_limit_stocks = Field("251", kinds.quantity, "상한종목수", unit="stocks")
    unchanged_stocks = Field("253", kinds.quantity, "보합종목수", unit="stocks")
    declining_stocks = Field("255", kinds.quantity, "하락종목수", unit="stocks")
    lower_limit_stocks = Field("254", kinds.quantity, "하한종목수", unit="stocks")
    volume = Field("13", kinds.quantity, "누적거래량", unit="thousand shares")
    turnover = Field("14", kinds.amount, "누적거래대금", unit="million KRW")
    price = Field("10", kinds.decimal_price, "현재가", unit="points")
    change = Field("11", kinds.decimal_change, "전일대비", unit="points")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    traded_stocks = Field("256", kinds.quantity, "거래형성종목수", unit="stocks")
    traded_stocks_rate = Field("257", kinds.rate, "거래형성비율", unit="percent")
    change_sign = Field("25", codes.change_sign, "전일대비기호")


class MarketPhase(Record, tag="0s"):
    """A market phase begins, ends, or is imminent.

    Source: official API page 0s. Registered without an item.
    """

    label = "장시작시간"
    scope = Scope.MARKET

    phase = Field("215", codes.market_phase, "장운영구분")
    time = Field("20", kinds.clock_time, "체결시간")
    # Time until the market opens; zero except in the minutes before.
    time_to_open = Field("214", kinds.duration, "장시작예상잔여시간")


class VolatilityInterruption(Record, tag="1h"):
    """Trading of one stock is interrupted, or resumes.

    Source: official API page 1h. Prices in won, `turnover` in million won. Registered without an item; the same
    interruption may come twice, once for `_AL`. `release_time` is None while the interruption lasts.
    """

    label = "VI발동/해제"
    scope = Scope.MARKET

    stock_code = Field("9001", kinds.code, "종목코드", note=kinds.STOCK_CODE_NOTE)
    stock_name = Field("302", kinds.text, "종목명")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    turnover = Field("14", kinds.amount, "누적거래대금", unit="million KRW")
    # The codes of this and of `trigger_direction_code` are not documented.
    trigger_code = Field("9068", kinds.code, "VI발동구분")
    market_code = Field("9008", kinds.code, "KOSPI,KOSDAQ,전체구분")
    pre_market_code = Field("9075", kinds.code, "장전구분")
    trigger_price = Field("1221", kinds.price, "VI발동가격", unit="KRW")
    # The label says "time of processing"; measured releases are the usual two minutes later.
    trigger_time = Field("1223", kinds.clock_time, "매매체결처리시각")
    release_time = Field("1224", kinds.clock_time, "VI해제시각")
    vi_kind = Field("1225", codes.vi_kind, "VI적용구분")
    static_reference_price = Field("1236", kinds.price, "기준가격 정적", unit="KRW")
    dynamic_reference_price = Field("1237", kinds.price, "기준가격 동적", unit="KRW")
    static_deviation_rate = Field("1238", kinds.rate, "괴리율 정적", unit="percent")
    dynamic_deviation_rate = Field("1239", kinds.rate, "괴리율 동적", unit="percent")
    trigger_price_change_rate = Field("1489", kinds.rate, "VI발동가 등락율", unit="percent")
    trigger_count = Field("1490", kinds.quantity, "VI발동횟수", unit="times")
    trigger_direction_code = Field("9069", kinds.code, "발동방향구분")
    # The kind with the sign of the direction, "+정적" [measured].
    extra_item_1279 = Field("1279", kinds.text, "Extra Item")

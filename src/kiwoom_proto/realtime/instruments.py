"""Types about an instrument: its information, and values derived for it (종목)."""

from __future__ import annotations

from . import codes
from . import fields as kinds
from .fields import Field
from .record import Record
from .traits import ItemForm

__all__ = ("ElwIndicator", "ElwTheoreticalPrice", "EtfNav", "InternationalGoldPrice", "StockInfo")


class EtfNav(Record, tag="0G"):
    """Net asset value of an ETF, and how far its price deviates from it.

    Source: official API page 0G. Prices in won, the net asset value with two decimals.
    """

    label = "ETF NAV"
    item_form = ItemForm.STOCK

    nav = Field("36", kinds.decimal_price, "NAV", unit="KRW")
    nav_change = Field("37", kinds.decimal_change, "NAV전일대비", unit="KRW")
    nav_change_rate = Field("38", kinds.rate, "NAV등락율", unit="percent")
    tracking_error_rate = Field("39", kinds.rate, "추적오차율", unit="percent")
    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    elw_gearing_ratio = Field("667", kinds.rate, "ELW기어링비율", unit="percent")
    elw_break_even_rate = Field("668", kinds.rate, "ELW손익분기율", unit="percent")
    elw_capital_fulcrum_point = Field("669", kinds.rate, "ELW자본지지점", unit="percent")
    nav_index_deviation_rate = Field("265", kinds.rate, "NAV/지수괴리율", unit="percent")
    nav_etf_deviation_rate = Field("266", kinds.rate, "NAV/ETF괴리율", unit="percent")


class StockInfo(Record, tag="0g"):
    """Price limits and special conditions of one stock.

    Source: official API page 0g. Prices in won.
    """

    label = "주식종목정보"
    item_form = ItemForm.STOCK

    # Of a call auction: "동정적VI".
    extension = Field("297", kinds.text, "임의연장")
    pre_market_extension = Field("592", kinds.text, "장전임의연장")
    post_market_extension = Field("593", kinds.text, "장후임의연장")
    upper_limit_price = Field("305", kinds.price, "상한가", unit="KRW")
    lower_limit_price = Field("306", kinds.price, "하한가", unit="KRW")
    reference_price = Field("307", kinds.price, "기준가", unit="KRW")
    elw_early_termination = Field("689", kinds.code, "조기종료ELW발생")
    currency_unit = Field("594", kinds.code, "통화단위")
    margin_rate_code = Field("382", kinds.code, "증거금율표시")
    stock_information = Field("370", kinds.text, "종목정보")


class ElwTheoreticalPrice(Record, tag="0m"):
    """Theoretical price of an ELW and its sensitivities.

    Source: official API page 0m. Prices in won, volatilities in percent.
    """

    label = "ELW 이론가"
    item_form = ItemForm.STOCK

    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    elw_theoretical_price = Field("670", kinds.decimal_price, "ELW이론가", unit="KRW")
    elw_implied_volatility = Field("671", kinds.rate, "ELW내재변동성", unit="percent")
    elw_delta = Field("672", kinds.decimal, "ELW델타")
    elw_gamma = Field("673", kinds.decimal, "ELW감마")
    elw_theta = Field("674", kinds.decimal, "ELW쎄타")
    elw_vega = Field("675", kinds.decimal, "ELW베가")
    elw_rho = Field("676", kinds.decimal, "ELW로")
    lp_quote_implied_volatility = Field("706", kinds.rate, "LP호가내재변동성", unit="percent")


class ElwIndicator(Record, tag="0u"):
    """Parity, premium and leverage of an ELW.

    Source: official API page 0u. All in percent.
    """

    label = "ELW 지표"
    item_form = ItemForm.STOCK

    time = Field("20", kinds.clock_time, "체결시간")
    elw_parity = Field("666", kinds.rate, "ELW패리티", unit="percent")
    elw_premium = Field("1211", kinds.rate, "ELW프리미엄", unit="percent")
    elw_gearing_ratio = Field("667", kinds.rate, "ELW기어링비율", unit="percent")
    elw_break_even_rate = Field("668", kinds.rate, "ELW손익분기율", unit="percent")
    elw_capital_fulcrum_point = Field("669", kinds.rate, "ELW자본지지점", unit="percent")


class InternationalGoldPrice(Record, tag="0I"):
    """International gold price converted into won.

    Source: official API page 0I. Registered as MGD, its rows are named MGU.
    """

    label = "국제금환산가격"
    item_form = ItemForm.GOLD_PRICE

    price = Field("10", kinds.price, "현재가", unit="KRW")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")

"""Types about trades, and expected trades of call auctions (체결)."""

from __future__ import annotations

from . import codes
from . import fields as kinds
from .fields import Field
from .record import Record
from .traits import ItemForm, Market, RowsExpected

__all__ = ("ExpectedTrade", "NominalPrice", "Trade", "UsTrade")


class NominalPrice(Record, tag="0A"):
    """Price of one stock after a block trade or a correction of the closing price.

    Source: official API page 0A. Prices and `turnover_change` in won, `turnover` in million won, `market_cap` in 100
    million won.

    Not for moving prices: use `Trade`. In 2.5 hours of trading, none came for 100 stocks; after 18:00, two did
    [measured].
    """

    label = "주식기세"
    item_form = ItemForm.STOCK

    price = Field("10", kinds.price, "현재가", unit="KRW")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    best_ask = Field("27", kinds.price, "(최우선)매도호가", unit="KRW")
    best_bid = Field("28", kinds.price, "(최우선)매수호가", unit="KRW")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    turnover = Field("14", kinds.amount, "누적거래대금", unit="million KRW")
    open = Field("16", kinds.price, "시가", unit="KRW")
    high = Field("17", kinds.price, "고가", unit="KRW")
    low = Field("18", kinds.price, "저가", unit="KRW")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    volume_change = Field("26", kinds.signed_quantity, "전일거래량대비(계약,주)", unit="shares")
    turnover_change = Field("29", kinds.signed_amount, "거래대금증감", unit="KRW")
    # Today's volume in percent of the previous day's; the sign says less or more (FIDs 13 and 26: "-96.64").
    volume_ratio = Field("30", kinds.ratio, "전일거래량대비(비율)", unit="percent")
    share_turnover_rate = Field("31", kinds.rate, "거래회전율", unit="percent")
    trading_cost = Field("32", kinds.amount, "거래비용", unit="KRW")
    market_cap = Field("311", kinds.amount, "시가총액(억)", unit="100 million KRW")
    upper_limit_time = Field("567", kinds.clock_time, "상한가발생시간")
    lower_limit_time = Field("568", kinds.clock_time, "하한가발생시간")


class Trade(Record, tag="0B"):
    """Trade of one stock, with its statistics of the day.

    Source: official API page 0B. Prices in won; `turnover` in million won, `turnover_change` in won and `trade_value`
    in thousand won, as measured; `market_cap` in 100 million won. `quantity` and what follows from it is positive if
    the buyer was the aggressor, and negative if the seller was.
    """

    label = "주식체결"
    item_form = ItemForm.STOCK

    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    best_ask = Field("27", kinds.price, "(최우선)매도호가", unit="KRW")
    best_bid = Field("28", kinds.price, "(최우선)매수호가", unit="KRW")
    quantity = Field("15", kinds.trade_quantity, "거래량", unit="shares")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    turnover = Field("14", kinds.amount, "누적거래대금", unit="million KRW")
    open = Field("16", kinds.price, "시가", unit="KRW")
    high = Field("17", kinds.price, "고가", unit="KRW")
    low = Field("18", kinds.price, "저가", unit="KRW")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    volume_change = Field("26", kinds.signed_quantity, "전일거래량대비(계약,주)", unit="shares")
    turnover_change = Field("29", kinds.signed_amount, "거래대금증감", unit="KRW")
    # Today's volume in percent of the previous day's; the sign says less or more (FIDs 13 and 26: "-96.64").
    volume_ratio = Field("30", kinds.ratio, "전일거래량대비(비율)", unit="percent")
    share_turnover_rate = Field("31", kinds.rate, "거래회전율", unit="percent")
    trading_cost = Field("32", kinds.amount, "거래비용", unit="KRW")
    execution_strength = Field("228", kinds.rate, "체결강도", unit="percent")
    market_cap = Field("311", kinds.amount, "시가총액(억)", unit="100 million KRW")
    session = Field("290", codes.trading_session, "장구분")
    knock_out_proximity = Field("691", kinds.rate, "K.O 접근도", unit="percent")
    upper_limit_time = Field("567", kinds.clock_time, "상한가발생시간")
    lower_limit_time = Field("568", kinds.clock_time, "하한가발생시간")
    # No unit is documented. Measured "10379" may be hundredths of a percent.
    same_time_volume_ratio = Field("851", kinds.decimal, "전일 동시간 거래량 비율")
    open_time = Field("1890", kinds.clock_time, "시가시간")
    high_time = Field("1891", kinds.clock_time, "고가시간")
    low_time = Field("1892", kinds.clock_time, "저가시간")
    sell_volume = Field("1030", kinds.quantity, "매도체결량", unit="shares")
    buy_volume = Field("1031", kinds.quantity, "매수체결량", unit="shares")
    # Buyers' share of the volume in percent; the sign says less or more than half (3266718 of 6911899: "-47.26").
    buy_ratio = Field("1032", kinds.ratio, "매수비율", unit="percent")
    sell_trade_count = Field("1071", kinds.quantity, "매도체결건수", unit="trades")
    buy_trade_count = Field("1072", kinds.quantity, "매수체결건수", unit="trades")
    # Of this trade alone, like the next three: 19 shares sold at 257750 are "-4897".
    trade_value = Field("1313", kinds.signed_amount, "순간거래대금", unit="thousand KRW")
    single_sell_quantity = Field("1315", kinds.trade_quantity, "매도체결량_단건", unit="shares")
    single_buy_quantity = Field("1316", kinds.trade_quantity, "매수체결량_단건", unit="shares")
    net_buy_quantity = Field("1314", kinds.signed_quantity, "순매수체결량", unit="shares")
    cfd_margin = Field("1497", kinds.amount, "CFD증거금", unit="KRW")
    maintenance_margin = Field("1498", kinds.amount, "유지증거금", unit="KRW")
    average_price = Field("620", kinds.price, "당일거래평균가", unit="KRW")
    cfd_trading_cost = Field("732", kinds.amount, "CFD거래비용", unit="KRW")
    stock_loan_trading_cost = Field("852", kinds.amount, "대주거래비용", unit="KRW")
    # "1" in the official example, "KRX" [measured].
    venue = Field("9081", codes.venue, "거래소구분")


class ExpectedTrade(Record, tag="0H"):
    """Expected price and quantity of a call auction.

    Source: official API page 0H. Prices in won. `price` is the expected price; `quantity` and `volume` are the
    expected quantities, although the labels are those of a trade.
    """

    label = "주식예상체결"
    item_form = ItemForm.STOCK
    rows_expected = RowsExpected.AUCTIONS

    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    quantity = Field("15", kinds.trade_quantity, "거래량", unit="shares")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    change_sign = Field("25", codes.change_sign, "전일대비기호")


class UsTrade(Record, tag="FE"):
    """Trade of one US stock, with its statistics of the day.

    Source: official API page FE. Prices in US dollars. The unit of `turnover` is not documented; the official example
    fits thousand dollars. The codes of `session` are not documented; the example is not one of those of 0B.
    """

    label = "미국주식 실시간 체결가"
    market = Market.US
    item_form = ItemForm.US_STOCK

    price = Field("10", kinds.decimal_price, "현재가", unit="USD")
    change = Field("11", kinds.decimal_change, "전일대비", unit="USD")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    turnover = Field("14", kinds.decimal_amount, "누적거래대금")
    quantity = Field("15", kinds.trade_quantity, "체결량", unit="shares")
    open = Field("16", kinds.decimal_price, "시가", unit="USD")
    high = Field("17", kinds.decimal_price, "고가", unit="USD")
    low = Field("18", kinds.decimal_price, "저가", unit="USD")
    time = Field("20", kinds.clock_time, "시간")
    date = Field("22", kinds.calendar_date, "체결일자")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    best_ask = Field("27", kinds.decimal_price, "(최우선)매도호가", unit="USD")
    best_bid = Field("28", kinds.decimal_price, "(최우선)매수호가", unit="USD")
    volume_ratio = Field("30", kinds.ratio, "전일거래량대비(비율)", unit="percent")
    execution_strength = Field("228", kinds.rate, "체결강도", unit="percent")
    session = Field("290", kinds.code, "장구분")
    local_time = Field("51020", kinds.clock_time, "현지 체결시간")

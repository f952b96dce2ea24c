"""Types about flows: brokers and program trading (거래원, 프로그램)."""

from __future__ import annotations

from . import codes
from . import fields as kinds
from .fields import Field
from .levels import Broker, ladder, numbered
from .record import Record
from .traits import ItemForm

__all__ = ("ProgramTrading", "TopBrokers")


BROKERS = 5
"""Brokers on each side of the ranking."""

_sellers = ladder(
    Broker, BROKERS, "seller_name", "seller_code", "seller_quantity", "seller_quantity_change", "seller_colour"
)
_buyers = ladder(Broker, BROKERS, "buyer_name", "buyer_code", "buyer_quantity", "buyer_quantity_change", "buyer_colour")
_seller_names = numbered("seller_name", BROKERS)
_seller_codes = numbered("seller_code", BROKERS)
_seller_quantities = numbered("seller_quantity", BROKERS)
_seller_quantity_changes = numbered("seller_quantity_change", BROKERS)
_buyer_names = numbered("buyer_name", BROKERS)
_buyer_codes = numbered("buyer_code", BROKERS)
_buyer_quantities = numbered("buyer_quantity", BROKERS)
_buyer_quantity_changes = numbered("buyer_quantity_change", BROKERS)


class TopBrokers(Record, tag="0F"):
    """The five brokers that sold most of one stock today, and the five that bought most.

    Source: official API page 0F. Quantities in shares, changes against the previous row. `sellers` and `buyers` are the
    brokers as sequences, `seller_names` and its like are tuples. The sums of foreign brokers are Kiwoom's estimates.
    """

    label = "주식당일거래원"
    item_form = ItemForm.STOCK

    seller_name_1 = Field("141", kinds.text, "매도거래원1")
    seller_quantity_1 = Field("161", kinds.quantity, "매도거래원수량1", unit="shares")
    seller_quantity_change_1 = Field("166", kinds.signed_quantity, "매도거래원별증감1", unit="shares")
    seller_code_1 = Field("146", kinds.code, "매도거래원코드1")
    # A display hint of Kiwoom's trading program. Its codes ("!!!!", "DGDB") are not documented.
    seller_colour_1 = Field("271", kinds.text, "매도거래원색깔1")
    buyer_name_1 = Field("151", kinds.text, "매수거래원1")
    buyer_quantity_1 = Field("171", kinds.quantity, "매수거래원수량1", unit="shares")
    buyer_quantity_change_1 = Field("176", kinds.signed_quantity, "매수거래원별증감1", unit="shares")
    buyer_code_1 = Field("156", kinds.code, "매수거래원코드1")
    buyer_colour_1 = Field("281", kinds.text, "매수거래원색깔1")
    seller_name_2 = Field("142", kinds.text, "매도거래원2")
    seller_quantity_2 = Field("162", kinds.quantity, "매도거래원수량2", unit="shares")
    seller_quantity_change_2 = Field("167", kinds.signed_quantity, "매도거래원별증감2", unit="shares")
    seller_code_2 = Field("147", kinds.code, "매도거래원코드2")
    seller_colour_2 = Field("272", kinds.text, "매도거래원색깔2")
    buyer_name_2 = Field("152", kinds.text, "매수거래원2")
    buyer_quantity_2 = Field("172", kinds.quantity, "매수거래원수량2", unit="shares")
    buyer_quantity_change_2 = Field("177", kinds.signed_quantity, "매수거래원별증감2", unit="shares")
    buyer_code_2 = Field("157", kinds.code, "매수거래원코드2")
    buyer_colour_2 = Field("282", kinds.text, "매수거래원색깔2")
    seller_name_3 = Field("143", kinds.text, "매도거래원3")
    seller_quantity_3 = Field("163", kinds.quantity, "매도거래원수량3", unit="shares")
    seller_quantity_change_3 = Field("168", kinds.signed_quantity, "매도거래원별증감3", unit="shares")
    seller_code_3 = Field("148", kinds.code, "매도거래원코드3")
    seller_colour_3 = Field("273", kinds.text, "매도거래원색깔3")
    buyer_name_3 = Field("153", kinds.text, "매수거래원3")
    buyer_quantity_3 = Field("173", kinds.quantity, "매수거래원수량3", unit="shares")
    buyer_quantity_change_3 = Field("178", kinds.signed_quantity, "매수거래원별증감3", unit="shares")
    buyer_code_3 = Field("158", kinds.code, "매수거래원코드3")
    buyer_colour_3 = Field("283", kinds.text, "매수거래원색깔3")
    seller_name_4 = Field("144", kinds.text, "매도거래원4")
    seller_quantity_4 = Field("164", kinds.quantity, "매도거래원수량4", unit="shares")
    seller_quantity_change_4 = Field("169", kinds.signed_quantity, "매도거래원별증감4", unit="shares")
    seller_code_4 = Field("149", kinds.code, "매도거래원코드4")
    seller_colour_4 = Field("274", kinds.text, "매도거래원색깔4")
    buyer_name_4 = Field("154", kinds.text, "매수거래원4")
    buyer_quantity_4 = Field("174", kinds.quantity, "매수거래원수량4", unit="shares")
    buyer_quantity_change_4 = Field("179", kinds.signed_quantity, "매수거래원별증감4", unit="shares")
    buyer_code_4 = Field("159", kinds.code, "매수거래원코드4")
    buyer_colour_4 = Field("284", kinds.text, "매수거래원색깔4")
    seller_name_5 = Field("145", kinds.text, "매도거래원5")
    seller_quantity_5 = Field("165", kinds.quantity, "매도거래원수량5", unit="shares")
    seller_quantity_change_5 = Field("170", kinds.signed_quantity, "매도거래원별증감5", unit="shares")
    seller_code_5 = Field("150", kinds.code, "매도거래원코드5")
    seller_colour_5 = Field("275", kinds.text, "매도거래원색깔5")
    buyer_name_5 = Field("155", kinds.text, "매수거래원5")
    buyer_quantity_5 = Field("175", kinds.quantity, "매수거래원수량5", unit="shares")
    buyer_quantity_change_5 = Field("180", kinds.signed_quantity, "매수거래원별증감5", unit="shares")
    buyer_code_5 = Field("160", kinds.code, "매수거래원코드5")
    buyer_colour_5 = Field("285", kinds.text, "매수거래원색깔5")
    foreign_sell_estimate = Field("261", kinds.quantity, "외국계매도추정합", unit="shares")
    foreign_sell_estimate_change = Field("262", kinds.signed_quantity, "외국계매도추정합변동", unit="shares")
    foreign_buy_estimate = Field("263", kinds.quantity, "외국계매수추정합", unit="shares")
    foreign_buy_estimate_change = Field("264", kinds.signed_quantity, "외국계매수추정합변동", unit="shares")
    foreign_net_buy_estimate = Field("267", kinds.signed_quantity, "외국계순매수추정합", unit="shares")
    foreign_net_buy_estimate_change = Field("268", kinds.signed_quantity, "외국계순매수변동", unit="shares")
    venue = Field("337", codes.venue, "거래소구분")

    @property
    def sellers(self) -> tuple[Broker, ...]:
        """The five brokers that sold most, largest first (매도거래원)."""
        return _sellers(self)

    @property
    def buyers(self) -> tuple[Broker, ...]:
        """The five brokers that bought most, largest first (매수거래원)."""
        return _buyers(self)

    @property
    def seller_names(self) -> tuple[str | None, ...]:
        """Names of the five brokers that sold most (매도거래원)."""
        return _seller_names(self)

    @property
    def seller_codes(self) -> tuple[str | None, ...]:
        """Codes of the five brokers that sold most (매도거래원코드)."""
        return _seller_codes(self)

    @property
    def seller_quantities(self) -> tuple[int | None, ...]:
        """Quantities that the five brokers sold, shares (매도거래원수량)."""
        return _seller_quantities(self)

    @property
    def seller_quantity_changes(self) -> tuple[int | None, ...]:
        """Changes of the quantities that the five brokers sold, shares (매도거래원별증감)."""
        return _seller_quantity_changes(self)

    @property
    def buyer_names(self) -> tuple[str | None, ...]:
        """Names of the five brokers that bought most (매수거래원)."""
        return _buyer_names(self)

    @property
    def buyer_codes(self) -> tuple[str | None, ...]:
        """Codes of the five brokers that bought most (매수거래원코드)."""
        return _buyer_codes(self)

    @property
    def buyer_quantities(self) -> tuple[int | None, ...]:
        """Quantities that the five brokers bought, shares (매수거래원수량)."""
        return _buyer_quantities(self)

    @property
    def buyer_quantity_changes(self) -> tuple[int | None, ...]:
        """Changes of the quantities that the five brokers bought, shares (매수거래원별증감)."""
        return _buyer_quantity_changes(self)


class ProgramTrading(Record, tag="0w"):
    """Program trading of one stock.

    Source: official API page 0w. Prices in won, quantities in shares, amounts in million won as measured (the page says
    won).
    """

    label = "종목프로그램매매"
    item_form = ItemForm.STOCK

    time = Field("20", kinds.clock_time, "체결시간")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    change_sign = Field("25", codes.change_sign, "전일대비기호")
    change = Field("11", kinds.change, "전일대비", unit="KRW")
    change_rate = Field("12", kinds.rate, "등락율", unit="percent")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    sell_quantity = Field("202", kinds.quantity, "매도수량", unit="shares")
    sell_amount = Field("204", kinds.amount, "매도금액", unit="million KRW")
    buy_quantity = Field("206", kinds.quantity, "매수수량", unit="shares")
    buy_amount = Field("208", kinds.amount, "매수금액", unit="million KRW")
    net_buy_quantity = Field("210", kinds.signed_quantity, "순매수수량", unit="shares")
    net_buy_quantity_change = Field("211", kinds.signed_quantity, "순매수수량증감", unit="shares")
    net_buy_amount = Field("212", kinds.signed_amount, "순매수금액", unit="million KRW")
    net_buy_amount_change = Field("213", kinds.signed_amount, "순매수금액증감", unit="million KRW")
    time_to_open = Field("214", kinds.duration, "장시작예상잔여시간")
    phase = Field("215", codes.market_phase, "장운영구분")
    investor_ticker = Field("216", kinds.code, "투자자별ticker")

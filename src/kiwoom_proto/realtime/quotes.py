"""Types about the order book: quotes (호가)."""

from __future__ import annotations

from decimal import Decimal

from . import codes
from . import fields as kinds
from .fields import Field
from .levels import Level, TopLevels, TopReaders, ladder, numbered
from .record import Record
from .traits import ItemForm, Market, RowsExpected

__all__ = ("AfterHoursQuote", "BestQuote", "OrderBook", "UsOrderBook")


LEVELS = 10
"""Price levels on each side of an order book."""

_asks = ladder(Level, LEVELS, "ask_price", "ask_quantity", "ask_quantity_change")
_bids = ladder(Level, LEVELS, "bid_price", "bid_quantity", "bid_quantity_change")
_top = TopReaders(LEVELS)
_ask_prices, _bid_prices = numbered("ask_price", LEVELS), numbered("bid_price", LEVELS)
_ask_quantities, _bid_quantities = numbered("ask_quantity", LEVELS), numbered("bid_quantity", LEVELS)
_ask_changes, _bid_changes = numbered("ask_quantity_change", LEVELS), numbered("bid_quantity_change", LEVELS)
_lp_asks, _lp_bids = numbered("lp_ask_quantity", LEVELS), numbered("lp_bid_quantity", LEVELS)
_krx_asks, _krx_bids = numbered("krx_ask_quantity", LEVELS), numbered("krx_bid_quantity", LEVELS)
_nxt_asks, _nxt_bids = numbered("nxt_ask_quantity", LEVELS), numbered("nxt_bid_quantity", LEVELS)


class BestQuote(Record, tag="0C"):
    """Best ask and bid of one stock.

    Source: official API page 0C. Prices in won, without the sign, which is the direction.
    """

    label = "주식우선호가"
    item_form = ItemForm.STOCK

    best_ask = Field("27", kinds.price, "(최우선)매도호가", unit="KRW")
    best_bid = Field("28", kinds.price, "(최우선)매수호가", unit="KRW")


class OrderBook(Record, tag="0D"):
    """Ten price levels on each side of the order book of one stock.

    Source: official API page 0D. Prices in won, quantities in shares, changes against the previous row. Level 1 is the
    best; an empty level has the price 0. `asks` and `bids` are the levels as sequences, `ask_prices` and its like
    are tuples of numbers, and `top(5)` is the first five levels. The fields of KRX and NXT split the quantities of a
    combined book ("_AL") by exchange; LP is the liquidity provider's share.
    """

    label = "주식호가잔량"
    item_form = ItemForm.STOCK
    rows_expected = RowsExpected.CONTINUOUS_TRADING_AND_AUCTIONS

    time = Field("21", kinds.clock_time, "호가시간")
    ask_price_1 = Field("41", kinds.price, "매도호가1", unit="KRW")
    ask_quantity_1 = Field("61", kinds.quantity, "매도호가수량1", unit="shares")
    ask_quantity_change_1 = Field("81", kinds.signed_quantity, "매도호가직전대비1", unit="shares")
    bid_price_1 = Field("51", kinds.price, "매수호가1", unit="KRW")
    bid_quantity_1 = Field("71", kinds.quantity, "매수호가수량1", unit="shares")
    bid_quantity_change_1 = Field("91", kinds.signed_quantity, "매수호가직전대비1", unit="shares")
    ask_price_2 = Field("42", kinds.price, "매도호가2", unit="KRW")
    ask_quantity_2 = Field("62", kinds.quantity, "매도호가수량2", unit="shares")
    ask_quantity_change_2 = Field("82", kinds.signed_quantity, "매도호가직전대비2", unit="shares")
    bid_price_2 = Field("52", kinds.price, "매수호가2", unit="KRW")
    bid_quantity_2 = Field("72", kinds.quantity, "매수호가수량2", unit="shares")
    bid_quantity_change_2 = Field("92", kinds.signed_quantity, "매수호가직전대비2", unit="shares")
    ask_price_3 = Field("43", kinds.price, "매도호가3", unit="KRW")
    ask_quantity_3 = Field("63", kinds.quantity, "매도호가수량3", unit="shares")
    ask_quantity_change_3 = Field("83", kinds.signed_quantity, "매도호가직전대비3", unit="shares")
    bid_price_3 = Field("53", kinds.price, "매수호가3", unit="KRW")
    bid_quantity_3 = Field("73", kinds.quantity, "매수호가수량3", unit="shares")
    bid_quantity_change_3 = Field("93", kinds.signed_quantity, "매수호가직전대비3", unit="shares")
    ask_price_4 = Field("44", kinds.price, "매도호가4", unit="KRW")
    ask_quantity_4 = Field("64", kinds.quantity, "매도호가수량4", unit="shares")
    ask_quantity_change_4 = Field("84", kinds.signed_quantity, "매도호가직전대비4", unit="shares")
    bid_price_4 = Field("54", kinds.price, "매수호가4", unit="KRW")
    bid_quantity_4 = Field("74", kinds.quantity, "매수호가수량4", unit="shares")
    bid_quantity_change_4 = Field("94", kinds.signed_quantity, "매수호가직전대비4", unit="shares")
    ask_price_5 = Field("45", kinds.price, "매도호가5", unit="KRW")
    ask_quantity_5 = Field("65", kinds.quantity, "매도호가수량5", unit="shares")
    ask_quantity_change_5 = Field("85", kinds.signed_quantity, "매도호가직전대비5", unit="shares")
    bid_price_5 = Field("55", kinds.price, "매수호가5", unit="KRW")
    bid_quantity_5 = Field("75", kinds.quantity, "매수호가수량5", unit="shares")
    bid_quantity_change_5 = Field("95", kinds.signed_quantity, "매수호가직전대비5", unit="shares")
    ask_price_6 = Field("46", kinds.price, "매도호가6", unit="KRW")
    ask_quantity_6 = Field("66", kinds.quantity, "매도호가수량6", unit="shares")
    ask_quantity_change_6 = Field("86", kinds.signed_quantity, "매도호가직전대비6", unit="shares")
    bid_price_6 = Field("56", kinds.price, "매수호가6", unit="KRW")
    bid_quantity_6 = Field("76", kinds.quantity, "매수호가수량6", unit="shares")
    bid_quantity_change_6 = Field("96", kinds.signed_quantity, "매수호가직전대비6", unit="shares")
    ask_price_7 = Field("47", kinds.price, "매도호가7", unit="KRW")
    ask_quantity_7 = Field("67", kinds.quantity, "매도호가수량7", unit="shares")
    ask_quantity_change_7 = Field("87", kinds.signed_quantity, "매도호가직전대비7", unit="shares")
    bid_price_7 = Field("57", kinds.price, "매수호가7", unit="KRW")
    bid_quantity_7 = Field("77", kinds.quantity, "매수호가수량7", unit="shares")
    bid_quantity_change_7 = Field("97", kinds.signed_quantity, "매수호가직전대비7", unit="shares")
    ask_price_8 = Field("48", kinds.price, "매도호가8", unit="KRW")
    ask_quantity_8 = Field("68", kinds.quantity, "매도호가수량8", unit="shares")
    ask_quantity_change_8 = Field("88", kinds.signed_quantity, "매도호가직전대비8", unit="shares")
    bid_price_8 = Field("58", kinds.price, "매수호가8", unit="KRW")
    bid_quantity_8 = Field("78", kinds.quantity, "매수호가수량8", unit="shares")
    bid_quantity_change_8 = Field("98", kinds.signed_quantity, "매수호가직전대비8", unit="shares")
    ask_price_9 = Field("49", kinds.price, "매도호가9", unit="KRW")
    ask_quantity_9 = Field("69", kinds.quantity, "매도호가수량9", unit="shares")
    ask_quantity_change_9 = Field("89", kinds.signed_quantity, "매도호가직전대비9", unit="shares")
    bid_price_9 = Field("59", kinds.price, "매수호가9", unit="KRW")
    bid_quantity_9 = Field("79", kinds.quantity, "매수호가수량9", unit="shares")
    bid_quantity_change_9 = Field("99", kinds.signed_quantity, "매수호가직전대비9", unit="shares")
    ask_price_10 = Field("50", kinds.price, "매도호가10", unit="KRW")
    ask_quantity_10 = Field("70", kinds.quantity, "매도호가수량10", unit="shares")
    ask_quantity_change_10 = Field("90", kinds.signed_quantity, "매도호가직전대비10", unit="shares")
    bid_price_10 = Field("60", kinds.price, "매수호가10", unit="KRW")
    bid_quantity_10 = Field("80", kinds.quantity, "매수호가수량10", unit="shares")
    bid_quantity_change_10 = Field("100", kinds.signed_quantity, "매수호가직전대비10", unit="shares")
    total_ask_quantity = Field("121", kinds.quantity, "매도호가총잔량", unit="shares")
    total_ask_quantity_change = Field("122", kinds.signed_quantity, "매도호가총잔량직전대비", unit="shares")
    total_bid_quantity = Field("125", kinds.quantity, "매수호가총잔량", unit="shares")
    total_bid_quantity_change = Field("126", kinds.signed_quantity, "매수호가총잔량직전대비", unit="shares")
    # Of the last call auction; the official example, after the close, still has it.
    expected_price = Field("23", kinds.price, "예상체결가", unit="KRW")
    expected_quantity = Field("24", kinds.quantity, "예상체결수량", unit="shares")
    net_bid_quantity = Field("128", kinds.signed_quantity, "순매수잔량", unit="shares")
    # Percent of the other side's total; in the official example 14453430 / 12622527 = 114.51.
    bid_ratio = Field("129", kinds.rate, "매수비율", unit="percent")
    net_ask_quantity = Field("138", kinds.signed_quantity, "순매도잔량", unit="shares")
    ask_ratio = Field("139", kinds.rate, "매도비율", unit="percent")
    expected_change = Field("200", kinds.change, "예상체결가전일종가대비", unit="KRW")
    expected_change_rate = Field("201", kinds.rate, "예상체결가전일종가대비등락율", unit="percent")
    expected_change_sign = Field("238", codes.change_sign, "예상체결가전일종가대비기호")
    # Same label as FID 23. The official page adds: valid only during a call auction, otherwise 0.
    auction_expected_price = Field("291", kinds.price, "예상체결가", unit="KRW")
    auction_expected_quantity = Field("292", kinds.quantity, "예상체결량", unit="shares")
    auction_expected_change_sign = Field("293", codes.change_sign, "예상체결가전일대비기호")
    auction_expected_change = Field("294", kinds.change, "예상체결가전일대비", unit="KRW")
    auction_expected_change_rate = Field("295", kinds.rate, "예상체결가전일대비등락율", unit="percent")
    lp_ask_quantity_1 = Field("621", kinds.quantity, "LP매도호가수량1", unit="shares")
    lp_bid_quantity_1 = Field("631", kinds.quantity, "LP매수호가수량1", unit="shares")
    lp_ask_quantity_2 = Field("622", kinds.quantity, "LP매도호가수량2", unit="shares")
    lp_bid_quantity_2 = Field("632", kinds.quantity, "LP매수호가수량2", unit="shares")
    lp_ask_quantity_3 = Field("623", kinds.quantity, "LP매도호가수량3", unit="shares")
    lp_bid_quantity_3 = Field("633", kinds.quantity, "LP매수호가수량3", unit="shares")
    lp_ask_quantity_4 = Field("624", kinds.quantity, "LP매도호가수량4", unit="shares")
    lp_bid_quantity_4 = Field("634", kinds.quantity, "LP매수호가수량4", unit="shares")
    lp_ask_quantity_5 = Field("625", kinds.quantity, "LP매도호가수량5", unit="shares")
    lp_bid_quantity_5 = Field("635", kinds.quantity, "LP매수호가수량5", unit="shares")
    lp_ask_quantity_6 = Field("626", kinds.quantity, "LP매도호가수량6", unit="shares")
    lp_bid_quantity_6 = Field("636", kinds.quantity, "LP매수호가수량6", unit="shares")
    lp_ask_quantity_7 = Field("627", kinds.quantity, "LP매도호가수량7", unit="shares")
    lp_bid_quantity_7 = Field("637", kinds.quantity, "LP매수호가수량7", unit="shares")
    lp_ask_quantity_8 = Field("628", kinds.quantity, "LP매도호가수량8", unit="shares")
    lp_bid_quantity_8 = Field("638", kinds.quantity, "LP매수호가수량8", unit="shares")
    lp_ask_quantity_9 = Field("629", kinds.quantity, "LP매도호가수량9", unit="shares")
    lp_bid_quantity_9 = Field("639", kinds.quantity, "LP매수호가수량9", unit="shares")
    lp_ask_quantity_10 = Field("630", kinds.quantity, "LP매도호가수량10", unit="shares")
    lp_bid_quantity_10 = Field("640", kinds.quantity, "LP매수호가수량10", unit="shares")
    volume = Field("13", kinds.quantity, "누적거래량", unit="shares")
    # Of the volume of the previous day; the sign says less or more (332941 shares are "-1.06").
    expected_volume_ratio = Field("299", kinds.ratio, "전일거래량대비예상체결율", unit="percent")
    phase = Field("215", codes.market_phase, "장운영구분")
    investor_ticker = Field("216", kinds.code, "투자자별ticker")
    krx_ask_quantity_1 = Field("6044", kinds.quantity, "KRX 매도호가잔량1", unit="shares")
    krx_ask_quantity_2 = Field("6045", kinds.quantity, "KRX 매도호가잔량2", unit="shares")
    krx_ask_quantity_3 = Field("6046", kinds.quantity, "KRX 매도호가잔량3", unit="shares")
    krx_ask_quantity_4 = Field("6047", kinds.quantity, "KRX 매도호가잔량4", unit="shares")
    krx_ask_quantity_5 = Field("6048", kinds.quantity, "KRX 매도호가잔량5", unit="shares")
    krx_ask_quantity_6 = Field("6049", kinds.quantity, "KRX 매도호가잔량6", unit="shares")
    krx_ask_quantity_7 = Field("6050", kinds.quantity, "KRX 매도호가잔량7", unit="shares")
    krx_ask_quantity_8 = Field("6051", kinds.quantity, "KRX 매도호가잔량8", unit="shares")
    krx_ask_quantity_9 = Field("6052", kinds.quantity, "KRX 매도호가잔량9", unit="shares")
    krx_ask_quantity_10 = Field("6053", kinds.quantity, "KRX 매도호가잔량10", unit="shares")
    krx_bid_quantity_1 = Field("6054", kinds.quantity, "KRX 매수호가잔량1", unit="shares")
    krx_bid_quantity_2 = Field("6055", kinds.quantity, "KRX 매수호가잔량2", unit="shares")
    krx_bid_quantity_3 = Field("6056", kinds.quantity, "KRX 매수호가잔량3", unit="shares")
    krx_bid_quantity_4 = Field("6057", kinds.quantity, "KRX 매수호가잔량4", unit="shares")
    krx_bid_quantity_5 = Field("6058", kinds.quantity, "KRX 매수호가잔량5", unit="shares")
    krx_bid_quantity_6 = Field("6059", kinds.quantity, "KRX 매수호가잔량6", unit="shares")
    krx_bid_quantity_7 = Field("6060", kinds.quantity, "KRX 매수호가잔량7", unit="shares")
    krx_bid_quantity_8 = Field("6061", kinds.quantity, "KRX 매수호가잔량8", unit="shares")
    krx_bid_quantity_9 = Field("6062", kinds.quantity, "KRX 매수호가잔량9", unit="shares")
    krx_bid_quantity_10 = Field("6063", kinds.quantity, "KRX 매수호가잔량10", unit="shares")
    krx_total_ask_quantity = Field("6064", kinds.quantity, "KRX 매도호가총잔량", unit="shares")
    krx_total_bid_quantity = Field("6065", kinds.quantity, "KRX 매수호가총잔량", unit="shares")
    nxt_ask_quantity_1 = Field("6066", kinds.quantity, "NXT 매도호가잔량1", unit="shares")
    nxt_ask_quantity_2 = Field("6067", kinds.quantity, "NXT 매도호가잔량2", unit="shares")
    nxt_ask_quantity_3 = Field("6068", kinds.quantity, "NXT 매도호가잔량3", unit="shares")
    nxt_ask_quantity_4 = Field("6069", kinds.quantity, "NXT 매도호가잔량4", unit="shares")
    nxt_ask_quantity_5 = Field("6070", kinds.quantity, "NXT 매도호가잔량5", unit="shares")
    nxt_ask_quantity_6 = Field("6071", kinds.quantity, "NXT 매도호가잔량6", unit="shares")
    nxt_ask_quantity_7 = Field("6072", kinds.quantity, "NXT 매도호가잔량7", unit="shares")
    nxt_ask_quantity_8 = Field("6073", kinds.quantity, "NXT 매도호가잔량8", unit="shares")
    nxt_ask_quantity_9 = Field("6074", kinds.quantity, "NXT 매도호가잔량9", unit="shares")
    nxt_ask_quantity_10 = Field("6075", kinds.quantity, "NXT 매도호가잔량10", unit="shares")
    nxt_bid_quantity_1 = Field("6076", kinds.quantity, "NXT 매수호가잔량1", unit="shares")
    nxt_bid_quantity_2 = Field("6077", kinds.quantity, "NXT 매수호가잔량2", unit="shares")
    nxt_bid_quantity_3 = Field("6078", kinds.quantity, "NXT 매수호가잔량3", unit="shares")
    nxt_bid_quantity_4 = Field("6079", kinds.quantity, "NXT 매수호가잔량4", unit="shares")
    nxt_bid_quantity_5 = Field("6080", kinds.quantity, "NXT 매수호가잔량5", unit="shares")
    nxt_bid_quantity_6 = Field("6081", kinds.quantity, "NXT 매수호가잔량6", unit="shares")
    nxt_bid_quantity_7 = Field("6082", kinds.quantity, "NXT 매수호가잔량7", unit="shares")
    nxt_bid_quantity_8 = Field("6083", kinds.quantity, "NXT 매수호가잔량8", unit="shares")
    nxt_bid_quantity_9 = Field("6084", kinds.quantity, "NXT 매수호가잔량9", unit="shares")
    nxt_bid_quantity_10 = Field("6085", kinds.quantity, "NXT 매수호가잔량10", unit="shares")
    nxt_total_ask_quantity = Field("6086", kinds.quantity, "NXT 매도호가총잔량", unit="shares")
    nxt_total_bid_quantity = Field("6087", kinds.quantity, "NXT 매수호가총잔량", unit="shares")
    # Orders at the mid price of KRX and NXT. It has a decimal if the two prices are one won apart.
    krx_mid_total_ask_quantity_change = Field(
        "6100", kinds.signed_quantity, "KRX 중간가 매도 총잔량 증감", unit="shares"
    )
    krx_mid_total_ask_quantity = Field("6101", kinds.quantity, "KRX 중간가 매도 총잔량", unit="shares")
    krx_mid_price = Field("6102", kinds.decimal_price, "KRX 중간가", unit="KRW")
    krx_mid_total_bid_quantity = Field("6103", kinds.quantity, "KRX 중간가 매수 총잔량", unit="shares")
    krx_mid_total_bid_quantity_change = Field(
        "6104", kinds.signed_quantity, "KRX 중간가 매수 총잔량 증감", unit="shares"
    )
    nxt_mid_total_ask_quantity_change = Field(
        "6105", kinds.signed_quantity, "NXT중간가 매도 총잔량 증감", unit="shares"
    )
    nxt_mid_total_ask_quantity = Field("6106", kinds.quantity, "NXT중간가 매도 총잔량", unit="shares")
    nxt_mid_price = Field("6107", kinds.decimal_price, "NXT중간가", unit="KRW")
    nxt_mid_total_bid_quantity = Field("6108", kinds.quantity, "NXT중간가 매수 총잔량", unit="shares")
    nxt_mid_total_bid_quantity_change = Field(
        "6109", kinds.signed_quantity, "NXT중간가 매수 총잔량 증감", unit="shares"
    )
    krx_mid_change = Field("6110", kinds.decimal_change, "KRX중간가대비", unit="KRW")
    krx_mid_change_sign = Field("6111", codes.change_sign, "KRX중간가대비 기호")
    krx_mid_change_rate = Field("6112", kinds.rate, "KRX중간가대비등락율", unit="percent")
    nxt_mid_change = Field("6113", kinds.decimal_change, "NXT중간가대비", unit="KRW")
    nxt_mid_change_sign = Field("6114", codes.change_sign, "NXT중간가대비 기호")
    nxt_mid_change_rate = Field("6115", kinds.rate, "NXT중간가대비등락율", unit="percent")

    @property
    def asks(self) -> tuple[Level[int], ...]:
        """The ten ask levels, best first (매도호가)."""
        return _asks(self)

    @property
    def bids(self) -> tuple[Level[int], ...]:
        """The ten bid levels, best first (매수호가)."""
        return _bids(self)

    def top(self, levels: int) -> TopLevels[int]:
        """Prices and quantities of the first levels of both sides, best first, as tuples (호가 1차 ~).

        This is the fastest way to read several levels: only these are decoded.

        Args:
            levels: number of levels, 1 to 10.

        Raises:
            FieldError: one of the values cannot be read.
            LocalProtocolError: there is no such number of levels.
        """
        return _top[type(self), levels](self)

    @property
    def ask_prices(self) -> tuple[int | None, ...]:
        """Prices of the ten ask levels in won, best first (매도호가)."""
        return _ask_prices(self)

    @property
    def ask_quantities(self) -> tuple[int | None, ...]:
        """Resting quantities of the ten ask levels, shares (매도호가수량)."""
        return _ask_quantities(self)

    @property
    def ask_quantity_changes(self) -> tuple[int | None, ...]:
        """Changes of the quantities of the ten ask levels, shares (매도호가직전대비)."""
        return _ask_changes(self)

    @property
    def bid_prices(self) -> tuple[int | None, ...]:
        """Prices of the ten bid levels in won, best first (매수호가)."""
        return _bid_prices(self)

    @property
    def bid_quantities(self) -> tuple[int | None, ...]:
        """Resting quantities of the ten bid levels, shares (매수호가수량)."""
        return _bid_quantities(self)

    @property
    def bid_quantity_changes(self) -> tuple[int | None, ...]:
        """Changes of the quantities of the ten bid levels, shares (매수호가직전대비)."""
        return _bid_changes(self)

    @property
    def lp_ask_quantities(self) -> tuple[int | None, ...]:
        """Shares of the liquidity provider at the ten ask levels (LP매도호가수량)."""
        return _lp_asks(self)

    @property
    def lp_bid_quantities(self) -> tuple[int | None, ...]:
        """Shares of the liquidity provider at the ten bid levels (LP매수호가수량)."""
        return _lp_bids(self)

    @property
    def krx_ask_quantities(self) -> tuple[int | None, ...]:
        """Shares at KRX at the ten ask levels (KRX 매도호가잔량)."""
        return _krx_asks(self)

    @property
    def krx_bid_quantities(self) -> tuple[int | None, ...]:
        """Shares at KRX at the ten bid levels (KRX 매수호가잔량)."""
        return _krx_bids(self)

    @property
    def nxt_ask_quantities(self) -> tuple[int | None, ...]:
        """Shares at NXT at the ten ask levels (NXT 매도호가잔량)."""
        return _nxt_asks(self)

    @property
    def nxt_bid_quantities(self) -> tuple[int | None, ...]:
        """Shares at NXT at the ten bid levels (NXT 매수호가잔량)."""
        return _nxt_bids(self)


class AfterHoursQuote(Record, tag="0E"):
    """Resting order quantities in after-hours trading of one stock.

    Source: official API page 0E. Quantities in shares; changes against the previous row.
    """

    label = "주식시간외호가"
    item_form = ItemForm.STOCK
    rows_expected = RowsExpected.AFTER_HOURS

    time = Field("21", kinds.clock_time, "호가시간")
    ask_quantity = Field("131", kinds.quantity, "시간외매도호가총잔량", unit="shares")
    ask_quantity_change = Field("132", kinds.signed_quantity, "시간외매도호가총잔량직전대비", unit="shares")
    bid_quantity = Field("135", kinds.quantity, "시간외매수호가총잔량", unit="shares")
    bid_quantity_change = Field("136", kinds.signed_quantity, "시간외매수호가총잔량직전대비", unit="shares")


class UsOrderBook(Record, tag="FT"):
    """Ten price levels on each side of the order book of one US stock.

    Source: official API page FT. Prices in US dollars, quantities in shares, changes against the previous row. `asks`
    and `bids` are the levels as sequences, `ask_prices` and its like are tuples of numbers, and `top(5)` is the first
    five levels.
    """

    label = "미국주식 10호가"
    market = Market.US
    item_form = ItemForm.US_STOCK

    time = Field("21", kinds.clock_time, "시간")
    ask_price_1 = Field("41", kinds.decimal_price, "매도1호가", unit="USD")
    ask_quantity_1 = Field("61", kinds.quantity, "매도1호가잔량", unit="shares")
    ask_quantity_change_1 = Field("81", kinds.signed_quantity, "매도1호가직전대비", unit="shares")
    bid_price_1 = Field("51", kinds.decimal_price, "매수1호가", unit="USD")
    bid_quantity_1 = Field("71", kinds.quantity, "매수1호가잔량", unit="shares")
    bid_quantity_change_1 = Field("91", kinds.signed_quantity, "매수1호가직전대비", unit="shares")
    ask_price_2 = Field("42", kinds.decimal_price, "매도2호가", unit="USD")
    ask_quantity_2 = Field("62", kinds.quantity, "매도2호가잔량", unit="shares")
    ask_quantity_change_2 = Field("82", kinds.signed_quantity, "매도2호가직전대비", unit="shares")
    bid_price_2 = Field("52", kinds.decimal_price, "매수2호가", unit="USD")
    bid_quantity_2 = Field("72", kinds.quantity, "매수2호가잔량", unit="shares")
    bid_quantity_change_2 = Field("92", kinds.signed_quantity, "매수2호가직전대비", unit="shares")
    ask_price_3 = Field("43", kinds.decimal_price, "매도3호가", unit="USD")
    ask_quantity_3 = Field("63", kinds.quantity, "매도3호가잔량", unit="shares")
    ask_quantity_change_3 = Field("83", kinds.signed_quantity, "매도3호가직전대비", unit="shares")
    bid_price_3 = Field("53", kinds.decimal_price, "매수3호가", unit="USD")
    bid_quantity_3 = Field("73", kinds.quantity, "매수3호가잔량", unit="shares")
    bid_quantity_change_3 = Field("93", kinds.signed_quantity, "매수3호가직전대비", unit="shares")
    ask_price_4 = Field("44", kinds.decimal_price, "매도4호가", unit="USD")
    ask_quantity_4 = Field("64", kinds.quantity, "매도4호가잔량", unit="shares")
    ask_quantity_change_4 = Field("84", kinds.signed_quantity, "매도4호가직전대비", unit="shares")
    bid_price_4 = Field("54", kinds.decimal_price, "매수4호가", unit="USD")
    bid_quantity_4 = Field("74", kinds.quantity, "매수4호가잔량", unit="shares")
    bid_quantity_change_4 = Field("94", kinds.signed_quantity, "매수4호가직전대비", unit="shares")
    ask_price_5 = Field("45", kinds.decimal_price, "매도5호가", unit="USD")
    ask_quantity_5 = Field("65", kinds.quantity, "매도5호가잔량", unit="shares")
    ask_quantity_change_5 = Field("85", kinds.signed_quantity, "매도5호가직전대비", unit="shares")
    bid_price_5 = Field("55", kinds.decimal_price, "매수5호가", unit="USD")
    bid_quantity_5 = Field("75", kinds.quantity, "매수5호가잔량", unit="shares")
    bid_quantity_change_5 = Field("95", kinds.signed_quantity, "매수5호가직전대비", unit="shares")
    ask_price_6 = Field("46", kinds.decimal_price, "매도6호가", unit="USD")
    ask_quantity_6 = Field("66", kinds.quantity, "매도6호가잔량", unit="shares")
    ask_quantity_change_6 = Field("86", kinds.signed_quantity, "매도6호가직전대비", unit="shares")
    bid_price_6 = Field("56", kinds.decimal_price, "매수6호가", unit="USD")
    bid_quantity_6 = Field("76", kinds.quantity, "매수6호가잔량", unit="shares")
    bid_quantity_change_6 = Field("96", kinds.signed_quantity, "매수6호가직전대비", unit="shares")
    ask_price_7 = Field("47", kinds.decimal_price, "매도7호가", unit="USD")
    ask_quantity_7 = Field("67", kinds.quantity, "매도7호가잔량", unit="shares")
    ask_quantity_change_7 = Field("87", kinds.signed_quantity, "매도7호가직전대비", unit="shares")
    bid_price_7 = Field("57", kinds.decimal_price, "매수7호가", unit="USD")
    bid_quantity_7 = Field("77", kinds.quantity, "매수7호가잔량", unit="shares")
    bid_quantity_change_7 = Field("97", kinds.signed_quantity, "매수7호가직전대비", unit="shares")
    ask_price_8 = Field("48", kinds.decimal_price, "매도8호가", unit="USD")
    ask_quantity_8 = Field("68", kinds.quantity, "매도8호가잔량", unit="shares")
    ask_quantity_change_8 = Field("88", kinds.signed_quantity, "매도8호가직전대비", unit="shares")
    bid_price_8 = Field("58", kinds.decimal_price, "매수8호가", unit="USD")
    bid_quantity_8 = Field("78", kinds.quantity, "매수8호가잔량", unit="shares")
    bid_quantity_change_8 = Field("98", kinds.signed_quantity, "매수8호가직전대비", unit="shares")
    ask_price_9 = Field("49", kinds.decimal_price, "매도9호가", unit="USD")
    ask_quantity_9 = Field("69", kinds.quantity, "매도9호가잔량", unit="shares")
    ask_quantity_change_9 = Field("89", kinds.signed_quantity, "매도9호가직전대비", unit="shares")
    bid_price_9 = Field("59", kinds.decimal_price, "매수9호가", unit="USD")
    bid_quantity_9 = Field("79", kinds.quantity, "매수9호가잔량", unit="shares")
    bid_quantity_change_9 = Field("99", kinds.signed_quantity, "매수9호가직전대비", unit="shares")
    ask_price_10 = Field("50", kinds.decimal_price, "매도10호가", unit="USD")
    ask_quantity_10 = Field("70", kinds.quantity, "매도10호가잔량", unit="shares")
    ask_quantity_change_10 = Field("90", kinds.signed_quantity, "매도10호가직전대비", unit="shares")
    bid_price_10 = Field("60", kinds.decimal_price, "매수10호가", unit="USD")
    bid_quantity_10 = Field("80", kinds.quantity, "매수10호가잔량", unit="shares")
    bid_quantity_change_10 = Field("100", kinds.signed_quantity, "매수10호가직전대비", unit="shares")
    total_ask_quantity = Field("121", kinds.quantity, "매도호가총잔량", unit="shares")
    total_ask_quantity_change = Field("122", kinds.signed_quantity, "매도호가총잔량직전대비", unit="shares")
    total_bid_quantity = Field("125", kinds.quantity, "매수호가총잔량", unit="shares")
    total_bid_quantity_change = Field("126", kinds.signed_quantity, "매수호가총잔량직전대비", unit="shares")

    @property
    def asks(self) -> tuple[Level[Decimal], ...]:
        """The ten ask levels, best first (매도호가)."""
        return _asks(self)

    @property
    def bids(self) -> tuple[Level[Decimal], ...]:
        """The ten bid levels, best first (매수호가)."""
        return _bids(self)

    def top(self, levels: int) -> TopLevels[Decimal]:
        """Prices and quantities of the first levels of both sides, best first, as tuples (호가 1차 ~).

        This is the fastest way to read several levels: only these are decoded.

        Args:
            levels: number of levels, 1 to 10.

        Raises:
            FieldError: one of the values cannot be read.
            LocalProtocolError: there is no such number of levels.
        """
        return _top[type(self), levels](self)

    @property
    def ask_prices(self) -> tuple[Decimal | None, ...]:
        """Prices of the ten ask levels in US dollars, best first (매도호가)."""
        return _ask_prices(self)

    @property
    def ask_quantities(self) -> tuple[int | None, ...]:
        """Resting quantities of the ten ask levels, shares (매도호가수량)."""
        return _ask_quantities(self)

    @property
    def ask_quantity_changes(self) -> tuple[int | None, ...]:
        """Changes of the quantities of the ten ask levels, shares (매도호가직전대비)."""
        return _ask_changes(self)

    @property
    def bid_prices(self) -> tuple[Decimal | None, ...]:
        """Prices of the ten bid levels in US dollars, best first (매수호가)."""
        return _bid_prices(self)

    @property
    def bid_quantities(self) -> tuple[int | None, ...]:
        """Resting quantities of the ten bid levels, shares (매수호가수량)."""
        return _bid_quantities(self)

    @property
    def bid_quantity_changes(self) -> tuple[int | None, ...]:
        """Changes of the quantities of the ten bid levels, shares (매수호가직전대비)."""
        return _bid_changes(self)

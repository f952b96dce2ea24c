"""Types about the account: orders and balances (주문, 잔고)."""

from __future__ import annotations

from . import codes
from . import fields as kinds
from .fields import Field
from .record import Record
from .traits import ItemForm, Market, Scope

__all__ = ("Balance", "OrderExecution", "UsExecution", "UsOrder")


class OrderExecution(Record, tag="00"):
    """State of one of the account's orders: accepted, executed, amended, cancelled.

    Source: official API page 00. Prices and amounts in won, quantities in shares. Registered without an item. What is
    not known yet, such as the execution of an order just accepted, is None; a market order has the price 0. `symbol` is
    the stock as it is subscribed to; `stock_code` may have a letter in front ("A005930").
    """

    label = "주문체결"
    scope = Scope.ACCOUNT

    account_number = Field("9201", kinds.account_number, "계좌번호")
    order_number = Field("9203", kinds.order_number, "주문번호")
    manager_number = Field("9205", kinds.code, "관리자사번")
    stock_code = Field("9001", kinds.code, "종목코드,업종코드", note=kinds.STOCK_CODE_NOTE)
    order_category = Field("912", kinds.code, "주문업무분류")
    order_status = Field("913", codes.order_status, "주문상태")
    stock_name = Field("302", kinds.text, "종목명")
    order_quantity = Field("900", kinds.quantity, "주문수량", unit="shares")
    order_price = Field("901", kinds.price, "주문가격", unit="KRW")
    unfilled_quantity = Field("902", kinds.quantity, "미체결수량", unit="shares")
    executed_amount = Field("903", kinds.amount, "체결누계금액", unit="KRW")
    original_order_number = Field("904", kinds.order_reference, "원주문번호")
    # The sign is part of the text: "+매수", "-매도".
    order_kind = Field("905", kinds.text, "주문구분")
    order_type = Field("906", kinds.text, "매매구분")
    side = Field("907", codes.side, "매도수구분")
    time = Field("908", kinds.clock_time, "주문/체결시간")
    execution_number = Field("909", kinds.code, "체결번호")
    execution_price = Field("910", kinds.price, "체결가", unit="KRW")
    execution_quantity = Field("911", kinds.quantity, "체결량", unit="shares")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    best_ask = Field("27", kinds.price, "(최우선)매도호가", unit="KRW")
    best_bid = Field("28", kinds.price, "(최우선)매수호가", unit="KRW")
    # Of this execution alone.
    unit_execution_price = Field("914", kinds.price, "단위체결가", unit="KRW")
    unit_execution_quantity = Field("915", kinds.quantity, "단위체결량", unit="shares")
    commission_today = Field("938", kinds.amount, "당일매매수수료", unit="KRW")
    tax_today = Field("939", kinds.amount, "당일매매세금", unit="KRW")
    rejection_reason = Field("919", kinds.text, "거부사유")
    screen_number = Field("920", kinds.code, "화면번호")
    terminal_number = Field("921", kinds.code, "터미널번호")
    credit_type = Field("922", kinds.code, "신용구분")
    loan_date = Field("923", kinds.calendar_date, "대출일")
    after_hours_price = Field("10010", kinds.price, "시간외단일가_현재가", unit="KRW")
    venue = Field("2134", codes.venue, "거래소구분")
    venue_name = Field("2135", kinds.text, "거래소구분명")
    is_sor = Field("2136", kinds.flag, "SOR여부")


class Balance(Record, tag="04"):
    """The account's holding of one stock.

    Source: official API page 04. Prices and amounts in won, quantities in shares. Registered without an item. `symbol`
    is the stock as it is subscribed to; `stock_code` may have a letter in front ("A005930").
    """

    label = "잔고"
    scope = Scope.ACCOUNT

    account_number = Field("9201", kinds.account_number, "계좌번호")
    stock_code = Field("9001", kinds.code, "종목코드,업종코드", note=kinds.STOCK_CODE_NOTE)
    credit_type = Field("917", kinds.code, "신용구분")
    loan_date = Field("916", kinds.calendar_date, "대출일")
    stock_name = Field("302", kinds.text, "종목명")
    price = Field("10", kinds.price, "현재가", unit="KRW")
    holding_quantity = Field("930", kinds.quantity, "보유수량", unit="shares")
    purchase_price = Field("931", kinds.price, "매입단가", unit="KRW")
    purchase_amount = Field("932", kinds.amount, "총매입가(당일누적)", unit="KRW")
    orderable_quantity = Field("933", kinds.quantity, "주문가능수량", unit="shares")
    net_buy_quantity_today = Field("945", kinds.signed_quantity, "당일순매수량", unit="shares")
    side = Field("946", codes.side, "매도/매수구분")
    sell_profit_today = Field("950", kinds.signed_amount, "당일총매도손익", unit="KRW")
    extra_item_951 = Field("951", kinds.code, "Extra Item")
    best_ask = Field("27", kinds.price, "(최우선)매도호가", unit="KRW")
    best_bid = Field("28", kinds.price, "(최우선)매수호가", unit="KRW")
    reference_price = Field("307", kinds.price, "기준가", unit="KRW")
    profit_rate = Field("8019", kinds.rate, "손익률(실현손익)", unit="percent")
    credit_amount = Field("957", kinds.amount, "신용금액", unit="KRW")
    credit_interest = Field("958", kinds.amount, "신용이자", unit="KRW")
    maturity_date = Field("918", kinds.calendar_date, "만기일")
    # 유가: bought with cash. 신용: bought on credit.
    realized_profit_securities = Field("990", kinds.signed_amount, "당일실현손익(유가)", unit="KRW")
    realized_profit_rate_securities = Field("991", kinds.rate, "당일실현손익율(유가)", unit="percent")
    realized_profit_credit = Field("992", kinds.signed_amount, "당일실현손익(신용)", unit="KRW")
    realized_profit_rate_credit = Field("993", kinds.rate, "당일실현손익율(신용)", unit="percent")
    collateral_loan_quantity = Field("959", kinds.quantity, "담보대출수량", unit="shares")
    extra_item_924 = Field("924", kinds.code, "Extra Item")


class UsOrder(Record, tag="F4"):
    """An order for a US stock was accepted.

    Source: official API page F4. Prices in US dollars, quantities in shares.
    """

    label = "미국주식 실시간 주문 확인"
    market = Market.US
    scope = Scope.ACCOUNT
    item_form = ItemForm.US_STOCK

    account_number = Field("9201", kinds.account_number, "계좌번호")
    order_number = Field("9203", kinds.order_number, "주문번호")
    stock_code = Field("9001", kinds.code, "종목,업종코드")
    order_kind = Field("905", codes.us_order_kind, "주문구분")
    side = Field("907", codes.side, "매도수구분")
    original_order_number = Field("904", kinds.order_reference, "원주문번호")
    order_quantity = Field("900", kinds.quantity, "주문수량", unit="shares")
    order_price = Field("901", kinds.decimal_price, "주문가격", unit="USD")
    order_type = Field("906", kinds.text, "매매구분")
    order_status = Field("913", codes.order_status, "주문상태")
    time = Field("908", kinds.clock_time, "주문/체결시간")
    stop_price = Field("50810", kinds.decimal_price, "주문STOP가격", unit="USD")
    currency = Field("8043", kinds.code, "통화코드")
    reservation_code = Field("50841", kinds.code, "예약구분")
    country_code = Field("55190", kinds.code, "(재무)국가코드 사용")
    country_name = Field("1091", kinds.text, "국가명")
    side_name = Field("50072", kinds.text, "매도수구분명")
    stock_name = Field("302", kinds.text, "종목명")
    order_type_name = Field("50073", kinds.text, "매매구분명")


class UsExecution(Record, tag="F5"):
    """State of an order for a US stock, and the holding.

    Source: official API page F5. Prices in US dollars, quantities in shares. The currencies of the amounts are not
    documented; 환전 (`converted_...`) means converted into won. Before an execution, its price is 0.
    """

    label = "미국주식 실시간 체결"
    market = Market.US
    scope = Scope.ACCOUNT
    item_form = ItemForm.US_STOCK

    country_name = Field("1091", kinds.text, "국가명")
    exchange_code = Field("8046", kinds.code, "거래소코드")
    stock_code = Field("9001", kinds.code, "종목코드")
    stock_name = Field("302", kinds.text, "종목명")
    original_order_number = Field("904", kinds.order_reference, "원주문번호")
    order_number = Field("9203", kinds.order_number, "주문번호")
    order_kind = Field("905", codes.us_order_kind, "주문구분")
    side = Field("907", codes.side, "매도수구분")
    time = Field("908", kinds.clock_time, "주문/체결시간")
    order_status = Field("913", codes.order_status, "주문상태")
    order_quantity = Field("900", kinds.quantity, "주문수량", unit="shares")
    order_price = Field("901", kinds.decimal_price, "주문가격", unit="USD")
    unfilled_quantity = Field("902", kinds.quantity, "미체결수량", unit="shares")
    execution_number = Field("909", kinds.code, "체결번호")
    execution_price = Field("910", kinds.decimal_price, "체결가", unit="USD")
    execution_quantity = Field("911", kinds.quantity, "체결량", unit="shares")
    holding_quantity = Field("930", kinds.quantity, "보유수량", unit="shares")
    purchase_price = Field("931", kinds.decimal_price, "매입단가", unit="USD")
    sell_quantity_today = Field("934", kinds.quantity, "당일매도수량 사용", unit="shares")
    buy_quantity_today = Field("936", kinds.quantity, "당일매수수량 사용", unit="shares")
    sell_quantity_yesterday = Field("8004", kinds.quantity, "전일매도수량", unit="shares")
    buy_quantity_yesterday = Field("8005", kinds.quantity, "전일매수수량", unit="shares")
    profit = Field("8018", kinds.decimal_amount, "손익금액")
    profit_rate = Field("8019", kinds.rate, "손익율", unit="percent")
    currency = Field("8043", kinds.code, "통화코드")
    tax = Field("8075", kinds.decimal_amount, "세금 사용")
    account_number = Field("9201", kinds.account_number, "계좌번호")
    commission = Field("13006", kinds.decimal_amount, "수수료 사용")
    side_name = Field("50072", kinds.text, "매도수구분명")
    order_type_name = Field("50073", kinds.text, "매매구분명")
    realized_profit_purchase_amount = Field("50724", kinds.decimal_amount, "실현손익매입금 사용")
    converted_realized_profit_purchase_amount = Field("50725", kinds.decimal_amount, "환전실현손익매입금액 사용")
    stop_price = Field("50810", kinds.decimal_price, "주문STOP가격", unit="USD")
    reservation_code = Field("50841", kinds.code, "예약구분")
    converted_realized_profit = Field("50844", kinds.decimal_amount, "환전실현손익금액 사용")
    country_code = Field("55190", kinds.code, "(재무)국가코드 사용")

"""Which kind of value a field holds: by rule from the facts of the table, unless the data names it.

The rules go from the sure to the likely: the format, the codes, the scale and the unit say it outright; else the Korean
label does, whose last word is what the value is. `fields.csv` names the kind of the fields that they get wrong.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ("FieldFacts", "kind_of")


class FieldFacts(NamedTuple):
    """One line of fields.csv."""

    api_id: str
    direction: str
    parent: str
    element: str
    label: str
    required: str
    length: str
    unit: str
    format: str
    pad: str
    decimals: str
    scale: str
    codes: str
    ref: str
    note: str
    signs: str
    kind: str


FORMATS = {
    "YYYYMMDD": "date",
    "YYYYMMDDHHmmss": "moment",
    "HHmmss": "clock_time",
    "HH:mm:ss": "clock_time",
    "HH:mm": "clock_time",
    "YYYYMM": "code",
    "YYYY": "code",
}
INVESTORS = (
    " 개인투자자 외국인투자자 기관계 금융투자 보험 투신 기타금융 은행 연기금등 사모펀드 국가 기타법인 내외국인 "
    "개인 외국인 기관 기관기간누적 외인기간누적 "
)
"""Columns of net buying, named for the investor."""


def _ends(words: str) -> re.Pattern[str]:
    """Return a pattern for labels that end with one of these words, and perhaps with a number."""
    return re.compile(f"(?:{'|'.join(words.split())})[0-9n~]*$", re.IGNORECASE)


_CODE = _ends("코드 구분 기호 부호 여부 번호 SEQ 분류 종류 sign 형태 등급 ID 구분명")
_NAME = _ends("명 명칭 이름 한글 영문 내용 사유 메시지 메세지 텍스트 상태 유형 매체 장소 처리점 지점 조건 입금자")
_DATE = _ends("일자 날짜 만기일 기준일 대출일 체결일 결제일 주문일 등록일 상장일 종료일 시작일 가일 일시")
_TIME = _ends("시간 시각 시간-")
_CHANGE = _ends("대비 등락폭 변동폭 전일비")
_QUANTITY_CHANGE = _ends("직전대비 잔량대비")
_RATE = _ends("율 률 비율 비중 강도 괴리도 접근도 총액비 신용비 매물비")
_PRICE = _ends(
    "현재가 시가 고가 저가 종가 상한가 하한가 기준가 호가 체결가 단가 최고가 최저가 최고 최저 가격 이론가 행사가 "
    "액면가 대용가 주가 지수 NAV 평균가 권리가 매입가 스톱가 호가단위 가격대시작 가격대끝"
)
_AMOUNT = _ends(
    "금액 금 손익 대금 총액 수수료 세금 세 자산 예수금 미수 이자 차입 현금 담보 연체료 평가 자본금 매출액 이익 순이익 "
    "수익 전잔 금잔 수수료합 변제합 연체합"
)
_QUANTITY = _ends("량 주수 좌수 건수 횟수 갯수 개수 종목수 일수 증감 직전 잔고 주식수 순위 보유 순매수 순매도")
_INDEX = re.compile(r"NAV|지수|행사가|KOSPI")
_WON = re.compile(r"(?:백만|천|억)?원|천만|천USD")


def kind_of(field: FieldFacts) -> str:
    """Return the name of the kind of value of a field of a reply."""
    if field.kind:
        return field.kind
    if field.format in FORMATS:
        return FORMATS[field.format]
    if field.codes:
        return "code"
    if field.element in ("stk_cd", "cod2"):
        return "stock_code"
    kind = _by_number(field) or _by_label(field)
    if kind in ("amount", "change", "price") and _has_hidden_decimals(field):
        return f"decimal_{kind}"
    return kind


def _has_hidden_decimals(field: FieldFacts) -> bool:
    """Return whether a value has decimals now and then, though no example shows them.

    Those are index levels and what follows them, and sums in USD that no unit tells from sums in won.
    """
    if field.api_id.startswith("us"):
        return not (field.unit or field.pad or "krw" in field.element or "won" in field.element)
    return bool(_INDEX.search(field.label))


def _bare(label: str) -> str:
    """Return a label without spaces and brackets."""
    return re.sub(r"\(.*?\)", "", label.replace(" ", "")) or label


def _is_price(element: str) -> bool:
    """Return whether the name of an element is that of a price, whatever its unit."""
    return element.endswith(("_pric", "_bid"))


def _is_price_label(field: FieldFacts, label: str) -> bool:
    """Return whether a label is that of a price. A total is an amount, though it may be called like one (총 매입가)."""
    return bool(_PRICE.search(label)) and not field.element.endswith("_amt")


def _by_number(field: FieldFacts) -> str:
    """Return the kind of a field whose facts say that it is a number; else ""."""
    label = _bare(field.label)
    has_price = _is_price_label(field, label)
    if field.scale == "100":
        return "hundredths_price" if has_price else "hundredths"
    if field.scale == "1000000":
        return "millionths"
    if field.unit == "%" and not (has_price and _is_price(field.element)):
        return "ratio"
    if field.unit in ("USD", "지수", "%"):
        if has_price:
            return "decimal_price"
        return "decimal_change" if _CHANGE.search(label) else "decimal_amount"
    if _WON.match(field.unit):
        if has_price:
            return "decimal_price" if field.decimals else "price"
        if _CHANGE.search(label):
            return "decimal_change" if field.decimals else "change"
        return "decimal_amount" if field.decimals else "amount"
    if field.unit:
        return "number" if field.decimals else "quantity"
    return ""


def _by_label(field: FieldFacts) -> str:
    label = _bare(field.label)
    decimals = bool(field.decimals)
    if field.element.endswith("_rt"):
        return "ratio"
    if _CODE.search(label):
        return "order_number" if "주문번호" in label else "code"
    if _NAME.search(label):
        return "text"
    if _DATE.search(label):
        return "date"
    if _TIME.search(label):
        return "clock_time"
    if _QUANTITY_CHANGE.search(label) and not decimals:
        return "quantity"
    if _CHANGE.search(label):
        return "decimal_change" if decimals else "change"
    if label.endswith("환율"):
        return "number"
    if _RATE.search(label):
        return "ratio"
    if _is_price_label(field, label):
        return "decimal_price" if decimals else "price"
    if field.element.endswith("_amt") or _AMOUNT.search(label) or f" {label} " in INVESTORS:
        return "decimal_amount" if decimals else "amount"
    if _QUANTITY.search(label):
        return "number" if decimals else "quantity"
    return "number" if decimals else "text"

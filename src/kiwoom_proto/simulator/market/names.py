"""Well-known instruments, brokers and sectors, which make the simulated market readable.

Codes and names are real. Prices have the right order of magnitude only, and all other numbers are invented. A code that
is not in the table gets an instrument made from the seed if it is spelled correctly; see `is_listed`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ("BROKERS", "ETFS", "KNOWN", "SECTORS", "US", "Broker", "Known", "is_listed", "made_up", "made_up_us")


class Known(NamedTuple):
    """The initial data of an instrument.

    Attributes:
        name: the Korean name.
        price: approximate price, in won; for a US stock in cents.
        shares: listed shares, in thousands.
        kind: "stock", "etf", "elw" or "us".
        market: "001" KOSPI, "101" KOSDAQ, or the US exchange, such as "ND".
    """

    name: str
    price: int
    shares: int
    kind: str = "stock"
    market: str = "001"


class Broker(NamedTuple):
    """A member firm of the exchange (거래원)."""

    name: str
    code: str
    foreign: bool = False


KNOWN: Mapping[str, Known] = MappingProxyType(
    {
        "005930": Known("삼성전자", 71_300, 5_919_637),
        "000660": Known("SK하이닉스", 268_500, 728_002),
        "373220": Known("LG에너지솔루션", 372_000, 234_000),
        "207940": Known("삼성바이오로직스", 1_035_000, 71_174),
        "005380": Known("현대차", 214_500, 209_416),
        "000270": Known("기아", 98_200, 397_672),
        "068270": Known("셀트리온", 178_400, 220_290),
        "005490": Known("POSCO홀딩스", 301_500, 82_624),
        "035420": Known("NAVER", 231_500, 158_437),
        "035720": Known("카카오", 58_900, 441_900),
        "105560": Known("KB금융", 112_300, 393_528),
        "055550": Known("신한지주", 63_100, 501_000),
        "012330": Known("현대모비스", 298_000, 93_094),
        "015760": Known("한국전력", 38_150, 641_964),
        "039490": Known("키움증권", 214_000, 25_547),
        "034220": Known("LG디스플레이", 9_120, 500_000),
        "001250": Known("GS글로벌", 2_345, 82_530),
        "247540": Known("에코프로비엠", 118_700, 97_801, market="101"),
        "086520": Known("에코프로", 57_300, 135_774, market="101"),
        "196170": Known("알테오젠", 452_500, 53_464, market="101"),
        "069500": Known("KODEX 200", 43_215, 148_000, "etf"),
        "122630": Known("KODEX 레버리지", 24_560, 91_000, "etf"),
        "114800": Known("KODEX 인버스", 3_120, 212_000, "etf"),
        "229200": Known("KODEX 코스닥150", 13_845, 80_000, "etf"),
        "57JBHH": Known("KBJBHH삼성전자콜", 450, 20_000, "elw"),
    }
)

ETFS = frozenset(code for code, known in KNOWN.items() if known.kind == "etf")

US: Mapping[str, Known] = MappingProxyType(
    {
        "NVDA": Known("엔비디아", 19_497, 24_400_000, "us", "ND"),
        "AAPL": Known("애플", 23_150, 14_840_000, "us", "ND"),
        "MSFT": Known("마이크로소프트", 49_810, 7_430_000, "us", "ND"),
        "TSLA": Known("테슬라", 32_240, 3_220_000, "us", "ND"),
        "AMZN": Known("아마존닷컴", 22_360, 10_610_000, "us", "ND"),
        "GOOGL": Known("알파벳 A", 18_095, 5_820_000, "us", "ND"),
        "COIN": Known("코인베이스 글로벌", 35_120, 254_000, "us", "ND"),
        "SOFI": Known("소파이 테크놀로지스", 1_785, 1_105_000, "us", "ND"),
        "KO": Known("코카콜라", 7_012, 4_300_000, "us", "NY"),
        "JPM": Known("제이피모간체이스", 28_730, 2_780_000, "us", "NY"),
        "SPY": Known("SPDR S&P 500 ETF", 61_730, 950_000, "us", "NA"),
    }
)

SECTORS: Mapping[str, tuple[str, int, int]] = MappingProxyType(
    {
        "001": ("종합(KOSPI)", 305_428, 963),
        "002": ("대형주", 307_315, 100),
        "101": ("종합(KOSDAQ)", 78_156, 1_780),
        "201": ("KOSPI200", 41_102, 200),
    }
)
"""Sector code -> name, approximate level in hundredths of a point, number of listed stocks."""

BROKERS: tuple[Broker, ...] = (
    Broker("키움증권", "050"),
    Broker("미래에셋", "005"),
    Broker("KB증권", "017"),
    Broker("삼  성", "030"),
    Broker("유진투자증권", "008"),
    Broker("신한투자증권", "002"),
    Broker("한국투자증권", "003"),
    Broker("NH투자증권", "012"),
    Broker("골드만삭스", "045", foreign=True),
    Broker("씨티그룹", "037", foreign=True),
    Broker("모간스탠리", "036", foreign=True),
    Broker("JP모간", "033", foreign=True),
)

_FIRST = (
    "한빛",
    "대한",
    "동서",
    "세종",
    "미래",
    "우리",
    "성진",
    "가온",
    "나래",
    "다온",
    "라온",
    "바른",
    "새한",
    "아름",
)
_SECOND = ("전자", "화학", "제약", "바이오", "건설", "정밀", "소프트", "에너지", "홀딩스", "테크", "반도체", "식품")
_PRICES = (900, 1_800, 3_600, 7_400, 15_000, 33_000, 78_000, 160_000, 340_000, 720_000)


# Six characters, the first a digit; or gold of the spot market, "M04020000". The Korea Exchange assigns no codes beyond
# 95 (foreign issuers), so codes with 99 are reserved for stocks that do not exist.
_is_stock = re.compile(r"(?!99)[0-9][0-9A-Z]{5}|M[0-9]{8}").fullmatch
_is_sector = re.compile(r"[0-9]{3}").fullmatch
_is_gold = re.compile(r"MG[A-Z]|M[0-9]{8}").fullmatch
_is_us_stock = re.compile(r"([A-Z][A-Z0-9./-]{0,9}):(ND|NY|NA)").fullmatch


def is_listed(type: str, item: str) -> bool:
    """Return whether the market lists the item for this type.

    For any other item, such as `A005930`, `5930` or `005930_KR`, the live server acknowledges the registration and
    sends no rows [measured]. Few of the codes in use are known, so every correctly spelled code is listed, except codes
    that begin with 99, and well-known US stocks at an exchange that does not trade them.
    """
    if type in ("0J", "0U"):
        return _is_sector(item) is not None
    if type == "0I":
        return _is_gold(item) is not None
    us = _is_us_stock(item)
    if us is not None:
        return us[1] not in US or US[us[1]].market == us[2]
    return item in US or _is_stock(item.removesuffix("_NX").removesuffix("_AL")) is not None


def made_up(draw: random.Random) -> Known:
    """Return a plausible Korean stock."""
    price = draw.choice(_PRICES) * draw.randint(70, 140) // 100
    market = "101" if draw.random() < 0.6 else "001"
    return Known(draw.choice(_FIRST) + draw.choice(_SECOND), price, draw.randint(5_000, 120_000), "stock", market)


def made_up_us(code: str, market: str, draw: random.Random) -> Known:
    """Return a plausible US stock."""
    return Known(code, draw.randint(300, 40_000), draw.randint(20_000, 2_000_000), "us", market)

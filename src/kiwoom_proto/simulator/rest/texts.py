"""Texts of refusals over REST, each with its source.

[M]: the code and how it comes were measured. [D]: the code is documented. The texts in brackets were written for this
project, except where a source quotes a part; do not rely on their wording.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = (
    "BEYOND_LIMITS",
    "BAD_AUTHORIZATION",
    "BAD_TOKEN",
    "CLOSED",
    "DONE",
    "NOT_IN_MOCK",
    "NOT_JSON",
    "NO_API_ID",
    "NO_AUTHORIZATION",
    "NO_CASH",
    "NO_ORDER",
    "NO_ROOM",
    "NO_SHARES",
    "NO_STOCK",
    "NO_TOKEN",
    "OFF_TICK",
    "PLAYBACK",
    "TOO_EARLY",
    "TOO_MANY_CODES",
    "Refusal",
    "Refused",
    "bad_format",
    "missing",
    "not_served",
    "not_simulated",
    "too_fast",
    "unknown_id",
    "wrong_url",
)

Refusal: TypeAlias = tuple[int, str]
"""return_code and return_msg."""

DONE = "정상적으로 처리되었습니다"


class Refused(Exception):
    """A request is refused.

    Args:
        code: the return_code.
        message: the return_msg.
        status: the HTTP status.
    """

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status


def _wrong(inner: str, text: str) -> str:
    return f"입력 값 오류입니다[{inner}:{text}]"


NO_API_ID = 2, _wrong("1501", "API ID가 존재하지 않습니다")
"""[D]"""
NO_AUTHORIZATION = 2, _wrong("1513", "Http header에 authorization 필드가 없습니다")
"""[D]"""
BAD_AUTHORIZATION = 2, _wrong("1514", "Http header의 authorization 형식이 맞지 않습니다")
"""[D]"""
NO_TOKEN = 2, _wrong("1516", "Http header의 authorization에 Token이 없습니다")
"""[D]"""
BAD_TOKEN = 3, "인증에 실패했습니다[8005:Token이 유효하지 않습니다]"
"""[M] With HTTP status 200."""
NOT_IN_MOCK = 2, "입력 값 오류입니다[8104:모의투자에서 지원하지 않는 API입니다]"
"""[M]"""
NOT_JSON = 2, _wrong("1517", "요청 본문이 JSON 객체가 아닙니다")
"""The code is [D], that it stands for this is a guess."""
TOO_MANY_CODES = 5, "허용된 종목 수를 초과하였습니다[1634:한 번에 조회할 수 있는 종목은 100개까지입니다]"
"""[M] That it comes with return_code 5, as being too fast does."""
PLAYBACK = 1, "시스템 오류입니다[1999:the simulated exchange plays a recording, and answers no REST requests]"
"""Chosen."""


def wrong_url(api_id: str) -> Refusal:
    """Return the refusal of an api-id at a path that does not serve it. [M]"""
    return 1, f"잘못된 요청입니다[1504:해당 URI에서는 지원하는 API ID가 아닙니다. API ID={api_id}]"


def unknown_id(api_id: str) -> Refusal:
    """Return the refusal of an api-id that does not exist. [D]"""
    return 2, _wrong("1505", f"해당 API ID는 존재하지 않습니다. API ID={api_id}")


def not_served(api_id: str) -> Refusal:
    """Return the refusal of an api-id that exists, and that the simulated exchange does not serve. Chosen."""
    return 2, _wrong("1505", f"the simulated exchange does not serve this api-id. API ID={api_id}")


def missing(parameter: str) -> Refusal:
    """Return the refusal of a request that lacks a parameter. [M]"""
    return 2, _wrong("1511", f"필수 입력 값이 존재하지 않습니다. 필수입력 parameter={parameter}")


def bad_format(parameter: str) -> Refusal:
    """Return the refusal of a parameter that cannot be read. [D]"""
    return 2, _wrong("1517", f"입력 값의 형식이 올바르지 않습니다. parameter={parameter}")


def too_fast(api_id: str, limit: int) -> Refusal:
    """Return the refusal of a request above the rate limit. [M] It comes with HTTP status 429."""
    return (
        5,
        f"허용된 요청 개수를 초과하였습니다[1700:허용된 요청 개수를 초과하였습니다. 유량={limit}, API ID={api_id}]",
    )


# Of the order system: return_code 20.


def _order(inner: str, text: str) -> Refusal:
    return 20, f"[2000]({inner}:{text})"


OFF_TICK = _order("RC4003", "주문단가가 호가단위에 맞지 않습니다")
"""[M]"""
BEYOND_LIMITS = _order("RC4027", "주문단가가 상한가와 하한가 사이에 있지 않습니다")
"""[M] The code, as logs of several programs have it."""
TOO_EARLY = _order("RC4057", "장 시작 전입니다")
"""[M]"""
CLOSED = _order("RC4058", "장이 종료되었습니다")
"""[M]"""
# The codes of these are not known; they were chosen outside of the known ones.
NO_CASH = _order("RC9101", "주문가능금액이 부족합니다")
NO_SHARES = _order("RC9102", "매도가능수량이 부족합니다")
NO_ORDER = _order("RC9103", "원주문을 찾을 수 없거나 남은 수량이 부족합니다")
NO_STOCK = _order("RC9104", "종목코드가 올바르지 않습니다")
NO_ROOM = _order("RC9105", "the simulated exchange takes no more orders of this account")


def not_simulated(parameter: str, value: str) -> Refusal:
    """Return the refusal of an order of a kind that the simulated market does not have."""
    return _order("RC9106", f"the simulated exchange has no orders with {parameter} {value}")

"""Codes and texts that the simulated server sends, each with its source.

[M]: measured, quoted word for word by a user of the live server or of mock trading. [M2]: quoted by two or more.
[D]: official documents. Texts that nobody has quoted were written for this project and are marked; do not rely on their
wording. `errors` explains the codes, docs/protocol.md gives the sources of the facts.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = (
    "BAD_TOKEN",
    "LOGIN_MISSING",
    "NO_ECHO",
    "NO_TOKEN",
    "TAKEN_OVER",
    "TOO_EARLY",
    "UNKNOWN_TRNM",
    "US_CLEARED",
    "Notice",
    "Refusal",
    "already_live",
    "missing",
    "over_connection_quota",
    "over_group_quota",
    "too_fast",
    "wrong_shape",
)

Refusal: TypeAlias = tuple[int, str]
"""return_code and return_msg of a reply."""
Notice: TypeAlias = tuple[str, str]
"""code and message of a SYSTEM message."""

# Replies to LOGIN, and to requests before it.

BAD_TOKEN: Refusal = (
    805004,
    "토큰 인증에 실패했습니다. 접속을 종료합니다 [CODE=8005, MESSAGE=Token이 유효하지 않습니다]",
)
"""[M2] The brackets contain a more specific code. One source saw return_code 3."""
NO_TOKEN: Refusal = (805002, "인증을 체크하기 위한 Token 값이 없습니다")
"""[M]"""
TOO_EARLY: Refusal = (
    100013,
    "로그인 인증이 들어오기 전에 다른 전문이 들어왔습니다. 해당 전문은 무시됩니다. (TRNM=%s)",
)
"""[M2] The live server sends the "%s" as it is."""

# Replies to any other request.

UNKNOWN_TRNM: Refusal = (105108, "정의되어 있지 않는 TRNM입니다")
"""[M] Also the reply to a PONG."""


def missing(parameter: str) -> Refusal:
    """Return the refusal of a request without a parameter.

    [M] for "trnm": one source quotes the name in brackets, another the words before it. That the text is the same for
    other parameters is a guess.
    """
    return 100002, f"필수 파라미터가 누락되어 있습니다(parameter={parameter})"


def wrong_shape(what: str) -> Refusal:
    """Return the refusal of a malformed request.

    [M] for the code, seen when a str stood in place of a list. The text was written for this project and says what was
    wrong.
    """
    return 105111, f"입력값의 형식이 올바르지 않습니다({what})"


def too_fast(trnm: str) -> Refusal:
    """Return the refusal of a request above the rate limit. [M]"""
    return 105110, f"해당 TRNM으로 허용된 요청 건수를 초과하였습니다 (TRNM={trnm})"


def over_group_quota(limit: int) -> Refusal:
    """Return the refusal of a group with too many items.

    [M] The number is the limit in force. Sources quote the last syllables in two ways.
    """
    return 105118, f"등록 종목이 그룹번호에 등록할 수 있는 허용 개수({limit})를 초과했습니다"


def over_connection_quota(limit: int) -> Refusal:
    """Return the refusal of a connection with too many items. [M] As for `over_group_quota`."""
    return 105115, f"등록 종목이 허용 개수({limit})를 초과했습니다"


def already_live(seq: str) -> Refusal:
    """Return the refusal of a search that is live already. [M] The reply has no `seq` member; only its text has it."""
    return 900003, f"이미 등록된 조건검색 일련번호입니다.(seq={seq})"


US_CLEARED = "정상종료되었습니다."
"""[D] The reply to a clear on the US path, sent under the trnm of a search."""

# SYSTEM messages. Each is followed by the close.

TAKEN_OVER: Notice = ("R10001", "동일한 App key로 접속이 되었습니다. 기존 세션은 종료가 됩니다")
"""[M2]"""
NO_ECHO: Notice = ("R10002", "PING에 대한 응답이 없어 접속을 종료합니다")
"""[D] for the code; the text was written for this project."""
LOGIN_MISSING: Notice = ("R10004", "접속허용요청(토큰)이 들어오지 않았습니다")
"""[M] for the code: sent if no LOGIN arrives and, on production, after a refused LOGIN. The text is from the tests of
one client."""

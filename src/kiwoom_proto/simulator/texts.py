"""What the simulated server says: codes and texts, each with how surely it is known.

[M] as measured: quoted word for word by somebody who met it on the live server, or on mock trading's; [M2] by two or
more. [D] official documents. Where a part of a text is ours, because nobody has quoted it, it says so: rely on no word
of those. What the codes mean is in `errors`; where the facts come from, in docs/protocol.md.
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
"""return_code and return_msg."""
Notice: TypeAlias = tuple[str, str]
"""code and message of a SYSTEM message."""

# Replies to LOGIN, and to what comes before it.

BAD_TOKEN: Refusal = (
    805004,
    "토큰 인증에 실패했습니다. 접속을 종료합니다 [CODE=8005, MESSAGE=Token이 유효하지 않습니다]",
)
"""[M2] The code that tells more stands in brackets. One source saw it with return_code 3."""
NO_TOKEN: Refusal = (805002, "인증을 체크하기 위한 Token 값이 없습니다")
"""[M]"""
TOO_EARLY: Refusal = (
    100013,
    "로그인 인증이 들어오기 전에 다른 전문이 들어왔습니다. 해당 전문은 무시됩니다. (TRNM=%s)",
)
"""[M2] The "%s" is the server's: it forgets to fill it in."""

# Replies to any other request.

UNKNOWN_TRNM: Refusal = (105108, "정의되어 있지 않는 TRNM입니다")
"""[M] What a PONG is answered too."""


def missing(parameter: str) -> Refusal:
    """[M] with "trnm", of which the name in brackets was quoted, and the words before it by another source; that the
    others read the same is a guess."""
    return 100002, f"필수 파라미터가 누락되어 있습니다(parameter={parameter})"


def wrong_shape(what: str) -> Refusal:
    """[M] for the code: a text stood where a list belongs. The text is ours, and says what was wrong."""
    return 105111, f"입력값의 형식이 올바르지 않습니다({what})"


def too_fast(trnm: str) -> Refusal:
    """[M]"""
    return 105110, f"해당 TRNM으로 허용된 요청 건수를 초과하였습니다 (TRNM={trnm})"


def over_group_quota(limit: int) -> Refusal:
    """[M] The number is the one in force; the last syllables were quoted in two ways."""
    return 105118, f"등록 종목이 그룹번호에 등록할 수 있는 허용 개수({limit})를 초과했습니다"


def over_connection_quota(limit: int) -> Refusal:
    """[M] As `over_group_quota`."""
    return 105115, f"등록 종목이 허용 개수({limit})를 초과했습니다"


def already_live(seq: str) -> Refusal:
    """[M] There is no `seq` in this reply, but in its text."""
    return 900003, f"이미 등록된 조건검색 일련번호입니다.(seq={seq})"


US_CLEARED = "정상종료되었습니다."
"""[D] What a clear on the US path is answered, under the name of a search."""

# SYSTEM messages, each followed by the close.

TAKEN_OVER: Notice = ("R10001", "동일한 App key로 접속이 되었습니다. 기존 세션은 종료가 됩니다")
"""[M2]"""
NO_ECHO: Notice = ("R10002", "PING에 대한 응답이 없어 접속을 종료합니다")
"""[D] for the code; the text is ours."""
LOGIN_MISSING: Notice = ("R10004", "접속허용요청(토큰)이 들어오지 않았습니다")
"""[M] for the code, after a LOGIN that never came and, on production, after one that was refused; the text from the
tests of one client."""

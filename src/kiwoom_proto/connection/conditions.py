"""Which condition request a reply answers, and what it says.

A reply to a condition request names its trnm and mostly its number (seq), so a late one can be told apart: a request
that was given up costs nothing but itself.

See also: `wire.messages` for how the requests are written, `requests` for the order they leave in, `conversation` for
what the server must be asked first, and `session.searches` for what is asked again on the next connection.
"""

from __future__ import annotations

import re

from msgspec import UNSET

from ..events import ConditionResult
from ..realtime.conditions import read_rows, read_symbols
from ..request import Request, RequestKind, number_of
from ..wire.messages import ConditionRequest, Reply

__all__ = ("answers", "answers_earlier", "fits", "read_result")

LIST, SEARCH, CLEAR = RequestKind.CONDITION_LIST, RequestKind.CONDITION_SEARCH, RequestKind.CONDITION_CLEAR

_SEQ_IN_MESSAGE = re.compile(r"seq\s*=\s*(\d+)")


def answers(reply: Reply, message: ConditionRequest) -> bool:
    """Whether a reply can answer this message, judging by the names in it."""
    # "GCNSRREQ" is the trnm of the reply to a US clear [official example of GCNSRCLR].
    if reply.trnm != message.trnm and (reply.trnm, message.trnm) != ("GCNSRREQ", "GCNSRCLR"):
        return False
    named = reply.members.get("seq")
    if not isinstance(named, str) or not named.strip():
        # 900003 comes without seq: "이미 등록된 조건검색 일련번호입니다.(seq=3)" [measured].
        found = _SEQ_IN_MESSAGE.search(reply.message)
        named = found[1] if found else ""
    return not (named and isinstance(message.seq, str)) or number_of(named) == number_of(message.seq)


def fits(reply: Reply, message: ConditionRequest) -> bool:
    """Whether the data of a reply fits this message: rows of FIDs for a one-time search, bare codes for a live one."""
    if not reply.ok or reply.kind is LIST:
        return True
    data = reply.members.get("data", UNSET)
    if message.kind is CLEAR or data is UNSET:
        return (message.kind is CLEAR) == (data is UNSET)
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    return not rows or ("jmcode" in rows[0]) == (message.search_type == "1")


def answers_earlier(reply: Reply, earlier: ConditionRequest, waiting: ConditionRequest) -> bool:
    """Whether a reply that could answer both messages answers the earlier one, not the one that waits."""
    if earlier == waiting or not fits(reply, earlier):
        return False
    if earlier.trnm != waiting.trnm or number_of(str(earlier.seq)) != number_of(str(waiting.seq)):
        return True  # the reply names no number, and the server answers in order
    if earlier.search_type != waiting.search_type:
        return False  # rows would tell them apart; without rows both replies say the same
    # Pages of one search. Each names the next page, so the key identifies the page before the one asked for.
    next_key = reply.members.get("next_key")
    return next_key == waiting.next_key if waiting.next_key else next_key != earlier.next_key


def read_result(request: Request, reply: Reply, received_at: int) -> ConditionResult:
    """Return what the reply to a search says.

    Args:
        request: the search it answers.
        reply: the reply.
        received_at: when it was received, in nanoseconds since the epoch; 0 if unknown.
    """
    data, seq, next_key = (reply.members.get(name) for name in ("data", "seq", "next_key"))
    # "cont_yn: Y" with a next_key announces another page [official page of CNSRREQ].
    goes_on = str(reply.members.get("cont_yn") or "").strip() == "Y" and isinstance(next_key, str) and next_key.strip()
    return ConditionResult(
        request,
        (seq.strip() if isinstance(seq, str) else "") or request.seq,
        read_rows(reply.trnm, data, received_at),
        read_symbols(data),
        next_key if goes_on else None,
        reply.members,
    )

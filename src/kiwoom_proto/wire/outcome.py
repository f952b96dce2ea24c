"""What an answer says of its own outcome: `return_code` and `return_msg`. One rule for all who ask.

    spelled           return_code and return_msg, or returnCode and returnMsg (official examples); else rtn_cd, err_code
                      and err_msg (one peer names them), of which err_code is the code inside the words
    a code            an int, or the text of one [both seen]; anything else is not a code
    success           0, or no code at all; but an order needs a code or the number that it was given (주문번호), and a
                      query a code or an element of its reply (see rest/call.py)

Whatever `read_members` can read has an outcome: a raw control character, or bytes that are not UTF-8, somewhere in a
reply say nothing about whether the call succeeded. That holds for the token server too.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from ..errors import UNREADABLE
from .members import read_members, text_of

__all__ = ("Outcome", "is_success", "read_code", "read_outcome", "take_outcome")

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)


class Outcome(NamedTuple):
    """The members of an answer that tell its outcome, of whatever type.

    Attributes:
        return_code: the code, as received; None if there is none.
        return_msg: the words, as received; None if there are none.
        ord_no: the number of an order, as received; None if there is none.
    """

    return_code: Any
    return_msg: Any
    ord_no: Any

    @property
    def says_nothing_of_an_order(self) -> bool:
        """Whether an order may or may not have been accepted: there is no code and no number."""
        return self.return_code in (None, "") and not str(self.ord_no or "").strip("0 ")


class _Members(msgspec.Struct):
    """The others are skipped, not decoded."""

    return_code: Any = None
    return_msg: Any = None
    returnMsg: Any = None
    ord_no: Any = None


_members = msgspec.json.Decoder(_Members)


def read_outcome(body: bytes | bytearray) -> Outcome | None:
    """Return what the body of an answer says of its outcome; None if it is not a JSON object."""
    try:
        found = _members.decode(body)
    except UNREADABLE:
        pass
    else:
        if found.return_code is not None:  # nearly always
            words = found.returnMsg if found.return_msg is None else found.return_msg
            return Outcome(found.return_code, words, found.ord_no)
    members = read_members(body)
    return None if members is None else Outcome(*take_outcome(members), members.get("ord_no"))


def take_outcome(members: dict[str, Any]) -> tuple[str | None, str | None]:
    """Take the return code and the words of the server out of the members of a body."""
    code = _take(members, "return_code", "returnCode")
    words = _take(members, "return_msg", "returnMsg")
    if code is None:
        code, inner, other = (_take(members, name) for name in ("rtn_cd", "err_code", "err_msg"))
        words = other if words is None else words
        if code is None:
            code = inner
        elif inner:
            words = f"[{inner}:{words or ''}]"
    return code, words


def _take(members: dict[str, Any], *names: str) -> str | None:
    """Take members, and return the text of the first that is not null; None if there is none."""
    values = [members.pop(name) for name in names if name in members]
    return next((text_of(value) for value in values if value is not None), None)


def read_code(value: object) -> int | None:
    """Return a return code as an int; None if it is not one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return None


def is_success(return_code: object) -> bool:
    """Return whether an answer with this return code says that the call succeeded. None: it has no code."""
    return return_code in (None, "") or read_code(return_code) == 0

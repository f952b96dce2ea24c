"""Bodies that do not have the documented form: read all the same, and nothing is lost.

a number or bool in place of a string   its exact JSON text
null                                    absent
a nested value                          its JSON text
an element that no document names       kept as it is
a list under another name               the rows, if it is the only list of objects: some official examples have
                                        "result_lsit", or the name of another TR's list
an object in place of a list            one row
returnCode, returnMsg                   return_code, return_msg (official examples)
raw control characters in a string      themselves
bytes that are not UTF-8                replaced
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ("plain_members", "read_members", "take_outcome", "take_rows", "take_texts")


class _Number(str):
    """The exact text of a JSON number."""

    __slots__ = ()


def read_members(body: bytes) -> dict[str, Any] | None:
    """Return the members of a body, with the exact texts of numbers; None if it is not a JSON object."""
    try:
        # Not msgspec: this one gives the exact text of numbers, and reads control characters in strings.
        members = json.loads(
            body.decode(errors="replace"),
            strict=False,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def take_outcome(members: dict[str, Any]) -> tuple[str | None, str | None]:
    """Take the return code and the words of the server out of the members of a body."""
    taken = []
    for names in (("return_code", "returnCode"), ("return_msg", "returnMsg")):
        values = [members.pop(name) for name in names if name in members]
        taken.append(next((_text(value) for value in values if value is not None), None))
    return taken[0], taken[1]


def take_rows(members: dict[str, Any], documented: str, elements: Iterable[str]) -> list[dict[str, Any]]:
    """Take the rows out of the members of a body. What is not a row stays, and so becomes an unknown element."""
    name = documented if documented in members else _other_list(members, set(elements))
    if not name:
        return []
    value = members[name]
    found = value if isinstance(value, list) else [value]
    rows = [each for each in found if isinstance(each, dict)]
    others = [each for each in found if not isinstance(each, dict) and each not in (None, "")]
    if others:
        members[name] = others
    else:
        del members[name]
    return rows


def _other_list(members: Mapping[str, Any], elements: set[str]) -> str:
    """Return the name of the only list of objects; "" if there is none, or more than one."""
    lists = [
        name
        for name, value in members.items()
        if name not in elements and isinstance(value, list) and value and all(isinstance(row, dict) for row in value)
    ]
    return lists[0] if len(lists) == 1 else ""


def take_texts(members: dict[str, Any], elements: Iterable[str]) -> dict[str, str | None]:
    """Take the texts of the documented elements out of the members of a body or row."""
    return {name: _text(members.pop(name)) for name in elements if name in members}


def _text(value: Any) -> str | None:
    """Return the text of an element: of a value that is not a string, its JSON text; None for null."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return json.dumps(_plain(value), ensure_ascii=False)


def plain_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return unknown elements as JSON has them, but the exact text of a number that is not whole: never a float."""
    return {name: _plain(value) for name, value in members.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, _Number):
        try:
            return int(value)
        except ValueError:
            return str(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return plain_members(value) if isinstance(value, dict) else value

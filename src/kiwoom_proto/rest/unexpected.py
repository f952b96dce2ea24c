"""Bodies that do not have the documented form: read all the same, and nothing is lost.

a number or bool in place of a string   its exact JSON text
null                                    absent
a nested value                          its JSON text
an element that no document names       kept as it is
a list under another name               the rows, if it is the only list of objects: some official examples have
                                        "result_lsit", or the name of another TR's list
an object in place of a list            one row

Which bytes are read as JSON at all: `wire/members.py`. returnCode and returnMsg: `wire/outcome.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..wire.members import text_of

__all__ = ("take_rows", "take_texts")


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
    return {name: text_of(members.pop(name)) for name in elements if name in members}

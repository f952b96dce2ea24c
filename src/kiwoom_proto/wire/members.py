"""The members of a JSON body over HTTP, read whatever the server has left unescaped. One rule for all who ask.

the exact text of a number              kept: never a float
raw control characters in a string      themselves
bytes that are not UTF-8                replaced by U+FFFD
a byte order mark before the body       skipped
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ("plain_members", "read_members", "text_of")


class _Number(str):
    """The exact text of a JSON number."""

    __slots__ = ()


class _Members(dict[str, Any]):
    """Members, one of which may be a token. The repr shows only how many there are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} members>"


def read_members(body: bytes | bytearray) -> dict[str, Any] | None:
    """Return the members of a body, with the exact texts of numbers; None if it is not a JSON object."""
    try:
        # Not msgspec: this one gives the exact text of numbers, and reads control characters in strings.
        members = json.loads(
            body.decode(errors="replace").removeprefix("\ufeff"),
            strict=False,
            object_hook=_Members,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_Number,
        )
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def text_of(value: Any) -> str | None:
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

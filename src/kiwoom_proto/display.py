"""Make text from outside safe to show to a person: escaped, and bounded in length.

Text of a server, a file or a user may hold escape sequences that move the cursor, marks that reverse the direction of
writing, invisible characters, or megabytes. The messages of errors, the `str()` and `repr()` of events and rows, and
everything that the command writes pass through this module.

Attributes of events and errors, and the fields of rows, keep the exact text. Call `displayed` before you write one to a
terminal.
"""

from __future__ import annotations

import reprlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

__all__ = (
    "MEMBER_LIMIT",
    "MESSAGE_LIMIT",
    "QUOTE_LIMIT",
    "displayed",
    "is_utf8",
    "json_displayed",
    "quoted",
    "repr_of",
    "rich_repr",
)

QUOTE_LIMIT = 200
"""Maximum length of a quoted string, in characters."""
MESSAGE_LIMIT = 8_000
"""Maximum length of a whole message, in characters."""
MEMBER_LIMIT = 1_000
"""Maximum length of one member in the `repr` of an object, in characters."""
MAX_MARKS = 2
"""Maximum number of combining marks shown on one character. More would cover the lines above."""

# `str.isprintable` rejects control, format (bidirectional marks, zero-width), private-use, surrogate and unassigned
# characters, and all separators except the space. It accepts these invisible ones: the rest of Unicode's
# Default_Ignorable_Code_Point.
_IGNORABLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)


def displayed(text: str, limit: int = QUOTE_LIMIT) -> str:
    r"""Return a string that is safe to show: unprintable characters are escaped ("\x1b"), and it is cut at `limit`.

    A string that was cut ends in its full length: "… (4194304 characters)". A backslash is not escaped, so the result
    is for people, not for parsers. Applying the function again changes nothing.

    Args:
        text: any string.
        limit: maximum length of the result, in characters.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    pieces = [char if fit else ascii(char)[1:-1] for char, fit in _judged(text[: limit + 1])]
    shown = "".join(pieces)
    if len(shown) <= limit:  # and the text, which is never longer
        return shown
    mark = f"… ({len(text)} characters)"
    room = max(0, limit - len(mark))
    kept = []
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + mark


def json_displayed(text: str) -> str:
    r"""Return equivalent JSON that is safe to show. It is not cut; unprintable characters are escaped ("\u202e")."""
    if text.isascii() and text.isprintable():
        return text
    unfit = {ord(char): _json_escape(char) for char in set(text) if _is_mark(char) or not _is_visible(char)}
    return text.translate(unfit)


def is_utf8(text: str) -> bool:
    """Return whether a string can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(value: object, limit: int = QUOTE_LIMIT) -> str:
    """Return a `repr` that is safe to show, of at most `limit` characters.

    The time depends on what is shown, not on the size or depth of the value.
    """
    return displayed(_bounded.repr(value), limit)


def repr_of(value: object, members: Mapping[str, object], shown: Mapping[str, Callable[[object], str]] = {}) -> str:
    """Return a `repr` of an object, made from its members and safe to show.

    Args:
        value: the object.
        members: name -> value.
        shown: name -> a function that formats this member. The others are `quoted`.
    """
    parts = (
        f"{name}={shown[name](member) if name in shown else quoted(member, MEMBER_LIMIT)}"
        for name, member in members.items()
    )
    return displayed(f"{type(value).__name__}({', '.join(parts)})", MESSAGE_LIMIT)


def rich_repr(value: object) -> list[Any]:
    """Return what `rich` may show of an object: what its `repr` shows, and no more.

    For `__rich_repr__`. Without one, rich shows every attribute of an attrs class, and msgspec gives each Struct one
    that does the same: both pass by `__repr__`, and with it what it masks and bounds.
    """
    name, text = f"{type(value).__name__}(", repr(value)
    return [_Shown(text.removeprefix(name).removesuffix(")"))] if text.startswith(name) else []


class _Shown:
    """A text that is its own `repr`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _judged(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each character, and whether it may be shown unescaped."""
    marks = MAX_MARKS  # a mark that comes first would modify the character before the string
    for char in text:
        marks = marks + 1 if _is_mark(char) else 0
        yield char, marks <= MAX_MARKS and _is_visible(char)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me")


def _is_visible(char: str) -> bool:
    return char.isprintable() and char not in _IGNORABLE


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class _Bounded(reprlib.Repr):
    """The standard library's bounded `repr`, without sorting, and with the length of strings that were cut."""

    def repr_str(self, x: str, level: int) -> str:
        if len(x) <= QUOTE_LIMIT:
            return repr(x)
        return f"{x[:QUOTE_LIMIT]!r}… ({len(x)} characters)"

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        if level <= 0 and x:
            return "{...}"
        pieces = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in islice(x, self.maxdict)]
        return f"{{{', '.join(pieces)}{', ...' if len(x) > self.maxdict else ''}}}"


_bounded = _Bounded()
_bounded.maxlevel = 4
_bounded.maxlist = _bounded.maxtuple = _bounded.maxdict = 8
_bounded.maxother = MEMBER_LIMIT

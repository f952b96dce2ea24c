"""Caches of converted strings: most values of a feed come again and again.

These caches belong to the process and outlive every message, connection and session. A peer must therefore not decide
what is kept in them, or how much: they keep a limited number of short strings, and nothing personal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ("MAX_KNOWN_LENGTH", "KnownValues", "NothingKnown")

MAX_KNOWN_VALUES = 4096
"""Maximum number of strings in one cache."""
MAX_KNOWN_LENGTH = 32
"""Maximum length of a string that is kept, in characters. With its value it takes half a kilobyte at the very most."""


class KnownValues(dict[str, Any]):
    """A cache of string -> value; `known[text]` converts what is not in it.

    A lookup takes a quarter of the time of a conversion. A full cache is emptied. Strings that are too long, or that
    cannot be converted, are converted again each time.

    Args:
        convert: converts a string; what it raises is passed on.
        max_values: maximum number of strings kept.
    """

    __slots__ = ("_convert", "_max_values")

    def __init__(self, convert: Callable[[str], Any], max_values: int = MAX_KNOWN_VALUES) -> None:
        self._convert = convert
        self._max_values = max_values

    def __missing__(self, text: str) -> Any:
        value = self._convert(text)
        if len(text) <= MAX_KNOWN_LENGTH:
            if len(self) >= self._max_values:
                self.clear()
            self[text] = value
        return value


class NothingKnown(KnownValues):
    """A cache that keeps nothing, for personal values."""

    __slots__ = ()

    def __missing__(self, text: str) -> Any:
        return self._convert(text)

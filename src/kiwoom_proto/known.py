"""What texts were found to mean: most of a feed's come again and again.

These caches are the process's and outlive every message, connection and session. So a peer must not decide how much is
kept in them, nor what: only short texts are, a limited number of them, and nothing personal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ("KnownValues", "NothingKnown")

MOST_KNOWN = 4096
"""Texts that one cache keeps."""
LONGEST_KNOWN = 32
"""Characters of a text that is kept: with what it means, half a kilobyte at the very most."""


class KnownValues(dict[str, Any]):
    """text -> value, as far as they were met; `known[text]` converts any.

    Reading one takes a quarter of the time of reading its text. It forgets all where it would have more than `most`.
    Longer texts are converted each time, and so are texts that are no value.
    """

    __slots__ = ("_convert", "_most")

    def __init__(self, convert: Callable[[str], Any], most: int = MOST_KNOWN) -> None:
        self._convert = convert
        self._most = most

    def __missing__(self, text: str) -> Any:
        value = self._convert(text)
        if len(text) <= LONGEST_KNOWN:
            if len(self) >= self._most:
                self.clear()
            self[text] = value
        return value


class NothingKnown(KnownValues):
    """The same for what is personal: it keeps nothing."""

    __slots__ = ()

    def __missing__(self, text: str) -> Any:
        return self._convert(text)

"""What everything without async says to whoever uses it with async."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

__all__ = ("NotAsync",)


class NotAsync:
    """Used with async, it raises an error that says what to write."""

    if not TYPE_CHECKING:  # type checkers find these mistakes because the methods are missing

        def __aiter__(self) -> NoReturn:
            raise TypeError(_text(self, "for ... in"))

        def __aenter__(self) -> NoReturn:
            raise TypeError(_text(self, "with"))

        def __aexit__(self, *error: object) -> None:
            """Never called: `__aenter__` raises."""


def _text(value: object, plain: str) -> str:
    name = type(value).__name__
    return (
        f"the {name} of kiwoom_asyncio.blocking is for programs without async: write `{plain}` in a plain function; in "
        "an async one, use kiwoom_asyncio itself, or kiwoom_trio"
    )

"""Call: one request of an app key to one TR, and its reply. `Tr` describes how a TR is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import attrs

from ..market.market import Market
from ..market.names import is_listed
from ..market.sessions import Moment
from ..market.trading import Trading
from .texts import DONE, Refused, bad_format, missing

__all__ = ("Call", "Handler", "Reply", "Tr", "page_of")

MAX_TEXT = 1_200
"""Maximum characters of a parameter. The longest is the list of codes of ka10095."""


class Reply(NamedTuple):
    """What a TR answers.

    Attributes:
        members: the members of the body, before return_code and return_msg.
        next_key: where the next page begins; empty if this is the last.
        message: the return_msg.
    """

    members: dict[str, Any]
    next_key: str = ""
    message: str = DONE


@attrs.frozen
class Call:
    """One request.

    Attributes:
        api_id: the TR.
        key: the app key.
        members: the members of the body.
        next_key: where the page begins; empty for the first.
        market: the market.
        moment: the time of the market.
        keep: keeps a pair of the market going.
    """

    api_id: str
    key: str
    members: Mapping[str, Any]
    next_key: str
    market: Market
    moment: Moment
    keep: Callable[[str, str], None]

    def text(self, name: str) -> str:
        """Return a parameter; "" if it is not there.

        Raises:
            Refused: it is not a text, or is too long.
        """
        value = self.members.get(name, "")
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise Refused(*bad_format(name))
        return value.strip()

    def number(self, name: str, *, default: int | None = None) -> int:
        """Return a parameter that is a whole number, not below 0.

        Raises:
            Refused: it is not, or it is missing and there is no default.
        """
        text = self.text(name)
        if not text and default is not None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 12):
            raise Refused(*bad_format(name))
        return int(text)

    def need(self, names: Sequence[str]) -> None:
        """Check that parameters are there.

        Raises:
            Refused: one is missing or blank.
        """
        for name in names:
            if not self.text(name):
                raise Refused(*missing(name))

    def stock(self, item: str) -> Trading | None:
        """Return the trading of a domestic stock, and keep it going; None if the market does not list it."""
        if ":" in item or not item[:1].isdigit() or not is_listed("0D", item):
            return None
        self.keep("0D", item)
        return self.market.trading(item, self.moment)


Handler: TypeAlias = Callable[[Call], Reply]


class Tr(NamedTuple):
    """A TR.

    Attributes:
        path: the path that serves it.
        handle: makes the reply.
        required: the parameters that must not be blank.
        order: whether it is an order.
    """

    path: str
    handle: Handler
    required: tuple[str, ...] = ()
    order: bool = False


def page_of(rows: Sequence[dict[str, str]], next_key: str, size: int) -> tuple[list[dict[str, str]], str]:
    """Return a page of rows, and the key of the next one. The key is the number of rows before the page.

    Raises:
        Refused: the key was not given out.
    """
    if next_key and not (next_key.isascii() and next_key.isdecimal() and len(next_key) <= 12):
        raise Refused(*bad_format("next-key"))
    begin = int(next_key or 0)
    end = begin + size
    return list(rows[begin:end]), f"{end:012}" if end < len(rows) else ""

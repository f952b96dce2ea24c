"""Registrations: what `subscribe` and `unsubscribe` name, as REG and REMOVE messages that may be sent.

The server acknowledges everything, nonsense too [measured], so mistakes are found here, before a byte leaves: lengths
[official page], the spelling of items, types of the other market. A call becomes as few messages as may be: at most
`items_per_request` items in each, and no more bytes than the server accepts.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import structs

from ..endpoint import Endpoint
from ..errors import LocalProtocolError
from ..realtime.catalogue import Types
from ..realtime.record import Record
from ..realtime.spelling import check_item, check_type
from ..symbol import Symbol
from .messages import MAX_GROUP_LENGTH, Element, Reg, Remove, UsItem, check, check_size, is_too_large

__all__ = ("checked", "registration", "removal")

M = TypeVar("M", bound=Reg | Remove)

MAX_GROUP = "\U0001f600" * MAX_GROUP_LENGTH
"""The group number that takes the most bytes."""


def registration(
    endpoint: Endpoint,
    types: Types,
    size: int,
    type: str | type[Record],
    items: tuple[str | Symbol, ...],
    group: str,
    replace: bool = False,
) -> tuple[Reg, ...]:
    """Return the REGs that register items for a type, at most `size` items in each.

    Raises:
        LocalProtocolError: names what is wrong, be it only a type or an item that would never bring a row.
    """
    elements = _elements(endpoint, types, size, type, items)
    first = "0" if replace else "1"
    return _spelt(
        endpoint,
        types,
        tuple(Reg(group, first if index == 0 else "1", (element,)) for index, element in enumerate(elements)),
    )


def removal(
    endpoint: Endpoint,
    types: Types,
    size: int,
    type: str | type[Record],
    items: tuple[str | Symbol, ...],
    group: str,
) -> tuple[Remove, ...]:
    """Return the REMOVEs that undo such a registration. Errors as `registration`."""
    elements = _elements(endpoint, types, size, type, items)
    return _spelt(endpoint, types, tuple(Remove(group, (element,)) for element in elements))


def _spelt(endpoint: Endpoint, types: Types, messages: tuple[M, ...]) -> tuple[M, ...]:
    """Return the messages of a call, after checking that its type and items can bring rows."""
    for message in messages:
        check(message)
    for message in messages:
        for element in message.data:
            for item in element.item:
                check_item(endpoint, types, element.type[0], str(item))
    return tuple(checked(endpoint, message) for message in messages)


def checked(endpoint: Endpoint, message: M) -> M:
    """Return a message as this endpoint spells it. Types and items are not checked, but for lengths and venues.

    Raises:
        LocalProtocolError: it must not be sent; names what is wrong.
    """
    check(message)
    for element in message.data:
        for item in element.item:
            endpoint.check_item(str(item))
    # A copy, because lists could change before it is sent.
    item_of = _us_item if endpoint.us else str
    data = tuple(Element(tuple(map(item_of, element.item)), tuple(element.type)) for element in message.data)
    message = structs.replace(message, data=data)
    check_size(message)
    return message


def _elements(
    endpoint: Endpoint, types: Types, size: int, type: str | type[Record], items: tuple[str | Symbol, ...]
) -> list[Element]:
    code = check_type(endpoint, types, type, items)
    texts = []
    for item in items:
        if not isinstance(item, str | Symbol):
            raise LocalProtocolError(
                f"items: must be str or Symbol, not {item.__class__.__name__}; pass a list as *items"
            )
        texts.append(str(item))
    texts = texts or [""]
    parts = (texts[at : at + size] for at in range(0, len(texts), size))
    return [Element(tuple(items), (code,)) for part in parts for items in _cut(part, code)]


def _cut(items: list[str], code: str) -> list[list[str]]:
    """Split items so that no message exceeds the size limit."""
    if len(items) < 2 or not is_too_large(Reg(MAX_GROUP, "1", (Element(tuple(items), (code,)),))):
        return [items]
    middle = len(items) // 2
    return _cut(items[:middle], code) + _cut(items[middle:], code)


def _us_item(item: str | UsItem) -> str | UsItem:
    if isinstance(item, UsItem) or not item:
        return item
    symbol = Symbol.parse(item)
    return UsItem(symbol.code, symbol.venue.value)

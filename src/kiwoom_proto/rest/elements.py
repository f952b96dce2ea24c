"""Elements: what a reply or a request holds, by the names that Kiwoom's documents use.

An `Element` is one element of a reply, a `Parameter` one of a request. Both carry the official Korean label, the unit
and the documented codes, so that a program can explain itself and an error can name what it is about.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from ..known import MAX_KNOWN_LENGTH, KnownValues
from ..realtime.fields import Kind

__all__ = ("Element", "make_getter")

T = TypeVar("T", covariant=True)
_NO_CODES: Mapping[str, str] = {}


class Element(Generic[T]):
    """One element of a reply or its rows, declared as a class attribute.

    Attributes:
        name: the name on the wire, "cur_prc".
        kind: how to read its text.
        label: the official Korean label (한글명).
        unit: "원", "1주", "%" ..., as documented; "" if there is none.
        codes: the documented codes and what they mean, for an enumerated element.
        note: what else a reader of the value should know.
        attribute: the name of the attribute. Differs from `name` where Python does not allow that: `from_`,
            `n52wk_hgst_pric`.
    """

    __slots__ = ("attribute", "codes", "kind", "label", "name", "note", "unit")

    def __init__(
        self,
        kind: Kind[T],
        label: str = "",
        *,
        unit: str = "",
        codes: Mapping[str, str] = _NO_CODES,
        note: str = "",
        name: str = "",
    ) -> None:
        self.kind = kind
        self.label = label
        self.unit = unit
        self.codes = codes
        self.note = note
        self.name = name
        self.attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.name = self.name or name

    def __repr__(self) -> str:
        return f"<Element {self.name} ({self.label}), {self.kind.name}>"

    # The class of the reply replaces each Element by a property, which is read faster than a descriptor written in
    # Python. This only tells type checkers and editors the type of the value.
    if TYPE_CHECKING:

        @overload
        def __get__(self, values: None, owner: type) -> property: ...
        @overload
        def __get__(self, values: object, owner: type) -> T | None: ...
        def __get__(self, values: object, owner: type) -> property | T | None: ...


class _TextValues(KnownValues):
    """A cache of text -> value that knows what an absent element is."""

    __slots__ = ()

    def __missing__(self, text: str | None) -> Any:
        if text is None:
            return None
        value = self._convert(text)
        if len(text) <= MAX_KNOWN_LENGTH:  # not with super(): most texts of a chart are new
            if len(self) >= self._max_values:
                self.clear()
            self[text] = value
        return value


class _SecretValues(_TextValues):
    """The same without a cache, for personal values."""

    __slots__ = ()

    def __missing__(self, text: str | None) -> Any:
        return None if text is None else self._convert(text)


@functools.cache
def _cache_of(convert: Callable[[str], Any]) -> _TextValues:
    """Return the cache that all kinds with the same conversion share."""
    return _TextValues(convert)


def _known_values(kind: Kind[Any]) -> _TextValues:
    return _SecretValues(kind.convert) if kind.masked else _cache_of(kind.convert)


class _Values(Protocol):
    """What a getter needs of a reply or row."""

    def _fail(self, element: Element[Any]) -> Any: ...


def make_getter(element: Element[Any], member: str) -> Callable[[Any], Any]:
    """Return the function that reads an element.

    It is compiled once, and each element gets a copy with the name of its own member in `co_names`, as in
    `realtime.getters`: reading by name is twice as fast as `getattr`.

    Args:
        element: the element.
        member: the attribute that holds its text.
    """
    known = _known_values(element.kind)

    def getter(values: Any) -> Any:
        try:
            return known[values.f]
        except (ValueError, ArithmeticError):
            return values._fail(element)

    code = getter.__code__
    names = tuple(member if name == "f" else name for name in code.co_names)
    getter.__code__ = code.replace(co_name=element.attribute, co_names=names)
    return getter

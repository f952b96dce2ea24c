"""Replies and their rows: one decoding of the body, and no conversion before an element is read.

A body is decoded once, straight into objects that hold the text of each element: one for the reply, and one for each
row of its list. An attribute converts its own text when it is read (`elements`, `kinds`). So a page of 900 rows costs
little more than parsing it, and a text that cannot be read affects nothing but its own attribute.

What does not have the documented form (numbers, null or nested values in place of strings, an element that no document
names, a list under another name) takes a second way, which loses nothing: see `unexpected`. So an unexpected reply is
slower, and never an error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec
from msgspec.structs import force_setattr

from ..display import MESSAGE_LIMIT, displayed, quoted, rich_repr
from ..errors import UNREADABLE, ElementError, LocalProtocolError
from ..realtime.fields import Direction
from ..secrets import MASK, Redaction, Secret, mask_opaque, redact
from ..symbol import Symbol, parse_item, parse_stock_code
from ..wire.members import plain_members, read_members
from ..wire.outcome import is_success, read_code, take_outcome
from .elements import Element, make_getter
from .errors import UnreadableReply
from .kinds import price, quantity, stock_code
from .unexpected import take_rows, take_texts

__all__ = ("ListReply", "Reply", "Row", "Values")

MEMBER = "_text_of_"
"""What the members of the decoded objects begin with, which hold the texts of the elements."""
SATURATED = frozenset({2**32 - 1, 2**31 - 1})
"""Where a counter of the server stops [measured]: the true quantity is this or more."""
SATURATED_AVERAGE = 2**31 // 1000
"""Where an average price stops, which the server computes from such a counter, in thousandths (ka10062) [measured]."""
MIN_SATURATED_LENGTH = len(str(SATURATED_AVERAGE))

_OPTIONS: dict[str, Any] = {"frozen": True, "eq": False, "gc": False}


def _limits_of(element: Element[Any]) -> Collection[int]:
    """Return the values at which an element stops, whatever the true one is."""
    if element.kind is quantity:
        return SATURATED
    return (SATURATED_AVERAGE,) if element.kind is price and element.name.endswith("_avg_pric") else ()


class Values(msgspec.Struct, **_OPTIONS):
    """What replies and rows have in common: elements that are read by name. Immutable."""

    api_id: ClassVar[str] = ""
    """The TR that it is of, "ka10004"."""
    elements: ClassVar[dict[str, Element[Any]]] = {}
    """The documented elements by their names on the wire, in official order."""
    _by_attribute: ClassVar[dict[str, Element[Any]]] = {}
    _decoded_type: ClassVar[Any] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()  # that of Generic
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Element)}
        if not declared:
            return
        for name in declared:
            if hasattr(Reply, name):
                raise TypeError(
                    f"{cls.__name__}: every reply has an attribute {name}; an element cannot have this name"
                )
        cls.elements = {element.name: element for element in declared.values()}
        cls._by_attribute = declared
        cls._decoded_type = None
        for attribute, element in declared.items():
            doc = ": ".join(filter(None, (element.label, element.note))) or None
            setattr(cls, attribute, property(make_getter(element, f"{MEMBER}{element.name}"), doc=doc))

    @property
    def unknown(self) -> dict[str, Any]:
        """What the reply or row holds beyond the documented elements: name -> value, as JSON has it."""
        return getattr(self, _UNKNOWN, None) or {}

    def element(self, name: str) -> str | None:
        """Return the exact text of an element; None if it is absent or null.

        A number, or another value in place of a string, is its JSON text. Unknown elements can be read, too. JSON is
        UTF-8: bytes that are not are lost, and are "\ufffd" in the text.

        Args:
            name: the name on the wire, "cur_prc".
        """
        if name in self.elements:
            text: str | None = getattr(self, f"{MEMBER}{name}")
            return text
        value = self.unknown.get(name)
        return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()

    def direction(self, name: str) -> Direction | None:
        """Return the sign of a price: where it stands against the reference price; None if the price is absent.

        Args:
            name: the name of the price on the wire, "cur_prc".

        Raises:
            LocalProtocolError: there is no price of this name.
            FieldError: the price cannot be read.
        """
        element = self.elements.get(name)
        if element is None or not element.kind.directional:
            raise LocalProtocolError(f"{self.api_id} has no price named {name!r} here")
        if getattr(self, element.attribute) is None:
            return None
        sign = (self.element(name) or "").strip()[:1]
        return Direction(sign) if sign in ("+", "-") else Direction.UNCHANGED

    def symbol(self, name: str = "stk_cd") -> Symbol | None:
        """Return the instrument that an element names, as it is subscribed to; None if it names none.

        The letter in front of a code ("A005930") is left out. In US replies the element `stex_tp` names the exchange;
        without it nobody knows the instrument.

        Raises:
            LocalProtocolError: no element of this name holds the code of an instrument.
        """
        element = self.elements.get(name)
        if element is None or element.kind is not stock_code:
            raise LocalProtocolError(f"{self.api_id} has no code of an instrument named {name!r} here")
        code = (self.element(name) or "").strip()
        if not code:
            return None
        if self.api_id.startswith("us"):
            return parse_item(f"{code}:{(self.element('stex_tp') or '').strip()}")
        return parse_stock_code(code)

    @property
    def saturated(self) -> tuple[str, ...]:
        """The quantities, and the average prices, that are at a limit of the server: the true ones may be greater."""
        names = []
        for name, element in self.elements.items():
            limits = _limits_of(element)
            if limits and (text := getattr(self, f"{MEMBER}{name}")) and len(text) >= MIN_SATURATED_LENGTH:
                try:
                    if abs(element.kind.known[text] or 0) in limits:
                        names.append(name)
                except ValueError:
                    pass
        return tuple(names)

    def to_dict(self, *, masked: bool = True) -> dict[str, Any]:
        """Return JSON-ready values by the names on the wire.

        Times and dates are ISO 8601 strings, and Decimals are plain decimal strings. The signs of prices are under
        "directions", and the exact texts of elements that cannot be read under "texts". Elements that the reply does
        not hold are left out. Unknown elements are kept as they are.

        Args:
            masked: replaces account numbers, names of persons, and what looks like a token or key, by "***", because
                the result often ends up in a log or a file.
        """
        result: dict[str, Any] = {}
        directions: dict[str, str] = {}
        texts: dict[str, str] = {}
        for name, element in self.elements.items():
            text = getattr(self, f"{MEMBER}{name}")
            if text is None:
                continue
            try:
                value = getattr(self, element.attribute)
            except ElementError:
                texts[name] = MASK if masked and element.kind.masked else mask_opaque(text) if masked else text
                continue
            result[name] = _plain(value, element.kind.masked, masked)
            if element.kind.directional and (direction := self.direction(name)) not in (None, Direction.UNCHANGED):
                directions[name] = direction.value
        if directions:
            result["directions"] = directions
        if texts:
            result["texts"] = texts
        if unknown := self.unknown:
            result |= Redaction().reply(unknown) if masked else unknown
        return result

    def _fail(self, element: Element[Any]) -> Any:
        """Raise the error of an element whose text cannot be read; return None if the text is blank."""
        text: str = getattr(self, f"{MEMBER}{element.name}")
        if not text.strip():
            return None
        error = ElementError(self.api_id, element.name, element.label, text, masked=element.kind.masked)
        del text  # a traceback may show variables
        raise error from None

    def __repr__(self) -> str:
        parts = list(self._repr_parts())
        return displayed(f"{type(self).__name__}({', '.join(parts)})", MESSAGE_LIMIT)

    __rich_repr__ = rich_repr

    def _repr_parts(self) -> list[str]:
        parts = []
        for name, element in self.elements.items():
            text = getattr(self, f"{MEMBER}{name}")
            if not text:
                continue
            if element.kind.masked:
                parts.append(f"{element.attribute}='{MASK}'")
                continue
            try:
                value = getattr(self, element.attribute)
            except ElementError:
                parts.append(f"{element.attribute}=<bad text {quoted(redact(text))}>")
                continue
            if value is not None:
                shown = mask_opaque(value) if isinstance(value, str) else value
                parts.append(f"{element.attribute}={quoted(shown) if isinstance(shown, str) else shown}")
        if self.unknown:
            parts.append(f"unknown=<{len(self.unknown)}>")
        return parts

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Values):
            return NotImplemented
        return self._state() == other._state()

    def __ne__(self, other: object) -> bool:
        return not self == other  # that of msgspec.Struct would compare its members

    def __hash__(self) -> int:
        return hash((self.api_id, *(getattr(self, f"{MEMBER}{name}") for name in self.elements)))

    def _state(self) -> tuple[Any, ...]:
        texts = tuple(getattr(self, f"{MEMBER}{name}") for name in self.elements)
        return _declared_type(type(self)), texts, self.unknown

    def __reduce__(self) -> tuple[Any, ...]:
        # The class of the decoded object is made at run time, and pickle could not find it.
        texts = {name: text for name in self.elements if (text := getattr(self, f"{MEMBER}{name}")) is not None}
        return _restore, (_declared_type(type(self)), texts, self.unknown, {})


class Row(Values, **_OPTIONS):
    """One row of the list of a reply."""


RowT = TypeVar("RowT", bound=Row)


class Reply(Values, **_OPTIONS):
    """The reply to a request.

    Attributes:
        return_msg: the words of the server.
    """

    list_element: ClassVar[str | None] = None
    """The name of the element that holds the rows; None if there is no list."""
    row_type: ClassVar[type[Row] | None] = None
    """The class of the rows; None if there is no list."""

    @property
    def return_code(self) -> int | None:
        """0 is success; None if the reply holds none, or one that is not a number."""
        return read_code(getattr(self, _RETURN_CODE))

    @property
    def is_success(self) -> bool:
        """Whether the reply does not say that the server refused: `return_code` is 0, or there is none."""
        return is_success(getattr(self, _RETURN_CODE))

    @classmethod
    def names_any(cls, names: Iterable[str]) -> bool:
        """Return whether one of these names is that of an element of this reply, or of its list."""
        return any(name in cls.elements or name == cls.list_element for name in names)

    @property
    def return_msg(self) -> str:
        """The words of the server; "" if there are none."""
        return getattr(self, _RETURN_MSG) or ""

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body of an answer.

        Raises:
            UnreadableReply: the body is not a JSON object.
        """
        decoder = cls._decoder()
        try:
            reply: Self = decoder(body)
        except UNREADABLE:
            return cls._decode_tolerantly(body)
        return reply

    @classmethod
    def _decoder(cls) -> Any:
        decoder = vars(cls).get("_decode_body")
        if decoder is None:
            decoder = msgspec.json.Decoder(_decoded_type(cls)).decode
            cls._decode_body = decoder
        return decoder

    _decode_body: ClassVar[Any] = None

    @classmethod
    def _decode_tolerantly(cls, body: bytes) -> Self:
        """Decode a body that does not have the documented form."""
        members = read_members(body)
        if members is None:
            raise UnreadableReply("the body of the answer is not a JSON object", api_id=cls.api_id)
        code, message = take_outcome(members)
        special: dict[str, Any] = {_RETURN_CODE: code, _RETURN_MSG: message}
        if cls.list_element is not None and cls.row_type is not None:
            rows = take_rows(members, cls.list_element, cls.elements)
            special[_ROWS] = tuple(
                _make(cls.row_type, take_texts(row, cls.row_type.elements), plain_members(row), {}) for row in rows
            )
        texts = take_texts(members, cls.elements)
        reply: Self = _make(cls, texts, plain_members(members), special)
        return reply

    def to_dict(self, *, masked: bool = True) -> dict[str, Any]:
        """Return JSON-ready values by the names on the wire, and the list as a list of such dicts.

        See `Values.to_dict`.

        Args:
            masked: replaces account numbers, names of persons, and what looks like a token or key, by "***".
        """
        result: dict[str, Any] = {"return_code": self.return_code, "return_msg": self.return_msg}
        if masked:
            result["return_msg"] = redact(self.return_msg)
        result |= super().to_dict(masked=masked)
        if self.list_element is not None:
            result[self.list_element] = [row.to_dict(masked=masked) for row in getattr(self, _ROWS)]
        return result

    def _repr_parts(self) -> list[str]:
        parts = super()._repr_parts()
        if self.row_type is not None:
            parts.append(f"rows=<{len(getattr(self, _ROWS))}>")
        if self.return_code != 0 or self.return_msg:
            parts += [f"return_code={self.return_code}", f"return_msg={quoted(redact(self.return_msg))}"]
        return parts

    def _state(self) -> tuple[Any, ...]:
        rows = tuple(getattr(self, _ROWS)) if self.row_type is not None else ()
        return *super()._state(), self.return_code, self.return_msg, rows

    def __reduce__(self) -> tuple[Any, ...]:
        restore, (cls, texts, unknown, _) = super().__reduce__()
        names = (_RETURN_CODE, _RETURN_MSG, *((_ROWS,) if self.row_type is not None else ()))
        return restore, (cls, texts, unknown, {name: getattr(self, name) for name in names})


class ListReply(Reply, Generic[RowT], **_OPTIONS):
    """A reply with a list."""

    @property
    def rows(self) -> Sequence[RowT]:
        """The rows of the list, in the order received; none if the list is absent."""
        rows: Sequence[RowT] = getattr(self, _ROWS)
        return rows


# The other members of the decoded objects.
_UNKNOWN, _ROWS, _RETURN_CODE, _RETURN_MSG = "x_unknown", "x_rows", "x_return_code", "x_return_msg"


def _decoded_type(cls: type[Values]) -> Any:
    """Return the class of the objects that a body is decoded into: `cls` with a member for each element.

    It is made when it is first needed: most programs use few TRs.
    """
    made = vars(cls).get("_decoded_type")
    if made is not None:
        return made
    members: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for name in cls.elements:
        members.append((f"{MEMBER}{name}", str | None, None))
        names[f"{MEMBER}{name}"] = name
    if issubclass(cls, Reply):
        members += [(_RETURN_CODE, int | str | None, None), (_RETURN_MSG, str | None, None)]
        names |= {_RETURN_CODE: "return_code", _RETURN_MSG: "return_msg"}
        if cls.row_type is not None:
            members.append((_ROWS, tuple[_decoded_type(cls.row_type), ...], ()))  # type: ignore[misc]
            names[_ROWS] = str(cls.list_element)
    members.append((_UNKNOWN, dict[str, Any] | None, None))
    names[_UNKNOWN] = "(unknown)"
    made = msgspec.defstruct(
        cls.__name__,
        members,
        bases=(cls,),
        module=cls.__module__,
        rename=names,
        forbid_unknown_fields=True,
        **_OPTIONS,
    )
    made.__doc__ = cls.__doc__  # Python does not inherit it
    cls._decoded_type = made
    return made


def _declared_type(cls: type[Values]) -> type[Values]:
    """Return the class that declares the elements of a decoded object."""
    return next(each for each in cls.__mro__ if vars(each).get("_decoded_type") is not None)


def _make(
    cls: type[Values], texts: Mapping[str, str | None], unknown: dict[str, Any], special: Mapping[str, Any]
) -> Any:
    made = _decoded_type(cls)(**{f"{MEMBER}{name}": text for name, text in texts.items()}, **special)
    if unknown:
        force_setattr(made, _UNKNOWN, unknown)
    return made


def _restore(cls: type[Values], texts: dict[str, str], unknown: dict[str, Any], special: dict[str, Any]) -> Any:
    return _make(cls, texts, unknown, special)


def _plain(value: object, is_personal: bool, masked: bool) -> Any:
    """Return the JSON-ready form of a value."""
    if value is None or isinstance(value, int):
        return value
    if is_personal:
        return MASK if masked else value.reveal() if isinstance(value, Secret) else value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return mask_opaque(value) if masked else value
    return value.isoformat()  # type: ignore[attr-defined]

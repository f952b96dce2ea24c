"""Requests: what is sent for a TR, checked before a byte is sent.

A request is made with the arguments that the TR documents, by their names on the wire. All of them are checked at once:

    unknown      a name that the TR does not have; the message names the nearest one
    required     left out, or empty
    type         a str; for numbers also an int or a Decimal. Never a float or bool, nor an int where zeros lead
    length       more characters than documented
    format       dates, and codes of Korean stocks where the documents say that it is one, see `instruments`
    codes        a code that the TR does not document; the message lists those that it has, or names the one meant
    order        of orders, what cannot be meant: a quantity of 0, a limit order without a price, see `order_rules`

The documented codes are not always all that the server takes: where an official example has another one, or the note
says that any number or sector code will do, every code is taken (`Parameter.is_open`). Everywhere else, of orders
above all, what is not documented is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeAlias, TypeVar, dataclass_transform

import msgspec

from ..display import MESSAGE_LIMIT, displayed, quoted, rich_repr
from ..errors import LocalProtocolError
from ..secrets import MASK, Secret, mask_opaque
from .errors import read_failure
from .instruments import fault_of_stock
from .order_rules import fault_of_order
from .reply import Reply

__all__ = ("Number", "Parameter", "Request", "Stocks", "parameter")

Number: TypeAlias = str | int | Decimal
"""A number of a request: as its exact text, or as a number."""
Stocks: TypeAlias = Sequence[Mapping[str, str]]
"""A list of US stocks: [{"stex_tp": "ND", "stk_cd": "NVDA"}]."""

R = TypeVar("R", bound=Reply)

_NO_CODES: Mapping[str, str] = {}
_DATES = {"YYYYMMDD": r"[0-9]{8}", "YYYYMM": r"[0-9]{6}", "YYYY": r"[0-9]{4}"}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?").fullmatch
_OTHERWISE = "the TRs of US stocks begin with usa, and those of gold with ka5"
_BETWEEN = re.compile(r"[,;/\s]")
MAX_CODES_SHOWN = 12
MIN_LENGTH_TO_SUGGEST = 3
"""Shorter codes are like too many others."""
MAX_ITEMS = 100
"""Item codes in one call. More are refused with 1634 [measured]."""


class Parameter:
    """One element of a request.

    Attributes:
        name: the name on the wire, "stk_cd".
        label: the official Korean label (한글명).
        is_required: whether it must be given.
        length: the maximum number of characters; None if none is documented.
        unit: "원", "1주" ...; "" if there is none.
        format: "YYYYMMDD", "item" for an item code, "items" for several joined with |, "number", "secret", "stocks" for
            a list of stocks; else "".
        codes: the documented codes and what they mean.
        is_open: whether other codes are taken, too.
        may_be_empty: whether an empty text will do although it is required.
        note: what else a caller should know.
        attribute: the name of the argument. Differs from `name` where Python does not allow that.
    """

    __slots__ = (
        "attribute",
        "codes",
        "format",
        "is_open",
        "is_required",
        "label",
        "length",
        "may_be_empty",
        "name",
        "note",
        "unit",
    )

    def __init__(
        self,
        label: str,
        *,
        default: Any = ...,
        length: int | None = None,
        unit: str = "",
        format: str = "",
        codes: Mapping[str, str] = _NO_CODES,
        is_open: bool = False,
        may_be_empty: bool = False,
        note: str = "",
        name: str = "",
    ) -> None:
        self.name = name
        self.label = label
        self.is_required = default is ...
        self.length = length
        self.unit = unit
        self.format = format
        self.codes = codes
        self.is_open = is_open
        self.may_be_empty = may_be_empty
        self.note = note
        self.attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.name = self.name or name

    def __repr__(self) -> str:
        return f"<Parameter {self.name} ({self.label}){', required' if self.is_required else ''}>"

    def refuse(self, reason: str) -> NoReturn:
        """Raise the error of a bad argument, which names the element and its label."""
        label = f" ({self.label})" if self.label else ""
        raise LocalProtocolError(f"{self.name}{label}: {reason}")

    def checked(self, value: Any) -> Any:
        """Return the value to be sent: a str, or what `format` says.

        Raises:
            LocalProtocolError: the value is not one that may be sent.
        """
        if self.format == "secret":
            return self._checked_secret(value)
        if self.format == "stocks":
            return self._checked_stocks(value)
        text = self._text_of(value)
        if not text and not self.is_required:
            return text
        if not text and self.may_be_empty:
            return text
        if not text.strip():
            self.refuse("must not be blank" if text else "required, and must not be empty")
        if self.codes and not self.is_open and text not in self.codes:
            self._refuse_code(text)
        if self.format in ("item", "items"):
            self._check_codes(mask_opaque(text).split("|") if self.format == "items" else [mask_opaque(text)])
        if self.length is not None and len(text) > self.length:
            self.refuse(f"{quoted(mask_opaque(text))} has {len(text)} characters, the limit is {self.length}")
        if not text.isprintable():
            self.refuse(f"{quoted(mask_opaque(text))} has characters that cannot be printed")
        self._check_format(text)
        return text

    def _text_of(self, value: Any) -> str:
        if isinstance(value, str):
            return str(value)
        if self.format == "number" and isinstance(value, int | Decimal) and not isinstance(value, bool):
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        expected = "a str, an int or a Decimal" if self.format == "number" else "a str"
        reason = ": leading zeros would be lost" if type(value) is int and self.format != "number" else ""
        return self.refuse(f"must be {expected}, not {type(value).__name__}{reason}")

    def _checked_secret(self, value: Any) -> Secret:
        if not isinstance(value, str | Secret):
            self.refuse(f"must be a str or Secret, not {type(value).__name__}")
        secret = Secret(value) if isinstance(value, str) else value
        if not secret.reveal().strip() or not secret.reveal().isprintable():
            self.refuse("must be printable, and not blank")
        return secret

    def _checked_stocks(self, value: Any) -> list[dict[str, str]]:
        if isinstance(value, str) or not isinstance(value, Sequence) or not value:
            self.refuse('must be a list such as [{"stex_tp": "ND", "stk_cd": "NVDA"}]')
        for stock in value:
            if not isinstance(stock, Mapping) or stock.keys() != {"stex_tp", "stk_cd"}:
                self.refuse(f'each stock must have "stex_tp" and "stk_cd", unlike {quoted(stock)}')
            if not all(isinstance(text, str) and text.strip() for text in stock.values()):
                self.refuse(f'"stex_tp" and "stk_cd" must be str and not empty, unlike {quoted(stock)}')
            if not all(text.isprintable() for text in stock.values()):
                self.refuse(f"{quoted(stock)} has characters that cannot be printed")
        return [dict(stock) for stock in value]

    def _check_format(self, text: str) -> None:
        if self.format in _DATES and re.fullmatch(_DATES[self.format], text) is None:
            self.refuse(f"{quoted(text)} is not {self.format}")
        if self.format == "number" and _NUMBER(text) is None:
            self.refuse(f"{quoted(text)} is not a number")

    def _check_codes(self, codes: list[str]) -> None:
        if len(codes) > MAX_ITEMS:
            self.refuse(f"{len(codes)} item codes, the limit is {MAX_ITEMS}")
        for code in codes:
            if self.format == "items" and _BETWEEN.search(code.strip()):
                self.refuse(f'{quoted(code)} is not one item code; join them with | as in "005930|000660_NX"')
            if reason := fault_of_stock(code, _OTHERWISE):
                self.refuse(reason)

    def _refuse_code(self, text: str) -> NoReturn:
        meant = next((code for code, meaning in self.codes.items() if meaning == text), None)
        if meant is None:
            folded: dict[str, str] = {code.strip("0 ").casefold(): code for code in reversed(tuple(self.codes))}
            meant = folded.get(text.strip("0 ").casefold())
        if meant is None:
            words = [word for pair in self.codes.items() for word in pair if len(word) >= MIN_LENGTH_TO_SUGGEST]
            near = difflib.get_close_matches(text, words, 1)
            meant = next((code for code, meaning in self.codes.items() if near and near[0] in (code, meaning)), None)
        shown = [f"{code} ({meaning})" if meaning else code for code, meaning in self.codes.items()]
        more = f" and {len(shown) - MAX_CODES_SHOWN} more" if len(shown) > MAX_CODES_SHOWN else ""
        suggestion = f"; did you mean {quoted(meant)}?" if meant is not None else ""
        self.refuse(f"{quoted(mask_opaque(text))} is not one of {', '.join(shown[:MAX_CODES_SHOWN])}{more}{suggestion}")


def parameter(label: str, **options: Any) -> Any:
    """Declare an element of a request: `Parameter` with these arguments. With a default it may be left out."""
    return Parameter(label, **options)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(parameter,))
class Request(Generic[R]):
    """What is sent for a TR. Immutable; two requests with the same values are equal.

    Subclasses are generated: one for each TR, see `CATALOGUE`.

    Raises:
        LocalProtocolError: an argument is not one that may be sent. Nothing was sent.
    """

    api_id: ClassVar[str] = ""
    """The TR, "ka10004"."""
    path: ClassVar[str] = ""
    """The path that it is posted to, "/api/dostk/mrkcond"."""
    label: ClassVar[str] = ""
    """The official Korean name of the TR."""
    group: ClassVar[str] = ""
    """The official Korean name of the group that it belongs to."""
    market: ClassVar[str] = ""
    """ "domestic", "us", or "auth" for the TRs of tokens."""
    mock: ClassVar[bool | None] = None
    """Whether the mock servers have it; None if nobody has said."""
    safety: ClassVar[str] = ""
    """What it does: "read", "account_read", "order_write" (places, amends or cancels an order) or "auth_write"."""
    pages: ClassVar[bool] = False
    """Whether a reply may be one page of several."""
    list_element: ClassVar[str | None] = None
    """The name of the element of the reply that holds its rows; None if there is no list."""
    reply_type: ClassVar[type[Reply]] = Reply
    """The class of the reply."""
    elements: ClassVar[dict[str, Parameter]] = {}
    """What may be sent, by the names on the wire, in official order."""
    _by_attribute: ClassVar[dict[str, Parameter]] = {}

    def __init_subclass__(cls) -> None:
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Parameter)}
        for name in declared:
            delattr(cls, name)  # a request has the value under this name
        cls._by_attribute = declared
        cls.elements = {each.name: each for each in declared.values()}
        cls.list_element = cls.reply_type.list_element

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        if not cls.api_id:
            raise TypeError("Request has no elements of its own: make one of the classes of the catalogue")
        for name in values:
            if name not in cls._by_attribute:
                _refuse_unknown(cls, name)
        given: dict[str, Any] = {}
        for attribute, each in cls._by_attribute.items():
            value = values.get(attribute)
            if value is None and each.is_required:
                each.refuse("required")
            given[attribute] = value if value is None else each.checked(value)
        if cls.safety == "order_write" and (fault := fault_of_order(cls.market, given)) is not None:
            name, reason = fault
            cls.elements[name].refuse(reason)
        vars(self).update(given)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the request with these values by the names on the wire, checked as all are."""
        known = cls.elements
        return cls(**{known[name].attribute if name in known else name: value for name, value in values.items()})

    @classmethod
    def decode(cls, body: bytes) -> R:
        """Return the reply that the body of an answer holds.

        Raises:
            RestError: the server refused, or the body is not a JSON object. See `errors`.
        """
        reply: R = cls.reply_type.decode(body)  # type: ignore[assignment]
        if not reply.is_success and (failure := read_failure(cls.api_id, 200, (), body)):
            raise failure
        return reply

    def _values(self) -> dict[str, Any]:
        """Return what is sent, by the names on the wire."""
        values = vars(self)
        return {
            name: value for name, each in self.elements.items() if (value := values.get(each.attribute)) is not None
        }

    def to_json(self) -> bytes:
        """Return the body to be sent."""
        return msgspec.json.encode(self.to_dict(masked=False))

    def to_dict(self, *, masked: bool = True) -> dict[str, Any]:
        """Return what is sent, by the names on the wire.

        Args:
            masked: replaces keys and tokens by "***". If False, the result is what `to_json` encodes.
        """
        return {
            name: (MASK if masked else value.reveal()) if isinstance(value, Secret) else value
            for name, value in self._values().items()
        }

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable; make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable; make another one")

    def __repr__(self) -> str:
        parts = [
            f"{self.elements[name].attribute}={quoted(value) if isinstance(value, str) else value}"
            for name, value in self.to_dict().items()
        ]
        return displayed(f"{type(self).__name__}({', '.join(parts)})", MESSAGE_LIMIT)

    __rich_repr__ = rich_repr

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.api_id, self.to_json()))


def _refuse_unknown(cls: type[Request[Any]], name: str) -> NoReturn:
    """Raise the error of an argument that the TR does not have."""
    near = difflib.get_close_matches(name, cls._by_attribute, 1, 0.5)
    known = ", ".join(f"{each.attribute} ({each.label})" for each in cls._by_attribute.values()) or "none"
    suggestion = f"; did you mean {near[0]} ({cls._by_attribute[near[0]].label})?" if near else "."
    raise LocalProtocolError(
        f"{cls.api_id} ({cls.label}) has no element {quoted(name)}{suggestion} Its elements: {known}"
    )

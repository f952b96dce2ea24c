"""Record: the base of every real-time row. Nothing is decoded before it is read.

A row arrives as `{"values": {FID: string, ...}, "type": "0E", "name": ..., "item": "005930"}`. The record keeps
`values` as the bytes received. Reading the first field decodes the FIDs once; each field converts its own string
whenever it is read. So a program pays only for what it reads: a row of 163 FIDs that is only counted costs hardly more
than one of five.

A subclass is only declarations (see `Record` and the modules of this package). Each `Field` becomes a property when the
class is made; `getters` explains how it reads, and `Record._read` handles whatever is not plain.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Self

import msgspec
from msgspec.structs import force_setattr

from ..display import MESSAGE_LIMIT, displayed, quoted, rich_repr
from ..errors import FieldError, LocalProtocolError
from ..hours import KST
from ..html import table
from ..secrets import MASK, PERSONAL_FIDS, Redaction, holds_opaque, mask_opaque, redact
from ..symbol import Symbol, parse_item, parse_stock_code
from .fields import Direction, Field
from .getters import make_getter
from .layout import FidStrings, Layout, read_fids
from .traits import ItemForm, Market, RowsExpected, Scope

__all__ = ("KST", "STOCK_CODE_FID", "TOKEN_INDEX_SHIFT", "Record")

TOKEN_INDEX_SHIFT = 20
_EPOCH = datetime.datetime(1970, 1, 1, 9, tzinfo=KST)
"""In a pool, the connections of the token with index i are numbered from i << 20 on. So a row tells its token without
an attribute of its own, which would cost memory and time."""

STOCK_CODE_FID = "9001"
"""The FID of the stock (종목코드), which rows of orders and balances name."""
_TRAITS = {
    "label": str,
    "market": Market,
    "scope": Scope,
    "item_form": ItemForm,
    "rows_expected": RowsExpected,
    "droppable": bool,
}


# In the class statement, type checkers would ask every subclass to repeat `frozen=True`.
_OPTIONS: dict[str, Any] = {"frozen": True, "eq": False, "gc": False, "tag_field": "record"}


class Record(msgspec.Struct, **_OPTIONS):
    """One row of one real-time type, as received. Immutable.

    A row of a type without a class of its own is a plain `Record`: read its FIDs with `fid` and `fids`.

    To declare a type, subclass it with the type code as `tag`, give each FID a `Field`, and set what is not the default
    of the class attributes `label`, `market`, `scope`, `item_form`, `rows_expected` and
    `droppable`:

        class OrderExecution(Record, tag="00"):
            label = "주문체결"
            scope = Scope.ACCOUNT

            order_number = Field("9203", fields.order_number, "주문번호")

    Attributes:
        type_code: the real-time type (TR 명), "0E". Case matters: "0G" is not "0g".
        item: the registered item that this row answers (실시간 등록 요소), "005930"; the stock for orders and balances;
            "" if the row names none.
        name: the label of the type (실시간 항목명), never of the stock. Its spelling varies.
        received_at: time of receipt, nanoseconds since the epoch (UTC), as passed by the caller; 0 if unknown.
        venue_code: US rows only: the exchange (`stexTp`), "ND"; otherwise "".
        values: the FIDs of the row as JSON, exactly as received. Errors in them are reported on reading.
        epoch: the number of the connection of its session, from 1; 0 if there was none.
        sequence: its number among all events of its session. Comparisons ignore `epoch` and `sequence`.
        extra: undocumented members of the row or its message; None if there are none.
    """

    type_code: str
    item: str
    name: str = ""
    received_at: int = 0
    values: bytes = b"{}"
    venue_code: str = ""
    epoch: int = 0
    sequence: int = 0
    extra: Mapping[str, Any] | None = None
    _decoded: Any = None

    label: ClassVar[str] = ""
    """The official Korean name of the type (실시간 항목명)."""
    market: ClassVar[Market] = Market.DOMESTIC
    """The market that serves the type."""
    scope: ClassVar[Scope] = Scope.ITEM
    """What a row is about."""
    item_form: ClassVar[ItemForm] = ItemForm.ANY
    """The form of the items that may be registered."""
    rows_expected: ClassVar[RowsExpected] = RowsExpected.CONTINUOUS_TRADING
    """When silence is news (`fresh_within`), of types whose items are stocks or sectors."""
    droppable: ClassVar[bool] = True
    """Whether a slow consumer may lose rows; by default not those about the account or a condition search."""

    fields: ClassVar[dict[str, Field[Any]]] = {}
    """The declared fields of this class by English name, in official order."""
    _by_fid: ClassVar[dict[str, Field[Any]]] = {}
    _personal_fids: ClassVar[frozenset[str]] = PERSONAL_FIDS
    _layout: ClassVar[Layout | None] = None

    def __init_subclass__(cls) -> None:
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        for name in declared:
            if hasattr(Record, name):
                raise TypeError(f"{cls.__name__}: every Record has an attribute {name}; a field cannot have this name")
        if "scope" in vars(cls) and "droppable" not in vars(cls):
            cls.droppable = cls.scope not in (Scope.ACCOUNT, Scope.CONDITION)
        for name, kind in _TRAITS.items():
            if not isinstance(getattr(cls, name), kind):
                raise TypeError(f"{cls.__name__}.{name}: must be a {kind.__name__}, without an annotation")
        cls.fields = {**cls.fields, **declared}
        cls._by_fid = {field.fid: field for field in cls.fields.values()}
        if len(cls._by_fid) != len(cls.fields):
            raise TypeError(f"{cls.__name__}: two fields have the same FID")
        cls._personal_fids = PERSONAL_FIDS.union(field.fid for field in cls.fields.values() if field.kind.masked)
        cls._layout = Layout(cls._by_fid)
        for name, field in declared.items():
            doc = ": ".join(filter(None, (field.label, field.note))) or None
            setattr(cls, name, property(make_getter(field), doc=doc))

    def _decode(self) -> Any:
        layout = self._layout
        decoded = FidStrings(self.values) if layout is None else layout.decode(self.values)
        force_setattr(self, "_decoded", decoded)
        return decoded

    def _text(self, fid: str) -> str | None:
        """Return the string of a declared FID, however it has to be decoded."""
        decoded = self._decoded
        if decoded is None:
            decoded = self._decode()
        if not isinstance(decoded, FidStrings):
            try:
                text: str | None = getattr(decoded, f"f{fid}")
            except AttributeError:  # not read of this type before
                assert self._layout is not None
                decoded = self._layout.decode_all(self.values)
                force_setattr(self, "_decoded", decoded)
            else:
                return text
        return decoded.text(fid)

    def _read(self, field: Field[Any], texts: FidStrings | None = None) -> Any:
        """Return the value of a field that the fast path of `getters` does not return.

        Args:
            field: the field.
            texts: other strings of this row than those that it keeps.
        """
        text = self._text(field.fid) if texts is None else texts.text(field.fid)
        if text is None:
            decoded = texts or self._decoded
            if isinstance(decoded, FidStrings) and decoded.wrong:
                reason = f"the row's values cannot be read: {decoded.wrong}"
                raise FieldError(self.type_code, field.fid, field.name, None, reason)
            return None
        kind = field.kind
        try:
            return kind.convert(text)
        except (ValueError, ArithmeticError):
            if not text.strip():
                return None
            error = FieldError(self.type_code, field.fid, field.name, text, masked=kind.masked)
        del text  # a traceback may show variables
        raise error from None

    def fid(self, fid: str) -> str | None:
        """Return the exact string of a FID, declared or not; None if `fids` does not have it."""
        if self._layout is None or fid in self._by_fid:
            return self._text(fid)
        return self.fids().get(fid)

    def fids(self) -> dict[str, str]:
        """Return every FID received with its exact string, in the order received, including undeclared ones.

        From malformed JSON, or more than 16,384 FIDs, the complete pairs at the beginning are returned.
        """
        return read_fids(self.values)[0]

    @property
    def symbol(self) -> Symbol | None:
        """The instrument, as it is subscribed to: from `item`, or else from FID 9001 (종목코드) without the letter that
        may be in front ("A005930"). None if the row names none.

        Also None for a US row that does not name the exchange, such as those of orders (F4, F5).
        """
        code = self.item or (self.fid(STOCK_CODE_FID) or "").strip()
        if not code:
            return None
        if self.venue_code or self.market is Market.US:
            return parse_item(f"{code}:{self.venue_code.strip()}")
        return parse_stock_code(code)

    @property
    def token_index(self) -> int:
        """Which token's connection it came from: the index in the list given to `connect`; 0 if there is only one."""
        return self.epoch >> TOKEN_INDEX_SHIFT

    def direction(self, name: str) -> Direction | None:
        """Return the sign of a price: where it stands against the reference price; None if the price is absent.

        Raises:
            LocalProtocolError: the type has no price of this name.
            FieldError: the price cannot be read.
        """
        field = self.fields.get(name)
        if field is None or not field.kind.directional:
            raise LocalProtocolError(f"type {self.type_code} has no price named {name!r}")
        if getattr(self, name) is None:
            return None
        sign = (self.fid(field.fid) or "").strip()[:1]
        return Direction(sign) if sign in ("+", "-") else Direction.UNCHANGED

    @property
    def exchange_time(self) -> datetime.datetime | None:
        """The field `time` with date and zone (KST); None if it or `received_at` is missing.

        The date is the one that puts it nearest to `received_at`, so rows around midnight are right.

        Raises:
            FieldError: the time cannot be read.
        """
        time = getattr(self, "time", None)
        if not isinstance(time, datetime.time) or not self.received_at:
            return None
        received = _EPOCH + datetime.timedelta(microseconds=self.received_at // 1000)
        same_day = datetime.datetime.combine(received.date(), time, KST)
        day = datetime.timedelta(days=1)
        return min((same_day - day, same_day, same_day + day), key=lambda moment: abs(moment - received))

    def to_dict(self, *, masked: bool = True) -> dict[str, Any]:
        """Return JSON-ready values by English name.

        Times and dates are ISO 8601 strings, and Decimals are plain decimal strings. Codes are strings, with their
        leading zeros. A field that cannot be read is left out. `exchange_time` (KST) is there if the record has one,
        `epoch` and `sequence` if it is of a session. The signs of prices are under "directions", and every FID is under
        "fids" with its exact string.

        Args:
            masked: replaces account numbers, and what looks like a token or key, by "***", because the result often
                ends up in a log or a file. A program with several accounts reads `account_number`. If False, nothing
                is lost, and `from_dict` restores the record.
        """
        if masked:
            return self._mask(self.to_dict(masked=False))
        result: dict[str, Any] = {
            "type": self.type_code,
            "item": self.item,
            "name": self.name,
            "received_at": self.received_at,
        }
        if self.epoch:  # a row of a session
            result |= {"epoch": self.epoch, "sequence": self.sequence}
        if (moment := self._exchange_time()) is not None:
            result["exchange_time"] = moment.isoformat()
        directions: dict[str, str] = {}
        for name, field in self.fields.items():
            try:
                value = getattr(self, name)
            except FieldError:
                continue
            result[name] = value if isinstance(value, int | str | None) else _plain(value)
            if field.kind.directional and (direction := self.direction(name)) not in (None, Direction.UNCHANGED):
                directions[name] = direction.value
        if directions:
            result["directions"] = directions
        if self.venue_code:
            result["venue_code"] = self.venue_code
        if self.extra:
            result["extra"] = dict(self.extra)
        result["fids"] = self.fids()
        return result

    def _exchange_time(self) -> datetime.datetime | None:
        """Return `exchange_time`; None also if it cannot be read, or lies outside the calendar."""
        try:
            return self.exchange_time
        except (ValueError, OverflowError, OSError):
            return None

    def _mask(self, result: dict[str, Any]) -> dict[str, Any]:
        """Mask the result of `to_dict`."""
        fids = result["fids"]
        for fid in self._personal_fids.intersection(fids):
            fids[fid] = MASK
        for name, field in self.fields.items():
            if field.kind.masked and result.get(name) is not None:
                result[name] = MASK
        if holds_opaque(self.values):
            result["fids"] = {mask_opaque(fid): mask_opaque(text) for fid, text in fids.items()}
            for name in self.fields.keys() & result.keys():
                if isinstance(result[name], str):
                    result[name] = mask_opaque(result[name])
        for name in ("type", "item", "name", "venue_code"):
            if name in result:
                result[name] = redact(result[name])
        if "extra" in result:
            result["extra"] = Redaction().reply(result["extra"])
        return result

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Return the record that `to_dict(masked=False)` was called on. Call this on the same class.

        Raises:
            KeyError: "type", "item" or "fids" is missing.
        """
        return cls(
            members["type"],
            members["item"],
            members.get("name", ""),
            members.get("received_at", 0),
            msgspec.json.encode(members["fids"]),
            members.get("venue_code", ""),
            members.get("epoch", 0),
            members.get("sequence", 0),
            extra=members.get("extra"),
        )

    def __repr__(self) -> str:
        parts = [f"item={quoted(redact(self.item))}"]
        if self._layout is None:
            parts.insert(0, f"type_code={quoted(redact(self.type_code))}")
            # Its FIDs are unknown: one of them may be an account number.
            parts.append(f"fids=<{len(self.fids())}>")
        for name, field in self.fields.items():
            text = self.fid(field.fid)
            if text is None:
                continue
            if field.kind.masked:
                parts.append(f"{name}='{MASK}'")
                continue
            try:
                value = getattr(self, name)
            except FieldError:
                parts.append(f"{name}=<bad text {quoted(redact(text))}>")
                continue
            if isinstance(value, str) and mask_opaque(value) != value:
                value = mask_opaque(value)
            parts.append(f"{name}={value}" if isinstance(value, datetime.time) else f"{name}={quoted(value)}")
        if isinstance(self._decoded, FidStrings) and self._decoded.wrong:
            parts.append("values=<cannot be read>")
        return displayed(f"{type(self).__name__}({', '.join(parts)})", MESSAGE_LIMIT)

    __rich_repr__ = rich_repr

    def _repr_html_(self) -> str:
        """Return a table for a notebook: the ladder of an order book; of other types every field that is there.

        Masked as in `repr`.
        """
        moment = self._exchange_time()
        parts = (
            type(self).__name__,
            self.label,
            redact(self.type_code),
            redact(self.item),
            f"{moment:%X}" if moment else "",
        )
        caption = " ".join(filter(None, parts))
        if hasattr(self, "asks") and hasattr(self, "bids"):
            try:
                return table(caption, _LADDER_HEADINGS, _ladder_rows(self.asks, self.bids))
            except FieldError:
                pass  # every field that can be read
        if self._layout is None:
            return table(caption, (), [("FIDs", "", len(self.fids()), "")])  # one may be an account number
        rows = ((name, field.label, self._shown(name, field), field.unit) for name, field in self.fields.items())
        return table(caption, ("field", "항목", "value", "unit"), [row for row in rows if row[2] is not None])

    def _shown(self, name: str, field: Field[Any]) -> object:
        """Return the value of a field that may be shown; None if it is absent."""
        text = self.fid(field.fid)
        if text is None or field.kind.masked:
            return text and MASK
        try:
            value = getattr(self, name)
        except FieldError:
            return f"<bad text {quoted(redact(text))}>"
        return mask_opaque(value) if isinstance(value, str) and not isinstance(value, Enum) else value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return (
            type(self) is type(other)
            and self.type_code == other.type_code
            and self.item == other.item
            and self.name == other.name
            and self.received_at == other.received_at
            and self.venue_code == other.venue_code
            and self.extra == other.extra
            and (self.values == other.values or self.fids() == other.fids())
        )

    def __ne__(self, other: object) -> bool:
        return not self == other  # that of msgspec.Struct would compare everything

    def __hash__(self) -> int:
        return hash((self.type_code, self.item, self.received_at))

    def __reduce__(self) -> tuple[Any, ...]:
        # The decoded values are a cache. Their class is made at run time, and pickle could not find it.
        numbers = (self.epoch, self.sequence)
        state = (self.name, self.received_at, self.values, self.venue_code, *numbers, self.extra)
        return type(self), (self.type_code, self.item, *state)


_LADDER_HEADINGS = (
    "ask change 매도 증감",
    "ask quantity 매도잔량",
    "price 호가",
    "bid quantity 매수잔량",
    "bid change 매수 증감",
)


def _ladder_rows(asks: Sequence[Any], bids: Sequence[Any]) -> list[tuple[object, ...]]:
    """Return the lines of a ladder: the highest ask first, the lowest bid last. Empty levels are left out."""
    lines: list[tuple[object, ...]] = [(each.change, each.quantity, each.price, "", "") for each in reversed(asks)]
    lines += [("", "", each.price, each.quantity, each.change) for each in bids]
    return [line for line in lines if line[2]]


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime.time | datetime.date) else str(value)

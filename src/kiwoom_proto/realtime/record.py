"""Record: the base of every real-time row. Nothing is decoded before it is read.

A row arrives as `{"values": {FID: text, ...}, "type": "0E", "name": ..., "item": "005930"}`. The record keeps `values`
as the bytes they came in; the first field that is read decodes the FIDs once, and each field converts its own text
whenever it is read. So a program pays for what it looks at: a row of 163 FIDs that is only counted costs hardly more
than one of five.

A subclass is nothing but declarations (see `realtime/`). Each `Field` of it becomes a property, once, when the class is
made; see `_make_getter` for what reading one does, and `Record._read` for whatever is not plain.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Self

import msgspec
from msgspec.structs import force_setattr

from ..display import MESSAGE_LIMIT, displayed, quoted, rich_repr
from ..errors import FieldError, LocalProtocolError
from ..secrets import MASK, PERSONAL_FIDS, Redaction, holds_opaque, mask_opaque, redact
from ..symbol import Symbol, parse_item, parse_stock_code
from .fields import Direction, Field
from .getters import make_getter
from .layout import FidStrings, Layout, read_fids
from .traits import Market, Scope

__all__ = ("KST", "Record")

KST = datetime.timezone(datetime.timedelta(hours=9), "KST")
"""Korea Standard Time, which has no daylight saving."""

STOCK_CODE_FID = "9001"
_TRAITS = {"label": str, "market": Market, "scope": Scope, "droppable": bool}


# Spelled out in the class statement, type checkers would ask every subclass to repeat `frozen=True`.
_OPTIONS: dict[str, Any] = {"frozen": True, "eq": False, "gc": False, "tag_field": "record"}


class Record(msgspec.Struct, **_OPTIONS):
    """One row of one real-time type, as received. Immutable.

    A row of a type without a class of its own is a plain `Record`: every FID is readable with `fid` and `fids`.

    Attributes:
        type_code: the real-time type (TR 명), "0E". Upper and lower case differ: "0G" is not "0g".
        item: the registered item that this row answers (실시간 등록 요소), "005930"; of orders and balances the stock;
            "" where the row names none.
        name: the label of the type (실시간 항목명), never of the stock. Its spelling varies.
        received_at: when it was received, nanoseconds since the epoch (UTC), as told by the caller; 0: not told.
        venue_code: US rows only: the exchange (`stexTp`), "ND"; else "".
        values: the row's FIDs as JSON, exactly as received. What is wrong with them is told when they are read.
        epoch: which connection of its session it came over, the first being 1; 0: over none.
        sequence: its place among all events of its session. Neither number counts in comparisons.
        extra: members of the row or its message that the documentation does not know; None where there are none.
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
    droppable: ClassVar[bool] = True
    """Whether a slow consumer may lose rows: by default not where they are about the account or a condition search."""

    fields: ClassVar[dict[str, Field[Any]]] = {}
    """The declared fields of this class by English name, in official order."""
    _by_fid: ClassVar[dict[str, Field[Any]]] = {}
    _personal_fids: ClassVar[frozenset[str]] = PERSONAL_FIDS
    _layout: ClassVar[Layout | None] = None

    def __init_subclass__(cls) -> None:
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        for name in declared:
            if hasattr(Record, name):
                raise TypeError(f"{cls.__name__}: {name} is what every Record has; a field cannot be called that")
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
        """The text of a declared FID, by whatever way there is."""
        decoded = self._decoded
        if decoded is None:
            decoded = self._decode()
        if not isinstance(decoded, FidStrings):
            try:
                text: str | None = getattr(decoded, f"f{fid}")
            except AttributeError:  # not among those that the program had read of this type until now
                assert self._layout is not None
                decoded = self._layout.decode_all(self.values)
                force_setattr(self, "_decoded", decoded)
            else:
                return text
        return decoded.text(fid)

    def _read(self, field: Field[Any]) -> Any:
        """The value of a field, where the fast way in `_make_getter` does not give it."""
        text = self._text(field.fid)
        if text is None:
            if isinstance(self._decoded, FidStrings) and self._decoded.wrong:
                reason = f"the row's values cannot be read: {self._decoded.wrong}"
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
        """Return the exact text of a FID, or None where `fids` has none. Any FID, declared or not."""
        if self._layout is None or fid in self._by_fid:
            return self._text(fid)
        return self.fids().get(fid)

    def fids(self) -> dict[str, str]:
        """Return every FID received with its exact text, in the order received, unknown ones too.

        Of values that are no JSON, or have more than 16,384 FIDs, those that stand there whole, from the beginning.
        """
        return read_fids(self.values)[0]

    @property
    def symbol(self) -> Symbol | None:
        """The instrument, as it is subscribed to: from `item`, else from FID 9001 (종목코드), of
        which the letter in front ("A005930") is left out. None where the row names none.

        None too for a US row that does not name the exchange, as those of orders (F4, F5) do not.
        """
        code = self.item or (self.fid(STOCK_CODE_FID) or "").strip()
        if not code:
            return None
        if self.venue_code or self.market is Market.US:
            return parse_item(f"{code}:{self.venue_code.strip()}")
        return parse_stock_code(code)

    def direction(self, name: str) -> Direction | None:
        """Return the sign of a price: where it stands against the reference price. None where it is absent.

        Raises:
            LocalProtocolError: the type has no price of that name.
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
        """The field `time` with date and zone (KST), dated from `received_at`; None where either is missing.

        The date is the one that brings it nearest to `received_at`, so rows stay right around midnight.

        Raises:
            FieldError: the time cannot be read.
        """
        time = getattr(self, "time", None)
        if time is None or not self.received_at:
            return None
        received = datetime.datetime.fromtimestamp(self.received_at / 1e9, KST)
        same_day = datetime.datetime.combine(received.date(), time, KST)
        day = datetime.timedelta(days=1)
        return min((same_day - day, same_day, same_day + day), key=lambda moment: abs(moment - received))

    def to_dict(self, *, masked: bool = True) -> dict[str, Any]:
        """Return plain, JSON-ready values under English names.

        Times and dates are ISO 8601 texts and Decimals plain decimal texts. A field whose text is not what it should be
        is left out. The signs of prices are under "directions", and every FID is under "fids" with its exact text.

        Arguments:
            masked: put "***" in the place of account numbers, and of what looks like a token or key, for what becomes
                of the result is a log or a file more often than not. A program with several accounts reads
                `account_number`. False: nothing is lost, and `from_dict` makes the same record of it.
        """
        if masked:
            return self._mask(self.to_dict(masked=False))
        result: dict[str, Any] = {
            "type": self.type_code,
            "item": self.item,
            "name": self.name,
            "received_at": self.received_at,
        }
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

    def _mask(self, result: dict[str, Any]) -> dict[str, Any]:
        """Mask what `to_dict` has made."""
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
        """Return the record that `to_dict(masked=False)` was called on. Call it on the same class.

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
            extra=members.get("extra"),
        )

    def __repr__(self) -> str:
        parts = [f"item={quoted(redact(self.item))}"]
        if self._layout is None:
            parts.insert(0, f"type_code={quoted(redact(self.type_code))}")
            # Its FIDs are unknown, so one of them may be an account number.
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
        return not self == other  # msgspec.Struct has one of its own, which would compare everything

    def __hash__(self) -> int:
        return hash((self.type_code, self.item, self.received_at))

    def __reduce__(self) -> tuple[Any, ...]:
        # The decoded values are a cache, of a class made at run time that pickle could not find.
        numbers = (self.epoch, self.sequence)
        state = (self.name, self.received_at, self.values, self.venue_code, *numbers, self.extra)
        return type(self), (self.type_code, self.item, *state)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime.time | datetime.date) else str(value)

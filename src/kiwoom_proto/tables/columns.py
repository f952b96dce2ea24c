"""The columns of each type's table, derived from its class: SQL and Arrow both follow them, so they cannot differ.

    item, received_at, exchange_time            what it is about, and when
    <field>, <field>_direction, ...             every field, in official order
    <ladder>, ...                               the properties that are sequences of fields, as lists
    symbol, symbol_venue, venue_code            what the item names
    epoch, sequence, session_id, received_ns    which event of which recording

A terminal shows the first columns that fit, so what a person looks for comes first.

A price without its sign has its direction in a column beside it: "+", "-" or "" (see `Direction`).

Nothing here knows a type or a field by name, but `time`, which `Record.exchange_time` dates.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Literal

import attrs
import msgspec

from ..errors import FieldError
from ..realtime.fields import Field
from ..realtime.record import Record
from .values import MAX_BIGINT, MAX_INTEGER, plain_value, sql_type_of

__all__ = ("Column", "columns_of", "view_name")

Part = Literal["received", "identity", "field", "direction", "ladder", "numbers"]


@attrs.frozen
class Column:
    """A column of a type's table.

    Attributes:
        name: its English name.
        sql_type: its SQL type, "BIGINT".
        comment: the official Korean label and the unit, or what it holds.
        part: where its value comes from.
        field: the field of a "field" or "direction".
        steps: of a "ladder", its steps: a field each, or fields by the names of a step's members.
    """

    name: str
    sql_type: str
    comment: str
    part: Part
    field: Field[Any] | None = None
    steps: tuple[Field[Any] | dict[str, Field[Any]], ...] = ()

    @property
    def fields(self) -> tuple[Field[Any], ...]:
        """The fields that its values are made of."""
        if self.field is not None:
            return (self.field,)
        return tuple(field for step in self.steps for field in (step.values() if isinstance(step, dict) else (step,)))

    def value_in(self, record: Record) -> Any:
        """Return the value of a record in this column; None if it has none, or it cannot be read or does not fit."""
        if self.part == "ladder":
            return [
                {name: _read(record, field) for name, field in step.items()}
                if isinstance(step, dict)
                else _read(record, step)
                for step in self.steps
            ]
        if self.field is None:
            return _OF_RECORD[self.name.rstrip("_")](record)
        if self.part == "field":
            return _read(record, self.field)
        if _read(record, self.field) is None:
            return None
        direction = record.direction(self.field.name)
        return None if direction is None else direction.value


def view_name(cls: type[Record]) -> str:
    """Return the name of a type's table: "after_hours_quote" of `AfterHoursQuote`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()


@functools.cache
def columns_of(cls: type[Record]) -> tuple[Column, ...]:
    """Return the columns of a type's table."""
    taken = set(cls.fields)

    def own(name: str, sql_type: str, comment: str, part: Part) -> Column:
        # A field's name is the user's to choose; ours gives way.
        return Column(f"{name}_" if name in taken else name, sql_type, comment, part)

    found = [
        own("item", "VARCHAR", 'the registered item, "005930_NX"', "identity"),
        own("received_at", "TIMESTAMP WITH TIME ZONE", "time of receipt, in microseconds", "received"),
    ]
    if (time := cls.fields.get("time")) is not None and time.kind.python_type is datetime.time:
        found.append(
            own("exchange_time", "TIMESTAMP WITH TIME ZONE", f"{time.label}, dated by the time of receipt", "received")
        )
    for name, field in cls.fields.items():
        sql_type = sql_type_of(field.kind)
        unit = "seconds" if field.kind.python_type is datetime.timedelta else field.unit
        found.append(Column(name, sql_type, _comment(field.label, unit, field.note), "field", field))
        if field.kind.directional:
            label = f"{field.label}: the sign, against the reference: + more, - less"
            found.append(Column(_free(f"{name}_direction", taken), "VARCHAR", label, "direction", field))
    found += _ladders(cls)
    found += [
        own("symbol", "VARCHAR", 'the code of the instrument, "005930"', "identity"),
        own("symbol_venue", "VARCHAR", "the venue of the item: KRX, NXT, SOR (both), ND, NY, NA", "identity"),
        own("venue_code", "VARCHAR", 'US rows: the exchange, "ND"', "identity"),
        own("epoch", "INTEGER", "the number of the connection within its session", "numbers"),
        own("sequence", "BIGINT", "the number of the event within its session", "numbers"),
        own("session_id", "VARCHAR", "the session that recorded it", "numbers"),
        own("received_ns", "BIGINT", "time of receipt, in nanoseconds since 1970 (UTC)", "received"),
    ]
    return tuple(_with_distinct_names(found))


def _with_distinct_names(columns: Iterable[Column]) -> Iterator[Column]:
    """Yield columns, with other names for those that differ from an earlier one only in upper and lower case."""
    seen = set[str]()
    for column in columns:
        name = column.name
        while name.lower() in seen:
            name += "_"
        seen.add(name.lower())
        yield attrs.evolve(column, name=name)


def _free(name: str, taken: set[str]) -> str:
    return f"{name}_" if name in taken else name


def _comment(label: str, unit: str, note: str = "") -> str:
    text = f"{label} [{unit}]" if unit else label
    return f"{text}: {note}" if note else text


def _read(record: Record, field: Field[Any]) -> Any:
    try:
        return plain_value(getattr(record, field.name), sql_type_of(field.kind))
    except (FieldError, ValueError):
        return None


def _exchange_time(record: Record) -> Any:
    try:
        return None if _received_ns(record) is None else record.exchange_time
    except FieldError:
        return None


def _received_ns(record: Record) -> int | None:
    """Return the time of receipt; None if it is unknown, or later than a BIGINT can say: somebody else wrote it."""
    return record.received_at if 0 < record.received_at < MAX_BIGINT else None


def _received_at(record: Record) -> Any:
    received = _received_ns(record)
    if received is None:
        return None
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=received // 1000)


_OF_RECORD: dict[str, Callable[[Record], Any]] = {
    "received_at": _received_at,
    "received_ns": _received_ns,
    "exchange_time": _exchange_time,
    "item": lambda record: record.item,
    "symbol": lambda record: None if record.symbol is None else record.symbol.code,
    "symbol_venue": lambda record: None if record.symbol is None else record.symbol.venue.value,
    "venue_code": lambda record: record.venue_code,
    "epoch": lambda record: record.epoch if record.epoch < MAX_INTEGER else None,
    "sequence": lambda record: record.sequence if record.sequence < MAX_BIGINT else None,
    "session_id": lambda record: None,
}


# Ladders.


class _Probe:
    """Stands in for a record, and gives the fields themselves: what a ladder is made of."""

    fields: ClassVar[dict[str, Field[Any]]] = {}
    _decoded = object()  # without any FID, so ladders ask for the fields one by one

    def __getattr__(self, name: str) -> Field[Any]:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None


def _ladders(cls: type[Record]) -> Iterator[Column]:
    """Yield a column for each property of a class that is a sequence of its fields, or of steps of them."""
    probe = type("_Probe", (_Probe,), {"fields": cls.fields})()
    for name, attribute in _properties(cls):
        try:
            steps = attribute.fget(probe)
        except Exception:  # a property of another sort: it computes something
            continue
        if not isinstance(steps, tuple) or not steps:
            continue
        members = [_members(step) for step in steps]
        kinds = {_step_type(step) for step in members}
        if len(kinds) == 1 and None not in kinds:
            comment = (attribute.__doc__ or "").partition("\n")[0].rstrip(".")
            yield Column(name, f"{kinds.pop()}[]", comment, "ladder", steps=tuple(members))


def _properties(cls: type[Record]) -> Iterator[tuple[str, Any]]:
    seen = set(cls.fields)
    for base in cls.__mro__:
        if base is Record:
            return
        for name, attribute in vars(base).items():
            if isinstance(attribute, property) and name not in seen and not name.startswith("_"):
                seen.add(name)
                yield name, attribute


def _members(step: Any) -> Any:
    return {name: getattr(step, name) for name in step.__struct_fields__} if isinstance(step, msgspec.Struct) else step


def _step_type(step: Any) -> str | None:
    """Return the SQL type of a step; None if it is not made of fields."""
    if isinstance(step, Field):
        return sql_type_of(step.kind)
    if not isinstance(step, dict) or not all(isinstance(field, Field) for field in step.values()):
        return None
    return f"STRUCT({', '.join(f'{name} {sql_type_of(field.kind)}' for name, field in step.items())})"

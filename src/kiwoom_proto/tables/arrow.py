"""table: an Arrow table of records in memory, with the columns of the view of their type."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from operator import attrgetter
from typing import Any

from ..errors import FieldError, LocalProtocolError
from ..events import Event
from ..realtime.fields import Field
from ..realtime.record import Record
from .columns import Column, columns_of
from .expressions import plain_value
from .packages import pyarrow

__all__ = ("arrow_type", "table")


_MORE = ("item", "name")
"""Read beside the fields: of two names or more, an `attrgetter` returns a tuple, even if a type has no field."""
_AS_THEY_ARE = (int, str, bool, Decimal, datetime.time, datetime.date)
"""Values that Arrow takes as they are."""


def table(records: Iterable[Event], type: type[Record] | None = None) -> Any:
    """Return an Arrow table (`pyarrow.Table`) of records: a notebook's, a window of a live feed.

    A field that cannot be read is NULL, as in the view, and a `UserWarning` says of which columns how many are.
    `record.fid` gives the text of one.

    Args:
        records: records of one type; or any events, of which those of `type` are taken.
        type: the class of the records. Needed for other events beside them, and if there are none.

    Raises:
        LocalProtocolError: the records are not of one type, and no `type` says which are meant.
        RecordingError: a package is missing. Says which.
    """
    rows: list[Any] = [each for each in records if isinstance(each, type)] if type is not None else list(records)
    cls = _only_type(rows) if type is None else type
    columns = columns_of(cls)
    made = _Arrays(rows, cls)
    arrays = [made.of(column) for column in columns]
    if made.unreadable:
        found = ", ".join(f"{name} ({count:,})" for name, count in made.unreadable.items())
        warnings.warn(f"texts that are no values are NULL in the table: {found}", stacklevel=2)
    return pyarrow().table(arrays, names=[column.name for column in columns])


class _Arrays:
    """The columns of some records as Arrow arrays, made a whole column at a time.

    Attributes:
        unreadable: field -> how many records have a text of it that is no value, if any has.
    """

    def __init__(self, rows: list[Any], cls: type[Record]) -> None:
        self.unreadable: dict[str, int] = {}
        self._rows = rows
        # All fields of one row after another: a record decodes those at once that are read together.
        names = [*cls.fields]
        read = attrgetter(*names, *_MORE)
        values = [_values_in(row, names, read) for row in rows]
        self._values = dict(zip(names, zip(*values, strict=True), strict=False)) if rows else dict.fromkeys(names, ())
        self._of_field: dict[str, Any] = {}

    def of(self, column: Column) -> Any:
        """Return the array of a column. Those of fields have to be made before those that are made of them."""
        field = column.field
        if column.part == "field" and field is not None:
            self._of_field[field.name] = array = self._of(column, field)
            return array
        if column.part == "ladder":
            return self._of_ladder(column)
        return pyarrow().array([column.value_in(row) for row in self._rows], arrow_type(column.sql_type))

    def _of(self, column: Column, field: Field[Any]) -> Any:
        pa, type = pyarrow(), arrow_type(column.sql_type)
        values = self._values[field.name]
        if issubclass(field.kind.python_type, _AS_THEY_ARE):
            # Arrow refuses what does not fit, as `plain_value` does, and what is unreadable.
            with suppress(pa.ArrowException, OverflowError, TypeError):
                return pa.array(values, type)
        fitting = []
        for value in values:
            try:
                fitting.append(None if isinstance(value, FieldError) else plain_value(value, column.sql_type))
            except ValueError:
                fitting.append(None)
            if value is not None and fitting[-1] is None:
                self.unreadable[field.name] = self.unreadable.get(field.name, 0) + 1
        return pa.array(fitting, type)

    def _of_ladder(self, column: Column) -> Any:
        """Return lists of what the steps are made of, row by row."""
        pa, type = pyarrow(), arrow_type(column.sql_type)
        rows, steps = len(self._rows), len(column.steps)
        arrays = [self._of_step(step) for step in column.steps]
        places = pa.array([row + rows * step for row in range(rows) for step in range(steps)], pa.int64())
        offsets = pa.array(range(0, rows * steps + 1, steps), pa.int32())
        return pa.ListArray.from_arrays(offsets, pa.concat_arrays(arrays).take(places), type)

    def _of_step(self, step: Field[Any] | dict[str, Field[Any]]) -> Any:
        if not isinstance(step, dict):
            return self._of_field[step.name]
        return pyarrow().StructArray.from_arrays([self._of_field[field.name] for field in step.values()], [*step])


def _values_in(row: Any, names: list[str], read: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return the values of a row's fields; what cannot be read is its error."""
    try:
        return read(row)
    except FieldError:
        return tuple(_value_in(row, name) for name in (*names, *_MORE))


def _value_in(row: Any, name: str) -> Any:
    try:
        return getattr(row, name)
    except FieldError as error:
        return error


def _only_type(rows: list[Any]) -> Any:
    found = {each.__class__ for each in rows}
    if len(found) != 1:
        names = ", ".join(sorted(cls.__name__ for cls in found)) or "nothing"
        raise LocalProtocolError(
            f"records: must be of one type, not {names}; say which is meant: table(records, Trade)"
        )
    (cls,) = found
    if not issubclass(cls, Record) or cls is Record:
        raise LocalProtocolError(f"records: {cls.__name__} has no columns: only a class of rows has")
    return cls


def arrow_type(sql_type: str) -> Any:
    """Return the Arrow type of a column, the one that DuckDB gives for its SQL type."""
    pa = pyarrow()
    if sql_type.endswith("[]"):
        return pa.list_(pa.field("l", arrow_type(sql_type[:-2])))
    if sql_type.startswith("STRUCT("):
        members = (member.split(" ", 1) for member in _split(sql_type[7:-1]))
        return pa.struct([(name, arrow_type(each)) for name, each in members])
    if sql_type.startswith("DECIMAL("):
        return pa.decimal128(*map(int, sql_type[8:-1].split(",")))
    return {
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "VARCHAR": pa.string(),
        "BOOLEAN": pa.bool_(),
        "TIME": pa.time64("us"),
        "DATE": pa.date32(),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "Asia/Seoul"),
    }[sql_type]


def _split(members: str) -> list[str]:
    """Split the members of a STRUCT at the commas between them, which are followed by a space."""
    return members.split(", ")

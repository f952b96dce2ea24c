"""table: an Arrow table of records in memory, with the columns of the view of their type."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import attrgetter
from typing import Any

from ..errors import FieldError, LocalProtocolError
from ..events import Event
from ..realtime.fields import Field
from ..realtime.record import Record
from .arrays import arrow_type, ladder_array
from .columns import Column, columns_of
from .packages import pyarrow
from .values import plain_value, sql_type_of

__all__ = ("RecordArrays", "table")


_MORE = ("item", "name")
"""Read beside the fields: of two names or more, an `attrgetter` returns a tuple, even if a type has no field."""
_AS_THEY_ARE = (int, str, bool, datetime.time, datetime.date)
"""Values that Arrow takes as they are. Of a decimal of more than 38 digits it would make 0."""


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
    made = RecordArrays(rows, cls)
    arrays = [made.of(column) for column in columns]
    if made.unreadable:
        found = ", ".join(f"{name} ({count:,})" for name, count in made.unreadable.items())
        warnings.warn(f"texts that are no values are NULL in the table: {found}", stacklevel=2)
    return pyarrow().table(arrays, names=[column.name for column in columns])


class RecordArrays:
    """The columns of some records as Arrow arrays, made a whole column at a time.

    Args:
        rows: records of one type.
        cls: the type.
        session: the session that recorded them; "" if there is none.

    Attributes:
        unreadable: field -> how many records have a text of it that is no value, if any has.
    """

    def __init__(self, rows: list[Any], cls: type[Record], session: str = "") -> None:
        self.unreadable: dict[str, int] = {}
        self._rows = rows
        self._session = session or None
        # All fields of one row after another: a record decodes those at once that are read together.
        names = [*cls.fields]
        read = attrgetter(*names, *_MORE)
        values = [_values_in(row, names, read) for row in rows]
        self._values = dict(zip(names, zip(*values, strict=True), strict=False)) if rows else dict.fromkeys(names, ())
        self._made: dict[str, Any] = {}

    def of(self, column: Column) -> Any:
        """Return the array of a column."""
        if column.part == "field" and column.field is not None:
            return self._of_field(column.field)
        if column.part == "ladder":
            fields = {field.name: self._of_field(field) for field in column.fields}
            return ladder_array(column, fields, len(self._rows))
        type = arrow_type(column.sql_type)
        if column.name.rstrip("_") == "session_id" and column.part == "numbers":
            return pyarrow().array([self._session] * len(self._rows), type)
        return pyarrow().array([column.value_in(row) for row in self._rows], type)

    def _of_field(self, field: Field[Any]) -> Any:
        if field.name not in self._made:
            self._made[field.name] = self._make(field)
        return self._made[field.name]

    def _make(self, field: Field[Any]) -> Any:
        pa, sql_type = pyarrow(), sql_type_of(field.kind)
        type = arrow_type(sql_type)
        values = self._values[field.name]
        if issubclass(field.kind.python_type, _AS_THEY_ARE):
            # Arrow refuses what does not fit, as `plain_value` does, and what is unreadable.
            with suppress(pa.ArrowException, OverflowError, TypeError):
                return pa.array(values, type)
        fitting = []
        for value in values:
            try:
                fitting.append(None if isinstance(value, FieldError) else plain_value(value, sql_type))
            except ValueError:
                fitting.append(None)
            if value is not None and fitting[-1] is None:
                self.unreadable[field.name] = self.unreadable.get(field.name, 0) + 1
        return pa.array(fitting, type)


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

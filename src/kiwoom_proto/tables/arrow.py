"""table: an Arrow table of records in memory, with the columns of the view of their type."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from ..errors import LocalProtocolError
from ..events import Event
from ..realtime.record import Record
from .columns import Column, columns_of, is_unreadable
from .packages import pyarrow

__all__ = ("arrow_type", "table")


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
    module = pyarrow()
    arrays, names, unreadable = [], [], []
    for column in columns_of(cls):
        values = [column.value_in(row) for row in rows]
        arrays.append(module.array(values, arrow_type(column.sql_type)))
        names.append(column.name)
        if count := _count_unreadable(column, rows, values):
            unreadable.append(f"{column.name} ({count:,})")
    if unreadable:
        warnings.warn(f"texts that are no values are NULL in the table: {', '.join(unreadable)}", stacklevel=2)
    return module.table(arrays, names=names)


def _count_unreadable(column: Column, rows: list[Any], values: list[Any]) -> int:
    if column.part != "field" or column.field is None:
        return 0  # made of fields that are counted
    pairs = zip(rows, values, strict=True)
    return sum(value is None and is_unreadable(row, column.field) for row, value in pairs)


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

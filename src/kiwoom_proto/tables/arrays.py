"""What all Arrow arrays of columns have in common: their types, and the columns that are made of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..realtime.fields import Field
from .columns import Column
from .packages import numpy, pyarrow

__all__ = ("arrow_type", "ladder_array")


def ladder_array(column: Column, arrays: Mapping[str, Any], rows: int) -> Any:
    """Return lists of what the steps of a ladder are made of, row by row.

    Args:
        column: the ladder.
        arrays: the name of a field -> its values.
        rows: how many rows there are.
    """
    np, pa, type = numpy(), pyarrow(), arrow_type(column.sql_type)
    steps = len(column.steps)
    columns = pa.concat_arrays([_step(step, arrays) for step in column.steps])
    places = pa.array(np.arange(rows * steps).reshape(steps, rows).T.ravel())
    offsets = pa.array(np.arange(0, rows * steps + 1, steps), pa.int32())
    return pa.ListArray.from_arrays(offsets, columns.take(places), type)


def _step(step: Field[Any] | dict[str, Field[Any]], arrays: Mapping[str, Any]) -> Any:
    if not isinstance(step, dict):
        return arrays[step.name]
    return pyarrow().StructArray.from_arrays([arrays[field.name] for field in step.values()], [*step])


def arrow_type(sql_type: str) -> Any:
    """Return the Arrow type of a column, the one that DuckDB gives for its SQL type."""
    pa = pyarrow()
    if sql_type.endswith("[]"):
        return pa.list_(pa.field("l", arrow_type(sql_type[:-2])))
    if sql_type.startswith("STRUCT("):
        members = (member.split(" ", 1) for member in sql_type[7:-1].split(", "))
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

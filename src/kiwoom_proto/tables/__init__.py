"""Recordings as tables: SQL over the files themselves, Parquet, and Arrow tables of records in memory.

    connection = connect_tables("recordings")
    connection.sql("SELECT item, count(*), sum(abs(quantity)) FROM trade GROUP BY item").show()

`connect_tables` makes the views, `to_parquet` files, `table` an Arrow table of records. Where a query meets damage,
`damage_in` names the file. They need the packages of `kiwoom-proto[tables]`, which are loaded when they are used.
"""

from __future__ import annotations

from .arrow import table
from .connect import connect_tables
from .files import damage_in
from .parquet import to_parquet

__all__ = ("connect_tables", "damage_in", "table", "to_parquet")

"""`kiwoom-proto query`: SQL over recordings."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from kiwoom_proto.display import MESSAGE_LIMIT, displayed
from kiwoom_proto.errors import KiwoomError
from kiwoom_proto.tables import connect_tables
from kiwoom_proto.tables.files import damage_in, own_errors

from .lines import write_line
from .results import MAX_SHOWN_ROWS, Column, csv_lines, json_members, table_of_result

if TYPE_CHECKING:
    import duckdb

__all__ = ("query",)

MACROS = """
    SELECT function_name, parameters FROM duckdb_functions()
    WHERE NOT internal AND function_type = 'table_macro' AND len(parameters) > 0 ORDER BY function_name
"""
HANGUL = re.compile("[가-힣]")
LABEL_END = re.compile("[:,] ")
ROWS_AT_ONCE = 1_000
"""Rows fetched at once, so that a large result does not have to fit into memory."""
ROW_GROUP = 100_000
"""Rows that a Parquet file keeps together."""
NO_RESULT = "the query has no result; SELECT or FROM has one"
VIEWS = """
    SELECT v.view_name, coalesce(v.comment, ''), c.column_name, c.data_type, coalesce(c.comment, '')
    FROM duckdb_views() v JOIN duckdb_columns() c ON c.table_oid = v.view_oid AND c.database_oid = v.database_oid
    WHERE NOT v.internal AND v.schema_name = 'main'
    ORDER BY v.view_name, c.column_index
"""


@click.command(short_help="Ask recordings questions in SQL.")
@click.argument("words", metavar="[SQL] PATH...", nargs=-1, required=True)
@click.option("--views", is_flag=True, help="List the views and their columns; the default without SQL.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a line of names.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line; the default in a pipe.")
@click.option(
    "--parquet",
    "parquet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a Parquet file instead, over one that is there.",
)
def query(words: tuple[str, ...], views: bool, as_csv: bool, as_json: bool, parquet: Path | None) -> None:
    """Run a query in SQL (DuckDB) over recordings. PATH is a file or a folder of "kiwoom-proto record";
    files that are being written are fine.

    Every type has a view: trade (주식체결, 0B), order_book (주식호가잔량, 0D), after_hours_quote and so on. The views
    gap and hole tell what a recording does not hold, unreadable lists texts that are no values. time_bars and the like
    make bars. Without SQL, or with --views, the command lists all of them, with the Korean name of each column.

    Times are in KST. The package needs the extra [tables].

    \b
    Examples:
      kiwoom-proto query DIR
      kiwoom-proto query "select time, price, quantity from trade" DIR
      kiwoom-proto query "from time_bars(interval '1 minute')" DIR
      kiwoom-proto query "from order_book" DIR --csv > books.csv
      kiwoom-proto query "from trade" DIR --parquet trades.parquet

    A wrong query is a usage error (exit code 2), in DuckDB's own words.
    """
    chosen = [name for name, is_chosen in (("csv", as_csv), ("json", as_json), ("parquet", parquet)) if is_chosen]
    if len(chosen) > 1:
        raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    form = None if parquet is not None else next(iter(chosen), None)
    sql = None if views or os.path.exists(words[0]) else words[0]  # Path.exists raises for a long query
    paths = words if sql is None else words[1:]
    if not paths:
        missing = "a query needs PATH: the recordings, a folder or files" if sql else "PATH is missing"
        raise click.UsageError(missing)
    if sql is None and parquet is not None:
        raise click.UsageError("--parquet needs a query")
    with own_errors():
        made = connect_tables(paths, sql=sql)
    with made as connection:
        connection.execute("SET enable_progress_bar = false")  # it would be printed into the result
        if sql is None:
            _list_views(connection, form)
            return
        with _sql_errors(connection, paths):
            if len(connection.extract_statements(sql)) > 1:
                raise click.UsageError("one query at a time: each has a result of its own")
            if parquet is not None:
                _write_parquet(connection, sql, parquet, paths)
            else:
                _write(connection.execute(sql), form)


@contextmanager
def _sql_errors(connection: duckdb.DuckDBPyConnection, paths: tuple[str, ...]) -> Iterator[None]:
    import duckdb

    try:
        with own_errors():
            yield
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        text = str(error)
        if isinstance(error, duckdb.CatalogException) and "Table with name" in text:
            text += f"\n\nThe views are: {', '.join(sorted(_views(connection)))}"
        raise click.UsageError("\n".join(displayed(line, MESSAGE_LIMIT) for line in text.splitlines())) from None
    except duckdb.IOException as error:
        raise KiwoomError(damage_in(paths) or str(error)) from None
    except duckdb.Error as error:
        raise KiwoomError(str(error)) from None


def _write_parquet(connection: duckdb.DuckDBPyConnection, sql: str, file: Path, paths: tuple[str, ...]) -> None:
    relation = connection.sql(sql)
    if relation is None:
        raise click.UsageError(NO_RESULT)
    from pyarrow import parquet  # type: ignore[import-untyped]

    # DuckDB itself would write a sum of whole numbers (HUGEINT) as DOUBLE; Arrow has it as an exact decimal.
    reader = relation.to_arrow_reader(ROW_GROUP)
    partial = file.with_name(f".{file.name}.partial")  # the query may read the file it replaces, or fail
    try:
        with (
            own_errors(),
            open(partial, "wb") as sink,
            parquet.ParquetWriter(sink, reader.schema, compression="zstd") as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
        os.replace(partial, file)
    except OSError as error:
        if error.errno is None and (damage := damage_in(paths)):  # Arrow's error of reading, once some was read
            raise KiwoomError(damage) from None
        raise OSError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)


def _write(cursor: duckdb.DuckDBPyConnection | None, form: str | None) -> None:
    """Write a result as asked for."""
    if cursor is None or cursor.description is None:
        raise click.UsageError(NO_RESULT)
    columns = [Column(name, str(kind)) for name, kind, *_ in cursor.description]
    if form == "csv":
        for line in csv_lines(columns, _rows(cursor)):
            sys.stdout.buffer.write(line)
    elif form == "json" or not sys.stdout.isatty():
        for row in _rows(cursor):
            write_line(json_members(columns, row))
    else:
        rows = cursor.fetchmany(MAX_SHOWN_ROWS + 1)
        more = len(rows) > MAX_SHOWN_ROWS
        console = Console()
        console.print(table_of_result(columns, rows[:MAX_SHOWN_ROWS], console.width, more=more))


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield from rows


# What there is to ask for.


class _View(msgspec.Struct):
    """A view: what it is, and its columns."""

    name: str
    label: str
    columns: list[tuple[str, str, str]] = []  # name, SQL type, label


def _views(connection: duckdb.DuckDBPyConnection) -> dict[str, _View]:
    found: dict[str, _View] = {}
    for view, label, *column in connection.execute(VIEWS).fetchall():
        name, kind, column_label = column
        found.setdefault(view, _View(view, label)).columns.append((name, kind, column_label))
    return found


def _list_views(connection: duckdb.DuckDBPyConnection, form: str | None) -> None:
    views = _views(connection).values()
    if form == "csv":
        columns = [Column(name, "VARCHAR") for name in ("view", "label", "column", "kind", "column_label")]
        rows = [(view.name, view.label, *column) for view in views for column in view.columns]
        for line in csv_lines(columns, rows):
            sys.stdout.buffer.write(line)
    elif form == "json" or not sys.stdout.isatty():
        for view in views:
            listed = [{"column": name, "kind": kind, "label": label} for name, kind, label in view.columns]
            write_line({"view": view.name, "label": view.label, "columns": listed})
    else:
        _print_views(views, connection.execute(MACROS).fetchall())


def _print_views(views: Iterable[_View], macros: Iterable[tuple[str, list[str]]]) -> None:
    console = Console()
    for view in views:
        console.print(Text.assemble((view.name, "bold"), f"  {displayed(view.label)}"))
        listed = Text(style="dim")
        for number, (name, _, label) in enumerate(view.columns):
            korean = f" {displayed(LABEL_END.split(label)[0])}" if HANGUL.search(label) else ""
            listed.append(", " if number else "").append(name, "cyan").append(korean)
        console.print(listed, "", sep="\n")
    for name, parameters in macros:
        console.print(Text.assemble((name, "bold"), f"({', '.join(parameters)})"))

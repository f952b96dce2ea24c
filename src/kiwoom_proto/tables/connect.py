"""connect_tables: recordings as tables of a DuckDB connection, without a conversion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..display import is_utf8, quoted
from ..errors import LocalProtocolError
from ..realtime.catalogue import Types, extended_catalogue
from ..realtime.record import Record
from ..recording.files import Paths
from ..symbol import Symbol, parse_item, parse_stock_code
from .bars import BAR_MACROS, macro_name
from .columns import Column, columns_of, view_name
from .expressions import slow_function, slow_name, sql_type_of
from .files import RecordedFile, look_at
from .holes import HOLES_TYPE, HolesOf
from .narrow import EVERYTHING, Named, named_in
from .packages import duckdb
from .unreadable import UNREADABLE_TYPE, UnreadableIn
from .views import (
    HOLES_IN,
    SYMBOL_CODE,
    SYMBOL_VENUE,
    UNREADABLE_IN,
    comments,
    event_view,
    fields_of,
    holes_view,
    lines_view,
    type_view,
    unreadable_view,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ("connect_files", "connect_tables")

GAP = {"start": "BIGINT", "end": "BIGINT", "last_sequence": "BIGINT"}
"""Members of a `Gap`, and their SQL types."""


def connect_tables(paths: Paths, *, types: Iterable[type[Record]] = (), sql: str | None = None) -> DuckDBPyConnection:
    """Return a DuckDB connection with recordings as views. Nothing is converted or copied: a query reads the files.

    There is a view for each type (`trade`, `order_book`, ...), with a column for each field; `gap` and `hole` say what
    is missing, `unreadable` lists texts that are no values, `message` has every line. Table macros make bars:
    `time_bars`, `volume_bars`, `tick_bars`, `bar_check`.

    Damage inside a frame shows in a query: DuckDB raises an error of its own, and `damage_in` names file and remedy.

    The files are those that there are now; what a recorder adds to them is seen, a new file is not.

    Args:
        paths: a file, a folder, or several of them.
        types: your own record classes, added to the catalogue or replacing one with the same type code.
        sql: the query that will be run. The connection then has only the views and columns that it names, so that the
            connection is there sooner, and fields that are not asked for are not decoded. None: all of them.

    Raises:
        RecordingError: there is no such file; a file that was named is no recording, or of a newer version; a file is
            damaged in such a way that DuckDB reads nothing of it, or a package is missing. Says what to do.
        LocalProtocolError: `sql` is no text that can be written as UTF-8.
    """
    if sql is not None and not is_utf8(sql):
        raise LocalProtocolError(f"sql: must be text that can be written as UTF-8, not {quoted(sql)}")
    paths = (paths,) if isinstance(paths, str | Path) else tuple(paths)
    return connect_files(paths, look_at(paths), extended_catalogue(types), sql)


def connect_files(
    paths: Paths, files: list[RecordedFile], catalogue: Types, sql: str | None = None
) -> DuckDBPyConnection:
    """Return the connection that `connect_tables` returns, for the files of these paths, which have been looked at."""
    connection: DuckDBPyConnection = duckdb().connect()
    connection.execute("SET TimeZone = 'Asia/Seoul'")
    named = EVERYTHING if sql is None else named_in(connection, sql)
    wanted = {code: named.columns(columns_of(cls)) for code, cls in catalogue.items() if named.has(view_name(cls))}
    _create_functions(connection, catalogue, wanted)
    connection.create_function(HOLES_IN, HolesOf(paths, files), [], HOLES_TYPE, side_effects=True)
    _create_views(connection, catalogue, files, wanted, named)
    if sql is not None and named is not EVERYTHING and not _can_plan(connection, sql):
        connection.close()
        return connect_files(paths, files, catalogue)  # so an error is told in view of all that there is
    return connection


def _can_plan(connection: DuckDBPyConnection, sql: str) -> bool:
    try:
        connection.execute(f"EXPLAIN {sql}").fetchall()
    except duckdb().Error:
        return False
    return True


def _create_functions(connection: Any, catalogue: Types, wanted: Mapping[str, Sequence[Column]]) -> None:
    functions: dict[str, tuple[Any, list[str], str]] = {
        SYMBOL_CODE: (_symbol_code, ["VARCHAR", "VARCHAR", "VARCHAR", "BOOLEAN"], "VARCHAR"),
        SYMBOL_VENUE: (_symbol_venue, ["VARCHAR", "VARCHAR", "VARCHAR", "BOOLEAN"], "VARCHAR"),
        UNREADABLE_IN: (UnreadableIn(catalogue), ["VARCHAR"], UNREADABLE_TYPE),
    }
    for code, columns in wanted.items():
        for field in fields_of(catalogue[code], columns):
            kind = field.kind
            functions[slow_name(kind)] = slow_function(kind), ["VARCHAR"], sql_type_of(kind)
    for name, (function, parameters, result) in functions.items():
        connection.create_function(name, function, parameters, result, null_handling="special")


def _symbol_of(item: str, stock_code: str, venue_code: str, us: bool) -> Symbol | None:
    """Return what `Record.symbol` returns."""
    code = item or stock_code.strip()
    if not code:
        return None
    return parse_item(f"{code}:{venue_code.strip()}") if venue_code or us else parse_stock_code(code)


def _symbol_code(item: str, stock_code: str, venue_code: str, us: bool) -> str | None:
    symbol = _symbol_of(item, stock_code, venue_code, us)
    return None if symbol is None else symbol.code


def _symbol_venue(item: str, stock_code: str, venue_code: str, us: bool) -> str | None:
    symbol = _symbol_of(item, stock_code, venue_code, us)
    return None if symbol is None else symbol.venue.value


def _create_views(
    connection: DuckDBPyConnection,
    catalogue: Types,
    files: list[RecordedFile],
    wanted: Mapping[str, Sequence[Column]],
    named: Named,
) -> None:
    readable = [file.path for file in files if not file.wrong]
    sessions = {file.path: file.session for file in files if file.session}
    # The long query has a view of its own: a view copies its query with each comment.
    connection.execute("CREATE SCHEMA query")
    for code, columns in wanted.items():
        cls = catalogue[code]
        name = view_name(cls)
        connection.execute(f'CREATE VIEW query."{name}" AS {type_view(code, cls, readable, sessions, columns)}')
        connection.execute(f'CREATE VIEW "{name}" AS FROM query."{name}"')
        connection.execute(comments(name, f"{cls.label} ({code})", columns))
    connection.execute(f"CREATE VIEW gap AS {event_view('Gap', GAP, readable, sessions)}")
    connection.execute(f"CREATE VIEW hole AS {holes_view()}")
    connection.execute(f"CREATE VIEW unreadable AS {unreadable_view(readable, sessions)}")
    connection.execute(f"CREATE VIEW message AS {lines_view(readable, sessions)}")
    has_trades = "trade" in {view_name(catalogue[code]) for code in wanted}
    for macro in BAR_MACROS:
        if has_trades and named.has(macro_name(macro)):
            connection.execute(macro)

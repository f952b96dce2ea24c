"""connect_tables: recordings as tables of a DuckDB connection, without a conversion."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..display import is_utf8, quoted
from ..errors import LocalProtocolError
from ..realtime.catalogue import Types, extended_catalogue
from ..realtime.record import Record
from ..recording.files import Paths
from .bars import BAR_MACROS
from .columns import columns_of, view_name
from .files import RecordedFile, look_at
from .holes import HOLES_TYPE, HolesOf
from .narrow import names_in
from .packages import duckdb, kernel, numpy, pyarrow
from .scan import scan_of
from .unreadable import UNREADABLE_TYPE, UnreadableIn
from .views import (
    HOLES_IN,
    UNREADABLE_IN,
    comments,
    event_view,
    holes_view,
    lines_view,
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

    Damage inside a frame shows in a query, as an error of DuckDB: of a view of a type it names file and remedy, of any
    other `damage_in` does.

    The connection is for one thread at a time: `cursor()` has none of the views of types.

    The files are those that there are now; what a recorder adds to them is seen, a new file is not.

    Args:
        paths: a file, a folder, or several of them.
        types: your own record classes, added to the catalogue or replacing one with the same type code.
        sql: the query that will be run. Of the types, the connection then has only the views that it names, so that it
            is there sooner. None: all of them.

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
    names = None if sql is None else names_in(connection, sql)
    views = {code: cls for code, cls in catalogue.items() if names is None or view_name(cls) in names}
    if views:  # a missing package is told now, not by a query
        pyarrow()
        numpy()
        kernel()
    _create_functions(connection, paths, files, catalogue)
    _create_views(connection, views, files, catalogue)
    if sql is not None and names is not None and not _can_plan(connection, sql):
        connection.close()
        return connect_files(paths, files, catalogue)  # so an error is told in view of all that there is
    return connection


def _can_plan(connection: DuckDBPyConnection, sql: str) -> bool:
    try:
        connection.execute(f"EXPLAIN {sql}").fetchall()
    except duckdb().Error:
        return False
    return True


def _create_functions(connection: Any, paths: Paths, files: list[RecordedFile], catalogue: Types) -> None:
    unreadable = UnreadableIn(catalogue)
    connection.create_function(UNREADABLE_IN, unreadable, ["VARCHAR"], UNREADABLE_TYPE, null_handling="special")
    connection.create_function(HOLES_IN, HolesOf(paths, files), [], HOLES_TYPE, side_effects=True)


def _create_views(connection: DuckDBPyConnection, views: Types, files: list[RecordedFile], catalogue: Types) -> None:
    readable = [file.path for file in files if not file.wrong]
    sessions = {file.path: file.session for file in files if file.session}
    for code, cls in views.items():
        name = view_name(cls)
        connection.register(name, scan_of(code, catalogue, {path: sessions.get(path, "") for path in readable}))
        connection.execute(comments(name, f"{cls.label} ({code})", columns_of(cls)))
    connection.execute(f"CREATE VIEW gap AS {event_view('Gap', GAP, readable, sessions)}")
    connection.execute(f"CREATE VIEW hole AS {holes_view()}")
    connection.execute(f"CREATE VIEW unreadable AS {unreadable_view(readable, sessions)}")
    connection.execute(f"CREATE VIEW message AS {lines_view(readable, sessions)}")
    if "trade" in map(view_name, views.values()):
        for macro in BAR_MACROS:
            connection.execute(macro)

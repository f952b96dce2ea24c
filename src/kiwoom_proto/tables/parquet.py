"""to_parquet: recordings as Parquet files, one for each type and day."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ..errors import LocalProtocolError, RecordingError
from ..realtime.catalogue import Types, extended_catalogue
from ..realtime.record import KST, Record
from ..recording.files import Paths
from ..recording.format import MessageLine, decode_line
from ..wire.decoder import MessageDecoder
from .columns import view_name
from .connect import connect_files
from .files import damage_in, look_at, reading_error
from .packages import duckdb
from .scan import scan_of
from .values import literal
from .views import days_query, unkept_query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ("to_parquet",)

Existing = Literal["refuse", "skip", "replace"]


@attrs.frozen
class _Target:
    """A file to be written: what it is called, what is in it, and how many rows that are.

    If `source` is not None, the query reads it by the name `rows_of_type`.
    """

    path: Path
    query: str
    rows: int = 0
    source: Any = None


def to_parquet(
    paths: Paths,
    out: str | Path,
    *,
    types: Iterable[type[Record]] = (),
    existing: Existing = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write recordings as Parquet files: `out/trade/day=2026-11-25/trade.parquet`, days in KST, by time of receipt.

    The folders are named so that DuckDB, polars and pyarrow read `day` from them. `gap.parquet` and `hole.parquet` say
    what is missing. A file appears once it is whole, and a type without rows has none.

    Args:
        paths: a file, a folder, or several of them.
        out: the folder; made if there is none.
        types: your own record classes, added to the catalogue or replacing one with the same type code.
        existing: what to do with files that exist already: "refuse" writes nothing at all, "skip" keeps them, which
            continues an interrupted export of the same files and nothing else: what was recorded since is not added to
            a day that is there, nor to `gap.parquet` and `hole.parquet`; "replace" writes them again.
        progress: called with the number of rows written and of all that are to be.

    Returns:
        The files written.

    Raises:
        RecordingError: as `connect_tables`; or a frame is damaged, a file is there already, or cannot be written.
        LocalProtocolError: `existing` is none of these.
    """
    if existing not in ("refuse", "skip", "replace"):
        raise LocalProtocolError(f'existing: must be "refuse", "skip" or "replace", not {existing!r}')
    catalogue = extended_catalogue(types)
    paths = (paths,) if isinstance(paths, str | Path) else tuple(paths)
    files = look_at(paths)
    readable = [file.path for file in files if not file.wrong]
    sessions = {file.path: file.session for file in files if file.session}
    targets = [_Target(Path(out) / f"{name}.parquet", f"FROM {name}") for name in ("gap", "hole")]
    with connect_files(paths, files, {}) as connection:
        try:
            found = _count(connection, readable, catalogue)
        except duckdb().IOException as error:
            raise RecordingError(damage_in(readable) or str(error)) from error
    for (code, day), counted in sorted(found.items()):
        cls = catalogue[code]
        name = view_name(cls)
        path = Path(out) / name / f"day={day}" / f"{name}.parquet"
        column = "received_at_" if "received_at" in cls.fields else "received_at"
        query = f"FROM rows_of_type WHERE CAST({column} AS DATE) = {literal(str(day))}"
        source = scan_of(code, catalogue, {file: sessions.get(file, "") for file in readable if file in counted})
        targets.append(_Target(path, query, sum(counted.values()), source))
    there = [target.path for target in targets if target.path.exists()]
    if there and existing == "refuse":
        choices = '"skip" or "replace" (--existing skip, --existing replace)'
        raise RecordingError(f"{there[0]}: is there already; choose another folder, or existing: {choices}")
    if existing == "skip":
        targets = [target for target in targets if target.path not in there]
    with connect_files(paths, files, {}) as connection:
        return _write(connection, readable, targets, progress)


def _count(
    connection: DuckDBPyConnection, files: list[str], catalogue: Types
) -> dict[tuple[str, datetime.date], dict[str, int]]:
    """Return how many rows of which type and day (KST) each file has."""
    found: dict[tuple[str, datetime.date], dict[str, int]] = {}
    for file, code, day, rows in connection.execute(days_query(files)).fetchall():
        if code in catalogue:
            found.setdefault((code, day), {})[file] = rows
    decoder = MessageDecoder(catalogue)
    for file, text in connection.execute(unkept_query(files)).fetchall():
        line = decode_line(text.encode(), catalogue)
        assert isinstance(line, MessageLine)
        for row in decoder.decode(line.payload, line.at):
            if isinstance(row, Record) and row.type_code in catalogue:
                day = datetime.datetime.fromtimestamp(line.at // 10**9, KST).date()
                counted = found.setdefault((row.type_code, day), {})
                counted[file] = counted.get(file, 0) + 1
    return found


def _write(
    connection: DuckDBPyConnection,
    files: list[str],
    targets: list[_Target],
    progress: Callable[[int, int], None] | None,
) -> list[Path]:
    done, total = 0, sum(target.rows for target in targets)
    for target in targets:
        if progress is not None:
            progress(done, total)
        part = target.path.with_suffix(".parquet.part")
        try:
            target.path.parent.mkdir(parents=True, exist_ok=True)
            if target.source is not None:
                connection.register("rows_of_type", target.source)
            connection.execute(f"COPY ({target.query}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)")
            part.replace(target.path)
        except Exception as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            if said := reading_error(error):
                raise RecordingError(said) from error
            is_of_duckdb = isinstance(error, duckdb().IOException)  # reading as well as writing
            if is_of_duckdb and (damage := damage_in(files)):
                raise RecordingError(damage) from error
            if is_of_duckdb or isinstance(error, OSError):
                raise RecordingError(f"{target.path}: cannot be written: {error}") from error
            raise
        done += target.rows
    if progress is not None:
        progress(done, total)
    return [target.path for target in targets]

"""to_parquet: recordings as Parquet files, one for each type and day."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ..errors import LocalProtocolError, RecordingError
from ..realtime.catalogue import Types, extended_catalogue
from ..realtime.record import Record
from ..recording.files import Paths
from .columns import view_name
from .connect import connect_files
from .files import damage_in, look_at, own_errors
from .packages import duckdb
from .scan import codes_in, scan_of
from .values import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ("to_parquet",)

ROWS = "rows_of_type"
"""What a query of this module reads."""
NO_DAY = "__HIVE_DEFAULT_PARTITION__"
"""The day of rows of which no time is known: programs that read `day` from the folders know it as NULL."""
Existing = Literal["refuse", "skip", "replace"]


@attrs.frozen
class _Target:
    """A file to be written: what it is called, what is in it, and how many rows that are.

    If `source` is not None, the query reads it by the name `ROWS`.
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

    The folders are named so that DuckDB, polars and pyarrow read `day` from them; rows of which no time is known have
    none. `gap.parquet` and `hole.parquet` say
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
    sources = {file.path: file.session for file in files if not file.wrong}
    targets = [_Target(Path(out) / f"{name}.parquet", f"FROM {name}") for name in ("gap", "hole")]
    with connect_files(paths, files, {}) as connection, own_errors():
        connection.execute("SET enable_progress_bar = false")  # DuckDB's own, which it prints
        found = _count(connection, sources, catalogue)
    for (code, day), counted in sorted(found.items(), key=lambda each: (each[0][0], str(each[0][1]))):
        name = view_name(catalogue[code])
        path = Path(out) / name / f"day={NO_DAY if day is None else day}" / f"{name}.parquet"
        chosen = "IS NULL" if day is None else f"= DATE {literal(str(day))}"
        query = f"FROM {ROWS} WHERE CAST({_received_at(catalogue[code])} AS DATE) {chosen}"
        source = scan_of(code, catalogue, {file: sources[file] for file in sources if file in counted})
        targets.append(_Target(path, query, sum(counted.values()), source))
    there = [target.path for target in targets if target.path.exists()]
    if there and existing == "refuse":
        choices = '"skip" or "replace" (--existing skip, --existing replace)'
        raise RecordingError(f"{there[0]}: is there already; choose another folder, or existing: {choices}")
    if existing == "skip":
        targets = [target for target in targets if target.path not in there]
    with connect_files(paths, files, {}) as connection:
        connection.execute("SET enable_progress_bar = false")
        return _write(connection, [*sources], targets, progress)


def _count(
    connection: DuckDBPyConnection, files: Mapping[str, str], catalogue: Types
) -> dict[tuple[str, datetime.date | None], dict[str, int]]:
    """Return how many rows of which type and day (KST) each file has. The day is None if no time is known."""
    found: dict[tuple[str, datetime.date | None], dict[str, int]] = {}
    for file, session in files.items():
        for code in sorted(codes_in(file, catalogue)):
            connection.register(ROWS, scan_of(code, catalogue, {file: session}))
            query = f"SELECT CAST({_received_at(catalogue[code])} AS DATE), count(*) FROM {ROWS} GROUP BY ALL"
            for day, rows in connection.execute(query).fetchall():
                found.setdefault((code, day), {})[file] = rows
    return found


def _received_at(cls: type[Record]) -> str:
    return "received_at_" if "received_at" in cls.fields else "received_at"


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
                connection.register(ROWS, target.source)
            copy = f"COPY ({target.query}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)"
            with own_errors():
                connection.execute(copy)
            part.replace(target.path)
        except BaseException as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
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

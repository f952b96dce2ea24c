"""Layer tables: a recording -> typed columns. One thread, except where the case says how many.

Subjects:

    records          read_recording, every field (or six) of each record read: Python values, made into nothing
    records (table)  read_recording, and table() of the records: the same columns, by way of records
    ours             connect_tables, the same fields as columns, checked
    by hand          DuckDB's read_json with just the FIDs spelt out and TRY_CAST around them: nothing checked
    by hand (types)  the same, but with the values that ours has: prices without their sign, times as TIME
    by hand (all)    as the first, with every FID of the type spelt out
    polars, pyarrow  their JSON readers, told the same six FIDs (pyarrow reads the file without compression)

All of them count the values of each column, so nothing is read and dropped. The curve reads the same file under more
and more names.
"""

from __future__ import annotations

import io
import os
import pathlib
import resource
from collections.abc import Callable
from typing import Any

import zstandard

from kiwoom_proto.realtime import REALTIME
from kiwoom_proto.recording.format import Footer, Header, encode_footer, encode_header, encode_message
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.tables import connect_tables, table
from kiwoom_proto.tables.columns import view_name

from .data import USUAL, messages, scratch_folder
from .peers.driver import Round, compile_reader, serve, timed
from .runner import Bench, Player

__all__ = ("measure", "prepare", "recording", "use_processors")

CPU = {"cpu": "ns of CPU per row"}
WALL = {"wall": "ns per row", "memory": "MB of memory at most"}
COUNT = 40_000
FRAME = 1024 * 1024
COPIES = (1, 4, 16)
"""How many times the file of the curve is read."""
START = 1_764_028_800_000_000_000
SIX_COLUMNS = ("ours", "by hand", "by hand (types)", "by hand (all)", "polars", "pyarrow", "records")


def measure(bench: Bench) -> None:
    """Make the measurements."""
    count = bench.effort.messages(COUNT)
    for shape in ("0B", "0D"):
        players = [_player(name, shape, "all", count) for name in ("ours", "records", "records (table)", "by hand")]
        bench.compare("tables", f"{shape}, all fields", players, CPU)
    players = [_player(name, "0B", "usual", count) for name in SIX_COLUMNS]
    bench.compare("tables", "0B, six columns", players, CPU)
    for threads in (1, 2):
        players = [_player("ours", "0B", "all", count, copies=copies, threads=threads) for copies in COPIES]
        bench.compare("tables", f"0B, all fields, {threads} threads, by size", players, WALL, rounds=3)


def _player(subject: str, shape: str, fields: str, count: int, *, copies: int = 1, threads: int = 1) -> Player:
    setting = {"subject": subject, "shape": shape, "fields": fields, "count": count, "copies": copies}
    name = subject if copies == threads == 1 else f"{subject} ({copies} x)"
    return Player(name, "benchmarks.tables", {**setting, "threads": threads})


def recording(folder: pathlib.Path, shape: str, count: int, copies: int = 1) -> pathlib.Path:
    """Write a recording of rows of one type, and name it several times. Returns the folder."""
    lines = [encode_header(Header(START, "wss://example", False, "benchmarks", "0" * 16))]
    made = messages(shape, min(count, 2_000))
    lines += [encode_message(START + n * 1_000_000, 1, n + 1, made[n % len(made)]) for n in range(count)]
    lines.append(encode_footer(Footer(START, "closed", count)))
    frames, frame = [lines[0]], io.BytesIO()
    for line in lines[1:]:
        frame.write(line)
        if frame.tell() >= FRAME:
            frames.append(frame.getvalue())
            frame = io.BytesIO()
    frames.append(frame.getvalue())
    path = folder / "0000.ndjson.zst"
    path.write_bytes(b"".join(compress(each) for each in frames if each))
    for number in range(1, copies):
        os.link(path, folder / f"{number:04}.ndjson.zst")
    return folder


def prepare(setting: dict[str, Any]) -> Round:
    """Set a subject up."""
    folder = scratch_folder()
    recording(folder, setting["shape"], setting["count"], setting["copies"])
    names = tuple(REALTIME[setting["shape"]].fields) if setting["fields"] == "all" else USUAL[setting["shape"]]
    count = SUBJECTS[setting["subject"]](folder, setting, names)

    def run(command: dict[str, Any]) -> dict[str, float]:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        return {**timed(count), "memory": memory}

    return run


def _ours(folder: pathlib.Path, setting: dict[str, Any], names: tuple[str, ...]) -> Callable[[], int]:
    counts = ", ".join(f"count({name})" for name in names)
    query = f"SELECT count(*), {counts} FROM {view_name(REALTIME[setting['shape']])}"
    use_processors(setting["threads"])
    connection = connect_tables(folder, sql=query)
    connection.execute(f"SET threads = {setting['threads']}")
    return lambda: int(connection.execute(query).fetchall()[0][0])


def use_processors(count: int) -> None:
    """Let this process use so many processors at most: a query reads with a thread for each."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _records(folder: pathlib.Path, setting: dict[str, Any], names: tuple[str, ...]) -> Callable[[], int]:
    read = compile_reader("row.{}", names)

    def count() -> int:
        rows = 0
        for row in read_recording(folder):
            read(row)
            rows += 1
        return rows

    return count


def _records_table(folder: pathlib.Path, setting: dict[str, Any], names: tuple[str, ...]) -> Callable[[], int]:
    return lambda: int(table(read_recording(folder)).num_rows)


def _by_hand(folder: pathlib.Path, setting: dict[str, Any], names: tuple[str, ...]) -> Callable[[], int]:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    fields = REALTIME[setting["shape"]].fields
    fids = [fields[name].fid for name in names]
    spelt = [field.fid for field in fields.values()] if "all" in setting["subject"] else fids
    values = ", ".join(f'"{fid}" VARCHAR' for fid in spelt)
    message = f'STRUCT(data STRUCT("values" STRUCT({values}), type VARCHAR, item VARCHAR)[], trnm VARCHAR)'
    source = (
        f"read_json('{folder}/*.zst', format='newline_delimited', columns={{'at': 'BIGINT', 'message': '{message}'}})"
    )
    templates = {"price": "abs(TRY_CAST({} AS BIGINT))", "time": "CAST(try_strptime({}, '%H%M%S') AS TIME)"}
    kinds = {field.fid: field.kind.name if "types" in setting["subject"] else "" for field in fields.values()}
    values_of = {fid: templates.get(kinds[fid], "TRY_CAST({} AS BIGINT)").format(f'r."values"."{fid}"') for fid in fids}
    counts = ", ".join(f"count({values_of[fid]})" for fid in fids)
    rows = f"SELECT unnest(message.data) AS r FROM {source}"
    query = f"SELECT count(*), {counts} FROM ({rows}) WHERE r.type = '{setting['shape']}'"
    return lambda: int(connection.execute(query).fetchall()[0][0])


def _polars(folder: pathlib.Path, setting: dict[str, Any], names: tuple[str, ...]) -> Callable[[], int]:
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars

    fids = [REALTIME[setting["shape"]].fields[name].fid for name in names]
    values = polars.Struct(dict.fromkeys(fids, polars.String))
    row = polars.Struct({"values": values, "type": polars.String, "item": polars.String})
    schema: Any = {"at": polars.Int64, "message": polars.Struct({"data": polars.List(row)})}

    def count() -> int:
        frame = polars.read_ndjson(folder / "0000.ndjson.zst", schema=schema)
        found = frame["message"].struct["data"].explode().struct["values"].struct
        return max(found[fid].cast(polars.Int64, strict=False).count() for fid in fids)

    return count


def _pyarrow(folder: pathlib.Path, setting: dict[str, Any], names: tuple[str, ...]) -> Callable[[], int]:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import compute, json

    fids = [REALTIME[setting["shape"]].fields[name].fid for name in names]
    with (folder / "0000.ndjson.zst").open("rb") as packed:
        plain = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read()
    path = folder / "plain.json"
    path.write_bytes(plain)
    values = pa.struct([(fid, pa.string()) for fid in fids])
    row = pa.struct([("values", values), ("type", pa.string()), ("item", pa.string())])
    schema = pa.schema([("at", pa.int64()), ("message", pa.struct([("data", pa.list_(row))]))])
    options = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    reading = json.ReadOptions(use_threads=False, block_size=FRAME)

    def count() -> int:
        found = json.read_json(path, read_options=reading, parse_options=options)
        rows = compute.list_flatten(compute.struct_field(found["message"], "data"))
        texts = (compute.struct_field(compute.struct_field(rows, "values"), fid) for fid in fids)
        return max(len(text.cast(pa.int64())) for text in texts)

    return count


SUBJECTS: dict[str, Callable[[pathlib.Path, dict[str, Any], tuple[str, ...]], Callable[[], int]]] = {
    "ours": _ours,
    "records": _records,
    "records (table)": _records_table,
    "by hand": _by_hand,
    "by hand (types)": _by_hand,
    "by hand (all)": _by_hand,
    "polars": _polars,
    "pyarrow": _pyarrow,
}

if __name__ == "__main__":
    serve(prepare)

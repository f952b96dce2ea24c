"""Recordings of 100 MB to 5 GB: whether a row costs the same in all of them, and what memory that takes.

    python -m benchmarks.curve                   0.1, 0.5, 2 and 5 GB: half a gigabyte of disk for each 5 GB
    python -m benchmarks.curve 0.1 0.5 --shape 0D

Sizes are of the lines, uncompressed. The files are written by the recorder's writer, at most half a gigabyte of lines
each, into a folder that is removed afterwards. Each figure is of a process of its own:

    six columns     connect_tables(folder, sql=...), the columns counted; one thread, and two
    all columns     the same with every field (of recordings of up to 2 GB)
    read_recording  the usual fields of each record read
    listed          `summarize`, as `kiwoom-proto recordings`

as ns of CPU and of time per row, and the most memory that the process ever had.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from kiwoom_proto.events import RecordingHole
from kiwoom_proto.realtime import REALTIME
from kiwoom_proto.recording.check import summarize
from kiwoom_proto.recording.disk import FolderDisk
from kiwoom_proto.recording.format import Header, encode_messages
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.recording.writer import Writer
from kiwoom_proto.tables import connect_tables
from kiwoom_proto.tables.columns import view_name

from .data import USUAL, messages, scratch_folder
from .decode import our_reader
from .tables import use_processors

__all__ = ("main", "write")

GIGABYTE = 1_000_000_000
SIZES = (0.1, 0.5, 2.0, 5.0)
MAX_ALL = 2.0
"""Gigabytes up to which all columns are read."""
FILE = 0.5
"""Gigabytes of lines in a file."""
AT_ONCE = 16
START = 1_764_028_800_000_000_000
WAYS = (
    "six columns",
    "six columns, two threads",
    "all columns",
    "all columns, two threads",
    "read_recording",
    "listed",
)


def write(folder: pathlib.Path, shape: str, size: float) -> int:
    """Write recordings of so many gigabytes of lines. Returns the number of rows."""
    made = messages(shape, 16_000)
    header = Header(START, "wss://example", False, "benchmarks", "0" * 16)
    writer = Writer(FolderDisk(folder), header, max_file_bytes=1 << 40, fsync="never")
    rows = written = in_file = 0
    while written < size * GIGABYTE:
        at = START + rows * 1_000  # a thousand rows a millisecond: all of it on one day
        first = rows % len(made)
        lines = encode_messages(at, 1, rows + 1, made[first : first + AT_ONCE])
        writer.add(at, lines, AT_ONCE, at / 1e9)
        rows, written, in_file = rows + AT_ONCE, written + len(lines), in_file + len(lines)
        if in_file >= FILE * GIGABYTE:
            writer.is_file_due, in_file = True, 0
    writer.close(START + rows * 1_000, 0.0)
    return rows


def _measure(folder: pathlib.Path, shape: str, way: str) -> dict[str, float]:
    """Measure in this process."""
    prepared = _prepared(folder, shape, way)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = prepared()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"cpu": cpu / rows * 1e9, "wall": wall / rows * 1e9, "memory": memory}


def _prepared(folder: pathlib.Path, shape: str, way: str) -> Callable[[], int]:
    if way == "listed":
        return lambda: sum(summary.messages for summary in summarize(folder))
    if way == "read_recording":
        read = our_reader(shape, "usual")

        def iterate() -> int:
            count = 0
            for record in read_recording(folder):
                assert not isinstance(record, RecordingHole), record
                read(record)
                count += 1
            return count

        return iterate
    cls = REALTIME[shape]
    names = USUAL[shape][:6] if way.startswith("six") else tuple(cls.fields)
    query = f"SELECT count(*), {', '.join(f'count({name})' for name in names)} FROM {view_name(cls)}"
    threads = 2 if way.endswith("two threads") else 1
    use_processors(threads)
    connection = connect_tables(folder, sql=query)
    connection.execute(f"SET threads = {threads}")
    return lambda: int(connection.execute(query).fetchall()[0][0])


def main(arguments: list[str] | None = None) -> int:
    """Print the curve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curve", description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=float, help="gigabytes of lines")
    parser.add_argument("--shape", choices=("0B", "0D"), default="0B")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "WAY"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        folder, way = chosen.measure
        print(json.dumps(_measure(pathlib.Path(folder), chosen.shape, way)))
        return 0
    scratch = scratch_folder()
    for size in chosen.sizes or SIZES:
        folder = scratch / f"{size}"
        rows = write(folder, chosen.shape, size)
        files = list(folder.iterdir())
        packed = sum(file.stat().st_size for file in files) / 1e6
        print(f"{size} GB of lines, {rows:,} rows of {chosen.shape}, {packed:,.0f} MB in {len(files)} files")
        for way in chosen.ways:
            if way.startswith("all") and size > MAX_ALL:
                continue
            command = [sys.executable, "-m", "benchmarks.curve", "--shape", chosen.shape, "--measure", str(folder), way]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"  {way:26} {found['cpu']:8,.0f} ns of CPU {found['wall']:8,.0f} ns {found['memory']:6,.0f} MB",
                flush=True,
            )
        for file in files:
            file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

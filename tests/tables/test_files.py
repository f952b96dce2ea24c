"""What becomes of files that are torn, damaged, foreign, newer, growing or missing."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

import kiwoom_proto.tables
from kiwoom_proto.errors import LocalProtocolError, RecordingError
from kiwoom_proto.events import Disconnected, Gap, RecordingHole
from kiwoom_proto.realtime import Trade
from kiwoom_proto.recording.format import encode_event
from kiwoom_proto.recording.frames import compress
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.tables import connect_tables, damage_in, table, to_parquet

from .kit import MORNING, flip_a_bit, header, lines_of, message, records_of, row, write

TRADE = {"20": "090001", "10": "-257750", "15": "-19"}
ROWS = lines_of([row("0B", TRADE)] * 3)


def connect(paths: Any) -> Any:
    """Return a connection with the views that these tests look at."""
    return connect_tables(paths, sql="SELECT * FROM trade, gap, hole, unreadable, message")


def counted(connection: Any, view: str) -> int:
    """Return how many rows a view has."""
    ((count,),) = connection.execute(f"SELECT count(*) FROM {view}").fetchall()
    assert isinstance(count, int)
    return count


def reasons(connection: Any) -> list[str]:
    """Return what the recordings lack."""
    return [reason for (reason,) in connection.execute("SELECT reason FROM hole ORDER BY reason").fetchall()]


def test_a_torn_tail_is_told_and_what_stands_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", ROWS, end=False)
    with path.open("ab") as file:
        file.write(compress(ROWS)[:-9])

    connection = connect(path)

    assert counted(connection, "trade") == 3
    (reason,) = reasons(connection)
    assert "a.ndjson.zst, at byte" in reason and "ends" in reason


def test_damage_in_the_middle_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", ROWS, ROWS)
    data = bytearray(path.read_bytes())
    second = data.index(b"\x28\xb5\x2f\xfd", 4)
    data[second : second + 4] = b"\0\0\0\0"
    path.write_bytes(data)

    with pytest.raises(RecordingError, match=rf"a\.ndjson\.zst: damaged at byte {second}.*recordings \S+ --repair OUT"):
        connect(tmp_path)


def test_damage_inside_a_frame_names_the_file_and_the_remedy_in_an_export(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write(folder / "a.ndjson.zst", ROWS)
    flip_a_bit(write(folder / "b.ndjson.zst", ROWS, ROWS, session="another"))

    with pytest.raises(RecordingError) as caught:
        to_parquet(folder, out)

    (said,) = str(caught.value).splitlines()
    assert "b.ndjson.zst: damaged at byte" in said and "b.ndjson.zst --repair OUT" in said
    assert "written" not in said


def test_damage_inside_a_frame_is_named_where_a_query_meets_it(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson.zst", ROWS)
    assert damage_in(tmp_path) == ""
    flip_a_bit(write(tmp_path / "b.ndjson.zst", ROWS, ROWS, session="another"))
    connection = connect(tmp_path)

    with pytest.raises(duckdb.Error):
        counted(connection, "trade")

    (said,) = damage_in(tmp_path).splitlines()
    assert "b.ndjson.zst: damaged at byte" in said and "b.ndjson.zst --repair OUT" in said


def test_damage_that_comes_while_an_export_writes_is_no_error_of_writing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", ROWS, ROWS)

    with pytest.raises(RecordingError, match=r"a\.ndjson\.zst: damaged at byte") as caught:
        to_parquet(path, tmp_path / "out", progress=lambda done, total: None if done else flip_a_bit(path))

    assert "cannot be written" not in str(caught.value)
    assert not [*tmp_path.rglob("*.part")]


def test_a_file_without_an_end_is_told_and_may_grow(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", ROWS, end=False)
    connection = connect(tmp_path)
    (reason,) = reasons(connection)
    assert "no end" in reason

    with path.open("ab") as file:
        file.write(compress(ROWS))

    assert counted(connection, "trade") == 6


def test_a_copy_beside_the_original_is_told_and_its_rows_are_there_once(tmp_path: Path) -> None:
    path = write(tmp_path / "2026-11-25T090000-00.ndjson.zst", ROWS)
    (tmp_path / "2026-11-25T090000-00 copy.ndjson.zst").write_bytes(path.read_bytes())

    connection = connect_tables(tmp_path)

    assert counted(connection, "trade") == 3
    (reason,) = reasons(connection)
    assert reason.startswith("2026-11-25T090000-00 copy.ndjson.zst: a copy of 2026-11-25T090000-00.ndjson.zst")


def test_a_foreign_or_newer_file_is_an_error_if_named_and_a_hole_in_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson.zst", ROWS)
    (tmp_path / "b.ndjson.zst").write_bytes(b"PK\3\4")
    (tmp_path / "c.ndjson.zst").write_bytes(compress(header().replace(b'"recording":1', b'"recording":2')))
    (tmp_path / "d.ndjson.zst").write_bytes(b"")

    connection = connect(tmp_path)

    assert counted(connection, "trade") == 3
    foreign, newer, empty = reasons(connection)
    assert "b.ndjson.zst: is no recording" in foreign
    assert "version 2" in newer and "d.ndjson.zst, at byte 0: the file is empty" in empty
    for name, reason in (("b", "is no recording"), ("c", "version 2"), ("d", "empty"), ("e", "no such file")):
        with pytest.raises(RecordingError, match=reason):
            connect(tmp_path / f"{name}.ndjson.zst")
    with pytest.raises(RecordingError, match="no recording"):
        connect([])


def test_a_file_that_vanishes_while_it_is_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.ndjson.zst", ROWS)
    gone = write(tmp_path / "b.ndjson.zst", ROWS, session="another")
    opened: list[Path] = []
    open_file = Path.open

    def open_once(path: Path, *more: Any) -> Any:
        opened.append(path)
        if path == gone and opened.count(gone) % 2 == 0:
            raise FileNotFoundError(2, "No such file or directory")
        return open_file(path, *more)

    monkeypatch.setattr(Path, "open", open_once)

    connection = connect(tmp_path)
    assert counted(connection, "trade") == 3
    assert f"{gone}: No such file or directory" in reasons(connection)
    with pytest.raises(RecordingError, match=r"b\.ndjson\.zst: No such file"):
        connect(gone)


def test_gaps_and_holes_are_views_and_every_line_is_in_message(tmp_path: Path) -> None:
    gap = Gap(MORNING, MORNING + 5_000_000_000, 7, epoch=2, sequence=8)
    hole = RecordingHole(MORNING, MORNING + 1, 12, "the disk is full")
    lines = encode_event(MORNING + 1, gap) + encode_event(MORNING + 2, hole)
    connection = connect(write(tmp_path / "a.ndjson.zst", ROWS, lines))

    gaps = connection.execute("SELECT end_at - start_at, last_sequence, epoch, sequence FROM gap").fetchall()
    assert [(length.total_seconds(), *more) for length, *more in gaps] == [(5.0, 7, 2, 8)]
    assert connection.execute("SELECT messages, reason FROM hole").fetchall() == [(12, "the disk is full")]
    kinds = connection.execute("SELECT kind, count(*) FROM message GROUP BY kind ORDER BY kind").fetchall()
    assert kinds == [("end", 1), ("event", 2), ("message", 3), ("recording", 1)]


def test_the_holes_are_those_that_a_reader_finds(tmp_path: Path) -> None:
    own = RecordingHole(MORNING, MORNING + 1, 12, "the disk is full", epoch=1, sequence=9)
    broken = b'{"at":5,"broken\n'
    write(tmp_path / "a.ndjson.zst", ROWS, broken + ROWS, encode_event(MORNING + 2, own), end=False, session="a" * 16)
    write(tmp_path / "b.ndjson.zst", ROWS, session="b" * 16)
    with write(tmp_path / "c.ndjson.zst", ROWS, end=False, session="c" * 16).open("ab") as file:
        file.write(compress(ROWS)[:-9])
    (tmp_path / "d.ndjson.zst").write_bytes(b"PK\3\4")

    found = connect(tmp_path).execute(
        "SELECT epoch_us(start_at), epoch_us(end_at), messages, reason, session_id, epoch, sequence FROM hole"
    )

    holes = [event for event in read_recording(tmp_path) if isinstance(event, RecordingHole)]
    rows = found.fetchall()
    assert {row[:4] for row in rows if row[0]} == {
        (hole.start // 1000, hole.end // 1000, hole.messages, hole.reason) for hole in holes if hole.start
    }
    assert len(rows) == len(holes) == 5  # and the file that is none, of which no time is known
    assert (MORNING // 1000, (MORNING + 1) // 1000, 12, "the disk is full", "a" * 16, 1, 9) in rows


def test_messages_of_an_unusual_shape_have_rows_and_what_is_none_is_listed(tmp_path: Path) -> None:
    texts = {"20": "250000", "10": "abc", "9201": "***"}
    payloads = [
        row("0B", texts),
        b"[1,2]",
        b'{"trnm":"REAL","data":{"values":{"10":"5"},"type":"0B","item":"005930"}}',
        message({"values": [{"10": "5"}], "type": "0B", "item": "005930"}),
        message({"values": {"10": 5}, "type": "0B", "item": "005930"}),
        b'{"trnm":"REAL",\n"data":[{"values":{"10":"7"},"type":"0B","item":"005930"}]}',
        b'{"trnm":"PING"}',
        b'{"data":[{"values":{"10":"1","10":"2"},"type":"0B","item":"005930"}],"trnm":"REAL"}',
    ]
    payloads.append(b'{"data":[{"values":{"10":"abc"},"type":"0B"}],"trnm":"REAL"}')
    path = write(tmp_path / "a.ndjson.zst", lines_of(payloads), b'{"at":5,"broken\n')
    connection = connect(path)

    found = connection.execute('SELECT fid, "column", text, reason FROM unreadable ORDER BY sequence, fid').fetchall()

    assert found[:2] == [("10", "price", "abc", "not a price"), ("20", "time", "250000", "not a time")]
    assert [reason for *_, reason in found[2:]] == [
        "a JSON list where a message object belongs",
        "not a price",
        "a line that DuckDB cannot read: read it with read_recording",
    ]
    prices = [price for (price,) in connection.execute("SELECT price FROM trade").fetchall()]
    assert prices == [None, 5, 5, 5, 7, 2, None]


def test_a_message_of_several_rows_has_a_row_for_each(tmp_path: Path) -> None:
    rows = [{"values": {**TRADE, "15": str(number)}, "type": "0B", "item": "005930"} for number in range(1, 4)]
    payloads = [message(*rows), row("0B", TRADE)]
    connection = connect(write(tmp_path / "a.ndjson.zst", lines_of(payloads)))

    found = connection.execute("SELECT sequence, quantity FROM trade").fetchall()

    assert found == [(record.sequence, record.quantity) for record in records_of(payloads) if isinstance(record, Trade)]


def test_parquet_refuses_skips_or_replaces_what_is_there(tmp_path: Path) -> None:
    night = lines_of([row("0B", TRADE)], MORNING + 16 * 3600 * 10**9)
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write(folder / "a.ndjson.zst", ROWS, night)
    steps: list[tuple[int, int]] = []

    to_parquet(folder, out, progress=lambda done, total: steps.append((done, total)))

    days = sorted(path.parent.name for path in out.glob("trade/*/*.parquet"))
    assert days == ["day=2025-11-25", "day=2025-11-26"] and steps[-1] == (steps[-1][1],) * 2
    with pytest.raises(RecordingError, match="is there already"):
        to_parquet(folder, out)
    next(out.glob("trade/day=2025-11-26/*")).unlink()
    (written,) = to_parquet(folder, out, existing="skip")
    assert "2025-11-26" in str(written)
    assert len(to_parquet(folder, out, existing="replace")) == 4
    assert not list(out.rglob("*.part"))
    with pytest.raises(LocalProtocolError, match="existing"):
        to_parquet(folder, out, existing="overwrite")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line",
    [
        *lines_of(
            [
                b'{"trnm":"REAL",\n"data":[{"values":{"10":"7"},"type":"0B","item":"005930"}]}',
                b'{"data":{"values":{"10":"7"},"type":"0B","item":"1"},"trnm":"REAL"}',
                b'{"data":[{"values":{"10":"7"},"type":"0D","type":"0B","item":"1"}],"trnm":"REAL"}',
                b'{"data":[{"values":{"10":"7"},"type":["0B"],"item":"1"}],"trnm":"REAL"}',
                b'{"data":[{"values":{"10":"7"},"type":"\\u0030B","item":"1"}],"trnm":"REAL"}',
            ]
        ).splitlines(keepends=True),
        lines_of([row("0B", {"10": "7"})]).replace(str(MORNING).encode(), b"0"),
        lines_of([row("0B", {"10": "7"})]).replace(str(MORNING).encode(), b"9223372036854775808"),
        b'{"at":1764028800000000000,"epoch":1,"sequence":1,"base64":"!"}\n' + lines_of([row("0B", {"10": "7"})]),
    ],
)
def test_every_row_of_a_view_is_exported(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path / "a.ndjson.zst", line)

    written = to_parquet(path, tmp_path / "out")

    (trades,) = [file for file in written if file.name == "trade.parquet"]
    assert duckdb.execute(f"SELECT price FROM '{trades}'").fetchall() == [(7,)]
    assert connect(path).execute("SELECT price FROM trade").fetchall() == [(7,)]


@pytest.mark.parametrize("package", ["duckdb", "numba", "numpy", "pyarrow"])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    path = write(tmp_path / "a.ndjson.zst", ROWS)
    load = builtins.__import__

    def without(name: str, *more: Any, **options: Any) -> Any:
        if name == package:
            raise ImportError
        return load(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    for module in ("kernel", "compiled"):
        monkeypatch.delitem(sys.modules, f"kiwoom_proto.tables.{module}", raising=False)
        monkeypatch.delattr(kiwoom_proto.tables, module, raising=False)

    with pytest.raises(RecordingError, match=rf"{package}.*kiwoom-proto\[tables\]"):
        connect(path)
    if package == "pyarrow":
        with pytest.raises(RecordingError, match=r"pyarrow.*kiwoom-proto\[tables\]"):
            table([], Trade)


def test_a_table_says_which_texts_are_null_in_it() -> None:
    payloads = [row("0B", {**TRADE, **more}) for more in ({"10": "abc"}, {"10": "x", "20": "250000"}, {"15": ""}, {})]

    with pytest.warns(UserWarning, match=r"NULL in the table: time \(1\), price \(2\)$") as caught:
        found = table(records_of(payloads))

    assert caught[0].filename == __file__
    assert found["price"].null_count == 2 and found["quantity"].null_count == 1


def test_a_table_needs_records_of_one_type() -> None:
    trades = records_of([row("0B", TRADE)])
    books = records_of([row("0D", {"41": "5"})])
    lost = Disconnected.__new__(Disconnected)

    assert table([*trades, *books, lost], Trade).num_rows == 1
    assert table([], Trade).num_rows == 0
    for records in ([*trades, *books], [], [lost], records_of([row("zz", {})])):
        with pytest.raises(LocalProtocolError, match="records"):
            table(records)

"""The rows of a view, whatever the lines look like: they are those that `read_recording` finds, in the same order."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiwoom_proto import Record
from kiwoom_proto.errors import RecordingError
from kiwoom_proto.realtime import OrderBook, Trade
from kiwoom_proto.recording.frames import Block, read_blocks
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.tables import connect_tables, scan
from kiwoom_proto.tables.columns import columns_of, view_name
from kiwoom_proto.tables.files import own_errors

from .kit import lines_of, message, row, write

TEXTS = {
    "20": "090001",
    "10": "-257750",
    "11": "+5",
    "12": "-4.18",
    "15": "-19",
    "13": "7198927",
    "14": "",
    "9081": "KRX",
}
BOOK = {"21": "090002", "41": "-20900", "61": "82", "81": "-5"}


def compare(path: Path, cls: type[Record]) -> int:
    """Compare the rows of a type's view with the records of the same file. Returns how many there are."""
    columns = [column for column in columns_of(cls) if column.name != "session_id"]
    names = ", ".join(f'"{column.name}"' for column in columns)
    with connect_tables(path, sql=f"FROM {view_name(cls)}") as connection:
        found = connection.execute(f"SELECT {names} FROM {view_name(cls)}").fetchall()
    records = [event for event in read_recording(path) if type(event) is cls]
    assert found == [tuple(column.value_in(record) for column in columns) for record in records]
    return len(records)


def trades(count: int) -> Iterable[bytes]:
    """Yield messages of trades, each with another quantity."""
    for number in range(count):
        yield row("0B", {**TEXTS, "15": str(number - 5)}, item=f"{number % 3:06}")


def test_lines_of_other_shapes_stand_where_they_are_in_the_file(tmp_path: Path) -> None:
    payloads = [
        *trades(3),
        row("0B", {**TEXTS, "10": "1\\2"}),
        message({"values": TEXTS, "type": "0B", "item": "005930"}, {"values": BOOK, "type": "0D", "item": "005930"}),
        json.dumps({"trnm": "REAL", "data": [{"type": "0B", "item": "000660", "values": TEXTS}]}, indent=1).encode(),
        *trades(2),
        b'{"trnm":"PING"}',
        row("0B", {**TEXTS, "10": "삼성"}, item="삼성"),
        row("0B", {"10": "5"}),
        row("0B", {}),
        row("0D", BOOK),
        *trades(2),
    ]
    path = write(tmp_path / "a.ndjson.zst", lines_of(payloads))

    assert compare(path, Trade) == 13
    assert compare(path, OrderBook) == 2


def test_more_shapes_than_are_remembered(tmp_path: Path) -> None:
    order = random.Random(1)
    payloads = [
        row("0B", dict(order.sample([*{**TEXTS, "15": str(number)}.items()], len(TEXTS))))
        for number in range(3 * scan.MAX_SHAPES)
    ]

    assert compare(write(tmp_path / "a.ndjson.zst", lines_of(payloads)), Trade) == len(payloads)


def test_many_lines_of_which_no_shape_can_be_learnt(tmp_path: Path) -> None:
    odd = [row("0B", {**TEXTS, "15": str(number), "9081": "a\\b"}) for number in range(3 * scan.MAX_REFUSED)]
    payloads = [*odd, *trades(3), *odd]

    assert compare(write(tmp_path / "a.ndjson.zst", lines_of(payloads)), Trade) == len(payloads)


def backslash(**more: str) -> bytes:
    """Return a message of which no shape can be learnt."""
    return row("0B", {**TEXTS, **more, "9081": "a\\b"})


@pytest.mark.parametrize(
    "payloads",
    [
        [*[backslash()] * scan.MAX_REFUSED, *trades(1), backslash(**{"15": "7"}), *trades(2)],
        [
            *(row("0B", {**TEXTS, str(5000 + number): "x"}) for number in range(scan.MAX_SHAPES)),
            *(row("0B", {**TEXTS, key: "x", "15": key}) for key in ("5000", "6000", "5001")),
        ],
        [message({"values": TEXTS, "type": ["0B"], "item": "1"})],
        [
            message({"item": "A", "type": "0B", "values": {key: each, "10": "5"}})
            for key in ("item", "stexTp")
            for each in "AB"
        ],
        [row("0B", {"228": "85394.96258" + "0" * 40, "9081": each}) for each in ("a\\b", "a")],
        [message(*({"values": {**TEXTS, "15": str(number)}, "type": "0B", "item": "1"} for number in range(5_000)))],
        [row("0B", {"9081": "," * 17_000 + "_" + "x" * 1_100_000 * number, "10": "5"}) for number in range(2)],
        [*trades(2), b'{"data":[{"values":{"10":"5"},"type":"0B","item":"1"}],"data":[],"trnm":"REAL"}', *trades(2)],
    ],
    ids=[
        "order",
        "more shapes",
        "type in a list",
        "values of that name",
        "long decimal",
        "many rows",
        "long",
        "data twice",
    ],
)
def test_messages_that_were_once_read_otherwise(tmp_path: Path, payloads: list[bytes]) -> None:
    compare(write(tmp_path / "a.ndjson.zst", lines_of(payloads)), Trade)


HEAD = b'{"at":1764028800000000000,"epoch":1,"sequence":1,'


@pytest.mark.parametrize(
    "line",
    [
        HEAD + '"message":{"data":[{"item":"삼","values":{"10":"5","11":NaN},"type":"0B"}],"trnm":"REAL"}}'.encode(),
        HEAD + b'"event":{"type":"0B","item":"1","fids":{"10":"5"}}}',
        HEAD + b'"base64":"!"}',
        HEAD + '"base64":"é"}'.encode(),
        HEAD.replace(b'"epoch":1', b'"epoch":9999999999')
        + b'"message":{"data":[{"values":{},"type":"0B"}],"trnm":"REAL"}}',
    ],
)
def test_lines_that_were_once_read_otherwise(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path / "a.ndjson.zst", lines_of(trades(1)) + line + b"\n" + lines_of(trades(1)))

    assert compare(path, Trade) in (2, 3)


def test_messages_of_any_number_of_rows_are_read_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_rows_in", None)
    rows = [{"values": {**TEXTS, "15": str(number)}, "type": "0B", "item": "1"} for number in range(100)]
    books = [{"values": BOOK, "type": "0D", "item": "1"}]
    payloads = [message(*rows[:count], *books * (count % 3), *rows[:1]) for count in range(1, 100)]
    path = write(tmp_path / "a.ndjson.zst", lines_of(payloads))

    assert compare(path, Trade) == sum(range(1, 100)) + 99
    assert compare(path, OrderBook) == sum(count % 3 for count in range(1, 100))


@pytest.mark.parametrize("is_plain", [False, True])
def test_a_joined_file_has_the_session_of_each_part(tmp_path: Path, is_plain: bool) -> None:
    first = write(tmp_path / "a.ndjson.zst", lines_of(trades(3)), session="a" * 16).read_bytes()
    second = write(tmp_path / "b.ndjson.zst", lines_of(trades(2)), session="b" * 16).read_bytes()
    joined = tmp_path / "joined.ndjson.zst"
    joined.write_bytes(first + second)
    if is_plain:
        with joined.open("rb") as file:
            lines = b"".join(part.data for part in read_blocks(file) if isinstance(part, Block))
        joined.write_bytes(lines)

    with connect_tables(joined) as connection:
        counted = connection.execute("SELECT session_id, count(*) FROM trade GROUP BY ALL ORDER BY ALL").fetchall()

    assert counted == [("a" * 16, 3), ("b" * 16, 2)]


def test_what_is_compiled_is_compiled_again_if_its_file_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", lines_of(trades(3)))
    query = (
        "from kiwoom_proto.tables import connect_tables\n"
        f"print(connect_tables({str(path)!r}).sql('FROM trade').fetchall()[2][0])"
    )

    def ask() -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-c", query], capture_output=True, text=True, env=environment)
        return done.stdout.splitlines()[-1]  # DuckDB shows what takes long in front of it

    assert ask() == "000002"
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    for file in kept:
        file.write_bytes(file.read_bytes()[:9])

    assert kept and ask() == "000002"


def test_an_error_of_a_scan_is_told_in_its_own_words() -> None:
    hidden = "Invalid Input Error: Python exception: Traceback (most recent call last): ... {}: {}"
    with pytest.raises(RecordingError, match=r"^a: damaged at byte 5$"), own_errors():
        raise RuntimeError(hidden.format("kiwoom_proto.errors.RecordingError", "a: damaged at byte 5"))
    for interrupted in (ValueError(hidden.format("KeyboardInterrupt", "")), RuntimeError("Query interrupted")):
        with pytest.raises(KeyboardInterrupt), own_errors():
            raise interrupted
    for word in ("KeyboardInterrupt", "RecordingError: a"):  # of the query
        with pytest.raises(ValueError, match="column"), own_errors():
            raise ValueError(f'Binder Error: Referenced column "{word}" not found')


def test_a_line_is_read_to_its_last_byte(tmp_path: Path) -> None:
    good = lines_of([row("0B", TEXTS)])
    bad = [good[:-2] + end for end in (b"x\n", b"}}\n", b"} \n", b"\n", b"]\n", b"}\r\n")]

    compare(write(tmp_path / "a.ndjson.zst", *bad, good, *bad), Trade)


@pytest.mark.parametrize(("rows", "block"), [(1, 1), (2, 5_000), (3, 1), (7, 100_000)])
def test_rows_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, block: int) -> None:
    monkeypatch.setattr(scan, "MAX_ROWS", rows)
    monkeypatch.setattr(scan, "MIN_BLOCK", block)
    several = [message(*({"values": TEXTS, "type": code, "item": "1"} for code in ("0B", "0D", "0B")))] * 3
    frames = [lines_of([*trades(5), *several, row("0B", {**TEXTS, "10": "1\\2"})]) for _ in range(4)]

    assert compare(write(tmp_path / "a.ndjson.zst", *frames), Trade) == 4 * (5 + 6 + 1)


LINES = lines_of(
    [
        *trades(4),
        message({"values": TEXTS, "type": "0B", "item": "005930"}, {"values": TEXTS, "type": "0B", "item": "000660"}),
        row("0B", {**TEXTS, "9081": "삼성"}),
        *trades(3),
    ]
)
PARTS = [bytes([byte]) for byte in b'"\\,{}[]:+-. 0159eE\n\t\x00\x7f\x80\xbf\xc2\xe2\xed\xf0\xff'] + [
    b'"5"',
    "삼".encode(),
]


@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.integers(0, 2), st.sampled_from(PARTS)), max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_that_were_changed_somewhere(tmp_path: Path, changes: list[tuple[int, int, bytes]]) -> None:
    lines = bytearray(LINES)
    for at, removed, added in changes:
        lines[at : at + removed] = added
    if not lines.endswith(b"\n"):
        lines += b"\n"

    compare(write(tmp_path / "a.ndjson.zst", bytes(lines)), Trade)


FILTERS = (
    *("price > 257749", "price = 257750 AND quantity < 0", "quantity BETWEEN -5 AND 5", "quantity IN (1, 2, -3)"),
    *("change_rate < -4", "change_rate = -4.18", "time >= TIME '09:00:01'", "time < TIME '09:00:01'", "venue = '1'"),
    *("item LIKE '0000%'", "item = '000001' OR item = '000002'", "turnover IS NULL", "turnover IS NOT NULL"),
    *("received_at > TIMESTAMPTZ '2025-11-25 09:00:00.002+09'", "exchange_time IS NOT NULL", "sequence % 2 = 0"),
    *("price_direction = '-'", "epoch = 1 AND session_id IS NOT NULL", "symbol_venue = 'KRX' AND symbol <> '000001'"),
    *("received_at::DATE = DATE '2025-11-25'", "NOT (price > 1)", "upper(item) = item", "false"),
)


@pytest.mark.parametrize("condition", FILTERS)
def test_a_condition_chooses_the_same_rows_wherever_it_is_looked_at(tmp_path: Path, condition: str) -> None:
    path = write(tmp_path / "a.ndjson.zst", lines_of(trades(20)))
    with connect_tables(path) as connection:
        columns: Any = [name for name, *_ in connection.execute("DESCRIBE trade").fetchall()]
        connection.execute("CREATE TABLE copy AS FROM trade")
        for chosen in ("*", "count(*)", "max(quantity)", columns[5]):
            of_copy = connection.execute(f"SELECT {chosen} FROM copy WHERE {condition}").fetchall()
            assert connection.execute(f"SELECT {chosen} FROM trade WHERE {condition}").fetchall() == of_copy


def test_a_query_that_needs_few_rows_ends_early_and_can_be_asked_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", *[lines_of(trades(200))] * 5)
    with connect_tables(path) as connection:
        for _ in range(3):
            assert len(connection.execute("FROM trade LIMIT 2").fetchall()) == 2
        assert connection.execute("SELECT count(*) FROM trade").fetchall() == [(1000,)]

"""Recordings as tables: the views, their columns, and what they say is missing."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

from kiwoom_proto import Record
from kiwoom_proto.realtime.catalogue import extended_catalogue
from kiwoom_proto.tables import connect_tables, table, to_parquet

from .kit import MORNING, lines_of, records_of, row, write

TRADE = {"20": "090001", "10": "-257750", "15": "-19", "13": "7198927", "14": "1860588", "12": "-4.18", "290": "2"}
BOOK = {"21": "090002", "41": "-20900", "61": "82", "81": "-5", "51": "-20850", "71": "0"}


def test_a_trade_is_a_row_with_typed_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.ndjson.zst", lines_of([row("0B", TRADE), row("0D", BOOK)]))

    connection = connect_tables(tmp_path)

    names = "received_ns, item, symbol, symbol_venue, time, price, price_direction, quantity, change_rate, session"
    assert connection.execute(f"SELECT {names}, epoch, sequence, session_id FROM trade").fetchall() == [
        (
            *(MORNING, "005930", "005930", "KRX", datetime.time(9, 0, 1), 257750, "-", -19, Decimal("-4.180000"), "2"),
            *(1, 1, "00112233aabbccdd"),
        )
    ]
    (moment,) = connection.execute("SELECT exchange_time FROM trade").fetchall()[0]
    assert moment.isoformat() == "2025-11-25T09:00:01+09:00"
    (asks,) = connection.execute("SELECT asks[:2] FROM order_book").fetchall()[0]
    assert asks == [
        {"price": 20900, "quantity": 82, "change": -5},
        {"price": None, "quantity": None, "change": None},
    ]


def test_records_in_memory_have_the_same_columns(tmp_path: Path) -> None:
    payloads = [row("0B", TRADE), row("0B", {**TRADE, "10": "+1"}, item="005930_NX")]
    write(tmp_path / "a.ndjson.zst", lines_of(payloads))

    of_files = connect_tables(tmp_path).sql("FROM trade").to_arrow_table()
    of_records = table(records_of(payloads))

    assert of_records.schema == of_files.schema
    assert of_records.drop_columns(["session_id"]).equals(of_files.drop_columns(["session_id"]))


def test_records_of_a_type_without_fields_make_a_table_too() -> None:
    class Bare(Record, tag="ZY"):
        """A type that declares nothing."""

    found = table(records_of([row("ZY", {"10": "1"})], types=extended_catalogue([Bare])))

    assert found["item"].to_pylist() == ["005930"]


QUERIES = (
    "SELECT t.exchange_time, symbol, received_at, price_direction FROM trade t WHERE venue = '1' OR item = '005930'",
    "SELECT count(*) FROM trade",
    "SELECT b.item, ask_price_1, price, asks[1].price FROM trade JOIN order_book b USING (item)",
    "SELECT open, volume FROM time_bars(INTERVAL '1 minute')",
    "SELECT reason FROM hole UNION ALL SELECT text FROM unreadable",
    *("WITH x AS (FROM trade) SELECT price FROM x", "SELECT TRADE FROM Trade", "SELECT COLUMNS('pri.*') FROM trade"),
    *("DESCRIBE trade", "SUMMARIZE trade", "SHOW TABLES", "PIVOT trade ON item USING sum(quantity) GROUP BY price"),
)


def test_a_connection_for_a_query_answers_it_like_one_for_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", lines_of([row("0B", {**TRADE, "9081": "KRX"}), row("0D", BOOK)]))
    everything = connect_tables(path)

    for query in QUERIES:
        with connect_tables(path, sql=query) as connection:
            assert connection.execute(query).fetchall() == everything.execute(query).fetchall(), query


def test_a_connection_for_a_query_has_what_it_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson.zst", lines_of([row("0B", TRADE)]))

    def types(sql: str) -> set[str]:
        with connect_tables(path, sql=sql) as connection:
            names = {name for (name,) in connection.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        return names & {"trade", "order_book"}

    assert types("SELECT price FROM trade WHERE item = '005930'") == {"trade"}
    assert types("SELECT prise FROM trade") == {"trade", "order_book"}  # wrong: DuckDB says so, of all that there is


def test_arrow_results_reach_polars_without_a_copy(tmp_path: Path) -> None:
    import polars

    path = write(tmp_path / "a.ndjson.zst", lines_of([row("0B", TRADE)] * 10))
    found = connect_tables(path, sql="SELECT quantity, price FROM trade").sql("SELECT quantity, price FROM trade")
    arrow = found.to_arrow_table().combine_chunks()

    for name in ("quantity", "price"):
        (chunk,) = arrow[name].chunks
        address = chunk.buffers()[1].address
        series = polars.DataFrame(arrow)[name]
        assert series.to_numpy(allow_copy=False).ctypes.data == address
        assert chunk.to_pandas(zero_copy_only=True).to_numpy().ctypes.data == address


def test_parquet_is_parted_by_type_and_day(tmp_path: Path) -> None:
    folder, out = tmp_path / "recordings", tmp_path / "out"
    folder.mkdir()
    write(folder / "a.ndjson.zst", lines_of([row("0B", TRADE), row("0D", BOOK)]))

    written = to_parquet(folder, out)

    assert {path.relative_to(out).as_posix() for path in written} == {
        "gap.parquet",
        "hole.parquet",
        "trade/day=2025-11-25/trade.parquet",
        "order_book/day=2025-11-25/order_book.parquet",
    }

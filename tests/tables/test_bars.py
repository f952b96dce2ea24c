"""Bars over trades, and their check against the exchange's own totals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from kiwoom_proto.realtime import Trade
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.tables import connect_tables

from .kit import lines_of, row, simulated_day, write

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def trade(time: str, price: int, quantity: int, total: int, *, item: str = "005930", session: str = "2") -> bytes:
    """Return the message of a trade; `total` is the exchange's count of the day, at a price of a million won."""
    values = {"20": time, "10": f"+{price}", "15": f"{quantity:+}", "13": str(total), "14": str(total), "290": session}
    return row("0B", values, item)


MILLION = 1_000_000
TRADES = [
    trade("090000", MILLION, 10, 10),
    trade("090059", MILLION, -5, 15),
    trade("090100", MILLION, 1, 16),
    trade("090130", MILLION, 4, 30),  # ten shares were traded in between
    trade("090131", MILLION, 7, 7, item="005930_NX"),
    trade("154500", MILLION, -2, 32, session="3"),
]


@pytest.fixture(scope="module")
def trades(tmp_path_factory: pytest.TempPathFactory) -> DuckDBPyConnection:
    """A connection over these trades."""
    return connect_tables(write(tmp_path_factory.mktemp("trades") / "a.ndjson.zst", lines_of(TRADES)))


def test_time_bars_are_of_one_item_and_one_trading_session(trades: DuckDBPyConnection) -> None:
    names = "item, symbol_venue, session, strftime(start_at, '%H:%M'), open, high, low, close, volume, turnover, vwap"
    bars = trades.execute(
        f"SELECT {names}, trades, buy_trades, sell_trades, buy_volume, sell_volume FROM time_bars(INTERVAL '1 minute')"
    ).fetchall()

    won = (MILLION,) * 4
    assert bars == [
        ("005930", "KRX", "2", "09:00", *won, 15, 15 * MILLION, 1e6, 2, 1, 1, 10, 5),
        ("005930", "KRX", "2", "09:01", *won, 5, 5 * MILLION, 1e6, 2, 2, 0, 5, 0),
        ("005930", "KRX", "3", "15:45", *won, 2, 2 * MILLION, 1e6, 1, 0, 1, 0, 2),
        ("005930_NX", "NXT", "2", "09:01", *won, 7, 7 * MILLION, 1e6, 1, 1, 0, 7, 0),
    ]


def test_bars_by_volume_and_by_ticks_take_whole_trades(trades: DuckDBPyConnection) -> None:
    of_krx = "item = '005930' AND session = '2'"
    by_volume = trades.execute(f"SELECT bar, volume, trades FROM volume_bars(10) WHERE {of_krx}").fetchall()
    by_ticks = trades.execute(f"SELECT bar, volume, trades FROM tick_bars(3) WHERE {of_krx}").fetchall()

    assert by_volume == [(1, 10, 1), (2, 10, 3)]
    assert by_ticks == [(1, 16, 3), (2, 4, 1)]


def test_open_and_close_are_those_of_the_order_of_arrival(tmp_path: Path) -> None:
    prices = (300, 100, 400, 200)
    lines = lines_of(trade("090000", price, 1, number) for number, price in enumerate(prices, 1))
    connection = connect_tables(write(tmp_path / "a.ndjson.zst", lines))

    (bar,) = connection.execute("SELECT open, high, low, \"close\" FROM time_bars(INTERVAL '1 hour')").fetchall()

    assert bar == (300, 400, 100, 200)


@pytest.mark.parametrize("macro", ["volume_bars", "tick_bars", "time_bars", "bar_check"])
@pytest.mark.parametrize("size", [0, -1])
def test_bars_without_a_size_are_refused(trades: DuckDBPyConnection, macro: str, size: int) -> None:
    argument, name = {"volume_bars": (size, "shares"), "tick_bars": (size, "ticks")}.get(
        macro, (f"INTERVAL '{size} minutes'", "width")
    )

    with pytest.raises(duckdb.InvalidInputException, match=f"{name}: must be above 0"):
        trades.execute(f"FROM {macro}({argument})").fetchall()


def test_a_missing_trade_shows_in_the_check(trades: DuckDBPyConnection) -> None:
    names = "item, session, strftime(start_at, '%H:%M'), volume_before, volume_after, missing_volume, missing_turnover"
    checks = trades.execute(f"SELECT {names} FROM bar_check(INTERVAL '1 minute')").fetchall()

    assert checks == [
        ("005930", "2", "09:00", None, 15, 0, None),
        ("005930", "2", "09:01", 15, 30, 10, 10.0),
        ("005930", "3", "15:45", 30, 32, 0, 0.0),
        ("005930_NX", "2", "09:01", None, 7, None, None),
    ]


def test_the_bars_of_a_simulated_day_agree_with_the_totals_of_the_exchange(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.zst"
    simulated_day(path, minutes=12, losses=1)
    connection = connect_tables(path)

    checks = connection.sql("FROM bar_check(INTERVAL '1 minute')").to_arrow_table().to_pylist()
    ((start, end),) = connection.execute("SELECT start_at, end_at FROM gap").fetchall()

    missing = [check for check in checks if check["missing_volume"]]
    assert len(checks) > 20
    assert all(abs(check["missing_turnover"] or 0) < 1 for check in checks if check not in missing)
    assert all(abs((check["start_at"] - start).total_seconds()) <= 120 for check in missing)
    assert end >= start
    last = {event.item: event.volume for event in read_recording(path) if isinstance(event, Trade)}
    for item, total in last.items():
        counted = [check for check in checks if check["item"] == item]
        first = connection.execute("SELECT volume, abs(quantity) FROM trade WHERE item = ? LIMIT 1", [item]).fetchone()
        assert first is not None
        summed = sum(check["volume"] + (check["missing_volume"] or 0) for check in counted)
        assert first[0] - first[1] + summed == total


@pytest.mark.parametrize(
    "macro", ["time_bars(INTERVAL '1 minute'", "volume_bars(10", "tick_bars(3", "bar_check(INTERVAL '1 minute'"]
)
@pytest.mark.parametrize("is_known", [False, True])
def test_of_two_recordings_of_the_same_feed_one_is_chosen(
    tmp_path: Path, trades: DuckDBPyConnection, macro: str, is_known: bool
) -> None:
    write(tmp_path / "a.ndjson.zst", lines_of(TRADES), session="first")
    write(tmp_path / "b.ndjson.zst", lines_of(TRADES), session="second")
    query = f"FROM {macro}, sessions := ['second'])"

    connection = connect_tables(tmp_path, sql=query if is_known else None)

    assert connection.execute(query).fetchall() == trades.execute(f"FROM {macro})").fetchall()
    both = connection.execute(f"SELECT sum(volume) FROM {macro}, sessions := ['first', 'second'])").fetchone()
    assert both == connection.execute(f"SELECT sum(volume) FROM {macro})").fetchone() == (58,)


def test_bars_reach_polars_and_pandas(trades: DuckDBPyConnection) -> None:
    for macro in ("time_bars(INTERVAL '1 minute')", "volume_bars(10)", "tick_bars(10)"):
        bars = trades.sql(f"FROM {macro}")

        assert bars.pl()["volume"].sum() == bars.df()["volume"].sum() == 29

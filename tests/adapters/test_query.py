"""kiwoom-proto query and export: SQL over recordings, as a table, JSON lines, CSV and Parquet."""

from __future__ import annotations

import csv
import datetime
import io
import json
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.text import Text
from tests.adapters.command import run_on_terminal
from tests.tables.kit import MORNING, flip_a_bit, lines_of, row, write

from kiwoom_asyncio.cli.commands import cli
from kiwoom_asyncio.cli.results import Column, table_of_result

parquet: Any = pytest.importorskip("pyarrow.parquet")
KST = datetime.timezone(datetime.timedelta(hours=9))
TRADES = (
    {"20": "090001", "10": "+71500", "15": "+10", "13": "1000", "12": "+0.42"},
    {"20": "090002", "10": "-71400", "15": "-5", "13": "1005", "12": "-0.10"},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with two trades of 005930 and one of 000660."""
    path = tmp_path_factory.mktemp("recordings")
    payloads = [row("0B", values) for values in TRADES]
    payloads.append(row("0B", {"20": "090003", "10": "267500", "15": "+7"}, item="000660"))
    write(path / "2026-11-25T090000-00.ndjson.zst", lines_of(payloads))
    return str(path)


@attrs.frozen
class Done:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str) -> Done:
    """Run the command in this process."""
    result = CliRunner().invoke(cli, words)
    return Done(result.exit_code, result.stdout, result.stderr)


def rows_of(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def screen_of(shown: bytes) -> str:
    """What a terminal was sent, without its styles."""
    return Text.from_ansi(shown.decode().replace("\r\n", "\n")).plain


def test_a_query_in_a_pipe_is_json_lines(folder: str) -> None:
    done = run("query", "select item, time, price, change_rate, received_at from trade order by price", folder)

    assert (done.returncode, done.stderr) == (0, "")
    first, second, third = rows_of(done.stdout)
    received = datetime.datetime.fromtimestamp(MORNING // 10**9, KST)
    assert first["item"] == "005930"
    assert (first["price"], first["change_rate"], first["time"]) == (71400, "-0.100000", "09:00:02")
    assert datetime.datetime.fromisoformat(first["received_at"]).date() == received.date()
    assert first["received_at"].endswith("+09:00")
    assert (second["price"], third["item"]) == (71500, "000660")
    assert third["change_rate"] is None


def test_csv_has_a_line_of_names_and_keeps_codes_as_they_are(folder: str) -> None:
    done = run("query", "select item, price, change_rate, [1, NULL] as pair from trade order by price", folder, "--csv")

    names, *lines = csv.reader(io.StringIO(done.stdout))
    assert names == ["item", "price", "change_rate", "pair"]
    assert lines == [
        ["005930", "71400", "-0.100000", "[1,null]"],
        ["005930", "71500", "0.420000", "[1,null]"],
        ["000660", "267500", "", "[1,null]"],
    ]


def test_a_sum_in_a_parquet_file_is_exact(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "sums.parquet"
    sql = "select item, sum(price * 1000000000001) as big from trade group by item order by item"
    done = run("query", sql, folder, "--parquet", str(file))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = parquet.read_table(file).to_pylist()
    assert found == [
        {"item": "000660", "big": Decimal(267500) * 1000000000001},
        {"item": "005930", "big": Decimal(142900) * 1000000000001},
    ]


def test_a_parquet_file_is_not_lost_to_a_query_that_fails(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.parquet"
    assert run("query", "select 1 as kept", folder, "--parquet", str(file)).returncode == 0

    done = run("query", "select item::date from trade", folder, "--parquet", str(file))

    assert done.returncode == 2
    assert "Conversion Error" in done.stderr
    assert parquet.read_table(file).to_pylist() == [{"kept": 1}]
    assert [each.name for each in tmp_path.iterdir()] == ["kept.parquet"]


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["selec 1"], 2, "Parser Error: syntax error at or near"),
        (["select nothing_such from trade"], 2, '"nothing_such" not found'),
        (["select '\udcff'"], 2, "sql: must be text that can be written as UTF-8"),
        (["from trades"], 2, "The views are: after_hours_quote, balance,"),
        (["select 1", "--csv", "--parquet", "x.parquet"], 2, "--csv and --parquet exclude each other"),
        (["--views", "--parquet", "x.parquet"], 2, "--parquet needs a query"),
        (["from trade", "--parquet", "no-such-folder/x.parquet"], 1, "cannot write no-such-folder/x.parquet"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(folder: str, words: list[str], code: int, said: str) -> None:
    done = run("query", *words[:1], folder, *words[1:])

    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""


@pytest.mark.parametrize("options", [[], ["--csv"], ["--parquet", "OUT"]])
def test_a_damaged_file_and_the_remedy_are_named(tmp_path: Path, options: list[str]) -> None:
    frame = lines_of([row("0B", values) for values in TRADES])
    write(tmp_path / "a.ndjson.zst", frame)
    flip_a_bit(write(tmp_path / "b.ndjson.zst", frame, frame, session="another"))
    options = [str(tmp_path / "out.parquet") if word == "OUT" else word for word in options]

    done = run("query", "select price from trade", str(tmp_path), *options)

    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "b.ndjson.zst: damaged at byte" in said and "b.ndjson.zst --repair OUT" in said
    assert "a.ndjson.zst" not in said and "cannot write" not in said
    assert not [*tmp_path.glob("*out.parquet*")]


def test_a_query_needs_recordings(tmp_path: Path) -> None:
    assert "needs PATH" in run("query", "select 1").stderr
    done = run("query", "select 1", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "nowhere: no such file or folder" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="such names are only on Linux")
@pytest.mark.parametrize("words", [["query", "PATH"], ["query", "from trade", "PATH"], ["export", "PATH", "--parquet"]])
def test_a_path_that_is_not_utf8_is_refused_with_the_cure(folder: str, tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "\udcff"
    shutil.copytree(folder, path)

    done = run(*(str(path) if word == "PATH" else word for word in words), *([str(tmp_path)] * ("export" in words)))

    assert (done.returncode, done.stdout) == (1, "")
    assert "\\udcff/2026" in done.stderr and "rename the file or the folder" in done.stderr

    (listed,) = rows_of(run("recordings", str(path)).stdout)
    assert listed["path"].startswith(str(path))


def test_the_views_are_listed_with_korean_names(folder: str) -> None:
    views = {view["view"]: view for view in rows_of(run("query", folder).stdout)}

    assert "주식체결" in views["trade"]["label"]
    columns = {column["column"]: column for column in views["trade"]["columns"]}
    assert all(len({each["column"] for each in view["columns"]}) == len(view["columns"]) for view in views.values())
    assert columns["price"]["kind"] == "BIGINT"
    assert "현재가" in columns["price"]["label"]
    assert {"gap", "hole", "unreadable", "message"} <= set(views)
    listed = run("query", "--views", folder, "--csv").stdout
    assert any(line.startswith("trade,") and "현재가" in line for line in listed.splitlines())


def test_on_a_terminal_a_query_is_a_table(folder: str) -> None:
    code, shown = run_on_terminal(["query", "select item, time, price from trade order by price", folder])
    lines = screen_of(shown).splitlines()

    assert code == 0
    assert lines[0].split() == ["item", "time", "price"]
    assert lines[1].split() == ["005930", "09:00:02", "71,400"]
    assert lines[3].split() == ["000660", "09:00:03", "267,500"]
    assert lines[1].rstrip().endswith(" 71,400"), "numbers are aligned to the right"
    assert len(lines[1].rstrip()) == len(lines[3].rstrip())
    assert lines[5] == "3 rows"


def test_on_a_terminal_all_columns_of_trades_begin_with_item_time_and_price(folder: str) -> None:
    code, shown = run_on_terminal(["query", "select * from trade", folder])

    assert code == 0
    names = [line.split()[0] for line in screen_of(shown).splitlines()[:5]]  # few rows: turned on their side
    assert names == ["item", "received_at", "exchange_time", "time", "price"]


def test_nanoseconds_have_no_thousands_separators() -> None:
    lines = plain([Column("received_ns", "BIGINT"), Column("n", "BIGINT")], [[1764028800000000000, 1000]], 80)

    assert lines[1].split() == ["1764028800000000000", "1,000"]


def test_on_a_terminal_the_views_are_a_list(folder: str) -> None:
    code, shown = run_on_terminal(["query", folder])

    assert code == 0
    screen = screen_of(shown)
    assert "trade  주식체결 (0B)" in screen
    assert "price 현재가 [KRW]" in " ".join(screen.split())
    assert "time_bars(width, sessions)" in screen


def plain(columns: list[Column], rows: list[Any], width: int, **more: Any) -> list[str]:
    """A result as lines of text."""
    console = Console(file=(out := io.StringIO()), width=width, color_system=None)
    console.print(table_of_result(columns, rows, width, **more))
    return [line.rstrip() for line in out.getvalue().splitlines()]


WIDE = [Column(f"column_{number}", "BIGINT") for number in range(20)]


def test_a_wide_result_of_few_rows_is_turned_on_its_side() -> None:
    lines = plain(WIDE, [list(range(20))], 80)

    assert len(lines) == 22
    assert lines[0].split() == ["column_0", "0"]
    assert lines[19].split() == ["column_19", "19"]
    assert lines[-1] == "1 row"


def test_of_a_wide_result_of_many_rows_the_columns_that_do_not_fit_are_named() -> None:
    lines = plain(WIDE, [list(range(20))] * 50, 80)

    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == [f"column_{number}" for number in range(8)]
    notes = " ".join(lines[51:])
    assert "… 12 more columns: column_8, " in notes
    assert "column_19" in notes
    assert lines[-1] == "50 rows"


def test_more_rows_than_are_shown_are_not_hidden() -> None:
    lines = plain([Column("n", "INTEGER")], [[1], [2]], 80, more=True)

    assert lines[-1] == "the first 2 rows; --csv and --json write all"


def test_cells_are_for_people() -> None:
    moment = datetime.datetime(2026, 11, 25, 0, 0, 1, 500_000, tzinfo=datetime.UTC)
    columns = [Column("at", "TIMESTAMP WITH TIME ZONE"), Column("text", "VARCHAR"), Column("list", "BIGINT[]")]
    columns += [Column("rate", "DECIMAL(9,2)"), Column("none", "BIGINT"), Column("flag", "BOOLEAN")]

    lines = plain(columns, [[moment, "\x1b[31m삼성" + "x" * 100, [1234, None], Decimal("-1234.50"), None, True]], 200)

    assert lines[1].startswith("2026-11-25 09:00:01.500000  \\x1b[31m삼성xxx")
    assert "x…  [1,234, -]  -1,234.5     -  true" in lines[1]
    assert lines[-1] == "1 row · times in KST"


def test_export_writes_parquet_files_by_type_and_day(folder: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("export", folder, "--parquet", str(out))

    assert (done.returncode, done.stderr) == (0, "")
    written = [Path(line) for line in done.stdout.splitlines()]
    trades = next(path for path in written if path.name == "trade.parquet")
    assert trades.parent.name.startswith("day=2025-11-25")
    assert sorted(parquet.ParquetFile(trades).read().column("price").to_pylist()) == [71400, 71500, 267500]

    again = run("export", folder, "--parquet", str(out))
    assert again.returncode == 1
    assert "there already" in again.stderr and "--existing replace" in again.stderr
    assert run("export", folder, "--parquet", str(out), "--existing", "skip").stdout == ""
    assert trades.as_posix() in run("export", folder, "--parquet", str(out), "--existing", "replace").stdout


def test_on_a_terminal_export_says_how_many_files_it_wrote(folder: str, tmp_path: Path) -> None:
    code, shown = run_on_terminal(["export", folder, "--parquet", str(tmp_path / "out")])

    assert code == 0
    assert "files written" in screen_of(shown)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["from trade", "--csv", "--json"], "--csv and --json exclude each other"),
        (["from trade", "--json", "--parquet", "x.parquet"], "--json and --parquet exclude each other"),
        (["select price from trade; select 1"], "one query at a time"),
    ],
)
def test_what_would_be_answered_in_part_is_wrong_usage(folder: str, words: list[str], reason: str) -> None:
    done = run("query", *words[:1], folder, *words[1:])

    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr

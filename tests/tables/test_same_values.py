"""The same values: what SQL says of a message is what the record says, field by field, or NULL and listed."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiwoom_proto import Record
from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime import REALTIME, codes
from kiwoom_proto.realtime import fields as kinds
from kiwoom_proto.realtime.catalogue import Types, extended_catalogue
from kiwoom_proto.realtime.fields import Field, Kind, clock_time, coded, to_whole_number
from kiwoom_proto.recording.reader import read_recording
from kiwoom_proto.tables import connect_tables, line_arrays, scan, table
from kiwoom_proto.tables.columns import columns_of, view_name

from .kit import lines_of, records_of, row, simulated_day, write

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATA = Path(__file__).parent.parent / "data" / "messages.jsonl"
CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"


def check(path: Path, payloads: list[bytes], types: Sequence[type[Record]] = ()) -> int:
    """Compare every column of every record, and return how many records there were."""
    write(path, lines_of(payloads))
    return compare(connect_tables(path, types=types), payloads, extended_catalogue(types))


def compare(connection: DuckDBPyConnection, payloads: list[bytes], catalogue: Types) -> int:
    """Compare every column of every record of these types.

    A record that SQL does not show, or shows otherwise, has to be listed in `unreadable`, and so has a field that
    raises `FieldError`.
    """
    return compare_records(connection, records_of(payloads, types=catalogue), catalogue)


def compare_records(connection: DuckDBPyConnection, found: Iterable[Record], catalogue: Types) -> int:
    """The same for records that there are."""
    unreadable = connection.execute('SELECT sequence, fid, "column", text, reason FROM unreadable').fetchall()
    listed = {(sequence, column) for sequence, _, column, _, _ in unreadable}
    records = {record.sequence: record for record in found}
    for code in {record.type_code for record in records.values()} & catalogue.keys():
        cls = catalogue[code]
        columns = columns_of(cls)
        names = ", ".join(f'"{column.name}"' for column in columns)
        selected = connection.execute(f'SELECT sequence, {names} FROM "{view_name(cls)}"').fetchall()
        rows = {values[0]: values[1:] for values in selected}
        assert len(rows) == len(selected)
        strange = {sequence for sequence in records.keys() | rows.keys() if (sequence, None) in listed}
        ours = {sequence for sequence, record in records.items() if record.type_code == code}
        assert ours - strange == rows.keys() - strange
        for sequence in ours - strange:
            record = records[sequence]
            for column, value in zip(columns, rows[sequence], strict=True):
                if column.name == "session_id":
                    continue
                expected = column.value_in(record)
                assert value == expected and type(value) is type(expected), (column, record.values)
                if column.part == "field" and column.field is not None and is_wrong(record, column.field):
                    assert value is None and (sequence, column.name) in listed, (column, record.values)
    for sequence, fid, name, text, reason in unreadable:  # what is a value is not listed
        if name is not None and (sequence, None) not in listed:
            record = records[sequence]
            assert is_wrong(record, record.fields[name]) or "does not fit" in reason, (fid, text, reason)
    return len(records)


def is_utf8(text: str) -> bool:
    """Return whether a text can be sent."""
    return text.isprintable() or not any("\ud800" <= character <= "\udfff" for character in text)


def is_wrong(record: Record, field: Field[Any]) -> bool:
    """Return whether the record raises FieldError for the field."""
    try:
        getattr(record, field.name)
    except FieldError:
        return True
    return False


def example_payloads() -> list[bytes]:
    """Return the messages of the official pages, and measured ones, that a server sends."""
    examples = map(json.loads, DATA.read_text(encoding="utf-8").splitlines())
    return [example["msg"].encode() for example in examples if example["dir"] == "recv"]


def test_of_every_example_message(tmp_path: Path) -> None:
    assert check(tmp_path / "a.ndjson.zst", example_payloads()) > 25


@pytest.mark.skipif(not CORPUS.exists(), reason="an sdist has no corpus")
def test_of_the_fuzz_corpus(tmp_path: Path) -> None:
    payloads = [path.read_bytes() for path in sorted((CORPUS / "decoder").iterdir())]

    assert check(tmp_path / "a.ndjson.zst", payloads)


ITEMS = (
    "005930",
    "005930_NX",
    "005930_AL",
    "0004V0",
    "57JBHH_AL",
    "001",
    "101",
    "A005930",
    "",
    "5930",
    "KRX100",
    "_NX",
)


@pytest.mark.parametrize("venue_code", ["", "ND", "XX"])
def test_of_items_of_every_form(tmp_path: Path, venue_code: str) -> None:
    more = {"stexTp": venue_code} if venue_code else {}
    items = (*ITEMS, "NVDA", "BRK.A", "nvda", "NVDA:ND", "1")
    payloads = [row(code, {"20": "090000"}, item, **more) for code in ("0B", "FE") for item in items]

    assert check(tmp_path / "a.ndjson.zst", payloads) == len(payloads)


def test_what_the_exchange_sends_is_read_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others, odd = list[bytes](), list[str]()
    rows_in, mended = scan._rows_in, line_arrays._Rows._mended

    def noting_rows(line: bytes, *more: Any) -> Any:
        others.append(line)
        return rows_in(line, *more)

    def noting_texts(rows: Any, field: Any, *more: Any) -> Any:
        odd.append(field.name)
        return mended(rows, field, *more)

    monkeypatch.setattr(scan, "_rows_in", noting_rows)
    monkeypatch.setattr(line_arrays._Rows, "_mended", noting_texts)
    simulated_day(tmp_path / "day.ndjson.zst", minutes=2)
    items = ("005930_AL", "0004V0", "001", *ITEMS[:2])
    write(tmp_path / "a.ndjson.zst", lines_of([row("0B", {"20": "090000"}, item) for item in items]), session="a" * 16)
    write(tmp_path / "b.ndjson.zst", lines_of(example_payloads()), session="b" * 16)

    connection = connect_tables(tmp_path)
    for cls in REALTIME.values():
        connection.execute(f"FROM {view_name(cls)}").fetchall()

    assert [line for line in others if b',"message":{' in line] == []  # an event may mention a type
    assert odd == []


def test_of_a_simulated_day(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.zst"
    simulated_day(path, minutes=4)
    records = [event for event in read_recording(path) if isinstance(event, Record)]

    assert len({record.type_code for record in records}) > 5
    assert compare_records(connect_tables(path), records, REALTIME) > 500


# Hostile texts: a type of the user's own, with a field of every kind.


class Colour(enum.Enum):
    """An enumeration that rejects what it does not list."""

    RED = "R"
    SPACED = " B"


def _from_roman(text: str) -> int:
    """Convert as no kind of the library does."""
    return ("", "I", "II", "III").index(text.strip())


KINDS: dict[str, Kind[Any]] = {
    **{name: kind for name, kind in vars(kinds).items() if isinstance(kind, Kind)},
    **{name: kind for name, kind in vars(codes).items() if isinstance(kind, Kind)},
    "colour": coded("colour", Colour),
    "roman": Kind("roman number", _from_roman, python_type=int),
    "anything": Kind("anything", lambda text: [text]),
    "untyped_number": Kind("a number", to_whole_number),
    "untyped_decimal": Kind("a decimal", kinds.decimal.convert),
    "untyped_time": Kind("a time", clock_time.convert),
}


def declare(name: str, tag: str, kinds: dict[str, Kind[Any]]) -> type[Record]:
    """Declare a type with a field of each kind."""
    fields: dict[str, Any] = {f"a_{kind}": Field(str(100 + fid), kinds[kind]) for fid, kind in enumerate(kinds)}
    fields["time"] = Field("20", clock_time)
    return type(name, (Record,), {"__module__": __name__, **fields}, tag=tag)


Hostile = declare("Hostile", "ZZ", KINDS)

TEXTS = (
    *("", " ", "0", "-0", "+0", "5", "+5", "-5", "--5", "+-5", "5-", "- 5", "00012", " 5", "5 ", " 5 ", "5 5", "\t5\n"),
    *("1e5", "1E5", "1e-5", "1_000", "_1", "1_", "0x10", "0b1", "0o7", "1,000", "1.", ".5", "-.5", "1.5", "1.50", "."),
    *("1..2", "1.2.3", "NaN", "nan", "inf", "-inf", "Infinity", "true", "null", "None", "\u0661", "１２", "\u00a05"),
    *(
        "\x1c5",
        "5\x1f",
        "\u30005",
        "5\u2028",
        "\ufeff5",
        "\x005",
        "5\x00",
        "9" * 18,
        "9" * 19,
        "9" * 40,
        "-9223372036854775808",
    ),
    *(
        "9223372036854775807",
        "9223372036854775808",
        "0.1234567",
        "-31.97",
        "0.12345678901",
        "0.0000000",
        "1." + "0" * 40,
    ),
    *("123456789012.123456", "1234567890123.1", "9" * 29 + ".5", "9" * 28 + ".0123456789", "0." + "0" * 50 + "1"),
    *(
        "000000",
        " 000000",
        "000001",
        "235959",
        "240000",
        "236000",
        "235960",
        "12345",
        "1234567",
        "-12345",
        "+12345",
        "12:34:56",
    ),
    *(
        "00000000",
        "20251125",
        "20250229",
        "00010101",
        "00000101",
        "99991231",
        "20251301",
        "2025-11-25",
        "0000000",
        "00",
        " 00 ",
    ),
    *(
        "Y",
        "N",
        "y",
        " Y ",
        "YN",
        "KRX",
        "NXT",
        " NXT",
        "1",
        "01",
        "2",
        "02",
        "R",
        " R",
        " B",
        "B",
        "I",
        "IIII",
        "접수",
        "삼  성 ",
        "동적+정적",
    ),
    *("a'b", '"', "\\", "{}", "'; --", "***", "0000123", "A005930", "%", "_", "*", "[", "]"),
)
"""What has ever been read in two ways."""

_digits = st.text("0123456789+-. _eE\t", max_size=12)
_texts = st.one_of(st.sampled_from(TEXTS), _digits, st.text(max_size=8).filter(is_utf8))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DuckDBPyConnection]:
    """A connection over one file, which tests write again and again."""
    path = write(tmp_path_factory.mktemp("hostile") / "a.ndjson.zst")
    return path, connect_tables(path, types=[Hostile])


def compare_rows(hostile: tuple[Path, DuckDBPyConnection], rows: list[bytes]) -> None:
    path, connection = hostile
    write(path, lines_of(rows))
    assert compare(connection, rows, {"ZZ": Hostile}) == len(rows)


@pytest.mark.filterwarnings("ignore:texts that are no values")
def test_a_table_of_records_has_the_values_of_each_of_them() -> None:
    fids = [field.fid for field in Hostile.fields.values()]
    hostile = [row("ZZ", dict.fromkeys(fids, text)) for text in TEXTS]
    records = records_of([*example_payloads(), *hostile], types=extended_catalogue([Hostile]))
    classes = {type(record) for record in records} - {Record}

    assert len(classes) > 20
    for cls in classes:
        rows = [record for record in records if type(record) is cls]
        found = table(rows)
        for column in columns_of(cls):
            assert found[column.name].to_pylist() == [column.value_in(each) for each in rows], column


def test_of_texts_that_have_been_read_in_two_ways(hostile: tuple[Path, DuckDBPyConnection]) -> None:
    fids = [field.fid for field in Hostile.fields.values()]

    compare_rows(hostile, [row("ZZ", dict.fromkeys(fids, text)) for text in TEXTS])


@given(st.lists(st.lists(_texts, min_size=len(KINDS) + 1, max_size=len(KINDS) + 1), min_size=1, max_size=60))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_hostile_texts(hostile: tuple[Path, DuckDBPyConnection], texts: list[list[str]]) -> None:
    fids = [field.fid for field in Hostile.fields.values()]

    compare_rows(hostile, [row("ZZ", dict(zip(fids, each, strict=True))) for each in texts])

"""The catalogue of TRs: complete, current, lazy, and every request of it builds."""

from __future__ import annotations

import csv
import json
import pathlib
import subprocess
import sys

import pytest
from tests.rest.every import check_every
from tests.rest.samples import arguments_of
from tools.rest import generate

from kiwoom_proto import rest

ROOT = pathlib.Path(__file__).parents[2]


def test_the_generated_files_are_current() -> None:
    assert generate.outdated() == [], "run python tools/rest/generate.py"


def test_the_catalogue_has_every_tr_of_the_table() -> None:
    with (ROOT / "tools/rest/trs.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))

    assert list(rest.CATALOGUE) == [line["api_id"] for line in lines]
    assert len(rest.CATALOGUE) == 306
    for line in lines:
        cls = rest.CATALOGUE[line["api_id"]]
        assert cls is getattr(rest, line["class"])
        assert (cls.api_id, cls.path, cls.label, cls.group) == (
            *(line["api_id"], line["path"], line["label"], line["group"]),
        )
        assert cls.reply_type.api_id == cls.api_id
        assert (cls.list_element is None) == (cls.reply_type.row_type is None)


def test_a_class_has_a_speaking_name() -> None:
    assert rest.CATALOGUE["ka10004"] is rest.StockQuote
    assert rest.CATALOGUE["ka10081"] is rest.DailyChart
    assert rest.StockQuote.reply_type is rest.StockQuoteReply
    assert rest.DailyChartReply.row_type is rest.DailyChartRow


def test_an_unknown_tr_or_name_is_an_ordinary_error() -> None:
    assert "ka00000" not in rest.CATALOGUE
    with pytest.raises(KeyError):
        rest.CATALOGUE["ka00000"]
    with pytest.raises(AttributeError, match="StockQuot'"):
        rest.StockQuot  # type: ignore[attr-defined]  # noqa: B018


def test_every_request_builds_and_encodes() -> None:
    def check(api_id: str) -> None:
        cls = rest.CATALOGUE[api_id]
        arguments = arguments_of(cls)

        request = cls.from_dict(arguments)

        assert json.loads(request.to_json()) == arguments
        assert request == cls.from_dict(arguments)
        assert hash(request) == hash(cls.from_dict(arguments))

    check_every(rest.CATALOGUE, check)


def test_importing_the_core_loads_nothing_of_rest() -> None:
    program = "import sys; import kiwoom_proto; print(*[name for name in sys.modules if 'kiwoom_proto.rest' in name])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == []


def test_importing_the_core_loads_no_tr() -> None:
    program = (
        "import sys; from kiwoom_proto import rest; rest.CATALOGUE['ka10004']; "
        "print(*[name for name in sys.modules if name.startswith('kiwoom_proto.rest.tr.')])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == ["kiwoom_proto.rest.tr.ka10004"]

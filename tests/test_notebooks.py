"""The example notebooks, and the usual ways to use a client in cells, on a real kernel: one for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat.v4
import pytest
from anyio.from_thread import start_blocking_portal
from nbclient import NotebookClient

import kiwoom_asyncio
from kiwoom_proto.simulator import Exchange

V4: Any = nbformat.v4  # it has no types
FOLDER = Path(__file__).parent.parent / "examples" / "notebooks"
ORDER = ("watch", "record", "query", "plot")
"""`query` and `plot` read what `record` has kept."""

SETUP = """
import os
import kiwoom_proto
kiwoom_proto.PRODUCTION = kiwoom_proto.Endpoint({url!r})
os.environ.update(KIWOOM_APPKEY="S3CRET-app", KIWOOM_SECRETKEY="S3CRET-secret")
"""
CELLS = {
    "open": "from kiwoom_asyncio import blocking\n"
    "import asyncio, threading\nimport kiwoom_asyncio\nfrom kiwoom_proto import PRODUCTION, LocalProtocolError, Trade\n"
    "one = await kiwoom_asyncio.open(PRODUCTION, token='S3CRET-token')\n"
    "two = blocking.open(PRODUCTION, token='S3CRET-other')",
    "use": "await one.subscribe(Trade, '005930')\ntwo.subscribe(Trade, '000660')",
    "read": "print((await anext(one)).symbol, two.next(timeout=30).symbol)",
    "another task": "print(len(await asyncio.create_task(one.list_conditions())) > 0)",
    "show": "one",
    "show blocking": "two",
    "mistake": "try:\n    two.subscribe(Trade, 'A005930')\nexcept LocalProtocolError as error:\n    print(error)",
    "live": "from kiwoom_asyncio.notebook import LiveTable\n(live := LiveTable('price', 'volume'))",
    "live again": "live",
    "no field": "for name in ('prise', '?', 5):\n    try:\n        LiveTable('time', name)\n"
    "    except LocalProtocolError as error:\n        print(error)",
    "close": "await one.aclose()\ntwo.close()\nawait one.aclose()\n"
    "print(sum('portal' in thread.name for thread in threading.enumerate()), one.state.value, two.state.value)",
    "forget": "three = await kiwoom_asyncio.open(PRODUCTION, token='S3CRET-third')\n"
    "four = blocking.open(PRODUCTION, token='S3CRET-fourth')\nprint(three.state.value)",
}
"""Cells of a notebook of our own. The last leaves clients open when the kernel ends."""
DRAWN = """
import asyncio
while "005930" not in table._repr_html_():
    await asyncio.sleep(0.01)
drawn = table._drawn_at
while table._timer is not None and table._drawn_at == drawn:
    await asyncio.sleep(0.01)
"""
"""Waits until the live table of `watch` shows a row."""


def notebook(name: str) -> Any:
    return V4.reads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each cell shows, as text: by the name of its notebook and its number, or by its name in `CELLS`."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(kiwoom_asyncio.serve(Exchange(seed=1, rate=200))) as server,
    ):
        cells = {"setup": V4.new_code_cell(SETUP.format(url=server.endpoint.url))}
        for name in ORDER:
            code = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
            for number, cell in enumerate(code):
                cells[f"{name} {number}"] = cell
                if f"{name} {number}" == "watch 1":
                    cells["watch drawn"] = V4.new_code_cell(DRAWN)
        cells |= {name: V4.new_code_cell(source) for name, source in CELLS.items()}
        path = str(tmp_path_factory.mktemp("kernel"))
        client = NotebookClient(
            V4.new_notebook(cells=list(cells.values())), timeout=120, resources={"metadata": {"path": path}}
        )
        client.execute()
        yield {name: "\n".join(map(shown, cell.outputs)) for name, cell in zip(cells, client.nb.cells, strict=True)}


def shown(output: Any) -> str:
    """The text of an output. A table counts as its HTML."""
    assert output.output_type != "error"
    if output.output_type == "stream":
        assert output.name == "stdout", output.text
        return str(output.text)
    data = output.data
    return str(data.get("text/html") or data.get("image/svg+xml") or data.get("text/plain"))


def test_the_examples_are_committed_without_outputs() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(ORDER)
    for name in ORDER:
        code = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
        assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)


def test_watch(outputs: dict[str, str]) -> None:
    assert re.search(r"price 현재가.*005930", outputs["watch 1"])
    assert "매도잔량" in outputs["watch 2"]
    assert "OrderBook" in outputs["watch 2"]
    assert "0B Trade" in outputs["watch 3"]


def test_record_query_and_plot(outputs: dict[str, str]) -> None:
    assert "Trade 주식체결 0B 005930" in outputs["record 1"]
    assert "005930" in outputs["query 1"]
    assert outputs["query 2"].count("005930") == 5
    assert "<polyline" in outputs["plot 1"]


def test_outputs_are_small_and_hold_no_secret(outputs: dict[str, str]) -> None:
    for name, text in outputs.items():
        assert len(text) < 20_000, name
        assert "S3CRET" not in text, name


def test_one_cell_opens_others_use_and_another_closes(outputs: dict[str, str]) -> None:
    assert outputs["read"] == "005930 000660\n"
    assert outputs["another task"] == "True\n"
    assert "005930" in outputs["show"]
    assert "000660" in outputs["show blocking"]
    assert "received 수신" in outputs["show blocking"]
    assert "A005930" in outputs["mistake"]
    assert outputs["close"] == "0 closed closed\n"


def test_a_live_table_shows_once_in_each_cell_that_ends_with_it(outputs: dict[str, str]) -> None:
    assert outputs["live"].count("item 종목") == outputs["live again"].count("item 종목") == 1
    assert outputs["no field"] == (
        "columns: no type has a field 'prise'; did you mean 'price'?\ncolumns: no type has a field '?'\n"
        'columns: name the fields to show, such as LiveTable("time", "price")\n'
    )


def test_a_kernel_ends_though_clients_are_open(outputs: dict[str, str]) -> None:
    assert outputs["forget"] == "ready\n"  # and the kernel has ended, or the fixture would have failed

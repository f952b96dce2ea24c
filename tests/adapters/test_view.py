"""The live view keeps what it shows, and no more, whatever a server sends."""

from __future__ import annotations

import gc
import io
import tracemalloc
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from kiwoom_asyncio.cli.view import MAX_ITEMS, MAX_ROW_LENGTH, View, view_of
from kiwoom_asyncio.client import Client
from kiwoom_proto import MessageDecoder, Record
from kiwoom_proto.session.lifecycle import SessionState, SubscriptionState
from kiwoom_proto.session.subscriptions import Subscription

TYPES = {"a table": "0A", "a tape": "0B", "a ladder": "0D", "events": "1h", "orders": "00", "a type unknown": "zz"}


def row(type_code: str, item: str, fids: str = '"20":"090000","10":"-20800"', more: str = "") -> Record:
    text = f'{{"data":[{{"values":{{{fids}}},"type":"{type_code}","name":"n","item":"{item}"{more}}}],"trnm":"REAL"}}'
    [record] = MessageDecoder().decode(text)
    assert isinstance(record, Record)
    return record


def client_of(*items: str, type_code: str = "0B") -> Client:
    subscriptions = tuple(Subscription(type_code, item, SubscriptionState.RECEIVING, "1", 1, "") for item in items)
    return cast(Client, SimpleNamespace(subscriptions=subscriptions, state=SessionState.READY, disconnected=None))


def shown(view: View) -> str:
    out = io.StringIO()
    Console(file=out, width=160, height=60).print(view.render(1.0))
    return out.getvalue()


@pytest.mark.parametrize("type_code", TYPES.values(), ids=list(TYPES))
def test_a_hundred_thousand_items_that_nobody_asked_for_do_not_add_up(type_code: str) -> None:
    view = view_of(type_code, "a test")
    view.watch(client_of("005930", type_code=type_code))
    view.add(row(type_code, "005930"))
    record = row(type_code, "x" * 90)

    def send(start: int, stop: int) -> None:
        for number in range(start, stop):
            # As each would come, but made in a tenth of the time.
            view.add(
                type(record)(record.type_code, f"{number:06}x", "n", 0, record.values[:-1] + b',"9999":"%d"}' % number)
            )

    send(0, 2 * MAX_ITEMS)
    shown(view)
    gc.collect()
    tracemalloc.start()
    send(2 * MAX_ITEMS, 20_000)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 100_000
    text = shown(view)
    assert "20,001 rows" in text
    assert (f"{20_000 - MAX_ITEMS + 1:,} rows left out" in text) == (type_code in ("0A", "0D", "zz"))


def test_what_was_asked_for_is_shown_however_many_others_came_first() -> None:
    view = view_of("0A", "a test")
    view.watch(client_of("005930", "000660_NX", "NVDA:ND", type_code="0A"))
    for number in range(3 * MAX_ITEMS):
        view.add(row("0A", f"{number:06}x"))

    for item in ("005930", "000660_NX", "NVDA", "005930"):
        view.add(row("0A", item))

    assert len(view._newest) == len(view._counts) == MAX_ITEMS
    assert {"005930", "000660_NX", "NVDA"} <= view._newest.keys()
    assert view._counts["005930"] == 2
    assert view.rows == 3 * MAX_ITEMS + 4


def test_without_a_client_the_first_items_are_kept() -> None:
    view = view_of("0A", "a test")

    for number in range(MAX_ITEMS + 5):
        view.add(row("0A", f"{number:06}"))

    assert len(view._newest) == MAX_ITEMS
    assert "5 rows left out" in shown(view)


@pytest.mark.parametrize(
    ("long", "type_code"),
    [
        ({"fids": '"302":"' + "x" * MAX_ROW_LENGTH + '"'}, "00"),
        ({"item": "x" * MAX_ROW_LENGTH}, "0B"),
        ({"fids": '"20":"' + "0" * MAX_ROW_LENGTH + '"'}, "0B"),
    ],
    ids=["values", "item", "time"],
)
def test_a_row_that_is_far_too_long_is_counted_and_not_kept(long: dict[str, Any], type_code: str) -> None:
    view = view_of(type_code, "a test")

    view.add(row(type_code, **({"item": "005930"} | long)))
    view.add(row(type_code, "000660"))

    assert list(view._newest) == ["000660"]
    assert "2 rows" in shown(view)
    assert "1 row left out" in shown(view)


def test_what_is_undocumented_is_not_kept() -> None:
    view = view_of("0B", "a test")

    view.add(row("0B", "005930", more=',"extra":["' + "x" * 50_000 + '"]'))

    assert view._newest["005930"].extra is None
    assert view._newest["005930"].fids() == {"20": "090000", "10": "-20800"}
    assert "005930" in shown(view)

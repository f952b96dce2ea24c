"""The table that a notebook shows of a client: what is registered, how fresh it is, and who got how many rows."""

from __future__ import annotations

import re
import sys
import types

import pytest

from kiwoom_proto import OrderBook, OrderExecution, Trade
from kiwoom_proto.wire.messages import Row

from .hand_client import HandClient

A, B = "005930", "000660"


def trade(item: str, time: str) -> Row:
    return Row({"20": time, "10": "1"}, "0B", "주식체결", item)


def lines(client: HandClient) -> list[list[str]]:
    """The cells of each line of the tables."""
    found = re.findall(r"<tr>(.*?)</tr>", client._repr_html_())
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line) for line in found]


def shown(client: HandClient, start: str) -> list[str]:
    (line,) = [cells for cells in lines(client) if cells[0].startswith(start)]
    return line


@pytest.mark.parametrize("is_notebook", [True, False])
def test_the_newest_row_is_right_whoever_gets_it(is_notebook: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    if is_notebook:
        monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    client = HandClient()
    if not is_notebook:
        client._repr_html_()
    trades = client.stream(Trade, A, B)
    client.run(trades.__aenter__())
    client.on(OrderBook, repr, A)
    client.run(client.subscribe(OrderExecution))
    client.settle()
    client.send(trade(A, "100001"), trade(B, "100002"))
    client.send(trade(A, "100003"))
    client.send(Row({"21": "100004"}, "0D", "주식호가잔량", A))
    client.send(Row({"908": "100005", "913": "접수", "9201": "1234567890"}, "00", "주문체결", A))

    newest = {tuple(cells[0::2][:2]): cells[-1] for cells in lines(client) if cells[0][:2] in ("0B", "0D", "00")}
    assert newest == {
        ("0B Trade", A): "10:00:03",
        ("0B Trade", B): "10:00:02",
        ("0D OrderBook", A): "10:00:04",
        ("00 OrderExecution", ""): "10:00:05",
    }


def test_the_counters_are_those_of_everybody_who_gets_rows() -> None:
    client = HandClient()
    trades = client.stream(Trade, A)
    client.run(trades.__aenter__())
    handle = client.on(Trade, repr, A)
    client.run(client.subscribe(OrderBook, A))
    client.settle()
    client.send(trade(A, "100001"), trade(A, "100002"))
    client.send(Row({"21": "100004"}, "0D", "주식호가잔량", A))
    client.run(trades.__anext__())

    received, delivered, waiting = shown(client, "stream of 0B 005930")[1:4]
    assert (received, delivered, waiting) == ("2", "1", "1")
    assert shown(client, "callback of 0B 005930")[1:3] == ["2", "2"]
    assert shown(client, "the client")[1] == "1"

    handle.close()
    client.run(trades.__aexit__(None, None, None))
    assert shown(client, "streams and callbacks that were left")[1:5] == ["4", "3", "0", "1"]


def test_nothing_is_wanted_once_the_client_is_closed() -> None:
    client = HandClient()
    client.run(client.subscribe(Trade, A))
    client.send(trade(A, "100001"))
    client._inbox.close()
    client.advance(30)
    assert client._inbox.closed is not None
    assert shown(client, "0B")[3] == "closed"

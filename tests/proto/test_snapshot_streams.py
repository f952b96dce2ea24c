"""Who gets a snapshot: streams, callbacks, newest rows, and the client's own iteration."""

from __future__ import annotations

import json
from typing import Any

from kiwoom_proto import ClientConfig, OrderBook, OrderExecution, Record, Trade
from kiwoom_proto.events import Gap, Recovered, Snapshot
from kiwoom_proto.rest import CATALOGUE
from kiwoom_proto.wire.messages import Row

from .hand_client import HandClient
from .test_streams import entered, rows

A, B = "005930", "000660"
CONFIG = ClientConfig(request_interval=0, backoff_max=1, recover=True)


def fetch(client: HandClient, *rows: dict[str, str], **members: str) -> list[str]:
    """Answer everything that is needed with this. Return which TRs that was."""
    asked = []
    while needs := client._session.snapshots_needed():
        for need in needs:
            request = CATALOGUE[need.api_id](**need.parameters)
            body: dict[str, Any] = {**members, "return_code": 0}
            if request.list_element is not None:
                body[request.list_element] = rows
            client._session.receive_snapshot(need.id, request.decode(json.dumps(body).encode()), "", 7)
            client._pump()
            asked.append(need.api_id)
    return asked


def trade(volume: int, quantity: int, item: str = A) -> Row:
    return Row({"20": "100000", "13": str(volume), "15": str(quantity)}, "0B", "주식체결", item)


def lose(client: HandClient) -> None:
    client.cut()
    client.advance(3)


def test_a_stream_of_a_book_heals() -> None:
    client = HandClient(CONFIG)
    books = entered(client, client.stream(OrderBook, A))
    others = entered(client, client.stream(OrderBook, B))
    lose(client)
    assert fetch(client, sel_fpr_bid="+70100") == ["ka10004", "ka10004"]

    (book,) = rows(client, books)
    assert isinstance(book, OrderBook) and (book.item, book.ask_price_1) == (A, 70100)
    assert [book.item for book in rows(client, others)] == [B]
    assert [type(event) for event in rows(client, client) if isinstance(event, Snapshot | Recovered)] == [Recovered]


def test_a_stream_of_trades_gets_those_that_were_missed_and_no_other() -> None:
    client = HandClient(CONFIG)
    trades = entered(client, client.stream(Trade, A, gaps="items"))
    fetch(client, {"acc_trde_qty": "990", "cntr_trde_qty": "10"})
    assert rows(client, trades) == [], "a trade of the time before it began"
    client.send(trade(1000, 10))
    lose(client)
    fetch(client, *({"acc_trde_qty": str(volume), "cntr_trde_qty": "10"} for volume in (1020, 1010, 1000)))
    client.send(trade(1020, 10), trade(1030, 10))

    found = rows(client, trades)
    assert [row.volume if isinstance(row, Trade) else type(row) for row in found] == [1000, Gap, 1010, 1020, 1030]


def test_the_client_gets_the_snapshot_of_what_it_subscribed_to() -> None:
    client = HandClient(CONFIG)
    client.run(client.subscribe(OrderBook, A))
    books = entered(client, client.stream(OrderBook, A))
    fetch(client, sel_fpr_bid="+70100")

    assert len(rows(client, books)) == 1
    (snapshot,) = [event for event in rows(client, client) if isinstance(event, Snapshot)]
    assert (snapshot.type, snapshot.item) == ("0D", A)


def test_snapshots_of_many_records_are_for_the_client() -> None:
    client = HandClient(CONFIG)
    orders = entered(client, client.stream(OrderExecution))
    assert fetch(client, {"ord_no": "0000001", "stk_cd": A}) == ["ka10075", "ka10076"]

    assert rows(client, orders) == []
    (snapshot,) = [event for event in rows(client, client) if isinstance(event, Snapshot)]
    assert [record.fid("9203") for record in snapshot.records] == ["0000001"]


def test_callbacks_and_newest_rows_heal_too() -> None:
    client = HandClient(CONFIG)
    called: list[Record] = []
    client.on(OrderBook, called.append, A)
    client.advance(1)
    client.latest(OrderBook, A)
    fetch(client, sel_fpr_bid="+70100")

    newest = client.latest(OrderBook, A)
    assert newest is not None and newest.ask_price_1 == 70100
    assert [book.fid("41") for book in called] == ["+70100"]


def test_many_missed_trades_do_not_count_as_bytes_of_a_stream() -> None:
    client = HandClient(ClientConfig(request_interval=0, backoff_max=1, recover=True, buffer_bytes=10_000))
    trades = entered(client, client.stream(Trade, A))
    client.send(trade(1000, 10))
    lose(client)
    fetch(client, *({"acc_trde_qty": str(volume), "cntr_trde_qty": "1"} for volume in range(3000, 1000, -1)))

    assert len(rows(client, trades)) == 2001

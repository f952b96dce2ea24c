"""REST of a served exchange, asked by Python's own HTTP client over a real network, on every loop."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import ssl
from collections.abc import Mapping
from contextlib import closing
from datetime import time
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import pytest
from tests.adapters.command import start
from tests.adapters.conftest import Net
from tests.adapters.kit import Loop

from kiwoom_proto import Endpoint
from kiwoom_proto.simulator import Exchange

BOOK, ORDER = "/api/dostk/mrkcond", "/api/dostk/ordr"
BUY = {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "1", "trde_tp": "3"}


def dial(endpoint: Endpoint, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    parts = urlsplit(endpoint.url)
    assert parts.hostname is not None
    if context is None:
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=context)


def post(connection: http.client.HTTPConnection, path: str, api_id: str, body: Mapping[str, str]) -> dict[str, Any]:
    headers = {"api-id": api_id, "authorization": "Bearer any"}
    connection.request("POST", path, json.dumps(body), headers)
    members = json.load(connection.getresponse())
    assert isinstance(members, dict)
    return members


async def test_one_connection_carries_many_calls(loop: Loop, net: Net) -> None:
    def talk(endpoint: Endpoint) -> None:
        with closing(dial(endpoint, net.client)) as connection:
            connection.connect()
            sock = connection.sock
            for _ in range(5):
                assert post(connection, BOOK, "ka10004", {"stk_cd": "005930"})["return_code"] == 0
            assert post(connection, ORDER, "kt10000", BUY)["ord_no"] == "0000001"
            assert connection.sock is sock

    exchange = Exchange(start=time(10, 0))
    async with loop.serve(exchange, ssl_context=net.server) as server:
        await anyio.to_thread.run_sync(talk, server.endpoint)
    assert exchange.orders_processed == 1


@pytest.mark.parametrize("cut", ["before", "half", "after"])
async def test_a_late_answer_comes_and_a_cut_one_does_not(loop: Loop, cut: Any) -> None:
    def talk(endpoint: Endpoint) -> None:
        with closing(dial(endpoint)) as connection:
            assert post(connection, BOOK, "ka10004", {"stk_cd": "005930"})["return_code"] == 0
        exchange.faults.rest_cut = cut
        with closing(dial(endpoint)) as connection, pytest.raises((http.client.HTTPException, ConnectionError)):
            post(connection, ORDER, "kt10000", BUY)

    exchange = Exchange(start=time(10, 0))
    exchange.faults.rest_delay = 0.02
    async with loop.serve(exchange) as server:
        await anyio.to_thread.run_sync(talk, server.endpoint)
    assert exchange.orders_processed == (cut != "before")


def test_serve_says_how_to_ask_rest() -> None:
    with start("serve", "--port", "0") as process:
        assert process.stdout is not None
        process.stdout.readline()
        words = shlex.split(process.stdout.readline().partition(": ")[2])
        found = dict(zip(words[2::2], words[3::2], strict=True))
        assert (words[0], found["-H"]) == ("curl", "authorization: Bearer any")
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/api/dostk/mrkcond", words[1])
        with closing(dial(Endpoint(words[1].replace("http", "ws", 1)))) as connection:
            assert post(connection, BOOK, "ka10004", json.loads(found["-d"]))["return_code"] == 0
        process.terminate()
        process.communicate(timeout=10)

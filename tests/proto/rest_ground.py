"""What the tests of the simulated exchange's REST share: asking TRs in memory, on virtual time."""

from __future__ import annotations

import datetime
import json
from typing import Any

from tests.proto.sim import RawClient, Sim

from kiwoom_proto.simulator.rest.http import HttpAnswer
from kiwoom_proto.simulator.rest.service import TRS

NOON = datetime.time(12, 0)
ITEM = "005930"


def posted(sim: Sim, api_id: str, next_key: str = "", token: str = "key", **body: Any) -> HttpAnswer:
    """Ask a TR, and return the answer."""
    headers = {"api-id": api_id, "authorization": f"Bearer {token}"}
    if next_key:
        headers |= {"cont-yn": "Y", "next-key": next_key}
    return sim.exchange.answer_rest(TRS[api_id].path, headers, json.dumps(body).encode())


def asked(sim: Sim, api_id: str, **body: Any) -> dict[str, Any]:
    """Ask a TR that must not refuse; return the members of the answer."""
    sim.advance(0.25)
    answer = posted(sim, api_id, **body)
    members = json.loads(answer.body)
    assert (answer.status, members.pop("return_code")) == (200, 0), members
    assert members.pop("return_msg")
    return dict(members)


def refused(sim: Sim, api_id: str, **body: Any) -> tuple[int, str]:
    """Ask a TR that must refuse; return the return_code and the code in the text."""
    sim.advance(0.25)
    members = json.loads(posted(sim, api_id, **body).body)
    text = members["return_msg"].removeprefix("[2000]")
    return members["return_code"], text[max(text.find("["), text.find("(")) + 1 :].partition(":")[0]


def order(sim: Sim, api_id: str = "kt10000", quantity: int = 10, price: int = 0, **body: Any) -> str:
    """Place an order; return its number."""
    parameters = {"dmst_stex_tp": "KRX", "stk_cd": ITEM, "ord_qty": str(quantity), "trde_tp": "0" if price else "3"}
    number = asked(sim, api_id, **parameters, ord_uv=str(price or ""), **body)["ord_no"]
    assert isinstance(number, str)
    return number


def listener(sim: Sim, *types: str) -> RawClient:
    """Return a client that is registered for the stock."""
    client = sim.raw()
    client.login()
    for group, type in enumerate(types, 1):
        client.register("" if type in ("00", "04") else ITEM, type=type, group=str(group))
    client.take()
    return client


def rows(client: RawClient, type: str) -> list[dict[str, str]]:
    """Return the values of the rows of a type heard so far."""
    messages = [json.loads(text) for _, text in client.heard]
    found = [row for message in messages if message["trnm"] == "REAL" for row in message["data"]]
    return [row["values"] for row in found if row["type"] == type]

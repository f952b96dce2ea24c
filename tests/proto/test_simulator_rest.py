"""REST of the simulated exchange: the same market, orders and account as its rows. All on virtual time."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from tests.proto.sim import RawClient, Sim

from kiwoom_proto.simulator.rest.http import HttpAnswer

PATHS = {
    **dict.fromkeys(("ka10003",), "/api/dostk/stkinfo"),
    **dict.fromkeys(("ka10004", "ka10087"), "/api/dostk/mrkcond"),
    **dict.fromkeys(("kt10000", "kt10001", "kt10002", "kt10003"), "/api/dostk/ordr"),
    **dict.fromkeys(("ka00001", "ka10075", "ka10076", "kt00001", "kt00007", "kt00018"), "/api/dostk/acnt"),
}
NOON = datetime.time(12, 0)
ITEM = "005930"


def posted(sim: Sim, api_id: str, next_key: str = "", token: str = "key", **body: Any) -> HttpAnswer:
    """Ask a TR, and return the answer."""
    headers = {"api-id": api_id, "authorization": f"Bearer {token}"}
    if next_key:
        headers |= {"cont-yn": "Y", "next-key": next_key}
    return sim.exchange.answer_rest(PATHS[api_id], headers, json.dumps(body).encode())


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


def test_the_order_book_is_that_of_the_latest_row() -> None:
    sim = Sim(start=NOON)
    client = listener(sim, "0D")
    for _ in range(20):
        sim.advance(0.5)
        book, row = asked(sim, "ka10004", stk_cd=ITEM), rows(client, "0D")[-1]
        assert book["bid_req_base_tm"] == row["21"]
        assert (book["sel_fpr_bid"], book["sel_fpr_req"]) == (row["41"], row["61"])
        assert (book["buy_10th_pre_bid"], book["buy_10th_pre_req"]) == (row["60"], row["80"])
        assert (book["tot_sel_req"], book["tot_buy_req"]) == (row["121"], row["125"])
        changes = {level: (f"sel_{level}th_pre_req_pre", str(80 + level)) for level in range(1, 11)}
        for name, fid in changes.values():
            assert book[name].replace("--", "-") == row[fid]
            assert book[name].startswith("--") == row[fid].startswith("-")


def test_the_trades_are_those_of_the_rows() -> None:
    sim = Sim(start=NOON, rate=20)
    client = listener(sim, "0B")
    sim.advance(30)
    told = rows(client, "0B")
    first = posted(sim, "ka10003", stk_cd=ITEM)
    assert ("cont-yn", "Y") in first.headers
    found = json.loads(first.body)["cntr_infr"]
    assert len(found) == 100
    second = posted(sim, "ka10003", dict(first.headers)["next-key"], stk_cd=ITEM)
    found += json.loads(second.body)["cntr_infr"]
    for row, trade in zip(reversed(told), found, strict=False):
        assert (trade["tm"], trade["cur_prc"], trade["acc_trde_qty"]) == (row["20"], row["10"], row["13"])
        assert (trade["pri_sel_bid_unit"], trade["pri_buy_bid_unit"]) == (row["27"], row["28"])
        assert (trade["cntr_str"], trade["pred_pre"], trade["sign"]) == (row["228"], row["11"], row["25"])
        assert int(trade["cntr_trde_qty"]) == int(row["15"])
        assert int(trade["acc_trde_prica"]) // 1_000_000 == int(row["14"])


def test_one_order_is_the_same_in_every_view() -> None:
    sim = Sim(start=NOON)
    client = listener(sim, "00", "04")
    number = order(sim, quantity=700)
    (row,) = json.loads(posted(sim, "ka10075", all_stk_tp="0", trde_tp="0", stex_tp="0").body)["oso"]
    assert (row["ord_no"], row["ord_stt"], row["ord_qty"], row["oso_qty"]) == (number, "접수", "700", "700")
    sim.until(lambda: not asked(sim, "ka10075", all_stk_tp="0", trde_tp="0", stex_tp="0")["oso"])
    sim.advance(0.1)
    told, balance = rows(client, "00"), rows(client, "04")
    assert {one["9203"] for one in told} == {number}
    assert next(one["913"] for one in told) == "접수"
    assert told[-1]["902"] == "0"
    (fill,) = asked(sim, "ka10076", qry_tp="0", sell_tp="0", stex_tp="0")["cntr"]
    assert (fill["ord_no"], fill["cntr_qty"], fill["oso_qty"], fill["ord_stt"]) == (number, "700", "0", "체결")
    assert (fill["cntr_pric"], fill["tdy_trde_cmsn"]) == (told[-1]["910"], told[-1]["938"])
    (done,) = asked(sim, "kt00007", qry_tp="1", stk_bond_tp="0", sell_tp="0", dmst_stex_tp="%")[
        "acnt_ord_cntr_prps_dtl"
    ]
    assert (done["ord_no"], done["stk_cd"], done["cntr_qty"]) == (number, "A005930", "0000000700")
    account = asked(sim, "kt00018", qry_tp="1", dmst_stex_tp="KRX")
    (held,) = account["acnt_evlt_remn_indv_tot"]
    assert int(held["rmnd_qty"]) == int(balance[-1]["930"]) == 700
    assert int(held["pur_amt"]) == int(balance[-1]["932"]) == int(told[-1]["903"])
    money = asked(sim, "kt00001", qry_tp="3")
    assert int(money["entr"]) == 100_000_000 - int(held["pur_amt"]) - int(fill["tdy_trde_cmsn"])
    assert int(account["prsm_dpst_aset_amt"]) == int(money["entr"]) + int(account["tot_evlt_amt"])
    assert told[-1]["9201"] == asked(sim, "ka00001")["acctNo"]
    assert sim.exchange.orders_processed == 1


def test_an_order_is_amended_and_cancelled() -> None:
    sim = Sim(start=NOON)
    client = listener(sim, "00")
    low = int(asked(sim, "ka10004", stk_cd=ITEM)["buy_10th_pre_bid"].lstrip("+-")) - 1_000
    first = order(sim, quantity=10, price=low)
    parameters = {"dmst_stex_tp": "KRX", "stk_cd": ITEM}
    changed = asked(sim, "kt10002", **parameters, orig_ord_no=first, mdfy_qty="4", mdfy_uv=str(low - 100))
    assert (changed["base_orig_ord_no"], changed["mdfy_qty"]) == (first, "000000000004")
    gone = asked(sim, "kt10003", **parameters, orig_ord_no=first, cncl_qty="0")
    assert (gone["base_orig_ord_no"], gone["cncl_qty"]) == (first, "000000000006")
    (left,) = asked(sim, "ka10075", all_stk_tp="0", trde_tp="0", stex_tp="0")["oso"]
    assert (left["ord_no"], left["orig_ord_no"], left["oso_qty"]) == (changed["ord_no"], first, "4")
    assert left["io_tp_nm"] == "+매수정정"
    told = [(row["9203"], row["904"], row["913"], row["905"], row["902"]) for row in rows(client, "00")]
    assert told == [
        (first, "0000000", "접수", "+매수", "10"),
        (changed["ord_no"], first, "접수", "+매수정정", "4"),
        (changed["ord_no"], first, "확인", "+매수정정", "4"),
        (first, "0000000", "접수", "+매수", "6"),
        (gone["ord_no"], first, "접수", "매수취소", "6"),
        (gone["ord_no"], first, "확인", "매수취소", "0"),
        (first, "0000000", "접수", "+매수", "0"),
    ]
    assert refused(sim, "kt10003", **parameters, orig_ord_no=first, cncl_qty="0") == (20, "RC9103")
    assert refused(sim, "kt10003", **parameters, orig_ord_no=left["ord_no"], cncl_qty="5") == (20, "RC9103")
    assert sim.exchange.orders_processed == 3


@pytest.mark.parametrize(
    ("start", "change", "code"),
    [
        (NOON, {"ord_uv": "70001"}, "RC4003"),
        (NOON, {"ord_qty": "5000"}, "RC9101"),
        (NOON, {"stk_cd": "990000"}, "RC9104"),
        (NOON, {"trde_tp": "28"}, "RC9106"),
        (datetime.time(8, 59), {}, "RC4057"),
        (datetime.time(15, 20), {}, "RC4058"),
    ],
)
def test_an_order_that_cannot_be_is_refused(start: datetime.time, change: dict[str, str], code: str) -> None:
    sim = Sim(start=start)
    right = {"dmst_stex_tp": "KRX", "stk_cd": ITEM, "ord_qty": "10", "ord_uv": "70000", "trde_tp": "0"}
    assert refused(sim, "kt10000", **(right | change)) == (20, code)
    assert refused(sim, "kt10001", **right)[0] == 20
    assert sim.exchange.orders_processed == 0

"""Every answer of the simulated exchange's REST has the elements of the field table, in the wire's odd formats."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from tests.proto.rest_ground import ITEM, NOON, asked, order
from tests.proto.sim import Sim

from kiwoom_proto.rest import CATALOGUE, ListReply, Reply
from kiwoom_proto.simulator.rest.service import TRS

BEYOND = {"acc_trde_qty", "stex_tp", "fnc_health_lv", "tot_sel_cnt", "tot_buy_cnt"}
"""Elements that come although the table lacks them, as official examples have them; beside the counts of usa20101."""
MAY_BE_EMPTY = {"min_trde_qty", "max_trde_qty", "min_trde_prica", "max_trde_prica"}
"""Elements of ka10054 that the table requires, and that may be empty."""
EVERY = {"trde_tp": "0", "stex_tp": "0", "all_stk_tp": "0", "qry_tp": "0", "sell_tp": "0"}
BODIES: dict[str, dict[str, str]] = {
    **{api_id: {"stk_cd": ITEM} for api_id in ("ka10001", "ka10003", "ka10004", "ka10087", "ka10095", "ka10100")},
    **{
        api_id: {"stk_cd": ITEM, "upd_stkpc_tp": "1", "base_dt": "20260629", "tic_scope": "1"}
        for api_id in ("ka10079", "ka10080", "ka10081")
    },
    "ka10054": {
        "mrkt_tp": "000",
        "bf_mkrt_tp": "0",
        "motn_tp": "0",
        "skip_stk": "000000000",
        "trde_qty_tp": "0",
        "trde_prica_tp": "0",
        "motn_drc": "0",
        "stex_tp": "3",
    },
    "ka10040": {"stk_cd": ITEM},
    "ka10099": {"mrkt_tp": "0"},
    "ka20001": {"mrkt_tp": "0", "inds_cd": "001"},
    "ka20003": {"inds_cd": "001"},
    "ka30012": {"stk_cd": "57JBHH"},
    "ka40009": {"stk_cd": "069500"},
    "ka90008": {"stk_cd": ITEM, "amt_qty_tp": "1", "date": "20260629"},
    "usa20100": {"stex_tp": "ND", "stk_cd": "NVDA"},
    "usa20101": {"stex_tp": "ND", "stk_cd": "NVDA"},
    "ka00001": {},
    "ka10075": EVERY,
    "ka10076": EVERY,
    "kt00001": {"qry_tp": "3"},
    "kt00004": {"qry_tp": "0", "dmst_stex_tp": "KRX"},
    "kt00007": {"qry_tp": "1", "stk_bond_tp": "0", "sell_tp": "0", "dmst_stex_tp": "%"},
    "kt00018": {"qry_tp": "1", "dmst_stex_tp": "KRX"},
}
US_BODIES: dict[str, dict[str, str]] = {"ust21050": {}, "ust21070": {}, "ust21510": {}}
WITHOUT_ROWS = "kt00001", "ka10040"
ORDER = {"dmst_stex_tp": "KRX", "stk_cd": ITEM}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """api-id -> an answer of each TR that the exchange serves."""
    sim = Sim(start=NOON, rate=20)
    client = sim.raw()
    client.login()
    client.register("", type="1h")
    bought = order(sim, quantity=20)
    sim.advance(30)
    placed = {"ord_qty": "2", "trde_tp": "0", "ord_uv": "60000"}
    found = {"kt10000": asked(sim, "kt10000", **ORDER, **placed)}
    number = found["kt10000"]["ord_no"]
    found["kt10002"] = asked(sim, "kt10002", **ORDER, orig_ord_no=number, mdfy_qty="1", mdfy_uv="59900")
    found["kt10003"] = asked(sim, "kt10003", **ORDER, orig_ord_no=number, cncl_qty="1")
    found["kt10001"] = asked(sim, "kt10001", **ORDER, ord_qty="1", trde_tp="0", ord_uv="90000")
    assert bought < number < found["kt10002"]["ord_no"] < found["kt10003"]["ord_no"]
    for api_id, body in BODIES.items():
        asked(sim, api_id, **body)  # what is first asked for begins to trade
    sim.advance(5)
    found |= {api_id: asked(sim, api_id, **body) for api_id, body in BODIES.items()}
    evening = Sim(start=datetime.time(23, 0), rate=20)
    evening.exchange.place_order("key", "NVDA:ND", "buy", 3)
    evening.exchange.place_order("key", "NVDA:ND", "buy", 2, 150)
    evening.advance(5)
    return found | {api_id: asked(evening, api_id, **body) for api_id, body in US_BODIES.items()}


def decoded(api_id: str, answer: dict[str, Any]) -> Reply:
    """Return the reply that the library makes of an answer."""
    reply: Reply = CATALOGUE[api_id].decode(json.dumps(answer | {"return_code": 0, "return_msg": ""}).encode())
    return reply


def test_every_tr_that_is_served_is_looked_at(answers: dict[str, dict[str, Any]]) -> None:
    assert answers.keys() == TRS.keys()
    for api_id, tr in TRS.items():
        assert tr.path == CATALOGUE[api_id].path
        required = {name for name, element in CATALOGUE[api_id].elements.items() if element.is_required}
        assert set(tr.required) == required - MAY_BE_EMPTY
        assert tr.order == (CATALOGUE[api_id].safety == "order_write")


@pytest.mark.parametrize("api_id", TRS)
def test_the_elements_are_those_of_the_table(api_id: str, answers: dict[str, dict[str, Any]]) -> None:
    reply = decoded(api_id, answers[api_id])
    rows = reply.rows if isinstance(reply, ListReply) else ()
    assert rows or not isinstance(reply, ListReply) or api_id in WITHOUT_ROWS, "there is a row to look at"
    for values in (reply, *rows):
        assert [name for name in values.elements if values.element(name) is None] == []
        assert set(values.unknown) - BEYOND == {name for name in values.unknown if name.endswith("bid_cnt")}
        assert "texts" not in values.to_dict(), "nothing that cannot be read"


def test_amounts_of_the_account_are_padded_with_the_sign_inside(answers: dict[str, dict[str, Any]]) -> None:
    account = answers["kt00018"]
    (held,) = account["acnt_evlt_remn_indv_tot"]
    assert {len(account[name]) for name in account if name.endswith(("_amt", "_pl"))} == {15}
    assert (len(held["pur_amt"]), len(held["cur_prc"]), held["stk_cd"]) == (15, 12, f"A{ITEM}")
    loss = Sim(start=NOON)
    order(loss, quantity=3)
    loss.advance(10)
    account = asked(loss, "kt00018", qry_tp="1", dmst_stex_tp="KRX")
    assert account["tot_evlt_pl"].startswith("-0")
    assert len(account["tot_evlt_pl"]) == 15
    assert answers["kt00007"]["acnt_ord_cntr_prps_dtl"][0]["ord_qty"] == "0000000020"
    assert {len(value) for name, value in answers["kt00001"].items() if isinstance(value, str)} == {15, 4}
    assert answers["kt10003"]["cncl_qty"] == "000000000001"


def test_signs_are_those_of_directions(answers: dict[str, dict[str, Any]]) -> None:
    sides = {row["io_tp_nm"] for row in answers["ka10075"]["oso"]}
    assert sides == {"+매수정정", "-매도"}
    reference = int(answers["ka10001"]["base_pric"])
    for name in ("cur_prc", "upl_pric", "lst_pric", "250hgst"):
        text = answers["ka10001"][name]
        value = int(text.lstrip("+-"))
        assert text[:1] == ("+" if value > reference else "-" if value < reference else text[:1])
    assert not any(row["cur_prc"].startswith(("+", "-")) for row in answers["ka10081"]["stk_dt_pole_chart_qry"])
    assert not any(row["pred_pre"].startswith(("+", "-")) for row in answers["ka10079"]["stk_tic_chart_qry"])
    assert any(row["cur_prc"].startswith(("+", "-")) for row in answers["ka10080"]["stk_min_pole_chart_qry"])
    assert answers["ka10095"]["atn_stk_infr"][0]["elwexpr_dt"] == "00000000"

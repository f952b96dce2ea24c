"""REST of the simulated exchange: the same market, orders and account as its rows. All on virtual time."""

from __future__ import annotations

import datetime
import json
import random
from typing import Any

import pytest
from tests.proto.rest_ground import ITEM, NOON, asked, listener, order, posted, refused, rows
from tests.proto.sim import Sim

from kiwoom_proto.session.snapshot_tables import SOURCES


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
        (NOON, {"ord_uv": "10"}, "RC4027"),
        (NOON, {"ord_uv": "900000"}, "RC4027"),
        (NOON, {"ord_uv": "900001"}, "RC4003"),
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


def test_a_day_is_the_sum_of_its_minutes_and_of_its_ticks_and_the_state_of_the_market() -> None:
    sim = Sim(start=NOON, rate=20)
    client = listener(sim, "0B")
    sim.advance(130)
    row = rows(client, "0B")[-1]
    today = asked_now(sim, "ka10081", base_dt="20260629")["stk_dt_pole_chart_qry"][0]
    assert (today["dt"], today["trde_qty"], today["trde_prica"]) == ("20260629", row["13"], row["14"])
    assert [today[name] for name in ("cur_prc", "open_pric", "high_pric", "low_pric")] == [
        row[fid].lstrip("+-") for fid in ("10", "16", "17", "18")
    ]
    assert today["pred_pre"] == row["11"]
    minutes = [
        bar
        for bar in asked_now(sim, "ka10080", tic_scope="1")["stk_min_pole_chart_qry"]
        if bar["cntr_tm"].startswith("20260629")
    ]
    assert sum(int(bar["trde_qty"]) for bar in minutes) == int(row["13"]) == int(minutes[0]["acc_trde_qty"])
    assert (minutes[0]["cntr_tm"], minutes[0]["cur_prc"]) == ("20260629120200", row["10"])
    assert [bar["cntr_tm"] for bar in minutes] == sorted((bar["cntr_tm"] for bar in minutes), reverse=True)
    ticks = asked_now(sim, "ka10079", tic_scope="1")["stk_tic_chart_qry"]
    told = rows(client, "0B")
    for tick, trade in zip(ticks, reversed(told), strict=False):
        assert (tick["cur_prc"], int(tick["trde_qty"])) == (trade["10"].lstrip("+-"), abs(int(trade["15"])))
        assert tick["cntr_tm"] == f"20260629{trade['20']}"


def asked_now(sim: Sim, api_id: str, **body: str) -> dict[str, Any]:
    """Ask a TR about the stock without letting time pass."""
    return dict(json.loads(posted(sim, api_id, stk_cd=ITEM, upd_stkpc_tp="1", **body).body))


@pytest.mark.parametrize(
    ("api_id", "list_name", "time", "size", "body"),
    [
        ("ka10081", "stk_dt_pole_chart_qry", "dt", 600, {"base_dt": "20260629"}),
        ("ka10080", "stk_min_pole_chart_qry", "cntr_tm", 900, {"tic_scope": "5"}),
        ("ka10079", "stk_tic_chart_qry", "cntr_tm", 900, {"tic_scope": "3"}),
    ],
)
def test_a_chart_goes_back_page_by_page_to_its_end(
    api_id: str, list_name: str, time: str, size: int, body: dict[str, str]
) -> None:
    sim = Sim(start=NOON, rate=20)
    asked_now(sim, "ka10004")
    sizes: list[int] = []
    times: list[str] = []
    key = ""
    while not sizes or key:
        sim.advance(0.25)  # trading goes on between the pages
        answer = posted(sim, api_id, key, stk_cd=ITEM, upd_stkpc_tp="1", **body)
        page, key = json.loads(answer.body)[list_name], dict(answer.headers)["next-key"]
        assert dict(answer.headers)["cont-yn"] == ("Y" if key else "N")
        sizes.append(len(page))
        times += [row[time] for row in page]
    assert len(sizes) > 3
    assert set(sizes[:-1]) == {size}
    assert 0 < sizes[-1] <= size
    assert times == sorted(times, reverse=True)
    if api_id != "ka10079":
        assert len(times) == len(set(times))


def test_a_chart_begins_at_its_base_date_and_yesterday_is_the_reference() -> None:
    sim = Sim(start=NOON)
    book = asked(sim, "ka10095", stk_cd=ITEM)["atn_stk_infr"][0]
    newest = asked_now(sim, "ka10081", base_dt="20260628")["stk_dt_pole_chart_qry"][0]
    assert newest["dt"] == "20260626"  # the 28th is a Sunday
    assert newest["cur_prc"] == book["base_pric"]
    hours = asked_now(sim, "ka10080", base_dt="20260626", tic_scope="60")["stk_min_pole_chart_qry"]
    assert {bar["cntr_tm"][:8] for bar in hours[:7]} == {"20260626"}


def test_interruptions_are_those_of_the_rows() -> None:
    sim = Sim(start=NOON, rate=20)
    client = sim.raw()
    client.login()
    client.register("", type="1h")
    sim.advance(200)
    everything = {"mrkt_tp": "000", "bf_mkrt_tp": "0", "motn_tp": "0", "skip_stk": "000000000", "trde_qty_tp": "0"}
    everything |= {"trde_prica_tp": "0", "motn_drc": "0", "stex_tp": "3"}
    found = asked(sim, "ka10054", **everything)["motn_stk"]
    told = [row for row in rows(client, "1h") if row["9068"] == "1"][::2]  # each comes for two items
    assert len(found) == len(told) > 20
    for one, row in zip(found, reversed(told), strict=True):
        assert (one["stk_cd"], one["stk_nm"], one["motn_pric"]) == (row["9001"], row["302"], row["1221"])
        assert (one["trde_cntr_proc_time"], one["static_stdpc"]) == (row["1223"], row["1236"])
        assert (one["static_dispty_rt"], one["vimotn_cnt"]) == (row["1238"], row["1490"])
    released = {(row["9001"], row["1490"]): row["1224"] for row in rows(client, "1h") if row["9068"] == "2"}
    assert {one["virelis_time"] for one in found} > {"000000"}
    for one in found:
        assert one["virelis_time"] == released.get((one["stk_cd"], one["vimotn_cnt"]), "000000")
    up = asked(sim, "ka10054", **(everything | {"motn_drc": "1"}))["motn_stk"]
    down = asked(sim, "ka10054", **(everything | {"motn_drc": "2"}))["motn_stk"]
    assert len(up) + len(down) == len(found)
    assert all(one["static_dispty_rt"].startswith("+") for one in up)


def test_indices_are_those_of_the_rows() -> None:
    sim = Sim(start=NOON)
    client = sim.raw()
    client.login()
    client.register("001", type="0J")
    client.register("001", type="0U", group="2")
    sim.advance(10)
    index, breadth = rows(client, "0J")[-1], rows(client, "0U")[-1]
    found = json.loads(posted(sim, "ka20001", mrkt_tp="0", inds_cd="001").body)
    assert (found["cur_prc"], found["trde_qty"], found["high_pric"]) == (index["10"], index["13"], index["17"])
    assert (found["rising"], found["fall"], found["stdns"]) == (breadth["252"], breadth["255"], breadth["253"])
    (newest, *_) = found["inds_cur_prc_tm"]
    assert (newest["tm_n"], newest["cur_prc_n"], newest["acc_trde_qty_n"]) == (index["20"], index["10"], index["13"])
    every = json.loads(posted(sim, "ka20003", inds_cd="001").body)["all_inds_idex"]
    assert [row["cur_prc"] for row in every if row["stk_cd"] == "001"] == [index["10"]]
    assert {row["stk_cd"] for row in every} == {"001", "002", "201"}


def test_after_hours_orders_are_those_of_the_rows() -> None:
    sim = Sim(start=datetime.time(16, 30))
    client = listener(sim, "0E")
    sim.advance(20)
    row = rows(client, "0E")[-1]
    late, book = (json.loads(posted(sim, api_id, stk_cd=ITEM).body) for api_id in ("ka10087", "ka10004"))
    assert late["bid_req_base_tm"] == row["21"]
    assert (late["ovt_sel_bid_tot_req"], late["ovt_sel_bid_tot_req_jub_pre"]) == (row["131"], row["132"])
    assert (late["ovt_buy_bid_tot_req"], late["ovt_buy_bid_tot_req_jub_pre"]) == (row["135"], row["136"])
    assert (book["ovt_sel_req"], book["ovt_buy_req"]) == (row["131"], row["135"])
    assert late["ovt_sigpric_sel_bid_1"].strip("+-") != "0"
    noon = Sim(start=NOON)
    empty = asked(noon, "ka10087", stk_cd=ITEM)
    assert (empty["ovt_sigpric_buy_bid_3"], empty["ovt_sel_bid_tot_req"]) == ("-0", "0")


def test_us_quotes_are_those_of_the_rows() -> None:
    sim = Sim(start=datetime.time(23, 0))
    client = sim.raw(us=True)
    client.login()
    client.register("NVDA:ND", type="FE")
    client.register("NVDA:ND", type="FT", group="2")
    sim.advance(10)
    trade, book = rows(client, "FE")[-1], rows(client, "FT")[-1]
    state, quote = (
        json.loads(posted(sim, api_id, stex_tp="ND", stk_cd="NVDA").body) for api_id in ("usa20100", "usa20101")
    )
    assert (state["cur_prc"], state["acc_trde_qty"], state["flu_rt"]) == (trade["10"], trade["13"], trade["12"])
    assert (quote["sel_1bid"], quote["buy_10bid_req"], quote["tot_sel_req"]) == (book["41"], book["80"], book["121"])
    assert quote["sel_3bid_jub_pre"] == book["83"].strip()


@pytest.mark.parametrize(
    ("type", "item", "body", "fids"),
    [
        ("0F", ITEM, {}, {"sel_trde_ori_1": "141", "buy_trde_ori_cd_5": "160", "frgn_buy_prsm_sum_chang": "264"}),
        ("0G", "069500", {}, {"nav": "36", "navflu_rt": "38", "trace_eor_rt": "39"}),
        ("0m", "57JBHH", {}, {"cur_prc": "10"}),
        ("0u", "57JBHH", {}, {"elwprty": "666", "elwgear": "667"}),
        (
            "0w",
            ITEM,
            {"amt_qty_tp": "1", "date": "20260629"},
            {"tm": "20", "prm_buy_qty": "206", "prm_sell_amt": "204"},
        ),
    ],
)
def test_what_is_told_beside_trades_is_that_of_the_latest_row(
    type: str, item: str, body: dict[str, str], fids: dict[str, str]
) -> None:
    api_id = SOURCES[type][0].api_id
    sim = Sim(start=NOON, rate=5)
    unheard = asked(sim, api_id, stk_cd=item, **body)
    assert row_of(unheard).keys() >= fids.keys() and all(row_of(unheard)[name] for name in fids)
    client = sim.raw()
    client.login()
    client.register(item, type=type)
    sim.advance(20)
    (*_, row) = rows(client, type)
    told = row_of(json.loads(posted(sim, api_id, stk_cd=item, **body).body))
    assert {name: told[name] for name in fids} == {name: row[fid].strip() for name, fid in fids.items()}
    assert not any(told_or_rows(asked(sim, api_id, stk_cd="999999", **body)))


def row_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the first row of an answer that has rows, otherwise the answer."""
    found = next((rows for rows in answer.values() if isinstance(rows, list) and rows), None)
    return answer if found is None else found[0]


def told_or_rows(answer: dict[str, Any]) -> list[Any]:
    return [value for name, value in answer.items() if name not in ("return_code", "return_msg")]


def test_holdings_are_the_same_in_both_views() -> None:
    sim = Sim(start=NOON, rate=20)
    order(sim, quantity=7)
    sim.advance(10)
    body = {"qry_tp": "1", "dmst_stex_tp": "KRX"}
    held, told = (json.loads(posted(sim, api_id, **body).body) for api_id in ("kt00018", "kt00004"))
    (one,), (other,) = held["acnt_evlt_remn_indv_tot"], told["stk_acnt_evlt_prst"]
    assert (one["stk_cd"], int(one["rmnd_qty"]), int(one["pur_amt"])) == (other["stk_cd"], 7, int(other["pur_amt"]))
    assert (int(one["evltv_prft"]), int(held["tot_evlt_amt"])) == (int(other["pl_amt"]), int(told["tot_est_amt"]))


def test_the_truth_is_what_rest_says() -> None:
    sim = Sim(start=NOON, rate=20)
    number = order(sim, quantity=7)
    waiting = order(sim, quantity=2, price=60_000)
    truth = sim.exchange.truth
    assert [each.number for each in truth.orders] == [number, waiting]
    sim.advance(10)
    book, held = (
        json.loads(posted(sim, api_id, **body).body)
        for api_id, body in (("ka10004", {"stk_cd": ITEM}), ("kt00018", {"qry_tp": "1", "dmst_stex_tp": "KRX"}))
    )
    asks, bids = truth.prices(ITEM)
    assert (asks[0], bids[9]) == tuple(abs(int(book[name])) for name in ("sel_fpr_bid", "buy_10th_pre_bid"))
    assert {code: holding.cost for code, holding in truth.holdings("key").items()} == {
        ITEM: int(held["acnt_evlt_remn_indv_tot"][0]["pur_amt"])
    }
    assert truth.holdings("somebody else") == {}
    assert [each.is_open for each in truth.orders] == [False, True]


def test_us_orders_and_holdings_are_those_of_the_rows() -> None:
    sim = Sim(start=datetime.time(23, 0), rate=20)
    client = sim.raw(us=True)
    client.login()
    client.register("", type="F5")
    filled = sim.exchange.place_order("key", "NVDA:ND", "buy", 3)
    waiting = sim.exchange.place_order("key", "NVDA:ND", "buy", 2, 150)
    sim.exchange.place_order("key", "KO:NY", "buy", 1)
    sim.advance(10)
    row = next(row for row in reversed(rows(client, "F5")) if row["9203"] == filled.number)
    (opened,) = asked(sim, "ust21050")["result_list"]
    assert (opened["ord_no"], opened["ord_uv"], int(opened["ord_remnq"])) == (waiting.number, "150.0000", 2)
    executed = {each["ord_no"]: each for each in asked(sim, "ust21510", slby_tp="2")["result_list"]}
    assert int(executed[filled.number]["cntr_qty"]) == int(row["911"]) == 3
    assert float(executed[filled.number]["cntr_uv"]) == float(row["910"])
    (held,) = asked(sim, "ust21070", stk_cd="NVDA", stex_tp="ND")["result_list"]
    assert (int(held["poss_qty"]), float(held["frgn_stk_book_uv"])) == (int(row["930"]), float(row["931"]))
    assert len(asked(sim, "ust21070")["result_list"]) == 2
    assert asked(sim, "ust21510", slby_tp="1")["result_list"] == []
    assert asked(sim, "ka10075", all_stk_tp="0", trde_tp="0", stex_tp="0")["oso"] == []


def test_what_is_not_listed_is_answered_with_blanks() -> None:
    sim = Sim(start=NOON)
    for api_id in ("ka10001", "ka10004", "ka10087", "ka10100"):
        found = asked(sim, api_id, stk_cd="990000")
        assert set(found.values()) == {""}
        assert found.keys() == asked(sim, api_id, stk_cd=ITEM).keys()
    assert asked(sim, "ka10003", stk_cd="990000") == {"cntr_infr": []}
    (row,) = asked(sim, "ka10081", stk_cd="990000", base_dt="20260629", upd_stkpc_tp="1")["stk_dt_pole_chart_qry"]
    assert set(row.values()) == {""}
    known, unknown, suffixed = asked(sim, "ka10095", stk_cd=f"{ITEM}|990000|{ITEM}_NX")["atn_stk_infr"]
    assert (known["stk_cd"], suffixed["stk_cd"], set(unknown.values())) == (ITEM, f"{ITEM}_NX", {""})
    (row,) = asked(sim, "ka10095", stk_cd=f"{ITEM};000660")["atn_stk_infr"]
    assert set(row.values()) == {""}
    assert refused(sim, "ka10095", stk_cd="|".join([ITEM] * 101)) == (5, "1634")


def test_the_list_of_a_market_has_rows_of_another() -> None:
    sim = Sim(start=NOON)
    kospi = asked(sim, "ka10099", mrkt_tp="0")["list"]
    assert {row["marketCode"] for row in kospi} == {"0", "8"}
    assert {row["marketCode"] for row in asked(sim, "ka10099", mrkt_tp="10")["list"]} == {"10"}
    (one,) = [row for row in kospi if row["code"] == ITEM]
    assert one == asked(sim, "ka10100", stk_cd=ITEM)
    assert (len(one["listCount"]), len(one["lastPrice"])) == (16, 8)
    assert int(one["lastPrice"]) == int(asked(sim, "ka10001", stk_cd=ITEM)["base_pric"])


def test_the_same_seed_gives_the_same_answers() -> None:
    def answers(seed: int) -> list[bytes]:
        sim = Sim(start=NOON, seed=seed)
        bodies = []
        for api_id in ("ka10001", "ka10004", "ka10003"):
            sim.advance(3)
            bodies.append(posted(sim, api_id, stk_cd=ITEM).body)
        order(sim)
        sim.advance(3)
        bodies.append(posted(sim, "kt00018", qry_tp="1", dmst_stex_tp="KRX").body)
        bodies.append(posted(sim, "ka10080", stk_cd=ITEM, tic_scope="1", upd_stkpc_tp="1").body)
        return bodies

    assert answers(1) == answers(1)
    assert all(one != other for one, other in zip(answers(1), answers(2), strict=True))


def test_a_stock_that_is_asked_for_trades_for_a_minute_and_the_market_does_not_skip_for_it() -> None:
    sim = Sim(start=NOON)
    asked_now(sim, "ka10004")
    sim.advance(30)
    volume = asked_now(sim, "ka10001")["trde_qty"]
    sim.advance(59)
    later = asked_now(sim, "ka10001")["trde_qty"]
    assert int(later) > int(volume)
    sim.advance(62)
    stopped = json.loads(posted(sim, "ka10076", qry_tp="0", sell_tp="0", stex_tp="0").body)
    assert stopped["cntr"] == []
    assert sim.exchange.next_timeout() is None, "nothing goes on for nobody"
    evening = Sim(start=datetime.time(16, 0))
    asked_now(evening, "ka10004")
    evening.advance(10)
    assert refused(evening, "kt10000", dmst_stex_tp="KRX", stk_cd=ITEM, ord_qty="1", trde_tp="3") == (20, "RC4058")


@pytest.mark.parametrize("seed", range(6))
def test_what_rows_say_of_many_orders_is_what_rest_says(seed: int) -> None:
    """Amounts, quantities and money, after orders, amendments and cancellations at random."""
    draw, sim = random.Random(seed), Sim(start=NOON, seed=seed, rate=8)
    client = listener(sim, "00", "04")
    codes = "005930", "000660", "035720"
    for _ in range(40):
        sim.advance(draw.uniform(0.25, 1.5))
        waiting = asked(sim, "ka10075", all_stk_tp="0", trde_tp="0", stex_tp="0")["oso"]
        code = draw.choice(codes)
        body = {"dmst_stex_tp": "KRX", "stk_cd": code}
        best = int(asked(sim, "ka10004", stk_cd=code)[draw.choice(["sel_fpr_bid", "buy_3th_pre_bid"])].lstrip("+-"))
        if waiting and draw.random() < 0.4:
            one = draw.choice(waiting)
            body |= {"stk_cd": one["stk_cd"], "orig_ord_no": one["ord_no"]}
            quantity = str(draw.randint(0, int(one["oso_qty"])))
            if draw.random() < 0.5:
                posted(sim, "kt10003", **body, cncl_qty=quantity)
            else:
                posted(sim, "kt10002", **body, mdfy_qty=quantity, mdfy_uv=str(best))
        else:
            price = {"trde_tp": "3"} if draw.random() < 0.3 else {"trde_tp": "0", "ord_uv": str(best)}
            quantity = str(draw.randint(1, 150))
            posted(sim, draw.choice(["kt10000", "kt10000", "kt10001"]), **body, **price, ord_qty=quantity)
    sim.advance(0.2)
    told = {row["9203"]: row for row in rows(client, "00")}
    assert len(told) > 15
    left = {number: row["902"] for number, row in told.items() if row["902"] != "0"}
    waiting = json.loads(posted(sim, "ka10075", all_stk_tp="0", trde_tp="0", stex_tp="0").body)["oso"]
    assert {row["ord_no"]: row["oso_qty"] for row in waiting} == left
    done = json.loads(posted(sim, "ka10076", qry_tp="0", sell_tp="0", stex_tp="0").body)["cntr"]
    assert {row["ord_no"]: row["cntr_qty"] for row in done} == {
        number: row["911"] for number, row in told.items() if row["911"]
    }
    history = asked(sim, "kt00007", qry_tp="1", stk_bond_tp="0", sell_tp="0", dmst_stex_tp="%")
    assert [row["ord_no"] for row in history["acnt_ord_cntr_prps_dtl"]] == sorted(told)
    held = {row["9001"]: (int(row["930"]), int(row["932"]), int(row["933"])) for row in rows(client, "04")}
    account = json.loads(posted(sim, "kt00018", qry_tp="1", dmst_stex_tp="KRX").body)["acnt_evlt_remn_indv_tot"]
    assert {row["stk_cd"][1:]: (int(row["rmnd_qty"]), int(row["pur_amt"])) for row in account} == {
        code: (quantity, cost) for code, (quantity, cost, _) in held.items() if quantity
    }
    paid = sum(
        (1 if row["907"] == "2" else -1) * int(row["903"]) + int(row["938"]) + int(row["939"]) for row in told.values()
    )
    money = json.loads(posted(sim, "kt00001", qry_tp="3").body)
    assert int(money["entr"]) == 100_000_000 - paid
    reserved = sum(
        int(row["902"]) * int(row["901"]) for row in told.values() if row["907"] == "2" and row["902"] != "0"
    )
    assert int(money["profa_ch"]) == reserved

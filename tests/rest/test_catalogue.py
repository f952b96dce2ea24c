"""The catalogue of TRs: complete, current, lazy, and every request of it builds."""

from __future__ import annotations

import csv
import json
import pathlib
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from tests.rest.every import check_every
from tests.rest.samples import arguments_of
from tools.rest import generate

from kiwoom_proto import rest
from kiwoom_proto.rest.elements import Element

ROOT = pathlib.Path(__file__).parents[2]


def test_the_generated_files_are_current() -> None:
    assert generate.outdated() == [], "run python tools/rest/generate.py"


SCALES = {
    "ka10048": {"iv": "0.75", "lp": "0.75"},
    "ka10050": {"iv": "0.75", "lp": "0.75", "elwtheory_pric": "0.75"},
    "ka10051": {"cur_prc": "0.75", "pred_pre": "0.75", "flu_rt": "0.75"},
    "ka10059": {"flu_rt": "0.75"},
    **{
        api_id: dict.fromkeys(("open_pric", "high_pric", "low_pric", "cur_prc"), "0.75")
        for api_id in ("ka20004", "ka20005", "ka20006", "ka20007", "ka20008", "ka20019")
    },
    "ka30004": {"theory_pric": "0.75", "dispty_rt": "0.75"},
    "ka30012": {"elwtheory_pric": "0.75"},
    "ka40003": {"trace_eor_rt": "0.75", "trace_cur_prc": "0.75", "trace_pred_pre": "0.75"},
    "ka40006": {"trace_idex": "0.75", "trace_idex_pred_pre": "0.75"},
    "ka90005": {"kospi200": "0.75"},
    "ka90010": {"kospi200": "75"},
    "usa24200": {"buy_rt": "0.75", "sel_rt": "0.75"},
    "usa24201": {"buy_rt": "0.75", "sel_rt": "0.75"},
}
"""What the text "75" of an element is, by the facts of measured.csv about scales."""


BY_BOTH = "million KRW, or shares or thousand shares, as amt_qty_tp and unit_tp say"
BY_INDC_TP = "shares or million KRW, as indc_tp says"
BY_AMT_QTY_TP = "shares or million KRW, as amt_qty_tp says"
INVESTORS = dict.fromkeys(("ind_invsr", "frgnr_invsr", "orgn", "natfor"), BY_BOTH)
UNITS: dict[str, dict[str, str]] = {
    "ka10013": {"remn": "shares", "amt": "million KRW"},
    "ka10015": {"trde_prica": "million KRW", "opmr_trde_prica": "million KRW"},
    "ka10046": {"acc_trde_prica": "million KRW"},
    "ka10047": {"acc_trde_prica": "million KRW"},
    "ka10059": INVESTORS,
    "ka10060": INVESTORS,
    "ka10061": INVESTORS,
    "ka10062": {
        "orgn_nettrde_qty": "shares or thousand shares, as unit_tp says",
        "for_nettrde_amt": "million KRW",
        "orgn_nettrde_avg_pric": "KRW",
        "acc_trde_qty": "shares",
    },
    "ka10065": dict.fromkeys(("sel_qty", "buy_qty", "netslmt"), BY_AMT_QTY_TP),
    "ka10085": {"setl_remn": "shares", "pur_amt": "KRW"},
    "ka10086": {"frgn": BY_INDC_TP, "prm": BY_INDC_TP, "ind": BY_INDC_TP, "for_netprps": "shares"},
    "ka10095": {"trde_prica": "million KRW", "mac": "100 million KRW"},
    "ka10098": {"acc_trde_prica": "million KRW"},
    "ka20006": {"trde_qty": "thousand shares"},
    "ka20007": {"trde_qty": "thousand shares"},
    "ka20008": {"trde_qty": "thousand shares"},
    "ka20019": {"trde_qty": "thousand shares"},
    "ka30012": {"stkcnt": "thousand shares"},
    "ka40003": {"acc_trde_prica": "million KRW"},
    "ka50010": {"acc_trde_prica": "KRW"},
    "ka50012": {"acc_trde_prica": "million KRW"},
    "ka90009": {"for_netslmt_amt": "10 million KRW", "orgn_netprps_qty": "thousand shares"},
}
"""The units of elements, by the facts of measured.csv about units."""


def measured(topic: str) -> dict[str, str]:
    with (ROOT / "tools/rest/measured.csv").open(encoding="utf-8", newline="") as file:
        return {line["api_id"]: line["fact"] for line in csv.DictReader(file) if line["topic"] == topic}


def element_of(api_id: str, name: str) -> Element[Any]:
    reply_type = rest.CATALOGUE[api_id].reply_type
    row_type = getattr(reply_type, "row_type", None)
    cls = row_type if row_type is not None and name in row_type.elements else reply_type
    found: Element[Any] = cls.elements[name]
    return found


def test_every_scale_that_was_measured_is_applied() -> None:
    facts = measured("scale")

    assert SCALES.keys() == facts.keys() & rest.CATALOGUE.keys(), "a fact without a value here, or the reverse"
    for api_id, values in SCALES.items():
        for name, value in values.items():
            assert element_of(api_id, name).kind.convert("75") == Decimal(value), f"{api_id} {name}: {facts[api_id]}"


def test_every_unit_that_was_measured_is_said() -> None:
    facts = measured("unit")

    assert UNITS.keys() == facts.keys() & rest.CATALOGUE.keys(), "a fact without a unit here, or the reverse"
    for api_id, units in UNITS.items():
        for name, unit in units.items():
            assert element_of(api_id, name).unit == unit, f"{api_id} {name}: {facts[api_id]}"


def test_a_sector_index_is_not_a_price_in_won() -> None:
    reply = rest.CATALOGUE["ka10051"].decode(
        json.dumps({"inds_netprps": [{"cur_prc": "+265381", "pred_pre": "+9030", "flu_rt": "352"}]}).encode()
    )
    (row,) = reply.rows

    assert (row.cur_prc, row.pred_pre, row.flu_rt) == (Decimal("2653.81"), Decimal("90.30"), Decimal("3.52"))
    assert row.elements["cur_prc"].unit == "points"


def test_what_is_called_an_amount_is_not_a_price() -> None:
    for api_id, cls in rest.CATALOGUE.items():
        for values in (cls.reply_type, getattr(cls.reply_type, "row_type", None)):
            for name, element in (values.elements if values else {}).items():
                assert not (name.endswith("_amt") and element.kind.directional), f"{api_id} {name}"
    assert rest.CATALOGUE["ka01690"].reply_type.elements["tot_buy_amt"].kind.name == "amount"


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


@pytest.mark.parametrize(
    ("api_id", "text"),
    [
        ("ka1004", "no TR 'ka1004'; did you mean ka10004"),
        ("KA10004", "did you mean ka10004?"),
        ("StockQuote", "did you mean StockQuote?"),
        ("nothing like it", "`kiwoom-proto call --describe` lists them"),
        ("ka99999" * 10_000, "lists them"),
        (10004, "no TR 10004; "),
    ],
)
def test_an_unknown_tr_says_which_was_meant(api_id: Any, text: str) -> None:
    assert api_id not in rest.CATALOGUE and rest.CATALOGUE.get(api_id) is None
    with pytest.raises(KeyError) as caught:
        rest.CATALOGUE[api_id]

    assert text in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Stockquote", "StockQuote"), ("StockQuot", "StockQuote"), ("stockquoteReply", "StockQuoteReply")],
)
def test_an_unknown_name_says_which_was_meant(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean .*{meant}"):
        getattr(rest, name)
    with pytest.raises(AttributeError, match=r"'_nothing'$"):
        rest._nothing  # type: ignore[attr-defined]  # noqa: B018


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

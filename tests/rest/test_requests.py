"""Requests: what is refused before a byte is sent, and what the error says."""

from __future__ import annotations

import copy
import json
import pickle
import re
from decimal import Decimal
from typing import Any

import pytest
from tests.rest.every import check_every
from tests.rest.samples import arguments_of

from kiwoom_proto import LocalProtocolError, Secret, rest

CHART = {"stk_cd": "005930", "tic_scope": "1", "upd_stkpc_tp": "1"}
ORDER = {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "10", "trde_tp": "0", "ord_uv": "70000"}


def refused(cls: type[rest.Request[Any]], **values: Any) -> str:
    """Return the message of the error that a request with these values raises."""
    with pytest.raises(LocalProtocolError) as caught:
        cls(**values)
    return str(caught.value)


def test_a_request_is_what_is_posted() -> None:
    request = rest.StockQuote(stk_cd="005930_NX")

    assert (request.api_id, request.path) == ("ka10004", "/api/dostk/mrkcond")
    assert request.to_json() == b'{"stk_cd":"005930_NX"}'
    assert request.to_dict() == {"stk_cd": "005930_NX"}
    assert request.stk_cd == "005930_NX"
    assert repr(request) == "StockQuote(stk_cd='005930_NX')"


def test_a_class_says_what_it_is() -> None:
    cls = rest.DailyChart

    assert (cls.label, cls.group, cls.market, cls.safety) == ("주식일봉차트조회요청", "차트", "domestic", "read")
    assert (cls.list_element, cls.pages, cls.mock) == ("stk_dt_pole_chart_qry", True, True)
    assert cls.elements["base_dt"].label == "기준일자"
    assert cls.elements["base_dt"].is_required
    assert "기준일자" in (cls.__doc__ or "")
    assert rest.BuyOrder.safety == "order_write"
    assert rest.TokenIssue.safety == "auth_write"
    assert rest.UsStockQuote.market == "us"


def test_what_is_missing_is_named_with_its_label() -> None:
    assert refused(rest.StockQuote) == "stk_cd (종목코드): required"
    assert refused(rest.StockQuote, stk_cd="") == "stk_cd (종목코드): required, and must not be empty"
    assert refused(rest.StockQuote, stk_cd=" ") == "stk_cd (종목코드): must not be blank"
    assert refused(rest.StockQuote, stk_cd=None) == "stk_cd (종목코드): required"


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    assert "has no element 'stk_code'; did you mean stk_cd (종목코드)?" in refused(rest.StockQuote, stk_code="005930")
    assert "has no element 'xyzzy'" in refused(rest.StockQuote, stk_cd="005930", xyzzy="1")
    assert "did you mean" not in refused(rest.StockQuote, stk_cd="005930", xyzzy="1")
    assert "Its elements: none" in refused(rest.AccountNumbers, x="1")


@pytest.mark.parametrize(("value", "meant"), [("3틱", "3"), ("03", "3"), ("30분틱", "30")])
def test_a_misspelt_code_gets_the_one_meant(value: str, meant: str) -> None:
    message = refused(rest.TickChart, **{**CHART, "tic_scope": value})

    assert message.startswith(f"tic_scope (틱범위): {value!r} is not one of 1 (1틱), 3 (3틱)")
    assert message.endswith(f"did you mean {meant!r}?")


def test_only_documented_codes_are_sent() -> None:
    assert "'2' is not one of" in refused(rest.TickChart, **{**CHART, "tic_scope": "2"})
    assert "'9' is not one of" in refused(rest.BuyOrder, **{**ORDER, "dmst_stex_tp": "9"})


def test_codes_are_open_where_the_documents_say_so() -> None:
    sector = rest.SectorQuote.elements["inds_cd"]

    assert sector.is_open
    assert rest.SectorQuote(mrkt_tp="0", inds_cd="042").inds_cd == "042"
    for cls in rest.CATALOGUE.values():
        if cls.safety == "order_write":
            assert not any(each.is_open for each in cls.elements.values())


@pytest.mark.parametrize("value", [5930, 5930.0, True, b"005930", ["005930"], Decimal(5930)])
def test_a_code_must_be_a_str(value: object) -> None:
    message = refused(rest.StockQuote, stk_cd=value)

    assert message.startswith(f"stk_cd (종목코드): must be a str, not {type(value).__name__}")


@pytest.mark.parametrize(("value", "text"), [(10, "10"), ("10", "10"), (Decimal("10"), "10")])
def test_a_quantity_may_be_a_number(value: Any, text: str) -> None:
    assert rest.BuyOrder(**{**ORDER, "ord_qty": value}).to_dict()["ord_qty"] == text


@pytest.mark.parametrize(
    "value", [10.0, True, "ten", "1_000", "１０", "1e3", "10,000", None, float("nan"), Decimal("NaN")]
)
def test_a_quantity_is_never_anything_else(value: object) -> None:
    assert refused(rest.BuyOrder, **{**ORDER, "ord_qty": value}).startswith("ord_qty (주문수량): ")


def test_a_us_price_may_be_a_decimal() -> None:
    arguments = arguments_of(rest.UsBuyOrder)

    request = rest.UsBuyOrder.from_dict({**arguments, "ord_uv": Decimal("150.2500")})

    assert request.to_dict()["ord_uv"] == "150.2500"


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        ("A005930", "did you mean '005930'?"),
        ("5930", "did you mean '005930'?"),
        ("005930.KS", "did you mean '005930'?"),
        ("005930_XX", "did you mean '005930'?"),
        ("00593o", "did you mean '00593O'?"),
        ("005930 ", "did you mean '005930'?"),
        ("005930\n", "did you mean '005930'?"),
        ("KRX:005930", "begin with usa"),
        ("NVDA", "begin with usa"),
        ("M04020000", "those of gold with ka5"),
        ("삼성전자", "begin with usa"),
    ],
)
def test_an_item_code_has_the_form_that_it_has_in_orders(value: str, cure: str) -> None:
    for cls in (rest.StockQuote, rest.AfterHoursQuote, rest.StockListing, rest.DailyTopBrokers):
        message = refused(cls, stk_cd=value)
        assert message.startswith("stk_cd (종목코드): ") and "is not six characters such as" in message
        assert cure in message
    assert cure in refused(rest.WatchedStocks, stk_cd=f"000660|{value}")


@pytest.mark.parametrize("value", ["005930,000660", "005930 000660", "005930;000660"])
def test_several_item_codes_are_joined_with_a_bar(value: str) -> None:
    assert 'join them with | as in "005930|000660_NX"' in refused(rest.WatchedStocks, stk_cd=value)


@pytest.mark.parametrize("code", ["005930", "0106J0", "57JBHH", "580058", "005930_NX", "005930_AL"])
def test_item_codes_of_every_kind_are_taken(code: str) -> None:
    assert rest.StockQuote(stk_cd=code).stk_cd == code
    assert rest.GoldQuote(stk_cd="M04020000") and rest.UsStockQuote(stex_tp="ND", stk_cd="NVDA")


def test_a_token_in_place_of_an_item_code_is_not_shown() -> None:
    assert "ZY9somebodyelsestoken" not in refused(rest.StockQuote, stk_cd="ZY9somebodyelsestoken")


@pytest.mark.parametrize("value", ["2026-09-17", "260917", "２０２６０９１７", "today"])
def test_a_date_has_its_form(value: str) -> None:
    assert refused(rest.DailyChart, stk_cd="005930", base_dt=value, upd_stkpc_tp="1").startswith("base_dt (기준일자): ")


def test_a_text_has_its_length() -> None:
    message = refused(rest.SectorWeeklyChart, inds_cd="0" * 9, base_dt="20260917")

    assert message.startswith("inds_cd (업종코드): ")
    assert message.endswith("has 9 characters, the limit is 8")


def test_what_may_be_left_out_is_not_sent() -> None:
    request = rest.BuyOrder(dmst_stex_tp="KRX", stk_cd="005930", ord_qty=1, trde_tp="3")

    assert request.ord_uv is None
    assert json.loads(request.to_json()) == {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "1", "trde_tp": "3"}
    with_empty = rest.BuyOrder(dmst_stex_tp="KRX", stk_cd="005930", ord_qty=1, trde_tp="3", ord_uv="")
    assert json.loads(with_empty.to_json())["ord_uv"] == ""


def test_a_list_of_us_stocks_is_sent_as_a_list() -> None:
    arguments = arguments_of(rest.UsWatchlistPriceSurges)
    stocks = [{"stex_tp": "ND", "stk_cd": "NVDA"}, {"stex_tp": "NY", "stk_cd": "KO"}]

    request = rest.UsWatchlistPriceSurges.from_dict({**arguments, "stk_cd": stocks})

    assert json.loads(request.to_json())["stk_cd"] == stocks
    for wrong in (
        "NVDA",
        [],
        ["NVDA"],
        [{"stk_cd": "NVDA"}],
        [{"stex_tp": "ND", "stk_cd": ""}],
        [{"stex_tp": "ND", "stk_cd": "\ud800"}],
    ):
        assert refused(rest.UsWatchlistPriceSurges, **{**arguments, "stk_cd": wrong}).startswith("stk_cd (관심종목): ")


def test_secrets_are_sent_and_never_shown() -> None:
    request = rest.TokenIssue(
        grant_type="client_credentials", appkey="the-app-key-of-a-test", secretkey=Secret("the-secret-of-a-test")
    )

    assert json.loads(request.to_json())["appkey"] == "the-app-key-of-a-test"
    assert json.loads(request.to_json())["secretkey"] == "the-secret-of-a-test"
    assert "of-a-test" not in f"{request!r} {request} {request.to_dict()}"
    with pytest.raises(TypeError):
        pickle.dumps(request)
    message = refused(rest.TokenIssue, grant_type="client_credentials", appkey=b"the-app-key-of-a-test", secretkey="x")
    assert "of-a-test" not in message


def test_a_request_is_a_value() -> None:
    request = rest.TickChart(**CHART)

    assert request == rest.TickChart(**CHART)
    assert request != rest.TickChart(**{**CHART, "tic_scope": "3"})
    assert request != rest.StockQuote(stk_cd="005930")
    assert len({request, rest.TickChart(**CHART)}) == 1
    assert pickle.loads(pickle.dumps(request)) == request
    assert copy.copy(request) == copy.deepcopy(request) == request
    with pytest.raises(AttributeError, match="immutable"):
        request.stk_cd = "000660"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del request.stk_cd


def test_the_base_class_is_not_a_request() -> None:
    with pytest.raises(TypeError, match="catalogue"):
        rest.Request()


def test_every_element_is_checked() -> None:
    def check(case: tuple[str, str]) -> None:
        api_id, name = case
        cls = rest.CATALOGUE[api_id]
        each = cls.elements[name]
        arguments = arguments_of(cls)
        label = re.escape(f"{name} ({each.label}): ")
        if each.is_required:
            rest_of = {other: value for other, value in arguments.items() if other != name}
            with pytest.raises(LocalProtocolError, match=f"^{label}required$"):
                cls.from_dict(rest_of)
        for wrong in (1.5, object(), "\n"):
            with pytest.raises(LocalProtocolError, match=f"^{label}"):
                cls.from_dict({**arguments, name: wrong})
        if each.length is not None:
            with pytest.raises(LocalProtocolError, match=f"^{label}"):
                cls.from_dict({**arguments, name: "1" * (each.length + 1)})
        if each.codes and not each.is_open:
            with pytest.raises(LocalProtocolError, match=f"^{label}"):
                cls.from_dict({**arguments, name: "?"})
            for code in each.codes:
                assert cls.from_dict(arguments_of(cls, **{name: code})).to_dict()[name] == code

    check_every([(api_id, name) for api_id, cls in rest.CATALOGUE.items() for name in cls.elements], check)


def test_every_request_refuses_an_element_that_it_does_not_have() -> None:
    def check(api_id: str) -> None:
        cls = rest.CATALOGUE[api_id]
        with pytest.raises(LocalProtocolError, match=re.escape(f"{api_id} ({cls.label}) has no element")):
            cls.from_dict({**arguments_of(cls), "no_such_element": "1"})

    check_every(rest.CATALOGUE, check)

"""Orders that cannot be meant: refused before a byte is sent, with the element and the cure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.rest.every import check_every
from tests.rest.samples import arguments_of

from kiwoom_proto import LocalProtocolError, rest

LIMIT = {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "10", "trde_tp": "0", "ord_uv": "70000"}
ORDERS = {api_id: cls for api_id, cls in rest.CATALOGUE.items() if cls.safety == "order_write"}
DOMESTIC = [api_id for api_id, cls in ORDERS.items() if "dmst_stex_tp" in cls.elements]
US = [api_id for api_id, cls in ORDERS.items() if cls.market == "us" and "stk_cd" in cls.elements]


def refused(api_id: str, values: dict[str, Any]) -> str:
    """Return the message of the error that an order with these values raises."""
    with pytest.raises(LocalProtocolError) as caught:
        ORDERS[api_id].from_dict(values)
    return str(caught.value)


def limit(**changes: Any) -> dict[str, Any]:
    """Return a limit order to buy a stock, changed. None leaves an element out."""
    return {name: value for name, value in (LIMIT | changes).items() if value is not None}


def test_a_quantity_is_whole_and_above_zero() -> None:
    def check(api_id: str) -> None:
        cls = ORDERS[api_id]
        for name, each in cls.elements.items():
            if not name.endswith("_qty"):
                continue
            arguments = arguments_of(cls)
            for wrong in (-5, "-5", "1.5", Decimal("0.1"), "-0", *((0, "0", "000") if name == "ord_qty" else ())):
                message = refused(api_id, {**arguments, name: wrong})
                assert message.startswith(f"{name} ({each.label}): must be a whole number above 0")
            if name != "ord_qty":
                assert cls.from_dict({**arguments, name: 0}).to_dict()[name] == "0", "all that is left"

    check_every(ORDERS, check)
    assert rest.BuyOrder.from_dict(limit(ord_qty=10**6))


def test_a_price_is_above_zero() -> None:
    def check(api_id: str) -> None:
        cls = ORDERS[api_id]
        for name in ("ord_uv", "cond_uv", "mdfy_uv", "mdfy_cond_uv", "stop_pric", "fc_exmn_amt"):
            if name in cls.elements:
                for wrong in ("-70000", "-0.01", *(() if cls.market == "us" else ("70000.5",))):
                    message = refused(api_id, arguments_of(cls) | {name: wrong})
                    assert message.startswith(f"{name} ({cls.elements[name].label}): must be ")
        for name in ("mdfy_uv", "fc_exmn_amt"):
            if name in cls.elements and "stop_pric" not in cls.elements:
                assert "above 0" in refused(api_id, arguments_of(cls) | {name: 0})

    check_every(ORDERS, check)


def test_a_price_is_on_a_tick_that_an_instrument_has() -> None:
    names = {api_id: name for api_id in DOMESTIC for name in ("ord_uv", "mdfy_uv") if name in ORDERS[api_id].elements}
    assert len(names) == 6

    def check(api_id: str) -> None:
        name, cls = names[api_id], ORDERS[api_id]
        arguments = arguments_of(cls) | ({"trde_tp": "0"} if "trde_tp" in cls.elements else {})
        for right in (1, 1_999, 2_005, 70_000, 70_050, 70_005, "500005", 1_000_000):
            assert cls.from_dict({**arguments, name: right})
        for wrong in (2_001, 70_001, "70002", 499_999, 1_000_001):
            assert refused(api_id, {**arguments, name: wrong}).startswith(
                f"{name} ({cls.elements[name].label}): {wrong} is on no tick"
            )

    check_every(names, check)
    assert refused("kt10000", limit(ord_uv=70_001)) == (
        "ord_uv (주문단가): 70001 is on no tick: of stocks it is 100 won there (70000 or 70100), "
        "of ETFs, ETNs and ELWs 5 (70000 or 70005)"
    )
    assert rest.GoldBuyOrder(stk_cd="M04020000", ord_qty=1, trde_tp="00", ord_uv=190_001), "gold has other ticks"
    assert rest.BuyOrder.from_dict(limit(trde_tp="29", ord_uv=70_001)), "between two ticks"


@pytest.mark.parametrize("kind", ["0", "5", "10", "20", "28", "62"])
def test_a_limit_order_needs_a_price(kind: str) -> None:
    condition = "69000" if kind == "28" else None
    assert rest.BuyOrder.from_dict(limit(trde_tp=kind, cond_uv=condition))
    for absent in (None, "", "0", 0):
        message = refused("kt10000", limit(trde_tp=kind, ord_uv=absent, cond_uv=condition))
        assert message == (f"ord_uv (주문단가): trde_tp '{kind}' needs a price above 0; an order at the market is '3'")


@pytest.mark.parametrize("kind", ["3", "6", "7", "13", "16", "23", "26", "61", "81"])
def test_an_order_at_the_market_has_no_price(kind: str) -> None:
    for absent in (None, "", "0", 0):
        assert rest.SellOrder.from_dict(limit(trde_tp=kind, ord_uv=absent))
    message = refused("kt10001", limit(trde_tp=kind))
    assert message == f"ord_uv (주문단가): trde_tp '{kind}' has no price: leave it out, or choose a limit order"


def test_what_nobody_has_said_is_not_refused() -> None:
    for kind in ("29", "30", "31"):
        assert rest.BuyOrder.from_dict(limit(trde_tp=kind))
        assert rest.BuyOrder.from_dict(limit(trde_tp=kind, ord_uv=None))


def test_only_a_stop_limit_order_has_a_condition_price() -> None:
    assert "only stop limit orders" in refused("kt10000", limit(cond_uv="69000"))
    assert rest.BuyOrder.from_dict(limit(cond_uv="0"))
    assert "a stop limit order, needs it" in refused("kt10006", limit(trde_tp="28"))


def test_gold_has_limit_orders_only() -> None:
    order = {"stk_cd": "M04020000", "ord_qty": "1", "trde_tp": "00"}

    assert rest.GoldBuyOrder.from_dict(order | {"ord_uv": 190_000})
    assert "needs a price" in refused("kt50000", order)


def test_the_prices_of_us_orders() -> None:
    order = {"stex_tp": "ND", "stk_cd": "NVDA", "ord_qty": 1}

    assert rest.UsBuyOrder.from_dict({**order, "trde_tp": "00", "ord_uv": "150.25"})
    assert "an order at the market is '03'" in refused("ust20000", {**order, "trde_tp": "30"})
    assert "has no price" in refused("ust20000", {**order, "trde_tp": "03", "ord_uv": "150"})
    assert refused("ust20001", {**order, "trde_tp": "35"}).startswith("stop_pric (STOP가격): ")
    assert rest.UsSellOrder.from_dict({**order, "trde_tp": "35", "stop_pric": "140.5"})
    amended = {"orig_ord_no": "000000012", "stex_tp": "ND", "stk_cd": "NVDA"}
    assert "needs a price" in refused("ust20002", amended)
    assert rest.UsAmendOrder.from_dict({**amended, "stop_pric": "141"})


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("A005930", "did you mean '005930'?"),
        ("005930.KS", "did you mean '005930'?"),
        ("0106j0", "did you mean '0106J0'?"),
        ("5930", "did you mean '005930'?"),
        ("NVDA", "UsBuyOrder"),
        ("GOOGLE", "UsBuyOrder"),
        ("M04020000", "UsBuyOrder"),
        ("0059301", "UsBuyOrder"),
        ("005930_XX", "did you mean '005930'?"),
        ("５", "UsBuyOrder"),  # full-width
        ("٥٩٣٠", "UsBuyOrder"),
    ],
)
def test_a_korean_stock_has_six_characters(code: str, cure: str) -> None:
    for api_id in DOMESTIC:
        message = refused(api_id, arguments_of(ORDERS[api_id]) | {"stk_cd": code})
        assert message.startswith(f"stk_cd (종목코드): '{code}' is not six characters such as ")
        assert cure in message


@pytest.mark.parametrize("code", ["005930", "0106J0", "57JBHH", "580058", "00104K", "005930_NX", "005930_AL"])
def test_codes_that_are_traded_are_taken(code: str) -> None:
    for api_id in DOMESTIC:
        assert ORDERS[api_id].from_dict(arguments_of(ORDERS[api_id]) | {"stk_cd": code})


@pytest.mark.parametrize("code", ["005930", "NVDA:ND"])
def test_a_us_stock_has_its_ticker(code: str) -> None:
    for api_id in US:
        message = refused(api_id, arguments_of(ORDERS[api_id]) | {"stk_cd": code})
        assert message == f"stk_cd (종목코드): '{code}' is not the code of a US stock such as \"NVDA\""

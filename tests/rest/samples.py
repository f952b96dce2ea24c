"""Values for requests and replies of any TR, made from their elements."""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kiwoom_proto.realtime.fields import Kind
from kiwoom_proto.rest import Element, Parameter, Reply, Request, kinds

__all__ = ("arguments_of", "reply_of", "text_of", "texts")

_FORMATS: dict[str, Any] = {
    "item": "005930",
    "items": "005930|000660_NX",
    "YYYYMMDD": "20260917",
    "YYYYMM": "202609",
    "YYYY": "2026",
    "number": "12",
    "secret": "a-secret-of-the-test",
    "stocks": [{"stex_tp": "ND", "stk_cd": "NVDA"}],
}


_OF_ORDERS = {"domestic": {"stk_cd": "005930"}, "us": {"stk_cd": "NVDA"}}
_MARKET_ORDERS = {"domestic": ("3", "6", "7", "13", "16", "23", "26", "61", "81"), "us": ("03", "33", "36", "37")}


def argument_of(parameter: Parameter) -> Any:
    """Return a value that a parameter takes."""
    if parameter.format in _FORMATS:
        return _FORMATS[parameter.format]
    if parameter.codes:
        return next(iter(parameter.codes))
    return "1"


def arguments_of(cls: type[Request[Any]], **given: Any) -> dict[str, Any]:
    """Return a value for every element of a request, by the names on the wire.

    Args:
        cls: the class of the request.
        given: some of the values; the prices of an order follow its trade type.
    """
    values = {name: argument_of(each) for name, each in cls.elements.items()} | given
    if cls.safety == "order_write":
        values |= {name: text for name, text in _OF_ORDERS[cls.market].items() if values.get(name) == "1"}
        if values.get("trde_tp") in _MARKET_ORDERS[cls.market]:
            values["ord_uv"] = "0"
        if "cond_uv" in values and values["trde_tp"] != "28":
            values["cond_uv"] = "0"
    return values


_SIGNS = st.sampled_from(("", "+", "-", "--"))
_WHOLE = st.one_of(
    st.builds(lambda sign, value: f"{sign}{value}", _SIGNS, st.integers(0, 10**15)),
    st.builds(lambda sign, value: f"{sign}{value:012}", _SIGNS, st.integers(0, 10**11)),
    st.builds(lambda value: f"{value:,}", st.integers(0, 10**9)),
    st.just("4294967295"),
)
_DECIMAL = st.one_of(
    st.builds(
        lambda sign, value, part: f"{sign}{value}.{part:04}", _SIGNS, st.integers(0, 10**9), st.integers(0, 9999)
    ),
    _WHOLE,
)
_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
_DATES = st.dates(datetime.date(1980, 1, 1), datetime.date(2099, 12, 31)).map(lambda day: f"{day:%Y%m%d}")
_TIMES = st.times().map(lambda time: f"{time:%H%M%S}")
_MOMENTS = st.builds(lambda day, time: day + time, _DATES, _TIMES)

_BY_KIND: dict[int, st.SearchStrategy[str]] = {
    **{id(kind): _WHOLE for kind in (kinds.quantity, kinds.amount, kinds.change, kinds.price)},
    **{id(kind): _WHOLE for kind in (kinds.hundredths, kinds.hundredths_price, kinds.millionths)},
    **{id(kind): _DECIMAL for kind in (kinds.decimal_price, kinds.decimal_change, kinds.decimal_amount)},
    **{id(kind): _DECIMAL for kind in (kinds.ratio, kinds.number)},
    id(kinds.date): st.one_of(_DATES, st.just("00000000")),
    id(kinds.clock_time): st.one_of(_TIMES, st.just("000000"), st.times().map(lambda time: f"{time:%H:%M:%S}")),
    id(kinds.moment): _MOMENTS,
    id(kinds.us_moment): _MOMENTS,
}


def texts(kind: Kind[Any]) -> st.SearchStrategy[str]:
    """Return the texts that a kind of value has on the wire."""
    return st.one_of(_BY_KIND.get(id(kind), _TEXT), st.sampled_from(("", " ")))


_SAMPLES: dict[int, str] = {
    **{id(kind): "12.34" for kind in (kinds.decimal_price, kinds.decimal_change, kinds.decimal_amount)},
    **{id(kind): "12.34" for kind in (kinds.ratio, kinds.number)},
    **{id(kind): "1234" for kind in (kinds.quantity, kinds.amount, kinds.change, kinds.price)},
    **{id(kind): "1234" for kind in (kinds.hundredths, kinds.hundredths_price, kinds.millionths)},
    id(kinds.date): "20260917",
    id(kinds.clock_time): "131939",
    id(kinds.moment): "20260917131939",
    id(kinds.us_moment): "20260917131939",
}


def text_of(kind: Kind[Any]) -> str:
    """Return one text of a kind of value."""
    return _SAMPLES.get(id(kind), "0017")


def reply_of(cls: type[Reply], draw: random.Random | None = None, *, rows: int = 2) -> dict[str, Any]:
    """Return the body of a reply with every element.

    Args:
        cls: the class of the reply.
        draw: draws a text for each element; the same text for each kind if None.
        rows: how many rows, if there is a list.
    """

    def values(elements: Mapping[str, Element[Any]]) -> dict[str, Any]:
        return {
            name: text_of(each.kind) if draw is None else draw.choice(_pool(each.kind))
            for name, each in elements.items()
        }

    body = values(cls.elements)
    if cls.row_type is not None and cls.list_element is not None:
        body[cls.list_element] = [values(cls.row_type.elements) for _ in range(rows)]
    return {**body, "return_code": 0, "return_msg": "정상적으로 처리되었습니다"}


_POOLS: dict[int, tuple[str, ...]] = {}


def _pool(kind: Kind[Any]) -> tuple[str, ...]:
    """Return some texts of a kind: drawing each one anew would take minutes for all TRs."""
    strategy = _BY_KIND.get(id(kind), _TEXT)
    if id(strategy) not in _POOLS:
        found: list[str] = []

        @settings(max_examples=60, database=None, derandomize=True)
        @given(text=texts(kind))
        def collect(text: str) -> None:
            found.append(text)

        collect()
        _POOLS[id(strategy)] = tuple(dict.fromkeys(found))
    return _POOLS[id(strategy)]

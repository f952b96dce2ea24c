"""Values for requests and replies of any TR, made from their elements."""

from __future__ import annotations

from typing import Any

from kiwoom_proto.rest import Parameter, Request

__all__ = ("arguments_of",)

_FORMATS: dict[str, Any] = {
    "item": "005930",
    "YYYYMMDD": "20260917",
    "YYYYMM": "202609",
    "YYYY": "2026",
    "number": "12",
    "secret": "a-secret-of-the-test",
    "stocks": [{"stex_tp": "ND", "stk_cd": "NVDA"}],
}


def argument_of(parameter: Parameter) -> Any:
    """Return a value that a parameter takes."""
    if parameter.format in _FORMATS:
        return _FORMATS[parameter.format]
    if parameter.codes:
        return next(iter(parameter.codes))
    return "1"


def arguments_of(cls: type[Request[Any]]) -> dict[str, Any]:
    """Return a value for every element of a request, by the names on the wire."""
    return {name: argument_of(each) for name, each in cls.elements.items()}

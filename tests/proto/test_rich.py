"""What rich shows of this library's objects, in `rich.print` and in a traceback with locals."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import attrs
import msgspec
import pytest
from rich.pretty import pretty_repr

import kiwoom_proto
from kiwoom_proto import Endpoint, MessageDecoder, OrderExecution, Record, UnknownMessage
from kiwoom_proto.display import MESSAGE_LIMIT, rich_repr
from kiwoom_proto.errors import FieldError
from kiwoom_proto.events import LoggedIn
from kiwoom_proto.realtime.conditions import Condition
from kiwoom_proto.wire.messages import Ping, Reply

ACCOUNT = "8100000001"
TOKEN = "WQJ9vVyz3kLmN7pR2sT5uX8y"
ROW = b'{"9201":"%s","900":"xx","9001":"A005930"}' % ACCOUNT.encode()


def test_a_row_is_shown_without_what_its_repr_masks() -> None:
    row = OrderExecution("00", "005930", values=ROW, extra={"note": ACCOUNT})
    with pytest.raises(FieldError):
        _ = row.order_quantity
    for shown in (pretty_repr(row), pretty_repr([row]), pretty_repr({"self": row, "values": row._decoded})):
        assert ACCOUNT not in shown
        assert "item='005930', account_number='***'" in shown


def test_a_row_of_megabytes_is_shown_in_part() -> None:
    (row,) = MessageDecoder().decode(
        '{"trnm":"REAL","data":[{"type":"zz","item":"x","values":{"1":"%s"}}]}' % ("y" * 1_000_000)
    )
    assert len(pretty_repr(row)) < MESSAGE_LIMIT + 100


@pytest.mark.parametrize(
    "holder",
    [
        UnknownMessage(TOKEN.encode() * 100_000, "no trnm"),
        Endpoint(f"wss://example.com/x?token={TOKEN}"),
        Reply("REG", "0", "", {"x": "\x1b[2J" * 5_000}),
        LoggedIn({"x": "\x1b[2J" * 5_000}),
        Condition("0", TOKEN),
        Ping(TOKEN.encode()),
    ],
)
def test_nothing_is_shown_that_a_repr_does_not_show(holder: object) -> None:
    shown = pretty_repr(holder)
    assert "".join(shown.split()) == "".join(repr(holder).split())
    assert TOKEN not in shown
    assert "\x1b" not in shown


def _classes() -> list[type[Any]]:
    """Every attrs class and Struct of the core."""
    found: dict[type[Any], None] = {}
    for module in pkgutil.walk_packages(kiwoom_proto.__path__, "kiwoom_proto."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and (attrs.has(value) or issubclass(value, msgspec.Struct)):
                found[value] = None
    return list(found)


def test_every_class_with_a_repr_of_its_own_shows_that_to_rich() -> None:
    own: list[type[Any]] = []
    for cls in _classes():
        owner = next(base for base in cls.__mro__ if "__repr__" in vars(base))
        if owner.__module__.startswith("kiwoom_proto") and "attrs generated" not in owner.__repr__.__code__.co_filename:
            own.append(cls)
    assert {Record, OrderExecution, UnknownMessage, Endpoint} <= set(own)
    assert [cls for cls in own if getattr(cls, "__rich_repr__", None) is not rich_repr] == []

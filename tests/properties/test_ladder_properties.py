"""Properties of ladders: a tuple holds what the single fields hold, or raises what the first bad one of them raises."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime import OrderBook, TopBrokers, TopLevels, UsOrderBook
from kiwoom_proto.realtime.record import Record

few = settings(max_examples=200, phases=[phase for phase in Phase if phase is not Phase.explain])

COLUMNS: dict[type[Record], dict[str, str]] = {
    OrderBook: {
        **{f"{side}_{what}s": f"{side}_{what}" for side in ("ask", "bid") for what in ("price", "quantity_change")},
        **{f"{side}_quantities": f"{side}_quantity" for side in ("ask", "bid")},
        **{
            f"{part}_{side}_quantities": f"{part}_{side}_quantity"
            for part in ("lp", "krx", "nxt")
            for side in ("ask", "bid")
        },
    },
    UsOrderBook: {
        **{f"{side}_{what}s": f"{side}_{what}" for side in ("ask", "bid") for what in ("price", "quantity_change")},
        **{f"{side}_quantities": f"{side}_quantity" for side in ("ask", "bid")},
    },
    TopBrokers: {
        **{f"{side}_{what}s": f"{side}_{what}" for side in ("seller", "buyer") for what in ("name", "code")},
        **{f"{side}_quantities": f"{side}_quantity" for side in ("seller", "buyer")},
        **{f"{side}_quantity_changes": f"{side}_quantity_change" for side in ("seller", "buyer")},
    },
}

TOP = ("ask_price", "ask_quantity", "bid_price", "bid_quantity")

plain = st.integers(-(10**9), 10**9).map(str) | st.integers(0, 10**6).map("+{}".format)
odd_texts = ["", " ", "-0", "+0", " 67300", "67300 ", "000123", "1e3", "1E3", "1.0", "-1.5", "1_000", "１２", "null"]
odd_texts += ["true", "NaN", "+-5", "-+5", "--5", "2+5", "2-5", ".", "e", "+", "-", '1"', "1\\", "삼  성", "5\x1c"]
odd = st.sampled_from([*odd_texts, "9" * 30, "-" + "9" * 30])
anything = plain | odd | st.text(max_size=8)


def outcome(read: Callable[..., Any], *arguments: Any) -> Any:
    """What reading returns, with its types, or the error that it raises."""
    try:
        value = read(*arguments)
    except FieldError as error:
        return error.fid, error.name, error.text, str(error)
    return value, [type(one) for one in value]


def each(row: Record, *names: str) -> tuple[Any, ...]:
    """The values of single fields."""
    return tuple(getattr(row, name) for name in names)


def numbered(depth: int, *names: str) -> list[str]:
    """The names of single fields, one name after the other."""
    return [f"{name}_{number}" for name in names for number in range(1, depth + 1)]


def top(book: OrderBook | UsOrderBook, levels: int) -> tuple[Any, ...]:
    """The values that `top` returns, one column after the other."""
    found: TopLevels[Any] = book.top(levels)
    return (*found.ask_prices, *found.ask_quantities, *found.bid_prices, *found.bid_quantities)


@st.composite
def rows(draw: st.DrawFn) -> list[Record]:
    """Rows of one type. Most values are plain, so that what is fast is met as well as what is not."""
    cls = draw(st.sampled_from(list(COLUMNS)))
    fids = [field.fid for field in cls.fields.values()]
    made = []
    for _ in range(draw(st.integers(1, 4))):
        values: dict[str, Any] = {fid: draw(plain) for fid in fids}
        for fid in draw(st.lists(st.sampled_from(fids[:70]), max_size=6)):
            values[fid] = draw(anything | st.none() | st.integers(-5, 5))
        for fid in draw(st.lists(st.sampled_from(fids[:70]), max_size=3)):
            values.pop(fid, None)
        if draw(st.booleans()):
            values = dict(draw(st.permutations(list(values.items()))))
        encoded = json.dumps(values, ensure_ascii=draw(st.booleans())).encode()
        made.append(cls(cls.__struct_config__.tag, "005930", values=encoded))  # type: ignore[arg-type]
    return made


def book(**values: str) -> list[Record]:
    fids = {str(fid): "7" for fid in range(41, 101)} | {fid[1:]: text for fid, text in values.items()}
    return [OrderBook("0D", "005930", values=json.dumps(fids).encode())] * 12


@few
@given(rows())
@example(book(f61="1e3"))
@example(book(f61="1.0"))
@example(book(f41="1\\u002e0"))
@example(book(f41="+-5"))
@example(book(f61="+5", f71="-5"))
@example(book(f42="null"))
@example(book(f42="9" * 5000))
def test_tuples_hold_what_the_fields_hold(made: list[Record]) -> None:
    for row in made:
        depth = 5 if isinstance(row, TopBrokers) else 10
        again = type(row)(row.type_code, row.item, values=row.values)  # another: a row keeps what it has decoded
        for column, name in COLUMNS[type(row)].items():
            assert outcome(getattr, row, column) == outcome(each, again, *numbered(depth, name)), column
        if isinstance(row, OrderBook | UsOrderBook):
            for levels in (1, 2, 5, 10):
                assert outcome(top, row, levels) == outcome(each, again, *numbered(levels, *TOP)), levels


@few
@given(st.binary(max_size=200), st.integers(0, 1500))
def test_values_that_are_no_rows(garbage: bytes, end: int) -> None:
    whole = json.dumps({str(fid): str(fid) for fid in range(41, 101)}).encode()
    for values in (garbage, whole[:end] + garbage, whole[:end]):
        first, second = (OrderBook("0D", "005930", values=values) for _ in range(2))
        assert outcome(top, first, 2) == outcome(each, second, *numbered(2, *TOP))

"""Values: FIDs come out the same whatever order they arrive in and whatever shape they have."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from kiwoom_proto.values import CHECK_EVERY, MAX_ORDERS, Layout, decode_fids

FIDS = ("21", "131", "132", "135", "136")


def raw(values: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(values).encode())


def texts(decoded: Any) -> dict[str, str | None]:
    return {fid: getattr(decoded, f"f{fid}") for fid in FIDS}


def row(order: list[str], number: int = 0) -> tuple[msgspec.Raw, dict[str, str]]:
    values = {fid: f"{fid}-{number}" for fid in order}
    return raw(values), values


ORDERS: dict[str, Any] = {
    "official": lambda number: list(FIDS),
    "sorted": lambda number: sorted(FIDS),
    "reversed": lambda number: list(reversed(FIDS)),
    "another with every row": lambda number: random.Random(number).sample(FIDS, len(FIDS)),
    "another after some time": lambda number: sorted(FIDS) if number < CHECK_EVERY + 3 else list(reversed(FIDS)),
    "rows with holes": lambda number: random.Random(number).sample(FIDS, number % (len(FIDS) + 1)),
    "strangers in between": lambda number: ["9", *sorted(FIDS)[:2], "10", *sorted(FIDS)[2:], "11"],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_layout_reads_the_same_texts_in_any_order(order: str) -> None:
    """Long enough to look at the order three times."""
    layout = Layout(FIDS)

    for number in range(2 * CHECK_EVERY + 2):
        encoded, values = row(ORDERS[order](number), number)
        assert texts(layout.decode(encoded)) == {fid: values.get(fid) for fid in FIDS}


def test_a_layout_stays_right_after_more_orders_than_it_remembers() -> None:
    layout = Layout(FIDS)
    order = list(FIDS)
    shuffle = random.Random(1).shuffle

    for _ in range(MAX_ORDERS + 4):
        shuffle(order)
        for number in range(CHECK_EVERY):
            encoded, values = row(order, number)
            assert texts(layout.decode(encoded)) == values


@pytest.mark.parametrize("order", [sorted(FIDS), list(reversed(FIDS)), ["131", "21", "136", "135", "132"]])
def test_a_layout_takes_on_the_order_of_the_first_row(order: list[str]) -> None:
    """The fields of what it decodes into stand in the order of the wire: that is what makes it fast."""
    layout = Layout(FIDS)

    decoded = layout.decode(row(order)[0])

    assert list(decoded.__struct_fields__) == [f"f{fid}" for fid in order]
    assert layout.fids == FIDS


def test_a_layout_notices_another_order_when_it_looks_again() -> None:
    layout = Layout(FIDS)
    later = list(reversed(FIDS))
    layout.decode(row(list(FIDS))[0])

    seen = [layout.decode(row(later)[0]).__struct_fields__ for _ in range(CHECK_EVERY)]

    assert seen[0] == tuple(f"f{fid}" for fid in FIDS)
    assert seen[-1] == tuple(f"f{fid}" for fid in later)


def test_a_row_with_holes_costs_no_fid_of_the_next_one() -> None:
    layout = Layout(FIDS)
    assert texts(layout.decode(raw({"136": "x"})))["136"] == "x"

    encoded, values = row(list(FIDS))
    assert texts(layout.decode(encoded)) == values


TOLERATED: list[tuple[bytes, dict[str, str]]] = [
    (b"{}", {}),
    (b'{"131":"5","21":"165208"}', {"131": "5", "21": "165208"}),
    (b' { "131" : "5" } ', {"131": "5"}),
    (b'{"\\u0031\\u0033\\u0031":"\\uac00"}', {"131": "가"}),
    (b'{"131":"5","131":"6"}', {"131": "6"}),
    (b'{"131":null,"21":"1"}', {"21": "1"}),
    (b'{"131":5,"21":"1"}', {"131": "5", "21": "1"}),
    (b'{"131":-0.50,"21":1e3}', {"131": "-0.50", "21": "1e3"}),
    (b'{"131":1e999,"21":"1"}', {"131": "1e999", "21": "1"}),
    (b'{"131":true,"21":false}', {"131": "true", "21": "false"}),
    (b'{"131":{"a":[1, 2]},"21":"1"}', {"131": '{"a":[1, 2]}', "21": "1"}),
    (b'{"131":["5"],"21":"1"}', {"131": '["5"]', "21": "1"}),
    (b'[{"131":"5","21":"1"}]', {"131": "5", "21": "1"}),
    (b'[{"131":"5"},{"21":"1"}]', {"131": "5", "21": "1"}),
    (b'[{"131":"5"},{"131":"6"}]', {"131": "6"}),
    (b'[{"131":"5"},null,7,"x",[],{"21":1}]', {"131": "5", "21": "1"}),
    (b'["131","5"]', {}),
    (b"[]", {}),
    (b"null", {}),
    (b"true", {}),
    (b"5", {}),
    (b'"131"', {}),
    (b"", {}),
    (b"{", {}),
    (b"nonsense", {}),
]


@pytest.mark.parametrize(("encoded", "fids"), TOLERATED)
def test_every_shape_gives_the_fids_that_are_in_it(encoded: bytes, fids: dict[str, str]) -> None:
    found = decode_fids(encoded)

    assert found == fids
    assert list(found) == list(fids)
    assert decode_fids(msgspec.Raw(encoded)) == fids


@pytest.mark.parametrize(("encoded", "fids"), TOLERATED)
@pytest.mark.parametrize("warmed_up", [False, True])
def test_a_layout_reads_every_shape_the_same_way(encoded: bytes, fids: dict[str, str], warmed_up: bool) -> None:
    layout = Layout(FIDS)
    if warmed_up:
        layout.decode(row(sorted(FIDS))[0])

    assert texts(layout.decode(msgspec.Raw(encoded))) == {fid: fids.get(fid) for fid in FIDS}


def test_a_value_that_is_no_utf_8_leaves_the_good_ones_alone() -> None:
    found = decode_fids(b'{"21":"165208","302":"\xff\xfe","131":"5"}')

    assert list(found) == ["21", "302", "131"]
    assert (found["21"], found["131"]) == ("165208", "5")
    assert "\ufffd" in found["302"]


def test_a_key_that_is_no_utf_8_leaves_the_good_ones_alone() -> None:
    encoded = b'{"21":"165208","\xff":"x","131":"5"}'

    found = decode_fids(encoded)

    assert (found.get("21"), found.get("131")) == ("165208", "5")
    assert len(found) == 3
    assert texts(Layout(FIDS).decode(msgspec.Raw(encoded))) == {fid: found.get(fid) for fid in FIDS}


def test_a_value_nested_too_deeply_is_an_error_of_its_own_only() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    assert decode_fids(deep) == {}
    assert texts(Layout(FIDS).decode(msgspec.Raw(b'{"21":' + deep + b"}"))) == dict.fromkeys(FIDS)


def test_the_order_received_is_kept() -> None:
    order = random.Random(5).sample(range(10_000), 163)

    assert list(decode_fids(raw({str(fid): "0" for fid in order}))) == [str(fid) for fid in order]


def test_a_layout_of_no_fids_reads_nothing() -> None:
    assert Layout(()).decode(raw({"21": "x"})).__struct_fields__ == ()


def test_rows_with_fids_missing_keep_the_order_that_was_learned() -> None:
    """A row of 139 of 163 FIDs is in the same order: learning another one would only unlearn it."""
    layout = Layout(FIDS)
    full, _ = row(list(FIDS))
    first = layout.decode(full)
    part, values = row(["131", "136"])
    for _ in range(CHECK_EVERY * 3):
        decoded = layout.decode(part)
    assert texts(decoded) == {fid: values.get(fid) for fid in FIDS}
    assert type(decoded) is type(first)


def test_a_new_order_is_learned_however_many_there_were_before() -> None:
    fids = [str(number) for number in range(1, 41)]
    layout = Layout(fids)
    source = random.Random(1)
    types = set()
    for _ in range(MAX_ORDERS * 3):
        order = source.sample(fids, len(fids))
        message, values = row(order)
        for _ in range(CHECK_EVERY):
            decoded = layout.decode(message)
        assert {fid: getattr(decoded, f"f{fid}") for fid in fids} == values
        assert list(decoded.__struct_fields__) == [f"f{fid}" for fid in order]
        types.add(type(decoded))
    assert len(types) == MAX_ORDERS * 3

"""Values: FIDs come out the same whatever order they arrive in and whatever shape they have."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from kiwoom_proto.values import LONGEST_INTERVAL, MAX_DECODERS, Layout, decode_fids

FIDS = ("21", "131", "132", "135", "136")


def raw(values: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(values).encode())


def read(layout: Layout, encoded: msgspec.Raw, fids: tuple[str, ...] = FIDS) -> dict[str, str | None]:
    """Read these FIDs of a row, as a record does."""
    decoded = layout.decode(encoded)
    found: dict[str, str | None] = {}
    for fid in fids:
        try:
            found[fid] = getattr(decoded, f"f{fid}")
        except AttributeError:
            decoded = layout.decode_all(encoded)
            found[fid] = getattr(decoded, f"f{fid}")
    return found


def wanted(layout: Layout, encoded: msgspec.Raw) -> tuple[str, ...] | None:
    """The FIDs that a row is decoded into, in order; None: all, and it is watched which are read."""
    fields: tuple[str, ...] | None = getattr(type(layout.decode(encoded)), "__struct_fields__", None)
    return None if fields is None else tuple(name.removeprefix("f") for name in fields)


def row(order: list[str], number: int = 0) -> tuple[msgspec.Raw, dict[str, str]]:
    values = {fid: f"{fid}-{number}" for fid in order}
    return raw(values), values


ORDERS: dict[str, Any] = {
    "official": lambda number: list(FIDS),
    "sorted": lambda number: sorted(FIDS),
    "reversed": lambda number: list(reversed(FIDS)),
    "another with every row": lambda number: random.Random(number).sample(FIDS, len(FIDS)),
    "another after some time": lambda number: sorted(FIDS) if number < 1000 else list(reversed(FIDS)),
    "rows with holes": lambda number: random.Random(number).sample(FIDS, number % (len(FIDS) + 1)),
    "strangers in between": lambda number: ["9", *sorted(FIDS)[:2], "10", *sorted(FIDS)[2:], "11"],
}


READS: dict[str, Any] = {
    "all": lambda number: FIDS,
    "one": lambda number: ("132",),
    "two, out of order": lambda number: ("136", "21"),
    "another with every row": lambda number: tuple(random.Random(number).sample(FIDS, 2)),
    "one more at times": lambda number: ("131", "21") if number % 50 == 7 else ("131",),
    "others after some time": lambda number: ("131",) if number < 1000 else ("135", "136"),
    "none at times": lambda number: () if number % 3 else ("21",),
}


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("order", ORDERS)
def test_a_layout_reads_the_same_texts_in_any_order_whatever_is_read(order: str, reads: str) -> None:
    layout = Layout(FIDS)

    for number in range(2500):
        encoded, values = row(ORDERS[order](number), number)
        fids = READS[reads](number)
        assert read(layout, encoded, fids) == {fid: values.get(fid) for fid in fids}


@pytest.mark.parametrize("order", [sorted(FIDS), list(reversed(FIDS)), ["131", "21", "136", "135", "132"]])
def test_what_is_read_is_decoded_in_the_order_of_the_wire(order: list[str]) -> None:
    """That is what makes it fast: what is not read is not decoded, and what is stands where it is looked for."""
    layout = Layout(FIDS)
    encoded = row(order)[0]

    for _ in range(3):
        read(layout, encoded, ("131", "21", "136"))

    assert wanted(layout, encoded) == tuple(fid for fid in order if fid in ("131", "21", "136"))
    assert layout.fids == FIDS


def test_what_is_read_besides_is_wanted_of_the_next_row() -> None:
    layout = Layout(FIDS)
    encoded, _ = row(list(FIDS))
    for _ in range(3):
        read(layout, encoded, ("131",))
    assert wanted(layout, encoded) == ("131",)

    read(layout, encoded, ("131", "135"))
    read(layout, encoded, ("131", "135"))

    assert wanted(layout, encoded) == ("131", "135")


def test_what_is_read_no_more_is_not_wanted_for_ever() -> None:
    layout = Layout(FIDS)
    encoded, _ = row(list(FIDS))
    for _ in range(3):
        read(layout, encoded)
    for _ in range(3 * LONGEST_INTERVAL):
        read(layout, encoded, ("21",))

    assert wanted(layout, encoded) == ("21",)


def test_a_layout_notices_another_order_when_it_looks_again() -> None:
    layout = Layout(FIDS)
    later = list(reversed(FIDS))
    for _ in range(3):
        read(layout, row(list(FIDS))[0])
    assert wanted(layout, row(later)[0]) == FIDS

    for _ in range(2 * LONGEST_INTERVAL):
        read(layout, row(later)[0])

    assert wanted(layout, row(later)[0]) == tuple(later)


def test_a_row_with_holes_costs_no_fid_of_the_next_one() -> None:
    layout = Layout(FIDS)
    assert read(layout, raw({"136": "x"}))["136"] == "x"

    encoded, values = row(list(FIDS))
    assert read(layout, encoded) == values


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
    for _ in range(3 if warmed_up else 0):
        read(layout, row(sorted(FIDS))[0])

    assert read(layout, msgspec.Raw(encoded)) == {fid: fids.get(fid) for fid in FIDS}


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
    assert read(Layout(FIDS), msgspec.Raw(encoded)) == {fid: found.get(fid) for fid in FIDS}


def test_a_value_nested_too_deeply_is_an_error_of_its_own_only() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    assert decode_fids(deep) == {}
    assert read(Layout(FIDS), msgspec.Raw(b'{"21":' + deep + b"}")) == dict.fromkeys(FIDS)


def test_the_order_received_is_kept() -> None:
    order = random.Random(5).sample(range(10_000), 163)

    assert list(decode_fids(raw({str(fid): "0" for fid in order}))) == [str(fid) for fid in order]


def test_a_fid_that_is_not_declared_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        _ = Layout(()).decode(raw({"21": "x"})).f21


def test_rows_with_fids_missing_keep_the_order_that_was_learned() -> None:
    """A row of 139 of 163 FIDs is in the same order: learning another one would only unlearn it."""
    layout = Layout(FIDS)
    full, _ = row(list(reversed(FIDS)))
    for _ in range(3):
        read(layout, full)
    part, values = row(["136", "131"])
    for _ in range(3 * LONGEST_INTERVAL):
        found = read(layout, part)
    assert found == {fid: values.get(fid) for fid in FIDS}
    assert wanted(layout, full) == tuple(reversed(FIDS))


def test_orders_that_were_met_before_are_remembered_but_not_all() -> None:
    fids = tuple(str(number) for number in range(1, 21))
    layout = Layout(fids)
    source = random.Random(1)
    for _ in range(MAX_DECODERS * 3):
        encoded, values = row(source.sample(fids, len(fids)))
        for _ in range(3):
            layout.decode_all(encoded)  # so that it looks at the next
            assert read(layout, encoded, fids) == values
    assert len(layout._decoders) == MAX_DECODERS

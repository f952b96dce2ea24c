"""Values: FIDs come out the same whatever order they arrive in and whatever shape they have."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import kiwoom_proto.realtime.layout
from kiwoom_proto import Record
from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime import fields as kinds
from kiwoom_proto.realtime.fields import Field
from kiwoom_proto.realtime.layout import (
    MAX_DECODERS,
    MAX_SAMPLE_INTERVAL,
    MIN_READ_FOR_ALL,
    FidStrings,
    Layout,
    read_fids,
)

FIDS = ("21", "131", "132", "135", "136")


def raw(values: object) -> bytes:
    """Encoded as the server does it, without spaces."""
    return json.dumps(values, separators=(",", ":")).encode()


def read(layout: Layout, encoded: bytes, fids: Sequence[str] = FIDS) -> dict[str, str | None]:
    """Read these FIDs of a row, as a record does."""
    decoded = layout.decode(encoded)
    found: dict[str, str | None] = {}
    for fid in fids:
        if not isinstance(decoded, FidStrings) and not hasattr(decoded, f"f{fid}"):
            decoded = layout.decode_all(encoded)
        found[fid] = decoded.text(fid) if isinstance(decoded, FidStrings) else getattr(decoded, f"f{fid}")
    return found


def wanted(layout: Layout, encoded: bytes) -> tuple[str, ...] | None:
    """The FIDs that a row is decoded into, in order; None: all, and it is watched which are read."""
    decoded = layout.decode(encoded)
    return (
        None if isinstance(decoded, FidStrings) else tuple(name.removeprefix("f") for name in decoded.__struct_fields__)
    )


def row(order: Sequence[str], number: int = 0) -> tuple[bytes, dict[str, str]]:
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
    for _ in range(3 * MAX_SAMPLE_INTERVAL):
        read(layout, encoded, ("21",))

    assert wanted(layout, encoded) == ("21",)


def test_a_layout_notices_another_order_when_it_looks_again() -> None:
    layout = Layout(FIDS)
    later = list(reversed(FIDS))
    for _ in range(3):
        read(layout, row(list(FIDS))[0])
    assert wanted(layout, row(later)[0]) == FIDS

    for _ in range(2 * MAX_SAMPLE_INTERVAL):
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
    found, wrong = read_fids(encoded)

    assert found == fids
    assert list(found) == list(fids)
    assert bool(wrong) == (encoded in (b"", b"{", b"nonsense")), "only what is no JSON is wrong"


@pytest.mark.parametrize(("encoded", "fids"), TOLERATED)
@pytest.mark.parametrize("warmed_up", [False, True])
def test_a_layout_reads_every_shape_the_same_way(encoded: bytes, fids: dict[str, str], warmed_up: bool) -> None:
    layout = Layout(FIDS)
    for _ in range(3 if warmed_up else 0):
        read(layout, row(sorted(FIDS))[0])

    found = read(layout, encoded)

    if encoded.count(b'"131"') == 2 and encoded[:1] == b"{":  # which of the two counts is not promised
        assert found.pop("131") in ("5", "6")
        assert set(found.values()) == {None}
    else:
        assert found == {fid: fids.get(fid) for fid in FIDS}


def test_a_value_that_is_no_utf_8_leaves_the_good_ones_alone() -> None:
    found, wrong = read_fids(b'{"21":"165208","302":"\xff\xfe","131":"5"}')
    assert not wrong

    assert list(found) == ["21", "302", "131"]
    assert (found["21"], found["131"]) == ("165208", "5")
    assert "\ufffd" in found["302"]


@pytest.mark.parametrize("fid", ["131", "136"])
def test_halves_of_a_character_with_ascii_between_them_are_no_utf_8(fid: str) -> None:
    """Whether the FID is decoded with the row or not."""
    layout = Layout(FIDS)
    for _ in range(3):
        read(layout, raw(dict.fromkeys(FIDS, "5")), ("21", "131"))
    encoded = raw({**dict.fromkeys(FIDS, "5"), fid: "X"}).replace(b"X", b"\xed\x95A\x9c")

    found = read(layout, encoded)

    assert found == read_fids(encoded)[0]
    assert "\ufffd" in str(found[fid])


def test_a_key_that_is_no_utf_8_leaves_the_good_ones_alone() -> None:
    encoded = b'{"21":"165208","\xff":"x","131":"5"}'

    found, wrong = read_fids(encoded)
    assert not wrong

    assert (found.get("21"), found.get("131")) == ("165208", "5")
    assert len(found) == 3
    assert read(Layout(FIDS), encoded) == {fid: found.get(fid) for fid in FIDS}


def test_a_value_nested_too_deeply_is_an_error_of_its_own_only() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    assert read_fids(deep)[0] == {}
    assert read(Layout(FIDS), b'{"21":' + deep + b"}") == dict.fromkeys(FIDS)
    assert read_fids(b'{"21":"a","131":' + deep + b',"132":"b"}') == ({"21": "a", "132": "b"}, "nested too deeply")


def test_the_order_received_is_kept() -> None:
    order = random.Random(5).sample(range(10_000), 163)

    assert list(read_fids(raw({str(fid): "0" for fid in order}))[0]) == [str(fid) for fid in order]


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
    for _ in range(3 * MAX_SAMPLE_INTERVAL):
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


# The cut: a row is decoded up to the last FID that is read.


def warmed_up(fids: Sequence[str], order: Sequence[str], reads: Sequence[str]) -> Layout:
    """A layout that knows rows of this order, and that these FIDs are read."""
    layout = Layout(fids)
    for number in range(3):
        read(layout, row(order, number)[0], reads)
    return layout


@pytest.mark.parametrize(
    "behind",
    ['가나다","136":"6"}', 'a_b","136":"6"}', 'a\\nb","136":"6"}', 'a"b","136":"6"}', "", '","136":["6'],
    ids=["Korean", "underscore", "escape", "stray quote", "truncated", "unfinished list"],
)
def test_what_stands_behind_the_last_fid_that_is_read_is_not_looked_at(behind: str) -> None:
    layout = warmed_up(FIDS, FIDS, ("21", "131"))
    encoded = ('{"21":"1","131":"2","132":"' + behind).encode()

    assert wanted(layout, encoded) == ("21", "131")
    assert read(layout, encoded, ("21", "131")) == {"21": "1", "131": "2"}


def test_the_whole_row_is_looked_at_where_the_last_fid_is_read() -> None:
    layout = warmed_up(FIDS, FIDS, ("136",))

    assert wanted(layout, '{"21":"１","136":"1"}'.encode()) is None
    assert wanted(layout, b'{"21":"a","136":"1"}') == ("136",)


STRAYS: dict[str, tuple[str, ...]] = {
    "another order": ("136", "135", "132", "131", "21"),
    "the next key comes first": ("132", "21", "131", "135", "136"),
    "the next key comes between": ("21", "132", "131", "135", "136"),
    "the next key is missing": ("21", "131", "135", "136"),
    "the last FID read is missing": ("21", "132", "135", "136"),
    "the first FID read is missing": ("131", "132", "135", "136"),
    "both are missing": ("132", "135", "136"),
    "it ends with the last FID read": ("21", "131"),
    "it ends before": ("21",),
    "only the next key": ("132",),
    "it is empty": (),
    "strangers first": ("9", "10", "21", "131", "132", "135", "136"),
    "strangers before the next key": ("21", "131", "9", "132", "135", "136"),
    "the last FID read is the last": ("21", "132", "135", "136", "131"),
}


@pytest.mark.parametrize("times", [1, 2, 40])
@pytest.mark.parametrize("stray", STRAYS)
def test_a_row_that_is_not_as_expected_gives_the_right_texts_all_the_same(stray: str, times: int) -> None:
    layout = warmed_up(FIDS, FIDS, ("21", "131"))
    assert wanted(layout, row(FIDS)[0]) == ("21", "131")

    for number in range(3 * times):
        order = FIDS if number % (2 * times) < times else STRAYS[stray]
        for fids in (("21", "131"), ("21", "131") if number % 7 else FIDS):
            encoded, values = row(order, number)
            assert read(layout, encoded, fids) == {fid: values.get(fid) for fid in fids}


def test_two_orders_in_turns_are_read_right() -> None:
    layout = Layout(FIDS)

    for number in range(500):
        encoded, values = row(FIDS if number % 2 else FIDS[::-1], number)
        assert read(layout, encoded, ("21", "132")) == {"21": values["21"], "132": values["132"]}


@pytest.mark.parametrize("text", ['","132":"x', ',"132":', '"},"132":"', "\\", '\\",\\"132\\":\\"', '"132"', "}", "{"])
def test_a_text_that_looks_like_the_next_key_is_a_text(text: str) -> None:
    layout = warmed_up(FIDS, FIDS, ("21", "131"))

    for _ in range(40):
        values = {"21": text, "131": "5", "132": "6"}
        assert read(layout, raw(values), ("21", "131")) == {"21": text, "131": "5"}
        assert read(layout, row(FIDS)[0], ("21", "131")) == {"21": "21-0", "131": "131-0"}


@pytest.mark.parametrize("value", [{"x": "1", "132": "2"}, [{"x": "1", "132": "2"}], {"132": {"132": "1"}}])
def test_what_looks_like_the_next_key_inside_a_value_is_none(value: object) -> None:
    layout = warmed_up(FIDS, FIDS, ("21", "131"))

    for _ in range(40):
        encoded = raw({"21": "1", "131": value, "132": "6"})
        assert read(layout, encoded, ("21", "131", "132")) == {"21": "1", "131": raw(value).decode(), "132": "6"}
        found = read(layout, row(FIDS)[0], ("21", "131"))
        assert found == {"21": "21-0", "131": "131-0"}


def test_a_fid_behind_the_cut_is_read_from_the_first_row_on() -> None:
    layout = warmed_up(FIDS, FIDS, ("21", "131"))
    encoded, values = row(FIDS, 7)

    assert read(layout, encoded, ("21", "136")) == {"21": values["21"], "136": values["136"]}
    assert read(layout, encoded, ("21", "136")) == {"21": values["21"], "136": values["136"]}
    assert wanted(layout, encoded) == ("21", "131", "136"), "from now on it is decoded at once"


NUMBERS = tuple(str(number) for number in range(1, 41))


def test_where_many_fids_are_read_those_in_between_are_decoded_too() -> None:
    few, many = NUMBERS[: 2 * MIN_READ_FOR_ALL - 2 : 2], NUMBERS[: 2 * MIN_READ_FOR_ALL : 2]

    assert (len(few), len(many)) == (MIN_READ_FOR_ALL - 1, MIN_READ_FOR_ALL)
    assert wanted(warmed_up(NUMBERS, NUMBERS, few), row(NUMBERS)[0]) == few
    assert wanted(warmed_up(NUMBERS, NUMBERS, many), row(NUMBERS)[0]) == NUMBERS[: 2 * MIN_READ_FOR_ALL - 1]


@pytest.mark.parametrize("absent", [False, True])
def test_where_many_fids_are_read_one_in_between_is_right_wherever_it_stands(absent: bool) -> None:
    """Not read before, and in this row behind the cut, or in none."""
    many = NUMBERS[: 2 * MIN_READ_FOR_ALL : 2]
    layout = warmed_up(NUMBERS, NUMBERS, many)
    order = [fid for fid in NUMBERS if fid != "2"] + ["2"] * (not absent)

    encoded, values = row(order)

    assert read(layout, encoded, (*many, "2")) == {fid: values.get(fid) for fid in (*many, "2")}


# Any rows, any reads.

# Without the phase that explains failures: it takes longer than a test may.
some = settings(max_examples=150, phases=[phase for phase in Phase if phase is not Phase.explain])
declared = tuple(str(number) for number in range(10, 19))
texts = st.sampled_from(
    ["", " 5", "-20800", "1_0", "１２", "가", '"', "\\", '","12":"', '\\",\\"12\\":\\"', "}", "a{b"]
)
orders = st.permutations((*declared, "7", "8888")).flatmap(
    lambda order: st.integers(0, len(order)).map(lambda size: order[:size])
)
runs = st.lists(
    st.tuples(
        orders | st.just(list(declared)),
        st.sampled_from([1, 2, 40]),  # rows
        st.sets(st.sampled_from(declared), max_size=4),  # read of each
        st.lists(texts, min_size=3, max_size=3),
        st.sampled_from([(",", ":"), (", ", ": ")]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def read_runs(found: list[tuple[Any, ...]]) -> None:
    layout = Layout(declared)
    for order, times, fids, choice, separators, escaped in found:
        for number in range(times):
            values = {
                fid: choice[index % 3] if number % 5 == 4 else f"{number}{fid}" for index, fid in enumerate(order)
            }
            encoded = json.dumps(values, ensure_ascii=escaped, separators=separators).encode()
            assert read_fids(encoded) == (values, "")
            assert read(layout, encoded, sorted(fids)) == {fid: values.get(fid) for fid in fids}


@some
@given(runs)
def test_whatever_came_and_was_read_before_a_layout_gives_the_texts_that_are_there(found: list[Any]) -> None:
    read_runs(found)


@pytest.mark.parametrize("many", [1, 3])
def test_it_does_so_too_where_many_fids_are_read(many: int) -> None:
    @some
    @given(runs)
    def check(found: list[Any]) -> None:
        read_runs(found)

    with mock.patch.object(kiwoom_proto.realtime.layout, "MIN_READ_FOR_ALL", many):
        check()


# Records.


class Wide(Record, tag="ZW"):
    """A whole number, a magnitude, a Decimal, and something behind them."""

    time = Field("20", kinds.clock_time)
    price = Field("10", kinds.price)
    change = Field("11", kinds.change)
    rate = Field("12", kinds.rate)
    quantity = Field("13", kinds.quantity)
    stock_name = Field("302", kinds.text)


def wide(**texts: str) -> Wide:
    values = {"20": "090000", "10": "-1", "11": "1", "12": "0.1", "13": "7", "302": "n"}
    values |= {Wide.fields[name].fid: text for name, text in texts.items()}
    return Wide("ZW", "", values=raw(values))


@pytest.fixture
def wide_warm() -> None:
    """Have the layout learn that three of the fields are read."""
    for _ in range(5):
        for _ in range(20):
            one = wide()
            assert (one.price, one.change, one.rate) == (1, 1, Decimal("0.1"))


@pytest.mark.usefixtures("wide_warm")
@pytest.mark.parametrize("text", ["1_000", "１２", "٣", "1٣", "1e3", "0x10", "+-1", "1 0", "五", "nan", "- 1"])
@pytest.mark.parametrize("name", ["price", "change", "rate", "quantity"])
@pytest.mark.parametrize("escaped", [False, True])
def test_what_python_takes_for_a_number_and_kiwoom_does_not_send_is_none(name: str, text: str, escaped: bool) -> None:
    record = wide(**{name: text})
    if not escaped:
        values = json.dumps(json.loads(record.values), ensure_ascii=False, separators=(",", ":"))
        record = Wide("ZW", "", values=values.encode())

    with pytest.raises(FieldError) as caught:
        getattr(record, name)

    assert (caught.value.text, caught.value.name, caught.value.reason) == (text, name, "")
    others = {"price": 1, "change": 1, "quantity": 7}
    others.pop(name, None)
    assert {other: getattr(record, other) for other in others} == others


@pytest.mark.usefixtures("wide_warm")
def test_a_name_with_an_underscore_costs_no_number() -> None:
    record = wide(stock_name="a_b", price="+0070", change="-0")

    assert (record.price, record.change, record.quantity, record.stock_name) == (70, 0, 7, "a_b")


@pytest.mark.usefixtures("wide_warm")
@pytest.mark.parametrize("text", ["", " ", "  "])
@pytest.mark.parametrize("name", ["price", "change", "rate", "quantity"])
def test_an_empty_number_is_none(name: str, text: str) -> None:
    assert getattr(wide(**{name: text}), name) is None


# What is no JSON.


@pytest.mark.parametrize(
    ("encoded", "fids"),
    [
        (b'{"21":"a"b","131":"5","132":"6"}', {"131": "5", "132": "6"}),
        (b'{"21":"a\x01b","131":"5"}', {"131": "5"}),
        (b'{"21":"a","131":"5', {"21": "a"}),
        (b'{"21":"a","131":"5"', {"21": "a"}),
        (b'{"21":"a","131"', {"21": "a"}),
        (b'{"21":"a" "131":"5"}', {"131": "5"}),
        (b'{"21":"a",,"131" : "5" }', {"21": "a", "131": "5"}),
        (b'{"21":"\\x","131":"5"}', {"131": "5"}),
        (b'{"21":"\\ud800","131":"5"}', {"131": "5"}),
        (b'{"21":nonsense,"131":"5"}', {"131": "5"}),
        (b'{"21":"a"}x', {"21": "a"}),
        (b'{"21":"\xff","131":"5"', {"21": "\ufffd"}),
        ('{"302":"주식","131":5x}'.encode(), {"302": "주식"}),
    ],
)
def test_of_what_is_no_json_those_fids_are_read_that_stand_there_whole(encoded: bytes, fids: dict[str, str]) -> None:
    found, wrong = read_fids(encoded)

    assert found == fids
    assert wrong
    for warm in (False, True):
        layout = warmed_up(FIDS, FIDS, ("131", "132")) if warm else Layout(FIDS)
        assert read(layout, encoded, ("131", "132")) == {"131": fids.get("131"), "132": fids.get("132")}


def test_threads_that_share_a_layout_read_what_is_there() -> None:
    """Two sessions in two threads share a type's layout, and one may change it while the other decodes."""
    layout = Layout(FIDS)
    wrong: list[object] = []

    def use(seed: int) -> None:
        source = random.Random(seed)
        order = source.sample(FIDS, len(FIDS))
        for number in range(3_000):
            if number % 100 == 0:
                order = source.sample(FIDS, len(FIDS))
                fids = tuple(source.sample(FIDS, source.randint(1, 3)))
            encoded, values = row(order, number)
            found = read(layout, encoded, fids)
            if found != {fid: values[fid] for fid in fids}:
                wrong.append((order, fids, found))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong, wrong[0]


def test_a_name_in_korean_does_not_cost_the_row_its_struct() -> None:
    """Nothing in it can be taken for a number; digits and spaces of other scripts could be."""
    layout = Layout(FIDS)
    for _ in range(40):
        read(layout, raw({"21": "165208", "131": "삼성전자", "132": "5"}), ("131", "132"))

    for name, plain in (("삼성전자", True), ("카카오 뱅크", True), ("１２", False), ("٣", False), ("5\u3000", False)):
        encoded = json.dumps({"21": "165208", "131": name, "132": "5"}, ensure_ascii=False).encode()
        found = layout.decode(encoded)
        assert isinstance(found, FidStrings) is not plain, name
        assert read(layout, encoded, ("131", "132")) == {"131": name, "132": "5"}

"""What outlives a message is bounded by bytes, and nothing personal is in it: what a peer sends is given back."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kiwoom_proto.wire.decoder
from kiwoom_proto import REALTIME, MessageDecoder, Record
from kiwoom_proto.errors import FieldError
from kiwoom_proto.known import MAX_KNOWN_LENGTH, MAX_KNOWN_VALUES, KnownValues
from kiwoom_proto.realtime import fields
from kiwoom_proto.realtime.fields import Kind
from kiwoom_proto.realtime.layout import MAX_SAMPLED_BYTES, FidStrings, Layout
from kiwoom_proto.symbol import parse_item, parse_stock_code

LENGTH, COUNT = 50_000, 100
ALL_THAT_CAME = LENGTH * COUNT


def row(type_code: str, fids: dict[str, str], item: str = "005930") -> bytes:
    values = ",".join(f'"{fid}":"{text}"' for fid, text in fids.items())
    return (
        f'{{"data":[{{"values":{{{values}}},"type":"{type_code}","name":"","item":"{item}"}}],"trnm":"REAL"}}'.encode()
    )


def read_everything(record: Record) -> None:
    for name in record.fields:
        try:
            getattr(record, name)
        except FieldError as error:
            str(error)
    assert record.symbol is None or record.symbol.item
    repr(record)
    record.to_dict()


def grown_by(work: Callable[[int], object]) -> int:
    """Bytes that are held after this has been done so many times, and were not before."""
    work(3)  # what is loaded and learned when first used
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    work(COUNT)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


# Where a long text can stand.
LONG = {
    "a text": lambda fid, long: row("0B", {fid: long}),
    "digits": lambda fid, long: row("0B", {fid: "1" * len(long)}),
    "a FID": lambda fid, long: row("0B", {f"{fid}{'7' * len(long)}": "1"}),
    "an item": lambda fid, long: row("0B", {fid: "1"}, item=f"{fid}{long}"),
    "a type": lambda fid, long: row(f"{fid}{long}", {fid: "1", "9001": long}),
    "an order": lambda fid, long: row("00", {"9201": long, "9203": long, "9001": long, "302": long, fid: long}, ""),
    "a market phase": lambda fid, long: row("0s", {"215": long, "20": long}, ""),
}


@pytest.mark.parametrize("make", LONG.values(), ids=list(LONG))
def test_what_long_messages_held_is_given_back(make: Callable[[str, str], bytes]) -> None:
    def work(count: int) -> None:
        decoder = MessageDecoder()
        for number in range(count):
            for message in decoder.decode(make(str(number), f"{number:03}" + "x" * LENGTH)):
                assert isinstance(message, Record)
                read_everything(message)

    assert grown_by(work) < ALL_THAT_CAME / 10


def test_a_kind_keeps_short_texts_only() -> None:
    known = Kind("reversed", lambda text: text[::-1]).known
    short, long = "x" * MAX_KNOWN_LENGTH, "y" * (MAX_KNOWN_LENGTH + 1)

    assert (known[short], known[long], known[long]) == (short[::-1], long[::-1], long[::-1])

    assert list(known) == [short]


def test_items_that_are_long_are_parsed_and_not_kept() -> None:
    item = "7" * (MAX_KNOWN_LENGTH + 1)

    symbol = parse_item(item)

    assert symbol is not None and symbol.item == item
    assert parse_item(item) is not symbol
    assert parse_item("005930") is parse_item("005930") is parse_stock_code("A005930")


@pytest.mark.parametrize("kind", [fields.text, fields.decimal, fields.quantity, Kind("code", str.strip)])
def test_however_many_short_texts_come_what_is_kept_of_them_has_a_limit(kind: Kind[Any]) -> None:
    def work() -> None:
        for number in range(2 * MAX_KNOWN_VALUES - 1):
            kind.known[f"{number:0{MAX_KNOWN_LENGTH}}"]

    kind.known.clear()
    gc.collect()
    tracemalloc.start()
    work()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(kind.known) == MAX_KNOWN_VALUES - 1
    assert held < MAX_KNOWN_VALUES * 512
    kind.known.clear()


def test_every_kind_of_the_catalogue_keeps_what_it_knows_in_such_a_cache() -> None:
    kinds = {field.kind for cls in REALTIME.values() for field in cls.fields.values()}

    assert {type(kind.known) for kind in kinds if not kind.masked} == {KnownValues}
    assert len({id(kind.known) for kind in kinds if not kind.masked}) < 24


# Personal.


def holders_of(text: str) -> Iterator[object]:
    """Every object that the collector can find which has a string with this text in it."""
    waiting = gc.get_objects()
    seen = {id(waiting), *map(id, waiting)}
    while waiting:
        holder = waiting.pop()
        if type(holder).__name__ in ("frame", "cell"):
            continue
        for thing in gc.get_referents(holder):
            if isinstance(thing, str | bytes):
                if text in (thing if isinstance(thing, str) else thing.decode("latin-1")):
                    yield holder
            elif id(thing) not in seen:
                seen.add(id(thing))
                waiting.append(thing)


@pytest.mark.parametrize("type_code", ["00", "04"])
def test_an_account_number_that_was_read_is_kept_nowhere(type_code: str) -> None:
    def read(number: int) -> None:
        [record] = MessageDecoder().decode(row(type_code, {"9201": f"{number}", "9001": "A005930", "302": " 삼 "}, ""))
        assert isinstance(record, Record)
        for name, field in record.fields.items():
            if field.kind.masked:
                assert int(getattr(record, name)) == number
        read_everything(record)

    for _ in range(20):  # looked at row by row, and taken as learned
        read(81_000_000 * 137)

    assert [type(holder) for holder in holders_of(str(81_000_000 * 137))] == []


def test_the_account_number_of_a_type_of_ones_own_is_kept_nowhere_either() -> None:
    kind = Kind("secret", lambda text: text.strip() or None, masked=True)

    assert kind.known["12345"] == "12345"

    assert not kind.known


# What a connection and a type learn.


def test_what_a_decoder_remembers_of_messages_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kiwoom_proto.wire.decoder, "MAX_ENVELOPE_BYTES", 5000)
    decoder = MessageDecoder()

    for number in range(200):
        [record] = decoder.decode(row("0B", {"10": "1"}, f"{number}{'x' * 100}"))
        assert isinstance(record, Record) and record.item.startswith(str(number))
        kept = (*decoder._envelopes, *decoder._envelopes_by_both)
        assert 0 < sum(map(len, kept)) <= decoder._envelope_bytes <= 5000


def test_nothing_is_learned_of_a_row_that_is_far_too_long() -> None:
    layout = Layout(("1", "2"))
    short, long = b'{"1":"a","2":"b"}', b'{"1":"a","2":"b","' + b"7" * MAX_SAMPLED_BYTES + b'":""}'

    def read(values: bytes) -> None:
        decoded = layout.decode(values)
        text = decoded.text("2") if isinstance(decoded, FidStrings) else decoded.f2
        assert text == "b"

    for values in (*[short] * 30, *[long] * 30, *[short] * 30):
        read(values)

    learned = (layout._keys, layout._order, layout._plan[0])
    assert all(len(text) < 10 for text in (*learned[0], *learned[1], learned[2]))

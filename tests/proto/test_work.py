"""No message makes the program stand still: what is done for one is bounded, whatever it holds, and so is what is said.

Work is counted and not timed: what is parsed, looked at, converted and reported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import kiwoom_proto.realtime.layout
import kiwoom_proto.wire.tolerant as tolerant
from kiwoom_proto import AfterHoursQuote, MessageDecoder, Record, SystemNotice, UnknownMessage
from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime import fields
from kiwoom_proto.realtime.fields import Field
from kiwoom_proto.realtime.layout import MAX_FIDS
from kiwoom_proto.wire.messages import Reply
from kiwoom_proto.wire.tolerant import (
    MAX_BAD_ROWS,
    MAX_COMMAS,
    MAX_ESCAPES,
    MAX_REPLY,
    MAX_ROWS,
    MAX_STRANGE,
    MAX_STRANGE_IN_ONE,
    MAX_TOKENS,
    MAX_VALUES,
    REPLIES,
    REPORTED_BAD_ROWS,
)

SIZE = 4 * 1024 * 1024
GOOD = b'{"values":{"21":"165208","131":"43955"},"type":"0E","name":"n","item":"005930"}'
NEW = GOOD[:-1] + b',"new":"Y"}'
BESIDE = len(NEW) - len(b'{"21":"165208","131":"43955"}')
SPOILT = b'{"values":{},"type":"\\ud800"}'  # which no parser of whole messages takes
DEEP = b"[" * 2_000_000 + b"]" * 2_000_000
TAIL = b'],"trnm":"REAL"}'


def filled(head: bytes, unit: bytes, tail: bytes, size: int = SIZE) -> bytes:
    """A message of a size, filled with the same over and over again."""
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def real(unit: bytes, last: bytes) -> bytes:
    return filled(b'{"data":[', unit + b",", last + TAIL)


def members(count: int) -> bytes:
    return b"".join(b'"%d":1,' % number for number in range(count))


class Work:
    """Counts what a decoder parses, and how many parts it looks at, in the tolerant way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parsed = self.members = self.looked_at = 0
        for name in ("_head", "_values", "_row", "_any", "_members", "_list", "_text", "_only_text"):
            monkeypatch.setattr(tolerant, name, SimpleNamespace(decode=self._counting(getattr(tolerant, name).decode)))
        element, tokens = tolerant._element, tolerant._tokens

        def counting_element(text: bytes, start: int) -> Any:
            self.looked_at += 1
            return element(text, start)

        def counting_tokens(text: bytes, start: int) -> Iterator[Any]:
            for token in tokens(text, start):
                self.looked_at += 1
                yield token

        monkeypatch.setattr(tolerant, "_element", counting_element)
        monkeypatch.setattr(tolerant, "_tokens", counting_tokens)

    def _counting(self, decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counting(raw: Any) -> Any:
            self.parsed += 1
            result = decode(raw)
            self.members += len(result) if isinstance(result, dict | list) else 0
            return result

        return counting


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


ATTACKS: dict[str, tuple[Callable[[], bytes], int]] = {
    "numbers for rows": (lambda: real(b"1", b"1"), 0),
    "empty objects for rows": (lambda: real(b"{}", b"{}"), 0),
    "empty lists for rows": (lambda: real(b"[]", b"[]"), 0),
    "texts for rows": (lambda: real(b'""', b'""'), 0),
    "the shortest rows": (lambda: real(b'{"type":"","values":1}', b'{"type":"","values":1}'), MAX_ROWS),
    "the shortest rows and a spoilt one": (lambda: real(b'{"type":"","values":1}', SPOILT), MAX_ROWS),
    "short rows and a spoilt one": (lambda: real(GOOD, SPOILT), MAX_ROWS),
    "a spoilt row and short ones": (lambda: filled(b'{"data":[' + SPOILT, b"," + GOOD, TAIL), MAX_ROWS - 1),
    "rows without values": (lambda: real(b'{"type":"","item":""}', b"1"), MAX_STRANGE // 21 + 1),
    "rows with something new": (lambda: real(NEW, GOOD), MAX_STRANGE // BESIDE + 1),
    "good rows and numbers": (lambda: real(GOOD + b",1", b"1"), MAX_BAD_ROWS),
    "a row of many members": (lambda: real(b'{"type":"",' + members(300_000) + b'"x":1}', GOOD), 1),
    "many members beside the rows": (lambda: b"{" + members(300_000) + b'"data":[' + GOOD + TAIL, 1),
    "brackets": (lambda: b"[" * SIZE, 0),
    "brackets for a row": (lambda: filled(b'{"data":[', b"[", b""), 0),
    "braces for a row": (lambda: filled(b'{"data":[', b'{"a":', b""), 0),
    "a row of brackets that close": (
        lambda: b'{"data":[' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"," + GOOD + TAIL,
        1,
    ),
    "many rows of brackets": (lambda: real(b"[" * 2000 + b"]" * 2000, GOOD), 1),
    "brackets of four levels": (lambda: real(b"[[[[]]]],[" + b"[" * 2000 + b"]" * 2000 + b"]", GOOD), 1),
    "brackets for values": (lambda: filled(b'{"data":[' + GOOD + b',{"type":"0E","values":', b"[", b"}" + TAIL), 1),
    "quotes": (lambda: filled(b'{"data":[', b'"', b""), 0),
    "commas": (lambda: filled(b'{"data":[', b",", b""), 0),
    "backslashes": (lambda: filled(b'{"data":["', b"\\", b""), 0),
    "commas and no rows": (lambda: filled(b'{"trnm":"REAL"', b',"":', b""), 0),
}


@pytest.mark.parametrize(("make", "good"), ATTACKS.values(), ids=list(ATTACKS))
def test_no_four_mebibytes_take_long_and_what_was_read_until_then_stays(
    work: Work, make: Callable[[], bytes], good: int
) -> None:
    payload = make()

    messages = MessageDecoder().decode(payload)

    rows = [message for message in messages if isinstance(message, Record)]
    others = [message for message in messages if isinstance(message, UnknownMessage)]
    assert len(rows) + len(others) == len(messages)
    assert len(rows) == good
    assert 1 <= len(others) <= REPORTED_BAD_ROWS + 1
    if payload.endswith(TAIL):
        assert others[-1] is messages[-1] or len(others) < REPORTED_BAD_ROWS
    # Each of these takes about a microsecond, or less.
    assert work.parsed < 100_000
    assert work.members <= MAX_COMMAS
    assert work.looked_at <= MAX_TOKENS + 1
    assert all(len(message.error) < 300 for message in others)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (
            real(b"1", b"1"),
            f"{MAX_BAD_ROWS} bad rows, 16 reported one by one; more than {MAX_BAD_ROWS:,} rows that cannot",
        ),
        (real(GOOD, SPOILT), f"more than {MAX_ROWS:,} rows, nothing was read from data[{MAX_ROWS}] on"),
        (
            real(NEW, GOOD),
            f"more than {MAX_STRANGE:,} bytes of rows with something wrong or unknown in them, nothing was",
        ),
        (
            filled(b'{"data":[' + GOOD + b',{"type":"0E","values":', b'{"a":', b"}" + TAIL),
            "the end of data[1] is too far away, nothing was read from there on",
        ),
        (b"{" + members(9000) + b'"data":[' + GOOD + TAIL, f"more than {MAX_STRANGE_IN_ONE:,} bytes beside the rows"),
    ],
    ids=["bad rows", "rows", "strange rows", "depth", "members"],
)
def test_the_last_word_on_a_message_says_what_was_not_read_and_has_all_of_it(payload: bytes, error: str) -> None:
    last = MessageDecoder().decode(payload)[-1]

    assert isinstance(last, UnknownMessage)
    assert f"REAL: {error}" in last.error
    assert last.payload == payload


def test_a_row_with_too_much_beside_its_values_does_not_take_its_neighbours_along() -> None:
    row = b'{"type":"0E",' + members(9000) + b'"item":"1"}'
    assert len(row) > MAX_STRANGE_IN_ONE

    before, bad, after = MessageDecoder().decode(b'{"data":[' + b",".join((GOOD, row, GOOD)) + TAIL)

    assert isinstance(before, Record) and isinstance(after, Record)
    assert bad == UnknownMessage(row, "REAL: data[1] has more than 65,536 bytes beside its values")


def test_a_row_may_have_any_amount_of_values() -> None:
    values = b"{" + members(300_000) + b'"131":"5"}'
    payload = b'{"data":[{"values":' + values + b',"type":"0E","new":1}' + TAIL

    [record] = MessageDecoder().decode(payload)

    assert isinstance(record, Record)
    assert record.values == values
    assert record.extra == {"new": 1}


@pytest.mark.parametrize("count", [MAX_ROWS, MAX_ROWS + 1])
def test_as_many_rows_as_the_limit_are_read_whole(count: int) -> None:
    messages = MessageDecoder().decode(b'{"data":[' + b",".join([GOOD] * count) + TAIL)

    assert [type(message) for message in messages[:MAX_ROWS]] == [type(messages[0])] * MAX_ROWS
    assert [message.sequence for message in messages] == list(range(1, count + 1))  # type: ignore[union-attr]
    assert [isinstance(message, UnknownMessage) for message in messages[MAX_ROWS:]] == [True] * (count - MAX_ROWS)


def test_a_message_full_of_escapes_that_is_json_is_read_as_ever() -> None:
    name = "\\u0041" * (MAX_ESCAPES + 1)

    [record] = MessageDecoder().decode(b'{"data":[' + GOOD.replace(b'"n"', f'"{name}"'.encode()) + TAIL)

    assert isinstance(record, Record)
    assert record.name == "A" * (MAX_ESCAPES + 1)


# Messages without rows.


def test_what_is_checked_of_replies_is_checked_of_all() -> None:
    assert len(REPLIES) == 9


@pytest.mark.parametrize("trnm", sorted(REPLIES | {"SYSTEM"}))
@pytest.mark.parametrize("unit", [b"[],", b"{},", b'{"":[]},', b'["0",""],', b"0,", b'"",'])
def test_a_reply_with_far_too_many_values_is_unknown(work: Work, trnm: str, unit: bytes) -> None:
    payload = filled(f'{{"trnm":"{trnm}","return_code":0,"data":['.encode(), unit, b"1]}", 300_000)

    [message] = MessageDecoder().decode(payload)

    assert message == UnknownMessage(payload, f"{trnm}: more than {MAX_VALUES:,} values")
    assert work.parsed < 5


def test_a_reply_may_have_as_many_rows_as_a_market_has_stocks() -> None:
    row = {str(fid): "000001500" for fid in range(12)}
    payload = json.dumps({"trnm": "CNSRREQ", "seq": "0", "data": [row] * 4000}).encode()

    [reply] = MessageDecoder().decode(payload)

    assert isinstance(reply, Reply)
    assert len(reply.members["data"]) == 4000


@pytest.mark.parametrize("trnm", ["LOGIN", "SYSTEM"])
def test_a_long_text_in_a_reply_is_no_many_values(trnm: str) -> None:
    text = "x, " * (MAX_VALUES - 10)

    [message] = MessageDecoder().decode(json.dumps({"trnm": trnm, "return_code": 1, "return_msg": text}))

    assert isinstance(message, Reply | SystemNotice)
    assert message.message == text


@pytest.mark.parametrize("trnm", sorted(REPLIES | {"SYSTEM"}))
def test_a_reply_that_is_far_too_long_is_unknown(work: Work, trnm: str) -> None:
    payload = json.dumps({"trnm": trnm, "return_code": 1, "return_msg": "x" * MAX_REPLY}).encode()

    [message] = MessageDecoder().decode(payload)

    assert message == UnknownMessage(payload, f"{trnm}: more than 1,048,576 bytes")
    assert work.parsed < 5


# Rows that are read later.


def quote(values: bytes) -> AfterHoursQuote:
    [record] = MessageDecoder().decode(b'{"data":[{"values":' + values + b',"type":"0E","item":"1"}' + TAIL)
    assert isinstance(record, AfterHoursQuote)
    return record


@pytest.mark.parametrize(
    "values",
    [
        filled(b"[", b"1,", b"1]"),
        filled(b"[", b"{},", b"{}]"),
        filled(b"[", b'{"131":"5"},', b"{}]"),
        filled(b"{", b'"131":"5",', b'"21":"1"}'),
        b"{" + members(300_000) + b'"21":"1"}',
        filled(b"{", b'"131":"5",', b"}"),
        filled(b"{", b'"1":"', b"}"),
    ],
    ids=["numbers", "empty objects", "objects", "one FID again and again", "many FIDs", "no JSON", "no pair"],
)
def test_reading_a_row_of_four_mebibytes_takes_few_steps(monkeypatch: pytest.MonkeyPatch, values: bytes) -> None:
    steps = 0

    class Counted:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def decode(self, raw: Any) -> Any:
            nonlocal steps
            result = self.inner.decode(raw)
            steps += len(result) if isinstance(result, dict | list) else 1
            return result

        def finditer(self, text: bytes) -> Iterator[Any]:
            nonlocal steps
            for pair in self.inner.finditer(text):
                steps += 1
                yield pair

    record = quote(values)
    for name in ("_strict", "_tolerant", "_list", "_string", "_pair"):
        monkeypatch.setattr(kiwoom_proto.realtime.layout, name, Counted(getattr(kiwoom_proto.realtime.layout, name)))

    for read in (Record.fids, Record.to_dict, repr, lambda record: record.fid("131")):
        steps = 0
        read(record)
        assert steps < 4 * MAX_FIDS


def test_of_a_row_with_too_many_fids_the_first_are_read_and_the_rest_is_an_error() -> None:
    class Own(Record, tag="Own"):
        first = Field("131", fields.quantity)
        last = Field("21", fields.quantity)

    values = b'{"131":"5",' + b'"7":"0",' * MAX_FIDS + b'"21":"165208"}'
    [record] = MessageDecoder({"zz": Own}).decode(b'{"data":[{"values":' + values + b',"type":"zz","item":"1"}' + TAIL)
    assert isinstance(record, Own)

    assert record.first == 5
    assert record.fids() == {"131": "5", "7": "0"}
    with pytest.raises(FieldError, match="cannot be read: more than 16,384 FIDs"):
        assert record.last


def test_of_what_is_no_json_and_very_long_the_first_fids_are_read() -> None:
    record = quote(b'{"131":"5","302":"' + b"x" * SIZE + b'"3","21":"165208"}')

    assert record.fids() == {"131": "5"}
    with pytest.raises(FieldError, match="cannot be read"):
        assert record.time

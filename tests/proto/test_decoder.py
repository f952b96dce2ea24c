"""The decoder: every published message is understood, nothing is lost, and no input raises."""

from __future__ import annotations

import datetime
import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from kiwoom_proto import (
    AfterHoursQuote,
    Balance,
    MessageDecoder,
    OrderExecution,
    Record,
    Symbol,
    SystemNotice,
    Trade,
    UnknownMessage,
)
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.wire.messages import Element, Ping, Reg, Reply, Row, encode, encode_rows
from kiwoom_proto.wire.tolerant import REPORTED_BAD_ROWS

DATA = Path(__file__).parents[1] / "data"
EXAMPLES: list[dict[str, str]] = [
    json.loads(line) for line in (DATA / "messages.jsonl").read_text(encoding="utf-8").splitlines()
]
RECEIVED = [example["msg"] for example in EXAMPLES if example["dir"] == "recv"]
RECEIVED_REAL = [text for text in RECEIVED if json.loads(text)["trnm"] == "REAL"]

GOOD = b'{"values":{"21":"165208","131":"43955"},"type":"0E","name":"n","item":"005930"}'
GOOD_FIDS = {"21": "165208", "131": "43955"}
DEEP = b"[" * 100_000 + b"]" * 100_000


def real(*rows: bytes, envelope: bytes = b"") -> bytes:
    """A REAL message of these rows, members in the order that was measured."""
    return b'{"data":[' + b",".join(rows) + b"]," + envelope + b'"trnm":"REAL"}'


def decode(payload: bytes | str) -> list[Any]:
    return list(MessageDecoder().decode(payload))


def only(payload: bytes | str) -> Any:
    [message] = decode(payload)
    return message


def fids_of(messages: list[Any]) -> list[dict[str, str]]:
    return [message.fids() for message in messages if isinstance(message, Record)]


def shuffled(value: Any, seed: int) -> Any:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, list):
        return [shuffled(element, seed) for element in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    random.Random(seed).shuffle(keys)
    return {key: shuffled(value[key], seed) for key in keys}


# The published messages.


def test_the_examples_cover_what_the_server_sends() -> None:
    assert len(EXAMPLES) == 76
    assert {json.loads(text)["trnm"] for text in RECEIVED} >= {"REAL", "PING", "LOGIN", "REG", "CNSRREQ"}
    assert len(RECEIVED_REAL) > 30


@pytest.mark.parametrize("text", RECEIVED)
def test_every_published_message_is_understood(text: str) -> None:
    messages = decode(text)

    assert messages
    assert not any(isinstance(message, UnknownMessage) for message in messages)


def check_rows(text: str, messages: list[Any]) -> None:
    rows = json.loads(text)["data"]
    assert len(messages) == len(rows)
    for record, row in zip(messages, rows, strict=True):
        assert isinstance(record, Record)
        assert list(record.fids().items()) == list(row["values"].items())
        assert (record.type_code, record.item) == (row["type"], row["item"])
        assert (record.name, record.venue_code) == (row.get("name", ""), row.get("stexTp", ""))
        assert all(record.fid(fid) == value for fid, value in row["values"].items())
        known = {"values", "type", "item", "name", "stexTp"}
        assert (record.extra or {}) == {key: value for key, value in row.items() if key not in known}


@pytest.mark.parametrize("text", RECEIVED_REAL)
def test_every_row_of_every_published_message_keeps_all_that_is_in_it(text: str) -> None:
    check_rows(text, decode(text))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", RECEIVED_REAL)
def test_the_order_of_keys_makes_no_difference(text: str, seed: int) -> None:
    """Not to the members of the message, those of a row, or the FIDs."""
    other = json.dumps(shuffled(json.loads(text), seed), ensure_ascii=bool(seed % 2), indent=seed)

    check_rows(other, decode(other))


@pytest.mark.parametrize("text", RECEIVED_REAL)
def test_a_member_that_nobody_knows_changes_nothing_else(text: str) -> None:
    message = json.loads(text)
    message["surprise"] = {"a": [1, None]}

    records = decode(json.dumps(message))

    assert [record.extra for record in records] == [{"surprise": {"a": [1, None]}}] * len(message["data"])
    assert fids_of(records) == [row["values"] for row in message["data"]]


@pytest.mark.parametrize("official_order", [True, False])
def test_the_official_example_of_after_hours_quotes(official_order: bool) -> None:
    [text] = [example["msg"] for example in EXAMPLES if example["kind"] == "REAL/0E"]
    if not official_order:
        row = json.loads(text)["data"][0]
        data = [{key: row[key] for key in ("values", "type", "name", "item")}]
        text = json.dumps({"data": data, "trnm": "REAL"}, ensure_ascii=False, separators=(",", ":"))
        assert text.startswith('{"data":[{"values":{"21"')

    quote = only(text)

    assert type(quote) is AfterHoursQuote
    assert quote.symbol == Symbol("005930")
    assert quote.time == datetime.time(16, 52, 8)
    assert (quote.ask_quantity, quote.ask_quantity_change) == (43955, 156)
    assert (quote.bid_quantity, quote.bid_quantity_change) == (0, 0)
    assert (quote.name, quote.received_at, quote.extra) == ("주식시간외호가", 0, None)


# Well-formed messages.


@pytest.mark.parametrize("payload", [real(GOOD, GOOD), real(GOOD, b"null", envelope=b'"x":1,')])
def test_the_time_of_receipt_reaches_every_row(payload: bytes) -> None:
    messages = MessageDecoder().decode(payload, 1_767_345_129_000_000_000)

    for record in messages:
        if isinstance(record, AfterHoursQuote):
            assert record.received_at == 1_767_345_129_000_000_000
            assert record.exchange_time == datetime.datetime(2026, 1, 2, 16, 52, 8, tzinfo=KST)
    assert isinstance(messages[0], AfterHoursQuote)


def test_text_and_bytes_say_the_same() -> None:
    text = RECEIVED_REAL[0]

    assert decode(text) == decode(text.encode())


def test_several_rows_and_mixed_types_keep_their_order() -> None:
    types = ["0B", "0E", "9Z", "0E", "0B", "0e", "0E", "??"]
    rows = [Row({"21": f"{number:06}"}, type_code, "n", "005930") for number, type_code in enumerate(types)]

    records = decode(encode_rows(rows))

    assert [record.type_code for record in records] == types
    assert [record.fid("21") for record in records] == [f"{number:06}" for number in range(len(types))]
    assert [type(record) for record in records] == [
        {"0E": AfterHoursQuote, "0B": Trade}.get(type_code, Record) for type_code in types
    ]


@pytest.mark.parametrize("other", ["0e", "0E ", "", "OE", "0EE"])
def test_type_codes_are_exact(other: str) -> None:
    record = only(encode_rows([Row({"131": "1"}, other, "n", "005930")]))

    assert type(record) is Record
    assert record.type_code == other
    assert record.fids() == {"131": "1"}


def test_types_of_your_own_take_the_place_of_the_catalogue() -> None:
    class Mine(Record, tag="0B"):
        pass

    types: dict[str, type[Record]] = {"0B": Mine}
    decoder = MessageDecoder(types)
    types.clear()
    mine, plain = decoder.decode(encode_rows([Row({}, "0B", "n", "1"), Row({}, "0E", "n", "1")]))

    assert (type(mine), type(plain)) == (Mine, Record)


def test_a_message_without_rows_says_nothing() -> None:
    assert decode(real()) == []


def test_whitespace_and_escapes_make_no_difference() -> None:
    payload = (
        b' \n{ "tr\\u006em" : "RE\\u0041L" , "data" : [ { "v\\u0061lues" : { "\\u0031\\u0033\\u0031" : "\\u0035" } ,'
        b' "type" : "0\\u0045" , "item" : "005930" , "name" : "\\uc8fc" } ] } \r\n'
    )

    quote = only(payload)

    assert type(quote) is AfterHoursQuote
    assert (quote.ask_quantity, quote.name) == (5, "주")


# Everything but rows.


@pytest.mark.parametrize("payload", [b'{"trnm":"PING"}', b' { "trnm" : "PING" , "x" : [1] } '])
def test_a_ping_keeps_its_exact_bytes(payload: bytes) -> None:
    assert only(payload) == Ping(payload)


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        ('{"trnm":"REG","return_code":0,"return_msg":""}', Reply("REG", "0", "", {})),
        ('{"trnm":"REMOVE","return_code":"0","return_msg":"ok"}', Reply("REMOVE", "0", "ok", {})),
        ('{"trnm":"LOGIN","return_code":0,"return_msg":"","sor_yn":"Y"}', Reply("LOGIN", "0", "", {"sor_yn": "Y"})),
        ('{"trnm":"REG","code":105110,"message":"초과"}', Reply("REG", "105110", "초과", {})),
        ('{"trnm":"CNSRREQ","seq":"2","data":null}', Reply("CNSRREQ", "0", "", {"seq": "2", "data": None})),
        ('{"trnm":"REG","return_code":null,"return_msg":null}', Reply("REG", "0", "", {})),
        ('{"trnm":"REG","return_code":" 3 "}', Reply("REG", "3", "", {})),
    ],
)
def test_replies_are_read_under_either_name(payload: str, reply: Reply) -> None:
    assert only(payload) == reply
    assert reply.ok == (reply.code == "0")


@pytest.mark.parametrize("trnm", ["CNSRLST", "CNSRREQ", "CNSRCLR", "GCNSRLST", "GCNSRREQ", "GCNSRCLR"])
def test_condition_search_replies_keep_their_members(trnm: str) -> None:
    reply = only(json.dumps({"trnm": trnm, "return_code": 0, "data": [["0", "조건1"]]}))

    assert reply == Reply(trnm, "0", "", {"data": [["0", "조건1"]]})


@pytest.mark.parametrize("code", ["1.5", "true", "[]", "{}"])
def test_a_reply_whose_code_is_no_code_is_unknown(code: str) -> None:
    payload = f'{{"trnm":"REG","return_code":{code}}}'.encode()

    message = only(payload)

    assert isinstance(message, UnknownMessage)
    assert message.payload == payload
    assert message.error.startswith("REG: return_code is ")


@pytest.mark.parametrize(
    "payload",
    [
        '{"trnm":"SYSTEM","code":"R10001","message":"bye"}',
        '{"trnm":"SYSTEM","return_code":"R10001","return_msg":"bye"}',
        '{"message":"bye","code":"R10001","trnm":"SYSTEM"}',
    ],
)
def test_a_system_message_is_read_under_either_name(payload: str) -> None:
    assert only(payload) == SystemNotice("R10001", "bye")


def test_what_else_a_system_message_holds_is_kept() -> None:
    message = only('{"trnm":"SYSTEM","code":"R10001","message":"bye","x":1}')
    assert message == SystemNotice("R10001", "bye", {"x": 1})


# Bad messages: the whole is one UnknownMessage with its exact bytes.

BAD_MESSAGES: list[tuple[bytes, str]] = [
    (b"", "not a JSON text"),
    (b" ", "not a JSON text"),
    (b"hello", "not a JSON text"),
    (b"{", "not a JSON text"),
    (b'{"trnm":"REAL","data":[', "not a JSON text"),
    (real(GOOD)[:-1], "not a JSON text"),
    (real(GOOD) + b"x", "not a JSON text"),
    (real(GOOD) + real(GOOD), "not a JSON text"),
    (b"\xef\xbb\xbf" + real(GOOD), "not a JSON text"),
    (real(GOOD).decode().encode("utf-16"), "not a JSON text"),
    (b"<html>maintenance</html>", "not a JSON text"),
    (b"\xff\xfe\x00", "not a JSON text"),
    ('{"trnm":"조건"}'.encode("cp949"), "not UTF-8 at byte "),
    (b"null", "a JSON null where a message object belongs"),
    (b"true", "a JSON boolean where a message object belongs"),
    (b"5", "a JSON number where a message object belongs"),
    (b"1.5", "a JSON number where a message object belongs"),
    (b'"REAL"', "a JSON string where a message object belongs"),
    (b"[" + real(GOOD) + b"]", "a JSON list where a message object belongs"),
    (b"{}", "no trnm"),
    (b'{"data":[' + GOOD + b"]}", "no trnm"),
    (b'{"trnm":null}', "no trnm"),
    (b'{"trnm":"real","data":[]}', "unknown trnm"),
    (b'{"trnm":"PONG"}', "unknown trnm"),
    (b'{"trnm":""}', "unknown trnm"),
    (b'{"trnm":5}', "unknown trnm"),
    (b'{"trnm":["REAL"],"data":[]}', "unknown trnm"),
    (b'{"trnm":{}}', "unknown trnm"),
    (b'{"trnm":"REAL"}', "REAL: data is null where a list of rows belongs"),
    (b'{"trnm":"REAL","data":null}', "REAL: data is null where a list of rows belongs"),
    (b'{"trnm":"REAL","data":"x"}', "REAL: data is string where a list of rows belongs"),
    (b'{"trnm":"REAL","data":5}', "REAL: data is number where a list of rows belongs"),
    (b'{"trnm":"REAL","data":false}', "REAL: data is boolean where a list of rows belongs"),
    (DEEP, "a JSON list where a message object belongs"),
    (b"[" * 100_000, "a JSON list where a message object belongs"),
    (b'{"trnm":"REAL","data":' + b"[" * 100_000, "nested too deeply"),
    (b'{"trnm":' + DEEP + b"}", "nested too deeply"),
    (b'{"x":' + DEEP + b',"data":[' + GOOD + b'],"trnm":"REAL"}', "nested too deeply"),
]


@pytest.mark.parametrize(("payload", "error"), BAD_MESSAGES, ids=[repr(payload[:40]) for payload, _ in BAD_MESSAGES])
def test_a_message_that_says_nothing_is_reported_with_its_exact_bytes(payload: bytes, error: str) -> None:
    message = only(payload)

    assert isinstance(message, UnknownMessage)
    assert message.payload == payload
    assert error in message.error


def test_a_text_that_is_no_unicode_is_reported_and_not_raised() -> None:
    assert isinstance(only("\ud800"), UnknownMessage)
    assert isinstance(only('{"trnm":"\udcff"}'), UnknownMessage)


def test_an_unknown_message_does_not_show_what_it_holds() -> None:
    message = only(b'{"trnm":"TOKEN","token":"hunter2"}')

    assert "hunter2" not in repr(message)
    assert "34 bytes" in repr(message)


# Bad rows: each is an UnknownMessage with its exact bytes, among its good neighbours.

BAD_ROWS: list[tuple[bytes, str]] = [
    (b"null", "is no object that can be read"),
    (b"5", "is no object that can be read"),
    (b'"text"', "is no object that can be read"),
    (b"[]", "is no object that can be read"),
    (b"[" + GOOD + b"]", "is no object that can be read"),
    (b"{}", "has no type"),
    (b'{"values":{"131":"1"}}', "has no type"),
    (b'{"values":{"131":"1"},"item":"005930"}', "has no type"),
    (b'{"values":{"131":"1"},"type":null,"item":"005930"}', "has no type"),
    (b'{"values":{"131":"1"},"type":5,"item":"005930"}', "has no type"),
    (b'{"values":{"131":"1"},"type":[],"item":"005930"}', "has no type"),
    (b'{"values":{"131":"1"},"type":["0E","0D"],"item":"005930"}', "has no type"),
    (b'{"values":{"131":"1"},"type":[5],"item":"005930"}', "has no type"),
    (b'{"values":{"131":"1"},"type":"0E","item":"\xff"}', "has an item that is not UTF-8"),
    (b'{ "type" : "0E" ,  "x" : [ 1 , 2 ] }', "has neither values nor an item"),
    (b'{ "type" : "0E" ,  "item" : null }', "has neither values nor an item"),
]


@pytest.mark.parametrize(("row", "error"), BAD_ROWS)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_bad_row_is_reported_in_its_place_with_its_exact_bytes(row: bytes, error: str, position: int) -> None:
    rows = [GOOD, GOOD]
    rows.insert(position, row)

    messages = decode(real(*rows))

    assert len(messages) == 3
    bad = messages.pop(position)
    assert isinstance(bad, UnknownMessage)
    assert bad.payload == row
    assert bad.error == f"REAL: data[{position}] {error}"
    assert fids_of(messages) == [GOOD_FIDS, GOOD_FIDS]
    assert [type(message) for message in messages] == [AfterHoursQuote] * 2


@pytest.mark.parametrize(
    "row",
    [
        DEEP,
        b'{"values":{"131":' + DEEP + b'},"type":"0E","item":"005930"}',
        b'{"values":' + DEEP + b',"type":"0E","item":"005930"}',
        b'{"values":{},"type":"0E","item":"005930","x":' + DEEP + b"}",
        b'{"values":{},"type":' + DEEP + b',"item":"005930"}',
    ],
    ids=["row", "text of a FID", "values", "unknown member", "type"],
)
@pytest.mark.parametrize(
    ("head", "tail"),
    [(b'{"data":[', b'],"trnm":"REAL"}'), (b'{"trnm":"REAL","data": [ ', b' ] , "x" : "data" }')],
    ids=["data first", "trnm first"],
)
def test_a_row_nested_too_deeply_does_not_take_its_neighbours_along(row: bytes, head: bytes, tail: bytes) -> None:
    tricky = '{"values":{"21":"a]},{[","131":"\\\\\\"]"},"type":"0E","name":"주","item":"005930"}'.encode()
    payload = head + b" , ".join([GOOD, row, tricky, GOOD]) + tail

    messages = decode(payload)

    assert fids_of(messages) == [GOOD_FIDS, {"21": "a]},{[", "131": '\\"]'}, GOOD_FIDS]
    for message in messages:
        if isinstance(message, UnknownMessage):
            assert message.payload == row
    assert len(messages) == 4


@pytest.mark.parametrize("head", [b'{"trnm":"REAL","data":', b'{"trnm":"REAL","data":[', real(GOOD)[:-16] + b","])
def test_no_depth_of_nesting_raises(head: bytes) -> None:
    """However close it comes to the limit of the interpreter, which decoding and reading reach at different depths."""
    for depth in (*range(1, 20), *range(sys.getrecursionlimit() - 300, sys.getrecursionlimit() + 50)):
        nested = b'{"type":"0E","item":"1","values":' * (depth % 2) + b"[" * depth + b"]" * depth + b"}" * (depth % 2)
        for message in decode(head + nested + b"]" * (b'"data":[' in head) + b',"x":1,"trnm":"REAL"}'):
            if isinstance(message, Record):
                assert message.fids() in ({}, GOOD_FIDS)
                assert message.to_dict()


@pytest.mark.parametrize(
    "member",
    [b'"\xff"', b"1e999", b'"\\ud800"', b"nonsense", b'{"a":"\xff"}', b"[1e999]"],
    ids=["no UTF-8", "too large a number", "half a surrogate pair", "no JSON", "nested no UTF-8", "nested large"],
)
def test_a_bad_member_beside_a_row_nested_too_deeply_raises_nothing(member: bytes) -> None:
    """Rows that were cut out of a message that could not be parsed were never looked at as a whole."""
    bad = b'{"values":{},"type":"0E","item":"005930","x":' + member + b"}"

    messages = decode(real(DEEP, GOOD, bad, GOOD))

    assert fids_of(messages)[0] == fids_of(messages)[-1] == GOOD_FIDS
    assert isinstance(messages[0], UnknownMessage)
    assert len(messages) == 4


@pytest.mark.parametrize(
    "bad",
    [
        b'{"x":1e999}',
        b'{"values":{"131":"1"},"type":"0E","item":1e999}',
        b'{"values":{"131":"\\ud800"},"type":"0E","item":"005930"}',
        b'{"values":{"\\ud800":"1"},"type":"0E","item":"005930"}',
        b'{"values":{"131":"1"},"type":"0E","item":"\\ud800"}',
        b'{"values":{"131":"1"},"type":"0E","item":"005930","x":"\\udc00"}',
    ],
)
def test_a_number_or_escape_that_python_cannot_hold_spoils_its_own_row_at_most(bad: bytes) -> None:
    """Both are good JSON (RFC 8259, sections 6 and 8.2), whatever a parser makes of them."""
    json.loads(bad)

    messages = decode(real(GOOD, bad, GOOD))

    assert len(messages) == 3
    assert fids_of([messages[0], messages[2]]) == [GOOD_FIDS, GOOD_FIDS]
    if isinstance(messages[1], UnknownMessage):
        assert messages[1].payload == bad


@pytest.mark.parametrize("count", [REPORTED_BAD_ROWS, REPORTED_BAD_ROWS + 1, 1000])
def test_many_bad_rows_are_reported_one_by_one_up_to_a_limit_and_then_as_one(count: int) -> None:
    rows = [b'{"bad":%d}' % number for number in range(count)]
    payload = real(GOOD, *rows, GOOD)

    messages = decode(payload)

    unknown = [message for message in messages if isinstance(message, UnknownMessage)]
    assert [message.payload for message in unknown[:REPORTED_BAD_ROWS]] == rows[:REPORTED_BAD_ROWS]
    assert fids_of(messages) == [GOOD_FIDS, GOOD_FIDS]
    if count == REPORTED_BAD_ROWS:
        assert len(unknown) == REPORTED_BAD_ROWS
    else:
        assert len(unknown) == REPORTED_BAD_ROWS + 1
        assert unknown[-1] is messages[-1]
        assert unknown[-1].payload == payload
        assert unknown[-1].error == f"REAL: {count} bad rows, {REPORTED_BAD_ROWS} reported one by one"


# Rows that are not quite right, and still say something.


@pytest.mark.parametrize(
    ("values", "fids"),
    [
        (b"null", {}),
        (b"[]", {}),
        (b"5", {}),
        (b'"21"', {}),
        (b"true", {}),
        (b"{}", {}),
        (b'[{"21":"165208"},{"131":"5"}]', {"21": "165208", "131": "5"}),
        (b'{"21":"165208","131":5}', {"21": "165208", "131": "5"}),
        (b'{"21":"165208","131":null}', {"21": "165208"}),
        (b'{"21":"165208","131":["5"]}', {"21": "165208", "131": '["5"]'}),
        (b'{"21":"165208","131":1e999}', {"21": "165208", "131": "1e999"}),
    ],
)
@pytest.mark.parametrize("type_code", ["0E", "??"])
def test_strange_values_still_give_a_record(values: bytes, fids: dict[str, str], type_code: str) -> None:
    row = b'{"values":' + values + b',"type":"' + type_code.encode() + b'","name":"n","item":"005930"}'

    first, record, last = decode(real(GOOD, row, GOOD))

    assert record.fids() == fids
    assert record.fid("131") == fids.get("131")
    assert (record.type_code, record.item) == (type_code, "005930")
    assert fids_of([first, last]) == [GOOD_FIDS, GOOD_FIDS]


def test_a_quote_with_strange_values_reads_what_is_there() -> None:
    quote = only(real(b'{"values":[{"21":"165208","131":7,"132":null}],"type":"0E","item":"005930"}'))

    assert type(quote) is AfterHoursQuote
    assert (quote.time, quote.ask_quantity, quote.ask_quantity_change) == (datetime.time(16, 52, 8), 7, None)


@pytest.mark.parametrize("row", [b'{"type":"0E","item":"005930"}', b'{"item":"005930","name":"n","type":"0E"}'])
def test_a_row_without_values_is_a_record_without_fids(row: bytes) -> None:
    record = only(real(row))

    assert type(record) is AfterHoursQuote
    assert (record.fids(), record.ask_quantity, record.item) == ({}, None, "005930")


def test_an_object_where_the_list_of_rows_belongs_is_taken_as_one_row() -> None:
    quote = only(b'{"trnm":"REAL","data":' + GOOD + b"}")

    assert type(quote) is AfterHoursQuote
    assert quote.fids() == GOOD_FIDS


def test_an_object_that_is_no_row_where_the_list_of_rows_belongs_is_reported_with_its_exact_bytes() -> None:
    message = only(b'{"trnm":"REAL","data": {"a" : 1} }')

    assert isinstance(message, UnknownMessage)
    assert (message.payload, message.error) == (b'{"a" : 1}', "REAL: data[0] has no type")


def test_unknown_members_of_row_and_message_are_kept() -> None:
    row = b'{"values":{"131":"5"},"type":"0E","name":"n","item":"005930","new":{"a":[1,null]},"seq":7}'

    first, second = decode(real(row, GOOD, envelope=b'"return_code":0,"seq":1,'))

    assert first.extra == {"return_code": 0, "seq": 7, "new": {"a": [1, None]}}
    assert second.extra == {"return_code": 0, "seq": 1}
    assert (first.ask_quantity, second.ask_quantity) == (5, 43955)


@pytest.mark.parametrize(("member", "value"), [("name", None), ("name", 5), ("stexTp", None), ("stexTp", ["ND"])])
def test_a_member_of_an_unexpected_type_is_kept_too(member: str, value: object) -> None:
    row: dict[str, object] = {"values": {"131": "5"}, "type": "0E", "item": "005930", member: value}

    quote = only(json.dumps({"data": [row], "trnm": "REAL"}))

    assert type(quote) is AfterHoursQuote
    assert (quote.ask_quantity, quote.name, quote.venue_code) == (5, "", "")
    assert quote.extra == {member: value}


# What a row cannot do without is its type and its values: the official page requires no element of a response.

ODD_ROWS: list[tuple[dict[str, object], str, dict[str, object]]] = [
    ({"type": "0E"}, "", {}),
    ({"type": "0E", "name": "n"}, "", {}),
    ({"type": "0E", "item": None}, "", {"item": None}),
    ({"type": "0E", "item": None, "name": None}, "", {"item": None, "name": None}),
    ({"type": "0E", "item": []}, "", {"item": []}),
    ({"type": "0E", "item": ["005930"]}, "005930", {"item": ["005930"]}),
    (
        {"type": ["0E"], "item": ["005930"], "name": ["n"]},
        "005930",
        {"type": ["0E"], "item": ["005930"], "name": ["n"]},
    ),
    ({"type": ["0E"]}, "", {"type": ["0E"]}),
    ({"type": "0E", "item": ["005930", "000660"]}, "", {"item": ["005930", "000660"]}),
    ({"type": "0E", "item": 5930}, "", {"item": 5930}),
    ({"type": "0E", "item": {"jmcode": "NVDA"}}, "", {"item": {"jmcode": "NVDA"}}),
]


@pytest.mark.parametrize(("members", "item", "extra"), ODD_ROWS)
@pytest.mark.parametrize("values_first", [True, False])
@pytest.mark.parametrize("neighbours", [[], [GOOD], [b"null"]], ids=["alone", "with a good row", "with a bad row"])
def test_a_row_is_its_type_and_its_values(
    members: dict[str, object], item: str, extra: dict[str, object], values_first: bool, neighbours: list[bytes]
) -> None:
    values = {"values": {"135": "156"}}
    row = json.dumps(values | members if values_first else members | values, separators=(",", ":")).encode()
    decoder = MessageDecoder()
    whole = real(row)
    decoder.decode(whole)  # whatever was learned of it

    for record in (decode(real(row, *neighbours))[0], decoder.decode(whole)[0]):
        assert type(record) is AfterHoursQuote
        assert (record.type_code, record.item, record.bid_quantity) == ("0E", item, 156)
        assert extra.items() <= (record.extra or {}).items()


@pytest.mark.parametrize("members", [{}, {"item": None}, {"item": ""}, {"item": 5930}, {"name": ["주문체결"]}])
@pytest.mark.parametrize("type_code", ["00", "04"])
def test_an_order_row_without_an_item_has_its_symbol_from_fid_9001(type_code: str, members: dict[str, object]) -> None:
    row: dict[str, object] = {"values": {"9001": "A005930", "911": "10"}, "type": type_code, **members}

    record = only(json.dumps({"data": [row], "trnm": "REAL"}))

    assert isinstance(record, OrderExecution | Balance)
    assert (record.item, record.symbol) == ("", Symbol("005930"))
    assert record.stock_code == "A005930"


def test_a_message_of_four_mebibytes_is_decoded_row_by_row() -> None:
    size = 4 * 1024 * 1024
    row = GOOD.replace(b'"n"', '"주식시간외호가"'.encode()).replace(
        b'"131"', b'"132":"+156","135":"-0","136":"0","131"'
    )
    payload = real(*[row] * (size // (len(row) + 1)))
    assert size - 200 < len(payload) < size + 200

    records = decode(payload)

    assert len(records) == payload.count(b'"0E"')
    assert records[0].ask_quantity == records[-1].ask_quantity == 43955


def test_one_text_of_four_mebibytes_is_kept_whole() -> None:
    text = "한" * (4 * 1024 * 1024 // 3)

    record = only(encode_rows([Row({"302": text}, "0B", "n", "005930")]))

    assert record.fid("302") == text


def test_the_rows_of_a_message_that_cannot_be_parsed_are_found_in_no_time() -> None:
    """Or not found: the time must grow with the length of the message, and not with its square."""
    program = (
        "from kiwoom_proto import MessageDecoder\n"
        r"[message] = MessageDecoder().decode(b'[' * 100_000 + b'\"' + b'\\\"' * 100_000 + b'\\')"
        "\nprint(type(message).__name__)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=8, check=True)

    assert done.stdout == "UnknownMessage\n"


# What was written is read back.


def test_rows_that_were_written_are_read_back() -> None:
    rows = [Row({"21": "165208", "302": '삼  성 "\\/'}, "0E", "주식시간외호가", "005930"), Row({}, "0B", "", "")]

    payload = encode_rows(rows)

    assert payload.startswith(b'{"data":[{"values":{"21":"165208",')
    assert payload.endswith(b',"type":"0B","name":"","item":""}],"trnm":"REAL"}')
    assert [(r.fids(), r.type_code, r.name, r.item) for r in decode(payload)] == [
        (row.values, row.type, row.name, row.item) for row in rows
    ]


def test_a_request_is_written_as_the_official_page_shows_it() -> None:
    [text] = [example["msg"] for example in EXAMPLES if example["kind"] == "REG/0E"]

    assert encode(Reg("1", "1", (Element(("005930",), ("0E",)),))) == text.encode()


def test_the_members_of_a_message_are_shared_by_its_rows_and_do_not_multiply() -> None:
    members = ",".join(f'"k{number}":1' for number in range(3000))
    rows = ",".join(['{"type":"0E","item":"1","own":2}', *['{"type":"0E","item":"1"}'] * 3000])
    tracemalloc.start()
    records = MessageDecoder().decode(f'{{"trnm":"REAL",{members},"data":[{rows}]}}')
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(records) == 3001
    first, second = records[:2]
    assert isinstance(first, Record) and isinstance(second, Record)
    assert first.extra is not None and second.extra is not None
    assert (first.extra["own"], first.extra["k7"], second.extra["k7"], "own" in second.extra) == (2, 1, 1, False)
    assert dict(first.to_dict()["extra"])["own"] == 2
    assert peak < 20_000_000

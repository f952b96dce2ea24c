"""Messages of one row, which are looked up by what stands around their values and not parsed: the same rows come out
as if they were, and what is wrong inside the values is told when they are read."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

import kiwoom_proto.wire.decoder
from kiwoom_proto import AfterHoursQuote, Closed, MessageDecoder, Record, Trade, UnknownMessage
from kiwoom_proto.errors import FieldError, RemoteProtocolError
from kiwoom_proto.events import Numbering

from .wire import CLOSE, Wire, frame, one_by_one, text

OPENING = b'{"data":[{"values":{'
TAIL = b'},"type":"0E","name":"n","item":"005930"}],"trnm":"REAL"}'
VALUES_LAST = b'{"trnm":"REAL","data":[{"type":"0E","name":"n","item":"005930","values":{', b"}}]}"
IN_BETWEEN = b'{"trnm":"REAL","data":[{"type":"0E","values":{', b'},"name":"n","item":"005930"}]}'
ORDERS = {"values first": (OPENING, TAIL), "values last": VALUES_LAST, "values in between": IN_BETWEEN}
GOOD = b'"21":"165208","131":"43955"'
ACCOUNT = "8100000001"

every_order = pytest.mark.parametrize("envelope", ORDERS.values(), ids=list(ORDERS))


def decoder_that_met(*payloads: bytes) -> MessageDecoder:
    decoder = MessageDecoder()
    for payload in payloads:
        assert isinstance(decoder.decode(payload)[0], Record)
    return decoder


def both(payload: bytes, *met: bytes) -> list[Any]:
    """What a decoder makes of a message that met its envelope, and one that did not."""
    found = []
    for decoder in (MessageDecoder(), decoder_that_met(*met)):
        [message] = decoder.decode(payload, 17)
        found.append(message)
    assert type(found[0]) is type(found[1])
    return found


def record_of(values: bytes, envelope: tuple[bytes, bytes] = (OPENING, TAIL)) -> Record:
    """The record of a row whose envelope was met before."""
    opening, tail = envelope
    fresh, met = both(opening + values + tail, opening + GOOD + tail)
    assert isinstance(met, Record)
    assert met == fresh
    assert met.values == fresh.values
    return met


def taken(decoder: MessageDecoder, *payloads: bytes) -> tuple[list[Any], bytes | None]:
    messages: list[Any] = []
    return messages, decoder.take_rows(payloads, 17, messages)


# Proper rows.

VALUES: dict[str, bytes] = {
    "plain": GOOD,
    "empty": b"",
    "space": b" ",
    "Korean": '"302":"주식","131":"1"'.encode(),
    "escapes": b'"302":"\\uc8fc\\n\\"","131":"1"',
    "a brace that opens in a text": b'"302":"a{b","131":"1"',
    "a brace that closes in a text": b'"302":"a}b","131":"1"',
    "both in texts": b'"302":"}{","131":"{}"',
    "the tail in a text": b'"302":' + json.dumps(TAIL.decode()).encode() + b',"131":"1"',
    "a whole message in a text": b'"302":' + json.dumps((OPENING + TAIL).decode()).encode(),
    "an object in the values": b'"131":{"a":"b"},"21":"165208"',
    "an object in the values, last": b'"21":"165208","131":{"a":{"b":"c"}}',
    "a list in the values": b'"131":[1,{"a":[]}]',
    "numbers": b'"131":5,"21":null,"132":true',
    "a FID without digits": b'"x{":"1","}":"2"',
    "a quote behind a backslash": b'"302":"\\\\","131":"\\"}"',
}


@every_order
@pytest.mark.parametrize("name", VALUES)
def test_proper_values_are_what_json_says_whether_the_envelope_was_met_or_not(
    name: str, envelope: tuple[bytes, bytes]
) -> None:
    record = record_of(VALUES[name], envelope)

    assert type(record) is AfterHoursQuote
    assert (record.item, record.name, record.received_at, record.extra) == ("005930", "n", 17, None)
    assert json.loads(record.values) == json.loads(b"{" + VALUES[name] + b"}")
    for fid, value in json.loads(record.values).items():
        expected = value if isinstance(value, str | None) else json.dumps(value, separators=(",", ":"))
        assert record.fid(fid) == expected


@every_order
def test_a_message_of_one_row_is_taken_and_any_other_given_back(envelope: tuple[bytes, bytes]) -> None:
    opening, tail = envelope
    decoder = MessageDecoder()
    row = opening + GOOD + tail
    two = b'{"data":[{"values":{},"type":"0E","item":"1"},{"values":{},"type":"0E","item":"2"}],"trnm":"REAL"}'

    assert [record.fids() for record in taken(decoder, row, row)[0]] == [json.loads(b"{" + GOOD + b"}")] * 2
    for other in (two, b'{"trnm":"PING"}', b"", b"}", b"{", b"{}", b"\xff", row + b"x", row[:-1], two + row):
        messages, rest = taken(decoder, row, other, row)
        assert rest is other
        assert len(messages) == 1


def test_what_is_given_back_can_be_gone_on_behind() -> None:
    row, ping = OPENING + GOOD + TAIL, b'{"trnm":"PING"}'
    decoder = MessageDecoder(numbering=Numbering())
    payloads = iter([row, ping, row, row])
    messages: list[Any] = []

    assert decoder.take_rows(payloads, 0, messages) == ping
    assert decoder.take_rows(payloads, 0, messages) is None
    assert [message.sequence for message in messages] == [1, 2, 3]


@pytest.mark.parametrize("payloads", [(), (OPENING + TAIL,)])
def test_at_the_end_nothing_is_given_back(payloads: tuple[bytes, ...]) -> None:
    messages, rest = taken(MessageDecoder(), *payloads)

    assert rest is None
    assert len(messages) == len(payloads)


def test_several_types_and_items_in_turns() -> None:
    rows = [
        (code, item, order)
        for code in ("0E", "0B", "9Z", "0e")
        for item in ("005930", "000660", "", "005930_NX")
        for order in ORDERS.values()
    ]
    decoder = MessageDecoder()

    for number, (code, item, (opening, tail)) in enumerate(rows * 3):
        payload = opening + b'"131":"%d"' % number + tail
        payload = payload.replace(b'"0E"', f'"{code}"'.encode()).replace(b'"005930"', f'"{item}"'.encode())
        [record] = decoder.decode(payload)
        assert isinstance(record, Record)
        assert type(record) is {"0E": AfterHoursQuote, "0B": Trade}.get(code, Record)
        assert (record.type_code, record.item, record.fids()) == (code, item, {"131": str(number)})
        assert record.sequence == number + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"data":[{"values":{%s},"type":"0E","item":"005930"}],"trnm":"REAL"}', b'{"data" : [{"values":{%s}'),
        (
            b'{"data":[{"type":"0E","values":{%s},"item":"005930"}],"trnm":"REAL"}',
            b'{"data":[{"type":"0B","values":{%s}',
        ),
        (b'{"data":[{"type":"0E","values":{%s},"item":"005930"}],"trnm":"REAL"}', b'{"data":[{"type":"","values":{%s}'),
        (
            b'{"trnm":"REAL","data":[{"type":"0E","item":"1","values":{%s}}]}',
            b'{"trnm":"REAL","data":[{"type":"0B","item":"1","values":{%s}',
        ),
        (
            b'{"trnm":"REAL","data":[{"type":"0E","item":"1","values":{%s}}]}',
            b'{"trnm":"REAL","data":[{"type":"0E","item":"12","values":{%s}',
        ),
    ],
)
def test_two_openings_with_the_same_tail_are_two_envelopes(one: bytes, other: bytes) -> None:
    other += one.partition(b"%s}")[2]

    check_two(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            b'{"data":[{"values":{%s},"type":"0E","item":"005930"}],"trnm":"REAL"}',
            b',"type":"0E","item":"000660"}],"trnm":"REAL"}',
        ),
        (
            b'{"data":[{"values":{%s},"type":"0E","item":"005930"}],"trnm":"REAL"}',
            b',"type":"0B","item":"005930"}],"trnm":"REAL"}',
        ),
        (b'{"data":[{"type":"0E","item":"005930","values":{%s}}],"trnm":"REAL"}', b',"name":"n"}],"trnm":"REAL"}'),
        (b'{"data":[{"type":"0E","item":"005930","values":{%s}}],"trnm":"REAL"}', b'} ],"trnm":"REAL"}'),
        (b'{"data":[{"type":"0E","item":"005930","values":{%s}}],"trnm":"REAL"}', b',"stexTp":"ND"}],"trnm":"REAL"}'),
    ],
)
def test_two_tails_with_the_same_opening_are_two_envelopes(one: bytes, other: bytes) -> None:
    check_two(one, one.partition(b"%s}")[0] + b"%s}" + other)


def check_two(*templates: bytes) -> None:
    decoder = MessageDecoder()
    for number in range(9):
        for template in (*templates, *templates[::-1]):
            payload = template.replace(b"%s", b'"131":"%d"' % number)
            [row] = json.loads(payload)["data"]
            [record] = decoder.decode(payload)
            assert isinstance(record, Record)
            assert record == MessageDecoder().decode(payload)[0]
            assert (record.type_code, record.item, record.fids()) == (row["type"], row["item"], row["values"])
            assert (record.name, record.venue_code) == (row.get("name", ""), row.get("stexTp", ""))


# Other members.


@pytest.mark.parametrize(
    ("payload", "extra"),
    [
        (OPENING + GOOD + TAIL[:-1] + b',"seq":1}', {"seq": 1}),
        (OPENING + GOOD + b'},"x":[1],"type":"0E","name":"n","item":"005930"}],"trnm":"REAL"}', {"x": [1]}),
        (b'{"x":1,' + OPENING[1:] + GOOD + TAIL, {"x": 1}),
        (b'{"data":[{"x":"{","values":{' + GOOD + TAIL, {"x": "{"}),
        (b'{"data":[{"x":{},"values":{' + GOOD + TAIL, {"x": {}}),
        (OPENING + GOOD + b'},"x":{}' + TAIL[1:], {"x": {}}),
        (OPENING + GOOD + TAIL.replace(b'"name":"n"', b'"name":5'), {"name": 5}),
    ],
)
def test_members_that_nobody_knows_are_never_lost(payload: bytes, extra: dict[str, object]) -> None:
    for message in (*both(payload, OPENING + GOOD + TAIL), *both(payload, payload, OPENING + TAIL, payload)):
        assert isinstance(message, Record)
        assert message.extra == extra
        assert message.fids() == json.loads(b"{" + GOOD + b"}")


@pytest.mark.parametrize("values", [b"", b'"values":null,', b'"values":[],', b'"values":"{}",', b'"values":5,'])
def test_a_row_without_values_is_a_row_without_fids_whatever_was_met(values: bytes) -> None:
    payload = b'{"data":[{' + values + TAIL[2:]

    for message in both(payload, OPENING + GOOD + TAIL, OPENING + TAIL, payload):
        assert type(message) is AfterHoursQuote
        assert message.fids() == {}
        assert (message.item, message.extra) == ("005930", None)


@pytest.mark.parametrize(
    "payload",
    [
        OPENING + GOOD + TAIL.replace(b"REAL", b"PING"),
        OPENING + GOOD + TAIL.replace(b'"0E"', b"5"),
        OPENING + GOOD + TAIL.replace(b'"item":', b'"item" '),
        OPENING + GOOD + TAIL.replace(b"005930", b"\xff"),
        OPENING + GOOD + TAIL.replace(b"005930", b"\\ud800"),
        OPENING + GOOD + TAIL[:-1],
        OPENING + GOOD + TAIL + TAIL,
        OPENING.replace(b"[", b"[[") + GOOD + TAIL.replace(b"]", b"]]"),
        OPENING[1:] + GOOD + TAIL,
        b" x" + OPENING + GOOD + TAIL,
    ],
)
def test_what_is_no_envelope_gives_no_record_whatever_was_met(payload: bytes) -> None:
    fresh, met = both(payload, OPENING + GOOD + TAIL)

    assert not isinstance(fresh, Record)
    assert not isinstance(met, Record)


def test_a_message_that_holds_a_known_envelope_twice_is_none() -> None:
    opening, tail = VALUES_LAST

    for values in (b'"131":"5"', b""):
        payload = opening + values + b"}" + opening + tail[1:]
        for message in both(payload, opening + GOOD + tail):
            assert isinstance(message, UnknownMessage)
            assert message.payload == payload


@pytest.mark.parametrize("values", [b'"131":{"a":"1"', b'"302":"a{b","131":"x"y"', b'"131":"5","302":"{'])
def test_what_is_no_json_and_has_a_brace_in_it_is_the_same_whether_the_envelope_was_met_or_not(values: bytes) -> None:
    fresh, met = both(OPENING + values + TAIL, OPENING + GOOD + TAIL)

    assert repr(met) == repr(fresh)


@pytest.mark.parametrize("limit", [1, 3])
def test_envelopes_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(kiwoom_proto.wire.decoder, "MAX_ENVELOPES", limit)
    decoder = MessageDecoder()

    for number in (*range(20), *range(20)):
        for opening, tail in ORDERS.values():
            payload = (opening + GOOD + tail).replace(b"005930", b"%06d" % number)
            [record] = decoder.decode(payload)
            assert record == MessageDecoder().decode(payload)[0]
            assert isinstance(record, Record)
            assert record.item == f"{number:06}"
            assert 0 < len(decoder._envelopes) + len(decoder._envelopes_by_both) <= limit


# Values that are no JSON.

BROKEN: dict[str, tuple[bytes, dict[str, str], str]] = {
    "a quote in a text": (b'"21":"165"208","131":"5","136":"0"', {"131": "5", "136": "0"}, "expected ',' or '}'"),
    "a control character": (b'"21":"165\x00208","131":"5"', {"131": "5"}, "invalid character"),
    "a line feed": (b'"21":"165\n208","131":"5"', {"131": "5"}, "invalid character"),
    "cut short": (b'"131":"5","21":"165', {"131": "5"}, "truncated"),
    "cut behind a colon": (b'"131":"5","21":', {"131": "5"}, "invalid character"),
    "cut behind a comma": (b'"131":"5",', {"131": "5"}, "trailing comma"),
    "no comma": (b'"21":"165208" "131":"5"', {"131": "5"}, "expected ',' or '}'"),
    "a bad escape": (b'"21":"\\x","131":"5"', {"131": "5"}, "escape"),
    "half a surrogate pair": (b'"21":"\\ud800","131":"5"', {"131": "5"}, "escape"),
    "a bare word": (b'"21":none,"131":"5"', {"131": "5"}, "invalid character"),
    "a key without quotes": (b'21:"165208","131":"5"', {"131": "5"}, "keys must be strings"),
    "nested too deeply": (
        b'"21":' + b"[" * 100_000 + b"]" * 100_000 + b',"131":"5"',
        {"131": "5"},
        "nested too deeply",
    ),
    "a list without an end": (b'"131":"5","21":[[[', {"131": "5"}, "invalid character"),
    "an account number with a quote": (f'"9201":"{ACCOUNT}"x","131":"5"'.encode(), {"131": "5"}, "expected"),
}


@every_order
@pytest.mark.parametrize("name", BROKEN)
def test_of_values_that_are_no_json_the_good_ones_are_read_and_the_others_are_errors(
    name: str, envelope: tuple[bytes, bytes]
) -> None:
    values, fids, wrong = BROKEN[name]
    record: Any = record_of(values, envelope)

    assert type(record) is AfterHoursQuote
    assert (record.item, record.values) == ("005930", b"{" + values + b"}")
    assert record.fids() == fids
    assert (record.ask_quantity, record.fid("131")) == (5, "5")
    for fid, field in (("21", "time"), ("132", "ask_quantity_change")):
        assert record.fid(fid) is None
        with pytest.raises(FieldError) as caught:
            getattr(record, field)
        error = caught.value
        assert (error.type_code, error.fid, error.name, error.text) == ("0E", fid, field, None)
        assert wrong in error.reason
        assert str(error) == f"type 0E, FID {fid} ({field}): {error.reason}"
        assert "165" not in str(error) and ACCOUNT not in f"{error} {error!r}"
    assert record.fid("4711") is None


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("type_code", ["0E", "??", "00"])
def test_a_row_whose_values_are_no_json_can_be_handled_like_any_other(name: str, type_code: str) -> None:
    values, fids, _ = BROKEN[name]
    envelope = OPENING, TAIL.replace(b"0E", type_code.encode())
    record = record_of(values, envelope)

    assert ACCOUNT not in repr(record)
    assert record.to_dict()["fids"] == fids
    assert json.loads(json.dumps(record.to_dict())) == record.to_dict()
    for twin in (pickle.loads(pickle.dumps(record)), copy.deepcopy(record), type(record).from_dict(record.to_dict())):
        assert type(twin) is type(record)
        assert twin == record
        assert hash(twin) == hash(record)
        assert twin.fids() == fids
    assert pickle.loads(pickle.dumps(record)).values == record.values
    assert record != record_of(GOOD, envelope)
    assert str(record.symbol) == "005930"


def test_the_repr_of_a_row_whose_values_are_no_json_tells_what_nobody_knows() -> None:
    record = record_of(b'"21":"165"208","131":"5"')

    assert repr(record) == "AfterHoursQuote(item='005930', ask_quantity=5, values=<cannot be read>)"


def test_a_row_whose_values_are_no_json_changes_nothing_for_the_next() -> None:
    decoder = decoder_that_met(OPENING + GOOD + TAIL)

    for values, fids, _ in BROKEN.values():
        for _ in range(30):
            [broken] = decoder.decode(OPENING + values + TAIL)
            [good] = decoder.decode(OPENING + GOOD + TAIL)
            assert isinstance(broken, AfterHoursQuote) and isinstance(good, AfterHoursQuote)
            assert (broken.ask_quantity, broken.fids()) == (5, fids)
            assert (good.ask_quantity, good.bid_quantity) == (43955, None)


# UTF-8, over a connection.

ROW = OPENING + b'"131":"%d"' + TAIL
BAD_UTF8 = {
    "wrong first byte": b"\xff",
    "cut short": "주".encode()[:2],
    "surrogate": b"\xed\xa0\x80",
    "overlong": b"\xc0\xaf",
    "lone continuation": b"\x80",
}
PLACES = {
    "in a text": OPENING + b'"131":"1","302":"%s"' + TAIL,
    "in the first text": OPENING + b'"131":"%s"' + TAIL,
    "in a key": OPENING + b'"%s":"1"' + TAIL,
    "outside texts": OPENING + b'"131":"1"%s' + TAIL,
    "in the name": OPENING + b'"131":"1"' + TAIL.replace(b'"n"', b'"%s"'),
    "in the opening": b'{"data":[{"stexTp":"%s","values":{"131":"1"' + TAIL,
    "behind it all": OPENING + b'"131":"1"' + TAIL + b"%s",
}


@pytest.mark.parametrize("how", ["in one read", "byte by byte", "in one read, known to none"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bad", BAD_UTF8)
def test_bad_utf_8_ends_the_connection_behind_the_rows_before_it(bad: str, place: str, how: str) -> None:
    """RFC 6455, 8.1, holds for rows too that are not parsed when they come."""
    wire = Wire().login()
    if "known" not in how:
        wire.send(ROW % 0)
        assert len(wire.events()) == 1
    data = b"".join([text(ROW % 1), text(ROW % 2), text(PLACES[place] % BAD_UTF8[bad]), text(ROW % 3), text(ROW % 4)])

    for piece in one_by_one(data) if how == "byte by byte" else [data]:
        wire.client.receive_data(piece)

    events = wire.events()
    assert [event.fids() for event in events if isinstance(event, Record)] == [{"131": "1"}, {"131": "2"}]
    assert len(events) == 2
    [sent] = wire.sent()
    assert (sent.opcode, sent.payload[:2]) == (CLOSE, (1007).to_bytes(2, "big"))
    wire.client.receive_data(text(ROW % 5) + frame(CLOSE, sent.payload[:2]))
    wire.client.receive_eof()
    [closed] = wire.events()
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, RemoteProtocolError)
    assert closed.sent_code == 1007


@pytest.mark.parametrize("name", ["주식", "n"])
@pytest.mark.parametrize("value", ["한글", "é", "𝄞", "\x7f", "\ufffd", "\\ud834\\udd1e"])
def test_good_utf_8_does_not(name: str, value: str) -> None:
    wire = Wire().login()
    row = (OPENING + b'"302":"%s"' + TAIL.replace(b'"n"', b'"%s"')) % (value.encode(), name.encode())

    wire.send(row, row, row)

    events = wire.events()
    assert [event.fid("302") for event in events if isinstance(event, Record)] == [json.loads(f'"{value}"')] * 3
    assert wire.client.state.value == "ready"


def test_another_opening_before_a_known_tail_changes_nothing() -> None:
    """Spaces in it, say: what is read of a row must not depend on what came before."""
    tail = b'},"type":"0E","name":"n","item":"005930"}],"trnm":"REAL"}'
    openings = (b'{"data":[{"values":{', b'{ "data":[{"values":{', b'{"data": [{"values":{')
    decoder = MessageDecoder()

    for values in (b"", b'"131":"5"', b"[", b'"131":"5","21":x'):
        for opening in openings:
            [expected] = MessageDecoder().decode(opening + values + tail)
            [record] = decoder.decode(opening + values + tail)
            assert type(record) is type(expected) is AfterHoursQuote
            assert (record.values, record.fids()) == (expected.values, expected.fids())
            taken: list[Any] = []
            assert decoder.take_rows((opening + values + tail,), 0, taken) is None, "it is known by now"


@pytest.mark.parametrize("order", ["values first", "values last"])
def test_long_envelopes_are_not_remembered(order: str) -> None:
    """The limit on how many there are would be none on their size."""
    name = b"n" * 10_000
    parts = [b'"values":{"131":"5"}', b'"type":"0E","name":"' + name + b'","item":"005930"']
    row = b",".join(parts if order == "values first" else parts[::-1])
    decoder = MessageDecoder()

    [record] = decoder.decode(b'{"data":[{' + row + b'}],"trnm":"REAL"}')

    assert isinstance(record, AfterHoursQuote)
    assert (record.name, record.ask_quantity) == (name.decode(), 5)
    assert not decoder._envelopes and not decoder._envelopes_by_both

"""Properties of decoding: no input raises, and no good row is lost, changed or moved, whatever stands beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from kiwoom_proto import MessageDecoder, Record, UnknownMessage
from kiwoom_proto.errors import FieldError
from kiwoom_proto.realtime.layout import read_fids
from kiwoom_proto.secrets import Redaction
from kiwoom_proto.wire.messages import Row, encode_rows

# Without the phase that explains failures: it takes longer than a test may.
few = settings(max_examples=120, phases=[phase for phase in Phase if phase is not Phase.explain])
DECODER = MessageDecoder()

# Texts and names.

texts = st.text(max_size=12)
digits = st.integers(0, 99_999).map(str)
declared_fids = st.sampled_from(["21", "131", "132", "135", "136"])
fids = declared_fids | digits | texts
type_codes = st.sampled_from(["0E", "0e", "0B", "0D", "02", "??", ""]) | texts
values = st.dictionaries(fids, st.sampled_from(["", " ", "165208", "+156", "-0", "x"]) | texts, max_size=12)

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e300, 1e300) | texts
json_values = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            texts | st.sampled_from(["trnm", "data", "values", "type", "item", "name", "return_code"]),
            children,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@st.composite
def shuffled_object(draw: st.DrawFn, members: dict[str, Any]) -> dict[str, Any]:
    """The same members in any order."""
    return {key: members[key] for key in draw(st.permutations(list(members)))}


def one_text(value: object) -> str | None:
    """The text that a member is, or that stands alone in its list."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else None


@st.composite
def good_rows(draw: st.DrawFn) -> dict[str, Any]:
    members: dict[str, Any] = {"values": draw(shuffled_object(draw(values))), "type": draw(type_codes)}
    if draw(st.integers(0, 3)):
        members["item"] = draw(texts)
    if draw(st.booleans()):
        members["name"] = draw(texts)
    for name in ("type", "item", "name"):  # as they are where they are registered, or null
        if name in members and draw(st.integers(0, 7)) == 0:
            members[name] = [members[name]]
        elif name in members and name != "type" and draw(st.integers(0, 7)) == 0:
            members[name] = draw(json_values.filter(lambda value: one_text(value) is None))
    if draw(st.booleans()):
        members["stexTp"] = draw(texts)
    if draw(st.integers(0, 5)) == 0:
        members["x-" + draw(texts)] = draw(json_values)
    return draw(shuffled_object(members))


def is_junk(row: object) -> bool:
    if not isinstance(row, dict) or one_text(row.get("type")) is None:
        return True
    return "values" not in row and one_text(row.get("item")) is None


half_rows = good_rows().map(lambda row: {key: value for key, value in row.items() if key != "type"})
junk = json_values.filter(is_junk) | half_rows


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, list[Any]]:
    """A REAL message of good rows and junk, and its rows."""
    rows = draw(st.lists(good_rows() | junk, max_size=12) | st.lists(good_rows(), max_size=12))
    members: dict[str, Any] = {"trnm": "REAL", "data": rows}
    if draw(st.integers(0, 3)) == 0:
        members["x"] = draw(json_values)
    text = json.dumps(
        draw(shuffled_object(members)),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (" , ", " : ")])),
    )
    return text.encode(), rows


def read_everything(record: Record) -> None:
    """Everything that can be asked of a record answers, or says which field is bad."""
    fids = record.fids()
    wrong = read_fids(record.values)[1]
    assert all(isinstance(text, str) for text in fids.values())
    for fid in (*fids, "131", "9999"):
        assert record.fid(fid) == fids.get(fid)
    for name, field in record.fields.items():
        try:
            value = getattr(record, name)
        except FieldError as error:
            assert (error.name, error.fid, error.text) == (name, field.fid, fids.get(field.fid))
            assert error.text is not None or (wrong and wrong in str(error))
        else:
            assert field.fid in fids or (value is None and not wrong)
    assert record.symbol is None or record.symbol.item
    assert isinstance(repr(record), str)
    assert record == record
    json.dumps(record.to_dict())


def decode_anything(payload: bytes) -> None:
    for message in DECODER.decode(payload):
        if isinstance(message, Record):
            read_everything(message)
        elif isinstance(message, UnknownMessage):
            # A text nested too deeply is cut by its commas, so only its own bytes can be asked for.
            assert message.payload in payload
            assert message.error


@few
@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    decode_anything(payload)


PIECES = (
    *(b'{"data":[', b'],"trnm":"REAL"}', b'{"trnm":"REAL","data":[', b"]}", b'"data"', b'"trnm"', b'"REAL"'),
    *(b'{"values":{"131":"5"},"type":"0E","name":"n","item":"005930"}', b'{"type":"0E","item":"1","x":'),
    *(b'{"values":', b'"type":"0E"', b'"item":"1"', b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'\\"', b" "),
    *(b"null", b"1e999", b"-", b"0", b'"\\ud800"', b"\xff", b'"\xff"', b"\x00", b'{"trnm":"PING"}', b'{"trnm":"REG"'),
    b"[" * 5000,
    b"[" * 5000 + b"]" * 5000,
)
DEEP = b"[" * 5000 + b"]" * 5000


@few
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
@example(b'{"data":[' + DEEP + b',{"type":"0E","item":"1","x":"\xff"}],"trnm":"REAL"}')
@example(b'{"data":[' + DEEP + b',{"type":"0E","item":"1","x":1e999}],"trnm":"REAL"}')
@example(b'{"data":[' + DEEP + b',{"values":{"131":"\xff"},"type":"0E","item":"1"}],"trnm":"REAL"}')
@example(b'{"data":[{"values":{"\xff":"1","131":"5"},"type":"0E","item":"1"}],"trnm":"REAL"}')
def test_no_message_put_together_at_random_raises(payload: bytes) -> None:
    decode_anything(payload)


@few
@given(messages(), st.data())
def test_no_damaged_message_raises(message: tuple[bytes, list[Any]], data: st.DataObject) -> None:
    payload = message[0]
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 20)))
    decode_anything(payload[:start] + data.draw(st.binary(max_size=3)) + payload[end:])


@few
@given(json_values)
def test_no_json_raises(value: Any) -> None:
    decode_anything(json.dumps(value).encode())


@few
@given(json_values, json_values)
def test_no_json_in_the_place_of_data_or_values_raises(data: Any, strange: Any) -> None:
    decode_anything(json.dumps({"trnm": "REAL", "data": data}).encode())
    decode_anything(json.dumps({"trnm": "REAL", "data": [{"type": "0E", "item": "", "values": strange}]}).encode())


@few
@given(json_values, st.sampled_from(["LOGIN", "REG", "REMOVE", "SYSTEM", "PING", "CNSRREQ", "GCNSRLST"]))
def test_no_json_in_a_reply_raises(value: Any, trnm: str) -> None:
    decode_anything(json.dumps({"trnm": trnm, "return_code": value}).encode())
    decode_anything(json.dumps({"trnm": trnm, "code": "R10001", "message": value}).encode())


@few
@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    assert all(isinstance(message, UnknownMessage) for message in DECODER.decode(text + "\ud800"))
    DECODER.decode(text)


@few
@given(messages())
def test_good_rows_come_out_complete_and_in_order_whatever_stands_between_them(
    message: tuple[bytes, list[Any]],
) -> None:
    payload, rows = message
    good = [row for row in rows if not is_junk(row)]

    records = [found for found in MessageDecoder().decode(payload, 7) if isinstance(found, Record)]

    assert [list(record.fids().items()) for record in records] == [list(row["values"].items()) for row in good]
    assert [(record.type_code, record.item, record.received_at) for record in records] == [
        (one_text(row["type"]), one_text(row.get("item")) or "", 7) for row in good
    ]
    assert [(record.name, record.venue_code) for record in records] == [
        (one_text(row.get("name")) or "", row.get("stexTp", "")) for row in good
    ]
    for record, row in zip(records, good, strict=True):
        read_everything(record)
        # Ten digits may be an account number, so they are masked (test_secrets.py has those).
        unknown = Redaction().extra({key: value for key, value in row.items() if key.startswith("x-")})
        assert unknown.items() <= (record.extra or {}).items()


@few
@given(st.lists(st.builds(Row, values=values, type=type_codes, name=texts, item=texts), max_size=8))
def test_rows_that_were_written_are_read_back(rows: list[Row]) -> None:
    records = DECODER.decode(encode_rows(rows))

    assert all(isinstance(record, Record) for record in records)
    assert [
        (record.fids(), record.type_code, record.name, record.item) for record in records if isinstance(record, Record)
    ] == [(row.values, row.type, row.name, row.item) for row in rows]


# Envelopes: what stands around the values is known after the first message.

nasty = (
    st.sampled_from(["", "5", "a}b", "{", "}", '"', "\\", '\\"', "},{", '"}],"trnm":"REAL"}', "주식", "\n", "a_b"])
    | texts
)
styles = st.tuples(st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))


@st.composite
def enveloped(draw: st.DrawFn) -> Callable[[dict[str, Any]], bytes]:
    """One envelope, as a function that puts values into it."""
    type_code, item = draw(st.sampled_from(["0E", "0B", "??"]) | nasty), draw(st.sampled_from(["005930", ""]) | nasty)
    members = {"values": None, "type": type_code, "item": item}
    for optional in ("name", "stexTp"):
        if draw(st.booleans()):
            members[optional] = draw(st.sampled_from(["주식체결", "name"]) | nasty)
    if draw(st.integers(0, 5)) == 0:
        members["x-" + draw(nasty)] = draw(nasty)
    members = draw(shuffled_object(members))
    data_first = draw(st.booleans())
    ascii_only, separators = draw(styles)

    def put(found: dict[str, Any]) -> bytes:
        row = {key: found if key == "values" else value for key, value in members.items()}
        message = {"data": [row], "trnm": "REAL"} if data_first else {"trnm": "REAL", "data": [row]}
        return json.dumps(message, ensure_ascii=ascii_only, separators=separators).encode()

    return put


row_values = st.dictionaries(fids | nasty, nasty, max_size=6)
strange_values = st.dictionaries(fids, nasty | st.none() | st.dictionaries(nasty, nasty, max_size=2), max_size=4)


def said(messages: list[Any]) -> list[object]:
    """What was decoded, without the numbers."""
    return [
        (type(one), one.type_code, one.item, one.name, one.venue_code, one.extra, one.values, one.fids())
        if isinstance(one, Record)
        else (type(one), repr(one), getattr(one, "payload", b""))
        for one in messages
    ]


@few
@given(
    st.lists(st.tuples(enveloped(), st.lists(row_values | strange_values, min_size=1, max_size=4)), max_size=4),
    st.randoms(use_true_random=False),
)
def test_a_row_is_the_same_whether_its_envelope_was_met_before_or_not(found: list[Any], order: Any) -> None:
    payloads = [put(values) for put, several in found for values in ({}, *several)] * 2
    order.shuffle(payloads)
    seasoned = MessageDecoder()

    for payload in payloads:
        [fresh] = MessageDecoder().decode(payload, 7)
        [met] = seasoned.decode(payload, 7)

        assert isinstance(fresh, Record) and isinstance(met, Record)
        assert met == fresh
        assert said([met]) == said([fresh])
        [row] = json.loads(payload)["data"]
        assert (met.type_code, met.item) == (row["type"], row["item"])
        assert (met.name, met.venue_code) == (row.get("name", ""), row.get("stexTp", ""))
        assert json.loads(met.values) == row["values"]
        assert (met.extra or {}) == {key: value for key, value in row.items() if key.startswith("x-")}


OPENING, TAIL = b'{"data":[{"values":{', b'},"type":"0E","name":"n","item":"005930"}],"trnm":"REAL"}'
LAST_OPENING = b'{"trnm":"REAL","data":[{"type":"0E","item":"005930","values":{'
DAMAGE = (b'"', b'"131":"5"', b",", b":", b"\\", b"{", b"}", b"[", b"]", b"\xff", b"\x00", b"x", "주".encode(), b" ")


@few
@given(
    st.sampled_from([(OPENING, TAIL), (LAST_OPENING, b"}}]}")]),
    st.lists(st.sampled_from((*DAMAGE, OPENING, TAIL, LAST_OPENING)), max_size=8).map(b"".join),
)
@example((OPENING, TAIL), b'"131":{"a":"1"')
@example((OPENING, TAIL), b'"302":"a{b","131":"x"y"')
@example((LAST_OPENING, b"}}]}"), b'"131":"5"')
def test_what_is_no_row_is_the_same_whether_the_envelope_was_met_before_or_not(
    envelope: tuple[bytes, bytes], values: bytes
) -> None:
    opening, tail = envelope
    seasoned = MessageDecoder()
    for _ in range(2):
        [record] = seasoned.decode(opening + b'"131":"5"' + tail)
        assert isinstance(record, Record)

    for payload in (
        opening + values + tail,
        opening + b'"131":"5",' + values + tail,
        opening + values,
        opening + values + b"}" + opening + tail[1:],
    ):
        fresh = MessageDecoder().decode(payload)
        assert said(seasoned.decode(payload)) == said(fresh)
        for message in fresh:
            if isinstance(message, Record):
                read_everything(message)

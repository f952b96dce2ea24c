"""What is masked in a recording, and that everything else stays byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import MessageDecoder
from kiwoom_proto.events import UnknownMessage
from kiwoom_proto.realtime import REALTIME, fields
from kiwoom_proto.realtime.fields import Field
from kiwoom_proto.realtime.record import Record
from kiwoom_proto.recording.format import (
    EventLine,
    MessageLine,
    decode_line,
    encode_event,
    encode_message,
    encode_messages,
)
from kiwoom_proto.recording.masking import MAX_WALK, Masking

DATA = Path(__file__).parent.parent / "data" / "messages.jsonl"
EXAMPLES = [json.loads(line)["msg"].encode() for line in DATA.read_text(encoding="utf-8").splitlines()]
ACCOUNT = b"1234567890"
TOKEN = "abcDEF0123456789-_abcDEF0123456789QZ"


def row(values: bytes, rest: bytes = b'"type":"00","name":"x","item":""') -> bytes:
    return b'{"data":[{"values":' + values + b"," + rest + b'}],"trnm":"REAL"}'


@pytest.mark.parametrize(
    ("payload", "masked"),
    [
        (row(b'{"9201":"1234567890","10":"1234567890"}'), row(b'{"9201":"***","10":"1234567890"}')),
        (row(b'{"10":"1","9201" :\t"1234567890" }'), row(b'{"10":"1","9201" :\t"***" }')),
        (row(rb'{"\u0039201":"1234567890"}'), row(rb'{"\u0039201":"***"}')),
        (row(rb'{"9201":"\u00312345\"67890"}'), row(b'{"9201":"***"}')),
        (row(b'{"9201":1234567890}'), row(b'{"9201":"***"}')),
        (row(b'{"9201":-1.5e3}'), row(b'{"9201":"***"}')),
        (row(b'{"9201":["1234567890",{"a":"]"}],"10":"1"}'), row(b'{"9201":"***","10":"1"}')),
        (row(b'{"9201":null,"10":"1"}'), row(b'{"9201":null,"10":"1"}')),
        (row(b'{"9201":"","10":"1"}'), row(b'{"9201":"","10":"1"}')),
        (row(b'{"9201":"1","9201":"2"}'), row(b'{"9201":"***","9201":"***"}')),
        (row(b'[{"9201":"1234567890"},["9201","x"]]'), row(b'[{"9201":"***"},["9201","x"]]')),
        (row(b'{"10":"9201"}'), row(b'{"10":"9201"}')),
        (row(b'{"10":"1"}', b'"type":"00","acct_no":"1"'), row(b'{"10":"1"}', b'"type":"00","acct_no":"***"')),
        (row(b'{"10":"1"}', b'"type":"00","x":"no 1234-5678-90"'), row(b'{"10":"1"}', b'"type":"00","x":"no ***"')),
        (row(b'{"10":"1"}', b'"type":"00","x":1234567890'), row(b'{"10":"1"}', b'"type":"00","x":"***"')),
        (row(b'{"10":"1"}', b'"type":"00","14":"1234567890"'), row(b'{"10":"1"}', b'"type":"00","14":"1234567890"')),
        (row(b'{"9201":"1234567890"') + b"garbage", row(b'{"9201":"***"') + b"garbage"),
        (b'{"trnm":"REAL","data":[{"values":{"9201":"12345678', b'{"trnm":"REAL","data":[{"values":{"9201":"***"'),
        (b'{"trnm":"PING"}', b'{"trnm":"PING"}'),
        (b'{"trnm":"LOGIN","token":"x"}', b'{"trnm":"LOGIN","token":"***"}'),
        (b'{"trnm":"LOGIN","Access_Token":{"a":[1]},"b":1}', b'{"trnm":"LOGIN","Access_Token":"***","b":1}'),
        (b'{"trnm":"SYSTEM","message":"1234567890"}', b'{"trnm":"SYSTEM","message":"***"}'),
        (b'{"trnm":"SYSTEM","message":1234567890.0}', b'{"trnm":"SYSTEM","message":"***"}'),
        (
            b'{"trnm":"CNSRREQ","data":[{"9001":"A005930","13":"1234567890"}],"next_key":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}',
            b'{"trnm":"CNSRREQ","data":[{"9001":"A005930","13":"1234567890"}],"next_key":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}',
        ),
        (b"1234567890 \xff abcdefghijklmnopqrstuvwxyz", b'"***" \xff ***'),
        (
            b'{"trnm":"?","a":[1234567890.5,1234567890e1,12345678901]}',
            b'{"trnm":"?","a":[1234567890.5,1234567890e1,12345678901]}',
        ),
        (b'"1234567890 \xff"', b'"*** \xff"'),
        (b"", b""),
    ],
)
def test_what_is_masked(payload: bytes, masked: bytes) -> None:
    assert Masking().received(payload) == masked


@pytest.mark.parametrize("payload", EXAMPLES)
def test_an_example_keeps_everything_but_its_account_number(payload: bytes) -> None:
    masked = Masking().received(payload)

    assert b'"9201":"***"' in masked or masked == payload or b"REAL" not in payload
    if b'"REAL"' in payload:
        for one, other in zip(MessageDecoder().decode(payload), MessageDecoder().decode(masked), strict=True):
            assert isinstance(one, Record) and isinstance(other, Record)
            assert {**one.fids(), "9201": ""} == {**other.fids(), "9201": ""}


@pytest.mark.parametrize("payload", EXAMPLES)
def test_what_is_decoded_from_a_masked_message_says_the_same(payload: bytes) -> None:
    masked = Masking().received(payload)

    assert [repr(each) for each in MessageDecoder().decode(masked)] == [
        repr(each) for each in MessageDecoder().decode(payload)
    ]


def test_account_numbers_of_rows_are_kept_on_request() -> None:
    payload = row(b'{"9201":"1234567890"}')

    assert Masking(accounts=False).received(payload) == payload


@pytest.mark.parametrize(
    "payload",
    [
        row(b'{"10":"%b"}' % TOKEN.encode()),
        row(rb'{"10":"\u0061%b"}' % TOKEN[1:].encode()),
        row(b'{"10":"1"}', b'"type":"00","item":"%b"' % TOKEN.encode()),
        b'{"trnm":"SYSTEM","message":"token %b!"}' % TOKEN.encode(),
        b'{"trnm":"?","%b":1}' % TOKEN.encode(),
        b"[%b" % json.dumps(TOKEN).encode(),
    ],
)
def test_a_secret_in_use_is_masked_wherever_it_stands(payload: bytes) -> None:
    masking = Masking([TOKEN, None])

    assert b"***" in masking.received(payload) and TOKEN[1:].encode() not in masking.received(payload)
    assert b"***" in masking.sent(payload) and TOKEN[1:].encode() not in masking.sent(payload)
    assert TOKEN[1:].encode() not in encode_messages(1, 1, 1, [payload, *EXAMPLES], masking)


def test_a_login_that_is_sent_is_masked_without_knowing_its_token() -> None:
    assert Masking().sent(b'{"trnm":"LOGIN","token":"short"}') == b'{"trnm":"LOGIN","token":"***"}'


def test_a_short_secret_is_masked_as_a_word_of_its_own() -> None:
    masking = Masking(["12"])

    assert masking.received(row(b'{"10":"12","11":"120"}')) == row(b'{"10":"***","11":"120"}')


def test_a_class_declares_what_is_masked_in_rows_of_its_type_alone() -> None:
    class Margin(Record, tag="07"):
        """A type with an account number in another FID."""

        account_number = Field("930", fields.account_number, "계좌")

    masking = Masking(types={**REALTIME, "07": Margin})
    own, other = (row(b'{"930":"5","9201":"6"}', b'"type":"%b"' % code) for code in (b"07", b"04"))

    assert masking.received(own) == row(b'{"930":"***","9201":"***"}', b'"type":"07"')
    assert masking.received(other) == row(b'{"930":"5","9201":"***"}', b'"type":"04"')


def test_the_exact_bytes_in_an_event_are_masked() -> None:
    event = UnknownMessage(b'{"trnm":"LOGIN","token":"x"}', "a second LOGIN", epoch=2, sequence=3)

    found = decode_line(encode_event(1, event, Masking()))

    assert isinstance(found, EventLine)
    assert found.event == UnknownMessage(b'{"trnm":"LOGIN","token":"***"}', "a second LOGIN")
    assert (found.event.epoch, found.event.sequence) == (2, 3)


@pytest.mark.parametrize("payload", [b"[" * (MAX_WALK + 1), row(b'{"9201":"1234567890"}') + b" " * MAX_WALK])
def test_a_message_that_is_too_long_to_be_searched_is_masked_as_a_whole(payload: bytes) -> None:
    masked = Masking().received(payload)

    assert json.loads(masked) == f"***: a message of {len(payload)} bytes, too long to be masked"
    assert Masking().sent(payload) == masked


def test_a_long_message_without_anything_to_mask_is_kept() -> None:
    rows = b",".join([b'{"values":{"10":"1"},"type":"0B","name":"x","item":"005930"}'] * 10_000)
    payload = b'{"data":[%b],"trnm":"REAL"}' % rows
    assert len(payload) > MAX_WALK

    assert Masking([TOKEN]).received(payload) == payload


@given(payloads=st.lists(st.sampled_from(EXAMPLES)), masks=st.booleans())
def test_messages_at_once_are_masked_as_one_by_one(payloads: list[bytes], masks: bool) -> None:
    masking = Masking([TOKEN], accounts=masks)

    lines = encode_messages(5, 1, 9, payloads, masking)

    single = [encode_message(5, 1, 9 + n, masking.received(payload)) for n, payload in enumerate(payloads)]
    assert lines == b"".join(single)


@given(payload=st.binary() | st.text().map(str.encode) | st.builds(lambda a, b: a + b, st.binary(), st.binary()))
def test_any_bytes_can_be_masked_and_recorded(payload: bytes) -> None:
    masking = Masking([TOKEN])
    for masked in (masking.received(payload), masking.sent(payload)):
        assert masked == payload or b"*" in masked
        assert decode_line(encode_message(1, 1, 1, masked)).payload == masked  # type: ignore[union-attr]


@given(
    payload=st.sampled_from(EXAMPLES),
    cut=st.integers(min_value=0),
    flip=st.integers(min_value=0),
    bit=st.integers(0, 7),
)
def test_a_damaged_message_can_be_masked(payload: bytes, cut: int, flip: int, bit: int) -> None:
    damaged = bytearray(payload[: len(payload) - cut % 40])
    damaged[flip % len(damaged)] ^= 1 << bit

    Masking([TOKEN]).received(bytes(damaged))


CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "decoder"
FOUND = sorted(CORPUS.iterdir()) if CORPUS.exists() else []  # an sdist has no corpus


@pytest.mark.parametrize("masks", [False, True])
def test_what_fuzzing_found_gives_back_its_exact_bytes_and_says_the_same(masks: bool) -> None:
    masking = Masking() if masks else None
    for path in FOUND:
        payload = path.read_bytes()
        line = encode_message(1, 1, 1, payload if masking is None else masking.received(payload))
        json.loads(line)
        found = decode_line(line)
        assert isinstance(found, MessageLine)
        if masking is None:
            assert found.payload == payload, path.name
        one, other = MessageDecoder().decode(payload), MessageDecoder().decode(found.payload)
        assert [type(each) for each in one] == [type(each) for each in other], path.name

"""From what a tap has caught to lines: exact bytes, in pieces, with nothing in them that must not be written."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.proto.test_capture import row

from kiwoom_proto import Secret
from kiwoom_proto.connection.capture import Received, Reported, Sent
from kiwoom_proto.events import Gap, UnknownMessage
from kiwoom_proto.recording.entries import PIECE, encode_entry
from kiwoom_proto.recording.format import EventLine, MessageLine, SentLine, decode_line
from kiwoom_proto.recording.masking import Masking
from kiwoom_proto.wire.decoder import MessageDecoder

TOKEN = Secret("the-token-that-nobody-may-see")
MASKING = Masking([TOKEN])


def encoded(entry: Received | Sent | Reported) -> list[bytes]:
    return [line for lines in encode_entry(entry, MASKING) for line in lines.data.splitlines()]


def test_a_run_is_encoded_in_small_pieces_and_numbered_through() -> None:
    payloads = [row(number) for number in range(2_000)]
    pieces = list(encode_entry(Received(5, 2, 100, payloads, rows_only=True), MASKING))

    assert max(len(piece.data) for piece in pieces) < 2 * PIECE
    assert pieces[0].messages > 1
    assert sum(piece.messages for piece in pieces) == 2_000
    lines = [decode_line(line) for piece in pieces for line in piece.data.splitlines()]
    assert lines == [MessageLine(5, 2, 100 + place, payload) for place, payload in enumerate(payloads)]


def test_one_message_of_another_kind() -> None:
    (line,) = encoded(Received(5, 2, 9, (b"\xff\r\n",), rows_only=False))

    assert decode_line(line) == MessageLine(5, 2, 9, b"\xff\r\n")


def test_what_is_sent_and_what_is_reported() -> None:
    (sent,) = encoded(Sent(5, 2, 9, b'{"trnm":"REG","data":[]}'))
    (reported,) = encoded(Reported(5, Gap(1, 2, 3, epoch=2, sequence=9)))

    assert decode_line(sent) == SentLine(5, 2, 9, b'{"trnm":"REG","data":[]}')
    assert decode_line(reported) == EventLine(5, Gap(1, 2, 3))


def test_the_token_is_masked_wherever_it_is_quoted() -> None:
    token = TOKEN.reveal()
    quoted = json.dumps({"trnm": "LOGIN", "return_code": 1, "return_msg": f"no such token: {token}"}).encode()
    entries: list[Received | Sent | Reported] = [
        Received(5, 1, 1, (quoted,), rows_only=False),
        Received(5, 1, 1, (row(1), row(2, token), row(3)), rows_only=True),
        Sent(5, 1, 1, quoted),
        Reported(5, UnknownMessage(quoted, "why")),
    ]
    for entry in entries:
        text = b"".join(encoded(entry))
        assert token.encode() not in text
        assert b"***" in text
    assert row(3) in b"".join(encoded(entries[1])), "the others are as they came"


PARTS = st.lists(st.sampled_from([*'{}[]":,\\/ \t', "\n", "\r", "1", "20", "x", '"20":"1"']), max_size=8).map("".join)


@given(st.lists(st.tuples(PARTS, st.booleans()), min_size=1, max_size=6))
def test_whatever_stands_between_the_braces_of_a_row_each_line_is_json_with_its_exact_bytes(
    bodies: list[tuple[str, bool]],
) -> None:
    template = row(1)
    head, tail = template[: template.index(b'"20"')], template[template.index(b"}") :]
    payloads = [template if plain else head + body.encode() + tail for body, plain in bodies]
    decoder, records = MessageDecoder(), list[object]()
    accepted = [payload for payload in payloads if decoder.take_rows((payload,), 0, records) is None]
    if not accepted:
        return

    lines = encoded(Received(5, 1, 1, accepted, rows_only=True))

    assert [decode_line(line) for line in lines] == [
        MessageLine(5, 1, 1 + place, payload) for place, payload in enumerate(accepted)
    ]
    for line in lines:
        assert set(json.loads(line)) - {"message", "text"} == {"at", "epoch", "sequence"}

"""The lines of recordings: every message gives back its exact bytes, every event what it said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwoom_proto import events
from kiwoom_proto.errors import (
    ClosedByPeer,
    DeadlineExceeded,
    HandshakeError,
    KiwoomError,
    LocalProtocolError,
    LoginRefused,
    PoolLost,
    QuotaExceeded,
    RecordingError,
    RemoteProtocolError,
    TakenOver,
    TokenError,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.events import (
    Closed,
    ConditionList,
    ConditionResult,
    Connecting,
    Disconnected,
    Event,
    Evicted,
    Extent,
    Gap,
    LoggedIn,
    LoginRefusal,
    MemberLost,
    Opened,
    RecordingFailed,
    RecordingHole,
    Recovered,
    RequestAccepted,
    RequestRefusal,
    RequestUnanswered,
    Snapshot,
    Stale,
    SystemNotice,
    UnknownMessage,
    Unplaced,
)
from kiwoom_proto.events.snapshots import RecoveryResult
from kiwoom_proto.headers import ResponseHeader
from kiwoom_proto.realtime import Trade
from kiwoom_proto.realtime.conditions import Condition, read_rows, read_symbols
from kiwoom_proto.realtime.record import Record
from kiwoom_proto.recording.event_json import event_from_dict, event_to_dict
from kiwoom_proto.recording.format import (
    EventLine,
    Footer,
    Header,
    MessageLine,
    SentLine,
    decode_line,
    encode_event,
    encode_footer,
    encode_header,
    encode_message,
    encode_messages,
    encode_sent,
)
from kiwoom_proto.request import Request, RequestKind

DATA = Path(__file__).parent.parent / "data" / "messages.jsonl"
EXAMPLES = [json.loads(line)["msg"].encode() for line in DATA.read_text(encoding="utf-8").splitlines()]

TICKET = Request(RequestKind.REGISTER, (("1", "0B", "005930"), ("1", "0B", "000660_NX")), parts=2, confirmed=1)
SEARCH = Request(RequestKind.CONDITION_SEARCH, seq="4", live=True, asked_again=True)
FOUND: list[dict[str, Any]] = [{"9001": "A005930", "302": "삼성전자", "10": "000072300", "25": None}, {"9001": "x"}]
ERRORS = [
    ClosedByPeer("the connection was cut"),
    KiwoomError("anything"),
    LocalProtocolError("token: must not be empty"),
    RemoteProtocolError("a REG reply that nobody had asked for"),
    TokenError("no token"),
    TransportError("connection refused"),
    QuotaExceeded(200, 190, 11, "Endpoint.item_limit", "7"),
    HandshakeError("HTTP 503", 503, b"<html>\xff</html>", 2.5),
    HandshakeError("no answer"),
    LoginRefused("8005", "토큰 오류", "8005"),
    TokenRefused("3", "no", 401, None, 1.0),
    TakenOver(2),
    PoolLost((TakenOver(1), LoginRefused("8005", "토큰 오류", "8005"), None)),
    DeadlineExceeded("idle", 30.0),
    DeadlineExceeded("connect", 60.0, TransportError("connection refused"), what="nothing happened"),
]
NOTICE = SystemNotice("R10001", "같은 키", {"x": [1, {"y": None}]}, epoch=1, sequence=3)
CLOSED = Closed(1000, "Bye", ClosedByPeer("the server closed the connection"), 1000, NOTICE, epoch=1, sequence=4)
RESTORED = Trade("0B", "005930", "", 7, b'{"13":"5"}', "", 2, 9, {"api_id": "ka10003"})
EVENTS: list[Event] = [
    Snapshot("0B", "005930", (RESTORED,), (RESTORED, RESTORED), 17, False, 1),
    Snapshot("04", "", ()),
    Recovered.of([RecoveryResult("0s", "", Extent.NOT_AT_ALL, "no TR"), RecoveryResult("0D", "1", Extent.COMPLETE)]),
    Opened(ResponseHeader(api_id="0B", next_key="x")),
    LoggedIn({"sor_yn": "Y"}),
    LoginRefusal("1", "토큰", None),
    RequestAccepted(TICKET),
    RequestRefusal(TICKET, "105115", "너무 많음"),
    RequestUnanswered(SEARCH, 10.0, 0.5),
    RequestUnanswered(SEARCH, 10.0),
    ConditionList(Request(RequestKind.CONDITION_LIST), (Condition("0", "이름"), Condition("1", ""))),
    ConditionResult(SEARCH, "4", read_rows("CNSRREQ", FOUND, 5), read_symbols(FOUND), "next", {"data": FOUND}),
    ConditionResult(SEARCH, "4", read_rows("GCNSRREQ", FOUND, 5), (), None),
    NOTICE,
    UnknownMessage(b'{"trnm":"LOGIN"}', "a second LOGIN"),
    UnknownMessage(b"\xff\x00", "not UTF-8"),
    Connecting(3),
    Disconnected(ERRORS[0], 1.5, 0.25, 2, CLOSED),
    Disconnected(ERRORS[5], 1.5, 0.0),
    Gap(1, 2, 3),
    Gap(1, 2, 3, ("005930", "000660_NX")),
    Evicted(("005930",)),
    Unplaced(("005930", "000660"), "token 1: no connection for 10 s"),
    Stale("0B", "005930", 5.0),
    RecordingHole(1, 2, None, "the disk is full"),
    RecordingHole(1, 2, 5, "the disk is full"),
    RecordingFailed("the disk is full"),
    MemberLost(CLOSED),
    CLOSED,
    *(Closed(1006, "", error) for error in ERRORS),
    Closed(1000, "", None),
]


def same(one: object, other: object) -> bool:
    """Whether two events say the same: `==` compares errors and tickets by identity."""
    return type(one) is type(other) and event_to_dict(one) == event_to_dict(other)  # type: ignore[arg-type]


# Messages.

ODD = [
    b"",
    b"{}",
    b" {}",
    b"{} ",
    b'{"a":1}\n',
    b'{"a":\r\n1}',
    b"[1]",
    b"null",
    b"{",
    b'{"a":1},"b":{}',
    b'{"a":1},"sequence":{"b":2}',
    b'{"a":"\xff"}',
    b"\xed\xa0\x80",
    b'{"a":"\\ud800"}',
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "\u2028 줄".encode(),
    b"a\nb\x00\x1f",
]


@pytest.mark.parametrize("payload", [*EXAMPLES, *ODD], ids=range(len(EXAMPLES) + len(ODD)))
def test_a_message_gives_back_its_exact_bytes(payload: bytes) -> None:
    line = encode_message(17, 2, 5, payload)

    assert line.count(b"\n") == 1 and line.endswith(b"\n") and b"\r" not in line
    assert isinstance(json.loads(line.decode()), dict)
    assert decode_line(line) == MessageLine(17, 2, 5, payload)


@given(payloads=st.lists(st.binary(max_size=50) | st.sampled_from([*EXAMPLES[:20], *ODD])))
def test_messages_at_once_are_the_same_lines(payloads: list[bytes]) -> None:
    lines = encode_messages(17, 2, 5, payloads)

    assert lines == b"".join(encode_message(17, 2, 5 + index, payload) for index, payload in enumerate(payloads))
    found = [decode_line(line) for line in lines.split(b"\n")[:-1]]
    assert found == [MessageLine(17, 2, 5 + index, payload) for index, payload in enumerate(payloads)]


@pytest.mark.parametrize("payload", [*EXAMPLES, *ODD], ids=range(len(EXAMPLES) + len(ODD)))
def test_a_message_sent_gives_back_its_exact_bytes(payload: bytes) -> None:
    assert decode_line(encode_sent(17, 2, 5, payload)) == SentLine(17, 2, 5, payload)


def test_the_message_is_a_member_as_it_came() -> None:
    payload = b'{ "trnm" : "REAL" , "data":[ ] }'

    assert encode_message(17, 2, 5, payload) == b'{"at":17,"epoch":2,"sequence":5,"message":' + payload + b"}\n"


# Events.


def test_every_event_is_tried() -> None:
    classes = {cls for name in events.__all__ if attrs.has(cls := getattr(events, name))}

    assert {type(event) for event in EVENTS} == classes


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_restored(event: Event) -> None:
    numbered = attrs.evolve(event, epoch=3, sequence=9)  # type: ignore[misc]

    line = encode_event(17, numbered)
    found = decode_line(line)

    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert isinstance(found, EventLine)
    assert found.at == 17 and same(found.event, numbered)
    assert str(found.event) == str(numbered)


def test_a_row_is_restored() -> None:
    record = Trade("0B", "005930", "주식체결", 5, b'{"10": "-1"}', "", 1, 2, {"x": 1})

    restored = event_from_dict(json.loads(json.dumps(event_to_dict(record))))

    assert isinstance(restored, Trade) and restored == record and restored.values == record.values
    assert restored.sequence == 2


def test_rows_of_a_search_keep_their_bytes() -> None:
    (result,) = [event for event in EVENTS if isinstance(event, ConditionResult) and event.next_key]

    found = decode_line(encode_event(1, result))

    assert isinstance(found, EventLine) and isinstance(found.event, ConditionResult)
    assert [row.values for row in found.event.rows] == [row.values for row in result.rows]
    assert [type(row) for row in found.event.rows] == [type(row) for row in result.rows]
    assert found.event.symbols == result.symbols and found.event.members == result.members


def test_an_error_of_another_class_keeps_its_words() -> None:
    class Strange(TransportError):
        pass

    found = decode_line(encode_event(1, Closed(1006, "", Strange("no route"))))

    assert isinstance(found, EventLine) and isinstance(found.event, Closed)
    assert type(found.event.error) is TransportError and str(found.event.error) == "no route"


def test_hostile_members_are_written_all_the_same() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    for members in ({"deep": deep}, {"surrogate": "\ud800"}, {"big": 2**70}, {"much": "x" * 3_000_000}):
        found = decode_line(encode_event(1, LoggedIn(members)))
        assert isinstance(found, EventLine) and isinstance(found.event, LoggedIn)


def test_a_plain_record_stays_one() -> None:
    record = Record("ZZ", "x", values=b'{"1":')

    assert event_from_dict(event_to_dict(record)) == record


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"event": 1},
        {"event": "Nonsense"},
        {"event": "Gap"},
        {"event": "RequestAccepted", "request": {"kind": "?"}},
        {"event": "Disconnected", "cause": 5, "retry_at": 1, "delay": 1},
        {"event": "ConditionResult", "request": None},
        {"event": "Record"},
        [],
    ],
)
def test_a_dict_that_is_no_event_is_refused(members: Any) -> None:
    with pytest.raises(RecordingError, match="event"):
        event_from_dict(members)


# Headers, footers, and lines that are none.


def test_a_header_and_a_footer_are_restored() -> None:
    header = Header(
        5, "wss://api.kiwoom.com:10000/api/dostk/websocket", False, "kiwoom-proto 0.1.0", "0" * 16, 3, False
    )

    assert decode_line(encode_header(header)) == header
    assert decode_line(encode_footer(Footer(6, "rotated", 12))) == Footer(6, "rotated", 12)
    assert encode_header(header).startswith(b'{"recording":1,"at":5,"endpoint":"wss://')


@pytest.mark.parametrize(
    "line", [b'{"recording":2,"at":5}', b'{"recording":2}', b'{"recording":3,"at":"today","part":[]}']
)
def test_a_newer_version_is_refused(line: bytes) -> None:
    with pytest.raises(RecordingError, match=r"version [23]; this version of kiwoom-proto reads version 1"):
        decode_line(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"nothing",
        b"{}",
        b'{"at":5}',
        b'{"at":"5"}',
        b'{"at":5,"base64":"?"}',
        b'{"at":5,"end":"?"}',
        b'{"at":5,"event":{}}',
        b'{"at":5,"epoch":1,"sequence":1,"message":{}',
        b"\xff",
    ],
)
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(RecordingError):
        decode_line(line)

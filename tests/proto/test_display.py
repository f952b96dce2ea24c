"""What is shown of text from outside: nothing that a terminal obeys or a reader cannot see, and never without end."""

from __future__ import annotations

import datetime
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proto.hostile import HOSTILE, unfit

from kiwoom_proto import (
    PRODUCTION,
    AfterHoursQuote,
    AppKey,
    ClientConnection,
    Closed,
    ConnectionLost,
    Conversation,
    Disconnected,
    Endpoint,
    Event,
    Gap,
    KiwoomError,
    LocalProtocolError,
    MessageDecoder,
    Record,
    Request,
    RequestRefused,
    Stale,
    SystemNotice,
    UnknownMessage,
)
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.client.errors import RequestTimeout
from kiwoom_proto.codes import explain_code
from kiwoom_proto.connection.server import ClientOpened, PingAnswered, RequestReceived, ServerRequest
from kiwoom_proto.display import MESSAGE_LIMIT, displayed, json_displayed, quoted
from kiwoom_proto.errors import (
    DeadlineExceeded,
    ElementError,
    FieldError,
    HandshakeError,
    LoginRefused,
    PoolLost,
    QuotaExceeded,
    TakenOver,
    TokenRefused,
    TransportError,
)
from kiwoom_proto.events import (
    ConditionList,
    ConditionResult,
    Connecting,
    Evicted,
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
    Unplaced,
)
from kiwoom_proto.events.snapshots import Extent, RecoveryResult
from kiwoom_proto.headers import ResponseHeader
from kiwoom_proto.realtime.conditions import Condition, ConditionRow
from kiwoom_proto.realtime.record import KST
from kiwoom_proto.rest import OrderOutcomeUnknown, RestError
from kiwoom_proto.session.lifecycle import SubscriptionState
from kiwoom_proto.session.order_state import Execution, Order, OrderKey, OrderState, Position, PositionKey
from kiwoom_proto.session.subscriptions import Subscription
from kiwoom_proto.wire.messages import ConditionRequest, Element, Reg, Reply, ticket_for

TEXTS = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
KEY = AppKey("app", "secret")


# The functions.


@TEXTS
def test_a_text_is_shown_without_anything_that_a_terminal_obeys(text: str) -> None:
    assert unfit(displayed(text)) == []
    assert len(displayed(text)) <= 200


@given(st.text(), st.integers(40, 300))
def test_what_may_be_shown_is_bounded_and_stays_as_it_is(text: str, limit: int) -> None:
    shown = displayed(text, limit)
    assert unfit(shown) == []
    assert len(shown) <= limit
    assert displayed(shown, limit) == shown
    assert displayed(text, limit) == text or unfit(text) or len(text) > limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("급등 [/] C:\\x", "급등 [/] C:\\x"),
        ("a\x1b[31m\r\n\t\x7f\x9b", "a\\x1b[31m\\r\\n\\t\\x7f\\x9b"),
        ("\u202egnp\u2069", "\\u202egnp\\u2069"),
        ("\ud800\ue000\U000e0041", "\\ud800\\ue000\\U000e0041"),
        ("e\u0301\u0302\u0303x\u0301", "e\u0301\u0302\\u0303x\u0301"),
        ("\u0301x", "\\u0301x"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 182 + "… (201 characters)"),
        ("\x00" * 100, "\\x00" * 45 + "… (100 characters)"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert displayed(text) == shown


@TEXTS
def test_json_says_the_same_and_may_be_shown(text: str) -> None:
    line = json.dumps({"name": text, text: [text]}, ensure_ascii=False)
    assert json.loads(json_displayed(line)) == {"name": text, text: [text]}
    assert unfit(json_displayed(line)) == []


def test_a_repr_costs_no_more_than_what_is_shown_of_it() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for value in (
        deep,
        {"a": deep},
        {str(number): None for number in range(100_000)},
        list(range(100_000)),
        "x" * 9**7,
    ):
        tracemalloc.start()
        shown = quoted(value)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(shown) <= 200
        assert peak < 100_000
    while deep:
        deep = deep[0]  # so that its end needs no recursion either


# Everything that is shown.


def request(text: str = "005930") -> Request:
    return ticket_for(Reg("1", "1", (Element((text, text), ("0E",)),)))


def nested(text: str) -> dict[str, Any]:
    return {text: text, "a": [[[[[[[text]]]]]], {text: {text: text}}], **{f"{text[:50]}{n}": n for n in range(500)}}


MOMENT = datetime.datetime(2026, 11, 26, 9, tzinfo=KST)
EVENTS: dict[type, Callable[[str], Iterable[Any]]] = {
    Opened: lambda text: [Opened(ResponseHeader(api_id=text, cont_yn=text, next_key=text))],
    LoggedIn: lambda text: [LoggedIn(nested(text))],
    LoginRefusal: lambda text: [LoginRefusal(text, text, text)],
    RequestAccepted: lambda text: [RequestAccepted(request(text))],
    RequestRefusal: lambda text: [RequestRefusal(request(text), text, text)],
    RequestUnanswered: lambda text: [
        RequestUnanswered(request(text), 1.0),
        RequestUnanswered(ticket_for(ConditionRequest("CNSRREQ", text)), 1.0, 2.0),
    ],
    ConditionList: lambda text: [ConditionList(request(), (Condition(text, text),) * 3)],
    ConditionResult: lambda text: [
        ConditionResult(
            request(),
            text,
            (ConditionRow(text, text, text, values=json.dumps({"302": text, "10": text}).encode()),) * 300,
            (),
            text,
            nested(text),
        )
    ],
    SystemNotice: lambda text: [SystemNotice(text, text, nested(text))],
    UnknownMessage: lambda text: [UnknownMessage(text.encode(errors="surrogatepass"), text)],
    Connecting: lambda text: [Connecting(1)],
    Disconnected: lambda text: [
        Disconnected(TransportError(text), 0.0, 1.0, 1, Closed(1000, text, TransportError(text), None)),
        Disconnected(TransportError(text), 0.0, 0.0),
    ],
    Gap: lambda text: [Gap(0, 1, 1)],
    Stale: lambda text: [Stale(text, text, 1.0)],
    RecordingFailed: lambda text: [RecordingFailed(text)],
    RecordingHole: lambda text: [RecordingHole(1, 2, 3, text)],
    Snapshot: lambda text: [Snapshot(text, text, (Record(text, text, text),) * 30, (Record(text, text, text),))],
    Recovered: lambda text: [Recovered.of([RecoveryResult(text, text, Extent.PARTLY, text)] * 30)],
    Evicted: lambda text: [Evicted((text,) * 300)],
    Unplaced: lambda text: [Unplaced((text,) * 300, text)],
    MemberLost: lambda text: [MemberLost(Closed(1000, text, TransportError(text), None, SystemNotice(text, text)))],
    Closed: lambda text: [
        Closed(1000, text, None, 1000, SystemNotice(text, text)),
        Closed(1006, text, LoginRefused(text, text, text), None, SystemNotice("R10001", text)),
    ],
}
ERRORS: dict[type[KiwoomError], Callable[[str], Iterable[KiwoomError]]] = {
    QuotaExceeded: lambda text: [QuotaExceeded(1, 1, 1, text, text)],
    ElementError: lambda text: [ElementError("ka10004", "cur_prc", "현재가", text)],
    RestError: lambda text: [RestError(text, text, 3, 200, text), RestError(text, "", 20, 503, "ka10004", 1.0)],
    OrderOutcomeUnknown: lambda text: [
        OrderOutcomeUnknown(HostileOrder(text), (MOMENT, MOMENT), RestError(text, text, 1, 500, text))
    ],
    HandshakeError: lambda text: [HandshakeError(text, 500, text.encode(errors="surrogatepass"))],
    FieldError: lambda text: [FieldError(text, text, text, text), FieldError(text, text, text, None, text)],
    LoginRefused: lambda text: [LoginRefused(text, text), LoginRefused("805004", text, text)],
    TokenRefused: lambda text: [TokenRefused(text, text, 200, text), TokenRefused("", text, 200)],
    RequestRefused: lambda text: [RequestRefused(request(text), text, text), RequestRefused(request(), "", text)],
    TakenOver: lambda text: [TakenOver(1)],
    PoolLost: lambda text: [PoolLost((TransportError(text), None) * 30)],
    DeadlineExceeded: lambda text: [DeadlineExceeded("connect", 1, TransportError(text))],
    RequestTimeout: lambda text: [RequestTimeout(request(text), 1.0)],
    ConnectionLost: lambda text: [ConnectionLost(Closed(1000, text, TransportError(text), None))],
}


@attrs.frozen
class HostileOrder:
    """An order of which every element has the text."""

    text: str
    api_id: ClassVar[str] = "kt10000"

    def to_dict(self) -> dict[str, Any]:
        return dict.fromkeys(("stk_cd", "ord_qty", "ord_uv", "orig_ord_no"), self.text)


def families(base: type[KiwoomError]) -> Iterator[type[KiwoomError]]:
    yield base
    for kind in base.__subclasses__():
        yield from families(kind)


def errors(text: str) -> Iterator[KiwoomError]:
    for kind in families(KiwoomError):
        if kind.__module__.startswith("kiwoom_proto"):
            yield from ERRORS[kind](text) if "__init__" in vars(kind) else [kind(text), kind(text, text)]


def others(text: str) -> Iterator[Any]:
    yield explain_code(text, text, text)
    yield Reply("REG", text, text, nested(text))
    yield Condition(text, text)
    yield request(text)
    yield Subscription(text, text, SubscriptionState.REFUSED, text, reason=text)
    yield RequestReceived(ServerRequest(text, nested(text)))
    yield ClientOpened(text, None)
    yield PingAnswered(text.encode(errors="surrogatepass"))
    executions = (Execution(text, 1, 1, None),)
    yield from executions
    yield Order(OrderKey(0, text), text, original=text, rejection=text, executions=executions)
    yield Position(PositionKey(0, text, text), 1)
    yield OrderState()


def events(text: str) -> Iterator[Any]:
    for make in EVENTS.values():
        yield from make(text)


def rows(text: str) -> Iterator[Any]:
    values = dict.fromkeys(("21", "131", "10", "302", "9001", "215", "913", "9201", text), text)
    for cls in (AfterHoursQuote, ConditionRow, Record):
        yield cls(text, text, text, values=json.dumps(values).encode())
    for kind in ("0E", "0B", "0D", "00", "02", "1h", "0s", "FT", "zz"):
        row = {"values": values, "type": kind, "name": text, "item": text, text: text}
        for ensure_ascii in (True, False):
            message = json.dumps({"trnm": "REAL", "data": [row], text: text}, ensure_ascii=ensure_ascii)
            yield from MessageDecoder().decode(message)


def conversation(text: str) -> Iterator[Any]:
    """All that is reported where a server says the text in each of its messages."""
    said: dict[str, Any] = {
        text: text,
        "return_code": text,
        "return_msg": text,
        "code": text,
        "message": text,
        "seq": text,
    }
    said |= {"data": [[text, text], {"jmcode": text, "9001": text, "302": text}]}
    for trnm in ("LOGIN", "REG", "REMOVE", "CNSRLST", "CNSRREQ", "SYSTEM", text):
        for code in (text, 0):
            connection = Conversation(PRODUCTION, clock=lambda: 0.0)
            connection.connect("token")
            connection.receive_opened(ResponseHeader(api_id=text))
            if trnm != "LOGIN":
                connection.receive_message('{"trnm":"LOGIN","return_code":0}')
                connection.subscribe("0E", "005930")
                connection.list_conditions()
            connection.receive_message(json.dumps(said | {"trnm": trnm, "return_code": code}))
            connection.receive_message(text)
            connection.receive_close(4000, text)
            yield connection
            yield from connection.events()


def handshake(text: str) -> Iterator[Any]:
    """All that is reported where a server says the text in its answer to the opening handshake."""
    raw = text.encode(errors="surrogatepass")
    page = b"<html><title>" + raw + b"</title></html>"
    words = json.dumps({"return_msg": text}).encode()
    answers = [
        b"HTTP/1.1 503 " + raw[:2000] + b"\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: " + raw[:2000] + b"\r\n\r\n",
        b"HTTP/1.1 503 X\r\n" + raw[:2000] + b": x\r\n\r\n",
        raw,
        *(b"HTTP/1.1 503 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body for body in (raw, page, words)),
    ]
    for answer in answers:
        connection = ClientConnection(PRODUCTION, clock=lambda: 0.0)
        connection.connect("token")
        connection.receive_data(answer)
        connection.receive_eof(None)
        yield from connection.events()
        call = TokenCall(PRODUCTION, KEY)
        call.receive_data(answer.replace(b" 101 ", b" 200 "))
        call.receive_eof(None)
        with pytest.raises(KiwoomError) as caught:
            call.result()
        yield caught.value
    lost = ClientConnection(PRODUCTION, clock=lambda: 0.0)
    lost.connect("token")
    lost.receive_eof(text)  # from the operating system, or from a certificate
    yield from lost.events()


def mistakes(text: str) -> Iterator[Any]:
    """The errors of a caller who passes the text to whatever takes one."""
    connection = ClientConnection(PRODUCTION, clock=lambda: 0.0)
    calls: list[Callable[[], object]] = [
        lambda: connection.subscribe(text, "005930"),
        lambda: connection.subscribe("0E", text),
        lambda: connection.subscribe("0E", "005930", group=text),
        lambda: connection.request(Reg(text, text, (Element((text,), (text,)),))),
        lambda: connection.request(Reg("1", text, (Element((text,), (text,)),))),
        lambda: connection.search_condition("5\x00" + text),
        lambda: connection.search_condition("5", next_key="5\x00" + text),
        lambda: connection.close(1000, text),
        lambda: connection.connect(text + "\x00"),
        lambda: Endpoint(text),
        lambda: Endpoint(f"ws://{text}/"),
        lambda: Endpoint(f"ws://a.test/{text}"),
        lambda: AppKey(text + "\x00", text),
        lambda: Endpoint("wss://a.test", item_limit=text),  # type: ignore[arg-type]
    ]
    for call in calls:
        try:
            call()
        except LocalProtocolError as error:
            yield error


PLACES = (errors, events, others, rows, conversation, handshake, mistakes)


@pytest.mark.parametrize("place", PLACES)
@TEXTS
def test_nothing_that_is_shown_has_anything_that_a_terminal_obeys(
    place: Callable[[str], Iterator[Any]], text: str
) -> None:
    count = 0
    for value in place(text):
        for shown in (str(value), repr(value), f"{value}"):
            count += 1
            assert len(shown) <= MESSAGE_LIMIT, type(value)
            assert unfit(shown) == [], (type(value), shown)
    assert count > 10


def test_no_event_and_no_error_is_left_out() -> None:
    reported = set(get_args(Event)) - {Record}
    assert EVENTS.keys() == reported
    own = {kind for kind in families(KiwoomError) if kind.__module__.startswith("kiwoom_proto")}
    assert {kind for kind in own if "__init__" in vars(kind)} == ERRORS.keys()
    assert not any({"__str__", "__repr__"} & vars(kind).keys() for kind in own - {KiwoomError}), "define _text instead"


@pytest.mark.parametrize("char", ["x", "가", "\x1b", "\u0301"])
def test_a_refusal_of_4_mb_is_shown_in_some_hundred_characters(char: str) -> None:
    text = char * 4_000_000
    for error in (
        LoginRefused("805004", text),
        RequestRefused(request(), "105115", text),
        TokenRefused("3", text, 200),
    ):
        assert len(str(error)) < 700
        assert len(repr(error)) < 3_000


def test_attributes_keep_the_exact_text() -> None:
    text = HOSTILE["long"] + HOSTILE["escape sequences"]
    assert LoginRefused(text, text).message == text
    assert RequestRefused(request(), "1", text).args[2] == text
    assert SystemNotice("1", text).message == text
    assert Closed(1000, text, None).reason == text
    assert TransportError(text).args == (text,)


def test_what_an_event_says_survives_the_cut() -> None:
    long = "가" * 100_000
    cause = TransportError(long)
    assert str(Disconnected(cause, 0.0, 2.0)).endswith("; trying again in 2.0 s")
    end = str(Closed(1000, long, LoginRefused("805004", long, "8005"), 1000, SystemNotice("R10001", long)))
    for said in ("login refused with code 805004", "the server said R10001", "received 1000", "sent 1000"):
        assert said in end


def test_a_row_of_many_fields_is_shown_whole() -> None:
    [book] = MessageDecoder().decode(
        json.dumps(
            {"trnm": "REAL", "data": [{"values": {str(fid): "-1234567" for fid in range(1, 1000)}, "type": "0D"}]}
        )
    )
    assert "… (" not in repr(book)


def test_every_event_has_the_one_repr() -> None:
    assert len({cls.__repr__ for cls in EVENTS}) == 1
    assert all(attrs.has(cls) for cls in EVENTS)

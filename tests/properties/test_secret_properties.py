"""No secret comes back out: planted wherever a server decides what is said, it is in nothing that can be printed."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from tests.proto.wire import CountingBytes, accept_handshake, close, frame, text

import kiwoom_proto
from kiwoom_proto import (
    PRODUCTION,
    AppKey,
    Closed,
    ConnectionLost,
    Endpoint,
    Event,
    KiwoomError,
    Record,
    Session,
    Symbol,
    UnknownMessage,
)
from kiwoom_proto.auth import TokenCall
from kiwoom_proto.connection.capture import Capture, Entry
from kiwoom_proto.errors import FieldError, HandshakeError
from kiwoom_proto.events import ConditionResult
from kiwoom_proto.headers import RequestHeader, ResponseHeader
from kiwoom_proto.realtime.conditions import Condition
from kiwoom_proto.realtime.fields import Direction
from kiwoom_proto.testing import ManualClock

TOKEN = "WQJCwyqInphKnR3bSRtB9NE1lv_aMhR2rVpz0aBcDeFgHiJkLmNoPqRsTuVwXyZ01-3456789abcdefghijkLm"
KEY = AppKey("PSXAe9fW1Oyd2F3kQ8YJqL0zAPPKEYw7uVbNmT4rH5c", "xJ2kSecretG7hB4nM1vC8zL5qW9eR3tY6uI0oP2aS4d")
ACCOUNT = "8100000001"
STRANGE = "ZY9somebodyelsestokenthatnobodytoldusof"
KNOWN = (TOKEN, *(secret.reveal() for secret in KEY.secrets))
ALL = (*KNOWN, ACCOUNT, STRANGE)
PACKAGES = Path(kiwoom_proto.__file__).parent.parent

EXACT: dict[tuple[type, str], tuple[str, ...]] = {
    # What holds exact data by contract, and what it may not hold even so.
    (UnknownMessage, "payload"): (),
    (HandshakeError, "body"): (),
    (FieldError, "text"): (),
    (Record, "values"): (),
    (Record, "item"): (),
    (Record, "name"): (),
    (Record, "type_code"): (),
    (Record, "venue_code"): (),
    (Record, "_decoded"): (),
    (Record, "extra"): (*KNOWN, ACCOUNT),
    (Condition, "name"): KNOWN,
    (Condition, "seq"): KNOWN,
    (Symbol, "code"): KNOWN,
    (ResponseHeader, "next_key"): KNOWN,
    (ConditionResult, "next_key"): KNOWN,
    (ConditionResult, "members"): KNOWN,
}


def members_of(value: object) -> Iterator[tuple[str, object]]:
    """The attributes of an object of ours, public or not."""
    cls: Any = type(value)
    if attrs.has(cls):
        names = [field.name for field in attrs.fields(cls)]
    else:
        names = [*getattr(value, "__struct_fields__", ()), *getattr(value, "__dict__", {})]
    yield from ((name, getattr(value, name)) for name in names)


def found(value: object, banned: tuple[str, ...] = ALL, where: str = "") -> Iterator[str]:
    """Where a secret can be read off a value, or off anything that it is made of."""
    where = where or type(value).__name__
    if isinstance(value, str | bytes):
        shown = value if isinstance(value, str) else value.decode("latin-1")
        yield from (f"{where}: {secret}" for secret in banned if secret in shown)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from found(str(name), banned, f"{where}, a name")
            yield from found(member, banned, f"{where}[{name!r}]")
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            yield from found(member, banned, f"{where}[{index}]")
    elif type(value).__module__.startswith("kiwoom_proto") and not isinstance(value, Direction):
        yield from found(str(value), ALL, f"str({where})")
        yield from found(repr(value), ALL, f"repr({where})")
        yield from found(f"{value}", ALL, f"format({where})")
        if isinstance(value, BaseException):
            yield from found(value.args, ALL, f"{where}.args")
            yield from found(value.__cause__, ALL, f"{where}.__cause__")
            yield from found(value.__context__, ALL, f"{where}.__context__")
        if isinstance(value, Record):
            yield from found(json.dumps(value.to_dict()), ALL, f"{where}.to_dict()")
            for name in value.fields:
                try:
                    getattr(value, name)
                except FieldError as error:
                    yield from found(error, ALL, f"{where}.{name}")
                    yield from captured(error)
        base = Record if isinstance(value, Record) else type(value)
        for name, member in members_of(value):
            yield from found(member, EXACT.get((base, name), banned), f"{where}.{name}")


def captured(error: BaseException) -> Iterator[str]:
    """What a traceback that shows variables has of a secret, in the frames of this project's packages."""
    described: traceback.TracebackException | None
    described = traceback.TracebackException.from_exception(error, capture_locals=True)
    while described is not None:
        for at in described.stack:
            if Path(at.filename).is_relative_to(PACKAGES):
                yield from found(str(at.locals), ALL, f"locals of {at.name}")
        described = described.__cause__ or described.__context__


# One session, up to where the server says something.


class Server:
    """A session, what is recorded of it, and a server that is about to say something."""

    def __init__(self) -> None:
        self.capture = Capture()
        self.entries: list[Entry] = []
        self.session = Session(
            Endpoint(f"{PRODUCTION.url}?key={KNOWN[1]}", mock=False),
            clock=ManualClock(1000.0),
            random=lambda: 0.5,
            random_bytes=CountingBytes(),
            capture=self.capture,
        )
        header = RequestHeader(api_id="0E", authorization=f"Bearer {TOKEN}")
        self.session.connect(TOKEN, header, renewable=False, secrets=KEY.secrets)
        self.request = self.session.data_to_send()
        self.events: list[Event] = []

    def open(self, *lines: str) -> Server:
        return self.receive(accept_handshake(self.request, *(line.encode() for line in lines)))

    def login(self) -> Server:
        return self.open().send(trnm="LOGIN", return_code=0, return_msg="")

    def receive(self, data: bytes) -> Server:
        self.session.receive_data(data, 1_700_000_000_000_000_000)
        self._collect()
        return self

    def _collect(self) -> None:
        events = self.session.events()
        self.events += events
        self.entries += self.capture.pop(events, 1_700_000_000_000_000_000)

    def send(self, **members: Any) -> Server:
        return self.receive(text(json.dumps(members, ensure_ascii=False).encode()))

    def end(self) -> None:
        for error in ("reset by peer", None):
            self.session.receive_eof(error)
        self.session.close()
        self._collect()


def http(status: str, body: str, *lines: str, kind: str = "text/plain") -> bytes:
    data = body.encode()
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


def row(**members: Any) -> dict[str, Any]:
    return {"values": {"9001": "A005930", "302": "삼성"}, "type": "00", "item": "005930", "name": "주문체결"} | members


def real(said: str, *rows: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"data": [*rows], "trnm": "REAL"} | members


def registered(server: Server) -> Server:
    server.login().session.subscribe("0E", "005930")
    server.session.data_to_send()
    return server


def searched(server: Server, **members: Any) -> Server:
    server.login().session.search_condition("0")
    server.session.data_to_send()
    server.send(**{"trnm": "CNSRLST", "return_code": 0, "return_msg": "", "data": [["0", "돌파"]]} | members)
    server.session._clock.now += 1  # type: ignore[attr-defined]
    server.session.handle_timeout()
    server.session.data_to_send()
    return server


def found_by_search(server: Server, **members: Any) -> Server:
    reply = {"trnm": "CNSRREQ", "return_code": 0, "return_msg": "", "seq": "0", "data": [{"jmcode": "A005930"}]}
    return searched(server).send(**reply | members)


def nested(said: str) -> list[Any]:
    return [{"deep": [said, {"deeper": [[said]]}]}]


def named(said: str) -> dict[str, Any]:
    """Members with a name that is no word: those of 20 letters are not masked."""
    name = said.replace(STRANGE, "")
    return {name: 1, "deep": [{name: [{name: None}]}]}


PLACES: dict[str, Callable[[Server, str], object]] = {
    "status line": lambda server, said: server.receive(http(f"403 {said}", "")),
    "status line of a good handshake": lambda server, said: server.receive(
        accept_handshake(server.request).replace(b"Switching Protocols", said.encode())
    ),
    "no status line": lambda server, said: server.receive(f"{said} 200 OK\r\n\r\n".encode()),
    "header of a refusal": lambda server, said: server.receive(http("503 x", "", f"X: {said}", f"Retry-After: {said}")),
    "name of a header": lambda server, said: server.receive(http("503 x", "", f"{said}: x")),
    "plain body": lambda server, said: server.receive(http("401 x", said)),
    "JSON body": lambda server, said: server.receive(http("401 x", json.dumps({"return_msg": said}))),
    "JSON body, escaped": lambda server, said: server.receive(
        http("401 x", '{"message":"' + "".join(f"\\u{ord(char):04x}" for char in said) + '"}')
    ),
    "title": lambda server, said: server.receive(http("503 x", f"<html><title>{said}</title>", kind="text/html")),
    "upgrade": lambda server, said: server.receive(
        accept_handshake(server.request).replace(b"Upgrade: websocket", f"Upgrade: {said}".encode())
    ),
    "accept": lambda server, said: server.receive(
        accept_handshake(server.request).replace(b"Sec-WebSocket-Accept: ", f"Sec-WebSocket-Accept: {said}".encode())
    ),
    "extension": lambda server, said: server.open(f"Sec-WebSocket-Extensions: {said}"),
    "protocol": lambda server, said: server.open(f"Sec-WebSocket-Protocol: {said}"),
    "header elements": lambda server, said: server.open(f"api-id: {said}", f"cont-yn: {said}", f"next-key: {said}"),
    "LOGIN members": lambda server, said: server.open().send(trnm="LOGIN", return_code=0, more=said, deep=nested(said)),
    "LOGIN names": lambda server, said: server.open().send(**{"trnm": "LOGIN", "return_code": 0} | named(said)),
    "LOGIN data": lambda server, said: server.open().send(trnm="LOGIN", return_code=0, next_key=said, acctNo=ACCOUNT),
    "LOGIN refused": lambda server, said: server.open().send(trnm="LOGIN", return_code=said, return_msg=said),
    "LOGIN reason": lambda server, said: server.open().send(trnm="LOGIN", return_code=3, return_msg=f"[CODE={said}]"),
    "SYSTEM": lambda server, said: server.login().send(trnm="SYSTEM", code=said, message=said, more=nested(said)),
    "SYSTEM, takeover": lambda server, said: server.login().send(trnm="SYSTEM", code="R10001", message=said),
    "close reason": lambda server, said: server.login().receive(close(1000, said.encode()[:120])),
    "close of no login": lambda server, said: server.open().receive(close(4000, said.encode()[:120])),
    "bad close": lambda server, said: server.login().receive(frame(0x8, b"\x03")),
    "REG refused": lambda server, said: registered(server).send(trnm="REG", return_code=said, return_msg=said),
    "REG over quota": lambda server, said: registered(server).send(trnm="REG", return_code=105115, return_msg=said),
    "REG accepted": lambda server, said: registered(server).send(trnm="REG", return_code=0, more=nested(said)),
    "REG unasked": lambda server, said: server.login().send(trnm="REG", return_code=said, return_msg=said),
    "REG too early": lambda server, said: server.open().send(trnm="REG", return_code=100013, return_msg=said),
    "condition names": lambda server, said: searched(server, data=[["0", said], [said, "x"]], more=said),
    "conditions refused": lambda server, said: searched(server, return_code=said, return_msg=said),
    "search members": lambda server, said: found_by_search(server, more=said, deep=nested(said), cont_yn=said),
    "search members, personal": lambda server, said: found_by_search(server, data=[{"9201": said, "acctNo": said}]),
    "search pages": lambda server, said: found_by_search(server, cont_yn="Y", next_key=said),
    "search number": lambda server, said: found_by_search(server, seq=said),
    "search refused": lambda server, said: found_by_search(server, return_code=said, return_msg=said),
    "search unasked": lambda server, said: server.login().send(trnm="CNSRREQ", return_code=0, return_msg=said),
    "REAL members": lambda server, said: server.login().send(**real(said, row(), more=said, deep=nested(said))),
    "row members": lambda server, said: server.login().send(**real(said, row(more=said, deep=nested(said)))),
    "row names": lambda server, said: server.login().send(**real(said, row(**named(said)))),
    "item": lambda server, said: server.login().send(**real(said, row(item=said))),
    "name": lambda server, said: server.login().send(**real(said, row(name=said))),
    "type": lambda server, said: server.login().send(**real(said, row(type=said))),
    "exchange": lambda server, said: server.login().send(**real(said, row(stexTp=said))),
    "item in a list": lambda server, said: server.login().send(**real(said, row(item=[said]))),
    "account": lambda server, said: server.login().send(**real(said, row(values={"9201": ACCOUNT}))),
    "account beside a bad field": lambda server, said: server.login().send(
        **real(said, row(values={"9201": ACCOUNT, "900": "x", "302": "삼성"}))
    ),
    "account of an unknown type": lambda server, said: server.login().send(
        **real(said, row(type="Q9", values={"9201": ACCOUNT}))
    ),
    "no row": lambda server, said: server.login().send(**real(said, {"more": said})),
    "no rows": lambda server, said: server.login().send(trnm="REAL", data=said),
    "unknown message": lambda server, said: server.login().send(trnm=said, more=said),
    "no trnm": lambda server, said: server.login().send(more=said),
    "PING": lambda server, said: server.login().send(trnm="PING", more=said),
    "no JSON": lambda server, said: server.login().receive(text(f'{{"a": {said}'.encode())),
    "a JSON string": lambda server, said: server.login().receive(text(json.dumps(said).encode())),
    "no UTF-8": lambda server, said: server.login().receive(text(said.encode() + b"\xff")),
    "binary": lambda server, said: server.login().receive(frame(0x2, said.encode())),
    "a fragment of nothing": lambda server, said: server.login().receive(frame(0x0, said.encode())),
    "ping of RFC 6455": lambda server, said: server.login().receive(frame(0x9, said.encode()[:120])),
}

FIDS: dict[str, Callable[[Server, str], object]] = {
    "text": lambda server, said: server.login().send(**real(said, row(values={"302": said}))),
    "number": lambda server, said: server.login().send(**real(said, row(values={"900": said}))),
    "code": lambda server, said: server.login().send(**real(said, row(values={"905": said, "913": said}))),
    "unknown": lambda server, said: server.login().send(**real(said, row(values={"99999": said, said: "1"}))),
    "unknown type": lambda server, said: server.login().send(**real(said, row(type="Q9", values={"1": said}))),
    "no object": lambda server, said: server.login().send(**real(said, row(values=[said]))),
    "search rows": lambda server, said: found_by_search(server, data=[{"302": said, "10": said, "9201": ACCOUNT}]),
    "search codes": lambda server, said: found_by_search(server, data=[{"jmcode": said.replace(STRANGE, "")}]),
}
"""What a FID holds is what its number says: account numbers are FID 9201, and nowhere else looked for."""

few = settings(max_examples=12, phases=[phase for phase in Phase if phase is not Phase.explain])
around = st.sampled_from(
    ["", " ", "[", "]", "Bearer ", "계좌 ", "토큰이", "x", '"', "CODE=8005, MESSAGE=", "://", "\x1b[2J"]
)


@st.composite
def sayings(draw: st.DrawFn, secrets: tuple[str, ...]) -> str:
    """What a server may say with a secret, or two, in it."""
    chosen = draw(st.lists(st.sampled_from(secrets), min_size=1, max_size=2, unique=True))
    return "".join(f"{draw(around)}{secret}{draw(around)}" for secret in chosen)


def check(place: Callable[[Server, str], object], said: str) -> None:
    server = Server()
    place(server, said)
    server.end()
    session = server.session
    assert server.events
    leaks = [leak for event in server.events for leak in found(event)]
    leaks += [*found(f"{session} {session!r} {session.needs}"), *found(session.subscriptions), *found(session.header)]
    closed = server.events[-1]
    if isinstance(closed, Closed):
        try:
            raise ConnectionLost(closed) from closed.error
        except ConnectionLost as error:
            leaks += [*found(error), *captured(error)]
    assert leaks == [], f"said: {said!r}"


@pytest.mark.parametrize("place", PLACES)
@few
@given(said=sayings(ALL))
@example(said=TOKEN)
@example(said=ACCOUNT)
def test_what_a_server_says_of_a_secret_is_in_nothing_that_can_be_printed(place: str, said: str) -> None:
    check(PLACES[place], said.replace("\x1b", "") if "header" in place or "line" in place else said)


@pytest.mark.parametrize("place", FIDS)
@few
@given(said=sayings((*KNOWN, STRANGE)))
@example(said=TOKEN)
def test_what_a_row_says_of_a_secret_is_in_nothing_that_can_be_printed(place: str, said: str) -> None:
    check(FIDS[place], said)


ANSWERS: dict[str, Callable[[str], bytes]] = {
    "status line": lambda said: http(f"403 {said}", ""),
    "no status line": lambda said: f"{said}\r\n\r\n".encode(),
    "header": lambda said: http("503 x", "", f"Retry-After: {said}", f"X: {said}"),
    "name of a header": lambda said: http("503 x", "", f"{said}: 1"),
    "body": lambda said: http("503 x", said),
    "title": lambda said: http("200 OK", f"<html><title>{said}</title>", kind="text/html"),
    "return_msg": lambda said: http("200 OK", json.dumps({"return_code": 3, "return_msg": said})),
    "return_code": lambda said: http("200 OK", json.dumps({"return_code": said, "return_msg": f"[{said}:x]"})),
    "expires_dt": lambda said: http("200 OK", json.dumps({"return_code": 0, "token": TOKEN, "expires_dt": said})),
    "token": lambda said: http("200 OK", json.dumps({"return_code": 0, "token": f"{said}\n"})),
    "token beside a refusal": lambda said: http(
        "200 OK", json.dumps({"return_code": 3, "token": "short-token", "return_msg": f"short-token {said}"})
    ),
    "another member": lambda said: http("200 OK", json.dumps({"return_code": 0, "more": said})),
    "no object": lambda said: http("200 OK", json.dumps([said])),
    "redirect": lambda said: http(f"302 {said}", "", f"Location: https://example.org/{said}"),
    "length": lambda said: f"HTTP/1.1 200 OK\r\nContent-Length: {said}\r\n\r\n".encode(),
}


@pytest.mark.parametrize("place", ANSWERS)
@pytest.mark.parametrize("revoke", [None, TOKEN])
@few
@given(said=sayings(ALL))
@example(said=TOKEN)
def test_what_a_token_server_says_of_a_secret_is_in_nothing_that_can_be_printed(
    place: str, revoke: str | None, said: str
) -> None:
    call = TokenCall(PRODUCTION, KEY, revoke=revoke)
    call.data_to_send()
    call.receive_data(ANSWERS[place](said.replace("\x1b", "")))
    call.receive_eof()
    leaks = [*found(repr(call))]
    try:
        leaks += [*found(call.result())]
    except KiwoomError as error:
        assert "short-token" not in f"{error!r} {error}"
        leaks += [*found(error), *captured(error)]
    assert leaks == [], f"said: {said!r}"


def test_the_search_finds_what_is_there() -> None:
    """The check itself works: what is exact by contract holds the secret, and a careless error is found."""
    server = Server()
    PLACES["unknown message"](server, TOKEN)
    assert any(isinstance(event, UnknownMessage) and TOKEN.encode() in event.payload for event in server.events)
    assert [*found(KiwoomError(f"no: {TOKEN}"))]
    assert [*found({"a": [ACCOUNT]})]
    with pytest.raises(KiwoomError) as caught:
        Endpoint("x" if (careless := TOKEN) else "")
    assert careless and not [*found(caught.value)]

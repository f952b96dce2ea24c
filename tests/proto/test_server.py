"""ServerConnection: the mirror of the client's end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kiwoom_proto import Closed, LocalProtocolError, ServerConnection, SystemNotice, UnknownMessage
from kiwoom_proto.config import ServerConfig
from kiwoom_proto.connection.lifecycle import ConnectionState
from kiwoom_proto.connection.server import ClientOpened, PingAnswered, RequestReceived, ServerRequest
from kiwoom_proto.errors import ClosedByPeer, DeadlineExceeded, RemoteProtocolError
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.testing import ManualClock
from kiwoom_proto.wire.messages import Row

from .wire import CLOSE, MASK, TEXT, TOKEN, WireFrame, close_payload, frame, one_by_one, parse_frames

CONNECTING, LOGGING_IN, READY, CLOSING, CLOSED = ConnectionState
CONFIG = ServerConfig(open_timeout=2, close_timeout=3, max_message_size=1000)
LOGIN = f'{{"trnm":"LOGIN","token":"{TOKEN}"}}'.encode()
REQUEST = (
    b"GET /api/dostk/websocket?x=1 HTTP/1.1\r\n"
    b"Host: mockapi.kiwoom.com:10000\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


class Server:
    """A `ServerConnection` on virtual time, with the client's end written by hand."""

    def __init__(self, status: int = 101) -> None:
        self.clock = ManualClock(10.0)
        self.connection = ServerConnection(CONFIG, clock=self.clock, status=status)

    def open(self) -> Server:
        self.connection.receive_data(REQUEST + b"\r\n")
        assert self.connection.data_to_send().startswith(b"HTTP/1.1 101 ")
        assert [type(event) for event in self.connection.events()] == [ClientOpened]
        return self

    def login(self) -> Server:
        self.open()
        self.connection.accept(self.request(LOGIN), sor_yn="Y")
        self.connection.data_to_send()
        return self

    def send(self, *payloads: bytes) -> None:
        self.connection.receive_data(b"".join(frame(TEXT, payload, mask=MASK) for payload in payloads))

    def request(self, payload: bytes) -> ServerRequest:
        """Send a request and return it as it arrived."""
        self.send(payload)
        (event,) = self.connection.events()
        assert isinstance(event, RequestReceived)
        return event.request

    def sent(self) -> list[WireFrame]:
        return parse_frames(self.connection.data_to_send())

    def messages(self) -> list[bytes]:
        return [found.payload for found in self.sent() if found.opcode == TEXT]

    def end(self) -> Closed:
        """The last event, which must be the only one."""
        (event,) = self.connection.events()
        assert isinstance(event, Closed)
        assert self.connection.state is CLOSED
        assert self.connection.next_timeout() is None
        return event


def test_whole_life() -> None:
    server = Server()
    connection = server.connection
    assert connection.state is CONNECTING
    assert connection.next_timeout() == 12.0
    server.open()
    assert connection.state is LOGGING_IN
    assert connection.next_timeout() is None
    login = server.request(LOGIN)
    assert (login.trnm, login.members) == ("LOGIN", {"token": TOKEN})
    connection.accept(login, sor_yn="Y")
    assert connection.state is READY
    assert server.messages() == [b'{"trnm":"LOGIN","return_code":0,"return_msg":"","sor_yn":"Y"}']
    reg = server.request(b'{"trnm":"REG","grp_no":"1","refresh":"1","data":[{"item":["005930"],"type":["0E"]}]}')
    assert reg.registrations() == [("0E", "005930")]
    connection.refuse(reg, 105115, "초과")
    assert server.messages() == ['{"trnm":"REG","return_code":105115,"return_msg":"초과"}'.encode()]
    connection.send_records([Row({"131": "5"}, "0E", "주식시간외호가", "005930")])
    assert server.messages() == [
        '{"data":[{"values":{"131":"5"},"type":"0E","name":"주식시간외호가","item":"005930"}],"trnm":"REAL"}'.encode()
    ]
    connection.send_ping()
    assert server.messages() == [b'{"trnm":"PING"}']
    server.send(b'{ "trnm":"PING" }')
    assert connection.events() == [PingAnswered(b'{ "trnm":"PING" }')]
    connection.send_system("R10001", "m")
    assert server.messages() == [b'{"trnm":"SYSTEM","code":"R10001","message":"m"}']
    connection.close()
    assert connection.state is CLOSING
    assert connection.next_timeout() == 13.0
    assert server.sent() == [WireFrame(CLOSE, close_payload(1000, b"Bye"), masked=False)]
    connection.receive_data(frame(CLOSE, close_payload(1000, b"Bye"), mask=MASK))
    assert server.end() == Closed(1000, "Bye", None, 1000, SystemNotice("R10001", "m"))


@pytest.mark.parametrize("names", [("api-id", "authorization", "cont-yn", "next-key"), ("API-ID", "Authorization")])
def test_header_elements_of_the_handshake(names: tuple[str, ...]) -> None:
    """Reported as a `RequestHeader`, whatever the case of the names; the answer has the documented ones."""
    values = {"api-id": "0E", "authorization": f"Bearer {TOKEN}", "cont-yn": "N", "next-key": "k"}
    lines = "".join(f"{name}: {values[name.lower()]}\r\n" for name in names)
    connection = Server().connection
    connection.receive_data(REQUEST + lines.encode() + b"\r\n")
    given = {name.lower().replace("-", "_"): values[name.lower()] for name in names}
    assert connection.events() == [ClientOpened("/api/dostk/websocket?x=1", RequestHeader(**given))]
    answer = connection.data_to_send()
    assert b"api-id: 0E\r\n" in answer
    assert b"cont-yn: N\r\n" in answer


@pytest.mark.parametrize("line", [b"", b"api-id: \r\n", b"api-id: 12345678901\r\n", b"authorization: Bearer x\r\n"])
def test_handshake_without_usable_header_elements(line: bytes) -> None:
    """Nobody is turned away for them, and none are made up."""
    connection = Server().connection
    connection.receive_data(REQUEST + line + b"\r\n")
    assert connection.events() == [ClientOpened("/api/dostk/websocket?x=1", None)]
    assert b"api-id" not in connection.data_to_send()
    assert connection.state is LOGGING_IN


@pytest.mark.parametrize("status", [401, 403, 503])
def test_refused_handshake(status: int) -> None:
    """The status is answered, nobody is reported as opened, and the end does not blame the client for it."""
    server = Server(status)
    server.connection.receive_data(REQUEST + b"\r\n")
    assert server.connection.data_to_send().startswith(b"HTTP/1.1 %d " % status)
    assert "client cut" not in str(server.end())


def test_status_that_http_does_not_know_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="status"):
        ServerConnection(clock=ManualClock(), status=599)


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", REQUEST.replace(b": 13", b": 8") + b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_no_opening_handshake(data: bytes) -> None:
    """The connection ends for the client's fault, and no client is reported as opened."""
    server = Server()
    for piece in one_by_one(data):
        server.connection.receive_data(piece)
    assert b" 101 " not in server.connection.data_to_send()
    assert isinstance(server.end().error, RemoteProtocolError)


def test_first_messages_may_come_with_the_handshake() -> None:
    connection = Server().connection
    connection.receive_data(REQUEST + b"\r\n" + frame(TEXT, LOGIN, mask=MASK))
    opened, received = connection.events()
    assert isinstance(opened, ClientOpened)
    assert isinstance(received, RequestReceived)


def test_accepting_a_login_makes_it_ready_and_rejecting_it_does_not() -> None:
    server = Server().open()
    server.connection.refuse(server.request(LOGIN), 805004, "[CODE=8005]")
    assert server.connection.state is LOGGING_IN
    server.connection.accept(server.request(LOGIN))
    assert server.connection.state is READY
    server.connection.accept(server.request(LOGIN))
    assert server.connection.state is READY


def test_other_requests_do_not_make_it_ready() -> None:
    server = Server().open()
    server.connection.accept(server.request(b'{"trnm":"REG","data":[]}'))
    assert server.connection.state is LOGGING_IN


def test_each_request_is_answered_once() -> None:
    """Another answer, or one to a request of another connection, is refused and nothing is sent."""
    one, other = Server().login(), Server().login()
    request = one.request(b'{"trnm":"REG","data":[]}')
    one.connection.accept(request)
    one.sent()
    for connection in (one.connection, other.connection):
        with pytest.raises(LocalProtocolError, match="REG"):
            connection.accept(request)
        with pytest.raises(LocalProtocolError, match="REG"):
            connection.refuse(request, 1, "")
    assert one.sent() == other.sent() == []


def test_answers_may_come_later_and_in_any_order() -> None:
    server = Server().login()
    first = server.request(b'{"trnm":"REG","n":1}')
    second = server.request(b'{"trnm":"REG","n":1}')
    server.connection.accept(second, n=2)
    server.connection.accept(first, n=1)
    assert [json.loads(message)["n"] for message in server.messages()] == [2, 1]


@pytest.mark.parametrize(
    ("data", "pairs"),
    [
        ([{"item": ["1", "2"], "type": ["0E", "0B"]}], [("0E", "1"), ("0B", "1"), ("0E", "2"), ("0B", "2")]),
        ([{"item": ["1"], "type": ["0E"]}, {"item": ["2"], "type": ["0B"]}], [("0E", "1"), ("0B", "2")]),
        ([{"type": ["00"]}], [("00", "")]),
        ([{"item": [], "type": ["00", "0B", "F5", "1h"]}], [("00", ""), ("F5", "")]),
        ([], []),
    ],
)
def test_registrations(data: Any, pairs: list[tuple[str, str]]) -> None:
    assert ServerRequest("REG", {"data": data}).registrations() == pairs


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"data": None},
        {"data": {"item": ["1"], "type": ["0E"]}},
        {"data": ["1"]},
        {"data": [{"item": "1", "type": ["0E"]}]},
        {"data": [{"item": ["1"], "type": "0E"}]},
        {"data": [{"item": ["1"]}]},
        {"data": [{"item": [1], "type": ["0E"]}]},
        {"data": [{"item": [{"jmcode": "NVDA"}], "type": ["FE"]}]},
    ],
)
def test_registrations_of_the_wrong_shape(members: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ServerRequest("REG", members).registrations()


@pytest.mark.parametrize("payload", [b"", b"junk", b"[]", b"5", b"null", b"\xf0\x9f\x98\x80", b"[" * 900])
def test_message_that_cannot_be_understood(payload: bytes) -> None:
    server = Server().login()
    server.send(payload, b'{"trnm":"REG"}')
    unknown, received = server.connection.events()
    assert isinstance(unknown, UnknownMessage)
    assert unknown.payload == payload
    assert isinstance(received, RequestReceived)
    assert server.connection.state is READY


@pytest.mark.parametrize("payload", [b"{}", b'{"trnm":5}', b'{"trnm":null}', b'{"trnm":["PING"]}', b'{"trnm":""}'])
def test_an_object_without_a_trnm_is_a_request_of_no_name(payload: bytes) -> None:
    server = Server().login()
    request = server.request(payload)
    assert request.trnm == ""
    server.connection.refuse(request, 100002, "parameter")
    assert server.messages() == [b'{"trnm":"","return_code":100002,"return_msg":"parameter"}']


def test_an_answer_has_the_members_it_is_given_in_their_order_and_no_others() -> None:
    server = Server().login()
    request = server.request(b'{"trnm":"GCNSRCLR","seq":"1"}')
    server.connection.answer(request, seq="1", return_code=0)
    assert server.messages() == [b'{"trnm":"GCNSRCLR","seq":"1","return_code":0}']
    with pytest.raises(LocalProtocolError, match="answered before"):
        server.connection.answer(request, seq="1")
    server.connection.answer(server.request(b'{"trnm":"GCNSRCLR"}'), trnm="GCNSRREQ", return_code=0)
    assert server.messages() == [b'{"trnm":"GCNSRREQ","return_code":0}']


@pytest.mark.parametrize(("path", "status"), [("/here", 101), ("/here?x=1", 101), ("/", 404), ("/here/", 404)])
def test_a_path_that_is_not_served_is_answered_404(path: str, status: int) -> None:
    connection = ServerConnection(CONFIG, clock=ManualClock(), paths=("/here",))
    connection.receive_data(REQUEST.replace(b"/api/dostk/websocket?x=1", path.encode()) + b"\r\n")
    assert connection.data_to_send().startswith(f"HTTP/1.1 {status} ".encode())
    opened = [event for event in connection.events() if isinstance(event, ClientOpened)]
    assert [event.path for event in opened] == ([path] if status == 101 else [])
    assert connection.state is (LOGGING_IN if status == 101 else CLOSED)


def test_a_message_that_is_too_large_is_told_the_limit() -> None:
    server = Server().login()
    server.send(b'{"trnm":"A"}'.ljust(1000))
    assert len(server.connection.events()) == 1
    server.connection.receive_data(frame(TEXT, b" " * 600, mask=MASK, fin=False) + frame(0, b" " * 401, mask=MASK))
    (closed,) = server.sent()
    assert closed.payload == close_payload(1009, b"Max frame length of 1000 has been exceeded.")


def test_request_does_not_show_its_members() -> None:
    """A LOGIN holds the token."""
    request = Server().open().request(LOGIN)
    assert TOKEN not in repr(RequestReceived(request))
    assert TOKEN not in str(request)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"{}"), 1002),
        (frame(TEXT, b"x" * 1001, mask=MASK), 1009),
        (frame(TEXT, b"\xff", mask=MASK), 1007),
        (frame(3, mask=MASK), 1002),
    ],
)
def test_broken_websocket_ends_the_connection(data: bytes, code: int) -> None:
    server = Server().login()
    server.connection.receive_data(data)
    (answer,) = server.sent()
    assert (answer.opcode, answer.payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
    end = server.end()
    assert isinstance(end.error, RemoteProtocolError)
    assert end.sent_code == code


def test_client_closes() -> None:
    """What a client may do at any time: no error. What came before its close frame is reported."""
    server = Server().login()
    server.connection.receive_data(
        frame(TEXT, b'{"trnm":"REG"}', mask=MASK) + frame(CLOSE, close_payload(1001, b"x"), mask=MASK)
    )
    received, end = server.connection.events()
    assert isinstance(received, RequestReceived)
    assert end == Closed(1001, "x", None, 1001)
    server.connection.accept(received.request)  # too late, and no fault of the owner's
    assert server.messages() == []


def test_client_cuts_the_connection() -> None:
    server = Server().login()
    server.connection.receive_eof()
    server.connection.receive_eof()
    end = server.end()
    assert end.code == 1006
    assert isinstance(end.error, ClosedByPeer)


@pytest.mark.parametrize("opened", [False, True])
def test_abort_ends_at_once_without_a_close_frame(opened: bool) -> None:
    server = Server()
    if opened:
        server.login()
    server.connection.abort()
    server.connection.abort()
    assert server.connection.data_to_send() == b""
    assert server.end() == Closed(1006, "", None)


def test_close_before_the_handshake_is_an_end() -> None:
    server = Server()
    server.connection.close()
    server.connection.close()
    assert server.end().error is None
    assert server.connection.data_to_send() == b""


@pytest.mark.parametrize("phase", ["open", "close"])
def test_deadlines(phase: str) -> None:
    server = Server()
    if phase == "close":
        server.login()
        server.connection.close()
        server.sent()
    due = server.connection.next_timeout()
    assert due is not None
    assert due == server.clock.now + getattr(CONFIG, f"{phase}_timeout")
    server.clock.now = due - 0.001
    server.connection.handle_timeout()
    assert server.connection.events() == []
    server.clock.now = due
    server.connection.handle_timeout()
    server.connection.handle_timeout()
    end = server.end()
    assert isinstance(end.error, DeadlineExceeded)
    assert end.error.phase == phase


def test_messages_after_our_close_are_still_reported() -> None:
    server = Server().login()
    server.connection.close()
    server.sent()
    received = server.request(b'{"trnm":"REG"}')
    server.connection.accept(received)
    server.connection.send_ping()
    assert server.sent() == []


def test_everything_after_the_end_is_ignored() -> None:
    server = Server().login()
    server.connection.receive_eof()
    server.connection.events()
    server.send(b"{}")
    server.connection.receive_eof()
    server.connection.handle_timeout()
    server.connection.close()
    server.connection.send_ping()
    assert server.connection.events() == []
    assert server.connection.data_to_send() == b""


def test_unsent_counts_bytes_until_they_are_fetched() -> None:
    server = Server().login()
    assert server.connection.unsent == 0
    server.connection.send_text(b"x" * 10)
    server.connection.send_text(b"y" * 5)
    assert server.connection.unsent == 15 + 2 * 2  # two headers
    server.sent()
    assert server.connection.unsent == 0


def test_send_text_sends_any_bytes() -> None:
    server = Server().login()
    server.connection.send_text(b"\xff not JSON")
    assert server.messages() == [b"\xff not JSON"]


def test_repr_shows_the_state() -> None:
    assert repr(Server().connection) == "<ServerConnection, connecting>"
    assert repr(Server().login().connection) == "<ServerConnection, ready>"


@pytest.mark.parametrize(("code", "reason"), [(5, ""), (1000, "x" * 124), (1000, None)])
def test_a_close_that_cannot_be_sent_changes_nothing(code: int, reason: Any) -> None:
    connection = Server().connection
    with pytest.raises(LocalProtocolError):
        connection.close(code, reason)
    assert connection.state is CONNECTING
    assert connection.events() == []


def test_nothing_can_be_sent_before_the_connection_is_open() -> None:
    connection = Server().connection
    with pytest.raises(LocalProtocolError, match="not open"):
        connection.send_ping()

"""What fuzzing begins with: real messages, frames made by hand, and the words that a mutation may put in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from kiwoom_proto import REALTIME
from kiwoom_proto.wire.tolerant import REPLIES

from ..proto.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_payload, frame
from ..rest.samples import reply_of
from .recording import recording_seeds
from .rest import rest_seeds
from .targets import APPKEY, LOGGED_IN, MESSAGES, REPLY_TYPES, REQUEST, SECRET, TOKEN

MESSAGE_FILE = Path(__file__).parent.parent / "data" / "messages.jsonl"
JSON_WORDS = (
    '"trnm":"REAL"', '"data":[', '"values":{', '"type":', '"item":', '"name":', '"stexTp":', '"return_code":',
    '"return_msg":', '"code":', '"message":', '"seq":', '"cont_yn":"Y"', '"next_key":', '"jmcode":', '"stex_tp":"ND"',
    '"grp_no":"1"', '"refresh":"0"', '"token":', '"search_type":"1"', '"REAL"', '"PING"', '"SYSTEM"', '"REMOVE"',
    "null", "true", "[]", "{}", "1e999", '"\\ud800"', "[[[[", "R10001", "005930", "005930_NX", "NVDA:ND",
    "000000", "160000", "-0", "+1", "[CODE=8005", "105110", "900003", "100013",
)  # fmt: skip
HTTP_WORDS = (
    "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 ", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 429 x\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
    "Content-Type: text/html\r\n", "Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Accept: \0\r\n",
    "Sec-WebSocket-Protocol: x\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n", "api-id: 0E\r\n", "\r\n\r\n",
    "0\r\n\r\n", "<title>", "<html", "POST /oauth2/token HTTP/1.1\r\n", "/oauth2/revoke", "Host: x\r\n", "expires_dt",
    "POST /api/dostk/stkinfo HTTP/1.1\r\n", "api-id: ka10095\r\n", "cont-yn: Y\r\n", "next-key: ",
    "Expect: 100-continue\r\n",
    "GET / HTTP/1.1\r\n", "Origin: http://x", "Host: localhost\r\n", "Host: [::1]:80\r\n",
)  # fmt: skip


def messages(direction: str) -> list[bytes]:
    """The messages published by others that went this way."""
    lines = [json.loads(line) for line in MESSAGE_FILE.read_text(encoding="utf-8").splitlines()]
    return [line["msg"].encode() for line in lines if line["dir"] == direction]


def words() -> list[bytes]:
    """What the fuzzer may put into an input at once."""
    fids = [
        *dict.fromkeys(fid for record in REALTIME.values() for fid in (field.fid for field in record.fields.values()))
    ]
    texts = [*JSON_WORDS, *HTTP_WORDS, *sorted(REPLIES), *REALTIME, *(f'"{fid}":"' for fid in fids), APPKEY, SECRET]
    return [word.encode() for word in texts] + [close_payload(code) for code in (1000, 1001, 1007, 1009, 4000)]


def dictionary() -> str:
    """`words` as libFuzzer reads them."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words())


def reply_seeds() -> Iterator[bytes]:
    """Bodies of REST replies: as documented, and in other shapes."""
    for index, cls in enumerate(REPLY_TYPES):
        body = reply_of(cls.reply_type)
        yield bytes((index,)) + json.dumps(body, ensure_ascii=False).encode()
        others: tuple[object, ...] = (1, None, True, 1.5, [], {}, "--", "１")
        shapes = dict(zip(body, others, strict=False))
        yield bytes((index,)) + json.dumps({**body, **shapes, "unknown": [1.5]}).encode()
        yield bytes((index,)) + json.dumps({**body, "return_code": "5", "return_msg": "[1700:x]"}).encode()
    yield b'\0{"stk_tic_chart_qry":{"cur_prc":"1"},"return_msg":"a\nb"}'
    yield b'\0{"result_lsit":[{"cur_prc":-1e3}]}'


def seeds(target: str) -> Iterator[bytes]:
    """What to begin with for one target."""
    received = messages("recv")
    if target == "decoder":
        yield from received
        yield from MESSAGES
    elif target == "reply":
        yield from reply_seeds()
    elif target == "websocket":
        for mode, mask in ((b"\0", None), (b"\1", b"\1\2\3\4")):
            parts = (
                frame(TEXT, b"hello", mask=mask),
                frame(TEXT, "가".encode() * 60, mask=mask),
                frame(TEXT, b"a", mask=mask, width=2),
                frame(TEXT, b"", mask=mask, width=8),
                frame(BINARY, bytes(range(9)), mask=mask),
                frame(TEXT, b"x", fin=False, mask=mask) + frame(PING, b"p", mask=mask) + frame(CONT, b"y", mask=mask),
                frame(TEXT, b"x", fin=False, mask=mask) + frame(CLOSE, close_payload(), mask=mask),
                frame(TEXT, b"\xff", mask=mask),
                frame(PING, b"", mask=mask),
                frame(PONG, b"?", mask=mask),
                frame(CLOSE, close_payload(1000, b"Bye"), mask=mask),
                frame(CLOSE, b"", mask=mask),
                frame(TEXT, b"a" * 301, mask=mask),
                frame(TEXT, b"r", rsv=4, mask=mask),
            )
            for part in parts:
                yield mode + b"\2" + part
            yield mode + b"\3" + b"".join(parts)
    elif target == "connection":
        yield b"\2" + b"\n".join(received[:20])
        for at in range(0, len(received), 6):
            yield b"\0" + b"\n".join((b"!0", b"~1", b"!3", *received[at : at + 6]))
        yield b"\3!0\n~1\n!2\n~2\n!3\n~4\n!4\n~5\n~6\n!6\n~7\n~8\n~9\n!7\n+5"
        yield b"\0" + b"\n".join((b"!1", b"+3", b"~1", b"+4", b"~3", b"+6", b"~1", b"=\x88\x00", b"."))
        yield b"\1!4\n~6\n+5\n~7\n+5\n~5\n+7"
    elif target == "http":
        yield from http_seeds()
    elif target == "recording":
        yield from recording_seeds(received)
    elif target == "rest":
        yield from rest_seeds()
    elif target == "session":
        yield bytes((0, 0, 0, 0, 0, 0, 0, 8, 4, 0, 1, 2, 1, 8, 5, 11, 8, 5, 3, 0, 0, 0, 8, 6))
        yield bytes((0, 1, 1, 0, 0, 0, 4, 6, 0, 1, 5, 8, 4, 13, 8, 6, 7, 0, 8, 4, 23, 7))
        yield bytes((1, 0, 1, 18, 1, 1, 2, 0, 0, 1, 0, 8, 7, 15, 8, 7, 15, 8, 6, 21, 1, 8, 4, 22, 2, 129, 0))
        yield bytes((0, 0, 0, 0, 0, 0, 0, 20, 0, 5, 20, 0, 17, 1, 12, 8, 5, 23, 0, 3, 11, 8, 6, 19, 1, 8, 7, 19, 0))
    elif target == "server":
        yield b"\0\2" + REQUEST + frame(TEXT, b'{"trnm":"LOGIN","token":"x"}', mask=b"abcd")
        yield b"\1\0" + frame(TEXT, b'{"trnm":"PING"}', mask=b"abcd") + frame(CLOSE, close_payload(), mask=b"1234")
        login = b'{"trnm":"LOGIN","token":"' + TOKEN.encode() + b'"}'
        yield b"\2\0" + b"\n".join((login, b"+1", *messages("send"), b"+4", b'{"trnm":"PING"}', b"+5"))
        for message in messages("send"):
            yield b"\2\3" + b"\n".join((login, b"+1", message, b"+3"))
            yield b"\1\0" + frame(TEXT, message, mask=b"abcd")
        yield b"\2\0" + b"\n".join(
            (login, b"+1", *hostile_messages(), b"@1", login, b"@0", b"+3", b"@1", b"=\x88\x00", b"+5")
        )
        yield b"\3\2" + post("token", {"appkey": APPKEY, "secretkey": SECRET})
        yield b"\3\0" + REQUEST
        for headers in (b"Host: evil.test\r\n", b"Host: [::1]:80\r\nOrigin: http://[::1]:80\r\n", b"Origin: null\r\n"):
            yield b"\3\2" + REQUEST.replace(b"Host: localhost\r\n", headers)
            yield b"\3\0POST /oauth2/token HTTP/1.1\r\n" + headers + b"Content-Length: 2\r\n\r\n{}"
        early = frame(TEXT, b'{"trnm":"REG"}', mask=b"abcd")
        for mode in (b"\0", b"\3"):  # the opening handshake, a message and the end, in one piece and in many
            yield mode + b"\0" + REQUEST + early + frame(TEXT, b"\xff", mask=b"abcd")
            yield mode + b"\2" + REQUEST + early + frame(CLOSE, close_payload(), mask=b"abcd")


def hostile_messages() -> Iterator[bytes]:
    """What once ended a simulated exchange, in a small size."""
    search = b'{"trnm":"CNSRREQ","seq":"0","search_type":"0","cont_yn":"Y","next_key":"'
    yield b'{"trnm":"CNSRLST"}'
    yield b"+3"
    yield search + b"9" * 500 + b'"}'
    yield search + b'000020"}'
    yield b'{"trnm":"REG","grp_no":"1","data":[{"item":["1","2","2"],"type":["0B","","0B"]},{"item":[]}]}'
    yield b'{"trnm":"REMOVE","grp_no":"1","data":[{"item":["005930_AL_NX"],"type":["0B","00","1h"]}]}'


def post(what: str, members: dict[str, str]) -> bytes:
    """A call to the token server."""
    body = json.dumps({"grant_type": "client_credentials", **members}).encode()
    head = f"POST /oauth2/{what} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def tr(api_id: str, group: str, members: dict[str, str], headers: str = "") -> bytes:
    """A request to REST."""
    body = json.dumps(members).encode()
    head = f"POST /api/dostk/{group} HTTP/1.1\r\nHost: x\r\napi-id: {api_id}\r\nauthorization: Bearer {TOKEN}\r\n"
    return f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def trs() -> Iterator[bytes]:
    """Requests to REST of many kinds."""
    chart = {"stk_cd": "005930", "upd_stkpc_tp": "1", "base_dt": "20260626", "tic_scope": "1"}
    yield tr("ka10004", "mrkcond", chart) + tr("ka10095", "stkinfo", {"stk_cd": "005930|990000"})
    yield tr("ka10080", "chart", chart, "cont-yn: Y\r\nnext-key: A00593020260626000000000040260\r\n")
    yield tr("kt10000", "ordr", {"dmst_stex_tp": "KRX", "stk_cd": "005930", "ord_qty": "1", "trde_tp": "3"})
    yield tr("ka10075", "acnt", {"all_stk_tp": "0", "trde_tp": "0", "stex_tp": "0"}, "Expect: 100-continue\r\n")


def http_seeds() -> Iterator[bytes]:
    """Answers and requests of all kinds."""
    good = {"expires_dt": "20261107083713", "token_type": "bearer", "token": "WQJCwyqInph", "return_code": 0}
    refused = {"return_code": 3, "return_msg": f"인증에 실패했습니다[8001:App Key {APPKEY}]"}
    answers: tuple[object, ...] = (good, refused, {"return_code": "0"}, [], {"token": SECRET})
    bodies = [json.dumps(answer).encode() for answer in answers]
    bodies += [b"<html><title>x</title></html>", b""]
    for mode in (b"\0", b"\1"):
        for body in bodies:
            yield mode + b"\2HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            yield mode + b"\0HTTP/1.1 429 no\r\nContent-Type: text/html\r\n\r\n" + body
        yield (
            mode + b"\3HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
    accept = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \0\r\n"
    yield b"\2\2" + accept + b"api-id: 0E\r\n\r\n" + frame(TEXT, LOGGED_IN)
    yield b"\2\0" + accept + b"\r\n" + frame(CLOSE, close_payload())
    yield b"\2\3HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
    yield b"\2\1HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"
    yield b"\2\0HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
    keys = {"appkey": APPKEY, "secretkey": SECRET}
    for what, members in (("token", keys), ("revoke", {**keys, "token": TOKEN}), ("token", {}), ("x", keys)):
        yield b"\3\2" + post(what, members)
    for request in trs():
        yield b"\3\2" + request

"""Access tokens of the simulated exchange: who gets one, what it is good for, and the HTTP it is asked for over.

As measured on the live server: a refusal is HTTP 200 with return_code 2 (the request) or 3 (the keys), the code that
tells more being inside the text; asking again gives the same token until it has expired; HTTP 429 has no body. Not
known, so chosen: the texts of codes 8011 to 8016, HTTP 400 for what is no JSON object, HTTP 404 for other paths. HTTP
429 comes on demand alone: one was measured after two answers within a second, but not what it counts.
"""

from __future__ import annotations

import datetime
import random
import string
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

import attrs
import msgspec

from ..errors import UNREADABLE
from ..realtime.record import KST
from ..wire.messages import encode

__all__ = ("FAULTY_ANSWERS", "HttpAnswer", "HttpCall", "TokenAnswer", "TokenService")

TOKEN_LIFE = 24 * 3600.0
"""Seconds."""
TOKEN_LENGTH = 86
"""Characters, as measured."""
MAX_BODY = 64 * 1024
"""Bytes of a request above which it is refused."""
MAX_PIECES = 1_000
"""Pieces in which the body of a request may come (chunks); each costs more than its bytes do."""
MAX_KEY = 256
"""Characters of an app key or a secret key. Real ones have 43."""
MAX_TOKENS = 10_000
"""How many tokens are known; the oldest are forgotten, and log nobody in any more."""
JSON = "application/json;charset=UTF-8"

TokenAnswer: TypeAlias = Literal["ok", "html", "too_many"]
"""How the token server answers: as it should, with the HTML page of a maintenance, or with HTTP 429."""

_any = msgspec.json.Decoder()


class HttpAnswer(NamedTuple):
    """What a request is answered.

    Attributes:
        status: HTTP status code.
        content_type: of the body.
        body: bytes.
        reason: the words behind the status.
    """

    status: int
    content_type: str
    body: bytes
    reason: bytes = b""


MAINTENANCE = """<!DOCTYPE html>
<html lang="ko"><head><title>시스템 점검 안내</title></head><body>서비스 점검 중입니다</body></html>
"""
FAULTY_ANSWERS: Mapping[TokenAnswer, HttpAnswer] = MappingProxyType(
    {
        "html": HttpAnswer(200, "text/html;charset=UTF-8", MAINTENANCE.encode()),
        "too_many": HttpAnswer(429, "text/plain", b"", b"null"),  # so it was measured, "null" and all
    }
)


class Refusal(Exception):
    """Why a request is refused: (return_code, return_msg)."""


@attrs.define
class _Issued:
    token: str
    appkey: str
    number: int  # how many the app key was issued before
    expires_at: float
    revoked: bool = False


class TokenService:
    """Issues and revokes tokens, and tells whose a token is.

    Args:
        app_keys: app key -> secret key, who may ask; None: any pair.
        tokens: token -> app key, tokens that are good for ever; None: none.
        seed: the same seed gives the same tokens.
        now: gives seconds since the epoch (UTC).
    """

    def __init__(
        self,
        app_keys: Mapping[str, str] | None,
        tokens: Mapping[str, str] | None,
        *,
        seed: int,
        now: Callable[[], float],
    ) -> None:
        self._app_keys = None if app_keys is None else dict(app_keys)
        self._fixed = dict(tokens or {})
        self._takes_any = app_keys is None and tokens is None
        self._seed = seed
        self._now = now
        self._issued: dict[str, _Issued] = {}
        self._latest: dict[str, _Issued] = {}

    def key_of(self, token: str) -> str | None:
        """The app key that logs in with this token; None: it is refused."""
        issued = self._issued.get(token)
        if issued is not None:
            return issued.appkey if self._is_good(issued) else None
        return token if self._takes_any else self._fixed.get(token)

    def expire_all(self) -> None:
        """No token that was issued is good any more."""
        for issued in self._issued.values():
            issued.expires_at = min(issued.expires_at, self._now())

    def answer(self, path: str, body: bytes) -> HttpAnswer:
        """Answer a POST."""
        serve = {"/oauth2/token": self._issue, "/oauth2/revoke": self._revoke}.get(path)
        if serve is None:
            return HttpAnswer(404, "text/plain", b"")
        try:
            members = _any.decode(body)
        except UNREADABLE:
            members = None
        if not isinstance(members, dict):
            return HttpAnswer(400, JSON, encode({"return_code": 2, "return_msg": "입력 값 오류입니다"}))
        try:
            answer = serve(members)
        except Refusal as refusal:
            code, message = refusal.args
            answer = {"return_code": code, "return_msg": message}
        return HttpAnswer(200, JSON, encode(answer))

    # Inside.

    def _issue(self, members: dict[str, Any]) -> dict[str, Any]:
        grant_type = members.get("grant_type")
        if not grant_type:
            raise Refusal(2, "입력 값 오류입니다[8011:grant_type이 전달되지 않았습니다]")
        if grant_type != "client_credentials":
            raise Refusal(2, "입력 값 오류입니다[8012:grant_type의 값이 맞지 않습니다]")
        appkey = self._verified(members)
        issued = self._latest.get(appkey)
        if issued is None or not self._is_good(issued):
            issued = self._make(appkey)
        expires_at = datetime.datetime.fromtimestamp(issued.expires_at, KST)
        return {
            "expires_dt": f"{expires_at:%Y%m%d%H%M%S}",
            "token_type": "bearer",
            "token": issued.token,
            "return_code": 0,
            "return_msg": "정상적으로 처리되었습니다",
        }

    def _revoke(self, members: dict[str, Any]) -> dict[str, Any]:
        appkey, token = self._verified(members), members.get("token")
        if not isinstance(token, str) or not token:
            raise Refusal(2, "입력 값 오류입니다[8016:폐기할 Token이 전달되지 않았습니다]")
        issued = self._issued.get(token)
        if issued is None or issued.appkey != appkey or not self._is_good(issued):
            raise Refusal(3, "인증에 실패했습니다[8015:Access Token을 폐기하는데 실패했습니다]")
        issued.revoked = True
        return {"return_code": 0, "return_msg": "정상적으로 처리되었습니다"}

    def _verified(self, members: dict[str, Any]) -> str:
        """The app key of a request whose keys are right."""
        appkey, secretkey = members.get("appkey"), members.get("secretkey")
        if not (isinstance(appkey, str) and appkey and isinstance(secretkey, str) and secretkey):
            raise Refusal(2, "입력 값 오류입니다[8020:입력파라미터로 appkey 또는 secretkey가 전달되지 않았습니다.]")
        is_right = self._app_keys is None or self._app_keys.get(appkey) == secretkey
        if not is_right or len(appkey) > MAX_KEY or len(secretkey) > MAX_KEY:
            raise Refusal(3, "인증에 실패했습니다[8001:App Key와 Secret Key 검증에 실패했습니다]")
        return appkey

    def _is_good(self, issued: _Issued) -> bool:
        return not issued.revoked and self._now() < issued.expires_at

    def _make(self, appkey: str) -> _Issued:
        before = self._latest.get(appkey)
        earlier = 0 if before is None else before.number + 1
        draw = random.Random(f"{self._seed} {appkey} {earlier}")
        alphabet = string.ascii_letters + string.digits + "-_"
        token = "".join(draw.choice(alphabet) for _ in range(TOKEN_LENGTH))
        issued = _Issued(token, appkey, earlier, self._now() + TOKEN_LIFE)
        self._issued[token] = self._latest[appkey] = issued
        if len(self._issued) > MAX_TOKENS:
            oldest = self._issued.pop(next(iter(self._issued)))
            if self._latest[oldest.appkey] is oldest:
                del self._latest[oldest.appkey]
        return issued


class HttpCall:
    """One POST and its answer, after which the connection is to be closed.

    Args:
        answer: gives the answer for a path and a body.
        refuse: tells of the headers of a request why it is refused, as HTTP status and text; None: it is not.

    Attributes:
        finished: whether the answer is there.
    """

    def __init__(
        self,
        answer: Callable[[str, bytes], HttpAnswer],
        refuse: Callable[[Iterable[tuple[str, str]]], tuple[int, str] | None] = lambda headers: None,
    ) -> None:
        import h11  # here, so that a program which asks for no token need not wait until this has loaded

        self.finished = False
        self._answer_for = answer
        self._refuse = refuse
        self._connection = h11.Connection(our_role=h11.SERVER)
        self._path = ""
        self._body = bytearray()
        self._pieces = 0
        self._outgoing = b""

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take bytes from the network. Never raises for what they hold; after the end they are ignored."""
        if data and not self.finished:
            self._connection.receive_data(bytes(data))
            self._read()

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty: nothing."""
        data, self._outgoing = self._outgoing, b""
        return data

    def _read(self) -> None:
        import h11

        while not self.finished:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                self._answer(HttpAnswer(error.error_status_hint, "text/plain", b""))
                return
            if isinstance(event, h11.Request):
                self._path = event.target.decode("ascii").partition("?")[0]
                refused = self._refuse((name.decode(), value.decode("latin-1")) for name, value in event.headers)
                if refused is not None:
                    status, text = refused
                    self._answer(HttpAnswer(status, "text/plain;charset=UTF-8", text.encode()))
            elif isinstance(event, h11.Data):
                self._body += event.data
                self._pieces += 1
                if len(self._body) > MAX_BODY or self._pieces > MAX_PIECES:
                    self._answer(HttpAnswer(413, "text/plain", b""))
            elif isinstance(event, h11.EndOfMessage):
                self._answer(self._answer_for(self._path, bytes(self._body)))
            else:
                return  # all there is was read

    def _answer(self, answer: HttpAnswer) -> None:
        import h11

        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
        ]
        response = h11.Response(status_code=answer.status, headers=headers, reason=answer.reason)
        events = (response, h11.Data(answer.body), h11.EndOfMessage())
        self._outgoing = b"".join(self._connection.send(event) or b"" for event in events)
        self.finished = True

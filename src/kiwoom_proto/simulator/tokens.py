"""Access tokens of the simulated exchange: the answers to the HTTP requests that issue and revoke them.

Measured on the live server: a refusal is HTTP 200 with return_code 2 (bad request) or 3 (bad keys), with a more
specific code inside the text. A repeated request returns the same token until it has expired. HTTP 429 has no body.
Not known, so chosen: the texts of codes 8011 to 8016, HTTP 400 for a body that is not a JSON object, and that the
connection ends with the answer. HTTP 429 is sent only on demand: it was measured once, after two answers within a
second, but what the server counts is not known.
"""

from __future__ import annotations

import datetime
import random
import string
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import attrs
import msgspec

from ..errors import UNREADABLE
from ..realtime.record import KST
from ..wire.messages import encode
from .rest.http import JSON, HttpAnswer

__all__ = ("FAULTY_ANSWERS", "ISSUE", "MAINTENANCE", "TOKEN_PATHS", "TokenAnswer", "TokenService")

TOKEN_LIFE = 24 * 3600.0
"""Validity of a token, in seconds."""
TOKEN_LENGTH = 86
"""Length of a token in characters [measured]."""
MAX_KEY = 256
"""Maximum length of an app key or a secret key, in characters. Real ones have 43."""
MAX_TOKENS = 10_000
"""Maximum issued tokens; the oldest are forgotten first, and can no longer log in."""

ISSUE, REVOKE = "/oauth2/token", "/oauth2/revoke"
TOKEN_PATHS = frozenset((ISSUE, REVOKE))
"""The paths of the token server."""

TokenAnswer: TypeAlias = Literal["ok", "html", "too_many"]
"""How the token server answers: normally, with the HTML page of a maintenance, or with HTTP 429."""

_any = msgspec.json.Decoder()


MAINTENANCE = """<!DOCTYPE html>
<html lang="ko"><head><title>시스템 점검 안내</title></head><body>서비스 점검 중입니다</body></html>
"""
FAULTY_ANSWERS: Mapping[TokenAnswer, HttpAnswer] = MappingProxyType(
    {
        "html": HttpAnswer(200, "text/html;charset=UTF-8", MAINTENANCE.encode(), closes=True),
        "too_many": HttpAnswer(
            429, "text/plain", b"", b"null", closes=True
        ),  # [measured], reason phrase "null" included
    }
)


class Refusal(Exception):
    """A request is refused. Its arguments are return_code and return_msg."""


@attrs.define
class _Issued:
    token: str
    appkey: str
    number: int  # how many tokens the app key was issued before
    expires_at: float
    revoked: bool = False


class TokenService:
    """Issues and revokes tokens, and finds the app key of a token.

    Args:
        app_keys: app key -> secret key, the pairs that tokens are issued to; None allows any pair.
        tokens: token -> app key, tokens that never expire; None for none. If both this and `app_keys` are None, any
            token is valid, and is its own app key.
        seed: the same seed gives the same tokens.
        now: returns the time in seconds since the epoch (UTC).
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
        self._revoked_keys: set[str] = set()
        self._issued: dict[str, _Issued] = {}
        self._latest: dict[str, _Issued] = {}

    def key_of(self, token: str) -> str | None:
        """Return the app key that logs in with this token; None if the token is refused."""
        issued = self._issued.get(token)
        if issued is not None:
            return issued.appkey if self._is_good(issued) else None
        key = token if self._takes_any else self._fixed.get(token)
        return None if key in self._revoked_keys else key

    def expire_all(self) -> None:
        """Expire every issued token."""
        for issued in self._issued.values():
            issued.expires_at = min(issued.expires_at, self._now())

    def revoke_key(self, appkey: str) -> None:
        """Revoke an app key: no token of it is good any more, and none is issued."""
        self._revoked_keys.add(appkey)

    def answer(self, path: str, body: bytes) -> HttpAnswer:
        """Return the answer to a request to one of the `TOKEN_PATHS`."""
        serve = self._issue if path == ISSUE else self._revoke
        try:
            members = _any.decode(body)
        except UNREADABLE:
            members = None
        if not isinstance(members, dict):
            return HttpAnswer(400, JSON, encode({"return_code": 2, "return_msg": "입력 값 오류입니다"}), closes=True)
        try:
            answer = serve(members)
        except Refusal as refusal:
            code, message = refusal.args
            answer = {"return_code": code, "return_msg": message}
        return HttpAnswer(200, JSON, encode(answer), closes=True)

    # Internals.

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
        """Return the app key of a request; raises Refusal if its keys are missing or wrong."""
        appkey, secretkey = members.get("appkey"), members.get("secretkey")
        if not (isinstance(appkey, str) and appkey and isinstance(secretkey, str) and secretkey):
            raise Refusal(2, "입력 값 오류입니다[8020:입력파라미터로 appkey 또는 secretkey가 전달되지 않았습니다.]")
        is_right = self._app_keys is None or self._app_keys.get(appkey) == secretkey
        if not is_right or appkey in self._revoked_keys or len(appkey) > MAX_KEY or len(secretkey) > MAX_KEY:
            raise Refusal(3, "인증에 실패했습니다[8001:App Key와 Secret Key 검증에 실패했습니다]")
        return appkey

    def _is_good(self, issued: _Issued) -> bool:
        return not issued.revoked and issued.appkey not in self._revoked_keys and self._now() < issued.expires_at

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

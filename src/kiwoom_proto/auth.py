"""Access tokens: the app key, the tokens issued for it, and one call to the token server as bytes in and out.

The life of a token. "Issuing again inside the validity returns the same token, so little may be left of it" [measured
by several]: what counts is the expiry that came with it, never 24 hours. "Fetching a token at each reconnect gets 429"
[measured]: tokens are kept, in the `AppKey` that all connections share, until they are about to expire or one of them
is refused. Whether a refusal asks for another token is decided in `session.token_renewal`.

The answer is JSON at best. During maintenance it is an HTML page, and a refusal comes as HTTP 200 with a `return_code`
other than 0 and a more specific code inside the message: "인증에 실패했습니다[8001:App Key와 ...]".

Sources: official pages au10001 and au10002; what the server does beyond them was measured and published by others.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
import msgspec

from .codes import reason_in
from .endpoint import Endpoint
from .errors import UNREADABLE, KiwoomError, LocalProtocolError, TokenError, TokenRefused, TransportError
from .headers import MAX_ANSWER, MAX_SHOWN, describe_page, describe_redirect, read_retry_after, read_words
from .realtime.record import KST
from .secrets import MASK, OpaqueBuffer, Redaction, Secret, conceal
from .wire.http import HttpAnswer, HttpConnection, request_bytes
from .wire.members import read_members
from .wire.messages import check_token, encode
from .wire.outcome import is_success, read_outcome

__all__ = ("RENEW_MARGIN", "AnyTokenFolder", "AppKey", "Token", "TokenCall", "TokenNeeded")

RENEW_MARGIN = 600.0
"""Seconds before its expiry from which a token is replaced."""
NO_TOKEN = Secret("")
NO_CODE = "the answer has no return_code"
KEY_VARIABLES = ("KIWOOM_APPKEY", "KIWOOM_SECRETKEY")
"""The environment variables of an app key and its secret key."""


def _concealed(value: str | Secret) -> Secret:
    return conceal(value)


@attrs.frozen
class Token:
    """An access token.

    Attributes:
        value: the token that LOGIN sends, without "Bearer", as a `Secret`. `value.reveal()` is the str.
        expires_at: when it expires (KST); None if the server did not say.
    """

    value: Secret = attrs.field(converter=_concealed)
    expires_at: datetime.datetime | None


@attrs.frozen(eq=False)
class TokenNeeded:
    """An access token is needed, until `needs` is something else.

    Attributes:
        refused: the token that the server refused last, which must not be returned again; None if it refused none.
    """

    refused: Secret | None = None


class AnyTokenFolder(Protocol):
    """The interface of `token_folder.TokenFolder`, which is built on this module."""

    def file(self, key: AppKey, endpoint: Endpoint, /) -> Any: ...


class AppKey:
    """App key and secret key of an account, and the tokens issued for them. Share one object between connections.

    It cannot be pickled: create one in each process.

    Args:
        appkey: the app key (앱키).
        secretkey: the secret key (시크릿키).
        folder: a `TokenFolder`, where tokens are kept for other processes; None keeps them in memory alone.

    Attributes:
        appkey: the app key, as a `Secret`.
        secretkey: the secret key, likewise.
        folder: as given.

    Raises:
        LocalProtocolError: one of them is empty or not printable ASCII.
    """

    __slots__ = ("_tokens", "appkey", "folder", "secretkey")

    def __init__(self, appkey: str | Secret, secretkey: str | Secret, *, folder: AnyTokenFolder | None = None) -> None:
        appkey, secretkey = conceal(appkey), conceal(secretkey)
        for name, key in (("appkey", appkey), ("secretkey", secretkey)):
            if not isinstance(key, Secret) or not _is_key(key):
                raise LocalProtocolError(f"{name}: must be printable ASCII and not empty")
        self.appkey = appkey
        self.secretkey = secretkey
        self.folder = folder
        # By token URL (production and mock know different tokens): the token, and until when it is good.
        self._tokens: dict[str, tuple[Secret, float]] = {}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, folder: AnyTokenFolder | None = None) -> AppKey:
        """Return the keys in the environment variables KIWOOM_APPKEY and KIWOOM_SECRETKEY.

        Args:
            environ: where to look; defaults to `os.environ`.
            folder: where tokens are kept; see `AppKey`.

        Raises:
            LocalProtocolError: one of them is not set; says which, and where to get keys.
        """
        # One statement: the repr of an environment shows everything in it.
        keys, environ = (_key_in(environ, KEY_VARIABLES[0]), _key_in(environ, KEY_VARIABLES[1])), None
        missing = [name for name, key in zip(KEY_VARIABLES, keys, strict=True) if not key]
        if missing:
            raise LocalProtocolError(
                f"{' and '.join(missing)}: not set in the environment. Set {' and '.join(KEY_VARIABLES)} to the app "
                "key (앱키) and secret key (시크릿키) of your account. Kiwoom issues them at "
                "https://openapi.kiwoom.com, where the IP address that your program connects from must be "
                "registered too"
            )
        return cls(*keys, folder=folder)

    @property
    def secrets(self) -> tuple[Secret, Secret]:
        """Both keys, to be masked in the server's words."""
        return self.appkey, self.secretkey

    def cached(self, endpoint: Endpoint, now: float) -> Secret | None:
        """Return the token to log in with, or None if one must be fetched.

        Args:
            endpoint: where to log in.
            now: seconds since the epoch (UTC).
        """
        token, good_until = self._tokens.get(endpoint.token_url, (None, 0.0))
        return token if now < good_until else None

    def store(self, endpoint: Endpoint, token: Token, now: float) -> None:
        """Keep a token that was issued. Arguments as for `cached`."""
        good_until = float("inf")  # expiry unknown: until it is refused
        if token.expires_at is not None:
            expires_at = token.expires_at.timestamp()
            # Issuing again returns the same token until it has expired, so use up what is left of it.
            good_until = expires_at - RENEW_MARGIN if now < expires_at - RENEW_MARGIN else expires_at
        self._tokens[endpoint.token_url] = token.value, good_until

    def forget(self, endpoint: Endpoint, token: str | Secret) -> None:
        """Drop a token that was refused or revoked, unless another has been stored in its place."""
        token = conceal(token)
        if self._tokens.get(endpoint.token_url, (None, 0.0))[0] == token:
            del self._tokens[endpoint.token_url]

    def __repr__(self) -> str:
        return f"AppKey(appkey='{MASK}', secretkey='{MASK}')"


class TokenCall:
    """One call to the token server, without I/O: dial `host` and `port`, write, read until `finished`, hang up.

    Args:
        endpoint: whose token server.
        key: the app key.
        revoke: the token to revoke; None issues one.

    Attributes:
        url: the URL to call.
        host: the host to dial, and to verify the certificate against.
        port: the TCP port to dial.
        secure: whether TLS is used.

    Raises:
        LocalProtocolError: `revoke` cannot be a token.
    """

    def __init__(self, endpoint: Endpoint, key: AppKey, revoke: str | Secret | None = None) -> None:
        revoke = conceal(revoke)
        body: dict[str, str | Secret] = {"appkey": key.appkey, "secretkey": key.secretkey}
        if revoke is None:
            body = {"grant_type": "client_credentials", **body}
        else:
            check_token(revoke)
            body["token"] = revoke
        self.url = endpoint.token_url if revoke is None else endpoint.revoke_url
        parts = urlsplit(self.url)
        self.host = endpoint.host
        self.port = endpoint.rest_port
        self.secure = endpoint.secure
        self._revokes = revoke is not None
        self._redaction = Redaction((*key.secrets, revoke))
        self._outcome: Token | KiwoomError | None = None
        self._finished = False
        headers = [
            ("Host", parts.netloc),
            ("Content-Type", "application/json;charset=UTF-8"),
            ("Accept", "application/json"),
            ("Connection", "close"),
        ]
        self._http = HttpConnection()
        self._http.send(request_bytes(parts.path, headers, memoryview(encode(body))))

    @property
    def finished(self) -> bool:
        """Whether `result` is available and the connection can be closed."""
        return self._finished

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty if there are none."""
        return self._http.data_to_send()

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Receive bytes from the network. Never raises for their content. Ignored after the end."""
        view, data = memoryview(data), b""  # which shows nothing: it may hold a token
        if not self._finished:
            self._http.receive_data(view)
            self._finish()

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream; `error` says why, if it is not EOF. Repeating it does nothing."""
        if not self._finished:
            self._http.receive_eof(error)
            self._finish()

    def result(self) -> Token | None:
        """Return the token issued; None if one was revoked.

        Raises:
            TokenRefused: the server refused, or its answer is not what it should be.
            TokenError: its answer is not HTTP, or far too long, or in far too many pieces.
            TransportError: the network failed.
            LocalProtocolError: the call has not finished.
        """
        if not self._finished:
            raise LocalProtocolError("result: the call is not finished")
        if isinstance(self._outcome, KiwoomError):
            raise self._outcome
        return self._outcome

    def __repr__(self) -> str:
        return f"<TokenCall {self.url}, {'finished' if self._finished else 'under way'}>"

    # Inside.

    def _finish(self) -> None:
        """Read the outcome of the HTTP call, once it is there."""
        outcome, self._http.outcome = self._http.outcome, None  # not kept: it may hold a token
        if outcome is None:
            return
        self._finished = True
        if isinstance(outcome, HttpAnswer):
            self._outcome = self._judge(outcome)
        elif isinstance(outcome, TransportError):
            self._outcome = type(outcome)(f"{self.url}: {outcome}")
        else:
            self._outcome = TokenError(f"{self.url}: {outcome}")

    def _judge(self, response: HttpAnswer) -> Token | KiwoomError | None:
        """Return what an answer means."""
        if not response.is_whole and response.ok and describe_page(response.headers, response.body) is None:
            # The beginning of a refusal, or of a page, says why.
            return TokenError(f"{self.url}: the answer has more than {MAX_ANSWER:,} bytes")
        outcome = self._read_answer(response)
        if isinstance(outcome, TokenRefused):
            outcome.retry_after = read_retry_after(response.headers)
        return outcome

    def _read_answer(self, response: HttpAnswer) -> Token | TokenRefused | None:
        status = response.status
        wrong = "" if response.ok else self._shown(response.phrase)
        if status // 100 == 3:
            return TokenRefused("", self._shown(f"{wrong}: {describe_redirect(response.headers)}"), status)
        answer = read_outcome(OpaqueBuffer(response.body))
        if answer is None:
            if _is_json(response.body):
                return TokenRefused("", wrong or "JSON that is not an object", status)
            page = describe_page(response.headers, response.body)
            words = page or read_words(response.body)
            # "During maintenance the token endpoint answers an HTML page" [measured].
            wrong = "an HTML page where JSON belongs" if page is not None else wrong or "not JSON"
            return TokenRefused("", self._shown(f"{wrong}: {words}" if words else wrong), status)
        token, expiry = _read_token(OpaqueBuffer(response.body))
        self._redaction.add(token)
        code, message = self._shown(answer.return_code), self._shown(answer.return_msg)
        # A refusal comes as HTTP 200 with a return_code other than 0 [measured].
        if not response.ok or not is_success(answer.return_code):
            words = message or wrong or ("" if code else NO_CODE)
            return TokenRefused(code, words, status, reason_in(message))
        if self._revokes:
            return None if code else TokenRefused("", NO_CODE, status)
        try:
            check_token(token)
        except LocalProtocolError as error:
            return TokenRefused("", f"the answer holds no token that can be used ({error})", status)
        return Token(token, _read_expiry(expiry))

    def _shown(self, value: Any) -> str:
        """Return a member of the answer as a str that an error may show; "" if it is neither str nor int."""
        if not isinstance(value, str | int) or isinstance(value, bool):
            return ""
        return self._redaction.words(str(value))[:MAX_SHOWN]


class _Answer(msgspec.Struct):
    """The members of the answer that tell a token, of whatever type. The token is never a str that could be seen."""

    token: Secret = NO_TOKEN
    expires_dt: Any = None


def _conceal_token(type: type, value: object) -> Secret:
    return conceal(value) if isinstance(value, str) else NO_TOKEN


_answer = msgspec.json.Decoder(_Answer, dec_hook=_conceal_token)


def _read_token(body: OpaqueBuffer) -> tuple[Secret, object]:
    """Return the token of an answer, and the text of its expiry."""
    try:
        answer = _answer.decode(body)
    except UNREADABLE:
        members = read_members(body) or {}
        return _conceal_token(Secret, members.pop("token", None)), members.get("expires_dt")
    return answer.token, answer.expires_dt


def _key_in(environ: Mapping[str, str] | None, name: str) -> Secret:
    return Secret((os.environ if environ is None else environ).get(name, "").strip())


def _is_json(text: bytes | bytearray) -> bool:
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True


def _is_key(key: Secret) -> bool:
    return bool(key.reveal().strip()) and key.reveal().isascii() and key.reveal().isprintable()


def _read_expiry(text: object) -> datetime.datetime | None:
    """Return the time that "yyyyMMddHHmmss" (KST) means; None if it is not one."""
    if not isinstance(text, str) or len(text) != 14 or not (text.isascii() and text.isdecimal()):
        return None
    try:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=KST)
    except ValueError:
        return None

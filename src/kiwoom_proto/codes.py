"""Kiwoom's return codes: what each means, the remedy, and those that rules of this library depend on.

Codes occur in `return_code` of replies, in SYSTEM messages, and inside the message of a refusal: "[CODE=8005 ...]",
"[1700:...]", "[2000](RC4058:...)".
"""

from __future__ import annotations

import enum
import re

import attrs

from .display import displayed
from .secrets import redact

__all__ = (
    "ALREADY_REGISTERED",
    "CONNECTION_QUOTA",
    "GROUP_QUOTA",
    "RETURN_CODES",
    "Remedy",
    "ReturnCode",
    "TAKEN_OVER",
    "TOO_FAST",
    "explain_code",
    "reason_in",
    "remedy_of",
)

ALREADY_REGISTERED = "900003"
"""The condition search is live already."""
CONNECTION_QUOTA = "105115"
"""Too many items on the connection."""
GROUP_QUOTA = "105118"
"""Too many items in the group."""
TAKEN_OVER = "R10001"
"""The same app key logged in elsewhere."""
TOO_FAST = "105110"
"""Too many requests in a short time."""

# "[CODE=8005, MESSAGE=...]" of a LOGIN reply, "인증에 실패했습니다[8001:...]" of the token server [both measured].
_REASON = re.compile(r"(?:\[|CODE\s*=)\s*([0-9]+)\b")
# "[2000](RC4058:...)" of the account and order systems: the one in parentheses tells more [measured by several].
_ACCOUNT_REASON = re.compile(r"\(\s*(RC[0-9]+)\b")


class Remedy(enum.StrEnum):
    """What a client can do about a refusal."""

    RENEW = "renew"
    """Get another token, once."""
    RETRY = "retry"
    """Try again later."""
    STOP = "stop"
    """Nothing: somebody must change the credentials, the configuration or the program."""


@attrs.frozen
class ReturnCode:
    """What one of Kiwoom's codes means.

    Attributes:
        where: where it occurs: "LOGIN", "SYSTEM", "WebSocket", "token" ...
        meaning: its meaning.
        action: what a client should do about it, in words.
        remedy: the same as data. Rules depend on this one.
    """

    where: str
    meaning: str
    action: str
    remedy: Remedy


ALLOW_LIST = "https://openapi.kiwoom.com (API 사용신청, 계좌 App Key 관리)"
"""Where to register the IP addresses that an app key may be used from. Several users give the menu this name."""

# Every code that can be met. Sources: the official error table and live measurements that others published; the same
# data is tests/data/error_codes.csv, and a test holds the two together. Those that begin with RC are in no official
# table: they come from the account and order systems, and were measured by those who published them.
# No meaning holds a number that the server may set: it says the one in force itself. What an IP address has to do with
# 8050 was measured; the official table speaks of a device (지정단말기).
RETURN_CODES: dict[str, ReturnCode] = {
    "1501": ReturnCode("REST", "api-id missing or empty", "fix the request", Remedy.STOP),
    "1504": ReturnCode("REST", "this URL does not serve that api-id", "fix the request", Remedy.STOP),
    "1505": ReturnCode("REST", "no such api-id", "fix the request", Remedy.STOP),
    "1511": ReturnCode("REST", "a required parameter is missing", "fix the request", Remedy.STOP),
    "1512": ReturnCode("REST", "an HTTP header is missing or unreadable", "fix the request", Remedy.STOP),
    "1513": ReturnCode("REST", "the authorization header is missing", "fix the request", Remedy.STOP),
    "1514": ReturnCode("REST", "the authorization header is malformed", "fix the request", Remedy.STOP),
    "1515": ReturnCode("REST", "the grant type in the authorization header is unknown", "fix the request", Remedy.STOP),
    "1516": ReturnCode("REST", "the authorization header holds no token", "fix the request", Remedy.STOP),
    "1517": ReturnCode("REST", "a parameter has a bad format", "fix the request", Remedy.STOP),
    "1634": ReturnCode("REST", "too many codes in one call", "fix the request; never retry", Remedy.STOP),
    "1687": ReturnCode("REST", "recursive call refused", "fix the request", Remedy.STOP),
    "1700": ReturnCode("REST", "request rate of that api-id exceeded", "back off and retry", Remedy.RETRY),
    "1701": ReturnCode("REST", "total request rate exceeded", "back off and retry", Remedy.RETRY),
    "1702": ReturnCode("REST", "request rate of the group exceeded", "back off and retry", Remedy.RETRY),
    "1901": ReturnCode("REST", "no such market code", "fix the request", Remedy.STOP),
    "1902": ReturnCode("REST", "no such stock", "fix the request", Remedy.STOP),
    "1903": ReturnCode("REST", "no such stock on that exchange", "fix the request", Remedy.STOP),
    "1999": ReturnCode("REST", "unexpected server error", "retry a few times", Remedy.RETRY),
    "8001": ReturnCode("token", "app key and secret key do not verify", "stop; the credentials are wrong", Remedy.STOP),
    "8002": ReturnCode(
        "token", "app key and secret key do not verify (with a reason)", "stop; the credentials are wrong", Remedy.STOP
    ),
    "8003": ReturnCode("token", "the token could not be looked up", "renew the token once", Remedy.RENEW),
    "8005": ReturnCode("REST and LOGIN", "the token is not valid", "renew the token once", Remedy.RENEW),
    "8006": ReturnCode("token", "the token could not be created", "retry with backoff", Remedy.RETRY),
    "8009": ReturnCode("token", "the token could not be issued", "retry with backoff", Remedy.RETRY),
    "8010": ReturnCode(
        "REST and LOGIN",
        f"the token was issued to another IP address; this one must be registered too, at {ALLOW_LIST}",
        "renew the token once",
        Remedy.RENEW,
    ),
    "8011": ReturnCode("token", "grant_type is missing", "fix the request", Remedy.STOP),
    "8012": ReturnCode("token", "grant_type has a wrong value", "fix the request", Remedy.STOP),
    "8015": ReturnCode("token", "the token could not be revoked", "report", Remedy.STOP),
    "8016": ReturnCode("token", "no token given to revoke", "fix the request", Remedy.STOP),
    "8020": ReturnCode("token", "app key or secret key is missing", "fix the request", Remedy.STOP),
    "8030": ReturnCode(
        "REST",
        "the app key belongs to the other environment (real or mock)",
        "stop; wrong endpoint or key",
        Remedy.STOP,
    ),
    "8031": ReturnCode(
        "REST and LOGIN",
        "the token belongs to the other environment (real or mock)",
        "stop; wrong endpoint or key",
        Remedy.STOP,
    ),
    "8040": ReturnCode("REST", "device authentication failed", "stop", Remedy.STOP),
    "8050": ReturnCode(
        "REST", f"the IP address is not on the app key's allow-list; register it at {ALLOW_LIST}", "stop", Remedy.STOP
    ),
    "8103": ReturnCode("REST and LOGIN", "token or device authentication failed", "renew the token once", Remedy.RENEW),
    "8104": ReturnCode("REST", "not supported in mock trading", "stop; wrong endpoint", Remedy.STOP),
    "8200": ReturnCode("REST", "not available to corporate customers", "stop", Remedy.STOP),
    "100002": ReturnCode("WebSocket", "a required parameter is missing", "fix the request", Remedy.STOP),
    "100013": ReturnCode(
        "WebSocket",
        "a message arrived before the LOGIN reply and was dropped",
        "send it again after the LOGIN reply",
        Remedy.RETRY,
    ),
    "105100": ReturnCode("WebSocket", "token expired (one source)", "renew the token and reconnect", Remedy.RENEW),
    "105108": ReturnCode("WebSocket", "unknown trnm", "fix the request", Remedy.STOP),
    "105110": ReturnCode(
        "WebSocket",
        "too many requests of this trnm in a short time",
        "send it again later and more slowly",
        Remedy.RETRY,
    ),
    "105111": ReturnCode(
        "WebSocket", "a field has the wrong shape (a string where a list belongs)", "fix the request", Remedy.STOP
    ),
    "105115": ReturnCode(
        "WebSocket",
        "too many items on this connection; nothing of the request was registered",
        "report; ask for fewer",
        Remedy.STOP,
    ),
    "105118": ReturnCode(
        "WebSocket",
        "too many items in this group; nothing of the request was registered",
        "report; ask for fewer",
        Remedy.STOP,
    ),
    "805002": ReturnCode("LOGIN", "no token in the LOGIN message", "fix the request", Remedy.STOP),
    "805004": ReturnCode(
        "LOGIN",
        "the token was refused; the reason follows in brackets as CODE=8005 and so on; the server then closes",
        "renew the token once if the reason allows",
        Remedy.RENEW,
    ),
    "900003": ReturnCode(
        "CNSRREQ",
        "this condition is already registered; the number is only in the text",
        "CNSRCLR it then ask again",
        Remedy.STOP,
    ),
    "R10001": ReturnCode(
        "SYSTEM",
        "the same app key connected elsewhere; this connection is closed",
        "do not fight: follow the takeover policy",
        Remedy.STOP,
    ),
    "R10002": ReturnCode("SYSTEM", "no PING echo came; this connection is closed", "reconnect", Remedy.RETRY),
    "R10004": ReturnCode(
        "SYSTEM", "no valid LOGIN came; this connection is closed", "look at the LOGIN reply", Remedy.STOP
    ),
    "RC4003": ReturnCode("orders", "the price is not on the tick (mock trading)", "fix the request", Remedy.STOP),
    "RC4007": ReturnCode("orders", "trading in this stock is restricted (mock trading)", "report", Remedy.STOP),
    "RC4027": ReturnCode(
        "orders", "the price is beyond the limits of the day (mock trading)", "fix the request", Remedy.STOP
    ),
    "RC4057": ReturnCode("orders", "the market has not opened yet (mock trading)", "send it again later", Remedy.RETRY),
    "RC4058": ReturnCode("orders", "the market is closed (mock trading)", "report", Remedy.STOP),
    "RC7006": ReturnCode("accounts", "the query failed (mock trading)", "report", Remedy.STOP),
    "RC9000": ReturnCode("REST", "not supported in mock trading", "stop; wrong endpoint", Remedy.STOP),
}


def remedy_of(code: str) -> Remedy | None:
    """Return what to do about a code; None for an unknown one."""
    known = RETURN_CODES.get(code)
    return None if known is None else known.remedy


def reason_in(message: str) -> str | None:
    """Return the code inside the message of a refusal; None if there is none."""
    found = _ACCOUNT_REASON.search(message) or _REASON.search(message)
    return found[1] if found else None


def explain_code(code: str, message: str = "", reason: str | None = None) -> str:
    """Return the code with its meaning and the server's message: "8005 (the token is not valid): ...".

    The result is safe to show: the message is masked, escaped, and cut at 200 characters.

    Args:
        code: one of Kiwoom's codes.
        message: the server's own words.
        reason: the code inside them; None if there is none.
    """
    text = ""
    for part in (code, reason if reason != code else None):
        if part is not None:
            known = RETURN_CODES.get(part)
            text += ("; reason " if text else "") + (f"{part} ({known.meaning})" if known else displayed(part))
    return f"{text}: {displayed(redact(message))}" if message else text

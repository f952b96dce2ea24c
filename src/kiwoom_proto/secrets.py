"""Secrets: how they are held, and how they are kept out of what a server says.

Two rules, and each has its place here:

* A token or key is a `Secret` from the moment it enters until its bytes are written. What prints variables, attributes
  or arguments (a repr, a traceback with captured locals, a pickle) meets stars or an error.
* What a server says is masked where it enters, by the `Redaction` of its connection, before anything is made of it. So
  no event, error or message downstream has to think of it. A server may quote what it was sent: in a reply, a SYSTEM
  message, a close reason, a header, the body of an error page.

What is masked, with stars in its place:

    known secrets     the token and keys in use, wherever they occur
    personal members  FID 9201 (account number), and members called token, appkey, account_no ..., whatever they hold
    account numbers   ten digits, also as 1234-5678-90, in words and as a JSON number
    opaque words      20 or more letters, digits, "_" and "-" without a break: a token or key nobody told us of
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from hmac import compare_digest
from typing import Any, NoReturn, TypeVar, overload

__all__ = ("MASK", "PERSONAL_FIDS", "OpaqueBuffer", "Redaction", "Secret", "conceal", "mask_opaque", "redact")

T = TypeVar("T")

MASK = "***"
PERSONAL_FIDS = frozenset({"9201"})
"""FIDs that hold what is personal, in whatever type they come: the account number (계좌번호)."""

_PERSONAL = frozenset(
    {"token", "accesstoken", "authorization", "appkey", "secretkey", "appsecret", "계좌번호"}
    | {f"{account}{number}" for account in ("account", "acct", "acnt") for number in ("", "no", "nr", "num", "number")}
)
"""Names of members that hold what is secret or personal, in lower case, without "_" and "-"."""
_OPAQUE = re.compile(r"(?<![A-Za-z0-9_\-])[A-Za-z0-9_\-]{20,}+")
_OPAQUE_BYTES = re.compile(_OPAQUE.pattern.encode())
_ACCOUNT = re.compile(r"(?<![0-9])[0-9]{4}-?[0-9]{4}-?[0-9]{2}(?![0-9])")
_ACCOUNT_LENGTH = 10
MAX_FID_LENGTH = 6
SHORT = 8
"""Characters below which a secret is none that anybody issues: replaced only where it stands as a word of its own."""


class Secret:
    """A text that is never shown: a token, an app key, a secret key.

    Its str, repr and every format are stars. It equals a `Secret` or `str` of the same text, compared in constant time.
    A copy is the same object. Pickling is refused: it would write the text in clear.

    Arguments:
        text: what is to be hidden.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a Secret holds a str, not {type(text).__name__}")
        self._text = text

    def reveal(self) -> str:
        """Return the text. Keep it in no variable: what shows variables would show it."""
        return self._text

    def hidden_in(self, text: str) -> str:
        """Return a text with stars wherever it holds this one."""
        if len(self._text) >= SHORT or not self._text:
            return text.replace(self._text, MASK) if self._text else text
        return re.sub(rf"(?<![A-Za-z0-9_\-]){re.escape(self._text)}(?![A-Za-z0-9_\-])", MASK, text)

    def __len__(self) -> int:
        return len(self._text)

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str | Secret):
            return NotImplemented
        return compare_digest(_encoded(self._text), _encoded(other if isinstance(other, str) else other._text))

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a Secret, and an AppKey, Token or header that holds one, cannot be pickled: it would be written in clear. "
            "Make it anew where it is needed, with AppKey.from_env() say"
        )


class OpaqueBuffer(bytearray):
    """Bytes to send, which may hold a secret: its repr tells their number alone."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


@overload
def conceal(value: str | Secret | bytes | bytearray) -> Secret: ...
@overload
def conceal(value: T) -> T: ...
def conceal(value: object) -> object:
    """Return a `Secret` of what may be one; None, keys and callables as they are. The first thing to do with one.

    Bytes are none, but may be one that was meant: they become an empty one, which is refused and not shown.
    """
    if isinstance(value, str):
        return Secret(value)
    return Secret("") if isinstance(value, bytes | bytearray) else value


class Redaction:
    """What is masked in what one server says.

    Arguments:
        secrets: the secrets in use; None counts as none.
    """

    __slots__ = ("_least", "_secrets", "_shortest")

    def __init__(self, secrets: Iterable[Secret | str | None] = ()) -> None:
        self._secrets: tuple[Secret, ...] = ()
        self._shortest = _ACCOUNT_LENGTH
        self.add(*secrets)

    def add(self, *secrets: Secret | str | None) -> None:
        """Mask these too."""
        known = {*self._secrets, *(conceal(secret) for secret in secrets if secret)}
        self._secrets = tuple(sorted(known, key=len, reverse=True))  # one may be a part of another
        self._shortest = min([_ACCOUNT_LENGTH, *map(len, known)])
        self._least = 10 ** (self._shortest - 1)  # the least number of so many digits

    def forget(self) -> None:
        """Keep no secret any more: nothing more is said."""
        self._secrets = ()

    def known(self, text: str) -> str:
        """Return a text without the secrets in use, otherwise as it came: for what a program reads."""
        for secret in self._secrets:
            text = secret.hidden_in(text)
        return text

    def words(self, text: str) -> str:
        """Return a text for a person to read: without secrets in use, account numbers and opaque words."""
        return _OPAQUE.sub(MASK, self._without_accounts(text))

    def reply(self, members: Mapping[str, Any], exact: Collection[str] = ()) -> dict[str, Any]:
        """Return the members of a message, at any depth, masked as words.

        Arguments:
            members: name -> value.
            exact: names of those that are for a program: as they came, but for secrets in use and personal members.
        """
        return {
            self._name(name): self._masked(name, value, self.known if name in exact else self.words)
            for name, value in members.items()
        }

    def extra(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return undocumented members of a row as they came, but for secrets in use and what is personal.

        A FID that stands beside the row's values is a FID: ten digits in it are a turnover more often than an account.
        """
        known, mask = self.known, self._without_accounts
        return {
            self._name(name): self._masked(name, value, known if _is_fid(name) and isinstance(value, str) else mask)
            for name, value in members.items()
        }

    def _name(self, name: str) -> str:
        return name if len(name) < SHORT else self._without_accounts(name)

    def _without_accounts(self, text: str) -> str:
        return _ACCOUNT.sub(MASK, self.known(text))

    def _masked(self, name: str, value: Any, mask: Callable[[str], str]) -> Any:
        if value is None or value == "":
            return value
        if _is_personal(name):
            return MASK
        try:
            return self._walk(value, mask)
        except RecursionError:
            return MASK  # nobody has looked into it

    def _walk(self, value: Any, mask: Callable[[str], str]) -> Any:
        if isinstance(value, str):
            return value if len(value) < self._shortest else mask(value)
        if isinstance(value, list):
            shortest, least = self._shortest, self._least
            return [
                each
                if (type(each) is int and -least < each < least) or (type(each) is str and len(each) < shortest)
                else self._walk(each, mask)
                for each in value
            ]
        if isinstance(value, Mapping):
            return {self._name(name): self._masked(name, each, mask) for name, each in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(value, mask)
        return value

    def _number(self, value: float, mask: Callable[[str], str]) -> Any:
        """Return a number, or stars where its digits would be masked in a text."""
        if -self._least < value < self._least or not (isinstance(value, int) or value.is_integer()):
            return value
        try:
            text = str(int(value))
        except ValueError:  # it has more digits than Python writes, and nobody has looked into it
            return MASK
        return value if mask(text) == text else MASK


def redact(text: str, secrets: Iterable[Secret | str | None] = ()) -> str:
    """Return a text of a server's, for a person, with stars in the place of what nobody may read.

    Arguments:
        text: what it said.
        secrets: those that are known; what looks like one is masked too.
    """
    return Redaction(secrets).words(text)


def mask_opaque(text: str) -> str:
    """Return the text of a FID with stars in the place of opaque words; no number is one."""
    return _OPAQUE.sub(MASK, text)


def holds_opaque(data: bytes) -> bool:
    """Whether bytes hold an opaque word."""
    return _OPAQUE_BYTES.search(data) is not None


def _is_fid(name: str) -> bool:
    return len(name) <= MAX_FID_LENGTH and name.isdecimal()


def _is_personal(name: str) -> bool:
    return name in PERSONAL_FIDS or name.lower().replace("_", "").replace("-", "") in _PERSONAL


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")

"""Hold secrets, and mask them in what a server says.

Two rules live here:

* A token or key is a `Secret` from the moment it enters until its bytes are written. A repr, or a traceback that shows
  variables, shows stars; pickling raises.
* Everything a server says is masked on entry, by the `Redaction` of its connection. So no event, error or message
  downstream needs to mask anything. A server may quote what it was sent: in a reply, a SYSTEM message, a close reason,
  a header, or the body of an error page.

These are replaced with stars:

    known secrets     the token and keys in use, wherever they occur
    personal members  FID 9201 (account number), and members named token, appkey, account_no ..., whatever their value
    account numbers   ten digits, also written as 1234-5678-90, in words and as a JSON number
    opaque words      20 or more letters, digits, "_" and "-" in a row: an unknown token or key
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from hmac import compare_digest
from typing import Any, NoReturn, TypeVar, overload

__all__ = (
    "MASK",
    "PERSONAL_FIDS",
    "OpaqueBuffer",
    "Redaction",
    "Secret",
    "conceal",
    "conceal_each",
    "holds_opaque",
    "is_personal",
    "mask_opaque",
    "redact",
)

T = TypeVar("T")

MASK = "***"
PERSONAL_FIDS = frozenset({"9201"})
"""FIDs that hold personal data, whatever the type: the account number (계좌번호)."""

_PERSONAL = frozenset(
    {"token", "accesstoken", "authorization", "appkey", "secretkey", "appsecret", "계좌번호"}
    | {f"{account}{number}" for account in ("account", "acct", "acnt") for number in ("", "no", "nr", "num", "number")}
)
"""Names of members that hold secrets or personal data, in lower case, without "_" and "-"."""
_OPAQUE = re.compile(r"(?<![A-Za-z0-9_\-])[A-Za-z0-9_\-]{20,}+")
_OPAQUE_BYTES = re.compile(_OPAQUE.pattern.encode())
_ACCOUNT = re.compile(r"(?<![0-9])[0-9]{4}-?[0-9]{4}-?[0-9]{2}(?![0-9])")
_ACCOUNT_LENGTH = 10
MAX_FID_LENGTH = 6
SHORT = 8
"""A secret with fewer characters is replaced only where it is a word of its own. No real token or key is that short."""


class Secret:
    """A str that is never shown: a token, an app key, a secret key.

    Its `str`, `repr` and every format are stars. It equals a `Secret` or `str` with the same content; the comparison
    takes constant time. A copy is the same object. Pickling raises `TypeError`, as it would write the content in clear.

    Args:
        text: the content.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a Secret holds a str, not {type(text).__name__}")
        self._text = text

    def reveal(self) -> str:
        """Return the content. Do not keep it in a variable: a traceback that shows variables would show it."""
        return self._text

    def hidden_in(self, text: str) -> str:
        """Return `text` with stars in place of this secret."""
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
            "Create it again where it is needed, with AppKey.from_env() for example"
        )


class OpaqueBuffer(bytearray):
    """Bytes that may hold a secret. The repr shows only how many there are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


@overload
def conceal(value: str | Secret | bytes | bytearray) -> Secret: ...
@overload
def conceal(value: T) -> T: ...
def conceal(value: object) -> object:
    """Return a `Secret` for a str, and anything else unchanged. Call it first on every argument that may hold a secret.

    Bytes become an empty `Secret`, which is refused later and shows nothing.
    """
    if isinstance(value, str):
        return Secret(value)
    return Secret("") if isinstance(value, bytes | bytearray) else value


def conceal_each(value: object) -> tuple[Any, ...]:
    """Return what `conceal` returns for each of a list or tuple, or for the one value."""
    return tuple(map(conceal, value)) if isinstance(value, list | tuple) else (conceal(value),)


class Redaction:
    """Masks what one server says.

    Args:
        secrets: the secrets in use. None is ignored.
    """

    __slots__ = ("_least", "_secrets", "_shortest")

    def __init__(self, secrets: Iterable[Secret | str | None] = ()) -> None:
        self._secrets: tuple[Secret, ...] = ()
        self._shortest = _ACCOUNT_LENGTH
        self.add(*secrets)

    def add(self, *secrets: Secret | str | None) -> None:
        """Mask these as well."""
        known = {*self._secrets, *(conceal(secret) for secret in secrets if secret)}
        self._secrets = tuple(sorted(known, key=len, reverse=True))  # one may be a part of another
        self._shortest = min([_ACCOUNT_LENGTH, *map(len, known)])
        self._least = 10 ** (self._shortest - 1)  # the least number of so many digits

    def forget(self) -> None:
        """Forget the secrets: the server will say nothing more."""
        self._secrets = ()

    def known(self, text: str) -> str:
        """Mask only the secrets in use: for values that a program reads."""
        for secret in self._secrets:
            text = secret.hidden_in(text)
        return text

    def words(self, text: str) -> str:
        """Mask secrets in use, account numbers and opaque words: for text that a person reads."""
        return _OPAQUE.sub(MASK, self.without_accounts(text))

    def reply(self, members: Mapping[str, Any], exact: Collection[str] = ()) -> dict[str, Any]:
        """Return the members of a message, masked as `words` does, at any depth.

        Args:
            members: name -> value.
            exact: names of members that a program reads. Only secrets in use and personal members are masked in them.
        """
        return {
            self._name(name): self._masked(name, value, self.known if name in exact else self.words)
            for name, value in members.items()
        }

    def extra(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return undocumented members of a row, with secrets in use, account numbers and personal members masked.

        Ten digits in a FID that stands beside the row's values are usually a turnover, not an account number.
        """
        known, mask = self.known, self.without_accounts
        return {
            self._name(name): self._masked(name, value, known if _is_fid(name) and isinstance(value, str) else mask)
            for name, value in members.items()
        }

    def _name(self, name: str) -> str:
        return name if len(name) < SHORT else self.without_accounts(name)

    def without_accounts(self, text: str) -> str:
        """Mask secrets in use and account numbers."""
        return _ACCOUNT.sub(MASK, self.known(text))

    def _masked(self, name: str, value: Any, mask: Callable[[str], str]) -> Any:
        if value is None or value == "":
            return value
        if is_personal(name):
            return MASK
        try:
            return self._walk(value, mask)
        except RecursionError:
            return MASK  # it could not be searched

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
    """Mask secrets, account numbers and opaque words in text of a server.

    Args:
        text: the server's words.
        secrets: the secrets that are known.
    """
    return Redaction(secrets).words(text)


def mask_opaque(text: str) -> str:
    """Mask opaque words in the text of a FID. Numbers stay."""
    return _OPAQUE.sub(MASK, text)


def holds_opaque(data: bytes) -> bool:
    """Return whether bytes hold an opaque word."""
    return _OPAQUE_BYTES.search(data) is not None


def _is_fid(name: str) -> bool:
    return len(name) <= MAX_FID_LENGTH and name.isdecimal()


def is_personal(name: str) -> bool:
    """Return whether the member of this name holds a secret or personal data, whatever its value."""
    return name in PERSONAL_FIDS or name.lower().replace("_", "").replace("-", "") in _PERSONAL


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")

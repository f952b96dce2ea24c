"""What a client logs in with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ..auth import AppKey
from ..errors import LocalProtocolError
from ..secrets import Secret, conceal

__all__ = ("Credentials", "Token", "credentials_of", "resolve_token")

Credentials: TypeAlias = Secret | AppKey | Callable[[], Awaitable[str | Secret]]
"""What a client logs in with: a token, the keys to obtain one, or a callable that returns one."""

Token: TypeAlias = str | Credentials
"""A token as a program names it."""


def credentials_of(tokens: Sequence[Credentials]) -> tuple[Credentials, ...]:
    """Return what to log in with, once for each connection.

    Args:
        tokens: what a program named, concealed first of all by `conceal_each`: a traceback may show variables.

    Raises:
        LocalProtocolError: there is none, or one is there twice.
    """
    for index, token in enumerate(tokens):
        for earlier, other in enumerate(tokens[:index]):
            if _is_same(token, other):
                raise LocalProtocolError(f"token[{index}]: the same as token[{earlier}]; a key has one connection")
    if not tokens:
        raise LocalProtocolError("token: the list is empty")
    return tuple(tokens)


def _is_same(one: Credentials, other: Credentials) -> bool:
    if isinstance(one, AppKey) and isinstance(other, AppKey):
        return one.appkey == other.appkey
    return isinstance(one, Secret) and one == other


async def resolve_token(token: Credentials) -> Secret:
    """Return a token, or what a callable returns for one. Nothing else can fail in here.

    Raises:
        LocalProtocolError: it is neither.
    """
    if isinstance(token, Secret):
        return token
    answer = token() if callable(token) else None
    if not isinstance(answer, Awaitable):
        raise LocalProtocolError("token: must be a str, an AppKey, or an async callable that returns a str")
    return conceal(await answer)

"""What a client logs in with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ..auth import AppKey
from ..errors import LocalProtocolError
from ..secrets import Secret, conceal

__all__ = ("Credentials", "resolve_token")

Credentials: TypeAlias = Secret | AppKey | Callable[[], Awaitable[str | Secret]]
"""What a client logs in with: a token, the keys to obtain one, or a callable that returns one."""


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

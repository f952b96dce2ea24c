"""What a client logs in with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

from ..auth import AppKey
from ..auth import Token as IssuedToken
from ..errors import KiwoomError, LocalProtocolError, TokenError
from ..secrets import Secret, conceal, conceal_each
from ..wire.messages import check_token

__all__ = ("Credentials", "Token", "credentials_of", "needs_token", "one_credential", "renew_token", "resolve_token")

P = ParamSpec("P")
T = TypeVar("T")

Credentials: TypeAlias = Secret | AppKey | Callable[[], Awaitable[str | Secret]]
"""What a client logs in with: a token, the keys to obtain one, or a callable that returns one."""

_FROM_ENV = "with the keys in the environment write token=AppKey.from_env()"
_CURE = f"token: must be a str, an AppKey, or an async callable that returns a str, not {{}}; {_FROM_ENV}"

Token: TypeAlias = str | Credentials
"""A token as a program names it."""


def needs_token(hide: Callable[[object], object]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function with a `token` argument: called without it, it says what to pass.

    Args:
        hide: conceals what is passed.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        name = function.__name__

        @wraps(function)
        def call(*given: Any, **options: Any) -> T:
            # In one line: tracebacks may show variables.
            is_missing, given, token = "token" not in options, _hide_rest(given), hide(options.pop("token", None))
            if is_missing:
                raise TypeError(
                    f"{name}: the argument token=... is missing: an access token, an AppKey, or an async callable that "
                    f"returns a token; {_FROM_ENV}"
                )
            return function(*given, token=token, **options)  # type: ignore[arg-type]  # checked by its own signature

        return cast("Callable[P, T]", call)

    return decorate


def _hide_rest(given: tuple[Any, ...]) -> tuple[Any, ...]:
    return given[:1] + conceal_each(given[1:])  # a token after the endpoint, without its name


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


def one_credential(token: object) -> Credentials:
    """Return what to call REST with.

    Args:
        token: what a program named, concealed first of all.

    Raises:
        LocalProtocolError: it is not one token.
    """
    if isinstance(token, Secret | AppKey) or callable(token):
        return token
    if isinstance(token, list | tuple):
        raise LocalProtocolError("token: a REST client calls with one token; make one for each key")
    raise LocalProtocolError(_CURE.format(_described(token)))


def _described(token: object) -> str:
    if isinstance(token, Awaitable):
        return "something to await: write `await` before it"
    if isinstance(token, IssuedToken):
        return "a Token: pass its `value`"
    return type(token).__name__


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
        shown = f"a function that returns {type(answer).__name__}" if callable(token) else _described(token)
        raise LocalProtocolError(_CURE.format(shown))
    return conceal(await answer)


async def renew_token(resolve: Callable[[], Awaitable[Secret]]) -> Secret:
    """Return what the user's callable returns, if that can be a token. What it raises becomes a `TokenError`."""
    try:
        token = await resolve()
    except KiwoomError:
        raise
    except Exception as error:
        raise TokenError(f"the token callable raised {type(error).__name__}") from error
    check_token(token)
    return token

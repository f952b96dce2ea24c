"""The Kiwoom real-time feed without async: the same client, on a thread of its own.

    with kiwoom_asyncio.blocking.connect(PRODUCTION, token=AppKey.from_env()) as client:
        for trade in client.stream(Trade, "005930"):
            print(trade.time, trade.price)

Every call of `kiwoom_asyncio.Client` is a plain function here, with the same arguments, results and errors. Any thread
may call, also several at once, such as those of Flask, Streamlit and Qt. `next(timeout=5)` waits at most five seconds,
and Ctrl-C ends every wait.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from kiwoom_proto import ClientConfig, Endpoint, LocalProtocolError, Record
from kiwoom_proto.client.credentials import Token, needs_token
from kiwoom_proto.client.feeds import Feeds
from kiwoom_proto.client.replay import Time
from kiwoom_proto.config import RecoveryPolicy, RestConfig
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.recording.files import Paths
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.secrets import conceal, conceal_each

from ..client import connect as _connect
from ..replay import replay as _play
from ..rest import rest as _rest
from .bridge import Bridge
from .client import Client, Replay
from .rest import Pages, RestClient, Rows
from .streams import ConditionStream, Listener, Stream

__all__ = (
    "Client",
    "ConditionStream",
    "Listener",
    "Pages",
    "Replay",
    "RestClient",
    "Rows",
    "Stream",
    "connect",
    "open",
    "open_rest",
    "replay",
    "rest",
)

C = TypeVar("C", bound=Client | RestClient)


@needs_token(conceal_each)
def connect(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
    recover: bool | RecoveryPolicy = False,
) -> AbstractContextManager[Client]:
    """Connect, log in, and yield a `Client` that stays connected; leaving the block closes it, and ends its thread.

    Interrupted by Ctrl-C, the block cuts the connection instead of waiting for a closing handshake. Args and errors as
    for `kiwoom_asyncio.connect`.
    """
    token = conceal_each(token)  # tracebacks may show variables
    return _Block(
        lambda: open(
            endpoint,
            token=token,
            config=config,
            header=header,
            ssl_context=ssl_context,
            types=types,
            record=record,
            recover=recover,
        )
    )


@needs_token(conceal_each)
def open(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
    recover: bool | RecoveryPolicy = False,
) -> Client:
    """Connect, log in, and return a `Client` that stays connected until its `close()`, as the cells of a notebook want.

    If it is never closed, its connection is cut when the program ends. Args and errors as for `connect`.
    """
    token = conceal_each(token)  # tracebacks may show variables
    bridge: Bridge[Feeds] = Bridge(
        lambda: _connect(
            endpoint,
            token=token,
            config=config,
            header=header,
            ssl_context=ssl_context,
            types=types,
            record=record,
            recover=recover,
        )
    )
    return Client(bridge)


def replay(
    paths: Paths,
    *,
    speed: float | None = 1.0,
    start: Time | None = None,
    end: Time | None = None,
    config: ClientConfig | None = None,
    types: Iterable[type[Record]] = (),
) -> AbstractContextManager[Replay]:
    """Play recordings back: yield a `Replay`, which a program uses as the `Client` that `connect` yields.

    Args and errors as for `kiwoom_asyncio.replay`.
    """

    def make() -> Replay:
        return Replay(Bridge(lambda: _play(paths, speed=speed, start=start, end=end, config=config, types=types)))

    return _Block(make, "replay")


@needs_token(conceal)
def rest(
    endpoint: Endpoint,
    *,
    token: Token,
    config: RestConfig | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AbstractContextManager[RestClient]:
    """Yield a `RestClient` for the TRs of the REST interface; leaving the block closes it, and ends its thread.

    Args and errors as for `kiwoom_asyncio.rest`.
    """
    token = conceal(token)  # tracebacks may show variables
    return _Block(lambda: open_rest(endpoint, token=token, config=config, ssl_context=ssl_context), "rest", "api")


@needs_token(conceal)
def open_rest(
    endpoint: Endpoint,
    *,
    token: Token,
    config: RestConfig | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> RestClient:
    """Return a `RestClient` that is open until its `close()`, as the cells of a notebook want.

    Args and errors as for `kiwoom_asyncio.rest`.
    """
    token = conceal(token)  # tracebacks may show variables
    return RestClient(Bridge(lambda: _rest(endpoint, token=token, config=config, ssl_context=ssl_context)))


class _Block(AbstractContextManager[C], Generic[C]):
    """What `connect`, `replay` and `rest` return."""

    def __init__(self, make: Callable[[], C], function: str = "connect", name: str = "client") -> None:
        self._make = make
        self._function = function
        self._is_entered = False
        self._how = f"`with blocking.{function}(...) as {name}:`"
        if function != "replay":
            opened = "open" if function == "connect" else f"open_{function}"
            self._how += f", or `{name} = blocking.{opened}(...)` and later `{name}.close()`"
        self._with_async = f"with it, write `async with kiwoom_asyncio.{function}(...) as {name}:`"

    def __enter__(self) -> C:
        if self._is_entered:
            name = f"blocking.{self._function}"
            raise LocalProtocolError(f"{name}: a block is entered once; call {name}(...) again for another")
        self._is_entered = True
        self._client = self._make()
        return self._client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, traceback)

    if not TYPE_CHECKING:  # type checkers find these mistakes because there is no such attribute

        def __aenter__(self) -> NoReturn:
            raise TypeError(f"blocking.{self._function} is for programs without async: {self._with_async}")

        def __aexit__(self, *error: object) -> None:
            """Never called: `__aenter__` raises."""

        def __await__(self) -> NoReturn:
            raise TypeError(f"blocking.{self._function} is for programs without async: {self._with_async}")

        def __iter__(self) -> NoReturn:
            raise TypeError(f"this is no client yet: write {self._how}, and loop over what that gives")

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"this is no client yet, and has no {name!r}: write {self._how}")

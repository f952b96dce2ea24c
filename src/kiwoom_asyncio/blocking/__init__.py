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

from kiwoom_proto import ClientConfig, Endpoint, Record
from kiwoom_proto.client.credentials import Token
from kiwoom_proto.client.feeds import Feeds
from kiwoom_proto.client.replay import Time
from kiwoom_proto.headers import RequestHeader
from kiwoom_proto.recording.files import Paths
from kiwoom_proto.recording.recorder import Recorder
from kiwoom_proto.secrets import conceal_each

from ..client import connect as _connect
from ..replay import replay as _play
from .bridge import Bridge
from .client import Client, Replay
from .streams import ConditionStream, Listener, Stream

__all__ = ("Client", "ConditionStream", "Listener", "Replay", "Stream", "connect", "open", "replay")

C = TypeVar("C", bound=Client)


def connect(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
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
        )
    )


def open(
    endpoint: Endpoint,
    *,
    token: Token | Sequence[Token],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
    record: Recorder | None = None,
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

    return _Block(make)


class _Block(AbstractContextManager[C], Generic[C]):
    """What `connect` and `replay` return."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make

    def __enter__(self) -> C:
        self._client = self._make()
        return self._client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, traceback)

    if not TYPE_CHECKING:  # type checkers find this mistake because there is no such attribute

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"this is no client yet, and has no {name!r}: write `with blocking.connect(...) as client:`, or "
                "`client = blocking.open(...)` and later `client.close()`"
            )

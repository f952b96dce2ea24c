"""The clients of threads that block: every call of the async ones as a plain function."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, ParamSpec, Self, TypeVar, cast, overload

from kiwoom_proto import Endpoint, Event, LocalProtocolError, Record, Symbol
from kiwoom_proto.client.calls import Calls
from kiwoom_proto.client.feeds import Feeds
from kiwoom_proto.client.inbox import Stats
from kiwoom_proto.client.streams import Gaps
from kiwoom_proto.config import Overflow
from kiwoom_proto.events import Disconnected, StreamGap
from kiwoom_proto.headers import ResponseHeader
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.session.market_clock import MarketStatus
from kiwoom_proto.session.subscriptions import Subscription

from .bridge import Bridge
from .not_async import NotAsync
from .streams import ConditionStream, Listener, Stream, take_next

__all__ = ("Client", "Replay")

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Record)


def _plain(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    """Make a plain method of an async one: same arguments, result, errors and docstring."""

    @functools.wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        bound: Callable[P, Coroutine[Any, Any, T]] = getattr(self._source, method.__name__)
        return self._bridge.wait(functools.partial(bound, *args, **kwargs))

    return call


def _plain_iterator(
    method: Callable[Concatenate[Any, P], AsyncIterator[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    """Make a generator of an async one."""

    @functools.wraps(method)
    def iterate(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        found: AsyncIterator[T] = getattr(self._source, method.__name__)(*args, **kwargs)
        while (row := self._bridge.wait(anext, found, None)) is not None:
            yield row

    return iterate


class Client(NotAsync):
    """A client that is logged in, and stays so, for threads that block. Made by `connect` and `open`.

    Iterate it for rows, notices and messages that could not be decoded, as the async `Client`. Any thread may call and
    iterate it, several at once; each event goes to one of them. An async function may not: it would hold up its event
    loop. Ctrl-C ends every wait.
    """

    def __init__(self, bridge: Bridge[Feeds]) -> None:
        self._bridge = bridge
        self._source = bridge.source
        self._finalizer = bridge.close_at_exit(self)

    @property
    def endpoint(self) -> Endpoint:
        """Where it is connected to."""
        return self._source.endpoint

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's last answer to an opening handshake."""
        return self._source.header

    @property
    def state(self) -> SessionState:
        """The state of the session."""
        return self._source.state

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live conditions last, and its state on the present connection."""
        return self._source.subscriptions

    @property
    def market(self) -> MarketStatus:
        """Which session KRX and NXT are in now."""
        return self._source.market

    @property
    def disconnected(self) -> Disconnected | None:
        """The last loss or failed attempt while the client is not logged in; None while it is."""
        return self._source.disconnected

    def stats(self) -> Stats:
        """Return the counters of the events, and the state of the session."""
        return self._source.stats()

    subscribe = _plain(Calls.subscribe)
    unsubscribe = _plain(Calls.unsubscribe)
    request = _plain(Calls.request)
    list_conditions = _plain(Calls.list_conditions)
    search_condition = _plain(Calls.search_condition)
    search_condition_rows = _plain_iterator(Calls.search_condition_rows)
    clear_condition = _plain(Calls.clear_condition)

    @overload
    def stream(
        self,
        type: type[R],
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        buffer_size: int | None = None,
        overflow: Overflow | None = None,
        transient: bool = False,
        gaps: Literal["ignore"] | Callable[[StreamGap], object] = "ignore",
    ) -> Stream[R]: ...

    @overload
    def stream(
        self,
        type: type[R],
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        buffer_size: int | None = None,
        overflow: Overflow | None = None,
        transient: bool = False,
        gaps: Literal["items"],
    ) -> Stream[R | StreamGap]: ...

    @overload
    def stream(
        self,
        type: str,
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        buffer_size: int | None = None,
        overflow: Overflow | None = None,
        transient: bool = False,
        gaps: Literal["ignore"] | Callable[[StreamGap], object] = "ignore",
    ) -> Stream[Record]: ...

    @overload
    def stream(
        self,
        type: str,
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        buffer_size: int | None = None,
        overflow: Overflow | None = None,
        transient: bool = False,
        gaps: Literal["items"],
    ) -> Stream[Record | StreamGap]: ...

    def stream(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        buffer_size: int | None = None,
        overflow: Overflow | None = None,
        transient: bool = False,
        gaps: Gaps = "ignore",
    ) -> Stream[Any]:
        """Return a stream of the rows of one type: `for trade in client.stream(Trade, "005930"):`.

        The loop subscribes at its beginning, and unsubscribes at its end. With `with client.stream(...) as trades:` the
        block does, and `trades.next(timeout=5)` waits at most five seconds. Args and errors as for the async client's
        `stream`. A `gaps` function is called on the client's own thread.
        """
        make: Callable[..., Any] = self._source.stream
        options: dict[str, Any] = {
            "group": group,
            "fresh_within": fresh_within,
            "buffer_size": buffer_size,
            "overflow": overflow,
            "transient": transient,
            "gaps": gaps,
        }
        return Stream(self, self._bridge, self._bridge.call(functools.partial(make, type, *items, **options)))

    @overload
    def latest(self, type: type[R], item: str | Symbol = "") -> R | None: ...

    @overload
    def latest(self, type: str, item: str | Symbol = "") -> Record | None: ...

    def latest(self, type: str | type[Record], item: str | Symbol = "") -> Record | None:
        """Return the newest row of a type and item that something is subscribed to; None if none has come yet.

        Args and errors as for the async client's `latest`.
        """
        latest: Callable[..., Record | None] = self._source.latest
        return self._bridge.call(latest, type, item)

    def condition(self, name: str, *, buffer_size: int | None = None) -> ConditionStream:
        """Return a live condition search: `for change in client.condition("골든크로스"):`.

        Args and errors as for the async client's `condition`.
        """
        make = functools.partial(self._source.condition, name, buffer_size=buffer_size)
        return ConditionStream(self, self._bridge, self._bridge.call(make))

    @overload
    def on(
        self,
        type: type[R],
        callback: Callable[[R], object],
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        transient: bool = False,
        gaps: Literal["ignore"] | Callable[[StreamGap], object] = "ignore",
    ) -> Listener: ...

    @overload
    def on(
        self,
        type: str,
        callback: Callable[[Record], object],
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        transient: bool = False,
        gaps: Literal["ignore"] | Callable[[StreamGap], object] = "ignore",
    ) -> Listener: ...

    def on(
        self,
        type: str | type[Record],
        callback: Callable[[R], object] | Callable[[Record], object],
        *items: str | Symbol,
        group: str = "1",
        fresh_within: float | None = None,
        transient: bool = False,
        gaps: Literal["ignore"] | Callable[[StreamGap], object] = "ignore",
    ) -> Listener:
        """Call a function with each row of a type, on the client's own thread, in the turn in which its bytes came.

        The function must not block, and cannot make calls that wait. It may call `latest`, `stats`, `on` and `close` of
        its handle. Args, errors, and the handling of its exceptions, as for the async client's `on`.
        """
        make: Callable[..., Any] = self._source.on
        options: dict[str, Any] = {
            "group": group,
            "fresh_within": fresh_within,
            "transient": transient,
            "gaps": gaps,
        }
        return Listener(
            self, self._bridge, self._bridge.call(functools.partial(make, type, callback, *items, **options))
        )

    def close(self) -> None:
        """Close the connection, wait until that is done, and end the thread. Again, it does nothing."""
        self._end(None)

    def __iter__(self) -> Iterator[Event]:
        self._bridge.check_open()
        return self

    def __next__(self) -> Event:
        return self.next()

    def next(self, timeout: float | None = None) -> Event:
        """Return the next event, as the built-in `next` does, but wait at most so many seconds.

        Raises:
            TimeoutError: nothing came in time. Nothing is lost; call again.
            StopIteration: the client is closed, or the recording has ended.
            KiwoomError: as for the async client.
        """
        try:
            return cast("Event", take_next(self._bridge, self._source._pop, self._source._refill, timeout))
        except LocalProtocolError:
            if not self._bridge.is_open:  # another thread has closed it, or the loop's own body
                raise StopIteration from None
            raise

    def __enter__(self) -> Self:
        self._bridge.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self._bridge.close(error)
        self._finalizer.detach()

    if not TYPE_CHECKING:  # type checkers find this mistake because there is no such attribute

        @property
        def aclose(self) -> NoReturn:
            problem = f"{type(self).__name__!r} object has no attribute 'aclose'"
            raise AttributeError(f"{problem}: write `client.close()`, or leave its block", name="aclose", obj=self)

    def __repr__(self) -> str:
        return repr(self._source)

    def _repr_html_(self) -> str:
        return self._source._repr_html_()


class Replay(Client):
    """A recording, as a client for threads that block. Made by `replay`."""

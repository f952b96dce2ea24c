"""Streams, conditions and callbacks of a blocking client. What they do is that of their async counterparts."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from kiwoom_proto import LocalProtocolError, Symbol
from kiwoom_proto.client.buffer import BufferStats
from kiwoom_proto.client.condition_stream import ConditionChange
from kiwoom_proto.client.condition_stream import ConditionStream as AsyncConditionStream
from kiwoom_proto.client.listeners import Listener as AsyncListener
from kiwoom_proto.client.streams import BaseStream
from kiwoom_proto.realtime.conditions import Condition

from .bridge import Bridge
from .not_async import NotAsync

__all__ = ("BlockingStream", "ConditionStream", "Listener", "Stream", "take_next")

T = TypeVar("T")


def take_next(
    bridge: Bridge[Any], pop: Callable[[], T | None], refill: Callable[[], Awaitable[None]], timeout: float | None
) -> T:
    """Return what is popped next, and wait for it if necessary.

    Args:
        bridge: the way to the loop.
        pop: returns what is at hand, or None.
        refill: waits for more, on the loop.
        timeout: maximum seconds to wait; None: as long as it takes.

    Raises:
        StopIteration: nothing more will come.
        TimeoutError: nothing came in time.
    """
    deadline = None
    while (found := pop()) is None:
        if timeout is not None:
            deadline = time.monotonic() + _checked(timeout) if deadline is None else deadline
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            bridge.wait(refill, timeout=left)
        except StopAsyncIteration:
            raise StopIteration from None
        except TimeoutError:
            if deadline is None or time.monotonic() < deadline:
                raise  # not that of this wait
            raise TimeoutError(f"nothing came within {timeout:g} s") from None
    return found


def _checked(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 <= timeout < math.inf:
        raise LocalProtocolError(f"timeout: must be a number of seconds, or None to wait, not {timeout!r}")
    return timeout


class BlockingStream(NotAsync, Generic[T]):
    """What streams and conditions share: `for row in stream`, alone or inside `with stream:`.

    A `for` loop alone enters the stream, and leaves it at its end. Inside `with`, there may be several loops, and
    `next` with a time limit.
    """

    def __init__(self, client: object, bridge: Bridge[Any], source: BaseStream[T]) -> None:
        self._client = client  # which must not be dropped while its stream is used
        self._bridge = bridge
        self._source = source
        self._is_entered = self._is_left = False

    @property
    def gaps(self) -> int:
        """How many gaps there were in it."""
        return self._source.gaps

    @property
    def silences(self) -> int:
        """How often no row of an item came within `fresh_within`."""
        return self._source.silences

    def stats(self) -> BufferStats:
        """Return the counters of its rows."""
        return self._source.stats()

    def __enter__(self) -> Self:
        self._bridge.check_open()
        if self._is_entered:
            raise LocalProtocolError(
                f"{self}: a stream is entered once; open another, with client.{self._source._call}(...)"
            )
        self._is_entered = True
        try:
            self._bridge.wait(self._source.__aenter__)
        except BaseException:
            self._is_left = True
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_left = True
        self._bridge.leave(self._source)

    def __iter__(self) -> Iterator[T]:
        self._bridge.check_open()
        self._check_not_left()
        return _Rows(self) if self._is_entered else self._loop()

    def __next__(self) -> T:
        return self.next()

    def next(self, timeout: float | None = None) -> T:
        """Return the next one, as the built-in `next` does, but wait at most so many seconds.

        Raises:
            TimeoutError: nothing came in time. Nothing is lost; call again.
            StopIteration: the client is closed, or the stream was left meanwhile.
            LocalProtocolError: the stream is not entered yet, or was left before.
            KiwoomError: as for the async stream.
        """
        if not self._is_entered:
            raise LocalProtocolError(
                f"{self} is not entered: write `with client.{self._source._call}(...) as rows:`, or loop over it"
            )
        self._check_not_left()
        return self._take(timeout)

    def _check_not_left(self) -> None:
        if self._is_left:
            raise LocalProtocolError(
                f"{self} was left with its block or loop: open another, with client.{self._source._call}(...)"
            )

    def _take(self, timeout: float | None = None) -> T:
        try:
            return take_next(self._bridge, self._source._pop, self._source._refill, timeout)
        except LocalProtocolError:
            if self._is_left or not self._bridge.is_open:
                raise StopIteration from None
            raise

    def _loop(self) -> Iterator[T]:
        with self:
            yield from self

    def __str__(self) -> str:
        return str(self._source)

    def __repr__(self) -> str:
        return repr(self._source)


class _Rows(Iterator[T]):
    """What a loop inside `with stream:` iterates. It ends when another thread leaves the stream."""

    def __init__(self, stream: BlockingStream[T]) -> None:
        self._take = stream._take

    def __next__(self) -> T:
        return self._take()


class Stream(BlockingStream[T]):
    """The rows of one subscription: `for trade in client.stream(Trade, "005930"):`. Made by `Client.stream`."""


class ConditionStream(BlockingStream[ConditionChange]):
    """A live condition search: `for change in client.condition("골든크로스"):`. Made by `Client.condition`."""

    @property
    def condition(self) -> Condition:
        """Number and name of the condition; the name alone as given before it is entered."""
        return cast(AsyncConditionStream, self._source).condition

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The stocks that meet the condition, after the changes iterated so far. The last that entered come last."""
        return cast(AsyncConditionStream, self._source).symbols


class Listener:
    """What `Client.on` returns: a callback that gets rows until `close`."""

    def __init__(self, client: object, bridge: Bridge[Any], source: AsyncListener) -> None:
        self._client = client
        self._bridge = bridge
        self._source = source

    @property
    def errors(self) -> int:
        """How many of its calls raised an exception."""
        return self._source.errors

    @property
    def error(self) -> Exception | None:
        """The first exception, or why its subscription is gone; None if there was none."""
        return self._source.error

    @property
    def gaps(self) -> int:
        """How often rows of it were missing."""
        return self._source.gaps

    @property
    def silences(self) -> int:
        """How often no row of an item came within `fresh_within`."""
        return self._source.silences

    def close(self) -> None:
        """Call it no more, and give up what it subscribed to. The callback itself may do so."""
        if self._bridge.is_open:
            self._bridge.call(self._source.close)

    def __repr__(self) -> str:
        return repr(self._source)

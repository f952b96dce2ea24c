"""Streams: the rows of one subscription, for one consumer, with a buffer of its own.

* Entering a stream subscribes and waits for the acknowledgement; while there is no connection, for the next one. It
  gets every row of its items from the moment it asks for them, so that none is lost that comes before the
  acknowledgement, until it is left.
* Leaving gives up what it subscribed to, and waits for nothing. What others want stays registered.
* Its buffer and its overflow policy are its own. With "raise", too slow a consumer ends this stream, and nothing else.
* It ends with the client, the way that the client's iteration ends.
* A `Gap` concerns it if it was acknowledged when the connection was lost. What else its rows may be missing for is in
  routes.py. A `Stale` concerns it if it has a `fresh_within`.
* It also ends, with `RequestRefused`, when a registration of it is gone: silence must not look like a quiet market. A
  transient one ends when none of its items is left.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Self, TypeAlias, TypeVar, cast, get_args

import attrs

from ..config import Overflow
from ..display import displayed
from ..errors import KiwoomError, LocalProtocolError
from ..events import Event, StreamGap
from ..realtime.catalogue import shown_argument
from ..realtime.record import Record
from ..request import Request
from ..symbol import Symbol
from .buffer import BufferStats, EventBuffer
from .calls import Calls
from .errors import BufferOverflow, RequestRefused
from .listeners import GapCallback
from .routes import Router, Sink

__all__ = ("BaseStream", "Gaps", "Stream")

T = TypeVar("T")

Gaps: TypeAlias = Literal["items", "ignore"] | Callable[[StreamGap], object]
"""What becomes of the gaps of a stream, and of silence: iterated between the rows, counted, or passed to a function."""

ROWS_PER_ITEM = 4
"""Rows of each item that a conflating stream keeps by default: the one that it gives, and room for the newer ones."""

FAR_BEHIND = 10_000
"""Rows that a recording is ahead of a consumer at most while it waits for it: a replayed stream has no limit of its own
unless it names one."""


class BaseStream(Sink, abc.ABC, Generic[T]):
    """What all streams share: entering, leaving, the buffer and the iteration.

    Args:
        client: the client.
        router: gives the stream its rows.
        code: the type of its rows.
        items: its items, as registered.
        buffer_size: maximum queued rows; None: what the policy needs.
        overflow: the policy beyond that; None: that of the client.

    Attributes:
        gaps: how often it was told that rows of it are missing: see `StreamGap`.
        silences: how often no row of an item came within `fresh_within`: `Stale`.
        reader: the task that has iterated it last, in a replay; None: none has.
        is_waited_for: whether nothing comes while it is full, so that its policy drops nothing.
    """

    def __init__(
        self,
        client: Calls,
        router: Router,
        code: str,
        items: Iterable[str],
        buffer_size: int | None,
        overflow: Overflow | None,
    ) -> None:
        super().__init__(code, items)
        config = client._session.config
        overflow = config.overflow if overflow is None else overflow
        if overflow not in get_args(Overflow):
            names = ", ".join(get_args(Overflow))
            raise LocalProtocolError(f"overflow: must be one of {names}, not {overflow!r}")
        if buffer_size is not None and (type(buffer_size) is not int or buffer_size < 1):
            raise LocalProtocolError(f"buffer_size: must be a whole number above 0, not {buffer_size!r}")
        if buffer_size is None:
            conflates = overflow == "conflate" and self.items
            buffer_size = len(self.items) * ROWS_PER_ITEM if conflates else config.buffer_size
        self.take = self.pending.append
        self._client = client
        self._router = router
        self._overflow = overflow
        self._size = buffer_size
        self._buffer = EventBuffer(buffer_size, overflow, config.buffer_bytes)
        self._batch: list[Event] = []  # newest first
        self._changed = client._new_event()
        self.reader: object = None
        self.is_waited_for = client._waits_for_streams
        self._is_awaited = False
        self._is_entered = self._is_left = False
        self._was_looped = False  # by `async for`
        self._has_ended = False  # with the client
        self._error: KiwoomError | None = None  # which ends this stream alone

    def stats(self) -> BufferStats:
        """Return the counters of its rows."""
        stats, held = self._buffer.stats(), len(self._batch)
        return attrs.evolve(stats, delivered=stats.delivered - held, waiting=stats.waiting + held)

    @property
    def is_full(self) -> bool:
        """Whether it has no room for one more row, or so many that its consumer is far behind a recording."""
        if self._error is not None:
            return False
        return len(self._buffer) >= FAR_BEHIND or not self._buffer.has_room(1, 1)

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise LocalProtocolError(f"{self}: a stream is entered once; open another, with client.{self._call}(...)")
        self._is_entered = True
        try:
            await self._register()
        except BaseException:
            self._is_left = True
            self._router.remove(self)
            self._router.refresh()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        client = self._client
        client._check_place()
        self._is_left = True
        self._router.remove(self)
        if self.request is not None:
            client._session.withdraw(self.request)
        self._batch.clear()
        self._buffer.pop_all()
        client._pump()
        self.wake()

    def __aiter__(self) -> AsyncIterator[T]:
        self._check_open()
        self._was_looped = True
        return self

    async def __anext__(self) -> T:
        while not self._batch:
            await self._refill()
        return cast("T", self._batch.pop())

    if not TYPE_CHECKING:  # type checkers find these mistakes because the methods are missing

        def __enter__(self) -> NoReturn:
            call = self._call
            raise TypeError(
                f"write `async with client.{call}(...) as rows:`; without async, use kiwoom_asyncio.blocking"
            )

        def __exit__(self, *error: object) -> None:
            """Never called: `__enter__` raises."""

        def __await__(self) -> NoReturn:
            raise TypeError(f"there is nothing to await: write `async with client.{self._call}(...) as rows:`")

        def __iter__(self) -> NoReturn:
            call = self._call
            raise TypeError(
                f"write `async with client.{call}(...) as rows:` and `async for row in rows:`; without async, use "
                "kiwoom_asyncio.blocking"
            )

    def _pop(self) -> T | None:
        """Return the next item that is at hand; None: `_refill` first. Other threads may call this."""
        try:
            return cast("T", self._batch.pop())
        except IndexError:
            return None

    def __str__(self) -> str:
        return f"stream of {self.code} {displayed(', '.join(sorted(self.items)[:3]))}".rstrip()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}, {len(self._buffer) + len(self._batch)} waiting>"

    # What the subclasses provide.

    _call: str
    """The method of the client that makes it."""

    @abc.abstractmethod
    async def _register(self) -> None:
        """Ask for the rows, and wait for the answer."""

    # Waiting.

    async def _refill(self) -> None:
        client = self._client
        client._check_place()
        self.is_read = True
        client._note_reader(self)
        if self._is_left and self._was_looped:
            raise StopAsyncIteration(f"{self} was left with its block")
        self._check_open()
        if self._buffer or self._has_ended or self._error is not None:
            await client._checkpoint()  # once per batch, as in the client's own iteration
        else:
            self._is_awaited = True
            await client._wait_stream(self, self._changed)
        if self._batch:
            return  # another task is iterating too, and was faster
        events = self._buffer.pop_some()
        if events:
            events.reverse()
            self._batch = events
            self.wake()  # other tasks that are iterating
            client._note_taken()
        elif self._error is not None:
            raise self._error
        elif self._is_left:
            raise StopAsyncIteration
        elif self._has_ended:
            error = client._inbox.end() if client._failure is None else client._failure.error
            if error is not None:
                raise error
            raise StopAsyncIteration

    def _check_open(self) -> None:
        call = self._call
        if not self._is_entered:
            raise LocalProtocolError(f"{self} is not entered: write `async with client.{call}(...) as rows:`")
        if self._is_left:
            raise LocalProtocolError(
                f"{self} was left with its block: iterate it inside, or open another with client.{call}(...)"
            )

    def wake(self) -> None:
        """Wake whoever waits for it."""
        if self._is_awaited:
            self._is_awaited = False
            self._changed.set()
            self._changed = self._client._new_event()

    # What the router says.

    def flush(self, size: int) -> None:
        """Queue what is `pending`, by the policy."""
        if self._error is None:
            try:
                if self.is_waited_for:
                    self._buffer.put_whole(self.pending, size)
                else:
                    self._buffer.put(self.pending, size, len(self._batch))
            except BufferOverflow:
                self._error = BufferOverflow(
                    f"{self}: {len(self._buffer) + len(self._batch):,} rows are queued, the limits are {self._size:,} "
                    f"(buffer_size) and ClientConfig.buffer_bytes, and overflow={self._overflow!r} allows dropping "
                    "none of them: read faster, or choose a larger buffer or another policy"
                )
        self.pending.clear()
        self.wake()

    def lose(self, error: RequestRefused) -> None:
        """End this stream, after what is queued."""
        if self._error is None:
            self._error = error
            self.wake()

    def end(self) -> None:
        """End with the client, after what is queued."""
        self._has_ended = True
        self.wake()


class Stream(BaseStream[T]):
    """The rows of one subscription: `async with client.stream(Trade, "005930") as trades`, then `async for`.

    Several tasks may iterate it: each row goes to one of them. `gaps` counts the gaps in it, `silences` how often it
    was `Stale`, and `stats()` what became of its rows.
    """

    _call = "stream"

    def __init__(
        self,
        client: Calls,
        router: Router,
        type: str | type[Record],
        code: str,
        items: tuple[str | Symbol, ...],
        *,
        group: str,
        fresh_within: float | None,
        buffer_size: int | None,
        overflow: Overflow | None,
        gaps: Gaps,
        transient: bool,
    ) -> None:
        super().__init__(client, router, code, map(str, items) if items else ("",), buffer_size, overflow)
        if gaps not in ("items", "ignore") and not callable(gaps):
            raise LocalProtocolError(f'gaps: must be "items", "ignore" or a function, not {shown_argument(gaps)}')
        self._arguments: Any = (type, *items)
        self._options: dict[str, Any] = {"group": group, "fresh_within": fresh_within, "transient": transient}
        self.is_transient = transient
        self.hears_silence = fresh_within is not None
        self._gaps_are_items = gaps == "items"
        self._gap_callback = GapCallback(client, str(self), gaps) if callable(gaps) else None

    async def _register(self) -> None:
        client = self._client
        await client._begin_call()
        request: Request = client._session.subscribe(*self._arguments, **self._options)
        self.request = request
        self._router.add(self)
        await client._wait_reply(request)

    def say_gap(self, event: StreamGap) -> None:
        """Queue it between the rows, or have the user's function called."""
        if self._gaps_are_items:
            self.pending.append(event)
        elif self._gap_callback is not None:
            self._router.due.append((self._gap_callback, event))

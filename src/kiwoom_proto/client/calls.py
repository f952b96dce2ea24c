"""The calls and the iteration of a client, whatever feeds it: a connection (pump.py) or a recording (replay.py).

It asks a session for what the calls want, and waits for what the inbox has. What makes the session go on is the
subclass's business.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, NoReturn

from ..endpoint import Endpoint
from ..events import ConditionList, ConditionResult, Disconnected, Event
from ..headers import ResponseHeader
from ..realtime.conditions import Condition, ConditionRow, UsConditionRow
from ..realtime.record import Record
from ..recording.recorder import Recorder
from ..request import Request
from ..session.lifecycle import SessionState
from ..session.market_clock import MarketStatus
from ..session.pool import Pool
from ..session.searches import Pages
from ..session.session import Session
from ..session.subscriptions import Subscription
from ..symbol import Symbol
from ..wire.messages import Reg, Remove
from .errors import Failure
from .inbox import Inbox, Stats
from .own_loop import AnyEvent, Place
from .replayed import ReplayedSession

__all__ = ("Calls",)


class Calls(abc.ABC):
    """What a program does with a client.

    Args:
        session: the session.
        wall_clock: the time in nanoseconds since the epoch.
        record: what keeps everything that is heard and said; None keeps nothing.
    """

    _waits_for_streams = False
    """Whether nothing comes while a stream is full."""

    def __init__(
        self, session: Session | Pool | ReplayedSession, wall_clock: Callable[[], int], record: Recorder | None = None
    ) -> None:
        self._session: Session | Pool | ReplayedSession = session
        self._wall_clock = wall_clock
        self._inbox = Inbox(session, record, wall_clock)
        self._place = self._here()
        self._batch: list[Event] = []  # newest first, so that the oldest is cheap to pop
        self._changed = self._new_event()  # something happened that a waiting call may be waiting for
        self._is_awaited = False
        self._failure: Failure | None = None  # of the client's own tasks: a bug of this library

    @property
    def endpoint(self) -> Endpoint:
        """Where it is connected to."""
        return self._session.endpoint

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's last answer to an opening handshake."""
        return self._session.header

    @property
    def state(self) -> SessionState:
        """The state of the session."""
        return self._session.state

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live conditions last, and its state on the present connection."""
        return self._session.subscriptions

    @property
    def market(self) -> MarketStatus:
        """Which session KRX and NXT are in now."""
        return self._session.market

    @property
    def disconnected(self) -> Disconnected | None:
        """The last loss or failed attempt while the client is not logged in; None while it is."""
        return self._session.disconnected

    def stats(self) -> Stats:
        """Return the counters of the events, and the state of the session."""
        return self._inbox.stats(self._wall_clock())

    async def subscribe(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        replace: bool = False,
        fresh_within: float | None = None,
        transient: bool = False,
        wait: bool = True,
    ) -> Request:
        """Subscribe to items of one real-time type, and wait until the server has acknowledged it.

        Calls are counted: an item that was subscribed to twice needs two `unsubscribe` calls. While there is no
        connection, the call waits for the next one. If it is cancelled or raises, nothing remains subscribed that was
        not before, even if the acknowledgement arrived in the same moment.

        Args:
            type: a class of the catalogue or of `types`, or its type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: drop everything else in this group, whoever subscribed to it.
            fresh_within: yields `Stale` after this many silent seconds; None disables it.
            transient: whether they may be given up once others need the room; `Evicted` is iterated then.
            wait: if False, return at once; `RequestAccepted` or `RequestRefusal` is iterated later.

        Returns:
            The request.

        Raises:
            RequestRefused: the server refused it.
            ConnectionLost: the session ended first.
            QuotaExceeded: the connection, or the group, would have too many items. Nothing was sent.
            LocalProtocolError: an argument is invalid, or one that the server would acknowledge and never serve:
                "A005930", a US type on a domestic endpoint. Nothing was sent.
        """
        await self._begin_call()
        request = self._session.subscribe(
            type, *items, group=group, replace=replace, fresh_within=fresh_within, transient=transient
        )
        return await self._wait_reply(request, wait)

    async def unsubscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", wait: bool = True
    ) -> Request:
        """Undo one `subscribe`, and wait until what nobody wants any more is removed.

        If cancelled, the removal still takes effect. Arguments and errors as for `subscribe`.
        """
        await self._begin_call()
        return await self._wait_reply(self._session.unsubscribe(type, *items, group=group), wait)

    async def request(self, message: Reg | Remove, *, wait: bool = True) -> Request:
        """Subscribe or unsubscribe with a hand-built message.

        Types and items are not checked, so this reaches what this library does not know. Errors as for `subscribe`.
        """
        await self._begin_call()
        return await self._wait_reply(self._session.request(message), wait)

    async def list_conditions(self) -> tuple[Condition, ...]:
        """Return the saved conditions (조건검색 목록조회). Errors as for `search_condition`."""
        await self._begin_call()
        answer = await self._wait_answer(self._session.list_conditions())
        assert isinstance(answer, ConditionList)
        return answer.conditions

    async def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> ConditionResult:
        """Ask which stocks meet a condition (조건검색 요청).

        With `realtime` the server keeps streaming which stocks enter and leave, until `clear_condition`. These rows are
        iterated like all others, as `ConditionHit` (US: `UsConditionHit`); `ConditionResult.matches` tells which search
        they belong to. After a reconnect the search is started again and a new `ConditionResult` is iterated. If the
        call is cancelled, the search is undone.

        Args:
            seq: number of the condition, from `list_conditions`.
            realtime: keep streaming updates.
            next_key: `ConditionResult.next_key`, for the next page. `search_condition_rows` follows the pages itself.

        Raises:
            RequestRefused: the server refused it.
            RequestTimeout: the server did not answer within `ack_timeout`. Everything else goes on.
            ConnectionLost: the session ended first.
            LocalProtocolError: an argument is invalid. Nothing was sent.
        """
        await self._begin_search(seq, realtime, next_key)
        answer = await self._wait_answer(self._session.search_condition(seq, realtime=realtime, next_key=next_key))
        assert isinstance(answer, ConditionResult)
        return answer

    async def search_condition_rows(self, seq: str) -> AsyncGenerator[ConditionRow | UsConditionRow]:
        """Iterate all rows of a condition, page by page, at least `request_interval` apart.

        Raises:
            RemoteProtocolError: the pages do not end. The connection goes on.
            KiwoomError: as for `search_condition`.
        """
        pages = Pages()
        next_key: str | None = ""
        while next_key is not None:
            result = await self.search_condition(seq, next_key=next_key)
            for row in result.rows:
                yield row
            next_key = pages.next_key(result)

    async def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제). If cancelled, it still takes effect.

        Errors as for `search_condition`.
        """
        await self._begin_call()
        return await self._wait_reply(self._session.clear_condition(seq))

    async def aclose(self) -> None:
        """Close, and wait until that is done, at most `close_timeout`. Events received before can still be iterated."""
        self._check_place()
        self._inbox.close()
        self._pump()
        while self._inbox.closed is None:
            await self._wait_change()

    def __aiter__(self) -> AsyncIterator[Event]:
        self._check_place()
        return self

    async def __anext__(self) -> Event:
        while not self._batch:
            await self._refill()
        return self._batch.pop()

    if not TYPE_CHECKING:  # type checkers find these mistakes because the methods are missing

        @property
        def close(self) -> NoReturn:
            # No `__getattr__`: with one, Python reads every attribute of a client the slow way, also for each event.
            problem = f"{type(self).__name__!r} object has no attribute 'close'"
            cure = "write `await client.aclose()`, or leave its block"
            raise AttributeError(f"{problem}: {cure}", name="close", obj=self)

        def __aenter__(self) -> NoReturn:
            raise TypeError(
                "the client is open already: use it as it is, and write `await client.aclose()` in the end; a block is "
                "`async with connect(...) as client:`"
            )

        def __aexit__(self, *error: object) -> None:
            """Never called: `__aenter__` raises."""

        def __enter__(self) -> NoReturn:
            raise TypeError(
                "the client is open already, and belongs to async functions: use it as it is; without async, use "
                "kiwoom_asyncio.blocking.connect(...)"
            )

        def __exit__(self, *error: object) -> None:
            """Never called: `__enter__` raises."""

        def __iter__(self) -> NoReturn:
            raise TypeError(
                "write `async for event in client`; without async, use kiwoom_asyncio.blocking.connect(...)"
            )

    def _pop(self) -> Event | None:
        """Return the next event that is at hand; None: `_refill` first. Other threads may call this."""
        try:
            return self._batch.pop()
        except IndexError:
            return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.endpoint}, {self.state.value}>"

    # What the subclasses provide.

    @abc.abstractmethod
    def _here(self) -> Place:
        """Return where the caller runs."""

    @property
    @abc.abstractmethod
    def _hand_over(self) -> str:
        """How another thread hands a call over to the loop."""

    @abc.abstractmethod
    def _new_event(self) -> AnyEvent:
        """Return an event that is not set."""

    @abc.abstractmethod
    async def _checkpoint(self) -> None:
        """Let other tasks run."""

    @abc.abstractmethod
    async def _wait_events(self) -> None:
        """Wait until there may be something to iterate."""

    @abc.abstractmethod
    def _report_failure(self, message: str, error: Exception) -> None:
        """Report what a function of the program raised that was called back."""

    @abc.abstractmethod
    def _pump(self) -> None:
        """Take the session's events, let it go on, and wake whoever waits."""

    # Waiting.

    def _check_place(self) -> None:
        self._place.check(self._here(), self._hand_over)

    async def _refill(self) -> None:
        self._check_place()
        self._inbox.is_iterated = True
        if self._inbox.is_ready:
            await self._checkpoint()  # once per batch, so that a busy feed cannot starve the rest of the program
        else:
            await self._wait_events()
        if self._batch:
            return  # another task is iterating too, and was faster
        events = self._inbox.pop()
        if events:
            events.reverse()
            self._batch = events
            self._wake()  # other tasks that are iterating
        elif self._inbox.closed is not None:
            error = self._inbox.end()
            if error is not None:
                raise error
            raise StopAsyncIteration

    async def _begin_call(self) -> None:
        """Refuse a call from elsewhere or after the end. While the session is closing, wait to learn why."""
        self._check_place()
        while self._inbox.closed is None and self.state is SessionState.CLOSING:
            await self._wait_change()
        self._inbox.check_open()

    async def _begin_search(self, seq: str, realtime: bool, next_key: str = "") -> None:
        """Do the same before a condition search."""
        await self._begin_call()

    async def _wait_reply(self, request: Request, wait: bool = True) -> Request:
        await self._wait_answer(request, wait)
        return request

    async def _wait_answer(self, request: Request, wait: bool = True) -> ConditionList | ConditionResult | None:
        """Wait for the answer. Callers must not wait afterwards: a call cancelled then keeps what it was granted."""
        if wait:
            self._inbox.expect(request)
        try:
            self._pump()
            await self._checkpoint()
            while wait and not self._inbox.reply(request):
                await self._wait_change()
        except BaseException:
            self._inbox.withdraw(request)
            self._pump()
            raise
        return self._inbox.pop_answer(request)

    async def _wait_change(self) -> None:
        """Wait until something happens."""
        if self._failure is None:
            self._is_awaited = True
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure.error

    async def _wait_stream(self, stream: object, changed: AnyEvent) -> None:
        """Wait until there may be something to iterate in a stream, which sets this event."""
        if self._failure is None:
            await changed.wait()
        if self._failure is not None:
            raise self._failure.error

    def _note_reader(self, stream: object) -> None:  # noqa: B027 - only a recording waits for its consumers
        """Note who iterates a stream."""

    def _note_taken(self) -> None:  # noqa: B027
        """Note that rows were taken from a stream."""

    def _wake(self) -> None:
        if self._is_awaited:  # otherwise every read would make an event that nobody waits for
            self._is_awaited = False
            self._changed.set()
            self._changed = self._new_event()

"""What a program takes from a client beside its iteration: streams, newest rows, conditions and callbacks.

Each is a sink of the router (routes.py). A client without any costs what it did without this file.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, overload

from ..config import Overflow
from ..errors import LocalProtocolError
from ..events import StreamGap
from ..hours import KST
from ..html import table
from ..realtime.catalogue import REALTIME, declared_code
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..realtime.traits import Scope
from ..recording.recorder import Recorder
from ..secrets import redact
from ..session.pool import Pool
from ..session.session import Session
from ..session.subscriptions import Subscription
from ..symbol import Symbol
from .buffer import BufferStats
from .calls import Calls
from .condition_stream import ConditionStream
from .listeners import Latest, Listener, is_subscribed
from .newest import NewestRows
from .replayed import ReplayedSession
from .streams import Gaps, Stream

__all__ = ("Feeds",)

R = TypeVar("R", bound=Record)

_SUBSCRIPTION_HEADINGS = ("type", "실시간 항목", "item 종목", "state 상태", "fresh within, s", "newest row 최근")
_COUNTER_HEADINGS = (
    "rows for",
    "received 수신",
    "delivered 전달",
    "waiting 대기",
    "dropped 버림",
    "conflated 합침",
    "gaps 누락",
)


class Feeds(Calls):
    """The client's streams, newest rows and callbacks. Args as `Calls`."""

    def __init__(
        self, session: Session | Pool | ReplayedSession, wall_clock: Callable[[], int], record: Recorder | None = None
    ) -> None:
        super().__init__(session, wall_clock, record)
        self._router = self._inbox.router
        self._due = self._router.due
        self._is_calling = False
        self._kept: dict[tuple[str, str], Latest] = {}
        if "IPython" in sys.modules:  # a notebook, or a console, which may show the client at any time
            self._inbox.newest = NewestRows()

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
        """Return a stream of the rows of one type: `async with client.stream(Trade, "005930") as trades`.

        Entering it subscribes and waits for the acknowledgement, with the errors of `subscribe`; leaving it gives that
        up. Several streams over the same items share one registration. The client's own iteration does not get these
        rows, unless `subscribe` asked for them too.

        The stream ends when the client is closed. It raises ConnectionLost when the session gave up, BufferOverflow
        when its consumer was too slow for "raise", and RequestRefused when its registration is gone; each after
        everything received before.

        Args:
            type: a class of the catalogue or of `types`, or its type code: "0B".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            fresh_within: after this many silent seconds of an item there is a `Stale`, which the client iterates, and
                this stream takes as it takes gaps; None disables it.
            buffer_size: maximum queued rows. Default: `ClientConfig.buffer_size`; with "conflate" to 4 for each item.
            overflow: the policy beyond that: "raise" ends this stream, "drop_oldest" drops rows, "conflate" keeps the
                newest row of each item, as a screen needs it. Defaults to `ClientConfig.overflow`.
            transient: its items may be evicted for others that are not transient, as with `subscribe`. The stream goes
                on until none of them is left.
            gaps: "ignore" only counts the gaps of this stream; "items" iterates each between the rows; a function is
                called with it, in the turn in which it is known. It is a `Gap`, or another event of `StreamGap`: with
                several app keys an `Unplaced` that names items of this stream (among others), and for types of the
                account a `MemberLost`; with `transient`, an `Evicted`; with `fresh_within`, a `Stale`, which
                `silences` counts; in a replay, a `RecordingHole`.

        Raises:
            LocalProtocolError: an argument is invalid.
        """
        return Stream(
            self,
            self._router,
            type,
            _code_of(type),
            items,
            group=group,
            fresh_within=fresh_within,
            buffer_size=buffer_size,
            overflow=overflow,
            transient=transient,
            gaps=gaps,
        )

    @overload
    def latest(self, type: type[R], item: str | Symbol = "") -> R | None: ...

    @overload
    def latest(self, type: str, item: str | Symbol = "") -> Record | None: ...

    def latest(self, type: str | type[Record], item: str | Symbol = "") -> Record | None:
        """Return the newest row of a type and item that something is subscribed to; None if none has come yet.

        The first call begins to keep it, so it returns None; it is kept until nothing is subscribed to it any more.
        While the connection is lost, or its item is silent, it is the last row before: see `disconnected`,
        `Subscription.is_stale`, and the row's `received_at`.

        Args:
            type: a class or a type code.
            item: the item as it is subscribed to; none: the newest row of the type, whatever its item.

        Raises:
            LocalProtocolError: nothing is subscribed to it.
            ConnectionLost: the session has ended.
            BufferOverflow: the session has ended for that.
        """
        code = _code_of(type)
        name = row_item(str(item))
        kept = self._kept.get((code, name))
        if kept is None or kept.is_gone:
            self._check_place()
            self._inbox.check_open()
            kept = Latest(self._router, code, str(item))
            standing = [(each.group, each.type, each.item) for each in self._session.subscriptions if each.consumers]
            if not is_subscribed(standing, code, kept.items):
                what = " ".join(filter(None, (code, str(item))))
                raise LocalProtocolError(
                    f"latest: nothing is subscribed to {what}; enter client.stream(...) or await client.subscribe(...) "
                    "first"
                )
            self._kept[code, name] = kept
            self._router.add(kept)
        elif self._inbox.closed is not None:
            self._inbox.check_open()
        return kept.row

    def condition(self, name: str, *, buffer_size: int | None = None) -> ConditionStream:
        """Return a stream of the stocks that enter and leave a saved condition (조건검색 실시간).

        `async with client.condition("골든크로스") as hits`: entering it starts the live search, and `hits.symbols` has
        the stocks that meet the condition. Leaving it ends the search.

        Args:
            name: the name or the number of the condition.
            buffer_size: maximum queued changes; none may be dropped, so one more ends the stream with BufferOverflow.

        Raises:
            LocalProtocolError: an argument is invalid; on entering: no condition, or more than one, has this name.
            KiwoomError: on entering, as for `search_condition`.
        """
        return ConditionStream(self, self._router, name, buffer_size)

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
        """Call a function with each row of a type, in the very turn in which its bytes came.

        With items, or for a type that takes none, it subscribes, and the client's own iteration does not get these
        rows. Without items, for a type that takes some, it subscribes to nothing, and gets every row of the type.

        A slow callback delays everything. An exception in one is reported once, to asyncio's exception handler or to
        the logger `kiwoom_trio`; all are counted, and the callback stays. A subscription that the
        server refuses is reported in the same way, and the callback is closed.

        Args:
            type: a class of the catalogue or of `types`, or a type code.
            callback: a plain function. It must not block.
            items: "005930", "005930_NX" or a `Symbol`.
            group: group number (grp_no), at most 4 characters.
            fresh_within: after this many silent seconds of an item there is a `Stale`, as for `stream`; None: never.
            transient: its items may be evicted for others that are not transient, as with `subscribe`.
            gaps: a function that is called when rows of it are missing, or late, as for `stream`; "ignore" only counts.

        Returns:
            A handle, whose `close()` ends it.

        Raises:
            QuotaExceeded: the connection, or the group, would have too many items.
            LocalProtocolError: an argument is invalid, or the client is closed.
            ConnectionLost: the session has ended.
        """
        self._check_place()
        self._inbox.check_open()
        code = _code_of(type)
        listener = Listener(
            self, self._router, code, map(str, items), callback, gaps, transient, fresh_within is not None
        )
        request = None
        if items or _takes_none(type):
            request = self._session.subscribe(type, *items, group=group, fresh_within=fresh_within, transient=transient)
        listener.open(request)
        return listener

    def _repr_html_(self) -> str:
        """Return a table for a notebook: what is subscribed to, how far each has come, and the counters.

        Elsewhere than in a notebook, newest rows are kept from the first call on.
        """
        lost = self.disconnected
        caption = " · ".join(filter(None, (repr(self), str(lost or ""))))
        if self._inbox.newest is None:
            self._inbox.newest = NewestRows()
        rows = map(self._shown, self.subscriptions)
        return table(caption, _SUBSCRIPTION_HEADINGS, rows) + table("", _COUNTER_HEADINGS, self._shown_counters())

    def _shown(self, each: Subscription) -> tuple[object, ...]:
        cls = REALTIME.get(each.type, Record)
        kept = self._kept.get((each.type, row_item(each.item)))
        newest = self._inbox.newest and self._inbox.newest.of(each.type, each.item)
        if newest is None and kept is not None:
            newest = kept.row
        state = each.reason or ("stale" if each.is_stale else each.state.value)
        state = "closed" if self._inbox.closed is not None else state
        name = cls.__name__ if cls is not Record else ""
        at = newest and (newest._exchange_time() or datetime.datetime.fromtimestamp(newest.received_at / 1e9, KST))
        time = at and f"{at:%X}"
        return f"{each.type} {name}".strip(), cls.label, redact(each.item), state, each.fresh_within, time

    def _shown_counters(self) -> Iterator[tuple[object, ...]]:
        """Show the counters of the client's own iteration, of each stream and callback, and of those that are gone."""
        stats = self.stats()
        own = BufferStats(stats.received, stats.delivered, stats.dropped, stats.conflated, stats.waiting)
        consumers = [("the client's iteration", own, stats.gaps)]
        for sink in self._router.sinks:
            counters = sink.stats()
            if counters is not None:
                consumers.append((str(sink), counters, sink.gaps))
        if self._router.past is not None:
            consumers.append(("streams and callbacks that were left", *self._router.past))
        for name, each, gaps in consumers:
            yield name, each.received, each.delivered, each.waiting, each.dropped, each.conflated, gaps

    # What is behind it.

    def _make_calls(self) -> None:
        """Call the callbacks that are due. A call made by one of them comes here again, and leaves it to the first."""
        due = self._due
        if self._is_calling:
            return
        self._is_calling = True
        try:
            while due:
                callback, event = due.popleft()
                callback.call(event)
        finally:
            self._is_calling = False


def _code_of(type: str | type[Record]) -> str:
    """Return the type code that the caller means. Whether there is such a type is checked where it is registered."""
    if isinstance(type, str):
        return type
    if type is Record:
        raise LocalProtocolError("type: Record declares no real-time type: pass a type code, or the class of one type")
    return declared_code(type, "type")


def _takes_none(type: str | type[Record]) -> bool:
    """Return whether a type takes no items: its rows are about the account or the market."""
    cls = REALTIME.get(type, Record) if isinstance(type, str) else type
    return cls.scope in (Scope.ACCOUNT, Scope.MARKET)

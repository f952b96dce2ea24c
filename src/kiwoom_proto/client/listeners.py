"""Callbacks and newest rows: what takes rows in the very turn in which their bytes came.

A callback is called once the client has seen to everything else of that turn: what is to be sent is queued, and whoever
waits is woken. But the loop waits for it. A slow one delays everything: the answers to PING, the other callbacks, and
every task of the program.

An exception in a callback costs nothing but that call. The first of each callback is reported, and all are counted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal

from ..display import displayed
from ..errors import LocalProtocolError
from ..events import StreamGap
from ..realtime.catalogue import ACCOUNT_TYPES, shown_argument
from ..realtime.record import Record
from ..realtime.spelling import row_item
from ..request import Key, Request
from ..session.missed_trades import is_older
from ..session.snapshot_tables import TRADES
from ..session.subscriptions import Subscription
from .buffer import BufferStats
from .calls import Calls
from .errors import RequestRefused
from .routes import Due, Router, Sink

__all__ = ("GapCallback", "Latest", "Listener", "is_subscribed")


class GapCallback:
    """Calls the user's function for gaps.

    Args:
        client: reports what the function raises.
        owner: what has the gaps.
        function: the function.

    Attributes:
        is_closed: whether it must not be called any more.
    """

    def __init__(self, client: Calls, owner: str, function: Callable[[Any], object]) -> None:
        self._client = client
        self._owner = owner
        self._function = function
        self.is_closed = False

    def call(self, event: Due, /) -> None:
        """Call the function, unless it is closed."""
        if self.is_closed:
            return
        try:
            self._function(event)
        except Exception as error:
            self._client._report_failure(f"the gaps function of {self._owner} raised", error)


class Listener(Sink):
    """What `client.on` returns: a callback that gets rows until `close`.

    Attributes:
        errors: how many of its calls raised an exception.
        error: the first exception, or why its subscription is gone; None if there was none.
        gaps: how often rows of it were missing.
        silences: how often no row of an item came within `fresh_within`: `Stale`.
        calls: how many rows it was called with.
    """

    answers_alone = True

    def __init__(
        self,
        client: Calls,
        router: Router,
        code: str,
        items: Iterable[str],
        callback: Callable[[Any], object],
        gaps: Literal["ignore"] | Callable[[StreamGap], object],
        transient: bool,
        hears_silence: bool,
    ) -> None:
        super().__init__(code, items)
        if not callable(callback):
            raise LocalProtocolError(f"callback: must be a function, not {type(callback).__name__}")
        if inspect.iscoroutinefunction(callback):
            raise LocalProtocolError(
                "callback: must be a plain function; an async one would never run: iterate client.stream(...) instead"
            )
        if gaps != "ignore" and not callable(gaps):
            raise LocalProtocolError(f'gaps: must be "ignore" or a function, not {shown_argument(gaps)}')
        self.is_transient = transient
        self.hears_silence = hears_silence
        self.calls = 0
        self.errors = 0
        self.error: Exception | None = None
        self._client = client
        self._router = router
        self._callback = callback
        self._gap_callback = GapCallback(client, f"a callback of {code}", gaps) if callable(gaps) else None
        self._is_closed = False
        self._loss: RequestRefused | None = None
        append = router.due.append

        def take(row: Record) -> None:
            append((self, row))

        self.take = take

    def open(self, request: Request | None) -> None:
        """Begin.

        Args:
            request: what was subscribed to for it; None: nothing.
        """
        self.request = request
        self._router.add(self)
        self._client._pump()

    def close(self) -> None:
        """Call it no more, and give up what it subscribed to."""
        if self._is_closed:
            return
        self._client._check_place()
        self._is_closed = True
        if self._gap_callback is not None:
            self._gap_callback.is_closed = True
        self._router.remove(self)
        if self.request is not None:
            self._client._session.withdraw(self.request)
        self._client._pump()

    def stats(self) -> BufferStats:
        """Return the counters of its rows."""
        return BufferStats(self.calls, self.calls, 0, 0, 0)

    def __str__(self) -> str:
        return f"callback of {self.code} {displayed(', '.join(sorted(self.items)[:3]))}".rstrip()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self.errors} errors"
        return f"<Listener of {self.code}, {state}>"

    def call(self, event: Due, /) -> None:
        """Call the callback, unless it is closed."""
        if self._is_closed:
            return
        if event is self._loss:
            self._fail(self._loss, f"a callback of {self.code} gets no more rows")
            self.close()
            return
        try:
            self.calls += 1
            self._callback(event)
        except Exception as error:
            self.errors += 1
            self._fail(error, f"a callback of {self.code} raised; it stays, and further errors are only counted")

    def lose(self, error: RequestRefused) -> None:
        """Report that it will get nothing more, after the rows that are due."""
        if self._loss is None:
            self._loss = error
            self._router.due.append((self, error))

    def say_gap(self, event: StreamGap) -> None:
        """Have the user's function called."""
        if self._gap_callback is not None:
            self._router.due.append((self._gap_callback, event))

    def _fail(self, error: Exception, message: str) -> None:
        if self.error is None:
            self.error = error
            self._client._report_failure(message, error)


class Latest(Sink):
    """The newest row of one type and item.

    Attributes:
        row: the row; None if none has come since it was asked for.
        is_gone: whether nothing is subscribed to it any more.
    """

    def __init__(self, router: Router, code: str, item: str) -> None:
        super().__init__(code, (item,) if item else ())
        self.row: Record | None = None
        self.is_gone = False
        self._router = router

    def take(self, row: Record) -> None:
        """Keep a row."""
        self.row = row

    def take_restored(self, row: Record) -> None:
        """Keep a row of a snapshot, unless the one that is kept is newer."""
        if self.row is None or not (row.type_code == TRADES and is_older(row, self.row)):
            self.row = row

    def covers(self, row: Record, name: str) -> bool:
        """Return whether it is its row: of the account too, those of its item alone."""
        return not self.items or name in self.items

    def check(self, standing: Mapping[Key, Subscription]) -> None:
        """Go once nothing is subscribed to it."""
        if not is_subscribed(standing, self.code, self.items):
            self.is_gone = True
            self._router.remove(self)


def is_subscribed(standing: Iterable[Key], code: str, items: Collection[str]) -> bool:
    """Return whether any of these registrations brings rows of a type and items; no items: any rows of the type."""
    is_account = code in ACCOUNT_TYPES
    return any(
        not items or not item or is_account or row_item(item) in items for _, type, item in standing if type == code
    )

"""The client of a recording, on any event loop: the calls and the iteration of `BaseClient`, without a connection.

Whoever iterates waits for the time of the next recorded event, takes what is due, and goes on. So nothing is ever
dropped for a slow consumer: the recording waits for it, and catches up afterwards, because each event has an absolute
time. It waits for the streams that others iterate, too (patience.py). Only while nobody iterates, but there are
callbacks or newest rows, a task of its own does the same for them.

Files are read by whoever iterates: one frame at a time, which takes a few milliseconds.
"""

from __future__ import annotations

import abc
import datetime
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import attrs

from ..config import ClientConfig
from ..errors import LocalProtocolError
from ..events import ConditionList, ConditionResult, Event
from ..realtime.conditions import Condition
from ..realtime.record import Record
from ..recording.files import Paths
from ..recording.reader import endpoint_of, find_events, read_batches, read_headers
from ..request import RequestKind
from .errors import Failure
from .feeds import Feeds
from .inbox import Stats
from .own_loop import AnyEvent
from .patience import GRACE, Patience
from .replayed import MAX_AT_ONCE, ReplayedSession
from .streams import BaseStream

__all__ = ("BaseReplay", "Time", "open_recording")

Time: TypeAlias = datetime.datetime | int
"""A `datetime` with its zone, or nanoseconds since the epoch."""


def open_recording(
    paths: Paths,
    *,
    speed: float | None,
    start: Time | None,
    end: Time | None,
    config: ClientConfig | None,
    types: Iterable[type[Record]],
    clock: Callable[[], float],
) -> ReplayedSession:
    """Return a session that reports what was recorded. Args and errors are those of an adapter's `replay`."""
    if speed is not None and (isinstance(speed, bool) or not isinstance(speed, int | float) or not speed > 0):
        raise LocalProtocolError(f"speed: must be a number above 0, or None for as fast as it goes, not {speed!r}")
    types = tuple(types)
    headers = read_headers(paths)
    endpoints = list(dict.fromkeys(map(endpoint_of, headers)))
    if len({endpoint.us for endpoint in endpoints}) > 1:
        raise LocalProtocolError("paths: recordings of the domestic and of the US market; replay one of them at a time")
    batches = read_batches(paths, start=start, end=end, record_types=types)
    return ReplayedSession(batches, endpoints[0], config, clock=clock, speed=speed, types=types)


class BaseReplay(Feeds):
    """What the replays of all event loops share.

    Args:
        session: the recorded session.
        paths: its files, for the answers to condition requests.
    """

    _session: ReplayedSession
    _waits_for_streams = True

    def __init__(self, session: ReplayedSession, paths: Paths) -> None:
        super().__init__(session, session.position)
        self._answers = find_events(paths, "ConditionList", "ConditionResult")
        self._reported = MAX_AT_ONCE  # events reported since others could run
        self._patience = Patience(session.now, self._has_ended)
        self._skipped = 0  # events that the program had not subscribed to
        self._router.keeps_unasked = False  # a recording holds more than this program has asked for
        self._router.is_replay = True
        self._has_refreshed = self._new_event()
        self._router.on_refresh = self._wake_driver
        session.skip_login()
        self._inbox.logged_in = session.logged_in
        if not session.logged_in:
            session.handle_timeout()  # the end, which says why
            self._pump()
        self._inbox.check_login()

    async def list_conditions(self) -> tuple[Condition, ...]:
        """Return the saved conditions that were recorded.

        Recorded answers are given in their order; after the last one, that one again. It is searched for in the whole
        recording, from its beginning.

        Raises:
            RequestRefused: the recording holds none.
        """
        await self._find_answer(RequestKind.CONDITION_LIST)
        return await super().list_conditions()

    async def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> ConditionResult:
        """Return the recorded answer to such a search: the same number, live or not, and page.

        Args, order and errors as for `list_conditions`, and for the client's `search_condition`.
        """
        return await super().search_condition(seq, realtime=realtime, next_key=next_key)

    def stats(self) -> Stats:
        """Return the counters of the events. `lag` is in recorded time."""
        stats = super().stats()
        return attrs.evolve(stats, received=stats.received - self._skipped, delivered=stats.delivered - self._skipped)

    async def __anext__(self) -> Event:
        session, batch = self._session, self._batch
        while True:
            while batch:
                event = batch.pop()
                if session.wants_all or session.is_wanted(event):
                    return event
                self._skipped += 1  # only now: what the program subscribed to a moment ago counts
            await self._refill()
            batch = self._batch

    def _pop(self) -> Event | None:
        session = self._session
        while (event := super()._pop()) is not None and not (session.wants_all or session.is_wanted(event)):
            self._skipped += 1
        return event

    # What the adapter provides.

    @abc.abstractmethod
    def _move_on_at(self, deadline: float, /) -> AbstractContextManager[Any]:
        """Return a cancel scope with a deadline on the loop's clock."""

    @abc.abstractmethod
    def _task(self) -> object:
        """Return what tells the calling task, or thread, from others."""

    @abc.abstractmethod
    def _has_ended(self, task: object, /) -> bool:
        """Return whether a task has ended."""

    # Waiting.

    async def _wait_events(self, stream: object = None) -> None:
        with self._patience.waiting(self._task(), stream):
            due_at = self._session.next_timeout()
            if due_at <= self._session.now():
                due_at = self._patience.ends_at(self._streams())
            if due_at > self._session.now():
                with self._move_on_at(due_at):
                    await self._wait_change()
            elif self._reported >= MAX_AT_ONCE:
                self._reported = 0
                await self._checkpoint()
            else:
                self._reported += max(1, self._session.handle_timeout())
                self._pump()

    async def _wait_stream(self, stream: object, changed: AnyEvent) -> None:
        await self._wait_events(stream)  # whoever iterates a stream reads on, for all of them

    def _note_reader(self, stream: Any) -> None:
        self._patience.note_reader(stream, self._task())

    def _note_taken(self) -> None:
        self._wake()

    def _streams(self) -> list[BaseStream[Any]]:
        return [sink for sink in self._router.sinks if isinstance(sink, BaseStream)]

    async def _begin_search(self, seq: str, realtime: bool, next_key: str = "") -> None:
        await self._find_answer(RequestKind.CONDITION_SEARCH, seq, realtime, next_key)
        await super()._begin_search(seq, realtime, next_key)

    async def _drive(self) -> None:
        """Go on while there are callbacks or newest rows and nobody iterates."""
        while self._inbox.closed is None:
            while not self._is_on_its_own:
                self._has_refreshed = self._new_event()
                await self._has_refreshed.wait()
            with self._move_on_at(self._session.now() + GRACE):
                await self._new_event().wait()  # which nobody sets
            while self._is_on_its_own and self._inbox.closed is None:
                await self._wait_events()

    @property
    def _is_on_its_own(self) -> bool:
        if self._inbox.is_iterated or self._router.is_read:
            return False
        return len(self._streams()) < len(self._router.sinks)

    def _wake_driver(self) -> None:
        self._has_refreshed.set()

    def _fail(self, error: BaseException) -> None:
        """Let whoever waits learn of an error of the task."""
        self._failure = Failure(error)
        self._router.end()
        self._wake()

    async def _find_answer(self, kind: RequestKind, seq: str = "", live: bool = False, next_key: str = "") -> None:
        """Read on until an answer to such a request is found."""
        self._check_place()
        while not self._session.has_answer(kind, seq, live, next_key):
            found = next(self._answers, None)
            if found is None:
                break
            self._session.answers += [event for event in found if isinstance(event, ConditionList | ConditionResult)]
            await self._checkpoint()

    def _pump(self) -> None:
        self._inbox.collect()
        self._wake()
        if self._due:
            self._make_calls()

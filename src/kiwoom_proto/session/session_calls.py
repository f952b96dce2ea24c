"""The calls of a program: what it subscribes to, and what it asks of condition searches."""

from __future__ import annotations

import abc

from ..realtime.record import Record
from ..request import Request
from ..symbol import Symbol
from ..wire.messages import Reg, Remove
from .lifecycle import CLOSED, READY, SessionState
from .registrations import Registrations
from .searches import Searches

__all__ = ("SessionCalls",)


class SessionCalls(abc.ABC):
    """The calls of a session. Each returns a ticket, which an event answers later."""

    _registrations: Registrations
    _searches: Searches

    @property
    @abc.abstractmethod
    def state(self) -> SessionState:
        """The state of the session."""

    @abc.abstractmethod
    def _advance(self) -> None:
        """Send what can be sent, and answer what can be answered."""

    @abc.abstractmethod
    def _check_open(self) -> None:
        """Raise LocalProtocolError if the session is closing, or has ended."""

    @abc.abstractmethod
    def _asked(self, request: Request) -> Request:
        """Send what can be sent, and return the ticket."""

    def subscribe(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        replace: bool = False,
        fresh_within: float | None = None,
        transient: bool = False,
    ) -> Request:
        """Subscribe to items for one real-time type, until `unsubscribe`. Every call counts.

        They are registered as soon as there is a connection, and on every further one.

        Args:
            type: a class of the catalogue or of `types`, or its type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: give up everything else in this group, whoever wants it. (Refresh "0" is never sent.)
            fresh_within: seconds after which silence is reported as `Stale`; None: never.
            transient: whether the items may be evicted once others need the room (transients.py); `Evicted` says so.

        Raises:
            QuotaExceeded: the connection, or the group, would have too many items; nothing has changed.
            LocalProtocolError: names what is wrong; nothing has changed. That includes what the server would
                acknowledge and never serve: "A005930", a US type on a domestic endpoint.
        """
        self._check_open()
        return self._asked(self._registrations.subscribe(type, items, group, replace, fresh_within, transient))

    def unsubscribe(self, type: str | type[Record], *items: str | Symbol, group: str = "1") -> Request:
        """Undo one `subscribe`. What nobody wants any more is removed. Args as `subscribe`.

        It is accepted once the server has removed it, or at once if there is nothing to remove.

        Raises:
            LocalProtocolError: names what is wrong; nothing has changed.
        """
        self._check_open()
        return self._asked(self._registrations.unsubscribe(type, items, group))

    def request(self, message: Reg | Remove) -> Request:
        """Subscribe to, or unsubscribe from, everything that a hand-built message names.

        Its lengths are checked, and that the endpoint serves the venues; types and items are not. This is the way to
        what this library does not know, and back: `unsubscribe` would refuse it too. Errors as for `subscribe`.
        """
        self._check_open()
        return self._asked(self._registrations.request(message))

    def list_conditions(self) -> Request:
        """Ask for the saved conditions (조건검색 목록조회). `ConditionList` answers it."""
        self._check_open()
        return self._asked(self._searches.list_conditions())

    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request:
        """Ask which stocks meet a condition (조건검색 요청). `ConditionResult` answers it.

        A live search is asked for anew on every further connection, with a new `ConditionResult` each time.

        Args:
            seq: the condition's number, from the list of conditions.
            realtime: keep streaming which stocks enter and leave, until `clear_condition`. Every call counts.
            next_key: `ConditionResult.next_key`, to ask for the next page of a search that is not live.

        Raises:
            LocalProtocolError: names what is wrong; nothing has changed.
        """
        self._check_open()
        return self._asked(self._searches.search_condition(seq, live=realtime, next_key=next_key))

    def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제), once for each time that it was asked for.

        Args and errors as for `search_condition`.
        """
        self._check_open()
        return self._asked(self._searches.clear_condition(seq))

    def withdraw(self, request: Request) -> None:
        """Take a call back: it no longer counts as a consumer, and is no longer answered.

        It may have been accepted: a caller may not have learned of that. A removal, and the end of a live search, are
        carried out all the same. What `replace` gave up, or was evicted, does not come back. Harmless if repeated.
        """
        self._registrations.withdraw(request)
        self._searches.withdraw(request, is_connected=self.state is READY)
        if self.state is not CLOSED:
            self._advance()

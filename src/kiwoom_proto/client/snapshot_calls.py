"""The calls of one session for the state after a gap, made by the dispatcher of its app key. No I/O.

Call `advance` after whatever happens to either. Outcomes of other calls of the dispatcher are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import KiwoomError, LocalProtocolError
from ..rest.dispatcher import Dispatcher
from ..rest.ticket import Ticket
from ..session.session import Session
from ..session.snapshot_needs import SnapshotNeeded

__all__ = ("SnapshotCalls",)


class SnapshotCalls:
    """Passes what a session needs to a dispatcher, and the outcomes back.

    Args:
        session: the session, or a member of a pool.
        dispatcher: makes the calls. It may be shared with others that call with the same app key.
        wall_clock: the time in nanoseconds since the epoch.
    """

    def __init__(self, session: Session, dispatcher: Dispatcher, wall_clock: Callable[[], int]) -> None:
        self._session = session
        self._dispatcher = dispatcher
        self._wall_clock = wall_clock
        self._tickets: dict[Ticket[Any], SnapshotNeeded] = {}

    def advance(self) -> bool:
        """Submit what is needed, and take back what waits and is needed no more. Return whether that was anything.

        A call that is under way is not taken back, which would cost its connection: its outcome is ignored.
        """
        needed = self._session.snapshots_needed()
        for need in needed:
            key = need.next_key
            try:
                ticket = self._dispatcher.submit(need.request, cont_yn="Y" if key else "", next_key=key)
            except LocalProtocolError as error:  # the dispatcher is closed, or an item is none that the TR takes
                self._session.snapshot_failed(need.id, error)
            else:
                self._tickets[ticket] = need
        superfluous = [
            ticket
            for ticket, need in self._tickets.items()
            if not need.is_needed and ticket.place is None and ticket.outcome is None
        ]
        for ticket in superfluous:
            self._dispatcher.cancel(ticket)
        return bool(needed or superfluous)

    def take(self, outcomes: Iterable[Ticket[Any]]) -> list[Ticket[Any]]:
        """Give the outcomes of its calls to the session.

        Args:
            outcomes: what `Dispatcher.outcomes` returned.

        Returns:
            Those that are not of its calls.
        """
        others = []
        for ticket in outcomes:
            need = self._tickets.pop(ticket, None)
            if need is None:
                others.append(ticket)
                continue
            try:
                page = ticket.result()
            except KiwoomError as error:
                self._session.snapshot_failed(need.id, error)
            else:
                next_key = "" if page.is_last else page.next_key
                self._session.receive_snapshot(need.id, page.reply, next_key, self._wall_clock())
        return others

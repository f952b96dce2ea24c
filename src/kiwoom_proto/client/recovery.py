"""What a client of the feed does to recover after a gap: it makes the calls that its session needs.

What is needed, and what becomes of the replies, is decided in session/restoration.py; when the calls leave, in
rest/dispatcher.py. Each session of a client has a dispatcher of its own, since each has an app key of its own. It keeps
the server's limit together with the REST clients of that key: see pacings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from ..config import ClientConfig, RecoveryPolicy
from ..errors import LocalProtocolError
from ..rest.ticket import Ticket
from ..session.session import Session
from .credentials import Credentials
from .rest_pump import BaseRestPump, Tasks
from .snapshot_calls import SnapshotCalls

__all__ = ("MakePump", "Recovery", "with_recovery")

MakePump: TypeAlias = Callable[[Credentials, Callable[[list[Ticket[Any]]], None]], BaseRestPump]
"""Makes the pump of a dispatcher, given what to call with, and what to tell of outcomes."""


def with_recovery(config: ClientConfig | None, recover: bool | RecoveryPolicy) -> ClientConfig | None:
    """Return a configuration with the `recover` of `connect`, if that was given.

    Raises:
        LocalProtocolError: the configuration is none, or `recover` is not what it should be.
    """
    if recover is False:
        return config
    if config is not None and not isinstance(config, ClientConfig):
        raise LocalProtocolError(f"config: must be a ClientConfig, not {type(config).__name__}")
    return attrs.evolve(ClientConfig() if config is None else config, recover=recover)


class Recovery:
    """The calls of one session.

    Args:
        session: the session.
        token: what it logs in with.
        make_pump: makes the pump.
        wall_clock: the time in nanoseconds since the epoch.
        changed: called when the session has got a reply.
    """

    def __init__(
        self,
        session: Session,
        token: Credentials,
        make_pump: MakePump,
        wall_clock: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._pump = make_pump(token, self._settle)
        self._calls = SnapshotCalls(session, self._pump.dispatcher, wall_clock)
        self._changed = changed

    def advance(self) -> None:
        """Make the calls that are needed by now. Call it after whatever happens to the session."""
        if self._calls.advance():
            self._pump.pump()

    async def run(self, tasks: Tasks) -> None:
        """Serve the calls until cancelled."""
        await self._pump.run(tasks)

    def _settle(self, tickets: list[Ticket[Any]]) -> None:
        self._calls.take(tickets)
        self._changed()

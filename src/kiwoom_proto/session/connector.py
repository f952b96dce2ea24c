"""The connector: makes one connection after the other, as recovery.py decides.

It owns the session's state, which follows the table in lifecycle.py, and the deadline of the states without a
connection (WAITING and AUTHORIZING). What it cannot do without I/O it tells the driver in `needs`:

    LinkNeeded    dial the endpoint, and carry bytes both ways for as long as `needs` is this very object
    TokenNeeded   get an access token: `Session.receive_token` or `Session.token_failed`
    None          nothing but the deadline

It knows nothing of what is wanted: the session sees to that, once `connection` is logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import attrs

from ..auth import TokenNeeded
from ..config import ClientConfig
from ..connection.capture import Capture
from ..connection.client import ClientConnection
from ..endpoint import Endpoint
from ..errors import DeadlineExceeded, KiwoomError, LocalProtocolError
from ..events import Closed, Connecting, Disconnected, Numbering
from ..headers import RequestHeader
from ..realtime.record import Record
from ..secrets import Secret, conceal
from ..wire.messages import check_token
from .lifecycle import AUTHORIZING, CLOSING, TRANSITIONS, WAITING, SessionState, Trigger
from .recovery import Recovery, Renew, Stop

__all__ = ("Connector", "LinkNeeded", "Need", "TokenNeeded")


@attrs.frozen(eq=False)
class LinkNeeded:
    """A stream to `endpoint` is needed, and bytes carried over it, until `Session.needs` is something else.

    Attributes:
        endpoint: where to dial.
        epoch: number of the connection; the first is 1.
    """

    endpoint: Endpoint
    epoch: int


Need: TypeAlias = LinkNeeded | TokenNeeded


class Connector:
    """Makes the connections of one session.

    Args:
        endpoint: where to connect.
        config: deadlines, limits and policies.
        clock: returns seconds, never going back.
        random: returns numbers from 0 to below 1.
        random_bytes: source of the WebSocket's keys and masks; None: the system's.
        types: record classes that the connections decode rows into.
        numbering: what events get their numbers from.
        report: called with each event that tells of an attempt, of a loss, or of the end.
        capture: a tap on what the connections receive and send; None: none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None,
        types: Iterable[type[Record]],
        numbering: Numbering,
        report: Callable[[Connecting | Disconnected | Closed], None],
        capture: Capture | None = None,
    ) -> None:
        self.state: SessionState = WAITING
        """The state of the session."""
        self.needs: Need | None = None
        """What the driver must do beside waiting for the deadline."""
        self.deadline: float | None = None
        """When WAITING or AUTHORIZING ends; None in the other states, and before `start`."""
        self.connection: ClientConnection | None = None
        """The present connection, or the last one."""
        self.disconnected: Disconnected | None = None
        """The last loss, or failed attempt, while not logged in; None while logged in."""
        self._endpoint = endpoint
        self._config = config
        self._clock = clock
        self._random_bytes = random_bytes
        self._types = tuple(types)
        self._numbering = numbering
        self._report = report
        self._capture = capture
        self._recovery = Recovery(config, random)
        self._header: RequestHeader | None = None
        self._secrets: tuple[Secret, ...] = ()

    # What the session tells it.

    def start(
        self,
        token: Secret | None,
        header: RequestHeader | None,
        *,
        can_renew: bool,
        keeps_token: bool,
        secrets: Iterable[Secret],
    ) -> None:
        """Make the first attempt. Args and errors as `Session.connect`, which calls it."""
        if self.state is not WAITING or self.deadline is not None:
            raise LocalProtocolError("connect: the session was started before")
        if header is not None and not isinstance(header, RequestHeader):
            raise LocalProtocolError(f"header: must be a RequestHeader, not {type(header).__name__}")
        if token is not None:
            _check_token(token, header)
        self._header = header
        self._secrets = tuple(secrets)
        now = self._clock()
        self._recovery.start(now, token, can_renew=can_renew, keeps_token=keeps_token)
        self._attempt(now)

    def receive_token(self, token: str | Secret) -> None:
        """Dial with the token that was needed. Args and errors as `Session.receive_token`."""
        token = conceal(token)
        if self.state is AUTHORIZING:
            _check_token(token, self._header)
            self._recovery.tokens.token = token
            self._dial(token)

    def token_failed(self, error: KiwoomError) -> None:
        """Note that no token could be obtained. Ignored if none is needed."""
        if self.state is not AUTHORIZING:
            return
        now = self._clock()
        verdict = self._recovery.token_failed(error, now)
        if isinstance(verdict, Stop):
            self.end(None, verdict.error)
        else:
            self._wait(error, None, verdict.delay, now)

    def logged_in(self) -> None:
        """Note that the present connection has logged in."""
        self._move(Trigger.LOGGED_IN)
        self.disconnected = None
        self._recovery.logged_in(self._clock())

    def close_asked(self) -> None:
        """Note that the present connection was asked to close."""
        self._move(Trigger.CLOSE_ASKED)

    def connection_lost(self, closed: Closed) -> None:
        """Note that the present connection has ended: make the next, wait with it, or end the session."""
        now = self._clock()
        if self.state is CLOSING or closed.error is None:
            self.end(closed, None)
            return
        verdict = self._recovery.connection_lost(closed, now)
        if isinstance(verdict, Stop):
            self.end(closed, verdict.error)
            return
        self._wait(closed.error, closed, 0.0 if isinstance(verdict, Renew) else verdict.delay, now)
        if isinstance(verdict, Renew):
            self._attempt(now)

    def end(self, closed: Closed | None, error: KiwoomError | None) -> None:
        """End the session. This is the only way to CLOSED.

        Args:
            closed: the end of the last connection; None if there is none.
            error: why the session ends; None: it was asked to.
        """
        self._move(Trigger.ENDED)
        self.needs = self.deadline = None
        self._recovery.tokens.end()
        self._report(Closed(1006, "", error) if closed is None else attrs.evolve(closed, error=error))

    # Deadlines.

    def next_give_up(self) -> float | None:
        """Return when to give up the first login in the middle of an attempt; None: never."""
        return self._recovery.give_up_at

    def why_give_up(self, now: float) -> DeadlineExceeded | None:
        """Return why to give up the first login in the middle of an attempt; None: go on."""
        return self._recovery.check_deadline(now)

    def handle_deadline(self, now: float) -> None:
        """Do what is due at `deadline`."""
        if self.deadline is None or now < self.deadline:
            return
        if self.state is AUTHORIZING:
            self.token_failed(self.why_give_up(now) or DeadlineExceeded("token", self._config.token_timeout))
        else:
            self._attempt(now)

    # Internals.

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state][trigger]

    def _attempt(self, now: float) -> None:
        """Start an attempt: dial if there is a token, else ask for one."""
        recovery = self._recovery
        recovery.attempt_started()
        if recovery.tokens.token is not None:
            self._dial(recovery.tokens.token)
            return
        self._move(Trigger.TOKEN_NEEDED)
        self.deadline = now + self._config.token_timeout
        if recovery.give_up_at is not None:
            self.deadline = min(self.deadline, recovery.give_up_at)
        self.needs = TokenNeeded(recovery.tokens.refused_token)

    def _dial(self, token: Secret) -> None:
        self._move(Trigger.TOKEN_KNOWN)
        self.deadline = None
        self._numbering.epoch += 1
        self._report(Connecting(self._recovery.attempt))
        self.connection = ClientConnection(
            self._endpoint,
            self._config,
            clock=self._clock,
            random_bytes=self._random_bytes,
            numbering=self._numbering,
            types=self._types,
            capture=self._capture,
        )
        self.needs = LinkNeeded(self._endpoint, self._numbering.epoch)
        refused = self._recovery.tokens.refused_token
        known = self._secrets if refused is None else (*self._secrets, refused)
        self.connection.connect(token, self._header, secrets=known)

    def _wait(self, cause: KiwoomError, closed: Closed | None, delay: float, now: float) -> None:
        self._move(Trigger.LOST)
        self.needs = None
        self.deadline = now + delay
        self.disconnected = Disconnected(cause, self.deadline, delay, self._recovery.attempt, closed)
        self._report(self.disconnected)


def _check_token(token: Secret, header: RequestHeader | None) -> None:
    """Raise LocalProtocolError if a connection could not begin with these."""
    check_token(token)
    if header is not None:
        header.elements(token)

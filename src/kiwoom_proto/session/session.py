"""Session: what outlives a connection.

THEORY OF OPERATION

A session owns one `ClientConnection` at a time, and makes the next when that one is lost. Its inputs are those of a
connection: calls, bytes and one deadline. Beside bytes and events it tells its driver what it needs, in `needs`. It
decides everything else. This file passes on what comes in; each rule has a file of its own (see the package docstring).

* Everything still wanted comes back: after each login it is registered again, the account first, then live condition
  searches, then market data; then a `Gap` tells since when rows are missing.
* A call is answered once, by the connection that answers it. One whose connection was lost is asked again.
* An unanswered condition request costs nothing but itself: neither market data nor a `Gap` waits for it.
* What a call claims is given up by `unsubscribe`, by a refusal, or by `withdraw`, and by one of them only. Whether a
  call was answered makes no difference to `withdraw`: a call that never learned of its answer does not have it.
* Every event has a number, in the order of events; only trades that were held back (restoration.py) stand behind higher
  ones. The session's own events come after those of the bytes that caused them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from ..config import ClientConfig
from ..connection.capture import Capture
from ..connection.lifecycle import ConnectionState
from ..endpoint import Endpoint, checked_config
from ..errors import DeadlineExceeded, KiwoomError, LocalProtocolError
from ..events import (
    Batch,
    Closed,
    Connecting,
    Disconnected,
    Event,
    Gap,
    LoggedIn,
    Numbering,
    Opened,
    RequestAccepted,
    RequestRefusal,
    Stale,
)
from ..headers import RequestHeader, ResponseHeader
from ..realtime.catalogue import codes_of_scope, extended_catalogue
from ..realtime.record import Record
from ..realtime.traits import Scope
from ..request import Request
from ..secrets import Secret, conceal
from ..wire.rfc6455 import check_close
from .connector import Connector, LinkNeeded, Need
from .gap import GapTracker, is_restored
from .lifecycle import CLOSED, CLOSING, CONNECTING, READY, SessionState
from .market_clock import MarketClock, MarketStatus
from .pending import CallAnswer
from .quota import Quota
from .registrations import Registrations
from .searches import Answer, Searches
from .session_calls import SessionCalls
from .subscriptions import Subscription, Subscriptions

if TYPE_CHECKING:
    from .restoration import Restoration
    from .snapshot_needs import SnapshotNeeded
    from .snapshots import Texts

__all__ = ("Session",)

_CONNECTION_CLOSING = ConnectionState.CLOSING  # on the hot path a global is found faster than an enum member
_CONNECTION_CLOSED = ConnectionState.CLOSED


class Session(SessionCalls):
    """A feed that lasts, without I/O: connections come and go beneath it.

    Args:
        endpoint: where to connect.
        config: deadlines, limits and policies.
        clock: returns seconds, never going back.
        random: returns numbers from 0 to below 1, for the delays between attempts: `random.random`.
        random_bytes: source of the WebSocket's keys and masks; None: the system's.
        types: your own record classes, added to the catalogue or replacing one with the same type code.
        capture: a tap on what is received and sent, for a recording; None costs nothing.
        numbering: where events get their numbers; None: a numbering of its own.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: ClientConfig | None = None,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes] | None = None,
        types: Iterable[type[Record]] = (),
        capture: Capture | None = None,
        numbering: Numbering | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.config = checked_config(endpoint, config)
        self._types = extended_catalogue(types)
        self.bytes_received = 0
        """Bytes received from the network so far, over all connections."""
        self._clock = clock
        self._numbering = Numbering(epoch=0) if numbering is None else numbering
        self.capture = capture
        if capture is not None:
            capture.bind(self._numbering, self._types)
        self._events = Batch()
        self._header: ResponseHeader | None = None
        self._connector = Connector(
            endpoint,
            self.config,
            clock=clock,
            random=random,
            random_bytes=random_bytes,
            types=self._types.values(),
            numbering=self._numbering,
            report=self._report,
            capture=capture,
        )
        self._gaps = GapTracker()
        self._market = MarketClock(self.config.hours)
        accounts, quota = codes_of_scope(self._types, Scope.ACCOUNT), Quota.of(endpoint, self.config)
        per_request = self.config.items_per_request
        self._subscriptions = Subscriptions(quota, per_request, accounts, self._types, self._market)
        self._freshness = self._subscriptions.freshness
        self._registrations = Registrations(endpoint, self._types, self.config, self._subscriptions)
        self._searches = Searches(endpoint)
        self._restoration: Restoration | None = None
        if recover := self.config.recover:
            from .restoration import Restoration  # and the classes of REST with it, which others need not load

            self._restoration = Restoration(recover, self._types, self._subscriptions.is_wanted, clock)

    # State.

    @property
    def state(self) -> SessionState:
        """The state of the session."""
        return self._connector.state

    @property
    def needs(self) -> Need | None:
        """What the driver must do beside waiting for the deadline."""
        return self._connector.needs

    @property
    def disconnected(self) -> Disconnected | None:
        """The last loss, or failed attempt, while not logged in; None while logged in."""
        return self._connector.disconnected

    @property
    def epoch(self) -> int:
        """Number of connections that it has begun to make."""
        return self._numbering.epoch

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's last answer to an opening handshake."""
        return self._header

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live searches last, and how far each has come on the present connection."""
        return self._subscriptions.snapshot() + self._searches.snapshot()

    @property
    def market(self) -> MarketStatus:
        """Which session KRX and NXT are in now: UNKNOWN until bytes have been received with their time."""
        return self._market.status(self._market.time_at(self._clock()))

    @property
    def is_settled(self) -> bool:
        """Whether it is logged in and the server has answered everything that is wanted."""
        return self.state is READY and self._subscriptions.is_settled and self._searches.is_settled

    @property
    def watches_freshness(self) -> bool:
        """Whether a row can move the deadline: some subscription has `fresh_within`."""
        return self._freshness.next_timeout() is not None

    # Calls of the user.

    def connect(
        self,
        token: str | Secret | None = None,
        header: RequestHeader | None = None,
        *,
        renewable: bool = False,
        keep: bool = False,
        secrets: Iterable[Secret] = (),
    ) -> None:
        """Start.

        Args:
            token: the access token, without "Bearer"; None: the driver is asked for one (`TokenNeeded`).
            header: header elements for the opening handshakes; None sends none.
            renewable: whether the driver can get another token when this one is refused.
            keep: if `token` is None: ask the driver once, and keep its token until it is refused. False: ask at each
                attempt; the driver keeps its token for as long as it is good.
            secrets: what to mask in the server's words, beside the tokens: `AppKey.secrets`.

        Raises:
            LocalProtocolError: the token cannot be valid, or `connect` was called before.
        """
        can_renew, keeps_token = renewable or token is None, keep or token is not None
        self._connector.start(conceal(token), header, can_renew=can_renew, keeps_token=keeps_token, secrets=secrets)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close. Rows that arrive until the server has answered are still reported.

        Raises:
            LocalProtocolError: the code or the reason cannot be sent in a close frame.
        """
        check_close(code, reason)
        connection = self._connector.connection
        if self.state in (CLOSING, CLOSED):
            return
        if self.state in (CONNECTING, READY):
            assert connection is not None
            connection.close(code, reason)
            self._connector.close_asked()
            if self._restoration is not None:
                self._restoration.close()
                self._report_restored(self._restoration)
            self._handle_events(connection.events())
        else:
            self._connector.end(None, None)

    # Calls of the driver.

    def receive_token(self, token: str | Secret) -> None:
        """Receive the access token that was needed. Ignored if none is.

        Raises:
            LocalProtocolError: it cannot be valid.
        """
        self._connector.receive_token(token)

    def token_failed(self, error: KiwoomError) -> None:
        """Note that no token could be obtained. Ignored if none is needed."""
        self._connector.token_failed(error)

    def connection_made(self) -> None:
        """Note that the stream that was needed exists now: `data_to_send` begins with the opening handshake.

        For a driver that dials in one task and writes in another: what `data_to_send` returned before the stream
        existed must not be written any more. A driver that first asks for data once it has a stream need not call
        this. Ignored once something was received, and if no stream is needed.
        """
        if self._connector.connection is not None and isinstance(self.needs, LinkNeeded):
            self._connector.connection.connection_made()

    def receive_data(self, data: bytes | bytearray, received_at: int = 0) -> None:
        """Receive bytes from the network. Never raises for what they contain.

        After calling this method you must send `data_to_send`, and call `events` and `next_timeout`.

        Args:
            data: any number of bytes.
            received_at: when, in nanoseconds since the epoch, for the records in them; 0: not known.
        """
        connection = self._connector.connection
        if connection is None or (state := connection.state) is _CONNECTION_CLOSED:
            return
        self.bytes_received += len(data)
        connection.receive_data(data, received_at)
        if state is not _CONNECTION_CLOSING:
            gaps = self._gaps
            if received_at >= gaps.next_read_at:
                gaps.start_read(received_at)
                self._market.note_time(received_at, self._clock())
            gaps.received_at = received_at
        events = connection.events()
        if not events.rows_only:
            self._handle_events(events)
            return
        if self._freshness.is_watching:
            self._freshness.note_rows(cast("list[Record]", events), self._clock())
        restoration = self._restoration
        if restoration is not None and restoration.is_watching:
            events = restoration.note_rows(events)
            if restoration.events or not events.rows_only:
                self._events += events
                self._events.rows_only = False
                self._report_restored(restoration)
                return
        if self._events or not self._events.rows_only:
            self._events += events
        else:
            self._events = events  # nearly always: no copy

    def receive_eof(self, error: str | None = None) -> None:
        """Receive the end of the stream, or that dialling failed.

        Args:
            error: the network's words if it failed: "connection refused"; None for a plain EOF.
        """
        connection = self._connector.connection
        if connection is not None:
            connection.receive_eof(error)
            self._handle_events(connection.events())

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None: not before something else happens.

        Ask again after every other call: the time may move either way.
        """
        connector = self._connector
        if connector.deadline is not None or connector.connection is None:
            return connector.deadline
        times = [connector.connection.next_timeout()]
        times.append(connector.next_give_up() if connector.state is CONNECTING else self._freshness.next_timeout())
        if connector.state is READY:
            times += self._searches.next_timeout(), self._subscriptions.next_retry()
            if self._restoration is not None:
                times.append(self._restoration.next_timeout())
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless if nothing is."""
        connector, now = self._connector, self._clock()
        if connector.deadline is not None:
            connector.handle_deadline(now)
            return
        for (_, type, item), seconds in self._subscriptions.pop_stale(now):
            self._report(Stale(type, item, seconds))
        connection = connector.connection
        if connection is not None:
            connection.handle_timeout()
            expired = connector.why_give_up(now) if connector.state is CONNECTING else None
            if expired is not None:
                connection.abort(expired)
            self._handle_events(connection.events())
        if self._restoration is not None:
            self._restoration.handle_timeout(now)
            self._report_restored(self._restoration)
        retries = (self._searches.next_timeout(), self._subscriptions.next_retry())
        if any(at is not None and now >= at for at in retries):
            self._advance()

    def snapshots_needed(self) -> list[SnapshotNeeded]:
        """Return the calls of TRs that are needed, each once, the most important first; without `recover` none.

        Answer each with `receive_snapshot` or `snapshot_failed`, unless it is no longer needed by then.
        """
        if self._restoration is None or self.state is not READY:
            return []
        found = self._restoration.needed(now := self._clock(), self._market.time_at(now))
        self._report_restored(self._restoration)
        return found

    def receive_snapshot(self, id: int, reply: Texts, next_key: str = "", received_at: int = 0) -> None:
        """Receive the reply to a call that was needed. Ignored if it is not needed any more. Another page may follow.

        Args:
            id: `SnapshotNeeded.id`.
            reply: the reply of the TR.
            next_key: the key of the next page, from the header of the answer; "" if this is the last.
            received_at: when it came, in nanoseconds since the epoch.
        """
        if self._restoration is not None:
            self._restoration.receive(id, reply, next_key, received_at)
            self._report_restored(self._restoration)

    def snapshot_failed(self, id: int, error: KiwoomError) -> None:
        """Note that a call that was needed has failed for good. Ignored if it is not needed any more."""
        if self._restoration is not None:
            self._restoration.fail(id, error, self._clock())
            self._report_restored(self._restoration)

    def data_to_send(self) -> bytes:
        """Return the bytes to write to the network, and forget them; empty: nothing.

        Call it once there is a stream to write them to. If it was called before, see `connection_made`.
        """
        connection = self._connector.connection
        return b"" if connection is None else connection.data_to_send()

    def events(self) -> Batch:
        """Return what has happened since the last call, in order, and forget it."""
        events, self._events = self._events, Batch()
        return events

    def __repr__(self) -> str:
        return f"<Session {self.endpoint}, {self.state.value}>"

    # Events.

    def _report(self, event: Connecting | Disconnected | Stale | Closed | Gap | CallAnswer) -> None:
        self._events.rows_only = False
        if isinstance(event, Closed):
            self._report_answers()  # the end is the last event
        self._events.append(self._numbering.stamp(event))

    def _report_restored(self, restoration: Restoration) -> None:
        for event in restoration.pop_events():
            self._events.rows_only = False
            self._events.append(event if isinstance(event, Record) else event.stamped(self._numbering))

    def _report_answers(self) -> None:
        for event in (*self._searches.pop_answers(), *self._registrations.pop_answers()):
            self._report(event)

    def _handle_events(self, events: Batch) -> None:
        """Handle what the connection reports."""
        self._events.rows_only = False
        closed = None
        has_events, restoration = bool(events), self._restoration
        if self._freshness.is_watching:  # rows that are held back have come, too
            self._freshness.note_rows([event for event in events if isinstance(event, Record)], self._clock())
        if restoration is not None and restoration.is_watching:
            events = restoration.note_rows(events)
        for event in events:
            if isinstance(event, Record):
                self._events.append(event)
            elif isinstance(event, Closed):
                closed = event
            else:
                self._handle_event(event)
        if closed is not None:
            self._report_answers()
            self._connection_lost(closed)
        if restoration is not None:
            self._report_restored(restoration)
        if has_events:
            self._advance()

    def _handle_event(self, event: Event) -> None:
        reported: Event | None = event
        if isinstance(event, Answer) and event.request.kind.is_condition:
            reported = self._searches.handle_answer(event, self._clock())
        elif isinstance(event, RequestAccepted | RequestRefusal):
            reported = self._registrations.handle_answer(event)
        elif isinstance(event, Opened):
            self._header = event.header
        elif isinstance(event, LoggedIn):
            self._connector.logged_in()
            self._gaps.logged_in()
        if reported is not None:
            self._events.append(reported)

    def _connection_lost(self, closed: Closed) -> None:
        now = self._clock()
        if self.state is READY:
            self._gaps.connection_lost(closed.sequence - 1)
        assert self._connector.connection is not None
        guilty = self._connector.connection.ended_by
        if guilty is not None:
            self._registrations.blame(guilty, now, certain=not isinstance(closed.error, DeadlineExceeded))
            self._searches.blame(guilty, now)
        self._registrations.connection_lost()
        self._searches.connection_lost()
        if self._restoration is not None:
            self._restoration.connection_lost()
            self._report_restored(self._restoration)  # rows stand before the loss
        self._connector.connection_lost(closed)

    # Requests.

    def _check_open(self) -> None:
        if self.state in (CLOSING, CLOSED):
            raise LocalProtocolError(f"the session is {self.state.value}")

    def _asked(self, request: Request) -> Request:
        self._advance()
        return request

    def _advance(self) -> None:
        """Send what can be sent, and answer what can be answered."""
        connection, now = self._connector.connection, self._clock()
        if connection is not None and connection.state is ConnectionState.READY:
            if self._registrations.is_urgent:
                self._registrations.send(connection, now)
            self._searches.send(connection, now)
            self._registrations.send(connection, now)
        self._registrations.answer_calls()
        self._subscriptions.arm_freshness(now)
        self._report_answers()
        gap = None
        if self._gaps.open is not None and self.state is READY and is_restored(self._subscriptions, self._searches):
            gap = self._gaps.end()
            self._report(gap)
        if self._restoration is not None and self.state is READY and self._gaps.open is None:
            self._restore(self._restoration, gap)

    def _restore(self, restoration: Restoration, gap: Gap | None) -> None:
        """Note what state is needed now: after a gap, or because something was registered or given up."""
        if self._subscriptions.has_dropped:
            self._subscriptions.has_dropped = False
            restoration.drop_unwanted()
        if gap is not None:
            restoration.gap_ended(gap)
        news = self._subscriptions.pop_confirmed()
        if news:
            restoration.registered(news, after_gap=gap is not None)
        self._report_restored(restoration)

"""Dispatcher: the calls of one app key, without I/O: what waits, when it leaves, on which connection, and what then.

THEORY OF OPERATION

Its inputs are those of a session: calls, bytes and one deadline. What it cannot do without I/O it tells its driver in
`needs`, which may hold several things at once:

    Link          dial it, then `connection_made`; carry bytes both ways for as long as `needs` holds this very object;
                  then hang up
    TokenNeeded   get an access token: `receive_token`, or `token_failed`

Every call gets exactly one outcome, which `outcomes` returns: a `Page`, or an error. Nothing that a server does raises.

* A call leaves when `Pacing` lets it, a connection is free and there is a token. Orders go first. A query that waits
  for its turn has no deadline.
* An order is meant for now. If it has not been sent by its `deadline`, it fails and is never sent, whatever it waited
  for and however the clock moved meanwhile: bytes are handed to the driver before that time, or not at all.
* What is due is reckoned once, where calls are sent, by one reading of the clock. To ask again later with another
  reading would forget what became due in between.
* If no connection can be opened, it is tried again after a pause that doubles, up to 5 s. A query is given up when the
  next attempt would come later than `answer_timeout` after it was submitted, or after the first attempt that failed. An
  order is given up with the same, or after `tries` attempts in a row: it is meant for now, and its caller decides. With
  `tries=1` no attempt is repeated. As long as another connection may carry a call, it waits for that.
* If there will be no token (see `authorization`), every call that waits fails at once, whether its turn has come or
  not: none of them could be sent, for the same reason. Each gets an error of its own with the same words.
* A query that met a broken connection, a server that failed, or a refusal for coming too fast is sent again, a bounded
  number of times. One that is not answered in time is not, unless its connection had been kept: it may have been dead.
* **An order is never sent twice**, whatever the answer. If that says that it was not processed (too fast, a token that
  is not valid, wrong input), its caller may place it again; another token is got for the next call. If there is no
  answer, or one that does not say, the outcome is `OrderOutcomeUnknown`. What was never handed to the driver was not
  sent: it goes on another connection.
* A call that is cancelled while it is under way costs its connection: the answer could not be told from the next one.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from ..auth import AppKey, TokenNeeded
from ..config import RestConfig
from ..endpoint import Endpoint
from ..errors import (
    CertificateRefused,
    DeadlineExceeded,
    KiwoomError,
    LocalProtocolError,
    TransportError,
    network_error,
)
from ..realtime.record import KST
from ..secrets import Redaction, Secret, conceal
from .authorization import Authorization, asks_for_renewal
from .call import Asked, Call, Page, check_cursor
from .errors import (
    AccountRefused,
    CallCancelled,
    OrderOutcomeUnknown,
    RateLimited,
    RestError,
    ServerFailed,
    was_not_processed,
)
from .links import Link, Links, retry_pause
from .pacing import Count, Pacing
from .ticket import Ticket, WaitingCalls

__all__ = ("Dispatcher", "RestNeed")

R = TypeVar("R")

RestNeed: TypeAlias = Link | TokenNeeded

LIMIT, MOCK_LIMIT = 5, 1
"""Calls of one TR in a second [measured]."""
MAX_RETRY_PAUSE = 30.0
"""Maximum of seconds before a query is sent again, which double from `RETRY_PAUSE` on."""
ALL_TRS = frozenset({"1701", "1702"})
"""Codes of limits that are not those of one TR."""


class Dispatcher:
    """Carries the calls of one app key to one endpoint.

    Args:
        endpoint: whose REST interface.
        token: the keys; or an access token, which cannot be renewed; None: the driver is asked for tokens.
        config: deadlines and limits.
        clock: returns seconds, never going back.
        wall_clock: returns seconds since the epoch, for the life of tokens and the time of orders.
        count: of the server, if other dispatchers have the same app key and the same clock; None: there are no others.

    Raises:
        LocalProtocolError: an argument is not what it should be.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        token: AppKey | str | Secret | None = None,
        config: RestConfig | None = None,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        count: Count | None = None,
    ) -> None:
        token = conceal(token)
        if not isinstance(endpoint, Endpoint):
            raise LocalProtocolError(f"endpoint: must be an Endpoint, not {type(endpoint).__name__}")
        if config is not None and not isinstance(config, RestConfig):
            raise LocalProtocolError(f"config: must be a RestConfig, not {type(config).__name__}")
        if token is not None and not isinstance(token, AppKey | Secret):
            raise LocalProtocolError(f"token: must be an AppKey or a str, not {type(token).__name__}")
        self.endpoint = endpoint
        self.config = config = RestConfig() if config is None else config
        self.is_closed = False
        self._clock = clock
        self._wall_clock = wall_clock
        self._redaction = Redaction(token.secrets if isinstance(token, AppKey) else ())
        self._authorization = Authorization(endpoint, token, config)
        self._pacing = Pacing(config.calls_per_second or (MOCK_LIMIT if endpoint.mock else LIMIT), count)
        self._links = Links(endpoint, config)
        self._waiting = WaitingCalls()
        self._known_token: Secret | None = None
        self._outcomes: list[Ticket[Any]] = []
        self._submitted = 0
        self._next_call_at: float | None = None  # as of the last `_advance`

    # State.

    @property
    def needs(self) -> tuple[RestNeed, ...]:
        """What the driver must do beside waiting for the deadline."""
        token = self._authorization.needs
        return tuple(self._links) if token is None else (token, *self._links)

    @property
    def is_busy(self) -> bool:
        """Whether a call waits or is under way."""
        return bool(self._waiting) or any(link.ticket is not None for link in self._links)

    # Calls of the user.

    def submit(self, request: Asked[R], *, cont_yn: str = "", next_key: str = "") -> Ticket[R]:
        """Submit a call. It is sent as soon as it may.

        Args:
            request: the request.
            cont_yn: "Y" to continue an earlier answer, from `Page.cont_yn`.
            next_key: where to continue, from `Page.next_key`.

        Raises:
            LocalProtocolError: the dispatcher is closed, the cursor cannot be sent, or the TR is one of tokens.
        """
        if self.is_closed:
            raise LocalProtocolError("the dispatcher is closed")
        if request.safety == "auth_write":
            raise LocalProtocolError(f"{request.api_id}: tokens are issued and revoked by TokenCall")
        check_cursor(cont_yn, next_key)
        self._submitted += 1
        ticket = Ticket(request, cont_yn, next_key, number=self._submitted)
        now = ticket.waits_since = self._clock()
        if ticket.is_order:
            ahead = self._waiting.orders
            turn_at = self._pacing.turn_at(ticket.bucket, now, len(ahead))
            ticket.deadline = max(turn_at + self.config.answer_timeout, ahead[-1].deadline if ahead else now)
        self._waiting.add(ticket)
        self._advance()
        return ticket

    def cancel(self, ticket: Ticket[Any]) -> None:
        """Take a call back. Ignored if it has its outcome.

        One that waits is not sent. One that is under way loses its connection; if it is an order, its outcome is
        `OrderOutcomeUnknown`. Every other becomes `CallCancelled`.
        """
        if ticket.outcome is None:
            self._cancel(ticket, CallCancelled(f"{ticket.request.api_id}: cancelled by its caller"))
            self._advance()

    def close(self) -> None:
        """Cancel all calls and give up all connections. Repeating it does nothing."""
        if self.is_closed:
            return
        self.is_closed = True
        words = "the dispatcher was closed"
        for link in self._links:
            if link.ticket is None:
                self._links.drop(link)
            else:
                self._cancel(link.ticket, CallCancelled(words))
        self._fail_waiting(CallCancelled(words))
        self._next_call_at = None
        self._authorization.end()

    def outcomes(self) -> list[Ticket[Any]]:
        """Return the calls that have got their outcome since the last call, in that order, and forget them."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    # Calls of the driver.

    def receive_token(self, token: str | Secret) -> None:
        """Receive the access token that was needed. Ignored if none is. For an `AppKey`, `store` it there first.

        Raises:
            LocalProtocolError: it cannot be valid.
        """
        token = conceal(token)
        self._authorization.receive(token)
        self._advance()

    def token_failed(self, error: KiwoomError) -> None:
        """Note that no token could be obtained. Ignored if none is needed."""
        if self._authorization.failed(error, self._clock()):
            self._fail_waiting(error)
        self._advance()

    def connection_made(self, link: Link) -> None:
        """Note that bytes can be sent over a link that was needed, TLS included. Ignored if it no longer is."""
        if link not in self._links or link.is_open:
            return
        now = self._clock()
        link.is_open = True
        link.used_at = now
        link.deadline = now + self.config.idle_timeout
        self._links.failed_dials = 0
        self._advance()

    def data_to_send(self, link: Link) -> bytes:
        """Return the bytes to write to this link, and forget them; empty: nothing. They count as sent."""
        if link not in self._links or not link.is_open or link.ticket is None:
            return b""
        if not link.is_taken:
            now = self._clock()
            if now >= link.deadline:
                return b""  # too late: `handle_timeout` decides
            link.is_taken = True
            link.deadline = now + self.config.answer_timeout
            link.ticket.sent_at = self._wall_clock()
        return link.http.data_to_send()

    def receive_data(self, link: Link, data: bytes | bytearray | memoryview) -> None:
        """Receive bytes from a link. Never raises for what they contain. Ignored if the link is no longer needed.

        After calling this method you must serve `needs`, send what `data_to_send` returns for every link, and call
        `outcomes` and `next_timeout`.
        """
        view, data = memoryview(data), b""
        if not view or link not in self._links:
            return
        if link.call is None or not link.is_taken:
            self._drop(link)  # nobody asked for that
        else:
            link.call.receive_data(view)
            if link.call.outcome is not None:
                self._handle_answer(link)
        self._advance()

    def receive_eof(self, link: Link, error: str | None = None) -> None:
        """Receive the end of a link's stream, or that dialling failed. Ignored if the link is no longer needed.

        Args:
            link: the link.
            error: the network's words if it failed: "connection refused"; None for a plain EOF.
        """
        if link not in self._links:
            return
        if not link.is_open:
            self._dial_failed(link, network_error(error or "the connection was closed before it was open"))
        elif link.call is None or not link.is_taken:
            self._drop(link)
        else:
            link.call.receive_eof(error)
            self._handle_answer(link)
        self._advance()

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None: not before something else happens."""
        times = (self._links.next_timeout(), self._authorization.next_timeout(), self._next_call_at)
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock. Harmless if nothing is."""
        now = self._clock()
        error = self._authorization.handle_timeout(now)
        if error is not None:
            self._fail_waiting(error)
        for link in self._links:
            if now >= link.deadline:
                self._handle_deadline(link)
        self._advance()

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else f"{len(self._links)} connections"
        return f"<Dispatcher {self.endpoint.rest_url('')}, {state}>"

    # Sending.

    def _advance(self) -> None:
        """Send what can be sent, and ask for what is needed to send more. Orders first."""
        self._next_call_at = None
        if not self._waiting:
            return
        now = self._clock()
        for ticket in self._waiting.pop_late_orders(now):
            what = f"{ticket.request.api_id}: this order was not sent, as it could not be"
            self._end(ticket, DeadlineExceeded("answer", self.config.answer_timeout, what=what))
        held = self._send_ready(now)
        self._next_call_at = self._waiting.next_time(self._pacing, now, held)
        if held and now < (dial_at := self._links.dial_not_before):
            self._next_call_at = dial_at if self._next_call_at is None else min(dial_at, self._next_call_at)

    def _send_ready(self, now: float) -> tuple[bool, ...]:
        """Send what can be sent. Returns for whom what is needed has been asked for: for orders True, queries False."""
        held: tuple[bool, ...] = ()
        wanted = 0
        for orders in (True, False):
            while (ticket := self._waiting.ready(self._pacing, now, orders=orders)) is not None:
                if self._authorization.error is not None:
                    self._fail_waiting(self._authorization.error)
                    return ()
                token = self._authorization.token(self._wall_clock())
                if token is None:
                    self._authorization.ask(now)
                    return (True, False)
                link = self._links.idle_for(ticket, now)
                if link is None:
                    wanted += max(1, self._waiting.count_ready(self._pacing, now, orders=orders))
                    self._links.open(wanted, now, for_orders=orders)
                    held += (orders,)
                    break
                self._send(ticket, link, token, now)
        return held

    def _send(self, ticket: Ticket[Any], link: Link, token: Secret, now: float) -> None:
        place = self._pacing.take(ticket.bucket, now)
        if place is None:
            return  # another dispatcher of the app key, in another thread, was faster
        self._waiting.remove(ticket)
        if token is not self._known_token:
            self._known_token = token
            self._redaction.add(token)
        ticket.tries += 1
        ticket.token = token
        ticket.place = place
        link.ticket = ticket
        link.is_taken = False
        link.deadline = now + self.config.answer_timeout
        if ticket.is_order:
            link.deadline = min(link.deadline, ticket.deadline, link.fresh_until)
        link.call = Call(
            ticket.request,
            self.endpoint,
            token,
            cont_yn=ticket.cont_yn,
            next_key=ticket.next_key,
            connection=link.http,
            redaction=self._redaction,
        )

    # What becomes of links.

    def _handle_deadline(self, link: Link) -> None:
        if not link.is_open:
            what = f"no connection to {link.host}:{link.port}"
            self._dial_failed(link, DeadlineExceeded("open", self.config.open_timeout, what=what))
        elif link.ticket is None or not link.is_taken:
            self._drop(link)
        else:
            ticket, was_kept = link.ticket, link.served > 0
            self._links.drop(link)
            what = f"{ticket.request.api_id}: no answer"
            self._judge(ticket, DeadlineExceeded("answer", self.config.answer_timeout, what=what), was_kept)

    def _dial_failed(self, link: Link, error: KiwoomError) -> None:
        """Note that a link could not be opened. The calls that have waited for long enough fail.

        If the server's certificate is refused, all fail that no open link can carry: waiting does not help.
        """
        now, is_final = self._clock(), isinstance(error, CertificateRefused)
        links = self._links
        links.dial_failed(link, now, is_final=is_final)
        self._fail_waiting(error, lambda each: not links.may_carry(each, now) and (is_final or links.has_waited(each)))

    def _drop(self, link: Link) -> None:
        """Give up a link. A call of which nothing was handed to the driver waits again: it was not sent."""
        ticket = link.ticket
        self._links.drop(link)
        if ticket is not None:
            self._unsend(ticket)
            self._waiting.add_again(ticket)

    def _unsend(self, ticket: Ticket[Any]) -> None:
        assert ticket.place is not None
        self._pacing.unsent(ticket.bucket, ticket.place)
        ticket.place = None
        ticket.tries -= 1

    # What becomes of calls.

    def _handle_answer(self, link: Link) -> None:
        """Handle that the call of a link has ended, with an answer or without."""
        assert link.ticket is not None and link.call is not None and link.call.outcome is not None
        ticket, outcome, was_kept = link.ticket, link.call.outcome, link.served > 0
        if link.http.is_reusable:
            now = self._clock()
            link.ticket = link.call = None
            link.served += 1
            link.used_at = now
            link.deadline = now + self.config.idle_timeout
        else:
            self._links.drop(link)
        self._judge(ticket, outcome, was_kept)

    def _judge(self, ticket: Ticket[Any], outcome: Page[Any] | KiwoomError, was_kept: bool) -> None:
        """Decide whether a call is sent again, or what its outcome is."""
        now = self._clock()
        place, ticket.place = ticket.place, None
        assert place is not None
        if isinstance(outcome, RateLimited):
            wait = outcome.retry_after or 0.0
            self._pacing.refused(ticket.bucket, place, now, retry_after=wait, all_trs=outcome.code in ALL_TRS)
        elif isinstance(outcome, Page | RestError):
            self._pacing.answered(ticket.bucket, place, now)
        else:
            self._pacing.lost(place, now)
        if self._goes_again(ticket, outcome, now, was_kept):
            ticket.waits_since = now
            self._waiting.add_again(ticket)
        elif ticket.is_order and isinstance(outcome, KiwoomError) and not was_not_processed(outcome):
            self._end(ticket, self._unknown(ticket, outcome))
        else:
            self._end(ticket, outcome)
        if self._authorization.error is not None:
            self._fail_waiting(self._authorization.error)

    def _goes_again(self, ticket: Ticket[Any], outcome: Page[Any] | KiwoomError, now: float, was_kept: bool) -> bool:
        """Return whether a call is sent again."""
        config = self.config
        assert ticket.token is not None
        if isinstance(outcome, Page | AccountRefused):
            self._authorization.accepted(ticket.token)
            return False
        if asks_for_renewal(outcome):
            may = self._authorization.refused(ticket.token, outcome, now) and not ticket.has_renewed
            ticket.has_renewed = True
            return may and not ticket.is_order
        if ticket.is_order:
            return False
        if isinstance(outcome, RateLimited):
            ticket.held_up = outcome
            ticket.too_fast += 1
            return ticket.too_fast < config.rate_limit_tries
        if was_kept and isinstance(outcome, TransportError | DeadlineExceeded):
            # It may have been dead, which says nothing about the call.
            ticket.stale += 1
            if ticket.stale <= (1 if isinstance(outcome, DeadlineExceeded) else config.max_connections):
                return True
        if isinstance(outcome, TransportError | ServerFailed):
            ticket.held_up = outcome
            ticket.failures += 1
            wait = outcome.retry_after or 0.0 if isinstance(outcome, ServerFailed) else 0.0
            ticket.not_before = now + min(MAX_RETRY_PAUSE, max(wait, retry_pause(ticket.failures)))
            return ticket.failures < config.tries
        return False

    def _cancel(self, ticket: Ticket[Any], error: CallCancelled) -> None:
        if self._waiting.remove(ticket):
            self._end(ticket, error)
            return
        link = next(link for link in self._links if link.ticket is ticket)
        was_taken = link.is_taken
        self._links.drop(link)
        if not was_taken:
            self._unsend(ticket)
            self._end(ticket, error)
            return
        assert ticket.place is not None
        self._pacing.lost(ticket.place, self._clock())
        ticket.place = None
        self._end(ticket, self._unknown(ticket, error) if ticket.is_order else error)

    def _unknown(self, ticket: Ticket[Any], cause: KiwoomError) -> OrderOutcomeUnknown:
        begin, end = (datetime.datetime.fromtimestamp(at, KST) for at in (ticket.sent_at, self._wall_clock()))
        return OrderOutcomeUnknown(ticket.request, (begin, end), cause)

    def _fail_waiting(self, error: KiwoomError, which: Callable[[Ticket[Any]], bool] = lambda ticket: True) -> None:
        """Fail calls that wait: none of them was processed."""
        for ticket in self._waiting.pop_all(which):
            own = copy.copy(error)  # each is raised with a traceback of its own
            own.__cause__ = error.__cause__
            self._end(ticket, own)

    def _end(self, ticket: Ticket[Any], outcome: Page[Any] | KiwoomError) -> None:
        ticket.outcome = outcome
        ticket.token = None
        self._outcomes.append(ticket)

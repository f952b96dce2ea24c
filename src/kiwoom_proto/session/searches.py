"""Condition search (조건검색): what a session asks about conditions, over all its connections.

THE RULE

The server has four messages for it; on the US path each has a G in front.

* CNSRLST asks for the list of saved conditions. A connection must ask for it first: before that, the server does not
  answer a search [measured by several].
* CNSRREQ with search_type "0" asks once which stocks meet a condition. The reply comes in pages: `Pages` follows
  them.
* CNSRREQ with search_type "1" asks for a live search: the reply is the snapshot, and rows of type 02 (US: S2) say
  which stocks enter and leave, until CNSRCLR ends it.
* A condition that is live already is refused with 900003, and may be for a while after a reconnect [measured]. It is
  cleared and asked for again, once.

The list first and the answer to 900003 concern one connection only, so its conversation sees to them (connection/).
What outlives a connection is here:

* A request is asked of the present connection, and if that is lost first, of the next: asking twice does no harm.
* A live search is wanted until it is cleared, so it is asked for anew on every further connection. Several consumers
  may want the same one: it is cleared when the last has given it up.
* The server may leave a condition request unanswered for 30 s and more on a healthy connection [measured]. Replies
  name the condition, so a late one can be told apart, and the request fails alone: it costs neither the connection
  nor anything else. What must still be done then (a live search that is wanted, a clear of one that is not) is asked
  for again after `RETRY_DELAYS`, on the same connection; after that, on the next one, or when somebody asks.
* Rows of a live search are complete from its own `ConditionResult` on, so a `Gap` waits for searches only if nothing
  else is wanted, and for none once one was not answered.
* A request that the server answers by closing with a code that blames it is a suspect (suspects.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias
from weakref import WeakKeyDictionary

import attrs

from ..display import displayed
from ..endpoint import Endpoint
from ..errors import RemoteProtocolError
from ..events import ConditionList, ConditionResult, RequestAccepted, RequestRefusal, RequestUnanswered
from ..realtime.catalogue import condition_type
from ..request import Request, RequestKind
from ..wire.messages import condition_clear, condition_list, condition_search, ticket_for
from .lifecycle import SubscriptionState
from .subscriptions import Subscription
from .suspects import Suspects

__all__ = ("Answer", "Pages", "Searcher", "Searches")

LIST, CLEAR = RequestKind.CONDITION_LIST, RequestKind.CONDITION_CLEAR

MAX_PAGES = 1000
"""Maximum number of pages of one search. With only five stocks a page, fewer would hold every stock there is."""
MAX_KEY_LENGTH = 1000
"""Maximum length of a next_key, in characters; 50 are documented."""

Question: TypeAlias = tuple[RequestKind, str, bool, str]
"""What a condition request asks: its kind, the number, whether it is live, and the page."""
Answer: TypeAlias = ConditionList | ConditionResult | RequestAccepted | RequestRefusal | RequestUnanswered
NOT_ANSWERED = "not answered"
CLOSED_FOR_IT = "the server closed the connection for it each time"

RETRY_DELAYS = (5.0, 20.0, 60.0)
"""Seconds after which something unanswered is asked again: the first time in a row, the second, the third."""


@attrs.define(eq=False)
class _RetrySchedule:
    """When something that was not answered is asked again on the same connection."""

    unanswered: int = 0  # times in a row
    ask_at: float | None = None

    def unanswered_at(self, now: float) -> float | None:
        """Note that it was not answered.

        Returns:
            Seconds until it is asked again; None: not on this connection.
        """
        self.unanswered += 1
        if self.unanswered > len(RETRY_DELAYS):
            return None
        delay = RETRY_DELAYS[self.unanswered - 1]
        self.ask_at = now + delay
        return delay

    def is_due(self, now: float) -> bool:
        return self.ask_at is None or self.ask_at <= now


@attrs.define(eq=False)
class _LiveSearch:
    """A live search that is wanted."""

    consumers: int = 0
    state: SubscriptionState = SubscriptionState.WANTED
    reason: str = ""
    schedule: _RetrySchedule = attrs.field(factory=_RetrySchedule)


class Pages:
    """Follows the pages of one search to the last, and stops if the server repeats a key or there is no end."""

    def __init__(self) -> None:
        self._followed: set[int] = set()  # hashes of keys, which may be long

    def next_key(self, result: ConditionResult) -> str | None:
        """Return the key with which to ask for the page after `result`; None: it is the last.

        Raises:
            RemoteProtocolError: the server gave the key before, it cannot be sent, or there are too many pages.
        """
        key = result.next_key
        if key is None:
            return None
        page = len(self._followed) + 1
        where = f"condition {displayed(result.seq)}: page {page} of its search"
        if len(key) > MAX_KEY_LENGTH or not key.isprintable():
            raise RemoteProtocolError(f"{where} gives a next_key that cannot be sent")
        if hash(key) in self._followed:
            raise RemoteProtocolError(f"{where} gives the next_key of a page before it")
        if page == MAX_PAGES:
            raise RemoteProtocolError(f"{where} is not the last, and {MAX_PAGES:,} are followed")
        self._followed.add(hash(key))
        return key


class Searcher(Protocol):
    """What is asked about conditions: a connection."""

    def list_conditions(self) -> Request: ...
    def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> Request: ...
    def clear_condition(self, seq: str) -> Request: ...


class Searches:
    """The calls of one session for conditions, over all its connections.

    Args:
        endpoint: where the session connects: the US path has names of its own.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._us = endpoint.us
        self._waiting: list[Request] = []  # not answered yet, in the order asked
        self._asked: dict[Request, Request | str] = {}  # of the connection -> of the session, or a live search's number
        self._live: dict[str, _LiveSearch] = {}
        self._claims: WeakKeyDictionary[Request, _LiveSearch] = WeakKeyDictionary()  # of calls that may be withdrawn
        self._own_clears: dict[Request, _RetrySchedule] = {}  # those waiting that no call has asked for
        self._suspects: Suspects[Question] = Suspects()
        self._answers: list[RequestAccepted | RequestRefusal] = []
        self._is_unresponsive = False  # whether something was not answered on this connection

    # The calls. Args and errors are those of the methods of `Session` with the same names.

    def list_conditions(self) -> Request:
        """Take a call that asks for the saved conditions."""
        return self._add(ticket_for(condition_list(us=self._us)))

    def search_condition(self, seq: str, *, live: bool, next_key: str) -> Request:
        """Take a call that searches, once or live."""
        return self._add(ticket_for(condition_search(seq, live=live, next_key=next_key, us=self._us)))

    def clear_condition(self, seq: str) -> Request:
        """Take a call that ends a live search."""
        return self._add(ticket_for(condition_clear(seq, us=self._us)))

    def _add(self, request: Request) -> Request:
        live = self._live.get(request.seq)
        if request.live:
            if live is None:
                live = self._live[request.seq] = _LiveSearch()
            live.consumers += 1
            self._claims[request] = live
            self._suspects.wake((_question(request),))
        elif live is not None and request.kind is CLEAR:
            self._drop_consumer(live, request.seq)
            is_known = live.state is not SubscriptionState.WANTED or live.schedule.unanswered
            if live.consumers or not (is_known or self._waits_for(request.seq)):
                # Somebody else wants it, or it was lost with the connection: there is nothing to ask.
                self._answers.append(RequestAccepted(request))
                return request
        if request.live or request.kind is CLEAR:  # this call decides
            self._drop_own_clears(
                clear
                for clear, schedule in self._own_clears.items()
                if clear.seq == request.seq and schedule.ask_at is not None
            )
        self._waiting.append(request)
        return request

    def withdraw(self, request: Request, *, is_connected: bool) -> None:
        """Take a call back, answered or not. A live search that it wanted is cleared if the server may have it."""
        if request in self._waiting:
            self._waiting.remove(request)
        asked = [key for key, found in self._asked.items() if found is request]
        live = self._claims.get(request)
        is_known = bool(asked) or (
            live is not None and (live.state is SubscriptionState.CONFIRMED or live.schedule.unanswered > 0)
        )
        was_last = self._drop_claims(request)
        for key in asked:
            if request.live and request.seq in self._live:
                self._asked[key] = request.seq  # somebody else wants it, and this answer tells what became of it
            else:
                del self._asked[key]
        if was_last and is_known and is_connected:
            self._add_own_clear(request.seq)

    # The connection.

    def send(self, connection: Searcher, now: float) -> None:
        """Ask a connection that is logged in whatever it was not asked yet.

        Args:
            connection: the connection.
            now: seconds on the session's clock.
        """
        asked = [request for request in self._asked.values() if isinstance(request, Request)]
        for request in self._waiting:
            schedule = self._own_clears.get(request)
            if request not in asked and (schedule is None or schedule.is_due(now)):
                self._asked[_ask(connection, request)] = request
                if schedule is not None:
                    schedule.ask_at = None
        for seq, live in self._live.items():
            if live.state is SubscriptionState.WANTED and live.schedule.is_due(now):
                live.state, live.schedule.ask_at = SubscriptionState.SENT, None
                if not self._waits_for(seq):
                    self._asked[connection.search_condition(seq, realtime=True)] = seq

    def handle_answer(self, answer: Answer, now: float) -> Answer | None:
        """Take an answer of the connection.

        Args:
            answer: the event.
            now: seconds on the session's clock.

        Returns:
            What to report, with the call's own request; None: nothing, because nobody waits for it.
        """
        self._is_unresponsive |= isinstance(answer, RequestUnanswered)
        found = self._asked.get(answer.request)
        if found is None:
            return None
        if not isinstance(answer, ConditionList | ConditionResult):
            del self._asked[answer.request]
            if not isinstance(answer, RequestUnanswered):
                self._suspects.clear((_question(answer.request),))
            if isinstance(found, Request) and found in self._own_clears:
                self._finish_own_clear(found, answer, now)
                return None
            self._finish(found, answer, now)
            if isinstance(found, str):
                if isinstance(answer, RequestAccepted):
                    return None
                if isinstance(answer, RequestUnanswered) and (live := self._live.get(found)) is not None:
                    ask_at = live.schedule.ask_at
                    return attrs.evolve(answer, delay=None if ask_at is None else ask_at - now)
        return answer if isinstance(found, str) else attrs.evolve(answer, request=found)

    def blame(self, request: Request, now: float) -> None:
        """Note that the connection was lost because of this request, if it is one that was asked here.

        Args:
            request: the request, of the connection.
            now: seconds on the session's clock.
        """
        found = self._asked.get(request)
        if found is None:
            return
        if not self._suspects.accuse((_question(request),), now, certain=True):
            return
        refusal = RequestRefusal(request, "", CLOSED_FOR_IT)
        del self._asked[request]
        if isinstance(found, Request) and found in self._own_clears:
            self._drop_own_clears([found])
            return
        self._finish(found, refusal, now)
        self._answers.append(refusal if isinstance(found, str) else attrs.evolve(refusal, request=found))

    def connection_lost(self) -> None:
        """Forget what the lost connection was asked; what waits, and live searches, are asked of the next."""
        self._asked.clear()
        self._is_unresponsive = False
        self._drop_own_clears(clear for clear, schedule in self._own_clears.items() if schedule.unanswered)
        for live in self._live.values():
            if live.reason != CLOSED_FOR_IT:
                live.state, live.reason, live.schedule = SubscriptionState.WANTED, "", _RetrySchedule()

    def pop_answers(self) -> list[RequestAccepted | RequestRefusal]:
        """Return the answers to calls that no connection gave since the last time, and forget them."""
        answers, self._answers = self._answers, []
        return answers

    def next_timeout(self) -> float | None:
        """Return when `send` will have something to ask again; None: not before something else happens."""
        schedules = [*(live.schedule for live in self._live.values()), *self._own_clears.values()]
        return min((schedule.ask_at for schedule in schedules if schedule.ask_at is not None), default=None)

    @property
    def is_settled(self) -> bool:
        """Whether every live search was asked for anew, and answered."""
        return not (self._own_clears or any(isinstance(found, str) for found in self._asked.values())) and not any(
            live.state in (SubscriptionState.WANTED, SubscriptionState.SENT) for live in self._live.values()
        )

    @property
    def delays_gap(self) -> bool:
        """Whether a gap without other subscriptions must wait: not if the server leaves the searches unanswered."""
        return not (self.is_settled or self._is_unresponsive)

    def snapshot(self) -> tuple[Subscription, ...]:
        """Return every live search, as a subscription to the type of its rows."""
        return tuple(
            Subscription(condition_type(self._us), seq, live.state, "", live.consumers, live.reason)
            for seq, live in self._live.items()
        )

    def _waits_for(self, seq: str) -> bool:
        return any(request.live and request.seq == seq for request in self._waiting)

    def _drop_claims(self, request: Request) -> bool:
        """Drop a call as a consumer of the live search that it claims. Return whether it was the last."""
        live = self._claims.pop(request, None)
        if live is None or live is not self._live.get(request.seq):
            return False  # nobody wanted it in the meantime: those who want it now are others
        self._drop_consumer(live, request.seq)
        return not live.consumers

    def _drop_consumer(self, live: _LiveSearch, seq: str) -> None:
        live.consumers -= 1
        if not live.consumers:
            del self._live[seq]

    def _finish(
        self, found: Request | str, answer: RequestAccepted | RequestRefusal | RequestUnanswered, now: float
    ) -> None:
        """Note what became of a call, or of a live search that was asked for anew."""
        accepted, refused = isinstance(answer, RequestAccepted), isinstance(answer, RequestRefusal)
        if isinstance(found, Request):
            self._waiting.remove(found)
            found.confirmed = found.parts if accepted else 0
            if not found.live:
                if found.kind is CLEAR and not accepted and not refused and found.seq not in self._live:
                    self._add_own_clear(found.seq).unanswered_at(now)
                return
            if not accepted:
                self._drop_claims(found)
        seq = found if isinstance(found, str) else found.seq
        live = self._live.get(seq)
        if live is None:
            if not refused and not any(each.seq == seq and each.kind is CLEAR for each in self._waiting):
                # Nobody wants it any more, no call is left to clear it, and the server has it or may have it.
                self._add_own_clear(seq)
        elif accepted:
            live.state, live.reason, live.schedule = SubscriptionState.CONFIRMED, "", _RetrySchedule()
        elif isinstance(answer, RequestRefusal):
            live.state, live.reason, live.schedule = SubscriptionState.REFUSED, answer.reason, _RetrySchedule()
        else:
            asks_again = live.schedule.unanswered_at(now) is not None
            live.state = SubscriptionState.WANTED if asks_again else SubscriptionState.REFUSED
            live.reason = NOT_ANSWERED

    def _add_own_clear(self, seq: str) -> _RetrySchedule:
        """Clear a live search that nobody wants any more, although no call asks for that."""
        clear = Request(CLEAR, seq=seq)
        self._waiting.append(clear)
        schedule = self._own_clears[clear] = _RetrySchedule()
        return schedule

    def _finish_own_clear(
        self, clear: Request, answer: RequestAccepted | RequestRefusal | RequestUnanswered, now: float
    ) -> None:
        repeats = isinstance(answer, RequestUnanswered) and clear.seq not in self._live
        if not repeats or self._own_clears[clear].unanswered_at(now) is None:
            self._drop_own_clears([clear])

    def _drop_own_clears(self, clears: Iterable[Request]) -> None:
        for clear in list(clears):
            self._waiting.remove(clear)
            del self._own_clears[clear]


def _question(request: Request) -> Question:
    return request.kind, request.seq, request.live, request.next_key


def _ask(connection: Searcher, request: Request) -> Request:
    """Ask a connection what a call of the session asks."""
    if request.kind is LIST:
        return connection.list_conditions()
    if request.kind is CLEAR:
        return connection.clear_condition(request.seq)
    return connection.search_condition(request.seq, realtime=request.live, next_key=request.next_key)

"""Searches: a session's requests for conditions, which connections come and go under.

A request is asked of the present connection, and of the next one where that is lost first: asking twice does no harm. A
live search is wanted until it is cleared, so it is asked for anew on every further connection. Several consumers may
want one: it is cleared when the last has let go.

A request that is not answered is given up alone, and its call is told so. What is still to be done then, a live search
that is wanted or a clear of one that is not, is asked for again after `WAITS`, on the same connection; after that not
until the next one, or until somebody asks.

What a connection must be asked in which order (the list first, a clear where it was registered already) is its own
business; see conversation.py.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import attrs

from ..connection.client import ClientConnection
from ..connection.requests import Request
from ..display import displayed
from ..errors import RemoteProtocolError
from ..events import ConditionList, ConditionResult, RequestAccepted, RequestRejected, RequestUnanswered
from ..wire.messages import ConditionRequest
from .subscriptions import Subscription, SubscriptionState
from .suspects import Suspects

__all__ = ("Answer", "Pages", "Searches")

MAX_PAGES = 1000
"""Pages of one search that are followed: more than there are pages of five with every stock there is."""
MAX_KEY = 1000
"""Characters of a key to go on with; 50 are documented."""

Answer = ConditionList | ConditionResult | RequestAccepted | RequestRejected | RequestUnanswered
NOT_ANSWERED = "not answered"
CLOSED_FOR_IT = "the server closed the connection for it each time"

WAITS = (5.0, 20.0, 60.0)
"""Seconds before what was not answered is asked again, each time in a row; and no more often."""


@attrs.define(eq=False)
class _Turn:
    """When something that was not answered is asked again, on the same connection."""

    unanswered: int = 0  # how often in a row
    ask_at: float | None = None

    def missed(self, now: float) -> float | None:
        """It was not answered. Returns in how many seconds to ask again; None: not on this connection."""
        self.unanswered += 1
        if self.unanswered > len(WAITS):
            return None
        delay = WAITS[self.unanswered - 1]
        self.ask_at = now + delay
        return delay

    def is_due(self, now: float) -> bool:
        return self.ask_at is None or self.ask_at <= now


@attrs.define(eq=False)
class _Live:
    """A search that is wanted live."""

    consumers: int = 0
    state: SubscriptionState = SubscriptionState.WANTED
    reason: str = ""
    turn: _Turn = attrs.field(factory=_Turn)


class Pages:
    """The pages of one search, one after the other, to the last.

    A server that gives a key again, or a new one for ever, would be followed for ever.
    """

    def __init__(self) -> None:
        self._followed: set[int] = set()  # hashes of keys, which may be long

    def next_key(self, result: ConditionResult) -> str | None:
        """Return what to ask for the page after this one with; None: this was the last.

        Raises:
            RemoteProtocolError: the key was given before, cannot be sent, or there are too many pages.
        """
        key = result.next_key
        if key is None:
            return None
        page = len(self._followed) + 1
        where = f"condition {displayed(result.seq)}: page {page} of its search"
        if len(key) > MAX_KEY or not key.isprintable():
            raise RemoteProtocolError(f"{where} gives a next_key that cannot be sent")
        if hash(key) in self._followed:
            raise RemoteProtocolError(f"{where} gives the next_key of a page before it")
        if page == MAX_PAGES:
            raise RemoteProtocolError(f"{where} is not the last, and {MAX_PAGES:,} are followed")
        self._followed.add(hash(key))
        return key


class Searches:
    """What one session asks about conditions."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []  # not answered yet, in the order asked
        self._asked: dict[Request, Request | str] = {}  # of the connection -> of the session, or a live search's number
        self._live: dict[str, _Live] = {}
        self._claims: WeakKeyDictionary[Request, _Live] = WeakKeyDictionary()  # what counts as a consumer, and of what
        self._untold: dict[Request, _Turn] = {}  # of those that wait: clears that no call asked for
        self._suspects: Suspects[ConditionRequest] = Suspects()
        self.is_ailing = False
        """Whether something was not answered on this connection: then nothing else should wait for a search."""

    def add(self, message: ConditionRequest) -> tuple[Request, bool]:
        """A call asks something. Returns its request, and whether it is answered with that: there is nothing to ask."""
        request = Request((message,))
        live = self._live.get(request.seq)
        if _is_live(request):
            if live is None:
                live = self._live[request.seq] = _Live()
            live.consumers += 1
            self._claims[request] = live
            self._suspects.wake((message,))
        elif live is not None and message.trnm.endswith("CLR"):
            self._let_go(live, request.seq)
            if live.consumers:
                return request, True  # somebody else wants it
            is_known = live.state is not SubscriptionState.WANTED or live.turn.unanswered
            if not is_known and not self._waits_for(request.seq):
                return request, True  # it was lost with the connection
        if _is_live(request) or message.trnm.endswith("CLR"):  # this call decides
            self._drop(
                [each for each, turn in self._untold.items() if each.seq == request.seq and turn.ask_at is not None]
            )
        self._waiting.append(request)
        return request, False

    def send(self, connection: ClientConnection, now: float) -> None:
        """Ask a connection that is logged in whatever it was not asked yet."""
        asked = [request for request in self._asked.values() if isinstance(request, Request)]
        for request in self._waiting:
            turn = self._untold.get(request)
            if request not in asked and (turn is None or turn.is_due(now)):
                self._asked[_ask(connection, request)] = request
                if turn is not None:
                    turn.ask_at = None
        for seq, live in self._live.items():
            if live.state is SubscriptionState.WANTED and live.turn.is_due(now):
                live.state, live.turn.ask_at = SubscriptionState.SENT, None
                if not self._waits_for(seq):
                    self._asked[connection.search_condition(seq, realtime=True)] = seq

    def take(self, answer: Answer, now: float) -> Answer | None:
        """Take what the connection answered. Returns what to report; None: nothing, as nobody waits for it."""
        self.is_ailing |= isinstance(answer, RequestUnanswered)
        found = self._asked.get(answer.request)
        if found is None:
            return None
        if not isinstance(answer, ConditionList | ConditionResult):
            del self._asked[answer.request]
            if not isinstance(answer, RequestUnanswered):
                self._suspects.clear(answer.request.messages[-1:])  # type: ignore[arg-type]  # no other is asked here
            if isinstance(found, Request) and found in self._untold:
                self._take_untold(found, answer, now)
                return None
            self._finish(found, answer, now)
            if isinstance(found, str):
                if isinstance(answer, RequestAccepted):
                    return None
                if isinstance(answer, RequestUnanswered) and (live := self._live.get(found)) is not None:
                    ask_at = live.turn.ask_at
                    return attrs.evolve(answer, delay=None if ask_at is None else ask_at - now)
        return answer if isinstance(found, str) else attrs.evolve(answer, request=found)

    def withdraw(self, request: Request, connected: bool) -> None:
        """Take a call back, answered or not. What it wanted live is cleared, where the server may know of it."""
        if request in self._waiting:
            self._waiting.remove(request)
        asked = [key for key, found in self._asked.items() if found is request]
        live = self._claims.get(request)
        is_known = bool(asked) or (
            live is not None and (live.state is SubscriptionState.CONFIRMED or live.turn.unanswered > 0)
        )
        is_last = self._release(request)
        for key in asked:
            if _is_live(request) and request.seq in self._live:
                self._asked[key] = request.seq  # somebody else wants it, and this answer tells what became of it
            else:
                del self._asked[key]
        if is_last and is_known and connected:
            message = request.messages[-1]
            assert isinstance(message, ConditionRequest)
            self._clear(message)

    def blame(self, request: Request, now: float) -> RequestRejected | None:
        """The connection was lost for this request of its own. Returns what to report where it is given up for that."""
        found = self._asked.get(request)
        asked = request.messages[-1]
        assert isinstance(asked, ConditionRequest)
        if found is None or not self._suspects.accuse((asked,), now, certain=True):
            return None
        answer = RequestRejected(request, "", CLOSED_FOR_IT)
        del self._asked[request]
        if isinstance(found, Request) and found in self._untold:
            self._drop([found])
            return None
        self._finish(found, answer, now)
        return answer if isinstance(found, str) else attrs.evolve(answer, request=found)

    def lost(self) -> None:
        """The connection is gone."""
        self._asked.clear()
        self.is_ailing = False
        self._drop([each for each, turn in self._untold.items() if turn.unanswered])
        for live in self._live.values():
            if live.reason != CLOSED_FOR_IT:
                live.state, live.reason, live.turn = SubscriptionState.WANTED, "", _Turn()

    def next_timeout(self) -> float | None:
        """When `send` has something to ask again; None: not before something else happens."""
        turns = [*(live.turn for live in self._live.values()), *self._untold.values()]
        return min((turn.ask_at for turn in turns if turn.ask_at is not None), default=None)

    @property
    def is_settled(self) -> bool:
        """Whether every live search was asked for anew, and answered."""
        return not (self._untold or any(isinstance(found, str) for found in self._asked.values())) and not any(
            live.state in (SubscriptionState.WANTED, SubscriptionState.SENT) for live in self._live.values()
        )

    def snapshot(self, type: str) -> tuple[Subscription, ...]:
        """Where each live search stands."""
        return tuple(
            Subscription(type, seq, live.state, "", live.consumers, live.reason) for seq, live in self._live.items()
        )

    def _waits_for(self, seq: str) -> bool:
        return any(_is_live(request) and request.seq == seq for request in self._waiting)

    def _release(self, request: Request) -> bool:
        """A live search does not want it any more; whether it was the last that did."""
        live = self._claims.pop(request, None)
        if live is None or live is not self._live.get(request.seq):
            return False  # nobody wanted it meanwhile: those who do now are others
        self._let_go(live, request.seq)
        return not live.consumers

    def _let_go(self, live: _Live, seq: str) -> None:
        """One consumer less wants this search live."""
        live.consumers -= 1
        if not live.consumers:
            del self._live[seq]

    def _finish(
        self, found: Request | str, answer: RequestAccepted | RequestRejected | RequestUnanswered, now: float
    ) -> None:
        accepted, refused = isinstance(answer, RequestAccepted), isinstance(answer, RequestRejected)
        asked = answer.request.messages[-1]
        assert isinstance(asked, ConditionRequest)
        if isinstance(found, Request):
            self._waiting.remove(found)
            found.confirmed = len(found.messages) if accepted else 0
            if not _is_live(found):
                if asked.trnm.endswith("CLR") and not accepted and not refused and found.seq not in self._live:
                    self._clear(asked).missed(now)
                return
            if not accepted:
                self._release(found)
        seq = found if isinstance(found, str) else found.seq
        live = self._live.get(seq)
        if live is None:
            if not refused and not any(each.seq == seq and each.trnm.endswith("CLR") for each in self._waiting):
                # Nobody wants it any more, no call is left to say so, and the server has it or may have it.
                self._clear(asked)
        elif accepted:
            live.state, live.reason, live.turn = SubscriptionState.CONFIRMED, "", _Turn()
        elif isinstance(answer, RequestRejected):
            live.state, live.reason, live.turn = SubscriptionState.REFUSED, answer.reason, _Turn()
        else:
            asks_again = live.turn.missed(now) is not None
            live.state = SubscriptionState.WANTED if asks_again else SubscriptionState.REFUSED
            live.reason = NOT_ANSWERED

    def _take_untold(
        self, clearing: Request, answer: RequestAccepted | RequestRejected | RequestUnanswered, now: float
    ) -> None:
        repeats = isinstance(answer, RequestUnanswered) and clearing.seq not in self._live
        if not repeats or self._untold[clearing].missed(now) is None:
            self._drop([clearing])

    def _drop(self, clears: list[Request]) -> None:
        """Ask for these no more: clears that no call asked for."""
        for clearing in clears:
            self._waiting.remove(clearing)
            del self._untold[clearing]

    def _clear(self, search: ConditionRequest) -> _Turn:
        """End a live search that nobody wants any more, though no call says so."""
        clearing = Request((ConditionRequest(search.trnm[:-3] + "CLR", seq=search.seq),))
        self._waiting.append(clearing)
        turn = self._untold[clearing] = _Turn()
        return turn


def _is_live(request: Request) -> bool:
    message = request.messages[-1]
    return isinstance(message, ConditionRequest) and message.search_type == "1"


def _ask(connection: ClientConnection, request: Request) -> Request:
    """Ask a connection what a call asks."""
    message = request.messages[-1]
    assert isinstance(message, ConditionRequest)
    if message.trnm.endswith("LST"):
        return connection.list_conditions()
    if message.trnm.endswith("CLR"):
        return connection.clear_condition(request.seq)
    next_key = message.next_key if isinstance(message.next_key, str) else ""
    return connection.search_condition(request.seq, realtime=_is_live(request), next_key=next_key)

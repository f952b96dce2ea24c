"""Searches: a session's requests for conditions, which connections come and go under.

A request is asked of the present connection, and of the next one where that is lost first: asking twice does no harm. A
live search is wanted until it is cleared, so it is asked for anew on every further connection. Several consumers may
want one: it is cleared when the last has let go.

What a connection must be asked in which order (the list first, a clear where it was registered already) is its own
business; see conversation.py.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import attrs

from .connection import ClientConnection
from .events import ConditionList, ConditionResult, RequestAccepted, RequestRejected
from .messages import ConditionRequest
from .requests import Request
from .subscriptions import Subscription, SubscriptionState

__all__ = ("Answer", "Searches")

Answer = ConditionList | ConditionResult | RequestAccepted | RequestRejected


@attrs.define(eq=False)
class _Live:
    """A search that is wanted live."""

    consumers: int = 0
    state: SubscriptionState = SubscriptionState.WANTED
    reason: str = ""


class Searches:
    """What one session asks about conditions."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []  # not answered yet, in the order asked
        self._asked: dict[Request, Request | str] = {}  # of the connection -> of the session, or a live search's number
        self._live: dict[str, _Live] = {}
        self._claims: WeakKeyDictionary[Request, _Live] = WeakKeyDictionary()  # what counts as a consumer, and of what
        self._untold: set[Request] = set()  # of those that wait: clears that no call asked for

    def add(self, message: ConditionRequest) -> tuple[Request, bool]:
        """A call asks something. Returns its request, and whether it is answered with that: there is nothing to ask."""
        request = Request((message,))
        live = self._live.get(request.seq)
        if _is_live(request):
            if live is None:
                live = self._live[request.seq] = _Live()
            live.consumers += 1
            self._claims[request] = live
        elif live is not None and message.trnm.endswith("CLR"):
            self._let_go(live, request.seq)
            if live.consumers:
                return request, True  # somebody else wants it
            if live.state is SubscriptionState.WANTED and not self._waits_for(request.seq):
                return request, True  # it was lost with the connection
        self._waiting.append(request)
        return request, False

    def send(self, connection: ClientConnection) -> None:
        """Ask a connection that is logged in whatever it was not asked yet."""
        asked = [request for request in self._asked.values() if isinstance(request, Request)]
        for request in self._waiting:
            if request not in asked:
                self._asked[_ask(connection, request)] = request
        for seq, live in self._live.items():
            if live.state is SubscriptionState.WANTED:
                live.state = SubscriptionState.SENT
                if not self._waits_for(seq):
                    self._asked[connection.search_condition(seq, realtime=True)] = seq

    def take(self, answer: Answer) -> Answer | None:
        """Take what the connection answered. Returns what to report; None: nothing, as nobody waits for it."""
        found = self._asked.get(answer.request)
        if found is None:
            return None
        if isinstance(answer, RequestAccepted | RequestRejected):
            del self._asked[answer.request]
            self._finish(found, answer)
            if isinstance(found, str) and isinstance(answer, RequestAccepted):
                return None
            if found in self._untold:
                self._untold.discard(found)
                return None
        return answer if isinstance(found, str) else attrs.evolve(answer, request=found)

    def withdraw(self, request: Request, connected: bool) -> None:
        """Take a call back, answered or not. What it wanted live is cleared, where the server may know of it."""
        if request in self._waiting:
            self._waiting.remove(request)
        asked = [key for key, found in self._asked.items() if found is request]
        live = self._claims.get(request)
        is_known = bool(asked) or (live is not None and live.state is SubscriptionState.CONFIRMED)
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

    def lost(self) -> None:
        """The connection is gone."""
        self._asked.clear()
        for live in self._live.values():
            live.state, live.reason = SubscriptionState.WANTED, ""

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

    def _finish(self, found: Request | str, answer: RequestAccepted | RequestRejected) -> None:
        refused = isinstance(answer, RequestRejected)
        if isinstance(found, Request):
            self._waiting.remove(found)
            found.confirmed = 0 if refused else len(found.messages)
            if not _is_live(found):
                return
            if refused:
                self._release(found)
        seq = found if isinstance(found, str) else found.seq
        live = self._live.get(seq)
        if live is not None:
            live.state = SubscriptionState.REFUSED if refused else SubscriptionState.CONFIRMED
            live.reason = answer.reason if isinstance(answer, RequestRejected) else ""
        elif not refused and not any(request.seq == seq and request.trnm.endswith("CLR") for request in self._waiting):
            # Nobody wants it any more, and the call that said so was withdrawn.
            asked = answer.request.messages[-1]
            assert isinstance(asked, ConditionRequest)
            self._clear(asked)

    def _clear(self, search: ConditionRequest) -> None:
        """End a live search that nobody wants any more, though no call says so."""
        clearing = Request((ConditionRequest(search.trnm.removesuffix("REQ") + "CLR", seq=search.seq),))
        self._waiting.append(clearing)
        self._untold.add(clearing)


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

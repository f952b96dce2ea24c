"""Requests: what a caller asks for as messages that may be sent, waiting for their replies, and how fast they go out.

One unanswered message of a kind is on the wire at a time; REG, REMOVE and condition search are the kinds. Two lines
wait for that, first come first served: registrations, where nothing overtakes, and condition searches, which the server
was measured to leave unanswered for half a minute on a healthy connection. Neither waits for the other. Beyond that

* a reply to REG or REMOVE names nothing: no id, no group, no data. Order is all that ties it to its request, so a reply
  that nobody asked for, or one that does not come in time, ends the connection: from then on every later reply would
  be credited to the wrong request;
* a reply to a condition request names its kind and mostly its number, so one that does not come in time is given up
  alone. A late reply is told by what it names and dropped, unless the same question was asked again, which it answers;
* messages leave at least `request_interval` apart: the server takes about 5 a second and refuses the rest (105110).
  What it refuses is repeated after a pause, and from then on the interval is longer.

Time comes in as an argument, in seconds on the connection's clock.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TypeAlias, TypeVar

import attrs
from msgspec import UNSET, structs

from ..display import displayed, rich_repr
from ..endpoint import Endpoint
from ..errors import LocalProtocolError
from ..realtime.record import Record
from ..realtime.spelling import Types, check_item, check_type
from ..symbol import Symbol
from ..wire.messages import (
    MAX_GROUP_LENGTH,
    ConditionRequest,
    Element,
    Reg,
    Remove,
    Reply,
    UsItem,
    check,
    check_condition,
    check_size,
    encode,
    is_too_large,
    number_of,
)

__all__ = (
    "Request",
    "RequestQueue",
    "checked",
    "condition_clear",
    "condition_list",
    "condition_search",
    "registration",
    "removal",
)

Message: TypeAlias = Reg | Remove | ConditionRequest
R = TypeVar("R", bound=Reg | Remove)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds to wait before a message that was refused with 105110 is sent again; each time in a row twice as long."""
MEASURED_INTERVAL, SLOWER, LONGEST_INTERVAL = 0.2, 1.5, 2.0
"""Seconds: what the server was measured to take; how the interval grows when it does not; and no further than this."""
LONGEST_GROUP = "\U0001f600" * MAX_GROUP_LENGTH
"""In bytes."""
CONDITIONS = "CNSR"
"""The kind of all condition requests."""
GIVEN_UP_KEPT = 100
"""Condition requests without an answer that a late reply is told by."""

_SEQ_IN_TEXT = re.compile(r"seq\s*=\s*(\d+)")


# What a caller asks for, as messages.


def registration(
    endpoint: Endpoint,
    types: Types,
    size: int,
    type: str | type[Record],
    items: tuple[str | Symbol, ...],
    group: str,
    replace: bool = False,
) -> tuple[Reg, ...]:
    """Return the REGs that register items for a type, at most `size` items in each.

    Raises:
        LocalProtocolError: names what is wrong; a type or an item of which no row would come, too.
    """
    elements = _elements(endpoint, types, size, type, items)
    first = "0" if replace else "1"
    return _spelt(
        endpoint,
        types,
        tuple(Reg(group, first if index == 0 else "1", (element,)) for index, element in enumerate(elements)),
    )


def removal(
    endpoint: Endpoint,
    types: Types,
    size: int,
    type: str | type[Record],
    items: tuple[str | Symbol, ...],
    group: str,
) -> tuple[Remove, ...]:
    """Return the REMOVEs that undo such a registration. Errors as `registration`."""
    elements = _elements(endpoint, types, size, type, items)
    return _spelt(endpoint, types, tuple(Remove(group, (element,)) for element in elements))


def _spelt(endpoint: Endpoint, types: Types, messages: tuple[R, ...]) -> tuple[R, ...]:
    """Return messages made for a call, whose type and items must be such as bring rows."""
    for message in messages:
        check(message)
    for message in messages:
        for element in message.data:
            for item in element.item:
                check_item(endpoint, types, element.type[0], str(item))
    return tuple(checked(endpoint, message) for message in messages)


def checked(endpoint: Endpoint, message: R) -> R:
    """Return a message as this endpoint wants it written. Types and items are whatever the caller says they are.

    Raises:
        LocalProtocolError: it may not be sent; names what is wrong.
    """
    check(message)
    for element in message.data:
        for item in element.item:
            endpoint.check_item(str(item))
    # A copy, because what was given as lists could change before it is sent.
    item_of = _us_item if endpoint.us else str
    data = tuple(Element(tuple(map(item_of, element.item)), tuple(element.type)) for element in message.data)
    message = structs.replace(message, data=data)
    check_size(message)
    return message


def condition_list(endpoint: Endpoint) -> ConditionRequest:
    """Return the request for the saved conditions."""
    return ConditionRequest(_condition_trnm(endpoint, "LST"))


def condition_search(endpoint: Endpoint, seq: str, realtime: bool, next_key: str = "") -> ConditionRequest:
    """Return the request for a search.

    Raises:
        LocalProtocolError: names what is wrong.
    """
    check_condition(seq, next_key)
    if realtime and next_key:
        raise LocalProtocolError("next_key: a live search has no pages")
    message = ConditionRequest(
        _condition_trnm(endpoint, "REQ"),
        seq=seq.strip(),
        search_type="1" if realtime else "0",
        stex_tp=UNSET if endpoint.us else "K",
        cont_yn=UNSET if realtime else "Y" if next_key else "N",
        next_key=UNSET if realtime else next_key,
    )
    check_size(message)
    return message


def condition_clear(endpoint: Endpoint, seq: str) -> ConditionRequest:
    """Return the request that ends a live search. Errors as `condition_search`."""
    check_condition(seq, "")
    message = ConditionRequest(_condition_trnm(endpoint, "CLR"), seq=seq.strip())
    check_size(message)
    return message


def _condition_trnm(endpoint: Endpoint, what: str) -> str:
    return f"GCNSR{what}" if endpoint.us else f"CNSR{what}"


def _elements(
    endpoint: Endpoint, types: Types, size: int, type: str | type[Record], items: tuple[str | Symbol, ...]
) -> list[Element]:
    code = check_type(endpoint, types, type, items)
    texts = []
    for item in items:
        if not isinstance(item, str | Symbol):
            raise LocalProtocolError(
                f"items: must be texts or Symbols, not {item.__class__.__name__}; pass a list as *items"
            )
        texts.append(str(item))
    texts = texts or [""]
    parts = (texts[at : at + size] for at in range(0, len(texts), size))
    return [Element(tuple(items), (code,)) for part in parts for items in _cut(part, code)]


def _cut(items: list[str], code: str) -> list[list[str]]:
    """Cut items into as many lists as there must be messages for the size of each."""
    if len(items) < 2 or not is_too_large(Reg(LONGEST_GROUP, "1", (Element(tuple(items), (code,)),))):
        return [items]
    middle = len(items) // 2
    return _cut(items[:middle], code) + _cut(items[middle:], code)


def _us_item(item: str | UsItem) -> str | UsItem:
    if isinstance(item, UsItem) or not item:
        return item
    symbol = Symbol.parse(item)
    return UsItem(symbol.code, symbol.venue.value)


# What becomes of them.


def _kind(trnm: str) -> str:
    """Messages of one kind wait for one another's replies."""
    return CONDITIONS if CONDITIONS in trnm else trnm


def _answers(reply: Reply, message: ConditionRequest) -> bool:
    """Whether a reply can be the answer to this message, by what it names."""
    # The reply to a US clear comes under the name of a search [official example].
    if reply.trnm != message.trnm and (reply.trnm, message.trnm) != ("GCNSRREQ", "GCNSRCLR"):
        return False
    named = reply.members.get("seq")
    if not isinstance(named, str) or not named.strip():
        found = _SEQ_IN_TEXT.search(reply.message)  # 900003 has it there [measured]
        named = found[1] if found else ""
    return not (named and isinstance(message.seq, str)) or number_of(named) == number_of(message.seq)


def _fits(reply: Reply, message: ConditionRequest) -> bool:
    """Whether it also looks like one: rows of FIDs for a search that asks once, bare codes for a live one."""
    if not reply.ok or reply.trnm.endswith("LST"):
        return True
    data = reply.members.get("data", UNSET)
    if message.trnm.endswith("CLR") or data is UNSET:
        return message.trnm.endswith("CLR") == (data is UNSET)
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    return not rows or ("jmcode" in rows[0]) == (message.search_type == "1")


def _is_of(reply: Reply, earlier: ConditionRequest, waiting: ConditionRequest) -> bool:
    """Whether a reply that could answer both is the earlier one's, and not that of the one that waits."""
    if earlier == waiting or not _fits(reply, earlier):
        return False
    if earlier.trnm != waiting.trnm or number_of(str(earlier.seq)) != number_of(str(waiting.seq)):
        return True  # it names no number, and the server answers in order
    if earlier.search_type != waiting.search_type:
        return False  # rows would tell them apart; there are none, so that both say the same
    # Pages of one search. Each names the next, so that the one before what is asked for is known by its key.
    next_key = reply.members.get("next_key")
    return next_key == waiting.next_key if waiting.next_key else next_key != earlier.next_key


@attrs.define(eq=False)
class Request:
    """One call of `subscribe`, `unsubscribe`, `request` or for a condition search, and what became of it.

    Exactly one of `RequestAccepted`, `RequestRejected`, `RequestUnanswered` or `Closed` follows. It is sent as one
    message, or as several: where it has more items than `ClientConfig.items_per_request`, or where the list of
    conditions must be asked for first.

    Attributes:
        messages: what is sent, in order.
        confirmed: how many of the messages were acknowledged so far.
        asked_again: whether a condition that was registered already was cleared and asked for again.
    """

    messages: tuple[Message, ...]
    confirmed: int = 0
    asked_again: bool = False

    @property
    def trnm(self) -> str:
        """What it asks for: "REG", "REMOVE", "CNSRREQ" ..."""
        last = self.messages[-1]
        return last.trnm if isinstance(last, ConditionRequest) else "REG" if isinstance(last, Reg) else "REMOVE"

    @property
    def group(self) -> str:
        """The group number of a REG or REMOVE, else ""."""
        last = self.messages[-1]
        return "" if isinstance(last, ConditionRequest) else last.grp_no

    @property
    def seq(self) -> str:
        """The number of the condition, else ""."""
        last = self.messages[-1]
        return last.seq if isinstance(last, ConditionRequest) and isinstance(last.seq, str) else ""

    @property
    def types(self) -> tuple[str, ...]:
        """Every type code in it, once each, in order."""
        return tuple(dict.fromkeys(code for element in self._elements() for code in element.type))

    @property
    def items(self) -> tuple[str, ...]:
        """Every item in it, once each, in order."""
        return tuple(dict.fromkeys(str(item) for element in self._elements() for item in element.item))

    def _elements(self) -> list[Element]:
        return [element for message in self.messages if isinstance(message, Reg | Remove) for element in message.data]

    def __str__(self) -> str:
        if not self.types:
            return displayed(f"{self.trnm} {self.seq}".rstrip())
        items = self.items
        shown = ", ".join(map(displayed, items[:3])) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
        return f"{self.trnm} {displayed(', '.join(self.types))}" + (f" for {shown}" if shown else "")

    def __repr__(self) -> str:
        group = f", group {displayed(self.group)}" if self.group else ""
        return f"<Request {self}{group}, {self.confirmed} of {len(self.messages)} confirmed>"

    __rich_repr__ = rich_repr


@attrs.define(eq=False)
class _Sent:
    """A message that waits for its reply."""

    request: Request
    message: Message
    overdue_at: float
    probe_at: float | None  # when to find out whether the server hears us


class RequestQueue:
    """Orders, paces and correlates the requests of one connection.

    Arguments:
        interval: least seconds between two messages.
        ack_timeout: seconds to wait for a reply.
    """

    def __init__(self, interval: float, ack_timeout: float) -> None:
        self._interval = interval
        self._ack_timeout = ack_timeout
        self._line: deque[tuple[Request, Message]] = deque()  # both lines, in the order asked
        self._in_flight: dict[str, _Sent] = {}  # of each kind
        self._given_up: deque[ConditionRequest] = deque(maxlen=GIVEN_UP_KEPT)  # whose replies may yet come
        self._last_kind = ""
        self._next_send_at = float("-inf")
        self._pause = FIRST_PAUSE

    def add(self, request: Request) -> None:
        """Put a request at the end of the line."""
        self._line += [(request, message) for message in request.messages]

    def add_first(self, request: Request, *messages: Message) -> None:
        """Send further messages for a request, before anything else."""
        self._line.extendleft((request, message) for message in reversed(messages))

    def take(self, now: float) -> bytes | None:
        """Return the next message that may go out now, encoded, or None."""
        if now < self._next_send_at or (index := self._next()) is None:
            return None
        request, message = self._line[index]
        del self._line[index]
        self._last_kind = _kind(request.trnm)
        probe_at = None if self._last_kind == CONDITIONS else now + self._ack_timeout / 2
        self._in_flight[self._last_kind] = _Sent(request, message, now + self._ack_timeout, probe_at)
        self._next_send_at = now + self._interval
        return encode(message)

    def is_late(self, reply: Reply) -> bool:
        """Whether this answers a condition request that was given up, and not the one that waits. It is forgotten then.

        What was given up is mostly never answered, so a reply counts for it only where it cannot be meant for the one
        that waits: see `_is_of`.
        """
        late = [message for message in self._given_up if _answers(reply, message)]
        waiting = self._in_flight.get(CONDITIONS)
        message = None if waiting is None else waiting.message
        if isinstance(message, ConditionRequest) and _answers(reply, message) and _fits(reply, message):
            late = [earlier for earlier in late if _is_of(reply, earlier, message)]
        if not late:
            return False
        self._given_up.remove(late[0])
        return True

    def reply(self, reply: Reply) -> Request | None:
        """Credit a reply to the request it belongs to. None: nobody asked. After a no the rest of it is not sent."""
        found = self._in_flight.get(_kind(reply.trnm))
        if found is None or (isinstance(found.message, ConditionRequest) and not _answers(reply, found.message)):
            return None
        del self._in_flight[_kind(reply.trnm)]
        request = found.request
        self._pause = FIRST_PAUSE
        if reply.ok:
            request.confirmed = min(request.confirmed + 1, len(request.messages))
        else:
            self._drop(request)
        return request

    def repeat(self, trnm: str, now: float) -> bool:
        """The message that waits for this reply was refused for coming too fast: send it again, later, and go slower.
        False: nobody asked."""
        found = self._in_flight.pop(_kind(trnm), None)
        if found is None:
            return False
        self._line.appendleft((found.request, found.message))
        self._next_send_at = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._interval = max(self._interval, min(max(self._interval, MEASURED_INTERVAL) * SLOWER, LONGEST_INTERVAL))
        return True

    def give_up(self, now: float) -> tuple[Request, ConditionRequest] | None:
        """Give up a condition request whose reply is overdue. Returns it, and the message; None: there is none."""
        found = self._in_flight.get(CONDITIONS)
        if found is None or now < found.overdue_at:
            return None
        del self._in_flight[CONDITIONS]
        request, message = found.request, found.message
        assert isinstance(message, ConditionRequest)
        self._given_up.append(message)
        self._drop(request)
        return request, message

    def next_waiting(self, trnm: str) -> Request | None:
        """The first request of this trnm that is still to be sent."""
        return next((request for request, _ in self._line if request.trnm == trnm), None)

    def is_finished(self, request: Request) -> bool:
        """Whether nothing more of a request is to be sent."""
        return all(waiting is not request for waiting, _ in self._line)

    def next_timeout(self) -> float | None:
        """When `take` will have something to send, or a reply is overdue; None: not before something else happens."""
        times = [sent.overdue_at for sent in self._in_flight.values()]
        if self._next() is not None:
            times.append(self._next_send_at)
        return min(times, default=None)

    def overdue(self, now: float) -> Request | None:
        """The request whose reply, which names nothing, should have come by now; None: there is none."""
        for kind, sent in self._in_flight.items():
            if kind != CONDITIONS and now >= sent.overdue_at:
                return sent.request
        return None

    def next_probe(self) -> float | None:
        """When to ask `needs_probe`; None: never."""
        return min((sent.probe_at for sent in self._in_flight.values() if sent.probe_at is not None), default=None)

    def needs_probe(self, now: float) -> bool:
        """Whether a reply is so late that it is time to find out if the server hears us. Once for each message."""
        due = [sent for sent in self._in_flight.values() if sent.probe_at is not None and now >= sent.probe_at]
        for sent in due:
            sent.probe_at = None
        return bool(due)

    def last_unanswered(self) -> Request | None:
        """The request whose message was the last to go out, where it is not answered yet."""
        found = self._in_flight.get(self._last_kind)
        return None if found is None else found.request

    def _next(self) -> int | None:
        """Where in the line that stands which may go next: the first of the registrations, or of the searches."""
        seen = set()
        for index, (request, _) in enumerate(self._line):
            kind = _kind(request.trnm)
            line = kind == CONDITIONS
            if line not in seen and kind not in self._in_flight:
                return index
            seen.add(line)  # Only ever its head: a REMOVE must not overtake the REG before it.
            if len(seen) == 2:
                break
        return None

    def _drop(self, request: Request) -> None:
        """Send nothing more of a request."""
        self._line = deque(step for step in self._line if step[0] is not request)

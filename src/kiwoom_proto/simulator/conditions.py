"""Condition search (조건검색): which stocks meet a saved condition now, and which enter or leave it later.

Measured: a search gets no answer until the list of conditions has been requested once on the connection. A one-time
search is answered in pages of rows of FIDs, with zero-padded numbers that contain the sign. A live search is answered
with codes only, followed by rows of 02 (S2 on the US path). A second live search for the same condition is refused with
900003, its number only in the text; this continues for a while after the connection has ended. A clear on the US path
is answered under the trnm of a search.

Replies have the members of the official examples, in their order. The answer to a search has no return_msg.

Chosen, because not measured: 20 rows per page; 30 s for that while; null rows for a condition that is not saved; a
one-time search is never refused with 900003. The stocks that meet a condition are drawn from the seed and are unrelated
to its name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from ..connection.server import ServerConnection, ServerRequest
from ..realtime.catalogue import condition_type
from ..request import RequestKind
from ..wire.messages import Row
from .market.formats import ratio
from .market.market import Market
from .market.names import KNOWN, US
from .market.sessions import Moment
from .market.source import Push, Source
from .market.stock import Stock
from .market.us import dollars
from .texts import US_CLEARED, already_live, missing, wrong_shape

__all__ = ("Condition", "ConditionService", "Searcher")

PAGE = 20
REMEMBERED = 30.0
"""Seconds for which a live search is remembered after its connection has ended."""
MAX_REMEMBERED = 1_000
"""Maximum remembered live searches of ended connections; the oldest are forgotten first."""
MAX_SEQ = 100
"""Maximum length of a condition's number, in characters."""
_is_next_key = re.compile(r"[0-9]{6}").fullmatch
DOMESTIC_TYPE, US_TYPE = condition_type(us=False), condition_type(us=True)
OTHERS = 40
"""Number of stocks besides the well-known ones that can meet a condition."""


class Searcher(Protocol):
    """A client as seen by condition search.

    Attributes:
        connection: the server's end of its connection.
        key: the app key.
        listed: the paths ("02" domestic, "S2" US) on which it has requested the list.
        live: (type, seq) of its live searches.
    """

    connection: ServerConnection
    key: str | None
    listed: set[str]
    live: dict[tuple[str, str], None]


class _Search(NamedTuple):
    """The contents of a search or a clear. Only this part of the message is kept until it is answered."""

    type: str
    seq: str
    how: str
    """"0": one-time search; "1": live search; "": neither."""
    first: int
    """Index of the first row to send."""


class Condition(Source):
    """The stocks that meet one condition, and the rows of 02 or S2 that report changes.

    Args:
        type: "02" or "S2".
        seq: the condition's number.
        items: the stocks that can meet it.
        size: how many stocks meet it at first.
        draw: random number generator.
        rate: average number of events per second for each item.

    Attributes:
        members: the items that meet it now.
    """

    def __init__(
        self, type: str, seq: str, items: tuple[str, ...], size: int, draw: random.Random, rate: float
    ) -> None:
        super().__init__(draw, rate / 2)
        self._type = type
        self._seq = seq
        self._items = items
        self.members = dict.fromkeys(draw.sample(items, min(size, len(items))))

    def happen(self, moment: Moment) -> Iterable[Push]:
        """Let a stock enter or leave. Returns its row."""
        item = self.draw.choice(self._items)
        code, _, venue = item.partition(":")
        if item in self.members:
            del self.members[item]
            event = "D"
        else:
            self.members[item] = None
            event = "I"
        if self._type == US_TYPE:
            values = {"20": moment.text, "841": self._seq, "843": event, "907": "2", "9001": code}
        else:
            values = {"841": self._seq, "9001": code, "843": event, "20": moment.text, "907": "2"}
        return [Push((self._type, self._seq), Row(values, self._type, "조건검색", code, venue))]


class ConditionService:
    """Answers condition-search requests.

    Args:
        market: the market whose stocks are searched.
        conditions: number -> name of the saved conditions.
        seed: the same seed gives the same answers.
        rate: average number of events per second for each item.
        now: returns the exchange's time in seconds.
        on_live: called when a live search starts and rows must be delivered.
    """

    def __init__(
        self,
        market: Market,
        conditions: Mapping[str, str],
        *,
        seed: int,
        rate: float,
        now: Callable[[], float],
        on_live: Callable[[], None],
    ) -> None:
        self._market = market
        self._names = dict(conditions)
        self._now = now
        self._on_live = on_live
        self._live: set[tuple[str | None, str, str]] = set()  # (app key, type, seq)
        self._ended: dict[tuple[str | None, str, str], float] = {}  # of ended connections -> when it is forgotten
        draw = random.Random(f"{seed}/conditions")
        self._conditions: dict[tuple[str, str], Condition] = {}
        for type, items in ((DOMESTIC_TYPE, _domestic_items(draw)), (US_TYPE, _us_items(draw))):
            for number, seq in enumerate(self._names):
                source = random.Random(f"{seed}/{type}/{seq}")
                condition = Condition(type, seq, items, 25 + 10 * (number % 3), source, rate)
                self._conditions[type, seq] = condition
                market.add((type, seq), condition)

    def answer(self, client: Searcher, request: ServerRequest) -> Callable[[], None] | None:
        """Return a function that sends the answer, to be called after the usual delay; None if there is no answer."""
        type = condition_type(us=request.trnm.startswith("G"))
        if request.kind is RequestKind.CONDITION_LIST:
            client.listed.add(type)
            data = [[seq, name] for seq, name in self._names.items()]
            return lambda: client.connection.accept(request, data=data)
        if request.kind is RequestKind.CONDITION_SEARCH and type not in client.listed:
            return None
        seq = request.members.get("seq")
        if not isinstance(seq, str) or not seq.strip():
            return lambda: client.connection.refuse(request, *missing("seq"))
        if len(seq) > MAX_SEQ:
            return lambda: client.connection.refuse(request, *wrong_shape(f"seq has more than {MAX_SEQ} characters"))
        search = _read_search(type, seq.strip(), request.members)
        if request.kind is RequestKind.CONDITION_CLEAR:
            return lambda: self._clear(client, request, search)
        return lambda: self._search(client, request, search)

    def forget(self, client: Searcher) -> None:
        """Forget a client whose connection has ended. Its live searches are remembered for a while."""
        now = self._now()
        for type, seq in client.live:
            key = client.key, type, seq
            self._live.discard(key)
            self._ended.pop(key, None)
            self._ended[key] = now + REMEMBERED
        client.live.clear()
        while self._ended:  # all are remembered equally long, so the first in is the first out
            key = next(iter(self._ended))
            if self._ended[key] > now and len(self._ended) <= MAX_REMEMBERED:
                break
            del self._ended[key]

    # Internals.

    def _search(self, client: Searcher, request: ServerRequest, search: _Search) -> None:
        type, seq, how, _ = search
        condition = self._conditions.get((type, seq))
        key = client.key, type, seq
        if how not in ("0", "1"):
            client.connection.refuse(request, *missing("search_type"))
        elif condition is None:
            client.connection.answer(request, seq=seq, return_code=0, data=None)
        elif how == "0":
            client.connection.answer(request, **self._page(condition, search))
        elif key in self._live or self._ended.get(key, 0.0) > self._now():
            client.connection.refuse(request, *already_live(seq))
        elif client.key is not None:
            self._live.add(key)
            client.live[type, seq] = None
            found = [_bare(item) for item in condition.members]
            client.connection.answer(request, seq=seq, return_code=0, data=found)
            self._on_live()

    def _clear(self, client: Searcher, request: ServerRequest, search: _Search) -> None:
        type, seq = search.type, search.seq
        self._live.discard((client.key, type, seq))
        self._ended.pop((client.key, type, seq), None)
        client.live.pop((type, seq), None)
        if type == US_TYPE:
            client.connection.answer(request, trnm="GCNSRREQ", seq=seq, return_code=0, return_msg=US_CLEARED)
        else:
            client.connection.answer(request, seq=seq, return_code=0, return_msg="")

    def _page(self, condition: Condition, search: _Search) -> dict[str, Any]:
        type, seq, _, first = search
        items = list(condition.members)
        goes_on = len(items) > first + PAGE
        moment = self._market.moment(self._now())
        return {
            "seq": seq if type == US_TYPE else f"{seq:<3}",
            "cont_yn": "Y" if goes_on else "N",
            "next_key": f"{first + PAGE:06}" if goes_on else "",
            "return_code": 0,
            "data": [self._row(item, moment) for item in items[first : first + PAGE]],
        }

    def _row(self, item: str, moment: Moment) -> dict[str, str]:
        stock = self._market.stock(item)
        stock.prepare(moment)
        return _us_row(stock) if stock.instrument.kind == "us" else _domestic_row(stock)


def _read_search(type: str, seq: str, members: Mapping[str, Any]) -> _Search:
    how, key = members.get("search_type"), members.get("next_key")
    first = int(key) if members.get("cont_yn") == "Y" and isinstance(key, str) and _is_next_key(key) else 0
    return _Search(type, seq, how if how in ("0", "1") else "", first)


def _domestic_items(draw: random.Random) -> tuple[str, ...]:
    known = tuple(code for code, of in KNOWN.items() if of.kind == "stock")
    others = tuple(f"{number * 10:06}" for number in draw.sample(range(1_000, 38_000), OTHERS))
    return (*known, *(code for code in others if code not in KNOWN))


def _us_items(draw: random.Random) -> tuple[str, ...]:
    known = tuple(f"{code}:{of.market}" for code, of in US.items())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    others = ("".join(draw.choice(letters) for _ in range(4)) for _ in range(OTHERS))
    return tuple(dict.fromkeys((*known, *(f"{code}:ND" for code in others if code not in US))))


def _bare(item: str) -> dict[str, str]:
    code, _, venue = item.partition(":")
    return {"stex_tp": venue, "jmcode": code} if venue else {"jmcode": f"A{code}"}


def _domestic_row(stock: Stock) -> dict[str, str]:
    reference, last = stock.instrument.reference, stock.last
    return {
        "9001": f"A{stock.instrument.code}",
        "302": stock.instrument.name,
        "10": f"{last:09}",
        "25": stock.sign,
        "11": f"{last - reference:09}",
        "12": f"{ratio(last - reference, reference) * 10:09}",
        "13": f"{stock.volume:09}",
        "16": f"{stock.open:09}",
        "17": f"{stock.high:09}",
        "18": f"{stock.low:09}",
    }


def _us_row(stock: Stock) -> dict[str, str]:
    reference, last = stock.instrument.reference, stock.last
    rate = ratio(last - reference, reference)
    rate_text = f"{abs(rate) // 100}.{abs(rate) % 100:02}"
    return {
        "10": dollars(last, 11),
        "11": dollars(last - reference, 11),
        "12": f"-{rate_text:0>7}" if rate < 0 else f"{rate_text:0>8}",
        "13": f"{stock.volume:010}",
        "16": dollars(stock.open, 11),
        "17": dollars(stock.high, 11),
        "18": dollars(stock.low, 11),
        "25": stock.sign,
        "302": stock.instrument.name,
        "318": "",
        "9001": stock.instrument.code,
        "stex_tp": stock.venue,
    }

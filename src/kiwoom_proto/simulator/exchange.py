"""Exchange: a simulated Kiwoom behind any number of connections.

What it does and why, each as measured on the live server and published by others:

* LOGIN is answered after 20 ms. Until then anything else is answered 100013 and dropped. A bad token is answered
  805004 with the reason in brackets, then (production only) SYSTEM R10004, then closed. No LOGIN: SYSTEM R10004 and
  closed, 10 s after the last thing heard.
* A second login with the same app key gets the first one SYSTEM R10001 and closed.
* PING when nothing has been heard for 10 s, whether rows flow or not; five in a row unanswered: SYSTEM R10002 and
  closed. Any message that is a PING is an answer.
* REG and REMOVE are acknowledged after 10 ms, with nothing in the reply that tells which; rows may come before that.
  Items are not checked: what the market does not have (`names.is_listed`), or this path or mock trading does not serve,
  is acknowledged and stays silent. Malformed requests are 105111 or 100002, an unknown trnm (PONG too) 105108.
* Types of the account (00, 04, F4, F5) come whatever item they are registered for, and their rows carry the stock.
* More than 5 requests in a second: 105110. More than 200 items in a group (mock trading: 100): 105118, on the
  connection: 105115; the whole request is refused then. Types are free and "" counts nothing.
* Rows come in batches every 100 ms, several in one message, in the measured order of keys.
* It closes with 1000 "Bye", but for a message of more than 65,536 bytes: 1009, and why.
* The domestic market and the US one have a path each.
* A connection that begins with "POST " is a call to the token server, which lives on another port there: see `tokens`.
* Condition search: see `conditions`. What the market does: see `market`.

What it says in which words: see `texts`.

Not known of the live server, so chosen: that refresh "0" drops the registrations of the group alone; that a message
which is not JSON, or a PING before the LOGIN reply, is ignored; that an unanswered PING is forgiven by an echo alone;
that any other path is answered HTTP 404, and a search on the other market's path 105108; every bound on what a client
may make it keep or do (docs/security.md has them all). Who may call is told in `callers`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice, zip_longest
from types import MappingProxyType

from ..config import ServerConfig
from ..connection.lifecycle import READY
from ..connection.server import ServerConnection
from ..errors import LocalProtocolError
from ..realtime.record import KST
from .agenda import Agenda
from .callers import host_names, refusal_of
from .client_link import PATH, SILENCE, US_PATH, ClientLink
from .conditions import ConditionService
from .faults import Faults
from .market.account import Order, Side
from .market.market import Market
from .market.names import US, is_listed
from .market.sessions import FIRST_DATE
from .market.source import Push, SourceError
from .tokens import FAULTY_ANSWERS, HttpAnswer, TokenService

__all__ = ("Exchange",)

BATCH_INTERVAL = 0.1
ITEM_LIMIT = 200
MOCK_ITEM_LIMIT = 100
CONNECTION_LIMIT = 100
"""Below the files that a process may have open: 256 on macOS, 1,024 on most of Linux."""
MAX_WANTED = 50_000
"""Pairs of type and item, over all connections, above which further ones have no rows."""
MAX_TOKEN = 1_000
"""Characters of a token that can log in, as the official pages have it of the element that carries it."""
CONDITIONS = MappingProxyType({"0": "거래량 급증", "1": "신고가 돌파", "2": "골든크로스"})
"""The saved conditions, unless told otherwise: number -> name."""


class Exchange:
    """A simulated Kiwoom.

    Its market has one day for everybody: while anything domestic that is registered has a session, US types wait for
    the evening. Serve them from an exchange of their own to see both at once.

    Args:
        seed: the same seed gives the same rows.
        tokens: token -> app key, tokens that may log in. None, and no `app_keys` either: any token, being its own app
            key.
        app_keys: app key -> secret key, who is issued tokens; None: whoever asks. What was issued logs in as its app
            key until it has expired or was revoked.
        mock: behave as mock trading does.
        item_limit: most items on a connection, and in a group; None: 200, on mock trading 100.
        connection_limit: most connections at once; see `connect`.
        start: time of day (KST) at which its market begins.
        rate: how many things happen a second to each registered item, on average. Of a stock each is a row of 0D, half
            are one of 0B; an item of 0E has so many rows.
        conditions: number -> name of the saved conditions, the same on both paths.
        batch_interval: seconds between deliveries of rows; about 100 ms were measured.
        clock: gives seconds; None: given by `run_on`, which the adapters' `serve` calls.
        config: deadlines and limits of its connections.

    Raises:
        LocalProtocolError: item_limit or connection_limit is no whole number above 0.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        tokens: Mapping[str, str] | None = None,
        app_keys: Mapping[str, str] | None = None,
        mock: bool = False,
        item_limit: int | None = None,
        connection_limit: int = CONNECTION_LIMIT,
        start: datetime.time = datetime.time(16, 0),
        rate: float = 2.0,
        conditions: Mapping[str, str] = CONDITIONS,
        batch_interval: float = BATCH_INTERVAL,
        clock: Callable[[], float] | None = None,
        config: ServerConfig | None = None,
    ) -> None:
        if item_limit is not None and (type(item_limit) is not int or item_limit < 1):
            raise LocalProtocolError(f"item_limit: must be a whole number above 0, or None, not {item_limit!r}")
        if type(connection_limit) is not int or connection_limit < 1:
            raise LocalProtocolError(f"connection_limit: must be a whole number above 0, not {connection_limit!r}")
        self.mock = mock
        self.connection_limit = connection_limit
        self.item_limit = (MOCK_ITEM_LIMIT if mock else ITEM_LIMIT) if item_limit is None else item_limit
        self.faults = Faults()
        self.links: list[ClientLink] = []
        """The connections that are not over yet, oldest first."""
        self.rows_sent = 0
        """Rows sent so far, over all connections."""
        self._tokens = TokenService(app_keys, tokens, seed=seed, now=self._wall_time)
        self._market = Market(seed=seed, start=start, rate=rate)
        self._batch_interval = batch_interval
        self._config = ServerConfig() if config is None else config
        self._clock: Callable[[], float] | None = None
        self._notify: Callable[[], None] | None = None
        self._on_failure: Callable[[Exception], None] | None = None
        self._opened_at = 0.0
        self._opened_wall = datetime.datetime.combine(FIRST_DATE, start, KST).timestamp()
        self.agenda = Agenda()
        self._ticking = False
        self.conditions = ConditionService(
            self._market, conditions, seed=seed, rate=rate, now=self._seconds, on_live=self.start_ticking
        )
        if clock is not None:
            self.run_on(clock)

    def run_on(
        self,
        clock: Callable[[], float],
        notify: Callable[[], None] | None = None,
        *,
        wall_time: float | None = None,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        """Say what time it is, once.

        Args:
            clock: gives seconds, never going back.
            notify: called when something other than the driver has given a connection something to do: a fault.
            wall_time: what time it is for tokens to expire by, in seconds since the epoch (UTC); None: the beginning of
                its market's first day.
            on_failure: called with an error of its own that came up in answering a client, which is cut off; the others
                go on. None: the error is raised, which is what tests want.

        Raises:
            LocalProtocolError: it runs on a clock already.
        """
        if self._clock is not None:
            raise LocalProtocolError("the exchange runs on a clock already")
        self._clock = clock
        self._notify = notify
        self._on_failure = on_failure
        self._opened_at = clock()
        if wall_time is not None:
            self._opened_wall = wall_time

    def connect(self, hosts: Collection[str] | None = None) -> ClientLink:
        """A client has connected: return the server's end of its connection.

        Where there are `connection_limit` connections already, the oldest that has not logged in is cut off for it;
        where all have, the new one is.

        Args:
            hosts: names by which clients may call it, in the Host of their requests, besides localhost and the loopback
                addresses; None: any. Requests from web pages are refused either way.
        """
        names = None if hosts is None else host_names(*hosts)
        # That another path is answered 404 is assumed; nobody has said.
        connection = ServerConnection(
            self._config,
            clock=self.now,
            status=self.faults.http_status,
            paths=(PATH, US_PATH),
            refuse_handshake=lambda headers: refusal_of(headers, names),
        )
        peer = ClientLink(self, connection, names)
        self.links.append(peer)
        self.agenda.add(self.now() + SILENCE, peer.watch, peer)
        if len(self.links) > self.connection_limit:
            next(one for one in self.links if one is peer or one.state is not READY).cut()
            self._tell_driver()
        return peer

    def now(self) -> float:
        """Seconds on its clock."""
        if self._clock is None:
            raise LocalProtocolError("the exchange has no clock: pass clock, call run_on, or use an adapter's serve")
        return self._clock()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called, in seconds on the clock; None: not before something else happens."""
        times = [
            time for peer in self.links if not peer.stalled and (time := peer.connection.next_timeout()) is not None
        ]
        if (next_time := self.agenda.next_time) is not None:
            times.append(next_time)
        return min(times, default=None)

    def handle_timeout(self) -> None:
        """Do what is due by the clock, on every connection. Harmless when nothing is."""
        now = self.now()
        for entry in self.agenda.due(now):
            if isinstance(entry.owner, ClientLink):
                with self.guard(entry.owner):
                    entry.run()
                entry.owner.settle()
            else:
                entry.run()
        for peer in tuple(self.links):
            if not peer.stalled:
                with self.guard(peer):
                    peer.connection.handle_timeout()
                peer.settle()

    def place_order(self, key: str, item: str, side: Side, quantity: int, price: int | Decimal = 0) -> Order:
        """Place an order for the account of an app key; rows of 00 and 04 (F4 and F5) tell it what becomes of it.

        It is taken in trading hours; wanting it done counts as wanting 00, which the market skips ahead for.

        Args:
            key: the app key; of a client that logged in with a token that nobody issued, the token itself.
            item: what to trade: "005930", "005930_NX", "NVDA:ND".
            side: "buy" or "sell".
            quantity: shares.
            price: limit in won, of a US stock in dollars; 0: at any price. The market refuses (거부) one that is off
                the tick or beyond the day's limits, as it does selling more than is held.

        Returns:
            The order, which is kept up to date.

        Raises:
            LocalProtocolError: it cannot be an order, or the market has no such stock.
        """
        if item in US:
            item = f"{item}:{US[item].market}"
        if not is_listed("00", item):
            raise LocalProtocolError(f"item: the market has no {item!r}")
        order = self._market.accounts.place(key, item, side, quantity, price)
        self.start_ticking()
        self._tell_driver()
        return order

    # Faults that happen at once, to one connection or to all.

    def drop(self, peer: ClientLink | None = None) -> None:
        """Cut the connection, without a word."""
        for victim in self._victims(peer):
            victim.connection.abort()
            victim.settle()
        self._tell_driver()

    def stall(self, peer: ClientLink | None = None) -> None:
        """Neither send nor read any more, for as long as you like, while the connection stays up. `resume` ends it."""
        for victim in self._victims(peer):
            victim.stall()

    def resume(self, peer: ClientLink | None = None) -> None:
        """End a stall: what came meanwhile is read now, and what should have been sent is sent."""
        for victim in self._victims(peer):
            victim.resume()
        self._tell_driver()

    def garbage(self, payload: bytes = b"{]", peer: ClientLink | None = None) -> None:
        """Send these bytes as a text message."""
        for victim in self._victims(peer):
            victim.connection.send_text(payload)
        self._tell_driver()

    def kick(self, peer: ClientLink | None = None) -> None:
        """Close as if the app key had logged in elsewhere (R10001)."""
        for victim in self._victims(peer):
            victim.kick()
        self._tell_driver()

    def close(self, peer: ClientLink | None = None) -> None:
        """Close without a SYSTEM message that says why, as before a restart."""
        for victim in self._victims(peer):
            victim.close()
            victim.settle()
        self._tell_driver()

    def expire_tokens(self) -> None:
        """End the life of every token that was issued: none logs in any more, and who asks gets another one."""
        self._tokens.expire_all()

    def _victims(self, peer: ClientLink | None) -> tuple[ClientLink, ...]:
        return tuple(self.links) if peer is None else (peer,)

    # Inside.

    @contextmanager
    def guard(self, peer: ClientLink) -> Iterator[None]:
        """Let an error of the block cost this connection, and no other."""
        try:
            yield
        except Exception as error:
            if self._on_failure is not None:
                peer.cut()
            self._report(error)

    def _report(self, error: Exception) -> None:
        if self._on_failure is None:
            raise error
        self._on_failure(error)

    def _tell_driver(self) -> None:
        if self._notify is not None:
            self._notify()

    def _seconds(self) -> float:
        """Seconds since it was opened."""
        return self.now() - self._opened_at

    def _wall_time(self) -> float:
        """Seconds since the epoch (UTC), as far as it knows."""
        return self._opened_wall + self._seconds()

    def key_of(self, token: object) -> str | None:
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN or token.startswith("Bearer "):
            return None
        return self._tokens.key_of(token)

    def answer_post(self, path: str, body: bytes) -> HttpAnswer:
        return FAULTY_ANSWERS.get(self.faults.token_answer) or self._tokens.answer(path, body)

    def start_ticking(self) -> None:
        if not self._ticking:
            self._ticking = True
            self.agenda.add(self.now() + self._batch_interval, self._tick)

    def _tick(self, when: float) -> None:
        peers = [peer for peer in self.links if peer.connection.state is READY and (peer.registered or peer.live)]
        self._ticking = bool(peers or self._market.accounts.open)
        if not self._ticking:
            return
        began = self.now()
        # One stock is one book, however many clients look at it. A dict, for an order that does not vary.
        pairs_of = {peer: peer.wanted() for peer in peers}
        # One of each in turn, so that each gets its share where there is too much.
        in_turn = (pair for turn in zip_longest(*pairs_of.values()) for pair in turn if pair is not None)
        wanted = dict.fromkeys(islice(in_turn, MAX_WANTED))
        pushes = self._make_rows(when - self._opened_at, wanted)
        for peer, pairs in pairs_of.items():
            with self.guard(peer):
                peer.send_rows([push.row for push in pushes if push.pair in pairs and push.account in (None, peer.key)])
        ended = self.now()
        spent = ended - began
        # Where rows take longer to make than they are apart, half of the time belongs to all else. What would have
        # happened in the market meanwhile does not.
        late = spent > self._batch_interval
        self.agenda.add(ended + spent if late else when + self._batch_interval, self._tick)

    def _stopwatch(self) -> Callable[[], bool]:
        """Returns what tells whether more than half the time between two batches has gone by since."""
        end = self.now() + self._batch_interval / 2
        return lambda: self.now() > end

    def _make_rows(self, until: float, wanted: Mapping[tuple[str, str], None]) -> list[Push]:
        """Let the market go on. An error costs those who want what it was about."""
        try:
            return self._market.pushes(until - self._batch_interval, until, wanted, self._stopwatch)
        except SourceError as error:
            victims = [peer for peer in self.links if not error.pairs.isdisjoint(peer.wanted())]
            if not victims:
                self._report(error)
            for peer in victims:
                with self.guard(peer):
                    raise
            return []

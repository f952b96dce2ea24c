"""Exchange: a simulated Kiwoom server for any number of connections.

The following behavior was measured on the live server and published by others:

* LOGIN is answered after 20 ms. Until then, every other request is refused with 100013 and dropped. A bad token is
  refused with 805004 and the reason in brackets, followed by SYSTEM R10004 (production only) and the close. If no LOGIN
  arrives, the server sends SYSTEM R10004 and closes 10 s after it last received data.
* After a second login with the same app key, the first connection receives SYSTEM R10001 and is closed.
* The server sends PING after 10 s without data from the client, whether or not rows flow. After five unanswered PINGs
  in a row it sends SYSTEM R10002 and closes. Any PING message counts as an answer.
* REG and REMOVE are acknowledged after 10 ms. The reply does not identify the request, and rows may precede it. Items
  are not checked: if the market does not list an item (`names.is_listed`), or this path or mock trading does not serve
  it, the registration is acknowledged and no rows follow. Malformed requests are refused with 105111 or 100002, an
  unknown trnm (including PONG) with 105108.
* Account types (00, 04, F4, F5) are sent whatever item they are registered for. Their rows carry the stock.
* More than 5 requests in a second are refused with 105110. More than 200 items (mock trading: 100) in a group are
  refused with 105118, on a connection with 105115. The whole request is refused. Types are not counted, nor is the
  item "".
* Rows are sent in batches every 100 ms, several in one message, with their keys in the measured order.
* The close code is 1000 with the reason "Bye". After a message of more than 65,536 bytes it is 1009, with the reason.
* The domestic market and the US market have separate paths.
* A connection that begins with "POST " speaks HTTP, to the token server (see `tokens`) and to REST (see
  `rest.service`), which have their own port at Kiwoom. It is kept for further requests.
* For condition search see `conditions`, for the market see `market`.

For the texts of the messages see `texts`.

The following is not known of the live server and was chosen: refresh "0" drops only the registrations of its group. A
message that is not JSON is ignored, as is a PING before the LOGIN reply. Only an echo resets the count of unanswered
PINGs. Any other path is answered with HTTP 404, and a search on the other market's path with 105108. So is every limit
on what a client can make the server store or do (docs/security.md lists them). `callers` decides who may connect.
"""

from __future__ import annotations

import datetime
import math
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
from .bounds import SILENCE
from .callers import host_names, refusal_of
from .client_link import PATH, US_PATH, ClientLink
from .conditions import ConditionService
from .faults import Faults
from .market.account import Order, Side
from .market.market import Market
from .market.names import US, is_listed
from .market.sessions import FIRST_DATE
from .market.source import Push, SourceError
from .playback import Playback, recorded_pairs
from .rest.http import HttpAnswer, HttpRequest
from .rest.limits import Window
from .rest.link import Outcome
from .rest.service import LIMIT, MOCK_LIMIT, RestService
from .tokens import FAULTY_ANSWERS, ISSUE, TOKEN_PATHS, TokenService
from .truth import Truth

__all__ = ("Exchange",)

BATCH_INTERVAL = 0.1
ITEM_LIMIT = 200
MOCK_ITEM_LIMIT = 100
CONNECTION_LIMIT = 100
"""Default maximum number of connections. It is below the limit on open files: 256 on macOS, 1,024 on most Linux."""
MAX_WANTED = 50_000
"""Maximum (type, item) pairs that get rows, over all connections."""
MAX_TOKEN = 1_000
"""Maximum length in characters of a token that can log in: the length of its field on the official pages."""
CONDITIONS = MappingProxyType({"0": "거래량 급증", "1": "신고가 돌파", "2": "골든크로스"})
"""Default saved conditions: number -> name."""


class Exchange:
    """A simulated Kiwoom server.

    All connections share one market day. While a registered domestic type has a session, US types wait for the evening.
    To see both at once, serve US types from a separate exchange.

    With a `playback`, the rows are those of a recording instead. Orders are not taken then, and condition searches are
    refused as an unknown request.

    Args:
        seed: the same seed gives the same rows.
        tokens: token -> app key, the tokens that may log in. If both this and `app_keys` are None, any token may log
            in, and is its own app key.
        app_keys: app key -> secret key, the pairs that tokens are issued to; None issues tokens to any pair. An issued
            token logs in as its app key until it expires or is revoked.
        mock: whether to behave as mock trading does.
        item_limit: maximum items on a connection, and in a group. Defaults to 200, on mock trading to 100.
        connection_limit: maximum simultaneous connections; see `connect`.
        start: time of day (KST) at which its market starts.
        speed: how many times as fast as real time its market day passes; everything else has its real time.
        rate: average number of events per second for each registered item. For a stock, each event
            makes a 0D row and half of them a 0B row; for an item of 0E, each makes a 0E row.
        conditions: number -> name of the saved conditions, the same on both paths.
        batch_interval: seconds between deliveries of rows; about 100 ms [measured].
        rest_limit: REST requests per second of an app key and api-id. Defaults to 5, on mock trading to 1.
        rest_window: how they are counted: in the second before each request ("sliding"), or in each second of the
            clock ("fixed").
        playback: a recording to play instead of the market; see `playback`.
        clock: returns the time in seconds; None leaves it to `run_on`, which the adapters' `serve` calls.
        config: deadlines and limits of its connections.

    Raises:
        LocalProtocolError: item_limit, connection_limit or rest_limit is not an integer above 0, or speed is not
            above 0.
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
        speed: float = 1.0,
        rate: float = 2.0,
        conditions: Mapping[str, str] = CONDITIONS,
        batch_interval: float = BATCH_INTERVAL,
        rest_limit: int | None = None,
        rest_window: Window = "sliding",
        playback: Playback | None = None,
        clock: Callable[[], float] | None = None,
        config: ServerConfig | None = None,
    ) -> None:
        if item_limit is not None and (type(item_limit) is not int or item_limit < 1):
            raise LocalProtocolError(f"item_limit: must be a whole number above 0, or None, not {item_limit!r}")
        if not 0 < speed < math.inf:
            raise LocalProtocolError(f"speed: must be a number above 0, not {speed!r}")
        if type(connection_limit) is not int or connection_limit < 1:
            raise LocalProtocolError(f"connection_limit: must be a whole number above 0, not {connection_limit!r}")
        if rest_limit is not None and (type(rest_limit) is not int or rest_limit < 1):
            raise LocalProtocolError(f"rest_limit: must be a whole number above 0, or None, not {rest_limit!r}")
        self.mock = mock
        self.connection_limit = connection_limit
        self.item_limit = (MOCK_ITEM_LIMIT if mock else ITEM_LIMIT) if item_limit is None else item_limit
        self.faults = Faults()
        self.links: list[ClientLink] = []
        """The connections that have not ended, oldest first."""
        self.token_requests = 0
        """Number of requests for a token, refused ones included."""
        self.rows_sent = 0
        """Number of rows sent so far, over all connections."""
        self._tokens = TokenService(app_keys, tokens, seed=seed, now=self._wall_time)
        self._market = Market(seed=seed, start=start, rate=rate)
        self._batch_interval = batch_interval
        self._config = ServerConfig() if config is None else config
        self._clock: Callable[[], float] | None = None
        self._notify: Callable[[], None] | None = None
        self._on_failure: Callable[[Exception], None] | None = None
        self._opened_at = 0.0
        self._speed = speed
        self._opened_wall = datetime.datetime.combine(FIRST_DATE, start, KST).timestamp()
        self.agenda = Agenda()
        self._ticking = False
        self._playback = playback
        self._audience: dict[ClientLink, tuple[object, frozenset[tuple[str, str]]]] = {}
        self.has_conditions = playback is None
        self.rest = RestService(
            self._market,
            key_of=self.key_of,
            now=self.now,
            market_now=self._seconds,
            speed=speed,
            faults=self.faults,
            mock=mock,
            limit=(MOCK_LIMIT if mock else LIMIT) if rest_limit is None else rest_limit,
            window=rest_window,
        )
        """Answers REST requests, and counts them."""
        self.truth = Truth(self._market, lambda: self._market.moment(self._seconds()))
        """What it knows at this moment."""
        self.rest.is_on = playback is None
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
        """Set the clock. Call this once.

        Args:
            clock: returns the time in seconds; it must not go back.
            notify: called when a connection has work that the driver did not cause, such as a fault.
            wall_time: current time in seconds since the epoch (UTC), for the expiry of tokens. Defaults to the start of
                the market's first day.
            on_failure: called with an internal error that was raised while serving a client. That client is cut off,
                the others are not affected. If None, the error is raised, as tests need.

        Raises:
            LocalProtocolError: the exchange already has a clock.
        """
        if self._clock is not None:
            raise LocalProtocolError("the exchange already runs on a clock")
        self._clock = clock
        self._notify = notify
        self._on_failure = on_failure
        self._opened_at = clock()
        if wall_time is not None:
            self._opened_wall = wall_time

    def connect(self, hosts: Collection[str] | None = None) -> ClientLink:
        """Accept a client's connection.

        If there are already `connection_limit` connections, the oldest one that has not logged in is cut off. If all
        have logged in, the new one is cut off.

        Args:
            hosts: host names that the Host header of a request may have, besides localhost and the loopback addresses;
                None allows any. Requests from web pages are refused in either case.

        Returns:
            The server's end of the connection.
        """
        names = None if hosts is None else host_names(*hosts)
        # HTTP 404 for any other path is an assumption; no source says.
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
        """Return the time on the exchange's clock, in seconds."""
        if self._clock is None:
            raise LocalProtocolError("the exchange has no clock: pass clock, call run_on, or use an adapter's serve")
        return self._clock()

    def next_timeout(self) -> float | None:
        """Return when to call `handle_timeout`, in seconds on the clock; None if there is no deadline."""
        times = [time for peer in self.links if (time := peer.deadline) is not None]
        if (next_time := self.agenda.next_time) is not None:
            times.append(next_time)
        return min(times, default=None)

    def handle_timeout(self) -> None:
        """Do the work that is due on every connection. Does nothing if none is due."""
        now = self.now()
        for entry in self.agenda.due(now):
            if isinstance(entry.owner, ClientLink):
                with self.guard(entry.owner):
                    entry.run()
                entry.owner.settle()
            else:
                entry.run()
        for peer in tuple(self.links):
            with self.guard(peer):
                peer.meet_deadline()
            peer.settle()

    def place_order(self, key: str, item: str, side: Side, quantity: int, price: int | Decimal = 0) -> Order:
        """Place an order for the account of an app key. Rows of 00 and 04 (F4 and F5) report its progress.

        The order is accepted during trading hours. An open order counts as a registration of 00 (F4), so the market
        skips ahead to the next session for it.

        Args:
            key: the app key. For a client whose token was not issued here, use the token itself.
            item: the stock to trade: "005930", "005930_NX", "NVDA:ND".
            side: "buy" or "sell".
            quantity: shares.
            price: limit in won, for a US stock in dollars; 0 is a market order. The market refuses (거부) a limit off
                the tick or beyond the day's limits, and a sale of more than is held.

        Returns:
            The order. Its attributes are kept up to date.

        Raises:
            LocalProtocolError: the arguments do not make an order, the market does not list the stock, or the exchange
                plays a recording.
        """
        if self._playback is not None:
            raise LocalProtocolError("the exchange plays a recording, and takes no orders")
        if item in US:
            item = f"{item}:{US[item].market}"
        if not is_listed("00", item):
            raise LocalProtocolError(f"item: the market has no {item!r}")
        order = self._market.accounts.place(key, item, side, quantity, price)
        self.start_ticking()
        self._tell_driver()
        return order

    @property
    def orders_processed(self) -> int:
        """Number of orders that came over REST and were carried out, amendments and cancellations included."""
        return self.rest.orders_processed

    def answer_rest(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Carry out a request to REST, or to the token server, and return its answer, without any connection.

        Args:
            path: the path of the TR: "/api/dostk/mrkcond".
            headers: its headers: api-id, authorization ("Bearer " and the token), cont-yn, next-key.
            body: the JSON of its parameters.
        """
        lower = {name.lower(): value for name, value in headers.items()}
        return self.respond(HttpRequest(path, lower, body)).answer

    # Faults that take effect immediately, on one connection or on all.

    def drop(self, peer: ClientLink | None = None) -> None:
        """Drop the connection without a closing handshake."""
        for victim in self._victims(peer):
            victim.connection.abort()
            victim.settle()
        self._tell_driver()

    def stall(self, peer: ClientLink | None = None) -> None:
        """Stop sending and reading, but keep the connection open, until `resume` is called."""
        for victim in self._victims(peer):
            victim.stall()

    def resume(self, peer: ClientLink | None = None) -> None:
        """End a stall: read the data received meanwhile, and send the data held back."""
        for victim in self._victims(peer):
            victim.resume()
        self._tell_driver()

    def garbage(self, payload: bytes = b"{]", peer: ClientLink | None = None) -> None:
        """Send these bytes as a text message."""
        for victim in self._victims(peer):
            victim.connection.send_text(payload)
        self._tell_driver()

    def kick(self, peer: ClientLink | None = None) -> None:
        """Close the connection as if its app key had logged in elsewhere (R10001)."""
        for victim in self._victims(peer):
            victim.kick()
        self._tell_driver()

    def close(self, peer: ClientLink | None = None) -> None:
        """Close the connection without a SYSTEM message, as before a restart."""
        for victim in self._victims(peer):
            victim.close()
            victim.settle()
        self._tell_driver()

    def expire_tokens(self) -> None:
        """Expire every issued token. None can log in any more, and the next request for one issues a new token."""
        self._tokens.expire_all()

    def revoke_key(self, key: str) -> None:
        """Revoke an app key: no token of it can log in any more, and none is issued. Its connections stay open."""
        self._tokens.revoke_key(key)

    def _victims(self, peer: ClientLink | None) -> tuple[ClientLink, ...]:
        return tuple(self.links) if peer is None else (peer,)

    # Internals.

    @contextmanager
    def guard(self, peer: ClientLink) -> Iterator[None]:
        """Cut off this connection, and no other, if the block raises."""
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
        """Return the seconds of market time since the exchange was opened."""
        return (self.now() - self._opened_at) * self._speed

    def _wall_time(self) -> float:
        """Return the simulated time in seconds since the epoch (UTC)."""
        return self._opened_wall + self.now() - self._opened_at

    def key_of(self, token: object) -> str | None:
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN or token.startswith("Bearer "):
            return None
        return self._tokens.key_of(token)

    def respond(self, request: HttpRequest) -> Outcome:
        if request.path in TOKEN_PATHS:
            self.token_requests += request.path == ISSUE
            faulty = FAULTY_ANSWERS.get(self.faults.token_answer)
            return Outcome(faulty or self._tokens.answer(request.path, request.body))
        outcome = self.rest.respond(request)
        if self._market.has_kept or self._market.accounts.open:
            self.start_ticking()
            self._tell_driver()
        return outcome

    def start_ticking(self) -> None:
        if self._ticking:
            return
        self._ticking = True
        if self._playback is not None:
            self._playback.start(self.now())
            self._wait_for_playback(0.0)
        else:
            self.agenda.add(self.now() + self._batch_interval, self._tick)

    def _wait_for_playback(self, earliest: float) -> None:
        if self._playback is not None and (next_at := self._playback.next_at) is not None:
            self.agenda.add(max(next_at, earliest), self._play)

    def _play(self, _: float) -> None:
        assert self._playback is not None
        began = self.now()
        messages = self._playback.take(began)
        peers = [peer for peer in self.links if peer.connection.state is READY and peer.registered]
        self._audience = {peer: self._wanted_recorded(peer) for peer in peers}
        for peer in peers:
            pairs = self._audience[peer][1]
            with self.guard(peer):
                for message in messages:
                    if message.us == peer.us:
                        peer.send_recorded(*message.wanted(pairs))
        ended = self.now()
        self._wait_for_playback(ended + (ended - began))  # half of the time is left for other work

    def _wanted_recorded(self, peer: ClientLink) -> tuple[object, frozenset[tuple[str, str]]]:
        """Return what a client has registered, and the pairs of rows that come for it."""
        known = self._audience.get(peer)
        if known is not None and known[0] is peer.registered:  # it is replaced, never changed
            return known
        return peer.registered, recorded_pairs(peer.registered.values())

    def _tick(self, when: float) -> None:
        peers = [peer for peer in self.links if peer.connection.state is READY and (peer.registered or peer.live)]
        self._ticking = bool(peers or self._market.accounts.open or self._market.has_kept)
        if not self._ticking:
            self._market.drop_waiting()
            return
        began = self.now()
        # All clients of a stock see the same book. A dict keeps the order deterministic.
        pairs_of = {peer: peer.wanted() for peer in peers}
        # Take one pair of each client in turn, so that MAX_WANTED is shared fairly.
        in_turn = (pair for turn in zip_longest(*pairs_of.values()) for pair in turn if pair is not None)
        wanted = dict.fromkeys(islice(in_turn, MAX_WANTED))
        pushes = self._make_rows((when - self._opened_at) * self._speed, wanted)
        for peer, pairs in pairs_of.items():
            with self.guard(peer):
                peer.send_rows([push.row for push in pushes if push.pair in pairs and push.account in (None, peer.key)])
        ended = self.now()
        spent = ended - began
        # If making the rows takes longer than the batch interval, wait as long again, so that half of the time is left
        # for other work. The market events of that time are skipped.
        late = spent > self._batch_interval
        self.agenda.add(ended + spent if late else when + self._batch_interval, self._tick)

    def _stopwatch(self) -> Callable[[], bool]:
        """Return a function that tells whether more than half a batch interval has passed since this call."""
        end = self.now() + self._batch_interval / 2
        return lambda: self.now() > end

    def _make_rows(self, until: float, wanted: Mapping[tuple[str, str], None]) -> list[Push]:
        """Advance the market. An error affects only the clients that want the pairs it names."""
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

"""connect and Client on trio: sockets, small tasks, and no decision of the protocol's.

Whatever happened (bytes, a deadline, a call), `_pump` does the same: take what the session has to say and to send,
wake whoever waits for it, and wake the timer if its deadline moved nearer. Reading never waits for the consumer or for
writing, so neither can keep a PING from being answered. One task does what the session needs (a token, a connection),
one thing after the other; what it no longer needs is dropped.
"""

from __future__ import annotations

import math
import random
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable

import trio
from trio.lowlevel import checkpoint, disable_ki_protection, enable_ki_protection

from kiwoom_proto import (
    AppKey,
    ClientConfig,
    Disconnected,
    Endpoint,
    Event,
    KiwoomError,
    LinkNeeded,
    LocalProtocolError,
    Record,
    Request,
    Secret,
    Session,
    Symbol,
    TokenNeeded,
)
from kiwoom_proto.client.inbox import Inbox, Stats
from kiwoom_proto.errors import DeadlineExceeded, TokenError, TransportError
from kiwoom_proto.events import ConditionList, ConditionResult
from kiwoom_proto.headers import RequestHeader, ResponseHeader
from kiwoom_proto.realtime.conditions import Condition, ConditionRow, UsConditionRow
from kiwoom_proto.secrets import conceal
from kiwoom_proto.session.connector import Need
from kiwoom_proto.session.lifecycle import SessionState
from kiwoom_proto.session.searches import Pages
from kiwoom_proto.session.subscriptions import Subscription
from kiwoom_proto.wire.messages import Reg, Remove, check_token

from .auth import fresh_token
from .dial import NETWORK_ERRORS, describe, dial
from .own_loop import OwnLoop
from .tasks import background_tasks, block

__all__ = ("Client", "connect")

READ_SIZE = 262_144
FLUSH_TIME = 0.5
"""Seconds for the last words to a connection that is over."""


@block
async def connect(
    endpoint: Endpoint,
    *,
    token: str | Secret | AppKey | Callable[[], Awaitable[str | Secret]],
    config: ClientConfig | None = None,
    header: RequestHeader | None = None,
    ssl_context: ssl.SSLContext | None = None,
    types: Iterable[type[Record]] = (),
) -> AsyncGenerator[Client]:
    """Connect, log in, and yield a `Client` that stays connected; leaving the block closes.

    A connection that is lost is made again and everything wanted is registered anew; see docs/reliability.md.

    Arguments:
        endpoint: PRODUCTION, MOCK, or one of your own.
        token: the access token, without "Bearer"; or an `AppKey`, to get tokens with; or an async callable that returns
            one. The last two are asked again where a token was refused.
        config: deadlines, limits and policies, such as what to do when the consumer is slow.
        header: header elements for the opening handshakes; none are needed.
        ssl_context: for TLS; None verifies against the system's trust store.
        types: classes of rows of your own, beside those of the catalogue or instead of one with the same type code.

    Raises:
        LoginRefused: the server refused the token.
        TokenError: no token could be had, and waiting would not help. What the callable raises at first is raised as it
            is, but for `TokenError` and `TransportError`, which may pass: it is called again, within `connect_timeout`.
        DeadlineExceeded: the callable took longer than `token_timeout`.
        ConnectionLost: no connection could be made within `connect_timeout`; its text tells what went wrong last.
        LocalProtocolError: an argument cannot be right.
    """
    token = conceal(token)
    if isinstance(endpoint, Endpoint):  # anything else is refused below
        endpoint.check_tls(ssl_context)
    session = Session(endpoint, config, clock=trio.current_time, random=random.random, types=types)
    first: Secret | None = None
    failure: KiwoomError | None = None
    if not isinstance(token, AppKey):
        with trio.move_on_after(session.config.token_timeout) as scope:
            try:
                first = await _called(token)
                check_token(first)
            except (TokenError, TransportError) as error:
                failure = error  # the session knows whether it is the end
        if scope.cancelled_caught:
            raise DeadlineExceeded("token", session.config.token_timeout)
    session.connect(
        first,
        header,
        renewable=not isinstance(token, Secret),
        keep=not isinstance(token, AppKey),
        secrets=token.secrets if isinstance(token, AppKey) else (),
    )
    if failure is not None:
        session.token_failed(failure)
    client = Client(session, token, ssl_context)
    async with background_tasks() as tasks:
        tasks.start_soon(client._run)
        await client._logged_in()
        try:
            yield client
        except Exception:
            await client.aclose()
            raise
        await client.aclose()
        # Cancelled or interrupted, there is no time to be polite: that cuts.


class Client:
    """A feed that is logged in, and stays so. Made by `connect`.

    Iterate it for the rows (`Record` and subclasses), notices, and whatever could not be understood, in order. Where
    the connection is lost it yields `Disconnected`, and `Gap` once everything wanted is registered anew. The iteration
    ends after `aclose`; it raises ConnectionLost when the session gave up and BufferOverflow when the consumer was too
    slow for its policy, both after everything received before was delivered, `Closed` last.

    Several tasks may iterate it: each event goes to one of them, but not in equal shares. It belongs to the event loop
    and thread that it was connected in: calls from elsewhere, and iterating it there, raise LocalProtocolError. Its
    properties and `stats` may be looked at from anywhere.
    """

    def __init__(
        self,
        session: Session,
        token: Secret | AppKey | Callable[[], Awaitable[str | Secret]],
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._session = session
        self._token = token
        self._ssl_context = ssl_context
        self._inbox = Inbox(session)
        self._own_loop = OwnLoop()
        self._batch: list[Event] = []  # newest first, so that the oldest is cheap to take
        self._changed = trio.Event()  # something happened that a waiting call may be waiting for
        self._is_awaited = False
        self._has_outgoing = trio.Event()
        self._deadline_moved = trio.Event()
        self._armed = math.inf
        self._need: Need | None = None
        self._attending = trio.CancelScope()

    @property
    def endpoint(self) -> Endpoint:
        """Where it is connected to."""
        return self._session.endpoint

    @property
    def header(self) -> ResponseHeader | None:
        """The documented header elements of the server's last answer to an opening handshake."""
        return self._session.header

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._session.state

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Everything wanted, live conditions last, and how far each has come on the present connection."""
        return self._session.subscriptions

    @property
    def disconnected(self) -> Disconnected | None:
        """The last loss, or failed attempt, while there is no login; None while there is one."""
        return self._session.disconnected

    def stats(self) -> Stats:
        """Return what became of the events so far, and where the session stands."""
        return self._inbox.stats(time.time_ns())

    async def subscribe(
        self,
        type: str | type[Record],
        *items: str | Symbol,
        group: str = "1",
        replace: bool = False,
        fresh_within: float | None = None,
        wait: bool = True,
    ) -> Request:
        """Want items for one real-time type until `unsubscribe`, and wait until the server has acknowledged it.

        Every call counts: what two have asked for goes on until both have let go. Without a connection it waits for the
        next. Cancelled, it is taken back, even where the answer came in the same moment; whatever it raises, nothing is
        wanted that was not wanted before.

        Arguments:
            type: a class of the catalogue or of `types`, or its type code: "0E".
            items: "005930", "005930_NX" or a `Symbol`; none for account-wide and market-wide types.
            group: group number (grp_no), at most 4 characters.
            replace: let go of everything else in this group, whoever wants it.
            fresh_within: seconds after which silence is iterated as `Stale`; None: silence is no news.
            wait: False returns at once; the answer, `RequestAccepted` or `RequestRefusal`, is iterated.

        Raises:
            RequestRefused: the server refused it.
            ConnectionLost: the session ended first.
            QuotaExceeded: they would be more than the connection, or the group, may have; nothing was sent.
            LocalProtocolError: an argument cannot be right; nothing was sent. What the server would acknowledge and
                never serve cannot be right either: "A005930", a US type on a domestic endpoint.
        """
        await self._open()
        request = self._session.subscribe(type, *items, group=group, replace=replace, fresh_within=fresh_within)
        return await self._replied(request, wait)

    async def unsubscribe(
        self, type: str | type[Record], *items: str | Symbol, group: str = "1", wait: bool = True
    ) -> Request:
        """Want items no longer, as one `subscribe` did, and wait until what nobody wants is removed.

        Cancelled, it is done all the same. Arguments and errors as `subscribe`.
        """
        await self._open()
        return await self._replied(self._session.unsubscribe(type, *items, group=group), wait)

    async def request(self, message: Reg | Remove, *, wait: bool = True) -> Request:
        """As `subscribe` or `unsubscribe`, for everything that a message of your own making names.

        What types and items there are is not checked then: it is the way to what this library does not know, and back.
        """
        await self._open()
        return await self._replied(self._session.request(message), wait)

    async def list_conditions(self) -> tuple[Condition, ...]:
        """Return the saved conditions (조건검색 목록조회). Errors as `search_condition`."""
        await self._open()
        answer = await self._told(self._session.list_conditions())
        assert isinstance(answer, ConditionList)
        return answer.conditions

    async def search_condition(self, seq: str, *, realtime: bool = False, next_key: str = "") -> ConditionResult:
        """Ask which stocks meet a condition (조건검색 요청).

        With `realtime` the server goes on telling which stocks enter and leave, until `clear_condition`: such rows come
        with all others, as `ConditionHit` (US: `UsConditionHit`); `ConditionResult.matches` tells whose they are. After
        a loss it is asked for anew, and a new `ConditionResult` is iterated. Cancelled, it is taken back.

        Arguments:
            seq: the condition's number, from `list_conditions`.
            realtime: go on telling.
            next_key: `ConditionResult.next_key`, for the next page; `search_condition_rows` follows them by itself.

        Raises:
            RequestRefused: the server refused it.
            RequestTimeout: the server did not answer it within `ack_timeout`. Everything else goes on.
            ConnectionLost: the session ended first.
            LocalProtocolError: an argument cannot be right; nothing was sent.
        """
        await self._open()
        answer = await self._told(self._session.search_condition(seq, realtime=realtime, next_key=next_key))
        assert isinstance(answer, ConditionResult)
        return answer

    async def search_condition_rows(self, seq: str) -> AsyncGenerator[ConditionRow | UsConditionRow]:
        """Iterate all rows of a condition, page by page, `request_interval` apart at least.

        Raises:
            RemoteProtocolError: the pages have no end. The connection goes on.
            KiwoomError: as `search_condition`.
        """
        pages = Pages()
        next_key: str | None = ""
        while next_key is not None:
            result = await self.search_condition(seq, next_key=next_key)
            for row in result.rows:
                yield row
            next_key = pages.next_key(result)

    async def clear_condition(self, seq: str) -> Request:
        """End a live search (조건검색 실시간 해제). Cancelled, it is done all the same.

        Errors as `search_condition`.
        """
        await self._open()
        return await self._replied(self._session.clear_condition(seq))

    async def aclose(self) -> None:
        """Close, and wait until it is done: at most `close_timeout`. What was received can still be iterated."""
        self._own_loop.check()
        self._inbox.close()
        self._pump()
        while self._inbox.closed is None:
            await self._change()

    def __aiter__(self) -> AsyncIterator[Event]:
        self._own_loop.check()
        return self

    async def __anext__(self) -> Event:
        while not self._batch:
            await self._refill()
        return self._batch.pop()

    def __repr__(self) -> str:
        return f"<Client {self.endpoint}, {self.state.value}>"

    # Waiting.

    async def _refill(self) -> None:
        self._own_loop.check()
        if self._inbox.is_ready:
            await checkpoint()  # once a batch, so that a busy feed cannot starve the rest of the program
        else:
            await self._change()
        if self._batch:
            return  # another task is iterating too, and was faster
        events = self._inbox.pop()
        if events:
            events.reverse()
            self._batch = events
            self._wake()  # whoever else is iterating
        elif self._inbox.closed is not None:
            error = self._inbox.end()
            if error is not None:
                raise error
            raise StopAsyncIteration

    async def _open(self) -> None:
        """Begin a call. Wait for the end where it has begun, to say why."""
        self._own_loop.check()
        while self._inbox.closed is None and self.state is SessionState.CLOSING:
            await self._change()
        self._inbox.check_open()

    async def _replied(self, request: Request, wait: bool = True) -> Request:
        await self._told(request, wait)
        return request

    async def _told(self, request: Request, wait: bool = True) -> ConditionList | ConditionResult | None:
        """Wait for the answer. Nothing may wait after this: a call that is cancelled from then on keeps what it got."""
        if wait:
            self._inbox.expect(request)
        try:
            self._pump()
            await checkpoint()
            while wait and not self._inbox.reply(request):
                await self._change()
        except BaseException:
            self._inbox.withdraw(request)
            self._pump()
            raise
        return self._inbox.pop_answer(request)

    async def _logged_in(self) -> None:
        while not self._inbox.check_login():
            await self._change()

    # The pump and its tasks.

    async def _change(self) -> None:
        """Wait until something happens."""
        self._is_awaited = True
        await self._changed.wait()

    def _wake(self) -> None:
        if self._is_awaited:  # else an event a read would be made for nobody
            self._is_awaited = False
            self._changed.set()
            self._changed = trio.Event()

    def _pump(self) -> None:
        self._inbox.collect()
        self._follow()
        self._wake()

    def _follow(self) -> None:
        """Do what the session needs by now: write, hang up, wake the timer."""
        if self._inbox.outgoing:
            self._has_outgoing.set()
        if self._need is not self._session.needs and self._attending.deadline == math.inf:
            self._attending.deadline = trio.current_time() + FLUSH_TIME
            self._has_outgoing.set()
        timeout = self._session.next_timeout()
        if timeout is not None and timeout < self._armed:
            self._deadline_moved.set()

    @enable_ki_protection
    async def _run(self) -> None:
        """Watch the clock and do what the session needs until it is over."""
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._watch_clock)
            while self._inbox.closed is None:
                self._need = self._session.needs
                self._attending = trio.CancelScope()
                self._pump()
                with self._attending:
                    await self._attend(self._need)
            tasks.cancel_scope.cancel()

    async def _attend(self, need: Need | None) -> None:
        match need:
            case LinkNeeded():
                await self._link(need)
            case TokenNeeded():
                await self._get_token(need)
            case None if self._inbox.closed is None:
                await self._change()

    async def _get_token(self, need: TokenNeeded) -> None:
        try:
            token = await self._obtain_token(need.refused)
        except KiwoomError as error:
            if need is self._session.needs:
                self._session.token_failed(error)
        else:
            if need is self._session.needs:
                self._session.receive_token(token)
        self._pump()

    async def _obtain_token(self, refused: Secret | None) -> Secret:
        if isinstance(self._token, AppKey):
            if refused is not None:
                self._token.forget(self.endpoint, refused)
            return await fresh_token(self.endpoint, self._token, ssl_context=self._ssl_context)
        try:
            token = await _called(self._token)
        except KiwoomError:
            raise
        except Exception as error:
            raise TokenError(f"the token callable raised {type(error).__name__}") from error
        check_token(token)
        return token

    async def _link(self, need: LinkNeeded) -> None:
        """Dial, then read and write for as long as the session needs it."""
        outgoing = self._inbox.outgoing
        endpoint = need.endpoint
        try:
            endpoint.check_tls(self._ssl_context)  # it may have been changed since the last time
            stream = await dial(endpoint.host, endpoint.port, endpoint.secure, self._ssl_context)
        except (*NETWORK_ERRORS, LocalProtocolError) as error:
            if need is self._session.needs:
                self._session.receive_eof(f"could not connect to {endpoint}: {describe(error)}")
                self._pump()
            return
        try:
            async with trio.open_nursery() as tasks:
                tasks.start_soon(self._read, stream, need)
                await self._write(stream, need, outgoing)
                tasks.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)

    @enable_ki_protection
    async def _read(self, stream: trio.abc.Stream, need: LinkNeeded) -> None:
        session = self._session
        while True:
            data: bytes | bytearray = b""
            error: str | None = None
            try:
                data = await stream.receive_some(READ_SIZE)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as failure:
                error = describe(failure)
            if need is not session.needs:
                return  # it is another connection's turn
            if data:
                session.receive_data(data, time.time_ns())
            else:
                session.receive_eof(error)
            if self._inbox.collect():  # as in _pump, but for what rows alone do not change
                self._follow()
            self._wake()

    async def _write(self, stream: trio.abc.Stream, need: LinkNeeded, outgoing: bytearray) -> None:
        while True:
            if outgoing:
                await checkpoint()  # a write that fails would lose what has arrived: let it be read first
                data = memoryview(bytes(outgoing))  # which shows nothing of a token
                outgoing.clear()
                try:
                    await stream.send_all(data)
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    # What the server said before may still wait to be read: the reader finds the end, and why.
                    while need is self._session.needs:
                        await self._change()
                    return
            elif need is not self._session.needs:
                return
            else:
                self._has_outgoing = trio.Event()
                await self._has_outgoing.wait()

    @enable_ki_protection
    async def _watch_clock(self) -> None:
        while self._inbox.closed is None:
            timeout = self._session.next_timeout()
            self._armed = math.inf if timeout is None else timeout
            self._deadline_moved = trio.Event()
            with trio.CancelScope(deadline=self._armed):
                await self._deadline_moved.wait()
                continue
            self._session.handle_timeout()
            self._pump()


@disable_ki_protection
async def _called(token: Secret | Callable[[], Awaitable[str | Secret]]) -> Secret:
    """What the user's callable does; nothing of ours that could go wrong."""
    if isinstance(token, Secret):
        return token
    answer = token() if callable(token) else None
    if not isinstance(answer, Awaitable):
        raise LocalProtocolError("token: must be a text, an AppKey, or an async callable that returns a text")
    return conceal(await answer)
